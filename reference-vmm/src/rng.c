/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include <vmm/virtio-rng.h>

#include "virtio.h"

/* The entropy device, on a thread of its own. */

static void rng_free(void *object)
{
	vmm_virtio_rng_free(object);
}

/* One eventfd for all queues. */
static int get_doorbell(void *object, uint32_t queue)
{
	return vmm_virtio_rng_get_doorbell(object);
}

int rng_add(struct virtio *virtio, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--rng",
		.free = rng_free,
		.get_doorbell = get_doorbell,
	};
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng;
	int ret;

	opts.thread = true;
	ret = vmm_virtio_rng_new(&opts, &rng);
	if (ret < 0)
		return vmm_error_set(err, ret, "--rng: %s", strerror(-ret));
	device.object = rng;
	device.device = vmm_virtio_rng_get_device(rng);
	return virtio_add(virtio, &device, err);
}

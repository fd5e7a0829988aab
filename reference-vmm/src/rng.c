/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/virtio-rng.h>

#include "loop-device.h"
#include "virtio.h"

/* The entropy device, on the event loop. */
struct rng {
	struct loop_device loop;
	struct vmm_virtio_rng *device;
};

static void run(void *object)
{
	vmm_virtio_rng_run(object);
}

static void rng_free(void *object)
{
	struct rng *rng = object;

	loop_device_fini(&rng->loop);
	vmm_virtio_rng_free(rng->device);
	free(rng);
}

static int rng_new(struct machine *machine, struct rng *rng)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	int ret;

	rng->loop.wake_fd = -1;
	opts.wake = loop_device_wake;
	opts.ctx = &rng->loop;
	ret = vmm_virtio_rng_new(&opts, &rng->device);
	if (ret == 0)
		ret = loop_device_init(&rng->loop, machine, run, rng->device);
	return ret;
}

int rng_add(struct virtio *virtio, struct vmm_error *err)
{
	struct virtio_device device = { .name = "--rng", .free = rng_free };
	struct rng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return vmm_error_set(err, -ENOMEM, "--rng: out of memory");
	ret = rng_new(virtio_get_machine(virtio), rng);
	if (ret < 0) {
		rng_free(rng);
		return vmm_error_set(err, ret, "--rng: %s", strerror(-ret));
	}
	device.object = rng;
	device.device = vmm_virtio_rng_get_device(rng->device);
	return virtio_add(virtio, &device, err);
}

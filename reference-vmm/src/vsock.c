/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <vmm/virtio-vsock.h>

#include "virtio.h"

/* Sockets between guest and host, served by the device's own thread. */

static void vsock_free(void *object)
{
	vmm_virtio_vsock_free(object);
}

static int get_doorbell(void *object, uint32_t queue)
{
	return vmm_virtio_vsock_get_doorbell(object, queue);
}

int vsock_add(struct virtio *virtio, const struct vsock_desc *desc, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--vsock",
		.detail = desc->path,
		.free = vsock_free,
		.get_doorbell = get_doorbell,
	};
	struct vmm_virtio_vsock_opts opts = VMM_VIRTIO_VSOCK_OPTS_INIT;
	struct vmm_virtio_vsock *vsock;
	int ret;

	opts.cid = desc->cid;
	opts.path = desc->path;
	ret = vmm_virtio_vsock_new(&opts, &vsock, err);
	if (ret < 0)
		return ret;
	device.object = vsock;
	device.device = vmm_virtio_vsock_get_device(vsock);
	return virtio_add(virtio, &device, err);
}

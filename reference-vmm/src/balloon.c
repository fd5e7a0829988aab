/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "balloon.h"

/* The memory balloon, on a thread of its own. */
struct balloon {
	struct vmm_virtio_balloon *device;
	struct vmm_virtio_transport *transport;
	uint64_t total; /* bytes the machine has */
	uint64_t target;
};

static void balloon_free(void *object)
{
	struct balloon *balloon = object;

	vmm_virtio_balloon_free(balloon->device);
	free(balloon);
}

/* One eventfd for all queues. */
static int get_doorbell(void *object, uint32_t queue)
{
	const struct balloon *balloon = object;

	return vmm_virtio_balloon_get_doorbell(balloon->device);
}

static int balloon_new(struct virtio *virtio, struct balloon *balloon,
		       struct vmm_error *err)
{
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT;

	balloon->total = balloon->target = virtio_get_machine(virtio)->desc->memory;
	opts.thread = true;
	opts.mem = virtio_get_mem(virtio);
	opts.features |= VMM_VIRTIO_BALLOON_F_PAGE_REPORTING;
	return vmm_virtio_balloon_new(&opts, &balloon->device, err);
}

int balloon_add(struct virtio *virtio, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--balloon",
		.free = balloon_free,
		.get_doorbell = get_doorbell,
	};
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	int ret;

	if (!balloon)
		return vmm_error_set(err, -ENOMEM, "--balloon: out of memory");
	ret = balloon_new(virtio, balloon, err);
	if (ret < 0) {
		balloon_free(balloon);
		return ret;
	}
	device.object = balloon;
	device.device = vmm_virtio_balloon_get_device(balloon->device);
	ret = virtio_add(virtio, &device, err);
	if (ret < 0)
		return ret;
	balloon->transport = virtio_get_transport(virtio, virtio_get_count(virtio) - 1);
	virtio_get_machine(virtio)->balloon = balloon;
	return 0;
}

int balloon_set_memory(struct balloon *balloon, uint64_t bytes)
{
	int ret;

	if (bytes > balloon->total)
		return -EINVAL;
	/* More pages than the number has room for are as good as all it can say. */
	bytes = (balloon->total - bytes) / VMM_VIRTIO_BALLOON_PAGE;
	if (bytes > UINT32_MAX)
		bytes = UINT32_MAX;
	ret = vmm_virtio_balloon_set_target(balloon->device, balloon->transport,
					    (uint32_t)bytes);
	if (ret == 0)
		balloon->target = balloon->total - bytes * VMM_VIRTIO_BALLOON_PAGE;
	return ret;
}

uint64_t balloon_get_memory(const struct balloon *balloon)
{
	return balloon->target;
}

void balloon_get_stats(struct balloon *balloon, struct vmm_virtio_balloon_stats *stats,
		       struct vmm_virtio_balloon_guest *guest)
{
	vmm_virtio_balloon_get_stats(balloon->device, stats);
	vmm_virtio_balloon_get_guest(balloon->device, guest);
	/* -EAGAIN: it has been asked; others: it will never tell. */
	(void)!vmm_virtio_balloon_poll_stats(balloon->device);
}

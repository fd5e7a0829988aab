/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vmm/virtio-rng.h>

#include "virtio.h"

/* The entropy device, on the event loop. */
struct rng {
	struct vmm_virtio_rng *device;
	int wake_fd;
	struct vmm_event_source *source;
};

static void on_wake(void *ctx)
{
	const struct rng *rng = ctx;

	(void)eventfd_write(rng->wake_fd, 1);
}

static void on_work(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	const struct rng *rng = ctx;
	eventfd_t count;

	(void)eventfd_read(fd, &count);
	vmm_virtio_rng_run(rng->device);
}

static void rng_free(void *object)
{
	struct rng *rng = object;

	if (rng->source)
		vmm_event_source_remove(rng->source);
	vmm_virtio_rng_free(rng->device);
	if (rng->wake_fd >= 0)
		(void)close(rng->wake_fd);
	free(rng);
}

static int rng_new(struct machine *machine, struct rng *rng)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	int ret;

	rng->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rng->wake_fd < 0)
		return -errno;
	opts.wake = on_wake;
	opts.ctx = rng;
	ret = vmm_virtio_rng_new(&opts, &rng->device);
	if (ret == 0)
		ret = vmm_event_add_fd(machine->loop, rng->wake_fd, EPOLLIN, on_work, rng,
				       &rng->source);
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

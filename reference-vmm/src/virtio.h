/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <vmm/virtio.h>

#include "machine.h"

/* The virtio devices of a machine, each behind its own register window and interrupt.
 * Made before the first vCPU runs; the guest is told of them by the board. */

/* Where the guest finds a device. */
struct virtio_place {
	uint64_t gpa;
	uint32_t gsi;
};

/* A device, whatever its type. */
struct virtio_device {
	const char *name;   /* for messages: its option, or what it is */
	const char *detail; /* what it leads to, borrowed; NULL: nothing to say */
	const struct vmm_virtio_device *device;
	void *object;
	void (*free)(void *object);
	/* The eventfd that has a queue looked at, borrowed; NULL or -1: told by register.
	 */
	int (*get_doorbell)(void *object, uint32_t queue);
};

/* Make all devices that the description asks for. */
int virtio_new(struct machine *machine, struct vmm_error *err);

/* NULL is allowed. No vCPU runs any more, and KVM has let go of the eventfds. */
void virtio_free(struct virtio *virtio);

/* Bring all devices to rest, and back. NULL is allowed. */
void virtio_pause(struct virtio *virtio);
void virtio_resume(struct virtio *virtio);

size_t virtio_get_count(const struct virtio *virtio);
struct virtio_place virtio_get_place(const struct virtio *virtio, size_t index);
const struct virtio_device *virtio_get_device(const struct virtio *virtio, size_t index);

/* Its name in results: that of its option, if it has one. */
const char *virtio_get_name(const struct virtio *virtio, size_t index);

/* What went through queue @queue, below queue_n, of device @index. Any thread. */
void virtio_get_queue_counters(const struct virtio *virtio, size_t index, uint32_t queue,
			       struct vmm_virtq_counters *out);

/* Give a device its window, interrupt and doorbells. Takes it over, even on failure. */
int virtio_add(struct virtio *virtio, const struct virtio_device *device,
	       struct vmm_error *err);

struct vmm_virtio_transport *virtio_get_transport(struct virtio *virtio, size_t index);

const struct vmm_mem *virtio_get_mem(struct virtio *virtio);
struct machine *virtio_get_machine(struct virtio *virtio);

/* Devices by type. */
int disk_add(struct virtio *virtio, const struct disk_desc *desc, struct vmm_error *err);
/* Make a disk's file larger, to *bytes, or (0) only take its size, and tell the guest.
 * *bytes is the size then. */
int disk_resize(struct virtio *virtio, const char *name, uint64_t *bytes,
		struct vmm_error *err);
int nic_add(struct virtio *virtio, const struct nic_desc *desc, struct vmm_error *err);
int vsock_add(struct virtio *virtio, const struct vsock_desc *desc,
	      struct vmm_error *err);
int hvc_add(struct virtio *virtio, struct console *console, struct vmm_error *err);
int rng_add(struct virtio *virtio, struct vmm_error *err);
int balloon_add(struct virtio *virtio, struct vmm_error *err);

#endif

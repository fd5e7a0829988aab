/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOOP_DEVICE_H
#define LOOP_DEVICE_H

#include "machine.h"

/* The part that virtio devices without a thread have in common: what wakes them up is an
 * eventfd, and their work is done on the event loop, but not while the machine is paused:
 * all queues are looked at when it goes on. */
struct loop_device {
	const struct machine *machine;
	void (*run)(void *object);
	void *object;
	int wake_fd;
	struct vmm_event_source *source;
};

/* On failure nothing is left behind. */
int loop_device_init(struct loop_device *device, struct machine *machine,
		     void (*run)(void *object), void *object);

/* Works on a zeroed one whose wake_fd is -1. */
void loop_device_fini(struct loop_device *device);

/* For the device: have its work done soon. @ctx is a struct loop_device. Any thread. */
void loop_device_wake(void *ctx);

#endif

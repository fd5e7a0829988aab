/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop-device.h"

static void on_wake(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	const struct loop_device *device = ctx;

	if (!device->machine->paused)
		device->run(device->object);
}

int loop_device_init(struct loop_device *device, struct machine *machine,
		     void (*run)(void *object), void *object)
{
	int ret;

	device->machine = machine;
	device->run = run;
	device->object = object;
	device->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->wake_fd < 0)
		return -errno;
	ret = vmm_event_add_eventfd(machine->loop, device->wake_fd, on_wake, device,
				    &device->source);
	if (ret < 0)
		loop_device_fini(device);
	return ret;
}

void loop_device_fini(struct loop_device *device)
{
	vmm_event_source_remove(device->source);
	device->source = NULL;
	if (device->wake_fd >= 0)
		(void)close(device->wake_fd);
	device->wake_fd = -1;
}

void loop_device_wake(void *ctx)
{
	const struct loop_device *device = ctx;

	(void)eventfd_write(device->wake_fd, 1);
}

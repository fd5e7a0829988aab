/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vmm/virtio-console.h>

#include "console.h"
#include "virtio.h"

/* A virtio console (hvc0 in Linux), on a thread of the device's own. Its bytes go through
 * our console, which knows terminals and the escape key. */
struct hvc {
	struct vmm_virtio_console *device;
	int fd;
};

static void hvc_free(void *object)
{
	struct hvc *hvc = object;

	vmm_virtio_console_free(hvc->device);
	if (hvc->fd >= 0)
		(void)close(hvc->fd);
	free(hvc);
}

/* One eventfd for all queues. */
static int get_doorbell(void *object, uint32_t queue)
{
	const struct hvc *hvc = object;

	return vmm_virtio_console_get_doorbell(hvc->device);
}

static int hvc_new(struct hvc *hvc, struct console *console, struct vmm_error *err)
{
	struct vmm_virtio_console_port port = { .console = true };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct winsize size;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return vmm_error_set(err, -errno, "--console: %s", strerror(errno));
	console_set_line(console, ends[0]);
	hvc->fd = port.in_fd = port.out_fd = ends[1];
	opts.ports = &port;
	opts.port_n = 1;
	opts.thread = true;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		opts.cols = size.ws_col;
		opts.rows = size.ws_row;
	}
	return vmm_virtio_console_new(&opts, &hvc->device, err);
}

int hvc_add(struct virtio *virtio, struct console *console, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--console",
		.free = hvc_free,
		.get_doorbell = get_doorbell,
	};
	struct hvc *hvc = calloc(1, sizeof(*hvc));
	int ret;

	if (!hvc)
		return vmm_error_set(err, -ENOMEM, "--console: out of memory");
	hvc->fd = -1;
	ret = hvc_new(hvc, console, err);
	if (ret < 0) {
		hvc_free(hvc);
		return ret;
	}
	device.object = hvc;
	device.device = vmm_virtio_console_get_device(hvc->device);
	return virtio_add(virtio, &device, err);
}

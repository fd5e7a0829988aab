/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console device between its transport and its ports. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "console.h"
#include "options.h"
#include "transport.h"

#define QUEUE_DEFAULT 64u
#define NO_SOURCE UINT32_MAX

static void forget_driver(struct vmm_virtio_console *c)
{
	for (uint32_t i = 0; i < c->port_n; i++) {
		struct console_port *p = &c->ports[i];

		p->ready = false;
		p->open = false;
		p->messages = 0;
		p->done = 0;
	}
}

static uint32_t used_queues(const struct vmm_virtio_console *c)
{
	return c->features & CONSOLE_F_MULTIPORT ? c->queue_n : 2;
}

static void put_size(const struct vmm_virtio_console *c, uint8_t to[4])
{
	uint16_t size[2] = { htole16(c->cols), htole16(c->rows) };

	memcpy(to, size, sizeof(size));
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_console *c = ctx;
	uint8_t size[4];
	int ret = 0;

	fair_enter(&c->lock);
	c->transport = a->transport;
	c->queues = a->queues;
	c->features = a->features[0];
	forget_driver(c);
	if (c->has_pending) {
		ret = console_state_apply(c);
		put_size(c, size);
		if (ret == 0)
			ret = vmm_virtio_transport_set_config(
			    c->transport, CONSOLE_CONFIG_SIZE, size, sizeof(size));
	}
	for (uint32_t i = 0; i < used_queues(c) && ret == 0; i++)
		c->vqs[i] = vmm_virtq_is_enabled(a->queues[i]) ? a->queues[i] : NULL;
	fair_leave(&c->lock);
	return ret;
}

/* A run that is under way is short, as nothing in it waits: we wait for it. */
static void reset(void *ctx)
{
	struct vmm_virtio_console *c = ctx;

	fair_enter(&c->lock);
	memset(c->vqs, 0, sizeof(c->vqs));
	c->features = 0;
	c->paused = false;
	forget_driver(c);
	fair_leave(&c->lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	(void)index;
	vmm_virtio_console_wake(ctx);
}

static void change_queue(struct vmm_virtio_console *c, uint32_t index,
			 struct vmm_virtq *vq)
{
	fair_enter(&c->lock);
	if (index < used_queues(c))
		c->vqs[index] = vq;
	/* Its chains are gone, and so is the one of which a part went. */
	if (!vq && index % 2 == 1 && index != CONSOLE_CTRL_TX)
		c->ports[index == 1 ? 0 : index / 2 - 1].done = 0;
	fair_leave(&c->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	change_queue(ctx, index, NULL);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_console *c = ctx;

	change_queue(c, index, c->queues[index]);
}

/* The low byte of emerg_wr is a character (5.3.4). */
static void config_written(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	struct vmm_virtio_console *c = ctx;
	const uint8_t *bytes = data;

	if (offset > CONSOLE_CONFIG_EMERG || CONSOLE_CONFIG_EMERG - offset >= len)
		return;
	fair_enter(&c->lock);
	console_emergency(c, bytes[CONSOLE_CONFIG_EMERG - offset]);
	fair_leave(&c->lock);
}

static void set_paused(struct vmm_virtio_console *c, bool paused)
{
	fair_enter(&c->lock);
	c->paused = paused;
	fair_leave(&c->lock);
}

void console_pause(struct vmm_virtio_console *console)
{
	set_paused(console, true);
}

void console_resume(struct vmm_virtio_console *console)
{
	set_paused(console, false);
	vmm_virtio_console_wake(console);
}

static void on_pause(void *ctx)
{
	console_pause(ctx);
}

static void on_resume(void *ctx)
{
	console_resume(ctx);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vmm_virtio_console *c = ctx;
	int ret = console_load(c, a ? a->features[0] : 0, data, len);
	uint8_t size[4];

	if (ret < 0)
		return ret;
	if (!a) {
		put_size(c, size);
		return vmm_virtio_transport_sync_config(transport, CONSOLE_CONFIG_SIZE,
							size, sizeof(size));
	}
	console_pause(c);
	return activate(c, a);
}

static const struct vmm_virtio_device_ops console_ops = {
	.size = sizeof(console_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.config_written = config_written,
	.pause = on_pause,
	.resume = on_resume,
	.save = console_save,
	.restore = restore,
};

static int check_opts(struct vmm_virtio_console_opts *o, struct vmm_error *err)
{
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if (!o->ports || o->port_n == 0 || o->port_n > VMM_VIRTIO_CONSOLE_PORTS_MAX ||
	    (o->port_n > 1 && !o->multiport) || o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_set(err, -EINVAL, "console of %u ports, queues of %u",
				     o->port_n, o->queue_max);
	for (uint32_t i = 0; i < o->port_n; i++) {
		const char *name = o->ports[i].name;

		if (name && strlen(name) > VMM_VIRTIO_CONSOLE_NAME_MAX)
			return vmm_error_at(err, -E2BIG, i, VMM_VIRTIO_CONSOLE_NAME_MAX,
					    strlen(name),
					    "console port with a name of "
					    "more than %u bytes",
					    VMM_VIRTIO_CONSOLE_NAME_MAX);
	}
	return 0;
}

static void describe(struct vmm_virtio_console *c,
		     const struct vmm_virtio_console_opts *o)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	uint32_t ports = htole32(o->port_n);

	put_size(c, c->config);
	memcpy(c->config + CONSOLE_CONFIG_PORTS, &ports, sizeof(ports));
	memset(c->writable + CONSOLE_CONFIG_EMERG, 0xff, 4);
	for (uint32_t i = 0; i < CONSOLE_QUEUES_MAX; i++)
		c->queue_max[i] = (uint16_t)o->queue_max;
	c->queue_n = o->multiport ? 2 * (o->port_n + 1) : 2;
	c->offered = o->features | CONSOLE_F_SIZE | CONSOLE_F_EMERG_WRITE |
		     VMM_VIRTIO_F_VERSION_1 | (o->multiport ? CONSOLE_F_MULTIPORT : 0);
	c->device = blank;
	c->device.id = VMM_VIRTIO_ID_CONSOLE;
	c->device.queue_n = c->queue_n;
	c->device.queue_max = c->queue_max;
	c->device.features[0] = c->offered;
	c->device.config = c->config;
	c->device.config_writable = c->writable;
	c->device.config_len = CONSOLE_CONFIG_LEN;
	c->device.ops = &console_ops;
	c->device.ctx = c;
}

static int set_nonblock(int fd)
{
	int flags;

	if (fd < 0)
		return 0;
	flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int take_fds(struct vmm_virtio_console *c, uint32_t port, int in_fd, int out_fd)
{
	int ret = set_nonblock(in_fd);

	if (ret == 0)
		ret = set_nonblock(out_fd);
	return ret < 0 ? ret : console_watch(c, port, in_fd, out_fd);
}

static int open_poll(struct vmm_virtio_console *c)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET,
				     .data = { .u32 = NO_SOURCE } };

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event_fd < 0 ||
	    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->event_fd, &event) < 0)
		return -errno;
	return 0;
}

static int start_thread(struct vmm_virtio_console *c)
{
	int ret = net_thread_init(&c->thread, console_run, c);

	if (ret < 0)
		return ret;
	ret = net_thread_add(&c->thread, c->epoll_fd, 0);
	if (ret == 0)
		ret = net_thread_start(&c->thread);
	if (ret < 0)
		net_thread_fini(&c->thread);
	c->has_thread = ret == 0;
	return ret;
}

static int build(struct vmm_virtio_console *c, const struct vmm_virtio_console_opts *o)
{
	int ret = open_poll(c);

	for (uint32_t i = 0; i < o->port_n && ret == 0; i++) {
		struct console_port *p = &c->ports[i];

		if (o->ports[i].name)
			memcpy(p->name, o->ports[i].name, strlen(o->ports[i].name));
		p->console = o->ports[i].console || !o->multiport;
		p->in_fd = -1;
		p->out_fd = -1;
		if (c->builtin)
			ret = take_fds(c, i, o->ports[i].in_fd, o->ports[i].out_fd);
	}
	if (ret == 0)
		describe(c, o);
	return ret == 0 && o->thread ? start_thread(c) : ret;
}

static int choose_backend(struct vmm_virtio_console *c,
			  const struct vmm_virtio_console_opts *o, struct vmm_error *err)
{
	static const struct vmm_virtio_console_backend fds = { sizeof(fds),
							       console_fd_send,
							       console_fd_recv };
	int ret = 0;

	c->builtin = !o->backend;
	c->backend = fds;
	c->backend_ctx = o->backend ? o->backend_ctx : c;
	if (o->backend)
		ret = options_copy(&c->backend, sizeof(c->backend), o->backend,
				   o->backend->size);
	if (ret == 0 && (!c->backend.send || !c->backend.recv))
		ret = -EINVAL;
	return ret < 0 ? vmm_error_set(err, ret, "console back end of unknown layout")
		       : 0;
}

int vmm_virtio_console_new(const struct vmm_virtio_console_opts *opts,
			   struct vmm_virtio_console **out, struct vmm_error *err)
{
	struct vmm_virtio_console_opts o;
	struct vmm_virtio_console *c;
	int saved = errno, ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "console options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	c = calloc(1, sizeof(*c));
	if (!c)
		return vmm_error_set(err, -ENOMEM, "no memory for a console");
	fair_init(&c->lock);
	c->epoll_fd = -1;
	c->event_fd = -1;
	c->port_n = o.port_n;
	c->cols = o.cols;
	c->rows = o.rows;
	c->closed = o.closed;
	c->closed_ctx = o.closed_ctx;
	ret = choose_backend(c, &o, err);
	if (ret == 0) {
		ret = build(c, &o);
		if (ret < 0)
			(void)vmm_error_set(err, ret, "console without descriptors");
	}
	errno = saved;
	if (ret < 0) {
		vmm_virtio_console_free(c);
		return ret;
	}
	*out = c;
	return 0;
}

void vmm_virtio_console_free(struct vmm_virtio_console *console)
{
	int saved = errno;

	if (!console)
		return;
	if (console->has_thread) {
		net_thread_stop(&console->thread);
		net_thread_fini(&console->thread);
	}
	if (console->epoll_fd >= 0)
		(void)close(console->epoll_fd);
	if (console->event_fd >= 0)
		(void)close(console->event_fd);
	fair_fini(&console->lock);
	free(console);
	errno = saved;
}

const struct vmm_virtio_device *vmm_virtio_console_get_device(
    struct vmm_virtio_console *console)
{
	return &console->device;
}

int vmm_virtio_console_get_fd(const struct vmm_virtio_console *console)
{
	return console->epoll_fd;
}

int vmm_virtio_console_get_doorbell(const struct vmm_virtio_console *console)
{
	return console->event_fd;
}

int vmm_virtio_console_set_fds(struct vmm_virtio_console *console, uint32_t port,
			       int in_fd, int out_fd)
{
	int saved = errno, ret;

	if (port >= console->port_n || !console->builtin)
		return -EINVAL;
	fair_enter(&console->lock);
	console_unwatch(console, port);
	ret = take_fds(console, port, in_fd, out_fd);
	console_tell(console, port, CONSOLE_PORT_OPEN);
	fair_leave(&console->lock);
	vmm_virtio_console_wake(console);
	errno = saved;
	return ret;
}

int vmm_virtio_console_set_size(struct vmm_virtio_console *console,
				struct vmm_virtio_transport *transport, uint16_t cols,
				uint16_t rows)
{
	uint8_t size[4];
	int ret;

	if (transport->ctx != console)
		return -EINVAL;
	fair_enter(&console->lock);
	console->cols = cols;
	console->rows = rows;
	put_size(console, size);
	ret = vmm_virtio_transport_set_config(transport, CONSOLE_CONFIG_SIZE, size,
					      sizeof(size));
	if (console->ports[0].console && (console->features & CONSOLE_F_SIZE))
		console_tell(console, 0, CONSOLE_RESIZE);
	fair_leave(&console->lock);
	vmm_virtio_console_wake(console);
	return ret;
}

void vmm_virtio_console_get_stats(struct vmm_virtio_console *console,
				  struct vmm_virtio_console_stats *out)
{
	struct vmm_virtio_console_stats stats;
	size_t size = out->size < sizeof(stats) ? out->size : sizeof(stats);

	fair_enter(&console->lock);
	stats = console->stats;
	fair_leave(&console->lock);
	stats.size = out->size;
	if (size >= sizeof(stats.size))
		memcpy(out, &stats, size);
}

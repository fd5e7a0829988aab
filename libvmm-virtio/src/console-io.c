/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes between ports and back ends, and when there is something to do. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "probes.h"

/* Most bytes of one call, and of one port in one run: buffers may overlap, so that what a
 * driver offers says nothing about how much work it is. */
#define CALL_MAX 0x10000u
#define RUN_MAX 0x100000u
#define CALL_IOVECS 64u

static int add_source(struct vmm_virtio_console *c, int fd, uint32_t port,
		      uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET,
				     .data = { .u32 = port } };

	/* A file is always ready, and cannot be waited for. */
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EPERM)
		return -errno;
	return 0;
}

void console_unwatch(struct vmm_virtio_console *c, uint32_t port)
{
	struct console_port *p = &c->ports[port];
	struct epoll_event event = { .events = 0 };

	if (p->in_fd >= 0)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, p->in_fd, &event);
	if (p->out_fd >= 0 && p->out_fd != p->in_fd)
		(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, p->out_fd, &event);
	p->in_fd = -1;
	p->out_fd = -1;
	p->closed = true;
}

int console_watch(struct vmm_virtio_console *c, uint32_t port, int in_fd, int out_fd)
{
	struct console_port *p = &c->ports[port];
	int ret = 0;

	p->dry = false;
	p->closed = in_fd < 0 && out_fd < 0;
	p->in_fd = in_fd;
	p->out_fd = out_fd;
	if (in_fd >= 0)
		ret = add_source(c, in_fd, port,
				 EPOLLIN | (in_fd == out_fd ? EPOLLOUT : 0u));
	if (ret == 0 && out_fd >= 0 && out_fd != in_fd)
		ret = add_source(c, out_fd, port, EPOLLOUT);
	if (ret < 0)
		console_unwatch(c, port);
	return ret;
}

/* Input that ended, such as /dev/null, is no reason to lose output. */
static void end_input(struct vmm_virtio_console *c, uint32_t port)
{
	struct epoll_event event = { .events = 0 };

	(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->ports[port].in_fd, &event);
	c->ports[port].in_fd = -1;
}

static void close_port(struct vmm_virtio_console *c, uint32_t port, int code)
{
	console_unwatch(c, port);
	console_tell(c, port, CONSOLE_PORT_OPEN);
	if (c->closed)
		c->closed(c->closed_ctx, port, code);
}

/* A pipe without a reader must not end the VMM. The signal is for this thread only, so
 * it can be taken back before anybody sees it, unless one was waiting before. */
static int64_t write_without_signal(int fd, const struct iovec *iov, uint32_t n)
{
	static const struct timespec now = { 0, 0 };
	sigset_t pipe, old, waiting;
	int64_t ret;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)sigemptyset(&waiting);
	(void)sigpending(&waiting);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &old);
	ret = writev(fd, iov, (int)n);
	if (ret < 0)
		ret = -errno;
	if (ret == -EPIPE && !sigismember(&waiting, SIGPIPE))
		(void)sigtimedwait(&pipe, NULL, &now);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

int64_t console_fd_send(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct vmm_virtio_console *c = ctx;
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			      .msg_iovlen = n };
	int fd = c->ports[port].out_fd;
	int64_t ret;

	do {
		ret = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (ret < 0)
			ret = -errno;
		if (ret == -ENOTSOCK)
			ret = write_without_signal(fd, iov, n);
	} while (ret == -EINTR);
	return ret;
}

int64_t console_fd_recv(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct vmm_virtio_console *c = ctx;
	ssize_t ret;

	do
		ret = readv(c->ports[port].in_fd, iov, (int)n);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

void console_signal(struct vmm_virtio_console *c, uint32_t queue)
{
	if (vmm_virtq_needs_notification(c->vqs[queue]))
		vmm_virtio_transport_signal_queue(c->transport, queue);
}

/* Returns 0, -EAGAIN if there is nothing more, or -EBADMSG for a chain that is gone. */
int console_pop(struct vmm_virtio_console *c, uint32_t queue,
		struct vmm_virtq_chain *chain)
{
	int ret;

	chain->iov = c->iov;
	chain->iov_max = CONSOLE_IOVECS;
	ret = vmm_virtq_pop(c->vqs[queue], chain);
	if (ret == 0 || ret == -EAGAIN)
		return ret;
	if (ret == -ENOTRECOVERABLE) {
		vmm_virtio_transport_needs_reset(c->transport);
		return -EAGAIN;
	}
	c->stats.bad_chains++;
	return -EBADMSG;
}

void console_use(struct vmm_virtio_console *c, uint32_t queue, uint64_t token,
		 uint32_t len)
{
	if (vmm_virtq_add_used(c->vqs[queue], token, len) < 0)
		vmm_virtio_transport_needs_reset(c->transport);
}

void console_undo(struct vmm_virtio_console *c, uint32_t queue, uint64_t token)
{
	if (vmm_virtq_undo_pop(c->vqs[queue], token) < 0)
		vmm_virtio_transport_needs_reset(c->transport);
}

/* The next bytes of a chain for one call. */
static uint32_t clip(struct vmm_virtq_cursor at, struct iovec iov[CALL_IOVECS])
{
	uint64_t left = at.left < CALL_MAX ? at.left : CALL_MAX;
	uint32_t n;

	for (n = 0; n < CALL_IOVECS && left > 0; n++) {
		iov[n].iov_base = (uint8_t *)at.iov->iov_base + at.offset;
		iov[n].iov_len = at.iov->iov_len - at.offset;
		if (iov[n].iov_len > left)
			iov[n].iov_len = (size_t)left;
		left -= vmm_virtq_skip(&at, iov[n].iov_len);
	}
	return n;
}

/* Send what is left of a chain. Returns -EAGAIN if the back end takes no more, -E2BIG if
 * this run has done enough; then `done` says how much went. A driver that changes the
 * chain meanwhile spoils its own output. */
static int send_chain(struct vmm_virtio_console *c, uint32_t port,
		      const struct vmm_virtq_chain *chain, uint64_t *budget)
{
	struct console_port *p = &c->ports[port];
	struct vmm_virtq_cursor at = vmm_virtq_reader(chain);
	struct iovec iov[CALL_IOVECS];

	(void)vmm_virtq_skip(&at, p->done);
	while (at.left > 0) {
		uint64_t n;
		int64_t ret;

		if (p->closed || (c->builtin && p->out_fd < 0)) {
			c->stats.tx_dropped += at.left;
			break;
		}
		if (*budget == 0) {
			p->done = at.done;
			return -E2BIG;
		}
		ret = c->backend.send(c->backend_ctx, port, iov, clip(at, iov));
		if (ret == -EAGAIN || ret == 0) {
			c->stats.tx_blocked++;
			p->done = at.done;
			return -EAGAIN;
		}
		if (ret < 0) {
			close_port(c, port, (int)ret);
			continue;
		}
		n = vmm_virtq_skip(&at, (uint64_t)ret);
		c->stats.tx_bytes += n;
		if (n > *budget || fair_is_wanted(&c->lock))
			n = *budget;
		*budget -= n;
	}
	p->done = 0;
	return 0;
}

static void serve_tx(struct vmm_virtio_console *c, uint32_t port)
{
	uint32_t queue = console_queue(port) + 1;
	uint32_t budget = vmm_virtq_get_num(c->vqs[queue]);
	uint64_t bytes = RUN_MAX;
	bool blocked = false;

	PROBE3(serve, VMM_VIRTIO_ID_CONSOLE, queue, c->transport);
	vmm_virtq_disable_notification(c->vqs[queue]);
	for (; budget > 0 && !blocked; budget = console_budget(c, budget)) {
		struct vmm_virtq_chain chain = { .iov = NULL };
		int ret = console_pop(c, queue, &chain);

		if (ret == -EAGAIN)
			break;
		if (ret < 0)
			continue;
		/* virtio 1.2, 5.3.6: nothing to write to in the transmit queue. */
		if (chain.writable_n > 0) {
			c->stats.bad_chains++;
			console_use(c, queue, chain.token, 0);
			continue;
		}
		ret = send_chain(c, port, &chain, &bytes);
		blocked = ret < 0;
		c->again |= ret == -E2BIG;
		if (blocked)
			console_undo(c, queue, chain.token);
		else
			console_use(c, queue, chain.token, 0);
	}
	console_signal(c, queue);
	if (!blocked && vmm_virtq_enable_notification(c->vqs[queue]))
		c->again = true;
}

/* Returns false when there is nothing more to do for now. */
static bool receive_one(struct vmm_virtio_console *c, uint32_t port, bool *out_starved)
{
	struct console_port *p = &c->ports[port];
	struct vmm_virtq_chain chain = { .iov = NULL };
	uint32_t queue = console_queue(port);
	int ret = console_pop(c, queue, &chain);
	struct iovec iov[CALL_IOVECS];
	int64_t n;

	if (ret == -EAGAIN) {
		*out_starved = true;
		c->stats.rx_starved++;
		return false;
	}
	if (ret < 0)
		return true;
	if (chain.readable_n > 0 || chain.writable_len == 0) {
		c->stats.bad_chains++;
		console_use(c, queue, chain.token, 0);
		return true;
	}
	n = c->backend.recv(c->backend_ctx, port, iov,
			    clip(vmm_virtq_writer(&chain), iov));
	if (n > 0) {
		if ((uint64_t)n > chain.writable_len)
			n = (int64_t)chain.writable_len;
		c->stats.rx_bytes += (uint64_t)n;
		console_use(c, queue, chain.token, (uint32_t)n);
		return true;
	}
	console_undo(c, queue, chain.token);
	if (n == -EAGAIN)
		p->dry = c->builtin;
	else if (n == 0 && c->builtin && p->out_fd >= 0 && p->out_fd != p->in_fd)
		end_input(c, port);
	else
		close_port(c, port, n == 0 ? -EPIPE : (int)n);
	return false;
}

static void serve_rx(struct vmm_virtio_console *c, uint32_t port)
{
	struct console_port *p = &c->ports[port];
	uint32_t queue = console_queue(port);
	uint32_t budget = vmm_virtq_get_num(c->vqs[queue]);
	bool starved = false;

	PROBE3(serve, VMM_VIRTIO_ID_CONSOLE, queue, c->transport);
	vmm_virtq_disable_notification(c->vqs[queue]);
	while (budget > 0 && !p->dry && !p->closed && (p->open || p->console) &&
	       (!c->builtin || p->in_fd >= 0) && receive_one(c, port, &starved))
		budget = console_budget(c, budget);
	if (budget == 0)
		c->again = true;
	console_signal(c, queue);
	if (starved && vmm_virtq_enable_notification(c->vqs[queue]))
		c->again = true;
}

static void look(struct vmm_virtio_console *c)
{
	struct epoll_event events[2 * VMM_VIRTIO_CONSOLE_PORTS_MAX + 1];
	int n = epoll_wait(c->epoll_fd, events, 2 * VMM_VIRTIO_CONSOLE_PORTS_MAX + 1, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 < c->port_n)
			c->ports[events[i].data.u32].dry = false;
	}
}

static void kick(struct vmm_virtio_console *c)
{
	static const uint64_t one = 1;
	uint64_t value;

	if (write(c->event_fd, &one, sizeof(one)) < 0 && errno == EAGAIN &&
	    read(c->event_fd, &value, sizeof(value)) >= 0)
		(void)!write(c->event_fd, &one, sizeof(one));
}

static void serve_port(struct vmm_virtio_console *c, uint32_t port)
{
	uint32_t queue = console_queue(port);

	if (c->vqs[queue + 1])
		serve_tx(c, port);
	if (c->vqs[queue])
		serve_rx(c, port);
}

static void serve(struct vmm_virtio_console *c)
{
	uint32_t port_n = c->features & CONSOLE_F_MULTIPORT ? c->port_n : 1;
	bool wanted = false;

	c->again = false;
	for (uint32_t n = 0; n < port_n && !wanted; n++) {
		uint32_t port = (c->first + n) % port_n;

		serve_port(c, port);
		wanted = n + 1 < port_n && fair_is_wanted(&c->lock);
		/* The others have their turn next time. */
		if (wanted)
			c->first = port + 1;
	}
	c->again |= wanted;
	/* Last, as a port that closed has something to tell. */
	if (c->features & CONSOLE_F_MULTIPORT)
		console_ctrl_serve(c);
	if (c->again)
		kick(c);
}

void vmm_virtio_console_run(struct vmm_virtio_console *console)
{
	int saved = errno;

	fair_enter(&console->lock);
	look(console);
	if (!console->paused && console->features)
		serve(console);
	fair_leave(&console->lock);
	errno = saved;
}

void console_run(void *ctx, uint32_t number)
{
	(void)number;
	vmm_virtio_console_run(ctx);
}

void vmm_virtio_console_wake(struct vmm_virtio_console *console)
{
	int saved = errno;

	kick(console);
	errno = saved;
}

/* A byte that does not go now is lost: nobody waits in an emergency. */
void console_emergency(struct vmm_virtio_console *c, uint8_t byte)
{
	struct iovec v = { &byte, 1 };
	int saved = errno;

	if (c->ports[0].closed || (c->builtin && c->ports[0].out_fd < 0) ||
	    c->backend.send(c->backend_ctx, 0, &v, 1) != 1)
		c->stats.tx_dropped++;
	else
		c->stats.emergency++;
	errno = saved;
}

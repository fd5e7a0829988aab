/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* When a pair has something to do, and what it does then. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

#define NS_PER_S UINT64_C(1000000000)

/* What an event is about. */
enum { SOURCE_KICK, SOURCE_TIMER, SOURCE_BACKEND };

uint64_t net_now(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void net_use(struct net_pair *p, uint64_t token, uint32_t len)
{
	struct vmm_virtq_used elem = { token, len, 0 };

	p->used.elems[p->used.n++] = elem;
}

void net_flush(struct net_pair *p, struct vmm_virtq *q)
{
	if (p->used.n > 0 && vmm_virtq_add_used_n(q, p->used.elems, p->used.n) < 0)
		vmm_virtio_transport_needs_reset(p->net->transport);
	p->used.n = 0;
}

void net_signal(struct net_pair *p, struct vmm_virtq *q, uint32_t index)
{
	net_flush(p, q);
	if (vmm_virtq_needs_notification(q))
		vmm_virtio_transport_signal_queue(p->net->transport, index);
}

void net_wait(struct net_pair *p, uint64_t ns)
{
	if (p->wait_ns == 0 || ns < p->wait_ns)
		p->wait_ns = ns ? ns : 1;
}

static void watch(struct net_pair *p, int op)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data = { .u32 = SOURCE_BACKEND },
	};

	(void)epoll_ctl(p->epoll_fd, op, p->fd, &event);
}

/* A TAP and a datagram socket only remember to tell of room if they were asked after it
 * ran out, so that the edge alone would not do. */
void net_rearm(struct net_pair *p)
{
	if (p->fd >= 0)
		watch(p, EPOLL_CTL_MOD);
}

int net_pair_watch(struct net_pair *p, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data = { .u32 = SOURCE_BACKEND },
	};

	if (p->fd >= 0)
		watch(p, EPOLL_CTL_DEL);
	p->fd = -1;
	p->dry = false;
	p->closed = fd < 0;
	if (fd < 0)
		return 0;
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		p->closed = true;
		return -errno;
	}
	p->fd = fd;
	return 0;
}

void net_close_backend(struct net_pair *p, int code)
{
	struct vmm_virtio_net *net = p->net;

	if (p->fd >= 0)
		watch(p, EPOLL_CTL_DEL);
	p->fd = -1;
	p->closed = true;
	if (net->closed)
		net->closed(net->closed_ctx, p->index, code);
}

static int add_source(struct net_pair *p, int fd, uint32_t source)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
		.data = { .u32 = source },
	};

	if (fd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

int net_pair_open(struct net_pair *p)
{
	int ret;

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll_fd < 0)
		return -errno;
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = add_source(p, p->event_fd, SOURCE_KICK);
	if (ret < 0)
		return ret;
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return add_source(p, p->timer_fd, SOURCE_TIMER);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void net_pair_close(struct net_pair *p)
{
	close_fd(p->epoll_fd);
	close_fd(p->event_fd);
	close_fd(p->timer_fd);
}

/* The counter is never read: a write is an edge in any case, and it does not overflow,
 * as a write that would is refused. */
static void kick(struct net_pair *p)
{
	static const uint64_t one = 1;
	uint64_t value;

	if (write(p->event_fd, &one, sizeof(one)) < 0 && errno == EAGAIN &&
	    read(p->event_fd, &value, sizeof(value)) >= 0)
		(void)!write(p->event_fd, &one, sizeof(one));
}

void vmm_virtio_net_wake(struct vmm_virtio_net *net, uint32_t pair)
{
	int saved = errno;

	if (pair < net->pair_n)
		kick(&net->pairs[pair]);
	errno = saved;
}

static void arm_timer(struct net_pair *p)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(p->wait_ns / NS_PER_S),
			      (long)(p->wait_ns % NS_PER_S) },
	};

	if (timerfd_settime(p->timer_fd, 0, &spec, NULL) < 0)
		p->again = true;
}

/* One look takes all sources off the set; what comes up later is a new edge. */
static void look(struct net_pair *p)
{
	struct epoll_event events[3];
	int n = epoll_wait(p->epoll_fd, events, 3, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == SOURCE_BACKEND)
			p->dry = false;
	}
}

static void flush_stream(struct net_pair *p)
{
	struct net_stream *s = &p->net->builtin.streams[p->index];

	if (s->out_at == s->out_end || p->closed)
		return;
	if (net_stream_flush(s, p->fd) == -EPIPE)
		net_close_backend(p, -EPIPE);
	else if (s->out_at < s->out_end)
		net_rearm(p);
}

static void serve(struct net_pair *p)
{
	p->again = false;
	p->wait_ns = 0;
	look(p);
	if (p->net->builtin.streams)
		flush_stream(p);
	if (p->ctrl)
		net_ctrl_serve(p);
	if (p->active && p->tx)
		net_tx_serve(p);
	if (p->active && p->rx)
		net_rx_serve(p);
	if (p->wait_ns > 0)
		arm_timer(p);
	if (p->again)
		kick(p);
}

void vmm_virtio_net_run(struct vmm_virtio_net *net, uint32_t pair)
{
	struct net_pair *p;
	int saved = errno;

	if (pair >= net->pair_n)
		return;
	p = &net->pairs[pair];
	fair_enter(&p->lock);
	if (p->paused)
		look(p);
	else
		serve(p);
	fair_leave(&p->lock);
	errno = saved;
}

int vmm_virtio_net_get_fd(const struct vmm_virtio_net *net, uint32_t pair)
{
	return pair < net->pair_n ? net->pairs[pair].epoll_fd : -1;
}

/* Under the lock of each pair: what had it before is done when a pause returns, and what
 * has it after a resume sees what the VMM changed meanwhile. */
static void set_paused(struct vmm_virtio_net *net, bool paused)
{
	for (uint32_t i = 0; i < net->pair_n; i++) {
		fair_enter(&net->pairs[i].lock);
		net->pairs[i].paused = paused;
		fair_leave(&net->pairs[i].lock);
	}
}

void net_pause(struct vmm_virtio_net *net)
{
	set_paused(net, true);
}

void net_resume(struct vmm_virtio_net *net)
{
	set_paused(net, false);
	for (uint32_t i = 0; i < net->pair_n; i++)
		vmm_virtio_net_wake(net, i);
}

static void run_pair(void *ctx, uint32_t number)
{
	vmm_virtio_net_run(ctx, number);
}

static int start_thread(struct vmm_virtio_net *net, uint32_t index, uint32_t n)
{
	struct net_thread *t = &net->threads[index];
	int ret = net_thread_init(t, run_pair, net);

	if (ret < 0)
		return ret;
	for (uint32_t i = index; i < net->pair_n && ret == 0; i += n)
		ret = net_thread_add(t, net->pairs[i].epoll_fd, i);
	if (ret == 0)
		ret = net_thread_start(t);
	if (ret < 0)
		net_thread_fini(t);
	return ret;
}

int net_threads_start(struct vmm_virtio_net *net, uint32_t n)
{
	net->threads = calloc(n, sizeof(*net->threads));
	if (!net->threads)
		return -ENOMEM;
	for (; net->thread_n < n; net->thread_n++) {
		int ret = start_thread(net, net->thread_n, n);

		if (ret < 0)
			return ret;
	}
	return 0;
}

void net_threads_stop(struct vmm_virtio_net *net)
{
	for (uint32_t i = 0; i < net->thread_n; i++) {
		net_thread_stop(&net->threads[i]);
		net_thread_fini(&net->threads[i]);
	}
	free(net->threads);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Connections: found by their ports, queued for the guest's buffers, timed. */
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "vsock.h"

#define NS_PER_S UINT64_C(1000000000)

uint64_t vsock_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A guest that looks for collisions finds them; a bucket never has more than all. */
static uint32_t bucket_of(uint32_t host_port, uint32_t guest_port, uint16_t type)
{
	uint64_t x = (uint64_t)host_port << 32 | guest_port;

	x = (x ^ type) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(x >> 32) % VSOCK_BUCKETS;
}

struct vsock_conn *conn_find(struct vmm_virtio_vsock *v, uint32_t host_port,
			     uint32_t guest_port, uint16_t type)
{
	struct vsock_conn *c = v->buckets[bucket_of(host_port, guest_port, type)];

	while (c && (c->host_port != host_port || c->guest_port != guest_port ||
		     c->type != type))
		c = c->next;
	return c;
}

void conn_hash(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	struct vsock_conn **at =
	    &v->buckets[bucket_of(c->host_port, c->guest_port, c->type)];

	c->next = *at;
	*at = c;
	c->hashed = true;
}

static void unhash(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	struct vsock_conn **at =
	    &v->buckets[bucket_of(c->host_port, c->guest_port, c->type)];

	if (!c->hashed)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->hashed = false;
}

void conn_queue(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	c->behind = NULL;
	c->before = v->last;
	*(v->last ? &v->last->behind : &v->first) = c;
	v->last = c;
}

void conn_unqueue(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	if (!c->queued)
		return;
	c->queued = false;
	*(c->before ? &c->before->behind : &v->first) = c->behind;
	*(c->behind ? &c->behind->before : &v->last) = c->before;
}

static void set_timer(struct vmm_virtio_vsock *v, uint64_t at)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(at / NS_PER_S), (long)(at % NS_PER_S) },
	};

	v->timer_at = at;
	(void)timerfd_settime(v->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void need_timer(struct vmm_virtio_vsock *v, uint64_t at)
{
	if (v->timer_at == 0 || at < v->timer_at)
		set_timer(v, at);
}

void conn_set_deadline(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	c->deadline = vsock_now() + v->opts.timeout_ms * UINT64_C(1000000);
	need_timer(v, c->deadline);
}

/* Returns NULL if there are too many, or no memory; then @p fd is closed. */
struct vsock_conn *conn_new(struct vmm_virtio_vsock *v, int fd, uint16_t type)
{
	struct vsock_conn *c = NULL;
	uint32_t slot = 0;

	if (v->conn_n < v->opts.connections_max)
		c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		v->stats.refused++;
		return NULL;
	}
	while (v->conns[slot])
		slot++;
	c->slot = slot;
	c->fd = fd;
	c->type = type;
	/* Until it says otherwise; what changes comes as an edge. */
	c->writable = true;
	v->uses[slot]++;
	if (worker_watch(&v->worker, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
			 TAG_CONN(slot, v->uses[slot])) < 0) {
		(void)close(fd);
		free(c);
		v->stats.refused++;
		return NULL;
	}
	v->conns[slot] = c;
	v->conn_n++;
	return c;
}

static void close_host(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	if (c->state == CONN_GREETING)
		v->greeting_n--;
	/* Closing alone would leave it watched if the VMM has kept a duplicate. */
	if (c->fd >= 0) {
		(void)epoll_ctl(v->worker.epoll, EPOLL_CTL_DEL, c->fd, NULL);
		(void)close(c->fd);
	}
	c->fd = -1;
	free(c->buf);
	free(c->ends);
	free(c->msg);
	c->buf = NULL;
	c->ends = NULL;
	c->msg = NULL;
	c->buf_len = 0;
	c->msg_len = 0;
	c->deadline = 0;
	c->readable = false;
}

void conn_free(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	close_host(v, c);
	conn_unqueue(v, c);
	unhash(v, c);
	v->conns[c->slot] = NULL;
	v->conn_n--;
	free(c);
	if (v->listen_at == 0)
		vsock_set_listening(v, true);
}

void conn_todo(struct vmm_virtio_vsock *v, struct vsock_conn *c, enum vsock_op op)
{
	c->todo |= 1u << op;
	conn_queue(v, c);
}

void conn_kill(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	/* Of what the guest was not told it needs no end. */
	if (c->state == CONN_GREETING || (c->todo & 1u << OP_REQUEST)) {
		conn_free(v, c);
		return;
	}
	close_host(v, c);
	c->state = CONN_DEAD;
	c->todo = 0;
	conn_todo(v, c, OP_RST);
}

void conn_violation(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	v->stats.violations++;
	conn_kill(v, c);
}

void vsock_expire(struct vmm_virtio_vsock *v)
{
	uint64_t now = vsock_now(), next = 0;

	v->timer_at = 0;
	for (uint32_t i = 0; i < v->opts.connections_max; i++) {
		struct vsock_conn *c = v->conns[i];

		if (!c || c->deadline == 0)
			continue;
		if (c->deadline <= now) {
			v->stats.timeouts++;
			conn_kill(v, c);
		} else if (next == 0 || c->deadline < next) {
			next = c->deadline;
		}
	}
	if (v->listen_at != 0 && v->listen_at <= now) {
		v->listen_at = 0;
		vsock_set_listening(v, true);
	}
	if (v->listen_at != 0 && (next == 0 || v->listen_at < next))
		next = v->listen_at;
	if (next != 0)
		set_timer(v, next);
}

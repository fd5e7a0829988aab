/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONSOLE_RIG_H
#define CONSOLE_RIG_H

/* A console device behind its registers, a driver in front of it, and back ends behind it:
 * sockets for three ports, or one of memory. */
#include "virtio-test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vmm/virtio-console.h>

enum { NUM = 16, QUEUES = 8, PORTS = 3 };

#define F_SIZE 1u
#define F_MULTI 2u
#define F_EMERG 4u
#define STRIDE UINT64_C(0x1000)
#define OUT MOCK_BUFFERS
#define IN (MOCK_SPLIT_AT - 0x800)
#define CTRL (MOCK_BUFFERS + 0x10000)

struct world {
	struct mock *m;
	struct mock q[QUEUES];
	struct vmm_virtio_console *c;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_transport *t;
	/* Our ends of the sockets of the ports, and the device's. */
	int peer[PORTS], end[PORTS];
	uint32_t closed_n, closed_port;
	int closed_code, irqs;
	/* The back end of memory. */
	char sent[256];
	uint32_t sent_n, room, refills;
	const char *input;
	int64_t recv_result;
};

static inline void on_irq(void *ctx, bool level)
{
	((struct world *)ctx)->irqs += level;
}

static inline void on_closed(void *ctx, uint32_t port, int code)
{
	struct world *w = ctx;

	w->closed_n++;
	w->closed_port = port;
	w->closed_code = code;
}

static inline void wr(struct world *w, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
}

static inline uint32_t rd(struct world *w, uint32_t reg)
{
	uint32_t value = 0;

	vmm_virtio_mmio_read(w->mmio, reg, &value, 4);
	return value;
}

/* A queue of the driver in its own place of the ring areas, empty. */
static inline void place_queue(struct mock *q, const struct mock *m, uint32_t index)
{
	*q = *m;
	q->config.desc += index * STRIDE;
	q->config.driver += index * STRIDE;
	q->config.device += index * STRIDE;
	memset(mock_at(q, q->config.desc), 0, STRIDE);
	memset(mock_at(q, q->config.driver), 0, STRIDE);
	memset(mock_at(q, q->config.device), 0, STRIDE);
}

static inline uint32_t climb(struct world *w, uint64_t features)
{
	uint32_t n = features & F_MULTI ? QUEUES : 2;

	wr(w, 0x70, 0);
	mock_reset(w->m, NUM, features);
	wr(w, 0x70, 1);
	wr(w, 0x70, 3);
	wr(w, 0x24, 0);
	wr(w, 0x20, (uint32_t)features);
	wr(w, 0x24, 1);
	wr(w, 0x20, (uint32_t)(features >> 32) | 1);
	wr(w, 0x70, 0xb);
	for (uint32_t i = 0; i < n; i++) {
		struct mock *q = &w->q[i];

		place_queue(q, w->m, i);
		wr(w, 0x30, i);
		wr(w, 0x38, NUM);
		wr(w, 0x80, (uint32_t)q->config.desc);
		wr(w, 0x90, (uint32_t)q->config.driver);
		wr(w, 0xa0, (uint32_t)q->config.device);
		wr(w, 0x44, 1);
	}
	wr(w, 0x70, 0xf);
	return rd(w, 0x70);
}

static inline void attach(struct world *w, struct vmm_virtio_console_opts *opts)
{
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	opts->closed = on_closed;
	opts->closed_ctx = w;
	opts->features |= PACKED | VMM_VIRTIO_F_RING_RESET;
	assert_int_equal(vmm_virtio_console_new(opts, &w->c, NULL), 0);
	mopts.mem = w->m->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = w;
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_console_get_device(w->c),
					     &w->mmio, NULL),
			 0);
	w->t = vmm_virtio_mmio_get_transport(w->mmio);
}

/* Three ports on sockets: a console, a port with a name, one without. */
static inline void start(struct world *w, uint64_t features)
{
	struct vmm_virtio_console_port ports[PORTS] = { { .console = true },
							{ .name = "org.example.0" },
							{ .name = NULL } };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	w->m = mock_new(NUM, 0);
	for (int i = 0; i < PORTS; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
				 0);
		w->end[i] = ports[i].in_fd = ports[i].out_fd = fds[0];
		w->peer[i] = fds[1];
	}
	opts.ports = ports;
	opts.port_n = PORTS;
	opts.multiport = true;
	opts.cols = 80;
	opts.rows = 25;
	attach(w, &opts);
	assert_int_equal(climb(w, features), 0xf);
}

static inline void stop(struct world *w)
{
	vmm_virtio_mmio_free(w->mmio);
	vmm_virtio_console_free(w->c);
	mock_free(w->m);
	for (int i = 0; i < PORTS; i++) {
		if (w->end[i] > 0)
			assert_int_equal(close(w->end[i]), 0);
		if (w->peer[i] > 0)
			assert_int_equal(close(w->peer[i]), 0);
	}
}

static inline bool is_readable(struct world *w)
{
	struct pollfd p = { vmm_virtio_console_get_fd(w->c), POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

static inline int loop(struct world *w)
{
	int n = 0;

	for (; n < 1000 && is_readable(w); n++)
		vmm_virtio_console_run(w->c);
	return n;
}

static inline void print_to(struct world *w, uint32_t queue, const char *text)
{
	struct mock_seg seg = { OUT, (uint32_t)strlen(text), false };

	memcpy(mock_at(w->m, OUT), text, seg.len);
	assert_true(mock_add(&w->q[queue], &seg, 1, false) >= 0);
	wr(w, 0x50, queue);
	(void)loop(w);
}

static inline void give(struct world *w, uint32_t queue, uint32_t at, uint32_t len)
{
	struct mock_seg seg = { IN + at, len, true };

	assert_true(mock_add(&w->q[queue], &seg, 1, false) >= 0);
	wr(w, 0x50, queue);
	(void)loop(w);
}

static inline uint32_t used(struct world *w, uint32_t queue)
{
	uint32_t id, len = 0;

	assert_int_equal(mock_get_used(&w->q[queue], &id, &len), 0);
	return len;
}

static inline bool nothing_used(struct world *w, uint32_t queue)
{
	uint32_t id, len;

	return mock_get_used(&w->q[queue], &id, &len) == -EAGAIN;
}

static inline void expect_at_peer(struct world *w, int port, const char *text)
{
	char buf[256];
	ssize_t n = recv(w->peer[port], buf, sizeof(buf), MSG_DONTWAIT);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static inline struct vmm_virtio_console_stats stats_of(struct world *w)
{
	struct vmm_virtio_console_stats s = { .size = sizeof(s) };

	vmm_virtio_console_get_stats(w->c, &s);
	return s;
}

static inline int64_t memory_send(void *ctx, uint32_t port, const struct iovec *iov,
				  uint32_t n)
{
	struct world *w = ctx;
	uint32_t len = 0;

	if (w->refills > 0) {
		static const struct mock_seg seg = { OUT, 1, false };
		uint32_t id, got;

		w->refills--;
		while (mock_get_used(&w->q[1], &id, &got) == 0)
			;
		(void)mock_add(&w->q[1], &seg, 1, false);
		return 1;
	}
	if (w->room == 0)
		return -EAGAIN;
	while (n > 0 && iov->iov_len == 0) {
		iov++;
		n--;
	}
	len = iov->iov_len < w->room ? (uint32_t)iov->iov_len : w->room;
	memcpy(w->sent + w->sent_n, iov->iov_base, len);
	w->sent_n += len;
	w->room -= len;
	return len;
}

static inline int64_t memory_recv(void *ctx, uint32_t port, const struct iovec *iov,
				  uint32_t n)
{
	struct world *w = ctx;

	if (w->recv_result != 0)
		return w->recv_result;
	if (!w->input || !*w->input)
		return -EAGAIN;
	*(char *)iov[0].iov_base = *w->input++;
	return 1;
}

static inline void start_memory(struct world *w, uint64_t features)
{
	static const struct vmm_virtio_console_backend backend = { sizeof(backend),
								   memory_send,
								   memory_recv };
	static const struct vmm_virtio_console_port port = { -1, -1, NULL, false };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	w->m = mock_new(NUM, 0);
	opts.ports = &port;
	opts.port_n = 1;
	opts.backend = &backend;
	opts.backend_ctx = w;
	attach(w, &opts);
	assert_int_equal(climb(w, features), 0xf);
}

/* Send a message to the device. */
static inline void say(struct world *w, uint32_t id, uint16_t event, uint16_t value)
{
	struct mock_seg seg = { CTRL, 8, false };
	uint8_t *at = mock_at(w->m, CTRL);

	memcpy(at, &id, 4);
	memcpy(at + 4, &event, 2);
	memcpy(at + 6, &value, 2);
	assert_true(mock_add(&w->q[3], &seg, 1, false) >= 0);
	wr(w, 0x50, 3);
	(void)loop(w);
	assert_int_equal(used(w, 3), 0);
}

static inline void give_ctrl(struct world *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mock_seg seg = { CTRL + 0x100, 128, true };

		/* Each in the place of its head, so that none overwrites another. */
		seg.gpa += 128 * (uint64_t)w->q[2].free[w->q[2].free_n - 1];
		assert_true(mock_add(&w->q[2], &seg, 1, false) >= 0);
	}
	wr(w, 0x50, 2);
	(void)loop(w);
}

/* The next message of the device is this, with @p more behind it. */
static inline void expect_message(struct world *w, uint32_t id, uint16_t event,
				  uint16_t value, const char *more, uint32_t more_len)
{
	uint8_t want[8], *at;
	uint32_t head = 0, len = 0;

	assert_int_equal(mock_get_used(&w->q[2], &head, &len), 0);
	at = mock_at(w->m, CTRL + 0x100 + 128 * (uint64_t)head);
	memcpy(want, &id, 4);
	memcpy(want + 4, &event, 2);
	memcpy(want + 6, &value, 2);
	assert_memory_equal(at, want, 8);
	assert_int_equal(len, 8 + more_len);
	if (more_len > 0)
		assert_memory_equal(at + 8, more, more_len);
}

enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE = 4, RESIZE = 5, OPEN = 6, NAME = 7 };

#endif

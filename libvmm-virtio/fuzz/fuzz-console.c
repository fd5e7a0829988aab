/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver and back ends of a console device of three ports, all as the input says.
 *
 *   byte 0  1 MULTIPORT, 2 SIZE, 4 packed ring, 8 EVENT_IDX, 16 IN_ORDER
 *   then steps, 1 byte of kind and arguments:
 *     0  chain: queue, number of pieces, 3 bytes a piece (where, length, what: 1 writable,
 *        2 length times 64, 4 in a hole), then 8 bytes for a message
 *     1  message to the device, 5 bytes: port, event, value, and run
 *     2  run; 1 byte: how many bytes back ends take, 1 byte: how many they have
 *     3  save the state, reset, restore it and start again
 *     4  a state with 60 bytes of junk, restored
 *     5  an emergency write, a size
 *
 * It stops when the device touches memory outside the buffers of its queues, gives a chain
 * back twice or never, says that it wrote more than it did, loses output or sends it
 * twice, reads input without a buffer, tells the driver something that makes no sense, or
 * has another state after a restore.
 */
#include <stdio.h>
#include <string.h>
#include <vmm/virtio-console.h>

#include "../tests/mock-driver.h"
#include "device-state.h"

enum { NUM = 16, QUEUES = 8, PORTS = 3, STEPS = 64, PIECES = 6, DATA = 0x8000 };

#define STRIDE UINT64_C(0x1000)
#define READ_AREA MOCK_BUFFERS
#define WRITE_AREA (MOCK_SPLIT_AT - 0x4000)

struct world {
	struct mock *m;
	struct mock q[QUEUES];
	struct vmm_virtio_console *c;
	struct vmm_virtio_mmio *mmio;
	uint64_t features;
	uint32_t queue_n;
	uint32_t given[QUEUES], taken[QUEUES];
	/* Bytes that go and come in one run. */
	uint32_t room, have;
	/* Bytes of output: in good chains that were offered, and that came. */
	uint64_t offered[PORTS], came[PORTS];
	/* The input said how far the output is: it need not be true. */
	bool junk;
	/* Whether a chain is good is not for us to say. */
	bool unsure;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "fuzz-console: %s\n", what);
		abort();
	}
}

static void check_iov(const struct world *w, const struct iovec *iov, uint32_t n,
		      uint64_t from)
{
	const uint8_t *ram = w->m->ram;

	must(n > 0 && n <= 512, "pieces");
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *at = iov[i].iov_base;

		must(at >= ram + from && at < ram + MOCK_RAM_LEN &&
			 iov[i].iov_len <= (size_t)(ram + MOCK_RAM_LEN - at),
		     "outside memory");
	}
}

static int64_t on_send(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct world *w = ctx;
	uint64_t len = 0;

	/* An emergency is no chain. */
	if (n == 1 && iov[0].iov_len == 1 &&
	    ((const uint8_t *)iov[0].iov_base < w->m->ram ||
	     (const uint8_t *)iov[0].iov_base >= w->m->ram + MOCK_RAM_LEN))
		return port == 0 ? 1 : -EIO;
	check_iov(w, iov, n, READ_AREA);
	must(port < PORTS, "port");
	for (uint32_t i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len > w->room)
		len = w->room;
	w->room -= (uint32_t)len;
	w->came[port] += len;
	return len > 0 ? (int64_t)len : -EAGAIN;
}

static int64_t on_recv(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct world *w = ctx;
	uint32_t len;

	check_iov(w, iov, n, WRITE_AREA);
	must(port < PORTS && iov[0].iov_len > 0, "input without a buffer");
	len = iov[0].iov_len < w->have ? (uint32_t)iov[0].iov_len : w->have;
	memset(iov[0].iov_base, 0x49, len);
	w->have -= len;
	return len > 0 ? (int64_t)len : -EAGAIN;
}

static void wr(struct world *w, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
}

static uint32_t climb(struct world *w)
{
	uint32_t status = 0;

	wr(w, 0x70, 0);
	mock_reset(w->m, NUM, w->features);
	wr(w, 0x70, 1);
	wr(w, 0x70, 3);
	wr(w, 0x24, 0);
	wr(w, 0x20, (uint32_t)w->features);
	wr(w, 0x24, 1);
	wr(w, 0x20, (uint32_t)(w->features >> 32) | 1);
	wr(w, 0x70, 0xb);
	for (uint32_t i = 0; i < w->queue_n; i++) {
		struct mock *q = &w->q[i];

		*q = *w->m;
		q->config.desc += i * STRIDE;
		q->config.driver += i * STRIDE;
		q->config.device += i * STRIDE;
		memset(mock_at(q, q->config.desc), 0, STRIDE);
		memset(mock_at(q, q->config.driver), 0, STRIDE);
		memset(mock_at(q, q->config.device), 0, STRIDE);
		wr(w, 0x30, i);
		wr(w, 0x38, NUM);
		wr(w, 0x80, (uint32_t)q->config.desc);
		wr(w, 0x90, (uint32_t)q->config.driver);
		wr(w, 0xa0, (uint32_t)q->config.device);
		wr(w, 0x44, 1);
	}
	wr(w, 0x70, 0xf);
	vmm_virtio_mmio_read(w->mmio, 0x70, &status, 4);
	return status;
}

/* After a reset, what was offered and did not come does not count. */
static void start(struct world *w)
{
	must(climb(w) == 0xf, "negotiation");
	memset(w->given, 0, sizeof(w->given));
	memset(w->taken, 0, sizeof(w->taken));
	memset(w->offered, 0, sizeof(w->offered));
	memset(w->came, 0, sizeof(w->came));
	w->junk = false;
}

static bool is_output(uint32_t queue)
{
	return queue % 2 == 1 && queue != 3;
}

static void collect(struct world *w)
{
	for (uint32_t i = 0; i < w->queue_n; i++) {
		uint32_t id, len;
		int ret;

		while ((ret = mock_get_used(&w->q[i], &id, &len)) == 0) {
			must(i % 2 == 0 || len == 0, "length of output");
			must(i != 2 || len == 0 || (len >= 8 && len <= 8 + 63),
			     "length of a message");
			w->taken[i]++;
		}
		must(ret == -EAGAIN, "chain that is not out");
		must(w->taken[i] <= w->given[i], "more back than given");
	}
	for (uint32_t i = 0; i < PORTS; i++)
		must(w->came[i] <= w->offered[i], "more output than there was");
}

static void run(struct world *w)
{
	vmm_virtio_console_run(w->c);
	collect(w);
}

static size_t add_chain(struct world *w, const uint8_t *data, size_t size)
{
	struct mock_seg segs[PIECES];
	uint32_t n, queue, need;
	uint64_t len = 0;
	bool good = true, unsure = false;

	if (size < 2)
		return 0;
	queue = data[0] % w->queue_n;
	n = data[1] % (PIECES + 1);
	need = 2 + 3 * n + 8;
	if (size < need)
		return 0;
	memcpy(mock_at(w->m, READ_AREA), data + need - 8, 8);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = data + 2 + 3 * i;

		segs[i].write = p[2] & 1;
		segs[i].gpa = (segs[i].write ? WRITE_AREA : READ_AREA) + p[0] * 16u;
		segs[i].len = p[2] & 2 ? 64u * p[1] : p[1];
		if (p[2] & 4)
			segs[i].gpa = MOCK_HOLE + p[0];
		good &= segs[i].len == 0 || (p[2] & 5) == 0;
		/* An empty buffer in the wrong place may spoil a chain or not. */
		unsure |= segs[i].len == 0 && (p[2] & 5) != 0;
		len += segs[i].len;
	}
	if (n == 0 || mock_add(&w->q[queue], segs, n, false) < 0)
		return need;
	w->given[queue]++;
	if (is_output(queue) && good)
		w->offered[queue == 1 ? 0 : queue / 2 - 1] += len;
	w->unsure |= unsure;
	return need;
}

static void say(struct world *w, const uint8_t *data)
{
	static const struct mock_seg seg = { READ_AREA, 8, false };
	uint8_t message[8] = { data[0],	      0, 0,	  data[1] & 0x80 ? 0xff : 0,
			       data[1] & 0xf, 0, data[2], data[3] & 1 };

	if (w->queue_n <= 3)
		return;
	memcpy(mock_at(w->m, READ_AREA), message, sizeof(message));
	if (mock_add(&w->q[3], &seg, 1, false) >= 0)
		w->given[3]++;
	run(w);
}

static void save_and_restore(struct world *w)
{
	struct console_state a, b;

	console_get_state(w->c, &a);
	wr(w, 0x70, 0);
	must(console_set_state(w->c, &a) == 0, "restore");
	start(w);
	console_get_state(w->c, &b);
	must(memcmp(&a, &b, sizeof(a)) == 0, "state after a restore");
	/* The rings are new, so what went half is the start of something else. */
	for (uint32_t i = 0; i < PORTS; i++)
		w->junk |= a.ports[i].done != 0;
}

static void restore_junk(struct world *w, const uint8_t *data, size_t size)
{
	struct console_state s;
	bool taken;

	console_get_state(w->c, &s);
	memcpy(&s, data, size < 60 ? size : 60);
	wr(w, 0x70, 0);
	taken = console_set_state(w->c, &s) == 0;
	if (!taken || climb(w) != 0xf)
		start(w);
	memset(w->given, 0, sizeof(w->given));
	memset(w->taken, 0, sizeof(w->taken));
	memset(w->offered, 0, sizeof(w->offered));
	memset(w->came, 0, sizeof(w->came));
	w->junk = true;
}

/* Returns the bytes of input that it took, 0 at the end. */
static size_t step(struct world *w, const uint8_t *data, size_t size)
{
	size_t n;

	if (size < 6)
		return 0;
	switch (data[0] % 8) {
	case 1:
		say(w, data + 1);
		return 6;
	case 2:
		w->room = data[1] * 16u;
		w->have = data[2];
		run(w);
		return 3;
	case 3:
		save_and_restore(w);
		return 1;
	case 4:
		restore_junk(w, data + 1, size - 1);
		return size < 61 ? size : 61;
	case 5:
		vmm_virtio_mmio_write(w->mmio, 0x100 + data[1] % 16, data + 2, 1);
		must(vmm_virtio_console_set_size(w->c,
						 vmm_virtio_mmio_get_transport(w->mmio),
						 data[2], data[3]) == 0,
		     "size");
		return 4;
	default:
		n = add_chain(w, data + 1, size - 1);
		return n ? n + 1 : 0;
	}
}

/* With room for all, all output comes, once. */
static void finish(struct world *w)
{
	for (int i = 0; i < 8; i++) {
		w->room = 1u << 24;
		run(w);
	}
	for (uint32_t i = 0; i < w->queue_n; i++)
		must(i % 2 == 0 || w->taken[i] == w->given[i], "chain lost");
	for (uint32_t i = 0; i < PORTS && !w->junk && !w->unsure; i++)
		must(w->came[i] == w->offered[i], "output lost");
	must(vmm_virtio_transport_get_status(vmm_virtio_mmio_get_transport(w->mmio)) ==
		 0xf,
	     "status");
}

static void check_untouched(const struct world *w)
{
	const uint8_t *ram = w->m->ram;

	for (uint32_t i = 0; i < 0x1000; i++)
		must(ram[i] == 0 && ram[WRITE_AREA - 0x1000 + i] == 0,
		     "write outside of buffers");
	for (uint32_t i = 8; i < DATA; i++)
		must(ram[READ_AREA + i] == 0, "write to a readable buffer");
}

static void make(struct world *w)
{
	static const struct vmm_virtio_console_backend backend = { sizeof(backend),
								   on_send, on_recv };
	static const struct vmm_virtio_console_port ports[PORTS] = {
		{ -1, -1, NULL, true }, { -1, -1, "name", false }, { -1, -1, NULL, false }
	};
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	opts.ports = ports;
	opts.port_n = PORTS;
	opts.multiport = true;
	opts.backend = &backend;
	opts.backend_ctx = w;
	opts.queue_max = NUM;
	opts.features |= VMM_VIRTIO_F_RING_PACKED | VMM_VIRTIO_F_IN_ORDER;
	must(vmm_virtio_console_new(&opts, &w->c, NULL) == 0, "device");
	mopts.mem = w->m->mem;
	must(vmm_virtio_mmio_new(&mopts, vmm_virtio_console_get_device(w->c), &w->mmio,
				 NULL) == 0,
	     "transport");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock *mock;
	uint8_t mode = size ? data[0] : 0;
	struct world w = { .queue_n = mode & 1 ? QUEUES : 2 };
	size_t at = 1, n;

	if (!mock)
		mock = mock_new(NUM, 0);
	must(mock, "memory");
	w.m = mock;
	memset(mock->ram + READ_AREA, 0, DATA);
	w.features = (mode & 3 ? (uint64_t)((mode & 1) << 1 | (mode & 2) >> 1) : 0) | 4 |
		     (mode & 4 ? VMM_VIRTIO_F_RING_PACKED : 0) |
		     (mode & 8 ? VMM_VIRTIO_F_EVENT_IDX : 0) |
		     (mode & 16 ? VMM_VIRTIO_F_IN_ORDER : 0);
	make(&w);
	start(&w);
	for (int i = 0;
	     i < STEPS && at < size && (n = step(&w, data + at, size - at)) > 0; i++)
		at += n;
	finish(&w);
	check_untouched(&w);
	vmm_virtio_mmio_free(w.mmio);
	vmm_virtio_console_free(w.c);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Requests to a block device, made of pieces that the input chooses, over a back end that
 * checks what it is asked for.
 *
 *   byte 0  1 read-only, 2 FLUSH, 4 ranges and wear, 8 CONFIG_WCE, 16 slow, 32 packed,
 *           64 IN_ORDER, 128 a rate limit
 *   then requests: 16 bytes of header, number of pieces (and 0x80 indirect, 0x40 all
 *   that is pending completes, 0x20 pause, change of size and resume), 3 bytes a piece
 *   (where in units of 8 bytes, length, what: 1 writable, 2 length times 64, 4 at the
 *   header), 16 bytes of data
 *
 * It stops when work leaves the disk or the guest's memory, is not whole sectors, writes
 * to a read-only disk or comes without its feature; when a request is not answered exactly
 * once, or is answered with a status that does not exist; when a byte of guest memory
 * changes that is neither in a buffer for the device to write nor in its part of the ring;
 * when one run starts more than the queue is long; when the counters do not add up; and
 * when the same input has another outcome the second time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio-blk.h>

#include "../tests/mock-driver.h"
#include "device-state.h"

enum { SECTORS = 64, PIECES = 6, PENDING = 16, NUM = 16 };

/* Where requests are: headers and their neighbours; data around a border of regions. */
#define LOW MOCK_BUFFERS
#define LOW_LEN 0x5000u
#define HIGH (MOCK_SPLIT_AT - 0x800)
#define HIGH_LEN 0x5800u

struct world {
	struct mock *m;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_blk_io *pending[PENDING];
	uint32_t pending_n;
	uint64_t features;
	uint64_t now;
	uint64_t digest;
	uint32_t started, answered;
	bool readonly, slow;
	/* Last writable byte of each chain that is out, 0 if it has none; how many pieces;
	 * and its pieces. */
	uint64_t status[NUM];
	uint32_t seg_n[NUM];
	struct mock_seg segs[NUM][PIECES];
	/* What guest memory was like; and which bytes the device may write, how often. */
	uint8_t low[LOW_LEN], high[HIGH_LEN];
	uint8_t low_open[LOW_LEN], high_open[HIGH_LEN];
};

static uint64_t now(void *ctx)
{
	return ((struct world *)ctx)->now += 1000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void check_io(const struct world *w, const struct vmm_virtio_blk_io *io)
{
	bool range = io->op >= VMM_VIRTIO_BLK_DISCARD;
	uint64_t sum = 0;

	must(io->op <= VMM_VIRTIO_BLK_SECURE_ERASE && io->queue == 0);
	must(io->offset % 512 == 0 && io->len % 512 == 0);
	must(io->len <= SECTORS * 512 && io->offset <= SECTORS * 512 - io->len);
	must((io->len == 0) == (io->op == VMM_VIRTIO_BLK_FLUSH));
	must(!w->readonly || io->op == VMM_VIRTIO_BLK_READ ||
	     io->op == VMM_VIRTIO_BLK_FLUSH);
	must(io->op != VMM_VIRTIO_BLK_FLUSH || (w->features & 1u << 9));
	must(!range || (w->features & 1u << 13));
	if (range || io->op == VMM_VIRTIO_BLK_FLUSH)
		return;
	for (uint32_t i = 0; i < io->iov_n; i++) {
		uint8_t *at = io->iov[i].iov_base;

		must(at >= w->m->ram && at < w->m->ram + MOCK_RAM_LEN);
		must(io->iov[i].iov_len <= (size_t)(w->m->ram + MOCK_RAM_LEN - at));
		must(io->iov[i].iov_len > 0);
		sum += io->iov[i].iov_len;
	}
	must(sum == io->len);
}

static int submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct world *w = ctx;

	if (w->slow && w->pending_n == PENDING / 2)
		return -EAGAIN;
	check_io(w, io);
	must(++w->started <= NUM);
	w->digest = w->digest * 31 + io->offset + io->len + io->op;
	for (uint32_t i = 0; i < io->iov_n && io->op == VMM_VIRTIO_BLK_READ; i++)
		memset(io->iov[i].iov_base, 0xd5, io->iov[i].iov_len);
	if (w->slow)
		w->pending[w->pending_n++] = io;
	else
		vmm_virtio_blk_complete(io, io->offset == 512 ? -5 : 0);
	return 0;
}

static void drain(void *ctx, uint32_t queue)
{
	struct world *w = ctx;

	while (w->pending_n > 0)
		vmm_virtio_blk_complete(w->pending[--w->pending_n], 0);
}

static void wr(struct world *w, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
}

static void climb(struct world *w)
{
	wr(w, 0x70, 1);
	wr(w, 0x70, 3);
	wr(w, 0x20, (uint32_t)w->features);
	wr(w, 0x24, 1);
	wr(w, 0x20, (uint32_t)(w->features >> 32) | 1);
	wr(w, 0x70, 0xb);
	wr(w, 0x38, NUM);
	wr(w, 0x80, (uint32_t)MOCK_DESC);
	wr(w, 0x90, (uint32_t)MOCK_DRIVER);
	wr(w, 0xa0, (uint32_t)MOCK_DEVICE);
	wr(w, 0x44, 1);
	wr(w, 0x70, 0xf);
	must(vmm_virtio_transport_get_status(vmm_virtio_mmio_get_transport(w->mmio)) ==
	     0xf);
}

/* The byte of a map that stands for a guest address; NULL outside of both windows. */
static uint8_t *at_map(struct world *w, uint8_t *low, uint8_t *high, uint64_t gpa)
{
	if (gpa - LOW < LOW_LEN)
		return &low[gpa - LOW];
	return gpa - HIGH < HIGH_LEN ? &high[gpa - HIGH] : NULL;
}

/* The device may write these bytes from now on, or no longer. */
static void open_segs(struct world *w, const struct mock_seg *segs, uint32_t n, int by)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *at = at_map(w, w->low_open, w->high_open, segs[i].gpa);

		if (!at || !segs[i].write)
			continue;
		must(at_map(w, w->low_open, w->high_open, segs[i].gpa + segs[i].len));
		for (uint32_t b = 0; b < segs[i].len; b++)
			at[b] = (uint8_t)(at[b] + by);
	}
}

static void remember(struct world *w)
{
	memcpy(w->low, w->m->ram + LOW, LOW_LEN);
	memcpy(w->high, w->m->ram + HIGH, HIGH_LEN);
}

static void check_window(const uint8_t *is, const uint8_t *was, const uint8_t *open,
			 uint32_t len)
{
	for (uint32_t at = 0; at < len; at += 64) {
		if (memcmp(is + at, was + at, 64) == 0)
			continue;
		for (uint32_t i = at; i < at + 64; i++)
			must(open[i] || is[i] == was[i]);
	}
}

static void check_memory(struct world *w)
{
	check_window(w->m->ram + LOW, w->low, w->low_open, LOW_LEN);
	check_window(w->m->ram + HIGH, w->high, w->high_open, HIGH_LEN);
}

static uint8_t opened(struct world *w, uint64_t gpa)
{
	const uint8_t *at = at_map(w, w->low_open, w->high_open, gpa);

	return at ? *at : 0;
}

/* A status byte that other buffers overlap may be anything. */
static void check_answer(struct world *w, uint32_t id, uint32_t len)
{
	uint64_t at = w->status[id], room = 0;

	for (uint32_t i = 0; i < w->seg_n[id]; i++)
		room += w->segs[id][i].write ? w->segs[id][i].len : 0;
	must(len <= room);
	w->answered++;
	w->digest = w->digest * 31 + id + len;
	if (at && len > 0 && opened(w, at) == 1) {
		uint8_t status = w->m->ram[at];

		must(status <= 2 && (len == 1 || status == 0));
		w->digest = w->digest * 31 + status;
	}
	open_segs(w, w->segs[id], w->seg_n[id], -1);
}

static void collect(struct world *w)
{
	uint32_t id, len;
	int ret;

	check_memory(w);
	while ((ret = mock_get_used(w->m, &id, &len)) == 0)
		check_answer(w, id, len);
	must(ret == -EAGAIN);
	remember(w);
}

static void run(struct world *w)
{
	w->started = 0;
	vmm_virtio_blk_run(w->blk, 0);
}

static void rest(struct world *w, uint8_t sectors)
{
	struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };

	blk_pause(w->blk);
	vmm_virtio_blk_get_stats(w->blk, &stats);
	must(stats.in_flight == 0 && w->pending_n == 0);
	collect(w);
	run(w);
	must(w->started == 0);
	/* A caller's back end has no size to ask for. */
	must(vmm_virtio_blk_set_capacity(w->blk, vmm_virtio_mmio_get_transport(w->mmio),
					 512u * (1u + sectors % SECTORS)) == 0);
	blk_resume(w->blk);
}

static void offer(struct world *w, const struct mock_seg *segs, uint32_t n, bool indirect)
{
	int head = mock_add(w->m, segs, n, indirect);

	if (head < 0)
		return;
	w->status[head] = 0;
	w->seg_n[head] = n;
	memcpy(w->segs[head], segs, n * sizeof(*segs));
	open_segs(w, segs, n, 1);
	for (uint32_t i = 0; i < n; i++) {
		if (segs[i].write && segs[i].len > 0)
			w->status[head] = segs[i].gpa + segs[i].len - 1;
	}
}

/* Returns the bytes of input that it took, 0 at the end. */
static size_t request(struct world *w, const uint8_t *data, size_t size)
{
	struct mock_seg segs[PIECES];
	uint32_t n, need;

	if (size < 18)
		return 0;
	n = data[16] % (PIECES + 1);
	need = 17 + 3 * n + 16;
	if (size < need)
		return 0;
	memcpy(w->m->ram + MOCK_BUFFERS, data, 16);
	memcpy(w->m->ram + MOCK_BUFFERS + 16, data + need - 16, 16);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = data + 17 + 3 * i;

		segs[i].gpa =
		    p[2] & 4 ? MOCK_BUFFERS + p[0] : MOCK_SPLIT_AT - 0x400 + 8u * p[0];
		segs[i].len = p[2] & 2 ? 64u * p[1] : p[1];
		segs[i].write = p[2] & 1;
	}
	remember(w);
	if (n > 0)
		offer(w, segs, n, data[16] & 0x80);
	run(w);
	if (data[16] & 0x40)
		drain(w, 0);
	collect(w);
	if (data[16] & 0x20)
		rest(w, data[need - 1]);
	return need;
}

static void finish(struct world *w)
{
	struct vmm_virtio_blk_stats s = { .size = sizeof(s) };

	for (int i = 0; i < 40; i++) {
		w->now += UINT64_C(1) << 40;
		drain(w, 0);
		run(w);
	}
	drain(w, 0);
	collect(w);
	for (uint32_t i = 0; i < w->m->num; i++)
		must(!w->m->out[i]);
	vmm_virtio_blk_get_stats(w->blk, &s);
	/* Chains that the queue refused are not requests. */
	must(s.reads + s.writes + s.flushes + s.discards + s.zeroes + s.erases +
		 s.queries + s.errors + s.unsupported <=
	     w->answered);
	w->digest = w->digest * 31 + s.errors;
}

static void start(struct world *w, struct vmm_virtio_rate *rate)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend), submit,
							       NULL, NULL, drain };
	static const struct vmm_virtio_blk_lifetime wear = { 1, 2, 3, 0 };
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	opts.backend = &backend;
	opts.backend_ctx = w;
	opts.rate = rate;
	opts.capacity = SECTORS * 512;
	opts.readonly = w->readonly;
	opts.discard = true;
	opts.secure_erase = true;
	opts.lifetime = &wear;
	opts.features |= VMM_VIRTIO_F_RING_PACKED | VMM_VIRTIO_F_IN_ORDER;
	mopts.mem = w->m->mem;
	must(vmm_virtio_blk_new(&opts, &w->blk, NULL) == 0);
	must(vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(w->blk), &w->mmio,
				 NULL) == 0);
	climb(w);
}

static uint64_t features_of(uint8_t mode)
{
	return VMM_VIRTIO_F_INDIRECT_DESC | (mode & 2 ? 1u << 9 : 0) |
	       (mode & 4 ? 1u << 13 | 1u << 14 | 1u << 15 | 1u << 16 : 0) |
	       (mode & 8 ? 1u << 11 : 0) | (mode & 32 ? VMM_VIRTIO_F_RING_PACKED : 0) |
	       (mode & 64 ? VMM_VIRTIO_F_IN_ORDER : 0);
}

/* Returns a digest of all that could be seen. */
static uint64_t live(struct mock *mock, const uint8_t *data, size_t size)
{
	struct vmm_virtio_rate_config limit = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_rate *rate = NULL;
	uint8_t mode = size ? data[0] : 0;
	static struct world w;
	size_t at = 1, n;

	memset(&w, 0, sizeof(w));
	memset(mock->ram + LOW, 0, LOW_LEN);
	memset(mock->ram + HIGH, 0, HIGH_LEN);
	w.readonly = mode & 1;
	w.slow = mode & 16;
	w.features = features_of(mode);
	mock_reset(mock, NUM, w.features);
	w.m = mock;
	limit.ops_per_s = 100;
	limit.ops_burst = 3;
	limit.now = now;
	limit.now_ctx = &w;
	if (mode & 128)
		must(vmm_virtio_rate_new(&limit, &rate, NULL) == 0);
	start(&w, rate);
	for (int i = 0;
	     i < 40 && at < size && (n = request(&w, data + at, size - at)) > 0; i++)
		at += n;
	finish(&w);
	vmm_virtio_mmio_free(w.mmio);
	vmm_virtio_blk_free(w.blk);
	vmm_virtio_rate_free(rate);
	return w.digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock *mock;
	uint64_t first;

	if (!mock)
		mock = mock_new(NUM, 0);
	must(mock);
	first = live(mock, data, size);
	must(live(mock, data, size) == first);
	return 0;
}

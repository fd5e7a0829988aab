/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Requests to a block device, made of pieces that the input chooses, over a back end that
 * does nothing but check what it is asked for.
 *
 *   byte 0  1 read-only, 2 FLUSH, 4 DISCARD and WRITE_ZEROES, 8 CONFIG_WCE, 16 slow
 *   then requests: 16 bytes of header, number of pieces, 3 bytes a piece (where in
 *   units of 8 bytes, length, what: 1 writable, 2 length times 64, 4 at the header),
 *   16 bytes of data
 *
 * It stops when work leaves the disk or the guest's memory, is not whole sectors, writes
 * to a read-only disk or comes without its feature, when a request is not answered
 * exactly once, or is answered with a status that does not exist.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio-blk.h>

#include "../tests/mock-driver.h"

enum { SECTORS = 64, PIECES = 6, PENDING = 16 };

struct world {
	struct mock *m;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_blk_io *pending[PENDING];
	uint32_t pending_n;
	uint64_t features;
	bool readonly, slow;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void check_io(const struct world *w, const struct vmm_virtio_blk_io *io)
{
	bool range =
	    io->op == VMM_VIRTIO_BLK_DISCARD || io->op == VMM_VIRTIO_BLK_WRITE_ZEROES;
	uint64_t sum = 0;

	must(io->op <= VMM_VIRTIO_BLK_WRITE_ZEROES && io->queue == 0);
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

	check_io(w, io);
	if (!w->slow) {
		vmm_virtio_blk_complete(io, io->offset == 512 ? -5 : 0);
		return 0;
	}
	if (w->pending_n == PENDING / 2)
		return -EAGAIN;
	w->pending[w->pending_n++] = io;
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
	wr(w, 0x20, 1);
	wr(w, 0x70, 0xb);
	wr(w, 0x38, 16);
	wr(w, 0x80, (uint32_t)MOCK_DESC);
	wr(w, 0x90, (uint32_t)MOCK_DRIVER);
	wr(w, 0xa0, (uint32_t)MOCK_DEVICE);
	wr(w, 0x44, 1);
	wr(w, 0x70, 0xf);
	must(vmm_virtio_transport_get_status(vmm_virtio_mmio_get_transport(w->mmio)) ==
	     0xf);
}

static void collect(struct world *w)
{
	uint32_t id, len;
	int ret;

	while ((ret = mock_get_used(w->m, &id, &len)) == 0)
		must(len <= 1u << 20);
	must(ret == -EAGAIN);
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
	if (n > 0)
		(void)mock_add(w->m, segs, n, data[16] & 0x80);
	vmm_virtio_blk_run(w->blk, 0);
	if (data[16] & 0x40)
		drain(w, 0);
	collect(w);
	return need;
}

static void finish(struct world *w)
{
	for (int i = 0; i < 40; i++) {
		drain(w, 0);
		vmm_virtio_blk_run(w->blk, 0);
	}
	drain(w, 0);
	collect(w);
	for (uint32_t i = 0; i < w->m->num; i++)
		must(!w->m->out[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend), submit,
							       NULL, NULL, drain };
	static struct mock *mock;
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	uint8_t mode = size ? data[0] : 0;
	struct world w = { .readonly = mode & 1, .slow = mode & 16 };
	size_t at = 1, n;

	if (!mock)
		mock = mock_new(16, 0);
	must(mock);
	w.features = VMM_VIRTIO_F_INDIRECT_DESC | (mode & 2 ? 1u << 9 : 0) |
		     (mode & 4 ? 1u << 13 | 1u << 14 : 0) | (mode & 8 ? 1u << 11 : 0);
	mock_reset(mock, 16, w.features);
	w.m = mock;
	opts.backend = &backend;
	opts.backend_ctx = &w;
	opts.capacity = SECTORS * 512;
	opts.readonly = w.readonly;
	opts.discard = true;
	mopts.mem = mock->mem;
	must(vmm_virtio_blk_new(&opts, &w.blk, NULL) == 0);
	must(vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(w.blk), &w.mmio,
				 NULL) == 0);
	climb(&w);
	for (int i = 0;
	     i < 40 && at < size && (n = request(&w, data + at, size - at)) > 0; i++)
		at += n;
	finish(&w);
	vmm_virtio_mmio_free(w.mmio);
	vmm_virtio_blk_free(w.blk);
	return 0;
}

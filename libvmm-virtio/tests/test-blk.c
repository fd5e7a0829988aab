/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device behind its registers: requests good and bad, the file back end, and a
 * back end that takes its time. */
#include "virtio-test.h"

#include <sys/mman.h>
#include <unistd.h>
#include <vmm/virtio-blk.h>

enum { SECTORS = 64, IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, ZEROES = 13 };

#define HEADER MOCK_BUFFERS
#define STATUS (MOCK_BUFFERS + 0x100)
#define DATA (MOCK_BUFFERS + 0x1000)
#define F_WCE (UINT64_C(1) << 11)
#define F_ALL (UINT64_C(1) << 9 | UINT64_C(1) << 13 | UINT64_C(1) << 14)
#define NO_STATUS 0xffu

struct world {
	struct mock *m;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	int fd, irqs;
	/* The slow back end. */
	struct vmm_virtio_blk_io *pending[8];
	uint32_t pending_n, room;
	uint32_t last_op, last_flags;
	uint64_t last_len;
	bool drained, refill;
	uint32_t submitted;
};

/* Whether the doorbell rang since the last time; it is quiet then. */
static bool woken(struct world *w)
{
	uint64_t count;

	return read(vmm_virtio_blk_get_doorbell(w->blk, 0), &count, sizeof(count)) == 8;
}

static int offer(struct world *w, uint32_t type, uint64_t sector, uint32_t len,
		 bool write);
static int slow_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct world *w = ctx;

	w->last_op = io->op;
	w->last_flags = io->flags;
	w->last_len = io->len;
	w->submitted++;
	if (w->refill) {
		vmm_virtio_blk_complete(io, 0);
		return 0;
	}
	if (w->pending_n == w->room)
		return -EAGAIN;
	w->pending[w->pending_n++] = io;
	return 0;
}

static void finish_one(struct world *w, uint32_t which, int result)
{
	struct vmm_virtio_blk_io *io = w->pending[which];

	w->pending[which] = w->pending[--w->pending_n];
	vmm_virtio_blk_complete(io, result);
}

static void slow_drain(void *ctx, uint32_t queue)
{
	struct world *w = ctx;

	w->drained = true;
	while (w->pending_n > 0)
		finish_one(w, 0, 0);
}

static void on_irq(void *ctx, bool level)
{
	struct world *w = ctx;
	uint32_t id, len;

	w->irqs += level;
	/* A driver that is as fast as we are. */
	while (w->refill && mock_get_used(w->m, &id, &len) == 0)
		(void)offer(w, IN, 0, 512, true);
}

static void wr(struct world *w, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
}

static uint32_t rd(struct world *w, uint32_t reg)
{
	uint32_t value;

	vmm_virtio_mmio_read(w->mmio, reg, &value, 4);
	return value;
}

static void climb(struct world *w, uint64_t features)
{
	mock_reset(w->m, 16, 0);
	wr(w, 0x70, 0);
	wr(w, 0x70, 1);
	wr(w, 0x70, 3);
	wr(w, 0x24, 0);
	wr(w, 0x20, (uint32_t)features);
	wr(w, 0x24, 1);
	wr(w, 0x20, 1);
	wr(w, 0x70, 0xb);
	wr(w, 0x38, 16);
	wr(w, 0x80, (uint32_t)MOCK_DESC);
	wr(w, 0x90, (uint32_t)MOCK_DRIVER);
	wr(w, 0xa0, (uint32_t)MOCK_DEVICE);
	wr(w, 0x44, 1);
	wr(w, 0x70, 0xf);
	assert_int_equal(rd(w, 0x70), 0xf);
}

static void start(struct world *w, uint64_t features, bool slow, bool readonly)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend),
							       slow_submit, NULL, NULL,
							       slow_drain };
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	uint8_t sector[512];

	memset(w, 0, sizeof(*w));
	w->room = 8;
	w->m = mock_new(16, 0);
	w->fd = memfd_create("disk", MFD_CLOEXEC);
	for (int i = 0; i < SECTORS; i++) {
		memset(sector, i + 1, sizeof(sector));
		assert_int_equal(pwrite(w->fd, sector, 512, i * 512), 512);
	}
	opts.fd = w->fd;
	opts.engine = VMM_VIRTIO_BLK_ENGINE_SYNC;
	opts.discard = true;
	opts.readonly = readonly;
	opts.id = "disk-0";
	if (slow) {
		opts.backend = &backend;
		opts.backend_ctx = w;
		opts.capacity = SECTORS * 512 + 511;
	}
	assert_int_equal(vmm_virtio_blk_new(&opts, &w->blk, NULL), 0);
	mopts.mem = w->m->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = w;
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(w->blk),
					     &w->mmio, NULL),
			 0);
	climb(w, features);
	(void)woken(w);
}

static void stop(struct world *w)
{
	vmm_virtio_mmio_free(w->mmio);
	vmm_virtio_blk_free(w->blk);
	close(w->fd);
	mock_free(w->m);
}

static void put_header(struct world *w, uint32_t type, uint64_t sector)
{
	memset(w->m->ram + HEADER, 0, 16);
	memcpy(w->m->ram + HEADER, &type, 4);
	memcpy(w->m->ram + HEADER + 8, &sector, 8);
	w->m->ram[STATUS] = NO_STATUS;
}

/* Offer a request of the usual three parts; the head. */
static int offer(struct world *w, uint32_t type, uint64_t sector, uint32_t len,
		 bool write)
{
	struct mock_seg segs[3] = { { HEADER, 16, false },
				    { DATA, len, write },
				    { STATUS, 1, true } };

	put_header(w, type, sector);
	if (len == 0)
		segs[1] = segs[2];
	return mock_add(w->m, segs, len ? 3 : 2, false);
}

static uint32_t used_len(struct world *w)
{
	uint32_t id = 0, len = 0;

	assert_int_equal(mock_get_used(w->m, &id, &len), 0);
	return len;
}

/* One request from end to end: its status. */
static uint8_t request(struct world *w, uint32_t type, uint64_t sector, uint32_t len,
		       bool write)
{
	assert_true(offer(w, type, sector, len, write) >= 0);
	vmm_virtio_blk_run(w->blk, 0);
	(void)used_len(w);
	return w->m->ram[STATUS];
}

static uint8_t disk_byte(struct world *w, int sector)
{
	uint8_t byte = 0;

	assert_int_equal(pread(w->fd, &byte, 1, sector * 512), 1);
	return byte;
}

static void the_configuration_tells_what_there_is(void **state)
{
	struct world w;

	start(&w, 0, false, false);
	assert_int_equal(rd(&w, 0x08), 2);
	assert_int_equal(rd(&w, 0x100), SECTORS);
	assert_int_equal(rd(&w, 0x104), 0);
	assert_int_equal(rd(&w, 0x10c), 126);
	assert_int_equal(rd(&w, 0x114), 512);
	assert_int_equal(rd(&w, 0x120) & 0xff, 1);
	assert_int_equal(rd(&w, 0x120) >> 16, 1);
	assert_int_equal(rd(&w, 0x128), 1);
	assert_int_equal(vmm_virtio_blk_set_capacity(
			     w.blk, vmm_virtio_mmio_get_transport(w.mmio), 10 * 512 + 1),
			 0);
	assert_int_equal(rd(&w, 0x100), 10);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(request(&w, IN, 10, 512, true), 1);
	assert_int_equal(request(&w, IN, 9, 512, true), 0);
	stop(&w);
}

static void sectors_are_read_and_written(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	assert_true(offer(&w, IN, 3, 1024, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 1025);
	assert_int_equal(w.m->ram[STATUS], 0);
	assert_int_equal(w.m->ram[DATA], 4);
	assert_int_equal(w.m->ram[DATA + 1023], 5);
	assert_int_equal(w.m->ram[DATA + 1024], 0);
	memset(w.m->ram + DATA, 0xab, 512);
	assert_true(offer(&w, OUT, 7, 512, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 1);
	assert_int_equal(disk_byte(&w, 6), 7);
	assert_int_equal(disk_byte(&w, 7), 0xab);
	assert_int_equal(disk_byte(&w, 8), 9);
	assert_int_equal(request(&w, FLUSH, 0, 0, false), 0);
	assert_true(w.irqs > 0);
	stop(&w);
}

/* Any layout: header and data cut where no one would, status in the data's buffer. */
static void a_request_may_be_cut_anywhere(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	for (uint32_t cut = 1; cut < 528; cut += 13) {
		struct mock_seg in[] = { { HEADER, 5, false },
					 { HEADER + 5, 11, false },
					 { DATA, cut, true },
					 { DATA + cut, 513 - cut, true } };
		struct mock_seg out[] = { { DATA, cut, false },
					  { DATA + cut, 528 - cut, false },
					  { STATUS, 1, true } };

		if (cut < 513) {
			put_header(&w, IN, 9);
			assert_true(mock_add(w.m, in, 4, false) >= 0);
			vmm_virtio_blk_run(w.blk, 0);
			assert_int_equal(used_len(&w), 513);
			assert_int_equal(w.m->ram[DATA], 10);
			assert_int_equal(w.m->ram[DATA + 511], 10);
			assert_int_equal(w.m->ram[DATA + 512], 0);
		}
		put_header(&w, OUT, 20);
		memcpy(w.m->ram + DATA, w.m->ram + HEADER, 16);
		memset(w.m->ram + DATA + 16, (int)cut & 0xff, 512);
		assert_true(mock_add(w.m, out, 3, false) >= 0);
		vmm_virtio_blk_run(w.blk, 0);
		assert_int_equal(used_len(&w), 1);
		assert_int_equal(w.m->ram[STATUS], 0);
		assert_int_equal(disk_byte(&w, 20), cut & 0xff);
		assert_int_equal(disk_byte(&w, 21), 22);
	}
	stop(&w);
}

static void requests_outside_the_disk_are_errors(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint8_t want;
	} cases[] = {
		{ SECTORS - 1, 512, 0 },
		{ SECTORS - 1, 1024, 1 },
		{ SECTORS, 512, 1 },
		{ SECTORS, 0, 0 },
		{ SECTORS + 1, 0, 1 },
		{ UINT64_MAX, 512, 1 },
		{ UINT64_C(1) << 55, 512, 1 },
		{ UINT64_MAX / 512 + 1, 512, 1 },
		{ 0, 511, 1 },
		{ 0, 513, 1 },
		{ 0, 1, 1 },
	};
	struct world w;

	start(&w, F_ALL, false, false);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		if (request(&w, IN, cases[i].sector, cases[i].len, true) !=
			cases[i].want ||
		    request(&w, OUT, cases[i].sector, cases[i].len, false) !=
			cases[i].want)
			fail_msg("case %zu", i);
	}
	stop(&w);
}

static void the_direction_of_each_buffer_is_checked(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	/* The answer of a read must be writable, the data of a write readable. */
	assert_int_equal(request(&w, IN, 0, 512, false), 1);
	assert_int_equal(request(&w, OUT, 0, 512, true), 1);
	assert_int_equal(request(&w, GET_ID, 0, 20, false), 1);
	assert_int_equal(request(&w, DISCARD, 0, 16, true), 1);
	assert_int_equal(disk_byte(&w, 0), 1);
	stop(&w);
}

static void broken_requests_come_back_and_do_no_harm(void **state)
{
	static const struct mock_seg no_status[] = { { HEADER, 16, false },
						     { DATA, 512, false } };
	static const struct mock_seg only_status[] = { { STATUS, 1, true } };
	static const struct mock_seg short_header[] = { { HEADER, 15, false },
							{ STATUS, 1, true } };
	static const struct mock_seg bad[] = { { HEADER, 16, false },
					       { MOCK_HOLE, 512, true } };
	struct world w;

	start(&w, F_ALL, false, false);
	put_header(&w, OUT, 0);
	assert_true(mock_add(w.m, no_status, 2, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(disk_byte(&w, 0), 1);
	assert_true(mock_add(w.m, only_status, 1, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 1);
	assert_int_equal(w.m->ram[STATUS], 1);
	put_header(&w, IN, 0);
	assert_true(mock_add(w.m, short_header, 2, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 1);
	assert_int_equal(w.m->ram[STATUS], 1);
	assert_true(mock_add(w.m, bad, 2, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(request(&w, IN, 0, 512, true), 0);
	stop(&w);
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2,  3,  5,  6,  7,	      9,  10,
					  12, 14, 15, 26, 0x80000000, ~0u };
	struct world w;

	start(&w, F_ALL, false, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		assert_int_equal(request(&w, types[i], 0, 512, true), 2);
		assert_int_equal(request(&w, types[i], 0, 0, false), 2);
	}
	/* What was not negotiated is unsupported, too. */
	climb(&w, 0);
	assert_int_equal(request(&w, FLUSH, 0, 0, false), 2);
	assert_int_equal(request(&w, DISCARD, 0, 16, false), 2);
	assert_int_equal(request(&w, ZEROES, 0, 16, false), 2);
	stop(&w);
}

static void a_read_only_disk_is_not_written(void **state)
{
	struct world w;

	start(&w, F_ALL, false, true);
	wr(&w, 0x14, 0);
	assert_true(rd(&w, 0x10) & 1 << 5);
	assert_int_equal(request(&w, OUT, 0, 512, false), 1);
	assert_int_equal(request(&w, DISCARD, 0, 16, false), 1);
	assert_int_equal(request(&w, ZEROES, 0, 16, false), 1);
	assert_int_equal(request(&w, FLUSH, 0, 0, false), 0);
	assert_int_equal(request(&w, IN, 0, 512, true), 0);
	assert_int_equal(disk_byte(&w, 0), 1);
	stop(&w);
}

static void the_id_is_copied_up_to_its_end(void **state)
{
	static const uint32_t lens[] = { 1, 6, 19, 20, 21, 512 };
	struct world w;

	start(&w, F_ALL, false, false);
	for (size_t i = 0; i < VMM_ARRAY_LEN(lens); i++) {
		uint32_t n = lens[i] < 20 ? lens[i] : 20;

		memset(w.m->ram + DATA, 0xcc, 600);
		assert_true(offer(&w, GET_ID, 0, lens[i], true) >= 0);
		vmm_virtio_blk_run(w.blk, 0);
		assert_int_equal(used_len(&w), n + 1);
		assert_int_equal(w.m->ram[STATUS], 0);
		assert_memory_equal(w.m->ram + DATA, "disk-0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
				    n);
		assert_int_equal(w.m->ram[DATA + n], 0xcc);
	}
	assert_int_equal(request(&w, GET_ID, 0, 0, false), 1);
	stop(&w);
}

static uint8_t range_request(struct world *w, uint32_t type, uint64_t sector,
			     uint32_t sectors, uint32_t flags, uint32_t len)
{
	memcpy(w->m->ram + DATA, &sector, 8);
	memcpy(w->m->ram + DATA + 8, &sectors, 4);
	memcpy(w->m->ram + DATA + 12, &flags, 4);
	return request(w, type, 0, len, false);
}

static void ranges_are_discarded_and_zeroed(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	for (uint32_t unmap = 0; unmap <= 1; unmap++) {
		int at = 10 + 10 * (int)unmap;

		assert_int_equal(range_request(&w, ZEROES, (uint64_t)at, 2, unmap, 16),
				 0);
		assert_int_equal(disk_byte(&w, at - 1), at);
		assert_int_equal(disk_byte(&w, at), 0);
		assert_int_equal(disk_byte(&w, at + 1), 0);
		assert_int_equal(disk_byte(&w, at + 2), at + 3);
	}
	assert_int_equal(range_request(&w, DISCARD, 40, 1, 0, 16), 0);
	assert_int_equal(disk_byte(&w, 39), 40);
	assert_int_equal(disk_byte(&w, 41), 42);
	assert_int_equal(lseek(w.fd, 0, SEEK_END), SECTORS * 512);
	stop(&w);
}

static void bad_ranges_are_refused(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	assert_int_equal(range_request(&w, DISCARD, 0, 1, 1, 16), 2);
	assert_int_equal(range_request(&w, ZEROES, 0, 1, 2, 16), 2);
	assert_int_equal(range_request(&w, ZEROES, 0, 1, 0xa000, 16), 2);
	assert_int_equal(range_request(&w, ZEROES, SECTORS, 1, 0, 16), 1);
	assert_int_equal(range_request(&w, ZEROES, 0, SECTORS + 1, 0, 16), 1);
	assert_int_equal(range_request(&w, ZEROES, UINT64_MAX, 2, 0, 16), 1);
	assert_int_equal(range_request(&w, DISCARD, 0, UINT32_MAX, 0, 16), 1);
	/* One range a request, whole. */
	assert_int_equal(range_request(&w, DISCARD, 0, 1, 0, 15), 1);
	assert_int_equal(range_request(&w, DISCARD, 0, 1, 0, 32), 1);
	assert_int_equal(range_request(&w, DISCARD, 0, 1, 0, 65536), 1);
	for (int i = 0; i < SECTORS; i++)
		assert_int_equal(disk_byte(&w, i), i + 1);
	/* No more than the configuration space says, on a disk that is larger. */
	assert_int_equal(vmm_virtio_blk_set_capacity(
			     w.blk, vmm_virtio_mmio_get_transport(w.mmio), 1ull << 40),
			 0);
	assert_int_equal(range_request(&w, DISCARD, 0, 0x400001, 0, 16), 1);
	assert_int_equal(disk_byte(&w, 0), 1);
	assert_int_equal(range_request(&w, DISCARD, 0, 0x400000, 0, 16), 0);
	stop(&w);
}

static void writes_are_durable_without_a_cache(void **state)
{
	struct world w;

	/* No FLUSH negotiated: there is nothing to make it durable later. */
	start(&w, 0, true, false);
	assert_true(offer(&w, OUT, 0, 512, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.last_flags, VMM_VIRTIO_BLK_IO_FUA);
	climb(&w, F_ALL | F_WCE);
	assert_true(offer(&w, OUT, 0, 512, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.last_flags, 0);
	/* The driver turns the cache off, and a reset turns it on again. */
	vmm_virtio_mmio_write(w.mmio, 0x120, "\0", 1);
	assert_true(offer(&w, OUT, 0, 512, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.last_flags, VMM_VIRTIO_BLK_IO_FUA);
	climb(&w, F_ALL | F_WCE);
	assert_int_equal(rd(&w, 0x120) & 0xff, 1);
	assert_true(offer(&w, OUT, 0, 512, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.last_flags, 0);
	stop(&w);
}

static void requests_complete_later_and_in_any_order(void **state)
{
	struct world w;
	int first, second;

	start(&w, F_ALL, true, false);
	first = offer(&w, IN, 0, 512, true);
	second = offer(&w, IN, 1, 1024, true);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.pending_n, 2);
	assert_int_equal(w.irqs, 0);
	finish_one(&w, 1, 0);
	assert_int_equal(w.irqs, 1);
	finish_one(&w, 0, -EIO);
	assert_int_equal(w.irqs, 2);
	assert_true(first >= 0 && second >= 0);
	assert_int_equal(used_len(&w), 1025);
	assert_int_equal(used_len(&w), 1);
	assert_int_equal(w.m->ram[STATUS], 1);
	assert_true(offer(&w, FLUSH, 0, 0, false) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	finish_one(&w, 0, -EOPNOTSUPP);
	assert_int_equal(w.m->ram[STATUS], 2);
	stop(&w);
}

static void a_full_back_end_is_asked_again_after_a_completion(void **state)
{
	struct world w;

	start(&w, F_ALL, true, false);
	w.room = 1;
	assert_true(offer(&w, IN, 0, 512, true) >= 0);
	assert_true(offer(&w, IN, 1, 512, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.pending_n, 1);
	assert_false(woken(&w));
	finish_one(&w, 0, 0);
	assert_true(woken(&w));
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.pending_n, 1);
	assert_int_equal(w.last_len, 512);
	finish_one(&w, 0, 0);
	assert_int_equal(used_len(&w), 513);
	assert_int_equal(used_len(&w), 513);
	/* With nothing in flight no completion comes, so the device wakes itself. */
	w.room = 0;
	assert_false(woken(&w));
	assert_true(offer(&w, IN, 0, 512, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_true(woken(&w));
	stop(&w);
}

static void a_reset_waits_for_what_is_in_flight(void **state)
{
	struct world w;

	start(&w, F_ALL, true, false);
	assert_true(offer(&w, IN, 0, 512, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.pending_n, 1);
	wr(&w, 0x70, 0);
	assert_true(w.drained);
	assert_int_equal(w.pending_n, 0);
	assert_int_equal(w.irqs, 0);
	vmm_virtio_blk_run(w.blk, 0);
	climb(&w, F_ALL);
	assert_true(offer(&w, IN, 0, 512, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.pending_n, 1);
	stop(&w);
	assert_int_equal(w.pending_n, 0);
}

static void one_run_is_bounded_and_wakes_itself_for_the_rest(void **state)
{
	struct world w;

	start(&w, F_ALL, true, false);
	w.refill = true;
	assert_true(offer(&w, IN, 0, 512, true) >= 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(w.submitted, 16);
	assert_true(woken(&w));
	stop(&w);
}

static void a_broken_ring_asks_for_a_reset(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	mock_raw_avail_idx(w.m, 1000);
	vmm_virtio_blk_run(w.blk, 0);
	vmm_virtio_blk_run(w.blk, 0);
	assert_int_equal(rd(&w, 0x70), 0x4f);
	assert_int_equal(w.irqs, 1);
	assert_false(woken(&w));
	vmm_virtio_blk_run(w.blk, 1);
	stop(&w);
}

static void a_file_that_is_too_short_is_an_error(void **state)
{
	struct world w;

	start(&w, F_ALL, false, false);
	assert_int_equal(ftruncate(w.fd, 512), 0);
	assert_int_equal(request(&w, IN, 0, 512, true), 0);
	assert_int_equal(request(&w, IN, 0, 1024, true), 1);
	assert_int_equal(request(&w, IN, 5, 512, true), 1);
	stop(&w);
}

static void bad_options_are_refused(void **state)
{
	struct vmm_virtio_blk_opts good = VMM_VIRTIO_BLK_OPTS_INIT, bad;
	struct vmm_virtio_blk_backend none = { sizeof(none), NULL, NULL, NULL, NULL };
	struct vmm_virtio_blk *blk = NULL;
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_virtio_blk_new(&good, &blk, &err), -EINVAL);
	good.fd = 0;
	good.capacity = 4096;
#define REFUSED(change)                                                          \
	do {                                                                     \
		bad = good;                                                      \
		change;                                                          \
		err.code = 0;                                                    \
		assert_int_equal(vmm_virtio_blk_new(&bad, &blk, &err), -EINVAL); \
		assert_int_equal(err.code, -EINVAL);                             \
		assert_null(blk);                                                \
	} while (0)
	REFUSED(bad.size = 1);
	REFUSED(bad.backend = &none);
	REFUSED(bad.queue_n = VMM_VIRTIO_BLK_QUEUES_MAX + 1);
	REFUSED(bad.queue_max = 2);
	REFUSED(bad.queue_max = 32769);
	REFUSED(bad.block_size = 256);
	REFUSED(bad.block_size = 1000);
	REFUSED(bad.physical_size = 256);
	REFUSED(bad.physical_size = 1536);
	REFUSED(bad.min_io_size = 100);
	REFUSED(bad.opt_io_size = 513);
	REFUSED(bad.engine = VMM_VIRTIO_BLK_ENGINE_CALLER);
	REFUSED(bad.threads = VMM_VIRTIO_BLK_THREADS_MAX + 1);
	REFUSED(bad.io_threads = VMM_VIRTIO_BLK_THREADS_MAX + 1);
#undef REFUSED
	bad = good;
	bad.fd = 1000000;
	bad.capacity = 0;
	assert_int_equal(vmm_virtio_blk_new(&bad, &blk, NULL), -EBADF);
	vmm_virtio_blk_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_tells_what_there_is),
		cmocka_unit_test(sectors_are_read_and_written),
		cmocka_unit_test(a_request_may_be_cut_anywhere),
		cmocka_unit_test(requests_outside_the_disk_are_errors),
		cmocka_unit_test(the_direction_of_each_buffer_is_checked),
		cmocka_unit_test(broken_requests_come_back_and_do_no_harm),
		cmocka_unit_test(unknown_types_are_unsupported),
		cmocka_unit_test(a_read_only_disk_is_not_written),
		cmocka_unit_test(the_id_is_copied_up_to_its_end),
		cmocka_unit_test(ranges_are_discarded_and_zeroed),
		cmocka_unit_test(bad_ranges_are_refused),
		cmocka_unit_test(writes_are_durable_without_a_cache),
		cmocka_unit_test(requests_complete_later_and_in_any_order),
		cmocka_unit_test(a_full_back_end_is_asked_again_after_a_completion),
		cmocka_unit_test(a_reset_waits_for_what_is_in_flight),
		cmocka_unit_test(one_run_is_bounded_and_wakes_itself_for_the_rest),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset),
		cmocka_unit_test(a_file_that_is_too_short_is_an_error),
		cmocka_unit_test(bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

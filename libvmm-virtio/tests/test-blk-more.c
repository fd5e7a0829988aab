/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device apart from reading and writing: limits, state, counters, what the
 * configuration tells, and what a back end of one's own is told. */
#include <pthread.h>

#include "blk-rig.h"
#include "busy-rig.h"
#include "device-state.h"

enum { SECTORS = 64, ERASE = 14, BATCH = 8 };

#define SECOND UINT64_C(1000000000)
#define F_LIFETIME (UINT64_C(1) << 15)
#define F_ERASE (UINT64_C(1) << 16)

/* A back end that does as it is told, and remembers. */
struct plain {
	struct vmm_virtio_blk_io *held[RIG_NUM];
	uint32_t held_n, submits, commits, reaps;
	uint32_t op, flags;
	uint64_t offset, len;
	/* Complete only when asked; have no room. */
	bool lazy, full;
};

static int plain_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct plain *p = ctx;

	if (p->full)
		return -EAGAIN;
	p->submits++;
	p->op = io->op;
	p->flags = io->flags;
	p->offset = io->offset;
	p->len = io->len;
	if (p->lazy)
		p->held[p->held_n++] = io;
	else
		vmm_virtio_blk_complete(io, 0);
	return 0;
}

static void plain_commit(void *ctx, uint32_t queue)
{
	((struct plain *)ctx)->commits++;
}

static void plain_reap(void *ctx, uint32_t queue)
{
	struct plain *p = ctx;

	p->reaps++;
	/* After a commit, what was committed. */
	while (p->commits > 0 && p->held_n > 0)
		vmm_virtio_blk_complete(p->held[--p->held_n], 0);
}

static void plain_drain(void *ctx, uint32_t queue)
{
	struct plain *p = ctx;

	while (p->held_n > 0)
		vmm_virtio_blk_complete(p->held[--p->held_n], 0);
}

static const struct vmm_virtio_blk_backend plain_backend = { sizeof(plain_backend),
							     plain_submit, plain_commit,
							     plain_reap, plain_drain };

static void rig_plain(struct blk_rig *r, struct plain *p)
{
	memset(p, 0, sizeof(*p));
	rig_init(r, -1, 0);
	r->opts.backend = &plain_backend;
	r->opts.backend_ctx = p;
	r->opts.capacity = SECTORS * 512;
}

static uint64_t fake_now(void *ctx)
{
	return *(uint64_t *)ctx;
}

static struct vmm_virtio_rate *make_rate(uint64_t *now, uint64_t bytes, uint64_t ops,
					 uint64_t burst)
{
	struct vmm_virtio_rate_config c = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_rate *rate = NULL;

	c.bytes_per_s = bytes;
	c.bytes_burst = bytes ? burst : 0;
	c.ops_per_s = ops;
	c.ops_burst = ops ? burst : 0;
	c.now = now ? fake_now : NULL;
	c.now_ctx = now;
	assert_int_equal(vmm_virtio_rate_new(&c, &rate, NULL), 0);
	return rate;
}

static int count_back(struct blk_rig *r)
{
	int n = 0;

	while (rig_take(r) >= 0)
		n++;
	return n;
}

static void operations_beyond_the_limit_wait(void **state)
{
	struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };
	uint64_t now = 0;
	struct vmm_virtio_rate *rate = make_rate(&now, 0, 1, 3);
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	r.opts.rate = rate;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	/* Each kind of request counts, also one that the device answers by itself. */
	for (int i = 0; i < BATCH; i++)
		assert_true(rig_offer(&r, i, i == 1 ? GET_ID : i == 2 ? 99 : IN, 0, 512));
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 3);
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 0);
	now += 2 * SECOND;
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 2);
	/* What the back end had no room for was not taken from the limit. */
	p.full = true;
	now += 3 * SECOND;
	vmm_virtio_blk_run(r.blk, 0);
	vmm_virtio_blk_run(r.blk, 0);
	p.full = false;
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 3);
	vmm_virtio_blk_get_stats(r.blk, &stats);
	assert_int_equal(stats.throttled, 3);
	assert_int_equal(stats.full, 2);
	rig_close(&r);
	vmm_virtio_rate_free(rate);
}

static void bytes_beyond_the_limit_wait(void **state)
{
	uint64_t now = 0;
	struct vmm_virtio_rate *rate = make_rate(&now, 1024, 0, 4096);
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	r.opts.rate = rate;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	for (int i = 0; i < 3; i++)
		assert_true(rig_offer(&r, i, i == 1 ? OUT : IN, 0, 2048));
	assert_true(rig_offer(&r, 3, FLUSH, 0, 0));
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 2);
	now += SECOND;
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 0);
	now += SECOND;
	/* A flush has no bytes. */
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), 2);
	rig_close(&r);
	vmm_virtio_rate_free(rate);
}

/* Nobody else wakes the queue: the timer behind its descriptor does. */
static void the_timer_says_when_to_go_on(void **state)
{
	for (uint32_t threads = 0; threads <= 1; threads++) {
		struct vmm_virtio_rate *rate = make_rate(NULL, 0, 100, 1);
		struct timespec a, b;
		struct plain p;
		struct blk_rig r;

		rig_plain(&r, &p);
		r.opts.rate = rate;
		r.opts.threads = threads;
		assert_int_equal(rig_open(&r, F_USUAL), 0);
		assert_int_not_equal(vmm_virtio_blk_get_fd(r.blk, 0),
				     vmm_virtio_blk_get_doorbell(r.blk, 0));
		(void)clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < BATCH; i++)
			assert_true(rig_offer(&r, i, IN, 0, 512));
		rig_kick(&r);
		for (int i = 0; i < BATCH; i++)
			assert_true(rig_wait(&r) >= 0);
		(void)clock_gettime(CLOCK_MONOTONIC, &b);
		assert_true((b.tv_sec - a.tv_sec) * 1000 +
				(b.tv_nsec - a.tv_nsec) / 1000000 >=
			    (BATCH - 1) * 10 - 1);
		rig_close(&r);
		vmm_virtio_rate_free(rate);
	}
}

static void a_limit_can_be_shared_and_lifted(void **state)
{
	struct vmm_virtio_rate_config none = VMM_VIRTIO_RATE_CONFIG_INIT;
	uint64_t now = 0;
	struct vmm_virtio_rate *rate = make_rate(&now, 0, 1, 4);
	struct plain p[2];
	struct blk_rig r[2];

	for (int d = 0; d < 2; d++) {
		rig_plain(&r[d], &p[d]);
		r[d].opts.rate = rate;
		assert_int_equal(rig_open(&r[d], F_USUAL), 0);
		for (int i = 0; i < 3; i++)
			assert_true(rig_offer(&r[d], i, IN, 0, 512));
		vmm_virtio_blk_run(r[d].blk, 0);
	}
	assert_int_equal(count_back(&r[0]), 3);
	assert_int_equal(count_back(&r[1]), 1);
	assert_int_equal(vmm_virtio_rate_set(rate, &none, NULL), 0);
	vmm_virtio_blk_run(r[1].blk, 0);
	assert_int_equal(count_back(&r[1]), 2);
	rig_close(&r[0]);
	rig_close(&r[1]);
	vmm_virtio_rate_free(rate);
}

static void a_back_end_is_told_of_batches(void **state)
{
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	p.lazy = true;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	p.commits = 0;
	p.reaps = 0;
	for (int i = 0; i < BATCH; i++)
		assert_true(rig_offer(&r, i, IN, 0, 512));
	r.irqs = 0;
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(p.submits, BATCH);
	assert_int_equal(p.commits, 1);
	assert_int_equal(p.reaps, 2);
	/* All used buffers and one interrupt. */
	assert_int_equal(count_back(&r), BATCH);
	assert_int_equal(r.irqs, 1);
	rig_close(&r);
}

static void the_configuration_tells_the_topology(void **state)
{
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	r.opts.block_size = 1024;
	r.opts.physical_size = 8192;
	r.opts.min_io_size = 4096;
	r.opts.opt_io_size = 65536;
	r.opts.secure_erase = true;
	assert_int_equal(rig_open(&r, F_USUAL | 1u << 10), 0);
	assert_int_equal(rig_rd(&r, 0x114), 1024);
	assert_int_equal(rig_rd(&r, 0x118), 3 | 4 << 16);
	assert_int_equal(rig_rd(&r, 0x11c), 64);
	/* Ranges start and end with blocks, and there is one a request. */
	assert_int_equal(rig_rd(&r, 0x12c), 2);
	assert_int_equal(rig_rd(&r, 0x13c), 0x400000);
	assert_int_equal(rig_rd(&r, 0x140), 1);
	assert_int_equal(rig_rd(&r, 0x144), 2);
	assert_int_equal(rig_rd(&r, 0x148), 0);
	rig_close(&r);
}

static void wear_is_told_if_it_is_known(void **state)
{
	static const struct vmm_virtio_blk_lifetime young = { 1, 2, 0x1234, 0 };
	static const struct vmm_virtio_blk_lifetime old = { 3, 11, 10, 0 };
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	assert_int_equal(rig_do(&r, LIFETIME, 0, 6), 2);
	rig_close(&r);
	rig_plain(&r, &p);
	r.opts.lifetime = &young;
	assert_int_equal(rig_open(&r, F_USUAL | F_LIFETIME), 0);
	for (uint32_t len = 1; len <= 8; len++) {
		uint32_t n = len < 6 ? len : 6;

		memset(rig_data(&r, 0), 0xcc, 16);
		assert_int_equal(rig_do(&r, LIFETIME, 0, len), 0);
		assert_int_equal(r.len[0], n + 1);
		assert_memory_equal(rig_data(&r, 0), "\1\0\2\0\x34\x12", n);
		assert_int_equal(((uint8_t *)rig_data(&r, 0))[n], 0xcc);
	}
	assert_int_equal(rig_do(&r, LIFETIME, 0, 0), 1);
	vmm_virtio_blk_set_lifetime(r.blk, &old);
	assert_int_equal(rig_do(&r, LIFETIME, 0, 6), 0);
	assert_memory_equal(rig_data(&r, 0), "\3\0\13\0\12\0", 6);
	rig_close(&r);
}

static void ranges_are_erased_if_that_was_negotiated(void **state)
{
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	r.opts.secure_erase = true;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	assert_int_equal(rig_range(&r, ERASE, 0, 1, 0), 2);
	rig_climb(&r, F_USUAL | F_ERASE);
	assert_int_equal(rig_range(&r, ERASE, 5, 3, 0), 0);
	assert_int_equal(p.op, VMM_VIRTIO_BLK_SECURE_ERASE);
	assert_int_equal(p.offset, 5 * 512);
	assert_int_equal(p.len, 3 * 512);
	assert_int_equal(rig_range(&r, ERASE, 0, 1, 1), 2);
	assert_int_equal(rig_range(&r, ERASE, SECTORS, 1, 0), 1);
	assert_int_equal(rig_range(&r, ERASE, 0, SECTORS + 1, 0), 1);
	assert_int_equal(rig_range(&r, ERASE, UINT64_MAX, 1, 0), 1);
	assert_int_equal(p.submits, 1);
	rig_close(&r);
}

static void counters_count_and_survive_a_reset(void **state)
{
	struct vmm_virtio_blk_stats s = { .size = sizeof(s) };
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	(void)rig_do(&r, IN, 0, 1024);
	(void)rig_do(&r, OUT, 0, 512);
	(void)rig_do(&r, FLUSH, 0, 0);
	(void)rig_do(&r, GET_ID, 0, 20);
	(void)rig_do(&r, IN, SECTORS, 512);
	(void)rig_do(&r, 77, 0, 512);
	(void)rig_range(&r, DISCARD, 0, 1, 0);
	(void)rig_range(&r, ZEROES, 0, 1, 1);
	rig_climb(&r, F_USUAL);
	p.lazy = true;
	p.commits = 0;
	assert_true(rig_offer(&r, 0, IN, 0, 512));
	vmm_virtio_blk_get_stats(r.blk, &s);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.read_bytes, 1024);
	assert_int_equal(s.writes, 1);
	assert_int_equal(s.written_bytes, 512);
	assert_int_equal(s.flushes, 1);
	assert_int_equal(s.queries, 1);
	assert_int_equal(s.errors, 1);
	assert_int_equal(s.unsupported, 1);
	assert_int_equal(s.discards, 1);
	assert_int_equal(s.zeroes, 1);
	assert_int_equal(s.erases, 0);
	assert_int_equal(s.interrupts, 8);
	/* A caller with an older, shorter structure. */
	s.reads = 99;
	s.writes = 98;
	s.size = offsetof(struct vmm_virtio_blk_stats, writes);
	vmm_virtio_blk_get_stats(r.blk, &s);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.writes, 98);
	s.size = 3;
	vmm_virtio_blk_get_stats(r.blk, &s);
	rig_close(&r);
}

static void a_saved_device_goes_on_where_it_was(void **state)
{
	struct blk_state s = { .version = DEVICE_STATE_VERSION };
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct plain p;
	struct blk_rig r, to;

	rig_plain(&r, &p);
	p.lazy = true;
	assert_int_equal(rig_open(&r, F_USUAL | F_WCE), 0);
	assert_int_equal(vmm_virtio_blk_set_capacity(
			     r.blk, vmm_virtio_mmio_get_transport(r.mmio), 20 * 512),
			 0);
	vmm_virtio_mmio_write(r.mmio, 0x120, "\0", 1);
	p.commits = 0;
	assert_true(rig_offer(&r, 0, IN, 0, 512));
	blk_pause(r.blk);
	blk_get_state(r.blk, &s);
	assert_int_equal(s.sectors, 20);
	assert_int_equal(s.writeback, 0);
	assert_int_equal(s.readonly, 0);
	assert_int_equal(s.lost, 0);
	/* A device that is at work takes none. */
	assert_int_equal(blk_set_state(r.blk, &s), -EBUSY);
	rig_close(&r);

	assert_int_equal(ftruncate(fd, 20 * 512), 0);
	rig_init(&to, fd, VMM_VIRTIO_BLK_ENGINE_SYNC);
	assert_int_equal(vmm_virtio_blk_new(&to.opts, &to.blk, NULL), 0);
	s.lost = 1;
	assert_int_equal(blk_set_state(to.blk, &s), 0);
	/* The file must be there for what the driver believes in. */
	s.sectors = 21;
	assert_int_equal(blk_set_state(to.blk, &s), -EBADMSG);
	to.m = mock_new(RIG_NUM, 0);
	mopts.mem = to.m->mem;
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(to.blk),
					     &to.mmio, NULL),
			 0);
	rig_climb(&to, F_USUAL | F_WCE);
	assert_int_equal(rig_do(&to, OUT, 19, 512), 0);
	assert_int_equal(rig_do(&to, FLUSH, 0, 0), 1);
	rig_close(&to);
	close(fd);
}

static void a_corrupt_state_is_refused(void **state)
{
	struct blk_state good, bad;
	struct vmm_test_rng rng = vmm_test_rng();
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	assert_int_equal(vmm_virtio_blk_new(&r.opts, &r.blk, NULL), 0);
	blk_pause(r.blk);
	blk_get_state(r.blk, &good);
#define REFUSED(change)                                                 \
	do {                                                            \
		bad = good;                                             \
		change;                                                 \
		assert_int_equal(blk_set_state(r.blk, &bad), -EBADMSG); \
	} while (0)
	REFUSED(bad.writeback = 2);
	REFUSED(bad.readonly = 1);
	REFUSED(bad.readonly = 255);
	REFUSED(bad.lost = 7);
	REFUSED(bad.version = 2);
	REFUSED(bad.queue_n = 2);
	REFUSED(bad.block_size = 0);
	REFUSED(bad.sectors = UINT64_MAX);
	REFUSED(bad.sectors = UINT64_C(1) << 55);
#undef REFUSED
	/* Any bytes: refused or harmless. */
	for (int i = 0; i < 10000; i++) {
		uint8_t bytes[sizeof(bad)];

		memcpy(bytes, &good, sizeof(bytes));
		for (int n = 0; n < 3; n++)
			bytes[vmm_test_below(&rng, sizeof(bytes))] =
			    (uint8_t)vmm_test_below(&rng, 256);
		memcpy(&bad, bytes, sizeof(bad));
		(void)!blk_set_state(r.blk, &bad);
	}
	assert_int_equal(blk_set_state(r.blk, &good), 0);
	vmm_virtio_blk_free(r.blk);
}

/* Reads beyond what the back end takes stay in the ring, in guest memory. */
static void what_is_not_started_costs_the_host_nothing(void **state)
{
	struct vmm_virtio_blk_stats s = { .size = sizeof(s) };
	struct plain p;
	struct blk_rig r;

	rig_plain(&r, &p);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	p.full = true;
	for (int i = 0; i < RIG_SLOTS; i++)
		assert_true(rig_offer(&r, i, IN, 0, 512));
	for (int i = 0; i < 100; i++)
		vmm_virtio_blk_run(r.blk, 0);
	vmm_virtio_blk_get_stats(r.blk, &s);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.full, 100);
	assert_int_equal(count_back(&r), 0);
	p.full = false;
	vmm_virtio_blk_run(r.blk, 0);
	assert_int_equal(count_back(&r), RIG_SLOTS);
	rig_close(&r);
}

struct counting {
	struct vmm_virtio_blk *blk;
	int quit;
};

static void *count_for_ever(void *ctx)
{
	struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };
	struct counting *c = ctx;

	while (!__atomic_load_n(&c->quit, __ATOMIC_RELAXED))
		vmm_virtio_blk_get_stats(c->blk, &stats);
	return NULL;
}

static int hold_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	*(struct vmm_virtio_blk_io **)ctx = io;
	return 0;
}

/* It finds the lock taken, and nobody runs the device afterwards. */
static void a_completion_while_counters_are_read_is_not_lost(void **state)
{
	static const struct vmm_virtio_blk_backend hold = { .size = sizeof(hold),
							    .submit = hold_submit };
	struct vmm_virtio_blk_io *io = NULL;
	struct counting c = { .quit = 0 };
	pthread_t thread;
	struct blk_rig r;

	rig_init(&r, -1, 0);
	r.opts.backend = &hold;
	r.opts.backend_ctx = &io;
	r.opts.capacity = SECTORS * 512;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	c.blk = r.blk;
	assert_int_equal(pthread_create(&thread, NULL, count_for_ever, &c), 0);
	for (int i = 0; i < 10000; i++) {
		assert_true(rig_offer(&r, 0, IN, 0, 512));
		vmm_virtio_blk_run(r.blk, 0);
		vmm_virtio_blk_complete(io, 0);
		for (int patience = 0; rig_take(&r) < 0; patience++) {
			assert_in_range(patience, 0, 20000);
			(void)usleep(100);
		}
	}
	__atomic_store_n(&c.quit, 1, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	rig_close(&r);
}

struct busy_blk {
	struct blk_rig r;
	struct busy b;
};

/* A flush in one descriptor. */
static int add_flush(struct blk_rig *r)
{
	static const struct mock_seg segs[2] = { { SLOT_HEADER(0), 16, false },
						 { SLOT_STATUS(0), 1, true } };

	return mock_add(r->m, segs, 2, true);
}

static int endless_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct busy_blk *w = ctx;
	uint32_t id, len;

	while (mock_get_used(w->r.m, &id, &len) == 0)
		(void)add_flush(&w->r);
	busy_request(&w->b);
	vmm_virtio_blk_complete(io, 0);
	return 0;
}

static void busy_blk_start(void *ctx)
{
	static const uint32_t flush = FLUSH;
	struct busy_blk *w = ctx;

	rig_climb(&w->r, F_USUAL);
	memcpy(w->r.m->ram + SLOT_HEADER(0), &flush, sizeof(flush));
	for (int i = 0; i < RIG_NUM; i++)
		assert_true(add_flush(&w->r) >= 0);
}

static void busy_blk_stats(void *ctx)
{
	struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };

	vmm_virtio_blk_get_stats(((struct busy_blk *)ctx)->r.blk, &stats);
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const struct vmm_virtio_blk_backend endless = { .size = sizeof(endless),
							       .submit = endless_submit };
	struct busy_blk w = {
		.b = { .start = busy_blk_start, .get_stats = busy_blk_stats, .ctx = &w }
	};

	rig_init(&w.r, -1, 0);
	w.r.opts.backend = &endless;
	w.r.opts.backend_ctx = &w;
	w.r.opts.capacity = SECTORS * 512;
	w.r.opts.threads = 1;
	assert_int_equal(rig_open(&w.r, F_USUAL), 0);
	w.b.mmio = w.r.mmio;
	busy_check(&w.b);
	rig_close(&w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_beyond_the_limit_wait),
		cmocka_unit_test(bytes_beyond_the_limit_wait),
		cmocka_unit_test(the_timer_says_when_to_go_on),
		cmocka_unit_test(a_limit_can_be_shared_and_lifted),
		cmocka_unit_test(a_back_end_is_told_of_batches),
		cmocka_unit_test(the_configuration_tells_the_topology),
		cmocka_unit_test(wear_is_told_if_it_is_known),
		cmocka_unit_test(ranges_are_erased_if_that_was_negotiated),
		cmocka_unit_test(counters_count_and_survive_a_reset),
		cmocka_unit_test(a_saved_device_goes_on_where_it_was),
		cmocka_unit_test(a_corrupt_state_is_refused),
		cmocka_unit_test(what_is_not_started_costs_the_host_nothing),
		cmocka_unit_test(a_completion_while_counters_are_read_is_not_lost),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

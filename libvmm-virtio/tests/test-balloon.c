/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The balloon behind its registers, with the mock driver in front. */
#include "virtio-test.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vmm/virtio-balloon.h>

#include "device-rig.h"
#include "device-state.h"

enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

#define F_STATS VMM_VIRTIO_BALLOON_F_STATS_VQ
#define F_HINT VMM_VIRTIO_BALLOON_F_FREE_PAGE_HINT
#define F_POISON VMM_VIRTIO_BALLOON_F_PAGE_POISON
#define F_REPORT VMM_VIRTIO_BALLOON_F_PAGE_REPORTING
#define F_ALL (F_STATS | F_HINT | F_POISON | F_REPORT)

/* Pages that no test keeps rings or buffers in. */
#define FREE_PFN (0x180000u / 4096)

struct world {
	struct devrig r;
	struct vmm_virtio_balloon *b;
	int wakes, calls;
	/* What was given back, in order. */
	struct {
		uint64_t gpa, len;
	} got[64];
	int discard_result;
};

static void on_wake(void *ctx)
{
	((struct world *)ctx)->wakes++;
}

static int on_discard(void *ctx, uint64_t gpa, uint64_t len)
{
	struct world *w = ctx;

	if (w->calls < 64) {
		w->got[w->calls].gpa = gpa;
		w->got[w->calls].len = len;
	}
	w->calls++;
	return w->discard_result;
}

static void on_hint(void *ctx, uint64_t gpa, uint64_t len)
{
	(void)on_discard(ctx, gpa, len);
}

static struct vmm_virtio_balloon_opts opts_of(struct world *w, bool own)
{
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT;

	opts.wake = on_wake;
	opts.discard = own ? on_discard : NULL;
	opts.ctx = w;
	opts.mem = w->r.m->mem;
	opts.features |= F_ALL | VMM_VIRTIO_F_RING_RESET | PACKED;
	return opts;
}

static void start_with(struct world *w, const struct vmm_virtio_balloon_opts *opts,
		       uint64_t features)
{
	assert_int_equal(vmm_virtio_balloon_new(opts, &w->b, NULL), 0);
	dr_carry(&w->r, vmm_virtio_balloon_get_device(w->b));
	assert_int_equal(dr_rd(&w->r, 0x08), 5);
	dr_climb(&w->r,
		 0x3 | (features & F_STATS ? 4 : 0) | (features & F_HINT ? 8 : 0) |
		     (features & F_REPORT ? 16 : 0),
		 features);
	w->wakes = 0;
}

static void start(struct world *w, bool own, uint64_t features)
{
	struct vmm_virtio_balloon_opts opts;

	memset(w, 0, sizeof(*w));
	dr_init(&w->r, 16);
	opts = opts_of(w, own);
	start_with(w, &opts, features);
}

static void stop(struct world *w)
{
	dr_stop(&w->r);
	vmm_virtio_balloon_free(w->b);
	dr_fini(&w->r);
}

static struct vmm_virtio_balloon_stats stats(struct world *w)
{
	struct vmm_virtio_balloon_stats s = { .size = sizeof(s) };

	vmm_virtio_balloon_get_stats(w->b, &s);
	return s;
}

static void send(struct world *w, uint32_t queue, const void *data, size_t len)
{
	assert_true(dr_add(&w->r, queue, data, (uint32_t)len, 0) >= 0);
	dr_wr(&w->r, 0x50, queue);
	vmm_virtio_balloon_run(w->b);
}

static void pages(struct world *w, uint32_t queue, const uint32_t *pfns, size_t n)
{
	send(w, queue, pfns, n * sizeof(*pfns));
	assert_int_equal(dr_used(&w->r, queue), 0);
}

static void pages_go_in_and_come_out(void **state)
{
	static const uint32_t pfns[] = { FREE_PFN + 1, FREE_PFN, FREE_PFN + 5,
					 FREE_PFN + 2 };
	struct world w;
	uint8_t *at;

	start(&w, false, 0);
	at = w.r.m->ram + (size_t)FREE_PFN * 4096;
	memset(at, 0xaa, 8 * 4096);
	pages(&w, INFLATE, pfns, 4);
	assert_int_equal(w.wakes, 1);
	assert_int_equal(w.r.irqs, 1);
	assert_int_equal(at[0] | at[4096] | at[2 * 4096] | at[5 * 4096], 0);
	assert_int_equal(at[3 * 4096], 0xaa);
	assert_int_equal(at[4 * 4096 + 4095], 0xaa);
	assert_int_equal(at[6 * 4096], 0xaa);
	assert_int_equal(stats(&w).pages, 4);
	assert_int_equal(stats(&w).discarded_bytes, 4 * 4096);
	pages(&w, DEFLATE, pfns, 3);
	assert_int_equal(stats(&w).pages, 1);
	assert_int_equal(stats(&w).deflated, 3);
	stop(&w);
}

/* Linux gives its pages in falling order, and one by one. */
static void neighbours_are_given_back_in_one_call(void **state)
{
	uint32_t pfns[256];
	struct world w;

	start(&w, true, 0);
	for (uint32_t i = 0; i < 256; i++)
		pfns[i] = 0x100 + 255 - i;
	pages(&w, INFLATE, pfns, 100);
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.got[0].gpa, (0x100 + 156) * 4096);
	assert_int_equal(w.got[0].len, 100 * 4096);
	stop(&w);
}

static void bad_page_numbers_are_passed_over(void **state)
{
	static const uint32_t pfns[] = {
		MOCK_HOLE / 4096, /* behind RAM */
		MOCK_ROM / 4096,  /* read-only */
		UINT32_MAX,
		FREE_PFN,
		FREE_PFN,		   /* twice in one request */
		(MOCK_RAM_LEN / 4096) - 1, /* last page */
		0x80000000,
	};
	struct world w;

	start(&w, true, 0);
	pages(&w, INFLATE, pfns, VMM_ARRAY_LEN(pfns));
	assert_int_equal(w.calls, 2);
	assert_int_equal(w.got[0].gpa, FREE_PFN * 4096);
	assert_int_equal(w.got[1].gpa, MOCK_RAM_LEN - 4096);
	assert_int_equal(w.got[1].len, 4096);
	assert_int_equal(stats(&w).bad_pages, 4);
	assert_int_equal(stats(&w).repeated, 1);
	/* Again: nothing to do. */
	pages(&w, INFLATE, pfns, VMM_ARRAY_LEN(pfns));
	assert_int_equal(w.calls, 2);
	pages(&w, DEFLATE, pfns, VMM_ARRAY_LEN(pfns));
	assert_int_equal(stats(&w).pages, 0);
	assert_int_equal(stats(&w).deflated, 2);
	assert_int_equal(w.calls, 2);
	stop(&w);
}

static void a_flood_of_page_numbers_is_refused_as_a_whole(void **state)
{
	static const struct mock_seg longest[] = { { MOCK_BUFFERS, 4 * 4096, false } };
	static const struct mock_seg too_long[] = { { MOCK_BUFFERS, 4 * 4096, false },
						    { MOCK_BUFFERS, 4, false } };
	static const uint8_t odd[7] = { 0 };
	struct world w;

	start(&w, true, 0);
	assert_true(mock_add(&w.r.q[INFLATE], too_long, 2, false) >= 0);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(dr_used(&w.r, INFLATE), 0);
	send(&w, INFLATE, odd, sizeof(odd));
	assert_int_equal(dr_used(&w.r, INFLATE), 0);
	assert_int_equal(stats(&w).bad_requests, 2);
	assert_int_equal(w.calls, 0);
	for (uint32_t i = 0; i < 4096; i++)
		((uint32_t *)mock_at(w.r.m, MOCK_BUFFERS))[i] = FREE_PFN + i % 4;
	assert_true(mock_add(&w.r.q[INFLATE], longest, 1, false) >= 0);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(dr_used(&w.r, INFLATE), 0);
	assert_int_equal(w.calls, 1);
	assert_int_equal(stats(&w).repeated, 4092);
	stop(&w);
}

static void a_host_that_refuses_is_counted(void **state)
{
	static const uint32_t pfn = FREE_PFN;
	struct world w;

	start(&w, true, 0);
	w.discard_result = -EIO;
	pages(&w, INFLATE, &pfn, 1);
	assert_int_equal(stats(&w).discard_errors, 1);
	assert_int_equal(stats(&w).discarded_bytes, 0);
	assert_int_equal(stats(&w).pages, 1);
	stop(&w);
}

static void the_target_is_told_with_an_interrupt(void **state)
{
	struct world w;
	uint32_t generation;

	start(&w, true, 0);
	generation = dr_rd(&w.r, 0xfc);
	assert_int_equal(vmm_virtio_balloon_set_target(w.b, w.r.t, 200), 0);
	assert_int_equal(dr_rd(&w.r, 0x100), 200);
	assert_int_equal(w.r.irqs, 1);
	assert_int_equal(dr_rd(&w.r, 0x60), 2);
	assert_int_not_equal(dr_rd(&w.r, 0xfc), generation);
	assert_int_equal(vmm_virtio_balloon_set_target(w.b, w.r.t, 513), -EINVAL);
	assert_int_equal(dr_rd(&w.r, 0x100), 200);
	/* The driver says what it did, in pieces if it likes, and it may lie. */
	dr_wr(&w.r, 0x104, 0x12345678);
	assert_int_equal(stats(&w).actual, 0x12345678);
	vmm_virtio_mmio_write(w.r.mmio, 0x105, "\xff", 1);
	assert_int_equal(stats(&w).actual, 0x1234ff78);
	assert_int_equal(stats(&w).pages, 0);
	/* num_pages is not the driver's. */
	dr_wr(&w.r, 0x100, 7);
	assert_int_equal(dr_rd(&w.r, 0x100), 200);
	stop(&w);
}

static void put_stat(uint8_t *at, uint16_t tag, uint64_t value)
{
	memcpy(at, &tag, 2);
	memcpy(at + 2, &value, 8);
}

static void statistics_come_when_asked_for(void **state)
{
	struct vmm_virtio_balloon_guest g = { .size = sizeof(g) };
	uint8_t records[30];
	struct world w;

	start(&w, true, F_STATS);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EAGAIN);
	put_stat(records, VMM_VIRTIO_BALLOON_S_MEMFREE, 1000);
	put_stat(records + 10, VMM_VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX);
	put_stat(records + 20, 77, 1); /* a tag from the future */
	send(&w, STATS, records, sizeof(records));
	assert_int_equal(dr_used(&w.r, STATS), -EAGAIN); /* kept */
	vmm_virtio_balloon_get_guest(w.b, &g);
	assert_int_equal(g.updates, 1);
	assert_int_equal(g.valid, 0x30);
	assert_int_equal(g.values[VMM_VIRTIO_BALLOON_S_MEMFREE], 1000);
	w.r.irqs = 0;
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), 0);
	assert_int_equal(w.r.irqs, 1);
	assert_int_equal(dr_used(&w.r, STATS), 0);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EAGAIN);
	put_stat(records, VMM_VIRTIO_BALLOON_S_MEMFREE, 2000);
	send(&w, STATS, records, sizeof(records));
	vmm_virtio_balloon_get_guest(w.b, &g);
	assert_int_equal(g.updates, 2);
	assert_int_equal(g.values[VMM_VIRTIO_BALLOON_S_MEMFREE], 2000);
	stop(&w);
}

static void bad_statistics_are_ignored_as_a_whole(void **state)
{
	static uint8_t flood[(VMM_VIRTIO_BALLOON_STATS_MAX + 1) * 10];
	struct vmm_virtio_balloon_guest g = { .size = sizeof(g) };
	struct world w;

	start(&w, true, F_STATS);
	send(&w, STATS, flood, 11);
	assert_int_equal(dr_used(&w.r, STATS), -EAGAIN);
	/* Another buffer while one is kept: the older one comes back. */
	send(&w, STATS, flood, sizeof(flood));
	assert_int_equal(dr_used(&w.r, STATS), 0);
	assert_int_equal(dr_used(&w.r, STATS), -EAGAIN);
	vmm_virtio_balloon_get_guest(w.b, &g);
	assert_int_equal(g.updates, 0);
	assert_int_equal(stats(&w).bad_requests, 2);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), 0);
	stop(&w);
}

static void without_its_feature_there_are_no_statistics(void **state)
{
	struct world w;

	start(&w, true, 0);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EOPNOTSUPP);
	assert_int_equal(vmm_virtio_balloon_start_hints(w.b), -EOPNOTSUPP);
	vmm_virtio_balloon_end_hints(w.b);
	stop(&w);
}

static void range(struct world *w, uint32_t queue, uint64_t gpa, uint32_t len)
{
	struct mock_seg seg = { gpa, len, true };

	assert_true(mock_add(&w->r.q[queue], &seg, 1, false) >= 0);
	vmm_virtio_balloon_run(w->b);
	assert_int_equal(dr_used(&w->r, queue), 0);
}

static void whole_pages_of_reports_are_given_back(void **state)
{
	static const struct mock_seg two[] = { { 0x180000, 0x4000, true },
					       { 0x190000, 0x1000, true } };
	struct world w;

	start(&w, true, F_REPORT);
	assert_true(mock_add(&w.r.q[REPORT], two, 2, false) >= 0);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(dr_used(&w.r, REPORT), 0);
	assert_int_equal(w.calls, 2);
	assert_int_equal(w.got[0].gpa, 0x180000);
	assert_int_equal(w.got[0].len, 0x4000);
	/* Only what is whole: from 0x1a0001 for 0x2fff bytes, that is one page. */
	range(&w, REPORT, 0x1a0001, 0x1fff);
	assert_int_equal(w.got[2].gpa, 0x1a1000);
	assert_int_equal(w.got[2].len, 0x1000);
	range(&w, REPORT, 0x1a0001, 0x1ffe);
	assert_int_equal(w.calls, 3);
	/* Over the border of two regions: both parts. */
	range(&w, REPORT, MOCK_SPLIT_AT - 0x1000, 0x2000);
	assert_int_equal(w.calls, 5);
	assert_int_equal(stats(&w).reported_bytes, 0x4000 + 0x1000 + 0x1000 + 0x2000);
	stop(&w);
}

/* A report is writable: of read-only memory or a hole it never gets here. */
static void reports_of_what_is_not_memory_do_nothing(void **state)
{
	static const struct mock_seg readable = { 0x180000, 0x1000, false };
	struct world w;

	start(&w, true, F_REPORT);
	range(&w, REPORT, MOCK_ROM, 0x1000);
	range(&w, REPORT, MOCK_HOLE, 0x1000);
	range(&w, REPORT, MOCK_HOLE - 0x1000, 0x2000);
	assert_true(mock_add(&w.r.q[REPORT], &readable, 1, false) >= 0);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(dr_used(&w.r, REPORT), 0);
	assert_int_equal(w.calls, 0);
	assert_int_equal(stats(&w).bad_requests, 1);
	stop(&w);
}

static void pages_that_must_be_poisoned_stay(void **state)
{
	struct world w;

	start(&w, true, F_REPORT | F_POISON | F_HINT);
	dr_wr(&w.r, 0x10c, 0xaaaaaaaa);
	range(&w, REPORT, 0x180000, 0x1000);
	assert_int_equal(w.calls, 0);
	dr_wr(&w.r, 0x10c, 0);
	range(&w, REPORT, 0x180000, 0x1000);
	assert_int_equal(w.calls, 1);
	stop(&w);
}

static void command(struct world *w, uint32_t id)
{
	send(w, HINT, &id, sizeof(id));
	assert_int_equal(dr_used(&w->r, HINT), 0);
}

static void hints_are_heeded_during_a_run_only(void **state)
{
	struct vmm_virtio_balloon_opts opts;
	struct world w = { 0 };
	uint32_t id;

	dr_init(&w.r, 16);
	opts = opts_of(&w, true);
	opts.hint = on_hint;
	start_with(&w, &opts, F_HINT);
	range(&w, HINT, 0x180000, 0x1000);
	assert_int_equal(stats(&w).stale_hints, 1);
	assert_int_equal(vmm_virtio_balloon_start_hints(w.b), 0);
	id = dr_rd(&w.r, 0x108);
	assert_int_equal(id, 2);
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_ASKED);
	range(&w, HINT, 0x180000, 0x1000); /* without the command */
	command(&w, id + 1);		   /* a wrong one */
	range(&w, HINT, 0x180000, 0x1000);
	assert_int_equal(w.calls, 0);
	command(&w, id);
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_RUNNING);
	range(&w, HINT, 0x180000, 0x1000);
	range(&w, HINT, 0x180001, 0x1000); /* no whole page */
	assert_int_equal(w.calls, 1);
	command(&w, 0);
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_COMPLETE);
	range(&w, HINT, 0x180000, 0x1000);
	assert_int_equal(w.calls, 1);
	vmm_virtio_balloon_end_hints(w.b);
	assert_int_equal(dr_rd(&w.r, 0x108), 1);
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_IDLE);
	assert_int_equal(vmm_virtio_balloon_start_hints(w.b), 0);
	assert_int_equal(dr_rd(&w.r, 0x108), 3);
	command(&w, id); /* of the run before */
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_ASKED);
	send(&w, HINT, "abc", 3);
	assert_int_equal(stats(&w).bad_requests, 1);
	stop(&w);
}

/* Some drivers number the queues that they use without gaps. */
static void queues_may_be_numbered_without_gaps(void **state)
{
	struct vmm_virtio_balloon_opts opts;
	struct world w = { 0 };

	dr_init(&w.r, 16);
	opts = opts_of(&w, true);
	assert_int_equal(vmm_virtio_balloon_new(&opts, &w.b, NULL), 0);
	dr_carry(&w.r, vmm_virtio_balloon_get_device(w.b));
	dr_climb(&w.r, 0x7, F_REPORT);
	range(&w, 2, 0x180000, 0x1000);
	assert_int_equal(stats(&w).reported_bytes, 0x1000);
	stop(&w);
}

static void malformed_chains_do_not_stop_the_balloon(void **state)
{
	static const struct mock_seg bad = { MOCK_HOLE, 64, false };
	static const uint32_t pfn = FREE_PFN;
	struct world w;

	start(&w, true, 0);
	assert_true(mock_add(&w.r.q[INFLATE], &bad, 1, false) >= 0);
	pages(&w, INFLATE, &pfn, 1);
	assert_int_equal(dr_used(&w.r, INFLATE), 0);
	assert_int_equal(w.calls, 1);
	mock_raw_avail_idx(&w.r.q[INFLATE], 1000);
	vmm_virtio_balloon_run(w.b);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(dr_rd(&w.r, 0x70), 0x4f);
	stop(&w);
}

static int refill(void *ctx, uint64_t gpa, uint64_t len)
{
	static uint32_t pfn = 0x100;
	struct world *w = ctx;

	w->calls++;
	(void)dr_used(&w->r, INFLATE);
	pfn += 2;
	(void)dr_add(&w->r, INFLATE, &pfn, 4, 0);
	return 0;
}

static void one_run_is_bounded_and_wakes_the_balloon_again(void **state)
{
	static const uint32_t pfn = 0x100;
	struct vmm_virtio_balloon_opts opts;
	struct world w = { 0 };

	dr_init(&w.r, 16);
	opts = opts_of(&w, true);
	opts.discard = refill;
	start_with(&w, &opts, 0);
	assert_true(dr_add(&w.r, INFLATE, &pfn, 4, 0) >= 0);
	vmm_virtio_balloon_run(w.b);
	assert_int_equal(w.calls, 16);
	assert_int_equal(w.wakes, 1);
	stop(&w);
}

static void start_thread(struct world *w,
			 int (*discard)(void *ctx, uint64_t gpa, uint64_t len),
			 uint64_t features)
{
	struct vmm_virtio_balloon_opts opts;

	memset(w, 0, sizeof(*w));
	dr_init(&w->r, 16);
	opts = opts_of(w, true);
	opts.wake = NULL;
	opts.thread = true;
	opts.discard = discard;
	start_with(w, &opts, features);
}

static int64_t await(struct world *w, uint32_t queue)
{
	for (int patience = 0; patience < 5000; patience++) {
		int64_t len = dr_used(&w->r, queue);

		if (len >= 0)
			return len;
		(void)usleep(1000);
	}
	fail_msg("a chain did not come back");
	return 0;
}

static void a_balloon_with_a_thread_runs_itself(void **state)
{
	struct world w;

	start_thread(&w, on_discard, 0);
	for (uint32_t i = 0; i < 60; i++) {
		bool paused = i % 10 == 9;
		uint32_t pfn = FREE_PFN + i;

		if (paused)
			vmm_virtio_mmio_pause(w.r.mmio);
		assert_true(dr_add(&w.r, INFLATE, &pfn, 4, 0) >= 0);
		if (i % 2)
			dr_wr(&w.r, 0x50, INFLATE);
		else
			assert_int_equal(
			    eventfd_write(vmm_virtio_balloon_get_doorbell(w.b), 1), 0);
		if (paused) {
			(void)usleep(1000);
			assert_int_equal(dr_used(&w.r, INFLATE), -EAGAIN);
			assert_int_equal(stats(&w).pages, i);
			vmm_virtio_mmio_resume(w.r.mmio);
		}
		assert_int_equal(await(&w, INFLATE), 0);
		assert_int_equal(stats(&w).pages, i + 1);
	}
	dr_wr(&w.r, 0x70, 0);
	assert_int_equal(stats(&w).pages, 0);
	stop(&w);
}

/* What a VMM does on threads of its own while the device works. */
static void *ask(void *ctx)
{
	struct vmm_virtio_balloon_guest g = { .size = sizeof(g) };
	struct world *w = ctx;
	uint64_t words[8];

	for (uint32_t i = 0; i < 300; i++) {
		int ret = vmm_virtio_balloon_set_target(w->b, w->r.t, i);

		dr_must(ret == 0);
		ret = vmm_virtio_balloon_poll_stats(w->b);
		dr_must(ret == 0 || ret == -EAGAIN);
		dr_must(vmm_virtio_balloon_start_hints(w->b) == 0);
		vmm_virtio_balloon_end_hints(w->b);
		vmm_virtio_balloon_get_guest(w->b, &g);
		dr_must(stats(w).pages <= 512);
		dr_must(vmm_virtio_balloon_get_pages(w->b, words, 8) == 8);
		dr_must(vmm_virtio_balloon_set_mem(w->b, w->r.m->mem) == 0);
	}
	return NULL;
}

static void calls_may_come_from_any_thread(void **state)
{
	static const uint8_t record[10] = { 4, 0, 1 };
	pthread_t threads[3];
	struct world w;
	bool held = true;

	start_thread(&w, on_discard, F_STATS | F_HINT);
	assert_true(dr_add(&w.r, STATS, record, sizeof(record), 0) >= 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &w), 0);
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t pfn = FREE_PFN + i % 100;

		assert_true(dr_add(&w.r, i / 100 % 2 ? DEFLATE : INFLATE, &pfn, 4, 0) >=
			    0);
		held = held && dr_used(&w.r, STATS) < 0;
		if (!held)
			held = dr_add(&w.r, STATS, record, sizeof(record), 0) >= 0;
		dr_wr(&w.r, 0x50, STATS);
		assert_int_equal(await(&w, i / 100 % 2 ? DEFLATE : INFLATE), 0);
		if (i % 50 == 0) {
			vmm_virtio_mmio_pause(w.r.mmio);
			vmm_virtio_mmio_resume(w.r.mmio);
		}
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(stats(&w).inflated, 200);
	assert_int_equal(stats(&w).deflated, 100);
	assert_int_equal(stats(&w).pages, 100);
	stop(&w);
}

/* Slow discards without an end: what goes in comes out again, all of it at once. */
static int refill_slowly(void *ctx, uint64_t gpa, uint64_t len)
{
	struct world *w = ctx;
	uint32_t pfn = FREE_PFN + (uint32_t)(gpa / 4096 + 1) % 64, all[64];

	for (uint32_t i = 0; i < 64; i++)
		all[i] = FREE_PFN + i;
	(void)usleep(1000);
	(void)dr_used(&w->r, INFLATE);
	(void)dr_used(&w->r, DEFLATE);
	(void)dr_add(&w->r, INFLATE, &pfn, 4, 0);
	(void)dr_add(&w->r, DEFLATE, all, sizeof(all), 0);
	return 0;
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const uint32_t pfn = FREE_PFN;
	struct timespec from, to;
	struct world w;

	start_thread(&w, refill_slowly, 0);
	/* From now on only the device's thread has the driver. */
	vmm_virtio_mmio_pause(w.r.mmio);
	assert_true(dr_add(&w.r, INFLATE, &pfn, 4, 0) >= 0);
	vmm_virtio_mmio_resume(w.r.mmio);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint64_t i = 0, seen = 0; i < 100; i++) {
		uint64_t inflated = stats(&w).inflated;

		/* It is at work all the time. */
		for (; inflated == seen; inflated = stats(&w).inflated)
			;
		seen = inflated;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	/* A run of 16 requests takes 16 ms: 1.6 s for 100 calls that wait for one. */
	assert_true((to.tv_sec - from.tv_sec) * 1000 +
			(to.tv_nsec - from.tv_nsec) / 1000000 <
		    1500);
	stop(&w);
}

static void a_reset_takes_all_pages_out(void **state)
{
	static const uint32_t pfn = FREE_PFN;
	struct world w;

	start(&w, true, F_STATS | F_HINT);
	pages(&w, INFLATE, &pfn, 1);
	send(&w, STATS, "0123456789", 10);
	dr_wr(&w.r, 0x104, 1);
	assert_int_equal(vmm_virtio_balloon_start_hints(w.b), 0);
	dr_wr(&w.r, 0x70, 0);
	assert_int_equal(stats(&w).pages, 0);
	assert_int_equal(stats(&w).actual, 0);
	assert_int_equal(dr_rd(&w.r, 0x104), 0);
	assert_int_equal(dr_rd(&w.r, 0x108), 0);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EOPNOTSUPP);
	vmm_virtio_balloon_run(w.b);
	dr_climb(&w.r, 7, F_STATS);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EAGAIN);
	pages(&w, INFLATE, &pfn, 1);
	assert_int_equal(w.calls, 2);
	stop(&w);
}

static void queues_are_reset_one_by_one(void **state)
{
	static const uint32_t pfns[] = { FREE_PFN, FREE_PFN + 1 };
	struct world w;

	start(&w, true, F_STATS | VMM_VIRTIO_F_RING_RESET);
	pages(&w, INFLATE, pfns, 1);
	send(&w, STATS, "0123456789", 10);
	dr_reset_queue(&w.r, INFLATE);
	pages(&w, INFLATE, pfns + 1, 1);
	assert_int_equal(stats(&w).pages, 2);
	dr_reset_queue(&w.r, STATS);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), -EAGAIN);
	send(&w, STATS, "0123456789", 10);
	assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), 0);
	dr_wr(&w.r, 0x30, DEFLATE);
	dr_wr(&w.r, 0xc0, 1);
	vmm_virtio_balloon_run(w.b);
	stop(&w);
}

static void packed_rings_do_as_well(void **state)
{
	static const uint32_t pfns[] = { FREE_PFN, FREE_PFN + 1 };
	struct world w;

	start(&w, true, F_STATS | PACKED);
	for (int i = 0; i < 40; i++) {
		pages(&w, INFLATE, pfns, 2);
		pages(&w, DEFLATE, pfns, 2);
		send(&w, STATS, "0123456789", 10);
		assert_int_equal(vmm_virtio_balloon_poll_stats(w.b), 0);
		assert_int_equal(dr_used(&w.r, STATS), 0);
	}
	assert_int_equal(w.calls, 40);
	assert_int_equal(stats(&w).deflated, 80);
	stop(&w);
}

/* Skipped on a host without huge pages to spare. */
static void larger_host_pages_go_once_they_are_full(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_virtio_balloon_opts opts;
	struct world w = { 0 };
	uint32_t pfns[512];

	dr_init(&w.r, 16);
	region.gpa = 0x40000000;
	region.len = 0x200000;
	region.flags = VMM_MEM_HUGETLB;
	region.page_size = 0x200000;
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	if (vmm_mem_builder_add(builder, &region, NULL) < 0) {
		mock_free(w.r.m);
		vmm_test_skip("no huge pages");
		return;
	}
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	opts = opts_of(&w, true);
	opts.mem = mem;
	start_with(&w, &opts, 0);
	for (uint32_t i = 0; i < 512; i++)
		pfns[i] = 0x40000 + i;
	pages(&w, INFLATE, pfns, 511);
	assert_int_equal(w.calls, 0);
	pages(&w, INFLATE, pfns + 511, 1);
	assert_int_equal(w.calls, 1);
	assert_int_equal(w.got[0].len, 0x200000);
	stop(&w);
}

static void the_memory_may_change(void **state)
{
	static const uint32_t pfns[] = { FREE_PFN, 0x20 };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *less = NULL;
	struct world w;

	start(&w, true, 0);
	pages(&w, INFLATE, pfns, 2);
	assert_int_equal(vmm_mem_without(w.r.m->mem, MOCK_SPLIT_AT,
					 MOCK_RAM_LEN - MOCK_SPLIT_AT, &less, NULL),
			 0);
	assert_int_equal(vmm_virtio_balloon_set_mem(w.b, less), 0);
	assert_int_equal(stats(&w).pages, 1);
	pages(&w, INFLATE, pfns, 2);
	assert_int_equal(stats(&w).bad_pages, 1);
	assert_int_equal(stats(&w).repeated, 1);
	assert_int_equal(vmm_virtio_balloon_set_target(w.b, w.r.t, 257), -EINVAL);
	stop(&w);
}

static void a_saved_balloon_goes_on(void **state)
{
	static const uint32_t pfns[] = { FREE_PFN, 0x20 };
	struct balloon_state s = { .version = DEVICE_STATE_VERSION };
	struct vmm_virtio_balloon_opts opts;
	struct world w;
	uint64_t words[8];

	start(&w, true, F_HINT);
	pages(&w, INFLATE, pfns, 2);
	dr_wr(&w.r, 0x104, 2);
	assert_int_equal(vmm_virtio_balloon_set_target(w.b, w.r.t, 2), 0);
	assert_int_equal(vmm_virtio_balloon_start_hints(w.b), 0);
	balloon_get_state(w.b, &s);
	assert_int_equal(s.words, 8);
	assert_int_equal(vmm_virtio_balloon_get_pages(w.b, NULL, 0), 8);
	assert_int_equal(vmm_virtio_balloon_get_pages(w.b, words, 8), 8);
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBUSY);
	dr_stop(&w.r);
	vmm_virtio_balloon_free(w.b);

	opts = opts_of(&w, true);
	assert_int_equal(vmm_virtio_balloon_new(&opts, &w.b, NULL), 0);
	assert_int_equal(balloon_set_state(w.b, &s, words), 0);
	dr_carry(&w.r, vmm_virtio_balloon_get_device(w.b));
	assert_int_equal(stats(&w).pages, 2);
	dr_climb(&w.r, 0xb, F_HINT);
	pages(&w, DEFLATE, pfns, 2);
	assert_int_equal(stats(&w).pages, 0);
	command(&w, 2);
	assert_int_equal(stats(&w).hinting, VMM_VIRTIO_BALLOON_HINT_RUNNING);
	stop(&w);
}

static void a_corrupt_balloon_state_is_refused(void **state)
{
	static const struct balloon_state good = { 1, 2, 2, 0, 0, 0, 8 };
	uint64_t words[8] = { 1 };
	struct balloon_state s = good;
	struct vmm_virtio_balloon_opts opts;
	struct world w = { 0 };

	dr_init(&w.r, 16);
	opts = opts_of(&w, true);
	assert_int_equal(vmm_virtio_balloon_new(&opts, &w.b, NULL), 0);
	s.version = 2;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	s = good;
	s.words = 7;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	s = good;
	assert_int_equal(balloon_set_state(w.b, &s, NULL), -EBADMSG);
	s.target = 513;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	s = good;
	s.hinting = 4;
	s.hint_command = 2;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	s.hinting = 0;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	assert_int_equal(stats(&w).pages, 0);
	assert_int_equal(balloon_set_state(w.b, &good, words), 0);
	assert_int_equal(stats(&w).pages, 1);
	stop(&w);
}

/* Bits behind the end of a region have no page. */
static void a_state_with_pages_that_do_not_exist_is_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *odd = NULL;
	struct balloon_state s = { .version = DEVICE_STATE_VERSION };
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_virtio_balloon_opts opts;
	uint64_t words[9] = { 0 };
	struct world w = { 0 };

	dr_init(&w.r, 16);
	region.gpa = 0x40000000;
	region.len = 3 * 4096;
	assert_int_equal(vmm_mem_with(w.r.m->mem, &region, &odd, NULL), 0);
	opts = opts_of(&w, true);
	opts.mem = odd;
	assert_int_equal(vmm_virtio_balloon_new(&opts, &w.b, NULL), 0);
	s.words = 9;
	words[8] = 8;
	assert_int_equal(balloon_set_state(w.b, &s, words), -EBADMSG);
	words[8] = 7;
	assert_int_equal(balloon_set_state(w.b, &s, words), 0);
	assert_int_equal(stats(&w).pages, 3);
	stop(&w);
}

static void without_descriptors_there_is_no_thread(void **state)
{
	struct vmm_virtio_balloon_opts opts;
	struct vmm_virtio_balloon *b = NULL;
	struct vmm_error err = { 0 };
	struct rlimit old, none;
	struct world w = { 0 };

	dr_init(&w.r, 16);
	opts = opts_of(&w, true);
	opts.thread = true;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(vmm_virtio_balloon_new(&opts, &b, &err), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(err.code, -EMFILE);
	assert_null(b);
	dr_fini(&w.r);
}

/* The target is told through the transport that carries the balloon, or not at all. */
static void another_transport_is_refused(void **state)
{
	struct world w, other;

	start(&w, true, 0);
	start(&other, true, 0);
	assert_int_equal(vmm_virtio_balloon_set_target(w.b, other.r.t, 1), -EINVAL);
	assert_int_equal(dr_rd(&w.r, 0x100), 0);
	assert_int_equal(dr_rd(&other.r, 0x100), 0);
	stop(&other);
	stop(&w);
}

static void bad_balloon_options_are_refused(void **state)
{
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT, o;
	struct vmm_virtio_balloon *b = NULL;
	struct vmm_error err = { 0 };
	struct world w = { 0 };

	dr_init(&w.r, 16);
	assert_int_equal(vmm_virtio_balloon_new(&opts, &b, &err), -EINVAL);
	o = opts_of(&w, true);
	o.queue_max = 32769;
	assert_int_equal(vmm_virtio_balloon_new(&o, &b, &err), -EINVAL);
	o = opts_of(&w, true);
	o.target = 513;
	assert_int_equal(vmm_virtio_balloon_new(&o, &b, &err), -EINVAL);
	o.size = 1;
	assert_int_equal(vmm_virtio_balloon_new(&o, &b, &err), -EINVAL);
	assert_null(b);
	vmm_virtio_balloon_free(NULL);
	dr_fini(&w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_go_in_and_come_out),
		cmocka_unit_test(neighbours_are_given_back_in_one_call),
		cmocka_unit_test(bad_page_numbers_are_passed_over),
		cmocka_unit_test(a_flood_of_page_numbers_is_refused_as_a_whole),
		cmocka_unit_test(a_host_that_refuses_is_counted),
		cmocka_unit_test(the_target_is_told_with_an_interrupt),
		cmocka_unit_test(statistics_come_when_asked_for),
		cmocka_unit_test(bad_statistics_are_ignored_as_a_whole),
		cmocka_unit_test(without_its_feature_there_are_no_statistics),
		cmocka_unit_test(whole_pages_of_reports_are_given_back),
		cmocka_unit_test(reports_of_what_is_not_memory_do_nothing),
		cmocka_unit_test(pages_that_must_be_poisoned_stay),
		cmocka_unit_test(hints_are_heeded_during_a_run_only),
		cmocka_unit_test(queues_may_be_numbered_without_gaps),
		cmocka_unit_test(malformed_chains_do_not_stop_the_balloon),
		cmocka_unit_test(one_run_is_bounded_and_wakes_the_balloon_again),
		cmocka_unit_test(a_balloon_with_a_thread_runs_itself),
		cmocka_unit_test(calls_may_come_from_any_thread),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
		cmocka_unit_test(a_reset_takes_all_pages_out),
		cmocka_unit_test(queues_are_reset_one_by_one),
		cmocka_unit_test(packed_rings_do_as_well),
		cmocka_unit_test(larger_host_pages_go_once_they_are_full),
		cmocka_unit_test(the_memory_may_change),
		cmocka_unit_test(a_saved_balloon_goes_on),
		cmocka_unit_test(a_corrupt_balloon_state_is_refused),
		cmocka_unit_test(a_state_with_pages_that_do_not_exist_is_refused),
		cmocka_unit_test(without_descriptors_there_is_no_thread),
		cmocka_unit_test(another_transport_is_refused),
		cmocka_unit_test(bad_balloon_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

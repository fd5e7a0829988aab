/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */

/* Takes the place of src/clock.c: time stands still but for what a test adds. */

#include "event-test.h"

#include "internal.h"

static uint64_t clock_ns;
static uint32_t clock_reads;

uint64_t sys_clock_ns(int clock)
{
	(void)__atomic_add_fetch(&clock_reads, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&clock_ns, __ATOMIC_RELAXED);
}

static void pass(uint64_t ns)
{
	(void)__atomic_add_fetch(&clock_ns, ns, __ATOMIC_RELAXED);
}

static int start_clock(void **state)
{
	clock_ns = 1000000;
	clock_reads = 0;
	return 0;
}

#define MEASURED(name)                                             \
	VMM_CLEANUP(vmm_event_free) struct vmm_event *name = NULL; \
	new_measured(&name)

static void new_measured(struct vmm_event **out)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;

	opts.measure = 1;
	assert_int_equal(vmm_event_new(&opts, out), 0);
}

static struct vmm_event_stats get(struct vmm_event *loop)
{
	struct vmm_event_stats stats = VMM_EVENT_STATS_INIT;

	assert_int_equal(vmm_event_get_stats(loop, &stats), 0);
	return stats;
}

static void pass_plain(void *ctx, struct vmm_event_source *source)
{
	pass(*(uint64_t *)ctx);
}

static void pass_post(void *ctx)
{
	pass(*(uint64_t *)ctx);
}

static int pass_call(void *ctx)
{
	pass(*(uint64_t *)ctx);
	return 0;
}

static struct vmm_event_source *add_timer(struct vmm_event *loop, int clock,
					  struct seen *seen)
{
	struct vmm_event_source *source = NULL;

	assert_int_equal(vmm_event_add_timer(loop, clock, seen_count, seen, &source), 0);
	return source;
}

/* Until the kernel, whose time does pass, has let a timer expire. */
static void wait_once(struct vmm_event *loop)
{
	uint32_t n = 0;

	assert_int_equal(vmm_event_run_once(loop, -1, &n), 0);
	assert_true(n > 0);
}

static void a_loop_that_was_not_asked_does_not_look_at_the_clock(void **state)
{
	struct vmm_event_stats stats = { .size = sizeof(stats), .posts = 7 };
	struct seen seen = { 0 };

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	assert_int_equal(vmm_event_source_set_timer(timer, 0, 0), 0);
	enable(timer, VMM_EVENT_OFF);
	enable(timer, VMM_EVENT_ON);
	wait_once(loop);
	vmm_event_stop(loop, 0);
	assert_int_equal(vmm_event_run(loop, NULL), 0);
	assert_int_equal(clock_reads, 0);
	assert_int_equal(vmm_event_get_stats(loop, &stats), -ENOENT);
	assert_int_equal(stats.posts, 7);
}

static void the_option_is_checked(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct vmm_event_stats stats = VMM_EVENT_STATS_INIT;

	opts.measure = 2;
	assert_int_equal(vmm_event_new(&opts, &loop), -EINVAL);
	opts.measure = 1;
	opts.reserved_ = 1;
	assert_int_equal(vmm_event_new(&opts, &loop), -EINVAL);
	/* As before there was such an option. */
	opts.size = offsetof(struct vmm_event_opts, measure);
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	assert_int_equal(vmm_event_get_stats(loop, &stats), -ENOENT);
}

static void results_of_other_versions_are_filled_as_far_as_known(void **state)
{
	struct {
		struct vmm_event_stats stats;
		uint64_t more;
	} newer = { VMM_EVENT_STATS_INIT, 5 };
	struct vmm_event_stats older = { .empty_rounds = 9 };

	MEASURED(loop);
	assert_int_equal(poll_once(loop), 0);
	newer.stats.size = sizeof(newer);
	assert_int_equal(vmm_event_get_stats(loop, &newer.stats), 0);
	assert_int_equal(newer.stats.size, sizeof(newer));
	assert_int_equal(newer.stats.empty_rounds, 1);
	assert_int_equal(newer.more, 0);
	older.size = offsetof(struct vmm_event_stats, empty_rounds);
	assert_int_equal(vmm_event_get_stats(loop, &older), 0);
	assert_int_equal(older.empty_rounds, 9);
	older.size = sizeof(older.size) - 1;
	assert_int_equal(vmm_event_get_stats(loop, &older), -EINVAL);
}

static void calls_and_rounds_are_counted(void **state)
{
	struct seen fds = { 0 }, posts = { 0 };
	struct vmm_event_stats stats;
	int a = make_eventfd(1), b = make_eventfd(1);

	MEASURED(loop);
	(void)add_fd(loop, a, EPOLLIN | EPOLLET, &fds);
	(void)add_fd(loop, b, EPOLLIN | EPOLLET, &fds);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vmm_event_post(loop, seen_post, &posts), 0);
	assert_int_equal(poll_once(loop), 5);
	assert_int_equal(vmm_event_post(loop, seen_post, &posts), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(poll_once(loop), 0);
	stats = get(loop);
	assert_int_equal(stats.callbacks, 2);
	assert_int_equal(stats.posts, 4);
	assert_int_equal(stats.rounds.count, 2);
	assert_int_equal(stats.empty_rounds, 2);
	/* What vmm_event_run() does last is a round. */
	assert_int_equal(vmm_event_post(loop, seen_post, &posts), 0);
	vmm_event_stop(loop, 0);
	assert_int_equal(vmm_event_run(loop, NULL), 0);
	stats = get(loop);
	assert_int_equal(stats.posts, 5);
	assert_int_equal(stats.rounds.count, 3);
	close(a);
	close(b);
}

static void a_round_is_as_long_as_all_that_it_calls(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	uint64_t plain = 100, post = 30, after = 7;
	struct vmm_event_stats stats;

	opts.measure = 1;
	opts.after_round = pass_post;
	opts.ctx = &after;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(vmm_event_add_defer(loop, pass_plain, &plain, NULL), 0);
	assert_int_equal(vmm_event_post(loop, pass_post, &post), 0);
	/* While nobody runs it, time is not the loop's. */
	pass(5000);
	assert_int_equal(poll_once(loop), 3);
	assert_int_equal(poll_once(loop), 0);
	stats = get(loop);
	assert_int_equal(stats.rounds.total_ns, 237);
	assert_int_equal(stats.rounds.longest_ns, 237);
	assert_int_equal(stats.rounds.buckets[7], 1);
	assert_int_equal(stats.busy_ns, 244);
	assert_int_equal(stats.current_ns, 0);
}

static void each_length_has_its_bucket(void **state)
{
	static const struct {
		uint64_t ns;
		uint32_t bucket;
	} cases[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 2, 1 },
		{ 3, 1 },
		{ 4, 2 },
		{ 1023, 9 },
		{ 1024, 10 },
		{ 1025, 10 },
		{ 1 << 30, 30 },
		{ UINT32_MAX, 31 },
		{ UINT64_C(1) << 62, 62 },
	};
	uint64_t ns, total = 0;
	struct vmm_event_source *source;

	MEASURED(loop);
	assert_int_equal(vmm_event_add_defer(loop, pass_plain, &ns, &source), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_event_stats before = get(loop), after;

		ns = cases[i].ns;
		total += ns;
		enable(source, VMM_EVENT_ONESHOT);
		assert_int_equal(poll_once(loop), 1);
		after = get(loop);
		assert_int_equal(after.rounds.count, i + 1);
		assert_int_equal(after.rounds.total_ns, total);
		for (uint32_t b = 0; b < VMM_EVENT_BUCKETS; b++)
			assert_int_equal(after.rounds.buckets[b],
					 before.rounds.buckets[b] +
					     (b == cases[i].bucket));
		/* The table ascends. */
		assert_int_equal(after.rounds.longest_ns, ns);
	}
	/* A short one after a long one. */
	ns = 5;
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(get(loop).rounds.longest_ns, UINT64_C(1) << 62);
}

static void look_from_within(void *ctx, struct vmm_event_source *source)
{
	struct vmm_event_stats *out = ctx;

	pass(400);
	*out = get(vmm_event_source_get_loop(source));
	pass(300);
}

static void the_round_under_way_is_told_apart(void **state)
{
	struct vmm_event_stats within;

	MEASURED(loop);
	assert_int_equal(vmm_event_add_defer(loop, look_from_within, &within, NULL), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(within.current_ns, 400);
	assert_int_equal(within.rounds.count, 0);
	assert_int_equal(within.callbacks, 0);
	assert_int_equal(get(loop).current_ns, 0);
	assert_int_equal(get(loop).rounds.longest_ns, 700);
}

static void timers_are_late_from_when_they_are_due(void **state)
{
	static const struct {
		int clock;
		bool absolute;
		uint64_t first, passes, late;
		bool counts;
	} cases[] = {
		{ CLOCK_MONOTONIC, false, 10, 500, 490, true },
		{ CLOCK_MONOTONIC, false, 0, 500, 500, true },
		{ CLOCK_BOOTTIME, false, 10, 500, 490, true },
		{ CLOCK_REALTIME, false, 10, 500, 490, true },
		/* The clock starts at 1000000. */
		{ CLOCK_MONOTONIC, true, 1000200, 500, 300, true },
		{ CLOCK_BOOTTIME, true, 1000200, 500, 300, true },
		{ CLOCK_REALTIME, true, 1000200, 500, 0, false },
		/* Due before it was set. */
		{ CLOCK_MONOTONIC, true, 5, 500, 500, true },
		/* Kernel and test need not agree about the time. */
		{ CLOCK_MONOTONIC, false, 10, 2, 0, true },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_event_stats stats;
		struct seen seen = { 0 };

		(void)start_clock(NULL);
		MEASURED(loop);
		struct vmm_event_source *timer = add_timer(loop, cases[i].clock, &seen);
		int ret = cases[i].absolute
			      ? vmm_event_source_set_timer_at(timer, cases[i].first, 0)
			      : vmm_event_source_set_timer(timer, cases[i].first, 0);

		assert_int_equal(ret, 0);
		pass(cases[i].passes);
		wait_once(loop);
		stats = get(loop);
		assert_int_equal(stats.callbacks, 1);
		assert_int_equal(stats.late.count, cases[i].counts);
		assert_int_equal(stats.late.longest_ns, cases[i].late);
		assert_int_equal(stats.late.total_ns, cases[i].late);
	}
}

static void timers_are_late_behind_other_callbacks(void **state)
{
	struct seen seen = { 0 };
	uint64_t ns = 2000;
	struct vmm_event_source *before;

	MEASURED(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	assert_int_equal(vmm_event_add_defer(loop, pass_plain, &ns, &before), 0);
	assert_int_equal(vmm_event_source_set_priority(before, VMM_EVENT_PRIORITY_FIRST),
			 0);
	assert_int_equal(vmm_event_source_set_timer(timer, 100, 0), 0);
	usleep(1000);
	assert_int_equal(poll_once(loop), 2);
	assert_int_equal(get(loop).late.longest_ns, 1900);
}

static void periodic_timers_are_late_since_the_first_that_was_missed(void **state)
{
	const uint64_t ms = 1000000;
	struct seen seen = { 0 };
	uint64_t told;

	MEASURED(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	assert_int_equal(vmm_event_source_set_timer(timer, 2 * ms, 5 * ms), 0);
	usleep(13000);
	pass(2 * ms + 50);
	wait_once(loop);
	assert_true(seen.sum >= 3);
	assert_int_equal(get(loop).late.longest_ns, 50);
	/* The next one is due so many periods later as were told. */
	told = seen.sum;
	pass(told * 5 * ms + 30);
	wait_once(loop);
	assert_int_equal(get(loop).late.count, 2);
	assert_int_equal(get(loop).late.total_ns, 50 + 80);
}

static void a_disabled_timer_is_not_late(void **state)
{
	struct seen seen = { 0 };

	MEASURED(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	/* Not set yet, and so without a time that could be known. */
	enable(timer, VMM_EVENT_OFF);
	enable(timer, VMM_EVENT_ON);
	assert_int_equal(vmm_event_source_set_timer(timer, 10, 0), 0);
	enable(timer, VMM_EVENT_OFF);
	pass(70000);
	enable(timer, VMM_EVENT_ONESHOT);
	pass(60);
	wait_once(loop);
	assert_int_equal(get(loop).late.longest_ns, 60);
	/* Enabled before it is due. */
	assert_int_equal(vmm_event_source_set_timer(timer, 100, 0), 0);
	pass(40);
	enable(timer, VMM_EVENT_ON);
	pass(90);
	wait_once(loop);
	assert_int_equal(get(loop).late.total_ns, 60 + 30);
}

static void far_times_are_never_late(void **state)
{
	struct seen seen = { 0 };

	MEASURED(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	assert_int_equal(vmm_event_source_set_timer(timer, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(timer->due.at_ns, UINT64_MAX);
	pass(1000);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(get(loop).late.count, 0);
}

static void *run_loop(void *arg)
{
	int code = -1;

	assert_int_equal(vmm_event_run(arg, &code), 0);
	return NULL;
}

/* Says when a callback is inside, and lets it out. */
struct gate {
	uint32_t inside, open;
};

static void hold(void *ctx)
{
	struct gate *gate = ctx;

	__atomic_store_n(&gate->inside, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&gate->open, __ATOMIC_ACQUIRE))
		usleep(100);
}

static void other_threads_see_a_loop_that_is_held_up(void **state)
{
	struct gate gate = { 0 };
	uint64_t ns = 11;
	pthread_t thread;

	MEASURED(loop);
	assert_int_equal(vmm_event_post(loop, hold, &gate), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
	while (!__atomic_load_n(&gate.inside, __ATOMIC_ACQUIRE))
		usleep(100);
	pass(900);
	assert_int_equal(get(loop).current_ns, 900);
	assert_int_equal(get(loop).posts, 0);
	__atomic_store_n(&gate.open, 1, __ATOMIC_RELEASE);
	/* Its rounds come and go beside ours. */
	for (uint64_t i = 0; i < 1000; i++) {
		struct vmm_event_stats stats;

		assert_int_equal(vmm_event_call(loop, pass_call, &ns, NULL), 0);
		stats = get(loop);
		assert_true(stats.posts <= i + 2);
		assert_true(stats.rounds.count <= i + 2);
	}
	vmm_event_stop(loop, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(get(loop).posts, 1001);
	assert_int_equal(get(loop).busy_ns, 900 + 11000);
}

static void quantiles_are_found_in_their_bucket(void **state)
{
	static const struct {
		uint32_t bucket[3];
		uint64_t n[3];
		uint64_t longest;
		uint32_t ppm;
		uint64_t want;
	} cases[] = {
		{ { 0 }, { 0 }, 0, 500000, 0 },
		{ { 0 }, { 1 }, 0, 500000, 0 },
		{ { 0 }, { 1 }, 1, 500000, 1 },
		{ { 4, 9 }, { 1, 1 }, 600, 0, 31 },
		{ { 4, 9 }, { 1, 1 }, 600, 500000, 31 },
		{ { 4, 9 }, { 1, 1 }, 600, 500001, 600 },
		{ { 4, 9 }, { 1, 1 }, 600, 1000000, 600 },
		{ { 4, 9 }, { 1, 1 }, 600, UINT32_MAX, 600 },
		{ { 4, 9 }, { 99, 1 }, 600, 990000, 31 },
		{ { 4, 9 }, { 98, 2 }, 600, 990000, 600 },
		{ { 4, 9, 10 }, { 999, 1, 1 }, 1500, 999000, 1023 },
		/* The longest is from another time. */
		{ { 4, 9 }, { 1, 1 }, 77777, 1000000, 1023 },
		{ { 4, 9 }, { 1, 1 }, 0, 1000000, 1023 },
		/* Numbers that would overflow. */
		{ { 5, 63 }, { UINT64_MAX - 1, 1 }, UINT64_MAX, 999999, 63 },
		{ { 5, 63 }, { UINT64_MAX - 1, 1 }, UINT64_MAX, 1000000, UINT64_MAX },
		{ { 63 }, { 1 }, UINT64_MAX - 5, 1, UINT64_MAX - 5 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_event_times times = { .longest_ns = cases[i].longest };

		for (int k = 0; k < 3; k++)
			times.buckets[cases[i].bucket[k]] += cases[i].n[k];
		assert_int_equal(vmm_event_stats_quantile(&times, cases[i].ppm),
				 cases[i].want);
	}
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Against all the times, sorted. */
static void quantiles_are_too_much_by_less_than_a_factor_of_two(void **state)
{
	enum { N = 500 };
	uint64_t all[N], ns, random = 88172645463325252;
	struct vmm_event_source *source;
	struct vmm_event_stats stats;

	MEASURED(loop);
	assert_int_equal(vmm_event_add_defer(loop, pass_plain, &ns, &source), 0);
	for (int i = 0; i < N; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		ns = all[i] = random >> (34 + random % 30);
		enable(source, VMM_EVENT_ONESHOT);
		assert_int_equal(poll_once(loop), 1);
	}
	qsort(all, N, sizeof(all[0]), by_size);
	stats = get(loop);
	for (uint32_t k = 1; k <= N; k++) {
		uint64_t bound =
		    vmm_event_stats_quantile(&stats.rounds, k * (1000000 / N));

		assert_true(bound >= all[k - 1]);
		assert_true(bound < 2 * all[k - 1] || bound <= 1);
	}
	assert_int_equal(vmm_event_stats_quantile(&stats.rounds, 1000000), all[N - 1]);
}

#define STATS_TEST(name) cmocka_unit_test_setup(name, start_clock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATS_TEST(a_loop_that_was_not_asked_does_not_look_at_the_clock),
		STATS_TEST(the_option_is_checked),
		STATS_TEST(results_of_other_versions_are_filled_as_far_as_known),
		STATS_TEST(calls_and_rounds_are_counted),
		STATS_TEST(a_round_is_as_long_as_all_that_it_calls),
		STATS_TEST(each_length_has_its_bucket),
		STATS_TEST(the_round_under_way_is_told_apart),
		STATS_TEST(timers_are_late_from_when_they_are_due),
		STATS_TEST(timers_are_late_behind_other_callbacks),
		STATS_TEST(periodic_timers_are_late_since_the_first_that_was_missed),
		STATS_TEST(a_disabled_timer_is_not_late),
		STATS_TEST(far_times_are_never_late),
		STATS_TEST(other_threads_see_a_loop_that_is_held_up),
		STATS_TEST(quantiles_are_found_in_their_bucket),
		STATS_TEST(quantiles_are_too_much_by_less_than_a_factor_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

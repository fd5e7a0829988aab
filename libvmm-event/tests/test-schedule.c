/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

/* Who was called, in which order. */
static int order[64];
static uint32_t ordered;

static void record_plain(void *ctx, struct vmm_event_source *source)
{
	order[ordered++] = *(const int *)ctx;
}

static void record_fd(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	order[ordered++] = *(const int *)ctx;
}

static void record_post(void *ctx)
{
	order[ordered++] = *(const int *)ctx;
}

static void priorities_order_a_round(void **state)
{
	enum { N = 32 };
	int id[N], fd = make_eventfd(1), last = 1000;
	struct vmm_event_source *source;

	LOOP(loop);
	assert_int_equal(vmm_event_post(loop, record_post, &last), 0);
	for (int i = 0; i < N; i++) {
		/* Half of them by way of the kernel. 16 levels, two sources each. */
		id[i] = (i * 7) % 16;
		if (i % 2)
			assert_int_equal(
			    vmm_event_add_defer(loop, record_plain, &id[i], &source), 0);
		else
			assert_int_equal(vmm_event_add_fd(loop, fd, EPOLLIN, record_fd,
							  &id[i], &source),
					 0);
		assert_int_equal(vmm_event_source_set_priority(source, id[i]), 0);
	}
	assert_int_equal(vmm_event_source_set_priority(source, 16), -EINVAL);
	assert_int_equal(vmm_event_source_set_priority(source, -1), -EINVAL);
	ordered = 0;
	assert_int_equal(poll_once(loop), N + 1);
	for (uint32_t i = 1; i < ordered; i++)
		assert_true(order[i - 1] <= order[i]);
	assert_int_equal(order[N], last);
	close(fd);
}

static void equal_priorities_keep_their_order(void **state)
{
	int id[8];
	struct vmm_event_source *source[8];

	LOOP(loop);
	for (int i = 0; i < 8; i++) {
		id[i] = i;
		assert_int_equal(
		    vmm_event_add_defer(loop, record_plain, &id[i], &source[i]), 0);
		assert_int_equal(vmm_event_source_set_priority(source[i], 3), 0);
	}
	/* Back to normal: still later than 3, still in order. */
	assert_int_equal(vmm_event_source_set_priority(source[0], 8), 0);
	assert_int_equal(vmm_event_source_set_priority(source[1], 8), 0);
	ordered = 0;
	assert_int_equal(poll_once(loop), 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(order[i], (i + 2) % 8);
}

static void deferred_calls_come_once_per_arming(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *source;

	LOOP(loop);
	assert_int_equal(vmm_event_add_defer(loop, seen_plain, &seen, &source), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ONESHOT);
	enable(source, VMM_EVENT_OFF);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 3);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN), -EINVAL);
}

static void rearm(void *ctx, struct vmm_event_source *source)
{
	struct seen *seen = ctx;

	seen->calls++;
	enable(source, VMM_EVENT_ONESHOT);
}

static void a_deferred_call_that_arms_itself_comes_once_a_round(void **state)
{
	struct seen seen = { 0 };

	LOOP(loop);
	assert_int_equal(vmm_event_add_defer(loop, rearm, &seen, NULL), 0);
	for (uint32_t i = 1; i < 10; i++) {
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(seen.calls, i);
	}
}

static void idle_calls_come_when_nothing_else_did(void **state)
{
	struct seen idle = { 0 }, busy = { .drain = true };
	struct vmm_event_source *source;
	int fd = make_eventfd(0);

	LOOP(loop);
	(void)add_fd(loop, fd, EPOLLIN, &busy);
	assert_int_equal(vmm_event_add_idle(loop, seen_plain, &idle, &source), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(idle.calls, 1);
	set_eventfd(fd, 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(idle.calls, 1);
	/* The loop does not wait while there is one. */
	assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
	assert_int_equal(idle.calls, 2);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	idle.remove_self = true;
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	close(fd);
}

static void the_quiescent_hook_comes_once_a_round(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen[2] = { 0 }, rounds = { 0 };
	int fd = make_eventfd(1);

	opts.after_round = seen_post;
	opts.ctx = &rounds;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	(void)add_fd(loop, fd, EPOLLIN, &seen[0]);
	(void)add_fd(loop, fd, EPOLLIN, &seen[1]);
	assert_int_equal(poll_once(loop), 2);
	assert_int_equal(rounds.calls, 1);
	clear_eventfd(fd);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(rounds.calls, 2);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priorities_order_a_round),
		cmocka_unit_test(equal_priorities_keep_their_order),
		cmocka_unit_test(deferred_calls_come_once_per_arming),
		cmocka_unit_test(a_deferred_call_that_arms_itself_comes_once_a_round),
		cmocka_unit_test(idle_calls_come_when_nothing_else_did),
		cmocka_unit_test(the_quiescent_hook_comes_once_a_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

#include <signal.h>
#include <sys/signalfd.h>

/* Every public function once, from the outside of the shared library. */

_Static_assert(sizeof(struct vmm_event_opts) ==
		   sizeof(size_t) + 6 * sizeof(uint32_t) + 2 * sizeof(void *),
	       "the options have no hidden padding");
_Static_assert(sizeof(struct vmm_event_times) ==
		   (3 + VMM_EVENT_BUCKETS) * sizeof(uint64_t),
	       "times have no hidden padding");
_Static_assert(sizeof(struct vmm_event_stats) == sizeof(size_t) + 5 * sizeof(uint64_t) +
						     2 * sizeof(struct vmm_event_times),
	       "statistics have no hidden padding");

static void on_signal(void *ctx, struct vmm_event_source *source,
		      const struct signalfd_siginfo *info)
{
	*(uint32_t *)ctx = info->ssi_signo;
}

static int answer(void *ctx)
{
	return 42;
}

static void every_function_is_there(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	struct vmm_event_stats stats = VMM_EVENT_STATS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct vmm_event_source *fd_source, *timer, *defer;
	struct seen fds = { 0 }, counts = { 0 }, posts = { 0 }, plain = { 0 };
	uint32_t signo = 0, n = 0;
	int fd = make_eventfd(1), taken = make_eventfd(1), counted = make_eventfd(1);
	int code = 0, result = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	opts.after_round = seen_post;
	opts.ctx = &posts;
	opts.measure = 1;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	assert_true(vmm_event_get_fd(loop) >= 0);
	assert_int_equal(vmm_event_add_fd(loop, fd, EPOLLIN, seen_fd, &fds, &fd_source),
			 0);
	assert_int_equal(vmm_event_take_fd(loop, taken, EPOLLIN, seen_fd, &fds, NULL), 0);
	assert_int_equal(vmm_event_add_eventfd(loop, counted, seen_count, &counts, NULL),
			 0);
	assert_int_equal(
	    vmm_event_add_timer(loop, CLOCK_MONOTONIC, seen_count, &counts, &timer), 0);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR1, on_signal, &signo, NULL), 0);
	assert_int_equal(vmm_event_add_defer(loop, seen_plain, &plain, &defer), 0);
	assert_int_equal(vmm_event_add_idle(loop, seen_plain, &plain, NULL), 0);
	assert_int_equal(vmm_event_source_set_timer(timer, 1000000, 0), 0);
	assert_int_equal(vmm_event_source_set_timer_at(timer, 1, 0), 0);
	assert_int_equal(vmm_event_source_set_priority(defer, VMM_EVENT_PRIORITY_FIRST),
			 0);
	assert_int_equal(vmm_event_source_set_events(fd_source, EPOLLIN | EPOLLOUT), 0);
	assert_int_equal(vmm_event_source_set_enabled(fd_source, VMM_EVENT_ONESHOT), 0);
	assert_int_equal(vmm_event_source_get_enabled(fd_source), VMM_EVENT_ONESHOT);
	assert_ptr_equal(vmm_event_source_get_loop(fd_source), loop);
	assert_false(vmm_event_source_is_quiet(fd_source));
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(vmm_event_run_once(loop, 1000000, &n), 0);
	assert_int_equal(n, 6);
	assert_int_equal(signo, SIGUSR1);
	assert_int_equal(fds.calls, 2);
	assert_int_equal(counts.calls, 2);
	assert_int_equal(posts.calls, 1);
	assert_int_equal(vmm_event_call(loop, answer, NULL, &result), 0);
	assert_int_equal(result, 42);
	assert_int_equal(vmm_event_post(loop, seen_post, &posts), 0);
	assert_int_equal(vmm_event_get_stats(loop, &stats), 0);
	assert_int_equal(stats.callbacks, 6);
	assert_int_equal(stats.late.count, 1);
	assert_true(vmm_event_stats_quantile(&stats.rounds, 500000) ==
		    stats.rounds.longest_ns);
	vmm_event_source_stop_timer(timer);
	vmm_event_source_remove(timer);
	vmm_event_stop(loop, 5);
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, 5);
	vmm_event_start(loop);
	assert_int_equal(vmm_event_run_once(loop, 0, NULL), 0);
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	close(fd);
	close(counted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

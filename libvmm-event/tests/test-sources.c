/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define MS UINT64_C(1000000)

static uint64_t now(int clock)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct vmm_event_source *add_timer(struct vmm_event *loop, int clock,
					  struct seen *seen)
{
	struct vmm_event_source *source = NULL;

	assert_int_equal(vmm_event_add_timer(loop, clock, seen_count, seen, &source), 0);
	return source;
}

static void set_timer(struct vmm_event_source *source, uint64_t first, uint64_t period)
{
	assert_int_equal(vmm_event_source_set_timer(source, first, period), 0);
}

static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };

static void a_timer_expires_once_and_not_early_on_each_clock(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(clocks); i++) {
		struct seen seen = { 0 };
		uint64_t start;

		LOOP(loop);
		struct vmm_event_source *timer = add_timer(loop, clocks[i], &seen);

		assert_int_equal(poll_once(loop), 0);
		start = now(CLOCK_MONOTONIC);
		set_timer(timer, 20 * MS, 0);
		assert_int_equal(poll_once(loop), 0);
		assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
		assert_true(now(CLOCK_MONOTONIC) - start >= 20 * MS);
		assert_int_equal(seen.calls, 1);
		assert_int_equal(seen.sum, 1);
		assert_int_equal(vmm_event_run_once(loop, (int64_t)(30 * MS), NULL), 0);
		assert_int_equal(seen.calls, 1);
	}
}

static void a_periodic_timer_counts_what_was_missed(void **state)
{
	struct seen seen = { 0 };

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	set_timer(timer, 20 * MS, 10 * MS);
	usleep(65000);
	assert_int_equal(poll_once(loop), 1);
	assert_true(seen.sum >= 5);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
	assert_true(seen.sum >= 6);
	assert_int_equal(seen.calls, 2);
}

static void an_absolute_timer_follows_its_clock(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(clocks); i++) {
		struct seen seen = { 0 };
		uint64_t at = now(clocks[i]) + 15 * MS;

		LOOP(loop);
		struct vmm_event_source *timer = add_timer(loop, clocks[i], &seen);

		assert_int_equal(vmm_event_source_set_timer_at(timer, at, 0), 0);
		assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
		assert_int_equal(seen.calls, 1);
		assert_true(now(clocks[i]) >= at);
		/* The past, and the clock's zero. */
		assert_int_equal(vmm_event_source_set_timer_at(timer, at - MS, 0), 0);
		assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
		assert_int_equal(vmm_event_source_set_timer_at(timer, 0, 0), 0);
		assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
		assert_int_equal(seen.calls, 3);
	}
}

/* A zero silently stops the timer in the reference. */
static void a_time_of_zero_expires_at_once(void **state)
{
	struct seen seen = { 0 };

	LOOP(loop);
	set_timer(add_timer(loop, CLOCK_MONOTONIC, &seen), 0, 0);
	assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
	assert_int_equal(seen.calls, 1);
}

static void long_and_short_times_are_accepted(void **state)
{
	static const uint64_t far[] = { 3600000 * MS, INT64_MAX, UINT64_MAX };
	struct seen seen = { 0 };

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	for (size_t i = 0; i < VMM_ARRAY_LEN(far); i++) {
		set_timer(timer, far[i], far[i]);
		assert_int_equal(poll_once(loop), 0);
		/* Of these, the first may be past on a machine that is up for long. */
		assert_int_equal(vmm_event_source_set_timer_at(timer, far[i], far[i]), 0);
		assert_int_equal(poll_once(loop), far[i] < now(CLOCK_MONOTONIC) ? 1 : 0);
	}
	seen = (struct seen){ 0 };
	/* Ready all the time, and still one callback a round. */
	set_timer(timer, 1, 1);
	usleep(1000);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 1);
	assert_true(seen.sum >= 1000);
}

static void a_stopped_or_disabled_timer_does_not_call(void **state)
{
	struct seen seen = { 0 };

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	set_timer(timer, 1, 0);
	usleep(1000);
	vmm_event_source_stop_timer(timer);
	assert_int_equal(poll_once(loop), 0);
	set_timer(timer, 1, 0);
	enable(timer, VMM_EVENT_OFF);
	usleep(1000);
	assert_int_equal(poll_once(loop), 0);
	enable(timer, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	set_timer(timer, 1, 0);
	usleep(1000);
	assert_int_equal(poll_once(loop), 0);
	enable(timer, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 2);
}

static void set_far(void *ctx, struct vmm_event_source *source)
{
	set_timer(ctx, 3600000 * MS, 0);
}

static void set_near(void *ctx, struct vmm_event_source *source)
{
	set_timer(ctx, 0, 0);
}

static void stop_other_timer(void *ctx, struct vmm_event_source *source)
{
	vmm_event_source_stop_timer(ctx);
}

static void stopping_a_timer_takes_back_what_was_ready(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *defer;

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	set_timer(timer, 1, 0);
	usleep(1000);
	assert_int_equal(vmm_event_add_defer(loop, stop_other_timer, timer, &defer), 0);
	assert_int_equal(vmm_event_source_set_priority(defer, 0), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 0);
}

static void setting_a_timer_takes_back_what_was_ready(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *defer;

	LOOP(loop);
	struct vmm_event_source *timer = add_timer(loop, CLOCK_MONOTONIC, &seen);

	set_timer(timer, 1, 0);
	usleep(1000);
	assert_int_equal(vmm_event_add_defer(loop, set_far, timer, &defer), 0);
	assert_int_equal(vmm_event_source_set_priority(defer, 0), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 0);
	set_timer(timer, 1, 0);
	usleep(1000);
	vmm_event_source_remove(defer);
	assert_int_equal(vmm_event_add_defer(loop, set_near, timer, &defer), 0);
	assert_int_equal(vmm_event_source_set_priority(defer, 0), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 0);
	assert_int_equal(vmm_event_run_once(loop, -1, NULL), 0);
	assert_int_equal(seen.calls, 1);
}

static void only_timers_are_timers(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *defer, *none = NULL;
	static const int bad[] = { -1, 2, CLOCK_THREAD_CPUTIME_ID, CLOCK_REALTIME_ALARM };

	LOOP(loop);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		assert_int_equal(
		    vmm_event_add_timer(loop, bad[i], seen_count, &seen, &none), -EINVAL);
	assert_null(none);
	assert_int_equal(vmm_event_add_defer(loop, seen_plain, &seen, &defer), 0);
	assert_int_equal(vmm_event_source_set_timer(defer, 1, 1), -EINVAL);
	assert_int_equal(vmm_event_source_set_timer_at(defer, 1, 1), -EINVAL);
	vmm_event_source_stop_timer(defer);
	assert_int_equal(poll_once(loop), 1);
}

/* eventfd: test_read_write, test_write_overflow, test_read_nothing, test_clone */
static void an_eventfd_is_read_and_cleared(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(55), clone = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	LOOP(loop);
	assert_int_equal(vmm_event_add_eventfd(loop, fd, seen_count, &seen, NULL), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.sum, 55);
	assert_int_equal(poll_once(loop), 0);
	set_eventfd(clone, 923);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.sum, 55 + 923);
	set_eventfd(fd, UINT64_MAX - 1);
	assert_int_equal(write(fd, &(uint64_t){ 1 }, 8), -1);
	seen.sum = 0;
	assert_int_equal(poll_once(loop), 1);
	assert_true(seen.sum == UINT64_MAX - 1);
	set_eventfd(fd, 1);
	close(fd);
	close(clone);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
}

static void semaphores_and_blocking_eventfds_work(void **state)
{
	static const struct {
		int flags;
		uint32_t rounds;
	} cases[] = {
		{ EFD_CLOEXEC, 1 },
		{ EFD_CLOEXEC | EFD_SEMAPHORE, 3 },
		{ EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK, 3 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct seen seen = { 0 };
		int fd = eventfd(3, cases[i].flags);

		LOOP(loop);
		assert_int_equal(vmm_event_add_eventfd(loop, fd, seen_count, &seen, NULL),
				 0);
		for (uint32_t n = 0; n < cases[i].rounds; n++)
			assert_int_equal(poll_once(loop), 1);
		assert_int_equal(poll_once(loop), 0);
		assert_int_equal(seen.sum, 3);
		close(fd);
	}
}

static void steal_count(void *ctx, struct vmm_event_source *source)
{
	uint64_t value;

	assert_int_equal(read(*(const int *)ctx, &value, sizeof(value)), sizeof(value));
}

static void an_eventfd_that_somebody_else_reads_does_not_block(void **state)
{
	static const int flags[] = { 0, EFD_NONBLOCK };

	for (size_t i = 0; i < VMM_ARRAY_LEN(flags); i++) {
		struct seen seen = { 0 };
		struct vmm_event_source *defer;
		int fd = eventfd(3, EFD_CLOEXEC | flags[i]);

		LOOP(loop);
		assert_int_equal(vmm_event_add_eventfd(loop, fd, seen_count, &seen, NULL),
				 0);
		assert_int_equal(vmm_event_add_defer(loop, steal_count, &fd, &defer), 0);
		assert_int_equal(vmm_event_source_set_priority(defer, 0), 0);
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(seen.calls, 0);
		close(fd);
	}
}

static void a_one_shot_eventfd_keeps_later_counts(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *source;
	int fd = make_eventfd(3);

	LOOP(loop);
	assert_int_equal(vmm_event_add_eventfd(loop, fd, seen_count, &seen, &source), 0);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	set_eventfd(fd, 4);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.sum, 7);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN), -EINVAL);
	close(fd);
}

static void what_is_no_eventfd_is_disabled(void **state)
{
	struct seen seen = { .sum = 1 };
	struct vmm_event_source *source;
	int pipe_fd[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	LOOP(loop);
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(
	    vmm_event_add_eventfd(loop, pipe_fd[0], seen_count, &seen, &source), 0);
	assert_int_equal(write(pipe_fd[1], "abc", 3), 3);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.sum, 1);
	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_OFF);
	assert_int_equal(vmm_event_add_eventfd(loop, null, seen_count, &seen, NULL),
			 -EPERM);
	assert_int_equal(poll_once(loop), 0);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	close(null);
}

struct caught {
	uint32_t calls;
	int signo;
	int value;
	bool remove;
	uint32_t code;
};

static void catch (void *ctx, struct vmm_event_source *source,
		   const struct signalfd_siginfo *info)
{
	struct caught *c = ctx;

	c->calls++;
	c->signo = (int)info->ssi_signo;
	c->value = info->ssi_int;
	c->code = (uint32_t)info->ssi_code;
	if (c->remove)
		vmm_event_source_remove(source);
}

static void block(int signo, int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

static void a_signal_is_delivered_with_its_details(void **state)
{
	struct caught c = { 0 };

	block(SIGUSR1, SIG_BLOCK);
	LOOP(loop);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR1, catch, &c, NULL), 0);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(c.signo, SIGUSR1);
	assert_int_equal(c.code, SI_USER);
	/* Sent to this thread; twice before the round is once. */
	assert_int_equal(pthread_kill(pthread_self(), SIGUSR1), 0);
	assert_int_equal(pthread_kill(pthread_self(), SIGUSR1), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(c.calls, 2);
	block(SIGUSR1, SIG_UNBLOCK);
}

static void bad_signals_are_refused(void **state)
{
	static const int bad[] = { INT32_MIN, -1, 0,  SIGKILL,	SIGSTOP,
				   32,	      33, 65, INT32_MAX };
	struct vmm_event_source *none = NULL, *source;
	struct caught c = { 0 };

	LOOP(loop);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		assert_int_equal(vmm_event_add_signal(loop, bad[i], catch, &c, &none),
				 -EINVAL);
	assert_int_equal(vmm_event_add_signal(loop, SIGRTMAX + 1, catch, &c, &none),
			 -EINVAL);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR2, catch, &c, &none), -EBUSY);
	block(SIGUSR2, SIG_BLOCK);
	block(SIGRTMAX, SIG_BLOCK);
	assert_int_equal(vmm_event_add_signal(loop, SIGRTMAX, catch, &c, NULL), 0);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR2, catch, &c, &source), 0);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR2, catch, &c, &none), -EEXIST);
	vmm_event_source_remove(source);
	assert_int_equal(vmm_event_add_signal(loop, SIGUSR2, catch, &c, NULL), 0);
	assert_null(none);
	block(SIGUSR2, SIG_UNBLOCK);
	block(SIGRTMAX, SIG_UNBLOCK);
}

static void queue_signals(int signo, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(
		    sigqueue(getpid(), signo, (union sigval){ .sival_int = i }), 0);
}

static void queued_signals_come_in_order_within_the_budget(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct caught c = { 0 };

	opts.budget = 4;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	block(SIGRTMIN, SIG_BLOCK);
	assert_int_equal(vmm_event_add_signal(loop, SIGRTMIN, catch, &c, NULL), 0);
	queue_signals(SIGRTMIN, 10);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(poll_once(loop), i < 2 ? 4 : 2);
		assert_int_equal(c.value, i < 2 ? 4 * i + 3 : 9);
	}
	block(SIGRTMIN, SIG_UNBLOCK);
}

static void a_removed_signal_source_leaves_the_rest_pending(void **state)
{
	struct caught c = { .remove = true };
	struct vmm_event_source *source;

	LOOP(loop);
	block(SIGRTMIN, SIG_BLOCK);
	assert_int_equal(vmm_event_add_signal(loop, SIGRTMIN, catch, &c, NULL), 0);
	queue_signals(SIGRTMIN, 3);
	assert_int_equal(poll_once(loop), 1);
	c.remove = false;
	assert_int_equal(vmm_event_add_signal(loop, SIGRTMIN, catch, &c, &source), 0);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(c.value, 1);
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(c.value, 2);
	block(SIGRTMIN, SIG_UNBLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_expires_once_and_not_early_on_each_clock),
		cmocka_unit_test(a_periodic_timer_counts_what_was_missed),
		cmocka_unit_test(an_absolute_timer_follows_its_clock),
		cmocka_unit_test(a_time_of_zero_expires_at_once),
		cmocka_unit_test(long_and_short_times_are_accepted),
		cmocka_unit_test(a_stopped_or_disabled_timer_does_not_call),
		cmocka_unit_test(stopping_a_timer_takes_back_what_was_ready),
		cmocka_unit_test(setting_a_timer_takes_back_what_was_ready),
		cmocka_unit_test(only_timers_are_timers),
		cmocka_unit_test(an_eventfd_is_read_and_cleared),
		cmocka_unit_test(semaphores_and_blocking_eventfds_work),
		cmocka_unit_test(an_eventfd_that_somebody_else_reads_does_not_block),
		cmocka_unit_test(a_one_shot_eventfd_keeps_later_counts),
		cmocka_unit_test(what_is_no_eventfd_is_disabled),
		cmocka_unit_test(a_signal_is_delivered_with_its_details),
		cmocka_unit_test(bad_signals_are_refused),
		cmocka_unit_test(queued_signals_come_in_order_within_the_budget),
		cmocka_unit_test(a_removed_signal_source_leaves_the_rest_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */

/* Takes the place of src/sys.c: the linker finds these functions first. Each call can
 * be made to fail, by its number or by what it is. */

#include "event-test.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "internal.h"

enum what {
	ANY,
	EPOLL_CREATE,
	CTL_ADD,
	CTL_MOD,
	CTL_DEL,
	EVENTFD,
	TIMERFD,
	TIMERFD_SET,
	SIGNALFD,
	DUP,
	DUP_TO,
	CALLOC,
	REALLOC,
	WAIT_NS,
};

static struct {
	enum what what; /* ANY: all of them count */
	uint32_t after; /* so many succeed first; 0: none left to fail */
	uint32_t times; /* so many fail then */
	uint32_t failed;
} fault;

static void arm(enum what what, uint32_t after, uint32_t times)
{
	fault.what = what;
	fault.after = after;
	fault.times = times;
	fault.failed = 0;
}

static bool fails(enum what what)
{
	if (fault.times == 0 || (fault.what != ANY && fault.what != what))
		return false;
	if (fault.after > 0) {
		fault.after--;
		return false;
	}
	fault.times--;
	fault.failed++;
	return true;
}

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

int sys_epoll_create(void)
{
	return fails(EPOLL_CREATE) ? -EMFILE : result(epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = { .events = events, .data.ptr = ptr };

	/* The probe (no operation) has no failure of its own. */
	if (op == EPOLL_CTL_ADD && fails(CTL_ADD))
		return -ENOSPC;
	if ((op == EPOLL_CTL_MOD && fails(CTL_MOD)) ||
	    (op == EPOLL_CTL_DEL && fails(CTL_DEL)))
		return -ENOMEM;
	return result(epoll_ctl(epfd, op, fd, &ev));
}

int sys_epoll_wait_ns(int epfd, struct epoll_event *events, int max, uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000),
			       .tv_nsec = (long)(ns % 1000000000) };

	return fails(WAIT_NS) ? -ENOSYS
			      : result(epoll_pwait2(epfd, events, max, &ts, NULL));
}

int sys_eventfd(void)
{
	return fails(EVENTFD) ? -EMFILE : result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int sys_timerfd(int clock)
{
	return fails(TIMERFD) ? -EMFILE
			      : result(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK));
}

int sys_timerfd_set(int fd, int flags, uint64_t first_ns, uint64_t period_ns)
{
	struct itimerspec its = { .it_value.tv_nsec = (long)first_ns,
				  .it_interval.tv_nsec = (long)period_ns };

	return fails(TIMERFD_SET) ? -ENOMEM
				  : result(timerfd_settime(fd, flags, &its, NULL));
}

int sys_signalfd(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return fails(SIGNALFD) ? -EMFILE
			       : result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int sys_dup(int fd)
{
	return fails(DUP) ? -EMFILE : result(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int sys_dup_to(int fd, int to)
{
	return fails(DUP_TO) ? -EBUSY : result(dup3(fd, to, O_CLOEXEC));
}

void *sys_alloc(size_t size)
{
	return fails(CALLOC) ? NULL : aligned_alloc(64, (size + 63) / 64 * 64);
}

void *sys_calloc(size_t n, size_t size)
{
	return fails(CALLOC) ? NULL : calloc(n, size);
}

void *sys_realloc(void *p, size_t n, size_t size)
{
	return fails(REALLOC) ? NULL : reallocarray(p, n, size);
}

void sys_futex_wait(const uint32_t *word, uint32_t value)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void sys_futex_wake(const uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void nothing_post(void *ctx)
{
}

static void nothing_fd(void *ctx, struct vmm_event_source *source, int fd,
		       uint32_t events)
{
}

static void nothing_count(void *ctx, struct vmm_event_source *source, uint64_t count)
{
}

static void nothing_plain(void *ctx, struct vmm_event_source *source)
{
}

static void nothing_signal(void *ctx, struct vmm_event_source *source,
			   const struct signalfd_siginfo *info)
{
}

/* Adds one of each kind; true if every call worked. A failed call leaves its result
 * and the number of descriptors as they were. */
struct one_of_each {
	int fd;
	int taken;
};

static int add_kind(struct vmm_event *loop, int kind, struct one_of_each *one,
		    struct vmm_event_source **out)
{
	switch (kind) {
	case 0:
		return vmm_event_add_fd(loop, one->fd, EPOLLIN, nothing_fd, NULL, out);
	case 1:
		return vmm_event_take_fd(loop, one->taken, EPOLLIN, nothing_fd, NULL,
					 out);
	case 2:
		return vmm_event_add_eventfd(loop, one->fd, nothing_count, NULL, out);
	case 3:
		return vmm_event_add_timer(loop, CLOCK_MONOTONIC, nothing_count, NULL,
					   out);
	case 4:
		return vmm_event_add_signal(loop, SIGUSR1, nothing_signal, NULL, out);
	case 5:
		return vmm_event_add_defer(loop, nothing_plain, NULL, out);
	default:
		return vmm_event_add_idle(loop, nothing_plain, NULL, out);
	}
}

enum { KINDS = 7 };

static void each_failure_of_an_addition_is_returned_and_rolled_back(void **state)
{
	struct one_of_each one = { .fd = make_eventfd(0) };

	for (int kind = 0; kind < KINDS; kind++) {
		for (uint32_t nth = 0;; nth++) {
			struct vmm_event_source *source = NULL;
			int before, ret;

			arm(ANY, 0, 0);
			LOOP(loop);
			one.taken = make_eventfd(0);
			before = open_descriptors();
			arm(ANY, nth, 1);
			ret = add_kind(loop, kind, &one, &source);
			arm(ANY, 0, 0);
			assert_true((ret == 0) == (source != NULL));
			if (ret < 0) {
				assert_true(ret == -ENOMEM || ret == -ENOSPC ||
					    ret == -EMFILE);
				assert_int_equal(open_descriptors(), before);
				assert_true(list_empty(&loop->sources));
				assert_int_equal(loop->nr_sources, 0);
				/* It works when there is no failure. */
				assert_int_equal(add_kind(loop, kind, &one, &source), 0);
			}
			vmm_event_source_remove(source);
			if (kind == 1)
				assert_int_equal(fcntl(one.taken, F_GETFD), -1);
			else
				close(one.taken);
			assert_int_equal(poll_once(loop), 0);
			if (ret == 0)
				break;
		}
	}
	close(one.fd);
}

static void each_failure_of_a_new_loop_is_returned_and_rolled_back(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	int before = open_descriptors();

	opts.measure = 1;
	for (uint32_t nth = 0;; nth++) {
		struct vmm_event *loop = NULL;
		int ret;

		arm(ANY, nth, 1);
		ret = vmm_event_new(&opts, &loop);
		arm(ANY, 0, 0);
		vmm_event_free(loop);
		assert_int_equal(open_descriptors(), before);
		if (ret == 0)
			break;
		assert_null(loop);
		assert_true(nth < 20);
	}
}

static void a_batch_that_cannot_grow_refuses_the_source_only(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);
	uint32_t n = 0;

	LOOP(loop);
	for (uint32_t refused = 0; n < 300; n++) {
		arm(REALLOC, refused % 2, 1);
		int ret = vmm_event_add_fd(loop, fd, EPOLLIN, seen_fd, &seen, NULL);

		if (ret == 0)
			continue;
		assert_int_equal(ret, -ENOMEM);
		refused++;
		arm(ANY, 0, 0);
		assert_int_equal(poll_once(loop), n);
		(void)add_fd(loop, fd, EPOLLIN, &seen);
	}
	arm(ANY, 0, 0);
	assert_int_equal(poll_once(loop), n);
	close(fd);
}

static void changes_that_fail_change_nothing(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	arm(CTL_MOD, 0, 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT), -ENOMEM);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLIN);
	/* EPOLLEXCLUSIVE is deleted and added. */
	arm(CTL_DEL, 0, 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT | EPOLLEXCLUSIVE),
			 -ENOMEM);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLIN);
	arm(CTL_ADD, 0, 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT | EPOLLEXCLUSIVE),
			 -ENOSPC);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLIN);
	enable(source, VMM_EVENT_OFF);
	arm(CTL_ADD, 0, 1);
	assert_int_equal(vmm_event_source_set_enabled(source, VMM_EVENT_ON), -ENOSPC);
	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_OFF);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	close(fd);
}

static void a_timer_that_cannot_be_set_says_so(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen = { 0 };
	struct vmm_event_source *timer;
	struct ev_due due;

	opts.measure = 1;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	assert_int_equal(
	    vmm_event_add_timer(loop, CLOCK_MONOTONIC, seen_count, &seen, &timer), 0);
	due = timer->due;
	arm(TIMERFD_SET, 0, 1);
	assert_int_equal(vmm_event_source_set_timer(timer, 1, 0), -ENOMEM);
	assert_int_equal(poll_once(loop), 0);
	assert_memory_equal(&timer->due, &due, sizeof(due));
}

/* The kernel does not take a registration back. Whatever fails on the way, nothing is
 * called any more, nothing dangles, and it ends as soon as it can. */
static void registrations_that_stay_are_silenced_in_the_end(void **state)
{
	static const enum what steps[] = { EPOLL_CREATE, CTL_ADD, DUP_TO };

	for (size_t i = 0; i < VMM_ARRAY_LEN(steps); i++) {
		struct seen gone = { 0 }, off = { 0 }, stays = { 0 };
		int fd = make_eventfd(1), before;

		LOOP(loop);
		before = open_descriptors();
		struct vmm_event_source *a = add_fd(loop, fd, EPOLLIN, &gone);
		struct vmm_event_source *b = add_fd(loop, fd, EPOLLIN, &off);

		(void)add_fd(loop, fd, EPOLLIN, &stays);
		arm(CTL_DEL, 0, UINT32_MAX);
		vmm_event_source_remove(a);
		enable(b, VMM_EVENT_OFF);
		/* The loop's own list is replaced when the event comes; that fails,
		 * too, and is tried again in the next round. */
		loop->stale = true;
		arm(steps[i], 0, 1);
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(fault.failed, 1);
		arm(CTL_DEL, 0, UINT32_MAX);
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(loop->nr_removed, 0);
		assert_false(b->registered);
		arm(ANY, 0, 0);
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(gone.calls + off.calls, 0);
		assert_int_equal(stays.calls, 3);
		enable(b, VMM_EVENT_ON);
		assert_int_equal(poll_once(loop), 2);
		assert_int_equal(open_descriptors(), before + 2);
		close(fd);
	}
}

static void a_removal_that_fails_once_is_made_up_for(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	arm(CTL_DEL, 0, 1);
	vmm_event_source_remove(source);
	assert_int_equal(loop->nr_removed, 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(loop->nr_removed, 0);
	source = add_fd(loop, fd, EPOLLIN, &seen);
	arm(CTL_DEL, 0, 1);
	vmm_event_source_remove(source);
	/* Freed with the loop. */
	close(fd);
}

static void a_one_shot_that_stays_registered_is_called_once(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN | EPOLLONESHOT, &seen);

	arm(CTL_DEL, 0, 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ONESHOT);
	arm(CTL_DEL, 0, 1);
	assert_int_equal(poll_once(loop), 1);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 3);
	close(fd);
}

static void quietness_that_fails_is_tried_again(void **state)
{
	struct seen seen = { 0 };
	int fd[2], rounds = 0;

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd[0], EPOLLIN, &seen);

	close(fd[1]);
	arm(CTL_MOD, 0, 2);
	while (poll_once(loop) > 0)
		assert_true(++rounds < 20);
	assert_int_equal(fault.failed, 2);
	assert_true(vmm_event_source_is_quiet(source));
	/* And a failure to wake it leaves it quiet. */
	arm(CTL_MOD, 0, 1);
	assert_int_equal(vmm_event_source_set_enabled(source, VMM_EVENT_ON), -ENOMEM);
	assert_true(vmm_event_source_is_quiet(source));
	close(fd[0]);
}

static void without_pwait2_waits_are_rounded_up(void **state)
{
	struct timespec start, end;
	uint32_t n = 1;

	LOOP(loop);
	arm(WAIT_NS, 0, 1);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &start), 0);
	assert_int_equal(vmm_event_run_once(loop, 2000001, &n), 0);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &end), 0);
	assert_int_equal(fault.failed, 1);
	assert_int_equal(n, 0);
	assert_true((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec -
			start.tv_nsec >=
		    2000001);
	/* A time beyond what epoll_wait(2) takes is cut, not wrapped. */
	assert_int_equal(vmm_event_post(loop, nothing_post, NULL), 0);
	arm(WAIT_NS, 0, 1);
	assert_int_equal(vmm_event_run_once(loop, INT64_MAX, &n), 0);
	assert_int_equal(n, 1);
}

static int block_usr1(void **state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_of_an_addition_is_returned_and_rolled_back),
		cmocka_unit_test(each_failure_of_a_new_loop_is_returned_and_rolled_back),
		cmocka_unit_test(a_batch_that_cannot_grow_refuses_the_source_only),
		cmocka_unit_test(changes_that_fail_change_nothing),
		cmocka_unit_test(a_timer_that_cannot_be_set_says_so),
		cmocka_unit_test(registrations_that_stay_are_silenced_in_the_end),
		cmocka_unit_test(a_removal_that_fails_once_is_made_up_for),
		cmocka_unit_test(a_one_shot_that_stays_registered_is_called_once),
		cmocka_unit_test(quietness_that_fails_is_tried_again),
		cmocka_unit_test(without_pwait2_waits_are_rounded_up),
	};

	return cmocka_run_group_tests(tests, block_usr1, NULL);
}

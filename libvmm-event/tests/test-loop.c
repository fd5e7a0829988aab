/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

#include <poll.h>
#include <sys/resource.h>

static void options_are_checked(void **state)
{
	static const struct {
		uint32_t events, posts, budget;
		int want;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 1, 1, 1, 0 },
		{ VMM_EVENT_MAX_EVENTS, 1, VMM_EVENT_MAX_BUDGET, 0 },
		{ VMM_EVENT_MAX_EVENTS + 1, 0, 0, -EINVAL },
		{ UINT32_MAX, 0, 0, -EINVAL },
		{ 0, VMM_EVENT_MAX_POSTS, 0, 0 },
		{ 0, VMM_EVENT_MAX_POSTS + 1, 0, -EINVAL },
		{ 0, 0, VMM_EVENT_MAX_BUDGET + 1, -EINVAL },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
		struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;

		opts.max_events = cases[i].events;
		opts.max_posts = cases[i].posts;
		opts.budget = cases[i].budget;
		assert_int_equal(vmm_event_new(&opts, &loop), cases[i].want);
		assert_true((loop != NULL) == (cases[i].want == 0));
		if (loop)
			assert_int_equal(poll_once(loop), 0);
	}
}

static void option_structs_of_other_versions_are_read(void **state)
{
	struct {
		struct vmm_event_opts opts;
		uint64_t more;
	} newer = { VMM_EVENT_OPTS_INIT, 0 };
	struct vmm_event_opts older = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *a = NULL;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *b = NULL;
	struct vmm_event *none = NULL;

	newer.opts.size = sizeof(newer);
	assert_int_equal(vmm_event_new(&newer.opts, &a), 0);
	newer.more = 1;
	assert_int_equal(vmm_event_new(&newer.opts, &none), -E2BIG);
	/* What lies behind `size` is not looked at. */
	older.size = offsetof(struct vmm_event_opts, max_posts);
	older.max_posts = UINT32_MAX;
	assert_int_equal(vmm_event_new(&older, &b), 0);
	older.size = 0;
	assert_int_equal(vmm_event_new(&older, &none), -EINVAL);
	assert_null(none);
}

static void free_takes_null_and_closes_everything(void **state)
{
	int before = open_descriptors();
	struct vmm_event *loop = NULL;
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	vmm_event_free(NULL);
	vmm_event_source_remove(NULL);
	assert_int_equal(vmm_event_new(NULL, &loop), 0);
	(void)add_fd(loop, fd, EPOLLIN, &seen);
	assert_int_equal(
	    vmm_event_add_timer(loop, CLOCK_MONOTONIC, seen_count, &seen, NULL), 0);
	assert_int_equal(vmm_event_add_defer(loop, seen_plain, &seen, NULL), 0);
	vmm_event_free(loop);
	assert_int_equal(seen.calls, 0);
	close(fd);
	assert_int_equal(open_descriptors(), before);
}

static void every_descriptor_is_closed_on_exec(void **state)
{
	struct seen seen = { 0 };
	bool was_open[256];
	int fd = make_eventfd(0), checked = 0;

	for (int i = 0; i < 256; i++)
		was_open[i] = fcntl(i, F_GETFD) >= 0;
	LOOP(loop);
	(void)add_fd(loop, fd, EPOLLIN, &seen);
	assert_int_equal(
	    vmm_event_add_timer(loop, CLOCK_BOOTTIME, seen_count, &seen, NULL), 0);
	for (int i = 0; i < 256; i++) {
		int flags = was_open[i] ? -1 : fcntl(i, F_GETFD);

		assert_true(flags < 0 || flags & FD_CLOEXEC);
		checked += flags >= 0;
	}
	/* Epoll, the wake-up, the duplicate and the timer. */
	assert_int_equal(checked, 4);
	close(fd);
}

static void the_callback_gets_what_was_added(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(3);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN | EPOLLOUT, &seen);

	assert_ptr_equal(vmm_event_source_get_loop(source), loop);
	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.fd, fd);
	assert_int_equal(seen.events, EPOLLIN | EPOLLOUT);
	assert_ptr_equal(seen.source, source);
	close(fd);
}

static void what_cannot_be_added_is_refused_and_leaves_nothing(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *none = NULL;
	int fd = make_eventfd(0), closed = make_eventfd(0), before;

	LOOP(loop);
	before = open_descriptors();
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(closed);
	const struct {
		int fd;
		uint32_t events;
		int want;
	} cases[] = {
		{ -1, EPOLLIN, -EBADF },
		{ INT32_MIN, EPOLLIN, -EBADF },
		{ closed, EPOLLIN, -EBADF },
		{ fd, 1u << 20, -EINVAL },
		{ fd, EPOLLEXCLUSIVE | EPOLLRDHUP, -EINVAL },
		{ vmm_event_get_fd(loop), EPOLLIN, -EINVAL },
		{ dir, EPOLLIN, -EPERM },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		assert_int_equal(vmm_event_add_fd(loop, cases[i].fd, cases[i].events,
						  seen_fd, &seen, &none),
				 cases[i].want);
		assert_int_equal(vmm_event_take_fd(loop, cases[i].fd, cases[i].events,
						   seen_fd, &seen, &none),
				 cases[i].want);
		assert_null(none);
	}
	assert_int_equal(vmm_event_add_eventfd(loop, -1, seen_count, &seen, &none),
			 -EBADF);
	assert_int_equal(vmm_event_add_eventfd(loop, dir, seen_count, &seen, &none),
			 -EPERM);
	/* A refused descriptor is still the caller's. */
	assert_int_equal(close(dir), 0);
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(poll_once(loop), 0);
	close(fd);
}

/* test_register */
struct adder {
	struct vmm_event *loop;
	int fd;
	struct seen own, other;
};

static void add_another(void *ctx, struct vmm_event_source *source, int fd,
			uint32_t events)
{
	struct adder *a = ctx;

	if (a->own.calls++ == 0)
		(void)add_fd(a->loop, a->fd, EPOLLIN, &a->other);
}

static void a_source_added_in_a_callback_waits_for_the_next_round(void **state)
{
	int one = make_eventfd(1);
	struct adder a = { .fd = make_eventfd(1) };

	LOOP(loop);
	a.loop = loop;
	assert_int_equal(vmm_event_add_fd(loop, one, EPOLLIN, add_another, &a, NULL), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(a.other.calls, 0);
	assert_int_equal(poll_once(loop), 2);
	assert_int_equal(a.own.calls, 2);
	assert_int_equal(a.other.calls, 1);
	close(one);
	close(a.fd);
}

/* test_unregister, test_remove_subscriber */
static void a_removed_source_is_not_called_again(void **state)
{
	struct seen inside = { .remove_self = true }, outside = { 0 };
	int a = make_eventfd(1), b = make_eventfd(1);

	LOOP(loop);
	(void)add_fd(loop, a, EPOLLIN, &inside);
	struct vmm_event_source *source = add_fd(loop, b, EPOLLIN, &outside);

	assert_int_equal(poll_once(loop), 2);
	vmm_event_source_remove(source);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(inside.calls, 1);
	assert_int_equal(outside.calls, 1);
	close(a);
	close(b);
}

static void removal_takes_back_what_is_ready_in_the_same_round(void **state)
{
	struct seen seen[2] = { 0 };
	struct vmm_event_source *source[2];
	int fd[2];

	LOOP(loop);
	for (int i = 0; i < 2; i++) {
		fd[i] = make_eventfd(1);
		source[i] = add_fd(loop, fd[i], EPOLLIN, &seen[i]);
	}
	/* Whichever comes first removes the other. */
	seen[0].remove_other = source[1];
	seen[1].remove_other = source[0];
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen[0].calls + seen[1].calls, 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen[0].calls + seen[1].calls, 2);
	close(fd[0]);
	close(fd[1]);
}

/* test_modify */
static void events_can_be_changed(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(0);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLOUT, &seen);

	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLOUT);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN), 0);
	assert_int_equal(poll_once(loop), 0);
	set_eventfd(fd, 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLIN);
	assert_int_equal(vmm_event_source_set_events(source, 0), 0);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(vmm_event_source_set_events(source, 1u << 25), -EINVAL);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLONESHOT), -EINVAL);
	close(fd);
}

static void flip_other(void *ctx, struct vmm_event_source *source, int fd,
		       uint32_t events)
{
	struct vmm_event_source **other = ctx;

	assert_int_equal(vmm_event_source_set_events(*other, EPOLLOUT), 0);
}

static void changed_events_are_not_reported_from_before_the_change(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *second, *first;
	int a = make_eventfd(1), b = make_eventfd(1);

	LOOP(loop);
	assert_int_equal(vmm_event_add_fd(loop, a, EPOLLIN, flip_other, &second, &first),
			 0);
	assert_int_equal(vmm_event_source_set_priority(first, 0), 0);
	second = add_fd(loop, b, EPOLLIN, &seen);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 0);
	vmm_event_source_remove(first);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLOUT);
	close(a);
	close(b);
}

/* test_single_threaded */
static void only_what_is_ready_is_called(void **state)
{
	enum { N = 100 };
	struct seen seen[N] = { 0 };
	int fd[N];
	static const int triggered[] = { 0, 23, 42, 66 };

	LOOP(loop);
	for (int i = 0; i < N; i++) {
		fd[i] = make_eventfd(0);
		(void)add_fd(loop, fd[i], EPOLLIN, &seen[i]);
	}
	assert_int_equal(poll_once(loop), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(triggered); i++)
		set_eventfd(fd[triggered[i]], 1);
	assert_int_equal(poll_once(loop), 4);
	for (size_t i = 0; i < VMM_ARRAY_LEN(triggered); i++)
		clear_eventfd(fd[triggered[i]]);
	assert_int_equal(poll_once(loop), 0);
	for (int i = 0; i < N; i++) {
		bool was = i == 0 || i == 23 || i == 42 || i == 66;

		assert_int_equal(seen[i].calls, was ? 1 : 0);
		close(fd[i]);
	}
}

/* test_diff_type_subscribers, test_one_type_subscriber */
static void level_triggered_sources_are_called_in_each_round(void **state)
{
	struct seen fds[6] = { 0 }, count = { 0 }, idle = { 0 };
	int fd[6], counted = make_eventfd(0);

	LOOP(loop);
	for (int i = 0; i < 6; i++) {
		fd[i] = make_eventfd(1);
		(void)add_fd(loop, fd[i], EPOLLIN, &fds[i]);
	}
	assert_int_equal(vmm_event_add_eventfd(loop, counted, seen_count, &count, NULL),
			 0);
	assert_int_equal(vmm_event_add_idle(loop, seen_plain, &idle, NULL), 0);
	for (int round = 0; round < 100; round++) {
		set_eventfd(counted, 2);
		assert_int_equal(poll_once(loop), 7);
	}
	for (int i = 0; i < 6; i++) {
		assert_int_equal(fds[i].calls, 100);
		close(fd[i]);
	}
	assert_int_equal(count.calls, 100);
	assert_int_equal(count.sum, 200);
	assert_int_equal(idle.calls, 0);
	close(counted);
}

/* test_max_ready_list_size: fewer places than what is ready delays, but loses nothing */
static void a_small_batch_takes_turns(void **state)
{
	enum { N = 33, BATCH = 16 };
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen[N] = { 0 };
	int fd[N];

	opts.max_events = BATCH;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	for (int i = 0; i < N; i++) {
		fd[i] = make_eventfd(1);
		(void)add_fd(loop, fd[i], EPOLLIN, &seen[i]);
	}
	for (int round = 0; round < 3 * N; round++)
		assert_int_equal(poll_once(loop), BATCH);
	for (int i = 0; i < N; i++) {
		assert_int_equal(seen[i].calls, 3 * BATCH);
		close(fd[i]);
	}
}

/* test_reuse_file_descriptor: three ready descriptors are removed and their numbers
 * reused and added again within the first callback. */
struct reuse {
	struct vmm_event *loop;
	struct vmm_event_source *source[3];
	int fd[3];
	uint32_t calls;
};

static void reuse_all(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct reuse *r = ctx;

	if (r->calls++ > 0)
		return;
	for (int i = 0; i < 3; i++) {
		vmm_event_source_remove(r->source[i]);
		assert_int_equal(close(r->fd[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		r->fd[i] = make_eventfd(0);
		assert_int_equal(vmm_event_add_fd(r->loop, r->fd[i], EPOLLIN, reuse_all,
						  r, &r->source[i]),
				 0);
	}
}

static void reused_descriptors_see_no_stale_event(void **state)
{
	struct reuse r = { 0 };

	LOOP(loop);
	r.loop = loop;
	for (int i = 0; i < 3; i++) {
		r.fd[i] = make_eventfd(1);
		assert_int_equal(
		    vmm_event_add_fd(loop, r.fd[i], EPOLLIN, reuse_all, &r, &r.source[i]),
		    0);
	}
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(r.calls, 1);
	for (int i = 0; i < 3; i++)
		close(r.fd[i]);
}

static void ten_thousand_descriptors_work(void **state)
{
	enum { N = 10000 };
	struct rlimit limit;
	uint32_t n = N, total = 0;
	struct seen seen = { .drain = true };
	int *fd = calloc(N, sizeof(*fd));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < N + 200)
		n = (uint32_t)limit.rlim_cur - 200;
	LOOP(loop);
	for (uint32_t i = 0; i < n; i++) {
		fd[i] = make_eventfd(0);
		assert_int_equal(
		    vmm_event_take_fd(loop, fd[i], EPOLLIN, seen_fd, &seen, NULL), 0);
	}
	for (uint32_t i = 0; i < n; i += 7)
		set_eventfd(fd[i], 1);
	for (uint32_t got; (got = poll_once(loop)) > 0; total += got)
		assert_true(got <= 1024);
	assert_int_equal(total, (n + 6) / 7);
	assert_int_equal(seen.calls, total);
	free(fd);
}

static void edges_are_reported_once(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	(void)add_fd(loop, fd, EPOLLIN | EPOLLET, &seen);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	set_eventfd(fd, 1);
	assert_int_equal(poll_once(loop), 1);
	close(fd);
}

static void every_bit_of_epoll_is_understood(void **state)
{
	static const uint32_t bits[] = { EPOLLIN,     EPOLLOUT,
					 EPOLLPRI,    EPOLLERR,
					 EPOLLHUP,    EPOLLRDHUP,
					 EPOLLET,     EPOLLEXCLUSIVE | EPOLLIN,
					 EPOLLWAKEUP, EPOLLONESHOT };
	struct seen seen = { 0 };
	int fd = make_eventfd(0);

	LOOP(loop);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bits); i++) {
		vmm_event_source_remove(add_fd(loop, fd, bits[i], &seen));
		vmm_event_source_remove(add_fd(loop, fd, bits[i] | EPOLLIN, &seen));
	}
	close(fd);
}

static void exclusive_wakeups_can_be_asked_for_and_given_up(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source =
	    add_fd(loop, fd, EPOLLIN | EPOLLEXCLUSIVE, &seen);

	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT | EPOLLEXCLUSIVE),
			 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLOUT);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN | EPOLLEXCLUSIVE),
			 0);
	assert_int_equal(poll_once(loop), 1);
	close(fd);
}

static void disabled_sources_wait(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	enable(source, VMM_EVENT_OFF);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN | EPOLLOUT), 0);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLIN | EPOLLOUT);
	assert_int_equal(vmm_event_source_set_enabled(source, 3), -EINVAL);
	assert_int_equal(vmm_event_source_set_enabled(source, -1), -EINVAL);
	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_ON);
	close(fd);
}

static void one_shot_sources_are_called_once_per_arming(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN | EPOLLONESHOT, &seen);

	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_ONESHOT);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(poll_once(loop), 0);
		assert_int_equal(seen.calls, i);
		assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_OFF);
		enable(source, VMM_EVENT_ONESHOT);
	}
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 1);
	close(fd);
}

static void run_inside(void *ctx, struct vmm_event_source *source)
{
	struct vmm_event *loop = ctx;

	assert_int_equal(vmm_event_run(loop, NULL), -EBUSY);
	assert_int_equal(vmm_event_run_once(loop, 0, NULL), -EBUSY);
}

static void a_loop_does_not_run_within_itself(void **state)
{
	LOOP(loop);
	assert_int_equal(vmm_event_add_defer(loop, run_inside, loop, NULL), 0);
	assert_int_equal(poll_once(loop), 1);
}

static void run_inner(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	(void)poll_once(ctx);
}

static void loops_nest(void **state)
{
	struct seen seen = { .drain = true }, defer = { 0 };
	struct vmm_event_source *source;
	int fd = make_eventfd(0);

	LOOP(outer);
	LOOP(inner);
	(void)add_fd(inner, fd, EPOLLIN, &seen);
	assert_int_equal(vmm_event_add_fd(outer, vmm_event_get_fd(inner), EPOLLIN,
					  run_inner, inner, NULL),
			 0);
	assert_int_equal(poll_once(outer), 0);
	set_eventfd(fd, 1);
	assert_int_equal(poll_once(outer), 1);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(poll_once(outer), 0);
	/* What the kernel does not know of shows as well. */
	assert_int_equal(vmm_event_add_defer(inner, seen_plain, &defer, &source), 0);
	assert_int_equal(poll_once(outer), 1);
	assert_int_equal(defer.calls, 1);
	assert_int_equal(poll_once(outer), 0);
	close(fd);
}

static bool is_readable(const struct vmm_event *loop)
{
	struct pollfd p = { .fd = vmm_event_get_fd(loop), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void the_descriptor_shows_work_to_a_foreign_loop(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen = { 0 };
	struct vmm_event_source *source;

	opts.budget = 2;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	assert_false(is_readable(loop));
	/* Five posts, two a round. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(is_readable(loop));
		assert_int_equal(poll_once(loop), i < 2 ? 2 : 1);
	}
	assert_int_equal(poll_once(loop), 0);
	assert_false(is_readable(loop));
	assert_int_equal(vmm_event_add_idle(loop, seen_plain, &seen, &source), 0);
	assert_true(is_readable(loop));
	(void)poll_once(loop);
	assert_true(is_readable(loop));
	vmm_event_source_remove(source);
	(void)poll_once(loop);
	assert_false(is_readable(loop));
	vmm_event_stop(loop, 1);
	assert_true(is_readable(loop));
}

static void waits_end_in_time(void **state)
{
	struct timespec a, b;
	int64_t took;
	uint32_t n = 7;

	LOOP(loop);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(vmm_event_run_once(loop, 12345678, &n), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	took = (b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec;
	assert_int_equal(n, 0);
	assert_true(took >= 12345678);
}

static void stop_is_kept_until_start(void **state)
{
	struct seen seen = { 0 };
	uint32_t n = 9;
	int code = 0, fd = make_eventfd(1);

	LOOP(loop);
	(void)add_fd(loop, fd, EPOLLIN, &seen);
	vmm_event_stop(loop, -7);
	vmm_event_stop(loop, 8);
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, -7);
	assert_int_equal(vmm_event_run(loop, NULL), 0);
	assert_int_equal(vmm_event_run_once(loop, -1, &n), -ESHUTDOWN);
	assert_int_equal(n, 9);
	assert_int_equal(seen.calls, 0);
	vmm_event_start(loop);
	assert_int_equal(poll_once(loop), 1);
	seen.stop = loop;
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, 0);
	assert_int_equal(seen.calls, 2);
	close(fd);
}

static void a_loop_that_cannot_wait_says_so(void **state)
{
	struct seen seen = { 0 };
	int code = 5, kept;

	LOOP(loop);
	kept = fcntl(vmm_event_get_fd(loop), F_DUPFD_CLOEXEC, 3);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	assert_int_equal(dup2(STDERR_FILENO, vmm_event_get_fd(loop)),
			 vmm_event_get_fd(loop));
	assert_int_equal(vmm_event_run_once(loop, 0, NULL), -EINVAL);
	assert_int_equal(vmm_event_run(loop, &code), -EINVAL);
	assert_int_equal(code, 5);
	/* What was accepted has been run, and nothing more is. */
	assert_int_equal(seen.calls, 1);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), -ESHUTDOWN);
	/* Once the cause is gone the loop can be run again. */
	assert_int_equal(dup3(kept, vmm_event_get_fd(loop), O_CLOEXEC),
			 vmm_event_get_fd(loop));
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	assert_int_equal(poll_once(loop), 1);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(option_structs_of_other_versions_are_read),
		cmocka_unit_test(free_takes_null_and_closes_everything),
		cmocka_unit_test(every_descriptor_is_closed_on_exec),
		cmocka_unit_test(the_callback_gets_what_was_added),
		cmocka_unit_test(what_cannot_be_added_is_refused_and_leaves_nothing),
		cmocka_unit_test(a_source_added_in_a_callback_waits_for_the_next_round),
		cmocka_unit_test(a_removed_source_is_not_called_again),
		cmocka_unit_test(removal_takes_back_what_is_ready_in_the_same_round),
		cmocka_unit_test(events_can_be_changed),
		cmocka_unit_test(changed_events_are_not_reported_from_before_the_change),
		cmocka_unit_test(only_what_is_ready_is_called),
		cmocka_unit_test(level_triggered_sources_are_called_in_each_round),
		cmocka_unit_test(a_small_batch_takes_turns),
		cmocka_unit_test(reused_descriptors_see_no_stale_event),
		cmocka_unit_test(ten_thousand_descriptors_work),
		cmocka_unit_test(edges_are_reported_once),
		cmocka_unit_test(every_bit_of_epoll_is_understood),
		cmocka_unit_test(exclusive_wakeups_can_be_asked_for_and_given_up),
		cmocka_unit_test(disabled_sources_wait),
		cmocka_unit_test(one_shot_sources_are_called_once_per_arming),
		cmocka_unit_test(a_loop_does_not_run_within_itself),
		cmocka_unit_test(loops_nest),
		cmocka_unit_test(the_descriptor_shows_work_to_a_foreign_loop),
		cmocka_unit_test(waits_end_in_time),
		cmocka_unit_test(stop_is_kept_until_start),
		cmocka_unit_test(a_loop_that_cannot_wait_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

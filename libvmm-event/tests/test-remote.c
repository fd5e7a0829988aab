/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

#include <signal.h>
#include <sys/time.h>

#include "internal.h"

struct thread {
	pthread_t id;
	struct vmm_event *loop;
	int ret, code, result;
};

static void *run_loop(void *arg)
{
	struct thread *t = arg;

	t->ret = vmm_event_run(t->loop, &t->code);
	return NULL;
}

static void start(struct thread *t, struct vmm_event *loop)
{
	t->loop = loop;
	t->ret = t->code = -12345;
	assert_int_equal(pthread_create(&t->id, NULL, run_loop, t), 0);
}

static void join(struct thread *t)
{
	assert_int_equal(pthread_join(t->id, NULL), 0);
}

static void stop_and_join(struct thread *t, int code)
{
	vmm_event_stop(t->loop, code);
	join(t);
	assert_int_equal(t->ret, 0);
	assert_int_equal(t->code, code);
}

static int add_one(void *ctx)
{
	return ++*(int *)ctx;
}

static void posts_run_in_order_and_the_queue_is_bounded(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen = { 0 };

	opts.max_posts = 5;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
		assert_int_equal(vmm_event_post(loop, seen_post, &seen), -EAGAIN);
		assert_int_equal(poll_once(loop), 5);
	}
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(seen.calls, 15);
}

struct repost {
	struct vmm_event *loop;
	uint32_t calls;
};

static void post_again(void *ctx)
{
	struct repost *r = ctx;

	r->calls++;
	assert_int_equal(vmm_event_post(r->loop, post_again, r), 0);
}

/* EVT-B5: a queue that is drained until it is empty starves the sources. */
static void evt_b5_posts_that_post_again_do_not_starve_the_loop(void **state)
{
	struct repost r[3] = { 0 };
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	(void)add_fd(loop, fd, EPOLLIN, &seen);
	for (int i = 0; i < 3; i++) {
		r[i].loop = loop;
		assert_int_equal(vmm_event_post(loop, post_again, &r[i]), 0);
	}
	for (uint32_t i = 1; i < 20; i++) {
		assert_int_equal(poll_once(loop), 4);
		assert_int_equal(seen.calls, i);
		for (int k = 0; k < 3; k++)
			assert_int_equal(r[k].calls, i);
	}
	close(fd);
}

static void the_budget_bounds_the_posts_of_a_round(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen posts = { 0 }, fds = { 0 };
	int fd = make_eventfd(1);

	opts.budget = 10;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	(void)add_fd(loop, fd, EPOLLIN, &fds);
	for (int i = 0; i < 95; i++)
		assert_int_equal(vmm_event_post(loop, seen_post, &posts), 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(poll_once(loop), i < 9 ? 11 : 6);
		assert_int_equal(fds.calls, i + 1);
	}
	close(fd);
}

static void a_post_wakes_a_loop_that_waits(void **state)
{
	struct thread t;
	int n = 0, result = 0;

	LOOP(loop);
	start(&t, loop);
	/* The call says that the loop is running, the pause lets it go to sleep. */
	for (int i = 1; i <= 20; i++) {
		assert_int_equal(vmm_event_call(loop, add_one, &n, &result), 0);
		assert_int_equal(result, i);
		usleep((useconds_t)i * 50);
	}
	assert_int_equal(vmm_event_call(loop, add_one, &n, NULL), 0);
	stop_and_join(&t, 3);
}

static int call_inside(void *ctx)
{
	struct thread *t = ctx;
	int n = 41, result = 0;

	assert_int_equal(vmm_event_call(t->loop, add_one, &n, &result), 0);
	return result;
}

/* The endpoint of the reference deadlocks here. */
static void a_call_on_the_loops_own_thread_runs_at_once(void **state)
{
	struct thread t;
	int result = 0, n = 0;

	LOOP(loop);
	start(&t, loop);
	assert_int_equal(vmm_event_call(loop, call_inside, &t, &result), 0);
	assert_int_equal(result, 42);
	stop_and_join(&t, 0);

	/* The same between two rounds that this thread runs. */
	vmm_event_start(loop);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(vmm_event_call(loop, add_one, &n, &result), 0);
	assert_int_equal(result, 1);
	vmm_event_stop(loop, 0);
	assert_int_equal(vmm_event_call(loop, add_one, &n, &result), -ESHUTDOWN);
}

static void *run_one_round(void *loop)
{
	assert_int_equal(vmm_event_run_once(loop, 0, NULL), 0);
	return NULL;
}

static int note_thread(void *ctx)
{
	*(pthread_t *)ctx = pthread_self();
	return 0;
}

struct asker {
	struct vmm_event *loop;
	pthread_t ran_on;
	uint32_t done;
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	assert_int_equal(vmm_event_call(a->loop, note_thread, &a->ran_on, NULL), 0);
	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The C library gives the pthread_t of a thread that has ended to the next one. */
static void a_new_thread_is_not_taken_for_an_old_owner(void **state)
{
	struct asker a = { 0 };
	pthread_t id;

	LOOP(loop);
	a.loop = loop;
	assert_int_equal(pthread_create(&id, NULL, run_one_round, loop), 0);
	assert_int_equal(pthread_join(id, NULL), 0);
	assert_int_equal(pthread_create(&id, NULL, ask, &a), 0);
	while (!__atomic_load_n(&a.done, __ATOMIC_ACQUIRE))
		assert_int_equal(vmm_event_run_once(loop, 1000000, NULL), 0);
	assert_int_equal(pthread_join(id, NULL), 0);
	assert_true(pthread_equal(a.ran_on, pthread_self()));
}

static void a_loop_that_was_handed_over_waits_for_its_next_thread(void **state)
{
	struct asker a = { 0 };
	struct thread t;

	LOOP(loop);
	a.loop = loop;
	assert_int_equal(poll_once(loop), 0);
	vmm_event_start(loop);
	start(&t, loop);
	(void)ask(&a);
	assert_true(pthread_equal(a.ran_on, t.id));
	stop_and_join(&t, 0);
}

static void a_stopped_loop_refuses_and_never_hangs(void **state)
{
	struct thread t;
	struct seen seen = { 0 };
	int n = 0, result = 77;

	LOOP(loop);
	vmm_event_stop(loop, 0);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), -ESHUTDOWN);
	assert_int_equal(vmm_event_call(loop, add_one, &n, &result), -ESHUTDOWN);
	start(&t, loop);
	join(&t);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), -ESHUTDOWN);
	assert_int_equal(vmm_event_call(loop, add_one, &n, &result), -ESHUTDOWN);
	vmm_event_start(loop);
	start(&t, loop);
	assert_int_equal(vmm_event_call(loop, add_one, &n, &result), 0);
	stop_and_join(&t, 9);
	assert_int_equal(result, 1);
	assert_int_equal(seen.calls, 0);
}

static void *call_loop(void *arg)
{
	struct thread *t = arg;
	int n = 4;

	t->result = -1;
	t->ret = vmm_event_call(t->loop, add_one, &n, &t->result);
	return NULL;
}

static void start_call(struct thread *t, struct vmm_event *loop)
{
	t->loop = loop;
	assert_int_equal(pthread_create(&t->id, NULL, call_loop, t), 0);
}

static void calls_that_wait_are_released_by_stop(void **state)
{
	struct thread t[4];

	LOOP(loop);
	for (size_t i = 0; i < VMM_ARRAY_LEN(t); i++)
		start_call(&t[i], loop);
	usleep(20000);
	/* Nobody has run the loop, and nobody does. */
	vmm_event_stop(loop, 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(t); i++) {
		join(&t[i]);
		assert_int_equal(t[i].ret, -ESHUTDOWN);
		assert_int_equal(t[i].result, -1);
	}
}

static void calls_that_wait_are_released_by_free(void **state)
{
	struct vmm_event *loop = NULL;
	struct thread t[4];
	struct seen seen = { 0 };

	assert_int_equal(vmm_event_new(NULL, &loop), 0);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(t); i++)
		start_call(&t[i], loop);
	usleep(20000);
	vmm_event_free(loop);
	for (size_t i = 0; i < VMM_ARRAY_LEN(t); i++) {
		join(&t[i]);
		assert_int_equal(t[i].ret, -ESHUTDOWN);
	}
	assert_int_equal(seen.calls, 0);
}

static void what_was_queued_before_stop_is_run(void **state)
{
	struct seen seen = { 0 };
	int code = 0;

	LOOP(loop);
	for (int i = 0; i < 200; i++)
		assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	vmm_event_stop(loop, 6);
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, 6);
	assert_int_equal(seen.calls, 200);
	/* For those who run rounds, too. */
	vmm_event_start(loop);
	assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	vmm_event_stop(loop, 7);
	assert_int_equal(vmm_event_run_once(loop, 0, NULL), -ESHUTDOWN);
	assert_int_equal(seen.calls, 201);
}

/* test_endpoint: everything from outside, then a clean stop. */
struct endpoint {
	struct vmm_event *loop;
	struct vmm_event_source *source;
	struct seen seen;
	int fd;
};

static int endpoint_add(void *ctx)
{
	struct endpoint *e = ctx;

	return vmm_event_add_fd(e->loop, e->fd, EPOLLIN, seen_fd, &e->seen, &e->source);
}

static int endpoint_remove(void *ctx)
{
	struct endpoint *e = ctx;

	vmm_event_source_remove(e->source);
	return (int)e->seen.calls;
}

static void sources_come_and_go_from_another_thread(void **state)
{
	struct endpoint e = { .seen = { .drain = true } };
	struct thread t;
	int result = -1;

	LOOP(loop);
	e.loop = loop;
	e.fd = make_eventfd(0);
	start(&t, loop);
	for (int i = 1; i <= 200; i++) {
		assert_int_equal(vmm_event_call(loop, endpoint_add, &e, &result), 0);
		assert_int_equal(result, 0);
		set_eventfd(e.fd, 1);
		/* The round that runs the removal has seen the event before. */
		assert_int_equal(vmm_event_call(loop, endpoint_remove, &e, &result), 0);
		assert_true(result >= i - 1 && result <= i);
		if (result < i)
			clear_eventfd(e.fd);
		e.seen.calls = (uint32_t)i;
	}
	stop_and_join(&t, 0);
	close(e.fd);
}

enum { PRODUCERS = 4, PER_PRODUCER = 2000 };

struct shared {
	struct vmm_event *loop;
	int last[PRODUCERS];
	uint32_t total;
};

struct item {
	struct shared *shared;
	int producer, number;
};

static void consume(void *ctx)
{
	struct item *item = ctx;

	/* Order is kept for each thread. */
	assert_int_equal(item->number, item->shared->last[item->producer] + 1);
	item->shared->last[item->producer] = item->number;
	item->shared->total++;
	free(item);
}

struct producer {
	pthread_t id;
	struct shared *shared;
	int number;
};

static int read_total(void *ctx)
{
	return (int)((struct shared *)ctx)->total;
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	int total;

	for (int i = 1; i <= PER_PRODUCER; i++) {
		struct item *item = malloc(sizeof(*item));
		int ret;

		*item = (struct item){ p->shared, p->number, i };
		while ((ret = vmm_event_post(p->shared->loop, consume, item)) == -EAGAIN)
			sched_yield();
		assert_int_equal(ret, 0);
		if (i % 100 == 0) {
			assert_int_equal(vmm_event_call(p->shared->loop, read_total,
							p->shared, &total),
					 0);
			/* A call comes after the posts of the same thread. */
			assert_true(total >= i);
		}
	}
	return NULL;
}

static void many_threads_post_and_call(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct shared shared = { 0 };
	struct producer p[PRODUCERS];
	struct thread t;

	opts.max_posts = 32;
	opts.budget = 8;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	shared.loop = loop;
	start(&t, loop);
	for (int i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){ .shared = &shared, .number = i };
		assert_int_equal(pthread_create(&p[i].id, NULL, produce, &p[i]), 0);
	}
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_join(p[i].id, NULL), 0);
	stop_and_join(&t, 0);
	assert_int_equal(shared.total, PRODUCERS * PER_PRODUCER);
}

/* Threads that use the loop while another stops it: each accepted function is run,
 * each call ends. */
struct race {
	struct vmm_event *loop;
	uint32_t accepted, ran;
};

static void race_post(void *ctx)
{
	struct race *r = ctx;

	(void)__atomic_fetch_add(&r->ran, 1, __ATOMIC_RELAXED);
}

static int race_call(void *ctx)
{
	race_post(ctx);
	return 0;
}

static void *race_thread(void *arg)
{
	struct race *r = arg;

	for (int i = 0;; i++) {
		int ret = i % 2 ? vmm_event_call(r->loop, race_call, r, NULL)
				: vmm_event_post(r->loop, race_post, r);

		if (ret == -ESHUTDOWN)
			return NULL;
		assert_true(ret == 0 || ret == -EAGAIN);
		if (ret == 0)
			(void)__atomic_fetch_add(&r->accepted, 1, __ATOMIC_RELAXED);
	}
}

static void nothing_is_lost_or_stuck_when_the_loop_is_stopped(void **state)
{
	LOOP(loop);
	for (int round = 0; round < 40; round++) {
		struct race r = { .loop = loop };
		struct thread t;
		pthread_t id[3];

		vmm_event_start(loop);
		start(&t, loop);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&id[i], NULL, race_thread, &r),
					 0);
		usleep((useconds_t)round * 20);
		vmm_event_stop(loop, round);
		join(&t);
		assert_int_equal(t.code, round);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_join(id[i], NULL), 0);
		assert_int_equal(r.ran, r.accepted);
	}
}

/* Two loops whose threads call each other. */
struct pair {
	struct vmm_event *loop[2];
	pthread_barrier_t barrier;
	int ret[2];
};

static int cross(struct pair *p, int me)
{
	int n = 0;

	(void)pthread_barrier_wait(&p->barrier);
	p->ret[me] = vmm_event_call(p->loop[!me], add_one, &n, NULL);
	return 0;
}

static void cross_0(void *ctx)
{
	(void)cross(ctx, 0);
}

static void cross_1(void *ctx)
{
	(void)cross(ctx, 1);
}

static void loops_that_call_each_other_do_not_deadlock(void **state)
{
	struct pair p;
	struct thread t[2];

	LOOP(a);
	LOOP(b);
	p.loop[0] = a;
	p.loop[1] = b;
	assert_int_equal(pthread_barrier_init(&p.barrier, NULL, 2), 0);
	for (int i = 0; i < 100; i++) {
		vmm_event_start(a);
		vmm_event_start(b);
		start(&t[0], a);
		start(&t[1], b);
		assert_int_equal(vmm_event_post(a, cross_0, &p), 0);
		assert_int_equal(vmm_event_post(b, cross_1, &p), 0);
		int n = 0;

		assert_int_equal(vmm_event_call(a, add_one, &n, NULL), 0);
		assert_int_equal(vmm_event_call(b, add_one, &n, NULL), 0);
		stop_and_join(&t[0], 0);
		stop_and_join(&t[1], 0);
		for (int k = 0; k < 2; k++)
			assert_true(p.ret[k] == 0 || p.ret[k] == -EDEADLK);
	}
	pthread_barrier_destroy(&p.barrier);
}

static int call_back(void *ctx)
{
	struct pair *p = ctx;
	int n = 0;

	/* Called by loop 0, which waits for this. */
	return vmm_event_call(p->loop[0], add_one, &n, NULL);
}

static void call_forth(void *ctx)
{
	struct pair *p = ctx;

	p->ret[0] = vmm_event_call(p->loop[1], call_back, p, &p->ret[1]);
}

static void calling_back_the_caller_is_refused(void **state)
{
	struct pair p;
	struct thread t[2];
	int n = 0;

	LOOP(a);
	LOOP(b);
	p.loop[0] = a;
	p.loop[1] = b;
	start(&t[0], a);
	start(&t[1], b);
	assert_int_equal(vmm_event_post(a, call_forth, &p), 0);
	assert_int_equal(vmm_event_call(a, add_one, &n, NULL), 0);
	assert_int_equal(p.ret[0], 0);
	assert_int_equal(p.ret[1], -EDEADLK);
	stop_and_join(&t[0], 0);
	stop_and_join(&t[1], 0);
}

/* Ping-pong without a circle: the answer must not look like one. */
struct rally {
	struct vmm_event *loop[2];
	uint32_t left;
	int failed;
};

static void rally_0(void *ctx);

static int rally_noop(void *ctx)
{
	return 0;
}

static void rally_1(void *ctx)
{
	struct rally *r = ctx;

	/* Loop 0 was answered a moment ago and may not have woken up yet. */
	if (vmm_event_call(r->loop[0], rally_noop, NULL, NULL) < 0)
		r->failed = 1;
	if (vmm_event_post(r->loop[0], rally_0, r) < 0)
		r->failed = 2;
}

static int rally_arm(void *ctx)
{
	struct rally *r = ctx;

	return vmm_event_post(r->loop[1], rally_1, r);
}

static void rally_0(void *ctx)
{
	struct rally *r = ctx;

	if (r->left-- == 0) {
		vmm_event_stop(r->loop[0], 0);
		return;
	}
	if (vmm_event_call(r->loop[1], rally_arm, r, NULL) < 0)
		r->failed = 3;
}

static void a_call_after_an_answer_is_no_deadlock(void **state)
{
	struct rally r = { .left = 2000 };
	struct thread t[2];

	LOOP(a);
	LOOP(b);
	r.loop[0] = a;
	r.loop[1] = b;
	assert_int_equal(vmm_event_post(a, rally_0, &r), 0);
	start(&t[0], a);
	start(&t[1], b);
	join(&t[0]);
	stop_and_join(&t[1], 0);
	assert_int_equal(r.failed, 0);
}

static void posts_share_one_wake_up(void **state)
{
	struct seen seen = { 0 };
	uint64_t value = 0;

	LOOP(loop);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vmm_event_post(loop, seen_post, &seen), 0);
	assert_int_equal(read(loop->wake.fd, &value, sizeof(value)), sizeof(value));
	assert_true(value == 1);
	assert_int_equal(poll_once(loop), 3);
}

static struct vmm_event *stopped_by_signal;

static void stop_handler(int signo)
{
	vmm_event_stop(stopped_by_signal, signo);
}

static void a_signal_handler_stops_the_loop(void **state)
{
	struct sigaction action = { .sa_handler = stop_handler }, old;
	struct itimerval soon = { .it_value.tv_usec = 2000 };
	int code = 0;

	LOOP(loop);
	stopped_by_signal = loop;
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, SIGALRM);
	/* A system call that fails on the way: the eventfd can take no more. */
	vmm_event_start(loop);
	assert_int_equal(poll_once(loop), 0);
	set_eventfd(loop->wake.fd, UINT64_MAX - 1);
	errno = 1234;
	vmm_event_stop(loop, 0);
	assert_int_equal(errno, 1234);
	assert_int_equal(vmm_event_run(loop, &code), 0);
	assert_int_equal(code, 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

static void ignore_handler(int signo)
{
}

static void an_interrupted_wait_is_no_error(void **state)
{
	struct sigaction action = { .sa_handler = ignore_handler }, old;
	struct itimerval soon = { .it_value.tv_usec = 2000 };
	uint32_t n = 5;

	LOOP(loop);
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(vmm_event_run_once(loop, -1, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_run_in_order_and_the_queue_is_bounded),
		cmocka_unit_test(evt_b5_posts_that_post_again_do_not_starve_the_loop),
		cmocka_unit_test(the_budget_bounds_the_posts_of_a_round),
		cmocka_unit_test(a_post_wakes_a_loop_that_waits),
		cmocka_unit_test(a_call_on_the_loops_own_thread_runs_at_once),
		cmocka_unit_test(a_new_thread_is_not_taken_for_an_old_owner),
		cmocka_unit_test(a_loop_that_was_handed_over_waits_for_its_next_thread),
		cmocka_unit_test(a_stopped_loop_refuses_and_never_hangs),
		cmocka_unit_test(calls_that_wait_are_released_by_stop),
		cmocka_unit_test(calls_that_wait_are_released_by_free),
		cmocka_unit_test(what_was_queued_before_stop_is_run),
		cmocka_unit_test(sources_come_and_go_from_another_thread),
		cmocka_unit_test(many_threads_post_and_call),
		cmocka_unit_test(nothing_is_lost_or_stuck_when_the_loop_is_stopped),
		cmocka_unit_test(loops_that_call_each_other_do_not_deadlock),
		cmocka_unit_test(calling_back_the_caller_is_refused),
		cmocka_unit_test(a_call_after_an_answer_is_no_deadlock),
		cmocka_unit_test(posts_share_one_wake_up),
		cmocka_unit_test(a_signal_handler_stops_the_loop),
		cmocka_unit_test(an_interrupted_wait_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"
#include "probes.h"

/*
 * What other threads do to a loop. The queue is a list under a mutex that is held for
 * a few instructions and never over a system call or a callback. Posts take a node
 * from a pool made with the loop, which bounds them; a call brings its node on the
 * caller's stack.
 *
 * The eventfd is written once for all jobs until the loop has read it. The reader
 * first reads, then clears `woken`, then looks at the queue: a job queued in
 * between without a write is seen by that look.
 */

_Thread_local struct vmm_event *ev_running;
_Thread_local uint64_t ev_thread;

static void job_lock(struct vmm_event *loop)
{
	(void)pthread_mutex_lock(&loop->lock);
}

static void job_unlock(struct vmm_event *loop)
{
	(void)pthread_mutex_unlock(&loop->lock);
}

int remote_init(struct vmm_event *loop, uint32_t max_posts)
{
	list_init(&loop->jobs);
	list_init(&loop->pool);
	loop->pool_memory = sys_calloc(max_posts, sizeof(*loop->pool_memory));
	if (!loop->pool_memory)
		return -ENOMEM;
	for (uint32_t i = 0; i < max_posts; i++)
		list_append(&loop->pool, &loop->pool_memory[i].list);
	(void)pthread_mutex_init(&loop->lock, NULL);
	return 0;
}

static void write_wake(const struct vmm_event *loop)
{
	static const uint64_t one = 1;
	ssize_t n;

	/* Full (EAGAIN) is readable, too. */
	do {
		n = write(loop->wake.fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

/* Adds to seq and wakes whoever waits for a change of it. */
static void notify(struct vmm_event *loop)
{
	(void)__atomic_fetch_add(&loop->seq, 1, __ATOMIC_RELEASE);
	sys_futex_wake(&loop->seq);
}

/* The loops that a thread runs say whom they wait for before they look whether that
 * one waits for them, so of two that meet at least one sees the other. Whoever
 * answers takes it back, so that nobody sees it after the answer. */
static void set_waits(struct vmm_event *innermost, struct vmm_event *target)
{
	for (struct vmm_event *l = innermost; l; l = l->outer)
		__atomic_store_n(&l->waits, target, __ATOMIC_SEQ_CST);
}

static void job_finish(struct vmm_event *loop, struct ev_job *job,
		       enum ev_job_state state)
{
	set_waits(job->caller, NULL);
	/* The caller's stack: not to be touched after this. */
	__atomic_store_n(&job->state, (uint32_t)state, __ATOMIC_RELEASE);
	notify(loop);
}

static void job_unlink(struct vmm_event *loop, struct ev_job *job)
{
	list_remove(&job->list);
	__atomic_store_n(&loop->nr_jobs, loop->nr_jobs - 1, __ATOMIC_RELAXED);
}

/* Under lock. Returns true if the caller has to write to the eventfd. */
static bool job_append(struct vmm_event *loop, struct ev_job *job)
{
	bool wake = !loop->woken;

	list_append(&loop->jobs, &job->list);
	__atomic_store_n(&loop->nr_jobs, loop->nr_jobs + 1, __ATOMIC_RELAXED);
	loop->woken = true;
	return wake;
}

static bool refuses(struct vmm_event *loop)
{
	return loop->closed || loop_is_stopped(loop, NULL);
}

void remote_wake(struct vmm_event *loop)
{
	bool wake;

	job_lock(loop);
	wake = !loop->woken;
	loop->woken = true;
	job_unlock(loop);
	if (wake)
		write_wake(loop);
}

void remote_woken(struct vmm_event *loop)
{
	uint64_t count;

	(void)!read(loop->wake.fd, &count, sizeof(count));
	job_lock(loop);
	loop->woken = false;
	job_unlock(loop);
}

static void set_closed(struct vmm_event *loop, bool closed)
{
	job_lock(loop);
	loop->closed = closed;
	job_unlock(loop);
}

void remote_close(struct vmm_event *loop)
{
	set_closed(loop, true);
}

void remote_reopen(struct vmm_event *loop)
{
	set_closed(loop, false);
}

/* The only thing that loops share; it means nothing but "not the same". */
uint64_t remote_new_thread(void)
{
	static uint64_t last;

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

void remote_open(struct vmm_event *loop)
{
	job_lock(loop);
	loop->closed = false;
	__atomic_store_n(&loop->stop, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&loop->owner, 0, __ATOMIC_RELEASE);
	job_unlock(loop);
}

void remote_fini(struct vmm_event *loop)
{
	static const struct timespec pause = { .tv_nsec = 50000 };

	job_lock(loop);
	loop->closed = true;
	while (!list_empty(&loop->jobs)) {
		struct ev_job *job = list_entry(loop->jobs.next, struct ev_job, list);

		job_unlink(loop, job);
		if (!job->post)
			job_finish(loop, job, EV_JOB_REFUSED);
	}
	job_unlock(loop);
	while (__atomic_load_n(&loop->users, __ATOMIC_ACQUIRE) > 0)
		(void)nanosleep(&pause, NULL);
	(void)pthread_mutex_destroy(&loop->lock);
	free(loop->pool_memory);
}

/* Takes the first job out; a post's node goes back to the pool at once. */
static struct ev_job *job_next(struct vmm_event *loop, vmm_event_fn *post, void **ctx)
{
	struct ev_job *job = NULL;

	job_lock(loop);
	if (!list_empty(&loop->jobs)) {
		job = list_entry(loop->jobs.next, struct ev_job, list);
		job_unlink(loop, job);
		*post = job->post;
		*ctx = job->ctx;
		if (job->post)
			list_append(&loop->pool, &job->list);
		else
			__atomic_store_n(&job->state, EV_JOB_RUNNING, __ATOMIC_RELAXED);
	}
	job_unlock(loop);
	return job;
}

/* Runs what is queued now, at most @budget: what these queue waits for its turn. */
uint32_t remote_run(struct vmm_event *loop, uint32_t budget)
{
	uint32_t n, queued = __atomic_load_n(&loop->nr_jobs, __ATOMIC_RELAXED);
	vmm_event_fn post = NULL;
	void *ctx = NULL;

	if (budget > queued)
		budget = queued;
	for (n = 0; n < budget; n++) {
		struct ev_job *job = job_next(loop, &post, &ctx);

		if (!job)
			break;
		if (post) {
			PROBE4(callback_begin, loop, EV_PROBE_POST, post, (void *)0);
			post(ctx);
			PROBE2(callback_end, loop, EV_PROBE_POST);
		} else {
			PROBE4(callback_begin, loop, EV_PROBE_CALL, job->call, (void *)0);
			job->result = job->call(ctx);
			PROBE2(callback_end, loop, EV_PROBE_CALL);
			job_finish(loop, job, EV_JOB_DONE);
		}
	}
	return n;
}

static int post_queue(struct vmm_event *loop, vmm_event_fn fn, void *ctx)
{
	struct ev_job *job;
	bool wake = false;
	int ret = 0;

	job_lock(loop);
	if (refuses(loop)) {
		ret = -ESHUTDOWN;
	} else if (list_empty(&loop->pool)) {
		ret = -EAGAIN;
	} else {
		job = list_entry(loop->pool.next, struct ev_job, list);
		list_remove(&job->list);
		job->post = fn;
		job->ctx = ctx;
		wake = job_append(loop, job);
	}
	job_unlock(loop);
	if (wake)
		write_wake(loop);
	return ret;
}

int vmm_event_post(struct vmm_event *loop, vmm_event_fn fn, void *ctx)
{
	int ret;

	remote_user_begin(loop);
	ret = post_queue(loop, fn, ctx);
	remote_user_end(loop);
	return ret;
}

/* Takes a job back that a stopped loop has not begun; true if it will not be run. */
static bool job_cancel(struct vmm_event *loop, struct ev_job *job)
{
	bool cancelled;

	job_lock(loop);
	cancelled = __atomic_load_n(&job->state, __ATOMIC_RELAXED) == EV_JOB_QUEUED;
	if (cancelled)
		job_unlink(loop, job);
	job_unlock(loop);
	return cancelled;
}

static int job_wait(struct vmm_event *loop, struct ev_job *job)
{
	for (;;) {
		uint32_t seq = __atomic_load_n(&loop->seq, __ATOMIC_ACQUIRE);

		switch (__atomic_load_n(&job->state, __ATOMIC_ACQUIRE)) {
		case EV_JOB_DONE:
			return 0;
		case EV_JOB_REFUSED:
			return -ESHUTDOWN;
		default:
			break;
		}
		if (loop_is_stopped(loop, NULL) && job_cancel(loop, job))
			return -ESHUTDOWN;
		sys_futex_wait(&loop->seq, seq);
	}
}

static int call_queue(struct vmm_event *loop, struct ev_job *job)
{
	bool wake;

	job_lock(loop);
	if (refuses(loop)) {
		job_unlock(loop);
		return -ESHUTDOWN;
	}
	wake = job_append(loop, job);
	job_unlock(loop);
	if (wake)
		write_wake(loop);
	return job_wait(loop, job);
}

static bool waits_for_us(const struct vmm_event *loop)
{
	const struct vmm_event *target = __atomic_load_n(&loop->waits, __ATOMIC_SEQ_CST);

	for (const struct vmm_event *l = ev_running; l && target; l = l->outer)
		if (l == target)
			return true;
	return false;
}

/* On the loop's own thread, and it is in a state to accept calls. */
static bool call_is_inline(struct vmm_event *loop)
{
	bool refused;

	if (ev_thread == 0 ||
	    __atomic_load_n(&loop->owner, __ATOMIC_ACQUIRE) != ev_thread)
		return false;
	if (loop->dispatching)
		return true;
	job_lock(loop);
	refused = refuses(loop);
	job_unlock(loop);
	return !refused;
}

static int call_remote(struct vmm_event *loop, struct ev_job *job)
{
	int ret = -EDEADLK;

	job->caller = ev_running;
	set_waits(ev_running, loop);
	if (!waits_for_us(loop))
		ret = call_queue(loop, job);
	set_waits(ev_running, NULL);
	return ret;
}

int vmm_event_call(struct vmm_event *loop, vmm_event_call_fn fn, void *ctx,
		   int *out_result)
{
	struct ev_job job = { .call = fn, .ctx = ctx, .state = EV_JOB_QUEUED };
	int ret = 0;

	remote_user_begin(loop);
	if (call_is_inline(loop))
		job.result = fn(ctx);
	else
		ret = call_remote(loop, &job);
	remote_user_end(loop);
	if (ret == 0 && out_result)
		*out_result = job.result;
	return ret;
}

void vmm_event_stop(struct vmm_event *loop, int code)
{
	int saved = errno; /* a signal handler may call this */
	uint64_t none = 0;

	remote_user_begin(loop);
	if (__atomic_compare_exchange_n(&loop->stop, &none, EV_STOPPED | (uint32_t)code,
					false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		write_wake(loop);
		notify(loop);
	}
	remote_user_end(loop);
	errno = saved;
}

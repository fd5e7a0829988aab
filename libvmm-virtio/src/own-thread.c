/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "own-thread.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TAG_BELL 0u
#define TAG_TIMER 1u
#define NS_PER_S UINT64_C(1000000000)

/* What comes during the run rings again. */
static void turn(void *ctx, const struct epoll_event *events, int n)
{
	struct own_thread *t = ctx;
	uint64_t expirations;

	(void)bell_clear(t->bell);
	(void)!read(t->timer, &expirations, sizeof(expirations));
	t->run(t->ctx);
}

void own_thread_init(struct own_thread *t)
{
	t->bell = -1;
	t->timer = -1;
}

static int make(struct own_thread *t)
{
	int ret;

	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->timer < 0)
		return -errno;
	ret = worker_watch(&t->worker, t->bell, EPOLLIN, TAG_BELL);
	if (ret == 0)
		ret = worker_watch(&t->worker, t->timer, EPOLLIN, TAG_TIMER);
	return ret < 0 ? ret : worker_start(&t->worker);
}

int own_thread_start(struct own_thread *t, void (*run)(void *ctx), void *ctx)
{
	int ret, bell = bell_new();

	if (bell < 0)
		return bell;
	ret = worker_init(&t->worker, turn, t);
	if (ret < 0) {
		(void)close(bell);
		return ret;
	}
	t->bell = bell;
	t->run = run;
	t->ctx = ctx;
	ret = make(t);
	if (ret < 0)
		own_thread_fini(t);
	return ret;
}

void own_thread_fini(struct own_thread *t)
{
	if (t->bell < 0)
		return;
	worker_stop(&t->worker);
	worker_fini(&t->worker);
	(void)close(t->bell);
	if (t->timer >= 0)
		(void)close(t->timer);
	own_thread_init(t);
}

void own_thread_wake(const struct own_thread *t)
{
	bell_ring(t->bell);
}

void own_thread_wake_after(const struct own_thread *t, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) },
	};
	int saved = errno;

	(void)timerfd_settime(t->timer, 0, &spec, NULL);
	errno = saved;
}

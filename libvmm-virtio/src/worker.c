/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void bell_ring(int fd)
{
	int saved = errno;

	/* Full means that it rings already. */
	(void)!eventfd_write(fd, 1);
	errno = saved;
}

bool bell_clear(int fd)
{
	int saved = errno;
	eventfd_t value = 0;

	(void)!eventfd_read(fd, &value);
	errno = saved;
	return value != 0;
}

int worker_watch(struct worker *w, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event e = { .events = events, .data.u64 = tag };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int worker_init(struct worker *w,
		void (*turn)(void *ctx, const struct epoll_event *events, int n),
		void *ctx)
{
	int ret;

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return -errno;
	w->bell = bell_new();
	ret = w->bell < 0 ? w->bell : worker_watch(w, w->bell, EPOLLIN, WORKER_TAG);
	if (ret < 0) {
		(void)close(w->epoll);
		if (w->bell >= 0)
			(void)close(w->bell);
		return ret;
	}
	fair_init(&w->lock);
	pthread_cond_init(&w->resumed, NULL);
	w->has_thread = false;
	w->stopping = false;
	w->paused = false;
	w->turn = turn;
	w->ctx = ctx;
	return 0;
}

void worker_fini(struct worker *w)
{
	(void)close(w->epoll);
	(void)close(w->bell);
	pthread_cond_destroy(&w->resumed);
	fair_fini(&w->lock);
}

static void *loop(void *ctx)
{
	struct epoll_event events[WORKER_EVENTS];
	struct worker *w = ctx;
	bool stopping = false;

	while (!stopping) {
		int n = epoll_wait(w->epoll, events, WORKER_EVENTS, -1);

		fair_enter(&w->lock);
		while (w->paused && !w->stopping)
			pthread_cond_wait(&w->resumed, &w->lock.lock);
		stopping = w->stopping;
		if (!stopping && n >= 0)
			w->turn(w->ctx, events, n);
		fair_leave(&w->lock);
	}
	return NULL;
}

int worker_start(struct worker *w)
{
	sigset_t all, old;
	int ret;

	w->stopping = false;
	/* Signals are for the threads of the VMM. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&w->thread, NULL, loop, w);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->has_thread = ret == 0;
	return ret;
}

void worker_stop(struct worker *w)
{
	fair_enter(&w->lock);
	w->stopping = w->has_thread;
	w->paused = false;
	pthread_cond_signal(&w->resumed);
	fair_leave(&w->lock);
	if (!w->has_thread)
		return;
	bell_ring(w->bell);
	(void)pthread_join(w->thread, NULL);
	(void)bell_clear(w->bell);
	w->has_thread = false;
}

void worker_pause(struct worker *w)
{
	fair_enter(&w->lock);
	w->paused = true;
	fair_leave(&w->lock);
}

void worker_resume(struct worker *w)
{
	fair_enter(&w->lock);
	w->paused = false;
	pthread_cond_signal(&w->resumed);
	fair_leave(&w->lock);
}

void worker_run(struct worker *w)
{
	struct epoll_event events[WORKER_EVENTS];
	int saved = errno, n;

	fair_enter(&w->lock);
	if (!w->paused) {
		n = epoll_wait(w->epoll, events, WORKER_EVENTS, 0);
		if (n >= 0)
			w->turn(w->ctx, events, n);
	}
	fair_leave(&w->lock);
	errno = saved;
}

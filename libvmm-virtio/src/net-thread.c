/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net-thread.h"

#define STOP UINT32_MAX

int net_thread_add(struct net_thread *t, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = number } };

	return epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int net_thread_init(struct net_thread *t, void (*run)(void *ctx, uint32_t number),
		    void *ctx)
{
	int ret;

	t->run = run;
	t->ctx = ctx;
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll_fd < 0)
		return -errno;
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = t->stop_fd < 0 ? -errno : net_thread_add(t, t->stop_fd, STOP);
	if (ret < 0)
		net_thread_fini(t);
	return ret;
}

static void *loop(void *ctx)
{
	struct net_thread *t = ctx;
	struct epoll_event event;

	for (;;) {
		int n = epoll_wait(t->epoll_fd, &event, 1, -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		if (n < 1)
			continue;
		if (event.data.u32 == STOP)
			return NULL;
		t->run(t->ctx, event.data.u32);
	}
}

/* Signals are for the threads of the VMM. */
int net_thread_start(struct net_thread *t)
{
	sigset_t all, old;
	int ret;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&t->thread, NULL, loop, t);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

void net_thread_stop(struct net_thread *t)
{
	static const uint64_t one = 1;

	(void)!write(t->stop_fd, &one, sizeof(one));
	(void)pthread_join(t->thread, NULL);
}

void net_thread_fini(struct net_thread *t)
{
	(void)close(t->epoll_fd);
	if (t->stop_fd >= 0)
		(void)close(t->stop_fd);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Threads of the device that wait for the doorbells of their queues. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "blk.h"

/* Wakes a thread for the last time. */
#define LAST UINT64_MAX

struct blk_thread {
	struct vmm_virtio_blk *blk;
	pthread_t thread;
	int epoll;
};

struct blk_threads {
	/* Becomes readable for all of them, and stays so. */
	int quit;
	uint32_t n;
	struct blk_thread thread[VMM_VIRTIO_BLK_THREADS_MAX];
};

int blk_thread_create(pthread_t *out, void *(*fn)(void *), void *arg)
{
	sigset_t all, before;
	int ret;

	/* Signals are the program's business, not that of a thread it does not know. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(out, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

static void *loop(void *arg)
{
	struct blk_thread *t = arg;
	struct epoll_event events[16];

	for (;;) {
		int n = epoll_wait(t->epoll, events, 16, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == LAST)
				return NULL;
			blk_queue_run(&t->blk->queues[events[i].data.u64]);
		}
	}
}

/* Each ring of a bell is an edge, so that nobody has to read it quiet again. */
static int watch(const struct blk_thread *t, int fd, uint64_t what)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET,
				     .data = { .u64 = what } };

	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_queue(const struct blk_thread *t, uint32_t index)
{
	const struct blk_queue *q = &t->blk->queues[index];
	int ret = watch(t, q->doorbell, index);

	return ret == 0 && q->timer >= 0 ? watch(t, q->timer, index) : ret;
}

static int start(struct vmm_virtio_blk *blk, struct blk_threads *all, uint32_t index,
		 uint32_t n)
{
	struct blk_thread *t = &all->thread[index];
	int ret;

	t->blk = blk;
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll < 0)
		return -errno;
	ret = watch(t, all->quit, LAST);
	for (uint32_t q = index; ret == 0 && q < blk->queue_n; q += n)
		ret = watch_queue(t, q);
	if (ret == 0)
		ret = blk_thread_create(&t->thread, loop, t);
	if (ret < 0)
		close(t->epoll);
	return ret;
}

int blk_threads_start(struct vmm_virtio_blk *blk, uint32_t n)
{
	struct blk_threads *all = calloc(1, sizeof(*all));
	int ret = 0;

	if (!all)
		return -ENOMEM;
	all->quit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->quit < 0) {
		ret = -errno;
		free(all);
		return ret;
	}
	blk->threads = all;
	if (n > blk->queue_n)
		n = blk->queue_n;
	while (ret == 0 && all->n < n) {
		ret = start(blk, all, all->n, n);
		if (ret == 0)
			all->n++;
	}
	if (ret < 0)
		blk_threads_stop(blk);
	return ret;
}

void blk_threads_stop(struct vmm_virtio_blk *blk)
{
	struct blk_threads *all = blk->threads;

	if (!all)
		return;
	(void)eventfd_write(all->quit, 1);
	for (uint32_t i = 0; i < all->n; i++) {
		pthread_join(all->thread[i].thread, NULL);
		close(all->thread[i].epoll);
	}
	close(all->quit);
	free(all);
	blk->threads = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "fair-lock.h"

/* Most events that one turn gets. */
#define WORKER_EVENTS 64

/*
 * A set of file descriptors to wait for, and maybe a thread that does. What happens on a
 * descriptor is the turn's to deal with, under the lock, whoever waits.
 */
struct worker {
	/* Held during a turn; protects what the device has. */
	struct fair_lock lock;
	pthread_cond_t resumed;
	pthread_t thread;
	int epoll;
	/* Rung to stop the thread. */
	int bell;
	bool has_thread;
	/* Set under the lock. */
	bool stopping;
	bool paused;
	void (*turn)(void *ctx, const struct epoll_event *events, int n);
	void *ctx;
};

/* A tag that the worker keeps for itself. */
#define WORKER_TAG UINT64_MAX

int worker_init(struct worker *w,
		void (*turn)(void *ctx, const struct epoll_event *events, int n),
		void *ctx);
void worker_fini(struct worker *w);
/* Have events of @p fd come with @p tag. */
int worker_watch(struct worker *w, int fd, uint32_t events, uint64_t tag);
int worker_start(struct worker *w);
/* No turn of the thread is under way when it returns, and none will be. Ends a pause. */
void worker_stop(struct worker *w);
/* The same until worker_resume(). */
void worker_pause(struct worker *w);
void worker_resume(struct worker *w);
/* One turn of what is there, without a thread. */
void worker_run(struct worker *w);

/* An eventfd as doorbell. */
int bell_new(void);
void bell_ring(int fd);
/* Returns whether it rang. */
bool bell_clear(int fd);

#endif

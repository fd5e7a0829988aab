/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef NET_THREAD_H
#define NET_THREAD_H

#include <pthread.h>
#include <stdint.h>

/* A thread that waits for file descriptors and calls back with the number of each that is
 * readable, for devices that are to run themselves. */
struct net_thread {
	pthread_t thread;
	int epoll_fd, stop_fd;
	void (*run)(void *ctx, uint32_t number);
	void *ctx;
};

/* Prepare a thread; nothing else may be called if this fails. */
int net_thread_init(struct net_thread *t, void (*run)(void *ctx, uint32_t number),
		    void *ctx);
int net_thread_add(struct net_thread *t, int fd, uint32_t number);
/* Returns a negative errno value if there is no thread. */
int net_thread_start(struct net_thread *t);
/* Stop a thread that was started. */
void net_thread_stop(struct net_thread *t);
/* Release what net_thread_init() made. */
void net_thread_fini(struct net_thread *t);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef OWN_THREAD_H
#define OWN_THREAD_H

#include "worker.h"

/* A thread of a device that else waits to be run by its VMM: it runs the device when its
 * doorbell rings, or when a time is over. */
struct own_thread {
	struct worker worker;
	/* -1: there is no thread. */
	int bell;
	int timer;
	void (*run)(void *ctx);
	void *ctx;
};

/* None yet; own_thread_fini() is allowed. */
void own_thread_init(struct own_thread *t);
int own_thread_start(struct own_thread *t, void (*run)(void *ctx), void *ctx);
void own_thread_fini(struct own_thread *t);

/* Have it run soon; in @p ns nanoseconds. Any thread. */
void own_thread_wake(const struct own_thread *t);
void own_thread_wake_after(const struct own_thread *t, uint64_t ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef FAIR_LOCK_H
#define FAIR_LOCK_H

#include <pthread.h>
#include <stdint.h>

/*
 * A lock that a thread cannot take again before those who wait have had it. A driver can
 * keep its device's thread busy for ever, and that thread lets go of a plain mutex for too
 * short a time for anybody else to get it.
 */
struct fair_lock {
	/* Held by the one who is next. */
	pthread_mutex_t door;
	pthread_mutex_t lock;
	/* Those on their way in, for who has the lock to see. */
	uint32_t waiting;
};

static inline void fair_init(struct fair_lock *f)
{
	pthread_mutex_init(&f->door, NULL);
	pthread_mutex_init(&f->lock, NULL);
	f->waiting = 0;
}

static inline void fair_fini(struct fair_lock *f)
{
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->door);
}

static inline void fair_enter(struct fair_lock *f)
{
	(void)__atomic_fetch_add(&f->waiting, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&f->door);
	pthread_mutex_lock(&f->lock);
	pthread_mutex_unlock(&f->door);
	(void)__atomic_fetch_sub(&f->waiting, 1, __ATOMIC_RELAXED);
}

static inline void fair_leave(struct fair_lock *f)
{
	pthread_mutex_unlock(&f->lock);
}

#endif

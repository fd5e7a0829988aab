/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef FAIR_LOCK_H
#define FAIR_LOCK_H

#include <pthread.h>
#include <stdbool.h>
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

/* Somebody waits: who has the lock ends what it is at, and lets go. */
static inline bool fair_is_wanted(const struct fair_lock *f)
{
	return __atomic_load_n(&f->waiting, __ATOMIC_RELAXED) > 0;
}

/* Without waiting, and past those who wait: for work that cannot go on for ever. */
static inline bool fair_try(struct fair_lock *f)
{
	return pthread_mutex_trylock(&f->lock) == 0;
}

static inline void fair_enter(struct fair_lock *f)
{
	/* Nobody is overtaken, and it costs what a plain mutex costs. */
	if (!fair_is_wanted(f) && fair_try(f))
		return;
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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef GATE_H
#define GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Where threads wait while they shall not go on. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	uint32_t users;	  /* threads that come by */
	uint32_t waiting; /* of them, here now */
};

void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);

/* A thread that comes by begins and ends. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* Wait while the gate is closed; the first thing there is to call @on_wait. */
void gate_pass(struct gate *gate, void (*on_wait)(void *ctx), void *ctx);

/* Close it, have every thread come by as soon as it can (@call, without the lock), and
 * return when all wait or have left. */
void gate_close(struct gate *gate, void (*call)(void *ctx), void *ctx);

/* Let all go on. No effect if it is open. */
void gate_open(struct gate *gate);

#endif

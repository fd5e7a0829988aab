/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "gate.h"

void gate_init(struct gate *gate)
{
	(void)pthread_mutex_init(&gate->lock, NULL);
	(void)pthread_cond_init(&gate->changed, NULL);
}

void gate_destroy(struct gate *gate)
{
	(void)pthread_cond_destroy(&gate->changed);
	(void)pthread_mutex_destroy(&gate->lock);
}

void gate_enter(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->users++;
	pthread_mutex_unlock(&gate->lock);
}

void gate_leave(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->users--;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_pass(struct gate *gate, void (*on_wait)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&gate->lock);
	if (gate->closed) {
		on_wait(ctx);
		gate->waiting++;
		pthread_cond_broadcast(&gate->changed);
		while (gate->closed)
			pthread_cond_wait(&gate->changed, &gate->lock);
		gate->waiting--;
	}
	pthread_mutex_unlock(&gate->lock);
}

void gate_close(struct gate *gate, void (*call)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&gate->lock);
	gate->closed = true;
	pthread_mutex_unlock(&gate->lock);
	call(ctx);
	pthread_mutex_lock(&gate->lock);
	while (gate->waiting < gate->users)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->closed = false;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

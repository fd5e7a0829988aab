/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DEVICE_IRQ_H
#define DEVICE_IRQ_H

#include <pthread.h>

#include <vmm/irq.h>

/* copy.c */
int copy_sized(void *dst, size_t dst_size, const void *src);

/* The sources of one GSI. */
struct irq_gsi {
	pthread_mutex_t lock;
	uint32_t mode, sources;
	/* How many of them hold the line up. */
	uint32_t up;
};

struct vmm_irq_router {
	struct vmm_irq_backend backend;
	void *ctx;
	uint32_t count;
	/* Relaxed atomic. */
	uint64_t failures;
	struct irq_gsi *gsis;
	/* Guards routes and the back end's table. */
	pthread_mutex_t lock;
	/* One a GSI; kind NONE has no route. */
	struct vmm_irq_route *routes;
};

/* Signal a GSI once. */
int irq_trigger(struct vmm_irq_router *router, uint32_t gsi);

#endif

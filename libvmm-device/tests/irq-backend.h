/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_IRQ_BACKEND_H
#define TESTS_IRQ_BACKEND_H

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/irq.h>

/* A back end that writes down what it is told, and fails when asked to. */
struct test_irqs {
	unsigned ups, downs, triggers, messages, tables;
	uint32_t gsi;
	struct vmm_irq_msi msi;
	struct vmm_irq_route routes[64];
	size_t route_count;
	/* The next call fails with this. */
	int fail;
};

static inline int test_irqs_result(struct test_irqs *t)
{
	int ret = t->fail;

	t->fail = 0;
	return ret;
}

static inline int test_set_level(void *ctx, uint32_t gsi, bool level)
{
	struct test_irqs *t = ctx;

	t->gsi = gsi;
	if (level)
		t->ups++;
	else
		t->downs++;
	return test_irqs_result(t);
}

static inline int test_trigger(void *ctx, uint32_t gsi)
{
	struct test_irqs *t = ctx;

	t->gsi = gsi;
	t->triggers++;
	return test_irqs_result(t);
}

static inline int test_send_msi(void *ctx, const struct vmm_irq_msi *msi)
{
	struct test_irqs *t = ctx;

	t->msi = *msi;
	t->messages++;
	return test_irqs_result(t);
}

static inline int test_set_routes(void *ctx, const struct vmm_irq_route *routes,
				  size_t count)
{
	struct test_irqs *t = ctx;

	t->tables++;
	if (t->fail)
		return test_irqs_result(t);
	assert_true(count <= VMM_ARRAY_LEN(t->routes));
	memcpy(t->routes, routes, count * sizeof(*routes));
	t->route_count = count;
	return 0;
}

static const struct vmm_irq_backend test_irqs_backend = {
	.size = sizeof(struct vmm_irq_backend),
	.set_level = test_set_level,
	.trigger = test_trigger,
	.send_msi = test_send_msi,
	.set_routes = test_set_routes,
};

static inline struct vmm_irq_router *test_router(const struct vmm_irq_backend *backend,
						 void *ctx)
{
	struct vmm_irq_router *router = NULL;

	assert_int_equal(vmm_irq_router_new(backend, ctx, 32, &router), 0);
	return router;
}

#endif

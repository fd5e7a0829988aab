/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irq.h"

struct vmm_irq_source {
	struct vmm_irq_router *router;
	uint32_t gsi, mode;
	/* Under the GSI's lock. */
	bool up;
};

int vmm_irq_router_new(const struct vmm_irq_backend *backend, void *ctx, uint32_t gsis,
		       struct vmm_irq_router **out)
{
	struct vmm_irq_router *r;
	int ret;

	if (gsis == 0 || gsis > VMM_IRQ_GSIS_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	ret = copy_sized(&r->backend, sizeof(r->backend), backend);
	if (ret < 0) {
		free(r);
		return ret;
	}
	r->gsis = calloc(gsis, sizeof(*r->gsis));
	r->routes = calloc(gsis, sizeof(*r->routes));
	if (!r->gsis || !r->routes) {
		free(r->gsis);
		free(r->routes);
		free(r);
		return -ENOMEM;
	}
	r->ctx = ctx;
	r->count = gsis;
	(void)pthread_mutex_init(&r->lock, NULL);
	for (uint32_t i = 0; i < gsis; i++) {
		r->routes[i].gsi = i;
		(void)pthread_mutex_init(&r->gsis[i].lock, NULL);
	}
	*out = r;
	return 0;
}

void vmm_irq_router_free(struct vmm_irq_router *router)
{
	if (!router)
		return;
	for (uint32_t i = 0; i < router->count; i++)
		(void)pthread_mutex_destroy(&router->gsis[i].lock);
	(void)pthread_mutex_destroy(&router->lock);
	free(router->gsis);
	free(router->routes);
	free(router);
}

static bool route_ok(const struct vmm_irq_router *r, const struct vmm_irq_route *route)
{
	bool pin = route->chip || route->pin;
	bool msi = route->msi.addr || route->msi.data || route->msi.devid;

	if (route->gsi >= r->count)
		return false;
	switch (route->kind) {
	case VMM_IRQ_ROUTE_NONE:
		return !pin && !msi;
	case VMM_IRQ_ROUTE_PIN:
		return !msi;
	case VMM_IRQ_ROUTE_MSI:
		return !pin && route->msi.addr % 4 == 0;
	default:
		return false;
	}
}

/* Hands the routes over that there are; @p table has one a GSI. */
static int hand_over(struct vmm_irq_router *r, const struct vmm_irq_route *table)
{
	struct vmm_irq_route *packed = calloc(r->count, sizeof(*packed));
	size_t n = 0;
	int ret;

	if (!packed)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->count; i++) {
		if (table[i].kind != VMM_IRQ_ROUTE_NONE)
			packed[n++] = table[i];
	}
	ret = r->backend.set_routes ? r->backend.set_routes(r->ctx, packed, n)
				    : -EOPNOTSUPP;
	free(packed);
	return ret;
}

int vmm_irq_router_update(struct vmm_irq_router *router,
			  const struct vmm_irq_route *routes, size_t count,
			  struct vmm_error *err)
{
	struct vmm_irq_route *table;
	int ret;

	for (size_t i = 0; i < count; i++) {
		if (!route_ok(router, &routes[i]))
			return vmm_error_at(err, -EINVAL, routes[i].gsi, 0, 0,
					    "route of GSI %u is malformed",
					    routes[i].gsi);
	}
	table = calloc(router->count, sizeof(*table));
	if (!table)
		return vmm_error_set(err, -ENOMEM, "routes: out of memory");

	(void)pthread_mutex_lock(&router->lock);
	memcpy(table, router->routes, router->count * sizeof(*table));
	for (size_t i = 0; i < count; i++)
		table[routes[i].gsi] = routes[i];
	ret = hand_over(router, table);
	if (ret == 0) {
		free(router->routes);
		router->routes = table;
		table = NULL;
	}
	(void)pthread_mutex_unlock(&router->lock);
	free(table);
	if (ret < 0)
		return vmm_error_set(err, ret, "the routing table was refused");
	return 0;
}

int vmm_irq_router_get_route(struct vmm_irq_router *router, uint32_t gsi,
			     struct vmm_irq_route *out)
{
	struct vmm_irq_route route;

	if (gsi >= router->count)
		return -ENOENT;
	(void)pthread_mutex_lock(&router->lock);
	route = router->routes[gsi];
	(void)pthread_mutex_unlock(&router->lock);
	if (route.kind == VMM_IRQ_ROUTE_NONE)
		return -ENOENT;
	*out = route;
	return 0;
}

static int set_level(struct vmm_irq_router *r, uint32_t gsi, bool level)
{
	return r->backend.set_level ? r->backend.set_level(r->ctx, gsi, level)
				    : -EOPNOTSUPP;
}

int irq_trigger(struct vmm_irq_router *router, uint32_t gsi)
{
	int ret;

	if (router->backend.trigger)
		return router->backend.trigger(router->ctx, gsi);
	ret = set_level(router, gsi, true);
	return ret < 0 ? ret : set_level(router, gsi, false);
}

static void count_failure(struct vmm_irq_router *r, int ret)
{
	if (ret < 0)
		(void)__atomic_fetch_add(&r->failures, 1, __ATOMIC_RELAXED);
}

int vmm_irq_router_resample(struct vmm_irq_router *router, uint32_t gsi)
{
	struct irq_gsi *g;
	int ret = 0;

	if (gsi >= router->count)
		return -EINVAL;
	g = &router->gsis[gsi];
	(void)pthread_mutex_lock(&g->lock);
	if (g->sources == 0 || g->mode != VMM_IRQ_RESAMPLE)
		ret = -EINVAL;
	else if (g->up)
		ret = irq_trigger(router, gsi);
	(void)pthread_mutex_unlock(&g->lock);
	return ret;
}

uint64_t vmm_irq_router_get_failures(struct vmm_irq_router *router)
{
	return __atomic_load_n(&router->failures, __ATOMIC_RELAXED);
}

int vmm_irq_source_new(struct vmm_irq_router *router, uint32_t gsi, uint32_t mode,
		       struct vmm_irq_source **out)
{
	struct vmm_irq_source *s;
	struct irq_gsi *g;
	int ret = 0;

	if (gsi >= router->count || mode > VMM_IRQ_RESAMPLE)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct vmm_irq_source){ .router = router, .gsi = gsi, .mode = mode };

	g = &router->gsis[gsi];
	(void)pthread_mutex_lock(&g->lock);
	if (g->sources && (mode == VMM_IRQ_EDGE || mode != g->mode)) {
		ret = -EBUSY;
	} else {
		g->mode = mode;
		g->sources++;
	}
	(void)pthread_mutex_unlock(&g->lock);
	if (ret < 0) {
		free(s);
		return ret;
	}
	*out = s;
	return 0;
}

/* The line is the OR of its sources, and the back end hears of its edges only. The lock
 * is held while it is told, so that it hears of them in their order. */
static void source_level(struct vmm_irq_source *s, bool level)
{
	struct irq_gsi *g = &s->router->gsis[s->gsi];
	bool was;
	int ret = 0;

	(void)pthread_mutex_lock(&g->lock);
	if (s->up != level) {
		was = g->up > 0;
		s->up = level;
		g->up += level ? 1u : -1u;
		if (was == (g->up > 0))
			ret = 0;
		else if (s->mode == VMM_IRQ_LEVEL)
			ret = set_level(s->router, s->gsi, level);
		else if (level)
			ret = irq_trigger(s->router, s->gsi);
	}
	(void)pthread_mutex_unlock(&g->lock);
	count_failure(s->router, ret);
}

static void source_set(void *ctx, bool level)
{
	struct vmm_irq_source *s = ctx;

	if (s->mode != VMM_IRQ_EDGE)
		source_level(s, level);
	else if (level)
		count_failure(s->router, irq_trigger(s->router, s->gsi));
}

void vmm_irq_source_free(struct vmm_irq_source *source)
{
	struct irq_gsi *g;

	if (!source)
		return;
	source_set(source, false);
	g = &source->router->gsis[source->gsi];
	(void)pthread_mutex_lock(&g->lock);
	g->sources--;
	(void)pthread_mutex_unlock(&g->lock);
	free(source);
}

struct vmm_irq_line vmm_irq_source_get_line(struct vmm_irq_source *source)
{
	return (struct vmm_irq_line){ .set = source_set, .ctx = source };
}

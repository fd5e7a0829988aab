/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ranges of 4096 addresses, aligned to 4096. X_N.give_take: N ranges are live, a random
 * one goes and one comes back, which has to find the hole. X_Nlive.alloc_free_pair: one
 * more comes and goes. X_10k.fill_drain: 10,000 come, then go in another order.
 *
 * References: a sorted array of first addresses, searched from its beginning, with
 * memmove() to open and close the place; where that would take seconds, malloc() and
 * free() of a node, the floor of any tree that allocates its nodes.
 */
#include "vmm-bench.h"

#include <stdbool.h>
#include <vmm/allocator.h>

#define BASE (UINT64_C(1) << 32)
#define LEN UINT64_C(4096)

struct pool {
	struct vmm_alloc_ranges *ranges;
	struct vmm_alloc_ids *ids;
	uint64_t live, seed;
	uint32_t policy;
	uint64_t *array;
	/* How many pairs one operation of malloc_free() is; 0 is 1. */
	uint64_t ref_ops;
};

static const struct {
	const char *name;
	uint32_t policy;
} policies[] = {
	{ "first", VMM_ALLOC_FIRST },
	{ "exact", VMM_ALLOC_EXACT },
	{ "best", VMM_ALLOC_BEST },
	{ "last", VMM_ALLOC_LAST },
};

static uint64_t draw(struct pool *p)
{
	p->seed = p->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (p->seed >> 33) % p->live;
}

static void must(int ret)
{
	if (ret < 0)
		exit(1);
}

static struct vmm_alloc_request request(const struct pool *p)
{
	struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;

	r.len = LEN;
	r.align = LEN;
	r.policy = p->policy;
	return r;
}

static void give_take(void *ctx, uint64_t n)
{
	struct pool *p = ctx;
	struct vmm_alloc_request r = request(p);
	uint64_t out;

	while (n--) {
		r.at = BASE + draw(p) * LEN;
		must(vmm_alloc_ranges_give(p->ranges, r.at, LEN));
		must(vmm_alloc_ranges_take(p->ranges, &r, &out));
	}
}

static void pair(void *ctx, uint64_t n)
{
	struct pool *p = ctx;
	struct vmm_alloc_request r = request(p);
	uint64_t out;

	r.at = BASE + p->live * LEN;
	while (n--) {
		must(vmm_alloc_ranges_take(p->ranges, &r, &out));
		must(vmm_alloc_ranges_give(p->ranges, out, LEN));
	}
}

static void fill_drain(void *ctx, uint64_t n)
{
	struct pool *p = ctx;
	struct vmm_alloc_request r = request(p);
	uint64_t out;

	while (n--) {
		for (uint64_t i = 0; i < p->live; i++) {
			r.at = BASE + i * LEN;
			must(vmm_alloc_ranges_take(p->ranges, &r, &out));
		}
		/* A stride without a common factor visits each once. */
		for (uint64_t i = 0, k = 0; i < p->live; i++) {
			k = (k + 7919) % p->live;
			out = p->policy == VMM_ALLOC_LAST ? 2 * BASE - (k + 1) * LEN
							  : BASE + k * LEN;
			must(vmm_alloc_ranges_give(p->ranges, out, LEN));
		}
	}
}

static void array_give_take(void *ctx, uint64_t n)
{
	struct pool *p = ctx;

	while (n--) {
		uint64_t k = draw(p), i = 0;

		memmove(&p->array[k], &p->array[k + 1],
			(p->live - 1 - k) * sizeof(p->array[0]));
		while (i < p->live - 1 && p->array[i] == BASE + i * LEN)
			i++;
		memmove(&p->array[i + 1], &p->array[i],
			(p->live - 1 - i) * sizeof(p->array[0]));
		p->array[i] = BASE + i * LEN;
		VMM_BENCH_KEEP(p->array[i]);
	}
}

static void malloc_free(void *ctx, uint64_t n)
{
	const struct pool *p = ctx;

	n *= p->ref_ops ? p->ref_ops : 1;
	while (n--) {
		void *node = malloc(64);

		VMM_BENCH_KEEP(node);
		free(node);
	}
}

static void ids_give_take(void *ctx, uint64_t n)
{
	struct pool *p = ctx;
	uint32_t id;

	while (n--) {
		must(vmm_alloc_ids_give(p->ids, (uint32_t)draw(p)));
		must(vmm_alloc_ids_take(p->ids, &id));
	}
}

static void ids_block(void *ctx, uint64_t n)
{
	struct pool *p = ctx;
	uint32_t id;

	while (n--) {
		must(vmm_alloc_ids_take_block(p->ids, 32, 32, &id));
		must(vmm_alloc_ids_give_block(p->ids, id, 32));
	}
}

static void run(struct pool *p, const char *name, vmm_bench_fn fn, bool array,
		uint64_t ops)
{
	struct vmm_bench_case c = {
		.library = "allocator",
		.name = name,
		.run = fn,
		.reference_name = array ? "sorted array" : "malloc and free",
		.reference = array ? array_give_take : malloc_free,
		.ctx = p,
		.ops = ops,
	};

	vmm_bench_run(&c);
}

static void ranges_cases(uint64_t live)
{
	struct pool p = { .live = live, .seed = 11 };
	char name[64];

	must(vmm_alloc_ranges_new(BASE, 8 * BASE - 1, &p.ranges));
	p.array = calloc(live + 1, sizeof(p.array[0]));
	if (!p.array)
		exit(1);
	for (uint64_t i = 0; i < live; i++) {
		must(vmm_alloc_ranges_reserve(p.ranges, BASE + i * LEN, LEN));
		p.array[i] = BASE + i * LEN;
	}
	/* Last match would not fill the hole, and best match brings its index for good.
	 */
	for (int i = 0; i < 3; i++) {
		p.policy = policies[i].policy;
		if (p.policy == VMM_ALLOC_BEST) {
			struct pool last = p;

			last.policy = VMM_ALLOC_LAST;
			(void)snprintf(name, sizeof(name),
				       "last_%llulive.alloc_free_pair",
				       (unsigned long long)live);
			run(&last, name, pair, false, 1);
		}
		(void)snprintf(name, sizeof(name), "%s_%llu.give_take", policies[i].name,
			       (unsigned long long)live);
		run(&p, name, give_take, live <= 10000, 1);
		(void)snprintf(name, sizeof(name), "%s_%llulive.alloc_free_pair",
			       policies[i].name, (unsigned long long)live);
		run(&p, name, pair, false, 1);
	}
	free(p.array);
	vmm_alloc_ranges_free(p.ranges);
}

static void fill_cases(void)
{
	for (int i = 0; i < 4; i++) {
		struct pool p = { .live = 10000,
				  .policy = policies[i].policy,
				  .ref_ops = 10000 };
		char name[64];

		must(vmm_alloc_ranges_new(BASE, 2 * BASE - 1, &p.ranges));
		(void)snprintf(name, sizeof(name), "%s_10k.fill_drain", policies[i].name);
		run(&p, name, fill_drain, false, p.live);
		vmm_alloc_ranges_free(p.ranges);
	}
}

static void ids_cases(uint32_t live)
{
	struct pool p = { .live = live, .seed = 11 };
	char name[64];
	uint32_t id;

	must(vmm_alloc_ids_new(0, live + 4095, &p.ids));
	for (uint32_t i = 0; i < live; i++)
		must(vmm_alloc_ids_take(p.ids, &id));
	(void)snprintf(name, sizeof(name), "id_%u.give_take", live);
	run(&p, name, ids_give_take, false, 1);
	(void)snprintf(name, sizeof(name), "id_%u.block_of_32", live);
	run(&p, name, ids_block, false, 1);
	vmm_alloc_ids_free(p.ids);
}

int main(void)
{
	static const uint64_t lives[] = { 64, 100, 10000, 1000000 };

	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		ranges_cases(lives[i]);
	fill_cases();
	ids_cases(100);
	ids_cases(10000);
	ids_cases(1000000);
	return 0;
}

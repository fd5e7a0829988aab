/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_BENCH_H
#define VMM_BENCH_H

/*
 * Measures a case side by side with a reference and prints one JSON object a line:
 *
 *   {"library","case","ns_per_op","min_ns_per_op","reference","ratio"}
 *
 * ns_per_op is the median of the rounds, min_ns_per_op the fastest round, and ratio
 * the fastest round of the case over the fastest round of its reference. Both are
 * taken in turns within one run, so that a machine that is slow for a while is slow
 * for both: compare ratios, never times of two runs.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Does the operation @p n times. */
typedef void (*vmm_bench_fn)(void *ctx, uint64_t n);

struct vmm_bench_case {
	const char *library;
	const char *name;
	vmm_bench_fn run;
	/* What it is compared with; NULL for a plain measurement (ratio null). */
	const char *reference_name;
	vmm_bench_fn reference;
	void *ctx;
	/* Operations that one call of run(.., 1) does; 0 means 1. */
	uint64_t ops;
};

enum { VMM_BENCH_ROUNDS = 21 };

/* Keeps @p value alive, so that the compiler cannot drop the work that made it. */
#define VMM_BENCH_KEEP(value) __asm__ volatile("" : : "g"(value) : "memory")

static inline uint64_t vmm_bench_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static inline uint64_t vmm_bench_time(vmm_bench_fn fn, void *ctx, uint64_t n)
{
	uint64_t start = vmm_bench_now();

	fn(ctx, n);
	return vmm_bench_now() - start;
}

/* Milliseconds that one round takes at least; $VMM_BENCH_MS shortens a smoke run. */
static inline uint64_t vmm_bench_round_ns(void)
{
	const char *env = getenv("VMM_BENCH_MS");

	return (env ? strtoull(env, NULL, 10) : 10) * UINT64_C(1000000);
}

/* How many calls fill a round. */
static inline uint64_t vmm_bench_calibrate(vmm_bench_fn fn, void *ctx)
{
	uint64_t n = 1, want = vmm_bench_round_ns(), took = 0;

	while ((took = vmm_bench_time(fn, ctx, n)) < want / 2 && n < UINT64_C(1) << 40)
		n *= 2;
	return took > 0 ? n * want / took + 1 : n;
}

static inline int vmm_bench_compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static inline void vmm_bench_run(const struct vmm_bench_case *c)
{
	double mine[VMM_BENCH_ROUNDS], ref[VMM_BENCH_ROUNDS];
	uint64_t ops = c->ops ? c->ops : 1;
	uint64_t n = vmm_bench_calibrate(c->run, c->ctx);
	uint64_t m = c->reference ? vmm_bench_calibrate(c->reference, c->ctx) : 0;

	for (int i = 0; i < VMM_BENCH_ROUNDS; i++) {
		mine[i] = (double)vmm_bench_time(c->run, c->ctx, n) / (double)(n * ops);
		ref[i] = 0;
		if (c->reference)
			ref[i] = (double)vmm_bench_time(c->reference, c->ctx, m) /
				 (double)(m * ops);
	}
	qsort(mine, VMM_BENCH_ROUNDS, sizeof(mine[0]), vmm_bench_compare);
	qsort(ref, VMM_BENCH_ROUNDS, sizeof(ref[0]), vmm_bench_compare);

	printf("{\"library\":\"%s\",\"case\":\"%s\",\"ns_per_op\":%.3f,\"min_ns_per_op\":"
	       "%.3f,",
	       c->library, c->name, mine[VMM_BENCH_ROUNDS / 2], mine[0]);
	if (c->reference)
		printf("\"reference\":\"%s\",\"ratio\":%.3f}\n", c->reference_name,
		       mine[0] / ref[0]);
	else
		printf("\"reference\":null,\"ratio\":null}\n");
	(void)fflush(stdout);
}

#endif

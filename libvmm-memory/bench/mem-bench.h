/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_BENCH_H
#define MEM_BENCH_H

/* What the benchmarks share: the generator, the address lists and the black box of
 * the baseline measurements, so that the work is the same. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vmm/memory.h>

#include "vmm-bench.h"

#define OPS 4096u
#define MIB (UINT64_C(1) << 20)

/* Goes through memory once, as the baseline's black box does. */
static inline uint64_t bb(uint64_t x)
{
	__asm__ volatile("" : : "r"(&x) : "memory");
	return x;
}

static inline const void *bbp(const void *x)
{
	__asm__ volatile("" : : "r"(&x) : "memory");
	return x;
}

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->s += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static inline void must(int64_t ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror((int)-ret));
		exit(EXIT_FAILURE);
	}
}

/* @n touching regions of @len bytes from address 0, in small pages, all present. */
static inline struct vmm_mem *bench_table(uint32_t n, uint64_t len, uint32_t dirty_page,
					  int touch)
{
	struct vmm_mem_builder *builder;
	struct vmm_mem *mem;

	must(vmm_mem_builder_new(&builder), "builder");
	for (uint32_t i = 0; i < n; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		r.gpa = i * len;
		r.len = len;
		r.flags = VMM_MEM_NO_THP | (touch ? VMM_MEM_PREFAULT : 0);
		r.dirty_page_size = dirty_page;
		must(vmm_mem_builder_add(builder, &r, NULL), "region");
	}
	must(vmm_mem_builder_build(builder, &mem), "table");
	vmm_mem_builder_free(builder);
	return mem;
}

/* Memory without the library, for the references. */
static inline uint8_t *bench_raw(uint64_t len)
{
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		must(-12, "mmap");
	(void)madvise(p, len, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < len; i += 4096)
		*(volatile uint64_t *)(void *)(p + i) = 1;
	return p;
}

struct bench_ctx {
	const struct vmm_mem *mem;
	const uint64_t *addr;
	uint8_t *raw;
	uint8_t *buf;
	size_t len;
	/* For what is special to a file. */
	void *more;
};

#define ADDRS(name) static uint64_t name[OPS]

static inline void run_case(const char *name, vmm_bench_fn fn, const char *ref_name,
			    vmm_bench_fn ref, struct bench_ctx *ctx)
{
	struct vmm_bench_case c = { "memory", name, fn, ref_name, ref, ctx, OPS };

	vmm_bench_run(&c);
}

#endif

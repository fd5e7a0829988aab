/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-bench.h"

#include <pthread.h>

#include <vmm/memory-dirty.h>
#include <vmm/memory-iommu.h>
#include <vmm/memory-space.h>
#include <vmm/memory-typed.h>

/* What upstream does not measure: the table that changes, translations, threads. */

static uint8_t *raw;
static struct vmm_mem *plain;
static struct vmm_mem_space *space;
static struct vmm_mem_reader *reader;
static struct vmm_mem_iotlb *tlb;
static struct vmm_mem_iommu *view;

#define LOOP(name, body)                                          \
	static void name(void *p, uint64_t n)                     \
	{                                                         \
		const uint64_t *addr = p;                         \
                                                                  \
		for (uint64_t round = 0; round < n; round++) {    \
			for (uint64_t i = 0; i < OPS; i++) {      \
				uint64_t at = addr[i];            \
				int ret = 0;                      \
                                                                  \
				body;                             \
				if (__builtin_expect(ret < 0, 0)) \
					abort();                  \
			}                                         \
		}                                                 \
	}

LOOP(raw_u16, const uint8_t *q = (const uint8_t *)bbp(raw) + at;
     (void)bb(__atomic_load_n((const uint16_t *)(const void *)q, __ATOMIC_ACQUIRE)))
LOOP(table_u16, uint16_t v;
     ret = vmm_mem_load_u16((const struct vmm_mem *)bbp(plain), at, VMM_MEM_ACQUIRE, &v);
     (void)bb(v))
LOOP(unit_u16, uint16_t v; const struct vmm_mem *m = vmm_mem_reader_begin(
			       (struct vmm_mem_reader *)(uintptr_t)bbp(reader));
     ret = vmm_mem_load_u16(m, at, VMM_MEM_ACQUIRE, &v); vmm_mem_reader_end(reader);
     (void)bb(v))
LOOP(iotlb_first, struct vmm_mem_iotlb_piece piece;
     ret = vmm_mem_iotlb_first(tlb, at, 8, VMM_MEM_ACCESS_RW, &piece);
     (void)bb(piece.gpa))
LOOP(iommu_read, uint64_t v; ret = vmm_mem_iommu_read(view, at, &v, 8); (void)bb(v))

/* One call is a round of 64 loads in one unit of work. */
static void unit_of_64(void *p, uint64_t n)
{
	const uint64_t *addr = p;

	for (uint64_t round = 0; round < n * OPS / 64; round++) {
		const struct vmm_mem *m = vmm_mem_reader_begin(reader);

		for (uint64_t i = 0; i < 64; i++) {
			uint16_t v;

			if (vmm_mem_load_u16((const struct vmm_mem *)bbp(m), addr[i],
					     VMM_MEM_ACQUIRE, &v) < 0)
				abort();
			(void)bb(v);
		}
		vmm_mem_reader_end(reader);
	}
}

/* The same work on two threads at once; the time is the slower one's. */
struct both {
	vmm_bench_fn fn;
	void *ctx;
	uint64_t n;
};

static void *second(void *p)
{
	struct both *b = p;

	b->fn(b->ctx, b->n);
	return NULL;
}

static void on_two(vmm_bench_fn fn, void *ctx, uint64_t n)
{
	struct both b = { fn, ctx, n };
	pthread_t thread;

	if (pthread_create(&thread, NULL, second, &b) != 0)
		abort();
	fn(ctx, n);
	(void)pthread_join(thread, NULL);
}

static void two_table(void *p, uint64_t n)
{
	on_two(table_u16, p, n);
}

static void two_raw(void *p, uint64_t n)
{
	on_two(raw_u16, p, n);
}

static void one(const char *name, vmm_bench_fn fn, vmm_bench_fn ref, uint64_t *list)
{
	struct vmm_bench_case c = { "memory", name, fn, "bare load", ref, list, OPS };

	vmm_bench_run(&c);
}

int main(void)
{
	static uint64_t hot[OPS];
	struct rng r = { 1 };
	struct vmm_mem *mine;

	for (uint32_t i = 0; i < OPS; i++) {
		(void)rng_next(&r);
		hot[i] = rng_next(&r) % 4096 * 8;
	}
	raw = bench_raw(MIB);
	plain = bench_table(1, MIB, 0, 1);
	must(vmm_mem_clone(plain, &mine), "clone");
	must(vmm_mem_space_new(mine, &space), "space");
	must(vmm_mem_space_add_reader(space, "bench", &reader), "reader");
	must(vmm_mem_iotlb_new(4096, &tlb), "iotlb");
	/* Pages in turn to odd places, so that none merge. */
	for (uint64_t i = 0; i < 256; i++)
		must(vmm_mem_iotlb_map(tlb, i * 4096, 4096, (i ^ 1) * 4096,
				       VMM_MEM_ACCESS_RW),
		     "map");
	must(vmm_mem_iommu_new(plain, tlb, NULL, NULL, &view), "view");

	one("load_u16.table", table_u16, raw_u16, hot);
	one("load_u16.unit_each", unit_u16, raw_u16, hot);
	one("load_u16.unit_of_64", unit_of_64, raw_u16, hot);
	one("load_u16.table.two_threads", two_table, two_raw, hot);
	one("iotlb.first.256_mappings", iotlb_first, raw_u16, hot);
	one("iommu.read_8.256_mappings", iommu_read, raw_u16, hot);

	vmm_mem_space_free(space);
	vmm_mem_iommu_free(view);
	vmm_mem_iotlb_free(tlb);
	vmm_mem_free(plain);
	return 0;
}

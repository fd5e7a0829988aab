/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-bench.h"

#include <vmm/memory-dirty.h>

static uint64_t bases[1024];
static uint64_t base_count;

/* A plain binary search over a dense array: what one would write first. */
static uint64_t plain_search(const uint64_t *a, uint64_t n, uint64_t x)
{
	uint64_t lo = 0, hi = n;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (a[mid] <= x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

static void reference(void *p, uint64_t n)
{
	const struct bench_ctx *c = p;
	const uint64_t *addr = c->addr;
	const uint64_t count = base_count;

	for (uint64_t round = 0; round < n; round++) {
		for (uint64_t i = 0; i < OPS; i++)
			(void)bb(plain_search(bbp(bases), count, addr[i]));
	}
}

static void find_region(void *p, uint64_t n)
{
	const struct bench_ctx *c = p;
	const uint64_t *addr = c->addr;
	const struct vmm_mem *mem = c->mem;

	for (uint64_t round = 0; round < n; round++) {
		for (uint64_t i = 0; i < OPS; i++) {
			size_t index;

			if (vmm_mem_find_region(bbp(mem), addr[i], &index) < 0)
				abort();
			(void)bb(index);
		}
	}
}

static void get_host_address(void *p, uint64_t n)
{
	const struct bench_ctx *c = p;
	const uint64_t *addr = c->addr;
	const struct vmm_mem *mem = c->mem;

	for (uint64_t round = 0; round < n; round++) {
		for (uint64_t i = 0; i < OPS; i++) {
			void *host;

			if (vmm_mem_get_ptr(bbp(mem), addr[i], 1, &host) < 0)
				abort();
			(void)bbp(host);
		}
	}
}

static void lookups(void)
{
	static const uint32_t counts[] = { 1, 8, 64, 512 };
	static uint64_t list[OPS], same[OPS];
	char name[64];

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		uint32_t n = counts[k];
		struct vmm_mem *mem = bench_table(n, MIB, 0, 0);
		struct bench_ctx c = { .mem = mem, .addr = list };
		struct rng r = { 6 };

		for (uint32_t i = 0; i < OPS; i++)
			list[i] = rng_next(&r) % (n * 131072) * 8;
		for (uint32_t i = 0; i < OPS; i++)
			same[i] = list[i / 64];
		for (uint32_t i = 0; i < n; i++)
			bases[i] = i * MIB;
		base_count = n;
		(void)snprintf(name, sizeof(name), "find_region.r%u", n);
		run_case(name, find_region, "plain binary search", reference, &c);
		(void)snprintf(name, sizeof(name), "get_host_address.r%u", n);
		run_case(name, get_host_address, "plain binary search", reference, &c);
		c.addr = same;
		(void)snprintf(name, sizeof(name), "find_region.r%u.same64", n);
		run_case(name, find_region, "plain binary search", reference, &c);
		vmm_mem_free(mem);
	}
}

#define GIB (UINT64_C(1) << 30)
#define WORDS (GIB / 4096 / 64)

static struct vmm_mem_dirty *bitmap, *taken;
static uint64_t *words;

static void scan_words(void *p, uint64_t n)
{
	for (uint64_t round = 0; round < n; round++) {
		const volatile uint64_t *w = (const volatile uint64_t *)bbp(words);
		uint64_t any = 0;

		for (uint64_t i = 0; i < WORDS; i++)
			any |= w[i];
		(void)bb(any);
	}
}

static void harvest(void *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		must(vmm_mem_dirty_harvest(bitmap, taken), "harvest");
}

static void mark_64(void *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		vmm_mem_dirty_mark((struct vmm_mem_dirty *)(uintptr_t)bbp(bitmap), 0,
				   64 * 4096);
}

static void or_64(void *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		(void)__atomic_fetch_or((uint64_t *)(uintptr_t)bbp(words), UINT64_MAX,
					__ATOMIC_SEQ_CST);
}

static void mark_gib(void *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		vmm_mem_dirty_mark(bitmap, 0, GIB);
		vmm_mem_dirty_reset(bitmap);
	}
}

static void or_gib(void *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		for (uint64_t w = 0; w < WORDS; w++)
			(void)__atomic_fetch_or(&words[w], UINT64_MAX, __ATOMIC_SEQ_CST);
		for (uint64_t w = 0; w < WORDS; w++)
			(void)__atomic_exchange_n(&words[w], 0, __ATOMIC_SEQ_CST);
	}
}

static void one(const char *name, vmm_bench_fn fn, const char *ref_name, vmm_bench_fn ref)
{
	struct vmm_bench_case c = { "memory", name, fn, ref_name, ref, NULL, 1 };

	vmm_bench_run(&c);
}

static void bitmaps(void)
{
	must(vmm_mem_dirty_new(GIB, 4096, &bitmap), "bitmap");
	must(vmm_mem_dirty_new(GIB, 4096, &taken), "bitmap");
	words = calloc(WORDS, sizeof(*words));
	if (!words)
		must(-12, "words");
	one("dirty.harvest_1gib.clean", harvest, "load each word", scan_words);
	one("dirty.mark_64_pages.dirty", mark_64, "one locked or", or_64);
	one("dirty.mark_1gib_and_reset", mark_gib, "locked or and exchange a word",
	    or_gib);
	vmm_mem_dirty_free(bitmap);
	vmm_mem_dirty_free(taken);
	free(words);
}

int main(void)
{
	lookups();
	bitmaps();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "internal.h"

/* How many of eight sorted numbers are below x; no branch, no dependent load. */
static inline uint64_t mem_rank8(const uint64_t *a, uint64_t x)
{
	uint64_t lo = (uint64_t)(a[0] < x) + (a[1] < x) + (a[2] < x) + (a[3] < x);
	uint64_t hi = (uint64_t)(a[4] < x) + (a[5] < x) + (a[6] < x) + (a[7] < x);

	/* Two chains of additions, which compilers would like to make one. */
	__asm__("" : "+r"(lo));
	return lo + hi;
}

const struct mem_region *mem_search(const struct vmm_mem *mem, uint64_t gpa)
{
	const uint64_t *const *level = &mem->level[mem->levels];
	uint64_t i = 0;

	while (level-- > mem->level)
		i = i * MEM_FANOUT + mem_rank8(*level + i * MEM_FANOUT, gpa);
	return &mem->regions[i];
}

static uint64_t last_of(const struct mem_region *r)
{
	return r->gpa + (r->len - 1);
}

static uint32_t round_up8(uint32_t n)
{
	return (n + MEM_FANOUT - 1) / MEM_FANOUT * MEM_FANOUT;
}

/* Lay out the search levels in @keys. Returns how many keys there are; with a NULL
 * table it only counts. */
static uint32_t fill_levels(struct vmm_mem *mem, uint32_t count, uint64_t *keys)
{
	uint32_t n = count, used = 0, level = 0;

	do {
		uint32_t padded = n > 0 ? round_up8(n) : MEM_FANOUT;

		for (uint32_t i = 0; mem && i < padded; i++) {
			uint64_t *key = keys + used + i;

			/* The last group of an upper level catches what lies above all
			 * regions, too. */
			if (i >= n || (level > 0 && i + 1 == n))
				*key = UINT64_MAX;
			else if (level == 0)
				*key = last_of(&mem->regions[i]);
			else
				*key = mem->level[level - 1]
						 [i * MEM_FANOUT + MEM_FANOUT - 1];
		}
		if (mem) {
			mem->level[level] = keys + used;
			mem->levels = level + 1;
		}
		used += padded;
		n = padded / MEM_FANOUT;
		level++;
	} while (n > 1);
	return used;
}

/* Two hints for each region, so that most parts have one region only. */
static uint32_t hint_count(uint32_t count)
{
	uint32_t n = 64;

	while (n < 2 * count)
		n *= 2;
	return n;
}

static void fill_hints(struct vmm_mem *mem, uint16_t *hints)
{
	uint64_t top = mem->count ? last_of(&mem->regions[mem->count - 1]) : 0;
	uint32_t n = hint_count(mem->count), shift = 0, r = 0;

	while (top >> shift >= n)
		shift++;
	mem->hints = hints;
	mem->hint_shift = shift;
	mem->hint_mask = n - 1;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t first = (uint64_t)i << shift,
			 last = first + ((UINT64_C(1) << shift) - 1);
		uint64_t most = 0;

		while (r < mem->count && last_of(&mem->regions[r]) < first)
			r++;
		hints[i] = (uint16_t)r;
		for (uint32_t k = r; k < mem->count && mem->regions[k].gpa <= last; k++) {
			const struct mem_region *m = &mem->regions[k];
			uint64_t from = m->gpa > first ? m->gpa : first;
			uint64_t to = last_of(m) < last ? last_of(m) : last;

			if (to - from >= most) {
				most = to - from;
				hints[i] = (uint16_t)k;
			}
		}
	}
}

size_t mem_index_size(uint32_t count)
{
	return fill_levels(NULL, count, NULL) * sizeof(uint64_t) +
	       hint_count(count) * sizeof(uint16_t);
}

void mem_index(struct vmm_mem *mem, void *room)
{
	uint64_t *keys = room;
	uint32_t used = fill_levels(mem, mem->count, keys);

	fill_hints(mem, (uint16_t *)(void *)(keys + used));
	if (mem->count == 1)
		mem->levels = 0;
}

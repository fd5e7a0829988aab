/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_INTERNAL_H
#define MEM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <vmm/memory.h>

#define MEM_FANOUT 8u
/* 8 * 8 * 8 * 8 >= VMM_MEM_REGIONS_MAX */
#define MEM_LEVELS 4u

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* One mapping; every table that has it in a region holds a reference. */
struct mem_backing {
	/* Only touched when tables are made and released. */
	uint32_t refs;
	uint32_t flags;
	uint8_t *host;
	uint64_t len;
	/* What to unmap, guard pages included; NULL for the caller's own mapping. */
	void *map;
	size_t map_len;
	int fd;
	uint32_t numa_policy;
	uint64_t fd_offset;
	uint64_t page_size;
	uint64_t numa_nodes;
	struct vmm_mem_dirty *dirty;
	char *label;
};

/* What an access needs, in one cache line. A length never reaches 2^64, because the
 * host maps it, so `gpa - region.gpa < region.len` is right for every address. */
struct mem_region {
	uint64_t gpa;
	uint64_t len;
	uint8_t *host;
	/* NULL: not tracked. */
	struct vmm_mem_dirty *dirty;
	/* The address that byte 0 of the bitmap stands for. */
	uint64_t dirty_base;
	/* Length, or 0 when a write takes more than a store: read-only, tracked. */
	uint64_t write_len;
	struct mem_backing *backing;
	uint32_t flags;
	uint32_t reserved_;
};

struct vmm_mem {
	uint32_t count;
	/* 0 for exactly one region: nothing to search. */
	uint32_t levels;
	/* For each part of 2^hint_shift bytes the region that has most of it. Any
	 * number in here is right, but a wrong one costs a search. */
	const uint16_t *hints;
	uint32_t hint_shift;
	uint32_t hint_mask;
	/* level[0] has the last address of each region; an entry of level[k + 1] is the
	 * greatest of eight of level[k]. Padded with UINT64_MAX to full eights. */
	const uint64_t *level[MEM_LEVELS];
	/* Bitmap of the whole address space, the caller's; NULL for none. */
	struct vmm_mem_dirty *dirty;
	/* Of the space that retired this table. */
	struct vmm_mem *next;
	uint64_t epoch;
	/* The record after the last one has length 0: a search that ran off the end
	 * finds it and hits nothing. */
	struct mem_region regions[] __attribute__((aligned(64)));
};

/* The first region that ends at or after @gpa, or the empty record. */
const struct mem_region *mem_search(const struct vmm_mem *mem, uint64_t gpa);

/* The region that probably has @gpa: a hint for each equal part of the address space
 * mostly knows. Whoever finds that it has not goes on with mem_find(), out of line,
 * so that the fast way saves no registers for a call. */
static inline const struct mem_region *mem_guess(const struct vmm_mem *mem, uint64_t gpa)
{
	if (likely(mem->levels == 0))
		return mem->regions;
	return &mem->regions[mem->hints[gpa >> mem->hint_shift & mem->hint_mask]];
}

/* What mem_search() finds, mostly without it. */
static inline const struct mem_region *mem_find(const struct vmm_mem *mem, uint64_t gpa)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	return likely(gpa - r->gpa < r->len || mem->levels == 0) ? r
								 : mem_search(mem, gpa);
}

#define MEM_NOINLINE __attribute__((noinline))

/* What the search needs behind the regions of a table, and making it. */
size_t mem_index_size(uint32_t count);
void mem_index(struct vmm_mem *mem, void *room);

/* Whether @r has all of [gpa, gpa + len), len > 0. */
static inline bool mem_fits(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - r->gpa;

	return off < r->len && len <= r->len - off;
}

/* mem_fits(), and writing it takes nothing but storing. */
static inline bool mem_fits_write(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - r->gpa;

	return off < r->write_len && len <= r->write_len - off;
}

/*
 * Check a range that begins in @r (as mem_find() gave it).
 *
 * Returns 0, -EFAULT for a hole, or -EROFS when writing is asked for and a region is
 * read-only; a hole anywhere wins.
 */
int mem_check(const struct mem_region *r, uint64_t gpa, uint64_t len, uint32_t access);

/* The part of [gpa, gpa + len) that is backed without a hole, and allows @access. */
uint64_t mem_extent(const struct mem_region *r, uint64_t gpa, uint64_t len,
		    uint32_t access);

/* Fill @iov from a checked range; returns the entries needed, even beyond @max. */
size_t mem_fill_iov(const struct mem_region *r, uint64_t gpa, uint64_t len,
		    struct iovec *iov, size_t max);

/* The long way of an access: any length, any number of regions. */
int mem_read_at(const struct mem_region *r, uint64_t gpa, void *buf, size_t len);
int mem_write_at(const struct mem_region *r, uint64_t gpa, const void *buf, size_t len);

/* Note a write to a checked range. */
void mem_dirty_range(const struct mem_region *r, uint64_t gpa, uint64_t len);

/* Whether @cfg makes sense by itself. */
int mem_backing_check(const struct vmm_mem_region *cfg, struct vmm_error *err);
/* Map what was checked. */
int mem_backing_new(const struct vmm_mem_region *cfg, struct mem_backing **out,
		    struct vmm_error *err);
/* Make all pages of a mapping present. */
int mem_populate(uint8_t *host, uint64_t len);
struct mem_backing *mem_backing_get(struct mem_backing *backing);
void mem_backing_put(struct mem_backing *backing);

#endif

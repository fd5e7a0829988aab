/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_RANGE_MODEL_H
#define TESTS_RANGE_MODEL_H

/*
 * A pool as an array of bytes: each address holds the number of the range it belongs to,
 * 0 if it is free. Obviously right, and slow. Shared by the random test and the fuzzer.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <vmm/allocator.h>

enum { MODEL_LEN = 256 };

struct model {
	/* Address of cell 0. */
	uint64_t first;
	/* Number of the range, counted up; 0 is free. */
	uint32_t cell[MODEL_LEN];
	uint32_t next;
	uint32_t count;
};

static inline bool model_free(const struct model *m, uint64_t at, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++) {
		if (at + i >= MODEL_LEN || m->cell[at + i])
			return false;
	}
	return true;
}

static inline bool model_fits(const struct model *m, const struct vmm_alloc_request *r,
			      uint64_t at)
{
	uint64_t base = m->first + at;
	uint64_t max = r->max ? r->max : UINT64_MAX;

	return r->len <= MODEL_LEN - at && base % r->align == 0 && base >= r->min &&
	       base + (r->len - 1) <= max && model_free(m, at, r->len);
}

/* Length of the free extent around a free cell. */
static inline uint64_t model_extent(const struct model *m, uint64_t at)
{
	uint64_t lo = at, hi = at;

	while (lo > 0 && !m->cell[lo - 1])
		lo--;
	while (hi + 1 < MODEL_LEN && !m->cell[hi + 1])
		hi++;
	return hi - lo + 1;
}

/* Where the request must land; MODEL_LEN if nowhere. */
static inline uint64_t model_place(const struct model *m,
				   const struct vmm_alloc_request *r)
{
	uint64_t found = MODEL_LEN, size = UINT64_MAX;

	for (uint64_t at = 0; at < MODEL_LEN; at++) {
		if (!model_fits(m, r, at))
			continue;
		if (r->policy == VMM_ALLOC_EXACT && m->first + at != r->at)
			continue;
		if (r->policy == VMM_ALLOC_BEST && model_extent(m, at) >= size)
			continue;
		size = model_extent(m, at);
		found = at;
		if (r->policy == VMM_ALLOC_FIRST)
			break;
	}
	return found;
}

static inline void model_take(struct model *m, uint64_t at, uint64_t len)
{
	m->next++;
	m->count++;
	for (uint64_t i = 0; i < len; i++)
		m->cell[at + i] = m->next;
}

/* Whether [at, at + len) is one taken range; frees it. */
static inline bool model_give(struct model *m, uint64_t at, uint64_t len)
{
	uint32_t id;

	if (len == 0 || at >= MODEL_LEN || len > MODEL_LEN - at || !m->cell[at])
		return false;
	id = m->cell[at];
	if (at > 0 && m->cell[at - 1] == id)
		return false;
	for (uint64_t i = 0; i < len; i++) {
		if (m->cell[at + i] != id)
			return false;
	}
	if (at + len < MODEL_LEN && m->cell[at + len] == id)
		return false;
	memset(&m->cell[at], 0, len * sizeof(m->cell[0]));
	m->count--;
	return true;
}

/* Whether the pool says the same as the model, by walking both its lists. */
static inline bool model_agrees(const struct model *m, const struct vmm_alloc_ranges *p)
{
	struct vmm_alloc_extent e;
	uint64_t at = 0, longest = 0;
	uint32_t seen = 0;

	while (at < MODEL_LEN) {
		bool taken = m->cell[at] != 0;
		uint64_t end = at;

		while (end < MODEL_LEN && m->cell[end] == m->cell[at])
			end++;
		if ((taken ? vmm_alloc_ranges_next(p, m->first + at, &e)
			   : vmm_alloc_ranges_next_free(p, m->first + at, &e)) < 0)
			return false;
		if (e.first != m->first + at || e.last != m->first + (end - 1))
			return false;
		if (taken)
			seen++;
		else if (end - at > longest)
			longest = end - at;
		at = end;
	}
	return seen == m->count && vmm_alloc_ranges_get_count(p) == seen &&
	       vmm_alloc_ranges_get_largest(p) == longest;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_DIRTY_H
#define MEM_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmm/memory-dirty.h>

struct vmm_mem_dirty {
	uint64_t *words;
	uint64_t pages;
	uint32_t shift;
	/* Set where the harvest cannot fence the writers by membarrier(). */
	uint32_t fence;
	uint64_t len;
};

void mem_dirty_mark_pages(struct vmm_mem_dirty *d, uint64_t first, uint64_t last);

/*
 * Note that [off, off + len), len > 0, was written; it must not wrap.
 *
 * The store before and the load in here may pass each other in the CPU: the harvest
 * could then clear the bit, read the old data, and never hear of the new. The harvest
 * prevents that by making every thread run a barrier after the clearing.
 */
static inline void mem_dirty_mark(struct vmm_mem_dirty *d, uint64_t off, uint64_t len)
{
	uint64_t first = off >> d->shift, last = (off + len - 1) >> d->shift;
	uint64_t mask, *word = &d->words[first / 64];

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&d->fence, __ATOMIC_RELAXED) != 0, 0))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(last >= d->pages || first / 64 != last / 64, 0)) {
		mem_dirty_mark_pages(d, first, last);
		return;
	}
	mask = (UINT64_MAX >> (63 - (last - first))) << first % 64;
	if ((__atomic_load_n(word, __ATOMIC_RELAXED) & mask) != mask)
		(void)__atomic_fetch_or(word, mask, __ATOMIC_RELEASE);
}

#endif

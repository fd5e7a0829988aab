/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/membarrier.h>

#include "dirty.h"
#include "sys.h"

#define WORD_BITS 64u

static uint64_t word_count(uint64_t pages)
{
	return (pages + WORD_BITS - 1) / WORD_BITS;
}

static uint64_t page_count(uint64_t len, uint32_t shift)
{
	return len ? ((len - 1) >> shift) + 1 : 0;
}

/* The bits of word @w that [first, last] covers. */
static uint64_t word_mask(uint64_t w, uint64_t first, uint64_t last)
{
	uint64_t mask = UINT64_MAX;

	if (w == first / WORD_BITS)
		mask &= UINT64_MAX << first % WORD_BITS;
	if (w == last / WORD_BITS)
		mask &= UINT64_MAX >> (WORD_BITS - 1 - last % WORD_BITS);
	return mask;
}

static int dirty_new(uint64_t len, uint32_t shift, struct vmm_mem_dirty **out)
{
	uint64_t pages = page_count(len, shift);
	struct vmm_mem_dirty *d;

	if (pages > VMM_MEM_DIRTY_PAGES_MAX || word_count(pages) > SIZE_MAX / 16)
		return -E2BIG;
	d = mem_sys_alloc(__alignof__(*d), sizeof(*d));
	if (!d)
		return -ENOMEM;
	/* One word at least, so that the first may always be looked at. */
	d->words = mem_sys_alloc(64, (size_t)(word_count(pages) + 1) * sizeof(uint64_t));
	if (!d->words) {
		free(d);
		return -ENOMEM;
	}
	d->pages = pages;
	d->shift = shift;
	d->len = len;
	d->fence = mem_sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) < 0;
	*out = d;
	return 0;
}

int vmm_mem_dirty_new(uint64_t len, uint64_t page_size, struct vmm_mem_dirty **out)
{
	if (page_size == 0 || (page_size & (page_size - 1)) != 0)
		return -EINVAL;
	return dirty_new(len, (uint32_t)__builtin_ctzll(page_size), out);
}

void vmm_mem_dirty_free(struct vmm_mem_dirty *dirty)
{
	if (!dirty)
		return;
	free(dirty->words);
	free(dirty);
}

uint64_t vmm_mem_dirty_page_size(const struct vmm_mem_dirty *dirty)
{
	return UINT64_C(1) << dirty->shift;
}

uint64_t vmm_mem_dirty_pages(const struct vmm_mem_dirty *dirty)
{
	return dirty->pages;
}

size_t vmm_mem_dirty_byte_size(const struct vmm_mem_dirty *dirty)
{
	return (size_t)word_count(dirty->pages) * sizeof(uint64_t);
}

void mem_dirty_mark_pages(struct vmm_mem_dirty *d, uint64_t first, uint64_t last)
{
	if (first >= d->pages)
		return;
	if (last >= d->pages)
		last = d->pages - 1;
	for (uint64_t w = first / WORD_BITS; w <= last / WORD_BITS; w++) {
		uint64_t mask = word_mask(w, first, last);

		if ((__atomic_load_n(&d->words[w], __ATOMIC_RELAXED) & mask) == mask)
			continue;
		/* A full word has nothing that a plain store could lose. */
		if (mask == UINT64_MAX)
			__atomic_store_n(&d->words[w], mask, __ATOMIC_RELEASE);
		else
			(void)__atomic_fetch_or(&d->words[w], mask, __ATOMIC_RELEASE);
	}
}

/* Cut [offset, offset + len) to the bitmap; false when nothing is left. */
static bool clip(const struct vmm_mem_dirty *d, uint64_t offset, uint64_t len,
		 uint64_t *first, uint64_t *last)
{
	uint64_t end;

	if (len == 0 || offset >= d->len)
		return false;
	end = len > d->len - offset ? d->len - 1 : offset + (len - 1);
	*first = offset >> d->shift;
	*last = end >> d->shift;
	return true;
}

void vmm_mem_dirty_mark(struct vmm_mem_dirty *dirty, uint64_t offset, uint64_t len)
{
	uint64_t first, last;

	if (!clip(dirty, offset, len, &first, &last))
		return;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&dirty->fence, __ATOMIC_RELAXED))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	mem_dirty_mark_pages(dirty, first, last);
}

void vmm_mem_dirty_clear(struct vmm_mem_dirty *dirty, uint64_t offset, uint64_t len)
{
	uint64_t first, last;

	if (!clip(dirty, offset, len, &first, &last))
		return;
	for (uint64_t w = first / WORD_BITS; w <= last / WORD_BITS; w++)
		(void)__atomic_fetch_and(&dirty->words[w], ~word_mask(w, first, last),
					 __ATOMIC_ACQ_REL);
}

void vmm_mem_dirty_reset(struct vmm_mem_dirty *dirty)
{
	for (uint64_t w = 0; w < word_count(dirty->pages); w++)
		__atomic_store_n(&dirty->words[w], 0, __ATOMIC_RELEASE);
}

bool vmm_mem_dirty_is_set(const struct vmm_mem_dirty *dirty, uint64_t offset)
{
	uint64_t page = offset >> dirty->shift;

	return offset < dirty->len &&
	       (__atomic_load_n(&dirty->words[page / WORD_BITS], __ATOMIC_ACQUIRE) >>
		    page % WORD_BITS &
		1);
}

int vmm_mem_dirty_enlarge(struct vmm_mem_dirty *dirty, uint64_t more)
{
	struct vmm_mem_dirty *bigger;
	uint64_t len;
	int ret;

	if (__builtin_add_overflow(dirty->len, more, &len))
		return -E2BIG;
	ret = dirty_new(len, dirty->shift, &bigger);
	if (ret < 0)
		return ret;
	memcpy(bigger->words, dirty->words, vmm_mem_dirty_byte_size(dirty));
	free(dirty->words);
	dirty->words = bigger->words;
	dirty->pages = bigger->pages;
	dirty->len = len;
	free(bigger);
	return 0;
}

int vmm_mem_dirty_copy(const struct vmm_mem_dirty *dirty, struct vmm_mem_dirty **out)
{
	struct vmm_mem_dirty *d;
	int ret;

	ret = dirty_new(dirty->len, dirty->shift, &d);
	if (ret < 0)
		return ret;
	for (uint64_t w = 0; w < word_count(d->pages); w++)
		d->words[w] = __atomic_load_n(&dirty->words[w], __ATOMIC_ACQUIRE);
	*out = d;
	return 0;
}

/* The next word at or after @w that is not zero. */
static uint64_t skip_clean(const struct vmm_mem_dirty *d, uint64_t w, uint64_t words)
{
	while (words - w >= 4) {
		const uint64_t *p = &d->words[w];

		if (__atomic_load_n(p, __ATOMIC_RELAXED) |
		    __atomic_load_n(p + 1, __ATOMIC_RELAXED) |
		    __atomic_load_n(p + 2, __ATOMIC_RELAXED) |
		    __atomic_load_n(p + 3, __ATOMIC_RELAXED))
			break;
		w += 4;
	}
	while (w < words && __atomic_load_n(&d->words[w], __ATOMIC_RELAXED) == 0)
		w++;
	return w;
}

/* After a failed barrier: every page that might have been taken is dirty again. */
static void put_back(struct vmm_mem_dirty *dirty, const struct vmm_mem_dirty *into)
{
	for (uint64_t w = 0; w < word_count(dirty->pages); w++) {
		uint64_t bits = __atomic_load_n(&into->words[w], __ATOMIC_RELAXED);

		if (bits)
			(void)__atomic_fetch_or(&dirty->words[w], bits, __ATOMIC_RELEASE);
	}
}

int vmm_mem_dirty_harvest(struct vmm_mem_dirty *dirty, struct vmm_mem_dirty *into)
{
	uint64_t words = word_count(dirty->pages);
	bool any = false;
	int ret;

	if (dirty->shift != into->shift || dirty->pages != into->pages || dirty == into)
		return -EINVAL;
	for (uint64_t w = skip_clean(dirty, 0, words); w < words;
	     w = skip_clean(dirty, w + 1, words)) {
		uint64_t bits =
		    __atomic_exchange_n(&dirty->words[w], 0, __ATOMIC_ACQ_REL);

		(void)__atomic_fetch_or(&into->words[w], bits, __ATOMIC_RELAXED);
		any = true;
	}
	if (!any)
		return 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&dirty->fence, __ATOMIC_RELAXED))
		return 0;
	ret = mem_sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	if (ret < 0) {
		__atomic_store_n(&dirty->fence, 1, __ATOMIC_SEQ_CST);
		put_back(dirty, into);
	}
	return ret;
}

/* The first page at or after @page whose bit is @want; the number of pages if none. */
static uint64_t find_bit(const struct vmm_mem_dirty *d, uint64_t page, bool want)
{
	uint64_t words = word_count(d->pages), w = page / WORD_BITS, bits;

	if (page >= d->pages)
		return d->pages;
	bits = __atomic_load_n(&d->words[w], __ATOMIC_ACQUIRE) ^ (want ? 0 : UINT64_MAX);
	bits &= UINT64_MAX << page % WORD_BITS;
	while (bits == 0) {
		w = want ? skip_clean(d, w + 1, words) : w + 1;
		if (w >= words)
			return d->pages;
		bits = __atomic_load_n(&d->words[w], __ATOMIC_ACQUIRE) ^
		       (want ? 0 : UINT64_MAX);
	}
	page = w * WORD_BITS + (uint64_t)__builtin_ctzll(bits);
	return page < d->pages ? page : d->pages;
}

bool vmm_mem_dirty_next(const struct vmm_mem_dirty *dirty, uint64_t *pos,
			uint64_t *offset, uint64_t *len)
{
	uint64_t first, end, last_byte;

	if (*pos >= dirty->len)
		return false;
	first = find_bit(dirty, *pos >> dirty->shift, true);
	if (first >= dirty->pages)
		return false;
	end = find_bit(dirty, first + 1, false);
	/* A run to the end of the bitmap may end at 2^64 - 1. */
	last_byte = end >= dirty->pages ? dirty->len - 1 : (end << dirty->shift) - 1;
	*offset = first << dirty->shift;
	*len = last_byte - *offset + 1;
	*pos = last_byte + 1 > last_byte ? last_byte + 1 : UINT64_MAX;
	return true;
}

int vmm_mem_dirty_merge(struct vmm_mem_dirty *dirty, uint64_t offset, const void *bits,
			uint64_t pages, uint64_t page_size)
{
	const uint8_t *bytes = bits;
	uint64_t at;

	if (page_size == 0 || (page_size & (page_size - 1)) != 0)
		return -EINVAL;
	for (uint64_t i = 0; i < pages / 8 + (pages % 8 != 0); i++) {
		uint32_t byte = bytes[i];

		while (byte) {
			uint64_t page = i * 8 + (uint64_t)__builtin_ctz(byte);

			byte &= byte - 1;
			if (page >= pages ||
			    __builtin_mul_overflow(page, page_size, &at) ||
			    __builtin_add_overflow(at, offset, &at))
				continue;
			vmm_mem_dirty_mark(dirty, at, page_size);
		}
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_DIRTY_H
#define VMM_MEMORY_DIRTY_H

/**
 * @file vmm/memory-dirty.h
 * Dirty tracking: which pages were written since someone last asked.
 *
 * A bitmap belongs to a region (`dirty_page_size` in struct vmm_mem_region) or to a
 * whole address space (vmm_mem_builder_set_dirty()), or is used alone. Offsets count
 * bytes from the start of what it covers. What lies beyond its end is ignored when
 * marking and clearing, and not set when asked; length 0 does nothing.
 *
 * Marking, asking, clearing and harvesting may run on any threads at once. No write
 * is lost between harvests: one that is not in a harvest is in the next. (Clearing and
 * resetting throw away; only a harvest is ordered against writers.) To let a page that
 * is already dirty cost only a load, harvest pays for the ordering with membarrier(2);
 * where that is missing, or denied by a filter when the bitmap is made, writers run a
 * full fence instead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Most pages that one bitmap has: 64 TiB in pages of 4 KiB. */
#define VMM_MEM_DIRTY_PAGES_MAX (UINT64_C(1) << 34)

/** A dirty bitmap. */
struct vmm_mem_dirty;

/**
 * Make a bitmap for @p len bytes, nothing dirty.
 *
 * @param len        bytes covered; 0 is allowed; the last page may be a part
 * @param page_size  bytes for one bit, a power of two
 * @param[out] out   the bitmap, to be released with vmm_mem_dirty_free()
 * @retval 0         done
 * @retval -EINVAL   @p page_size is not a power of two
 * @retval -E2BIG    more than #VMM_MEM_DIRTY_PAGES_MAX pages
 * @retval -ENOMEM   out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_dirty_new(uint64_t len, uint64_t page_size,
					   struct vmm_mem_dirty **out);

/** Release a bitmap; no table may use it any more. NULL is allowed. */
VMM_API void vmm_mem_dirty_free(struct vmm_mem_dirty *dirty);

/** Return the bytes that one bit stands for. */
VMM_API uint64_t vmm_mem_dirty_page_size(const struct vmm_mem_dirty *dirty);

/** Return the number of pages, that is of bits. */
VMM_API uint64_t vmm_mem_dirty_pages(const struct vmm_mem_dirty *dirty);

/** Return the bytes of memory that the bits take. */
VMM_API size_t vmm_mem_dirty_byte_size(const struct vmm_mem_dirty *dirty);

/** Mark each page that [offset, offset + len) touches. A page that is marked already
 *  costs a load; a run of them, a load for 64. */
VMM_API void vmm_mem_dirty_mark(struct vmm_mem_dirty *dirty, uint64_t offset,
				uint64_t len);

/** Clear each page that [offset, offset + len) touches. */
VMM_API void vmm_mem_dirty_clear(struct vmm_mem_dirty *dirty, uint64_t offset,
				 uint64_t len);

/** Clear all pages. */
VMM_API void vmm_mem_dirty_reset(struct vmm_mem_dirty *dirty);

/** Say whether the page with byte @p offset is dirty. */
VMM_API VMM_MUST_USE bool vmm_mem_dirty_is_set(const struct vmm_mem_dirty *dirty,
					       uint64_t offset);

/**
 * Cover @p more bytes at the end, clean. No other call on this bitmap, nor a write
 * that it tracks, may run meanwhile.
 *
 * @retval 0        done
 * @retval -E2BIG   more than #VMM_MEM_DIRTY_PAGES_MAX pages
 * @retval -ENOMEM  out of memory; nothing changed
 */
VMM_API VMM_MUST_USE int vmm_mem_dirty_enlarge(struct vmm_mem_dirty *dirty,
					       uint64_t more);

/**
 * Copy a bitmap as it is at some moment of the call.
 *
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_dirty_copy(const struct vmm_mem_dirty *dirty,
					    struct vmm_mem_dirty **out);

/**
 * Move the dirty pages of @p dirty into @p into, which has the same pages.
 *
 * Pages that @p into had stay set. Each write whose page is found was complete before
 * the call returns, so memory read afterwards has it. Pages that no one dirtied cost
 * a load for 64. A harvest may meet writers, but not another harvest into @p into.
 *
 * @param dirty  the bitmap to clear
 * @param into   the caller's own, for vmm_mem_dirty_next()
 * @retval 0        done
 * @retval -EINVAL  page sizes or numbers of pages differ
 * @retval others   membarrier() began to fail after the bitmap was made; nothing was
 *                  taken, and from now on writers do without it
 */
VMM_API VMM_MUST_USE int vmm_mem_dirty_harvest(struct vmm_mem_dirty *dirty,
					       struct vmm_mem_dirty *into);

/**
 * Find the next run of dirty pages.
 *
 * ```text
 * uint64_t pos = 0, offset, len;
 *
 * while (vmm_mem_dirty_next(log, &pos, &offset, &len))
 *         send(offset, len);
 * ```
 *
 * @param dirty         the bitmap
 * @param[in,out] pos   0 at first; where to go on
 * @param[out] offset   first byte of the run
 * @param[out] len      its length in bytes, cut at the end of what the bitmap covers
 * @return false when there is none; @p offset and @p len are then untouched
 */
VMM_API VMM_MUST_USE bool vmm_mem_dirty_next(const struct vmm_mem_dirty *dirty,
					     uint64_t *pos, uint64_t *offset,
					     uint64_t *len);

/**
 * Merge a bitmap in the kernel's form, as KVM_GET_DIRTY_LOG returns for a slot: bit
 * n % 8 of byte n / 8 is page n.
 *
 * @param dirty      the bitmap to add to
 * @param offset     what bit 0 stands for, in bytes
 * @param bits       the foreign bitmap, (@p pages + 7) / 8 bytes
 * @param pages      number of its bits
 * @param page_size  bytes for one of its bits, a power of two; may differ from ours
 * @retval 0         done
 * @retval -EINVAL   @p page_size is not a power of two
 */
VMM_API VMM_MUST_USE int vmm_mem_dirty_merge(struct vmm_mem_dirty *dirty, uint64_t offset,
					     const void *bits, uint64_t pages,
					     uint64_t page_size);

VMM_DEFINE_CLEANUP(vmm_mem_dirty, vmm_mem_dirty_free)

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_IOMMU_H
#define VMM_MEMORY_IOMMU_H

/**
 * @file vmm/memory-iommu.h
 * Guest memory as a device behind an IOMMU sees it: a table of translations (IOTLB),
 * and a view of a region table through it.
 *
 * I/O virtual addresses and everything in a mapping come from a guest or a peer and
 * may be anything. A range that goes beyond the last address is -EFAULT everywhere;
 * one may end at it. Length 0 is always good and does nothing.
 *
 * Calls on one object, and on a view and its table, must not overlap in time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/** Most mappings that one table may be told to hold. */
#define VMM_MEM_IOTLB_MAX 65536u

/** A table of translations. */
struct vmm_mem_iotlb;

/** A view through it. */
struct vmm_mem_iommu;

/**
 * @name What a look-up says of a piece
 * @{
 */
/** It is mapped and the access is allowed. */
#define VMM_MEM_IOTLB_HIT 0u
/** Nothing is known about it: ask for a translation. */
#define VMM_MEM_IOTLB_MISS 1u
/** It is mapped, but the access is not allowed. */
#define VMM_MEM_IOTLB_FAULT 2u
/** @} */

/** A part of a range that has one answer. */
struct vmm_mem_iotlb_piece {
	/** First I/O virtual address. */
	uint64_t iova;
	/** Length in bytes. */
	uint64_t len;
	/** Where it maps to; 0 for a miss. */
	uint64_t gpa;
	/** VMM_MEM_IOTLB_* */
	uint32_t kind;
	/** VMM_MEM_ACCESS_* that is allowed; 0 for a miss. */
	uint32_t access;
};

/**
 * Make an empty table.
 *
 * @param max       most mappings; bounds what a guest can make us allocate
 * @param[out] out  the table, to be released with vmm_mem_iotlb_free()
 * @retval 0        done
 * @retval -EINVAL  @p max is 0 or above #VMM_MEM_IOTLB_MAX
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_iotlb_new(uint32_t max, struct vmm_mem_iotlb **out);

/** Release a table. NULL is allowed. */
VMM_API void vmm_mem_iotlb_free(struct vmm_mem_iotlb *tlb);

/**
 * Map [iova, iova + len) to [gpa, gpa + len), over what was there.
 *
 * Mappings that continue each other on both sides with equal access become one.
 *
 * @param access    VMM_MEM_ACCESS_*; with #VMM_MEM_ACCESS_NONE every access faults
 * @retval 0        done
 * @retval -EFAULT  one of the ranges wraps
 * @retval -EINVAL  unknown bits in @p access
 * @retval -ENOSPC  the table is full; unchanged
 * @retval -ENOMEM  out of memory; unchanged
 */
VMM_API VMM_MUST_USE int vmm_mem_iotlb_map(struct vmm_mem_iotlb *tlb, uint64_t iova,
					   uint64_t len, uint64_t gpa, uint32_t access);

/**
 * Forget [iova, iova + len); a range that wraps goes to the last address. Never fails:
 * where a hole in the middle of a mapping needs one entry more and there is none, what
 * follows the hole is forgotten, too, and misses.
 */
VMM_API void vmm_mem_iotlb_unmap(struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len);

/** Forget everything. */
VMM_API void vmm_mem_iotlb_clear(struct vmm_mem_iotlb *tlb);

/** Return the number of mappings. */
VMM_API uint32_t vmm_mem_iotlb_count(const struct vmm_mem_iotlb *tlb);

/**
 * Tell what the first piece of a range is. Walk a range by going on behind it.
 *
 * @param access    what is to be done; #VMM_MEM_ACCESS_NONE is allowed by any mapping
 * @param[out] out  the piece, cut to the range
 * @retval 0        done
 * @retval -ENOENT  @p len is 0
 * @retval -EFAULT  the range wraps
 */
VMM_API VMM_MUST_USE int vmm_mem_iotlb_first(const struct vmm_mem_iotlb *tlb,
					     uint64_t iova, uint64_t len, uint32_t access,
					     struct vmm_mem_iotlb_piece *out);

/**
 * Tell all pieces of a range, in order.
 *
 * @param access     as vmm_mem_iotlb_first()
 * @param pieces     room for @p max; untouched on failure
 * @param[out] out_n pieces
 * @param[out] out_bad how many of them are misses or faults; 0: all translated
 * @retval 0         done, whether the pieces are good or bad
 * @retval -EFAULT   the range wraps
 * @retval -E2BIG    there are more than @p max
 */
VMM_API VMM_MUST_USE int vmm_mem_iotlb_lookup(const struct vmm_mem_iotlb *tlb,
					      uint64_t iova, uint64_t len,
					      uint32_t access,
					      struct vmm_mem_iotlb_piece *pieces,
					      size_t max, size_t *out_n, size_t *out_bad);

/** What a view asks of its owner. */
struct vmm_mem_iommu_ops {
	/** Size of this structure. */
	size_t size;
	/**
	 * Deal with a miss or a fault, by mapping into @p tlb; then the look-up is
	 * done again. May be NULL: only what is mapped beforehand is there.
	 *
	 * Runs on the thread of the access, must not use the view, and is asked once
	 * for a piece: what it leaves bad is an error.
	 *
	 * @retval 0  the table changed, look again; others are returned by the access
	 */
	int (*resolve)(void *ctx, struct vmm_mem_iotlb *tlb,
		       const struct vmm_mem_iotlb_piece *piece, uint32_t access);
};

/** An operations table that has nothing in it. */
#define VMM_MEM_IOMMU_OPS_INIT                         \
	{                                              \
		sizeof(struct vmm_mem_iommu_ops), NULL \
	}

/**
 * Make a view, translating from the start.
 *
 * @param mem       the memory behind; borrowed
 * @param tlb       the table; borrowed, may be shared among views of one thread
 * @param ops       copied; NULL for none
 * @param ctx       handed to them
 * @param[out] out  the view, to be released with vmm_mem_iommu_free()
 * @retval 0        done
 * @retval -EINVAL  size of @p ops not set
 * @retval -E2BIG   unknown operation in @p ops
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_iommu_new(const struct vmm_mem *mem,
					   struct vmm_mem_iotlb *tlb,
					   const struct vmm_mem_iommu_ops *ops, void *ctx,
					   struct vmm_mem_iommu **out);

/** Release a view. NULL is allowed. */
VMM_API void vmm_mem_iommu_free(struct vmm_mem_iommu *iommu);

/** Translate, or take each address for a guest physical one. */
VMM_API void vmm_mem_iommu_set_enabled(struct vmm_mem_iommu *iommu, bool enabled);

/** Put another table behind the view; translations and bitmap stay. */
VMM_API void vmm_mem_iommu_set_memory(struct vmm_mem_iommu *iommu,
				      const struct vmm_mem *mem);

/** Track writes by I/O virtual address while translating, in addition to what the
 *  memory behind does; NULL for none. Borrowed; byte 0 is address 0. */
VMM_API void vmm_mem_iommu_set_dirty(struct vmm_mem_iommu *iommu,
				     struct vmm_mem_dirty *dirty);

/** Return the memory behind while addresses are physical, NULL while translating. */
VMM_API const struct vmm_mem *vmm_mem_iommu_get_physical(
    const struct vmm_mem_iommu *iommu);

/**
 * Copy from memory as the device sees it, all or nothing.
 *
 * @retval 0        done
 * @retval -EFAULT  not mapped or not backed throughout, or it wraps
 * @retval -EACCES  mapped, but not for reading
 * @retval others   what `resolve` returned
 */
VMM_API VMM_MUST_USE int vmm_mem_iommu_read(struct vmm_mem_iommu *iommu, uint64_t iova,
					    void *buf, size_t len);

/**
 * Copy to memory as the device sees it, all or nothing.
 *
 * @retval 0        done
 * @retval -EFAULT  not mapped or not backed throughout, or it wraps
 * @retval -EACCES  mapped, but not for writing
 * @retval -EROFS   mapped for writing to memory that is read-only
 * @retval others   what `resolve` returned
 */
VMM_API VMM_MUST_USE int vmm_mem_iommu_write(struct vmm_mem_iommu *iommu, uint64_t iova,
					     const void *buf, size_t len);

/**
 * Export a range as iovecs. Not tracked: see vmm_mem_iommu_mark_dirty().
 *
 * @param access      VMM_MEM_ACCESS_*
 * @param iov         room for @p iov_max entries; what is in it after a failure says
 *                    nothing
 * @param[out] out_n  entries used
 * @retval 0          done
 * @retval -E2BIG     more than @p iov_max pieces
 * @retval others     as vmm_mem_iommu_write()
 */
VMM_API VMM_MUST_USE int vmm_mem_iommu_get_iov(struct vmm_mem_iommu *iommu, uint64_t iova,
					       uint64_t len, uint32_t access,
					       struct iovec *iov, size_t iov_max,
					       size_t *out_n);

/** Note that an exported range was written; what is not mapped is left out. */
VMM_API void vmm_mem_iommu_mark_dirty(struct vmm_mem_iommu *iommu, uint64_t iova,
				      uint64_t len);

VMM_DEFINE_CLEANUP(vmm_mem_iotlb, vmm_mem_iotlb_free)
VMM_DEFINE_CLEANUP(vmm_mem_iommu, vmm_mem_iommu_free)

VMM_END_DECLS

#endif

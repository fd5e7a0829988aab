/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_SLICE_H
#define VMM_MEMORY_SLICE_H

/**
 * @file vmm/memory-slice.h
 * A slice: a range of one region, checked once, then used by offset. What a device
 * model keeps of a ring or a request while the table stays the same.
 *
 * Plain data that borrows the table. All offsets are checked against the slice:
 * -EFAULT when an access goes beyond it, nothing was copied. Length 0 is always good.
 * Writes are tracked as dirty. Safe on any thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/** A range of one region. */
struct vmm_mem_slice {
	/** First guest address. */
	uint64_t gpa;
	/** Length in bytes. */
	uint64_t len;
	/** First byte in this process; NULL only when @ref len is 0. */
	uint8_t *host;
	/** Bitmap that writes go to, or NULL. */
	struct vmm_mem_dirty *dirty;
	/** Offset of the slice in that bitmap. */
	uint64_t dirty_offset;
	/** VMM_MEM_ACCESS_* that the region allows. */
	uint32_t access;
	/** Zero. */
	uint32_t reserved_;
};

/** Walks the slices of a range that may cross regions. */
struct vmm_mem_slices {
	/** The table; NULL once the walk is beyond the last address. */
	const struct vmm_mem *mem;
	/** What comes next. */
	uint64_t gpa;
	/** What is left; 0 at the end, and for good after a hole. */
	uint64_t len;
	/** VMM_MEM_ACCESS_* */
	uint32_t access;
	/** Zero. */
	uint32_t reserved_;
};

/**
 * Make a slice of a range that lies in one region.
 *
 * @param access    VMM_MEM_ACCESS_* wanted
 * @param[out] out  the slice
 * @retval 0        done
 * @retval -EFAULT  not backed, or not by one region
 * @retval -EROFS   to be written, but read-only
 */
VMM_API VMM_MUST_USE int vmm_mem_get_slice(const struct vmm_mem *mem, uint64_t gpa,
					   uint64_t len, uint32_t access,
					   struct vmm_mem_slice *out);

/** Begin to walk [gpa, gpa + len). */
VMM_API void vmm_mem_slices_init(struct vmm_mem_slices *slices, const struct vmm_mem *mem,
				 uint64_t gpa, uint64_t len, uint32_t access);

/**
 * Take the next slice of a walk.
 *
 * @param[out] out  the slice, at most to the end of its region
 * @retval 0        done
 * @retval -ENOENT  the walk is over
 * @retval -EFAULT  a hole, at `slices->gpa`; the walk is then over
 * @retval -EROFS   to be written, but read-only from there; the walk is then over
 */
VMM_API VMM_MUST_USE int vmm_mem_slices_next(struct vmm_mem_slices *slices,
					     struct vmm_mem_slice *out);

/**
 * Cut a part out of a slice. @p out may be @p slice.
 *
 * @retval 0        done
 * @retval -EFAULT  [offset, offset + len) is not in the slice
 */
VMM_API VMM_MUST_USE int vmm_mem_slice_sub(const struct vmm_mem_slice *slice,
					   uint64_t offset, uint64_t len,
					   struct vmm_mem_slice *out);

/**
 * Cut a slice in two; one of them may be empty.
 *
 * @param mid             length of the first
 * @param[out] out_first  may be @p slice
 * @param[out] out_second may be @p slice
 * @retval 0              done
 * @retval -EFAULT        @p mid is beyond the end
 */
VMM_API VMM_MUST_USE int vmm_mem_slice_split(const struct vmm_mem_slice *slice,
					     uint64_t mid,
					     struct vmm_mem_slice *out_first,
					     struct vmm_mem_slice *out_second);

/** Copy out of a slice, all or nothing.
 *  @retval 0       done
 *  @retval -EFAULT beyond the slice */
VMM_API VMM_MUST_USE int vmm_mem_slice_read(const struct vmm_mem_slice *slice,
					    uint64_t offset, void *buf, size_t len);

/** Copy into a slice, all or nothing.
 *  @retval 0       done
 *  @retval -EFAULT beyond the slice
 *  @retval -EROFS  read-only */
VMM_API VMM_MUST_USE int vmm_mem_slice_write(const struct vmm_mem_slice *slice,
					     uint64_t offset, const void *buf,
					     size_t len);

/** Set bytes of a slice; results as vmm_mem_slice_write(). */
VMM_API VMM_MUST_USE int vmm_mem_slice_fill(const struct vmm_mem_slice *slice,
					    uint64_t offset, uint8_t value, uint64_t len);

/**
 * Copy as much of one slice to another as fits; they may overlap.
 *
 * @param[out] out_len  bytes copied, the smaller length
 * @retval 0            done
 * @retval -EROFS       the destination is read-only
 */
VMM_API VMM_MUST_USE int vmm_mem_slice_copy(const struct vmm_mem_slice *to,
					    const struct vmm_mem_slice *from,
					    uint64_t *out_len);

/**
 * Load element @p index of an array of numbers, in the byte order of this machine.
 *
 * @param width     1, 2, 4 or 8 bytes
 * @param index     element, so that the slice's start is element 0
 * @param order     as vmm_mem_load_u32()
 * @param[out] out  the number
 * @retval 0        done
 * @retval -EFAULT  beyond the slice
 * @retval -EINVAL  another width, or an address that is not aligned to it
 */
VMM_API VMM_MUST_USE int vmm_mem_slice_load(const struct vmm_mem_slice *slice,
					    uint32_t width, uint64_t index, int order,
					    uint64_t *out);

/** Store element @p index of an array of numbers; results as vmm_mem_slice_load(), and
 *  -EROFS. Higher bits of @p value are cut off. */
VMM_API VMM_MUST_USE int vmm_mem_slice_store(const struct vmm_mem_slice *slice,
					     uint32_t width, uint64_t index,
					     uint64_t value, int order);

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_TYPES_H
#define VMM_MEMORY_TYPES_H

/**
 * @file vmm/memory-types.h
 * Numbers of a fixed byte order for structures that lie in guest memory, and checked
 * arithmetic on guest addresses. Header only.
 *
 * The types have size and alignment of the number they hold, and hold it under a name
 * that keeps one from using it unconverted.
 */

#include <stdbool.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VMM_MEM_LE_(bits, v) (v)
#define VMM_MEM_BE_(bits, v) __builtin_bswap##bits(v)
#else
#define VMM_MEM_LE_(bits, v) __builtin_bswap##bits(v)
#define VMM_MEM_BE_(bits, v) (v)
#endif

#define VMM_MEM_DEFINE_ORDER_(name, bits, conv)                                    \
	struct vmm_mem_##name {                                                    \
		uint##bits##_t raw_;                                               \
	};                                                                         \
	static inline uint##bits##_t vmm_mem_##name##_get(struct vmm_mem_##name v) \
	{                                                                          \
		return conv(bits, v.raw_);                                         \
	}                                                                          \
	static inline struct vmm_mem_##name vmm_mem_##name##_of(uint##bits##_t v)  \
	{                                                                          \
		struct vmm_mem_##name r = { 0 };                                   \
		r.raw_ = conv(bits, v);                                            \
		return r;                                                          \
	}

/** struct vmm_mem_le16, vmm_mem_le16_get(), vmm_mem_le16_of(); the others alike. */
VMM_MEM_DEFINE_ORDER_(le16, 16, VMM_MEM_LE_)
VMM_MEM_DEFINE_ORDER_(le32, 32, VMM_MEM_LE_)
VMM_MEM_DEFINE_ORDER_(le64, 64, VMM_MEM_LE_)
VMM_MEM_DEFINE_ORDER_(be16, 16, VMM_MEM_BE_)
VMM_MEM_DEFINE_ORDER_(be32, 32, VMM_MEM_BE_)
VMM_MEM_DEFINE_ORDER_(be64, 64, VMM_MEM_BE_)

#undef VMM_MEM_DEFINE_ORDER_

/** Compute gpa + offset; false, and @p out untouched, when it wraps. */
static inline VMM_MUST_USE bool vmm_mem_gpa_add(uint64_t gpa, uint64_t offset,
						uint64_t *out)
{
	if (offset > UINT64_MAX - gpa)
		return false;
	*out = gpa + offset;
	return true;
}

/** Compute gpa - offset; false, and @p out untouched, when it wraps. */
static inline VMM_MUST_USE bool vmm_mem_gpa_sub(uint64_t gpa, uint64_t offset,
						uint64_t *out)
{
	if (offset > gpa)
		return false;
	*out = gpa - offset;
	return true;
}

/** Compute how far @p gpa lies above @p base; false when it lies below. */
static inline VMM_MUST_USE bool vmm_mem_gpa_offset_from(uint64_t gpa, uint64_t base,
							uint64_t *out)
{
	return vmm_mem_gpa_sub(gpa, base, out);
}

/** Round up to a multiple of @p align; false when that wraps, or when @p align is not a
 *  power of two. */
static inline VMM_MUST_USE bool vmm_mem_gpa_align_up(uint64_t gpa, uint64_t align,
						     uint64_t *out)
{
	uint64_t mask = align - 1;

	if (align == 0 || (align & mask) != 0 || gpa > UINT64_MAX - mask)
		return false;
	*out = (gpa + mask) & ~mask;
	return true;
}

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_INLINE_H
#define VMM_MEMORY_INLINE_H

/**
 * @file vmm/memory-inline.h
 * Inline twins of the cursor's calls, for a loop that lives on guest memory.
 *
 * Define VMM_WANT_INLINE before including it: code built with it depends on the layout
 * of struct vmm_mem_cursor, which only the soname versions. Each `x_inline()` does what
 * `x()` does, and calls it whenever the access does not lie in the region that was hit
 * last or, for writes, when that region is read-only or tracked.
 */

#ifndef VMM_WANT_INLINE
#error "define VMM_WANT_INLINE to depend on the layout of struct vmm_mem_cursor"
#endif

#include <stdint.h>
#include <string.h>
#include <vmm/base.h>
#include <vmm/memory-typed.h>

VMM_BEGIN_DECLS

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define VMM_MEM_INLINE_LE8_(v) (v)
#define VMM_MEM_INLINE_LE16_(v) (v)
#define VMM_MEM_INLINE_LE32_(v) (v)
#define VMM_MEM_INLINE_LE64_(v) (v)
#else
#define VMM_MEM_INLINE_LE8_(v) (v)
#define VMM_MEM_INLINE_LE16_(v) __builtin_bswap16(v)
#define VMM_MEM_INLINE_LE32_(v) __builtin_bswap32(v)
#define VMM_MEM_INLINE_LE64_(v) __builtin_bswap64(v)
#endif

/* For a constant order the compiler keeps one of the branches. */
#define VMM_MEM_INLINE_DEFINE_(name, bits)                                             \
	static inline VMM_MUST_USE int vmm_mem_cursor_read_##name##_inline(            \
	    struct vmm_mem_cursor * cursor, uint64_t gpa, uint##bits##_t * out)        \
	{                                                                              \
		uint64_t off = gpa - cursor->gpa;                                      \
                                                                                       \
		if (__builtin_expect(off >= cursor->len ||                             \
					 cursor->len - off < sizeof(*out) ||           \
					 gpa % sizeof(*out) != 0,                      \
				     0))                                               \
			return vmm_mem_cursor_read_##name(cursor, gpa, out);           \
		*out = VMM_MEM_INLINE_LE##bits##_(__atomic_load_n(                     \
		    (const uint##bits##_t *)(const void *)(cursor->host + off),        \
		    __ATOMIC_RELAXED));                                                \
		return 0;                                                              \
	}                                                                              \
                                                                                       \
	static inline VMM_MUST_USE int vmm_mem_cursor_write_##name##_inline(           \
	    struct vmm_mem_cursor * cursor, uint64_t gpa, uint##bits##_t value)        \
	{                                                                              \
		uint64_t off = gpa - cursor->gpa;                                      \
                                                                                       \
		if (__builtin_expect(off >= cursor->write_len ||                       \
					 cursor->write_len - off < sizeof(value) ||    \
					 gpa % sizeof(value) != 0,                     \
				     0))                                               \
			return vmm_mem_cursor_write_##name(cursor, gpa, value);        \
		__atomic_store_n((uint##bits##_t *)(void *)(cursor->host + off),       \
				 VMM_MEM_INLINE_LE##bits##_(value), __ATOMIC_RELAXED); \
		return 0;                                                              \
	}                                                                              \
                                                                                       \
	static inline VMM_MUST_USE int vmm_mem_cursor_load_##name##_inline(            \
	    struct vmm_mem_cursor * cursor, uint64_t gpa, int order,                   \
	    uint##bits##_t *out)                                                       \
	{                                                                              \
		uint64_t off = gpa - cursor->gpa;                                      \
                                                                                       \
		if (__builtin_expect(                                                  \
			off >= cursor->len || cursor->len - off < sizeof(*out) ||      \
			    gpa % sizeof(*out) != 0 || order != VMM_MEM_ACQUIRE,       \
			0))                                                            \
			return vmm_mem_cursor_load_##name(cursor, gpa, order, out);    \
		*out = VMM_MEM_INLINE_LE##bits##_(__atomic_load_n(                     \
		    (const uint##bits##_t *)(const void *)(cursor->host + off),        \
		    __ATOMIC_ACQUIRE));                                                \
		return 0;                                                              \
	}                                                                              \
                                                                                       \
	static inline VMM_MUST_USE int vmm_mem_cursor_store_##name##_inline(           \
	    struct vmm_mem_cursor * cursor, uint64_t gpa, uint##bits##_t value,        \
	    int order)                                                                 \
	{                                                                              \
		uint64_t off = gpa - cursor->gpa;                                      \
                                                                                       \
		if (__builtin_expect(off >= cursor->write_len ||                       \
					 cursor->write_len - off < sizeof(value) ||    \
					 gpa % sizeof(value) != 0 ||                   \
					 order != VMM_MEM_RELEASE,                     \
				     0))                                               \
			return vmm_mem_cursor_store_##name(cursor, gpa, value, order); \
		__atomic_store_n((uint##bits##_t *)(void *)(cursor->host + off),       \
				 VMM_MEM_INLINE_LE##bits##_(value), __ATOMIC_RELEASE); \
		return 0;                                                              \
	}

/** vmm_mem_cursor_read_u8_inline() and the other three. */
VMM_MEM_INLINE_DEFINE_(u8, 8)
/** vmm_mem_cursor_read_le16_inline() and the other three. */
VMM_MEM_INLINE_DEFINE_(le16, 16)
/** vmm_mem_cursor_read_le32_inline() and the other three. */
VMM_MEM_INLINE_DEFINE_(le32, 32)
/** vmm_mem_cursor_read_le64_inline() and the other three. */
VMM_MEM_INLINE_DEFINE_(le64, 64)

#undef VMM_MEM_INLINE_DEFINE_

/** vmm_mem_cursor_read(), inline when the region was hit last and @p len is more than
 *  eight; a copy of constant length becomes a few moves. */
static inline VMM_MUST_USE int vmm_mem_cursor_read_inline(struct vmm_mem_cursor *cursor,
							  uint64_t gpa, void *buf,
							  size_t len)
{
	uint64_t off = gpa - cursor->gpa;

	if (__builtin_expect(off >= cursor->len || cursor->len - off < len || len <= 8,
			     0))
		return vmm_mem_cursor_read(cursor, gpa, buf, len);
	memcpy(buf, cursor->host + off, len);
	return 0;
}

/** vmm_mem_cursor_write(), inline as vmm_mem_cursor_read_inline(). */
static inline VMM_MUST_USE int vmm_mem_cursor_write_inline(struct vmm_mem_cursor *cursor,
							   uint64_t gpa, const void *buf,
							   size_t len)
{
	uint64_t off = gpa - cursor->gpa;

	if (__builtin_expect(
		off >= cursor->write_len || cursor->write_len - off < len || len <= 8, 0))
		return vmm_mem_cursor_write(cursor, gpa, buf, len);
	memcpy(cursor->host + off, buf, len);
	return 0;
}

VMM_END_DECLS

#endif

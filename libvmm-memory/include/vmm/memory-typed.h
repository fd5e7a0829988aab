/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_TYPED_H
#define VMM_MEMORY_TYPED_H

/**
 * @file vmm/memory-typed.h
 * Single numbers in guest memory, through a table and through a cursor.
 *
 * `u16` and its like have the byte order of this machine, `le16` and its like are
 * little-endian in guest memory.
 *
 * *read* and *write* take any address and cross regions. A naturally aligned number
 * is moved by one access and so never seen half old, half new; they order nothing.
 *
 * *load* and *store* want natural alignment and take a memory order: they are what an
 * index or a flag shared with the guest needs.
 *
 * Results as everywhere: -EFAULT, -EROFS, and for load and store -EINVAL when the
 * address is backed but not aligned. On failure nothing was changed. Safe on any
 * thread, against each other, too.
 */

#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/**
 * @name Memory orders
 * As the C11 orders of the same name. A load that is told to release, or a store to
 * acquire, is sequentially consistent.
 * @{
 */
#define VMM_MEM_RELAXED 0
#define VMM_MEM_ACQUIRE 2
#define VMM_MEM_RELEASE 3
#define VMM_MEM_SEQ_CST 5
/** @} */

/** Read a byte.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_u8(const struct vmm_mem *mem, uint64_t gpa,
					 uint8_t *out);

/** Write a byte.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_u8(const struct vmm_mem *mem, uint64_t gpa,
					  uint8_t value);

/** Load a byte, with @p order (VMM_MEM_RELAXED, _ACQUIRE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_u8(const struct vmm_mem *mem, uint64_t gpa,
					 int order, uint8_t *out);

/** Store a byte, with @p order (VMM_MEM_RELAXED, _RELEASE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_u8(const struct vmm_mem *mem, uint64_t gpa,
					  uint8_t value, int order);

/** Read 16 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_u16(const struct vmm_mem *mem, uint64_t gpa,
					  uint16_t *out);

/** Write 16 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_u16(const struct vmm_mem *mem, uint64_t gpa,
					   uint16_t value);

/** Load 16 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _ACQUIRE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_u16(const struct vmm_mem *mem, uint64_t gpa,
					  int order, uint16_t *out);

/** Store 16 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _RELEASE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_u16(const struct vmm_mem *mem, uint64_t gpa,
					   uint16_t value, int order);

/** Read 32 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_u32(const struct vmm_mem *mem, uint64_t gpa,
					  uint32_t *out);

/** Write 32 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_u32(const struct vmm_mem *mem, uint64_t gpa,
					   uint32_t value);

/** Load 32 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _ACQUIRE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_u32(const struct vmm_mem *mem, uint64_t gpa,
					  int order, uint32_t *out);

/** Store 32 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _RELEASE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_u32(const struct vmm_mem *mem, uint64_t gpa,
					   uint32_t value, int order);

/** Read 64 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_u64(const struct vmm_mem *mem, uint64_t gpa,
					  uint64_t *out);

/** Write 64 bits, byte order of this machine.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_u64(const struct vmm_mem *mem, uint64_t gpa,
					   uint64_t value);

/** Load 64 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _ACQUIRE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_u64(const struct vmm_mem *mem, uint64_t gpa,
					  int order, uint64_t *out);

/** Store 64 bits, byte order of this machine, with @p order (VMM_MEM_RELAXED, _RELEASE,
 * _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_u64(const struct vmm_mem *mem, uint64_t gpa,
					   uint64_t value, int order);

/** Read 16 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_le16(const struct vmm_mem *mem, uint64_t gpa,
					   uint16_t *out);

/** Write 16 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_le16(const struct vmm_mem *mem, uint64_t gpa,
					    uint16_t value);

/** Load 16 bits, little-endian, with @p order (VMM_MEM_RELAXED, _ACQUIRE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_le16(const struct vmm_mem *mem, uint64_t gpa,
					   int order, uint16_t *out);

/** Store 16 bits, little-endian, with @p order (VMM_MEM_RELAXED, _RELEASE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_le16(const struct vmm_mem *mem, uint64_t gpa,
					    uint16_t value, int order);

/** Read 32 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_le32(const struct vmm_mem *mem, uint64_t gpa,
					   uint32_t *out);

/** Write 32 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_le32(const struct vmm_mem *mem, uint64_t gpa,
					    uint32_t value);

/** Load 32 bits, little-endian, with @p order (VMM_MEM_RELAXED, _ACQUIRE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_le32(const struct vmm_mem *mem, uint64_t gpa,
					   int order, uint32_t *out);

/** Store 32 bits, little-endian, with @p order (VMM_MEM_RELAXED, _RELEASE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_le32(const struct vmm_mem *mem, uint64_t gpa,
					    uint32_t value, int order);

/** Read 64 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed */
VMM_API VMM_MUST_USE int vmm_mem_read_le64(const struct vmm_mem *mem, uint64_t gpa,
					   uint64_t *out);

/** Write 64 bits, little-endian.
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only */
VMM_API VMM_MUST_USE int vmm_mem_write_le64(const struct vmm_mem *mem, uint64_t gpa,
					    uint64_t value);

/** Load 64 bits, little-endian, with @p order (VMM_MEM_RELAXED, _ACQUIRE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_load_le64(const struct vmm_mem *mem, uint64_t gpa,
					   int order, uint64_t *out);

/** Store 64 bits, little-endian, with @p order (VMM_MEM_RELAXED, _RELEASE, _SEQ_CST).
 *  @retval 0        done
 *  @retval -EFAULT  not backed
 *  @retval -EROFS   read-only
 *  @retval -EINVAL  not aligned */
VMM_API VMM_MUST_USE int vmm_mem_store_le64(const struct vmm_mem *mem, uint64_t gpa,
					    uint64_t value, int order);

/**
 * A table, and the region that was hit last: most accesses then cost one comparison.
 *
 * Plain data of one thread. It borrows the table, so a new table needs a new
 * vmm_mem_cursor_init(). The members are for `<vmm/memory-inline.h>`; their layout
 * changes only with the soname.
 */
struct vmm_mem_cursor {
	/** The table. */
	const struct vmm_mem *mem;
	/** First address of the region; anything when @ref len is 0. */
	uint64_t gpa;
	/** Its length; 0 for none. */
	uint64_t len;
	/** Its length, or 0 when a write needs more than a store: read-only, tracked. */
	uint64_t write_len;
	/** Address of its first byte in this process. */
	uint8_t *host;
	/** The library's own. */
	const void *region_;
};

/** Begin with @p mem, no region hit yet. */
VMM_API void vmm_mem_cursor_init(struct vmm_mem_cursor *cursor,
				 const struct vmm_mem *mem);

/**
 * Go to the region that has @p gpa, if there is one.
 *
 * @return how many bytes lie from @p gpa to the end of that region; 0 for a hole, and
 *         the cursor stays where it was
 */
VMM_API uint64_t vmm_mem_cursor_seek(struct vmm_mem_cursor *cursor, uint64_t gpa);

/** vmm_mem_read() through a cursor.
 *  @retval 0        done
 *  @retval -EFAULT  not backed throughout; nothing was copied */
VMM_API VMM_MUST_USE int vmm_mem_cursor_read(struct vmm_mem_cursor *cursor, uint64_t gpa,
					     void *buf, size_t len);

/** vmm_mem_write() through a cursor.
 *  @retval 0        done
 *  @retval -EFAULT  not backed throughout; nothing was copied
 *  @retval -EROFS   part of it is read-only; nothing was copied */
VMM_API VMM_MUST_USE int vmm_mem_cursor_write(struct vmm_mem_cursor *cursor, uint64_t gpa,
					      const void *buf, size_t len);

/** vmm_mem_read_u8() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_read_u8(struct vmm_mem_cursor *cursor,
						uint64_t gpa, uint8_t *out);

/** vmm_mem_write_u8() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_write_u8(struct vmm_mem_cursor *cursor,
						 uint64_t gpa, uint8_t value);

/** vmm_mem_load_u8() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_load_u8(struct vmm_mem_cursor *cursor,
						uint64_t gpa, int order, uint8_t *out);

/** vmm_mem_store_u8() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_store_u8(struct vmm_mem_cursor *cursor,
						 uint64_t gpa, uint8_t value, int order);

/** vmm_mem_read_le16() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_read_le16(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, uint16_t *out);

/** vmm_mem_write_le16() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_write_le16(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint16_t value);

/** vmm_mem_load_le16() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_load_le16(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, int order, uint16_t *out);

/** vmm_mem_store_le16() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_store_le16(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint16_t value,
						   int order);

/** vmm_mem_read_le32() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_read_le32(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, uint32_t *out);

/** vmm_mem_write_le32() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_write_le32(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint32_t value);

/** vmm_mem_load_le32() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_load_le32(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, int order, uint32_t *out);

/** vmm_mem_store_le32() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_store_le32(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint32_t value,
						   int order);

/** vmm_mem_read_le64() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_read_le64(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, uint64_t *out);

/** vmm_mem_write_le64() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_write_le64(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint64_t value);

/** vmm_mem_load_le64() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_load_le64(struct vmm_mem_cursor *cursor,
						  uint64_t gpa, int order, uint64_t *out);

/** vmm_mem_store_le64() through a cursor. */
VMM_API VMM_MUST_USE int vmm_mem_cursor_store_le64(struct vmm_mem_cursor *cursor,
						   uint64_t gpa, uint64_t value,
						   int order);

VMM_END_DECLS

#endif

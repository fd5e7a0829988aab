/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

/**
 * @file vmm/memory.h
 * Guest physical memory: a table of regions, and safe access to it.
 *
 * A `struct vmm_mem` never changes once it was built: any number of threads may
 * read and write guest memory through one without a lock. A change makes a new table
 * that shares the mappings; `<vmm/memory-space.h>` hands it to running readers.
 * Pointers must not be NULL unless the function says so. `gpa` is a guest physical
 * address, `len` counts bytes. Nothing here logs, sets errno or aborts.
 *
 * Access rule, the same for every call: the range [gpa, gpa + len) must be backed by
 * regions without a hole (touching regions are crossed); it may end at the last
 * byte of the address space but not wrap; a range of length 0 is always good, at any
 * address, and touches nothing.
 *
 * Results, the same for every access: -EFAULT when the range is not backed, else
 * -EROFS when it is to be written and part of it is read-only. vmm_mem_explain()
 * finds the first bad address afterwards.
 *
 * Other processes, devices and the guest itself may change guest memory at any time:
 * copy first, then check the copy.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Most regions that one table holds. */
#define VMM_MEM_REGIONS_MAX 1024u

/**
 * @name Flags of a region
 * What a region is and how it is backed. Unknown flags are refused.
 * @{
 */
/** Region is not writable by the guest: ROM, read-only slot. Host writes through
 *  vmm_mem_write() and friends are refused with -EROFS; loading goes through
 *  vmm_mem_get_region(). */
#define VMM_MEM_READONLY (UINT32_C(1) << 0)
/** Back the region with a sealed memfd, so that it can be shared with another
 *  process and no one can shrink it under us; else private anonymous memory. */
#define VMM_MEM_SHARED (UINT32_C(1) << 1)
/** The region is firmware: implies #VMM_MEM_READONLY, and lets whoever enumerates
 *  regions tell it from RAM. */
#define VMM_MEM_ROM (UINT32_C(1) << 2)
/** Map the file given in `fd` copy-on-write; without this a file is shared. */
#define VMM_MEM_PRIVATE (UINT32_C(1) << 3)
/** As asked: refuse (-EPERM) a file that someone could still shrink. As told: the
 *  backing file carries F_SEAL_SHRINK, so access never raises SIGBUS. */
#define VMM_MEM_SEALED (UINT32_C(1) << 4)
/** Use pages of hugetlbfs, of `page_size` bytes (0: the default size). As told: the
 *  region has such pages, also through a file of the caller. */
#define VMM_MEM_HUGETLB (UINT32_C(1) << 5)
/** Advise transparent huge pages. */
#define VMM_MEM_THP (UINT32_C(1) << 6)
/** Advise against transparent huge pages. */
#define VMM_MEM_NO_THP (UINT32_C(1) << 7)
/** Populate the whole region now, so that no access faults later. */
#define VMM_MEM_PREFAULT (UINT32_C(1) << 8)
/** Lock the region into memory; subject to RLIMIT_MEMLOCK. */
#define VMM_MEM_LOCK (UINT32_C(1) << 9)
/** Leave the region out of core dumps. */
#define VMM_MEM_DONTDUMP (UINT32_C(1) << 10)
/** Let KSM merge equal pages. */
#define VMM_MEM_MERGEABLE (UINT32_C(1) << 11)
/** Put an inaccessible page before and after the mapping, so that a stray pointer
 *  faults instead of reaching the next mapping. */
#define VMM_MEM_GUARD (UINT32_C(1) << 12)
/** Reserve swap space for private memory now (no MAP_NORESERVE). */
#define VMM_MEM_RESERVE (UINT32_C(1) << 13)
/** @} */

/**
 * @name NUMA policies
 * See set_mempolicy(2).
 * @{
 */
#define VMM_MEM_NUMA_DEFAULT 0u
#define VMM_MEM_NUMA_PREFERRED 1u
#define VMM_MEM_NUMA_BIND 2u
#define VMM_MEM_NUMA_INTERLEAVE 3u
/** @} */

/**
 * @name Access
 * What a range is wanted for. #VMM_MEM_ACCESS_NONE only asks for backing.
 * @{
 */
#define VMM_MEM_ACCESS_NONE 0u
#define VMM_MEM_ACCESS_READ 1u
#define VMM_MEM_ACCESS_WRITE 2u
#define VMM_MEM_ACCESS_RW 3u
/** @} */

/** An immutable table of regions. */
struct vmm_mem;

/** Collects regions, then makes a table of them. */
struct vmm_mem_builder;

/** A dirty bitmap, see `<vmm/memory-dirty.h>`. */
struct vmm_mem_dirty;

/** One region, as asked for and as told. */
struct vmm_mem_region {
	/** Size of this structure; #VMM_MEM_REGION_INIT sets it, for both uses. */
	size_t size;
	/** First guest physical address; a multiple of the page size of the backing, that
	 *  is of the host page size unless it has huge pages. */
	uint64_t gpa;
	/** Length in bytes; a multiple of the same, not 0. */
	uint64_t len;
	/** VMM_MEM_* */
	uint32_t flags;
	/** Backing file, -1 for none. As asked: borrowed, duplicated inside; as told: the
	 *  table's own. A regular file must reach to the end of the region. */
	int fd;
	/** Offset of the region in that file; a multiple of the same. */
	uint64_t fd_offset;
	/** As told: address of the first byte in this process. As asked: NULL, or the
	 *  caller's own page-aligned mapping, which stays the caller's and must outlive
	 *  the table. */
	void *host;
	/** For humans: "ram", "bios". Copied; NULL is allowed. */
	const char *label;
	/** As asked: size of the pages of #VMM_MEM_HUGETLB, 0 for the default. As told:
	 *  size of the backing pages. */
	uint64_t page_size;
	/** Nodes of the NUMA policy, bit 0 for node 0. */
	uint64_t numa_nodes;
	/** VMM_MEM_NUMA_* */
	uint32_t numa_policy;
	/** Track writes in a bitmap of the region's own, one bit for this many bytes (a
	 *  power of two); 0: do not. */
	uint32_t dirty_page_size;
	/** As told: the bitmap that this region's writes go to, or NULL. As asked: NULL.
	 */
	struct vmm_mem_dirty *dirty;
};

/** Defaults for a region: private anonymous memory, no file. */
#define VMM_MEM_REGION_INIT                                                            \
	{                                                                              \
		sizeof(struct vmm_mem_region), 0, 0, 0, -1, 0, NULL, NULL, 0, 0, 0, 0, \
		    NULL                                                               \
	}

/**
 * Make an empty builder.
 *
 * @param[out] out  the builder, to be released with vmm_mem_builder_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_builder_new(struct vmm_mem_builder **out);

/** Release @p builder and the regions it still holds. NULL is allowed. */
VMM_API void vmm_mem_builder_free(struct vmm_mem_builder *builder);

/**
 * Map a region and add it. Order does not matter.
 *
 * @param builder   the builder, unchanged on failure
 * @param region    what to add; copied
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  unaligned or empty region, one that wraps, an unknown or impossible
 *                  combination of flags, or a file that ends before the region does
 * @retval -EPERM   #VMM_MEM_SEALED, and the file is not sealed against shrinking
 * @retval -EEXIST  it overlaps a region that is there
 * @retval -E2BIG   more than #VMM_MEM_REGIONS_MAX regions, or an unknown structure tail
 * @retval -ENOMEM  no memory; other codes of mmap(), memfd_create(), fcntl() as they are
 */
VMM_API VMM_MUST_USE int vmm_mem_builder_add(struct vmm_mem_builder *builder,
					     const struct vmm_mem_region *region,
					     struct vmm_error *err);

/**
 * Add a region of a table, with the memory it has, possibly at another address.
 *
 * @param builder   the builder, unchanged on failure
 * @param mem       the table; both keep the mapping alive
 * @param index     number of the region in @p mem
 * @param gpa       where it goes; congruent to where it was, modulo its page size
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -ENOENT  no such region
 * @retval -EINVAL  @p gpa is unaligned, or the region would wrap
 * @retval -EEXIST  it overlaps a region that is there
 * @retval -E2BIG   more than #VMM_MEM_REGIONS_MAX regions
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_builder_share(struct vmm_mem_builder *builder,
					       const struct vmm_mem *mem, size_t index,
					       uint64_t gpa, struct vmm_error *err);

/**
 * Track writes to the whole table in one bitmap, whose byte 0 is guest address 0,
 * instead of the regions' own. Tables derived from it go on using it.
 *
 * @param builder  the builder
 * @param dirty    borrowed, must outlive the tables; NULL for none
 */
VMM_API void vmm_mem_builder_set_dirty(struct vmm_mem_builder *builder,
				       struct vmm_mem_dirty *dirty);

/**
 * Make the table. The builder is empty afterwards and may be used again.
 *
 * @param builder   the builder
 * @param[out] out  the table, to be released with vmm_mem_free()
 * @retval 0        done; a table without regions is allowed
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_builder_build(struct vmm_mem_builder *builder,
					       struct vmm_mem **out);

/** Release a table and unmap the regions that no other table has. NULL is allowed. */
VMM_API void vmm_mem_free(struct vmm_mem *mem);

/**
 * Make a table with one region more. @p mem stays as it is, both share the mappings.
 *
 * @param mem       the table to start from
 * @param region    what to add, as vmm_mem_builder_add()
 * @param[out] out  the new table
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval others   as vmm_mem_builder_add()
 */
VMM_API VMM_MUST_USE int vmm_mem_with(const struct vmm_mem *mem,
				      const struct vmm_mem_region *region,
				      struct vmm_mem **out, struct vmm_error *err);

/**
 * Make a table with one region less. @p mem stays as it is, both share the mappings.
 *
 * @param mem       the table to start from
 * @param gpa       first address of the region
 * @param len       its length; both must match exactly
 * @param[out] out  the new table, which may be empty
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -ENOENT  no region is exactly that range
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_without(const struct vmm_mem *mem, uint64_t gpa,
					 uint64_t len, struct vmm_mem **out,
					 struct vmm_error *err);

/**
 * Make a table of the caller's own with the same regions, sharing the mappings: how to
 * keep memory beyond the life of a borrowed table.
 *
 * @param[out] out  the new table
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_clone(const struct vmm_mem *mem, struct vmm_mem **out);

/** Return the number of regions. */
VMM_API size_t vmm_mem_region_count(const struct vmm_mem *mem);

/**
 * Tell region number @p index, in order of addresses; this is what a KVM memory slot
 * needs.
 *
 * @param mem       the table
 * @param index     0 to vmm_mem_region_count() - 1
 * @param[in,out] out  the region, its `size` set; pointers in it are borrowed from
 *                  the table
 * @retval 0        done
 * @retval -EINVAL  `out->size` was not set by #VMM_MEM_REGION_INIT
 * @retval -ENOENT  no such region
 */
VMM_API VMM_MUST_USE int vmm_mem_get_region(const struct vmm_mem *mem, size_t index,
					    struct vmm_mem_region *out);

/**
 * Find the region that has @p gpa.
 *
 * @param[out] out_index  its number, for vmm_mem_get_region()
 * @retval 0        done
 * @retval -EFAULT  no region has it
 */
VMM_API VMM_MUST_USE int vmm_mem_find_region(const struct vmm_mem *mem, uint64_t gpa,
					     size_t *out_index);

/** Return the last address that is backed; 0 for an empty table. */
VMM_API uint64_t vmm_mem_get_last(const struct vmm_mem *mem);

/**
 * Compute @p base + @p offset, which must be a backed address.
 *
 * @param[out] out_gpa  the sum
 * @retval 0            done
 * @retval -EFAULT      it wraps or is not backed
 */
VMM_API VMM_MUST_USE int vmm_mem_offset(const struct vmm_mem *mem, uint64_t base,
					uint64_t offset, uint64_t *out_gpa);

/**
 * Say whether two regions, as told or as asked, are backed by the same bytes of the
 * same file. Compares files, not descriptor numbers.
 */
VMM_API VMM_MUST_USE bool vmm_mem_files_overlap(const struct vmm_mem_region *a,
						const struct vmm_mem_region *b);

/**
 * Tell what is wrong with a range, after an access was refused. Cold.
 *
 * @param access    VMM_MEM_ACCESS_*
 * @param[out] err  on failure the first bad address in `where`, the length in
 *                  `wanted` and the good bytes before it in `got`; may be NULL
 * @retval 0        nothing
 * @retval -EFAULT  not backed throughout, or it wraps
 * @retval -EROFS   backed, but not writable throughout
 */
VMM_API VMM_MUST_USE int vmm_mem_explain(const struct vmm_mem *mem, uint64_t gpa,
					 uint64_t len, uint32_t access,
					 struct vmm_error *err);

/** Say whether each byte of [gpa, gpa + len) is backed by a region. */
VMM_API VMM_MUST_USE bool vmm_mem_is_backed(const struct vmm_mem *mem, uint64_t gpa,
					    uint64_t len);

/**
 * Copy from guest memory, all or nothing.
 *
 * @param mem      the table
 * @param gpa      where to start
 * @param[out] buf at least @p len bytes
 * @param len      bytes to copy
 * @retval 0       done
 * @retval -EFAULT the range is not backed throughout; nothing was copied
 */
VMM_API VMM_MUST_USE int vmm_mem_read(const struct vmm_mem *mem, uint64_t gpa, void *buf,
				      size_t len);

/**
 * Copy to guest memory, all or nothing.
 *
 * @retval 0       done
 * @retval -EFAULT the range is not backed throughout; nothing was copied
 * @retval -EROFS  part of the range is read-only; nothing was copied
 */
VMM_API VMM_MUST_USE int vmm_mem_write(const struct vmm_mem *mem, uint64_t gpa,
				       const void *buf, size_t len);

/** Set @p len bytes to @p value, all or nothing; results as vmm_mem_write(). */
VMM_API VMM_MUST_USE int vmm_mem_fill(const struct vmm_mem *mem, uint64_t gpa,
				      uint8_t value, uint64_t len);

/**
 * Copy from guest memory up to the first hole.
 *
 * @return bytes copied, from 1 to @p len, or 0 for @p len 0; -EFAULT when the first
 *         byte is not backed
 */
VMM_API VMM_MUST_USE int64_t vmm_mem_read_some(const struct vmm_mem *mem, uint64_t gpa,
					       void *buf, size_t len);

/**
 * Copy to guest memory up to the first byte that is not backed or is read-only.
 *
 * @return bytes copied, from 1 to @p len, or 0 for @p len 0; -EFAULT or -EROFS when
 *         that is the first byte
 */
VMM_API VMM_MUST_USE int64_t vmm_mem_write_some(const struct vmm_mem *mem, uint64_t gpa,
						const void *buf, size_t len);

/** Set bytes up to the first that is not backed or is read-only; returns as
 *  vmm_mem_write_some(). */
VMM_API VMM_MUST_USE int64_t vmm_mem_fill_some(const struct vmm_mem *mem, uint64_t gpa,
					       uint8_t value, uint64_t len);

/**
 * Copy within guest memory, all or nothing; the ranges may overlap.
 *
 * @param dst  where to
 * @param src  where from
 * @param len  bytes to copy
 * @retval 0       done
 * @retval -EFAULT a range is not backed throughout; nothing was copied
 * @retval -EROFS  part of the destination is read-only; nothing was copied
 */
VMM_API VMM_MUST_USE int vmm_mem_copy(const struct vmm_mem *mem, uint64_t dst,
				      uint64_t src, uint64_t len);

/**
 * Give the pages of a range back to the host (balloon, hot-unplug). They then read as
 * zeros, those of a #VMM_MEM_PRIVATE file as the file, and count as dirty.
 *
 * @param gpa  at a page of the region's backing (`page_size`)
 * @param len  up to the end of such a page
 * @retval 0       done
 * @retval -EINVAL not at the edges of pages
 * @retval -EFAULT not backed throughout
 * @retval -EROFS  part of it is read-only
 * @retval others  of fallocate() and madvise(); pages before the error are gone
 */
VMM_API VMM_MUST_USE int vmm_mem_discard(const struct vmm_mem *mem, uint64_t gpa,
					 uint64_t len);

/**
 * Populate the pages of a range, content unchanged. Several threads may share the
 * work by taking a part each.
 *
 * @retval 0       done
 * @retval -EFAULT not backed throughout
 * @retval others  of madvise()
 */
VMM_API VMM_MUST_USE int vmm_mem_prefault(const struct vmm_mem *mem, uint64_t gpa,
					  uint64_t len);

/**
 * Borrow the host address of a range that lies in one region.
 *
 * Writes through it are not tracked as dirty, see vmm_mem_mark_dirty().
 *
 * @param[out] out  host address of @p gpa, valid as long as the table; for length 0
 *                  outside all regions NULL
 * @retval 0        done
 * @retval -EFAULT  not backed, or not by one region
 */
VMM_API VMM_MUST_USE int vmm_mem_get_ptr(const struct vmm_mem *mem, uint64_t gpa,
					 uint64_t len, void **out);

/**
 * vmm_mem_get_ptr() for a purpose.
 *
 * @param access    VMM_MEM_ACCESS_*
 * @param[out] out  as vmm_mem_get_ptr()
 * @retval 0        done
 * @retval -EFAULT  not backed, or not by one region
 * @retval -EROFS   to be written, but read-only
 */
VMM_API VMM_MUST_USE int vmm_mem_get_ptr_for(const struct vmm_mem *mem, uint64_t gpa,
					     uint64_t len, uint32_t access, void **out);

/**
 * Export a range as iovecs for preadv(), io_uring and the like; validated once.
 *
 * @param iov         room for @p iov_max entries, untouched on failure
 * @param[out] out_n  entries used; one for each region touched
 * @retval 0          done
 * @retval -EFAULT    the range is not backed throughout
 * @retval -E2BIG     it crosses more regions than @p iov_max
 */
VMM_API VMM_MUST_USE int vmm_mem_get_iov(const struct vmm_mem *mem, uint64_t gpa,
					 uint64_t len, struct iovec *iov, size_t iov_max,
					 size_t *out_n);

/**
 * vmm_mem_get_iov() for a purpose.
 *
 * @param access      VMM_MEM_ACCESS_*
 * @retval 0          done
 * @retval -EFAULT    the range is not backed throughout
 * @retval -EROFS     to be written, but part of it is read-only
 * @retval -E2BIG     it crosses more regions than @p iov_max
 */
VMM_API VMM_MUST_USE int vmm_mem_get_iov_for(const struct vmm_mem *mem, uint64_t gpa,
					     uint64_t len, uint32_t access,
					     struct iovec *iov, size_t iov_max,
					     size_t *out_n);

/** Note that a borrowed range was written, after the fact; what is not backed is left
 *  out. The calls that write through the table do it themselves. */
VMM_API void vmm_mem_mark_dirty(const struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/**
 * Read a part of a file into guest memory with pread(), without a bounce copy.
 *
 * @param fd      readable file; its position is not moved
 * @param offset  where to start in the file
 * @return bytes read, less than @p len only at the end of the file, or when an error
 *         came after them; or -EFAULT or -EROFS as vmm_mem_write() before anything was
 *         read; -EINVAL when @p offset + @p len is beyond what a file can have; or the
 *         error of pread() when not one byte was read
 */
VMM_API VMM_MUST_USE int64_t vmm_mem_read_file(const struct vmm_mem *mem, uint64_t gpa,
					       int fd, uint64_t offset, uint64_t len);

/** Write guest memory to a part of a file with pwrite(); results as
 *  vmm_mem_read_file(), without -EROFS. */
VMM_API VMM_MUST_USE int64_t vmm_mem_write_file(const struct vmm_mem *mem, uint64_t gpa,
						int fd, uint64_t offset, uint64_t len);

/**
 * Read from a stream into guest memory with one readv().
 *
 * A short read ends the call: there is never a gap, a datagram goes to one place, and
 * no byte is taken from the stream without being reported. Tried again after EINTR.
 *
 * @return bytes read, 0 at the end; or -EFAULT or -EROFS before anything was read; or
 *         the error of readv(), as -EAGAIN, with nothing read
 */
VMM_API VMM_MUST_USE int64_t vmm_mem_read_fd(const struct vmm_mem *mem, uint64_t gpa,
					     int fd, uint64_t len);

/** Write guest memory to a stream with one writev(); results as vmm_mem_read_fd(). */
VMM_API VMM_MUST_USE int64_t vmm_mem_write_fd(const struct vmm_mem *mem, uint64_t gpa,
					      int fd, uint64_t len);

/**
 * vmm_mem_read_fd() until all is there.
 *
 * @return @p len; less at the end of the stream or when an error, as -EAGAIN, came after
 *         so many bytes; or the error when it came before the first
 */
VMM_API VMM_MUST_USE int64_t vmm_mem_read_fd_all(const struct vmm_mem *mem, uint64_t gpa,
						 int fd, uint64_t len);

/** vmm_mem_write_fd() until all is written; results as vmm_mem_read_fd_all(). */
VMM_API VMM_MUST_USE int64_t vmm_mem_write_fd_all(const struct vmm_mem *mem, uint64_t gpa,
						  int fd, uint64_t len);

VMM_DEFINE_CLEANUP(vmm_mem, vmm_mem_free)
VMM_DEFINE_CLEANUP(vmm_mem_builder, vmm_mem_builder_free)

VMM_END_DECLS

#endif

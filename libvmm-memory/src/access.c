/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "copy.h"
#include "dirty.h"
#include "internal.h"

uint64_t mem_extent(const struct mem_region *r, uint64_t gpa, uint64_t len,
		    uint32_t access)
{
	uint64_t off = gpa - r->gpa, done = 0, part;

	if (off >= r->len)
		return 0;
	for (;;) {
		if ((access & VMM_MEM_ACCESS_WRITE) && (r->flags & VMM_MEM_READONLY))
			return done;
		part = r->len - off;
		if (part >= len - done)
			return len;
		done += part;
		/* The next region must begin where this one ended, and not by wrapping.
		 */
		if (r[1].len == 0 || r[1].gpa != gpa + done)
			return done;
		r++;
		off = 0;
	}
}

int mem_check(const struct mem_region *r, uint64_t gpa, uint64_t len, uint32_t access)
{
	if (mem_extent(r, gpa, len, VMM_MEM_ACCESS_NONE) < len)
		return -EFAULT;
	if ((access & VMM_MEM_ACCESS_WRITE) && mem_extent(r, gpa, len, access) < len)
		return -EROFS;
	return 0;
}

void mem_dirty_range(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - r->gpa, part;

	for (; len > 0; len -= part, r++, off = 0) {
		part = r->len - off < len ? r->len - off : len;
		if (r->dirty)
			mem_dirty_mark(r->dirty, r->gpa - r->dirty_base + off, part);
	}
}

static MEM_NOINLINE bool is_backed_slow(const struct vmm_mem *mem, uint64_t gpa,
					uint64_t len)
{
	return mem_extent(mem_find(mem, gpa), gpa, len, VMM_MEM_ACCESS_NONE) == len;
}

bool vmm_mem_is_backed(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	if (likely(len == 0 || mem_fits(mem_guess(mem, gpa), gpa, len)))
		return true;
	return is_backed_slow(mem, gpa, len);
}

/* Copy a checked range that crosses regions. */
static void read_parts(const struct mem_region *r, uint64_t gpa, uint8_t *buf,
		       uint64_t len)
{
	uint64_t off = gpa - r->gpa, part;

	for (; len > 0; len -= part, buf += part, r++, off = 0) {
		part = r->len - off < len ? r->len - off : len;
		mem_copy_from(buf, r->host + off, (size_t)part);
	}
}

static void write_parts(const struct mem_region *r, uint64_t gpa, const uint8_t *buf,
			uint64_t len)
{
	uint64_t off = gpa - r->gpa, part;

	for (; len > 0; len -= part, buf += part, r++, off = 0) {
		part = r->len - off < len ? r->len - off : len;
		mem_copy_to(r->host + off, buf, (size_t)part);
		if (r->dirty)
			mem_dirty_mark(r->dirty, r->gpa - r->dirty_base + off, part);
	}
}

int mem_read_at(const struct mem_region *r, uint64_t gpa, void *buf, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_READ);
	if (ret == 0)
		read_parts(r, gpa, buf, len);
	return ret;
}

static MEM_NOINLINE int read_slow(const struct vmm_mem *mem, uint64_t gpa, void *buf,
				  size_t len)
{
	return mem_read_at(mem_find(mem, gpa), gpa, buf, len);
}

int vmm_mem_read(const struct vmm_mem *mem, uint64_t gpa, void *buf, size_t len)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	if (unlikely(len == 0 || !mem_fits(r, gpa, len)))
		return read_slow(mem, gpa, buf, len);
	mem_copy_from(buf, r->host + (gpa - r->gpa), len);
	return 0;
}

int mem_write_at(const struct mem_region *r, uint64_t gpa, const void *buf, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_WRITE);
	if (ret == 0)
		write_parts(r, gpa, buf, len);
	return ret;
}

static MEM_NOINLINE int write_slow(const struct vmm_mem *mem, uint64_t gpa,
				   const void *buf, size_t len)
{
	return mem_write_at(mem_find(mem, gpa), gpa, buf, len);
}

int vmm_mem_write(const struct vmm_mem *mem, uint64_t gpa, const void *buf, size_t len)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	if (unlikely(len == 0 || !mem_fits_write(r, gpa, len)))
		return write_slow(mem, gpa, buf, len);
	mem_copy_to(r->host + (gpa - r->gpa), buf, len);
	return 0;
}

/* Set a checked range. */
static void fill_parts(const struct mem_region *r, uint64_t gpa, uint8_t value,
		       uint64_t len)
{
	uint64_t off = gpa - r->gpa, part;

	for (; len > 0; len -= part, r++, off = 0) {
		part = r->len - off < len ? r->len - off : len;
		memset(r->host + off, value, (size_t)part);
		if (r->dirty)
			mem_dirty_mark(r->dirty, r->gpa - r->dirty_base + off, part);
	}
}

int vmm_mem_fill(const struct vmm_mem *mem, uint64_t gpa, uint8_t value, uint64_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_WRITE);
	if (ret == 0)
		fill_parts(r, gpa, value, len);
	return ret;
}

int64_t vmm_mem_read_some(const struct vmm_mem *mem, uint64_t gpa, void *buf, size_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);
	uint64_t part;

	if (len == 0)
		return 0;
	part = mem_extent(r, gpa, len, VMM_MEM_ACCESS_READ);
	if (part == 0)
		return -EFAULT;
	read_parts(r, gpa, buf, part);
	return (int64_t)part;
}

/* How much can be written from @gpa on, or why nothing. */
static int64_t writable(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	uint64_t part;

	part =
	    mem_extent(r, gpa, len < INT64_MAX ? len : INT64_MAX, VMM_MEM_ACCESS_WRITE);
	return part > 0 ? (int64_t)part : mem_check(r, gpa, 1, VMM_MEM_ACCESS_WRITE);
}

int64_t vmm_mem_write_some(const struct vmm_mem *mem, uint64_t gpa, const void *buf,
			   size_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);
	int64_t part = len > 0 ? writable(r, gpa, len) : 0;

	if (part > 0)
		write_parts(r, gpa, buf, (uint64_t)part);
	return part;
}

int64_t vmm_mem_fill_some(const struct vmm_mem *mem, uint64_t gpa, uint8_t value,
			  uint64_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);
	int64_t part = len > 0 ? writable(r, gpa, len) : 0;

	if (part > 0)
		fill_parts(r, gpa, value, (uint64_t)part);
	return part;
}

/* Copy between checked ranges, forwards: piece by piece of what is whole on both sides.
 */
static void copy_forwards(const struct mem_region *to, uint64_t dst,
			  const struct mem_region *from, uint64_t src, uint64_t len)
{
	uint64_t to_off = dst - to->gpa, from_off = src - from->gpa, n;

	for (; len > 0; len -= n) {
		n = to->len - to_off < len ? to->len - to_off : len;
		n = from->len - from_off < n ? from->len - from_off : n;
		memmove(to->host + to_off, from->host + from_off, (size_t)n);
		to_off += n;
		from_off += n;
		if (to_off == to->len)
			to++, to_off = 0;
		if (from_off == from->len)
			from++, from_off = 0;
	}
}

/* The same from the end, for a destination that overlaps the source from above. */
static void copy_backwards(const struct vmm_mem *mem, uint64_t dst, uint64_t src,
			   uint64_t len)
{
	while (len > 0) {
		const struct mem_region *to = mem_find(mem, dst + (len - 1));
		const struct mem_region *from = mem_find(mem, src + (len - 1));
		uint64_t to_have = dst + (len - 1) - to->gpa + 1;
		uint64_t from_have = src + (len - 1) - from->gpa + 1;
		uint64_t n = to_have < from_have ? to_have : from_have;

		n = n < len ? n : len;
		memmove(to->host + (to_have - n), from->host + (from_have - n),
			(size_t)n);
		len -= n;
	}
}

int vmm_mem_copy(const struct vmm_mem *mem, uint64_t dst, uint64_t src, uint64_t len)
{
	const struct mem_region *to = mem_find(mem, dst), *from = mem_find(mem, src);
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(from, src, len, VMM_MEM_ACCESS_READ);
	if (ret == 0)
		ret = mem_check(to, dst, len, VMM_MEM_ACCESS_WRITE);
	if (ret < 0)
		return ret;
	if (dst > src && dst - src < len)
		copy_backwards(mem, dst, src, len);
	else
		copy_forwards(to, dst, from, src, len);
	mem_dirty_range(to, dst, len);
	return 0;
}

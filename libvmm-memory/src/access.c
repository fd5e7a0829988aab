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

bool vmm_mem_is_backed(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct mem_region *r;

	if (len == 0)
		return true;
	r = mem_find(mem, gpa);
	return mem_fits(r, gpa, len) ||
	       mem_extent(r, gpa, len, VMM_MEM_ACCESS_NONE) == len;
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

static int __attribute__((noinline))
read_slow(const struct mem_region *r, uint64_t gpa, void *buf, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_READ);
	if (ret == 0)
		read_parts(r, gpa, buf, len);
	return ret;
}

int vmm_mem_read(const struct vmm_mem *mem, uint64_t gpa, void *buf, size_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);

	if (unlikely(len == 0 || !mem_fits(r, gpa, len)))
		return read_slow(r, gpa, buf, len);
	mem_copy_from(buf, r->host + (gpa - r->gpa), len);
	return 0;
}

static int __attribute__((noinline))
write_slow(const struct mem_region *r, uint64_t gpa, const void *buf, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_WRITE);
	if (ret == 0)
		write_parts(r, gpa, buf, len);
	return ret;
}

int vmm_mem_write(const struct vmm_mem *mem, uint64_t gpa, const void *buf, size_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);

	if (unlikely(len == 0 || !mem_fits(r, gpa, len) || (r->flags & VMM_MEM_READONLY)))
		return write_slow(r, gpa, buf, len);
	mem_copy_to(r->host + (gpa - r->gpa), buf, len);
	if (r->dirty)
		mem_dirty_mark(r->dirty, gpa - r->dirty_base, len);
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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compat.h"
#include "internal.h"
#include "sys.h"

uint64_t vmm_mem_get_last(const struct vmm_mem *mem)
{
	const struct mem_region *r = mem->regions + mem->count;

	return mem->count > 0 ? r[-1].gpa + (r[-1].len - 1) : 0;
}

int vmm_mem_offset(const struct vmm_mem *mem, uint64_t base, uint64_t offset,
		   uint64_t *out_gpa)
{
	uint64_t gpa;

	if (__builtin_add_overflow(base, offset, &gpa) || !vmm_mem_is_backed(mem, gpa, 1))
		return -EFAULT;
	*out_gpa = gpa;
	return 0;
}

int vmm_mem_explain(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
		    uint32_t access, struct vmm_error *err)
{
	const struct mem_region *r = mem_find(mem, gpa);
	uint64_t good;
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, access);
	if (ret == 0)
		return 0;
	good = mem_extent(r, gpa, len, ret == -EROFS ? access : VMM_MEM_ACCESS_NONE);
	if (len - 1 > UINT64_MAX - gpa && good == UINT64_MAX - gpa + 1)
		return vmm_error_at(
		    err, ret, UINT64_MAX, len, good,
		    "range at %#llx wraps at the end of the address space",
		    (unsigned long long)gpa);
	return vmm_error_at(err, ret, gpa + good, len, good, "guest address %#llx is %s",
			    (unsigned long long)(gpa + good),
			    ret == -EROFS ? "read-only" : "not backed");
}

bool vmm_mem_files_overlap(const struct vmm_mem_region *a, const struct vmm_mem_region *b)
{
	struct stat sa, sb;

	if (a->fd < 0 || b->fd < 0 || a->len == 0 || b->len == 0)
		return false;
	if (mem_sys_stat(a->fd, &sa) < 0 || mem_sys_stat(b->fd, &sb) < 0)
		return false;
	if (sa.st_dev != sb.st_dev || sa.st_ino != sb.st_ino)
		return false;
	return a->fd_offset < b->fd_offset ? b->fd_offset - a->fd_offset < a->len
					   : a->fd_offset - b->fd_offset < b->len;
}

/* Throw away whole pages of one region. */
static int discard_part(const struct mem_region *r, uint64_t off, uint64_t len)
{
	const struct mem_backing *b = r->backing;
	int ret;

	if (b->fd >= 0 && !(r->flags & VMM_MEM_PRIVATE))
		return mem_sys_punch_hole(b->fd, b->fd_offset + off, len);
	/* A mapping of the caller's may be shared; then only this frees the pages. */
	if (!b->map) {
		ret = mem_sys_madvise(r->host + off, (size_t)len, MADV_REMOVE);
		if (ret == 0)
			return 0;
	}
	return mem_sys_madvise(r->host + off, (size_t)len, MADV_DONTNEED);
}

int vmm_mem_discard(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct mem_region *r = mem_find(mem, gpa), *first = r;
	uint64_t off = gpa - r->gpa, at = gpa, left, part;
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_WRITE);
	if (ret < 0)
		return ret;
	/* Edges inside a region must lie between its pages. */
	if (off % r->backing->page_size != 0)
		return -EINVAL;
	r = mem_find(mem, gpa + (len - 1));
	if ((gpa + (len - 1) - r->gpa + 1) % r->backing->page_size != 0)
		return -EINVAL;

	for (r = first, left = len; left > 0; left -= part, at += part, r++, off = 0) {
		part = r->len - off < left ? r->len - off : left;
		ret = discard_part(r, off, part);
		mem_dirty_range(r, at, part);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int mem_populate(uint8_t *host, uint64_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int ret = mem_sys_madvise(host, (size_t)len, MADV_POPULATE_WRITE);

	/* A mapping without write permission can only be read ahead. */
	if (ret == -EFAULT || ret == -EPERM || ret == -EACCES)
		ret = mem_sys_madvise(host, (size_t)len, MADV_POPULATE_READ);
	if (ret != -EINVAL)
		return ret;
	/* Linux before 5.14: touch each page; a failure is a signal there. */
	for (uint64_t at = 0; at < len; at += page)
		(void)__atomic_load_n(host + at, __ATOMIC_RELAXED);
	return 0;
}

int vmm_mem_prefault(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct mem_region *r = mem_find(mem, gpa);
	uint64_t off = gpa - r->gpa, part, from, to;
	int ret;

	if (len == 0)
		return 0;
	ret = mem_check(r, gpa, len, VMM_MEM_ACCESS_NONE);
	for (; ret == 0 && len > 0; len -= part, r++, off = 0) {
		part = r->len - off < len ? r->len - off : len;
		from = off - off % page;
		to = off + part;
		to += (page - to % page) % page;
		ret = mem_populate(r->host + from, to - from);
	}
	return ret;
}

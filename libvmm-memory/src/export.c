/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "internal.h"

static MEM_NOINLINE int get_ptr_slow(const struct vmm_mem *mem, uint64_t gpa,
				     uint64_t len, uint32_t access, void **out)
{
	const struct mem_region *r = mem_find(mem, gpa);
	uint64_t off = gpa - r->gpa;

	if (len == 0) {
		*out = off < r->len ? r->host + off : NULL;
		return 0;
	}
	if (!mem_fits(r, gpa, len))
		return -EFAULT;
	if ((access & VMM_MEM_ACCESS_WRITE) && (r->flags & VMM_MEM_READONLY))
		return -EROFS;
	*out = r->host + off;
	return 0;
}

int vmm_mem_get_ptr_for(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
			uint32_t access, void **out)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	if (unlikely(len == 0 || !mem_fits(r, gpa, len) || (r->flags & VMM_MEM_READONLY)))
		return get_ptr_slow(mem, gpa, len, access, out);
	*out = r->host + (gpa - r->gpa);
	return 0;
}

int vmm_mem_get_ptr(const struct vmm_mem *mem, uint64_t gpa, uint64_t len, void **out)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	if (unlikely(len == 0 || !mem_fits(r, gpa, len)))
		return get_ptr_slow(mem, gpa, len, VMM_MEM_ACCESS_NONE, out);
	*out = r->host + (gpa - r->gpa);
	return 0;
}

size_t mem_fill_iov(const struct mem_region *r, uint64_t gpa, uint64_t len,
		    struct iovec *iov, size_t max)
{
	uint64_t off = gpa - r->gpa, part;
	size_t n = 0;

	for (; len > 0; len -= part, r++, off = 0, n++) {
		part = r->len - off < len ? r->len - off : len;
		if (!iov || n >= max)
			continue;
		iov[n].iov_base = r->host + off;
		iov[n].iov_len = (size_t)part;
	}
	return n;
}

int vmm_mem_get_iov_for(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
			uint32_t access, struct iovec *iov, size_t iov_max, size_t *out_n)
{
	const struct mem_region *r = mem_find(mem, gpa);
	size_t n;
	int ret;

	if (len == 0) {
		*out_n = 0;
		return 0;
	}
	ret = mem_check(r, gpa, len, access);
	if (ret < 0)
		return ret;
	/* Counted first: on failure the caller's array is as it was. */
	n = mem_fill_iov(r, gpa, len, NULL, 0);
	if (n > iov_max)
		return -E2BIG;
	*out_n = mem_fill_iov(r, gpa, len, iov, iov_max);
	return 0;
}

int vmm_mem_get_iov(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
		    struct iovec *iov, size_t iov_max, size_t *out_n)
{
	return vmm_mem_get_iov_for(mem, gpa, len, VMM_MEM_ACCESS_NONE, iov, iov_max,
				   out_n);
}

void vmm_mem_mark_dirty(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);

	if (len == 0)
		return;
	mem_dirty_range(r, gpa, mem_extent(r, gpa, len, VMM_MEM_ACCESS_NONE));
}

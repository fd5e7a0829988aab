/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include <vmm/memory-slice.h>

#include "copy.h"
#include "dirty.h"
#include "internal.h"
#include "scalar.h"

/* The part of @r from @gpa on, cut to @len. */
static struct vmm_mem_slice make(const struct mem_region *r, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - r->gpa;

	return (struct vmm_mem_slice){
		.gpa = gpa,
		.len = len < r->len - off ? len : r->len - off,
		.host = r->host + off,
		.dirty = r->dirty,
		.dirty_offset = gpa - r->dirty_base,
		.access =
		    r->flags & VMM_MEM_READONLY ? VMM_MEM_ACCESS_READ : VMM_MEM_ACCESS_RW,
	};
}

int vmm_mem_get_slice(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
		      uint32_t access, struct vmm_mem_slice *out)
{
	const struct mem_region *r = mem_find(mem, gpa);

	if (len == 0) {
		*out = (struct vmm_mem_slice){ .gpa = gpa, .access = VMM_MEM_ACCESS_RW };
		return 0;
	}
	if (!mem_fits(r, gpa, len))
		return -EFAULT;
	if ((access & VMM_MEM_ACCESS_WRITE) && (r->flags & VMM_MEM_READONLY))
		return -EROFS;
	*out = make(r, gpa, len);
	return 0;
}

void vmm_mem_slices_init(struct vmm_mem_slices *slices, const struct vmm_mem *mem,
			 uint64_t gpa, uint64_t len, uint32_t access)
{
	*slices = (struct vmm_mem_slices){
		.mem = mem, .gpa = gpa, .len = len, .access = access
	};
}

int vmm_mem_slices_next(struct vmm_mem_slices *slices, struct vmm_mem_slice *out)
{
	const struct mem_region *r;
	struct vmm_mem_slice next;
	int ret = 0;

	if (slices->len == 0)
		return -ENOENT;
	r = slices->mem ? mem_find(slices->mem, slices->gpa) : NULL;
	if (!r || slices->gpa - r->gpa >= r->len)
		ret = -EFAULT;
	else if ((slices->access & VMM_MEM_ACCESS_WRITE) && (r->flags & VMM_MEM_READONLY))
		ret = -EROFS;
	if (ret < 0) {
		slices->len = 0;
		return ret;
	}
	next = make(r, slices->gpa, slices->len);
	slices->len -= next.len;
	/* A range does not go round: what is left begins beyond the last address, which
	 * no region has. */
	if (slices->len > 0 && slices->gpa + next.len < slices->gpa) {
		slices->mem = NULL;
		slices->gpa = UINT64_MAX;
	} else {
		slices->gpa += next.len;
	}
	*out = next;
	return 0;
}

static bool fits(const struct vmm_mem_slice *s, uint64_t offset, uint64_t len)
{
	return offset <= s->len && len <= s->len - offset;
}

/* 0 when [offset, offset + len), len > 0, may be written. */
static int check_write(const struct vmm_mem_slice *s, uint64_t offset, uint64_t len)
{
	if (!fits(s, offset, len))
		return -EFAULT;
	return s->access & VMM_MEM_ACCESS_WRITE ? 0 : -EROFS;
}

static void mark(const struct vmm_mem_slice *s, uint64_t offset, uint64_t len)
{
	if (s->dirty)
		mem_dirty_mark(s->dirty, s->dirty_offset + offset, len);
}

int vmm_mem_slice_sub(const struct vmm_mem_slice *slice, uint64_t offset, uint64_t len,
		      struct vmm_mem_slice *out)
{
	struct vmm_mem_slice sub = *slice;

	if (!fits(slice, offset, len))
		return -EFAULT;
	sub.gpa += offset;
	sub.len = len;
	sub.host = slice->host ? slice->host + offset : NULL;
	sub.dirty_offset += offset;
	*out = sub;
	return 0;
}

int vmm_mem_slice_split(const struct vmm_mem_slice *slice, uint64_t mid,
			struct vmm_mem_slice *out_first, struct vmm_mem_slice *out_second)
{
	struct vmm_mem_slice first, second;

	if (mid > slice->len || vmm_mem_slice_sub(slice, 0, mid, &first) < 0 ||
	    vmm_mem_slice_sub(slice, mid, slice->len - mid, &second) < 0)
		return -EFAULT;
	*out_first = first;
	*out_second = second;
	return 0;
}

int vmm_mem_slice_read(const struct vmm_mem_slice *slice, uint64_t offset, void *buf,
		       size_t len)
{
	if (len == 0)
		return 0;
	if (!fits(slice, offset, len))
		return -EFAULT;
	mem_copy_from(buf, slice->host + offset, len);
	return 0;
}

int vmm_mem_slice_write(const struct vmm_mem_slice *slice, uint64_t offset,
			const void *buf, size_t len)
{
	int ret = len > 0 ? check_write(slice, offset, len) : 0;

	if (ret < 0 || len == 0)
		return ret;
	mem_copy_to(slice->host + offset, buf, len);
	mark(slice, offset, len);
	return 0;
}

int vmm_mem_slice_fill(const struct vmm_mem_slice *slice, uint64_t offset, uint8_t value,
		       uint64_t len)
{
	int ret = len > 0 ? check_write(slice, offset, len) : 0;

	if (ret < 0 || len == 0)
		return ret;
	memset(slice->host + offset, value, (size_t)len);
	mark(slice, offset, len);
	return 0;
}

int vmm_mem_slice_copy(const struct vmm_mem_slice *to, const struct vmm_mem_slice *from,
		       uint64_t *out_len)
{
	uint64_t len = to->len < from->len ? to->len : from->len;
	int ret = len > 0 ? check_write(to, 0, len) : 0;

	if (ret < 0)
		return ret;
	if (len > 0) {
		memmove(to->host, from->host, (size_t)len);
		mark(to, 0, len);
	}
	*out_len = len;
	return 0;
}

/* Where element @index lies. */
static int element(const struct vmm_mem_slice *s, uint32_t width, uint64_t index,
		   uint64_t *offset)
{
	if (width == 0 || width > 8 || (width & (width - 1)))
		return -EINVAL;
	if (__builtin_mul_overflow(index, width, offset) || !fits(s, *offset, width))
		return -EFAULT;
	return (uintptr_t)(s->host + *offset) % width ? -EINVAL : 0;
}

int vmm_mem_slice_load(const struct vmm_mem_slice *slice, uint32_t width, uint64_t index,
		       int order, uint64_t *out)
{
	uint64_t offset;
	int ret = element(slice, width, index, &offset);
	const uint8_t *p;

	if (ret < 0)
		return ret;
	p = slice->host + offset;
	if (width == 1)
		*out = mem_load8(p, order);
	else if (width == 2)
		*out = mem_load16(p, order);
	else if (width == 4)
		*out = mem_load32(p, order);
	else
		*out = mem_load64(p, order);
	return 0;
}

int vmm_mem_slice_store(const struct vmm_mem_slice *slice, uint32_t width, uint64_t index,
			uint64_t value, int order)
{
	uint64_t offset;
	int ret = element(slice, width, index, &offset);
	uint8_t *p;

	if (ret == 0)
		ret = check_write(slice, offset, width);
	if (ret < 0)
		return ret;
	p = slice->host + offset;
	if (width == 1)
		mem_store8(p, (uint8_t)value, order);
	else if (width == 2)
		mem_store16(p, (uint16_t)value, order);
	else if (width == 4)
		mem_store32(p, (uint32_t)value, order);
	else
		mem_store64(p, value, order);
	mark(slice, offset, width);
	return 0;
}

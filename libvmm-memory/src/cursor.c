/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "copy.h"
#include "dirty.h"
#include "internal.h"
#include "scalar.h"

void vmm_mem_cursor_init(struct vmm_mem_cursor *cursor, const struct vmm_mem *mem)
{
	*cursor = (struct vmm_mem_cursor){ .mem = mem, .region_ = NULL };
}

static bool hits(const struct vmm_mem_cursor *c, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - c->gpa;

	return off < c->len && len <= c->len - off;
}

/* The region in which a search for @gpa begins; the cursor goes along when it is hit. */
static const struct mem_region *find(struct vmm_mem_cursor *c, uint64_t gpa)
{
	const struct mem_region *r = mem_find(c->mem, gpa);

	if (gpa - r->gpa < r->len) {
		c->gpa = r->gpa;
		c->len = r->len;
		c->host = r->host;
		c->region_ = r;
		c->write_len = r->write_len;
	}
	return r;
}

uint64_t vmm_mem_cursor_seek(struct vmm_mem_cursor *cursor, uint64_t gpa)
{
	const struct mem_region *r;

	if (hits(cursor, gpa, 1))
		return cursor->len - (gpa - cursor->gpa);
	r = find(cursor, gpa);
	return gpa - r->gpa < r->len ? r->len - (gpa - r->gpa) : 0;
}

int vmm_mem_cursor_read(struct vmm_mem_cursor *cursor, uint64_t gpa, void *buf,
			size_t len)
{
	if (unlikely(len == 0))
		return 0;
	if (unlikely(!hits(cursor, gpa, len)))
		return mem_read_at(find(cursor, gpa), gpa, buf, len);
	mem_copy_from(buf, cursor->host + (gpa - cursor->gpa), len);
	return 0;
}

int vmm_mem_cursor_write(struct vmm_mem_cursor *cursor, uint64_t gpa, const void *buf,
			 size_t len)
{
	const struct mem_region *r = cursor->region_;

	if (unlikely(len == 0))
		return 0;
	if (unlikely(!hits(cursor, gpa, len) || (r->flags & VMM_MEM_READONLY)))
		return mem_write_at(find(cursor, gpa), gpa, buf, len);
	mem_copy_to(r->host + (gpa - r->gpa), buf, len);
	if (r->dirty)
		mem_dirty_mark(r->dirty, gpa - r->dirty_base, len);
	return 0;
}

#define DEFINE(name, bits, conv)                                                         \
	int vmm_mem_cursor_read_##name(struct vmm_mem_cursor *cursor, uint64_t gpa,      \
				       uint##bits##_t *out)                              \
	{                                                                                \
		if (likely(hits(cursor, gpa, sizeof(*out)))) {                           \
			*out = conv(mem_get##bits(cursor->host + (gpa - cursor->gpa)));  \
			return 0;                                                        \
		}                                                                        \
		(void)find(cursor, gpa);                                                 \
		return vmm_mem_read_##name(cursor->mem, gpa, out);                       \
	}                                                                                \
                                                                                         \
	int vmm_mem_cursor_write_##name(struct vmm_mem_cursor *cursor, uint64_t gpa,     \
					uint##bits##_t value)                            \
	{                                                                                \
		const struct mem_region *r = cursor->region_;                            \
                                                                                         \
		if (unlikely(!hits(cursor, gpa, sizeof(value)) ||                        \
			     (r->flags & VMM_MEM_READONLY))) {                           \
			(void)find(cursor, gpa);                                         \
			return vmm_mem_write_##name(cursor->mem, gpa, value);            \
		}                                                                        \
		mem_put##bits(r->host + (gpa - r->gpa), conv(value));                    \
		if (r->dirty)                                                            \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(value));    \
		return 0;                                                                \
	}                                                                                \
                                                                                         \
	int vmm_mem_cursor_load_##name(struct vmm_mem_cursor *cursor, uint64_t gpa,      \
				       int order, uint##bits##_t *out)                   \
	{                                                                                \
		if (unlikely(!hits(cursor, gpa, sizeof(*out)) || gpa % sizeof(*out))) {  \
			(void)find(cursor, gpa);                                         \
			return vmm_mem_load_##name(cursor->mem, gpa, order, out);        \
		}                                                                        \
		*out = conv(mem_load##bits(cursor->host + (gpa - cursor->gpa), order));  \
		return 0;                                                                \
	}                                                                                \
                                                                                         \
	int vmm_mem_cursor_store_##name(struct vmm_mem_cursor *cursor, uint64_t gpa,     \
					uint##bits##_t value, int order)                 \
	{                                                                                \
		const struct mem_region *r = cursor->region_;                            \
                                                                                         \
		if (unlikely(!hits(cursor, gpa, sizeof(value)) || gpa % sizeof(value) || \
			     (r->flags & VMM_MEM_READONLY))) {                           \
			(void)find(cursor, gpa);                                         \
			return vmm_mem_store_##name(cursor->mem, gpa, value, order);     \
		}                                                                        \
		mem_store##bits(r->host + (gpa - r->gpa), conv(value), order);           \
		if (r->dirty)                                                            \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(value));    \
		return 0;                                                                \
	}

DEFINE(u8, 8, mem_same8)
DEFINE(le16, 16, mem_swap16)
DEFINE(le32, 32, mem_swap32)
DEFINE(le64, 64, mem_swap64)

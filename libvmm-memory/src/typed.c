/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "dirty.h"
#include "internal.h"
#include "scalar.h"

/* Whether the number at @gpa can be touched at once; else the reason. */
static int __attribute__((noinline))
refuse(const struct mem_region *r, uint64_t gpa, uint64_t len, uint32_t access)
{
	int ret = mem_check(r, gpa, len, access);

	/* It is backed, so what is wrong is where it lies. */
	return ret < 0 ? ret : -EINVAL;
}

/* Out of line and without a stack slot in the caller, whose stack protector would cost
 * more than the access. */
#define DEFINE_SLOW(bits)                                                              \
	static int __attribute__((noinline))                                           \
	read_slow##bits(const struct mem_region *r, uint64_t gpa, uint##bits##_t *out) \
	{                                                                              \
		uint##bits##_t v = 0;                                                  \
		int ret = mem_read_at(r, gpa, &v, sizeof(v));                          \
                                                                                       \
		if (ret == 0)                                                          \
			*out = v;                                                      \
		return ret;                                                            \
	}                                                                              \
                                                                                       \
	static int __attribute__((noinline))                                           \
	write_slow##bits(const struct mem_region *r, uint64_t gpa, uint##bits##_t v)   \
	{                                                                              \
		return mem_write_at(r, gpa, &v, sizeof(v));                            \
	}

DEFINE_SLOW(8)
DEFINE_SLOW(16)
DEFINE_SLOW(32)
DEFINE_SLOW(64)

#define DEFINE(name, bits, conv)                                                        \
	int vmm_mem_read_##name(const struct vmm_mem *mem, uint64_t gpa,                \
				uint##bits##_t *out)                                    \
	{                                                                               \
		const struct mem_region *r = mem_find(mem, gpa);                        \
		int ret;                                                                \
                                                                                        \
		if (likely(mem_fits(r, gpa, sizeof(*out)))) {                           \
			*out = conv(mem_get##bits(r->host + (gpa - r->gpa)));           \
			return 0;                                                       \
		}                                                                       \
		ret = read_slow##bits(r, gpa, out);                                     \
		if (ret == 0)                                                           \
			*out = conv(*out);                                              \
		return ret;                                                             \
	}                                                                               \
                                                                                        \
	int vmm_mem_write_##name(const struct vmm_mem *mem, uint64_t gpa,               \
				 uint##bits##_t value)                                  \
	{                                                                               \
		const struct mem_region *r = mem_find(mem, gpa);                        \
		uint##bits##_t v = conv(value);                                         \
                                                                                        \
		if (unlikely(!mem_fits(r, gpa, sizeof(v)) ||                            \
			     (r->flags & VMM_MEM_READONLY)))                            \
			return write_slow##bits(r, gpa, v);                             \
		mem_put##bits(r->host + (gpa - r->gpa), v);                             \
		if (r->dirty)                                                           \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(v));       \
		return 0;                                                               \
	}                                                                               \
                                                                                        \
	int vmm_mem_load_##name(const struct vmm_mem *mem, uint64_t gpa, int order,     \
				uint##bits##_t *out)                                    \
	{                                                                               \
		const struct mem_region *r = mem_find(mem, gpa);                        \
                                                                                        \
		if (unlikely(gpa % sizeof(*out) || !mem_fits(r, gpa, sizeof(*out))))    \
			return refuse(r, gpa, sizeof(*out), VMM_MEM_ACCESS_READ);       \
		*out = conv(mem_load##bits(r->host + (gpa - r->gpa), order));           \
		return 0;                                                               \
	}                                                                               \
                                                                                        \
	int vmm_mem_store_##name(const struct vmm_mem *mem, uint64_t gpa,               \
				 uint##bits##_t value, int order)                       \
	{                                                                               \
		const struct mem_region *r = mem_find(mem, gpa);                        \
                                                                                        \
		if (unlikely(gpa % sizeof(value) || !mem_fits(r, gpa, sizeof(value)) || \
			     (r->flags & VMM_MEM_READONLY)))                            \
			return refuse(r, gpa, sizeof(value), VMM_MEM_ACCESS_WRITE);     \
		mem_store##bits(r->host + (gpa - r->gpa), conv(value), order);          \
		if (r->dirty)                                                           \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(value));   \
		return 0;                                                               \
	}

DEFINE(u8, 8, mem_same8)
DEFINE(u16, 16, mem_same16)
DEFINE(u32, 32, mem_same32)
DEFINE(u64, 64, mem_same64)
DEFINE(le16, 16, mem_swap16)
DEFINE(le32, 32, mem_swap32)
DEFINE(le64, 64, mem_swap64)

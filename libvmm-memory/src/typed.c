/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "dirty.h"
#include "internal.h"
#include "scalar.h"

/* Why the number at @gpa cannot be loaded or stored. */
static int refuse(const struct mem_region *r, uint64_t gpa, uint64_t len, uint32_t access)
{
	int ret = mem_check(r, gpa, len, access);

	/* It is backed, so what is wrong is where it lies. */
	return ret < 0 ? ret : -EINVAL;
}

/* What is not the common case: another region than guessed, more than one, a tracked or
 * read-only one. Out of line, and without a stack slot in the caller, whose stack
 * protector would cost more than the access. */
#define DEFINE_SLOW(bits)                                                                \
	static MEM_NOINLINE int read_slow##bits(const struct vmm_mem *mem, uint64_t gpa, \
						uint##bits##_t *out)                     \
	{                                                                                \
		const struct mem_region *r = mem_find(mem, gpa);                         \
		uint##bits##_t v = 0;                                                    \
		int ret = 0;                                                             \
                                                                                         \
		if (mem_fits(r, gpa, sizeof(v)))                                         \
			v = mem_get##bits(r->host + (gpa - r->gpa));                     \
		else                                                                     \
			ret = mem_read_at(r, gpa, &v, sizeof(v));                        \
		if (ret == 0)                                                            \
			*out = v;                                                        \
		return ret;                                                              \
	}                                                                                \
                                                                                         \
	static MEM_NOINLINE int write_slow##bits(const struct vmm_mem *mem,              \
						 uint64_t gpa, uint##bits##_t v)         \
	{                                                                                \
		const struct mem_region *r = mem_find(mem, gpa);                         \
                                                                                         \
		if (!mem_fits(r, gpa, sizeof(v)) || (r->flags & VMM_MEM_READONLY))       \
			return mem_write_at(r, gpa, &v, sizeof(v));                      \
		mem_put##bits(r->host + (gpa - r->gpa), v);                              \
		if (r->dirty)                                                            \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(v));        \
		return 0;                                                                \
	}                                                                                \
                                                                                         \
	static MEM_NOINLINE int load_slow##bits(const struct vmm_mem *mem, uint64_t gpa, \
						int order, uint##bits##_t *out)          \
	{                                                                                \
		const struct mem_region *r = mem_find(mem, gpa);                         \
                                                                                         \
		if (gpa % sizeof(*out) || !mem_fits(r, gpa, sizeof(*out)))               \
			return refuse(r, gpa, sizeof(*out), VMM_MEM_ACCESS_READ);        \
		*out = mem_load##bits(r->host + (gpa - r->gpa), order);                  \
		return 0;                                                                \
	}                                                                                \
                                                                                         \
	static MEM_NOINLINE int store_slow##bits(                                        \
	    const struct vmm_mem *mem, uint64_t gpa, uint##bits##_t v, int order)        \
	{                                                                                \
		const struct mem_region *r = mem_find(mem, gpa);                         \
                                                                                         \
		if (gpa % sizeof(v) || !mem_fits(r, gpa, sizeof(v)) ||                   \
		    (r->flags & VMM_MEM_READONLY))                                       \
			return refuse(r, gpa, sizeof(v), VMM_MEM_ACCESS_WRITE);          \
		mem_store##bits(r->host + (gpa - r->gpa), v, order);                     \
		if (r->dirty)                                                            \
			mem_dirty_mark(r->dirty, gpa - r->dirty_base, sizeof(v));        \
		return 0;                                                                \
	}

DEFINE_SLOW(8)
DEFINE_SLOW(16)
DEFINE_SLOW(32)
DEFINE_SLOW(64)

#define DEFINE(name, bits, conv)                                                         \
	int vmm_mem_read_##name(const struct vmm_mem *mem, uint64_t gpa,                 \
				uint##bits##_t *out)                                     \
	{                                                                                \
		const struct mem_region *r = mem_guess(mem, gpa);                        \
		int ret;                                                                 \
                                                                                         \
		if (likely(mem_fits(r, gpa, sizeof(*out)))) {                            \
			*out = conv(mem_get##bits(r->host + (gpa - r->gpa)));            \
			return 0;                                                        \
		}                                                                        \
		ret = read_slow##bits(mem, gpa, out);                                    \
		if (ret == 0)                                                            \
			*out = conv(*out);                                               \
		return ret;                                                              \
	}                                                                                \
                                                                                         \
	int vmm_mem_write_##name(const struct vmm_mem *mem, uint64_t gpa,                \
				 uint##bits##_t value)                                   \
	{                                                                                \
		const struct mem_region *r = mem_guess(mem, gpa);                        \
		uint##bits##_t v = conv(value);                                          \
                                                                                         \
		if (unlikely(!mem_fits_write(r, gpa, sizeof(v))))                        \
			return write_slow##bits(mem, gpa, v);                            \
		mem_put##bits(r->host + (gpa - r->gpa), v);                              \
		return 0;                                                                \
	}                                                                                \
                                                                                         \
	int vmm_mem_load_##name(const struct vmm_mem *mem, uint64_t gpa, int order,      \
				uint##bits##_t *out)                                     \
	{                                                                                \
		const struct mem_region *r = mem_guess(mem, gpa);                        \
		int ret;                                                                 \
                                                                                         \
		if (likely(gpa % sizeof(*out) == 0 && mem_fits(r, gpa, sizeof(*out)))) { \
			*out = conv(mem_load##bits(r->host + (gpa - r->gpa), order));    \
			return 0;                                                        \
		}                                                                        \
		ret = load_slow##bits(mem, gpa, order, out);                             \
		if (ret == 0)                                                            \
			*out = conv(*out);                                               \
		return ret;                                                              \
	}                                                                                \
                                                                                         \
	int vmm_mem_store_##name(const struct vmm_mem *mem, uint64_t gpa,                \
				 uint##bits##_t value, int order)                        \
	{                                                                                \
		const struct mem_region *r = mem_guess(mem, gpa);                        \
		uint##bits##_t v = conv(value);                                          \
                                                                                         \
		if (unlikely(gpa % sizeof(v) || !mem_fits_write(r, gpa, sizeof(v))))     \
			return store_slow##bits(mem, gpa, v, order);                     \
		mem_store##bits(r->host + (gpa - r->gpa), v, order);                     \
		return 0;                                                                \
	}

DEFINE(u8, 8, mem_same8)
DEFINE(u16, 16, mem_same16)
DEFINE(u32, 32, mem_same32)
DEFINE(u64, 64, mem_same64)
DEFINE(le16, 16, mem_swap16)
DEFINE(le32, 32, mem_swap32)
DEFINE(le64, 64, mem_swap64)

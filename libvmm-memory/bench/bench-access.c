/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-bench.h"

#define VMM_WANT_INLINE 1
#include <vmm/memory-dirty.h>
#include <vmm/memory-inline.h>
#include <vmm/memory-typed.h>

ADDRS(hot1);
ADDRS(hot8);
ADDRS(spread);
ADDRS(unaligned);
ADDRS(cross8);
ADDRS(check4k);

static void fill_addresses(void)
{
	struct rng r = { 1 };

	for (uint32_t i = 0; i < OPS; i++) {
		(void)rng_next(&r);
		hot1[i] = rng_next(&r) % 4096 * 8;
		unaligned[i] = (hot1[i] < 32752 ? hot1[i] : 32752) + 1;
		cross8[i] = 8 * MIB - 4;
	}
	r.s = 2;
	for (uint32_t i = 0; i < OPS; i++) {
		uint64_t region = rng_next(&r) % 8;

		hot8[i] = region * 8 * MIB + rng_next(&r) % 512 * 8;
	}
	r.s = 3;
	for (uint32_t i = 0; i < OPS; i++)
		spread[i] = rng_next(&r) % 8388608 * 8;
	r.s = 5;
	for (uint32_t i = 0; i < OPS; i++)
		check4k[i] = rng_next(&r) % ((64 * MIB - 4096) / 64 + 1) * 64;
}

static void slice_addresses(uint64_t *list, size_t len)
{
	struct rng r = { 4 };

	for (uint32_t i = 0; i < OPS; i++)
		list[i] = rng_next(&r) % ((256 * 1024 - len) / 64 + 1) * 64;
}

/* Each function is n times the list. */
#define LOOP(name, body)                                                              \
	static void name(void *p, uint64_t n)                                         \
	{                                                                             \
		const struct bench_ctx *c = p;                                        \
		/* In registers: the black box makes the compiler forget the rest. */ \
		const uint64_t *addr = c->addr;                                       \
		const struct vmm_mem *table = c->mem;                                 \
		uint8_t *const raw_base = c->raw, *const buffer = c->buf;             \
		void *const cursor = c->more;                                         \
		const size_t len = c->len;                                            \
                                                                                      \
		(void)raw_base, (void)buffer, (void)len, (void)table, (void)cursor;   \
		for (uint64_t round = 0; round < n; round++) {                        \
			for (uint64_t i = 0; i < OPS; i++) {                          \
				uint64_t at = addr[i];                                \
				int ret = 0;                                          \
                                                                                      \
				body;                                                 \
				if (__builtin_expect(ret < 0, 0))                     \
					abort();                                      \
			}                                                             \
		}                                                                     \
	}

#define TABLE ((const struct vmm_mem *)bbp(table))

#define RAW(body)                                                                 \
	{                                                                         \
		uint8_t *q =                                                      \
		    (uint8_t *)(uintptr_t)bb((uint64_t)(uintptr_t)raw_base) + at; \
		body;                                                             \
	}

LOOP(raw_load, RAW((void)bb(*(volatile uint64_t *)(void *)q)))
LOOP(raw_store, RAW(*(volatile uint64_t *)(void *)q = i))
LOOP(raw_load_acquire,
     RAW((void)bb(__atomic_load_n((uint32_t *)(void *)q, __ATOMIC_ACQUIRE))))
LOOP(raw_store_release,
     RAW(__atomic_store_n((uint32_t *)(void *)q, (uint32_t)i, __ATOMIC_RELEASE)))
LOOP(raw_memcpy_from, RAW(memcpy((void *)(uintptr_t)bbp(buffer), q, (size_t)bb(len))))
LOOP(raw_memcpy_to, RAW(memcpy(q, bbp(buffer), (size_t)bb(len))))

LOOP(read_u64, uint64_t v; ret = vmm_mem_read_u64(TABLE, at, &v); (void)bb(v))
LOOP(write_u64, ret = vmm_mem_write_u64(TABLE, at, i))
LOOP(read_any, uint64_t v; ret = vmm_mem_read(TABLE, at, &v, sizeof(v)); (void)bb(v))
LOOP(write_any, uint64_t v = i; ret = vmm_mem_write(TABLE, at, &v, sizeof(v)))
LOOP(load_u32, uint32_t v; ret = vmm_mem_load_u32(TABLE, at, VMM_MEM_ACQUIRE, &v);
     (void)bb(v))
LOOP(store_u32, ret = vmm_mem_store_u32(TABLE, at, (uint32_t)i, VMM_MEM_RELEASE))
LOOP(check_4k, ret = -!vmm_mem_is_backed(TABLE, at, 4096))
LOOP(read_slice,
     ret = vmm_mem_read(TABLE, at, (void *)(uintptr_t)bbp(buffer), (size_t)bb(len)))
LOOP(write_slice, ret = vmm_mem_write(TABLE, at, bbp(buffer), (size_t)bb(len)))

#define CUR ((struct vmm_mem_cursor *)(uintptr_t)bbp(cursor))

LOOP(cursor_read, uint64_t v; ret = vmm_mem_cursor_read_le64(CUR, at, &v); (void)bb(v))
LOOP(cursor_write, ret = vmm_mem_cursor_write_le64(CUR, at, i))
LOOP(inline_read, uint64_t v; ret = vmm_mem_cursor_read_le64_inline(CUR, at, &v);
     (void)bb(v))
LOOP(inline_write, ret = vmm_mem_cursor_write_le64_inline(CUR, at, i))

static struct vmm_mem *r1, *r8, *dirty1;
static uint8_t *raw, *buf;

static void numbers(void)
{
	static const struct {
		const char *name;
		vmm_bench_fn fn;
		int regions;
		uint64_t *addr;
		vmm_bench_fn ref;
	} cases[] = {
		{ "read_obj_u64.r1.hot", read_u64, 1, hot1, raw_load },
		{ "read_obj_u64.r8.hot", read_u64, 8, hot8, raw_load },
		{ "read_obj_u64.r1.spread", read_u64, 1, spread, raw_load },
		{ "read_obj_u64.r8.spread", read_u64, 8, spread, raw_load },
		{ "read_obj_u64.r1.hot_unaligned", read_u64, 1, unaligned, raw_load },
		{ "write_obj_u64.r1.hot", write_u64, 1, hot1, raw_store },
		{ "write_obj_u64.r8.hot", write_u64, 8, hot8, raw_store },
		{ "write_obj_u64.r1.spread", write_u64, 1, spread, raw_store },
		{ "write_obj_u64.r8.spread", write_u64, 8, spread, raw_store },
		{ "write_obj_u64.r1.hot_unaligned", write_u64, 1, unaligned, raw_store },
		{ "read_obj_u64.r8.cross", read_u64, 8, cross8, raw_load },
		{ "write_obj_u64.r8.cross", write_u64, 8, cross8, raw_store },
		{ "load_u32_acquire.r1.hot", load_u32, 1, hot1, raw_load_acquire },
		{ "store_u32_release.r1.hot", store_u32, 1, hot1, raw_store_release },
		{ "check_range_4k.r1", check_4k, 1, check4k, raw_load },
		{ "check_range_4k.r8", check_4k, 8, check4k, raw_load },
		{ "read_any_8.r1.hot", read_any, 1, hot1, raw_load },
		{ "write_any_8.r1.hot", write_any, 1, hot1, raw_store },
		{ "cursor_read_le64.r1.hot", cursor_read, 1, hot1, raw_load },
		{ "cursor_write_le64.r1.hot", cursor_write, 1, hot1, raw_store },
		{ "cursor_read_le64_inline.r1.hot", inline_read, 1, hot1, raw_load },
		{ "cursor_write_le64_inline.r1.hot", inline_write, 1, hot1, raw_store },
		{ "cursor_read_le64.r8.hot", cursor_read, 8, hot8, raw_load },
	};
	struct vmm_mem_cursor cursor;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench_ctx c = { .mem = cases[i].regions == 1 ? r1 : r8,
				       .addr = cases[i].addr,
				       .raw = raw,
				       .more = &cursor };

		vmm_mem_cursor_init(&cursor, c.mem);
		run_case(cases[i].name, cases[i].fn, "bare load or store", cases[i].ref,
			 &c);
	}
}

static void slices(void)
{
	static const size_t lens[] = { 64, 512, 4096, 65536 };
	static uint64_t list[OPS], at_cross[OPS];
	char name[64];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct bench_ctx c = {
			.mem = r1, .addr = list, .raw = raw, .buf = buf, .len = lens[i]
		};
		struct bench_ctx x = c;

		slice_addresses(list, lens[i]);
		for (uint32_t k = 0; k < OPS; k++)
			at_cross[k] = 8 * MIB - lens[i] / 2;
		x.mem = r8;
		x.addr = at_cross;
		(void)snprintf(name, sizeof(name), "read_slice.%zu.r1", lens[i]);
		run_case(name, read_slice, "memcpy", raw_memcpy_from, &c);
		(void)snprintf(name, sizeof(name), "write_slice.%zu.r1", lens[i]);
		run_case(name, write_slice, "memcpy", raw_memcpy_to, &c);
		(void)snprintf(name, sizeof(name), "read_slice.%zu.cross", lens[i]);
		run_case(name, read_slice, "memcpy", raw_memcpy_from, &x);
		(void)snprintf(name, sizeof(name), "write_slice.%zu.cross", lens[i]);
		run_case(name, write_slice, "memcpy", raw_memcpy_to, &x);
	}
}

static void dirty_writes(void)
{
	static uint64_t list[OPS], pages[OPS];
	struct bench_ctx c = { .mem = dirty1, .addr = hot1, .raw = raw, .buf = buf };
	struct rng r = { 7 };

	run_case("dirty.read_obj_u64.r1.hot", read_u64, "bare load", raw_load, &c);
	run_case("dirty.write_obj_u64.r1.hot", write_u64, "bare store", raw_store, &c);
	c.addr = spread;
	run_case("dirty.write_obj_u64.r1.spread", write_u64, "bare store", raw_store, &c);

	for (uint32_t i = 0; i < OPS; i++)
		pages[i] = rng_next(&r) % 64 * 4096;
	slice_addresses(list, 4096);
	c.len = 4096;
	c.addr = pages;
	run_case("dirty.write_slice.4096.page_aligned", write_slice, "memcpy",
		 raw_memcpy_to, &c);
	c.mem = r1;
	run_case("write_slice.4096.page_aligned", write_slice, "memcpy", raw_memcpy_to,
		 &c);
	c.mem = dirty1;
	c.addr = list;
	run_case("dirty.write_slice.4096.unaligned", write_slice, "memcpy", raw_memcpy_to,
		 &c);
	slice_addresses(list, 65536);
	c.len = 65536;
	run_case("dirty.write_slice.65536.unaligned", write_slice, "memcpy",
		 raw_memcpy_to, &c);
}

static void floors(void)
{
	struct bench_ctx c = { .addr = hot1, .raw = raw, .buf = buf };
	static uint64_t list[OPS];
	static const size_t lens[] = { 64, 512, 4096, 65536 };
	char name[64];

	run_case("raw.load_u64.hot", raw_load, NULL, NULL, &c);
	c.addr = spread;
	run_case("raw.load_u64.spread", raw_load, NULL, NULL, &c);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		slice_addresses(list, lens[i]);
		c.addr = list;
		c.len = lens[i];
		(void)snprintf(name, sizeof(name), "raw.memcpy.%zu", lens[i]);
		run_case(name, raw_memcpy_from, NULL, NULL, &c);
	}
}

int main(void)
{
	fill_addresses();
	raw = bench_raw(64 * MIB);
	buf = bench_raw(65536);
	r1 = bench_table(1, 64 * MIB, 0, 1);
	r8 = bench_table(8, 8 * MIB, 0, 1);
	dirty1 = bench_table(1, 64 * MIB, 4096, 1);
	floors();
	numbers();
	slices();
	dirty_writes();
	vmm_mem_free(r1);
	vmm_mem_free(r8);
	vmm_mem_free(dirty1);
	return 0;
}

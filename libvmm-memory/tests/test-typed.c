/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <pthread.h>

#define VMM_WANT_INLINE 1
#include <vmm/memory-dirty.h>
#include <vmm/memory-inline.h>
#include <vmm/memory-slice.h>
#include <vmm/memory-typed.h>
#include <vmm/memory-types.h>

/* Touching, touching, a hole, then one that is read-only. */
static struct vmm_mem *sample(void)
{
	static const struct mem_test_range ranges[] = {
		{ 0x1000, PAGE, 0 },
		{ 0x2000, PAGE, 0 },
		{ 0x4000, PAGE, 0 },
		{ 0x5000, PAGE, VMM_MEM_READONLY },
	};

	return mem_test_table(ranges, VMM_ARRAY_LEN(ranges));
}

/* One width: every address around a border, a hole and the read-only region. */
#define DEFINE_WIDTH(name, bits, swap)                                                   \
	static void check_##name(struct vmm_mem *mem)                                    \
	{                                                                                \
		const uint##bits##_t pattern =                                           \
		    (uint##bits##_t)UINT64_C(0x1122334455667788);                        \
		const unsigned int n = sizeof(pattern);                                  \
                                                                                         \
		for (uint64_t gpa = 0x2000 - n - 1; gpa <= 0x2001; gpa++) {              \
			uint##bits##_t v = 0, raw = 0, want = pattern;                   \
			int aligned = gpa % n == 0;                                      \
                                                                                         \
			if (swap)                                                        \
				want = (uint##bits##_t)(__builtin_bswap64(pattern) >>    \
							(64 - bits));                    \
			assert_int_equal(vmm_mem_fill(mem, gpa, 0, n), 0);               \
			assert_int_equal(vmm_mem_write_##name(mem, gpa, pattern), 0);    \
			assert_int_equal(vmm_mem_read(mem, gpa, &raw, n), 0);            \
			assert_true(raw == want);                                        \
			assert_int_equal(vmm_mem_read_##name(mem, gpa, &v), 0);          \
			assert_true(v == pattern);                                       \
			for (int order = 0; order <= VMM_MEM_SEQ_CST; order++) {         \
				v = 0;                                                   \
				assert_int_equal(                                        \
				    vmm_mem_store_##name(mem, gpa,                       \
							 (uint##bits##_t)order, order),  \
				    aligned ? 0 : -EINVAL);                              \
				assert_int_equal(                                        \
				    vmm_mem_load_##name(mem, gpa, order, &v),            \
				    aligned ? 0 : -EINVAL);                              \
				assert_int_equal(v, aligned ? order : 0);                \
			}                                                                \
		}                                                                        \
		for (uint64_t gpa = 0x3000 - n + 1; gpa < 0x4000; gpa += 0x400) {        \
			uint##bits##_t v = 9;                                            \
                                                                                         \
			assert_int_equal(vmm_mem_read_##name(mem, gpa, &v), -EFAULT);    \
			assert_int_equal(vmm_mem_write_##name(mem, gpa, 1), -EFAULT);    \
			assert_int_equal(vmm_mem_load_##name(mem, gpa, 0, &v), -EFAULT); \
			assert_int_equal(vmm_mem_store_##name(mem, gpa, 1, 0), -EFAULT); \
			assert_int_equal(v, 9);                                          \
		}                                                                        \
		assert_int_equal(vmm_mem_write_##name(mem, 0x5000, 1), -EROFS);          \
		assert_int_equal(vmm_mem_store_##name(mem, 0x5000, 1, 0), -EROFS);       \
		if (n > 1)                                                               \
			assert_int_equal(vmm_mem_write_##name(mem, 0x4fff, 1), -EROFS);  \
	}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LE_SWAPS 0
#else
#define LE_SWAPS 1
#endif

DEFINE_WIDTH(u8, 8, 0)
DEFINE_WIDTH(u16, 16, 0)
DEFINE_WIDTH(u32, 32, 0)
DEFINE_WIDTH(u64, 64, 0)
DEFINE_WIDTH(le16, 16, LE_SWAPS)
DEFINE_WIDTH(le32, 32, LE_SWAPS)
DEFINE_WIDTH(le64, 64, LE_SWAPS)

static void numbers_of_each_width_are_moved_and_refused_alike(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();

	check_u8(mem);
	check_u16(mem);
	check_u32(mem);
	check_u64(mem);
	check_le16(mem);
	check_le32(mem);
	check_le64(mem);
}

/* The cursor and its inline twins, both from a cold cursor and a warm one. */
#define DEFINE_CURSOR(name, bits, suffix)                                                \
	static void cursor_##name##suffix(struct vmm_mem *mem)                           \
	{                                                                                \
		const unsigned int n = bits / 8;                                         \
                                                                                         \
		for (uint64_t gpa = 0xff0; gpa < 0x6010;                                 \
		     gpa += gpa % 0x1000 == 0x10 ? 0xfe0 : 1) {                          \
			struct vmm_mem_cursor c, fresh;                                  \
			uint##bits##_t a = 5, b = 5;                                     \
			int want = vmm_mem_read_##name(mem, gpa, &a);                    \
                                                                                         \
			vmm_mem_cursor_init(&c, mem);                                    \
			vmm_mem_cursor_init(&fresh, mem);                                \
			(void)vmm_mem_cursor_seek(&c, gpa > 0x10 ? gpa - 0x10 : 0);      \
			assert_int_equal(                                                \
			    vmm_mem_cursor_read_##name##suffix(&c, gpa, &b), want);      \
			assert_true(a == b);                                             \
			assert_int_equal(                                                \
			    vmm_mem_cursor_read_##name##suffix(&fresh, gpa, &b), want);  \
			want = vmm_mem_explain(mem, gpa, n, VMM_MEM_ACCESS_WRITE, NULL); \
			a = (uint##bits##_t)(gpa * 0x9e3779b1);                          \
			assert_int_equal(                                                \
			    vmm_mem_cursor_write_##name##suffix(&c, gpa, a), want);      \
			if (want == 0) {                                                 \
				assert_int_equal(vmm_mem_read_##name(mem, gpa, &b), 0);  \
				assert_true(a == b);                                     \
			}                                                                \
			want = vmm_mem_load_##name(mem, gpa, VMM_MEM_ACQUIRE, &a);       \
			for (int order = 0; order <= VMM_MEM_SEQ_CST; order++)           \
				assert_int_equal(vmm_mem_cursor_load_##name##suffix(     \
						     &c, gpa, order, &b),                \
						 want);                                  \
			assert_true(want < 0 || a == b);                                 \
			if (vmm_mem_explain(mem, gpa, n, VMM_MEM_ACCESS_WRITE, NULL) ==  \
			    -EROFS)                                                      \
				want = -EROFS;                                           \
			for (int order = 0; order <= VMM_MEM_SEQ_CST; order++)           \
				assert_int_equal(                                        \
				    vmm_mem_cursor_store_##name##suffix(                 \
					&c, gpa, (uint##bits##_t)order, order),          \
				    want);                                               \
		}                                                                        \
	}

DEFINE_CURSOR(u8, 8, )
DEFINE_CURSOR(le16, 16, )
DEFINE_CURSOR(le32, 32, )
DEFINE_CURSOR(le64, 64, )
DEFINE_CURSOR(u8, 8, _inline)
DEFINE_CURSOR(le16, 16, _inline)
DEFINE_CURSOR(le32, 32, _inline)
DEFINE_CURSOR(le64, 64, _inline)

static void a_cursor_does_what_the_table_does(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();

	cursor_u8(mem);
	cursor_le16(mem);
	cursor_le32(mem);
	cursor_le64(mem);
	cursor_u8_inline(mem);
	cursor_le16_inline(mem);
	cursor_le32_inline(mem);
	cursor_le64_inline(mem);
}

static void a_cursor_copies_bulk_and_seeks(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	uint8_t out[32], in[32] = { 0 };
	struct vmm_mem_cursor c;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i + 1);
	vmm_mem_cursor_init(&c, mem);
	assert_int_equal(vmm_mem_cursor_seek(&c, 0x3000), 0);
	assert_int_equal(vmm_mem_cursor_seek(&c, 0x1010), 0xff0);
	assert_int_equal(vmm_mem_cursor_seek(&c, 0x1011), 0xfef);
	for (size_t len = 0; len <= sizeof(out); len++) {
		for (uint64_t gpa = 0x1ff0; gpa <= 0x2000; gpa++) {
			assert_int_equal(vmm_mem_cursor_write(&c, gpa, out, len), 0);
			assert_int_equal(vmm_mem_cursor_read(&c, gpa, in, len), 0);
			assert_memory_equal(in, out, len);
			memset(in, 0, sizeof(in));
			assert_int_equal(vmm_mem_cursor_write_inline(&c, gpa, out, len),
					 0);
			assert_int_equal(vmm_mem_cursor_read_inline(&c, gpa, in, len), 0);
			assert_memory_equal(in, out, len);
			memset(in, 0, sizeof(in));
		}
	}
	assert_int_equal(vmm_mem_cursor_read(&c, 0x2ff0, in, 17), -EFAULT);
	assert_int_equal(vmm_mem_cursor_write(&c, 0x2ff0, in, 17), -EFAULT);
	assert_int_equal(vmm_mem_cursor_read_inline(&c, 0x2ff0, in, 17), -EFAULT);
	assert_int_equal(vmm_mem_cursor_write_inline(&c, 0x5000, in, 17), -EROFS);
	assert_int_equal(vmm_mem_cursor_write(&c, 0x5000, in, 17), -EROFS);
	assert_int_equal(vmm_mem_cursor_write(&c, 0x3000, in, 0), 0);
	assert_int_equal(vmm_mem_cursor_read(&c, 0x3000, in, 0), 0);
}

/* CVE-2020-13759: an index copied byte by byte was seen half old, half new. */
struct tear {
	struct vmm_mem *mem;
	int width;
	int how;
	uint32_t stop;
	uint64_t bad;
};

static void *flip(void *p)
{
	struct tear *t = p;
	uint64_t v = 0;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		uint16_t v16 = (uint16_t)(v = ~v);
		uint32_t v32 = (uint32_t)v;
		int ret;

		/* At the end of a region, so that the neighbours are on both sides. */
		if (t->how)
			ret = vmm_mem_write(t->mem, 0x2000 - (uint64_t)t->width,
					    t->width == 2   ? (void *)&v16
					    : t->width == 4 ? (void *)&v32
							    : (void *)&v,
					    (size_t)t->width);
		else
			ret = t->width == 2   ? vmm_mem_write_u16(t->mem, 0x1ffe, v16)
			      : t->width == 4 ? vmm_mem_write_u32(t->mem, 0x1ffc, v32)
					      : vmm_mem_write_u64(t->mem, 0x1ff8, v);
		if (ret < 0)
			__atomic_fetch_add(&t->bad, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void aligned_numbers_never_tear(void **state)
{
	for (int i = 0; i < 6; i++) {
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
		struct tear t = { .mem = mem, .width = 2 << i % 3, .how = i / 3 };
		uint64_t all = UINT64_MAX >> (64 - 8 * t.width),
			 at = 0x2000 - (uint64_t)t.width;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, flip, &t), 0);
		for (int k = 0; k < 200000; k++) {
			uint16_t v16 = 0;
			uint32_t v32 = 0;
			uint64_t v = 0;
			int ret;

			if (t.how)
				ret = vmm_mem_read(mem, at, &v, (size_t)t.width);
			else if (t.width == 2)
				ret = vmm_mem_read_u16(mem, at, &v16), v = v16;
			else if (t.width == 4)
				ret = vmm_mem_read_u32(mem, at, &v32), v = v32;
			else
				ret = vmm_mem_read_u64(mem, at, &v);
			if (t.how && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
				v >>= 64 - 8 * t.width;
			assert_int_equal(ret, 0);
			assert_true(v == 0 || v == all);
		}
		__atomic_store_n(&t.stop, 1, __ATOMIC_RELAXED);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(t.bad == 0);
	}
}

static void small_copies_move_aligned_parts_whole(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	uint8_t out[8], in[8];

	for (uint64_t gpa = 0x1100; gpa < 0x1110; gpa++) {
		for (size_t len = 1; len <= 8; len++) {
			for (size_t i = 0; i < 8; i++)
				out[i] = (uint8_t)(gpa + i * 3 + len);
			memset(in, 0, sizeof(in));
			assert_int_equal(vmm_mem_fill(mem, 0x10f0, 0, 0x30), 0);
			assert_int_equal(vmm_mem_write(mem, gpa, out, len), 0);
			assert_int_equal(vmm_mem_read(mem, gpa, in, len), 0);
			assert_memory_equal(in, out, len);
			assert_int_equal(vmm_mem_read(mem, gpa + len, in, 1), 0);
			assert_int_equal(in[0], 0);
			assert_int_equal(vmm_mem_read(mem, gpa - 1, in, 1), 0);
			assert_int_equal(in[0], 0);
		}
	}
}

static void a_slice_is_cut_and_checked(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	struct vmm_mem_slice s, a, b;
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_int_equal(vmm_mem_get_slice(mem, 0x1000, 100, VMM_MEM_ACCESS_RW, &s), 0);
	assert_int_equal(vmm_mem_get_slice(mem, 0x1ffc, 5, 0, &a), -EFAULT);
	assert_int_equal(vmm_mem_get_slice(mem, 0x3000, 1, 0, &a), -EFAULT);
	assert_int_equal(vmm_mem_get_slice(mem, 0x5000, 1, VMM_MEM_ACCESS_WRITE, &a),
			 -EROFS);
	assert_int_equal(vmm_mem_get_slice(mem, 0x3000, 0, VMM_MEM_ACCESS_WRITE, &a), 0);
	assert_int_equal(vmm_mem_slice_sub(&a, 0, 0, &a), 0);
	assert_int_equal(vmm_mem_slice_sub(&s, 101, 0, &a), -EFAULT);
	assert_int_equal(vmm_mem_slice_sub(&s, 99, 2, &a), -EFAULT);
	assert_int_equal(vmm_mem_slice_sub(&s, 100, 0, &a), 0);
	assert_int_equal(vmm_mem_slice_sub(&s, UINT64_MAX, 2, &a), -EFAULT);
	assert_int_equal(vmm_mem_slice_sub(&s, 2, UINT64_MAX, &a), -EFAULT);
	for (uint64_t mid = 0; mid <= 101; mid++) {
		int ret = vmm_mem_slice_split(&s, mid, &a, &b);

		assert_int_equal(ret, mid <= 100 ? 0 : -EFAULT);
		if (ret == 0)
			assert_true(a.len == mid && b.len == 100 - mid &&
				    b.gpa == 0x1000 + mid && b.host == s.host + mid);
	}
	assert_int_equal(vmm_mem_slice_write(&s, 92, buf, 8), 0);
	assert_int_equal(vmm_mem_slice_write(&s, 93, buf, 8), -EFAULT);
	assert_int_equal(vmm_mem_slice_write(&s, 100, buf, 0), 0);
	assert_int_equal(vmm_mem_slice_read(&s, 500, buf, 0), 0);
	memset(buf, 0, 8);
	assert_int_equal(vmm_mem_slice_read(&s, 93, buf, 8), -EFAULT);
	assert_int_equal(vmm_mem_slice_read(&s, 92, buf, 8), 0);
	assert_int_equal(buf[7], 8);
	assert_int_equal(vmm_mem_slice_fill(&s, 0, 7, 100), 0);
	assert_int_equal(vmm_mem_slice_fill(&s, 0, 7, 101), -EFAULT);
	assert_int_equal(vmm_mem_slice_fill(&s, 0, 7, 0), 0);
	assert_int_equal(vmm_mem_get_slice(mem, 0x5000, 8, VMM_MEM_ACCESS_READ, &a), 0);
	assert_int_equal(vmm_mem_slice_write(&a, 0, buf, 1), -EROFS);
	assert_int_equal(vmm_mem_slice_store(&a, 1, 0, 1, 0), -EROFS);
}

static void a_slice_is_an_array_of_numbers(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	struct vmm_mem_slice s, odd, to;
	uint64_t v = 0, n = 0;

	assert_int_equal(vmm_mem_get_slice(mem, 0x1000, 9, VMM_MEM_ACCESS_RW, &s), 0);
	for (uint32_t width = 1; width <= 8; width *= 2) {
		for (int order = 0; order <= VMM_MEM_SEQ_CST; order++) {
			uint64_t last = 9 / width - 1;

			assert_int_equal(
			    vmm_mem_slice_store(&s, width, last, 0x77, order), 0);
			assert_int_equal(vmm_mem_slice_load(&s, width, last, order, &v),
					 0);
			assert_true(v == 0x77);
			assert_int_equal(
			    vmm_mem_slice_load(&s, width, last + 1, order, &v), -EFAULT);
			assert_int_equal(
			    vmm_mem_slice_store(&s, width, last + 1, 0, order), -EFAULT);
			assert_int_equal(
			    vmm_mem_slice_load(&s, width, UINT64_MAX, order, &v),
			    -EFAULT);
		}
	}
	assert_int_equal(vmm_mem_slice_load(&s, 3, 0, 0, &v), -EINVAL);
	assert_int_equal(vmm_mem_slice_load(&s, 0, 0, 0, &v), -EINVAL);
	assert_int_equal(vmm_mem_slice_load(&s, 16, 0, 0, &v), -EINVAL);
	assert_int_equal(vmm_mem_slice_sub(&s, 1, 8, &odd), 0);
	assert_int_equal(vmm_mem_slice_load(&odd, 4, 0, 0, &v), -EINVAL);

	/* As much as fits, overlapping. */
	assert_int_equal(vmm_mem_write(mem, 0x1000, "abcdefghi", 9), 0);
	assert_int_equal(vmm_mem_get_slice(mem, 0x1002, 4, VMM_MEM_ACCESS_RW, &to), 0);
	assert_int_equal(vmm_mem_slice_copy(&to, &s, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(s.host,
			    "abab"
			    "cdghi",
			    9);
	to.len = 0;
	assert_int_equal(vmm_mem_slice_copy(&to, &s, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(vmm_mem_get_slice(mem, 0x5000, 4, VMM_MEM_ACCESS_READ, &to), 0);
	assert_int_equal(vmm_mem_slice_copy(&to, &s, &n), -EROFS);
}

/* MEM-B5: an array passed its number of elements where bytes were meant. Ours says bytes
 * everywhere, and what is copied and marked is exactly that. */
static void mem_b5_a_slice_counts_bytes(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem_slice from, to;
	uint64_t n = 0;

	r.len = 2 * PAGE;
	r.dirty_page_size = 8;
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	assert_int_equal(vmm_mem_get_region(mem, 0, &r), 0);
	assert_int_equal(vmm_mem_fill(mem, 0, 7, 64), 0);
	vmm_mem_dirty_reset(r.dirty);
	assert_int_equal(vmm_mem_get_slice(mem, 0, 64, VMM_MEM_ACCESS_READ, &from), 0);
	assert_int_equal(vmm_mem_get_slice(mem, PAGE, 40, VMM_MEM_ACCESS_WRITE, &to), 0);
	assert_int_equal(vmm_mem_slice_copy(&to, &from, &n), 0);
	assert_int_equal(n, 40);
	for (uint64_t i = 0; i < 64; i++) {
		uint8_t b = 9;

		assert_int_equal(vmm_mem_read(mem, PAGE + i, &b, 1), 0);
		assert_int_equal(b, i < 40 ? 7 : 0);
		assert_true(vmm_mem_dirty_is_set(r.dirty, PAGE + i) == (i < 40));
	}
	/* The last element of four bytes is number 9. */
	assert_int_equal(vmm_mem_slice_store(&to, 4, 9, 1, VMM_MEM_RELAXED), 0);
	assert_int_equal(vmm_mem_slice_store(&to, 4, 10, 1, VMM_MEM_RELAXED), -EFAULT);
}

static void slices_of_a_range_stop_for_good_at_a_hole(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *top =
	    mem_test_table((struct mem_test_range[]){ { UINT64_MAX - PAGE + 1, PAGE, 0 },
						      { 0, PAGE, 0 } },
			   2);
	struct vmm_mem_slices w;
	struct vmm_mem_slice s;

	vmm_mem_slices_init(&w, mem, 0x1e00, 0x1400, VMM_MEM_ACCESS_RW);
	assert_int_equal(vmm_mem_slices_next(&w, &s), 0);
	assert_true(s.gpa == 0x1e00 && s.len == 0x200);
	assert_int_equal(vmm_mem_slices_next(&w, &s), 0);
	assert_true(s.gpa == 0x2000 && s.len == 0x1000);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -EFAULT);
	assert_true(w.gpa == 0x3000);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -ENOENT);
	vmm_mem_slices_init(&w, mem, 0x4000, 0x1001, VMM_MEM_ACCESS_WRITE);
	assert_int_equal(vmm_mem_slices_next(&w, &s), 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -EROFS);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -ENOENT);
	vmm_mem_slices_init(&w, mem, 0x3000, 0, 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -ENOENT);

	/* To the last byte, and not round to 0. */
	vmm_mem_slices_init(&w, top, UINT64_MAX, 1, 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -ENOENT);
	vmm_mem_slices_init(&w, top, UINT64_MAX, 2, 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), 0);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -EFAULT);
	assert_int_equal(vmm_mem_slices_next(&w, &s), -ENOENT);
}

static void types_of_a_byte_order_convert(void **state)
{
	union {
		struct vmm_mem_le32 le;
		struct vmm_mem_be32 be;
		uint8_t bytes[4];
	} u;

	u.le = vmm_mem_le32_of(0x01020304);
	assert_int_equal(u.bytes[0], 4);
	assert_int_equal(vmm_mem_le32_get(u.le), 0x01020304);
	u.be = vmm_mem_be32_of(0x01020304);
	assert_int_equal(u.bytes[0], 1);
	assert_int_equal(vmm_mem_be32_get(u.be), 0x01020304);
	assert_int_equal(vmm_mem_le16_get(vmm_mem_le16_of(0x1234)), 0x1234);
	assert_int_equal(vmm_mem_be16_get(vmm_mem_be16_of(0x1234)), 0x1234);
	assert_true(vmm_mem_le64_get(vmm_mem_le64_of(0x1122334455667788)) ==
		    0x1122334455667788);
	assert_true(vmm_mem_be64_get(vmm_mem_be64_of(0x1122334455667788)) ==
		    0x1122334455667788);
	_Static_assert(sizeof(struct vmm_mem_le16) == 2 &&
			   sizeof(struct vmm_mem_be64) == 8 &&
			   _Alignof(struct vmm_mem_be64) == _Alignof(uint64_t),
		       "as wide and aligned as what they hold");
}

static void address_arithmetic_never_wraps(void **state)
{
	uint64_t v = 7;

	assert_true(vmm_mem_gpa_add(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
	assert_false(vmm_mem_gpa_add(UINT64_MAX, 1, &v));
	assert_true(vmm_mem_gpa_sub(1, 1, &v) && v == 0);
	assert_false(vmm_mem_gpa_sub(0, 1, &v));
	assert_true(vmm_mem_gpa_offset_from(0x150, 0x100, &v) && v == 0x50);
	assert_false(vmm_mem_gpa_offset_from(0x100, 0x150, &v));
	assert_true(vmm_mem_gpa_align_up(0x128, 8, &v) && v == 0x128);
	assert_true(vmm_mem_gpa_align_up(0x128, 16, &v) && v == 0x130);
	assert_false(vmm_mem_gpa_align_up(UINT64_MAX - 0x3fff, 0x10000, &v));
	assert_false(vmm_mem_gpa_align_up(1, 12, &v));
	assert_false(vmm_mem_gpa_align_up(1, 0, &v));
	assert_true(v == 0x130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_each_width_are_moved_and_refused_alike),
		cmocka_unit_test(a_cursor_does_what_the_table_does),
		cmocka_unit_test(a_cursor_copies_bulk_and_seeks),
		cmocka_unit_test(aligned_numbers_never_tear),
		cmocka_unit_test(small_copies_move_aligned_parts_whole),
		cmocka_unit_test(a_slice_is_cut_and_checked),
		cmocka_unit_test(a_slice_is_an_array_of_numbers),
		cmocka_unit_test(mem_b5_a_slice_counts_bytes),
		cmocka_unit_test(slices_of_a_range_stop_for_good_at_a_hole),
		cmocka_unit_test(types_of_a_byte_order_convert),
		cmocka_unit_test(address_arithmetic_never_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <fcntl.h>

#include <vmm/memory-typed.h>

/*
 * What a table promises about ranges, once on anonymous memory and once on files: two
 * regions of a page with a page of hole between them, and one that touches the second.
 */
static struct vmm_mem *holes(uint32_t flags)
{
	const struct mem_test_range ranges[] = {
		{ 0, PAGE, flags },
		{ 2 * PAGE, PAGE, flags },
		{ 3 * PAGE, PAGE, flags },
	};

	return mem_test_table(ranges, VMM_ARRAY_LEN(ranges));
}

#define FOR_BOTH(flags) \
	for (uint32_t flags = 0; flags <= VMM_MEM_SHARED; flags += VMM_MEM_SHARED)

static void ranges_are_checked_to_the_byte(void **state)
{
	static const struct {
		uint64_t gpa, len;
		bool good;
	} cases[] = {
		{ 0, 0, true },
		{ PAGE, 0, true },
		{ UINT64_MAX, 0, true },
		{ 0, PAGE, true },
		{ 0, PAGE + 1, false },
		{ PAGE - 1, 1, true },
		{ PAGE, 1, false },
		{ 2 * PAGE - 1, 1, false },
		{ 2 * PAGE, PAGE, true },
		{ 2 * PAGE, 2 * PAGE, true },
		{ 3 * PAGE - 1, 2, true },
		{ 2 * PAGE, 2 * PAGE + 1, false },
		{ 4 * PAGE, 1, false },
		{ 0, UINT64_MAX, false },
		{ 2 * PAGE, UINT64_MAX, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, UINT64_MAX, false },
	};

	FOR_BOTH(flags)
	{
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(flags);

		for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
			struct iovec iov[4];
			size_t n;

			assert_true(vmm_mem_is_backed(mem, cases[i].gpa, cases[i].len) ==
				    cases[i].good);
			assert_int_equal(
			    vmm_mem_get_iov(mem, cases[i].gpa, cases[i].len, iov, 4, &n),
			    cases[i].good ? 0 : -EFAULT);
			assert_int_equal(
			    vmm_mem_explain(mem, cases[i].gpa, cases[i].len, 0, NULL),
			    cases[i].good ? 0 : -EFAULT);
		}
	}
}

static void an_offset_must_end_in_memory(void **state)
{
	static const struct {
		uint64_t base, offset;
		int want;
	} cases[] = {
		{ 0, 2 * PAGE + 0x200, 0 },  { 2 * PAGE, 2 * PAGE - 1, 0 },
		{ 3 * PAGE, PAGE, -EFAULT }, { 2 * PAGE, UINT64_MAX, -EFAULT },
		{ 0, PAGE, -EFAULT },	     { 0, PAGE - 1, 0 },
	};

	FOR_BOTH(flags)
	{
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(flags);

		for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
			uint64_t gpa = 7;

			assert_int_equal(
			    vmm_mem_offset(mem, cases[i].base, cases[i].offset, &gpa),
			    cases[i].want);
			assert_true(
			    gpa == (cases[i].want ? 7 : cases[i].base + cases[i].offset));
		}
		assert_true(vmm_mem_get_last(mem) == 4 * PAGE - 1);
	}
}

static void the_last_address_of_nothing_is_zero(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = mem_test_table(NULL, 0);

	assert_true(vmm_mem_get_last(mem) == 0);
	vmm_mem_free(NULL);
	vmm_mem_builder_free(NULL);
}

static void addresses_find_region_and_pointer(void **state)
{
	FOR_BOTH(flags)
	{
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(flags);
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		void *p = NULL;
		size_t i = 9;

		assert_int_equal(vmm_mem_find_region(mem, PAGE, &i), -EFAULT);
		assert_int_equal(vmm_mem_get_ptr(mem, PAGE + 0x200, 1, &p), -EFAULT);
		assert_null(p);
		assert_int_equal(vmm_mem_find_region(mem, 3 * PAGE + 0x100, &i), 0);
		assert_int_equal(i, 2);
		assert_int_equal(vmm_mem_get_region(mem, i, &r), 0);
		assert_int_equal(vmm_mem_get_ptr(mem, 3 * PAGE + 0x100, 1, &p), 0);
		assert_ptr_equal(p, (uint8_t *)r.host + 0x100);
		assert_true((r.fd >= 0) == (flags != 0));
		/* A pointer of nothing. */
		assert_int_equal(vmm_mem_get_ptr(mem, PAGE, 0, &p), 0);
		assert_null(p);
		assert_int_equal(vmm_mem_get_ptr(mem, 3 * PAGE, 0, &p), 0);
		assert_ptr_equal(p, r.host);
	}
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
	FOR_BOTH(flags)
	{
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(flags);
		struct vmm_error err = { 0 };
		uint64_t v = 1;

		assert_int_equal(vmm_mem_write_u64(mem, 0x200, 0x1122), 0);
		assert_int_equal(vmm_mem_read_u64(mem, 0x200, &v), 0);
		assert_true(v == 0x1122);
		assert_int_equal(vmm_mem_read_u64(mem, PAGE + 1, &v), -EFAULT);
		assert_int_equal(vmm_mem_explain(mem, PAGE + 1, 8, 0, &err), -EFAULT);
		assert_true(err.where == PAGE + 1 && err.got == 0);
		assert_int_equal(vmm_mem_read_u64(mem, PAGE - 4, &v), -EFAULT);
		assert_int_equal(vmm_mem_explain(mem, PAGE - 4, 8, 0, &err), -EFAULT);
		assert_true(err.where == PAGE && err.wanted == 8 && err.got == 4);
		assert_true(v == 0x1122);
	}
}

static void a_part_is_moved_where_a_part_is_there(void **state)
{
	FOR_BOTH(flags)
	{
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(flags);
		uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, got[8] = { 0 };

		assert_int_equal(vmm_mem_write_some(mem, PAGE - 1, buf, 8), 1);
		assert_int_equal(vmm_mem_read_some(mem, PAGE - 1, got, 8), 1);
		assert_int_equal(got[0], 1);
		assert_int_equal(got[1], 0);
		assert_int_equal(vmm_mem_write_some(mem, 3 * PAGE - 4, buf, 8), 8);
		assert_int_equal(vmm_mem_read_some(mem, 3 * PAGE - 4, got, 8), 8);
		assert_memory_equal(buf, got, 8);
		assert_int_equal(vmm_mem_fill_some(mem, 4 * PAGE - 3, 9, 100), 3);
		assert_int_equal(vmm_mem_fill_some(mem, 2 * PAGE, 9, UINT64_MAX),
				 2 * PAGE);
		assert_int_equal(vmm_mem_read_some(mem, PAGE, got, 8), -EFAULT);
		assert_int_equal(vmm_mem_write_some(mem, PAGE, buf, 8), -EFAULT);
		assert_int_equal(vmm_mem_fill_some(mem, PAGE, 0, 8), -EFAULT);
	}
}

static void read_only_ends_a_part(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){ { 0, PAGE, 0 }, { PAGE, PAGE, VMM_MEM_READONLY } },
	    2);
	struct vmm_error err = { 0 };
	uint8_t buf[8] = { 0 };

	assert_int_equal(vmm_mem_write_some(mem, PAGE - 3, buf, 8), 3);
	assert_int_equal(vmm_mem_write_some(mem, PAGE, buf, 8), -EROFS);
	assert_int_equal(vmm_mem_fill_some(mem, PAGE, 0, 8), -EROFS);
	assert_int_equal(vmm_mem_read_some(mem, PAGE - 3, buf, 8), 8);
	assert_int_equal(vmm_mem_copy(mem, PAGE - 3, 0, 8), -EROFS);
	assert_int_equal(vmm_mem_copy(mem, 0, 2 * PAGE - 3, 8), -EFAULT);
	assert_int_equal(vmm_mem_explain(mem, PAGE - 3, 8, VMM_MEM_ACCESS_WRITE, &err),
			 -EROFS);
	assert_true(err.where == PAGE && err.got == 3);
	assert_int_equal(vmm_mem_explain(mem, PAGE - 3, 8, VMM_MEM_ACCESS_READ, &err), 0);
}

static void a_range_that_wraps_is_explained(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){ { UINT64_MAX - PAGE + 1, PAGE, 0 } }, 1);
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_mem_explain(mem, UINT64_MAX, 2, 0, &err), -EFAULT);
	assert_non_null(strstr(err.message, "wraps"));
	assert_true(err.where == UINT64_MAX && err.got == 1);
}

/* Copies that overlap either way, over the border of regions, against memmove(). */
static void copies_inside_memory_may_overlap(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){
		{ 0, PAGE, 0 }, { PAGE, PAGE, 0 }, { 2 * PAGE, PAGE, 0 } },
	    3);
	struct vmm_test_rng rng = vmm_test_rng();
	static uint8_t model[3 * 4096], got[3 * 4096];

	for (size_t i = 0; i < sizeof(model); i++)
		model[i] = (uint8_t)vmm_test_below(&rng, 256);
	assert_int_equal(vmm_mem_write(mem, 0, model, sizeof(model)), 0);
	for (int i = 0; i < 300; i++) {
		uint32_t len = vmm_test_below(&rng, 9000);
		uint32_t dst = vmm_test_below(&rng, (uint32_t)sizeof(model) - len + 1);
		uint32_t src = vmm_test_below(&rng, (uint32_t)sizeof(model) - len + 1);

		assert_int_equal(vmm_mem_copy(mem, dst, src, len), 0);
		memmove(model + dst, model + src, len);
		assert_int_equal(vmm_mem_read(mem, 0, got, sizeof(got)), 0);
		assert_memory_equal(model, got, sizeof(got));
	}
	assert_int_equal(vmm_mem_copy(mem, 0, UINT64_MAX, 0), 0);
}

/* Every call with a length, at an address that no region has. */
static void nothing_is_always_good(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(0);
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *empty = mem_test_table(NULL, 0);

	for (int k = 0; k < 2; k++) {
		const struct vmm_mem *m = k ? empty : mem;
		static const uint64_t at[] = { PAGE, 2 * PAGE, UINT64_MAX, 0 };

		for (size_t i = 0; i < VMM_ARRAY_LEN(at); i++) {
			struct iovec iov;
			size_t n = 7;
			void *p;

			assert_int_equal(vmm_mem_read(m, at[i], NULL, 0), 0);
			assert_int_equal(vmm_mem_write(m, at[i], NULL, 0), 0);
			assert_int_equal(vmm_mem_fill(m, at[i], 1, 0), 0);
			assert_int_equal(vmm_mem_read_some(m, at[i], NULL, 0), 0);
			assert_int_equal(vmm_mem_write_some(m, at[i], NULL, 0), 0);
			assert_int_equal(vmm_mem_fill_some(m, at[i], 1, 0), 0);
			assert_int_equal(vmm_mem_copy(m, at[i], at[i], 0), 0);
			assert_int_equal(vmm_mem_get_ptr(m, at[i], 0, &p), 0);
			assert_int_equal(vmm_mem_get_iov(m, at[i], 0, &iov, 0, &n), 0);
			assert_int_equal(n, 0);
			assert_int_equal(vmm_mem_read_file(m, at[i], -1, 0, 0), 0);
			assert_int_equal(vmm_mem_write_file(m, at[i], -1, 0, 0), 0);
			assert_int_equal(vmm_mem_read_fd(m, at[i], -1, 0), 0);
			assert_int_equal(vmm_mem_write_fd(m, at[i], -1, 0), 0);
			assert_int_equal(vmm_mem_read_fd_all(m, at[i], -1, 0), 0);
			assert_int_equal(vmm_mem_write_fd_all(m, at[i], -1, 0), 0);
			assert_int_equal(vmm_mem_discard(m, at[i], 0), 0);
			assert_int_equal(vmm_mem_prefault(m, at[i], 0), 0);
			assert_int_equal(vmm_mem_explain(m, at[i], 0, 3, NULL), 0);
			vmm_mem_mark_dirty(m, at[i], 0);
		}
	}
}

/* Huge lengths that no buffer has: refused before anything is touched. */
static void lengths_near_the_end_of_numbers_are_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(0);
	uint8_t b = 5;

	for (uint64_t len = UINT64_MAX; len > UINT64_MAX - 3; len--) {
		assert_int_equal(vmm_mem_read(mem, 1, &b, (size_t)len), -EFAULT);
		assert_int_equal(vmm_mem_write(mem, 1, &b, (size_t)len), -EFAULT);
		assert_int_equal(vmm_mem_fill(mem, 1, 1, len), -EFAULT);
		assert_int_equal(vmm_mem_copy(mem, 1, 2, len), -EFAULT);
		assert_int_equal(vmm_mem_read_file(mem, 1, -1, 0, len), -EINVAL);
		assert_int_equal(vmm_mem_read_fd(mem, 1, -1, len), -EFAULT);
		assert_int_equal(vmm_mem_discard(mem, 1, len), -EFAULT);
	}
	assert_int_equal(b, 5);
}

/* MEM-B3: each reason has its own code. */
static void mem_b3_reasons_are_told_apart(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = holes(0);
	uint32_t v;

	assert_int_equal(vmm_mem_load_u32(mem, 2, 0, &v), -EINVAL);
	assert_int_equal(vmm_mem_load_u32(mem, PAGE, 0, &v), -EFAULT);
	assert_int_equal(vmm_mem_load_u32(mem, UINT64_MAX - 3, 0, &v), -EFAULT);
}

/* MEM-B6: a region of no length is refused, not wrapped. */
static void mem_b6_an_empty_region_is_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	static uint8_t space[2 * 4096];

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.host = (void *)(((uintptr_t)space + 4095) & ~(uintptr_t)4095);
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), -EINVAL);
	r.gpa = PAGE;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_checked_to_the_byte),
		cmocka_unit_test(an_offset_must_end_in_memory),
		cmocka_unit_test(the_last_address_of_nothing_is_zero),
		cmocka_unit_test(addresses_find_region_and_pointer),
		cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
		cmocka_unit_test(a_part_is_moved_where_a_part_is_there),
		cmocka_unit_test(read_only_ends_a_part),
		cmocka_unit_test(a_range_that_wraps_is_explained),
		cmocka_unit_test(copies_inside_memory_may_overlap),
		cmocka_unit_test(nothing_is_always_good),
		cmocka_unit_test(lengths_near_the_end_of_numbers_are_refused),
		cmocka_unit_test(mem_b3_reasons_are_told_apart),
		cmocka_unit_test(mem_b6_an_empty_region_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

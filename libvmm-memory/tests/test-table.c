/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include "internal.h"

static void a_bad_region_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		uint64_t gpa, len, fd_offset;
		uint32_t flags;
		int want;
	} cases[] = {
		{ 0, 0, 0, 0, -EINVAL },
		{ 1, PAGE, 0, 0, -EINVAL },
		{ 0, PAGE + 1, 0, 0, -EINVAL },
		{ 0, PAGE, PAGE, 0, -EINVAL },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, 0, 0, -EINVAL },
		{ 0, UINT64_MAX - PAGE + 1, 0, 0, -EINVAL },
		{ 0, PAGE, 0, UINT32_C(1) << 31, -EINVAL },
		{ 0, PAGE, 0, VMM_MEM_THP | VMM_MEM_NO_THP, -EINVAL },
		{ 0, PAGE, 0, VMM_MEM_SHARED | VMM_MEM_PRIVATE, -EINVAL },
		{ 0x10000, PAGE, 0, 0, -EEXIST },
		{ 0xf000, 2 * PAGE, 0, 0, -EEXIST },
		{ 0x11000, 2 * PAGE, 0, 0, -EEXIST },
		{ 0, 0x20000, 0, 0, -EEXIST },
		{ 0xf000, PAGE, 0, 0, 0 },
		{ 0x12000, PAGE, 0, 0, 0 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
		struct vmm_mem_region first = VMM_MEM_REGION_INIT,
				      r = VMM_MEM_REGION_INIT;
		struct vmm_error err = { 0 };

		assert_int_equal(vmm_mem_builder_new(&builder), 0);
		first.gpa = 0x10000;
		first.len = 2 * PAGE;
		assert_int_equal(vmm_mem_builder_add(builder, &first, NULL), 0);
		r.gpa = cases[i].gpa;
		r.len = cases[i].len;
		r.fd_offset = cases[i].fd_offset;
		r.flags = cases[i].flags;
		assert_int_equal(vmm_mem_builder_add(builder, &r, &err), cases[i].want);
		assert_int_equal(err.code, cases[i].want);
		assert_true((err.message[0] != 0) == (cases[i].want != 0));
		assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
		assert_int_equal(vmm_mem_region_count(mem), cases[i].want ? 1 : 2);
	}
}

static void a_region_ends_at_the_last_byte_of_the_address_space(void **state)
{
	const uint64_t top = UINT64_MAX - PAGE + 1;
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){ { 0, PAGE, 0 }, { top, PAGE, 0 } }, 2);
	uint64_t v = 0x1122334455667788;
	void *p = NULL;

	assert_true(vmm_mem_is_backed(mem, UINT64_MAX, 1));
	assert_true(vmm_mem_is_backed(mem, top, PAGE));
	/* Address 0 is backed, too, but a range does not go round. */
	assert_false(vmm_mem_is_backed(mem, UINT64_MAX, 2));
	assert_false(vmm_mem_is_backed(mem, top, PAGE + 1));
	assert_false(vmm_mem_is_backed(mem, top, UINT64_MAX));
	assert_int_equal(vmm_mem_write(mem, UINT64_MAX - 7, &v, 8), 0);
	assert_int_equal(vmm_mem_write(mem, UINT64_MAX - 6, &v, 8), -EFAULT);
	v = 0;
	assert_int_equal(vmm_mem_read(mem, UINT64_MAX - 7, &v, 8), 0);
	assert_true(v == 0x1122334455667788);
	assert_int_equal(vmm_mem_get_ptr(mem, UINT64_MAX, 1, &p), 0);
	assert_int_equal(vmm_mem_get_ptr(mem, UINT64_MAX, 2, &p), -EFAULT);
	assert_int_equal(vmm_mem_fill(mem, top, 1, PAGE), 0);
	assert_int_equal(vmm_mem_fill(mem, top, 1, PAGE + 1), -EFAULT);
}

static void an_empty_table_backs_nothing(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = mem_test_table(NULL, 0);
	struct vmm_mem_region told = VMM_MEM_REGION_INIT;
	uint8_t byte = 7;

	assert_int_equal(vmm_mem_region_count(mem), 0);
	assert_int_equal(vmm_mem_get_region(mem, 0, &told), -ENOENT);
	for (int i = 0; i < 66; i++) {
		uint64_t gpa = i < 64 ? UINT64_C(1) << i : i == 64 ? 0 : UINT64_MAX;

		assert_false(vmm_mem_is_backed(mem, gpa, 1));
		assert_true(vmm_mem_is_backed(mem, gpa, 0));
		assert_int_equal(vmm_mem_read(mem, gpa, &byte, 1), -EFAULT);
		assert_int_equal(vmm_mem_read(mem, gpa, &byte, 0), 0);
	}
	assert_int_equal(byte, 7);
}

/* All sizes of the search index, each address at an edge looked up. */
static void every_region_is_found_by_its_edges_and_no_hole_is(void **state)
{
	static const uint32_t counts[] = { 1,  2,  7,	8,   9,	  63,  64,
					   65, 72, 511, 512, 513, 1024 };
	static struct mem_test_range ranges[VMM_MEM_REGIONS_MAX];

	for (size_t c = 0; c < VMM_ARRAY_LEN(counts); c++) {
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
		uint32_t n = counts[c];

		/* Every third region is followed by a hole; added from the top. */
		for (uint32_t i = 0; i < n; i++) {
			ranges[n - 1 - i].gpa = (i + i / 3 + 1) * PAGE;
			ranges[n - 1 - i].len = PAGE;
		}
		mem = mem_test_table(ranges, n);
		assert_int_equal(vmm_mem_region_count(mem), n);
		for (uint64_t p = 0; p < n + n / 3 + 3; p++) {
			uint64_t slot = p ? p - 1 : UINT64_MAX;
			bool hole = p == 0 || slot % 4 == 3 || slot - slot / 4 >= n;
			size_t index = 9999;

			for (uint64_t off = 0; off < PAGE; off += PAGE - 1) {
				assert_int_equal(
				    vmm_mem_find_region(mem, p * PAGE + off, &index),
				    hole ? -EFAULT : 0);
				if (!hole)
					assert_int_equal(index, slot - slot / 4);
			}
		}
	}
}

static void too_many_regions_are_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	static uint8_t space[2 * 4096];
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.host = (void *)(((uintptr_t)space + 4095) & ~(uintptr_t)4095);
	r.len = PAGE;
	for (uint32_t i = 0; i < VMM_MEM_REGIONS_MAX; i++) {
		r.gpa = i * PAGE;
		assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	}
	r.gpa += PAGE;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), -E2BIG);
}

static void a_region_is_told_as_it_was_asked_for(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told = VMM_MEM_REGION_INIT;
	char label[] = "bios";

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.gpa = 0xf0000;
	r.len = 0x10000;
	r.flags = VMM_MEM_ROM | VMM_MEM_SHARED | VMM_MEM_DONTDUMP;
	r.label = label;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	label[0] = 'x';
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	assert_int_equal(vmm_mem_get_region(mem, 0, &told), 0);
	assert_true(told.gpa == 0xf0000 && told.len == 0x10000);
	assert_int_equal(told.flags, VMM_MEM_ROM | VMM_MEM_READONLY | VMM_MEM_SHARED |
					 VMM_MEM_DONTDUMP | VMM_MEM_SEALED);
	assert_true(told.fd >= 0);
	assert_string_equal(told.label, "bios");
	assert_non_null(told.host);
	assert_int_equal(told.page_size, getpagesize());
	told.size = 3;
	assert_int_equal(vmm_mem_get_region(mem, 0, &told), -EINVAL);
}

/* An older caller has a shorter structure, a newer one a longer. */
static void structures_of_other_versions_are_handled(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct {
		struct vmm_mem_region r;
		uint64_t more;
	} newer = { VMM_MEM_REGION_INIT, 0 };
	struct vmm_mem_region old = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	newer.r.size = sizeof(newer);
	newer.r.len = PAGE;
	newer.more = 1;
	assert_int_equal(vmm_mem_builder_add(builder, &newer.r, NULL), -E2BIG);
	newer.more = 0;
	assert_int_equal(vmm_mem_builder_add(builder, &newer.r, NULL), 0);
	old.size = offsetof(struct vmm_mem_region, page_size);
	old.gpa = PAGE;
	old.len = PAGE;
	old.page_size = 12345;
	assert_int_equal(vmm_mem_builder_add(builder, &old, NULL), 0);
	old.size = 8;
	assert_int_equal(vmm_mem_builder_add(builder, &old, NULL), -EINVAL);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);

	newer.more = 77;
	assert_int_equal(vmm_mem_get_region(mem, 1, &newer.r), 0);
	assert_true(newer.r.gpa == PAGE && newer.more == 0);
	old.size = offsetof(struct vmm_mem_region, page_size);
	assert_int_equal(vmm_mem_get_region(mem, 1, &old), 0);
	assert_int_equal(old.page_size, 12345);
	assert_int_equal(old.size, offsetof(struct vmm_mem_region, page_size));
}

static void a_table_with_a_change_shares_the_memory(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *two = mem_test_table(
	    (struct mem_test_range[]){ { 0, 0x4000, 0 }, { 0x8000, 0x4000, 0 } }, 2);
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *three = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *less = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem *none = NULL;
	uint32_t v = 0xabcd;

	r.gpa = 0x4000;
	r.len = 0x4000;
	assert_int_equal(vmm_mem_with(two, &r, &three, NULL), 0);
	assert_int_equal(vmm_mem_with(three, &r, &none, NULL), -EEXIST);
	assert_int_equal(vmm_mem_write(two, 0x8000, &v, 4), 0);
	assert_int_equal(vmm_mem_without(three, 0x8000, 0x2000, &none, NULL), -ENOENT);
	assert_int_equal(vmm_mem_without(three, 0x9000, 0x4000, &none, NULL), -ENOENT);
	assert_int_equal(vmm_mem_without(three, 0xc000, 0x4000, &none, NULL), -ENOENT);
	assert_null(none);
	assert_int_equal(vmm_mem_without(three, 0, 0x4000, &less, NULL), 0);

	assert_int_equal(vmm_mem_region_count(two), 2);
	assert_int_equal(vmm_mem_region_count(three), 3);
	assert_int_equal(vmm_mem_region_count(less), 2);
	vmm_mem_free(two);
	two = NULL;
	v = 0;
	assert_int_equal(vmm_mem_read(less, 0x8000, &v, 4), 0);
	assert_int_equal(v, 0xabcd);
	assert_int_equal(vmm_mem_read(less, 0, &v, 4), -EFAULT);
}

static void the_same_memory_can_be_put_at_another_address(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *a =
	    mem_test_table((struct mem_test_range[]){ { 0, 0x4000, 0 } }, 1);
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *b = NULL;
	uint32_t v = 0x1234;

	assert_int_equal(vmm_mem_write(a, 0x10, &v, 4), 0);
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	assert_int_equal(vmm_mem_builder_share(builder, a, 1, 0x8000, NULL), -ENOENT);
	assert_int_equal(vmm_mem_builder_share(builder, a, 0, 0x8001, NULL), -EINVAL);
	assert_int_equal(vmm_mem_builder_share(builder, a, 0, UINT64_MAX - 0xfff, NULL),
			 -EINVAL);
	assert_int_equal(vmm_mem_builder_share(builder, a, 0, 0x8000, NULL), 0);
	assert_int_equal(vmm_mem_builder_share(builder, a, 0, 0x9000, NULL), -EEXIST);
	assert_int_equal(vmm_mem_builder_build(builder, &b), 0);
	v = 0;
	assert_int_equal(vmm_mem_read(b, 0x8010, &v, 4), 0);
	assert_int_equal(v, 0x1234);
	assert_false(vmm_mem_is_backed(b, 0x10, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_region_is_refused_and_changes_nothing),
		cmocka_unit_test(a_region_ends_at_the_last_byte_of_the_address_space),
		cmocka_unit_test(an_empty_table_backs_nothing),
		cmocka_unit_test(every_region_is_found_by_its_edges_and_no_hole_is),
		cmocka_unit_test(too_many_regions_are_refused),
		cmocka_unit_test(a_region_is_told_as_it_was_asked_for),
		cmocka_unit_test(structures_of_other_versions_are_handled),
		cmocka_unit_test(a_table_with_a_change_shares_the_memory),
		cmocka_unit_test(the_same_memory_can_be_put_at_another_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

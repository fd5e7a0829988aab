/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

static void set_joins_splits_and_replaces(void **state)
{
	struct vmm_load_map m = { 0 };

	assert_int_equal(vmm_load_map_set(&m, 0x1000, 0x1000, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(vmm_load_map_set(&m, 0x3000, 0x1000, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(m.count, 2);
	assert_int_equal(vmm_load_map_set(&m, 0x2000, 0x1000, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(m.count, 1);
	assert_int_equal(m.entry[0].gpa, 0x1000);
	assert_int_equal(m.entry[0].len, 0x3000);
	assert_int_equal(vmm_load_map_set(&m, 0x2000, 0x800, VMM_LOAD_MAP_RESERVED), 0);
	assert_int_equal(m.count, 3);
	assert_int_equal(m.entry[1].type, VMM_LOAD_MAP_RESERVED);
	assert_int_equal(m.entry[2].gpa, 0x2800);
	assert_int_equal(vmm_load_map_set(&m, 0x2000, 0x800, 0), 0);
	assert_int_equal(m.count, 2);
	assert_int_equal(vmm_load_map_set(&m, 0, UINT64_MAX, VMM_LOAD_MAP_UNUSABLE), 0);
	assert_int_equal(m.count, 1);
	/* The last byte of the address space is part of it. */
	assert_int_equal(vmm_load_map_set(&m, UINT64_MAX, 1, VMM_LOAD_MAP_RAM), 0);
	assert_true(vmm_load_map_is(&m, UINT64_MAX, 1, VMM_LOAD_MAP_RAM));
	assert_int_equal(m.count, 2);
}

static void bad_arguments_change_nothing(void **state)
{
	struct vmm_load_map m = { 0 }, before;
	uint64_t out = 77;

	assert_int_equal(vmm_load_map_set(&m, 0, 0x1000, VMM_LOAD_MAP_RAM), 0);
	before = m;
	assert_int_equal(vmm_load_map_set(&m, 0, 0, VMM_LOAD_MAP_RAM), -EINVAL);
	assert_int_equal(vmm_load_map_set(&m, 2, UINT64_MAX, VMM_LOAD_MAP_RAM), -EINVAL);
	assert_int_equal(vmm_load_map_set(&m, 0, 1, 6), -EINVAL);
	assert_int_equal(vmm_load_map_take(&m, 0x800, UINT64_MAX), -EINVAL);
	assert_int_equal(vmm_load_map_take(&m, 0xfff, 2), -EFAULT);
	assert_int_equal(vmm_load_map_take(&m, 0x1000, 1), -EFAULT);
	assert_int_equal(vmm_load_map_take(&m, 0x1000, 0), 0);
	assert_int_equal(vmm_load_map_find(&m, 0, 1, 0, UINT64_MAX, &out), -EINVAL);
	assert_int_equal(vmm_load_map_find(&m, 1, 0, 0, UINT64_MAX, &out), -EINVAL);
	assert_int_equal(vmm_load_map_find(&m, 1, 3, 0, UINT64_MAX, &out), -EINVAL);
	assert_int_equal(vmm_load_map_find(&m, 0x1001, 1, 0, UINT64_MAX, &out), -ENOSPC);
	assert_int_equal(vmm_load_map_find(&m, 1, 1, 0x1000, UINT64_MAX, &out), -ENOSPC);
	assert_int_equal(vmm_load_map_find(&m, UINT64_MAX, 1, 0, UINT64_MAX, &out),
			 -ENOSPC);
	assert_int_equal(out, 77);
	assert_memory_equal(&m, &before, sizeof(m));
	assert_true(vmm_load_map_is(&m, UINT64_MAX, 0, VMM_LOAD_MAP_RAM));
	assert_false(vmm_load_map_is(&m, UINT64_MAX, 2, VMM_LOAD_MAP_RAM));
}

static void take_tells_busy_from_missing(void **state)
{
	struct vmm_load_map m = { 0 };

	assert_int_equal(vmm_load_map_set(&m, 0, 0x3000, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(vmm_load_map_take(&m, 0x1000, 0x1000), 0);
	assert_int_equal(vmm_load_map_take(&m, 0, 0x3000), -EBUSY);
	assert_int_equal(vmm_load_map_take(&m, 0x1fff, 1), -EBUSY);
	assert_int_equal(vmm_load_map_take(&m, 0, 0x3001), -EFAULT);
	assert_int_equal(vmm_load_map_set(&m, 0x2000, 0x10, VMM_LOAD_MAP_ACPI), 0);
	assert_int_equal(vmm_load_map_take(&m, 0x1000, 0x1800), -EFAULT);
	assert_int_equal(vmm_load_map_take(&m, 0, 0x1000), 0);
	assert_true(vmm_load_map_is(&m, 0, 0x2000, VMM_LOAD_MAP_TAKEN));
}

static void a_full_map_says_so(void **state)
{
	struct vmm_load_map m = { 0 }, before;
	struct vmm_mem *mem;
	struct test_range ranges[VMM_LOAD_MAP_MAX + 1];

	for (uint64_t i = 0; i < VMM_LOAD_MAP_MAX; i++)
		assert_int_equal(
		    vmm_load_map_set(&m, i * 0x1000, 0x800, VMM_LOAD_MAP_RAM), 0);
	before = m;
	assert_int_equal(vmm_load_map_set(&m, 0xfff000, 1, VMM_LOAD_MAP_RAM), -E2BIG);
	assert_int_equal(vmm_load_map_set(&m, 0x100, 1, VMM_LOAD_MAP_RESERVED), -E2BIG);
	assert_int_equal(vmm_load_map_take(&m, 0x100, 1), -E2BIG);
	assert_memory_equal(&m, &before, sizeof(m));
	/* Replacing and joining still works. */
	assert_int_equal(vmm_load_map_set(&m, 0x800, 0x800, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(m.count, VMM_LOAD_MAP_MAX - 1);

	for (uint64_t i = 0; i < VMM_ARRAY_LEN(ranges); i++)
		ranges[i] = (struct test_range){ i * 0x2000, 0x1000, 0 };
	mem = test_mem(ranges, VMM_ARRAY_LEN(ranges));
	m = before;
	assert_int_equal(vmm_load_map_set_mem(&m, mem), -E2BIG);
	assert_memory_equal(&m, &before, sizeof(m));
	vmm_mem_free(mem);
}

static void memory_regions_become_entries(void **state)
{
	const struct test_range ranges[] = {
		{ 0, 0x2000, 0 },
		{ 0x2000, 0x1000, 0 },
		{ 0x8000, 0x1000, VMM_MEM_READONLY },
	};
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 3);
	struct vmm_load_map m = { 0 };

	assert_int_equal(vmm_load_map_set_mem(&m, mem), 0);
	assert_int_equal(m.count, 2);
	assert_true(vmm_load_map_is(&m, 0, 0x3000, VMM_LOAD_MAP_RAM));
	assert_true(vmm_load_map_is(&m, 0x8000, 0x1000, VMM_LOAD_MAP_RESERVED));
}

enum { CELLS = 60 };

/* The same thing as an array with a type for each of a few cells. */
static void expect_model(const struct vmm_load_map *m, const uint32_t *model)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < CELLS; i++) {
		if (model[i])
			assert_true(vmm_load_map_is(m, i, 1, model[i]));
		if (model[i] && (i == 0 || model[i - 1] != model[i]))
			count++;
	}
	assert_int_equal(m->count, count);
	for (uint32_t i = 1; i < m->count; i++)
		assert_true(m->entry[i - 1].gpa + m->entry[i - 1].len <= m->entry[i].gpa);
}

static int64_t model_find(const uint32_t *model, uint32_t len, uint32_t align,
			  uint32_t first, uint32_t last)
{
	for (int64_t at = CELLS - 1; at >= first; at--) {
		uint32_t n = 0;

		while (n < len && at + n < CELLS && model[at + n] == VMM_LOAD_MAP_RAM)
			n++;
		if (n == len && at % align == 0 && at + len - 1 <= last)
			return at;
	}
	return -ENOSPC;
}

static void random_calls_match_a_model(void **state)
{
	static const uint32_t types[] = { 0, VMM_LOAD_MAP_RAM, VMM_LOAD_MAP_RAM,
					  VMM_LOAD_MAP_RESERVED, VMM_LOAD_MAP_ACPI };
	struct vmm_test_rng rng = vmm_test_rng();
	struct vmm_load_map m = { 0 };
	uint32_t model[CELLS] = { 0 };

	for (int i = 0; i < 20000; i++) {
		uint32_t gpa = vmm_test_below(&rng, CELLS);
		uint32_t len = 1 + vmm_test_below(&rng, CELLS - gpa);
		uint32_t type = types[vmm_test_below(&rng, VMM_ARRAY_LEN(types))];
		uint32_t align = 1u << vmm_test_below(&rng, 4);
		uint32_t last = vmm_test_below(&rng, CELLS);
		uint64_t found = 0;
		int64_t want;
		bool busy = false, missing = false;

		if (vmm_test_below(&rng, 2)) {
			assert_int_equal(vmm_load_map_set(&m, gpa, len, type), 0);
			for (uint32_t j = 0; j < len; j++)
				model[gpa + j] = type;
		} else {
			for (uint32_t j = 0; j < len; j++) {
				busy |= model[gpa + j] == VMM_LOAD_MAP_TAKEN;
				missing |= model[gpa + j] != VMM_LOAD_MAP_TAKEN &&
					   model[gpa + j] != VMM_LOAD_MAP_RAM;
			}
			assert_int_equal(vmm_load_map_take(&m, gpa, len), missing
									      ? -EFAULT
									  : busy ? -EBUSY
										 : 0);
			for (uint32_t j = 0; !missing && !busy && j < len; j++)
				model[gpa + j] = VMM_LOAD_MAP_TAKEN;
		}
		expect_model(&m, model);
		len = 1 + len / 4;
		want = model_find(model, len, align, gpa, last);
		assert_int_equal(vmm_load_map_find(&m, len, align, gpa, last, &found),
				 want < 0 ? want : 0);
		assert_int_equal(found, want < 0 ? 0 : want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_joins_splits_and_replaces),
		cmocka_unit_test(bad_arguments_change_nothing),
		cmocka_unit_test(take_tells_busy_from_missing),
		cmocka_unit_test(a_full_map_says_so),
		cmocka_unit_test(memory_regions_become_entries),
		cmocka_unit_test(random_calls_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

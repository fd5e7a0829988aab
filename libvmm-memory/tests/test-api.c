/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

static void a_table_is_made_used_and_enumerated(void **state)
{
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){ { 0x100000, PAGE, 0 }, { 0, PAGE, 0 } }, 2);
	struct vmm_mem_region told = VMM_MEM_REGION_INIT;
	uint32_t v = 5;

	assert_int_equal(vmm_mem_region_count(mem), 2);
	assert_int_equal(vmm_mem_get_region(mem, 1, &told), 0);
	assert_true(told.gpa == 0x100000);
	assert_int_equal(vmm_mem_write(mem, 0x100000, &v, 4), 0);
	assert_memory_equal(told.host, &v, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_made_used_and_enumerated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every public function once, as a consumer of the shared library sees them. */
#include "ranges.h"

static void ranges_from_a_consumer_s_view(void **state)
{
	VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
	struct vmm_alloc_extent e;
	uint8_t bytes[100];
	size_t len = 0;

	assert_int_equal(vmm_alloc_ranges_new(0xc0000000, 0xffffffff, &p), 0);
	assert_int_equal(vmm_alloc_ranges_reserve(p, 0xfec00000, 0x1400000), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x1000, 0x1000), 0xfebff000);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 2);
	assert_int_equal(vmm_alloc_ranges_get_largest(p), 0x3ebff000);
	assert_int_equal(vmm_alloc_ranges_next(p, 0, &e), 0);
	assert_int_equal(e.first, 0xfebff000);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 0, &e), 0);
	assert_int_equal(e.last, 0xfebfefff);
	assert_int_equal(vmm_alloc_ranges_find(p, 0xfee00000, &e), 0);
	assert_int_equal(vmm_alloc_ranges_get_state_len(p), 72);
	assert_int_equal(vmm_alloc_ranges_save(p, bytes, sizeof(bytes), &len), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, 0xfebff000, 0x1000), 0);
	assert_int_equal(vmm_alloc_ranges_load(p, bytes, len, NULL), 0);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 2);
}

static void ids_from_a_consumer_s_view(void **state)
{
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *p = NULL;
	uint8_t bytes[100];
	size_t len = 0;
	uint32_t id;

	assert_int_equal(vmm_alloc_ids_new(0, 23, &p), 0);
	assert_int_equal(vmm_alloc_ids_reserve(p, 4), 0);
	assert_int_equal(vmm_alloc_ids_take(p, &id), 0);
	assert_int_equal(vmm_alloc_ids_take_block(p, 8, 8, &id), 0);
	assert_int_equal(id, 8);
	assert_true(vmm_alloc_ids_is_taken(p, 15));
	assert_int_equal(vmm_alloc_ids_next(p, 5, &id), 0);
	assert_int_equal(id, 8);
	assert_int_equal(vmm_alloc_ids_get_count(p), 10);
	assert_int_equal(vmm_alloc_ids_get_state_len(p), 88);
	assert_int_equal(vmm_alloc_ids_save(p, bytes, sizeof(bytes), &len), 0);
	assert_int_equal(vmm_alloc_ids_give(p, 4), 0);
	assert_int_equal(vmm_alloc_ids_give_block(p, 8, 8), 0);
	assert_int_equal(vmm_alloc_ids_load(p, bytes, len, NULL), 0);
	assert_int_equal(vmm_alloc_ids_get_count(p), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_from_a_consumer_s_view),
		cmocka_unit_test(ids_from_a_consumer_s_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

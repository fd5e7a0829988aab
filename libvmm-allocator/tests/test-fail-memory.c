/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ranges.h"

#define VMM_FAIL_REALLOC
#include "vmm-fail.h"

/* New pools, and enough ranges to make the array of nodes grow twice. */
static int fill(struct vmm_alloc_ranges **out, uint64_t *out_taken)
{
	struct vmm_alloc_ranges *p = NULL;
	int ret = vmm_alloc_ranges_new(0, 99999, &p);

	*out = p;
	for (uint64_t i = 0; ret == 0 && i < 100; i++) {
		ret = vmm_alloc_ranges_reserve(p, i * 10, 5);
		if (ret == 0)
			++*out_taken;
	}
	return ret;
}

static void taking_survives_each_failed_allocation(void **state)
{
	unsigned n = 1;

	for (;; n++) {
		VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
		uint64_t taken = 0;
		int ret;

		vmm_fail_at(n);
		ret = fill(&p, &taken);
		vmm_fail_at(0);
		if (ret == 0)
			break;
		assert_int_equal(ret, -ENOMEM);
		if (!p)
			continue;
		assert_int_equal(vmm_alloc_ranges_get_count(p), taken);
		assert_int_equal(vmm_alloc_ranges_reserve(p, taken * 10, 5), 0);
		for (uint64_t i = 0; i <= taken; i++)
			assert_int_equal(vmm_alloc_ranges_give(p, i * 10, 5), 0);
		assert_int_equal(vmm_alloc_ranges_get_largest(p), 100000);
	}
	/* The pool, its first nodes, 64 nodes, 128 nodes. */
	assert_int_equal(n, 5);
}

static void a_new_id_pool_survives_each_failed_allocation(void **state)
{
	struct vmm_alloc_ids *ids = NULL;

	for (unsigned n = 1; n <= 2; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_alloc_ids_new(0, 99, &ids), -ENOMEM);
		assert_null(ids);
	}
	vmm_fail_at(3);
	assert_int_equal(vmm_alloc_ids_new(0, 99, &ids), 0);
	vmm_fail_at(0);
	vmm_alloc_ids_free(ids);
}

static void loading_without_memory_leaves_the_pool_alone(void **state)
{
	VMM_CLEANUP(vmm_alloc_ranges_free)
	struct vmm_alloc_ranges *p = test_ranges(0, 99);
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *ids = NULL;
	uint8_t bytes[200];
	struct vmm_error err;
	size_t len = 0;
	uint32_t id;

	assert_int_equal(vmm_alloc_ids_new(0, 99, &ids), 0);
	assert_int_equal(vmm_alloc_ids_take(ids, &id), 0);
	assert_int_equal(vmm_alloc_ranges_reserve(p, 5, 5), 0);

	assert_int_equal(vmm_alloc_ranges_save(p, bytes, sizeof(bytes), &len), 0);
	vmm_fail_at(1);
	assert_int_equal(vmm_alloc_ranges_load(p, bytes, len, &err), -ENOMEM);
	assert_int_equal(err.code, -ENOMEM);
	assert_int_equal(vmm_alloc_ranges_give(p, 5, 5), 0);

	assert_int_equal(vmm_alloc_ids_save(ids, bytes, sizeof(bytes), &len), 0);
	for (unsigned n = 1; n <= 2; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_alloc_ids_load(ids, bytes, len, &err), -ENOMEM);
		assert_true(vmm_alloc_ids_is_taken(ids, 0));
	}
	vmm_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taking_survives_each_failed_allocation),
		cmocka_unit_test(a_new_id_pool_survives_each_failed_allocation),
		cmocka_unit_test(loading_without_memory_leaves_the_pool_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <pthread.h>

#include <vmm/memory-space.h>
#include <vmm/memory-typed.h>

static struct vmm_mem_space *space_of(size_t regions)
{
	static const struct mem_test_range ranges[] = {
		{ 0, 0x4000, 0 },
		{ 0x8000, 0x4000, 0 },
		{ 0x10000, 0x4000, 0 },
	};
	struct vmm_mem_space *space = NULL;

	assert_int_equal(vmm_mem_space_new(mem_test_table(ranges, regions), &space), 0);
	return space;
}

static void a_unit_keeps_the_table_it_began_with(void **state)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = space_of(2);
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem_reader *a = NULL, *b = NULL;
	const struct vmm_mem *old, *now;
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_mem_space_add_reader(space, "vcpu 0", &a), 0);
	assert_int_equal(
	    vmm_mem_space_add_reader(space, "a name of more than thirty-one bytes", &b),
	    0);
	old = vmm_mem_reader_begin(a);
	assert_int_equal(vmm_mem_region_count(old), 2);
	r.gpa = 0x4000;
	r.len = 0x4000;
	assert_int_equal(vmm_mem_space_add_region(space, &r, NULL), 0);
	r.gpa = 0xc000;
	assert_int_equal(vmm_mem_space_add_region(space, &r, NULL), 0);
	assert_int_equal(vmm_mem_space_add_region(space, &r, &err), -EEXIST);
	assert_int_equal(err.code, -EEXIST);
	assert_int_equal(vmm_mem_region_count(old), 2);
	now = vmm_mem_reader_begin(b);
	assert_int_equal(vmm_mem_region_count(now), 4);
	assert_int_equal(vmm_mem_space_remove_region(space, 0, 0x4000, NULL), 0);
	assert_int_equal(vmm_mem_space_remove_region(space, 0, 0x4000, NULL), -ENOENT);
	assert_true(vmm_mem_is_backed(old, 0, 0x4000) &&
		    vmm_mem_is_backed(now, 0, 0x4000));
	assert_int_equal(vmm_mem_space_reclaim(space), 3);
	assert_int_equal(vmm_mem_space_wait(space, 1, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.message, "'vcpu 0'"));
	vmm_mem_reader_end(a);
	assert_int_equal(vmm_mem_space_reclaim(space), 1);
	/* Beginning the next unit ends the one before. */
	now = vmm_mem_reader_begin(b);
	assert_int_equal(vmm_mem_region_count(now), 3);
	assert_false(vmm_mem_is_backed(now, 0, 1));
	assert_int_equal(vmm_mem_space_wait(space, 1000, NULL), 0);
	vmm_mem_space_remove_reader(space, b);
	vmm_mem_space_remove_reader(space, NULL);
}

static void removing_a_reader_ends_its_unit(void **state)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = space_of(1);
	struct vmm_mem_reader *a = NULL;

	assert_int_equal(vmm_mem_space_add_reader(space, "a", &a), 0);
	assert_int_equal(vmm_mem_region_count(vmm_mem_reader_begin(a)), 1);
	vmm_mem_space_replace(space, mem_test_table(NULL, 0));
	assert_int_equal(vmm_mem_space_reclaim(space), 1);
	vmm_mem_space_remove_reader(space, a);
	assert_int_equal(vmm_mem_space_reclaim(space), 0);
}

static void a_space_is_released_with_all_it_has(void **state)
{
	struct vmm_mem_space *space = space_of(3);
	struct vmm_mem_reader *a = NULL;

	assert_int_equal(vmm_mem_space_add_reader(space, "a", &a), 0);
	assert_int_equal(vmm_mem_region_count(vmm_mem_reader_begin(a)), 3);
	vmm_mem_space_replace(space, mem_test_table(NULL, 0));
	vmm_mem_reader_end(a);
	vmm_mem_space_free(space);
	vmm_mem_space_free(NULL);
}

static void a_clone_outlives_the_space(void **state)
{
	struct vmm_mem_space *space = space_of(3);
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mine = NULL;

	assert_int_equal(vmm_mem_space_clone(space, &mine), 0);
	vmm_mem_space_free(space);
	assert_int_equal(vmm_mem_region_count(mine), 3);
	assert_int_equal(vmm_mem_write_u32(mine, 0x8000, 1), 0);
}

static int count_regions(void *ctx, const struct vmm_mem *mem)
{
	*(size_t *)ctx = vmm_mem_region_count(mem);
	return -77;
}

static int leave_early(struct vmm_mem_reader *reader, size_t *n)
{
	VMM_CLEANUP(vmm_mem_reader_end) struct vmm_mem_reader *unit = reader;
	const struct vmm_mem *mem = vmm_mem_reader_begin(unit);

	*n = vmm_mem_region_count(mem);
	return 5;
}

static void a_unit_ends_on_every_way_out(void **state)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = space_of(3);
	struct vmm_mem_reader *a = NULL;
	size_t n = 0;

	assert_int_equal(vmm_mem_space_add_reader(space, "a", &a), 0);
	assert_int_equal(vmm_mem_reader_run(a, count_regions, &n), -77);
	assert_int_equal(n, 3);
	vmm_mem_space_replace(space, mem_test_table(NULL, 0));
	assert_int_equal(vmm_mem_space_reclaim(space), 0);
	assert_int_equal(leave_early(a, &n), 5);
	assert_int_equal(n, 0);
	vmm_mem_space_replace(space, mem_test_table(NULL, 0));
	assert_int_equal(vmm_mem_space_reclaim(space), 0);
}

/* Readers that check a stamp in each region they see, while regions come and go. */
enum { READERS = 3, ROUNDS = 300 };

struct load {
	struct vmm_mem_space *space;
	uint32_t stop;
	uint32_t bad;
	uint64_t units;
};

static int check_stamps(void *ctx, const struct vmm_mem *mem)
{
	struct load *l = ctx;

	for (size_t i = 0; i < vmm_mem_region_count(mem); i++) {
		struct vmm_mem_region told = VMM_MEM_REGION_INIT;
		uint64_t v = 0;

		if (vmm_mem_get_region(mem, i, &told) < 0 ||
		    vmm_mem_load_u64(mem, told.gpa + told.len - 8, VMM_MEM_ACQUIRE, &v) <
			0 ||
		    (v != 0 && v != told.gpa))
			__atomic_fetch_add(&l->bad, 1, __ATOMIC_RELAXED);
		if (vmm_mem_store_u64(mem, told.gpa + told.len - 8, told.gpa,
				      VMM_MEM_RELEASE) < 0)
			__atomic_fetch_add(&l->bad, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static void *read_all_the_time(void *p)
{
	struct load *l = p;
	struct vmm_mem_reader *reader = NULL;

	if (vmm_mem_space_add_reader(l->space, "reader", &reader) < 0)
		return NULL;
	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		(void)vmm_mem_reader_run(reader, check_stamps, l);
		__atomic_fetch_add(&l->units, 1, __ATOMIC_RELAXED);
	}
	vmm_mem_space_remove_reader(l->space, reader);
	return NULL;
}

static void regions_come_and_go_under_load(void **state)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = space_of(3);
	struct load l = { .space = space };
	struct vmm_test_rng rng = vmm_test_rng();
	pthread_t threads[READERS];
	bool there[16] = { false };

	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &l),
				 0);
	while (__atomic_load_n(&l.units, __ATOMIC_RELAXED) < READERS)
		;
	for (int i = 0; i < ROUNDS; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		uint32_t k = vmm_test_below(&rng, 16);

		r.gpa = 0x100000 + k * 0x4000;
		r.len = 0x4000;
		if (there[k])
			assert_int_equal(
			    vmm_mem_space_remove_region(space, r.gpa, r.len, NULL), 0);
		else
			assert_int_equal(vmm_mem_space_add_region(space, &r, NULL), 0);
		there[k] = !there[k];
		if (i % 50 == 0)
			assert_int_equal(vmm_mem_space_wait(space, 20000, NULL), 0);
	}
	assert_int_equal(vmm_mem_space_wait(space, 20000, NULL), 0);
	__atomic_store_n(&l.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(l.bad, 0);
	assert_int_equal(vmm_mem_space_reclaim(space), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unit_keeps_the_table_it_began_with),
		cmocka_unit_test(removing_a_reader_ends_its_unit),
		cmocka_unit_test(a_space_is_released_with_all_it_has),
		cmocka_unit_test(a_clone_outlives_the_space),
		cmocka_unit_test(a_unit_ends_on_every_way_out),
		cmocka_unit_test(regions_come_and_go_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

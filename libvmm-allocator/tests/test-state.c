/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ranges.h"

enum { HEAD = 40, STATE = HEAD + 3 * 16 };

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* A pool of three ranges, two of which touch, and its saved form. */
static struct vmm_alloc_ranges *sample_ranges(uint8_t *state)
{
	struct vmm_alloc_ranges *p = test_ranges(0x1000, UINT64_MAX);
	size_t len = 0;

	assert_int_equal(vmm_alloc_ranges_reserve(p, 0x2000, 0x1000), 0);
	assert_int_equal(vmm_alloc_ranges_reserve(p, 0x3000, 0x800), 0);
	assert_int_equal(vmm_alloc_ranges_reserve(p, UINT64_MAX, 1), 0);
	assert_int_equal(vmm_alloc_ranges_get_state_len(p), STATE);
	assert_int_equal(vmm_alloc_ranges_save(p, state, STATE - 1, &len), -ENOSPC);
	assert_int_equal(len, 0);
	assert_int_equal(vmm_alloc_ranges_save(p, state, STATE, &len), 0);
	assert_int_equal(len, STATE);
	return p;
}

static struct vmm_alloc_ids *sample_ids(uint8_t *state)
{
	struct vmm_alloc_ids *p = NULL;
	size_t len = 0;
	uint32_t id;

	assert_int_equal(vmm_alloc_ids_new(10, 500, &p), 0);
	assert_int_equal(vmm_alloc_ids_reserve(p, 10), 0);
	assert_int_equal(vmm_alloc_ids_take_block(p, 100, 64, &id), 0);
	assert_int_equal(vmm_alloc_ids_reserve(p, 500), 0);
	assert_int_equal(vmm_alloc_ids_get_state_len(p), STATE);
	assert_int_equal(vmm_alloc_ids_save(p, state, STATE - 1, &len), -ENOSPC);
	assert_int_equal(vmm_alloc_ids_save(p, state, STATE, &len), 0);
	assert_int_equal(len, STATE);
	return p;
}

static void ranges_come_back_as_they_were(void **state)
{
	uint8_t bytes[STATE], again[STATE];
	VMM_CLEANUP(vmm_alloc_ranges_free)
	struct vmm_alloc_ranges *q = test_ranges(0x1000, UINT64_MAX);
	size_t len = 0;

	vmm_alloc_ranges_free(sample_ranges(bytes));
	/* What was taken before the load is forgotten. */
	assert_int_equal(test_take(q, VMM_ALLOC_FIRST, 0x5000, 1), 0x1000);
	assert_int_equal(vmm_alloc_ranges_load(q, bytes, STATE, NULL), 0);
	assert_int_equal(vmm_alloc_ranges_save(q, again, STATE, &len), 0);
	assert_memory_equal(bytes, again, STATE);
	assert_int_equal(vmm_alloc_ranges_get_count(q), 3);
	assert_int_equal(vmm_alloc_ranges_give(q, 0x2000, 0x1800), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(q, 0x2000, 0x1000), 0);
	assert_int_equal(test_take(q, VMM_ALLOC_BEST, 0x1800, 1), 0x1000);
}

/* The form is part of the ABI: these bytes must load for ever. */
static void the_saved_form_is_fixed(void **state)
{
	static const uint8_t want[] = {
		'v', 'a', 'l', 'c',  'r', 'n', 'g',  0,	   1, 0, 0,    0,    0,	   0,
		0,   0,	  0,   0x10, 0,	  0,   0,    0,	   0, 0, 0xff, 0x1f, 0,	   0,
		0,   0,	  0,   0,    1,	  0,   0,    0,	   0, 0, 0,    0,    0x10, 0x10,
		0,   0,	  0,   0,    0,	  0,   0x1f, 0x10, 0, 0, 0,    0,    0,	   0,
	};
	VMM_CLEANUP(vmm_alloc_ranges_free)
	struct vmm_alloc_ranges *p = test_ranges(0x1000, 0x1fff);
	uint8_t bytes[sizeof(want)];
	size_t len = 0;

	assert_int_equal(vmm_alloc_ranges_reserve(p, 0x1010, 0x10), 0);
	assert_int_equal(vmm_alloc_ranges_save(p, bytes, sizeof(bytes), &len), 0);
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
}

static void ids_come_back_as_they_were(void **state)
{
	uint8_t bytes[STATE], again[STATE];
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *q = NULL;
	size_t len = 0;
	uint32_t id;

	vmm_alloc_ids_free(sample_ids(bytes));
	assert_int_equal(vmm_alloc_ids_new(10, 500, &q), 0);
	assert_int_equal(vmm_alloc_ids_take_block(q, 300, 1, &id), 0);
	assert_int_equal(vmm_alloc_ids_load(q, bytes, STATE, NULL), 0);
	assert_int_equal(vmm_alloc_ids_get_count(q), 102);
	assert_int_equal(vmm_alloc_ids_save(q, again, STATE, &len), 0);
	assert_memory_equal(bytes, again, STATE);
	assert_int_equal(vmm_alloc_ids_take(q, &id), 0);
	assert_int_equal(id, 11);
}

static const struct {
	size_t offset;
	uint64_t value, where;
} lies[] = {
	{ 0, 0x1234, 0 },		 /* magic */
	{ 8, 2, 8 },			 /* version */
	{ 8, UINT64_C(1) << 32 | 1, 8 }, /* the zero behind it */
	{ 16, 9, 16 },			 /* first */
	{ 24, 7777, 24 },		 /* last */
	{ 32, 2, 32 },			 /* count too small, */
	{ 32, 4, 32 },			 /* too large, */
	{ 32, UINT64_MAX, 32 },		 /* absurd */
	{ 40, 1, 40 },			 /* below the pool */
	{ 48, 1, 48 },			 /* ends before it starts */
	{ 48, UINT64_MAX, 0 },		 /* overlaps the next, or leaves the pool */
	{ 56, 10, 56 },			 /* not rising */
	{ 72, 11, 72 },			 /* not rising */
	{ 80, 5, 80 },
};

static void a_lying_range_state_is_refused_and_changes_nothing(void **state)
{
	uint8_t good[STATE], bytes[STATE], after[STATE];
	VMM_CLEANUP(vmm_alloc_ranges_free)
	struct vmm_alloc_ranges *p = sample_ranges(good);
	struct vmm_error err;
	size_t len = 0;

	for (size_t i = 0; i < VMM_ARRAY_LEN(lies); i++) {
		memcpy(bytes, good, STATE);
		put64(bytes + lies[i].offset, lies[i].value);
		memset(&err, 0, sizeof(err));
		assert_int_equal(vmm_alloc_ranges_load(p, bytes, STATE, &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
		assert_true(lies[i].where == 0 || err.where == lies[i].where);
		assert_int_equal(vmm_alloc_ranges_save(p, after, STATE, &len), 0);
		assert_memory_equal(good, after, STATE);
	}
	for (size_t cut = 0; cut < STATE; cut++)
		assert_int_equal(vmm_alloc_ranges_load(p, good, cut, NULL), -EBADMSG);
}

static void one_range_of_all_64_bits_is_refused(void **state)
{
	VMM_CLEANUP(vmm_alloc_ranges_free)
	struct vmm_alloc_ranges *p = test_ranges(0, UINT64_MAX);
	uint8_t bytes[HEAD + 16];
	size_t len = 0;

	assert_int_equal(vmm_alloc_ranges_reserve(p, 0, UINT64_MAX), 0);
	assert_int_equal(vmm_alloc_ranges_save(p, bytes, sizeof(bytes), &len), 0);
	put64(bytes + 48, UINT64_MAX);
	assert_int_equal(vmm_alloc_ranges_load(p, bytes, sizeof(bytes), NULL), -EBADMSG);
}

static void a_lying_id_state_is_refused_and_changes_nothing(void **state)
{
	uint8_t good[STATE], bytes[STATE], after[STATE];
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *p = sample_ids(good);
	size_t len = 0;

	for (size_t i = 0; i < VMM_ARRAY_LEN(lies); i++) {
		memcpy(bytes, good, STATE);
		put64(bytes + lies[i].offset, lies[i].value);
		assert_int_equal(vmm_alloc_ids_load(p, bytes, STATE, NULL), -EBADMSG);
		assert_int_equal(vmm_alloc_ids_save(p, after, STATE, &len), 0);
		assert_memory_equal(good, after, STATE);
	}
	for (size_t cut = 0; cut < STATE; cut++)
		assert_int_equal(vmm_alloc_ids_load(p, good, cut, NULL), -EBADMSG);
	/* Two runs that touch are one run, and are saved so. */
	memcpy(bytes, good, STATE);
	put64(bytes + 48, 63);
	assert_int_equal(vmm_alloc_ids_load(p, bytes, STATE, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_come_back_as_they_were),
		cmocka_unit_test(the_saved_form_is_fixed),
		cmocka_unit_test(ids_come_back_as_they_were),
		cmocka_unit_test(a_lying_range_state_is_refused_and_changes_nothing),
		cmocka_unit_test(one_range_of_all_64_bits_is_refused),
		cmocka_unit_test(a_lying_id_state_is_refused_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

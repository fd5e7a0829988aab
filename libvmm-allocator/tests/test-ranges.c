/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "ranges.h"

#define POOL VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p

_Static_assert(sizeof(struct vmm_alloc_request) == 56, "part of the ABI");
_Static_assert(sizeof(struct vmm_alloc_extent) == 16, "part of the ABI");

static void new_refuses_only_a_backward_range(void **state)
{
	static const struct {
		uint64_t first, last;
		int want;
	} cases[] = {
		{ 1, 0, -EINVAL },    { UINT64_MAX, 0, -EINVAL },
		{ 0, 0, 0 },	      { 0, UINT64_MAX, 0 },
		{ 0x100, 0x100, 0 },  { UINT64_MAX, UINT64_MAX, 0 },
		{ 1, UINT64_MAX, 0 }, { 0, UINT64_MAX - 1, 0 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		POOL = NULL;

		assert_int_equal(vmm_alloc_ranges_new(cases[i].first, cases[i].last, &p),
				 cases[i].want);
		assert_true((p != NULL) == (cases[i].want == 0));
	}
	vmm_alloc_ranges_free(NULL);
}

static void a_malformed_request_is_refused(void **state)
{
	struct {
		struct vmm_alloc_request r;
		uint64_t tail;
	} big = { .tail = 0 };
	static const struct vmm_alloc_request good = {
		sizeof(good), 1, 1, 0, 0, 0, 0, 0
	};
	POOL = test_ranges(0, 0xffff);
	uint64_t out = 77;

	for (int i = 0; i < 8; i++) {
		struct vmm_alloc_request r = good;

		switch (i) {
		case 0:
			r.len = 0;
			break;
		case 1:
			r.align = 0;
			break;
		case 2:
			r.align = 200;
			break;
		case 3:
			r.policy = 4;
			break;
		case 4:
			r.reserved_ = 1;
			break;
		case 5:
			r.min = 10;
			r.max = 9;
			break;
		case 6:
			r.size = 4;
			break;
		default:
			r.policy = VMM_ALLOC_EXACT;
			r.at = UINT64_MAX;
			r.len = 2;
			break;
		}
		assert_int_equal(vmm_alloc_ranges_take(p, &r, &out), -EINVAL);
	}
	big.r = good;
	big.r.size = sizeof(big);
	big.tail = 1;
	assert_int_equal(vmm_alloc_ranges_take(p, &big.r, &out), -E2BIG);
	assert_int_equal(out, 77);
	big.tail = 0;
	assert_int_equal(vmm_alloc_ranges_take(p, &big.r, &out), 0);
	/* A caller built against a header that ended after align. */
	big.r.size = offsetof(struct vmm_alloc_request, min);
	big.r.policy = 99;
	assert_int_equal(vmm_alloc_ranges_take(p, &big.r, &out), 0);
	assert_int_equal(out, 1);
}

/* The reference's test_allocate_not_enough_space. */
static void leftovers_on_both_sides_stay_free(void **state)
{
	POOL = test_ranges(0x1000, 0x1fff);

	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x800, 0x100), 0x1800);
	assert_true(test_take(p, VMM_ALLOC_FIRST, 0x900, 0x100) == NO_PLACE);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x400, 0x100), 0x1000);
	assert_int_equal(vmm_alloc_ranges_get_largest(p), 0x400);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 0x400, 0x100), 0x1400);
	assert_int_equal(vmm_alloc_ranges_get_largest(p), 0);
}

static void alignment_moves_first_match_up_and_last_match_down(void **state)
{
	POOL = test_ranges(0x1000, 0x10fff);

	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x110, 0x100), 0x1000);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x100, 0x100), 0x1200);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x10, 0x100), 0x1300);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x110, 0x100), 0x10e00);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x100, 0x100), 0x10d00);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x10, 0x100), 0x10c00);
	/* What alignment skipped can still be had. */
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0xf0, 0x10), 0x1110);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0xf0, 0x10), 0x10f10);
}

/* test_allow_range_size_one_left. */
static void one_address_that_alignment_leaves_is_usable(void **state)
{
	POOL = test_ranges(1, 0x1000);

	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 10, 2), 2);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 1, 1), 1);
}

/* test_range_align_up: near 2^64 - 1 rounding up must not come round. */
static void rounding_up_at_the_end_does_not_wrap(void **state)
{
	POOL = test_ranges(UINT64_MAX - 2, UINT64_MAX);

	assert_true(test_take(p, VMM_ALLOC_FIRST, 1, 4) == NO_PLACE);
	assert_true(test_take(p, VMM_ALLOC_BEST, 1, 4) == NO_PLACE);
	assert_true(test_take(p, VMM_ALLOC_LAST, 1, 4) == NO_PLACE);
	assert_true(test_take(p, VMM_ALLOC_FIRST, 1, 2) == UINT64_MAX - 1);
	assert_true(test_take(p, VMM_ALLOC_FIRST, 1, UINT64_C(1) << 63) == NO_PLACE);
}

/* test_regression_exact_match_length_check. */
static void exact_match_takes_what_is_free_and_aligned(void **state)
{
	POOL = test_ranges(0, 0x1fff);

	assert_int_equal(test_exact(p, 0x1000, 0x1000, 0x1000), 0);
	assert_int_equal(test_exact(p, 0, 0x1000, 0x1000), 0);
	assert_int_equal(test_exact(p, 0, 0, 0x1000), -EINVAL);
	assert_int_equal(test_exact(p, 3, 1, 0x1000), -EINVAL);
	assert_int_equal(test_exact(p, 0x1000, 0x10, 0x1000), -EBUSY);
	assert_int_equal(test_exact(p, 0x2000, 0x10, 0x1000), -ENOENT);
	assert_int_equal(test_exact(p, 0x1000, 0x1001, 0x1000), -ENOENT);
}

/* test_integer_wrapping. */
static void a_range_that_wraps_is_an_argument_error(void **state)
{
	POOL = test_ranges(0, UINT64_MAX);

	assert_int_equal(
	    vmm_alloc_ranges_reserve(p, UINT64_C(1) << 63, UINT64_C(1) << 63), 0);
	assert_int_equal(
	    vmm_alloc_ranges_reserve(p, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1),
	    -EINVAL);
	assert_int_equal(vmm_alloc_ranges_reserve(p, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(vmm_alloc_ranges_reserve(p, 5, 0), -EINVAL);
}

static void free_and_take_again_gives_the_same_place(void **state)
{
	POOL = test_ranges(0x1000, 0x1fff);

	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x800, 0x100), 0x1000);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1000, 0x800), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x800, 0x100), 0x1000);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 1);
}

/* ALC-B1: an exact match inside a taken range broke the pool. */
static void alc_b1_exact_match_respects_what_is_taken(void **state)
{
	POOL = test_ranges(0x1000, 0x1fff);

	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 0x800, 1), 0x1000);
	assert_int_equal(test_exact(p, 0x1100, 0x100, 1), -EBUSY);
	assert_int_equal(test_exact(p, 0xfff, 1, 1), -ENOENT);
	assert_int_equal(test_exact(p, 0x1000, 1, 1), -EBUSY);
	assert_int_equal(test_exact(p, 0x17ff, 1, 1), -EBUSY);
	assert_int_equal(test_exact(p, 0x17ff, 2, 1), -EBUSY);
	assert_int_equal(test_exact(p, 0x1800, 1, 1), 0);
	assert_int_equal(test_exact(p, 0x1900, 0x10, 1), 0);
	assert_int_equal(test_exact(p, 0x18ff, 0x20, 1), -EBUSY);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1000, 0x800), 0);
}

/* ALC-B2: freeing next to the ends of the number line lost the addresses. */
static void alc_b2_the_ends_of_the_address_space_come_back(void **state)
{
	static const uint64_t bases[] = { 0, 1, UINT64_MAX - 9, UINT64_MAX - 10 };

	for (size_t i = 0; i < VMM_ARRAY_LEN(bases); i++) {
		POOL = test_ranges(0, UINT64_MAX);

		assert_int_equal(test_exact(p, bases[i], 10, 1), 0);
		assert_int_equal(vmm_alloc_ranges_give(p, bases[i], 10), 0);
		assert_true(vmm_alloc_ranges_get_largest(p) == UINT64_MAX);
		assert_int_equal(test_exact(p, bases[i], 10, 1), 0);
	}
}

/* ALC-B3: free neighbours of one address did not join. */
static void alc_b3_single_addresses_join_again(void **state)
{
	POOL = test_ranges(100, 107);

	for (uint64_t a = 100; a < 108; a++)
		assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 1, 1), a);
	for (uint64_t a = 100; a < 108; a += 2)
		assert_int_equal(vmm_alloc_ranges_give(p, a, 1), 0);
	assert_int_equal(vmm_alloc_ranges_get_largest(p), 1);
	for (uint64_t a = 101; a < 108; a += 2)
		assert_int_equal(vmm_alloc_ranges_give(p, a, 1), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 8, 1), 100);
}

/* ALC-B4: only what is taken can be given, as it was taken. */
static void alc_b4_a_double_or_partial_free_is_refused(void **state)
{
	POOL = test_ranges(0x1000, 0x1fff);

	assert_int_equal(vmm_alloc_ranges_give(p, 0x1000, 0x1000), -ENOENT);
	assert_int_equal(test_exact(p, 0x1100, 0x100, 1), 0);
	assert_int_equal(test_exact(p, 0x1200, 0x100, 1), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1100, 0x80), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1100, 0x200), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1180, 0x80), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1100, 0), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1000, 0x100), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x9000, 0x100), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1100, 0x100), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, 0x1100, 0x100), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 1);
}

/* ALC-B5: last match at 0, exact match of a last byte. */
static void alc_b5_the_edges_of_a_free_extent_are_usable(void **state)
{
	POOL = test_ranges(0, 0xfff);

	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0x1000, 1), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, 0, 0x1000), 0);
	assert_int_equal(test_exact(p, 0xfff, 1, 1), 0);
	assert_int_equal(test_exact(p, 0, 1, 1), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, 0xffe, 1), 1);
}

/* ALC-B6: a failed insertion dropped the whole tree. */
static void alc_b6_a_refused_take_changes_nothing(void **state)
{
	POOL = test_ranges(0, 0xffff);
	struct vmm_alloc_extent e;

	for (uint64_t a = 0; a < 0x10000; a += 0x100)
		assert_int_equal(test_exact(p, a, 0x80, 1), 0);
	for (uint64_t a = 0; a < 0x10000; a += 0x100) {
		assert_int_equal(test_exact(p, a, 1, 1), -EBUSY);
		assert_int_equal(test_exact(p, a + 0x7f, 0x81, 1), -EBUSY);
	}
	assert_true(test_take(p, VMM_ALLOC_FIRST, 0x81, 1) == NO_PLACE);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 256);
	for (uint64_t a = 0; a < 0x10000; a += 0x100) {
		assert_int_equal(vmm_alloc_ranges_find(p, a + 0x7f, &e), 0);
		assert_int_equal(e.first, a);
		assert_int_equal(e.last, a + 0x7f);
		assert_int_equal(vmm_alloc_ranges_find(p, a + 0x80, &e), -ENOENT);
	}
}

static void a_window_holds_the_whole_range(void **state)
{
	static const struct {
		uint64_t min, max;
		uint64_t want[4]; /* first, last, best; exact at 0x4000 as a code */
	} cases[] = {
		{ 0, 0, { 0x1000, 0xf000, 0x1000, 0 } },
		{ 0x2001, 0, { 0x3000, 0xf000, 0x3000, 0 } },
		{ 0, 0x8000, { 0x1000, 0x7000, 0x1000, 0 } },
		{ 0x4000, 0x4fff, { 0x4000, 0x4000, 0x4000, 0 } },
		{ 0x4001, 0x5ffe, { NO_PLACE, NO_PLACE, NO_PLACE, ENOENT } },
		{ 0x4000, 0x4ffe, { NO_PLACE, NO_PLACE, NO_PLACE, ENOENT } },
		{ 0x20000, 0, { NO_PLACE, NO_PLACE, NO_PLACE, ENOENT } },
		{ 0, 0xfff, { NO_PLACE, NO_PLACE, NO_PLACE, ENOENT } },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;

		r.len = 0x1000;
		r.align = 0x1000;
		r.min = cases[i].min;
		r.max = cases[i].max;
		r.at = 0x4000;
		for (uint32_t k = 0; k < 4; k++) {
			static const uint32_t policies[] = { VMM_ALLOC_FIRST,
							     VMM_ALLOC_LAST,
							     VMM_ALLOC_BEST,
							     VMM_ALLOC_EXACT };
			POOL = test_ranges(0x1000, 0xffff);
			uint64_t out = NO_PLACE;
			int ret;

			r.policy = policies[k];
			ret = vmm_alloc_ranges_take(p, &r, &out);
			if (k < 3)
				assert_true(out == cases[i].want[k]);
			else
				assert_int_equal(-ret, cases[i].want[3]);
		}
	}
}

static void best_fit_prefers_the_smallest_then_the_lowest(void **state)
{
	POOL = test_ranges(0, 0xfff);

	/* Free: 100 at 0, 20 at 200, 20 at 300, 30 at 400, the rest from 500. */
	assert_int_equal(test_exact(p, 100, 100, 1), 0);
	assert_int_equal(test_exact(p, 220, 80, 1), 0);
	assert_int_equal(test_exact(p, 320, 80, 1), 0);
	assert_int_equal(test_exact(p, 430, 70, 1), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 20, 1), 200);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 15, 1), 300);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 15, 1), 400);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 31, 1), 0);
	/* In force while other policies change the gaps. */
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, 60, 1), 31);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 5, 1), 315);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 9, 1), 91);
	/* The smallest gap, but not aligned in it. */
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 4, 16), 416);
	assert_int_equal(vmm_alloc_ranges_give(p, 100, 100), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 90, 1), 100);
}

static void the_whole_64_bit_space_is_a_pool(void **state)
{
	POOL = test_ranges(0, UINT64_MAX);
	struct vmm_alloc_extent e;

	assert_true(vmm_alloc_ranges_get_largest(p) == UINT64_MAX);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 0, &e), 0);
	assert_true(e.first == 0 && e.last == UINT64_MAX);
	assert_int_equal(vmm_alloc_ranges_next_free(p, UINT64_MAX, &e), 0);
	assert_true(e.first == 0 && e.last == UINT64_MAX);
	/* 2^64 - 1 addresses at both ends and by each policy. */
	assert_int_equal(test_take(p, VMM_ALLOC_FIRST, UINT64_MAX, 1), 0);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 0, &e), 0);
	assert_true(e.first == UINT64_MAX && e.last == UINT64_MAX);
	assert_true(test_take(p, VMM_ALLOC_BEST, 1, 1) == UINT64_MAX);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 0, &e), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_get_largest(p), 0);
	assert_true(test_take(p, VMM_ALLOC_FIRST, 1, 1) == NO_PLACE);
	assert_true(test_take(p, VMM_ALLOC_LAST, 1, 1) == NO_PLACE);
	assert_int_equal(test_exact(p, UINT64_MAX, 1, 1), -EBUSY);
	assert_int_equal(vmm_alloc_ranges_next(p, UINT64_MAX, &e), 0);
	assert_true(e.first == UINT64_MAX);
	assert_int_equal(vmm_alloc_ranges_give(p, 0, UINT64_MAX), 0);
	assert_int_equal(test_take(p, VMM_ALLOC_LAST, UINT64_MAX, 1), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, UINT64_MAX, 1), 0);
	assert_int_equal(vmm_alloc_ranges_give(p, 0, UINT64_MAX), 0);
	assert_true(test_take(p, VMM_ALLOC_LAST, UINT64_MAX, 1) == 1);
	assert_int_equal(vmm_alloc_ranges_give(p, 0, 1), -ENOENT);
	assert_int_equal(test_take(p, VMM_ALLOC_BEST, 1, 1), 0);
	assert_int_equal(vmm_alloc_ranges_get_count(p), 2);
}

static void iteration_visits_taken_and_free_in_order(void **state)
{
	POOL = test_ranges(10, 99);
	struct vmm_alloc_extent e;
	uint64_t from = 0;
	int n = 0;

	for (uint64_t a = 10; a < 100; a += 30)
		assert_int_equal(test_exact(p, a, 10, 1), 0);
	for (; vmm_alloc_ranges_next(p, from, &e) == 0; from = e.last + 1, n++) {
		assert_int_equal(e.first, 10 + 30 * n);
		assert_int_equal(e.last, 19 + 30 * n);
	}
	assert_int_equal(n, 3);
	from = 0;
	n = 0;
	for (; vmm_alloc_ranges_next_free(p, from, &e) == 0; from = e.last + 1, n++) {
		assert_int_equal(e.first, 20 + 30 * n);
		assert_int_equal(e.last, 39 + 30 * n);
	}
	assert_int_equal(n, 3);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 25, &e), 0);
	assert_int_equal(e.first, 20);
	assert_int_equal(vmm_alloc_ranges_next_free(p, 100, &e), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_next(p, 200, &e), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_find(p, 9, &e), -ENOENT);
	assert_int_equal(vmm_alloc_ranges_find(p, 100, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_refuses_only_a_backward_range),
		cmocka_unit_test(a_malformed_request_is_refused),
		cmocka_unit_test(leftovers_on_both_sides_stay_free),
		cmocka_unit_test(alignment_moves_first_match_up_and_last_match_down),
		cmocka_unit_test(one_address_that_alignment_leaves_is_usable),
		cmocka_unit_test(rounding_up_at_the_end_does_not_wrap),
		cmocka_unit_test(exact_match_takes_what_is_free_and_aligned),
		cmocka_unit_test(a_range_that_wraps_is_an_argument_error),
		cmocka_unit_test(free_and_take_again_gives_the_same_place),
		cmocka_unit_test(alc_b1_exact_match_respects_what_is_taken),
		cmocka_unit_test(alc_b2_the_ends_of_the_address_space_come_back),
		cmocka_unit_test(alc_b3_single_addresses_join_again),
		cmocka_unit_test(alc_b4_a_double_or_partial_free_is_refused),
		cmocka_unit_test(alc_b5_the_edges_of_a_free_extent_are_usable),
		cmocka_unit_test(alc_b6_a_refused_take_changes_nothing),
		cmocka_unit_test(a_window_holds_the_whole_range),
		cmocka_unit_test(best_fit_prefers_the_smallest_then_the_lowest),
		cmocka_unit_test(the_whole_64_bit_space_is_a_pool),
		cmocka_unit_test(iteration_visits_taken_and_free_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

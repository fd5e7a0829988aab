/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Packed rings: chains, wrap counters, and what a hostile driver writes. */
#include "virtio-test.h"

#define BUF MOCK_BUFFERS
#define W MOCK_F_WRITE
#define N MOCK_F_NEXT
#define I MOCK_F_INDIRECT
#define TABLE MOCK_TABLES

static void chains_go_round_a_ring_of_any_size(void **state)
{
	struct rig r;

	for (uint32_t num = 1; num <= 9; num++) {
		rig_start(&r, num, PACKED | IND);
		for (uint32_t round = 0; round < 200; round++) {
			uint32_t n = 1 + round % (num < 3 ? num : 3);
			struct mock_seg segs[3];
			int id;

			for (uint32_t i = 0; i < n; i++)
				segs[i] =
				    (struct mock_seg){ BUF + i, 10 + i, i + 1 == n };
			id = mock_add(r.m, segs, n, round % 5 == 0);
			assert_true(id >= 0);
			assert_int_equal(rig_pop(&r), 0);
			assert_int_equal(r.chain.head, id);
			assert_int_equal(r.chain.readable_n, n - 1);
			assert_int_equal(r.chain.writable_n, 1);
			assert_int_equal(r.chain.writable_len, 9 + n);
			assert_int_equal(rig_pop(&r), -EAGAIN);
			assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, n), 0);
			expect_used(&r, (uint32_t)id, n);
			expect_nothing_used(&r);
		}
		rig_stop(&r);
	}
}

static void used_out_of_order_and_in_batches(void **state)
{
	static const struct mock_seg segs[] = { { BUF, 8, true }, { BUF, 8, true } };
	struct vmm_virtq_used used[2] = { { 0, 0, 0 } };
	uint64_t tokens[3];
	struct rig r;

	rig_start(&r, 5, PACKED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mock_add(r.m, segs, 2, false), i);
		assert_int_equal(rig_pop(&r), 0);
		tokens[i] = r.chain.token;
	}
	assert_int_equal(mock_add(r.m, segs, 1, false), 2);
	assert_int_equal(rig_pop(&r), 0);
	tokens[2] = r.chain.token;
	assert_int_equal(mock_add(r.m, segs, 1, false), -ENOSPC);

	used[0].token = tokens[2];
	used[0].len = 2;
	used[1].token = tokens[0];
	used[1].len = 16;
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 2), 0);
	expect_used(&r, 2, 2);
	expect_used(&r, 0, 16);
	expect_nothing_used(&r);
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[1], 17), -EINVAL);
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[1], 0), 0);
	expect_used(&r, 1, 0);
	rig_stop(&r);
}

static void undo_goes_back_over_the_wrap(void **state)
{
	static const struct mock_seg segs[] = { { BUF, 8, true }, { BUF, 8, true } };
	struct rig r;

	rig_start(&r, 3, PACKED);
	for (int i = 0; i < 50; i++) {
		int id = mock_add(r.m, segs, 2, false);

		assert_true(id >= 0);
		assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), 0);
		assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), -ENOENT);
		assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(r.chain.head, id);
		assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 3), 0);
		expect_used(&r, (uint32_t)id, 3);
	}
	rig_stop(&r);
}

/* Chains whose end is known are given back, with all their slots. */
static void malformed_chains_come_back_with_length_0(void **state)
{
	static const struct {
		int want;
		uint64_t features;
		/* Packed: flags in `a`. */
		struct mock_desc d[3];
		struct mock_desc table;
	} cases[] = {
		{ -EFAULT,
		  0,
		  { { MOCK_HOLE, 1, N, 0 }, { BUF, 1, N, 0 }, { BUF, 1, 0, 0 } },
		  { 0 } },
		{ -EFAULT, 0, { { BUF, 1, N, 0 }, { UINT64_MAX, 2, 0, 0 } }, { 0 } },
		{ -EROFS, 0, { { MOCK_ROM, 1, W, 0 } }, { 0 } },
		{ -EBADMSG,
		  0,
		  { { BUF, 1, N | W, 0 }, { BUF, 1, N, 0 }, { BUF, 1, 0, 0 } },
		  { 0 } },
		{ -EBADMSG,
		  0,
		  { { MOCK_ROM, 0x10000, N, 0 }, { BUF, UINT32_MAX, 0, 0 } },
		  { 0 } },
		{ -EBADMSG, 0, { { TABLE, 16, I, 0 } }, { BUF, 1, 0, 0 } },
		{ -EBADMSG, IND, { { TABLE, 0, I, 0 } }, { BUF, 1, 0, 0 } },
		{ -EBADMSG, IND, { { TABLE, 15, I, 0 } }, { BUF, 1, 0, 0 } },
		{ -EBADMSG, IND, { { TABLE, 80, I, 0 } }, { BUF, 1, 0, 0 } },
		{ -EBADMSG,
		  IND,
		  { { TABLE, 16, I | N, 0 }, { BUF, 1, 0, 0 } },
		  { BUF, 1, 0, 0 } },
		{ -EBADMSG,
		  IND,
		  { { BUF, 1, N, 0 }, { TABLE, 16, I, 0 } },
		  { BUF, 1, 0, 0 } },
		{ -EFAULT, IND, { { MOCK_HOLE, 16, I, 0 } }, { BUF, 1, 0, 0 } },
		{ -EFAULT, IND, { { TABLE, 16, I, 0 } }, { MOCK_HOLE, 1, 0, 0 } },
	};
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		uint32_t n = 0;

		rig_start(&r, 4, PACKED | cases[i].features);
		memcpy(mock_at(r.m, TABLE), &cases[i].table, 16);
		do {
			mock_raw_packed(r.m, n, cases[i].d[n].addr, cases[i].d[n].len, 3,
					cases[i].d[n].a, true);
		} while (cases[i].d[n++].a & N);
		if (rig_pop(&r) != cases[i].want)
			fail_msg("case %zu", i);
		r.m->out[3] = true;
		r.m->used_descs[3] = (uint16_t)n;
		expect_used(&r, 3, 0);
		assert_true(vmm_virtq_needs_notification(r.q));
		assert_int_equal(rig_pop(&r), -EAGAIN);
		rig_stop(&r);
	}
}

static void expect_broken(struct rig *r)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_pop(r), -ENOTRECOVERABLE);
	assert_true(vmm_virtq_is_broken(r->q));
	assert_false(vmm_virtq_enable_notification(r->q));
	rig_stop(r);
}

static void a_chain_without_an_end_breaks_the_queue(void **state)
{
	struct rig r;

	/* All of the ring, with NEXT on the last one, too. */
	rig_start(&r, 4, PACKED);
	for (uint32_t i = 0; i < 4; i++)
		mock_raw_packed(r.m, i, BUF, 1, 0, N, true);
	expect_broken(&r);

	/* The rest of the chain is not available. */
	rig_start(&r, 4, PACKED);
	mock_raw_packed(r.m, 0, BUF, 1, 0, N, true);
	expect_broken(&r);

	/* Wrap counter of the rest is from another round. */
	rig_start(&r, 4, PACKED);
	mock_raw_packed(r.m, 1, BUF, 1, 0, 0, false);
	mock_raw_packed(r.m, 0, BUF, 1, 0, N, true);
	expect_broken(&r);
}

static void an_id_out_of_range_breaks_the_queue(void **state)
{
	static const uint16_t ids[] = { 4, 5, 0x7fff, 0xffff };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(ids); i++) {
		rig_start(&r, 4, PACKED);
		mock_raw_packed(r.m, 0, BUF, 1, ids[i], 0, true);
		expect_broken(&r);
	}
}

static void an_id_that_is_in_flight_breaks_the_queue(void **state)
{
	struct rig r;

	rig_start(&r, 4, PACKED);
	mock_raw_packed(r.m, 0, BUF, 1, 2, 0, true);
	mock_raw_packed(r.m, 1, BUF, 1, 2, 0, true);
	assert_int_equal(rig_pop(&r), 0);
	expect_broken(&r);
}

/* The driver runs over slots that it did not get back yet. */
static void more_slots_than_the_ring_has_break_the_queue(void **state)
{
	struct rig r;

	rig_start(&r, 2, PACKED);
	mock_raw_packed(r.m, 0, BUF, 1, 0, N, true);
	mock_raw_packed(r.m, 1, BUF, 1, 0, 0, true);
	assert_int_equal(rig_pop(&r), 0);
	mock_raw_packed(r.m, 0, BUF, 1, 1, 0, false);
	expect_broken(&r);

	rig_start(&r, 3, PACKED);
	mock_raw_packed(r.m, 0, BUF, 1, 0, N, true);
	mock_raw_packed(r.m, 1, BUF, 1, 0, 0, true);
	assert_int_equal(rig_pop(&r), 0);
	mock_raw_packed(r.m, 0, BUF, 1, 1, 0, false);
	mock_raw_packed(r.m, 2, BUF, 1, 1, N, true);
	expect_broken(&r);
}

static void a_driver_that_writes_flags_of_the_wrong_round_is_not_heard(void **state)
{
	struct rig r;

	rig_start(&r, 4, PACKED);
	mock_raw_packed(r.m, 0, BUF, 1, 0, 0, false);
	assert_int_equal(rig_pop(&r), -EAGAIN);
	mock_raw_desc(r.m, 0)->b = MOCK_F_AVAIL | MOCK_F_USED;
	assert_int_equal(rig_pop(&r), -EAGAIN);
	mock_raw_desc(r.m, 0)->b = 0;
	assert_int_equal(rig_pop(&r), -EAGAIN);
	rig_stop(&r);
}

static void the_id_of_the_last_descriptor_counts(void **state)
{
	struct rig r;

	rig_start(&r, 4, PACKED);
	mock_raw_packed(r.m, 1, BUF, 1, 2, 0, true);
	mock_raw_packed(r.m, 0, BUF, 1, 0xffff, N, true);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 2);
	rig_stop(&r);
}

static void flags_in_an_indirect_table_mean_nothing_but_write(void **state)
{
	struct rig r;
	struct mock_desc table[3] = { { BUF, 1, 0xffff, N },
				      { BUF + 8, 2, 7, N | I | W },
				      { BUF + 16, 3, 9, MOCK_F_USED | W } };

	rig_start(&r, 4, PACKED | IND);
	memcpy(mock_at(r.m, TABLE), table, sizeof(table));
	mock_raw_packed(r.m, 0, TABLE, sizeof(table), 1, I | W, true);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.readable_n, 1);
	assert_int_equal(r.chain.writable_n, 2);
	assert_int_equal(r.chain.writable_len, 5);
	rig_stop(&r);
}

static void a_chain_is_a_snapshot(void **state)
{
	static const struct mock_seg segs[] = { { BUF, 16, false },
						{ BUF + 64, 16, true } };
	struct rig r;

	rig_start(&r, 4, PACKED);
	assert_int_equal(mock_add(r.m, segs, 2, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	memset(mock_at(r.m, MOCK_DESC), 0xff, 64);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 17), -EINVAL);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 16), 0);
	expect_used(&r, 0, 16);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_go_round_a_ring_of_any_size),
		cmocka_unit_test(used_out_of_order_and_in_batches),
		cmocka_unit_test(undo_goes_back_over_the_wrap),
		cmocka_unit_test(malformed_chains_come_back_with_length_0),
		cmocka_unit_test(a_chain_without_an_end_breaks_the_queue),
		cmocka_unit_test(an_id_out_of_range_breaks_the_queue),
		cmocka_unit_test(an_id_that_is_in_flight_breaks_the_queue),
		cmocka_unit_test(more_slots_than_the_ring_has_break_the_queue),
		cmocka_unit_test(
		    a_driver_that_writes_flags_of_the_wrong_round_is_not_heard),
		cmocka_unit_test(the_id_of_the_last_descriptor_counts),
		cmocka_unit_test(flags_in_an_indirect_table_mean_nothing_but_write),
		cmocka_unit_test(a_chain_is_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Split rings: chains taken and given back, and every way in which a driver can make one
 * that it should not. */
#include "virtio-test.h"

#define BUF MOCK_BUFFERS
#define W MOCK_F_WRITE
#define N MOCK_F_NEXT
#define I MOCK_F_INDIRECT
#define TABLE (MOCK_TABLES + 0x4000)

static void chains_arrive_in_order_with_their_directions(void **state)
{
	static const struct mock_seg segs[] = {
		{ BUF, 0x10, false },	       { BUF + 0x1000, 0x20, true }, /* chain 1 */
		{ BUF + 0x2000, 0x30, false }, { BUF + 0x3000, 0x40, false },
		{ BUF + 0x4000, 0x50, true },				     /* chain 2 */
		{ BUF + 0x5000, 0x60, true },  { BUF + 0x6000, 0x70, true }, /* chain 3 */
	};
	struct rig r;

	rig_start(&r, 16, 0);
	assert_int_equal(mock_add(r.m, &segs[0], 2, false), 0);
	assert_int_equal(mock_add(r.m, &segs[2], 3, false), 2);
	assert_int_equal(mock_add(r.m, &segs[5], 2, false), 5);

	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 0);
	assert_int_equal(r.chain.readable_n, 1);
	assert_int_equal(r.chain.writable_n, 1);
	assert_int_equal(r.chain.readable_len, 0x10);
	assert_int_equal(r.chain.writable_len, 0x20);
	assert_ptr_equal(r.iov[0].iov_base, r.m->ram + BUF);
	assert_int_equal(r.iov[0].iov_len, 0x10);
	assert_ptr_equal(r.iov[1].iov_base, r.m->ram + BUF + 0x1000);

	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 2);
	assert_int_equal(r.chain.readable_n, 2);
	assert_int_equal(r.chain.readable_len, 0x70);
	assert_int_equal(r.chain.writable_len, 0x50);

	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 5);
	assert_int_equal(r.chain.readable_n, 0);
	assert_int_equal(r.chain.writable_n, 2);
	assert_int_equal(rig_pop(&r), -EAGAIN);
	assert_int_equal(rig_pop(&r), -EAGAIN);
	rig_stop(&r);
}

static void used_buffers_reach_the_driver_in_any_order(void **state)
{
	static const struct mock_seg seg = { BUF, 0x1000, true };
	uint64_t tokens[3];
	struct rig r;

	rig_start(&r, 4, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
		tokens[i] = r.chain.token;
	}
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[1], 0x1000), 0);
	assert_int_equal(mock_raw_used_idx(r.m), 1);
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[2], 7), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[0], 0), 0);
	expect_used(&r, 1, 0x1000);
	expect_used(&r, 2, 7);
	expect_used(&r, 0, 0);
	expect_nothing_used(&r);
	rig_stop(&r);
}

static void using_what_is_not_in_flight_is_refused(void **state)
{
	static const struct mock_seg seg = { BUF, 0x100, true };
	struct rig r;

	rig_start(&r, 16, 0);
	assert_int_equal(vmm_virtq_add_used(r.q, 0, 0), -ESTALE);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token + 1, 0), -ENOENT);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token + 16, 0), -ENOENT);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token + 0x10000, 0), -ENOENT);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0x101), -EINVAL);
	expect_nothing_used(&r);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0x100), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0x100), -ENOENT);
	assert_int_equal(mock_raw_used_idx(r.m), 1);
	rig_stop(&r);
}

/* A late completion must not hit the next request that happens to use the same head. */
static void a_token_from_before_a_reset_or_another_round_is_refused(void **state)
{
	static const struct mock_seg seg = { BUF, 0x100, true };
	struct rig r;
	uint64_t old;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	old = r.chain.token;
	assert_int_equal(vmm_virtq_add_used(r.q, old, 1), 0);
	expect_used(&r, 0, 1);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, old, 1), -ENOENT);

	old = r.chain.token;
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_add_used(r.q, old, 1), -ENOTCONN);
	mock_reset(r.m, 4, 0);
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &r.m->config, NULL), 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, old, 1), -ESTALE);
	assert_int_equal(vmm_virtq_undo_pop(r.q, old), -ESTALE);
	rig_stop(&r);
}

static void a_batch_is_all_or_nothing_and_shows_at_once(void **state)
{
	static const struct mock_seg seg = { BUF, 0x100, true };
	struct vmm_virtq_used used[3] = { { 0, 0, 0 } };
	struct rig r;

	rig_start(&r, 4, 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
		used[i].token = r.chain.token;
		used[i].len = i;
	}
	used[2].token = used[0].token;
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 3), -ENOENT);
	used[2].token = r.chain.token;
	used[2].len = 0x101;
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 3), -EINVAL);
	assert_int_equal(mock_raw_used_idx(r.m), 0);
	used[2].len = 2;
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 0), 0);
	assert_int_equal(mock_raw_used_idx(r.m), 0);
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 3), 0);
	for (uint32_t i = 0; i < 3; i++)
		expect_used(&r, i, i);
	assert_int_equal(vmm_virtq_add_used_n(r.q, used, 1), -ENOENT);
	rig_stop(&r);
}

static void undo_takes_back_the_newest_pops_only(void **state)
{
	static const struct mock_seg seg = { BUF, 0x100, true };
	uint64_t tokens[3];
	struct rig r;

	rig_start(&r, 4, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
		tokens[i] = r.chain.token;
	}
	assert_int_equal(vmm_virtq_undo_pop(r.q, tokens[1]), -EINVAL);
	assert_int_equal(vmm_virtq_undo_pop(r.q, tokens[2]), 0);
	assert_int_equal(vmm_virtq_undo_pop(r.q, tokens[2]), -ENOENT);
	assert_int_equal(vmm_virtq_undo_pop(r.q, tokens[1]), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 1);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 2);
	assert_int_equal(rig_pop(&r), -EAGAIN);
	/* Once a newer chain was used, an older one cannot go back. */
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	assert_int_equal(vmm_virtq_undo_pop(r.q, tokens[0]), -EINVAL);
	rig_stop(&r);
}

static void a_queue_that_is_not_enabled_refuses_work(void **state)
{
	VMM_CLEANUP(vmm_virtq_free) struct vmm_virtq *q = NULL;
	struct iovec iov[1];
	struct vmm_virtq_chain chain = VMM_VIRTQ_CHAIN_INIT(iov);
	struct vmm_virtq_used used = { 0, 0, 0 };

	assert_int_equal(vmm_virtq_new(16, &q), 0);
	assert_int_equal(vmm_virtq_pop(q, &chain), -ENOTCONN);
	assert_int_equal(vmm_virtq_add_used(q, 0, 0), -ENOTCONN);
	assert_int_equal(vmm_virtq_add_used_n(q, &used, 1), -ENOTCONN);
	assert_int_equal(vmm_virtq_undo_pop(q, 0), -ENOTCONN);
	assert_false(vmm_virtq_enable_notification(q));
	vmm_virtq_disable_notification(q);
	assert_false(vmm_virtq_needs_notification(q));
	assert_false(vmm_virtq_is_enabled(q));
	assert_int_equal(vmm_virtq_get_num(q), 0);
	assert_int_equal(vmm_virtq_get_max(q), 16);
	vmm_virtq_reset(q);
}

/* One head, given as raw descriptors and an indirect table; what pop says, and that the
 * driver gets it back with length 0 at once (HG-05). */
struct bad_chain {
	const char *name;
	int want;
	uint64_t features;
	struct mock_desc desc[4];
	struct mock_desc table[4];
};

static const struct bad_chain bad_chains[] = {
	{ "loop on itself", -EBADMSG, 0, { { BUF, 1, N, 0 } }, { { 0 } } },
	{ "loop of two", -EBADMSG, 0, { { BUF, 1, N, 1 }, { BUF, 1, N, 0 } }, { { 0 } } },
	{ "loop of nothing", -EBADMSG, 0, { { BUF, 0, N, 0 } }, { { 0 } } },
	{ "next outside", -EBADMSG, 0, { { BUF, 1, N, 4 } }, { { 0 } } },
	{ "next far outside", -EBADMSG, 0, { { BUF, 1, N, 0xffff } }, { { 0 } } },
	{ "readable behind writable",
	  -EBADMSG,
	  0,
	  { { BUF, 1, N | W, 1 }, { BUF, 1, 0, 0 } },
	  { { 0 } } },
	{ "empty readable behind writable",
	  -EBADMSG,
	  0,
	  { { BUF, 1, N | W, 1 }, { BUF, 0, 0, 0 } },
	  { { 0 } } },
	{ "hole", -EFAULT, 0, { { MOCK_HOLE, 1, 0, 0 } }, { { 0 } } },
	{ "into the hole", -EFAULT, 0, { { MOCK_HOLE - 1, 2, 0, 0 } }, { { 0 } } },
	{ "over the hole",
	  -EFAULT,
	  0,
	  { { MOCK_HOLE - 1, 0xf000000, 0, 0 } },
	  { { 0 } } },
	{ "last byte of the address space",
	  -EFAULT,
	  0,
	  { { UINT64_MAX, 1, 0, 0 } },
	  { { 0 } } },
	{ "wraps", -EFAULT, 0, { { UINT64_MAX, 2, 0, 0 } }, { { 0 } } },
	{ "wraps into RAM",
	  -EFAULT,
	  0,
	  { { UINT64_MAX - 0xfff, 0x2000, W, 0 } },
	  { { 0 } } },
	{ "writes ROM", -EROFS, 0, { { MOCK_ROM, 1, W, 0 } }, { { 0 } } },
	{ "writes ROM after reading it",
	  -EROFS,
	  0,
	  { { MOCK_ROM, 1, N, 1 }, { MOCK_ROM, 1, W, 0 } },
	  { { 0 } } },
	{ "all of 4 GiB - 1", -EFAULT, 0, { { BUF, UINT32_MAX, 0, 0 } }, { { 0 } } },
	{ "sum over 2^32",
	  -EBADMSG,
	  0,
	  { { MOCK_ROM, 0x10000, N, 1 }, { BUF, UINT32_MAX, 0, 0 } },
	  { { 0 } } },
	{ "indirect, not negotiated",
	  -EBADMSG,
	  0,
	  { { TABLE, 16, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, empty", -EBADMSG, IND, { { TABLE, 0, I, 0 } }, { { 0 } } },
	{ "indirect, odd length",
	  -EBADMSG,
	  IND,
	  { { TABLE, 17, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, short",
	  -EBADMSG,
	  IND,
	  { { TABLE, 15, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, more than the queue",
	  -EBADMSG,
	  IND,
	  { { TABLE, 80, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, 65536 entries",
	  -EBADMSG,
	  IND,
	  { { TABLE, 0x100000, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, with next",
	  -EBADMSG,
	  IND,
	  { { TABLE, 16, I | N, 1 }, { BUF, 1, 0, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, nested",
	  -EBADMSG,
	  IND,
	  { { TABLE, 16, I, 0 } },
	  { { TABLE, 16, I, 0 } } },
	{ "indirect, loop",
	  -EBADMSG,
	  IND,
	  { { TABLE, 32, I, 0 } },
	  { { BUF, 1, N, 1 }, { BUF, 1, N, 0 } } },
	{ "indirect, next outside",
	  -EBADMSG,
	  IND,
	  { { TABLE, 16, I, 0 } },
	  { { BUF, 1, N, 1 } } },
	{ "indirect, table in a hole",
	  -EFAULT,
	  IND,
	  { { MOCK_HOLE, 16, I, 0 } },
	  { { 0 } } },
	{ "indirect, table into a hole",
	  -EFAULT,
	  IND,
	  { { MOCK_HOLE - 16, 32, I, 0 } },
	  { { 0 } } },
	{ "indirect, table wraps",
	  -EFAULT,
	  IND,
	  { { UINT64_MAX - 15, 32, I, 0 } },
	  { { 0 } } },
	{ "indirect, over the budget with direct ones",
	  -EBADMSG,
	  IND,
	  { { BUF, 1, N, 1 }, { BUF, 1, N, 2 }, { TABLE, 48, I, 0 } },
	  { { BUF, 1, N, 1 }, { BUF, 1, N, 2 }, { BUF, 1, 0, 0 } } },
	{ "indirect, readable behind a direct writable",
	  -EBADMSG,
	  IND,
	  { { BUF, 1, N | W, 1 }, { TABLE, 16, I, 0 } },
	  { { BUF, 1, 0, 0 } } },
	{ "indirect, buffer in a hole",
	  -EFAULT,
	  IND,
	  { { TABLE, 16, I, 0 } },
	  { { MOCK_HOLE, 1, 0, 0 } } },
};

static void one_bad_chain(const struct bad_chain *c, uint64_t more_features)
{
	static const struct mock_seg good = { BUF, 4, true };
	struct vmm_virtq_counters counters = { .size = sizeof(counters) };
	struct vmm_virtq_chain before;
	struct rig r;

	rig_start(&r, 4, c->features | more_features);
	memcpy(mock_raw_desc(r.m, 0), c->desc, sizeof(c->desc));
	memcpy(mock_at(r.m, TABLE), c->table, sizeof(c->table));
	before = r.chain;
	mock_raw_avail(r.m, 0);
	if (rig_pop(&r) != c->want)
		fail_msg("%s: not %d", c->name, c->want);
	assert_memory_equal(&before, &r.chain, sizeof(before));
	r.m->out[0] = true;
	r.m->used_descs[0] = 0;
	expect_used(&r, 0, 0);
	assert_true(vmm_virtq_needs_notification(r.q));
	assert_false(vmm_virtq_is_broken(r.q));

	/* The queue lives on, with the same head. */
	assert_int_equal(mock_add(r.m, &good, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 4), 0);
	expect_used(&r, 0, 4);
	vmm_virtq_get_counters(r.q, &counters);
	assert_int_equal(counters.malformed, 1);
	assert_int_equal(counters.inflight, 0);
	assert_int_equal(counters.used, 1);
	assert_int_equal(counters.broken, 0);
	rig_stop(&r);
}

static void malformed_chains_come_back_with_length_0(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad_chains); i++) {
		one_bad_chain(&bad_chains[i], 0);
		one_bad_chain(&bad_chains[i], IN_ORDER);
	}
}

static void a_malformed_chain_in_order_waits_for_its_turn(void **state)
{
	static const struct mock_seg good = { BUF, 4, true };
	static const struct mock_seg bad = { MOCK_HOLE, 4, true };
	struct rig r;

	rig_start(&r, 4, IN_ORDER);
	assert_int_equal(mock_add(r.m, &good, 1, false), 0);
	assert_int_equal(mock_add(r.m, &bad, 1, false), 1);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(rig_pop(&r), -EFAULT);
	expect_nothing_used(&r);
	assert_false(vmm_virtq_needs_notification(r.q));
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 3), 0);
	expect_used(&r, 0, 3);
	expect_used(&r, 1, 0);
	rig_stop(&r);
}

static void in_order_holds_early_completions_back(void **state)
{
	static const struct mock_seg seg = { BUF, 8, true };
	struct vmm_virtq_used used[2] = { { 0, 0, 0 } };
	uint64_t tokens[4];
	struct rig r;

	for (uint64_t packed = 0; packed <= PACKED; packed += PACKED) {
		rig_start(&r, 4, IN_ORDER | packed);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(mock_add(r.m, &seg, 1, false), i);
			assert_int_equal(rig_pop(&r), 0);
			tokens[i] = r.chain.token;
		}
		used[0].token = tokens[3];
		used[0].len = 3;
		used[1].token = tokens[1];
		used[1].len = 1;
		assert_int_equal(vmm_virtq_add_used_n(r.q, used, 2), 0);
		expect_nothing_used(&r);
		assert_int_equal(vmm_virtq_add_used(r.q, tokens[1], 1), -ENOENT);
		assert_int_equal(vmm_virtq_add_used(r.q, tokens[0], 0), 0);
		expect_used(&r, 0, 0);
		expect_used(&r, 1, 1);
		expect_nothing_used(&r);
		assert_int_equal(vmm_virtq_add_used(r.q, tokens[2], 2), 0);
		expect_used(&r, 2, 2);
		expect_used(&r, 3, 3);
		rig_stop(&r);
	}
}

/* What the driver says about the ring itself: no chain to give back, so it is the end. */
static void expect_broken(struct rig *r)
{
	struct vmm_virtq_counters counters = { .size = sizeof(counters) };

	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_pop(r), -ENOTRECOVERABLE);
	assert_true(vmm_virtq_is_broken(r->q));
	assert_true(vmm_virtq_is_enabled(r->q));
	assert_false(vmm_virtq_enable_notification(r->q));
	assert_false(vmm_virtq_needs_notification(r->q));
	vmm_virtq_get_counters(r->q, &counters);
	assert_int_equal(counters.broken, 1);
	vmm_virtq_reset(r->q);
	assert_false(vmm_virtq_is_broken(r->q));
	mock_reset(r->m, r->m->num, r->m->features);
	assert_int_equal(vmm_virtq_enable(r->q, r->m->mem, &r->m->config, NULL), 0);
	assert_int_equal(rig_pop(r), -EAGAIN);
}

static void an_avail_index_that_jumps_breaks_the_queue(void **state)
{
	static const uint16_t jumps[] = { 5, 6, 100, 0x7fff, 0x8000, 0xffff };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(jumps); i++) {
		rig_start(&r, 4, 0);
		mock_raw_avail_idx(r.m, jumps[i]);
		expect_broken(&r);
		rig_stop(&r);
	}
}

static void an_avail_index_that_goes_back_breaks_the_queue(void **state)
{
	static const struct mock_seg seg = { BUF, 1, false };
	struct rig r;

	rig_start(&r, 4, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
	}
	mock_raw_avail_idx(r.m, 1);
	expect_broken(&r);
	rig_stop(&r);
}

/* Chains in flight count: with three of four out, only one more can be there. */
static void more_than_the_queue_holds_breaks_it(void **state)
{
	static const struct mock_seg seg = { BUF, 1, false };
	struct rig r;

	rig_start(&r, 4, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
	}
	/* The next head would be good; what comes behind it cannot be. */
	mock_raw_set(r.m, 3, BUF, 1, 0, 0);
	mock_raw_driver(r.m)[2 + 3] = 3;
	mock_raw_avail_idx(r.m, 5);
	expect_broken(&r);
	rig_stop(&r);
}

static void a_head_that_does_not_exist_breaks_the_queue(void **state)
{
	static const uint16_t heads[] = { 4, 5, 0x8000, 0xffff };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(heads); i++) {
		rig_start(&r, 4, 0);
		mock_raw_avail(r.m, heads[i]);
		expect_broken(&r);
		rig_stop(&r);
	}
}

static void a_head_that_is_in_flight_breaks_the_queue(void **state)
{
	static const struct mock_seg seg = { BUF, 1, false };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	mock_raw_avail(r.m, 0);
	expect_broken(&r);
	rig_stop(&r);

	/* Twice in one go, too; the first of them is good. */
	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	mock_raw_avail(r.m, 0);
	assert_int_equal(rig_pop(&r), 0);
	expect_broken(&r);
	rig_stop(&r);
}

static void a_device_can_break_its_queue(void **state)
{
	static const struct mock_seg seg = { BUF, 1, false };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	vmm_virtq_break(r.q);
	vmm_virtq_break(r.q);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), -ENOTRECOVERABLE);
	assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), -ENOTRECOVERABLE);
	assert_int_equal(vmm_virtq_add_used_n(r.q, NULL, 0), -ENOTRECOVERABLE);
	assert_int_equal(vmm_virtq_set_mem(r.q, r.m->mem), -ENOTRECOVERABLE);
	assert_int_equal(mock_raw_used_idx(r.m), 0);
	expect_broken(&r);
	rig_stop(&r);
}

static void a_chain_as_long_as_the_queue_is_fine(void **state)
{
	struct mock_seg segs[16];
	struct rig r;

	for (uint32_t i = 0; i < 16; i++)
		segs[i] = (struct mock_seg){ BUF + 0x100 * i, 0x100, i >= 8 };
	for (int indirect = 0; indirect <= 1; indirect++) {
		rig_start(&r, 16, IND);
		assert_int_equal(mock_add(r.m, segs, 16, indirect), 0);
		assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(r.chain.readable_n, 8);
		assert_int_equal(r.chain.writable_n, 8);
		assert_int_equal(r.chain.readable_len, 0x800);
		assert_int_equal(r.chain.writable_len, 0x800);
		for (uint32_t i = 0; i < 16; i++) {
			assert_ptr_equal(r.iov[i].iov_base, r.m->ram + BUF + 0x100 * i);
			assert_int_equal(r.iov[i].iov_len, 0x100);
		}
		rig_stop(&r);
	}
}

static void direct_and_indirect_mix_in_one_chain(void **state)
{
	struct rig r;

	rig_start(&r, 4, IND);
	mock_raw_set(r.m, 0, BUF, 1, N, 3);
	/* WRITE on the indirect descriptor itself means nothing. */
	mock_raw_set(r.m, 3, TABLE + 1, 48, I | W, 0);
	mock_raw_table(r.m, TABLE + 1, 0, BUF + 1, 2, N, 2);
	mock_raw_table(r.m, TABLE + 1, 1, BUF + 9, 4, W, 0);
	mock_raw_table(r.m, TABLE + 1, 2, BUF + 5, 3, N | W, 1);
	mock_raw_avail(r.m, 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.readable_n, 2);
	assert_int_equal(r.chain.writable_n, 2);
	assert_ptr_equal(r.iov[1].iov_base, r.m->ram + BUF + 1);
	assert_ptr_equal(r.iov[2].iov_base, r.m->ram + BUF + 5);
	assert_ptr_equal(r.iov[3].iov_base, r.m->ram + BUF + 9);
	rig_stop(&r);
}

static void an_indirect_table_may_cross_regions(void **state)
{
	struct mock_seg seg = { BUF, 5, false };
	uint64_t table = MOCK_SPLIT_AT - 24;
	struct rig r;

	rig_start(&r, 4, IND);
	mock_raw_set(r.m, 0, table, 48, I, 0);
	for (uint32_t i = 0; i < 3; i++)
		mock_raw_table(r.m, table, i, seg.gpa + i, seg.len, i < 2 ? N : W, i + 1);
	mock_raw_avail(r.m, 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.readable_len, 10);
	assert_int_equal(r.chain.writable_len, 5);
	rig_stop(&r);
}

static void a_buffer_over_two_regions_becomes_two_iovecs(void **state)
{
	static const struct mock_seg seg = { MOCK_SPLIT_AT - 3, 8, true };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.writable_n, 2);
	assert_int_equal(r.chain.writable_len, 8);
	assert_int_equal(r.iov[0].iov_len, 3);
	assert_int_equal(r.iov[1].iov_len, 5);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 8), 0);
	rig_stop(&r);
}

static void empty_buffers_take_no_iovec(void **state)
{
	struct rig r;

	rig_start(&r, 4, 0);
	mock_raw_set(r.m, 0, MOCK_HOLE, 0, N, 1);
	mock_raw_set(r.m, 1, BUF, 5, N | W, 2);
	mock_raw_set(r.m, 2, UINT64_MAX, 0, W, 0);
	mock_raw_avail(r.m, 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.readable_n, 0);
	assert_int_equal(r.chain.writable_n, 1);
	assert_int_equal(r.chain.writable_len, 5);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);

	mock_raw_set(r.m, 3, 0, 0, 0, 0);
	mock_raw_avail(r.m, 3);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.readable_n + r.chain.writable_n, 0);
	rig_stop(&r);
}

static void read_only_memory_can_be_read(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_ROM + MOCK_ROM_LEN - 1, 1,
						  false } };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, segs, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_ptr_equal(r.iov[0].iov_base, r.m->rom + MOCK_ROM_LEN - 1);
	rig_stop(&r);
}

static void too_few_iovecs_is_an_error_not_an_overflow(void **state)
{
	static const struct mock_seg segs[] = { { BUF, 1, false },
						{ BUF, 1, false },
						{ MOCK_SPLIT_AT - 1, 2, true } };
	struct rig r;

	rig_start(&r, 4, 0);
	for (uint32_t max = 0; max <= 4; max++) {
		int head = mock_add(r.m, segs, 3, false);

		memset(r.iov, 0x5a, sizeof(r.iov));
		r.chain.iov_max = max;
		assert_int_equal(rig_pop(&r), max == 4 ? 0 : -E2BIG);
		assert_int_equal(*(uint8_t *)&r.iov[max], 0x5a);
		if (max < 4)
			expect_used(&r, (uint32_t)head, 0);
	}
	rig_stop(&r);
}

/* The ring is in the same memory as the buffers: naming it as one is the driver's own
 * problem, and none of ours. */
static void a_buffer_that_is_the_ring_itself_is_harmless(void **state)
{
	static const struct mock_seg seg = { MOCK_DRIVER, 0x100, true };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	memset(r.iov[0].iov_base, 0xff, r.iov[0].iov_len);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0x100), 0);
	assert_int_equal(rig_pop(&r), -ENOTRECOVERABLE);
	rig_stop(&r);
}

/* After the pop nothing in guest memory matters: not what the driver makes of the
 * descriptors, the table or the head (HG-06). */
static void a_chain_is_a_snapshot(void **state)
{
	static const struct mock_seg segs[] = { { BUF, 16, false },
						{ BUF + 64, 16, true } };
	struct rig r;
	int head;

	for (int indirect = 0; indirect <= 1; indirect++) {
		rig_start(&r, 4, IND);
		head = mock_add(r.m, segs, 2, indirect);
		assert_int_equal(rig_pop(&r), 0);
		memset(mock_at(r.m, MOCK_DESC), 0xff, 64);
		memset(mock_at(r.m, MOCK_TABLES), 0xff, 0x1000);
		mock_raw_driver(r.m)[2] = 0xffff;
		assert_ptr_equal(r.iov[0].iov_base, r.m->ram + BUF);
		assert_int_equal(r.iov[0].iov_len, 16);
		assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 17), -EINVAL);
		assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 16), 0);
		expect_used(&r, (uint32_t)head, 16);
		rig_stop(&r);
	}
}

static void indices_wrap_at_16_bits(void **state)
{
	static const struct mock_seg seg = { BUF, 1, true };
	struct rig r;

	rig_start(&r, 2, 0);
	for (uint32_t i = 0; i < 3 * 65536; i++) {
		uint32_t id, len;

		if (mock_add(r.m, &seg, 1, false) < 0 || rig_pop(&r) != 0 ||
		    vmm_virtq_add_used(r.q, r.chain.token, 1) != 0 ||
		    mock_get_used(r.m, &id, &len) != 0)
			fail_msg("round %u", i);
	}
	assert_int_equal(rig_pop(&r), -EAGAIN);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_arrive_in_order_with_their_directions),
		cmocka_unit_test(used_buffers_reach_the_driver_in_any_order),
		cmocka_unit_test(using_what_is_not_in_flight_is_refused),
		cmocka_unit_test(a_token_from_before_a_reset_or_another_round_is_refused),
		cmocka_unit_test(a_batch_is_all_or_nothing_and_shows_at_once),
		cmocka_unit_test(undo_takes_back_the_newest_pops_only),
		cmocka_unit_test(a_queue_that_is_not_enabled_refuses_work),
		cmocka_unit_test(malformed_chains_come_back_with_length_0),
		cmocka_unit_test(a_malformed_chain_in_order_waits_for_its_turn),
		cmocka_unit_test(in_order_holds_early_completions_back),
		cmocka_unit_test(an_avail_index_that_jumps_breaks_the_queue),
		cmocka_unit_test(an_avail_index_that_goes_back_breaks_the_queue),
		cmocka_unit_test(more_than_the_queue_holds_breaks_it),
		cmocka_unit_test(a_head_that_does_not_exist_breaks_the_queue),
		cmocka_unit_test(a_head_that_is_in_flight_breaks_the_queue),
		cmocka_unit_test(a_device_can_break_its_queue),
		cmocka_unit_test(a_chain_as_long_as_the_queue_is_fine),
		cmocka_unit_test(direct_and_indirect_mix_in_one_chain),
		cmocka_unit_test(an_indirect_table_may_cross_regions),
		cmocka_unit_test(a_buffer_over_two_regions_becomes_two_iovecs),
		cmocka_unit_test(empty_buffers_take_no_iovec),
		cmocka_unit_test(read_only_memory_can_be_read),
		cmocka_unit_test(too_few_iovecs_is_an_error_not_an_overflow),
		cmocka_unit_test(a_buffer_that_is_the_ring_itself_is_harmless),
		cmocka_unit_test(a_chain_is_a_snapshot),
		cmocka_unit_test(indices_wrap_at_16_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Set-up, reset, memory changes, and saved positions taken as hostile input. */
#include "virtio-test.h"

static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };

static void new_refuses_a_bad_size(void **state)
{
	static const struct {
		uint32_t max;
		int want;
	} cases[] = { { 0, -EINVAL }, { 32769, -EINVAL }, { UINT32_MAX, -EINVAL },
		      { 1, 0 },	      { 15, 0 },	  { 32768, 0 } };

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_virtq_free) struct vmm_virtq *q = NULL;

		assert_int_equal(vmm_virtq_new(cases[i].max, &q), cases[i].want);
		assert_true((q != NULL) == (cases[i].want == 0));
	}
}

static void enable_refuses_what_check_refuses(void **state)
{
	static const struct {
		uint32_t num;
		uint64_t desc, driver, device, features;
		int want;
	} cases[] = {
		{ 0, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE, 0, -EBADMSG },
		{ 17, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE, 0, -EBADMSG },
		{ 11, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE, 0, -EBADMSG },
		{ 32, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE, PACKED, -EBADMSG },
		{ 4, 0xf, MOCK_DRIVER, MOCK_DEVICE, 0, -EBADMSG },
		{ 4, MOCK_DESC, 0x1, MOCK_DEVICE, 0, -EBADMSG },
		{ 4, MOCK_DESC, MOCK_DRIVER, 0x3, 0, -EBADMSG },
		{ 4, UINT64_C(0xfffffffffffffff0), MOCK_DRIVER, MOCK_DEVICE, 0, -EFAULT },
		{ 4, MOCK_DESC, UINT64_C(0xfffffffffffffffe), MOCK_DEVICE, 0, -EFAULT },
		{ 4, MOCK_DESC, MOCK_DRIVER, UINT64_C(0xfffffffffffffffc), 0, -EFAULT },
		{ 4, MOCK_HOLE - 48, MOCK_DRIVER, MOCK_DEVICE, 0, -EFAULT },
		{ 4, MOCK_SPLIT_AT - 48, MOCK_DRIVER, MOCK_DEVICE, 0, -EFAULT },
		{ 4, MOCK_DESC, MOCK_DRIVER, MOCK_ROM, 0, -EROFS },
		{ 4, MOCK_ROM, MOCK_DRIVER, MOCK_DEVICE, PACKED, -EROFS },
		{ 4, MOCK_DESC, MOCK_DRIVER, MOCK_ROM, PACKED, -EROFS },
		{ 4, MOCK_DESC, MOCK_DESC + 0x3e, MOCK_DEVICE, 0, -EBADMSG },
		{ 4, MOCK_DESC, MOCK_DRIVER, MOCK_DRIVER + 12, 0, -EBADMSG },
		{ 4, MOCK_DESC, MOCK_DEVICE + 36, MOCK_DEVICE, 0, -EBADMSG },
		{ 4, MOCK_DESC, MOCK_DRIVER, MOCK_DRIVER, PACKED, -EBADMSG },
		{ 4, 0x40, 0x2, 0x10, 0, 0 },
		{ 4, MOCK_DESC, MOCK_DRIVER, MOCK_DRIVER + 16, 0, 0 },
		{ 4, MOCK_DESC, MOCK_DEVICE + 38, MOCK_DEVICE, 0, 0 },
		{ 4, MOCK_ROM, MOCK_ROM + 64, MOCK_HOLE - 40, 0, 0 },
		{ 11, MOCK_DESC, MOCK_DRIVER, MOCK_DRIVER + 4, PACKED, 0 },
	};
	struct mock *m = mock_new(16, 0);

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_virtq_free) struct vmm_virtq *q = NULL;
		struct vmm_virtq_config c = VMM_VIRTQ_CONFIG_INIT;
		struct vmm_error err = { 0 };

		assert_int_equal(vmm_virtq_new(16, &q), 0);
		c.num = cases[i].num;
		c.desc = cases[i].desc;
		c.driver = cases[i].driver;
		c.device = cases[i].device;
		c.features = cases[i].features;
		if (vmm_virtq_check(q, m->mem, &c, &err) != cases[i].want)
			fail_msg("case %zu: %d %s", i, err.code, err.message);
		assert_int_equal(err.code, cases[i].want);
		assert_int_equal(vmm_virtq_enable(q, m->mem, &c, NULL), cases[i].want);
		assert_true(vmm_virtq_is_enabled(q) == (cases[i].want == 0));
	}
	mock_free(m);
}

static void a_configuration_of_another_release_is_understood(void **state)
{
	struct {
		struct vmm_virtq_config c;
		uint64_t more;
	} big = { VMM_VIRTQ_CONFIG_INIT, 0 };
	struct rig r;

	rig_start(&r, 4, 0);
	vmm_virtq_reset(r.q);
	big.c = r.m->config;
	big.c.size = sizeof(big);
	big.more = 1;
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &big.c, NULL), -E2BIG);
	big.more = 0;
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &big.c, NULL), 0);
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &big.c, NULL), -EBUSY);
	vmm_virtq_reset(r.q);
	big.c.size = 0;
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &big.c, NULL), -EINVAL);
	big.c.size = sizeof(big.c);
	big.c.reserved_ = 1;
	assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &big.c, NULL), -EINVAL);
	rig_stop(&r);
}

static void the_callers_copy_does_not_matter_after_enable(void **state)
{
	struct rig r;

	rig_start(&r, 4, 0);
	r.m->config.num = 1024;
	assert_int_equal(vmm_virtq_get_num(r.q), 4);
	r.m->config.num = 4;
	rig_stop(&r);
}

static void reset_takes_everything_back(void **state)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT, blank = VMM_VIRTQ_STATE_INIT;
	struct vmm_virtq_counters c = { .size = sizeof(c) };
	struct rig r;

	rig_start(&r, 4, EV | IND | IN_ORDER);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	assert_memory_equal(&s, &blank, sizeof(s));
	assert_int_equal(vmm_virtq_get_inflight(r.q, NULL, 0), 0);
	assert_false(vmm_virtq_needs_notification(r.q));
	assert_int_equal(rig_pop(&r), -ENOTCONN);
	/* Counters are for the operator and stay. */
	vmm_virtq_get_counters(r.q, &c);
	assert_int_equal(c.used, 1);
	assert_int_equal(c.inflight, 0);
	assert_int_equal(c.num, 0);
	rig_stop(&r);
}

static void counters_respect_the_callers_size(void **state)
{
	struct vmm_virtq_counters c;
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	assert_true(vmm_virtq_needs_notification(r.q));
	memset(&c, 0xff, sizeof(c));
	c.size = offsetof(struct vmm_virtq_counters, interrupts);
	vmm_virtq_get_counters(r.q, &c);
	assert_int_equal(c.size, offsetof(struct vmm_virtq_counters, interrupts));
	assert_int_equal(c.used, 1);
	assert_true(c.interrupts == UINT64_MAX);
	c.size = 0;
	c.used = 77;
	vmm_virtq_get_counters(r.q, &c);
	assert_int_equal(c.used, 77);
	rig_stop(&r);
}

/* A chain that is out when the queue is reset is nobody's any more. */
static void each_number_is_counted_by_itself(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED, IN_ORDER };

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		struct vmm_virtq_counters c = { .size = sizeof(c) };
		struct rig r;

		rig_start(&r, 4, features[i]);
		for (int k = 0; k < 3; k++)
			assert_true(mock_add(r.m, &seg, 1, false) >= 0);
		for (int k = 0; k < 2; k++)
			assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), 0);
		vmm_virtq_get_counters(r.q, &c);
		assert_int_equal(c.used, 0);
		assert_int_equal(c.inflight, 1);
		assert_int_equal(c.num, 4);
		vmm_virtq_reset(r.q);
		mock_reset(r.m, 4, features[i]);
		assert_int_equal(vmm_virtq_enable(r.q, r.m->mem, &r.m->config, NULL), 0);
		for (int k = 0; k < 2; k++) {
			assert_true(mock_add(r.m, &seg, 1, false) >= 0);
			assert_int_equal(rig_pop(&r), 0);
			assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
			assert_true(vmm_virtq_needs_notification(r.q) ==
				    (k == 0 || features[i] != EV));
		}
		vmm_virtq_break(r.q);
		vmm_virtq_break(r.q);
		vmm_virtq_get_counters(r.q, &c);
		assert_int_equal(c.used, 2);
		assert_int_equal(c.interrupts, features[i] == EV ? 1 : 2);
		assert_int_equal(c.suppressed, features[i] == EV ? 1 : 0);
		assert_int_equal(c.malformed, 0);
		assert_int_equal(c.broken, 1);
		assert_int_equal(c.inflight, 0);
		rig_stop(&r);
	}
}

static void a_memory_change_moves_the_ring_and_later_chains(void **state)
{
	struct rig r, other;
	int id;

	rig_start(&r, 4, 0);
	rig_start(&other, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_ptr_equal(r.iov[0].iov_base, r.m->ram + MOCK_BUFFERS);

	/* The guest's memory is somewhere else now, with the same content. */
	memcpy(other.m->ram, r.m->ram, MOCK_RAM_LEN);
	assert_int_equal(vmm_virtq_set_mem(r.q, other.m->mem), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 8), 0);
	assert_int_equal(mock_raw_used_idx(r.m), 0);
	assert_int_equal(mock_raw_used_idx(other.m), 1);
	other.m->avail_idx = 1;
	id = mock_add(other.m, &seg, 1, false);
	assert_true(id >= 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_ptr_equal(r.iov[0].iov_base, other.m->ram + MOCK_BUFFERS);
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_set_mem(r.q, r.m->mem), 0);
	rig_stop(&r);
	rig_stop(&other);
}

static void a_ring_that_is_gone_breaks_the_queue(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *empty = NULL;
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(vmm_mem_builder_new(&b), 0);
	assert_int_equal(vmm_mem_builder_build(b, &empty), 0);
	assert_int_equal(vmm_virtq_set_mem(r.q, empty), -EFAULT);
	assert_true(vmm_virtq_is_broken(r.q));
	assert_int_equal(vmm_virtq_set_mem(r.q, r.m->mem), -ENOTRECOVERABLE);
	rig_stop(&r);
}

static void a_saved_queue_goes_on_where_it_was(void **state)
{
	static const uint64_t features[] = { 0, EV, IN_ORDER, PACKED, PACKED | EV };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT,
				       again = VMM_VIRTQ_STATE_INIT;

		rig_start(&r, 4, features[i]);
		for (uint32_t n = 0; n < 11; n++) {
			int id = mock_add(r.m, &seg, 1, false);

			assert_true(id >= 0);
			assert_int_equal(rig_pop(&r), 0);
			assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, n % 8),
					 0);
			expect_used(&r, (uint32_t)id, n % 8);
			assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
			assert_int_equal(s.inflight, 0);
			assert_int_equal(s.added, 1);
			vmm_virtq_reset(r.q);
			assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &s, NULL, NULL),
					 0);
			assert_int_equal(vmm_virtq_get_state(r.q, &again), 0);
			assert_memory_equal(&s, &again, sizeof(s));
			/* The interrupt that was due still is. */
			assert_true(vmm_virtq_needs_notification(r.q) ||
				    features[i] & EV);
		}
		rig_stop(&r);
	}
}

static void chains_in_flight_are_handed_out_again(void **state)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	uint64_t tokens[3], stale;
	uint16_t heads[4] = { 0 };
	struct rig r;

	rig_start(&r, 4, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mock_add(r.m, &seg, 1, false), i);
		assert_int_equal(rig_pop(&r), 0);
		tokens[i] = r.chain.token;
	}
	assert_int_equal(vmm_virtq_add_used(r.q, tokens[1], 1), 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 3);
	assert_int_equal(vmm_virtq_get_inflight(r.q, heads, 1), 2);
	assert_int_equal(heads[0], 0);
	assert_int_equal(vmm_virtq_get_inflight(r.q, heads, 4), 2);
	assert_int_equal(heads[0], 0);
	assert_int_equal(heads[1], 2);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	assert_int_equal(s.inflight, 2);
	stale = tokens[0];
	vmm_virtq_reset(r.q);

	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &s, heads, NULL), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, stale, 0), -ESTALE);
	assert_int_equal(vmm_virtq_get_inflight(r.q, heads, 4), 2);
	assert_true(vmm_virtq_enable_notification(r.q));
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 0);
	/* Back and again, and a snapshot in the middle. */
	assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 0);
	assert_int_equal(vmm_virtq_get_inflight(r.q, heads, 4), 2);
	assert_int_equal(heads[0], 0);
	assert_int_equal(heads[1], 2);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 2);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(r.chain.head, 3);
	assert_int_equal(rig_pop(&r), -EAGAIN);
	rig_stop(&r);
}

/* A head that waits to be repeated is as much in flight as any other. */
static void a_repeated_head_cannot_be_offered_meanwhile(void **state)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	uint16_t heads[1] = { 0 };
	struct rig r;

	rig_start(&r, 4, 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &s, heads, NULL), 0);
	mock_raw_avail(r.m, 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(rig_pop(&r), -ENOTRECOVERABLE);
	rig_stop(&r);
}

static void what_cannot_be_saved_says_so(void **state)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	uint64_t first;
	struct rig r;

	rig_start(&r, 4, PACKED);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), -EBUSY);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	rig_restart(&r, 4, IN_ORDER);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(rig_pop(&r), 0);
	first = r.chain.token;
	assert_int_equal(mock_add(r.m, &seg, 1, false), 1);
	assert_int_equal(rig_pop(&r), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), -EBUSY);
	assert_int_equal(vmm_virtq_add_used(r.q, first, 0), 0);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	rig_stop(&r);
}

static void a_broken_queue_is_restored_broken(void **state)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	struct rig r;

	rig_start(&r, 4, 0);
	vmm_virtq_break(r.q);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &s, NULL, NULL), 0);
	assert_int_equal(rig_pop(&r), -ENOTRECOVERABLE);
	rig_stop(&r);
}

/* Good is 2 in flight of 4, at 10 and 8. */
static void a_corrupt_state_is_refused(void **state)
{
	static const uint16_t good_heads[] = { 3, 1 }, far[] = { 3, 4 },
			      twice[] = { 3, 3 };
	struct vmm_virtq_state good = VMM_VIRTQ_STATE_INIT, bad;
	const uint16_t *heads = good_heads;
	struct rig r;

	rig_start(&r, 4, 0);
	good.config = r.m->config;
	good.enabled = 1;
	good.next_avail = 10;
	good.next_used = 8;
	good.inflight = 2;
	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &good, heads, NULL), -EBUSY);
	vmm_virtq_reset(r.q);
#define REFUSED(change, want)                                                         \
	do {                                                                          \
		bad = good;                                                           \
		heads = good_heads;                                                   \
		change;                                                               \
		assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &bad, heads, NULL), \
				 want);                                               \
		assert_false(vmm_virtq_is_enabled(r.q));                              \
	} while (0)
	REFUSED(bad.size = 0, -EINVAL);
	REFUSED(bad.config.size = 0, -EBADMSG);
	REFUSED(bad.config.size = SIZE_MAX, -EBADMSG);
	REFUSED(bad.config.num = 0, -EBADMSG);
	REFUSED(bad.config.num = 3, -EBADMSG);
	REFUSED(bad.config.num = 8, -EBADMSG);
	REFUSED(bad.config.num = 1, -EBADMSG);
	REFUSED(bad.config.desc += 1, -EBADMSG);
	REFUSED(bad.config.driver += 1, -EBADMSG);
	REFUSED(bad.config.device += 2, -EBADMSG);
	REFUSED(bad.config.desc = MOCK_HOLE, -EFAULT);
	REFUSED(bad.next_avail = 9, -EBADMSG);
	REFUSED(bad.next_avail = 7, -EBADMSG);
	REFUSED(bad.next_used = 10, -EBADMSG);
	REFUSED(bad.inflight = 3, -EBADMSG);
	REFUSED(bad.inflight = 0x10002, -EBADMSG);
	REFUSED((bad.inflight = 5, bad.next_avail = 13), -EBADMSG);
	REFUSED(bad.avail_wrap = 1, -EBADMSG);
	REFUSED(bad.used_wrap = 1, -EBADMSG);
	REFUSED(bad.broken = 2, -EBADMSG);
	REFUSED(bad.enabled = 2, -EBADMSG);
	REFUSED(bad.enabled = 0, -EBADMSG);
	REFUSED(heads = far, -EBADMSG);
	REFUSED(heads = twice, -EBADMSG);
	REFUSED(heads = NULL, -EBADMSG);
	REFUSED(bad.config.features = PACKED, -EBADMSG);
	good.config.features = PACKED;
	good.inflight = 0;
	good.next_avail = 3;
	good.next_used = 3;
	good.avail_wrap = 1;
	good.used_wrap = 1;
	REFUSED(bad.next_avail = 2, -EBADMSG);
	REFUSED((bad.next_avail = 4, bad.next_used = 4), -EBADMSG);
	REFUSED(bad.used_wrap = 0, -EBADMSG);
	REFUSED(bad.avail_wrap = 3, -EBADMSG);
#undef REFUSED
	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &good, NULL, NULL), 0);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_refuses_a_bad_size),
		cmocka_unit_test(enable_refuses_what_check_refuses),
		cmocka_unit_test(a_configuration_of_another_release_is_understood),
		cmocka_unit_test(the_callers_copy_does_not_matter_after_enable),
		cmocka_unit_test(reset_takes_everything_back),
		cmocka_unit_test(counters_respect_the_callers_size),
		cmocka_unit_test(each_number_is_counted_by_itself),
		cmocka_unit_test(a_memory_change_moves_the_ring_and_later_chains),
		cmocka_unit_test(a_ring_that_is_gone_breaks_the_queue),
		cmocka_unit_test(a_saved_queue_goes_on_where_it_was),
		cmocka_unit_test(chains_in_flight_are_handed_out_again),
		cmocka_unit_test(a_repeated_head_cannot_be_offered_meanwhile),
		cmocka_unit_test(what_cannot_be_saved_says_so),
		cmocka_unit_test(a_broken_queue_is_restored_broken),
		cmocka_unit_test(a_corrupt_state_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

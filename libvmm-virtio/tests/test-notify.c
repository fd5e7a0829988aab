/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* When the device interrupts, and when it wants to be notified. */
#include "virtio-test.h"

static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };

/* Offer and use one chain; says whether the driver wants an interrupt. */
static bool use_one(struct rig *r)
{
	uint32_t id, len;

	assert_true(mock_add(r->m, &seg, 1, false) >= 0);
	assert_int_equal(rig_pop(r), 0);
	assert_int_equal(vmm_virtq_add_used(r->q, r->chain.token, 1), 0);
	assert_int_equal(mock_get_used(r->m, &id, &len), 0);
	return vmm_virtq_needs_notification(r->q);
}

/* Used and available position of a split ring put where a test wants them. */
static void start_at(struct rig *r, uint32_t num, uint64_t features, uint16_t idx)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;

	rig_start(r, num, features);
	assert_int_equal(vmm_virtq_get_state(r->q, &s), 0);
	s.next_avail = idx;
	s.next_used = idx;
	vmm_virtq_reset(r->q);
	assert_int_equal(vmm_virtq_restore(r->q, r->m->mem, &s, NULL, NULL), 0);
	r->m->avail_idx = idx;
	r->m->used_idx = idx;
	mock_raw_avail_idx(r->m, idx);
	mock_raw_device(r->m)[1] = idx;
}

static void no_interrupt_without_a_used_buffer(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED, PACKED | EV };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		rig_start(&r, 4, features[i]);
		assert_false(vmm_virtq_needs_notification(r.q));
		assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
		assert_int_equal(rig_pop(&r), 0);
		assert_false(vmm_virtq_needs_notification(r.q));
		assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
		assert_true(vmm_virtq_needs_notification(r.q));
		/* Asked and answered. */
		assert_false(vmm_virtq_needs_notification(r.q));
		rig_stop(&r);
	}
}

static void the_no_interrupt_flag_is_honoured(void **state)
{
	struct rig r;

	rig_start(&r, 4, 0);
	assert_true(use_one(&r));
	mock_raw_driver(r.m)[0] = 1;
	assert_false(use_one(&r));
	/* Other bits mean nothing. */
	mock_raw_driver(r.m)[0] = 0xfffe;
	assert_true(use_one(&r));
	rig_stop(&r);

	/* With event indices the flag is not looked at. */
	rig_start(&r, 4, EV);
	mock_raw_driver(r.m)[0] = 1;
	assert_true(use_one(&r));
	rig_stop(&r);
}

/* All the way round the index, one at a time: only the passing of used_event counts. */
static void one_used_event_is_one_interrupt_a_round(void **state)
{
	struct rig r;

	rig_start(&r, 16, EV);
	mock_raw_driver(r.m)[2 + 16] = 4;
	for (uint32_t used = 1; used <= 65536 + 12; used++) {
		bool wanted = use_one(&r);

		if (wanted != (used == 5 || used == 5 + 65536))
			fail_msg("used %u: %d", used, wanted);
	}
	rig_stop(&r);
}

static void a_used_event_in_a_batch_or_over_the_wrap_counts(void **state)
{
	static const struct {
		uint16_t from, by, event;
		bool want;
	} cases[] = {
		{ 0, 4, 0, true },	     { 0, 4, 3, true },
		{ 0, 4, 4, false },	     { 0, 4, 0xffff, false },
		{ 0xfffd, 8, 0xfffd, true }, { 0xfffd, 8, 0xffff, true },
		{ 0xfffd, 8, 0, true },	     { 0xfffd, 8, 4, true },
		{ 0xfffd, 8, 5, false },     { 0xfffd, 8, 0xfffc, false },
		{ 0xffff, 1, 0xffff, true }, { 0xffff, 1, 0, false },
	};
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_virtq_used used[8] = { { 0, 0, 0 } };

		start_at(&r, 16, EV, cases[i].from);
		mock_raw_driver(r.m)[2 + 16] = cases[i].event;
		for (uint32_t n = 0; n < cases[i].by; n++) {
			assert_true(mock_add(r.m, &seg, 1, false) >= 0);
			assert_int_equal(rig_pop(&r), 0);
			used[n].token = r.chain.token;
		}
		assert_int_equal(vmm_virtq_add_used_n(r.q, used, cases[i].by), 0);
		if (vmm_virtq_needs_notification(r.q) != cases[i].want)
			fail_msg("case %zu", i);
		rig_stop(&r);
	}
}

/* 65536 used buffers without a look: the 16-bit distance is 0 again, the interrupt is
 * still due. */
static void a_whole_round_without_a_look_is_an_interrupt(void **state)
{
	struct rig r;

	rig_start(&r, 4, EV);
	mock_raw_driver(r.m)[2 + 4] = 0x1234;
	for (uint32_t i = 0; i < 65536; i++) {
		uint32_t id, len;

		assert_true(mock_add(r.m, &seg, 1, false) >= 0);
		assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 1), 0);
		assert_int_equal(mock_get_used(r.m, &id, &len), 0);
	}
	assert_true(vmm_virtq_needs_notification(r.q));
	assert_false(vmm_virtq_needs_notification(r.q));
	rig_stop(&r);
}

static void notifications_are_switched_by_flag_or_event(void **state)
{
	struct rig r;

	rig_start(&r, 4, 0);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[0], 0);
	vmm_virtq_disable_notification(r.q);
	assert_int_equal(mock_raw_device(r.m)[0], 1);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_false(mock_should_kick(r.m));
	assert_true(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[0], 0);
	assert_int_equal(rig_pop(&r), 0);
	assert_false(vmm_virtq_enable_notification(r.q));
	rig_stop(&r);

	rig_start(&r, 4, EV);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[2 + 4 * 4], 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_true(mock_should_kick(r.m));
	assert_true(vmm_virtq_enable_notification(r.q));
	assert_int_equal(rig_pop(&r), 0);
	vmm_virtq_disable_notification(r.q);
	assert_int_equal(mock_raw_device(r.m)[0], 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 1);
	assert_false(mock_should_kick(r.m));
	assert_int_equal(rig_pop(&r), 0);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[2 + 4 * 4], 2);
	rig_stop(&r);
}

/* The usual loop of a device: no chain is left behind however the driver times it. */
static void a_chain_that_races_with_going_to_sleep_is_seen(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED, PACKED | EV };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		rig_start(&r, 4, features[i]);
		assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
		vmm_virtq_disable_notification(r.q);
		assert_int_equal(rig_pop(&r), 0);
		assert_int_equal(rig_pop(&r), -EAGAIN);
		assert_int_equal(mock_add(r.m, &seg, 1, false), 1);
		assert_true(vmm_virtq_enable_notification(r.q));
		assert_int_equal(rig_pop(&r), 0);
		assert_false(vmm_virtq_enable_notification(r.q));
		assert_int_equal(mock_add(r.m, &seg, 1, false), 2);
		assert_true(mock_should_kick(r.m));
		rig_stop(&r);
	}
}

static void packed_suppression_has_three_modes(void **state)
{
	struct rig r;

	rig_start(&r, 4, PACKED | EV);
	assert_true(use_one(&r));
	mock_raw_driver(r.m)[1] = 1;
	assert_false(use_one(&r));
	mock_raw_driver(r.m)[1] = 3; /* reserved */
	assert_true(use_one(&r));
	mock_raw_driver(r.m)[1] = 2;
	mock_raw_driver(r.m)[0] = 1 << 15 | 3;
	assert_true(use_one(&r)); /* slot 3 of the first round was just used */
	assert_false(use_one(&r));
	mock_raw_driver(r.m)[0] = 1; /* second round has wrap 0 */
	assert_true(use_one(&r));
	mock_raw_driver(r.m)[0] = 1 << 15 | 2;
	assert_false(use_one(&r));
	rig_stop(&r);

	/* Without event indices "descriptor" is no mode. */
	rig_start(&r, 4, PACKED);
	mock_raw_driver(r.m)[1] = 2;
	mock_raw_driver(r.m)[0] = 3;
	assert_true(use_one(&r));
	rig_stop(&r);
}

/* Each event position against each batch, on rings of odd and even size, by counting. */
static void packed_events_match_a_count(void **state)
{
	struct rig r;

	for (uint32_t num = 3; num <= 4; num++) {
		for (uint32_t start = 0; start < 2 * num; start++) {
			for (uint32_t event = 0; event < 2 * num; event++) {
				rig_start(&r, num, PACKED | EV);
				for (uint32_t i = 0; i < start; i++)
					(void)use_one(&r);
				mock_raw_driver(r.m)[1] = 2;
				mock_raw_driver(r.m)[0] =
				    (uint16_t)(event % num |
					       (event < num ? 1u << 15 : 0));
				/* The event lies ahead by less than a ring, or it is
				 * past. */
				for (uint32_t i = 0; i < num; i++) {
					uint32_t at = (start + i) % (2 * num);
					bool got = use_one(&r);

					if (got != (at == event))
						fail_msg("num %u start %u event %u at %u",
							 num, start, event, at);
				}
				rig_stop(&r);
			}
		}
	}
}

static void packed_notifications_are_switched(void **state)
{
	struct rig r;

	rig_start(&r, 4, PACKED);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[1], 0);
	vmm_virtq_disable_notification(r.q);
	assert_int_equal(mock_raw_device(r.m)[1], 1);
	rig_stop(&r);

	rig_start(&r, 4, PACKED | EV);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[1], 2);
	assert_int_equal(mock_raw_device(r.m)[0], 1 << 15);
	for (int i = 0; i < 5; i++)
		(void)use_one(&r);
	assert_false(vmm_virtq_enable_notification(r.q));
	assert_int_equal(mock_raw_device(r.m)[0], 1);
	rig_stop(&r);
}

static void looking_tells_the_driver_nothing(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED, PACKED | EV };
	static const struct mock_seg one = { MOCK_BUFFERS, 8, true };
	struct rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		uint8_t before[64];

		rig_start(&r, 4, features[i]);
		memcpy(before, mock_raw_device(r.m), sizeof(before));
		assert_false(vmm_virtq_has_chain(r.q));
		assert_true(mock_add(r.m, &one, 1, false) >= 0);
		assert_true(vmm_virtq_has_chain(r.q));
		assert_memory_equal(before, mock_raw_device(r.m), sizeof(before));
		assert_int_equal(rig_pop(&r), 0);
		assert_false(vmm_virtq_has_chain(r.q));
		assert_true(mock_add(r.m, &one, 1, false) >= 0);
		vmm_virtq_break(r.q);
		assert_false(vmm_virtq_has_chain(r.q));
		rig_stop(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looking_tells_the_driver_nothing),
		cmocka_unit_test(no_interrupt_without_a_used_buffer),
		cmocka_unit_test(the_no_interrupt_flag_is_honoured),
		cmocka_unit_test(one_used_event_is_one_interrupt_a_round),
		cmocka_unit_test(a_used_event_in_a_batch_or_over_the_wrap_counts),
		cmocka_unit_test(a_whole_round_without_a_look_is_an_interrupt),
		cmocka_unit_test(notifications_are_switched_by_flag_or_event),
		cmocka_unit_test(a_chain_that_races_with_going_to_sleep_is_seen),
		cmocka_unit_test(packed_suppression_has_three_modes),
		cmocka_unit_test(packed_events_match_a_count),
		cmocka_unit_test(packed_notifications_are_switched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

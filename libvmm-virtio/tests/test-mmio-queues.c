/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Setting queues up, taking them down, and what a driver must not change. */
#include "mmio-rig.h"

static void queues_are_set_up_between_features_ok_and_driver_ok(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 0);
	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 0);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
	wr(&d, R_STATUS, 0xb);
	/* What was written too early is not there. */
	wr(&d, R_QUEUE_READY, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&d, R_STATUS, 0xf);
	/* Too late, also for a queue that was never set up. */
	assert_int_equal(set_queue(&d, 1, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 0);
	assert_false(vmm_virtq_is_enabled(d.queues[1]));
	stop(&d);
}

/* The class of bug in which the guest changes size or address under the device's feet. */
static void a_ready_queue_is_frozen(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };
	struct iovec iov[16];
	struct vmm_virtq_chain chain = VMM_VIRTQ_CHAIN_INIT(iov);
	struct dev d;

	start(&d);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	for (int active = 0; active <= 1; active++) {
		wr(&d, R_QUEUE_NUM, 1);
		wr64(&d, R_DESC, MOCK_HOLE);
		wr64(&d, R_DRIVER, MOCK_HOLE);
		wr64(&d, R_DEVICE, MOCK_HOLE);
		wr(&d, R_STATUS, 0xf);
		assert_int_equal(rd(&d, R_STATUS), 0xf);
		assert_int_equal(vmm_virtq_get_num(d.queues[0]), 16);
	}
	wr(&d, R_QUEUE_READY, 0);
	assert_int_equal(rd(&d, R_QUEUE_READY), 1);
	assert_int_equal(mock_add(d.m, &seg, 1, false), 0);
	assert_int_equal(vmm_virtq_pop(d.queues[0], &chain), 0);
	assert_int_equal(vmm_virtq_add_used(d.queues[0], chain.token, 8), 0);
	stop(&d);
}

static void a_queue_can_be_withdrawn_before_driver_ok(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&d, R_QUEUE_READY, 0);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	wr(&d, R_QUEUE_NUM, 8);
	wr(&d, R_QUEUE_READY, 1);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(vmm_virtq_get_num(d.queues[0]), 8);
	stop(&d);
}

static void a_bad_queue_does_not_become_ready(void **state)
{
	static const struct {
		uint32_t index, num;
		uint64_t desc, driver, device;
	} cases[] = {
		{ 0, 0, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 17, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 32, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 11, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 0x10008, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 2, 2, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 3, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0x10000, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ UINT32_MAX, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC + 8, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, MOCK_DRIVER + 1, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE + 2 },
		{ 0, 16, MOCK_DESC, MOCK_DESC, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, MOCK_DESC + 0xfe, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DRIVER + 0x24 },
		{ 0, 16, MOCK_DESC, MOCK_DESC, MOCK_DESC },
		{ 0, 16, MOCK_HOLE, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, MOCK_HOLE - 16, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, MOCK_SPLIT_AT - 16, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, UINT64_MAX - 15, MOCK_DRIVER, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, UINT64_MAX - 1, MOCK_DEVICE },
		{ 0, 16, MOCK_DESC, MOCK_DRIVER, UINT64_MAX - 3 },
		{ 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_ROM },
		{ 0, 16, 0, 0, 0 },
	};
	struct dev d;

	start(&d);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		assert_int_equal(reach_features_ok(&d, 0), 0xb);
		if (set_queue(&d, cases[i].index, cases[i].num, cases[i].desc,
			      cases[i].driver, cases[i].device) != 0)
			fail_msg("case %zu became ready", i);
		wr(&d, R_STATUS, 0xf);
		assert_int_equal(rd(&d, R_STATUS), 0xf);
		assert_false(vmm_virtq_is_enabled(d.queues[0]));
	}
	/* Low addresses, and read-only memory for what is only read, are fine. */
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 2, 1, 0x10, 2, 0x100), 1);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_ROM, MOCK_ROM + 0x1000, MOCK_DEVICE),
			 1);
	stop(&d);
}

static void a_packed_queue_need_not_be_a_power_of_two(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(reach_features_ok(&d, PACKED), 0xb);
	assert_int_equal(set_queue(&d, 0, 11, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	assert_int_equal(set_queue(&d, 1, 11, MOCK_ROM, MOCK_DRIVER, MOCK_DEVICE), 0);
	assert_int_equal(set_queue(&d, 1, 11, MOCK_DESC, MOCK_DRIVER + 2, MOCK_DEVICE),
			 0);
	stop(&d);
}

static void ready_takes_0_and_1_only(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	for (uint32_t value = 2; value != 0; value *= 2) {
		wr(&d, R_QUEUE_READY, value);
		assert_int_equal(rd(&d, R_QUEUE_READY), 1);
	}
	wr(&d, R_QUEUE_READY, 0);
	wr(&d, R_QUEUE_READY, 0xffffffff);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	stop(&d);
}

static void halves_of_an_address_come_in_any_order(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	wr(&d, R_QUEUE_NUM, 16);
	wr64(&d, R_DESC, UINT64_C(0xffffffff00000008));
	wr64(&d, R_DRIVER, MOCK_DRIVER);
	wr64(&d, R_DEVICE, MOCK_DEVICE);
	wr(&d, R_DESC + 4, 0);
	wr(&d, R_DESC, MOCK_DESC);
	wr(&d, R_QUEUE_READY, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 1);
	stop(&d);
}

static void a_queue_that_is_not_there_has_size_0(void **state)
{
	static const uint32_t sels[] = { 3, 0xffff, 0x10000, 0x10001, UINT32_MAX };
	struct dev d;

	start(&d);
	for (size_t i = 0; i < VMM_ARRAY_LEN(sels); i++) {
		wr(&d, R_QUEUE_SEL, sels[i]);
		assert_int_equal(rd(&d, R_QUEUE_NUM_MAX), 0);
		assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	}
	stop(&d);
}

static void a_queue_reset_needs_the_feature(void **state)
{
	struct dev d;

	start(&d);
	reach_driver_ok(&d, 0);
	wr(&d, R_QUEUE_RESET, 1);
	assert_int_equal(d.queue_resets, 0);
	assert_int_equal(rd(&d, R_QUEUE_READY), 1);
	assert_int_equal(reach_features_ok(&d, RING_RESET), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&d, R_QUEUE_RESET, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 1);
	assert_int_equal(d.queue_resets, 0);
	stop(&d);
}

static void a_reset_queue_can_be_set_up_anew(void **state)
{
	struct dev d;

	start(&d);
	reach_driver_ok(&d, RING_RESET);
	wr(&d, R_QUEUE_RESET, 0);
	wr(&d, R_QUEUE_RESET, 2);
	assert_int_equal(d.queue_resets, 0);
	wr(&d, R_QUEUE_RESET, 1);
	assert_int_equal(rd(&d, R_QUEUE_RESET), 0);
	assert_int_equal(d.queue_resets, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	assert_false(vmm_virtq_is_enabled(d.queues[0]));
	d.notified[0] = 0;
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(d.notified[0], 0);

	/* The old set-up is gone, a bad one is refused, a good one works. */
	wr(&d, R_QUEUE_READY, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	assert_int_equal(set_queue(&d, 0, 8, MOCK_DESC, MOCK_DESC, MOCK_DEVICE), 0);
	assert_int_equal(set_queue(&d, 0, 8, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	assert_int_equal(d.queue_enables, 1);
	assert_int_equal(d.notified[0], 1);
	assert_int_equal(vmm_virtq_get_num(d.queues[0]), 8);
	wr(&d, R_QUEUE_NUM, 16);
	wr(&d, R_QUEUE_READY, 0);
	assert_int_equal(rd(&d, R_QUEUE_READY), 1);

	/* One that does not exist, and one that was never ready. */
	wr(&d, R_QUEUE_SEL, 7);
	wr(&d, R_QUEUE_RESET, 1);
	wr(&d, R_QUEUE_SEL, 1);
	wr(&d, R_QUEUE_RESET, 1);
	assert_int_equal(d.queue_resets, 1);
	assert_int_equal(set_queue(&d, 1, 8, MOCK_DESC + 0x1000, MOCK_DRIVER + 0x1000,
				   MOCK_DEVICE + 0x1000),
			 1);
	assert_int_equal(d.notified[1], 1);
	stop(&d);
}

static void a_new_memory_table_moves_the_queues(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *again = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *empty = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct dev d;

	start(&d);
	assert_int_equal(mock_make_mem(d.m, &again), 0);
	assert_int_equal(vmm_mem_builder_new(&b), 0);
	assert_int_equal(vmm_mem_builder_build(b, &empty), 0);
	reach_driver_ok(&d, 0);
	assert_int_equal(vmm_virtio_mmio_set_mem(d.mmio, again), 0);
	assert_int_equal(rd(&d, R_STATUS), 0xf);
	assert_int_equal(vmm_virtio_mmio_set_mem(d.mmio, empty), 0);
	assert_int_equal(rd(&d, R_STATUS), 0x4f);
	assert_true(vmm_virtq_is_broken(d.queues[0]));
	/* Back with memory, a reset makes it whole. */
	assert_int_equal(vmm_virtio_mmio_set_mem(d.mmio, again), 0);
	reach_driver_ok(&d, 0);
	stop(&d);
}

/* Memory went away between ready and DRIVER_OK: what was validated then no longer is. */
static void activation_checks_the_queues_once_more(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *empty = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct dev d;

	start(&d);
	assert_int_equal(vmm_mem_builder_new(&b), 0);
	assert_int_equal(vmm_mem_builder_build(b, &empty), 0);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	assert_int_equal(vmm_virtio_mmio_set_mem(d.mmio, empty), 0);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 0x4f);
	assert_int_equal(d.activated, 0);
	assert_int_equal(d.resets, 0);
	stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_are_set_up_between_features_ok_and_driver_ok),
		cmocka_unit_test(a_ready_queue_is_frozen),
		cmocka_unit_test(a_queue_can_be_withdrawn_before_driver_ok),
		cmocka_unit_test(a_bad_queue_does_not_become_ready),
		cmocka_unit_test(a_packed_queue_need_not_be_a_power_of_two),
		cmocka_unit_test(ready_takes_0_and_1_only),
		cmocka_unit_test(halves_of_an_address_come_in_any_order),
		cmocka_unit_test(a_queue_that_is_not_there_has_size_0),
		cmocka_unit_test(a_queue_reset_needs_the_feature),
		cmocka_unit_test(a_reset_queue_can_be_set_up_anew),
		cmocka_unit_test(a_new_memory_table_moves_the_queues),
		cmocka_unit_test(activation_checks_the_queues_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The mock driver itself: what it says of a ring, and what its attacks do. */
#include "mmio-rig.h"

#define NOTIFY_FEATURES (VMM_VIRTIO_F_NOTIFICATION_DATA)

static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };

static void sizes_are_checked(void **state)
{
	struct vmm_virtio_mock *m = NULL, *other = NULL;

	assert_int_equal(vmm_virtio_mock_new(0, 0, &m), -EINVAL);
	assert_int_equal(vmm_virtio_mock_new(3, 0, &m), -EINVAL);
	assert_int_equal(vmm_virtio_mock_new(2048, PACKED, &m), -EINVAL);
	assert_int_equal(vmm_virtio_mock_new(1024, 0, &m), 0);
	assert_int_equal(vmm_virtio_mock_new_beside(m, 1, 8, &other), -EINVAL);
	assert_int_equal(vmm_virtio_mock_add(m, &seg, 0, false), -EINVAL);
	assert_int_equal(vmm_virtio_mock_add(m, &seg, 17, true), -EINVAL);
	assert_null(vmm_virtio_mock_at(m, MOCK_HOLE));
	assert_null(vmm_virtio_mock_at(m, MOCK_ROM + MOCK_ROM_LEN));
	assert_non_null(vmm_virtio_mock_at(m, MOCK_ROM));
	assert_int_equal(vmm_virtio_mock_attack(m, VMM_VIRTIO_MOCK_ATTACKS), -EINVAL);
	assert_string_equal(vmm_virtio_mock_attack_name(VMM_VIRTIO_MOCK_ATTACKS),
			    "unknown");
	assert_false(vmm_virtio_mock_attack_breaks(VMM_VIRTIO_MOCK_ATTACKS));
	vmm_virtio_mock_free(m);
	vmm_virtio_mock_free(NULL);
}

/* Each attack ends as it says, and after a refused chain a good one goes through. */
static void attacks_end_as_they_say(void **state)
{
	static const uint64_t features[] = { IND, IND | PACKED, 0, PACKED,
					     IND | IN_ORDER | EV };
	uint32_t refused = 0, broken = 0;

	for (size_t f = 0; f < VMM_ARRAY_LEN(features); f++) {
		for (uint32_t a = 0; a < VMM_VIRTIO_MOCK_ATTACKS; a++) {
			struct rig r;
			uint32_t id, len;
			int ret, id2;

			rig_start(&r, 8, features[f]);
			ret = vmm_virtio_mock_attack(r.m, a);
			if (ret == -EOPNOTSUPP) {
				rig_stop(&r);
				continue;
			}
			assert_int_equal(ret, 0);
			/* Two heads of one name are both taken before either is used. */
			ret = rig_pop(&r);
			if (a == VMM_VIRTIO_MOCK_HEAD_TWICE && ret == 0)
				ret = rig_pop(&r);
			if (vmm_virtio_mock_attack_breaks(a) !=
				(ret == -ENOTRECOVERABLE) ||
			    ret == 0 || ret == -EAGAIN)
				fail_msg("%s: %d", vmm_virtio_mock_attack_name(a), ret);
			broken += vmm_virtio_mock_attack_breaks(a);
			if (!vmm_virtio_mock_attack_breaks(a)) {
				refused++;
				assert_int_equal(mock_get_used(r.m, &id, &len), 0);
				assert_int_equal(len, 0);
				id2 = mock_add(r.m, &seg, 1, false);
				assert_true(id2 >= 0);
				assert_int_equal(vmm_virtio_mock_attack(r.m, a), -EBUSY);
				assert_int_equal(rig_pop(&r), 0);
				assert_int_equal(
				    vmm_virtq_add_used(r.q, r.chain.token, 8), 0);
				expect_used(&r, (uint32_t)id2, 8);
			}
			rig_stop(&r);
		}
	}
	assert_in_range(refused, 40, 60);
	assert_in_range(broken, 15, 25);
}

static void out_of_order_is_noticed_where_it_matters(void **state)
{
	struct rig r;
	uint32_t id, len;

	rig_start(&r, 4, IN_ORDER);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 1);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 2);
	/* One entry for the first two, as a device may do it. */
	memcpy(mock_at(r.m, r.m->config.device + 4), "\1\0\0\0\5\0\0\0", 8);
	__atomic_store_n(&mock_raw_device(r.m)[1], 2, __ATOMIC_RELEASE);
	assert_int_equal(mock_get_used(r.m, &id, &len), 0);
	assert_int_equal(id, 0);
	assert_int_equal(len, 0);
	assert_int_equal(mock_get_used(r.m, &id, &len), 0);
	assert_int_equal(id, 1);
	assert_int_equal(len, 5);
	assert_int_equal(mock_get_used(r.m, &id, &len), -EAGAIN);
	/* One that is not out. */
	memcpy(mock_at(r.m, r.m->config.device + 4 + 16), "\1\0\0\0\5\0\0\0", 8);
	__atomic_store_n(&mock_raw_device(r.m)[1], 3, __ATOMIC_RELEASE);
	assert_int_equal(mock_get_used(r.m, &id, &len), -EPROTO);
	rig_stop(&r);
}

static void notifications_say_where_the_driver_is(void **state)
{
	struct rig r;

	rig_start(&r, 4, NOTIFY_FEATURES);
	assert_int_equal(mock_add(r.m, &seg, 1, false), 0);
	assert_int_equal(vmm_virtio_mock_notification(r.m, 2), 0x10002);
	rig_restart(&r, 4, PACKED | NOTIFY_FEATURES);
	assert_true(mock_add(r.m, &seg, 1, false) >= 0);
	assert_int_equal(vmm_virtio_mock_notification(r.m, 2), 0x80010002);
	rig_restart(&r, 4, PACKED);
	assert_int_equal(vmm_virtio_mock_notification(r.m, 2), 2);
	rig_stop(&r);
}

/* Both sides ask for what they need, and both hear of it, in each of the formats. */
static void interrupts_and_kicks_come_when_asked_for(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED, PACKED | EV };
	struct rig r;
	int id;

	for (size_t f = 0; f < VMM_ARRAY_LEN(features); f++) {
		bool event = features[f] & EV;

		rig_start(&r, 4, features[f]);
		for (uint32_t round = 0; round < 20; round++) {
			assert_false(vmm_virtq_enable_notification(r.q));
			id = mock_add(r.m, &seg, 1, false);
			assert_true(id >= 0);
			assert_true(mock_should_kick(r.m));
			vmm_virtq_disable_notification(r.q);
			assert_false(vmm_virtio_mock_enable_interrupt(r.m, 0));
			assert_int_equal(rig_pop(&r), 0);
			assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
			assert_true(vmm_virtq_needs_notification(r.q));
			assert_true(vmm_virtio_mock_enable_interrupt(r.m, 0));
			expect_used(&r, (uint32_t)id, 0);

			/* Now neither side wants to hear. */
			vmm_virtio_mock_disable_interrupt(r.m);
			id = mock_add(r.m, &seg, 1, false);
			assert_true(id >= 0);
			assert_false(mock_should_kick(r.m));
			assert_int_equal(rig_pop(&r), 0);
			assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
			assert_false(vmm_virtq_needs_notification(r.q));
			expect_used(&r, (uint32_t)id, 0);
			if (!event)
				continue;
			/* After two more. */
			assert_false(vmm_virtio_mock_enable_interrupt(r.m, 1));
			for (int i = 0; i < 2; i++) {
				id = mock_add(r.m, &seg, 1, false);
				assert_int_equal(rig_pop(&r), 0);
				assert_int_equal(
				    vmm_virtq_add_used(r.q, r.chain.token, 0), 0);
				assert_int_equal(vmm_virtq_needs_notification(r.q), i);
				expect_used(&r, (uint32_t)id, 0);
			}
		}
		rig_stop(&r);
	}
}

static void bus_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	vmm_virtio_mmio_read(ctx, offset, data, len);
}

static void bus_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	vmm_virtio_mmio_write(ctx, offset, data, len);
}

static void a_driver_starts_several_queues_in_one_memory(void **state)
{
	struct vmm_virtio_mock_bus bus = { bus_read, bus_write, NULL };
	struct vmm_virtio_mock *queues[3] = { NULL }, *none = NULL;
	uint32_t status = 0;
	struct dev d;

	start(&d);
	bus.ctx = d.mmio;
	queues[0] = d.m;
	mock_reset(d.m, 16, EV | IND);
	assert_int_equal(vmm_virtio_mock_new_beside(d.m, 0, 8, &none), -EINVAL);
	assert_int_equal(vmm_virtio_mock_new_beside(d.m, 4, 8, &none), -EINVAL);
	assert_int_equal(vmm_virtio_mock_new_beside(d.m, 1, 256, &queues[1]), 0);
	assert_int_equal(vmm_virtio_mock_start(&bus, queues, 3, 1, &status), 0);
	assert_int_equal(status, 0xf);
	assert_int_equal(d.features[0], EV | IND | VMM_VIRTIO_F_VERSION_1 | 1);
	assert_int_equal(vmm_virtq_get_num(d.queues[1]), 256);
	assert_false(vmm_virtq_is_enabled(d.queues[2]));
	assert_true(vmm_virtio_mock_get_mem(queues[1]) == d.m->mem);
	assert_int_equal(vmm_virtio_mock_get_config(queues[1])->num, 256);

	/* A feature that was not offered, and a queue that is too large. */
	assert_int_equal(vmm_virtio_mock_start(&bus, queues, 3, 2, &status), -EPROTO);
	assert_int_equal(status, 3);
	queues[2] = queues[1];
	assert_int_equal(vmm_virtio_mock_start(&bus, queues, 3, 1, NULL), -EPROTO);
	d.activate_result = -EIO;
	assert_int_equal(vmm_virtio_mock_start(&bus, queues, 2, 1, &status), -EPROTO);
	assert_int_equal(status, 0x4f);
	vmm_virtio_mock_free(queues[1]);
	stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(attacks_end_as_they_say),
		cmocka_unit_test(out_of_order_is_noticed_where_it_matters),
		cmocka_unit_test(notifications_say_where_the_driver_is),
		cmocka_unit_test(interrupts_and_kicks_come_when_asked_for),
		cmocka_unit_test(a_driver_starts_several_queues_in_one_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

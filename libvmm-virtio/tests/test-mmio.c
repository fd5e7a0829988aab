/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The registers of virtio-mmio and the status machine, driven as a driver drives them,
 * and as one that should not. */
#include "mmio-rig.h"

static void a_driver_finds_and_starts_the_device(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(rd(&d, R_MAGIC), 0x74726976);
	assert_int_equal(rd(&d, R_VERSION), 2);
	assert_int_equal(rd(&d, R_DEVICE_ID), 42);
	assert_int_equal(rd(&d, R_VENDOR), 0x1af4);
	assert_int_equal(rd(&d, R_STATUS), 0);
	assert_int_equal(rd(&d, R_QUEUE_NUM_MAX), 16);
	wr(&d, R_QUEUE_SEL, 1);
	assert_int_equal(rd(&d, R_QUEUE_NUM_MAX), 256);

	reach_driver_ok(&d, EV | 1);
	assert_int_equal(d.activated, 1);
	assert_int_equal(d.features[0], EV | 1 | VMM_VIRTIO_F_VERSION_1);
	assert_int_equal(d.features[1], 0);
	assert_true(vmm_virtq_is_enabled(d.queues[0]));
	assert_int_equal(vmm_virtq_get_num(d.queues[0]), 16);
	assert_false(vmm_virtq_is_enabled(d.queues[1]));
	assert_ptr_equal(d.queues[1], vmm_virtio_mmio_get_queue(d.mmio, 1));
	assert_null(vmm_virtio_mmio_get_queue(d.mmio, 3));
	/* A notification that came too early for us is made up for. */
	assert_int_equal(d.notified[0], 1);
	assert_int_equal(d.notified[1], 0);
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(d.notified[0], 2);
	assert_int_equal(d.resets, 0);
	stop(&d);
	assert_int_equal(d.resets, 1);
}

static void features_are_offered_in_four_pages(void **state)
{
	struct dev d;
	uint64_t low =
	    EV | IND | PACKED | RING_RESET | NOTIFY_DATA | 1 | VMM_VIRTIO_F_VERSION_1;

	start(&d);
	assert_int_equal(rd(&d, R_DEVICE_FEATURES), (uint32_t)low);
	wr(&d, R_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(rd(&d, R_DEVICE_FEATURES), low >> 32);
	wr(&d, R_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(rd(&d, R_DEVICE_FEATURES), HIGH_BIT);
	for (uint32_t page = 3; page < 40; page++) {
		wr(&d, R_DEVICE_FEATURES_SEL, page);
		assert_int_equal(rd(&d, R_DEVICE_FEATURES), 0);
	}
	wr(&d, R_DEVICE_FEATURES_SEL, UINT32_MAX);
	assert_int_equal(rd(&d, R_DEVICE_FEATURES), 0);

	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1, HIGH_BIT);
	wr(&d, R_DRIVER_FEATURES_SEL, 4);
	wr(&d, R_DRIVER_FEATURES, UINT32_MAX);
	wr(&d, R_STATUS, 0xb);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(d.features[0], VMM_VIRTIO_F_VERSION_1);
	assert_int_equal(d.features[1], HIGH_BIT);
	stop(&d);
}

/* From each state, each value of one byte: the few that are a step are taken. */
static void status_moves_by_the_book_only(void **state)
{
	static const uint32_t ladder[] = { 0, 1, 3, 0xb, 0xf };
	struct dev d;

	start(&d);
	for (size_t at = 0; at < VMM_ARRAY_LEN(ladder); at++) {
		for (uint32_t value = 1; value <= 0xff; value++) {
			uint32_t want = ladder[at];

			wr(&d, R_STATUS, 0);
			for (size_t i = 1; i <= at; i++) {
				if (ladder[i] == 0xb)
					accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
				wr(&d, R_STATUS, ladder[i]);
			}
			assert_int_equal(rd(&d, R_STATUS), ladder[at]);
			if (ladder[at] == 3)
				accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
			wr(&d, R_STATUS, value);
			if (at + 1 < VMM_ARRAY_LEN(ladder) && value == ladder[at + 1])
				want = value;
			if (value == (ladder[at] | 0x80))
				want = value;
			if (rd(&d, R_STATUS) != want)
				fail_msg("%#x: %#x makes %#x", ladder[at], value,
					 rd(&d, R_STATUS));
		}
	}
	stop(&d);
}

static void a_status_over_a_byte_is_not_a_reset(void **state)
{
	struct dev d;

	start(&d);
	reach_driver_ok(&d, 0);
	wr(&d, R_STATUS, 0x100);
	assert_int_equal(rd(&d, R_STATUS), 0xf);
	wr(&d, R_STATUS, 0x10f);
	assert_int_equal(rd(&d, R_STATUS), 0xf);
	assert_int_equal(d.resets, 0);
	stop(&d);
}

static void failed_stays_and_stops_the_device(void **state)
{
	struct dev d;

	start(&d);
	reach_driver_ok(&d, 0);
	wr(&d, R_STATUS, 0x8f);
	assert_int_equal(rd(&d, R_STATUS), 0x8f);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 0x8f);
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(d.notified[0], 1);

	wr(&d, R_STATUS, 0);
	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	wr(&d, R_STATUS, 0x83);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
	wr(&d, R_STATUS, 0x8b);
	assert_int_equal(rd(&d, R_STATUS), 0x83);
	stop(&d);
}

static void features_ok_is_refused_for_bad_features(void **state)
{
	struct dev d;

	start(&d);
	/* Not offered, and the device's own judgement. */
	assert_int_equal(reach_features_ok(&d, 1u << 20), 3);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 3);
	/* The driver may try again. */
	accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
	wr(&d, R_STATUS, 0xb);
	assert_int_equal(rd(&d, R_STATUS), 0xb);
	d.check_result = -EINVAL;
	assert_int_equal(reach_features_ok(&d, 0), 3);
	d.check_result = 0;
	/* Without VERSION_1. */
	wr(&d, R_STATUS, 0);
	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	wr(&d, R_STATUS, 0xb);
	assert_int_equal(rd(&d, R_STATUS), 3);
	stop(&d);
}

static void features_change_only_between_driver_and_features_ok(void **state)
{
	struct dev d;

	start(&d);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1 | 1, 0);
	wr(&d, R_STATUS, 1);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1 | 1, 0);
	wr(&d, R_STATUS, 3);
	wr(&d, R_STATUS, 0xb);
	assert_int_equal(rd(&d, R_STATUS), 3);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1, 0);
	wr(&d, R_STATUS, 0xb);
	accept_features(&d, VMM_VIRTIO_F_VERSION_1 | 1 | EV, 0);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(d.features[0], VMM_VIRTIO_F_VERSION_1);
	stop(&d);
}

static void a_reset_forgets_everything(void **state)
{
	struct dev d;

	start(&d);
	reach_driver_ok(&d, EV | 1);
	vmm_virtio_transport_signal_queue(d.t, 0);
	assert_true(d.level);
	wr(&d, R_STATUS, 0);
	assert_int_equal(d.resets, 1);
	assert_int_equal(d.status_at_reset, 0);
	assert_false(d.level);
	assert_int_equal(rd(&d, R_ISR), 0);
	assert_int_equal(rd(&d, R_STATUS), 0);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	assert_false(vmm_virtq_is_enabled(d.queues[0]));
	wr(&d, R_STATUS, 0);
	assert_int_equal(d.resets, 1);
	/* Features and queue addresses of before are gone. */
	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	wr(&d, R_STATUS, 0xb);
	assert_int_equal(rd(&d, R_STATUS), 3);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	wr(&d, R_QUEUE_READY, 1);
	assert_int_equal(rd(&d, R_QUEUE_READY), 0);
	reach_driver_ok(&d, 0);
	assert_int_equal(d.activated, 2);
	stop(&d);
}

static void a_failed_activation_asks_for_a_reset(void **state)
{
	struct dev d;

	start(&d);
	d.activate_result = -EIO;
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 0x4f);
	assert_int_equal(rd(&d, R_ISR), 2);
	assert_int_equal(d.notified[0], 0);
	wr(&d, R_STATUS, 0);
	assert_int_equal(d.resets, 1);
	d.activate_result = 0;
	reach_driver_ok(&d, 0);
	stop(&d);
}

static void needs_reset_is_told_once_and_only_a_reset_helps(void **state)
{
	struct dev d;

	start(&d);
	vmm_virtio_transport_needs_reset(d.t);
	assert_int_equal(rd(&d, R_STATUS), 0);
	reach_driver_ok(&d, 0);
	vmm_virtio_transport_needs_reset(d.t);
	vmm_virtio_transport_needs_reset(d.t);
	assert_int_equal(d.raised, 1);
	assert_int_equal(rd(&d, R_STATUS), 0x4f);
	assert_int_equal(rd(&d, R_ISR), 2);
	wr(&d, R_ACK, 2);
	assert_int_equal(rd(&d, R_ISR), 0);
	assert_false(d.level);
	wr(&d, R_STATUS, 0xcf);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 0x4f);
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(d.notified[0], 1);
	wr(&d, R_STATUS, 0);
	assert_int_equal(rd(&d, R_STATUS), 0);
	stop(&d);
}

static void notifications_out_of_range_or_state_are_dropped(void **state)
{
	static const uint32_t bad[] = {
		1, 2, 3, 0xffff, 0x10000, 0x80000000, UINT32_MAX
	};
	struct dev d;

	start(&d);
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	assert_int_equal(set_queue(&d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&d, R_NOTIFY, 0);
	assert_int_equal(d.notified[0], 0);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(d.notified[0], 1);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		wr(&d, R_NOTIFY, bad[i]);
	assert_int_equal(d.notified[0], 1);
	assert_int_equal(d.notified[1], 0);
	assert_int_equal(d.notified[2], 0);
	stop(&d);
}

static void notification_data_names_the_queue_in_its_lower_half(void **state)
{
	struct vmm_virtio_doorbell bell;
	struct dev d;

	start(&d);
	reach_driver_ok(&d, 0);
	assert_int_equal(vmm_virtio_mmio_get_doorbell(d.mmio, 1, &bell), 0);
	assert_int_equal(bell.offset, R_NOTIFY);
	assert_int_equal(bell.width, 4);
	assert_int_equal(bell.value, 1);
	assert_int_equal(bell.queue, 1);
	assert_true(bell.match);
	assert_int_equal(vmm_virtio_mmio_get_doorbell(d.mmio, 3, &bell), -ENOENT);

	reach_driver_ok(&d, NOTIFY_DATA);
	assert_int_equal(vmm_virtio_mmio_get_doorbell(d.mmio, 0, &bell), 0);
	assert_false(bell.match);
	d.notified[0] = 0;
	wr(&d, R_NOTIFY, 0x80050000);
	assert_int_equal(d.notified[0], 1);
	wr(&d, R_NOTIFY, 0x80050003);
	wr(&d, R_NOTIFY, 0x0000ffff);
	assert_int_equal(d.notified[0], 1);
	stop(&d);
}

static void interrupts_are_raised_and_acknowledged_by_reason(void **state)
{
	struct dev d;

	start(&d);
	vmm_virtio_transport_signal_queue(d.t, 0);
	assert_int_equal(d.raised, 0);
	reach_driver_ok(&d, 0);
	assert_int_equal(rd(&d, R_ISR), 0);
	vmm_virtio_transport_signal_queue(d.t, 0);
	assert_int_equal(rd(&d, R_ISR), 1);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, 0, "x", 1), 0);
	assert_int_equal(rd(&d, R_ISR), 3);
	/* Reading does not acknowledge. */
	assert_int_equal(rd(&d, R_ISR), 3);
	wr(&d, R_ACK, 0xfffffffc);
	assert_int_equal(rd(&d, R_ISR), 3);
	wr(&d, R_ACK, 1);
	assert_int_equal(rd(&d, R_ISR), 2);
	assert_true(d.level);
	wr(&d, R_ACK, 3);
	assert_int_equal(rd(&d, R_ISR), 0);
	assert_false(d.level);
	assert_int_equal(d.lowered, 1);
	wr(&d, R_ACK, 3);
	assert_int_equal(d.lowered, 1);
	stop(&d);
}

static void registers_take_aligned_words_only(void **state)
{
	static const struct {
		uint32_t offset, len;
	} bad[] = { { 0, 1 }, { 0, 2 }, { 0, 8 },    { 1, 4 },	  { 2, 4 },
		    { 3, 1 }, { 4, 8 }, { 0x70, 1 }, { 0xfe, 4 }, { 0xf8, 8 } };
	struct dev d;
	uint8_t data[8];

	start(&d);
	wr(&d, R_STATUS, 1);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		memset(data, 0xaa, sizeof(data));
		vmm_virtio_mmio_read(d.mmio, bad[i].offset, data, bad[i].len);
		for (uint32_t b = 0; b < 8; b++)
			assert_int_equal(data[b], b < bad[i].len ? 0 : 0xaa);
	}
	memset(data, 0, sizeof(data));
	vmm_virtio_mmio_write(d.mmio, R_STATUS, data, 1);
	vmm_virtio_mmio_write(d.mmio, R_STATUS, data, 2);
	vmm_virtio_mmio_write(d.mmio, R_STATUS, data, 8);
	vmm_virtio_mmio_write(d.mmio, R_STATUS - 4, data, 8);
	vmm_virtio_mmio_write(d.mmio, R_STATUS + 2, data, 4);
	assert_int_equal(rd(&d, R_STATUS), 1);
	stop(&d);
}

static void what_is_not_a_register_reads_as_0(void **state)
{
	static const uint32_t known[] = { 0x00, 0x04, 0x08, 0x0c, 0x10, 0x34,
					  0x70, 0xb0, 0xb4, 0xb8, 0xbc };
	struct dev d;

	start(&d);
	wr(&d, R_STATUS, 1);
	for (uint32_t reg = 0; reg < 0x100; reg += 4) {
		bool is_known = false;

		for (size_t i = 0; i < VMM_ARRAY_LEN(known); i++)
			is_known |= known[i] == reg;
		assert_true((rd(&d, reg) != 0) == is_known);
	}
	/* Writes to read-only and unknown registers have no effect. */
	for (uint32_t reg = 0; reg < 0x100; reg += 4) {
		if (reg != R_STATUS && reg != R_QUEUE_SEL && reg != R_DEVICE_FEATURES_SEL)
			wr(&d, reg, 0xffffffff);
	}
	assert_int_equal(rd(&d, R_MAGIC), 0x74726976);
	assert_int_equal(rd(&d, R_QUEUE_NUM_MAX), 16);
	assert_int_equal(rd(&d, R_STATUS), 1);
	stop(&d);
}

static void config_is_clipped_and_filled_with_0(void **state)
{
	struct dev d;
	uint8_t data[8];

	start(&d);
	vmm_virtio_mmio_read(d.mmio, R_CONFIG, data, 8);
	assert_memory_equal(data, config_bytes, 8);
	vmm_virtio_mmio_read(d.mmio, R_CONFIG + 3, data, 2);
	assert_memory_equal(data, config_bytes + 3, 2);
	memset(data, 0xaa, 8);
	vmm_virtio_mmio_read(d.mmio, R_CONFIG + 10, data, 8);
	assert_memory_equal(data, "\x0b\x0c\0\0\0\0\0\0", 8);
	for (uint64_t at = 12; at < 0x10000; at += 251) {
		memset(data, 0xaa, 8);
		vmm_virtio_mmio_read(d.mmio, R_CONFIG + at, data, 8);
		assert_memory_equal(data, "\0\0\0\0\0\0\0\0", 8);
	}
	memset(data, 0xaa, 8);
	vmm_virtio_mmio_read(d.mmio, UINT64_MAX - 3, data, 4);
	assert_memory_equal(data, "\0\0\0\0\xaa\xaa\xaa\xaa", 8);
	vmm_virtio_mmio_write(d.mmio, UINT64_MAX - 3, data, 4);
	stop(&d);
}

static void only_writable_bits_of_the_config_change(void **state)
{
	struct dev d;
	uint8_t data[8];

	start(&d);
	/* Not before DRIVER. */
	vmm_virtio_mmio_write(d.mmio, R_CONFIG, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_int_equal(d.config_writes, 0);
	wr(&d, R_STATUS, 1);
	wr(&d, R_STATUS, 3);
	vmm_virtio_mmio_write(d.mmio, R_CONFIG, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_int_equal(d.config_writes, 1);
	assert_int_equal(d.written_at, 0);
	assert_int_equal(d.written_len, 8);
	vmm_virtio_mmio_read(d.mmio, R_CONFIG, data, 8);
	assert_memory_equal(data, "\x01\x02\xff\xff\x0f\x06\x07\x08", 8);
	assert_memory_equal(d.written, data, 8);
	/* Nothing writable, over the end, outside, of a strange width. */
	vmm_virtio_mmio_write(d.mmio, R_CONFIG, "\xee", 1);
	vmm_virtio_mmio_write(d.mmio, R_CONFIG + 10, "\xee\xee\xee\xee", 4);
	vmm_virtio_mmio_write(d.mmio, R_CONFIG + 12, "\xee\xee\xee\xee", 4);
	vmm_virtio_mmio_write(d.mmio, R_CONFIG, "0123456789ab", 12);
	assert_int_equal(d.config_writes, 1);
	wr(&d, R_STATUS, 0x83);
	vmm_virtio_mmio_write(d.mmio, R_CONFIG + 2, "\x11", 1);
	assert_int_equal(d.config_writes, 1);
	stop(&d);
}

static void each_config_change_has_its_generation(void **state)
{
	struct dev d;
	uint32_t before;
	uint8_t data[2];

	start(&d);
	before = rd(&d, R_GENERATION);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, 11, "ab", 2), -EINVAL);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, 13, "", 0), -EINVAL);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, UINT32_MAX, "ab", 2),
			 -EINVAL);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, 12, "", 0), 0);
	assert_int_equal(rd(&d, R_GENERATION), before);
	assert_int_equal(vmm_virtio_transport_set_config(d.t, 10, "ab", 2), 0);
	assert_int_equal(rd(&d, R_GENERATION), before + 1);
	vmm_virtio_mmio_read(d.mmio, R_CONFIG + 10, data, 2);
	assert_memory_equal(data, "ab", 2);
	/* No interrupt to a driver that is not there yet. */
	assert_int_equal(d.raised, 0);
	stop(&d);
}

static void shared_memory_is_told_and_a_missing_one_is_all_ones(void **state)
{
	struct dev d;

	start(&d);
	assert_int_equal(rd(&d, R_SHM_LEN), UINT32_MAX);
	assert_int_equal(rd(&d, R_SHM_LEN + 4), UINT32_MAX);
	assert_int_equal(rd(&d, R_SHM_BASE), UINT32_MAX);
	assert_int_equal(rd(&d, R_SHM_BASE + 4), UINT32_MAX);
	wr(&d, R_SHM_SEL, 3);
	assert_int_equal(rd(&d, R_SHM_LEN), 0x1000);
	assert_int_equal(rd(&d, R_SHM_LEN + 4), 2);
	assert_int_equal(rd(&d, R_SHM_BASE), 0x23456000);
	assert_int_equal(rd(&d, R_SHM_BASE + 4), 1);
	stop(&d);
}

static void a_device_that_makes_no_sense_is_refused(void **state)
{
	static const uint16_t big[] = { 16, 32769, 16 }, none[] = { 16, 0, 16 };
	static const struct vmm_virtio_device_ops few = VMM_VIRTIO_DEVICE_OPS_INIT;
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device good, bad;
	struct vmm_virtio_mmio *mmio = NULL;
	struct vmm_error err = { 0 };
	struct dev d;

	start(&d);
	good = device_of(&d);
	assert_int_equal(vmm_virtio_mmio_new(&opts, &good, &mmio, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	opts.mem = d.m->mem;
#define REFUSED(change, want)                                                            \
	do {                                                                             \
		bad = good;                                                              \
		change;                                                                  \
		assert_int_equal(vmm_virtio_mmio_new(&opts, &bad, &mmio, &err), (want)); \
		assert_int_equal(err.code, (want));                                      \
		assert_null(mmio);                                                       \
	} while (0)
	REFUSED(bad.size = 4, -EINVAL);
	REFUSED(bad.ops = NULL, -EINVAL);
	REFUSED(bad.queue_max = NULL, -EINVAL);
	REFUSED(bad.queue_max = big, -EINVAL);
	REFUSED(bad.queue_max = none, -EINVAL);
	REFUSED(bad.queue_n = VMM_VIRTIO_QUEUES_MAX + 1, -E2BIG);
	REFUSED(bad.config = NULL, -EINVAL);
	REFUSED(bad.config_len = VMM_VIRTIO_CONFIG_MAX + 1, -E2BIG);
	REFUSED(bad.shm = NULL, -EINVAL);
	REFUSED(bad.shm_n = VMM_VIRTIO_SHM_MAX + 1, -E2BIG);
	REFUSED(bad.features[0] |= UINT64_C(1) << 37, -EINVAL);
	REFUSED(bad.ops = &few, -EINVAL);
#undef REFUSED
	stop(&d);
}

/* A device of nothing: no queue, no configuration space, no callback. */
static void the_smallest_device_works(void **state)
{
	static const struct vmm_virtio_device_ops few = VMM_VIRTIO_DEVICE_OPS_INIT;
	struct vmm_virtio_device device = VMM_VIRTIO_DEVICE_INIT;
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct dev d = { 0 };

	d.m = mock_new(16, 0);
	opts.mem = d.m->mem;
	device.ops = &few;
	assert_int_equal(vmm_virtio_mmio_new(&opts, &device, &d.mmio, NULL), 0);
	assert_int_equal(rd(&d, R_QUEUE_NUM_MAX), 0);
	assert_int_equal(rd(&d, R_CONFIG), 0);
	assert_int_equal(reach_features_ok(&d, 0), 0xb);
	wr(&d, R_STATUS, 0xf);
	assert_int_equal(rd(&d, R_STATUS), 0xf);
	wr(&d, R_NOTIFY, 0);
	vmm_virtio_transport_signal_queue(vmm_virtio_mmio_get_transport(d.mmio), 0);
	assert_int_equal(rd(&d, R_ISR), 1);
	wr(&d, R_ACK, 1);
	stop(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_driver_finds_and_starts_the_device),
		cmocka_unit_test(features_are_offered_in_four_pages),
		cmocka_unit_test(status_moves_by_the_book_only),
		cmocka_unit_test(a_status_over_a_byte_is_not_a_reset),
		cmocka_unit_test(failed_stays_and_stops_the_device),
		cmocka_unit_test(features_ok_is_refused_for_bad_features),
		cmocka_unit_test(features_change_only_between_driver_and_features_ok),
		cmocka_unit_test(a_reset_forgets_everything),
		cmocka_unit_test(a_failed_activation_asks_for_a_reset),
		cmocka_unit_test(needs_reset_is_told_once_and_only_a_reset_helps),
		cmocka_unit_test(notifications_out_of_range_or_state_are_dropped),
		cmocka_unit_test(notification_data_names_the_queue_in_its_lower_half),
		cmocka_unit_test(interrupts_are_raised_and_acknowledged_by_reason),
		cmocka_unit_test(registers_take_aligned_words_only),
		cmocka_unit_test(what_is_not_a_register_reads_as_0),
		cmocka_unit_test(config_is_clipped_and_filled_with_0),
		cmocka_unit_test(only_writable_bits_of_the_config_change),
		cmocka_unit_test(each_config_change_has_its_generation),
		cmocka_unit_test(shared_memory_is_told_and_a_missing_one_is_all_ones),
		cmocka_unit_test(a_device_that_makes_no_sense_is_refused),
		cmocka_unit_test(the_smallest_device_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

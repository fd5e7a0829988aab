/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pausing, saving and restoring a transport with its queues and its device. */
#include "mmio-rig.h"

/* Where things are in a saved state. */
enum at {
	AT_MAGIC = 0,
	AT_FORMAT = 4,
	AT_QUEUES = 6,
	AT_LEN = 8,
	AT_DEVICE_ID = 12,
	AT_OFFERED = 16,
	AT_ACCEPTED = 32,
	AT_STATUS = 48,
	AT_WORKING = 49,
	AT_ZERO = 50,
	AT_ISR = 52,
	AT_SELECTORS = 60,
	AT_CONFIG_LEN = 76,
	AT_DEVICE_LEN = 80,
	AT_QUEUE0 = 84,
	AT_QUEUE0_NUM = AT_QUEUE0 + 24,
	AT_QUEUE0_FLAGS = AT_QUEUE0 + 28,
	AT_QUEUE0_INFLIGHT = AT_QUEUE0 + 40,
	QUEUE_LEN = 44,
};

/* What a device of its own has: a number that it saves, and whether it rests. */
struct more {
	struct dev d;
	uint32_t number;
	int paused, resumed, restored, restored_idle;
	int restore_result;
	/* What its save says: first, when it is asked for the length, and then. */
	int64_t save_result[2];
	bool restore_changes_config;
};

static void on_pause(void *ctx)
{
	((struct more *)ctx)->paused++;
}

static void on_resume(void *ctx)
{
	((struct more *)ctx)->resumed++;
}

static int64_t on_save(void *ctx, void *buf, size_t size)
{
	struct more *m = ctx;

	if (m->save_result[size > 0] != 0)
		return m->save_result[size > 0];
	if (size >= 4)
		memcpy(buf, &m->number, 4);
	return 4;
}

static int on_restore(void *ctx, struct vmm_virtio_transport *transport,
		      const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct more *m = ctx;

	assert_ptr_equal(transport, m->d.t);
	if (len != 4)
		return -EBADMSG;
	memcpy(&m->number, data, 4);
	if (m->restore_changes_config)
		assert_int_equal(vmm_virtio_transport_set_config(m->d.t, 0, "\x55", 1),
				 0);
	/* Goes nowhere: the driver is not there yet. */
	vmm_virtio_transport_signal_queue(m->d.t, 0);
	if (!a) {
		m->restored_idle++;
		return m->restore_result;
	}
	m->restored++;
	m->d.features[0] = a->features[0];
	m->d.queues = a->queues;
	return m->restore_result;
}

static const struct vmm_virtio_device_ops more_ops = {
	.size = sizeof(more_ops),
	.check_features = on_check,
	.activate = on_activate,
	.reset = on_reset,
	.queue_notify = on_notify,
	.queue_reset = on_queue_reset,
	.queue_enable = on_queue_enable,
	.config_written = on_config,
	.pause = on_pause,
	.resume = on_resume,
	.save = on_save,
	.restore = on_restore,
};

/* A second transport over the same memory, as on the machine that it moves to. */
static void make(struct more *m, struct mock *mem, const struct vmm_virtio_device_ops *o)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device device = device_of(&m->d);

	device.ops = o;
	device.ctx = m;
	device.features[0] |= IN_ORDER;
	m->d.m = mem;
	opts.mem = mem->mem;
	opts.set_irq = on_irq;
	opts.irq_ctx = &m->d;
	assert_int_equal(vmm_virtio_mmio_new(&opts, &device, &m->d.mmio, NULL), 0);
	m->d.t = vmm_virtio_mmio_get_transport(m->d.mmio);
}

struct pair {
	struct mock *mem;
	struct more from, to;
	uint8_t state[8192];
	size_t len;
};

static struct pair *pair_new(const struct vmm_virtio_device_ops *o)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->mem = mock_new(16, 0);
	make(&p->from, p->mem, o);
	make(&p->to, p->mem, o);
	return p;
}

static void pair_free(struct pair *p)
{
	vmm_virtio_mmio_free(p->from.d.mmio);
	vmm_virtio_mmio_free(p->to.d.mmio);
	mock_free(p->mem);
	free(p);
}

static void save(struct pair *p)
{
	int64_t len;

	vmm_virtio_mmio_pause(p->from.d.mmio);
	len = vmm_virtio_mmio_save(p->from.d.mmio, p->state, sizeof(p->state));
	assert_in_range(len, 1, sizeof(p->state));
	p->len = (size_t)len;
}

static int restore(struct pair *p)
{
	struct vmm_error err = { 0 };
	int ret = vmm_virtio_mmio_restore(p->to.d.mmio, p->state, p->len, &err);

	assert_int_equal(ret, err.code);
	return ret;
}

/* Everything that a driver can see, but the interrupt. */
static void expect_same_registers(struct pair *p)
{
	static const uint32_t regs[] = { R_STATUS,	    R_GENERATION,
					 R_QUEUE_NUM_MAX,   R_QUEUE_READY,
					 R_DEVICE_FEATURES, R_ISR };

	for (size_t i = 0; i < VMM_ARRAY_LEN(regs); i++)
		assert_int_equal(rd(&p->from.d, regs[i]), rd(&p->to.d, regs[i]));
	for (uint32_t queue = 0; queue < 3; queue++) {
		wr(&p->from.d, R_QUEUE_SEL, queue);
		wr(&p->to.d, R_QUEUE_SEL, queue);
		assert_int_equal(rd(&p->from.d, R_QUEUE_READY),
				 rd(&p->to.d, R_QUEUE_READY));
	}
}

static void any_moment_of_a_negotiation_can_be_saved(void **state)
{
	static const uint32_t steps[] = { 0, 1, 3, 0xb, 0xf, 0x8f, 0x83 };

	for (size_t i = 0; i < VMM_ARRAY_LEN(steps); i++) {
		struct pair *p = pair_new(&more_ops);
		struct dev *d = &p->from.d;
		uint32_t status = steps[i] & 0xf;

		for (uint32_t at = 0; at < 4; at++) {
			static const uint32_t to[] = { 1, 3, 0xb, 0xf };

			if (to[at] == 0xb)
				accept_features(d, EV | VMM_VIRTIO_F_VERSION_1, HIGH_BIT);
			if (to[at] == 0xf && (status & 8))
				(void)set_queue(d, 0, 16, MOCK_DESC, MOCK_DRIVER,
						MOCK_DEVICE);
			if ((status & to[at]) == to[at])
				wr(d, R_STATUS, to[at]);
		}
		if (steps[i] & 0x80)
			wr(d, R_STATUS, steps[i]);
		assert_int_equal(rd(d, R_STATUS), steps[i]);
		p->from.number = 77;
		save(p);
		assert_int_equal(restore(p), 0);
		expect_same_registers(p);
		assert_int_equal(p->to.number, 77);
		assert_int_equal(p->to.restored, status == 0xf);
		assert_int_equal(p->to.restored_idle, status != 0xf);
		assert_int_equal(p->to.d.activated, 0);
		assert_int_equal(p->to.d.raised, 0);
		/* It goes on as if nothing had been. */
		vmm_virtio_mmio_resume(p->to.d.mmio);
		assert_int_equal(p->to.resumed, status == 0xf);
		assert_int_equal(p->to.d.notified[0], steps[i] == 0xf);
		if (steps[i] == 3) {
			wr(&p->to.d, R_STATUS, 0xb);
			assert_int_equal(rd(&p->to.d, R_STATUS), 0xb);
		}
		wr(&p->to.d, R_STATUS, 0);
		assert_int_equal(p->to.d.resets, status == 0xf);
		pair_free(p);
	}
}

static void queues_go_on_where_they_were(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };
	struct pair *p = pair_new(&more_ops);
	struct iovec iov[4];
	struct vmm_virtq_chain c = VMM_VIRTQ_CHAIN_INIT(iov);
	uint32_t id, len;

	reach_driver_ok(&p->from.d, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(mock_add(p->mem, &seg, 1, false), i);
	assert_int_equal(vmm_virtq_pop(p->from.d.queues[0], &c), 0);
	assert_int_equal(vmm_virtq_add_used(p->from.d.queues[0], c.token, 3), 0);
	assert_int_equal(vmm_virtq_pop(p->from.d.queues[0], &c), 0);
	vmm_virtio_transport_signal_queue(p->from.d.t, 0);
	save(p);
	assert_int_equal(restore(p), 0);
	expect_same_registers(p);
	assert_true(p->to.d.level);

	/* The one that was out comes again, then the next. */
	for (uint16_t head = 1; head < 3; head++) {
		assert_int_equal(vmm_virtq_pop(p->to.d.queues[0], &c), 0);
		assert_int_equal(c.head, head);
		assert_int_equal(vmm_virtq_add_used(p->to.d.queues[0], c.token, head), 0);
	}
	for (uint32_t want = 0; want < 3; want++) {
		assert_int_equal(mock_get_used(p->mem, &id, &len), 0);
		assert_int_equal(id, want);
		assert_int_equal(len, want == 0 ? 3 : want);
	}
	pair_free(p);
}

/* Packed ring in flight: it must come to rest first. */
static void what_is_in_flight_on_a_packed_ring_is_in_the_way(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };
	struct pair *p = pair_new(&more_ops);
	struct iovec iov[4];
	struct vmm_virtq_chain c = VMM_VIRTQ_CHAIN_INIT(iov);

	mock_reset(p->mem, 16, PACKED);
	reach_driver_ok(&p->from.d, PACKED);
	assert_true(mock_add(p->mem, &seg, 1, false) >= 0);
	assert_int_equal(vmm_virtq_pop(p->from.d.queues[0], &c), 0);
	vmm_virtio_mmio_pause(p->from.d.mmio);
	assert_int_equal(vmm_virtio_mmio_save(p->from.d.mmio, p->state, sizeof(p->state)),
			 -EBUSY);
	assert_int_equal(vmm_virtq_undo_pop(p->from.d.queues[0], c.token), 0);
	save(p);
	assert_int_equal(restore(p), 0);
	assert_int_equal(vmm_virtq_pop(p->to.d.queues[0], &c), 0);
	assert_int_equal(vmm_virtq_add_used(p->to.d.queues[0], c.token, 0), 0);
	pair_free(p);
}

/* A driver that broke its own ring must not keep the whole machine from being saved. */
static void a_broken_queue_does_not_prevent_saving(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };
	static const uint64_t features[] = { 0, IN_ORDER, PACKED, PACKED | IN_ORDER };

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		struct pair *p = pair_new(&more_ops);
		struct iovec iov[4];
		struct vmm_virtq_chain c = VMM_VIRTQ_CHAIN_INIT(iov);

		mock_reset(p->mem, 16, features[i]);
		reach_driver_ok(&p->from.d, features[i]);
		for (int n = 0; n < 2; n++) {
			assert_true(mock_add(p->mem, &seg, 1, false) >= 0);
			assert_int_equal(vmm_virtq_pop(p->from.d.queues[0], &c), 0);
		}
		assert_int_equal(vmm_virtq_add_used(p->from.d.queues[0], c.token, 0), 0);
		vmm_virtq_break(p->from.d.queues[0]);
		vmm_virtio_transport_needs_reset(p->from.d.t);
		save(p);
		assert_int_equal(restore(p), 0);
		assert_int_equal(rd(&p->to.d, R_STATUS), 0x4f);
		assert_int_equal(rd(&p->to.d, R_ISR), 2);
		assert_true(vmm_virtq_is_broken(p->to.d.queues[0]));
		wr(&p->to.d, R_STATUS, 0);
		assert_int_equal(p->to.d.resets, 1);
		pair_free(p);
	}
}

static void a_queue_that_was_reset_stays_so(void **state)
{
	struct pair *p = pair_new(&more_ops);

	reach_driver_ok(&p->from.d, RING_RESET);
	wr(&p->from.d, R_QUEUE_SEL, 0);
	wr(&p->from.d, R_QUEUE_RESET, 1);
	wr(&p->from.d, R_QUEUE_NUM, 8);
	save(p);
	assert_int_equal(restore(p), 0);
	expect_same_registers(p);
	wr(&p->to.d, R_QUEUE_SEL, 0);
	wr64(&p->to.d, R_DESC, MOCK_DESC);
	wr64(&p->to.d, R_DRIVER, MOCK_DRIVER);
	wr64(&p->to.d, R_DEVICE, MOCK_DEVICE);
	wr(&p->to.d, R_QUEUE_READY, 1);
	assert_int_equal(rd(&p->to.d, R_QUEUE_READY), 1);
	assert_int_equal(p->to.d.queue_enables, 1);
	assert_int_equal(vmm_virtq_get_num(p->to.d.queues[0]), 8);
	pair_free(p);
}

static void an_activation_that_failed_is_not_tried_again(void **state)
{
	struct pair *p = pair_new(&more_ops);

	p->from.d.activate_result = -EIO;
	assert_int_equal(reach_features_ok(&p->from.d, 0), 0xb);
	assert_int_equal(
	    set_queue(&p->from.d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(&p->from.d, R_STATUS, 0xf);
	assert_int_equal(rd(&p->from.d, R_STATUS), 0x4f);
	save(p);
	assert_int_equal(p->from.paused, 0);
	assert_int_equal(restore(p), 0);
	assert_int_equal(rd(&p->to.d, R_STATUS), 0x4f);
	assert_int_equal(p->to.restored, 0);
	assert_int_equal(p->to.restored_idle, 1);
	wr(&p->to.d, R_STATUS, 0);
	assert_int_equal(rd(&p->to.d, R_STATUS), 0);
	pair_free(p);
}

static void a_paused_device_is_left_alone(void **state)
{
	struct pair *p = pair_new(&more_ops);
	struct dev *d = &p->from.d;

	vmm_virtio_mmio_resume(d->mmio);
	assert_int_equal(vmm_virtio_mmio_save(d->mmio, NULL, 0), -EBUSY);
	vmm_virtio_mmio_pause(d->mmio);
	assert_int_equal(p->from.paused, 0);
	/* It starts, and is brought to rest at once. */
	reach_driver_ok(d, 0);
	assert_int_equal(d->activated, 1);
	assert_int_equal(p->from.paused, 1);
	wr(d, R_NOTIFY, 0);
	assert_int_equal(d->notified[0], 0);
	vmm_virtio_mmio_pause(d->mmio);
	assert_int_equal(p->from.paused, 1);
	vmm_virtio_mmio_resume(d->mmio);
	assert_int_equal(p->from.resumed, 1);
	assert_int_equal(d->notified[0], 1);
	vmm_virtio_mmio_resume(d->mmio);
	assert_int_equal(p->from.resumed, 1);
	pair_free(p);
}

/* What the device says now counts; what the driver wrote comes along. */
static void only_the_drivers_bits_of_the_config_are_restored(void **state)
{
	struct pair *p = pair_new(&more_ops);
	uint8_t bytes[12];

	reach_driver_ok(&p->from.d, 0);
	vmm_virtio_mmio_write(p->from.d.mmio, R_CONFIG + 2, "\xa0\xa1\xa2", 3);
	save(p);
	/* A liar's: a byte that is the device's. */
	p->state[AT_QUEUE0 + 3 * QUEUE_LEN + 0] = 99;
	p->state[AT_QUEUE0 + 3 * QUEUE_LEN + 4] = 0xff;
	assert_int_equal(restore(p), 0);
	vmm_virtio_mmio_read(p->to.d.mmio, R_CONFIG, bytes, sizeof(bytes));
	assert_int_equal(bytes[0], config_bytes[0]);
	assert_int_equal(bytes[2], 0xa0);
	assert_int_equal(bytes[3], 0xa1);
	assert_int_equal(bytes[4], 0x0f);
	/* The device learns it from its own state. */
	assert_int_equal(p->to.d.config_writes, 0);
	/* It differs from what the driver saw, so it is told. */
	assert_int_equal(rd(&p->to.d, R_ISR), 2);
	assert_true(p->to.d.level);
	assert_int_equal(rd(&p->to.d, R_GENERATION), rd(&p->from.d, R_GENERATION) + 1);
	pair_free(p);
}

static void a_device_that_changes_its_config_tells_the_driver(void **state)
{
	struct pair *p = pair_new(&more_ops);

	reach_driver_ok(&p->from.d, 0);
	save(p);
	p->to.restore_changes_config = true;
	assert_int_equal(restore(p), 0);
	assert_int_equal(rd(&p->to.d, R_ISR), 2);
	assert_int_equal(p->to.d.raised, 1);
	pair_free(p);
}

static void a_buffer_that_is_too_small_is_left_alone(void **state)
{
	struct pair *p = pair_new(&more_ops);
	uint8_t small[16];
	int64_t len;

	memset(small, 0xee, sizeof(small));
	vmm_virtio_mmio_pause(p->from.d.mmio);
	len = vmm_virtio_mmio_save(p->from.d.mmio, NULL, 0);
	assert_in_range(len, 17, 4096);
	assert_int_equal(vmm_virtio_mmio_save(p->from.d.mmio, small, sizeof(small)), len);
	for (size_t i = 0; i < sizeof(small); i++)
		assert_int_equal(small[i], 0xee);
	assert_int_equal(vmm_virtio_mmio_save(p->from.d.mmio, p->state, (size_t)len - 1),
			 len);
	assert_int_equal(p->state[0], 0);
	pair_free(p);
}

static void a_device_that_cannot_save_says_so(void **state)
{
	static const struct {
		int64_t length, write;
		int want;
	} cases[] = { { -EIO, 0, -EIO },
		      { VMM_VIRTIO_DEVICE_STATE_MAX + 1, 0, -E2BIG },
		      { INT64_MAX, 0, -E2BIG },
		      { 0, -EIO, -EIO },
		      { 0, 3, -EIO } };
	struct pair *p = pair_new(&more_ops);

	vmm_virtio_mmio_pause(p->from.d.mmio);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		p->from.save_result[0] = cases[i].length;
		p->from.save_result[1] = cases[i].write;
		assert_int_equal(
		    vmm_virtio_mmio_save(p->from.d.mmio, p->state, sizeof(p->state)),
		    cases[i].want);
	}
	pair_free(p);
}

static void a_device_without_the_callbacks_is_activated_as_ever(void **state)
{
	struct pair *p = pair_new(&ops);

	reach_driver_ok(&p->from.d, EV);
	vmm_virtio_mmio_write(p->from.d.mmio, R_CONFIG + 2, "\xa0\xa1\xa2", 3);
	save(p);
	assert_int_equal(restore(p), 0);
	assert_int_equal(p->to.d.activated, 1);
	assert_int_equal(p->to.d.config_writes, 1);
	assert_int_equal(p->to.d.written_at, 0);
	assert_int_equal(p->to.d.written[3], 0xa1);
	assert_int_equal(p->to.d.notified[0], 0);
	vmm_virtio_mmio_resume(p->to.d.mmio);
	assert_int_equal(p->to.d.notified[0], 1);
	pair_free(p);

	/* State of the device's own has nobody to take it. */
	p = pair_new(&more_ops);
	save(p);
	vmm_virtio_mmio_free(p->to.d.mmio);
	memset(&p->to, 0, sizeof(p->to));
	make(&p->to, p->mem, &ops);
	assert_int_equal(restore(p), -EBADMSG);
	pair_free(p);
}

static void a_restore_that_fails_leaves_a_fresh_device(void **state)
{
	static const int codes[] = { -EBADMSG, -ENOMEM };
	uint8_t bytes[12];

	for (size_t i = 0; i < VMM_ARRAY_LEN(codes); i++) {
		struct pair *p = pair_new(&more_ops);

		reach_driver_ok(&p->from.d, 0);
		vmm_virtio_mmio_write(p->from.d.mmio, R_CONFIG + 2, "\xa0\xa1\xa2", 3);
		save(p);
		assert_int_equal(
		    vmm_virtio_mmio_restore(p->from.d.mmio, p->state, p->len, NULL),
		    -EBUSY);
		p->to.restore_result = codes[i];
		assert_int_equal(restore(p), codes[i]);
		assert_int_equal(p->to.d.resets, 1);
		assert_int_equal(rd(&p->to.d, R_STATUS), 0);
		assert_int_equal(p->to.d.raised, 0);
		vmm_virtio_mmio_read(p->to.d.mmio, R_CONFIG, bytes, sizeof(bytes));
		assert_memory_equal(bytes, config_bytes, sizeof(bytes));
		reach_driver_ok(&p->to.d, 0);
		assert_int_equal(p->to.paused, 0);
		pair_free(p);
	}
}

static void change(struct pair *p, size_t at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p->state[at + i] = (uint8_t)(value >> 8 * i);
}

static void a_corrupt_transport_state_is_refused(void **state)
{
	static const struct {
		size_t at, bytes;
		uint64_t value;
		int want;
	} cases[] = {
		{ AT_MAGIC, 4, 1, -EBADMSG },
		{ AT_FORMAT, 2, 2, -EBADMSG },
		{ AT_QUEUES, 2, 2, -EBADMSG },
		{ AT_QUEUES, 2, 65535, -EBADMSG },
		{ AT_LEN, 4, 0, -EBADMSG },
		{ AT_LEN, 4, UINT32_MAX, -EBADMSG },
		{ AT_DEVICE_ID, 4, 2, -EBADMSG },
		{ AT_OFFERED, 8, UINT64_MAX, -EBADMSG },
		{ AT_OFFERED + 8, 8, UINT64_MAX, -EBADMSG },
		{ AT_ACCEPTED, 8, 0, -EBADMSG },
		{ AT_ACCEPTED, 8, UINT64_MAX, -EBADMSG },
		{ AT_ACCEPTED + 8, 8, 1, -EBADMSG },
		{ AT_STATUS, 1, 0, -EBADMSG },
		{ AT_STATUS, 1, 1, -EBADMSG },
		{ AT_STATUS, 1, 2, -EBADMSG },
		{ AT_STATUS, 1, 0xb, -EBADMSG },
		{ AT_STATUS, 1, 0x4b, -EBADMSG },
		{ AT_STATUS, 1, 0x1f, -EBADMSG },
		{ AT_STATUS, 1, 0x7, -EBADMSG },
		{ AT_WORKING, 1, 0, -EBADMSG },
		{ AT_WORKING, 1, 2, -EBADMSG },
		{ AT_ZERO, 2, 1, -EBADMSG },
		{ AT_ISR, 4, 4, -EBADMSG },
		{ AT_CONFIG_LEN, 4, 11, -EBADMSG },
		{ AT_CONFIG_LEN, 4, UINT32_MAX, -EBADMSG },
		{ AT_DEVICE_LEN, 4, 3, -EBADMSG },
		{ AT_DEVICE_LEN, 4, UINT32_MAX, -EBADMSG },
		{ AT_QUEUE0, 8, MOCK_HOLE, -EFAULT },
		{ AT_QUEUE0 + 16, 8, MOCK_ROM, -EROFS },
		{ AT_QUEUE0 + 8, 8, 1, -EBADMSG },
		{ AT_QUEUE0_NUM, 4, 0, -EBADMSG },
		{ AT_QUEUE0_NUM, 4, 3, -EBADMSG },
		{ AT_QUEUE0_NUM, 4, 32, -EBADMSG },
		{ AT_QUEUE0_NUM, 4, UINT32_MAX, -EBADMSG },
		{ AT_QUEUE0_FLAGS, 4, 1, -EBADMSG },
		{ AT_QUEUE0_FLAGS, 4, 4, -EBADMSG },
		{ AT_QUEUE0_FLAGS, 4, 7, -EBADMSG },
		{ AT_QUEUE0_FLAGS, 4, 21, -EBADMSG },
		{ AT_QUEUE0_FLAGS, 4, 64 + 5, -EBADMSG },
		{ AT_QUEUE0_INFLIGHT, 4, 1, -EBADMSG },
		{ AT_QUEUE0_INFLIGHT, 4, UINT32_MAX, -EBADMSG },
		{ AT_QUEUE0 + 32, 2, 5, -EBADMSG },
		{ AT_QUEUE0 + QUEUE_LEN + 28, 4, 1, -EBADMSG },
		{ AT_QUEUE0 + QUEUE_LEN + 28, 4, 2, -EBADMSG },
		{ AT_QUEUE0 + QUEUE_LEN + 28, 4, 8, -EBADMSG },
		{ AT_QUEUE0 + QUEUE_LEN + 32, 2, 8, -EBADMSG },
	};
	struct pair *p = pair_new(&more_ops);
	uint8_t good[sizeof(p->state)];
	size_t len;

	reach_driver_ok(&p->from.d, 0);
	save(p);
	len = p->len;
	memcpy(good, p->state, sizeof(good));
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		memcpy(p->state, good, sizeof(good));
		change(p, cases[i].at, cases[i].value, cases[i].bytes);
		if (restore(p) != cases[i].want)
			fail_msg("case %zu was not refused", i);
		assert_int_equal(rd(&p->to.d, R_STATUS), 0);
		assert_int_equal(p->to.restored, 0);
	}
	/* Cut off anywhere, and with something behind. */
	for (p->len = 0; p->len < len; p->len++) {
		memcpy(p->state, good, sizeof(good));
		assert_int_equal(restore(p), -EBADMSG);
		if (p->len >= 12) {
			change(p, AT_LEN, p->len, 4);
			assert_int_equal(restore(p), -EBADMSG);
		}
	}
	p->len = len + 1;
	change(p, AT_LEN, p->len, 4);
	assert_int_equal(restore(p), -EBADMSG);
	p->to.d.check_result = -EINVAL;
	p->len = len;
	memcpy(p->state, good, sizeof(good));
	assert_int_equal(restore(p), -EBADMSG);
	p->to.d.check_result = 0;
	assert_int_equal(restore(p), 0);
	pair_free(p);
}

static void a_random_change_is_refused_or_harmless(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();
	struct pair *p = pair_new(&more_ops);
	uint8_t good[sizeof(p->state)];
	uint32_t refused = 0;

	reach_driver_ok(&p->from.d, RING_RESET);
	save(p);
	memcpy(good, p->state, sizeof(good));
	for (int i = 0; i < 4000; i++) {
		memcpy(p->state, good, sizeof(good));
		for (uint32_t n = 1 + vmm_test_below(&rng, 3); n > 0; n--)
			p->state[vmm_test_below(&rng, (uint32_t)p->len)] =
			    (uint8_t)vmm_test_below(&rng, 256);
		if (restore(p) < 0) {
			refused++;
			assert_int_equal(rd(&p->to.d, R_STATUS), 0);
			continue;
		}
		vmm_virtio_mmio_resume(p->to.d.mmio);
		wr(&p->to.d, R_STATUS, 0);
		assert_int_equal(rd(&p->to.d, R_STATUS), 0);
	}
	assert_in_range(refused, 100, 3999);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_moment_of_a_negotiation_can_be_saved),
		cmocka_unit_test(queues_go_on_where_they_were),
		cmocka_unit_test(what_is_in_flight_on_a_packed_ring_is_in_the_way),
		cmocka_unit_test(a_broken_queue_does_not_prevent_saving),
		cmocka_unit_test(a_queue_that_was_reset_stays_so),
		cmocka_unit_test(an_activation_that_failed_is_not_tried_again),
		cmocka_unit_test(a_paused_device_is_left_alone),
		cmocka_unit_test(only_the_drivers_bits_of_the_config_are_restored),
		cmocka_unit_test(a_device_that_changes_its_config_tells_the_driver),
		cmocka_unit_test(a_buffer_that_is_too_small_is_left_alone),
		cmocka_unit_test(a_device_that_cannot_save_says_so),
		cmocka_unit_test(a_device_without_the_callbacks_is_activated_as_ever),
		cmocka_unit_test(a_restore_that_fails_leaves_a_fresh_device),
		cmocka_unit_test(a_corrupt_transport_state_is_refused),
		cmocka_unit_test(a_random_change_is_refused_or_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

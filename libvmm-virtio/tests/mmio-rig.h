/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MMIO_RIG_H
#define MMIO_RIG_H

/* A device of three queues that keeps count of what it is told, and the register accesses
 * of its driver. */
#include "virtio-test.h"

#define R_MAGIC 0x000u
#define R_VERSION 0x004u
#define R_DEVICE_ID 0x008u
#define R_VENDOR 0x00cu
#define R_DEVICE_FEATURES 0x010u
#define R_DEVICE_FEATURES_SEL 0x014u
#define R_DRIVER_FEATURES 0x020u
#define R_DRIVER_FEATURES_SEL 0x024u
#define R_QUEUE_SEL 0x030u
#define R_QUEUE_NUM_MAX 0x034u
#define R_QUEUE_NUM 0x038u
#define R_QUEUE_READY 0x044u
#define R_NOTIFY 0x050u
#define R_ISR 0x060u
#define R_ACK 0x064u
#define R_STATUS 0x070u
#define R_DESC 0x080u
#define R_DRIVER 0x090u
#define R_DEVICE 0x0a0u
#define R_SHM_SEL 0x0acu
#define R_SHM_LEN 0x0b0u
#define R_SHM_BASE 0x0b8u
#define R_QUEUE_RESET 0x0c0u
#define R_GENERATION 0x0fcu
#define R_CONFIG 0x100u

#define RING_RESET VMM_VIRTIO_F_RING_RESET
#define NOTIFY_DATA VMM_VIRTIO_F_NOTIFICATION_DATA
#define HIGH_BIT (UINT64_C(1) << 5) /* feature 69 */

struct dev {
	struct mock *m;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_transport *t;
	/* What the device was told. */
	int activated, resets, notified[3], queue_resets, queue_enables, config_writes;
	uint64_t features[2];
	struct vmm_virtq *const *queues;
	int activate_result, check_result;
	/* The line, and how often it was set and cleared. */
	bool level;
	int raised, lowered;
	uint8_t written[8];
	uint32_t written_at, written_len;
	uint32_t status_at_reset;
};

static inline int on_check(void *ctx, const uint64_t features[2])
{
	return ((struct dev *)ctx)->check_result;
}

static inline int on_activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct dev *d = ctx;

	d->activated++;
	d->features[0] = a->features[0];
	d->features[1] = a->features[1];
	d->queues = a->queues;
	assert_int_equal(a->queue_n, 3);
	assert_ptr_equal(a->transport, d->t);
	return d->activate_result;
}

static inline void on_reset(void *ctx)
{
	struct dev *d = ctx;

	d->resets++;
	d->status_at_reset = vmm_virtio_transport_get_status(d->t);
	/* A device's thread that is late must not reach the driver any more. */
	vmm_virtio_transport_signal_queue(d->t, 0);
	vmm_virtio_transport_needs_reset(d->t);
}

static inline void on_notify(void *ctx, uint32_t index)
{
	((struct dev *)ctx)->notified[index]++;
}

static inline void on_queue_reset(void *ctx, uint32_t index)
{
	((struct dev *)ctx)->queue_resets++;
}

static inline void on_queue_enable(void *ctx, uint32_t index)
{
	((struct dev *)ctx)->queue_enables++;
}

static inline void on_config(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	struct dev *d = ctx;

	d->config_writes++;
	d->written_at = offset;
	d->written_len = len;
	memcpy(d->written, data, len);
}

static inline void on_irq(void *ctx, bool level)
{
	struct dev *d = ctx;

	d->level = level;
	*(level ? &d->raised : &d->lowered) += 1;
}

static const struct vmm_virtio_device_ops ops = {
	.size = sizeof(ops),
	.check_features = on_check,
	.activate = on_activate,
	.reset = on_reset,
	.queue_notify = on_notify,
	.queue_reset = on_queue_reset,
	.queue_enable = on_queue_enable,
	.config_written = on_config,
};

static const uint16_t queue_max[3] = { 16, 256, 1 };
static const uint8_t config_bytes[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
static const uint8_t config_mask[12] = { 0, 0, 0xff, 0xff, 0x0f };
static const struct vmm_virtio_shm shm = { 3, 0, UINT64_C(0x123456000),
					   UINT64_C(0x200001000) };

static inline struct vmm_virtio_device device_of(struct dev *d)
{
	struct vmm_virtio_device device = VMM_VIRTIO_DEVICE_INIT;

	device.id = 42;
	device.queue_n = 3;
	device.queue_max = queue_max;
	device.features[0] = EV | IND | PACKED | RING_RESET | NOTIFY_DATA | 1;
	device.features[1] = HIGH_BIT;
	device.config = config_bytes;
	device.config_writable = config_mask;
	device.config_len = sizeof(config_bytes);
	device.shm = &shm;
	device.shm_n = 1;
	device.ops = &ops;
	device.ctx = d;
	return device;
}

static inline void start(struct dev *d)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device device = device_of(d);

	memset(d, 0, sizeof(*d));
	d->m = mock_new(16, 0);
	assert_non_null(d->m);
	opts.mem = d->m->mem;
	opts.vendor = 0x1af4;
	opts.set_irq = on_irq;
	opts.irq_ctx = d;
	assert_int_equal(vmm_virtio_mmio_new(&opts, &device, &d->mmio, NULL), 0);
	d->t = vmm_virtio_mmio_get_transport(d->mmio);
}

static inline void stop(struct dev *d)
{
	vmm_virtio_mmio_free(d->mmio);
	mock_free(d->m);
}

static inline uint32_t rd(struct dev *d, uint32_t reg)
{
	uint32_t value = 0xdeadbeef;

	vmm_virtio_mmio_read(d->mmio, reg, &value, 4);
	return value;
}

static inline void wr(struct dev *d, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(d->mmio, reg, &value, 4);
}

static inline void wr64(struct dev *d, uint32_t reg, uint64_t value)
{
	wr(d, reg, (uint32_t)value);
	wr(d, reg + 4, (uint32_t)(value >> 32));
}

static inline void accept_features(struct dev *d, uint64_t low, uint64_t high)
{
	for (uint32_t page = 0; page < 4; page++) {
		uint64_t word = page < 2 ? low : high;

		wr(d, R_DRIVER_FEATURES_SEL, page);
		wr(d, R_DRIVER_FEATURES, (uint32_t)(word >> 32 * (page % 2)));
	}
}

static inline uint32_t reach_features_ok(struct dev *d, uint64_t features)
{
	wr(d, R_STATUS, 0);
	wr(d, R_STATUS, 1);
	wr(d, R_STATUS, 3);
	accept_features(d, features | VMM_VIRTIO_F_VERSION_1, 0);
	wr(d, R_STATUS, 0xb);
	return rd(d, R_STATUS);
}

static inline uint32_t set_queue(struct dev *d, uint32_t index, uint32_t num,
				 uint64_t desc, uint64_t driver, uint64_t device)
{
	wr(d, R_QUEUE_SEL, index);
	wr(d, R_QUEUE_NUM, num);
	wr64(d, R_DESC, desc);
	wr64(d, R_DRIVER, driver);
	wr64(d, R_DEVICE, device);
	wr(d, R_QUEUE_READY, 1);
	return rd(d, R_QUEUE_READY);
}

static inline void reach_driver_ok(struct dev *d, uint64_t features)
{
	assert_int_equal(reach_features_ok(d, features), 0xb);
	assert_int_equal(set_queue(d, 0, 16, MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE), 1);
	wr(d, R_STATUS, 0xf);
	assert_int_equal(rd(d, R_STATUS), 0xf);
}

#endif

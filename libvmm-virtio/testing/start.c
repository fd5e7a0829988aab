/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver's side of virtio-mmio (virtio 1.2, 3.1.1 and 4.2.3.1). */
#include <errno.h>

#include "mock.h"

enum reg {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_STATUS = 0x070,
	REG_DESC = 0x080,
	REG_DRIVER = 0x090,
	REG_DEVICE = 0x0a0,
};

#define MAGIC 0x74726976u

static uint32_t rd(const struct vmm_virtio_mock_bus *bus, uint64_t reg)
{
	uint32_t value = 0;

	bus->read(bus->ctx, reg, &value, sizeof(value));
	return value;
}

static void wr(const struct vmm_virtio_mock_bus *bus, uint64_t reg, uint32_t value)
{
	bus->write(bus->ctx, reg, &value, sizeof(value));
}

static void wr64(const struct vmm_virtio_mock_bus *bus, uint64_t reg, uint64_t value)
{
	wr(bus, reg, (uint32_t)value);
	wr(bus, reg + 4, (uint32_t)(value >> 32));
}

static bool set_up(const struct vmm_virtio_mock_bus *bus, uint32_t index,
		   const struct vmm_virtq_config *c)
{
	wr(bus, REG_QUEUE_SEL, index);
	if (rd(bus, REG_QUEUE_NUM_MAX) < c->num || rd(bus, REG_QUEUE_READY) != 0)
		return false;
	wr(bus, REG_QUEUE_NUM, c->num);
	wr64(bus, REG_DESC, c->desc);
	wr64(bus, REG_DRIVER, c->driver);
	wr64(bus, REG_DEVICE, c->device);
	wr(bus, REG_QUEUE_READY, 1);
	return rd(bus, REG_QUEUE_READY) == 1;
}

static bool negotiate(const struct vmm_virtio_mock_bus *bus, uint64_t features)
{
	wr(bus, REG_STATUS, 0);
	if (rd(bus, REG_STATUS) != 0)
		return false;
	wr(bus, REG_STATUS, 1);
	wr(bus, REG_STATUS, 3);
	for (uint32_t page = 0; page < 2; page++) {
		wr(bus, REG_DRIVER_FEATURES_SEL, page);
		wr(bus, REG_DRIVER_FEATURES, (uint32_t)(features >> 32 * page));
	}
	wr(bus, REG_STATUS, 0xb);
	return rd(bus, REG_STATUS) == 0xb;
}

int vmm_virtio_mock_start(const struct vmm_virtio_mock_bus *bus,
			  struct vmm_virtio_mock *const *queues, uint32_t n,
			  uint64_t more, uint32_t *out_status)
{
	uint64_t features = more | VMM_VIRTIO_F_VERSION_1;
	bool good = rd(bus, REG_MAGIC) == MAGIC && rd(bus, REG_VERSION) == 2 &&
		    rd(bus, REG_DEVICE_ID) != 0;

	for (uint32_t i = 0; i < n; i++)
		features |= queues[i] ? queues[i]->features : 0;
	good = good && negotiate(bus, features);
	for (uint32_t i = 0; good && i < n; i++)
		good = !queues[i] || set_up(bus, i, &queues[i]->config);
	if (good) {
		wr(bus, REG_STATUS, 0xf);
		good = rd(bus, REG_STATUS) == 0xf;
	}
	if (out_status)
		*out_status = rd(bus, REG_STATUS);
	return good ? 0 : -EPROTO;
}

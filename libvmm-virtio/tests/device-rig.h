/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DEVICE_RIG_H
#define DEVICE_RIG_H

/*
 * A driver of several queues in front of a device's registers. Free of any test frame, as
 * the mock driver, so that fuzzers use it, too: what must hold is checked by abort().
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio.h>

#include "mock-driver.h"

#define DR_QUEUES 5u
/* Guest memory for the payload of queue @p i. */
#define DR_BUFFER(i) (MOCK_BUFFERS + 0x10000u * (i))

struct devrig {
	struct mock *m;
	/* One for each queue, all on the memory of `m`. */
	struct mock q[DR_QUEUES];
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_transport *t;
	uint32_t num;
	int irqs;
};

static inline void dr_must(bool good)
{
	if (!good)
		abort();
}

static inline void dr_irq(void *ctx, bool level)
{
	__atomic_fetch_add(&((struct devrig *)ctx)->irqs, level, __ATOMIC_RELAXED);
}

static inline void dr_wr(struct devrig *r, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(r->mmio, reg, &value, 4);
}

static inline uint32_t dr_rd(struct devrig *r, uint32_t reg)
{
	uint32_t value;

	vmm_virtio_mmio_read(r->mmio, reg, &value, 4);
	return value;
}

static inline uint64_t dr_config64(struct devrig *r, uint32_t offset)
{
	return dr_rd(r, 0x100 + offset) | (uint64_t)dr_rd(r, 0x104 + offset) << 32;
}

/* An empty ring for one queue. */
static inline void dr_ring(struct devrig *r, uint32_t index)
{
	struct vmm_virtq_config *c = &r->q[index].config;

	r->q[index] = *r->m;
	c->desc += 0x1000 * index;
	c->driver += 0x1000 * index;
	c->device += 0x1000 * index;
	memset(mock_at(r->m, c->desc), 0, 0x1000);
	memset(mock_at(r->m, c->driver), 0, 0x1000);
	memset(mock_at(r->m, c->device), 0, 0x1000);
}

static inline void dr_rings(struct devrig *r, uint64_t features)
{
	mock_reset(r->m, r->num, features);
	for (uint32_t i = 0; i < DR_QUEUES; i++)
		dr_ring(r, i);
}

/* Returns the status after the features. */
static inline uint32_t dr_features(struct devrig *r, uint64_t features)
{
	features |= VMM_VIRTIO_F_VERSION_1;
	dr_wr(r, 0x70, 0);
	dr_rings(r, features);
	dr_wr(r, 0x70, 1);
	dr_wr(r, 0x70, 3);
	for (uint32_t page = 0; page < 2; page++) {
		dr_wr(r, 0x24, page);
		dr_wr(r, 0x20, (uint32_t)(features >> 32 * page));
	}
	dr_wr(r, 0x70, 0xb);
	return dr_rd(r, 0x70);
}

static inline void dr_queue(struct devrig *r, uint32_t index)
{
	const struct vmm_virtq_config *c = &r->q[index].config;

	dr_wr(r, 0x30, index);
	dr_wr(r, 0x38, r->num);
	dr_wr(r, 0x80, (uint32_t)c->desc);
	dr_wr(r, 0x90, (uint32_t)c->driver);
	dr_wr(r, 0xa0, (uint32_t)c->device);
	dr_wr(r, 0x44, 1);
	dr_must(dr_rd(r, 0x44) == 1);
}

/* Reset one queue and set it up anew (RING_RESET). */
static inline void dr_reset_queue(struct devrig *r, uint32_t index)
{
	dr_wr(r, 0x30, index);
	dr_wr(r, 0xc0, 1);
	dr_must(dr_rd(r, 0xc0) == 0 && dr_rd(r, 0x44) == 0);
	dr_ring(r, index);
	dr_queue(r, index);
}

/* From any state to DRIVER_OK, with the queues in @p mask. */
static inline void dr_climb(struct devrig *r, uint32_t mask, uint64_t features)
{
	dr_must(dr_features(r, features) == 0xb);
	for (uint32_t i = 0; i < DR_QUEUES; i++) {
		if (mask & 1u << i)
			dr_queue(r, i);
	}
	dr_wr(r, 0x70, 0xf);
	dr_must(dr_rd(r, 0x70) == 0xf);
}

/* Memory only, because devices may want it before there is a transport. */
static inline void dr_init(struct devrig *r, uint32_t num)
{
	memset(r, 0, sizeof(*r));
	r->num = num;
	r->m = mock_new(num, 0);
	dr_must(r->m);
}

static inline void dr_carry(struct devrig *r, const struct vmm_virtio_device *device)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;

	opts.mem = r->m->mem;
	opts.set_irq = dr_irq;
	opts.irq_ctx = r;
	dr_must(vmm_virtio_mmio_new(&opts, device, &r->mmio, NULL) == 0);
	r->t = vmm_virtio_mmio_get_transport(r->mmio);
}

/* Lets go of the transport: the device can be released now. */
static inline void dr_stop(struct devrig *r)
{
	vmm_virtio_mmio_free(r->mmio);
	r->mmio = NULL;
}

static inline void dr_fini(struct devrig *r)
{
	dr_stop(r);
	mock_free(r->m);
}

/* Offer one chain: @p in bytes to read from DR_BUFFER, @p out bytes to write behind. */
static inline int dr_add(struct devrig *r, uint32_t queue, const void *data, uint32_t in,
			 uint32_t out)
{
	struct mock_seg segs[2];
	uint32_t n = 0;

	if (in > 0) {
		memcpy(mock_at(r->m, DR_BUFFER(queue)), data, in);
		segs[n++] = (struct mock_seg){ DR_BUFFER(queue), in, false };
	}
	if (out > 0)
		segs[n++] = (struct mock_seg){ DR_BUFFER(queue) + 0x8000, out, true };
	return mock_add(&r->q[queue], segs, n, false);
}

/* Where dr_add() has its answers. */
static inline void *dr_answer(struct devrig *r, uint32_t queue)
{
	return mock_at(r->m, DR_BUFFER(queue) + 0x8000);
}

/* The length of the next used chain, or -EAGAIN. */
static inline int64_t dr_used(struct devrig *r, uint32_t queue)
{
	uint32_t id, len;
	int ret = mock_get_used(&r->q[queue], &id, &len);

	dr_must(ret != -EPROTO);
	return ret < 0 ? ret : (int64_t)len;
}

#endif

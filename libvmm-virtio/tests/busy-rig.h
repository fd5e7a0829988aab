/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BUSY_RIG_H
#define BUSY_RIG_H

/*
 * A driver that never ends, and a VMM that wants something else of its device: how many
 * requests are served while a call waits says how prompt it is, whatever the machine is
 * busy with. The driver lives in callbacks of the device, which call busy_request().
 */
#include "virtio-test.h"

#include <unistd.h>
#include <vmm/virtio.h>

/* One under way for each queue, and as many again by a device that is faster than who
 * has just come to wait. Without any order, runs follow runs, of 16 requests or more. */
enum { BUSY_FEW = 4, BUSY_ROUNDS = 15 };

struct busy {
	struct vmm_virtio_mmio *mmio;
	/* Reset the device, and have the driver at work as soon as the VMM resumes. */
	void (*start)(void *ctx);
	void (*get_stats)(void *ctx);
	void *ctx;
	uint32_t served;
	uint32_t calls, late;
};

static inline void busy_request(struct busy *b)
{
	(void)usleep(200);
	__atomic_fetch_add(&b->served, 1, __ATOMIC_RELAXED);
}

static inline uint32_t busy_served(const struct busy *b)
{
	return __atomic_load_n(&b->served, __ATOMIC_RELAXED);
}

/* It is at work all the time. */
static inline void busy_await(const struct busy *b)
{
	uint32_t before = busy_served(b);

	for (int patience = 0; busy_served(b) - before < 3; patience++) {
		assert_in_range(patience, 0, 50000);
		(void)usleep(100);
	}
}

static inline void busy_pause(void *ctx)
{
	vmm_virtio_mmio_pause(((struct busy *)ctx)->mmio);
}

static inline void busy_reset(void *ctx)
{
	static const uint32_t zero;

	vmm_virtio_mmio_write(((struct busy *)ctx)->mmio, 0x70, &zero, sizeof(zero));
}

static inline void busy_call(struct busy *b, void (*call)(void *ctx), void *ctx)
{
	uint32_t before;

	busy_await(b);
	before = busy_served(b);
	call(ctx);
	b->late += busy_served(b) - before > BUSY_FEW;
	b->calls++;
}

/* This thread may be kept from running in the middle of a call, but not in half of them. */
static inline void busy_check(struct busy *b)
{
	uint32_t at;

	for (int i = 0; i < BUSY_ROUNDS; i++) {
		vmm_virtio_mmio_pause(b->mmio);
		b->start(b->ctx);
		vmm_virtio_mmio_resume(b->mmio);
		busy_call(b, b->get_stats, b->ctx);
		busy_call(b, busy_pause, b);
		at = busy_served(b);
		(void)usleep(500);
		assert_int_equal(busy_served(b), at);
		vmm_virtio_mmio_resume(b->mmio);
		busy_call(b, busy_reset, b);
		at = busy_served(b);
		(void)usleep(500);
		assert_int_equal(busy_served(b), at);
	}
	if (b->late >= b->calls / 2)
		fail_msg("%u of %u calls were late", b->late, b->calls);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Status, features, queues: the part of a transport that the driver moves. */
#include <errno.h>
#include <string.h>

#include "probes.h"
#include "transport.h"

#define S_ACK VMM_VIRTIO_S_ACKNOWLEDGE
#define S_DRIVER VMM_VIRTIO_S_DRIVER
#define S_DRIVER_OK VMM_VIRTIO_S_DRIVER_OK
#define S_FEATURES_OK VMM_VIRTIO_S_FEATURES_OK
#define S_NEEDS_RESET VMM_VIRTIO_S_NEEDS_RESET
#define S_FAILED VMM_VIRTIO_S_FAILED

static uint32_t status(const struct vmm_virtio_transport *t)
{
	return __atomic_load_n(&t->status, __ATOMIC_ACQUIRE);
}

static void add_status(struct vmm_virtio_transport *t, uint32_t bit)
{
	pthread_mutex_lock(&t->irq_lock);
	__atomic_store_n(&t->status, t->status | bit, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&t->irq_lock);
}

/* Is @p bits set and nothing wrong? */
static bool in_state(const struct vmm_virtio_transport *t, uint32_t bits)
{
	return (status(t) & (bits | S_FAILED | S_NEEDS_RESET)) == bits;
}

/* The device is told last, when it can no longer reach the driver. */
void transport_reset(struct vmm_virtio_transport *t)
{
	pthread_mutex_lock(&t->irq_lock);
	__atomic_store_n(&t->status, 0, __ATOMIC_RELEASE);
	if (t->isr != 0 && t->set_irq)
		t->set_irq(t->irq_ctx, false);
	t->isr = 0;
	pthread_mutex_unlock(&t->irq_lock);

	if (t->active && t->ops.reset)
		t->ops.reset(t->ctx);
	t->active = false;
	t->working = false;
	for (uint32_t i = 0; i < t->queue_n; i++) {
		static const struct vmm_virtq_config blank = VMM_VIRTQ_CONFIG_INIT;

		vmm_virtq_reset(t->queues[i].vq);
		t->queues[i].regs = blank;
		t->queues[i].ready = false;
		t->queues[i].reset = false;
	}
	__atomic_store_n(&t->accepted[0], 0, __ATOMIC_RELAXED);
	t->accepted[1] = 0;
}

static bool features_are_fine(const struct vmm_virtio_transport *t)
{
	if (vmm_virtio_check_features(t->device_id, t->offered, t->accepted, NULL) < 0)
		return false;
	return !t->ops.check_features || t->ops.check_features(t->ctx, t->accepted) == 0;
}

static int enable_queue(struct vmm_virtio_transport *t, uint32_t index)
{
	struct transport_queue *q = &t->queues[index];
	struct vmm_virtq_config config = q->regs;

	config.features = t->accepted[0];
	return vmm_virtq_enable(q->vq, t->mem, &config, NULL);
}

static int enable_queues(struct vmm_virtio_transport *t)
{
	for (uint32_t i = 0; i < t->queue_n; i++) {
		int ret = t->queues[i].ready ? enable_queue(t, i) : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Start the device on queues that are enabled. */
int transport_activate(struct vmm_virtio_transport *t, const void *state, size_t len,
		       bool restoring)
{
	struct vmm_virtio_activation a = {
		.features = { t->accepted[0], t->accepted[1] },
		.transport = t,
		.queues = t->vqs,
		.queue_n = t->queue_n,
	};
	int ret = 0;

	t->active = true;
	if (restoring && t->ops.restore)
		ret = t->ops.restore(t->ctx, t, &a, state, len);
	else if (t->ops.activate)
		ret = t->ops.activate(t->ctx, &a);
	if (ret < 0)
		return ret;
	t->working = true;
	if (t->paused && t->ops.pause)
		t->ops.pause(t->ctx);
	return 0;
}

/* The bit is set first: the device may interrupt before its activate returns. A driver
 * may have notified too early for us, so each queue is looked at once. */
static void driver_ok(struct vmm_virtio_transport *t)
{
	add_status(t, S_DRIVER_OK);
	if (enable_queues(t) < 0 || transport_activate(t, NULL, 0, false) < 0) {
		vmm_virtio_transport_needs_reset(t);
		return;
	}
	for (uint32_t i = 0; i < t->queue_n; i++)
		transport_notify(t, i);
}

/* virtio 1.2, 3.1.1: one step at a time, in order, and none is ever taken back. */
void transport_write_status(struct vmm_virtio_transport *t, uint32_t value)
{
	uint32_t old = status(t), added = value & ~old;

	if (value == 0) {
		transport_reset(t);
		return;
	}
	if (value > UINT8_MAX || (old & S_NEEDS_RESET) || (value & old) != old)
		return;
	if (added == S_FAILED) {
		add_status(t, S_FAILED);
		return;
	}
	if (old & S_FAILED)
		return;
	if ((added == S_ACK && old == 0) || (added == S_DRIVER && old == S_ACK))
		add_status(t, added);
	else if (added == S_FEATURES_OK && old == (S_ACK | S_DRIVER) &&
		 features_are_fine(t))
		add_status(t, S_FEATURES_OK);
	else if (added == S_DRIVER_OK && old == (S_ACK | S_DRIVER | S_FEATURES_OK))
		driver_ok(t);
}

uint32_t transport_read_features(const struct vmm_virtio_transport *t, uint32_t page)
{
	return page < 4 ? (uint32_t)(t->offered[page / 2] >> 32 * (page % 2)) : 0;
}

void transport_write_features(struct vmm_virtio_transport *t, uint32_t page,
			      uint32_t value)
{
	uint64_t word;

	if (page >= 4 || !in_state(t, S_DRIVER) || (status(t) & S_FEATURES_OK))
		return;
	word = t->accepted[page / 2] & ~((uint64_t)UINT32_MAX << 32 * (page % 2));
	word |= (uint64_t)value << 32 * (page % 2);
	__atomic_store_n(&t->accepted[page / 2], word, __ATOMIC_RELAXED);
}

/* A queue can be set up between FEATURES_OK and DRIVER_OK, or after it was reset. */
static bool may_set_up(const struct vmm_virtio_transport *t, uint32_t index)
{
	if (index >= t->queue_n || !in_state(t, S_FEATURES_OK))
		return false;
	return !(status(t) & S_DRIVER_OK) || t->queues[index].reset;
}

struct vmm_virtq_config *transport_queue_regs(struct vmm_virtio_transport *t,
					      uint32_t index)
{
	if (!may_set_up(t, index) || t->queues[index].ready)
		return NULL;
	return &t->queues[index].regs;
}

static void enable_again(struct vmm_virtio_transport *t, uint32_t index)
{
	struct transport_queue *q = &t->queues[index];

	if (enable_queue(t, index) < 0)
		return;
	q->ready = true;
	q->reset = false;
	t->ops.queue_enable(t->ctx, index);
	transport_notify(t, index);
}

void transport_queue_ready(struct vmm_virtio_transport *t, uint32_t index, uint32_t value)
{
	struct transport_queue *q;
	struct vmm_virtq_config config;

	if (value > 1 || !may_set_up(t, index) || t->queues[index].ready == value)
		return;
	q = &t->queues[index];
	if (value == 0) {
		q->ready = false;
		return;
	}
	if (q->reset) {
		enable_again(t, index);
		return;
	}
	config = q->regs;
	config.features = t->accepted[0];
	q->ready = vmm_virtq_check(q->vq, t->mem, &config, NULL) == 0;
}

/* virtio 1.2, 2.6.1. The device is done with the queue when its callback returns, so the
 * driver never sees a reset that is still under way. */
void transport_queue_reset(struct vmm_virtio_transport *t, uint32_t index)
{
	static const struct vmm_virtq_config blank = VMM_VIRTQ_CONFIG_INIT;
	struct transport_queue *q;

	if (index >= t->queue_n || !in_state(t, S_DRIVER_OK) ||
	    !(t->accepted[0] & VMM_VIRTIO_F_RING_RESET))
		return;
	q = &t->queues[index];
	if (q->ready)
		t->ops.queue_reset(t->ctx, index);
	vmm_virtq_reset(q->vq);
	q->regs = blank;
	q->ready = false;
	q->reset = true;
}

void transport_notify(struct vmm_virtio_transport *t, uint32_t index)
{
	if (index >= t->queue_n || !in_state(t, S_DRIVER_OK) || !t->queues[index].ready)
		return;
	PROBE3(notify, t->device_id, index, t);
	if (t->ops.queue_notify && !t->paused)
		t->ops.queue_notify(t->ctx, index);
}

int transport_set_mem(struct vmm_virtio_transport *t, const struct vmm_mem *mem)
{
	bool lost = false;

	for (uint32_t i = 0; i < t->queue_n; i++) {
		int ret = vmm_virtq_set_mem(t->queues[i].vq, mem);

		if (ret == -ENOMEM)
			return ret;
		lost |= ret < 0;
	}
	t->mem = mem;
	if (lost)
		vmm_virtio_transport_needs_reset(t);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Saving a transport as bytes and bringing one back. One description of the format
 * serves both directions. All numbers are little-endian:
 *
 *   magic 4, version 2, queues 2, length of all 4, device id 4
 *   features offered 16, accepted 16; status 1, working 1, 0 2, interrupt 4,
 *   generation 4, selectors 4 * 4, length of configuration 4, of the device's state 4
 *   each queue: addresses 3 * 8, size 4, flags 4, next available 2, next used 2,
 *   used since the last interrupt 4, chains in flight 4, the head of each 2
 *   configuration space, the device's state
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"
#include "transport.h"

#define MAGIC UINT32_C(0x74726976)
#define FORMAT 1u

enum queue_flag {
	Q_READY = 1,
	Q_RESET = 2,
	Q_ENABLED = 4,
	Q_BROKEN = 8,
	Q_AVAIL_WRAP = 16,
	Q_USED_WRAP = 32,
	Q_ALL = 63,
};

#define S_DRIVER_OK VMM_VIRTIO_S_DRIVER_OK
#define S_FEATURES_OK VMM_VIRTIO_S_FEATURES_OK
#define S_NEEDS_RESET VMM_VIRTIO_S_NEEDS_RESET
#define S_FAILED VMM_VIRTIO_S_FAILED

struct saved_queue {
	uint64_t addr[3];
	uint32_t num;
	uint32_t flags;
	uint16_t next_avail;
	uint16_t next_used;
	uint32_t added;
	uint32_t inflight;
	/* Room for as many as the queue may have at most. */
	uint16_t *heads;
};

struct saved {
	uint32_t magic, format, queue_n, len, device_id;
	uint64_t offered[2], accepted[2];
	uint32_t status, working, zero, isr, generation, config_len, device_len;
	uint32_t selectors[TRANSPORT_SELECTORS];
	uint8_t *config;
	/* As saved: to be written by the device itself. As restored: within the data. */
	const uint8_t *device;
	struct saved_queue *queues;
};

static void put_head(struct stream *s, struct saved *v)
{
	stream_u32(s, &v->magic);
	v->format = (uint32_t)stream_number(s, v->format, 2);
	v->queue_n = (uint32_t)stream_number(s, v->queue_n, 2);
	stream_u32(s, &v->len);
	stream_u32(s, &v->device_id);
	for (unsigned int i = 0; i < 2; i++)
		stream_u64(s, &v->offered[i]);
	for (unsigned int i = 0; i < 2; i++)
		stream_u64(s, &v->accepted[i]);
	v->status = (uint32_t)stream_number(s, v->status, 1);
	v->working = (uint32_t)stream_number(s, v->working, 1);
	v->zero = (uint32_t)stream_number(s, v->zero, 2);
	stream_u32(s, &v->isr);
	stream_u32(s, &v->generation);
	for (unsigned int i = 0; i < TRANSPORT_SELECTORS; i++)
		stream_u32(s, &v->selectors[i]);
	stream_u32(s, &v->config_len);
	stream_u32(s, &v->device_len);
}

/* More heads than there is room for are not looked at: the check refuses them. */
static void put_queue(struct stream *s, struct saved_queue *q, uint32_t max)
{
	for (unsigned int i = 0; i < 3; i++)
		stream_u64(s, &q->addr[i]);
	stream_u32(s, &q->num);
	stream_u32(s, &q->flags);
	stream_u16(s, &q->next_avail);
	stream_u16(s, &q->next_used);
	stream_u32(s, &q->added);
	stream_u32(s, &q->inflight);
	for (uint32_t i = 0; i < q->inflight && i < max; i++)
		stream_u16(s, &q->heads[i]);
}

static void put_body(struct stream *s, struct saved *v,
		     const struct vmm_virtio_transport *t)
{
	for (uint32_t i = 0; i < t->queue_n; i++)
		put_queue(s, &v->queues[i], vmm_virtq_get_max(t->queues[i].vq));
	stream_bytes(s, v->config, t->config_len);
}

static void saved_free(struct saved *v, uint32_t queue_n)
{
	for (uint32_t i = 0; v->queues && i < queue_n; i++)
		free(v->queues[i].heads);
	free(v->queues);
	free(v->config);
}

static int saved_alloc(struct saved *v, const struct vmm_virtio_transport *t)
{
	v->queues = calloc(t->queue_n ? t->queue_n : 1, sizeof(*v->queues));
	v->config = calloc(1, t->config_len + 1);
	if (!v->queues || !v->config)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->queue_n; i++) {
		v->queues[i].heads =
		    calloc(vmm_virtq_get_max(t->queues[i].vq), sizeof(uint16_t));
		if (!v->queues[i].heads)
			return -ENOMEM;
	}
	return 0;
}

void transport_pause(struct vmm_virtio_transport *t)
{
	if (!t->paused && t->working && t->ops.pause)
		t->ops.pause(t->ctx);
	t->paused = true;
}

void transport_resume(struct vmm_virtio_transport *t)
{
	if (!t->paused)
		return;
	t->paused = false;
	if (!t->working)
		return;
	if (t->ops.resume)
		t->ops.resume(t->ctx);
	for (uint32_t i = 0; i < t->queue_n; i++)
		transport_notify(t, i);
}

/* Queues of a device whose activation failed are as good as not enabled. */
static int gather_queue(struct saved_queue *to, const struct transport_queue *q,
			bool working)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	int ret = working ? vmm_virtq_get_state(q->vq, &s) : 0;

	if (ret < 0)
		return ret;
	to->addr[0] = q->regs.desc;
	to->addr[1] = q->regs.driver;
	to->addr[2] = q->regs.device;
	to->num = q->regs.num;
	to->flags = (q->ready ? Q_READY : 0u) | (q->reset ? Q_RESET : 0u) |
		    (s.enabled ? Q_ENABLED : 0u) | (s.broken ? Q_BROKEN : 0u) |
		    (s.avail_wrap ? Q_AVAIL_WRAP : 0u) | (s.used_wrap ? Q_USED_WRAP : 0u);
	to->next_avail = s.next_avail;
	to->next_used = s.next_used;
	to->added = s.added;
	to->inflight = s.inflight;
	if (s.inflight > 0)
		(void)vmm_virtq_get_inflight(q->vq, to->heads, s.inflight);
	return 0;
}

static int gather(struct saved *v, struct vmm_virtio_transport *t,
		  const uint32_t *selectors)
{
	int64_t device_len = t->ops.save ? t->ops.save(t->ctx, NULL, 0) : 0;

	if (device_len < 0)
		return (int)device_len;
	if (device_len > VMM_VIRTIO_DEVICE_STATE_MAX)
		return -E2BIG;
	v->magic = MAGIC;
	v->format = FORMAT;
	v->queue_n = t->queue_n;
	v->device_id = t->device_id;
	memcpy(v->offered, t->offered, sizeof(v->offered));
	memcpy(v->accepted, t->accepted, sizeof(v->accepted));
	v->status = vmm_virtio_transport_get_status(t);
	v->working = t->working;
	v->isr = transport_read_isr(t);
	v->generation = transport_read_generation(t);
	memcpy(v->selectors, selectors, sizeof(v->selectors));
	v->config_len = t->config_len;
	v->device_len = (uint32_t)device_len;
	transport_read_config(t, 0, v->config, t->config_len);
	for (uint32_t i = 0; i < t->queue_n; i++) {
		int ret = gather_queue(&v->queues[i], &t->queues[i], t->working);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Written twice: the first time nothing fits, and what comes out is the length. */
static int64_t write_out(struct saved *v, struct vmm_virtio_transport *t, void *buf,
			 size_t size)
{
	uint8_t none;
	struct stream s = { .to = &none };

	put_head(&s, v);
	put_body(&s, v, t);
	v->len = (uint32_t)(s.at + v->device_len);
	if (v->len > size)
		return v->len;

	s = (struct stream){ .to = buf, .size = size };
	put_head(&s, v);
	put_body(&s, v, t);
	if (v->device_len > 0) {
		int64_t n = t->ops.save(t->ctx, s.to + s.at, v->device_len);

		if (n != v->device_len)
			return n < 0 ? n : -EIO;
	}
	return v->len;
}

int64_t transport_save(struct vmm_virtio_transport *t, const uint32_t *selectors,
		       void *buf, size_t size)
{
	struct saved v = { 0 };
	int64_t ret;

	if (!t->paused)
		return -EBUSY;
	ret = saved_alloc(&v, t);
	if (ret == 0)
		ret = gather(&v, t, selectors);
	if (ret == 0)
		ret = write_out(&v, t, buf, size);
	saved_free(&v, t->queue_n);
	return ret;
}

/* The steps of 3.1.1, what may have gone wrong after each, and what comes with it. */
static bool status_is_sane(const struct saved *v)
{
	uint32_t steps = v->status & ~(S_NEEDS_RESET | S_FAILED);

	if (steps != 0 && steps != 1 && steps != 3 && steps != 0xb && steps != 0xf)
		return false;
	if (!(steps & S_DRIVER_OK))
		return !(v->status & S_NEEDS_RESET) && v->working == 0 && v->isr == 0;
	return v->working == 1 || (v->working == 0 && (v->status & S_NEEDS_RESET));
}

static bool queue_is_sane(const struct saved *v, const struct saved_queue *q,
			  uint32_t max)
{
	static const struct saved_queue blank = { .num = 0 };
	bool ready = q->flags & Q_READY, enabled = q->flags & Q_ENABLED;

	if ((q->flags & ~(uint32_t)Q_ALL) || q->num > max || q->inflight > max)
		return false;
	if (!(v->status & S_FEATURES_OK) &&
	    (q->flags || q->num || q->addr[0] || q->addr[1] || q->addr[2]))
		return false;
	if ((q->flags & Q_RESET) &&
	    (ready || !v->working || !(v->accepted[0] & VMM_VIRTIO_F_RING_RESET)))
		return false;
	if (enabled != (ready && v->working))
		return false;
	return enabled || (!(q->flags & ~(uint32_t)(Q_READY | Q_RESET)) &&
			   q->next_avail == blank.next_avail && q->next_used == 0 &&
			   q->added == 0 && q->inflight == 0);
}

static bool is_sane(const struct saved *v, const struct vmm_virtio_transport *t)
{
	if (!status_is_sane(v) || v->zero != 0 || (v->isr & ~(ISR_QUEUE | ISR_CONFIG)))
		return false;
	/* A driver that has seen features must still find them. */
	if ((v->offered[0] & ~t->offered[0]) || (v->offered[1] & ~t->offered[1]))
		return false;
	if (!(v->status & VMM_VIRTIO_S_DRIVER) && (v->accepted[0] || v->accepted[1]))
		return false;
	for (uint32_t i = 0; i < t->queue_n; i++) {
		if (!queue_is_sane(v, &v->queues[i], vmm_virtq_get_max(t->queues[i].vq)))
			return false;
	}
	return true;
}

/* Read and judge everything that can be judged without trying. */
static int read_in(struct saved *v, const struct vmm_virtio_transport *t,
		   const void *data, size_t len, struct vmm_error *err)
{
	struct stream s = { .from = data, .size = len };

	put_head(&s, v);
	if (s.at > len || v->magic != MAGIC || v->format != FORMAT || v->len != len)
		return vmm_error_at(err, -EBADMSG, 0, len, v->len,
				    "saved virtio device cut off or of another format");
	if (v->device_id != t->device_id || v->queue_n != t->queue_n ||
	    v->config_len != t->config_len || v->device_len > VMM_VIRTIO_DEVICE_STATE_MAX)
		return vmm_error_at(err, -EBADMSG, 0, t->device_id, v->device_id,
				    "saved virtio device is another one");
	put_body(&s, v, t);
	if (s.at > len || len - s.at != v->device_len)
		return vmm_error_at(err, -EBADMSG, s.at, v->device_len, len,
				    "saved virtio device cut off");
	v->device = s.from + s.at;
	if (!is_sane(v, t))
		return vmm_error_set(err, -EBADMSG,
				     "saved virtio device contradicts itself");
	if (v->device_len > 0 && !t->ops.restore)
		return vmm_error_set(err, -EBADMSG,
				     "saved virtio device has state that this one lacks");
	return 0;
}

static int restore_queue(struct vmm_virtio_transport *t, uint32_t index,
			 const struct saved_queue *q, struct vmm_error *err)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	struct transport_queue *to = &t->queues[index];
	struct vmm_virtq_config config;

	to->regs.desc = q->addr[0];
	to->regs.driver = q->addr[1];
	to->regs.device = q->addr[2];
	to->regs.num = q->num;
	to->ready = q->flags & Q_READY;
	to->reset = q->flags & Q_RESET;
	config = to->regs;
	config.features = t->accepted[0];
	if (!(q->flags & Q_ENABLED))
		return to->ready ? vmm_virtq_check(to->vq, t->mem, &config, err) : 0;
	s.config = config;
	s.next_avail = q->next_avail;
	s.next_used = q->next_used;
	s.avail_wrap = (q->flags & Q_AVAIL_WRAP) != 0;
	s.used_wrap = (q->flags & Q_USED_WRAP) != 0;
	s.broken = (q->flags & Q_BROKEN) != 0;
	s.enabled = 1;
	s.added = q->added;
	s.inflight = q->inflight;
	return vmm_virtq_restore(to->vq, t->mem, &s, q->heads, err);
}

static int restore_negotiation(struct vmm_virtio_transport *t, const struct saved *v,
			       struct vmm_error *err)
{
	__atomic_store_n(&t->accepted[0], v->accepted[0], __ATOMIC_RELAXED);
	t->accepted[1] = v->accepted[1];
	if (v->status & S_FEATURES_OK) {
		int ret =
		    vmm_virtio_check_features(t->device_id, t->offered, t->accepted, err);

		if (ret < 0)
			return ret;
		if (t->ops.check_features && t->ops.check_features(t->ctx, t->accepted))
			return vmm_error_set(err, -EBADMSG,
					     "features that the device refuses");
	}
	for (uint32_t i = 0; i < t->queue_n; i++) {
		int ret = restore_queue(t, i, &v->queues[i], err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The driver's bits from @p from. A device that has no state of its own is told as if the
 * driver had written them, in pieces as long as a register access is. */
static void restore_config(struct vmm_virtio_transport *t, const uint8_t *from)
{
	for (uint32_t at = 0; at < t->config_len; at += 8) {
		uint32_t n = t->config_len - at < 8 ? t->config_len - at : 8;
		uint8_t now[8];
		bool changed = false;

		pthread_mutex_lock(&t->config_lock);
		for (uint32_t i = 0; i < n; i++) {
			uint8_t mask = t->writable[at + i], old = t->config[at + i];

			now[i] = (uint8_t)((old & ~mask) | (from[at + i] & mask));
			changed |= now[i] != old;
			t->config[at + i] = now[i];
		}
		pthread_mutex_unlock(&t->config_lock);
		if (changed && !t->ops.restore && t->ops.config_written)
			t->ops.config_written(t->ctx, at, now, n);
	}
}

/* Last of all the driver's side comes alive. */
static void publish(struct vmm_virtio_transport *t, const struct saved *v)
{
	uint32_t isr = v->isr;

	pthread_mutex_lock(&t->config_lock);
	t->generation = v->generation;
	if (t->config_len && memcmp(t->config, v->config, t->config_len) != 0) {
		t->generation++;
		isr |= v->status & S_DRIVER_OK ? ISR_CONFIG : 0;
	}
	pthread_mutex_unlock(&t->config_lock);

	pthread_mutex_lock(&t->irq_lock);
	__atomic_store_n(&t->status, v->status, __ATOMIC_RELEASE);
	t->isr = isr;
	if (isr != 0 && t->set_irq)
		t->set_irq(t->irq_ctx, true);
	pthread_mutex_unlock(&t->irq_lock);
}

static int start(struct vmm_virtio_transport *t, const struct saved *v)
{
	if (v->working)
		return transport_activate(t, v->device, v->device_len, true);
	if (t->ops.restore)
		return t->ops.restore(t->ctx, t, NULL, v->device, v->device_len);
	return 0;
}

int transport_restore(struct vmm_virtio_transport *t, uint32_t *selectors,
		      const void *data, size_t len, struct vmm_error *err)
{
	struct saved v = { 0 };
	uint8_t *before = calloc(1, t->config_len + 1);
	bool paused = t->paused;
	int ret = -EBUSY;

	if (vmm_virtio_transport_get_status(t) != 0 || t->active) {
		(void)vmm_error_set(err, ret, "a virtio driver is at work");
		goto out;
	}
	ret = before ? saved_alloc(&v, t) : -ENOMEM;
	if (ret < 0) {
		(void)vmm_error_set(err, ret, "no memory for a saved virtio device");
		goto out;
	}
	ret = read_in(&v, t, data, len, err);
	if (ret < 0)
		goto out;

	transport_read_config(t, 0, before, t->config_len);
	t->paused = true;
	ret = restore_negotiation(t, &v, err);
	if (ret == 0) {
		restore_config(t, v.config);
		ret = start(t, &v);
		if (ret < 0) {
			restore_config(t, before);
			(void)vmm_error_set(err, ret, "the virtio device did not start");
		}
	}
	if (ret < 0) {
		t->paused = paused;
		transport_reset(t);
		goto out;
	}
	memcpy(selectors, v.selectors, sizeof(v.selectors));
	publish(t, &v);
out:
	saved_free(&v, t->queue_n);
	free(before);
	return ret;
}

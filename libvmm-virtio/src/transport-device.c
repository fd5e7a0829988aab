/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Making a transport, its configuration space, and what the device moves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "probes.h"
#include "transport.h"

/* SR-IOV, notification configuration data and admin queues are things of PCI. */
#define PCI_ONLY (UINT64_C(1) << 37 | UINT64_C(1) << 39 | UINT64_C(1) << 41)

static void *copy_of(const void *from, size_t len)
{
	void *to = calloc(1, len ? len : 1);

	if (!to)
		return NULL;
	if (len)
		memcpy(to, from, len);
	return to;
}

static int check_device(const struct vmm_virtio_device *d,
			const struct vmm_virtio_device_ops *ops, struct vmm_error *err)
{
	if (d->queue_n > VMM_VIRTIO_QUEUES_MAX || d->config_len > VMM_VIRTIO_CONFIG_MAX ||
	    d->shm_n > VMM_VIRTIO_SHM_MAX)
		return vmm_error_set(err, -E2BIG, "virtio device over a limit");
	if ((d->queue_n && !d->queue_max) || (d->config_len && !d->config) ||
	    (d->shm_n && !d->shm))
		return vmm_error_set(err, -EINVAL, "virtio device lacks an array");
	for (uint32_t i = 0; i < d->queue_n; i++) {
		if (d->queue_max[i] == 0 || d->queue_max[i] > VMM_VIRTQ_SIZE_MAX)
			return vmm_error_at(err, -EINVAL, i, VMM_VIRTQ_SIZE_MAX,
					    d->queue_max[i], "virtio queue %u of size %u",
					    i, d->queue_max[i]);
	}
	if (d->features[0] & PCI_ONLY)
		return vmm_error_at(err, -EINVAL, 0, 0, d->features[0],
				    "virtio feature that needs PCI");
	if ((d->features[0] & VMM_VIRTIO_F_RING_RESET) &&
	    (!ops->queue_reset || !ops->queue_enable))
		return vmm_error_set(err, -EINVAL, "RING_RESET without its callbacks");
	return 0;
}

static int make_queues(struct vmm_virtio_transport *t, const uint16_t *max)
{
	t->queues = calloc(t->queue_n ? t->queue_n : 1, sizeof(*t->queues));
	t->vqs = calloc(t->queue_n ? t->queue_n : 1, sizeof(struct vmm_virtq *));
	if (!t->queues || !t->vqs)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->queue_n; i++) {
		static const struct vmm_virtq_config blank = VMM_VIRTQ_CONFIG_INIT;
		int ret = vmm_virtq_new(max[i], &t->queues[i].vq);

		if (ret < 0)
			return ret;
		t->queues[i].regs = blank;
		t->vqs[i] = t->queues[i].vq;
	}
	return 0;
}

static int make_parts(struct vmm_virtio_transport *t, const struct vmm_virtio_device *d)
{
	t->config = copy_of(d->config, d->config_len);
	t->writable = d->config_writable ? copy_of(d->config_writable, d->config_len)
					 : calloc(1, d->config_len + 1);
	t->shm = copy_of(d->shm, d->shm_n * sizeof(*d->shm));
	if (!t->config || !t->writable || !t->shm)
		return -ENOMEM;
	return make_queues(t, d->queue_max);
}

int transport_init(struct vmm_virtio_transport *t, const struct vmm_virtio_device *device,
		   struct vmm_error *err)
{
	struct vmm_virtio_device d;
	int ret = options_copy(&d, sizeof(d), device, device->size);

	if (ret == 0 && !d.ops)
		ret = -EINVAL;
	if (ret == 0)
		ret = options_copy(&t->ops, sizeof(t->ops), d.ops, d.ops->size);
	if (ret < 0)
		return vmm_error_set(err, ret, "virtio device of unknown layout");
	ret = check_device(&d, &t->ops, err);
	if (ret < 0)
		return ret;

	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->config_lock, NULL);
	pthread_mutex_init(&t->irq_lock, NULL);
	t->device_id = d.id;
	t->ctx = d.ctx;
	t->offered[0] = d.features[0] | VMM_VIRTIO_F_VERSION_1;
	t->offered[1] = d.features[1];
	t->queue_n = d.queue_n;
	t->shm_n = d.shm_n;
	t->config_len = d.config_len;
	ret = make_parts(t, &d);
	if (ret < 0) {
		transport_fini(t);
		return vmm_error_set(err, ret, "no memory for a virtio transport");
	}
	if (t->ops.attach)
		t->ops.attach(t->ctx, t);
	return 0;
}

void transport_fini(struct vmm_virtio_transport *t)
{
	for (uint32_t i = 0; t->queues && i < t->queue_n; i++)
		vmm_virtq_free(t->queues[i].vq);
	free(t->queues);
	free(t->vqs);
	free(t->config);
	free(t->writable);
	free(t->shm);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->config_lock);
	pthread_mutex_destroy(&t->irq_lock);
}

/* irq_lock is held. */
static void raise_locked(struct vmm_virtio_transport *t, uint32_t reason)
{
	t->isr |= reason;
	if (t->set_irq)
		t->set_irq(t->irq_ctx, true);
}

static void raise(struct vmm_virtio_transport *t, uint32_t reason)
{
	pthread_mutex_lock(&t->irq_lock);
	if (t->status & VMM_VIRTIO_S_DRIVER_OK)
		raise_locked(t, reason);
	pthread_mutex_unlock(&t->irq_lock);
}

uint32_t transport_read_isr(struct vmm_virtio_transport *t)
{
	uint32_t isr;

	pthread_mutex_lock(&t->irq_lock);
	isr = t->isr;
	pthread_mutex_unlock(&t->irq_lock);
	return isr;
}

void transport_ack_isr(struct vmm_virtio_transport *t, uint32_t bits)
{
	pthread_mutex_lock(&t->irq_lock);
	if (t->isr & bits) {
		t->isr &= ~bits;
		if (t->isr == 0 && t->set_irq)
			t->set_irq(t->irq_ctx, false);
	}
	pthread_mutex_unlock(&t->irq_lock);
}

uint32_t transport_read_generation(struct vmm_virtio_transport *t)
{
	uint32_t generation;

	pthread_mutex_lock(&t->config_lock);
	generation = t->generation;
	pthread_mutex_unlock(&t->config_lock);
	return generation;
}

/* Bytes of an access that are inside the configuration space. */
static size_t clip(const struct vmm_virtio_transport *t, uint64_t offset, size_t len)
{
	if (offset >= t->config_len)
		return 0;
	return len < t->config_len - offset ? len : (size_t)(t->config_len - offset);
}

void transport_read_config(struct vmm_virtio_transport *t, uint64_t offset, void *data,
			   size_t len)
{
	size_t n = clip(t, offset, len);

	memset((uint8_t *)data + n, 0, len - n);
	if (n == 0)
		return;
	pthread_mutex_lock(&t->config_lock);
	memcpy(data, t->config + offset, n);
	pthread_mutex_unlock(&t->config_lock);
}

void transport_write_config(struct vmm_virtio_transport *t, uint64_t offset,
			    const void *data, size_t len)
{
	size_t n = clip(t, offset, len);
	uint8_t now[8], any = 0;
	const uint8_t *new = data;

	if (n == 0 || n > sizeof(now))
		return;
	if ((t->status & (VMM_VIRTIO_S_DRIVER | VMM_VIRTIO_S_FAILED)) !=
	    VMM_VIRTIO_S_DRIVER)
		return;
	pthread_mutex_lock(&t->config_lock);
	for (size_t i = 0; i < n; i++) {
		uint8_t mask = t->writable[offset + i];

		t->config[offset + i] =
		    (uint8_t)((t->config[offset + i] & ~mask) | (new[i] & mask));
		now[i] = t->config[offset + i];
		any |= mask;
	}
	pthread_mutex_unlock(&t->config_lock);
	if (any && t->ops.config_written)
		t->ops.config_written(t->ctx, (uint32_t)offset, now, (uint32_t)n);
}

void vmm_virtio_transport_signal_queue(struct vmm_virtio_transport *transport,
				       uint32_t index)
{
	PROBE3(interrupt, transport->device_id, index, transport);
	raise(transport, ISR_QUEUE);
}

int vmm_virtio_transport_sync_config(struct vmm_virtio_transport *transport,
				     uint32_t offset, const void *data, uint32_t len)
{
	struct vmm_virtio_transport *t = transport;

	if (offset > t->config_len || len > t->config_len - offset)
		return -EINVAL;
	if (len == 0)
		return 0;
	pthread_mutex_lock(&t->config_lock);
	memcpy(t->config + offset, data, len);
	t->generation++;
	pthread_mutex_unlock(&t->config_lock);
	return 0;
}

int vmm_virtio_transport_set_config(struct vmm_virtio_transport *transport,
				    uint32_t offset, const void *data, uint32_t len)
{
	int ret = vmm_virtio_transport_sync_config(transport, offset, data, len);

	if (ret == 0 && len > 0)
		raise(transport, ISR_CONFIG);
	return ret;
}

void vmm_virtio_transport_needs_reset(struct vmm_virtio_transport *transport)
{
	struct vmm_virtio_transport *t = transport;

	pthread_mutex_lock(&t->irq_lock);
	if ((t->status & VMM_VIRTIO_S_DRIVER_OK) &&
	    !(t->status & VMM_VIRTIO_S_NEEDS_RESET)) {
		__atomic_store_n(&t->status, t->status | VMM_VIRTIO_S_NEEDS_RESET,
				 __ATOMIC_RELEASE);
		raise_locked(t, ISR_CONFIG);
	}
	pthread_mutex_unlock(&t->irq_lock);
}

uint32_t vmm_virtio_transport_get_status(const struct vmm_virtio_transport *transport)
{
	return __atomic_load_n(&transport->status, __ATOMIC_ACQUIRE);
}

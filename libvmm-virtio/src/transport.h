/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <pthread.h>

#include <vmm/virtio.h>

/* Reasons of an interrupt (virtio 1.2, 4.2.2). */
#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

/* What the driver wrote about a queue, apart from the queue itself: that only gets a copy
 * when it is enabled, and does not see what is written later. */
struct transport_queue {
	struct vmm_virtq *vq;
	struct vmm_virtq_config regs;
	/* The driver set it ready, and it was found good. */
	bool ready;
	/* Reset by RING_RESET: may be set up again after DRIVER_OK. */
	bool reset;
};

/*
 * All that does not depend on how registers are laid out: mmio.c is one front, PCI would
 * be another. The front holds `lock` around each transport_*() call below.
 *
 * Lock order: lock, then config_lock or irq_lock. Device callbacks run under `lock`;
 * what devices call themselves takes only one of the other two.
 */
struct vmm_virtio_transport {
	pthread_mutex_t lock;

	uint32_t device_id;
	struct vmm_virtio_device_ops ops;
	void *ctx;
	const struct vmm_mem *mem;
	uint64_t offered[2];
	uint64_t accepted[2];
	/* The device's activate was called, and its reset not yet. */
	bool active;
	/* Activation went well, so that there are queues at work. */
	bool working;
	/* The VMM wants it at rest; outlives a reset. */
	bool paused;

	struct transport_queue *queues;
	struct vmm_virtq **vqs;
	uint32_t queue_n;
	struct vmm_virtio_shm *shm;
	uint32_t shm_n;

	pthread_mutex_t config_lock;
	uint8_t *config;
	uint8_t *writable;
	uint32_t config_len;
	uint32_t generation;

	/* Held to change status or isr, and while the line is set. */
	pthread_mutex_t irq_lock;
	uint32_t status;
	uint32_t isr;
	void (*set_irq)(void *ctx, bool level);
	void *irq_ctx;
};

int transport_init(struct vmm_virtio_transport *t, const struct vmm_virtio_device *device,
		   struct vmm_error *err);
void transport_fini(struct vmm_virtio_transport *t);

void transport_reset(struct vmm_virtio_transport *t);
void transport_write_status(struct vmm_virtio_transport *t, uint32_t value);
void transport_write_features(struct vmm_virtio_transport *t, uint32_t page,
			      uint32_t value);
uint32_t transport_read_features(const struct vmm_virtio_transport *t, uint32_t page);
void transport_read_config(struct vmm_virtio_transport *t, uint64_t offset, void *data,
			   size_t len);
void transport_write_config(struct vmm_virtio_transport *t, uint64_t offset,
			    const void *data, size_t len);
uint32_t transport_read_generation(struct vmm_virtio_transport *t);
uint32_t transport_read_isr(struct vmm_virtio_transport *t);
void transport_ack_isr(struct vmm_virtio_transport *t, uint32_t bits);

/* NULL if there is no such queue, or if its set-up is frozen now. */
struct vmm_virtq_config *transport_queue_regs(struct vmm_virtio_transport *t,
					      uint32_t index);
void transport_queue_ready(struct vmm_virtio_transport *t, uint32_t index,
			   uint32_t value);
void transport_queue_reset(struct vmm_virtio_transport *t, uint32_t index);
void transport_notify(struct vmm_virtio_transport *t, uint32_t index);
int transport_set_mem(struct vmm_virtio_transport *t, const struct vmm_mem *mem);
int transport_activate(struct vmm_virtio_transport *t, const void *state, size_t len,
		       bool restoring);

void transport_pause(struct vmm_virtio_transport *t);
void transport_resume(struct vmm_virtio_transport *t);

/* What the layout of the registers adds to a saved state: what is selected. */
#define TRANSPORT_SELECTORS 4u
int64_t transport_save(struct vmm_virtio_transport *t, const uint32_t *selectors,
		       void *buf, size_t size);
int transport_restore(struct vmm_virtio_transport *t, uint32_t *selectors,
		      const void *data, size_t len, struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DRAIN_H
#define DRAIN_H

#include <vmm/virtio.h>

#include "fair-lock.h"

/* What becomes of a chain, apart from a length to give it back with. */
enum { DRAIN_HOLD = -1, DRAIN_LATER = -2 };

/* Where to take chains from, and room for their iovecs. */
struct drain {
	struct vmm_virtq *vq;
	struct vmm_virtio_transport *transport;
	uint32_t index;
	uint32_t iov_max;
	struct iovec *iov;
	/* Returns the bytes that it wrote, or one of the above: the chain stays out, or
	 * goes back to the ring and nothing more is taken. */
	int64_t (*one)(void *ctx, const struct vmm_virtq_chain *chain);
	void *ctx;
	/* Taking ends after one chain while somebody wants it; NULL: never mind. */
	const struct fair_lock *lock;
};

/* Take chains, at most as many as the queue is long, look after interrupts and broken
 * rings. Returns whether there is more to do: come back. */
bool drain_queue(const struct drain *d);

/* Interrupt the driver if it wants that. */
void drain_signal(const struct drain *d);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_RING_H
#define SIO_RING_H

/* Output on its way to the host. The indices run freely and are masked on use, so that
 * head - tail is the fill level even after they wrap. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct sio_ring {
	uint32_t head;
	uint32_t tail;
	uint32_t size;
	/* Bytes taken out since the beginning. */
	uint64_t taken;
	uint8_t *data;
};

static inline uint32_t sio_ring_used(const struct sio_ring *r)
{
	return r->head - r->tail;
}

static inline bool sio_ring_has_room(const struct sio_ring *r)
{
	return r->head - r->tail < r->size;
}

/* Bytes put in since the beginning. */
static inline uint64_t sio_ring_total(const struct sio_ring *r)
{
	return r->taken + sio_ring_used(r);
}

static inline void sio_ring_push(struct sio_ring *r, uint8_t byte)
{
	r->data[r->head & (r->size - 1)] = byte;
	r->head++;
}

static inline size_t sio_ring_peek(const struct sio_ring *r, struct iovec out[2],
				   size_t *n)
{
	uint32_t used = sio_ring_used(r), at = r->tail & (r->size - 1);
	uint32_t first = used < r->size - at ? used : r->size - at;

	*n = (first > 0) + (size_t)(used > first);
	if (first > 0)
		out[0] = (struct iovec){ r->data + at, first };
	if (used > first)
		out[1] = (struct iovec){ r->data, used - first };
	return used;
}

static inline void sio_ring_drop(struct sio_ring *r, size_t bytes)
{
	uint32_t used = sio_ring_used(r);

	used = bytes < used ? (uint32_t)bytes : used;
	r->tail += used;
	r->taken += used;
}

/* Is @size a power of two within what the headers allow? */
static inline bool sio_ring_size_ok(uint32_t size, uint32_t min, uint32_t max)
{
	return size >= min && size <= max && (size & (size - 1)) == 0;
}

#endif

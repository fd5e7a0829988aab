/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_FIFO_H
#define SIO_FIFO_H

/* A small queue of received characters; the upper byte holds their line faults. The
 * capacity is a power of two; the indices run freely. */

#include <stdbool.h>
#include <stdint.h>

#define SIO_FIFO_MAX 1024u

struct sio_fifo {
	uint32_t head;
	uint32_t tail;
	uint32_t mask;
	uint16_t *data;
};

static inline uint32_t sio_fifo_len(const struct sio_fifo *f)
{
	return f->head - f->tail;
}

static inline void sio_fifo_push(struct sio_fifo *f, uint16_t c)
{
	f->data[f->head++ & f->mask] = c;
}

static inline uint16_t sio_fifo_pop(struct sio_fifo *f)
{
	return f->data[f->tail++ & f->mask];
}

static inline uint16_t *sio_fifo_at(const struct sio_fifo *f, uint32_t i)
{
	return &f->data[(f->tail + i) & f->mask];
}

static inline void sio_fifo_clear(struct sio_fifo *f)
{
	f->tail = f->head;
}

#endif

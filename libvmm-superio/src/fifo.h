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

/* To and from a saved state; the caller has checked what it loads. */
void sio_fifo_save(const struct sio_fifo *f, uint16_t *out);
void sio_fifo_load(struct sio_fifo *f, const uint16_t *in, uint32_t len);

/* Are the first @len of @max entries within @mask and the rest 0? */
bool sio_fifo_check(const uint16_t *in, uint32_t len, uint32_t max, uint32_t mask);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * A saved state as little-endian bytes. One description of a format, a function that
 * calls those below, serves both directions: it writes what the variables have, or sets
 * them. What does not fit is not written, or read as 0, and counted all the same.
 */
struct stream {
	/* NULL: reading. */
	uint8_t *to;
	const uint8_t *from;
	size_t at;
	size_t size;
};

uint64_t stream_number(struct stream *s, uint64_t value, unsigned int bytes);
void stream_u64(struct stream *s, uint64_t *v);
void stream_u32(struct stream *s, uint32_t *v);
void stream_u16(struct stream *s, uint16_t *v);
void stream_u8(struct stream *s, uint8_t *v);
void stream_bytes(struct stream *s, uint8_t *bytes, size_t len);

/* Write what @p describe says about @p state. Returns how long it is, and writes nothing
 * if @p size is less: what a device's `save` returns. */
int64_t stream_save(void *buf, size_t size,
		    void (*describe)(struct stream *s, void *state), void *state);

/* Read it. Returns -EBADMSG if @p data is shorter or longer than that. */
int stream_load(const void *data, size_t len,
		void (*describe)(struct stream *s, void *state), void *state);

#endif

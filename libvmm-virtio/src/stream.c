/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "stream.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool fits(const struct stream *s, size_t len)
{
	return s->at <= s->size && len <= s->size - s->at;
}

uint64_t stream_number(struct stream *s, uint64_t value, unsigned int bytes)
{
	uint64_t got = 0;

	for (unsigned int i = 0; i < bytes && fits(s, bytes); i++) {
		if (s->to)
			s->to[s->at + i] = (uint8_t)(value >> 8 * i);
		else
			got |= (uint64_t)s->from[s->at + i] << 8 * i;
	}
	s->at += bytes;
	return s->to ? value : got;
}

void stream_u64(struct stream *s, uint64_t *v)
{
	*v = stream_number(s, *v, 8);
}

void stream_u32(struct stream *s, uint32_t *v)
{
	*v = (uint32_t)stream_number(s, *v, 4);
}

void stream_u16(struct stream *s, uint16_t *v)
{
	*v = (uint16_t)stream_number(s, *v, 2);
}

void stream_u8(struct stream *s, uint8_t *v)
{
	*v = (uint8_t)stream_number(s, *v, 1);
}

void stream_bytes(struct stream *s, uint8_t *bytes, size_t len)
{
	if (len > 0 && fits(s, len)) {
		if (s->to)
			memcpy(s->to + s->at, bytes, len);
		else
			memcpy(bytes, s->from + s->at, len);
	}
	s->at += len;
}

int64_t stream_save(void *buf, size_t size,
		    void (*describe)(struct stream *s, void *state), void *state)
{
	uint8_t none;
	/* Nothing fits, and what comes out is the length. */
	struct stream s = { .to = &none };

	describe(&s, state);
	if (s.at > 0 && s.at <= size) {
		s = (struct stream){ .to = buf, .size = size };
		describe(&s, state);
	}
	return (int64_t)s.at;
}

int stream_load(const void *data, size_t len,
		void (*describe)(struct stream *s, void *state), void *state)
{
	struct stream s = { .from = data, .size = len };

	describe(&s, state);
	return s.at == len ? 0 : -EBADMSG;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "scrollback.h"

static size_t at_most(size_t a, uint64_t b)
{
	return a < b ? a : (size_t)b;
}

/* Bytes from number @at on that lie behind each other in the ring. */
static size_t run_length(uint64_t at)
{
	return SCROLLBACK_LEN - (size_t)(at % SCROLLBACK_LEN);
}

void scrollback_init(struct scrollback *back)
{
	(void)pthread_mutex_init(&back->lock, NULL);
}

void scrollback_fini(struct scrollback *back)
{
	(void)pthread_mutex_destroy(&back->lock);
}

static void add(struct scrollback *back, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = at_most(len, run_length(back->total));

		memcpy(back->bytes + back->total % SCROLLBACK_LEN, bytes, n);
		back->total += n;
		bytes += n;
		len -= n;
	}
}

void scrollback_add(struct scrollback *back, const struct iovec *iov, size_t len)
{
	pthread_mutex_lock(&back->lock);
	for (; len > 0; iov++) {
		size_t n = at_most(iov->iov_len, len);

		add(back, iov->iov_base, n);
		len -= n;
	}
	pthread_mutex_unlock(&back->lock);
}

size_t scrollback_read(struct scrollback *back, uint64_t *at, uint8_t *buf, size_t size)
{
	size_t n, done = 0;

	pthread_mutex_lock(&back->lock);
	if (back->total - *at > SCROLLBACK_LEN)
		*at = back->total - SCROLLBACK_LEN;
	size = at_most(size, back->total - *at);
	for (; done < size; done += n) {
		n = at_most(size - done, run_length(*at + done));
		memcpy(buf + done, back->bytes + (*at + done) % SCROLLBACK_LEN, n);
	}
	pthread_mutex_unlock(&back->lock);
	return done;
}

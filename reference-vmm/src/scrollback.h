/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SCROLLBACK_H
#define SCROLLBACK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { SCROLLBACK_LEN = 65536 };

/* The last of what a console said, for those who come later. Any thread. Bytes are counted
 * from the first one that was ever added. */
struct scrollback {
	pthread_mutex_t lock;
	uint64_t total;
	uint8_t bytes[SCROLLBACK_LEN];
};

void scrollback_init(struct scrollback *back);
void scrollback_fini(struct scrollback *back);

/* Add the first @len bytes of the vector. */
void scrollback_add(struct scrollback *back, const struct iovec *iov, size_t len);

/* Copy at most @size bytes from number *at on, or from the oldest there is, which *at is set
 * to then. Returns how many. */
size_t scrollback_read(struct scrollback *back, uint64_t *at, uint8_t *buf, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "virtq.h"

struct vmm_virtq_cursor vmm_virtq_reader(const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor c = { chain->iov, 0, chain->readable_len, 0 };

	return c;
}

struct vmm_virtq_cursor vmm_virtq_writer(const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor c = { chain->iov + chain->readable_n, 0,
				      chain->writable_len, 0 };

	return c;
}

/* The next piece that lies in one iovec, at most len bytes; 0 at the end. */
static size_t piece(const struct vmm_virtq_cursor *c, uint64_t len, void **out)
{
	size_t here;

	if (len > c->left)
		len = c->left;
	if (len == 0)
		return 0;
	here = c->iov->iov_len - c->offset;
	*out = (uint8_t *)c->iov->iov_base + c->offset;
	return len < here ? (size_t)len : here;
}

static void pass(struct vmm_virtq_cursor *c, size_t len)
{
	c->offset += len;
	c->left -= len;
	c->done += len;
	if (c->offset == c->iov->iov_len) {
		c->iov++;
		c->offset = 0;
	}
}

size_t vmm_virtq_read_some(struct vmm_virtq_cursor *reader, void *buf, size_t len)
{
	size_t done = 0, n;
	void *from;

	while ((n = piece(reader, len - done, &from)) > 0) {
		memcpy((uint8_t *)buf + done, from, n);
		pass(reader, n);
		done += n;
	}
	return done;
}

size_t vmm_virtq_write_some(struct vmm_virtq_cursor *writer, const void *buf, size_t len)
{
	size_t done = 0, n;
	void *to;

	while ((n = piece(writer, len - done, &to)) > 0) {
		memcpy(to, (const uint8_t *)buf + done, n);
		pass(writer, n);
		done += n;
	}
	return done;
}

int vmm_virtq_read(struct vmm_virtq_cursor *reader, void *buf, size_t len)
{
	if (len > reader->left)
		return -ENODATA;
	(void)vmm_virtq_read_some(reader, buf, len);
	return 0;
}

int vmm_virtq_write(struct vmm_virtq_cursor *writer, const void *buf, size_t len)
{
	if (len > writer->left)
		return -ENOSPC;
	(void)vmm_virtq_write_some(writer, buf, len);
	return 0;
}

uint64_t vmm_virtq_fill(struct vmm_virtq_cursor *writer, uint8_t value, uint64_t len)
{
	uint64_t done = 0;
	size_t n;
	void *to;

	while ((n = piece(writer, len - done, &to)) > 0) {
		memset(to, value, n);
		pass(writer, n);
		done += n;
	}
	return done;
}

uint64_t vmm_virtq_skip(struct vmm_virtq_cursor *cursor, uint64_t len)
{
	uint64_t done = 0;
	size_t n;
	void *at;

	while ((n = piece(cursor, len - done, &at)) > 0) {
		pass(cursor, n);
		done += n;
	}
	return done;
}

int vmm_virtq_split(struct vmm_virtq_cursor *cursor, uint64_t at,
		    struct vmm_virtq_cursor *out_rest)
{
	struct vmm_virtq_cursor rest = *cursor;

	if (at > cursor->left)
		return -EINVAL;
	(void)vmm_virtq_skip(&rest, at);
	rest.done = 0;
	cursor->left = at;
	*out_rest = rest;
	return 0;
}

int vmm_virtq_get_iov(const struct vmm_virtq_cursor *cursor, uint64_t len,
		      struct iovec *iov, size_t iov_max, size_t *out_n)
{
	struct vmm_virtq_cursor c = *cursor;
	size_t count = 0, n;
	void *at;

	if (len > c.left)
		return -EINVAL;
	while ((n = piece(&c, len, &at)) > 0) {
		if (count == iov_max)
			return -E2BIG;
		iov[count].iov_base = at;
		iov[count].iov_len = n;
		count++;
		pass(&c, n);
		len -= n;
	}
	*out_n = count;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Frames on a stream: 4 bytes of length, big-endian, and the frame. A frame that comes in
 * one piece goes right into guest memory, together with the length of the next one; a
 * frame that comes in parts is put together here. A frame that goes in parts is copied,
 * so that its buffer is the driver's again and a reset does not tear the stream.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net.h"

static int64_t receive(int fd, struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t ret = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (ret > 0)
		return ret;
	if (ret == 0)
		return -EPIPE;
	return errno == EINTR ? 0 : -errno;
}

/* Returns 0 when the length is there, -EINPROGRESS if a part of it is. */
static int64_t receive_length(struct net_stream *s, int fd)
{
	struct iovec v = { s->in_len + s->in_len_n, 4 - s->in_len_n };
	int64_t ret = 0;
	uint32_t be;

	if (s->in_len_n < 4)
		ret = receive(fd, &v, 1);
	if (ret < 0)
		return ret;
	s->in_len_n += (uint32_t)ret;
	if (s->in_len_n < 4)
		return -EINPROGRESS;
	memcpy(&be, s->in_len, sizeof(be));
	s->in_len_n = 0;
	s->want = be32toh(be);
	s->got = 0;
	if (s->want > NET_FRAME_MAX)
		return -EBADMSG;
	return s->want == 0 ? -EINPROGRESS : 0;
}

static void copy_out(uint8_t *to, const struct iovec *iov, uint64_t skip, uint64_t len)
{
	for (; len > 0; iov++) {
		size_t n = iov->iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= (size_t)skip;
		if (n > len)
			n = (size_t)len;
		memcpy(to, (const uint8_t *)iov->iov_base + skip, n);
		to += n;
		len -= n;
		skip = 0;
	}
}

/* As much of @p iov as holds @p len bytes; returns how many entries that are. */
static uint32_t clip(struct iovec *to, const struct iovec *iov, uint32_t n, uint64_t *len)
{
	uint32_t i;

	for (i = 0; i<n && * len> 0; i++) {
		to[i] = iov[i];
		if (to[i].iov_len > *len)
			to[i].iov_len = (size_t)*len;
		*len -= to[i].iov_len;
	}
	return i;
}

static void scatter(const struct iovec *iov, uint32_t n, const uint8_t *from,
		    uint32_t len)
{
	for (uint32_t i = 0; i < n && len > 0; i++) {
		uint32_t here = iov[i].iov_len < len ? (uint32_t)iov[i].iov_len : len;

		memcpy(iov[i].iov_base, from, here);
		from += here;
		len -= here;
	}
}

/* The frame of s->want bytes has come, with @p more bytes of the next length. */
static int64_t finish(struct net_stream *s, uint32_t more)
{
	uint32_t len = s->want;

	s->want = 0;
	s->got = 0;
	s->in_len_n = more;
	return len;
}

static int64_t receive_direct(struct net_stream *s, int fd, const struct iovec *iov,
			      uint32_t iov_n)
{
	uint64_t left = s->want;
	uint32_t n = clip(s->iov, iov, iov_n, &left);
	int64_t ret;

	if (left > 0)
		return -EBADMSG;
	s->iov[n].iov_base = s->in_len;
	s->iov[n].iov_len = 4;
	ret = receive(fd, s->iov, n + 1);
	if (ret <= 0)
		return ret;
	if (ret >= s->want)
		return finish(s, (uint32_t)ret - s->want);
	s->got = (uint32_t)ret;
	copy_out(s->in, iov, 0, s->got);
	return 0;
}

static int64_t receive_rest(struct net_stream *s, int fd, const struct iovec *iov,
			    uint32_t iov_n)
{
	struct iovec v[2] = { { s->in + s->got, s->want - s->got }, { s->in_len, 4 } };
	int64_t ret = receive(fd, v, 2);

	if (ret <= 0)
		return ret;
	if (ret < s->want - s->got) {
		s->got += (uint32_t)ret;
		return 0;
	}
	scatter(iov, iov_n, s->in, s->want);
	return finish(s, (uint32_t)ret - (s->want - s->got));
}

int64_t net_stream_recv(struct net_stream *s, int fd, const struct iovec *iov,
			uint32_t iov_n)
{
	int64_t ret;

	if (s->want == 0) {
		ret = receive_length(s, fd);
		if (ret < 0)
			return ret == -EINPROGRESS ? 0 : ret;
	}
	return s->got == 0 ? receive_direct(s, fd, iov, iov_n)
			   : receive_rest(s, fd, iov, iov_n);
}

static int64_t transmit(int fd, struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t ret;

	do
		ret = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (ret < 0 && errno == EINTR);
	if (ret >= 0)
		return ret;
	return errno == EAGAIN ? -EAGAIN : -EPIPE;
}

int net_stream_flush(struct net_stream *s, int fd)
{
	while (s->out_at < s->out_end) {
		struct iovec v = { s->out + s->out_at, s->out_end - s->out_at };
		int64_t ret = transmit(fd, &v, 1);

		if (ret < 0)
			return (int)ret;
		s->out_at += (uint32_t)ret;
	}
	return 0;
}

int64_t net_stream_send(struct net_stream *s, int fd, const struct iovec *iov,
			uint32_t iov_n)
{
	uint32_t len = 0, be;
	int64_t ret = net_stream_flush(s, fd);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < iov_n; i++) {
		s->iov[i + 1] = iov[i];
		len += (uint32_t)iov[i].iov_len;
	}
	be = htobe32(len);
	memcpy(s->out_len, &be, sizeof(be));
	s->iov[0].iov_base = s->out_len;
	s->iov[0].iov_len = 4;
	ret = transmit(fd, s->iov, iov_n + 1);
	if (ret < 0 || ret == len + 4)
		return ret;
	s->out_at = 0;
	s->out_end = len + 4 - (uint32_t)ret;
	/* The entries are as they were: the system copies them. */
	copy_out(s->out, s->iov, (uint64_t)ret, s->out_end);
	return len;
}

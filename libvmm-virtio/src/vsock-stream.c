/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Data of connections, in both directions, and the credit for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vsock.h"

/* The guest learns of room for this much, or when it may believe to have less left. */
#define CREDIT_STEP(v) ((v)->opts.buffer / 4)
#define CREDIT_LOW 4096u

uint32_t conn_credit(const struct vsock_conn *c)
{
	uint32_t out = c->tx_cnt - c->peer_fwd;

	/* A guest may take room back that it has given. */
	return out < c->peer_alloc ? c->peer_alloc - out : 0;
}

bool conn_has_data(const struct vsock_conn *c)
{
	return c->state == CONN_OPEN && (c->readable || c->msg_len > 0) && !c->eof &&
	       !(c->guest_shut & SHUT_F_RCV);
}

static void set_end(struct vsock_conn *c, uint32_t at)
{
	c->ends[at / 8] = (uint8_t)(c->ends[at / 8] | 1u << (at % 8));
}

static bool is_end(const struct vsock_conn *c, uint32_t at)
{
	return c->ends[at / 8] >> (at % 8) & 1;
}

static bool make_buffer(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	if (!c->buf)
		c->buf = calloc(1, v->opts.buffer);
	if (!c->ends && c->type == TYPE_SEQPACKET)
		c->ends = calloc(1, (v->opts.buffer + 7) / 8);
	return c->buf && (c->ends || c->type == TYPE_STREAM);
}

/* Never more than the buffer has room for: the caller looked at the credit. */
static void append(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		   struct vmm_virtq_cursor *data, uint32_t len, bool end)
{
	uint32_t size = v->opts.buffer;

	while (len > 0) {
		uint32_t at = (c->buf_at + c->buf_len) % size;
		uint32_t part = size - at < len ? size - at : len;

		part = (uint32_t)vmm_virtq_read_some(data, c->buf + at, part);
		c->buf_len += part;
		len -= part;
	}
	if (end && c->buf_len > 0)
		set_end(c, (c->buf_at + c->buf_len - 1) % size);
}

static void consumed(struct vmm_virtio_vsock *v, struct vsock_conn *c, uint32_t len)
{
	uint32_t told, room;

	c->fwd_cnt += len;
	told = c->fwd_cnt - c->fwd_told;
	room = v->opts.buffer - (c->rx_cnt - c->fwd_told);
	if (told >= CREDIT_STEP(v) || (told > 0 && room < CREDIT_LOW))
		conn_todo(v, c, OP_CREDIT_UPDATE);
}

/* Nobody reads what the guest sends. What the host program left to be read still has its
 * way to the guest. */
static void now_deaf(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	uint32_t lost = c->buf_len;

	c->deaf = true;
	c->buf_len = 0;
	consumed(v, c, lost);
	conn_todo(v, c, OP_SHUTDOWN);
}

/* Straight from guest memory into the socket, as much as goes. */
static void pass_through(struct vmm_virtio_vsock *v, struct vsock_conn *c,
			 struct vmm_virtq_cursor *data)
{
	struct iovec iov[VSOCK_IOVECS];
	struct msghdr msg = { .msg_iov = iov };
	size_t n;
	ssize_t sent;

	if (vmm_virtq_get_iov(data, data->left, iov, VSOCK_IOVECS, &n) < 0)
		return;
	msg.msg_iovlen = n;
	sent = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0) {
		(void)vmm_virtq_skip(data, (uint64_t)sent);
		consumed(v, c, (uint32_t)sent);
	} else if (errno == EAGAIN || errno == EINTR) {
		c->writable = false;
	} else {
		now_deaf(v, c);
	}
}

bool conn_receive(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		  struct vmm_virtq_cursor *data, const struct vsock_header *h)
{
	bool end = c->type == TYPE_SEQPACKET && (h->flags & SEQ_F_EOM);

	if (h->len > v->opts.buffer - (c->rx_cnt - c->fwd_cnt) ||
	    (c->guest_shut & SHUT_F_SEND)) {
		conn_violation(v, c);
		return false;
	}
	c->rx_cnt += h->len;
	v->stats.from_guest_packets++;
	v->stats.from_guest_bytes += h->len;
	if (c->type == TYPE_STREAM && c->buf_len == 0 && c->writable && !c->deaf &&
	    data->left > 0)
		pass_through(v, c, data);
	if (c->deaf) {
		consumed(v, c, (uint32_t)data->left);
		return true;
	}
	if (data->left > 0 && !make_buffer(v, c)) {
		conn_kill(v, c);
		return false;
	}
	append(v, c, data, (uint32_t)data->left, end);
	return true;
}

/* Bytes at the front of the buffer that go out in one piece: all of a stream, one whole
 * packet, or none. */
static uint32_t front(const struct vmm_virtio_vsock *v, const struct vsock_conn *c)
{
	uint32_t size = v->opts.buffer;

	if (c->type == TYPE_STREAM)
		return c->buf_len;
	for (uint32_t i = 0; i < c->buf_len; i++) {
		uint32_t at = (c->buf_at + i) % size;

		/* Whole bytes without an end in them at once. */
		if (at % 8 == 0 && c->ends[at / 8] == 0 && size - at >= 8)
			i += 7;
		else if (is_end(c, at))
			return i + 1;
	}
	return 0;
}

static ssize_t send_front(struct vmm_virtio_vsock *v, struct vsock_conn *c, uint32_t len)
{
	uint32_t size = v->opts.buffer, head = size - c->buf_at;
	struct iovec iov[2] = { { c->buf + c->buf_at, len < head ? len : head },
				{ c->buf, len < head ? 0 : len - head } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void pass_on(struct vmm_virtio_vsock *v, struct vsock_conn *c, uint32_t len)
{
	if (c->type == TYPE_SEQPACKET) {
		uint32_t last = (c->buf_at + len - 1) % v->opts.buffer;

		c->ends[last / 8] = (uint8_t)(c->ends[last / 8] & ~(1u << (last % 8)));
	}
	c->buf_at = (c->buf_at + len) % v->opts.buffer;
	c->buf_len -= len;
	if (c->deadline != 0)
		conn_set_deadline(v, c);
	consumed(v, c, len);
}

/* The guest said that it sends no more, and all it sent is with the host program. */
static void finish(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	if (!(c->guest_shut & SHUT_F_SEND))
		return;
	if (!c->wr_closed) {
		(void)shutdown(c->fd, SHUT_WR);
		c->wr_closed = true;
	}
	if (c->guest_shut == SHUT_F_BOTH)
		conn_kill(v, c);
}

void conn_flush(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	while (c->buf_len > 0 && c->writable) {
		uint32_t len = front(v, c);
		ssize_t sent;

		if (len == 0 && c->buf_len == v->opts.buffer) {
			conn_violation(v, c); /* a packet that never ends */
			return;
		}
		if (len == 0)
			break;
		sent = send_front(v, c, len);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			c->writable = false;
		} else if (sent < 0) {
			now_deaf(v, c);
		} else {
			pass_on(v, c, (uint32_t)sent);
		}
	}
	/* What is left of an unfinished packet has no use any more. */
	if (c->buf_len == 0 || (c->type == TYPE_SEQPACKET && front(v, c) == 0))
		finish(v, c);
}

/* The host program's stream ended, all of it or one direction. */
static void at_end(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	c->eof = true;
	c->readable = false;
	conn_todo(v, c, OP_SHUTDOWN);
}

/* Returns bytes read, 0 for none; at the end the connection is told so. */
static uint32_t receive(struct vmm_virtio_vsock *v, struct vsock_conn *c,
			struct msghdr *msg)
{
	ssize_t n = recvmsg(c->fd, msg, MSG_DONTWAIT);

	if (n > 0)
		return (uint32_t)n;
	if (n == 0) {
		at_end(v, c);
	} else if (errno == EAGAIN || errno == EINTR) {
		c->readable = errno == EINTR;
	} else {
		conn_kill(v, c);
	}
	return 0;
}

/* Take the next packet of the host program as a whole: what is longer than a message can
 * be ends the connection, as a part of it would be another packet. */
static bool load_message(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	struct iovec iov = { NULL, v->opts.buffer };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint32_t n;

	if (!c->msg)
		c->msg = calloc(1, v->opts.buffer);
	if (!c->msg) {
		conn_kill(v, c);
		return false;
	}
	iov.iov_base = c->msg;
	n = receive(v, c, &msg);
	if (n > 0 && (msg.msg_flags & MSG_TRUNC)) {
		conn_violation(v, c);
		return false;
	}
	c->msg_at = 0;
	c->msg_len = n;
	return n > 0;
}

static uint32_t fill_message(struct vmm_virtio_vsock *v, struct vsock_conn *c,
			     struct vmm_virtq_cursor room, uint32_t max, uint32_t *flags)
{
	uint32_t left, n;

	if (c->msg_len == 0 && !load_message(v, c))
		return 0;
	left = c->msg_len - c->msg_at;
	n = (uint32_t)vmm_virtq_write_some(&room, c->msg + c->msg_at,
					   left < max ? left : max);
	c->msg_at += n;
	if (c->msg_at == c->msg_len) {
		c->msg_len = 0;
		*flags = SEQ_F_EOM;
	}
	return n;
}

uint32_t conn_fill(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		   const struct vmm_virtq_cursor *room, uint32_t *flags)
{
	struct iovec iov[VSOCK_IOVECS];
	struct msghdr msg = { .msg_iov = iov };
	uint32_t max = conn_credit(c), n;
	size_t iov_n;

	if (max > VSOCK_PACKET_MAX)
		max = VSOCK_PACKET_MAX;
	if (max > room->left)
		max = (uint32_t)room->left;
	*flags = 0;
	if (max == 0 || !conn_has_data(c))
		return 0;
	if (c->type == TYPE_SEQPACKET) {
		n = fill_message(v, c, *room, max, flags);
	} else {
		if (vmm_virtq_get_iov(room, max, iov, VSOCK_IOVECS, &iov_n) < 0)
			return 0;
		msg.msg_iovlen = iov_n;
		n = receive(v, c, &msg);
	}
	c->tx_cnt += n;
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What packets from the guest do to connections (virtio 1.2, 5.10.6). */
#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include "vsock.h"

/* A header as it is in memory. */
struct wire {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

_Static_assert(offsetof(struct wire, fwd_cnt) + 4 == VSOCK_HEADER_LEN, "header layout");

static void parse(const uint8_t bytes[VSOCK_HEADER_LEN], struct vsock_header *h)
{
	struct wire w = { 0 };

	memcpy(&w, bytes, VSOCK_HEADER_LEN);
	h->src_cid = le64toh(w.src_cid);
	h->dst_cid = le64toh(w.dst_cid);
	h->src_port = le32toh(w.src_port);
	h->dst_port = le32toh(w.dst_port);
	h->len = le32toh(w.len);
	h->type = le16toh(w.type);
	h->op = le16toh(w.op);
	h->flags = le32toh(w.flags);
	h->buf_alloc = le32toh(w.buf_alloc);
	h->fwd_cnt = le32toh(w.fwd_cnt);
}

/* @p c may be NULL, for an answer to what has no connection. */
void vsock_write_header(const struct vmm_virtio_vsock *v, const struct vsock_conn *c,
			const struct vsock_header *h, uint8_t out[VSOCK_HEADER_LEN])
{
	struct wire w = {
		.src_cid = htole64(VMM_VIRTIO_VSOCK_HOST_CID),
		.dst_cid = htole64(v->opts.cid),
		.src_port = htole32(c ? c->host_port : h->src_port),
		.dst_port = htole32(c ? c->guest_port : h->dst_port),
		.len = htole32(h->len),
		.type = htole16(c ? c->type : h->type),
		.op = htole16(h->op),
		.flags = htole32(h->flags),
		.buf_alloc = htole32(c ? v->opts.buffer : 0),
		.fwd_cnt = htole32(c ? c->fwd_cnt : 0),
	};

	memcpy(out, &w, VSOCK_HEADER_LEN);
}

/* The guest floods only itself: what does not fit is dropped. */
static void answer_orphan(struct vmm_virtio_vsock *v, const struct vsock_header *h)
{
	struct vsock_header *rst;

	if (h->op == OP_RST)
		return;
	if (v->orphan_n == VSOCK_ORPHANS) {
		v->stats.dropped_resets++;
		return;
	}
	rst = &v->orphans[(v->orphan_at + v->orphan_n) % VSOCK_ORPHANS];
	v->orphan_n++;
	memset(rst, 0, sizeof(*rst));
	rst->src_port = h->dst_port;
	rst->dst_port = h->src_port;
	rst->type = h->type;
	rst->op = OP_RST;
}

static bool type_is_on(const struct vmm_virtio_vsock *v, uint16_t type)
{
	/* A driver that knows no features has streams. */
	return type == TYPE_STREAM ||
	       (type == TYPE_SEQPACKET && (v->features & VMM_VIRTIO_VSOCK_F_SEQPACKET));
}

static void take_credit(struct vmm_virtio_vsock *v, struct vsock_conn *c,
			const struct vsock_header *h)
{
	uint32_t out = c->tx_cnt - h->fwd_cnt;

	c->peer_alloc = h->buf_alloc;
	/* Of what is out, some may have arrived; nothing else can be true. A header that
	 * was overtaken by another looks the same as a lie, and is as harmless. */
	if (out <= c->tx_cnt - c->peer_fwd) {
		if (h->fwd_cnt != c->peer_fwd)
			c->credit_asked = false;
		c->peer_fwd = h->fwd_cnt;
	} else {
		v->stats.bad_credits++;
	}
	if (conn_has_data(c) && conn_credit(c) > 0)
		conn_queue(v, c);
}

static void on_request(struct vmm_virtio_vsock *v, const struct vsock_header *h)
{
	struct vsock_conn *c = NULL;
	int fd = -1;

	if (v->conn_n < v->opts.connections_max)
		fd = vsock_connect(v, h->dst_port, h->type);
	if (fd >= 0)
		c = conn_new(v, fd, h->type);
	else
		v->stats.refused++;
	if (!c) {
		answer_orphan(v, h);
		return;
	}
	c->state = CONN_OPEN;
	c->host_port = h->dst_port;
	c->guest_port = h->src_port;
	conn_hash(v, c);
	take_credit(v, c, h);
	conn_todo(v, c, OP_RESPONSE);
	v->stats.opened_by_guest++;
	if (v->conn_n == v->opts.connections_max)
		vsock_set_listening(v, false);
}

static void on_shutdown(struct vmm_virtio_vsock *v, struct vsock_conn *c, uint32_t flags)
{
	c->guest_shut |= flags & SHUT_F_BOTH;
	if (c->guest_shut & SHUT_F_RCV)
		(void)shutdown(c->fd, SHUT_RD);
	/* A host program that does not take the rest in time loses it. */
	if (c->guest_shut == SHUT_F_BOTH && c->deadline == 0)
		conn_set_deadline(v, c);
	conn_flush(v, c);
}

static void on_data(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		    struct vmm_virtq_cursor *data, const struct vsock_header *h)
{
	struct vmm_virtq_cursor rest;

	if (vmm_virtq_split(data, h->len, &rest) == 0 && conn_receive(v, c, data, h))
		conn_flush(v, c);
}

static void on_open(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		    struct vmm_virtq_cursor *data, const struct vsock_header *h)
{
	switch (h->op) {
	case OP_SHUTDOWN:
		on_shutdown(v, c, h->flags);
		break;
	case OP_RW:
		on_data(v, c, data, h);
		break;
	case OP_CREDIT_UPDATE:
		break;
	case OP_CREDIT_REQUEST:
		conn_todo(v, c, OP_CREDIT_UPDATE);
		break;
	default:
		conn_violation(v, c);
		break;
	}
}

static void on_packet(struct vmm_virtio_vsock *v, const struct vsock_header *h,
		      struct vmm_virtq_cursor *data)
{
	struct vsock_conn *c = conn_find(v, h->dst_port, h->src_port, h->type);

	if (!type_is_on(v, h->type)) {
		answer_orphan(v, h);
	} else if (!c && h->op == OP_REQUEST) {
		on_request(v, h);
	} else if (!c) {
		answer_orphan(v, h);
	} else if (h->op == OP_RST) {
		if (c->state == CONN_ASKED)
			v->stats.refused++;
		conn_free(v, c);
	} else if (c->state == CONN_OPEN) {
		take_credit(v, c, h);
		on_open(v, c, data, h);
	} else if (c->state == CONN_ASKED && h->op == OP_RESPONSE &&
		   !(c->todo & 1u << OP_REQUEST)) {
		take_credit(v, c, h);
		vsock_answer_host(v, c);
	} else if (c->state == CONN_ASKED) {
		conn_violation(v, c);
	}
}

void vsock_packet(struct vmm_virtio_vsock *v, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	uint8_t bytes[VSOCK_HEADER_LEN];
	struct vsock_header h;

	if (vmm_virtq_read(&reader, bytes, sizeof(bytes)) < 0) {
		v->stats.bad_packets++;
		return;
	}
	parse(bytes, &h);
	if (h.len > reader.left || h.src_cid != v->opts.cid ||
	    h.dst_cid != VMM_VIRTIO_VSOCK_HOST_CID) {
		v->stats.bad_packets++;
		return;
	}
	on_packet(v, &h, &reader);
}

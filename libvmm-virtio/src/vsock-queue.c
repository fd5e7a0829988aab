/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The three queues of the device. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "probes.h"
#include "vsock.h"

#define EVENT_TRANSPORT_RESET 0u

/* The chain that a packet to the guest goes into. */
struct rx {
	struct vmm_virtq_chain chain;
	bool have;
};

static struct drain drain_of(struct vmm_virtio_vsock *v, uint32_t index)
{
	struct drain d = {
		.vq = v->vq[index],
		.transport = v->transport,
		.index = index,
		.iov_max = VSOCK_IOVECS,
		.iov = v->iov,
		.ctx = v,
		.lock = &v->worker.lock,
	};

	return d;
}

/* Finish a packet whose data, if any, is in place. */
static void put_packet(struct vmm_virtio_vsock *v, struct rx *rx, struct vsock_conn *c,
		       const struct vsock_header *h)
{
	struct vmm_virtq_cursor writer = vmm_virtq_writer(&rx->chain);
	uint8_t bytes[VSOCK_HEADER_LEN];

	vsock_write_header(v, c, h, bytes);
	if (c) {
		c->fwd_told = c->fwd_cnt;
		c->todo &= ~(1u << OP_CREDIT_UPDATE);
	}
	if (vmm_virtq_write(&writer, bytes, sizeof(bytes)) < 0 ||
	    vmm_virtq_add_used(v->vq[VSOCK_RX], rx->chain.token,
			       VSOCK_HEADER_LEN + h->len) < 0)
		vmm_virtio_transport_needs_reset(v->transport);
	v->stats.to_guest_packets++;
	v->stats.to_guest_bytes += h->len;
	rx->have = false;
}

static void put_op(struct vmm_virtio_vsock *v, struct rx *rx, struct vsock_conn *c,
		   enum vsock_op op, uint32_t flags)
{
	struct vsock_header h = { .op = (uint16_t)op, .flags = flags };

	c->todo &= ~(1u << op);
	put_packet(v, rx, c, &h);
}

static void put_shutdown(struct vmm_virtio_vsock *v, struct rx *rx, struct vsock_conn *c)
{
	c->told_shut |=
	    (c->eof ? SHUT_F_SEND : 0) | (c->deaf || (c->eof && c->hup) ? SHUT_F_RCV : 0);
	if (c->told_shut == SHUT_F_BOTH && c->deadline == 0)
		conn_set_deadline(v, c);
	put_op(v, rx, c, OP_SHUTDOWN, c->told_shut);
}

static void put_data(struct vmm_virtio_vsock *v, struct rx *rx, struct vsock_conn *c)
{
	struct vmm_virtq_cursor room = vmm_virtq_writer(&rx->chain);
	struct vsock_header h = { .op = OP_RW };

	(void)vmm_virtq_skip(&room, VSOCK_HEADER_LEN);
	h.len = conn_fill(v, c, &room, &h.flags);
	if (h.len > 0) {
		c->credit_asked = false;
		put_packet(v, rx, c, &h);
	} else if (conn_has_data(c) && conn_credit(c) == 0 && !c->credit_asked) {
		c->credit_asked = true;
		put_op(v, rx, c, OP_CREDIT_REQUEST, 0);
	}
}

/* Put at most one packet of @p c. Returns whether the connection has more. */
static bool put_one(struct vmm_virtio_vsock *v, struct rx *rx, struct vsock_conn *c)
{
	static const enum vsock_op first[] = { OP_REQUEST, OP_RESPONSE };

	if (c->todo & 1u << OP_RST) {
		put_op(v, rx, c, OP_RST, 0);
		conn_free(v, c);
		return false;
	}
	for (uint32_t i = 0; i < 2; i++) {
		if (c->todo & 1u << first[i]) {
			put_op(v, rx, c, first[i], 0);
			return c->todo != 0 || conn_has_data(c);
		}
	}
	if (c->todo & 1u << OP_SHUTDOWN)
		put_shutdown(v, rx, c);
	else if (c->todo & 1u << OP_CREDIT_UPDATE)
		put_op(v, rx, c, OP_CREDIT_UPDATE, 0);
	else
		put_data(v, rx, c);
	/* Without credit, it asks once and comes back when there is some. */
	return c->todo != 0 ||
	       (conn_has_data(c) && (conn_credit(c) > 0 || !c->credit_asked));
}

/* What a run may still take after a chain: nothing if somebody wants the lock. */
static uint32_t rx_budget(const struct vmm_virtio_vsock *v, uint32_t budget)
{
	return fair_is_wanted(&v->worker.lock) ? 0 : budget - 1;
}

/* Have a chain for a packet. Returns 0, or -EAGAIN when there is none. */
static int get_chain(struct vmm_virtio_vsock *v, struct rx *rx, uint32_t *budget)
{
	while (!rx->have && *budget > 0) {
		int ret;

		rx->chain.iov = v->iov;
		rx->chain.iov_max = VSOCK_IOVECS;
		ret = vmm_virtq_pop(v->vq[VSOCK_RX], &rx->chain);
		if (ret == -ENOTRECOVERABLE)
			vmm_virtio_transport_needs_reset(v->transport);
		if (ret == -EAGAIN || ret == -ENOTRECOVERABLE || ret == -ENOTCONN)
			return -EAGAIN;
		if (ret < 0) {
			*budget = rx_budget(v, *budget);
			continue;
		}
		/* Without room for a byte of data, data would never go. */
		rx->have = rx->chain.writable_len > VSOCK_HEADER_LEN;
		if (rx->have)
			continue;
		v->stats.bad_packets++;
		if (vmm_virtq_add_used(v->vq[VSOCK_RX], rx->chain.token, 0) < 0)
			vmm_virtio_transport_needs_reset(v->transport);
		*budget = rx_budget(v, *budget);
	}
	return rx->have ? 0 : -EAGAIN;
}

static bool want_to_send(const struct vmm_virtio_vsock *v)
{
	return v->first || v->orphan_n > 0;
}

static void send_next(struct vmm_virtio_vsock *v, struct rx *rx)
{
	struct vsock_conn *c = v->first;

	if (v->orphan_n > 0) {
		put_packet(v, rx, NULL, &v->orphans[v->orphan_at]);
		v->orphan_at = (v->orphan_at + 1) % VSOCK_ORPHANS;
		v->orphan_n--;
		return;
	}
	/* In turn: each has one packet, then the others have theirs. */
	conn_unqueue(v, c);
	if (put_one(v, rx, c))
		conn_queue(v, c);
}

/* Returns whether there is more that could be done. */
static bool serve_rx(struct vmm_virtio_vsock *v)
{
	struct drain d = drain_of(v, VSOCK_RX);
	uint32_t budget = vmm_virtq_get_num(d.vq);
	struct rx rx = { .have = false };

	PROBE3(serve, VMM_VIRTIO_ID_VSOCK, d.index, d.transport);
	vmm_virtq_disable_notification(d.vq);
	while (want_to_send(v)) {
		if (get_chain(v, &rx, &budget) < 0)
			break;
		send_next(v, &rx);
		if (!rx.have)
			budget = rx_budget(v, budget);
	}
	if (rx.have && vmm_virtq_undo_pop(d.vq, rx.chain.token) < 0)
		vmm_virtio_transport_needs_reset(v->transport);
	drain_signal(&d);
	if (!want_to_send(v))
		return false;
	/* Ask for buffers only while something waits for them. */
	if (budget > 0)
		v->stats.starved++;
	return vmm_virtq_enable_notification(d.vq);
}

static int64_t on_tx(void *ctx, const struct vmm_virtq_chain *chain)
{
	vsock_packet(ctx, chain);
	return 0;
}

static int64_t on_event(void *ctx, const struct vmm_virtq_chain *chain)
{
	uint32_t event = htole32(EVENT_TRANSPORT_RESET);
	struct vmm_virtio_vsock *v = ctx;
	struct vmm_virtq_cursor writer = vmm_virtq_writer(chain);

	if (!v->reset_pending)
		return DRAIN_LATER;
	/* A buffer that is too small is given back, and the next one tried. */
	if (vmm_virtq_write(&writer, &event, sizeof(event)) < 0)
		return 0;
	v->reset_pending = false;
	v->reset_told = true;
	return sizeof(event);
}

/* Returns whether all other business has to wait for the driver. */
static bool serve_events(struct vmm_virtio_vsock *v, bool *out_more)
{
	struct drain d = drain_of(v, VSOCK_EVENT);

	if (!d.vq)
		return false;
	d.one = on_event;
	if (v->reset_pending)
		*out_more = drain_queue(&d);
	return v->reset_pending || v->reset_told;
}

bool vsock_serve(struct vmm_virtio_vsock *v)
{
	struct drain d = drain_of(v, VSOCK_TX);
	bool more = false;

	if (serve_events(v, &more))
		return more;
	more = false;
	d.one = on_tx;
	/* What the guest sends is taken whether or not it takes what it is sent. */
	if (d.vq)
		more = drain_queue(&d);
	if (v->vq[VSOCK_RX])
		more |= serve_rx(v);
	return more;
}

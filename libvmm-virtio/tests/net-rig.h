/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef NET_RIG_H
#define NET_RIG_H

/*
 * A network device behind its registers, a driver in front of it that owns five queues in
 * one memory, and a back end of memory behind it. Free of any test frame, so that the
 * fuzzer and the bench use it, too: what must hold ends the program if it does not.
 */

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <vmm/virtio-net.h>

#include "mock-driver.h"

enum { NET_NUM = 64, NET_QUEUES = 5, NET_SENT = 64, NET_QUEUED = 64 };

#define NET_STRIDE UINT64_C(0x2000)
#define NF(bit) (UINT64_C(1) << (bit))
#define NF_GUEST_OFFLOADS NF(2)
#define NF_MTU NF(3)
#define NF_MAC NF(5)
#define NF_MRG NF(15)
#define NF_STATUS NF(16)
#define NF_CTRL NF(17)
#define NF_CTRL_RX NF(18)
#define NF_CTRL_VLAN NF(19)
#define NF_CTRL_RX_EXTRA NF(20)
#define NF_ANNOUNCE NF(21)
#define NF_MQ NF(22)
#define NF_CTRL_MAC NF(23)
#define NF_HOST_OFFLOADS                                          \
	(VMM_VIRTIO_NET_F_CSUM | VMM_VIRTIO_NET_F_HOST_TSO4 |     \
	 VMM_VIRTIO_NET_F_HOST_TSO6 | VMM_VIRTIO_NET_F_HOST_ECN | \
	 VMM_VIRTIO_NET_F_HOST_UFO | VMM_VIRTIO_NET_F_HOST_USO)

struct net_frame {
	uint32_t len;
	uint8_t bytes[VMM_VIRTIO_NET_HEADER_LEN + VMM_VIRTIO_NET_FRAME_MAX + 100];
};

struct net_rig {
	/* Memory of all, and a driver for each queue. */
	struct mock *m;
	struct mock q[NET_QUEUES];
	struct vmm_virtio_net *net;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_transport *t;
	uint32_t ctrl;
	int irqs;
	/* Where the receive buffers of each pair are, by id. */
	uint64_t addr[2][NET_NUM];
	/* The back end: what it got, what it has, and how it is. */
	bool header;
	struct net_frame *sent;
	uint32_t sent_n, sent_pair;
	struct net_frame *queued;
	uint32_t queued_at, queued_n;
	uint32_t sends, recvs, pairs;
	int64_t send_result, recv_result;
	uint64_t offloads;
	int closed_code;
	uint32_t closed_n;
	void (*on_send)(struct net_rig *r);
	int set_result;
};

static inline void net_must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "net rig: %s\n", what);
		abort();
	}
}

static inline int64_t rig_send(void *ctx, uint32_t pair, const struct iovec *iov,
			       uint32_t n)
{
	struct net_rig *r = ctx;
	struct net_frame *f = &r->sent[r->sent_n % NET_SENT];

	r->sends++;
	if (r->on_send)
		r->on_send(r);
	if (r->send_result < 0)
		return r->send_result;
	r->sent_pair = pair;
	f->len = 0;
	for (uint32_t i = 0; i < n; i++) {
		net_must(iov[i].iov_len <= sizeof(f->bytes) - f->len, "frame too long");
		memcpy(f->bytes + f->len, iov[i].iov_base, iov[i].iov_len);
		f->len += (uint32_t)iov[i].iov_len;
	}
	r->sent_n++;
	return f->len;
}

static inline int64_t rig_recv(void *ctx, uint32_t pair, const struct iovec *iov,
			       uint32_t n)
{
	struct net_rig *r = ctx;
	const struct net_frame *f;
	uint32_t at = 0;

	r->recvs++;
	if (r->recv_result < 0)
		return r->recv_result;
	if (r->queued_at == r->queued_n)
		return -EAGAIN;
	f = &r->queued[r->queued_at++];
	for (uint32_t i = 0; i < n && at < f->len; i++) {
		uint32_t here = f->len - at;

		if (iov[i].iov_len < here)
			here = (uint32_t)iov[i].iov_len;
		memcpy(iov[i].iov_base, f->bytes + at, here);
		at += here;
	}
	return f->len;
}

static inline int rig_set_offloads(void *ctx, uint64_t offloads)
{
	struct net_rig *r = ctx;

	if (r->set_result == 0)
		r->offloads = offloads;
	return r->set_result;
}

static inline int rig_set_pairs(void *ctx, uint32_t n)
{
	struct net_rig *r = ctx;

	if (r->set_result == 0)
		r->pairs = n;
	return r->set_result;
}

static inline void rig_closed(void *ctx, uint32_t pair, int code)
{
	struct net_rig *r = ctx;

	r->closed_n++;
	r->closed_code = code;
}

static inline void rig_irq(void *ctx, bool level)
{
	((struct net_rig *)ctx)->irqs += level;
}

static inline uint32_t nrd(struct net_rig *r, uint32_t reg)
{
	uint32_t value = 0;

	vmm_virtio_mmio_read(r->mmio, reg, &value, 4);
	return value;
}

static inline void nwr(struct net_rig *r, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(r->mmio, reg, &value, 4);
}

static inline uint32_t config_read(struct net_rig *r, uint32_t at, uint32_t len)
{
	uint32_t value = 0;

	vmm_virtio_mmio_read(r->mmio, 0x100 + at, &value, len);
	return value;
}

/* A queue of the driver in its own place of the ring areas, empty. */
static inline void rig_place_queue(struct mock *q, const struct mock *m, uint32_t index)
{
	*q = *m;
	q->config.desc += index * NET_STRIDE;
	q->config.driver += index * NET_STRIDE;
	q->config.device += index * NET_STRIDE;
	memset(mock_at(q, q->config.desc), 0, NET_STRIDE);
	memset(mock_at(q, q->config.driver), 0, NET_STRIDE);
	memset(mock_at(q, q->config.device), 0, NET_STRIDE);
}

static inline void rig_queue(struct net_rig *r, uint32_t index)
{
	struct mock *q = &r->q[index];

	nwr(r, 0x30, index);
	nwr(r, 0x38, NET_NUM);
	nwr(r, 0x80, (uint32_t)q->config.desc);
	nwr(r, 0x90, (uint32_t)q->config.driver);
	nwr(r, 0xa0, (uint32_t)q->config.device);
	nwr(r, 0x44, 1);
}

/* From any state to DRIVER_OK with empty rings; returns the status then. */
static inline uint32_t rig_climb(struct net_rig *r, uint64_t features)
{
	bool mq = features & NF_MQ;

	nwr(r, 0x70, 0);
	mock_reset(r->m, NET_NUM, features);
	r->ctrl = mq ? 4 : 2;
	for (uint32_t i = 0; i < NET_QUEUES; i++)
		rig_place_queue(&r->q[i], r->m, i);
	nwr(r, 0x70, 1);
	nwr(r, 0x70, 3);
	nwr(r, 0x24, 0);
	nwr(r, 0x20, (uint32_t)features);
	nwr(r, 0x24, 1);
	nwr(r, 0x20, (uint32_t)(features >> 32) | 1);
	nwr(r, 0x70, 0xb);
	for (uint32_t i = 0; i <= r->ctrl; i++)
		rig_queue(r, i);
	nwr(r, 0x70, 0xf);
	return nrd(r, 0x70);
}

static inline void net_rig_init(struct net_rig *r)
{
	memset(r, 0, sizeof(*r));
	r->m = mock_new(NET_NUM, 0);
	r->sent = calloc(NET_SENT, sizeof(*r->sent));
	r->queued = calloc(NET_QUEUED, sizeof(*r->queued));
	net_must(r->m && r->sent && r->queued, "memory");
}

static inline void rig_attach(struct net_rig *r, const struct vmm_virtio_net_opts *opts)
{
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	net_must(vmm_virtio_net_new(opts, &r->net, NULL) == 0, "device");
	mopts.mem = r->m->mem;
	mopts.set_irq = rig_irq;
	mopts.irq_ctx = r;
	net_must(vmm_virtio_mmio_new(&mopts, vmm_virtio_net_get_device(r->net), &r->mmio,
				     NULL) == 0,
		 "transport");
	r->t = vmm_virtio_mmio_get_transport(r->mmio);
}

/* Options for a device over the back end of memory, with what it can do. */
static inline struct vmm_virtio_net_opts net_rig_opts(
    struct net_rig *r, bool header, struct vmm_virtio_net_backend *backend)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;

	memset(backend, 0, sizeof(*backend));
	backend->size = sizeof(*backend);
	backend->header = header;
	backend->offloads = header ? UINT64_MAX : 0;
	backend->send = rig_send;
	backend->recv = rig_recv;
	backend->set_offloads = rig_set_offloads;
	backend->set_pairs = rig_set_pairs;
	opts.backend = backend;
	opts.backend_ctx = r;
	opts.closed = rig_closed;
	opts.closed_ctx = r;
	opts.queue_max = NET_NUM;
	opts.features |=
	    VMM_VIRTIO_F_RING_RESET | VMM_VIRTIO_F_RING_PACKED | VMM_VIRTIO_F_IN_ORDER;
	memcpy(opts.mac, mac, sizeof(mac));
	r->header = header;
	return opts;
}

static inline void net_rig_start(struct net_rig *r, uint64_t features, bool header)
{
	struct vmm_virtio_net_backend backend;
	struct vmm_virtio_net_opts opts;

	net_rig_init(r);
	opts = net_rig_opts(r, header, &backend);
	opts.pair_n = 2;
	rig_attach(r, &opts);
	net_must(rig_climb(r, features) == 0xf, "negotiation");
}

static inline void net_rig_stop(struct net_rig *r)
{
	vmm_virtio_mmio_free(r->mmio);
	vmm_virtio_net_free(r->net);
	mock_free(r->m);
	free(r->sent);
	free(r->queued);
}

/* Is there something to do for a pair? */
static inline bool rig_is_readable(struct net_rig *r, uint32_t pair)
{
	struct pollfd p = { vmm_virtio_net_get_fd(r->net, pair), POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

/* What an event loop does; returns how often it had to. */
static inline int rig_loop(struct net_rig *r, uint32_t pair)
{
	int n = 0;

	for (; n < 1000 && rig_is_readable(r, pair); n++)
		vmm_virtio_net_run(r->net, pair);
	return n;
}

/* A frame from station @p from to the device, of a pattern that the length gives. */
static inline void net_fill_frame(uint8_t *frame, uint32_t len, uint8_t seed)
{
	static const uint8_t head[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0 };

	for (uint32_t i = 0; i < len; i++)
		frame[i] = i < sizeof(head) ? head[i] : (uint8_t)(seed + i * 7 + i / 251);
}

/* Have the back end receive a frame; returns its bytes. */
static inline uint8_t *rig_queue_frame(struct net_rig *r, uint32_t len, uint8_t seed)
{
	struct net_frame *f;
	uint32_t at = r->header ? VMM_VIRTIO_NET_HEADER_LEN : 0;

	if (r->queued_at == r->queued_n)
		r->queued_at = r->queued_n = 0;
	net_must(r->queued_n < NET_QUEUED, "room for frames");
	f = &r->queued[r->queued_n++];
	f->len = at + len;
	memset(f->bytes, 0, VMM_VIRTIO_NET_HEADER_LEN);
	net_fill_frame(f->bytes + at, len, seed);
	return f->bytes + at;
}

/* Offer @p n receive buffers of @p len bytes, each in a place of its own. */
static inline void rig_give_buffers(struct net_rig *r, uint32_t pair, uint32_t n,
				    uint32_t len)
{
	static uint64_t at;

	for (uint32_t i = 0; i < n; i++) {
		struct mock_seg seg = { MOCK_SPLIT_AT - 0x8000 + at % 0x90000, len,
					true };

		int id = mock_add(&r->q[2 * pair], &seg, 1, false);

		at += (len + 15) & ~15u;
		net_must(id >= 0, "room");
		r->addr[pair][id] = seg.gpa;
	}
	nwr(r, 0x50, 2 * pair);
}

/* Send a frame with @p header in one buffer; runs the device. */
static inline void rig_transmit(struct net_rig *r, uint32_t pair, const uint8_t *header,
				uint32_t len)
{
	struct mock_seg seg = { MOCK_BUFFERS, VMM_VIRTIO_NET_HEADER_LEN + len, false };
	uint8_t *at = mock_at(r->m, MOCK_BUFFERS);

	memset(at, 0, VMM_VIRTIO_NET_HEADER_LEN);
	if (header)
		memcpy(at, header, VMM_VIRTIO_NET_HEADER_LEN);
	net_fill_frame(at + VMM_VIRTIO_NET_HEADER_LEN, len, (uint8_t)len);
	net_must(mock_add(&r->q[2 * pair + 1], &seg, 1, false) >= 0, "room");
	nwr(r, 0x50, 2 * pair + 1);
	vmm_virtio_net_run(r->net, pair);
}

/* Take the next frame that the driver got, header first, out of all its buffers; returns
 * its length with the header, -EAGAIN if there is none. */
static inline int64_t rig_take(struct net_rig *r, uint32_t pair, uint8_t *to)
{
	uint32_t id, len, total = 0;
	uint16_t n = 1;

	for (uint16_t i = 0; i < n; i++) {
		int ret = mock_get_used(&r->q[2 * pair], &id, &len);

		if (ret < 0) {
			net_must(i == 0, "all buffers of a frame at once");
			return ret;
		}
		memcpy(to + total, mock_at(r->m, r->addr[pair][id]), len);
		total += len;
		if (i == 0 && len >= VMM_VIRTIO_NET_HEADER_LEN)
			memcpy(&n, to + 10, 2);
	}
	return total;
}

static inline struct vmm_virtio_net_stats rig_stats(struct net_rig *r)
{
	struct vmm_virtio_net_stats stats = { .size = sizeof(stats) };

	vmm_virtio_net_get_stats(r->net, &stats);
	return stats;
}

/* Do a command of the control queue; returns the acknowledgement, 0xff if none came. */
static inline uint8_t rig_command(struct net_rig *r, uint8_t class, uint8_t cmd,
				  const void *data, uint32_t len)
{
	struct mock_seg segs[3] = { { MOCK_BUFFERS, 2, false },
				    { MOCK_BUFFERS + 0x10, len, false },
				    { MOCK_BUFFERS + 0x8, 1, true } };
	uint8_t *at = mock_at(r->m, MOCK_BUFFERS);
	uint32_t id, used;

	at[0] = class;
	at[1] = cmd;
	at[8] = 0xff;
	if (len > 0)
		memcpy(at + 0x10, data, len);
	else
		segs[1] = segs[2];
	net_must(mock_add(&r->q[r->ctrl], segs, len > 0 ? 3 : 2, false) >= 0, "room");
	nwr(r, 0x50, r->ctrl);
	vmm_virtio_net_run(r->net, 0);
	net_must(mock_get_used(&r->q[r->ctrl], &id, &used) == 0, "answer");
	return at[8];
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From the driver to the back end. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net.h"
#include "probes.h"

static uint16_t get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

/* The feature that a driver needs for a kind of segmentation (virtio 1.2, 5.1.6.2.1);
 * 0: there is no such kind. */
static uint64_t gso_feature(uint8_t type)
{
	switch (type) {
	case NET_HDR_GSO_TCPV4:
		return VMM_VIRTIO_NET_F_HOST_TSO4;
	case NET_HDR_GSO_TCPV6:
		return VMM_VIRTIO_NET_F_HOST_TSO6;
	case NET_HDR_GSO_UDP:
		return VMM_VIRTIO_NET_F_HOST_UFO;
	case NET_HDR_GSO_UDP_L4:
		return VMM_VIRTIO_NET_F_HOST_USO;
	default:
		return 0;
	}
}

static bool gso_is_fine(const uint8_t *header, uint64_t features, uint64_t len)
{
	uint8_t type = header[1] & (uint8_t)~NET_HDR_GSO_ECN;
	uint64_t feature = gso_feature(type);

	if (!(features & feature) || !(header[0] & NET_HDR_NEEDS_CSUM))
		return false;
	if ((header[1] & NET_HDR_GSO_ECN) &&
	    (!(features & VMM_VIRTIO_NET_F_HOST_ECN) ||
	     (type != NET_HDR_GSO_TCPV4 && type != NET_HDR_GSO_TCPV6)))
		return false;
	return get16(header + 4) != 0 && get16(header + 2) <= len;
}

/* Flags that we do not know are ignored, as a device must; fields that nothing says are
 * there go out as 0, and num_buffers is nobody's business on this way. */
bool net_header_check(uint8_t header[NET_HEADER], uint64_t features, uint64_t len)
{
	uint32_t csum_end = get16(header + 6) + (uint32_t)get16(header + 8) + 2;

	header[0] &= NET_HDR_NEEDS_CSUM;
	if (header[0] && (!(features & VMM_VIRTIO_NET_F_CSUM) || csum_end > len))
		return false;
	if (header[1] != 0 && !gso_is_fine(header, features, len))
		return false;
	if (header[1] == 0)
		memset(header + 2, 0, 4);
	if (header[0] == 0)
		memset(header + 6, 0, 4);
	memset(header + 10, 0, 2);
	return true;
}

static bool rate_allows(struct net_pair *p, uint64_t len)
{
	uint64_t wait = 0;

	if (!p->net->tx_rate || vmm_virtio_rate_take(p->net->tx_rate, len, 1, &wait) == 0)
		return true;
	p->stats.limited++;
	net_wait(p, wait);
	return false;
}

/* Returns -EAGAIN if the frame has to wait. */
static int give_to_backend(struct net_pair *p, struct iovec *v, uint32_t n, uint64_t len)
{
	struct vmm_virtio_net *net = p->net;
	int64_t ret;

	if (!link_is_up(p) || p->closed) {
		p->stats.tx_dropped++;
		return 0;
	}
	if (!rate_allows(p, len))
		return -EAGAIN;
	ret = net->backend.send(net->backend_ctx, p->index, v, n);
	if (ret == -EAGAIN) {
		if (net->tx_rate)
			vmm_virtio_rate_give(net->tx_rate, len, 1);
		p->stats.tx_blocked++;
		net_rearm(p);
		return -EAGAIN;
	}
	if (ret < 0) {
		p->stats.tx_dropped++;
		if (ret == -EPIPE)
			net_close_backend(p, -EPIPE);
		return 0;
	}
	p->stats.tx_frames++;
	p->stats.tx_bytes += len;
	return 0;
}

/* The header is checked and sent from our copy; the frame is never copied. */
static int send_chain(struct net_pair *p, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor c = vmm_virtq_reader(chain);
	uint64_t len = chain->readable_len - NET_HEADER;
	uint8_t header[NET_HEADER];
	struct iovec *v;
	uint32_t n;

	if (chain->writable_n > 0 || chain->readable_len < NET_HEADER) {
		p->stats.bad_chains++;
		return 0;
	}
	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    vmm_virtq_read(&c, header, NET_HEADER) < 0 ||
	    !net_header_check(header, p->features, len)) {
		p->stats.tx_malformed++;
		return 0;
	}
	n = (uint32_t)(c.iov - chain->iov);
	v = chain->iov + n;
	n = chain->readable_n - n;
	v->iov_base = (uint8_t *)v->iov_base + c.offset;
	v->iov_len -= c.offset;
	/* There is always one entry before what was popped. */
	if (p->net->backend.header) {
		v--;
		n++;
		v->iov_base = header;
		v->iov_len = NET_HEADER;
	}
	return give_to_backend(p, v, n, len);
}

/* Returns false when there is nothing more to do for now. */
static bool send_one(struct net_pair *p, bool *out_waits)
{
	struct vmm_virtq_chain chain = { .iov = p->iov + 1, .iov_max = NET_CHAIN_IOVECS };
	int ret = vmm_virtq_pop(p->tx, &chain);

	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(p->net->transport);
	if (ret == -ENOTRECOVERABLE || ret == -EAGAIN)
		return false;
	if (ret < 0) {
		p->stats.bad_chains++;
		return true;
	}
	if (send_chain(p, &chain) == -EAGAIN) {
		*out_waits = true;
		if (vmm_virtq_undo_pop(p->tx, chain.token) < 0)
			vmm_virtio_transport_needs_reset(p->net->transport);
		return false;
	}
	net_use(p, chain.token, 0);
	if (p->used.n >= NET_USED_GROUP)
		net_flush(p, p->tx);
	return true;
}

void net_tx_serve(struct net_pair *p)
{
	uint32_t budget = vmm_virtq_get_num(p->tx);
	bool waits = false;

	PROBE3(serve, VMM_VIRTIO_ID_NET, 2 * p->index + 1, p->net->transport);
	vmm_virtq_disable_notification(p->tx);
	while (budget > 0 && send_one(p, &waits))
		budget = fair_is_wanted(&p->lock) ? 0 : budget - 1;
	net_signal(p, p->tx, 2 * p->index + 1);
	/* What waits for the back end or the limit is woken by that. */
	if (!waits && vmm_virtq_enable_notification(p->tx))
		p->again = true;
}

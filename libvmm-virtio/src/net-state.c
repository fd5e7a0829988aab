/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a driver told the device: set, told, saved and brought back. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net.h"
#include "stream.h"

uint16_t net_set_status(struct vmm_virtio_net *net,
			struct vmm_virtio_transport *transport, uint16_t set,
			uint16_t clear)
{
	uint16_t old, le;

	pthread_mutex_lock(&net->lock);
	old = net->status;
	net->status = (uint16_t)((old & ~clear) | set);
	le = htole16(net->status);
	if (net->status != old && vmm_virtio_transport_set_config(
				      transport, NET_CONFIG_STATUS, &le, sizeof(le)) < 0)
		vmm_virtio_transport_needs_reset(transport);
	pthread_mutex_unlock(&net->lock);
	return old;
}

/* The lock of pair 0 is held by the control queue or at activation, and orders both. */
int net_set_pairs(struct vmm_virtio_net *net, uint32_t n)
{
	int ret = 0;

	if (net->backend.set_pairs)
		ret = net->backend.set_pairs(net->backend_ctx, n);
	if (ret < 0)
		return ret;
	net->active_n = (uint16_t)n;
	for (uint32_t i = 0; i < net->pair_n; i++) {
		struct net_pair *p = &net->pairs[i];

		if (i > 0)
			fair_enter(&p->lock);
		p->active = i < n;
		if (i > 0)
			fair_leave(&p->lock);
		vmm_virtio_net_wake(net, i);
	}
	return 0;
}

int net_set_offloads(struct vmm_virtio_net *net, uint64_t offloads)
{
	int ret = 0;

	if (net->backend.set_offloads)
		ret = net->backend.set_offloads(net->backend_ctx, offloads);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < net->pair_n; i++) {
		struct net_pair *p = &net->pairs[i];

		if (i > 0)
			fair_enter(&p->lock);
		p->offloads = offloads;
		if (i > 0)
			fair_leave(&p->lock);
	}
	return 0;
}

void net_get_state(struct vmm_virtio_net *net, struct net_state *out)
{
	struct net_pair *p = &net->pairs[0];

	memset(out, 0, sizeof(*out));
	out->version = DEVICE_STATE_VERSION;
	fair_enter(&p->lock);
	pthread_mutex_lock(&net->lock);
	out->status = net->status;
	pthread_mutex_unlock(&net->lock);
	out->pair_n = net->active_n;
	out->features = net->features;
	out->offloads = p->offloads;
	memcpy(out->mac, p->filter.mac, sizeof(out->mac));
	out->rx_mode = p->filter.rx_mode;
	out->uni_overflow = p->filter.uni_overflow;
	out->multi_overflow = p->filter.multi_overflow;
	out->uni_n = p->filter.uni_n;
	out->multi_n = p->filter.multi_n;
	memcpy(out->macs, p->filter.macs, sizeof(out->macs));
	memcpy(out->vlans, p->filter.vlans, sizeof(out->vlans));
	fair_leave(&p->lock);
}

static bool is_sound(const struct vmm_virtio_net *net, const struct net_state *s)
{
	uint32_t most = s->features & NET_F_MQ ? net->pair_n : 1;

	if (s->version != DEVICE_STATE_VERSION)
		return false;
	if ((s->features & ~net->offered) ||
	    (s->features && !(s->features & VMM_VIRTIO_F_VERSION_1)))
		return false;
	if (s->pair_n < 1 || s->pair_n > most)
		return false;
	if ((s->status & ~(NET_S_LINK_UP | NET_S_ANNOUNCE)) ||
	    ((s->status & NET_S_ANNOUNCE) && !(s->features & NET_F_GUEST_ANNOUNCE)))
		return false;
	if (s->offloads & ~(s->features & NET_GUEST_OFFLOADS))
		return false;
	if (s->rx_mode > 2 * NET_RX_NOBCAST - 1 || s->uni_overflow > 1 ||
	    s->multi_overflow > 1)
		return false;
	if (s->uni_n > VMM_VIRTIO_NET_MACS_MAX ||
	    s->multi_n > VMM_VIRTIO_NET_MACS_MAX - s->uni_n)
		return false;
	return true;
}

int net_set_state(struct vmm_virtio_net *net, const struct net_state *s)
{
	struct net_pair *p = &net->pairs[0];
	int ret = 0;

	if (!is_sound(net, s))
		return -EBADMSG;
	fair_enter(&p->lock);
	if (net->features) {
		ret = -EBUSY;
	} else {
		net->pending = *s;
		net->has_pending = s->features != 0;
	}
	fair_leave(&p->lock);
	return ret;
}

/* The lock of pair 0 is held; no other pair runs yet. */
int net_state_apply(struct vmm_virtio_net *net)
{
	const struct net_state *s = &net->pending;
	struct net_filter *f = &net->pairs[0].filter;
	int ret;

	if (s->features != net->features)
		return -EBADMSG;
	memcpy(f->mac, s->mac, sizeof(f->mac));
	f->rx_mode = s->rx_mode;
	f->uni_overflow = s->uni_overflow;
	f->multi_overflow = s->multi_overflow;
	f->uni_n = s->uni_n;
	f->multi_n = s->multi_n;
	memcpy(f->macs, s->macs, sizeof(f->macs));
	memcpy(f->vlans, s->vlans, sizeof(f->vlans));
	net_set_link(net, net->transport, s->status & NET_S_LINK_UP);
	(void)net_set_status(net, net->transport, s->status & NET_S_ANNOUNCE, 0);
	ret = vmm_virtio_transport_set_config(net->transport, NET_CONFIG_MAC, s->mac, 6);
	if (ret == 0)
		ret = net_set_offloads(net, s->offloads);
	return ret < 0 ? ret : net_set_pairs(net, s->pair_n);
}

static void describe(struct stream *s, void *state)
{
	struct net_state *v = state;

	stream_u32(s, &v->version);
	stream_u16(s, &v->pair_n);
	stream_u16(s, &v->status);
	stream_u64(s, &v->features);
	stream_u64(s, &v->offloads);
	stream_bytes(s, v->mac, sizeof(v->mac));
	stream_u8(s, &v->rx_mode);
	stream_u8(s, &v->uni_overflow);
	stream_u8(s, &v->multi_overflow);
	stream_u8(s, &v->uni_n);
	stream_u8(s, &v->multi_n);
	stream_bytes(s, &v->macs[0][0], sizeof(v->macs));
	stream_bytes(s, v->vlans, sizeof(v->vlans));
}

int64_t net_save(void *ctx, void *buf, size_t size)
{
	struct net_state s;

	net_get_state(ctx, &s);
	return stream_save(buf, size, describe, &s);
}

int net_load(struct vmm_virtio_net *net, struct vmm_virtio_transport *transport,
	     uint64_t features, const void *data, size_t len)
{
	struct net_state s = { .version = 0 };
	int ret = stream_load(data, len, describe, &s);

	if (ret < 0)
		return ret;
	if (features && s.features != features)
		return -EBADMSG;
	ret = net_set_state(net, &s);
	if (ret < 0 || features)
		return ret;
	/* It has no driver: there is nothing else to know. */
	net->has_pending = false;
	net_set_link(net, transport, s.status & NET_S_LINK_UP);
	return 0;
}

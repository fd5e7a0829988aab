/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a driver told the device: set, told, saved and brought back. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net.h"
#include "options.h"

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
			pthread_mutex_lock(&p->lock);
		p->active = i < n;
		if (i > 0)
			pthread_mutex_unlock(&p->lock);
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
			pthread_mutex_lock(&p->lock);
		p->offloads = offloads;
		if (i > 0)
			pthread_mutex_unlock(&p->lock);
	}
	return 0;
}

void vmm_virtio_net_get_state(struct vmm_virtio_net *net,
			      struct vmm_virtio_net_state *out)
{
	struct net_pair *p = &net->pairs[0];
	struct vmm_virtio_net_state s;
	size_t size = out->size < sizeof(s) ? out->size : sizeof(s);

	memset(&s, 0, sizeof(s));
	s.size = size;
	s.version = VMM_VIRTIO_NET_STATE_VERSION;
	pthread_mutex_lock(&p->lock);
	pthread_mutex_lock(&net->lock);
	s.status = net->status;
	pthread_mutex_unlock(&net->lock);
	s.pair_n = net->active_n;
	s.features = net->features;
	s.offloads = p->offloads;
	memcpy(s.mac, p->filter.mac, sizeof(s.mac));
	s.rx_mode = p->filter.rx_mode;
	s.uni_overflow = p->filter.uni_overflow;
	s.multi_overflow = p->filter.multi_overflow;
	s.uni_n = p->filter.uni_n;
	s.multi_n = p->filter.multi_n;
	memcpy(s.macs, p->filter.macs, sizeof(s.macs));
	memcpy(s.vlans, p->filter.vlans, sizeof(s.vlans));
	pthread_mutex_unlock(&p->lock);
	if (size >= sizeof(s.size))
		memcpy(out, &s, size);
}

static const char *find_fault(const struct vmm_virtio_net *net,
			      const struct vmm_virtio_net_state *s)
{
	uint32_t most = s->features & NET_F_MQ ? net->pair_n : 1;

	if (s->version != VMM_VIRTIO_NET_STATE_VERSION)
		return "version";
	if (s->reserved_[0] | s->reserved_[1] | s->reserved_[2])
		return "reserved field";
	if ((s->features & ~net->offered) ||
	    (s->features && !(s->features & VMM_VIRTIO_F_VERSION_1)))
		return "features";
	if (s->pair_n < 1 || s->pair_n > most)
		return "number of pairs";
	if ((s->status & ~(NET_S_LINK_UP | NET_S_ANNOUNCE)) ||
	    ((s->status & NET_S_ANNOUNCE) && !(s->features & NET_F_GUEST_ANNOUNCE)))
		return "status";
	if (s->offloads & ~(s->features & NET_GUEST_OFFLOADS))
		return "offloads";
	if (s->rx_mode > 2 * VMM_VIRTIO_NET_RX_NOBCAST - 1 || s->uni_overflow > 1 ||
	    s->multi_overflow > 1)
		return "receive mode";
	if (s->uni_n > VMM_VIRTIO_NET_MACS_MAX ||
	    s->multi_n > VMM_VIRTIO_NET_MACS_MAX - s->uni_n)
		return "address tables";
	return NULL;
}

int vmm_virtio_net_set_state(struct vmm_virtio_net *net,
			     const struct vmm_virtio_net_state *state,
			     struct vmm_error *err)
{
	struct net_pair *p = &net->pairs[0];
	struct vmm_virtio_net_state s;
	int ret = options_copy(&s, sizeof(s), state, state->size);
	const char *fault;

	if (ret < 0)
		return vmm_error_set(err, ret, "state of a network device: layout");
	fault = find_fault(net, &s);
	if (fault)
		return vmm_error_set(err, -EBADMSG, "state of a network device: %s",
				     fault);
	pthread_mutex_lock(&p->lock);
	if (net->features) {
		ret = vmm_error_set(err, -EBUSY, "network device is active");
	} else {
		net->pending = s;
		net->has_pending = s.features != 0;
	}
	pthread_mutex_unlock(&p->lock);
	return ret;
}

/* The lock of pair 0 is held; no other pair runs yet. */
int net_state_apply(struct vmm_virtio_net *net)
{
	const struct vmm_virtio_net_state *s = &net->pending;
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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control queue (virtio 1.2, 5.1.6.5) and the filter that it sets. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net.h"
#include "probes.h"

enum {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_VLAN = 2,
	CLASS_ANNOUNCE = 3,
	CLASS_MQ = 4,
	CLASS_OFFLOADS = 5,
};

#define MAC_TABLE_SET 0u
#define MAC_ADDR_SET 1u
#define VLAN_ADD 0u
#define VLAN_DEL 1u
#define VLAN_N 4096u
#define RX_CMD_N 6u
/* The first two commands of the class come with CTRL_RX. */
#define RX_CMD_EXTRA 2u

#define ETHERTYPE_VLAN 0x8100u

static bool in_table(const struct net_filter *f, const uint8_t *mac, uint32_t from,
		     uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++) {
		if (memcmp(f->macs[i], mac, 6) == 0)
			return true;
	}
	return false;
}

static bool vlan_passes(const struct net_filter *f, const uint8_t *frame, size_t len)
{
	uint32_t id;

	if (len < 16 || (frame[12] << 8 | frame[13]) != ETHERTYPE_VLAN)
		return true;
	id = (uint32_t)(frame[14] << 8 | frame[15]) % VLAN_N;
	return f->vlans[id / 8] & 1u << id % 8;
}

static bool group_passes(const struct net_filter *f, const uint8_t *mac)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (memcmp(mac, broadcast, 6) == 0)
		return !(f->rx_mode & NET_RX_NOBCAST);
	if (f->rx_mode & NET_RX_NOMULTI)
		return false;
	if ((f->rx_mode & NET_RX_ALLMULTI) || f->multi_overflow)
		return true;
	return in_table(f, mac, f->uni_n, f->multi_n);
}

static bool station_passes(const struct net_filter *f, const uint8_t *mac)
{
	static const uint8_t none[6];

	if (f->rx_mode & NET_RX_NOUNI)
		return false;
	if ((f->rx_mode & NET_RX_ALLUNI) || f->uni_overflow)
		return true;
	/* Without an address of ours, any may be the driver's. */
	if (memcmp(f->mac, none, 6) == 0 || memcmp(f->mac, mac, 6) == 0)
		return true;
	return in_table(f, mac, 0, f->uni_n);
}

bool net_filter_passes(const struct net_filter *f, uint64_t features,
		       const uint8_t *frame, size_t len)
{
	if ((features & NET_F_CTRL_VLAN) && !vlan_passes(f, frame, len))
		return false;
	if (!(features & NET_F_CTRL_RX) || (f->rx_mode & NET_RX_PROMISC))
		return true;
	return frame[0] & 1 ? group_passes(f, frame) : station_passes(f, frame);
}

/* Each pair has a copy, so that receiving needs no further lock. The lock of pair 0 is
 * held, and those of others are only ever taken after it. */
static void publish_filter(struct net_pair *p)
{
	for (uint32_t i = 1; i < p->net->pair_n; i++) {
		struct net_pair *other = &p->net->pairs[i];

		fair_enter(&other->lock);
		other->filter = p->filter;
		fair_leave(&other->lock);
	}
}

/* Read exactly @p len bytes: a command with more is malformed. */
static bool get(struct vmm_virtq_cursor *data, void *to, size_t len)
{
	return data->left == len && vmm_virtq_read(data, to, len) == 0;
}

static bool set_rx_mode(struct net_pair *p, uint8_t cmd, struct vmm_virtq_cursor *data)
{
	uint64_t needs = cmd < RX_CMD_EXTRA ? NET_F_CTRL_RX : NET_F_CTRL_RX_EXTRA;
	uint8_t on;

	if (cmd >= RX_CMD_N || !(p->features & needs) || !get(data, &on, 1) || on > 1)
		return false;
	p->filter.rx_mode =
	    (uint8_t)((p->filter.rx_mode & ~(1u << cmd)) | (uint32_t)on << cmd);
	return true;
}

/* One of the two tables; what is over the limit is skipped, and all is let through. */
static bool read_table(struct net_filter *f, uint32_t at, uint8_t *out_n,
		       uint8_t *out_overflow, struct vmm_virtq_cursor *data)
{
	uint32_t n;

	if (vmm_virtq_read(data, &n, sizeof(n)) < 0)
		return false;
	n = le32toh(n);
	if (n * UINT64_C(6) > data->left)
		return false;
	*out_overflow = n > VMM_VIRTIO_NET_MACS_MAX - at;
	*out_n = *out_overflow ? 0 : (uint8_t)n;
	if (*out_overflow)
		return vmm_virtq_skip(data, n * UINT64_C(6)) > 0;
	return vmm_virtq_read(data, f->macs[at], n * (size_t)6) == 0;
}

static bool set_mac_table(struct net_pair *p, struct vmm_virtq_cursor *data)
{
	struct net_filter f = p->filter;

	if (!(p->features & NET_F_CTRL_RX))
		return false;
	memset(f.macs, 0, sizeof(f.macs));
	f.uni_n = 0;
	if (!read_table(&f, 0, &f.uni_n, &f.uni_overflow, data) ||
	    !read_table(&f, f.uni_n, &f.multi_n, &f.multi_overflow, data) ||
	    data->left > 0)
		return false;
	p->filter = f;
	return true;
}

static bool set_mac(struct net_pair *p, struct vmm_virtq_cursor *data)
{
	uint8_t mac[6];

	if (!(p->features & NET_F_CTRL_MAC_ADDR) || !get(data, mac, 6))
		return false;
	memcpy(p->filter.mac, mac, 6);
	return vmm_virtio_transport_set_config(p->net->transport, NET_CONFIG_MAC, mac,
					       6) == 0;
}

static bool set_vlan(struct net_pair *p, uint8_t cmd, struct vmm_virtq_cursor *data)
{
	uint16_t id;
	uint8_t bit;

	if (!(p->features & NET_F_CTRL_VLAN) || cmd > VLAN_DEL ||
	    !get(data, &id, sizeof(id)))
		return false;
	id = le16toh(id);
	if (id >= VLAN_N)
		return false;
	bit = (uint8_t)(1u << id % 8);
	if (cmd == VLAN_ADD)
		p->filter.vlans[id / 8] |= bit;
	else
		p->filter.vlans[id / 8] &= (uint8_t)~bit;
	return true;
}

static bool filter_command(struct net_pair *p, uint8_t class, uint8_t cmd,
			   struct vmm_virtq_cursor *data)
{
	bool good = false;

	if (class == CLASS_RX)
		good = set_rx_mode(p, cmd, data);
	else if (class == CLASS_VLAN)
		good = set_vlan(p, cmd, data);
	else if (cmd == MAC_TABLE_SET)
		good = set_mac_table(p, data);
	else if (cmd == MAC_ADDR_SET)
		good = set_mac(p, data);
	if (good)
		publish_filter(p);
	return good;
}

static bool acknowledge_announce(struct net_pair *p, struct vmm_virtq_cursor *data)
{
	if (!(p->features & NET_F_GUEST_ANNOUNCE) || data->left > 0)
		return false;
	return net_set_status(p->net, p->net->transport, 0, NET_S_ANNOUNCE) &
	       NET_S_ANNOUNCE;
}

static bool set_pairs(struct net_pair *p, struct vmm_virtq_cursor *data)
{
	uint16_t n;

	if (!(p->features & NET_F_MQ) || !get(data, &n, sizeof(n)))
		return false;
	n = le16toh(n);
	return n >= 1 && n <= p->net->pair_n && net_set_pairs(p->net, n) == 0;
}

static bool set_offloads(struct net_pair *p, struct vmm_virtq_cursor *data)
{
	uint64_t offloads;

	if (!(p->features & NET_F_CTRL_GUEST_OFFLOADS) ||
	    !get(data, &offloads, sizeof(offloads)))
		return false;
	offloads = le64toh(offloads);
	if (offloads & ~(p->features & NET_GUEST_OFFLOADS))
		return false;
	return net_set_offloads(p->net, offloads) == 0;
}

static bool command(struct net_pair *p, uint8_t class, uint8_t cmd,
		    struct vmm_virtq_cursor *data)
{
	switch (class) {
	case CLASS_RX:
	case CLASS_MAC:
	case CLASS_VLAN:
		return filter_command(p, class, cmd, data);
	case CLASS_ANNOUNCE:
		return cmd == 0 && acknowledge_announce(p, data);
	case CLASS_MQ:
		return cmd == 0 && set_pairs(p, data);
	case CLASS_OFFLOADS:
		return cmd == 0 && set_offloads(p, data);
	default:
		return false;
	}
}

static void do_command(struct net_pair *p, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor data = vmm_virtq_reader(chain);
	struct vmm_virtq_cursor answer = vmm_virtq_writer(chain);
	uint8_t head[2], ack;
	bool good;

	if (chain->writable_len == 0 || vmm_virtq_read(&data, head, sizeof(head)) < 0) {
		p->stats.bad_chains++;
		net_use(p, chain->token, 0);
		return;
	}
	good = command(p, head[0], head[1], &data);
	*(good ? &p->stats.ctrl_ok : &p->stats.ctrl_err) += 1;
	ack = good ? 0 : 1;
	net_use(p, chain->token, (uint32_t)vmm_virtq_write_some(&answer, &ack, 1));
}

void net_ctrl_serve(struct net_pair *p)
{
	uint32_t budget = vmm_virtq_get_num(p->ctrl);
	int ret = 0;

	PROBE3(serve, VMM_VIRTIO_ID_NET, p->net->ctrl_index, p->net->transport);
	while (budget > 0) {
		struct vmm_virtq_chain chain = { .iov = p->iov,
						 .iov_max = NET_CHAIN_IOVECS };

		ret = vmm_virtq_pop(p->ctrl, &chain);
		if (ret == -EAGAIN || ret == -ENOTRECOVERABLE)
			break;
		if (ret == 0)
			do_command(p, &chain);
		else
			p->stats.bad_chains++;
		net_flush(p, p->ctrl);
		budget = fair_is_wanted(&p->lock) ? 0 : budget - 1;
	}
	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(p->net->transport);
	net_signal(p, p->ctrl, p->net->ctrl_index);
	if (vmm_virtq_enable_notification(p->ctrl))
		p->again = true;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include <vmm/virtio.h>

#define BIT(n) (UINT64_C(1) << (n))

/* A feature that makes sense only with one of some others (all below bit 64). */
struct rule {
	uint8_t feature;
	uint64_t needs_one_of;
};

enum net_bits {
	NET_CSUM = 0,
	NET_GUEST_CSUM = 1,
	NET_CTRL_GUEST_OFFLOADS = 2,
	NET_GUEST_TSO4 = 7,
	NET_GUEST_TSO6 = 8,
	NET_GUEST_ECN = 9,
	NET_GUEST_UFO = 10,
	NET_HOST_TSO4 = 11,
	NET_HOST_TSO6 = 12,
	NET_HOST_ECN = 13,
	NET_HOST_UFO = 14,
	NET_CTRL_VQ = 17,
	NET_CTRL_RX = 18,
	NET_CTRL_VLAN = 19,
	NET_CTRL_RX_EXTRA = 20,
	NET_GUEST_ANNOUNCE = 21,
	NET_MQ = 22,
	NET_CTRL_MAC_ADDR = 23,
	NET_HASH_TUNNEL = 51,
	NET_VQ_NOTF_COAL = 52,
	NET_NOTF_COAL = 53,
	NET_GUEST_USO4 = 54,
	NET_GUEST_USO6 = 55,
	NET_HOST_USO = 56,
	NET_HASH_REPORT = 57,
	NET_RSS = 60,
	NET_RSC_EXT = 61,
};

/* virtio 1.2, 5.1.3.1, and 1.3 for the newest. */
static const struct rule net_rules[] = {
	{ NET_GUEST_TSO4, BIT(NET_GUEST_CSUM) },
	{ NET_GUEST_TSO6, BIT(NET_GUEST_CSUM) },
	{ NET_GUEST_UFO, BIT(NET_GUEST_CSUM) },
	{ NET_GUEST_USO4, BIT(NET_GUEST_CSUM) },
	{ NET_GUEST_USO6, BIT(NET_GUEST_CSUM) },
	{ NET_GUEST_ECN, BIT(NET_GUEST_TSO4) | BIT(NET_GUEST_TSO6) },
	{ NET_HOST_TSO4, BIT(NET_CSUM) },
	{ NET_HOST_TSO6, BIT(NET_CSUM) },
	{ NET_HOST_UFO, BIT(NET_CSUM) },
	{ NET_HOST_USO, BIT(NET_CSUM) },
	{ NET_HOST_ECN, BIT(NET_HOST_TSO4) | BIT(NET_HOST_TSO6) },
	{ NET_CTRL_RX, BIT(NET_CTRL_VQ) },
	{ NET_CTRL_VLAN, BIT(NET_CTRL_VQ) },
	{ NET_CTRL_RX_EXTRA, BIT(NET_CTRL_VQ) },
	{ NET_GUEST_ANNOUNCE, BIT(NET_CTRL_VQ) },
	{ NET_MQ, BIT(NET_CTRL_VQ) },
	{ NET_CTRL_MAC_ADDR, BIT(NET_CTRL_VQ) },
	{ NET_RSS, BIT(NET_CTRL_VQ) },
	{ NET_NOTF_COAL, BIT(NET_CTRL_VQ) },
	{ NET_VQ_NOTF_COAL, BIT(NET_CTRL_VQ) },
	{ NET_CTRL_GUEST_OFFLOADS, BIT(NET_CTRL_VQ) },
	{ NET_HASH_REPORT, BIT(NET_CTRL_VQ) },
	{ NET_HASH_TUNNEL, BIT(NET_CTRL_VQ) },
	{ NET_HASH_TUNNEL, BIT(NET_RSS) | BIT(NET_HASH_REPORT) },
	{ NET_RSC_EXT, BIT(NET_HOST_TSO4) | BIT(NET_HOST_TSO6) },
};

static int check_rules(const struct rule *rules, size_t n, uint64_t accepted,
		       struct vmm_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if ((accepted & BIT(rules[i].feature)) &&
		    !(accepted & rules[i].needs_one_of))
			return vmm_error_at(err, -EBADMSG, rules[i].feature,
					    rules[i].needs_one_of, accepted,
					    "feature %u without one that it needs",
					    rules[i].feature);
	}
	return 0;
}

int vmm_virtio_check_features(uint32_t device_id, const uint64_t offered[2],
			      const uint64_t accepted[2], struct vmm_error *err)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t extra = accepted[i] & ~offered[i];

		if (extra != 0)
			return vmm_error_at(
			    err, -EBADMSG, 64 * i + (unsigned int)__builtin_ctzll(extra),
			    offered[i], accepted[i], "feature %u was not offered",
			    64 * i + (unsigned int)__builtin_ctzll(extra));
	}
	if (!(accepted[0] & VMM_VIRTIO_F_VERSION_1))
		return vmm_error_at(err, -EBADMSG, 32, offered[0], accepted[0],
				    "VERSION_1 was not accepted");
	/* virtio 1.2, 6.2: the device may refuse a driver that drops it, and we do. */
	if (offered[0] & ~accepted[0] & VMM_VIRTIO_F_ACCESS_PLATFORM)
		return vmm_error_at(err, -EBADMSG, 33, offered[0], accepted[0],
				    "ACCESS_PLATFORM was not accepted");
	if (device_id != VMM_VIRTIO_ID_NET)
		return 0;
	return check_rules(net_rules, sizeof(net_rules) / sizeof(net_rules[0]),
			   accepted[0], err);
}

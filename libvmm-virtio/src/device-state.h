/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DEVICE_STATE_H
#define DEVICE_STATE_H

#include <vmm/virtio-balloon.h>
#include <vmm/virtio-blk.h>
#include <vmm/virtio-console.h>
#include <vmm/virtio-mem.h>
#include <vmm/virtio-net.h>
#include <vmm/virtio-pmem.h>
#include <vmm/virtio-vsock.h>

/*
 * What each device saves, before it becomes bytes and after it was bytes. A set checks
 * all first: -EBADMSG for what cannot be, or is of another device, and -EBUSY for a device
 * that is at work change nothing. Each pause and resume is a callback of the device, and
 * a pause may come twice.
 */
#define DEVICE_STATE_VERSION 1u

struct balloon_state {
	uint32_t version;
	uint32_t target;
	uint32_t actual;
	uint32_t hint_command;
	uint32_t poison;
	uint32_t hinting;
	/* Of the map of pages. */
	uint64_t words;
};

void balloon_get_state(struct vmm_virtio_balloon *b, struct balloon_state *out);
int balloon_set_state(struct vmm_virtio_balloon *b, const struct balloon_state *s,
		      const uint64_t *words);

struct blk_state {
	uint32_t version;
	uint32_t block_size;
	uint64_t sectors;
	uint32_t queue_n;
	uint8_t writeback;
	uint8_t readonly;
	/* Making data durable has failed. */
	uint8_t lost;
};

void blk_get_state(struct vmm_virtio_blk *blk, struct blk_state *out);
int blk_set_state(struct vmm_virtio_blk *blk, const struct blk_state *s);
void blk_pause(struct vmm_virtio_blk *blk);
void blk_resume(struct vmm_virtio_blk *blk);

/* Bits of flags: the driver said that it has the port, and has it open. */
#define CONSOLE_PORT_IS_READY 1u
#define CONSOLE_PORT_IS_OPEN 2u

struct console_state {
	uint32_t version;
	uint32_t port_n;
	/* 0 if the driver has not started the device. */
	uint64_t features;
	uint16_t cols, rows;
	struct {
		uint32_t flags;
		uint32_t messages;
		uint64_t done;
	} ports[VMM_VIRTIO_CONSOLE_PORTS_MAX];
};

/* What is set takes effect at the next activation, which fails if features are others. */
void console_get_state(struct vmm_virtio_console *c, struct console_state *out);
int console_set_state(struct vmm_virtio_console *c, const struct console_state *s);
void console_pause(struct vmm_virtio_console *c);
void console_resume(struct vmm_virtio_console *c);

struct memdev_state {
	uint32_t version;
	uint64_t block_size;
	uint64_t gpa;
	uint64_t len;
	uint64_t requested;
};

void memdev_get_state(struct vmm_virtio_mem *mem, struct memdev_state *out);
int memdev_set_state(struct vmm_virtio_mem *mem, const struct memdev_state *s,
		     const uint64_t *words, size_t n);

/* Bits of rx_mode (virtio 1.2, 5.1.6.5.1). */
#define NET_RX_PROMISC 1u
#define NET_RX_ALLMULTI 2u
#define NET_RX_ALLUNI 4u
#define NET_RX_NOMULTI 8u
#define NET_RX_NOUNI 16u
#define NET_RX_NOBCAST 32u

struct net_state {
	uint32_t version;
	uint16_t pair_n;
	uint16_t status;
	/* 0 if the driver has not started the device. */
	uint64_t features;
	uint64_t offloads;
	uint8_t mac[6];
	uint8_t rx_mode;
	uint8_t uni_overflow, multi_overflow;
	uint8_t uni_n, multi_n;
	uint8_t macs[VMM_VIRTIO_NET_MACS_MAX][6];
	uint8_t vlans[512];
};

/* What is set takes effect at the next activation, which fails if features are others. */
void net_get_state(struct vmm_virtio_net *net, struct net_state *out);
int net_set_state(struct vmm_virtio_net *net, const struct net_state *s);
void net_pause(struct vmm_virtio_net *net);
void net_resume(struct vmm_virtio_net *net);

struct pmem_state {
	uint32_t version;
	uint32_t lost;
	uint64_t gpa;
	uint64_t len;
};

void pmem_get_state(struct vmm_virtio_pmem *p, struct pmem_state *out);
int pmem_set_state(struct vmm_virtio_pmem *p, const struct pmem_state *s);
void pmem_pause(struct vmm_virtio_pmem *p);
void pmem_resume(struct vmm_virtio_pmem *p);

struct vsock_state {
	uint32_t version;
	/* The driver has still to take in that connections are gone. */
	uint32_t resetting;
	uint64_t cid;
};

void vsock_get_state(struct vmm_virtio_vsock *v, struct vsock_state *out);
int vsock_set_state(struct vmm_virtio_vsock *v, const struct vsock_state *s);
void vsock_pause(struct vmm_virtio_vsock *v);
void vsock_resume(struct vmm_virtio_vsock *v);

#endif

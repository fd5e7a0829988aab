/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef NET_H
#define NET_H

#include <pthread.h>

#include <vmm/virtio-net.h>

#include "device-state.h"
#include "fair-lock.h"
#include "net-thread.h"

/* Features (virtio 1.2, 5.1.3) that are not in the public header. */
#define NET_F_CTRL_GUEST_OFFLOADS (UINT64_C(1) << 2)
#define NET_F_MTU (UINT64_C(1) << 3)
#define NET_F_MAC (UINT64_C(1) << 5)
#define NET_F_MRG_RXBUF (UINT64_C(1) << 15)
#define NET_F_STATUS (UINT64_C(1) << 16)
#define NET_F_CTRL_VQ (UINT64_C(1) << 17)
#define NET_F_CTRL_RX (UINT64_C(1) << 18)
#define NET_F_CTRL_VLAN (UINT64_C(1) << 19)
#define NET_F_CTRL_RX_EXTRA (UINT64_C(1) << 20)
#define NET_F_GUEST_ANNOUNCE (UINT64_C(1) << 21)
#define NET_F_MQ (UINT64_C(1) << 22)
#define NET_F_CTRL_MAC_ADDR (UINT64_C(1) << 23)

#define NET_GUEST_GSO                                                \
	(VMM_VIRTIO_NET_F_GUEST_TSO4 | VMM_VIRTIO_NET_F_GUEST_TSO6 | \
	 VMM_VIRTIO_NET_F_GUEST_UFO | VMM_VIRTIO_NET_F_GUEST_USO4 |  \
	 VMM_VIRTIO_NET_F_GUEST_USO6)
#define NET_GUEST_OFFLOADS \
	(NET_GUEST_GSO | VMM_VIRTIO_NET_F_GUEST_CSUM | VMM_VIRTIO_NET_F_GUEST_ECN)
#define NET_HOST_OFFLOADS                                         \
	(VMM_VIRTIO_NET_F_CSUM | VMM_VIRTIO_NET_F_HOST_TSO4 |     \
	 VMM_VIRTIO_NET_F_HOST_TSO6 | VMM_VIRTIO_NET_F_HOST_ECN | \
	 VMM_VIRTIO_NET_F_HOST_UFO | VMM_VIRTIO_NET_F_HOST_USO)

#define NET_HEADER VMM_VIRTIO_NET_HEADER_LEN
#define NET_FRAME_MAX VMM_VIRTIO_NET_FRAME_MAX
#define NET_FRAME_MIN VMM_VIRTIO_NET_FRAME_MIN

/* struct virtio_net_hdr (5.1.6). */
#define NET_HDR_NEEDS_CSUM 1u
#define NET_HDR_GSO_TCPV4 1u
#define NET_HDR_GSO_UDP 3u
#define NET_HDR_GSO_TCPV6 4u
#define NET_HDR_GSO_UDP_L4 5u
#define NET_HDR_GSO_ECN 0x80u

/* Configuration space (5.1.4). */
#define NET_CONFIG_LEN 12u
#define NET_CONFIG_MAC 0u
#define NET_CONFIG_STATUS 6u
#define NET_CONFIG_PAIRS 8u
#define NET_CONFIG_MTU 10u
#define NET_S_LINK_UP 1u
#define NET_S_ANNOUNCE 2u

/* A chain of more pieces than this is refused; what is gathered for a frame may be twice
 * as much. With a header and a last piece it is what one system call takes. */
#define NET_CHAIN_IOVECS 511u
#define NET_IOVECS (2u * NET_CHAIN_IOVECS)
/* Used buffers are published in groups, so that the driver can work meanwhile. */
#define NET_USED_GROUP 32u
/* How long a frame waits for more buffers, if there are some. */
#define NET_HOLD_NS UINT64_C(10000000)

/* What the driver wants to receive. */
struct net_filter {
	uint8_t mac[6];
	uint8_t rx_mode;
	uint8_t uni_overflow, multi_overflow;
	uint8_t uni_n, multi_n;
	uint8_t macs[VMM_VIRTIO_NET_MACS_MAX][6];
	uint8_t vlans[512];
};

/* A chain of the receive queue that waits for a frame. */
struct net_buffer {
	uint64_t token;
	uint32_t iov_n;
	uint32_t len;
};

/* Buffers in the order of the queue: those from `first` on are ours now, their iovecs
 * follow each other from `iov_first` on. */
struct net_pool {
	struct net_buffer buffers[NET_IOVECS];
	struct iovec iov[NET_IOVECS];
	uint32_t first, end;
	uint32_t iov_first, iov_end;
	uint64_t len;
	/* The queue had no more. */
	bool drained;
	/* How many chains this run may still take, good or not. */
	uint32_t budget;
};

struct net_used {
	struct vmm_virtq_used elems[NET_IOVECS + NET_USED_GROUP];
	uint32_t n;
};

struct net_pair {
	struct vmm_virtio_net *net;
	uint32_t index;
	struct fair_lock lock;
	/* NULL while the driver does not use the queue. */
	struct vmm_virtq *rx, *tx, *ctrl;
	/* In use, as the driver chose the number of pairs. */
	bool active;
	bool paused;
	bool link_up;
	uint64_t features;
	/* Of VMM_VIRTIO_NET_F_GUEST_*, what the driver takes now. */
	uint64_t offloads;
	struct net_filter filter;

	/* Readable when there is work; all below are in it, edge-triggered: one look takes
	 * them off, and a source of which nothing can be taken does not come back. */
	int epoll_fd, event_fd, timer_fd;
	/* The back end's, or -1. */
	int fd;
	/* The back end is gone. */
	bool closed;
	/* It had nothing to receive, and did not say since that it has. */
	bool dry;
	/* More work, or work at that time. */
	bool again;
	uint64_t wait_ns;

	/* A frame that did not fit into the buffers there were. */
	uint32_t held_len;
	uint64_t held_until;
	uint8_t held_header[NET_HEADER];
	/* There are not enough buffers for what there is to receive. */
	bool starved;
	/* Bytes and frames that the driver got, and that the limit was not asked for yet.
	 */
	uint64_t owed;
	uint32_t owed_n;
	struct net_pool pool;
	struct net_used used;
	/* Header or tail of a frame around what is in guest memory. */
	struct iovec iov[NET_IOVECS + 2];
	struct vmm_virtio_net_stats stats;
	uint8_t held[NET_FRAME_MAX];
};

/* What a stream socket got or has to send, in parts. */
struct net_stream {
	uint8_t in_len[4], out_len[4];
	/* Bytes of in_len that are there; then, of the frame of want bytes. */
	uint32_t in_len_n, want, got;
	/* From out_at to out_end: what the peer has to get before the next frame. */
	uint32_t out_at, out_end;
	/* got is in guest memory no more, but in here. */
	uint8_t in[NET_FRAME_MAX];
	uint8_t out[NET_FRAME_MAX + 4];
	struct iovec iov[NET_IOVECS + 4];
};

/* The back ends for file descriptors. */
struct net_builtin {
	uint32_t kind;
	uint32_t pair_n;
	int fds[VMM_VIRTIO_NET_PAIRS_MAX];
	struct net_stream *streams;
};

struct vmm_virtio_net {
	struct vmm_virtio_device device;
	struct vmm_virtio_net_backend backend;
	void *backend_ctx;
	struct net_builtin builtin;
	void (*closed)(void *ctx, uint32_t pair, int code);
	void *closed_ctx;
	struct vmm_virtio_rate *rx_rate, *tx_rate;
	struct vmm_virtio_transport *transport;
	/* Negotiated; 0 while not active. */
	uint64_t features;
	uint64_t offered;
	uint8_t mac[6];
	uint16_t mtu;
	/* lock guards these, and is taken within the lock of a pair. */
	pthread_mutex_t lock;
	uint16_t status;
	uint16_t active_n;
	uint32_t ctrl_index;
	struct net_state pending;
	bool has_pending;

	struct vmm_virtq *const *queues;
	uint8_t config[NET_CONFIG_LEN];
	uint32_t pair_n;
	/* Those that run; each has the pairs of its number modulo thread_n. */
	uint32_t thread_n;
	struct net_thread *threads;
	uint16_t queue_max[2 * VMM_VIRTIO_NET_PAIRS_MAX + 1];
	struct net_pair pairs[];
};

/* Changed by any thread, between two frames. */
static inline bool link_is_up(const struct net_pair *p)
{
	return __atomic_load_n(&p->link_up, __ATOMIC_RELAXED);
}

/* net-rx.c, net-tx.c, net-ctrl.c: the pair's lock is held. */
void net_rx_serve(struct net_pair *p);
void net_tx_serve(struct net_pair *p);
void net_ctrl_serve(struct net_pair *p);
bool net_filter_passes(const struct net_filter *f, uint64_t features,
		       const uint8_t *frame, size_t len);
/* Check a driver's header of a frame of @p len bytes, and make of it what may go out. */
bool net_header_check(uint8_t header[NET_HEADER], uint64_t features, uint64_t len);

/* net-run.c */
uint64_t net_now(void);
void net_flush(struct net_pair *p, struct vmm_virtq *q);
void net_use(struct net_pair *p, uint64_t token, uint32_t len);
void net_signal(struct net_pair *p, struct vmm_virtq *q, uint32_t index);
void net_wait(struct net_pair *p, uint64_t ns);
void net_close_backend(struct net_pair *p, int code);
/* Make the poll set look at the back end anew. */
void net_rearm(struct net_pair *p);
int net_pair_open(struct net_pair *p);
void net_pair_close(struct net_pair *p);
int net_threads_start(struct vmm_virtio_net *net, uint32_t n);
void net_threads_stop(struct vmm_virtio_net *net);
int net_pair_watch(struct net_pair *p, int fd);

/* net-backend.c, net-stream.c */
int net_builtin_init(struct vmm_virtio_net *net, uint32_t kind, const int *fds,
		     struct vmm_error *err);
int net_builtin_set_fd(struct vmm_virtio_net *net, uint32_t pair, int fd,
		       struct vmm_error *err);
int64_t net_stream_send(struct net_stream *s, int fd, const struct iovec *iov,
			uint32_t iov_n);
int64_t net_stream_recv(struct net_stream *s, int fd, const struct iovec *iov,
			uint32_t iov_n);
/* Send what is left of a frame: -EAGAIN or -EPIPE if that does not go. */
int net_stream_flush(struct net_stream *s, int fd);
int net_tap_check(int fd, uint64_t *out_offloads, struct vmm_error *err);
int net_tap_set_offloads(int fd, uint64_t offloads);
int net_tap_attach(int fd, bool on);

/* net-state.c */
int net_state_apply(struct vmm_virtio_net *net);
int64_t net_save(void *ctx, void *buf, size_t size);
/* Take a state, for an activation with @p features, 0: for none. */
int net_load(struct vmm_virtio_net *net, struct vmm_virtio_transport *transport,
	     uint64_t features, const void *data, size_t len);
int net_set_pairs(struct vmm_virtio_net *net, uint32_t n);
void net_set_link(struct vmm_virtio_net *net, struct vmm_virtio_transport *transport,
		  bool up);
int net_set_offloads(struct vmm_virtio_net *net, uint64_t offloads);
uint16_t net_set_status(struct vmm_virtio_net *net,
			struct vmm_virtio_transport *transport, uint16_t set,
			uint16_t clear);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VSOCK_H
#define VSOCK_H

#include <vmm/virtio-vsock.h>

#include "device-state.h"
#include "drain.h"
#include "worker.h"

/* A packet of 64 KiB in pages, its header, and borders between regions. */
#define VSOCK_IOVECS 256u
#define VSOCK_HEADER_LEN 44u
/* Most data in one packet to the guest. */
#define VSOCK_PACKET_MAX 65536u
/* RST packets to connections that do not exist, waiting for the guest's buffers. */
#define VSOCK_ORPHANS 256u
#define VSOCK_BUCKETS 1024u
/* Longest first line of a host program. */
#define VSOCK_LINE 32u
/* Host programs that are let in by one turn. */
#define VSOCK_ACCEPTS 16u

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

/* Operations, types and flags (virtio 1.2, 5.10.6). */
enum vsock_op {
	OP_INVALID,
	OP_REQUEST,
	OP_RESPONSE,
	OP_RST,
	OP_SHUTDOWN,
	OP_RW,
	OP_CREDIT_UPDATE,
	OP_CREDIT_REQUEST,
};

#define TYPE_STREAM 1u
#define TYPE_SEQPACKET 2u
#define SHUT_F_RCV 1u
#define SHUT_F_SEND 2u
#define SHUT_F_BOTH 3u
#define SEQ_F_EOM 1u

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc;
	uint32_t fwd_cnt;
};

enum vsock_conn_state {
	/* A host program that did not say yet what it wants; the guest knows nothing. */
	CONN_GREETING,
	/* The guest was asked. */
	CONN_ASKED,
	CONN_OPEN,
	/* Nothing left but to tell the guest so. */
	CONN_DEAD,
};

struct vsock_conn {
	/* In its bucket. */
	struct vsock_conn *next;
	/* Among those that have something for the guest. */
	struct vsock_conn *before, *behind;
	bool queued;
	bool hashed;

	uint32_t slot;
	uint32_t host_port, guest_port;
	uint16_t type;
	enum vsock_conn_state state;
	bool by_host;
	int fd;
	/* What is known of the socket; epoll tells edges only. */
	bool readable, writable;
	/* The host program's end: of its stream, and of it all. */
	bool eof, hup;
	/* Packets to be sent without data: bits 1 << op. */
	uint32_t todo;
	/* SHUT_F_*: what the guest said, and what it was told. */
	uint32_t guest_shut, told_shut;
	/* The socket was told that the guest is done. */
	bool wr_closed;
	/* The host program reads no more: what the guest still sends goes nowhere. */
	bool deaf;
	/* Nanoseconds; 0: none. */
	uint64_t deadline;

	/* From the guest: a ring, made when it is first needed, and for packets a bit for
	 * each byte that ends one. */
	uint8_t *buf, *ends;
	uint32_t buf_at, buf_len;
	uint32_t rx_cnt, fwd_cnt, fwd_told;

	/* To the guest. */
	uint32_t tx_cnt, peer_alloc, peer_fwd;
	bool credit_asked;
	/* A packet of the host program that is sent piece by piece. */
	uint8_t *msg;
	uint32_t msg_at, msg_len;

	char line[VSOCK_LINE + 1];
};

struct vmm_virtio_vsock {
	struct vmm_virtio_device device;
	struct vmm_virtio_vsock_opts opts;
	char path[VMM_VIRTIO_VSOCK_PATH_MAX + 1];
	char seq_path[VMM_VIRTIO_VSOCK_PATH_MAX + 1];
	uint16_t queue_max[VSOCK_QUEUES];
	uint8_t config[8];

	/* Its lock protects all below. */
	struct worker worker;
	int bells[VSOCK_QUEUES];
	int timer;
	/* Streams and packets; -1: none. */
	int listeners[2];
	bool listening;
	/* Nanoseconds; not before this again, because the host had no descriptors. */
	uint64_t listen_at;
	uint64_t timer_at;

	struct vmm_virtq *vq[VSOCK_QUEUES];
	struct vmm_virtq *const *queues;
	struct vmm_virtio_transport *transport;
	uint64_t features;
	/* The driver must learn that all connections are gone; it was told. */
	bool reset_pending, reset_told;

	struct vsock_conn *buckets[VSOCK_BUCKETS];
	/* By slot; how often each was used. */
	struct vsock_conn *conns[VMM_VIRTIO_VSOCK_CONNECTIONS_MAX];
	uint32_t uses[VMM_VIRTIO_VSOCK_CONNECTIONS_MAX];
	uint32_t conn_n, greeting_n;
	struct vsock_conn *first, *last;
	uint32_t next_port;

	struct vsock_header orphans[VSOCK_ORPHANS];
	uint32_t orphan_at, orphan_n;

	struct vmm_virtio_vsock_stats stats;
	struct iovec iov[VSOCK_IOVECS];
};

/* Tags of epoll: a kind and, for connections, which and whose. */
#define TAG_BELL(i) (UINT64_C(1) << 56 | (i))
#define TAG_LISTENER(i) (UINT64_C(2) << 56 | (i))
#define TAG_TIMER (UINT64_C(3) << 56)
#define TAG_CONN(slot, use) (UINT64_C(4) << 56 | (uint64_t)(use) << 16 | (slot))
#define TAG_KIND(tag) ((tag) >> 56)

/* All below are called with the lock held. */

/* vsock-table.c: connections as things in tables. */
uint64_t vsock_now(void);
struct vsock_conn *conn_new(struct vmm_virtio_vsock *v, int fd, uint16_t type);
void conn_free(struct vmm_virtio_vsock *v, struct vsock_conn *c);
void conn_hash(struct vmm_virtio_vsock *v, struct vsock_conn *c);
struct vsock_conn *conn_find(struct vmm_virtio_vsock *v, uint32_t host_port,
			     uint32_t guest_port, uint16_t type);
void conn_queue(struct vmm_virtio_vsock *v, struct vsock_conn *c);
void conn_unqueue(struct vmm_virtio_vsock *v, struct vsock_conn *c);
void conn_set_deadline(struct vmm_virtio_vsock *v, struct vsock_conn *c);
/* Send an operation without data when there is room. */
void conn_todo(struct vmm_virtio_vsock *v, struct vsock_conn *c, enum vsock_op op);
/* It is over: the guest gets a RST, the host program the end. */
void conn_kill(struct vmm_virtio_vsock *v, struct vsock_conn *c);
/* conn_kill() for breaking a rule. */
void conn_violation(struct vmm_virtio_vsock *v, struct vsock_conn *c);

/* vsock-host.c: sockets. */
int vsock_listen(const char *path, int type);
void vsock_set_listening(struct vmm_virtio_vsock *v, bool on);
void vsock_accept(struct vmm_virtio_vsock *v, uint32_t which);
void vsock_greet(struct vmm_virtio_vsock *v, struct vsock_conn *c);
/* The guest said yes. */
void vsock_answer_host(struct vmm_virtio_vsock *v, struct vsock_conn *c);
int vsock_connect(struct vmm_virtio_vsock *v, uint32_t port, uint16_t type);

/* vsock-stream.c: data. */
/* Bytes from the guest. Returns false if the connection is gone. */
bool conn_receive(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		  struct vmm_virtq_cursor *data, const struct vsock_header *h);
/* Pass on to the host program what waits. */
void conn_flush(struct vmm_virtio_vsock *v, struct vsock_conn *c);
/* Fill a packet with data for the guest. Returns its length, or 0: none now. */
uint32_t conn_fill(struct vmm_virtio_vsock *v, struct vsock_conn *c,
		   const struct vmm_virtq_cursor *room, uint32_t *flags);
bool conn_has_data(const struct vsock_conn *c);
uint32_t conn_credit(const struct vsock_conn *c);

/* vsock-packet.c: what a packet from the guest does. */
void vsock_packet(struct vmm_virtio_vsock *v, const struct vmm_virtq_chain *chain);
void vsock_write_header(const struct vmm_virtio_vsock *v, const struct vsock_conn *c,
			const struct vsock_header *h, uint8_t out[VSOCK_HEADER_LEN]);

/* vsock-queue.c: queues. */
bool vsock_serve(struct vmm_virtio_vsock *v);
void vsock_expire(struct vmm_virtio_vsock *v);

#endif

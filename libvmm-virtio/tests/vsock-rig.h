/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VSOCK_RIG_H
#define VSOCK_RIG_H

/* A guest's driver and host programs around a socket device. Free of any test frame. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vmm/virtio-vsock.h>

#include "device-rig.h"

enum { RX, TX, EVENT };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

#define GUEST_CID 52u
#define STREAM 1u
#define SEQPACKET 2u
#define F_SEQ VMM_VIRTIO_VSOCK_F_SEQPACKET
#define ALLOC 0x20000u
/* Buffers for packets to the guest: this many of a page each. */
#define RX_BUFFERS 12u
#define RX_AT(i) (MOCK_SPLIT_AT + 0x1000u * (i))

struct pkt {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct vworld {
	struct devrig r;
	struct vmm_virtio_vsock *v;
	char path[96], seq_path[96];
	/* Where the buffer of each head is. */
	uint32_t rx_at[64];
	uint32_t rx_free[RX_BUFFERS], rx_free_n;
	/* The last packet that the guest got. */
	struct pkt pkt;
	uint8_t data[4096];
	uint32_t fwd_cnt;
};

static inline void vs_opts(struct vworld *w, struct vmm_virtio_vsock_opts *o)
{
	static const struct vmm_virtio_vsock_opts init = VMM_VIRTIO_VSOCK_OPTS_INIT;
	static int count;

	*o = init;
	(void)snprintf(w->path, sizeof(w->path), "/tmp/vmm-vsock-%d-%d", (int)getpid(),
		       count);
	(void)snprintf(w->seq_path, sizeof(w->seq_path), "/tmp/vmm-vsock-%d-%d.seq",
		       (int)getpid(), count++);
	o->cid = GUEST_CID;
	o->path = w->path;
	o->seqpacket_path = w->seq_path;
	o->features |= F_SEQ | VMM_VIRTIO_F_RING_RESET | VMM_VIRTIO_F_RING_PACKED;
	o->no_thread = true;
}

static inline void vs_refill(struct vworld *w)
{
	while (w->rx_free_n > 0) {
		uint32_t i = w->rx_free[w->rx_free_n - 1];
		struct mock_seg segs[2] = { { RX_AT(i), 44, true },
					    { RX_AT(i) + 44, 4096 - 44, true } };
		/* Both layouts that drivers have: one buffer, and header and data apart. */
		int head = i % 2 ? mock_add(&w->r.q[RX], segs, 2, false)
				 : mock_add(&w->r.q[RX],
					    &(struct mock_seg){ RX_AT(i), 4096, true }, 1,
					    false);

		if (head < 0)
			return;
		w->rx_at[head] = i;
		w->rx_free_n--;
	}
}

static inline void vs_rx_reset(struct vworld *w)
{
	w->rx_free_n = 0;
	for (uint32_t i = 0; i < RX_BUFFERS; i++)
		w->rx_free[w->rx_free_n++] = i;
}

static inline void vs_start_with(struct vworld *w, const struct vmm_virtio_vsock_opts *o)
{
	dr_must(vmm_virtio_vsock_new(o, &w->v, NULL) == 0);
	dr_carry(&w->r, vmm_virtio_vsock_get_device(w->v));
	dr_climb(&w->r, 7, F_SEQ | 1);
	vs_rx_reset(w);
}

static inline void vs_start(struct vworld *w)
{
	struct vmm_virtio_vsock_opts o;

	memset(w, 0, sizeof(*w));
	dr_init(&w->r, 32);
	vs_opts(w, &o);
	vs_start_with(w, &o);
	vs_refill(w);
}

static inline void vs_stop(struct vworld *w)
{
	dr_stop(&w->r);
	vmm_virtio_vsock_free(w->v);
	dr_fini(&w->r);
}

/* Let the device do all it can now. */
static inline void vs_run(struct vworld *w)
{
	for (int i = 0; i < 8; i++)
		vmm_virtio_vsock_run(w->v);
}

static inline struct vmm_virtio_vsock_stats vs_stats(struct vworld *w)
{
	struct vmm_virtio_vsock_stats s = { .size = sizeof(s) };

	vmm_virtio_vsock_get_stats(w->v, &s);
	return s;
}

static inline struct pkt vs_pkt(struct vworld *w, uint16_t type, uint16_t op,
				uint32_t guest_port, uint32_t host_port)
{
	struct pkt p = { .src_cid = GUEST_CID,
			 .dst_cid = 2,
			 .src_port = guest_port,
			 .dst_port = host_port,
			 .type = type,
			 .op = op,
			 .buf_alloc = ALLOC,
			 .fwd_cnt = w->fwd_cnt };

	return p;
}

/* The guest sends a packet as it is; @p len bytes of data are there, whatever it says. */
static inline int vs_send_raw(struct vworld *w, const struct pkt *p, const void *data,
			      uint32_t len)
{
	uint8_t *at = mock_at(w->r.m, DR_BUFFER(TX));
	struct mock_seg segs[3] = { { DR_BUFFER(TX), 44, false },
				    { DR_BUFFER(TX) + 44, len / 2, false },
				    { DR_BUFFER(TX) + 44 + len / 2, len - len / 2,
				      false } };
	int head;

	memcpy(at, p, 44);
	if (len > 0)
		memcpy(at + 44, data, len);
	head = mock_add(&w->r.q[TX], segs, len == 0 ? 1 : 3, false);
	dr_wr(&w->r, 0x50, TX);
	return head;
}

static inline void vs_send(struct vworld *w, const struct pkt *p, const void *data,
			   uint32_t len)
{
	struct pkt q = *p;

	q.len = len;
	dr_must(vs_send_raw(w, &q, data, len) >= 0);
	vs_run(w);
	dr_must(dr_used(&w->r, TX) == 0);
}

static inline void vs_op(struct vworld *w, uint16_t type, uint16_t op,
			 uint32_t guest_port, uint32_t host_port, uint32_t flags)
{
	struct pkt p = vs_pkt(w, type, op, guest_port, host_port);

	p.flags = flags;
	vs_send(w, &p, NULL, 0);
}

/* Take the next packet, into `pkt` and `data`. Returns its operation, or 0 for none. The
 * buffer is not offered again. */
static inline int vs_take(struct vworld *w)
{
	uint32_t id, len;
	int ret = mock_get_used(&w->r.q[RX], &id, &len);

	dr_must(ret == 0 || ret == -EAGAIN);
	if (ret < 0 || len == 0)
		return 0;
	dr_must(len >= 44);
	memcpy(&w->pkt, mock_at(w->r.m, RX_AT(w->rx_at[id])), 44);
	dr_must(w->pkt.len == len - 44 && w->pkt.len <= sizeof(w->data));
	memcpy(w->data, mock_at(w->r.m, RX_AT(w->rx_at[id]) + 44), w->pkt.len);
	w->rx_free[w->rx_free_n++] = w->rx_at[id];
	dr_must(w->pkt.src_cid == 2 && w->pkt.dst_cid == GUEST_CID);
	return w->pkt.op;
}

/* The same with a new buffer in its place. */
static inline int vs_next(struct vworld *w)
{
	int op = vs_take(w);

	vs_refill(w);
	if (op)
		dr_wr(&w->r, 0x50, RX);
	return op;
}

static inline int vs_socket(const char *path, int type, bool server)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", path);
	dr_must(fd >= 0);
	if (server) {
		(void)unlink(path);
		dr_must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
		dr_must(listen(fd, 64) == 0);
	} else if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* A host program that waits for the guest at @p port. */
static inline int vs_server(struct vworld *w, uint32_t port, int type)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s_%u", w->path, port);
	return vs_socket(path, type, true);
}

static inline void vs_remove(struct vworld *w, uint32_t port)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s_%u", w->path, port);
	(void)unlink(path);
}

#endif

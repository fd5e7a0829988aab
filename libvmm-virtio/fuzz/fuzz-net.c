/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver and a back end of a network device, both as the input says.
 *
 *   byte 0  1 MRG_RXBUF, 2 offloads, 4 MQ, 8 packed ring, 16 IN_ORDER, 32 back end without
 *           header, 64 EVENT_IDX
 *   then steps, 1 byte of kind and arguments:
 *     0  chain: queue, number of pieces, 3 bytes a piece (where, length, what: 1 writable,
 *        2 length times 64, 4 in a hole), then 12 bytes for the header or the command
 *     1  frame from the back end: 2 bytes of length, 1 byte of header flags
 *     2  run pair, and what the back end says to the next frame
 *     3  save the state, reset, restore it and start again
 *     4  the link: up or down
 *     5  a state with 40 bytes of junk, restored
 *
 * It stops when the device reads or writes outside guest memory or its own frames, sends a
 * frame or a header that cannot be, gives the driver a frame that the back end did not
 * have, gives a chain back twice or never, changes memory outside writable buffers, or
 * has another state after a restore.
 */
#include "../tests/net-rig.h"
#include "device-state.h"

enum { STEPS = 64, PIECES = 6, DATA = 0x8000 };

/* Where pieces of chains are: one area to read, one to write. */
#define READ_AREA MOCK_BUFFERS
#define WRITE_AREA (MOCK_SPLIT_AT - 0x4000)

struct fuzz {
	struct net_rig r;
	uint64_t features;
	uint32_t given[NET_QUEUES], taken[NET_QUEUES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t get16(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

static bool in_ram(const struct fuzz *f, const struct iovec *v)
{
	const uint8_t *at = v->iov_base;

	return at >= f->r.m->ram && at < f->r.m->ram + MOCK_RAM_LEN &&
	       v->iov_len <= (size_t)(f->r.m->ram + MOCK_RAM_LEN - at);
}

static void check_header(const struct fuzz *f, const uint8_t *h, uint32_t len)
{
	static const uint64_t needs[] = { 0,
					  VMM_VIRTIO_NET_F_HOST_TSO4,
					  0,
					  VMM_VIRTIO_NET_F_HOST_UFO,
					  VMM_VIRTIO_NET_F_HOST_TSO6,
					  VMM_VIRTIO_NET_F_HOST_USO };
	uint32_t type = h[1] & 0x7f;

	net_must(h[0] <= 1 && h[10] == 0 && h[11] == 0, "flags");
	if (h[0])
		net_must((f->features & VMM_VIRTIO_NET_F_CSUM) &&
			     get16(h + 6) + get16(h + 8) + 2 <= len,
			 "checksum");
	if (h[1])
		net_must(h[0] && type < 6 && (f->features & needs[type]) &&
			     get16(h + 4) > 0 && get16(h + 2) <= len,
			 "segmentation");
}

static int64_t send_frame(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct fuzz *f = ctx;
	uint32_t first = f->r.header ? 1 : 0;
	uint64_t len = 0;

	f->r.sends++;
	net_must(n > first && n <= 1024 && pair < 2, "pieces");
	for (uint32_t i = first; i < n; i++) {
		net_must(in_ram(f, &iov[i]), "sent from outside");
		len += iov[i].iov_len;
	}
	net_must(len >= VMM_VIRTIO_NET_FRAME_MIN && len <= VMM_VIRTIO_NET_FRAME_MAX,
		 "length");
	if (first) {
		net_must(iov[0].iov_len == VMM_VIRTIO_NET_HEADER_LEN, "header");
		check_header(f, iov[0].iov_base, (uint32_t)len);
	}
	return f->r.send_result;
}

/* The frame says by its pattern how long it is. */
static int64_t recv_frame(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct fuzz *f = ctx;
	uint64_t room = 0;

	for (uint32_t i = 0; i < n; i++)
		room += iov[i].iov_len;
	net_must(n <= 1024 && room >= VMM_VIRTIO_NET_FRAME_MAX &&
		     room <= VMM_VIRTIO_NET_FRAME_MAX + VMM_VIRTIO_NET_HEADER_LEN,
		 "room");
	return rig_recv(&f->r, pair, iov, n);
}

static int set_offloads(void *ctx, uint64_t offloads)
{
	return rig_set_offloads(&((struct fuzz *)ctx)->r, offloads);
}

static int set_pairs(void *ctx, uint32_t n)
{
	net_must(n == 1 || n == 2, "pairs");
	return 0;
}

/* The driver takes back what is used: each chain that is out once, and no longer than
 * what it can be. */
static void collect(struct fuzz *f)
{
	uint32_t id, len;

	for (uint32_t i = 0; i <= f->r.ctrl; i++) {
		int ret;

		while ((ret = mock_get_used(&f->r.q[i], &id, &len)) == 0) {
			net_must(i == f->r.ctrl ? len <= 1 : i % 2 == 0 || len == 0,
				 "used length");
			f->taken[i]++;
		}
		net_must(ret == -EAGAIN, "chain that is not out");
		net_must(f->taken[i] <= f->given[i], "more back than given");
	}
}

static void run(struct fuzz *f)
{
	for (uint32_t pair = 0; pair < 2; pair++) {
		uint32_t before = f->r.sends;

		vmm_virtio_net_run(f->r.net, pair);
		net_must(f->r.sends - before <= NET_NUM, "work of one run");
	}
	collect(f);
}

static void start(struct fuzz *f)
{
	net_must(rig_climb(&f->r, f->features) == 0xf, "negotiation");
	memset(f->given, 0, sizeof(f->given));
	memset(f->taken, 0, sizeof(f->taken));
}

static size_t add_chain(struct fuzz *f, const uint8_t *data, size_t size)
{
	struct mock_seg segs[PIECES];
	uint32_t n, queue, need;

	if (size < 2)
		return 0;
	queue = data[0] % (f->r.ctrl + 1);
	n = data[1] % (PIECES + 1);
	need = 2 + 3 * n + 12;
	if (size < need)
		return 0;
	memcpy(mock_at(f->r.m, READ_AREA), data + need - 12, 12);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = data + 2 + 3 * i;

		segs[i].write = p[2] & 1;
		segs[i].gpa = (segs[i].write ? WRITE_AREA : READ_AREA) + p[0] * 16u;
		segs[i].len = p[2] & 2 ? 64u * p[1] : p[1];
		if (p[2] & 4)
			segs[i].gpa = MOCK_HOLE + p[0];
	}
	if (n > 0 && mock_add(&f->r.q[queue], segs, n, false) >= 0)
		f->given[queue]++;
	return need;
}

static void queue_frame(struct fuzz *f, const uint8_t *data)
{
	uint32_t len = get16(data) + (data[2] & 0x80 ? 100 : 0);
	struct net_frame *frame;

	if (f->r.queued_at == f->r.queued_n)
		f->r.queued_at = f->r.queued_n = 0;
	if (f->r.queued_n == NET_QUEUED)
		return;
	frame = &f->r.queued[f->r.queued_n++];
	frame->len = len;
	memset(frame->bytes, data[2], VMM_VIRTIO_NET_HEADER_LEN + 24);
}

static void save_and_restore(struct fuzz *f)
{
	struct net_state a, b;

	net_get_state(f->r.net, &a);
	nwr(&f->r, 0x70, 0);
	net_must(net_set_state(f->r.net, &a) == 0, "restore");
	start(f);
	net_get_state(f->r.net, &b);
	net_must(memcmp(&a, &b, sizeof(a)) == 0, "state after a restore");
}

/* A state as the input has it is refused or taken, and is the one we have then. */
static void restore_junk(struct fuzz *f, const uint8_t *data, size_t size)
{
	struct net_state s;

	net_get_state(f->r.net, &s);
	memcpy(&s, data, size < 40 ? size : 40);
	nwr(&f->r, 0x70, 0);
	if (net_set_state(f->r.net, &s) == 0)
		(void)rig_climb(&f->r, f->features);
	start(f);
}

/* Returns the bytes of input that it took, 0 at the end. */
static size_t step(struct fuzz *f, const uint8_t *data, size_t size)
{
	static const int64_t results[] = { 0, 0, -EAGAIN, -EIO };

	if (size < 4)
		return 0;
	switch (data[0] % 8) {
	case 1:
		queue_frame(f, data + 1);
		return 4;
	case 2:
		f->r.send_result = results[data[1] % 4];
		run(f);
		return 2;
	case 3:
		save_and_restore(f);
		return 1;
	case 4:
		net_must(vmm_virtio_net_set_link(f->r.net, f->r.t, data[1] & 1) == 0,
			 "link");
		return 2;
	case 5:
		restore_junk(f, data + 1, size - 1);
		return size < 41 ? size : 41;
	default: {
		size_t n = add_chain(f, data + 1, size - 1);

		return n ? n + 1 : 0;
	}
	}
}

/* With a back end that takes all and buffers for all, nothing stays behind. */
static void finish(struct fuzz *f)
{
	f->r.send_result = 0;
	f->r.queued_at = f->r.queued_n = 0;
	net_must(vmm_virtio_net_set_link(f->r.net, f->r.t, true) == 0, "link");
	for (int i = 0; i < 8; i++)
		run(f);
	net_must(f->taken[1] == f->given[1], "chain of the transmit queue lost");
	net_must(f->taken[f->r.ctrl] == f->given[f->r.ctrl], "command lost");
	net_must(nrd(&f->r, 0x70) == 0xf, "status");
}

/* What the device must not write: all that is neither ring nor in a writable buffer. */
static void check_untouched(const struct fuzz *f)
{
	const uint8_t *ram = f->r.m->ram;

	for (uint32_t i = 0; i < 0x1000; i++)
		net_must(ram[i] == 0 && ram[WRITE_AREA - 0x1000 + i] == 0,
			 "write outside of buffers");
	for (uint32_t i = VMM_VIRTIO_NET_HEADER_LEN; i < DATA; i++)
		net_must(ram[READ_AREA + i] == 0, "write to a readable buffer");
}

static uint64_t choose(uint8_t mode)
{
	return NF_STATUS | NF_MAC | NF_CTRL | NF_CTRL_RX | NF_CTRL_RX_EXTRA |
	       NF_CTRL_VLAN | NF_CTRL_MAC | NF_ANNOUNCE | (mode & 1 ? NF_MRG : 0) |
	       ((mode & 2) && !(mode & 32)
		    ? NF_HOST_OFFLOADS | NF_GUEST_OFFLOADS | VMM_VIRTIO_NET_F_GUEST_CSUM |
			  VMM_VIRTIO_NET_F_GUEST_TSO4
		    : 0) |
	       (mode & 4 ? NF_MQ : 0) | (mode & 8 ? VMM_VIRTIO_F_RING_PACKED : 0) |
	       (mode & 16 ? VMM_VIRTIO_F_IN_ORDER : 0) |
	       (mode & 64 ? VMM_VIRTIO_F_EVENT_IDX : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct vmm_virtio_net_backend backend;
	struct vmm_virtio_net_opts opts;
	uint8_t mode = size ? data[0] : 0;
	struct mock *m = f.r.m;
	struct net_frame *queued = f.r.queued;
	size_t at = 1, n;

	memset(&f, 0, sizeof(f));
	f.r.m = m ? m : mock_new(NET_NUM, 0);
	f.r.queued = queued ? queued : calloc(NET_QUEUED, sizeof(*f.r.queued));
	net_must(f.r.m && f.r.queued, "memory");
	memset(f.r.m->ram + READ_AREA, 0, DATA);
	f.features = choose(mode);
	opts = net_rig_opts(&f.r, !(mode & 32), &backend);
	backend.send = send_frame;
	backend.recv = recv_frame;
	backend.set_offloads = set_offloads;
	backend.set_pairs = set_pairs;
	opts.backend_ctx = &f;
	opts.closed = NULL;
	opts.pair_n = 2;
	rig_attach(&f.r, &opts);
	start(&f);
	for (int i = 0;
	     i < STEPS && at < size && (n = step(&f, data + at, size - at)) > 0; i++)
		at += n;
	finish(&f);
	check_untouched(&f);
	vmm_virtio_mmio_free(f.r.mmio);
	vmm_virtio_net_free(f.r.net);
	return 0;
}

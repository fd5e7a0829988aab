/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest and host programs that talk past a socket device, both played by the input.
 *
 *   steps: byte 0 what (low 3 bits)
 *     0-3  a packet from the guest: operation, flags (bits 0 to 3; bit 4 packets instead
 *          of a stream, 5 a wrong CID, 6 says more data than there is, 7 a length near
 *          the limit), ports (4 bits each), data length in units of 16, fwd_cnt, buf_alloc
 *     4    the guest gives buffers: number
 *     5    a host program connects and sends a line: port
 *     6    a host program writes: which, length in units of 64, or closes (0), or shuts
 *          down its half (1), or reads all (2)
 *     7    reset and start again
 *
 * It stops when a packet to the guest is not whole, goes to the wrong CID, has data beyond
 * the credit that was given, or a chain is answered twice or never; when bytes that
 * arrived at a program are not what was sent; or when there are more connections than
 * allowed.
 */
#include <errno.h>

#include "../tests/vsock-rig.h"

enum { PROGRAMS = 6, CONNECTIONS = 8 };

static struct vworld w;
/* The host's ends: by those who connect, and by the guest's wish. */
static int programs[PROGRAMS];
static uint32_t next_program;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void keep(int fd)
{
	int *slot = &programs[next_program++ % PROGRAMS];

	if (*slot >= 0)
		(void)close(*slot);
	*slot = fd;
}

static int on_connect(void *ctx, uint32_t port, uint32_t type)
{
	int fds[2];

	if (port == 7)
		return -ECONNREFUSED;
	if (socketpair(AF_UNIX,
		       (type == STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK |
			   SOCK_CLOEXEC,
		       0, fds) < 0)
		return -errno;
	keep(fds[1]);
	return fds[0];
}

static void check(void)
{
	struct vmm_virtio_vsock_stats s = vs_stats(&w);
	uint32_t id, len;
	int ret;

	dr_must(s.connections <= CONNECTIONS);
	while ((ret = mock_get_used(&w.r.q[TX], &id, &len)) == 0)
		dr_must(len == 0);
	dr_must(ret == -EAGAIN);
	while (vs_take(&w)) {
		dr_must(w.pkt.op >= REQUEST && w.pkt.op <= CREDIT_REQUEST);
		dr_must(w.pkt.len == 0 || w.pkt.op == RW);
		dr_must(w.pkt.buf_alloc == 4096 || w.pkt.op == RST);
		dr_must(w.pkt.op != RW || (w.pkt.len > 0 && w.data[0] == 0xb7));
	}
}

static void guest_packet(struct input *in)
{
	static uint8_t bytes[4096 + 64];
	uint32_t op = take(in), flags = take(in), ports = take(in), len = take(in) * 16;
	struct pkt p = vs_pkt(&w, flags & 16 ? SEQPACKET : STREAM, (uint16_t)op,
			      ports & 15, ports >> 4);

	/* A program that connected has a port up there. */
	if (p.dst_port >= 10)
		p.dst_port += 0x40000000 - 10;
	if (flags & 32)
		p.src_cid = op;
	if (flags & 128)
		len = 4096 - 16 + len / 16 % 32;
	memset(bytes, 0xe7, len);
	p.flags = flags & 15;
	p.len = len + (flags & 64 ? 1 : 0);
	p.fwd_cnt = take(in) * 8;
	p.buf_alloc = take(in) * 16;
	(void)vs_send_raw(&w, &p, bytes, len);
}

static void connect_program(struct input *in)
{
	uint32_t port = take(in);
	int fd =
	    vs_socket(port & 128 ? w.seq_path : w.path,
		      (port & 128 ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK, false);
	char line[40];
	int n = snprintf(line, sizeof(line), port & 64 ? "CONNECT %u" : "CONNECT %u\n",
			 port & 15);

	if (fd < 0)
		return;
	(void)!send(fd, line, (size_t)n, MSG_NOSIGNAL);
	keep(fd);
}

static void read_all(int fd)
{
	uint8_t bytes[8192];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++)
			dr_must(bytes[i] == 0xe7 || strchr("OK 0123456789\n", bytes[i]));
}

static void program(struct input *in)
{
	int *fd = &programs[take(in) % PROGRAMS];
	uint32_t len = take(in);
	static uint8_t bytes[256 * 64];

	if (*fd < 0)
		return;
	if (len == 0) {
		(void)close(*fd);
		*fd = -1;
	} else if (len == 1) {
		(void)shutdown(*fd, SHUT_WR);
	} else if (len == 2) {
		read_all(*fd);
	} else {
		memset(bytes, 0xb7, sizeof(bytes));
		(void)!send(*fd, bytes, len * 64, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void step(struct input *in)
{
	uint32_t what = take(in);

	switch (what & 7) {
	case 4:
		vs_refill(&w);
		dr_wr(&w.r, 0x50, RX);
		break;
	case 5:
		connect_program(in);
		break;
	case 6:
		program(in);
		break;
	case 7:
		dr_climb(&w.r, 7, F_SEQ | 1);
		vs_rx_reset(&w);
		break;
	default:
		guest_packet(in);
		break;
	}
	vmm_virtio_vsock_run(w.v);
	vmm_virtio_vsock_run(w.v);
	check();
}

static void start(void)
{
	struct vmm_virtio_vsock_opts o;

	if (!w.r.m)
		dr_init(&w.r, 32);
	vs_opts(&w, &o);
	o.connect = on_connect;
	o.connections_max = CONNECTIONS;
	o.buffer = 4096;
	dr_must(vmm_virtio_vsock_new(&o, &w.v, NULL) == 0);
	for (int i = 0; i < PROGRAMS; i++)
		programs[i] = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	start();
	dr_carry(&w.r, vmm_virtio_vsock_get_device(w.v));
	dr_climb(&w.r, 7, F_SEQ | 1);
	vs_rx_reset(&w);
	for (int i = 0; i < 60 && in.left > 0; i++)
		step(&in);
	/* At rest, what the guest gave for sending is all back. */
	for (int i = 0; i < 4; i++) {
		vmm_virtio_vsock_run(w.v);
		check();
	}
	dr_must(w.r.q[TX].free_n == w.r.num);
	dr_stop(&w.r);
	vmm_virtio_vsock_free(w.v);
	dr_must(vs_socket(w.path, SOCK_STREAM, false) < 0);
	for (int i = 0; i < PROGRAMS; i++)
		if (programs[i] >= 0)
			(void)close(programs[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Connections between a guest's driver and host programs, step by step. */
#include "virtio-test.h"

#include "vsock-rig.h"

#define SERVICE 1234u
#define GUEST 5000u

/* A connection from the guest to a host program at SERVICE; returns the program's end. */
static int open_from_guest(struct vworld *w, uint16_t type)
{
	int kind = type == STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
	int server = vs_server(w, SERVICE, kind), fd;

	vs_op(w, type, REQUEST, GUEST, SERVICE, 0);
	assert_int_equal(vs_next(w), RESPONSE);
	assert_int_equal(w->pkt.src_port, SERVICE);
	assert_int_equal(w->pkt.dst_port, GUEST);
	assert_int_equal(w->pkt.type, type);
	assert_int_equal(w->pkt.buf_alloc, VMM_VIRTIO_VSOCK_BUFFER);
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	(void)close(server);
	vs_remove(w, SERVICE);
	return fd;
}

/* Returns the host program's end, `w->pkt.src_port` is its port. */
static int open_from_host(struct vworld *w, bool seq)
{
	int fd = vs_socket(seq ? w->seq_path : w->path,
			   seq ? SOCK_SEQPACKET : SOCK_STREAM, false);
	char line[32] = "", want[32];
	uint32_t port;

	assert_int_equal(write(fd, "CONNECT 80\n", 11), 11);
	vs_run(w);
	assert_int_equal(vs_next(w), REQUEST);
	assert_int_equal(w->pkt.dst_port, 80);
	port = w->pkt.src_port;
	vs_op(w, seq ? SEQPACKET : STREAM, RESPONSE, 80, port, 0);
	(void)snprintf(want, sizeof(want), "OK %u\n", port);
	assert_int_equal(read(fd, line, sizeof(line)), strlen(want));
	assert_string_equal(line, want);
	w->pkt.src_port = port;
	return fd;
}

static void rw(struct vworld *w, uint16_t type, const void *data, uint32_t len,
	       uint32_t flags)
{
	struct pkt p = vs_pkt(w, type, RW, GUEST, SERVICE);

	p.flags = flags;
	vs_send(w, &p, data, len);
}

static void the_guest_connects_and_talks(void **state)
{
	struct vworld w;
	char buf[16];
	int fd;

	vs_start(&w);
	assert_int_equal(dr_rd(&w.r, 0x08), 19);
	assert_int_equal(dr_config64(&w.r, 0), GUEST_CID);
	fd = open_from_guest(&w, STREAM);
	rw(&w, STREAM, "hello", 5, 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(write(fd, "world!", 6), 6);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 6);
	assert_int_equal(w.pkt.fwd_cnt, 5);
	assert_memory_equal(w.data, "world!", 6);
	assert_true(w.r.irqs > 0);
	assert_int_equal(vs_stats(&w).from_guest_bytes, 5);
	assert_int_equal(vs_stats(&w).to_guest_bytes, 6);
	assert_int_equal(vs_stats(&w).opened_by_guest, 1);
	(void)close(fd);
	vs_stop(&w);
}

static void the_host_connects_and_talks(void **state)
{
	struct vworld w;
	uint32_t port;
	struct pkt p;
	char buf[16];
	int fd;

	vs_start(&w);
	fd = open_from_host(&w, false);
	port = w.pkt.src_port;
	p = vs_pkt(&w, STREAM, RW, 80, port);
	vs_send(&w, &p, "from guest", 10);
	assert_int_equal(read(fd, buf, sizeof(buf)), 10);
	assert_int_equal(write(fd, "x", 1), 1);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.data[0], 'x');
	assert_int_equal(vs_stats(&w).opened_by_host, 1);
	(void)close(fd);
	vs_stop(&w);
}

/* What a program sends right behind its first line is for the guest. */
static void the_first_line_may_come_in_pieces_and_with_data(void **state)
{
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(fd, "CONNE", 5), 5);
	vs_run(&w);
	assert_int_equal(vs_next(&w), 0);
	assert_int_equal(write(fd, "CT 80\nGET /", 11), 11);
	vs_run(&w);
	assert_int_equal(vs_next(&w), REQUEST);
	vs_op(&w, STREAM, RESPONSE, 80, w.pkt.src_port, 0);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 5);
	assert_memory_equal(w.data, "GET /", 5);
	(void)close(fd);
	vs_stop(&w);
}

static void bad_first_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"connect 80\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT 80 \n",
		"CONNECT -1\n",
		"CONNECT 4294967295\n",
		"CONNECT 99999999999999999999\n",
		"\n",
		"CONNECT 00000000000000000000000080\n",
	};
	struct vworld w;
	char c;

	vs_start(&w);
	for (size_t i = 0; i < VMM_ARRAY_LEN(lines); i++) {
		int fd = vs_socket(w.path, SOCK_STREAM, false);

		assert_true(write(fd, lines[i], strlen(lines[i])) > 0);
		vs_run(&w);
		assert_true(read(fd, &c, 1) <= 0);
		assert_int_equal(vs_next(&w), 0);
		(void)close(fd);
	}
	assert_int_equal(vs_stats(&w).connections, 0);
	assert_int_equal(vs_stats(&w).refused, VMM_ARRAY_LEN(lines));
	/* Gone in the middle of the line. */
	for (int i = 0; i < 2; i++) {
		int fd = vs_socket(w.path, SOCK_STREAM, false);

		assert_int_equal(write(fd, "CONN", i ? 4 : 0), i ? 4 : 0);
		vs_run(&w);
		(void)close(fd);
		vs_run(&w);
		assert_int_equal(vs_stats(&w).connections, 0);
	}
	vs_stop(&w);
}

static void a_guest_that_refuses_closes_the_program(void **state)
{
	struct vworld w;
	char c;
	int fd;

	vs_start(&w);
	fd = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(fd, "CONNECT 80\n", 11), 11);
	vs_run(&w);
	assert_int_equal(vs_next(&w), REQUEST);
	vs_op(&w, STREAM, RST, 80, w.pkt.src_port, 0);
	assert_int_equal(read(fd, &c, 1), 0);
	assert_int_equal(vs_stats(&w).connections, 0);
	assert_int_equal(vs_next(&w), 0);
	(void)close(fd);
	vs_stop(&w);
}

static void nobody_there_is_answered_with_rst(void **state)
{
	static const uint16_t ops[] = { REQUEST,       RESPONSE,       RW, SHUTDOWN,
					CREDIT_UPDATE, CREDIT_REQUEST, 77 };
	struct vworld w;

	vs_start(&w);
	for (size_t i = 0; i < VMM_ARRAY_LEN(ops); i++) {
		vs_op(&w, STREAM, ops[i], GUEST, SERVICE, 0);
		assert_int_equal(vs_next(&w), RST);
		assert_int_equal(w.pkt.src_port, SERVICE);
		assert_int_equal(w.pkt.dst_port, GUEST);
	}
	vs_op(&w, STREAM, RST, GUEST, SERVICE, 0);
	assert_int_equal(vs_next(&w), 0);
	/* A type that is not there. */
	vs_op(&w, 3, REQUEST, GUEST, SERVICE, 0);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(w.pkt.type, 3);
	assert_int_equal(vs_stats(&w).connections, 0);
	vs_stop(&w);
}

static void packets_without_the_feature_are_refused(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	int server;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	o.features &= ~F_SEQ;
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), 0);
	dr_carry(&w.r, vmm_virtio_vsock_get_device(w.v));
	dr_climb(&w.r, 7, 0);
	vs_rx_reset(&w);
	vs_refill(&w);
	server = vs_server(&w, SERVICE, SOCK_SEQPACKET);
	vs_op(&w, SEQPACKET, REQUEST, GUEST, SERVICE, 0);
	assert_int_equal(vs_next(&w), RST);
	(void)close(server);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void malformed_packets_are_dropped(void **state)
{
	static const struct mock_seg shorter = { MOCK_BUFFERS, 43, false };
	static const struct mock_seg hole = { MOCK_HOLE, 44, false };
	static const struct mock_seg writable = { MOCK_BUFFERS, 44, true };
	struct vworld w;
	struct pkt p;

	vs_start(&w);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	p.len = 11; /* of 10 */
	assert_true(vs_send_raw(&w, &p, "0123456789", 10) >= 0);
	p.len = UINT32_MAX;
	assert_true(vs_send_raw(&w, &p, "0123456789", 10) >= 0);
	p = vs_pkt(&w, STREAM, REQUEST, GUEST, SERVICE);
	p.src_cid = GUEST_CID + 1;
	assert_true(vs_send_raw(&w, &p, NULL, 0) >= 0);
	vs_run(&w);
	p.src_cid = GUEST_CID;
	p.dst_cid = UINT64_C(0x100000002);
	assert_true(vs_send_raw(&w, &p, NULL, 0) >= 0);
	assert_true(mock_add(&w.r.q[TX], &shorter, 1, false) >= 0);
	assert_true(mock_add(&w.r.q[TX], &writable, 1, false) >= 0);
	vs_run(&w);
	assert_int_equal(vs_stats(&w).bad_packets, 6);
	assert_true(mock_add(&w.r.q[TX], &hole, 1, false) >= 0);
	dr_wr(&w.r, 0x50, TX);
	vs_run(&w);
	for (int i = 0; i < 7; i++)
		assert_int_equal(dr_used(&w.r, TX), 0);
	assert_int_equal(vs_next(&w), 0);
	vs_stop(&w);
}

/* A header over several buffers, and data over many. */
static void a_packet_may_be_cut_anywhere(void **state)
{
	struct mock_seg segs[16];
	struct vworld w;
	struct pkt p;
	char buf[16];
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	p.len = 9;
	memcpy(mock_at(w.r.m, DR_BUFFER(TX)), &p, 44);
	memcpy(mock_at(w.r.m, DR_BUFFER(TX) + 44), "scattered", 9);
	for (uint32_t i = 0; i < 11; i++)
		segs[i] =
		    (struct mock_seg){ DR_BUFFER(TX) + 5 * i, i == 10 ? 3 : 5, false };
	assert_true(mock_add(&w.r.q[TX], segs, 11, false) >= 0);
	dr_wr(&w.r, 0x50, TX);
	vs_run(&w);
	assert_int_equal(read(fd, buf, sizeof(buf)), 9);
	assert_memory_equal(buf, "scattered", 9);
	(void)close(fd);
	vs_stop(&w);
}

static void buffers_too_small_for_a_packet_come_back(void **state)
{
	static const struct mock_seg small[] = { { MOCK_SPLIT_AT, 43, true },
						 { MOCK_SPLIT_AT, 44, true } };
	static const struct mock_seg hole = { MOCK_HOLE, 4096, true };
	struct vworld w = { 0 };
	struct vmm_virtio_vsock_opts o;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	vs_start_with(&w, &o);
	assert_true(mock_add(&w.r.q[RX], &small[0], 1, false) >= 0);
	assert_true(mock_add(&w.r.q[RX], &small[1], 1, false) >= 0);
	assert_true(mock_add(&w.r.q[RX], &hole, 1, false) >= 0);
	vs_op(&w, STREAM, RW, GUEST, SERVICE, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dr_used(&w.r, RX), 0);
	vs_refill(&w);
	dr_wr(&w.r, 0x50, RX);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RST);
	vs_stop(&w);
}

static void a_second_request_or_a_stray_response_ends_it(void **state)
{
	static const uint16_t ops[] = { REQUEST, RESPONSE, 0, 99 };
	struct vworld w;

	vs_start(&w);
	for (size_t i = 0; i < VMM_ARRAY_LEN(ops); i++) {
		int fd = open_from_guest(&w, STREAM);
		char c;

		vs_op(&w, STREAM, ops[i], GUEST, SERVICE, 0);
		assert_int_equal(vs_next(&w), RST);
		assert_int_equal(read(fd, &c, 1), 0);
		assert_int_equal(vs_stats(&w).connections, 0);
		assert_int_equal(vs_stats(&w).violations, i + 1);
		(void)close(fd);
	}
	vs_stop(&w);
}

static void data_before_the_answer_ends_it(void **state)
{
	struct vworld w;
	struct pkt p;
	char c;
	int fd;

	vs_start(&w);
	fd = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(fd, "CONNECT 80\n", 11), 11);
	vs_run(&w);
	assert_int_equal(vs_next(&w), REQUEST);
	p = vs_pkt(&w, STREAM, RW, 80, w.pkt.src_port);
	vs_send(&w, &p, "early", 5);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(read(fd, &c, 1), 0);
	(void)close(fd);
	vs_stop(&w);
}

static void a_guest_beyond_its_credit_is_cut_off(void **state)
{
	static uint8_t block[4096];
	struct vworld w;
	uint32_t sent = 0;
	int fd, op = 0;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	/* Nobody reads: what does not fit into the socket goes into the buffer. */
	while (op != RST && sent < 64u << 20) {
		rw(&w, STREAM, block, sizeof(block), 0);
		sent += sizeof(block);
		while ((op = vs_next(&w)) == CREDIT_UPDATE)
			;
	}
	assert_int_equal(op, RST);
	assert_true(sent > VMM_VIRTIO_VSOCK_BUFFER);
	assert_int_equal(vs_stats(&w).violations, 1);
	assert_int_equal(vs_stats(&w).connections, 0);
	(void)close(fd);
	vs_stop(&w);
}

/* The guest keeps to its credit while a slow program reads bit by bit: all arrives. */
static void a_slow_program_gets_every_byte(void **state)
{
	enum { TOTAL = 1 << 20 };
	uint32_t sent = 0, got = 0, credit = VMM_VIRTIO_VSOCK_BUFFER, told = 0;
	static uint8_t block[4096], back[1000];
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	while (got < TOTAL) {
		uint32_t n = TOTAL - sent < sizeof(block) ? TOTAL - sent : sizeof(block);
		ssize_t r;

		if (n > 0 && sent - told + n <= credit) {
			for (uint32_t i = 0; i < n; i++)
				block[i] = (uint8_t)((sent + i) * 7 >> 3);
			rw(&w, STREAM, block, n, 0);
			sent += n;
		} else {
			r = recv(fd, back, sizeof(back), MSG_DONTWAIT);
			assert_true(r > 0);
			for (ssize_t i = 0; i < r; i++, got++)
				assert_int_equal(back[i], (uint8_t)(got * 7 >> 3));
			vs_run(&w);
		}
		while (vs_next(&w) == CREDIT_UPDATE)
			told = w.pkt.fwd_cnt;
	}
	assert_int_equal(vs_stats(&w).violations, 0);
	assert_int_equal(vs_stats(&w).from_guest_bytes, TOTAL);
	(void)close(fd);
	vs_stop(&w);
}

static void credit_is_told_when_asked_for(void **state)
{
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	rw(&w, STREAM, "abc", 3, 0);
	assert_int_equal(vs_next(&w), 0);
	vs_op(&w, STREAM, CREDIT_REQUEST, GUEST, SERVICE, 0);
	assert_int_equal(vs_next(&w), CREDIT_UPDATE);
	assert_int_equal(w.pkt.fwd_cnt, 3);
	assert_int_equal(w.pkt.buf_alloc, VMM_VIRTIO_VSOCK_BUFFER);
	(void)close(fd);
	vs_stop(&w);
}

static void the_guest_gets_no_more_than_it_has_room_for(void **state)
{
	struct vworld w;
	struct pkt p;
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	p = vs_pkt(&w, STREAM, CREDIT_UPDATE, GUEST, SERVICE);
	p.buf_alloc = 10;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 10);
	vs_run(&w);
	assert_int_equal(vs_next(&w), CREDIT_REQUEST);
	vs_run(&w);
	assert_int_equal(vs_next(&w), 0);
	/* Less room than before, with bytes out: nothing, not 4 GiB. */
	p.buf_alloc = 5;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(vs_next(&w), 0);
	p.buf_alloc = 10;
	p.fwd_cnt = 4;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 4);
	assert_memory_equal(w.data, "abcd", 4);
	(void)close(fd);
	vs_stop(&w);
}

/* fwd_cnt beyond what was ever sent would make room out of nothing. */
static void credit_that_cannot_be_is_ignored(void **state)
{
	static const uint32_t lies[] = { 11, 1000, UINT32_MAX, 0x80000000 };
	struct vworld w;
	struct pkt p;
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, STREAM);
	p = vs_pkt(&w, STREAM, CREDIT_UPDATE, GUEST, SERVICE);
	p.buf_alloc = 10;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(vs_next(&w), CREDIT_REQUEST);
	for (size_t i = 0; i < VMM_ARRAY_LEN(lies); i++) {
		p.fwd_cnt = lies[i];
		vs_send(&w, &p, NULL, 0);
		assert_int_equal(vs_next(&w), 0);
	}
	assert_int_equal(vs_stats(&w).bad_credits, 4);
	p.fwd_cnt = 10;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 6);
	/* Back again, as an overtaken packet has it. */
	p.fwd_cnt = 9;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(vs_stats(&w).bad_credits, 5);
	(void)close(fd);
	vs_stop(&w);
}

static void a_guest_without_buffers_can_still_send(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	int server, fd;
	char buf[8];

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	vs_start_with(&w, &o); /* and no buffer for packets to it */
	server = vs_server(&w, SERVICE, SOCK_STREAM);
	vs_op(&w, STREAM, REQUEST, GUEST, SERVICE, 0);
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	rw(&w, STREAM, "hello", 5, 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 5);
	assert_int_equal(write(fd, "back", 4), 4);
	vs_run(&w);
	assert_true(vs_stats(&w).starved > 0);
	/* RSTs for connections that do not exist pile up to a limit. */
	for (uint32_t i = 0; i < 300; i++)
		vs_op(&w, STREAM, RW, i, 9, 0);
	assert_int_equal(vs_stats(&w).dropped_resets, 300 - 256);
	vs_refill(&w);
	dr_wr(&w.r, 0x50, RX);
	vs_run(&w);
	for (int i = 0; i < 256; i++) {
		assert_int_equal(vs_next(&w), RST);
		vs_run(&w);
	}
	assert_int_equal(vs_next(&w), RESPONSE);
	assert_int_equal(vs_next(&w), RW);
	assert_memory_equal(w.data, "back", 4);
	(void)close(fd);
	(void)close(server);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void packets_keep_their_borders(void **state)
{
	static uint8_t big[5000], back[8192];
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_from_guest(&w, SEQPACKET);
	rw(&w, SEQPACKET, "one", 3, 1);
	rw(&w, SEQPACKET, "two", 3, 0); /* goes on */
	assert_int_equal(recv(fd, back, sizeof(back), MSG_DONTWAIT), 3);
	assert_int_equal(recv(fd, back, sizeof(back), MSG_DONTWAIT), -1);
	rw(&w, SEQPACKET, "-three", 6, 3);
	assert_int_equal(recv(fd, back, sizeof(back), MSG_DONTWAIT), 9);
	assert_memory_equal(back, "two-three", 9);
	rw(&w, SEQPACKET, NULL, 0, 1); /* none at all */
	rw(&w, SEQPACKET, "4", 1, 0);
	rw(&w, SEQPACKET, NULL, 0, 1); /* only the end of it */
	assert_int_equal(recv(fd, back, sizeof(back), MSG_DONTWAIT), 1);

	memset(big, 0x5a, sizeof(big));
	assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 4096 - 44);
	assert_int_equal(w.pkt.flags, 0);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 5000 - (4096 - 44));
	assert_int_equal(w.pkt.flags, 1);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 1);
	assert_int_equal(w.pkt.flags, 1);
	(void)close(fd);
	vs_stop(&w);
}

static void the_host_opens_packet_connections_too(void **state)
{
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_from_host(&w, true);
	assert_int_equal(send(fd, "abc", 3, 0), 3);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.type, SEQPACKET);
	assert_int_equal(w.pkt.flags, 1);
	(void)close(fd);
	vs_run(&w);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(w.pkt.flags, 3);
	vs_stop(&w);
}

static void a_packet_without_an_end_is_cut_off(void **state)
{
	static uint8_t block[4096];
	struct vworld w;
	int fd, op = 0;

	vs_start(&w);
	fd = open_from_guest(&w, SEQPACKET);
	for (int i = 0; i < 20 && op != RST; i++) {
		rw(&w, SEQPACKET, block, sizeof(block), 0);
		op = vs_next(&w);
	}
	assert_int_equal(op, RST);
	assert_int_equal(vs_stats(&w).violations, 1);
	(void)close(fd);
	/* The other way: a program's packet that is too long. */
	fd = open_from_guest(&w, SEQPACKET);
	{
		static uint8_t huge[VMM_VIRTIO_VSOCK_BUFFER + 1];

		assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
	}
	vs_run(&w);
	assert_int_equal(vs_next(&w), RST);
	(void)close(fd);
	vs_stop(&w);
}

/* A slow reader of packets: they queue, in order and whole. */
static void queued_packets_keep_their_borders(void **state)
{
	static uint8_t block[3000], back[4096];
	uint32_t sent = 0, got = 0, bytes = 0, told = 0;
	struct vworld w;
	int fd, small = 4096;
	ssize_t n;

	vs_start(&w);
	fd = open_from_guest(&w, SEQPACKET);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (vs_stats(&w).violations == 0 && got < 200) {
		uint32_t len = 1 + sent * 37 % sizeof(block);

		if (bytes - told + len <= VMM_VIRTIO_VSOCK_BUFFER && sent < 200) {
			memset(block, (int)sent, len);
			rw(&w, SEQPACKET, block, len, 1);
			bytes += len;
			sent++;
		} else {
			n = recv(fd, back, sizeof(back), MSG_DONTWAIT);
			assert_int_equal(n, 1 + got * 37 % sizeof(block));
			assert_int_equal(back[0], (uint8_t)got);
			assert_int_equal(back[n - 1], (uint8_t)got);
			got++;
			vs_run(&w);
		}
		while (vs_next(&w))
			told = w.pkt.fwd_cnt;
	}
	assert_int_equal(got, 200);
	(void)close(fd);
	vs_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_connects_and_talks),
		cmocka_unit_test(the_host_connects_and_talks),
		cmocka_unit_test(the_first_line_may_come_in_pieces_and_with_data),
		cmocka_unit_test(bad_first_lines_are_refused),
		cmocka_unit_test(a_guest_that_refuses_closes_the_program),
		cmocka_unit_test(nobody_there_is_answered_with_rst),
		cmocka_unit_test(packets_without_the_feature_are_refused),
		cmocka_unit_test(malformed_packets_are_dropped),
		cmocka_unit_test(a_packet_may_be_cut_anywhere),
		cmocka_unit_test(buffers_too_small_for_a_packet_come_back),
		cmocka_unit_test(a_second_request_or_a_stray_response_ends_it),
		cmocka_unit_test(data_before_the_answer_ends_it),
		cmocka_unit_test(a_guest_beyond_its_credit_is_cut_off),
		cmocka_unit_test(a_slow_program_gets_every_byte),
		cmocka_unit_test(credit_is_told_when_asked_for),
		cmocka_unit_test(the_guest_gets_no_more_than_it_has_room_for),
		cmocka_unit_test(credit_that_cannot_be_is_ignored),
		cmocka_unit_test(a_guest_without_buffers_can_still_send),
		cmocka_unit_test(packets_keep_their_borders),
		cmocka_unit_test(the_host_opens_packet_connections_too),
		cmocka_unit_test(a_packet_without_an_end_is_cut_off),
		cmocka_unit_test(queued_packets_keep_their_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

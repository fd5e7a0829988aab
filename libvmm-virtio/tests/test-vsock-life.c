/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How connections end, and what bounds them. */
#include "virtio-test.h"

#include <sys/resource.h>

#include "vsock-rig.h"

#define SERVICE 1234u
#define GUEST 5000u

static int server_at(struct vworld *w)
{
	return vs_server(w, SERVICE, SOCK_STREAM);
}

static int open_at(struct vworld *w, int server, uint32_t guest_port)
{
	int fd;

	vs_op(w, STREAM, REQUEST, guest_port, SERVICE, 0);
	assert_int_equal(vs_next(w), RESPONSE);
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static int open_one(struct vworld *w)
{
	int server = server_at(w), fd = open_at(w, server, GUEST);

	(void)close(server);
	vs_remove(w, SERVICE);
	return fd;
}

static void start_with_timeout(struct vworld *w, uint32_t ms, uint32_t max)
{
	struct vmm_virtio_vsock_opts o;

	memset(w, 0, sizeof(*w));
	dr_init(&w->r, 32);
	vs_opts(w, &o);
	o.timeout_ms = ms;
	o.connections_max = max;
	vs_start_with(w, &o);
	vs_refill(w);
}

static void wait_and_run(struct vworld *w, int ms)
{
	struct pollfd p = { vmm_virtio_vsock_get_fd(w->v), POLLIN, 0 };

	/* Until something happens: the descriptor says so. */
	assert_int_equal(poll(&p, 1, ms), 1);
	vs_run(w);
}

static void a_program_that_closes_tells_the_guest_both_ways(void **state)
{
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	assert_int_equal(write(fd, "last words", 10), 10);
	(void)close(fd);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 10);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(w.pkt.flags, 3);
	vs_op(&w, STREAM, RST, GUEST, SERVICE, 0);
	assert_int_equal(vs_stats(&w).connections, 0);
	assert_int_equal(vs_next(&w), 0);
	vs_stop(&w);
}

static void half_a_close_leaves_the_other_half(void **state)
{
	struct vworld w;
	struct pkt p;
	char buf[8];
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	vs_run(&w);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(w.pkt.flags, 2);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	vs_send(&w, &p, "more", 4);
	assert_int_equal(read(fd, buf, sizeof(buf)), 4);
	(void)close(fd);
	vs_run(&w);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(w.pkt.flags, 3);
	vs_stop(&w);
}

static void the_guests_end_of_stream_comes_behind_its_data(void **state)
{
	struct vworld w;
	struct pkt p;
	char buf[8];
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	vs_send(&w, &p, "bye", 3);
	vs_op(&w, STREAM, SHUTDOWN, GUEST, SERVICE, 2);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_int_equal(read(fd, buf, sizeof(buf)), 0);
	assert_int_equal(write(fd, "answer", 6), 6);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 6);
	/* Bits once set stay; together they end it. */
	vs_op(&w, STREAM, SHUTDOWN, GUEST, SERVICE, 1);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(vs_stats(&w).connections, 0);
	(void)close(fd);
	vs_stop(&w);
}

static void a_guest_that_receives_no_more_is_sent_no_more(void **state)
{
	struct vworld w;
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	vs_op(&w, STREAM, SHUTDOWN, GUEST, SERVICE, 1);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	vs_run(&w);
	assert_int_equal(vs_next(&w), 0);
	assert_int_equal(vs_stats(&w).connections, 1);
	(void)close(fd);
	vs_stop(&w);
}

static void data_behind_the_end_of_stream_is_a_violation(void **state)
{
	struct vworld w;
	struct pkt p;
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	vs_op(&w, STREAM, SHUTDOWN, GUEST, SERVICE, 2);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	vs_send(&w, &p, "zombie", 6);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(vs_stats(&w).violations, 1);
	(void)close(fd);
	vs_stop(&w);
}

/* A program that answered and left while the guest still talks: the answer arrives. */
static void an_answer_is_not_lost_when_its_program_is_gone(void **state)
{
	struct vworld w;
	struct pkt p;
	int fd;

	vs_start(&w);
	fd = open_one(&w);
	p = vs_pkt(&w, STREAM, CREDIT_UPDATE, GUEST, SERVICE);
	p.buf_alloc = 0;
	vs_send(&w, &p, NULL, 0);
	assert_int_equal(write(fd, "answer", 6), 6);
	(void)close(fd);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	p.buf_alloc = 0;
	vs_send(&w, &p, "still talking", 13);
	vs_send(&w, &p, "and on", 6);
	p.op = CREDIT_UPDATE;
	p.buf_alloc = 100;
	vs_send(&w, &p, NULL, 0);
	do {
		assert_int_not_equal(vs_next(&w), 0);
		assert_int_not_equal(w.pkt.op, RST);
	} while (w.pkt.op != RW);
	assert_memory_equal(w.data, "answer", 6);
	vs_run(&w);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(w.pkt.flags, 3);
	vs_stop(&w);
}

static void who_does_not_answer_in_time_is_dropped(void **state)
{
	struct vworld w;
	int mute, asking, closing;
	char c;

	start_with_timeout(&w, 200, 0);
	/* A program that says nothing, one whom the guest does not answer, and a guest
	 * that does not confirm an end. */
	mute = vs_socket(w.path, SOCK_STREAM, false);
	asking = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(asking, "CONNECT 80\n", 11), 11);
	closing = open_one(&w);
	assert_int_equal(vs_next(&w), REQUEST);
	(void)close(closing);
	vs_run(&w);
	assert_int_equal(vs_next(&w), SHUTDOWN);
	assert_int_equal(vs_stats(&w).connections, 3);
	while (vs_stats(&w).timeouts < 3)
		wait_and_run(&w, 5000);
	assert_int_equal(read(mute, &c, 1), 0);
	assert_int_equal(read(asking, &c, 1), 0);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(vs_next(&w), 0);
	assert_int_equal(vs_stats(&w).connections, 0);
	(void)close(mute);
	(void)close(asking);
	vs_stop(&w);
}

/* The guest has said all, the program does not read: it has its time, not more. */
static void what_a_program_does_not_take_in_time_is_lost(void **state)
{
	static uint8_t block[4096];
	struct vworld w;
	struct pkt p;
	int fd;

	start_with_timeout(&w, 200, 0);
	fd = open_one(&w);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	while (vs_stats(&w).from_guest_bytes < 3u << 20) {
		uint64_t before = vs_stats(&w).from_guest_bytes;

		vs_send(&w, &p, block, sizeof(block));
		/* Stop when the socket is full and the buffer begins to fill. */
		while (vs_next(&w))
			w.fwd_cnt = w.pkt.fwd_cnt;
		vs_op(&w, STREAM, CREDIT_REQUEST, GUEST, SERVICE, 0);
		assert_int_equal(vs_next(&w), CREDIT_UPDATE);
		if (w.pkt.fwd_cnt != (uint32_t)before + 4096)
			break;
		w.fwd_cnt = 0;
	}
	w.fwd_cnt = 0;
	vs_op(&w, STREAM, SHUTDOWN, GUEST, SERVICE, 3);
	assert_int_equal(vs_next(&w), 0);
	while (vs_stats(&w).timeouts == 0)
		wait_and_run(&w, 5000);
	assert_int_equal(vs_next(&w), RST);
	(void)close(fd);
	vs_stop(&w);
}

static void connections_are_limited(void **state)
{
	struct vworld w;
	int server, fds[4], waiting;

	start_with_timeout(&w, 0, 4);
	server = server_at(&w);
	for (uint32_t i = 0; i < 4; i++)
		fds[i] = open_at(&w, server, GUEST + i);
	vs_op(&w, STREAM, REQUEST, GUEST + 4, SERVICE, 0);
	assert_int_equal(vs_next(&w), RST);
	assert_int_equal(vs_stats(&w).refused, 1);
	/* A program waits in the backlog, and nothing spins meanwhile. */
	waiting = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(waiting, "CONNECT 80\n", 11), 11);
	vs_run(&w);
	assert_int_equal(vs_next(&w), 0);
	{
		struct pollfd p = { vmm_virtio_vsock_get_fd(w.v), POLLIN, 0 };

		assert_int_equal(poll(&p, 1, 0), 0);
	}
	vs_op(&w, STREAM, RST, GUEST, SERVICE, 0);
	vs_run(&w);
	assert_int_equal(vs_next(&w), REQUEST);
	for (uint32_t i = 0; i < 4; i++)
		(void)close(fds[i]);
	(void)close(server);
	(void)close(waiting);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void silent_programs_are_limited(void **state)
{
	enum { MANY = VMM_VIRTIO_VSOCK_HALF_OPEN_MAX + 20 };
	struct vworld w;
	int fds[MANY], server, fd;

	vs_start(&w);
	for (int i = 0; i < MANY; i++)
		fds[i] = vs_socket(w.path, SOCK_STREAM, false);
	for (int i = 0; i < 20; i++)
		vs_run(&w);
	assert_int_equal(vs_stats(&w).connections, VMM_VIRTIO_VSOCK_HALF_OPEN_MAX);
	/* The guest is not in their way, nor they in its. */
	server = server_at(&w);
	fd = open_at(&w, server, GUEST);
	for (int i = 0; i < MANY; i++)
		(void)close(fds[i]);
	for (int i = 0; i < 20; i++)
		vs_run(&w);
	assert_int_equal(vs_stats(&w).connections, 1);
	(void)close(fd);
	(void)close(server);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void many_connections_have_their_turn(void **state)
{
	enum { MANY = 40, EACH = 20000 };
	uint32_t got[MANY] = { 0 }, done = 0;
	static uint8_t block[EACH];
	int server, fds[MANY];
	struct vworld w;

	vs_start(&w);
	server = server_at(&w);
	for (uint32_t i = 0; i < MANY; i++)
		fds[i] = open_at(&w, server, GUEST + i);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(write(fds[i], block, EACH), EACH);
	vs_run(&w);
	while (done < MANY) {
		int op = vs_next(&w);

		if (op == RW) {
			uint32_t i = w.pkt.dst_port - GUEST;

			got[i] += w.pkt.len;
			done += got[i] == EACH;
			/* Nobody is two packets ahead of anybody. */
			for (uint32_t k = 0; k < MANY; k++)
				assert_true(got[k] + 3 * 4096 > got[i]);
		}
		vs_run(&w);
	}
	for (uint32_t i = 0; i < MANY; i++)
		(void)close(fds[i]);
	(void)close(server);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void a_program_that_does_not_read_slows_nobody(void **state)
{
	static uint8_t block[4096];
	struct vworld w;
	struct pkt slow, fast;
	int server, deaf, fd;
	char buf[8];

	vs_start(&w);
	server = server_at(&w);
	deaf = open_at(&w, server, GUEST);
	fd = open_at(&w, server, GUEST + 1);
	slow = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	fast = vs_pkt(&w, STREAM, RW, GUEST + 1, SERVICE);
	/* Until its socket and its buffer are full. */
	for (uint32_t told = 0, sent = 0;;) {
		if (sent - told + sizeof(block) > VMM_VIRTIO_VSOCK_BUFFER)
			break;
		vs_send(&w, &slow, block, sizeof(block));
		sent += (uint32_t)sizeof(block);
		while (vs_next(&w))
			told = w.pkt.fwd_cnt;
	}
	for (int i = 0; i < 100; i++) {
		vs_send(&w, &fast, "ping", 4);
		assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 4);
		assert_int_equal(write(fd, "pong", 4), 4);
		vs_run(&w);
		assert_int_equal(vs_next(&w), RW);
		assert_int_equal(w.pkt.dst_port, GUEST + 1);
	}
	assert_int_equal(vs_stats(&w).connections, 2);
	(void)close(deaf);
	(void)close(fd);
	(void)close(server);
	vs_remove(&w, SERVICE);
	vs_stop(&w);
}

static void a_host_without_descriptors_comes_back(void **state)
{
	struct rlimit old, tight;
	struct vworld w;
	int fd, probe;

	vs_start(&w);
	fd = vs_socket(w.path, SOCK_STREAM, false);
	assert_int_equal(write(fd, "CONNECT 80\n", 11), 11);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	probe = dup(fd);
	(void)close(probe);
	tight = old;
	tight.rlim_cur = (rlim_t)probe;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	vs_run(&w);
	assert_int_equal(vs_stats(&w).connections, 0);
	vs_op(&w, STREAM, REQUEST, GUEST, SERVICE, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(vs_next(&w), RST);
	while (vs_stats(&w).connections == 0)
		wait_and_run(&w, 5000);
	assert_int_equal(vs_next(&w), REQUEST);
	(void)close(fd);
	vs_stop(&w);
}

static int my_end = -1;

static int on_connect(void *ctx, uint32_t port, uint32_t type)
{
	int fds[2];

	if (port != 99)
		return -ECONNREFUSED;
	if (socketpair(AF_UNIX, type == 1 ? SOCK_STREAM : SOCK_SEQPACKET, 0, fds) < 0)
		return -errno;
	my_end = fds[1];
	return fds[0];
}

static void connections_may_be_made_by_the_vmm(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	struct pkt p;
	char buf[8];

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	o.path = NULL;
	o.seqpacket_path = NULL;
	o.connect = on_connect;
	vs_start_with(&w, &o);
	vs_refill(&w);
	vs_op(&w, STREAM, REQUEST, GUEST, 98, 0);
	assert_int_equal(vs_next(&w), RST);
	vs_op(&w, STREAM, REQUEST, GUEST, 99, 0);
	assert_int_equal(vs_next(&w), RESPONSE);
	p = vs_pkt(&w, STREAM, RW, GUEST, 99);
	vs_send(&w, &p, "hi", 2);
	assert_int_equal(read(my_end, buf, sizeof(buf)), 2);
	(void)close(my_end);
	vs_stop(&w);
}

static int one_for_all[2];

static int on_connect_shared(void *ctx, uint32_t port, uint32_t type)
{
	return dup(one_for_all[0]);
}

/* Enough for buckets with several in them. */
static void connections_are_told_apart_by_all_their_ports(void **state)
{
	enum { MANY = 300 };
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	char c;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	o.connect = on_connect_shared;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, one_for_all), 0);
	vs_start_with(&w, &o);
	vs_refill(&w);
	for (uint32_t i = 0; i < MANY; i++) {
		vs_op(&w, STREAM, REQUEST, GUEST + i, SERVICE + i % 3, 0);
		assert_int_equal(vs_next(&w), RESPONSE);
		assert_int_equal(w.pkt.dst_port, GUEST + i);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		struct pkt p = vs_pkt(&w, STREAM, RW, GUEST + i, SERVICE + i % 3);
		char name = (char)i;

		vs_send(&w, &p, &name, 1);
		assert_int_equal(read(one_for_all[1], &c, 1), 1);
		assert_int_equal(c, name);
		/* The same with one port changed is another one, which is not there. */
		vs_op(&w, STREAM, RW, GUEST + i, SERVICE + (i + 1) % 3, 0);
		assert_int_equal(vs_next(&w), RST);
		vs_op(&w, SEQPACKET, RW, GUEST + i, SERVICE + i % 3, 0);
		assert_int_equal(vs_next(&w), RST);
	}
	for (uint32_t k = 0; k < MANY; k++) {
		uint32_t i = k * 7 % MANY;

		vs_op(&w, STREAM, RST, GUEST + i, SERVICE + i % 3, 0);
		assert_int_equal(vs_stats(&w).connections, MANY - 1 - k);
	}
	(void)close(one_for_all[0]);
	(void)close(one_for_all[1]);
	vs_stop(&w);
}

static void a_reset_ends_all_connections(void **state)
{
	struct vworld w;
	char c;
	int fd, waiting;

	vs_start(&w);
	fd = open_one(&w);
	waiting = vs_socket(w.path, SOCK_STREAM, false);
	vs_run(&w);
	assert_int_equal(write(fd, "in flight", 9), 9);
	dr_wr(&w.r, 0x70, 0);
	assert_int_equal(read(fd, &c, 1), -1);
	assert_int_equal(read(waiting, &c, 1), 0);
	assert_int_equal(vs_stats(&w).connections, 0);
	vs_run(&w);
	dr_climb(&w.r, 7, 1);
	vs_rx_reset(&w);
	vs_refill(&w);
	vs_run(&w);
	assert_int_equal(vs_next(&w), 0);
	(void)close(fd);
	(void)close(waiting);
	fd = open_one(&w);
	(void)close(fd);
	vs_stop(&w);
}

static void queues_are_reset_under_a_connection(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	struct pkt p;
	char buf[8];
	int fd;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), 0);
	dr_carry(&w.r, vmm_virtio_vsock_get_device(w.v));
	dr_climb(&w.r, 7, 1 | VMM_VIRTIO_F_RING_RESET);
	vs_rx_reset(&w);
	vs_refill(&w);
	fd = open_one(&w);
	dr_wr(&w.r, 0x30, RX);
	dr_wr(&w.r, 0xc0, 1);
	assert_int_equal(write(fd, "waits", 5), 5);
	vs_run(&w);
	dr_reset_queue(&w.r, RX);
	dr_reset_queue(&w.r, TX);
	vs_rx_reset(&w);
	vs_refill(&w);
	dr_wr(&w.r, 0x50, RX);
	vs_run(&w);
	assert_int_equal(vs_next(&w), RW);
	assert_int_equal(w.pkt.len, 5);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	vs_send(&w, &p, "on", 2);
	assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	(void)close(fd);
	vs_stop(&w);
}

static void packed_rings_carry_connections(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	static uint8_t block[3000];
	struct pkt p;
	int fd;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), 0);
	dr_carry(&w.r, vmm_virtio_vsock_get_device(w.v));
	dr_climb(&w.r, 7, 1 | PACKED);
	vs_rx_reset(&w);
	vs_refill(&w);
	fd = open_one(&w);
	p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);
	for (int i = 0; i < 40; i++) {
		vs_send(&w, &p, block, sizeof(block));
		assert_int_equal(recv(fd, block, sizeof(block), MSG_WAITALL), 3000);
		assert_int_equal(write(fd, block, 100), 100);
		vs_run(&w);
		do {
			assert_int_not_equal(vs_next(&w), 0);
		} while (w.pkt.op != RW);
		assert_int_equal(w.pkt.len, 100);
	}
	(void)close(fd);
	vs_stop(&w);
}

static void a_broken_ring_asks_for_a_reset(void **state)
{
	struct vworld w;

	for (uint32_t q = RX; q <= TX; q++) {
		vs_start(&w);
		vs_op(&w, STREAM, RW, GUEST, SERVICE, 0);
		mock_raw_avail_idx(&w.r.q[q], 1000);
		dr_wr(&w.r, 0x50, q);
		vs_run(&w);
		/* Those that were seen before are used up first. */
		for (uint32_t i = 0; q == RX && i < RX_BUFFERS; i++)
			vs_op(&w, STREAM, RW, GUEST, SERVICE, 0);
		assert_int_equal(dr_rd(&w.r, 0x70), 0x4f);
		vs_stop(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_closes_tells_the_guest_both_ways),
		cmocka_unit_test(half_a_close_leaves_the_other_half),
		cmocka_unit_test(the_guests_end_of_stream_comes_behind_its_data),
		cmocka_unit_test(a_guest_that_receives_no_more_is_sent_no_more),
		cmocka_unit_test(data_behind_the_end_of_stream_is_a_violation),
		cmocka_unit_test(an_answer_is_not_lost_when_its_program_is_gone),
		cmocka_unit_test(who_does_not_answer_in_time_is_dropped),
		cmocka_unit_test(what_a_program_does_not_take_in_time_is_lost),
		cmocka_unit_test(connections_are_limited),
		cmocka_unit_test(silent_programs_are_limited),
		cmocka_unit_test(many_connections_have_their_turn),
		cmocka_unit_test(a_program_that_does_not_read_slows_nobody),
		cmocka_unit_test(a_host_without_descriptors_comes_back),
		cmocka_unit_test(connections_may_be_made_by_the_vmm),
		cmocka_unit_test(connections_are_told_apart_by_all_their_ports),
		cmocka_unit_test(a_reset_ends_all_connections),
		cmocka_unit_test(queues_are_reset_under_a_connection),
		cmocka_unit_test(packed_rings_carry_connections),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

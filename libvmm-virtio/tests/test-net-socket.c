/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The network device over sockets: framing, torn frames, peers that misbehave or go. */
#include "virtio-test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net-rig.h"

#define BASIC (NF_MAC | NF_STATUS | NF_CTRL | NF_MRG)
#define HEADER VMM_VIRTIO_NET_HEADER_LEN
#define FRAME_MAX VMM_VIRTIO_NET_FRAME_MAX

static uint8_t got[HEADER + FRAME_MAX];
static uint8_t want[FRAME_MAX];
static uint8_t wire[4 + FRAME_MAX];

/* A device on one end of a pair of sockets of @p type; returns the other end. */
static int start(struct net_rig *r, uint32_t kind, int type)
{
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	/* Less than a frame, so that a stream takes parts. */
	int fds[2], room = 16000;

	net_rig_init(r);
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(
		    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	opts.kind = kind;
	opts.fds = fds;
	opts.closed = rig_closed;
	opts.closed_ctx = r;
	opts.queue_max = NET_NUM;
	rig_attach(r, &opts);
	assert_int_equal(rig_climb(r, BASIC & ~NF_MAC), 0xf);
	(void)rig_loop(r, 0);
	r->recvs = (uint32_t)fds[0];
	return fds[1];
}

static void stop(struct net_rig *r, int peer)
{
	int fd = (int)r->recvs;

	net_rig_stop(r);
	assert_int_equal(close(fd), 0);
	if (peer >= 0)
		assert_int_equal(close(peer), 0);
}

static void expect_frame(struct net_rig *r, uint32_t len, uint8_t seed)
{
	assert_int_equal(rig_take(r, 0, got), HEADER + len);
	net_fill_frame(want, len, seed);
	assert_memory_equal(got + HEADER, want, len);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(got[i], 0);
}

static uint32_t encode(uint8_t *to, uint32_t len, uint8_t seed)
{
	uint32_t be = htonl(len);

	memcpy(to, &be, 4);
	net_fill_frame(to + 4, len, seed);
	return 4 + len;
}

static void send_all(int fd, const uint8_t *data, uint32_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

static void datagrams_are_frames(void **state)
{
	static const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		int peer = start(&r, VMM_VIRTIO_NET_DATAGRAM, types[i]);

		rig_transmit(&r, 0, NULL, 1514);
		assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 1514);
		net_fill_frame(want, 1514, (uint8_t)1514);
		assert_memory_equal(got, want, 1514);
		rig_give_buffers(&r, 0, 40, 2048);
		net_fill_frame(wire, 9000, 3);
		send_all(peer, wire, 9000);
		send_all(peer, wire, 5);
		if (types[i] == SOCK_DGRAM)
			send_all(peer, wire, 0);
		net_fill_frame(wire, 60, 4);
		send_all(peer, wire, 60);
		(void)rig_loop(&r, 0);
		expect_frame(&r, 9000, 3);
		expect_frame(&r, 60, 4);
		assert_int_equal(rig_stats(&r).rx_dropped, 1);
		stop(&r, peer);
	}
}

static void an_oversize_datagram_is_dropped(void **state)
{
	static uint8_t huge[FRAME_MAX + 100];
	struct net_rig r;
	int peer = start(&r, VMM_VIRTIO_NET_DATAGRAM, SOCK_DGRAM);

	rig_give_buffers(&r, 0, 40, 2048);
	send_all(peer, huge, FRAME_MAX + 1);
	send_all(peer, huge, sizeof(huge));
	net_fill_frame(wire, FRAME_MAX, 3);
	send_all(peer, wire, FRAME_MAX);
	(void)rig_loop(&r, 0);
	expect_frame(&r, FRAME_MAX, 3);
	assert_int_equal(rig_stats(&r).rx_dropped, 2);
	stop(&r, peer);
}

/* A peer that does not listen fills up; the driver's frames wait, and none is lost. */
static void a_full_socket_holds_the_driver_up(void **state)
{
	static const struct {
		uint32_t kind;
		int type;
	} kinds[] = { { VMM_VIRTIO_NET_DATAGRAM, SOCK_DGRAM },
		      { VMM_VIRTIO_NET_DATAGRAM, SOCK_SEQPACKET },
		      { VMM_VIRTIO_NET_STREAM, SOCK_STREAM } };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(kinds); i++) {
		int peer = start(&r, kinds[i].kind, kinds[i].type), ret;
		uint32_t given = 0, taken = 0, id, len, per;
		uint64_t bytes = 0;

		while (given < 50) {
			rig_transmit(&r, 0, NULL, 20000);
			given++;
		}
		assert_false(rig_is_readable(&r, 0));
		assert_true(rig_stats(&r).tx_blocked > 0);
		per = 20000 + (kinds[i].kind == VMM_VIRTIO_NET_STREAM ? 4 : 0);
		for (int turn = 0; turn < 10000 && bytes < given * per; turn++) {
			ret = (int)recv(peer, got, sizeof(got), MSG_DONTWAIT);
			if (ret > 0)
				bytes += (uint32_t)ret;
			(void)rig_loop(&r, 0);
		}
		assert_int_equal(bytes, given * per);
		while (mock_get_used(&r.q[1], &id, &len) == 0)
			taken++;
		assert_int_equal(taken, given);
		assert_int_equal(rig_stats(&r).tx_frames, given);
		stop(&r, peer);
	}
}

static void a_stream_carries_frames_behind_their_length(void **state)
{
	struct net_rig r;
	int peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM);
	uint32_t n = 0;

	rig_transmit(&r, 0, NULL, 100);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 168);
	n = encode(wire, 100, 100);
	n += encode(wire + n, 60, 60);
	assert_memory_equal(got, wire, n);
	rig_give_buffers(&r, 0, 55, 1526);
	n = encode(wire, 1514, 1);
	n += encode(wire + n, 14, 2);
	n += encode(wire + n, 9000, 3);
	n += encode(wire + n, 60, 4);
	send_all(peer, wire, n);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 1514, 1);
	expect_frame(&r, 14, 2);
	expect_frame(&r, 9000, 3);
	expect_frame(&r, 60, 4);
	n = encode(wire, FRAME_MAX, 5);
	for (uint32_t at = 0; at < n;) {
		ssize_t ret = send(peer, wire + at, n - at, MSG_DONTWAIT);

		if (ret > 0)
			at += (uint32_t)ret;
		(void)rig_loop(&r, 0);
	}
	expect_frame(&r, FRAME_MAX, 5);
	stop(&r, peer);
}

/* In pieces of any size, over the borders of frames and lengths. */
static void a_stream_may_be_torn_anywhere(void **state)
{
	static const uint32_t steps[] = { 1, 2, 3, 5, 7, 17, 63, 64, 65, 100, 1000 };
	static uint8_t all[4000];
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(steps); i++) {
		int peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM);
		uint32_t n = 0;

		rig_give_buffers(&r, 0, 10, 500);
		n = encode(all, 60, 1);
		n += encode(all + n, 14, 2);
		n += encode(all + n, 3, 9);
		n += encode(all + n, 0, 9);
		n += encode(all + n, 1514, 3);
		n += encode(all + n, 61, 4);
		for (uint32_t at = 0; at < n; at += steps[i]) {
			send_all(peer, all + at, n - at < steps[i] ? n - at : steps[i]);
			(void)rig_loop(&r, 0);
		}
		expect_frame(&r, 60, 1);
		expect_frame(&r, 14, 2);
		expect_frame(&r, 1514, 3);
		expect_frame(&r, 61, 4);
		assert_int_equal(rig_stats(&r).rx_dropped, 1);
		stop(&r, peer);
	}
}

/* A part of a frame is taken, and the driver resets: the stream stays in step. */
static void a_reset_does_not_tear_the_stream(void **state)
{
	struct net_rig r;
	int peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM), ret;
	uint32_t n = encode(wire, 1000, 1), frames = 0, at = 0, have = 0;
	static uint8_t all[8 << 20];

	rig_give_buffers(&r, 0, 4, 1526);
	send_all(peer, wire, 500);
	(void)rig_loop(&r, 0);
	for (int i = 0; i < 50; i++)
		rig_transmit(&r, 0, NULL, 30001);
	assert_int_equal(rig_climb(&r, BASIC & ~NF_MAC), 0xf);
	rig_give_buffers(&r, 0, 4, 1526);
	send_all(peer, wire + 500, n - 500);
	send_all(peer, wire, encode(wire, 60, 2));
	(void)rig_loop(&r, 0);
	expect_frame(&r, 1000, 1);
	expect_frame(&r, 60, 2);
	/* What goes out is whole frames as well. */
	rig_transmit(&r, 0, NULL, 77);
	while ((ret = (int)recv(peer, all + have, sizeof(all) - have, MSG_DONTWAIT)) >
		   0 ||
	       rig_loop(&r, 0) > 0)
		have += ret > 0 ? (uint32_t)ret : 0;
	for (; at < have; frames++) {
		uint32_t be;

		memcpy(&be, all + at, 4);
		at += 4 + ntohl(be);
	}
	assert_int_equal(at, have);
	assert_memory_equal(all + have - 81, "\0\0\0\x4d", 4);
	assert_true(frames > 1);
	stop(&r, peer);
}

/* A length that no frame has: there is no way back into step. */
static void a_peer_that_breaks_the_framing_is_left(void **state)
{
	static const uint32_t lens[] = { FRAME_MAX + 1, 0x7fffffff, 0xffffffff };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(lens); i++) {
		int peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM);
		uint32_t be = htonl(lens[i]);

		rig_give_buffers(&r, 0, 4, 1526);
		memcpy(wire, &be, 4);
		send_all(peer, wire, 4000);
		(void)rig_loop(&r, 0);
		assert_int_equal(r.closed_n, 1);
		assert_int_equal(r.closed_code, -EBADMSG);
		assert_false(rig_is_readable(&r, 0));
		send_all(peer, wire, 4000);
		assert_false(rig_is_readable(&r, 0));
		rig_transmit(&r, 0, NULL, 60);
		assert_int_equal(rig_stats(&r).tx_dropped, 1);
		assert_int_equal(rig_take(&r, 0, got), -EAGAIN);
		stop(&r, peer);
	}
}

static void a_peer_that_goes_is_told_once_and_replaced(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	int fds[2], old;
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		uint32_t kind = types[i] == SOCK_STREAM ? VMM_VIRTIO_NET_STREAM
							: VMM_VIRTIO_NET_DATAGRAM;
		int peer = start(&r, kind, types[i]);

		rig_give_buffers(&r, 0, 4, 1526);
		send_all(peer, wire, types[i] == SOCK_STREAM ? 2 : 60);
		assert_int_equal(close(peer), 0);
		assert_in_range(rig_loop(&r, 0), 1, 3);
		assert_int_equal(r.closed_n, 1);
		assert_int_equal(r.closed_code, -EPIPE);
		assert_false(rig_is_readable(&r, 0));
		rig_transmit(&r, 0, NULL, 60);
		assert_int_equal(rig_stats(&r).tx_dropped, 1);

		assert_int_equal(socketpair(AF_UNIX, types[i], 0, fds), 0);
		old = (int)r.recvs;
		assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, fds[0]), 0);
		assert_int_equal(close(old), 0);
		r.recvs = (uint32_t)fds[0];
		while (rig_take(&r, 0, got) >= 0)
			;
		if (types[i] == SOCK_STREAM) {
			send_all(fds[1], wire, encode(wire, 60, 8));
		} else {
			net_fill_frame(wire, 60, 8);
			send_all(fds[1], wire, 60);
		}
		rig_transmit(&r, 0, NULL, 60);
		(void)rig_loop(&r, 0);
		expect_frame(&r, 60, 8);
		assert_true(recv(fds[1], got, sizeof(got), MSG_DONTWAIT) >= 60);
		stop(&r, fds[1]);
	}
}

/* Found gone while sending, and with a part of a frame left to send. */
static void a_peer_that_goes_while_we_send_is_harmless(void **state)
{
	struct net_rig r;
	int peer;

	for (int parts = 0; parts < 2; parts++) {
		peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM);
		for (int i = 0; parts && i < 40; i++)
			rig_transmit(&r, 0, NULL, 30001);
		assert_int_equal(close(peer), 0);
		rig_transmit(&r, 0, NULL, 60);
		(void)rig_loop(&r, 0);
		assert_int_equal(r.closed_n, 1);
		assert_int_equal(r.closed_code, -EPIPE);
		stop(&r, -1);
	}
}

/* A datagram peer may come back under its name: frames are lost meanwhile. */
static void a_datagram_peer_that_goes_loses_frames(void **state)
{
	struct net_rig r;
	int peer = start(&r, VMM_VIRTIO_NET_DATAGRAM, SOCK_DGRAM);

	rig_give_buffers(&r, 0, 4, 1526);
	assert_int_equal(close(peer), 0);
	for (int i = 0; i < 5; i++)
		rig_transmit(&r, 0, NULL, 60);
	assert_in_range(rig_loop(&r, 0), 0, 2);
	assert_int_equal(rig_stats(&r).tx_dropped, 5);
	stop(&r, -1);
}

/* Descriptors that a peer passes along are not taken, and do not break the framing. */
static void passed_descriptors_are_not_taken(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct net_rig r;
	int peer = start(&r, VMM_VIRTIO_NET_STREAM, SOCK_STREAM), before, after;
	uint32_t n = encode(wire, 1000, 1);

	rig_give_buffers(&r, 0, 4, 1526);
	before = dup(0);
	assert_int_equal(close(before), 0);
	for (uint32_t at = 0; at < n; at += 251) {
		struct iovec v = { wire + at, n - at < 251 ? n - at : 251 };
		struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &peer, sizeof(int));
		assert_int_equal(sendmsg(peer, &msg, 0), v.iov_len);
	}
	(void)rig_loop(&r, 0);
	expect_frame(&r, 1000, 1);
	after = dup(0);
	assert_int_equal(after, before);
	assert_int_equal(close(after), 0);
	stop(&r, peer);
}

static void a_socket_can_come_later(void **state)
{
	static const int none[1] = { -1 };
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct net_rig r;
	int fds[2];

	net_rig_init(&r);
	opts.kind = VMM_VIRTIO_NET_DATAGRAM;
	opts.fds = none;
	rig_attach(&r, &opts);
	assert_int_equal(rig_climb(&r, 0), 0xf);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(rig_stats(&r).tx_dropped, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, 9999), -EBADF);
	assert_int_equal(vmm_virtio_net_set_fd(r.net, 1, fds[0]), -EINVAL);
	assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, fds[0]), 0);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(rig_stats(&r).tx_frames, 1);
	assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, -1), 0);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(rig_stats(&r).tx_dropped, 2);
	net_rig_stop(&r);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

static void bad_descriptors_are_refused(void **state)
{
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net *net = NULL;
	int file[1] = { memfd_create("file", MFD_CLOEXEC) }, bad[1] = { 9999 };
	struct vmm_error err;

	opts.kind = VMM_VIRTIO_NET_STREAM;
	opts.fds = bad;
	assert_int_equal(vmm_virtio_net_new(&opts, &net, &err), -EBADF);
	opts.fds = file;
	/* A file is always ready, so nobody can wait for it. */
	assert_int_equal(vmm_virtio_net_new(&opts, &net, &err), -EPERM);
	opts.kind = VMM_VIRTIO_NET_TAP;
	assert_int_equal(vmm_virtio_net_new(&opts, &net, &err), -ENOTTY);
	assert_int_equal(err.code, -ENOTTY);
	assert_null(net);
	assert_int_equal(close(file[0]), 0);
}

static void expect_no_connection(const char *path, int code)
{
	struct vmm_error err = { 0 };
	int fd = -77, next = dup(0), again;

	errno = 99;
	assert_int_equal(vmm_virtio_net_connect_stream(path, &fd, &err), code);
	assert_int_equal(errno, 99);
	assert_int_equal(err.code, code);
	assert_int_equal(fd, -77);
	if (*path)
		assert_memory_equal(err.message, path, strnlen(path, 160));
	close(next);
	again = dup(0);
	assert_int_equal(again, next);
	close(again);
}

/* A program that listens, as passt does, or does not. */
static void a_socket_is_connected_to_or_said_to_be_none(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char longest[sizeof(address.sun_path) + 1];
	int fd, s, peer, waiting[64], n = 0;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	expect_no_connection(longest, -E2BIG);
	longest[sizeof(longest) - 2] = '\0';
	expect_no_connection(longest, -ENOENT);
	expect_no_connection("", -EINVAL);
	expect_no_connection("/dev/null", -ECONNREFUSED);

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/tmp/vmm-net-%ld.socket", (long)getpid());
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_no_connection(address.sun_path, -EPROTOTYPE);
	close(s);
	expect_no_connection(address.sun_path, -ECONNREFUSED);
	assert_int_equal(unlink(address.sun_path), 0);

	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_no_connection(address.sun_path, -ECONNREFUSED);
	assert_int_equal(listen(s, 1), 0);
	assert_int_equal(vmm_virtio_net_connect_stream(address.sun_path, &fd, NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	peer = accept(s, NULL, NULL);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	assert_int_equal(recv(peer, got, sizeof(got), 0), 5);
	close(peer);
	close(fd);
	/* Nobody accepts: at some time no more fit, and that is said at once. */
	while (n < 64 &&
	       vmm_virtio_net_connect_stream(address.sun_path, &waiting[n], NULL) == 0)
		n++;
	assert_in_range(n, 1, 63);
	expect_no_connection(address.sun_path, -EAGAIN);
	while (n > 0)
		close(waiting[--n]);
	close(s);
	assert_int_equal(unlink(address.sun_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_are_frames),
		cmocka_unit_test(an_oversize_datagram_is_dropped),
		cmocka_unit_test(a_full_socket_holds_the_driver_up),
		cmocka_unit_test(a_stream_carries_frames_behind_their_length),
		cmocka_unit_test(a_stream_may_be_torn_anywhere),
		cmocka_unit_test(a_reset_does_not_tear_the_stream),
		cmocka_unit_test(a_peer_that_breaks_the_framing_is_left),
		cmocka_unit_test(a_peer_that_goes_is_told_once_and_replaced),
		cmocka_unit_test(a_peer_that_goes_while_we_send_is_harmless),
		cmocka_unit_test(a_datagram_peer_that_goes_loses_frames),
		cmocka_unit_test(passed_descriptors_are_not_taken),
		cmocka_unit_test(a_socket_can_come_later),
		cmocka_unit_test(bad_descriptors_are_refused),
		cmocka_unit_test(a_socket_is_connected_to_or_said_to_be_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

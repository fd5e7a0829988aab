/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The network device on threads of its own: no wake-up is lost, and a reset is safe while
 * frames are on their way. */
#include "virtio-test.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "busy-rig.h"
#include "device-state.h"
#include "net-rig.h"

#define BASIC (NF_STATUS | NF_CTRL | NF_MRG)

enum { FRAMES = 20000, RESETS = 300 };

struct worker {
	struct net_rig *r;
	uint32_t pair;
	int stop;
	pthread_t thread;
};

static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct pollfd p = { vmm_virtio_net_get_fd(w->r->net, w->pair), POLLIN, 0 };

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (poll(&p, 1, 100) == 1)
			vmm_virtio_net_run(w->r->net, w->pair);
	}
	return NULL;
}

static void *echo(void *ctx)
{
	int fd = *(int *)ctx;
	uint8_t frame[2048];
	ssize_t n;

	while ((n = recv(fd, frame, sizeof(frame), 0)) > 1)
		assert_int_equal(send(fd, frame, (size_t)n, 0), n);
	return NULL;
}

static void start(struct net_rig *r, uint64_t features, int fds[2], struct worker *w)
{
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;

	net_rig_init(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	opts.kind = VMM_VIRTIO_NET_DATAGRAM;
	opts.fds = fds;
	opts.queue_max = NET_NUM;
	opts.features |= PACKED;
	rig_attach(r, &opts);
	assert_int_equal(rig_climb(r, features), 0xf);
	w->r = r;
	w->pair = 0;
	w->stop = 0;
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static void stop(struct net_rig *r, int fds[2], struct worker *w)
{
	__atomic_store_n(&w->stop, 1, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	net_rig_stop(r);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

/* The driver only notifies when it is asked to, so that one that is not asked for stops
 * everything. The frames go round through a peer. */
static void no_wake_up_is_lost(void **state)
{
	static const uint64_t features[] = { BASIC, BASIC | EV, BASIC | PACKED };
	static const struct mock_seg out = { MOCK_BUFFERS, 72, false };
	struct mock_seg in = { MOCK_BUFFERS + 0x1000, 512, true };
	int fds[2];

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		uint32_t sent = 0, back = 0, id, len, idle = 0;
		struct worker w;
		struct net_rig r;
		pthread_t peer;

		start(&r, features[i], fds, &w);
		assert_int_equal(pthread_create(&peer, NULL, echo, &fds[1]), 0);
		while (back < FRAMES && idle < 20000000) {
			bool moved = false;

			while (mock_get_used(&r.q[0], &id, &len) == 0) {
				back += len > 0;
				moved = true;
			}
			while (mock_add(&r.q[0], &in, 1, false) >= 0)
				moved = true;
			if (mock_should_kick(&r.q[0]))
				nwr(&r, 0x50, 0);
			while (mock_get_used(&r.q[1], &id, &len) == 0)
				moved = true;
			while (sent < FRAMES && sent - back < 40 &&
			       mock_add(&r.q[1], &out, 1, false) >= 0) {
				sent++;
				moved = true;
			}
			if (mock_should_kick(&r.q[1]))
				nwr(&r, 0x50, 1);
			idle = moved ? 0 : idle + 1;
		}
		assert_int_equal(back, FRAMES);
		assert_int_equal(send(fds[0], "", 1, 0), 1);
		assert_int_equal(pthread_join(peer, NULL), 0);
		stop(&r, fds, &w);
	}
}

/* HG-32: the driver takes its queues away again and again, in the middle of traffic, and
 * the VMM changes link and socket. */
static void a_reset_in_the_middle_of_traffic_is_safe(void **state)
{
	static const struct mock_seg out = { MOCK_BUFFERS, 72, false };
	static const struct mock_seg in = { MOCK_BUFFERS + 0x1000, 512, true };
	struct worker w;
	struct net_rig r;
	pthread_t peer;
	int fds[2];

	start(&r, BASIC, fds, &w);
	assert_int_equal(pthread_create(&peer, NULL, echo, &fds[1]), 0);
	for (uint32_t i = 0; i < RESETS; i++) {
		for (uint32_t k = 0; k < 30; k++) {
			(void)mock_add(&r.q[0], &in, 1, false);
			(void)mock_add(&r.q[1], &out, 1, false);
		}
		nwr(&r, 0x50, 0);
		nwr(&r, 0x50, 1);
		if (i % 3 == 0)
			assert_int_equal(vmm_virtio_net_set_link(r.net, r.t, i % 2), 0);
		if (i % 5 == 0)
			assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, fds[0]), 0);
		if (i % 7 == 0)
			assert_true(rig_stats(&r).ctrl_ok == 0);
		assert_int_equal(rig_climb(&r, BASIC), 0xf);
	}
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
	/* The peer may be behind, whether it sent something back or not. */
	while (send(fds[0], "", 1, 0) != 1)
		(void)!recv(fds[0], r.sent[0].bytes, 2048, MSG_DONTWAIT);
	assert_int_equal(pthread_join(peer, NULL), 0);
	stop(&r, fds, &w);
}

/* The same with threads of the device, and a VMM that stops and starts it. */
static void a_device_runs_itself_and_can_be_paused(void **state)
{
	static const struct mock_seg out = { MOCK_BUFFERS, 72, false };
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net_stats stats = { .size = sizeof(stats) };
	int fds[4], mine[2];
	uint32_t id, len, sent = 0;
	struct net_rig r;

	net_rig_init(&r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds + 2), 0);
	mine[0] = fds[0];
	mine[1] = fds[2];
	opts.kind = VMM_VIRTIO_NET_DATAGRAM;
	opts.fds = mine;
	opts.pair_n = 2;
	opts.threads = 2;
	opts.queue_max = NET_NUM;
	rig_attach(&r, &opts);
	assert_int_equal(rig_climb(&r, BASIC | NF_MQ), 0xf);
	for (int i = 0; i < 50; i++) {
		bool paused = i % 5 == 4;

		if (paused)
			net_pause(r.net);
		assert_true(mock_add(&r.q[1], &out, 1, false) >= 0);
		nwr(&r, 0x50, 1);
		if (paused) {
			assert_int_equal(mock_get_used(&r.q[1], &id, &len), -EAGAIN);
			vmm_virtio_net_get_stats(r.net, &stats);
			assert_int_equal(stats.tx_frames, sent);
			assert_int_equal(vmm_virtio_mmio_set_mem(r.mmio, r.m->mem), 0);
			net_resume(r.net);
		}
		assert_int_equal(recv(fds[1], r.sent[0].bytes, 2048, 0), 60);
		while (mock_get_used(&r.q[1], &id, &len) < 0)
			;
		sent++;
	}
	net_rig_stop(&r);
	opts.threads = 3;
	assert_int_equal(vmm_virtio_net_new(&opts, &r.net, NULL), -EINVAL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(close(fds[i]), 0);
}

struct busy_net {
	struct net_rig r;
	struct busy b;
};

/* What comes back of a queue goes in again at once. */
static void refill(struct net_rig *r, uint32_t queue, const struct mock_seg *seg)
{
	uint32_t id, len;

	while (mock_get_used(&r->q[queue], &id, &len) == 0)
		net_must(mock_add(&r->q[queue], seg, 1, false) >= 0, "room");
}

static const struct mock_seg busy_out = { MOCK_BUFFERS, 72, false };
static const struct mock_seg busy_in = { MOCK_BUFFERS + 0x1000, 2048, true };

static int64_t endless_send(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct busy_net *w = ctx;

	refill(&w->r, 1, &busy_out);
	busy_request(&w->b);
	return 60;
}

static int64_t endless_recv(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct busy_net *w = ctx;

	refill(&w->r, 0, &busy_in);
	busy_request(&w->b);
	return 60;
}

static void busy_net_start(void *ctx)
{
	struct busy_net *w = ctx;

	assert_int_equal(rig_climb(&w->r, BASIC), 0xf);
	for (int i = 0; i < 48; i++) {
		assert_true(mock_add(&w->r.q[0], &busy_in, 1, false) >= 0);
		assert_true(mock_add(&w->r.q[1], &busy_out, 1, false) >= 0);
	}
}

static void busy_net_stats(void *ctx)
{
	(void)rig_stats(&((struct busy_net *)ctx)->r);
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const struct vmm_virtio_net_backend backend = {
		.size = sizeof(backend),
		.send = endless_send,
		.recv = endless_recv,
	};
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct busy_net w = {
		.b = { .start = busy_net_start, .get_stats = busy_net_stats, .ctx = &w }
	};
	struct vmm_virtio_net_stats stats;

	net_rig_init(&w.r);
	opts.backend = &backend;
	opts.backend_ctx = &w;
	opts.queue_max = NET_NUM;
	opts.threads = 1;
	rig_attach(&w.r, &opts);
	w.b.mmio = w.r.mmio;
	busy_check(&w.b);
	stats = rig_stats(&w.r);
	assert_true(stats.tx_frames > 0 && stats.rx_frames > 0);
	net_rig_stop(&w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(a_reset_in_the_middle_of_traffic_is_safe),
		cmocka_unit_test(a_device_runs_itself_and_can_be_paused),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

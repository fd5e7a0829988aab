/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The socket device itself: options, descriptors, states, its thread. */
#include "virtio-test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "busy-rig.h"
#include "device-state.h"
#include "vsock-rig.h"

#define SERVICE 1234u
#define GUEST 5000u

static int event_buffer(struct vworld *w)
{
	int head = dr_add(&w->r, EVENT, NULL, 0, 8);

	dr_wr(&w->r, 0x50, EVENT);
	return head;
}

static void a_restored_driver_is_told_that_all_is_gone(void **state)
{
	struct vsock_state s = { .version = DEVICE_STATE_VERSION };
	struct vmm_virtio_vsock_opts o;
	struct vworld w;

	vs_start(&w);
	vsock_get_state(w.v, &s);
	assert_int_equal(s.cid, GUEST_CID);
	assert_int_equal(s.resetting, 0);
	assert_int_equal(vsock_set_state(w.v, &s), -EBUSY);
	dr_stop(&w.r);
	vmm_virtio_vsock_free(w.v);

	vs_opts(&w, &o);
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), 0);
	assert_int_equal(vsock_set_state(w.v, &s), 0);
	dr_carry(&w.r, vmm_virtio_vsock_get_device(w.v));
	dr_climb(&w.r, 7, 1);
	vs_rx_reset(&w);
	vs_refill(&w);
	vs_run(&w);
	/* Nothing else works until the driver has taken it in. */
	{
		struct pkt p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);

		assert_true(vs_send_raw(&w, &p, NULL, 0) >= 0);
	}
	vs_run(&w);
	assert_int_equal(dr_used(&w.r, TX), -EAGAIN);
	vsock_get_state(w.v, &s);
	assert_int_equal(s.resetting, 1);
	/* A buffer too small for an event is of no use. */
	assert_true(dr_add(&w.r, EVENT, NULL, 0, 3) >= 0);
	memset(dr_answer(&w.r, EVENT), 0xff, 8);
	assert_true(event_buffer(&w) >= 0);
	vs_run(&w);
	assert_int_equal(dr_used(&w.r, EVENT), 0);
	assert_int_equal(dr_used(&w.r, EVENT), 4);
	assert_int_equal(*(uint32_t *)dr_answer(&w.r, EVENT), 0);
	assert_int_equal(dr_used(&w.r, TX), -EAGAIN);
	assert_true(event_buffer(&w) >= 0);
	vs_run(&w);
	assert_int_equal(dr_used(&w.r, EVENT), -EAGAIN);
	assert_int_equal(dr_used(&w.r, TX), 0);
	assert_int_equal(vs_next(&w), RST);
	vs_stop(&w);
}

static void a_corrupt_socket_state_is_refused(void **state)
{
	static const struct vsock_state good = { 1, 0, 3 };
	struct vsock_state s = good;
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), 0);
	s.version = 2;
	assert_int_equal(vsock_set_state(w.v, &s), -EBADMSG);
	s = good;
	s.resetting = 2;
	assert_int_equal(vsock_set_state(w.v, &s), -EBADMSG);
	s = good;
	s.cid = 2;
	assert_int_equal(vsock_set_state(w.v, &s), -EBADMSG);
	s.cid = UINT32_MAX;
	assert_int_equal(vsock_set_state(w.v, &s), -EBADMSG);
	assert_int_equal(vsock_set_state(w.v, &good), 0);
	vs_stop(&w);
}

static void bad_socket_options_are_refused(void **state)
{
	static const char too_long[] =
	    "/tmp/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct vmm_virtio_vsock_opts good, o;
	struct vmm_virtio_vsock *v = NULL;
	struct vmm_error err = { 0 };
	struct vworld w = { 0 };
	int fd;

	vs_opts(&w, &good);
	good.seqpacket_path = NULL;
	for (uint32_t i = 0; i < 8; i++) {
		o = good;
		o.cid = i == 0 ? 2 : i == 1 ? UINT32_MAX : o.cid;
		o.path = i == 2 ? NULL : i == 3 ? "" : o.path;
		o.connections_max = i == 4 ? 1024 : 0;
		o.buffer = i == 5 ? 4095 : i == 6 ? (1u << 20) + 1 : 0;
		o.queue_max = i == 7 ? 32769 : 0;
		assert_int_equal(vmm_virtio_vsock_new(&o, &v, &err), -EINVAL);
	}
	o = good;
	o.path = too_long;
	assert_int_equal(vmm_virtio_vsock_new(&o, &v, &err), -E2BIG);
	o = good;
	o.seqpacket_path = too_long;
	assert_int_equal(vmm_virtio_vsock_new(&o, &v, &err), -E2BIG);
	o.size = 0;
	assert_int_equal(vmm_virtio_vsock_new(&o, &v, &err), -EINVAL);
	/* What is there already is not ours to replace, or to remove. */
	fd = vs_socket(good.path, SOCK_STREAM, true);
	assert_int_equal(vmm_virtio_vsock_new(&good, &v, &err), -EADDRINUSE);
	assert_int_equal(access(good.path, F_OK), 0);
	(void)close(fd);
	/* But what nobody listens to any more. */
	assert_int_equal(access(good.path, F_OK), 0);
	assert_int_equal(vmm_virtio_vsock_new(&good, &v, &err), 0);
	fd = vs_socket(good.path, SOCK_STREAM, false);
	assert_true(fd >= 0);
	(void)close(fd);
	vmm_virtio_vsock_free(v);
	v = NULL;
	assert_int_equal(access(good.path, F_OK), -1);
	fd = open(good.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(vmm_virtio_vsock_new(&good, &v, &err), -EADDRINUSE);
	assert_int_equal(unlink(good.path), 0);
	o = good;
	o.seqpacket_path = "/tmp/no-such-directory-here/socket";
	assert_int_equal(vmm_virtio_vsock_new(&o, &v, &err), -ENOENT);
	assert_int_equal(access(good.path, F_OK), -1);
	assert_null(v);
	vmm_virtio_vsock_free(NULL);
}

/* No descriptor is left behind, whichever of them could not be had. */
static void a_lack_of_descriptors_leaves_nothing(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vmm_virtio_vsock *v = NULL;
	struct rlimit old, tight;
	struct vworld w = { 0 };
	int first = dup(0), n, ret = -1;

	(void)close(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (n = 0; ret != 0; n++) {
		vs_opts(&w, &o);
		tight = old;
		tight.rlim_cur = (rlim_t)(first + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
		ret = vmm_virtio_vsock_new(&o, &v, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(ret == 0 || ret == -EMFILE);
		if (ret < 0) {
			int again = dup(0);

			assert_int_equal(again, first);
			(void)close(again);
			assert_int_equal(access(w.path, F_OK), -1);
		}
	}
	assert_true(n >= 9);
	vmm_virtio_vsock_free(v);
}

/* The device's own thread, with programs and the guest on others. */
struct talker {
	const char *path;
	uint32_t bytes;
};

static void *talk(void *ctx)
{
	struct talker *t = ctx;
	int fd = vs_socket(t->path, SOCK_STREAM, false);
	static const char hello[] = "CONNECT 80\n";
	char buf[512];
	ssize_t n;

	dr_must(write(fd, hello, sizeof(hello) - 1) == sizeof(hello) - 1);
	n = read(fd, buf, sizeof(buf));
	dr_must(n > 3 && memcmp(buf, "OK ", 3) == 0);
	for (uint32_t i = 0; i < 100; i++) {
		memset(buf, (int)i, sizeof(buf));
		dr_must(write(fd, buf, sizeof(buf)) == sizeof(buf));
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		t->bytes += (uint32_t)n;
	(void)close(fd);
	return NULL;
}

/* The guest: sends each packet of data back, and confirms ends. */
static void echo(struct vworld *w, uint32_t *ended)
{
	int op = vs_next(w);
	struct pkt p = { 0 };
	uint32_t len = 0;

	if (op == 0)
		return;
	p = vs_pkt(w, STREAM, 0, w->pkt.dst_port, w->pkt.src_port);
	if (op == REQUEST)
		p.op = RESPONSE;
	if (op == RW) {
		p.op = RW;
		/* All that arrived so far is taken: the count is the talkers' bytes. */
		len = w->pkt.len;
		p.buf_alloc = 1u << 30;
	}
	if (op == SHUTDOWN) {
		p.op = RST;
		++*ended;
	}
	if (p.op == 0)
		return;
	p.len = len;
	/* There is one place for packets: wait until this one was taken. */
	dr_must(vs_send_raw(w, &p, w->data, len) >= 0);
	while (dr_used(&w->r, TX) < 0)
		(void)usleep(10);
}

static void a_thread_serves_many_at_once(void **state)
{
	enum { TALKERS = 4 };
	struct vmm_virtio_vsock_opts o;
	struct talker t[TALKERS];
	pthread_t threads[TALKERS];
	struct vworld w = { 0 };
	uint32_t sent = 0, ended = 0;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	o.no_thread = false;
	vs_start_with(&w, &o);
	vs_refill(&w);
	dr_wr(&w.r, 0x50, RX);
	for (int i = 0; i < TALKERS; i++) {
		t[i] = (struct talker){ w.path, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, talk, &t[i]), 0);
	}
	/* Each gets 51200 bytes back; then the guest ends it. */
	while (sent < TALKERS * 51200) {
		echo(&w, &ended);
		sent = (uint32_t)vs_stats(&w).from_guest_bytes;
		if (sent % 7 == 0) {
			vsock_pause(w.v);
			vsock_resume(w.v);
		}
	}
	vsock_pause(w.v);
	/* A reset while the device is paused, and its programs are waiting. */
	dr_wr(&w.r, 0x70, 0);
	vsock_resume(w.v);
	for (int i = 0; i < TALKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < TALKERS; i++)
		assert_true(t[i].bytes <= 51200);
	assert_int_equal(vs_stats(&w).connections, 0);
	vs_stop(&w);
}

static void doorbells_are_descriptors(void **state)
{
	struct vworld w;
	struct pollfd poll_fd = { -1, POLLIN, 0 };
	uint64_t one = 1;

	vs_start(&w);
	poll_fd.fd = vmm_virtio_vsock_get_fd(w.v);
	assert_int_equal(vmm_virtio_vsock_get_doorbell(w.v, 3), -1);
	{
		struct pkt p = vs_pkt(&w, STREAM, RW, GUEST, SERVICE);

		vs_run(&w);
		memcpy(mock_at(w.r.m, DR_BUFFER(TX)), &p, 44);
		assert_true(dr_add(&w.r, TX, &p, 44, 0) >= 0);
	}
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	assert_int_equal(write(vmm_virtio_vsock_get_doorbell(w.v, TX), &one, 8), 8);
	assert_int_equal(poll(&poll_fd, 1, 0), 1);
	vsock_pause(w.v);
	vs_run(&w);
	assert_int_equal(dr_used(&w.r, TX), -EAGAIN);
	vsock_resume(w.v);
	vs_run(&w);
	assert_int_equal(dr_used(&w.r, TX), 0);
	vs_stop(&w);
}

struct busy_vsock {
	struct vworld w;
	struct busy b;
	struct pkt request;
};

/* The guest asks and is refused, for ever. */
static int endless_connect(void *ctx, uint32_t port, uint32_t type)
{
	struct busy_vsock *v = ctx;

	while (dr_used(&v->w.r, TX) >= 0)
		(void)dr_add(&v->w.r, TX, &v->request, 44, 0);
	while (dr_used(&v->w.r, RX) >= 0)
		(void)dr_add(&v->w.r, RX, NULL, 0, 64);
	busy_request(&v->b);
	return -ECONNREFUSED;
}

static void busy_vsock_start(void *ctx)
{
	struct busy_vsock *v = ctx;

	dr_climb(&v->w.r, 7, F_SEQ | 1);
	for (int i = 0; i < 24; i++) {
		assert_true(dr_add(&v->w.r, TX, &v->request, 44, 0) >= 0);
		assert_true(dr_add(&v->w.r, RX, NULL, 0, 64) >= 0);
	}
}

static void busy_vsock_stats(void *ctx)
{
	(void)vs_stats(&((struct busy_vsock *)ctx)->w);
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	struct busy_vsock v = { .b = { .start = busy_vsock_start,
				       .get_stats = busy_vsock_stats,
				       .ctx = &v } };
	struct vmm_virtio_vsock_opts o;

	dr_init(&v.w.r, 32);
	vs_opts(&v.w, &o);
	o.connect = endless_connect;
	o.ctx = &v;
	o.no_thread = false;
	vs_start_with(&v.w, &o);
	v.request = vs_pkt(&v.w, STREAM, REQUEST, GUEST, SERVICE);
	v.b.mmio = v.w.r.mmio;
	busy_check(&v.b);
	assert_true(vs_stats(&v.w).to_guest_packets >= BUSY_ROUNDS);
	vs_stop(&v.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restored_driver_is_told_that_all_is_gone),
		cmocka_unit_test(a_corrupt_socket_state_is_refused),
		cmocka_unit_test(bad_socket_options_are_refused),
		cmocka_unit_test(a_lack_of_descriptors_leaves_nothing),
		cmocka_unit_test(a_thread_serves_many_at_once),
		cmocka_unit_test(doorbells_are_descriptors),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Persistent memory behind its registers, with the mock driver in front. */
#include "virtio-test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vmm/virtio-pmem.h>

#include "busy-rig.h"
#include "device-rig.h"
#include "device-state.h"
#include "worker.h"

#define GPA UINT64_C(0x100000000)
#define LEN UINT64_C(0x200000)

struct world {
	struct devrig r;
	struct vmm_virtio_pmem *p;
	struct vmm_virtio_rate *rate;
	uint64_t now;
	int flushes, result;
	/* A flush that takes until it is let go. */
	bool slow;
	int in_flush, let_go;
};

static int on_flush(void *ctx)
{
	struct world *w = ctx;

	w->flushes++;
	if (w->slow) {
		__atomic_store_n(&w->in_flush, 1, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&w->let_go, __ATOMIC_SEQ_CST))
			(void)usleep(100);
	}
	return w->result;
}

static uint64_t on_now(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static struct vmm_virtio_pmem_opts opts_of(struct world *w)
{
	struct vmm_virtio_pmem_opts o = VMM_VIRTIO_PMEM_OPTS_INIT;

	o.gpa = GPA;
	o.len = LEN;
	o.flush = on_flush;
	o.ctx = w;
	o.no_thread = true;
	o.features |= VMM_VIRTIO_PMEM_F_SHMEM_REGION | VMM_VIRTIO_F_RING_RESET;
	return o;
}

static void start_with(struct world *w, const struct vmm_virtio_pmem_opts *o)
{
	dr_init(&w->r, 16);
	assert_int_equal(vmm_virtio_pmem_new(o, &w->p, NULL), 0);
	dr_carry(&w->r, vmm_virtio_pmem_get_device(w->p));
	assert_int_equal(dr_rd(&w->r, 0x08), 27);
	dr_climb(&w->r, 1, 0);
}

static void start(struct world *w)
{
	struct vmm_virtio_pmem_opts o;

	memset(w, 0, sizeof(*w));
	o = opts_of(w);
	start_with(w, &o);
}

static void stop(struct world *w)
{
	dr_stop(&w->r);
	vmm_virtio_pmem_free(w->p);
	vmm_virtio_rate_free(w->rate);
	dr_fini(&w->r);
}

static struct vmm_virtio_pmem_stats stats(struct world *w)
{
	struct vmm_virtio_pmem_stats s = { .size = sizeof(s) };

	vmm_virtio_pmem_get_stats(w->p, &s);
	return s;
}

static void add(struct world *w, const void *type, uint32_t in, uint32_t out)
{
	memset(dr_answer(&w->r, 0), 0xee, 16);
	assert_true(dr_add(&w->r, 0, type, in, out) >= 0);
	dr_wr(&w->r, 0x50, 0);
}

static uint32_t result(struct world *w)
{
	uint32_t value;

	memcpy(&value, dr_answer(&w->r, 0), 4);
	return value;
}

static const uint32_t flush_type;

static void the_range_is_told_twice(void **state)
{
	struct world w;

	start(&w);
	assert_int_equal(dr_config64(&w.r, 0), GPA);
	assert_int_equal(dr_config64(&w.r, 8), LEN);
	dr_wr(&w.r, 0xac, 0);
	assert_int_equal(dr_rd(&w.r, 0xb0), LEN);
	assert_int_equal(dr_rd(&w.r, 0xb8), 0);
	assert_int_equal(dr_rd(&w.r, 0xbc), 1);
	dr_wr(&w.r, 0x100, 1);
	assert_int_equal(dr_config64(&w.r, 0), GPA);
	stop(&w);
}

static void a_flush_is_answered_when_it_is_done(void **state)
{
	struct world w;

	start(&w);
	add(&w, &flush_type, 4, 4);
	assert_int_equal(w.flushes, 0);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 0);
	assert_int_equal(w.flushes, 1);
	assert_int_equal(w.r.irqs, 1);
	stop(&w);
}

static void those_who_wait_together_share_a_flush(void **state)
{
	struct world w;

	start(&w);
	for (int i = 0; i < 8; i++)
		add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	for (int i = 0; i < 8; i++)
		assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(w.flushes, 1);
	assert_int_equal(stats(&w).requests, 8);
	assert_int_equal(stats(&w).flushes, 1);
	stop(&w);
}

static void once_failed_is_failed_for_ever(void **state)
{
	struct world w;

	start(&w);
	w.result = -EIO;
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 1);
	w.result = 0;
	dr_climb(&w.r, 1, 0);
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 1);
	assert_int_equal(w.flushes, 1);
	assert_int_equal(stats(&w).errors, 1);
	stop(&w);
}

static void bad_requests_are_errors(void **state)
{
	static const struct mock_seg hole = { MOCK_HOLE, 4, true };
	static const struct mock_seg cut[] = {
		{ MOCK_BUFFERS, 1, false },	    { MOCK_BUFFERS + 1, 3, false },
		{ MOCK_BUFFERS + 0x8000, 1, true }, { MOCK_BUFFERS + 0x8001, 0, true },
		{ MOCK_BUFFERS + 0x8001, 2, true }, { MOCK_BUFFERS + 0x8003, 9, true },
	};
	static const uint32_t unknown = 1;
	struct world w;

	start(&w);
	add(&w, &unknown, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 1);
	add(&w, &flush_type, 3, 4); /* cut short */
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 1);
	add(&w, &flush_type, 4, 3); /* no room to answer */
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 0);
	add(&w, &flush_type, 4, 0);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 0);
	assert_int_equal(stats(&w).bad_requests, 4);
	assert_true(mock_add(&w.r.q[0], &hole, 1, false) >= 0);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 0);
	assert_int_equal(w.flushes, 0);
	/* In pieces it is fine. */
	memset(mock_at(w.r.m, MOCK_BUFFERS), 0, 4);
	memset(dr_answer(&w.r, 0), 0xee, 16);
	assert_true(mock_add(&w.r.q[0], cut, 6, false) >= 0);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(result(&w), 0);
	assert_int_equal(((uint8_t *)dr_answer(&w.r, 0))[4], 0xee);
	mock_raw_avail_idx(&w.r.q[0], 1000);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_rd(&w.r, 0x70), 0x4f);
	stop(&w);
}

static void flushes_are_limited(void **state)
{
	struct vmm_virtio_rate_config limit = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct world w = { 0 };
	struct vmm_virtio_pmem_opts o = opts_of(&w);
	struct pollfd fd = { -1, POLLIN, 0 };

	limit.ops_per_s = 1000;
	limit.ops_burst = 1;
	limit.now = on_now;
	limit.now_ctx = &w;
	assert_int_equal(vmm_virtio_rate_new(&limit, &w.rate, NULL), 0);
	o.rate = w.rate;
	start_with(&w, &o);
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	for (int i = 0; i < 3; i++)
		add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), -EAGAIN);
	assert_int_equal(stats(&w).throttled, 1);
	w.now += 1000000;
	/* The device has set itself a timer. */
	fd.fd = vmm_virtio_pmem_get_fd(w.p);
	assert_int_equal(poll(&fd, 1, 5000), 1);
	vmm_virtio_pmem_run(w.p);
	for (int i = 0; i < 3; i++)
		assert_int_equal(dr_used(&w.r, 0), 4);
	assert_int_equal(w.flushes, 2);
	stop(&w);
}

static void a_file_is_flushed_by_a_thread(void **state)
{
	struct world w = { 0 };
	struct vmm_virtio_pmem_opts o = opts_of(&w);
	uint64_t one = 1;
	int fd = memfd_create("pmem", MFD_CLOEXEC);

	assert_true(fd >= 0);
	o.flush = NULL;
	o.fd = fd;
	o.no_thread = false;
	start_with(&w, &o);
	add(&w, &flush_type, 4, 4);
	assert_int_equal(write(vmm_virtio_pmem_get_doorbell(w.p), &one, 8), 8);
	while (dr_used(&w.r, 0) == -EAGAIN)
		(void)usleep(100);
	assert_int_equal(result(&w), 0);
	/* What cannot be flushed is an error. */
	pmem_pause(w.p);
	(void)close(fd);
	pmem_resume(w.p);
	add(&w, &flush_type, 4, 4);
	while (dr_used(&w.r, 0) == -EAGAIN)
		(void)usleep(100);
	assert_int_equal(result(&w), 1);
	stop(&w);
}

static void *resetter(void *ctx)
{
	dr_wr(&((struct world *)ctx)->r, 0x70, 0);
	return NULL;
}

static void a_reset_waits_for_a_flush_under_way(void **state)
{
	struct world w = { .slow = true };
	struct vmm_virtio_pmem_opts o = opts_of(&w);
	pthread_t thread;

	o.no_thread = false;
	start_with(&w, &o);
	add(&w, &flush_type, 4, 4);
	while (!__atomic_load_n(&w.in_flush, __ATOMIC_SEQ_CST))
		(void)usleep(100);
	assert_int_equal(pthread_create(&thread, NULL, resetter, &w), 0);
	(void)usleep(10000);
	__atomic_store_n(&w.let_go, 1, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.flushes, 1);
	dr_climb(&w.r, 1, 0);
	add(&w, &flush_type, 4, 4);
	while (dr_used(&w.r, 0) == -EAGAIN)
		(void)usleep(100);
	assert_int_equal(result(&w), 0);
	stop(&w);
}

static void a_paused_device_leaves_requests_in_the_ring(void **state)
{
	struct world w;

	start(&w);
	pmem_pause(w.p);
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), -EAGAIN);
	pmem_resume(w.p);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	dr_wr(&w.r, 0x70, 0);
	vmm_virtio_pmem_run(w.p);
	stop(&w);
}

static void the_queue_is_reset_alone(void **state)
{
	struct world w;

	start(&w);
	dr_climb(&w.r, 1, VMM_VIRTIO_F_RING_RESET);
	add(&w, &flush_type, 4, 4);
	dr_wr(&w.r, 0xc0, 1);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(w.flushes, 0);
	dr_reset_queue(&w.r, 0);
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(dr_used(&w.r, 0), 4);
	stop(&w);
}

static void a_saved_pmem_goes_on(void **state)
{
	struct pmem_state s = { .version = DEVICE_STATE_VERSION }, bad;
	struct vmm_virtio_pmem_opts o;
	struct world w;

	start(&w);
	w.result = -EIO;
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	pmem_get_state(w.p, &s);
	assert_int_equal(s.lost, 1);
	assert_int_equal(pmem_set_state(w.p, &s), -EBUSY);
	stop(&w);

	memset(&w, 0, sizeof(w));
	o = opts_of(&w);
	dr_init(&w.r, 16);
	assert_int_equal(vmm_virtio_pmem_new(&o, &w.p, NULL), 0);
	for (int i = 0; i < 4; i++) {
		bad = s;
		bad.version += i == 0;
		bad.lost += i == 1;
		bad.gpa += i == 2 ? 4096 : 0;
		bad.len -= i == 3 ? 4096 : 0;
		assert_int_equal(pmem_set_state(w.p, &bad), -EBADMSG);
	}
	assert_int_equal(pmem_set_state(w.p, &s), 0);
	dr_carry(&w.r, vmm_virtio_pmem_get_device(w.p));
	dr_climb(&w.r, 1, 0);
	add(&w, &flush_type, 4, 4);
	vmm_virtio_pmem_run(w.p);
	assert_int_equal(result(&w), 1);
	stop(&w);
}

static void bad_pmem_options_are_refused(void **state)
{
	struct vmm_virtio_pmem *p = NULL;
	struct vmm_error err = { 0 };
	struct world w = { 0 };
	struct vmm_virtio_pmem_opts good = opts_of(&w), o;
	struct rlimit old, tight;
	int first = dup(0), n, ret = -1;

	(void)close(first);
	for (int i = 0; i < 6; i++) {
		o = good;
		o.gpa = i == 0 ? 1 : i == 1 ? UINT64_MAX - 4095 : GPA;
		o.len = i == 2 ? 0 : i == 3 ? 4097 : i == 1 ? 8192 : LEN;
		o.flush = i == 4 ? NULL : on_flush;
		o.queue_max = i == 5 ? 32769 : 0;
		assert_int_equal(vmm_virtio_pmem_new(&o, &p, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
	}
	o = good;
	o.size = 1;
	assert_int_equal(vmm_virtio_pmem_new(&o, &p, &err), -EINVAL);
	assert_null(p);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (n = 0; ret != 0; n++) {
		tight = old;
		tight.rlim_cur = (rlim_t)(first + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
		ret = vmm_virtio_pmem_new(&good, &p, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(ret == 0 || ret == -EMFILE);
	}
	assert_true(n >= 5);
	vmm_virtio_pmem_free(p);
	vmm_virtio_pmem_free(NULL);
}

struct busy_pmem {
	struct world w;
	struct busy b;
};

static int endless_flush(void *ctx)
{
	static const uint32_t flush;
	struct busy_pmem *p = ctx;

	/* Half of them are what is flushed now. */
	while (dr_used(&p->w.r, 0) >= 0)
		;
	for (int i = 0; i < 4; i++)
		(void)dr_add(&p->w.r, 0, &flush, 4, 4);
	bell_ring(vmm_virtio_pmem_get_doorbell(p->w.p));
	busy_request(&p->b);
	return 0;
}

static void busy_pmem_start(void *ctx)
{
	static const uint32_t flush;
	struct busy_pmem *p = ctx;

	dr_climb(&p->w.r, 1, 0);
	for (int i = 0; i < 4; i++)
		assert_true(dr_add(&p->w.r, 0, &flush, 4, 4) >= 0);
}

static void busy_pmem_stats(void *ctx)
{
	(void)stats(&((struct busy_pmem *)ctx)->w);
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	struct busy_pmem p = {
		.b = { .start = busy_pmem_start, .get_stats = busy_pmem_stats, .ctx = &p }
	};
	struct vmm_virtio_pmem_opts o = opts_of(&p.w);

	o.flush = endless_flush;
	o.ctx = &p;
	o.no_thread = false;
	start_with(&p.w, &o);
	p.b.mmio = p.w.r.mmio;
	busy_check(&p.b);
	stop(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_range_is_told_twice),
		cmocka_unit_test(a_flush_is_answered_when_it_is_done),
		cmocka_unit_test(those_who_wait_together_share_a_flush),
		cmocka_unit_test(once_failed_is_failed_for_ever),
		cmocka_unit_test(bad_requests_are_errors),
		cmocka_unit_test(flushes_are_limited),
		cmocka_unit_test(a_file_is_flushed_by_a_thread),
		cmocka_unit_test(a_reset_waits_for_a_flush_under_way),
		cmocka_unit_test(a_paused_device_leaves_requests_in_the_ring),
		cmocka_unit_test(the_queue_is_reset_alone),
		cmocka_unit_test(a_saved_pmem_goes_on),
		cmocka_unit_test(bad_pmem_options_are_refused),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

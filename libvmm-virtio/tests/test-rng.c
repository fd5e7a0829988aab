/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The entropy device behind its registers, with the mock driver in front. */
#include "virtio-test.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vmm/virtio-rng.h>

struct world {
	struct mock *m;
	struct vmm_virtio_rng *rng;
	struct vmm_virtio_mmio *mmio;
	int wakes, irqs;
	int64_t fill_result;
	uint64_t filled;
	bool own_source;
	struct vmm_virtio_rate *rate;
	uint64_t now, after;
};

static void on_wake(void *ctx)
{
	((struct world *)ctx)->wakes++;
}

static int64_t on_fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;

	if (w->fill_result < 0)
		return w->fill_result;
	if ((uint64_t)w->fill_result < len)
		len = (size_t)w->fill_result;
	memset(buf, 0xe7, len);
	w->filled += len;
	return (int64_t)len;
}

static void on_wake_after(void *ctx, uint64_t ns)
{
	((struct world *)ctx)->after = ns;
}

static uint64_t on_now(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static void on_irq(void *ctx, bool level)
{
	((struct world *)ctx)->irqs += level;
}

static void wr(struct world *w, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
}

static uint32_t rd(struct world *w, uint32_t reg)
{
	uint32_t value;

	vmm_virtio_mmio_read(w->mmio, reg, &value, 4);
	return value;
}

static void climb(struct world *w)
{
	wr(w, 0x70, 0);
	wr(w, 0x70, 1);
	wr(w, 0x70, 3);
	wr(w, 0x24, 1);
	wr(w, 0x20, 1);
	wr(w, 0x70, 0xb);
	wr(w, 0x38, 16);
	wr(w, 0x80, (uint32_t)MOCK_DESC);
	wr(w, 0x90, (uint32_t)MOCK_DRIVER);
	wr(w, 0xa0, (uint32_t)MOCK_DEVICE);
	wr(w, 0x44, 1);
	wr(w, 0x70, 0xf);
	assert_int_equal(rd(w, 0x70), 0xf);
}

static void start_with(struct world *w, bool own_source,
		       const struct vmm_virtio_rate_config *limit)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	w->fill_result = INT64_MAX;
	w->m = mock_new(16, 0);
	opts.wake = on_wake;
	opts.fill = own_source ? on_fill : NULL;
	opts.ctx = w;
	if (limit) {
		struct vmm_virtio_rate_config config = *limit;

		config.now = on_now;
		config.now_ctx = w;
		assert_int_equal(vmm_virtio_rate_new(&config, &w->rate, NULL), 0);
		opts.rate = w->rate;
		opts.wake_after = on_wake_after;
	}
	assert_int_equal(vmm_virtio_rng_new(&opts, &w->rng), 0);
	mopts.mem = w->m->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = w;
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_rng_get_device(w->rng),
					     &w->mmio, NULL),
			 0);
	assert_int_equal(rd(w, 0x08), 4);
	assert_int_equal(rd(w, 0x34), 64);
	climb(w);
	w->wakes = 0;
}

static void start(struct world *w, bool own_source)
{
	start_with(w, own_source, NULL);
}

static void stop(struct world *w)
{
	vmm_virtio_mmio_free(w->mmio);
	vmm_virtio_rng_free(w->rng);
	vmm_virtio_rate_free(w->rate);
	mock_free(w->m);
}

static uint32_t used_len(struct world *w)
{
	uint32_t id = 0, len = 0;

	assert_int_equal(mock_get_used(w->m, &id, &len), 0);
	return len;
}

static void buffers_are_filled_to_the_end(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_BUFFERS, 100, true },
						{ MOCK_SPLIT_AT - 10, 50, true } };
	struct world w;

	start(&w, true);
	assert_true(mock_add(w.m, segs, 2, false) >= 0);
	wr(&w, 0x50, 0);
	assert_int_equal(w.wakes, 1);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 150);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(w.m->ram[MOCK_BUFFERS + 99], 0xe7);
	assert_int_equal(w.m->ram[MOCK_BUFFERS + 100], 0);
	assert_int_equal(w.m->ram[MOCK_SPLIT_AT + 39], 0xe7);
	assert_int_equal(w.m->ram[MOCK_SPLIT_AT + 40], 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(w.irqs, 1);
	stop(&w);
}

static void the_kernel_is_the_default_source(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 4096, true };
	struct world w;
	uint32_t zeros = 0;

	start(&w, false);
	assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 4096);
	for (uint32_t i = 0; i < 4096; i++)
		zeros += w.m->ram[MOCK_BUFFERS + i] == 0;
	assert_true(zeros < 100);
	stop(&w);
}

/* Sixteen descriptors on the same megabyte ask for 16 MiB of work with 1 MiB. */
static void overlapping_buffers_do_not_inflate_a_request(void **state)
{
	struct mock_seg segs[16];
	struct world w;

	for (int i = 0; i < 16; i++)
		segs[i] = (struct mock_seg){ MOCK_BUFFERS, 0x100000, true };
	start(&w, true);
	assert_true(mock_add(w.m, segs, 16, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), VMM_VIRTIO_RNG_REQUEST_MAX);
	assert_int_equal(w.filled, VMM_VIRTIO_RNG_REQUEST_MAX);
	stop(&w);
}

static void readable_buffers_are_left_alone(void **state)
{
	static const struct mock_seg read_only = { MOCK_BUFFERS, 64, false };
	static const struct mock_seg both[] = { { MOCK_BUFFERS, 64, false },
						{ MOCK_BUFFERS + 64, 64, true } };
	struct world w;

	start(&w, true);
	assert_true(mock_add(w.m, &read_only, 1, false) >= 0);
	assert_true(mock_add(w.m, both, 2, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(used_len(&w), 64);
	assert_int_equal(w.m->ram[MOCK_BUFFERS + 63], 0);
	assert_int_equal(w.m->ram[MOCK_BUFFERS + 64], 0xe7);
	stop(&w);
}

static void a_source_that_fails_or_runs_dry_gives_what_it_has(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_BUFFERS, 64, true },
						{ MOCK_BUFFERS + 64, 64, true } };
	struct world w;

	start(&w, true);
	w.fill_result = -EIO;
	assert_true(mock_add(w.m, segs, 2, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 0);
	w.fill_result = 10;
	assert_true(mock_add(w.m, segs, 2, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 10);
	w.fill_result = 0;
	assert_true(mock_add(w.m, segs, 2, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 0);
	stop(&w);
}

static void malformed_chains_do_not_stop_the_device(void **state)
{
	static const struct mock_seg bad = { MOCK_HOLE, 64, true };
	static const struct mock_seg good = { MOCK_BUFFERS, 64, true };
	struct world w;

	start(&w, true);
	assert_true(mock_add(w.m, &bad, 1, false) >= 0);
	assert_true(mock_add(w.m, &good, 1, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(used_len(&w), 64);
	stop(&w);
}

static void a_broken_ring_asks_for_a_reset_once(void **state)
{
	struct world w;

	start(&w, true);
	mock_raw_avail_idx(w.m, 1000);
	for (int i = 0; i < 5; i++)
		vmm_virtio_rng_run(w.rng);
	assert_int_equal(rd(&w, 0x70), 0x4f);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(w.wakes, 0);
	mock_reset(w.m, 16, 0);
	climb(&w);
	stop(&w);
}

/* A driver that refills as fast as we work does not hold the thread. */
static int64_t refill(void *ctx, void *buf, size_t len)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 1, true };
	struct world *w = ctx;
	uint32_t id, used;

	w->filled++;
	(void)mock_get_used(w->m, &id, &used);
	(void)mock_add(w->m, &seg, 1, false);
	return (int64_t)len;
}

static void one_run_is_bounded_and_wakes_itself_for_the_rest(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 1, true };
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct world w = { .wakes = 0 };

	w.m = mock_new(16, 0);
	opts.wake = on_wake;
	opts.fill = refill;
	opts.ctx = &w;
	mopts.mem = w.m->mem;
	assert_int_equal(vmm_virtio_rng_new(&opts, &w.rng), 0);
	assert_int_equal(
	    vmm_virtio_mmio_new(&mopts, vmm_virtio_rng_get_device(w.rng), &w.mmio, NULL),
	    0);
	climb(&w);
	w.wakes = 0;
	assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(w.filled, 16);
	assert_int_equal(w.wakes, 1);
	stop(&w);
}

static void nothing_happens_before_the_driver_is_there(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 64, true };
	struct world w;

	start(&w, true);
	assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	wr(&w, 0x70, 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(w.filled, 0);
	stop(&w);
}

static struct vmm_virtio_rng_stats stats_of(struct world *w)
{
	struct vmm_virtio_rng_stats s = { .size = sizeof(s) };

	vmm_virtio_rng_get_stats(w->rng, &s);
	return s;
}

/* What is not random stays as the driver left it, and is not reported. */
static void bytes_behind_what_the_source_gave_stay(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_BUFFERS, 64, true },
						{ MOCK_BUFFERS + 64, 64, true } };
	struct world w;

	start(&w, true);
	memset(w.m->ram + MOCK_BUFFERS, 0x11, 128);
	w.fill_result = 40;
	assert_true(mock_add(w.m, segs, 2, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 40);
	for (uint32_t i = 0; i < 128; i++)
		assert_int_equal(w.m->ram[MOCK_BUFFERS + i], i < 40 ? 0xe7 : 0x11);
	assert_int_equal(stats_of(&w).requests, 1);
	assert_int_equal(stats_of(&w).bytes, 40);
	assert_int_equal(stats_of(&w).short_reads, 1);
	stop(&w);
}

static int64_t boast(void *ctx, void *buf, size_t len)
{
	memset(buf, 0x77, len);
	return INT64_MAX;
}

static void a_source_that_boasts_is_cut_to_what_was_asked(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 16, true };
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct world w = { 0 };

	w.m = mock_new(16, 0);
	opts.wake = on_wake;
	opts.fill = boast;
	opts.ctx = &w;
	opts.request_max = 10;
	mopts.mem = w.m->mem;
	assert_int_equal(vmm_virtio_rng_new(&opts, &w.rng), 0);
	assert_int_equal(
	    vmm_virtio_mmio_new(&mopts, vmm_virtio_rng_get_device(w.rng), &w.mmio, NULL),
	    0);
	climb(&w);
	assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 10);
	stop(&w);
}

static void a_driver_over_its_limit_waits_in_the_ring(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 100, true };
	struct vmm_virtio_rate_config limit = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct world w;
	uint32_t id, len;

	limit.bytes_per_s = 100;
	limit.bytes_burst = 150;
	start_with(&w, true, &limit);
	for (int i = 0; i < 3; i++)
		assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 100);
	assert_int_equal(mock_get_used(w.m, &id, &len), -EAGAIN);
	assert_int_equal(w.after, 500000000);
	/* Woken by the clock, not in circles. */
	assert_int_equal(w.wakes, 0);
	w.now += w.after - 1;
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(mock_get_used(w.m, &id, &len), -EAGAIN);
	assert_int_equal(stats_of(&w).throttled, 2);
	w.now += 1;
	/* What the source does not give is not counted. */
	w.fill_result = 0;
	vmm_virtio_rng_run(w.rng);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(used_len(&w), 0);
	assert_int_equal(w.wakes, 0);
	stop(&w);
}

/* The same for a device that runs itself, which is woken by register. */
static void start_thread(struct world *w, int64_t (*fill)(void *, void *, size_t),
			 struct vmm_virtio_rate *rate)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	w->fill_result = INT64_MAX;
	w->m = mock_new(16, 0);
	w->rate = rate;
	opts.fill = fill;
	opts.ctx = w;
	opts.rate = rate;
	opts.thread = true;
	mopts.mem = w->m->mem;
	assert_int_equal(vmm_virtio_rng_new(&opts, &w->rng), 0);
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_rng_get_device(w->rng),
					     &w->mmio, NULL),
			 0);
	climb(w);
}

static uint32_t await(struct world *w)
{
	uint32_t id, len;

	for (int patience = 0; patience < 5000; patience++) {
		if (mock_get_used(w->m, &id, &len) == 0)
			return len;
		(void)usleep(1000);
	}
	fail_msg("a chain did not come back");
	return 0;
}

static void a_device_with_a_thread_runs_itself(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 100, true };
	struct world w;
	uint32_t id, len;

	start_thread(&w, on_fill, NULL);
	for (uint32_t i = 0; i < 200; i++) {
		bool paused = i % 10 == 9;

		if (paused)
			vmm_virtio_mmio_pause(w.mmio);
		assert_true(mock_add(w.m, &seg, 1, false) >= 0);
		if (i % 2)
			wr(&w, 0x50, 0);
		else
			assert_int_equal(
			    eventfd_write(vmm_virtio_rng_get_doorbell(w.rng), 1), 0);
		if (paused) {
			if (i % 20 == 9)
				(void)usleep(2000);
			assert_int_equal(mock_get_used(w.m, &id, &len), -EAGAIN);
			vmm_virtio_mmio_resume(w.mmio);
		}
		assert_int_equal(await(&w), 100);
		if (i % 50 == 0) {
			for (int k = 0; k < 10; k++)
				(void)mock_add(w.m, &seg, 1, false);
			wr(&w, 0x50, 0);
			wr(&w, 0x70, 0);
			mock_reset(w.m, 16, 0);
			climb(&w);
		}
	}
	stop(&w);
}

/* By the clock that there is: each request but the first has to wait for 2 ms. */
static void a_thread_comes_back_when_the_limit_says(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 100, true };
	struct vmm_virtio_rate_config limit = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_rate *rate;
	struct world w;

	limit.bytes_per_s = 50000;
	limit.bytes_burst = 100;
	assert_int_equal(vmm_virtio_rate_new(&limit, &rate, NULL), 0);
	start_thread(&w, NULL, rate);
	for (int i = 0; i < 10; i++)
		assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	wr(&w, 0x50, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(await(&w), 100);
	assert_true(stats_of(&w).throttled >= 1);
	stop(&w);
}

/* A driver that never ends does not keep the VMM from its device. */
static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 1, true };
	uint64_t requests = 0;
	struct world w;

	start_thread(&w, refill, NULL);
	/* From now on only the device's thread has the driver. */
	vmm_virtio_mmio_pause(w.mmio);
	for (int i = 0; i < 8; i++)
		assert_true(mock_add(w.m, &seg, 1, false) >= 0);
	vmm_virtio_mmio_resume(w.mmio);
	for (int i = 0; i < 200; i++) {
		for (int patience = 0; stats_of(&w).requests == requests; patience++) {
			assert_in_range(patience, 0, 5000);
			(void)usleep(100);
		}
		vmm_virtio_mmio_pause(w.mmio);
		requests = stats_of(&w).requests;
		assert_int_equal(stats_of(&w).requests, requests);
		vmm_virtio_mmio_resume(w.mmio);
	}
	stop(&w);
}

static void without_descriptors_there_is_no_thread(void **state)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng = NULL;
	struct rlimit old, now;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), ret = -EMFILE;

	opts.thread = true;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = old;
	for (int n = 0; ret < 0; n++) {
		assert_in_range(n, 0, 4);
		now.rlim_cur = (rlim_t)(fd + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		ret = vmm_virtio_rng_new(&opts, &rng);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(ret == (n < 4 ? -EMFILE : 0));
		assert_true((rng != NULL) == (ret == 0));
	}
	assert_true(vmm_virtio_rng_get_doorbell(rng) >= 0);
	vmm_virtio_rng_free(rng);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), fd);
	assert_int_equal(close(fd), 0);
}

static void bad_options_are_refused(void **state)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng = NULL;

	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), -EINVAL);
	opts.wake = on_wake;
	opts.queue_max = 32769;
	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), -EINVAL);
	opts.queue_max = 0;
	opts.rate = (struct vmm_virtio_rate *)(void *)&rng;
	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), -EINVAL);
	opts.rate = NULL;
	opts.size = 0;
	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), -EINVAL);
	assert_null(rng);
	vmm_virtio_rng_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_are_filled_to_the_end),
		cmocka_unit_test(the_kernel_is_the_default_source),
		cmocka_unit_test(overlapping_buffers_do_not_inflate_a_request),
		cmocka_unit_test(readable_buffers_are_left_alone),
		cmocka_unit_test(a_source_that_fails_or_runs_dry_gives_what_it_has),
		cmocka_unit_test(malformed_chains_do_not_stop_the_device),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset_once),
		cmocka_unit_test(one_run_is_bounded_and_wakes_itself_for_the_rest),
		cmocka_unit_test(nothing_happens_before_the_driver_is_there),
		cmocka_unit_test(bytes_behind_what_the_source_gave_stay),
		cmocka_unit_test(a_source_that_boasts_is_cut_to_what_was_asked),
		cmocka_unit_test(a_driver_over_its_limit_waits_in_the_ring),
		cmocka_unit_test(a_device_with_a_thread_runs_itself),
		cmocka_unit_test(a_thread_comes_back_when_the_limit_says),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
		cmocka_unit_test(without_descriptors_there_is_no_thread),
		cmocka_unit_test(bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

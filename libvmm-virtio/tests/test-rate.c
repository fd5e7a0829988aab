/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Token buckets against a model that counts in 128 bits, on a clock of the test's own. */
#include "virtio-test.h"

#include <vmm/virtio-rate.h>

#define SECOND UINT64_C(1000000000)

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

struct clock {
	uint64_t now;
};

static uint64_t clock_now(void *ctx)
{
	return ((struct clock *)ctx)->now;
}

static struct vmm_virtio_rate *make(struct clock *c, uint64_t bytes, uint64_t byte_burst,
				    uint64_t ops, uint64_t op_burst)
{
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_rate *r = NULL;

	config.bytes_per_s = bytes;
	config.bytes_burst = byte_burst;
	config.ops_per_s = ops;
	config.ops_burst = op_burst;
	config.now = clock_now;
	config.now_ctx = c;
	assert_int_equal(vmm_virtio_rate_new(&config, &r, NULL), 0);
	return r;
}

static void a_burst_is_allowed_and_then_the_rate(void **state)
{
	struct clock c = { 5 };
	struct vmm_virtio_rate *r = make(&c, 1000, 3000, 0, 0);
	uint64_t wait = 77;

	assert_int_equal(vmm_virtio_rate_take(r, 3000, 1, &wait), 0);
	assert_int_equal(wait, 77);
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), -EAGAIN);
	assert_int_equal(wait, SECOND / 1000);
	c.now += SECOND / 1000 - 1;
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), -EAGAIN);
	assert_int_equal(wait, 1);
	c.now += 1;
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), 0);
	/* A pause fills the bucket, and no more than that. */
	c.now += 1000 * SECOND;
	assert_int_equal(vmm_virtio_rate_take(r, 3000, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 1, 0, &wait), -EAGAIN);
	vmm_virtio_rate_free(r);
}

static void both_buckets_are_taken_from_or_none(void **state)
{
	struct clock c = { 0 };
	struct vmm_virtio_rate *r = make(&c, 1000, 1000, 10, 2);
	uint64_t wait = 0;

	assert_int_equal(vmm_virtio_rate_take(r, 400, 2, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 400, 1, &wait), -EAGAIN);
	assert_int_equal(wait, SECOND / 10);
	/* The refused call left the bytes alone. */
	assert_int_equal(vmm_virtio_rate_take(r, 600, 0, &wait), 0);
	c.now += SECOND / 10;
	assert_int_equal(vmm_virtio_rate_take(r, 500, 1, &wait), -EAGAIN);
	assert_int_equal(wait, 4 * SECOND / 10);
	assert_int_equal(vmm_virtio_rate_take(r, 100, 1, &wait), 0);
	vmm_virtio_rate_give(r, 100, 1);
	assert_int_equal(vmm_virtio_rate_take(r, 100, 1, &wait), 0);
	vmm_virtio_rate_give(r, UINT64_MAX, UINT64_MAX);
	assert_int_equal(vmm_virtio_rate_take(r, 1000, 2, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 1, 0, &wait), -EAGAIN);
	vmm_virtio_rate_free(r);
}

static void work_beyond_a_burst_is_slow_and_never_stuck(void **state)
{
	struct clock c = { 0 };
	struct vmm_virtio_rate *r = make(&c, 100, 10, 0, 0);
	uint64_t wait = 0;

	assert_int_equal(vmm_virtio_rate_take(r, 1000, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 1000, 1, &wait), -EAGAIN);
	/* 990 of debt and a full bucket of 10. */
	assert_int_equal(wait, 10 * SECOND);
	c.now += wait;
	assert_int_equal(vmm_virtio_rate_take(r, 1000, 1, &wait), 0);
	vmm_virtio_rate_free(r);
}

static void no_number_overflows(void **state)
{
	struct clock c = { 0 };
	struct vmm_virtio_rate *r =
	    make(&c, UINT64_MAX, VMM_VIRTIO_RATE_BURST_MAX, UINT64_MAX, 1);
	uint64_t wait = 0;

	for (int i = 0; i < 8; i++) {
		assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, UINT64_MAX, &wait),
				 0);
		assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 1, &wait), -EAGAIN);
		assert_true(wait >= 1 && wait <= 2);
		c.now += i < 4 ? wait : UINT64_MAX / 8;
	}
	vmm_virtio_rate_free(r);
	c.now = 0;
	r = make(&c, 1, VMM_VIRTIO_RATE_BURST_MAX, 1, 0);
	assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 1, &wait), -EAGAIN);
	assert_true(wait == VMM_VIRTIO_RATE_BURST_MAX * SECOND);
	/* Giving back into the deepest debt. */
	vmm_virtio_rate_give(r, 1, 0);
	assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 1, &wait), -EAGAIN);
	assert_true(wait == (VMM_VIRTIO_RATE_BURST_MAX - 1) * SECOND);
	c.now = UINT64_MAX;
	assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 1, &wait), 0);
	vmm_virtio_rate_free(r);
}

static void a_clock_that_steps_back_stands_still(void **state)
{
	struct clock c = { 10 * SECOND };
	struct vmm_virtio_rate *r = make(&c, 10, 10, 0, 0);
	uint64_t wait = 0;

	assert_int_equal(vmm_virtio_rate_take(r, 10, 1, &wait), 0);
	c.now = 0;
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), -EAGAIN);
	c.now = 10 * SECOND;
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), -EAGAIN);
	c.now += SECOND / 10;
	assert_int_equal(vmm_virtio_rate_take(r, 1, 1, &wait), 0);
	vmm_virtio_rate_free(r);
}

static void new_limits_hold_at_once(void **state)
{
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct clock c = { 0 };
	struct vmm_virtio_rate *r = make(&c, 0, 0, 0, 0);
	uint64_t wait = 0;

	for (int i = 0; i < 100; i++)
		assert_int_equal(vmm_virtio_rate_take(r, UINT64_MAX, 9, &wait), 0);
	config.bytes_per_s = 100;
	assert_int_equal(vmm_virtio_rate_set(r, &config, NULL), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 100, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 10, 1, &wait), -EAGAIN);
	assert_int_equal(wait, SECOND / 10);
	c.now += SECOND;
	config.bytes_burst = 5;
	assert_int_equal(vmm_virtio_rate_set(r, &config, NULL), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 5, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 5, 1, &wait), -EAGAIN);
	config.bytes_per_s = 0;
	assert_int_equal(vmm_virtio_rate_set(r, &config, NULL), 0);
	assert_int_equal(vmm_virtio_rate_take(r, 5, 1, &wait), 0);
	config.ops_burst = VMM_VIRTIO_RATE_BURST_MAX + 1;
	assert_int_equal(vmm_virtio_rate_set(r, &config, NULL), -E2BIG);
	assert_int_equal(vmm_virtio_rate_take(r, 5, 1, &wait), 0);
	vmm_virtio_rate_free(r);
}

static void bad_limits_are_refused(void **state)
{
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_rate *r = NULL;
	struct vmm_error err = { 0 };

	config.size = 3;
	assert_int_equal(vmm_virtio_rate_new(&config, &r, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	config.size = sizeof(config);
	config.bytes_burst = VMM_VIRTIO_RATE_BURST_MAX + 1;
	assert_int_equal(vmm_virtio_rate_new(&config, &r, &err), -E2BIG);
	assert_null(r);
	/* The clock of the system goes on by itself. */
	config.bytes_burst = 1;
	config.bytes_per_s = 1000000;
	assert_int_equal(vmm_virtio_rate_new(&config, &r, NULL), 0);
	for (int n = 0; n < 20;) {
		uint64_t wait = 0;
		int ret = vmm_virtio_rate_take(r, 1, 1, &wait);

		assert_true(ret == 0 || (ret == -EAGAIN && wait > 0 && wait <= 1000));
		n += ret == 0;
	}
	vmm_virtio_rate_free(r);
	vmm_virtio_rate_free(NULL);
}

/* One bucket of the model, in billionths, with room for any product. */
struct model {
	i128 level, full;
	uint64_t rate;
};

static void model_make(struct model *m, uint64_t rate, uint64_t burst)
{
	uint64_t full = burst ? burst : rate;

	if (full > VMM_VIRTIO_RATE_BURST_MAX)
		full = VMM_VIRTIO_RATE_BURST_MAX;
	m->rate = rate;
	m->full = (i128)full * (i128)SECOND;
	m->level = m->full;
}

static void model_pass(struct model *m, uint64_t ns)
{
	m->level += (i128)((u128)ns * m->rate);
	if (m->level > m->full)
		m->level = m->full;
}

static bool model_has(const struct model *m, uint64_t n)
{
	i128 cost = (i128)n * (i128)SECOND;

	return m->rate == 0 || m->level >= (cost < m->full ? cost : m->full);
}

static uint64_t number(struct vmm_test_rng *rng, uint64_t max)
{
	uint64_t wide = (uint64_t)vmm_test_below(rng, UINT32_MAX) << 32 |
			vmm_test_below(rng, UINT32_MAX);

	wide >>= vmm_test_below(rng, 64);
	return max == UINT64_MAX ? wide : wide % (max + 1);
}

static void one_history(struct vmm_test_rng *rng)
{
	uint64_t rate[2], burst[2], n[2], wait;
	struct clock c = { number(rng, UINT64_MAX / 2) };
	struct vmm_virtio_rate *r;
	struct model m[2];

	for (int i = 0; i < 2; i++) {
		rate[i] = number(rng, UINT64_MAX);
		burst[i] = number(rng, VMM_VIRTIO_RATE_BURST_MAX);
		model_make(&m[i], rate[i], burst[i]);
	}
	r = make(&c, rate[0], burst[0], rate[1], burst[1]);
	for (int step = 0; step < 60; step++) {
		uint64_t ns = number(rng, UINT64_C(1) << 50);
		int want, ret;

		n[0] = number(rng, VMM_VIRTIO_RATE_BURST_MAX);
		n[1] = number(rng, VMM_VIRTIO_RATE_BURST_MAX);
		/* The end of time: a clock that wraps is one that steps back. */
		if (ns > UINT64_MAX - c.now)
			break;
		c.now += ns;
		for (int i = 0; i < 2; i++)
			model_pass(&m[i], ns);
		want = model_has(&m[0], n[0]) && model_has(&m[1], n[1]) ? 0 : -EAGAIN;
		ret = vmm_virtio_rate_take(r, n[0], n[1], &wait);
		if (ret != want)
			fail_msg("step %d: %d, not %d", step, ret, want);
		/* The time it tells is the shortest that helps. */
		if (ret < 0) {
			struct model before[2] = { m[0], m[1] };

			for (int i = 0; i < 2; i++) {
				model_pass(&before[i], wait - 1);
				model_pass(&m[i], wait);
			}
			assert_false(model_has(&before[0], n[0]) &&
				     model_has(&before[1], n[1]));
			if (wait > UINT64_MAX - c.now)
				break;
			c.now += wait;
			assert_int_equal(vmm_virtio_rate_take(r, n[0], n[1], &wait), 0);
		}
		for (int i = 0; i < 2; i++) {
			if (m[i].rate)
				m[i].level -= (i128)n[i] * (i128)SECOND;
		}
	}
	vmm_virtio_rate_free(r);
}

static void random_histories_match_the_model(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (int i = 0; i < 3000; i++)
		one_history(&rng);
}

/* Who is always hungry gets the rate to the last token, however odd the steps are. */
static void nothing_drifts_in_a_long_run(void **state)
{
	static const uint64_t rates[] = { 3, 7, 999999937, 1000000007, 123456789123 };
	struct vmm_test_rng rng = vmm_test_rng();

	for (size_t i = 0; i < VMM_ARRAY_LEN(rates); i++) {
		struct clock c = { 1 };
		struct vmm_virtio_rate *r = make(&c, rates[i], 1000, 0, 0);
		uint64_t got = 0, wait = 0;
		u128 earned;

		for (int step = 0; step < 200000; step++) {
			uint64_t n = 1 + vmm_test_below(&rng, 500);

			if (vmm_virtio_rate_take(r, n, 1, &wait) == 0)
				got += n;
			else
				c.now +=
				    1 + vmm_test_below(
					    &rng, (uint32_t)(wait < 1000 ? wait : 1000));
		}
		earned = (u128)(c.now - 1) * rates[i] / SECOND + 1000;
		assert_true(got <= (uint64_t)earned);
		/* What is left is in the bucket; nothing was lost by being full. */
		while (vmm_virtio_rate_take(r, 1, 1, &wait) == 0)
			got++;
		assert_true(got == (uint64_t)earned || rates[i] > SECOND);
		vmm_virtio_rate_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_allowed_and_then_the_rate),
		cmocka_unit_test(both_buckets_are_taken_from_or_none),
		cmocka_unit_test(work_beyond_a_burst_is_slow_and_never_stuck),
		cmocka_unit_test(no_number_overflows),
		cmocka_unit_test(a_clock_that_steps_back_stands_still),
		cmocka_unit_test(new_limits_hold_at_once),
		cmocka_unit_test(bad_limits_are_refused),
		cmocka_unit_test(random_histories_match_the_model),
		cmocka_unit_test(nothing_drifts_in_a_long_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "rtc-test.h"

enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c
};

static uint32_t rd(struct clock *c, uint32_t offset)
{
	return vmm_sio_pl031_read(c->pl031, offset);
}

static void wr(struct clock *c, uint32_t offset, uint32_t value)
{
	vmm_sio_pl031_write(c->pl031, offset, value);
}

static int setup(void **state)
{
	static struct clock c;
	struct vmm_sio_rtc_opts opts = clock_init(&c, 1000);

	*state = &c;
	return vmm_sio_pl031_new(&opts, &c.pl031);
}

static int teardown(void **state)
{
	vmm_sio_pl031_free(((struct clock *)*state)->pl031);
	return 0;
}

static void the_host_time_is_the_default(void **state)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *dev = NULL;
	time_t before = time(NULL);
	uint32_t dr;

	assert_int_equal(vmm_sio_pl031_new(NULL, &dev), 0);
	dr = vmm_sio_pl031_read(dev, DR);
	/* Not 1970, which an uptime in seconds would be. */
	assert_in_range(dr, before, time(NULL) + 1);
	vmm_sio_pl031_tick(dev);
}

static void the_counter_ticks_and_cannot_be_written(void **state)
{
	struct clock *c = *state;

	assert_int_equal(rd(c, DR), 1000);
	c->now += SECOND - 1;
	assert_int_equal(rd(c, DR), 1000);
	c->now += 1;
	assert_int_equal(rd(c, DR), 1001);
	wr(c, DR, 5);
	assert_int_equal(rd(c, DR), 1001);
}

static void loading_sets_the_counter_to_any_value(void **state)
{
	static const uint32_t values[] = { 2000, 1, UINT32_MAX, 0 };
	struct clock *c = *state;

	assert_int_equal(rd(c, LR), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(values); i++) {
		wr(c, LR, values[i]);
		assert_int_equal(rd(c, LR), values[i]);
		assert_int_equal(rd(c, DR), values[i]);
	}
}

static void the_counter_wraps(void **state)
{
	struct clock *c = *state;

	wr(c, LR, UINT32_MAX);
	c->now += SECOND + SECOND / 2;
	assert_int_equal(rd(c, DR), 0);
	assert_int_equal(rd(c, LR), UINT32_MAX);
}

static void a_match_interrupts_once_it_is_enabled(void **state)
{
	struct clock *c = *state;

	wr(c, MR, 1003);
	assert_int_equal(rd(c, MR), 1003);
	assert_true(c->deadline == UINT64_MAX);
	wr(c, IMSC, 0xffffffff);
	assert_int_equal(rd(c, IMSC), 1);
	assert_true(c->deadline == c->start + 3 * SECOND);
	c->now = c->deadline - 1;
	vmm_sio_pl031_tick(c->pl031);
	assert_false(c->line);
	c->now++;
	vmm_sio_pl031_tick(c->pl031);
	assert_true(c->line);
	assert_true(c->deadline == UINT64_MAX);
	assert_int_equal(rd(c, RIS), 1);
	assert_int_equal(rd(c, MIS), 1);
	wr(c, IMSC, 0);
	assert_false(c->line);
	assert_int_equal(rd(c, RIS), 1);
	assert_int_equal(rd(c, MIS), 0);
}

/* RTC-B1: an alarm that stays up for as long as the second lasts is taken in a loop. */
static void rtc_b1_an_acknowledged_alarm_stays_quiet(void **state)
{
	struct clock *c = *state;

	wr(c, IMSC, 1);
	wr(c, MR, 1000);
	assert_true(c->line);
	wr(c, ICR, 1);
	assert_false(c->line);
	vmm_sio_pl031_tick(c->pl031);
	c->now += 5 * SECOND;
	vmm_sio_pl031_tick(c->pl031);
	assert_int_equal(c->edges, 1);
	/* The next match is a whole round away. */
	assert_true(c->deadline == c->start + (UINT64_C(1) << 32) * SECOND);
}

/* RTC-B1: guest time follows steps of the host's clock. */
static void rtc_b1_time_never_goes_back(void **state)
{
	struct clock *c = *state;

	c->now += 10 * SECOND;
	assert_int_equal(rd(c, DR), 1010);
	c->now = 0;
	assert_int_equal(rd(c, DR), 1010);
	vmm_sio_pl031_tick(c->pl031);
	assert_int_equal(rd(c, RIS), 0);
}

/* RTC-B1: a host clock before 1970 ends the process. */
static void rtc_b1_a_time_before_1970_is_taken_modulo(void **state)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *dev = NULL;
	struct clock c;
	struct vmm_sio_rtc_opts opts = clock_init(&c, -1);

	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), 0);
	assert_int_equal(vmm_sio_pl031_read(dev, DR), UINT32_MAX);
}

static void a_match_is_seen_however_late_one_looks(void **state)
{
	struct clock *c = *state;

	wr(c, MR, 1002);
	c->now += 100 * SECOND;
	assert_int_equal(rd(c, RIS), 1);
	wr(c, ICR, 1);
	wr(c, MR, 1101);
	wr(c, LR, 1050);
	assert_int_equal(rd(c, RIS), 0);
	wr(c, LR, 1101);
	assert_int_equal(rd(c, RIS), 1);
	wr(c, ICR, 0xfffffffe);
	assert_int_equal(rd(c, RIS), 1);
	/* Across the wrap. */
	wr(c, ICR, 1);
	wr(c, LR, UINT32_MAX - 1);
	wr(c, MR, 1);
	c->now += 3 * SECOND;
	assert_int_equal(rd(c, RIS), 1);
}

static void the_control_register_says_that_it_runs(void **state)
{
	struct clock *c = *state;

	wr(c, LR, 77);
	wr(c, CR, 0);
	assert_int_equal(rd(c, CR), 1);
	wr(c, CR, 1);
	assert_int_equal(rd(c, CR), 1);
	c->now += SECOND;
	assert_int_equal(rd(c, DR), 78);
}

static void read_only_and_absent_registers_ignore_writes(void **state)
{
	static const uint8_t ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct clock *c = *state;

	for (uint32_t i = 0; i < 8; i++) {
		wr(c, 0xfe0 + 4 * i, 0xff);
		assert_int_equal(rd(c, 0xfe0 + 4 * i), ids[i]);
	}
	assert_int_equal(rd(c, 0xfe5), ids[1]);
	wr(c, RIS, 1);
	wr(c, MIS, 1);
	assert_int_equal(rd(c, RIS), 0);
	assert_int_equal(rd(c, ICR), 0);
	for (uint32_t i = 0x20; i < 0xfe0; i += 4) {
		wr(c, i, 0xff);
		assert_int_equal(rd(c, i), 0);
	}
	assert_int_equal(rd(c, 0x1000), 0);
	assert_int_equal(rd(c, 0xffffffff), 0);
}

static void state_carries_the_clock_on(void **state)
{
	struct clock *c = *state, d;
	struct vmm_sio_rtc_opts opts = clock_init(&d, 0);
	struct vmm_sio_pl031_state st = VMM_SIO_PL031_STATE_INIT;

	assert_int_equal(vmm_sio_pl031_new(&opts, &d.pl031), 0);
	wr(c, LR, 500);
	wr(c, MR, 502);
	wr(c, IMSC, 1);
	c->now += SECOND + SECOND / 4;
	assert_int_equal(vmm_sio_pl031_save(c->pl031, &st), 0);
	assert_int_equal(st.count, 501);
	d.now += 90 * SECOND;
	assert_int_equal(vmm_sio_pl031_restore(d.pl031, &st, NULL), 0);
	assert_int_equal(rd(&d, DR), 501);
	assert_int_equal(rd(&d, LR), 500);
	assert_true(d.deadline == d.now + 3 * SECOND / 4);
	d.now = d.deadline;
	vmm_sio_pl031_tick(d.pl031);
	assert_true(d.line);
	/* A pending interrupt gives an edge again. */
	assert_int_equal(vmm_sio_pl031_save(d.pl031, &st), 0);
	assert_int_equal(vmm_sio_pl031_restore(d.pl031, &st, NULL), 0);
	assert_int_equal(d.edges, 2);
	vmm_sio_pl031_free(d.pl031);
}

static void options_are_checked(void **state)
{
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct {
		struct vmm_sio_rtc_ops o;
		uint64_t tail;
	} ops = { .o = VMM_SIO_RTC_OPS_INIT, .tail = 1 };
	struct vmm_sio_pl031 *dev = NULL;

	opts.flags = 2;
	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), -EINVAL);
	opts.flags = 0;
	opts.reserved_ = 1;
	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), -EINVAL);
	opts.reserved_ = 0;
	ops.o.size = sizeof(ops);
	opts.ops = &ops.o;
	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), -E2BIG);
	opts.size = 0;
	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), -EINVAL);
	assert_null(dev);
	vmm_sio_pl031_free(NULL);
}

/* A clock close to the end of its range must not make a deadline that wraps. */
static void deadlines_do_not_overflow(void **state)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *dev = NULL;
	struct clock c;
	struct vmm_sio_rtc_opts opts = clock_init(&c, 0);

	c.now = UINT64_MAX - 5;
	assert_int_equal(vmm_sio_pl031_new(&opts, &dev), 0);
	vmm_sio_pl031_write(dev, MR, 100);
	vmm_sio_pl031_write(dev, IMSC, 1);
	assert_true(c.deadline == UINT64_MAX - 1);
}

static void a_match_a_whole_round_away_is_seen(void **state)
{
	struct clock *c = *state;

	wr(c, IMSC, 1);
	wr(c, MR, 1000);
	wr(c, ICR, 1);
	c->now = c->deadline;
	vmm_sio_pl031_tick(c->pl031);
	assert_true(c->line);
	assert_int_equal(rd(c, DR), 1000);
}

#define t(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_time_is_the_default),
		t(the_counter_ticks_and_cannot_be_written),
		t(loading_sets_the_counter_to_any_value),
		t(the_counter_wraps),
		t(a_match_interrupts_once_it_is_enabled),
		t(rtc_b1_an_acknowledged_alarm_stays_quiet),
		t(rtc_b1_time_never_goes_back),
		cmocka_unit_test(rtc_b1_a_time_before_1970_is_taken_modulo),
		t(a_match_is_seen_however_late_one_looks),
		t(a_match_a_whole_round_away_is_seen),
		t(the_control_register_says_that_it_runs),
		t(read_only_and_absent_registers_ignore_writes),
		t(state_carries_the_clock_on),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(deadlines_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

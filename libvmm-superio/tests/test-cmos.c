/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "rtc-test.h"

#include <time.h>

/* 2024-02-29 23:59:58 UTC, a Thursday. */
#define LEAP_DAY INT64_C(1709251198)

static uint8_t rd(struct clock *c, uint8_t index)
{
	vmm_sio_cmos_write(c->cmos, 0, index);
	return vmm_sio_cmos_read(c->cmos, 1);
}

static void wr(struct clock *c, uint8_t index, uint8_t value)
{
	vmm_sio_cmos_write(c->cmos, 0, index);
	vmm_sio_cmos_write(c->cmos, 1, value);
}

static void tick_at(struct clock *c, uint64_t ns)
{
	c->now = c->start + ns;
	vmm_sio_cmos_tick(c->cmos);
}

static int setup(void **state)
{
	static struct clock c;
	struct vmm_sio_rtc_opts opts = clock_init(&c, LEAP_DAY);

	*state = &c;
	return vmm_sio_cmos_new(&opts, &c.cmos);
}

static int teardown(void **state)
{
	vmm_sio_cmos_free(((struct clock *)*state)->cmos);
	return 0;
}

/* Century, year, month, day, weekday, hour, minute, second. */
static void expect_time(struct clock *c, const uint8_t want[8])
{
	static const uint8_t regs[8] = { 0x32, 9, 8, 7, 6, 4, 2, 0 };

	for (int i = 0; i < 8; i++)
		assert_int_equal(rd(c, regs[i]), want[i]);
}

static void the_time_is_there_in_bcd(void **state)
{
	struct clock *c = *state;

	expect_time(c, (const uint8_t[]){ 0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x58 });
	c->now += 2 * SECOND;
	expect_time(c, (const uint8_t[]){ 0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00 });
	assert_int_equal(rd(c, 0x0a), 0x26);
	assert_int_equal(rd(c, 0x0b), 0x02);
	assert_int_equal(rd(c, 0x0d), 0x80);
}

static void binary_and_twelve_hours_are_formats(void **state)
{
	struct clock *c = *state;

	wr(c, 0x0b, 0x06);
	expect_time(c, (const uint8_t[]){ 20, 24, 2, 29, 5, 23, 59, 58 });
	wr(c, 0x0b, 0x04);
	assert_int_equal(rd(c, 4), 0x80 | 11);
	c->now += 2 * SECOND;
	assert_int_equal(rd(c, 4), 12);
	c->now += 12 * 3600 * SECOND;
	assert_int_equal(rd(c, 4), 0x80 | 12);
	c->now += 3600 * SECOND;
	wr(c, 0x0b, 0x00);
	assert_int_equal(rd(c, 4), 0x81);
}

/* As Linux does it: SET, divider reset, registers, back. */
static void set_time(struct clock *c, const uint8_t t[7])
{
	static const uint8_t regs[7] = { 0x32, 9, 8, 7, 4, 2, 0 };
	uint8_t b = rd(c, 0x0b), a = rd(c, 0x0a);

	wr(c, 0x0b, b | 0x80);
	wr(c, 0x0a, a | 0x70);
	for (int i = 0; i < 7; i++)
		wr(c, regs[i], t[i]);
	wr(c, 0x0b, b);
	wr(c, 0x0a, a & 0x7f);
}

static void the_guest_sets_the_time(void **state)
{
	struct clock *c = *state;

	set_time(c, (const uint8_t[]){ 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59 });
	assert_int_equal(rd(c, 0), 0x59);
	/* Half a second after the divider is released. */
	c->now += SECOND / 2 - 1;
	assert_int_equal(rd(c, 0), 0x59);
	c->now += 1;
	expect_time(c, (const uint8_t[]){ 0x20, 0x00, 0x01, 0x01, rd(c, 6), 0, 0, 0 });
}

static void a_write_while_it_runs_takes_effect_at_once(void **state)
{
	struct clock *c = *state;

	wr(c, 2, 0x30);
	wr(c, 0, 0x10);
	wr(c, 6, 3);
	assert_int_equal(rd(c, 2), 0x30);
	assert_int_equal(rd(c, 0), 0x10);
	assert_int_equal(rd(c, 6), 3);
	c->now += 86400 * SECOND;
	assert_int_equal(rd(c, 6), 4);
	assert_int_equal(rd(c, 8), 0x03);
}

static void set_freezes_the_registers(void **state)
{
	struct clock *c = *state;

	wr(c, 0x0b, 0x82);
	c->now += 100 * SECOND;
	assert_int_equal(rd(c, 0), 0x58);
	assert_int_equal(rd(c, 0x0a) & 0x80, 0);
	wr(c, 0x0b, 0x02);
	assert_int_equal(rd(c, 0), 0x58);
	c->now += SECOND;
	assert_int_equal(rd(c, 0), 0x59);
}

static void a_time_that_is_none_becomes_one(void **state)
{
	struct clock *c = *state;

	set_time(c, (const uint8_t[]){ 0xff, 0xff, 0x99, 0x99, 0x99, 0x99, 0x99 });
	expect_time(
	    c, (const uint8_t[]){ 0x99, 0x99, 0x12, 0x31, rd(c, 6), 0x23, 0x59, 0x59 });
	set_time(c, (const uint8_t[]){ 0x20, 0x23, 0x02, 0x31, 0x00, 0x00, 0x00 });
	assert_int_equal(rd(c, 7), 0x28);
	set_time(c, (const uint8_t[]){ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 });
	expect_time(c, (const uint8_t[]){ 0x00, 0x00, 0x01, 0x01, rd(c, 6), 0, 0, 0 });
	/* 12-hour mode has no hour 13. */
	wr(c, 0x0b, 0x04);
	wr(c, 4, 13);
	assert_int_equal(rd(c, 4), 0x80 | 11);
}

static void every_day_of_centuries_agrees_with_libc(void **state)
{
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct clock c;

	for (int64_t day = -25000; day < 60000; day += 13) {
		time_t t = (time_t)day * 86400 + 43210;
		struct tm tm;

		opts = clock_init(&c, t);
		assert_int_equal(vmm_sio_cmos_new(&opts, &c.cmos), 0);
		wr(&c, 0x0b, 0x06);
		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(rd(&c, 0x32) * 100 + rd(&c, 9), tm.tm_year + 1900);
		assert_int_equal(rd(&c, 8), tm.tm_mon + 1);
		assert_int_equal(rd(&c, 7), tm.tm_mday);
		assert_int_equal(rd(&c, 6), tm.tm_wday + 1);
		assert_int_equal(rd(&c, 4), tm.tm_hour);
		/* And back: writing the same day changes nothing. */
		wr(&c, 7, (uint8_t)tm.tm_mday);
		assert_int_equal(rd(&c, 8), tm.tm_mon + 1);
		assert_int_equal(rd(&c, 0), tm.tm_sec);
		vmm_sio_cmos_free(c.cmos);
	}
}

static void the_years_end_at_9999(void **state)
{
	static const struct {
		int64_t start;
		uint8_t century, year;
	} cases[] = {
		{ INT64_MAX, 0x99, 0x99 },    { INT64_MIN, 0, 0 },
		{ -62167219200, 0, 0 },	      { 253402300799, 0x99, 0x99 },
		{ 253402300798, 0x99, 0x99 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct clock c;
		struct vmm_sio_rtc_opts opts = clock_init(&c, cases[i].start);

		assert_int_equal(vmm_sio_cmos_new(&opts, &c.cmos), 0);
		c.now += 5 * SECOND;
		assert_int_equal(rd(&c, 0x32), cases[i].century);
		assert_int_equal(rd(&c, 9), cases[i].year);
		vmm_sio_cmos_free(c.cmos);
	}
}

static void the_update_interrupt_comes_each_second(void **state)
{
	struct clock *c = *state;

	wr(c, 0x0b, 0x12);
	assert_true(c->deadline == c->start + SECOND);
	for (uint64_t i = 1; i <= 3; i++) {
		tick_at(c, i * SECOND - 1);
		assert_false(c->line);
		assert_true(rd(c, 0x0a) & 0x80);
		tick_at(c, i * SECOND);
		assert_true(c->line);
		assert_true(c->deadline == UINT64_MAX);
		assert_int_equal(rd(c, 0x0c) & 0x90, 0x90);
		assert_false(c->line);
		assert_int_equal(rd(c, 0x0c), 0x00);
	}
	/* Without the enable bit the flag comes, but no interrupt. */
	wr(c, 0x0b, 0x02);
	tick_at(c, 5 * SECOND);
	assert_int_equal(rd(c, 0x0c) & 0x90, 0x10);
	assert_int_equal(c->edges, 3);
}

static void each_rate_has_its_period(void **state)
{
	static const uint32_t hz[16] = { 0,   256, 128, 8192, 4096, 2048, 1024, 512,
					 256, 128, 64,	32,   16,   8,	  4,	2 };
	struct clock *c = *state;

	for (uint8_t rate = 1; rate < 16; rate++) {
		uint64_t n = 0;

		wr(c, 0x0b, 0x02);
		wr(c, 0x0a, 0x20 | rate);
		(void)rd(c, 0x0c);
		wr(c, 0x0b, 0x42);
		for (uint64_t end = c->now + SECOND / 2; c->deadline <= end; n++) {
			c->now = c->deadline;
			vmm_sio_cmos_tick(c->cmos);
			assert_int_equal(rd(c, 0x0c) & 0xc0, 0xc0);
		}
		assert_in_range(n, hz[rate] / 2 - 1, hz[rate] / 2 + 1);
	}
	wr(c, 0x0a, 0x20);
	assert_true(c->deadline == UINT64_MAX);
	wr(c, 0x0a, 0x6f);
	assert_true(c->deadline == UINT64_MAX);
}

static void set_alarm(struct clock *c, uint8_t h, uint8_t m, uint8_t s)
{
	wr(c, 5, h);
	wr(c, 3, m);
	wr(c, 1, s);
}

static void the_alarm_goes_off_at_its_time(void **state)
{
	static const struct {
		uint8_t h, m, s;
		uint64_t after; /* seconds after 23:59:58; 0: never */
	} cases[] = {
		{ 0x23, 0x59, 0x59, 1 },     { 0x00, 0x00, 0x00, 2 },
		{ 0x23, 0x59, 0x58, 86400 }, { 0xff, 0xff, 0xff, 1 },
		{ 0xff, 0xff, 0x30, 32 },    { 0xc0, 0x05, 0x00, 302 },
		{ 0x12, 0xff, 0xff, 43202 }, { 0x24, 0x00, 0x00, 0 },
		{ 0x00, 0x60, 0x00, 0 },     { 0x00, 0x00, 0x7f, 0 },
		{ 0xff, 0x59, 0x10, 3552 },
	};
	struct clock *c = *state;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_sio_rtc_opts opts;

		vmm_sio_cmos_free(c->cmos);
		opts = clock_init(c, LEAP_DAY);
		assert_int_equal(vmm_sio_cmos_new(&opts, &c->cmos), 0);
		set_alarm(c, cases[i].h, cases[i].m, cases[i].s);
		wr(c, 0x0b, 0x22);
		if (cases[i].after == 0) {
			assert_true(c->deadline == UINT64_MAX);
			tick_at(c, 200000 * SECOND);
			assert_false(c->line);
			continue;
		}
		assert_true(c->deadline == c->start + cases[i].after * SECOND);
		tick_at(c, cases[i].after * SECOND - 1);
		assert_false(c->line);
		tick_at(c, cases[i].after * SECOND);
		assert_true(c->line);
		assert_int_equal(rd(c, 0x0c) & 0xa0, 0xa0);
		assert_false(c->line);
	}
}

static void a_twelve_hour_alarm_knows_pm(void **state)
{
	struct clock *c = *state;

	wr(c, 0x0b, 0x20);
	set_alarm(c, 0x81, 0x00, 0x00);
	assert_true(c->deadline == c->start + (2 + 13 * 3600) * SECOND);
	set_alarm(c, 0x12, 0x00, 0x00);
	assert_true(c->deadline == c->start + 2 * SECOND);
	set_alarm(c, 0x13, 0x00, 0x00);
	assert_true(c->deadline == UINT64_MAX);
}

static void an_alarm_missed_for_a_while_is_still_seen(void **state)
{
	struct clock *c = *state;

	set_alarm(c, 0x00, 0x00, 0x30);
	tick_at(c, 1000 * SECOND);
	assert_int_equal(rd(c, 0x0c), 0x30 | 0x40);
}

static void memory_is_kept(void **state)
{
	struct clock *c = *state;

	for (uint8_t i = 0x0e; i < 0x80; i++) {
		if (i != VMM_SIO_CMOS_CENTURY)
			wr(c, i, (uint8_t)(i ^ 0x5a));
	}
	for (uint8_t i = 0x0e; i < 0x80; i++) {
		if (i != VMM_SIO_CMOS_CENTURY)
			assert_int_equal(rd(c, i), i ^ 0x5a);
	}
	/* Bit 7 of the index is the NMI mask. */
	assert_int_equal(rd(c, 0x8e), 0x0e ^ 0x5a);
	assert_int_equal(vmm_sio_cmos_set_memory(c->cmos, 0x34, 0x77), 0);
	assert_int_equal(rd(c, 0x34), 0x77);
	assert_int_equal(vmm_sio_cmos_set_memory(c->cmos, 0x0d, 0), -EINVAL);
	assert_int_equal(vmm_sio_cmos_set_memory(c->cmos, 0x32, 0), -EINVAL);
	assert_int_equal(vmm_sio_cmos_set_memory(c->cmos, 0x80, 0), -EINVAL);
	wr(c, 0x0c, 0xff);
	wr(c, 0x0d, 0x00);
	assert_int_equal(rd(c, 0x0c), 0);
	assert_int_equal(rd(c, 0x0d), 0x80);
	wr(c, 0x0a, 0xff);
	assert_int_equal(rd(c, 0x0a), 0x7f);
}

static void ports_beyond_the_two_are_not_there(void **state)
{
	struct clock *c = *state;

	assert_int_equal(vmm_sio_cmos_read(c->cmos, 0), 0xff);
	assert_int_equal(vmm_sio_cmos_read(c->cmos, 2), 0xff);
	vmm_sio_cmos_write(c->cmos, 2, 5);
}

static void state_carries_time_and_alarm_on(void **state)
{
	struct clock *c = *state, d;
	struct vmm_sio_rtc_opts opts = clock_init(&d, 0);
	struct vmm_sio_cmos_state st = VMM_SIO_CMOS_STATE_INIT;

	assert_int_equal(vmm_sio_cmos_new(&opts, &d.cmos), 0);
	set_alarm(c, 0x00, 0x00, 0x05);
	wr(c, 0x0b, 0x22);
	wr(c, 6, 1);
	c->now += SECOND / 2;
	assert_int_equal(vmm_sio_cmos_save(c->cmos, &st), 0);
	assert_int_equal(vmm_sio_cmos_restore(d.cmos, &st, NULL), 0);
	expect_time(&d, (const uint8_t[]){ 0x20, 0x24, 0x02, 0x29, 1, 0x23, 0x59, 0x58 });
	assert_true(d.deadline == d.now + 6 * SECOND + SECOND / 2);
	d.now = d.deadline;
	vmm_sio_cmos_tick(d.cmos);
	assert_true(d.line);
	assert_int_equal(vmm_sio_cmos_save(d.cmos, &st), 0);
	assert_int_equal(vmm_sio_cmos_restore(d.cmos, &st, NULL), 0);
	assert_int_equal(d.edges, 2);
	/* A clock that stands. */
	wr(&d, 0x0b, 0x82);
	wr(&d, 2, 0x44);
	assert_int_equal(vmm_sio_cmos_save(d.cmos, &st), 0);
	assert_int_equal(vmm_sio_cmos_restore(c->cmos, &st, NULL), 0);
	c->now += 10 * SECOND;
	assert_int_equal(rd(c, 2), 0x44);
	vmm_sio_cmos_free(d.cmos);
}

static void without_options_it_shows_the_host_time(void **state)
{
	VMM_CLEANUP(vmm_sio_cmos_free) struct vmm_sio_cmos *dev = NULL;
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	time_t now = time(NULL);
	struct tm tm;

	opts.flags = 4;
	assert_int_equal(vmm_sio_cmos_new(&opts, &dev), -EINVAL);
	assert_null(dev);
	assert_int_equal(vmm_sio_cmos_new(NULL, &dev), 0);
	assert_non_null(gmtime_r(&now, &tm));
	vmm_sio_cmos_write(dev, 0, 0x0b);
	vmm_sio_cmos_write(dev, 1, 0x76);
	vmm_sio_cmos_write(dev, 0, 0x09);
	assert_int_equal(vmm_sio_cmos_read(dev, 1), tm.tm_year % 100);
	vmm_sio_cmos_free(NULL);
}

#define t(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(the_time_is_there_in_bcd),
		t(binary_and_twelve_hours_are_formats),
		t(the_guest_sets_the_time),
		t(a_write_while_it_runs_takes_effect_at_once),
		t(set_freezes_the_registers),
		t(a_time_that_is_none_becomes_one),
		cmocka_unit_test(every_day_of_centuries_agrees_with_libc),
		cmocka_unit_test(the_years_end_at_9999),
		t(the_update_interrupt_comes_each_second),
		t(each_rate_has_its_period),
		t(the_alarm_goes_off_at_its_time),
		t(a_twelve_hour_alarm_knows_pm),
		t(an_alarm_missed_for_a_while_is_still_seen),
		t(memory_is_kept),
		t(ports_beyond_the_two_are_not_there),
		t(state_carries_time_and_alarm_on),
		cmocka_unit_test(without_options_it_shows_the_host_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

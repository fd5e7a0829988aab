/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "rtc.h"

int rtc_init(struct rtc *rtc, const struct vmm_sio_rtc_opts *opts, int64_t *seconds,
	     uint32_t *ns)
{
	struct vmm_sio_rtc_opts o;
	int ret;

	ret = sio_opts_in(&o, sizeof(o), opts);
	if (ret < 0)
		return ret;
	ret = sio_opts_in(&rtc->ops, sizeof(rtc->ops), o.ops);
	if (ret < 0)
		return ret;
	if ((o.flags & ~VMM_SIO_RTC_START) || o.reserved_)
		return -EINVAL;

	if (!rtc->ops.now_ns)
		rtc->ops.now_ns = sio_boottime_ns;
	rtc->ctx = o.ctx;
	rtc->deadline = NO_TIMER;
	*seconds = o.start_s;
	*ns = 0;
	if (!(o.flags & VMM_SIO_RTC_START))
		sio_wall_clock(seconds, ns);
	return 0;
}

void rtc_update_now(struct rtc *rtc)
{
	uint64_t now = rtc->ops.now_ns(rtc->ctx);

	if (now > rtc->now)
		rtc->now = now;
}

void rtc_set_irq(struct rtc *rtc, bool level)
{
	if (rtc->irq == level)
		return;
	rtc->irq = level;
	if (rtc->ops.set_irq)
		rtc->ops.set_irq(rtc->ctx, level);
}

void rtc_set_timer(struct rtc *rtc, uint64_t deadline)
{
	if (rtc->deadline == deadline)
		return;
	rtc->deadline = deadline;
	if (rtc->ops.set_timer)
		rtc->ops.set_timer(rtc->ctx, deadline);
}

uint64_t rtc_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum) || sum == NO_TIMER)
		return NO_TIMER - 1;
	return sum;
}

static bool is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days before 1 January of a year that is not negative, from that of year 0. */
static int64_t days_before_year(int32_t year)
{
	int32_t y = year - 1;

	/* Year 0 is a leap year itself. */
	return year == 0 ? 0 : (int64_t)year * 365 + y / 4 - y / 100 + y / 400 + 1;
}

uint32_t rtc_month_len(int32_t year, uint32_t month)
{
	static const uint8_t len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap(year) ? 29 : len[month - 1];
}

int64_t rtc_days(int32_t year, uint32_t month, uint32_t day)
{
	int64_t days = days_before_year(year) - days_before_year(1970);

	for (uint32_t m = 1; m < month; m++)
		days += rtc_month_len(year, m);
	return days + day - 1;
}

void rtc_date(int64_t days, int32_t *year, uint32_t *month, uint32_t *day)
{
	int64_t left = days + days_before_year(1970);
	int32_t y = (int32_t)(left / 366);
	uint32_t m = 1;

	/* 366 days a year is too many, so the guess is at most a few years early. */
	while (days_before_year(y + 1) <= left)
		y++;
	left -= days_before_year(y);
	while (left >= rtc_month_len(y, m)) {
		left -= rtc_month_len(y, m);
		m++;
	}
	*year = y;
	*month = m;
	*day = (uint32_t)left + 1;
}

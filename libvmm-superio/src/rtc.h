/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_RTC_H
#define SIO_RTC_H

#include <vmm/superio-rtc.h>

#include "internal.h"

#define NS_PER_S UINT64_C(1000000000)
#define NO_TIMER UINT64_MAX

/* What both clocks share: the source of time, the line and the timer. */
struct rtc {
	struct vmm_sio_rtc_ops ops;
	void *ctx;
	/* Latest time seen; never goes back. */
	uint64_t now;
	uint64_t deadline;
	bool irq;
};

/* Take the options; the time of day to start with goes to @seconds and @ns. */
int rtc_init(struct rtc *rtc, const struct vmm_sio_rtc_opts *opts, int64_t *seconds,
	     uint32_t *ns);

/* Read the clock. */
void rtc_update_now(struct rtc *rtc);

/* Pass line and timer on if they changed. */
void rtc_set_irq(struct rtc *rtc, bool level);
void rtc_set_timer(struct rtc *rtc, uint64_t deadline);

/* a + b, or one below "no timer" if that does not fit. */
uint64_t rtc_add(uint64_t a, uint64_t b);

/* The calendar: proleptic Gregorian, day 0 is 1970-01-01. */
int64_t rtc_days(int32_t year, uint32_t month, uint32_t day);
void rtc_date(int64_t days, int32_t *year, uint32_t *month, uint32_t *day);
uint32_t rtc_month_len(int32_t year, uint32_t month);

#endif

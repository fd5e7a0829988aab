/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef RTC_TEST_H
#define RTC_TEST_H

/* A clock whose time the test sets. */

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/superio-rtc.h>

#define SECOND UINT64_C(1000000000)

struct clock {
	struct vmm_sio_pl031 *pl031;
	struct vmm_sio_cmos *cmos;
	uint64_t now, start, deadline;
	bool line;
	int edges, timers;
};

static inline void clock_set_irq(void *ctx, bool level)
{
	struct clock *c = ctx;

	assert_true(c->line != level);
	c->line = level;
	c->edges += level;
}

static inline uint64_t clock_now(void *ctx)
{
	return ((struct clock *)ctx)->now;
}

static inline void clock_set_timer(void *ctx, uint64_t deadline)
{
	struct clock *c = ctx;

	assert_true(c->deadline != deadline);
	c->deadline = deadline;
	c->timers++;
}

static const struct vmm_sio_rtc_ops clock_ops = {
	.size = sizeof(clock_ops),
	.set_irq = clock_set_irq,
	.now_ns = clock_now,
	.set_timer = clock_set_timer,
};

static inline struct vmm_sio_rtc_opts clock_init(struct clock *c, int64_t start)
{
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;

	memset(c, 0, sizeof(*c));
	c->now = c->start = 1000 * SECOND + 123;
	c->deadline = UINT64_MAX;
	opts.ops = &clock_ops;
	opts.ctx = c;
	opts.flags = VMM_SIO_RTC_START;
	opts.start_s = start;
	return opts;
}

#endif

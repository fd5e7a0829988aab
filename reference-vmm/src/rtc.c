/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "rtc.h"

struct rtc {
	struct vmm_event *loop;
	struct vmm_event_source *timer;
	int irq_fd;
	pthread_mutex_t lock; /* guards what follows */
	void *chip;
	uint64_t deadline;
	bool asked; /* arm() is on its way to the loop */
};

/* On the loop: only its thread may set a timer. */
static void arm(void *ctx)
{
	struct rtc *rtc = ctx;
	uint64_t deadline;

	pthread_mutex_lock(&rtc->lock);
	rtc->asked = false;
	deadline = rtc->deadline;
	pthread_mutex_unlock(&rtc->lock);

	if (deadline == UINT64_MAX)
		vmm_event_source_stop_timer(rtc->timer);
	else
		(void)!vmm_event_source_set_timer_at(rtc->timer, deadline, 0);
}

static void on_timer(void *ctx, struct vmm_event_source *source, uint64_t expirations)
{
	struct rtc *rtc = ctx;

	pthread_mutex_lock(&rtc->lock);
	rtc_chip.tick(rtc->chip);
	pthread_mutex_unlock(&rtc->lock);
}

/* Callbacks of the clock: the lock is held. */

static void on_irq(void *ctx, bool level)
{
	struct rtc *rtc = ctx;

	if (level)
		(void)eventfd_write(rtc->irq_fd, 1);
}

/* A guest that sets alarms as fast as it can gets one call to the loop at a time; one
 * that finds the queue full is late until it sets the next. */
static void on_set_timer(void *ctx, uint64_t deadline_ns)
{
	struct rtc *rtc = ctx;

	rtc->deadline = deadline_ns;
	if (!rtc->asked)
		rtc->asked = vmm_event_post(rtc->loop, arm, rtc) == 0;
}

static void bus_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct rtc *rtc = ctx;

	pthread_mutex_lock(&rtc->lock);
	rtc_chip.read(rtc->chip, offset, data, len);
	pthread_mutex_unlock(&rtc->lock);
}

static void bus_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct rtc *rtc = ctx;

	pthread_mutex_lock(&rtc->lock);
	rtc_chip.write(rtc->chip, offset, data, len);
	pthread_mutex_unlock(&rtc->lock);
}

const struct vmm_bus_ops rtc_bus_ops = {
	.size = sizeof(rtc_bus_ops),
	.read = bus_read,
	.write = bus_write,
};

int rtc_new(struct vmm_event *loop, int irq_fd, struct rtc **out)
{
	struct vmm_sio_rtc_ops ops = VMM_SIO_RTC_OPS_INIT;
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int ret;

	if (!rtc)
		return -ENOMEM;
	rtc->loop = loop;
	rtc->irq_fd = irq_fd;
	rtc->deadline = UINT64_MAX;
	(void)pthread_mutex_init(&rtc->lock, NULL);
	ops.set_irq = on_irq;
	ops.set_timer = on_set_timer;
	opts.ops = &ops;
	opts.ctx = rtc;

	/* The clock's own time base, so that its deadlines are the timer's. */
	ret = vmm_event_add_timer(loop, CLOCK_BOOTTIME, on_timer, rtc, &rtc->timer);
	if (ret == 0)
		ret = rtc_chip.new(&opts, &rtc->chip);
	if (ret < 0) {
		rtc_free(rtc);
		return ret;
	}
	*out = rtc;
	return 0;
}

void rtc_free(struct rtc *rtc)
{
	if (!rtc)
		return;
	vmm_event_source_remove(rtc->timer);
	rtc_chip.free(rtc->chip);
	(void)pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef RTC_H
#define RTC_H

#include <vmm/device.h>
#include <vmm/event.h>
#include <vmm/superio-rtc.h>

/* The machine's clock, its alarm on a timer of the event loop. */
struct rtc;

/* The chip, in the architecture's folder: registers as the bus has them. */
struct rtc_chip {
	int (*new)(const struct vmm_sio_rtc_opts *opts, void **out);
	void (*free)(void *chip);
	void (*tick)(void *chip);
	void (*read)(void *chip, uint64_t offset, void *data, size_t len);
	void (*write)(void *chip, uint64_t offset, const void *data, size_t len);
};

extern const struct rtc_chip rtc_chip;

/* The context is the clock. */
extern const struct vmm_bus_ops rtc_bus_ops;

/*
 * @irq_fd: eventfd, written at each rising edge of the clock's interrupt; borrowed
 */
int rtc_new(struct vmm_event *loop, int irq_fd, struct rtc **out);

/* The loop does not run any more. NULL is allowed. */
void rtc_free(struct rtc *rtc);

#endif

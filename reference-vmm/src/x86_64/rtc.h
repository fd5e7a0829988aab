/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef X86_64_RTC_H
#define X86_64_RTC_H

#include <vmm/device.h>
#include <vmm/event.h>

/* The CMOS clock of a PC, its alarm on a timer of the event loop. */
struct rtc;

/* The context is the clock. */
extern const struct vmm_bus_ops rtc_bus_ops;

/*
 * @irq_fd: eventfd, written at each rising edge of the clock's interrupt; borrowed
 */
int rtc_new(struct vmm_event *loop, int irq_fd, struct rtc **out);

/* The loop does not run any more. NULL is allowed. */
void rtc_free(struct rtc *rtc);

#endif

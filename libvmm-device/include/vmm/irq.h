/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

/**
 * @file vmm/irq.h
 * The interrupt line that devices raise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/**
 * An interrupt line as a device sees it: a callback and its context, passed by value.
 * The glue binds it to an irqfd, an ioctl or a test's counter. Callable from any thread.
 */
struct vmm_irq_line {
	/** Set the level; for an edge line, true is one pulse and false is nothing. NULL:
	 *  the line is not connected. */
	void (*set)(void *ctx, bool level);
	/** First argument of @ref set. */
	void *ctx;
};

VMM_END_DECLS

#endif

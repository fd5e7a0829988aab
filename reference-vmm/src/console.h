/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/device.h>

#include "outcome.h"

/*
 * The serial console on standard input and output: a 16550A, an escape key, and a
 * thread of its own for output, because only a thread can wait for a slow reader of
 * any kind (terminal, pipe, file, socket) without holding up the rest.
 */
struct console;

/* What a bus, of ports or of memory, needs to know of it; the context is the console. */
extern const struct vmm_bus_ops console_bus_ops;

/*
 * @irq_fd: eventfd, written at each rising edge of the UART's interrupt; borrowed
 */
int console_new(struct outcome *outcome, int irq_fd, struct console **out,
		struct vmm_error *err);

/*
 * Give the input to a virtio console instead of the UART, and write out what comes from
 * it, beside what comes from the UART. Before console_start(). @fd: our end of a stream
 * socket, taken over.
 */
void console_set_line(struct console *console, int fd);

/* Begin to read standard input: raw mode if it is a terminal. */
int console_start(struct console *console, struct vmm_error *err);

/* Let another process use the console, beside standard input and output, through a stream
 * socket, which is taken over, and from which @typed has been read already. -EBUSY: there
 * are enough of them; it is the caller's then. */
int console_attach(struct console *console, int fd, const char *typed, size_t len);
bool console_can_attach(const struct console *console);

/* A break on the line: with Linux, the way to its magic SysRq. */
void console_send_break(struct console *console);

/* Write out what the guest has sent, as far as the reader takes it within a moment, and
 * leave raw mode. */
void console_stop(struct console *console);

/* Those who attached see its end only now. Stops it first; the loop does not run. NULL is
 * allowed. */
void console_free(struct console *console);

#endif

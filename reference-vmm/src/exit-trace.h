/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef EXIT_TRACE_H
#define EXIT_TRACE_H

#include <vmm/kvm.h>

/* A line for each time a vCPU leaves the guest: when, and why. */
struct exit_trace;

/* @path: a file, made if need be and added to. One that cannot take a line at once, as a
 * pipe, loses it: a vCPU does not wait. */
int exit_trace_open(const char *path, struct exit_trace **out, struct vmm_error *err);

/* NULL is allowed. */
void exit_trace_close(struct exit_trace *trace);

/* After the exit was handled, so that what was read is there. Any thread. */
void exit_trace_write(const struct exit_trace *trace, uint32_t cpu,
		      const struct vmm_kvm_exit *exit);

#endif

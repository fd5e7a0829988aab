/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>

/*
 * Raw mode on standard input while a guest runs. The settings come back on every way
 * out: return, exit(), and the signals that kill a process. There is one terminal for
 * the process, so its state is one static object.
 */

/* Begins a command to ourselves: Ctrl-A, as in kvmtool and QEMU. */
enum { TERMINAL_ESCAPE = 0x01 };

/* Say whether standard input is a terminal that we may use: we are in its foreground
 * process group. A background job must not touch it. */
bool terminal_is_ours(void);

/* Enter raw mode if the terminal is ours; else do nothing. */
void terminal_enter_raw(void);

bool terminal_is_raw(void);

/* Have the signals that ask a process to end do so only when the settings are restored:
 * for a program that does not take them itself. */
void terminal_restore_at_signals(void);

/* Restore the settings found first. Safe in signal handlers, any number of times. */
void terminal_restore(void);

#endif

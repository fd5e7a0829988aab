/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BACKGROUND_H
#define BACKGROUND_H

#include <vmm/base.h>

/*
 * A machine that does not keep its caller's terminal. Output goes on to where it went if
 * that is a regular file; else nobody would read it.
 */

/* Go on in a child process. The caller's waits until that runs its guest, or ends: then its
 * status is that of the child. Before there is a thread. Only the child returns; its
 * standard error is still the caller's. */
int background_begin(struct vmm_error *err);

/* The guest runs: let the caller go. No effect without background_begin(). */
void background_done(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include "machine.h"

/*
 * The machine's side of its control socket: clients on the event loop, each with one line
 * in and one line out at a time, none of which is ever waited for. Nothing is made for a
 * machine without a name.
 */
int control_new(struct machine *machine, struct vmm_error *err);

/* Remove the socket; those who wait for the end are told of it. NULL is allowed. */
void control_free(struct control *control);

#endif

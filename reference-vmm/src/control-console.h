/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_CONSOLE_H
#define CONTROL_CONSOLE_H

#include "control-connection.h"

/*
 * Let standard input and output be a machine's console, over a connection that it has
 * made its console's. On a terminal, until the user leaves by the escape key; the
 * end of other input is not the end. 0 as well when the machine ends.
 */
int console_copy(struct connection *connection, struct vmm_error *err);

#endif

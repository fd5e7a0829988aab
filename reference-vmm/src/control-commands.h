/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_COMMANDS_H
#define CONTROL_COMMANDS_H

#include <jansson.h>

#include "control-protocol.h"
#include "machine.h"

/* Do what a request asks for, and return the result for its reply; NULL with a detail if
 * that fails. Not for those that end the machine. On the event loop. */
json_t *control_execute(struct machine *machine, const struct control_request *request,
			struct vmm_error *err);

/* running, paused or stopping; and how long since it was started. */
const char *control_state_of(const struct machine *machine);
json_int_t control_uptime_ms(const struct machine *machine);

/* A text for a reply; bytes that are no UTF-8 come as question marks. */
json_t *control_text(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_CONNECTION_H
#define CONTROL_CONNECTION_H

#include <jansson.h>
#include <sys/types.h>
#include <vmm/base.h>

#include "control-place.h"

enum { CONTROL_REPLY_MAX = 4 << 20 }; /* statistics of many vCPUs and queues */

/* A client's connection to a machine. */
struct connection {
	int fd;
	pid_t pid; /* of the machine; 0: not known for sure */
	const char *name;
};

/* -ENOENT: there is no such machine. `name` is borrowed. */
int connection_open(struct connection *connection, const struct control_place *place,
		    const char *name, struct vmm_error *err);
void connection_close(struct connection *connection);

/* Send a request. */
int connection_send(struct connection *connection, const json_t *request,
		    struct vmm_error *err);

/*
 * Wait for the reply and return its result, the caller's. -ETIMEDOUT: none within that
 * many seconds; -EREMOTE: the machine refused, with its reason; -EPIPE: it is gone.
 */
int connection_receive(struct connection *connection, unsigned int seconds, json_t **out,
		       struct vmm_error *err);

#endif

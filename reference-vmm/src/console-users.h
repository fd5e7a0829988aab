/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONSOLE_USERS_H
#define CONSOLE_USERS_H

#include <stdbool.h>
#include <vmm/event.h>

#include "scrollback.h"

/*
 * Those who attached to a console: each has a stream socket, gets what the console says,
 * beginning with the scrollback, and types. None is ever waited for; who does not
 * keep up with a scrollback's length misses the oldest of it. On the event loop, but for
 * console_users_wake().
 */
struct console_users;

enum { CONSOLE_USERS_MAX = 8 };

/* Where input goes. */
struct console_users_ops {
	/* How many bytes may come now; if none, console_users_go_on() will be called. */
	size_t (*get_room)(void *ctx);
	void (*take)(void *ctx, const uint8_t *bytes, size_t len);
};

/* @back, @ops and @ctx are borrowed. */
int console_users_new(struct vmm_event *loop, struct scrollback *back,
		      const struct console_users_ops *ops, void *ctx,
		      struct console_users **out);

/* Send what can be sent at once, and leave them. The loop does not run. NULL is allowed. */
void console_users_free(struct console_users *users);

/* Take over a socket. -EBUSY: there are enough of them; it is the caller's then. */
int console_users_add(struct console_users *users, int fd);

/* Whether there is room for one more. */
bool console_users_have_room(const struct console_users *users);

/* There is more in the scrollback. Any thread. */
void console_users_wake(struct console_users *users);

/* There is room for input again. */
void console_users_go_on(struct console_users *users);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_PROTOCOL_H
#define CONTROL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

/*
 * What is said on a control socket: a JSON object a line, each way. This is the part that
 * reads what a client sends; it has no side effects.
 */

enum {
	CONTROL_FRAME_MAX = 4096, /* of a request, newline included */
	CONTROL_STOP_SECONDS = 30,
	CONTROL_STOP_SECONDS_MAX = 86400,
	CONTROL_DISK_MAX = 31, /* bytes of what names a disk */
};

enum control_verb {
	CONTROL_INFO,
	CONTROL_PAUSE,
	CONTROL_RESUME,
	CONTROL_STOP,
	CONTROL_KILL,
	CONTROL_BALLOON,
	CONTROL_STATS,
	CONTROL_CONSOLE, /* the connection carries its bytes from then on */
	CONTROL_BREAK,
	CONTROL_RESIZE_DISK,
};

struct control_request {
	enum control_verb verb;
	bool has_id;
	int64_t id;	  /* of the client's choice, repeated in the reply */
	uint32_t timeout; /* of stop: seconds */
	uint64_t bytes;	  /* of balloon, and of resize-disk; 0: what its file has */
	char disk[CONTROL_DISK_MAX + 1]; /* of resize-disk */
};

/* Bytes on their way to become lines. Zeroed memory is an empty one. */
struct control_input {
	size_t start;
	size_t len;
	char bytes[CONTROL_FRAME_MAX];
};

/* Where further bytes go, and how many there is room for: at least 1 after
 * control_input_next() has returned 0. */
char *control_input_get_room(struct control_input *input, size_t *out_room);

/* That many were put there. */
void control_input_add(struct control_input *input, size_t count);

/* Take the next line that is not blank: 1, and it is valid until the next call; 0: there
 * is no whole one; -EMSGSIZE: there never will be. */
int control_input_next(struct control_input *input, const char **out, size_t *out_len);

/* Read a request. -EBADMSG with a detail in ASCII. `id` is set even then if it can be. */
int control_decode(const char *line, size_t len, struct control_request *out,
		   struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

/* The commands for running machines: list, info, pause and so on. */

struct client_command;

/* The command of that name, or NULL. */
const struct client_command *client_find(const char *word);

/* Run it with what stands behind argv[0], and return the exit status. */
int client_run(const struct client_command *command, int argc, char **argv);

/* What there is to say about a command, for the help of the program. */
struct client_words {
	const char *word;
	const char *usage; /* its arguments */
	const char *help;
	const char *example;
	bool takes_name;
	bool has_timeout;
	bool has_json;
};

/* Whether there is a command of that number. */
bool client_get_words(size_t index, struct client_words *out);

#endif

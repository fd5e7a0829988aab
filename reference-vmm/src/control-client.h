/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

/* The commands for running machines: list, info, pause and so on. */

struct client_command;

/* The command of that name, or NULL. */
const struct client_command *client_find(const char *word);

/* Run it with what stands behind argv[0], and return the exit status. */
int client_run(const struct client_command *command, int argc, char **argv);

/* Print a line for each, for the help of the program. */
void client_print_commands(void);

#endif

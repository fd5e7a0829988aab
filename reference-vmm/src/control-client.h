/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <stdbool.h>

/* The commands for running machines: list, info, pause and so on. */

/* Whether a word is one of them. */
bool client_has(const char *word);

/* Run the command argv[0] and return the exit status. */
int client_main(int argc, char **argv);

/* Print a line for each, for the help of the program. */
void client_print_commands(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_PRINT_H
#define CONTROL_PRINT_H

#include <jansson.h>

/* Make a text that a machine sent fit for a terminal: no controls but new lines and tabs. */
void control_clean(char *text);

/* Print a result on standard output: JSON as one line, or text: a line for each value.
 * Keys that end in _bytes, _ms and _ns are printed in units for people. */
void control_print_json(const json_t *json);
void control_print_text(json_t *json);

/* Print an array of machines as a table. */
void control_print_table(const json_t *machines);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of options: numbers, sizes, lists of words. */

/* Read digits, nothing else. -EINVAL: something else; -ERANGE: too large. */
int value_number(const char *text, uint64_t *out);

/* Read a number with K, M, G, T or nothing behind it, which is @unit. Same errors. */
int value_size(const char *text, uint64_t unit, uint64_t *out);

/* One word of a list such as FILE,ro,id=x. */
struct value_word {
	const char *key;   /* "ro", "id", "FILE" */
	const char *value; /* "x"; NULL without an equals sign */
};

/*
 * Take the first word off a list and return true, or false at its end. The list is
 * changed. Between double quotes a comma is a comma, and "" is one quote.
 */
bool value_next(char **list, struct value_word *out);

#endif

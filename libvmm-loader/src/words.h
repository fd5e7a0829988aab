/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_WORDS_H
#define LOADER_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* One word of a command line, as the kernel cuts it. */
struct word {
	const char *at;
	size_t len;
	/* Bytes before the first '='; len when there is none. */
	size_t key_len;
};

/* Finds the next word at or after @p *text and moves @p *text behind it. */
bool word_next(const char **text, struct word *out);

/* Whether it is the word that ends the kernel's own parameters. */
bool word_is_dashes(const struct word *w);

/* Whether its key is @p key, '-' and '_' being the same. */
bool word_has_key(const struct word *w, const char *key);

/* The value without quotes; empty for a key alone. */
void word_value(const struct word *w, const char **out, size_t *out_len);

#endif

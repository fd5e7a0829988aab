/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

#include "values.h"

/* Options that take a list of words, such as FILE,ro,id=x: a table says what each sets. */

enum word_kind {
	WORD_FLAG,
	WORD_NUMBER16,
	WORD_NUMBER32,
	WORD_NUMBER64,
	WORD_SIZE,
	WORD_TEXT,
	WORD_MAC,
};

struct word_rule {
	const char *key; /* NULL: end of the table */
	enum word_kind kind;
	size_t offset; /* in what is described */
	uint64_t min;  /* of a number */
	uint64_t max;  /* of a number; length of a text */
};

/* The rule for a key, or NULL. */
const struct word_rule *words_find(const struct word_rule *rules, const char *key);

/* Do what a word says. @option: for messages */
int words_set(const char *option, const struct word_rule *rule,
	      const struct value_word *word, void *object, struct vmm_error *err);

/* Read a list. Its first word, if it has no equals sign, goes to the rule @first, which
 * may be NULL. */
int words_parse(const char *option, const char *text, const struct word_rule *rules,
		const struct word_rule *first, void *object, struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "words.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool word_next(const char **text, struct word *out)
{
	const char *p = *text;
	bool quoted = false, has_equals = false;
	struct word w;

	while (is_space(*p))
		p++;
	if (*p == '\0')
		return false;

	w = (struct word){ p, 0, 0 };
	for (; *p && (quoted || !is_space(*p)); p++) {
		if (*p == '"')
			quoted = !quoted;
		if (*p == '=' && !has_equals) {
			w.key_len = (size_t)(p - w.at);
			has_equals = true;
		}
	}
	w.len = (size_t)(p - w.at);
	if (!has_equals)
		w.key_len = w.len;
	*text = p;
	*out = w;
	return true;
}

bool word_is_dashes(const struct word *w)
{
	return w->len == 2 && w->at[0] == '-' && w->at[1] == '-';
}

static char dash(char c)
{
	return c == '-' ? '_' : c;
}

bool word_has_key(const struct word *w, const char *key)
{
	const char *at = w->at;
	size_t len = w->key_len;

	/* The kernel drops a quote that is around the whole word. */
	if (len && at[0] == '"') {
		at++;
		len--;
		if (len && w->key_len == w->len && at[len - 1] == '"')
			len--;
	}
	if (strlen(key) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (dash(at[i]) != dash(key[i]))
			return false;
	return true;
}

void word_value(const struct word *w, const char **out, size_t *out_len)
{
	const char *at = w->at + w->key_len;
	size_t len = w->len - w->key_len;

	if (len) {
		at++;
		len--;
	}
	if (len && at[0] == '"') {
		at++;
		len--;
	}
	if (len && at[len - 1] == '"')
		len--;
	*out = at;
	*out_len = len;
}

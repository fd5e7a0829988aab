/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

/* strtoull() skips blanks and takes a sign; a number here starts with a digit. */
static int leading_number(const char *text, uint64_t *out, const char **out_end)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	*out_end = end;
	return errno ? -ERANGE : 0;
}

int value_number(const char *text, uint64_t *out)
{
	const char *end;
	int ret = leading_number(text, out, &end);

	return ret == 0 && *end ? -EINVAL : ret;
}

int value_size(const char *text, uint64_t unit, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	const char *end, *suffix;
	uint64_t number;
	int ret = leading_number(text, &number, &end);

	if (ret == 0 && *end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - ('a' - 'A') : *end);
		if (!suffix || end[1])
			return -EINVAL;
		unit = UINT64_C(1) << (10 * (suffix - suffixes + 1));
	}
	if (ret == 0 && __builtin_mul_overflow(number, unit, out))
		ret = -ERANGE;
	return ret;
}

bool value_next(char **list, struct value_word *out)
{
	char *from = *list, *to = from;
	bool quoted = false;

	if (*from == '\0')
		return false;
	out->key = from;
	out->value = NULL;
	for (; *from && (quoted || *from != ','); from++) {
		if (*from == '"' && quoted && from[1] == '"') {
			*to++ = *from++;
		} else if (*from == '"') {
			quoted = !quoted;
		} else if (*from == '=' && !out->value && !quoted) {
			*to++ = '\0';
			out->value = to;
		} else {
			*to++ = *from;
		}
	}
	*list = *from ? from + 1 : from;
	*to = '\0';
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Write the manual page and the completions for shells, from the tables of options and of
 * commands that the program itself reads.
 *
 *   vmm-texts man|bash|zsh|fish
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "texts.h"

enum texts_value texts_value_of(const char *value)
{
	if (!value)
		return VALUE_NONE;
	if (strncmp(value, "FILE", 4) == 0 || strcmp(value, "PATH") == 0)
		return VALUE_FILE;
	return strchr(value, '|') && !strpbrk(value, "=,[") ? VALUE_CHOICE : VALUE_OTHER;
}

void texts_print_escaped(const char *text, const char *special, const char *escape)
{
	for (; *text; text++)
		printf("%s%c", strchr(special, *text) ? escape : "", *text);
}

void texts_print_choices(const char *value)
{
	for (; *value; value++)
		(void)putchar(*value == '|' ? ' ' : *value);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} texts[] = { { "man", texts_man },
		      { "bash", texts_bash },
		      { "zsh", texts_zsh },
		      { "fish", texts_fish } };

	for (size_t i = 0; argc == 2 && i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(argv[1], texts[i].name) != 0)
			continue;
		texts[i].print();
		return fflush(stdout) == 0 ? 0 : 1;
	}
	fprintf(stderr, "usage: vmm-texts man|bash|zsh|fish\n");
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/loader.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 512u

/* What was accepted reads back as itself, stays below its limit, and what was removed is
 * gone. */
static void check(struct vmm_load_cmdline *c, const char *key)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *again = NULL;
	const char *text = vmm_load_cmdline_get_text(c);

	if (strlen(text) >= MAX || strlen(text) != vmm_load_cmdline_get_len(c))
		__builtin_trap();
	if (vmm_load_cmdline_new(MAX, &again) < 0)
		return;
	if (vmm_load_cmdline_set_text(again, text, NULL) < 0 ||
	    strcmp(vmm_load_cmdline_get_text(again), text) != 0)
		__builtin_trap();
	(void)vmm_load_cmdline_remove(again, key);
	if (vmm_load_cmdline_get(again, key, NULL, 0, NULL) == 0)
		__builtin_trap();
}

/* One line of input is one call: the first byte says which, the rest is its text up to a
 * '|', which parts key from value. */
static void call(struct vmm_load_cmdline *c, char *line)
{
	char *text = line + 1, *value = strchr(text, '|');
	char buf[32];
	int ret = 0;

	if (value)
		*value++ = '\0';
	switch (line[0]) {
	case 't':
		ret = vmm_load_cmdline_set_text(c, text, NULL);
		break;
	case 'a':
		ret = vmm_load_cmdline_add_text(c, text, NULL);
		break;
	case 'i':
		ret = vmm_load_cmdline_add_init(c, text, NULL);
		break;
	case 's':
		ret = vmm_load_cmdline_set(c, text, value, NULL);
		break;
	case 'r':
		(void)vmm_load_cmdline_remove(c, text);
		break;
	case 'g':
		ret = vmm_load_cmdline_get(c, text, buf, sizeof(buf), NULL);
		break;
	default:
		ret = vmm_load_cmdline_add(c, text, value, NULL);
	}
	(void)ret;
	check(c, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = NULL;
	char *copy, *line, *end;

	if (size > 4096 || vmm_load_cmdline_new(MAX, &c) < 0)
		return 0;
	copy = calloc(1, size + 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	for (line = copy; line && *line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (*line)
			call(c, line);
	}
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "names.h"

#include <string.h>

/* Devicetree Specification 0.4, 2.2.1 and 2.2.4. */
static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(char c, const char *further)
{
	return is_alpha(c) || (c >= '0' && c <= '9') || (c && strchr(further, c));
}

static size_t span(const char *p, const char *further)
{
	size_t n = 0;

	while (is_name(p[n], further))
		n++;
	return n;
}

bool fdt_node_name_is_valid(const char *name)
{
	size_t n = span(name, ",._+-"), unit;

	if (!is_alpha(name[0]) || n > FDT_NAME_MAX)
		return false;
	if (name[n] == '\0')
		return true;
	if (name[n] != '@')
		return false;
	unit = span(name + n + 1, ",._+-");
	return unit >= 1 && unit <= FDT_NAME_MAX && name[n + 1 + unit] == '\0';
}

bool fdt_property_name_is_valid(const char *name)
{
	size_t n = span(name, ",._+?#-");

	return n >= 1 && n <= FDT_NAME_MAX && name[n] == '\0';
}

bool fdt_unit_address(const char *name, uint64_t *out)
{
	const char *p = strchr(name, '@');
	uint64_t value = 0;
	int digits = 0;

	if (!p)
		return false;
	for (p++; *p; p++, digits++) {
		unsigned int digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned int)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (unsigned int)(*p - 'a') + 10;
		else
			return false;
		value = value << 4 | digit;
	}
	*out = value;
	return digits <= 16;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control-print.h"

enum { PATH_MAX_LEN = 128 };

void control_clean(char *text)
{
	for (; *text; text++) {
		bool is_control = (unsigned char)*text < ' ' || *text == 0x7f;

		if (is_control && *text != '\n' && *text != '\t')
			*text = '?';
	}
}

void control_print_json(const json_t *json)
{
	(void)json_dumpf(json, stdout, JSON_COMPACT);
	(void)putchar('\n');
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static void format_bytes(json_int_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(text, size, "%.*f %s", value == (double)(json_int_t)value ? 0 : 1,
		       value, units[unit]);
}

/* The value of a key, without what the key says of the unit. */
static void format_value(const char *key, const json_t *json, char *text, size_t size)
{
	json_int_t number = json_integer_value(json);

	if (json_is_string(json))
		(void)snprintf(text, size, "%s", json_string_value(json));
	else if (!json_is_integer(json))
		(void)snprintf(text, size, "-");
	else if (ends_with(key, "_bytes"))
		format_bytes(number, text, size);
	else if (ends_with(key, "_ms"))
		(void)snprintf(text, size, "%.3f s", (double)number / 1000);
	else if (ends_with(key, "_ns"))
		(void)snprintf(text, size, "%.6f s", (double)number / 1e9);
	else
		(void)snprintf(text, size, "%" JSON_INTEGER_FORMAT, number);
	control_clean(text);
}

static int bare_length(const char *key)
{
	static const char *const units[] = { "_bytes", "_ms", "_ns" };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ends_with(key, units[i]))
			return (int)(strlen(key) - strlen(units[i]));
	}
	return (int)strlen(key);
}

static void print_object(const char *prefix, json_t *json);

static void print_value(const char *prefix, const char *key, json_t *json)
{
	char path[PATH_MAX_LEN], text[4200];
	json_t *item;
	size_t i;
	int len = snprintf(path, sizeof(path), "%s%.*s", prefix, bare_length(key), key);

	/* What is nested that deeply is none of ours: a bound for the recursion, too. */
	if (len < 0 || len > (int)sizeof(path) - 24)
		return;
	control_clean(path);
	if (json_is_object(json)) {
		(void)strncat(path, ".", sizeof(path) - strlen(path) - 1);
		print_object(path, json);
	} else if (json_is_array(json)) {
		json_array_foreach(json, i, item)
		{
			(void)snprintf(path, sizeof(path), "%s%s.%zu.", prefix, key, i);
			print_object(path, item);
		}
	} else {
		format_value(key, json, text, sizeof(text));
		printf("%s: %s\n", path, text);
	}
}

static void print_object(const char *prefix, json_t *json)
{
	void *at = json_object_iter(json);

	for (; at; at = json_object_iter_next(json, at))
		print_value(prefix, json_object_iter_key(at), json_object_iter_value(at));
}

void control_print_text(json_t *json)
{
	print_object("", json);
}

void control_print_table(const json_t *machines)
{
	static const struct {
		const char *key;
		const char *title;
		int width;
	} columns[] = { { "name", "NAME", -24 },
			{ "pid", "PID", -8 },
			{ "state", "STATE", -10 },
			{ "cpus", "CPUS", -5 },
			{ "memory_bytes", "MEMORY", 0 } };
	const size_t count = sizeof(columns) / sizeof(columns[0]);
	const json_t *machine;
	char text[128];
	size_t i;

	if (json_array_size(machines) == 0)
		return;
	for (size_t c = 0; c < count; c++)
		printf("%*s%s", columns[c].width, columns[c].title,
		       c + 1 < count ? " " : "\n");
	json_array_foreach(machines, i, machine)
	{
		for (size_t c = 0; c < count; c++) {
			format_value(columns[c].key,
				     json_object_get(machine, columns[c].key), text,
				     sizeof(text));
			printf("%*s%s", columns[c].width, text,
			       c + 1 < count ? " " : "\n");
		}
	}
}

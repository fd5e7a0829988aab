/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config-reader.h"

/* jansson says where a text is broken, but not where a value came from. So that place is
 * looked up, only for a message, in a text that jansson has found to be right. */

struct scan {
	const char *at;
	const char *end;
};

static void skip(struct scan *scan, const char *set)
{
	while (scan->at < scan->end && strchr(set, *scan->at))
		scan->at++;
}

static void skip_string(struct scan *scan)
{
	for (scan->at++; scan->at < scan->end && *scan->at != '"'; scan->at++)
		scan->at += *scan->at == '\\';
	scan->at++;
}

/* Go over a string, a number, a word or an opening bracket. True if it was a key. */
static bool skip_token(struct scan *scan)
{
	char first = *scan->at;

	if (first == '"') {
		skip_string(scan);
		skip(scan, " \t\r\n");
		return scan->at < scan->end && *scan->at == ':';
	}
	scan->at++;
	while (first != '{' && first != '[' && scan->at < scan->end &&
	       !strchr(" \t\r\n,]}", *scan->at))
		scan->at++;
	return false;
}

static const char *find_value(const char *text, size_t len, size_t number)
{
	struct scan scan = { text, text + len };
	const char *key = NULL, *start;

	for (;;) {
		skip(&scan, " \t\r\n,:]}");
		if (scan.at >= scan.end)
			return text;
		start = scan.at;
		if (skip_token(&scan)) {
			key = start;
			continue;
		}
		if (number-- == 0)
			return key ? key : start;
		key = NULL;
	}
}

static void set_place(struct config_place *place, const char *text, const char *at)
{
	place->line = place->column = 1;
	for (; text < at; text++) {
		if (*text == '\n') {
			place->line++;
			place->column = 1;
		} else if (((unsigned char)*text & 0xc0) != 0x80) {
			place->column++;
		}
	}
}

json_t *config_read_json(const char *text, size_t len, struct config_place *place)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (root) {
		set_place(place, text, find_value(text, len, place->number));
		return root;
	}
	place->line = error.line > 0 ? (unsigned int)error.line : 1;
	place->column = error.column > 0 ? (unsigned int)error.column : 1;
	(void)snprintf(place->problem, sizeof(place->problem), "%.*s",
		       (int)sizeof(place->problem) - 1, error.text);
	return NULL;
}

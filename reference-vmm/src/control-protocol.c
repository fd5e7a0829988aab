/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "control-protocol.h"

char *control_input_get_room(struct control_input *input, size_t *out_room)
{
	*out_room = sizeof(input->bytes) - input->len;
	return input->bytes + input->len;
}

void control_input_add(struct control_input *input, size_t count)
{
	input->len += count;
}

int control_input_next(struct control_input *input, const char **out, size_t *out_len)
{
	for (;;) {
		char *line = input->bytes + input->start;
		char *end = memchr(line, '\n', input->len - input->start);

		if (!end)
			break;
		input->start += (size_t)(end - line) + 1;
		if (end > line && end[-1] == '\r')
			end--;
		*out = line;
		*out_len = (size_t)(end - line);
		if (*out_len > 0)
			return 1;
	}
	input->len -= input->start;
	memmove(input->bytes, input->bytes + input->start, input->len);
	input->start = 0;
	return input->len == sizeof(input->bytes) ? -EMSGSIZE : 0;
}

/* The words after the command: one table for reading and checking. */
static const struct verb_rule {
	const char *name;
	const char *number; /* key of its one number; NULL: it has none */
	bool required;
	json_int_t min;
	json_int_t max;
	bool disk; /* it names a disk, too */
} rules[] = {
	[CONTROL_INFO] = { "info" },
	[CONTROL_PAUSE] = { "pause" },
	[CONTROL_RESUME] = { "resume" },
	[CONTROL_STOP] = { "stop", "timeout", false, 0, CONTROL_STOP_SECONDS_MAX },
	[CONTROL_KILL] = { "kill" },
	[CONTROL_BALLOON] = { "balloon", "memory", true, 0, INT64_MAX },
	[CONTROL_STATS] = { "stats" },
	[CONTROL_CONSOLE] = { "console" },
	[CONTROL_BREAK] = { "break" },
	[CONTROL_RESIZE_DISK] = { "resize-disk", "bytes", false, 1, INT64_MAX, true },
};

static int find_verb(const json_t *root, enum control_verb *out, struct vmm_error *err)
{
	const char *name = json_string_value(json_object_get(root, "command"));

	if (!name)
		return vmm_error_set(err, -EBADMSG, "\"command\" is not a text");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (strcmp(name, rules[i].name) != 0)
			continue;
		*out = (enum control_verb)i;
		return 0;
	}
	return vmm_error_set(err, -EBADMSG, "unknown command");
}

static int get_number(const json_t *root, struct control_request *request,
		      size_t *out_keys, struct vmm_error *err)
{
	const struct verb_rule *rule = &rules[request->verb];
	const json_t *number = rule->number ? json_object_get(root, rule->number) : NULL;
	json_int_t value = json_integer_value(number);

	*out_keys = number ? 1 : 0;
	if (!number && rule->required)
		return vmm_error_set(err, -EBADMSG, "%s needs \"%s\"", rule->name,
				     rule->number);
	if (number &&
	    (!json_is_integer(number) || value < rule->min || value > rule->max))
		return vmm_error_set(err, -EBADMSG, "\"%s\" is not a number in range",
				     rule->number);
	if (request->verb == CONTROL_STOP)
		request->timeout = number ? (uint32_t)value : CONTROL_STOP_SECONDS;
	else
		request->bytes = (uint64_t)value;
	return 0;
}

static int get_disk(const json_t *root, struct control_request *request,
		    struct vmm_error *err)
{
	const json_t *disk = json_object_get(root, "disk");
	const char *name = json_string_value(disk);

	if (!name || strlen(name) != json_string_length(disk) || !name[0] ||
	    strlen(name) > CONTROL_DISK_MAX)
		return vmm_error_set(err, -EBADMSG, "\"disk\" names no disk");
	strcpy(request->disk, name);
	return 0;
}

static int decode(const json_t *root, struct control_request *out, struct vmm_error *err)
{
	const json_t *id = json_object_get(root, "id");
	size_t keys;
	int ret;

	if (!json_is_object(root))
		return vmm_error_set(err, -EBADMSG, "not a JSON object");
	if (id && !json_is_integer(id))
		return vmm_error_set(err, -EBADMSG, "\"id\" is not an integer");
	out->has_id = id != NULL;
	out->id = json_integer_value(id);
	ret = find_verb(root, &out->verb, err);
	if (ret == 0)
		ret = get_number(root, out, &keys, err);
	if (ret == 0 && rules[out->verb].disk) {
		ret = get_disk(root, out, err);
		keys++;
	}
	if (ret == 0 && json_object_size(root) != 1 + keys + (id ? 1 : 0))
		ret = vmm_error_set(err, -EBADMSG, "a key that %s does not have",
				    rules[out->verb].name);
	return ret;
}

int control_decode(const char *line, size_t len, struct control_request *out,
		   struct vmm_error *err)
{
	json_error_t where;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	int ret;

	memset(out, 0, sizeof(*out));
	/* Its text repeats input, which need not be fit to be printed. */
	if (!root)
		return vmm_error_set(err, -EBADMSG, "not JSON, at byte %d",
				     where.position);
	ret = decode(root, out, err);
	json_decref(root);
	return ret;
}

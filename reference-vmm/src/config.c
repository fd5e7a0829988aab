/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config-toml.h"
#include "config.h"
#include "control-place.h"
#include "option-table.h"

/* A walk through the tree of a machine file. */
struct walk {
	struct machine_desc *desc;
	struct vmm_error *err;
	size_t number; /* of the value that it has come to */
};

static const char *get_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* Between quotes, where only a quote means something, as the option's list has it. */
static void write_quoted(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

static int write_word(struct walk *walk, FILE *out, const char *key, const json_t *value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *text = get_text(value);

	if (key[strspn(key, letters)] || !key[0])
		return vmm_error_set(walk->err, -EINVAL, "unknown word '%.64s'", key);
	if (json_is_false(value))
		return 0;
	(void)fputs(key, out);
	if (json_is_integer(value)) {
		(void)fprintf(out, "=%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else if (text) {
		(void)fputc('=', out);
		write_quoted(out, text);
	} else if (!json_is_true(value)) {
		return vmm_error_set(walk->err, -EINVAL,
				     "%s is no text, whole number, true or false", key);
	}
	(void)fputc(',', out);
	return 0;
}

/* An object as the list of words that the option takes. */
static int write_words(struct walk *walk, FILE *out, json_t *object)
{
	int ret = 0;

	for (void *at = json_object_iter(object); ret == 0 && at;
	     at = json_object_iter_next(object, at)) {
		walk->number++;
		ret = write_word(walk, out, json_object_iter_key(at),
				 json_object_iter_value(at));
	}
	return ret;
}

static int write_value(struct walk *walk, FILE *out, const struct run_option *option,
		       json_t *value)
{
	const char *text = get_text(value);

	if (json_is_object(value) && option->words)
		return write_words(walk, out, value);
	if (json_is_integer(value))
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (text)
		(void)fputs(text, out);
	else
		return vmm_error_set(walk->err, -EINVAL, "%s is no text%s", option->name,
				     option->words ? " and no table" : " and no number");
	return 0;
}

static int apply_text(struct walk *walk, const struct run_option *option, json_t *value)
{
	size_t len, number = walk->number;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	int ret;

	if (!out)
		return vmm_error_set(walk->err, -ENOMEM, "out of memory");
	ret = write_value(walk, out, option, value);
	if (fclose(out) != 0 && ret == 0)
		ret = vmm_error_set(walk->err, -ENOMEM, "out of memory");
	if (ret == 0) {
		walk->number = number; /* the option's message is about all of it */
		ret = option->set(walk->desc, text, walk->err);
		walk->number += ret == 0 ? json_object_size(value) : 0;
	}
	free(text);
	return ret;
}

static int apply_flag(struct walk *walk, const struct run_option *option,
		      const json_t *value)
{
	if (!json_is_boolean(value))
		return vmm_error_set(walk->err, -EINVAL, "%s is neither true nor false",
				     option->name);
	return json_is_true(value) ? option->set(walk->desc, NULL, walk->err) : 0;
}

static int apply_option(struct walk *walk, const struct run_option *option, json_t *value)
{
	json_t *item;
	size_t i;
	int ret;

	if (!option->value)
		return apply_flag(walk, option, value);
	if (!json_is_array(value) || !option->clear)
		return apply_text(walk, option, value);
	json_array_foreach(value, i, item)
	{
		walk->number++;
		ret = apply_text(walk, option, item);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int apply_root(struct walk *walk, json_t *root)
{
	int ret = 0;

	if (!json_is_object(root))
		return vmm_error_set(walk->err, -EINVAL, "not an object with options");
	for (void *at = json_object_iter(root); ret == 0 && at;
	     at = json_object_iter_next(root, at)) {
		const char *key = json_object_iter_key(at);
		const struct run_option *option = option_find(key);

		walk->number++;
		if (!option || option->command_line || strcmp(key, option->name) != 0)
			return vmm_error_set(walk->err, -EINVAL, "unknown key '%.64s'",
					     key);
		ret = apply_option(walk, option, json_object_iter_value(at));
	}
	return ret;
}

/* One line, whatever the file has in it; options name themselves without dashes here. */
static int say_where(const char *name, const struct config_place *place, int code,
		     const char *problem, struct vmm_error *err)
{
	char line[sizeof(err->message)];

	if (strncmp(problem, "--", 2) == 0)
		problem += 2;
	(void)snprintf(line, sizeof(line), "%s", problem);
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	}
	return vmm_error_set(err, code, "%.100s:%u:%u: %s", name, place->line,
			     place->column, line);
}

int config_apply(const char *name, config_read_fn *read, const char *text, size_t len,
		 struct machine_desc *desc, struct vmm_error *err)
{
	struct config_place place = { .line = 1, .column = 1 };
	struct vmm_error problem = { 0 };
	struct walk walk = { .desc = desc, .err = &problem };
	json_t *root = read(text, len, &place);
	int ret;

	if (!root)
		return say_where(name, &place, -EINVAL, place.problem, err);
	ret = apply_root(&walk, root);
	json_decref(root);
	if (ret == 0)
		return 0;
	/* Read it again to find out where that was: mistakes may take time. */
	place.number = walk.number;
	json_decref(read(text, len, &place));
	return say_where(name, &place, ret, problem.message, err);
}

/* Files. */

/* Count a relative name from the machine file's directory, of @len bytes. */
static int move_path(char *path, size_t room, const char *file, size_t len,
		     struct vmm_error *err)
{
	size_t old = strlen(path);

	if (path[0] == '\0' || path[0] == '/' || len == 0)
		return 0;
	if (len + old >= room)
		return vmm_error_set(err, -ENAMETOOLONG,
				     "%.100s: with its directory, %.60s is too long",
				     file, path);
	memmove(path + len, path, old + 1);
	memcpy(path, file, len);
	return 0;
}

static int move_paths(struct machine_desc *desc, const char *file, struct vmm_error *err)
{
	const char *slash = strrchr(file, '/');
	size_t len = slash ? (size_t)(slash - file) + 1 : 0;
	int ret = move_path(desc->kernel, sizeof(desc->kernel), file, len, err);

	if (ret == 0)
		ret = move_path(desc->initrd, sizeof(desc->initrd), file, len, err);
	if (ret == 0)
		ret = move_path(desc->kvm_path, sizeof(desc->kvm_path), file, len, err);
	if (ret == 0)
		ret =
		    move_path(desc->vsock.path, sizeof(desc->vsock.path), file, len, err);
	for (uint32_t i = 0; ret == 0 && i < desc->disk_count; i++)
		ret = move_path(desc->disks[i].path, sizeof(desc->disks[i].path), file,
				len, err);
	for (uint32_t i = 0; ret == 0 && i < desc->nic_count; i++) {
		if (desc->nics[i].kind == NIC_PASST)
			ret = move_path(desc->nics[i].name, sizeof(desc->nics[i].name),
					file, len, err);
	}
	return ret;
}

/* The whole file; it may be a pipe. */
static int read_all(const char *path, char *text, size_t *out_len, struct vmm_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : 1;
	size_t len = 0;

	while (got > 0 && len <= CONFIG_LEN_MAX) {
		got = read(fd, text + len, CONFIG_LEN_MAX + 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		(void)vmm_error_set(err, -errno, "%.160s: %s", path, strerror(errno));
	else if (len > CONFIG_LEN_MAX)
		got = vmm_error_set(err, -EFBIG, "%.160s: more than %d bytes", path,
				    CONFIG_LEN_MAX);
	if (fd >= 0)
		(void)close(fd);
	*out_len = len;
	return got < 0 ? -EIO : 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

int config_load(const char *path, struct machine_desc *desc, struct vmm_error *err)
{
	config_read_fn *read = config_read_json;
	char *text;
	size_t len;
	int ret = 0;

	if (ends_with(path, ".toml"))
		ret = config_get_toml(&read, err);
	if (ret < 0)
		return ret;
	text = malloc(CONFIG_LEN_MAX + 1);
	if (!text)
		return vmm_error_set(err, -ENOMEM, "%.160s: out of memory", path);
	ret = read_all(path, text, &len, err);
	if (ret == 0)
		ret = config_apply(path, read, text, len, desc, err);
	if (ret == 0)
		ret = move_paths(desc, path, err);
	free(text);
	return ret;
}

int config_find(const char *name, char *path, struct vmm_error *err)
{
	static const char *const ends[] = { "toml", "json" };
	const char *dir = getenv("VMCONF_DIR"), *home = getenv("HOME"), *below = "";
	int len, ret = control_check_name(name, err);

	if (ret < 0)
		return ret;
	if (!dir || !dir[0]) {
		dir = home ? home : "";
		below = "/vm";
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		len =
		    snprintf(path, PATH_LEN_MAX, "%s%s/%s.%s", dir, below, name, ends[i]);
		if (len < PATH_LEN_MAX && access(path, F_OK) == 0)
			return 0;
	}
	return vmm_error_set(err, -ENOENT,
			     "no machine file %.64s.toml or %.64s.json in %.64s%s", name,
			     name, dir, below);
}

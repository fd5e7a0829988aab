/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/loader.h>

#include "bytes.h"
#include "plan.h"
#include "sys.h"
#include "words.h"

struct vmm_load_cmdline {
	size_t max;
	/* Four buffers of max bytes behind the structure, so that no change fails for
	 * want of memory: the two parts, the text made of them, and a draft. */
	char *boot;
	char *init;
	char *text;
	char *draft;
};

int vmm_load_cmdline_new(size_t max, struct vmm_load_cmdline **out)
{
	struct vmm_load_cmdline *c;

	if (max == 0 || max > VMM_LOAD_CMDLINE_MAX)
		return -EINVAL;
	c = load_sys_alloc(sizeof(*c) + 4 * max);
	if (!c)
		return -ENOMEM;
	c->max = max;
	c->boot = (char *)(c + 1);
	c->init = c->boot + max;
	c->text = c->init + max;
	c->draft = c->text + max;
	*out = c;
	return 0;
}

void vmm_load_cmdline_free(struct vmm_load_cmdline *cmdline)
{
	free(cmdline);
}

const char *vmm_load_cmdline_get_text(const struct vmm_load_cmdline *cmdline)
{
	return cmdline->text;
}

size_t vmm_load_cmdline_get_len(const struct vmm_load_cmdline *cmdline)
{
	return strlen(cmdline->text);
}

static int too_long(size_t len, size_t max, struct vmm_error *err)
{
	return vmm_error_at(err, -E2BIG, 0, max, len,
			    "command line: %zu bytes, the limit is %zu", len, max);
}

/* Bytes that the kernel takes as they are, and quotes in pairs. */
static int check_text(const char *text, struct vmm_error *err)
{
	size_t quotes = 0, i;

	for (i = 0; text[i]; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return vmm_error_at(
			    err, -EINVAL, i, 0, (uint8_t)text[i],
			    "command line: byte 0x%02x at offset %zu is not "
			    "printable ASCII",
			    (uint8_t)text[i], i);
		quotes += text[i] == '"';
	}
	if (quotes % 2)
		return vmm_error_at(err, -EINVAL, i, 0, 0,
				    "command line: a quote that is not closed");
	return 0;
}

/* Length of boot and init part put together. */
static size_t rendered_len(size_t boot, size_t init)
{
	return init == 0 ? boot : boot + (boot ? 1 : 0) + 3 + init;
}

static void render(struct vmm_load_cmdline *c)
{
	size_t boot = strlen(c->boot), at = boot;

	memcpy(c->text, c->boot, boot + 1);
	if (c->init[0] == '\0')
		return;
	if (boot)
		c->text[at++] = ' ';
	memcpy(c->text + at, "-- ", 3);
	memcpy(c->text + at + 3, c->init, strlen(c->init) + 1);
}

/* Outer white space goes; what is between words stays as it is. */
static void trim(const char **text, size_t *len)
{
	while (*len && (*text)[0] == ' ') {
		(*text)++;
		(*len)--;
	}
	while (*len && (*text)[*len - 1] == ' ')
		(*len)--;
}

/* Appends to one part; @p text was checked. */
static int append(struct vmm_load_cmdline *c, char *part, const char *text, size_t len,
		  struct vmm_error *err)
{
	size_t boot = strlen(c->boot), init = strlen(c->init), old = strlen(part), total;
	size_t add;

	trim(&text, &len);
	if (len == 0)
		return 0;
	add = len + (old ? 1 : 0);
	total = part == c->boot ? rendered_len(boot + add, init)
				: rendered_len(boot, init + add);
	if (total > c->max - 1)
		return too_long(total, c->max - 1, err);

	if (old)
		part[old++] = ' ';
	memcpy(part + old, text, len);
	part[old + len] = '\0';
	render(c);
	return 0;
}

/* Where the word `--` starts, or NULL. */
static const char *find_dashes(const char *text)
{
	struct word w;

	while (word_next(&text, &w))
		if (word_is_dashes(&w))
			return w.at;
	return NULL;
}

int vmm_load_cmdline_set_text(struct vmm_load_cmdline *cmdline, const char *text,
			      struct vmm_error *err)
{
	const char *dashes = find_dashes(text);
	const char *boot = text, *init = dashes ? dashes + 2 : "";
	size_t boot_len = dashes ? (size_t)(dashes - text) : strlen(text);
	size_t init_len = strlen(init), total;
	int ret = check_text(text, err);

	if (ret < 0)
		return ret;
	trim(&boot, &boot_len);
	trim(&init, &init_len);
	total = rendered_len(boot_len, init_len);
	if (total > cmdline->max - 1)
		return too_long(total, cmdline->max - 1, err);

	/* The text may be our own. */
	memcpy(cmdline->draft, init, init_len);
	memmove(cmdline->boot, boot, boot_len);
	cmdline->boot[boot_len] = '\0';
	memcpy(cmdline->init, cmdline->draft, init_len);
	cmdline->init[init_len] = '\0';
	render(cmdline);
	return 0;
}

int vmm_load_cmdline_add_text(struct vmm_load_cmdline *cmdline, const char *text,
			      struct vmm_error *err)
{
	int ret = check_text(text, err);

	if (ret < 0)
		return ret;
	if (find_dashes(text))
		return vmm_error_set(err, -EINVAL,
				     "command line: `--` among the boot parameters");
	return append(cmdline, cmdline->boot, text, strlen(text), err);
}

int vmm_load_cmdline_add_init(struct vmm_load_cmdline *cmdline, const char *text,
			      struct vmm_error *err)
{
	int ret = check_text(text, err);

	return ret < 0 ? ret : append(cmdline, cmdline->init, text, strlen(text), err);
}

static int check_key(const char *key, struct vmm_error *err)
{
	int ret = check_text(key, err);

	if (ret < 0)
		return ret;
	if (key[0] == '\0' || strpbrk(key, " =\"") || strcmp(key, "--") == 0)
		return vmm_error_set(
		    err, -EINVAL, "command line: '%.64s' is not the name of a parameter",
		    key);
	return 0;
}

/* Says whether quotes have to be put around a value. */
static int check_value(const char *value, bool *out_quote, struct vmm_error *err)
{
	size_t len = strlen(value);
	bool quoted = len >= 2 && value[0] == '"' && value[len - 1] == '"';
	const char *inner = strchr(quoted ? value + 1 : value, '"');
	int ret = check_text(value, err);

	if (ret < 0)
		return ret;
	if (inner && (!quoted || inner != value + len - 1))
		return vmm_error_set(err, -EINVAL,
				     "command line: a quote inside the value '%.64s'",
				     value);
	*out_quote = !quoted && strchr(value, ' ');
	return 0;
}

int vmm_load_cmdline_add(struct vmm_load_cmdline *cmdline, const char *key,
			 const char *value, struct vmm_error *err)
{
	const char *quote = "";
	bool need_quote = false;
	int ret = check_key(key, err), len;

	if (ret == 0 && value)
		ret = check_value(value, &need_quote, err);
	if (ret < 0)
		return ret;
	if (need_quote)
		quote = "\"";
	len = snprintf(cmdline->draft, cmdline->max, "%s%s%s%s%s", key, value ? "=" : "",
		       quote, value ? value : "", quote);
	if (len < 0 || (size_t)len >= cmdline->max)
		return too_long(len < 0 ? SIZE_MAX : (size_t)len, cmdline->max - 1, err);
	return append(cmdline, cmdline->boot, cmdline->draft, (size_t)len, err);
}

int vmm_load_cmdline_add_list(struct vmm_load_cmdline *cmdline, const char *key,
			      const char *const *values, size_t count,
			      struct vmm_error *err)
{
	size_t at;
	int ret = check_key(key, err);

	if (ret < 0)
		return ret;
	if (count == 0)
		return vmm_error_set(err, -EINVAL, "command line: no value for '%.64s'",
				     key);
	at = strlen(key);
	for (size_t i = 0; i < count; i++) {
		ret = check_text(values[i], err);
		if (ret == 0 && strpbrk(values[i], " ,\""))
			ret = vmm_error_set(
			    err, -EINVAL, "command line: '%.64s' cannot be one of a list",
			    values[i]);
		if (ret < 0)
			return ret;
		at += 1 + strlen(values[i]);
	}
	if (at > cmdline->max - 1)
		return too_long(at, cmdline->max - 1, err);

	at = strlen(key);
	memcpy(cmdline->draft, key, at);
	for (size_t i = 0; i < count; i++) {
		cmdline->draft[at++] = i ? ',' : '=';
		memcpy(cmdline->draft + at, values[i], strlen(values[i]));
		at += strlen(values[i]);
	}
	return append(cmdline, cmdline->boot, cmdline->draft, at, err);
}

int vmm_load_cmdline_add_virtio_mmio(struct vmm_load_cmdline *cmdline, uint64_t len,
				     uint64_t gpa, uint32_t irq, int32_t id,
				     struct vmm_error *err)
{
	static const char suffixes[] = "KMG";
	char text[96], suffix[2] = "", number[16] = "";
	uint64_t last;

	if (len == 0 || range_last(gpa, len, &last) || id < -1)
		return vmm_error_at(err, -EINVAL, gpa, 0, len,
				    "command line: no virtio-mmio device has %" PRIu64
				    " bytes at 0x%" PRIx64 " and number %d",
				    len, gpa, id);
	for (size_t i = 0; i < 3 && len % 1024 == 0; i++) {
		len /= 1024;
		suffix[0] = suffixes[i];
	}
	if (id >= 0)
		(void)snprintf(number, sizeof(number), ":%d", id);
	(void)snprintf(text, sizeof(text), "%" PRIu64 "%s@0x%" PRIx64 ":%u%s", len,
		       suffix, gpa, irq, number);
	return vmm_load_cmdline_add(cmdline, "virtio_mmio.device", text, err);
}

int vmm_load_cmdline_get(const struct vmm_load_cmdline *cmdline, const char *key,
			 char *buf, size_t size, size_t *out_len)
{
	const char *text = cmdline->boot, *value = NULL;
	size_t len = 0, n;
	struct word w;

	while (word_next(&text, &w))
		if (word_has_key(&w, key))
			word_value(&w, &value, &len);
	if (!value)
		return -ENOENT;
	if (size) {
		n = len < size - 1 ? len : size - 1;
		memcpy(buf, value, n);
		buf[n] = '\0';
	}
	if (out_len)
		*out_len = len;
	return 0;
}

/* Writes the boot part without @p key to the draft. */
static size_t draft_without(struct vmm_load_cmdline *c, const char *key, size_t *out_len)
{
	const char *text = c->boot;
	size_t found = 0, at = 0;
	struct word w;

	while (word_next(&text, &w)) {
		if (word_has_key(&w, key)) {
			found++;
			continue;
		}
		if (at)
			c->draft[at++] = ' ';
		memcpy(c->draft + at, w.at, w.len);
		at += w.len;
	}
	c->draft[at] = '\0';
	*out_len = at;
	return found;
}

size_t vmm_load_cmdline_remove(struct vmm_load_cmdline *cmdline, const char *key)
{
	size_t len, found = draft_without(cmdline, key, &len);

	if (found) {
		memcpy(cmdline->boot, cmdline->draft, len + 1);
		render(cmdline);
	}
	return found;
}

int vmm_load_cmdline_set(struct vmm_load_cmdline *cmdline, const char *key,
			 const char *value, struct vmm_error *err)
{
	size_t rest, word, total;
	bool quote = false;
	int ret = check_key(key, err);

	if (ret == 0 && value)
		ret = check_value(value, &quote, err);
	if (ret < 0)
		return ret;
	(void)draft_without(cmdline, key, &rest);
	word = strlen(key) + (value ? 1 + strlen(value) + (quote ? 2 : 0) : 0);
	total = rendered_len(rest + (rest ? 1 : 0) + word, strlen(cmdline->init));
	if (total > cmdline->max - 1)
		return too_long(total, cmdline->max - 1, err);

	(void)vmm_load_cmdline_remove(cmdline, key);
	return vmm_load_cmdline_add(cmdline, key, value, err);
}

int vmm_load_cmdline_write(const struct vmm_mem *mem, uint64_t gpa, const char *text,
			   uint32_t max, struct vmm_error *err)
{
	size_t len = strlen(text);
	int ret;

	if (len > max)
		return too_long(len, max, err);
	ret = load_mem_check_named(mem, gpa, len + 1, "command line", "its place", err);
	if (ret == 0)
		ret = vmm_mem_write(mem, gpa, text, len + 1);
	return ret;
}

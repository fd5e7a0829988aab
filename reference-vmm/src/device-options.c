/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device-options.h"
#include "values.h"

/* What a word of a list sets. */
enum kind { FLAG, NUMBER32, SIZE, TEXT };

struct word_rule {
	const char *key;
	enum kind kind;
	size_t offset; /* in the device's description */
	uint64_t max;  /* of a number; room of a text */
};

static int bad_value(const char *option, const struct value_word *word,
		     struct vmm_error *err)
{
	return vmm_error_set(err, -EINVAL, "%s: %.32s=%.64s makes no sense", option,
			     word->key, word->value);
}

static int set_number(const struct word_rule *rule, const struct value_word *word,
		      void *field)
{
	uint64_t number = 0;
	int ret = rule->kind == SIZE ? value_size(word->value, 1, &number)
				     : value_number(word->value, &number);

	if (ret < 0 || number == 0 || number > rule->max)
		return -EINVAL;
	if (rule->kind == SIZE)
		*(uint64_t *)field = number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static int set_field(const char *option, const struct word_rule *rule,
		     const struct value_word *word, void *device, struct vmm_error *err)
{
	char *field = (char *)device + rule->offset;

	if (rule->kind == FLAG) {
		if (word->value)
			return vmm_error_set(err, -EINVAL, "%s: %s takes no value",
					     option, rule->key);
		*(bool *)field = true;
		return 0;
	}
	if (!word->value || !word->value[0])
		return vmm_error_set(err, -EINVAL, "%s: %s needs a value", option,
				     rule->key);
	if (rule->kind != TEXT)
		return set_number(rule, word, field) < 0 ? bad_value(option, word, err)
							 : 0;
	if (strlen(word->value) >= rule->max)
		return vmm_error_set(err, -EINVAL, "%s: %s is longer than %llu bytes",
				     option, rule->key,
				     (unsigned long long)rule->max - 1);
	strcpy(field, word->value);
	return 0;
}

/* Read a list. A word without a key that is known goes to the rule of @first, if it is
 * the first one. */
static int parse_list(const char *option, const char *text, const struct word_rule *rules,
		      const struct word_rule *first, void *device, struct vmm_error *err)
{
	char *copy = strdup(text), *rest = copy;
	const struct word_rule *rule;
	struct value_word word;
	int ret = copy ? 0 : -ENOMEM;

	if (ret < 0)
		return vmm_error_set(err, ret, "%s: out of memory", option);
	for (bool is_first = true; ret == 0 && value_next(&rest, &word);
	     is_first = false) {
		for (rule = rules; rule->key && strcmp(rule->key, word.key) != 0;)
			rule++;
		if (is_first && first && !word.value) {
			word.value = word.key;
			rule = first;
		}
		if (rule->key)
			ret = set_field(option, rule, &word, device, err);
		else
			ret = vmm_error_set(err, -EINVAL, "%s: unknown word '%.64s'",
					    option, word.key);
	}
	free(copy);
	return ret;
}

#define DISK(member) offsetof(struct disk_desc, member)

static const struct word_rule disk_rules[] = {
	{ "path", TEXT, DISK(path), PATH_LEN_MAX },
	{ "ro", FLAG, DISK(readonly), 0 },
	{ "direct", FLAG, DISK(direct), 0 },
	{ "id", TEXT, DISK(id), DISK_ID_MAX + 1 },
	{ "queues", NUMBER32, DISK(queues), DISK_QUEUES_MAX },
	{ "rate", SIZE, DISK(bytes_per_second), INT64_MAX },
	{ "iops", SIZE, DISK(ops_per_second), INT64_MAX },
	{ NULL, FLAG, 0, 0 },
};

int set_disk(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	struct disk_desc *disk = &desc->disks[desc->disk_count];
	int ret;

	if (desc->disk_count == DISKS_MAX)
		return vmm_error_set(err, -EINVAL, "--disk: at most %d disks", DISKS_MAX);
	disk->queues = 1;
	ret = parse_list("--disk", value, disk_rules, &disk_rules[0], disk, err);
	if (ret < 0)
		return ret;
	if (!disk->path[0])
		return vmm_error_set(err, -EINVAL, "--disk needs a file name");
	desc->disk_count++;
	return 0;
}

int set_rng(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	desc->rng = true;
	return 0;
}

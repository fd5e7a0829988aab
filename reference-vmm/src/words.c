/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

static int set_number(const struct word_rule *rule, const char *value, void *field)
{
	uint64_t number = 0;
	int ret = rule->kind == WORD_SIZE ? value_size(value, 1, &number)
					  : value_number(value, &number);

	if (ret < 0 || number < rule->min || number > rule->max)
		return -EINVAL;
	if (rule->kind == WORD_NUMBER16)
		*(uint16_t *)field = (uint16_t)number;
	else if (rule->kind == WORD_NUMBER32)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = number;
	return 0;
}

/* Of one station, not of a group, and not zeros. */
static int set_mac(const char *value, uint8_t mac[6])
{
	static const char digits[] = "0123456789abcdef";
	static const uint8_t zeros[6];

	if (strlen(value) != 17)
		return -EINVAL;
	for (int i = 0; i < 17; i++) {
		bool is_digit = isxdigit((unsigned char)value[i]);
		const char *digit = strchr(digits, value[i] | 0x20); /* either case */

		if (i % 3 == 2 ? value[i] != ':' : !is_digit || !digit)
			return -EINVAL;
		if (i % 3 != 2)
			mac[i / 3] = (uint8_t)(mac[i / 3] << 4 | (digit - digits));
	}
	return mac[0] & 1 || memcmp(mac, zeros, sizeof(zeros)) == 0 ? -EINVAL : 0;
}

static int set_text(const char *option, const struct word_rule *rule, const char *value,
		    char *field, struct vmm_error *err)
{
	if (strlen(value) > rule->max)
		return vmm_error_set(err, -EINVAL, "%s: %s is longer than %llu bytes",
				     option, rule->key, (unsigned long long)rule->max);
	strcpy(field, value);
	return 0;
}

int words_set(const char *option, const struct word_rule *rule,
	      const struct value_word *word, void *object, struct vmm_error *err)
{
	char *field = (char *)object + rule->offset;
	int ret;

	if (rule->kind == WORD_FLAG) {
		if (word->value)
			return vmm_error_set(err, -EINVAL, "%s: %s takes no value",
					     option, rule->key);
		*(bool *)field = true;
		return 0;
	}
	if (!word->value || !word->value[0])
		return vmm_error_set(err, -EINVAL, "%s: %s needs a value", option,
				     rule->key);
	if (rule->kind == WORD_TEXT)
		return set_text(option, rule, word->value, field, err);
	ret = rule->kind == WORD_MAC ? set_mac(word->value, (uint8_t *)field)
				     : set_number(rule, word->value, field);
	return ret < 0 ? vmm_error_set(err, ret, "%s: %s=%.64s makes no sense", option,
				       rule->key, word->value)
		       : 0;
}

const struct word_rule *words_find(const struct word_rule *rules, const char *key)
{
	for (; rules->key; rules++) {
		if (strcmp(rules->key, key) == 0)
			return rules;
	}
	return NULL;
}

int words_parse(const char *option, const char *text, const struct word_rule *rules,
		const struct word_rule *first, void *object, struct vmm_error *err)
{
	char *copy = strdup(text), *rest = copy;
	const struct word_rule *rule;
	struct value_word word;
	int ret = copy ? 0 : -ENOMEM;

	if (ret < 0)
		return vmm_error_set(err, ret, "%s: out of memory", option);
	for (; ret == 0 && value_next(&rest, &word); first = NULL) {
		rule = words_find(rules, word.key);
		if (first && !word.value) {
			word.value = word.key;
			rule = first;
		}
		if (rule)
			ret = words_set(option, rule, &word, object, err);
		else
			ret = vmm_error_set(err, -EINVAL, "%s: unknown word '%.64s'",
					    option, word.key);
	}
	free(copy);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device-options.h"
#include "values.h"

/* What a word of a list sets. */
enum kind { FLAG, NUMBER16, NUMBER32, NUMBER64, SIZE, TEXT, MAC };

struct word_rule {
	const char *key;
	enum kind kind;
	size_t offset; /* in the device's description */
	uint64_t min;  /* of a number */
	uint64_t max;  /* of a number; length of a text */
};

static int set_number(const struct word_rule *rule, const char *value, void *field)
{
	uint64_t number = 0;
	int ret = rule->kind == SIZE ? value_size(value, 1, &number)
				     : value_number(value, &number);

	if (ret < 0 || number < rule->min || number > rule->max)
		return -EINVAL;
	if (rule->kind == NUMBER16)
		*(uint16_t *)field = (uint16_t)number;
	else if (rule->kind == NUMBER32)
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

static int set_field(const char *option, const struct word_rule *rule,
		     const struct value_word *word, void *device, struct vmm_error *err)
{
	char *field = (char *)device + rule->offset;
	int ret;

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
	if (rule->kind == TEXT)
		return set_text(option, rule, word->value, field, err);
	ret = rule->kind == MAC ? set_mac(word->value, (uint8_t *)field)
				: set_number(rule, word->value, field);
	return ret < 0 ? vmm_error_set(err, ret, "%s: %s=%.64s makes no sense", option,
				       rule->key, word->value)
		       : 0;
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
	{ "path", TEXT, DISK(path), 0, PATH_LEN_MAX - 1 },
	{ "ro", FLAG, DISK(readonly), 0, 0 },
	{ "direct", FLAG, DISK(direct), 0, 0 },
	{ "id", TEXT, DISK(id), 0, DISK_ID_MAX },
	{ "queues", NUMBER32, DISK(queues), 1, DISK_QUEUES_MAX },
	{ "rate", SIZE, DISK(bytes_per_second), 1, INT64_MAX },
	{ "iops", SIZE, DISK(ops_per_second), 1, INT64_MAX },
	{ NULL, FLAG, 0, 0, 0 },
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

#define NIC(member) offsetof(struct nic_desc, member)

static const struct word_rule nic_rules[] = {
	{ "mac", MAC, NIC(mac), 0, 0 },
	{ "queues", NUMBER32, NIC(queues), 1, NIC_QUEUES_MAX },
	{ "mtu", NUMBER16, NIC(mtu), 68, UINT16_MAX },
	{ NULL, FLAG, 0, 0, 0 },
};

/* The first word: what the interface leads to. */
static int set_back_end(struct nic_desc *nic, const struct value_word *word,
			struct vmm_error *err)
{
	static const struct word_rule tap = { "tap", TEXT, NIC(name), 0, 15 };
	static const struct word_rule fd = { "tap-fd", NUMBER32, NIC(fd), 0, INT32_MAX };
	static const struct word_rule passt = { "passt", TEXT, NIC(name), 0,
						NIC_NAME_MAX };

	if (strcmp(word->key, "none") == 0 && !word->value)
		return 0;
	if (strcmp(word->key, "tap") == 0) {
		nic->kind = NIC_TAP;
		return set_field("--net", &tap, word, nic, err);
	}
	if (strcmp(word->key, "tap-fd") == 0) {
		nic->kind = NIC_TAP_FD;
		return set_field("--net", &fd, word, nic, err);
	}
	if (strcmp(word->key, "passt") == 0) {
		nic->kind = NIC_PASST;
		return word->value ? set_field("--net", &passt, word, nic, err) : 0;
	}
	return vmm_error_set(err, -EINVAL,
			     "--net: '%.64s' is none of tap=IF, tap-fd=N, passt, none",
			     word->key);
}

int set_net(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	struct nic_desc *nic = &desc->nics[desc->nic_count];
	char *copy = strdup(value), *rest = copy;
	struct value_word word = { .key = "" };
	int ret;

	if (!copy)
		return vmm_error_set(err, -ENOMEM, "--net: out of memory");
	(void)value_next(&rest, &word);
	if (desc->nic_count == NICS_MAX)
		ret =
		    vmm_error_set(err, -EINVAL, "--net: at most %d interfaces", NICS_MAX);
	else
		ret = set_back_end(nic, &word, err);
	nic->queues = 1;
	if (ret == 0)
		ret = parse_list("--net", rest, nic_rules, NULL, nic, err);
	if (ret == 0 && nic->queues > 1 && nic->kind != NIC_TAP)
		ret = vmm_error_set(err, -EINVAL, "--net: queues=%u needs tap=IF",
				    nic->queues);
	free(copy);
	desc->nic_count += ret == 0;
	return ret;
}

#define VSOCK(member) offsetof(struct vsock_desc, member)

int set_vsock(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	static const struct word_rule rules[] = {
		{ "cid", NUMBER64, VSOCK(cid), 3, UINT32_MAX - 1 },
		{ "socket", TEXT, VSOCK(path), 0, VSOCK_PATH_MAX },
		{ NULL, FLAG, 0, 0, 0 },
	};
	int ret = parse_list("--vsock", value, rules, NULL, &desc->vsock, err);

	if (ret == 0 && (!desc->vsock.cid || !desc->vsock.path[0]))
		ret = vmm_error_set(err, -EINVAL, "--vsock needs cid=N and socket=PATH");
	return ret;
}

int set_rng(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	desc->rng = true;
	return 0;
}

int set_balloon(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	desc->balloon = true;
	return 0;
}

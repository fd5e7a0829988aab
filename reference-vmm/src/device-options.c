/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device-options.h"
#include "words.h"

#define DISK(member) offsetof(struct disk_desc, member)

static const struct word_rule disk_rules[] = {
	{ "path", WORD_TEXT, DISK(path), 0, PATH_LEN_MAX - 1 },
	{ "ro", WORD_FLAG, DISK(readonly), 0, 0 },
	{ "direct", WORD_FLAG, DISK(direct), 0, 0 },
	{ "id", WORD_TEXT, DISK(id), 0, DISK_ID_MAX },
	{ "queues", WORD_NUMBER32, DISK(queues), 1, DISK_QUEUES_MAX },
	{ "rate", WORD_SIZE, DISK(bytes_per_second), 1, INT64_MAX },
	{ "iops", WORD_SIZE, DISK(ops_per_second), 1, INT64_MAX },
	{ NULL, WORD_FLAG, 0, 0, 0 },
};

int set_disk(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	struct disk_desc *disk = &desc->disks[desc->disk_count];
	int ret;

	if (desc->disk_count == DISKS_MAX)
		return vmm_error_set(err, -EINVAL, "--disk: at most %d disks", DISKS_MAX);
	disk->queues = 1;
	ret = words_parse("--disk", value, disk_rules, &disk_rules[0], disk, err);
	if (ret < 0)
		return ret;
	if (!disk->path[0])
		return vmm_error_set(err, -EINVAL, "--disk needs a file name");
	desc->disk_count++;
	return 0;
}

void clear_disks(struct machine_desc *desc)
{
	memset(desc->disks, 0, sizeof(desc->disks));
	desc->disk_count = 0;
}

#define NIC(member) offsetof(struct nic_desc, member)

static const struct word_rule nic_rules[] = {
	{ "mac", WORD_MAC, NIC(mac), 0, 0 },
	{ "queues", WORD_NUMBER32, NIC(queues), 1, NIC_QUEUES_MAX },
	{ "mtu", WORD_NUMBER16, NIC(mtu), 68, UINT16_MAX },
	{ NULL, WORD_FLAG, 0, 0, 0 },
};

/* What the interface leads to. */
static int set_back_end(struct nic_desc *nic, const struct value_word *word,
			struct vmm_error *err)
{
	static const struct word_rule tap = { "tap", WORD_TEXT, NIC(name), 0, 15 };
	static const struct word_rule fd = { "tap-fd", WORD_NUMBER32, NIC(fd), 0,
					     INT32_MAX };
	static const struct word_rule passt = { "passt", WORD_TEXT, NIC(name), 0,
						NIC_NAME_MAX };

	if (strcmp(word->key, "none") == 0 && !word->value)
		return 0;
	if (strcmp(word->key, "tap") == 0) {
		nic->kind = NIC_TAP;
		return words_set("--net", &tap, word, nic, err);
	}
	if (strcmp(word->key, "tap-fd") == 0) {
		nic->kind = NIC_TAP_FD;
		return words_set("--net", &fd, word, nic, err);
	}
	if (strcmp(word->key, "passt") == 0) {
		nic->kind = NIC_PASST;
		return word->value ? words_set("--net", &passt, word, nic, err) : 0;
	}
	return vmm_error_set(err, -EINVAL,
			     "--net: '%.64s' is none of tap=IF, tap-fd=N, passt, none",
			     word->key);
}

/* In any order: one word for the back end, and those of the table. */
static int set_nic(struct nic_desc *nic, char *list, struct vmm_error *err)
{
	struct value_word word = { .key = "" };
	bool has_back_end = false;
	int ret = 0;

	while (ret == 0 && value_next(&list, &word)) {
		const struct word_rule *rule = words_find(nic_rules, word.key);

		if (rule) {
			ret = words_set("--net", rule, &word, nic, err);
		} else if (has_back_end) {
			ret = vmm_error_set(err, -EINVAL, "--net: unknown word '%.64s'",
					    word.key);
		} else {
			ret = set_back_end(nic, &word, err);
			has_back_end = true;
		}
	}
	if (ret == 0 && !has_back_end)
		ret = set_back_end(nic, &(struct value_word){ .key = "" }, err);
	if (ret == 0 && nic->queues > 1 && nic->kind != NIC_TAP)
		ret = vmm_error_set(err, -EINVAL, "--net: queues=%u needs tap=IF",
				    nic->queues);
	return ret;
}

int set_net(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	struct nic_desc *nic = &desc->nics[desc->nic_count];
	char *copy;
	int ret;

	if (desc->nic_count == NICS_MAX)
		return vmm_error_set(err, -EINVAL, "--net: at most %d interfaces",
				     NICS_MAX);
	copy = strdup(value);
	if (!copy)
		return vmm_error_set(err, -ENOMEM, "--net: out of memory");
	nic->queues = 1;
	ret = set_nic(nic, copy, err);
	free(copy);
	desc->nic_count += ret == 0;
	return ret;
}

void clear_nets(struct machine_desc *desc)
{
	memset(desc->nics, 0, sizeof(desc->nics));
	desc->nic_count = 0;
}

#define VSOCK(member) offsetof(struct vsock_desc, member)

int set_vsock(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	static const struct word_rule rules[] = {
		{ "cid", WORD_NUMBER64, VSOCK(cid), 3, UINT32_MAX - 1 },
		{ "socket", WORD_TEXT, VSOCK(path), 0, VSOCK_PATH_MAX },
		{ NULL, WORD_FLAG, 0, 0, 0 },
	};
	int ret;

	memset(&desc->vsock, 0, sizeof(desc->vsock));
	ret = words_parse("--vsock", value, rules, NULL, &desc->vsock, err);

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

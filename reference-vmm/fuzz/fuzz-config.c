/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Machine files: whatever is in them, there is a machine or a line that says where they
 * are wrong. What was read as JSON and written again is the same machine.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "option-table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void check_message(const char *message, const char *text, size_t size)
{
	unsigned int line = 0, column = 0, lines = 1;

	require(sscanf(message, "f:%u:%u: ", &line, &column) == 2);
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	require(line >= 1 && line <= lines && column >= 1 && column <= size + 2);
	for (const char *c = message; *c; c++)
		require(*c >= ' ' && *c <= '~');
}

static void check_machine(const struct machine_desc *desc)
{
	require(desc->cpus >= 1 && desc->memory >= (1 << 20));
	require(desc->disk_count <= DISKS_MAX && desc->nic_count <= NICS_MAX);
	require(memchr(desc->cmdline, '\0', sizeof(desc->cmdline)) != NULL);
	for (uint32_t i = 0; i < desc->disk_count; i++)
		require(desc->disks[i].path[0] && desc->disks[i].queues >= 1);
	require(!desc->config[0] && !desc->dry_run && !desc->json && !desc->verbose);
}

static int apply(config_read_fn *read, const char *text, size_t size,
		 struct machine_desc *desc)
{
	struct vmm_error err = { 0 };
	int ret;

	memset(desc, 0, sizeof(*desc));
	options_set_defaults(desc);
	ret = config_apply("f", read, text, size, desc, &err);
	if (ret < 0)
		check_message(err.message, text, size);
	else
		check_machine(desc);
	return ret;
}

static void check_again(const char *text, size_t size, const struct machine_desc *first)
{
	static struct machine_desc second;
	struct config_place place = { 0 };
	json_t *root = config_read_json(text, size, &place);
	char *copy = json_dumps(root, JSON_INDENT(1));

	require(copy && apply(config_read_json, copy, strlen(copy), &second) == 0);
	require(memcmp(first, &second, sizeof(second)) == 0);
	free(copy);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine_desc desc;
	/* A copy of the exact size: a byte too far is a finding. */
	char *text = malloc(size + !size);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	if (apply(config_read_json, text, size, &desc) == 0)
		check_again(text, size, &desc);
#ifdef VMM_FUZZ_TOML
	(void)apply(config_read_toml, text, size, &desc);
#endif
	free(text);
	return 0;
}

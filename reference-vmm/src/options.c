/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/loader.h>

#include "config.h"
#include "option-table.h"

enum {
	NAMES_MAX = 64,	  /* of options, those of other VMMs counted */
	INDEX_BASE = 256, /* what getopt_long() returns for the first option */
};

/* An option as the command line has it. */
struct given {
	const struct run_option *option;
	const char *value;
};

/* The first disk is the root, unless somebody has other plans. */
static int add_root(struct machine_desc *desc, struct vmm_error *err)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *cmdline = NULL;
	int ret;

	if (desc->disk_count == 0 || desc->initrd[0])
		return 0;
	ret = vmm_load_cmdline_new(CMDLINE_MAX, &cmdline);
	if (ret == 0)
		ret = vmm_load_cmdline_set_text(cmdline, desc->cmdline, err);
	if (ret < 0 || vmm_load_cmdline_get(cmdline, "root", NULL, 0, NULL) == 0)
		return ret;
	ret = vmm_load_cmdline_add(cmdline, "root", "/dev/vda", err);
	if (ret == 0)
		ret = vmm_load_cmdline_add_text(
		    cmdline, desc->disks[0].readonly ? "ro" : "rw", err);
	if (ret == 0)
		strcpy(desc->cmdline, vmm_load_cmdline_get_text(cmdline));
	return ret;
}

static void add_long(struct option *longs, size_t *count, const char *name, size_t index)
{
	struct option *one = &longs[(*count)++];

	one->name = name;
	one->has_arg = option_at(index)->value ? required_argument : no_argument;
	one->val = INDEX_BASE + (int)index;
}

/* The table as getopt_long() wants it. */
static void make_tables(struct option longs[NAMES_MAX + 1], char shorts[2 * NAMES_MAX])
{
	const struct run_option *option;
	size_t count = 0;

	*shorts++ = ':';
	for (size_t i = 0; (option = option_at(i)); i++) {
		add_long(longs, &count, option->name, i);
		for (size_t a = 0; a < OPTION_ALIASES_MAX && option->aliases[a]; a++)
			add_long(longs, &count, option->aliases[a], i);
		if (option->letter)
			*shorts++ = option->letter;
		if (option->letter && option->value)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

/* What getopt_long() returned: a letter, or an index. NULL: nothing we know. */
static const struct run_option *option_of(int code)
{
	const struct run_option *option;

	if (code >= INDEX_BASE)
		return option_at((size_t)(code - INDEX_BASE));
	for (size_t i = 0; (option = option_at(i)); i++) {
		if (option->letter == code)
			break;
	}
	return option;
}

/* Find out what is given, without doing it. @given: room for argc */
static int read_options(int argc, char **argv, struct given *given, size_t *out_count,
			struct vmm_error *err)
{
	struct option longs[NAMES_MAX + 1] = { 0 };
	char shorts[2 * NAMES_MAX];
	size_t count = 0;
	int code;

	make_tables(longs, shorts);
	opterr = 0;
	while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (code == ':')
			return vmm_error_set(err, -EINVAL, "%.64s needs a value",
					     argv[optind - 1]);
		given[count].option = option_of(code);
		given[count].value = optarg;
		if (!given[count++].option)
			return vmm_error_set(err, -EINVAL, "unknown option %.64s",
					     argv[optind - 1]);
	}
	*out_count = count;
	return 0;
}

/* What the machine file says, if there is one, and then what the command line says. */
static int set_machine(struct machine_desc *desc, const struct given *given, size_t count,
		       const char *name, struct vmm_error *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (given[i].option->command_line)
			ret = given[i].option->set(desc, given[i].value, err);
	}
	if (ret == 0 && name && desc->config[0])
		return vmm_error_set(err, -EINVAL, "'%.64s' and --config: one of them",
				     name);
	if (ret == 0 && name)
		ret = config_find(name, desc->config, err);
	if (ret == 0 && desc->config[0])
		ret = config_load(desc->config, desc, err);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (given[i].option->clear)
			given[i].option->clear(desc);
	}
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = given[i].option->set(desc, given[i].value, err);
	if (ret == 0 && name && desc->name[0] == '\0')
		strcpy(desc->name, name); /* config_find() checked it */
	return ret;
}

static int parse_run(int argc, char **argv, struct machine_desc *desc,
		     struct vmm_error *err)
{
	struct given *given = calloc((size_t)argc, sizeof(*given));
	size_t count;
	int ret;

	if (!given)
		return vmm_error_set(err, -ENOMEM, "command line: out of memory");
	ret = read_options(argc, argv, given, &count, err);
	if (ret == 0 && argc - optind > 1)
		ret = vmm_error_set(err, -EINVAL, "unexpected argument '%.64s'",
				    argv[optind + 1]);
	if (ret == 0)
		ret = set_machine(desc, given, count, argv[optind], err);
	free(given);
	if (ret < 0)
		return ret;
	if (desc->json && !desc->dry_run)
		return vmm_error_set(err, -EINVAL, "--json goes with --dry-run");
	if (desc->background && desc->dry_run)
		return vmm_error_set(err, -EINVAL,
				     "--background and --dry-run: one of them");
	if (desc->background && desc->name[0] == '\0')
		return vmm_error_set(err, -EINVAL, "--background needs --name NAME");
	/* A kernel that has no console shall not wait for one. */
	if (desc->no_console && strcmp(desc->cmdline, DEFAULT_CMDLINE) == 0)
		desc->cmdline[0] = '\0';
	if (desc->kernel[0] == '\0')
		return vmm_error_set(err, -EINVAL, "run needs --kernel FILE");
	return add_root(desc, err);
}

/* Before anything is looked at: who does not know the options makes mistakes. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

int options_parse(int argc, char **argv, enum command *out_command,
		  struct machine_desc *out_desc, struct vmm_error *err)
{
	static char verbose[] = "-v";
	const char *word = argc > 1 ? argv[1] : "";

	options_set_defaults(out_desc);
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0) {
		*out_command = COMMAND_HELP;
		return 0;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
		*out_command = COMMAND_VERSION;
		return 0;
	}
	/* rust-vmm-glue has -v in front of the command, vmm-reference no command. */
	if (strcmp(word, "-v") == 0 && argc > 2 && strcmp(argv[2], "run") == 0) {
		argv[1] = argv[2];
		argv[2] = verbose;
		word = argv[1];
	}
	if (strcmp(word, "run") == 0) {
		argc--;
		argv++;
	} else if (word[0] != '-') {
		return vmm_error_set(err, -EINVAL,
				     word[0] ? "unknown command '%.64s' (try --help)"
					     : "no command%s (try --help)",
				     word);
	}
	if (wants_help(argc - 1, argv + 1)) {
		*out_command = COMMAND_HELP_RUN;
		return 0;
	}
	*out_command = COMMAND_RUN;
	return parse_run(argc, argv, out_desc, err);
}

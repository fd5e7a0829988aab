/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/loader.h>

#include "control-client.h"
#include "control-place.h"
#include "device-options.h"
#include "options.h"
#include "values.h"

#define MIB (UINT64_C(1) << 20)

enum {
	DEFAULT_MEMORY_MIB = 512,
	DEFAULT_CPUS = 1,
	OPTIONS_MAX = 32,
	HELP_COLUMN = 17,
};

static int set_kernel(struct machine_desc *desc, const char *value,
		      struct vmm_error *err);
static int set_initrd(struct machine_desc *desc, const char *value,
		      struct vmm_error *err);
static int set_cmdline(struct machine_desc *desc, const char *value,
		       struct vmm_error *err);
static int set_memory(struct machine_desc *desc, const char *value,
		      struct vmm_error *err);
static int set_cpus(struct machine_desc *desc, const char *value, struct vmm_error *err);
static int set_boot_protocol(struct machine_desc *desc, const char *value,
			     struct vmm_error *err);
static int set_console(struct machine_desc *desc, const char *value,
		       struct vmm_error *err);
static int set_kvm(struct machine_desc *desc, const char *value, struct vmm_error *err);
static int set_force(struct machine_desc *desc, const char *value, struct vmm_error *err);
static int set_name(struct machine_desc *desc, const char *value, struct vmm_error *err);

/* One table: parsing and --help cannot disagree. */
static const struct run_option {
	const char *name;
	char letter;
	const char *value; /* NULL: takes none */
	const char *help;
	int (*set)(struct machine_desc *desc, const char *value, struct vmm_error *err);
} run_options[] = {
	{ "kernel", 'k', "FILE", "kernel to boot: bzImage or ELF vmlinux (required)",
	  set_kernel },
	{ "initrd", 'i', "FILE", "initial RAM disk", set_initrd },
	{ "cmdline", 'c', "TEXT", "kernel command line (default: console=ttyS0)",
	  set_cmdline },
	{ "memory", 'm', "SIZE",
	  "guest memory: 512M, 2G; a bare number is MiB (default: 512M)", set_memory },
	{ "cpus", 'p', "N", "number of vCPUs (default: 1)", set_cpus },
	{ "disk", 'd', "FILE[,ro][,direct][,id=ID][,queues=N][,rate=BYTES/S][,iops=N]",
	  "disk image or block device; may be repeated", set_disk },
	{ "net", 'n', "tap=IF|tap-fd=N|passt[=SOCKET]|none[,mac=MAC][,queues=N][,mtu=N]",
	  "network interface; may be repeated", set_net },
	{ "vsock", 0, "cid=N,socket=PATH", "sockets between guest and host", set_vsock },
	{ "console", 0, "serial|virtio",
	  "which console has the input (default: serial); both are seen", set_console },
	{ "rng", 0, NULL, "give the guest random numbers (virtio)", set_rng },
	{ "balloon", 0, NULL, "let the guest give memory back (virtio)", set_balloon },
	{ "name", 0, "NAME", "be controlled by that name: see list, info, stop",
	  set_name },
	{ "boot-protocol", 0, "P",
	  "entry of the kernel: linux64, linux32 or pvh (default: linux64)",
	  set_boot_protocol },
	{ "kvm", 0, "PATH", "KVM device (default: /dev/kvm)", set_kvm },
	{ "force", 0, NULL,
	  "run on a software KVM, too: bare-metal kernels may work there", set_force },
};

_Static_assert(sizeof(run_options) / sizeof(run_options[0]) < OPTIONS_MAX, "table size");

static int copy_text(char *to, size_t room, const char *from, const char *what,
		     struct vmm_error *err)
{
	size_t len = strlen(from);

	if (len >= room)
		return vmm_error_at(err, -EINVAL, 0, room - 1, len,
				    "%s is too long: %zu bytes, at most %zu", what, len,
				    room - 1);
	memcpy(to, from, len + 1);
	return 0;
}

static int set_path(char *to, const char *from, const char *what, struct vmm_error *err)
{
	if (from[0] == '\0')
		return vmm_error_set(err, -EINVAL, "%s needs a file name", what);
	return copy_text(to, PATH_LEN_MAX, from, what, err);
}

static int set_kernel(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	return set_path(desc->kernel, value, "--kernel", err);
}

static int set_initrd(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	return set_path(desc->initrd, value, "--initrd", err);
}

static int set_kvm(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	return set_path(desc->kvm_path, value, "--kvm", err);
}

static int set_force(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	desc->force = true;
	return 0;
}

static int set_name(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	int ret = control_check_name(value, err);

	if (ret == 0)
		strcpy(desc->name, value);
	return ret;
}

static int set_console(struct machine_desc *desc, const char *value,
		       struct vmm_error *err)
{
	desc->virtio_console = strcmp(value, "virtio") == 0;
	if (!desc->virtio_console && strcmp(value, "serial") != 0)
		return vmm_error_set(
		    err, -EINVAL, "--console: '%.64s' is none of serial, virtio", value);
	return 0;
}

static int set_cmdline(struct machine_desc *desc, const char *value,
		       struct vmm_error *err)
{
	return copy_text(desc->cmdline, CMDLINE_MAX, value, "--cmdline", err);
}

static int set_memory(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	uint64_t bytes;
	int ret = value_size(value, MIB, &bytes);

	if (ret == -EINVAL)
		return vmm_error_set(
		    err, -EINVAL, "--memory: '%.64s' is not a size such as 512M", value);
	if (ret < 0)
		return vmm_error_set(
		    err, -EINVAL, "--memory: %.64s is more than an address space holds",
		    value);
	if (bytes < MIB)
		return vmm_error_set(err, -EINVAL, "--memory: %.64s is less than 1 MiB",
				     value);

	desc->memory = bytes;
	return 0;
}

static int set_cpus(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	uint64_t number;

	if (value_number(value, &number) < 0 || number > UINT32_MAX)
		return vmm_error_set(err, -EINVAL,
				     "--cpus: '%.64s' is not a number of vCPUs", value);
	if (number == 0)
		return vmm_error_set(err, -EINVAL,
				     "--cpus: a machine needs at least 1 vCPU");

	desc->cpus = (uint32_t)number;
	return 0;
}

static int set_boot_protocol(struct machine_desc *desc, const char *value,
			     struct vmm_error *err)
{
	static const char *const names[] = {
		[BOOT_LINUX64] = "linux64", [BOOT_LINUX32] = "linux32", [BOOT_PVH] = "pvh"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		desc->boot_protocol = (enum boot_protocol)i;
		return 0;
	}
	return vmm_error_set(err, -EINVAL,
			     "--boot-protocol: '%.64s' is none of linux64, linux32 and "
			     "pvh",
			     value);
}

static const struct run_option *find_option(int letter)
{
	size_t count = sizeof(run_options) / sizeof(run_options[0]);

	/* Options without a letter come back from getopt_long() as 256 + index. */
	for (size_t i = 0; i < count; i++) {
		if (letter ==
		    (run_options[i].letter ? run_options[i].letter : 256 + (int)i))
			return &run_options[i];
	}
	return NULL;
}

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

static int parse_run(int argc, char **argv, struct machine_desc *desc,
		     struct vmm_error *err)
{
	size_t count = sizeof(run_options) / sizeof(run_options[0]);
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	char shorts[2 * OPTIONS_MAX + 2] = ":";
	int letter, ret;

	for (size_t i = 0; i < count; i++) {
		char letter_text[3] = { run_options[i].letter, ':', '\0' };

		longs[i].name = run_options[i].name;
		longs[i].has_arg = run_options[i].value ? required_argument : no_argument;
		longs[i].val =
		    run_options[i].letter ? run_options[i].letter : 256 + (int)i;
		if (run_options[i].letter)
			strncat(shorts, letter_text, sizeof(shorts) - strlen(shorts) - 1);
	}

	opterr = 0;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct run_option *option = find_option(letter);

		if (letter == ':')
			return vmm_error_set(err, -EINVAL, "%.64s needs a value",
					     argv[optind - 1]);
		if (!option)
			return vmm_error_set(err, -EINVAL, "unknown option %.64s",
					     argv[optind - 1]);
		ret = option->set(desc, optarg, err);
		if (ret < 0)
			return ret;
	}
	if (optind < argc)
		return vmm_error_set(err, -EINVAL, "unexpected argument '%.64s'",
				     argv[optind]);
	if (desc->kernel[0] == '\0')
		return vmm_error_set(err, -EINVAL, "run needs --kernel FILE");
	return add_root(desc, err);
}

int options_parse(int argc, char **argv, enum command *out_command,
		  struct machine_desc *out_desc, struct vmm_error *err)
{
	const char *word = argc > 1 ? argv[1] : "";

	memset(out_desc, 0, sizeof(*out_desc));
	out_desc->memory = DEFAULT_MEMORY_MIB * MIB;
	out_desc->cpus = DEFAULT_CPUS;
	strcpy(out_desc->cmdline, "console=ttyS0");

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0) {
		*out_command = COMMAND_HELP;
		return 0;
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
		*out_command = COMMAND_VERSION;
		return 0;
	}
	if (strcmp(word, "run") != 0)
		return vmm_error_set(err, -EINVAL,
				     word[0] ? "unknown command '%.64s' (try --help)"
					     : "no command%s (try --help)",
				     word);

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			*out_command = COMMAND_HELP;
			return 0;
		}
	}
	*out_command = COMMAND_RUN;
	return parse_run(argc - 1, argv + 1, out_desc, err);
}

void options_print_help(void)
{
	size_t count = sizeof(run_options) / sizeof(run_options[0]);

	printf("Usage: reference-vmm run --kernel FILE [OPTION]...\n");
	client_print_commands();
	printf("       reference-vmm --help | --version\n\n"
	       "Boot a virtual machine; its serial console is this terminal. Ctrl-A x "
	       "ends it,\n"
	       "Ctrl-A b sends a break, Ctrl-A Ctrl-A a Ctrl-A.\n\n");
	for (size_t i = 0; i < count; i++) {
		const struct run_option *o = &run_options[i];

		int width = HELP_COLUMN - (int)strlen(o->name);
		const char *value = o->value ? o->value : "";

		printf("  %c%c%s --%s %-*s", o->letter ? '-' : ' ',
		       o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, width,
		       value);
		if ((int)strlen(value) > width)
			printf("\n%*s", HELP_COLUMN + 10, "");
		printf(" %s\n", o->help);
	}
	printf("\nExit status: 0 when the guest ended (power-off, reboot, triple fault) "
	       "or was\n"
	       "asked to (Ctrl-A x, SIGINT, SIGTERM); 1 when the machine failed; 2 for a "
	       "wrong\n"
	       "command line.\n");
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "control-place.h"
#include "device-options.h"
#include "option-table.h"
#include "words.h"

#define MIB (UINT64_C(1) << 20)

enum {
	DEFAULT_MEMORY_MIB = 512,
	DEFAULT_CPUS = 1,
};

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

/* vmm-reference's form: path=FILE,cmdline=TEXT,kernel_load_addr=N. */
static int set_kernel_words(struct machine_desc *desc, const char *value,
			    struct vmm_error *err)
{
	static const struct word_rule rules[] = {
		{ "path", WORD_TEXT, offsetof(struct machine_desc, kernel), 0,
		  PATH_LEN_MAX - 1 },
		{ "cmdline", WORD_TEXT, offsetof(struct machine_desc, cmdline), 0,
		  CMDLINE_MAX - 1 },
		{ "kernel_load_addr", WORD_NUMBER64,
		  offsetof(struct machine_desc, kernel_min), 0, UINT64_MAX },
		{ NULL, WORD_FLAG, 0, 0, 0 },
	};

	desc->kernel[0] = '\0';
	return words_parse("--kernel", value, rules, NULL, desc, err);
}

static int set_kernel(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	static const char *const starts[] = { "path=", "cmdline=", "kernel_load_addr=" };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (strncmp(value, starts[i], strlen(starts[i])) == 0)
			return set_kernel_words(desc, value, err);
	}
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
	desc->no_console = strcmp(value, "none") == 0;
	if (!desc->virtio_console && !desc->no_console && strcmp(value, "serial") != 0)
		return vmm_error_set(err, -EINVAL,
				     "--console: '%.64s' is none of serial, virtio, none",
				     value);
	return 0;
}

static int set_cmdline(struct machine_desc *desc, const char *value,
		       struct vmm_error *err)
{
	return copy_text(desc->cmdline, CMDLINE_MAX, value, "--cmdline", err);
}

/* vmm-reference's forms size_mib=N and num=N, where nothing is the default. */
static const char *after_key(const char *value, const char *key)
{
	size_t len = strlen(key);

	return strncmp(value, key, len) == 0 ? value + len : NULL;
}

static int set_memory(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	const char *mib = after_key(value, "size_mib=");
	uint64_t bytes = DEFAULT_MEMORY_MIB * MIB;
	int ret = 0;

	if (!mib || *mib)
		ret = value_size(mib ? mib : value, MIB, &bytes);
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
	const char *count = after_key(value, "num=");
	uint64_t number = DEFAULT_CPUS;
	int ret = 0;

	if (!count || *count)
		ret = value_number(count ? count : value, &number);
	if (ret < 0 || number > UINT32_MAX)
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

/* About this run. */

static int set_config(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	return set_path(desc->config, value, "--config", err);
}

static int set_background(struct machine_desc *desc, const char *value,
			  struct vmm_error *err)
{
	desc->background = true;
	return 0;
}

static int set_trace(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	return set_path(desc->trace, value, "--trace-exits", err);
}

static int set_dry_run(struct machine_desc *desc, const char *value,
		       struct vmm_error *err)
{
	desc->dry_run = true;
	return 0;
}

static int set_json(struct machine_desc *desc, const char *value, struct vmm_error *err)
{
	desc->json = true;
	return 0;
}

static int set_verbose(struct machine_desc *desc, const char *value,
		       struct vmm_error *err)
{
	desc->verbose = true;
	return 0;
}

static const struct run_option table[] = {
	{ "config", 0, "FILE", "machine file, TOML or JSON; options override it",
	  .set = set_config, .command_line = true },
	{ "kernel", 'k', "FILE",
	  "kernel to boot: bzImage, ELF vmlinux, arm64 Image (required)",
	  .set = set_kernel, .words = true },
	{ "initrd", 'i', "FILE", "initial RAM disk", .set = set_initrd },
	{ "cmdline",
	  'p',
	  "TEXT",
	  "kernel command line (default: console=ttyS0)",
	  { "params" },
	  set_cmdline },
	{ "memory",
	  'm',
	  "SIZE",
	  "guest memory: 512M, 2G; a bare number is MiB (default: 512M)",
	  { "mem", "guest-memory" },
	  set_memory },
	{ "cpus",
	  'c',
	  "N",
	  "number of vCPUs (default: 1)",
	  { "vcpus", "vcpu" },
	  set_cpus },
	{ "disk",
	  'd',
	  "FILE[,ro][,direct][,id=ID][,queues=N][,rate=BYTES/S][,iops=N]",
	  "disk image or block device; may be repeated",
	  { "block", "blk" },
	  set_disk,
	  clear_disks,
	  .words = true },
	{ "net", 0, "tap=IF|tap-fd=N|passt[=SOCKET]|none[,mac=MAC][,queues=N][,mtu=N]",
	  "network interface; may be repeated", .set = set_net, .clear = clear_nets,
	  .words = true },
	{ "vsock", 0, "cid=N,socket=PATH", "sockets between guest and host",
	  .set = set_vsock, .words = true },
	{ "console", 0, "serial|virtio|none",
	  "which console has the input (default: serial); both are seen",
	  .set = set_console },
	{ "rng", 0, NULL, "give the guest random numbers (virtio)", .set = set_rng },
	{ "balloon", 0, NULL, "let the guest give memory back (virtio)",
	  .set = set_balloon },
	{ "name", 'n', "NAME", "be controlled by that name: see list, info, stop",
	  .set = set_name },
	{ "boot-protocol", 0, "linux64|linux32|pvh",
	  "entry of the kernel (default: linux64)", .set = set_boot_protocol },
	{ "kvm", 0, "PATH", "KVM device (default: /dev/kvm)", .set = set_kvm },
	{ "force", 0, NULL,
	  "run on a software KVM, too: bare-metal kernels may work there",
	  .set = set_force },
	{ "background", 0, NULL,
	  "return once the guest runs: see console, stop (needs a name)",
	  .set = set_background, .command_line = true },
	{ "trace-exits", 0, "FILE", "write a line for each time a vCPU leaves the guest",
	  .set = set_trace, .command_line = true },
	{ "dry-run", 0, NULL, "build the machine, say what it is, do not run it",
	  .set = set_dry_run, .command_line = true },
	{ "json", 0, NULL, "with --dry-run: print JSON, one line", .set = set_json,
	  .command_line = true },
	{ "verbose", 'v', NULL, "say what is done, and how long each step took",
	  .set = set_verbose, .command_line = true },
};

const struct run_option *option_at(size_t index)
{
	return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}

static bool has_name(const struct run_option *option, const char *name)
{
	bool found = strcmp(option->name, name) == 0;

	for (size_t i = 0; !found && i < OPTION_ALIASES_MAX && option->aliases[i]; i++)
		found = strcmp(option->aliases[i], name) == 0;
	return found;
}

const struct run_option *option_find(const char *name)
{
	const struct run_option *option;

	for (size_t i = 0; (option = option_at(i)); i++) {
		if (has_name(option, name))
			return option;
	}
	return NULL;
}

void options_set_defaults(struct machine_desc *desc)
{
	desc->memory = DEFAULT_MEMORY_MIB * MIB;
	desc->cpus = DEFAULT_CPUS;
	strcpy(desc->cmdline, DEFAULT_CMDLINE);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Says what a kernel image is, loads it into guest memory with all that a boot needs, and
 * prints where everything went:
 *
 *   describe-kernel [KERNEL [INITRD]]
 *
 * Without a kernel it takes this very program, which is none, and shows the refusal.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vmm/acpi.h>
#include <vmm/loader-arm64.h>
#include <vmm/loader-riscv64.h>
#include <vmm/loader-x86.h>

#define RAM_SIZE (UINT64_C(512) << 20)

static struct vmm_mem *make_memory(uint32_t arch)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_load_range ranges[VMM_LOAD_X86_RAM_RANGES];
	struct vmm_mem *mem = NULL;
	size_t n = 0;
	int ret = arch == VMM_LOAD_ARCH_AARCH64 ? vmm_load_arm64_ram(RAM_SIZE, ranges, &n)
		  : arch == VMM_LOAD_ARCH_RISCV64
		      ? vmm_load_riscv64_ram(RAM_SIZE, ranges, &n)
		      : vmm_load_x86_ram(RAM_SIZE, ranges, &n);

	if (ret < 0 || vmm_mem_builder_new(&builder) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct vmm_mem_region region = VMM_MEM_REGION_INIT;

		region.gpa = ranges[i].gpa;
		region.len = ranges[i].len;
		if (vmm_mem_builder_add(builder, &region, NULL) < 0)
			return NULL;
	}
	return vmm_mem_builder_build(builder, &mem) < 0 ? NULL : mem;
}

static int add_acpi(const struct vmm_mem *mem, struct vmm_error *err)
{
	static uint8_t tables[VMM_LOAD_X86_ACPI_LEN];
	const struct vmm_acpi_uart uart = { .port = 0x3f8, .gsi = 4 };
	struct vmm_acpi_machine machine = VMM_ACPI_MACHINE_INIT;
	size_t len = 0;
	int ret;

	machine.cpu_count = 2;
	machine.uarts = &uart;
	machine.uart_count = 1;
	ret = vmm_acpi_machine_build(&machine, VMM_LOAD_X86_ACPI, tables, sizeof(tables),
				     &len, err);
	return ret < 0 ? ret : vmm_mem_write(mem, VMM_LOAD_X86_ACPI, tables, len);
}

static void print_map(const struct vmm_load_map *map)
{
	for (uint32_t i = 0; i < map->count; i++)
		printf("  0x%09" PRIx64 " - 0x%09" PRIx64 " type 0x%x\n",
		       map->entry[i].gpa, map->entry[i].gpa + (map->entry[i].len - 1),
		       map->entry[i].type);
}

static void print_kernel(const struct vmm_load_result *result)
{
	printf("uses 0x%" PRIx64 " to 0x%" PRIx64 ", entry 0x%" PRIx64
	       ", 32-bit 0x%" PRIx64 ", PVH 0x%" PRIx64 ", flags 0x%" PRIx64 "\n",
	       result->first_gpa, result->last_gpa, result->entry, result->entry32,
	       result->pvh_entry, result->flags);
	printf("command line up to %u bytes, initrd below 0x%" PRIx64 "\n",
	       result->cmdline_max, result->initrd_last_max);
}

/* A machine with a device tree: kernel and initrd, and room for the tree. */
static int load_with_tree(const struct vmm_mem *mem, uint32_t arch,
			  const struct vmm_load_source *kernel,
			  const struct vmm_load_source *initrd, struct vmm_error *err)
{
	struct vmm_load_kernel_opts opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_result result;
	struct vmm_load_range range;
	struct vmm_load_map map;
	int ret = arch == VMM_LOAD_ARCH_AARCH64 ? vmm_load_arm64_map(mem, &map, err)
						: vmm_load_riscv64_map(mem, &map, err);

	opts.arch = arch;
	opts.map = &map;
	if (ret == 0)
		ret = vmm_load_kernel(mem, kernel, &opts, &result, err);
	if (ret == 0 && initrd->fd >= 0)
		ret = vmm_load_initrd(mem, &map, &result, initrd, &range, err);
	if (ret < 0)
		return ret;
	print_kernel(&result);
	printf("memory map:\n");
	print_map(&map);
	return 0;
}

static int load(const struct vmm_mem *mem, const struct vmm_load_source *kernel,
		const struct vmm_load_source *initrd, struct vmm_error *err)
{
	struct vmm_load_kernel_opts kernel_opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_x86_opts opts = VMM_LOAD_X86_OPTS_INIT;
	struct vmm_load_x86_entry entry;
	struct vmm_load_result result;
	struct vmm_load_map map;
	int ret = vmm_load_x86_map(mem, &map, err);

	if (ret < 0)
		return ret;
	kernel_opts.arch = VMM_LOAD_ARCH_X86_64;
	kernel_opts.map = &map;
	ret = vmm_load_kernel(mem, kernel, &kernel_opts, &result, err);
	if (ret == 0 && initrd->fd >= 0)
		ret = vmm_load_initrd(mem, &map, &result, initrd, &opts.initrd, err);
	if (ret == 0)
		ret = add_acpi(mem, err);
	if (ret < 0)
		return ret;

	opts.kernel = &result;
	opts.map = &map;
	opts.cmdline = "console=ttyS0";
	opts.rsdp_gpa = VMM_LOAD_X86_ACPI;
	ret = vmm_load_x86_boot(mem, &opts, &entry, err);
	if (ret < 0)
		return ret;
	print_kernel(&result);
	printf("starts in %u-bit mode at 0x%" PRIx64 "; memory map:\n", entry.bits,
	       entry.rip);
	print_map(&map);
	return 0;
}

int main(int argc, char **argv)
{
	struct vmm_load_source kernel = VMM_LOAD_SOURCE_INIT,
			       initrd = VMM_LOAD_SOURCE_INIT;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_load_probe_result probe;
	struct vmm_error err;
	int ret;

	kernel.name = argc > 1 ? argv[1] : "/proc/self/exe";
	kernel.fd = open(kernel.name, O_RDONLY | O_CLOEXEC);
	if (argc > 2) {
		initrd.name = argv[2];
		initrd.fd = open(initrd.name, O_RDONLY | O_CLOEXEC);
	}
	if (kernel.fd < 0 || (argc > 2 && initrd.fd < 0)) {
		fprintf(stderr, "cannot open the images\n");
		return EXIT_FAILURE;
	}

	ret = vmm_load_probe(&kernel, &probe, &err);
	if (ret == 0) {
		printf("%s: %s, %" PRIu64 " bytes\n", kernel.name, probe.description,
		       probe.image_size);
		mem = make_memory(probe.arch);
		if (!mem)
			ret = vmm_error_set(&err, -ENOMEM, "no memory for the guest");
		else if (probe.arch == VMM_LOAD_ARCH_AARCH64 ||
			 probe.arch == VMM_LOAD_ARCH_RISCV64)
			ret = load_with_tree(mem, probe.arch, &kernel, &initrd, &err);
		else
			ret = load(mem, &kernel, &initrd, &err);
	}
	if (ret < 0)
		printf("refused: %s\n", err.message);
	(void)close(kernel.fd);
	if (initrd.fd >= 0)
		(void)close(initrd.fd);
	/* Our own program is an image that has to be refused. */
	return (ret < 0) == (argc < 2) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From a consumer's view: the shared library and public headers only. */
#include "load-test.h"

#include <vmm/acpi.h>
#include <vmm/fdt.h>
#include <vmm/loader-arm64.h>
#include <vmm/loader-riscv64.h>
#include <vmm/smbios.h>

static uint8_t image[65536], tables[65536];

static void plain_structures_keep_their_size(void **state)
{
	assert_int_equal(sizeof(struct vmm_load_source), 40);
	assert_int_equal(sizeof(struct vmm_load_probe_result), 128);
	assert_int_equal(sizeof(struct vmm_load_map_entry), 24);
	assert_int_equal(sizeof(struct vmm_load_map), 8 + 128 * 24);
	assert_int_equal(sizeof(struct vmm_load_kernel_opts), 48);
	assert_int_equal(sizeof(struct vmm_load_result), 240);
	assert_int_equal(sizeof(struct vmm_load_x86_opts), 72);
	assert_int_equal(sizeof(struct vmm_load_x86_segment), 24);
	assert_int_equal(sizeof(struct vmm_load_x86_entry), 184);
	assert_int_equal(sizeof(struct vmm_acpi_machine), 176);
	assert_int_equal(sizeof(struct vmm_acpi_cpu_hotplug), 24);
	assert_int_equal(sizeof(struct vmm_acpi_gic), 88);
	assert_int_equal(sizeof(struct vmm_fdt_chosen), 64);
	assert_int_equal(sizeof(struct vmm_fdt_irq), 8);
	assert_int_equal(sizeof(struct vmm_fdt_gic), 40);
	assert_int_equal(sizeof(struct vmm_fdt_uart), 32);
	assert_int_equal(sizeof(struct vmm_fdt_virtio_mmio), 24);
	assert_int_equal(sizeof(struct vmm_fdt_machine), 248);
	assert_int_equal(sizeof(struct vmm_smbios_machine), 168);
	assert_int_equal(sizeof(struct vmm_load_arm64_entry), 24);
	assert_int_equal(sizeof(struct vmm_load_riscv64_entry), 24);
}

static void a_machine_is_made_from_the_outside(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *cmdline = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_load_source source = test_source(image, test_bzimage(image));
	struct vmm_load_kernel_opts kernel_opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_acpi_machine machine = VMM_ACPI_MACHINE_INIT;
	struct vmm_load_x86_opts opts = VMM_LOAD_X86_OPTS_INIT;
	struct vmm_load_setup_data seed = { .type = VMM_LOAD_SETUP_RNG_SEED,
					    .data = "seed",
					    .len = 4 };
	struct vmm_load_probe_result probe;
	struct vmm_load_x86_entry entry;
	struct vmm_load_result kernel;
	struct vmm_load_range ram[2];
	struct vmm_load_map map;
	struct test_range range;
	uint8_t head[8];
	size_t n, len;
	uint64_t place;

	assert_int_equal(vmm_load_x86_ram(32 * MIB, ram, &n), 0);
	range = (struct test_range){ ram[0].gpa, ram[0].len, 0 };
	mem = test_mem(&range, 1);
	assert_int_equal(vmm_load_x86_map(mem, &map, NULL), 0);
	assert_int_equal(vmm_load_map_set(&map, VMM_LOAD_X86_ECAM, VMM_LOAD_X86_ECAM_LEN,
					  VMM_LOAD_MAP_RESERVED),
			 0);
	assert_int_equal(vmm_load_probe(&source, &probe, NULL), 0);
	assert_int_equal(probe.supported, 1);
	kernel_opts.arch = VMM_LOAD_ARCH_X86_64;
	kernel_opts.map = &map;
	assert_int_equal(vmm_load_kernel(mem, &source, &kernel_opts, &kernel, NULL), 0);
	source = test_source("initrd", 6);
	assert_int_equal(vmm_load_initrd_place(&map, &kernel, 6, &place, NULL), 0);
	assert_int_equal(vmm_load_initrd(mem, &map, &kernel, &source, &opts.initrd, NULL),
			 0);
	assert_int_equal(opts.initrd.gpa, place);

	assert_int_equal(vmm_load_cmdline_new(kernel.cmdline_max + 1, &cmdline), 0);
	assert_int_equal(vmm_load_cmdline_set_text(cmdline, "quiet -- init", NULL), 0);
	assert_int_equal(vmm_load_cmdline_set(cmdline, "console", "ttyS0", NULL), 0);
	machine.cpu_count = 2;
	assert_int_equal(vmm_acpi_machine_build(&machine, VMM_LOAD_X86_ACPI, tables,
						sizeof(tables), &len, NULL),
			 0);
	assert_int_equal(vmm_mem_write(mem, VMM_LOAD_X86_ACPI, tables, len), 0);
	assert_int_equal(
	    vmm_load_x86_setup_data(mem, &seed, 1, &opts.setup_data_gpa, NULL), 0);
	opts.kernel = &kernel;
	opts.map = &map;
	opts.cmdline = vmm_load_cmdline_get_text(cmdline);
	opts.rsdp_gpa = VMM_LOAD_X86_ACPI;
	assert_int_equal(vmm_load_x86_boot(mem, &opts, &entry, NULL), 0);
	assert_int_equal(entry.rip, BZ_PREF + 0x200);
	assert_int_equal(vmm_mem_read(mem, VMM_LOAD_X86_ACPI, head, 8), 0);
	assert_memory_equal(head, "RSD PTR ", 8);
	assert_int_equal(vmm_mem_read(mem, VMM_LOAD_X86_CMDLINE, head, 8), 0);
	assert_memory_equal(head, "quiet co", 8);
}

/* With a seed, memory in the tree, and what the first CPU is given. */
static void an_arm64_machine_is_made_from_the_outside(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_load_source source = test_source(image, test_image(image, true));
	struct vmm_load_kernel_opts opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_fdt_machine machine = VMM_FDT_MACHINE_INIT;
	struct vmm_load_arm64_entry entry = { 0 };
	struct vmm_load_range ram[2], place;
	struct vmm_load_result kernel;
	struct vmm_fdt *fdt = NULL;
	struct vmm_load_map map;
	struct test_range range;
	uint8_t seed[32];
	const void *tree;
	size_t n, len;
	uint32_t root;

	assert_int_equal(vmm_load_arm64_ram(16 * MIB, ram, &n), 0);
	assert_int_equal(n, 1);
	range = (struct test_range){ ram[0].gpa, ram[0].len, 0 };
	mem = test_mem(&range, 1);
	assert_int_equal(vmm_load_arm64_map(mem, &map, NULL), 0);
	opts.map = &map;
	assert_int_equal(vmm_load_kernel(mem, &source, &opts, &kernel, NULL), 0);
	assert_int_equal(vmm_load_random(seed, sizeof(seed), NULL), 0);
	if (vmm_fdt_new(&fdt) == -EOPNOTSUPP)
		return;
	machine.map = &map;
	machine.gic.version = 2;
	machine.gic.dist_gpa = VMM_LOAD_ARM64_GIC_DIST;
	machine.gic.cpu_gpa = VMM_LOAD_ARM64_GIC_CPU;
	machine.rng_seed = seed;
	machine.rng_seed_len = sizeof(seed);
	root = vmm_fdt_begin_node(fdt, "");
	vmm_fdt_put_machine(fdt, &machine);
	vmm_fdt_end_node(fdt, root);
	assert_int_equal(vmm_fdt_finish(fdt, &tree, &len, NULL), 0);
	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, tree, len, &place, NULL), 0);
	vmm_fdt_free(fdt);
	assert_int_equal(vmm_load_arm64_boot(&kernel, &place, &entry, NULL), 0);
	assert_true(entry.pc == 2 * GIB && entry.x0 == place.gpa);
}

static void smbios_and_firmware_go_to_their_places(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(MIB);
	struct vmm_smbios_machine machine = VMM_SMBIOS_MACHINE_INIT;
	struct vmm_load_kernel_opts opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source source;
	struct vmm_load_result result;
	size_t len;

	machine.product = "product";
	assert_int_equal(vmm_smbios_build(&machine, VMM_LOAD_X86_SMBIOS, tables,
					  sizeof(tables), &len, NULL),
			 0);
	source = test_source(tables, len);
	opts.flags = VMM_LOAD_RAW;
	opts.load_gpa = VMM_LOAD_X86_SMBIOS;
	assert_int_equal(vmm_load_kernel(mem, &source, &opts, &result, NULL), 0);
	assert_int_equal(result.last_gpa, VMM_LOAD_X86_SMBIOS + len - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_structures_keep_their_size),
		cmocka_unit_test(a_machine_is_made_from_the_outside),
		cmocka_unit_test(an_arm64_machine_is_made_from_the_outside),
		cmocka_unit_test(smbios_and_firmware_go_to_their_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

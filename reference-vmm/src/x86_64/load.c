/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/acpi.h>
#include <vmm/kvm-x86.h>
#include <vmm/loader-x86.h>
#include <vmm/smbios.h>

#include "../cpu.h"
#include "../virtio.h"
#include "board.h"

int board_open_images(struct machine *machine, struct vmm_error *err)
{
	struct images none = IMAGES_INIT(VMM_LOAD_ARCH_X86_64);
	struct board *board = calloc(1, sizeof(*board));

	if (!board)
		return vmm_error_set(err, -ENOMEM, "board: out of memory");
	machine->board = board;
	board->machine = machine;
	board->images = none;
	for (int i = 0; i < IRQS; i++)
		board->irq_fd[i] = -1;
	(void)pthread_mutex_init(&board->lock, NULL);
	return images_open(&board->images, machine->desc, err);
}

_Static_assert(VMM_LOAD_X86_RAM_RANGES <= BOARD_RAM_RANGES_MAX, "room for RAM");

int board_get_ram(const struct machine *machine,
		  struct vmm_load_range ranges[BOARD_RAM_RANGES_MAX], size_t *out_count,
		  struct vmm_error *err)
{
	uint64_t ram = machine->desc->memory & ~UINT64_C(0xfff);
	int ret = vmm_load_x86_ram(ram, ranges, out_count);

	return ret < 0 ? vmm_error_at(
			     err, ret, 0, VMM_LOAD_X86_RAM_MAX, ram,
			     "--memory: %llu MiB do not fit this machine: 2 MiB to 4 PiB",
			     (unsigned long long)(ram >> 20))
		       : 0;
}

/* Loading. */

enum { VIRTIO_MAX = VIRTIO_GSI_LAST - VIRTIO_GSI_FIRST + 1 };

static size_t describe_virtio(const struct virtio *virtio,
			      struct vmm_acpi_virtio_mmio windows[VIRTIO_MAX])
{
	size_t count = virtio_get_count(virtio);

	/* Each has an interrupt of its own, so there are not more than VIRTIO_MAX. */
	for (size_t i = 0; i < count; i++) {
		struct virtio_place place = virtio_get_place(virtio, i);

		windows[i].gpa = place.gpa;
		windows[i].len = VMM_VIRTIO_MMIO_LEN;
		windows[i].gsi = place.gsi;
	}
	return count;
}

/* Write the ACPI tables where the loader's map has a place for them. */
static int write_acpi(struct machine *machine, const struct vmm_mem *mem,
		      struct vmm_error *err)
{
	static const struct vmm_acpi_uart uart = { .port = COM1_PORT, .gsi = COM1_GSI };
	struct vmm_acpi_virtio_mmio windows[VIRTIO_MAX] = { 0 };
	struct vmm_acpi_machine acpi = VMM_ACPI_MACHINE_INIT;
	uint8_t *tables = malloc(VMM_LOAD_X86_ACPI_LEN);
	size_t len;
	int ret;

	if (!tables)
		return vmm_error_set(err, -ENOMEM, "ACPI tables: out of memory");
	acpi.flags = VMM_ACPI_HAS_I8042 | VMM_ACPI_HAS_CMOS_RTC;
	acpi.cpu_count = machine->desc->cpus;
	acpi.sleep_control_port = POWER_PORT + VMM_SIO_POWER_SLEEP_CONTROL;
	acpi.sleep_status_port = POWER_PORT + VMM_SIO_POWER_SLEEP_STATUS;
	acpi.reset_port = POWER_PORT + VMM_SIO_POWER_RESET;
	acpi.reset_value = VMM_SIO_POWER_RESET_VALUE;
	acpi.power_button_gsi = POWER_BUTTON_GSI;
	acpi.s5_type = VMM_SIO_POWER_S5;
	acpi.uarts = &uart;
	acpi.uart_count = machine->console ? 1 : 0;
	acpi.virtio_mmio = windows;
	acpi.virtio_mmio_count = describe_virtio(machine->virtio, windows);

	ret = vmm_acpi_machine_build(&acpi, VMM_LOAD_X86_ACPI, tables,
				     VMM_LOAD_X86_ACPI_LEN, &len, err);
	if (ret == 0) {
		ret = vmm_mem_write(mem, VMM_LOAD_X86_ACPI, tables, len);
		if (ret < 0)
			(void)vmm_error_set(err, ret, "ACPI tables: no memory at %#x",
					    VMM_LOAD_X86_ACPI);
	}
	free(tables);
	return ret;
}

/* Make and model, which the guest finds by searching. */
static int write_smbios(struct machine *machine, const struct vmm_mem *mem,
			struct vmm_error *err)
{
	struct vmm_smbios_machine smbios = VMM_SMBIOS_MACHINE_INIT;
	struct vmm_load_range ranges[BOARD_RAM_RANGES_MAX];
	uint8_t tables[4096];
	size_t len;
	int ret = board_get_ram(machine, ranges, &smbios.memory_count, err);

	smbios.bios_vendor = smbios.manufacturer = "libvmm";
	smbios.bios_version = smbios.version = VMM_VERSION;
	smbios.product = "reference-vmm";
	smbios.cores_per_socket = machine->desc->cpus;
	smbios.memory = ranges;
	if (ret == 0)
		ret = vmm_smbios_build(&smbios, VMM_LOAD_X86_SMBIOS, tables,
				       sizeof(tables), &len, err);
	if (ret == 0) {
		ret = vmm_mem_write(mem, VMM_LOAD_X86_SMBIOS, tables, len);
		if (ret < 0)
			(void)vmm_error_set(err, ret, "SMBIOS: no memory at %#x",
					    VMM_LOAD_X86_SMBIOS);
	}
	return ret;
}

/* Seed the guest's random numbers, which else wait for noise that a VM hardly has. */
static int write_seed(const struct vmm_mem *mem, uint64_t *out_gpa, struct vmm_error *err)
{
	uint8_t seed[32];
	struct vmm_load_setup_data data = {
		.type = VMM_LOAD_SETUP_RNG_SEED,
		.data = seed,
		.len = sizeof(seed),
	};
	int ret = vmm_load_random(seed, sizeof(seed), err);

	if (ret == 0)
		ret = vmm_load_x86_setup_data(mem, &data, 1, out_gpa, err);
	explicit_bzero(seed, sizeof(seed));
	return ret;
}

static int load_guest(struct machine *machine, const struct vmm_mem *mem,
		      struct vmm_load_x86_entry *entry, struct vmm_error *err)
{
	static const uint32_t protocols[] = { [BOOT_LINUX64] = VMM_LOAD_X86_LINUX64,
					      [BOOT_LINUX32] = VMM_LOAD_X86_LINUX32,
					      [BOOT_PVH] = VMM_LOAD_X86_PVH };
	struct vmm_load_x86_opts opts = VMM_LOAD_X86_OPTS_INIT;
	struct vmm_load_result kernel;
	struct vmm_load_map map;
	int ret;

	ret = vmm_load_x86_map(mem, &map, err);
	if (ret == 0)
		ret = images_load(&machine->board->images, machine->desc, mem, &map,
				  &kernel, &opts.initrd, err);
	if (ret == 0)
		ret = write_acpi(machine, mem, err);
	if (ret == 0)
		ret = write_smbios(machine, mem, err);
	if (ret == 0)
		ret = write_seed(mem, &opts.setup_data_gpa, err);
	if (ret == 0)
		ret = vmm_load_x86_reset_vector(mem, POWER_PORT + VMM_SIO_POWER_RESET,
						VMM_SIO_POWER_RESET_VALUE, err);
	if (ret < 0)
		return ret;

	opts.protocol = protocols[machine->desc->boot_protocol];
	opts.kernel = &kernel;
	opts.map = &map;
	opts.cmdline = machine->desc->cmdline;
	opts.rsdp_gpa = VMM_LOAD_X86_ACPI;
	return vmm_load_x86_boot(mem, &opts, entry, err);
}

/* The loader says how the first CPU starts; KVM's library knows how to tell KVM. */
static struct vmm_kvm_x86_boot boot_state(const struct vmm_load_x86_entry *entry)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;

	boot.mode = entry->bits == 64 ? VMM_KVM_X86_LONG64 : VMM_KVM_X86_PROTECTED32;
	boot.cs = entry->cs.selector;
	boot.ds = entry->ds.selector;
	boot.tr = entry->tr.selector;
	boot.gdt_base = entry->gdt_base;
	boot.gdt_limit = entry->gdt_limit;
	boot.idt_base = entry->idt_base;
	boot.idt_limit = entry->idt_limit;
	boot.cr3 = entry->cr3;
	boot.rip = entry->rip;
	boot.rsp = entry->rsp;
	boot.rbp = entry->rbp;
	boot.rsi = entry->rsi;
	boot.rbx = entry->rbx;
	return boot;
}

static int set_up_cpus(struct machine *machine, const struct vmm_kvm_x86_boot *boot,
		       struct vmm_error *err)
{
	VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid *cpuid = NULL;
	struct vmm_kvm_x86_topology topology = VMM_KVM_X86_TOPOLOGY_INIT;
	int ret = vmm_kvm_get_supported_cpuid(machine->kvm, &cpuid);

	if (ret < 0)
		return vmm_error_set(err, ret, "CPUID: %s", strerror(-ret));
	topology.cpu_count = machine->desc->cpus;
	topology.tsc_deadline =
	    vmm_kvm_check_extension(machine->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	for (uint32_t i = 0; ret == 0 && i < machine->desc->cpus; i++) {
		topology.cpu = i;
		ret = vmm_kvm_vcpu_setup(cpu_get_vcpu(machine, i), cpuid, &topology,
					 i == 0 ? boot : NULL, err);
	}
	return ret;
}

int board_load(struct machine *machine, const struct vmm_mem *mem, struct vmm_error *err)
{
	struct vmm_load_x86_entry entry;
	struct vmm_kvm_x86_boot boot;
	int ret = load_guest(machine, mem, &entry, err);

	if (ret < 0)
		return ret;
	boot = boot_state(&entry);
	return set_up_cpus(machine, &boot, err);
}

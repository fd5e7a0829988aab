/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmm/allocator.h>
#include <vmm/superio.h>

#include "../cpu.h"
#include "board.h"

enum { GIC_V2_CPUS_MAX = 8 };

static const uint32_t irq_gsi[IRQS] = {
	[IRQ_SERIAL] = SERIAL_GSI,
	[IRQ_RTC] = RTC_GSI,
};

int board_open_images(struct machine *machine, struct vmm_error *err)
{
	struct images none = IMAGES_INIT(VMM_LOAD_ARCH_AARCH64);
	struct board *board = calloc(1, sizeof(*board));

	if (!board)
		return vmm_error_set(err, -ENOMEM, "board: out of memory");
	machine->board = board;
	board->machine = machine;
	board->images = none;
	for (int i = 0; i < IRQS; i++)
		board->irq_fd[i] = -1;
	if (machine->desc->boot_protocol != BOOT_LINUX64)
		return vmm_error_set(
		    err, -EINVAL,
		    "--boot-protocol: a machine of this architecture has linux64 only");
	return images_open(&board->images, machine->desc, err);
}

/* The host. */

int board_check_host(struct machine *machine, struct vmm_error *err)
{
	uint64_t max = VMM_LOAD_ARM64_GIC_REDIST_LEN / GIC_REDIST_LEN;

	if (machine->desc->cpus > max)
		return vmm_error_at(err, -EINVAL, 0, max, machine->desc->cpus,
				    "--cpus %u: this machine has room for at most %u",
				    machine->desc->cpus, (unsigned)max);
	return 0;
}

_Static_assert(VMM_LOAD_ARM64_RAM_RANGES <= BOARD_RAM_RANGES_MAX, "room for RAM");

int board_get_ram(const struct machine *machine,
		  struct vmm_load_range ranges[BOARD_RAM_RANGES_MAX], size_t *out_count,
		  struct vmm_error *err)
{
	uint64_t ram = machine->desc->memory & ~UINT64_C(0xffff), end;
	uint32_t bits = vmm_kvm_get_host_ipa_limit(machine->kvm);
	int ret = vmm_load_arm64_ram(ram, ranges, out_count);

	if (ret < 0)
		return vmm_error_at(
		    err, ret, 0, VMM_LOAD_ARM64_RAM_MAX, ram,
		    "--memory: %llu MiB do not fit this machine: 16 MiB to 64 TiB",
		    (unsigned long long)(ram >> 20));
	end = ranges[*out_count - 1].gpa + ranges[*out_count - 1].len;
	bits = bits ? bits : 40; /* what kernels had before they could say */
	if (bits < 64 && (end - 1) >> bits)
		return vmm_error_at(err, -E2BIG, end - 1, bits, ram,
				    "--memory: %llu MiB do not fit the %u bits of guest "
				    "addresses that this host has",
				    (unsigned long long)(ram >> 20), bits);
	return 0;
}

/* The interrupt controller. */

static int find_gic(struct machine *machine, uint32_t *out_version, struct vmm_error *err)
{
	uint32_t cpus = machine->desc->cpus;

	if (vmm_kvm_vm_has_device(machine->vm, KVM_DEV_TYPE_ARM_VGIC_V3) == 0) {
		*out_version = 3;
		return 0;
	}
	if (vmm_kvm_vm_has_device(machine->vm, KVM_DEV_TYPE_ARM_VGIC_V2) < 0)
		return vmm_error_set(err, -ENODEV,
				     "this host's KVM has no interrupt controller");
	if (cpus > GIC_V2_CPUS_MAX)
		return vmm_error_at(err, -EINVAL, 0, GIC_V2_CPUS_MAX, cpus,
				    "--cpus %u: the GICv2 of this host has at most %u",
				    cpus, GIC_V2_CPUS_MAX);
	*out_version = 2;
	return 0;
}

int board_new(struct machine *machine, struct vmm_error *err)
{
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct board *board = machine->board;
	int ret = find_gic(machine, &board->gic_version, err);

	if (ret < 0)
		return ret;
	/* An access that KVM cannot tell us about then comes with registers, not as a
	 * failed call. */
	(void)!vmm_kvm_vm_enable_cap(machine->vm, KVM_CAP_ARM_NISV_TO_USER, 0, NULL);
	gic.version = board->gic_version;
	gic.dist_gpa = VMM_LOAD_ARM64_GIC_DIST;
	gic.cpu_gpa =
	    gic.version == 2 ? VMM_LOAD_ARM64_GIC_CPU : VMM_LOAD_ARM64_GIC_REDIST;
	return vmm_kvm_arm64_gic_open(machine->vm, &gic, &board->gic, err);
}

/* Devices. */

static void add_part(struct board_part **part, const char *name, uint64_t base,
		     uint64_t len, int gsi)
{
	*(*part)++ = (struct board_part){ name, false, base, len, gsi };
}

static void list_parts(struct board *board)
{
	struct board_part *part = board->parts;

	if (board->gic_version == 3) {
		add_part(&part, "GICv3 (KVM)", VMM_LOAD_ARM64_GIC_DIST, GIC_DIST_LEN, -1);
		add_part(&part, "GICv3 redistributors (KVM)", VMM_LOAD_ARM64_GIC_REDIST,
			 (uint64_t)GIC_REDIST_LEN * board->machine->desc->cpus, -1);
	} else {
		add_part(&part, "GICv2 (KVM)", VMM_LOAD_ARM64_GIC_DIST, GIC_V2_DIST_LEN,
			 -1);
		add_part(&part, "GICv2 CPU interface (KVM)", VMM_LOAD_ARM64_GIC_CPU,
			 GIC_V2_CPU_LEN, -1);
	}
	add_part(&part, "clock", RTC_GPA, VMM_SIO_PL031_LEN, RTC_GSI);
	add_part(&part, "serial", SERIAL_GPA, SERIAL_LEN, SERIAL_GSI);
}

const struct board_part *board_get_parts(const struct machine *machine, size_t *out_count)
{
	*out_count = PARTS_MAX - (machine->console ? 0 : 1);
	return machine->board->parts;
}

int board_add_devices(struct machine *machine, struct vmm_error *err)
{
	struct board *board = machine->board;
	int ret = vmm_kvm_arm64_gic_start(board->gic);

	/* Only now: KVM binds no eventfd to a controller that is not ready. */
	for (int i = 0; ret == 0 && i < IRQS; i++)
		ret = machine_add_irq(machine, irq_gsi[i], &board->irq_fd[i]);
	if (ret < 0)
		return vmm_error_set(err, ret, "interrupts: %s", strerror(-ret));

	if (!machine->desc->no_console)
		ret = console_new(&machine->outcome, board->irq_fd[IRQ_SERIAL],
				  &machine->console, err);
	if (ret < 0)
		return ret;
	ret = rtc_new(machine->loop, board->irq_fd[IRQ_RTC], &board->rtc);
	if (ret == 0)
		ret = vmm_bus_add(machine->mmio, RTC_GPA, VMM_SIO_PL031_LEN, &rtc_bus_ops,
				  board->rtc);
	if (ret == 0 && machine->console)
		ret = vmm_bus_add(machine->mmio, SERIAL_GPA, VMM_SIO_SERIAL_PORTS,
				  &console_bus_ops, machine->console);
	list_parts(board);
	return ret < 0 ? vmm_error_set(err, ret, "devices: %s", strerror(-ret)) : 0;
}

int board_get_places(struct vmm_alloc_ranges **out_windows,
		     struct vmm_alloc_ids **out_gsis)
{
	int ret = vmm_alloc_ranges_new(VIRTIO_GPA, VIRTIO_GPA_LAST, out_windows);

	if (ret == 0)
		ret = vmm_alloc_ids_new(VIRTIO_GSI_FIRST, VIRTIO_GSI_LAST, out_gsis);
	return ret;
}

int board_start(struct machine *machine, struct vmm_error *err)
{
	return machine->console ? console_start(machine->console, err) : 0;
}

/* There is no way to tell a guest that it stood still, so its clock stands still, too. */
void board_pause(struct machine *machine)
{
	struct board *board = machine->board;

	board->stopped = vmm_kvm_vcpu_arm64_get_counter(cpu_get_vcpu(machine, 0),
							&board->counter) == 0;
}

void board_resume(struct machine *machine)
{
	const struct board *board = machine->board;

	if (board->stopped)
		(void)!vmm_kvm_vcpu_arm64_set_counter(cpu_get_vcpu(machine, 0),
						      board->counter);
}

void board_free(struct machine *machine)
{
	struct board *board = machine->board;

	if (!board)
		return;
	rtc_free(board->rtc);
	for (int i = 0; i < IRQS; i++) {
		if (board->irq_fd[i] >= 0)
			(void)close(board->irq_fd[i]);
	}
	vmm_kvm_arm64_gic_close(board->gic);
	images_close(&board->images);
	free(board);
	machine->board = NULL;
}

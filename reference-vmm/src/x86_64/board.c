/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vmm/allocator.h>
#include <vmm/kvm-x86.h>
#include <vmm/loader-x86.h>
#include <vmm/superio-rtc.h>

#include "../cpu.h"
#include "board.h"

static const uint32_t irq_gsi[IRQS] = {
	[IRQ_COM1] = COM1_GSI,
	[IRQ_KEYBOARD] = KEYBOARD_GSI,
	[IRQ_MOUSE] = MOUSE_GSI,
	[IRQ_RTC] = RTC_GSI,
	[IRQ_POWER_BUTTON] = POWER_BUTTON_GSI,
};

/* The host. */

int board_check_host(struct machine *machine, struct vmm_error *err)
{
	const struct machine_desc *desc = machine->desc;
	int ret;

	if (desc->cpus > VMM_KVM_X86_CPUS_MAX)
		return vmm_error_at(err, -EINVAL, 0, VMM_KVM_X86_CPUS_MAX, desc->cpus,
				    "--cpus %u: this machine has room for at most %u",
				    desc->cpus, VMM_KVM_X86_CPUS_MAX);
	if (desc->force)
		return 0;
	ret = vmm_kvm_probe_linux(machine->kvm, err);
	if (ret == -EOPNOTSUPP)
		return vmm_error_set(
		    err, ret,
		    "this host's KVM emulates instructions one by one and "
		    "cannot boot Linux; run inside tests/nested/with-kvm "
		    "(or --force a bare-metal kernel)");
	return ret;
}

/* Devices. */

static void on_i8042_irq(void *ctx, uint32_t which, bool level)
{
	struct board *board = ctx;

	if (level)
		(void)eventfd_write(
		    board
			->irq_fd[which == VMM_SIO_I8042_MOUSE ? IRQ_MOUSE : IRQ_KEYBOARD],
		    1);
}

static void on_i8042_reset(void *ctx)
{
	struct board *board = ctx;

	outcome_set(&board->machine->outcome, 0, "guest reset (i8042)");
}

static void on_power_off(void *ctx)
{
	struct board *board = ctx;

	outcome_set(&board->machine->outcome, 0, "guest powered off");
}

static void on_power_reset(void *ctx)
{
	struct board *board = ctx;

	outcome_set(&board->machine->outcome, 0, "guest reset (ACPI)");
}

static void i8042_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct board *board = ctx;

	pthread_mutex_lock(&board->lock);
	*(uint8_t *)data = vmm_sio_i8042_read(board->i8042, (uint8_t)offset);
	pthread_mutex_unlock(&board->lock);
}

static void i8042_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct board *board = ctx;

	pthread_mutex_lock(&board->lock);
	vmm_sio_i8042_write(board->i8042, (uint8_t)offset, *(const uint8_t *)data);
	pthread_mutex_unlock(&board->lock);
}

static void power_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct board *board = ctx;

	pthread_mutex_lock(&board->lock);
	*(uint8_t *)data = vmm_sio_power_read(board->power, (uint8_t)offset);
	pthread_mutex_unlock(&board->lock);
}

static void power_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct board *board = ctx;

	pthread_mutex_lock(&board->lock);
	vmm_sio_power_write(board->power, (uint8_t)offset, *(const uint8_t *)data);
	pthread_mutex_unlock(&board->lock);
}

static const struct vmm_bus_ops i8042_bus_ops = { sizeof(i8042_bus_ops), i8042_read,
						  i8042_write };
static const struct vmm_bus_ops power_bus_ops = { sizeof(power_bus_ops), power_read,
						  power_write };

static int add_irq_chips(struct machine *machine)
{
	int ret = vmm_kvm_vm_set_tss_addr(machine->vm, (uint32_t)VMM_LOAD_X86_KVM_TSS);

	if (ret == 0)
		ret = vmm_kvm_vm_set_identity_map_addr(machine->vm,
						       VMM_LOAD_X86_KVM_IDENTITY_MAP);
	if (ret == 0)
		ret = vmm_kvm_vm_create_irqchip(machine->vm);
	if (ret == 0)
		ret = vmm_kvm_vm_create_pit2(machine->vm, KVM_PIT_SPEAKER_DUMMY);
	return ret;
}

static int add_devices(struct board *board)
{
	struct vmm_sio_i8042_ops i8042_ops = VMM_SIO_I8042_OPS_INIT;
	struct vmm_sio_i8042_opts i8042_opts = VMM_SIO_I8042_OPTS_INIT;
	struct vmm_sio_power_ops power_ops = VMM_SIO_POWER_OPS_INIT;
	struct vmm_sio_power_opts power_opts = VMM_SIO_POWER_OPTS_INIT;
	struct vmm_bus *ports = board->machine->ports;
	int ret;

	i8042_ops.set_irq = on_i8042_irq;
	i8042_ops.reset = on_i8042_reset;
	i8042_opts.ops = &i8042_ops;
	i8042_opts.ctx = board;
	power_ops.power_off = on_power_off;
	power_ops.reset = on_power_reset;
	power_opts.ops = &power_ops;
	power_opts.ctx = board;

	ret = vmm_sio_i8042_new(&i8042_opts, &board->i8042);
	if (ret == 0)
		ret = vmm_sio_power_new(&power_opts, &board->power);
	if (ret == 0)
		ret = rtc_new(board->machine->loop, board->irq_fd[IRQ_RTC], &board->rtc);
	if (ret == 0)
		ret = vmm_bus_add(ports, RTC_PORT, VMM_SIO_CMOS_PORTS, &rtc_bus_ops,
				  board->rtc);
	if (ret == 0)
		ret = vmm_bus_add(ports, I8042_PORT, I8042_PORTS, &i8042_bus_ops, board);
	if (ret == 0)
		ret = vmm_bus_add(ports, POWER_PORT, VMM_SIO_POWER_PORTS, &power_bus_ops,
				  board);
	if (ret == 0 && board->machine->console)
		ret = vmm_bus_add(ports, COM1_PORT, VMM_SIO_SERIAL_PORTS,
				  &console_bus_ops, board->machine->console);
	return ret;
}

int board_new(struct machine *machine, struct vmm_error *err)
{
	int ret = add_irq_chips(machine);

	return ret < 0
		   ? vmm_error_set(err, ret, "interrupt controllers: %s", strerror(-ret))
		   : 0;
}

int board_add_devices(struct machine *machine, struct vmm_error *err)
{
	struct board *board = machine->board;
	int ret = 0;

	for (int i = 0; ret == 0 && i < IRQS; i++)
		ret = machine_add_irq(machine, irq_gsi[i], &board->irq_fd[i]);
	if (ret < 0)
		return vmm_error_set(err, ret, "interrupts: %s", strerror(-ret));
	if (!machine->desc->no_console)
		ret = console_new(&machine->outcome, board->irq_fd[IRQ_COM1],
				  &machine->console, err);
	if (ret < 0)
		return ret;
	ret = add_devices(board);
	return ret < 0 ? vmm_error_set(err, ret, "devices: %s", strerror(-ret)) : 0;
}

const struct board_part *board_get_parts(const struct machine *machine, size_t *out_count)
{
	static const struct board_part parts[] = {
		{ "timer (KVM)", true, 0x40, 4, 0 },
		{ "keyboard", true, I8042_PORT, I8042_PORTS, KEYBOARD_GSI },
		{ "mouse", true, I8042_PORT, I8042_PORTS, MOUSE_GSI },
		{ "clock", true, RTC_PORT, VMM_SIO_CMOS_PORTS, RTC_GSI },
		{ "power", true, POWER_PORT, VMM_SIO_POWER_PORTS, POWER_BUTTON_GSI },
		{ "I/O APIC (KVM)", false, 0xfec00000, 0x1000, -1 },
		{ "local APIC (KVM)", false, 0xfee00000, 0x1000, -1 },
		{ "serial", true, COM1_PORT, VMM_SIO_SERIAL_PORTS, COM1_GSI },
	};

	*out_count = sizeof(parts) / sizeof(parts[0]) - (machine->console ? 0 : 1);
	return parts;
}

int board_get_places(struct vmm_alloc_ranges **out_windows,
		     struct vmm_alloc_ids **out_gsis)
{
	uint64_t last = VMM_LOAD_X86_MMIO + VMM_LOAD_X86_MMIO_LEN - 1;
	int ret = vmm_alloc_ranges_new(VMM_LOAD_X86_MMIO, last, out_windows);

	if (ret == 0)
		ret = vmm_alloc_ids_new(VIRTIO_GSI_FIRST, VIRTIO_GSI_LAST, out_gsis);
	if (ret == 0)
		ret = vmm_alloc_ids_reserve(*out_gsis, RTC_GSI);
	if (ret == 0)
		ret = vmm_alloc_ids_reserve(*out_gsis, POWER_BUTTON_GSI);
	if (ret == 0)
		ret = vmm_alloc_ids_reserve(*out_gsis, MOUSE_GSI);
	return ret;
}

int board_add_virtio(struct virtio *virtio, struct vmm_error *err)
{
	return 0;
}

int board_start(struct machine *machine, struct vmm_error *err)
{
	return machine->console ? console_start(machine->console, err) : 0;
}

void board_pause(struct machine *machine)
{
	/* -EINVAL: the guest does not use the paravirtual clock, so nobody asks. */
	for (uint32_t i = 0; i < machine->desc->cpus; i++)
		(void)!vmm_kvm_vcpu_kvmclock_ctrl(cpu_get_vcpu(machine, i));
}

/* The guest's clock went on, as over a suspend of the host. */
void board_resume(struct machine *machine)
{
}

void board_press_power_button(struct machine *machine)
{
	(void)eventfd_write(machine->board->irq_fd[IRQ_POWER_BUTTON], 1);
}

void board_free(struct machine *machine)
{
	struct board *board = machine->board;

	if (!board)
		return;
	rtc_free(board->rtc);
	vmm_sio_i8042_free(board->i8042);
	vmm_sio_power_free(board->power);
	for (int i = 0; i < IRQS; i++) {
		if (board->irq_fd[i] >= 0)
			(void)close(board->irq_fd[i]);
	}
	images_close(&board->images);
	(void)pthread_mutex_destroy(&board->lock);
	free(board);
	machine->board = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "exit-trace.h"

enum { CPU_TEXT_MAX = 2048 };

struct cpu {
	struct machine *machine;
	struct vmm_kvm_vcpu *vcpu;
	/* This thread's places at what all vCPUs share: no lock on the way to a device.
	 */
	struct vmm_mem_reader *memory;
	struct vmm_bus_reader *ports;
	struct vmm_bus_reader *mmio;
};

static void port_access(struct cpu *cpu, const struct vmm_kvm_exit *exit)
{
	uint16_t port = exit->u.io.port;
	uint8_t size = exit->u.io.size, *data = exit->u.io.data;

	/* A string instruction: the same port, once for each item. */
	for (uint32_t i = 0; i < exit->u.io.count; i++, data += size) {
		if (exit->u.io.is_write)
			(void)vmm_bus_reader_write(cpu->ports, port, data, size);
		else
			(void)vmm_bus_reader_read(cpu->ports, port, data, size);
	}
}

static void mmio_access(struct cpu *cpu, const struct vmm_kvm_exit *exit)
{
	if (exit->u.mmio.is_write)
		(void)vmm_bus_reader_write(cpu->mmio, exit->u.mmio.gpa, exit->u.mmio.data,
					   exit->u.mmio.len);
	else
		(void)vmm_bus_reader_read(cpu->mmio, exit->u.mmio.gpa, exit->u.mmio.data,
					  exit->u.mmio.len);
}

static void system_event(struct machine *machine, const struct vmm_kvm_exit *exit)
{
	switch (exit->u.system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		outcome_set(&machine->outcome, 0, "guest powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		outcome_set(&machine->outcome, 0, "guest reset");
		break;
	default:
		outcome_set(&machine->outcome, EXIT_MACHINE_FAILED,
			    "guest crashed (event %u)", exit->u.system_event.type);
	}
}

/* An exit that ends the machine, with all that helps to find out why. */
static void fail(struct cpu *cpu, const struct vmm_mem *mem,
		 const struct vmm_kvm_exit *exit)
{
	char what[512], state[CPU_TEXT_MAX];

	(void)vmm_kvm_exit_describe(exit, what, sizeof(what));
	board_describe_cpu(mem, cpu->vcpu, state, sizeof(state));
	outcome_set(&cpu->machine->outcome, EXIT_MACHINE_FAILED, "vCPU %u failed: %s\n%s",
		    vmm_kvm_vcpu_get_id(cpu->vcpu), what, state);
}

struct unit {
	struct cpu *cpu;
	const struct vmm_kvm_exit *exit;
};

/* One exit is one unit of work on guest memory. */
static int handle(void *ctx, const struct vmm_mem *mem)
{
	const struct unit *unit = ctx;
	struct cpu *cpu = unit->cpu;

	switch (unit->exit->reason) {
	case VMM_KVM_EXIT_IO:
		port_access(cpu, unit->exit);
		break;
	case VMM_KVM_EXIT_MMIO:
		mmio_access(cpu, unit->exit);
		break;
	case VMM_KVM_EXIT_SYSTEM_EVENT:
		system_event(cpu->machine, unit->exit);
		break;
	case VMM_KVM_EXIT_SHUTDOWN:
		outcome_set(&cpu->machine->outcome, 0, "guest reset (triple fault)");
		break;
	case VMM_KVM_EXIT_INTR:
		break;
	default:
		fail(cpu, mem, unit->exit);
	}
	return 0;
}

/* vCPU threads. */

static int on_exit_of(void *ctx, uint32_t index, const struct vmm_kvm_exit *exit)
{
	struct machine *machine = ctx;
	struct unit unit = { .cpu = &machine->cpus[index], .exit = exit };

	(void)vmm_mem_reader_run(unit.cpu->memory, handle, &unit);
	if (machine->trace)
		exit_trace_write(machine->trace, index, exit);
	return outcome_is_set(&machine->outcome);
}

static void on_failed(void *ctx, uint32_t index, int code)
{
	struct machine *machine = ctx;

	outcome_set(&machine->outcome, EXIT_MACHINE_FAILED, "vCPU %u failed: KVM_RUN: %s",
		    index, strerror(-code));
}

static int threads_new(struct machine *machine)
{
	struct vmm_kvm_threads_ops ops = VMM_KVM_THREADS_OPS_INIT;
	uint32_t count = machine->desc->cpus;
	struct vmm_kvm_vcpu **vcpus = calloc(count, sizeof(struct vmm_kvm_vcpu *));
	int ret;

	if (!vcpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		vcpus[i] = machine->cpus[i].vcpu;
	ops.exit = on_exit_of;
	ops.failed = on_failed;
	ops.measure = 1;
	ret = vmm_kvm_threads_new(vcpus, count, &ops, machine, &machine->threads);
	free(vcpus);
	return ret;
}

static int cpu_new(struct machine *machine, uint32_t index, struct vmm_error *err)
{
	struct cpu *cpu = &machine->cpus[index];
	char name[16];
	int ret;

	cpu->machine = machine;
	(void)snprintf(name, sizeof(name), "vcpu %u", index);
	ret = vmm_mem_space_add_reader(machine->space, name, &cpu->memory);
	if (ret == 0)
		ret = vmm_bus_reader_new(machine->ports, &cpu->ports);
	if (ret == 0)
		ret = vmm_bus_reader_new(machine->mmio, &cpu->mmio);
	if (ret < 0)
		return vmm_error_set(err, ret, "%s: %s", name, strerror(-ret));
	return vmm_kvm_vcpu_open(machine->vm, index, &cpu->vcpu, err);
}

static void cpu_free(struct cpu *cpu)
{
	vmm_kvm_vcpu_close(cpu->vcpu);
	vmm_bus_reader_free(cpu->mmio);
	vmm_bus_reader_free(cpu->ports);
	if (cpu->memory)
		vmm_mem_space_remove_reader(cpu->machine->space, cpu->memory);
}

int cpus_new(struct machine *machine, struct vmm_error *err)
{
	uint32_t count = machine->desc->cpus;
	int ret;

	ret = vmm_kvm_kick_signal_init(VMM_KVM_KICK_SIGNAL_DEFAULT);
	if (ret < 0)
		return vmm_error_set(err, ret, "kick signal: %s", strerror(-ret));
	machine->cpus = calloc(count, sizeof(*machine->cpus));
	if (!machine->cpus)
		return vmm_error_set(err, -ENOMEM, "vCPUs: out of memory");

	for (uint32_t i = 0; ret == 0 && i < count; i++)
		ret = cpu_new(machine, i, err);
	if (ret < 0)
		return ret;
	ret = threads_new(machine);
	return ret < 0 ? vmm_error_set(err, ret, "vCPUs: %s", strerror(-ret)) : 0;
}

struct vmm_kvm_vcpu *cpu_get_vcpu(struct machine *machine, uint32_t index)
{
	return machine->cpus[index].vcpu;
}

int cpus_start(struct machine *machine, struct vmm_error *err)
{
	int ret = vmm_kvm_threads_start(machine->threads);

	return ret < 0 ? vmm_error_set(err, ret, "vCPUs: no thread: %s", strerror(-ret))
		       : 0;
}

void cpus_free(struct machine *machine)
{
	vmm_kvm_threads_free(machine->threads);
	for (uint32_t i = 0; machine->cpus && i < machine->desc->cpus; i++)
		cpu_free(&machine->cpus[i]);
	free(machine->cpus);
	machine->cpus = NULL;
}

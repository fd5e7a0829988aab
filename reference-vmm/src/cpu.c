/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "exit-trace.h"

enum { CPU_TEXT_MAX = 2048 };

struct cpu {
	struct machine *machine;
	struct vmm_kvm_vcpu *vcpu;
	/* Only its thread counts; atomic to readers. */
	struct cpu_exits exits[CPU_EXIT_REASONS];
	uint64_t guest_ns;
	/* This thread's places at what all vCPUs share: no lock on the way to a device.
	 */
	struct vmm_mem_reader *memory;
	struct vmm_bus_reader *ports;
	struct vmm_bus_reader *mmio;
	pthread_t thread;
	bool started;
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
	struct vmm_kvm_exit exit;
};

/* One exit is one unit of work on guest memory. */
static int handle(void *ctx, const struct vmm_mem *mem)
{
	const struct unit *unit = ctx;
	struct cpu *cpu = unit->cpu;

	switch (unit->exit.reason) {
	case VMM_KVM_EXIT_IO:
		port_access(cpu, &unit->exit);
		break;
	case VMM_KVM_EXIT_MMIO:
		mmio_access(cpu, &unit->exit);
		break;
	case VMM_KVM_EXIT_SYSTEM_EVENT:
		system_event(cpu->machine, &unit->exit);
		break;
	case VMM_KVM_EXIT_SHUTDOWN:
		outcome_set(&cpu->machine->outcome, 0, "guest reset (triple fault)");
		break;
	case VMM_KVM_EXIT_INTR:
		break;
	default:
		fail(cpu, mem, &unit->exit);
	}
	return 0;
}

static void add(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

/* Tell apart the time in the guest and that until it goes on. */
static void account(struct cpu *cpu, uint32_t reason, uint64_t times[3])
{
	struct cpu_exits *exits =
	    &cpu->exits[reason < CPU_EXIT_REASONS ? reason : VMM_KVM_EXIT_UNKNOWN];

	add(&exits->count, 1);
	add(&exits->ns, times[2] - times[1]);
	add(&cpu->guest_ns, times[1] - times[0]);
	times[0] = times[2];
}

static void on_pause(void *ctx)
{
	const struct cpu *cpu = ctx;

	board_pause_cpu(cpu->vcpu);
}

/* What came out of running the guest. */
static void react(struct cpu *cpu, int ret, struct unit *unit)
{
	struct machine *machine = cpu->machine;

	if (ret == 0) {
		(void)vmm_mem_reader_run(cpu->memory, handle, unit);
	} else if (ret == -EINTR) {
		/* What the guest waited for is completed by now. */
		unit->exit.reason = VMM_KVM_EXIT_INTR;
		gate_pass(&machine->gate, on_pause, cpu);
	} else if (ret != -EAGAIN) {
		outcome_set(&machine->outcome, EXIT_MACHINE_FAILED,
			    "vCPU %u failed: KVM_RUN: %s", vmm_kvm_vcpu_get_id(cpu->vcpu),
			    strerror(-ret));
	}
}

static void *run_cpu(void *arg)
{
	struct unit unit = { .cpu = arg };
	struct cpu *cpu = arg;
	const struct exit_trace *trace = cpu->machine->trace;
	uint64_t times[3] = { clock_ns() }; /* in the guest, out of it, handled */
	int ret;

	while (!outcome_is_set(&cpu->machine->outcome)) {
		ret = vmm_kvm_vcpu_run(cpu->vcpu, &unit.exit);
		times[1] = clock_ns();
		react(cpu, ret, &unit);
		if (trace && ret == 0)
			exit_trace_write(trace, vmm_kvm_vcpu_get_id(cpu->vcpu),
					 &unit.exit, times[1] - times[0]);
		times[2] = clock_ns();
		if (ret == 0 || ret == -EINTR)
			account(cpu, unit.exit.reason, times);
	}
	gate_leave(&cpu->machine->gate);
	return NULL;
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
	return ret;
}

struct vmm_kvm_vcpu *cpu_get_vcpu(struct machine *machine, uint32_t index)
{
	return machine->cpus[index].vcpu;
}

int cpus_start(struct machine *machine, struct vmm_error *err)
{
	for (uint32_t i = 0; i < machine->desc->cpus; i++) {
		struct cpu *cpu = &machine->cpus[i];
		int ret;

		gate_enter(&machine->gate);
		ret = -pthread_create(&cpu->thread, NULL, run_cpu, cpu);
		if (ret < 0)
			gate_leave(&machine->gate);
		if (ret < 0)
			return vmm_error_set(err, ret, "vCPU %u: no thread: %s", i,
					     strerror(-ret));
		cpu->started = true;
	}
	return 0;
}

static void kick_all(void *ctx)
{
	struct machine *machine = ctx;

	for (uint32_t i = 0; i < machine->desc->cpus; i++)
		vmm_kvm_vcpu_kick(machine->cpus[i].vcpu);
}

void cpus_pause(struct machine *machine)
{
	gate_close(&machine->gate, kick_all, machine);
}

void cpus_resume(struct machine *machine)
{
	gate_open(&machine->gate);
}

struct cpu_exits cpu_get_exits(const struct machine *machine, uint32_t index,
			       uint32_t reason)
{
	const struct cpu_exits *exits = &machine->cpus[index].exits[reason];

	return (struct cpu_exits){ __atomic_load_n(&exits->count, __ATOMIC_RELAXED),
				   __atomic_load_n(&exits->ns, __ATOMIC_RELAXED) };
}

uint64_t cpu_get_guest_ns(const struct machine *machine, uint32_t index)
{
	return __atomic_load_n(&machine->cpus[index].guest_ns, __ATOMIC_RELAXED);
}

void cpus_stop(struct machine *machine)
{
	gate_open(&machine->gate);
	for (uint32_t i = 0; machine->cpus && i < machine->desc->cpus; i++) {
		struct cpu *cpu = &machine->cpus[i];

		if (!cpu->started)
			continue;
		/* The outcome is set, so the thread does not run the guest again. */
		vmm_kvm_vcpu_kick(cpu->vcpu);
		(void)pthread_join(cpu->thread, NULL);
		cpu->started = false;
	}
}

void cpus_free(struct machine *machine)
{
	cpus_stop(machine);
	for (uint32_t i = 0; machine->cpus && i < machine->desc->cpus; i++)
		cpu_free(&machine->cpus[i]);
	free(machine->cpus);
	machine->cpus = NULL;
}

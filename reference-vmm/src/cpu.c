/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

enum { CPU_TEXT_MAX = 2048 };

struct cpu {
	struct machine *machine;
	struct vmm_kvm_vcpu *vcpu;
	pthread_t thread;
	bool started;
};

static void port_access(struct machine *machine, const struct vmm_kvm_exit *exit)
{
	uint8_t *data = exit->u.io.data;

	/* A string instruction: the same port, once for each item. */
	for (uint32_t i = 0; i < exit->u.io.count; i++, data += exit->u.io.size) {
		if (exit->u.io.is_write)
			(void)vmm_bus_write(machine->ports, exit->u.io.port, data,
					    exit->u.io.size);
		else
			(void)vmm_bus_read(machine->ports, exit->u.io.port, data,
					   exit->u.io.size);
	}
}

static void mmio_access(struct machine *machine, const struct vmm_kvm_exit *exit)
{
	if (exit->u.mmio.is_write)
		(void)vmm_bus_write(machine->mmio, exit->u.mmio.gpa, exit->u.mmio.data,
				    exit->u.mmio.len);
	else
		(void)vmm_bus_read(machine->mmio, exit->u.mmio.gpa, exit->u.mmio.data,
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
static void fail(struct cpu *cpu, const struct vmm_kvm_exit *exit)
{
	char what[512], state[CPU_TEXT_MAX];

	(void)vmm_kvm_exit_describe(exit, what, sizeof(what));
	board_describe_cpu(cpu->machine, cpu->vcpu, state, sizeof(state));
	outcome_set(&cpu->machine->outcome, EXIT_MACHINE_FAILED, "vCPU %u failed: %s\n%s",
		    vmm_kvm_vcpu_get_id(cpu->vcpu), what, state);
}

static void handle(struct cpu *cpu, const struct vmm_kvm_exit *exit)
{
	switch (exit->reason) {
	case VMM_KVM_EXIT_IO:
		port_access(cpu->machine, exit);
		break;
	case VMM_KVM_EXIT_MMIO:
		mmio_access(cpu->machine, exit);
		break;
	case VMM_KVM_EXIT_SYSTEM_EVENT:
		system_event(cpu->machine, exit);
		break;
	case VMM_KVM_EXIT_SHUTDOWN:
		outcome_set(&cpu->machine->outcome, 0, "guest reset (triple fault)");
		break;
	case VMM_KVM_EXIT_INTR:
		break;
	default:
		fail(cpu, exit);
	}
}

static void *run_cpu(void *arg)
{
	struct cpu *cpu = arg;
	struct machine *machine = cpu->machine;
	struct vmm_kvm_exit exit;
	int ret;

	while (!outcome_is_set(&machine->outcome)) {
		ret = vmm_kvm_vcpu_run(cpu->vcpu, &exit);
		if (ret == 0)
			handle(cpu, &exit);
		else if (ret != -EINTR && ret != -EAGAIN)
			outcome_set(&machine->outcome, EXIT_MACHINE_FAILED,
				    "vCPU %u failed: KVM_RUN: %s",
				    vmm_kvm_vcpu_get_id(cpu->vcpu), strerror(-ret));
	}
	return NULL;
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

	for (uint32_t i = 0; i < count; i++) {
		machine->cpus[i].machine = machine;
		ret = vmm_kvm_vcpu_open(machine->vm, i, &machine->cpus[i].vcpu, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

struct vmm_kvm_vcpu *cpu_get_vcpu(struct machine *machine, uint32_t index)
{
	return machine->cpus[index].vcpu;
}

int cpus_start(struct machine *machine, struct vmm_error *err)
{
	for (uint32_t i = 0; i < machine->desc->cpus; i++) {
		struct cpu *cpu = &machine->cpus[i];
		int ret = -pthread_create(&cpu->thread, NULL, run_cpu, cpu);

		if (ret < 0)
			return vmm_error_set(err, ret, "vCPU %u: no thread: %s", i,
					     strerror(-ret));
		cpu->started = true;
	}
	return 0;
}

void cpus_stop(struct machine *machine)
{
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
		vmm_kvm_vcpu_close(machine->cpus[i].vcpu);
	free(machine->cpus);
	machine->cpus = NULL;
}

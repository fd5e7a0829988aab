/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CPU_H
#define CPU_H

#include "machine.h"

/* Create the vCPUs of a machine; none runs yet. */
int cpus_new(struct machine *machine, struct vmm_error *err);

struct vmm_kvm_vcpu *cpu_get_vcpu(struct machine *machine, uint32_t index);

/* Start a thread for each vCPU. */
int cpus_start(struct machine *machine, struct vmm_error *err);

/* Have every vCPU leave the guest and wait; returns when none runs. On the event loop,
 * as is resuming: one at a time. */
void cpus_pause(struct machine *machine);
void cpus_resume(struct machine *machine);

/* How often a vCPU left the guest for a reason (enum vmm_kvm_exit_reason, below
 * CPU_EXIT_REASONS; larger ones count as 0), and how long it was until it went on. */
struct cpu_exits {
	uint64_t count;
	uint64_t ns;
};
enum { CPU_EXIT_REASONS = 64 };
struct cpu_exits cpu_get_exits(const struct machine *machine, uint32_t index,
			       uint32_t reason);

/* How long a vCPU was in the guest, up to the last time that it left. */
uint64_t cpu_get_guest_ns(const struct machine *machine, uint32_t index);

/* Make every vCPU leave the guest and wait for the threads. */
void cpus_stop(struct machine *machine);

/* Stop them and release everything. Works on half-made ones, and on none. */
void cpus_free(struct machine *machine);

#endif

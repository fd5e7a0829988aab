/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CPU_H
#define CPU_H

#include "machine.h"

/* Create the vCPUs of a machine, and threads for them that do not run yet. */
int cpus_new(struct machine *machine, struct vmm_error *err);

struct vmm_kvm_vcpu *cpu_get_vcpu(struct machine *machine, uint32_t index);

/* Let them run. */
int cpus_start(struct machine *machine, struct vmm_error *err);

/* Stop them and release everything. Works on half-made ones, and on none. */
void cpus_free(struct machine *machine);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_FDT_MACHINE_H
#define LOADER_FDT_MACHINE_H

#include <vmm/fdt.h>

/* Sizes that the GIC's and the PL031's specifications have. */
#define GICV2_DIST_LEN UINT64_C(0x1000)
#define GICV2_CPU_LEN UINT64_C(0x2000)
#define GICV3_DIST_LEN UINT64_C(0x10000)
#define GICV3_REDIST_LEN UINT64_C(0x20000)
#define PL031_LEN UINT64_C(0x1000)

/* Affinity 0 has the CPUs of a cluster: a GICv3 sends to 16 of them at once. */
static inline uint64_t fdt_machine_mpidr(const struct vmm_fdt_machine *m, uint32_t cpu)
{
	return m->mpidrs ? m->mpidrs[cpu] : (uint64_t)(cpu / 16) << 8 | cpu % 16;
}

/* Says what is wrong with a description that is copied to its full size. */
int fdt_machine_check(const struct vmm_fdt_machine *m, struct vmm_error *err);

#endif

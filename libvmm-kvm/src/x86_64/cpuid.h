/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_X86_CPUID_H
#define KVM_X86_CPUID_H

#include <vmm/kvm-x86.h>

/* The kernel's own limit (KVM_MAX_CPUID_ENTRIES). */
#define CPUID_ENTRIES_MAX 256u

/* The table is a block of its own, so that it can grow under the handle. */
struct vmm_kvm_x86_cpuid {
	/* Entries that fit in the table. */
	uint32_t capacity;
	uint32_t reserved_;
	struct kvm_cpuid2 *table;
};

#endif

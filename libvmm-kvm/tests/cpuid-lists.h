/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_CPUID_LISTS_H
#define TESTS_CPUID_LISTS_H

/* What two kinds of hosts offer. */

#include "fake-kvm.h"

#include <vmm/kvm-x86.h>

static inline struct vmm_kvm_x86_cpuid *list_of(const struct kvm_cpuid_entry2 *entries,
						size_t n)
{
	struct vmm_kvm_x86_cpuid *cpuid = NULL;

	assert_int_equal(vmm_kvm_x86_cpuid_new(&cpuid), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(vmm_kvm_x86_cpuid_add(cpuid, &entries[i]), 0);
	return cpuid;
}

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define CPUID_CLEANUP VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid

static const struct kvm_cpuid_entry2 intel[] = {
	{ .function = 0,
	  .eax = 0x1f,
	  .ebx = 0x756e6547,
	  .edx = 0x49656e69,
	  .ecx = 0x6c65746e },
	{ .function = 1, .ebx = 0x07100800, .ecx = 0x01208009, .edx = 0x1f8bfbff },
	{ .function = 4, .index = 0, .flags = INDEXED, .eax = 0xfc004121 },
	{ .function = 4, .index = 3, .flags = INDEXED, .eax = 0xfc03c163 },
	{ .function = 4, .index = 4, .flags = INDEXED, .eax = 0 },
	{ .function = 6, .ecx = 9 },
	{ .function = 7, .index = 0, .flags = INDEXED, .ecx = 0x20 | 0x40 },
	{ .function = 0xb, .index = 0, .flags = INDEXED, .eax = 9, .ebx = 9, .edx = 9 },
	{ .function = 0xb, .index = 5, .flags = INDEXED, .eax = 9, .ebx = 9, .edx = 9 },
};

static const struct kvm_cpuid_entry2 amd[] = {
	{ .function = 0,
	  .eax = 0x10,
	  .ebx = 0x68747541,
	  .edx = 0x69746e65,
	  .ecx = 0x444d4163 },
	{ .function = 1, .ebx = 0x00000800 },
	{ .function = 0x80000001, .ecx = 1u << 22 },
	{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x703f },
	{ .function = 0x8000001d, .index = 0, .flags = INDEXED, .eax = 0x3ffc121 },
	{ .function = 0x8000001d, .index = 3, .flags = INDEXED, .eax = 0x3ffc163 },
	{ .function = 0x8000001e, .eax = 77, .ebx = 0x0177, .ecx = 0x700, .edx = 5 },
};

#endif

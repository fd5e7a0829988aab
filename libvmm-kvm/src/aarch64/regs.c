/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Registers by name. Compiled, and tested, on every architecture. */
#include <errno.h>
#include <stdio.h>
#include <vmm/kvm-arm64.h>

#include "internal.h"

/* KVM_REG_ARM64 | KVM_REG_SIZE_U64, and the group: general registers, which are counted
 * in units of 32 bits, and those of the system by their encoding. */
#define CORE_REG(n) (UINT64_C(0x6030000000100000) | (n)*2)
#define SYSTEM_REG(op0, op1, crn, crm, op2)                                      \
	(UINT64_C(0x6030000000130000) | (op0) << 14 | (op1) << 11 | (crn) << 7 | \
	 (crm) << 3 | (op2))

/* KVM_REG_ARM_TIMER_CNT, whose encoding is that of another register by mistake. */
#define COUNTER SYSTEM_REG(3, 3, 14, 3, 2)

enum {
	CORE_SP = 31, /* of programs */
	CORE_PC = 32,
	CORE_PSTATE = 33,
	CORE_SP_EL1 = 34, /* of the kernel */
	CORE_ELR_EL1 = 35,
	CORE_SPSR_EL1 = 36,
};

struct named {
	char name[8];
	uint64_t id;
};

static const struct named named[] = {
	{ "pc", CORE_REG(CORE_PC) },
	{ "pstate", CORE_REG(CORE_PSTATE) },
	{ "sp_el0", CORE_REG(CORE_SP) },
	{ "sp_el1", CORE_REG(CORE_SP_EL1) },
	{ "elr", CORE_REG(CORE_ELR_EL1) },
	{ "spsr", CORE_REG(CORE_SPSR_EL1) },
	{ "esr", SYSTEM_REG(3, 0, 5, 2, 0) },
	{ "far", SYSTEM_REG(3, 0, 6, 0, 0) },
	{ "sctlr", SYSTEM_REG(3, 0, 1, 0, 0) },
	{ "tcr", SYSTEM_REG(3, 0, 2, 0, 2) },
	{ "ttbr0", SYSTEM_REG(3, 0, 2, 0, 0) },
	{ "ttbr1", SYSTEM_REG(3, 0, 2, 0, 1) },
	{ "vbar", SYSTEM_REG(3, 0, 12, 0, 0) },
	{ "mpidr", SYSTEM_REG(3, 0, 0, 0, 5) },
};

enum { NAMED = sizeof(named) / sizeof(named[0]), GENERAL = 31 };

static struct named register_at(size_t i)
{
	struct named reg;

	if (i < NAMED)
		return named[i];
	(void)snprintf(reg.name, sizeof(reg.name), "x%u", (unsigned)(i - NAMED));
	reg.id = CORE_REG(i - NAMED);
	return reg;
}

size_t vmm_kvm_vcpu_arm64_describe(struct vmm_kvm_vcpu *vcpu, char *buf, size_t size)
{
	const size_t count = NAMED + GENERAL;
	size_t len = 0;

	if (vcpu->sys->arch != KVM_ARCH_AARCH64)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct named reg = register_at(i);
		uint64_t value = 0;

		if (vmm_kvm_vcpu_get_one_reg(vcpu, reg.id, &value, sizeof(value)) < 0)
			return 0;
		/* snprintf() may be given room for nothing, and still tells the length. */
		len += (size_t)snprintf(len < size ? buf + len : NULL,
					len < size ? size - len : 0, "%s=%016llx%c",
					reg.name, (unsigned long long)value,
					i % 4 == 3 || i == count - 1 ? '\n' : ' ');
	}
	return len;
}

int vmm_kvm_vcpu_arm64_get_counter(struct vmm_kvm_vcpu *vcpu, uint64_t *out)
{
	uint64_t value = 0;
	int ret;

	if (vcpu->sys->arch != KVM_ARCH_AARCH64)
		return -EOPNOTSUPP;
	ret = vmm_kvm_vcpu_get_one_reg(vcpu, COUNTER, &value, sizeof(value));
	if (ret == 0)
		*out = value;
	return ret;
}

int vmm_kvm_vcpu_arm64_set_counter(struct vmm_kvm_vcpu *vcpu, uint64_t value)
{
	if (vcpu->sys->arch != KVM_ARCH_AARCH64)
		return -EOPNOTSUPP;
	return vmm_kvm_vcpu_set_one_reg(vcpu, COUNTER, &value, sizeof(value));
}

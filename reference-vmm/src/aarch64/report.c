/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include <vmm/kvm-arm64.h>

#include "../machine.h"

#define PC 32u
#define SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define SCTLR_M 1u

/* The instruction words from the program counter on. With address translation they are
 * not looked for: KVM has no call that walks a guest's page tables. */
static void describe_code(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu,
			  char *text, size_t size)
{
	uint64_t pc = 0, sctlr = 0;
	uint32_t code[4];
	int len = 0;

	if (vmm_kvm_vcpu_get_one_reg(vcpu, vmm_kvm_arm64_core_reg(PC), &pc, sizeof(pc)) <
		0 ||
	    vmm_kvm_vcpu_get_one_reg(vcpu, SCTLR_EL1, &sctlr, sizeof(sctlr)) < 0 ||
	    (sctlr & SCTLR_M) || vmm_mem_read(mem, pc, code, sizeof(code)) < 0) {
		(void)snprintf(text, size, "code: none at pc\n");
		return;
	}
	len = snprintf(text, size, "code:");
	for (size_t i = 0; i < 4 && len > 0 && (size_t)len < size; i++)
		len += snprintf(text + len, size - (size_t)len, " %08x", code[i]);
}

void board_describe_cpu(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu, char *text,
			size_t size)
{
	size_t len = vmm_kvm_vcpu_arm64_describe(vcpu, text, size);

	if (len == 0)
		(void)snprintf(text, size, "no registers");
	else if (len < size)
		describe_code(mem, vcpu, text + len, size - len);
}

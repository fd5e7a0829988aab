/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include <vmm/kvm-x86.h>

#include "../machine.h"

/* The bytes at the program counter, as far as they can be had. */
static void describe_code(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu,
			  uint64_t rip, char *text, size_t size)
{
	struct kvm_translation where = { .linear_address = rip };
	uint8_t code[16];
	int len = 0;

	if (vmm_kvm_vcpu_translate(vcpu, &where) < 0 || !where.valid ||
	    vmm_mem_read(mem, where.physical_address, code, sizeof(code)) < 0) {
		(void)snprintf(text, size, "code: none at rip\n");
		return;
	}
	len = snprintf(text, size, "code:");
	for (size_t i = 0; i < sizeof(code) && len > 0 && (size_t)len < size; i++)
		len += snprintf(text + len, size - (size_t)len, " %02x", code[i]);
}

void board_describe_cpu(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu, char *text,
			size_t size)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	size_t len;

	if (vmm_kvm_vcpu_get_regs(vcpu, &regs) < 0 ||
	    vmm_kvm_vcpu_get_sregs(vcpu, &sregs) < 0) {
		(void)snprintf(text, size, "no registers");
		return;
	}
	len = vmm_kvm_x86_describe_regs(&regs, &sregs, text, size);
	if (len < size)
		describe_code(mem, vcpu, regs.rip, text + len, size - len);
}

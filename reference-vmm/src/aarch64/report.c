/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include <vmm/kvm-arm64.h>

#include "../machine.h"

void board_describe_cpu(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu, char *text,
			size_t size)
{
	(void)snprintf(text, size, "no registers");
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "internal.h"

uint64_t kvm_arch_default_vm_type(const struct vmm_kvm *kvm)
{
	(void)kvm;
	return 0;
}

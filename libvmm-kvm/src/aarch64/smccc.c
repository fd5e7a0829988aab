/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Firmware calls. Compiled, and tested, on every architecture. */
#include <errno.h>
#include <vmm/kvm-arm64.h>

#include "compat.h"
#include "internal.h"

int vmm_kvm_vm_arm64_filter_smccc(struct vmm_kvm_vm *vm, uint32_t first, uint32_t count,
				  uint32_t action)
{
	struct kvm_compat_smccc_filter filter = {
		.base = first,
		.nr_functions = count,
		.action = (__u8)action,
	};
	uint32_t last;

	if (vm->sys->arch != KVM_ARCH_AARCH64)
		return -EOPNOTSUPP;
	if (count == 0 || __builtin_add_overflow(first, count - 1, &last) ||
	    action > VMM_KVM_ARM64_SMCCC_EXIT)
		return -EINVAL;
	return vmm_kvm_vm_set_attr(vm, KVM_COMPAT_SMCCC_CTRL, KVM_COMPAT_SMCCC_FILTER,
				   &filter);
}

int vmm_kvm_vcpu_arm64_set_psci(struct vmm_kvm_vcpu *vcpu, uint32_t major, uint32_t minor)
{
	uint64_t version = (uint64_t)major << 16 | minor;

	if (vcpu->sys->arch != KVM_ARCH_AARCH64)
		return -EOPNOTSUPP;
	if (major > UINT16_MAX || minor > UINT16_MAX)
		return -EINVAL;
	return vmm_kvm_vcpu_set_one_reg(vcpu, KVM_COMPAT_ARM64_PSCI_VERSION, &version,
					sizeof(version));
}

int vmm_kvm_vcpu_arm64_get_psci(struct vmm_kvm_vcpu *vcpu, uint32_t *out)
{
	uint64_t version = 0;
	int ret;

	if (vcpu->sys->arch != KVM_ARCH_AARCH64)
		return -EOPNOTSUPP;
	ret = vmm_kvm_vcpu_get_one_reg(vcpu, KVM_COMPAT_ARM64_PSCI_VERSION, &version,
				       sizeof(version));
	if (ret == 0)
		*out = (uint32_t)version;
	return ret;
}

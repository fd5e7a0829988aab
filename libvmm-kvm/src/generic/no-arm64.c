/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The calls for arm64, where there is no arm64. */
#include <errno.h>
#include <vmm/kvm-arm64.h>

int vmm_kvm_vm_get_preferred_target(struct vmm_kvm_vm *vm, struct kvm_vcpu_init *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_arm64_init(struct vmm_kvm_vcpu *vcpu, const struct kvm_vcpu_init *init)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_arm64_finalize(struct vmm_kvm_vcpu *vcpu, uint32_t feature)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_arm64_get_events(struct vmm_kvm_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_arm64_set_events(struct vmm_kvm_vcpu *vcpu,
				  const struct kvm_vcpu_events *events)
{
	return -EOPNOTSUPP;
}

uint64_t vmm_kvm_arm64_core_reg(uint32_t n)
{
	return 0;
}

int vmm_kvm_vcpu_arm64_setup(struct vmm_kvm_vcpu *vcpu, uint32_t features,
			     const struct vmm_kvm_arm64_boot *boot, struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_arm64_enable_pmu(struct vmm_kvm_vcpu *vcpu, uint32_t irq)
{
	return -EOPNOTSUPP;
}

uint32_t vmm_kvm_get_host_ipa_limit(const struct vmm_kvm *kvm)
{
	return 0;
}

int vmm_kvm_arm64_gic_open(struct vmm_kvm_vm *vm, const struct vmm_kvm_arm64_gic *gic,
			   struct vmm_kvm_arm64_gic_device **out, struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

void vmm_kvm_arm64_gic_close(struct vmm_kvm_arm64_gic_device *gic)
{
}

int vmm_kvm_arm64_gic_start(struct vmm_kvm_arm64_gic_device *gic)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_counter_offset(struct vmm_kvm_vm *vm, uint64_t offset)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_writable_masks(struct vmm_kvm_vm *vm, uint32_t range, uint64_t *masks,
				  size_t count)
{
	return -EOPNOTSUPP;
}

int64_t vmm_kvm_vm_copy_mte_tags(struct vmm_kvm_vm *vm,
				 const struct kvm_arm_copy_mte_tags *copy)
{
	return -EOPNOTSUPP;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <vmm/kvm-x86.h>

#include "internal.h"

int vmm_kvm_vm_set_tss_addr(struct vmm_kvm_vm *vm, uint32_t gpa)
{
	return kvm_ioctl_value(vm->sys, vm->fd, KVM_SET_TSS_ADDR, gpa);
}

int vmm_kvm_vm_set_identity_map_addr(struct vmm_kvm_vm *vm, uint64_t gpa)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &gpa);
}

int vmm_kvm_vm_create_pit2(struct vmm_kvm_vm *vm, uint32_t flags)
{
	struct kvm_pit_config config = { .flags = flags };

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_CREATE_PIT2, &config);
}

int vmm_kvm_vm_get_pit2(struct vmm_kvm_vm *vm, struct kvm_pit_state2 *out)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_GET_PIT2, out);
}

int vmm_kvm_vm_set_pit2(struct vmm_kvm_vm *vm, const struct kvm_pit_state2 *state)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_PIT2, state);
}

int vmm_kvm_vm_get_irqchip(struct vmm_kvm_vm *vm, uint32_t chip_id,
			   struct kvm_irqchip *out)
{
	struct kvm_irqchip chip = { .chip_id = chip_id };
	int ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_GET_IRQCHIP, &chip);

	if (ret == 0)
		*out = chip;
	return ret;
}

int vmm_kvm_vm_set_irqchip(struct vmm_kvm_vm *vm, const struct kvm_irqchip *chip)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_IRQCHIP, chip);
}

int vmm_kvm_vm_get_clock(struct vmm_kvm_vm *vm, struct kvm_clock_data *out)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_GET_CLOCK, out);
}

int vmm_kvm_vm_set_clock(struct vmm_kvm_vm *vm, const struct kvm_clock_data *clock)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_CLOCK, clock);
}

size_t vmm_kvm_vm_get_xsave_size(const struct vmm_kvm_vm *vm)
{
	int size = vmm_kvm_vm_check_extension(vm, KVM_CAP_XSAVE2);

	return size > (int)sizeof(struct kvm_xsave) ? (size_t)size
						    : sizeof(struct kvm_xsave);
}

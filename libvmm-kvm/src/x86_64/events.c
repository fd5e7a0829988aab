/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

int vmm_kvm_vm_set_boot_cpu_id(struct vmm_kvm_vm *vm, uint32_t id)
{
	return kvm_ioctl_value(vm->sys, vm->fd, KVM_SET_BOOT_CPU_ID, id);
}

int vmm_kvm_vm_set_pit_reinject(struct vmm_kvm_vm *vm, bool on)
{
	struct kvm_reinject_control control = { .pit_reinject = on };

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_REINJECT_CONTROL, &control);
}

int vmm_kvm_vm_set_irq_line_status(struct vmm_kvm_vm *vm, uint32_t gsi, bool level,
				   int32_t *out_status)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };
	int ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_IRQ_LINE_STATUS, &line);

	if (ret == 0)
		*out_status = line.status;
	return ret;
}

int vmm_kvm_vcpu_get_sregs2(struct vmm_kvm_vcpu *vcpu, struct kvm_sregs2 *out)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_GET_SREGS2, out);
}

int vmm_kvm_vcpu_set_sregs2(struct vmm_kvm_vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_SREGS2, sregs);
}

int vmm_kvm_vcpu_translate(struct vmm_kvm_vcpu *vcpu, struct kvm_translation *inout)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_TRANSLATE, inout);
}

int vmm_kvm_vcpu_nmi(struct vmm_kvm_vcpu *vcpu)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_NMI, NULL);
}

int vmm_kvm_vcpu_smi(struct vmm_kvm_vcpu *vcpu)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SMI, NULL);
}

int vmm_kvm_vcpu_interrupt(struct vmm_kvm_vcpu *vcpu, uint32_t vector)
{
	struct kvm_interrupt interrupt = { .irq = vector };

	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_INTERRUPT, &interrupt);
}

int vmm_kvm_vcpu_kvmclock_ctrl(struct vmm_kvm_vcpu *vcpu)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_KVMCLOCK_CTRL, NULL);
}

int vmm_kvm_vcpu_set_tpr_reporting(struct vmm_kvm_vcpu *vcpu, bool on)
{
	struct kvm_tpr_access_ctl control = { .enabled = on };

	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_TPR_ACCESS_REPORTING, &control);
}

int vmm_kvm_vcpu_set_vapic_addr(struct vmm_kvm_vcpu *vcpu, uint64_t gpa)
{
	struct kvm_vapic_addr arg = { .vapic_addr = gpa };

	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_VAPIC_ADDR, &arg);
}

int vmm_kvm_get_mce_cap(const struct vmm_kvm *kvm, uint64_t *out)
{
	uint64_t cap = 0;
	int ret = kvm_ioctl_zero(kvm->sys, kvm->fd, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap);

	if (ret == 0)
		*out = cap;
	return ret;
}

int vmm_kvm_vcpu_setup_mce(struct vmm_kvm_vcpu *vcpu, uint64_t mcg_cap)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_X86_SETUP_MCE, &mcg_cap);
}

int vmm_kvm_vcpu_set_mce(struct vmm_kvm_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_X86_SET_MCE, mce);
}

int vmm_kvm_vcpu_get_nested_state(struct vmm_kvm_vcpu *vcpu, void *buf, size_t len,
				  size_t *out_len)
{
	struct kvm_nested_state head = { .size = sizeof(head) };
	int ret;

	if (vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_NESTED_STATE) <= 0)
		return -EOPNOTSUPP;
	if (len < sizeof(head))
		return -ENOSPC;
	memset(buf, 0, len);
	head.size = len > UINT32_MAX ? UINT32_MAX : (__u32)len;
	memcpy(buf, &head, sizeof(head));
	ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_GET_NESTED_STATE, buf);
	if (ret < 0)
		return ret == -E2BIG ? -ENOSPC : ret;
	memcpy(&head, buf, sizeof(head));
	if (head.size < sizeof(head) || head.size > len)
		return -EBADMSG;
	*out_len = head.size;
	return 0;
}

int vmm_kvm_vcpu_set_nested_state(struct vmm_kvm_vcpu *vcpu, const void *buf, size_t len)
{
	struct kvm_nested_state head;

	if (vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_NESTED_STATE) <= 0)
		return -EOPNOTSUPP;
	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, buf, sizeof(head));
	if (head.size < sizeof(head) || head.size > len)
		return -EBADMSG;
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_NESTED_STATE, buf);
}

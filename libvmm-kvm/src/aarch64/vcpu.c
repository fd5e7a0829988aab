/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <vmm/kvm-arm64.h>

#include "internal.h"

/* EL1 with its own stack pointer; debug, SError, IRQ and FIQ masked. */
#define PSTATE_BOOT 0x3c5u

#define REG_PC 32u
#define REG_PSTATE 33u

int vmm_kvm_vm_get_preferred_target(struct vmm_kvm_vm *vm, struct kvm_vcpu_init *out)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_ARM_PREFERRED_TARGET, out);
}

int vmm_kvm_vcpu_arm64_init(struct vmm_kvm_vcpu *vcpu, const struct kvm_vcpu_init *init)
{
	int ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_ARM_VCPU_INIT, init);

	if (ret == 0) {
		_Static_assert(sizeof(*init) == sizeof(vcpu->arm64_init), "layout");
		memcpy(vcpu->arm64_init, init, sizeof(*init));
		vcpu->arm64_has_init = true;
	}
	return ret;
}

int vmm_kvm_vcpu_arm64_finalize(struct vmm_kvm_vcpu *vcpu, uint32_t feature)
{
	int arg = (int)feature;

	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_ARM_VCPU_FINALIZE, &arg);
}

int vmm_kvm_vcpu_arm64_get_events(struct vmm_kvm_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_GET_VCPU_EVENTS, out);
}

int vmm_kvm_vcpu_arm64_set_events(struct vmm_kvm_vcpu *vcpu,
				  const struct kvm_vcpu_events *events)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_VCPU_EVENTS, events);
}

uint64_t vmm_kvm_arm64_core_reg(uint32_t n)
{
	/* All of them are 64 bits wide and lie one after the other; the id counts in
	 * units of 32 bits. */
	_Static_assert(offsetof(struct kvm_regs, regs.pc) == REG_PC * 8, "layout");
	_Static_assert(offsetof(struct kvm_regs, regs.pstate) == REG_PSTATE * 8,
		       "layout");
	return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (uint64_t)n * 2;
}

static int set_reg(struct vmm_kvm_vcpu *vcpu, uint32_t n, uint64_t value)
{
	return vmm_kvm_vcpu_set_one_reg(vcpu, vmm_kvm_arm64_core_reg(n), &value,
					sizeof(value));
}

static int set_boot(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_arm64_boot *boot)
{
	int ret = set_reg(vcpu, REG_PSTATE, PSTATE_BOOT);

	if (ret == 0)
		ret = set_reg(vcpu, REG_PC, boot->pc);
	for (uint32_t n = 0; ret == 0 && n < 4; n++)
		ret = set_reg(vcpu, n, n == 0 ? boot->x0 : 0);
	return ret;
}

int vmm_kvm_vcpu_arm64_setup(struct vmm_kvm_vcpu *vcpu, uint32_t features,
			     const struct vmm_kvm_arm64_boot *boot, struct vmm_error *err)
{
	struct vmm_kvm_arm64_boot b = VMM_KVM_ARM64_BOOT_INIT;
	struct kvm_vcpu_init init;
	int ret = boot ? kvm_options_read(&b, sizeof(b), boot) : 0;

	if (ret < 0)
		return vmm_error_set(err, ret, "boot state of unknown layout");
	memset(&init, 0, sizeof(init));
	ret = kvm_ioctl_zero(vcpu->sys, vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init);
	if (ret < 0)
		return vmm_error_at(err, ret, vcpu->id, 0, 0,
				    "vCPU %u: no processor to give to a guest: %s",
				    vcpu->id, strerrordesc_np(-ret));
	init.features[0] |= features | 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (!boot)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	ret = vmm_kvm_vcpu_arm64_init(vcpu, &init);
	if (ret < 0)
		return vmm_error_at(
		    err, ret, vcpu->id, 0, init.features[0],
		    "vCPU %u: cannot be initialised with features %#x: %s", vcpu->id,
		    init.features[0], strerrordesc_np(-ret));
	ret = boot ? set_boot(vcpu, &b) : 0;
	return ret < 0 ? vmm_error_at(err, ret, vcpu->id, 0, 0,
				      "vCPU %u: cannot set the boot registers: %s",
				      vcpu->id, strerrordesc_np(-ret))
		       : 0;
}

int vmm_kvm_vcpu_arm64_enable_pmu(struct vmm_kvm_vcpu *vcpu, uint32_t irq)
{
	int arg = (int)irq, ret = 0;

	if (irq > 0)
		ret = vmm_kvm_vcpu_set_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL,
					    KVM_ARM_VCPU_PMU_V3_IRQ, &arg);
	return ret < 0 ? ret
		       : vmm_kvm_vcpu_set_attr(vcpu, KVM_ARM_VCPU_PMU_V3_CTRL,
					       KVM_ARM_VCPU_PMU_V3_INIT, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-arm64.h>

#include "compat.h"
#include "gic.h"
#include "internal.h"

#define PLACE_ALIGN UINT64_C(0x10000)

uint32_t vmm_kvm_get_host_ipa_limit(const struct vmm_kvm *kvm)
{
	int bits = vmm_kvm_check_extension(kvm, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? (uint32_t)bits : 0;
}

uint64_t kvm_arch_default_vm_type(const struct vmm_kvm *kvm)
{
	return KVM_VM_TYPE_ARM_IPA_SIZE(vmm_kvm_get_host_ipa_limit(kvm));
}

static int check(const struct vmm_kvm_arm64_gic *gic, struct vmm_error *err)
{
	if (gic->version != 2 && gic->version != 3)
		return vmm_error_at(err, -EINVAL, 0, 3, gic->version,
				    "interrupt controller of version %u", gic->version);
	if (gic->irq_count < 64 || gic->irq_count > 1024 || gic->irq_count % 32 != 0)
		return vmm_error_at(err, -EINVAL, 0, 0, gic->irq_count,
				    "interrupt controller with %u interrupts",
				    gic->irq_count);
	if ((gic->dist_gpa | gic->cpu_gpa | gic->its_gpa) % PLACE_ALIGN != 0)
		return vmm_error_at(err, -EINVAL, gic->dist_gpa, PLACE_ALIGN, 0,
				    "interrupt controller not at a multiple of 64 KiB");
	if (gic->version == 2 && gic->its_gpa != 0)
		return vmm_error_set(
		    err, -EINVAL,
		    "an interrupt controller of version 2 has no translation "
		    "service");
	return 0;
}

static int place(struct vmm_kvm_device *device, uint64_t what, uint64_t gpa)
{
	return vmm_kvm_device_set_attr(device, KVM_DEV_ARM_VGIC_GRP_ADDR, what, &gpa);
}

static int place_all(struct vmm_kvm_arm64_gic_device *device,
		     const struct vmm_kvm_arm64_gic *gic)
{
	bool v2 = gic->version == 2;
	uint32_t count = gic->irq_count;
	int ret = place(device->gic,
			v2 ? KVM_VGIC_V2_ADDR_TYPE_DIST : KVM_VGIC_V3_ADDR_TYPE_DIST,
			gic->dist_gpa);

	if (ret == 0)
		ret = place(device->gic,
			    v2 ? KVM_VGIC_V2_ADDR_TYPE_CPU : KVM_VGIC_V3_ADDR_TYPE_REDIST,
			    gic->cpu_gpa);
	if (ret == 0)
		ret = vmm_kvm_device_set_attr(device->gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS,
					      0, &count);
	if (ret == 0 && device->its)
		ret = place(device->its, KVM_VGIC_ITS_ADDR_TYPE, gic->its_gpa);
	return ret;
}

static int open_all(struct vmm_kvm_vm *vm, const struct vmm_kvm_arm64_gic *gic,
		    struct vmm_kvm_arm64_gic_device *device, struct vmm_error *err)
{
	int ret = vmm_kvm_device_open(
	    vm, gic->version == 2 ? KVM_DEV_TYPE_ARM_VGIC_V2 : KVM_DEV_TYPE_ARM_VGIC_V3,
	    &device->gic, err);

	if (ret == 0 && gic->its_gpa != 0)
		ret =
		    vmm_kvm_device_open(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, &device->its, err);
	if (ret < 0)
		return ret;
	ret = place_all(device, gic);
	return ret < 0 ? vmm_error_at(err, ret, gic->dist_gpa, 0, 0,
				      "cannot place the interrupt controller: %s",
				      strerrordesc_np(-ret))
		       : 0;
}

int vmm_kvm_arm64_gic_open(struct vmm_kvm_vm *vm, const struct vmm_kvm_arm64_gic *gic,
			   struct vmm_kvm_arm64_gic_device **out, struct vmm_error *err)
{
	struct vmm_kvm_arm64_gic_device *device;
	struct vmm_kvm_arm64_gic g;
	int ret = kvm_options_read(&g, sizeof(g), gic);

	if (ret < 0)
		return vmm_error_set(err, ret, "interrupt controller of unknown layout");
	ret = check(&g, err);
	if (ret < 0)
		return ret;
	device = calloc(1, sizeof(*device));
	if (!device)
		return vmm_error_set(err, -ENOMEM,
				     "no memory for an interrupt controller");
	device->version = g.version;
	device->irq_count = g.irq_count;
	ret = open_all(vm, &g, device, err);
	if (ret < 0) {
		vmm_kvm_arm64_gic_close(device);
		return ret;
	}
	*out = device;
	return 0;
}

void vmm_kvm_arm64_gic_close(struct vmm_kvm_arm64_gic_device *gic)
{
	if (!gic)
		return;
	vmm_kvm_device_close(gic->its);
	vmm_kvm_device_close(gic->gic);
	free(gic);
}

int vmm_kvm_arm64_gic_start(struct vmm_kvm_arm64_gic_device *gic)
{
	int ret = vmm_kvm_device_set_attr(gic->gic, KVM_DEV_ARM_VGIC_GRP_CTRL,
					  KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	if (ret == 0 && gic->its)
		ret = vmm_kvm_device_set_attr(gic->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
					      KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return ret;
}

int vmm_kvm_vm_set_counter_offset(struct vmm_kvm_vm *vm, uint64_t offset)
{
	struct kvm_compat_counter_offset arg = { .counter_offset = offset };

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_COMPAT_SET_COUNTER_OFFSET, &arg);
}

int vmm_kvm_vm_get_writable_masks(struct vmm_kvm_vm *vm, uint32_t range, uint64_t *masks,
				  size_t count)
{
	struct kvm_compat_writable_masks arg = { .addr = (uintptr_t)masks,
						 .range = range };

	/* The kernel writes the masks of all registers of the range. */
	if (range != 0 || count < KVM_COMPAT_ID_REGS)
		return -EINVAL;
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_COMPAT_GET_WRITABLE_MASKS, &arg);
}

int64_t vmm_kvm_vm_copy_mte_tags(struct vmm_kvm_vm *vm,
				 const struct kvm_arm_copy_mte_tags *copy)
{
	return kvm_ioctl(vm->sys, vm->fd, KVM_ARM_MTE_COPY_TAGS, copy);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <vmm/kvm-riscv64.h>

#include "compat.h"
#include "internal.h"

enum { PAGE = 4096, VCPUS_MAX = 512, WIRED_MAX = 1023 };

static int check(const struct vmm_kvm_riscv64_aia *a)
{
	uint64_t end;

	if (a->mode > KVM_COMPAT_AIA_MODE_AUTO || a->msi_count < 63 ||
	    a->msi_count > 2047 || (a->msi_count & 63) != 63 ||
	    a->source_count > WIRED_MAX)
		return -EINVAL;
	if (a->vcpu_count == 0 || a->vcpu_count > VCPUS_MAX)
		return -EINVAL;
	if ((a->aplic_gpa | a->imsic_gpa) % PAGE != 0 ||
	    __builtin_add_overflow(a->imsic_gpa, (uint64_t)a->vcpu_count * PAGE, &end))
		return -EINVAL;
	return 0;
}

static int set32(struct vmm_kvm_device *device, uint64_t attr, uint32_t value)
{
	return vmm_kvm_device_set_attr(device, KVM_COMPAT_AIA_CONFIG, attr, &value);
}

static int place(struct vmm_kvm_device *device, uint64_t attr, uint64_t gpa)
{
	return vmm_kvm_device_set_attr(device, KVM_COMPAT_AIA_ADDR, attr, &gpa);
}

static uint32_t bits_for(uint32_t count)
{
	return count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
}

/* The ids of the vCPUs are the low bits of the messages' addresses, one group, no pages
 * for guests of the guest. */
static int set_up(struct vmm_kvm_device *device, const struct vmm_kvm_riscv64_aia *a)
{
	int ret = set32(device, KVM_COMPAT_AIA_CONFIG_MODE, a->mode);

	if (ret == 0)
		ret = set32(device, KVM_COMPAT_AIA_CONFIG_IDS, a->msi_count);
	if (ret == 0)
		ret = set32(device, KVM_COMPAT_AIA_CONFIG_SRCS, a->source_count);
	if (ret == 0)
		ret = set32(device, KVM_COMPAT_AIA_CONFIG_HART_BITS,
			    bits_for(a->vcpu_count));
	if (ret == 0 && a->source_count > 0)
		ret = place(device, KVM_COMPAT_AIA_ADDR_APLIC, a->aplic_gpa);
	for (uint32_t i = 0; ret == 0 && i < a->vcpu_count; i++)
		ret = place(device, KVM_COMPAT_AIA_ADDR_IMSIC + i,
			    a->imsic_gpa + (uint64_t)i * PAGE);
	if (ret == 0)
		ret = vmm_kvm_device_set_attr(device, KVM_COMPAT_AIA_CTRL, 0, NULL);
	return ret;
}

int vmm_kvm_riscv64_aia_open(struct vmm_kvm_vm *vm, const struct vmm_kvm_riscv64_aia *aia,
			     struct vmm_kvm_device **out, struct vmm_error *err)
{
	struct vmm_kvm_device *device = NULL;
	struct vmm_kvm_riscv64_aia a;
	int ret = kvm_options_read(&a, sizeof(a), aia);

	if (ret < 0)
		return vmm_error_set(err, ret, "interrupt controller of unknown layout");
	if (vm->sys->arch != KVM_ARCH_RISCV64)
		return vmm_error_set(err, -EOPNOTSUPP, "not a riscv64 host");
	ret = check(&a);
	if (ret < 0)
		return vmm_error_at(err, ret, a.imsic_gpa, 0, a.msi_count,
				    "impossible interrupt controller");
	ret = vmm_kvm_device_open(vm, KVM_COMPAT_DEV_AIA, &device, err);
	if (ret < 0)
		return ret;
	ret = set_up(device, &a);
	if (ret < 0) {
		vmm_kvm_device_close(device);
		return vmm_error_at(err, ret, a.aplic_gpa, 0, 0,
				    "cannot set the interrupt controller up: %s",
				    strerrordesc_np(-ret));
	}
	*out = device;
	return 0;
}

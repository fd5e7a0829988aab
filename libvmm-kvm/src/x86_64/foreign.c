/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <vmm/kvm-x86.h>

#include "compat.h"
#include "internal.h"

int vmm_kvm_vm_set_tsc_khz(struct vmm_kvm_vm *vm, uint32_t khz)
{
	return kvm_ioctl_value(vm->sys, vm->fd, KVM_SET_TSC_KHZ, khz);
}

int vmm_kvm_vm_get_tsc_khz(struct vmm_kvm_vm *vm, uint32_t *out)
{
	int khz = kvm_ioctl(vm->sys, vm->fd, KVM_GET_TSC_KHZ, NULL);

	if (khz < 0)
		return khz == -EIO ? -EOPNOTSUPP : khz;
	*out = (uint32_t)khz;
	return 0;
}

int vmm_kvm_vm_set_hyperv_eventfd(struct vmm_kvm_vm *vm, uint32_t conn_id, int fd)
{
	struct kvm_hyperv_eventfd arg = {
		.conn_id = conn_id,
		.fd = fd,
		.flags = fd < 0 ? (__u32)KVM_HYPERV_EVENTFD_DEASSIGN : 0u,
	};

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_HYPERV_EVENTFD, &arg);
}

int vmm_kvm_vm_set_xen_config(struct vmm_kvm_vm *vm,
			      const struct kvm_xen_hvm_config *config)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_XEN_HVM_CONFIG, config);
}

int vmm_kvm_vm_get_xen_attr(struct vmm_kvm_vm *vm, struct kvm_xen_hvm_attr *inout)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_XEN_HVM_GET_ATTR, inout);
}

int vmm_kvm_vm_set_xen_attr(struct vmm_kvm_vm *vm, const struct kvm_xen_hvm_attr *attr)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_XEN_HVM_SET_ATTR, attr);
}

int vmm_kvm_vcpu_get_xen_attr(struct vmm_kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *inout)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_XEN_VCPU_GET_ATTR, inout);
}

int vmm_kvm_vcpu_set_xen_attr(struct vmm_kvm_vcpu *vcpu,
			      const struct kvm_xen_vcpu_attr *attr)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_XEN_VCPU_SET_ATTR, attr);
}

int vmm_kvm_vm_encrypt_op(struct vmm_kvm_vm *vm, void *op)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_MEMORY_ENCRYPT_OP, op);
}

int vmm_kvm_vm_sev_op(struct vmm_kvm_vm *vm, int sev_fd, uint32_t id, void *data,
		      uint32_t *out_fw_error)
{
	struct kvm_sev_cmd cmd = {
		.id = id,
		.data = (uintptr_t)data,
		.sev_fd = (__u32)sev_fd,
	};
	int ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	if (out_fw_error)
		*out_fw_error = cmd.error;
	return ret;
}

static int tdx_op(const struct kvm_sys *sys, int fd, uint32_t id, uint32_t flags,
		  uint64_t data, uint64_t *out_hw_error)
{
	struct kvm_compat_tdx_cmd cmd = { .id = id, .flags = flags, .data = data };
	int ret = kvm_ioctl_zero(sys, fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	if (out_hw_error)
		*out_hw_error = cmd.hw_error;
	return ret;
}

int vmm_kvm_vm_tdx_op(struct vmm_kvm_vm *vm, uint32_t id, uint32_t flags, uint64_t data,
		      uint64_t *out_hw_error)
{
	return tdx_op(vm->sys, vm->fd, id, flags, data, out_hw_error);
}

int vmm_kvm_vcpu_tdx_op(struct vmm_kvm_vcpu *vcpu, uint32_t id, uint32_t flags,
			uint64_t data, uint64_t *out_hw_error)
{
	return tdx_op(vcpu->sys, vcpu->fd, id, flags, data, out_hw_error);
}

static int region(struct vmm_kvm_vm *vm, unsigned long request, void *host, uint64_t len)
{
	struct kvm_enc_region arg = { .addr = (uintptr_t)host, .size = len };

	return kvm_ioctl_zero(vm->sys, vm->fd, request, &arg);
}

int vmm_kvm_vm_add_encrypted(struct vmm_kvm_vm *vm, void *host, uint64_t len)
{
	return region(vm, KVM_MEMORY_ENCRYPT_REG_REGION, host, len);
}

int vmm_kvm_vm_remove_encrypted(struct vmm_kvm_vm *vm, void *host, uint64_t len)
{
	return region(vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, host, len);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-device.h>

#include "internal.h"

struct vmm_kvm_device {
	const struct kvm_sys *sys;
	int fd;
};

static int create(struct vmm_kvm_vm *vm, uint32_t type, uint32_t flags, int *out_fd)
{
	struct kvm_create_device arg = { .type = type, .flags = flags, .fd = (__u32)-1 };
	int ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_CREATE_DEVICE, &arg);

	if (ret < 0 || (flags & KVM_CREATE_DEVICE_TEST))
		return ret;
	/* The descriptor comes in the structure: one that was not set is none. */
	if ((int)arg.fd < 0)
		return -EBADMSG;
	*out_fd = (int)arg.fd;
	return 0;
}

int vmm_kvm_vm_has_device(struct vmm_kvm_vm *vm, uint32_t type)
{
	return create(vm, type, KVM_CREATE_DEVICE_TEST, NULL);
}

int vmm_kvm_device_open(struct vmm_kvm_vm *vm, uint32_t type, struct vmm_kvm_device **out,
			struct vmm_error *err)
{
	struct vmm_kvm_device *device = calloc(1, sizeof(*device));
	int ret = -ENOMEM;

	if (device)
		ret = create(vm, type, 0, &device->fd);
	if (ret < 0) {
		free(device);
		return vmm_error_at(err, ret, type, 0, 0,
				    "cannot create a device of type %u: %s", type,
				    strerrordesc_np(-ret));
	}
	device->sys = vm->sys;
	*out = device;
	return 0;
}

void vmm_kvm_device_close(struct vmm_kvm_device *device)
{
	if (!device)
		return;
	(void)device->sys->close(device->fd);
	free(device);
}

int vmm_kvm_device_get_fd(const struct vmm_kvm_device *device)
{
	return device->fd;
}

static int attribute(const struct kvm_sys *sys, int fd, unsigned long request,
		     uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr arg = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return kvm_ioctl_zero(sys, fd, request, &arg);
}

int vmm_kvm_device_has_attr(struct vmm_kvm_device *device, uint32_t group, uint64_t attr)
{
	return attribute(device->sys, device->fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

int vmm_kvm_device_get_attr(struct vmm_kvm_device *device, uint32_t group, uint64_t attr,
			    void *value)
{
	return attribute(device->sys, device->fd, KVM_GET_DEVICE_ATTR, group, attr,
			 value);
}

int vmm_kvm_device_set_attr(struct vmm_kvm_device *device, uint32_t group, uint64_t attr,
			    const void *value)
{
	return attribute(device->sys, device->fd, KVM_SET_DEVICE_ATTR, group, attr,
			 value);
}

int vmm_kvm_has_attr(const struct vmm_kvm *kvm, uint32_t group, uint64_t attr)
{
	return attribute(kvm->sys, kvm->fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

int vmm_kvm_get_attr(const struct vmm_kvm *kvm, uint32_t group, uint64_t attr,
		     void *value)
{
	return attribute(kvm->sys, kvm->fd, KVM_GET_DEVICE_ATTR, group, attr, value);
}

int vmm_kvm_vm_has_attr(struct vmm_kvm_vm *vm, uint32_t group, uint64_t attr)
{
	return attribute(vm->sys, vm->fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

int vmm_kvm_vm_get_attr(struct vmm_kvm_vm *vm, uint32_t group, uint64_t attr, void *value)
{
	return attribute(vm->sys, vm->fd, KVM_GET_DEVICE_ATTR, group, attr, value);
}

int vmm_kvm_vm_set_attr(struct vmm_kvm_vm *vm, uint32_t group, uint64_t attr,
			const void *value)
{
	return attribute(vm->sys, vm->fd, KVM_SET_DEVICE_ATTR, group, attr, value);
}

int vmm_kvm_vcpu_has_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group, uint64_t attr)
{
	return attribute(vcpu->sys, vcpu->fd, KVM_HAS_DEVICE_ATTR, group, attr, NULL);
}

int vmm_kvm_vcpu_get_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group, uint64_t attr,
			  void *value)
{
	return attribute(vcpu->sys, vcpu->fd, KVM_GET_DEVICE_ATTR, group, attr, value);
}

int vmm_kvm_vcpu_set_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group, uint64_t attr,
			  const void *value)
{
	return attribute(vcpu->sys, vcpu->fd, KVM_SET_DEVICE_ATTR, group, attr, value);
}

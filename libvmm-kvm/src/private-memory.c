/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <vmm/kvm-memory.h>

#include "compat.h"
#include "internal.h"

/* Turns of a call that does nothing before it is given up. */
#define IDLE_MAX 1000

int vmm_kvm_vm_create_guest_memfd(struct vmm_kvm_vm *vm, uint64_t len, uint64_t flags,
				  int *out_fd)
{
	struct kvm_compat_create_guest_memfd arg = { .size = len, .flags = flags };
	int fd;

	if (vmm_kvm_vm_check_extension(vm, KVM_COMPAT_CAP_GUEST_MEMFD) <= 0)
		return -EOPNOTSUPP;
	fd = kvm_ioctl(vm->sys, vm->fd, KVM_COMPAT_CREATE_GUEST_MEMFD, &arg);
	if (fd < 0)
		return fd;
	*out_fd = fd;
	return 0;
}

int vmm_kvm_vm_set_memory_attributes(struct vmm_kvm_vm *vm, uint64_t gpa, uint64_t len,
				     uint64_t attributes)
{
	struct kvm_compat_memory_attributes arg = {
		.address = gpa,
		.size = len,
		.attributes = attributes,
	};

	if (vmm_kvm_vm_check_extension(vm, KVM_COMPAT_CAP_MEMORY_ATTRIBUTES) <= 0)
		return -EOPNOTSUPP;
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_COMPAT_SET_MEMORY_ATTRIBUTES, &arg);
}

int vmm_kvm_vcpu_pre_fault(struct vmm_kvm_vcpu *vcpu, uint64_t gpa, uint64_t len,
			   uint64_t *out_done)
{
	struct kvm_compat_pre_fault arg = { .gpa = gpa, .size = len };
	int ret = 0, idle = 0;

	if (out_done)
		*out_done = 0;
	if (vmm_kvm_vm_check_extension(vcpu->vm, KVM_COMPAT_CAP_PRE_FAULT_MEMORY) <= 0)
		return -EOPNOTSUPP;
	/* The kernel moves the range on as far as it came. */
	while (ret == 0 && arg.size > 0) {
		uint64_t before = arg.size;

		ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_COMPAT_PRE_FAULT, &arg);
		if (arg.size > before)
			return -EBADMSG;
		if (ret == -EAGAIN)
			ret = 0;
		idle = arg.size < before ? 0 : idle + 1;
		if (ret == 0 && idle > IDLE_MAX)
			ret = -EAGAIN;
	}
	if (out_done)
		*out_done = len - arg.size;
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* More registers than this, and the kernel is not believed any longer. */
#define REGS_MAX 65536u

size_t vmm_kvm_reg_size(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT & 0xf);
}

static int one_reg(struct vmm_kvm_vcpu *vcpu, unsigned long request, uint64_t id,
		   const void *buf, size_t len)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)buf };

	if (len < vmm_kvm_reg_size(id))
		return -ENOSPC;
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, request, &reg);
}

int vmm_kvm_vcpu_get_one_reg(struct vmm_kvm_vcpu *vcpu, uint64_t id, void *buf,
			     size_t len)
{
	return one_reg(vcpu, KVM_GET_ONE_REG, id, buf, len);
}

int vmm_kvm_vcpu_set_one_reg(struct vmm_kvm_vcpu *vcpu, uint64_t id, const void *buf,
			     size_t len)
{
	return one_reg(vcpu, KVM_SET_ONE_REG, id, buf, len);
}

int vmm_kvm_vcpu_get_reg_list(struct vmm_kvm_vcpu *vcpu, uint64_t *ids, size_t max,
			      size_t *out_count)
{
	uint64_t room = 512;
	int ret = -E2BIG;

	while (ret == -E2BIG && room <= REGS_MAX) {
		struct kvm_reg_list *list =
		    calloc(1, sizeof(*list) + (size_t)room * sizeof(__u64));

		if (!list)
			return -ENOMEM;
		list->n = room;
		ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_GET_REG_LIST, list);
		if (ret == 0) {
			size_t n = (size_t)(list->n < room ? list->n : room);

			if (max > 0)
				memcpy(ids, list->reg,
				       (n < max ? n : max) * sizeof(*ids));
			*out_count = n;
		}
		room = list->n > room && list->n <= REGS_MAX ? list->n : room * 2;
		free(list);
	}
	return ret;
}

int vmm_kvm_vcpu_set_guest_debug(struct vmm_kvm_vcpu *vcpu,
				 const struct kvm_guest_debug *debug)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_GUEST_DEBUG, debug);
}

static bool can_sync(const struct vmm_kvm_vcpu *vcpu, uint64_t classes)
{
	int known = vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_SYNC_REGS);

	return classes == 0 || (known > 0 && (classes & ~(uint64_t)known) == 0);
}

int vmm_kvm_vcpu_set_sync_valid(struct vmm_kvm_vcpu *vcpu, uint64_t classes)
{
	if (!can_sync(vcpu, classes))
		return -EOPNOTSUPP;
	vcpu->run->kvm_valid_regs = classes;
	return 0;
}

int vmm_kvm_vcpu_set_sync_dirty(struct vmm_kvm_vcpu *vcpu, uint64_t classes)
{
	if (!can_sync(vcpu, classes))
		return -EOPNOTSUPP;
	vcpu->run->kvm_dirty_regs = classes;
	return 0;
}

struct kvm_sync_regs *vmm_kvm_vcpu_get_sync_regs(struct vmm_kvm_vcpu *vcpu)
{
	return &vcpu->run->s.regs;
}

int vmm_kvm_vcpu_set_signal_mask(struct vmm_kvm_vcpu *vcpu, const uint64_t *mask)
{
	/* The kernel's set has 64 bits, libc's has more. */
	_Alignas(struct kvm_signal_mask)
	    uint8_t raw[sizeof(struct kvm_signal_mask) + sizeof(*mask)];
	struct kvm_signal_mask *arg = (struct kvm_signal_mask *)(void *)raw;

	if (!mask)
		return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
	arg->len = sizeof(*mask);
	memcpy(arg->sigset, mask, sizeof(*mask));
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_SIGNAL_MASK, arg);
}

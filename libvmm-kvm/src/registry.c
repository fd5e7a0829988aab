/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

/* Both registries are arrays without order: they hold some dozen entries, and are
 * searched when a device is set up or reset. Room is made before the kernel is asked,
 * so that nothing can fail after it has agreed. */

static int irqfd_ioctl(struct vmm_kvm_vm *vm, const struct irqfd_entry *entry,
		       uint32_t flags, int resample_fd)
{
	struct kvm_irqfd arg = {
		.fd = (__u32)entry->fd,
		.gsi = entry->gsi,
		.flags = flags,
		.resamplefd = (__u32)resample_fd,
	};

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_IRQFD, &arg);
}

static int add_irqfd(struct vmm_kvm_vm *vm, int fd, uint32_t gsi, uint32_t flags,
		     int resample_fd)
{
	const struct irqfd_entry entry = { .fd = fd, .gsi = gsi };
	struct irqfd_entry *room;
	int ret = -ENOMEM;

	(void)pthread_mutex_lock(&vm->lock);
	room = reallocarray(vm->irqfds, vm->irqfd_count + 1, sizeof(*room));
	if (room) {
		vm->irqfds = room;
		ret = irqfd_ioctl(vm, &entry, flags, resample_fd);
		if (ret == 0)
			vm->irqfds[vm->irqfd_count++] = entry;
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_kvm_vm_add_irqfd(struct vmm_kvm_vm *vm, int fd, uint32_t gsi)
{
	return add_irqfd(vm, fd, gsi, 0, 0);
}

int vmm_kvm_vm_add_irqfd_resample(struct vmm_kvm_vm *vm, int fd, int resample_fd,
				  uint32_t gsi)
{
	return add_irqfd(vm, fd, gsi, KVM_IRQFD_FLAG_RESAMPLE, resample_fd);
}

int vmm_kvm_vm_remove_irqfd(struct vmm_kvm_vm *vm, int fd, uint32_t gsi)
{
	int ret = -ENOENT;

	(void)pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; i < vm->irqfd_count; i++) {
		if (vm->irqfds[i].fd != fd || vm->irqfds[i].gsi != gsi)
			continue;
		ret = irqfd_ioctl(vm, &vm->irqfds[i], KVM_IRQFD_FLAG_DEASSIGN, 0);
		if (ret == 0)
			vm->irqfds[i] = vm->irqfds[--vm->irqfd_count];
		break;
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int ioeventfd_ioctl(struct vmm_kvm_vm *vm, const struct vmm_kvm_ioeventfd *io,
			   uint32_t flags)
{
	struct kvm_ioeventfd arg = {
		.datamatch = io->match,
		.addr = io->addr,
		.len = io->len,
		.fd = io->fd,
		.flags = flags,
	};

	if (io->has_match)
		arg.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (io->pio)
		arg.flags |= KVM_IOEVENTFD_FLAG_PIO;
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_IOEVENTFD, &arg);
}

static int read_ioeventfd(struct vmm_kvm_ioeventfd *out,
			  const struct vmm_kvm_ioeventfd *in)
{
	int ret = kvm_options_read(out, sizeof(*out), in);
	uint64_t last;

	if (ret < 0)
		return ret;
	out->size = sizeof(*out);
	if (out->len > 8 || (out->len & (out->len - 1)) != 0)
		return -EINVAL;
	if (out->len == 0 && out->has_match)
		return -EINVAL;
	if (out->has_match && out->len < 8 && out->match >> (8 * out->len) != 0)
		return -EINVAL;
	if (out->len > 0 && __builtin_add_overflow(out->addr, out->len - 1, &last))
		return -EINVAL;
	if (!out->has_match)
		out->match = 0;
	return 0;
}

static bool same_ioeventfd(const struct vmm_kvm_ioeventfd *a,
			   const struct vmm_kvm_ioeventfd *b)
{
	return a->addr == b->addr && a->len == b->len && a->fd == b->fd &&
	       a->match == b->match && a->has_match == b->has_match && a->pio == b->pio;
}

int vmm_kvm_vm_add_ioeventfd(struct vmm_kvm_vm *vm,
			     const struct vmm_kvm_ioeventfd *ioeventfd)
{
	struct vmm_kvm_ioeventfd io, *room;
	int ret = read_ioeventfd(&io, ioeventfd);

	if (ret < 0)
		return ret;
	(void)pthread_mutex_lock(&vm->lock);
	room = reallocarray(vm->ioeventfds, vm->ioeventfd_count + 1, sizeof(*room));
	if (room) {
		vm->ioeventfds = room;
		ret = ioeventfd_ioctl(vm, &io, 0);
		if (ret == 0)
			vm->ioeventfds[vm->ioeventfd_count++] = io;
	} else {
		ret = -ENOMEM;
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_kvm_vm_remove_ioeventfd(struct vmm_kvm_vm *vm,
				const struct vmm_kvm_ioeventfd *ioeventfd)
{
	struct vmm_kvm_ioeventfd io;
	int ret = read_ioeventfd(&io, ioeventfd);

	/* What could not be added is not there. */
	if (ret < 0)
		return ret == -EINVAL ? -ENOENT : ret;
	ret = -ENOENT;
	(void)pthread_mutex_lock(&vm->lock);
	for (size_t i = 0; i < vm->ioeventfd_count; i++) {
		if (!same_ioeventfd(&vm->ioeventfds[i], &io))
			continue;
		ret = ioeventfd_ioctl(vm, &io, KVM_IOEVENTFD_FLAG_DEASSIGN);
		if (ret == 0)
			vm->ioeventfds[i] = vm->ioeventfds[--vm->ioeventfd_count];
		break;
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

void kvm_registry_undo(struct vmm_kvm_vm *vm)
{
	while (vm->irqfd_count > 0)
		(void)irqfd_ioctl(vm, &vm->irqfds[--vm->irqfd_count],
				  KVM_IRQFD_FLAG_DEASSIGN, 0);
	while (vm->ioeventfd_count > 0)
		(void)ioeventfd_ioctl(vm, &vm->ioeventfds[--vm->ioeventfd_count],
				      KVM_IOEVENTFD_FLAG_DEASSIGN);
}

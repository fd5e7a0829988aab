/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "registry.h"

/* KVM_CREATE_VM takes long enough that a busy timer signal can hit it again and again;
 * a kernel that answers nothing else must not keep us for ever. */
#define CREATE_ATTEMPTS 1000

static int new_vm(struct vmm_kvm *kvm, int fd, struct vmm_kvm_vm **out,
		  struct vmm_error *err)
{
	struct vmm_kvm_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return vmm_error_set(err, -ENOMEM, "no memory for a VM handle");
	if (pthread_mutex_init(&vm->lock, NULL) != 0) {
		free(vm);
		return vmm_error_set(err, -ENOMEM, "no memory for a lock");
	}
	vm->sys = kvm->sys;
	vm->fd = fd;
	vm->run_size = kvm->run_size;
	vm->slots_max = vmm_kvm_get_nr_memslots(kvm);
	*out = vm;
	return 0;
}

int vmm_kvm_vm_open(struct vmm_kvm *kvm, uint64_t type, struct vmm_kvm_vm **out,
		    struct vmm_error *err)
{
	int fd = -EINTR, ret;

	for (int i = 0; i < CREATE_ATTEMPTS && fd == -EINTR; i++)
		fd = kvm->sys->ioctl(kvm->fd, KVM_CREATE_VM, (unsigned long)type);
	if (fd < 0)
		return vmm_error_at(err, fd, type, 0, 0,
				    "cannot create a VM of type %#llx: %s",
				    (unsigned long long)type, strerrordesc_np(-fd));

	ret = new_vm(kvm, fd, out, err);
	if (ret < 0)
		(void)kvm->sys->close(fd);
	return ret;
}

int vmm_kvm_vm_take_fd(struct vmm_kvm *kvm, int fd, struct vmm_kvm_vm **out,
		       struct vmm_error *err)
{
	int saved = errno, flags = fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		flags = fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	errno = saved;
	if (flags < 0)
		return vmm_error_set(err, -EBADF, "descriptor %d: not open", fd);
	/* The system handle answers the capability question as well, but it knows the
	 * version, which a VM does not. */
	if (kvm->sys->ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) <= 0 ||
	    kvm_ioctl(kvm->sys, fd, KVM_GET_API_VERSION, NULL) >= 0)
		return vmm_error_set(err, -ENOTTY, "descriptor %d: not a KVM machine",
				     fd);
	return new_vm(kvm, fd, out, err);
}

void vmm_kvm_vm_close(struct vmm_kvm_vm *vm)
{
	if (!vm)
		return;
	kvm_registry_undo(vm);
	free(vm->slots);
	free(vm->irqfds);
	free(vm->ioeventfds);
	(void)pthread_mutex_destroy(&vm->lock);
	(void)vm->sys->close(vm->fd);
	free(vm);
}

int vmm_kvm_vm_get_fd(const struct vmm_kvm_vm *vm)
{
	return vm->fd;
}

int vmm_kvm_vm_check_extension(const struct vmm_kvm_vm *vm, uint32_t cap)
{
	return vm->sys->ioctl(vm->fd, KVM_CHECK_EXTENSION, cap);
}

int vmm_kvm_vm_enable_cap(struct vmm_kvm_vm *vm, uint32_t cap, uint32_t flags,
			  const uint64_t args[4])
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags };

	if (args)
		memcpy(enable.args, args, sizeof(enable.args));
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_ENABLE_CAP, &enable);
}

int vmm_kvm_vm_create_irqchip(struct vmm_kvm_vm *vm)
{
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_CREATE_IRQCHIP, NULL);
}

int vmm_kvm_vm_set_irq_line(struct vmm_kvm_vm *vm, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_IRQ_LINE, &line);
}

int vmm_kvm_vm_signal_msi(struct vmm_kvm_vm *vm, const struct kvm_msi *msi,
			  bool *out_delivered)
{
	int ret = kvm_ioctl(vm->sys, vm->fd, KVM_SIGNAL_MSI, msi);

	if (ret < 0)
		return ret;
	if (out_delivered)
		*out_delivered = ret > 0;
	return 0;
}

int vmm_kvm_vm_set_gsi_routing(struct vmm_kvm_vm *vm,
			       const struct kvm_irq_routing_entry *entries, size_t count)
{
	struct kvm_irq_routing *table;
	int ret;

	if (count > VMM_KVM_GSI_ROUTES_MAX)
		return -E2BIG;
	table = calloc(1, sizeof(*table) + count * sizeof(*entries));
	if (!table)
		return -ENOMEM;
	table->nr = (__u32)count;
	if (count > 0)
		memcpy(table->entries, entries, count * sizeof(*entries));
	ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_GSI_ROUTING, table);
	free(table);
	return ret;
}

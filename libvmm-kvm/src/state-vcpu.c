/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

int vmm_kvm_vcpu_save(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct vmm_kvm_state **out, struct vmm_error *err)
{
	uint32_t arch = vcpu->sys->arch;
	struct kvm_state_builder b;
	int ret = kvm_state_begin(&b, VMM_KVM_STATE_VCPU, arch, vcpu->id);

	if (ret < 0)
		return vmm_error_set(err, ret, "no memory for a state");
	ret = arch == KVM_ARCH_X86_64 ? kvm_x86_vcpu_save(vcpu, kvm, &b, err)
				      : kvm_regs_vcpu_save(vcpu, &b, err);
	if (ret == 0)
		return kvm_state_finish(&b, out, err);
	kvm_state_abandon(&b);
	return ret;
}

int vmm_kvm_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	uint32_t arch = vcpu->sys->arch;
	int ret = kvm_state_expect(state, VMM_KVM_STATE_VCPU, arch, vcpu->id, err);

	if (ret < 0)
		return ret;
	return arch == KVM_ARCH_X86_64 ? kvm_x86_vcpu_restore(vcpu, state, err)
				       : kvm_regs_vcpu_restore(vcpu, state, err);
}

static int save_routes(struct vmm_kvm_routes *routes, struct kvm_state_builder *b)
{
	struct kvm_irq_routing_entry *entries =
	    calloc(VMM_KVM_GSI_ROUTES_MAX, sizeof(*entries));
	size_t n;
	int ret;

	if (!entries)
		return -ENOMEM;
	n = vmm_kvm_routes_get(routes, entries, VMM_KVM_GSI_ROUTES_MAX);
	ret = kvm_state_add(b, VMM_KVM_STATE_ROUTES, entries, n * sizeof(*entries));
	free(entries);
	return ret;
}

/* Makes @routes what was saved, in one step: the old entries go, the saved ones come. */
static int restore_routes(struct vmm_kvm_routes *routes,
			  const struct vmm_kvm_state *state)
{
	size_t len, n = 0, old;
	const uint8_t *data = vmm_kvm_state_find(state, VMM_KVM_STATE_ROUTES, &len);
	size_t count = len / sizeof(struct kvm_irq_routing_entry);
	struct kvm_irq_routing_entry *entries;
	struct vmm_kvm_route_change *changes;
	int ret = -ENOMEM;

	if (!data)
		return 0;
	entries = calloc(VMM_KVM_GSI_ROUTES_MAX, sizeof(*entries));
	changes = calloc(VMM_KVM_GSI_ROUTES_MAX + count, sizeof(*changes));
	if (entries && changes) {
		old = vmm_kvm_routes_get(routes, entries, VMM_KVM_GSI_ROUTES_MAX);
		for (size_t i = 0; i < old; i++) {
			if (i > 0 && entries[i].gsi == entries[i - 1].gsi)
				continue;
			changes[n].op = VMM_KVM_ROUTE_REMOVE;
			changes[n++].entry = entries[i];
		}
		for (size_t i = 0; i < count; i++) {
			changes[n].op = VMM_KVM_ROUTE_ADD;
			memcpy(&changes[n++].entry, data + i * sizeof(*entries),
			       sizeof(*entries));
		}
		ret = vmm_kvm_routes_apply(routes, changes, n);
	}
	free(entries);
	free(changes);
	return ret;
}

int vmm_kvm_vm_save(struct vmm_kvm_vm *vm, struct vmm_kvm_routes *routes,
		    struct vmm_kvm_state **out, struct vmm_error *err)
{
	uint32_t arch = vm->sys->arch;
	struct kvm_state_builder b;
	int ret = kvm_state_begin(&b, VMM_KVM_STATE_VM, arch, 0);

	if (ret < 0)
		return vmm_error_set(err, ret, "no memory for a state");
	if (routes && (ret = save_routes(routes, &b)) < 0)
		(void)kvm_state_failed(err, ret, 0, "save the interrupt routes");
	if (ret == 0 && arch == KVM_ARCH_X86_64)
		ret = kvm_x86_vm_save(vm, &b, err);
	if (ret == 0)
		return kvm_state_finish(&b, out, err);
	kvm_state_abandon(&b);
	return ret;
}

int vmm_kvm_vm_restore(struct vmm_kvm_vm *vm, const struct vmm_kvm_state *state,
		       const struct vmm_kvm_restore_opts *opts, struct vmm_error *err)
{
	struct vmm_kvm_restore_opts o = VMM_KVM_RESTORE_OPTS_INIT;
	uint32_t arch = vm->sys->arch;
	int ret = opts ? kvm_options_read(&o, sizeof(o), opts) : 0;

	if (ret < 0)
		return vmm_error_set(err, ret, "options of unknown layout");
	if (o.flags & ~VMM_KVM_RESTORE_REALTIME || o.reserved_ != 0)
		return vmm_error_set(err, -EINVAL, "unknown flags %#x", o.flags);
	ret = kvm_state_expect(state, VMM_KVM_STATE_VM, arch, 0, err);
	if (ret < 0)
		return ret;
	if (o.routes && (ret = restore_routes(o.routes, state)) < 0)
		return kvm_state_failed(err, ret, 0, "restore the interrupt routes");
	return arch == KVM_ARCH_X86_64 ? kvm_x86_vm_restore(vm, state, o.flags, err) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The calls for x86, where there is no x86. */
#include <errno.h>
#include <vmm/kvm-x86.h>

#include "state.h"

int vmm_kvm_vm_set_tss_addr(struct vmm_kvm_vm *vm, uint32_t gpa)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_identity_map_addr(struct vmm_kvm_vm *vm, uint64_t gpa)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_create_pit2(struct vmm_kvm_vm *vm, uint32_t flags)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_pit2(struct vmm_kvm_vm *vm, struct kvm_pit_state2 *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_pit2(struct vmm_kvm_vm *vm, const struct kvm_pit_state2 *state)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_irqchip(struct vmm_kvm_vm *vm, uint32_t chip_id,
			   struct kvm_irqchip *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_irqchip(struct vmm_kvm_vm *vm, const struct kvm_irqchip *chip)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_clock(struct vmm_kvm_vm *vm, struct kvm_clock_data *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_boot_cpu_id(struct vmm_kvm_vm *vm, uint32_t id)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_pit_reinject(struct vmm_kvm_vm *vm, bool on)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_irq_line_status(struct vmm_kvm_vm *vm, uint32_t gsi, bool level,
				   int32_t *out_status)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_msr_filter(struct vmm_kvm_vm *vm, bool default_deny,
			      const struct vmm_kvm_msr_range *ranges, size_t count)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_pmu_filter(struct vmm_kvm_vm *vm, uint32_t action,
			      uint32_t fixed_counters, uint32_t flags,
			      const uint64_t *events, size_t count)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_clock(struct vmm_kvm_vm *vm, const struct kvm_clock_data *clock)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_tsc_khz(struct vmm_kvm_vm *vm, uint32_t khz)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_tsc_khz(struct vmm_kvm_vm *vm, uint32_t *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_hyperv_eventfd(struct vmm_kvm_vm *vm, uint32_t conn_id, int fd)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_xen_config(struct vmm_kvm_vm *vm,
			      const struct kvm_xen_hvm_config *config)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_get_xen_attr(struct vmm_kvm_vm *vm, struct kvm_xen_hvm_attr *inout)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_set_xen_attr(struct vmm_kvm_vm *vm, const struct kvm_xen_hvm_attr *attr)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_xen_attr(struct vmm_kvm_vcpu *vcpu, struct kvm_xen_vcpu_attr *inout)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_xen_attr(struct vmm_kvm_vcpu *vcpu,
			      const struct kvm_xen_vcpu_attr *attr)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_encrypt_op(struct vmm_kvm_vm *vm, void *op)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_sev_op(struct vmm_kvm_vm *vm, int sev_fd, uint32_t id, void *data,
		      uint32_t *out_fw_error)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_tdx_op(struct vmm_kvm_vm *vm, uint32_t id, uint32_t flags, uint64_t data,
		      uint64_t *out_hw_error)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_tdx_op(struct vmm_kvm_vcpu *vcpu, uint32_t id, uint32_t flags,
			uint64_t data, uint64_t *out_hw_error)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_x86_topology_get_apic_id(const struct vmm_kvm_x86_topology *topology,
				     uint32_t *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_add_encrypted(struct vmm_kvm_vm *vm, void *host, uint64_t len)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vm_remove_encrypted(struct vmm_kvm_vm *vm, void *host, uint64_t len)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_regs(struct vmm_kvm_vcpu *vcpu, struct kvm_regs *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_regs(struct vmm_kvm_vcpu *vcpu, const struct kvm_regs *regs)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_sregs(struct vmm_kvm_vcpu *vcpu, struct kvm_sregs *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_sregs(struct vmm_kvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_fpu(struct vmm_kvm_vcpu *vcpu, struct kvm_fpu *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_fpu(struct vmm_kvm_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_lapic(struct vmm_kvm_vcpu *vcpu, struct kvm_lapic_state *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_lapic(struct vmm_kvm_vcpu *vcpu, const struct kvm_lapic_state *lapic)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_xcrs(struct vmm_kvm_vcpu *vcpu, struct kvm_xcrs *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_xcrs(struct vmm_kvm_vcpu *vcpu, const struct kvm_xcrs *xcrs)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_debugregs(struct vmm_kvm_vcpu *vcpu, struct kvm_debugregs *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_debugregs(struct vmm_kvm_vcpu *vcpu,
			       const struct kvm_debugregs *regs)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_events(struct vmm_kvm_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_events(struct vmm_kvm_vcpu *vcpu,
			    const struct kvm_vcpu_events *events)
{
	return -EOPNOTSUPP;
}

size_t vmm_kvm_vm_get_xsave_size(const struct vmm_kvm_vm *vm)
{
	return 0;
}

int vmm_kvm_vcpu_get_xsave(struct vmm_kvm_vcpu *vcpu, void *buf, size_t len)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_xsave(struct vmm_kvm_vcpu *vcpu, const void *buf, size_t len)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_tsc_khz(struct vmm_kvm_vcpu *vcpu, uint32_t *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_tsc_khz(struct vmm_kvm_vcpu *vcpu, uint32_t khz)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_sregs2(struct vmm_kvm_vcpu *vcpu, struct kvm_sregs2 *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_sregs2(struct vmm_kvm_vcpu *vcpu, const struct kvm_sregs2 *sregs)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_translate(struct vmm_kvm_vcpu *vcpu, struct kvm_translation *inout)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_nmi(struct vmm_kvm_vcpu *vcpu)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_smi(struct vmm_kvm_vcpu *vcpu)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_interrupt(struct vmm_kvm_vcpu *vcpu, uint32_t vector)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_kvmclock_ctrl(struct vmm_kvm_vcpu *vcpu)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_tpr_reporting(struct vmm_kvm_vcpu *vcpu, bool on)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_vapic_addr(struct vmm_kvm_vcpu *vcpu, uint64_t gpa)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_get_mce_cap(const struct vmm_kvm *kvm, uint64_t *out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_setup_mce(struct vmm_kvm_vcpu *vcpu, uint64_t mcg_cap)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_mce(struct vmm_kvm_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_nested_state(struct vmm_kvm_vcpu *vcpu, void *buf, size_t len,
				  size_t *out_len)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_nested_state(struct vmm_kvm_vcpu *vcpu, const void *buf, size_t len)
{
	return -EOPNOTSUPP;
}

size_t vmm_kvm_x86_describe_regs(const struct kvm_regs *regs,
				 const struct kvm_sregs *sregs, char *buf, size_t size)
{
	return 0;
}

int vmm_kvm_get_msr_indices(const struct vmm_kvm *kvm, bool features, uint32_t *indices,
			    size_t max, size_t *out_count)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_get_feature_msrs(const struct vmm_kvm *kvm, struct kvm_msr_entry *msrs,
			     size_t count, size_t *out_done)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_msrs(struct vmm_kvm_vcpu *vcpu, struct kvm_msr_entry *msrs,
			  size_t count, size_t *out_done)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_msrs(struct vmm_kvm_vcpu *vcpu, const struct kvm_msr_entry *msrs,
			  size_t count, size_t *out_done)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_x86_cpuid_new(struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

void vmm_kvm_x86_cpuid_free(struct vmm_kvm_x86_cpuid *cpuid)
{
}

int vmm_kvm_x86_cpuid_clone(const struct vmm_kvm_x86_cpuid *cpuid,
			    struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

size_t vmm_kvm_x86_cpuid_get_count(const struct vmm_kvm_x86_cpuid *cpuid)
{
	return 0;
}

struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_get_entry(struct vmm_kvm_x86_cpuid *cpuid,
						     size_t i)
{
	return NULL;
}

struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_find(struct vmm_kvm_x86_cpuid *cpuid,
						uint32_t function, uint32_t index)
{
	return NULL;
}

int vmm_kvm_x86_cpuid_add(struct vmm_kvm_x86_cpuid *cpuid,
			  const struct kvm_cpuid_entry2 *entry)
{
	return -EOPNOTSUPP;
}

void vmm_kvm_x86_cpuid_remove(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function)
{
}

int vmm_kvm_get_supported_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_get_hyperv_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_get_emulated_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_set_cpuid(struct vmm_kvm_vcpu *vcpu,
			   const struct vmm_kvm_x86_cpuid *cpuid)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_get_cpuid(struct vmm_kvm_vcpu *vcpu, struct vmm_kvm_x86_cpuid **out)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_x86_cpuid_set_topology(struct vmm_kvm_x86_cpuid *cpuid,
				   const struct vmm_kvm_x86_topology *topology)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_x86_boot_get_regs(const struct vmm_kvm_x86_boot *boot,
			      struct kvm_regs *out_regs, struct kvm_sregs *sregs)
{
	return -EOPNOTSUPP;
}

uint64_t vmm_kvm_x86_boot_get_descriptor(const struct vmm_kvm_x86_boot *boot,
					 uint16_t selector)
{
	return 0;
}

int vmm_kvm_vcpu_set_boot_regs(struct vmm_kvm_vcpu *vcpu,
			       const struct vmm_kvm_x86_boot *boot)
{
	return -EOPNOTSUPP;
}

int vmm_kvm_vcpu_setup(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_x86_cpuid *cpuid,
		       const struct vmm_kvm_x86_topology *topology,
		       const struct vmm_kvm_x86_boot *boot, struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

int kvm_x86_vcpu_save(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct kvm_state_builder *b, struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

int kvm_x86_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

int kvm_x86_vm_save(struct vmm_kvm_vm *vm, struct kvm_state_builder *b,
		    struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

int kvm_x86_vm_restore(struct vmm_kvm_vm *vm, const struct vmm_kvm_state *state,
		       uint32_t flags, struct vmm_error *err)
{
	return -EOPNOTSUPP;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_STATE_H
#define KVM_STATE_H

#include <string.h>
#include <vmm/kvm-state.h>

#include "internal.h"

_Static_assert(KVM_ARCH_X86_64 == (int)VMM_KVM_STATE_X86_64 &&
		   KVM_ARCH_AARCH64 == (int)VMM_KVM_STATE_AARCH64 &&
		   KVM_ARCH_RISCV64 == (int)VMM_KVM_STATE_RISCV64,
	       "one numbering");

/* Checks that stand for the kernel's structures on every host. */
enum {
	STATE_CPUID_ENTRY = 40,
	STATE_CPUIDS_MAX = 256,
	STATE_MSR_ENTRY = 16,
	STATE_MSRS_MAX = 8192,
	STATE_NESTED_HEAD = 128,
	STATE_XSAVE_MIN = 4096,
	STATE_AREA_MAX = 65536,
	STATE_CHIP = 520,
	STATE_REG_MAX = 256,
};

/* A state in the making. The sections come in ascending order. */
struct kvm_state_builder {
	uint8_t *data;
	size_t len, room;
	uint32_t sections;
};

int kvm_state_begin(struct kvm_state_builder *b, uint32_t kind, uint32_t arch,
		    uint32_t id);

/* Appends a section. */
int kvm_state_add(struct kvm_state_builder *b, uint32_t section, const void *data,
		  size_t len);

/* Appends a section of which only @len is known; the place for it is good until the next
 * call. */
int kvm_state_place(struct kvm_state_builder *b, uint32_t section, size_t len,
		    void **out);

/* Makes a state of it, if it passes the check that a restored one has to pass. */
int kvm_state_finish(struct kvm_state_builder *b, struct vmm_kvm_state **out,
		     struct vmm_error *err);

void kvm_state_abandon(struct kvm_state_builder *b);

/* -EINVAL with a reason if @state is not of this kind, architecture and id. */
int kvm_state_expect(const struct vmm_kvm_state *state, uint32_t kind, uint32_t arch,
		     uint32_t id, struct vmm_error *err);

/* Each step of the arch-specific part fills the builder, or is filled from the state. */
int kvm_x86_vcpu_save(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct kvm_state_builder *b, struct vmm_error *err);
int kvm_x86_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err);
int kvm_x86_vm_save(struct vmm_kvm_vm *vm, struct kvm_state_builder *b,
		    struct vmm_error *err);
int kvm_x86_vm_restore(struct vmm_kvm_vm *vm, const struct vmm_kvm_state *state,
		       uint32_t flags, struct vmm_error *err);

/* The same for vCPUs whose state is a list of registers: arm64 and riscv64. */
int kvm_regs_vcpu_save(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		       struct vmm_error *err);
int kvm_regs_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			  struct vmm_error *err);

static inline int kvm_state_failed(struct vmm_error *err, int code, uint32_t id,
				   const char *step)
{
	return vmm_error_at(err, code, id, 0, 0, "cannot %s: %s", step,
			    strerrordesc_np(-code));
}

#endif

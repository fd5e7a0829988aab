/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_X86_STATE_MSRS_H
#define KVM_X86_STATE_MSRS_H

#include "state.h"

/* Saves every MSR that the kernel lists and that this vCPU has, and some it forgets. */
int kvm_x86_save_msrs(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct kvm_state_builder *b, struct vmm_error *err);

int kvm_x86_restore_msrs(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err);

#endif

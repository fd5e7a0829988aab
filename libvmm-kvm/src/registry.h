/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_REGISTRY_H
#define KVM_REGISTRY_H

#include "internal.h"

/* Takes back each irqfd and ioeventfd of @vm that is still bound. */
void kvm_registry_undo(struct vmm_kvm_vm *vm);

#endif

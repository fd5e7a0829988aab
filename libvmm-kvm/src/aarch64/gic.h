/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_AARCH64_GIC_H
#define KVM_AARCH64_GIC_H

#include <vmm/kvm-arm64.h>

struct vmm_kvm_arm64_gic_device {
	struct vmm_kvm_device *gic;
	/* NULL without a translation service. */
	struct vmm_kvm_device *its;
	uint32_t version, irq_count;
};

#endif

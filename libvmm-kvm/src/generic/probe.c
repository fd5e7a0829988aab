/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "internal.h"

/* Only x86 has an instruction emulator that can stand in for the processor. */
int vmm_kvm_probe_linux(struct vmm_kvm *kvm, struct vmm_error *err)
{
	(void)kvm;
	(void)err;
	return 0;
}

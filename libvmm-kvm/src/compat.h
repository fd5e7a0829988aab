/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_COMPAT_H
#define KVM_COMPAT_H

/* What the kernel has gained since the 6.1 headers. Our own structures carry our own
 * names, so that a newer header changes nothing. */

#include <linux/kvm.h>

#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#endif

struct kvm_compat_region2 {
	__u32 slot;
	__u32 flags;
	__u64 guest_phys_addr;
	__u64 memory_size;
	__u64 userspace_addr;
	__u64 guest_memfd_offset;
	__u32 guest_memfd;
	__u32 pad1;
	__u64 pad2[14];
};

#define KVM_COMPAT_SET_REGION2 _IOW(KVMIO, 0x49, struct kvm_compat_region2)

/* Exits of later kernels, as they lie in the union of struct kvm_run. */
struct kvm_compat_memory_fault {
	__u64 flags;
	__u64 gpa;
	__u64 size;
};

struct kvm_compat_iocsr {
	__u64 phys_addr;
	__u8 data[8];
	__u32 len;
	__u8 is_write;
};

struct kvm_compat_tdx {
	__u64 flags;
	__u64 nr;
	__u64 data[6];
};

#endif

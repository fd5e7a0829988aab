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

struct kvm_compat_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};

#define KVM_COMPAT_CREATE_GUEST_MEMFD \
	_IOWR(KVMIO, 0xd4, struct kvm_compat_create_guest_memfd)

struct kvm_compat_memory_attributes {
	__u64 address;
	__u64 size;
	__u64 attributes;
	__u64 flags;
};

#define KVM_COMPAT_SET_MEMORY_ATTRIBUTES \
	_IOW(KVMIO, 0xd2, struct kvm_compat_memory_attributes)

struct kvm_compat_pre_fault {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};

#define KVM_COMPAT_PRE_FAULT _IOWR(KVMIO, 0xd5, struct kvm_compat_pre_fault)

struct kvm_compat_tdx_cmd {
	__u32 id;
	__u32 flags;
	__u64 data;
	__u64 hw_error;
};

struct kvm_compat_counter_offset {
	__u64 counter_offset;
	__u64 reserved;
};

#define KVM_COMPAT_SET_COUNTER_OFFSET _IOW(KVMIO, 0xb5, struct kvm_compat_counter_offset)

struct kvm_compat_writable_masks {
	__u64 addr;
	__u32 range;
	__u32 reserved[13];
};

/* 3 * 8 * 8: op1 of 0, 1 or 3, CRm and op2 of 0 to 7. */
#define KVM_COMPAT_ID_REGS 192
#define KVM_COMPAT_GET_WRITABLE_MASKS _IOR(KVMIO, 0xb6, struct kvm_compat_writable_masks)

#define KVM_COMPAT_CAP_USER_MEMORY2 231
#define KVM_COMPAT_CAP_MEMORY_ATTRIBUTES 233
#define KVM_COMPAT_CAP_GUEST_MEMFD 234
#define KVM_COMPAT_CAP_PRE_FAULT_MEMORY 236

/* What other architectures' headers have, for code that is compiled on each of them. An
 * ioctl's number holds the size of its argument. */
#define KVM_COMPAT_CAP_VCPU_EVENTS 41
#define KVM_COMPAT_ARM64_VCPU_INIT _IOW(KVMIO, 0xae, __u32[8])
#define KVM_COMPAT_ARM64_FINALIZE _IOW(KVMIO, 0xc2, int)
#define KVM_COMPAT_ARM64_GET_EVENTS _IOR(KVMIO, 0x9f, __u64[8])
#define KVM_COMPAT_ARM64_SET_EVENTS _IOW(KVMIO, 0xa0, __u64[8])
#define KVM_COMPAT_ARM64_POWER_OFF 0
#define KVM_COMPAT_ARM64_SVE 4
/* KVM_REG_ARM64 | KVM_REG_ARM64_SVE | KVM_REG_SIZE_U512 | 0xffff */
#define KVM_COMPAT_ARM64_SVE_VLS 0x606000000015ffffULL

/* Device attributes of the riscv64 interrupt controller. */
#define KVM_COMPAT_DEV_AIA 11
#define KVM_COMPAT_AIA_CONFIG 0
#define KVM_COMPAT_AIA_CONFIG_MODE 0
#define KVM_COMPAT_AIA_CONFIG_IDS 1
#define KVM_COMPAT_AIA_CONFIG_SRCS 2
#define KVM_COMPAT_AIA_CONFIG_HART_BITS 5
#define KVM_COMPAT_AIA_MODE_AUTO 2
#define KVM_COMPAT_AIA_ADDR 1
#define KVM_COMPAT_AIA_ADDR_APLIC 0
#define KVM_COMPAT_AIA_ADDR_IMSIC 1
#define KVM_COMPAT_AIA_CTRL 2

/* The arm64 filter of firmware calls: an attribute of the machine. */
#define KVM_COMPAT_SMCCC_CTRL 0
#define KVM_COMPAT_SMCCC_FILTER 0

struct kvm_compat_smccc_filter {
	__u32 base;
	__u32 nr_functions;
	__u8 action;
	__u8 pad[15];
};

/* KVM_REG_ARM_PSCI_VERSION, and the sysreg MPIDR_EL1. */
#define KVM_COMPAT_ARM64_PSCI_VERSION 0x6030000000140000ULL
#define KVM_COMPAT_ARM64_MPIDR 0x603000000013c005ULL

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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_EXIT_H
#define VMM_KVM_EXIT_H

/**
 * @file vmm/kvm-exit.h
 * Why a virtual CPU stopped: the decoded exit that vmm_kvm_vcpu_run() fills. Part of
 * `vmm/kvm.h`, which includes it; pure data and functions, any thread may use them.
 */

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Why a vCPU stopped; the values are the kernel's `KVM_EXIT_*`. */
enum vmm_kvm_exit_reason {
	VMM_KVM_EXIT_UNKNOWN = 0,
	VMM_KVM_EXIT_EXCEPTION = 1,
	VMM_KVM_EXIT_IO = 2,
	VMM_KVM_EXIT_HYPERCALL = 3,
	VMM_KVM_EXIT_DEBUG = 4,
	VMM_KVM_EXIT_HLT = 5,
	VMM_KVM_EXIT_MMIO = 6,
	VMM_KVM_EXIT_IRQ_WINDOW_OPEN = 7,
	VMM_KVM_EXIT_SHUTDOWN = 8,
	VMM_KVM_EXIT_FAIL_ENTRY = 9,
	VMM_KVM_EXIT_INTR = 10,
	VMM_KVM_EXIT_SET_TPR = 11,
	VMM_KVM_EXIT_TPR_ACCESS = 12,
	VMM_KVM_EXIT_DCR = 15,
	VMM_KVM_EXIT_NMI = 16,
	VMM_KVM_EXIT_INTERNAL_ERROR = 17,
	VMM_KVM_EXIT_OSI = 18,
	VMM_KVM_EXIT_PAPR_HCALL = 19,
	VMM_KVM_EXIT_WATCHDOG = 21,
	VMM_KVM_EXIT_EPR = 23,
	VMM_KVM_EXIT_SYSTEM_EVENT = 24,
	VMM_KVM_EXIT_IOAPIC_EOI = 26,
	VMM_KVM_EXIT_HYPERV = 27,
	VMM_KVM_EXIT_ARM_NISV = 28,
	VMM_KVM_EXIT_X86_RDMSR = 29,
	VMM_KVM_EXIT_X86_WRMSR = 30,
	VMM_KVM_EXIT_DIRTY_RING_FULL = 31,
	VMM_KVM_EXIT_AP_RESET_HOLD = 32,
	VMM_KVM_EXIT_X86_BUS_LOCK = 33,
	VMM_KVM_EXIT_XEN = 34,
	VMM_KVM_EXIT_RISCV_SBI = 35,
	VMM_KVM_EXIT_RISCV_CSR = 36,
	VMM_KVM_EXIT_NOTIFY = 37,
	VMM_KVM_EXIT_LOONGARCH_IOCSR = 38,
	VMM_KVM_EXIT_MEMORY_FAULT = 39,
	VMM_KVM_EXIT_TDX = 40,
};

/** Bit of @ref vmm_kvm_exit "memory_fault.flags": the guest wanted private memory. */
#define VMM_KVM_MEMORY_FAULT_PRIVATE (UINT64_C(1) << 3)

/**
 * Why a vCPU stopped, as a view: pointers aim into the run page and are good until the
 * next call on the vCPU. What a pointer that is not const shows is read by the kernel
 * at the next run: store the answer there.
 *
 * The member of the union is named after the reason. Reasons without a member below
 * carry nothing. A reason that this library does not know is handed on as its number.
 */
struct vmm_kvm_exit {
	/** enum vmm_kvm_exit_reason */
	uint32_t reason;
	/** KVM_RUN_* flags of the run page, such as KVM_RUN_X86_SMM */
	uint32_t run_flags;
	union {
		/** UNKNOWN: the hardware's own code. */
		struct {
			uint64_t hardware_exit_reason;
		} unknown;
		struct {
			uint32_t exception;
			uint32_t error_code;
		} exception;
		/** A port access; `count` items of `size` bytes, one after the other. */
		struct {
			uint8_t *data;
			/** size * count, at least 1 */
			uint32_t len;
			uint32_t count;
			uint16_t port;
			/** 1, 2 or 4 */
			uint8_t size;
			/** 1: the guest wrote `data`; 0: it waits for it. */
			uint8_t is_write;
		} io;
		struct {
			uint64_t gpa;
			uint8_t *data;
			/** 1 to 8 */
			uint32_t len;
			/** 1: the guest wrote `data`; 0: it waits for it. */
			uint32_t is_write;
		} mmio;
		struct {
			uint64_t nr;
			/** Six of them. */
			const uint64_t *args;
			uint64_t *ret;
			uint32_t longmode;
			uint32_t flags;
		} hypercall;
		struct {
			const struct kvm_debug_exit_arch *arch;
		} debug;
		struct {
			uint64_t hardware_entry_failure_reason;
			uint32_t cpu;
		} fail_entry;
		struct {
			uint64_t rip;
			uint32_t is_write;
		} tpr_access;
		struct {
			uint32_t *data;
			uint32_t dcrn;
			uint32_t is_write;
		} dcr;
		struct {
			/** KVM_INTERNAL_ERROR_* */
			uint32_t suberror;
			/** 0 to 16 */
			uint32_t ndata;
			const uint64_t *data;
			/** An emulation failure: KVM_INTERNAL_ERROR_EMULATION_FLAG_*. */
			uint64_t flags;
			/** An emulation failure: `insn_len` bytes (0 to 15) of the
			 *  instruction, else NULL. */
			const uint8_t *insn;
			uint32_t insn_len;
		} internal_error;
		struct {
			/** 32 of them. */
			const uint64_t *gprs;
		} osi;
		struct {
			uint64_t nr;
			uint64_t *ret;
			/** Nine of them. */
			uint64_t *args;
		} papr_hcall;
		struct {
			uint32_t *epr;
		} epr;
		struct {
			/** KVM_SYSTEM_EVENT_* */
			uint32_t type;
			/** 0 to 16 */
			uint32_t ndata;
			const uint64_t *data;
			/** data[0], or the flags of a kernel without `ndata` */
			uint64_t flags;
		} system_event;
		struct {
			uint8_t vector;
		} ioapic_eoi;
		struct {
			struct kvm_hyperv_exit *exit;
		} hyperv;
		struct {
			uint64_t esr_iss;
			uint64_t fault_ipa;
		} arm_nisv;
		/** X86_RDMSR and X86_WRMSR. */
		struct {
			uint32_t index;
			/** KVM_MSR_EXIT_REASON_* */
			uint32_t reason;
			/** What the guest writes, or room for what it reads. */
			uint64_t *data;
			/** Set to 1 to have a general protection fault injected. */
			uint8_t *error;
		} msr;
		struct {
			struct kvm_xen_exit *exit;
		} xen;
		struct {
			unsigned long extension_id;
			unsigned long function_id;
			/** Six of them. */
			const unsigned long *args;
			/** Two: error and value. */
			unsigned long *ret;
		} riscv_sbi;
		struct {
			unsigned long csr_num;
			unsigned long new_value;
			unsigned long write_mask;
			unsigned long *ret;
		} riscv_csr;
		struct {
			/** KVM_NOTIFY_* */
			uint32_t flags;
		} notify;
		struct {
			uint64_t addr;
			uint8_t *data;
			/** 1 to 8 */
			uint32_t len;
			uint32_t is_write;
		} loongarch_iocsr;
		/** The kernel could not get at guest memory; see also
		 *  #VMM_KVM_MEMORY_FAULT_PRIVATE. */
		struct {
			uint64_t flags;
			uint64_t gpa;
			uint64_t len;
		} memory_fault;
		struct {
			uint64_t flags;
			uint64_t nr;
			/** Six words, whose meaning depends on `nr`; the first is the
			 *  result. */
			uint64_t *data;
		} tdx;
	} u;
};

/** Return a short name for an exit reason, such as "mmio"; "?" for an unknown one. */
VMM_API const char *vmm_kvm_exit_name(uint32_t reason);

/**
 * Describe an exit in one line, for a log: reason, numbers, instruction bytes.
 *
 * @param exit      the exit
 * @param[out] buf  room for the text, always NUL-terminated; may be NULL if @p size is 0
 * @param size      bytes in @p buf
 * @return length of the full text, as snprintf()
 */
VMM_API size_t vmm_kvm_exit_describe(const struct vmm_kvm_exit *exit, char *buf,
				     size_t size);

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_RISCV64_H
#define VMM_KVM_RISCV64_H

/**
 * @file vmm/kvm-riscv64.h
 * What KVM has for riscv64 only: registers and SBI extensions by name, the state at boot,
 * the interrupt controller (AIA).
 *
 * Everything is declared on every architecture. Elsewhere than on riscv64 each call with
 * a machine or vCPU returns -EOPNOTSUPP and touches nothing; names are known everywhere.
 * General rules and threads: see `vmm/kvm.h`.
 */

#include <vmm/kvm-device.h>
#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/**
 * @name Registers
 * @{
 */

/**
 * Find the id of a register by its name: "pc", "ra" to "t6" and "mode"; "csr.sstatus",
 * "csr.siselect", "csr.sstateen0" and the like; "timer.time"; "config.isa"; "isa.zbb" and
 * "sbi.hsm", which are 1 or 0; "f.0" to "f.31", "d.0" to "d.31" and "f.fcsr", "d.fcsr". A
 * pure function.
 *
 * @param name      the name
 * @param[out] out  the id, for vmm_kvm_vcpu_get_one_reg(); its registers are 8 bytes
 *                  wide, but for floating point those of f. and d.fcsr, which are 4
 * @retval 0        done
 * @retval -ENOENT  no such name
 */
VMM_API VMM_MUST_USE int vmm_kvm_riscv64_reg_by_name(const char *name, uint64_t *out);

/**
 * Name a register, for a log. A pure function.
 *
 * @param id        its id
 * @param[out] buf  room for the name, always NUL-terminated; may be NULL if @p size is 0
 * @param size      bytes in @p buf
 * @return length of the full name, as snprintf(); 0 if it has none
 */
VMM_API size_t vmm_kvm_riscv64_reg_name(uint64_t id, char *buf, size_t size);

/**
 * Read a register by its name.
 *
 * @param vcpu      the vCPU
 * @param name      as vmm_kvm_riscv64_reg_by_name()
 * @param[out] out  its value
 * @retval 0            done
 * @retval -ENOENT      no such name, or this vCPU has no such register
 * @retval -EOPNOTSUPP  not a riscv64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_riscv64_get_reg(struct vmm_kvm_vcpu *vcpu,
						      const char *name, uint64_t *out);

/**
 * Set a register by its name: give a vCPU an extension, or take it away, with 1 or 0.
 *
 * @retval 0            done
 * @retval -ENOENT      no such name, or this vCPU has no such register
 * @retval -EINVAL      it cannot be changed, or not any more after the first run
 * @retval -EOPNOTSUPP  not a riscv64 host, or the host lacks the extension
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_riscv64_set_reg(struct vmm_kvm_vcpu *vcpu,
						      const char *name, uint64_t value);

/** The state of a vCPU at its first instruction: supervisor mode, MMU off. */
struct vmm_kvm_riscv64_boot {
	/** Size of this structure. */
	size_t size;
	/** First instruction. */
	uint64_t pc;
	/** Address of the device tree, in a1; a0 is the vCPU's id. */
	uint64_t a1;
};

/** Defaults: all 0. */
#define VMM_KVM_RISCV64_BOOT_INIT                         \
	{                                                 \
		sizeof(struct vmm_kvm_riscv64_boot), 0, 0 \
	}

/**
 * Give a vCPU what it needs before its first run: the boot state, or stopped until the
 * guest starts it.
 *
 * @param vcpu      the vCPU
 * @param boot      state of the first vCPU; NULL for the others
 * @param[out] err  the step that failed; may be NULL
 * @retval 0            done
 * @retval -E2BIG       unknown structure tail
 * @retval -EOPNOTSUPP  not a riscv64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_riscv64_setup(
    struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_riscv64_boot *boot,
    struct vmm_error *err);

/** @} */

/**
 * @name Interrupt controller
 * @{
 */

/** An interrupt controller of the AIA family: an APLIC and an IMSIC for each vCPU. */
struct vmm_kvm_riscv64_aia {
	/** Size of this structure. */
	size_t size;
	/** 0 emulated, 1 by hardware, 2 as the host can. */
	uint32_t mode;
	/** Message interrupts of each vCPU: 63 to 2047, one less than a multiple of 64. */
	uint32_t msi_count;
	/** Wired interrupts, 0 to 1023. */
	uint32_t source_count;
	/** vCPUs, whose ids are 0 to this less one. */
	uint32_t vcpu_count;
	/** Guest physical address of the APLIC; a multiple of 4096. */
	uint64_t aplic_gpa;
	/** Of the first vCPU's IMSIC, those of the others follow in steps of 4096; a
	 *  multiple of that. */
	uint64_t imsic_gpa;
};

/** Defaults: as the host can, 255 messages, 96 wired interrupts, one vCPU. */
#define VMM_KVM_RISCV64_AIA_INIT                                        \
	{                                                               \
		sizeof(struct vmm_kvm_riscv64_aia), 2, 255, 96, 1, 0, 0 \
	}

/**
 * Create an interrupt controller and place it, after the vCPUs were created.
 *
 * @param vm        the machine
 * @param aia       what it shall be; copied
 * @param[out] out  to be released with vmm_kvm_device_close()
 * @param[out] err  the step that failed; may be NULL
 * @retval 0            done
 * @retval -EINVAL      an address or a number that cannot be
 * @retval -ENODEV      this host has none
 * @retval -EEXIST      the machine has one
 * @retval -E2BIG       unknown structure tail
 * @retval -ENOMEM      out of memory
 * @retval -EOPNOTSUPP  not a riscv64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_riscv64_aia_open(struct vmm_kvm_vm *vm,
						  const struct vmm_kvm_riscv64_aia *aia,
						  struct vmm_kvm_device **out,
						  struct vmm_error *err);

/** @} */

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_ARM64_H
#define VMM_KVM_ARM64_H

/**
 * @file vmm/kvm-arm64.h
 * What KVM has for arm64 only: initialising vCPUs, their state at boot, the interrupt
 * controllers.
 *
 * Everything is declared on every architecture; elsewhere than on arm64 each call returns
 * -EOPNOTSUPP and touches nothing. General rules and threads: see `vmm/kvm.h`. Registers
 * one by one: vmm_kvm_vcpu_get_one_reg().
 */

#include <vmm/kvm-device.h>
#include <vmm/kvm-state.h>
#include <vmm/kvm.h>

VMM_BEGIN_DECLS

struct kvm_arm_copy_mte_tags;
struct kvm_vcpu_events;
struct kvm_vcpu_init;

/**
 * @name vCPUs
 * @{
 */

/** Read which processor this host gives to a guest, for vmm_kvm_vcpu_arm64_init().
 *  @retval 0 done @retval -ENODEV none */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_preferred_target(struct vmm_kvm_vm *vm,
							 struct kvm_vcpu_init *out);

/**
 * Initialise a vCPU with features of one's own choice. It has no registers before.
 *
 * @param vcpu  the vCPU
 * @param init  from vmm_kvm_vm_get_preferred_target(), features added
 * @retval 0        done
 * @retval -EINVAL  not this host's target, or not the same as before
 * @retval -ENOENT  a feature that this host does not have
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_init(struct vmm_kvm_vcpu *vcpu,
						 const struct kvm_vcpu_init *init);

/**
 * Finish the configuration of a feature (KVM_ARM_VCPU_SVE) before its first use.
 *
 * @retval 0        done
 * @retval -EINVAL  the vCPU does not have it
 * @retval -EPERM   it is done already
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_finalize(struct vmm_kvm_vcpu *vcpu,
						     uint32_t feature);

/** Read the pending SError. @retval 0 done */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_get_events(struct vmm_kvm_vcpu *vcpu,
						       struct kvm_vcpu_events *out);

/** Inject an SError. @retval 0 done @retval -EINVAL this host cannot say its syndrome */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_set_events(
    struct vmm_kvm_vcpu *vcpu, const struct kvm_vcpu_events *events);

/** Return the id of general register @p n: x0 to x30, 31 is the stack pointer, 32 the
 *  program counter, 33 the processor state. A pure function. */
VMM_API uint64_t vmm_kvm_arm64_core_reg(uint32_t n);

/** The state of a vCPU at its first instruction: EL1, interrupts masked, MMU off. */
struct vmm_kvm_arm64_boot {
	/** Size of this structure. */
	size_t size;
	/** First instruction. */
	uint64_t pc;
	/** Address of the device tree, in x0; x1 to x3 are 0 as Linux asks for. */
	uint64_t x0;
};

/** Defaults: all 0. */
#define VMM_KVM_ARM64_BOOT_INIT                         \
	{                                               \
		sizeof(struct vmm_kvm_arm64_boot), 0, 0 \
	}

/**
 * Give a vCPU all that it needs before its first run: this host's target with PSCI 0.2 or
 * later, and either the boot state or switched off until the guest starts it.
 *
 * @param vcpu      the vCPU
 * @param features  further bits of the first word of features
 * @param boot      state of the first vCPU; NULL for the others
 * @param[out] err  the step that failed; may be NULL
 * @retval 0        done
 * @retval -E2BIG   unknown structure tail
 * @retval -ENOENT  a feature that this host does not have
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_setup(struct vmm_kvm_vcpu *vcpu,
						  uint32_t features,
						  const struct vmm_kvm_arm64_boot *boot,
						  struct vmm_error *err);

/**
 * Choose the version of PSCI that a vCPU sees, before its first run; for all vCPUs the
 * same.
 *
 * @param vcpu   the vCPU, initialised
 * @param major  0 or 1
 * @param minor  such as 2 for 0.2, 1 for 1.1
 * @retval 0            done
 * @retval -EINVAL      the kernel has no such version, or a number above 65535
 * @retval -EOPNOTSUPP  not an arm64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_set_psci(struct vmm_kvm_vcpu *vcpu,
						     uint32_t major, uint32_t minor);

/** Read the version of PSCI. @param[out] out major << 16 | minor @retval 0 done @retval
 * -EOPNOTSUPP not an arm64 host */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_get_psci(struct vmm_kvm_vcpu *vcpu,
						     uint32_t *out);

/**
 * Give a vCPU a performance monitor: it must have been initialised with the feature.
 *
 * @param vcpu  the vCPU
 * @param irq   its interrupt: a private one (16 to 31), the same for all vCPUs; 0 for
 *              none, if the interrupt controller is not in the kernel
 * @retval 0        done
 * @retval -ENODEV  the vCPU has no such feature
 * @retval -EBUSY   it has one already
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_enable_pmu(struct vmm_kvm_vcpu *vcpu,
						       uint32_t irq);

/**
 * Describe registers in a few lines, for a log of a guest that crashed: general ones, and
 * those of the system that tell of the last exception and of address translation.
 *
 * @param vcpu      the vCPU, initialised, which does not run
 * @param[out] buf  room for the text, always NUL-terminated; may be NULL if @p size is 0;
 *                  undefined if the result is 0
 * @param size      bytes in @p buf
 * @return length of the full text, as snprintf(); 0 if a register cannot be read, and not
 *         on an arm64 host
 */
VMM_API size_t vmm_kvm_vcpu_arm64_describe(struct vmm_kvm_vcpu *vcpu, char *buf,
					   size_t size);

/**
 * Read the guest's virtual counter, which is its clock and its timer's. It goes on while
 * no vCPU runs: a VMM that does not want that sets it to what it was before.
 *
 * @param vcpu      the vCPU, initialised
 * @param[out] out  its value
 * @retval 0            done
 * @retval -ENOENT      the vCPU is not initialised
 * @retval -EOPNOTSUPP  not an arm64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_get_counter(struct vmm_kvm_vcpu *vcpu,
							uint64_t *out);

/** Set the virtual counter, while no vCPU runs: that of one vCPU is that of all. Results
 *  as vmm_kvm_vcpu_arm64_get_counter(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_arm64_set_counter(struct vmm_kvm_vcpu *vcpu,
							uint64_t value);

/** @} */

/**
 * @name Machine
 * @{
 */

/** Return the largest guest physical address space in bits, 0 if the kernel cannot say.
 */
VMM_API uint32_t vmm_kvm_get_host_ipa_limit(const struct vmm_kvm *kvm);

/** An interrupt controller of the GIC family. */
struct vmm_kvm_arm64_gic {
	/** Size of this structure. */
	size_t size;
	/** 2 or 3. */
	uint32_t version;
	/** Interrupts, the private 32 included: 64 to 1024 in steps of 32. */
	uint32_t irq_count;
	/** Guest physical address of the distributor; a multiple of 64 KiB. */
	uint64_t dist_gpa;
	/** Of the CPU interface (version 2), or of the redistributors, which take 128 KiB
	 *  for each vCPU (version 3). */
	uint64_t cpu_gpa;
	/** Of the translation service for message-signalled interrupts (version 3); 0 for
	 *  none. */
	uint64_t its_gpa;
};

/** Defaults: version 3, 256 interrupts, no translation service. */
#define VMM_KVM_ARM64_GIC_INIT                                    \
	{                                                         \
		sizeof(struct vmm_kvm_arm64_gic), 3, 256, 0, 0, 0 \
	}

/** An interrupt controller with its translation service. Opaque. */
struct vmm_kvm_arm64_gic_device;

/**
 * Create an interrupt controller and place it.
 *
 * @param vm        the machine
 * @param gic       what it shall be; copied
 * @param[out] out  to be released with vmm_kvm_arm64_gic_close()
 * @param[out] err  the step that failed; may be NULL
 * @retval 0        done
 * @retval -EINVAL  an address, version or number that cannot be
 * @retval -ENODEV  this host has no such version
 * @retval -EEXIST  the machine has one
 * @retval -E2BIG   unknown structure tail, or beyond the address space
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_arm64_gic_open(struct vmm_kvm_vm *vm,
						const struct vmm_kvm_arm64_gic *gic,
						struct vmm_kvm_arm64_gic_device **out,
						struct vmm_error *err);

/** Close the handle; the controller lives as long as the machine. NULL is allowed. */
VMM_API void vmm_kvm_arm64_gic_close(struct vmm_kvm_arm64_gic_device *gic);

/**
 * Make the controller ready, after the last vCPU was created.
 *
 * @retval 0        done
 * @retval -ENXIO   something is not placed
 * @retval -EBUSY   a vCPU runs already
 */
VMM_API VMM_MUST_USE int vmm_kvm_arm64_gic_start(struct vmm_kvm_arm64_gic_device *gic);

/**
 * Save an interrupt controller of version 3, with its translation service: the kernel
 * writes pending interrupts and the service's tables to guest memory, so this comes
 * before guest memory is saved.
 *
 * @param gic       the controller, started
 * @param vcpus     every vCPU of the machine, none of which runs
 * @param count     how many
 * @param[out] out  the state, to be released with vmm_kvm_state_free()
 * @param[out] err  the register that failed; may be NULL
 * @retval 0            done
 * @retval -EINVAL      no vCPU
 * @retval -EOPNOTSUPP  version 2, or not an arm64 host
 * @retval -EBUSY       a vCPU runs
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_arm64_gic_save(struct vmm_kvm_arm64_gic_device *gic,
						struct vmm_kvm_vcpu *const *vcpus,
						size_t count, struct vmm_kvm_state **out,
						struct vmm_error *err);

/**
 * Restore an interrupt controller that was made like the saved one, after guest memory
 * and vCPUs.
 *
 * @param gic       the controller, started
 * @param state     the state
 * @param[out] err  the register that failed; may be NULL
 * @retval 0            done
 * @retval -EINVAL      not the state of such a controller, or a value that the kernel
 *                      refuses
 * @retval -EOPNOTSUPP  version 2, or not an arm64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_arm64_gic_restore(struct vmm_kvm_arm64_gic_device *gic,
						   const struct vmm_kvm_state *state,
						   struct vmm_error *err);

/** What KVM does with a firmware call: handle it, deny it, make it a hypercall exit. */
enum vmm_kvm_arm64_smccc_action {
	VMM_KVM_ARM64_SMCCC_HANDLE = 0,
	VMM_KVM_ARM64_SMCCC_DENY = 1,
	VMM_KVM_ARM64_SMCCC_EXIT = 2,
};

/**
 * Say what happens to a range of firmware calls (SMCCC function ids; PSCI is 0x84000000
 * to 0x8400001f and 0xc4000000 to 0xc400001f), before any vCPU runs. Ranges must not
 * overlap.
 *
 * @param vm      the machine
 * @param first   first function id
 * @param count   how many
 * @param action  enum vmm_kvm_arm64_smccc_action
 * @retval 0            done
 * @retval -EINVAL      unknown action, empty or wrapping range
 * @retval -EEXIST      it overlaps another one
 * @retval -EBUSY       a vCPU has run
 * @retval -ENXIO       the kernel cannot (before 6.4)
 * @retval -EOPNOTSUPP  not an arm64 host
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_arm64_filter_smccc(struct vmm_kvm_vm *vm,
						       uint32_t first, uint32_t count,
						       uint32_t action);

/** Shift the counters of all vCPUs by an offset. @retval 0 done @retval -ENOTTY the
 * kernel cannot (before 6.4) */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_counter_offset(struct vmm_kvm_vm *vm,
						       uint64_t offset);

/**
 * Read which bits of the identification registers a VMM may change.
 *
 * @param vm         the machine
 * @param range      which registers; 0
 * @param[out] masks a word for each register of the range
 * @param count      words, 192 for range 0
 * @retval 0        done
 * @retval -EINVAL  no such range, or not that many words
 * @retval -ENOTTY  the kernel cannot (before 6.7)
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_writable_masks(struct vmm_kvm_vm *vm,
						       uint32_t range, uint64_t *masks,
						       size_t count);

/** Copy memory tags of the guest. @return bytes copied, or -errno */
VMM_API VMM_MUST_USE int64_t
vmm_kvm_vm_copy_mte_tags(struct vmm_kvm_vm *vm, const struct kvm_arm_copy_mte_tags *copy);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm_arm64_gic_device, vmm_kvm_arm64_gic_close)

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_X86_H
#define VMM_KVM_X86_H

/**
 * @file vmm/kvm-x86.h
 * What KVM has for x86 only: legacy interrupt controllers and timer, vCPU registers,
 * CPUID and MSRs, and the state that a vCPU needs to boot.
 *
 * Everything is declared on every architecture; elsewhere than on x86_64 each call
 * returns -EOPNOTSUPP and touches nothing. General rules and threads: see `vmm/kvm.h`.
 */

#include <vmm/kvm.h>

VMM_BEGIN_DECLS

struct kvm_clock_data;
struct kvm_cpuid_entry2;
struct kvm_debugregs;
struct kvm_fpu;
struct kvm_irqchip;
struct kvm_lapic_state;
struct kvm_msr_entry;
struct kvm_pit_state2;
struct kvm_regs;
struct kvm_sregs;
struct kvm_sregs2;
struct kvm_translation;
struct kvm_vcpu_events;
struct kvm_x86_mce;
struct kvm_xen_hvm_config;
struct kvm_xen_hvm_attr;
struct kvm_xen_vcpu_attr;
struct kvm_xcrs;

/**
 * @name Machine
 * @{
 */

/**
 * Say where KVM may put three pages that Intel processors need for real mode: a place
 * below 4 GiB without memory or devices.
 *
 * @retval 0        done
 * @retval -EINVAL  not below 4 GiB by three pages
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_tss_addr(struct vmm_kvm_vm *vm, uint32_t gpa);

/**
 * Say where KVM may put one more such page, the identity map. Before the first vCPU.
 *
 * @retval 0        done
 * @retval -EINVAL  a vCPU exists
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_identity_map_addr(struct vmm_kvm_vm *vm,
							  uint64_t gpa);

/**
 * Create the in-kernel i8254 timer. Needs the interrupt controllers.
 *
 * @param vm     the machine
 * @param flags  0 or KVM_PIT_SPEAKER_DUMMY, which answers port 0x61 as well
 * @retval 0        done
 * @retval -EEXIST  there is one already
 * @retval -ENOENT  there is no in-kernel interrupt controller (kernels such as 6.1 do not
 *                  check)
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_create_pit2(struct vmm_kvm_vm *vm, uint32_t flags);

/** Read the timer. @retval 0 done @retval -ENXIO there is none */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_pit2(struct vmm_kvm_vm *vm,
					     struct kvm_pit_state2 *out);

/** Set the timer. @retval 0 done @retval -ENXIO there is none */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_pit2(struct vmm_kvm_vm *vm,
					     const struct kvm_pit_state2 *state);

/**
 * Read an interrupt controller.
 *
 * @param vm        the machine
 * @param chip_id   KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE or _IOAPIC
 * @param[out] out  its state
 * @retval 0        done
 * @retval -EINVAL  no such controller
 * @retval -ENXIO   none is in the kernel
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_irqchip(struct vmm_kvm_vm *vm, uint32_t chip_id,
						struct kvm_irqchip *out);

/** Set an interrupt controller, the one that `chip_id` names; as the call above. */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_irqchip(struct vmm_kvm_vm *vm,
						const struct kvm_irqchip *chip);

/** Read the paravirtual clock. @retval 0 done */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_clock(struct vmm_kvm_vm *vm,
					      struct kvm_clock_data *out);

/** Choose the vCPU that boots; before any exists. @retval 0 done @retval -EBUSY too late
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_boot_cpu_id(struct vmm_kvm_vm *vm, uint32_t id);

/** Make lost timer interrupts up, or not. @retval 0 done @retval -ENXIO no i8254 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_pit_reinject(struct vmm_kvm_vm *vm, bool on);

/**
 * Set the level of an interrupt line and ask whether it was delivered.
 *
 * @param vm               the machine
 * @param gsi              the line
 * @param level            its level
 * @param[out] out_status  0: lost, as it is masked; above: that many took it; below:
 *                         merged with one that is pending
 * @retval 0        done
 * @retval -ENXIO   there is no in-kernel interrupt controller
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_irq_line_status(struct vmm_kvm_vm *vm,
							uint32_t gsi, bool level,
							int32_t *out_status);

/** A range of MSRs of a filter. */
struct vmm_kvm_msr_range {
	/** KVM_MSR_FILTER_READ, KVM_MSR_FILTER_WRITE: what the bitmap is about. */
	uint32_t flags;
	/** First MSR, and how many. */
	uint32_t base, count;
	/** Bytes in @ref vmm_kvm_msr_range.bitmap. */
	uint32_t bitmap_len;
	/** Bit n is MSR base + n; 1 allows. */
	const uint8_t *bitmap;
};

/** Most ranges of an MSR filter. */
#define VMM_KVM_MSR_RANGES_MAX 16u

/**
 * Filter the guest's MSR accesses. What is filtered is an exit (VMM_KVM_EXIT_X86_RDMSR,
 * _WRMSR) if KVM_CAP_X86_USER_SPACE_MSR is enabled, else a general protection fault.
 *
 * @param vm            the machine
 * @param default_deny  what happens to an MSR in no range
 * @param ranges        copied; may be NULL when @p count is 0
 * @param count         at most #VMM_KVM_MSR_RANGES_MAX
 * @retval 0        done
 * @retval -E2BIG   too many ranges
 * @retval -EINVAL  an empty or wrapping range, a bitmap that is too short, or no range
 *                  with @p default_deny
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_msr_filter(struct vmm_kvm_vm *vm,
						   bool default_deny,
						   const struct vmm_kvm_msr_range *ranges,
						   size_t count);

/** Most events of a filter of the performance counters. */
#define VMM_KVM_PMU_EVENTS_MAX 300u

/**
 * Filter the events that the guest's performance counters may count.
 *
 * @param vm              the machine
 * @param action          KVM_PMU_EVENT_ALLOW or KVM_PMU_EVENT_DENY
 * @param fixed_counters  bitmap of the fixed counters that the action is about
 * @param flags           0, or as the kernel defines
 * @param events          copied; may be NULL when @p count is 0
 * @param count           at most #VMM_KVM_PMU_EVENTS_MAX
 * @retval 0        done
 * @retval -E2BIG   too many events
 * @retval -EINVAL  unknown action or flags
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_pmu_filter(struct vmm_kvm_vm *vm, uint32_t action,
						   uint32_t fixed_counters,
						   uint32_t flags, const uint64_t *events,
						   size_t count);

/** Set it; of the flags only KVM_CLOCK_REALTIME. @retval 0 done @retval -EINVAL flags */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_clock(struct vmm_kvm_vm *vm,
					      const struct kvm_clock_data *clock);

/** @} */

/**
 * @name Other hypervisors' interfaces, and encrypted guests
 * @{
 */

/** Set the frequency of the time stamp counters of vCPUs that are made from now on.
 *  @retval 0 done @retval -EINVAL this host cannot scale to @p khz, or a vCPU exists */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_tsc_khz(struct vmm_kvm_vm *vm, uint32_t khz);

/** Read it. @param[out] out kHz @retval 0 done @retval -EOPNOTSUPP it has no known one */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_tsc_khz(struct vmm_kvm_vm *vm, uint32_t *out);

/** Give a machine an eventfd for a Hyper-V connection, or take it back if @p fd is -1.
 *  @retval 0 done @retval -EEXIST it has one @retval -ENOENT it has none */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_hyperv_eventfd(struct vmm_kvm_vm *vm,
						       uint32_t conn_id, int fd);

/** Set up the Xen interface of a machine. @retval 0 done @retval -EINVAL unknown flags */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_xen_config(
    struct vmm_kvm_vm *vm, const struct kvm_xen_hvm_config *config);

/** Read an attribute of the Xen interface, the one that `type` names. @retval 0 done */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_xen_attr(struct vmm_kvm_vm *vm,
						 struct kvm_xen_hvm_attr *inout);

/** Set an attribute of the Xen interface. @retval 0 done */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_xen_attr(struct vmm_kvm_vm *vm,
						 const struct kvm_xen_hvm_attr *attr);

/** Read an attribute of a vCPU's Xen interface, the one that `type` names. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_xen_attr(struct vmm_kvm_vcpu *vcpu,
						   struct kvm_xen_vcpu_attr *inout);

/** Set an attribute of a vCPU's Xen interface. @retval 0 done */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_xen_attr(struct vmm_kvm_vcpu *vcpu,
						   const struct kvm_xen_vcpu_attr *attr);

/**
 * Do an operation of an encrypted machine (SEV, TDX).
 *
 * @param vm         the machine
 * @param[in,out] op the command, such as `struct kvm_sev_cmd`; NULL asks whether there
 * are any
 * @retval 0        done
 * @retval -ENOTTY  this host cannot do that
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_encrypt_op(struct vmm_kvm_vm *vm, void *op);

/**
 * Do a command of AMD's SEV, SEV-ES or SEV-SNP.
 *
 * @param vm                   the machine
 * @param sev_fd               /dev/sev, borrowed
 * @param id                   `KVM_SEV_*`
 * @param[in,out] data         the command's own structure; NULL for one without
 * @param[out] out_fw_error    what the firmware said, set in any case; may be NULL
 * @retval 0        done
 * @retval -ENOTTY  this host cannot do that
 * @retval -EIO     the firmware refused: see @p out_fw_error
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_sev_op(struct vmm_kvm_vm *vm, int sev_fd, uint32_t id,
					   void *data, uint32_t *out_fw_error);

/**
 * Do a command of Intel's TDX for a machine.
 *
 * @param vm                 the machine
 * @param id                 `KVM_TDX_*`
 * @param flags              as the command says
 * @param[in,out] data       the command's own structure or number
 * @param[out] out_hw_error  what the TDX module said, set in any case; may be NULL
 * @retval 0        done
 * @retval -ENOTTY  this host cannot do that
 * @retval -EIO     the module refused: see @p out_hw_error
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_tdx_op(struct vmm_kvm_vm *vm, uint32_t id,
					   uint32_t flags, uint64_t data,
					   uint64_t *out_hw_error);

/** Do a command of Intel's TDX for a vCPU; as vmm_kvm_vm_tdx_op(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_tdx_op(struct vmm_kvm_vcpu *vcpu, uint32_t id,
					     uint32_t flags, uint64_t data,
					     uint64_t *out_hw_error);

/** Pin memory that an encrypted machine uses: @p host is page-aligned. @retval 0 done
 *  @retval -ENOTTY this host cannot do that @retval -EINVAL not an encrypted machine */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_encrypted(struct vmm_kvm_vm *vm, void *host,
						  uint64_t len);

/** Undo vmm_kvm_vm_add_encrypted() with the same arguments. @retval -EINVAL no such
 *  region */
VMM_API VMM_MUST_USE int vmm_kvm_vm_remove_encrypted(struct vmm_kvm_vm *vm, void *host,
						     uint64_t len);

/** @} */

/**
 * @name Registers
 * Each call passes one kernel structure. @retval 0 done
 * @{
 */

/** Read the general registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_regs(struct vmm_kvm_vcpu *vcpu,
					       struct kvm_regs *out);

/** Set the general registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_regs(struct vmm_kvm_vcpu *vcpu,
					       const struct kvm_regs *regs);

/** Read segments, descriptor tables and control registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_sregs(struct vmm_kvm_vcpu *vcpu,
						struct kvm_sregs *out);

/** Set them. @retval -EINVAL a combination that the processor cannot have */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_sregs(struct vmm_kvm_vcpu *vcpu,
						const struct kvm_sregs *sregs);

/** Read x87 and SSE registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_fpu(struct vmm_kvm_vcpu *vcpu,
					      struct kvm_fpu *out);

/** Set x87 and SSE registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_fpu(struct vmm_kvm_vcpu *vcpu,
					      const struct kvm_fpu *fpu);

/** Read the local APIC. @retval -EINVAL it is not in the kernel */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_lapic(struct vmm_kvm_vcpu *vcpu,
						struct kvm_lapic_state *out);

/** Set the local APIC. @retval -EINVAL it is not in the kernel, or another id */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_lapic(struct vmm_kvm_vcpu *vcpu,
						const struct kvm_lapic_state *lapic);

/** Read the extended control registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_xcrs(struct vmm_kvm_vcpu *vcpu,
					       struct kvm_xcrs *out);

/** Set them. @retval -EINVAL features that the guest's CPUID does not have */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_xcrs(struct vmm_kvm_vcpu *vcpu,
					       const struct kvm_xcrs *xcrs);

/** Read the debug registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_debugregs(struct vmm_kvm_vcpu *vcpu,
						    struct kvm_debugregs *out);

/** Set the debug registers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_debugregs(struct vmm_kvm_vcpu *vcpu,
						    const struct kvm_debugregs *regs);

/** Read pending exceptions, interrupts and the like. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_events(struct vmm_kvm_vcpu *vcpu,
						 struct kvm_vcpu_events *out);

/** Set them, as far as `flags` says. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_events(struct vmm_kvm_vcpu *vcpu,
						 const struct kvm_vcpu_events *events);

/** Return the size in bytes of the XSAVE area of this VM's vCPUs, 4096 or more. */
VMM_API size_t vmm_kvm_vm_get_xsave_size(const struct vmm_kvm_vm *vm);

/**
 * Read the XSAVE area.
 *
 * @param vcpu      the vCPU
 * @param[out] buf  at least vmm_kvm_vm_get_xsave_size() bytes
 * @param len       bytes in @p buf
 * @retval 0        done
 * @retval -ENOSPC  @p len is too small
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_xsave(struct vmm_kvm_vcpu *vcpu, void *buf,
						size_t len);

/**
 * Set the XSAVE area.
 *
 * @param vcpu  the vCPU
 * @param buf   at least vmm_kvm_vm_get_xsave_size() bytes: the kernel reads that many
 * @param len   bytes in @p buf
 * @retval 0        done
 * @retval -ENOSPC  @p len is too small
 * @retval -EINVAL  not a valid area
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_xsave(struct vmm_kvm_vcpu *vcpu,
						const void *buf, size_t len);

/**
 * Read the frequency of the time stamp counter.
 *
 * @param[out] out  kHz
 * @retval 0            done
 * @retval -EOPNOTSUPP  it has no known frequency
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_tsc_khz(struct vmm_kvm_vcpu *vcpu,
						  uint32_t *out);

/** Set it. @retval 0 done @retval -EINVAL this host cannot scale to @p khz */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_tsc_khz(struct vmm_kvm_vcpu *vcpu,
						  uint32_t khz);

/** Read segments and control registers with the page-directory pointers. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_sregs2(struct vmm_kvm_vcpu *vcpu,
						 struct kvm_sregs2 *out);

/** Set them. @retval -EINVAL a combination that the processor cannot have */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_sregs2(struct vmm_kvm_vcpu *vcpu,
						 const struct kvm_sregs2 *sregs);

/** Translate the guest virtual address in `linear_address`; a miss is `valid` 0. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_translate(struct vmm_kvm_vcpu *vcpu,
						struct kvm_translation *inout);

/** Queue a non-maskable interrupt. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_nmi(struct vmm_kvm_vcpu *vcpu);

/** Queue a system management interrupt. @retval -EINVAL no KVM_CAP_X86_SMM */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_smi(struct vmm_kvm_vcpu *vcpu);

/** Queue an interrupt vector, on machines without an interrupt controller in the kernel.
 *  @retval -ENXIO there is one @retval -EEXIST one is queued @retval -EINVAL no vector */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_interrupt(struct vmm_kvm_vcpu *vcpu,
						uint32_t vector);

/** Tell a guest with a paravirtual clock that it was paused. @retval -EINVAL it has none,
 *  which a caller may well ignore */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_kvmclock_ctrl(struct vmm_kvm_vcpu *vcpu);

/** Report guest accesses to the task priority register as exits. @retval -EINVAL the
 * local APIC is not in the kernel */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_tpr_reporting(struct vmm_kvm_vcpu *vcpu,
							bool on);

/** Say where the guest keeps its virtual task priority. @retval -EINVAL the local APIC is
 *  not in the kernel */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_vapic_addr(struct vmm_kvm_vcpu *vcpu,
						     uint64_t gpa);

/** Read which machine-check features (MCG_CAP) KVM can emulate. */
VMM_API VMM_MUST_USE int vmm_kvm_get_mce_cap(const struct vmm_kvm *kvm, uint64_t *out);

/** Give a vCPU machine-check banks: features of vmm_kvm_get_mce_cap(), and in the low
 *  byte how many banks. @retval -EINVAL no banks, or more than KVM can emulate */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_setup_mce(struct vmm_kvm_vcpu *vcpu,
						uint64_t mcg_cap);

/** Inject a machine check. @retval -EINVAL no such bank */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_mce(struct vmm_kvm_vcpu *vcpu,
					      const struct kvm_x86_mce *mce);

/**
 * Read the state of nested virtualisation.
 *
 * @param vcpu          the vCPU
 * @param[out] buf      room for the state, a `struct kvm_nested_state`
 * @param len           bytes in @p buf, at least 128
 * @param[out] out_len  bytes used
 * @retval 0            done
 * @retval -ENOSPC      @p len is too small
 * @retval -EOPNOTSUPP  guests of this machine cannot have guests
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_nested_state(struct vmm_kvm_vcpu *vcpu,
						       void *buf, size_t len,
						       size_t *out_len);

/**
 * Set the state of nested virtualisation.
 *
 * @param vcpu  the vCPU
 * @param buf   a `struct kvm_nested_state`; its `size` is checked against @p len
 * @param len   bytes in @p buf
 * @retval 0            done
 * @retval -EBADMSG     `size` says less than the head or more than @p len
 * @retval -EINVAL      not a state of this machine
 * @retval -EOPNOTSUPP  guests of this machine cannot have guests
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_nested_state(struct vmm_kvm_vcpu *vcpu,
						       const void *buf, size_t len);

/**
 * Describe registers in a few lines, for a log of a guest that crashed.
 *
 * @param regs      general registers
 * @param sregs     the others
 * @param[out] buf  room for the text, always NUL-terminated; may be NULL if @p size is 0
 * @param size      bytes in @p buf
 * @return length of the full text, as snprintf(); 0 on other architectures
 */
VMM_API size_t vmm_kvm_x86_describe_regs(const struct kvm_regs *regs,
					 const struct kvm_sregs *sregs, char *buf,
					 size_t size);

/** @} */

/**
 * @name Model-specific registers
 * @{
 */

/**
 * List the MSRs that must be saved with a guest, or the feature MSRs of the host.
 *
 * @param kvm             the system
 * @param features        false: the guest's; true: the host's feature MSRs
 * @param[out] indices    room for @p max indices; may be NULL when @p max is 0
 * @param max             room
 * @param[out] out_count  how many there are, which may be more than @p max
 * @retval 0        done
 * @retval -E2BIG   the kernel wants more room without end
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_get_msr_indices(const struct vmm_kvm *kvm, bool features,
						 uint32_t *indices, size_t max,
						 size_t *out_count);

/**
 * Read feature MSRs of the host.
 *
 * @param kvm            the system
 * @param[in,out] msrs   `index` tells which, `data` is filled
 * @param count          entries
 * @param[out] out_done  entries read, set in any case; may be NULL. On -ENXIO this is the
 *                       index of the entry that failed
 * @retval 0       done, all of them
 * @retval -ENXIO  entry number *out_done was refused
 */
VMM_API VMM_MUST_USE int vmm_kvm_get_feature_msrs(const struct vmm_kvm *kvm,
						  struct kvm_msr_entry *msrs,
						  size_t count, size_t *out_done);

/** Read MSRs of a vCPU; any number of them, else as vmm_kvm_get_feature_msrs(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_msrs(struct vmm_kvm_vcpu *vcpu,
					       struct kvm_msr_entry *msrs, size_t count,
					       size_t *out_done);

/** Write MSRs of a vCPU in order; any number of them, else as the call above. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_msrs(struct vmm_kvm_vcpu *vcpu,
					       const struct kvm_msr_entry *msrs,
					       size_t count, size_t *out_done);

/** @} */

/**
 * @name CPUID
 * @{
 */

/** A list of CPUID leaves. Opaque; owned by whoever made it. */
struct vmm_kvm_x86_cpuid;

/**
 * Make an empty list.
 *
 * @param[out] out  the list, to be released with vmm_kvm_x86_cpuid_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_cpuid_new(struct vmm_kvm_x86_cpuid **out);

/** Release @p cpuid. NULL is allowed. */
VMM_API void vmm_kvm_x86_cpuid_free(struct vmm_kvm_x86_cpuid *cpuid);

/**
 * Copy a list.
 *
 * @param cpuid     the list
 * @param[out] out  the copy, to be released with vmm_kvm_x86_cpuid_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_cpuid_clone(const struct vmm_kvm_x86_cpuid *cpuid,
						 struct vmm_kvm_x86_cpuid **out);

/** Return the number of entries. */
VMM_API size_t vmm_kvm_x86_cpuid_get_count(const struct vmm_kvm_x86_cpuid *cpuid);

/** Return entry number @p i, to be read or changed, or NULL; borrowed until the next call
 *  that adds or removes one. */
VMM_API struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_get_entry(
    struct vmm_kvm_x86_cpuid *cpuid, size_t i);

/** Return the entry of @p function and @p index as the guest would find it, or NULL;
 *  borrowed as by vmm_kvm_x86_cpuid_get_entry(). */
VMM_API struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_find(struct vmm_kvm_x86_cpuid *cpuid,
							uint32_t function,
							uint32_t index);

/**
 * Add an entry, or replace the one of the same function and index.
 *
 * @param cpuid  the list
 * @param entry  copied
 * @retval 0        done
 * @retval -E2BIG   more than 256 entries, which is what the kernel takes
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_cpuid_add(struct vmm_kvm_x86_cpuid *cpuid,
					       const struct kvm_cpuid_entry2 *entry);

/** Remove every entry of @p function; none is fine. */
VMM_API void vmm_kvm_x86_cpuid_remove(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function);

/**
 * Get what this KVM can give a guest: the raw material of its CPUID.
 *
 * @param kvm       the system
 * @param[out] out  the list, to be released with vmm_kvm_x86_cpuid_free()
 * @retval 0        done
 * @retval -E2BIG   the kernel wants more room without end
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_get_supported_cpuid(const struct vmm_kvm *kvm,
						     struct vmm_kvm_x86_cpuid **out);

/** Get the Hyper-V leaves that KVM can give a guest; as the call above. */
VMM_API VMM_MUST_USE int vmm_kvm_get_hyperv_cpuid(const struct vmm_kvm *kvm,
						  struct vmm_kvm_x86_cpuid **out);

/** Get what KVM can emulate although the host lacks it; as the call above. */
VMM_API VMM_MUST_USE int vmm_kvm_get_emulated_cpuid(const struct vmm_kvm *kvm,
						    struct vmm_kvm_x86_cpuid **out);

/**
 * Set the CPUID of a vCPU. Before its MSRs, which depend on it, and before its first run.
 *
 * @retval 0        done
 * @retval -EINVAL  the kernel finds a contradiction, or the vCPU has run
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_cpuid(struct vmm_kvm_vcpu *vcpu,
						const struct vmm_kvm_x86_cpuid *cpuid);

/** Read it back; results as vmm_kvm_get_supported_cpuid(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_cpuid(struct vmm_kvm_vcpu *vcpu,
						struct vmm_kvm_x86_cpuid **out);

/** Most vCPUs whose APIC ids have 8 bits: 255 is the broadcast. Above, a guest needs
 *  x2APICs, and KVM the KVM_CAP_X2APIC_API flags. */
#define VMM_KVM_X86_CPUS_MAX 255u

/** Most vCPUs of a topology. */
#define VMM_KVM_X86_TOPOLOGY_CPUS_MAX 4096u

/** Where a vCPU stands among its like: equal packages with cores of equal threads. */
struct vmm_kvm_x86_topology {
	/** Size of this structure. */
	size_t size;
	/** Number of this vCPU from 0, below `cpu_count`. In one package that is its APIC
	 *  id as well; else see vmm_kvm_x86_topology_get_apic_id(). */
	uint32_t cpu;
	/** vCPUs in all packages, 1 to #VMM_KVM_X86_TOPOLOGY_CPUS_MAX. */
	uint32_t cpu_count;
	/** Threads of a core: 1, 2, 4 or 8. */
	uint32_t threads_per_core;
	/** Whether KVM emulates the TSC-deadline timer: KVM_CAP_TSC_DEADLINE_TIMER, and
	 *  local APICs in the kernel. */
	bool tsc_deadline;
	/** Zero. */
	uint8_t reserved_[3];
	/** Packages (sockets); 0 is 1. They have the same number of cores. */
	uint32_t package_count;
	/** Zero. */
	uint32_t reserved2_;
};

/** Defaults: the only vCPU. */
#define VMM_KVM_X86_TOPOLOGY_INIT                                                      \
	{                                                                              \
		sizeof(struct vmm_kvm_x86_topology), 0, 1, 1, false, { 0, 0, 0 }, 1, 0 \
	}

/**
 * Tell the APIC id of a vCPU: give it to vmm_kvm_vcpu_open() and to the MADT. Ids are
 * packed within a package and begin at a power of two in each, as processors do it. A
 * pure function.
 *
 * @param topology  the vCPU
 * @param[out] out  its id
 * @retval 0        done
 * @retval -EINVAL  a topology that cannot be
 * @retval -E2BIG   unknown structure tail
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_topology_get_apic_id(
    const struct vmm_kvm_x86_topology *topology, uint32_t *out);

/**
 * Make the CPUID of one vCPU of what the host offers: say that there is a hypervisor,
 * hide what a guest must not use, describe the topology in every leaf that has it (1, 4,
 * 0xb, 0x1f; AMD 0x80000008, 0x8000001d, 0x8000001e).
 *
 * @param cpuid     the list, changed in place; left as it was on failure
 * @param topology  the vCPU
 * @retval 0            done
 * @retval -EINVAL      a topology that cannot be
 * @retval -EOPNOTSUPP  an APIC id above 254 where the list has no x2APIC
 * @retval -E2BIG       unknown structure tail, or too many entries
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_cpuid_set_topology(
    struct vmm_kvm_x86_cpuid *cpuid, const struct vmm_kvm_x86_topology *topology);

/** @} */

/**
 * @name Boot
 * @{
 */

/** How a vCPU starts. */
enum vmm_kvm_x86_mode {
	/** 64-bit with paging: Linux's 64-bit entry. */
	VMM_KVM_X86_LONG64 = 1,
	/** 32-bit without paging: PVH, Linux's 32-bit entry, bare-metal programs. */
	VMM_KVM_X86_PROTECTED32 = 2,
	/** 16-bit: firmware, boot sectors. */
	VMM_KVM_X86_REAL16 = 3,
};

/**
 * The state of a vCPU at its first instruction. What is not here is 0, as after a reset.
 * In real mode `rip` is a linear address below 1 MiB: IP gets its low 16 bits, CS the
 * rest.
 */
struct vmm_kvm_x86_boot {
	/** Size of this structure. */
	size_t size;
	/** enum vmm_kvm_x86_mode */
	uint32_t mode;
	/** Selectors of flat code, flat data and task state in the table at `gdt_base`:
	 * the segment registers are loaded as if from there. Ignored in real mode. */
	uint16_t cs, ds, tr;
	/** Last byte of each descriptor table, relative to its base. */
	uint16_t gdt_limit, idt_limit;
	/** Zero. */
	uint16_t reserved_;
	uint64_t gdt_base, idt_base;
	/** Root of the page tables, for #VMM_KVM_X86_LONG64. */
	uint64_t cr3;
	uint64_t rip, rsp, rbp, rsi, rdi, rbx;
};

/** Defaults: 64-bit, selectors of Linux's boot protocol, no descriptor tables. */
#define VMM_KVM_X86_BOOT_INIT                                                          \
	{                                                                              \
		sizeof(struct vmm_kvm_x86_boot), VMM_KVM_X86_LONG64, 0x10, 0x18, 0x20, \
		    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                 \
	}

/**
 * Work out the registers of a boot state. A pure function.
 *
 * @param boot             the state
 * @param[out] out_regs    general registers
 * @param[in,out] sregs    what the vCPU has, of which only the APIC base is kept
 * @retval 0        done
 * @retval -EINVAL  unknown mode, an entry beyond its reach, page tables in a mode without
 *                  or none in the one with them
 * @retval -E2BIG   unknown structure tail
 */
VMM_API VMM_MUST_USE int vmm_kvm_x86_boot_get_regs(const struct vmm_kvm_x86_boot *boot,
						   struct kvm_regs *out_regs,
						   struct kvm_sregs *sregs);

/**
 * Return the descriptor that belongs at a selector of the boot state, as the 8 bytes of a
 * table in guest memory. A pure function, for who fills that table.
 *
 * @param boot      the state
 * @param selector  its `cs`, `ds` or `tr`; another one gives the null descriptor
 */
VMM_API uint64_t vmm_kvm_x86_boot_get_descriptor(const struct vmm_kvm_x86_boot *boot,
						 uint16_t selector);

/** Give a vCPU the registers of a boot state; results as vmm_kvm_x86_boot_get_regs(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_boot_regs(struct vmm_kvm_vcpu *vcpu,
						    const struct vmm_kvm_x86_boot *boot);

/**
 * Give a vCPU all that it needs before its first run, in the order that KVM needs: CPUID
 * with its topology, MSRs as after a reset by firmware (those that the host lacks are
 * left out), FPU, the local APIC's LINT pins if it is in the kernel, and the boot state.
 *
 * @param vcpu      the vCPU; its id must be vmm_kvm_x86_topology_get_apic_id()
 * @param cpuid     what the host offers, from vmm_kvm_get_supported_cpuid(); not changed
 * @param topology  where the vCPU stands
 * @param boot      state of the first vCPU; NULL for the others, which wait until the
 *                  guest starts them
 * @param[out] err  the step that failed; may be NULL
 * @retval 0        done
 * @retval -EINVAL  a topology or boot state that cannot be
 * @retval -E2BIG   unknown structure tail
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_setup(struct vmm_kvm_vcpu *vcpu,
					    const struct vmm_kvm_x86_cpuid *cpuid,
					    const struct vmm_kvm_x86_topology *topology,
					    const struct vmm_kvm_x86_boot *boot,
					    struct vmm_error *err);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm_x86_cpuid, vmm_kvm_x86_cpuid_free)

VMM_END_DECLS

#endif

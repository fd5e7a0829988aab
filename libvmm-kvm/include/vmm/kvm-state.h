/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_STATE_H
#define VMM_KVM_STATE_H

/**
 * @file vmm/kvm-state.h
 * Saving and restoring whole virtual CPUs, machines and interrupt controllers, for
 * snapshots and migration.
 *
 * A state is one piece of plain data that says what it is: version, kind, architecture
 * and a number of sections, all in little-endian byte order. It may be written to a file
 * or sent to another host as it is. What comes back from there is hostile until
 * vmm_kvm_state_parse() has checked it, and only what was checked can be restored. The
 * check needs no KVM and knows the states of every architecture on every host. It bounds
 * every length and count; whether a register may have a value is the kernel's to say.
 *
 * Order, for the whole machine: stop every vCPU and finish what it was doing (a run
 * after a kick, until -EINTR); save the vCPUs, then the interrupt controllers, then the
 * machine. To restore: memory first, then the machine as it was made (interrupt
 * controllers, vCPUs), then vmm_kvm_vcpu_restore() for each vCPU, the interrupt
 * controllers, at last vmm_kvm_vm_restore(), which starts the clock.
 *
 * Not in a state: guest memory, memory slots, doorbells and what the VMM itself emulates.
 *
 * General rules and threads: see `vmm/kvm.h`. A `struct vmm_kvm_state` never changes:
 * any thread may read it.
 */

#include <vmm/kvm-irq.h>
#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/** A checked state. Opaque, immutable. */
struct vmm_kvm_state;

/** Version of the states that this library makes; it reads this one. */
#define VMM_KVM_STATE_VERSION 1u

/** Most bytes of a state. */
#define VMM_KVM_STATE_MAX (UINT32_C(4) << 20)

/** What a state is of. */
enum vmm_kvm_state_kind {
	VMM_KVM_STATE_VCPU = 1,
	VMM_KVM_STATE_VM = 2,
	/** The arm64 interrupt controller, see vmm_kvm_arm64_gic_save(). */
	VMM_KVM_STATE_GIC = 3,
};

/** Which architecture a state is of. */
enum vmm_kvm_state_arch {
	VMM_KVM_STATE_X86_64 = 1,
	VMM_KVM_STATE_AARCH64 = 2,
	VMM_KVM_STATE_RISCV64 = 3,
};

/** Sections. A section holds the kernel's structure of that name, or an array of them. */
enum vmm_kvm_state_section {
	/** A vCPU: KVM_MP_STATE_*, a 64-bit word. */
	VMM_KVM_STATE_MP_STATE = 0x001,
	/** A vCPU that has a register list: for each register its id, a 64-bit word, and
	 *  its value, filled with zeros to a multiple of 8 bytes. */
	VMM_KVM_STATE_ONE_REGS = 0x002,
	/** A machine: the interrupt routes, an array of kvm_irq_routing_entry. */
	VMM_KVM_STATE_ROUTES = 0x081,
	/** x86 vCPUs. */
	VMM_KVM_STATE_REGS = 0x101,
	VMM_KVM_STATE_SREGS = 0x102,
	VMM_KVM_STATE_SREGS2 = 0x103,
	VMM_KVM_STATE_XSAVE = 0x104,
	VMM_KVM_STATE_XCRS = 0x105,
	VMM_KVM_STATE_DEBUGREGS = 0x106,
	VMM_KVM_STATE_LAPIC = 0x107,
	/** A 64-bit word. */
	VMM_KVM_STATE_TSC_KHZ = 0x108,
	/** Array of kvm_cpuid_entry2. */
	VMM_KVM_STATE_CPUID = 0x109,
	/** Array of kvm_msr_entry. */
	VMM_KVM_STATE_MSRS = 0x10a,
	VMM_KVM_STATE_NESTED = 0x10b,
	VMM_KVM_STATE_EVENTS = 0x10c,
	/** x86 machines. */
	VMM_KVM_STATE_PIC_MASTER = 0x181,
	VMM_KVM_STATE_PIC_SLAVE = 0x182,
	VMM_KVM_STATE_IOAPIC = 0x183,
	VMM_KVM_STATE_PIT2 = 0x184,
	VMM_KVM_STATE_CLOCK = 0x185,
	/** arm64 vCPUs: kvm_vcpu_init and kvm_vcpu_events. */
	VMM_KVM_STATE_ARM64_INIT = 0x201,
	VMM_KVM_STATE_ARM64_EVENTS = 0x202,
	/** arm64 interrupt controllers: version and number of interrupts, two 32-bit
	 *  words; and arrays of `struct vmm_kvm_state_attr`. */
	VMM_KVM_STATE_GIC_INFO = 0x281,
	VMM_KVM_STATE_GIC_REGS = 0x282,
	VMM_KVM_STATE_ITS_REGS = 0x283,
};

/** An attribute of a device and its value. */
struct vmm_kvm_state_attr {
	/** Group of the attribute. */
	uint32_t group;
	/** Bytes of the value: 4 or 8. */
	uint32_t width;
	uint64_t attr;
	uint64_t value;
};

/** What a state says of itself. */
struct vmm_kvm_state_info {
	/** Size of this structure. */
	size_t size;
	/** enum vmm_kvm_state_kind, enum vmm_kvm_state_arch. */
	uint32_t kind, arch;
	/** Version of the layout. */
	uint32_t version;
	/** Id of the vCPU, else 0. */
	uint32_t id;
	/** Number of sections. */
	uint32_t sections;
	/** Zero. */
	uint32_t reserved_;
};

/** Only the size. */
#define VMM_KVM_STATE_INFO_INIT                                     \
	{                                                           \
		sizeof(struct vmm_kvm_state_info), 0, 0, 0, 0, 0, 0 \
	}

/**
 * @name States
 * @{
 */

/**
 * Check a piece of data that may be anything, and make a state of it.
 *
 * @param data      the data; copied
 * @param len       bytes
 * @param[out] out  the state, to be released with vmm_kvm_state_free()
 * @param[out] err  what is wrong, and at which offset; may be NULL
 * @retval 0            done
 * @retval -EBADMSG     not a state, cut off, or contradicting itself
 * @retval -EOPNOTSUPP  a state of a version that this library does not know
 * @retval -E2BIG       more than #VMM_KVM_STATE_MAX bytes
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_state_parse(const void *data, size_t len,
					     struct vmm_kvm_state **out,
					     struct vmm_error *err);

/** Release @p state. NULL is allowed. */
VMM_API void vmm_kvm_state_free(struct vmm_kvm_state *state);

/** Return the bytes of a state, to be stored or sent; borrowed. @param[out] out_len how
 *  many */
VMM_API const void *vmm_kvm_state_get_data(const struct vmm_kvm_state *state,
					   size_t *out_len);

/**
 * Tell what a state is.
 *
 * @param state        the state
 * @param[in,out] out  what it is; `size` set by #VMM_KVM_STATE_INFO_INIT
 * @retval 0        done
 * @retval -EINVAL  `out->size` was not set
 */
VMM_API VMM_MUST_USE int vmm_kvm_state_get_info(const struct vmm_kvm_state *state,
						struct vmm_kvm_state_info *out);

/**
 * Find a section, for a VMM that compares CPUs or wants to show a state.
 *
 * @param state         the state
 * @param section       enum vmm_kvm_state_section
 * @param[out] out_len  its length in bytes; 0 when it is not there
 * @return its content, borrowed and aligned to 8 bytes; NULL when it is not there
 */
VMM_API const void *vmm_kvm_state_find(const struct vmm_kvm_state *state,
				       uint32_t section, size_t *out_len);

/** @} */

/**
 * @name Virtual CPUs
 * @{
 */

/**
 * Save a vCPU that is stopped: on x86 all that `enum vmm_kvm_state_section` lists, on
 * arm64 and riscv64 every register of its list.
 *
 * The kernel changes a vCPU a little when it is asked for its state: save it once.
 *
 * @param vcpu      the vCPU, with its last exit completed: see above
 * @param kvm       the system, for its list of MSRs
 * @param[out] out  the state, to be released with vmm_kvm_state_free()
 * @param[out] err  the step that failed; may be NULL
 * @retval 0         done
 * @retval -EBADMSG  the kernel gave what cannot be
 * @retval -ENOEXEC  an arm64 vCPU that is not initialised
 * @retval -ENOMEM   out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_save(struct vmm_kvm_vcpu *vcpu,
					   const struct vmm_kvm *kvm,
					   struct vmm_kvm_state **out,
					   struct vmm_error *err);

/**
 * Restore a vCPU that has not run yet. On arm64 this initialises it as the saved one was.
 *
 * An MSR or a register that the kernel refuses is no failure if the vCPU has the value
 * already. A timer of the saved vCPU that had run out (TSC deadline 0) runs out again.
 * On failure the vCPU is half of one and half of the other: close it.
 *
 * @param vcpu      the vCPU, of the id that the saved one had
 * @param state     the state
 * @param[out] err  the step, and register, that failed; may be NULL
 * @retval 0            done
 * @retval -EINVAL      not of a vCPU, of this id, of this architecture; or a value that
 *                      the kernel refuses
 * @retval -ENXIO       a register that this host cannot give that value
 * @retval -EOPNOTSUPP  it uses what this host lacks
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_restore(struct vmm_kvm_vcpu *vcpu,
					      const struct vmm_kvm_state *state,
					      struct vmm_error *err);

/** @} */

/**
 * @name Machines
 * @{
 */

/** Let the guest's clock jump over the time between save and restore, as wall clocks do,
 *  where the kernel can (5.16); else it goes on where it stood. */
#define VMM_KVM_RESTORE_REALTIME (UINT32_C(1) << 0)

/** How to restore a machine. */
struct vmm_kvm_restore_opts {
	/** Size of this structure. */
	size_t size;
	/** VMM_KVM_RESTORE_* */
	uint32_t flags;
	/** Zero. */
	uint32_t reserved_;
	/** Table that takes the saved routes over; NULL when they shall be ignored. */
	struct vmm_kvm_routes *routes;
};

/** Defaults: the clock goes on where it stood, no routes. */
#define VMM_KVM_RESTORE_OPTS_INIT                               \
	{                                                       \
		sizeof(struct vmm_kvm_restore_opts), 0, 0, NULL \
	}

/**
 * Save a machine: on x86 the PICs, the IOAPIC, the timer and the clock, as far as they
 * are in the kernel.
 *
 * @param vm        the machine, no vCPU of which runs
 * @param routes    its interrupt routes, to be saved as well; NULL for none
 * @param[out] out  the state, to be released with vmm_kvm_state_free()
 * @param[out] err  the step that failed; may be NULL
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_save(struct vmm_kvm_vm *vm,
					 struct vmm_kvm_routes *routes,
					 struct vmm_kvm_state **out,
					 struct vmm_error *err);

/**
 * Restore a machine, after its vCPUs.
 *
 * @param vm        the machine, made like the saved one
 * @param state     the state
 * @param opts      how; NULL for the defaults
 * @param[out] err  the step that failed; may be NULL
 * @retval 0        done
 * @retval -EINVAL  not of a machine, or of this architecture; unknown flags; or what the
 *                  kernel refuses
 * @retval -ENXIO   the saved machine had a device in the kernel that this one has not
 * @retval -E2BIG   unknown structure tail
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_restore(struct vmm_kvm_vm *vm,
					    const struct vmm_kvm_state *state,
					    const struct vmm_kvm_restore_opts *opts,
					    struct vmm_error *err);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm_state, vmm_kvm_state_free)

VMM_END_DECLS

#endif

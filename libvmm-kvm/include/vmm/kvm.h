/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_H
#define VMM_KVM_H

/**
 * @file vmm/kvm.h
 * The Linux KVM interface: system, virtual machine and virtual CPU handles, decoded
 * exits, and a kick that works from any thread and from a signal handler.
 *
 * Architecture-specific calls are in `vmm/kvm-x86.h` and `vmm/kvm-arm64.h`. They are
 * declared on every architecture and return -EOPNOTSUPP where they do not apply.
 *
 * Results: 0 or a negative errno value. A code that a function does not list is the
 * kernel's own, passed on. errno is neither read nor changed. Pointers must not be NULL
 * unless the function says so. Structures that begin with `size` are set up with their
 * `_INIT` macro; one whose tail this library does not know and that is not zero is
 * refused with -E2BIG.
 *
 * Handles: each one owns its file descriptor, which is CLOEXEC. A VM must be closed
 * after its vCPUs, the system handle may be closed as soon as its VMs are open.
 *
 * Threads: calls on a `struct vmm_kvm` and on a `struct vmm_kvm_vm` may be made from any
 * thread at any time, but for the close. Calls on one vCPU must not overlap in time, but
 * for vmm_kvm_vcpu_kick(); KVM is fastest when one thread makes all of them. KVM ties a
 * VM to the process that opened it: after fork() the child can use no handle.
 */

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/kvm-exit.h>

VMM_BEGIN_DECLS

/** The KVM system, `/dev/kvm`. */
struct vmm_kvm;

/** A virtual machine. */
struct vmm_kvm_vm;

/** A virtual CPU of a machine. */
struct vmm_kvm_vcpu;

/**
 * @name System
 * @{
 */

/**
 * Open the KVM device and check that it speaks API version 12.
 *
 * @param path      device node; NULL for `/dev/kvm`
 * @param[out] out  the system, to be released with vmm_kvm_close()
 * @param[out] err  one line with path and reason on failure; may be NULL
 * @retval 0            done
 * @retval -ENOENT      there is no such node
 * @retval -EACCES      no permission to open it for reading and writing
 * @retval -ENOTTY      it opens, but is not a KVM device
 * @retval -EOPNOTSUPP  it is one, of another API version or without a run page
 * @retval -ENOMEM      out of memory; other codes of open() as they are
 */
VMM_API VMM_MUST_USE int vmm_kvm_open(const char *path, struct vmm_kvm **out,
				      struct vmm_error *err);

/**
 * Open the device node only, for a jailer that hands the descriptor to a program it
 * executes.
 *
 * @param path         device node; NULL for `/dev/kvm`
 * @param cloexec      whether the descriptor closes when a program is executed
 * @param[out] out_fd  the descriptor; the caller closes it
 * @param[out] err     as vmm_kvm_open()
 * @retval 0           done; else as vmm_kvm_open()
 */
VMM_API VMM_MUST_USE int vmm_kvm_open_fd(const char *path, bool cloexec, int *out_fd,
					 struct vmm_error *err);

/**
 * Make a system handle of an open KVM descriptor.
 *
 * @param fd        taken over on success, untouched on failure
 * @param[out] out  as vmm_kvm_open()
 * @param[out] err  as vmm_kvm_open()
 * @retval 0        done
 * @retval -EBADF   @p fd is not open; else as vmm_kvm_open()
 */
VMM_API VMM_MUST_USE int vmm_kvm_take_fd(int fd, struct vmm_kvm **out,
					 struct vmm_error *err);

/** Close @p kvm. VMs made from it live on. NULL is allowed. */
VMM_API void vmm_kvm_close(struct vmm_kvm *kvm);

/** Return the descriptor of @p kvm, borrowed. */
VMM_API int vmm_kvm_get_fd(const struct vmm_kvm *kvm);

/**
 * Ask for a capability (`KVM_CAP_*`) of the system.
 *
 * @return 0 if absent or unknown, else a positive value whose meaning is the
 *         capability's own; or -errno. A VM's answer may differ: see
 *         vmm_kvm_vm_check_extension().
 */
VMM_API VMM_MUST_USE int vmm_kvm_check_extension(const struct vmm_kvm *kvm, uint32_t cap);

/** Return the recommended number of vCPUs of a VM (4 if the kernel does not say). */
VMM_API uint32_t vmm_kvm_get_nr_vcpus(const struct vmm_kvm *kvm);

/** Return the largest number of vCPUs of a VM. */
VMM_API uint32_t vmm_kvm_get_max_vcpus(const struct vmm_kvm *kvm);

/** Return one more than the largest vCPU id. */
VMM_API uint32_t vmm_kvm_get_max_vcpu_id(const struct vmm_kvm *kvm);

/** Return the number of memory slots of a VM (32 if the kernel does not say). */
VMM_API uint32_t vmm_kvm_get_nr_memslots(const struct vmm_kvm *kvm);

/** Return the size in bytes of the page(s) that a vCPU shares with us. */
VMM_API size_t vmm_kvm_get_run_size(const struct vmm_kvm *kvm);

/**
 * Return the type to give to vmm_kvm_vm_open() for an ordinary VM: 0, or on arm64 the
 * largest size of the guest physical address space, in bits.
 */
VMM_API uint64_t vmm_kvm_get_default_vm_type(const struct vmm_kvm *kvm);

/**
 * Find out whether this KVM can run an operating system.
 *
 * A KVM without hardware virtualisation runs guests by emulating their instructions
 * one by one, and its emulator knows only some of them: small bare-metal guests run, a
 * Linux kernel stops at the first instruction that is missing. The node, the API version
 * and the capabilities do not tell. Where KVM's module for AMD's or Intel's virtualisation
 * is loaded, that is the answer; else this runs a few such instructions in a VM of its
 * own, for two seconds at most (a few milliseconds as a rule).
 *
 * It uses the last real-time signal (SIGRTMAX) of the calling thread meanwhile.
 *
 * @param kvm       the system
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0            this KVM boots Linux; on other architectures than x86 always,
 *                      as KVM has no such emulator there
 * @retval -EOPNOTSUPP  a software KVM: its guests are bare-metal programs
 * @retval -ETIMEDOUT   the guest did not finish
 */
VMM_API VMM_MUST_USE int vmm_kvm_probe_linux(struct vmm_kvm *kvm, struct vmm_error *err);

/** @} */

/**
 * @name Virtual machine
 * @{
 */

/**
 * Create a virtual machine. A call that a signal interrupts is made again.
 *
 * @param kvm       the system
 * @param type      `KVM_VM_*`, or what vmm_kvm_get_default_vm_type() says
 * @param[out] out  the machine, to be released with vmm_kvm_vm_close()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  this kernel has no such @p type
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_open(struct vmm_kvm *kvm, uint64_t type,
					 struct vmm_kvm_vm **out, struct vmm_error *err);

/**
 * Make a handle of an open VM descriptor. Memory slots, irqfds and ioeventfds that it
 * already has are not known to the handle.
 *
 * @param kvm       the system it was made with
 * @param fd        taken over on success, untouched on failure
 * @param[out] out  as vmm_kvm_vm_open()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0        done
 * @retval -EBADF   @p fd is not open
 * @retval -ENOTTY  @p fd is not a VM
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_take_fd(struct vmm_kvm *kvm, int fd,
					    struct vmm_kvm_vm **out,
					    struct vmm_error *err);

/**
 * Take back every irqfd and ioeventfd, close the VM's descriptor. The kernel ends the VM
 * when its vCPU and device descriptors are closed, too. NULL is allowed.
 */
VMM_API void vmm_kvm_vm_close(struct vmm_kvm_vm *vm);

/** Return the descriptor of @p vm, borrowed. */
VMM_API int vmm_kvm_vm_get_fd(const struct vmm_kvm_vm *vm);

/** Ask for a capability of this VM; as vmm_kvm_check_extension(). */
VMM_API VMM_MUST_USE int vmm_kvm_vm_check_extension(const struct vmm_kvm_vm *vm,
						    uint32_t cap);

/**
 * Enable a capability of the VM (KVM_ENABLE_CAP).
 *
 * @param vm     the machine
 * @param cap    `KVM_CAP_*`
 * @param flags  as the capability says, mostly 0
 * @param args   four arguments, NULL for all 0
 * @retval 0        done
 * @retval -EINVAL  unknown, or not to be enabled (now)
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_enable_cap(struct vmm_kvm_vm *vm, uint32_t cap,
					       uint32_t flags, const uint64_t args[4]);

/** @} */

/**
 * @name Memory slots
 * @{
 */

/** The guest cannot write; its writes become MMIO exits. */
#define VMM_KVM_MEMORY_READONLY (UINT32_C(1) << 0)
/** Keep a dirty log, see vmm_kvm_vm_get_dirty_log(). */
#define VMM_KVM_MEMORY_LOG_DIRTY (UINT32_C(1) << 1)
/** Private memory comes from @ref vmm_kvm_memory.guest_memfd. */
#define VMM_KVM_MEMORY_GUEST_MEMFD (UINT32_C(1) << 2)

/** A piece of host memory that the guest sees. */
struct vmm_kvm_memory {
	/** Size of this structure. */
	size_t size;
	/** First guest physical address; a multiple of the host page size. */
	uint64_t gpa;
	/** Length in bytes; a multiple of the host page size, not 0. */
	uint64_t len;
	/** Our address of the first byte; page-aligned. Must stay mapped for as long as
	 *  the slot lives. */
	void *host;
	/** VMM_KVM_MEMORY_* */
	uint32_t flags;
	/** With #VMM_KVM_MEMORY_GUEST_MEMFD the file of the private memory, borrowed. */
	int guest_memfd;
	/** Offset in that file; a multiple of the page size. */
	uint64_t guest_memfd_offset;
};

/** Defaults: ordinary memory, no file. */
#define VMM_KVM_MEMORY_INIT                                         \
	{                                                           \
		sizeof(struct vmm_kvm_memory), 0, 0, NULL, 0, -1, 0 \
	}

/**
 * Show memory to the guest, in the lowest free slot.
 *
 * @param vm             the machine
 * @param memory         what to show; copied
 * @param[out] out_slot  number of the slot; may be NULL
 * @param[out] err       the reason on failure; may be NULL
 * @retval 0            done
 * @retval -EINVAL      empty, unaligned or wrapping range, unknown flag
 * @retval -EEXIST      it overlaps a slot
 * @retval -ENOSPC      every slot is in use
 * @retval -E2BIG       unknown structure tail
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_memory(struct vmm_kvm_vm *vm,
					       const struct vmm_kvm_memory *memory,
					       uint32_t *out_slot, struct vmm_error *err);

/**
 * Take memory away from the guest. The caller may unmap it afterwards.
 *
 * @retval 0        done
 * @retval -ENOENT  no such slot
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_remove_memory(struct vmm_kvm_vm *vm, uint32_t slot);

/**
 * Show a slot at another guest physical address.
 *
 * @retval 0        done
 * @retval -ENOENT  no such slot
 * @retval -EINVAL  unaligned or wrapping range, or a slot with private memory
 * @retval -EEXIST  it would overlap another slot
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_move_memory(struct vmm_kvm_vm *vm, uint32_t slot,
						uint64_t gpa);

/**
 * Start or stop the dirty log of a slot.
 *
 * @retval 0        done
 * @retval -ENOENT  no such slot
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_dirty_logging(struct vmm_kvm_vm *vm,
						      uint32_t slot, bool on);

/**
 * Tell what a slot shows.
 *
 * @param vm           the machine
 * @param slot         the slot
 * @param[in,out] out  what it shows; `size` set, by #VMM_KVM_MEMORY_INIT, to what the
 *                     caller has room for
 * @retval 0        done
 * @retval -EINVAL  `out->size` was not set
 * @retval -ENOENT  no such slot
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_memory(struct vmm_kvm_vm *vm, uint32_t slot,
					       struct vmm_kvm_memory *out);

/** Return the 64-bit words of a dirty bitmap: one bit for each page, rounded up. */
VMM_API size_t vmm_kvm_dirty_words(uint64_t len, uint64_t page_size);

/**
 * Read the dirty log of a slot and, unless KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 was
 * enabled, start it anew. Bit n of the bitmap is page n of the slot.
 *
 * @param vm           the machine
 * @param slot         the slot
 * @param[out] bitmap  at least vmm_kvm_dirty_words(len, host page size) words
 * @param words        room in @p bitmap
 * @retval 0        done
 * @retval -ENOENT  no such slot, or it keeps no log
 * @retval -ENOSPC  @p words is too small
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_dirty_log(struct vmm_kvm_vm *vm, uint32_t slot,
						  uint64_t *bitmap, size_t words);

/**
 * Clear the set bits of @p bitmap in the dirty log, so that these pages are tracked
 * again. Needs KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 to be enabled.
 *
 * @param vm          the machine
 * @param slot        the slot
 * @param first_page  page that bit 0 stands for; a multiple of 64
 * @param pages       a multiple of 64, or up to the slot's end
 * @param bitmap      one bit for each page
 * @retval 0        done
 * @retval -ENOENT  no such slot, or it keeps no log
 * @retval -EINVAL  a range that is unaligned or goes past the slot
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_clear_dirty_log(struct vmm_kvm_vm *vm, uint32_t slot,
						    uint64_t first_page, uint32_t pages,
						    const uint64_t *bitmap);

/** @} */

/**
 * @name Interrupts and doorbells
 * @{
 */

/**
 * Create the in-kernel interrupt controllers: PIC, IOAPIC and local APICs on x86, a
 * GICv2 on arm64. Before the first vCPU.
 *
 * @retval 0            done
 * @retval -EEXIST      there is one already
 * @retval -EINVAL      a vCPU exists
 * @retval -EOPNOTSUPP  this architecture makes it as a device
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_create_irqchip(struct vmm_kvm_vm *vm);

/**
 * Set the level of an interrupt line. On arm64 @p gsi is type << 24 | vCPU << 16 | id.
 *
 * @retval 0        done
 * @retval -ENXIO   there is no in-kernel interrupt controller
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_irq_line(struct vmm_kvm_vm *vm, uint32_t gsi,
						 bool level);

/**
 * Deliver a message-signalled interrupt.
 *
 * @param vm                  the machine
 * @param msi                 address, data, flags, device id
 * @param[out] out_delivered  false when the guest blocked it; may be NULL
 * @retval 0        done
 * @retval -EINVAL  there is no in-kernel interrupt controller
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_signal_msi(struct vmm_kvm_vm *vm,
					       const struct kvm_msi *msi,
					       bool *out_delivered);

/** Most entries of an interrupt routing table. */
#define VMM_KVM_GSI_ROUTES_MAX 4096u

/**
 * Replace the interrupt routing table.
 *
 * @param vm       the machine
 * @param entries  the whole new table; may be NULL when @p count is 0
 * @param count    entries in it
 * @retval 0        done
 * @retval -E2BIG   more than #VMM_KVM_GSI_ROUTES_MAX
 * @retval -EINVAL  an entry that this VM cannot have
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_gsi_routing(
    struct vmm_kvm_vm *vm, const struct kvm_irq_routing_entry *entries, size_t count);

/**
 * Bind an eventfd to an interrupt: a write to it is an edge on @p gsi.
 *
 * @param vm   the machine
 * @param fd   eventfd; borrowed and needed until it is removed, for the removal
 * @param gsi  interrupt, by the routing table
 * @retval 0        done
 * @retval -EBUSY   @p fd is bound already (the kernel's rule: to any interrupt)
 * @retval -EINVAL  no in-kernel interrupt controller, or @p fd is not an eventfd
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_irqfd(struct vmm_kvm_vm *vm, int fd,
					      uint32_t gsi);

/**
 * Bind an eventfd to a level-triggered interrupt: a write raises it; when the guest
 * acknowledges it, KVM lowers it and signals @p resample_fd, and the device that still
 * wants it writes again.
 *
 * @param vm           the machine
 * @param fd           as vmm_kvm_vm_add_irqfd()
 * @param resample_fd  eventfd, borrowed for the time of the call
 * @param gsi          interrupt
 * @retval 0        done; else as vmm_kvm_vm_add_irqfd()
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_irqfd_resample(struct vmm_kvm_vm *vm, int fd,
						       int resample_fd, uint32_t gsi);

/**
 * Undo vmm_kvm_vm_add_irqfd() or vmm_kvm_vm_add_irqfd_resample().
 *
 * @retval 0        done
 * @retval -ENOENT  @p fd is not bound to @p gsi
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_remove_irqfd(struct vmm_kvm_vm *vm, int fd,
						 uint32_t gsi);

/** A guest write that signals an eventfd instead of an exit. */
struct vmm_kvm_ioeventfd {
	/** Size of this structure. */
	size_t size;
	/** Guest physical address, or port. */
	uint64_t addr;
	/** Length of the write: 1, 2, 4 or 8; 0 for any (without a match). */
	uint32_t len;
	/** eventfd; borrowed and needed until it is removed. */
	int fd;
	/** Only a write of this value signals, if @ref vmm_kvm_ioeventfd.has_match. */
	uint64_t match;
	/** Whether @ref vmm_kvm_ioeventfd.match counts. */
	bool has_match;
	/** Whether @ref vmm_kvm_ioeventfd.addr is an x86 port. */
	bool pio;
	/** Zero. */
	uint8_t reserved_[6];
};

/** Defaults: MMIO, any length, any value. */
#define VMM_KVM_IOEVENTFD_INIT                                                      \
	{                                                                           \
		sizeof(struct vmm_kvm_ioeventfd), 0, 0, -1, 0, false, false, { 0 }, \
	}

/**
 * Bind a guest address to an eventfd.
 *
 * @param vm         the machine
 * @param ioeventfd  what to bind; copied
 * @retval 0        done
 * @retval -EEXIST  the same address, length and match is bound
 * @retval -EINVAL  a length that is none of the above, a match wider than the length or
 *                  without one, a wrapping address, a descriptor that is no eventfd
 * @retval -E2BIG   unknown structure tail
 * @retval -ENOSPC  too many devices on the kernel's bus
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_ioeventfd(
    struct vmm_kvm_vm *vm, const struct vmm_kvm_ioeventfd *ioeventfd);

/**
 * Undo vmm_kvm_vm_add_ioeventfd(); every member must be as it was.
 *
 * @retval 0        done
 * @retval -ENOENT  this is not bound
 * @retval -E2BIG   unknown structure tail
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_remove_ioeventfd(
    struct vmm_kvm_vm *vm, const struct vmm_kvm_ioeventfd *ioeventfd);

/** @} */

/**
 * @name Virtual CPU
 * @{
 */

/**
 * Create a virtual CPU.
 *
 * @param vm        the machine, which must stay open longer
 * @param id        below vmm_kvm_get_max_vcpu_id(); on x86 the APIC id
 * @param[out] out  the vCPU, to be released with vmm_kvm_vcpu_close()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0        done
 * @retval -EEXIST  the VM has this @p id
 * @retval -EINVAL  @p id is too large
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_open(struct vmm_kvm_vm *vm, uint32_t id,
					   struct vmm_kvm_vcpu **out,
					   struct vmm_error *err);

/**
 * Make a handle of an open vCPU descriptor.
 *
 * @param vm        the machine
 * @param fd        taken over on success, untouched on failure
 * @param id        its id, for vmm_kvm_vcpu_get_id()
 * @param[out] out  as vmm_kvm_vcpu_open()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0        done
 * @retval -EBADF   @p fd is not open
 * @retval -ENODEV  @p fd has no run page to map: not a vCPU
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_take_fd(struct vmm_kvm_vm *vm, int fd, uint32_t id,
					      struct vmm_kvm_vcpu **out,
					      struct vmm_error *err);

/** Unmap the run page and close @p vcpu, which must not be running. NULL is allowed. */
VMM_API void vmm_kvm_vcpu_close(struct vmm_kvm_vcpu *vcpu);

/** Return the descriptor of @p vcpu, borrowed. */
VMM_API int vmm_kvm_vcpu_get_fd(const struct vmm_kvm_vcpu *vcpu);

/** Return the id that @p vcpu was created with. */
VMM_API uint32_t vmm_kvm_vcpu_get_id(const struct vmm_kvm_vcpu *vcpu);

/**
 * Return the page that the kernel shares with us, for what this library has no call for.
 * Its `immediate_exit` belongs to vmm_kvm_vcpu_kick(). Valid until the close.
 */
VMM_API struct kvm_run *vmm_kvm_vcpu_get_run(struct vmm_kvm_vcpu *vcpu);

/**
 * Enable a capability of the vCPU; as vmm_kvm_vm_enable_cap().
 *
 * @retval 0        done
 * @retval -EINVAL  unknown, or not to be enabled
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_enable_cap(struct vmm_kvm_vcpu *vcpu, uint32_t cap,
						 uint32_t flags, const uint64_t args[4]);

/**
 * Run the guest until it needs us.
 *
 * The vCPU runs on the calling thread, where the kick signal is unblocked the first time
 * (see vmm_kvm_vcpu_set_kick_signal()). An access that the guest waits for (`io`, `mmio`,
 * `msr` and so on) ends with the next call, which takes the answer from the run page.
 *
 * @param vcpu      the vCPU
 * @param[out] out  why it stopped
 * @retval 0         done
 * @retval -EINTR    kicked, or a signal came; what the guest waited for is completed
 * @retval -EFAULT   the kernel could not get at guest memory and does not tell where
 * (else it is an exit of reason VMM_KVM_EXIT_MEMORY_FAULT)
 * @retval -EBADMSG  the run page contradicts itself
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_run(struct vmm_kvm_vcpu *vcpu,
					  struct vmm_kvm_exit *out);

/**
 * Make vmm_kvm_vcpu_run() return -EINTR: the call that is going on, or else the next one.
 * Kicks that come before that one is over count as one.
 *
 * Any thread may call it, and a signal handler; @p vcpu must not be closed meanwhile.
 * What the caller wrote to memory before is seen by the thread that runs the vCPU when
 * its run has returned -EINTR.
 */
VMM_API void vmm_kvm_vcpu_kick(struct vmm_kvm_vcpu *vcpu);

/** Choose the default kick signal, SIGRTMIN. */
#define VMM_KVM_KICK_SIGNAL_DEFAULT 0
/** Send no signal: the caller interrupts the thread in a way of its own. */
#define VMM_KVM_KICK_SIGNAL_NONE (-1)

/**
 * Own the kick signal of this process: install a handler that does nothing, so that the
 * signal ends a KVM_RUN but not the process. Once, before the first kick; again is fine.
 *
 * A program that handles the signal itself need not call this: any handler will do.
 *
 * @param signo  signal, or #VMM_KVM_KICK_SIGNAL_DEFAULT
 * @retval 0        done
 * @retval -EINVAL  not a signal that can be caught
 * @retval -EBUSY   the signal has a handler of someone else
 */
VMM_API VMM_MUST_USE int vmm_kvm_kick_signal_init(int signo);

/**
 * Choose the signal that kicks @p vcpu, before it runs for the first time.
 *
 * @param vcpu   the vCPU
 * @param signo  signal, #VMM_KVM_KICK_SIGNAL_DEFAULT or #VMM_KVM_KICK_SIGNAL_NONE
 * @retval 0        done
 * @retval -EINVAL  no such signal
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_kick_signal(struct vmm_kvm_vcpu *vcpu,
						      int signo);

/**
 * Get whether the vCPU runs, waits or is not started (`KVM_MP_STATE_*`).
 *
 * @param[out] out  the state
 * @retval 0        done
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_mp_state(struct vmm_kvm_vcpu *vcpu,
						   uint32_t *out);

/**
 * Set it. On x86 only with an in-kernel interrupt controller.
 *
 * @retval 0        done
 * @retval -EINVAL  no such state on this machine
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_mp_state(struct vmm_kvm_vcpu *vcpu,
						   uint32_t state);

/** @} */

/**
 * @name Registers and debugging
 * @{
 */

/** Return the size in bytes of a register of this id (`KVM_REG_*`), 1 to 256. */
VMM_API size_t vmm_kvm_reg_size(uint64_t id);

/**
 * Read one register.
 *
 * @param vcpu      the vCPU
 * @param id        `KVM_REG_*`
 * @param[out] buf  at least vmm_kvm_reg_size() bytes
 * @param len       bytes in @p buf
 * @retval 0        done
 * @retval -ENOSPC  @p len is too small
 * @retval -ENOENT  no such register
 * @retval -EINVAL  no such register, or this kernel does not have this call
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_one_reg(struct vmm_kvm_vcpu *vcpu, uint64_t id,
						  void *buf, size_t len);

/** Set one register; results as vmm_kvm_vcpu_get_one_reg(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_one_reg(struct vmm_kvm_vcpu *vcpu, uint64_t id,
						  const void *buf, size_t len);

/**
 * List the registers that vmm_kvm_vcpu_get_one_reg() can read.
 *
 * @param vcpu            the vCPU
 * @param[out] ids        room for @p max ids; may be NULL when @p max is 0
 * @param max             room
 * @param[out] out_count  how many there are, which may be more than @p max
 * @retval 0         done
 * @retval -ENOEXEC  an arm64 vCPU that is not initialised
 * @retval -E2BIG    the kernel wants more room without end
 * @retval -ENOMEM   out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_reg_list(struct vmm_kvm_vcpu *vcpu,
						   uint64_t *ids, size_t max,
						   size_t *out_count);

/**
 * Set breakpoints, or stop after each instruction; they end in VMM_KVM_EXIT_DEBUG.
 *
 * @param vcpu   the vCPU
 * @param debug  `control` is 0 to end it
 * @retval 0        done
 * @retval -EINVAL  this machine cannot do that
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_guest_debug(
    struct vmm_kvm_vcpu *vcpu, const struct kvm_guest_debug *debug);

/**
 * Choose the register classes that each exit copies to the run page.
 *
 * @param vcpu     the vCPU
 * @param classes  `KVM_SYNC_*`; 0 for none
 * @retval 0            done
 * @retval -EOPNOTSUPP  this KVM does not have one of them (KVM_CAP_SYNC_REGS)
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_sync_valid(struct vmm_kvm_vcpu *vcpu,
						     uint64_t classes);

/** Say which classes the caller changed in the run page, for the next run to take over;
 *  as vmm_kvm_vcpu_set_sync_valid(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_sync_dirty(struct vmm_kvm_vcpu *vcpu,
						     uint64_t classes);

/** Return the registers in the run page, valid as chosen by vmm_kvm_vcpu_set_sync_valid()
 *  and until the next run. */
VMM_API struct kvm_sync_regs *vmm_kvm_vcpu_get_sync_regs(struct vmm_kvm_vcpu *vcpu);

/**
 * Choose the signals that are blocked while the guest runs, for who wants no kick.
 *
 * @param vcpu  the vCPU
 * @param mask  bit n - 1 is signal n; NULL: as the thread has it
 * @retval 0        done
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_signal_mask(struct vmm_kvm_vcpu *vcpu,
						      const uint64_t *mask);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm, vmm_kvm_close)
VMM_DEFINE_CLEANUP(vmm_kvm_vm, vmm_kvm_vm_close)
VMM_DEFINE_CLEANUP(vmm_kvm_vcpu, vmm_kvm_vcpu_close)

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_MEMORY_H
#define VMM_KVM_MEMORY_H

/**
 * @file vmm/kvm-memory.h
 * What KVM can do with guest memory beyond slots: dirty rings, coalesced writes, private
 * memory. General rules and threads: see `vmm/kvm.h`.
 */

#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/**
 * @name Dirty rings
 * The other way to track dirty pages: each vCPU has a ring into which the kernel puts the
 * pages it writes, and the vCPU exits (VMM_KVM_EXIT_DIRTY_RING_FULL) when it is full.
 * @{
 */

/** Most entries of a dirty ring. */
#define VMM_KVM_DIRTY_RING_MAX 65536u

/** The dirty ring of a vCPU, seen from our side. One thread at a time. */
struct vmm_kvm_dirty_ring;

/** A page that was written. */
struct vmm_kvm_dirty_page {
	/** Slot (bits 0 to 15) and address space (bits 16 to 31). */
	uint32_t slot;
	/** Zero. */
	uint32_t reserved_;
	/** Number of the page in its slot. */
	uint64_t page;
};

/**
 * Give each vCPU of a machine a dirty ring. Before the first vCPU and the first slot with
 * a dirty log; the dirty log calls are then refused.
 *
 * @param vm       the machine
 * @param entries  a power of two, at most #VMM_KVM_DIRTY_RING_MAX
 * @retval 0            done
 * @retval -EINVAL      not a power of two, too few for this kernel, or too late
 * @retval -E2BIG       more than the host or this library allows
 * @retval -EOPNOTSUPP  this KVM has no dirty rings
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_enable_dirty_rings(struct vmm_kvm_vm *vm,
						       uint32_t entries);

/**
 * Map the dirty ring of a vCPU.
 *
 * @param vcpu      the vCPU, which must stay open longer
 * @param entries   as they were enabled
 * @param[out] out  the ring, to be released with vmm_kvm_dirty_ring_close()
 * @retval 0        done
 * @retval -EINVAL  not a power of two, too many, or not as enabled
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_dirty_ring_open(struct vmm_kvm_vcpu *vcpu,
						 uint32_t entries,
						 struct vmm_kvm_dirty_ring **out);

/** Unmap @p ring. NULL is allowed. */
VMM_API void vmm_kvm_dirty_ring_close(struct vmm_kvm_dirty_ring *ring);

/**
 * Take pages from a ring, oldest first. They are tracked again only after
 * vmm_kvm_vm_reset_dirty_rings(). The vCPU may run meanwhile.
 *
 * @param ring        the ring
 * @param[out] pages  room for @p max pages
 * @param max         room
 * @return how many were taken
 */
VMM_API size_t vmm_kvm_dirty_ring_take(struct vmm_kvm_dirty_ring *ring,
				       struct vmm_kvm_dirty_page *pages, size_t max);

/**
 * Give the taken entries of all rings back to the kernel, which tracks their pages again.
 *
 * @param vm              the machine
 * @param[out] out_count  how many there were; may be NULL
 * @retval 0        done
 * @retval -EINVAL  dirty rings are not enabled
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_reset_dirty_rings(struct vmm_kvm_vm *vm,
						      uint32_t *out_count);

/** @} */

/**
 * @name Coalesced writes
 * Writes to some addresses can wait: the kernel collects them in one ring for the whole
 * machine, to be read at the next exit.
 * @{
 */

/** The ring of coalesced writes. One thread at a time. */
struct vmm_kvm_coalesced;

/** A write that waited. */
struct vmm_kvm_coalesced_write {
	/** Guest physical address, or port. */
	uint64_t addr;
	/** 1 to 8 */
	uint32_t len;
	/** 1 for a port. */
	uint32_t pio;
	uint8_t data[8];
};

/**
 * Let writes to a range wait. Before the first access to it.
 *
 * @param vm    the machine
 * @param addr  guest physical address, or port
 * @param len   bytes
 * @param pio   whether it is a port
 * @retval 0            done
 * @retval -EINVAL      a range that is empty or wraps
 * @retval -EOPNOTSUPP  this KVM does not do that
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_add_coalesced(struct vmm_kvm_vm *vm, uint64_t addr,
						  uint32_t len, bool pio);

/** Stop it, for the ranges within @p addr and @p len; as the call above. */
VMM_API VMM_MUST_USE int vmm_kvm_vm_remove_coalesced(struct vmm_kvm_vm *vm, uint64_t addr,
						     uint32_t len, bool pio);

/**
 * Map the ring, through any vCPU of the machine.
 *
 * @param vcpu      the vCPU, which must stay open longer
 * @param[out] out  the ring, to be released with vmm_kvm_coalesced_close()
 * @retval 0            done
 * @retval -EOPNOTSUPP  this KVM has none
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_coalesced_open(struct vmm_kvm_vcpu *vcpu,
						struct vmm_kvm_coalesced **out);

/** Unmap @p ring. NULL is allowed. */
VMM_API void vmm_kvm_coalesced_close(struct vmm_kvm_coalesced *ring);

/**
 * Take the oldest write.
 *
 * @param ring      the ring
 * @param[out] out  the write
 * @retval 0         done
 * @retval -EAGAIN   there is none
 * @retval -EBADMSG  the ring contradicts itself
 */
VMM_API VMM_MUST_USE int vmm_kvm_coalesced_take(struct vmm_kvm_coalesced *ring,
						struct vmm_kvm_coalesced_write *out);

/** @} */

/**
 * @name Private memory
 * @{
 */

/** Attribute of a range: the guest uses its private memory. */
#define VMM_KVM_MEMORY_PRIVATE (UINT64_C(1) << 3)

/**
 * Create a file of memory that belongs to the machine, for
 * @ref vmm_kvm_memory.guest_memfd.
 *
 * @param vm           the machine
 * @param len          bytes; a multiple of the page size
 * @param flags        `GUEST_MEMFD_FLAG_*`
 * @param[out] out_fd  the file; the caller closes it
 * @retval 0            done
 * @retval -EINVAL      bad length or flags
 * @retval -EOPNOTSUPP  this KVM has none
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_create_guest_memfd(struct vmm_kvm_vm *vm,
						       uint64_t len, uint64_t flags,
						       int *out_fd);

/**
 * Say which memory of a range the guest uses.
 *
 * @param vm          the machine
 * @param gpa         first address; a multiple of the page size
 * @param len         bytes; likewise
 * @param attributes  0 for shared, or #VMM_KVM_MEMORY_PRIVATE
 * @retval 0            done
 * @retval -EINVAL      bad range, or attributes that this machine cannot have
 * @retval -EOPNOTSUPP  this KVM does not know attributes
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_memory_attributes(struct vmm_kvm_vm *vm,
							  uint64_t gpa, uint64_t len,
							  uint64_t attributes);

/**
 * Populate guest memory before the guest touches it.
 *
 * @param vcpu           the vCPU on whose behalf
 * @param gpa            first address; a multiple of the page size
 * @param len            bytes; likewise
 * @param[out] out_done  bytes done, set in any case; may be NULL
 * @retval 0            done, all of it
 * @retval -EINTR       a signal came; go on at @p gpa + *out_done
 * @retval -EOPNOTSUPP  this KVM does not do that
 * @retval -ENOENT      no memory there
 */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_pre_fault(struct vmm_kvm_vcpu *vcpu, uint64_t gpa,
						uint64_t len, uint64_t *out_done);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm_dirty_ring, vmm_kvm_dirty_ring_close)
VMM_DEFINE_CLEANUP(vmm_kvm_coalesced, vmm_kvm_coalesced_close)

VMM_END_DECLS

#endif

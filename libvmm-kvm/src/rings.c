/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vmm/kvm-memory.h>

#include "compat.h"
#include "internal.h"

/* Both rings are memory that the kernel writes while we read: indices and flags go
 * through atomics, and none of them is believed. */

struct vmm_kvm_dirty_ring {
	const struct kvm_sys *sys;
	struct kvm_dirty_gfn *entries;
	uint32_t count;
	/* The entry that is looked at next, counted without end. */
	uint32_t next;
};

struct vmm_kvm_coalesced {
	const struct kvm_sys *sys;
	struct kvm_coalesced_mmio_ring *ring;
	size_t page;
	uint32_t max;
};

static bool is_ring_size(uint32_t entries)
{
	return entries > 0 && entries <= VMM_KVM_DIRTY_RING_MAX &&
	       (entries & (entries - 1)) == 0;
}

int vmm_kvm_vm_enable_dirty_rings(struct vmm_kvm_vm *vm, uint32_t entries)
{
	uint64_t args[4] = { (uint64_t)entries * sizeof(struct kvm_dirty_gfn) };
	/* The one with ordering is the only one that weakly ordered machines have. */
	uint32_t cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
	int most = vmm_kvm_vm_check_extension(vm, cap);

	if (most <= 0) {
		cap = KVM_CAP_DIRTY_LOG_RING;
		most = vmm_kvm_vm_check_extension(vm, cap);
	}
	if (most <= 0)
		return -EOPNOTSUPP;
	if (entries > VMM_KVM_DIRTY_RING_MAX || args[0] > (uint64_t)most)
		return -E2BIG;
	if (!is_ring_size(entries))
		return -EINVAL;
	return vmm_kvm_vm_enable_cap(vm, cap, 0, args);
}

int vmm_kvm_dirty_ring_open(struct vmm_kvm_vcpu *vcpu, uint32_t entries,
			    struct vmm_kvm_dirty_ring **out)
{
	struct vmm_kvm_dirty_ring *ring;
	int64_t offset = (int64_t)KVM_DIRTY_LOG_PAGE_OFFSET * sysconf(_SC_PAGESIZE);
	void *map = NULL;
	int ret;

	if (!is_ring_size(entries))
		return -EINVAL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ret = vcpu->sys->mmap(vcpu->fd, entries * sizeof(*ring->entries), offset, &map);
	if (ret < 0) {
		free(ring);
		return ret;
	}
	ring->sys = vcpu->sys;
	ring->entries = map;
	ring->count = entries;
	*out = ring;
	return 0;
}

void vmm_kvm_dirty_ring_close(struct vmm_kvm_dirty_ring *ring)
{
	if (!ring)
		return;
	(void)ring->sys->munmap(ring->entries, ring->count * sizeof(*ring->entries));
	free(ring);
}

size_t vmm_kvm_dirty_ring_take(struct vmm_kvm_dirty_ring *ring,
			       struct vmm_kvm_dirty_page *pages, size_t max)
{
	size_t taken = 0;

	/* At most once around, whatever the flags say. */
	while (taken < max && taken < ring->count) {
		struct kvm_dirty_gfn *gfn =
		    &ring->entries[ring->next & (ring->count - 1)];

		if (__atomic_load_n(&gfn->flags, __ATOMIC_ACQUIRE) !=
		    KVM_DIRTY_GFN_F_DIRTY)
			break;
		pages[taken].slot = gfn->slot;
		pages[taken].reserved_ = 0;
		pages[taken].page = gfn->offset;
		__atomic_store_n(&gfn->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		ring->next++;
		taken++;
	}
	return taken;
}

int vmm_kvm_vm_reset_dirty_rings(struct vmm_kvm_vm *vm, uint32_t *out_count)
{
	int ret = kvm_ioctl(vm->sys, vm->fd, KVM_RESET_DIRTY_RINGS, NULL);

	if (ret < 0)
		return ret;
	if (out_count)
		*out_count = (uint32_t)ret;
	return 0;
}

static int zone(struct vmm_kvm_vm *vm, unsigned long request, uint64_t addr, uint32_t len,
		bool pio)
{
	struct kvm_coalesced_mmio_zone arg = { .addr = addr, .size = len, .pio = pio };
	uint32_t cap = pio ? KVM_CAP_COALESCED_PIO : KVM_CAP_COALESCED_MMIO;
	uint64_t last;

	if (len == 0 || __builtin_add_overflow(addr, len - 1, &last) ||
	    (pio && last > 0xffff))
		return -EINVAL;
	if (vmm_kvm_vm_check_extension(vm, cap) <= 0)
		return -EOPNOTSUPP;
	return kvm_ioctl_zero(vm->sys, vm->fd, request, &arg);
}

int vmm_kvm_vm_add_coalesced(struct vmm_kvm_vm *vm, uint64_t addr, uint32_t len, bool pio)
{
	return zone(vm, KVM_REGISTER_COALESCED_MMIO, addr, len, pio);
}

int vmm_kvm_vm_remove_coalesced(struct vmm_kvm_vm *vm, uint64_t addr, uint32_t len,
				bool pio)
{
	return zone(vm, KVM_UNREGISTER_COALESCED_MMIO, addr, len, pio);
}

int vmm_kvm_coalesced_open(struct vmm_kvm_vcpu *vcpu, struct vmm_kvm_coalesced **out)
{
	int page = vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_COALESCED_MMIO);
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct vmm_kvm_coalesced *ring;
	void *map = NULL;
	int ret;

	if (page <= 0)
		return -EOPNOTSUPP;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ret = vcpu->sys->mmap(vcpu->fd, size, (int64_t)page * (int64_t)size, &map);
	if (ret < 0) {
		free(ring);
		return ret;
	}
	ring->sys = vcpu->sys;
	ring->ring = map;
	ring->page = size;
	ring->max = (uint32_t)((size - sizeof(*ring->ring)) /
			       sizeof(ring->ring->coalesced_mmio[0]));
	*out = ring;
	return 0;
}

void vmm_kvm_coalesced_close(struct vmm_kvm_coalesced *ring)
{
	if (!ring)
		return;
	(void)ring->sys->munmap(ring->ring, ring->page);
	free(ring);
}

int vmm_kvm_coalesced_take(struct vmm_kvm_coalesced *ring,
			   struct vmm_kvm_coalesced_write *out)
{
	uint32_t first = __atomic_load_n(&ring->ring->first, __ATOMIC_RELAXED);
	uint32_t last = __atomic_load_n(&ring->ring->last, __ATOMIC_ACQUIRE);
	struct kvm_coalesced_mmio entry;

	if (first >= ring->max || last >= ring->max)
		return -EBADMSG;
	if (first == last)
		return -EAGAIN;
	entry = ring->ring->coalesced_mmio[first];
	if (entry.len == 0 || entry.len > sizeof(entry.data))
		return -EBADMSG;
	out->addr = entry.phys_addr;
	out->len = entry.len;
	out->pio = entry.pio != 0;
	memcpy(out->data, entry.data, sizeof(out->data));
	__atomic_store_n(&ring->ring->first, (first + 1) % ring->max, __ATOMIC_RELEASE);
	return 0;
}

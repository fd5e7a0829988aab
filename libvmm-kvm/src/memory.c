/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "internal.h"

#define MEMORY_FLAGS \
	(VMM_KVM_MEMORY_READONLY | VMM_KVM_MEMORY_LOG_DIRTY | VMM_KVM_MEMORY_GUEST_MEMFD)

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool aligned(uint64_t value)
{
	return (value & (page_size() - 1)) == 0;
}

/* A region may end at the last byte of the address space. */
static bool wraps(uint64_t start, uint64_t len)
{
	uint64_t last;

	return __builtin_add_overflow(start, len - 1, &last);
}

static bool overlap(const struct vmm_kvm_memory *a, const struct vmm_kvm_memory *b)
{
	return a->gpa <= b->gpa + (b->len - 1) && b->gpa <= a->gpa + (a->len - 1);
}

/* A slot other than @except that @memory would overlap, or NULL. */
static const struct slot_entry *find_overlap(const struct vmm_kvm_vm *vm,
					     const struct vmm_kvm_memory *memory,
					     const struct slot_entry *except)
{
	for (uint32_t i = 0; i < vm->slot_count; i++) {
		const struct slot_entry *slot = &vm->slots[i];

		if (slot != except && slot->used && overlap(&slot->memory, memory))
			return slot;
	}
	return NULL;
}

static struct slot_entry *find_slot(struct vmm_kvm_vm *vm, uint32_t slot)
{
	return slot < vm->slot_count && vm->slots[slot].used ? &vm->slots[slot] : NULL;
}

static uint32_t kernel_flags(const struct vmm_kvm_memory *memory)
{
	uint32_t flags = 0;

	if (memory->flags & VMM_KVM_MEMORY_READONLY)
		flags |= KVM_MEM_READONLY;
	if (memory->flags & VMM_KVM_MEMORY_LOG_DIRTY)
		flags |= KVM_MEM_LOG_DIRTY_PAGES;
	if (memory->flags & VMM_KVM_MEMORY_GUEST_MEMFD)
		flags |= (uint32_t)KVM_MEM_GUEST_MEMFD;
	return flags;
}

/* Length 0 deletes the slot. The wider call is made only for what needs it: kernels
 * before 6.8 do not have it. */
static int set_region(struct vmm_kvm_vm *vm, uint32_t slot,
		      const struct vmm_kvm_memory *memory, uint64_t len)
{
	struct kvm_compat_region2 region = {
		.slot = slot,
		.flags = kernel_flags(memory),
		.guest_phys_addr = memory->gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)memory->host,
	};
	struct kvm_userspace_memory_region old;

	if (memory->flags & VMM_KVM_MEMORY_GUEST_MEMFD) {
		region.guest_memfd = (__u32)memory->guest_memfd;
		region.guest_memfd_offset = memory->guest_memfd_offset;
		return kvm_ioctl_zero(vm->sys, vm->fd, KVM_COMPAT_SET_REGION2, &region);
	}
	memcpy(&old, &region, sizeof(old));
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_USER_MEMORY_REGION, &old);
}

static int check(const struct vmm_kvm_memory *m, struct vmm_error *err)
{
	if (m->len == 0)
		return vmm_error_at(err, -EINVAL, m->gpa, 0, 0,
				    "memory at %#llx is empty",
				    (unsigned long long)m->gpa);
	if (!aligned(m->gpa) || !aligned(m->len) || !aligned((uintptr_t)m->host) ||
	    !aligned(m->guest_memfd_offset))
		return vmm_error_at(err, -EINVAL, m->gpa, page_size(), m->len,
				    "memory at %#llx, length %#llx is not page-aligned",
				    (unsigned long long)m->gpa,
				    (unsigned long long)m->len);
	if (wraps(m->gpa, m->len) || wraps((uintptr_t)m->host, m->len))
		return vmm_error_at(err, -EINVAL, m->gpa, 0, m->len,
				    "memory at %#llx, length %#llx wraps",
				    (unsigned long long)m->gpa,
				    (unsigned long long)m->len);
	if (m->flags & ~MEMORY_FLAGS)
		return vmm_error_at(err, -EINVAL, m->gpa, MEMORY_FLAGS, m->flags,
				    "memory flags %#x are unknown",
				    m->flags & ~MEMORY_FLAGS);
	return 0;
}

/* The lowest free slot, made if need be. */
static int take_slot(struct vmm_kvm_vm *vm, uint32_t *out)
{
	uint32_t i = 0;
	struct slot_entry *room;

	while (i < vm->slot_count && vm->slots[i].used)
		i++;
	if (i == vm->slot_count) {
		if (i >= vm->slots_max)
			return -ENOSPC;
		room = reallocarray(vm->slots, i + 1, sizeof(*room));
		if (!room)
			return -ENOMEM;
		room[i].used = false;
		vm->slots = room;
		vm->slot_count++;
	}
	*out = i;
	return 0;
}

static int add_locked(struct vmm_kvm_vm *vm, const struct vmm_kvm_memory *m,
		      uint32_t *out_slot, struct vmm_error *err)
{
	const struct slot_entry *other = find_overlap(vm, m, NULL);
	uint32_t slot = 0;
	int ret;

	if (other)
		return vmm_error_at(err, -EEXIST, m->gpa, 0, other->memory.gpa,
				    "memory at %#llx overlaps the slot at %#llx",
				    (unsigned long long)m->gpa,
				    (unsigned long long)other->memory.gpa);
	ret = take_slot(vm, &slot);
	if (ret == -ENOSPC)
		return vmm_error_at(err, ret, m->gpa, 0, vm->slots_max,
				    "all %u memory slots are in use", vm->slots_max);
	if (ret == 0)
		ret = set_region(vm, slot, m, m->len);
	if (ret < 0)
		return vmm_error_at(err, ret, m->gpa, 0, m->len,
				    "memory at %#llx, length %#llx: %s",
				    (unsigned long long)m->gpa,
				    (unsigned long long)m->len, strerrordesc_np(-ret));
	vm->slots[slot].memory = *m;
	vm->slots[slot].used = true;
	*out_slot = slot;
	return 0;
}

int vmm_kvm_vm_add_memory(struct vmm_kvm_vm *vm, const struct vmm_kvm_memory *memory,
			  uint32_t *out_slot, struct vmm_error *err)
{
	struct vmm_kvm_memory m;
	uint32_t slot = 0;
	int ret = kvm_options_read(&m, sizeof(m), memory);

	if (ret < 0)
		return vmm_error_set(err, ret, "struct vmm_kvm_memory of unknown layout");
	m.size = sizeof(m);
	ret = check(&m, err);
	if (ret < 0)
		return ret;

	(void)pthread_mutex_lock(&vm->lock);
	ret = add_locked(vm, &m, &slot, err);
	(void)pthread_mutex_unlock(&vm->lock);
	if (ret == 0 && out_slot)
		*out_slot = slot;
	return ret;
}

int vmm_kvm_vm_remove_memory(struct vmm_kvm_vm *vm, uint32_t slot)
{
	struct slot_entry *entry;
	int ret = -ENOENT;

	(void)pthread_mutex_lock(&vm->lock);
	entry = find_slot(vm, slot);
	if (entry)
		ret = set_region(vm, slot, &entry->memory, 0);
	if (ret == 0)
		entry->used = false;
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int change_locked(struct vmm_kvm_vm *vm, uint32_t slot, struct slot_entry *entry,
			 const struct vmm_kvm_memory *changed)
{
	int ret;

	if (find_overlap(vm, changed, entry))
		return -EEXIST;
	ret = set_region(vm, slot, changed, changed->len);
	if (ret == 0)
		entry->memory = *changed;
	return ret;
}

int vmm_kvm_vm_move_memory(struct vmm_kvm_vm *vm, uint32_t slot, uint64_t gpa)
{
	struct vmm_kvm_memory changed;
	struct slot_entry *entry;
	int ret = -ENOENT;

	(void)pthread_mutex_lock(&vm->lock);
	entry = find_slot(vm, slot);
	if (entry) {
		changed = entry->memory;
		changed.gpa = gpa;
		ret = -EINVAL;
		if (!(changed.flags & VMM_KVM_MEMORY_GUEST_MEMFD) &&
		    check(&changed, NULL) == 0)
			ret = change_locked(vm, slot, entry, &changed);
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_kvm_vm_set_dirty_logging(struct vmm_kvm_vm *vm, uint32_t slot, bool on)
{
	struct vmm_kvm_memory changed;
	struct slot_entry *entry;
	int ret = -ENOENT;

	(void)pthread_mutex_lock(&vm->lock);
	entry = find_slot(vm, slot);
	if (entry) {
		changed = entry->memory;
		changed.flags &= ~VMM_KVM_MEMORY_LOG_DIRTY;
		if (on)
			changed.flags |= VMM_KVM_MEMORY_LOG_DIRTY;
		ret = change_locked(vm, slot, entry, &changed);
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int get_memory(struct vmm_kvm_vm *vm, uint32_t slot, struct vmm_kvm_memory *out)
{
	const struct slot_entry *entry;
	int ret = -ENOENT;

	(void)pthread_mutex_lock(&vm->lock);
	entry = find_slot(vm, slot);
	if (entry) {
		*out = entry->memory;
		ret = 0;
	}
	(void)pthread_mutex_unlock(&vm->lock);
	return ret;
}

int vmm_kvm_vm_get_memory(struct vmm_kvm_vm *vm, uint32_t slot,
			  struct vmm_kvm_memory *out)
{
	struct vmm_kvm_memory memory;
	size_t size = out->size;
	int ret;

	if (size < offsetof(struct vmm_kvm_memory, guest_memfd) || size > 65536)
		return -EINVAL;
	ret = get_memory(vm, slot, &memory);
	if (ret < 0)
		return ret;
	/* A caller of a later version finds zeros in what we do not know. */
	memset(out, 0, size);
	memcpy(out, &memory, size < sizeof(memory) ? size : sizeof(memory));
	out->size = size;
	return 0;
}

size_t vmm_kvm_dirty_words(uint64_t len, uint64_t page)
{
	uint64_t pages = len / page + (len % page != 0);

	return (size_t)(pages / 64 + (pages % 64 != 0));
}

/* Copies out what the dirty calls must know, so that the bitmap is not read under the
 * lock: the kernel checks the slot once more. */
static int logged_slot(struct vmm_kvm_vm *vm, uint32_t slot, uint64_t *out_len)
{
	struct vmm_kvm_memory memory;
	int ret = get_memory(vm, slot, &memory);

	if (ret < 0)
		return ret;
	if (!(memory.flags & VMM_KVM_MEMORY_LOG_DIRTY))
		return -ENOENT;
	*out_len = memory.len;
	return 0;
}

int vmm_kvm_vm_get_dirty_log(struct vmm_kvm_vm *vm, uint32_t slot, uint64_t *bitmap,
			     size_t words)
{
	struct kvm_dirty_log log = { .slot = slot };
	uint64_t len = 0;
	int ret = logged_slot(vm, slot, &len);

	if (ret < 0)
		return ret;
	if (words < vmm_kvm_dirty_words(len, page_size()))
		return -ENOSPC;
	log.dirty_bitmap = bitmap;
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_GET_DIRTY_LOG, &log);
}

int vmm_kvm_vm_clear_dirty_log(struct vmm_kvm_vm *vm, uint32_t slot, uint64_t first_page,
			       uint32_t pages, const uint64_t *bitmap)
{
	struct kvm_clear_dirty_log clear = {
		.slot = slot,
		.num_pages = pages,
		.first_page = first_page,
	};
	uint64_t len = 0, end = 0, total;
	int ret = logged_slot(vm, slot, &len);

	if (ret < 0)
		return ret;
	total = len / page_size();
	if (first_page % 64 != 0 || __builtin_add_overflow(first_page, pages, &end) ||
	    end > total || (pages % 64 != 0 && end != total))
		return -EINVAL;
	/* The kernel only reads it, but its structure has no const. */
	memcpy(&clear.dirty_bitmap, &bitmap, sizeof(bitmap));
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_CLEAR_DIRTY_LOG, &clear);
}

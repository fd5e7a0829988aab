/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpuid.h"
#include "internal.h"

/* As many as Linux has at all (KVM_MAX_CPUID_ENTRIES). A kernel that finds the room too
 * small has done all its work by then: on a host whose own CPUID is emulated that is most
 * of a millisecond. One that wants more than the most does not get it. */
#define GROW_FIRST 256u
#define GROW_MAX 65536u

static struct kvm_cpuid2 *new_table(uint32_t capacity)
{
	return calloc(1, sizeof(struct kvm_cpuid2) +
			     capacity * sizeof(struct kvm_cpuid_entry2));
}

static int new_list(uint32_t capacity, struct vmm_kvm_x86_cpuid **out)
{
	struct vmm_kvm_x86_cpuid *cpuid = calloc(1, sizeof(*cpuid));

	if (!cpuid)
		return -ENOMEM;
	cpuid->table = new_table(capacity);
	if (!cpuid->table) {
		free(cpuid);
		return -ENOMEM;
	}
	cpuid->capacity = capacity;
	*out = cpuid;
	return 0;
}

int vmm_kvm_x86_cpuid_new(struct vmm_kvm_x86_cpuid **out)
{
	return new_list(16, out);
}

void vmm_kvm_x86_cpuid_free(struct vmm_kvm_x86_cpuid *cpuid)
{
	if (!cpuid)
		return;
	free(cpuid->table);
	free(cpuid);
}

int vmm_kvm_x86_cpuid_clone(const struct vmm_kvm_x86_cpuid *cpuid,
			    struct vmm_kvm_x86_cpuid **out)
{
	struct vmm_kvm_x86_cpuid *copy = NULL;
	int ret = new_list(cpuid->capacity, &copy);

	if (ret < 0)
		return ret;
	memcpy(copy->table, cpuid->table,
	       sizeof(*copy->table) +
		   cpuid->table->nent * sizeof(copy->table->entries[0]));
	*out = copy;
	return 0;
}

size_t vmm_kvm_x86_cpuid_get_count(const struct vmm_kvm_x86_cpuid *cpuid)
{
	return cpuid->table->nent;
}

struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_get_entry(struct vmm_kvm_x86_cpuid *cpuid,
						     size_t i)
{
	return i < cpuid->table->nent ? &cpuid->table->entries[i] : NULL;
}

struct kvm_cpuid_entry2 *vmm_kvm_x86_cpuid_find(struct vmm_kvm_x86_cpuid *cpuid,
						uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->table->entries[i];

		/* An entry without the flag answers for every index. */
		if (e->function == function &&
		    (e->index == index || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return e;
	}
	return NULL;
}

int vmm_kvm_x86_cpuid_add(struct vmm_kvm_x86_cpuid *cpuid,
			  const struct kvm_cpuid_entry2 *entry)
{
	uint32_t n = cpuid->table->nent;

	for (uint32_t i = 0; i < n; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->table->entries[i];

		if (e->function == entry->function && e->index == entry->index) {
			*e = *entry;
			return 0;
		}
	}
	if (n >= CPUID_ENTRIES_MAX)
		return -E2BIG;
	if (n == cpuid->capacity) {
		struct kvm_cpuid2 *more = new_table(n * 2 + 1);

		if (!more)
			return -ENOMEM;
		memcpy(more, cpuid->table, sizeof(*more) + n * sizeof(more->entries[0]));
		free(cpuid->table);
		cpuid->table = more;
		cpuid->capacity = n * 2 + 1;
	}
	cpuid->table->entries[n] = *entry;
	cpuid->table->nent = n + 1;
	return 0;
}

void vmm_kvm_x86_cpuid_remove(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < cpuid->table->nent; i++)
		if (cpuid->table->entries[i].function != function)
			cpuid->table->entries[kept++] = cpuid->table->entries[i];
	cpuid->table->nent = kept;
}

/* E2BIG says that the room was too small, but not every kernel says how much is wanted:
 * so it doubles, up to a bound. */
static int get_growing(const struct kvm_sys *sys, int fd, unsigned long request,
		       struct vmm_kvm_x86_cpuid **out)
{
	int ret = -E2BIG;

	for (uint32_t room = GROW_FIRST; ret == -E2BIG && room <= GROW_MAX; room *= 2) {
		struct vmm_kvm_x86_cpuid *cpuid = NULL;

		ret = new_list(room, &cpuid);
		if (ret < 0)
			return ret;
		cpuid->table->nent = room;
		ret = kvm_ioctl_zero(sys, fd, request, cpuid->table);
		if (ret < 0) {
			vmm_kvm_x86_cpuid_free(cpuid);
			continue;
		}
		if (cpuid->table->nent > room)
			cpuid->table->nent = room;
		*out = cpuid;
	}
	return ret;
}

int vmm_kvm_get_supported_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return get_growing(kvm->sys, kvm->fd, KVM_GET_SUPPORTED_CPUID, out);
}

int vmm_kvm_get_hyperv_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return get_growing(kvm->sys, kvm->fd, KVM_GET_SUPPORTED_HV_CPUID, out);
}

int vmm_kvm_get_emulated_cpuid(const struct vmm_kvm *kvm, struct vmm_kvm_x86_cpuid **out)
{
	return get_growing(kvm->sys, kvm->fd, KVM_GET_EMULATED_CPUID, out);
}

int vmm_kvm_vcpu_set_cpuid(struct vmm_kvm_vcpu *vcpu,
			   const struct vmm_kvm_x86_cpuid *cpuid)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_CPUID2, cpuid->table);
}

int vmm_kvm_vcpu_get_cpuid(struct vmm_kvm_vcpu *vcpu, struct vmm_kvm_x86_cpuid **out)
{
	static const struct kvm_cpuid_entry2 empty;
	struct kvm_cpuid2 *table;
	int ret = get_growing(vcpu->sys, vcpu->fd, KVM_GET_CPUID2, out);

	if (ret < 0)
		return ret;
	/* Older kernels (6.1) fill the entries but do not say how many: the rest of the
	 * room is as we gave it. */
	table = (*out)->table;
	while (table->nent > 0 &&
	       memcmp(&table->entries[table->nent - 1], &empty, sizeof(empty)) == 0)
		table->nent--;
	return 0;
}

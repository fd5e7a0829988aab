/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

/* What the kernel takes in one call is 256 and more; this fits on any stack. */
#define CHUNK 64u
/* More indices than this, and the kernel is not believed any longer. */
#define INDICES_MAX 65536u

/* One call. Returns how many entries the kernel did, which ends at the first bad one. */
static int one_chunk(const struct kvm_sys *sys, int fd, unsigned long request,
		     struct kvm_msr_entry *msrs, uint32_t n, bool read)
{
	_Alignas(struct kvm_msrs)
	    uint8_t raw[sizeof(struct kvm_msrs) + CHUNK * sizeof(*msrs)];
	struct kvm_msrs *chunk = (struct kvm_msrs *)(void *)raw;
	int done;

	memset(chunk, 0, sizeof(*chunk));
	chunk->nmsrs = n;
	memcpy(chunk->entries, msrs, n * sizeof(*msrs));
	done = kvm_ioctl(sys, fd, request, chunk);
	if (done > (int)n)
		done = (int)n;
	if (read && done > 0)
		memcpy(msrs, chunk->entries, (size_t)done * sizeof(*msrs));
	return done;
}

static int in_chunks(const struct kvm_sys *sys, int fd, unsigned long request,
		     struct kvm_msr_entry *msrs, size_t count, bool read,
		     size_t *out_done)
{
	size_t at = 0;
	int ret = 0;

	while (at < count && ret == 0) {
		uint32_t n = count - at < CHUNK ? (uint32_t)(count - at) : CHUNK;
		int done = one_chunk(sys, fd, request, msrs + at, n, read);

		if (done < 0)
			ret = done;
		else if ((uint32_t)done < n)
			ret = -ENXIO;
		at += done > 0 ? (size_t)done : 0;
	}
	if (out_done)
		*out_done = at;
	return ret;
}

int vmm_kvm_get_feature_msrs(const struct vmm_kvm *kvm, struct kvm_msr_entry *msrs,
			     size_t count, size_t *out_done)
{
	return in_chunks(kvm->sys, kvm->fd, KVM_GET_MSRS, msrs, count, true, out_done);
}

int vmm_kvm_vcpu_get_msrs(struct vmm_kvm_vcpu *vcpu, struct kvm_msr_entry *msrs,
			  size_t count, size_t *out_done)
{
	return in_chunks(vcpu->sys, vcpu->fd, KVM_GET_MSRS, msrs, count, true, out_done);
}

int vmm_kvm_vcpu_set_msrs(struct vmm_kvm_vcpu *vcpu, const struct kvm_msr_entry *msrs,
			  size_t count, size_t *out_done)
{
	struct kvm_msr_entry *entries;

	/* Only copied from, on this way. */
	memcpy(&entries, &msrs, sizeof(entries));
	return in_chunks(vcpu->sys, vcpu->fd, KVM_SET_MSRS, entries, count, false,
			 out_done);
}

int vmm_kvm_get_msr_indices(const struct vmm_kvm *kvm, bool features, uint32_t *indices,
			    size_t max, size_t *out_count)
{
	unsigned long request =
	    features ? KVM_GET_MSR_FEATURE_INDEX_LIST : KVM_GET_MSR_INDEX_LIST;
	uint32_t room = 256;
	int ret = -E2BIG;

	while (ret == -E2BIG && room <= INDICES_MAX) {
		struct kvm_msr_list *list =
		    calloc(1, sizeof(*list) + room * sizeof(__u32));

		if (!list)
			return -ENOMEM;
		list->nmsrs = room;
		ret = kvm_ioctl_zero(kvm->sys, kvm->fd, request, list);
		if (ret == 0) {
			size_t n = list->nmsrs < room ? list->nmsrs : room;

			if (max > 0)
				memcpy(indices, list->indices,
				       (n < max ? n : max) * sizeof(*indices));
			*out_count = n;
		}
		/* The kernel tells what it wants, but need not be right. */
		room = list->nmsrs > room && list->nmsrs <= INDICES_MAX ? list->nmsrs
									: room * 2;
		free(list);
	}
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "state-msrs.h"

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* What some kernels have but do not list: TSC, misc enable, machine check, memory types,
 * timer, and the whole range of KVM's own, of which a newer kernel may have more. */
static const struct {
	uint32_t first, count;
} further[] = {
	{ MSR_TSC, 1 },
	{ 0x17a, 2 },
	{ 0x1a0, 1 },
	{ 0x200, 16 },
	{ 0x250, 1 },
	{ 0x258, 2 },
	{ 0x268, 8 },
	{ 0x277, 1 },
	{ 0x2ff, 1 },
	{ 0x400, 128 },
	{ MSR_TSC_DEADLINE, 1 },
	{ 0x4b564d00, 256 },
};

static size_t further_count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(further) / sizeof(further[0]); i++)
		n += further[i].count;
	return n;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static size_t unique(uint32_t *indices, size_t count)
{
	size_t kept = 0;

	qsort(indices, count, sizeof(*indices), by_value);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || indices[kept - 1] != indices[i])
			indices[kept++] = indices[i];
	return kept;
}

/* Makes the list of what to read, without data. */
static int list_msrs(const struct vmm_kvm *kvm, struct kvm_msr_entry **out,
		     size_t *out_count)
{
	size_t listed = 0, room, n = 0;
	uint32_t *indices;
	struct kvm_msr_entry *msrs;
	int ret = vmm_kvm_get_msr_indices(kvm, false, NULL, 0, &listed);

	if (ret < 0)
		return ret;
	room = listed + further_count();
	if (room > STATE_MSRS_MAX)
		return -E2BIG;
	indices = calloc(room, sizeof(*indices));
	msrs = calloc(room, sizeof(*msrs));
	ret = indices && msrs ? vmm_kvm_get_msr_indices(kvm, false, indices, listed, &n)
			      : -ENOMEM;
	if (ret < 0) {
		free(indices);
		free(msrs);
		return ret;
	}
	n = n < listed ? n : listed;
	for (size_t i = 0; i < sizeof(further) / sizeof(further[0]); i++)
		for (uint32_t j = 0; j < further[i].count; j++)
			indices[n++] = further[i].first + j;
	n = unique(indices, n);
	for (size_t i = 0; i < n; i++)
		msrs[i].index = indices[i];
	free(indices);
	*out = msrs;
	*out_count = n;
	return 0;
}

/* Reads them, and leaves out those that this vCPU does not have. */
static int read_msrs(struct vmm_kvm_vcpu *vcpu, struct kvm_msr_entry *msrs,
		     size_t *inout_count)
{
	size_t count = *inout_count, at = 0;

	while (at < count) {
		size_t done = 0;
		int ret = vmm_kvm_vcpu_get_msrs(vcpu, msrs + at, count - at, &done);

		if (ret < 0 && ret != -ENXIO)
			return ret;
		at += done;
		if (ret == -ENXIO) {
			memmove(msrs + at, msrs + at + 1,
				(count - at - 1) * sizeof(*msrs));
			count--;
		}
	}
	*inout_count = count;
	return 0;
}

int kvm_x86_save_msrs(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct kvm_state_builder *b, struct vmm_error *err)
{
	struct kvm_msr_entry *msrs = NULL;
	size_t count = 0;
	int ret = list_msrs(kvm, &msrs, &count);

	if (ret == 0)
		ret = read_msrs(vcpu, msrs, &count);
	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_MSRS, msrs, count * sizeof(*msrs));
	free(msrs);
	return ret < 0 ? kvm_state_failed(err, ret, vcpu->id, "save the MSRs") : 0;
}

/* A refused write lost nothing if the value is there already, or if a register that is
 * not there was zero. */
static bool is_there(struct vmm_kvm_vcpu *vcpu, const struct kvm_msr_entry *want)
{
	struct kvm_msr_entry have = { .index = want->index };
	int ret = vmm_kvm_vcpu_get_msrs(vcpu, &have, 1, NULL);

	return ret == 0 ? have.data == want->data : ret == -ENXIO && want->data == 0;
}

static int write_msrs(struct vmm_kvm_vcpu *vcpu, const struct kvm_msr_entry *msrs,
		      size_t count, struct vmm_error *err)
{
	size_t at = 0;

	while (at < count) {
		size_t done = 0;
		int ret = vmm_kvm_vcpu_set_msrs(vcpu, msrs + at, count - at, &done);

		if (ret < 0 && ret != -ENXIO)
			return kvm_state_failed(err, ret, vcpu->id, "restore the MSRs");
		at += done;
		if (ret == -ENXIO && !is_there(vcpu, &msrs[at]))
			return vmm_error_at(err, ret, msrs[at].index, msrs[at].data, 0,
					    "MSR %#x cannot be %#llx here",
					    msrs[at].index,
					    (unsigned long long)msrs[at].data);
		at += ret == -ENXIO;
	}
	return 0;
}

int kvm_x86_restore_msrs(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	struct kvm_msr_entry deadline = { 0 }, *msrs;
	uint64_t tsc = 0;
	size_t len, count, n = 0;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_MSRS, &len);
	int ret;

	count = len / sizeof(*msrs);
	if (count == 0)
		return 0;
	msrs = calloc(count, sizeof(*msrs));
	if (!msrs)
		return kvm_state_failed(err, -ENOMEM, vcpu->id, "restore the MSRs");
	memcpy(msrs, data, len);
	for (size_t i = 0; i < count; i++) {
		if (msrs[i].index == MSR_TSC)
			tsc = msrs[i].data;
		if (msrs[i].index == MSR_TSC_DEADLINE)
			deadline = msrs[i];
		else
			msrs[n++] = msrs[i];
	}
	ret = write_msrs(vcpu, msrs, n, err);
	free(msrs);
	if (ret < 0 || deadline.index == 0)
		return ret;
	/* The deadline is a time of the TSC, hence last. 0 is a timer that had fired,
	 * perhaps without the guest having seen it: it fires again. */
	if (deadline.data == 0)
		deadline.data = tsc;
	return write_msrs(vcpu, &deadline, 1, err);
}

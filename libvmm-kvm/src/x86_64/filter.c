/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

static int check_range(const struct vmm_kvm_msr_range *range)
{
	uint32_t last;

	if (range->count == 0 ||
	    __builtin_add_overflow(range->base, range->count - 1, &last))
		return -EINVAL;
	/* The kernel reads as many bytes as the count says. */
	return range->bitmap_len < range->count / 8 + (range->count % 8 != 0) ? -EINVAL
									      : 0;
}

int vmm_kvm_vm_set_msr_filter(struct vmm_kvm_vm *vm, bool default_deny,
			      const struct vmm_kvm_msr_range *ranges, size_t count)
{
	struct kvm_msr_filter filter = {
		.flags = default_deny ? KVM_MSR_FILTER_DEFAULT_DENY
				      : KVM_MSR_FILTER_DEFAULT_ALLOW,
	};

	_Static_assert(KVM_MSR_FILTER_MAX_RANGES == VMM_KVM_MSR_RANGES_MAX,
		       "as in the header");
	if (count > VMM_KVM_MSR_RANGES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		int ret = check_range(&ranges[i]);

		if (ret < 0)
			return ret;
		filter.ranges[i].flags = ranges[i].flags;
		filter.ranges[i].base = ranges[i].base;
		filter.ranges[i].nmsrs = ranges[i].count;
		memcpy(&filter.ranges[i].bitmap, &ranges[i].bitmap, sizeof(void *));
	}
	return kvm_ioctl_zero(vm->sys, vm->fd, KVM_X86_SET_MSR_FILTER, &filter);
}

int vmm_kvm_vm_set_pmu_filter(struct vmm_kvm_vm *vm, uint32_t action,
			      uint32_t fixed_counters, uint32_t flags,
			      const uint64_t *events, size_t count)
{
	struct kvm_pmu_event_filter *filter;
	int ret;

	if (count > VMM_KVM_PMU_EVENTS_MAX)
		return -E2BIG;
	filter = calloc(1, sizeof(*filter) + count * sizeof(*events));
	if (!filter)
		return -ENOMEM;
	filter->action = action;
	filter->nevents = (__u32)count;
	filter->fixed_counter_bitmap = fixed_counters;
	filter->flags = flags;
	if (count > 0)
		memcpy(filter->events, events, count * sizeof(*events));
	ret = kvm_ioctl_zero(vm->sys, vm->fd, KVM_SET_PMU_EVENT_FILTER, filter);
	free(filter);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_RANGES_H
#define TESTS_RANGES_H

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/allocator.h>

static inline struct vmm_alloc_ranges *test_ranges(uint64_t first, uint64_t last)
{
	struct vmm_alloc_ranges *ranges = NULL;

	assert_int_equal(vmm_alloc_ranges_new(first, last, &ranges), 0);
	return ranges;
}

/* Take with a policy; NO_PLACE for -ENOSPC, and nothing else is expected. */
#define NO_PLACE UINT64_C(0xdeadbeefdeadbeef)

static inline uint64_t test_take(struct vmm_alloc_ranges *ranges, uint32_t policy,
				 uint64_t len, uint64_t align)
{
	struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;
	uint64_t base = NO_PLACE;
	int ret;

	r.len = len;
	r.align = align;
	r.policy = policy;
	ret = vmm_alloc_ranges_take(ranges, &r, &base);
	if (ret != 0)
		assert_int_equal(ret, -ENOSPC);
	return base;
}

static inline int test_exact(struct vmm_alloc_ranges *ranges, uint64_t at, uint64_t len,
			     uint64_t align)
{
	struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;
	uint64_t base = NO_PLACE;
	int ret;

	r.len = len;
	r.align = align;
	r.at = at;
	r.policy = VMM_ALLOC_EXACT;
	ret = vmm_alloc_ranges_take(ranges, &r, &base);
	assert_true(base == (ret == 0 ? at : NO_PLACE));
	return ret;
}

#endif

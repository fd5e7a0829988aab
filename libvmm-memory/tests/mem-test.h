/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_TEST_H
#define MEM_TEST_H

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <vmm/memory.h>

#define PAGE UINT64_C(4096)

struct mem_test_range {
	uint64_t gpa, len;
	uint32_t flags;
};

/* A table of private regions; asserts that it could be made. */
static inline struct vmm_mem *mem_test_table(const struct mem_test_range *ranges,
					     size_t n)
{
	struct vmm_mem_builder *builder = NULL;
	struct vmm_mem *mem = NULL;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	for (size_t i = 0; i < n; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		struct vmm_error err = { 0 };

		r.gpa = ranges[i].gpa;
		r.len = ranges[i].len;
		r.flags = ranges[i].flags;
		if (vmm_mem_builder_add(builder, &r, &err) < 0)
			fail_msg("%s", err.message);
	}
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	vmm_mem_builder_free(builder);
	return mem;
}

#endif

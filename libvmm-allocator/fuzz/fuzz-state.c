/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/allocator.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		__builtin_trap();
}

static void load_ranges(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
	uint64_t out;
	size_t len = 0;
	uint8_t *again;
	int ret;

	if (vmm_alloc_ranges_new(0x1000, UINT64_MAX, &p) < 0 ||
	    vmm_alloc_ranges_reserve(p, 0x4000, 1) < 0)
		return;
	ret = vmm_alloc_ranges_load(p, data, size, NULL);
	if (ret < 0) {
		check(vmm_alloc_ranges_get_count(p) == 1);
		check(vmm_alloc_ranges_give(p, 0x4000, 1) == 0);
		return;
	}
	/* What was accepted is what would be written. */
	again = malloc(size);
	if (!again)
		return;
	check(vmm_alloc_ranges_save(p, again, size, &len) == 0 && len == size);
	check(memcmp(again, data, size) == 0);
	free(again);
	if (vmm_alloc_ranges_get_largest(p) >= 3) {
		struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;

		r.len = 3;
		r.policy = VMM_ALLOC_BEST;
		check(vmm_alloc_ranges_take(p, &r, &out) == 0);
		check(vmm_alloc_ranges_give(p, out, 3) == 0);
	}
}

static void load_ids(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *p = NULL;
	size_t len = 0;
	uint8_t *again;

	if (vmm_alloc_ids_new(10, 500, &p) < 0 || vmm_alloc_ids_reserve(p, 77) < 0)
		return;
	if (vmm_alloc_ids_load(p, data, size, NULL) < 0) {
		check(vmm_alloc_ids_get_count(p) == 1 && vmm_alloc_ids_is_taken(p, 77));
		return;
	}
	again = malloc(size);
	if (!again)
		return;
	check(vmm_alloc_ids_save(p, again, size, &len) == 0 && len == size);
	check(memcmp(again, data, size) == 0);
	free(again);
}

/* The bytes are a saved state, of either kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	load_ranges(data, size);
	load_ids(data, size);
	return 0;
}

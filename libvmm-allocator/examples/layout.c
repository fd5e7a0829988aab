/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Lays out the MMIO window and the interrupts of a small machine, saves that, and brings
 * it back in another process' stead. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vmm/allocator.h>

static int layout(struct vmm_alloc_ranges *mmio, struct vmm_alloc_ids *gsis)
{
	struct vmm_alloc_request bar = VMM_ALLOC_REQUEST_INIT;
	uint64_t at;
	uint32_t gsi, vectors;

	/* The interrupt controllers and the reset vector have their places. */
	if (vmm_alloc_ranges_reserve(mmio, 0xfec00000, 0x1000) < 0 ||
	    vmm_alloc_ranges_reserve(mmio, 0xfee00000, 0x1000) < 0 ||
	    vmm_alloc_ids_reserve(gsis, 4) < 0)
		return 1;
	/* A BAR of 16 KiB, aligned to its size, below the controllers, from the top. */
	bar.len = 0x4000;
	bar.align = 0x4000;
	bar.max = 0xfebfffff;
	bar.policy = VMM_ALLOC_LAST;
	if (vmm_alloc_ranges_take(mmio, &bar, &at) < 0 ||
	    vmm_alloc_ids_take(gsis, &gsi) < 0 ||
	    vmm_alloc_ids_take_block(gsis, 8, 8, &vectors) < 0)
		return 1;
	printf("BAR at 0x%" PRIx64 ", line %u, vectors %u to %u\n", at, gsi, vectors,
	       vectors + 7);
	return 0;
}

int main(void)
{
	VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *mmio = NULL;
	VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *restored = NULL;
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *gsis = NULL;
	struct vmm_alloc_extent e;
	struct vmm_error err;
	size_t len = 0;
	uint8_t *state;
	int ret = 1;

	if (vmm_alloc_ranges_new(0xc0000000, 0xffffffff, &mmio) < 0 ||
	    vmm_alloc_ranges_new(0xc0000000, 0xffffffff, &restored) < 0 ||
	    vmm_alloc_ids_new(0, 255, &gsis) < 0 || layout(mmio, gsis) != 0)
		return 1;

	state = malloc(vmm_alloc_ranges_get_state_len(mmio));
	if (!state)
		return 1;
	if (vmm_alloc_ranges_save(mmio, state, vmm_alloc_ranges_get_state_len(mmio),
				  &len) < 0)
		goto out;
	if (vmm_alloc_ranges_load(restored, state, len, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		goto out;
	}
	for (uint64_t from = 0; vmm_alloc_ranges_next(restored, from, &e) == 0;
	     from = e.last + 1)
		printf("0x%" PRIx64 " to 0x%" PRIx64 "\n", e.first, e.last);
	ret = vmm_alloc_ranges_get_count(restored) == 3 ? 0 : 1;
out:
	free(state);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/fdt.h>

#include "../tests/overlay-trees.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 4096u

/* A property that was found lies inside of the tree. */
static void check_find(const uint8_t *tree, size_t size, const char *path,
		       const char *name)
{
	const void *value;
	size_t len;

	if (vmm_fdt_find(tree, size, path, name, &value, &len) < 0)
		return;
	if ((const uint8_t *)value < tree || (const uint8_t *)value + len > tree + size)
		__builtin_trap();
}

/* The input as an overlay, and as what one is applied to. */
static void check_overlay(const uint8_t *tree, size_t size, uint8_t *out, size_t room)
{
	static uint64_t base[sizeof(overlay_base) / 8 + 1];
	static uint64_t over[sizeof(overlay_over) / 8 + 1];
	size_t len;

	memcpy(base, overlay_base, sizeof(overlay_base));
	memcpy(over, overlay_over, sizeof(overlay_over));
	if (vmm_fdt_apply_overlay(base, sizeof(overlay_base), tree, size, out, room, &len,
				  NULL) == 0 &&
	    (len > room || vmm_fdt_check(out, len, NULL) < 0))
		__builtin_trap();
	if (vmm_fdt_apply_overlay(tree, size, over, sizeof(overlay_over), out, room, &len,
				  NULL) == 0 &&
	    (len > room || vmm_fdt_check(out, len, NULL) < 0))
		__builtin_trap();
	if (memcmp(base, overlay_base, sizeof(overlay_base)) != 0 ||
	    memcmp(over, overlay_over, sizeof(overlay_over)) != 0)
		__builtin_trap();
}

/* The input is a tree from someone else. What was made of it is a good tree again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_fdt_chosen chosen = VMM_FDT_CHOSEN_INIT;
	uint8_t *tree, *out;
	size_t len;

	if (size > 65536)
		return 0;
	tree = malloc(size + 1);
	out = malloc(size + ROOM);
	if (tree && out) {
		memcpy(tree, data, size);
		chosen.bootargs = "console=ttyAMA0 quiet";
		chosen.initrd = (struct vmm_load_range){ 0x80000000, 4096 };
		chosen.rng_seed = "0123456789abcdef";
		chosen.rng_seed_len = 16;
		chosen.stdout_path = "serial0:115200n8";
		chosen.kaslr_seed = 1;
		if (vmm_fdt_check(tree, size, NULL) == 0) {
			check_find(tree, size, "/", "compatible");
			check_find(tree, size, "/chosen", "bootargs");
			check_find(tree, size, "/cpus/cpu@0", "reg");
		}
		if (vmm_fdt_set_chosen(tree, size, &chosen, out, size + ROOM, &len,
				       NULL) == 0) {
			if (len > size + ROOM)
				__builtin_trap();
			check_find(out, len, "/chosen", "bootargs");
		}
		check_overlay(tree, size, out, size + ROOM);
	}
	free(tree);
	free(out);
	return 0;
}

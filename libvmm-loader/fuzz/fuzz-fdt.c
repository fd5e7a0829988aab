/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/fdt.h>

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
	}
	free(tree);
	free(out);
	return 0;
}

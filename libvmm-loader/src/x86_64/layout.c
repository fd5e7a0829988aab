/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <vmm/loader-x86.h>

#include "../bytes.h"
#include "../plan.h"

#define MIB (UINT64_C(1) << 20)

int vmm_load_x86_ram(uint64_t ram_size,
		     struct vmm_load_range out[VMM_LOAD_X86_RAM_RANGES], size_t *out_n)
{
	if (ram_size < 2 * MIB || ram_size > VMM_LOAD_X86_RAM_MAX || ram_size % 4096)
		return -EINVAL;

	out[0] = (struct vmm_load_range){ 0, ram_size };
	*out_n = 1;
	if (ram_size > VMM_LOAD_X86_GAP) {
		out[0].len = VMM_LOAD_X86_GAP;
		out[1] = (struct vmm_load_range){ VMM_LOAD_X86_GAP + VMM_LOAD_X86_GAP_LEN,
						  ram_size - VMM_LOAD_X86_GAP };
		*out_n = 2;
	}
	return 0;
}

int vmm_load_x86_map(const struct vmm_mem *mem, struct vmm_load_map *out,
		     struct vmm_error *err)
{
	static const struct {
		uint32_t gpa, len, type;
	} low[] = {
		{ 0, VMM_LOAD_X86_LOW_END, VMM_LOAD_MAP_TAKEN },
		{ VMM_LOAD_X86_LOW_END, 0xa0000 - VMM_LOAD_X86_LOW_END,
		  VMM_LOAD_MAP_RESERVED },
		{ 0xa0000, VMM_LOAD_X86_ACPI - 0xa0000, 0 },
		{ VMM_LOAD_X86_ACPI, VMM_LOAD_X86_ACPI_LEN, VMM_LOAD_MAP_ACPI },
		{ VMM_LOAD_X86_SMBIOS, VMM_LOAD_X86_SMBIOS_LEN, VMM_LOAD_MAP_RESERVED },
		{ VMM_LOAD_X86_RESET_VECTOR, VMM_LOAD_X86_RESET_VECTOR_LEN,
		  VMM_LOAD_MAP_RESERVED },
	};
	struct vmm_load_map map = { 0 };
	int ret =
	    load_mem_check_named(mem, 0, MIB, "memory layout", "the first MiB", err);

	if (ret < 0)
		return -EFAULT;
	ret = vmm_load_map_set_mem(&map, mem);
	for (size_t i = 0; i < sizeof(low) / sizeof(low[0]) && ret == 0; i++)
		ret = vmm_load_map_set(&map, low[i].gpa, low[i].len, low[i].type);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, VMM_LOAD_MAP_MAX,
				    vmm_mem_region_count(mem),
				    "memory layout: too many regions");
	*out = map;
	return 0;
}

int vmm_load_x86_e820(const struct vmm_load_map *map, void *buf, size_t max,
		      size_t *out_n)
{
	uint64_t gpa[VMM_LOAD_MAP_MAX], len[VMM_LOAD_MAP_MAX];
	uint32_t types[VMM_LOAD_MAP_MAX], n = 0, type;
	uint8_t *p = buf;

	/* Taken RAM next to RAM is one entry again. */
	for (uint32_t i = 0; i < map->count && i < VMM_LOAD_MAP_MAX; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];

		type = e->type == VMM_LOAD_MAP_TAKEN ? VMM_LOAD_MAP_RAM : e->type;
		if (n && types[n - 1] == type && gpa[n - 1] + len[n - 1] == e->gpa) {
			len[n - 1] += e->len;
			continue;
		}
		gpa[n] = e->gpa;
		len[n] = e->len;
		types[n++] = type;
	}
	if (n > max)
		return -E2BIG;

	for (uint32_t i = 0; i < n; i++, p += VMM_LOAD_E820_LEN) {
		put_le64(p, gpa[i]);
		put_le64(p + 8, len[i]);
		put_le32(p + 16, types[i]);
	}
	*out_n = n;
	return 0;
}

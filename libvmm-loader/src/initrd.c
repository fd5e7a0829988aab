/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>

#include "bytes.h"
#include "plan.h"

#define PAGE UINT64_C(4096)
#define GIB (UINT64_C(1) << 30)

/* First and last address that a window rule leaves. */
static void window(const struct vmm_load_result *k, uint64_t *first, uint64_t *last)
{
	uint64_t from = k->first_gpa & ~(GIB - 1), to = k->last_gpa | (GIB - 1);
	uint64_t span = k->initrd_window;

	*first = 0;
	*last = UINT64_MAX;
	if (span == 0)
		return;
	if (to >= span - 1)
		*first = to - (span - 1);
	if (from <= UINT64_MAX - (span - 1))
		*last = from + (span - 1);
}

/* Below 4 GiB when there is room: every entry of every kernel can reach that. */
static int place(const struct vmm_load_map *map, const struct vmm_load_result *kernel,
		 uint64_t len, uint64_t *out)
{
	uint64_t first, last, low;
	int ret;

	window(kernel, &first, &last);
	if (kernel->initrd_last_max < last)
		last = kernel->initrd_last_max;
	low = last < UINT32_MAX ? last : UINT32_MAX;
	ret = vmm_load_map_find(map, len, PAGE, first, low, out);
	if (ret == -ENOSPC && last > low) {
		ret = vmm_load_map_find(map, len, PAGE, first, last, out);
	}
	return ret;
}

/* An initrd is taken in whole pages, so that nothing shares its last one. */
static uint64_t whole_pages(uint64_t len)
{
	uint64_t pages;

	return align_up(len, PAGE, &pages) ? len : pages;
}

static int place_named(const struct vmm_load_map *map,
		       const struct vmm_load_result *kernel, uint64_t len,
		       const char *name, uint64_t *out, struct vmm_error *err)
{
	int ret;

	if (len == 0)
		return vmm_error_set(err, -EINVAL, "%s: an initrd of 0 bytes", name);
	ret = place(map, kernel, whole_pages(len), out);
	if (ret == 0)
		return 0;
	return vmm_error_at(err, ret, 0, len, 0,
			    "%s: no free guest memory for an initrd of %" PRIu64
			    " bytes below 0x%" PRIx64,
			    name, len, kernel->initrd_last_max);
}

int vmm_load_initrd_place(const struct vmm_load_map *map,
			  const struct vmm_load_result *kernel, uint64_t len,
			  uint64_t *out, struct vmm_error *err)
{
	return place_named(map, kernel, len, "initrd", out, err);
}

int vmm_load_initrd(const struct vmm_mem *mem, struct vmm_load_map *map,
		    const struct vmm_load_result *kernel,
		    const struct vmm_load_source *source, struct vmm_load_range *out,
		    struct vmm_error *err)
{
	struct vmm_load_map taken = *map;
	struct load_input in;
	uint64_t gpa;
	int ret = load_input_open(source, &in, err);

	if (ret == 0)
		ret = place_named(map, kernel, in.size, in.name, &gpa, err);
	if (ret == 0)
		ret = load_mem_check_named(mem, gpa, in.size, in.name, "initrd", err);
	if (ret != 0)
		return ret;
	ret = vmm_load_map_take(&taken, gpa, whole_pages(in.size));
	if (ret < 0)
		return vmm_error_set(err, ret, "%s: the memory map is full", in.name);
	ret = load_input_to_mem(&in, 0, in.size, mem, gpa, err);
	if (ret < 0)
		return ret;

	*map = taken;
	*out = (struct vmm_load_range){ gpa, in.size };
	return 0;
}

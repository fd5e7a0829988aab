/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <vmm/loader.h>

#include "bytes.h"

/* Room for the pieces that carving makes before the limit is checked. */
struct scratch {
	uint32_t count;
	struct vmm_load_map_entry entry[VMM_LOAD_MAP_MAX + 2];
};

static bool is_known(uint32_t type)
{
	return type == 0 || (type >= VMM_LOAD_MAP_RAM && type <= VMM_LOAD_MAP_UNUSABLE) ||
	       type == VMM_LOAD_MAP_TAKEN;
}

static uint64_t entry_last(const struct vmm_load_map_entry *e)
{
	return e->gpa + (e->len - 1);
}

/* Appends in address order and melts equal neighbours together. */
static void append(struct scratch *s, uint64_t gpa, uint64_t last, uint32_t type)
{
	struct vmm_load_map_entry *prev = s->count ? &s->entry[s->count - 1] : NULL;

	if (type == 0)
		return;
	if (prev && prev->type == type && entry_last(prev) + 1 == gpa) {
		prev->len += last - gpa + 1;
		return;
	}
	s->entry[s->count++] =
	    (struct vmm_load_map_entry){ gpa, last - gpa + 1, type, 0 };
}

int vmm_load_map_set(struct vmm_load_map *map, uint64_t gpa, uint64_t len, uint32_t type)
{
	struct scratch s = { 0 };
	bool done = false;
	uint64_t last;

	if (len == 0 || range_last(gpa, len, &last) || !is_known(type))
		return -EINVAL;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];
		uint64_t e_last = entry_last(e);

		if (e->gpa < gpa)
			append(&s, e->gpa, e_last < gpa ? e_last : gpa - 1, e->type);
		if (!done && e_last >= gpa) {
			append(&s, gpa, last, type);
			done = true;
		}
		if (e_last > last)
			append(&s, e->gpa > last ? e->gpa : last + 1, e_last, e->type);
	}
	if (!done)
		append(&s, gpa, last, type);
	if (s.count > VMM_LOAD_MAP_MAX)
		return -E2BIG;

	memcpy(map->entry, s.entry, s.count * sizeof(s.entry[0]));
	map->count = s.count;
	return 0;
}

int vmm_load_map_set_mem(struct vmm_load_map *map, const struct vmm_mem *mem)
{
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_load_map copy = *map;
	size_t n = vmm_mem_region_count(mem);
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		ret = vmm_mem_get_region(mem, i, &region);
		if (ret == 0)
			ret = vmm_load_map_set(&copy, region.gpa, region.len,
					       region.flags & VMM_MEM_READONLY
						   ? VMM_LOAD_MAP_RESERVED
						   : VMM_LOAD_MAP_RAM);
	}
	if (ret == 0)
		*map = copy;
	return ret;
}

/* The entry that holds @p gpa, or NULL. */
static const struct vmm_load_map_entry *find(const struct vmm_load_map *map, uint64_t gpa)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (map->entry[i].gpa <= gpa && gpa <= entry_last(&map->entry[i]))
			return &map->entry[i];
	return NULL;
}

bool vmm_load_map_is(const struct vmm_load_map *map, uint64_t gpa, uint64_t len,
		     uint32_t type)
{
	const struct vmm_load_map_entry *e;
	uint64_t last;

	if (len == 0)
		return true;
	if (range_last(gpa, len, &last))
		return false;
	/* Neighbours of one type are one entry, so one entry has it all or none has. */
	e = find(map, gpa);
	return e && e->type == type && last <= entry_last(e);
}

int vmm_load_map_take(struct vmm_load_map *map, uint64_t gpa, uint64_t len)
{
	const struct vmm_load_map_entry *e;
	uint64_t at = gpa, last;

	if (len == 0)
		return 0;
	if (range_last(gpa, len, &last))
		return -EINVAL;
	if (vmm_load_map_is(map, gpa, len, VMM_LOAD_MAP_RAM))
		return vmm_load_map_set(map, gpa, len, VMM_LOAD_MAP_TAKEN);

	do {
		e = find(map, at);
		if (!e || (e->type != VMM_LOAD_MAP_RAM && e->type != VMM_LOAD_MAP_TAKEN))
			return -EFAULT;
		at = entry_last(e) + 1;
	} while (at && at <= last);
	return -EBUSY;
}

int vmm_load_map_find(const struct vmm_load_map *map, uint64_t len, uint64_t align,
		      uint64_t first, uint64_t last, uint64_t *out)
{
	uint64_t low, high, gpa;

	if (len == 0 || !is_power_of_two(align))
		return -EINVAL;

	for (uint32_t i = map->count; i-- > 0;) {
		const struct vmm_load_map_entry *e = &map->entry[i];

		if (e->type != VMM_LOAD_MAP_RAM)
			continue;
		low = e->gpa > first ? e->gpa : first;
		high = entry_last(e) < last ? entry_last(e) : last;
		if (high < low || high - low < len - 1)
			continue;
		gpa = (high - (len - 1)) & ~(align - 1);
		if (gpa < low)
			continue;
		*out = gpa;
		return 0;
	}
	return -ENOSPC;
}

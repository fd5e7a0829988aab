/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A change works on a copy of the sorted list of ranges and on a new map. Everything
 * that can fail happens before change_commit(), which cannot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

uint32_t ranges_lower(struct bus_range *const *ranges, uint32_t count, uint64_t addr)
{
	uint32_t lo = 0, hi = count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ranges[mid]->last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int change_begin(struct vmm_bus *bus, size_t room, struct bus_change *c)
{
	*c = (struct bus_change){ .count = bus->count };
	if (room > VMM_BUS_RANGES_MAX - bus->count)
		return -E2BIG;
	c->ranges = calloc(bus->count + room + 1, sizeof(struct bus_range *));
	if (!c->ranges)
		return -ENOMEM;
	if (bus->count)
		memcpy(c->ranges, bus->ranges, bus->count * sizeof(struct bus_range *));
	return 0;
}

int change_insert(struct bus_change *c, struct bus_range *range)
{
	uint32_t i = ranges_lower(c->ranges, c->count, range->base);

	if (i < c->count && c->ranges[i]->base <= range->last)
		return -EEXIST;
	memmove(&c->ranges[i + 1], &c->ranges[i],
		(c->count - i) * sizeof(struct bus_range *));
	c->ranges[i] = range;
	c->count++;
	return 0;
}

void change_drop(struct bus_change *c, uint32_t index)
{
	c->count--;
	memmove(&c->ranges[index], &c->ranges[index + 1],
		(c->count - index) * sizeof(struct bus_range *));
}

int change_build(struct vmm_bus *bus, struct bus_change *c)
{
	return map_new(bus->last, c->ranges, c->count, &c->map);
}

/* Clears the marks of the ranges that came or moved, and tells of their hints. */
static void settle(struct vmm_bus *bus)
{
	for (uint32_t i = 0; i < bus->count; i++) {
		struct bus_range *r = bus->ranges[i];

		if (r->fresh || r->moved)
			hints_tell(bus, r, r->base, true);
		r->fresh = false;
		r->moved = false;
	}
}

void change_commit(struct vmm_bus *bus, struct bus_change *c)
{
	struct bus_map *old = bus->map;

	free(bus->ranges);
	bus->ranges = c->ranges;
	bus->count = c->count;
	old->dead = c->dead;
	__atomic_store_n(&bus->map, c->map, __ATOMIC_SEQ_CST);

	for (struct bus_range *r = c->dead; r; r = r->next_dead)
		hints_tell(bus, r, r->base, false);
	for (uint32_t i = 0; i < bus->count; i++) {
		if (bus->ranges[i]->moved)
			hints_tell(bus, bus->ranges[i], bus->ranges[i]->old_base, false);
	}
	settle(bus);
	epoch_retire(bus, old);
}

void change_abort(struct bus_change *c)
{
	free(c->map);
	free(c->ranges);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static size_t lines(size_t bytes)
{
	return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static void entry_fill(struct bus_entry *e, struct bus_range *range)
{
	*e = (struct bus_entry){
		.base = range->base,
		.last = range->last,
		.read = range->ops.read,
		.write = range->ops.write,
		.ctx = range->ctx,
		.range = range,
		.widths = range->widths,
		.flags = range->flags,
	};
}

/* One block: header, entries, starts, table. */
int map_new(uint64_t last, struct bus_range *const *ranges, uint32_t count,
	    struct bus_map **out)
{
	size_t slots = count ? count : 1;
	size_t head = lines(sizeof(struct bus_map));
	size_t entry_bytes = slots * sizeof(struct bus_entry);
	size_t start_bytes = lines(slots * sizeof(uint64_t));
	bool direct = last <= BUS_TABLE_LAST;
	size_t table_bytes = direct ? lines(((size_t)last + 1) * sizeof(uint16_t)) : 0;
	size_t size = head + entry_bytes + start_bytes + table_bytes;
	uint8_t *block = aligned_alloc(CACHE_LINE, size);
	struct bus_map *map = (void *)block;
	struct bus_entry *entries;
	uint64_t *starts;
	uint16_t *table;

	_Static_assert(sizeof(struct bus_entry) == CACHE_LINE, "one line an entry");
	if (!block)
		return -ENOMEM;
	memset(block, 0, size);
	entries = (void *)(block + head);
	starts = (void *)(block + head + entry_bytes);
	table = (void *)(block + head + entry_bytes + start_bytes);

	for (uint32_t i = 0; i < count; i++) {
		entry_fill(&entries[i], ranges[i]);
		starts[i] = ranges[i]->base;
		for (uint64_t a = ranges[i]->base; direct && a <= ranges[i]->last; a++)
			table[a] = (uint16_t)(i + 1);
	}

	map->table = direct ? table : NULL;
	map->starts = starts;
	map->entries = entries;
	map->last = last;
	map->count = count;
	*out = map;
	return 0;
}

void range_free(struct bus_range *range)
{
	free(range->hints);
	free(range);
}

void map_free(struct bus_map *map)
{
	struct bus_range *range = map->dead, *next;

	for (; range; range = next) {
		next = range->next_dead;
		range_free(range);
	}
	free(map);
}

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
	uint32_t lens = 0;

	for (uint32_t len = 1; len <= 8; len *= 2) {
		if (range->widths & len && !(range->flags & VMM_BUS_COUNT))
			lens |= UINT32_C(1) << len;
	}
	*e = (struct bus_entry){
		.base = range->base,
		.last = range->last,
		.read = range->ops.read,
		.write = range->ops.write,
		.ctx = range->ctx,
		.range = range,
		.widths = range->widths,
		.flags = range->flags,
		.plain_lens = lens,
	};
}

/* Where the parts of a map's one block are, and its size. */
struct layout {
	size_t entries, starts, table, buckets, size;
};

/*
 * Buckets are the smallest power of two that needs at most four a range. Where ranges
 * are spread evenly a bucket leaves one or two candidates; at worst, all ranges are in
 * one bucket and the search takes log2(ranges) steps. All searches of a map take as many
 * steps, so that the number of steps is no surprise to the branch predictor either.
 */
static uint32_t bucket_shift(uint64_t span, uint32_t count)
{
	uint32_t shift = 0;

	while (shift < 63 && span >> shift >= 4 * (uint64_t)count)
		shift++;
	return shift;
}

static void lay_out(struct layout *l, const struct bus_map *map, bool direct)
{
	size_t slots = map->count ? map->count : 1;
	size_t buckets = (size_t)(map->span >> map->shift) + 1;

	l->entries = lines(sizeof(struct bus_map));
	l->starts = l->entries + slots * sizeof(struct bus_entry);
	l->table = l->starts + lines(2 * slots * sizeof(uint64_t));
	l->buckets = l->table;
	if (direct)
		l->buckets += lines(((size_t)map->last + 1) * sizeof(uint16_t));
	l->size = l->buckets;
	if (!direct)
		l->size += lines(buckets * sizeof(uint16_t));
}

static void fill_table(uint16_t *table, struct bus_range *const *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint64_t a = ranges[i]->base; a <= ranges[i]->last; a++)
			table[a] = (uint16_t)(i + 1);
	}
}

/* Returns how many entries, at most, start inside a bucket and not at its beginning. */
static uint32_t fill_buckets(uint16_t *buckets, const struct bus_map *map)
{
	uint32_t at = 0, more = 0, n = (uint32_t)(map->span >> map->shift) + 1;

	for (uint32_t b = 0; b < n; b++) {
		uint64_t from = map->first + ((uint64_t)b << map->shift);
		uint64_t to = from + ((UINT64_C(1) << map->shift) - 1);

		if (to < from)
			to = UINT64_MAX;
		while (at + 1 < map->count && map->starts[at + 1] <= from)
			at++;
		buckets[b] = (uint16_t)at;
		while (at + 1 < map->count && map->starts[at + 1] <= to)
			at++;
		more = at - buckets[b] > more ? at - buckets[b] : more;
	}
	return more;
}

int map_new(uint64_t last, struct bus_range *const *ranges, uint32_t count,
	    struct bus_map **out)
{
	struct bus_map head = { .last = last, .count = count };
	bool direct = last <= BUS_TABLE_LAST;
	struct bus_entry *entries;
	struct bus_map *map;
	struct layout l;
	uint64_t *starts;
	uint8_t *block;

	_Static_assert(sizeof(struct bus_entry) == CACHE_LINE, "one line an entry");
	/* An empty map sends address 1 to the zeroed entry, which has only address 0. */
	head.first = 1;
	if (count) {
		head.top = count - 1;
		head.first = ranges[0]->base;
		head.span = ranges[count - 1]->last - head.first;
		head.shift = bucket_shift(head.span, count);
	}
	lay_out(&l, &head, direct);
	block = aligned_alloc(CACHE_LINE, l.size);
	if (!block)
		return -ENOMEM;
	memset(block, 0, l.size);

	map = (void *)block;
	*map = head;
	entries = (void *)(block + l.entries);
	starts = (void *)(block + l.starts);
	for (uint32_t i = 0; i < count; i++) {
		entry_fill(&entries[i], ranges[i]);
		starts[i] = ranges[i]->base;
		starts[count + i] = UINT64_MAX;
	}
	map->entries = entries;
	map->starts = starts;
	if (direct) {
		map->table = (void *)(block + l.table);
		fill_table((void *)(block + l.table), ranges, count);
	} else {
		map->buckets = (void *)(block + l.buckets);
		map->more = fill_buckets((void *)(block + l.buckets), map);
	}
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

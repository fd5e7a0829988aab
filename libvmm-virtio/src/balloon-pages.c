/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which pages are in the balloon, and giving them back to the host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balloon.h"

#define PAGE ((uint64_t)VMM_VIRTIO_BALLOON_PAGE)

static bool test_bit(const struct balloon_map *map, uint64_t bit)
{
	return map->words[bit / 64] >> (bit % 64) & 1;
}

static void set_bit(struct balloon_map *map, uint64_t bit)
{
	map->words[bit / 64] |= UINT64_C(1) << (bit % 64);
	map->set++;
}

int balloon_map_make(const struct vmm_mem *mem, struct balloon_map *out)
{
	size_t n = vmm_mem_region_count(mem);
	struct balloon_map map = { 0 };

	map.regions = calloc(n ? n : 1, sizeof(*map.regions));
	if (!map.regions)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		struct balloon_region *to = &map.regions[map.region_n];

		if (vmm_mem_get_region(mem, i, &r) < 0 ||
		    (r.flags & (VMM_MEM_READONLY | VMM_MEM_ROM)))
			continue;
		to->gpa = r.gpa;
		to->len = r.len;
		to->host = r.host;
		to->page_size = r.page_size > PAGE ? r.page_size : PAGE;
		to->bit = map.word_n * 64;
		map.word_n += (r.len / PAGE + 63) / 64;
		map.all += r.len / PAGE;
		map.region_n++;
	}
	map.words = calloc(map.word_n ? map.word_n : 1, sizeof(*map.words));
	if (!map.words) {
		free(map.regions);
		return -ENOMEM;
	}
	*out = map;
	return 0;
}

void balloon_map_free(struct balloon_map *map)
{
	free(map->regions);
	free(map->words);
}

/* The region that has the page at @p gpa, or NULL. Regions are ordered by address. */
static const struct balloon_region *find(const struct balloon_map *map, uint64_t gpa)
{
	size_t low = 0, high = map->region_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct balloon_region *r = &map->regions[mid];

		if (gpa < r->gpa)
			high = mid;
		else if (gpa - r->gpa >= r->len)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

void balloon_map_carry(const struct balloon_map *from, struct balloon_map *to)
{
	for (size_t i = 0; i < from->region_n; i++) {
		const struct balloon_region *r = &from->regions[i];

		for (uint64_t page = 0; page < r->len / PAGE; page++) {
			uint64_t gpa = r->gpa + page * PAGE;
			const struct balloon_region *new;

			if (!test_bit(from, r->bit + page))
				continue;
			new = find(to, gpa);
			if (new)
				set_bit(to, new->bit + (gpa - new->gpa) / PAGE);
		}
	}
}

int balloon_map_load(struct balloon_map *map, const uint64_t *words, uint64_t n)
{
	uint64_t set = 0;

	if (n != map->word_n || (n > 0 && !words))
		return -EBADMSG;
	for (size_t i = 0; i < map->region_n; i++) {
		const struct balloon_region *r = &map->regions[i];
		uint64_t tail = r->len / PAGE % 64;
		uint64_t last = (r->bit + r->len / PAGE - 1) / 64;

		if (tail && words[last] >> tail)
			return -EBADMSG;
	}
	for (uint64_t i = 0; i < n; i++)
		set += (uint64_t)__builtin_popcountll(words[i]);
	if (n > 0)
		memcpy(map->words, words, n * sizeof(*words));
	map->set = set;
	return 0;
}

static void discard(struct vmm_virtio_balloon *b, uint64_t gpa, uint64_t len)
{
	int ret;

	if (len == 0)
		return;
	ret = b->opts.discard ? b->opts.discard(b->opts.ctx, gpa, len)
			      : vmm_mem_discard(b->opts.mem, gpa, len);
	if (ret == 0)
		b->stats.discarded_bytes += len;
	else
		b->stats.discard_errors++;
}

/* Is all of the host page at @p offset of a region in the balloon? */
static bool host_page_is_full(const struct balloon_map *map,
			      const struct balloon_region *r, uint64_t offset)
{
	uint64_t bit = r->bit + offset / PAGE, n = r->page_size / PAGE;

	for (uint64_t i = 0; i < n; i++) {
		if (!test_bit(map, bit + i))
			return false;
	}
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Put a page in. Returns what can be discarded now, or length 0. */
static uint64_t put_in(struct vmm_virtio_balloon *b, uint32_t pfn, uint64_t *gpa)
{
	const struct balloon_region *r = find(&b->map, pfn * PAGE);
	uint64_t offset, bit;

	if (!r) {
		b->stats.bad_pages++;
		return 0;
	}
	offset = pfn * PAGE - r->gpa;
	bit = r->bit + offset / PAGE;
	if (test_bit(&b->map, bit)) {
		b->stats.repeated++;
		return 0;
	}
	set_bit(&b->map, bit);
	b->stats.inflated++;
	offset -= offset % r->page_size;
	if (r->page_size > PAGE && !host_page_is_full(&b->map, r, offset))
		return 0;
	*gpa = r->gpa + offset;
	return r->page_size;
}

/* Drivers give pages one by one and in any order: sorted, neighbours become one call. */
void balloon_inflate(struct vmm_virtio_balloon *b, uint32_t *pfns, size_t n)
{
	uint64_t start = 0, len = 0, gpa = 0, got;

	qsort(pfns, n, sizeof(*pfns), by_number);
	for (size_t i = 0; i < n; i++) {
		got = put_in(b, pfns[i], &gpa);
		if (got == 0)
			continue;
		if (len > 0 && gpa == start + len) {
			len += got;
			continue;
		}
		discard(b, start, len);
		start = gpa;
		len = got;
	}
	discard(b, start, len);
}

void balloon_deflate(struct vmm_virtio_balloon *b, const uint32_t *pfns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct balloon_region *r = find(&b->map, pfns[i] * PAGE);
		uint64_t bit;

		if (!r) {
			b->stats.bad_pages++;
			continue;
		}
		bit = r->bit + (pfns[i] * PAGE - r->gpa) / PAGE;
		if (!test_bit(&b->map, bit)) {
			b->stats.repeated++;
			continue;
		}
		b->map.words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
		b->map.set--;
		b->stats.deflated++;
	}
}

/* An iovec lies in one region, but says so by host address only. */
static const struct balloon_region *find_host(const struct balloon_map *map,
					      const uint8_t *host)
{
	for (size_t i = 0; i < map->region_n; i++) {
		const struct balloon_region *r = &map->regions[i];

		if (host >= r->host && (uint64_t)(host - r->host) < r->len)
			return r;
	}
	return NULL;
}

void balloon_free_range(struct vmm_virtio_balloon *b, const struct iovec *v, bool hint)
{
	const struct balloon_region *r = find_host(&b->map, v->iov_base);
	uint64_t from, to;

	if (!r) {
		b->stats.bad_pages++;
		return;
	}
	from = (uint64_t)((uint8_t *)v->iov_base - r->host);
	to = from + v->iov_len;
	if (to > r->len)
		to = r->len;
	from = (from + r->page_size - 1) / r->page_size * r->page_size;
	to = to / r->page_size * r->page_size;
	if (from >= to)
		return;
	*(hint ? &b->stats.hinted_bytes : &b->stats.reported_bytes) += to - from;
	if (hint && b->opts.hint)
		b->opts.hint(b->opts.ctx, r->gpa + from, to - from);
	else
		discard(b, r->gpa + from, to - from);
}

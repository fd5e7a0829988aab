/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The saved form, little-endian: a header of 40 bytes, then one extent after the other in
 * rising order.
 *
 *   0  8  magic, also says which kind of pool
 *   8  4  version, 1
 *  12  4  zero
 *  16  8  first of the pool
 *  24  8  last of the pool
 *  32  8  number of extents
 *  40 16  first and last of an extent, both included
 *
 * Extents of addresses are the taken ranges, which may touch; those of ids are maximal
 * runs, which may not: so a pool has one saved form only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAGIC_RANGES UINT64_C(0x00676e72636c6176) /* "valcrng\0" */
#define MAGIC_IDS UINT64_C(0x00736469636c6176)	  /* "valcids\0" */
#define VERSION 1u
#define HEAD_LEN 40u
#define EXTENT_LEN 16u

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

static void put_head(uint8_t *at, uint64_t magic, uint64_t first, uint64_t last,
		     uint64_t count)
{
	put64(at, magic);
	put64(at + 8, VERSION);
	put64(at + 16, first);
	put64(at + 24, last);
	put64(at + 32, count);
}

static int bad(struct vmm_error *err, uint64_t where, uint64_t wanted, uint64_t got,
	       const char *what)
{
	return vmm_error_at(err, -EBADMSG, where, wanted, got,
			    "saved pool, offset %llu: %s", (unsigned long long)where,
			    what);
}

/* Checks the header against a pool; returns 0 and the number of extents. */
static int check_head(const uint8_t *at, size_t len, uint64_t magic, uint64_t first,
		      uint64_t last, uint64_t *out_count, struct vmm_error *err)
{
	uint64_t count;

	if (len < HEAD_LEN)
		return bad(err, 0, HEAD_LEN, len, "too short");
	if (get64(at) != magic)
		return bad(err, 0, magic, get64(at), "not a pool of this kind");
	if (get64(at + 8) != VERSION)
		return bad(err, 8, VERSION, get64(at + 8), "unknown version");
	if (get64(at + 16) != first)
		return bad(err, 16, first, get64(at + 16), "another first");
	if (get64(at + 24) != last)
		return bad(err, 24, last, get64(at + 24), "another last");
	count = get64(at + 32);
	if ((len - HEAD_LEN) % EXTENT_LEN || count != (len - HEAD_LEN) / EXTENT_LEN)
		return bad(err, 32, (len - HEAD_LEN) / EXTENT_LEN, count,
			   "count does not match the length");
	*out_count = count;
	return 0;
}

/* Reads extent i, which lies in [low, last]; @p low is what the one before left. */
static int check_extent(const uint8_t *buf, uint64_t i, uint64_t low, uint64_t last,
			struct vmm_alloc_extent *out, struct vmm_error *err)
{
	uint64_t offset = HEAD_LEN + i * EXTENT_LEN;
	struct vmm_alloc_extent e = { get64(buf + offset), get64(buf + offset + 8) };

	if (e.first < low)
		return bad(err, offset, low, e.first, "extent out of order");
	if (e.last < e.first || e.last > last)
		return bad(err, offset + 8, last, e.last, "extent ends out of bounds");
	*out = e;
	return 0;
}

size_t vmm_alloc_ranges_get_state_len(const struct vmm_alloc_ranges *ranges)
{
	return HEAD_LEN + (size_t)ranges->count * EXTENT_LEN;
}

int vmm_alloc_ranges_save(const struct vmm_alloc_ranges *ranges, void *buf, size_t size,
			  size_t *out_len)
{
	size_t len = vmm_alloc_ranges_get_state_len(ranges);
	uint8_t *at = buf;
	uint32_t n;

	if (size < len)
		return -ENOSPC;
	put_head(at, MAGIC_RANGES, ranges->first, ranges->last, ranges->count);
	at += HEAD_LEN;
	for (n = tree_at(ranges, 0); n != END; n = tree_next(ranges, BY_ADDR, n)) {
		put64(at, ranges->nodes[n].first);
		put64(at + 8, ranges->nodes[n].last);
		at += EXTENT_LEN;
	}
	*out_len = len;
	return 0;
}

static int load_ranges(struct vmm_alloc_ranges *p, const uint8_t *buf, uint64_t count,
		       struct vmm_error *err)
{
	struct vmm_alloc_extent e = { 0, 0 };
	uint64_t low = p->first;

	for (uint64_t i = 0; i < count; i++) {
		/* Behind an extent that ends at 2^64 - 1 there is nothing. */
		int ret =
		    i && e.last == UINT64_MAX
			? bad(err, HEAD_LEN + i * EXTENT_LEN, 0, 0, "extent out of order")
			: check_extent(buf, i, low, p->last, &e, err);

		/* 2^64 addresses are one too many for one range. */
		if (ret == 0 && e.last - e.first == UINT64_MAX)
			ret =
			    bad(err, HEAD_LEN + i * EXTENT_LEN, 0, 0, "extent too long");
		if (ret == 0)
			ret = vmm_alloc_ranges_reserve(p, e.first, e.last - e.first + 1);
		if (ret < 0)
			return ret;
		low = e.last + 1;
	}
	return 0;
}

int vmm_alloc_ranges_load(struct vmm_alloc_ranges *ranges, const void *buf, size_t len,
			  struct vmm_error *err)
{
	struct vmm_alloc_ranges fresh;
	uint64_t count = 0;
	int ret =
	    check_head(buf, len, MAGIC_RANGES, ranges->first, ranges->last, &count, err);

	if (ret < 0)
		return ret;
	if (count > VMM_ALLOC_RANGES_MAX)
		return bad(err, 32, VMM_ALLOC_RANGES_MAX, count, "too many extents");
	ret = ranges_init(&fresh, ranges->first, ranges->last,
			  count < 30 ? 32 : (uint32_t)count + 2);
	if (ret < 0)
		return vmm_error_set(err, ret, "saved pool: out of memory");
	ret = load_ranges(&fresh, buf, count, err);
	if (ret < 0) {
		free(fresh.nodes);
		return ret;
	}
	free(ranges->nodes);
	*ranges = fresh;
	return 0;
}

/* The next maximal run of taken ids from offset @p at on; false if there is none. */
static bool next_run(const struct vmm_alloc_ids *ids, uint32_t *at, uint32_t *end)
{
	*at = ids_find(ids, *at, true);
	if (*at == ids_len(ids))
		return false;
	*end = ids_find(ids, *at, false);
	return true;
}

size_t vmm_alloc_ids_get_state_len(const struct vmm_alloc_ids *ids)
{
	size_t len = HEAD_LEN;
	uint32_t end = 0;

	for (uint32_t at = 0; next_run(ids, &at, &end); at = end)
		len += EXTENT_LEN;
	return len;
}

int vmm_alloc_ids_save(const struct vmm_alloc_ids *ids, void *buf, size_t size,
		       size_t *out_len)
{
	size_t len = vmm_alloc_ids_get_state_len(ids);
	uint32_t end = 0;
	uint8_t *to = buf;

	if (size < len)
		return -ENOSPC;
	put_head(to, MAGIC_IDS, ids->first, ids->last, (len - HEAD_LEN) / EXTENT_LEN);
	to += HEAD_LEN;
	for (uint32_t at = 0; next_run(ids, &at, &end); at = end) {
		put64(to, (uint64_t)ids->first + at);
		put64(to + 8, (uint64_t)ids->first + end - 1);
		to += EXTENT_LEN;
	}
	*out_len = len;
	return 0;
}

static int load_ids(struct vmm_alloc_ids *ids, const uint8_t *buf, uint64_t count,
		    struct vmm_error *err)
{
	uint64_t low = ids->first;

	for (uint64_t i = 0; i < count; i++) {
		struct vmm_alloc_extent e;
		int ret = check_extent(buf, i, low, ids->last, &e, err);

		if (ret < 0)
			return ret;
		ids_mark(ids, (uint32_t)e.first - ids->first,
			 (uint32_t)(e.last - e.first) + 1, true);
		low = e.last + 2;
	}
	return 0;
}

int vmm_alloc_ids_load(struct vmm_alloc_ids *ids, const void *buf, size_t len,
		       struct vmm_error *err)
{
	VMM_CLEANUP(vmm_alloc_ids_free) struct vmm_alloc_ids *fresh = NULL;
	struct vmm_alloc_ids old;
	uint64_t count = 0;
	int ret = check_head(buf, len, MAGIC_IDS, ids->first, ids->last, &count, err);

	if (ret < 0)
		return ret;
	ret = vmm_alloc_ids_new(ids->first, ids->last, &fresh);
	if (ret < 0)
		return vmm_error_set(err, ret, "saved pool: out of memory");
	ret = load_ids(fresh, buf, count, err);
	if (ret < 0)
		return ret;
	old = *ids;
	*ids = *fresh;
	*fresh = old;
	return 0;
}

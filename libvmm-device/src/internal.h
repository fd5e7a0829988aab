/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DEVICE_INTERNAL_H
#define DEVICE_INTERNAL_H

#include <pthread.h>

#include <vmm/device.h>

#define CACHE_LINE 64u
/* Places for plain dispatch calls: as many may be under way without waiting. */
#define BUS_SLOTS 128u
/* A bus whose last address is at most this has a direct table. */
#define BUS_TABLE_LAST UINT16_MAX

/*
 * A place in which one thread at a time dispatches. seq is odd while it does, and moves
 * on with each entry and exit, so that a change can tell "left since I looked" from
 * "still there" without the thread's help.
 */
struct bus_slot {
	uint64_t seq;
	/* What a grace period saw in seq; under the bus' lock. */
	uint64_t gp_seq;
	/* Written by the slot's thread alone. */
	uint64_t unclaimed;
	uint64_t refused;
} __attribute__((aligned(CACHE_LINE)));

struct vmm_bus_reader {
	struct bus_slot slot;
	struct vmm_bus *bus;
	bool used;
	/* Fixed once the reader is in the list; readers are reused, not freed. */
	struct vmm_bus_reader *next;
};

/* A registered range; under the bus' lock but for the counters. */
struct bus_range {
	uint64_t base, last;
	struct vmm_bus_ops ops;
	void *ctx;
	const void *owner;
	uint32_t widths, flags;
	struct vmm_bus_hint *hints;
	size_t hint_count;
	/* Relaxed atomics. */
	uint64_t reads, writes, refused;
	/* Of the ranges that left with one map. */
	struct bus_range *next_dead;
	/* During a change: comes with it, moves with it. */
	bool fresh, moved;
	uint64_t old_base;
};

/* What dispatch needs of a range: one cache line. */
struct bus_entry {
	uint64_t base, last;
	void (*read)(void *ctx, uint64_t offset, void *data, size_t len);
	void (*write)(void *ctx, uint64_t offset, const void *data, size_t len);
	void *ctx;
	struct bus_range *range;
	uint32_t widths, flags;
	/* Bit n: an access of n bytes is allowed, and nothing has to be counted. */
	uint32_t plain_lens;
	uint32_t reserved_;
};

/* Immutable once published. */
struct bus_map {
	/* Small bus: the range of an address is entries[table[addr] - 1]; else NULL. */
	const uint16_t *table;
	/* Addresses from first to first + span, cut into buckets of 2^shift. */
	uint64_t first, span;
	uint32_t shift, count;
	/* The last entry; 0 if there is none. */
	uint32_t top;
	/* The last entry that starts at or before the bucket. An address of the bucket is
	 * in that one or in one of the next `more`. */
	const uint16_t *buckets;
	uint32_t more;
	/* starts[i] is entries[i].base, packed for the search; as many again are
	 * UINT64_MAX, so that every search may look at as many. */
	const uint64_t *starts;
	const struct bus_entry *entries;
	uint64_t last;
	/* Retired maps, oldest first, and what was removed with each. */
	struct bus_map *next_retired;
	uint64_t stamp;
	struct bus_range *dead;
};

struct vmm_bus {
	/* The map in force; atomic. */
	struct bus_map *map;
	uint64_t last;
	/* Readers rely on membarrier(2) instead of an ordered store. */
	bool light;

	/* Guards everything below, and changes of map. */
	pthread_mutex_t lock;
	/* Sorted by base. */
	struct bus_range **ranges;
	uint32_t count;
	struct vmm_bus_listener listener;
	void *listener_ctx;
	/* membarrier(2) failed: nothing retired is released any more. */
	bool stuck;
	bool gp_running;
	uint64_t gp_stamp;
	uint64_t stamp;
	struct bus_map *retired, **retired_end;

	/* Atomic head, changed under the lock. */
	struct vmm_bus_reader *readers;
	struct bus_slot slots[BUS_SLOTS];
};

/* A new state of the map that is made, then put in force or dropped. */
struct bus_change {
	struct bus_range **ranges;
	uint32_t count;
	struct bus_map *map;
	/* Ranges that leave with the change. */
	struct bus_range *dead;
};

/* copy.c: take a caller's structure of src_size bytes into ours. */
int copy_sized(void *dst, size_t dst_size, const void *src);

/* map.c */
int map_new(uint64_t last, struct bus_range *const *ranges, uint32_t count,
	    struct bus_map **out);
void map_free(struct bus_map *map);

/* The entry that has @p addr, or NULL. */
static inline const struct bus_entry *map_find(const struct bus_map *map, uint64_t addr)
{
	const struct bus_entry *e;
	const uint64_t *s;
	size_t at;

	if (map->table) {
		at = addr <= map->last ? map->table[addr] : 0;
		return at ? &map->entries[at - 1] : NULL;
	}
	/* Below first, the difference wraps to more than any span. */
	if (addr - map->first > map->span)
		return NULL;
	s = &map->starts[map->buckets[(addr - map->first) >> map->shift]];
	/* No branch on the data: a guest's next address cannot be predicted. */
	for (uint32_t n = map->more + 1; n > 1;) {
		uint32_t half = n / 2;

		s += half & -(uint64_t)(s[half] <= addr);
		n -= half;
	}
	/* Only for address UINT64_MAX can it have stepped past the last one. */
	at = (size_t)(s - map->starts);
	e = &map->entries[at < map->top ? at : map->top];
	return addr - e->base <= e->last - e->base ? e : NULL;
}

/* epoch.c: who may still look at which map. */
void epoch_init(struct vmm_bus *bus);
static inline bool slot_try(struct bus_slot *s, uint64_t seq)
{
	return !(seq & 1) &&
	       __atomic_compare_exchange_n(&s->seq, &seq, seq + 1, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Finds a free slot, from @p first on. */
struct bus_slot *slot_claim(struct vmm_bus *bus, uint32_t first, uint64_t *out_seq);
void epoch_retire(struct vmm_bus *bus, struct bus_map *map);
void epoch_release_all(struct vmm_bus *bus);
void range_free(struct bus_range *range);

/* change.c; all under the bus' lock. */
int change_begin(struct vmm_bus *bus, size_t room, struct bus_change *c);
int change_insert(struct bus_change *c, struct bus_range *range);
void change_drop(struct bus_change *c, uint32_t index);
int change_build(struct vmm_bus *bus, struct bus_change *c);
void change_commit(struct vmm_bus *bus, struct bus_change *c);
void change_abort(struct bus_change *c);
/* The index of the first range that ends at or behind @p addr; count if there is none. */
uint32_t ranges_lower(struct bus_range *const *ranges, uint32_t count, uint64_t addr);

/* bus.c; under the bus' lock. A prepared batch is committed or dropped. */
int batch_prepare(struct vmm_bus *bus, const struct vmm_bus_range *ranges, size_t count,
		  struct bus_change *c, struct vmm_error *err);
void batch_drop(struct bus_change *c);

/* hint.c */
int hints_copy(const struct vmm_bus_hint *hints, size_t count, uint64_t range_len_1,
	       struct vmm_bus_hint **out);
void hints_tell(const struct vmm_bus *bus, const struct bus_range *range, uint64_t base,
		bool added);

#endif

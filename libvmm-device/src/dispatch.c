/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "internal.h"

/* An access under way. Exactly one of in and out is set. */
struct access {
	struct bus_slot *slot;
	const struct bus_map *map;
	uint8_t *in;
	const uint8_t *out;
};

static void count_up(uint64_t *counter)
{
	/* The slot has one writer; a reader of the counter may be one behind. */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static bool width_ok(const struct bus_entry *e, size_t len)
{
	return len <= 8 && (len & (len - 1)) == 0 && (e->widths & len);
}

static void deliver(const struct access *a, const struct bus_entry *e, uint64_t addr,
		    size_t at, size_t len)
{
	if (e->flags & VMM_BUS_COUNT)
		(void)__atomic_fetch_add(a->in ? &e->range->reads : &e->range->writes, 1,
					 __ATOMIC_RELAXED);
	if (a->in) {
		if (e->read)
			e->read(e->ctx, addr - e->base, a->in + at, len);
	} else if (e->write) {
		e->write(e->ctx, addr - e->base, a->out + at, len);
	}
}

static void refuse(const struct access *a, const struct bus_entry *e)
{
	count_up(&a->slot->refused);
	if (e->flags & VMM_BUS_COUNT)
		(void)__atomic_fetch_add(&e->range->refused, 1, __ATOMIC_RELAXED);
}

/* The largest naturally aligned piece at addr of at most len bytes. */
static size_t piece_len(uint64_t addr, size_t len)
{
	size_t piece = 8;

	while (piece > len || addr & (piece - 1))
		piece /= 2;
	return piece;
}

/* One range's share of an access: all at once if it is a width, else cut up. */
static void deliver_share(const struct access *a, const struct bus_entry *e,
			  uint64_t addr, size_t at, size_t len)
{
	size_t end = at + len, piece;

	if (width_ok(e, len)) {
		deliver(a, e, addr, at, len);
		return;
	}
	if (len <= 8 && (len & (len - 1)) == 0) {
		refuse(a, e);
		return;
	}
	for (; at < end; at += piece, addr += piece) {
		piece = piece_len(addr, end - at);
		if (width_ok(e, piece))
			deliver(a, e, addr, at, piece);
		else
			refuse(a, e);
	}
}

/* Whatever is not one access of an allowed width inside one range. */
static bool dispatch_slow(const struct access *a, const struct bus_entry *e,
			  uint64_t addr, size_t len)
{
	size_t at = 0;

	if (!e) {
		count_up(&a->slot->unclaimed);
		return false;
	}
	if (len - 1 > e->last - addr && !(e->flags & VMM_BUS_SPLIT)) {
		refuse(a, e);
		return true;
	}
	for (;;) {
		uint64_t room = e->last - addr;
		size_t share = len - at - 1 > room ? (size_t)room + 1 : len - at;

		deliver_share(a, e, addr, at, share);
		at += share;
		/* A range that ends at 2^64 - 1 has no neighbour: addr would wrap. */
		if (at == len || e->last == UINT64_MAX)
			return true;
		addr = e->last + 1;
		e = map_find(a->map, addr);
		if (!e || !(e->flags & VMM_BUS_SPLIT))
			return true;
	}
}

static void fill_ones(void *data, size_t len)
{
	static const uint64_t ones = UINT64_MAX;

	switch (len) {
	case 1:
		memcpy(data, &ones, 1);
		break;
	case 2:
		memcpy(data, &ones, 2);
		break;
	case 4:
		memcpy(data, &ones, 4);
		break;
	case 8:
		memcpy(data, &ones, 8);
		break;
	default:
		memset(data, 0xff, len);
	}
}

/* Whether the entry takes the access as it is, without anything to count. */
static bool plain(const struct bus_entry *e, uint64_t addr, size_t len)
{
	return len <= 8 && e->plain_lens >> len & 1 && len - 1 <= e->last - addr;
}

static __attribute__((noinline)) bool read_slow(struct bus_slot *slot,
						const struct bus_map *map,
						const struct bus_entry *e, uint64_t addr,
						void *data, size_t len)
{
	struct access a = { .slot = slot, .map = map, .in = data };

	return len ? dispatch_slow(&a, e, addr, len) : e != NULL;
}

static __attribute__((noinline)) bool write_slow(struct bus_slot *slot,
						 const struct bus_map *map,
						 const struct bus_entry *e, uint64_t addr,
						 const void *data, size_t len)
{
	struct access a = { .slot = slot, .map = map, .out = data };

	return len ? dispatch_slow(&a, e, addr, len) : e != NULL;
}

static inline bool dispatch_read(struct bus_slot *slot, const struct bus_map *map,
				 uint64_t addr, void *data, size_t len)
{
	const struct bus_entry *e = map_find(map, addr);

	fill_ones(data, len);
	if (!e || !plain(e, addr, len) || !e->read)
		return read_slow(slot, map, e, addr, data, len);
	e->read(e->ctx, addr - e->base, data, len);
	return true;
}

static inline bool dispatch_write(struct bus_slot *slot, const struct bus_map *map,
				  uint64_t addr, const void *data, size_t len)
{
	const struct bus_entry *e = map_find(map, addr);

	if (!e || !plain(e, addr, len) || !e->write)
		return write_slow(slot, map, e, addr, data, len);
	e->write(e->ctx, addr - e->base, data, len);
	return true;
}

static const struct bus_map *current_map(const struct vmm_bus *bus)
{
	return __atomic_load_n(&bus->map, __ATOMIC_SEQ_CST);
}

/* Threads start at different slots: the top bits of a multiplicative hash. */
static inline struct bus_slot *slot_enter(struct vmm_bus *bus, uint64_t *out_seq)
{
	uint64_t self = (uint64_t)(uintptr_t)pthread_self();
	uint32_t first = (uint32_t)(self * UINT64_C(0x9e3779b97f4a7c15) >> 57);
	struct bus_slot *s = &bus->slots[first];

	_Static_assert(BUS_SLOTS == 1u << (64 - 57), "the hash yields an index");
	*out_seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
	return slot_try(s, *out_seq) ? s : slot_claim(bus, first, out_seq);
}

static inline void slot_leave(struct bus_slot *slot, uint64_t seq)
{
	__atomic_store_n(&slot->seq, seq + 2, __ATOMIC_RELEASE);
}

/* Returns the seq from before; odd inside a callback of an outer dispatch, which then
 * leaves for both. See epoch.c for why a plain store is enough. */
static inline uint64_t reader_enter(struct vmm_bus_reader *reader)
{
	struct bus_slot *slot = &reader->slot;
	uint64_t seq = slot->seq;

	if (seq & 1)
		return seq;
	if (reader->bus->light) {
		__atomic_store_n(&slot->seq, seq + 1, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} else {
		(void)__atomic_exchange_n(&slot->seq, seq + 1, __ATOMIC_SEQ_CST);
	}
	return seq;
}

static inline void reader_leave(struct vmm_bus_reader *reader, uint64_t seq)
{
	if (!(seq & 1))
		slot_leave(&reader->slot, seq);
}

bool vmm_bus_read(struct vmm_bus *bus, uint64_t addr, void *data, size_t len)
{
	uint64_t seq;
	struct bus_slot *slot = slot_enter(bus, &seq);
	bool found = dispatch_read(slot, current_map(bus), addr, data, len);

	slot_leave(slot, seq);
	return found;
}

bool vmm_bus_write(struct vmm_bus *bus, uint64_t addr, const void *data, size_t len)
{
	uint64_t seq;
	struct bus_slot *slot = slot_enter(bus, &seq);
	bool found = dispatch_write(slot, current_map(bus), addr, data, len);

	slot_leave(slot, seq);
	return found;
}

bool vmm_bus_reader_read(struct vmm_bus_reader *reader, uint64_t addr, void *data,
			 size_t len)
{
	uint64_t seq = reader_enter(reader);
	bool found =
	    dispatch_read(&reader->slot, current_map(reader->bus), addr, data, len);

	reader_leave(reader, seq);
	return found;
}

bool vmm_bus_reader_write(struct vmm_bus_reader *reader, uint64_t addr, const void *data,
			  size_t len)
{
	uint64_t seq = reader_enter(reader);
	bool found =
	    dispatch_write(&reader->slot, current_map(reader->bus), addr, data, len);

	reader_leave(reader, seq);
	return found;
}

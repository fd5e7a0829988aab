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

static bool dispatch_read(struct bus_slot *slot, const struct bus_map *map, uint64_t addr,
			  void *data, size_t len)
{
	const struct bus_entry *e = map_find(map, addr);
	struct access a = { .slot = slot, .map = map, .in = data };

	memset(data, 0xff, len);
	if (e && width_ok(e, len) && len - 1 <= e->last - addr) {
		deliver(&a, e, addr, 0, len);
		return true;
	}
	return len ? dispatch_slow(&a, e, addr, len) : e != NULL;
}

static bool dispatch_write(struct bus_slot *slot, const struct bus_map *map,
			   uint64_t addr, const void *data, size_t len)
{
	const struct bus_entry *e = map_find(map, addr);
	struct access a = { .slot = slot, .map = map, .out = data };

	if (e && width_ok(e, len) && len - 1 <= e->last - addr) {
		deliver(&a, e, addr, 0, len);
		return true;
	}
	return len ? dispatch_slow(&a, e, addr, len) : e != NULL;
}

static const struct bus_map *current_map(const struct vmm_bus *bus)
{
	return __atomic_load_n(&bus->map, __ATOMIC_SEQ_CST);
}

static void slot_leave(struct bus_slot *slot)
{
	__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
}

/* See epoch.c for why a plain store is enough. */
static void reader_enter(struct vmm_bus_reader *reader)
{
	struct bus_slot *slot = &reader->slot;

	if (reader->depth++)
		return;
	if (reader->bus->light) {
		__atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	} else {
		(void)__atomic_exchange_n(&slot->seq, slot->seq + 1, __ATOMIC_SEQ_CST);
	}
}

static void reader_leave(struct vmm_bus_reader *reader)
{
	if (--reader->depth == 0)
		slot_leave(&reader->slot);
}

bool vmm_bus_read(struct vmm_bus *bus, uint64_t addr, void *data, size_t len)
{
	struct bus_slot *slot = slot_claim(bus);
	bool found = dispatch_read(slot, current_map(bus), addr, data, len);

	slot_leave(slot);
	return found;
}

bool vmm_bus_write(struct vmm_bus *bus, uint64_t addr, const void *data, size_t len)
{
	struct bus_slot *slot = slot_claim(bus);
	bool found = dispatch_write(slot, current_map(bus), addr, data, len);

	slot_leave(slot);
	return found;
}

bool vmm_bus_reader_read(struct vmm_bus_reader *reader, uint64_t addr, void *data,
			 size_t len)
{
	bool found;

	reader_enter(reader);
	found = dispatch_read(&reader->slot, current_map(reader->bus), addr, data, len);
	reader_leave(reader);
	return found;
}

bool vmm_bus_reader_write(struct vmm_bus_reader *reader, uint64_t addr, const void *data,
			  size_t len)
{
	bool found;

	reader_enter(reader);
	found = dispatch_write(&reader->slot, current_map(reader->bus), addr, data, len);
	reader_leave(reader);
	return found;
}

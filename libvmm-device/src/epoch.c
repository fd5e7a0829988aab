/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * When a map that was replaced may be released.
 *
 * A dispatching thread makes its slot's seq odd, loads the map, calls the device and
 * makes seq even. The store of seq must be ordered before the load of the map, against
 * the change's store of the map before its load of seq. The plain calls claim a shared
 * slot with a compare-and-swap, which orders. A reader's slot has one writer: it uses a
 * plain store, and the change pays with membarrier(2) instead, which makes every thread
 * of the process pass a full barrier. Without membarrier(2) readers exchange.
 *
 * So a change that has published its map, passed the barrier, and then sees a seq that
 * is even or that has moved on, knows that this slot holds no older map.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static long membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0);
}

void epoch_init(struct vmm_bus *bus)
{
	bus->retired_end = &bus->retired;
	bus->light = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

/* A forked child has lost the registration: try once more with it. */
static bool heavy_barrier(struct vmm_bus *bus)
{
	if (!bus->light)
		return true;
	return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0 ||
	       (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0);
}

struct bus_slot *slot_claim(struct vmm_bus *bus, uint32_t first, uint64_t *out_seq)
{
	for (;;) {
		for (uint32_t i = 0; i < BUS_SLOTS; i++) {
			struct bus_slot *s = &bus->slots[(first + i) % BUS_SLOTS];

			*out_seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
			if (slot_try(s, *out_seq))
				return s;
		}
		(void)sched_yield();
	}
}

/* Visit every slot: the shared ones, then the readers'. */
static struct bus_slot *slot_next(struct vmm_bus *bus, struct vmm_bus_reader **reader,
				  uint32_t *index)
{
	struct vmm_bus_reader *r;

	if (*index < BUS_SLOTS)
		return &bus->slots[(*index)++];
	if ((*index)++ == BUS_SLOTS)
		*reader = __atomic_load_n(&bus->readers, __ATOMIC_ACQUIRE);
	r = *reader;
	if (!r)
		return NULL;
	*reader = r->next;
	return &r->slot;
}

static void release_upto(struct vmm_bus *bus, uint64_t stamp)
{
	while (bus->retired && bus->retired->stamp <= stamp) {
		struct bus_map *map = bus->retired;

		bus->retired = map->next_retired;
		map_free(map);
	}
	if (!bus->retired)
		bus->retired_end = &bus->retired;
}

static bool gp_passed(struct vmm_bus *bus)
{
	struct vmm_bus_reader *reader = NULL;
	struct bus_slot *s;
	uint32_t i = 0;

	while ((s = slot_next(bus, &reader, &i))) {
		if (s->gp_seq & 1 &&
		    __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST) == s->gp_seq)
			return false;
	}
	return true;
}

static bool gp_start(struct vmm_bus *bus)
{
	struct vmm_bus_reader *reader = NULL;
	struct bus_slot *s;
	uint32_t i = 0;

	if (!heavy_barrier(bus)) {
		bus->stuck = true;
		return false;
	}
	while ((s = slot_next(bus, &reader, &i)))
		s->gp_seq = __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST);
	bus->gp_stamp = bus->stamp;
	bus->gp_running = true;
	return true;
}

/*
 * Release what can be released without waiting. A guest that moves a BAR over and over
 * does so from inside a callback, whose own slot is never even here; but it has moved on
 * by the next time, so at most a few maps wait.
 */
static void gp_poll(struct vmm_bus *bus)
{
	for (int i = 0; i < 2 && bus->retired && !bus->stuck; i++) {
		if (!bus->gp_running && !gp_start(bus))
			return;
		if (!gp_passed(bus))
			return;
		release_upto(bus, bus->gp_stamp);
		bus->gp_running = false;
	}
}

void epoch_retire(struct vmm_bus *bus, struct bus_map *map)
{
	map->stamp = ++bus->stamp;
	map->next_retired = NULL;
	*bus->retired_end = map;
	bus->retired_end = &map->next_retired;
	gp_poll(bus);
}

void epoch_release_all(struct vmm_bus *bus)
{
	release_upto(bus, UINT64_MAX);
}

/* The lock is not held while waiting: a callback that is waited for may want it. */
int vmm_bus_synchronize(struct vmm_bus *bus)
{
	struct vmm_bus_reader *reader = NULL;
	struct bus_slot *s;
	uint64_t stamp;
	uint32_t i = 0;

	(void)pthread_mutex_lock(&bus->lock);
	stamp = bus->stamp;
	(void)pthread_mutex_unlock(&bus->lock);

	if (!heavy_barrier(bus))
		return -EOPNOTSUPP;
	while ((s = slot_next(bus, &reader, &i))) {
		struct timespec nap = { .tv_nsec = 1000 };
		uint64_t seq = __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST);

		while (seq & 1 && __atomic_load_n(&s->seq, __ATOMIC_SEQ_CST) == seq) {
			(void)nanosleep(&nap, NULL);
			if (nap.tv_nsec < 1000000)
				nap.tv_nsec *= 2;
		}
	}

	(void)pthread_mutex_lock(&bus->lock);
	release_upto(bus, stamp);
	(void)pthread_mutex_unlock(&bus->lock);
	return 0;
}

int vmm_bus_reader_new(struct vmm_bus *bus, struct vmm_bus_reader **out)
{
	struct vmm_bus_reader *r;

	(void)pthread_mutex_lock(&bus->lock);
	for (r = bus->readers; r && r->used; r = r->next)
		;
	if (!r) {
		r = aligned_alloc(CACHE_LINE, sizeof(*r));
		if (r) {
			*r = (struct vmm_bus_reader){ .bus = bus, .next = bus->readers };
			__atomic_store_n(&bus->readers, r, __ATOMIC_RELEASE);
		}
	}
	if (r)
		r->used = true;
	(void)pthread_mutex_unlock(&bus->lock);
	if (!r)
		return -ENOMEM;
	*out = r;
	return 0;
}

void vmm_bus_reader_free(struct vmm_bus_reader *reader)
{
	if (!reader)
		return;
	(void)pthread_mutex_lock(&reader->bus->lock);
	reader->used = false;
	(void)pthread_mutex_unlock(&reader->bus->lock);
}

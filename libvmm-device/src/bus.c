/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void lock(struct vmm_bus *bus)
{
	(void)pthread_mutex_lock(&bus->lock);
}

static void unlock(struct vmm_bus *bus)
{
	(void)pthread_mutex_unlock(&bus->lock);
}

int vmm_bus_new(uint64_t last, struct vmm_bus **out)
{
	struct vmm_bus *bus = aligned_alloc(CACHE_LINE, sizeof(*bus));
	int ret;

	if (!bus)
		return -ENOMEM;
	memset(bus, 0, sizeof(*bus));
	bus->last = last;
	ret = map_new(last, NULL, 0, &bus->map);
	if (ret < 0) {
		free(bus);
		return ret;
	}
	(void)pthread_mutex_init(&bus->lock, NULL);
	epoch_init(bus);
	*out = bus;
	return 0;
}

void vmm_bus_free(struct vmm_bus *bus)
{
	struct vmm_bus_reader *r, *next;

	if (!bus)
		return;
	epoch_release_all(bus);
	for (uint32_t i = 0; i < bus->count; i++)
		range_free(bus->ranges[i]);
	for (r = bus->readers; r; r = next) {
		next = r->next;
		free(r);
	}
	map_free(bus->map);
	free(bus->ranges);
	(void)pthread_mutex_destroy(&bus->lock);
	free(bus);
}

/* A range's description, taken in and judged. */
static int range_new(const struct vmm_bus *bus, const struct vmm_bus_range *desc,
		     struct bus_range **out)
{
	struct vmm_bus_range d;
	struct bus_range *r;
	int ret = copy_sized(&d, sizeof(d), desc);

	if (ret < 0)
		return ret;
	if (d.len == 0 || d.base > bus->last || d.len - 1 > bus->last - d.base ||
	    d.widths & ~VMM_BUS_WIDTH_ANY || d.flags & ~(VMM_BUS_SPLIT | VMM_BUS_COUNT))
		return -EINVAL;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	if (d.ops)
		ret = copy_sized(&r->ops, sizeof(r->ops), d.ops);
	if (ret == 0)
		ret = hints_copy(d.hints, d.hint_count, d.len - 1, &r->hints);
	if (ret < 0) {
		range_free(r);
		return ret;
	}
	r->base = d.base;
	r->last = d.base + (d.len - 1);
	r->ctx = d.ctx;
	r->owner = d.owner ? d.owner : d.ctx;
	r->widths = d.widths ? d.widths : VMM_BUS_WIDTH_ANY;
	r->flags = d.flags;
	r->hint_count = d.hint_count;
	r->fresh = true;
	*out = r;
	return 0;
}

static const char *why(int code)
{
	switch (code) {
	case -EINVAL:
		return "empty, beyond the bus, or malformed";
	case -EEXIST:
		return "overlaps another range";
	case -EBUSY:
		return "belongs to another owner";
	case -ENOENT:
		return "is not there";
	case -E2BIG:
		return "is over a limit";
	default:
		return "out of memory";
	}
}

static int fail(struct vmm_error *err, int code, uint64_t base)
{
	return vmm_error_at(err, code, base, 0, 0, "range at 0x%llx: %s",
			    (unsigned long long)base, why(code));
}

/* Puts the batch into the change; on failure none of it is left allocated. */
static int insert_batch(const struct vmm_bus *bus, struct bus_change *c,
			const struct vmm_bus_range *ranges, size_t count,
			struct vmm_error *err)
{
	const uint8_t *at = (const uint8_t *)ranges;
	int ret = 0;

	for (size_t i = 0; i < count; i++, at += ranges[0].size) {
		const struct vmm_bus_range *desc = (const void *)at;
		struct bus_range *r = NULL;

		ret = desc->size == ranges[0].size ? range_new(bus, desc, &r) : -EINVAL;
		if (ret == 0)
			ret = change_insert(c, r);
		if (ret < 0) {
			if (r)
				range_free(r);
			return fail(err, ret, desc->base);
		}
	}
	return 0;
}

int batch_prepare(struct vmm_bus *bus, const struct vmm_bus_range *ranges, size_t count,
		  struct bus_change *c, struct vmm_error *err)
{
	int ret = change_begin(bus, count, c);

	if (ret < 0)
		return fail(err, ret, ranges[0].base);
	ret = insert_batch(bus, c, ranges, count, err);
	if (ret == 0) {
		ret = change_build(bus, c);
		if (ret < 0)
			ret = fail(err, ret, ranges[0].base);
	}
	if (ret < 0)
		batch_drop(c);
	return ret;
}

void batch_drop(struct bus_change *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		if (c->ranges[i]->fresh)
			range_free(c->ranges[i]);
	}
	change_abort(c);
}

int vmm_bus_add_ranges(struct vmm_bus *bus, const struct vmm_bus_range *ranges,
		       size_t count, struct vmm_error *err)
{
	struct bus_change c;
	int ret;

	if (count == 0)
		return 0;
	lock(bus);
	ret = batch_prepare(bus, ranges, count, &c, err);
	if (ret == 0)
		change_commit(bus, &c);
	unlock(bus);
	return ret;
}

int vmm_bus_add(struct vmm_bus *bus, uint64_t base, uint64_t len,
		const struct vmm_bus_ops *ops, void *ctx)
{
	struct vmm_bus_range range = VMM_BUS_RANGE_INIT;

	range.base = base;
	range.len = len;
	range.ops = ops;
	range.ctx = ctx;
	return vmm_bus_add_ranges(bus, &range, 1, NULL);
}

/* The range that starts at base, if it is the owner's. */
static int owned(struct bus_range *const *ranges, uint32_t count, uint64_t base,
		 const void *owner, uint32_t *out)
{
	uint32_t i = ranges_lower(ranges, count, base);

	if (i == count || ranges[i]->base != base)
		return -ENOENT;
	if (ranges[i]->owner != owner)
		return -EBUSY;
	*out = i;
	return 0;
}

static void bury(struct bus_change *c, uint32_t index)
{
	struct bus_range *r = c->ranges[index];

	r->next_dead = c->dead;
	c->dead = r;
	change_drop(c, index);
}

static int finish(struct vmm_bus *bus, struct bus_change *c)
{
	int ret = change_build(bus, c);

	if (ret < 0)
		change_abort(c);
	else
		change_commit(bus, c);
	return ret;
}

int vmm_bus_remove(struct vmm_bus *bus, uint64_t base, const void *owner)
{
	struct bus_change c;
	uint32_t i = 0;
	int ret;

	lock(bus);
	ret = owned(bus->ranges, bus->count, base, owner, &i);
	if (ret == 0)
		ret = change_begin(bus, 0, &c);
	if (ret == 0) {
		bury(&c, i);
		ret = finish(bus, &c);
	}
	unlock(bus);
	return ret;
}

int vmm_bus_remove_owner(struct vmm_bus *bus, const void *owner, size_t *out_count)
{
	struct bus_change c;
	size_t found = 0;
	int ret;

	lock(bus);
	ret = change_begin(bus, 0, &c);
	if (ret < 0)
		goto out;
	for (uint32_t i = c.count; i-- > 0;) {
		if (c.ranges[i]->owner == owner) {
			bury(&c, i);
			found++;
		}
	}
	if (found) {
		ret = finish(bus, &c);
	} else {
		change_abort(&c);
		ret = -ENOENT;
	}
	if (ret == 0 && out_count)
		*out_count = found;
out:
	unlock(bus);
	return ret;
}

/* Takes the ranges that move out of the list, so that they can go to each other's
 * places; their new bases are noted in the ranges only when all are found. */
static int lift(const struct vmm_bus *bus, struct bus_change *c,
		const struct vmm_bus_move *moves, size_t count, const void *owner,
		struct bus_range **lifted, struct vmm_error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct bus_range *r;
		uint32_t at = 0;
		int ret = owned(c->ranges, c->count, moves[i].base, owner, &at);

		/* Named twice: it was there, but this batch has lifted it. */
		if (ret == -ENOENT &&
		    owned(bus->ranges, bus->count, moves[i].base, owner, &at) == 0)
			ret = -EINVAL;
		if (ret < 0)
			return fail(err, ret, moves[i].base);
		r = c->ranges[at];
		if (moves[i].new_base > bus->last ||
		    r->last - r->base > bus->last - moves[i].new_base)
			return fail(err, -EINVAL, moves[i].new_base);
		change_drop(c, at);
		lifted[i] = r;
	}
	return 0;
}

static void set_base(struct bus_range *r, uint64_t base)
{
	r->last = base + (r->last - r->base);
	r->base = base;
}

static int land(struct vmm_bus *bus, struct bus_change *c,
		const struct vmm_bus_move *moves, size_t count, struct bus_range **lifted,
		struct vmm_error *err)
{
	size_t done = 0;
	int ret = 0;

	for (; done < count && ret == 0; done++) {
		struct bus_range *r = lifted[done];

		r->old_base = r->base;
		r->moved = true;
		set_base(r, moves[done].new_base);
		ret = change_insert(c, r);
		if (ret < 0)
			(void)fail(err, ret, r->base);
	}
	if (ret == 0) {
		ret = change_build(bus, c);
		if (ret < 0)
			(void)fail(err, ret, moves[0].base);
	}
	for (size_t i = 0; ret < 0 && i < done; i++) {
		set_base(lifted[i], lifted[i]->old_base);
		lifted[i]->moved = false;
	}
	return ret;
}

int vmm_bus_move_ranges(struct vmm_bus *bus, const struct vmm_bus_move *moves,
			size_t count, const void *owner, struct vmm_error *err)
{
	struct bus_range **lifted;
	struct bus_change c;
	int ret;

	if (count == 0)
		return 0;
	if (count > VMM_BUS_RANGES_MAX)
		return fail(err, -EINVAL, moves[0].base);
	lifted = calloc(count, sizeof(struct bus_range *));
	if (!lifted)
		return fail(err, -ENOMEM, moves[0].base);

	lock(bus);
	ret = change_begin(bus, 0, &c);
	if (ret < 0) {
		ret = fail(err, ret, moves[0].base);
		goto out;
	}
	ret = lift(bus, &c, moves, count, owner, lifted, err);
	if (ret == 0)
		ret = land(bus, &c, moves, count, lifted, err);
	if (ret < 0)
		change_abort(&c);
	else
		change_commit(bus, &c);
out:
	unlock(bus);
	free(lifted);
	return ret;
}

int vmm_bus_move(struct vmm_bus *bus, uint64_t base, uint64_t new_base, const void *owner)
{
	struct vmm_bus_move move = { .base = base, .new_base = new_base };

	return vmm_bus_move_ranges(bus, &move, 1, owner, NULL);
}

int vmm_bus_set_hints(struct vmm_bus *bus, uint64_t base, const void *owner,
		      const struct vmm_bus_hint *hints, size_t count)
{
	struct vmm_bus_hint *copy = NULL;
	struct bus_range *r;
	uint32_t i = 0;
	int ret;

	lock(bus);
	ret = owned(bus->ranges, bus->count, base, owner, &i);
	if (ret < 0)
		goto out;
	r = bus->ranges[i];
	ret = hints_copy(hints, count, r->last - r->base, &copy);
	if (ret < 0)
		goto out;
	hints_tell(bus, r, r->base, false);
	free(r->hints);
	r->hints = copy;
	r->hint_count = count;
	hints_tell(bus, r, r->base, true);
out:
	unlock(bus);
	return ret;
}

int vmm_bus_set_listener(struct vmm_bus *bus, const struct vmm_bus_listener *listener,
			 void *ctx)
{
	struct vmm_bus_listener copy = VMM_BUS_LISTENER_INIT;
	int ret = listener ? copy_sized(&copy, sizeof(copy), listener) : 0;

	if (ret < 0)
		return ret;
	lock(bus);
	bus->listener = copy;
	bus->listener_ctx = ctx;
	for (uint32_t i = 0; i < bus->count; i++)
		hints_tell(bus, bus->ranges[i], bus->ranges[i]->base, true);
	unlock(bus);
	return 0;
}

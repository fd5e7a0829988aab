/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "internal.h"

static uint64_t peek(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void describe(const struct bus_range *r, struct vmm_bus_info *out)
{
	*out = (struct vmm_bus_info){
		.base = r->base,
		.last = r->last,
		.ctx = r->ctx,
		.owner = r->owner,
		.widths = r->widths,
		.flags = r->flags,
		.reads = peek(&r->reads),
		.writes = peek(&r->writes),
		.refused = peek(&r->refused),
	};
}

int vmm_bus_next(struct vmm_bus *bus, uint64_t addr, struct vmm_bus_info *out)
{
	int ret = -ENOENT;
	uint32_t i;

	(void)pthread_mutex_lock(&bus->lock);
	i = ranges_lower(bus->ranges, bus->count, addr);
	if (i < bus->count) {
		describe(bus->ranges[i], out);
		ret = 0;
	}
	(void)pthread_mutex_unlock(&bus->lock);
	return ret;
}

int vmm_bus_find(struct vmm_bus *bus, uint64_t addr, struct vmm_bus_info *out)
{
	struct vmm_bus_info info;
	int ret = vmm_bus_next(bus, addr, &info);

	if (ret < 0 || info.base > addr)
		return -ENOENT;
	*out = info;
	return 0;
}

int vmm_bus_check(struct vmm_bus *bus, uint64_t addr, uint64_t len)
{
	struct vmm_bus_info info;

	if (len == 0 || addr > bus->last || len - 1 > bus->last - addr)
		return -EINVAL;
	if (vmm_bus_find(bus, addr, &info) < 0 || len - 1 > info.last - addr)
		return -ENOENT;
	return 0;
}

size_t vmm_bus_get_count(struct vmm_bus *bus)
{
	size_t count;

	(void)pthread_mutex_lock(&bus->lock);
	count = bus->count;
	(void)pthread_mutex_unlock(&bus->lock);
	return count;
}

void vmm_bus_get_totals(struct vmm_bus *bus, struct vmm_bus_totals *out)
{
	struct vmm_bus_totals sum = { 0, 0 };

	for (uint32_t i = 0; i < BUS_SLOTS; i++) {
		sum.unclaimed += peek(&bus->slots[i].unclaimed);
		sum.refused += peek(&bus->slots[i].refused);
	}
	for (const struct vmm_bus_reader *r =
		 __atomic_load_n(&bus->readers, __ATOMIC_ACQUIRE);
	     r; r = r->next) {
		sum.unclaimed += peek(&r->slot.unclaimed);
		sum.refused += peek(&r->slot.refused);
	}
	*out = sum;
}

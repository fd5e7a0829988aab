/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool doorbell_ok(const struct vmm_bus_hint *h)
{
	bool match = h->flags & VMM_BUS_HINT_MATCH;

	if (h->fd < 0 || h->len > 8 || (h->len & (h->len - 1)) != 0)
		return false;
	if (!match)
		return h->match == 0;
	/* A value that the width cannot carry would never ring. */
	return h->len && (h->len == 8 || h->match >> (8 * h->len) == 0);
}

static bool hint_ok(const struct vmm_bus_hint *h, uint64_t last_offset)
{
	uint64_t need = h->len ? h->len - 1 : 0;

	if (h->flags & ~VMM_BUS_HINT_MATCH || h->reserved_ || h->addr > last_offset ||
	    need > last_offset - h->addr)
		return false;
	if (h->kind == VMM_BUS_HINT_DOORBELL)
		return doorbell_ok(h);
	return h->kind == VMM_BUS_HINT_COALESCE && h->len && !h->flags && !h->match &&
	       h->fd == -1;
}

/* @p last_offset is the range's length less one. */
int hints_copy(const struct vmm_bus_hint *hints, size_t count, uint64_t last_offset,
	       struct vmm_bus_hint **out)
{
	struct vmm_bus_hint *copy = NULL;

	if (count > VMM_BUS_HINTS_MAX)
		return -E2BIG;
	if (count && !hints)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!hint_ok(&hints[i], last_offset))
			return -EINVAL;
	}
	if (count) {
		copy = calloc(count, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, hints, count * sizeof(*copy));
	}
	*out = copy;
	return 0;
}

void hints_tell(const struct vmm_bus *bus, const struct bus_range *range, uint64_t base,
		bool added)
{
	void (*tell)(void *ctx, const struct vmm_bus_hint *hint) =
	    added ? bus->listener.hint_added : bus->listener.hint_removed;

	for (size_t i = 0; tell && i < range->hint_count; i++) {
		struct vmm_bus_hint hint = range->hints[i];

		hint.addr += base;
		tell(bus->listener_ctx, &hint);
	}
}

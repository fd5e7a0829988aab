/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* The highest number of a kind; 0 for an unknown one. */
static uint64_t highest(uint32_t kind)
{
	switch (kind) {
	case VMM_BUS_RESOURCE_PORTS:
		return UINT16_MAX;
	case VMM_BUS_RESOURCE_MMIO:
		return UINT64_MAX;
	case VMM_BUS_RESOURCE_GSI:
	case VMM_BUS_RESOURCE_MSI:
		return UINT32_MAX;
	default:
		return 0;
	}
}

static const char *wrong(const struct vmm_bus_resource *r)
{
	uint64_t max = highest(r->kind), first;

	if (max == 0 || r->reserved_)
		return "of an unknown kind";
	if (r->len == 0 || r->align == 0 || (r->align & (r->align - 1)) != 0)
		return "without length, or aligned to no power of two";
	if (r->max && r->max < max)
		max = r->max;
	if (__builtin_add_overflow(r->min, r->align - 1, &first))
		return "larger than its window";
	first &= ~(r->align - 1);
	if (first > max || r->len - 1 > max - first)
		return "larger than its window";
	if (r->base == VMM_BUS_UNASSIGNED)
		return NULL;
	if (r->base < r->min || r->base > max || r->len - 1 > max - r->base ||
	    (r->base & (r->align - 1)) != 0)
		return "outside of its window, or unaligned";
	return NULL;
}

int vmm_bus_resources_check(const struct vmm_bus_resource *resources, size_t count,
			    struct vmm_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *what = wrong(&resources[i]);

		if (what)
			return vmm_error_at(err, -EBADMSG, i, 0, 0, "resource %zu is %s",
					    i, what);
	}
	return 0;
}

int vmm_bus_resources_find(const struct vmm_bus_resource *resources, size_t count,
			   uint32_t kind, size_t nth, size_t *out)
{
	for (size_t i = 0; i < count; i++) {
		if (resources[i].kind == kind && nth-- == 0) {
			*out = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* Ranges like @p like at the resources of a kind; none is not an error. */
static int collect(const struct vmm_bus_resource *resources, size_t count, uint32_t kind,
		   const struct vmm_bus_range *like, struct vmm_bus_range **out,
		   size_t *out_n)
{
	struct vmm_bus_range desc, *ranges = calloc(count + 1, sizeof(*ranges));
	int ret = copy_sized(&desc, sizeof(desc), like);

	if (!ranges)
		return -ENOMEM;
	*out_n = 0;
	desc.size = sizeof(desc);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		if (resources[i].kind != kind)
			continue;
		desc.base = resources[i].base;
		desc.len = resources[i].len;
		if (desc.base == VMM_BUS_UNASSIGNED)
			ret = -EINVAL;
		ranges[(*out_n)++] = desc;
	}
	if (ret < 0)
		free(ranges);
	else
		*out = ranges;
	return ret;
}

/* Both locks are held, and the changes of both are prepared before one is committed. */
static int add_both(struct vmm_bus *const bus[2], struct vmm_bus_range *const ranges[2],
		    const size_t n[2], struct vmm_error *err)
{
	struct bus_change c[2];
	int ret = 0, done = 0;

	for (; done < 2; done++) {
		ret = n[done]
			  ? batch_prepare(bus[done], ranges[done], n[done], &c[done], err)
			  : 0;
		if (ret < 0)
			break;
	}
	for (int i = 0; i < done; i++) {
		if (n[i] && ret < 0)
			batch_drop(&c[i]);
		else if (n[i])
			change_commit(bus[i], &c[i]);
	}
	return ret;
}

int vmm_bus_add_resources(struct vmm_bus *ports, struct vmm_bus *mmio,
			  const struct vmm_bus_resource *resources, size_t count,
			  const struct vmm_bus_range *port_like,
			  const struct vmm_bus_range *mmio_like, struct vmm_error *err)
{
	struct vmm_bus *const bus[2] = { ports, mmio };
	/* Always in the same order, whoever calls. */
	int low = (uintptr_t)ports < (uintptr_t)mmio ? 0 : 1;
	struct vmm_bus_range *ranges[2] = { NULL, NULL };
	size_t n[2] = { 0, 0 };
	int ret = vmm_bus_resources_check(resources, count, err);

	if (ret < 0)
		return ret;
	if (ports == mmio)
		return vmm_error_set(err, -EINVAL, "one bus for ports and MMIO");
	ret = collect(resources, count, VMM_BUS_RESOURCE_PORTS, port_like, &ranges[0],
		      &n[0]);
	if (ret == 0)
		ret = collect(resources, count, VMM_BUS_RESOURCE_MMIO, mmio_like,
			      &ranges[1], &n[1]);
	if (ret < 0) {
		ret = vmm_error_set(
		    err, ret, ret == -ENOMEM ? "out of memory" : "resource unassigned");
		goto out;
	}
	(void)pthread_mutex_lock(&bus[low]->lock);
	(void)pthread_mutex_lock(&bus[!low]->lock);
	ret = add_both(bus, ranges, n, err);
	(void)pthread_mutex_unlock(&bus[!low]->lock);
	(void)pthread_mutex_unlock(&bus[low]->lock);
out:
	free(ranges[0]);
	free(ranges[1]);
	return ret;
}

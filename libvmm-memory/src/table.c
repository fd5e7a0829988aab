/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <vmm/memory-dirty.h>

#include "internal.h"
#include "sys.h"

struct vmm_mem_builder {
	uint32_t count;
	uint32_t room;
	/* Sorted by address, disjoint. */
	struct mem_region *regions;
	/* Of the whole address space, the caller's; NULL for none. */
	struct vmm_mem_dirty *dirty;
};

/* The part of struct vmm_mem_region that every version has. */
#define REGION_MIN_SIZE offsetof(struct vmm_mem_region, page_size)

static uint64_t last_of(const struct mem_region *r)
{
	return r->gpa + (r->len - 1);
}

/* Read the caller's structure, which may be older or newer than ours. */
static int read_config(const struct vmm_mem_region *in, struct vmm_mem_region *out,
		       struct vmm_error *err)
{
	struct vmm_mem_region cfg = VMM_MEM_REGION_INIT;
	const uint8_t *tail = (const uint8_t *)in;
	size_t size = in->size;

	if (size < REGION_MIN_SIZE)
		return vmm_error_at(err, -EINVAL, 0, sizeof(cfg), size,
				    "size of the region structure is not set");
	for (size_t i = sizeof(cfg); i < size; i++) {
		if (tail[i] != 0)
			return vmm_error_at(err, -E2BIG, i, sizeof(cfg), size,
					    "unknown member in the region structure");
	}
	memcpy(&cfg, in, size < sizeof(cfg) ? size : sizeof(cfg));
	*out = cfg;
	return 0;
}

/* Where [gpa, last] belongs; -EEXIST when something is there. */
static int find_place(const struct mem_region *list, uint32_t count, uint64_t gpa,
		      uint64_t last, uint32_t *out)
{
	uint32_t i = 0;

	while (i < count && last_of(&list[i]) < gpa)
		i++;
	if (i < count && list[i].gpa <= last)
		return -EEXIST;
	*out = i;
	return 0;
}

static int grow(struct vmm_mem_builder *builder)
{
	uint32_t room = builder->room ? builder->room * 2 : 8;
	struct mem_region *list;

	if (builder->count < builder->room)
		return 0;
	list = mem_sys_alloc(__alignof__(*list), room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (builder->count > 0)
		memcpy(list, builder->regions, builder->count * sizeof(*list));
	free(builder->regions);
	builder->regions = list;
	builder->room = room;
	return 0;
}

/* Make room for a region; everything that can be wrong with its place is said here. */
static int prepare(struct vmm_mem_builder *builder, uint64_t gpa, uint64_t len,
		   uint32_t *place, struct vmm_error *err)
{
	if (builder->count >= VMM_MEM_REGIONS_MAX)
		return vmm_error_at(err, -E2BIG, gpa, VMM_MEM_REGIONS_MAX, builder->count,
				    "too many regions");
	if (find_place(builder->regions, builder->count, gpa, gpa + (len - 1), place) < 0)
		return vmm_error_at(err, -EEXIST, gpa, len, 0,
				    "region at %#llx overlaps another",
				    (unsigned long long)gpa);
	if (grow(builder) < 0)
		return vmm_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* Takes over the reference to @backing. */
static void insert(struct vmm_mem_builder *builder, uint32_t place, uint64_t gpa,
		   struct mem_backing *backing)
{
	struct mem_region *at = builder->regions + place;

	memmove(at + 1, at, (builder->count - place) * sizeof(*at));
	builder->count++;
	*at = (struct mem_region){
		.gpa = gpa,
		.len = backing->len,
		.host = backing->host,
		.dirty = backing->dirty,
		.dirty_base = gpa,
		.flags = backing->flags,
		.backing = backing,
	};
}

int vmm_mem_builder_new(struct vmm_mem_builder **out)
{
	struct vmm_mem_builder *builder;

	builder = mem_sys_alloc(__alignof__(*builder), sizeof(*builder));
	if (!builder)
		return -ENOMEM;
	*out = builder;
	return 0;
}

void vmm_mem_builder_free(struct vmm_mem_builder *builder)
{
	if (!builder)
		return;
	for (uint32_t i = 0; i < builder->count; i++)
		mem_backing_put(builder->regions[i].backing);
	free(builder->regions);
	free(builder);
}

int vmm_mem_builder_add(struct vmm_mem_builder *builder,
			const struct vmm_mem_region *region, struct vmm_error *err)
{
	struct vmm_mem_region cfg;
	struct mem_backing *backing;
	uint32_t place = 0;
	int ret;

	ret = read_config(region, &cfg, err);
	if (ret == 0)
		ret = mem_backing_check(&cfg, err);
	if (ret == 0)
		ret = prepare(builder, cfg.gpa, cfg.len, &place, err);
	if (ret == 0)
		ret = mem_backing_new(&cfg, &backing, err);
	if (ret != 0)
		return ret;
	insert(builder, place, cfg.gpa, backing);
	return 0;
}

int vmm_mem_builder_share(struct vmm_mem_builder *builder, const struct vmm_mem *mem,
			  size_t index, uint64_t gpa, struct vmm_error *err)
{
	const struct mem_region *r;
	uint32_t place = 0;
	int ret;

	if (index >= mem->count)
		return vmm_error_at(err, -ENOENT, index, 0, mem->count, "no such region");
	r = &mem->regions[index];
	if (r->len - 1 > UINT64_MAX - gpa || (gpa - r->gpa) % r->backing->page_size != 0)
		return vmm_error_at(err, -EINVAL, gpa, r->backing->page_size, r->len,
				    "region cannot be placed at %#llx",
				    (unsigned long long)gpa);
	ret = prepare(builder, gpa, r->len, &place, err);
	if (ret < 0)
		return ret;
	insert(builder, place, gpa, mem_backing_get(r->backing));
	return 0;
}

void vmm_mem_builder_set_dirty(struct vmm_mem_builder *builder,
			       struct vmm_mem_dirty *dirty)
{
	builder->dirty = dirty;
}

int vmm_mem_builder_build(struct vmm_mem_builder *builder, struct vmm_mem **out)
{
	uint32_t count = builder->count;
	size_t records = ((size_t)count + 1) * sizeof(struct mem_region);
	size_t keys = mem_index_size(count);
	struct vmm_mem *mem;

	mem = mem_sys_alloc(64, sizeof(*mem) + records + keys);
	if (!mem)
		return -ENOMEM;
	if (count > 0)
		memcpy(mem->regions, builder->regions, count * sizeof(mem->regions[0]));
	mem->count = count;
	mem->dirty = builder->dirty;
	for (uint32_t i = 0; i < count; i++) {
		struct mem_region *r = &mem->regions[i];

		if (builder->dirty) {
			r->dirty = builder->dirty;
			r->dirty_base = 0;
		}
		r->write_len = r->dirty || (r->flags & VMM_MEM_READONLY) ? 0 : r->len;
	}
	mem_index(mem, &mem->regions[count + 1]);

	builder->count = 0;
	builder->dirty = NULL;
	*out = mem;
	return 0;
}

void vmm_mem_free(struct vmm_mem *mem)
{
	if (!mem)
		return;
	for (uint32_t i = 0; i < mem->count; i++)
		mem_backing_put(mem->regions[i].backing);
	free(mem);
}

/* A builder with every region of @mem but number @skip. */
static int copy_builder(const struct vmm_mem *mem, uint32_t skip,
			struct vmm_mem_builder **out, struct vmm_error *err)
{
	struct vmm_mem_builder *builder;
	int ret;

	ret = vmm_mem_builder_new(&builder);
	if (ret < 0)
		return vmm_error_set(err, ret, "out of memory");
	/* A bitmap of the whole space goes along with the regions. */
	builder->dirty = mem->dirty;
	for (uint32_t i = 0; i < mem->count && ret == 0; i++) {
		if (i != skip)
			ret = vmm_mem_builder_share(builder, mem, i, mem->regions[i].gpa,
						    err);
	}
	if (ret < 0) {
		vmm_mem_builder_free(builder);
		return ret;
	}
	*out = builder;
	return 0;
}

static int build_and_free(struct vmm_mem_builder *builder, int ret, struct vmm_mem **out,
			  struct vmm_error *err)
{
	if (ret == 0) {
		ret = vmm_mem_builder_build(builder, out);
		if (ret < 0)
			ret = vmm_error_set(err, ret, "out of memory");
	}
	vmm_mem_builder_free(builder);
	return ret;
}

int vmm_mem_clone(const struct vmm_mem *mem, struct vmm_mem **out)
{
	struct vmm_mem_builder *builder;
	int ret;

	ret = copy_builder(mem, UINT32_MAX, &builder, NULL);
	return ret < 0 ? ret : build_and_free(builder, 0, out, NULL);
}

int vmm_mem_with(const struct vmm_mem *mem, const struct vmm_mem_region *region,
		 struct vmm_mem **out, struct vmm_error *err)
{
	struct vmm_mem_builder *builder;
	int ret;

	ret = copy_builder(mem, UINT32_MAX, &builder, err);
	if (ret < 0)
		return ret;
	ret = vmm_mem_builder_add(builder, region, err);
	return build_and_free(builder, ret, out, err);
}

int vmm_mem_without(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
		    struct vmm_mem **out, struct vmm_error *err)
{
	const struct mem_region *r = mem_find(mem, gpa);
	struct vmm_mem_builder *builder;
	int ret;

	if (r->len == 0 || r->gpa != gpa || r->len != len)
		return vmm_error_at(err, -ENOENT, gpa, len, r->len,
				    "no region is exactly that range");
	ret = copy_builder(mem, (uint32_t)(r - mem->regions), &builder, err);
	if (ret < 0)
		return ret;
	return build_and_free(builder, 0, out, err);
}

size_t vmm_mem_region_count(const struct vmm_mem *mem)
{
	return mem->count;
}

int vmm_mem_get_region(const struct vmm_mem *mem, size_t index,
		       struct vmm_mem_region *out)
{
	struct vmm_mem_region told = VMM_MEM_REGION_INIT;
	const struct mem_region *r;
	size_t size = out->size;

	if (size < REGION_MIN_SIZE)
		return -EINVAL;
	if (index >= mem->count)
		return -ENOENT;
	r = &mem->regions[index];
	told.gpa = r->gpa;
	told.len = r->len;
	told.flags = r->flags;
	told.fd = r->backing->fd;
	told.fd_offset = r->backing->fd_offset;
	told.host = r->host;
	told.label = r->backing->label;
	told.page_size = r->backing->page_size;
	told.numa_nodes = r->backing->numa_nodes;
	told.numa_policy = r->backing->numa_policy;
	if (r->backing->dirty)
		told.dirty_page_size =
		    (uint32_t)vmm_mem_dirty_page_size(r->backing->dirty);
	told.dirty = r->dirty;
	if (size > sizeof(told))
		memset((uint8_t *)out + sizeof(told), 0, size - sizeof(told));
	memcpy(out, &told, size < sizeof(told) ? size : sizeof(told));
	out->size = size;
	return 0;
}

static MEM_NOINLINE int find_region_slow(const struct vmm_mem *mem, uint64_t gpa,
					 size_t *out_index)
{
	const struct mem_region *r = mem_find(mem, gpa);

	if (gpa - r->gpa >= r->len)
		return -EFAULT;
	*out_index = (size_t)(r - mem->regions);
	return 0;
}

int vmm_mem_find_region(const struct vmm_mem *mem, uint64_t gpa, size_t *out_index)
{
	const struct mem_region *r = mem_guess(mem, gpa);

	if (unlikely(gpa - r->gpa >= r->len))
		return find_region_slow(mem, gpa, out_index);
	*out_index = (size_t)(r - mem->regions);
	return 0;
}

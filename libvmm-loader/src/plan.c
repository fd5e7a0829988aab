/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "plan.h"

#include <errno.h>
#include <inttypes.h>

#include "bytes.h"

int load_mem_check(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	uint64_t last, region_last;

	if (range_last(gpa, len, &last) || !vmm_mem_is_backed(mem, gpa, len))
		return -EFAULT;
	for (size_t i = 0; i < vmm_mem_region_count(mem); i++) {
		if (vmm_mem_get_region(mem, i, &region) < 0)
			return -EFAULT;
		region_last = region.gpa + (region.len - 1);
		if (region.gpa <= last && gpa <= region_last &&
		    (region.flags & VMM_MEM_READONLY))
			return -EROFS;
	}
	return 0;
}

int load_mem_check_named(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
			 const char *name, const char *what, struct vmm_error *err)
{
	int ret = load_mem_check(mem, gpa, len);

	if (ret == 0)
		return 0;
	return vmm_error_at(err, ret, gpa, len, 0,
			    "%s: %s: %" PRIu64 " bytes at guest address 0x%" PRIx64
			    " are not %s memory",
			    name, what, len, gpa, ret == -EROFS ? "writable" : "guest");
}

int load_plan_add(struct load_plan *plan, const struct load_input *in,
		  const struct load_segment *segment, struct vmm_error *err)
{
	uint64_t last;

	if (plan->count == PLAN_SEGMENTS_MAX)
		return vmm_error_at(err, -E2BIG, 0, PLAN_SEGMENTS_MAX, plan->count + 1,
				    "%s: more than %u loadable segments", in->name,
				    PLAN_SEGMENTS_MAX);
	if (range_last(segment->gpa, segment->mem_len, &last))
		return vmm_error_at(err, -EBADMSG, segment->gpa, 0, segment->mem_len,
				    "%s: %" PRIu64 " bytes at guest address 0x%" PRIx64
				    " pass the end of the address space",
				    in->name, segment->mem_len, segment->gpa);
	plan->segment[plan->count++] = *segment;
	return 0;
}

void load_plan_span(const struct load_plan *plan, uint64_t *out_first, uint64_t *out_last)
{
	uint64_t first = UINT64_MAX, last = 0, end;

	for (uint32_t i = 0; i < plan->count; i++) {
		end = plan->segment[i].gpa + (plan->segment[i].mem_len - 1);
		if (plan->segment[i].gpa < first)
			first = plan->segment[i].gpa;
		if (end > last)
			last = end;
	}
	*out_first = first;
	*out_last = last;
}

static int check_overlap(const struct load_plan *plan, uint32_t i,
			 const struct load_input *in, struct vmm_error *err)
{
	const struct load_segment *a = &plan->segment[i], *b;

	for (uint32_t j = 0; j < i; j++) {
		b = &plan->segment[j];
		if (a->gpa <= b->gpa + (b->mem_len - 1) &&
		    b->gpa <= a->gpa + (a->mem_len - 1))
			return vmm_error_at(
			    err, -EBADMSG, a->gpa, a->mem_len, b->gpa,
			    "%s: segments overlap: 0x%" PRIx64 " + 0x%" PRIx64
			    " and 0x%" PRIx64 " + 0x%" PRIx64,
			    in->name, a->gpa, a->mem_len, b->gpa, b->mem_len);
	}
	return 0;
}

/* All between the lowest and the highest byte is taken: a kernel gives the gaps between
 * its segments to its own allocator. */
static int take_span(const struct load_plan *plan, const struct load_input *in,
		     struct vmm_load_map *map, struct vmm_error *err)
{
	uint64_t first, last;
	int ret;

	load_plan_span(plan, &first, &last);
	ret = vmm_load_map_take(map, first, last - first + 1);
	if (ret == 0)
		return 0;
	return vmm_error_at(err, ret, first, last - first + 1, 0,
			    "%s: kernel: guest addresses 0x%" PRIx64 " to 0x%" PRIx64
			    " are %s",
			    in->name, first, last,
			    ret == -EBUSY   ? "taken by something else"
			    : ret == -E2BIG ? "too much for a full memory map"
					    : "not RAM in the memory map");
}

int load_plan_check(const struct load_plan *plan, const struct load_input *in,
		    const struct vmm_mem *mem, const struct vmm_load_map *map,
		    struct vmm_error *err)
{
	struct vmm_load_map copy;
	int ret = 0;

	for (uint32_t i = 0; i < plan->count && ret == 0; i++) {
		const struct load_segment *s = &plan->segment[i];

		if (s->gpa < plan->min_gpa)
			return vmm_error_at(err, -EFAULT, s->gpa, plan->min_gpa, s->gpa,
					    "%s: wants guest address 0x%" PRIx64
					    ", the lowest for a kernel is 0x%" PRIx64,
					    in->name, s->gpa, plan->min_gpa);
		ret = load_mem_check(mem, s->gpa, s->mem_len);
		if (ret == -EROFS && s->may_be_rom)
			ret = 0;
		if (ret < 0)
			ret = load_mem_check_named(mem, s->gpa, s->mem_len, in->name,
						   "kernel", err);
		if (ret == 0)
			ret = check_overlap(plan, i, in, err);
	}
	if (ret < 0 || !map)
		return ret;
	copy = *map;
	return take_span(plan, in, &copy, err);
}

int load_plan_commit(const struct load_plan *plan, const struct load_input *in,
		     const struct vmm_mem *mem, struct vmm_load_map *map,
		     struct vmm_error *err)
{
	int ret;

	for (uint32_t i = 0; i < plan->count; i++) {
		const struct load_segment *s = &plan->segment[i];

		if (s->may_be_rom) {
			ret = load_input_to_rom(in, mem, s->gpa, err);
			if (ret < 0)
				return ret;
		} else if (s->file_len) {
			ret = load_input_to_mem(in, s->file_offset, s->file_len, mem,
						s->gpa, err);
			if (ret < 0)
				return ret;
		}
		if (s->reserve_only || s->mem_len == s->file_len)
			continue;
		ret =
		    vmm_mem_fill(mem, s->gpa + s->file_len, 0, s->mem_len - s->file_len);
		if (ret < 0)
			return vmm_error_at(err, ret, s->gpa, s->mem_len, 0,
					    "%s: cannot zero guest memory at 0x%" PRIx64,
					    in->name, s->gpa + s->file_len);
	}
	return map ? take_span(plan, in, map, err) : 0;
}

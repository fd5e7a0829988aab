/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_PLAN_H
#define LOADER_PLAN_H

#include "input.h"

/* Most PT_LOAD segments; real kernels have fewer than ten. */
#define PLAN_SEGMENTS_MAX 64u

struct load_segment {
	uint64_t gpa;
	/* Bytes in memory, not 0. What the file does not fill is zeroed, unless... */
	uint64_t mem_len;
	uint64_t file_offset;
	uint64_t file_len;
	/* ... it is only reserved: the kernel's own business. */
	bool reserve_only;
	/* Read-only memory is written as well. */
	bool may_be_rom;
};

/* What a loader wants to write; made by a format, carried out for all of them. */
struct load_plan {
	struct load_segment segment[PLAN_SEGMENTS_MAX];
	uint32_t count;
	/* Lowest address allowed. */
	uint64_t min_gpa;
};

int load_plan_add(struct load_plan *plan, const struct load_input *in,
		  const struct load_segment *segment, struct vmm_error *err);

/* Checks all of it against memory and map, and segments against each other. */
int load_plan_check(const struct load_plan *plan, const struct load_input *in,
		    const struct vmm_mem *mem, const struct vmm_load_map *map,
		    struct vmm_error *err);

/* Writes and takes. Fails only when the file does. */
int load_plan_commit(const struct load_plan *plan, const struct load_input *in,
		     const struct vmm_mem *mem, struct vmm_load_map *map,
		     struct vmm_error *err);

/* Lowest and highest byte of all segments. */
void load_plan_span(const struct load_plan *plan, uint64_t *out_first,
		    uint64_t *out_last);

/* 0, -EFAULT or -EROFS for a range that is to be written; len not 0. */
int load_mem_check(const struct vmm_mem *mem, uint64_t gpa, uint64_t len);

/* The same with a message: "what" in the image "name". */
int load_mem_check_named(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
			 const char *name, const char *what, struct vmm_error *err);

/* Formats: fill plan and result from the image. */
struct load_format_args {
	const struct load_input *in;
	const struct vmm_load_kernel_opts *opts;
	const struct vmm_mem *mem;
};

int load_plan_elf(const struct load_format_args *args, struct load_plan *plan,
		  struct vmm_load_result *result, struct vmm_error *err);
int load_plan_bzimage(const struct load_format_args *args, struct load_plan *plan,
		      struct vmm_load_result *result, struct vmm_error *err);
int load_plan_image(const struct load_format_args *args, uint32_t format,
		    struct load_plan *plan, struct vmm_load_result *result,
		    struct vmm_error *err);

int load_plan_raw(const struct load_format_args *args, struct load_plan *plan,
		  struct vmm_load_result *result, struct vmm_error *err);

#endif

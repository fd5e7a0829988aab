/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <vmm/loader-x86.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (UINT64_C(48) << 20)

static struct vmm_mem *mem;
static struct vmm_load_map empty;

static int make_memory(void)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;

	region.len = RAM;
	if (vmm_mem_builder_new(&builder) < 0 ||
	    vmm_mem_builder_add(builder, &region, NULL) < 0 ||
	    vmm_mem_builder_build(builder, &mem) < 0)
		return -1;
	return vmm_load_x86_map(mem, &empty, NULL);
}

/* A loaded kernel lies in RAM that it took, and says so. */
static void check(const struct vmm_load_result *r, const struct vmm_load_map *map)
{
	if (r->first_gpa > r->last_gpa || r->last_gpa >= RAM ||
	    !vmm_load_map_is(map, r->first_gpa, r->last_gpa - r->first_gpa + 1,
			     VMM_LOAD_MAP_TAKEN))
		__builtin_trap();
	if (r->entry != VMM_LOAD_NONE &&
	    (r->entry < r->first_gpa || r->entry > r->last_gpa))
		__builtin_trap();
	if (r->setup_header_len > VMM_LOAD_SETUP_HEADER_MAX)
		__builtin_trap();
}

/* The image; then, if it is one, all that follows a load. */
static void try_image(const uint8_t *data, size_t size)
{
	struct vmm_load_kernel_opts opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source source = VMM_LOAD_SOURCE_INIT;
	struct vmm_load_x86_opts boot = VMM_LOAD_X86_OPTS_INIT;
	struct vmm_load_probe_result probe;
	struct vmm_load_x86_entry entry;
	struct vmm_load_result result;
	struct vmm_load_map map;
	struct vmm_error err;

	map = empty;
	source.data = data;
	source.len = size;
	opts.map = &map;
	opts.unpack_max = UINT64_C(8) << 20;
	if (vmm_load_probe(&source, &probe, &err) < 0)
		return;
	if (vmm_load_kernel(mem, &source, &opts, &result, &err) < 0) {
		if (memcmp(&map, &empty, sizeof(map)) != 0)
			__builtin_trap();
		return;
	}
	check(&result, &map);
	source.len = size < 4096 ? size : 4096;
	if (vmm_load_initrd(mem, &map, &result, &source, &boot.initrd, &err) < 0)
		boot.initrd.len = 0;
	boot.kernel = &result;
	boot.map = &map;
	if (vmm_load_x86_boot(mem, &boot, &entry, &err) == 0 &&
	    entry.rip > result.last_gpa)
		__builtin_trap();
}

static uint64_t cpu_ms(void)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 64 KiB may not cost more than a second, whatever is in them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t start;

	if (size > 65536 || (!mem && make_memory() < 0))
		return 0;
	start = cpu_ms();
	try_image(data, size);
	if (cpu_ms() - start > 1000)
		__builtin_trap();
	return 0;
}

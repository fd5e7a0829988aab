/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include <fcntl.h>

#define PAGE UINT64_C(4096)

static const struct vmm_load_result x86 = {
	.arch = VMM_LOAD_ARCH_X86_64,
	.first_gpa = 16 * MIB,
	.last_gpa = 32 * MIB - 1,
	.initrd_last_max = UINT64_MAX,
};

static void set(struct vmm_load_map *m, uint64_t gpa, uint64_t len, uint32_t type)
{
	assert_int_equal(vmm_load_map_set(m, gpa, len, type), 0);
}

static void it_goes_as_high_as_it_may(void **state)
{
	struct vmm_load_map m = { 0 };
	struct vmm_load_result k = x86;
	struct vmm_error err;
	uint64_t at = 77;

	set(&m, 0, 64 * MIB, VMM_LOAD_MAP_RAM);
	set(&m, 16 * MIB, 16 * MIB, VMM_LOAD_MAP_TAKEN);
	assert_int_equal(vmm_load_initrd_place(&m, &k, 0, &at, &err), -EINVAL);
	assert_int_equal(at, 77);
	assert_int_equal(vmm_load_initrd_place(&m, &k, 1, &at, &err), 0);
	assert_int_equal(at, 64 * MIB - PAGE);
	/* Exactly fitting above the kernel; a byte more goes below it; then nowhere. */
	assert_int_equal(vmm_load_initrd_place(&m, &k, 32 * MIB, &at, &err), 0);
	assert_int_equal(at, 32 * MIB);
	assert_int_equal(vmm_load_initrd_place(&m, &k, 32 * MIB + 1, &at, &err), -ENOSPC);
	assert_non_null(
	    strstr(err.message, "no free guest memory for an initrd of 33554433"));
	/* The kernel's limit is the last byte that may be used. */
	k.initrd_last_max = 40 * MIB - 1;
	assert_int_equal(vmm_load_initrd_place(&m, &k, 2 * PAGE, &at, &err), 0);
	assert_int_equal(at, 40 * MIB - 2 * PAGE);
	k.initrd_last_max = 40 * MIB - 2;
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, &err), 0);
	assert_int_equal(at, 40 * MIB - 2 * PAGE);
	k.initrd_last_max = 16 * MIB + 5;
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, &err), 0);
	assert_int_equal(at, 16 * MIB - PAGE);
}

static void holes_and_the_gap_are_kept_clear(void **state)
{
	struct vmm_load_map m = { 0 };
	struct vmm_load_result k = x86;
	uint64_t at;

	set(&m, MIB, 3 * GIB - MIB, VMM_LOAD_MAP_RAM);
	set(&m, 16 * MIB, 16 * MIB, VMM_LOAD_MAP_TAKEN);
	set(&m, 3 * GIB - MIB, PAGE, VMM_LOAD_MAP_RESERVED);
	set(&m, 4 * GIB, 8 * GIB, VMM_LOAD_MAP_RAM);
	/* Below 4 GiB first, in the piece at the edge of the gap. */
	assert_int_equal(vmm_load_initrd_place(&m, &k, MIB - PAGE, &at, NULL), 0);
	assert_int_equal(at, 3 * GIB - MIB + PAGE);
	/* One page more does not fit there. */
	assert_int_equal(vmm_load_initrd_place(&m, &k, MIB, &at, NULL), 0);
	assert_int_equal(at, 3 * GIB - 2 * MIB);
	/* Too large for below 4 GiB: above, if the kernel can. Larger than 4 GiB as well.
	 */
	assert_int_equal(vmm_load_initrd_place(&m, &k, 3 * GIB, &at, NULL), 0);
	assert_int_equal(at, 9 * GIB);
	assert_int_equal(vmm_load_initrd_place(&m, &k, 8 * GIB, &at, NULL), 0);
	assert_int_equal(at, 4 * GIB);
	k.initrd_last_max = 0x7fffffff;
	assert_int_equal(vmm_load_initrd_place(&m, &k, 3 * GIB, &at, NULL), -ENOSPC);
	assert_int_equal(vmm_load_initrd_place(&m, &k, 1, &at, NULL), 0);
	assert_int_equal(at, 2 * GIB - PAGE);
	assert_int_equal(vmm_load_initrd_place(&m, &k, UINT64_MAX, &at, NULL), -ENOSPC);
}

/* arm64: kernel and initrd in one window of 32 GiB, in steps of 1 GiB. */
static void a_window_is_obeyed_on_both_sides(void **state)
{
	struct vmm_load_result k = {
		.arch = VMM_LOAD_ARCH_AARCH64,
		.first_gpa = 100 * GIB + MIB,
		.last_gpa = 100 * GIB + 30 * MIB,
		.initrd_last_max = UINT64_MAX,
		.initrd_window = 32 * GIB,
	};
	struct vmm_load_map m = { 0 };
	uint64_t at;

	set(&m, 40 * GIB, 200 * GIB, VMM_LOAD_MAP_RAM);
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), 0);
	assert_int_equal(at, 132 * GIB - PAGE);
	/* What follows the kernel is taken: the other side of the window. */
	set(&m, 100 * GIB, 140 * GIB, VMM_LOAD_MAP_TAKEN);
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), 0);
	assert_int_equal(at, 100 * GIB - PAGE);
	set(&m, 69 * GIB, 31 * GIB, VMM_LOAD_MAP_TAKEN);
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), -ENOSPC);
	/* At the ends of the address space there is no window to step out of. */
	k.first_gpa = MIB;
	k.last_gpa = 2 * MIB;
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), -ENOSPC);
	set(&m, GIB, GIB, VMM_LOAD_MAP_RAM);
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), 0);
	assert_int_equal(at, 2 * GIB - PAGE);
	k.first_gpa = UINT64_MAX - MIB;
	k.last_gpa = UINT64_MAX;
	set(&m, UINT64_MAX - 4 * MIB + 1, MIB, VMM_LOAD_MAP_RAM);
	assert_int_equal(vmm_load_initrd_place(&m, &k, PAGE, &at, NULL), 0);
	assert_true(at == UINT64_MAX - 3 * MIB + 1 - PAGE);
}

static void it_is_loaded_and_taken(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(2 * MIB);
	struct vmm_load_map m = { 0 };
	struct vmm_load_range r, second;
	struct vmm_load_source s;
	uint8_t data[5000];

	memset(data, 0x42, sizeof(data));
	assert_int_equal(vmm_load_map_set_mem(&m, mem), 0);
	test_poison(mem, 0, 2 * MIB);
	s = test_source(data, sizeof(data));
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, NULL), 0);
	assert_int_equal(r.gpa, 2 * MIB - 2 * PAGE);
	assert_int_equal(r.len, 5000);
	assert_true(test_is(mem, r.gpa, r.len, 0x42));
	assert_true(test_is(mem, r.gpa + r.len, 2 * PAGE - 5000, 0xee));
	assert_true(vmm_load_map_is(&m, r.gpa, 2 * PAGE, VMM_LOAD_MAP_TAKEN));

	s = test_file(data, sizeof(data));
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &second, NULL), 0);
	assert_int_equal(second.gpa, 2 * MIB - 4 * PAGE);
	assert_true(test_is(mem, second.gpa, second.len, 0x42));
	close(s.fd);
}

static void a_bad_initrd_changes_nothing(void **state)
{
	const struct test_range ranges[] = { { 0, MIB, 0 },
					     { MIB, MIB, VMM_MEM_READONLY } };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 2);
	struct vmm_load_map m = { 0 }, before;
	struct vmm_load_source s = test_source("", 0);
	struct vmm_load_range r = { 7, 7 };
	struct vmm_error err;

	assert_int_equal(vmm_load_map_set_mem(&m, mem), 0);
	before = m;
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -EBADMSG);
	s.name = "initrd.img";
	s.fd = open("/", O_RDONLY | O_CLOEXEC);
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -EISDIR);
	assert_non_null(strstr(err.message, "initrd.img: a directory"));
	close(s.fd);
	s = test_source("x", 1);
	set(&m, 0, 2 * MIB, VMM_LOAD_MAP_RAM);
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -EROFS);
	set(&m, 2 * MIB, 2 * MIB, VMM_LOAD_MAP_RAM);
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -EFAULT);
	m = (struct vmm_load_map){ 0 };
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -ENOSPC);
	/* A map so full that the initrd's own entry is one too many. */
	for (uint64_t i = 0; i < VMM_LOAD_MAP_MAX; i++)
		set(&m, i * 4 * PAGE, 2 * PAGE, VMM_LOAD_MAP_RAM);
	before = m;
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -EROFS);
	assert_memory_equal(&m, &before, sizeof(m));
	for (uint64_t i = 64; i < VMM_LOAD_MAP_MAX; i++)
		set(&m, i * 4 * PAGE, 2 * PAGE, VMM_LOAD_MAP_RESERVED);
	before = m;
	assert_int_equal(vmm_load_initrd(mem, &m, &x86, &s, &r, &err), -E2BIG);
	assert_non_null(strstr(err.message, "the memory map is full"));
	assert_int_equal(r.gpa, 7);
	assert_memory_equal(&m, &before, sizeof(m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_as_high_as_it_may),
		cmocka_unit_test(holes_and_the_gap_are_kept_clear),
		cmocka_unit_test(a_window_is_obeyed_on_both_sides),
		cmocka_unit_test(it_is_loaded_and_taken),
		cmocka_unit_test(a_bad_initrd_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

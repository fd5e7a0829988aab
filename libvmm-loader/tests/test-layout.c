/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include <vmm/loader-arm64.h>
#include <vmm/loader-riscv64.h>

static uint8_t image[65536];

static const struct layout {
	const char *name;
	int (*ram)(uint64_t size, struct vmm_load_range out[2], size_t *out_n);
	int (*map)(const struct vmm_mem *mem, struct vmm_load_map *out,
		   struct vmm_error *err);
	uint64_t devices;
} layouts[] = {
	{ "arm64", vmm_load_arm64_ram, vmm_load_arm64_map, 0x8000000 },
	{ "riscv64", vmm_load_riscv64_ram, vmm_load_riscv64_map, 0x4000000 },
};

static void ram_is_divided_around_the_window(void **state)
{
	static const struct {
		uint64_t size;
		size_t n;
		uint64_t low, high;
	} cases[] = {
		{ 16 * MIB, 1, 16 * MIB, 0 },
		{ 254 * GIB, 1, 254 * GIB, 0 },
		{ 254 * GIB + 65536, 2, 254 * GIB, 65536 },
		{ UINT64_C(1) << 46, 2, 254 * GIB, (UINT64_C(1) << 46) - 254 * GIB },
	};
	static const uint64_t bad[] = { 0, 16 * MIB - 65536, 16 * MIB + 4096,
					(UINT64_C(1) << 46) + 65536, UINT64_MAX };
	struct vmm_load_range r[2];
	size_t n;

	for (size_t l = 0; l < VMM_ARRAY_LEN(layouts); l++) {
		for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
			assert_int_equal(layouts[l].ram(cases[i].size, r, &n), 0);
			assert_int_equal(n, cases[i].n);
			assert_true(r[0].gpa == 2 * GIB);
			assert_true(r[0].len == cases[i].low);
			if (n == 2) {
				assert_true(r[1].gpa == 512 * GIB);
				assert_true(r[1].len == cases[i].high);
			}
		}
		n = 77;
		for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
			assert_int_equal(layouts[l].ram(bad[i], r, &n), -EINVAL);
		assert_int_equal(n, 77);
	}
}

static void rom_is_reserved_and_windows_are_holes(void **state)
{
	const struct test_range ranges[] = { { 0, MIB, VMM_MEM_ROM },
					     { 2 * GIB, 16 * MIB, 0 },
					     { 512 * GIB, MIB, 0 } };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 3);

	for (size_t l = 0; l < VMM_ARRAY_LEN(layouts); l++) {
		struct vmm_load_map map = { 0 };

		assert_int_equal(layouts[l].map(mem, &map, NULL), 0);
		assert_int_equal(map.count, 3);
		assert_int_equal(map.entry[0].type, VMM_LOAD_MAP_RESERVED);
		assert_true(vmm_load_map_is(&map, 2 * GIB, 16 * MIB, VMM_LOAD_MAP_RAM));
		assert_true(vmm_load_map_is(&map, 512 * GIB, MIB, VMM_LOAD_MAP_RAM));
	}
}

static void ram_in_a_window_is_refused(void **state)
{
	for (size_t l = 0; l < VMM_ARRAY_LEN(layouts); l++) {
		const uint64_t places[] = { layouts[l].devices, 2 * GIB - MIB, 256 * GIB,
					    512 * GIB - MIB, layouts[l].devices - MIB };

		for (size_t i = 0; i < VMM_ARRAY_LEN(places); i++) {
			const struct test_range ranges[] = { { 2 * GIB, 16 * MIB, 0 },
							     { places[i], MIB, 0 } };
			VMM_CLEANUP(vmm_mem_free)
			struct vmm_mem *mem = test_mem(ranges, 2);
			struct vmm_load_map map = { .count = 77 };
			struct vmm_error err = { 0 };

			/* The last one ends where devices start. */
			assert_int_equal(layouts[l].map(mem, &map, &err),
					 i < 4 ? -EBUSY : 0);
			assert_int_equal(map.count, i < 4 ? 77 : 2);
		}
	}
}

static void ram_that_is_not_there_is_refused(void **state)
{
	static const struct test_range cases[] = { { 0, MIB, 0 },
						   { 2 * GIB, 8 * MIB, 0 },
						   { 2 * GIB, 16 * MIB,
						     VMM_MEM_READONLY } };

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(&cases[i], 1);
		struct vmm_load_map map;
		struct vmm_error err;

		assert_int_equal(vmm_load_arm64_map(mem, &map, &err), -EFAULT);
		assert_int_equal(vmm_load_riscv64_map(mem, &map, &err), -EFAULT);
	}
}

static void too_many_regions_are_refused(void **state)
{
	struct test_range ranges[VMM_LOAD_MAP_MAX + 1] = { { 2 * GIB, 16 * MIB, 0 } };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_load_map map;
	struct vmm_error err;

	for (size_t i = 1; i < VMM_ARRAY_LEN(ranges); i++)
		ranges[i] = (struct test_range){ 4 * GIB + i * MIB, 4096, 0 };
	mem = test_mem(ranges, VMM_ARRAY_LEN(ranges));
	assert_int_equal(vmm_load_arm64_map(mem, &map, &err), -E2BIG);
	assert_non_null(strstr(err.message, "too many regions"));
}

/* Kernel at the start of RAM, initrd near its end, neither over the other. */
static void a_kernel_and_an_initrd_find_their_places(void **state)
{
	for (size_t l = 0; l < VMM_ARRAY_LEN(layouts); l++) {
		const struct test_range range = { 2 * GIB, 16 * MIB, 0 };
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(&range, 1);
		struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
		struct vmm_load_source s = test_source(image, test_image(image, l == 0));
		struct vmm_load_range initrd;
		struct vmm_load_result r;
		struct vmm_load_map map;

		assert_int_equal(layouts[l].map(mem, &map, NULL), 0);
		o.map = &map;
		assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
		/* riscv: 2 MiB above, by its text offset. */
		assert_true(r.load_gpa == 2 * GIB + (l ? 2 * MIB : 0));
		assert_int_equal(vmm_load_initrd(mem, &map, &r, &s, &initrd, NULL), 0);
		assert_true(initrd.gpa == 2 * GIB + 16 * MIB - 4096);
	}
}

static void the_first_cpu_is_given_the_device_tree(void **state)
{
	struct vmm_load_result k = { .arch = VMM_LOAD_ARCH_AARCH64,
				     .entry = 2 * GIB + 64,
				     .first_gpa = 2 * GIB,
				     .last_gpa = 2 * GIB + 0xffff };
	struct vmm_load_range fdt = { 2 * GIB + 0x10000, 2 * MIB };
	struct vmm_load_riscv64_entry rv = { 7, 7, 7 };
	struct vmm_load_arm64_entry arm = { 7, 7, 7 };
	struct vmm_error err;

	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 3, &rv, &err), -EINVAL);
	assert_int_equal(vmm_load_arm64_boot(&k, &fdt, &arm, NULL), 0);
	assert_true(arm.pc == k.entry && arm.x0 == fdt.gpa && arm.pstate == 0x3c5);
	k.arch = VMM_LOAD_ARCH_RISCV64;
	assert_int_equal(vmm_load_arm64_boot(&k, &fdt, &arm, &err), -EINVAL);
	assert_int_equal(rv.pc, 7);
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 3, &rv, NULL), 0);
	assert_true(rv.pc == k.entry && rv.a0 == 3 && rv.a1 == fdt.gpa);

	fdt.len++;
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EINVAL);
	fdt.len = 0;
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EINVAL);
	fdt = (struct vmm_load_range){ 4 * GIB + 4, 64 };
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EINVAL);
	fdt = (struct vmm_load_range){ UINT64_MAX - 7, 64 };
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EINVAL);
	/* On each side of the kernel, and one byte into it. */
	fdt = (struct vmm_load_range){ 2 * GIB - 64, 64 };
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), 0);
	fdt.len = 65;
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EBUSY);
	fdt = (struct vmm_load_range){ 2 * GIB + 0xfff8, 64 };
	assert_int_equal(vmm_load_riscv64_boot(&k, &fdt, 0, &rv, &err), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_is_divided_around_the_window),
		cmocka_unit_test(rom_is_reserved_and_windows_are_holes),
		cmocka_unit_test(ram_in_a_window_is_refused),
		cmocka_unit_test(ram_that_is_not_there_is_refused),
		cmocka_unit_test(too_many_regions_are_refused),
		cmocka_unit_test(a_kernel_and_an_initrd_find_their_places),
		cmocka_unit_test(the_first_cpu_is_given_the_device_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

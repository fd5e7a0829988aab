/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#define RAM UINT64_C(0x80000000)

static uint8_t image[4096];

static struct vmm_mem *arm_ram(uint64_t gpa, uint64_t len)
{
	const struct test_range range = { gpa, len, 0 };

	return test_mem(&range, 1);
}

static int load_at(const struct vmm_mem *mem, size_t len, uint64_t gpa,
		   struct vmm_load_result *r, struct vmm_error *err)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, len);

	o.load_gpa = gpa;
	return vmm_load_kernel(mem, &s, &o, r, err);
}

static void both_images_are_loaded_and_described(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = arm_ram(RAM, 8 * MIB);
	struct vmm_load_result r;

	test_poison(mem, RAM, 8 * MIB);
	assert_int_equal(load_at(mem, test_image(image, true), 0, &r, NULL), 0);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_AARCH64);
	assert_int_equal(r.entry, RAM);
	assert_int_equal(r.load_gpa, RAM);
	assert_int_equal(r.last_gpa, RAM + IMAGE_SIZE - 1);
	assert_int_equal(r.flags, 0xa);
	assert_int_equal(r.initrd_window, 32 * GIB);
	assert_int_equal(r.cmdline_max, 2047);
	assert_true(test_is(mem, RAM + 64, IMAGE_LEN - 64, 0x77));
	assert_true(test_is(mem, RAM + IMAGE_LEN, 0x4000, 0xee));

	assert_int_equal(load_at(mem, test_image(image, false), 0, &r, NULL), 0);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_RISCV64);
	assert_int_equal(r.entry, RAM + 0x200000);
	assert_int_equal(r.last_gpa, RAM + 0x200000 + IMAGE_SIZE - 1);
	assert_int_equal(r.initrd_window, 0);
	assert_true(test_is(mem, RAM + 0x200000 + 64, IMAGE_LEN - 64, 0x77));
}

static void a_base_has_to_be_aligned_and_in_ram(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = arm_ram(RAM + 0x1000, 8 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	test_image(image, true);
	assert_int_equal(load_at(mem, IMAGE_LEN, RAM + 0x1000, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not a multiple of 2 MiB"));
	assert_int_equal(load_at(mem, IMAGE_LEN, RAM, &r, &err), -EFAULT);
	assert_int_equal(load_at(mem, IMAGE_LEN, 0, &r, &err), 0);
	assert_int_equal(r.load_gpa, RAM + 2 * MIB);
	assert_int_equal(load_at(mem, IMAGE_LEN, RAM + 4 * MIB, &r, &err), 0);
	assert_int_equal(r.load_gpa, RAM + 4 * MIB);
}

static void the_lowest_free_place_of_the_map_is_taken(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = arm_ram(RAM, 16 * MIB);
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, test_image(image, true));
	struct vmm_load_map map = { 0 };
	struct vmm_load_result r;

	assert_int_equal(vmm_load_map_set_mem(&map, mem), 0);
	assert_int_equal(vmm_load_map_take(&map, RAM, 0x1000), 0);
	o.map = &map;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
	assert_int_equal(r.load_gpa, RAM + 2 * MIB);
	assert_true(vmm_load_map_is(&map, RAM + 2 * MIB, IMAGE_SIZE, VMM_LOAD_MAP_TAKEN));
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
	assert_int_equal(r.load_gpa, RAM + 4 * MIB);
	o.min_gpa = RAM + 5 * MIB;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
	assert_int_equal(r.load_gpa, RAM + 6 * MIB);
}

static void damage_is_named(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = arm_ram(RAM, 8 * MIB);
	static const struct {
		bool arm;
		size_t at;
		uint64_t value;
		int want;
		const char *text;
	} cases[] = {
		{ true, 16, 0, -EOPNOTSUPP, "without a size" },
		{ true, 24, 1, -EOPNOTSUPP, "big-endian" },
		{ false, 24, 1, -EOPNOTSUPP, "big-endian" },
		{ false, 32, 0x30001, -EOPNOTSUPP, "header version 3.1" },
		{ true, 16, 8 * MIB + 1, -EFAULT, "no free guest memory" },
		{ true, 16, UINT64_MAX, -EFAULT, "no free guest memory" },
		{ true, 8, UINT64_MAX, -EFAULT, "no free guest memory" },
		{ true, 8, 8 * MIB - IMAGE_SIZE + 1, -EFAULT, "no free guest memory" },
	};
	struct vmm_load_result r;
	struct vmm_error err;

	test_poison(mem, RAM, 8 * MIB);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		int ret;

		test_image(image, cases[i].arm);
		put_le64(image + cases[i].at, cases[i].value);
		if (cases[i].at == 32)
			memcpy(image + 48, "RISCV\0\0", 8);
		ret = load_at(mem, IMAGE_LEN, 0, &r, &err);
		if (ret != cases[i].want || !strstr(err.message, cases[i].text))
			fail_msg("case %zu: %d '%s'", i, ret, err.message);
	}
	test_image(image, true);
	put_le64(image + 8, UINT64_MAX);
	assert_int_equal(load_at(mem, IMAGE_LEN, RAM, &r, &err), -EBADMSG);
	assert_true(test_is(mem, RAM, 8 * MIB, 0xee));
}

/* With an EFI stub the section table says how long the file is. */
static void a_truncated_file_is_seen_by_its_sections(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = arm_ram(RAM, 8 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	test_image(image, true);
	memcpy(image, "MZ", 2);
	put_le32(image + 60, 64);
	memcpy(image + 64, "PE\0\0", 4);
	put_le16(image + 64 + 6, 1);
	put_le16(image + 64 + 20, 0x70);
	put_le32(image + 64 + 24 + 0x70 + 16, 0x80);
	put_le32(image + 64 + 24 + 0x70 + 20, IMAGE_LEN - 0x80);
	assert_int_equal(load_at(mem, IMAGE_LEN, 0, &r, &err), 0);
	for (size_t n = 64; n < IMAGE_LEN; n++) {
		assert_int_equal(load_at(mem, n, 0, &r, &err), -EBADMSG);
		assert_non_null(strstr(err.message, "truncated: PE"));
	}
	/* Not PE after all, or a table inside the header: not checked. */
	memcpy(image + 64, "XX", 2);
	assert_int_equal(load_at(mem, IMAGE_LEN - 1, 0, &r, &err), 0);
	put_le32(image + 60, 8);
	assert_int_equal(load_at(mem, IMAGE_LEN - 1, 0, &r, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_images_are_loaded_and_described),
		cmocka_unit_test(a_base_has_to_be_aligned_and_in_ram),
		cmocka_unit_test(the_lowest_free_place_of_the_map_is_taken),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(a_truncated_file_is_seen_by_its_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

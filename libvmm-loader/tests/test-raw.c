/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Firmware, and seeds. */
#include "load-test.h"

#include <stdlib.h>

static uint8_t image[0x3000];

static struct vmm_load_kernel_opts raw(uint64_t gpa, uint32_t flags)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;

	o.arch = VMM_LOAD_ARCH_X86_64;
	o.flags = VMM_LOAD_RAW | flags;
	o.load_gpa = gpa;
	return o;
}

static bool host_is(const struct vmm_mem *mem, size_t region, uint64_t at, uint64_t len,
		    uint8_t value)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_get_region(mem, region, &r), 0);
	for (uint64_t i = 0; i < len; i++)
		if (((uint8_t *)r.host)[at + i] != value)
			return false;
	return true;
}

static void firmware_goes_where_it_is_told(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(2 * MIB);
	struct vmm_load_kernel_opts o = raw(0x1234, 0);
	struct vmm_load_source s;
	struct vmm_load_result r;

	/* It may look like anything. */
	memset(image, 0x5a, sizeof(image));
	memcpy(image, "\x1f\x8b", 2);
	test_poison(mem, 0, 0x10000);
	s = test_source(image, sizeof(image));
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
	assert_int_equal(r.format, VMM_LOAD_FORMAT_RAW);
	assert_int_equal(r.wrapper, 0);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_X86_64);
	assert_int_equal(r.load_gpa, 0x1234);
	assert_int_equal(r.entry, 0x1234);
	assert_true(r.entry32 == VMM_LOAD_NONE);
	assert_int_equal(r.first_gpa, 0x1234);
	assert_int_equal(r.last_gpa, 0x1234 + sizeof(image) - 1);
	assert_int_equal(r.cmdline_max, 0);
	assert_true(test_is(mem, 0, 0x1234, 0xee));
	assert_true(test_is(mem, 0x1236, sizeof(image) - 2, 0x5a));
	assert_true(test_is(mem, 0x1234 + sizeof(image), 0x1000, 0xee));
}

static void firmware_ends_at_4_gib_in_rom(void **state)
{
	const struct test_range ranges[] = { { 0, MIB, 0 },
					     { 4 * GIB - 0x4000, 0x2000, VMM_MEM_ROM },
					     { 4 * GIB - 0x2000, 0x2000,
					       VMM_MEM_READONLY } };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 3);
	struct vmm_load_kernel_opts o = raw(4 * GIB, VMM_LOAD_RAW_END);
	struct vmm_load_source s;
	struct vmm_load_result r;

	for (int file = 0; file < 2; file++) {
		uint8_t value = file ? 0x33 : 0x5a;

		memset(image, value, sizeof(image));
		/* Over two regions, and its first page is none of it. */
		s = file ? test_file(image, sizeof(image))
			 : test_source(image, sizeof(image));
		assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
		assert_true(r.load_gpa == 4 * GIB - sizeof(image));
		assert_true(r.last_gpa == 4 * GIB - 1);
		assert_true(host_is(mem, 1, 0, 0x1000, 0));
		assert_true(host_is(mem, 1, 0x1000, 0x1000, value));
		assert_true(host_is(mem, 2, 0, 0x2000, value));
		if (file)
			close(s.fd);
	}
}

static void firmware_that_does_not_fit_is_refused(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t flags;
		int want;
		const char *text;
	} cases[] = {
		{ 2 * MIB - 0x2fff, 0, -EFAULT, "not guest memory" },
		{ UINT64_MAX - 1, 0, -EBADMSG, "pass the end" },
		{ 0x2fff, VMM_LOAD_RAW_END, -EINVAL, "do not fit below" },
		{ 0, VMM_LOAD_RAW_END, -EINVAL, "do not fit below" },
		{ 0x8000, 4, -EINVAL, "unknown flags 0x5" },
		{ 0x10000, 0, -EBUSY, "taken by something else" },
	};
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(2 * MIB);
	struct vmm_load_source s = test_source(image, sizeof(image));
	struct vmm_load_map map = { 0 }, before;
	struct vmm_load_result r = { 0 };
	struct vmm_load_kernel_opts o;
	struct vmm_error err = { 0 };
	int ret;

	assert_int_equal(vmm_load_map_set_mem(&map, mem), 0);
	assert_int_equal(vmm_load_map_take(&map, 0x10000, 0x1000), 0);
	before = map;
	test_poison(mem, 0, 2 * MIB);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		o = raw(cases[i].gpa, cases[i].flags);
		o.map = &map;
		ret = vmm_load_kernel(mem, &s, &o, &r, &err);
		if (ret != cases[i].want || !strstr(err.message, cases[i].text))
			fail_msg("%zu: %d '%s'", i, ret, err.message);
	}
	o = raw(0x10000, 0);
	o.flags = VMM_LOAD_RAW_END;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, &err), -EINVAL);
	assert_true(test_is(mem, 0, 2 * MIB, 0xee));
	assert_int_equal(r.format, 0);
	assert_memory_equal(&map, &before, sizeof(map));
	/* With the map it is taken. */
	o = raw(0x20000, 0);
	o.map = &map;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, &err), 0);
	assert_true(vmm_load_map_is(&map, 0x20000, sizeof(image), VMM_LOAD_MAP_TAKEN));
}

static void seeds_are_random_and_bounded(void **state)
{
	uint8_t a[4096], b[32], zero[32] = { 0 };
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_load_random(a, sizeof(a), NULL), 0);
	memset(b, 0, sizeof(b));
	assert_int_equal(vmm_load_random(b, 31, NULL), 0);
	assert_int_equal(b[31], 0);
	assert_memory_not_equal(a, b, 31);
	assert_memory_not_equal(b, zero, 31);
	assert_int_equal(vmm_load_random(a, 0, &err), -EINVAL);
	assert_int_equal(vmm_load_random(a, 4097, &err), -EINVAL);
	assert_non_null(strstr(err.message, "4097 bytes, 1 to 4096"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(firmware_goes_where_it_is_told),
		cmocka_unit_test(firmware_ends_at_4_gib_in_rom),
		cmocka_unit_test(firmware_that_does_not_fit_is_refused),
		cmocka_unit_test(seeds_are_random_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

static uint8_t image[65536];

static int load_at(const struct vmm_mem *mem, size_t len, uint64_t gpa,
		   struct vmm_load_result *r, struct vmm_error *err)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, len);

	o.load_gpa = gpa;
	return vmm_load_kernel(mem, &s, &o, r, err);
}

static void a_good_kernel_is_loaded_and_described(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(32 * MIB);
	struct vmm_load_result r;

	test_bzimage(image);
	test_poison(mem, BZ_PREF - 16, 0x10000);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, NULL), 0);
	assert_int_equal(r.format, VMM_LOAD_FORMAT_BZIMAGE);
	assert_int_equal(r.load_gpa, BZ_PREF);
	assert_int_equal(r.entry, BZ_PREF + 0x200);
	assert_int_equal(r.entry32, BZ_PREF);
	assert_true(r.pvh_entry == VMM_LOAD_NONE);
	assert_int_equal(r.first_gpa, BZ_PREF);
	assert_int_equal(r.last_gpa, BZ_PREF + BZ_INIT_SIZE - 1);
	assert_int_equal(r.cmdline_max, 2047);
	assert_true(r.initrd_last_max == UINT64_MAX);
	assert_int_equal(r.flags, 0x3f);
	/* The kernel alone is written: what init_size names is its own business. */
	assert_true(test_is(mem, BZ_PREF - 16, 16, 0xee));
	assert_true(test_is(mem, BZ_PREF, BZ_CODE, 0xbb));
	assert_true(test_is(mem, BZ_PREF + BZ_CODE, 0x4000, 0xee));
}

static void the_header_copy_ends_where_the_header_says(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(32 * MIB);
	static const uint8_t none[VMM_LOAD_SETUP_HEADER_MAX];
	struct vmm_load_result r;

	test_bzimage(image);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, NULL), 0);
	assert_int_equal(r.setup_header_len, 0x26c - 0x1f1);
	assert_memory_equal(r.setup_header, image + 0x1f1, 0x214 - 0x1f1);
	assert_int_equal(get_le32(r.setup_header + (0x214 - 0x1f1)), BZ_PREF);
	assert_memory_equal(r.setup_header + (0x218 - 0x1f1), image + 0x218,
			    0x26c - 0x218);
	assert_memory_equal(r.setup_header + r.setup_header_len, none,
			    sizeof(none) - r.setup_header_len);
	/* The longest and the shortest one. */
	image[0x201] = 0x7f;
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, NULL), 0);
	assert_int_equal(r.setup_header_len, VMM_LOAD_SETUP_HEADER_MAX);
	image[0x201] = 0x62;
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, NULL), 0);
	assert_int_equal(r.setup_header_len, 0x264 - 0x1f1);
}

static const struct damage {
	size_t at, width;
	uint64_t value;
	int want;
	const char *text;
} damages[] = {
	{ 0x1fe, 2, 0x55aa, -EBADMSG, "boot flag at offset 0x1fe is 0x55aa" },
	{ 0x202, 1, 'X', -ENOEXEC, "not a kernel" },
	{ 0x206, 2, 0x209, -EOPNOTSUPP, "protocol 2.9, 2.10 is the oldest" },
	{ 0x200, 1, 0x90, -EBADMSG, "length of the setup header" },
	{ 0x201, 1, 0x80, -EBADMSG, "length of the setup header" },
	{ 0x201, 1, 0x61, -EBADMSG, "length of the setup header" },
	{ 0x211, 1, 0, -EOPNOTSUPP, "a bzImage is needed" },
	{ 0x1f1, 1, 255, -EBADMSG, "truncated: the kernel needs" },
	{ 0x1f1, 1, 0, -EBADMSG, "truncated: the kernel needs" },
	{ 0x1f4, 4, 0, -EBADMSG, "size of the kernel" },
	{ 0x1f4, 4, 0x200 / 16, -EBADMSG, "size of the kernel" },
	{ 0x1f4, 4, BZ_CODE / 16 + 1, -EBADMSG,
	  "truncated: the kernel needs 1040 bytes" },
	{ 0x1f4, 4, UINT32_MAX, -EBADMSG, "truncated" },
	{ 0x248, 4, UINT32_MAX, -EBADMSG, "truncated: the compressed kernel" },
	{ 0x24c, 4, UINT32_MAX, -EBADMSG, "truncated: the compressed kernel" },
	{ 0x230, 4, 0, -EBADMSG, "alignment at offset 0x230 is 0x0" },
	{ 0x230, 4, 0x300000, -EBADMSG, "alignment" },
	{ 0x258, 8, UINT64_MAX, -EBADMSG, "preferred address" },
	{ 0x258, 8, UINT64_MAX & ~UINT64_C(0x1fffff), -EFAULT, "not guest memory" },
	{ 0x258, 8, 0, -EFAULT, "the lowest for a kernel is 0x100000" },
	{ 0x260, 4, 0, -EBADMSG, "init_size" },
	{ 0x260, 4, 16 * MIB + 1, -EFAULT, "not guest memory" },
	{ 0x260, 4, UINT32_MAX, -EFAULT, "not guest memory" },
};

static void each_damage_is_named_and_nothing_is_written(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(32 * MIB);
	struct vmm_load_result r = { 0 };
	struct vmm_error err = { 0 };
	uint8_t le[8];

	test_poison(mem, 0, 32 * MIB);
	for (size_t i = 0; i < VMM_ARRAY_LEN(damages); i++) {
		const struct damage *d = &damages[i];
		int ret;

		test_bzimage(image);
		put_le64(le, d->value);
		memcpy(image + d->at, le, d->width);
		ret = load_at(mem, BZ_LEN, 0, &r, &err);
		if (ret != d->want || !strstr(err.message, d->text))
			fail_msg("case %zu: %d '%s', expected %d '%s'", i, ret,
				 err.message, d->want, d->text);
		assert_int_equal(r.format, 0);
	}
	assert_true(test_is(mem, 0, 32 * MIB, 0xee));
}

static void it_goes_where_it_is_told_if_it_can(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(32 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	test_bzimage(image);
	assert_int_equal(load_at(mem, BZ_LEN, BZ_PREF + 0x200000, &r, &err), 0);
	assert_int_equal(r.load_gpa, BZ_PREF + 0x200000);
	assert_int_equal(r.last_gpa, BZ_PREF + 0x200000 + BZ_INIT_SIZE - 1);
	assert_int_equal(get_le32(r.setup_header + (0x214 - 0x1f1)), BZ_PREF + 0x200000);
	assert_int_equal(load_at(mem, BZ_LEN, BZ_PREF + 0x100000, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not a multiple of 0x200000"));
	assert_int_equal(load_at(mem, BZ_LEN, 32 * MIB, &r, &err), -EFAULT);
	assert_int_equal(load_at(mem, BZ_LEN, UINT64_MAX & ~UINT64_C(0x1fffff), &r, &err),
			 -EFAULT);

	/* Below its preferred address it is unpacked at that address all the same. */
	assert_int_equal(load_at(mem, BZ_LEN, 0x200000, &r, &err), 0);
	assert_int_equal(r.first_gpa, 0x200000);
	assert_int_equal(r.last_gpa, BZ_PREF + BZ_INIT_SIZE - 1);
	assert_int_equal(r.entry, 0x200200);
	/* Near it, both spans are one. */
	put_le32(image + 0x230, 0x100);
	assert_int_equal(load_at(mem, BZ_LEN, BZ_PREF - 0x100, &r, &err), 0);
	assert_int_equal(r.first_gpa, BZ_PREF - 0x100);
	assert_int_equal(r.last_gpa, BZ_PREF + BZ_INIT_SIZE - 1);
}

static void one_that_cannot_move_stays(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(32 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	test_bzimage(image);
	image[0x234] = 0;
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, &err), 0);
	assert_int_equal(r.load_gpa, 0x100000);
	assert_int_equal(r.first_gpa, 0x100000);
	assert_int_equal(r.last_gpa, BZ_PREF + BZ_INIT_SIZE - 1);
	assert_int_equal(load_at(mem, BZ_LEN, 0x100000, &r, &err), 0);
	assert_int_equal(load_at(mem, BZ_LEN, 0x200000, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "not relocatable"));
	/* It runs below where it is loaded, and the two meet. */
	put_le64(image + 0x258, 0x100000 + 0x200);
	put_le32(image + 0x214, 0x100000 + 0x400);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, &err), 0);
	assert_int_equal(r.first_gpa, 0x100200);
	assert_int_equal(r.load_gpa, 0x100400);
	assert_int_equal(r.last_gpa, 0x100200 + BZ_INIT_SIZE - 1);
}

static void flags_decide_what_it_can_do(void **state)
{
	const struct test_range ranges[] = { { 0, 32 * MIB, 0 },
					     { 4 * GIB, 32 * MIB, 0 } };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 2);
	struct vmm_load_result r;
	struct vmm_error err;

	/* No 64-bit entry, nothing above 4 GiB. */
	test_bzimage(image);
	put_le16(image + 0x236, 0);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, &err), 0);
	assert_true(r.entry == VMM_LOAD_NONE);
	assert_int_equal(r.entry32, BZ_PREF);
	assert_int_equal(r.initrd_last_max, 0x7fffffff);
	assert_int_equal(load_at(mem, BZ_LEN, 4 * GIB, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "above 4 GiB, where this kernel cannot be"));
	/* Before 2.12 the field was padding. */
	test_bzimage(image);
	put_le16(image + 0x206, 0x20b);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, &err), 0);
	assert_int_equal(r.flags, 0);
	assert_true(r.entry == VMM_LOAD_NONE);
	/* With the flag it can, and has no 32-bit entry there. */
	test_bzimage(image);
	assert_int_equal(load_at(mem, BZ_LEN, 4 * GIB, &r, &err), 0);
	assert_int_equal(r.entry, 4 * GIB + 0x200);
	assert_true(r.entry32 == VMM_LOAD_NONE);
	assert_int_equal(r.first_gpa, 4 * GIB);
	/* A limit that is not given is 255. */
	put_le32(image + 0x238, 0);
	assert_int_equal(load_at(mem, BZ_LEN, 0, &r, &err), 0);
	assert_int_equal(r.cmdline_max, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_kernel_is_loaded_and_described),
		cmocka_unit_test(the_header_copy_ends_where_the_header_says),
		cmocka_unit_test(each_damage_is_named_and_nothing_is_written),
		cmocka_unit_test(it_goes_where_it_is_told_if_it_can),
		cmocka_unit_test(one_that_cannot_move_stays),
		cmocka_unit_test(flags_decide_what_it_can_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

static uint8_t image[65536];

static int load(const struct vmm_mem *mem, size_t len, struct vmm_load_result *r,
		struct vmm_error *err)
{
	struct vmm_load_source s = test_source(image, len);

	return vmm_load_kernel(mem, &s, NULL, r, err);
}

static void a_good_kernel_is_loaded_and_described(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_result r;

	test_poison(mem, ELF_GPA0, 0x20000);
	assert_int_equal(load(mem, test_elf(image), &r, NULL), 0);
	assert_int_equal(r.format, VMM_LOAD_FORMAT_ELF);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_X86_64);
	assert_int_equal(r.entry, ELF_GPA0 + 0x10);
	assert_true(r.entry32 == VMM_LOAD_NONE);
	assert_int_equal(r.pvh_entry, ELF_GPA0 + 0x20);
	assert_int_equal(r.load_gpa, ELF_GPA0);
	assert_int_equal(r.first_gpa, ELF_GPA0);
	assert_int_equal(r.last_gpa, ELF_GPA1 + ELF_SEG1_LEN + ELF_BSS - 1);
	assert_int_equal(r.cmdline_max, 2047);
	assert_int_equal(r.initrd_last_max, UINT32_MAX);
	assert_int_equal(r.setup_header_len, 0);

	assert_true(test_is(mem, ELF_GPA0, ELF_SEG0_LEN, 0x90));
	assert_true(test_is(mem, ELF_GPA0 + ELF_SEG0_LEN, 0x100, 0xee));
	assert_true(test_is(mem, ELF_GPA1, ELF_SEG1_LEN, 0xd1));
	assert_true(test_is(mem, ELF_GPA1 + ELF_SEG1_LEN, ELF_BSS, 0));
	assert_true(test_is(mem, ELF_GPA1 + ELF_SEG1_LEN + ELF_BSS, 16, 0xee));
}

static void bss_alone_counts(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_result r;

	test_elf(image);
	test_elf_segment(test_elf_header(image, 2), PT_LOAD, 0, 0x300000, 0, 0x1234);
	test_poison(mem, 0x300000, 0x2000);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_int_equal(r.last_gpa, 0x301233);
	assert_true(test_is(mem, 0x300000, 0x1234, 0));
	assert_true(test_is(mem, 0x301234, 16, 0xee));
	/* One without any bytes is not there at all, wherever it claims to be. */
	test_elf_segment(test_elf_header(image, 2), PT_LOAD, 0, UINT64_MAX, 0, 0);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_int_equal(r.last_gpa, ELF_GPA0 + ELF_SEG0_LEN - 1);
}

struct damage {
	size_t at, width;
	uint64_t value;
	int want;
	const char *text;
};

/* Offsets in program headers 0 (segment), 1 (note) and 2 (segment). */
#define PH(i, field) (64 + 56 * (i) + (field))

static const struct damage damages[] = {
	{ 0, 1, 0, -ENOEXEC, "not a kernel" },
	{ EI_CLASS, 1, 1, -ENOEXEC, "32-bit ELF for machine 62 (x86_64)" },
	{ EI_CLASS, 1, 9, -ENOEXEC, "expected 64-bit" },
	{ EI_DATA, 1, 2, -ENOEXEC, "big-endian" },
	{ EI_VERSION, 1, 0, -EBADMSG, "version at offset 6 is 0, expected 1" },
	{ 16, 2, ET_REL, -EBADMSG, "type at offset 16 is 1" },
	{ 18, 2, EM_S390, -ENOEXEC, "machine 22 (s390)" },
	{ 18, 2, 0x1234, -ENOEXEC, "machine 4660 (unknown)" },
	{ 20, 4, 7, -EBADMSG, "version at offset 20 is 7" },
	{ 54, 2, 32, -EBADMSG,
	  "size of a program header at offset 54 is 32, expected 56" },
	{ 56, 2, 0, -EBADMSG, "number of program headers" },
	{ 56, 2, 0xffff, -EOPNOTSUPP, "65535 or more" },
	{ 56, 2, 0xfffe, -EBADMSG, "truncated: ELF program headers" },
	{ 32, 8, 63, -EBADMSG, "place of program headers at offset 32 is 63" },
	{ 32, 8, UINT64_C(1) << 63, -EBADMSG, "truncated: ELF program headers" },
	{ 32, 8, UINT64_MAX, -EBADMSG, "truncated: ELF program headers" },
	{ 24, 8, ELF_GPA0 - 1, -EBADMSG, "entry 0x1fffff is in no loaded segment" },
	{ 24, 8, ELF_GPA0 + ELF_SEG0_LEN, -EBADMSG, "is in no loaded segment" },
	{ 24, 8, ELF_GPA1 + ELF_SEG1_LEN, -EBADMSG, "is in no loaded segment" },
	{ 24, 8, UINT64_MAX, -EBADMSG, "is in no loaded segment" },
	{ PH(0, 0), 4, PT_INTERP, -ENOEXEC, "a program that needs an operating system" },
	{ PH(0, 8), 8, UINT64_MAX, -EBADMSG, "truncated: ELF segment" },
	{ PH(0, 8), 8, ELF_LEN - ELF_SEG0_LEN + 1, -EBADMSG, "truncated: ELF segment" },
	{ PH(0, 24), 8, UINT64_MAX - 0x10, -EBADMSG,
	  "pass the end of the address space" },
	{ PH(0, 24), 8, UINT64_MAX - ELF_SEG0_LEN + 1, -EBADMSG, "in no loaded segment" },
	{ PH(0, 32), 8, UINT64_MAX, -EBADMSG, "in memory but" },
	{ PH(0, 40), 8, ELF_SEG0_LEN - 1, -EBADMSG,
	  "255 bytes in memory but 256 in the file" },
	{ PH(0, 40), 8, UINT64_MAX, -EBADMSG, "pass the end" },
	{ PH(0, 40), 8, 0x10001, -EBADMSG, "segments overlap" },
	{ PH(2, 40), 8, 64 * MIB, -EFAULT, "not guest memory" },
	{ PH(2, 24), 8, 4 * MIB, -EFAULT, "not guest memory" },
	{ PH(2, 24), 8, ELF_GPA0 + 1, -EBADMSG, "segments overlap" },
	{ PH(2, 24), 8, MIB - 1, -EFAULT, "the lowest for a kernel is 0x100000" },
	{ PH(1, 8), 8, ELF_LEN, -EBADMSG, "truncated: ELF notes" },
	{ PH(1, 32), 8, UINT64_MAX, -EBADMSG, "truncated: ELF notes" },
	{ ELF_NOTE, 4, UINT32_MAX, -EBADMSG, "length of a note" },
	{ ELF_NOTE + 4, 4, UINT32_MAX, -EBADMSG, "length of a note" },
	{ ELF_NOTE + 24 + 4, 4, 3, -EBADMSG,
	  "length of the PVH note at offset 796 is 3" },
	{ ELF_NOTE + 24 + 4, 4, 5, -EBADMSG, "length of a note" },
	{ ELF_NOTE + 24 + 16, 4, 0, -EBADMSG, "PVH entry 0x0 is in no loaded segment" },
};

static void each_damage_is_named_and_nothing_is_written(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_result r = { 0 };
	struct vmm_error err = { 0 };
	uint8_t le[8];

	test_poison(mem, 0, 4 * MIB);
	for (size_t i = 0; i < VMM_ARRAY_LEN(damages); i++) {
		const struct damage *d = &damages[i];
		int ret;

		test_elf(image);
		put_le64(le, d->value);
		memcpy(image + d->at, le, d->width);
		ret = load(mem, ELF_LEN, &r, &err);
		if (ret != d->want || !strstr(err.message, d->text))
			fail_msg("case %zu: %d '%s', expected %d '%s'", i, ret,
				 err.message, d->want, d->text);
		assert_int_equal(strncmp(err.message, "test.img: ", 10), 0);
		assert_int_equal(r.format, 0);
	}
	assert_true(test_is(mem, 0, 4 * MIB, 0xee));
}

static void the_last_page_of_ram_is_usable_to_its_last_byte(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_result r;

	test_elf(image);
	put_le64(test_elf_header(image, 2) + 24, 4 * MIB - ELF_SEG1_LEN - ELF_BSS);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_int_equal(r.last_gpa, 4 * MIB - 1);
	put_le64(test_elf_header(image, 2) + 24, 4 * MIB - ELF_SEG1_LEN - ELF_BSS + 1);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), -EFAULT);
}

static void read_only_memory_is_refused(void **state)
{
	const struct test_range ranges[] = {
		{ 0, ELF_GPA1, 0 },
		{ ELF_GPA1, 0x1000, VMM_MEM_READONLY },
	};
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 2);
	struct vmm_load_result r;
	struct vmm_error err;

	test_poison(mem, ELF_GPA0, ELF_SEG0_LEN);
	assert_int_equal(load(mem, test_elf(image), &r, &err), -EROFS);
	assert_non_null(strstr(err.message, "not writable memory"));
	assert_true(test_is(mem, ELF_GPA0, ELF_SEG0_LEN, 0xee));
}

static void a_hole_under_a_segment_is_refused(void **state)
{
	const struct test_range ranges[] = {
		{ 0, ELF_GPA1 + 0x1000, 0 },
		{ ELF_GPA1 + 0x2000, 0x100000, 0 },
	};
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(ranges, 2);
	struct vmm_load_result r;

	test_elf(image);
	put_le64(test_elf_header(image, 2) + 40, 0x1000);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	put_le64(test_elf_header(image, 2) + 40, 0x2001);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), -EFAULT);
}

/* Linux has segments that claim to be 8-aligned with notes that are 4-aligned; the
 * alignment in the header must not matter, nor a second note segment without the note. */
static void the_pvh_note_is_found_whatever_its_segment_claims(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	static const uint64_t aligns[] = { 0, 1, 3, 4, 8, 4096, UINT64_MAX };
	struct vmm_load_result r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(aligns); i++) {
		test_elf(image);
		put_le64(test_elf_header(image, 1) + 48, aligns[i]);
		assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
		assert_int_equal(r.pvh_entry, ELF_GPA0 + 0x20);
	}

	test_elf(image);
	put_le16(image + 56, 4);
	test_elf_segment(test_elf_header(image, 3), PT_NOTE, ELF_NOTE, 0, 24, 0);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_int_equal(r.pvh_entry, ELF_GPA0 + 0x20);

	/* Another type, another name: no PVH. */
	test_elf(image);
	put_le32(image + ELF_NOTE + 24 + 8, 17);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_true(r.pvh_entry == VMM_LOAD_NONE);
	test_elf(image);
	image[ELF_NOTE + 24 + 12] = 'Y';
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_true(r.pvh_entry == VMM_LOAD_NONE);
	/* An unfinished header at the end is not a note. */
	test_elf(image);
	put_le64(test_elf_header(image, 1) + 32, 24 + 11);
	assert_int_equal(load(mem, ELF_LEN, &r, NULL), 0);
	assert_true(r.pvh_entry == VMM_LOAD_NONE);
}

static void work_is_bounded(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	/* 65 segments of one page each. */
	test_elf(image);
	memset(image + 64, 0, sizeof(image) - 64);
	put_le16(image + 56, 65);
	for (unsigned int i = 0; i < 65; i++)
		test_elf_segment(test_elf_header(image, i), PT_LOAD, 0x8000,
				 ELF_GPA0 + 0x1000 * i, 0x100, 0x100);
	assert_int_equal(load(mem, sizeof(image), &r, &err), -E2BIG);
	assert_non_null(strstr(err.message, "more than 64 loadable segments"));
	put_le16(image + 56, 64);
	assert_int_equal(load(mem, sizeof(image), &r, &err), 0);

	/* Note segments that all point at the same 50 kB of empty notes. */
	test_elf(image);
	memset(image + 64 + 56, 0, sizeof(image) - 64 - 56);
	put_le16(image + 56, 100);
	for (unsigned int i = 1; i < 100; i++)
		test_elf_segment(test_elf_header(image, i), PT_NOTE, 0x2000, 0, 50000, 0);
	assert_int_equal(load(mem, sizeof(image), &r, &err), -E2BIG);
	assert_non_null(strstr(err.message, "more than 4096 ELF notes"));
}

static void a_load_address_is_not_for_elf(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, test_elf(image));
	struct vmm_load_result r;

	o.load_gpa = UINT64_MAX;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), -EINVAL);
	o.load_gpa = 0;
	o.min_gpa = ELF_GPA0 + 1;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), -EFAULT);
	o.min_gpa = ELF_GPA0;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, NULL), 0);
}

static void the_map_is_taken_from_first_to_last_byte(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, test_elf(image));
	struct vmm_load_map map = { 0 };
	struct vmm_load_result r;
	struct vmm_error err;

	o.map = &map;
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, &err), -EFAULT);
	assert_non_null(strstr(err.message, "not RAM in the memory map"));
	assert_int_equal(map.count, 0);
	assert_int_equal(vmm_load_map_set_mem(&map, mem), 0);
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, &err), 0);
	assert_true(vmm_load_map_is(&map, r.first_gpa, r.last_gpa - r.first_gpa + 1,
				    VMM_LOAD_MAP_TAKEN));
	assert_true(vmm_load_map_is(&map, 0, r.first_gpa, VMM_LOAD_MAP_RAM));
	assert_true(vmm_load_map_is(&map, r.last_gpa + 1, 4 * MIB - r.last_gpa - 1,
				    VMM_LOAD_MAP_RAM));
	/* There is no room for a second one. */
	assert_int_equal(vmm_load_kernel(mem, &s, &o, &r, &err), -EBUSY);
	assert_non_null(strstr(err.message, "taken by something else"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_kernel_is_loaded_and_described),
		cmocka_unit_test(bss_alone_counts),
		cmocka_unit_test(each_damage_is_named_and_nothing_is_written),
		cmocka_unit_test(the_last_page_of_ram_is_usable_to_its_last_byte),
		cmocka_unit_test(read_only_memory_is_refused),
		cmocka_unit_test(a_hole_under_a_segment_is_refused),
		cmocka_unit_test(the_pvh_note_is_found_whatever_its_segment_claims),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(a_load_address_is_not_for_elf),
		cmocka_unit_test(the_map_is_taken_from_first_to_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

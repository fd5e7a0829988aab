/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOAD_TEST_H
#define LOAD_TEST_H

#include "vmm-test.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vmm/loader-x86.h>

#include "../src/bytes.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct test_range {
	uint64_t gpa, len;
	uint32_t flags;
};

static inline struct vmm_mem *test_mem(const struct test_range *ranges, size_t n)
{
	struct vmm_mem_builder *builder = NULL;
	struct vmm_mem *mem = NULL;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	for (size_t i = 0; i < n; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		r.gpa = ranges[i].gpa;
		r.len = ranges[i].len;
		r.flags = ranges[i].flags;
		assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	}
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	vmm_mem_builder_free(builder);
	return mem;
}

/* Says in TAP that a whole program has nothing to test here; returns its exit status.
 * cmocka's skip() prints "not ok", which Meson takes for a failure. */
static inline int test_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return 0;
}

/* RAM from 0 to @p len. */
static inline struct vmm_mem *test_ram(uint64_t len)
{
	const struct test_range range = { 0, len, 0 };

	return test_mem(&range, 1);
}

static inline struct vmm_load_source test_source(const void *data, uint64_t len)
{
	struct vmm_load_source s = VMM_LOAD_SOURCE_INIT;

	s.name = "test.img";
	s.data = data;
	s.len = len;
	return s;
}

/* The same bytes as a file. */
static inline struct vmm_load_source test_file(const void *data, size_t len)
{
	struct vmm_load_source s = VMM_LOAD_SOURCE_INIT;

	s.name = "test.img";
	s.fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(s.fd >= 0);
	assert_int_equal(write(s.fd, data, len), (ssize_t)len);
	return s;
}

/* Fills guest memory so that a byte too many or too few shows. */
static inline void test_poison(const struct vmm_mem *mem, uint64_t gpa, uint64_t len)
{
	assert_int_equal(vmm_mem_fill(mem, gpa, 0xee, len), 0);
}

static inline bool test_is(const struct vmm_mem *mem, uint64_t gpa, uint64_t len,
			   uint8_t value)
{
	void *p;

	assert_int_equal(vmm_mem_get_ptr(mem, gpa, len, &p), 0);
	for (uint64_t i = 0; i < len; i++)
		if (((uint8_t *)p)[i] != value)
			return false;
	return true;
}

/* A small valid ELF of two segments and a note segment with the PVH entry. */
enum {
	ELF_SEG0 = 0x200,
	ELF_SEG0_LEN = 0x100,
	ELF_NOTE = 0x300,
	ELF_NOTE_LEN = 20 + 24,
	ELF_SEG1 = 0x340,
	ELF_SEG1_LEN = 0x40,
	ELF_LEN = 0x380,
	ELF_GPA0 = 0x200000,
	ELF_GPA1 = 0x210000,
	ELF_BSS = 0x500,
};

static inline uint8_t *test_elf_header(uint8_t *b, unsigned int i)
{
	return b + 64 + 56 * i;
}

static inline void test_elf_segment(uint8_t *ph, uint32_t type, uint64_t offset,
				    uint64_t gpa, uint64_t file_len, uint64_t mem_len)
{
	put_le32(ph, type);
	put_le64(ph + 8, offset);
	put_le64(ph + 16, gpa + UINT64_C(0xffffffff80000000));
	put_le64(ph + 24, gpa);
	put_le64(ph + 32, file_len);
	put_le64(ph + 40, mem_len);
	put_le64(ph + 48, 0x1000);
}

static inline void test_note(uint8_t *p, const char *name, uint32_t type, uint32_t value)
{
	put_le32(p, 4);
	put_le32(p + 4, 4);
	put_le32(p + 8, type);
	memcpy(p + 12, name, 4);
	put_le32(p + 16, value);
}

static inline size_t test_elf(uint8_t *b)
{
	memset(b, 0, ELF_LEN);
	memcpy(b, ELFMAG, 4);
	b[EI_CLASS] = ELFCLASS64;
	b[EI_DATA] = ELFDATA2LSB;
	b[EI_VERSION] = 1;
	put_le16(b + 16, ET_EXEC);
	put_le16(b + 18, EM_X86_64);
	put_le32(b + 20, 1);
	put_le64(b + 24, ELF_GPA0 + 0x10);
	put_le64(b + 32, 64);
	put_le16(b + 52, 64);
	put_le16(b + 54, 56);
	put_le16(b + 56, 3);
	test_elf_segment(test_elf_header(b, 0), PT_LOAD, ELF_SEG0, ELF_GPA0, ELF_SEG0_LEN,
			 ELF_SEG0_LEN);
	test_elf_segment(test_elf_header(b, 1), PT_NOTE, ELF_NOTE, 0, ELF_NOTE_LEN, 0);
	test_elf_segment(test_elf_header(b, 2), PT_LOAD, ELF_SEG1, ELF_GPA1, ELF_SEG1_LEN,
			 ELF_SEG1_LEN + ELF_BSS);
	memset(b + ELF_SEG0, 0x90, ELF_SEG0_LEN);
	memset(b + ELF_SEG1, 0xd1, ELF_SEG1_LEN);
	/* A note of someone else's, then ours. */
	put_le32(b + ELF_NOTE, 4);
	put_le32(b + ELF_NOTE + 4, 5);
	put_le32(b + ELF_NOTE + 8, 18);
	memcpy(b + ELF_NOTE + 12, "GNU", 4);
	test_note(b + ELF_NOTE + 24, "Xen", 18, ELF_GPA0 + 0x20);
	return ELF_LEN;
}

/* A small valid bzImage: one setup sector, 0x400 bytes of kernel. */
enum {
	BZ_SETUP = 0x400,
	BZ_CODE = 0x400,
	BZ_LEN = BZ_SETUP + BZ_CODE,
	BZ_INIT_SIZE = 0x3000,
};
#define BZ_PREF UINT64_C(0x1000000)

static inline size_t test_bzimage(uint8_t *b)
{
	memset(b, 0, BZ_LEN);
	b[0x1f1] = 1;
	put_le32(b + 0x1f4, BZ_CODE / 16);
	put_le16(b + 0x1fe, 0xaa55);
	b[0x200] = 0xeb;
	b[0x201] = 0x6a;
	memcpy(b + 0x202, "HdrS", 4);
	put_le16(b + 0x206, 0x020f);
	b[0x211] = 0x01;
	put_le32(b + 0x214, 0x100000);
	put_le32(b + 0x22c, 0x7fffffff);
	put_le32(b + 0x230, 0x200000);
	b[0x234] = 1;
	b[0x235] = 0x15;
	put_le16(b + 0x236, 0x3f);
	put_le32(b + 0x238, 2047);
	put_le32(b + 0x248, 0x40);
	put_le32(b + 0x24c, 0x100);
	put_le64(b + 0x258, BZ_PREF);
	put_le32(b + 0x260, BZ_INIT_SIZE);
	/* What follows the header is code and must not reach the zero page. */
	memset(b + 0x26c, 0xcc, BZ_SETUP - 0x26c);
	memset(b + BZ_SETUP, 0xbb, BZ_CODE);
	return BZ_LEN;
}

/* A small valid arm64 or riscv Image without EFI stub. */
enum { IMAGE_LEN = 0x200, IMAGE_SIZE = 0x3000 };

static inline size_t test_image(uint8_t *b, bool arm)
{
	memset(b, 0x77, IMAGE_LEN);
	memset(b, 0, 64);
	put_le64(b + 8, arm ? 0 : 0x200000);
	put_le64(b + 16, IMAGE_SIZE);
	put_le64(b + 24, arm ? 0xa : 0);
	if (!arm) {
		put_le32(b + 32, 2);
		memcpy(b + 48, "RISCV\0\0", 8);
	}
	put_le32(b + 56, arm ? 0x644d5241 : 0x05435352);
	return IMAGE_LEN;
}

#endif

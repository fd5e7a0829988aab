/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include <fcntl.h>

static uint8_t image[65536];

/* What each failed load must leave as it was. */
static void expect_refused(const struct vmm_mem *mem,
			   const struct vmm_load_source *source,
			   const struct vmm_load_kernel_opts *opts, int want,
			   const char *text)
{
	struct vmm_load_result result, before;
	struct vmm_error err = { 0 };
	int ret;

	memset(&result, 0x5a, sizeof(result));
	before = result;
	ret = vmm_load_kernel(mem, source, opts, &result, &err);
	if (ret != want || (text && !strstr(err.message, text)))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want,
			 text ? text : "");
	assert_int_equal(err.code, want);
	assert_memory_equal(&result, &before, sizeof(result));
	assert_int_equal(vmm_load_kernel(mem, source, opts, &result, NULL), want);
}

static void probe_tells_formats_apart(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint32_t format;
		const char *text;
	} cases[] = {
		{ "\x1f\x8b\x08", 3, VMM_LOAD_FORMAT_GZIP, "gzip" },
		{ "\x28\xb5\x2f\xfd", 4, VMM_LOAD_FORMAT_ZSTD, "zstd" },
		{ "\xfd\x37zXZ\0", 6, VMM_LOAD_FORMAT_XZ, "xz" },
		{ "\x04\x22\x4d\x18", 4, VMM_LOAD_FORMAT_LZ4, "lz4" },
		{ "\x02\x21\x4c\x18", 4, VMM_LOAD_FORMAT_LZ4, "legacy" },
		{ "BZh9", 4, VMM_LOAD_FORMAT_BZIP2, "bzip2" },
		{ "\x5d\0\0\x80", 4, VMM_LOAD_FORMAT_LZMA, "lzma" },
		{ "\x89LZO\0\r\n\x1a\n", 9, VMM_LOAD_FORMAT_LZO, "lzo" },
		{ "\x27\x05\x19\x56", 4, VMM_LOAD_FORMAT_UIMAGE, "U-Boot" },
		{ "MZ\x90", 3, VMM_LOAD_FORMAT_EFI, "EFI" },
		{ "\x1f", 1, VMM_LOAD_FORMAT_UNKNOWN, "unknown" },
		{ "hello, world", 12, VMM_LOAD_FORMAT_UNKNOWN, "unknown" },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_load_source s = test_source(cases[i].bytes, cases[i].len);
		struct vmm_load_probe_result r;

		assert_int_equal(vmm_load_probe(&s, &r, NULL), 0);
		assert_int_equal(r.format, cases[i].format);
		assert_int_equal(r.image_size, cases[i].len);
		assert_non_null(strstr(r.description, cases[i].text));
	}
}

static void probe_says_for_which_machine(void **state)
{
	struct vmm_load_probe_result r;
	struct vmm_load_source s;

	s = test_source(image, test_elf(image));
	assert_int_equal(vmm_load_probe(&s, &r, NULL), 0);
	assert_int_equal(r.format, VMM_LOAD_FORMAT_ELF);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_X86_64);
	assert_int_equal(r.detail, EM_X86_64);
	assert_int_equal(r.supported, 1);
	image[EI_CLASS] = ELFCLASS32;
	assert_int_equal(vmm_load_probe(&s, &r, NULL), 0);
	assert_int_equal(r.arch, VMM_LOAD_ARCH_OTHER);
	assert_int_equal(r.supported, 0);

	s = test_source(image, test_bzimage(image));
	assert_int_equal(vmm_load_probe(&s, &r, NULL), 0);
	assert_int_equal(r.format, VMM_LOAD_FORMAT_BZIMAGE);
	assert_int_equal(r.detail, 0x20f);
	assert_string_equal(r.description, "bzImage, boot protocol 2.15");

	for (int arm = 0; arm < 2; arm++) {
		s = test_source(image, test_image(image, arm));
		assert_int_equal(vmm_load_probe(&s, &r, NULL), 0);
		assert_int_equal(r.format, arm ? VMM_LOAD_FORMAT_ARM64_IMAGE
					       : VMM_LOAD_FORMAT_RISCV_IMAGE);
		assert_int_equal(r.arch,
				 arm ? VMM_LOAD_ARCH_AARCH64 : VMM_LOAD_ARCH_RISCV64);
	}
}

static void a_source_that_is_no_image_is_one_clear_line(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(2 * MIB);
	struct vmm_load_source s = VMM_LOAD_SOURCE_INIT;
	int fds[2];

	expect_refused(mem, &s, NULL, -EBADMSG, "image: empty");
	s.name = "kernel.img";
	s.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect_refused(mem, &s, NULL, -EISDIR, "kernel.img: a directory");
	close(s.fd);
	expect_refused(mem, &s, NULL, -EBADF, "kernel.img: cannot look at it");
	assert_int_equal(pipe(fds), 0);
	s.fd = fds[0];
	expect_refused(mem, &s, NULL, -EINVAL, "kernel.img: not a regular file");
	close(fds[0]);
	close(fds[1]);
	s.fd = -2;
	expect_refused(mem, &s, NULL, -EINVAL, "neither a file nor a buffer");
	s.fd = -1;
	s.len = 5;
	expect_refused(mem, &s, NULL, -EINVAL, "neither a file nor a buffer");
	s = test_file("", 0);
	expect_refused(mem, &s, NULL, -EBADMSG, "empty, not a single byte");
	close(s.fd);
	s = test_source("hello, world", 12);
	expect_refused(mem, &s, NULL, -ENOEXEC, "test.img: not a kernel");
	s = test_source("BZh91AY", 7);
	expect_refused(mem, &s, NULL, -EOPNOTSUPP, "recognised, but cannot be loaded");
}

static void an_unreadable_file_says_why(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(2 * MIB);
	struct vmm_load_source s = test_file("hello, world", 12);
	char path[64];
	int fd = s.fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	s.fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(s.fd >= 0);
	expect_refused(mem, &s, NULL, -EBADF, "cannot read at offset 0");
	close(s.fd);
	close(fd);
}

static void structures_of_other_versions_are_handled(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct {
		struct vmm_load_kernel_opts opts;
		uint64_t tail;
	} o = { VMM_LOAD_KERNEL_OPTS_INIT, 0 };
	struct vmm_load_source s = test_source(image, test_elf(image));
	struct vmm_load_result r;

	o.opts.size = sizeof(o);
	assert_int_equal(vmm_load_kernel(mem, &s, &o.opts, &r, NULL), 0);
	o.tail = 1;
	expect_refused(mem, &s, &o.opts, -E2BIG, "option structure");
	o.opts.size = 4;
	expect_refused(mem, &s, &o.opts, -EINVAL, "option structure");
	/* An older caller's structure ends after `arch`. */
	o.opts.size = offsetof(struct vmm_load_kernel_opts, flags);
	o.opts.min_gpa = UINT64_MAX;
	assert_int_equal(vmm_load_kernel(mem, &s, &o.opts, &r, NULL), 0);
	o.opts.arch = 77;
	expect_refused(mem, &s, &o.opts, -EINVAL, "no such machine: 77");
	s.size = 4;
	expect_refused(mem, &s, NULL, -EINVAL, "source");
}

static void a_kernel_for_another_machine_is_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(4 * MIB);
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, test_elf(image));

	o.arch = VMM_LOAD_ARCH_X86_64;
	put_le16(image + 18, EM_AARCH64);
	expect_refused(
	    mem, &s, &o, -ENOEXEC,
	    "test.img: not a kernel: ELF for machine 183 (aarch64), expected x86_64");
	s = test_source(image, test_image(image, true));
	expect_refused(mem, &s, &o, -ENOEXEC, "arm64 Image, expected x86_64");
	o.arch = VMM_LOAD_ARCH_RISCV64;
	expect_refused(mem, &s, &o, -ENOEXEC, "arm64 Image, expected riscv64");
	s = test_source(image, test_bzimage(image));
	o.arch = VMM_LOAD_ARCH_AARCH64;
	expect_refused(mem, &s, &o, -ENOEXEC,
		       "bzImage, boot protocol 2.15, expected aarch64");
}

/* Every prefix of every format is refused, or loads completely; memory is not touched by
 * what is refused. From a buffer and from a file. */
static void every_prefix_is_refused_or_complete(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	static const uint64_t watched[] = { 0, ELF_GPA0, ELF_GPA1, BZ_PREF };
	size_t loaded = 0;

	for (unsigned int format = 0; format < 4; format++) {
		size_t len = format == 0   ? test_elf(image)
			     : format == 1 ? test_bzimage(image)
					   : test_image(image, format == 2);
		struct vmm_load_result whole, part;
		struct vmm_load_source s;

		for (size_t n = 1; n <= len; n++) {
			uint8_t *cut = malloc(n);
			int ret, by_file;

			/* On the heap, so that a sanitizer sees a read past its end. */
			assert_non_null(cut);
			memcpy(cut, image, n);
			for (size_t i = 0; i < VMM_ARRAY_LEN(watched); i++)
				test_poison(mem, watched[i], 0x4000);
			s = test_source(cut, n);
			ret = vmm_load_kernel(mem, &s, NULL, &part, NULL);
			for (size_t i = 0; ret < 0 && i < VMM_ARRAY_LEN(watched); i++)
				assert_true(test_is(mem, watched[i], 0x4000, 0xee));
			s = test_file(image, n);
			by_file = vmm_load_kernel(mem, &s, NULL, &part, NULL);
			assert_int_equal(by_file, ret);
			close(s.fd);
			free(cut);
			loaded += ret == 0;
			/* An Image without a section table does not say how long it is.
			 */
			if (format < 2)
				assert_true((ret == 0) == (n == len));
			else
				assert_true((ret == 0) == (n >= 64));
		}
		s = test_source(image, len);
		assert_int_equal(vmm_load_kernel(mem, &s, NULL, &whole, NULL), 0);
		assert_memory_equal(&whole, &part, sizeof(whole));
	}
	assert_true(loaded > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_tells_formats_apart),
		cmocka_unit_test(probe_says_for_which_machine),
		cmocka_unit_test(a_source_that_is_no_image_is_one_clear_line),
		cmocka_unit_test(an_unreadable_file_says_why),
		cmocka_unit_test(structures_of_other_versions_are_handled),
		cmocka_unit_test(a_kernel_for_another_machine_is_refused),
		cmocka_unit_test(every_prefix_is_refused_or_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include "packed-images.h"
#include "unpack.h"

static const struct packed {
	const uint8_t *data;
	size_t len;
	uint32_t format;
	const char *name;
} images[] = {
	{ packed_gzip, sizeof(packed_gzip), VMM_LOAD_FORMAT_GZIP, "gzip" },
	{ packed_xz, sizeof(packed_xz), VMM_LOAD_FORMAT_XZ, "xzkern" },
	{ packed_lzma, sizeof(packed_lzma), VMM_LOAD_FORMAT_LZMA, "lzma" },
	{ packed_zstd, sizeof(packed_zstd), VMM_LOAD_FORMAT_ZSTD, "zstd22" },
	{ packed_lz4, sizeof(packed_lz4), VMM_LOAD_FORMAT_LZ4, "lz4" },
	{ packed_lz4_legacy, sizeof(packed_lz4_legacy), VMM_LOAD_FORMAT_LZ4, "lz4" },
};

static uint8_t image[65536];

/* An EFI zboot file around a packed image; its length. */
static size_t make_zboot(const struct packed *p)
{
	memset(image, 0, 4096);
	memcpy(image, "MZ\0\0zimg", 8);
	put_le32(image + 8, 4096);
	put_le32(image + 12, (uint32_t)p->len);
	memcpy(image + 24, p->name, strlen(p->name));
	memcpy(image + 4096, p->data, p->len);
	memset(image + 4096 + p->len, 0xff, 100);
	return 4096 + p->len + 100;
}

static int load(const struct vmm_mem *mem, const void *data, size_t len, uint64_t max,
		struct vmm_load_result *r, struct vmm_error *err)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(data, len);

	o.unpack_max = max;
	return vmm_load_kernel(mem, &s, &o, r, err);
}

static void each_wrapper_gives_the_kernel_inside(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result plain, r;
	struct vmm_error err;

	assert_int_equal(load(mem, image, test_bzimage(image), 0, &plain, NULL), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(images); i++) {
		const struct packed *p = &images[i];
		struct vmm_load_source s;
		size_t len;

		if (!load_unpack_supported(p->format)) {
			assert_int_equal(load(mem, p->data, p->len, 0, &r, &err),
					 -EOPNOTSUPP);
			assert_non_null(
			    strstr(err.message, "cannot be loaded by this build"));
			continue;
		}
		test_poison(mem, BZ_PREF, 0x1000);
		assert_int_equal(load(mem, p->data, p->len, 0, &r, &err), 0);
		assert_int_equal(r.wrapper, p->format);
		assert_true(test_is(mem, BZ_PREF, BZ_CODE, 0xbb));
		r.wrapper = 0;
		assert_memory_equal(&r, &plain, sizeof(r));
		/* The same from a file, and inside of zboot. */
		s = test_file(p->data, p->len);
		assert_int_equal(vmm_load_kernel(mem, &s, NULL, &r, &err), 0);
		close(s.fd);
		assert_int_equal(r.wrapper, p->format);
		len = make_zboot(p);
		assert_int_equal(load(mem, image, len, 0, &r, &err), 0);
		assert_int_equal(r.wrapper, VMM_LOAD_FORMAT_ZBOOT);
		assert_int_equal(r.format, VMM_LOAD_FORMAT_BZIMAGE);
	}
}

static void truncated_and_damaged_data_is_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	for (size_t i = 0; i < VMM_ARRAY_LEN(images); i++) {
		const struct packed *p = &images[i];

		if (!load_unpack_supported(p->format))
			continue;
		test_poison(mem, BZ_PREF, 0x1000);
		for (size_t n = 1; n < p->len; n++) {
			uint8_t *cut = malloc(n);
			int ret;

			assert_non_null(cut);
			memcpy(cut, p->data, n);
			ret = load(mem, cut, n, 0, &r, &err);
			free(cut);
			/* The .lzma format has no end that one could miss. */
			if (p->format != VMM_LOAD_FORMAT_LZMA || n < p->len - 8)
				assert_true(ret == -EBADMSG ||
					    (n < 13 && ret == -ENOEXEC));
			if (ret < 0)
				assert_true(test_is(mem, BZ_PREF, 0x1000, 0xee));
			else
				test_poison(mem, BZ_PREF, 0x1000);
		}
		/* Whatever a flipped bit does, it ends. */
		for (size_t n = 0; n < p->len; n++) {
			memcpy(image, p->data, p->len);
			image[n] ^= 0x41;
			if (load(mem, image, p->len, 1 << 20, &r, &err) < 0)
				assert_non_null(strstr(err.message, "test.img: "));
		}
	}
}

/* The same behind an EFI zboot header, from a file: what lies behind the payload may go,
 * nothing before that. */
static void truncated_zboot_files_are_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result r;
	struct vmm_load_source s;

	for (size_t i = 0; i < VMM_ARRAY_LEN(images); i++) {
		size_t len = make_zboot(&images[i]), need = 4096 + images[i].len;

		if (!load_unpack_supported(images[i].format))
			continue;
		for (size_t n = 1; n <= len; n += n < 4000 ? 61 : 1) {
			int ret;

			test_poison(mem, BZ_PREF, 0x1000);
			s = test_file(image, n);
			ret = vmm_load_kernel(mem, &s, NULL, &r, NULL);
			close(s.fd);
			assert_true((ret == 0) == (n >= need));
			if (ret < 0)
				assert_true(test_is(mem, BZ_PREF, 0x1000, 0xee));
		}
	}
}

static void the_output_is_bounded(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	for (size_t i = 0; i < VMM_ARRAY_LEN(images); i++) {
		const struct packed *p = &images[i];

		if (!load_unpack_supported(p->format))
			continue;
		assert_int_equal(load(mem, p->data, p->len, BZ_LEN, &r, &err), 0);
		assert_int_equal(load(mem, p->data, p->len, BZ_LEN - 1, &r, &err),
				 -E2BIG);
		assert_non_null(strstr(err.message, "unpacks to more than 2047 bytes"));
	}
}

/* The ratio counts as well: few bytes may not become hundreds of megabytes. */
static void a_bomb_is_stopped_early(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;

	if (!load_unpack_supported(VMM_LOAD_FORMAT_ZSTD))
		return;
	assert_int_equal(load(mem, packed_bomb, sizeof(packed_bomb), 0, &r, &err),
			 -E2BIG);
	/* 256 bytes for each that went in, and 1 MiB. */
	assert_int_equal(err.wanted, sizeof(packed_bomb) * 256 + MIB + 1);
}

static void zboot_headers_are_checked(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_result r;
	struct vmm_error err;
	size_t len = make_zboot(&images[0]);

	if (!load_unpack_supported(VMM_LOAD_FORMAT_GZIP)) {
		assert_int_equal(load(mem, image, len, 0, &r, &err), -EOPNOTSUPP);
		return;
	}
	put_le32(image + 12, (uint32_t)len);
	assert_int_equal(load(mem, image, len, 0, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "truncated: zboot payload"));
	len = make_zboot(&images[0]);
	put_le32(image + 8, UINT32_MAX);
	assert_int_equal(load(mem, image, len, 0, &r, &err), -EBADMSG);
	len = make_zboot(&images[0]);
	put_le32(image + 12, 0);
	assert_int_equal(load(mem, image, len, 0, &r, &err), -EBADMSG);
	len = make_zboot(&images[0]);
	memcpy(image + 24, "lzo\0", 4);
	assert_int_equal(load(mem, image, len, 0, &r, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "zboot, compressed with lzo"));
	memset(image + 24, 'x', 32);
	assert_int_equal(load(mem, image, len, 0, &r, &err), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrapper_gives_the_kernel_inside),
		cmocka_unit_test(truncated_and_damaged_data_is_refused),
		cmocka_unit_test(truncated_zboot_files_are_refused),
		cmocka_unit_test(the_output_is_bounded),
		cmocka_unit_test(a_bomb_is_stopped_early),
		cmocka_unit_test(zboot_headers_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <fcntl.h>
#include <sys/mman.h>

/* Touching, touching, a hole, then one that is read-only. */
static struct vmm_mem *sample(void)
{
	static const struct mem_test_range ranges[] = {
		{ 0x1000, PAGE, 0 },
		{ 0x2000, PAGE, 0 },
		{ 0x4000, PAGE, 0 },
		{ 0x5000, PAGE, VMM_MEM_READONLY },
	};

	return mem_test_table(ranges, VMM_ARRAY_LEN(ranges));
}

static void copies_cross_regions_and_stop_at_nothing_half_done(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	uint8_t buf[64], back[64];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i + 1);
	for (size_t len = 1; len <= sizeof(buf); len++) {
		for (uint64_t gpa = 0x2000 - len; gpa <= 0x2000; gpa++) {
			memset(back, 0, sizeof(back));
			assert_int_equal(vmm_mem_fill(mem, 0x1f00, 0, 0x200), 0);
			assert_int_equal(vmm_mem_write(mem, gpa, buf, len), 0);
			assert_int_equal(vmm_mem_read(mem, gpa, back, len), 0);
			assert_memory_equal(buf, back, len);
			assert_int_equal(vmm_mem_read(mem, gpa + len, back, 1), 0);
			assert_int_equal(back[0], 0);
		}
	}
	/* Into the hole: neither side changes. */
	assert_int_equal(vmm_mem_fill(mem, 0x2000, 0x55, PAGE), 0);
	memset(back, 0xee, sizeof(back));
	assert_int_equal(vmm_mem_write(mem, 0x2ff8, buf, 9), -EFAULT);
	assert_int_equal(vmm_mem_read(mem, 0x2ff8, back, 9), -EFAULT);
	assert_int_equal(vmm_mem_fill(mem, 0x2ff8, 1, 9), -EFAULT);
	assert_int_equal(back[0], 0xee);
	assert_int_equal(vmm_mem_read(mem, 0x2ff8, back, 8), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(back[i], 0x55);
}

static void a_read_only_region_is_read_but_not_written(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	uint8_t b[16] = { 1 };
	struct iovec iov[2];
	void *p = NULL;
	size_t n = 9;

	assert_int_equal(vmm_mem_write(mem, 0x5000, b, 1), -EROFS);
	assert_int_equal(vmm_mem_write(mem, 0x4ff8, b, 16), -EROFS);
	assert_int_equal(vmm_mem_fill(mem, 0x4ff8, 1, 16), -EROFS);
	/* A hole is worse. */
	assert_int_equal(vmm_mem_write(mem, 0x5ff8, b, 16), -EFAULT);
	assert_int_equal(vmm_mem_read(mem, 0x4ff8, b, 16), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(b[i], 0);
	assert_int_equal(vmm_mem_read_file(mem, 0x5000, -1, 0, 4), -EROFS);
	assert_int_equal(vmm_mem_get_ptr_for(mem, 0x5000, 1, VMM_MEM_ACCESS_WRITE, &p),
			 -EROFS);
	assert_int_equal(vmm_mem_get_ptr_for(mem, 0x5000, 1, VMM_MEM_ACCESS_READ, &p), 0);
	assert_int_equal(
	    vmm_mem_get_iov_for(mem, 0x4ff8, 16, VMM_MEM_ACCESS_RW, iov, 2, &n), -EROFS);
	assert_int_equal(n, 9);
	assert_int_equal(
	    vmm_mem_get_iov_for(mem, 0x4ff8, 16, VMM_MEM_ACCESS_READ, iov, 2, &n), 0);
	assert_int_equal(n, 2);
}

static void pointers_and_iovecs_cover_what_was_asked(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	struct iovec iov[3] = { { 0 } };
	void *p = NULL, *q = NULL;
	size_t n = 0;

	assert_int_equal(vmm_mem_get_ptr(mem, 0x1ffc, 4, &p), 0);
	assert_int_equal(vmm_mem_get_ptr(mem, 0x1ffc, 5, &p), -EFAULT);
	assert_int_equal(vmm_mem_get_ptr(mem, 0x2000, PAGE, &q), 0);
	assert_int_equal(vmm_mem_get_ptr(mem, 0x3000, 1, &q), -EFAULT);
	assert_int_equal(vmm_mem_get_iov(mem, 0x1ffc, 12, iov, 1, &n), -E2BIG);
	assert_null(iov[0].iov_base);
	assert_int_equal(vmm_mem_get_iov(mem, 0x1ffc, 12, iov, 3, &n), 0);
	assert_int_equal(n, 2);
	assert_ptr_equal(iov[0].iov_base, p);
	assert_int_equal(iov[0].iov_len, 4);
	assert_ptr_equal(iov[1].iov_base, q);
	assert_int_equal(iov[1].iov_len, 8);
	assert_int_equal(vmm_mem_get_iov(mem, 0x1ffc, 0x2000, iov, 3, &n), -EFAULT);
	assert_int_equal(vmm_mem_get_iov(mem, 0x3000, 0, iov, 0, &n), 0);
	assert_int_equal(n, 0);
}

static void a_file_is_read_up_to_its_end(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	uint8_t data[6000], back[6000];
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_int_equal(lseek(fd, 17, SEEK_SET), 17);

	assert_int_equal(vmm_mem_read_file(mem, 0x1100, fd, 0, sizeof(data)),
			 sizeof(data));
	assert_int_equal(vmm_mem_read(mem, 0x1100, back, sizeof(back)), 0);
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, fd, 5990, 100), 10);
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, fd, 6000, 100), 0);
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, fd, INT64_MAX, 100), -EINVAL);
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, -1, 0, 100), -EBADF);
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, -1, 0, 0), 0);
	assert_int_equal(vmm_mem_read_file(mem, 0x1100, fd, 0, 0x2000), -EFAULT);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 17);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_cross_regions_and_stop_at_nothing_half_done),
		cmocka_unit_test(a_read_only_region_is_read_but_not_written),
		cmocka_unit_test(pointers_and_iovecs_cover_what_was_asked),
		cmocka_unit_test(a_file_is_read_up_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

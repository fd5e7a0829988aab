/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Two regions that touch, then a hole. */
static struct vmm_mem *two(void)
{
	return mem_test_table(
	    (struct mem_test_range[]){ { 0x1000, PAGE, 0 }, { 0x2000, PAGE, 0 } }, 2);
}

/* MEM-B1: a short read that spanned regions left a gap, and lost what an error followed.
 */
static void mem_b1_a_short_read_leaves_no_gap(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = two();
	uint8_t buf[16] = { 0 };
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s), 0);
	assert_int_equal(send(s[0], "abcd", 4, 0), 4);
	assert_int_equal(send(s[0], "efgh", 4, 0), 4);
	/* One datagram a call, across the border without a break. */
	assert_int_equal(vmm_mem_read_fd(mem, 0x1ffe, s[1], 16), 4);
	assert_int_equal(vmm_mem_read(mem, 0x1ffe, buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(vmm_mem_read_fd(mem, 0x1ffe, s[1], 16), 4);
	assert_int_equal(vmm_mem_read(mem, 0x1ffe, buf, 4), 0);
	assert_memory_equal(buf, "efgh", 4);
	assert_int_equal(vmm_mem_read_fd(mem, 0x1ffe, s[1], 16), -EAGAIN);
	(void)close(s[0]);
	(void)close(s[1]);
}

static void mem_b1_what_was_read_before_eagain_is_reported(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = two();
	uint8_t buf[16] = { 0 };
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0x1ffe, p[0], 16), -EAGAIN);
	assert_int_equal(write(p[1], "0123456", 7), 7);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0x1ffe, p[0], 16), 7);
	assert_int_equal(vmm_mem_read(mem, 0x1ffe, buf, 8), 0);
	assert_memory_equal(buf, "0123456", 8);
	assert_int_equal(write(p[1], "89", 2), 2);
	(void)close(p[1]);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0x1ffe, p[0], 16), 2);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0x1ffe, p[0], 16), 0);
	assert_int_equal(vmm_mem_read_fd(mem, 0x1ffe, p[0], 16), 0);
	(void)close(p[0]);
}

static void a_full_stream_takes_what_it_can(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = two();
	static uint8_t drain[65536];
	int64_t done, total = 0;
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 4096);
	done = vmm_mem_write_fd_all(mem, 0x1000, p[1], 0x2000);
	assert_true(done >= 4096 && done < 0x2000);
	assert_int_equal(vmm_mem_write_fd_all(mem, 0x1000, p[1], 0x2000), -EAGAIN);
	assert_int_equal(vmm_mem_write_fd(mem, 0x1000, p[1], 0x2000), -EAGAIN);
	total = read(p[0], drain, sizeof(drain));
	assert_int_equal(total, done);
	assert_int_equal(vmm_mem_write(mem, 0x1ffe, "wxyz", 4), 0);
	assert_int_equal(vmm_mem_write_fd(mem, 0x1ffe, p[1], 4), 4);
	assert_int_equal(read(p[0], drain, sizeof(drain)), 4);
	assert_memory_equal(drain, "wxyz", 4);
	assert_int_equal(vmm_mem_write_fd_all(mem, 0x1ffe, p[1], 4), 4);
	(void)close(p[0]);
	(void)close(p[1]);
}

static void a_file_is_written_where_it_is_told(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = two();
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint8_t buf[4];

	assert_int_equal(vmm_mem_write(mem, 0x1ffe, "wxyz", 4), 0);
	assert_int_equal(vmm_mem_write_file(mem, 0x1ffe, fd, 100, 4), 4);
	assert_int_equal(pread(fd, buf, 4, 100), 4);
	assert_memory_equal(buf, "wxyz", 4);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 104);
	assert_int_equal(vmm_mem_write_file(mem, 0x2ffe, fd, 0, 4), -EFAULT);
	assert_int_equal(vmm_mem_write_file(mem, 0x1ffe, -1, 0, 4), -EBADF);
	assert_int_equal(vmm_mem_write_file(mem, 0x1ffe, fd, UINT64_MAX, 4), -EINVAL);
	assert_int_equal(vmm_mem_write_fd(mem, 0x1ffe, fd, 0), 0);
	assert_int_equal(vmm_mem_write_fd_all(mem, 0x3000, fd, 0), 0);
	assert_int_equal(vmm_mem_write_fd(mem, 0x3000, fd, 1), -EFAULT);
	assert_int_equal(vmm_mem_read_fd(mem, 0x3000, fd, 0), 0);
	assert_int_equal(vmm_mem_read_fd(mem, 0x2fff, fd, 2), -EFAULT);
	(void)close(fd);
}

/* More regions than one call takes, from a file that ends, and /dev/zero. */
static void many_regions_are_read_in_turn(void **state)
{
	enum { N = 40 };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	static struct mem_test_range ranges[N];
	static uint8_t data[N * 4096], back[N * 4096];
	int fd = memfd_create("test", MFD_CLOEXEC),
	    zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (uint64_t i = 0; i < N; i++)
		ranges[i] = (struct mem_test_range){ i * PAGE, PAGE, 0 };
	mem = mem_test_table(ranges, N);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + (i >> 12));
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_int_equal(vmm_mem_read_file(mem, 0, fd, 0, sizeof(data)), sizeof(data));
	assert_int_equal(vmm_mem_read(mem, 0, back, sizeof(back)), 0);
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(vmm_mem_read_file(mem, 0, fd, 4, sizeof(data)),
			 sizeof(data) - 4);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0, fd, sizeof(data)), sizeof(data));
	assert_int_equal(vmm_mem_write_file(mem, 0, fd, 0, sizeof(data)), sizeof(data));
	assert_int_equal(vmm_mem_read_fd_all(mem, 0, zero, sizeof(data)), sizeof(data));
	assert_int_equal(vmm_mem_read(mem, 0, back, sizeof(back)), 0);
	for (size_t i = 0; i < sizeof(back); i++)
		assert_int_equal(back[i], 0);
	(void)close(fd);
	(void)close(zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_b1_a_short_read_leaves_no_gap),
		cmocka_unit_test(mem_b1_what_was_read_before_eagain_is_reported),
		cmocka_unit_test(a_full_stream_takes_what_it_can),
		cmocka_unit_test(a_file_is_written_where_it_is_told),
		cmocka_unit_test(many_regions_are_read_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

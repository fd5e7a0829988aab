/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Readers and writers over chains, whatever pieces the driver cut the buffers into. */
#include "virtio-test.h"

enum { R_LEN = 106, W_LEN = 64 };

/* 64 + 42 bytes to read, 60 + 4 to write, scattered in host memory. */
static uint8_t readable[R_LEN], writable[W_LEN];

static struct vmm_virtq_chain two_by_two(struct iovec iov[4])
{
	struct vmm_virtq_chain chain = { .iov = iov, .iov_max = 4 };

	for (size_t i = 0; i < sizeof(readable); i++)
		readable[i] = (uint8_t)i;
	memset(writable, 0, sizeof(writable));
	iov[0] = (struct iovec){ readable, 64 };
	iov[1] = (struct iovec){ readable + 64, 42 };
	iov[2] = (struct iovec){ writable, 60 };
	iov[3] = (struct iovec){ writable + 60, 4 };
	chain.readable_n = 2;
	chain.writable_n = 2;
	chain.readable_len = R_LEN;
	chain.writable_len = W_LEN;
	return chain;
}

static void a_reader_counts_what_is_left(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor r = vmm_virtq_reader(&chain);
	uint8_t buf[128];

	assert_int_equal(r.left, 106);
	assert_int_equal(vmm_virtq_read(&r, buf, 64), 0);
	assert_memory_equal(buf, readable, 64);
	assert_int_equal(r.left, 42);
	assert_int_equal(r.done, 64);
	assert_int_equal(vmm_virtq_read(&r, buf, 43), -ENODATA);
	assert_int_equal(r.left, 42);
	assert_int_equal(vmm_virtq_read_some(&r, buf, sizeof(buf)), 42);
	assert_memory_equal(buf, readable + 64, 42);
	assert_int_equal(r.left, 0);
	assert_int_equal(vmm_virtq_read_some(&r, buf, sizeof(buf)), 0);
	assert_int_equal(vmm_virtq_read(&r, buf, 1), -ENODATA);
	assert_int_equal(vmm_virtq_read(&r, buf, 0), 0);
	assert_int_equal(r.done, 106);
}

static void a_writer_stops_at_the_end(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor w = vmm_virtq_writer(&chain);
	uint8_t buf[80];

	memset(buf, 0x77, sizeof(buf));
	assert_int_equal(w.left, 64);
	assert_int_equal(vmm_virtq_write(&w, buf, 65), -ENOSPC);
	assert_int_equal(writable[0], 0);
	assert_int_equal(vmm_virtq_write(&w, buf, 58), 0);
	assert_int_equal(vmm_virtq_write_some(&w, buf, sizeof(buf)), 6);
	assert_int_equal(w.done, 64);
	assert_int_equal(vmm_virtq_write_some(&w, buf, sizeof(buf)), 0);
	for (size_t i = 0; i < W_LEN; i++)
		assert_int_equal(writable[i], 0x77);
}

static void the_wrong_direction_is_empty(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor c;
	uint8_t byte = 0;

	chain.writable_n = 0;
	chain.writable_len = 0;
	c = vmm_virtq_writer(&chain);
	assert_int_equal(vmm_virtq_write(&c, &byte, 1), -ENOSPC);
	chain.iov = iov + 2;
	chain.readable_n = 0;
	chain.readable_len = 0;
	chain.writable_n = 2;
	chain.writable_len = W_LEN;
	c = vmm_virtq_reader(&chain);
	assert_int_equal(vmm_virtq_read(&c, &byte, 1), -ENODATA);
	c = vmm_virtq_writer(&chain);
	assert_int_equal(vmm_virtq_fill(&c, 9, 3), 3);
	assert_int_equal(writable[2], 9);
}

static void an_object_may_be_shattered_into_bytes(void **state)
{
	struct vmm_virtq_chain chain = { 0 };
	struct vmm_virtq_cursor c;
	struct iovec iov[4];
	uint8_t bytes[4][8] = { { 0 } };
	uint32_t value = 0x12345678, got = 0;

	for (int i = 0; i < 4; i++)
		iov[i] = (struct iovec){ &bytes[i][3], 1 };
	chain.iov = iov;
	chain.writable_n = 4;
	chain.writable_len = 4;
	c = vmm_virtq_writer(&chain);
	assert_int_equal(vmm_virtq_write(&c, &value, 4), 0);
	chain.readable_n = 4;
	chain.readable_len = 4;
	c = vmm_virtq_reader(&chain);
	assert_int_equal(vmm_virtq_read(&c, &got, 4), 0);
	assert_int_equal(got, value);
}

static void a_cut_anywhere_gives_two_whole_parts(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	uint8_t buf[R_LEN];

	for (uint64_t at = 0; at <= R_LEN; at++) {
		struct vmm_virtq_cursor a = vmm_virtq_reader(&chain), b;

		assert_int_equal(vmm_virtq_split(&a, at, &b), 0);
		assert_int_equal(a.left, at);
		assert_int_equal(b.left, R_LEN - at);
		assert_int_equal(b.done, 0);
		assert_int_equal(vmm_virtq_read_some(&b, buf + at, R_LEN), R_LEN - at);
		assert_int_equal(vmm_virtq_read_some(&a, buf, R_LEN), at);
		assert_memory_equal(buf, readable, R_LEN);
	}
}

static void a_cut_behind_the_end_is_refused(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor a = vmm_virtq_reader(&chain), b = { 0 };

	assert_int_equal(vmm_virtq_split(&a, R_LEN + 1, &b), -EINVAL);
	assert_int_equal(vmm_virtq_split(&a, UINT64_MAX, &b), -EINVAL);
	assert_int_equal(a.left, R_LEN);
	assert_null(b.iov);
}

static void a_part_is_exported_as_iovecs(void **state)
{
	struct iovec iov[4], out[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor r = vmm_virtq_reader(&chain);
	size_t n = 99;

	assert_int_equal(vmm_virtq_skip(&r, 60), 60);
	assert_int_equal(vmm_virtq_get_iov(&r, 47, out, 4, &n), -EINVAL);
	assert_int_equal(vmm_virtq_get_iov(&r, 5, out, 1, &n), -E2BIG);
	assert_int_equal(n, 99);
	assert_int_equal(vmm_virtq_get_iov(&r, 5, out, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_ptr_equal(out[0].iov_base, readable + 60);
	assert_int_equal(out[0].iov_len, 4);
	assert_ptr_equal(out[1].iov_base, readable + 64);
	assert_int_equal(out[1].iov_len, 1);
	/* Looking does not pass. */
	assert_int_equal(r.left, 46);
	assert_int_equal(vmm_virtq_get_iov(&r, 0, out, 0, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(vmm_virtq_skip(&r, UINT64_MAX), 46);
	assert_int_equal(vmm_virtq_skip(&r, 1), 0);
}

static void fill_sets_and_stops(void **state)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = two_by_two(iov);
	struct vmm_virtq_cursor w = vmm_virtq_writer(&chain);

	assert_int_equal(vmm_virtq_skip(&w, 59), 59);
	assert_int_equal(vmm_virtq_fill(&w, 0xee, 2), 2);
	assert_int_equal(writable[58], 0);
	assert_int_equal(writable[59], 0xee);
	assert_int_equal(writable[60], 0xee);
	assert_int_equal(writable[61], 0);
	assert_int_equal(vmm_virtq_fill(&w, 0xee, UINT64_MAX), 3);
	assert_int_equal(w.done, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_counts_what_is_left),
		cmocka_unit_test(a_writer_stops_at_the_end),
		cmocka_unit_test(the_wrong_direction_is_empty),
		cmocka_unit_test(an_object_may_be_shattered_into_bytes),
		cmocka_unit_test(a_cut_anywhere_gives_two_whole_parts),
		cmocka_unit_test(a_cut_behind_the_end_is_refused),
		cmocka_unit_test(a_part_is_exported_as_iovecs),
		cmocka_unit_test(fill_sets_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

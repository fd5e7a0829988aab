/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <sys/mman.h>

#include <vmm/memory-dirty.h>
#include <vmm/memory-iommu.h>
#include <vmm/memory-slice.h>
#include <vmm/memory-space.h>
#include <vmm/memory-typed.h>

/* Every exported function once, as a consumer of the shared library sees it. */

static struct vmm_mem *sample(void)
{
	return mem_test_table(
	    (struct mem_test_range[]){ { 0x100000, PAGE, 0 }, { 0, 2 * PAGE, 0 } }, 2);
}

static void a_table_is_made_used_and_enumerated(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *more = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *less = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *same = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region told = VMM_MEM_REGION_INIT, r = VMM_MEM_REGION_INIT;
	uint64_t gpa = 0;
	uint32_t v = 5;
	size_t i = 9;

	assert_int_equal(vmm_mem_region_count(mem), 2);
	assert_int_equal(vmm_mem_get_region(mem, 1, &told), 0);
	assert_true(told.gpa == 0x100000);
	assert_int_equal(vmm_mem_write(mem, 0x100000, &v, 4), 0);
	assert_memory_equal(told.host, &v, 4);
	assert_int_equal(vmm_mem_find_region(mem, 0x100010, &i), 0);
	assert_int_equal(i, 1);
	assert_true(vmm_mem_get_last(mem) == 0x100fff);
	assert_int_equal(vmm_mem_offset(mem, 0, 0x100000, &gpa), 0);
	assert_true(vmm_mem_is_backed(mem, gpa, PAGE));
	assert_int_equal(vmm_mem_explain(mem, gpa, PAGE + 1, 0, NULL), -EFAULT);
	assert_false(vmm_mem_files_overlap(&told, &told));
	r.gpa = 0x200000;
	r.len = PAGE;
	assert_int_equal(vmm_mem_with(mem, &r, &more, NULL), 0);
	assert_int_equal(vmm_mem_without(more, 0x100000, PAGE, &less, NULL), 0);
	assert_int_equal(vmm_mem_clone(less, &same), 0);
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	vmm_mem_builder_set_dirty(builder, NULL);
	assert_int_equal(vmm_mem_builder_share(builder, mem, 0, 0x40000, NULL), 0);
}

static void bytes_are_moved(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	int fd = memfd_create("api", MFD_CLOEXEC);
	struct iovec iov[2];
	char b[4] = "abc";
	void *p = NULL;
	size_t n = 0;

	assert_int_equal(vmm_mem_write(mem, 0, b, 4), 0);
	assert_int_equal(vmm_mem_copy(mem, 8, 0, 4), 0);
	assert_int_equal(vmm_mem_read(mem, 8, b, 4), 0);
	assert_string_equal(b, "abc");
	assert_int_equal(vmm_mem_fill(mem, 0, 'x', 3), 0);
	assert_int_equal(vmm_mem_read_some(mem, 0, b, 4), 4);
	assert_string_equal(b, "xxx");
	assert_int_equal(vmm_mem_write_some(mem, 0x1ffe, b, 4), 2);
	assert_int_equal(vmm_mem_fill_some(mem, 0x1ffe, 0, 4), 2);
	assert_int_equal(vmm_mem_get_ptr(mem, 0, 4, &p), 0);
	assert_string_equal((char *)p, "xxx");
	assert_int_equal(vmm_mem_get_ptr_for(mem, 0, 4, VMM_MEM_ACCESS_RW, &p), 0);
	assert_int_equal(vmm_mem_get_iov(mem, 0, 4, iov, 2, &n), 0);
	assert_int_equal(vmm_mem_get_iov_for(mem, 0, 4, VMM_MEM_ACCESS_RW, iov, 2, &n),
			 0);
	vmm_mem_mark_dirty(mem, 0, 4);
	assert_int_equal(vmm_mem_write_file(mem, 0, fd, 0, 4), 4);
	assert_int_equal(vmm_mem_read_file(mem, 16, fd, 0, 4), 4);
	assert_int_equal(vmm_mem_write_fd(mem, 0, fd, 4), 4);
	assert_int_equal(vmm_mem_write_fd_all(mem, 0, fd, 4), 4);
	assert_int_equal(vmm_mem_read_fd(mem, 0, fd, 4), 0);
	assert_int_equal(vmm_mem_read_fd_all(mem, 0, fd, 4), 0);
	assert_int_equal(vmm_mem_prefault(mem, 0, PAGE), 0);
	assert_int_equal(vmm_mem_discard(mem, 0, PAGE), 0);
	(void)close(fd);
}

static void numbers_are_moved(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();

	{
		uint8_t v = 0;

		assert_int_equal(vmm_mem_write_u8(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_u8(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_u8(mem, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(vmm_mem_load_u8(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint16_t v = 0;

		assert_int_equal(vmm_mem_write_u16(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_u16(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_u16(mem, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(vmm_mem_load_u16(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint32_t v = 0;

		assert_int_equal(vmm_mem_write_u32(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_u32(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_u32(mem, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(vmm_mem_load_u32(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint64_t v = 0;

		assert_int_equal(vmm_mem_write_u64(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_u64(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_u64(mem, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(vmm_mem_load_u64(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint16_t v = 0;

		assert_int_equal(vmm_mem_write_le16(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_le16(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_le16(mem, 0x100, 0x6b, VMM_MEM_RELEASE),
				 0);
		assert_int_equal(vmm_mem_load_le16(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint32_t v = 0;

		assert_int_equal(vmm_mem_write_le32(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_le32(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_le32(mem, 0x100, 0x6b, VMM_MEM_RELEASE),
				 0);
		assert_int_equal(vmm_mem_load_le32(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint64_t v = 0;

		assert_int_equal(vmm_mem_write_le64(mem, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_read_le64(mem, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(vmm_mem_store_le64(mem, 0x100, 0x6b, VMM_MEM_RELEASE),
				 0);
		assert_int_equal(vmm_mem_load_le64(mem, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
}

static void a_cursor_moves_them_too(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	struct vmm_mem_cursor cur;
	char b[12] = "0123456789a";

	vmm_mem_cursor_init(&cur, mem);
	assert_int_equal(vmm_mem_cursor_seek(&cur, 0), 2 * PAGE);
	assert_int_equal(vmm_mem_cursor_write(&cur, 0x200, b, 12), 0);
	assert_int_equal(vmm_mem_cursor_read(&cur, 0x200, b, 12), 0);
	{
		uint8_t v = 0;

		assert_int_equal(vmm_mem_cursor_write_u8(&cur, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_cursor_read_u8(&cur, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(
		    vmm_mem_cursor_store_u8(&cur, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(vmm_mem_cursor_load_u8(&cur, 0x100, VMM_MEM_ACQUIRE, &v),
				 0);
		assert_true(v == 0x6b);
	}
	{
		uint16_t v = 0;

		assert_int_equal(vmm_mem_cursor_write_le16(&cur, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_cursor_read_le16(&cur, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(
		    vmm_mem_cursor_store_le16(&cur, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(
		    vmm_mem_cursor_load_le16(&cur, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint32_t v = 0;

		assert_int_equal(vmm_mem_cursor_write_le32(&cur, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_cursor_read_le32(&cur, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(
		    vmm_mem_cursor_store_le32(&cur, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(
		    vmm_mem_cursor_load_le32(&cur, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
	{
		uint64_t v = 0;

		assert_int_equal(vmm_mem_cursor_write_le64(&cur, 0x100, 0x5a), 0);
		assert_int_equal(vmm_mem_cursor_read_le64(&cur, 0x100, &v), 0);
		assert_true(v == 0x5a);
		assert_int_equal(
		    vmm_mem_cursor_store_le64(&cur, 0x100, 0x6b, VMM_MEM_RELEASE), 0);
		assert_int_equal(
		    vmm_mem_cursor_load_le64(&cur, 0x100, VMM_MEM_ACQUIRE, &v), 0);
		assert_true(v == 0x6b);
	}
}

static void slices_are_cut(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	struct vmm_mem_slice s, a, b;
	struct vmm_mem_slices walk;
	uint64_t v = 0;
	char c[2] = "z";

	assert_int_equal(vmm_mem_get_slice(mem, 0, 64, VMM_MEM_ACCESS_RW, &s), 0);
	assert_int_equal(vmm_mem_slice_sub(&s, 8, 16, &a), 0);
	assert_int_equal(vmm_mem_slice_split(&a, 8, &a, &b), 0);
	assert_int_equal(vmm_mem_slice_write(&a, 0, c, 2), 0);
	assert_int_equal(vmm_mem_slice_copy(&b, &a, &v), 0);
	assert_int_equal(vmm_mem_slice_read(&b, 0, c, 2), 0);
	assert_string_equal(c, "z");
	assert_int_equal(vmm_mem_slice_fill(&s, 0, 0, 64), 0);
	assert_int_equal(vmm_mem_slice_store(&s, 8, 3, 9, VMM_MEM_RELAXED), 0);
	assert_int_equal(vmm_mem_slice_load(&s, 8, 3, VMM_MEM_RELAXED, &v), 0);
	assert_true(v == 9);
	vmm_mem_slices_init(&walk, mem, 0, 8, 0);
	assert_int_equal(vmm_mem_slices_next(&walk, &s), 0);
}

static void dirty_pages_are_collected(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *log = NULL;
	uint64_t pos = 0, off = 0, len = 0;
	uint8_t bits = 4;

	assert_int_equal(vmm_mem_dirty_new(8 * PAGE, PAGE, &d), 0);
	assert_int_equal(vmm_mem_dirty_enlarge(d, 8 * PAGE), 0);
	assert_int_equal(vmm_mem_dirty_copy(d, &log), 0);
	assert_true(vmm_mem_dirty_page_size(d) == PAGE && vmm_mem_dirty_pages(d) == 16);
	assert_int_equal(vmm_mem_dirty_byte_size(d), 8);
	vmm_mem_dirty_mark(d, 0, 2 * PAGE);
	vmm_mem_dirty_clear(d, 0, 1);
	assert_int_equal(vmm_mem_dirty_merge(d, 0, &bits, 8, PAGE), 0);
	assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
	assert_false(vmm_mem_dirty_is_set(d, PAGE));
	assert_true(vmm_mem_dirty_next(log, &pos, &off, &len));
	assert_true(off == PAGE && len == 2 * PAGE);
	vmm_mem_dirty_reset(log);
}

static int count(void *ctx, const struct vmm_mem *mem)
{
	return (int)vmm_mem_region_count(mem);
}

static void a_space_changes_under_its_readers(void **state)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mine = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem_reader *reader = NULL;

	assert_int_equal(vmm_mem_space_new(sample(), &space), 0);
	assert_int_equal(vmm_mem_space_add_reader(space, "api", &reader), 0);
	r.gpa = 0x200000;
	r.len = PAGE;
	assert_int_equal(vmm_mem_space_add_region(space, &r, NULL), 0);
	assert_int_equal(vmm_mem_reader_run(reader, count, NULL), 3);
	assert_int_equal(vmm_mem_region_count(vmm_mem_reader_begin(reader)), 3);
	vmm_mem_reader_end(reader);
	assert_int_equal(vmm_mem_space_remove_region(space, 0x200000, PAGE, NULL), 0);
	assert_int_equal(vmm_mem_space_clone(space, &mine), 0);
	vmm_mem_space_replace(space, sample());
	assert_int_equal(vmm_mem_space_reclaim(space), 0);
	assert_int_equal(vmm_mem_space_wait(space, 10, NULL), 0);
	vmm_mem_space_remove_reader(space, reader);
}

static void a_device_sees_memory_through_translations(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = sample();
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = NULL;
	VMM_CLEANUP(vmm_mem_iommu_free) struct vmm_mem_iommu *view = NULL;
	struct vmm_mem_iotlb_piece piece;
	struct iovec iov[1];
	size_t n, bad;
	char b[4] = "dev";

	assert_int_equal(vmm_mem_iotlb_new(16, &tlb), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x8000, PAGE, 0, VMM_MEM_ACCESS_RW), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 1);
	assert_int_equal(vmm_mem_iotlb_first(tlb, 0x8000, 4, 0, &piece), 0);
	assert_int_equal(vmm_mem_iotlb_lookup(tlb, 0x8000, 4, 0, &piece, 1, &n, &bad), 0);
	assert_int_equal(vmm_mem_iommu_new(mem, tlb, NULL, NULL, &view), 0);
	assert_int_equal(vmm_mem_iommu_write(view, 0x8000, b, 4), 0);
	assert_int_equal(vmm_mem_iommu_read(view, 0x8000, b, 4), 0);
	assert_int_equal(vmm_mem_iommu_get_iov(view, 0x8000, 4, 0, iov, 1, &n), 0);
	vmm_mem_iommu_set_dirty(view, NULL);
	vmm_mem_iommu_mark_dirty(view, 0x8000, 4);
	vmm_mem_iommu_set_memory(view, mem);
	vmm_mem_iotlb_unmap(tlb, 0x8000, PAGE);
	assert_int_equal(vmm_mem_iommu_read(view, 0x8000, b, 4), -EFAULT);
	vmm_mem_iotlb_clear(tlb);
	vmm_mem_iommu_set_enabled(view, false);
	assert_ptr_equal(vmm_mem_iommu_get_physical(view), mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_made_used_and_enumerated),
		cmocka_unit_test(bytes_are_moved),
		cmocka_unit_test(numbers_are_moved),
		cmocka_unit_test(a_cursor_moves_them_too),
		cmocka_unit_test(slices_are_cut),
		cmocka_unit_test(dirty_pages_are_collected),
		cmocka_unit_test(a_space_changes_under_its_readers),
		cmocka_unit_test(a_device_sees_memory_through_translations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

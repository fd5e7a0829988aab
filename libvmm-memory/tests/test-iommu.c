/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <vmm/memory-dirty.h>
#include <vmm/memory-iommu.h>

#define R VMM_MEM_ACCESS_READ
#define W VMM_MEM_ACCESS_WRITE
#define RW VMM_MEM_ACCESS_RW
#define HIT VMM_MEM_IOTLB_HIT
#define MISS VMM_MEM_IOTLB_MISS
#define FAULT VMM_MEM_IOTLB_FAULT

static struct vmm_mem_iotlb *tlb_of(uint32_t max)
{
	struct vmm_mem_iotlb *tlb = NULL;

	assert_int_equal(vmm_mem_iotlb_new(max, &tlb), 0);
	return tlb;
}

struct want {
	uint64_t iova, len, gpa;
	uint32_t kind;
};

static void check_pieces(const struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len,
			 uint32_t access, const struct want *want, size_t n)
{
	struct vmm_mem_iotlb_piece p[16];
	size_t got = 99, bad = 99, want_bad = 0;

	assert_int_equal(vmm_mem_iotlb_lookup(tlb, iova, len, access, p, 16, &got, &bad),
			 0);
	assert_int_equal(got, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(p[i].iova == want[i].iova && p[i].len == want[i].len);
		assert_true(p[i].gpa == want[i].gpa);
		assert_int_equal(p[i].kind, want[i].kind);
		want_bad += want[i].kind != HIT;
	}
	assert_int_equal(bad, want_bad);
}

#define PIECES(tlb, iova, len, access, ...)                                        \
	check_pieces(tlb, iova, len, access, (const struct want[]){ __VA_ARGS__ }, \
		     sizeof((const struct want[]){ __VA_ARGS__ }) / sizeof(struct want))

static void mappings_that_continue_each_other_merge(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(8);

	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x1000, 0x1000, 0x5000, RW), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x3000, 0x1000, 0x7000, RW), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 2);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x2000, 0x1000, 0x6000, RW), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 1);
	PIECES(tlb, 0x1800, 0x2000, RW, { 0x1800, 0x2000, 0x5800, HIT });
	/* The same target does not continue, nor another access. */
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x4000, 0x1000, 0x5000, RW), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x5000, 0x1000, 0x6000, R), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 3);
	/* Over something in the middle, equal: nothing changes. */
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x2800, 0x10, 0x6800, RW), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 3);
	/* Over something in the middle, different: in three. */
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x2800, 0x10, 0x6800, R), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 5);
	PIECES(tlb, 0x27ff, 0x12, W, { 0x27ff, 1, 0x67ff, HIT },
	       { 0x2800, 0x10, 0x6800, FAULT }, { 0x2810, 1, 0x6810, HIT });
}

static void misses_and_faults_are_told_apart(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(8);

	assert_int_equal(vmm_mem_iotlb_map(tlb, 0, 0x1000, 0x8000, R), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x1000, 0x1000, 0x9000, W), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x4000, 0x1000, 0, VMM_MEM_ACCESS_NONE),
			 0);
	PIECES(tlb, 0, 0x2000, RW, { 0, 0x1000, 0x8000, FAULT },
	       { 0x1000, 0x1000, 0x9000, FAULT });
	PIECES(tlb, 0, 0x2000, VMM_MEM_ACCESS_NONE, { 0, 0x1000, 0x8000, HIT },
	       { 0x1000, 0x1000, 0x9000, HIT });
	PIECES(tlb, 0x1fff, 0x2002, R, { 0x1fff, 1, 0x9fff, FAULT },
	       { 0x2000, 0x2000, 0, MISS }, { 0x4000, 1, 0, FAULT });
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0, 1, 0, 4), -EINVAL);
}

static void unmapping_splits(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(2);

	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x10, 0x10, 0x100, RW), 0);
	vmm_mem_iotlb_unmap(tlb, 0x18, 3);
	PIECES(tlb, 0x10, 0x10, R, { 0x10, 8, 0x100, HIT }, { 0x18, 3, 0, MISS },
	       { 0x1b, 5, 0x10b, HIT });
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x40, 1, 0, RW), -ENOSPC);
	/* Full: what follows the hole is forgotten. */
	vmm_mem_iotlb_unmap(tlb, 0x12, 1);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 2);
	PIECES(tlb, 0x10, 0x10, R, { 0x10, 2, 0x100, HIT }, { 0x12, 9, 0, MISS },
	       { 0x1b, 5, 0x10b, HIT });
	vmm_mem_iotlb_unmap(tlb, 0x11, 0);
	vmm_mem_iotlb_unmap(tlb, 0x1c, UINT64_MAX);
	PIECES(tlb, 0x1b, 2, R, { 0x1b, 1, 0x10b, HIT }, { 0x1c, 1, 0, MISS });
	vmm_mem_iotlb_clear(tlb);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 0);
	PIECES(tlb, 0, 4, R, { 0, 4, 0, MISS });
	assert_int_equal(vmm_mem_iotlb_new(0, &tlb), -EINVAL);
	assert_int_equal(vmm_mem_iotlb_new(VMM_MEM_IOTLB_MAX + 1, &tlb), -EINVAL);
}

/* MEM-B2: an I/O virtual address near 2^64 aborted, or wrapped to a good empty range. */
static void mem_b2_an_iova_near_the_end_is_an_error_or_works(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(8);
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem =
	    mem_test_table((struct mem_test_range[]){ { 0, PAGE, 0 } }, 1);
	VMM_CLEANUP(vmm_mem_iommu_free) struct vmm_mem_iommu *v = NULL;
	struct vmm_mem_iotlb_piece p;
	struct iovec iov[2];
	uint8_t b[16] = { 1 };
	size_t n = 0, bad = 0;

	assert_int_equal(vmm_mem_iommu_new(mem, tlb, NULL, NULL, &v), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, UINT64_MAX - 7, 9, 0, RW), -EFAULT);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0, 9, UINT64_MAX - 7, RW), -EFAULT);
	assert_int_equal(vmm_mem_iotlb_map(tlb, UINT64_MAX, UINT64_MAX, 0, RW), -EFAULT);
	assert_int_equal(vmm_mem_iotlb_map(tlb, UINT64_MAX, 0, 0, RW), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, UINT64_MAX - 7, 8, 0x10, RW), 0);
	assert_int_equal(vmm_mem_iotlb_first(tlb, UINT64_MAX, 2, R, &p), -EFAULT);
	assert_int_equal(vmm_mem_iotlb_first(tlb, UINT64_MAX, 0, R, &p), -ENOENT);
	assert_int_equal(vmm_mem_iotlb_lookup(tlb, UINT64_MAX, 2, R, &p, 1, &n, &bad),
			 -EFAULT);
	assert_int_equal(vmm_mem_iotlb_lookup(tlb, UINT64_MAX, 0, R, &p, 0, &n, &bad), 0);
	PIECES(tlb, UINT64_MAX - 8, 9, R, { UINT64_MAX - 8, 1, 0, MISS },
	       { UINT64_MAX - 7, 8, 0x10, HIT });
	for (uint64_t len = 1; len <= 16; len++) {
		int want = len <= 8 ? 0 : -EFAULT;

		assert_int_equal(vmm_mem_iommu_write(v, UINT64_MAX - 7, b, len), want);
		assert_int_equal(vmm_mem_iommu_read(v, UINT64_MAX - 7, b, len), want);
		assert_int_equal(
		    vmm_mem_iommu_get_iov(v, UINT64_MAX - 7, len, R, iov, 2, &n), want);
		vmm_mem_iommu_mark_dirty(v, UINT64_MAX - 7, len);
	}
	assert_int_equal(vmm_mem_iommu_write(v, UINT64_MAX, b, 0), 0);
	assert_int_equal(vmm_mem_iommu_read(v, 0x123456, b, 0), 0);
	vmm_mem_iotlb_unmap(tlb, UINT64_MAX, 1);
	assert_int_equal(vmm_mem_iommu_read(v, UINT64_MAX, b, 1), -EFAULT);
	assert_int_equal(vmm_mem_iommu_read(v, UINT64_MAX - 1, b, 1), 0);
}

/* Two regions, IOVA pages swapped, the second read-only for the device. */
static void a_view_copies_through_translations(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(8);
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem = mem_test_table(
	    (struct mem_test_range[]){
		{ 0, PAGE, 0 }, { PAGE, PAGE, 0 }, { 4 * PAGE, PAGE, VMM_MEM_READONLY } },
	    3);
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *other = NULL;
	VMM_CLEANUP(vmm_mem_iommu_free) struct vmm_mem_iommu *v = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	struct iovec iov[4];
	uint8_t b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, c[8] = { 0 };
	size_t n = 77;

	assert_int_equal(vmm_mem_dirty_new(0x20000, PAGE, &d), 0);
	assert_int_equal(vmm_mem_iommu_new(mem, tlb, NULL, NULL, &v), 0);
	vmm_mem_iommu_set_dirty(v, d);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x10000, PAGE, PAGE, RW), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x11000, PAGE, 0, RW), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x12000, PAGE, 0, R), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x13000, PAGE, 4 * PAGE, RW), 0);
	assert_int_equal(vmm_mem_iotlb_map(tlb, 0x14000, PAGE, 8 * PAGE, RW), 0);

	assert_int_equal(vmm_mem_iommu_write(v, 0x10ffc, b, 8), 0);
	assert_int_equal(vmm_mem_read(mem, PAGE + 0xffc, c, 4), 0);
	assert_int_equal(vmm_mem_read(mem, 0, c + 4, 4), 0);
	assert_memory_equal(b, c, 8);
	assert_true(vmm_mem_dirty_is_set(d, 0x10000) && vmm_mem_dirty_is_set(d, 0x11000));
	assert_false(vmm_mem_dirty_is_set(d, 0) || vmm_mem_dirty_is_set(d, 0x12000));
	memset(c, 0, sizeof(c));
	assert_int_equal(vmm_mem_iommu_read(v, 0x10ffc, c, 8), 0);
	assert_memory_equal(b, c, 8);
	/* Nothing is half done. */
	vmm_mem_dirty_reset(d);
	assert_int_equal(vmm_mem_iommu_write(v, 0x11ffc, c, 8), -EACCES);
	assert_int_equal(vmm_mem_iommu_write(v, 0x13000, b, 8), -EROFS);
	assert_int_equal(vmm_mem_iommu_write(v, 0x14000, b, 8), -EFAULT);
	assert_int_equal(vmm_mem_iommu_write(v, 0x15000, b, 8), -EFAULT);
	assert_int_equal(vmm_mem_iommu_read(v, 0xfffc, c, 8), -EFAULT);
	assert_false(vmm_mem_dirty_is_set(d, 0x11000) ||
		     vmm_mem_dirty_is_set(d, 0x13000));
	assert_int_equal(vmm_mem_iommu_read(v, 0x11ffc, c, 8), 0);

	assert_int_equal(vmm_mem_iommu_get_iov(v, 0x10ffc, 8, W, iov, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(vmm_mem_iommu_get_iov(v, 0x10ffc, 8, W, iov, 1, &n), -E2BIG);
	assert_int_equal(vmm_mem_iommu_get_iov(v, 0x12000, 8, W, iov, 1, &n), -EACCES);
	vmm_mem_iommu_mark_dirty(v, 0x11ffc, 8);
	assert_true(vmm_mem_dirty_is_set(d, 0x11000));
	assert_false(vmm_mem_dirty_is_set(d, 0x12000));

	/* Another memory, then no translation. */
	other = mem_test_table((struct mem_test_range[]){ { 0, 2 * PAGE, 0 } }, 1);
	vmm_mem_iommu_set_memory(v, other);
	assert_int_equal(vmm_mem_iommu_read(v, 0x10ffc, c, 8), 0);
	assert_int_equal(c[0], 0);
	assert_null(vmm_mem_iommu_get_physical(v));
	vmm_mem_iommu_set_enabled(v, false);
	assert_ptr_equal(vmm_mem_iommu_get_physical(v), other);
	vmm_mem_dirty_reset(d);
	assert_int_equal(vmm_mem_iommu_write(v, 0x100, b, 8), 0);
	assert_int_equal(vmm_mem_iommu_read(v, 0x100, c, 8), 0);
	assert_memory_equal(b, c, 8);
	assert_int_equal(vmm_mem_iommu_get_iov(v, 0x100, 8, W, iov, 4, &n), 0);
	vmm_mem_iommu_mark_dirty(v, 0x100, 8);
	assert_false(vmm_mem_dirty_is_set(d, 0));
	assert_int_equal(vmm_mem_iommu_read(v, 0x10ffc, c, 8), -EFAULT);
}

struct owner {
	int asked;
	int answer;
	uint32_t access;
	uint64_t len;
	/* Take this back while giving the other. */
	uint64_t unmap;
	struct vmm_mem_iotlb_piece last;
};

static int resolve(void *ctx, struct vmm_mem_iotlb *tlb,
		   const struct vmm_mem_iotlb_piece *piece, uint32_t access)
{
	struct owner *o = ctx;

	o->asked++;
	o->last = *piece;
	if (o->answer < 0)
		return o->answer;
	if (o->unmap)
		vmm_mem_iotlb_unmap(tlb, o->unmap, 1);
	return vmm_mem_iotlb_map(tlb, piece->iova, o->len ? o->len : piece->len,
				 piece->iova & 0xfff, o->access);
}

static void what_is_missing_is_asked_for_once(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(8);
	VMM_CLEANUP(vmm_mem_free)
	struct vmm_mem *mem =
	    mem_test_table((struct mem_test_range[]){ { 0, PAGE, 0 } }, 1);
	VMM_CLEANUP(vmm_mem_iommu_free) struct vmm_mem_iommu *v = NULL;
	struct vmm_mem_iommu_ops ops = VMM_MEM_IOMMU_OPS_INIT;
	struct {
		struct vmm_mem_iommu_ops ops;
		uint64_t more;
	} newer = { VMM_MEM_IOMMU_OPS_INIT, 1 };
	struct owner o = { .access = R };
	uint8_t b[8] = { 0 };

	newer.ops.size = sizeof(newer);
	assert_int_equal(vmm_mem_iommu_new(mem, tlb, &newer.ops, &o, &v), -E2BIG);
	ops.size = 0;
	assert_int_equal(vmm_mem_iommu_new(mem, tlb, &ops, &o, &v), -EINVAL);
	ops.size = sizeof(ops);
	ops.resolve = resolve;
	assert_int_equal(vmm_mem_iommu_new(mem, tlb, &ops, &o, &v), 0);

	assert_int_equal(vmm_mem_iommu_read(v, 0x5000, b, 8), 0);
	assert_int_equal(o.asked, 1);
	assert_int_equal(o.last.kind, MISS);
	assert_true(o.last.iova == 0x5000 && o.last.len == 8);
	assert_int_equal(vmm_mem_iommu_read(v, 0x5000, b, 8), 0);
	assert_int_equal(o.asked, 1);
	/* A fault may be dealt with, too; else it stays one. */
	assert_int_equal(vmm_mem_iommu_write(v, 0x5000, b, 8), -EACCES);
	assert_int_equal(o.asked, 2);
	assert_int_equal(o.last.kind, FAULT);
	o.access = RW;
	assert_int_equal(vmm_mem_iommu_write(v, 0x5000, b, 8), 0);
	assert_int_equal(o.asked, 3);
	o.answer = -EHOSTDOWN;
	assert_int_equal(vmm_mem_iommu_write(v, 0x6000, b, 8), -EHOSTDOWN);
	/* Piece by piece, and an answer that undoes an earlier one is noticed. */
	o.answer = 0;
	o.len = 2;
	o.asked = 0;
	vmm_mem_iotlb_clear(tlb);
	assert_int_equal(vmm_mem_iommu_write(v, 0x7000, b, 8), 0);
	assert_int_equal(o.asked, 4);
	vmm_mem_iotlb_clear(tlb);
	o.unmap = 0x7000;
	assert_int_equal(vmm_mem_iommu_write(v, 0x7000, b, 8), -EFAULT);
}

static void lookup_needs_room_for_all_pieces(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = tlb_of(100);
	struct vmm_mem_iotlb_piece p[3] = { { 0 } };
	size_t n = 5, bad = 5;

	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(vmm_mem_iotlb_map(tlb, i * 2, 1, i, R), 0);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 40);
	assert_int_equal(vmm_mem_iotlb_lookup(tlb, 0, 4, R, p, 3, &n, &bad), -E2BIG);
	assert_true(n == 5 && p[0].len == 0);
	assert_int_equal(vmm_mem_iotlb_lookup(tlb, 0, 3, R, p, 3, &n, &bad), 0);
	assert_true(n == 3 && bad == 1);
	vmm_mem_iotlb_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_that_continue_each_other_merge),
		cmocka_unit_test(misses_and_faults_are_told_apart),
		cmocka_unit_test(unmapping_splits),
		cmocka_unit_test(mem_b2_an_iova_near_the_end_is_an_error_or_works),
		cmocka_unit_test(a_view_copies_through_translations),
		cmocka_unit_test(what_is_missing_is_asked_for_once),
		cmocka_unit_test(lookup_needs_room_for_all_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

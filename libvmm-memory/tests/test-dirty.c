/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <pthread.h>

#include <vmm/memory-dirty.h>
#include <vmm/memory-slice.h>
#include <vmm/memory-typed.h>

#include "dirty.h"

/* The pages that are set, as bits of a number; for at most 64. */
static uint64_t bits(const struct vmm_mem_dirty *d)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < vmm_mem_dirty_pages(d); i++)
		v |= (uint64_t)vmm_mem_dirty_is_set(d, i * vmm_mem_dirty_page_size(d))
		     << i;
	return v;
}

static void pages_are_marked_by_range_and_told(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;

	assert_int_equal(vmm_mem_dirty_new(100, 3, &d), -EINVAL);
	assert_int_equal(vmm_mem_dirty_new(100, 0, &d), -EINVAL);
	assert_int_equal(vmm_mem_dirty_new(UINT64_MAX, 4096, &d), -E2BIG);
	assert_int_equal(vmm_mem_dirty_new(1025, 128, &d), 0);
	assert_int_equal(vmm_mem_dirty_pages(d), 9);
	assert_int_equal(vmm_mem_dirty_page_size(d), 128);
	assert_int_equal(vmm_mem_dirty_byte_size(d), 8);
	vmm_mem_dirty_mark(d, 128, 129);
	assert_int_equal(bits(d), 6);
	vmm_mem_dirty_mark(d, 0, 0);
	vmm_mem_dirty_mark(d, 5000, 1);
	vmm_mem_dirty_mark(d, UINT64_MAX, UINT64_MAX);
	assert_int_equal(bits(d), 6);
	vmm_mem_dirty_mark(d, 1024, UINT64_MAX);
	assert_int_equal(bits(d), 0x106);
	assert_false(vmm_mem_dirty_is_set(d, 1025));
	assert_true(vmm_mem_dirty_is_set(d, 1024));
	vmm_mem_dirty_clear(d, 255, 1);
	vmm_mem_dirty_clear(d, 0, 0);
	vmm_mem_dirty_clear(d, 2000, 10);
	assert_int_equal(bits(d), 0x104);
	vmm_mem_dirty_reset(d);
	assert_int_equal(bits(d), 0);
}

static void a_bitmap_without_pages_takes_everything_calmly(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	uint64_t pos = 0, off = 9, len = 9;

	assert_int_equal(vmm_mem_dirty_new(0, 4096, &d), 0);
	vmm_mem_dirty_mark(d, 0, 1);
	vmm_mem_dirty_clear(d, 0, 1);
	vmm_mem_dirty_reset(d);
	assert_false(vmm_mem_dirty_is_set(d, 0));
	assert_false(vmm_mem_dirty_next(d, &pos, &off, &len));
	assert_int_equal(vmm_mem_dirty_byte_size(d), 0);
	assert_int_equal(vmm_mem_dirty_enlarge(d, 4096), 0);
	vmm_mem_dirty_mark(d, 0, 1);
	assert_int_equal(bits(d), 1);
}

static void enlarging_keeps_the_old_and_adds_clean_pages(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *copy = NULL;

	assert_int_equal(vmm_mem_dirty_new(64 * 128, 128, &d), 0);
	vmm_mem_dirty_mark(d, 63 * 128, 500);
	assert_int_equal(vmm_mem_dirty_enlarge(d, 64 * 128), 0);
	assert_int_equal(vmm_mem_dirty_pages(d), 128);
	assert_true(vmm_mem_dirty_is_set(d, 63 * 128));
	assert_false(vmm_mem_dirty_is_set(d, 64 * 128));
	vmm_mem_dirty_mark(d, 127 * 128, 1);
	assert_int_equal(vmm_mem_dirty_copy(d, &copy), 0);
	vmm_mem_dirty_reset(d);
	assert_true(vmm_mem_dirty_is_set(copy, 127 * 128));
	assert_int_equal(vmm_mem_dirty_enlarge(d, UINT64_MAX), -E2BIG);
	assert_int_equal(vmm_mem_dirty_enlarge(d, UINT64_MAX / 2), -E2BIG);
	assert_int_equal(vmm_mem_dirty_pages(d), 128);
}

static void harvest_moves_pages_and_yields_runs(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *log = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *other = NULL;
	/* Runs at the start, over words, alone, and into the partial last page. */
	static const uint64_t runs[][2] = {
		{ 0, 2 },
		{ 60, 80 },
		{ 300, 1 },
		{ 997, 3 },
	};
	uint64_t pos = 0, off, len, k = 0;

	assert_int_equal(vmm_mem_dirty_new(999 * 64 + 10, 64, &d), 0);
	assert_int_equal(vmm_mem_dirty_new(999 * 64 + 10, 64, &log), 0);
	assert_int_equal(vmm_mem_dirty_new(999 * 64 + 10, 128, &other), 0);
	assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
	assert_int_equal(vmm_mem_dirty_harvest(d, other), -EINVAL);
	assert_int_equal(vmm_mem_dirty_harvest(d, d), -EINVAL);
	for (size_t i = 0; i < VMM_ARRAY_LEN(runs); i++)
		vmm_mem_dirty_mark(d, runs[i][0] * 64, runs[i][1] * 64);
	assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
	while (vmm_mem_dirty_next(log, &pos, &off, &len)) {
		assert_true(k < VMM_ARRAY_LEN(runs));
		assert_true(off == runs[k][0] * 64);
		assert_true(len == (k == 3 ? 2 * 64 + 10 : runs[k][1] * 64));
		k++;
	}
	assert_int_equal(k, VMM_ARRAY_LEN(runs));
	assert_false(vmm_mem_dirty_next(log, &pos, &off, &len));
	pos = 0;
	assert_false(vmm_mem_dirty_next(d, &pos, &off, &len));
	/* A second harvest adds to what is there. */
	vmm_mem_dirty_mark(d, 500 * 64, 1);
	assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
	assert_true(vmm_mem_dirty_is_set(log, 500 * 64) && vmm_mem_dirty_is_set(log, 0));
}

static void a_run_may_end_at_the_last_address(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	uint64_t pos = 0, off = 0, len = 0;

	assert_int_equal(vmm_mem_dirty_new(UINT64_MAX, UINT64_C(1) << 60, &d), 0);
	assert_int_equal(vmm_mem_dirty_pages(d), 16);
	vmm_mem_dirty_mark(d, UINT64_MAX - 1, 1);
	vmm_mem_dirty_mark(d, UINT64_MAX, 1);
	assert_true(vmm_mem_dirty_next(d, &pos, &off, &len));
	assert_true(off == UINT64_C(15) << 60 && len == (UINT64_C(1) << 60) - 1);
	assert_false(vmm_mem_dirty_next(d, &pos, &off, &len));
}

static void the_log_of_the_kernel_is_merged(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	static const uint8_t log[] = { 0x05, 0x80, 0xff };

	assert_int_equal(vmm_mem_dirty_new(40 * PAGE, PAGE, &d), 0);
	assert_int_equal(vmm_mem_dirty_merge(d, 2 * PAGE, log, 18, PAGE), 0);
	assert_true(bits(d) == (UINT64_C(0x5) | UINT64_C(0x8000) | UINT64_C(0x30000))
				   << 2);
	assert_int_equal(vmm_mem_dirty_merge(d, 0, log, 8, 3000), -EINVAL);
	assert_int_equal(vmm_mem_dirty_merge(d, 0, log, 8, 0), -EINVAL);
	vmm_mem_dirty_reset(d);
	/* Pages of another size, and some beyond the end of everything. */
	assert_int_equal(vmm_mem_dirty_merge(d, 0, log, 3, 2 * PAGE), 0);
	assert_true(bits(d) == 0x33);
	assert_int_equal(
	    vmm_mem_dirty_merge(d, UINT64_MAX - PAGE, log, 24, UINT64_C(1) << 62), 0);
	assert_true(bits(d) == 0x33);
}

static void random_calls_match_a_model(void **state)
{
	enum { PAGES = 300, SIZE = 16 };
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *log = NULL;
	struct vmm_test_rng rng = vmm_test_rng();
	bool set[PAGES] = { false }, taken[PAGES] = { false };

	assert_int_equal(vmm_mem_dirty_new(PAGES * SIZE, SIZE, &d), 0);
	assert_int_equal(vmm_mem_dirty_new(PAGES * SIZE, SIZE, &log), 0);
	for (int i = 0; i < 3000; i++) {
		uint64_t off = vmm_test_below(&rng, PAGES * SIZE + 50);
		uint64_t len = vmm_test_below(&rng, vmm_test_below(&rng, 2) ? 40 : 3000);
		uint32_t op = vmm_test_below(&rng, 10);

		if (op < 6)
			vmm_mem_dirty_mark(d, off, len);
		else if (op < 9)
			vmm_mem_dirty_clear(d, off, len);
		else
			assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
		for (uint64_t p = 0; p < PAGES; p++) {
			bool in =
			    len > 0 && p >= off / SIZE && p <= (off + len - 1) / SIZE;

			if (op < 9 && in)
				set[p] = op < 6;
			if (op == 9) {
				taken[p] |= set[p];
				set[p] = false;
			}
			assert_true(vmm_mem_dirty_is_set(d, p * SIZE) == set[p]);
			assert_true(vmm_mem_dirty_is_set(log, p * SIZE) == taken[p]);
		}
	}
}

/* One region of four pages, tracked in pages of 1 KiB, and one that is not. */
static struct vmm_mem *tracked(struct vmm_mem_dirty **out)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem_builder *builder = NULL;
	struct vmm_mem *mem = NULL;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.gpa = 0x10000;
	r.len = 4 * PAGE;
	r.dirty_page_size = 1024;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	r.gpa = 0x14000;
	r.dirty_page_size = 0;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	vmm_mem_builder_free(builder);
	assert_int_equal(vmm_mem_get_region(mem, 0, &r), 0);
	assert_int_equal(r.dirty_page_size, 1024);
	*out = r.dirty;
	assert_int_equal(vmm_mem_get_region(mem, 1, &r), 0);
	assert_null(r.dirty);
	return mem;
}

#define MARKS(call, want)                        \
	do {                                     \
		vmm_mem_dirty_reset(d);          \
		assert_int_equal((call), 0);     \
		assert_int_equal(bits(d), want); \
	} while (0)

static void every_way_of_writing_marks_what_it_wrote(void **state)
{
	struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = tracked(&d);
	uint8_t buf[3000] = { 1 };
	struct vmm_mem_cursor c;
	struct vmm_mem_slice s, part;
	uint64_t n;

	MARKS(vmm_mem_write(mem, 0x10000, buf, 1), 1);
	MARKS(vmm_mem_write(mem, 0x103ff, buf, 2), 3);
	MARKS(vmm_mem_write(mem, 0x10400, buf, 2049), 0xe);
	MARKS(vmm_mem_write(mem, 0x13ff0, buf, 64), 0x8000);
	MARKS(vmm_mem_fill(mem, 0x13c00, 1, 0x1000), 0x8000);
	MARKS(vmm_mem_fill(mem, 0x14000, 1, 0x1000), 0);
	MARKS(vmm_mem_copy(mem, 0x10800, 0x14000, 1024), 4);
	MARKS(vmm_mem_copy(mem, 0x14000, 0x10800, 1024), 0);
	MARKS(vmm_mem_write_u8(mem, 0x10400, 1), 2);
	MARKS(vmm_mem_write_u16(mem, 0x107ff, 1), 6);
	MARKS(vmm_mem_write_u32(mem, 0x107fc, 1), 2);
	MARKS(vmm_mem_write_u64(mem, 0x13ffc, 1), 0x8000);
	MARKS(vmm_mem_write_le64(mem, 0x107fc, 1), 6);
	MARKS(vmm_mem_store_u8(mem, 0x10400, 1, 0), 2);
	MARKS(vmm_mem_store_u64(mem, 0x10400, 1, VMM_MEM_RELEASE), 2);
	MARKS((int)vmm_mem_write_some(mem, 0x17ffc, buf, 8) - 4, 0);
	MARKS((int)vmm_mem_fill_some(mem, 0x13fff, 0, 1) - 1, 0x8000);

	vmm_mem_cursor_init(&c, mem);
	for (int warm = 0; warm < 2; warm++) {
		MARKS(vmm_mem_cursor_write(&c, 0x10400, buf, 9), 2);
		MARKS(vmm_mem_cursor_write_u8(&c, 0x10400, 1), 2);
		MARKS(vmm_mem_cursor_write_le16(&c, 0x10800, 1), 4);
		MARKS(vmm_mem_cursor_write_le32(&c, 0x10800, 1), 4);
		MARKS(vmm_mem_cursor_write_le64(&c, 0x10bfc, 1), 0xc);
		MARKS(vmm_mem_cursor_store_u8(&c, 0x10400, 1, 0), 2);
		MARKS(vmm_mem_cursor_store_le16(&c, 0x10400, 1, 0), 2);
		MARKS(vmm_mem_cursor_store_le32(&c, 0x10400, 1, 0), 2);
		MARKS(vmm_mem_cursor_store_le64(&c, 0x10400, 1, 0), 2);
	}
	assert_int_equal(vmm_mem_get_slice(mem, 0x10200, 0x1000, VMM_MEM_ACCESS_RW, &s),
			 0);
	MARKS(vmm_mem_slice_write(&s, 0x1ff, buf, 2), 3);
	MARKS(vmm_mem_slice_fill(&s, 0x200, 0, 1), 2);
	MARKS(vmm_mem_slice_store(&s, 4, 0x200 / 4, 1, 0), 2);
	assert_int_equal(vmm_mem_slice_sub(&s, 0x600, 4, &part), 0);
	MARKS(vmm_mem_slice_copy(&part, &s, &n), 4);
	assert_int_equal(vmm_mem_slice_split(&s, 0xa00, &s, &part), 0);
	MARKS(vmm_mem_slice_write(&part, 0, buf, 1), 8);
	MARKS((vmm_mem_mark_dirty(mem, 0x13ffc, 100), 0), 0x8000);
	MARKS((vmm_mem_mark_dirty(mem, 0x13ffc, 0), 0), 0);
	MARKS((vmm_mem_mark_dirty(mem, 0, 100), 0), 0);
	MARKS(vmm_mem_discard(mem, 0x11000, PAGE), 0xf0);
	/* What reads, or fails, marks nothing. */
	MARKS(vmm_mem_read(mem, 0x10000, buf, 2000), 0);
	MARKS(vmm_mem_write(mem, 0x17ff8, buf, 9) + EFAULT, 0);
}

static void one_bitmap_tracks_a_whole_address_space(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *more = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_dirty_new(16 * PAGE, PAGE, &d), 0);
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	vmm_mem_builder_set_dirty(builder, d);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	r.gpa = 3 * PAGE;
	r.len = 2 * PAGE;
	r.dirty_page_size = 4096;
	assert_int_equal(vmm_mem_with(mem, &r, &more, NULL), 0);
	vmm_mem_free(mem);
	r.gpa = 15 * PAGE;
	assert_int_equal(vmm_mem_with(more, &r, &mem, NULL), 0);
	assert_int_equal(vmm_mem_write_u8(mem, 4 * PAGE, 1), 0);
	/* The second page of that region lies beyond the bitmap. */
	assert_int_equal(vmm_mem_write_u8(mem, 16 * PAGE, 1), 0);
	assert_int_equal(vmm_mem_write_u64(mem, 16 * PAGE - 4, 1), 0);
	assert_int_equal(bits(d), 1 << 4 | 1 << 15);
	assert_int_equal(vmm_mem_get_region(mem, 0, &r), 0);
	assert_ptr_equal(r.dirty, d);
}

/* MEM-B4: marking does no locked operation where nothing changes; seen from outside:
 * whole words at once, interior and edges. */
static void mem_b4_marking_works_by_words(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;

	assert_int_equal(vmm_mem_dirty_new(256 * PAGE, PAGE, &d), 0);
	vmm_mem_dirty_mark(d, 10 * PAGE, 200 * PAGE);
	assert_true(d->words[0] == UINT64_MAX << 10);
	assert_true(d->words[1] == UINT64_MAX && d->words[2] == UINT64_MAX);
	assert_true(d->words[3] == UINT64_MAX >> (256 - 210));
	vmm_mem_dirty_mark(d, 0, 256 * PAGE);
	for (int i = 0; i < 4; i++)
		assert_true(d->words[i] == UINT64_MAX);
}

struct race {
	struct vmm_mem *mem;
	uint32_t stop;
	uint64_t wrote;
};

static void *keep_writing(void *p)
{
	struct race *r = p;
	uint64_t i = 0;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		i++;
		if (vmm_mem_store_u64(r->mem, 0x10000 + i % 512 * 8, i, VMM_MEM_RELAXED) <
		    0)
			break;
		__atomic_store_n(&r->wrote, i, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Copies what each harvest names; in the end the copy must be the original. A write
 * whose page no harvest names would be missing. */
static void no_write_is_lost_between_harvests(void **state)
{
	struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = tracked(&d);
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *log = NULL;
	static uint64_t copy[2048], now;
	struct race r = { .mem = mem };
	pthread_t thread;

	assert_int_equal(vmm_mem_dirty_copy(d, &log), 0);
	memset(copy, 0, sizeof(copy));
	assert_int_equal(pthread_create(&thread, NULL, keep_writing, &r), 0);
	while (__atomic_load_n(&r.wrote, __ATOMIC_RELAXED) == 0)
		;
	for (int i = 0; i <= 3000; i++) {
		uint64_t pos = 0, off, len;

		if (i == 3000) {
			__atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
			assert_int_equal(pthread_join(thread, NULL), 0);
		}
		assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
		while (vmm_mem_dirty_next(log, &pos, &off, &len)) {
			for (uint64_t at = off; at < off + len; at += 8)
				assert_int_equal(vmm_mem_load_u64(mem, 0x10000 + at,
								  VMM_MEM_RELAXED,
								  &copy[at / 8]),
						 0);
		}
		vmm_mem_dirty_reset(log);
	}
	for (uint64_t i = 0; i < 512; i++) {
		assert_int_equal(vmm_mem_read_u64(mem, 0x10000 + i * 8, &now), 0);
		assert_true(now == copy[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_marked_by_range_and_told),
		cmocka_unit_test(a_bitmap_without_pages_takes_everything_calmly),
		cmocka_unit_test(enlarging_keeps_the_old_and_adds_clean_pages),
		cmocka_unit_test(harvest_moves_pages_and_yields_runs),
		cmocka_unit_test(a_run_may_end_at_the_last_address),
		cmocka_unit_test(the_log_of_the_kernel_is_merged),
		cmocka_unit_test(random_calls_match_a_model),
		cmocka_unit_test(every_way_of_writing_marks_what_it_wrote),
		cmocka_unit_test(one_bitmap_tracks_a_whole_address_space),
		cmocka_unit_test(mem_b4_marking_works_by_words),
		cmocka_unit_test(no_write_is_lost_between_harvests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

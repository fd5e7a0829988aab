/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

_Static_assert(sizeof(struct vmm_bus_ops) == 24, "part of the ABI");
_Static_assert(sizeof(struct vmm_bus_range) == 72, "part of the ABI");
_Static_assert(sizeof(struct vmm_bus_hint) == 40, "part of the ABI");
_Static_assert(sizeof(struct vmm_bus_info) == 64, "part of the ABI");

static const uint64_t both[] = { UINT16_MAX, UINT64_MAX };

static void an_access_reaches_the_device_with_its_offset(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(both); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(both[i]);
		struct test_device d = { 0 };
		uint32_t value = 0x11223344;

		assert_int_equal(vmm_bus_add(bus, 0x3f8, 8, &test_device_ops, &d), 0);
		assert_true(vmm_bus_write(bus, 0x3fc, &value, 4));
		assert_int_equal(d.offset, 4);
		assert_int_equal(d.len, 4);
		assert_memory_equal(d.data, &value, 4);
		assert_true(vmm_bus_read(bus, 0x3fa, &value, 2));
		assert_int_equal(value, 0x11221312);
		assert_int_equal(d.reads, 1);
		assert_int_equal(d.writes, 1);
	}
}

/* DEV-B4: what nobody fills must not show the caller's old bytes to the guest. */
static void dev_b4_a_read_that_nobody_answers_is_all_ones(void **state)
{
	static const struct vmm_bus_ops silent = VMM_BUS_OPS_INIT;

	for (size_t i = 0; i < VMM_ARRAY_LEN(both); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(both[i]);
		uint64_t value = 0;
		uint8_t odd[17] = { 0 };

		assert_false(vmm_bus_read(bus, 0, &value, 8));
		assert_true(value == UINT64_MAX);
		assert_int_equal(vmm_bus_add(bus, 16, 16, &silent, NULL), 0);
		value = 0;
		assert_true(vmm_bus_read(bus, 16, &value, 4));
		assert_true(value == UINT32_MAX);
		assert_true(vmm_bus_write(bus, 16, &value, 4));
		assert_false(vmm_bus_write(bus, 15, &value, 1));
		assert_false(vmm_bus_read(bus, 32, odd, 16));
		for (int b = 0; b < 17; b++)
			assert_int_equal(odd[b], b < 16 ? 0xff : 0);
		assert_false(vmm_bus_read(bus, UINT64_MAX, odd, 16));
	}
}

/* Only part of the data filled by the device: the rest reads as ones. */
static void fill_first_byte(void *ctx, uint64_t offset, void *data, size_t len)
{
	*(uint8_t *)data = 0x5a;
}

static void what_a_device_leaves_alone_reads_as_ones(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;
	uint32_t value = 0;

	ops.read = fill_first_byte;
	assert_int_equal(vmm_bus_add(bus, 0, 4, &ops, NULL), 0);
	assert_true(vmm_bus_read(bus, 0, &value, 4));
	assert_int_equal(value, 0xffffff5a);
}

/* test_bus_range of the reference: which ranges a bus can have at all. DEV-B1: size 0
 * is an error, not an abort. */
static void dev_b1_a_range_that_is_empty_or_wraps_is_an_error(void **state)
{
	static const struct {
		uint64_t bus_last, base, len;
		int want;
	} cases[] = {
		{ UINT64_MAX, 0, 0, -EINVAL },
		{ UINT64_MAX, 100, 0, -EINVAL },
		{ UINT64_MAX, UINT64_MAX, 0, -EINVAL },
		{ UINT64_MAX, 0, UINT64_MAX, 0 },
		{ UINT64_MAX, 1, UINT64_MAX, 0 },
		{ UINT64_MAX, 2, UINT64_MAX, -EINVAL },
		{ UINT64_MAX, UINT64_MAX, 1, 0 },
		{ UINT64_MAX, UINT64_MAX, 2, -EINVAL },
		{ UINT16_MAX, 0, 0, -EINVAL },
		{ UINT16_MAX, 0, 0x10000, 0 },
		{ UINT16_MAX, 0, 0x10001, -EINVAL },
		{ UINT16_MAX, 1, 0xffff, 0 },
		{ UINT16_MAX, 2, 0xffff, -EINVAL },
		{ UINT16_MAX, 0xffff, 1, 0 },
		{ UINT16_MAX, 0x10000, 1, -EINVAL },
		{ 0, 0, 1, 0 },
		{ 0, 0, 2, -EINVAL },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_bus_free)
		struct vmm_bus *bus = test_bus(cases[i].bus_last);
		struct test_device d = { 0 };
		uint64_t last = cases[i].base + cases[i].len - 1;
		uint8_t byte;

		assert_int_equal(
		    vmm_bus_add(bus, cases[i].base, cases[i].len, &test_device_ops, &d),
		    cases[i].want);
		assert_int_equal(vmm_bus_get_count(bus), cases[i].want == 0);
		if (cases[i].want != 0)
			continue;
		assert_true(vmm_bus_read(bus, cases[i].base, &byte, 1));
		assert_int_equal(d.offset, 0);
		assert_true(vmm_bus_read(bus, last, &byte, 1));
		assert_true(d.offset == cases[i].len - 1);
		assert_true(cases[i].base == 0 ||
			    !vmm_bus_read(bus, cases[i].base - 1, &byte, 1));
		assert_true(last == UINT64_MAX || !vmm_bus_read(bus, last + 1, &byte, 1));
	}
}

static void ranges_may_touch_but_not_overlap(void **state)
{
	static const struct {
		uint64_t base, len;
		bool overlaps;
	} cases[] = {
		{ 0, 10, false }, { 0, 11, true },  { 5, 5, false },  { 5, 6, true },
		{ 19, 1, true },  { 20, 1, false }, { 10, 10, true }, { 12, 3, true },
		{ 9, 12, true },  { 0, 100, true }, { 10, 1, true },  { 18, 10, true },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
		struct test_device a = { 0 }, b = { 0 };

		assert_int_equal(vmm_bus_add(bus, 10, 10, &test_device_ops, &a), 0);
		assert_int_equal(
		    vmm_bus_add(bus, cases[i].base, cases[i].len, &test_device_ops, &b),
		    cases[i].overlaps ? -EEXIST : 0);
		assert_int_equal(vmm_bus_get_count(bus), cases[i].overlaps ? 1 : 2);
	}
}

/* test_bus of the reference. */
static void every_address_of_a_range_and_no_other_resolves(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct test_device d = { 0 };
	struct vmm_bus_info info;

	assert_int_equal(vmm_bus_add(bus, 10, 10, &test_device_ops, &d), 0);
	for (uint64_t addr = 0; addr < 40; addr++) {
		bool in = addr >= 10 && addr < 20;

		assert_int_equal(vmm_bus_find(bus, addr, &info), in ? 0 : -ENOENT);
		for (uint64_t len = 1; len < 40; len++)
			assert_int_equal(vmm_bus_check(bus, addr, len),
					 in && addr + len <= 20 ? 0 : -ENOENT);
	}
	assert_int_equal(vmm_bus_find(bus, 15, &info), 0);
	assert_int_equal(info.base, 10);
	assert_int_equal(info.last, 19);
	assert_ptr_equal(info.ctx, &d);
	assert_ptr_equal(info.owner, &d);
	assert_int_equal(info.widths, VMM_BUS_WIDTH_ANY);
}

static void check_knows_the_edges_of_the_bus(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *ports = test_bus(UINT16_MAX);
	struct test_device d = { 0 };

	assert_int_equal(vmm_bus_add(ports, 0xfff0, 16, &test_device_ops, &d), 0);
	assert_int_equal(vmm_bus_check(ports, 0xfff0, 16), 0);
	assert_int_equal(vmm_bus_check(ports, 0xfff0, 17), -EINVAL);
	assert_int_equal(vmm_bus_check(ports, 0xfff0, UINT64_MAX), -EINVAL);
	assert_int_equal(vmm_bus_check(ports, 0xfff0, 0), -EINVAL);
	assert_int_equal(vmm_bus_check(ports, 0x10000, 1), -EINVAL);
	assert_int_equal(vmm_bus_check(ports, 0xffef, 2), -ENOENT);
}

/* Two adjacent ranges of one device: an access over the seam is nobody's. */
static void an_access_over_the_end_of_a_range_is_refused(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(both); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(both[i]);
		struct test_device d = { 0 };
		struct vmm_bus_totals totals;
		uint32_t value = 0;

		assert_int_equal(vmm_bus_add(bus, 0, 4, &test_device_ops, &d), 0);
		assert_int_equal(vmm_bus_add(bus, 4, 4, &test_device_ops, &d), 0);
		assert_int_equal(vmm_bus_check(bus, 2, 4), -ENOENT);
		assert_true(vmm_bus_read(bus, 2, &value, 4));
		assert_int_equal(value, UINT32_MAX);
		assert_true(vmm_bus_write(bus, 2, &value, 4));
		assert_int_equal(d.reads + d.writes, 0);
		assert_false(vmm_bus_write(bus, 8, &value, 4));
		vmm_bus_get_totals(bus, &totals);
		assert_int_equal(totals.refused, 2);
		assert_int_equal(totals.unclaimed, 1);
	}
}

static void an_odd_length_is_cut_into_aligned_pieces(void **state)
{
	static const struct {
		uint64_t addr;
		size_t len;
		uint64_t log[6];
	} cases[] = {
		{ 0, 3, { 0x02, 0x21 } },
		{ 1, 3, { 0x11, 0x22 } },
		{ 4, 6, { 0x44, 0x82 } },
		{ 3, 5, { 0x31, 0x44 } },
		{ 1, 7, { 0x11, 0x22, 0x44 } },
		{ 8, 16, { 0x88, 0x108 } },
		{ 0, 0, { 0 } },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
		struct test_device d = { 0 };
		uint8_t data[16];

		assert_int_equal(vmm_bus_add(bus, 0, 64, &test_device_ops, &d), 0);
		assert_true(vmm_bus_read(bus, cases[i].addr, data, cases[i].len));
		for (size_t b = 0; b < cases[i].len; b++)
			assert_int_equal(data[b], 0x10 + cases[i].addr + b);
		for (size_t n = 0; n < VMM_ARRAY_LEN(cases[i].log); n++)
			assert_int_equal(d.log[n], cases[i].log[n]);
	}
}

static void a_width_that_is_not_allowed_is_not_delivered(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_range range = VMM_BUS_RANGE_INIT;

	for (uint32_t widths = 1; widths <= VMM_BUS_WIDTH_ANY; widths++) {
		struct test_device d = { 0 };
		struct vmm_bus_info info;
		unsigned refused = 0, good = 0;

		range.base = 0x1000;
		range.len = 16;
		range.ops = &test_device_ops;
		range.ctx = &d;
		range.widths = widths;
		range.flags = VMM_BUS_COUNT;
		assert_int_equal(vmm_bus_add_ranges(bus, &range, 1, NULL), 0);
		for (size_t len = 1; len <= 8; len *= 2) {
			uint64_t value = 0;
			bool allowed = widths & len;

			assert_true(vmm_bus_read(bus, 0x1000, &value, len));
			assert_int_equal(value & 0xff, allowed ? 0x10 : 0xff);
			assert_true(vmm_bus_write(bus, 0x1000, &value, len));
			assert_int_equal(d.reads, good + allowed);
			good += allowed;
			refused += allowed ? 0 : 2;
		}
		assert_int_equal(vmm_bus_find(bus, 0x1000, &info), 0);
		assert_int_equal(info.reads, good);
		assert_int_equal(info.writes, good);
		assert_int_equal(info.refused, refused);
		assert_int_equal(info.widths, widths);
		assert_int_equal(vmm_bus_remove(bus, 0x1000, &d), 0);
	}
}

static void pieces_of_an_odd_length_obey_the_widths(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_range range = VMM_BUS_RANGE_INIT;
	struct test_device d = { 0 };
	uint8_t data[3] = { 0 };

	range.len = 16;
	range.ops = &test_device_ops;
	range.ctx = &d;
	range.widths = VMM_BUS_WIDTH_2;
	assert_int_equal(vmm_bus_add_ranges(bus, &range, 1, NULL), 0);
	assert_true(vmm_bus_read(bus, 1, data, 3));
	assert_int_equal(data[0], 0xff);
	assert_int_equal(data[1], 0x12);
	assert_int_equal(data[2], 0x13);
	assert_int_equal(d.reads, 1);
}

static void a_split_access_visits_each_adjacent_range(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct test_device d[4] = { 0 };
	struct vmm_bus_range ranges[4];
	uint8_t data[8] = { 0 };

	/* [0,4) and [4,5) and [5,8) split, [8,12) does not. */
	static const uint64_t bases[] = { 0, 4, 5, 8, 12 };

	for (int i = 0; i < 4; i++) {
		ranges[i] = (struct vmm_bus_range)VMM_BUS_RANGE_INIT;
		ranges[i].base = bases[i];
		ranges[i].len = bases[i + 1] - bases[i];
		ranges[i].ops = &test_device_ops;
		ranges[i].ctx = &d[i];
		ranges[i].flags = i < 3 ? VMM_BUS_SPLIT : 0;
	}
	assert_int_equal(vmm_bus_add_ranges(bus, ranges, 4, NULL), 0);
	assert_true(vmm_bus_read(bus, 2, data, 8));
	/* Two bytes of the first, one of the second, three of the third (1 at 5, 2 at 6),
	 * none of the fourth. */
	assert_memory_equal(data, "\x12\x13\x10\x10\x11\x12\xff\xff", 8);
	assert_int_equal(d[0].log[0], 0x22);
	assert_int_equal(d[1].log[0], 0x01);
	assert_int_equal(d[2].log[0], 0x01);
	assert_int_equal(d[2].log[1], 0x12);
	assert_int_equal(d[3].logged, 0);
	/* One that begins where there is no split is refused whole. */
	assert_true(vmm_bus_write(bus, 10, data, 4));
	assert_int_equal(d[3].logged, 0);
	/* One that runs into a hole keeps its first part. */
	assert_int_equal(vmm_bus_remove(bus, 4, &d[1]), 0);
	assert_true(vmm_bus_write(bus, 3, data, 2));
	assert_int_equal(d[0].writes, 1);
	assert_int_equal(d[0].log[1], 0x31);
}

static void a_split_access_ends_with_the_address_space(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_range ranges[2] = { VMM_BUS_RANGE_INIT, VMM_BUS_RANGE_INIT };
	struct test_device d[2] = { 0 };
	uint8_t data[4] = { 0 };

	for (int i = 0; i < 2; i++) {
		ranges[i].base = i ? UINT64_MAX - 1 : 0;
		ranges[i].len = 2;
		ranges[i].ops = &test_device_ops;
		ranges[i].ctx = &d[i];
		ranges[i].flags = VMM_BUS_SPLIT;
	}
	assert_int_equal(vmm_bus_add_ranges(bus, ranges, 2, NULL), 0);
	assert_true(vmm_bus_read(bus, UINT64_MAX - 1, data, 4));
	assert_memory_equal(data, "\x10\x11\xff\xff", 4);
	assert_int_equal(d[0].logged, 0);
}

static void a_short_ops_table_is_completed_and_a_long_one_refused(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct {
		struct vmm_bus_ops ops;
		uint64_t tail;
	} big = { .ops = test_device_ops };
	struct test_device d = { 0 };
	uint8_t byte = 0;

	big.ops.size = sizeof(big);
	assert_int_equal(vmm_bus_add(bus, 0, 4, &big.ops, &d), 0);
	big.tail = 1;
	assert_int_equal(vmm_bus_add(bus, 4, 4, &big.ops, &d), -E2BIG);
	big.ops.size = offsetof(struct vmm_bus_ops, write);
	assert_int_equal(vmm_bus_add(bus, 4, 4, &big.ops, &d), 0);
	assert_true(vmm_bus_write(bus, 4, &byte, 1));
	assert_int_equal(d.writes, 0);
	big.ops.size = 4;
	assert_int_equal(vmm_bus_add(bus, 8, 4, &big.ops, &d), -EINVAL);
	assert_int_equal(vmm_bus_get_count(bus), 2);
}

static void a_device_without_ops_reads_as_ones(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_range range = VMM_BUS_RANGE_INIT;
	uint8_t byte = 0;

	range.len = 1;
	assert_int_equal(vmm_bus_add_ranges(bus, &range, 1, NULL), 0);
	assert_true(vmm_bus_read(bus, 0, &byte, 1));
	assert_int_equal(byte, 0xff);
	assert_true(vmm_bus_write(bus, 0, &byte, 1));
}

static void a_reader_dispatches_like_the_bus(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(both); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(both[i]);
		struct vmm_bus_reader *reader = NULL, *again = NULL;
		struct test_device d = { 0 };
		struct vmm_bus_totals totals;
		uint16_t value = 0;

		assert_int_equal(vmm_bus_reader_new(bus, &reader), 0);
		assert_int_equal(vmm_bus_add(bus, 0x60, 5, &test_device_ops, &d), 0);
		assert_true(vmm_bus_reader_read(reader, 0x62, &value, 2));
		assert_int_equal(value, 0x1312);
		assert_true(vmm_bus_reader_write(reader, 0x60, &value, 1));
		assert_int_equal(d.writes, 1);
		assert_false(vmm_bus_reader_read(reader, 0x65, &value, 2));
		assert_int_equal(value, 0xffff);
		vmm_bus_get_totals(bus, &totals);
		assert_int_equal(totals.unclaimed, 1);
		vmm_bus_reader_free(reader);
		vmm_bus_reader_free(NULL);
		assert_int_equal(vmm_bus_reader_new(bus, &again), 0);
		assert_ptr_equal(reader, again);
	}
}

static void an_empty_bus_has_no_address(void **state)
{
	static const uint64_t addrs[] = { 0, 1, 2, UINT16_MAX, UINT64_MAX };

	for (size_t i = 0; i < VMM_ARRAY_LEN(both); i++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(both[i]);
		struct vmm_bus_info info;
		uint8_t byte;

		for (size_t a = 0; a < VMM_ARRAY_LEN(addrs); a++)
			assert_false(vmm_bus_read(bus, addrs[a], &byte, 1));
		assert_int_equal(vmm_bus_next(bus, 0, &info), -ENOENT);
		assert_int_equal(vmm_bus_check(bus, 1, 1), -ENOENT);
	}
}

static void free_takes_null(void **state)
{
	vmm_bus_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_access_reaches_the_device_with_its_offset),
		cmocka_unit_test(dev_b4_a_read_that_nobody_answers_is_all_ones),
		cmocka_unit_test(what_a_device_leaves_alone_reads_as_ones),
		cmocka_unit_test(dev_b1_a_range_that_is_empty_or_wraps_is_an_error),
		cmocka_unit_test(ranges_may_touch_but_not_overlap),
		cmocka_unit_test(every_address_of_a_range_and_no_other_resolves),
		cmocka_unit_test(check_knows_the_edges_of_the_bus),
		cmocka_unit_test(an_access_over_the_end_of_a_range_is_refused),
		cmocka_unit_test(an_odd_length_is_cut_into_aligned_pieces),
		cmocka_unit_test(a_width_that_is_not_allowed_is_not_delivered),
		cmocka_unit_test(pieces_of_an_odd_length_obey_the_widths),
		cmocka_unit_test(a_split_access_visits_each_adjacent_range),
		cmocka_unit_test(a_split_access_ends_with_the_address_space),
		cmocka_unit_test(a_short_ops_table_is_completed_and_a_long_one_refused),
		cmocka_unit_test(a_device_without_ops_reads_as_ones),
		cmocka_unit_test(a_reader_dispatches_like_the_bus),
		cmocka_unit_test(an_empty_bus_has_no_address),
		cmocka_unit_test(free_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

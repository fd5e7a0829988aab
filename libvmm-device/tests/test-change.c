/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

#include "internal.h"

#define BUS VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus

static struct vmm_bus_range range(uint64_t base, uint64_t len, struct test_device *d)
{
	struct vmm_bus_range r = VMM_BUS_RANGE_INIT;

	r.base = base;
	r.len = len;
	r.ops = &test_device_ops;
	r.ctx = d;
	return r;
}

/* Which device answers; NULL for nobody. */
static void *who(struct vmm_bus *bus, uint64_t addr)
{
	struct vmm_bus_info info;

	return vmm_bus_find(bus, addr, &info) == 0 ? info.ctx : NULL;
}

/* DEV-B2: a batch that overlaps at its end left its beginning registered. */
static void dev_b2_a_batch_is_registered_whole_or_not_at_all(void **state)
{
	BUS = test_bus(UINT64_MAX);
	struct test_device a = { 0 }, b = { 0 };
	struct vmm_bus_range batch[3];
	struct vmm_error err;

	assert_int_equal(vmm_bus_add(bus, 0x100, 0x10, &test_device_ops, &a), 0);
	batch[0] = range(0x300, 0x10, &b);
	batch[1] = range(0x200, 0x10, &b);
	batch[2] = range(0x10f, 1, &b);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 3, &err), -EEXIST);
	assert_int_equal(err.code, -EEXIST);
	assert_int_equal(err.where, 0x10f);
	assert_int_equal(vmm_bus_get_count(bus), 1);
	assert_null(who(bus, 0x300));
	/* Overlap inside the batch. */
	batch[2] = range(0x208, 0x100, &b);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 3, NULL), -EEXIST);
	batch[2] = range(0x110, 0, &b);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 3, NULL), -EINVAL);
	assert_int_equal(vmm_bus_get_count(bus), 1);
	batch[2] = range(0x110, 1, &b);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 3, NULL), 0);
	assert_int_equal(vmm_bus_get_count(bus), 4);
	assert_ptr_equal(who(bus, 0x110), &b);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 0, NULL), 0);
}

static void a_malformed_range_is_refused(void **state)
{
	static const struct vmm_bus_hint hint = {
		VMM_BUS_HINT_DOORBELL, 0, 0, 4, 0, 3, 0
	};
	struct {
		struct vmm_bus_range r;
		uint64_t tail;
	} big = { .tail = 1 };
	BUS = test_bus(UINT16_MAX);

	for (int i = 0; i < 7; i++) {
		static const int want[] = { -EINVAL, -EINVAL, -EINVAL, -EINVAL,
					    -E2BIG,  -EINVAL, -EINVAL };
		struct vmm_bus_range batch[2] = { VMM_BUS_RANGE_INIT,
						  VMM_BUS_RANGE_INIT };

		batch[0].len = 16;
		batch[1].base = 16;
		batch[1].len = 16;
		switch (i) {
		case 0:
			batch[1].widths = 16;
			break;
		case 1:
			batch[1].flags = 4;
			break;
		case 2:
			batch[1].len = 0x10000;
			break;
		case 3:
			batch[1].hint_count = 1;
			break;
		case 4:
			batch[1].hints = &hint;
			batch[1].hint_count = VMM_BUS_HINTS_MAX + 1;
			break;
		case 5:
			batch[1].size = offsetof(struct vmm_bus_range, hints);
			break;
		default:
			batch[0].size = 4;
			break;
		}
		assert_int_equal(vmm_bus_add_ranges(bus, batch, 2, NULL), want[i]);
		assert_int_equal(vmm_bus_get_count(bus), 0);
	}
	big.r = range(0, 1, NULL);
	big.r.size = sizeof(big);
	assert_int_equal(vmm_bus_add_ranges(bus, &big.r, 1, NULL), -E2BIG);
	big.r.size = offsetof(struct vmm_bus_range, hints);
	assert_int_equal(vmm_bus_add_ranges(bus, &big.r, 1, NULL), 0);
}

/* DEV-B3: only the owner removes. Removing takes any number of ranges of one owner. */
static void dev_b3_only_the_owner_removes_a_range(void **state)
{
	for (int i = 0; i < 2; i++) {
		BUS = test_bus(i ? UINT64_MAX : UINT16_MAX);
		struct test_device a = { 0 }, b = { 0 };
		struct vmm_bus_range r = range(0x40, 4, &a);
		size_t count = 99;

		r.owner = &b;
		assert_int_equal(vmm_bus_add_ranges(bus, &r, 1, NULL), 0);
		assert_int_equal(vmm_bus_add(bus, 0x20, 4, &test_device_ops, &a), 0);
		assert_int_equal(vmm_bus_add(bus, 0x60, 4, &test_device_ops, &a), 0);
		assert_int_equal(vmm_bus_remove(bus, 0x40, &a), -EBUSY);
		assert_int_equal(vmm_bus_remove(bus, 0x41, &b), -ENOENT);
		assert_int_equal(vmm_bus_remove(bus, 0x90, &b), -ENOENT);
		assert_int_equal(vmm_bus_remove(bus, 0x40, &b), 0);
		assert_int_equal(vmm_bus_remove(bus, 0x40, &b), -ENOENT);
		assert_int_equal(vmm_bus_remove_owner(bus, &b, &count), -ENOENT);
		assert_int_equal(count, 99);
		assert_int_equal(vmm_bus_remove_owner(bus, &a, &count), 0);
		assert_int_equal(count, 2);
		assert_int_equal(vmm_bus_get_count(bus), 0);
		assert_null(who(bus, 0x20));
	}
}

static void a_range_moves_with_its_counters(void **state)
{
	for (int i = 0; i < 2; i++) {
		BUS = test_bus(i ? UINT64_MAX : UINT16_MAX);
		struct test_device a = { 0 }, b = { 0 };
		struct vmm_bus_range r = range(0x1000, 0x100, &a);
		struct vmm_bus_info info;
		uint8_t byte;

		r.flags = VMM_BUS_COUNT;
		assert_int_equal(vmm_bus_add_ranges(bus, &r, 1, NULL), 0);
		assert_int_equal(vmm_bus_add(bus, 0x2000, 0x100, &test_device_ops, &b),
				 0);
		assert_true(vmm_bus_read(bus, 0x1001, &byte, 1));
		assert_int_equal(vmm_bus_move(bus, 0x1000, 0x1f01, &a), -EEXIST);
		assert_int_equal(vmm_bus_move(bus, 0x1000, 0x20ff, &a), -EEXIST);
		assert_int_equal(vmm_bus_move(bus, 0x1000, 0x3000, &b), -EBUSY);
		assert_int_equal(vmm_bus_move(bus, 0x1001, 0x3000, &a), -ENOENT);
		assert_int_equal(
		    vmm_bus_move(bus, 0x1000, (i ? UINT64_MAX : UINT16_MAX) - 0xfe, &a),
		    -EINVAL);
		assert_int_equal(vmm_bus_move(bus, 0x1000, UINT64_MAX, &a), -EINVAL);
		assert_ptr_equal(who(bus, 0x1000), &a);
		/* Over its own old place, then away, then to the last addresses. */
		assert_int_equal(vmm_bus_move(bus, 0x1000, 0x1080, &a), 0);
		assert_null(who(bus, 0x107f));
		assert_ptr_equal(who(bus, 0x117f), &a);
		assert_int_equal(vmm_bus_move(bus, 0x1080, 0x1f00, &a), 0);
		assert_int_equal(
		    vmm_bus_move(bus, 0x1f00, (i ? UINT64_MAX : UINT16_MAX) - 0xff, &a),
		    0);
		assert_true(vmm_bus_read(bus, i ? UINT64_MAX : UINT16_MAX, &byte, 1));
		assert_int_equal(a.offset, 0xff);
		assert_int_equal(vmm_bus_next(bus, 0x3000, &info), 0);
		assert_int_equal(info.reads, 2);
		assert_false(vmm_bus_read(bus, 0x1f00, &byte, 1));
	}
}

static void ranges_change_places_in_one_step(void **state)
{
	BUS = test_bus(UINT64_MAX);
	struct vmm_bus_move swap[] = { { 0x1000, 0x2000 }, { 0x2000, 0x1000 } };
	struct vmm_bus_move clash[] = { { 0x1000, 0x5000 }, { 0x2000, 0x5004 } };
	struct vmm_bus_move twice[] = { { 0x1000, 0x5000 }, { 0x1000, 0x6000 } };
	struct vmm_bus_move behind[] = { { 0x2000, 0x5000 }, { 0x1000, UINT64_MAX } };
	struct test_device a = { 0 }, b = { 0 };
	struct vmm_bus_range batch[2] = { range(0x1000, 8, &a), range(0x2000, 8, &b) };
	struct vmm_error err;

	batch[0].owner = bus;
	batch[1].owner = bus;
	assert_int_equal(vmm_bus_add_ranges(bus, batch, 2, NULL), 0);
	assert_int_equal(vmm_bus_move_ranges(bus, clash, 2, bus, &err), -EEXIST);
	assert_int_equal(err.where, 0x5004);
	assert_int_equal(vmm_bus_move_ranges(bus, twice, 2, bus, NULL), -EINVAL);
	assert_int_equal(vmm_bus_move_ranges(bus, behind, 2, bus, NULL), -EINVAL);
	assert_int_equal(vmm_bus_move_ranges(bus, swap, 2, &a, NULL), -EBUSY);
	assert_int_equal(
	    vmm_bus_move_ranges(bus, swap, VMM_BUS_RANGES_MAX + 1, bus, NULL), -EINVAL);
	assert_ptr_equal(who(bus, 0x1000), &a);
	assert_ptr_equal(who(bus, 0x2007), &b);
	assert_int_equal(vmm_bus_move_ranges(bus, swap, 2, bus, NULL), 0);
	assert_ptr_equal(who(bus, 0x1000), &b);
	assert_ptr_equal(who(bus, 0x2007), &a);
	assert_int_equal(vmm_bus_move_ranges(bus, swap, 0, bus, NULL), 0);
}

/* What a listener heard: 'a' or 'r', address, fd. */
struct heard {
	unsigned count;
	struct {
		char what;
		uint64_t addr;
		int fd;
	} log[16];
};

static void hear(struct heard *h, char what, const struct vmm_bus_hint *hint)
{
	assert_true(h->count < VMM_ARRAY_LEN(h->log));
	h->log[h->count].what = what;
	h->log[h->count].addr = hint->addr;
	h->log[h->count++].fd = hint->fd;
}

static void hint_added(void *ctx, const struct vmm_bus_hint *hint)
{
	hear(ctx, 'a', hint);
}

static void hint_removed(void *ctx, const struct vmm_bus_hint *hint)
{
	hear(ctx, 'r', hint);
}

static void expect(struct heard *h, unsigned at, char what, uint64_t addr, int fd)
{
	assert_true(at < h->count);
	assert_int_equal(h->log[at].what, what);
	assert_int_equal(h->log[at].addr, addr);
	assert_int_equal(h->log[at].fd, fd);
}

static void hints_follow_their_range(void **state)
{
	static const struct vmm_bus_listener listener = { sizeof(listener), hint_added,
							  hint_removed };
	static const struct vmm_bus_hint hints[] = {
		{ VMM_BUS_HINT_DOORBELL, VMM_BUS_HINT_MATCH, 0x50, 4, 1, 7, 0 },
		{ VMM_BUS_HINT_COALESCE, 0, 0, 0x20, 0, -1, 0 },
	};
	BUS = test_bus(UINT64_MAX);
	struct test_device d = { 0 };
	struct vmm_bus_range r = range(0x1000, 0x100, &d);
	struct heard h = { 0 }, late = { 0 };

	r.hints = hints;
	r.hint_count = 2;
	assert_int_equal(vmm_bus_set_listener(bus, &listener, &h), 0);
	assert_int_equal(vmm_bus_add_ranges(bus, &r, 1, NULL), 0);
	assert_int_equal(h.count, 2);
	expect(&h, 0, 'a', 0x1050, 7);
	expect(&h, 1, 'a', 0x1000, -1);
	assert_int_equal(vmm_bus_move(bus, 0x1000, 0x1040, &d), 0);
	assert_int_equal(h.count, 6);
	expect(&h, 2, 'r', 0x1050, 7);
	expect(&h, 3, 'r', 0x1000, -1);
	expect(&h, 4, 'a', 0x1090, 7);
	expect(&h, 5, 'a', 0x1040, -1);
	/* A failed change says nothing. */
	assert_int_equal(vmm_bus_move(bus, 0x1040, UINT64_MAX, &d), -EINVAL);
	assert_int_equal(vmm_bus_set_hints(bus, 0x1040, &h, hints, 1), -EBUSY);
	assert_int_equal(vmm_bus_set_hints(bus, 0x1041, &d, hints, 1), -ENOENT);
	assert_int_equal(h.count, 6);
	assert_int_equal(vmm_bus_set_hints(bus, 0x1040, &d, hints, 1), 0);
	assert_int_equal(h.count, 9);
	expect(&h, 8, 'a', 0x1090, 7);
	/* A listener that comes late hears what is there. */
	assert_int_equal(vmm_bus_set_listener(bus, &listener, &late), 0);
	assert_int_equal(late.count, 1);
	expect(&late, 0, 'a', 0x1090, 7);
	assert_int_equal(vmm_bus_remove(bus, 0x1040, &d), 0);
	assert_int_equal(late.count, 2);
	expect(&late, 1, 'r', 0x1090, 7);
	assert_int_equal(h.count, 9);
	assert_int_equal(vmm_bus_set_listener(bus, NULL, NULL), 0);
}

static void a_malformed_hint_is_refused(void **state)
{
	enum {
		D = VMM_BUS_HINT_DOORBELL,
		C = VMM_BUS_HINT_COALESCE,
		M = VMM_BUS_HINT_MATCH
	};
	static const struct {
		struct vmm_bus_hint hint;
		int want;
	} cases[] = {
		{ { D, 0, 0, 4, 0, 3, 0 }, 0 },
		{ { D, 0, 0, 0, 0, 3, 0 }, 0 },
		{ { D, 0, 15, 1, 0, 3, 0 }, 0 },
		{ { D, 0, 15, 0, 0, 3, 0 }, 0 },
		{ { D, M, 8, 8, UINT64_MAX, 3, 0 }, 0 },
		{ { D, M, 0, 2, 0xffff, 3, 0 }, 0 },
		{ { C, 0, 0, 16, 0, -1, 0 }, 0 },
		{ { D, M, 0, 2, 0x10000, 3, 0 }, -EINVAL },
		{ { D, M, 0, 0, 0, 3, 0 }, -EINVAL },
		{ { D, 0, 0, 4, 1, 3, 0 }, -EINVAL },
		{ { D, 0, 0, 3, 0, 3, 0 }, -EINVAL },
		{ { D, 0, 0, 16, 0, 3, 0 }, -EINVAL },
		{ { D, 0, 0, 4, 0, -1, 0 }, -EINVAL },
		{ { D, 0, 13, 4, 0, 3, 0 }, -EINVAL },
		{ { D, 0, 16, 0, 0, 3, 0 }, -EINVAL },
		{ { D, 0, UINT64_MAX, 4, 0, 3, 0 }, -EINVAL },
		{ { D, 2, 0, 4, 0, 3, 0 }, -EINVAL },
		{ { D, 0, 0, 4, 0, 3, 1 }, -EINVAL },
		{ { C, 0, 0, 17, 0, -1, 0 }, -EINVAL },
		{ { C, 0, 0, 0, 0, -1, 0 }, -EINVAL },
		{ { C, 0, 0, 4, 0, 3, 0 }, -EINVAL },
		{ { C, M, 0, 4, 0, -1, 0 }, -EINVAL },
		{ { C, 0, 0, 4, 1, -1, 0 }, -EINVAL },
		{ { 3, 0, 0, 4, 0, 3, 0 }, -EINVAL },
		{ { 0, 0, 0, 4, 0, 3, 0 }, -EINVAL },
	};
	BUS = test_bus(UINT64_MAX);
	struct test_device d = { 0 };

	assert_int_equal(vmm_bus_add(bus, 0, 16, &test_device_ops, &d), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++)
		assert_int_equal(vmm_bus_set_hints(bus, 0, &d, &cases[i].hint, 1),
				 cases[i].want);
	assert_int_equal(vmm_bus_set_hints(bus, 0, &d, NULL, 0), 0);
}

static void a_listener_with_an_unknown_tail_is_refused(void **state)
{
	struct {
		struct vmm_bus_listener l;
		uint64_t tail;
	} big = { .l = VMM_BUS_LISTENER_INIT, .tail = 1 };
	BUS = test_bus(UINT64_MAX);

	big.l.size = sizeof(big);
	assert_int_equal(vmm_bus_set_listener(bus, &big.l, NULL), -E2BIG);
	big.tail = 0;
	assert_int_equal(vmm_bus_set_listener(bus, &big.l, NULL), 0);
}

/* A device that changes the map from inside its own callback, as a PCI host does. */
struct mover {
	struct vmm_bus *bus;
	struct vmm_bus_reader *reader;
	uint64_t base;
	unsigned moves;
};

static void move_me(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct mover *m = ctx;
	uint64_t to = m->base ^ 0x10000;
	unsigned retired = 0;
	uint8_t byte = 0;

	assert_int_equal(vmm_bus_move(m->bus, m->base, to, m), 0);
	m->base = to;
	m->moves++;
	/* A guest that does this for ever must not make us keep its maps. */
	for (struct bus_map *old = m->bus->retired; old; old = old->next_retired)
		retired++;
	assert_in_range(retired, 0, 3);
	/* Dispatch inside dispatch sees the new map. */
	if (m->reader)
		assert_true(vmm_bus_reader_read(m->reader, to, &byte, 1));
	else
		assert_true(vmm_bus_read(m->bus, to, &byte, 1));
}

static void a_callback_may_move_its_own_range(void **state)
{
	for (int with_reader = 0; with_reader < 2; with_reader++) {
		BUS = test_bus(UINT64_MAX);
		struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;
		struct mover m = { .bus = bus, .base = 0x100000 };
		uint8_t byte = 0;

		ops.write = move_me;
		if (with_reader)
			assert_int_equal(vmm_bus_reader_new(bus, &m.reader), 0);
		assert_int_equal(vmm_bus_add(bus, m.base, 0x1000, &ops, &m), 0);
		for (int i = 0; i < 1000; i++)
			assert_true(with_reader
					? vmm_bus_reader_write(m.reader, m.base, &byte, 1)
					: vmm_bus_write(bus, m.base, &byte, 1));
		assert_int_equal(m.moves, 1000);
		assert_int_equal(vmm_bus_synchronize(bus), 0);
	}
}

static void the_number_of_ranges_is_limited(void **state)
{
	BUS = test_bus(UINT16_MAX);
	struct vmm_bus_range *batch = calloc(VMM_BUS_RANGES_MAX + 1, sizeof(*batch));
	struct vmm_bus_info info;
	struct test_device d = { 0 };
	struct vmm_error err;

	assert_non_null(batch);
	for (uint32_t i = 0; i <= VMM_BUS_RANGES_MAX; i++)
		batch[i] = range(i, 1, &d);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, VMM_BUS_RANGES_MAX + 1, &err),
			 -E2BIG);
	assert_int_equal(vmm_bus_add_ranges(bus, batch, VMM_BUS_RANGES_MAX, &err), 0);
	assert_int_equal(vmm_bus_add(bus, 0xffff, 1, &test_device_ops, &d), -E2BIG);
	assert_int_equal(vmm_bus_find(bus, VMM_BUS_RANGES_MAX - 1, &info), 0);
	assert_int_equal(info.base, VMM_BUS_RANGES_MAX - 1);
	free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dev_b2_a_batch_is_registered_whole_or_not_at_all),
		cmocka_unit_test(a_malformed_range_is_refused),
		cmocka_unit_test(dev_b3_only_the_owner_removes_a_range),
		cmocka_unit_test(a_range_moves_with_its_counters),
		cmocka_unit_test(ranges_change_places_in_one_step),
		cmocka_unit_test(hints_follow_their_range),
		cmocka_unit_test(a_malformed_hint_is_refused),
		cmocka_unit_test(a_listener_with_an_unknown_tail_is_refused),
		cmocka_unit_test(a_callback_may_move_its_own_range),
		cmocka_unit_test(the_number_of_ranges_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

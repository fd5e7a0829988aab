/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

#include "internal.h"
#include <linux/membarrier.h>

#define VMM_FAIL_ALIGNED_ALLOC
#include "vmm-fail.h"

#define BUS VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus

/* How many calls of membarrier(2) work before it is refused; -1: all. */
static int barriers = -1;
/* The next barrier is refused as if this process had never registered. */
static bool lost;
static unsigned registrations;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long cmd, long flags, long cpu);

long __wrap_syscall(long number, long cmd, long flags, long cpu)
{
	if (cmd == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
		registrations++;
	if (barriers == 0 || (lost && cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
		lost = false;
		return -1;
	}
	if (barriers > 0)
		barriers--;
	return __real_syscall(number, cmd, flags, cpu);
}

/* Runs a change with the 1st, 2nd, ... allocation failing, until it works; each time the
 * bus must be as it was. Returns how often it failed. */
static unsigned fail_each(struct vmm_bus *bus, int (*change)(struct vmm_bus *bus))
{
	size_t count = vmm_bus_get_count(bus);
	struct vmm_bus_info before, after;
	unsigned n = 1;
	int ret;

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	(void)!vmm_bus_next(bus, 0, &before);
	for (;; n++) {
		vmm_fail_at(n);
		ret = change(bus);
		vmm_fail_at(0);
		if (ret == 0)
			return n - 1;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(vmm_bus_get_count(bus), count);
		(void)!vmm_bus_next(bus, 0, &after);
		assert_memory_equal(&before, &after, sizeof(before));
	}
}

static struct test_device dev;

static int add_two(struct vmm_bus *bus)
{
	static const struct vmm_bus_hint hint = {
		VMM_BUS_HINT_DOORBELL, 0, 0, 4, 0, 3, 0
	};
	struct vmm_bus_range batch[2] = { VMM_BUS_RANGE_INIT, VMM_BUS_RANGE_INIT };

	for (int i = 0; i < 2; i++) {
		batch[i].base = 0x100u * (unsigned)i;
		batch[i].len = 16;
		batch[i].ops = &test_device_ops;
		batch[i].ctx = &dev;
	}
	batch[1].hints = &hint;
	batch[1].hint_count = 1;
	return vmm_bus_add_ranges(bus, batch, 2, NULL);
}

static int move_one(struct vmm_bus *bus)
{
	return vmm_bus_move(bus, 0x100, 0x80, &dev);
}

static int set_hints(struct vmm_bus *bus)
{
	static const struct vmm_bus_hint hint = {
		VMM_BUS_HINT_DOORBELL, 0, 8, 1, 0, 3, 0
	};

	return vmm_bus_set_hints(bus, 0, &dev, &hint, 1);
}

static int remove_one(struct vmm_bus *bus)
{
	return vmm_bus_remove(bus, 0, &dev);
}

static int remove_all(struct vmm_bus *bus)
{
	return vmm_bus_remove_owner(bus, &dev, NULL);
}

static void every_change_survives_each_failed_allocation(void **state)
{
	BUS = test_bus(UINT64_MAX);

	/* List, two ranges, hints, map. */
	assert_int_equal(fail_each(bus, add_two), 5);
	assert_int_equal(fail_each(bus, move_one), 3);
	assert_int_equal(fail_each(bus, set_hints), 1);
	assert_int_equal(fail_each(bus, remove_one), 2);
	assert_int_equal(fail_each(bus, remove_all), 2);
	assert_int_equal(vmm_bus_get_count(bus), 0);
}

static void a_new_bus_and_a_new_reader_survive_them(void **state)
{
	struct vmm_bus_reader *reader = NULL;
	struct vmm_bus *bus = NULL;

	for (unsigned n = 1; n <= 2; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_bus_new(UINT16_MAX, &bus), -ENOMEM);
		assert_null(bus);
	}
	vmm_fail_at(0);
	assert_int_equal(vmm_bus_new(UINT16_MAX, &bus), 0);
	vmm_fail_at(1);
	assert_int_equal(vmm_bus_reader_new(bus, &reader), -ENOMEM);
	assert_null(reader);
	vmm_bus_free(bus);
}

static void readers_work_where_membarrier_does_not(void **state)
{
	struct vmm_bus_reader *reader = NULL;
	uint8_t byte = 0;

	barriers = 0;
	BUS = test_bus(UINT64_MAX);

	assert_false(bus->light);
	assert_int_equal(vmm_bus_reader_new(bus, &reader), 0);
	assert_int_equal(add_two(bus), 0);
	assert_true(vmm_bus_reader_read(reader, 0x104, &byte, 1));
	assert_int_equal(byte, 0x14);
	assert_int_equal(remove_all(bus), 0);
	assert_null(bus->retired);
	assert_int_equal(vmm_bus_synchronize(bus), 0);
	barriers = -1;
}

/* As in the child of a fork(): the registration is asked for again. */
static void a_lost_registration_is_renewed(void **state)
{
	BUS = test_bus(UINT64_MAX);

	assert_int_equal(add_two(bus), 0);
	registrations = 0;
	lost = true;
	assert_int_equal(vmm_bus_synchronize(bus), 0);
	assert_int_equal(registrations, 1);
	assert_true(bus->light);
	assert_null(bus->retired);
}

/* A filter that comes up after the bus was made: nothing is released on a guess. */
static void without_the_barrier_nothing_is_released(void **state)
{
	struct vmm_bus_reader *reader = NULL;
	uint8_t byte = 0;
	BUS = test_bus(UINT64_MAX);

	assert_int_equal(vmm_bus_reader_new(bus, &reader), 0);
	barriers = 0;
	assert_int_equal(add_two(bus), 0);
	assert_int_equal(remove_all(bus), 0);
	assert_int_equal(vmm_bus_synchronize(bus), -EOPNOTSUPP);
	assert_non_null(bus->retired);
	assert_false(vmm_bus_reader_read(reader, 0, &byte, 1));
	barriers = -1;
	assert_int_equal(vmm_bus_synchronize(bus), 0);
	assert_null(bus->retired);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_survives_each_failed_allocation),
		cmocka_unit_test(a_new_bus_and_a_new_reader_survive_them),
		cmocka_unit_test(readers_work_where_membarrier_does_not),
		cmocka_unit_test(a_lost_registration_is_renewed),
		cmocka_unit_test(without_the_barrier_nothing_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

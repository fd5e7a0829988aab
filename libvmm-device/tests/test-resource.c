/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

_Static_assert(sizeof(struct vmm_bus_resource) == 48, "part of the ABI");

enum {
	P = VMM_BUS_RESOURCE_PORTS,
	M = VMM_BUS_RESOURCE_MMIO,
	G = VMM_BUS_RESOURCE_GSI,
	V = VMM_BUS_RESOURCE_MSI
};

#define ANY VMM_BUS_UNASSIGNED

/* A device with two port ranges, two MMIO ranges, a line and vectors. */
static const struct vmm_bus_resource sample[] = {
	{ P, 0, 0x3f8, 8, 1, 0, 0 },
	{ G, 0, 4, 1, 1, 0, 0 },
	{ M, 0, 0xd0000000, 0x1000, 0x1000, 0, 0 },
	{ P, 0, 0x2f8, 8, 1, 0, 0 },
	{ M, 0, 0xd0001000, 0x200, 0x200, 0xd0000000, 0xdfffffff },
	{ V, 0, 32, 8, 8, 0, 0 },
};

static struct vmm_bus_range like(struct test_device *d)
{
	struct vmm_bus_range r = VMM_BUS_RANGE_INIT;

	r.ops = &test_device_ops;
	r.ctx = d;
	return r;
}

/* The reference's test_resource_constraint, and what it leaves out. */
static void malformed_resources_are_told_from_good_ones(void **state)
{
	static const struct {
		struct vmm_bus_resource r;
		bool ok;
	} cases[] = {
		{ { P, 0, ANY, 1, 1, 0, 0 }, true },
		{ { P, 0, ANY, 0x10000, 1, 0, 0 }, true },
		{ { P, 0, ANY, 0x10001, 1, 0, 0 }, false },
		{ { P, 0, ANY, 0x10, 0x10, 0xfff1, 0 }, false },
		{ { P, 0, 0x10000, 1, 1, 0, 0 }, false },
		{ { M, 0, ANY, 0x1000, 0x1000, 0, 0 }, true },
		{ { M, 0, ANY, UINT64_MAX, 1, 0, 0 }, true },
		{ { M, 0, ANY, 0x1000, 0x1000, UINT64_MAX - 0xffe, 0 }, false },
		{ { M, 0, ANY, 0x1000, 0x1000, 0x1001, 0x2fff }, true },
		{ { M, 0, ANY, 0x1000, 0x1000, 0x1001, 0x2ffe }, false },
		{ { M, 0, 0x2000, 0x1000, 0x1000, 0x1001, 0x2fff }, true },
		{ { M, 0, 0x1000, 0x1000, 0x1000, 0x1001, 0x2fff }, false },
		{ { M, 0, 0x2800, 0x100, 0x1000, 0, 0 }, false },
		{ { M, 0, UINT64_MAX - 1, 2, 1, 0, 0 }, true },
		{ { M, 0, UINT64_MAX - 1, 3, 1, 0, 0 }, false },
		{ { M, 0, ANY, 0, 1, 0, 0 }, false },
		{ { M, 0, ANY, 1, 0, 0, 0 }, false },
		{ { M, 0, ANY, 1, 3, 0, 0 }, false },
		{ { M, 1, ANY, 1, 1, 0, 0 }, false },
		{ { 0, 0, ANY, 1, 1, 0, 0 }, false },
		{ { 5, 0, ANY, 1, 1, 0, 0 }, false },
		{ { G, 0, 24, 1, 1, 0, 23 }, false },
		{ { G, 0, UINT32_MAX, 1, 1, 0, 0 }, true },
		{ { V, 0, 33, 8, 8, 0, 0 }, false },
	};
	struct vmm_error err;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_bus_resource list[2] = { sample[0], cases[i].r };

		assert_int_equal(vmm_bus_resources_check(list, 2, &err),
				 cases[i].ok ? 0 : -EBADMSG);
		assert_true(cases[i].ok || err.where == 1);
	}
	assert_int_equal(vmm_bus_resources_check(sample, VMM_ARRAY_LEN(sample), NULL), 0);
	assert_int_equal(vmm_bus_resources_check(NULL, 0, NULL), 0);
}

/* The nine getters of the reference are one call here. */
static void resources_are_found_by_kind_and_number(void **state)
{
	static const struct {
		uint32_t kind;
		size_t nth, want;
	} cases[] = { { P, 0, 0 }, { P, 1, 3 },	 { M, 0, 2 },  { M, 1, 4 }, { G, 0, 1 },
		      { V, 0, 5 }, { P, 2, 99 }, { G, 1, 99 }, { 9, 0, 99 } };

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		size_t at = 99;

		assert_int_equal(vmm_bus_resources_find(sample, VMM_ARRAY_LEN(sample),
							cases[i].kind, cases[i].nth, &at),
				 cases[i].want == 99 ? -ENOENT : 0);
		assert_int_equal(at, cases[i].want);
	}
}

/* test_register_deregister_device_io. */
static void port_and_mmio_resources_are_registered_interrupts_are_not(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *ports = test_bus(UINT16_MAX);
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *mmio = test_bus(UINT64_MAX);
	struct test_device d = { 0 };
	struct vmm_bus_range p = like(&d), m = like(&d);
	struct vmm_bus_info info;
	size_t count;

	m.widths = VMM_BUS_WIDTH_4;
	assert_int_equal(vmm_bus_add_resources(ports, mmio, sample, VMM_ARRAY_LEN(sample),
					       &p, &m, NULL),
			 0);
	assert_int_equal(vmm_bus_get_count(ports), 2);
	assert_int_equal(vmm_bus_get_count(mmio), 2);
	assert_int_equal(vmm_bus_find(mmio, 0xd0001100, &info), 0);
	assert_int_equal(info.widths, VMM_BUS_WIDTH_4);
	assert_int_equal(info.last, 0xd00011ff);
	assert_int_equal(vmm_bus_remove_owner(ports, &d, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(vmm_bus_remove_owner(mmio, &d, &count), 0);
	assert_int_equal(count, 2);
	/* Interrupts only: nothing to do, and no error. */
	assert_int_equal(vmm_bus_add_resources(ports, mmio, &sample[1], 1, &p, &m, NULL),
			 0);
	assert_int_equal(vmm_bus_get_count(ports) + vmm_bus_get_count(mmio), 0);
}

/* DEV-B2, across both buses: whichever bus refuses, the other has nothing of it. */
static void dev_b2_resources_are_registered_whole_or_not_at_all(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *ports = test_bus(UINT16_MAX);
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *mmio = test_bus(UINT64_MAX);
	struct test_device d = { 0 }, other = { 0 };
	struct vmm_bus_range p = like(&d), m = like(&d);
	struct vmm_bus_resource list[VMM_ARRAY_LEN(sample)];
	struct vmm_error err;

	assert_int_equal(vmm_bus_add(mmio, 0xd0001000, 1, &test_device_ops, &other), 0);
	for (int swapped = 0; swapped < 2; swapped++) {
		assert_int_equal(vmm_bus_add_resources(ports, mmio, sample,
						       VMM_ARRAY_LEN(sample), &p, &m,
						       &err),
				 -EEXIST);
		assert_int_equal(err.where, 0xd0001000);
		assert_int_equal(vmm_bus_get_count(ports), 0);
		assert_int_equal(vmm_bus_get_count(mmio), 1);
	}
	assert_int_equal(vmm_bus_remove(mmio, 0xd0001000, &other), 0);
	assert_int_equal(vmm_bus_add(ports, 0x2ff, 1, &test_device_ops, &other), 0);
	assert_int_equal(vmm_bus_add_resources(ports, mmio, sample, VMM_ARRAY_LEN(sample),
					       &p, &m, NULL),
			 -EEXIST);
	assert_int_equal(vmm_bus_get_count(mmio), 0);
	assert_int_equal(vmm_bus_get_count(ports), 1);

	memcpy(list, sample, sizeof(sample));
	list[4].base = VMM_BUS_UNASSIGNED;
	assert_int_equal(
	    vmm_bus_add_resources(ports, mmio, list, VMM_ARRAY_LEN(list), &p, &m, &err),
	    -EINVAL);
	list[4].len = 0;
	assert_int_equal(
	    vmm_bus_add_resources(ports, mmio, list, VMM_ARRAY_LEN(list), &p, &m, NULL),
	    -EBADMSG);
	assert_int_equal(vmm_bus_add_resources(mmio, mmio, sample, 1, &p, &m, NULL),
			 -EINVAL);
	p.size = 1;
	assert_int_equal(vmm_bus_add_resources(ports, mmio, sample, 1, &p, &m, NULL),
			 -EINVAL);
	assert_int_equal(vmm_bus_get_count(ports), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_resources_are_told_from_good_ones),
		cmocka_unit_test(resources_are_found_by_kind_and_number),
		cmocka_unit_test(
		    port_and_mmio_resources_are_registered_interrupts_are_not),
		cmocka_unit_test(dev_b2_resources_are_registered_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

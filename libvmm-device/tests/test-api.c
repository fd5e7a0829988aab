/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every public function once, as a consumer of the shared library sees them. */
#include "device.h"

#include "irq-backend.h"

static void a_bus_from_a_consumer_s_view(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *ports = test_bus(UINT16_MAX);
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *mmio = test_bus(UINT64_MAX);
	static const struct vmm_bus_listener deaf = VMM_BUS_LISTENER_INIT;
	static const struct vmm_bus_resource res = {
		VMM_BUS_RESOURCE_PORTS, 0, 0x70, 2, 1, 0, 0
	};
	struct vmm_bus_range like = VMM_BUS_RANGE_INIT;
	struct vmm_bus_move move = { 0x5000, 0x6000 };
	struct vmm_bus_reader *reader = NULL;
	struct test_device d = { 0 };
	struct vmm_bus_totals totals;
	struct vmm_bus_info info;
	uint32_t value = 0;
	size_t n = 0;

	like.ops = &test_device_ops;
	like.ctx = &d;
	assert_int_equal(vmm_bus_set_listener(mmio, &deaf, NULL), 0);
	assert_int_equal(vmm_bus_add(mmio, 0x1000, 0x100, &test_device_ops, &d), 0);
	like.base = 0x2000;
	like.len = 0x100;
	assert_int_equal(vmm_bus_add_ranges(mmio, &like, 1, NULL), 0);
	assert_int_equal(vmm_bus_move(mmio, 0x2000, 0x5000, &d), 0);
	assert_int_equal(vmm_bus_move_ranges(mmio, &move, 1, &d, NULL), 0);
	assert_int_equal(vmm_bus_set_hints(mmio, 0x6000, &d, NULL, 0), 0);
	assert_int_equal(vmm_bus_reader_new(mmio, &reader), 0);
	assert_true(vmm_bus_reader_read(reader, 0x6004, &value, 4));
	assert_true(vmm_bus_reader_write(reader, 0x6004, &value, 4));
	vmm_bus_reader_free(reader);
	assert_true(vmm_bus_read(mmio, 0x1000, &value, 4));
	assert_int_equal(value, 0x13121110);
	assert_true(vmm_bus_write(mmio, 0x1000, &value, 4));
	assert_int_equal(vmm_bus_check(mmio, 0x1000, 0x100), 0);
	assert_int_equal(vmm_bus_find(mmio, 0x10ff, &info), 0);
	assert_int_equal(vmm_bus_next(mmio, 0x1100, &info), 0);
	assert_int_equal(info.base, 0x6000);
	vmm_bus_get_totals(mmio, &totals);
	assert_int_equal(totals.unclaimed + totals.refused, 0);
	assert_int_equal(vmm_bus_remove(mmio, 0x1000, &d), 0);
	assert_int_equal(vmm_bus_remove_owner(mmio, &d, &n), 0);
	assert_int_equal(vmm_bus_synchronize(mmio), 0);
	assert_int_equal(vmm_bus_resources_check(&res, 1, NULL), 0);
	assert_int_equal(vmm_bus_resources_find(&res, 1, VMM_BUS_RESOURCE_PORTS, 0, &n),
			 0);
	assert_int_equal(vmm_bus_add_resources(ports, mmio, &res, 1, &like, &like, NULL),
			 0);
	assert_int_equal(vmm_bus_get_count(ports), 1);
}

static void interrupts_from_a_consumer_s_view(void **state)
{
	struct test_irqs t = { 0 };
	VMM_CLEANUP(vmm_irq_fds_free) struct vmm_irq_fds *fds = NULL;
	VMM_CLEANUP(vmm_irq_router_free) struct vmm_irq_router *router = NULL;
	VMM_CLEANUP(vmm_irq_source_free) struct vmm_irq_source *source = NULL;
	VMM_CLEANUP(vmm_irq_vectors_free) struct vmm_irq_vectors *vectors = NULL;
	struct vmm_irq_msi msi = { 0xfee00000, 0x40, 0 };
	struct vmm_irq_backend backend;
	struct vmm_irq_vector v;
	struct vmm_irq_route route;
	struct vmm_irq_line line;
	uint32_t dword = 0;

	assert_int_equal(vmm_irq_fds_new(16, &test_irqs_backend, &t, &fds), 0);
	assert_int_equal(vmm_irq_fds_set(fds, 3, -1), 0);
	vmm_irq_fds_get_backend(&backend);
	assert_int_equal(vmm_irq_router_new(&backend, fds, 16, &router), 0);
	assert_int_equal(vmm_irq_router_update(router, NULL, 0, NULL), 0);
	assert_int_equal(vmm_irq_router_get_route(router, 3, &route), -ENOENT);
	assert_int_equal(vmm_irq_source_new(router, 3, VMM_IRQ_RESAMPLE, &source), 0);
	line = vmm_irq_source_get_line(source);
	vmm_irq_line_set(&line, true);
	assert_int_equal(vmm_irq_router_resample(router, 3), 0);
	assert_int_equal(t.triggers, 2);
	assert_int_equal(vmm_irq_router_get_failures(router), 0);
	assert_int_equal(vmm_irq_vectors_new(router, 1, 8, &vectors), 0);
	assert_int_equal(vmm_irq_vectors_set_control(vectors, true, false), 0);
	assert_int_equal(vmm_irq_msi_set(vectors, &msi, 1, 1), 0);
	assert_int_equal(vmm_irq_vectors_raise(vectors, 0), 0);
	assert_int_equal(vmm_irq_msi_get_pending(vectors), 1);
	vmm_irq_msix_pba_read(vectors, 0, &dword, 4);
	assert_int_equal(dword, 1);
	vmm_irq_msix_table_read(vectors, 8, &dword, 4);
	assert_int_equal(dword, 0x40);
	dword = 0;
	vmm_irq_msix_table_write(vectors, 12, &dword, 4);
	assert_int_equal(t.triggers, 3);
	assert_int_equal(vmm_irq_vectors_get(vectors, 0, &v), 0);
	assert_int_equal(vmm_irq_vectors_restore(vectors, &v, 1, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bus_from_a_consumer_s_view),
		cmocka_unit_test(interrupts_from_a_consumer_s_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

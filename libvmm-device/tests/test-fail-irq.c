/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

#include "irq-backend.h"

#define VMM_FAIL_ALIGNED_ALLOC
#include "vmm-fail.h"

long __wrap_syscall(long number, long cmd, long flags, long cpu);

/* No membarrier(2) in this program: buses fall back to ordered stores. */
long __wrap_syscall(long number, long cmd, long flags, long cpu)
{
	return -1;
}

static void a_new_router_survives_each_failed_allocation(void **state)
{
	struct vmm_irq_router *router = NULL;

	for (unsigned n = 1; n <= 3; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_irq_router_new(&test_irqs_backend, NULL, 4, &router),
				 -ENOMEM);
		assert_null(router);
	}
	vmm_fail_at(4);
	assert_int_equal(vmm_irq_router_new(&test_irqs_backend, NULL, 4, &router), 0);
	vmm_fail_at(0);
	vmm_irq_router_free(router);
}

static void routes_survive_each_failed_allocation(void **state)
{
	static const struct vmm_irq_route route = {
		3, VMM_IRQ_ROUTE_PIN, 0, 3, { 0, 0, 0 }
	};
	struct test_irqs t = { 0 };
	VMM_CLEANUP(vmm_irq_router_free)
	struct vmm_irq_router *router = test_router(&test_irqs_backend, &t);
	struct vmm_irq_route out;

	for (unsigned n = 1; n <= 2; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_irq_router_update(router, &route, 1, NULL), -ENOMEM);
		assert_int_equal(vmm_irq_router_get_route(router, 3, &out), -ENOENT);
		assert_int_equal(t.tables, 0);
	}
	vmm_fail_at(3);
	assert_int_equal(vmm_irq_router_update(router, &route, 1, NULL), 0);
	vmm_fail_at(0);
}

static void sources_vectors_and_fds_survive_them(void **state)
{
	struct test_irqs t = { 0 };
	VMM_CLEANUP(vmm_irq_router_free)
	struct vmm_irq_router *router = test_router(&test_irqs_backend, &t);
	struct vmm_irq_source *source = NULL;
	struct vmm_irq_vectors *vectors = NULL;
	struct vmm_irq_fds *fds = NULL;

	vmm_fail_at(1);
	assert_int_equal(vmm_irq_source_new(router, 1, VMM_IRQ_EDGE, &source), -ENOMEM);
	assert_int_equal(vmm_irq_source_new(router, 1, VMM_IRQ_EDGE, &source), 0);
	for (unsigned n = 1; n <= 2; n++) {
		vmm_fail_at(n);
		assert_int_equal(vmm_irq_vectors_new(router, 1, 1, &vectors), -ENOMEM);
	}
	vmm_fail_at(1);
	assert_int_equal(vmm_irq_fds_new(4, NULL, NULL, &fds), -ENOMEM);
	assert_null(vectors);
	assert_null(fds);
	vmm_irq_source_free(source);
}

static void resources_survive_each_failed_allocation(void **state)
{
	static const struct vmm_bus_resource list[] = {
		{ VMM_BUS_RESOURCE_PORTS, 0, 0x10, 8, 1, 0, 0 },
		{ VMM_BUS_RESOURCE_MMIO, 0, 0x1000, 8, 1, 0, 0 },
	};
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *ports = test_bus(UINT16_MAX);
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *mmio = test_bus(UINT64_MAX);
	struct vmm_bus_range like = VMM_BUS_RANGE_INIT;
	unsigned n = 1;

	for (;; n++) {
		int ret;

		vmm_fail_at(n);
		ret = vmm_bus_add_resources(ports, mmio, list, 2, &like, &like, NULL);
		vmm_fail_at(0);
		if (ret == 0)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(vmm_bus_get_count(ports) + vmm_bus_get_count(mmio), 0);
	}
	/* Two lists of descriptions; then for each bus a list, a range and a map. */
	assert_int_equal(n, 9);
	assert_int_equal(vmm_bus_get_count(ports) + vmm_bus_get_count(mmio), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_router_survives_each_failed_allocation),
		cmocka_unit_test(routes_survive_each_failed_allocation),
		cmocka_unit_test(sources_vectors_and_fds_survive_them),
		cmocka_unit_test(resources_survive_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

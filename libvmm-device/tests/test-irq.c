/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "irq-backend.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUTER VMM_CLEANUP(vmm_irq_router_free) struct vmm_irq_router *router
#define SOURCE VMM_CLEANUP(vmm_irq_source_free) struct vmm_irq_source *

_Static_assert(sizeof(struct vmm_irq_msi) == 16, "part of the ABI");
_Static_assert(sizeof(struct vmm_irq_route) == 32, "part of the ABI");
_Static_assert(sizeof(struct vmm_irq_vector) == 24, "part of the ABI");
_Static_assert(sizeof(struct vmm_irq_line) == 16, "part of the ABI");

static void an_unconnected_line_is_quiet(void **state)
{
	struct vmm_irq_line line = { NULL, NULL };

	vmm_irq_line_set(&line, true);
}

static void a_router_has_limits(void **state)
{
	struct {
		struct vmm_irq_backend b;
		uint64_t tail;
	} big = { .b = test_irqs_backend, .tail = 1 };
	struct vmm_irq_router *router = NULL;

	assert_int_equal(vmm_irq_router_new(&big.b, NULL, 0, &router), -EINVAL);
	assert_int_equal(vmm_irq_router_new(&big.b, NULL, VMM_IRQ_GSIS_MAX + 1, &router),
			 -EINVAL);
	big.b.size = sizeof(big);
	assert_int_equal(vmm_irq_router_new(&big.b, NULL, 1, &router), -E2BIG);
	big.b.size = 1;
	assert_int_equal(vmm_irq_router_new(&big.b, NULL, 1, &router), -EINVAL);
	assert_null(router);
	vmm_irq_router_free(NULL);
	vmm_irq_source_free(NULL);
	vmm_irq_vectors_free(NULL);
	vmm_irq_fds_free(NULL);
}

static void an_edge_line_pulses_once_for_each_true(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	SOURCE source = NULL;
	struct vmm_irq_source *second = NULL;
	struct vmm_irq_line line;

	assert_int_equal(vmm_irq_source_new(router, 4, VMM_IRQ_EDGE, &source), 0);
	line = vmm_irq_source_get_line(source);
	vmm_irq_line_set(&line, true);
	vmm_irq_line_set(&line, true);
	vmm_irq_line_set(&line, false);
	assert_int_equal(t.triggers, 2);
	assert_int_equal(t.gsi, 4);
	assert_int_equal(t.ups + t.downs, 0);
	assert_int_equal(vmm_irq_source_new(router, 4, VMM_IRQ_EDGE, &second), -EBUSY);
	assert_int_equal(vmm_irq_source_new(router, 4, VMM_IRQ_LEVEL, &second), -EBUSY);
	assert_int_equal(vmm_irq_source_new(router, 32, VMM_IRQ_EDGE, &second), -EINVAL);
	assert_int_equal(vmm_irq_source_new(router, 5, 3, &second), -EINVAL);
	assert_null(second);
}

/* With levels only, an edge is up and down. */
static void an_edge_without_trigger_is_up_and_down(void **state)
{
	struct vmm_irq_backend levels = VMM_IRQ_BACKEND_INIT;
	struct test_irqs t = { 0 };

	levels.set_level = test_set_level;
	ROUTER = test_router(&levels, &t);
	SOURCE source = NULL;
	struct vmm_irq_line line;

	assert_int_equal(vmm_irq_source_new(router, 4, VMM_IRQ_EDGE, &source), 0);
	line = vmm_irq_source_get_line(source);
	vmm_irq_line_set(&line, true);
	assert_int_equal(t.ups, 1);
	assert_int_equal(t.downs, 1);
	t.fail = -EIO;
	vmm_irq_line_set(&line, true);
	assert_int_equal(t.downs, 1);
	assert_int_equal(vmm_irq_router_get_failures(router), 1);
}

static void a_level_line_is_the_or_of_its_sources(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	SOURCE a = NULL;
	struct vmm_irq_source *b = NULL;
	struct vmm_irq_line la, lb;

	assert_int_equal(vmm_irq_source_new(router, 9, VMM_IRQ_LEVEL, &a), 0);
	assert_int_equal(vmm_irq_source_new(router, 9, VMM_IRQ_LEVEL, &b), 0);
	la = vmm_irq_source_get_line(a);
	lb = vmm_irq_source_get_line(b);
	vmm_irq_line_set(&la, true);
	vmm_irq_line_set(&la, true);
	vmm_irq_line_set(&lb, true);
	assert_int_equal(t.ups, 1);
	vmm_irq_line_set(&la, false);
	assert_int_equal(t.downs, 0);
	/* A device that goes away lets go of the line. */
	vmm_irq_source_free(b);
	assert_int_equal(t.downs, 1);
	vmm_irq_line_set(&la, true);
	assert_int_equal(t.ups, 2);
	assert_int_equal(vmm_irq_router_resample(router, 9), -EINVAL);
}

static void a_resampled_line_is_signalled_again_while_held(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	SOURCE a = NULL;
	SOURCE b = NULL;
	struct vmm_irq_source *c = NULL;
	struct vmm_irq_line la, lb;

	assert_int_equal(vmm_irq_router_resample(router, 10), -EINVAL);
	assert_int_equal(vmm_irq_router_resample(router, 32), -EINVAL);
	assert_int_equal(vmm_irq_source_new(router, 10, VMM_IRQ_RESAMPLE, &a), 0);
	assert_int_equal(vmm_irq_source_new(router, 10, VMM_IRQ_RESAMPLE, &b), 0);
	assert_int_equal(vmm_irq_source_new(router, 10, VMM_IRQ_LEVEL, &c), -EBUSY);
	la = vmm_irq_source_get_line(a);
	lb = vmm_irq_source_get_line(b);
	vmm_irq_line_set(&la, true);
	vmm_irq_line_set(&lb, true);
	assert_int_equal(t.triggers, 1);
	vmm_irq_line_set(&la, false);
	/* The guest has dealt with a; b still waits. */
	assert_int_equal(vmm_irq_router_resample(router, 10), 0);
	assert_int_equal(t.triggers, 2);
	vmm_irq_line_set(&lb, false);
	assert_int_equal(vmm_irq_router_resample(router, 10), 0);
	assert_int_equal(t.triggers, 2);
	assert_int_equal(t.ups + t.downs, 0);
	vmm_irq_line_set(&la, true);
	t.fail = -EIO;
	assert_int_equal(vmm_irq_router_resample(router, 10), -EIO);
}

static void routes_are_handed_over_whole_and_once(void **state)
{
	static const struct vmm_irq_route first[] = {
		{ 9, VMM_IRQ_ROUTE_MSI, 0, 0, { 0xfee00000, 0x41, 0 } },
		{ 4, VMM_IRQ_ROUTE_PIN, 2, 4, { 0, 0, 0 } },
	};
	static const struct vmm_irq_route second[] = {
		{ 9, VMM_IRQ_ROUTE_NONE, 0, 0, { 0, 0, 0 } },
		{ 5, VMM_IRQ_ROUTE_PIN, 2, 5, { 0, 0, 0 } },
		{ 5, VMM_IRQ_ROUTE_PIN, 2, 6, { 0, 0, 0 } },
	};
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	struct vmm_irq_route route;
	struct vmm_error err;

	assert_int_equal(vmm_irq_router_get_route(router, 9, &route), -ENOENT);
	assert_int_equal(vmm_irq_router_update(router, first, 2, NULL), 0);
	assert_int_equal(t.tables, 1);
	assert_int_equal(t.route_count, 2);
	assert_int_equal(t.routes[0].gsi, 4);
	assert_int_equal(t.routes[1].msi.data, 0x41);
	/* A refusal leaves the old table. */
	t.fail = -ENOSPC;
	assert_int_equal(vmm_irq_router_update(router, second, 3, &err), -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
	assert_int_equal(vmm_irq_router_get_route(router, 9, &route), 0);
	assert_int_equal(route.msi.addr, 0xfee00000);
	assert_int_equal(vmm_irq_router_get_route(router, 5, &route), -ENOENT);
	assert_int_equal(vmm_irq_router_update(router, second, 3, NULL), 0);
	assert_int_equal(t.route_count, 2);
	assert_int_equal(t.routes[1].pin, 6);
	assert_int_equal(vmm_irq_router_get_route(router, 9, &route), -ENOENT);
	assert_int_equal(vmm_irq_router_get_route(router, 32, &route), -ENOENT);
	assert_int_equal(vmm_irq_router_update(router, NULL, 0, NULL), 0);
	assert_int_equal(t.tables, 4);
}

static void a_malformed_route_stops_the_whole_batch(void **state)
{
	static const struct vmm_irq_route bad[] = {
		{ 32, VMM_IRQ_ROUTE_PIN, 0, 0, { 0, 0, 0 } },
		{ 1, 3, 0, 0, { 0, 0, 0 } },
		{ 1, VMM_IRQ_ROUTE_NONE, 1, 0, { 0, 0, 0 } },
		{ 1, VMM_IRQ_ROUTE_NONE, 0, 0, { 0, 1, 0 } },
		{ 1, VMM_IRQ_ROUTE_PIN, 0, 0, { 0, 0, 1 } },
		{ 1, VMM_IRQ_ROUTE_MSI, 0, 1, { 0xfee00000, 0, 0 } },
		{ 1, VMM_IRQ_ROUTE_MSI, 0, 0, { 0xfee00002, 0, 0 } },
	};
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	struct vmm_error err;

	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		struct vmm_irq_route batch[2] = {
			{ 3, VMM_IRQ_ROUTE_PIN, 0, 3, { 0, 0, 0 } }, bad[i]
		};

		assert_int_equal(vmm_irq_router_update(router, batch, 2, &err), -EINVAL);
		assert_int_equal(err.where, bad[i].gsi);
	}
	assert_int_equal(t.tables, 0);
}

static uint64_t drain(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static void eventfds_are_signalled_and_the_rest_goes_on(void **state)
{
	struct test_irqs t = { 0 };
	struct vmm_irq_fds *fds = NULL;
	struct vmm_irq_backend backend;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	const uint64_t full = UINT64_MAX - 1;
	struct vmm_irq_source *a = NULL, *b = NULL;
	struct vmm_irq_vectors *v = NULL;
	struct vmm_irq_router *router;
	struct vmm_irq_line line;

	assert_true(fd >= 0);
	assert_int_equal(vmm_irq_fds_new(0, NULL, NULL, &fds), -EINVAL);
	assert_int_equal(vmm_irq_fds_new(VMM_IRQ_GSIS_MAX + 1, NULL, NULL, &fds),
			 -EINVAL);
	assert_int_equal(vmm_irq_fds_new(32, &test_irqs_backend, &t, &fds), 0);
	assert_int_equal(vmm_irq_fds_set(fds, 32, fd), -EINVAL);
	assert_int_equal(vmm_irq_fds_set(fds, 4, -2), -EINVAL);
	assert_int_equal(vmm_irq_fds_set(fds, 4, fd), 0);
	vmm_irq_fds_get_backend(&backend);
	router = test_router(&backend, fds);
	assert_int_equal(vmm_irq_source_new(router, 4, VMM_IRQ_RESAMPLE, &a), 0);
	assert_int_equal(vmm_irq_source_new(router, 9, VMM_IRQ_LEVEL, &b), 0);
	line = vmm_irq_source_get_line(a);
	vmm_irq_line_set(&line, true);
	assert_int_equal(drain(fd), 1);
	/* A counter that is full is signalled already. */
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(vmm_irq_router_resample(router, 4), 0);
	assert_true(drain(fd) == full);
	line = vmm_irq_source_get_line(b);
	vmm_irq_line_set(&line, true);
	assert_int_equal(t.ups, 1);
	assert_int_equal(vmm_irq_router_update(router, NULL, 0, NULL), 0);
	assert_int_equal(t.tables, 1);
	assert_int_equal(vmm_irq_vectors_new(router, 1, VMM_IRQ_NO_GSI, &v), 0);
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	assert_int_equal(
	    vmm_irq_msi_set(v, &(struct vmm_irq_msi){ 0xfee00000, 1, 0 }, 1, 0), 0);
	assert_int_equal(vmm_irq_vectors_raise(v, 0), 0);
	assert_int_equal(t.messages, 1);
	/* Without its eventfd the GSI goes on to the other back end. */
	assert_int_equal(vmm_irq_fds_set(fds, 4, -1), 0);
	assert_int_equal(vmm_irq_router_resample(router, 4), 0);
	assert_int_equal(t.triggers, 1);
	/* A closed descriptor is the back end's failure. */
	(void)close(fd);
	assert_int_equal(vmm_irq_fds_set(fds, 4, fd), 0);
	assert_int_equal(vmm_irq_router_resample(router, 4), -EBADF);
	vmm_irq_vectors_free(v);
	vmm_irq_source_free(a);
	vmm_irq_source_free(b);
	vmm_irq_router_free(router);
	vmm_irq_fds_free(fds);
}

static void a_missing_callback_is_not_supported(void **state)
{
	struct vmm_irq_backend backend, levels = VMM_IRQ_BACKEND_INIT;
	struct vmm_irq_vectors *v = NULL;
	struct vmm_irq_source *s = NULL;
	struct vmm_irq_router *router;
	struct vmm_irq_fds *fds = NULL;
	struct test_irqs t = { 0 };
	struct vmm_irq_line line;

	for (int through_fds = 0; through_fds < 2; through_fds++) {
		vmm_irq_fds_get_backend(&backend);
		assert_int_equal(vmm_irq_fds_new(32, NULL, NULL, &fds), 0);
		router = test_router(through_fds ? &backend : &levels, fds);
		assert_int_equal(vmm_irq_router_update(router, NULL, 0, NULL),
				 -EOPNOTSUPP);
		assert_int_equal(vmm_irq_source_new(router, 1, VMM_IRQ_EDGE, &s), 0);
		line = vmm_irq_source_get_line(s);
		vmm_irq_line_set(&line, true);
		assert_int_equal(vmm_irq_router_get_failures(router), 1);
		assert_int_equal(vmm_irq_vectors_new(router, 1, VMM_IRQ_NO_GSI, &v), 0);
		assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
		assert_int_equal(
		    vmm_irq_msi_set(v, &(struct vmm_irq_msi){ 0, 1, 0 }, 1, 0), 0);
		assert_int_equal(vmm_irq_vectors_raise(v, 0), -EOPNOTSUPP);
		vmm_irq_vectors_free(v);
		vmm_irq_source_free(s);
		vmm_irq_router_free(router);
		vmm_irq_fds_free(fds);
	}
	/* eventfds in front of levels only. */
	levels.set_level = test_set_level;
	assert_int_equal(vmm_irq_fds_new(32, &levels, &t, &fds), 0);
	router = test_router(&backend, fds);
	assert_int_equal(vmm_irq_source_new(router, 1, VMM_IRQ_EDGE, &s), 0);
	line = vmm_irq_source_get_line(s);
	vmm_irq_line_set(&line, true);
	assert_int_equal(t.ups + t.downs, 2);
	vmm_irq_source_free(s);
	vmm_irq_router_free(router);
	vmm_irq_fds_free(fds);
	levels.size = 2;
	assert_int_equal(vmm_irq_fds_new(32, &levels, &t, &fds), -EINVAL);
}

/* Two devices on one level line, on two threads: the back end hears ups and downs in
 * turns, and the line ends low. */
static void *toggle(void *arg)
{
	struct vmm_irq_line line = vmm_irq_source_get_line(arg);

	for (int i = 0; i < 20000; i++)
		vmm_irq_line_set(&line, i % 2 == 0);
	return NULL;
}

static void shared_lines_keep_their_order_among_threads(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	SOURCE a = NULL;
	SOURCE b = NULL;
	pthread_t thread;

	assert_int_equal(vmm_irq_source_new(router, 9, VMM_IRQ_LEVEL, &a), 0);
	assert_int_equal(vmm_irq_source_new(router, 9, VMM_IRQ_LEVEL, &b), 0);
	assert_int_equal(pthread_create(&thread, NULL, toggle, a), 0);
	(void)toggle(b);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(t.ups, t.downs);
	assert_in_range(t.ups, 1, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unconnected_line_is_quiet),
		cmocka_unit_test(a_router_has_limits),
		cmocka_unit_test(an_edge_line_pulses_once_for_each_true),
		cmocka_unit_test(an_edge_without_trigger_is_up_and_down),
		cmocka_unit_test(a_level_line_is_the_or_of_its_sources),
		cmocka_unit_test(a_resampled_line_is_signalled_again_while_held),
		cmocka_unit_test(routes_are_handed_over_whole_and_once),
		cmocka_unit_test(a_malformed_route_stops_the_whole_batch),
		cmocka_unit_test(eventfds_are_signalled_and_the_rest_goes_on),
		cmocka_unit_test(a_missing_callback_is_not_supported),
		cmocka_unit_test(shared_lines_keep_their_order_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

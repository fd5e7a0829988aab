/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/superio-debug.h>

struct seen {
	int calls;
	uint32_t value;
	uint64_t ns, now;
};

static void on_exit_port(void *ctx, uint32_t status)
{
	struct seen *s = ctx;

	s->calls++;
	s->value = status;
}

static void on_mark(void *ctx, uint32_t value, uint64_t ns)
{
	struct seen *s = ctx;

	s->calls++;
	s->value = value;
	s->ns = ns;
}

static uint64_t now_ns(void *ctx)
{
	return ((struct seen *)ctx)->now;
}

static const struct vmm_sio_debug_exit_ops exit_ops = { sizeof(exit_ops), on_exit_port };
static const struct vmm_sio_boot_timer_ops timer_ops = { sizeof(timer_ops), on_mark,
							 now_ns };

static void the_guest_ends_the_vmm_with_a_status(void **state)
{
	VMM_CLEANUP(vmm_sio_debug_exit_free) struct vmm_sio_debug_exit *dev = NULL;
	struct seen seen = { 0 };

	assert_int_equal(vmm_sio_debug_exit_new(&exit_ops, &seen, &dev), 0);
	assert_int_equal(vmm_sio_debug_exit_read(dev, 0), 0);
	vmm_sio_debug_exit_write(dev, 1, 9);
	assert_int_equal(seen.calls, 0);
	vmm_sio_debug_exit_write(dev, 0, 0x10);
	assert_int_equal(seen.value, 0x10);
	assert_int_equal(vmm_sio_debug_exit_read(dev, 0), 0x10);
	assert_int_equal(vmm_sio_debug_exit_read(dev, 4), 0);
	assert_int_equal(VMM_SIO_DEBUG_EXIT_STATUS(0), 1);
	assert_int_equal(VMM_SIO_DEBUG_EXIT_STATUS(0x10), 0x21);
	assert_int_equal(VMM_SIO_DEBUG_EXIT_STATUS(UINT32_MAX), 0xff);
	vmm_sio_debug_exit_free(NULL);
}

static void marks_are_timed_and_the_first_are_kept(void **state)
{
	VMM_CLEANUP(vmm_sio_boot_timer_free) struct vmm_sio_boot_timer *dev = NULL;
	const struct vmm_sio_boot_mark *marks;
	struct seen seen = { .now = 1000 };

	assert_int_equal(vmm_sio_boot_timer_new(&timer_ops, &seen, &dev), 0);
	vmm_sio_boot_timer_write(dev, 1, 1);
	assert_int_equal(vmm_sio_boot_timer_get_marks(dev, &marks), 0);
	for (uint32_t i = 0; i < 20; i++) {
		seen.now += 10;
		vmm_sio_boot_timer_write(dev, 0, 100 + i);
		assert_int_equal(seen.value, 100 + i);
		assert_int_equal(seen.ns, 10 * (i + 1));
	}
	assert_int_equal(vmm_sio_boot_timer_read(dev, 0), 20);
	assert_int_equal(vmm_sio_boot_timer_read(dev, 4), 0);
	assert_int_equal(vmm_sio_boot_timer_get_marks(dev, &marks), 16);
	assert_int_equal(marks[15].value, 115);
	assert_int_equal(marks[15].ns, 160);
	/* A clock that goes back does not take a mark with it. */
	seen.now = 0;
	vmm_sio_boot_timer_write(dev, 0, 1);
	assert_int_equal(seen.ns, 160);
	vmm_sio_boot_timer_free(NULL);
}

static void without_callbacks_both_work(void **state)
{
	struct {
		struct vmm_sio_boot_timer_ops o;
		uint64_t tail;
	} big = { .o = VMM_SIO_BOOT_TIMER_OPS_INIT, .tail = 1 };
	struct vmm_sio_debug_exit_ops none = { .size = 1 };
	struct vmm_sio_debug_exit *quit = NULL;
	struct vmm_sio_boot_timer *timer = NULL;

	big.o.size = sizeof(big);
	assert_int_equal(vmm_sio_boot_timer_new(&big.o, NULL, &timer), -E2BIG);
	assert_int_equal(vmm_sio_debug_exit_new(&none, NULL, &quit), -EINVAL);
	assert_int_equal(vmm_sio_boot_timer_new(NULL, NULL, &timer), 0);
	assert_int_equal(vmm_sio_debug_exit_new(NULL, NULL, &quit), 0);
	vmm_sio_boot_timer_write(timer, 0, 1);
	vmm_sio_debug_exit_write(quit, 0, 1);
	vmm_sio_boot_timer_free(timer);
	vmm_sio_debug_exit_free(quit);
}

static void state_is_carried_or_refused(void **state)
{
	struct vmm_sio_boot_timer_state ts = VMM_SIO_BOOT_TIMER_STATE_INIT, bad;
	struct vmm_sio_debug_exit_state es = VMM_SIO_DEBUG_EXIT_STATE_INIT;
	struct vmm_sio_boot_timer *timer = NULL;
	struct vmm_sio_debug_exit *quit = NULL;
	struct vmm_error err;
	struct seen seen = { .now = 1000 };

	assert_int_equal(vmm_sio_boot_timer_new(&timer_ops, &seen, &timer), 0);
	assert_int_equal(vmm_sio_debug_exit_new(&exit_ops, &seen, &quit), 0);
	for (uint32_t i = 0; i < 3; i++) {
		seen.now += 10;
		vmm_sio_boot_timer_write(timer, 0, i);
	}
	vmm_sio_debug_exit_write(quit, 0, 7);
	assert_int_equal(vmm_sio_boot_timer_save(timer, &ts), 0);
	assert_int_equal(vmm_sio_debug_exit_save(quit, &es), 0);
	es.status = 8;
	seen.now = 5000;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &ts, NULL), 0);
	assert_int_equal(vmm_sio_debug_exit_restore(quit, &es, NULL), 0);
	assert_int_equal(vmm_sio_debug_exit_read(quit, 0), 8);
	seen.now += 5;
	vmm_sio_boot_timer_write(timer, 0, 3);
	assert_int_equal(seen.ns, 35);

	bad = ts;
	bad.marks[3].value = 1;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &bad, &err), -EBADMSG);
	bad = ts;
	bad.marks[0].ns = 25;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &bad, &err), -EBADMSG);
	bad = ts;
	bad.marks[1].reserved_ = 1;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &bad, &err), -EBADMSG);
	bad = ts;
	bad.version = 0;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &bad, &err), -EOPNOTSUPP);
	es.version = 9;
	assert_int_equal(vmm_sio_debug_exit_restore(quit, &es, &err), -EOPNOTSUPP);
	assert_int_equal(vmm_sio_boot_timer_read(timer, 0), 4);
	/* A time that the guest cannot have waited for is cut. */
	bad = ts;
	bad.elapsed_ns = UINT64_MAX - 3;
	assert_int_equal(vmm_sio_boot_timer_restore(timer, &bad, &err), 0);
	seen.now += 10;
	vmm_sio_boot_timer_write(timer, 0, 4);
	assert_true(seen.ns == UINT64_MAX);
	vmm_sio_boot_timer_free(timer);
	vmm_sio_debug_exit_free(quit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_ends_the_vmm_with_a_status),
		cmocka_unit_test(marks_are_timed_and_the_first_are_kept),
		cmocka_unit_test(without_callbacks_both_work),
		cmocka_unit_test(state_is_carried_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

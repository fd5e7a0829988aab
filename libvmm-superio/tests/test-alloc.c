/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every object when there is no memory for it. */
#include "vmm-test.h"

#include <errno.h>
#include <vmm/superio-debug.h>
#include <vmm/superio-pl011.h>
#include <vmm/superio-rtc.h>
#include <vmm/superio.h>

#include "internal.h"

static int calls;

/* In place of the library's own. */
void *sio_alloc(size_t size)
{
	calls++;
	return NULL;
}

static void new_without_memory_leaves_the_result_alone(void **state)
{
	char mark;
	struct vmm_sio_serial *serial = (void *)&mark;
	struct vmm_sio_i8042 *i8042 = (void *)&mark;
	struct vmm_sio_power *power = (void *)&mark;
	struct vmm_sio_pl011 *pl011 = (void *)&mark;
	struct vmm_sio_pl031 *pl031 = (void *)&mark;
	struct vmm_sio_cmos *cmos = (void *)&mark;
	struct vmm_sio_debug_exit *quit = (void *)&mark;
	struct vmm_sio_boot_timer *timer = (void *)&mark;

	assert_int_equal(vmm_sio_serial_new(NULL, &serial), -ENOMEM);
	assert_int_equal(vmm_sio_i8042_new(NULL, &i8042), -ENOMEM);
	assert_int_equal(vmm_sio_power_new(NULL, &power), -ENOMEM);
	assert_int_equal(vmm_sio_pl011_new(NULL, &pl011), -ENOMEM);
	assert_int_equal(vmm_sio_pl031_new(NULL, &pl031), -ENOMEM);
	assert_int_equal(vmm_sio_cmos_new(NULL, &cmos), -ENOMEM);
	assert_int_equal(vmm_sio_debug_exit_new(NULL, NULL, &quit), -ENOMEM);
	assert_int_equal(vmm_sio_boot_timer_new(NULL, NULL, &timer), -ENOMEM);
	assert_int_equal(calls, 8);
	assert_ptr_equal(serial, &mark);
	assert_ptr_equal(i8042, &mark);
	assert_ptr_equal(power, &mark);
	assert_ptr_equal(pl011, &mark);
	assert_ptr_equal(pl031, &mark);
	assert_ptr_equal(cmos, &mark);
	assert_ptr_equal(quit, &mark);
	assert_ptr_equal(timer, &mark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_without_memory_leaves_the_result_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

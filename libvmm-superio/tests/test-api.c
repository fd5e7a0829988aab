/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* As a consumer sees it: the shared library, each object once from birth to death. */
#include "vmm-test.h"

#include <string.h>
#include <vmm/superio-debug.h>
#include <vmm/superio-pl011.h>
#include <vmm/superio-rtc.h>
#include <vmm/superio.h>

static void a_serial_port_lives(void **state)
{
	VMM_CLEANUP(vmm_sio_serial_free) struct vmm_sio_serial *s = NULL;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	struct vmm_sio_serial_ops ops = VMM_SIO_SERIAL_OPS_INIT;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;
	struct vmm_sio_serial_stats stats = VMM_SIO_SERIAL_STATS_INIT;
	struct iovec v[2];
	size_t n;

	opts.ops = &ops;
	assert_int_equal(vmm_sio_serial_new(&opts, &s), 0);
	vmm_sio_serial_write(s, 0, 'x');
	assert_int_equal(vmm_sio_serial_get_output(s, v, &n), 1);
	vmm_sio_serial_output_done(s, 1);
	assert_int_equal(vmm_sio_serial_receive(s, (const uint8_t *)"y", 1), 1);
	assert_int_equal(vmm_sio_serial_receive_fault(s, 0, VMM_SIO_LINE_BREAK), 0);
	assert_int_equal(vmm_sio_serial_read(s, 0), 'y');
	vmm_sio_serial_set_modem(s, VMM_SIO_MODEM_CTS);
	assert_int_equal(vmm_sio_serial_get_input_room(s), VMM_SIO_SERIAL_QUEUE);
	assert_int_equal(vmm_sio_serial_get_baud(s), 9600);
	assert_false(vmm_sio_serial_irq_is_raised(s));
	assert_int_equal(vmm_sio_serial_save(s, &st), 0);
	assert_int_equal(vmm_sio_serial_restore(s, &st, NULL), 0);
	vmm_sio_serial_get_stats(s, &stats);
	assert_int_equal(stats.sent, 1);
	assert_int_equal(stats.received, 1);
}

static void an_i8042_and_power_registers_live(void **state)
{
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *k = NULL;
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *p = NULL;
	struct vmm_sio_i8042_state ks = VMM_SIO_I8042_STATE_INIT;
	struct vmm_sio_power_state ps = VMM_SIO_POWER_STATE_INIT;

	assert_int_equal(vmm_sio_i8042_new(NULL, &k), 0);
	vmm_sio_i8042_write(k, VMM_SIO_I8042_COMMAND, 0xaa);
	assert_int_equal(vmm_sio_i8042_read(k, VMM_SIO_I8042_DATA), 0x55);
	assert_int_equal(vmm_sio_i8042_type(k, (const uint8_t *)"\x1c", 1), 0);
	assert_int_equal(vmm_sio_i8042_ctrl_alt_del(k), 0);
	assert_int_equal(vmm_sio_i8042_move(k, 1, 1, 0), 0);
	assert_int_equal(vmm_sio_i8042_save(k, &ks), 0);
	assert_int_equal(vmm_sio_i8042_restore(k, &ks, NULL), 0);

	assert_int_equal(vmm_sio_power_new(NULL, &p), 0);
	vmm_sio_power_write(p, VMM_SIO_POWER_SLEEP_CONTROL, 0x14);
	assert_int_equal(vmm_sio_power_read(p, VMM_SIO_POWER_SLEEP_CONTROL), 0x14);
	assert_int_equal(vmm_sio_power_save(p, &ps), 0);
	assert_int_equal(vmm_sio_power_restore(p, &ps, NULL), 0);
}

static void clocks_live(void **state)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *p = NULL;
	VMM_CLEANUP(vmm_sio_cmos_free) struct vmm_sio_cmos *c = NULL;
	struct vmm_sio_pl031_state ps = VMM_SIO_PL031_STATE_INIT;
	struct vmm_sio_cmos_state cs = VMM_SIO_CMOS_STATE_INIT;
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct vmm_sio_rtc_ops ops = VMM_SIO_RTC_OPS_INIT;

	opts.ops = &ops;
	assert_int_equal(vmm_sio_pl031_new(&opts, &p), 0);
	vmm_sio_pl031_write(p, 0x08, 5);
	vmm_sio_pl031_tick(p);
	assert_int_equal(vmm_sio_pl031_read(p, 0x08), 5);
	assert_int_equal(vmm_sio_pl031_save(p, &ps), 0);
	assert_int_equal(vmm_sio_pl031_restore(p, &ps, NULL), 0);

	assert_int_equal(vmm_sio_cmos_new(&opts, &c), 0);
	assert_int_equal(vmm_sio_cmos_set_memory(c, 0x10, 7), 0);
	vmm_sio_cmos_write(c, 0, 0x10);
	assert_int_equal(vmm_sio_cmos_read(c, 1), 7);
	vmm_sio_cmos_tick(c);
	assert_int_equal(vmm_sio_cmos_save(c, &cs), 0);
	assert_int_equal(vmm_sio_cmos_restore(c, &cs, NULL), 0);
}

static void a_pl011_lives(void **state)
{
	VMM_CLEANUP(vmm_sio_pl011_free) struct vmm_sio_pl011 *p = NULL;
	struct vmm_sio_pl011_state st = VMM_SIO_PL011_STATE_INIT;
	struct vmm_sio_serial_stats stats = VMM_SIO_SERIAL_STATS_INIT;
	struct iovec v[2];
	size_t n;

	assert_int_equal(vmm_sio_pl011_new(NULL, &p), 0);
	vmm_sio_pl011_write(p, 0, 'x');
	assert_int_equal(vmm_sio_pl011_get_output(p, v, &n), 1);
	vmm_sio_pl011_output_done(p, 1);
	assert_int_equal(vmm_sio_pl011_receive(p, (const uint8_t *)"y", 1), 1);
	assert_int_equal(vmm_sio_pl011_receive_fault(p, 0, VMM_SIO_LINE_BREAK), 0);
	assert_int_equal(vmm_sio_pl011_read(p, 0), 'y');
	vmm_sio_pl011_set_modem(p, 0);
	assert_int_equal(vmm_sio_pl011_get_input_room(p), VMM_SIO_SERIAL_QUEUE);
	assert_int_equal(vmm_sio_pl011_get_baud(p), 0);
	vmm_sio_pl011_get_stats(p, &stats);
	assert_int_equal(stats.sent, 1);
	assert_int_equal(vmm_sio_pl011_save(p, &st), 0);
	assert_int_equal(vmm_sio_pl011_restore(p, &st, NULL), 0);
}

static void debug_ports_live(void **state)
{
	VMM_CLEANUP(vmm_sio_debug_exit_free) struct vmm_sio_debug_exit *e = NULL;
	VMM_CLEANUP(vmm_sio_boot_timer_free) struct vmm_sio_boot_timer *t = NULL;
	struct vmm_sio_debug_exit_state es = VMM_SIO_DEBUG_EXIT_STATE_INIT;
	struct vmm_sio_boot_timer_state ts = VMM_SIO_BOOT_TIMER_STATE_INIT;
	struct vmm_sio_debug_exit_ops eops = VMM_SIO_DEBUG_EXIT_OPS_INIT;
	struct vmm_sio_boot_timer_ops tops = VMM_SIO_BOOT_TIMER_OPS_INIT;
	const struct vmm_sio_boot_mark *marks;

	assert_int_equal(vmm_sio_debug_exit_new(&eops, NULL, &e), 0);
	vmm_sio_debug_exit_write(e, 0, 3);
	assert_int_equal(vmm_sio_debug_exit_read(e, 0), 3);
	assert_int_equal(vmm_sio_debug_exit_save(e, &es), 0);
	assert_int_equal(vmm_sio_debug_exit_restore(e, &es, NULL), 0);

	assert_int_equal(vmm_sio_boot_timer_new(&tops, NULL, &t), 0);
	vmm_sio_boot_timer_write(t, 0, 3);
	assert_int_equal(vmm_sio_boot_timer_read(t, 0), 1);
	assert_int_equal(vmm_sio_boot_timer_get_marks(t, &marks), 1);
	assert_int_equal(vmm_sio_boot_timer_save(t, &ts), 0);
	assert_int_equal(vmm_sio_boot_timer_restore(t, &ts, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_serial_port_lives),
		cmocka_unit_test(an_i8042_and_power_registers_live),
		cmocka_unit_test(clocks_live),
		cmocka_unit_test(a_pl011_lives),
		cmocka_unit_test(debug_ports_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

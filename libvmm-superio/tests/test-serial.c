/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Registers and interrupts of the UART, one behaviour a test. */
#include "serial-test.h"

static void the_power_on_state_is_what_firmware_leaves(void **state)
{
	struct uart *u = *state;

	assert_int_equal(rd(u, IER), 0);
	assert_int_equal(rd(u, IIR), 0x01);
	assert_int_equal(rd(u, LCR), 0x03);
	assert_int_equal(rd(u, MCR), 0x08);
	assert_int_equal(rd(u, LSR), 0x60);
	assert_int_equal(rd(u, MSR), 0xb0);
	assert_int_equal(rd(u, SCR), 0);
	assert_int_equal(rd(u, RBR), 0);
	wr(u, LCR, 0x83);
	assert_int_equal(rd(u, DLL), 0x0c);
	assert_int_equal(rd(u, DLM), 0x00);
	assert_int_equal(u->edges + u->breaks + u->modem_calls, 0);
}

static void what_the_guest_sends_comes_out_in_order(void **state)
{
	struct uart *u = *state;

	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(rd(u, LSR), 0x60);
		wr(u, THR, (uint8_t)*c);
	}
	assert_int_equal(u->output_ready, 1);
	expect_output(u, "hello");
	expect_output(u, "");
	wr(u, THR, '!');
	assert_int_equal(u->output_ready, 2);
	expect_output(u, "!");
	assert_int_equal(stats_of(u).sent, 6);
	assert_int_equal(u->edges, 0);
}

static void nothing_received_is_no_interrupt_and_no_data(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x01);
	expect_receive(u, "", 0);
	assert_false(u->line);
	assert_int_equal(rd(u, LSR), 0x60);
}

static void three_characters_are_one_interrupt_until_the_last_is_read(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x01);
	expect_receive(u, "abc", 3);
	assert_int_equal(u->edges, 1);
	assert_true(vmm_sio_serial_irq_is_raised(u->s));
	assert_int_equal(rd(u, IIR), 0xc4);
	for (const char *c = "abc"; *c; c++) {
		assert_true(u->line);
		assert_int_equal(rd(u, LSR), 0x61);
		assert_int_equal(rd(u, RBR), *c);
	}
	assert_int_equal(rd(u, LSR), 0x60);
	assert_int_equal(rd(u, IIR), 0xc1);
	assert_false(u->line);
	assert_int_equal(u->edges, 1);
	assert_int_equal(stats_of(u).received, 3);
}

static void the_thr_empty_interrupt_ends_when_iir_names_it(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x02);
	assert_int_equal(u->edges, 1);
	assert_int_equal(rd(u, IIR), 0xc2);
	assert_int_equal(rd(u, IIR), 0xc1);
	assert_false(u->line);
	wr(u, THR, 'a');
	assert_int_equal(u->edges, 2);
	assert_int_equal(rd(u, IIR), 0xc2);
	assert_int_equal(rd(u, IIR), 0xc1);
}

static void a_burst_into_thr_is_one_edge(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x02);
	assert_int_equal(rd(u, IIR), 0x02);
	for (int i = 0; i < 16; i++)
		wr(u, THR, 'x');
	assert_int_equal(u->edges, 2);
	expect_output(u, "xxxxxxxxxxxxxxxx");
}

/* A handler that leaves after writing must be called again: on an edge-triggered line
 * it needs an edge after the last look at IIR, even if another source came first. */
static void a_write_to_thr_after_iir_makes_an_edge_though_the_line_is_up(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x03);
	expect_receive(u, "a", 1);
	assert_int_equal(rd(u, IIR), 0xc4);
	assert_int_equal(rd(u, RBR), 'a');
	assert_true(u->line);
	assert_int_equal(u->edges, 1);
	wr(u, THR, 'b');
	assert_int_equal(u->edges, 2);
	wr(u, THR, 'c');
	assert_int_equal(u->edges, 2);
	assert_int_equal(rd(u, IIR), 0xc2);
	assert_false(u->line);
}

static void enabling_the_thr_empty_interrupt_again_raises_it_again(void **state)
{
	struct uart *u = *state;

	/* The test of Linux' 8250 driver for chips that do not. */
	for (int i = 0; i < 2; i++) {
		wr(u, IER, 0x02);
		assert_int_equal(rd(u, IIR), 0x02);
		wr(u, IER, 0x00);
		assert_int_equal(rd(u, IIR), 0x01);
	}
	assert_int_equal(u->edges, 2);
	wr(u, IER, 0x02);
	assert_int_equal(rd(u, IIR), 0x02);
	wr(u, IER, 0x02);
	assert_int_equal(rd(u, IIR), 0x01);
}

static void sources_are_reported_by_priority(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x81);
	wr(u, IER, 0x0f);
	vmm_sio_serial_set_modem(u->s, 0);
	expect_receive(u, "12345678", 8);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, VMM_SIO_LINE_BREAK), 0);
	for (int i = 0; i < 8; i++)
		(void)rd(u, RBR);
	assert_int_equal(rd(u, IIR), 0xc6);
	assert_int_equal(rd(u, LSR), 0xf1);
	assert_int_equal(rd(u, IIR), 0xcc);
	expect_receive(u, "1234567", 7);
	assert_int_equal(rd(u, IIR), 0xc4);
	assert_int_equal(rd(u, RBR), 0);
	assert_int_equal(rd(u, IIR), 0xcc);
	for (int i = 0; i < 7; i++)
		(void)rd(u, RBR);
	assert_int_equal(rd(u, IIR), 0xc2);
	assert_int_equal(rd(u, IIR), 0xc0);
	assert_int_equal(rd(u, IIR), 0xc0);
	assert_int_equal(rd(u, MSR), 0x0b);
	assert_int_equal(rd(u, IIR), 0xc1);
	assert_false(u->line);
}

static void each_trigger_level_tells_data_from_timeout(void **state)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };
	struct uart *u = *state;

	wr(u, IER, 0x01);
	for (uint8_t i = 0; i < 4; i++) {
		wr(u, FCR, (uint8_t)(0x03 | i << 6));
		for (uint8_t n = 1; n <= 16; n++) {
			expect_receive(u, "x", 1);
			assert_int_equal(rd(u, IIR), n >= levels[i] ? 0xc4 : 0xcc);
		}
	}
}

static void loopback_returns_each_byte_without_sending_it(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, MCR, 0x10);
	wr(u, IER, 0x01);
	for (int i = 0; i < 64; i++) {
		wr(u, THR, (uint8_t)i);
		assert_true(u->line);
		assert_int_equal(rd(u, LSR), 0x61);
		assert_int_equal(rd(u, RBR), i);
		assert_false(u->line);
	}
	assert_int_equal(u->edges, 64);
	for (int i = 0; i < 16; i++)
		wr(u, THR, (uint8_t)('a' + i));
	assert_int_equal(u->edges, 65);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(rd(u, LSR), 0x61);
		assert_int_equal(rd(u, RBR), 'a' + i);
	}
	assert_int_equal(rd(u, LSR), 0x60);
	expect_output(u, "");
	assert_int_equal(stats_of(u).sent, 0);
}

static void input_waits_for_the_end_of_loopback(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x01);
	wr(u, MCR, 0x10);
	expect_receive(u, "in", 2);
	wr(u, THR, 'l');
	assert_int_equal(rd(u, RBR), 'l');
	assert_int_equal(rd(u, LSR), 0x60);
	wr(u, MCR, 0x00);
	assert_true(u->line);
	assert_int_equal(rd(u, RBR), 'i');
	assert_int_equal(rd(u, RBR), 'n');
}

static void a_break_in_loopback_comes_back(void **state)
{
	struct uart *u = *state;

	wr(u, MCR, 0x10);
	wr(u, LCR, 0x43);
	assert_int_equal(u->breaks, 0);
	assert_int_equal(rd(u, LSR), 0x71);
	assert_int_equal(rd(u, RBR), 0);
	assert_int_equal(rd(u, LSR), 0x60);
	wr(u, MCR, 0x00);
	assert_true(u->break_on);
}

static void a_break_is_signalled_while_lcr_asks_for_it(void **state)
{
	struct uart *u = *state;

	wr(u, LCR, 0x43);
	assert_int_equal(u->breaks, 1);
	assert_true(u->break_on);
	wr(u, LCR, 0x47);
	assert_int_equal(u->breaks, 1);
	wr(u, LCR, 0x03);
	assert_int_equal(u->breaks, 2);
	assert_false(u->break_on);
}

static void dlab_switches_to_the_divisor(void **state)
{
	struct uart *u = *state;

	assert_int_equal(vmm_sio_serial_get_baud(u->s), 9600);
	wr(u, LCR, 0x83);
	wr(u, DLL, 0x12);
	wr(u, DLM, 0x34);
	assert_int_equal(rd(u, DLL), 0x12);
	assert_int_equal(rd(u, DLM), 0x34);
	wr(u, DLL, 1);
	wr(u, DLM, 0);
	assert_int_equal(vmm_sio_serial_get_baud(u->s), 115200);
	wr(u, DLL, 0);
	assert_int_equal(vmm_sio_serial_get_baud(u->s), 0);
	wr(u, LCR, 0x03);
	assert_int_equal(rd(u, RBR), 0);
	assert_int_equal(rd(u, IER), 0);
	expect_output(u, "");
}

static void plain_registers_keep_what_they_can(void **state)
{
	struct uart *u = *state;

	wr(u, LCR, 0x12);
	wr(u, MCR, 0x12);
	wr(u, SCR, 0x12);
	wr(u, IER, 0xf2);
	assert_int_equal(rd(u, LCR), 0x12);
	assert_int_equal(rd(u, MCR), 0x12);
	assert_int_equal(rd(u, SCR), 0x12);
	assert_int_equal(rd(u, IER), 0x02);
	wr(u, MCR, 0xff);
	assert_int_equal(rd(u, MCR), 0x1f);
	wr(u, LSR, 0xff);
	wr(u, MSR, 0xff);
	assert_int_equal(rd(u, LSR), 0x60);
}

static void other_offsets_read_zero_and_ignore_writes(void **state)
{
	struct uart *u = *state;

	for (unsigned int i = 8; i < 256; i++) {
		wr(u, (uint8_t)i, 5);
		assert_int_equal(rd(u, (uint8_t)i), 0);
	}
	expect_output(u, "");
}

static void msr_follows_mcr_in_loopback(void **state)
{
	static const struct {
		uint8_t mcr, lines;
	} cases[] = {
		{ 0x10, 0x00 }, { 0x18, 0x80 }, { 0x14, 0x40 },
		{ 0x13, 0x30 }, { 0x00, 0xb0 },
	};
	struct uart *u = *state;

	assert_int_equal(rd(u, MSR), 0xb0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		wr(u, MCR, cases[i].mcr);
		assert_int_equal(rd(u, MSR) & 0xf0, cases[i].lines);
	}
}

static void modem_deltas_show_once_and_ri_only_at_its_end(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x08);
	vmm_sio_serial_set_modem(u->s, 0xb0 | 0x40);
	assert_false(u->line);
	assert_int_equal(rd(u, MSR), 0xf0);
	vmm_sio_serial_set_modem(u->s, 0xb0);
	assert_true(u->line);
	assert_int_equal(rd(u, IIR), 0x00);
	assert_int_equal(rd(u, MSR), 0xb4);
	assert_false(u->line);
	assert_int_equal(rd(u, MSR), 0xb0);
	vmm_sio_serial_set_modem(u->s, 0xffffff0f);
	assert_int_equal(rd(u, MSR), 0x0b);
	vmm_sio_serial_set_modem(u->s, VMM_SIO_MODEM_CTS);
	vmm_sio_serial_set_modem(u->s, 0);
	assert_int_equal(rd(u, MSR), 0x01);
}

static void modem_outputs_are_reported_and_off_in_loopback(void **state)
{
	struct uart *u = *state;

	wr(u, MCR, 0x0b);
	assert_int_equal(u->modem, 0x0b);
	wr(u, MCR, 0x1b);
	assert_int_equal(u->modem, 0);
	wr(u, MCR, 0x1f);
	assert_int_equal(u->modem_calls, 2);
	wr(u, MCR, 0x03);
	assert_int_equal(u->modem, VMM_SIO_MODEM_DTR | VMM_SIO_MODEM_RTS);
}

static void faults_show_when_their_character_is_next(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x04);
	expect_receive(u, "a", 1);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 'b', VMM_SIO_LINE_PARITY), 0);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 'c', VMM_SIO_LINE_FRAMING),
			 0);
	expect_receive(u, "d", 1);
	assert_false(u->line);
	assert_int_equal(rd(u, LSR), 0xe1);
	assert_int_equal(rd(u, RBR), 'a');
	assert_true(u->line);
	assert_int_equal(rd(u, IIR), 0xc6);
	assert_int_equal(rd(u, LSR), 0xe5);
	assert_int_equal(rd(u, LSR), 0xe1);
	assert_int_equal(rd(u, RBR), 'b');
	assert_int_equal(rd(u, LSR), 0xe9);
	assert_int_equal(rd(u, RBR), 'c');
	assert_int_equal(rd(u, LSR), 0x61);
	assert_int_equal(rd(u, RBR), 'd');
}

static void receive_fault_refuses_what_is_no_fault(void **state)
{
	struct uart *u = *state;

	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, 0), -EINVAL);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, 0x02), -EINVAL);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, 0x104), -EINVAL);
	assert_int_equal(rd(u, LSR), 0x60);
}

static void without_fifos_one_character_is_held_and_each_gives_an_edge(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x01);
	expect_receive(u, "abc", 3);
	assert_int_equal(rd(u, IIR), 0x04);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(u->edges, i + 1);
		assert_int_equal(rd(u, RBR), 'a' + i);
	}
	assert_false(u->line);
}

static void switching_the_fifos_clears_them(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0xc9);
	assert_int_equal(rd(u, IIR), 0xc1);
	expect_receive(u, "abc", 3);
	wr(u, FCR, 0xc8);
	assert_int_equal(rd(u, IIR), 0x01);
	assert_int_equal(rd(u, LSR), 0x60);
	wr(u, FCR, 0xc0);
	assert_int_equal(rd(u, IIR), 0x01);
	expect_receive(u, "d", 1);
	wr(u, FCR, 0x06);
	assert_int_equal(rd(u, RBR), 'd');
}

static void the_line_status_interrupt_ends_when_lsr_is_read(void **state)
{
	struct uart *u = *state;

	wr(u, IER, 0x04);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, VMM_SIO_LINE_BREAK), 0);
	assert_true(u->line);
	assert_int_equal(rd(u, IIR), 0x06);
	assert_int_equal(rd(u, LSR), 0x71);
	assert_false(u->line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		uart_test(the_power_on_state_is_what_firmware_leaves),
		uart_test(what_the_guest_sends_comes_out_in_order),
		uart_test(nothing_received_is_no_interrupt_and_no_data),
		uart_test(three_characters_are_one_interrupt_until_the_last_is_read),
		uart_test(the_thr_empty_interrupt_ends_when_iir_names_it),
		uart_test(a_burst_into_thr_is_one_edge),
		uart_test(a_write_to_thr_after_iir_makes_an_edge_though_the_line_is_up),
		uart_test(enabling_the_thr_empty_interrupt_again_raises_it_again),
		uart_test(sources_are_reported_by_priority),
		uart_test(each_trigger_level_tells_data_from_timeout),
		uart_test(loopback_returns_each_byte_without_sending_it),
		uart_test(input_waits_for_the_end_of_loopback),
		uart_test(a_break_in_loopback_comes_back),
		uart_test(a_break_is_signalled_while_lcr_asks_for_it),
		uart_test(dlab_switches_to_the_divisor),
		uart_test(plain_registers_keep_what_they_can),
		uart_test(other_offsets_read_zero_and_ignore_writes),
		uart_test(msr_follows_mcr_in_loopback),
		uart_test(modem_deltas_show_once_and_ri_only_at_its_end),
		uart_test(modem_outputs_are_reported_and_off_in_loopback),
		uart_test(faults_show_when_their_character_is_next),
		uart_test(receive_fault_refuses_what_is_no_fault),
		uart_test(without_fifos_one_character_is_held_and_each_gives_an_edge),
		uart_test(switching_the_fifos_clears_them),
		uart_test(the_line_status_interrupt_ends_when_lsr_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

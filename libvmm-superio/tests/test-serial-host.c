/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The host's side of the UART, and the bugs of others that it must not have. */
#include "serial-test.h"

static void new_refuses_options_it_cannot_honour(void **state)
{
	static const struct {
		uint32_t ring, overflow, flow;
		int want;
	} cases[] = {
		{ 0, 0, 0, 0 },	      { 16, 2, 2, 0 },	     { 1u << 24, 1, 1, 0 },
		{ 8, 0, 0, -EINVAL }, { 24, 0, 0, -EINVAL }, { 1u << 25, 0, 0, -EINVAL },
		{ 0, 3, 0, -EINVAL }, { 0, 0, 3, -EINVAL },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_sio_serial_free) struct vmm_sio_serial *s = NULL;
		struct vmm_sio_serial_opts o = VMM_SIO_SERIAL_OPTS_INIT;

		o.output_ring = cases[i].ring;
		o.overflow = cases[i].overflow;
		o.flow = cases[i].flow;
		assert_int_equal(vmm_sio_serial_new(&o, &s), cases[i].want);
		assert_true((s != NULL) == (cases[i].want == 0));
	}
}

static void structs_of_other_sizes_are_judged_by_their_tail(void **state)
{
	struct {
		struct vmm_sio_serial_opts o;
		uint64_t tail;
	} big = { .o = VMM_SIO_SERIAL_OPTS_INIT };
	struct {
		struct vmm_sio_serial_ops o;
		uint64_t tail;
	} ops = { .o = VMM_SIO_SERIAL_OPS_INIT };
	struct vmm_sio_serial *s = NULL;

	big.o.size = sizeof(big);
	big.o.ops = &ops.o;
	ops.o.size = sizeof(ops);
	assert_int_equal(vmm_sio_serial_new(&big.o, &s), 0);
	vmm_sio_serial_free(s);
	s = NULL;
	ops.tail = 1;
	assert_int_equal(vmm_sio_serial_new(&big.o, &s), -E2BIG);
	big.tail = 1;
	assert_int_equal(vmm_sio_serial_new(&big.o, &s), -E2BIG);
	big.o.size = 4;
	assert_int_equal(vmm_sio_serial_new(&big.o, &s), -EINVAL);
	assert_null(s);
	big.o.size = sizeof(size_t);
	assert_int_equal(vmm_sio_serial_new(&big.o, &s), 0);
	vmm_sio_serial_free(s);
	vmm_sio_serial_free(NULL);
}

/* Every register with every value, and each callback's cause, without one callback. */
static void a_uart_without_callbacks_works(void **state)
{
	VMM_CLEANUP(vmm_sio_serial_free) struct vmm_sio_serial *s = NULL;
	uint8_t many[2000] = { 0 };

	assert_int_equal(vmm_sio_serial_new(NULL, &s), 0);
	for (unsigned int v = 0; v < 256; v++) {
		for (uint8_t r = 0; r < 8; r++) {
			vmm_sio_serial_write(s, r, (uint8_t)v);
			(void)vmm_sio_serial_read(s, r);
		}
		assert_true(vmm_sio_serial_receive(s, many, sizeof(many)) < 2000);
		vmm_sio_serial_output_done(s, 1);
	}
	vmm_sio_serial_write(s, LCR, 0x03);
	vmm_sio_serial_write(s, MCR, 0x0b);
	for (int i = 0; i < 4000; i++)
		(void)vmm_sio_serial_read(s, RBR);
	assert_int_equal(vmm_sio_serial_read(s, LSR) & 1, 0);
}

static void input_beyond_fifo_and_queue_is_refused_and_room_is_told(void **state)
{
	struct uart *u = *state;
	uint8_t data[2000];
	size_t all = 16 + VMM_SIO_SERIAL_QUEUE;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	wr(u, FCR, 0x01);
	assert_int_equal(vmm_sio_serial_receive(u->s, data, sizeof(data)), all);
	assert_int_equal(vmm_sio_serial_receive(u->s, data, 0), 0);
	assert_int_equal(vmm_sio_serial_receive(u->s, data, 1), 0);
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 0, 4), -EAGAIN);
	assert_int_equal(vmm_sio_serial_get_input_room(u->s), 0);
	for (size_t i = 0; i < all; i++) {
		assert_int_equal(rd(u, LSR), 0x61);
		assert_int_equal(rd(u, RBR), data[i]);
		assert_int_equal(u->input_ready, i + 1 == all);
		if (i + 1 < all)
			assert_int_equal(vmm_sio_serial_receive(u->s, data, 1), 0);
	}
	assert_int_equal(rd(u, LSR), 0x60);
	assert_int_equal(u->input_ready, 1);
	assert_int_equal(vmm_sio_serial_get_input_room(u->s), VMM_SIO_SERIAL_QUEUE);
}

static void each_fill_of_the_receive_fifo_is_an_edge(void **state)
{
	struct uart *u = *state;
	uint8_t data[64] = { 0 };

	wr(u, FCR, 0x01);
	wr(u, IER, 0x01);
	assert_int_equal(vmm_sio_serial_receive(u->s, data, 64), 64);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(u->edges, 1 + i / 16);
		(void)rd(u, RBR);
	}
	assert_false(u->line);
}

static void input_waits_for_rts_once_the_guest_has_used_it(void **state)
{
	static const struct {
		uint32_t flow;
		bool before, after;
	} cases[] = {
		{ VMM_SIO_FLOW_AUTO, true, false },
		{ VMM_SIO_FLOW_RTS, false, false },
		{ VMM_SIO_FLOW_NONE, true, true },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct uart u;

		uart_new(&u, 0, 0, cases[i].flow);
		expect_receive(&u, "a", 1);
		assert_int_equal(rd(&u, LSR) & 1, cases[i].before);
		(void)rd(&u, RBR);
		wr(&u, MCR, 0x0b);
		(void)rd(&u, RBR);
		expect_receive(&u, "b", 1);
		assert_int_equal(rd(&u, RBR), 'b');
		wr(&u, MCR, 0x09);
		expect_receive(&u, "c", 1);
		assert_int_equal(rd(&u, LSR) & 1, cases[i].after);
		wr(&u, IER, 0x01);
		wr(&u, MCR, 0x0b);
		assert_true(u.line);
		assert_int_equal(rd(&u, RBR), 'c');
		vmm_sio_serial_free(u.s);
	}
}

static void output_wraps_around_the_ring_in_two_pieces(void **state)
{
	struct uart u;
	struct iovec v[2];
	size_t n;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_DROP, 0);
	for (int i = 0; i < 12; i++)
		wr(&u, THR, 'a');
	vmm_sio_serial_output_done(u.s, 10);
	for (int i = 0; i < 8; i++)
		wr(&u, THR, (uint8_t)('0' + i));
	assert_int_equal(vmm_sio_serial_get_output(u.s, v, &n), 10);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].iov_len, 6);
	expect_output(&u, "aa01234567");
	vmm_sio_serial_output_done(u.s, 1000);
	assert_int_equal(vmm_sio_serial_get_output(u.s, v, &n), 0);
	assert_int_equal(n, 0);
	vmm_sio_serial_free(u.s);
}

static void fill_ring(struct uart *u)
{
	for (int i = 0; i < 16; i++)
		wr(u, THR, (uint8_t)('a' + i));
}

static void hold_keeps_thre_low_until_the_reader_takes_bytes(void **state)
{
	struct uart u;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	wr(&u, FCR, 0x01);
	fill_ring(&u);
	assert_int_equal(rd(&u, LSR), 0x60);
	wr(&u, THR, 'q');
	assert_int_equal(rd(&u, LSR), 0x00);
	wr(&u, IER, 0x02);
	assert_int_equal(rd(&u, IIR), 0xc1);
	vmm_sio_serial_output_done(u.s, 4);
	assert_true(u.line);
	assert_int_equal(rd(&u, LSR), 0x60);
	assert_int_equal(rd(&u, IIR), 0xc2);
	expect_output(&u, "efghijklmnopq");
	assert_int_equal(stats_of(&u).dropped, 0);
	vmm_sio_serial_free(u.s);
}

static void a_driver_that_waits_for_thre_loses_nothing_at_any_ring_size(void **state)
{
	struct uart u;
	uint8_t next = 0, seen = 0;
	struct vmm_test_rng rng = vmm_test_rng();

	uart_new(&u, 16, VMM_SIO_OVERFLOW_AUTO, 0);
	wr(&u, FCR, 0x01);
	wr(&u, IER, 0x02);
	for (int i = 0; i < 20000; i++) {
		struct iovec v[2];
		size_t n;

		if (u.line && (rd(&u, IIR) & 0x0f) == 0x02) {
			for (int k = 0; k < 16; k++)
				wr(&u, THR, next++);
		}
		if (vmm_test_below(&rng, 3))
			continue;
		if (vmm_sio_serial_get_output(u.s, v, &n) > 0) {
			assert_int_equal(*(uint8_t *)v[0].iov_base, seen);
			seen++;
			vmm_sio_serial_output_done(u.s, 1);
		}
	}
	assert_true(stats_of(&u).sent > 5000);
	assert_int_equal(stats_of(&u).dropped, 0);
	vmm_sio_serial_free(u.s);
}

static void a_held_guest_that_ignores_thre_loses_only_its_own_bytes(void **state)
{
	struct uart u;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	fill_ring(&u);
	wr(&u, THR, 'q');
	wr(&u, THR, 'r');
	assert_int_equal(stats_of(&u).dropped, 1);
	expect_output(&u, "abcdefghijklmnop");
	assert_int_equal(u.output_ready, 2);
	expect_output(&u, "q");
	vmm_sio_serial_free(u.s);
}

static void drop_never_makes_the_guest_wait(void **state)
{
	struct uart u;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_DROP, 0);
	wr(&u, IER, 0x02);
	fill_ring(&u);
	wr(&u, THR, 'q');
	assert_int_equal(rd(&u, LSR), 0x60);
	assert_int_equal(rd(&u, IIR), 0x02);
	assert_int_equal(stats_of(&u).dropped, 1);
	expect_output(&u, "abcdefghijklmnop");
	vmm_sio_serial_free(u.s);
}

static void auto_holds_a_waiting_driver_and_drops_a_polling_one(void **state)
{
	struct uart u;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_AUTO, 0);
	wr(&u, FCR, 0x01);
	wr(&u, IER, 0x02);
	fill_ring(&u);
	wr(&u, THR, 'q');
	assert_int_equal(rd(&u, LSR), 0x00);
	/* A kernel that prints masks the interrupt and polls. */
	wr(&u, IER, 0x00);
	assert_int_equal(rd(&u, LSR), 0x60);
	wr(&u, THR, 'X');
	assert_int_equal(stats_of(&u).dropped, 1);
	wr(&u, IER, 0x02);
	assert_int_equal(rd(&u, LSR), 0x00);
	assert_int_equal(rd(&u, IIR), 0xc1);
	expect_output(&u, "abcdefghijklmnop");
	assert_int_equal(rd(&u, IIR), 0xc2);
	expect_output(&u, "q");
	vmm_sio_serial_free(u.s);
}

static void a_reset_of_the_transmit_fifo_drops_what_is_held(void **state)
{
	struct uart u;

	uart_new(&u, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	wr(&u, FCR, 0x01);
	wr(&u, IER, 0x02);
	(void)rd(&u, IIR);
	fill_ring(&u);
	wr(&u, THR, 'q');
	assert_false(u.line);
	wr(&u, FCR, 0x05);
	assert_true(u.line);
	assert_int_equal(rd(&u, LSR), 0x60);
	assert_int_equal(stats_of(&u).dropped, 1);
	expect_output(&u, "abcdefghijklmnop");
	expect_output(&u, "");
	vmm_sio_serial_free(u.s);
}

static void stats_fill_no_more_than_the_caller_has(void **state)
{
	struct uart *u = *state;
	struct {
		struct vmm_sio_serial_stats s;
		uint64_t tail;
	} big;
	struct vmm_sio_serial_stats small;

	wr(u, THR, 'a');
	memset(&big, 0xff, sizeof(big));
	big.s.size = sizeof(big);
	vmm_sio_serial_get_stats(u->s, &big.s);
	assert_int_equal(big.s.sent, 1);
	assert_int_equal(big.tail, 0);
	memset(&small, 0xff, sizeof(small));
	small.size = offsetof(struct vmm_sio_serial_stats, dropped);
	vmm_sio_serial_get_stats(u->s, &small);
	assert_int_equal(small.sent, 1);
	assert_int_equal(small.dropped, UINT64_MAX);
}

/* UART-B1: a byte that comes while the interrupt is masked is lost to the guest. */
static void uart_b1_input_while_masked_interrupts_once_unmasked(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	expect_receive(u, "x", 1);
	assert_false(u->line);
	wr(u, IER, 0x01);
	assert_true(u->line);
	wr(u, IER, 0x00);
	assert_false(u->line);
	wr(u, IER, 0x01);
	assert_int_equal(u->edges, 2);
	assert_int_equal(rd(u, RBR), 'x');
}

/* As Firecracker saw it: the guest prints all the time while a command is typed. */
static void uart_b1_a_guest_that_prints_while_input_arrives_loses_nothing(void **state)
{
	struct uart *u = *state;
	uint8_t want = 0;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x01);
	for (int i = 0; i < 1000; i++) {
		uint8_t byte = (uint8_t)i;
		int edges = u->edges;

		wr(u, IER, 0x00);
		wr(u, THR, '.');
		assert_int_equal(vmm_sio_serial_receive(u->s, &byte, 1), 1);
		wr(u, THR, '.');
		wr(u, IER, 0x01);
		assert_int_equal(u->edges, edges + 1);
		while ((rd(u, IIR) & 0x01) == 0)
			assert_int_equal(rd(u, RBR), want++);
	}
	assert_int_equal(want, (uint8_t)1000);
}

/* UART-B2: two sources read as a third, and reading drops both. */
static void uart_b2_two_sources_are_reported_one_after_the_other(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x03);
	expect_receive(u, "x", 1);
	assert_int_equal(rd(u, IIR), 0xc4);
	assert_int_equal(rd(u, IIR), 0xc4);
	assert_true(u->line);
	assert_int_equal(rd(u, RBR), 'x');
	assert_int_equal(rd(u, IIR), 0xc2);
	assert_int_equal(rd(u, IIR), 0xc1);
}

/* UART-B3: the reset of the receive FIFO does nothing. */
static void uart_b3_fcr_resets_the_receive_fifo(void **state)
{
	struct uart *u = *state;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x01);
	expect_receive(u, "stale", 5);
	wr(u, FCR, 0x03);
	assert_int_equal(rd(u, LSR), 0x60);
	assert_false(u->line);
	assert_int_equal(rd(u, IIR), 0xc1);
	assert_int_equal(rd(u, RBR), 0);
}

/* UART-B4: no overrun is shown, input in loopback vanishes, MCR keeps unknown bits. */
static void uart_b4_an_overrun_shows_in_lsr(void **state)
{
	struct uart *u = *state;

	wr(u, MCR, 0xff);
	assert_int_equal(rd(u, MCR), 0x1f);
	wr(u, FCR, 0x01);
	wr(u, IER, 0x04);
	for (int i = 0; i < 70; i++)
		wr(u, THR, (uint8_t)i);
	assert_int_equal(rd(u, IIR), 0xc6);
	assert_int_equal(rd(u, LSR), 0x63);
	assert_int_equal(rd(u, LSR), 0x61);
	for (int i = 0; i < 16; i++)
		assert_int_equal(rd(u, RBR), i);
	assert_int_equal(stats_of(u).overruns, 54);
	/* Without FIFOs the new character takes the place of the old. */
	wr(u, FCR, 0x00);
	wr(u, THR, 'a');
	wr(u, THR, 'b');
	assert_int_equal(rd(u, LSR), 0x63);
	assert_int_equal(rd(u, RBR), 'b');
	expect_receive(u, "kept", 4);
	wr(u, MCR, 0x00);
	assert_int_equal(rd(u, RBR), 'k');
}

/* UART-B5: a host call and an interrupt for each byte. */
static void uart_b5_a_mebibyte_needs_few_wakeups_and_interrupts(void **state)
{
	struct uart *u = *state;
	size_t batches = 0;

	wr(u, FCR, 0x01);
	wr(u, IER, 0x02);
	for (int sent = 0; sent < 1 << 20; sent += 16) {
		struct iovec v[2];
		size_t n;

		assert_int_equal(rd(u, IIR), 0xc2);
		for (int i = 0; i < 16; i++)
			wr(u, THR, 'x');
		if (vmm_sio_serial_get_output(u->s, v, &n) < 4096)
			continue;
		batches++;
		vmm_sio_serial_output_done(u->s, 4096);
	}
	assert_int_equal(batches, (1 << 20) / 4096);
	assert_int_equal(u->output_ready, batches);
	assert_int_equal(u->edges, (1 << 20) / 16 + 1);
}

static void a_reset_of_the_receive_fifo_tells_of_room_as_reading_does(void **state)
{
	struct uart *u = *state;
	uint8_t data[16 + VMM_SIO_SERIAL_QUEUE] = { 0 };

	wr(u, FCR, 0x01);
	assert_int_equal(vmm_sio_serial_receive(u->s, data, sizeof(data)), sizeof(data));
	for (size_t i = 0; i < VMM_SIO_SERIAL_QUEUE; i++)
		(void)rd(u, RBR);
	assert_int_equal(u->input_ready, 0);
	wr(u, FCR, 0x03);
	assert_int_equal(u->input_ready, 1);
}

/* CVE-2020-27173: input without a limit fills the host's memory. */
static void cve_2020_27173_input_nobody_reads_is_bounded(void **state)
{
	struct uart *u = *state;
	uint8_t data[4096] = { 0 };
	size_t taken = 0;

	wr(u, FCR, 0x01);
	for (int i = 0; i < 1000; i++)
		taken += vmm_sio_serial_receive(u->s, data, sizeof(data));
	assert_int_equal(taken, 16 + VMM_SIO_SERIAL_QUEUE);
	assert_int_equal(u->input_ready, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_refuses_options_it_cannot_honour),
		cmocka_unit_test(structs_of_other_sizes_are_judged_by_their_tail),
		cmocka_unit_test(a_uart_without_callbacks_works),
		uart_test(input_beyond_fifo_and_queue_is_refused_and_room_is_told),
		uart_test(a_reset_of_the_receive_fifo_tells_of_room_as_reading_does),
		uart_test(each_fill_of_the_receive_fifo_is_an_edge),
		cmocka_unit_test(input_waits_for_rts_once_the_guest_has_used_it),
		cmocka_unit_test(output_wraps_around_the_ring_in_two_pieces),
		cmocka_unit_test(hold_keeps_thre_low_until_the_reader_takes_bytes),
		cmocka_unit_test(
		    a_driver_that_waits_for_thre_loses_nothing_at_any_ring_size),
		cmocka_unit_test(a_held_guest_that_ignores_thre_loses_only_its_own_bytes),
		cmocka_unit_test(drop_never_makes_the_guest_wait),
		cmocka_unit_test(auto_holds_a_waiting_driver_and_drops_a_polling_one),
		cmocka_unit_test(a_reset_of_the_transmit_fifo_drops_what_is_held),
		uart_test(stats_fill_no_more_than_the_caller_has),
		uart_test(uart_b1_input_while_masked_interrupts_once_unmasked),
		uart_test(uart_b1_a_guest_that_prints_while_input_arrives_loses_nothing),
		uart_test(uart_b2_two_sources_are_reported_one_after_the_other),
		uart_test(uart_b3_fcr_resets_the_receive_fifo),
		uart_test(uart_b4_an_overrun_shows_in_lsr),
		uart_test(uart_b5_a_mebibyte_needs_few_wakeups_and_interrupts),
		uart_test(cve_2020_27173_input_nobody_reads_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

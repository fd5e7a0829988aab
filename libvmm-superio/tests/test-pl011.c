/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "serial-test.h"

#include <vmm/superio-pl011.h>

enum {
	P_DR = 0x00,
	P_RSR = 0x04,
	P_FR = 0x18,
	P_ILPR = 0x20,
	P_IBRD = 0x24,
	P_FBRD = 0x28,
	P_LCRH = 0x2c,
	P_CR = 0x30,
	P_IFLS = 0x34,
	P_IMSC = 0x38,
	P_RIS = 0x3c,
	P_MIS = 0x40,
	P_ICR = 0x44,
	P_DMACR = 0x48,
};

enum {
	I_RX = 0x10,
	I_TX = 0x20,
	I_RT = 0x40,
	I_FE = 0x80,
	I_PE = 0x100,
	I_BE = 0x200,
	I_OE = 0x400
};

struct arm {
	struct uart u; /* callbacks */
	struct vmm_sio_pl011 *p;
};

static uint32_t prd(struct arm *a, uint32_t offset)
{
	return vmm_sio_pl011_read(a->p, offset);
}

static void pwr(struct arm *a, uint32_t offset, uint32_t value)
{
	vmm_sio_pl011_write(a->p, offset, value);
}

static void arm_new(struct arm *a, uint32_t ring, uint32_t overflow, uint32_t flow)
{
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;

	memset(a, 0, sizeof(*a));
	opts.ops = &uart_ops;
	opts.ctx = &a->u;
	opts.output_ring = ring;
	opts.overflow = overflow;
	opts.flow = flow;
	assert_int_equal(vmm_sio_pl011_new(&opts, &a->p), 0);
}

static int setup(void **state)
{
	static struct arm a;

	arm_new(&a, 0, 0, 0);
	*state = &a;
	return 0;
}

static int teardown(void **state)
{
	vmm_sio_pl011_free(((struct arm *)*state)->p);
	return 0;
}

static void put(struct arm *a, const char *text)
{
	assert_int_equal(vmm_sio_pl011_receive(a->p, (const uint8_t *)text, strlen(text)),
			 strlen(text));
}

static void expect_sent(struct arm *a, const char *want)
{
	struct iovec v[2];
	char got[64] = { 0 };
	size_t n, len = 0, all = vmm_sio_pl011_get_output(a->p, v, &n);

	for (size_t i = 0; i < n; i++) {
		memcpy(got + len, v[i].iov_base, v[i].iov_len);
		len += v[i].iov_len;
	}
	assert_int_equal(len, all);
	assert_string_equal(got, want);
	vmm_sio_pl011_output_done(a->p, len);
}

static void the_power_on_state_lets_early_consoles_print(void **state)
{
	static const uint8_t ids[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct arm *a = *state;

	assert_int_equal(prd(a, P_FR), 0x97);
	assert_int_equal(prd(a, P_CR), 0x301);
	assert_int_equal(prd(a, P_IFLS), 0x12);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(prd(a, 0xfe0 + 4 * i), ids[i]);
	pwr(a, P_DR, 'h');
	pwr(a, P_DR, 'i');
	assert_int_equal(a->u.output_ready, 1);
	expect_sent(a, "hi");
	assert_false(a->u.line);
}

static void plain_registers_keep_what_they_can(void **state)
{
	static const struct {
		uint32_t reg, mask;
	} regs[] = {
		{ P_ILPR, 0xff },  { P_IBRD, 0xffff }, { P_FBRD, 0x3f }, { P_IFLS, 0x3f },
		{ P_IMSC, 0x7ff }, { P_DMACR, 0x7 },   { P_LCRH, 0xff }, { P_CR, 0xff87 },
	};
	struct arm *a = *state;

	for (size_t i = 0; i < VMM_ARRAY_LEN(regs); i++) {
		pwr(a, regs[i].reg, 0xffffffff);
		assert_int_equal(prd(a, regs[i].reg), regs[i].mask);
		assert_int_equal(prd(a, regs[i].reg + 3), regs[i].mask);
	}
	for (uint32_t i = 0x4c; i < 0xfe0; i += 4) {
		pwr(a, i, 1);
		assert_int_equal(prd(a, i), 0);
	}
	assert_int_equal(prd(a, P_ICR), 0);
	assert_int_equal(prd(a, 0x1000), 0);
	pwr(a, P_IBRD, 13);
	pwr(a, P_FBRD, 1);
	assert_int_equal(vmm_sio_pl011_get_baud(a->p), 115246);
	pwr(a, P_IBRD, 0);
	pwr(a, P_FBRD, 0);
	assert_int_equal(vmm_sio_pl011_get_baud(a->p), 0);
}

static void each_receive_level_tells_data_from_timeout(void **state)
{
	static const uint8_t levels[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };
	struct arm *a = *state;

	pwr(a, P_IMSC, I_RX | I_RT);
	for (uint32_t i = 0; i < 8; i++) {
		pwr(a, P_LCRH, 0);
		pwr(a, P_LCRH, 0x10);
		pwr(a, P_IFLS, i << 3);
		for (uint32_t n = 1; n <= 16; n++) {
			put(a, "x");
			assert_true(a->u.line);
			assert_int_equal(!!(prd(a, P_RIS) & I_RX), n >= levels[i]);
		}
		assert_int_equal(prd(a, P_FR) & 0x50, 0x40);
		for (uint32_t n = 16; n > 0; n--) {
			assert_int_equal(prd(a, P_DR), 'x');
			assert_int_equal(!!(prd(a, P_RIS) & I_RX), n - 1 >= levels[i]);
			assert_int_equal(a->u.line, n > 1);
		}
		assert_int_equal(prd(a, P_DR), 0);
	}
}

static void icr_clears_and_the_next_character_interrupts_again(void **state)
{
	struct arm *a = *state;

	pwr(a, P_IMSC, I_RX | I_RT);
	pwr(a, P_LCRH, 0x10);
	put(a, "a");
	assert_int_equal(prd(a, P_MIS), I_RT);
	pwr(a, P_ICR, I_RT);
	assert_false(a->u.line);
	put(a, "b");
	assert_true(a->u.line);
	assert_int_equal(a->u.edges, 2);
}

static void each_byte_that_leaves_interrupts(void **state)
{
	struct arm *a = *state;

	pwr(a, P_IMSC, I_TX);
	assert_false(a->u.line);
	pwr(a, P_DR, 'a');
	assert_true(a->u.line);
	pwr(a, P_ICR, I_TX);
	assert_false(a->u.line);
	pwr(a, P_DR, 'b');
	assert_true(a->u.line);
	expect_sent(a, "ab");
}

static void faults_come_with_their_character(void **state)
{
	struct arm *a = *state;

	pwr(a, P_LCRH, 0x10);
	pwr(a, P_IMSC, I_FE | I_PE | I_BE);
	put(a, "a");
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 'b', VMM_SIO_LINE_PARITY), 0);
	assert_true(a->u.line);
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 'c', VMM_SIO_LINE_FRAMING), 0);
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 0, VMM_SIO_LINE_BREAK), 0);
	assert_int_equal(prd(a, P_RIS) & 0x380, I_FE | I_PE | I_BE);
	assert_int_equal(prd(a, P_DR), 'a');
	assert_int_equal(prd(a, P_RSR), 0);
	assert_int_equal(prd(a, P_DR), 0x200 | 'b');
	assert_int_equal(prd(a, P_RSR), 2);
	assert_int_equal(prd(a, P_DR), 0x100 | 'c');
	assert_int_equal(prd(a, P_DR), 0x400);
	assert_int_equal(prd(a, P_RSR), 4);
	pwr(a, P_RSR, 0xff);
	assert_int_equal(prd(a, P_RSR), 0);
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 0, 0), -EINVAL);
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 0, 1), -EINVAL);
}

static void loopback_overruns_and_returns_break_and_modem_lines(void **state)
{
	struct vmm_sio_serial_stats st = VMM_SIO_SERIAL_STATS_INIT;
	struct arm *a = *state;

	pwr(a, P_LCRH, 0x10);
	pwr(a, P_CR, 0x381 | 0x3c00);
	assert_int_equal(prd(a, P_FR) & 0x107, 0x107);
	assert_int_equal(a->u.modem, 0);
	pwr(a, P_CR, 0x381);
	assert_int_equal(prd(a, P_FR) & 0x107, 0);
	assert_int_equal(prd(a, P_RIS) & 0x0f, 0x0f);
	pwr(a, P_LCRH, 0x11);
	assert_int_equal(a->u.breaks, 0);
	assert_int_equal(prd(a, P_DR), 0x400);
	put(a, "waits");
	for (int i = 0; i < 20; i++)
		pwr(a, P_DR, (uint32_t)('a' + i));
	assert_int_equal(prd(a, P_RIS) & I_OE, I_OE);
	assert_int_equal(prd(a, P_DR), 0x800 | 'a');
	for (int i = 1; i < 16; i++)
		assert_int_equal(prd(a, P_DR), 'a' + i);
	assert_int_equal(prd(a, P_FR) & 0x10, 0x10);
	vmm_sio_pl011_get_stats(a->p, &st);
	assert_int_equal(st.overruns, 4);
	expect_sent(a, "");
	pwr(a, P_CR, 0x301);
	assert_int_equal(a->u.breaks, 1);
	assert_int_equal(prd(a, P_DR), 'w');
}

static void modem_lines_go_both_ways(void **state)
{
	struct arm *a = *state;

	pwr(a, P_IMSC, 0x0f);
	vmm_sio_pl011_set_modem(a->p, VMM_SIO_MODEM_RI);
	assert_true(a->u.line);
	assert_int_equal(prd(a, P_RIS), 0x0f);
	assert_int_equal(prd(a, P_FR), 0x190);
	pwr(a, P_ICR, 0x0f);
	assert_false(a->u.line);
	pwr(a, P_CR, 0x301 | 0x3c00);
	assert_int_equal(a->u.modem, 0x0f);
	pwr(a, P_CR, 0x301 | 0x0800);
	assert_int_equal(a->u.modem, VMM_SIO_MODEM_RTS);
}

static void input_waits_for_the_receiver_and_for_rts(void **state)
{
	struct arm *a = *state;

	pwr(a, P_CR, 0x0101);
	put(a, "a");
	assert_int_equal(prd(a, P_FR) & 0x10, 0x10);
	pwr(a, P_CR, 0x0b01);
	assert_int_equal(prd(a, P_DR), 'a');
	pwr(a, P_CR, 0x0301);
	put(a, "b");
	assert_int_equal(prd(a, P_FR) & 0x10, 0x10);
	pwr(a, P_CR, 0x0b01);
	assert_int_equal(prd(a, P_DR), 'b');
}

static void flow_can_be_always_or_never(void **state)
{
	struct arm a;

	arm_new(&a, 16, 0, VMM_SIO_FLOW_RTS);
	put(&a, "a");
	assert_int_equal(prd(&a, P_DR), 0);
	vmm_sio_pl011_free(a.p);
	arm_new(&a, 16, 0, VMM_SIO_FLOW_NONE);
	pwr(&a, P_CR, 0x0b01);
	pwr(&a, P_CR, 0x0301);
	put(&a, "a");
	assert_int_equal(prd(&a, P_DR), 'a');
	vmm_sio_pl011_free(a.p);
}

static void input_is_bounded_and_room_is_told(void **state)
{
	struct arm *a = *state;
	uint8_t data[2000] = { 0 };

	pwr(a, P_LCRH, 0x10);
	assert_int_equal(vmm_sio_pl011_receive(a->p, data, sizeof(data)),
			 16 + VMM_SIO_SERIAL_QUEUE);
	assert_int_equal(vmm_sio_pl011_get_input_room(a->p), 0);
	assert_int_equal(vmm_sio_pl011_receive_fault(a->p, 0, 4), -EAGAIN);
	for (uint32_t i = 0; i < 16 + VMM_SIO_SERIAL_QUEUE; i++) {
		assert_int_equal(a->u.input_ready, 0);
		(void)prd(a, P_DR);
	}
	assert_int_equal(a->u.input_ready, 1);
	assert_int_equal(vmm_sio_pl011_get_input_room(a->p), VMM_SIO_SERIAL_QUEUE);
}

static void a_full_ring_holds_or_drops_as_asked(void **state)
{
	struct vmm_sio_serial_stats st = VMM_SIO_SERIAL_STATS_INIT;
	struct arm a;

	arm_new(&a, 16, VMM_SIO_OVERFLOW_AUTO, 0);
	pwr(&a, P_LCRH, 0x10);
	pwr(&a, P_IMSC, I_TX);
	for (int i = 0; i < 32; i++) {
		assert_int_equal(prd(&a, P_FR) & 0x20, 0);
		pwr(&a, P_DR, (uint32_t)('a' + i));
	}
	assert_int_equal(prd(&a, P_FR) & 0xa8, 0x28);
	assert_false(a.u.line);
	pwr(&a, P_DR, 'X');
	vmm_sio_pl011_output_done(a.p, 7);
	assert_false(a.u.line);
	assert_int_equal(prd(&a, P_FR) & 0xa8, 0x08);
	vmm_sio_pl011_output_done(a.p, 1);
	assert_true(a.u.line);
	/* With the interrupt masked the guest polls, and must not wait. */
	pwr(&a, P_IMSC, 0);
	assert_int_equal(prd(&a, P_FR) & 0xa8, 0x80);
	pwr(&a, P_DR, 'Y');
	expect_sent(&a, "ijklmnopqrstuvwx");
	assert_int_equal(a.u.output_ready, 2);
	expect_sent(&a, "yz{|}~\x7f\x80");
	vmm_sio_pl011_get_stats(a.p, &st);
	assert_int_equal(st.dropped, 2);
	assert_int_equal(st.sent, 32);
	vmm_sio_pl011_free(a.p);
}

static void state_is_carried_and_raises_again(void **state)
{
	struct vmm_sio_pl011_state st = VMM_SIO_PL011_STATE_INIT,
				   st2 = VMM_SIO_PL011_STATE_INIT;
	struct arm a, b;

	arm_new(&a, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	arm_new(&b, 32, VMM_SIO_OVERFLOW_HOLD, 0);
	pwr(&a, P_LCRH, 0x11);
	pwr(&a, P_IMSC, I_RX | I_RT | I_TX);
	pwr(&a, P_CR, 0x0b01);
	pwr(&a, P_IBRD, 0x1234);
	put(&a, "0123456789abcdefqueue");
	for (int i = 0; i < 20; i++)
		pwr(&a, P_DR, (uint32_t)('A' + i));
	assert_int_equal(vmm_sio_pl011_save(a.p, &st), 0);
	assert_int_equal(st.tx_len, 4);
	assert_int_equal(vmm_sio_pl011_restore(b.p, &st, NULL), 0);
	assert_true(b.u.line);
	assert_true(b.u.break_on);
	assert_int_equal(b.u.modem, VMM_SIO_MODEM_RTS);
	assert_int_equal(vmm_sio_pl011_restore(b.p, &st, NULL), 0);
	assert_int_equal(b.u.edges, 2);
	for (const char *c = "0123456789abcdefqueue"; *c; c++)
		assert_int_equal(prd(&b, P_DR), *c);
	/* What was held has moved to the new ring, twice by now. */
	expect_sent(&b, "QRSTQRST");
	assert_int_equal(vmm_sio_pl011_save(b.p, &st2), 0);
	assert_int_equal(st2.tx_len, 0);
	assert_int_equal(st2.ibrd, 0x1234);
	vmm_sio_pl011_free(b.p);

	/* Into a full ring that drops, what was held is lost. */
	arm_new(&b, 16, VMM_SIO_OVERFLOW_DROP, 0);
	for (int i = 0; i < 16; i++)
		pwr(&b, P_DR, '.');
	assert_int_equal(vmm_sio_pl011_restore(b.p, &st, NULL), 0);
	expect_sent(&b, "................");
	expect_sent(&b, "");
	vmm_sio_pl011_free(a.p);
	vmm_sio_pl011_free(b.p);
}

static void options_are_checked_and_callbacks_optional(void **state)
{
	VMM_CLEANUP(vmm_sio_pl011_free) struct vmm_sio_pl011 *p = NULL;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	uint8_t data[2000] = { 0 };

	opts.output_ring = 17;
	assert_int_equal(vmm_sio_pl011_new(&opts, &p), -EINVAL);
	assert_null(p);
	assert_int_equal(vmm_sio_pl011_new(NULL, &p), 0);
	assert_true(vmm_sio_pl011_receive(p, data, sizeof(data)) < sizeof(data));
	for (uint32_t v = 0; v < 256; v++) {
		for (uint32_t r = 0; r < 0x50; r += 4) {
			vmm_sio_pl011_write(p, r, v * 0x101);
			(void)vmm_sio_pl011_read(p, r);
		}
	}
	vmm_sio_pl011_write(p, P_CR, 0x0301 | 0x0800);
	for (int i = 0; i < 3000; i++)
		(void)vmm_sio_pl011_read(p, P_DR);
	vmm_sio_pl011_free(NULL);
}

#define t(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(the_power_on_state_lets_early_consoles_print),
		t(plain_registers_keep_what_they_can),
		t(each_receive_level_tells_data_from_timeout),
		t(icr_clears_and_the_next_character_interrupts_again),
		t(each_byte_that_leaves_interrupts),
		t(faults_come_with_their_character),
		t(loopback_overruns_and_returns_break_and_modem_lines),
		t(modem_lines_go_both_ways),
		t(input_waits_for_the_receiver_and_for_rts),
		cmocka_unit_test(flow_can_be_always_or_never),
		t(input_is_bounded_and_room_is_told),
		cmocka_unit_test(a_full_ring_holds_or_drops_as_asked),
		cmocka_unit_test(state_is_carried_and_raises_again),
		cmocka_unit_test(options_are_checked_and_callbacks_optional),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

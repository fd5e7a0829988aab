/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SERIAL_TEST_H
#define SERIAL_TEST_H

/* A UART whose callbacks are counted, and shorthands for its registers. */

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/superio.h>

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = 0, DLL = 0, DLM = 1, FCR = 2 };

struct uart {
	struct vmm_sio_serial *s;
	bool line;
	int edges, drops, output_ready, input_ready, breaks, modem_calls;
	bool break_on;
	uint32_t modem;
};

static inline void uart_set_irq(void *ctx, bool level)
{
	struct uart *u = ctx;

	assert_true(u->line != level);
	u->line = level;
	u->edges += level;
	u->drops += !level;
}

static inline void uart_output_ready(void *ctx)
{
	((struct uart *)ctx)->output_ready++;
}

static inline void uart_input_ready(void *ctx)
{
	((struct uart *)ctx)->input_ready++;
}

static inline void uart_set_break(void *ctx, bool on)
{
	struct uart *u = ctx;

	u->breaks++;
	u->break_on = on;
}

static inline void uart_set_modem(void *ctx, uint32_t lines)
{
	struct uart *u = ctx;

	u->modem_calls++;
	u->modem = lines;
}

static const struct vmm_sio_serial_ops uart_ops = {
	.size = sizeof(uart_ops),
	.set_irq = uart_set_irq,
	.output_ready = uart_output_ready,
	.input_ready = uart_input_ready,
	.set_break = uart_set_break,
	.set_modem = uart_set_modem,
};

static inline void uart_new(struct uart *u, uint32_t ring, uint32_t overflow,
			    uint32_t flow)
{
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;

	memset(u, 0, sizeof(*u));
	opts.ops = &uart_ops;
	opts.ctx = u;
	opts.output_ring = ring;
	opts.overflow = overflow;
	opts.flow = flow;
	assert_int_equal(vmm_sio_serial_new(&opts, &u->s), 0);
}

static inline uint8_t rd(struct uart *u, uint8_t offset)
{
	return vmm_sio_serial_read(u->s, offset);
}

static inline void wr(struct uart *u, uint8_t offset, uint8_t value)
{
	vmm_sio_serial_write(u->s, offset, value);
}

static inline void expect_receive(struct uart *u, const char *text, size_t want)
{
	assert_int_equal(
	    vmm_sio_serial_receive(u->s, (const uint8_t *)text, strlen(text)), want);
}

/* Take all output; it must be @want. */
static inline void expect_output(struct uart *u, const char *want)
{
	struct iovec v[2];
	char got[256];
	size_t n, len = 0, all = vmm_sio_serial_get_output(u->s, v, &n);

	for (size_t i = 0; i < n; i++) {
		assert_true(len + v[i].iov_len < sizeof(got));
		memcpy(got + len, v[i].iov_base, v[i].iov_len);
		len += v[i].iov_len;
	}
	got[len] = '\0';
	assert_int_equal(len, all);
	assert_string_equal(got, want);
	vmm_sio_serial_output_done(u->s, len);
}

static inline struct vmm_sio_serial_stats stats_of(struct uart *u)
{
	struct vmm_sio_serial_stats st = VMM_SIO_SERIAL_STATS_INIT;

	vmm_sio_serial_get_stats(u->s, &st);
	return st;
}

static inline int uart_setup(void **state)
{
	static struct uart u;

	uart_new(&u, 0, 0, 0);
	*state = &u;
	return 0;
}

static inline int uart_teardown(void **state)
{
	vmm_sio_serial_free(((struct uart *)*state)->s);
	return 0;
}

#define uart_test(f) cmocka_unit_test_setup_teardown(f, uart_setup, uart_teardown)

#endif

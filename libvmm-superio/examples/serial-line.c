/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver writes a line through the UART to standard output, as a kernel does: with the
 * THR-empty interrupt, up to a FIFO of bytes each time. Half way the machine is moved to
 * a new object, as in a snapshot.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vmm/superio.h>

enum { THR, IER, IIR, LCR };

struct machine {
	struct vmm_sio_serial *uart;
	const char *left;
	bool irq;
	bool output;
};

/* An irqfd in a real VMM. */
static void set_irq(void *ctx, bool level)
{
	((struct machine *)ctx)->irq = level;
}

/* Wakes the event loop in a real VMM. */
static void output_ready(void *ctx)
{
	((struct machine *)ctx)->output = true;
}

static int make(struct machine *m)
{
	struct vmm_sio_serial_ops ops = VMM_SIO_SERIAL_OPS_INIT;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;

	ops.set_irq = set_irq;
	ops.output_ready = output_ready;
	opts.ops = &ops;
	opts.ctx = m;
	return vmm_sio_serial_new(&opts, &m->uart);
}

/* The guest's side: one interrupt. */
static void driver_interrupt(struct machine *m)
{
	if ((vmm_sio_serial_read(m->uart, IIR) & 0x0f) != 0x02)
		return;
	for (int i = 0; i < 16 && *m->left; i++)
		vmm_sio_serial_write(m->uart, THR, (uint8_t)*m->left++);
	if (!*m->left)
		vmm_sio_serial_write(m->uart, IER, 0x00);
}

/* The host's side: one round of the event loop. */
static int flush_output(struct machine *m)
{
	struct iovec v[2];
	ssize_t done;
	size_t n;

	m->output = false;
	while (vmm_sio_serial_get_output(m->uart, v, &n) > 0) {
		done = writev(STDOUT_FILENO, v, (int)n);
		if (done < 0)
			return -1;
		vmm_sio_serial_output_done(m->uart, (size_t)done);
	}
	return 0;
}

/* Save, make anew, restore. The line rises again if an interrupt is due. */
static int move(struct machine *m)
{
	struct vmm_sio_serial_state state = VMM_SIO_SERIAL_STATE_INIT;
	struct vmm_error err;

	if (flush_output(m) < 0 || vmm_sio_serial_save(m->uart, &state) < 0)
		return -1;
	vmm_sio_serial_free(m->uart);
	m->uart = NULL;
	m->irq = false;
	if (make(m) < 0)
		return -1;
	if (vmm_sio_serial_restore(m->uart, &state, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	return 0;
}

int main(void)
{
	struct machine m = { .left =
				 "A line of more than one FIFO, through a 16550A.\n" };
	int moved = 0;

	if (make(&m) < 0)
		return 1;
	vmm_sio_serial_write(m.uart, 2, 0x01);
	vmm_sio_serial_write(m.uart, IER, 0x02);
	while (m.irq) {
		driver_interrupt(&m);
		if (!moved++ && move(&m) < 0)
			return 1;
		if (m.output && flush_output(&m) < 0)
			return 1;
	}
	vmm_sio_serial_free(m.uart);
	return *m.left ? 1 : 0;
}

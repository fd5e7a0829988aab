/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The host's side of the UART: making it, input, output, counters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serial.h"

int vmm_sio_serial_new(const struct vmm_sio_serial_opts *opts,
		       struct vmm_sio_serial **out)
{
	struct vmm_sio_serial_opts o;
	struct vmm_sio_serial_ops ops;
	struct vmm_sio_serial *s;
	int ret;

	ret = sio_serial_opts_in(&o, &ops, opts);
	if (ret < 0)
		return ret;

	s = sio_alloc(sizeof(*s) + o.output_ring);
	if (!s)
		return -ENOMEM;

	s->ops = ops;
	s->ctx = o.ctx;
	s->overflow = o.overflow;
	s->flow = o.flow;
	s->clock_hz = o.clock_hz ? o.clock_hz : VMM_SIO_SERIAL_CLOCK;
	s->ring.data = s->ring_data;
	s->ring.size = o.output_ring;
	s->rx.data = s->rx_data;
	s->rx.mask = VMM_SIO_SERIAL_FIFO - 1;
	s->queue.data = s->queue_data;
	s->queue.mask = VMM_SIO_SERIAL_QUEUE - 1;
	s->lcr = 0x03;
	s->mcr = VMM_SIO_MODEM_OUT2;
	s->outputs = VMM_SIO_MODEM_OUT2;
	s->dll = 12;
	s->modem = VMM_SIO_MODEM_DCD | VMM_SIO_MODEM_DSR | VMM_SIO_MODEM_CTS;
	s->msr = s->modem;
	serial_update(s);
	*out = s;
	return 0;
}

void vmm_sio_serial_free(struct vmm_sio_serial *s)
{
	free(s);
}

size_t vmm_sio_serial_get_input_room(const struct vmm_sio_serial *s)
{
	return s->want_room ? 0 : VMM_SIO_SERIAL_QUEUE - sio_fifo_len(&s->queue);
}

static bool queue_is_full(const struct vmm_sio_serial *s)
{
	return sio_fifo_len(&s->queue) == VMM_SIO_SERIAL_QUEUE;
}

size_t vmm_sio_serial_receive(struct vmm_sio_serial *s, const uint8_t *data, size_t len)
{
	size_t n = 0;

	/* It was full: the pause lasts until all is read, whoever calls. */
	if (s->want_room)
		return 0;

	do {
		while (n < len && !queue_is_full(s))
			sio_fifo_push(&s->queue, data[n++]);
	} while (serial_fill_rx(s) && n < len);

	if (queue_is_full(s) || n < len)
		s->want_room = true;
	serial_update(s);
	return n;
}

int vmm_sio_serial_receive_fault(struct vmm_sio_serial *s, uint8_t data, uint32_t faults)
{
	if (faults == 0 || (faults & ~LSR_FAULTS))
		return -EINVAL;
	if (s->want_room)
		return -EAGAIN;

	sio_fifo_push(&s->queue, (uint16_t)(data | faults << 8));
	(void)serial_fill_rx(s);
	s->want_room = queue_is_full(s);
	serial_update(s);
	return 0;
}

size_t vmm_sio_serial_get_output(const struct vmm_sio_serial *s, struct iovec out[2],
				 size_t *n)
{
	return sio_ring_peek(&s->ring, out, n);
}

void vmm_sio_serial_output_done(struct vmm_sio_serial *s, size_t bytes)
{
	sio_ring_drop(&s->ring, bytes);
	serial_take_held(s);
	serial_update(s);
}

uint32_t vmm_sio_serial_get_baud(const struct vmm_sio_serial *s)
{
	uint32_t divisor = (uint32_t)s->dlm << 8 | s->dll;

	return divisor ? s->clock_hz / 16 / divisor : 0;
}

bool vmm_sio_serial_irq_is_raised(const struct vmm_sio_serial *s)
{
	return s->irq;
}

void vmm_sio_serial_get_stats(const struct vmm_sio_serial *s,
			      struct vmm_sio_serial_stats *out)
{
	struct vmm_sio_serial_stats stats = {
		.received = s->received,
		.sent = sio_ring_total(&s->ring),
		.dropped = s->dropped,
		.overruns = s->overruns,
		.interrupts = s->interrupts,
	};

	sio_stats_out(out, &stats, sizeof(stats));
}

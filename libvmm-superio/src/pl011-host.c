/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The host's side of the PL011, and its state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pl011.h"

#define CHAR_MASK (0xffu | PL011_FAULTS << 8)

int vmm_sio_pl011_new(const struct vmm_sio_serial_opts *opts, struct vmm_sio_pl011 **out)
{
	struct vmm_sio_serial_opts o;
	struct vmm_sio_serial_ops ops;
	struct vmm_sio_pl011 *p;
	int ret;

	ret = sio_serial_opts_in(&o, &ops, opts);
	if (ret < 0)
		return ret;

	p = sio_alloc(sizeof(*p) + o.output_ring);
	if (!p)
		return -ENOMEM;

	p->ops = ops;
	p->ctx = o.ctx;
	p->overflow = o.overflow;
	p->flow = o.flow;
	p->clock_hz = o.clock_hz ? o.clock_hz : VMM_SIO_PL011_CLOCK;
	p->ring.data = p->ring_data;
	p->ring.size = o.output_ring;
	p->rx.data = p->rx_data;
	p->rx.mask = VMM_SIO_SERIAL_FIFO - 1;
	p->queue.data = p->queue_data;
	p->queue.mask = VMM_SIO_SERIAL_QUEUE - 1;
	p->cr = 0x0301;
	p->ifls = 0x12;
	p->modem = VMM_SIO_MODEM_DCD | VMM_SIO_MODEM_DSR | VMM_SIO_MODEM_CTS;
	p->seen_modem = p->modem;
	*out = p;
	return 0;
}

void vmm_sio_pl011_free(struct vmm_sio_pl011 *p)
{
	free(p);
}

size_t vmm_sio_pl011_get_input_room(const struct vmm_sio_pl011 *p)
{
	return p->want_room ? 0 : VMM_SIO_SERIAL_QUEUE - sio_fifo_len(&p->queue);
}

static bool queue_is_full(const struct vmm_sio_pl011 *p)
{
	return sio_fifo_len(&p->queue) == VMM_SIO_SERIAL_QUEUE;
}

size_t vmm_sio_pl011_receive(struct vmm_sio_pl011 *p, const uint8_t *data, size_t len)
{
	size_t n = 0;

	/* It was full: the pause lasts until all is read, whoever calls. */
	if (p->want_room)
		return 0;

	do {
		while (n < len && !queue_is_full(p))
			sio_fifo_push(&p->queue, data[n++]);
	} while (pl011_fill_rx(p) && n < len);

	if (queue_is_full(p) || n < len)
		p->want_room = true;
	pl011_update(p);
	return n;
}

int vmm_sio_pl011_receive_fault(struct vmm_sio_pl011 *p, uint8_t data, uint32_t faults)
{
	if (faults == 0 || (faults & ~PL011_FAULTS))
		return -EINVAL;
	if (p->want_room)
		return -EAGAIN;

	sio_fifo_push(&p->queue, (uint16_t)(data | faults << 8));
	(void)pl011_fill_rx(p);
	p->want_room = queue_is_full(p);
	pl011_update(p);
	return 0;
}

void vmm_sio_pl011_set_modem(struct vmm_sio_pl011 *p, uint32_t lines)
{
	p->modem = lines & PL011_MODEM_IN;
	pl011_update_modem(p);
	pl011_update(p);
}

size_t vmm_sio_pl011_get_output(const struct vmm_sio_pl011 *p, struct iovec out[2],
				size_t *n)
{
	return sio_ring_peek(&p->ring, out, n);
}

static void take_held(struct vmm_sio_pl011 *p)
{
	bool was_empty = sio_ring_used(&p->ring) == 0;

	pl011_drain_tx(p);
	if (was_empty && sio_ring_used(&p->ring) > 0 && p->ops.output_ready)
		p->ops.output_ready(p->ctx);
}

void vmm_sio_pl011_output_done(struct vmm_sio_pl011 *p, size_t bytes)
{
	sio_ring_drop(&p->ring, bytes);
	if (p->tx_len == 0)
		return;
	take_held(p);
	pl011_update(p);
}

uint32_t vmm_sio_pl011_get_baud(const struct vmm_sio_pl011 *p)
{
	uint32_t divisor = (uint32_t)p->ibrd << 6 | p->fbrd;

	return divisor ? (uint32_t)((uint64_t)p->clock_hz * 4 / divisor) : 0;
}

void vmm_sio_pl011_get_stats(const struct vmm_sio_pl011 *p,
			     struct vmm_sio_serial_stats *out)
{
	struct vmm_sio_serial_stats stats = {
		.received = p->received,
		.sent = sio_ring_total(&p->ring),
		.dropped = p->dropped,
		.overruns = p->overruns,
		.interrupts = p->interrupts,
	};

	sio_stats_out(out, &stats, sizeof(stats));
}

int vmm_sio_pl011_save(const struct vmm_sio_pl011 *p, struct vmm_sio_pl011_state *out)
{
	struct vmm_sio_pl011_state st;

	memset(&st, 0, sizeof(st));
	st.size = sizeof(st);
	st.version = VMM_SIO_PL011_STATE_VERSION;
	st.flags = p->rts_seen ? VMM_SIO_SERIAL_STATE_RTS_SEEN : 0;
	st.ibrd = p->ibrd;
	st.cr = p->cr;
	st.ifls = p->ifls;
	st.imsc = p->imsc;
	st.ris = p->ris;
	st.fbrd = p->fbrd;
	st.lcr_h = p->lcr_h;
	st.ilpr = p->ilpr;
	st.dmacr = p->dmacr;
	st.rsr = p->rsr;
	st.modem = p->modem;
	st.tx_len = p->tx_len;
	st.rx_len = (uint8_t)sio_fifo_len(&p->rx);
	st.queue_len = (uint16_t)sio_fifo_len(&p->queue);
	memcpy(st.tx, p->tx, p->tx_len);
	sio_fifo_save(&p->rx, st.rx);
	sio_fifo_save(&p->queue, st.queue);
	return sio_state_out(out, &st, sizeof(st));
}

static int check_registers(const struct vmm_sio_pl011_state *st, struct vmm_error *err)
{
	if ((st->flags & ~VMM_SIO_SERIAL_STATE_RTS_SEEN) || st->reserved_ ||
	    !sio_is_zero(st->reserved_end_, sizeof(st->reserved_end_)))
		return sio_bad_state(err, "a reserved bit", st->flags);
	if (st->cr & ~CR_MASK)
		return sio_bad_state(err, "UARTCR", st->cr);
	if (st->ifls > 0x3f || st->fbrd > 0x3f || st->dmacr > 7)
		return sio_bad_state(err, "UARTIFLS, UARTFBRD or UARTDMACR", st->ifls);
	if ((st->imsc & ~INT_MASK) || (st->ris & ~INT_MASK))
		return sio_bad_state(err, "UARTIMSC or UARTRIS", st->ris);
	if (st->rsr & ~RSR_MASK)
		return sio_bad_state(err, "UARTRSR", st->rsr);
	if (st->modem & ~PL011_MODEM_IN)
		return sio_bad_state(err, "the modem input", st->modem);
	if (!(st->cr & CR_LOOP) && (st->cr & CR_RTS) && !st->flags)
		return sio_bad_state(err, "RTS never seen, with UARTCR", st->cr);
	if (st->rx_len == 0 && (st->ris & INT_RT))
		return sio_bad_state(err, "UARTRIS with nothing received", st->ris);
	return 0;
}

static int check_fifos(const struct vmm_sio_pl011_state *st, struct vmm_error *err)
{
	uint32_t depth = st->lcr_h & LCRH_FEN ? VMM_SIO_SERIAL_FIFO : 1;

	/* The transmit FIFO keeps what it had when FIFOs are switched off. */
	if (st->tx_len > VMM_SIO_SERIAL_FIFO ||
	    !sio_is_zero(st->tx + st->tx_len, VMM_SIO_SERIAL_FIFO - st->tx_len))
		return sio_bad_state(err, "the transmit FIFO, of length", st->tx_len);
	if (st->rx_len > depth ||
	    !sio_fifo_check(st->rx, st->rx_len, VMM_SIO_SERIAL_FIFO, CHAR_MASK))
		return sio_bad_state(err, "the receive FIFO, of length", st->rx_len);
	if (!sio_fifo_check(st->queue, st->queue_len, VMM_SIO_SERIAL_QUEUE, CHAR_MASK))
		return sio_bad_state(err, "the queue, of length", st->queue_len);
	return 0;
}

static void take_state(struct vmm_sio_pl011 *p, const struct vmm_sio_pl011_state *st)
{
	p->ibrd = st->ibrd;
	p->cr = st->cr;
	p->ifls = st->ifls;
	p->imsc = st->imsc;
	p->ris = st->ris;
	p->fbrd = st->fbrd;
	p->lcr_h = st->lcr_h;
	p->ilpr = st->ilpr;
	p->dmacr = st->dmacr;
	p->rsr = st->rsr;
	p->modem = st->modem;
	p->seen_modem = pl011_modem_lines(p->cr, p->modem);
	p->rts_seen = st->flags & VMM_SIO_SERIAL_STATE_RTS_SEEN;
	memcpy(p->tx, st->tx, st->tx_len);
	p->tx_len = st->tx_len;
	sio_fifo_load(&p->rx, st->rx, st->rx_len);
	sio_fifo_load(&p->queue, st->queue, st->queue_len);
	p->want_room = p->want_room || queue_is_full(p);
}

int vmm_sio_pl011_restore(struct vmm_sio_pl011 *p,
			  const struct vmm_sio_pl011_state *state, struct vmm_error *err)
{
	struct vmm_sio_pl011_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_PL011_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	ret = check_registers(&st, err);
	if (ret < 0)
		return ret;
	ret = check_fifos(&st, err);
	if (ret < 0)
		return ret;

	/* No interrupt is enabled: the line drops. */
	p->imsc = 0;
	pl011_update(p);
	take_state(p, &st);
	take_held(p);
	if (p->overflow == VMM_SIO_OVERFLOW_DROP) {
		p->dropped += p->tx_len;
		p->tx_len = 0;
	}
	pl011_report_lines(p);
	if (sio_fifo_len(&p->rx) == 0)
		(void)pl011_fill_rx(p);
	pl011_update(p);
	pl011_report_room(p);
	return 0;
}

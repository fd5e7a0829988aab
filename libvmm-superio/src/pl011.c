/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The registers of the PL011: what the guest sees. */
#include <string.h>

#include "pl011.h"

/* Level in characters for a selection of IFLS; reserved values count as the highest. */
static uint32_t level(const struct vmm_sio_pl011 *p, uint32_t select)
{
	static const uint8_t levels[8] = { 2, 4, 8, 12, 14, 14, 14, 14 };

	return levels[select & 7];
}

static uint32_t rx_level(const struct vmm_sio_pl011 *p)
{
	return p->lcr_h & LCRH_FEN ? level(p, p->ifls >> 3u) : 1;
}

static uint32_t tx_level(const struct vmm_sio_pl011 *p)
{
	return p->lcr_h & LCRH_FEN ? level(p, p->ifls) : 0;
}

void pl011_update(struct vmm_sio_pl011 *p)
{
	bool raised = p->ris & p->imsc;

	if (raised == p->irq)
		return;
	p->irq = raised;
	p->interrupts += raised;
	if (p->ops.set_irq)
		p->ops.set_irq(p->ctx, raised);
}

static uint8_t outputs_of(uint16_t cr)
{
	return (uint8_t)((cr & CR_DTR ? VMM_SIO_MODEM_DTR : 0) |
			 (cr & CR_RTS ? VMM_SIO_MODEM_RTS : 0) |
			 (cr & CR_OUT1 ? VMM_SIO_MODEM_OUT1 : 0) |
			 (cr & CR_OUT2 ? VMM_SIO_MODEM_OUT2 : 0));
}

void pl011_report_lines(struct vmm_sio_pl011 *p)
{
	uint8_t outputs = pl011_loop(p) ? 0 : outputs_of(p->cr);
	bool break_on = (p->lcr_h & LCRH_BREAK) && !pl011_loop(p);

	if (outputs & VMM_SIO_MODEM_RTS)
		p->rts_seen = true;
	if (outputs != p->outputs) {
		p->outputs = outputs;
		if (p->ops.set_modem)
			p->ops.set_modem(p->ctx, outputs);
	}
	if (break_on != p->break_on) {
		p->break_on = break_on;
		if (p->ops.set_break)
			p->ops.set_break(p->ctx, break_on);
	}
}

void pl011_report_room(struct vmm_sio_pl011 *p)
{
	if (!p->want_room || sio_fifo_len(&p->queue) > 0 || sio_fifo_len(&p->rx) > 0)
		return;
	p->want_room = false;
	if (p->ops.input_ready)
		p->ops.input_ready(p->ctx);
}

uint8_t pl011_modem_lines(uint16_t cr, uint8_t modem)
{
	if (!(cr & CR_LOOP))
		return modem;
	return (uint8_t)((cr & CR_RTS ? VMM_SIO_MODEM_CTS : 0) |
			 (cr & CR_DTR ? VMM_SIO_MODEM_DSR : 0) |
			 (cr & CR_OUT1 ? VMM_SIO_MODEM_DCD : 0) |
			 (cr & CR_OUT2 ? VMM_SIO_MODEM_RI : 0));
}

void pl011_update_modem(struct vmm_sio_pl011 *p)
{
	uint8_t lines = pl011_modem_lines(p->cr, p->modem);
	uint8_t changed = lines ^ p->seen_modem;

	p->seen_modem = lines;
	p->ris |= (uint16_t)((changed & VMM_SIO_MODEM_RI ? INT_RI : 0) |
			     (changed & VMM_SIO_MODEM_CTS ? INT_CTS : 0) |
			     (changed & VMM_SIO_MODEM_DCD ? INT_DCD : 0) |
			     (changed & VMM_SIO_MODEM_DSR ? INT_DSR : 0));
}

/* A character goes into the receive FIFO, which has room. */
static void arrive(struct vmm_sio_pl011 *p, uint16_t c)
{
	uint32_t faults = (uint32_t)c >> 8;

	sio_fifo_push(&p->rx, c);
	p->ris |= (uint16_t)((faults & VMM_SIO_LINE_FRAMING ? INT_FE : 0) |
			     (faults & VMM_SIO_LINE_PARITY ? INT_PE : 0) |
			     (faults & VMM_SIO_LINE_BREAK ? INT_BE : 0));
	p->ris |= sio_fifo_len(&p->rx) >= rx_level(p) ? INT_RX : INT_RT;
}

static bool line_is_held(const struct vmm_sio_pl011 *p)
{
	if (pl011_loop(p) || !(p->cr & CR_UARTEN) || !(p->cr & CR_RXE))
		return true;
	if (p->flow == VMM_SIO_FLOW_NONE || (p->cr & CR_RTS))
		return false;
	return p->flow == VMM_SIO_FLOW_RTS || p->rts_seen;
}

bool pl011_fill_rx(struct vmm_sio_pl011 *p)
{
	bool some = false;

	if (line_is_held(p))
		return false;
	while (sio_fifo_len(&p->rx) < pl011_depth(p) && sio_fifo_len(&p->queue) > 0) {
		arrive(p, sio_fifo_pop(&p->queue));
		some = true;
	}
	return some;
}

void pl011_drain_tx(struct vmm_sio_pl011 *p)
{
	uint8_t n = 0, before = p->tx_len;

	while (n < p->tx_len && sio_ring_has_room(&p->ring)) {
		sio_ring_push(&p->ring, p->tx[n]);
		n++;
	}
	memmove(p->tx, p->tx + n, p->tx_len - n);
	p->tx_len = (uint8_t)(p->tx_len - n);
	if (before > tx_level(p) && p->tx_len <= tx_level(p))
		p->ris |= INT_TX;
}

static void loop_back(struct vmm_sio_pl011 *p, uint16_t c)
{
	if (sio_fifo_len(&p->rx) < pl011_depth(p)) {
		arrive(p, c);
		return;
	}
	p->overruns++;
	p->rsr |= RSR_OE;
	p->ris |= INT_OE;
}

static void write_dr(struct vmm_sio_pl011 *p, uint8_t byte)
{
	if (pl011_loop(p)) {
		loop_back(p, byte);
	} else if (p->tx_len == 0 && sio_ring_has_room(&p->ring)) {
		sio_ring_push(&p->ring, byte);
		if (sio_ring_used(&p->ring) == 1 && p->ops.output_ready)
			p->ops.output_ready(p->ctx);
	} else if (pl011_holds(p) && p->tx_len < pl011_depth(p)) {
		p->tx[p->tx_len++] = byte;
	} else {
		p->dropped++;
	}

	if (pl011_holds(p) && p->tx_len > tx_level(p))
		p->ris &= (uint16_t)~INT_TX;
	else
		p->ris |= INT_TX;
	pl011_update(p);
}

static uint32_t read_dr(struct vmm_sio_pl011 *p)
{
	uint32_t len, c, overrun = p->rsr & RSR_OE;

	if (sio_fifo_len(&p->rx) == 0)
		return 0;

	c = sio_fifo_pop(&p->rx);
	p->received++;
	p->rsr = (uint8_t)((c >> 8 & VMM_SIO_LINE_FRAMING ? RSR_FE : 0) |
			   (c >> 8 & VMM_SIO_LINE_PARITY ? RSR_PE : 0) |
			   (c >> 8 & VMM_SIO_LINE_BREAK ? RSR_BE : 0) | overrun);
	len = sio_fifo_len(&p->rx);
	if (len < rx_level(p))
		p->ris &= (uint16_t)~INT_RX;
	if (len == 0)
		p->ris &= (uint16_t)~INT_RT;
	else if (len < rx_level(p))
		p->ris |= INT_RT;
	pl011_update(p);
	/* As with the 16550A: what waits arrives after the line has dropped. */
	if (len == 0 && pl011_fill_rx(p))
		pl011_update(p);
	pl011_report_room(p);
	c = (c & 0xff) | (uint32_t)p->rsr << 8;
	/* OE belongs to the characters read until the FIFO has room, which it has now. */
	p->rsr &= (uint8_t)~RSR_OE;
	return c;
}

static uint32_t read_fr(const struct vmm_sio_pl011 *p)
{
	uint32_t fr = 0, len = sio_fifo_len(&p->rx);
	bool held = pl011_holds(p) && p->tx_len > 0;

	fr |= p->seen_modem & VMM_SIO_MODEM_CTS ? 0x001 : 0;
	fr |= p->seen_modem & VMM_SIO_MODEM_DSR ? 0x002 : 0;
	fr |= p->seen_modem & VMM_SIO_MODEM_DCD ? 0x004 : 0;
	fr |= held ? 0x008 : 0x080;
	fr |= len == 0 ? 0x010 : 0;
	fr |= held && p->tx_len >= pl011_depth(p) ? 0x020 : 0;
	fr |= len >= pl011_depth(p) ? 0x040 : 0;
	fr |= p->seen_modem & VMM_SIO_MODEM_RI ? 0x100 : 0;
	return fr;
}

uint32_t vmm_sio_pl011_read(struct vmm_sio_pl011 *p, uint32_t offset)
{
	static const uint8_t ids[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	offset &= ~UINT32_C(3);
	if (offset >= 0xfe0 && offset <= 0xffc)
		return ids[(offset - 0xfe0) >> 2];

	switch (offset) {
	case 0x00:
		return read_dr(p);
	case 0x04:
		return p->rsr;
	case 0x18:
		return read_fr(p);
	case 0x20:
		return p->ilpr;
	case 0x24:
		return p->ibrd;
	case 0x28:
		return p->fbrd;
	case 0x2c:
		return p->lcr_h;
	case 0x30:
		return p->cr;
	case 0x34:
		return p->ifls;
	case 0x38:
		return p->imsc;
	case 0x3c:
		return p->ris;
	case 0x40:
		return p->ris & p->imsc;
	case 0x48:
		return p->dmacr;
	default:
		return 0;
	}
}

static void write_lcr_h(struct vmm_sio_pl011 *p, uint8_t value)
{
	uint8_t changed = value ^ p->lcr_h;

	p->lcr_h = value;
	if (changed & LCRH_FEN) {
		sio_fifo_clear(&p->rx);
		p->ris &= (uint16_t) ~(INT_RX | INT_RT);
	}
	if (pl011_loop(p) && (changed & value & LCRH_BREAK))
		loop_back(p, VMM_SIO_LINE_BREAK << 8);
	pl011_report_lines(p);
	if (sio_fifo_len(&p->rx) == 0)
		(void)pl011_fill_rx(p);
	pl011_report_room(p);
}

static void write_cr(struct vmm_sio_pl011 *p, uint16_t value)
{
	p->cr = value & CR_MASK;
	pl011_update_modem(p);
	pl011_report_lines(p);
	(void)pl011_fill_rx(p);
}

void vmm_sio_pl011_write(struct vmm_sio_pl011 *p, uint32_t offset, uint32_t value)
{
	switch (offset & ~UINT32_C(3)) {
	case 0x00:
		write_dr(p, (uint8_t)value);
		return;
	case 0x04:
		p->rsr = 0;
		break;
	case 0x20:
		p->ilpr = (uint8_t)value;
		break;
	case 0x24:
		p->ibrd = (uint16_t)value;
		break;
	case 0x28:
		p->fbrd = value & 0x3f;
		break;
	case 0x2c:
		write_lcr_h(p, (uint8_t)value);
		break;
	case 0x30:
		write_cr(p, (uint16_t)value);
		break;
	case 0x34:
		p->ifls = value & 0x3f;
		break;
	case 0x38:
		p->imsc = value & INT_MASK;
		break;
	case 0x44:
		p->ris &= (uint16_t)~value;
		break;
	case 0x48:
		p->dmacr = value & 7;
		break;
	default:
		break;
	}
	pl011_update(p);
}

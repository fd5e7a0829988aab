/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The registers of the UART: what the guest sees. */
#include <string.h>

#include "serial.h"

static uint32_t rx_trigger(const struct vmm_sio_serial *s)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return serial_fifo_on(s) ? levels[s->fcr >> 6] : 1;
}

/* PC16550D, table IV: the pending source of highest priority. */
static uint8_t pending_source(const struct vmm_sio_serial *s)
{
	uint32_t len = sio_fifo_len(&s->rx);

	if ((s->ier & IER_RLSI) && s->lsr)
		return IIR_LINE_STATUS;
	if ((s->ier & IER_RDI) && len > 0)
		return len >= rx_trigger(s) ? IIR_DATA : IIR_TIMEOUT;
	if ((s->ier & IER_THRI) && s->thri)
		return IIR_THR_EMPTY;
	if ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

void serial_update(struct vmm_sio_serial *s)
{
	bool level = pending_source(s) != IIR_NONE;

	bool plain = !(s->lcr & LCR_DLAB) && !serial_loop(s) && s->tx_len == 0 &&
		     !(s->ier & IER_THRI) && sio_ring_used(&s->ring) > 0;

	s->plain_end = plain ? s->ring.tail + s->ring.size : s->ring.head;
	if (level == s->irq)
		return;

	s->irq = level;
	s->irq_seen = false;
	s->interrupts += level;
	if (s->ops.set_irq)
		s->ops.set_irq(s->ctx, level);
}

void serial_report_lines(struct vmm_sio_serial *s)
{
	uint8_t outputs = serial_loop(s) ? 0 : s->mcr & MCR_OUTPUTS;
	bool break_on = (s->lcr & LCR_BREAK) && !serial_loop(s);

	if (outputs & MCR_RTS)
		s->rts_seen = true;
	if (outputs != s->outputs) {
		s->outputs = outputs;
		if (s->ops.set_modem)
			s->ops.set_modem(s->ctx, outputs);
	}
	if (break_on != s->break_on) {
		s->break_on = break_on;
		if (s->ops.set_break)
			s->ops.set_break(s->ctx, break_on);
	}
}

/* Not before all is read: the pause until more comes lets the guest leave its handler,
 * and do something about what it has. */
void serial_report_room(struct vmm_sio_serial *s)
{
	if (!s->want_room || sio_fifo_len(&s->queue) > 0 || sio_fifo_len(&s->rx) > 0)
		return;

	s->want_room = false;
	if (s->ops.input_ready)
		s->ops.input_ready(s->ctx);
}

/* The faults of a character show in LSR once it is the next to be read. */
static void reveal_faults(struct vmm_sio_serial *s)
{
	if (sio_fifo_len(&s->rx) > 0)
		s->lsr |= (uint8_t)(*sio_fifo_at(&s->rx, 0) >> 8);
}

static bool line_is_held(const struct vmm_sio_serial *s)
{
	if (serial_loop(s))
		return true;
	if (s->flow == VMM_SIO_FLOW_NONE || (s->mcr & MCR_RTS))
		return false;
	return s->flow == VMM_SIO_FLOW_RTS || s->rts_seen;
}

bool serial_fill_rx(struct vmm_sio_serial *s)
{
	uint32_t before = sio_fifo_len(&s->rx);

	if (line_is_held(s))
		return false;

	while (sio_fifo_len(&s->rx) < serial_depth(s) && sio_fifo_len(&s->queue) > 0)
		sio_fifo_push(&s->rx, sio_fifo_pop(&s->queue));
	reveal_faults(s);
	return sio_fifo_len(&s->rx) != before;
}

void serial_take_held(struct vmm_sio_serial *s)
{
	bool was_empty = sio_ring_used(&s->ring) == 0;
	uint8_t n = 0;

	if (s->tx_len == 0)
		return;

	while (n < s->tx_len && sio_ring_has_room(&s->ring)) {
		sio_ring_push(&s->ring, s->tx[n]);
		n++;
	}
	memmove(s->tx, s->tx + n, s->tx_len - n);
	s->tx_len = (uint8_t)(s->tx_len - n);
	if (s->tx_len == 0)
		s->thri = s->ier & IER_THRI;
	if (was_empty && n > 0 && s->ops.output_ready)
		s->ops.output_ready(s->ctx);
}

/* A character that comes back in loopback. Nothing can slow the sender down, so this is
 * where characters are overrun: with FIFOs the new one is lost, without them the old. */
static void loop_back(struct vmm_sio_serial *s, uint16_t c)
{
	if (sio_fifo_len(&s->rx) >= serial_depth(s)) {
		s->lsr |= LSR_OE;
		s->overruns++;
		if (serial_fifo_on(s))
			return;
		sio_fifo_clear(&s->rx);
	}
	sio_fifo_push(&s->rx, c);
	reveal_faults(s);
}

static void send(struct vmm_sio_serial *s, uint8_t byte)
{
	if (s->tx_len == 0 && sio_ring_has_room(&s->ring)) {
		sio_ring_push(&s->ring, byte);
		if (sio_ring_used(&s->ring) == 1 && s->ops.output_ready)
			s->ops.output_ready(s->ctx);
	} else if (serial_holds(s) && s->tx_len < serial_depth(s)) {
		s->tx[s->tx_len++] = byte;
	} else {
		s->dropped++;
	}
}

static void write_thr(struct vmm_sio_serial *s, uint8_t byte)
{
	if (serial_loop(s))
		loop_back(s, byte);
	else
		send(s, byte);

	/* The write ends the THR-empty interrupt, and the byte that leaves at once starts
	 * the next. A driver that has read IIR since the last edge gets a new one, even
	 * if it leaves its handler now: that is what it would see on a real line. */
	if (s->thri && s->irq && s->irq_seen) {
		s->thri = false;
		serial_update(s);
	}
	s->thri = (s->ier & IER_THRI) && serial_thre(s);
	serial_update(s);
}

static uint8_t read_rbr(struct vmm_sio_serial *s)
{
	uint32_t len = sio_fifo_len(&s->rx);
	uint8_t byte;

	if (len == 0)
		return 0;

	byte = (uint8_t)sio_fifo_pop(&s->rx);
	s->received++;
	/* Data is still pending, and nothing else has changed. */
	if (len > 1 && !(*sio_fifo_at(&s->rx, 0) >> 8))
		return byte;
	reveal_faults(s);
	serial_update(s);
	/* What waits arrives only now that the FIFO is empty, after the line has dropped:
	 * each fill gives an edge, so a driver may stop reading where it likes. */
	if (sio_fifo_len(&s->rx) == 0 && serial_fill_rx(s))
		serial_update(s);
	serial_report_room(s);
	return byte;
}

static uint8_t read_iir(struct vmm_sio_serial *s)
{
	uint8_t id = pending_source(s);

	s->irq_seen = s->irq;
	if (id == IIR_THR_EMPTY) {
		s->thri = false;
		serial_update(s);
	}
	return serial_fifo_on(s) ? id | IIR_FIFO_ON : id;
}

static uint8_t read_lsr(struct vmm_sio_serial *s)
{
	uint32_t len = sio_fifo_len(&s->rx);
	uint8_t value = s->lsr;

	if (len > 0)
		value |= LSR_DR;
	if (serial_thre(s))
		value |= LSR_THRE | LSR_TEMT;
	for (uint32_t i = 0; serial_fifo_on(s) && i < len; i++) {
		if (*sio_fifo_at(&s->rx, i) >> 8)
			value |= LSR_FIFO_ERROR;
	}

	if (s->lsr) {
		s->lsr = 0;
		if (len > 0)
			*sio_fifo_at(&s->rx, 0) &= 0xff;
		serial_update(s);
	}
	return value;
}

static uint8_t read_msr(struct vmm_sio_serial *s)
{
	uint8_t value = s->msr;

	s->msr &= MSR_LINES;
	serial_update(s);
	return value;
}

static void write_ier(struct vmm_sio_serial *s, uint8_t value)
{
	uint8_t rising = value & (uint8_t)~s->ier;

	s->ier = value & IER_MASK;
	if (rising & IER_THRI)
		s->thri = serial_thre(s);
	else if (!(s->ier & IER_THRI))
		s->thri = false;
	serial_update(s);
}

static void write_fcr(struct vmm_sio_serial *s, uint8_t value)
{
	bool toggled = (value ^ s->fcr) & FCR_ENABLE;
	bool held = s->tx_len > 0;

	/* The other bits are not programmed unless bit 0 is written as 1 with them. */
	if (!(value & FCR_ENABLE))
		value = 0;
	s->fcr = value & FCR_KEPT;

	if (toggled || (value & FCR_RX_RESET))
		sio_fifo_clear(&s->rx);
	if (held && (toggled || (value & FCR_TX_RESET))) {
		s->dropped += s->tx_len;
		s->tx_len = 0;
		s->thri = s->ier & IER_THRI;
	}
	serial_update(s);
	if (sio_fifo_len(&s->rx) == 0 && serial_fill_rx(s))
		serial_update(s);
	serial_report_room(s);
}

static void write_lcr(struct vmm_sio_serial *s, uint8_t value)
{
	uint8_t rising = value & (uint8_t)~s->lcr;

	s->lcr = value;
	if (serial_loop(s) && (rising & LCR_BREAK))
		loop_back(s, LSR_BI << 8);
	serial_report_lines(s);
	serial_update(s);
}

uint8_t serial_msr_lines(uint8_t mcr, uint8_t modem)
{
	uint8_t lines = 0;

	if (!(mcr & MCR_LOOP))
		return modem;

	if (mcr & VMM_SIO_MODEM_RTS)
		lines |= VMM_SIO_MODEM_CTS;
	if (mcr & VMM_SIO_MODEM_DTR)
		lines |= VMM_SIO_MODEM_DSR;
	if (mcr & VMM_SIO_MODEM_OUT1)
		lines |= VMM_SIO_MODEM_RI;
	if (mcr & VMM_SIO_MODEM_OUT2)
		lines |= VMM_SIO_MODEM_DCD;
	return lines;
}

/* Set the lines of MSR; a change sets its delta, of RI only its end does. */
static void update_msr(struct vmm_sio_serial *s)
{
	uint8_t lines = serial_msr_lines(s->mcr, s->modem);
	uint8_t changed = (lines ^ s->msr) & MSR_LINES;

	if (lines & VMM_SIO_MODEM_RI)
		changed &= (uint8_t)~VMM_SIO_MODEM_RI;
	s->msr = (uint8_t)(lines | (s->msr & MSR_DELTAS) | (changed >> 4));
}

static void write_mcr(struct vmm_sio_serial *s, uint8_t value)
{
	s->mcr = value & MCR_MASK;
	update_msr(s);
	serial_report_lines(s);
	/* Loopback may have ended, or RTS come back. */
	(void)serial_fill_rx(s);
	serial_update(s);
}

void vmm_sio_serial_set_modem(struct vmm_sio_serial *s, uint32_t lines)
{
	s->modem = lines & MSR_LINES;
	update_msr(s);
	serial_update(s);
}

uint8_t vmm_sio_serial_read(struct vmm_sio_serial *s, uint8_t offset)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (offset) {
	case 0:
		return dlab ? s->dll : read_rbr(s);
	case 1:
		return dlab ? s->dlm : s->ier;
	case 2:
		return read_iir(s);
	case 3:
		return s->lcr;
	case 4:
		return s->mcr;
	case 5:
		return read_lsr(s);
	case 6:
		return read_msr(s);
	case 7:
		return s->scr;
	default:
		return 0;
	}
}

static void write_register(struct vmm_sio_serial *s, uint8_t offset, uint8_t value)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (offset) {
	case 0:
		if (dlab)
			s->dll = value;
		else
			write_thr(s, value);
		break;
	case 1:
		if (dlab)
			s->dlm = value;
		else
			write_ier(s, value);
		break;
	case 2:
		write_fcr(s, value);
		break;
	case 3:
		write_lcr(s, value);
		break;
	case 4:
		write_mcr(s, value);
		break;
	case 7:
		s->scr = value;
		break;
	default:
		break;
	}
}

void vmm_sio_serial_write(struct vmm_sio_serial *s, uint8_t offset, uint8_t value)
{
	/* A guest that prints does this for each byte, and little else. */
	if (sio_likely(offset == 0 && s->ring.head != s->plain_end)) {
		s->ring_data[s->ring.head++ & (s->ring.size - 1)] = value;
		return;
	}
	write_register(s, offset, value);
}

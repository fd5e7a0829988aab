/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_PL011_H
#define SIO_PL011_H

#include <vmm/superio-pl011.h>

#include "fifo.h"
#include "internal.h"
#include "ring.h"

#define CR_UARTEN 0x0001u
#define CR_LOOP 0x0080u
#define CR_RXE 0x0200u
#define CR_DTR 0x0400u
#define CR_RTS 0x0800u
#define CR_OUT1 0x1000u
#define CR_OUT2 0x2000u
/* 6:3 are reserved. */
#define CR_MASK 0xff87u

#define LCRH_BREAK 0x01u
#define LCRH_FEN 0x10u

#define INT_RI 0x001u
#define INT_CTS 0x002u
#define INT_DCD 0x004u
#define INT_DSR 0x008u
#define INT_RX 0x010u
#define INT_TX 0x020u
#define INT_RT 0x040u
#define INT_FE 0x080u
#define INT_PE 0x100u
#define INT_BE 0x200u
#define INT_OE 0x400u
#define INT_MASK 0x7ffu

#define RSR_FE 0x1u
#define RSR_PE 0x2u
#define RSR_BE 0x4u
#define RSR_OE 0x8u
#define RSR_MASK 0xfu

#define PL011_FAULTS (VMM_SIO_LINE_PARITY | VMM_SIO_LINE_FRAMING | VMM_SIO_LINE_BREAK)
#define PL011_MODEM_IN \
	(VMM_SIO_MODEM_CTS | VMM_SIO_MODEM_DSR | VMM_SIO_MODEM_RI | VMM_SIO_MODEM_DCD)

struct vmm_sio_pl011 {
	struct sio_ring ring;
	uint16_t ibrd, cr, ifls, imsc, ris;
	uint8_t fbrd, lcr_h, ilpr, dmacr, rsr;
	/* The host's modem lines, and those that the guest sees. */
	uint8_t modem, seen_modem;
	bool rts_seen;
	bool irq;
	bool want_room;
	bool break_on;
	uint8_t outputs;

	uint8_t tx[VMM_SIO_SERIAL_FIFO];
	uint8_t tx_len;
	struct sio_fifo rx;
	struct sio_fifo queue;

	uint64_t received, dropped, overruns, interrupts;
	uint32_t overflow, flow, clock_hz;
	struct vmm_sio_serial_ops ops;
	void *ctx;
	uint16_t rx_data[VMM_SIO_SERIAL_FIFO];
	uint16_t queue_data[VMM_SIO_SERIAL_QUEUE];
	uint8_t ring_data[];
};

static inline uint32_t pl011_depth(const struct vmm_sio_pl011 *p)
{
	return p->lcr_h & LCRH_FEN ? VMM_SIO_SERIAL_FIFO : 1;
}

static inline bool pl011_loop(const struct vmm_sio_pl011 *p)
{
	return p->cr & CR_LOOP;
}

static inline bool pl011_holds(const struct vmm_sio_pl011 *p)
{
	return p->overflow == VMM_SIO_OVERFLOW_HOLD ||
	       (p->overflow == VMM_SIO_OVERFLOW_AUTO && (p->imsc & INT_TX));
}

/* Bring the interrupt line in line with the state: the only place where it moves. */
void pl011_update(struct vmm_sio_pl011 *p);

/* Set what the guest sees of the modem lines, and the interrupts of what changed. */
void pl011_update_modem(struct vmm_sio_pl011 *p);

/* What the guest sees of @modem with @cr. */
uint8_t pl011_modem_lines(uint16_t cr, uint8_t modem);

void pl011_report_lines(struct vmm_sio_pl011 *p);
void pl011_report_room(struct vmm_sio_pl011 *p);
bool pl011_fill_rx(struct vmm_sio_pl011 *p);

/* Move held bytes to the ring; sets the transmit interrupt when the level is passed. */
void pl011_drain_tx(struct vmm_sio_pl011 *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_SERIAL_H
#define SIO_SERIAL_H

#include <vmm/superio.h>

#include "fifo.h"
#include "internal.h"
#include "ring.h"

#define IER_RDI 0x01u
#define IER_THRI 0x02u
#define IER_RLSI 0x04u
#define IER_MSI 0x08u
#define IER_MASK 0x0fu

#define IIR_LINE_STATUS 0x06u
#define IIR_DATA 0x04u
#define IIR_TIMEOUT 0x0cu
#define IIR_THR_EMPTY 0x02u
#define IIR_MODEM 0x00u
#define IIR_NONE 0x01u
#define IIR_FIFO_ON 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_RX_RESET 0x02u
#define FCR_TX_RESET 0x04u
#define FCR_KEPT 0xc9u

#define LCR_BREAK 0x40u
#define LCR_DLAB 0x80u

#define MCR_RTS 0x02u
#define MCR_OUTPUTS 0x0fu
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_BI 0x10u
#define LSR_ERRORS 0x1eu
#define LSR_FAULTS 0x1cu
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define LSR_FIFO_ERROR 0x80u

#define MSR_DELTAS 0x0fu
#define MSR_LINES 0xf0u

struct vmm_sio_serial {
	struct sio_ring ring;
	/* Until the ring's head is here, THR writes need nothing but a store: no DLAB, no
	 * loopback, nothing held, the THR-empty interrupt masked, the reader woken, and
	 * room. Kept by serial_update(); equal to the head where that does not hold. */
	uint32_t plain_end;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	/* Sticky error bits of LSR; the rest of LSR is derived. */
	uint8_t lsr;
	/* MSR as it reads; its lines follow MCR in loopback, else `modem`. */
	uint8_t msr;
	uint8_t modem;
	/* The THR-empty interrupt is pending; meaningful while IER enables it. */
	bool thri;
	bool rts_seen;
	bool irq;
	/* IIR named a source since the line rose last. */
	bool irq_seen;
	/* Tell when the queue has room again. */
	bool want_room;
	/* What ops know of break and modem outputs. */
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

static inline bool serial_fifo_on(const struct vmm_sio_serial *s)
{
	return s->fcr & FCR_ENABLE;
}

static inline uint32_t serial_depth(const struct vmm_sio_serial *s)
{
	return serial_fifo_on(s) ? VMM_SIO_SERIAL_FIFO : 1;
}

static inline bool serial_loop(const struct vmm_sio_serial *s)
{
	return s->mcr & MCR_LOOP;
}

/* Does a full ring hold the guest back, rather than lose bytes? */
static inline bool serial_holds(const struct vmm_sio_serial *s)
{
	return s->overflow == VMM_SIO_OVERFLOW_HOLD ||
	       (s->overflow == VMM_SIO_OVERFLOW_AUTO && (s->ier & IER_THRI));
}

static inline bool serial_thre(const struct vmm_sio_serial *s)
{
	return s->tx_len == 0 || !serial_holds(s);
}

/* Modem inputs that the guest sees for the present MCR. */
uint8_t serial_msr_lines(uint8_t mcr, uint8_t modem);

/* Bring the interrupt line and the short cut for THR in line with the state: after any
 * change, and the only place where the line moves. */
void serial_update(struct vmm_sio_serial *s);

/* Report break and modem outputs if they changed. */
void serial_report_lines(struct vmm_sio_serial *s);

/* Let waiting input into the receive FIFO; true if some went in. */
bool serial_fill_rx(struct vmm_sio_serial *s);

/* Call input_ready if it is owed. */
void serial_report_room(struct vmm_sio_serial *s);

/* Move held bytes to the ring as far as it has room; serial_update() is due after. */
void serial_take_held(struct vmm_sio_serial *s);

#endif

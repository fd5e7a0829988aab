/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "serial.h"

#define FLAGS (VMM_SIO_SERIAL_STATE_THRI | VMM_SIO_SERIAL_STATE_RTS_SEEN)
#define CHAR_MASK (0xffu | LSR_FAULTS << 8)

int vmm_sio_serial_save(const struct vmm_sio_serial *s, struct vmm_sio_serial_state *out)
{
	struct vmm_sio_serial_state st;

	memset(&st, 0, sizeof(st));
	st.size = sizeof(st);
	st.version = VMM_SIO_SERIAL_STATE_VERSION;
	st.flags = (s->thri ? VMM_SIO_SERIAL_STATE_THRI : 0) |
		   (s->rts_seen ? VMM_SIO_SERIAL_STATE_RTS_SEEN : 0);
	st.ier = s->ier;
	st.fcr = s->fcr;
	st.lcr = s->lcr;
	st.mcr = s->mcr;
	st.lsr = s->lsr;
	st.msr = s->msr;
	st.scr = s->scr;
	st.dll = s->dll;
	st.dlm = s->dlm;
	st.modem = s->modem;
	st.tx_len = s->tx_len;
	st.rx_len = (uint8_t)sio_fifo_len(&s->rx);
	st.queue_len = (uint16_t)sio_fifo_len(&s->queue);
	memcpy(st.tx, s->tx, s->tx_len);
	sio_fifo_save(&s->rx, st.rx);
	sio_fifo_save(&s->queue, st.queue);
	return sio_state_out(out, &st, sizeof(st));
}

static int check_registers(const struct vmm_sio_serial_state *st, struct vmm_error *err)
{
	bool loop = st->mcr & MCR_LOOP;

	if ((st->flags & ~FLAGS) || st->reserved_)
		return sio_bad_state(err, "a reserved bit", st->flags);
	if (st->ier & ~IER_MASK)
		return sio_bad_state(err, "IER", st->ier);
	if ((st->fcr & ~FCR_KEPT) || (st->fcr && !(st->fcr & FCR_ENABLE)))
		return sio_bad_state(err, "FCR", st->fcr);
	if (st->mcr & ~MCR_MASK)
		return sio_bad_state(err, "MCR", st->mcr);
	if (st->lsr & ~LSR_ERRORS)
		return sio_bad_state(err, "LSR", st->lsr);
	if (st->modem & ~MSR_LINES)
		return sio_bad_state(err, "the modem input", st->modem);
	if ((st->msr & MSR_LINES) != serial_msr_lines(st->mcr, st->modem))
		return sio_bad_state(err, "MSR", st->msr);
	if ((st->flags & VMM_SIO_SERIAL_STATE_THRI) &&
	    (!(st->ier & IER_THRI) || st->tx_len > 0))
		return sio_bad_state(err, "THRE pending, with IER", st->ier);
	if (!loop && (st->mcr & MCR_RTS) && !(st->flags & VMM_SIO_SERIAL_STATE_RTS_SEEN))
		return sio_bad_state(err, "RTS never seen, with MCR", st->mcr);
	return 0;
}

static int check_fifos(const struct vmm_sio_serial_state *st, struct vmm_error *err)
{
	uint32_t depth = st->fcr & FCR_ENABLE ? VMM_SIO_SERIAL_FIFO : 1;

	if (st->tx_len > depth ||
	    !sio_is_zero(st->tx + st->tx_len, VMM_SIO_SERIAL_FIFO - st->tx_len))
		return sio_bad_state(err, "the transmit FIFO, of length", st->tx_len);
	if (st->rx_len > depth ||
	    !sio_fifo_check(st->rx, st->rx_len, VMM_SIO_SERIAL_FIFO, CHAR_MASK))
		return sio_bad_state(err, "the receive FIFO, of length", st->rx_len);
	if (!sio_fifo_check(st->queue, st->queue_len, VMM_SIO_SERIAL_QUEUE, CHAR_MASK))
		return sio_bad_state(err, "the queue, of length", st->queue_len);
	return 0;
}

static void take_fifos(struct vmm_sio_serial *s, const struct vmm_sio_serial_state *st)
{
	memcpy(s->tx, st->tx, st->tx_len);
	s->tx_len = st->tx_len;
	sio_fifo_load(&s->rx, st->rx, st->rx_len);
	sio_fifo_load(&s->queue, st->queue, st->queue_len);
	s->want_room = s->want_room || st->queue_len == VMM_SIO_SERIAL_QUEUE;
}

int vmm_sio_serial_restore(struct vmm_sio_serial *s,
			   const struct vmm_sio_serial_state *state,
			   struct vmm_error *err)
{
	struct vmm_sio_serial_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_SERIAL_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	ret = check_registers(&st, err);
	if (ret < 0)
		return ret;
	ret = check_fifos(&st, err);
	if (ret < 0)
		return ret;

	/* No interrupt is enabled: the line drops. */
	s->ier = 0;
	serial_update(s);

	s->fcr = st.fcr;
	s->lcr = st.lcr;
	s->mcr = st.mcr;
	s->lsr = st.lsr;
	s->msr = st.msr;
	s->scr = st.scr;
	s->dll = st.dll;
	s->dlm = st.dlm;
	s->modem = st.modem;
	s->ier = st.ier;
	s->thri = st.flags & VMM_SIO_SERIAL_STATE_THRI;
	s->rts_seen = st.flags & VMM_SIO_SERIAL_STATE_RTS_SEEN;
	take_fifos(s, &st);
	serial_take_held(s);
	if (s->overflow == VMM_SIO_OVERFLOW_DROP && s->tx_len > 0) {
		s->dropped += s->tx_len;
		s->tx_len = 0;
		s->thri = s->ier & IER_THRI;
	}
	serial_report_lines(s);
	if (sio_fifo_len(&s->rx) == 0)
		(void)serial_fill_rx(s);
	serial_update(s);
	serial_report_room(s);
	return 0;
}

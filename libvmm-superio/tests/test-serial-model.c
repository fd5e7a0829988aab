/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random accesses must agree with a slow model of the chip: plain arrays, and every
 * output computed anew from them, with nothing remembered that the data sheet does not
 * name.
 */
#include "serial-test.h"

enum { RING = 32, ACCESSES = 60000 };

struct model {
	int ier, lcr, mcr, scr, dll, dlm, fcr;
	bool overrun, parity, framing, brk;
	bool cts, dsr, ri, dcd; /* as the guest sees them */
	bool dcts, ddsr, teri, ddcd;
	int host_lines;
	bool thr_interrupt;
	bool rts_ever;
	bool pause; /* the queue was full and is not read yet */
	struct {
		uint8_t c;
		bool parity, framing, brk;
	} rx[16], queue[2000];
	int rx_len, queue_len;
	uint8_t tx[16], ring[RING];
	int tx_len, ring_len;
	int overflow, flow;
};

static bool fifo_mode(const struct model *m)
{
	return m->fcr & 1;
}

static int capacity(const struct model *m)
{
	return fifo_mode(m) ? 16 : 1;
}

static bool waits_for_reader(const struct model *m)
{
	if (m->overflow == VMM_SIO_OVERFLOW_AUTO)
		return (m->ier & 2) != 0;
	return m->overflow == VMM_SIO_OVERFLOW_HOLD;
}

static bool thr_empty(const struct model *m)
{
	return m->tx_len == 0 || !waits_for_reader(m);
}

/* Table IV, top to bottom. */
static int model_iir(const struct model *m)
{
	int top = fifo_mode(m) ? 0xc0 : 0, trigger = 1;

	if (fifo_mode(m) && (m->fcr & 0xc0) == 0x40)
		trigger = 4;
	if (fifo_mode(m) && (m->fcr & 0xc0) == 0x80)
		trigger = 8;
	if (fifo_mode(m) && (m->fcr & 0xc0) == 0xc0)
		trigger = 14;
	if ((m->ier & 4) && (m->overrun || m->parity || m->framing || m->brk))
		return top | 6;
	if ((m->ier & 1) && m->rx_len >= trigger)
		return top | 4;
	if ((m->ier & 1) && m->rx_len > 0)
		return top | 0xc;
	if ((m->ier & 2) && m->thr_interrupt)
		return top | 2;
	if ((m->ier & 8) && (m->dcts || m->ddsr || m->teri || m->ddcd))
		return top;
	return top | 1;
}

static void show_first(struct model *m)
{
	if (m->rx_len == 0)
		return;
	m->parity |= m->rx[0].parity;
	m->framing |= m->rx[0].framing;
	m->brk |= m->rx[0].brk;
}

static void refill(struct model *m)
{
	bool rts = m->mcr & 2;

	if (m->mcr & 0x10)
		return;
	if (m->flow == VMM_SIO_FLOW_RTS && !rts)
		return;
	if (m->flow == VMM_SIO_FLOW_AUTO && m->rts_ever && !rts)
		return;
	while (m->rx_len < capacity(m) && m->queue_len > 0) {
		memcpy(&m->rx[m->rx_len++], &m->queue[0], sizeof(m->rx[0]));
		memmove(&m->queue[0], &m->queue[1],
			(size_t)--m->queue_len * sizeof(m->queue[0]));
	}
	show_first(m);
}

static void model_loop(struct model *m, uint8_t c, bool brk)
{
	if (m->rx_len == capacity(m)) {
		m->overrun = true;
		if (fifo_mode(m))
			return;
		m->rx_len = 0;
	}
	memset(&m->rx[m->rx_len], 0, sizeof(m->rx[0]));
	m->rx[m->rx_len].c = c;
	m->rx[m->rx_len++].brk = brk;
	show_first(m);
}

static void model_lines(struct model *m)
{
	bool loop = m->mcr & 0x10;
	bool cts = loop ? m->mcr & 2 : m->host_lines & 0x10;
	bool dsr = loop ? m->mcr & 1 : m->host_lines & 0x20;
	bool ri = loop ? m->mcr & 4 : m->host_lines & 0x40;
	bool dcd = loop ? m->mcr & 8 : m->host_lines & 0x80;

	m->dcts |= cts != m->cts;
	m->ddsr |= dsr != m->dsr;
	m->teri |= m->ri && !ri;
	m->ddcd |= dcd != m->dcd;
	m->cts = cts;
	m->dsr = dsr;
	m->ri = ri;
	m->dcd = dcd;
}

static uint8_t model_read(struct model *m, int reg)
{
	bool dlab = m->lcr & 0x80;
	int v = 0;

	switch (reg) {
	case 0:
		if (dlab)
			return (uint8_t)m->dll;
		if (m->rx_len == 0)
			return 0;
		v = m->rx[0].c;
		memmove(&m->rx[0], &m->rx[1], (size_t)--m->rx_len * sizeof(m->rx[0]));
		show_first(m);
		if (m->rx_len == 0)
			refill(m);
		return (uint8_t)v;
	case 1:
		return (uint8_t)(dlab ? m->dlm : m->ier);
	case 2:
		v = model_iir(m);
		if ((v & 0xf) == 2)
			m->thr_interrupt = false;
		return (uint8_t)v;
	case 3:
		return (uint8_t)m->lcr;
	case 4:
		return (uint8_t)m->mcr;
	case 5:
		v = (m->rx_len > 0 ? 1 : 0) + (m->overrun ? 2 : 0) + (m->parity ? 4 : 0) +
		    (m->framing ? 8 : 0) + (m->brk ? 16 : 0) + (thr_empty(m) ? 0x60 : 0);
		for (int i = 0; fifo_mode(m) && i < m->rx_len; i++) {
			if (m->rx[i].parity || m->rx[i].framing || m->rx[i].brk)
				v |= 0x80;
		}
		m->overrun = m->parity = m->framing = m->brk = false;
		if (m->rx_len > 0)
			m->rx[0].parity = m->rx[0].framing = m->rx[0].brk = false;
		return (uint8_t)v;
	case 6:
		v = (m->dcts ? 1 : 0) + (m->ddsr ? 2 : 0) + (m->teri ? 4 : 0) +
		    (m->ddcd ? 8 : 0) + (m->cts ? 16 : 0) + (m->dsr ? 32 : 0) +
		    (m->ri ? 64 : 0) + (m->dcd ? 128 : 0);
		m->dcts = m->ddsr = m->teri = m->ddcd = false;
		return (uint8_t)v;
	case 7:
		return (uint8_t)m->scr;
	default:
		return 0;
	}
}

static void model_send(struct model *m, uint8_t c)
{
	if (m->mcr & 0x10)
		model_loop(m, c, false);
	else if (m->tx_len == 0 && m->ring_len < RING)
		m->ring[m->ring_len++] = c;
	else if (waits_for_reader(m) && m->tx_len < capacity(m))
		m->tx[m->tx_len++] = c;
	m->thr_interrupt = (m->ier & 2) && thr_empty(m);
}

static void model_fcr(struct model *m, int v)
{
	bool switched = (v & 1) != (m->fcr & 1);

	m->fcr = v & 1 ? v & 0xc9 : 0;
	if (switched || (v & 3) == 3)
		m->rx_len = 0;
	if ((switched || (v & 5) == 5) && m->tx_len > 0) {
		m->tx_len = 0;
		m->thr_interrupt = m->ier & 2;
	}
	if (m->rx_len == 0)
		refill(m);
}

static void model_write(struct model *m, int reg, uint8_t v)
{
	bool dlab = m->lcr & 0x80, was;

	switch (reg) {
	case 0:
		if (dlab)
			m->dll = v;
		else
			model_send(m, v);
		break;
	case 1:
		if (dlab) {
			m->dlm = v;
			break;
		}
		was = m->ier & 2;
		m->ier = v & 15;
		if (!(v & 2))
			m->thr_interrupt = false;
		else if (!was)
			m->thr_interrupt = thr_empty(m);
		break;
	case 2:
		model_fcr(m, v);
		break;
	case 3:
		was = m->lcr & 0x40;
		m->lcr = v;
		if ((m->mcr & 0x10) && (v & 0x40) && !was)
			model_loop(m, 0, true);
		break;
	case 4:
		m->mcr = v & 0x1f;
		if ((m->mcr & 0x12) == 2)
			m->rts_ever = true;
		model_lines(m);
		refill(m);
		break;
	case 7:
		m->scr = v;
		break;
	default:
		break;
	}
}

static void model_done(struct model *m, int n)
{
	memmove(m->ring, m->ring + n, (size_t)(m->ring_len - n));
	m->ring_len -= n;
	if (m->tx_len == 0)
		return;
	while (m->tx_len > 0 && m->ring_len < RING) {
		m->ring[m->ring_len++] = m->tx[0];
		memmove(m->tx, m->tx + 1, (size_t)--m->tx_len);
	}
	if (m->tx_len == 0)
		m->thr_interrupt = m->ier & 2;
}

static void push_input(struct uart *u, struct model *m, struct vmm_test_rng *rng)
{
	uint8_t data[40];
	size_t n = vmm_test_below(rng, sizeof(data)), took;

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)vmm_test_below(rng, 256);
	took = vmm_sio_serial_receive(u->s, data, n);
	if (m->pause) {
		assert_int_equal(took, 0);
		return;
	}
	assert_true(took == n || m->queue_len > 900);
	for (size_t i = 0; i < took; i++) {
		memset(&m->queue[m->queue_len], 0, sizeof(m->queue[0]));
		m->queue[m->queue_len++].c = data[i];
	}
	refill(m);
	assert_true(m->queue_len <= (int)VMM_SIO_SERIAL_QUEUE);
	m->pause |= took < n || m->queue_len == (int)VMM_SIO_SERIAL_QUEUE;
}

static void push_fault(struct uart *u, struct model *m, struct vmm_test_rng *rng)
{
	uint32_t faults = (vmm_test_below(rng, 7) + 1) << 2;

	if (m->pause) {
		assert_int_equal(vmm_sio_serial_receive_fault(u->s, 1, faults), -EAGAIN);
		return;
	}
	assert_int_equal(vmm_sio_serial_receive_fault(u->s, 1, faults), 0);
	m->queue[m->queue_len].c = 1;
	m->queue[m->queue_len].parity = faults & 4;
	m->queue[m->queue_len].framing = faults & 8;
	m->queue[m->queue_len++].brk = faults & 16;
	refill(m);
	m->pause = m->queue_len == (int)VMM_SIO_SERIAL_QUEUE;
}

static void take_output(struct uart *u, struct model *m, struct vmm_test_rng *rng)
{
	struct iovec v[2];
	size_t n, at = 0, all = vmm_sio_serial_get_output(u->s, v, &n);
	int done;

	assert_int_equal(all, m->ring_len);
	for (size_t i = 0; i < n; i++) {
		assert_memory_equal(v[i].iov_base, m->ring + at, v[i].iov_len);
		at += v[i].iov_len;
	}
	assert_int_equal(at, all);
	done = (int)vmm_test_below(rng, (uint32_t)all + 1);
	vmm_sio_serial_output_done(u->s, (size_t)done);
	model_done(m, done);
}

/* To a new object and on; the ring, which stays behind, is emptied first. */
static void move_state(struct uart *u, struct model *m)
{
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;
	struct vmm_error err = { 0 };

	vmm_sio_serial_output_done(u->s, RING);
	model_done(m, m->ring_len);
	vmm_sio_serial_output_done(u->s, RING);
	model_done(m, m->ring_len);
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	vmm_sio_serial_free(u->s);
	uart_new(u, RING, (uint32_t)m->overflow, (uint32_t)m->flow);
	if (vmm_sio_serial_restore(u->s, &st, &err) < 0)
		fail_msg("%s", err.message);
	m->pause = m->queue_len == (int)VMM_SIO_SERIAL_QUEUE;
	if (m->rx_len == 0)
		refill(m);
}

static void one_access(struct uart *u, struct model *m, struct vmm_test_rng *rng)
{
	uint32_t what = vmm_test_below(rng, 1000);
	uint8_t reg = (uint8_t)vmm_test_below(rng, 8);
	uint8_t value = (uint8_t)vmm_test_below(rng, 256);

	if (what < 350) {
		assert_int_equal(vmm_sio_serial_read(u->s, reg), model_read(m, reg));
	} else if (what < 500) {
		/* DLAB is rare, as with drivers, or little else would happen. */
		if (reg == 3 && vmm_test_below(rng, 8))
			value &= 0x7f;
		/* So is loopback. */
		if (reg == 4 && vmm_test_below(rng, 4))
			value &= 0x0f;
		vmm_sio_serial_write(u->s, reg, value);
		model_write(m, reg, value);
	} else if (what < 800) {
		vmm_sio_serial_write(u->s, 0, value);
		model_write(m, 0, value);
	} else if (what < 850) {
		push_input(u, m, rng);
	} else if (what < 870) {
		push_fault(u, m, rng);
	} else if (what < 890) {
		vmm_sio_serial_set_modem(u->s, value);
		m->host_lines = value & 0xf0;
		model_lines(m);
	} else if (what < 995) {
		take_output(u, m, rng);
	} else {
		move_state(u, m);
	}
	assert_int_equal(u->line, !(model_iir(m) & 1));
	if (m->rx_len == 0 && m->queue_len == 0)
		m->pause = false;
	assert_int_equal(vmm_sio_serial_get_input_room(u->s),
			 m->pause ? 0 : (int)VMM_SIO_SERIAL_QUEUE - m->queue_len);
}

static void random_accesses_match_the_data_sheet(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (int policy = 0; policy < 9; policy++) {
		static struct model m;
		struct uart u;

		memset(&m, 0, sizeof(m));
		m.lcr = 3;
		m.mcr = 8;
		m.dll = 12;
		m.host_lines = 0xb0;
		m.cts = m.dsr = m.dcd = true;
		m.overflow = policy % 3;
		m.flow = policy / 3;
		uart_new(&u, RING, (uint32_t)m.overflow, (uint32_t)m.flow);
		for (int i = 0; i < ACCESSES; i++)
			one_access(&u, &m, &rng);
		vmm_sio_serial_free(u.s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_accesses_match_the_data_sheet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

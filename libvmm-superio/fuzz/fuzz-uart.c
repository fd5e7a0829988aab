/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "serial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                           \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

struct seen {
	bool line;
};

static void set_irq(void *ctx, bool level)
{
	struct seen *s = ctx;

	MUST(s->line != level);
	s->line = level;
}

/* What must hold after every access, whatever came before. */
static void check(struct vmm_sio_serial *s, const struct seen *seen)
{
	uint32_t rx = sio_fifo_len(&s->rx), depth = serial_depth(s);
	bool pending = ((s->ier & IER_RLSI) && s->lsr) || ((s->ier & IER_RDI) && rx) ||
		       ((s->ier & IER_THRI) && s->thri) ||
		       ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS));

	MUST(rx <= depth && s->tx_len <= depth);
	MUST(sio_ring_used(&s->ring) <= s->ring.size);
	MUST(sio_fifo_len(&s->queue) <= VMM_SIO_SERIAL_QUEUE);
	/* Room is told as soon as all is read. */
	MUST(!s->want_room || rx > 0 || sio_fifo_len(&s->queue) > 0);
	MUST(pending == seen->line && pending == vmm_sio_serial_irq_is_raised(s));
	/* The short cut for THR is open only where it changes nothing else. */
	MUST(s->plain_end == s->ring.head ||
	     (!(s->lcr & LCR_DLAB) && !(s->mcr & MCR_LOOP) && !(s->ier & IER_THRI) &&
	      !s->tx_len && s->plain_end == s->ring.tail + s->ring.size));
}

static void move(struct vmm_sio_serial *s)
{
	struct vmm_sio_serial_state a = VMM_SIO_SERIAL_STATE_INIT,
				    b = VMM_SIO_SERIAL_STATE_INIT;
	bool held;

	/* The device must take what it gave; all is the same after, but for what was held
	 * back and finds room now. */
	MUST(vmm_sio_serial_save(s, &a) == 0);
	held = a.tx_len > 0;
	MUST(vmm_sio_serial_restore(s, &a, NULL) == 0);
	MUST(vmm_sio_serial_save(s, &b) == 0);
	MUST(held || memcmp(&a, &b, sizeof(a)) == 0);
}

/* First byte: policies. Then pairs: what to do, with what. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_sio_serial_free) struct vmm_sio_serial *s = NULL;
	struct vmm_sio_serial_ops ops = VMM_SIO_SERIAL_OPS_INIT;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	struct seen seen = { false };
	uint8_t input[256];
	struct iovec v[2];
	size_t n;

	if (size < 1)
		return 0;
	memset(input, 'i', sizeof(input));
	ops.set_irq = set_irq;
	opts.ops = &ops;
	opts.ctx = &seen;
	opts.output_ring = 32;
	opts.overflow = data[0] % 3;
	opts.flow = data[0] / 3 % 3;
	MUST(vmm_sio_serial_new(&opts, &s) == 0);

	for (size_t i = 1; i + 1 < size; i += 2) {
		uint8_t what = data[i], value = data[i + 1];

		switch (what >> 4) {
		case 0:
			MUST(vmm_sio_serial_receive(s, input, value) <= value);
			break;
		case 1:
			if (vmm_sio_serial_receive_fault(s, value, what & 0x0cu) < 0)
				break;
			break;
		case 2:
			vmm_sio_serial_set_modem(s, value);
			break;
		case 3:
			MUST(vmm_sio_serial_get_output(s, v, &n) <= 32 && n <= 2);
			vmm_sio_serial_output_done(s, value);
			break;
		case 4:
			move(s);
			break;
		default:
			if (what & 0x08)
				vmm_sio_serial_write(s, what & 7, value);
			else
				(void)vmm_sio_serial_read(s, what & 7);
			break;
		}
		check(s, &seen);
	}
	return 0;
}

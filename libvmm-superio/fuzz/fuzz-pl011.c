/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pl011.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                           \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

static void set_irq(void *ctx, bool level)
{
	bool *line = ctx;

	MUST(*line != level);
	*line = level;
}

static void check(struct vmm_sio_pl011 *p, bool line)
{
	uint32_t rx = sio_fifo_len(&p->rx);

	MUST(rx <= pl011_depth(p) && p->tx_len <= VMM_SIO_SERIAL_FIFO);
	MUST(sio_ring_used(&p->ring) <= p->ring.size);
	MUST(sio_fifo_len(&p->queue) <= VMM_SIO_SERIAL_QUEUE);
	/* Room is told as soon as all is read. */
	MUST(!p->want_room || rx > 0 || sio_fifo_len(&p->queue) > 0);
	MUST(line == ((p->ris & p->imsc) != 0));
	/* Nothing received, nothing to interrupt for. */
	MUST(rx > 0 || !(p->ris & (INT_RX | INT_RT)));
	MUST(vmm_sio_pl011_read(p, 0x40) == (uint32_t)(p->ris & p->imsc));
	/* FR agrees with the FIFO. */
	MUST(!(vmm_sio_pl011_read(p, 0x18) & 0x10) == (rx > 0));
}

static void move(struct vmm_sio_pl011 *p)
{
	struct vmm_sio_pl011_state a = VMM_SIO_PL011_STATE_INIT,
				   b = VMM_SIO_PL011_STATE_INIT;

	MUST(vmm_sio_pl011_save(p, &a) == 0);
	MUST(vmm_sio_pl011_restore(p, &a, NULL) == 0);
	MUST(vmm_sio_pl011_save(p, &b) == 0);
	MUST(a.tx_len > 0 || memcmp(&a, &b, sizeof(a)) == 0);
}

/* First byte: policies. Then triples: what to do, and 16 bits to do it with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_sio_pl011_free) struct vmm_sio_pl011 *p = NULL;
	struct vmm_sio_serial_ops ops = VMM_SIO_SERIAL_OPS_INIT;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	uint8_t input[256] = { 0 };
	struct iovec v[2];
	bool line = false;
	size_t n;

	if (size < 1)
		return 0;
	ops.set_irq = set_irq;
	opts.ops = &ops;
	opts.ctx = &line;
	opts.output_ring = 32;
	opts.overflow = data[0] % 3;
	opts.flow = data[0] / 3 % 3;
	MUST(vmm_sio_pl011_new(&opts, &p) == 0);

	for (size_t i = 1; i + 2 < size; i += 3) {
		uint8_t what = data[i], low = data[i + 1];
		uint32_t value = (uint32_t)data[i + 2] << 8 | low;

		switch (what >> 5) {
		case 0:
			MUST(vmm_sio_pl011_receive(p, input, low) <= low);
			break;
		case 1:
			if (vmm_sio_pl011_receive_fault(p, low, what & 0x1cu) < 0)
				break;
			break;
		case 2:
			vmm_sio_pl011_set_modem(p, value);
			break;
		case 3:
			MUST(vmm_sio_pl011_get_output(p, v, &n) <= 32 && n <= 2);
			vmm_sio_pl011_output_done(p, low);
			break;
		case 4:
			move(p);
			break;
		case 5:
			(void)vmm_sio_pl011_read(p, (what & 0x1fu) << 2);
			break;
		case 6:
			vmm_sio_pl011_write(p, (what & 0x1fu) << 2, value);
			break;
		default:
			vmm_sio_pl011_write(p, value, low);
			(void)vmm_sio_pl011_read(p, value);
			break;
		}
		check(p, line);
	}
	return 0;
}

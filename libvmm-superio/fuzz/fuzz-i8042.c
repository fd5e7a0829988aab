/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vmm/superio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                           \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

static void set_irq(void *ctx, uint32_t which, bool level)
{
	bool *line = ctx;

	MUST(which < 2 && line[which] != level);
	line[which] = level;
}

static void check(struct vmm_sio_i8042 *dev, const bool *line)
{
	struct vmm_sio_i8042_state st = VMM_SIO_I8042_STATE_INIT, after = st;
	uint8_t status = vmm_sio_i8042_read(dev, 4);

	MUST(vmm_sio_i8042_save(dev, &st) == 0);
	MUST((status & 1) == (st.source != 0));
	/* One line at most, and only with output, from where the status says. */
	MUST(line[0] == ((status & 0x21) == 0x01 && (st.memory[0] & 1)));
	MUST(line[1] == ((status & 0x21) == 0x21 && (st.memory[0] & 2)));
	/* The device takes its own state, and is the same after. */
	MUST(vmm_sio_i8042_restore(dev, &st, NULL) == 0);
	MUST(vmm_sio_i8042_save(dev, &after) == 0);
	MUST(memcmp(&st, &after, sizeof(st)) == 0);
}

/* Pairs: what to do, with what. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *dev = NULL;
	struct vmm_sio_i8042_ops ops = VMM_SIO_I8042_OPS_INIT;
	struct vmm_sio_i8042_opts opts = VMM_SIO_I8042_OPTS_INIT;
	bool line[2] = { false, false };
	int ret;

	ops.set_irq = set_irq;
	opts.ops = &ops;
	opts.ctx = line;
	MUST(vmm_sio_i8042_new(&opts, &dev) == 0);

	for (size_t i = 0; i + 1 < size; i += 2) {
		uint8_t value = data[i + 1];

		switch (data[i] % 6) {
		case 0:
			vmm_sio_i8042_write(dev, 4, value);
			break;
		case 1:
			vmm_sio_i8042_write(dev, 0, value);
			break;
		case 2:
			(void)vmm_sio_i8042_read(dev, 0);
			break;
		case 3:
			ret = vmm_sio_i8042_type(dev, data + i, value % (size - i));
			MUST(ret == 0 || ret == -11 || ret == -7);
			break;
		case 4:
			ret = vmm_sio_i8042_move(dev, (int8_t)value * 4, -(int8_t)value,
						 value & 7);
			MUST(ret == 0 || ret == -11);
			break;
		default:
			/* To the mouse. */
			vmm_sio_i8042_write(dev, 4, 0xd4);
			vmm_sio_i8042_write(dev, 0, value);
			break;
		}
		check(dev, line);
	}
	return 0;
}

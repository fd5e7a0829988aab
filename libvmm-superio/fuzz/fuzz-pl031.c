/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vmm/superio-rtc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                           \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

/* Deadlines fit beyond this; it is 146 years after boot. */
#define LAST_NS (UINT64_MAX / 4)

struct world {
	uint64_t now, deadline;
	bool line;
};

static void set_irq(void *ctx, bool level)
{
	struct world *w = ctx;

	MUST(w->line != level);
	w->line = level;
}

static uint64_t now_ns(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static void set_timer(void *ctx, uint64_t deadline)
{
	((struct world *)ctx)->deadline = deadline;
}

static void check(struct vmm_sio_pl031 *dev, const struct world *w)
{
	struct vmm_sio_pl031_state st = VMM_SIO_PL031_STATE_INIT, after = st;

	MUST(vmm_sio_pl031_save(dev, &st) == 0);
	MUST(w->line == (st.ris && st.imsc));
	/* A timer runs exactly while an alarm can come, and is not overdue. */
	MUST((w->deadline != UINT64_MAX) == (st.imsc && !st.ris));
	MUST(w->deadline > w->now);
	MUST(vmm_sio_pl031_read(dev, 0) == st.count);
	MUST(vmm_sio_pl031_restore(dev, &st, NULL) == 0);
	MUST(vmm_sio_pl031_save(dev, &after) == 0);
	MUST(memcmp(&st, &after, sizeof(st)) == 0);
}

/* Six bytes each: what to do, an offset, 32 bits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *dev = NULL;
	struct vmm_sio_rtc_ops ops = VMM_SIO_RTC_OPS_INIT;
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct world w = { UINT64_C(5000000000), UINT64_MAX, false };

	ops.set_irq = set_irq;
	ops.now_ns = now_ns;
	ops.set_timer = set_timer;
	opts.ops = &ops;
	opts.ctx = &w;
	opts.flags = VMM_SIO_RTC_START;
	MUST(vmm_sio_pl031_new(&opts, &dev) == 0);

	for (size_t i = 0; i + 5 < size; i += 6) {
		uint32_t value;

		memcpy(&value, data + i + 2, sizeof(value));
		switch (data[i] % 5) {
		case 0:
			vmm_sio_pl031_write(dev, data[i + 1] & 0x1f, value);
			break;
		case 1:
			(void)vmm_sio_pl031_read(dev, (uint32_t)data[i + 1] << 4);
			break;
		case 2:
			w.now += (uint64_t)value << (data[i + 1] & 15);
			if (w.now > LAST_NS)
				w.now = LAST_NS;
			break;
		case 3:
			if (w.deadline < LAST_NS && w.deadline > w.now)
				w.now = w.deadline;
			vmm_sio_pl031_tick(dev);
			break;
		default:
			/* Close to the counter, where matches happen. */
			vmm_sio_pl031_write(
			    dev, 0x04, vmm_sio_pl031_read(dev, 0) + (data[i + 1] & 3));
			break;
		}
		check(dev, &w);
	}
	return 0;
}

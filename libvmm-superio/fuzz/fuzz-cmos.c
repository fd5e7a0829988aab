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

static uint8_t reg(struct vmm_sio_cmos *dev, uint8_t index)
{
	vmm_sio_cmos_write(dev, 0, index);
	return vmm_sio_cmos_read(dev, 1);
}

static void check(struct vmm_sio_cmos *dev, const struct world *w)
{
	struct vmm_sio_cmos_state st = VMM_SIO_CMOS_STATE_INIT, after = st;
	uint8_t b;

	MUST(vmm_sio_cmos_save(dev, &st) == 0);
	b = st.memory[0x0b];
	MUST(w->line == ((st.memory[0x0c] & b & 0x70) != 0));
	MUST(w->deadline > w->now);
	MUST(st.memory[0x0d] == 0x80);
	/* The time of a clock that runs is one. */
	if (!(b & 0x80) && (st.memory[0x0a] & 0x60) != 0x60 && (b & 0x06) == 0x06) {
		MUST(reg(dev, 0) < 60 && reg(dev, 2) < 60 && reg(dev, 4) < 24);
		MUST(reg(dev, 8) >= 1 && reg(dev, 8) <= 12);
		MUST(reg(dev, 7) >= 1 && reg(dev, 7) <= 31);
		MUST(reg(dev, 6) >= 1 && reg(dev, 6) <= 7);
		MUST(reg(dev, 9) < 100 && reg(dev, 0x32) < 100);
	}
	MUST(vmm_sio_cmos_restore(dev, &st, NULL) == 0);
	MUST(vmm_sio_cmos_save(dev, &after) == 0);
	MUST(memcmp(&st, &after, sizeof(st)) == 0);
}

/* Three bytes each: what to do, an index, a value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VMM_CLEANUP(vmm_sio_cmos_free) struct vmm_sio_cmos *dev = NULL;
	struct vmm_sio_rtc_ops ops = VMM_SIO_RTC_OPS_INIT;
	struct vmm_sio_rtc_opts opts = VMM_SIO_RTC_OPTS_INIT;
	struct world w = { UINT64_C(5000000000), UINT64_MAX, false };

	ops.set_irq = set_irq;
	ops.now_ns = now_ns;
	ops.set_timer = set_timer;
	opts.ops = &ops;
	opts.ctx = &w;
	opts.flags = VMM_SIO_RTC_START;
	opts.start_s = INT64_C(1709251198);
	MUST(vmm_sio_cmos_new(&opts, &dev) == 0);

	for (size_t i = 0; i + 2 < size; i += 3) {
		uint8_t index = data[i + 1], value = data[i + 2];

		switch (data[i] % 5) {
		case 0:
			/* Mostly the clock's own registers. */
			vmm_sio_cmos_write(dev, 0, index & 0x40 ? index : index & 0x0f);
			vmm_sio_cmos_write(dev, 1, value);
			break;
		case 1:
			(void)reg(dev, index);
			break;
		case 2:
			w.now += (uint64_t)value << (index & 0x3f) >> 8;
			if (w.now > LAST_NS)
				w.now = LAST_NS;
			break;
		case 3:
			if (w.deadline < LAST_NS && w.deadline > w.now)
				w.now = w.deadline;
			vmm_sio_cmos_tick(dev);
			break;
		default:
			vmm_sio_cmos_write(dev, index, value);
			break;
		}
		check(dev, &w);
	}
	return 0;
}

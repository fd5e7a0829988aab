/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "rtc.h"

struct vmm_sio_pl031 {
	struct rtc rtc;
	/* The counter was @count at @base. */
	uint64_t base;
	uint32_t count;
	/* Seconds since @base at the last look: matches up to then are known. */
	uint64_t seen;
	uint32_t lr, mr;
	uint8_t imsc, ris;
};

static uint64_t seconds(const struct vmm_sio_pl031 *dev)
{
	return (dev->rtc.now - dev->base) / NS_PER_S;
}

static uint32_t counter(const struct vmm_sio_pl031 *dev)
{
	return dev->count + (uint32_t)seconds(dev);
}

/* Find matches since the last look, set line and timer. */
static void update(struct vmm_sio_pl031 *dev)
{
	uint32_t to_match = dev->mr - (dev->count + (uint32_t)dev->seen) - 1;
	uint64_t deadline = NO_TIMER;

	/* Is the match in (seen, now]? More than a whole round may have passed. */
	if (to_match < seconds(dev) - dev->seen)
		dev->ris = 1;
	dev->seen = seconds(dev);
	rtc_set_irq(&dev->rtc, dev->ris & dev->imsc);

	if (dev->imsc && !dev->ris) {
		uint32_t left = dev->mr - counter(dev);
		uint64_t second = dev->rtc.now - (dev->rtc.now - dev->base) % NS_PER_S;

		deadline = rtc_add(second, (left ? left : UINT64_C(1) << 32) * NS_PER_S);
	}
	rtc_set_timer(&dev->rtc, deadline);
}

static void load(struct vmm_sio_pl031 *dev, uint32_t count, uint64_t base)
{
	dev->count = count;
	dev->base = base;
	dev->seen = 0;
}

void vmm_sio_pl031_tick(struct vmm_sio_pl031 *dev)
{
	rtc_update_now(&dev->rtc);
	update(dev);
}

uint32_t vmm_sio_pl031_read(struct vmm_sio_pl031 *dev, uint32_t offset)
{
	static const uint8_t ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	offset &= ~UINT32_C(3);
	if (offset >= 0xfe0 && offset <= 0xffc)
		return ids[(offset - 0xfe0) >> 2];

	vmm_sio_pl031_tick(dev);
	switch (offset) {
	case 0x00:
		return counter(dev);
	case 0x04:
		return dev->mr;
	case 0x08:
		return dev->lr;
	case 0x0c:
		return 1;
	case 0x10:
		return dev->imsc;
	case 0x14:
		return dev->ris;
	case 0x18:
		return dev->ris & dev->imsc;
	default:
		return 0;
	}
}

void vmm_sio_pl031_write(struct vmm_sio_pl031 *dev, uint32_t offset, uint32_t value)
{
	vmm_sio_pl031_tick(dev);
	switch (offset & ~UINT32_C(3)) {
	case 0x04:
		dev->mr = value;
		dev->ris |= value == counter(dev);
		break;
	case 0x08:
		dev->lr = value;
		load(dev, value, dev->rtc.now);
		dev->ris |= value == dev->mr;
		break;
	case 0x10:
		dev->imsc = value & 1;
		break;
	case 0x1c:
		dev->ris &= (uint8_t)~value;
		break;
	default:
		return;
	}
	update(dev);
}

int vmm_sio_pl031_save(struct vmm_sio_pl031 *dev, struct vmm_sio_pl031_state *out)
{
	struct vmm_sio_pl031_state st = VMM_SIO_PL031_STATE_INIT;

	vmm_sio_pl031_tick(dev);
	st.version = VMM_SIO_PL031_STATE_VERSION;
	st.count = counter(dev);
	st.fraction_ns = (uint32_t)((dev->rtc.now - dev->base) % NS_PER_S);
	st.lr = dev->lr;
	st.mr = dev->mr;
	st.imsc = dev->imsc;
	st.ris = dev->ris;
	return sio_state_out(out, &st, sizeof(st));
}

/* The second began @fraction ns ago, or when the clock did if that is later. */
static uint64_t second_start(const struct rtc *rtc, uint32_t fraction)
{
	return rtc->now > fraction ? rtc->now - fraction : 0;
}

int vmm_sio_pl031_restore(struct vmm_sio_pl031 *dev,
			  const struct vmm_sio_pl031_state *state, struct vmm_error *err)
{
	struct vmm_sio_pl031_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_PL031_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	if (st.imsc > 1 || st.ris > 1 || !sio_is_zero(st.reserved_, sizeof(st.reserved_)))
		return sio_bad_state(err, "a reserved bit, with IMSC", st.imsc);
	if (st.fraction_ns >= NS_PER_S)
		return sio_bad_state(err, "the fraction of a second", st.fraction_ns);

	rtc_set_irq(&dev->rtc, false);
	rtc_update_now(&dev->rtc);
	load(dev, st.count, second_start(&dev->rtc, st.fraction_ns));
	dev->lr = st.lr;
	dev->mr = st.mr;
	dev->imsc = st.imsc;
	dev->ris = st.ris;
	update(dev);
	return 0;
}

int vmm_sio_pl031_new(const struct vmm_sio_rtc_opts *opts, struct vmm_sio_pl031 **out)
{
	struct vmm_sio_pl031 *dev;
	int64_t seconds;
	uint32_t ns;
	int ret;

	dev = sio_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	ret = rtc_init(&dev->rtc, opts, &seconds, &ns);
	if (ret < 0) {
		free(dev);
		return ret;
	}

	rtc_update_now(&dev->rtc);
	load(dev, (uint32_t)seconds, second_start(&dev->rtc, ns));
	*out = dev;
	return 0;
}

void vmm_sio_pl031_free(struct vmm_sio_pl031 *dev)
{
	free(dev);
}

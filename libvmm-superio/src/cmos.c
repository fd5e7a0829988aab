/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmos.h"

/* UIP is up for this long before the seconds change (MC146818, table 5). */
#define UIP_NS 244000u

static bool divider_held(uint8_t a)
{
	return (a & 0x60) == 0x60;
}

static bool is_running(const struct vmm_sio_cmos *dev)
{
	return !(dev->memory[REG_B] & B_SET) && !divider_held(dev->memory[REG_A]);
}

static uint64_t elapsed(const struct vmm_sio_cmos *dev)
{
	return dev->rtc.now - dev->base;
}

static int64_t second_now(const struct vmm_sio_cmos *dev)
{
	return dev->seconds + (int64_t)(elapsed(dev) / NS_PER_S);
}

/* Periodic interrupts a second; 0 for none. */
static uint32_t periodic_hz(const struct vmm_sio_cmos *dev)
{
	uint32_t rate = dev->memory[REG_A] & A_RATE;

	if (rate == 0 || divider_held(dev->memory[REG_A]))
		return 0;
	return rate <= 2 ? 512u >> rate : 65536u >> rate;
}

static uint64_t period_now(const struct vmm_sio_cmos *dev)
{
	uint64_t hz = periodic_hz(dev);

	return elapsed(dev) / NS_PER_S * hz + elapsed(dev) % NS_PER_S * hz / NS_PER_S;
}

/* When period @n begins: the first ns at which period_now() is @n. */
static uint64_t period_start(const struct vmm_sio_cmos *dev, uint64_t n)
{
	uint64_t hz = periodic_hz(dev);

	return rtc_add(dev->base, n / hz * NS_PER_S + (n % hz * NS_PER_S + hz - 1) / hz);
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t second_start(const struct vmm_sio_cmos *dev, int64_t second)
{
	uint64_t ahead = (uint64_t)(second - dev->seconds);

	return rtc_add(dev->base, min64(ahead, UINT64_MAX / NS_PER_S) * NS_PER_S);
}

/* The next moment at which an enabled flag that is not set will be. */
static uint64_t next_event(const struct vmm_sio_cmos *dev)
{
	uint8_t wanted = dev->memory[REG_B] & (uint8_t)~dev->memory[REG_C];
	uint64_t when = NO_TIMER;

	if ((wanted & B_PIE) && periodic_hz(dev))
		when = period_start(dev, dev->seen_period + 1);
	if (!is_running(dev))
		return when;
	if (wanted & B_UIE)
		when = min64(when, second_start(dev, dev->seen_second + 1));
	if (wanted & B_AIE) {
		int64_t at = cmos_next_alarm(dev->memory, dev->seen_second);

		if (at != INT64_MAX)
			when = min64(when, second_start(dev, at));
	}
	return when;
}

/* Set the flags for what happened since the last look, then line and timer. */
static void update(struct vmm_sio_cmos *dev)
{
	uint8_t *c = &dev->memory[REG_C];

	if (is_running(dev) && second_now(dev) > dev->seen_second) {
		*c |= C_UF;
		if (cmos_next_alarm(dev->memory, dev->seen_second) <= second_now(dev))
			*c |= C_AF;
		dev->seen_second = second_now(dev);
	}
	if (periodic_hz(dev) && period_now(dev) != dev->seen_period) {
		*c |= C_PF;
		dev->seen_period = period_now(dev);
	}
	rtc_set_irq(&dev->rtc, *c & dev->memory[REG_B] & C_FLAGS);
	rtc_set_timer(&dev->rtc, next_event(dev));
}

/* Let the clock run from @seconds, which began @fraction ns ago. */
static void start(struct vmm_sio_cmos *dev, int64_t seconds, uint32_t fraction)
{
	dev->seconds = cmos_limit(seconds);
	dev->base = dev->rtc.now > fraction ? dev->rtc.now - fraction : 0;
	dev->seen_second = dev->seconds;
	dev->seen_period = period_now(dev);
}

static void clear_time(struct vmm_sio_cmos *dev)
{
	for (uint8_t i = 0; i <= REG_CENTURY; i++) {
		if (cmos_is_time(i))
			dev->memory[i] = 0;
	}
}

/* Put the time into memory, where it stands until the clock runs again. */
static void freeze(struct vmm_sio_cmos *dev)
{
	int64_t now = second_now(dev);

	for (uint8_t i = 0; i <= REG_CENTURY; i++) {
		if (cmos_is_time(i))
			dev->memory[i] =
			    cmos_encode(now, dev->weekday_shift, dev->memory[REG_B], i);
	}
	start(dev, now, (uint32_t)(elapsed(dev) % NS_PER_S));
}

static void thaw(struct vmm_sio_cmos *dev, uint32_t fraction)
{
	start(dev, cmos_decode(dev->memory, &dev->weekday_shift), fraction);
	clear_time(dev);
}

static void write_time(struct vmm_sio_cmos *dev, uint8_t index, uint8_t value)
{
	if (!is_running(dev)) {
		dev->memory[index] = value;
		return;
	}
	freeze(dev);
	dev->memory[index] = value;
	thaw(dev, (uint32_t)(elapsed(dev) % NS_PER_S));
}

static void write_control(struct vmm_sio_cmos *dev, uint8_t index, uint8_t value)
{
	bool ran = is_running(dev), held = divider_held(dev->memory[REG_A]);
	uint8_t old = dev->memory[index];
	uint32_t fraction = (uint32_t)(elapsed(dev) % NS_PER_S);

	dev->memory[index] = value;
	if (ran && !is_running(dev)) {
		/* The format is that from before the write. */
		dev->memory[index] = old;
		freeze(dev);
		dev->memory[index] = value;
	} else if (!ran && is_running(dev)) {
		/* The first update comes half a second after the divider is released. */
		thaw(dev, held ? NS_PER_S / 2 : fraction);
	}
	if (index == REG_A)
		dev->seen_period = period_now(dev);
}

static uint8_t read_index(struct vmm_sio_cmos *dev, uint8_t index)
{
	uint8_t value = dev->memory[index];

	if (is_running(dev) && cmos_is_time(index))
		return cmos_encode(second_now(dev), dev->weekday_shift,
				   dev->memory[REG_B], index);
	if (index == REG_A && is_running(dev) &&
	    elapsed(dev) % NS_PER_S >= NS_PER_S - UIP_NS)
		return value | A_UIP;
	if (index == REG_C) {
		if (value & dev->memory[REG_B] & C_FLAGS)
			value |= C_IRQF;
		dev->memory[REG_C] = 0;
		update(dev);
	}
	return value;
}

static void write_index(struct vmm_sio_cmos *dev, uint8_t index, uint8_t value)
{
	if (cmos_is_time(index))
		write_time(dev, index, value);
	else if (index == REG_A)
		write_control(dev, index, value & (A_DIVIDER | A_RATE));
	else if (index == REG_B)
		write_control(dev, index,
			      value & B_SET ? value & (uint8_t)~B_UIE : value);
	else if (index != REG_C && index != REG_D)
		dev->memory[index] = value;
	update(dev);
}

void vmm_sio_cmos_tick(struct vmm_sio_cmos *dev)
{
	rtc_update_now(&dev->rtc);
	update(dev);
}

uint8_t vmm_sio_cmos_read(struct vmm_sio_cmos *dev, uint8_t offset)
{
	if (offset != 1)
		return 0xff;
	vmm_sio_cmos_tick(dev);
	return read_index(dev, dev->index);
}

void vmm_sio_cmos_write(struct vmm_sio_cmos *dev, uint8_t offset, uint8_t value)
{
	if (offset == 0) {
		dev->index = value & 0x7f;
	} else if (offset == 1) {
		vmm_sio_cmos_tick(dev);
		write_index(dev, dev->index, value);
	}
}

int vmm_sio_cmos_set_memory(struct vmm_sio_cmos *dev, uint8_t index, uint8_t value)
{
	if (index <= REG_D || index >= VMM_SIO_CMOS_LEN || index == REG_CENTURY)
		return -EINVAL;
	dev->memory[index] = value;
	return 0;
}

int vmm_sio_cmos_save(struct vmm_sio_cmos *dev, struct vmm_sio_cmos_state *out)
{
	struct vmm_sio_cmos_state st = VMM_SIO_CMOS_STATE_INIT;

	vmm_sio_cmos_tick(dev);
	st.version = VMM_SIO_CMOS_STATE_VERSION;
	st.fraction_ns = (uint32_t)(elapsed(dev) % NS_PER_S);
	st.seconds = is_running(dev) ? cmos_limit(second_now(dev)) : dev->seconds;
	st.index = dev->index;
	st.weekday_shift = dev->weekday_shift;
	memcpy(st.memory, dev->memory, sizeof(st.memory));
	return sio_state_out(out, &st, sizeof(st));
}

static int check_state(const struct vmm_sio_cmos_state *st, struct vmm_error *err)
{
	const uint8_t *m = st->memory;
	bool running = !(m[REG_B] & B_SET) && !divider_held(m[REG_A]);

	if (st->fraction_ns >= NS_PER_S)
		return sio_bad_state(err, "the fraction of a second", st->fraction_ns);
	if (st->seconds != cmos_limit(st->seconds))
		return sio_bad_state(err, "the time", (uint64_t)st->seconds);
	if (st->index > 0x7f || st->weekday_shift > 6)
		return sio_bad_state(err, "the index", st->index);
	if (!sio_is_zero(st->reserved_, sizeof(st->reserved_)))
		return sio_bad_state(err, "a reserved byte", st->reserved_[0]);
	if ((m[REG_A] & A_UIP) || (m[REG_C] & ~C_FLAGS) || m[REG_D] != 0x80)
		return sio_bad_state(err, "a control register, A", m[REG_A]);
	if ((m[REG_B] & B_SET) && (m[REG_B] & B_UIE))
		return sio_bad_state(err, "register B", m[REG_B]);
	for (uint8_t i = 0; running && i <= REG_CENTURY; i++) {
		if (cmos_is_time(i) && m[i])
			return sio_bad_state(err, "a time register of a clock that runs",
					     i);
	}
	return 0;
}

int vmm_sio_cmos_restore(struct vmm_sio_cmos *dev, const struct vmm_sio_cmos_state *state,
			 struct vmm_error *err)
{
	struct vmm_sio_cmos_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_CMOS_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	ret = check_state(&st, err);
	if (ret < 0)
		return ret;

	rtc_set_irq(&dev->rtc, false);
	rtc_update_now(&dev->rtc);
	memcpy(dev->memory, st.memory, sizeof(dev->memory));
	dev->index = st.index;
	dev->weekday_shift = st.weekday_shift;
	start(dev, st.seconds, st.fraction_ns);
	update(dev);
	return 0;
}

int vmm_sio_cmos_new(const struct vmm_sio_rtc_opts *opts, struct vmm_sio_cmos **out)
{
	struct vmm_sio_cmos *dev;
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

	dev->memory[REG_A] = 0x26;
	dev->memory[REG_B] = B_24H;
	dev->memory[REG_D] = 0x80;
	rtc_update_now(&dev->rtc);
	start(dev, seconds, ns);
	*out = dev;
	return 0;
}

void vmm_sio_cmos_free(struct vmm_sio_cmos *dev)
{
	free(dev);
}

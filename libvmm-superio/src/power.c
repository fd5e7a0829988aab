/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/superio.h>

#include "internal.h"

#define SLP_TYP_MASK 0x1cu

struct vmm_sio_power {
	struct vmm_sio_power_ops ops;
	void *ctx;
	uint8_t s5_type;
	uint8_t reset_value;
	uint8_t sleep_control;
};

int vmm_sio_power_new(const struct vmm_sio_power_opts *opts, struct vmm_sio_power **out)
{
	static const struct vmm_sio_power_opts defaults = VMM_SIO_POWER_OPTS_INIT;
	struct vmm_sio_power_opts o;
	struct vmm_sio_power_ops ops;
	struct vmm_sio_power *dev;
	int ret;

	ret = sio_opts_in(&o, sizeof(o), opts ? opts : &defaults);
	if (ret < 0)
		return ret;
	ret = sio_opts_in(&ops, sizeof(ops), o.ops);
	if (ret < 0)
		return ret;
	if (o.s5_type > 7 || !sio_is_zero(o.reserved_, sizeof(o.reserved_)))
		return -EINVAL;

	dev = sio_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->ops = ops;
	dev->ctx = o.ctx;
	dev->s5_type = o.s5_type;
	dev->reset_value = o.reset_value;
	*out = dev;
	return 0;
}

void vmm_sio_power_free(struct vmm_sio_power *dev)
{
	free(dev);
}

uint8_t vmm_sio_power_read(const struct vmm_sio_power *dev, uint8_t offset)
{
	return offset == VMM_SIO_POWER_SLEEP_CONTROL ? dev->sleep_control : 0;
}

static void write_sleep_control(struct vmm_sio_power *dev, uint8_t value)
{
	uint32_t type = VMM_SIO_POWER_SLP_TYP(value);

	dev->sleep_control = value & SLP_TYP_MASK;
	if (!(value & VMM_SIO_POWER_SLP_EN))
		return;

	if (type == dev->s5_type) {
		if (dev->ops.power_off)
			dev->ops.power_off(dev->ctx);
	} else if (dev->ops.other_state) {
		dev->ops.other_state(dev->ctx, type);
	}
}

void vmm_sio_power_write(struct vmm_sio_power *dev, uint8_t offset, uint8_t value)
{
	if (offset == VMM_SIO_POWER_SLEEP_CONTROL)
		write_sleep_control(dev, value);
	else if (offset == VMM_SIO_POWER_RESET && value == dev->reset_value &&
		 dev->ops.reset)
		dev->ops.reset(dev->ctx);
}

int vmm_sio_power_save(const struct vmm_sio_power *dev, struct vmm_sio_power_state *out)
{
	struct vmm_sio_power_state st = VMM_SIO_POWER_STATE_INIT;

	st.version = VMM_SIO_POWER_STATE_VERSION;
	st.sleep_control = dev->sleep_control;
	return sio_state_out(out, &st, sizeof(st));
}

int vmm_sio_power_restore(struct vmm_sio_power *dev,
			  const struct vmm_sio_power_state *state, struct vmm_error *err)
{
	struct vmm_sio_power_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_POWER_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	if ((st.sleep_control & ~SLP_TYP_MASK) || !sio_is_zero(st.reserved_, 3))
		return sio_bad_state(err, "sleep control", st.sleep_control);

	dev->sleep_control = st.sleep_control;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/superio.h>

struct seen {
	int off, resets, others;
	uint32_t type;
};

static void power_off(void *ctx)
{
	((struct seen *)ctx)->off++;
}

static void reset(void *ctx)
{
	((struct seen *)ctx)->resets++;
}

static void other_state(void *ctx, uint32_t type)
{
	struct seen *s = ctx;

	s->others++;
	s->type = type;
}

static const struct vmm_sio_power_ops ops = {
	.size = sizeof(ops),
	.power_off = power_off,
	.reset = reset,
	.other_state = other_state,
};

static struct vmm_sio_power *make(struct seen *seen)
{
	struct vmm_sio_power_opts opts = VMM_SIO_POWER_OPTS_INIT;
	struct vmm_sio_power *dev = NULL;

	memset(seen, 0, sizeof(*seen));
	opts.ops = &ops;
	opts.ctx = seen;
	assert_int_equal(vmm_sio_power_new(&opts, &dev), 0);
	return dev;
}

static void s5_with_slp_en_powers_off(void **state)
{
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *dev = NULL;
	struct seen seen;

	dev = make(&seen);
	vmm_sio_power_write(dev, 0, VMM_SIO_POWER_S5 << 2);
	assert_int_equal(seen.off, 0);
	assert_int_equal(vmm_sio_power_read(dev, 0), 0x14);
	vmm_sio_power_write(dev, 0, VMM_SIO_POWER_S5 << 2 | VMM_SIO_POWER_SLP_EN | 0xc3);
	assert_int_equal(seen.off, 1);
	/* SLP_EN and the reserved bits do not read back. */
	assert_int_equal(vmm_sio_power_read(dev, 0), 0x14);
}

static void other_sleep_states_are_only_told(void **state)
{
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *dev = NULL;
	struct seen seen;

	dev = make(&seen);
	for (uint32_t type = 0; type < 8; type++) {
		if (type == VMM_SIO_POWER_S5)
			continue;
		vmm_sio_power_write(dev, 0, (uint8_t)(type << 2 | VMM_SIO_POWER_SLP_EN));
		assert_int_equal(seen.type, type);
	}
	assert_int_equal(seen.others, 7);
	assert_int_equal(seen.off, 0);
}

static void only_the_reset_value_resets(void **state)
{
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *dev = NULL;
	struct seen seen;

	dev = make(&seen);
	for (unsigned int v = 0; v < 256; v++)
		vmm_sio_power_write(dev, VMM_SIO_POWER_RESET, (uint8_t)v);
	assert_int_equal(seen.resets, 1);
	vmm_sio_power_write(dev, VMM_SIO_POWER_RESET, VMM_SIO_POWER_RESET_VALUE);
	assert_int_equal(seen.resets, 2);
	vmm_sio_power_write(dev, VMM_SIO_POWER_SLEEP_STATUS, 0x80);
	vmm_sio_power_write(dev, 3, VMM_SIO_POWER_RESET_VALUE);
	assert_int_equal(seen.resets, 2);
	for (uint8_t i = 1; i < 8; i++)
		assert_int_equal(vmm_sio_power_read(dev, i), 0);
}

static void options_are_checked(void **state)
{
	struct {
		struct vmm_sio_power_opts o;
		uint64_t tail;
	} big = { .o = VMM_SIO_POWER_OPTS_INIT, .tail = 1 };
	struct vmm_sio_power_ops bad_ops = { .size = 3 };
	struct vmm_sio_power_opts opts = VMM_SIO_POWER_OPTS_INIT;
	struct vmm_sio_power *dev = NULL;

	opts.s5_type = 8;
	assert_int_equal(vmm_sio_power_new(&opts, &dev), -EINVAL);
	opts.s5_type = 7;
	opts.reserved_[5] = 1;
	assert_int_equal(vmm_sio_power_new(&opts, &dev), -EINVAL);
	opts.reserved_[5] = 0;
	opts.ops = &bad_ops;
	assert_int_equal(vmm_sio_power_new(&opts, &dev), -EINVAL);
	big.o.size = sizeof(big);
	assert_int_equal(vmm_sio_power_new(&big.o, &dev), -E2BIG);
	assert_null(dev);
	assert_int_equal(vmm_sio_power_new(NULL, &dev), 0);
	vmm_sio_power_write(dev, 0, 0xff);
	vmm_sio_power_write(dev, 0, 0x34);
	vmm_sio_power_write(dev, 2, VMM_SIO_POWER_RESET_VALUE);
	vmm_sio_power_free(dev);
	vmm_sio_power_free(NULL);
}

static void state_moves_to_another_device_or_is_refused(void **state)
{
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *a = NULL;
	VMM_CLEANUP(vmm_sio_power_free) struct vmm_sio_power *b = NULL;
	struct vmm_sio_power_state st = VMM_SIO_POWER_STATE_INIT, bad;
	struct vmm_error err = { 0 };
	struct seen seen;

	a = make(&seen);
	b = make(&seen);
	vmm_sio_power_write(a, 0, 0x08);
	assert_int_equal(vmm_sio_power_save(a, &st), 0);
	assert_int_equal(vmm_sio_power_restore(b, &st, NULL), 0);
	assert_int_equal(vmm_sio_power_read(b, 0), 0x08);

	bad = st;
	bad.sleep_control = 0x20;
	assert_int_equal(vmm_sio_power_restore(b, &bad, &err), -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
	assert_int_equal(err.got, 0x20);
	bad = st;
	bad.reserved_[0] = 1;
	assert_int_equal(vmm_sio_power_restore(b, &bad, &err), -EBADMSG);
	bad = st;
	bad.version = 2;
	assert_int_equal(vmm_sio_power_restore(b, &bad, &err), -EOPNOTSUPP);
	bad = st;
	bad.size--;
	assert_int_equal(vmm_sio_power_restore(b, &bad, &err), -EINVAL);
	assert_int_equal(vmm_sio_power_save(b, &bad), -EINVAL);
	assert_int_equal(vmm_sio_power_read(b, 0), 0x08);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s5_with_slp_en_powers_off),
		cmocka_unit_test(other_sleep_states_are_only_told),
		cmocka_unit_test(only_the_reset_value_resets),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(state_moves_to_another_device_or_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

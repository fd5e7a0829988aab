/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "../rtc.h"

static int cmos_new(const struct vmm_sio_rtc_opts *opts, void **out)
{
	struct vmm_sio_cmos *cmos;
	int ret = vmm_sio_cmos_new(opts, &cmos);

	if (ret == 0)
		*out = cmos;
	return ret;
}

static void cmos_free(void *chip)
{
	vmm_sio_cmos_free(chip);
}

static void cmos_tick(void *chip)
{
	vmm_sio_cmos_tick(chip);
}

static void cmos_read(void *chip, uint64_t offset, void *data, size_t len)
{
	*(uint8_t *)data = vmm_sio_cmos_read(chip, (uint8_t)offset);
}

static void cmos_write(void *chip, uint64_t offset, const void *data, size_t len)
{
	vmm_sio_cmos_write(chip, (uint8_t)offset, *(const uint8_t *)data);
}

const struct rtc_chip rtc_chip = { cmos_new, cmos_free, cmos_tick, cmos_read,
				   cmos_write };

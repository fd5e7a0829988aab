/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "../rtc.h"

static int pl031_new(const struct vmm_sio_rtc_opts *opts, void **out)
{
	struct vmm_sio_pl031 *pl031;
	int ret = vmm_sio_pl031_new(opts, &pl031);

	if (ret == 0)
		*out = pl031;
	return ret;
}

static void pl031_free(void *chip)
{
	vmm_sio_pl031_free(chip);
}

static void pl031_tick(void *chip)
{
	vmm_sio_pl031_tick(chip);
}

/* Registers of 32 bits; of a wider access the rest reads as ones. */
static void pl031_read(void *chip, uint64_t offset, void *data, size_t len)
{
	uint32_t value = vmm_sio_pl031_read(chip, (uint32_t)offset);

	memcpy(data, &value, len < sizeof(value) ? len : sizeof(value));
}

static void pl031_write(void *chip, uint64_t offset, const void *data, size_t len)
{
	uint32_t value = 0;

	memcpy(&value, data, len < sizeof(value) ? len : sizeof(value));
	vmm_sio_pl031_write(chip, (uint32_t)offset, value);
}

const struct rtc_chip rtc_chip = { pl031_new, pl031_free, pl031_tick, pl031_read,
				   pl031_write };

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* In the place of blk-uring.c in a build without liburing. */
#include <errno.h>

#include "blk.h"

int blk_uring_open(struct vmm_virtio_blk *blk, uint32_t entries, struct blk_engine *out)
{
	(void)blk;
	(void)entries;
	(void)out;
	return -EOPNOTSUPP;
}

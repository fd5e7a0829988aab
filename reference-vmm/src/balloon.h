/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BALLOON_H
#define BALLOON_H

#include <vmm/virtio-balloon.h>

#include "virtio.h"

struct balloon;

/*
 * Say how much memory the guest should keep. Whether its driver follows is its own affair.
 * -EINVAL: more than the machine has.
 */
int balloon_set_memory(struct balloon *balloon, uint64_t bytes);

/* The memory that the guest was told to keep. */
uint64_t balloon_get_memory(const struct balloon *balloon);

/* What the device counted and what the guest told last; ask it to tell again. */
void balloon_get_stats(struct balloon *balloon, struct vmm_virtio_balloon_stats *stats,
		       struct vmm_virtio_balloon_guest *guest);

#endif

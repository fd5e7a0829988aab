/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef QUIET_CONFIG_H
#define QUIET_CONFIG_H

#include <string.h>

#include "transport.h"

/* Change the configuration space without an interrupt, for what the driver knows
 * already because it asked for it. The range must be inside. */
static inline void quiet_config(struct vmm_virtio_transport *t, uint32_t offset,
				const void *data, uint32_t len)
{
	pthread_mutex_lock(&t->config_lock);
	memcpy(t->config + offset, data, len);
	t->generation++;
	pthread_mutex_unlock(&t->config_lock);
}

#endif

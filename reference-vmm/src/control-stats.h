/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_STATS_H
#define CONTROL_STATS_H

#include <jansson.h>

#include "machine.h"

/* What a machine has done so far, for a reply. NULL: out of memory. */
json_t *control_stats(const struct machine *machine);

/* Its balloon, which there is. */
json_t *control_balloon_stats(const struct machine *machine);

#endif

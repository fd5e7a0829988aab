/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONFIG_TOML_H
#define CONFIG_TOML_H

#include <vmm/base.h>

#include "config-reader.h"

/* Load the reader for TOML, a module of its own: who has no such file does not pay for the
 * C++ run time. -EOPNOTSUPP with a detail if it is not installed. */
int config_get_toml(config_read_fn **out, struct vmm_error *err);

#endif

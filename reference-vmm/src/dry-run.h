/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DRY_RUN_H
#define DRY_RUN_H

#include "machine.h"

/* Print what a machine is that was built and does not run: as text, or as JSON if that is
 * asked for. */
int dry_run_print(const struct machine *machine, struct vmm_error *err);

#endif

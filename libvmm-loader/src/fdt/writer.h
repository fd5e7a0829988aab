/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_FDT_WRITER_H
#define LOADER_FDT_WRITER_H

#include <stdbool.h>
#include <vmm/fdt.h>

/* Whether the root is open and has no child yet; if not, that is a mistake. False after a
 * mistake as well. */
bool fdt_writer_is_in_empty_root(struct vmm_fdt *fdt);

/* Makes an error the writer's mistake, if it is the first. */
void fdt_writer_refuse(struct vmm_fdt *fdt, const struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_FDT_NAMES_H
#define LOADER_FDT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDT_NAME_MAX 31u

/* Node: name and perhaps unit address, both of up to 31 characters. */
bool fdt_node_name_is_valid(const char *name);
bool fdt_property_name_is_valid(const char *name);

/* Reads a unit address that is one hexadecimal number; false for one that is not, such
 * as a PCI "1,0". */
bool fdt_unit_address(const char *name, uint64_t *out);

#endif

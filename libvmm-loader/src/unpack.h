/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_UNPACK_H
#define LOADER_UNPACK_H

#include "input.h"

/* Says whether this build unpacks a VMM_LOAD_FORMAT_*. */
bool load_unpack_supported(uint32_t format);

/* VMM_LOAD_FORMAT_* for the name that an EFI zboot header has ("gzip", "zstd22"), else
 * unknown. At least 32 bytes, NUL-terminated by then. */
uint32_t load_unpack_format_by_name(const char *name);

#endif

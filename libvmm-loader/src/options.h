/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_OPTIONS_H
#define LOADER_OPTIONS_H

#include <stddef.h>

/* Copies a structure that starts with its size: what an older caller does not have is
 * zero in @p dst. Returns -E2BIG for a tail that we do not know and that is not zero,
 * -EINVAL for a size too small to be one. */
int load_options_copy(void *dst, size_t known, const void *src);

#endif

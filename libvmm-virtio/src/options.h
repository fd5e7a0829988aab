/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Copy a structure that starts with its size from a caller who may be older or newer than
 * we are: what is missing reads as zero, an unknown tail must be zero. */
static inline int options_copy(void *to, size_t to_size, const void *from,
			       size_t from_size)
{
	const unsigned char *bytes = from;

	if (from_size < sizeof(size_t))
		return -EINVAL;
	for (size_t i = to_size; i < from_size; i++) {
		if (bytes[i] != 0)
			return -E2BIG;
	}
	memset(to, 0, to_size);
	memcpy(to, from, from_size < to_size ? from_size : to_size);
	return 0;
}

#endif

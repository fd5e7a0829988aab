/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TELL_H
#define TELL_H

#include <stddef.h>
#include <string.h>

/* Fill a caller's structure that starts with its size, and no more than it has room for.
 * The size stays as the caller set it. */
static inline void tell_caller(void *to, size_t to_size, const void *from,
			       size_t from_size)
{
	size_t n = to_size < from_size ? to_size : from_size;

	if (n > sizeof(size_t))
		memcpy((unsigned char *)to + sizeof(size_t),
		       (const unsigned char *)from + sizeof(size_t), n - sizeof(size_t));
}

#endif

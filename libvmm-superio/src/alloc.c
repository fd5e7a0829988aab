/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Alone in its file, so that a test can put its own in its place. */
#include <stdlib.h>

#include "internal.h"

void *sio_alloc(size_t size)
{
	return calloc(1, size);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "alloc.h"

void *virtio_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

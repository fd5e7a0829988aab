/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef ALLOC_H
#define ALLOC_H

#include <stddef.h>

/* calloc(), in a file of its own so that a test can link another one that fails. */
void *virtio_calloc(size_t n, size_t size);

#endif

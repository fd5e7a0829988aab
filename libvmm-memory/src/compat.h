/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_COMPAT_H
#define MEM_COMPAT_H

/* Constants that a C library older than the kernel interface does not name. */

#include <linux/memfd.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT MAP_HUGE_SHIFT
#endif

#endif

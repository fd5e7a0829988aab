/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_SYS_H
#define LOADER_SYS_H

/*
 * The edge to libc and the kernel: a negative errno value, or NULL, on failure. A test
 * that defines these itself replaces all of them, because the linker then has no reason
 * to take sys.o from the archive.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Zeroed memory, released with free(). */
void *load_sys_alloc(size_t size);
/* As realloc(). */
void *load_sys_realloc(void *p, size_t size);
int load_sys_stat(int fd, struct stat *out);
/* As getrandom() with no flags, but for EINTR. */
int64_t load_sys_random(void *buf, size_t len);
int64_t load_sys_pread(int fd, void *buf, size_t len, uint64_t offset);

#endif

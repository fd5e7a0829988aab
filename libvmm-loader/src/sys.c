/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

void *load_sys_alloc(size_t size)
{
	return calloc(1, size);
}

void *load_sys_realloc(void *p, size_t size)
{
	return realloc(p, size);
}

int load_sys_stat(int fd, struct stat *out)
{
	return fstat(fd, out) < 0 ? -errno : 0;
}

int64_t load_sys_random(void *buf, size_t len)
{
	ssize_t n;

	do
		n = getrandom(buf, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int64_t load_sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

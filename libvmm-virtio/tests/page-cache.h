/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef PAGE_CACHE_H
#define PAGE_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* cachestat(2) of Linux 6.5. */
#define NR_CACHESTAT 451

/* How many pages of a file are not on stable storage; -1: nobody can tell. */
static inline int unsafe_pages(int fd, uint64_t at, uint64_t len)
{
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} p = { 0 };
	uint64_t range[2] = { at, len };

	if (syscall(NR_CACHESTAT, fd, range, &p, 0) < 0)
		return -1;
	return (int)(p.dirty + p.writeback);
}

/* Whether dirty pages mean something in this file system, and we may ask. Memory that is
 * its own storage always stays dirty, or never is. Writes the first byte of the file. */
static inline bool has_page_cache(int fd)
{
	return pwrite(fd, "\1", 1, 0) == 1 && unsafe_pages(fd, 0, 4096) == 1 &&
	       fdatasync(fd) == 0 && unsafe_pages(fd, 0, 4096) == 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_SYS_H
#define MEM_SYS_H

/*
 * The edge to libc and the kernel: one thin function per call, a negative errno
 * value on failure. A test that defines these itself replaces all of them, because
 * the linker then has no reason to take sys.o from the archive.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Zeroed memory, released with free(); NULL on failure. */
void *mem_sys_alloc(size_t align, size_t size);

int mem_sys_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset,
		 void **out);
void mem_sys_munmap(void *addr, size_t len);
int mem_sys_madvise(void *addr, size_t len, int advice);
int mem_sys_mlock(void *addr, size_t len);
int mem_sys_mbind(void *addr, size_t len, int mode, uint64_t nodes);
int mem_sys_memfd(const char *name, unsigned int flags);
int mem_sys_truncate(int fd, uint64_t len);
int mem_sys_fcntl(int fd, int cmd, int arg);
int mem_sys_stat(int fd, struct stat *out);
/* Page size of the hugetlbfs that @fd lies on, 0 for another file system. */
int64_t mem_sys_hugetlb_size(int fd);
int mem_sys_punch_hole(int fd, uint64_t offset, uint64_t len);
int mem_sys_membarrier(int cmd);

int64_t mem_sys_readv(int fd, const struct iovec *iov, int n);
int64_t mem_sys_writev(int fd, const struct iovec *iov, int n);
int64_t mem_sys_preadv(int fd, const struct iovec *iov, int n, uint64_t offset);
int64_t mem_sys_pwritev(int fd, const struct iovec *iov, int n, uint64_t offset);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "sys.h"

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

void *mem_sys_alloc(size_t align, size_t size)
{
	void *p = NULL;

	if (size > SIZE_MAX - align || posix_memalign(&p, align, size) != 0)
		return NULL;
	return memset(p, 0, size);
}

int mem_sys_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset,
		 void **out)
{
	void *p;

	if (offset > INT64_MAX)
		return -EINVAL;
	p = mmap(addr, len, prot, flags, fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

void mem_sys_munmap(void *addr, size_t len)
{
	int saved = errno;

	(void)munmap(addr, len);
	errno = saved;
}

int mem_sys_madvise(void *addr, size_t len, int advice)
{
	return result(madvise(addr, len, advice));
}

int mem_sys_mlock(void *addr, size_t len)
{
	/* Not mlock(): sanitizers make that one do nothing. */
	return result((int)syscall(SYS_mlock, addr, len));
}

int mem_sys_mbind(void *addr, size_t len, int mode, uint64_t nodes)
{
	unsigned long mask[64 / (8 * sizeof(unsigned long))];

	/* The kernel takes the mask as longs, lowest first, and one bit fewer
	 * than it is told. */
	for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
		mask[i] = (unsigned long)(nodes >> (i * 8 * sizeof(unsigned long)));
	return syscall(SYS_mbind, addr, len, mode, mask, 65ul, 0u) < 0 ? -errno : 0;
}

int mem_sys_memfd(const char *name, unsigned int flags)
{
	return result(memfd_create(name, flags));
}

int mem_sys_truncate(int fd, uint64_t len)
{
	return len > INT64_MAX ? -EFBIG : result(ftruncate(fd, (off_t)len));
}

int mem_sys_fcntl(int fd, int cmd, int arg)
{
	return result(fcntl(fd, cmd, arg));
}

int mem_sys_stat(int fd, struct stat *out)
{
	return result(fstat(fd, out));
}

int64_t mem_sys_hugetlb_size(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	return (uint32_t)fs.f_type == HUGETLBFS_MAGIC ? (int64_t)fs.f_bsize : 0;
}

int mem_sys_punch_hole(int fd, uint64_t offset, uint64_t len)
{
	return result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)offset, (off_t)len));
}

int mem_sys_membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0u, 0) < 0 ? -errno : 0;
}

int64_t mem_sys_readv(int fd, const struct iovec *iov, int n)
{
	ssize_t got = readv(fd, iov, n);

	return got < 0 ? -errno : got;
}

int64_t mem_sys_writev(int fd, const struct iovec *iov, int n)
{
	ssize_t got = writev(fd, iov, n);

	return got < 0 ? -errno : got;
}

int64_t mem_sys_preadv(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t got = preadv(fd, iov, n, (off_t)offset);

	return got < 0 ? -errno : got;
}

int64_t mem_sys_pwritev(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t got = pwritev(fd, iov, n, (off_t)offset);

	return got < 0 ? -errno : got;
}

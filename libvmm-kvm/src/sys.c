/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* libc reports through errno, which our callers must find as they left it. */
static int result(long ret, int saved)
{
	if (ret >= 0)
		return (int)ret;
	ret = -errno;
	errno = saved;
	return (int)ret;
}

static int linux_open(const char *path, int flags)
{
	int saved = errno;

	return result(open(path, flags), saved);
}

static int linux_close(int fd)
{
	int saved = errno;

	return result(close(fd), saved);
}

static int linux_ioctl(int fd, unsigned long request, unsigned long arg)
{
	int saved = errno;

	return result(ioctl(fd, request, arg), saved);
}

static int linux_mmap(int fd, size_t len, int64_t offset, void **out)
{
	int saved = errno;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (p == MAP_FAILED)
		return result(-1, saved);
	*out = p;
	return 0;
}

static int linux_munmap(void *addr, size_t len)
{
	int saved = errno;

	return result(munmap(addr, len), saved);
}

static int64_t linux_pread(int fd, void *buf, size_t len, int64_t offset)
{
	int saved = errno;
	ssize_t n = pread(fd, buf, len, offset);

	return n < 0 ? result(-1, saved) : n;
}

static int linux_tgkill(pid_t tid, int signo)
{
	int saved = errno;

	return result(syscall(SYS_tgkill, getpid(), tid, signo), saved);
}

const struct kvm_sys kvm_sys_linux = {
	.arch = KVM_ARCH_HOST,
	.open = linux_open,
	.close = linux_close,
	.ioctl = linux_ioctl,
	.mmap = linux_mmap,
	.munmap = linux_munmap,
	.pread = linux_pread,
	.tgkill = linux_tgkill,
};

int kvm_options_read(void *dst, size_t dst_size, const void *src)
{
	const uint8_t *bytes = src;
	size_t size;

	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (size_t i = dst_size; i < size; i++)
		if (bytes[i] != 0)
			return -E2BIG;

	memset(dst, 0, dst_size);
	memcpy(dst, src, size < dst_size ? size : dst_size);
	return 0;
}

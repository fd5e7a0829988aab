/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back end for files and block devices: plain system calls, done when they return. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"

/* Zeroes to write where a file system cannot make them itself. */
#define ZEROES_LEN 65536u

int blk_file_size(int fd, uint64_t *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, out) < 0 ? -errno : 0;
	*out = (uint64_t)st.st_size;
	return 0;
}

/* Drop the first n bytes of what is left to do. */
static void pass(struct vmm_virtio_blk_io *io, uint64_t n)
{
	io->offset += n;
	io->len -= n;
	while (io->iov_n > 0 && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->iov_n--;
	}
	if (io->iov_n > 0) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + n;
		io->iov->iov_len -= (size_t)n;
	}
}

static int transfer(int fd, struct vmm_virtio_blk_io *io)
{
	while (io->len > 0) {
		off_t at = (off_t)io->offset;
		ssize_t n = io->op == VMM_VIRTIO_BLK_READ
				? preadv(fd, io->iov, (int)io->iov_n, at)
				: pwritev(fd, io->iov, (int)io->iov_n, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		/* The file is shorter than the device: an error, not stale memory. */
		if (n == 0)
			return -EIO;
		if (n > 0)
			pass(io, (uint64_t)n);
	}
	return 0;
}

static int write_zeroes(int fd, const struct vmm_virtio_blk_io *io)
{
	static const uint8_t zeroes[ZEROES_LEN];
	uint64_t at = io->offset, left = io->len;

	while (left > 0) {
		size_t want = left < ZEROES_LEN ? (size_t)left : ZEROES_LEN;
		ssize_t n = pwrite(fd, zeroes, want, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += (uint64_t)n;
			left -= (uint64_t)n;
		}
	}
	return 0;
}

static int deallocate(int fd, const struct vmm_virtio_blk_io *io, int mode)
{
	int ret;

	do {
		ret = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
				(off_t)io->len);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int make_zeroes(int fd, const struct vmm_virtio_blk_io *io)
{
	bool unmap = io->flags & VMM_VIRTIO_BLK_IO_UNMAP;
	int ret = deallocate(fd, io, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	return ret < 0 ? write_zeroes(fd, io) : 0;
}

static int do_io(int fd, struct vmm_virtio_blk_io *io)
{
	int ret = 0;

	switch (io->op) {
	case VMM_VIRTIO_BLK_READ:
	case VMM_VIRTIO_BLK_WRITE:
		ret = transfer(fd, io);
		break;
	case VMM_VIRTIO_BLK_DISCARD:
		/* A hint: a file system that cannot do it loses nothing. */
		ret = deallocate(fd, io, FALLOC_FL_PUNCH_HOLE);
		return ret == -EOPNOTSUPP || ret == -ENODEV ? 0 : ret;
	case VMM_VIRTIO_BLK_WRITE_ZEROES:
		ret = make_zeroes(fd, io);
		break;
	default:
		break;
	}
	if (ret == 0 &&
	    (io->op == VMM_VIRTIO_BLK_FLUSH || io->flags & VMM_VIRTIO_BLK_IO_FUA))
		ret = fdatasync(fd) < 0 ? -errno : 0;
	return ret;
}

int blk_file_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	const struct vmm_virtio_blk *blk = ctx;
	int saved = errno, ret = do_io(blk->fd, io);

	errno = saved;
	vmm_virtio_blk_complete(io, ret);
	return 0;
}

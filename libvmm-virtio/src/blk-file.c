/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the engines do to a file or block device, by system calls that return when done. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"

/* Zeroes to write where a file system cannot make them itself. */
#define ZEROES_LEN 65536u
#define BOUNCE_LEN 262144u
/* Alignment for O_DIRECT where nobody tells. */
#define DIRECT_GUESS 4096u

static bool good_alignment(uint32_t align)
{
	return align != 0 && (align & (align - 1)) == 0 && align <= BOUNCE_LEN / 2;
}

static void ask_alignment(struct blk_file *f)
{
	int logical;

	f->offset_align = DIRECT_GUESS;
	f->mem_align = DIRECT_GUESS;
	if (f->is_device && ioctl(f->fd, BLKSSZGET, &logical) == 0) {
		f->offset_align = (uint32_t)logical;
		f->mem_align = (uint32_t)logical;
	}
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN) && stx.stx_dio_offset_align != 0) {
		f->offset_align = stx.stx_dio_offset_align;
		f->mem_align = stx.stx_dio_mem_align;
	}
#endif
}

int blk_file_open(struct blk_file *f, int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	f->fd = fd;
	f->is_device = S_ISBLK(st.st_mode);
	f->offset_align = 1;
	f->mem_align = 1;
	if (!(flags & O_DIRECT))
		return 0;
	ask_alignment(f);
	if (!good_alignment(f->offset_align) || !good_alignment(f->mem_align))
		return -EOPNOTSUPP;
	f->bounce = aligned_alloc(BOUNCE_LEN, BOUNCE_LEN);
	return f->bounce ? 0 : -ENOMEM;
}

void blk_file_close(struct blk_file *f)
{
	free(f->bounce);
	f->bounce = NULL;
}

int blk_file_size(const struct blk_file *f, uint64_t *out)
{
	struct stat st;

	if (f->is_device)
		return ioctl(f->fd, BLKGETSIZE64, out) < 0 ? -errno : 0;
	if (fstat(f->fd, &st) < 0)
		return -errno;
	*out = (uint64_t)st.st_size;
	return 0;
}

bool blk_file_aligned(const struct blk_file *f, const struct vmm_virtio_blk_io *io)
{
	uintptr_t memory = 0;

	if (!f->bounce)
		return true;
	if (((io->offset | io->len) & (f->offset_align - 1)) != 0)
		return false;
	for (uint32_t i = 0; i < io->iov_n; i++)
		memory |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return (memory & (f->mem_align - 1)) == 0;
}

void blk_file_pass(struct vmm_virtio_blk_io *io, uint64_t n)
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

/* preadv2() or pwritev2(), by the op of @p io. */
static ssize_t call(const struct blk_file *f, const struct vmm_virtio_blk_io *io,
		    const struct iovec *iov, uint32_t n, uint64_t offset)
{
	int flags = io->flags & VMM_VIRTIO_BLK_IO_FUA ? RWF_DSYNC : 0;
	ssize_t ret;

	do {
		ret = io->op == VMM_VIRTIO_BLK_READ
			  ? preadv2(f->fd, iov, (int)n, (off_t)offset, 0)
			  : pwritev2(f->fd, iov, (int)n, (off_t)offset, flags);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

/* All of a stretch of the bounce buffer; less only at the end of the file. */
static ssize_t call_whole(const struct blk_file *f, const struct vmm_virtio_blk_io *io,
			  uint64_t start, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { f->bounce + done, len - done };
		ssize_t n = call(f, io, &iov, 1, start + done);

		if (n < 0)
			return n;
		done += (size_t)n;
		/* At the end of a file, what is left may not be asked for again. */
		if (n == 0 || done % f->offset_align != 0)
			break;
	}
	return (ssize_t)done;
}

static void copy_iov(const struct vmm_virtio_blk_io *io, uint8_t *buf, size_t len)
{
	for (uint32_t i = 0; len > 0; i++) {
		size_t n = io->iov[i].iov_len < len ? io->iov[i].iov_len : len;

		if (io->op == VMM_VIRTIO_BLK_READ)
			memcpy(io->iov[i].iov_base, buf, n);
		else
			memcpy(buf, io->iov[i].iov_base, n);
		buf += n;
		len -= n;
	}
}

/* One piece through the buffer, widened to whole blocks. What is not all written is read
 * first; behind the end of a file there are zeroes. */
static int bounce_piece(struct blk_file *f, struct vmm_virtio_blk_io *io)
{
	size_t skip = (size_t)(io->offset & (f->offset_align - 1));
	size_t n = io->len < BOUNCE_LEN - skip ? (size_t)io->len : BOUNCE_LEN - skip;
	size_t whole = (skip + n + f->offset_align - 1) & ~((size_t)f->offset_align - 1);
	struct vmm_virtio_blk_io read = { .op = VMM_VIRTIO_BLK_READ };
	uint64_t start = io->offset - skip;
	ssize_t got = 0;

	if (io->op == VMM_VIRTIO_BLK_READ || whole != n) {
		got = call_whole(f, &read, start, whole);
		if (got < 0)
			return (int)got;
	}
	if (io->op == VMM_VIRTIO_BLK_READ) {
		if ((size_t)got < skip + n)
			return -EIO;
		copy_iov(io, f->bounce + skip, n);
	} else {
		memset(f->bounce + got, 0, whole - (size_t)got);
		copy_iov(io, f->bounce + skip, n);
		got = call_whole(f, io, start, whole);
		if (got < 0 || (size_t)got != whole)
			return got < 0 ? (int)got : -EIO;
	}
	blk_file_pass(io, n);
	return 0;
}

static int bounce(struct blk_file *f, struct vmm_virtio_blk_io *io)
{
	int ret = 0;

	pthread_mutex_lock(&f->bounce_lock);
	while (ret == 0 && io->len > 0)
		ret = bounce_piece(f, io);
	pthread_mutex_unlock(&f->bounce_lock);
	return ret;
}

static int transfer(struct blk_file *f, struct vmm_virtio_blk_io *io)
{
	while (io->len > 0) {
		ssize_t n;

		/* Again for what is left: a direct read stops in the middle of a block if
		 * the file does. */
		if (!blk_file_aligned(f, io))
			return bounce(f, io);
		n = call(f, io, io->iov, io->iov_n, io->offset);
		if (n < 0)
			return (int)n;
		/* The file is shorter than the device: an error, not stale memory. */
		if (n == 0)
			return -EIO;
		blk_file_pass(io, (uint64_t)n);
	}
	return 0;
}

static int write_zeroes(struct blk_file *f, const struct vmm_virtio_blk_io *io)
{
	static const uint8_t zeroes[ZEROES_LEN] __attribute__((aligned(4096)));
	uint64_t left = io->len;
	int ret = 0;

	while (ret == 0 && left > 0) {
		size_t n = left < ZEROES_LEN ? (size_t)left : ZEROES_LEN;
		struct iovec iov = { (void *)(uintptr_t)zeroes, n };
		struct vmm_virtio_blk_io piece = {
			.offset = io->offset + (io->len - left),
			.len = n,
			.iov = &iov,
			.iov_n = 1,
			.op = VMM_VIRTIO_BLK_WRITE,
		};

		ret = transfer(f, &piece);
		left -= n;
	}
	return ret;
}

static int deallocate(const struct blk_file *f, const struct vmm_virtio_blk_io *io,
		      int mode)
{
	int ret;

	do {
		ret = fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
				(off_t)io->len);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int make_zeroes(struct blk_file *f, const struct vmm_virtio_blk_io *io)
{
	bool unmap = io->flags & VMM_VIRTIO_BLK_IO_UNMAP;
	int ret = deallocate(f, io, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	return ret < 0 ? write_zeroes(f, io) : 0;
}

/* A hint: a file system that cannot do it, or not there, loses nothing. */
static int discard(const struct blk_file *f, const struct vmm_virtio_blk_io *io)
{
	int ret = deallocate(f, io, FALLOC_FL_PUNCH_HOLE);

	return ret == -EOPNOTSUPP || ret == -ENODEV || ret == -EINVAL || ret == -ENOSYS
		   ? 0
		   : ret;
}

static int erase(const struct blk_file *f, const struct vmm_virtio_blk_io *io)
{
	uint64_t range[2] = { io->offset, io->len };

	return ioctl(f->fd, BLKSECDISCARD, range) < 0 ? -errno : 0;
}

/*
 * After a failed fdatasync() the kernel takes the pages that it could not write for clean,
 * and the next one succeeds without them. So the first failure is remembered.
 */
static int lose(struct blk_file *f, int ret)
{
	__atomic_store_n(&f->lost, ret, __ATOMIC_RELAXED);
	return ret;
}

static int sync_data(struct blk_file *f)
{
	int ret;

	do {
		ret = fdatasync(f->fd);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? lose(f, -errno) : 0;
}

/* A write with RWF_DSYNC reports its own failure, but EIO may be about other pages. */
int blk_file_synced(struct blk_file *f, const struct vmm_virtio_blk_io *io, int ret)
{
	if (io->op == VMM_VIRTIO_BLK_FLUSH)
		return ret < 0 ? lose(f, ret)
			       : __atomic_load_n(&f->lost, __ATOMIC_RELAXED);
	if (ret == -EIO && (io->flags & VMM_VIRTIO_BLK_IO_FUA))
		return lose(f, ret);
	return ret;
}

static int do_io(struct blk_file *f, struct vmm_virtio_blk_io *io)
{
	int ret;

	switch (io->op) {
	case VMM_VIRTIO_BLK_READ:
	case VMM_VIRTIO_BLK_WRITE:
		return transfer(f, io);
	case VMM_VIRTIO_BLK_DISCARD:
		return discard(f, io);
	case VMM_VIRTIO_BLK_SECURE_ERASE:
		return erase(f, io);
	case VMM_VIRTIO_BLK_WRITE_ZEROES:
		ret = make_zeroes(f, io);
		if (ret == 0 && (io->flags & VMM_VIRTIO_BLK_IO_FUA))
			ret = sync_data(f);
		return ret;
	default:
		return sync_data(f);
	}
}

int blk_file_do(struct blk_file *f, struct vmm_virtio_blk_io *io)
{
	int saved = errno, ret = blk_file_synced(f, io, do_io(f, io));

	errno = saved;
	return ret;
}

static int sync_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct vmm_virtio_blk *blk = ctx;

	vmm_virtio_blk_complete(io, blk_file_do(&blk->file, io));
	return 0;
}

void blk_sync_open(struct vmm_virtio_blk *blk, struct blk_engine *out)
{
	static const struct blk_engine sync = {
		.backend = { .size = sizeof(sync.backend), .submit = sync_submit },
		.kind = VMM_VIRTIO_BLK_ENGINE_SYNC,
	};

	*out = sync;
	out->ctx = blk;
}

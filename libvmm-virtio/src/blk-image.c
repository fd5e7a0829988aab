/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Disk images: opening one that nobody else writes to, and how large they are. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "blk.h"
#include "transport.h"

#define READONLY VMM_VIRTIO_BLK_IMAGE_READONLY
#define DIRECT VMM_VIRTIO_BLK_IMAGE_DIRECT

enum { LOCK_TRIES = 30, LOCK_WAIT_NS = 10000000 };

static int system_error(const char *path, struct vmm_error *err)
{
	return vmm_error_set(err, -errno, "%.160s: %s", path, strerror(errno));
}

static int check_type(const char *path, mode_t mode, struct vmm_error *err)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	return vmm_error_set(err, -EINVAL,
			     "%.160s: not a disk: neither file nor block device", path);
}

/* Opening is enough to rewind a tape, start a watchdog or let the writer of a pipe go on:
 * what is no disk is not opened, or, if it came in between, without a wait. */
static int open_disk(const char *path, uint32_t flags, struct vmm_error *err)
{
	int mode = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (flags & DIRECT ? O_DIRECT : 0) |
		   (flags & READONLY ? O_RDONLY : O_RDWR);
	struct stat st;
	int fd, ret;

	if (stat(path, &st) < 0)
		return system_error(path, err);
	ret = check_type(path, st.st_mode, err);
	if (ret < 0)
		return ret;
	fd = open(path, mode);
	if (fd < 0 && errno == EINVAL && (flags & DIRECT))
		return vmm_error_set(err, -EOPNOTSUPP,
				     "%.160s: its file system cannot do direct access",
				     path);
	return fd < 0 ? system_error(path, err) : fd;
}

/* With O_NONBLOCK, io_uring gives up on file systems that may have to wait. */
static int settle(int fd, const char *path, struct vmm_error *err)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
	    fstat(fd, &st) < 0)
		return system_error(path, err);
	return check_type(path, st.st_mode, err);
}

/* The lock is the open file's, not the process's: it ends with the last descriptor. The
 * kernel closes those that an io_uring had some time after the end of a process that was
 * killed, and its successor shall not fail for that. */
static int try_lock(int fd, uint32_t flags)
{
	const struct timespec moment = { .tv_nsec = LOCK_WAIT_NS };

	for (int i = 1;; i++) {
		struct flock lock = { .l_type = flags & READONLY ? F_RDLCK : F_WRLCK };

		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (i == LOCK_TRIES)
			return -EBUSY;
		(void)nanosleep(&moment, NULL);
	}
}

static int lock_disk(int fd, const char *path, uint32_t flags, struct vmm_error *err)
{
	int ret = try_lock(fd, flags);

	if (ret == -EBUSY)
		return vmm_error_set(err, ret,
				     flags & READONLY
					 ? "%.160s: another process writes to it"
					 : "%.160s: another process uses it",
				     path);
	/* Not every file system has locks. */
	if (ret == 0 || ret == -EINVAL || ret == -ENOLCK || ret == -EOPNOTSUPP ||
	    ret == -ENOSYS)
		return 0;
	return vmm_error_set(err, ret, "%.160s: %s", path, strerror(-ret));
}

int vmm_virtio_blk_open_image(const char *path, uint32_t flags, int *out_fd,
			      struct vmm_error *err)
{
	int saved = errno, fd, ret;

	if (flags & ~(READONLY | DIRECT))
		return vmm_error_at(err, -EINVAL, 0, READONLY | DIRECT, flags,
				    "disk image with flags 0x%x", flags);
	fd = open_disk(path, flags, err);
	ret = fd < 0 ? fd : settle(fd, path, err);
	if (ret == 0)
		ret = lock_disk(fd, path, flags, err);
	if (ret == 0)
		*out_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return ret;
}

/* The lock is held. What is in flight was judged by the capacity of before. */
static int tell_capacity(struct vmm_virtio_blk *blk,
			 struct vmm_virtio_transport *transport, uint64_t bytes)
{
	uint64_t sectors = bytes / VMM_VIRTIO_BLK_SECTOR, le = htole64(sectors);

	__atomic_store_n(&blk->sectors, sectors, __ATOMIC_RELAXED);
	return vmm_virtio_transport_set_config(transport, 0, &le, sizeof(le));
}

int vmm_virtio_blk_set_capacity(struct vmm_virtio_blk *blk,
				struct vmm_virtio_transport *transport, uint64_t capacity)
{
	int saved = errno, ret = 0;

	if (transport->ctx != blk)
		return -EINVAL;
	if (capacity == 0 && blk->engine.kind == VMM_VIRTIO_BLK_ENGINE_CALLER)
		return -EINVAL;
	pthread_mutex_lock(&blk->capacity_lock);
	if (capacity == 0)
		ret = blk_file_size(&blk->file, &capacity);
	if (ret == 0)
		ret = tell_capacity(blk, transport, capacity);
	pthread_mutex_unlock(&blk->capacity_lock);
	errno = saved;
	return ret;
}

/* Beyond the limit, ftruncate() would send a signal that ends the VMM. */
static int grow_file(int fd, uint64_t bytes)
{
	struct rlimit limit;
	int ret;

	if (bytes > INT64_MAX ||
	    (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur))
		return -EFBIG;
	do
		ret = ftruncate(fd, (off_t)bytes);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* The lock is held. */
static int resize(struct vmm_virtio_blk *blk, struct vmm_virtio_transport *transport,
		  uint64_t bytes, struct vmm_error *err)
{
	uint64_t size, before = blk->sectors * VMM_VIRTIO_BLK_SECTOR;
	int ret = blk_file_size(&blk->file, &size);

	if (ret < 0)
		return vmm_error_set(err, ret, "size of the disk image is unknown");
	if (bytes == 0)
		bytes = size;
	if (bytes < before)
		return vmm_error_at(err, -EINVAL, 0, before, bytes,
				    "a disk of %llu bytes does not become smaller",
				    (unsigned long long)before);
	if (bytes > size && blk->file.is_device)
		return vmm_error_at(err, -ENOSPC, 0, size, bytes,
				    "the block device has no more than %llu bytes",
				    (unsigned long long)size);
	ret = bytes > size ? grow_file(blk->file.fd, bytes) : 0;
	if (ret < 0)
		return vmm_error_at(err, ret, 0, size, bytes,
				    "the disk image does not grow: %s", strerror(-ret));
	return bytes / VMM_VIRTIO_BLK_SECTOR > blk->sectors
		   ? tell_capacity(blk, transport, bytes)
		   : 0;
}

int vmm_virtio_blk_resize(struct vmm_virtio_blk *blk,
			  struct vmm_virtio_transport *transport, uint64_t bytes,
			  struct vmm_error *err)
{
	int saved = errno, ret;

	if (transport->ctx != blk)
		return vmm_error_set(err, -EINVAL, "transport of another device");
	if (blk->engine.kind == VMM_VIRTIO_BLK_ENGINE_CALLER)
		return vmm_error_set(err, -EOPNOTSUPP, "a disk without an image");
	if (blk->readonly && bytes != 0)
		return vmm_error_set(err, -EROFS, "a read-only disk does not grow");
	pthread_mutex_lock(&blk->capacity_lock);
	ret = resize(blk, transport, bytes, err);
	pthread_mutex_unlock(&blk->capacity_lock);
	errno = saved;
	return ret;
}

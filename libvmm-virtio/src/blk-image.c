/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Disk images: opening one that nobody else writes to, and making one larger. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"

#define READONLY VMM_VIRTIO_BLK_IMAGE_READONLY
#define DIRECT VMM_VIRTIO_BLK_IMAGE_DIRECT

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

/* The lock is the open file's, not the process's: it ends with the last descriptor. */
static int lock_disk(int fd, const char *path, uint32_t flags, struct vmm_error *err)
{
	struct flock lock = { .l_type = flags & READONLY ? F_RDLCK : F_WRLCK };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return vmm_error_set(err, -EBUSY,
				     flags & READONLY
					 ? "%.160s: another process writes to it"
					 : "%.160s: another process uses it",
				     path);
	/* Not every file system has locks. */
	if (errno == EINVAL || errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return system_error(path, err);
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

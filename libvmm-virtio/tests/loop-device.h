/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOOP_DEVICE_H
#define LOOP_DEVICE_H

#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A block device on a file; -1: we may not set one up. It goes with its last descriptor.
 * @flags: beside O_RDWR; @block_size: 0: as the kernel likes */
static inline int loop_device_open(int file, int flags, uint32_t block_size)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), free = -1, fd;
	struct loop_config config = { .fd = (uint32_t)file,
				      .block_size = block_size,
				      .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	char path[32];

	if (control < 0)
		return -1;
	free = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	(void)snprintf(path, sizeof(path), "/dev/loop%d", free);
	fd = free < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC | flags);
	if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

#endif

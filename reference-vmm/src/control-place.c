/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control-place.h"
#include "options.h"

enum {
	BACKLOG = 64,
	LOCK_TRIES = 500, /* 10 ms apart: nobody needs the lock for long */
};

int control_check_name(const char *name, struct vmm_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(name);

	if (len == 0)
		return vmm_error_set(err, -EINVAL, "a machine's name is not empty");
	if (len > MACHINE_NAME_MAX)
		return vmm_error_set(err, -EINVAL,
				     "a machine's name has at most %d bytes, not %zu",
				     MACHINE_NAME_MAX, len);
	if (strspn(name, letters) != len || name[0] == '.' || name[0] == '-')
		return vmm_error_set(err, -EINVAL,
				     "'%.64s' is no machine's name: letters, digits and "
				     "-_. make one, - and . not in front",
				     name);
	return 0;
}

static int find_dir(char *dir, size_t size, struct vmm_error *err)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int len;

	/* A relative one is to be ignored, says the XDG specification. */
	if (base && base[0] == '/')
		len = snprintf(dir, size, "%s/libvmm", base);
	else
		len = snprintf(dir, size, "/tmp/libvmm-%u", (unsigned int)geteuid());
	/* Socket addresses are short: leave room for NAME.sock. */
	if (len < 0 || (size_t)len >= size)
		return vmm_error_set(err, -ENAMETOOLONG,
				     "XDG_RUNTIME_DIR is too long for a socket's name");
	return 0;
}

int control_open_place(struct control_place *place, bool make, struct vmm_error *err)
{
	struct stat st;
	int fd, ret = find_dir(place->dir, sizeof(place->dir), err);

	if (ret < 0)
		return ret;
	if (make && mkdir(place->dir, 0700) < 0 && errno != EEXIST)
		return vmm_error_set(err, -errno, "%s: %s", place->dir, strerror(errno));
	fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return vmm_error_set(err, -errno, "%s: %s", place->dir, strerror(errno));
	if (fstat(fd, &st) < 0)
		ret = vmm_error_set(err, -errno, "%s: %s", place->dir, strerror(errno));
	else if (st.st_uid != geteuid() && (make || geteuid() != 0))
		ret =
		    vmm_error_set(err, -EPERM, "%s belongs to another user", place->dir);
	else if (st.st_mode & 077)
		ret = vmm_error_set(
		    err, -EPERM, "%s is open to other users; chmod 700 it", place->dir);
	if (ret < 0)
		(void)close(fd);
	else
		place->dir_fd = fd;
	return ret;
}

static int set_address(const struct control_place *place, const char *name,
		       struct sockaddr_un *out)
{
	int len = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s.sock", place->dir,
			   name);

	out->sun_family = AF_UNIX;
	return len < 0 || (size_t)len >= sizeof(out->sun_path) ? -ENAMETOOLONG : 0;
}

static int connect_to(const struct sockaddr_un *address, int *out_fd)
{
	int ret = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		ret = -errno;
	if (ret < 0)
		(void)close(fd);
	else
		*out_fd = fd;
	return ret;
}

/* The lock goes with the descriptor: one that was opened for it, for only another open
 * of the directory competes. */
static int lock(const struct control_place *place, int *out_fd)
{
	struct timespec while_ = { .tv_nsec = 10000000 };
	int fd = openat(place->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			*out_fd = fd;
			return 0;
		}
		(void)nanosleep(&while_, NULL);
	}
	(void)close(fd);
	return -EBUSY;
}

/* With the lock: the name is free, or -EEXIST, and what was left is removed. */
static int clear(const struct control_place *place, const struct sockaddr_un *address)
{
	const char *file = strrchr(address->sun_path, '/') + 1;
	struct stat st;
	int fd = -1, ret = connect_to(address, &fd);

	if (ret == 0)
		(void)close(fd);
	if (ret == -ENOENT)
		return 0;
	if (ret != -ECONNREFUSED)
		return ret == 0 || ret == -EAGAIN ? -EEXIST : ret;
	/* A file of another kind refuses, too. */
	if (fstatat(place->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	return unlinkat(place->dir_fd, file, 0) < 0 ? -errno : 0;
}

static int bind_and_listen(const struct sockaddr_un *address, int *out_fd)
{
	int ret = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    chmod(address->sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0)
		ret = -errno;
	if (ret < 0)
		(void)close(fd);
	else
		*out_fd = fd;
	return ret;
}

int control_listen(const struct control_place *place, const char *name, int *out_fd,
		   struct vmm_error *err)
{
	struct sockaddr_un address = { 0 };
	int lock_fd = -1, ret = set_address(place, name, &address);

	if (ret == 0)
		ret = lock(place, &lock_fd);
	if (ret < 0)
		return vmm_error_set(err, ret, "%s/%s.sock: %s", place->dir, name,
				     strerror(-ret));
	ret = clear(place, &address);
	if (ret == 0)
		ret = bind_and_listen(&address, out_fd);
	(void)close(lock_fd);
	if (ret == -EEXIST)
		return vmm_error_set(err, ret, "a machine named '%s' is running", name);
	return ret < 0
		   ? vmm_error_set(err, ret, "%s: %s", address.sun_path, strerror(-ret))
		   : 0;
}

void control_unlisten(const struct control_place *place, const char *name, int fd)
{
	struct sockaddr_un address = { 0 };
	int lock_fd = -1, ret = set_address(place, name, &address);

	/* Without the lock the socket stays, and is recognised as left over. */
	if (ret == 0)
		ret = lock(place, &lock_fd);
	(void)close(fd);
	if (ret < 0)
		return;
	/* Whoever may have the name by now answers, and so keeps it. */
	(void)clear(place, &address);
	(void)close(lock_fd);
}

int control_connect(const struct control_place *place, const char *name, int *out_fd)
{
	struct sockaddr_un address = { 0 };
	int lock_fd = -1, ret = set_address(place, name, &address);

	if (ret == 0)
		ret = connect_to(&address, out_fd);
	if (ret != -ECONNREFUSED)
		return ret;
	/* Perhaps it is just being made: with the lock we know. */
	ret = lock(place, &lock_fd);
	if (ret < 0)
		return ret;
	ret = clear(place, &address);
	(void)close(lock_fd);
	if (ret == -EEXIST)
		return connect_to(&address, out_fd);
	return ret == 0 ? -ENOENT : ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"

/* The caller waits at the other end. There is one process, so this is one static object. */
static int ready_fd = -1;

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int replace(int fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ret = null_fd < 0 || dup2(null_fd, fd) < 0 ? -errno : 0;

	if (null_fd > STDERR_FILENO)
		(void)close(null_fd);
	return ret;
}

/* The caller's process: no thread, no handler, nothing to be flushed. */
_Noreturn static void wait_for(pid_t child, int fd)
{
	int status = 0;
	ssize_t n;
	char byte;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int background_begin(struct vmm_error *err)
{
	int ends[2], ret;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return vmm_error_set(err, -errno, "--background: %s", strerror(errno));
	child = fork();
	if (child < 0) {
		ret = -errno;
		(void)close(ends[0]);
		(void)close(ends[1]);
		return vmm_error_set(err, ret, "--background: %s", strerror(-ret));
	}
	if (child > 0) {
		(void)close(ends[1]);
		wait_for(child, ends[0]);
	}
	(void)close(ends[0]);
	ready_fd = ends[1];
	ret = replace(STDIN_FILENO);
	if (ret == 0 && !is_regular(STDOUT_FILENO))
		ret = replace(STDOUT_FILENO);
	return ret < 0 ? vmm_error_set(err, ret, "/dev/null: %s", strerror(-ret)) : 0;
}

void background_done(void)
{
	if (ready_fd < 0)
		return;
	/* From here on no key of the caller's terminal reaches us. */
	(void)setsid();
	if (!is_regular(STDERR_FILENO))
		(void)replace(STDERR_FILENO);
	(void)!write(ready_fd, "", 1);
	(void)close(ready_fd);
	ready_fd = -1;
}

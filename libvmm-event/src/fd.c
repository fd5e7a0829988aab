/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"
#include "probes.h"

#define EV_FD_EVENTS                                                                   \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP | \
		    EPOLLET | EPOLLEXCLUSIVE | EPOLLWAKEUP))

static bool events_are_valid(uint32_t events)
{
	if (events & ~EV_FD_EVENTS)
		return false;
	return !(events & EPOLLEXCLUSIVE) || !(events & (EPOLLRDHUP | EPOLLPRI));
}

/* 0: epoll takes the file; 1: it does not, but reading and writing never block. The
 * kernel looks at the file before it looks at the operation, and 0 is none, so this
 * changes nothing. Without it a duplicate would be made first, and closing one of a
 * regular file drops the process' record locks (fcntl(2), F_SETLK). */
static int fd_probe(const struct vmm_event *loop, int fd)
{
	struct stat st;
	int ret = sys_epoll_ctl(loop->epfd, 0, fd, 0, NULL);

	if (ret == -EBADF)
		return ret;
	if (ret != -EPERM)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode) ? 1
										 : ret;
}

/* Gives @s its descriptor and registers it. On failure the caller drops @s. */
static int fd_open(struct vmm_event_source *s, int fd, bool take)
{
	int ret = fd_probe(s->loop, fd);

	if (ret < 0)
		return ret;
	s->caller_fd = fd;
	s->always = ret > 0;
	if (take) {
		s->fd = fd;
	} else if (!s->always) {
		s->fd = sys_dup(fd);
		if (s->fd < 0)
			return s->fd;
	}
	ret = source_register(s);
	if (ret < 0 && take)
		s->fd = -1;
	return ret;
}

static int fd_add(struct vmm_event *loop, int fd, uint32_t events, vmm_event_fd_fn fn,
		  void *ctx, bool take, struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret;

	if (!events_are_valid(events & ~(uint32_t)EPOLLONESHOT))
		return -EINVAL;
	ret = source_new(loop, EV_FD, ctx, &s);
	if (ret < 0)
		return ret;
	s->fn.fd = fn;
	s->events = events & ~(uint32_t)EPOLLONESHOT;
	if (events & EPOLLONESHOT)
		s->enabled = VMM_EVENT_ONESHOT;
	ret = fd_open(s, fd, take);
	if (ret < 0) {
		source_drop(s);
		return ret;
	}
	if (out)
		*out = s;
	return 0;
}

int vmm_event_add_fd(struct vmm_event *loop, int fd, uint32_t events, vmm_event_fd_fn fn,
		     void *ctx, struct vmm_event_source **out)
{
	return fd_add(loop, fd, events, fn, ctx, false, out);
}

int vmm_event_take_fd(struct vmm_event *loop, int fd, uint32_t events, vmm_event_fd_fn fn,
		      void *ctx, struct vmm_event_source **out)
{
	return fd_add(loop, fd, events, fn, ctx, true, out);
}

/* The old registration is given up first if EPOLLEXCLUSIVE, which the kernel cannot
 * modify, comes or goes. */
static int fd_modify(struct vmm_event_source *s, uint32_t old)
{
	int ret;

	if (s->registered && (s->events | old) & EPOLLEXCLUSIVE) {
		ret = source_unregister(s);
		if (ret < 0)
			return ret;
	}
	return source_register(s);
}

int vmm_event_source_set_events(struct vmm_event_source *source, uint32_t events)
{
	uint32_t old = source->events;
	bool quiet = source->quiet;
	int ret = 0;

	if (source->kind != EV_FD || !events_are_valid(events))
		return -EINVAL;
	source->events = events;
	source->quiet = false;
	if (source->enabled != VMM_EVENT_OFF)
		ret = fd_modify(source, old);
	if (ret < 0) {
		source->events = old;
		source->quiet = quiet;
		/* The old registration takes no more memory than the new one. */
		if (!source->registered)
			(void)source_register(source);
		return ret;
	}
	source->hangups = 0;
	return 0;
}

/* Bytes that can be read; -1: nobody knows; 0: none, or nobody asked. */
static int64_t fd_unread(const struct vmm_event_source *s, uint32_t events)
{
	int n = 0;

	if (!(events & s->events & EPOLLIN))
		return 0;
	return ioctl(s->fd, FIONREAD, &n) == 0 ? n : -1;
}

/* True if a file that is always ready can only report its end from now on. */
static bool file_at_end(const struct vmm_event_source *s, int64_t position)
{
	struct stat st;

	if (s->events & EPOLLOUT)
		return false;
	if (position < 0 || fstat(s->caller_fd, &st) < 0)
		return true;
	if (S_ISREG(st.st_mode))
		return position >= st.st_size;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3); /* /dev/null */
}

static void fd_set_quiet(struct vmm_event_source *s, bool quiet)
{
	s->hangups = 0;
	s->quiet = quiet;
	/* A failure leaves the events coming as before: tried again with the next. */
	if (source_register(s) < 0)
		s->quiet = !quiet;
}

/* After a callback of a source that is or was hung up and still wants events. */
EV_COLD static void fd_hangup(struct vmm_event_source *s, uint32_t events)
{
	uint32_t limit = s->loop->hangup_limit;
	int64_t progress;
	bool gone;

	if (s->always) {
		progress = lseek(s->caller_fd, 0, SEEK_CUR);
		gone = file_at_end(s, progress);
	} else {
		progress = fd_unread(s, events);
		/* Half a stream has gone, the other half works. */
		gone = events & (EPOLLHUP | EPOLLERR) ||
		       (events & EPOLLRDHUP && !(events & s->events & EPOLLOUT));
		if (progress != 0 && limit < EV_HANGUP_UNREAD_LIMIT)
			limit = EV_HANGUP_UNREAD_LIMIT;
	}
	if (!gone || progress != s->progress) {
		s->progress = gone ? progress : 0;
		s->hangups = 0;
		if (s->quiet)
			fd_set_quiet(s, false);
	}
	if (gone && !s->quiet && ++s->hangups >= limit)
		fd_set_quiet(s, true);
}

/* After a callback that may have been about a hang-up. */
void fd_after(struct vmm_event_source *s, uint32_t events)
{
	/* Leave alone what the callback has changed and what does not repeat. */
	if (s->enabled == VMM_EVENT_ON && s->armed_round != s->loop->round &&
	    !(s->events & (EPOLLET | EPOLLEXCLUSIVE)))
		fd_hangup(s, events);
}

int vmm_event_add_eventfd(struct vmm_event *loop, int fd, vmm_event_eventfd_fn fn,
			  void *ctx, struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int flags = fcntl(fd, F_GETFL);
	int ret;

	if (flags < 0)
		return -errno;
	ret = source_new(loop, EV_EVENTFD, ctx, &s);
	if (ret < 0)
		return ret;
	s->fn.eventfd = fn;
	s->nonblock = flags & O_NONBLOCK;
	ret = fd_open(s, fd, false);
	if (ret == 0 && s->always) {
		source_set_ready(s, false);
		ret = -EPERM;
	}
	if (ret < 0) {
		source_drop(s);
		return ret;
	}
	if (out)
		*out = s;
	return 0;
}

uint32_t eventfd_dispatch(struct vmm_event_source *s)
{
	uint64_t count = 0;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	ssize_t n = s->nonblock ? read(s->fd, &count, sizeof(count))
				: preadv2(s->fd, &iov, 1, -1, RWF_NOWAIT);

	/* Somebody else read it first. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(count)) {
		count = 0;
		source_disable(s);
	} else if (s->enabled == VMM_EVENT_ONESHOT) {
		source_disable(s);
	}
	PROBE_BEGIN(s);
	s->fn.eventfd(s->ctx, s, count);
	PROBE_END(s);
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"

#define NS_PER_S UINT64_C(1000000000)

static int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
				  .tv_nsec = (long)(ns % NS_PER_S) };
}

int sys_epoll_create(void)
{
	return result(epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = { .events = events, .data.ptr = ptr };

	return result(epoll_ctl(epfd, op, fd, &ev));
}

int sys_epoll_wait_ns(int epfd, struct epoll_event *events, int max, uint64_t ns)
{
	struct timespec ts = to_timespec(ns);

	return result(epoll_pwait2(epfd, events, max, &ts, NULL));
}

int sys_eventfd(void)
{
	return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int sys_timerfd(int clock)
{
	return result(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK));
}

int sys_timerfd_set(int fd, int flags, uint64_t first_ns, uint64_t period_ns)
{
	struct itimerspec its = { .it_value = to_timespec(first_ns),
				  .it_interval = to_timespec(period_ns) };

	return result(timerfd_settime(fd, flags, &its, NULL));
}

int sys_signalfd(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

/* Not below 3: a duplicate must never pass for a standard stream that is closed. */
int sys_dup(int fd)
{
	return result(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int sys_dup_to(int fd, int to)
{
	return result(dup3(fd, to, O_CLOEXEC));
}

/* Aligned to a cache line. */
void *sys_alloc(size_t size)
{
	return aligned_alloc(64, (size + 63) / 64 * 64);
}

void *sys_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void *sys_realloc(void *p, size_t n, size_t size)
{
	return reallocarray(p, n, size);
}

void sys_futex_wait(const uint32_t *word, uint32_t value)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void sys_futex_wake(const uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef EVENT_TEST_H
#define EVENT_TEST_H

/* What the test programs of this library share. */

#include "vmm-test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vmm/event.h>

#define LOOP(name)                                                 \
	VMM_CLEANUP(vmm_event_free) struct vmm_event *name = NULL; \
	assert_int_equal(vmm_event_new(NULL, &name), 0)

/* Most tests want to see one round: how many callbacks were there? */
static inline uint32_t poll_once(struct vmm_event *loop)
{
	uint32_t n = UINT32_MAX;

	assert_int_equal(vmm_event_run_once(loop, 0, &n), 0);
	return n;
}

/* A callback's memory. Not every program uses all of it. */
struct seen {
	uint32_t calls;
	uint32_t events;
	int fd;
	uint64_t sum;
	struct vmm_event_source *source;
	/* What the callback does besides counting. */
	bool remove_self;
	bool drain;
	struct vmm_event_source *remove_other;
	struct vmm_event *stop;
};

static inline void seen_act(struct seen *s, struct vmm_event_source *source)
{
	s->calls++;
	s->source = source;
	if (s->remove_self)
		vmm_event_source_remove(source);
	if (s->remove_other)
		vmm_event_source_remove(s->remove_other);
	s->remove_other = NULL;
	if (s->stop)
		vmm_event_stop(s->stop, 0);
}

static inline void seen_fd(void *ctx, struct vmm_event_source *source, int fd,
			   uint32_t events)
{
	struct seen *s = ctx;
	char buf[64];

	s->fd = fd;
	s->events = events;
	if (s->drain)
		assert_true(read(fd, buf, sizeof(buf)) > 0);
	seen_act(s, source);
}

static inline void seen_count(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	struct seen *s = ctx;

	s->sum += count;
	seen_act(s, source);
}

static inline void seen_plain(void *ctx, struct vmm_event_source *source)
{
	seen_act(ctx, source);
}

static inline void seen_post(void *ctx)
{
	struct seen *s = ctx;

	s->calls++;
}

static inline int make_eventfd(uint32_t value)
{
	int fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static inline void set_eventfd(int fd, uint64_t value)
{
	assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
}

static inline void clear_eventfd(int fd)
{
	uint64_t value;

	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
}

static inline struct vmm_event_source *add_fd(struct vmm_event *loop, int fd,
					      uint32_t events, struct seen *seen)
{
	struct vmm_event_source *source = NULL;

	assert_int_equal(vmm_event_add_fd(loop, fd, events, seen_fd, seen, &source), 0);
	assert_non_null(source);
	return source;
}

static inline void enable(struct vmm_event_source *source, int enabled)
{
	assert_int_equal(vmm_event_source_set_enabled(source, enabled), 0);
}

static inline int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif

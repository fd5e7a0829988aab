/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

enum {
	DEFAULT_EVENTS = 1024,
	DEFAULT_POSTS = 256,
	DEFAULT_BUDGET = 64,
	DEFAULT_HANGUPS = 3,
};

static int read_opts(const struct vmm_event_opts *in, struct vmm_event_opts *opts)
{
	const unsigned char *bytes = (const unsigned char *)in;

	*opts = (struct vmm_event_opts)VMM_EVENT_OPTS_INIT;
	if (in) {
		if (in->size < sizeof(in->size))
			return -EINVAL;
		for (size_t i = sizeof(*opts); i < in->size; i++)
			if (bytes[i] != 0)
				return -E2BIG;
		memcpy(opts, in, in->size < sizeof(*opts) ? in->size : sizeof(*opts));
	}
	if (opts->max_events > VMM_EVENT_MAX_EVENTS ||
	    opts->max_posts > VMM_EVENT_MAX_POSTS ||
	    opts->budget > VMM_EVENT_MAX_BUDGET || opts->measure > 1 ||
	    opts->reserved_ != 0)
		return -EINVAL;
	if (opts->max_events == 0)
		opts->max_events = DEFAULT_EVENTS;
	if (opts->max_posts == 0)
		opts->max_posts = DEFAULT_POSTS;
	if (opts->budget == 0)
		opts->budget = DEFAULT_BUDGET;
	if (opts->hangup_limit == 0)
		opts->hangup_limit = DEFAULT_HANGUPS;
	return 0;
}

static int loop_open(struct vmm_event *loop)
{
	struct vmm_event_source *unused;
	int ret = loop->epfd = sys_epoll_create();

	if (ret < 0)
		return ret;
	ret = loop->wake.fd = sys_eventfd();
	if (ret < 0)
		return ret;
	ret =
	    sys_epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wake.fd, EPOLLIN, &loop->wake);
	if (ret < 0)
		return ret;
	/* For the room that it makes in the batch. */
	ret = source_new(loop, EV_DEFER, NULL, &unused);
	if (ret == 0)
		source_drop(unused);
	return ret;
}

int vmm_event_new(const struct vmm_event_opts *opts, struct vmm_event **out)
{
	struct vmm_event_opts o;
	struct vmm_event *loop;
	int ret = read_opts(opts, &o);

	if (ret < 0)
		return ret;
	loop = sys_alloc(sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	memset(loop, 0, sizeof(*loop));
	loop->max_events = o.max_events;
	loop->budget = o.budget;
	loop->hangup_limit = o.hangup_limit;
	loop->after_round = o.after_round;
	loop->after_ctx = o.ctx;
	loop->epfd = -1;
	loop->wake = (struct vmm_event_source){
		.loop = loop,
		.fd = -1,
		.kind = EV_WAKE,
		.enabled = VMM_EVENT_ON,
		.priority = VMM_EVENT_PRIORITY_NORMAL,
	};
	list_init(&loop->sources);
	list_init(&loop->ready);
	list_init(&loop->idle);
	list_init(&loop->removed);
	ret = remote_init(loop, o.max_posts);
	if (ret < 0) {
		free(loop);
		return ret;
	}
	ret = loop_open(loop);
	if (ret == 0 && o.measure)
		ret = stats_new(loop);
	if (ret < 0) {
		vmm_event_free(loop);
		return ret;
	}
	*out = loop;
	return 0;
}

void vmm_event_free(struct vmm_event *loop)
{
	int saved = errno;

	if (!loop)
		return;
	remote_fini(loop);
	/* First, so that no source is known to the kernel any more. */
	if (loop->epfd >= 0)
		(void)close(loop->epfd);
	while (!list_empty(&loop->sources))
		source_free(list_entry(loop->sources.next, struct vmm_event_source, all));
	while (!list_empty(&loop->removed))
		source_free(list_entry(loop->removed.next, struct vmm_event_source, all));
	if (loop->wake.fd >= 0)
		(void)close(loop->wake.fd);
	free(loop->batch);
	free(loop->scratch);
	free(loop->stats);
	free(loop);
	errno = saved;
}

/* What was accepted is run, and no more is: nobody waits for a loop that has ended. */
static void loop_end(struct vmm_event *loop)
{
	uint32_t posts;

	remote_close(loop);
	if (loop->stats)
		stats_begin(loop->stats);
	loop->round++;
	loop->dispatching = true;
	posts = remote_run(loop, UINT32_MAX);
	if (loop->after_round)
		loop->after_round(loop->after_ctx);
	loop->dispatching = false;
	source_reap(loop);
	if (loop->stats)
		stats_end(loop->stats, 0, posts);
}

/* The loop is this thread's now. A callback may run another loop, so these nest. */
static inline void loop_enter(struct vmm_event *loop)
{
	loop->outer = ev_running;
	if (ev_thread == 0)
		ev_thread = remote_new_thread();
	__atomic_store_n(&loop->owner, ev_thread, __ATOMIC_RELEASE);
	ev_running = loop;
	/* Only the loop's own thread sets it while the loop is in use. */
	if (loop->closed && !loop_is_stopped(loop, NULL))
		remote_reopen(loop);
}

static inline void loop_leave(struct vmm_event *loop)
{
	ev_running = loop->outer;
	loop->outer = NULL;
}

int vmm_event_run(struct vmm_event *loop, int *out_code)
{
	int ret = 0, code = 0;
	uint32_t n;

	if (loop->dispatching)
		return -EBUSY;
	loop_enter(loop);
	while (ret == 0 && !loop_is_stopped(loop, &code))
		ret = round_run(loop, -1, &n);
	loop_end(loop);
	loop_leave(loop);
	__atomic_store_n(&loop->owner, 0, __ATOMIC_RELEASE);
	if (ret == 0 && out_code)
		*out_code = code;
	return ret;
}

int vmm_event_run_once(struct vmm_event *loop, int64_t timeout_ns,
		       uint32_t *out_dispatched)
{
	uint32_t n = 0;
	int ret;

	if (loop->dispatching)
		return -EBUSY;
	loop_enter(loop);
	if (loop_is_stopped(loop, NULL)) {
		loop_end(loop);
		ret = -ESHUTDOWN;
	} else {
		ret = round_run(loop, timeout_ns, &n);
		loop_settle(loop);
	}
	loop_leave(loop);
	if (ret == 0 && out_dispatched)
		*out_dispatched = n;
	return ret;
}

void vmm_event_start(struct vmm_event *loop)
{
	remote_open(loop);
}

int vmm_event_get_fd(const struct vmm_event *loop)
{
	return loop->epfd;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* Room for every source, and the loop's own, to be ready in one round. */
static int batch_reserve(struct vmm_event *loop, uint32_t sources)
{
	uint32_t cap = loop->batch_cap;
	struct epoll_event *p;

	if (sources + 1 <= cap)
		return 0;
	cap = cap ? 2 * cap : 64;
	/* Each one alone may grow: only both together count as capacity. */
	p = sys_realloc(loop->batch, cap, sizeof(*p));
	if (!p)
		return -ENOMEM;
	loop->batch = p;
	p = sys_realloc(loop->scratch, cap, sizeof(*p));
	if (!p)
		return -ENOMEM;
	loop->scratch = p;
	loop->batch_cap = cap;
	return 0;
}

int source_new(struct vmm_event *loop, enum ev_kind kind, void *ctx,
	       struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret = batch_reserve(loop, loop->nr_sources + loop->nr_removed + 1);

	if (ret < 0)
		return ret;
	s = sys_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->ctx = ctx;
	s->kind = (uint8_t)kind;
	s->fd = -1;
	s->caller_fd = -1;
	s->enabled = VMM_EVENT_ON;
	s->priority = VMM_EVENT_PRIORITY_NORMAL;
	list_init(&s->ready);
	list_append(&loop->sources, &s->all);
	loop->nr_sources++;
	*out = s;
	return 0;
}

void source_free(struct vmm_event_source *s)
{
	list_remove(&s->all);
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s);
}

/* Undoes source_new() for a source that nobody has seen yet. */
void source_drop(struct vmm_event_source *s)
{
	s->loop->nr_sources--;
	source_free(s);
}

static uint32_t kernel_events(const struct vmm_event_source *s)
{
	uint32_t events = s->events;

	if (s->kind != EV_FD)
		return EPOLLIN;
	/* The end of a stream is EPOLLIN for ever: this tells it from data. Epoll
	 * does not allow it beside EPOLLEXCLUSIVE. */
	if (events & EPOLLIN && !(events & EPOLLEXCLUSIVE))
		events |= EPOLLRDHUP;
	if (s->quiet)
		events |= EPOLLET;
	return events;
}

void source_set_ready(struct vmm_event_source *s, bool ready)
{
	struct vmm_event *loop = s->loop;

	if (ready == !list_empty(&s->ready))
		return;
	*(s->kind == EV_IDLE ? &loop->nr_idle : &loop->nr_ready) += ready ? 1 : -1u;
	if (ready)
		list_append(s->kind == EV_IDLE ? &loop->idle : &loop->ready, &s->ready);
	else
		list_remove(&s->ready);
}

/* Of a source without epoll. */
static bool is_ready(const struct vmm_event_source *s)
{
	if (s->kind != EV_FD)
		return true;
	return !s->quiet && s->events & (EPOLLIN | EPOLLOUT);
}

/* Makes the source wait for events as it is set now; the kernel looks at once
 * whether they are there. */
int source_register(struct vmm_event_source *s)
{
	struct vmm_event *loop = s->loop;
	int op = s->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, ret = 0;

	if (s->always || s->fd < 0)
		source_set_ready(s, is_ready(s));
	else
		ret = sys_epoll_ctl(loop->epfd, op, s->fd, kernel_events(s), s);
	if (ret < 0)
		return ret;
	s->registered = s->fd >= 0 && !s->always;
	s->armed_round = loop->dispatching ? loop->round : 0;
	loop_settle(loop);
	return 0;
}

int source_unregister(struct vmm_event_source *s)
{
	int ret = 0;

	source_set_ready(s, false);
	if (s->registered)
		ret = sys_epoll_ctl(s->loop->epfd, EPOLL_CTL_DEL, s->fd, 0, s);
	if (ret == 0)
		s->registered = false;
	/* Somebody closed our descriptor. The number is not ours any more. */
	if (ret == -EBADF || ret == -ENOENT)
		s->fd = -1;
	return ret;
}

/* Replaces the kernel's list by one without registrations that it would not take
 * back. Of these we know only when their descriptors were closed behind our back: the
 * file may live on, and report events for ever. The descriptor's number stays. */
int source_rebuild(struct vmm_event *loop)
{
	int old = loop->epfd, ret = sys_epoll_create();
	struct ev_list *l;

	if (ret < 0)
		return ret;
	loop->epfd = ret;
	ret =
	    sys_epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wake.fd, EPOLLIN, &loop->wake);
	for (l = loop->sources.next; ret == 0 && l != &loop->sources; l = l->next) {
		struct vmm_event_source *s = list_entry(l, struct vmm_event_source, all);

		if (s->registered && s->enabled != VMM_EVENT_OFF)
			ret = sys_epoll_ctl(loop->epfd, EPOLL_CTL_ADD, s->fd,
					    kernel_events(s), s);
	}
	if (ret == 0)
		ret = sys_dup_to(loop->epfd, old);
	(void)close(loop->epfd);
	loop->epfd = old;
	if (ret < 0)
		return ret;
	for (l = loop->sources.next; l != &loop->sources; l = l->next) {
		struct vmm_event_source *s = list_entry(l, struct vmm_event_source, all);

		s->registered = s->registered && s->enabled != VMM_EVENT_OFF;
	}
	for (l = loop->removed.next; l != &loop->removed; l = l->next)
		list_entry(l, struct vmm_event_source, all)->registered = false;
	return 0;
}

/* If the kernel does not take the registration back now, the next event that comes
 * of it makes another attempt. */
void source_disable(struct vmm_event_source *s)
{
	s->enabled = VMM_EVENT_OFF;
	(void)source_unregister(s);
}

/* Frees what was removed. A source that the kernel still knows must stay, or an
 * event would point to freed memory: round.c sees to it. */
void source_reap(struct vmm_event *loop)
{
	struct ev_list *l = loop->removed.next;

	while (l != &loop->removed) {
		struct vmm_event_source *s = list_entry(l, struct vmm_event_source, all);

		l = l->next;
		if (s->registered)
			continue;
		loop->nr_removed--;
		source_free(s);
	}
}

void vmm_event_source_remove(struct vmm_event_source *source)
{
	struct vmm_event *loop;

	if (!source)
		return;
	loop = source->loop;
	source_disable(source);
	if (source->kind == EV_SIGNAL)
		signal_forget(source);
	if (source->priority != VMM_EVENT_PRIORITY_NORMAL)
		loop->nr_prioritized--;
	loop->nr_sources--;
	list_remove(&source->all);
	list_append(&loop->removed, &source->all);
	loop->nr_removed++;
	if (!loop->dispatching)
		source_reap(loop);
}

int vmm_event_source_set_enabled(struct vmm_event_source *source, int enabled)
{
	int ret = 0;

	if (enabled < VMM_EVENT_OFF || enabled > VMM_EVENT_ONESHOT)
		return -EINVAL;
	if (enabled == VMM_EVENT_OFF) {
		source_disable(source);
		return 0;
	}
	if (source->enabled == VMM_EVENT_OFF || source->quiet) {
		bool quiet = source->quiet;

		source->quiet = false;
		ret = source_register(source);
		if (ret < 0) {
			source->quiet = quiet;
			return ret;
		}
		source->hangups = 0;
		if (source->kind == EV_TIMER && source->loop->stats)
			stats_timer_enabled(source);
	}
	source->enabled = (uint8_t)enabled;
	return 0;
}

int vmm_event_source_set_priority(struct vmm_event_source *source, int priority)
{
	if (priority < VMM_EVENT_PRIORITY_FIRST || priority > VMM_EVENT_PRIORITY_LAST)
		return -EINVAL;
	if (source->priority != VMM_EVENT_PRIORITY_NORMAL)
		source->loop->nr_prioritized--;
	source->priority = (uint8_t)priority;
	if (source->priority != VMM_EVENT_PRIORITY_NORMAL)
		source->loop->nr_prioritized++;
	return 0;
}

int vmm_event_source_get_enabled(const struct vmm_event_source *source)
{
	return source->enabled;
}

struct vmm_event *vmm_event_source_get_loop(const struct vmm_event_source *source)
{
	return source->loop;
}

bool vmm_event_source_is_quiet(const struct vmm_event_source *source)
{
	return source->quiet;
}

int vmm_event_add_defer(struct vmm_event *loop, vmm_event_source_fn fn, void *ctx,
			struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret = source_new(loop, EV_DEFER, ctx, &s);

	if (ret < 0)
		return ret;
	s->fn.plain = fn;
	s->enabled = VMM_EVENT_ONESHOT;
	ret = source_register(s); /* no system call: cannot fail */
	if (out)
		*out = s;
	return ret;
}

int vmm_event_add_idle(struct vmm_event *loop, vmm_event_source_fn fn, void *ctx,
		       struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret = source_new(loop, EV_IDLE, ctx, &s);

	if (ret < 0)
		return ret;
	s->fn.plain = fn;
	ret = source_register(s); /* no system call: cannot fail */
	if (out)
		*out = s;
	return ret;
}

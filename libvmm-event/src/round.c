/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "internal.h"
#include "probes.h"

#define NS_PER_MS INT64_C(1000000)

static int wait_ms(struct vmm_event *loop, int max, int ms)
{
	int n = epoll_wait(loop->epfd, loop->batch, max, ms);

	return n < 0 ? -errno : n;
}

EV_COLD static int wait_ns(struct vmm_event *loop, int max, int64_t timeout_ns)
{
	int64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
	int n = sys_epoll_wait_ns(loop->epfd, loop->batch, max, (uint64_t)timeout_ns);

	/* Kernels before 5.11, and filters that do not know the call. */
	if (n == -ENOSYS || n == -EPERM)
		n = wait_ms(loop, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
	return n;
}

/* Fills the batch with what the kernel has and then what it does not know of. */
static int round_collect(struct vmm_event *loop, int64_t timeout_ns)
{
	uint32_t room = loop->batch_cap - loop->nr_ready;
	int max = (int)(room < loop->max_events ? room : loop->max_events);
	int n;

	if (timeout_ns != 0 && loop_has_work(loop))
		timeout_ns = 0;
	if (timeout_ns <= 0)
		n = wait_ms(loop, max, timeout_ns < 0 ? -1 : 0);
	else
		n = wait_ns(loop, max, timeout_ns);
	if (n < 0 && n != -EINTR)
		return n;
	loop->batch_len = n < 0 ? 0 : (uint32_t)n;
	for (struct ev_list *l = loop->ready.next; l != &loop->ready; l = l->next) {
		struct vmm_event_source *s =
		    list_entry(l, struct vmm_event_source, ready);

		loop->batch[loop->batch_len++] = (struct epoll_event){
			.events = EPOLLIN | EPOLLOUT,
			.data.ptr = s,
		};
	}
	return 0;
}

static uint32_t event_priority(const struct epoll_event *ev)
{
	return ((const struct vmm_event_source *)ev->data.ptr)->priority;
}

/* Stable: equal priorities keep their order. */
__attribute__((noinline)) static void round_sort(struct vmm_event *loop)
{
	uint32_t at[EV_PRIORITIES + 1] = { 0 };
	struct epoll_event *sorted = loop->scratch;

	for (uint32_t i = 0; i < loop->batch_len; i++)
		at[event_priority(&loop->batch[i]) + 1]++;
	for (uint32_t p = 1; p < EV_PRIORITIES; p++)
		at[p] += at[p - 1];
	for (uint32_t i = 0; i < loop->batch_len; i++)
		sorted[at[event_priority(&loop->batch[i])]++] = loop->batch[i];
	loop->scratch = loop->batch;
	loop->batch = sorted;
}

static uint32_t plain_dispatch(struct vmm_event_source *s)
{
	if (s->enabled == VMM_EVENT_ONESHOT)
		source_disable(s);
	PROBE_BEGIN(s);
	s->fn.plain(s->ctx, s);
	PROBE_END(s);
	return 1;
}

static uint32_t dispatch_other(struct vmm_event *loop, struct vmm_event_source *s)
{
	switch ((enum ev_kind)s->kind) {
	case EV_EVENTFD:
		return eventfd_dispatch(s);
	case EV_TIMER:
		return timer_dispatch(s);
	case EV_SIGNAL:
		return signal_dispatch(s);
	case EV_DEFER:
	case EV_IDLE:
		return plain_dispatch(s);
	case EV_WAKE:
		remote_woken(loop);
		break;
	case EV_FD:
		break;
	}
	return 0;
}

static inline uint32_t fd_dispatch(struct vmm_event_source *s, uint32_t events)
{
	uint32_t seen = events & (s->events | EPOLLERR | EPOLLHUP);

	if (!seen)
		return 0;
	if (s->enabled == VMM_EVENT_ONESHOT)
		source_disable(s);
	PROBE_BEGIN(s);
	s->fn.fd(s->ctx, s, s->caller_fd, seen);
	PROBE_END(s);
	if (events & EV_HANGUP || s->quiet || s->always)
		fd_after(s, events);
	return 1;
}

static inline uint32_t dispatch(struct vmm_event *loop, struct vmm_event_source *s,
				uint32_t events)
{
	if (s->enabled == VMM_EVENT_OFF) {
		/* Disabled or removed in this round, or the kernel has kept it. */
		if (s->registered && source_unregister(s) < 0)
			loop->stale = true;
		return 0;
	}
	if (s->armed_round == loop->round)
		return 0;
	if (s->kind == EV_FD)
		return fd_dispatch(s, events);
	return dispatch_other(loop, s);
}

/* Callbacks may add sources, which moves the batch: no pointer into it is kept. */
static uint32_t round_dispatch(struct vmm_event *loop)
{
	uint32_t n = 0;

	if (loop->nr_prioritized > 0 && loop->batch_len > 1)
		round_sort(loop);
	for (uint32_t i = 0; i < loop->batch_len; i++)
		n += dispatch(loop, loop->batch[i].data.ptr, loop->batch[i].events);
	return n;
}

EV_COLD static uint32_t round_idle(struct vmm_event *loop)
{
	loop->batch_len = 0;
	for (struct ev_list *l = loop->idle.next; l != &loop->idle; l = l->next)
		loop->batch[loop->batch_len++] = (struct epoll_event){
			.data.ptr = list_entry(l, struct vmm_event_source, ready),
		};
	return round_dispatch(loop);
}

int round_run(struct vmm_event *loop, int64_t timeout_ns, uint32_t *out)
{
	uint32_t n, posts = 0;
	int ret = round_collect(loop, timeout_ns);

	if (ret < 0)
		return ret;
	if (loop->stats)
		stats_begin(loop->stats);
	loop->round++;
	loop->dispatching = true;
	n = round_dispatch(loop);
	if (remote_pending(loop))
		posts = remote_run(loop, loop->budget);
	if (n + posts == 0 && loop->nr_idle > 0)
		n = round_idle(loop);
	if (loop->after_round)
		loop->after_round(loop->after_ctx);
	loop->dispatching = false;
	/* Without memory or descriptors for it now, the next event asks again. */
	if (loop->stale)
		loop->stale = source_rebuild(loop) < 0;
	if (loop->nr_removed > 0)
		source_reap(loop);
	if (loop->stats)
		stats_end(loop->stats, n, posts);
	*out = n + posts;
	return 0;
}

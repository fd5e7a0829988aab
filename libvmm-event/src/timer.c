/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "internal.h"
#include "probes.h"

int vmm_event_add_timer(struct vmm_event *loop, int clock, vmm_event_timer_fn fn,
			void *ctx, struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_REALTIME)
		return -EINVAL;
	ret = source_new(loop, EV_TIMER, ctx, &s);
	if (ret < 0)
		return ret;
	s->fn.timer = fn;
	s->clock = (uint8_t)clock;
	ret = s->fd = sys_timerfd(clock);
	if (ret >= 0)
		ret = source_register(s);
	if (ret < 0) {
		source_drop(s);
		return ret;
	}
	if (out)
		*out = s;
	return 0;
}

/* A time of zero would stop the timer: one nanosecond is as good as at once. */
static int timer_set(struct vmm_event_source *s, int flags, uint64_t first,
		     uint64_t period)
{
	struct ev_due due = { 0 };
	int ret;

	if (s->kind != EV_TIMER)
		return -EINVAL;
	if (s->loop->stats)
		due = stats_due(s, flags & TFD_TIMER_ABSTIME, first, period);
	ret = sys_timerfd_set(s->fd, flags, first ? first : 1, period);
	if (ret < 0)
		return ret;
	s->due = due;
	if (s->loop->dispatching)
		s->armed_round = s->loop->round;
	return 0;
}

int vmm_event_source_set_timer(struct vmm_event_source *source, uint64_t first_ns,
			       uint64_t period_ns)
{
	return timer_set(source, 0, first_ns, period_ns);
}

int vmm_event_source_set_timer_at(struct vmm_event_source *source, uint64_t at_ns,
				  uint64_t period_ns)
{
	return timer_set(source, TFD_TIMER_ABSTIME, at_ns, period_ns);
}

void vmm_event_source_stop_timer(struct vmm_event_source *source)
{
	if (source->kind == EV_TIMER)
		(void)sys_timerfd_set(source->fd, 0, 0, 0);
}

uint32_t timer_dispatch(struct vmm_event_source *s)
{
	uint64_t expirations = 0;

	/* Nothing to read: set anew or stopped since it was reported. */
	if (read(s->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return 0;
	if (s->enabled == VMM_EVENT_ONESHOT)
		source_disable(s);
	if (s->loop->stats)
		stats_timer(s, expirations);
	PROBE_BEGIN(s);
	s->fn.timer(s->ctx, s, expirations);
	PROBE_END(s);
	return 1;
}

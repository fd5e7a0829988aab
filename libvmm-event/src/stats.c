/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "internal.h"

/*
 * What a loop that was asked to measure writes down. Only its own thread writes, so
 * an addition is a plain load and a store; the store is atomic for readers on other
 * threads, who see each number whole but not all numbers of one moment.
 */

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The place of the highest bit; 0 goes with 1. */
static uint32_t bucket_of(uint64_t ns)
{
	return 63 - (uint32_t)__builtin_clzll(ns | 1);
}

static void times_add(struct ev_times *t, uint64_t ns)
{
	add(&t->buckets[bucket_of(ns)], 1);
	add(&t->total_ns, ns);
	if (ns > t->longest_ns)
		__atomic_store_n(&t->longest_ns, ns, __ATOMIC_RELAXED);
}

/* The count is the sum of the buckets, so that these two always agree. */
static void times_get(const struct ev_times *t, struct vmm_event_times *out)
{
	for (uint32_t i = 0; i < VMM_EVENT_BUCKETS; i++) {
		out->buckets[i] = get(&t->buckets[i]);
		out->count += out->buckets[i];
	}
	out->total_ns = get(&t->total_ns);
	out->longest_ns = get(&t->longest_ns);
}

int stats_new(struct vmm_event *loop)
{
	struct ev_stats *stats = sys_calloc(1, sizeof(*stats));

	if (!stats)
		return -ENOMEM;
	loop->stats = stats;
	return 0;
}

void stats_begin(struct ev_stats *stats)
{
	__atomic_store_n(&stats->started_ns, sys_clock_ns(CLOCK_MONOTONIC),
			 __ATOMIC_RELAXED);
}

void stats_end(struct ev_stats *stats, uint32_t callbacks, uint32_t posts)
{
	uint64_t ns = sys_clock_ns(CLOCK_MONOTONIC) - stats->started_ns;

	__atomic_store_n(&stats->started_ns, 0, __ATOMIC_RELAXED);
	add(&stats->busy_ns, ns);
	if (callbacks + posts == 0) {
		add(&stats->empty_rounds, 1);
		return;
	}
	add(&stats->callbacks, callbacks);
	add(&stats->posts, posts);
	times_add(&stats->rounds, ns);
}

/* When a timer that is set now will be due. A relative time of CLOCK_REALTIME is
 * counted by the kernel as one of CLOCK_MONOTONIC; an absolute one may be due at once
 * because the clock is set, and nothing tells how late it is then. */
struct ev_due stats_due(const struct vmm_event_source *s, bool absolute, uint64_t first,
			uint64_t period)
{
	struct ev_due due = { .period_ns = period };

	due.clock = s->clock == CLOCK_REALTIME ? CLOCK_MONOTONIC : s->clock;
	due.known = !absolute || s->clock != CLOCK_REALTIME;
	due.from_ns = sys_clock_ns(due.clock);
	if (absolute)
		due.at_ns = first;
	else if (__builtin_add_overflow(due.from_ns, first, &due.at_ns))
		due.at_ns = UINT64_MAX; /* never */
	return due;
}

/* The loop is not late for what expired while it was told not to look. */
void stats_timer_enabled(struct vmm_event_source *s)
{
	if (s->due.known)
		s->due.from_ns = sys_clock_ns(s->due.clock);
}

void stats_timer(struct vmm_event_source *s, uint64_t expirations)
{
	struct ev_due *due = &s->due;
	uint64_t now, at;

	if (!due->known)
		return;
	now = sys_clock_ns(due->clock);
	at = due->at_ns > due->from_ns ? due->at_ns : due->from_ns;
	times_add(&s->loop->stats->late, now > at ? now - at : 0);
	due->at_ns += expirations * due->period_ns;
}

static uint64_t current_ns(const struct ev_stats *stats)
{
	uint64_t start = get(&stats->started_ns);
	uint64_t now = start ? sys_clock_ns(CLOCK_MONOTONIC) : 0;

	return now > start ? now - start : 0;
}

static void stats_copy(const struct ev_stats *stats, struct vmm_event_stats *out)
{
	struct vmm_event_stats all = { .size = out->size };

	all.callbacks = get(&stats->callbacks);
	all.posts = get(&stats->posts);
	all.empty_rounds = get(&stats->empty_rounds);
	all.busy_ns = get(&stats->busy_ns);
	all.current_ns = current_ns(stats);
	times_get(&stats->rounds, &all.rounds);
	times_get(&stats->late, &all.late);
	memset(out, 0, out->size);
	memcpy(out, &all, all.size < sizeof(all) ? all.size : sizeof(all));
}

int vmm_event_get_stats(struct vmm_event *loop, struct vmm_event_stats *out)
{
	int ret = 0;

	if (out->size < sizeof(out->size))
		return -EINVAL;
	remote_user_begin(loop);
	if (loop->stats)
		stats_copy(loop->stats, out);
	else
		ret = -ENOENT;
	remote_user_end(loop);
	return ret;
}

/* The rank of the quantile, from 1 to @count, without overflow. */
static uint64_t rank_of(uint64_t count, uint32_t ppm)
{
	const uint32_t whole = 1000000;
	uint64_t rank;

	if (ppm >= whole)
		return count;
	rank = count / whole * ppm + (count % whole * ppm + whole - 1) / whole;
	return rank ? rank : 1;
}

uint64_t vmm_event_stats_quantile(const struct vmm_event_times *times, uint32_t ppm)
{
	uint64_t count = 0, rank, low, high;
	uint32_t i = 0;

	for (uint32_t k = 0; k < VMM_EVENT_BUCKETS; k++)
		count += times->buckets[k];
	if (count == 0)
		return 0;
	rank = rank_of(count, ppm);
	while (rank > times->buckets[i])
		rank -= times->buckets[i++];
	low = i ? UINT64_C(1) << i : 0;
	high = UINT64_MAX >> (63 - i);
	if (times->longest_ns < low)
		return high;
	return times->longest_ns < high ? times->longest_ns : high;
}

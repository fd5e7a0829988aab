/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

/*
 * Random calls against an obviously right model: a table of what is registered and of
 * what each eventfd holds. Callbacks make random calls as well, so that sources are
 * changed while they are ready. After each round every source that had to be called
 * was called once, and no other.
 */

enum { SOURCES = 24, FDS = 8, STEPS = 30000 };

enum kind {
	NONE,
	FD,
	COUNT,
	DEFER,
	IDLE,
};

struct slot {
	struct world *world;
	struct vmm_event_source *source;
	enum kind kind;
	int fd; /* index */
	uint32_t events;
	int enabled;
	int priority;
	/* This round: it is expected, it may come since its state changed, it came. */
	bool expected, touched, called;
};

struct world {
	struct vmm_event *loop;
	struct vmm_test_rng rng;
	struct slot slot[SOURCES];
	int fd[FDS];
	uint64_t value[FDS];
	bool in_round, others_called;
	int last_priority;
	uint32_t calls, total;
	uint32_t posts_queued, posts_expected, posts_ran;
};

static void random_calls(struct world *w);

static uint32_t ready_events(const struct world *w, const struct slot *s)
{
	uint32_t events = s->events & EPOLLOUT;

	return w->value[s->fd] > 0 ? events | (s->events & EPOLLIN) : events;
}

static bool is_ready(const struct world *w, const struct slot *s)
{
	switch (s->kind) {
	case FD:
		return ready_events(w, s) != 0;
	case COUNT:
		return w->value[s->fd] > 0;
	case DEFER:
		return true;
	case NONE:
	case IDLE:
		break;
	}
	return false;
}

static void check_call(struct slot *s)
{
	struct world *w = s->world;

	assert_true(w->in_round);
	assert_true(s->kind != NONE);
	assert_true(s->enabled != VMM_EVENT_OFF);
	assert_false(s->called);
	assert_true(s->expected);
	if (s->kind == IDLE) {
		/* Not before everything else was seen not to be there. */
		assert_false(w->others_called);
	} else {
		w->others_called = true;
		assert_true(s->priority >= w->last_priority || s->touched);
		if (!s->touched)
			w->last_priority = s->priority;
	}
	s->called = true;
	w->calls++;
	w->total++;
	if (s->enabled == VMM_EVENT_ONESHOT)
		s->enabled = VMM_EVENT_OFF;
	assert_int_equal(vmm_event_source_get_enabled(s->source), s->enabled);
	if (vmm_test_below(&w->rng, 4) == 0)
		random_calls(w);
}

static void on_fd(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct slot *s = ctx;

	assert_ptr_equal(source, s->source);
	assert_int_equal(fd, s->world->fd[s->fd]);
	assert_int_equal(events & ~s->events, 0);
	assert_true(events != 0);
	check_call(s);
}

static void on_count(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	struct slot *s = ctx;

	assert_ptr_equal(source, s->source);
	assert_true(count == s->world->value[s->fd]);
	s->world->value[s->fd] = 0;
	check_call(s);
}

static void on_plain(void *ctx, struct vmm_event_source *source)
{
	struct slot *s = ctx;

	assert_ptr_equal(source, s->source);
	check_call(s);
}

static void on_post(void *ctx)
{
	struct world *w = ctx;

	w->posts_ran++;
	w->posts_queued--;
	w->others_called = true;
	w->calls++;
}

/* What is armed in a round is not called in it. */
static void armed(struct slot *s)
{
	s->expected = s->expected && !s->world->in_round;
	s->touched = true;
}

static void add(struct world *w, struct slot *s)
{
	struct vmm_event *loop = w->loop;

	memset(s, 0, sizeof(*s));
	s->world = w;
	s->kind = FD + vmm_test_below(&w->rng, 4);
	s->fd = (int)vmm_test_below(&w->rng, FDS);
	s->enabled = s->kind == DEFER ? VMM_EVENT_ONESHOT : VMM_EVENT_ON;
	s->priority = VMM_EVENT_PRIORITY_NORMAL;
	if (s->kind == FD) {
		s->events =
		    vmm_test_below(&w->rng, 8) == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;
		assert_int_equal(
		    vmm_event_add_fd(loop, w->fd[s->fd], s->events, on_fd, s, &s->source),
		    0);
	} else if (s->kind == COUNT) {
		assert_int_equal(
		    vmm_event_add_eventfd(loop, w->fd[s->fd], on_count, s, &s->source),
		    0);
	} else if (s->kind == DEFER) {
		assert_int_equal(vmm_event_add_defer(loop, on_plain, s, &s->source), 0);
	} else {
		assert_int_equal(vmm_event_add_idle(loop, on_plain, s, &s->source), 0);
	}
	armed(s);
}

static void set_enabled(struct world *w, struct slot *s)
{
	int enabled = (int)vmm_test_below(&w->rng, 3);

	if (s->enabled == VMM_EVENT_OFF && enabled != VMM_EVENT_OFF)
		armed(s);
	enable(s->source, enabled);
	s->enabled = enabled;
}

static void set_events(struct world *w, struct slot *s)
{
	uint32_t events = vmm_test_below(&w->rng, 2) ? EPOLLIN : EPOLLIN | EPOLLOUT;

	if (s->kind != FD) {
		assert_int_equal(vmm_event_source_set_events(s->source, events), -EINVAL);
		return;
	}
	assert_int_equal(vmm_event_source_set_events(s->source, events), 0);
	s->events = events;
	armed(s);
}

static void set_priority(struct world *w, struct slot *s)
{
	int priority = (int)vmm_test_below(&w->rng, 16);

	assert_int_equal(vmm_event_source_set_priority(s->source, priority), 0);
	s->priority = priority;
	s->touched = true;
}

static void change(struct world *w, struct slot *s)
{
	switch (vmm_test_below(&w->rng, 6)) {
	case 0:
		vmm_event_source_remove(s->source);
		s->kind = NONE;
		s->expected = false;
		break;
	case 1:
		set_events(w, s);
		break;
	case 2:
		set_priority(w, s);
		break;
	default:
		set_enabled(w, s);
		break;
	}
}

/* Between rounds only: readiness must not change under the model's expectation. */
static void trigger(struct world *w)
{
	uint32_t i = vmm_test_below(&w->rng, FDS);

	if (w->in_round)
		return;
	if (w->value[i] > 0 && vmm_test_below(&w->rng, 2)) {
		clear_eventfd(w->fd[i]);
		w->value[i] = 0;
		return;
	}
	set_eventfd(w->fd[i], 3);
	w->value[i] += 3;
}

static void post(struct world *w)
{
	assert_int_equal(vmm_event_post(w->loop, on_post, w), 0);
	w->posts_queued++;
}

static void random_calls(struct world *w)
{
	for (uint32_t n = vmm_test_below(&w->rng, 4); n > 0; n--) {
		struct slot *s = &w->slot[vmm_test_below(&w->rng, SOURCES)];

		switch (vmm_test_below(&w->rng, 5)) {
		case 0:
		case 1:
			trigger(w);
			break;
		case 2:
			if (w->posts_queued < 20)
				post(w);
			break;
		default:
			if (s->kind == NONE)
				add(w, s);
			else
				change(w, s);
			break;
		}
	}
}

/* Reading an eventfd takes it from the sources behind: these may be called or not,
 * as the kernel ordered them. */
static bool is_shared(const struct world *w, const struct slot *s)
{
	for (int i = 0; i < SOURCES; i++)
		if (w->slot[i].kind == COUNT && w->slot[i].fd == s->fd &&
		    &w->slot[i] != s)
			return s->kind == FD || s->kind == COUNT;
	return false;
}

static void round_of(struct world *w)
{
	struct slot before[SOURCES];
	bool shared[SOURCES];
	uint32_t n, posts_before = w->posts_ran, posts = w->posts_queued;

	for (int i = 0; i < SOURCES; i++) {
		struct slot *s = &w->slot[i];

		s->called = s->touched = false;
		s->expected = s->kind != NONE && s->enabled != VMM_EVENT_OFF &&
			      (is_ready(w, s) || s->kind == IDLE);
		shared[i] = is_shared(w, s);
	}
	memcpy(before, w->slot, sizeof(before));
	w->in_round = true;
	w->others_called = false;
	w->last_priority = 0;
	w->calls = 0;
	n = poll_once(w->loop);
	w->in_round = false;
	assert_int_equal(n, w->calls);
	/* What was queued before the round, and what callbacks queued ahead of it. */
	assert_true(w->posts_ran - posts_before >= posts);
	for (int i = 0; i < SOURCES; i++) {
		const struct slot *s = &w->slot[i];

		if (!before[i].expected || s->touched || s->kind == NONE || s->called ||
		    shared[i] || (s->kind == IDLE && w->others_called) ||
		    s->enabled == VMM_EVENT_OFF)
			continue;
		fail_msg("source %d, kind %d was ready and not called", i, (int)s->kind);
	}
}

static void random_calls_match_a_model(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rng = vmm_test_rng();
	LOOP(loop);
	w->loop = loop;
	for (int i = 0; i < FDS; i++)
		w->fd[i] = make_eventfd(0);
	for (int step = 0; step < STEPS; step++) {
		random_calls(w);
		round_of(w);
	}
	assert_true(w->total > STEPS);
	for (int i = 0; i < FDS; i++)
		close(w->fd[i]);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */

/*
 * A program that has a poll() loop of its own and keeps it. What is new, here a timer
 * and a call from another thread, comes by way of libvmm-event: its loop is one more
 * descriptor to wait for.
 */

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <vmm/event.h>

struct program {
	struct vmm_event *loop;
	int ticks;
	int lines;
	int posted;
};

static void on_tick(void *ctx, struct vmm_event_source *source, uint64_t expirations)
{
	struct program *p = ctx;

	p->ticks += (int)expirations;
}

static void on_post(void *ctx)
{
	struct program *p = ctx;

	p->posted++;
}

static void *other_thread(void *arg)
{
	struct program *p = arg;

	return vmm_event_post(p->loop, on_post, p) < 0 ? p : NULL;
}

static int start_ticking(struct program *p)
{
	struct vmm_event_source *timer;

	if (vmm_event_add_timer(p->loop, CLOCK_MONOTONIC, on_tick, p, &timer) < 0)
		return -1;
	return vmm_event_source_set_timer(timer, 1000000, 1000000);
}

/* The program's own loop: its own pipe, and the descriptor of the other loop. */
static int poll_loop(struct program *p, int input)
{
	struct pollfd fds[2] = {
		{ .fd = input, .events = POLLIN },
		{ .fd = vmm_event_get_fd(p->loop), .events = POLLIN },
	};
	char line[16];

	while (p->ticks < 3 || p->lines == 0 || p->posted == 0) {
		if (poll(fds, 2, 5000) <= 0)
			return -1;
		if (fds[0].revents && read(input, line, sizeof(line)) > 0)
			p->lines++;
		if (fds[1].revents && vmm_event_run_once(p->loop, 0, NULL) < 0)
			return -1;
	}
	return 0;
}

int main(void)
{
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct program p = { 0 };
	pthread_t thread;
	void *failed;
	int input[2], ret;

	if (vmm_event_new(NULL, &loop) < 0 || pipe(input) < 0)
		return 1;
	p.loop = loop;
	if (start_ticking(&p) < 0 || write(input[1], "line\n", 5) != 5)
		return 1;
	if (pthread_create(&thread, NULL, other_thread, &p) != 0)
		return 1;
	ret = poll_loop(&p, input[0]);
	if (pthread_join(thread, &failed) != 0 || failed)
		return 1;
	printf("%d ticks, %d lines, %d posts\n", p.ticks, p.lines, p.posted);
	return ret < 0 ? 1 : 0;
}

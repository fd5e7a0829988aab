/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */

/*
 * What the loop costs beyond the system calls that the same work needs anyway. Each
 * case does the same calls on the same number of eventfds as its reference:
 *
 *   ping_one.N   write one of N eventfds, wait, read it
 *   ping_all.N   write all N, wait until all have been dispatched and read
 *   add_remove   add a descriptor and remove it; epoll_ctl(2) twice, and for
 *                `same_calls` also the duplicate that the loop makes
 *   post.wake    post, one round; write an eventfd, wait, read it
 *   post.burst   64 posts, one round; 64 writes, wait, one read
 *   idle_round   a round in which nothing is ready; epoll_wait(2) with 0
 *   X.measured   X with a loop that measures (`measure` of its options)
 */

#include "vmm-bench.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vmm/event.h>

enum { MAX = 1024, PICKS = 4096, BURST = 64, BATCH = 1024 };

struct side {
	int fd[MAX];
	uint64_t count[MAX];
};

struct world {
	uint32_t n;
	uint16_t pick[PICKS];
	struct side ours, theirs;
	struct vmm_event *loop;
	int epfd;
	uint64_t posted;
};

static void check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench-dispatch: %s failed\n", what);
		exit(1);
	}
}

static void write_one(int fd)
{
	static const uint64_t one = 1;

	check(write(fd, &one, sizeof(one)) == sizeof(one), "write");
}

static void on_fd(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	uint64_t value, *count = ctx;

	if (events == EPOLLIN && read(fd, &value, sizeof(value)) == sizeof(value))
		(*count)++;
}

static void on_eventfd(void *ctx, struct vmm_event_source *source, uint64_t value)
{
	uint64_t *count = ctx;

	(*count)++;
}

static void on_post(void *ctx)
{
	struct world *w = ctx;

	w->posted++;
}

/* Waits once and does by hand what the loop does; returns the number of events. */
static uint32_t raw_round(struct world *w)
{
	static struct epoll_event events[BATCH];
	int n = epoll_wait(w->epfd, events, BATCH, -1);
	uint64_t value;

	for (int i = 0; i < n; i++) {
		uint32_t k = events[i].data.u32;

		if (events[i].events == EPOLLIN &&
		    read(w->theirs.fd[k], &value, sizeof(value)) == sizeof(value))
			w->theirs.count[k]++;
	}
	check(n >= 0, "epoll_wait");
	return (uint32_t)n;
}

static uint32_t our_round(struct world *w)
{
	uint32_t n;

	check(vmm_event_run_once(w->loop, -1, &n) == 0, "vmm_event_run_once");
	return n;
}

static void ping_one(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		write_one(w->ours.fd[w->pick[i % PICKS]]);
		(void)our_round(w);
	}
}

static void raw_one(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		write_one(w->theirs.fd[w->pick[i % PICKS]]);
		(void)raw_round(w);
	}
}

static void ping_all(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < w->n; k++)
			write_one(w->ours.fd[k]);
		for (uint32_t seen = 0; seen < w->n;)
			seen += our_round(w);
	}
}

static void raw_all(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < w->n; k++)
			write_one(w->theirs.fd[k]);
		for (uint32_t seen = 0; seen < w->n;)
			seen += raw_round(w);
	}
}

static void add_remove(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		struct vmm_event_source *source;

		check(vmm_event_add_fd(w->loop, w->theirs.fd[0], EPOLLIN, on_fd,
				       &w->theirs.count[0], &source) == 0,
		      "vmm_event_add_fd");
		vmm_event_source_remove(source);
	}
}

static void raw_ctl(void *ctx, uint64_t n)
{
	struct world *w = ctx;
	struct epoll_event ev = { .events = EPOLLIN };

	for (uint64_t i = 0; i < n; i++)
		check(epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->ours.fd[0], &ev) == 0 &&
			  epoll_ctl(w->epfd, EPOLL_CTL_DEL, w->ours.fd[0], &ev) == 0,
		      "epoll_ctl");
}

static void raw_ctl_dup(void *ctx, uint64_t n)
{
	struct world *w = ctx;
	struct epoll_event ev = { .events = EPOLLIN };

	for (uint64_t i = 0; i < n; i++) {
		int fd = fcntl(w->ours.fd[0], F_DUPFD_CLOEXEC, 3);

		(void)epoll_ctl(w->epfd, 0, w->ours.fd[0], &ev);
		check(epoll_ctl(w->epfd, EPOLL_CTL_ADD, fd, &ev) == 0 &&
			  epoll_ctl(w->epfd, EPOLL_CTL_DEL, fd, &ev) == 0 &&
			  close(fd) == 0,
		      "epoll_ctl");
	}
}

static void post_wake(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		check(vmm_event_post(w->loop, on_post, w) == 0, "vmm_event_post");
		(void)our_round(w);
	}
}

static void raw_wake(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		write_one(w->theirs.fd[0]);
		(void)raw_round(w);
	}
}

static void post_burst(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		for (int k = 0; k < BURST; k++)
			check(vmm_event_post(w->loop, on_post, w) == 0, "vmm_event_post");
		(void)our_round(w);
	}
}

static void raw_burst(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++) {
		for (int k = 0; k < BURST; k++)
			write_one(w->theirs.fd[0]);
		(void)raw_round(w);
	}
}

static void empty_round(void *ctx, uint64_t n)
{
	struct world *w = ctx;

	for (uint64_t i = 0; i < n; i++)
		check(vmm_event_run_once(w->loop, 0, NULL) == 0, "vmm_event_run_once");
}

static void raw_empty(void *ctx, uint64_t n)
{
	struct world *w = ctx;
	struct epoll_event ev;

	for (uint64_t i = 0; i < n; i++)
		check(epoll_wait(w->epfd, &ev, 1, 0) == 0, "epoll_wait");
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	check(fd >= 0, "eventfd");
	return fd;
}

static void setup(struct world *w, uint32_t n, int as_eventfd, uint32_t measure)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	uint64_t x = 21;

	memset(w, 0, sizeof(*w));
	w->n = n;
	opts.measure = measure;
	check(vmm_event_new(&opts, &w->loop) == 0, "vmm_event_new");
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t k = 0; k < n; k++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = k };
		int ret;

		w->ours.fd[k] = new_eventfd();
		w->theirs.fd[k] = new_eventfd();
		if (as_eventfd)
			ret = vmm_event_add_eventfd(w->loop, w->ours.fd[k], on_eventfd,
						    &w->ours.count[k], NULL);
		else
			ret = vmm_event_add_fd(w->loop, w->ours.fd[k], EPOLLIN, on_fd,
					       &w->ours.count[k], NULL);
		check(ret == 0, "adding a source");
		check(epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->theirs.fd[k], &ev) == 0,
		      "epoll_ctl");
	}
	for (uint32_t i = 0; i < PICKS; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		w->pick[i] = (uint16_t)((x >> 33) % n);
	}
}

static void teardown(struct world *w)
{
	vmm_event_free(w->loop);
	close(w->epfd);
	for (uint32_t k = 0; k < w->n; k++) {
		close(w->ours.fd[k]);
		close(w->theirs.fd[k]);
	}
}

/* What the name of a case has to contain; from the command line. */
static const char *wanted = "";

static void run(struct world *w, const char *name, vmm_bench_fn fn, const char *reference,
		vmm_bench_fn raw, uint64_t ops)
{
	struct vmm_bench_case c = {
		.library = "event",
		.name = name,
		.run = fn,
		.reference_name = reference,
		.reference = raw,
		.ctx = w,
		.ops = ops,
	};

	if (strstr(name, wanted))
		vmm_bench_run(&c);
}

static void run_sizes(struct world *w)
{
	static const uint32_t sizes[] = { 1, 64, 1024 };
	char name[64];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		setup(w, sizes[i], 0, 0);
		(void)snprintf(name, sizeof(name), "ping_one.%u", sizes[i]);
		run(w, name, ping_one, "write+epoll_wait+read", raw_one, 1);
		(void)snprintf(name, sizeof(name), "ping_all.%u", sizes[i]);
		run(w, name, ping_all, "write+epoll_wait+read", raw_all, sizes[i]);
		teardown(w);
	}
}

int main(int argc, char **argv)
{
	static struct world w;
	struct rlimit limit;

	if (argc > 1)
		wanted = argv[1];
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	run_sizes(&w);
	setup(&w, 64, 1, 0);
	run(&w, "ping_one.64.eventfd", ping_one, "write+epoll_wait+read", raw_one, 1);
	teardown(&w);
	setup(&w, 64, 0, 1);
	run(&w, "ping_one.64.measured", ping_one, "write+epoll_wait+read", raw_one, 1);
	run(&w, "ping_all.64.measured", ping_all, "write+epoll_wait+read", raw_all, 64);
	run(&w, "idle_round.measured", empty_round, "epoll_wait", raw_empty, 1);
	teardown(&w);

	setup(&w, 1, 0, 0);
	run(&w, "idle_round", empty_round, "epoll_wait", raw_empty, 1);
	run(&w, "post.wake", post_wake, "write+epoll_wait+read", raw_wake, 1);
	run(&w, "post.burst", post_burst, "write", raw_burst, BURST);
	/* The other side's eventfds, registered twice, would wake both. */
	check(epoll_ctl(w.epfd, EPOLL_CTL_DEL, w.theirs.fd[0], NULL) == 0, "epoll_ctl");
	run(&w, "add_remove", add_remove, "epoll_ctl add+del", raw_ctl, 1);
	run(&w, "add_remove.same_calls", add_remove, "dup+epoll_ctl add+del+close",
	    raw_ctl_dup, 1);
	teardown(&w);
	return 0;
}

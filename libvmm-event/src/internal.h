/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef EVENT_INTERNAL_H
#define EVENT_INTERNAL_H

#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <vmm/event.h>

/* sys.c: the kernel and the heap, with results as we want them (-errno). Unit tests
 * replace the whole file to make any of these fail. Calls of the hot path are not
 * here. */
int sys_epoll_create(void);
int sys_epoll_ctl(int epfd, int op, int fd, uint32_t events, void *ptr);
int sys_epoll_wait_ns(int epfd, struct epoll_event *events, int max, uint64_t ns);
int sys_eventfd(void);
int sys_timerfd(int clock);
int sys_timerfd_set(int fd, int flags, uint64_t first_ns, uint64_t period_ns);
int sys_signalfd(int signo);
int sys_dup(int fd);
int sys_dup_to(int fd, int to);
void *sys_alloc(size_t size);
void *sys_calloc(size_t n, size_t size);
void *sys_realloc(void *p, size_t n, size_t size);
void sys_futex_wait(const uint32_t *word, uint32_t value);
void sys_futex_wake(const uint32_t *word);

/* clock.c: apart, so that tests may replace the clock alone. */
uint64_t sys_clock_ns(int clock);

struct ev_list {
	struct ev_list *prev, *next;
};

static inline void list_init(struct ev_list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct ev_list *l)
{
	return l->next == l;
}

static inline void list_append(struct ev_list *head, struct ev_list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Leaves @l a list of its own, so that taking it out twice is harmless. */
static inline void list_remove(struct ev_list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#define list_entry(l, type, member) ((type *)(void *)((char *)(l)-offsetof(type, member)))

/* Tracers see these numbers: docs/tracing.md. */
enum ev_kind {
	EV_FD,
	EV_EVENTFD,
	EV_TIMER,
	EV_SIGNAL,
	EV_DEFER,
	EV_IDLE,
	EV_WAKE, /* the loop's own */
};

/* What tracers see beside these: functions of other threads. */
enum {
	EV_PROBE_POST = 7,
	EV_PROBE_CALL = 8,
};

enum {
	EV_PRIORITIES = VMM_EVENT_PRIORITY_LAST + 1,
	/* Rounds in which unread data of a hung-up source may stay the same. */
	EV_HANGUP_UNREAD_LIMIT = 1000,
};

/* What means that the other side is gone. */
#define EV_HANGUP ((uint32_t)(EPOLLHUP | EPOLLERR | EPOLLRDHUP))

/* When a timer expires next, kept by a loop that measures. */
struct ev_due {
	uint64_t at_ns;
	uint64_t from_ns; /* it cannot be late before this: when it was set or enabled */
	uint64_t period_ns;
	int clock; /* of these times */
	bool known;
};

struct vmm_event_source {
	/* What dispatch reads: one cache line, to which sys_alloc() aligns. */
	union {
		vmm_event_fd_fn fd;
		vmm_event_eventfd_fn eventfd;
		vmm_event_timer_fn timer;
		vmm_event_signal_fn signal;
		vmm_event_source_fn plain;
	} fn;
	void *ctx;
	struct vmm_event *loop;
	/* The round in which it was armed: not called in this one. */
	uint64_t armed_round;
	int fd;		 /* ours; -1: none */
	int caller_fd;	 /* what the callback is told */
	uint32_t events; /* as asked for, with EPOLLET and EPOLLEXCLUSIVE */
	uint8_t kind;
	uint8_t enabled;
	uint8_t priority;
	bool registered; /* in the kernel's list */
	bool quiet;
	bool always;   /* a file without poll: ready in each round */
	bool nonblock; /* an eventfd that read() does not block on */
	union {
		uint8_t signo;
		uint8_t clock;
	};
	uint32_t hangups; /* rounds in a row without progress */

	int64_t progress;     /* what was unread, or the file position, last time */
	struct ev_list all;   /* in loop->sources or loop->removed */
	struct ev_list ready; /* in loop->ready or loop->idle, or alone */
	struct ev_due due;
};

/* A function in the queue of other threads: from the pool, or on a caller's stack. */
struct ev_job {
	struct ev_list list;
	vmm_event_fn post; /* NULL: a call */
	vmm_event_call_fn call;
	void *ctx;
	struct vmm_event *caller; /* the loop that waits for a call, or NULL */
	int result;
	uint32_t state; /* enum ev_job_state; atomic */
};

enum ev_job_state {
	EV_JOB_QUEUED,
	EV_JOB_RUNNING,
	EV_JOB_DONE,
	EV_JOB_REFUSED,
};

struct ev_times {
	uint64_t total_ns;
	uint64_t longest_ns;
	uint64_t buckets[VMM_EVENT_BUCKETS];
};

/* Written by the loop's thread alone; each member is atomic. */
struct ev_stats {
	uint64_t started_ns; /* of the round under way; 0: none is */
	uint64_t callbacks;
	uint64_t posts;
	uint64_t empty_rounds;
	uint64_t busy_ns;
	struct ev_times rounds;
	struct ev_times late;
};

struct vmm_event {
	/* What each round reads comes first. */
	int epfd;
	uint32_t max_events;
	struct epoll_event *batch;
	uint32_t batch_len, batch_cap;
	uint64_t round; /* 0: none yet */
	bool dispatching;
	bool stale;		 /* the kernel keeps a registration that we gave up */
	uint32_t nr_ready;	 /* length of the list */
	uint32_t nr_idle;	 /* length of the list */
	uint32_t nr_removed;	 /* length of the list */
	uint32_t nr_prioritized; /* sources whose priority is not normal */
	vmm_event_fn after_round;
	uint64_t owner;		 /* ev_thread of whose it is, or 0; atomic */
	struct vmm_event *outer; /* the loop within whose callback we are run */
	uint64_t stop;		 /* EV_STOPPED | code, or 0; atomic */
	uint32_t nr_jobs;	 /* written under lock; atomic */
	bool closed;		 /* no more jobs; written by the owner under lock */
	bool woken;		 /* under lock: somebody has written to wake */
	struct ev_stats *stats;	 /* NULL: nobody asked to measure */
	void *after_ctx;

	uint32_t budget;
	uint32_t hangup_limit;
	uint32_t nr_sources;
	struct epoll_event *scratch;
	struct ev_list sources;
	struct ev_list ready; /* ready without the kernel: deferred calls, files */
	struct ev_list idle;
	struct ev_list removed; /* to be freed at the end of the round */
	uint64_t signals;	/* those with a source, signal n is bit n - 1 */

	struct vmm_event_source wake; /* an eventfd; readable: look at the queue */
	pthread_mutex_t lock;
	struct ev_list jobs, pool;
	struct ev_job *pool_memory;
	uint32_t users;		 /* threads within post, call or stop; atomic */
	uint32_t seq;		 /* futex: a call is done, or the loop was stopped */
	struct vmm_event *waits; /* the loop that our thread calls; atomic */
};

/* Out of the way of the usual path. */
#define EV_COLD __attribute__((noinline, cold))

#define EV_STOPPED (UINT64_C(1) << 32)

/* Between these two the loop is not freed: vmm_event_free() waits. */
static inline void remote_user_begin(struct vmm_event *loop)
{
	(void)__atomic_fetch_add(&loop->users, 1, __ATOMIC_ACQUIRE);
}

static inline void remote_user_end(struct vmm_event *loop)
{
	(void)__atomic_fetch_sub(&loop->users, 1, __ATOMIC_RELEASE);
}

/* source.c */
int source_new(struct vmm_event *loop, enum ev_kind kind, void *ctx,
	       struct vmm_event_source **out);
void source_drop(struct vmm_event_source *s);
int source_register(struct vmm_event_source *s);
int source_unregister(struct vmm_event_source *s);
int source_rebuild(struct vmm_event *loop);
void source_disable(struct vmm_event_source *s);
void source_set_ready(struct vmm_event_source *s, bool ready);
void source_free(struct vmm_event_source *s);
void source_reap(struct vmm_event *loop);

/* fd.c */
void fd_after(struct vmm_event_source *s, uint32_t events);
uint32_t eventfd_dispatch(struct vmm_event_source *s);

/* timer.c, signal.c */
uint32_t timer_dispatch(struct vmm_event_source *s);
uint32_t signal_dispatch(struct vmm_event_source *s);
void signal_forget(struct vmm_event_source *s);

/* remote.c */
int remote_init(struct vmm_event *loop, uint32_t max_posts);
void remote_close(struct vmm_event *loop);
void remote_fini(struct vmm_event *loop);
void remote_reopen(struct vmm_event *loop);
uint64_t remote_new_thread(void);
void remote_open(struct vmm_event *loop);
void remote_wake(struct vmm_event *loop);
void remote_woken(struct vmm_event *loop);
uint32_t remote_run(struct vmm_event *loop, uint32_t budget);

/* The innermost loop that this thread runs, for finding two loops that call each
 * other; says nothing about any loop, so it is no state of the library's. */
extern _Thread_local struct vmm_event *ev_running
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* A number of this thread's own, 0 before it runs a loop for the first time. Unlike a
 * pthread_t it is not given to another thread when this one has ended. */
extern _Thread_local uint64_t ev_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline bool remote_pending(const struct vmm_event *loop)
{
	return __atomic_load_n(&loop->nr_jobs, __ATOMIC_RELAXED) > 0;
}

/* stats.c; but for the first one only of a loop that measures */
int stats_new(struct vmm_event *loop);
void stats_begin(struct ev_stats *stats);
void stats_end(struct ev_stats *stats, uint32_t callbacks, uint32_t posts);
struct ev_due stats_due(const struct vmm_event_source *s, bool absolute, uint64_t first,
			uint64_t period);
void stats_timer_enabled(struct vmm_event_source *s);
void stats_timer(struct vmm_event_source *s, uint64_t expirations);

/* round.c */
int round_run(struct vmm_event *loop, int64_t timeout_ns, uint32_t *out);

/* True if a round would find work that the kernel does not know of. */
static inline bool loop_has_work(const struct vmm_event *loop)
{
	return loop->nr_ready > 0 || loop->nr_idle > 0 || remote_pending(loop);
}

/* Makes the loop's descriptor readable for such work, for foreign loops. */
static inline void loop_settle(struct vmm_event *loop)
{
	if (!loop->dispatching && loop_has_work(loop))
		remote_wake(loop);
}

static inline bool loop_is_stopped(const struct vmm_event *loop, int *out_code)
{
	uint64_t stop = __atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE);

	if (stop && out_code)
		*out_code = (int)(uint32_t)stop;
	return stop != 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_EVENT_H
#define VMM_EVENT_H

/**
 * @file vmm/event.h
 * An event loop over epoll: file descriptors, timers, signals, eventfds, deferred
 * and idle calls, and calls from other threads.
 *
 * A loop belongs to one thread at a time, the one that runs it. Every call on a loop
 * or on one of its sources is made on that thread, or while nobody runs the loop,
 * except for the four that say "any thread": vmm_event_post(), vmm_event_call(),
 * vmm_event_stop() and vmm_event_get_stats(). A process has as many loops as it
 * likes; they share nothing.
 *
 * A *source* is one registration. Its handle comes from the call that adds it and is
 * good until vmm_event_source_remove() or vmm_event_free(). The `out` parameter of
 * those calls may be NULL: the source then lives as long as the loop, or until its
 * callback, which is given the handle, removes it.
 *
 * The loop works in *rounds*: it collects what is ready, calls the callbacks in the
 * order of their priorities (within one priority in the order in which the kernel
 * reported them), then runs what other threads posted, then `after_round`. What
 * becomes ready, is added or is armed anew during a round waits for the next one.
 * What is removed or disabled during a round is not called any more, even if it was
 * ready already.
 *
 * Callbacks may call everything here but vmm_event_run(), vmm_event_run_once()
 * (-EBUSY) and vmm_event_free() (forbidden) on their own loop. Pointers must not be
 * NULL unless the function says so. Nothing here logs, and errno is no result.
 *
 * After fork() without exec the child must not touch the loop, not even free it: the
 * kernel objects are shared with the parent.
 */

#include <stdbool.h>
#include <stdint.h>
#include <vmm/base.h>

struct signalfd_siginfo; /* <sys/signalfd.h> */

VMM_BEGIN_DECLS

/** A loop. Opaque; owned by the caller of vmm_event_new(). */
struct vmm_event;

/** One registration with a loop. Opaque; owned by the loop, removed by the caller. */
struct vmm_event_source;

/**
 * Take a call that carries nothing but its context.
 *
 * @param ctx  what was handed in with the function
 */
typedef void (*vmm_event_fn)(void *ctx);

/**
 * Take a call whose result somebody waits for.
 *
 * @param ctx  what was handed in with the function
 * @return what the caller gets; the loop does not look at it
 */
typedef int (*vmm_event_call_fn)(void *ctx);

/**
 * Take an event of a deferred or idle source.
 *
 * @param ctx     what was handed in with the function
 * @param source  the source
 */
typedef void (*vmm_event_source_fn)(void *ctx, struct vmm_event_source *source);

/**
 * Take an event of a file descriptor.
 *
 * @param ctx     what was handed in with the function
 * @param source  the source
 * @param fd      the number that was added, even if the caller has closed it since
 * @param events  EPOLLIN and so on: those asked for, and EPOLLERR and EPOLLHUP
 */
typedef void (*vmm_event_fd_fn)(void *ctx, struct vmm_event_source *source, int fd,
				uint32_t events);

/**
 * Take an event of an eventfd, which has been read and so is zero again.
 *
 * @param ctx     what was handed in with the function
 * @param source  the source
 * @param count   what the eventfd held (1 at a time for EFD_SEMAPHORE); 0 if reading
 *                it failed for good, as it is no eventfd: the source is then disabled
 */
typedef void (*vmm_event_eventfd_fn)(void *ctx, struct vmm_event_source *source,
				     uint64_t count);

/**
 * Take an event of a timer.
 *
 * @param ctx          what was handed in with the function
 * @param source       the source
 * @param expirations  how often it expired since the last call, at least 1
 */
typedef void (*vmm_event_timer_fn)(void *ctx, struct vmm_event_source *source,
				   uint64_t expirations);

/**
 * Take a signal.
 *
 * @param ctx     what was handed in with the function
 * @param source  the source
 * @param info    as signalfd(2) gives it; good until the callback returns
 */
typedef void (*vmm_event_signal_fn)(void *ctx, struct vmm_event_source *source,
				    const struct signalfd_siginfo *info);

/** What vmm_event_source_set_enabled() sets. */
enum vmm_event_enabled {
	/** Not called. What happens meanwhile is not lost: a descriptor stays
	 *  ready, a timer counts on, a signal stays pending. */
	VMM_EVENT_OFF = 0,
	/** Called whenever it is ready. */
	VMM_EVENT_ON = 1,
	/** Called once; #VMM_EVENT_OFF is set before the callback, which may set
	 *  this again. */
	VMM_EVENT_ONESHOT = 2,
};

/** Priorities, 0 to 15; the lowest number is called first in a round. */
enum vmm_event_priority {
	/** Before all others. */
	VMM_EVENT_PRIORITY_FIRST = 0,
	/** What a source has at first. */
	VMM_EVENT_PRIORITY_NORMAL = 8,
	/** After all others. */
	VMM_EVENT_PRIORITY_LAST = 15,
};

/** Upper bounds for the members of struct vmm_event_opts. */
#define VMM_EVENT_MAX_EVENTS 1048576u
/** See #VMM_EVENT_MAX_EVENTS. */
#define VMM_EVENT_MAX_POSTS 65536u
/** See #VMM_EVENT_MAX_EVENTS. */
#define VMM_EVENT_MAX_BUDGET 65536u

/** Options of a loop. A zero means the default. */
struct vmm_event_opts {
	/** sizeof(struct vmm_event_opts), set by #VMM_EVENT_OPTS_INIT. */
	size_t size;
	/** Most descriptors that one round takes from the kernel; default 1024. Only
	 *  those taken in the same round are ordered by priority. */
	uint32_t max_events;
	/** Most posted calls that may wait in the queue; default 256. */
	uint32_t max_posts;
	/** Most callbacks that one source, and most functions that the queue of
	 *  other threads, gets in one round; default 64. Descriptors, timers,
	 *  eventfds, deferred and idle sources get one in any case. */
	uint32_t budget;
	/** How many rounds in a row may report a hang-up without progress before the
	 *  source is made quiet, see vmm_event_source_is_quiet(); default 3. */
	uint32_t hangup_limit;
	/** Called at the end of each round, on the loop's thread, when no callback
	 *  is under way: the place to report a quiescent state to the owner of an
	 *  immutable table. NULL: nothing. A loop that waits is not in a callback,
	 *  but has no round either: its last `after_round` is what still holds. */
	vmm_event_fn after_round;
	/** Context of @p after_round. */
	void *ctx;
	/** 1: measure, for vmm_event_get_stats(), at the price of two looks at the
	 *  clock in each round and one for each call of a timer; 0: do not. */
	uint32_t measure;
	/** Zero. */
	uint32_t reserved_;
};

/** Initialises a struct vmm_event_opts with the defaults. */
#define VMM_EVENT_OPTS_INIT                                                 \
	{                                                                   \
		sizeof(struct vmm_event_opts), 0, 0, 0, 0, NULL, NULL, 0, 0 \
	}

/** Number of buckets of a struct vmm_event_times. */
#define VMM_EVENT_BUCKETS 64

/** How long something took, each time that it happened. */
struct vmm_event_times {
	/** How often: the sum of @p buckets. */
	uint64_t count;
	/** All of them together, in nanoseconds. */
	uint64_t total_ns;
	/** The longest one, in nanoseconds. */
	uint64_t longest_ns;
	/** How many took 2^i to 2^(i+1)-1 ns; those of 0 ns are in the first. */
	uint64_t buckets[VMM_EVENT_BUCKETS];
};

/** Initialises a struct vmm_event_times to none. */
#define VMM_EVENT_TIMES_INIT \
	{                    \
		0, 0, 0,     \
		{            \
			0    \
		}            \
	}

/**
 * What a loop did since it was made. Plain data.
 *
 * All members but `longest_ns` and @p current_ns only grow, so that two readings, one
 * subtracted from the other, tell about the time between them.
 */
struct vmm_event_stats {
	/** sizeof(struct vmm_event_stats), set by #VMM_EVENT_STATS_INIT. */
	size_t size;
	/** Calls of callbacks of sources. */
	uint64_t callbacks;
	/** Calls of functions that came by vmm_event_post() and, from other threads,
	 *  by vmm_event_call(). */
	uint64_t posts;
	/** Rounds that called none of these: time-outs, signal handlers, wake-ups. */
	uint64_t empty_rounds;
	/** Time in rounds of either kind, in nanoseconds: the rest the loop waited. */
	uint64_t busy_ns;
	/** How long the round that is under way takes already, in nanoseconds; 0:
	 *  the loop waits, or is not run. */
	uint64_t current_ns;
	/** Lengths of the rounds that called something, from the end of the wait to
	 *  the end of `after_round`. What becomes ready waits for the rest of one
	 *  round and for those who come first in the next one, so less than two
	 *  rounds as long as one takes all that is ready (see `max_events`). */
	struct vmm_event_times rounds;
	/** How late the callbacks of timers were called: from the first expiration
	 *  that a callback is told of, or from when the timer was set or enabled if
	 *  that is later. Not of timers of CLOCK_REALTIME set to an absolute time,
	 *  which may be due because somebody set the clock. */
	struct vmm_event_times late;
};

/** Initialises a struct vmm_event_stats for vmm_event_get_stats(). */
#define VMM_EVENT_STATS_INIT                                                         \
	{                                                                            \
		sizeof(struct vmm_event_stats), 0, 0, 0, 0, 0, VMM_EVENT_TIMES_INIT, \
		    VMM_EVENT_TIMES_INIT                                             \
	}

/**
 * Make a loop.
 *
 * @param opts      options; NULL for the defaults; not kept
 * @param[out] out  the loop, to be released with vmm_event_free()
 * @retval 0        done
 * @retval -EINVAL  a member of @p opts is over its bound, or `size` too small
 * @retval -E2BIG   @p opts has a member unknown here which is not zero
 * @retval -EMFILE  no more file descriptors (two are needed); also -ENFILE
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_new(const struct vmm_event_opts *opts,
				       struct vmm_event **out);

/**
 * Release @p loop and all its sources. NULL is allowed. errno is kept.
 *
 * Nobody may run the loop, and no other thread may begin a call on it any more.
 * Calls that other threads have begun already are waited for; those that wait in
 * vmm_event_call() return -ESHUTDOWN. Posted functions which are still queued are
 * dropped: vmm_event_stop() and vmm_event_run() before this run them.
 */
VMM_API void vmm_event_free(struct vmm_event *loop);
VMM_DEFINE_CLEANUP(vmm_event, vmm_event_free)

/**
 * Run rounds until the loop is stopped.
 *
 * A loop that is stopped already returns at once. Before returning, all functions
 * are run that other threads had queued by then; from then on vmm_event_post() and
 * vmm_event_call() are refused.
 *
 * @param loop           the loop; from now on it belongs to this thread
 * @param[out] out_code  what the first vmm_event_stop() was given; NULL allowed
 * @retval 0        stopped
 * @retval -EBUSY   called from a callback of @p loop
 * @return another negative errno value of epoll_wait(2) if the kernel refuses to
 *         wait; a signal handler that interrupts the wait is no error
 */
VMM_API VMM_MUST_USE int vmm_event_run(struct vmm_event *loop, int *out_code);

/**
 * Run one round: wait until something is ready, at most @p timeout_ns, and dispatch.
 *
 * @param loop                 the loop; from now on it belongs to this thread
 * @param timeout_ns           nanoseconds; 0 does not wait, negative waits for ever
 * @param[out] out_dispatched  number of callbacks and queued functions called, 0 after
 *                             a time-out or a signal handler; NULL allowed
 * @retval 0           done
 * @retval -EBUSY      called from a callback of @p loop
 * @retval -ESHUTDOWN  the loop was stopped; functions that were queued have been
 *                     run, vmm_event_run() tells the code
 * @return another negative errno value as for vmm_event_run()
 */
VMM_API VMM_MUST_USE int vmm_event_run_once(struct vmm_event *loop, int64_t timeout_ns,
					    uint32_t *out_dispatched);

/**
 * Stop the loop at the end of the round. Any thread, and signal handlers.
 *
 * The loop stays stopped, whether anyone runs it now or not, until vmm_event_start().
 * errno is kept.
 *
 * @param loop  the loop
 * @param code  what vmm_event_run() reports; of several calls the first one counts
 */
VMM_API void vmm_event_stop(struct vmm_event *loop, int code);

/**
 * Make a stopped loop usable again, by any thread.
 *
 * Also the way to hand a loop over, stopped or not, after vmm_event_run_once(): it
 * belongs to nobody until a thread runs it.
 *
 * @param loop  the loop; nobody runs it
 */
VMM_API void vmm_event_start(struct vmm_event *loop);

/**
 * Get the descriptor by which a foreign loop waits for this one.
 *
 * It is readable (POLLIN, EPOLLIN) whenever vmm_event_run_once() with a time-out of 0
 * would do something. The foreign loop then calls just that. It may be a
 * poll() or select() program, or another struct vmm_event.
 *
 * @param loop  the loop
 * @return the descriptor: the loop's own, not to be closed, read or changed
 */
VMM_API int vmm_event_get_fd(const struct vmm_event *loop);

/**
 * Tell what the loop did since it was made, if it measures. Any thread, but not a
 * signal handler.
 *
 * Each number is right; of those that change with one another some may be a round
 * ahead while another thread runs the loop. A round counts when it has ended.
 *
 * @param loop      the loop, made with `measure`
 * @param[out] out  `size` bytes of it, as set by the caller, are filled
 * @retval 0        done
 * @retval -EINVAL  `size` is too small
 * @retval -ENOENT  the loop does not measure
 */
VMM_API VMM_MUST_USE int vmm_event_get_stats(struct vmm_event *loop,
					     struct vmm_event_stats *out);

/**
 * Tell a quantile: how long it took at most in so many cases of a million.
 *
 * @param times  some times; of two readings subtracted from one another the buckets
 *               matter, and @p longest_ns may stay that of the later one
 * @param ppm    parts per million: 500000 for the median, 990000 for the 99th
 *               percentile; all from 1000000 on
 * @return nanoseconds: the end of the bucket, or the longest time if that is in the
 *         same one, so too much by less than a factor of two; 0 if there are no times
 */
VMM_API uint64_t vmm_event_stats_quantile(const struct vmm_event_times *times,
					  uint32_t ppm);

/**
 * Queue @p fn to be called by the loop. Any thread, but not a signal handler.
 *
 * Functions are called in the order in which they were queued, one queue for all
 * threads. Each one queued is called exactly once, in a round or by the last act of
 * vmm_event_run(), unless the loop is freed before.
 *
 * @param loop  the loop
 * @param fn    called on the loop's thread
 * @param ctx   its argument
 * @retval 0           queued
 * @retval -EAGAIN     the queue is full (`max_posts`); try again after a round
 * @retval -ESHUTDOWN  the loop was stopped
 */
VMM_API VMM_MUST_USE int vmm_event_post(struct vmm_event *loop, vmm_event_fn fn,
					void *ctx);

/**
 * Have @p fn called by the loop and wait for its result. Any thread, but not a signal
 * handler.
 *
 * On the thread that runs the loop, or ran its last round by vmm_event_run_once(), @p fn
 * is called directly. On others it takes its turn in the queue of vmm_event_post(),
 * which has always room for it. A loop that has
 * not been run yet is waited for, so a thread must not do this before it runs the loop
 * itself. Two loops whose threads call each other at the same time are told so
 * (-EDEADLK, one of them or both); do not let three of them go in a circle.
 *
 * @param loop             the loop
 * @param fn               called on the loop's thread
 * @param ctx              its argument
 * @param[out] out_result  what @p fn returned; NULL allowed
 * @retval 0           @p fn was called
 * @retval -ESHUTDOWN  the loop was or is being stopped or freed, or its
 *                     vmm_event_run() failed; @p fn was not and will not be called
 * @retval -EDEADLK    the loop's thread waits in this call for a loop of this thread;
 *                     @p fn was not and will not be called
 */
VMM_API VMM_MUST_USE int vmm_event_call(struct vmm_event *loop, vmm_event_call_fn fn,
					void *ctx, int *out_result);

/**
 * Add a file descriptor.
 *
 * The loop watches a duplicate of its own (close-on-exec). The caller's descriptor may
 * therefore be closed, or its number be reused, before or after the source is removed,
 * and one file may be added several times; but the file itself, a socket for
 * example, stays open until both are gone. vmm_event_take_fd() avoids the duplicate.
 *
 * A regular file, a block device, /dev/null and the like, which epoll refuses, are
 * ready for EPOLLIN and EPOLLOUT in each round: a standard input that is a file
 * works. At its end such a file counts as hung up, see vmm_event_source_is_quiet().
 *
 * @param loop      the loop
 * @param fd        the descriptor
 * @param events    any of EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLERR, EPOLLHUP
 *                  (the last two come in any case); EPOLLET for edges only;
 *                  EPOLLEXCLUSIVE (not with EPOLLRDHUP or EPOLLPRI); EPOLLWAKEUP, which
 *                  the kernel ignores without CAP_BLOCK_SUSPEND; EPOLLONESHOT,
 *                  which is #VMM_EVENT_ONESHOT
 * @param fn        called with the events
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @retval -EBADF   @p fd is not an open descriptor
 * @retval -EINVAL  unknown bits in @p events, or @p fd is this loop's own descriptor
 * @retval -EPERM   a directory or another file that cannot be waited for
 * @retval -ELOOP   @p fd is a loop, and loops would be nested too deeply or in a circle
 * @retval -EMFILE  no more file descriptors
 * @retval -ENOSPC  over the user's limit of epoll watches
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_add_fd(struct vmm_event *loop, int fd, uint32_t events,
					  vmm_event_fd_fn fn, void *ctx,
					  struct vmm_event_source **out);

/**
 * Add a file descriptor that the source takes over and closes when it is removed.
 *
 * As vmm_event_add_fd(), without the duplicate: nobody else may close @p fd. A call
 * that fails takes nothing.
 *
 * @param loop      the loop
 * @param fd        the descriptor, the loop's from now on
 * @param events    as for vmm_event_add_fd()
 * @param fn        called with the events
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @return a negative errno value as vmm_event_add_fd(), but not -EMFILE
 */
VMM_API VMM_MUST_USE int vmm_event_take_fd(struct vmm_event *loop, int fd,
					   uint32_t events, vmm_event_fd_fn fn, void *ctx,
					   struct vmm_event_source **out);

/**
 * Add an eventfd, which is read, and so cleared, for the callback.
 *
 * The loop uses a duplicate as vmm_event_add_fd() does. The eventfd need not be
 * EFD_NONBLOCK: the loop never blocks on it.
 *
 * @param loop      the loop
 * @param fd        an eventfd(2)
 * @param fn        called with the count
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @return a negative errno value as vmm_event_add_fd()
 */
VMM_API VMM_MUST_USE int vmm_event_add_eventfd(struct vmm_event *loop, int fd,
					       vmm_event_eventfd_fn fn, void *ctx,
					       struct vmm_event_source **out);

/**
 * Add a timer. It does not run before vmm_event_source_set_timer().
 *
 * @param loop      the loop
 * @param clock     CLOCK_MONOTONIC, CLOCK_BOOTTIME (goes on while the machine is
 *                  suspended) or CLOCK_REALTIME (jumps when it is set)
 * @param fn        called with the number of expirations
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @retval -EINVAL  another clock
 * @retval -EMFILE  no more file descriptors
 * @retval -ENOSPC  over the user's limit of epoll watches
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_add_timer(struct vmm_event *loop, int clock,
					     vmm_event_timer_fn fn, void *ctx,
					     struct vmm_event_source **out);

/**
 * Set a timer to expire after @p first_ns, then every @p period_ns.
 *
 * Replaces what was set before; expirations that were not delivered are forgotten.
 *
 * @param source     a timer
 * @param first_ns   nanoseconds from now; 0 expires at once
 * @param period_ns  nanoseconds; 0 for a single expiration
 * @retval 0        done
 * @retval -EINVAL  @p source is no timer
 */
VMM_API VMM_MUST_USE int vmm_event_source_set_timer(struct vmm_event_source *source,
						    uint64_t first_ns,
						    uint64_t period_ns);

/**
 * Set a timer to expire at @p at_ns of its clock, then every @p period_ns.
 *
 * @param source     a timer
 * @param at_ns      nanoseconds since the clock's zero; expires at once if it is past
 * @param period_ns  nanoseconds; 0 for a single expiration
 * @retval 0        done
 * @retval -EINVAL  @p source is no timer
 */
VMM_API VMM_MUST_USE int vmm_event_source_set_timer_at(struct vmm_event_source *source,
						       uint64_t at_ns,
						       uint64_t period_ns);

/**
 * Stop a timer. Expirations that were not delivered are forgotten.
 *
 * @param source  a timer; nothing happens if it is none
 */
VMM_API void vmm_event_source_stop_timer(struct vmm_event_source *source);

/**
 * Add a signal.
 *
 * The caller blocks @p signo beforehand with pthread_sigmask(3), in every thread: at
 * best in main() before there are others, which inherit it. Only the calling thread
 * can be checked here. The loop changes no mask; a signal still pending when the mask
 * is lifted is delivered the ordinary way. A signal sent to one thread is seen by a
 * loop run on that thread. With the same signal in two loops, either one gets it.
 * Standard signals that arrive several times before the round are one; real-time
 * signals are queued, at most `budget` are delivered in one round.
 *
 * @param loop      the loop
 * @param signo     SIGTERM and so on
 * @param fn        called for each one
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @retval -EINVAL  no signal, one reserved by the C library, SIGKILL or SIGSTOP
 * @retval -EBUSY   the calling thread does not block @p signo
 * @retval -EEXIST  the loop has a source for @p signo
 * @retval -EMFILE  no more file descriptors
 * @retval -ENOSPC  over the user's limit of epoll watches
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_add_signal(struct vmm_event *loop, int signo,
					      vmm_event_signal_fn fn, void *ctx,
					      struct vmm_event_source **out);

/**
 * Add a deferred call: ready in each round without any event, at first one-shot.
 *
 * It is called in the next round. vmm_event_source_set_enabled() arms it again.
 *
 * @param loop      the loop
 * @param fn        called
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_add_defer(struct vmm_event *loop,
					     vmm_event_source_fn fn, void *ctx,
					     struct vmm_event_source **out);

/**
 * Add an idle call: called in each round in which nothing else was.
 *
 * It is enabled at first. While it is, the loop does not wait.
 *
 * @param loop      the loop
 * @param fn        called
 * @param ctx       its first argument
 * @param[out] out  the source; NULL allowed
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_event_add_idle(struct vmm_event *loop,
					    vmm_event_source_fn fn, void *ctx,
					    struct vmm_event_source **out);

/**
 * Remove a source. The handle is invalid afterwards; the callback is not called again.
 *
 * Allowed in any callback, its own included. NULL does nothing.
 *
 * @param source  the source
 */
VMM_API void vmm_event_source_remove(struct vmm_event_source *source);

/**
 * Change the events that a descriptor waits for. What it had pending in this round is
 * taken back and reported in the next one if it still holds. Ends quietness.
 *
 * @param source  a source of vmm_event_add_fd() or vmm_event_take_fd()
 * @param events  as for vmm_event_add_fd(), but without EPOLLONESHOT
 * @retval 0        done
 * @retval -EINVAL  another kind of source, or unknown bits
 * @retval -ENOMEM  out of memory; also -ENOSPC for EPOLLEXCLUSIVE; nothing changed
 */
VMM_API VMM_MUST_USE int vmm_event_source_set_events(struct vmm_event_source *source,
						     uint32_t events);

/**
 * Enable or disable a source. Enabling one that is quiet ends its quietness.
 *
 * @param source   any source
 * @param enabled  an enum vmm_event_enabled
 * @retval 0        done; disabling cannot fail
 * @retval -EINVAL  not such a value
 * @retval -ENOSPC  over the user's limit of epoll watches; nothing changed
 * @retval -ENOMEM  out of memory; nothing changed
 */
VMM_API VMM_MUST_USE int vmm_event_source_set_enabled(struct vmm_event_source *source,
						      int enabled);

/**
 * Set the place among the sources that are ready in the same round.
 *
 * @param source    any source; #VMM_EVENT_PRIORITY_NORMAL at first
 * @param priority  #VMM_EVENT_PRIORITY_FIRST to #VMM_EVENT_PRIORITY_LAST; holds from
 *                  the next round on
 * @retval 0        done
 * @retval -EINVAL  not such a value
 */
VMM_API VMM_MUST_USE int vmm_event_source_set_priority(struct vmm_event_source *source,
						       int priority);

/** Get an enum vmm_event_enabled of @p source. */
VMM_API int vmm_event_source_get_enabled(const struct vmm_event_source *source);

/** Get the loop of @p source. */
VMM_API struct vmm_event *vmm_event_source_get_loop(
    const struct vmm_event_source *source);

/**
 * Tell whether the loop has stopped reporting a hang-up.
 *
 * The kernel reports EPOLLHUP, EPOLLERR and the end of a stream again and again, asked
 * for or not. After `hangup_limit` rounds in a row with such a report, during
 * which the callback neither changed the source nor made progress, the source is
 * made quiet: it is called again only when something changes, such as a terminal
 * that is opened again. Data still unread count as progress while their amount
 * changes, and for 1000 rounds if it does not or is not known (no FIONREAD), as long
 * as EPOLLIN is asked for. For
 * files that are always ready, the end of a regular file and /dev/null count as
 * hung up. The source stays enabled. Sources with EPOLLET or EPOLLEXCLUSIVE are
 * left alone.
 *
 * @param source  the source
 * @return true while it is quiet
 */
VMM_API bool vmm_event_source_is_quiet(const struct vmm_event_source *source);

VMM_END_DECLS

#endif

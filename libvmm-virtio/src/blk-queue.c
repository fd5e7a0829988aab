/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue of the block device at work.
 *
 * Everything about a queue happens with its lock held. A completion never waits for that:
 * on the thread that has the lock it is dealt with at once; on another it goes to a list,
 * and whoever gets the lock next, or gives it back, takes the list along.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "blk.h"
#include "probes.h"

static uintptr_t self(void)
{
	return (uintptr_t)pthread_self();
}

/* A read of an eventfd or timerfd that is not ready changes errno and nothing else. */
static void clear_fd(int fd)
{
	uint64_t count;
	int saved = errno;

	if (read(fd, &count, sizeof(count)) < 0)
		errno = saved;
}

void blk_queue_ring(const struct blk_queue *q)
{
	uint64_t one = 1;
	int saved = errno;

	/* It can only fail when the counter is full, and then the bell is ringing. */
	if (write(q->doorbell, &one, sizeof(one)) < 0)
		errno = saved;
}

/* lock is held, here and below. */
static void flush_used(struct blk_queue *q)
{
	if (q->used_n == 0)
		return;
	if (vmm_virtq_add_used_n(q->vq, q->used, q->used_n) < 0)
		vmm_virtio_transport_needs_reset(q->blk->transport);
	q->used_n = 0;
}

static void give_back(struct blk_queue *q, struct blk_request *req, uint32_t len)
{
	q->used[q->used_n].token = req->token;
	q->used[q->used_n].len = len;
	q->free[q->free_n++] = req;
	if (++q->used_n == BLK_BATCH)
		flush_used(q);
}

static void count_good(struct vmm_virtio_blk_stats *s, const struct blk_request *req)
{
	switch (req->io.op) {
	case VMM_VIRTIO_BLK_READ:
		s->reads++;
		s->read_bytes += req->moved;
		break;
	case VMM_VIRTIO_BLK_WRITE:
		s->writes++;
		s->written_bytes += req->moved;
		break;
	case VMM_VIRTIO_BLK_FLUSH:
		s->flushes++;
		break;
	case VMM_VIRTIO_BLK_DISCARD:
		s->discards++;
		break;
	case VMM_VIRTIO_BLK_WRITE_ZEROES:
		s->zeroes++;
		break;
	case VMM_VIRTIO_BLK_SECURE_ERASE:
		s->erases++;
		break;
	default:
		s->queries++;
		break;
	}
}

static void answer(struct blk_queue *q, struct blk_request *req, uint8_t status)
{
	/* Published by the used ring, so that the driver reads it after that. */
	__atomic_store_n(req->status, status, __ATOMIC_RELAXED);
	if (status == BLK_S_OK)
		count_good(&q->stats, req);
	else if (status == BLK_S_UNSUPP)
		q->stats.unsupported++;
	else
		q->stats.errors++;
	give_back(q, req, status == BLK_S_OK ? req->ok_len : 1);
}

static uint8_t status_of(int result)
{
	if (result >= 0)
		return BLK_S_OK;
	return result == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

/* The back end is done with it. */
static void settle(struct blk_queue *q, struct blk_request *req)
{
	q->in_flight--;
	if (blk_is_stopping(q))
		q->free[q->free_n++] = req;
	else
		answer(q, req, status_of(req->result));
}

/* Take what completed on other threads, in the order in which it did. */
static void collect(struct blk_queue *q)
{
	struct blk_request *list, *turned = NULL;

	if (!__atomic_load_n(&q->done, __ATOMIC_RELAXED))
		return;
	list = __atomic_exchange_n(&q->done, NULL, __ATOMIC_ACQUIRE);
	while (list) {
		struct blk_request *next = list->next;

		list->next = turned;
		turned = list;
		list = next;
	}
	while (turned) {
		struct blk_request *next = turned->next;

		settle(q, turned);
		turned = next;
	}
}

static void signal_if_wanted(struct blk_queue *q)
{
	if (!vmm_virtq_needs_notification(q->vq))
		return;
	q->stats.interrupts++;
	vmm_virtio_transport_signal_queue(q->blk->transport, q->index);
}

/* A completion that comes when the lock was just given back sees it free; one that came
 * before is seen here. The fence keeps both from missing each other. */
static void collect_late(struct blk_queue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (__atomic_load_n(&q->done, __ATOMIC_RELAXED) && fair_try(&q->lock)) {
		collect(q);
		if (q->vq) {
			flush_used(q);
			signal_if_wanted(q);
		}
		if (q->starved) {
			q->starved = false;
			blk_queue_ring(q);
		}
		fair_leave(&q->lock);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
}

void blk_queue_enter(struct blk_queue *q)
{
	fair_enter(&q->lock);
	__atomic_store_n(&q->runner, self(), __ATOMIC_RELAXED);
}

void blk_queue_leave(struct blk_queue *q)
{
	__atomic_store_n(&q->runner, 0, __ATOMIC_RELAXED);
	fair_leave(&q->lock);
	collect_late(q);
}

void vmm_virtio_blk_complete(struct vmm_virtio_blk_io *io, int result)
{
	struct blk_request *req = blk_request_of(io);
	struct blk_queue *q = req->queue;

	req->result = result;
	if (__atomic_load_n(&q->runner, __ATOMIC_RELAXED) == self()) {
		settle(q, req);
		return;
	}
	req->next = __atomic_load_n(&q->done, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&q->done, &req->next, req, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	collect_late(q);
}

static void start_timer(struct blk_queue *q, uint64_t wait)
{
	struct itimerspec when = {
		.it_value = { (time_t)(wait / 1000000000), (long)(wait % 1000000000) },
	};

	/* Without a timer the bell has to do: busy, but it goes on. */
	if (timerfd_settime(q->timer, 0, &when, NULL) < 0)
		blk_queue_ring(q);
}

static uint64_t cost_of(const struct blk_request *req, int status)
{
	bool data = req->io.op == VMM_VIRTIO_BLK_READ ||
		    req->io.op == VMM_VIRTIO_BLK_WRITE ||
		    (req->io.op == VMM_VIRTIO_BLK_WRITE_ZEROES &&
		     !(req->io.flags & VMM_VIRTIO_BLK_IO_UNMAP));

	return status == BLK_SUBMIT && data ? req->io.len : 0;
}

/* Returns false if it has to wait for the rate limit. */
static bool admit(struct blk_queue *q, uint64_t cost)
{
	uint64_t wait;

	if (!q->blk->rate || vmm_virtio_rate_take(q->blk->rate, cost, 1, &wait) == 0)
		return true;
	q->throttled = true;
	q->stats.throttled++;
	start_timer(q, wait);
	return false;
}

static void hand_over(struct blk_queue *q, struct blk_request *req, uint64_t cost)
{
	const struct blk_engine *e = &q->blk->engine;
	int ret;

	q->in_flight++;
	ret = e->backend.submit(e->ctx, &req->io);
	if (ret >= 0)
		return;
	q->in_flight--;
	if (ret == -EAGAIN && vmm_virtq_undo_pop(q->vq, req->token) == 0) {
		if (q->blk->rate)
			vmm_virtio_rate_give(q->blk->rate, cost, 1);
		q->free[q->free_n++] = req;
		q->starved = true;
		q->stats.full++;
		return;
	}
	answer(q, req, status_of(ret));
}

static void start_one(struct blk_queue *q, struct blk_request *req,
		      const struct vmm_virtq_chain *chain)
{
	uint64_t cost;
	int status;

	req->token = chain->token;
	/* Without a byte for the status there is nothing to say. */
	if (chain->writable_len == 0) {
		q->stats.errors++;
		give_back(q, req, 0);
		return;
	}
	status = blk_parse(q->blk, req, chain);
	cost = cost_of(req, status);
	if (!admit(q, cost)) {
		if (vmm_virtq_undo_pop(q->vq, req->token) == 0)
			q->free[q->free_n++] = req;
		else
			answer(q, req, BLK_S_IOERR);
		return;
	}
	if (status == BLK_SUBMIT)
		hand_over(q, req, cost);
	else
		answer(q, req, (uint8_t)status);
}

/* Returns false when there is nothing more to do for now. */
static bool serve_one(struct blk_queue *q)
{
	struct vmm_virtq_chain chain = { .iov_max = BLK_IOVECS };
	struct blk_request *req;
	int ret;

	/* Each chain in flight has a request; there are as many as heads. */
	req = q->free[q->free_n - 1];
	chain.iov = req->iov;
	ret = vmm_virtq_pop(q->vq, &chain);
	if (ret == 0) {
		q->free_n--;
		start_one(q, req, &chain);
		return !q->starved && !q->throttled;
	}
	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(q->blk->transport);
	return ret != -EAGAIN && ret != -ENOTRECOVERABLE;
}

/* Returns how much of the budget is left. */
static uint32_t serve(struct blk_queue *q, uint32_t budget)
{
	q->starved = false;
	q->throttled = false;
	while (budget > 0 && q->free_n > 0 && !blk_is_stopping(q) && serve_one(q))
		budget = fair_is_wanted(&q->lock) ? 0 : budget - 1;
	return budget;
}

static void reap(struct blk_queue *q)
{
	const struct blk_engine *e = &q->blk->engine;

	if (e->backend.reap)
		e->backend.reap(e->ctx, q->index);
	collect(q);
}

static bool arm(struct blk_queue *q, bool on)
{
	const struct blk_engine *e = &q->blk->engine;

	return e->arm && e->arm(e->ctx, q->index, on);
}

/* One look at both ends of the queue. Returns whether there is more to do now. */
static bool round_of(struct blk_queue *q, uint32_t *budget)
{
	const struct blk_engine *e = &q->blk->engine;
	bool more;

	reap(q);
	*budget = serve(q, *budget);
	if (e->backend.commit)
		e->backend.commit(e->ctx, q->index);
	reap(q);
	flush_used(q);
	signal_if_wanted(q);
	more = vmm_virtq_enable_notification(q->vq);
	/* What waits for the back end or the clock is not more to do. */
	return more && !q->starved && !q->throttled && !blk_is_stopping(q);
}

static void work(struct blk_queue *q)
{
	uint32_t budget = vmm_virtq_get_num(q->vq);
	bool more;

	PROBE3(serve, VMM_VIRTIO_ID_BLK, q->index, q->blk->transport);
	(void)arm(q, false);
	vmm_virtq_disable_notification(q->vq);
	do {
		more = round_of(q, &budget);
		if (!more || budget == 0)
			more |= arm(q, true);
	} while (more && budget > 0);
	/* A back end that is full with nothing in flight has nobody to tell us. */
	if (more || (q->starved && q->in_flight == 0))
		blk_queue_ring(q);
}

void blk_queue_run(struct blk_queue *q)
{
	blk_queue_enter(q);
	if (q->vq && !blk_is_stopping(q) &&
	    !__atomic_load_n(&q->blk->paused, __ATOMIC_ACQUIRE))
		work(q);
	blk_queue_leave(q);
}

void vmm_virtio_blk_run(struct vmm_virtio_blk *blk, uint32_t queue)
{
	struct blk_queue *q;

	if (queue >= blk->queue_n)
		return;
	q = &blk->queues[queue];
	clear_fd(q->doorbell);
	if (q->timer >= 0)
		clear_fd(q->timer);
	blk_queue_run(q);
}

int blk_queue_start(struct blk_queue *q, struct vmm_virtq *vq)
{
	uint32_t n = vmm_virtq_get_num(vq);
	struct blk_request *requests = calloc(n, sizeof(*requests));
	struct blk_request **list = calloc(n, sizeof(struct blk_request *));

	if (!requests || !list) {
		free(requests);
		free(list);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		requests[i].queue = q;
		list[i] = &requests[i];
	}
	fair_enter(&q->lock);
	q->requests = requests;
	q->free = list;
	q->free_n = n;
	q->request_n = n;
	q->used_n = 0;
	q->starved = false;
	q->throttled = false;
	q->vq = vq;
	fair_leave(&q->lock);
	return 0;
}

static void drain(struct blk_queue *q)
{
	const struct blk_engine *e = &q->blk->engine;

	if (e->backend.drain)
		e->backend.drain(e->ctx, q->index);
	collect(q);
}

void blk_queue_stop(struct blk_queue *q)
{
	/* Seen by engines that have not begun, and by a run that is under way. */
	__atomic_store_n(&q->stopping, true, __ATOMIC_RELAXED);
	blk_queue_enter(q);
	if (q->vq)
		drain(q);
	q->vq = NULL;
	free(q->requests);
	free(q->free);
	q->requests = NULL;
	q->free = NULL;
	q->free_n = 0;
	q->used_n = 0;
	q->starved = false;
	__atomic_store_n(&q->stopping, false, __ATOMIC_RELAXED);
	blk_queue_leave(q);
}

void blk_queue_pause(struct blk_queue *q)
{
	blk_queue_enter(q);
	if (q->vq) {
		drain(q);
		flush_used(q);
		signal_if_wanted(q);
	}
	blk_queue_leave(q);
}

static int open_poll(struct blk_queue *q)
{
	struct epoll_event event = { .events = EPOLLIN };

	q->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (q->timer < 0)
		return -errno;
	q->poll = epoll_create1(EPOLL_CLOEXEC);
	if (q->poll < 0 || epoll_ctl(q->poll, EPOLL_CTL_ADD, q->doorbell, &event) < 0 ||
	    epoll_ctl(q->poll, EPOLL_CTL_ADD, q->timer, &event) < 0)
		return -errno;
	return 0;
}

int blk_queue_init(struct blk_queue *q, struct vmm_virtio_blk *blk, uint32_t index)
{
	q->blk = blk;
	q->index = index;
	q->timer = -1;
	q->poll = -1;
	fair_init(&q->lock);
	q->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->doorbell < 0)
		return -errno;
	if (blk->rate)
		return open_poll(q);
	q->poll = q->doorbell;
	return 0;
}

void blk_queue_fini(struct blk_queue *q)
{
	if (q->timer >= 0)
		close(q->timer);
	if (q->poll >= 0 && q->poll != q->doorbell)
		close(q->poll);
	if (q->doorbell >= 0)
		close(q->doorbell);
	fair_fini(&q->lock);
}

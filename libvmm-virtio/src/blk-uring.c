/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The engine on io_uring: one for each queue, guarded by the queue's lock. Completions ring
 * the queue's doorbell, unless somebody looks after the queue anyway. Reads, writes and
 * flushes go to the ring; what needs a buffer for its alignment, ranges, and what the
 * kernel did half goes to a thread, which knows all the ways around.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"

/* Reaped at once. */
#define REAP 32u
/* Shown to the kernel at once. Disks tend to finish many requests together: with the next
 * ones held back until all are prepared, they would have nothing to do meanwhile. */
#define SUBMIT 4u

struct ring {
	struct io_uring ring;
	uint32_t entries;
	uint32_t in_flight;
	/* Prepared and not yet shown to the kernel. */
	uint32_t pending;
	/* The file is known to the ring. */
	bool fixed;
};

struct uring {
	struct vmm_virtio_blk *blk;
	struct blk_engine pool;
	uint32_t ring_n;
	struct ring rings[VMM_VIRTIO_BLK_QUEUES_MAX];
};

static bool stopping(const struct uring *u, uint32_t queue)
{
	return blk_is_stopping(&u->blk->queues[queue]);
}

static void commit(void *ctx, uint32_t queue)
{
	struct uring *u = ctx;
	struct ring *r = &u->rings[queue];

	while (r->pending > 0) {
		int n = io_uring_submit(&r->ring);

		if (n == -EINTR)
			continue;
		/* The kernel lacks memory, say: try again soon. */
		if (n <= 0) {
			blk_queue_ring(&u->blk->queues[queue]);
			return;
		}
		r->pending -= (uint32_t)n < r->pending ? (uint32_t)n : r->pending;
	}
}

static struct io_uring_sqe *get_sqe(struct uring *u, uint32_t queue)
{
	struct ring *r = &u->rings[queue];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	if (!sqe) {
		commit(u, queue);
		sqe = io_uring_get_sqe(&r->ring);
	}
	if (sqe)
		r->pending++;
	return sqe;
}

static void prepare(struct io_uring_sqe *sqe, int fd, const struct vmm_virtio_blk_io *io)
{
	/* One buffer needs no vector; the length of a request fits in 32 bits. */
	if (io->op == VMM_VIRTIO_BLK_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (io->op == VMM_VIRTIO_BLK_READ && io->iov_n == 1)
		io_uring_prep_read(sqe, fd, io->iov->iov_base, (unsigned)io->len,
				   io->offset);
	else if (io->op == VMM_VIRTIO_BLK_READ)
		io_uring_prep_readv(sqe, fd, io->iov, io->iov_n, io->offset);
	else if (io->iov_n == 1)
		io_uring_prep_write(sqe, fd, io->iov->iov_base, (unsigned)io->len,
				    io->offset);
	else
		io_uring_prep_writev(sqe, fd, io->iov, io->iov_n, io->offset);
	if (io->op == VMM_VIRTIO_BLK_WRITE && (io->flags & VMM_VIRTIO_BLK_IO_FUA))
		sqe->rw_flags = RWF_DSYNC;
}

static int submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct uring *u = ctx;
	struct ring *r = &u->rings[io->queue];
	struct io_uring_sqe *sqe;

	if (io->op > VMM_VIRTIO_BLK_FLUSH || !blk_file_aligned(&u->blk->file, io))
		return u->pool.backend.submit(u->pool.ctx, io);
	if (r->in_flight == r->entries)
		return -EAGAIN;
	sqe = get_sqe(u, io->queue);
	if (!sqe)
		return -EAGAIN;
	prepare(sqe, r->fixed ? 0 : u->blk->file.fd, io);
	if (r->fixed)
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, io);
	r->in_flight++;
	if (r->pending >= SUBMIT)
		commit(u, io->queue);
	return 0;
}

/* Not a verdict on the request: ask again in the plain way. */
static bool is_passing(int res)
{
	return res == -EAGAIN || res == -EINTR || res == -ECANCELED ||
	       res == -EOPNOTSUPP || res == -EINVAL;
}

/* Returns whether the thread has it now. */
static bool hand_on(struct uring *u, struct vmm_virtio_blk_io *io, int res)
{
	bool data = io->op != VMM_VIRTIO_BLK_FLUSH;

	if (!is_passing(res) && !(data && res > 0 && (uint64_t)res < io->len))
		return false;
	if (res > 0)
		blk_file_pass(io, (uint64_t)res);
	if (stopping(u, io->queue))
		vmm_virtio_blk_complete(io, -ECANCELED);
	else
		(void)u->pool.backend.submit(u->pool.ctx, io);
	return true;
}

static void finish(struct uring *u, struct vmm_virtio_blk_io *io, int res)
{
	if (hand_on(u, io, res))
		return;
	/* The end of the file came before that of the device. */
	if (io->op != VMM_VIRTIO_BLK_FLUSH && res == 0)
		res = -EIO;
	vmm_virtio_blk_complete(io,
				blk_file_synced(&u->blk->file, io, res < 0 ? res : 0));
}

static void reap(void *ctx, uint32_t queue)
{
	struct uring *u = ctx;
	struct ring *r = &u->rings[queue];
	struct io_uring_cqe *cqes[REAP];
	unsigned n;

	while ((n = io_uring_peek_batch_cqe(&r->ring, cqes, REAP)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			struct vmm_virtio_blk_io *io = io_uring_cqe_get_data(cqes[i]);

			/* A cancellation has nothing to report. */
			if (!io)
				continue;
			r->in_flight--;
			finish(u, io, cqes[i]->res);
		}
		io_uring_cq_advance(&r->ring, n);
	}
}

static bool arm(void *ctx, uint32_t queue, bool on)
{
	struct uring *u = ctx;
	struct ring *r = &u->rings[queue];

	(void)io_uring_cq_eventfd_toggle(&r->ring, on);
	if (!on)
		return false;
	/* What completed before the kernel could see that rang no bell. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return io_uring_cq_ready(&r->ring) > 0;
}

/* What has not begun need not begin any more; a kernel that cannot do this has to be
 * waited for. */
static void cancel_all(struct uring *u, uint32_t queue)
{
	struct io_uring_sqe *sqe = get_sqe(u, queue);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
	io_uring_sqe_set_data(sqe, NULL);
}

static void drain(void *ctx, uint32_t queue)
{
	struct uring *u = ctx;
	struct ring *r = &u->rings[queue];
	struct io_uring_cqe *cqe;

	if (r->in_flight > 0 && stopping(u, queue))
		cancel_all(u, queue);
	while (r->in_flight > 0) {
		commit(u, queue);
		/* Unless the kernel has taken nothing yet, and has to be asked again. */
		if (r->in_flight > r->pending)
			(void)io_uring_wait_cqe(&r->ring, &cqe);
		reap(u, queue);
	}
	u->pool.backend.drain(u->pool.ctx, queue);
}

static void uring_close(void *ctx)
{
	struct uring *u = ctx;

	for (uint32_t i = 0; i < u->ring_n; i++) {
		/* A ring is taken apart later, by the kernel; let go of the file now. */
		if (u->rings[i].fixed)
			(void)io_uring_unregister_files(&u->rings[i].ring);
		io_uring_queue_exit(&u->rings[i].ring);
	}
	if (u->pool.close)
		u->pool.close(u->pool.ctx);
	free(u);
}

static int open_ring(struct uring *u, uint32_t index, uint32_t entries)
{
	struct ring *r = &u->rings[index];
	/* A completion need not interrupt the thread that submitted: it waits, or enters the
	 * kernel at the next tick. Linux before 5.19 does not know that. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN,
	};
	int ret = io_uring_queue_init_params(entries, &r->ring, &params);

	if (ret == -EINVAL) {
		memset(&params, 0, sizeof(params));
		params.flags = IORING_SETUP_CLAMP;
		ret = io_uring_queue_init_params(entries, &r->ring, &params);
	}
	if (ret < 0)
		return ret;
	u->ring_n++;
	r->entries = params.sq_entries;
	ret = io_uring_register_eventfd(&r->ring, u->blk->queues[index].doorbell);
	if (ret < 0)
		return ret;
	r->fixed = io_uring_register_files(&r->ring, &u->blk->file.fd, 1) == 0;
	return 0;
}

int blk_uring_open(struct vmm_virtio_blk *blk, uint32_t entries, struct blk_engine *out)
{
	static const struct blk_engine uring = {
		.backend = { .size = sizeof(uring.backend),
			     .submit = submit,
			     .commit = commit,
			     .reap = reap,
			     .drain = drain },
		.kind = VMM_VIRTIO_BLK_ENGINE_URING,
		.arm = arm,
		.close = uring_close,
	};
	struct uring *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return -ENOMEM;
	u->blk = blk;
	ret = blk_pool_open(blk, 1, &u->pool);
	for (uint32_t i = 0; ret == 0 && i < blk->queue_n; i++)
		ret = open_ring(u, i, entries);
	if (ret < 0) {
		uring_close(u);
		/* Switched off, or kept from us by a filter. */
		return ret == -ENOSYS || ret == -EPERM ? -EOPNOTSUPP : ret;
	}
	*out = uring;
	out->ctx = u;
	return 0;
}

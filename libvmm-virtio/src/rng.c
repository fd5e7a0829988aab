/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <vmm/virtio-rng.h>

#include "drain.h"
#include "fair-lock.h"
#include "options.h"
#include "own-thread.h"
#include "tell.h"

/* A driver asks with one buffer; a chain of more pieces than this is refused. */
#define IOVECS 256u
#define QUEUE_DEFAULT 64u

struct vmm_virtio_rng {
	struct vmm_virtio_device device;
	struct vmm_virtio_rng_opts opts;
	uint16_t queue_max;
	/* Keeps vmm_virtio_rng_run() and a reset apart. */
	struct fair_lock lock;
	struct own_thread thread;
	bool paused;
	struct vmm_virtq *queue;
	struct vmm_virtq *const *queues;
	struct vmm_virtio_transport *transport;
	struct vmm_virtio_rng_stats stats;
	/* Nanoseconds that the limit wants to pass; 0: it does not. */
	uint64_t wait;
	struct iovec iov[IOVECS];
};

static int64_t fill_from_kernel(void *ctx, void *buf, size_t len)
{
	int saved = errno, code;
	ssize_t n;

	do {
		n = getrandom(buf, len, 0);
		code = errno;
	} while (n < 0 && code == EINTR);
	errno = saved;
	return n < 0 ? -code : n;
}

/* Buffers may overlap, so the sum of their lengths says nothing about the work: the cap
 * on the request does. */
static uint32_t fill_chain(struct vmm_virtio_rng *rng,
			   const struct vmm_virtq_chain *chain)
{
	uint32_t left = rng->opts.request_max, done = 0;

	for (uint32_t i = 0; i < chain->writable_n && left > 0; i++) {
		const struct iovec *v = &chain->iov[chain->readable_n + i];
		size_t want = v->iov_len < left ? v->iov_len : left;
		int64_t got = rng->opts.fill(rng->opts.ctx, v->iov_base, want);

		if (got <= 0)
			break;
		if ((uint64_t)got > want)
			got = (int64_t)want;
		done += (uint32_t)got;
		left -= (uint32_t)got;
		if ((uint64_t)got < want)
			break;
	}
	return done;
}

static uint64_t wanted(const struct vmm_virtio_rng *rng,
		       const struct vmm_virtq_chain *chain)
{
	return chain->writable_len < rng->opts.request_max ? chain->writable_len
							   : rng->opts.request_max;
}

/* Returns false if the limit says that it is too early. */
static bool may_start(struct vmm_virtio_rng *rng, const struct vmm_virtq_chain *chain)
{
	if (!rng->opts.rate ||
	    vmm_virtio_rate_take(rng->opts.rate, wanted(rng, chain), 1, &rng->wait) == 0)
		return true;
	rng->stats.throttled++;
	return false;
}

/* Answer a request, or leave it for later. */
static int64_t serve_one(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_rng *rng = ctx;
	uint64_t want = wanted(rng, chain);
	uint32_t len;

	if (!may_start(rng, chain))
		return DRAIN_LATER;
	len = fill_chain(rng, chain);
	rng->stats.requests++;
	rng->stats.bytes += len;
	rng->stats.short_reads += len < want;
	if (rng->opts.rate)
		vmm_virtio_rate_give(rng->opts.rate, want - len, 0);
	return len;
}

static void wake(const struct vmm_virtio_rng *rng)
{
	if (rng->opts.thread)
		own_thread_wake(&rng->thread);
	else
		rng->opts.wake(rng->opts.ctx);
}

static void wake_after(const struct vmm_virtio_rng *rng, uint64_t ns)
{
	if (rng->opts.thread)
		own_thread_wake_after(&rng->thread, ns);
	else
		rng->opts.wake_after(rng->opts.ctx, ns);
}

static void serve(struct vmm_virtio_rng *rng)
{
	const struct drain drain = {
		.vq = rng->queue,
		.transport = rng->transport,
		.iov = rng->iov,
		.iov_max = IOVECS,
		.one = serve_one,
		.ctx = rng,
		.lock = &rng->lock,
	};
	bool more;

	rng->wait = 0;
	more = drain_queue(&drain);
	if (rng->wait > 0)
		wake_after(rng, rng->wait);
	else if (more)
		wake(rng);
}

void vmm_virtio_rng_run(struct vmm_virtio_rng *rng)
{
	fair_enter(&rng->lock);
	if (!rng->paused && rng->queue && vmm_virtq_is_enabled(rng->queue))
		serve(rng);
	fair_leave(&rng->lock);
}

static void run(void *ctx)
{
	vmm_virtio_rng_run(ctx);
}

static int activate(void *ctx, const struct vmm_virtio_activation *activation)
{
	struct vmm_virtio_rng *rng = ctx;

	fair_enter(&rng->lock);
	rng->queue = activation->queues[0];
	rng->queues = activation->queues;
	rng->transport = activation->transport;
	fair_leave(&rng->lock);
	return 0;
}

static void reset(void *ctx)
{
	struct vmm_virtio_rng *rng = ctx;

	fair_enter(&rng->lock);
	rng->paused = false;
	rng->queue = NULL;
	fair_leave(&rng->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_rng *rng = ctx;

	(void)index;
	fair_enter(&rng->lock);
	rng->queue = NULL;
	fair_leave(&rng->lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_rng *rng = ctx;

	fair_enter(&rng->lock);
	rng->queue = rng->queues[index];
	fair_leave(&rng->lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_rng *rng = ctx;

	(void)index;
	wake(rng);
}

static void set_paused(struct vmm_virtio_rng *rng, bool paused)
{
	fair_enter(&rng->lock);
	rng->paused = paused;
	fair_leave(&rng->lock);
}

static void on_pause(void *ctx)
{
	set_paused(ctx, true);
}

static void on_resume(void *ctx)
{
	set_paused(ctx, false);
}

static const struct vmm_virtio_device_ops rng_ops = {
	.size = sizeof(rng_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.pause = on_pause,
	.resume = on_resume,
};

int vmm_virtio_rng_new(const struct vmm_virtio_rng_opts *opts,
		       struct vmm_virtio_rng **out)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	struct vmm_virtio_rng_opts o;
	struct vmm_virtio_rng *rng;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return ret;
	if (o.queue_max > VMM_VIRTQ_SIZE_MAX ||
	    (!o.thread && (!o.wake || (o.rate && !o.wake_after))))
		return -EINVAL;
	rng = calloc(1, sizeof(*rng));
	if (!rng)
		return -ENOMEM;
	if (!o.fill)
		o.fill = fill_from_kernel;
	if (o.request_max == 0)
		o.request_max = VMM_VIRTIO_RNG_REQUEST_MAX;
	rng->opts = o;
	rng->queue_max = (uint16_t)(o.queue_max ? o.queue_max : QUEUE_DEFAULT);
	rng->device = blank;
	rng->device.id = VMM_VIRTIO_ID_RNG;
	rng->device.queue_n = 1;
	rng->device.queue_max = &rng->queue_max;
	rng->device.features[0] = o.features;
	rng->device.ops = &rng_ops;
	rng->device.ctx = rng;
	fair_init(&rng->lock);
	own_thread_init(&rng->thread);
	ret = o.thread ? own_thread_start(&rng->thread, run, rng) : 0;
	if (ret < 0) {
		vmm_virtio_rng_free(rng);
		return ret;
	}
	*out = rng;
	return 0;
}

void vmm_virtio_rng_free(struct vmm_virtio_rng *rng)
{
	if (!rng)
		return;
	own_thread_fini(&rng->thread);
	fair_fini(&rng->lock);
	free(rng);
}

const struct vmm_virtio_device *vmm_virtio_rng_get_device(struct vmm_virtio_rng *rng)
{
	return &rng->device;
}

int vmm_virtio_rng_get_doorbell(const struct vmm_virtio_rng *rng)
{
	return rng->thread.bell;
}

void vmm_virtio_rng_get_stats(struct vmm_virtio_rng *rng,
			      struct vmm_virtio_rng_stats *out)
{
	fair_enter(&rng->lock);
	tell_caller(out, out->size, &rng->stats, sizeof(rng->stats));
	fair_leave(&rng->lock);
}

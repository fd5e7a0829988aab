/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device between its transport and its back end. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "options.h"

#define QUEUE_DEFAULT 128u

/* lock is held. */
static void give_back(struct blk_request *req, uint32_t len)
{
	struct blk_queue *q = req->queue;

	if (vmm_virtq_add_used(q->vq, req->token, len) < 0)
		vmm_virtio_transport_needs_reset(q->blk->transport);
	q->free[q->free_n++] = req;
}

static void answer(struct blk_request *req, uint8_t status)
{
	/* Published by the used ring, so that the driver reads it after that. */
	__atomic_store_n(req->status, status, __ATOMIC_RELAXED);
	give_back(req, status == BLK_S_OK ? req->ok_len : 1);
}

static void signal_if_wanted(struct blk_queue *q)
{
	if (vmm_virtq_needs_notification(q->vq))
		vmm_virtio_transport_signal_queue(q->blk->transport, q->index);
}

void vmm_virtio_blk_complete(struct vmm_virtio_blk_io *io, int result)
{
	struct blk_request *req = (struct blk_request *)(void *)io;
	struct blk_queue *q = req->queue;
	uint8_t status = BLK_S_OK;
	bool again;

	if (result < 0)
		status = result == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
	pthread_mutex_lock(&q->lock);
	answer(req, status);
	again = q->starved && !q->running;
	if (again)
		q->starved = false;
	if (!q->running)
		signal_if_wanted(q);
	pthread_mutex_unlock(&q->lock);
	if (again)
		q->blk->wake(q->blk->wake_ctx, q->index);
}

/* Returns false if the back end has no room. */
static bool start_one(struct blk_queue *q, struct blk_request *req,
		      const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_blk *blk = q->blk;
	int ret;

	req->token = chain->token;
	/* Without a byte for the status there is nothing to say. */
	if (chain->writable_len == 0) {
		give_back(req, 0);
		return true;
	}
	ret = blk_parse(blk, req, chain);
	if (ret != BLK_SUBMIT) {
		answer(req, (uint8_t)ret);
		return true;
	}
	ret = blk->backend.submit(blk->backend_ctx, &req->io);
	if (ret == -EAGAIN && vmm_virtq_undo_pop(q->vq, chain->token) == 0) {
		q->free[q->free_n++] = req;
		return false;
	}
	if (ret < 0)
		answer(req, ret == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR);
	return true;
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
		q->starved = !start_one(q, req, &chain);
		return !q->starved;
	}
	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(q->blk->transport);
	return ret != -EAGAIN && ret != -ENOTRECOVERABLE;
}

static bool serve(struct blk_queue *q)
{
	uint32_t budget = vmm_virtq_get_num(q->vq);
	bool more;

	q->running = true;
	q->starved = false;
	vmm_virtq_disable_notification(q->vq);
	while (budget > 0 && q->free_n > 0 && serve_one(q))
		budget--;
	q->running = false;
	signal_if_wanted(q);
	more = vmm_virtq_enable_notification(q->vq);
	/* What the back end had no room for waits for a completion, if one can come. */
	return more && (!q->starved || q->free_n == q->request_n);
}

void vmm_virtio_blk_run(struct vmm_virtio_blk *blk, uint32_t queue)
{
	struct blk_queue *q;
	bool again = false;

	if (queue >= blk->queue_n)
		return;
	q = &blk->queues[queue];
	pthread_mutex_lock(&q->lock);
	if (q->vq && !q->stopping)
		again = serve(q);
	pthread_mutex_unlock(&q->lock);
	if (again)
		blk->wake(blk->wake_ctx, queue);
}

static int start_queue(struct vmm_virtio_blk *blk, uint32_t index, struct vmm_virtq *vq)
{
	struct blk_queue *q = &blk->queues[index];
	uint32_t n = vmm_virtq_get_num(vq);

	q->requests = calloc(n, sizeof(*q->requests));
	q->free = calloc(n, sizeof(struct blk_request *));
	if (!q->requests || !q->free)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		q->requests[i].queue = q;
		q->free[i] = &q->requests[i];
	}
	q->free_n = n;
	q->request_n = n;
	pthread_mutex_lock(&q->lock);
	q->vq = vq;
	q->starved = false;
	pthread_mutex_unlock(&q->lock);
	return 0;
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_blk *blk = ctx;

	blk->features = a->features[0];
	blk->transport = a->transport;
	for (uint32_t i = 0; i < blk->queue_n; i++) {
		int ret = vmm_virtq_is_enabled(a->queues[i])
			      ? start_queue(blk, i, a->queues[i])
			      : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

static void set_stopping(struct vmm_virtio_blk *blk, bool stopping)
{
	for (uint32_t i = 0; i < blk->queue_n; i++) {
		pthread_mutex_lock(&blk->queues[i].lock);
		blk->queues[i].stopping = stopping;
		pthread_mutex_unlock(&blk->queues[i].lock);
	}
}

static void stop_queue(struct blk_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->vq = NULL;
	free(q->requests);
	free(q->free);
	q->requests = NULL;
	q->free = NULL;
	q->free_n = 0;
	pthread_mutex_unlock(&q->lock);
}

/* Nothing new is started, then what was started completes, and only then the queues go.
 */
static void reset(void *ctx)
{
	static const uint8_t on = 1;
	struct vmm_virtio_blk *blk = ctx;

	set_stopping(blk, true);
	if (blk->backend.drain)
		blk->backend.drain(blk->backend_ctx);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		stop_queue(&blk->queues[i]);
	set_stopping(blk, false);
	__atomic_store_n(&blk->writeback, true, __ATOMIC_RELAXED);
	if (vmm_virtio_transport_set_config(blk->transport, BLK_CONFIG_WRITEBACK, &on,
					    1) < 0)
		vmm_virtio_transport_needs_reset(blk->transport);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_blk *blk = ctx;

	blk->wake(blk->wake_ctx, index);
}

static void config_written(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	struct vmm_virtio_blk *blk = ctx;
	const uint8_t *bytes = data;

	if (offset <= BLK_CONFIG_WRITEBACK && BLK_CONFIG_WRITEBACK - offset < len)
		__atomic_store_n(&blk->writeback,
				 bytes[BLK_CONFIG_WRITEBACK - offset] & 1,
				 __ATOMIC_RELAXED);
}

static const struct vmm_virtio_device_ops blk_ops = {
	.size = sizeof(blk_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.config_written = config_written,
};

static void put16(struct vmm_virtio_blk *blk, uint32_t at, uint16_t value)
{
	value = htole16(value);
	memcpy(blk->config + at, &value, sizeof(value));
}

static void put32(struct vmm_virtio_blk *blk, uint32_t at, uint32_t value)
{
	value = htole32(value);
	memcpy(blk->config + at, &value, sizeof(value));
}

static void fill_config(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	uint64_t sectors = htole64(blk->sectors);
	uint32_t seg_max = o->queue_max - 2;

	memcpy(blk->config, &sectors, sizeof(sectors));
	put32(blk, 12,
	      seg_max < VMM_VIRTIO_BLK_SEG_MAX ? seg_max : VMM_VIRTIO_BLK_SEG_MAX);
	put32(blk, 20, o->block_size);
	blk->config[BLK_CONFIG_WRITEBACK] = 1;
	blk->writable[BLK_CONFIG_WRITEBACK] = 1;
	put16(blk, 34, (uint16_t)o->queue_n);
	if (!o->discard)
		return;
	put32(blk, 36, BLK_RANGE_SECTORS);
	put32(blk, 40, 1);
	put32(blk, 44, o->block_size / VMM_VIRTIO_BLK_SECTOR);
	put32(blk, 48, BLK_RANGE_SECTORS);
	put32(blk, 52, 1);
	blk->config[56] = 1;
}

static void describe(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;

	blk->device = blank;
	blk->device.id = VMM_VIRTIO_ID_BLK;
	blk->device.queue_n = o->queue_n;
	blk->device.queue_max = blk->queue_max;
	blk->device.features[0] = o->features | BLK_F_SEG_MAX | BLK_F_BLK_SIZE |
				  BLK_F_FLUSH | BLK_F_CONFIG_WCE |
				  (o->readonly ? BLK_F_RO : 0) |
				  (o->queue_n > 1 ? BLK_F_MQ : 0) |
				  (o->discard ? BLK_F_DISCARD | BLK_F_WRITE_ZEROES : 0);
	blk->device.config = blk->config;
	blk->device.config_writable = blk->writable;
	blk->device.config_len = BLK_CONFIG_LEN;
	blk->device.ops = &blk_ops;
	blk->device.ctx = blk;
}

static int check_opts(struct vmm_virtio_blk_opts *o, struct vmm_error *err)
{
	if (o->queue_n == 0)
		o->queue_n = 1;
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if (o->block_size == 0)
		o->block_size = VMM_VIRTIO_BLK_SECTOR;
	if (!o->wake || (!o->backend && o->fd < 0) || (o->backend && o->capacity == 0))
		return vmm_error_set(err, -EINVAL,
				     "block device without wake, back end or size");
	if (o->queue_n > VMM_VIRTIO_BLK_QUEUES_MAX || o->queue_max < 3 ||
	    o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_at(err, -EINVAL, 0, 0, o->queue_max,
				    "block device with %u queues of %u", o->queue_n,
				    o->queue_max);
	if (o->block_size < VMM_VIRTIO_BLK_SECTOR ||
	    (o->block_size & (o->block_size - 1)))
		return vmm_error_at(err, -EINVAL, 0, 0, o->block_size, "block size %u",
				    o->block_size);
	if (o->capacity == 0) {
		int ret = blk_file_size(o->fd, &o->capacity);

		if (ret < 0)
			return vmm_error_set(err, ret,
					     "size of the disk image is unknown");
	}
	return 0;
}

static void init_locks(struct vmm_virtio_blk *blk)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		pthread_mutex_init(&blk->queues[i].lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

int vmm_virtio_blk_new(const struct vmm_virtio_blk_opts *opts,
		       struct vmm_virtio_blk **out, struct vmm_error *err)
{
	static const struct vmm_virtio_blk_backend file = { sizeof(file), blk_file_submit,
							    NULL };
	struct vmm_virtio_blk_backend backend = file;
	struct vmm_virtio_blk_opts o;
	struct vmm_virtio_blk *blk;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret == 0 && o.backend)
		ret = options_copy(&backend, sizeof(backend), o.backend, o.backend->size);
	if (ret < 0 || !backend.submit)
		return vmm_error_set(err, ret < 0 ? ret : -EINVAL,
				     "block device options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return vmm_error_set(err, -ENOMEM, "no memory for a block device");

	blk->backend = backend;
	blk->backend_ctx = o.backend ? o.backend_ctx : blk;
	blk->wake = o.wake;
	blk->wake_ctx = o.wake_ctx;
	blk->fd = o.fd;
	blk->readonly = o.readonly;
	blk->writeback = true;
	blk->sectors = o.capacity / VMM_VIRTIO_BLK_SECTOR;
	blk->queue_n = o.queue_n;
	if (o.id)
		memcpy(blk->id, o.id, strnlen(o.id, sizeof(blk->id)));
	for (uint32_t i = 0; i < o.queue_n; i++) {
		blk->queue_max[i] = (uint16_t)o.queue_max;
		blk->queues[i].blk = blk;
		blk->queues[i].index = i;
	}
	init_locks(blk);
	fill_config(blk, &o);
	describe(blk, &o);
	*out = blk;
	return 0;
}

void vmm_virtio_blk_free(struct vmm_virtio_blk *blk)
{
	if (!blk)
		return;
	for (uint32_t i = 0; i < blk->queue_n; i++)
		pthread_mutex_destroy(&blk->queues[i].lock);
	free(blk);
}

const struct vmm_virtio_device *vmm_virtio_blk_get_device(struct vmm_virtio_blk *blk)
{
	return &blk->device;
}

int vmm_virtio_blk_set_capacity(struct vmm_virtio_blk *blk,
				struct vmm_virtio_transport *transport, uint64_t capacity)
{
	uint64_t sectors = capacity / VMM_VIRTIO_BLK_SECTOR, le = htole64(sectors);

	__atomic_store_n(&blk->sectors, sectors, __ATOMIC_RELAXED);
	return vmm_virtio_transport_set_config(transport, 0, &le, sizeof(le));
}

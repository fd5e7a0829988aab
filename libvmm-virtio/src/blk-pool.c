/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The engine that makes system calls on threads of its own. */
#include <errno.h>
#include <stdlib.h>

#include "blk.h"

struct blk_pool {
	struct vmm_virtio_blk *blk;
	pthread_mutex_t lock;
	/* There is work, or nothing more will come. */
	pthread_cond_t work;
	/* A queue has nothing here any more. */
	pthread_cond_t idle;
	struct blk_request *first;
	struct blk_request **last;
	uint32_t in_flight[VMM_VIRTIO_BLK_QUEUES_MAX];
	bool closing;
	pthread_t threads[VMM_VIRTIO_BLK_THREADS_MAX];
	uint32_t thread_n;
};

static int pool_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct blk_request *req = blk_request_of(io);
	struct blk_pool *p = ctx;

	req->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->last = req;
	p->last = &req->next;
	p->in_flight[io->queue]++;
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* lock is held. NULL: nothing more will come. */
static struct blk_request *take(struct blk_pool *p)
{
	struct blk_request *req;

	while (!p->first && !p->closing)
		pthread_cond_wait(&p->work, &p->lock);
	req = p->first;
	if (req) {
		p->first = req->next;
		if (!p->first)
			p->last = &p->first;
	}
	return req;
}

static void *pool_thread(void *arg)
{
	struct blk_pool *p = arg;
	struct blk_request *req;

	pthread_mutex_lock(&p->lock);
	while ((req = take(p))) {
		/* The request is gone once it is complete. */
		uint32_t queue = req->io.queue;
		int ret = -ECANCELED;

		pthread_mutex_unlock(&p->lock);
		if (!blk_is_stopping(req->queue))
			ret = blk_file_do(&p->blk->file, &req->io);
		vmm_virtio_blk_complete(&req->io, ret);
		pthread_mutex_lock(&p->lock);
		if (--p->in_flight[queue] == 0)
			pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void pool_drain(void *ctx, uint32_t queue)
{
	struct blk_pool *p = ctx;

	pthread_mutex_lock(&p->lock);
	while (p->in_flight[queue] > 0)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static void pool_close(void *ctx)
{
	struct blk_pool *p = ctx;

	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < p->thread_n; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int blk_pool_open(struct vmm_virtio_blk *blk, uint32_t threads, struct blk_engine *out)
{
	static const struct blk_engine pool = {
		.backend = { .size = sizeof(pool.backend),
			     .submit = pool_submit,
			     .drain = pool_drain },
		.kind = VMM_VIRTIO_BLK_ENGINE_THREADS,
		.close = pool_close,
	};
	struct blk_pool *p = calloc(1, sizeof(*p));
	int ret = 0;

	if (!p)
		return -ENOMEM;
	p->blk = blk;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	for (; ret == 0 && p->thread_n < threads; p->thread_n++) {
		ret = blk_thread_create(&p->threads[p->thread_n], pool_thread, p);
		if (ret < 0)
			break;
	}
	if (ret < 0) {
		pool_close(p);
		return ret;
	}
	*out = pool;
	out->ctx = p;
	return 0;
}

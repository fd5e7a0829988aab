/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Buckets are counted in billionths of a token. A rate of r tokens a second is then exactly
 * r billionths a nanosecond: nothing is ever rounded, so nothing drifts, whatever the
 * pattern of calls. A burst of 2^33 tokens and a debt of as much fit in 64 bits.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include <vmm/virtio-rate.h>

#include "options.h"

#define TOKEN INT64_C(1000000000)

struct bucket {
	/* Tokens a second, 0 for no limit. */
	uint64_t rate;
	int64_t full;
	int64_t level;
};

struct vmm_virtio_rate {
	pthread_mutex_t lock;
	struct bucket bytes, ops;
	/* When the levels were right. */
	uint64_t at;
	uint64_t (*now)(void *ctx);
	void *now_ctx;
};

static uint64_t monotonic(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static int64_t cost_of(uint64_t tokens)
{
	uint64_t max = VMM_VIRTIO_RATE_BURST_MAX;

	return (int64_t)(tokens < max ? tokens : max) * TOKEN;
}

static void bucket_fill(struct bucket *b, uint64_t elapsed)
{
	uint64_t missing = (uint64_t)b->full - (uint64_t)b->level;

	if (b->rate == 0)
		return;
	/* If the division says so, the product below is at most what is missing. */
	if (elapsed > missing / b->rate)
		b->level = b->full;
	else
		b->level += (int64_t)(elapsed * b->rate);
}

/* Nanoseconds until @p cost can be had; 0: now. */
static uint64_t bucket_wait(const struct bucket *b, int64_t cost)
{
	int64_t need = cost < b->full ? cost : b->full;
	uint64_t missing;

	if (b->rate == 0 || b->level >= need)
		return 0;
	missing = (uint64_t)need - (uint64_t)b->level;
	return missing / b->rate + (missing % b->rate != 0);
}

static void bucket_take(struct bucket *b, int64_t cost)
{
	if (b->rate != 0)
		b->level -= cost;
}

static void bucket_give(struct bucket *b, int64_t cost)
{
	uint64_t missing = (uint64_t)b->full - (uint64_t)b->level;

	if (b->rate != 0)
		b->level = (uint64_t)cost < missing ? b->level + cost : b->full;
}

static void bucket_set(struct bucket *b, uint64_t rate, uint64_t burst)
{
	bool fresh = b->rate == 0;

	b->rate = rate;
	b->full = cost_of(burst != 0 ? burst : rate);
	if (fresh || b->level > b->full)
		b->level = b->full;
}

static void refill(struct vmm_virtio_rate *r)
{
	uint64_t now = r->now(r->now_ctx);

	if (now <= r->at)
		return;
	bucket_fill(&r->bytes, now - r->at);
	bucket_fill(&r->ops, now - r->at);
	r->at = now;
}

static int check(struct vmm_virtio_rate_config *c,
		 const struct vmm_virtio_rate_config *config, struct vmm_error *err)
{
	int ret = options_copy(c, sizeof(*c), config, config->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "rate limit of unknown layout");
	if (c->bytes_burst > VMM_VIRTIO_RATE_BURST_MAX ||
	    c->ops_burst > VMM_VIRTIO_RATE_BURST_MAX)
		return vmm_error_at(err, -E2BIG, 0, VMM_VIRTIO_RATE_BURST_MAX,
				    c->bytes_burst > c->ops_burst ? c->bytes_burst
								  : c->ops_burst,
				    "rate limit with too large a burst");
	return 0;
}

int vmm_virtio_rate_new(const struct vmm_virtio_rate_config *config,
			struct vmm_virtio_rate **out, struct vmm_error *err)
{
	struct vmm_virtio_rate_config c;
	struct vmm_virtio_rate *r;
	int ret = check(&c, config, err);

	if (ret < 0)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return vmm_error_set(err, -ENOMEM, "no memory for a rate limit");
	pthread_mutex_init(&r->lock, NULL);
	r->now = c.now ? c.now : monotonic;
	r->now_ctx = c.now_ctx;
	r->at = r->now(r->now_ctx);
	bucket_set(&r->bytes, c.bytes_per_s, c.bytes_burst);
	bucket_set(&r->ops, c.ops_per_s, c.ops_burst);
	*out = r;
	return 0;
}

void vmm_virtio_rate_free(struct vmm_virtio_rate *rate)
{
	if (!rate)
		return;
	pthread_mutex_destroy(&rate->lock);
	free(rate);
}

int vmm_virtio_rate_set(struct vmm_virtio_rate *rate,
			const struct vmm_virtio_rate_config *config,
			struct vmm_error *err)
{
	struct vmm_virtio_rate_config c;
	int ret = check(&c, config, err);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&rate->lock);
	/* What was earned so far was earned at the old rate. */
	refill(rate);
	bucket_set(&rate->bytes, c.bytes_per_s, c.bytes_burst);
	bucket_set(&rate->ops, c.ops_per_s, c.ops_burst);
	pthread_mutex_unlock(&rate->lock);
	return 0;
}

int vmm_virtio_rate_take(struct vmm_virtio_rate *rate, uint64_t bytes, uint64_t ops,
			 uint64_t *out_wait)
{
	int64_t byte_cost = cost_of(bytes), op_cost = cost_of(ops);
	uint64_t wait, other;

	pthread_mutex_lock(&rate->lock);
	refill(rate);
	wait = bucket_wait(&rate->bytes, byte_cost);
	other = bucket_wait(&rate->ops, op_cost);
	if (other > wait)
		wait = other;
	if (wait == 0) {
		bucket_take(&rate->bytes, byte_cost);
		bucket_take(&rate->ops, op_cost);
	}
	pthread_mutex_unlock(&rate->lock);
	if (wait == 0)
		return 0;
	*out_wait = wait;
	return -EAGAIN;
}

void vmm_virtio_rate_give(struct vmm_virtio_rate *rate, uint64_t bytes, uint64_t ops)
{
	pthread_mutex_lock(&rate->lock);
	bucket_give(&rate->bytes, cost_of(bytes));
	bucket_give(&rate->ops, cost_of(ops));
	pthread_mutex_unlock(&rate->lock);
}

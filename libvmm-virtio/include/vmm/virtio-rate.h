/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_RATE_H
#define VMM_VIRTIO_RATE_H

/**
 * @file vmm/virtio-rate.h
 * A rate limit for a device: two token buckets, one of bytes and one of operations, that
 * are taken from together. Nothing here waits or has a timer: who finds the buckets too
 * empty learns how long it takes until they are not.
 *
 * A limit belongs to who made it. Several devices, queues and threads may share one,
 * which makes them a group: the calls are for any thread. Pointers must not be NULL
 * unless the text says so.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Largest burst, and most that one call takes into account: 8 GiB. */
#define VMM_VIRTIO_RATE_BURST_MAX (UINT64_C(1) << 33)

/** A rate limit. */
struct vmm_virtio_rate;

/** What is allowed. */
struct vmm_virtio_rate_config {
	/** Size of this structure. */
	size_t size;
	/** Bytes per second; 0: no limit. */
	uint64_t bytes_per_s;
	/** Bytes that may come at once after a pause, at most #VMM_VIRTIO_RATE_BURST_MAX;
	 *  0: as many as in a second, or that maximum. */
	uint64_t bytes_burst;
	/** Operations per second; 0: no limit. */
	uint64_t ops_per_s;
	/** Operations that may come at once; else as @p bytes_burst. */
	uint64_t ops_burst;
	/**
	 * Tell the time in nanoseconds. One that steps back is taken to stand still.
	 * Called with a lock held, must not call back. NULL: CLOCK_MONOTONIC.
	 */
	uint64_t (*now)(void *ctx);
	/** First parameter of @p now. */
	void *now_ctx;
};

/** Defaults: no limit. */
#define VMM_VIRTIO_RATE_CONFIG_INIT                                           \
	{                                                                     \
		sizeof(struct vmm_virtio_rate_config), 0, 0, 0, 0, NULL, NULL \
	}

/**
 * Make a limit with full buckets.
 *
 * @param config    copied
 * @param[out] out  the limit, to be released with vmm_virtio_rate_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  @p config says no size
 * @retval -E2BIG   a burst over the maximum, or an unknown tail of @p config
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_rate_new(const struct vmm_virtio_rate_config *config,
					     struct vmm_virtio_rate **out,
					     struct vmm_error *err);

/** Release a limit that no device uses any more. NULL is allowed. */
VMM_API void vmm_virtio_rate_free(struct vmm_virtio_rate *rate);

/**
 * Change what is allowed, at once. What is in a bucket stays there as far as it fits; one
 * that was without a limit starts full. The clock stays the one it was made with.
 *
 * @param rate      the limit
 * @param config    copied but for the clock
 * @param[out] err  detail on failure; may be NULL
 * @return as vmm_virtio_rate_new(), but for -ENOMEM
 */
VMM_API VMM_MUST_USE int vmm_virtio_rate_set(struct vmm_virtio_rate *rate,
					     const struct vmm_virtio_rate_config *config,
					     struct vmm_error *err);

/**
 * Take from both buckets, or from none.
 *
 * Work that is larger than a burst is allowed when the bucket is full, and leaves a debt:
 * it is slow, but never stuck.
 *
 * @param rate          the limit
 * @param bytes         bytes of the work; what is over #VMM_VIRTIO_RATE_BURST_MAX is free
 * @param ops           operations, likewise
 * @param[out] out_wait on -EAGAIN: nanoseconds, more than 0, after which it will do if
 *                      nobody else takes anything; else untouched
 * @retval 0            go ahead
 * @retval -EAGAIN      not yet; nothing was taken
 */
VMM_API VMM_MUST_USE int vmm_virtio_rate_take(struct vmm_virtio_rate *rate,
					      uint64_t bytes, uint64_t ops,
					      uint64_t *out_wait);

/** Give back what was taken for work that was not started after all. */
VMM_API void vmm_virtio_rate_give(struct vmm_virtio_rate *rate, uint64_t bytes,
				  uint64_t ops);

VMM_DEFINE_CLEANUP(vmm_virtio_rate, vmm_virtio_rate_free)

VMM_END_DECLS

#endif

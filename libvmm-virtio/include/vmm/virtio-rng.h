/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_RNG_H
#define VMM_VIRTIO_RNG_H

/**
 * @file vmm/virtio-rng.h
 * An entropy device (virtio 1.2, 5.4): the driver offers buffers, the device fills them
 * with random bytes. Pointers must not be NULL unless the text says so.
 *
 * Requests and what is done with them: the writable buffers are filled from the front, at
 * most as many bytes as the options say; what the source does not give stays as it is, and
 * the driver is told how much there is. Readable buffers are not looked at. A request
 * that is over the rate limit waits in the ring.
 *
 * The device has no configuration space, and no state of its own to be saved: a request
 * is answered when vmm_virtio_rng_run() returns, or still in the ring.
 *
 * **Who runs it.** With `opts.thread` the device has a thread, and the VMM has nothing to
 * do but to make vmm_virtio_rng_get_doorbell() an ioeventfd, if it likes. Without, a
 * notification calls @p wake, and the VMM then calls vmm_virtio_rng_run() on a thread of
 * its choice; with an ioeventfd as doorbell the event loop does so directly.
 *
 * Its transport pauses it (vmm/virtio.h); there is nothing to save. All calls are for any
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/virtio-rate.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Most bytes that one request gets, if the options do not say otherwise. */
#define VMM_VIRTIO_RNG_REQUEST_MAX 65536u

/** An entropy device. */
struct vmm_virtio_rng;

/** How an entropy device is to be. */
struct vmm_virtio_rng_opts {
	/** Size of this structure. */
	size_t size;
	/**
	 * Have vmm_virtio_rng_run() called soon, on any thread. Called on the thread that
	 * made a register access, or that is in vmm_virtio_rng_run(); must not call back.
	 * Not called with @p thread, and may be NULL then.
	 */
	void (*wake)(void *ctx);
	/**
	 * Fill @p len bytes at @p buf and return how many were filled, or a negative
	 * errno value. Called within vmm_virtio_rng_run(), with @p thread on that thread;
	 * must not call back. NULL: getrandom(2).
	 */
	int64_t (*fill)(void *ctx, void *buf, size_t len);
	/** First parameter of all callbacks. */
	void *ctx;
	/** Most bytes for one request; 0 for #VMM_VIRTIO_RNG_REQUEST_MAX. What a driver
	 *  asks for beyond it is not an error: it gets less, and asks again. */
	uint32_t request_max;
	/** Size of the queue, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 64. */
	uint32_t queue_max;
	/** Further feature bits to offer, of those in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
	/** Limit on what the driver gets, in bytes and requests; borrowed, may be shared.
	 *  NULL: none. */
	struct vmm_virtio_rate *rate;
	/** Have vmm_virtio_rng_run() called in @p ns nanoseconds, because of the limit: a
	 *  later call replaces an earlier one. Called and bound as @p wake. Required with
	 *  @p rate, unless there is a @p thread. */
	void (*wake_after)(void *ctx, uint64_t ns);
	/** Have a thread of the device run it. */
	bool thread;
};

/** Defaults: no way to be woken, which has to be set. */
#define VMM_VIRTIO_RNG_OPTS_INIT                                                     \
	{                                                                            \
		sizeof(struct vmm_virtio_rng_opts), NULL, NULL, NULL, 0, 0,          \
		    VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX, NULL, NULL, \
		    false                                                            \
	}

/** What an entropy device did since it was made. */
struct vmm_virtio_rng_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Requests that were answered, with or without bytes. */
	uint64_t requests;
	/** Bytes that the driver got. */
	uint64_t bytes;
	/** Requests that the source failed, or cut short. */
	uint64_t short_reads;
	/** Times that a request had to wait for the limit. */
	uint64_t throttled;
};

/**
 * Make an entropy device.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_rng_free()
 * @retval 0        done
 * @retval -EINVAL  neither @p wake nor @p thread, a limit without @p wake_after or
 *                  @p thread, or a queue size out of range
 * @retval -E2BIG   an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; codes of eventfd(), pthread_create() and the like as
 *                  they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_rng_new(const struct vmm_virtio_rng_opts *opts,
					    struct vmm_virtio_rng **out);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_rng_free(struct vmm_virtio_rng *rng);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_rng_get_device(
    struct vmm_virtio_rng *rng);

/** Return the eventfd that notifies about the queue, for an ioeventfd: the device's, as
 *  long as it. -1 without `opts.thread`. */
VMM_API int vmm_virtio_rng_get_doorbell(const struct vmm_virtio_rng *rng);

/**
 * Fill the buffers that are there, at most as many as the queue is long: if the driver is
 * faster than that, the device wakes itself. Any thread; a call on a device that its
 * driver did not start does nothing.
 */
VMM_API void vmm_virtio_rng_run(struct vmm_virtio_rng *rng);

/** Tell the counters; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_rng_get_stats(struct vmm_virtio_rng *rng,
				      struct vmm_virtio_rng_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_rng, vmm_virtio_rng_free)

VMM_END_DECLS

#endif

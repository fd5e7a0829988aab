/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_PMEM_H
#define VMM_VIRTIO_PMEM_H

/**
 * @file vmm/virtio-pmem.h
 * Persistent memory (virtio 1.2, 5.19): a file that the VMM has mapped into the guest's
 * memory, and a queue by which the guest asks for it to be on stable storage. Pointers must
 * not be NULL unless the text says so.
 *
 * The mapping is the VMM's: a region of its memory table, shared with the file, at the
 * address that it tells here. It is not RAM of the guest, and other devices may well have
 * their buffers in it.
 *
 * One queue. Requests and what is done with them: readable, a type of 4 bytes; writable, a
 * result of 4 bytes, 0 for good. FLUSH (0) is answered when all that the guest wrote before
 * it asked is on stable storage; those that wait at the same time share one fdatasync(2).
 * When that failed once each later FLUSH fails, too: the kernel forgets what it lost. Any
 * other type, or one that is cut short, is answered with 1; without room for the result
 * there is none.
 *
 * Configuration space: start and size, 8 bytes each, read-only. The same range is shared
 * memory region 0, if offered.
 *
 * The device has a thread from activation to reset, unless `opts.no_thread`; then the VMM
 * polls vmm_virtio_pmem_get_fd() for reading and calls vmm_virtio_pmem_run(), which waits
 * for the storage. A reset waits for a flush that is under way. All calls are for any
 * thread.
 *
 * Its transport pauses and saves it (vmm/virtio.h): the range, which must be the same, and
 * whether a flush has failed. A pause waits for a flush that is under way.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/virtio-rate.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** The range is told as shared memory region 0, too (virtio 1.2, 5.19.3). */
#define VMM_VIRTIO_PMEM_F_SHMEM_REGION (UINT64_C(1) << 0)

/** A persistent memory device. */
struct vmm_virtio_pmem;

/** How a persistent memory device is to be. */
struct vmm_virtio_pmem_opts {
	/** Size of this structure. */
	size_t size;
	/** Guest physical address, a multiple of 4096. Linux wants 2 MiB. */
	uint64_t gpa;
	/** Length in bytes, likewise. */
	uint64_t len;
	/** Make all that was written durable; return 0 or a negative errno value. Called
	 *  with a lock held: must not call back. NULL: fdatasync() of @p fd. */
	int (*flush)(void *ctx);
	/** First parameter of @p flush. */
	void *ctx;
	/** Limit on flushes, an operation for each that is done; borrowed, may be shared.
	 *  NULL: none. */
	struct vmm_virtio_rate *rate;
	/** The file; borrowed. -1 with @p flush. */
	int fd;
	/** Size of the queue, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 64. */
	uint32_t queue_max;
	/** Feature bits to offer, of the one above and those in vmm/virtq.h. RING_RESET
	 *  works. */
	uint64_t features;
	/** The VMM calls vmm_virtio_pmem_run(). */
	bool no_thread;
};

/** Defaults: no range and no file, which have to be set. */
#define VMM_VIRTIO_PMEM_OPTS_INIT                                                   \
	{                                                                           \
		sizeof(struct vmm_virtio_pmem_opts), 0, 0, NULL, NULL, NULL, -1, 0, \
		    VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX, false      \
	}

/** What a device did since it was made. */
struct vmm_virtio_pmem_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Requests to flush that were answered. */
	uint64_t requests;
	/** Flushes that were done for them, and those that failed. @{ */
	uint64_t flushes;
	uint64_t errors;
	/** @} */
	/** Requests that make no sense. */
	uint64_t bad_requests;
	/** Times that requests had to wait for the limit. */
	uint64_t throttled;
};

/**
 * Make a persistent memory device.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_pmem_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  neither file nor @p flush, a range that is empty, unaligned or wraps,
 *                  or a queue size out of range
 * @retval -E2BIG   an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; other codes of eventfd(2) and so on
 */
VMM_API VMM_MUST_USE int vmm_virtio_pmem_new(const struct vmm_virtio_pmem_opts *opts,
					     struct vmm_virtio_pmem **out,
					     struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_pmem_free(struct vmm_virtio_pmem *pmem);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_pmem_get_device(
    struct vmm_virtio_pmem *pmem);

/** Return the eventfd that is the doorbell of the queue, for an ioeventfd. It stays the
 *  device's. */
VMM_API int vmm_virtio_pmem_get_doorbell(struct vmm_virtio_pmem *pmem);

/** Return the descriptor that is readable while vmm_virtio_pmem_run() has something to do.
 *  It stays the device's. */
VMM_API int vmm_virtio_pmem_get_fd(struct vmm_virtio_pmem *pmem);

/** Do what there is to do; not for a device with a thread. */
VMM_API void vmm_virtio_pmem_run(struct vmm_virtio_pmem *pmem);

/** Tell the counters; at most `out->size` bytes are written. Waits for a flush that is
 *  under way. */
VMM_API void vmm_virtio_pmem_get_stats(struct vmm_virtio_pmem *pmem,
				       struct vmm_virtio_pmem_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_pmem, vmm_virtio_pmem_free)

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

/**
 * @file vmm/virtio-blk.h
 * A block device (virtio 1.2, 5.2): requests are parsed and judged here, and carried out
 * by a back end, which may be the one for files and block devices that comes with it.
 * Pointers must not be NULL unless the text says so.
 *
 * The device has no thread of its own. A notification calls @p wake, and the VMM then
 * calls vmm_virtio_blk_run() for that queue on a thread of its choice. Queues are
 * independent of each other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Unit of capacity and of request addresses. */
#define VMM_VIRTIO_BLK_SECTOR 512u
/** Length of the identification string. */
#define VMM_VIRTIO_BLK_ID_LEN 20u
/** Most data buffers in one request; a driver is told. */
#define VMM_VIRTIO_BLK_SEG_MAX 126u
/** Most queues. */
#define VMM_VIRTIO_BLK_QUEUES_MAX 64u

/** What a back end is asked to do. @{ */
#define VMM_VIRTIO_BLK_READ 0u
#define VMM_VIRTIO_BLK_WRITE 1u
#define VMM_VIRTIO_BLK_FLUSH 2u
#define VMM_VIRTIO_BLK_DISCARD 3u
#define VMM_VIRTIO_BLK_WRITE_ZEROES 4u
/** @} */

/** Write or zeroes: on stable storage before it is complete. */
#define VMM_VIRTIO_BLK_IO_FUA 1u
/** Zeroes: the range may be deallocated. */
#define VMM_VIRTIO_BLK_IO_UNMAP 2u

/** A block device. */
struct vmm_virtio_blk;

/** One piece of work for a back end, which owns it until it completes it. Checked: the
 *  range lies in the device and is made of whole sectors. */
struct vmm_virtio_blk_io {
	/** First byte. */
	uint64_t offset;
	/** How many; 0 for a flush. */
	uint64_t len;
	/** Guest memory to read into or write from; @p len bytes in all. */
	struct iovec *iov;
	/** Entries in @p iov. */
	uint32_t iov_n;
	/** VMM_VIRTIO_BLK_READ and so on. */
	uint32_t op;
	/** VMM_VIRTIO_BLK_IO_* */
	uint32_t flags;
	/** The queue it came by. */
	uint32_t queue;
};

/** A back end. */
struct vmm_virtio_blk_backend {
	/** Size of this structure. */
	size_t size;
	/**
	 * Start @p io, and see to it that vmm_virtio_blk_complete() is called for it,
	 * here or later on any thread. A negative errno value completes it with that;
	 * -EAGAIN says that there is no room now, and the same is asked for again after
	 * the next completion on that queue. Called within vmm_virtio_blk_run().
	 */
	int (*submit)(void *ctx, struct vmm_virtio_blk_io *io);
	/** Wait until all that was started is complete. NULL: all is when submit
	 *  returns. Called on a reset, on the thread of the register access. */
	void (*drain)(void *ctx);
};

/** How a block device is to be. */
struct vmm_virtio_blk_opts {
	/** Size of this structure. */
	size_t size;
	/**
	 * Have vmm_virtio_blk_run() called soon for @p queue, on any thread. Must not
	 * call back itself.
	 */
	void (*wake)(void *ctx, uint32_t queue);
	/** First parameter of @p wake. */
	void *wake_ctx;
	/** Back end; copied. NULL: the one for files, with @p fd. */
	const struct vmm_virtio_blk_backend *backend;
	/** First parameter of its callbacks. */
	void *backend_ctx;
	/** File or block device of the built-in back end; borrowed. */
	int fd;
	/** Identification string, at most #VMM_VIRTIO_BLK_ID_LEN bytes count; NULL for
	 *  none. */
	const char *id;
	/** Capacity in bytes, rounded down to whole sectors; 0 with @p fd: its size. */
	uint64_t capacity;
	/** Block size that the driver is told, a power of two from 512 on; 0: 512. */
	uint32_t block_size;
	/** Number of queues; 0: 1. */
	uint32_t queue_n;
	/** Size of each queue, 3 to #VMM_VIRTQ_SIZE_MAX; 0: 128. */
	uint32_t queue_max;
	/** No writes. */
	bool readonly;
	/** Offer DISCARD and WRITE_ZEROES. */
	bool discard;
	/** Further feature bits to offer, of those in vmm/virtq.h. */
	uint64_t features;
};

/** Defaults: no way to be woken and nothing to read from, which has to be set. */
#define VMM_VIRTIO_BLK_OPTS_INIT                                                         \
	{                                                                                \
		sizeof(struct vmm_virtio_blk_opts), NULL, NULL, NULL, NULL, -1, NULL, 0, \
		    0, 0, 0, false, false,                                               \
		    VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX                  \
	}

/**
 * Make a block device.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_blk_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  no @p wake, neither back end nor @p fd, or a number out of range
 * @retval -E2BIG   an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; codes of fstat() and ioctl() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_new(const struct vmm_virtio_blk_opts *opts,
					    struct vmm_virtio_blk **out,
					    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_blk_free(struct vmm_virtio_blk *blk);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_blk_get_device(
    struct vmm_virtio_blk *blk);

/**
 * Start the requests that are there in a queue, at most as many as it is long: if the
 * driver is faster than that, the device wakes itself. Any thread; a call on a queue that
 * its driver did not start does nothing.
 */
VMM_API void vmm_virtio_blk_run(struct vmm_virtio_blk *blk, uint32_t queue);

/**
 * Say that a back end is done with @p io, which is gone then. Any thread.
 *
 * @param io      the work
 * @param result  0, or a negative errno value: the driver sees an I/O error, for
 *                -EOPNOTSUPP that the request is not supported
 */
VMM_API void vmm_virtio_blk_complete(struct vmm_virtio_blk_io *io, int result);

/**
 * Change the capacity while the driver is at it, and tell it.
 *
 * @param blk        the device
 * @param transport  that carries it
 * @param capacity   in bytes, rounded down to whole sectors
 * @retval 0         done
 * @retval -EINVAL   the transport carries another device
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_set_capacity(
    struct vmm_virtio_blk *blk, struct vmm_virtio_transport *transport,
    uint64_t capacity);

VMM_DEFINE_CLEANUP(vmm_virtio_blk, vmm_virtio_blk_free)

VMM_END_DECLS

#endif

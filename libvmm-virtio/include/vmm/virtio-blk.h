/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

/**
 * @file vmm/virtio-blk.h
 * A block device (virtio 1.2, 5.2): requests are parsed and judged here, and carried out
 * by a back end: one of the engines for files and block devices that come with it, or one
 * of the VMM's own. Pointers must not be NULL unless the text says so.
 *
 * **Who runs it.** Each queue has an eventfd, its doorbell. Whatever needs the queue to be
 * looked at rings it: KVM, when the VMM made it an ioeventfd; a register write that came
 * the slow way; completions. With `opts.threads` the device has threads that wait for the
 * doorbells, and the VMM has nothing more to do. Without, the VMM polls
 * vmm_virtio_blk_get_fd() for reading in a loop of its own, level-triggered, and calls
 * vmm_virtio_blk_run() when it is readable. Queues are independent of each other.
 *
 * **What a completed request means.** A write is durable when it completes if the driver
 * has no cache to flush (it did not negotiate FLUSH, or switched the cache off), else when
 * a FLUSH completes that was offered after the write's completion. When the driver switches
 * its cache off, an engine makes durable what is complete by then. When making data durable
 * failed once, each later FLUSH fails, too: the kernel forgets what it lost.
 *
 * **Memory.** Requests point into guest memory until they complete. To change the memory
 * table, call vmm_virtio_mmio_pause(), vmm_virtio_mmio_set_mem(), vmm_virtio_mmio_resume().
 *
 * **State.** The transport pauses and saves the device (vmm/virtio.h): a pause waits until
 * what is in flight is complete, and is not for a callback of a back end. Saved are the
 * capacity, the cache's mode and whether a flush has failed, for a device of the same block
 * size and queues. A file that is smaller than the capacity is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/virtio-rate.h>
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
/** Most threads of either kind. */
#define VMM_VIRTIO_BLK_THREADS_MAX 64u

/** What a back end is asked to do. @{ */
#define VMM_VIRTIO_BLK_READ 0u
#define VMM_VIRTIO_BLK_WRITE 1u
#define VMM_VIRTIO_BLK_FLUSH 2u
#define VMM_VIRTIO_BLK_DISCARD 3u
#define VMM_VIRTIO_BLK_WRITE_ZEROES 4u
#define VMM_VIRTIO_BLK_SECURE_ERASE 5u
/** @} */

/** Write or zeroes: on stable storage before it is complete. */
#define VMM_VIRTIO_BLK_IO_FUA 1u
/** Zeroes: the range may be deallocated. */
#define VMM_VIRTIO_BLK_IO_UNMAP 2u

/** How files are read and written. @{ */
/** io_uring if kernel and build have it, else threads. */
#define VMM_VIRTIO_BLK_ENGINE_AUTO 0u
/** System calls on the thread that runs the queue. */
#define VMM_VIRTIO_BLK_ENGINE_SYNC 1u
/** System calls on threads of the engine's own. */
#define VMM_VIRTIO_BLK_ENGINE_THREADS 2u
/** An io_uring for each queue, and a thread for what it cannot do. */
#define VMM_VIRTIO_BLK_ENGINE_URING 3u
/** Not an engine: a back end of the VMM. */
#define VMM_VIRTIO_BLK_ENGINE_CALLER 4u
/** @} */

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

/**
 * A back end. For one queue, one callback at a time: within vmm_virtio_blk_run(), or on
 * the thread that resets or pauses. For several queues, at the same time.
 */
struct vmm_virtio_blk_backend {
	/** Size of this structure. */
	size_t size;
	/**
	 * Start @p io, and see to it that vmm_virtio_blk_complete() is called for it,
	 * here or later on any thread. A negative errno value completes it with that;
	 * -EAGAIN says that there is no room now, and the same is asked for again after
	 * the next completion on that queue, or soon if nothing is in flight.
	 */
	int (*submit)(void *ctx, struct vmm_virtio_blk_io *io);
	/** That was the last of a batch for @p queue. NULL: not interested. */
	void (*commit)(void *ctx, uint32_t queue);
	/** Complete what is done on @p queue. Asked before and after each batch. NULL:
	 *  completions come by themselves. */
	void (*reap)(void *ctx, uint32_t queue);
	/**
	 * Return when vmm_virtio_blk_complete() has returned for all that was started on
	 * @p queue. Must not wait for a thread that may be in vmm_virtio_blk_run(). NULL:
	 * all is complete when submit returns.
	 */
	void (*drain)(void *ctx, uint32_t queue);
};

/** Wear of the medium (virtio 1.2, 5.2.6, VIRTIO_BLK_T_GET_LIFETIME). */
struct vmm_virtio_blk_lifetime {
	/** 0 undefined, 1 normal, 2 80 % of spare blocks used, 3 90 %. */
	uint16_t pre_eol_info;
	/** 0 undefined, 1 to 10 tenths of the life of type A cells used, 11 exceeded. */
	uint16_t typ_a;
	/** The same for type B cells. */
	uint16_t typ_b;
	/** Zero. */
	uint16_t reserved_;
};

/** How a block device is to be. */
struct vmm_virtio_blk_opts {
	/** Size of this structure. */
	size_t size;
	/** Back end; copied. NULL: an engine on @p fd. */
	const struct vmm_virtio_blk_backend *backend;
	/** First parameter of its callbacks. */
	void *backend_ctx;
	/** File or block device of an engine; borrowed. With O_DIRECT, what does not meet
	 *  its alignment goes through a buffer. */
	int fd;
	/** VMM_VIRTIO_BLK_ENGINE_AUTO and so on, for @p fd. */
	uint32_t engine;
	/** Threads that wait for doorbells; 0: the VMM runs the queues. */
	uint32_t threads;
	/** Threads of the threads engine; 0: 4. */
	uint32_t io_threads;
	/** Limit on all queues together; borrowed, may be shared. NULL: none. */
	struct vmm_virtio_rate *rate;
	/** Identification string, at most #VMM_VIRTIO_BLK_ID_LEN bytes count; NULL for
	 *  none. */
	const char *id;
	/** Wear, offered to the driver; copied. NULL: not offered. */
	const struct vmm_virtio_blk_lifetime *lifetime;
	/** Capacity in bytes, rounded down to whole sectors; 0 with @p fd: its size. */
	uint64_t capacity;
	/** Block size that the driver is told, a power of two from 512 on; 0: what @p fd
	 *  needs to be accessed without a buffer, or 512. */
	uint32_t block_size;
	/** Bytes of a physical block, a power of two of at least the block size; 0: what
	 *  @p fd says, or the block size. */
	uint32_t physical_size;
	/** Smallest and best size of a transfer in bytes, multiples of the block size; 0:
	 *  what @p fd says, or nothing. @{ */
	uint32_t min_io_size;
	uint32_t opt_io_size;
	/** @} */
	/** Number of queues; 0: 1. */
	uint32_t queue_n;
	/** Size of each queue, 3 to #VMM_VIRTQ_SIZE_MAX; 0: 128. */
	uint32_t queue_max;
	/** No writes. */
	bool readonly;
	/** Offer DISCARD and WRITE_ZEROES. */
	bool discard;
	/** Offer SECURE_ERASE; a regular file cannot. */
	bool secure_erase;
	/** Further feature bits to offer, of those in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
};

/** Defaults: nothing to read from, which has to be set. */
#define VMM_VIRTIO_BLK_OPTS_INIT                                                         \
	{                                                                                \
		sizeof(struct vmm_virtio_blk_opts), NULL, NULL, -1, 0, 0, 0, NULL, NULL, \
		    NULL, 0, 0, 0, 0, 0, 0, 0, false, false, false,                      \
		    VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX                  \
	}

/** How an image is to be opened. @{ */
/** For reading, beside others who read. */
#define VMM_VIRTIO_BLK_IMAGE_READONLY 1u
/** Without the host's page cache (O_DIRECT). */
#define VMM_VIRTIO_BLK_IMAGE_DIRECT 2u
/** @} */

/**
 * Open a disk image for `opts.fd`: a regular file or a block device, and nothing else. Two
 * writers, or a writer beside readers, would ruin what is in it, so the open file gets a
 * lock (F_OFD_SETLK) that ends when the last descriptor of it is closed, whatever ends the
 * process. It is advisory, known to others who ask for locks; file systems that have none
 * are opened without. Waits for 0.3 s at most if somebody has it: a process that was killed
 * lets go a moment after its end. Any thread.
 *
 * @param path         of the image; messages start with it
 * @param flags        VMM_VIRTIO_BLK_IMAGE_*, or 0
 * @param[out] out_fd  the descriptor, with O_CLOEXEC; the caller's to close
 * @param[out] err     detail on failure, one line; may be NULL
 * @retval 0           done
 * @retval -EINVAL     neither file nor block device, which is not opened then; an unknown
 *                     flag
 * @retval -EBUSY      somebody else writes to it, or, not with READONLY, uses it
 * @retval -EOPNOTSUPP its file system cannot do direct access
 * @return codes of stat(), open() and fcntl() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_open_image(const char *path, uint32_t flags,
						   int *out_fd, struct vmm_error *err);

/** What a device did since it was made; survives a reset. */
struct vmm_virtio_blk_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Requests that succeeded, and bytes that they moved. @{ */
	uint64_t reads;
	uint64_t writes;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t flushes;
	uint64_t discards;
	uint64_t zeroes;
	uint64_t erases;
	/** GET_ID and GET_LIFETIME. */
	uint64_t queries;
	/** @} */
	/** Requests answered with an I/O error, and as unsupported. @{ */
	uint64_t errors;
	uint64_t unsupported;
	/** @} */
	/** Times that a queue had to wait for the rate limit, and for the back end. @{ */
	uint64_t throttled;
	uint64_t full;
	/** @} */
	/** Interrupts asked for. */
	uint64_t interrupts;
	/** Requests that are with the back end now. */
	uint64_t in_flight;
};

/**
 * Make a block device.
 *
 * @param opts         copied
 * @param[out] out     the device, to be released with vmm_virtio_blk_free()
 * @param[out] err     detail on failure; may be NULL
 * @retval 0           done
 * @retval -EINVAL     neither back end nor @p fd, or a number out of range
 * @retval -E2BIG      an unknown tail of @p opts
 * @retval -EOPNOTSUPP an engine that kernel or build lacks; erasing on a regular file
 * @retval -ENOMEM     out of memory; codes of fstat(), ioctl(), eventfd() and
 *                     pthread_create() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_new(const struct vmm_virtio_blk_opts *opts,
					    struct vmm_virtio_blk **out,
					    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_blk_free(struct vmm_virtio_blk *blk);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_blk_get_device(
    struct vmm_virtio_blk *blk);

/** Return the engine, one of VMM_VIRTIO_BLK_ENGINE_* but AUTO. */
VMM_API uint32_t vmm_virtio_blk_get_engine(const struct vmm_virtio_blk *blk);

/** Return the doorbell of a queue: an eventfd that KVM may signal on a notification. It
 *  stays the device's. -1 if there is no such queue. */
VMM_API int vmm_virtio_blk_get_doorbell(const struct vmm_virtio_blk *blk, uint32_t queue);

/** Return what to poll for reading if the device has no threads of its own; do nothing
 *  else with it. It stays the device's. -1 if there is no such queue. */
VMM_API int vmm_virtio_blk_get_fd(const struct vmm_virtio_blk *blk, uint32_t queue);

/**
 * Do what there is to do for a queue, without waiting: see what is complete, and start
 * requests, at most as many as the queue is long. If the driver is faster than that, the
 * doorbell rings again. Any thread; a call on a queue that its driver did not start does
 * nothing.
 */
VMM_API void vmm_virtio_blk_run(struct vmm_virtio_blk *blk, uint32_t queue);

/**
 * Say that a back end is done with @p io, which is gone then. Any thread; never waits.
 *
 * @param io      the work
 * @param result  0, or a negative errno value: the driver sees an I/O error, for
 *                -EOPNOTSUPP that the request is not supported
 */
VMM_API void vmm_virtio_blk_complete(struct vmm_virtio_blk_io *io, int result);

/**
 * Change the capacity while the driver is at it, and tell it; no file is touched. What is in
 * flight was judged by the old one. Any thread, in a pause, too. To make a disk larger, see
 * vmm_virtio_blk_resize().
 *
 * @param blk        the device
 * @param transport  that carries it
 * @param capacity   in bytes, rounded down to whole sectors; 0 for an engine: what the
 *                   size of its file is now
 * @retval 0         done
 * @retval -EINVAL   the transport carries another device, or 0 for a back end that is no
 *                   engine; codes of fstat() and ioctl() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_set_capacity(
    struct vmm_virtio_blk *blk, struct vmm_virtio_transport *transport,
    uint64_t capacity);

/**
 * Make the disk larger while the driver is at it, and tell it: its image, too, where that
 * is a regular file. Nothing is ever lost: a disk does not become smaller. What is new reads
 * as zeroes. Any thread, at any time while the transport lives, in a pause, too.
 *
 * @param blk          the device, with an engine
 * @param transport    that carries it
 * @param bytes        the new capacity, rounded down to whole sectors, and the size of a
 *                     file that is smaller; 0: what the size of file or block device is now
 *                     because somebody else changed it
 * @param[out] err     detail on failure, one line; may be NULL
 * @retval 0           done; also if it was that large already
 * @retval -EINVAL     that would be smaller, or the transport carries another device
 * @retval -EROFS      the device is read-only, and @p bytes is not 0
 * @retval -ENOSPC     the block device is smaller than that
 * @retval -EFBIG      a file must not be that large
 * @retval -EOPNOTSUPP no engine: a back end of the VMM
 * @return codes of fstat(), ioctl() and ftruncate() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_blk_resize(struct vmm_virtio_blk *blk,
					       struct vmm_virtio_transport *transport,
					       uint64_t bytes, struct vmm_error *err);

/** Change what the driver is told about wear; no effect if it was not offered. */
VMM_API void vmm_virtio_blk_set_lifetime(struct vmm_virtio_blk *blk,
					 const struct vmm_virtio_blk_lifetime *lifetime);

/**
 * Tell the counters.
 *
 * @param blk          the device
 * @param[in,out] out  @p size as input; at most that much is written
 */
VMM_API void vmm_virtio_blk_get_stats(struct vmm_virtio_blk *blk,
				      struct vmm_virtio_blk_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_blk, vmm_virtio_blk_free)

VMM_END_DECLS

#endif

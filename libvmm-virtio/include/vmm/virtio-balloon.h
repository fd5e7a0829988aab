/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_BALLOON_H
#define VMM_VIRTIO_BALLOON_H

/**
 * @file vmm/virtio-balloon.h
 * A memory balloon (virtio 1.2, 5.5): the driver gives pages to the device, whose memory
 * goes back to the host, and takes them back later. Pointers must not be NULL unless the
 * text says so.
 *
 * Queues: 0 inflate, 1 deflate, then statistics, free page hints and free page reports.
 * Drivers disagree on whether a queue without its feature keeps its number, so both ways
 * work.
 *
 * Requests and what is done with them:
 * - inflate and deflate: readable, page numbers of 4 KiB, 4 bytes each. A length that is
 *   not a multiple of 4, or more than #VMM_VIRTIO_BALLOON_PFNS_MAX pages, is refused as
 *   a whole. A page that is not writable memory of the table is passed over. A page that
 *   is in the balloon already is not discarded again. Where the memory has larger pages,
 *   one is given back once all of it is in the balloon.
 * - statistics: readable, records of 10 bytes, at most #VMM_VIRTIO_BALLOON_STATS_MAX;
 *   anything else is ignored as a whole. The buffer is kept until the next poll.
 * - reports: writable, each buffer a range of free pages; whole host pages in it are
 *   given back before the driver gets the buffer again. Not while the driver wants
 *   PAGE_POISON with a value other than 0, which pages of zeros would not have.
 * - hints: readable, 4 bytes, the command that the driver follows; writable, as reports,
 *   heeded only while the driver follows the command that is given.
 *
 * Configuration space: num_pages, actual (driver may write), free_page_hint_cmd_id,
 * poison_val (driver may write); 4 bytes each.
 *
 * **Who runs it.** With `opts.thread` the device has a thread, and the VMM has nothing to
 * do but to make vmm_virtio_balloon_get_doorbell() an ioeventfd, if it likes. Without, a
 * notification calls @p wake, and the VMM then calls vmm_virtio_balloon_run() on a thread of
 * its choice.
 *
 * All calls are for any thread. One that comes during a run waits for the request at hand
 * at most, however busy the driver keeps the device.
 *
 * Its transport pauses and saves it (vmm/virtio.h): target, size, run of hints and the pages
 * in the balloon, 1 bit each. A restore discards nothing: the memory was saved without them.
 * Statistics that wait for a poll go back to the ring during a pause, and are read again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Size of a page in the balloon, whatever the host has. */
#define VMM_VIRTIO_BALLOON_PAGE 4096u
/** Most pages in one request. */
#define VMM_VIRTIO_BALLOON_PFNS_MAX 4096u
/** Most records in one buffer of statistics. */
#define VMM_VIRTIO_BALLOON_STATS_MAX 64u

/** Features to offer (virtio 1.2, 5.5.3). @{ */
#define VMM_VIRTIO_BALLOON_F_MUST_TELL_HOST (UINT64_C(1) << 0)
#define VMM_VIRTIO_BALLOON_F_STATS_VQ (UINT64_C(1) << 1)
#define VMM_VIRTIO_BALLOON_F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define VMM_VIRTIO_BALLOON_F_FREE_PAGE_HINT (UINT64_C(1) << 3)
#define VMM_VIRTIO_BALLOON_F_PAGE_POISON (UINT64_C(1) << 4)
#define VMM_VIRTIO_BALLOON_F_PAGE_REPORTING (UINT64_C(1) << 5)
/** @} */

/** What the guest tells about its memory: the tag is the place in
 *  `vmm_virtio_balloon_guest.values` (virtio 1.2, 5.5.6.4). @{ */
#define VMM_VIRTIO_BALLOON_S_SWAP_IN 0u
#define VMM_VIRTIO_BALLOON_S_SWAP_OUT 1u
#define VMM_VIRTIO_BALLOON_S_MAJFLT 2u
#define VMM_VIRTIO_BALLOON_S_MINFLT 3u
#define VMM_VIRTIO_BALLOON_S_MEMFREE 4u
#define VMM_VIRTIO_BALLOON_S_MEMTOT 5u
#define VMM_VIRTIO_BALLOON_S_AVAIL 6u
#define VMM_VIRTIO_BALLOON_S_CACHES 7u
#define VMM_VIRTIO_BALLOON_S_HTLB_PGALLOC 8u
#define VMM_VIRTIO_BALLOON_S_HTLB_PGFAIL 9u
#define VMM_VIRTIO_BALLOON_S_NUM 16u
/** @} */

/** A balloon. */
struct vmm_virtio_balloon;

/** How a balloon is to be. */
struct vmm_virtio_balloon_opts {
	/** Size of this structure. */
	size_t size;
	/** Have vmm_virtio_balloon_run() called soon, on any thread. Called on the thread
	 *  that made a register access or is in vmm_virtio_balloon_run(); must not call
	 *  back. Not called with @p thread, and may be NULL then. */
	void (*wake)(void *ctx);
	/**
	 * Give guest memory back to the host: @p gpa and @p len are at edges of the
	 * memory's pages and inside writable memory. Return 0 or a negative errno value,
	 * which is counted. Called within vmm_virtio_balloon_run(). NULL:
	 * vmm_mem_discard(). One of your own is needed where discarding must not happen,
	 * because a device has the memory pinned.
	 */
	int (*discard)(void *ctx, uint64_t gpa, uint64_t len);
	/**
	 * Note that whole host pages are free for now (a hint), so that a migration may
	 * leave them out. Called within vmm_virtio_balloon_run(). NULL: they are
	 * discarded. A Linux driver under memory pressure may use a page again before the
	 * hint was seen: discard hints only of drivers that do not.
	 */
	void (*hint)(void *ctx, uint64_t gpa, uint64_t len);
	/** First parameter of all three. */
	void *ctx;
	/** The guest's memory; borrowed until vmm_virtio_balloon_set_mem() or the end. */
	const struct vmm_mem *mem;
	/** Feature bits to offer, of those above and in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
	/** Pages that the driver should give at first. */
	uint32_t target;
	/** Size of each queue, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 128. */
	uint32_t queue_max;
	/** Have a thread of the device run it: @p discard and @p hint are called there, and
	 *  must not call back. */
	bool thread;
};

/** Defaults: no way to be woken and no memory, which have to be set. */
#define VMM_VIRTIO_BALLOON_OPTS_INIT                                                  \
	{                                                                             \
		sizeof(struct vmm_virtio_balloon_opts), NULL, NULL, NULL, NULL, NULL, \
		    VMM_VIRTIO_BALLOON_F_DEFLATE_ON_OOM |                             \
			VMM_VIRTIO_BALLOON_F_STATS_VQ | VMM_VIRTIO_F_INDIRECT_DESC |  \
			VMM_VIRTIO_F_EVENT_IDX,                                       \
		    0, 0, false                                                       \
	}

/** What the guest told last about its memory: claims, not facts. */
struct vmm_virtio_balloon_guest {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** How often it told. */
	uint64_t updates;
	/** Which of the values are there, bit 0 for tag 0. */
	uint64_t valid;
	/** The values by tag. */
	uint64_t values[VMM_VIRTIO_BALLOON_S_NUM];
};

/** What a balloon did since it was made. */
struct vmm_virtio_balloon_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Pages in the balloon now, as the device knows it. */
	uint64_t pages;
	/** Pages that went in and came out. @{ */
	uint64_t inflated;
	uint64_t deflated;
	/** @} */
	/** Pages put in that were in, or taken out that were not. */
	uint64_t repeated;
	/** Page numbers, and buffers of hints and reports, that are not writable memory.
	 */
	uint64_t bad_pages;
	/** Requests refused as a whole. */
	uint64_t bad_requests;
	/** Bytes given back to the host, for inflation, hints and reports. */
	uint64_t discarded_bytes;
	/** Attempts that the host refused. */
	uint64_t discard_errors;
	/** Bytes of whole pages in reports. */
	uint64_t reported_bytes;
	/** Bytes of whole pages in hints that were heeded. */
	uint64_t hinted_bytes;
	/** Hints for a command that is not, or no longer, given. */
	uint64_t stale_hints;
	/** Pages that the driver says are in the balloon. */
	uint32_t actual;
	/** VMM_VIRTIO_BALLOON_HINT_* */
	uint32_t hinting;
};

/** How far free page hinting is. @{ */
/** No command is given. */
#define VMM_VIRTIO_BALLOON_HINT_IDLE 0u
/** Asked for, the driver did not answer yet. */
#define VMM_VIRTIO_BALLOON_HINT_ASKED 1u
/** The driver is hinting. */
#define VMM_VIRTIO_BALLOON_HINT_RUNNING 2u
/** The driver has told all; it keeps the pages until vmm_virtio_balloon_end_hints(). */
#define VMM_VIRTIO_BALLOON_HINT_COMPLETE 3u
/** @} */

/**
 * Make a balloon. It keeps one bit for each 4 KiB of guest memory.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_balloon_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  neither @p wake nor @p thread, no memory, or a number out of range
 * @retval -E2BIG   an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; codes of eventfd(), pthread_create() and the like as
 *                  they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_balloon_new(
    const struct vmm_virtio_balloon_opts *opts, struct vmm_virtio_balloon **out,
    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_balloon_free(struct vmm_virtio_balloon *balloon);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_balloon_get_device(
    struct vmm_virtio_balloon *balloon);

/** Return the eventfd that notifies about any queue, for ioeventfds: the device's, as long
 *  as it. -1 without `opts.thread`. */
VMM_API int vmm_virtio_balloon_get_doorbell(const struct vmm_virtio_balloon *balloon);

/**
 * Serve what is in the queues, at most as many chains of each as it is long: if the
 * driver is faster than that, the device wakes itself. Does nothing on a device that its
 * driver did not start.
 */
VMM_API void vmm_virtio_balloon_run(struct vmm_virtio_balloon *balloon);

/**
 * Say how many pages the driver should have in the balloon, and interrupt it. Whether it
 * follows is its own affair: see `actual` and `pages` in the statistics.
 *
 * @param balloon    the device
 * @param transport  that carries it
 * @param pages      of 4 KiB
 * @retval 0         done
 * @retval -EINVAL   more than the guest has, or the transport carries another device
 */
VMM_API VMM_MUST_USE int vmm_virtio_balloon_set_target(
    struct vmm_virtio_balloon *balloon, struct vmm_virtio_transport *transport,
    uint32_t pages);

/**
 * Ask the guest for new statistics. The answer comes by vmm_virtio_balloon_run().
 *
 * @retval 0           asked
 * @retval -EAGAIN     the answer to the last time is not there yet, or the device is
 *                     paused
 * @retval -EOPNOTSUPP the driver does not do statistics, or did not start
 */
VMM_API VMM_MUST_USE int vmm_virtio_balloon_poll_stats(
    struct vmm_virtio_balloon *balloon);

/** Tell what the guest said last; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_balloon_get_guest(struct vmm_virtio_balloon *balloon,
					  struct vmm_virtio_balloon_guest *out);

/** Tell the counters; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_balloon_get_stats(struct vmm_virtio_balloon *balloon,
					  struct vmm_virtio_balloon_stats *out);

/**
 * Ask the driver to tell its free pages.
 *
 * @retval 0           asked; a run that was under way is superseded
 * @retval -EOPNOTSUPP the driver does not do that, or did not start
 */
VMM_API VMM_MUST_USE int vmm_virtio_balloon_start_hints(
    struct vmm_virtio_balloon *balloon);

/** End a run of hints: the driver may use the pages again, later hints are stale. */
VMM_API void vmm_virtio_balloon_end_hints(struct vmm_virtio_balloon *balloon);

/**
 * Go over to a new memory table. What is in the balloon stays in it where the new table
 * has the page.
 *
 * @param balloon   the device
 * @param mem       the new table, borrowed
 * @retval 0        done
 * @retval -ENOMEM  out of memory, nothing changed
 */
VMM_API VMM_MUST_USE int vmm_virtio_balloon_set_mem(struct vmm_virtio_balloon *balloon,
						    const struct vmm_mem *mem);

/**
 * Tell which pages are in the balloon: bit 0 of word 0 is the first page of the first
 * writable region of the table; each such region starts a new word.
 *
 * @param balloon     the device
 * @param[out] words  room for @p max words; may be NULL if @p max is 0
 * @param max         nothing is written if this is less than the result
 * @return how many words there are
 */
VMM_API size_t vmm_virtio_balloon_get_pages(struct vmm_virtio_balloon *balloon,
					    uint64_t *words, size_t max);

VMM_DEFINE_CLEANUP(vmm_virtio_balloon, vmm_virtio_balloon_free)

VMM_END_DECLS

#endif

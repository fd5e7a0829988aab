/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_MEM_H
#define VMM_VIRTIO_MEM_H

/**
 * @file vmm/virtio-mem.h
 * Memory that a guest gets and gives back in blocks while it runs (virtio 1.2, 5.15): the
 * VMM says how much there should be, the driver plugs and unplugs blocks of one region
 * until that is so. Pointers must not be NULL unless the text says so.
 *
 * The whole region is a region of the VMM's memory table from the start; what is not
 * plugged takes no host memory, because it is discarded.
 *
 * One queue. Requests and what is done with them: readable, 24 bytes (type, address, number
 * of blocks); writable, a response of 10 bytes. One that is cut short is given back with
 * length 0.
 * - PLUG: ERROR if the range is not whole blocks of the region or one is plugged already,
 *   NACK if it would be more than the VMM asked for, BUSY if the back end fails.
 * - UNPLUG: ERROR as above or if a block is not plugged, BUSY if the back end fails.
 * - UNPLUG_ALL: BUSY if the back end fails; what it did by then stays done.
 * - STATE: ERROR for a bad range, else plugged, unplugged or mixed.
 * - Any other type: ERROR.
 *
 * Configuration space: as in the specification, read-only. All of the region is usable.
 *
 * The blocks survive a reset of the device; on a reset of the machine the VMM calls
 * vmm_virtio_mem_unplug_all().
 *
 * The device has no thread: a notification calls @p wake, and the VMM then calls
 * vmm_virtio_mem_run() on a thread of its choice. All calls are for any thread.
 *
 * Its transport pauses and saves it (vmm/virtio.h): what is asked for and which blocks are
 * plugged, for the same region. A restore does not call the back end: the memory comes by
 * itself.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Most blocks of a region. */
#define VMM_VIRTIO_MEM_BLOCKS_MAX (UINT64_C(1) << 20)

/** Features to offer (virtio 1.2, 5.15.3). @{ */
#define VMM_VIRTIO_MEM_F_ACPI_PXM (UINT64_C(1) << 0)
/** The driver keeps off what is not plugged. One that does not is not let in. */
#define VMM_VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE (UINT64_C(1) << 1)
/** @} */

/** A device for memory hot-plug. */
struct vmm_virtio_mem;

/** What makes blocks come and go. All within vmm_virtio_mem_run() or
 *  vmm_virtio_mem_unplug_all(), with a lock held: must not call back. */
struct vmm_virtio_mem_backend {
	/** Size of this structure. */
	size_t size;
	/** Make blocks usable; 0, or a negative errno value if that cannot be now. NULL:
	 *  they are. */
	int (*plug)(void *ctx, uint64_t gpa, uint64_t len);
	/** Take blocks away, and their content. NULL: vmm_mem_discard(). */
	int (*unplug)(void *ctx, uint64_t gpa, uint64_t len);
};

/** How a device is to be. */
struct vmm_virtio_mem_opts {
	/** Size of this structure. */
	size_t size;
	/** Have vmm_virtio_mem_run() called soon, on any thread. Called on the thread that
	 *  made a register access or is in vmm_virtio_mem_run(); must not call back. */
	void (*wake)(void *ctx);
	/** First parameter of @p wake and of the back end's callbacks. */
	void *ctx;
	/** Back end; copied. NULL: all defaults. */
	const struct vmm_virtio_mem_backend *backend;
	/** The guest's memory, for vmm_mem_discard(); borrowed until
	 *  vmm_virtio_mem_set_mem() or the end. NULL if the back end can unplug. */
	const struct vmm_mem *mem;
	/** Size of a block, a power of two from 4096 on; not less than the pages of the
	 *  memory. 0: 2 MiB. */
	uint64_t block_size;
	/** The region: address and length, multiples of the block size. @{ */
	uint64_t gpa;
	uint64_t len;
	/** @} */
	/** Bytes that should be plugged at first; a multiple of the block size. */
	uint64_t requested;
	/** NUMA node, told with ACPI_PXM. */
	uint32_t node;
	/** Size of the queue, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 128. */
	uint32_t queue_max;
	/** Feature bits to offer, of those above and in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
};

/** Defaults: no way to be woken, no memory and no region, which have to be set. */
#define VMM_VIRTIO_MEM_OPTS_INIT                                                        \
	{                                                                               \
		sizeof(struct vmm_virtio_mem_opts), NULL, NULL, NULL, NULL, 0, 0, 0, 0, \
		    0, 0,                                                               \
		    VMM_VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE |                           \
			VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX             \
	}

/** What a device did since it was made. */
struct vmm_virtio_mem_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Bytes plugged now, and asked for. @{ */
	uint64_t plugged;
	uint64_t requested;
	/** @} */
	/** Requests that were done, by type. @{ */
	uint64_t plugs;
	uint64_t unplugs;
	uint64_t unplug_alls;
	uint64_t queries;
	/** @} */
	/** Requests refused: NACK, BUSY and ERROR. @{ */
	uint64_t nacks;
	uint64_t busies;
	uint64_t errors;
	/** @} */
	/** Requests cut short. */
	uint64_t bad_requests;
};

/**
 * Make a device with nothing plugged.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_mem_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  no @p wake, nothing to unplug with, or a value out of range
 * @retval -E2BIG   more than #VMM_VIRTIO_MEM_BLOCKS_MAX blocks, or an unknown tail
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_mem_new(const struct vmm_virtio_mem_opts *opts,
					    struct vmm_virtio_mem **out,
					    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_mem_free(struct vmm_virtio_mem *mem);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_mem_get_device(
    struct vmm_virtio_mem *mem);

/** Serve the queue, at most as many requests as it is long: if the driver is faster than
 *  that, the device wakes itself. Does nothing on a device that its driver did not
 *  start. */
VMM_API void vmm_virtio_mem_run(struct vmm_virtio_mem *mem);

/**
 * Say how much memory there should be, and interrupt the driver. Whether it follows, and
 * how soon, is its own affair: see `plugged` in the statistics.
 *
 * @param mem        the device
 * @param transport  that carries it
 * @param bytes      a multiple of the block size, at most the region
 * @retval 0         done
 * @retval -EINVAL   it is not
 */
VMM_API VMM_MUST_USE int vmm_virtio_mem_set_requested(
    struct vmm_virtio_mem *mem, struct vmm_virtio_transport *transport, uint64_t bytes);

/**
 * Take all blocks away, for a reset of the machine: the device is not in use meanwhile.
 *
 * @param mem        the device
 * @param transport  that carries it
 * @retval 0         done
 * @retval others    of the back end; the blocks before that are gone
 */
VMM_API VMM_MUST_USE int vmm_virtio_mem_unplug_all(
    struct vmm_virtio_mem *mem, struct vmm_virtio_transport *transport);

/** Go over to a new memory table, borrowed, which has the region, too. */
VMM_API void vmm_virtio_mem_set_mem(struct vmm_virtio_mem *mem,
				    const struct vmm_mem *table);

/** Tell the counters; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_mem_get_stats(struct vmm_virtio_mem *mem,
				      struct vmm_virtio_mem_stats *out);

/**
 * Tell which blocks are plugged: bit 0 of word 0 is the first.
 *
 * @param mem         the device
 * @param[out] words  room for @p max words; may be NULL if @p max is 0
 * @param max         nothing is written if this is less than the result
 * @return how many words there are
 */
VMM_API size_t vmm_virtio_mem_get_blocks(struct vmm_virtio_mem *mem, uint64_t *words,
					 size_t max);

VMM_DEFINE_CLEANUP(vmm_virtio_mem, vmm_virtio_mem_free)

VMM_END_DECLS

#endif

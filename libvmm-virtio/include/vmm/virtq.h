/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTQ_H
#define VMM_VIRTQ_H

/**
 * @file vmm/virtq.h
 * The device side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8), behind one
 * interface. Everything in the rings is taken as hostile: each field is read once,
 * and nothing that a driver writes makes a call read or write memory outside the
 * rings and the buffers that the driver named, loop without a bound, or crash.
 *
 * One queue belongs to one thread at a time; different queues are independent. No
 * call allocates but vmm_virtq_new(), vmm_virtq_enable(), vmm_virtq_restore() and
 * vmm_virtq_set_mem(). Pointers must not be NULL unless the function says so; `gpa`
 * is a guest physical address.
 *
 * The life of a queue: new - enable - (pop - add used - notify)* - reset - enable ...
 * A queue that finds its ring unusable is *broken* until vmm_virtq_reset(): each call
 * on it then returns -ENOTRECOVERABLE, and nothing in it spins.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/** Largest queue size (virtio 1.2, 2.7 and 2.8). */
#define VMM_VIRTQ_SIZE_MAX 32768u

/** Feature bits that change how a queue works (virtio 1.2, 6). @{ */
#define VMM_VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VMM_VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VMM_VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)
#define VMM_VIRTIO_F_ACCESS_PLATFORM (UINT64_C(1) << 33)
#define VMM_VIRTIO_F_RING_PACKED (UINT64_C(1) << 34)
#define VMM_VIRTIO_F_IN_ORDER (UINT64_C(1) << 35)
#define VMM_VIRTIO_F_ORDER_PLATFORM (UINT64_C(1) << 36)
#define VMM_VIRTIO_F_NOTIFICATION_DATA (UINT64_C(1) << 38)
#define VMM_VIRTIO_F_RING_RESET (UINT64_C(1) << 40)
/** @} */

/** A virtqueue. */
struct vmm_virtq;

/** How a driver set a queue up. */
struct vmm_virtq_config {
	/** Size of this structure. */
	size_t size;
	/** Negotiated features; bits that do not concern queues are ignored. */
	uint64_t features;
	/** Descriptor table (split) or descriptor ring (packed). */
	uint64_t desc;
	/** Available ring, or driver event suppression. */
	uint64_t driver;
	/** Used ring, or device event suppression. */
	uint64_t device;
	/** Queue size in descriptors. */
	uint32_t num;
	/** Zero. */
	uint32_t reserved_;
};

/** Defaults for a queue: none of it set. */
#define VMM_VIRTQ_CONFIG_INIT                                     \
	{                                                         \
		sizeof(struct vmm_virtq_config), 0, 0, 0, 0, 0, 0 \
	}

/**
 * One descriptor chain. The caller sets @p iov and @p iov_max, vmm_virtq_pop() the
 * rest. The iovecs point into the memory table of the queue and live as long as it.
 */
struct vmm_virtq_chain {
	/** Names the chain towards vmm_virtq_add_used(). Unique until the chain was used;
	 *  one from before a reset is recognised as such. */
	uint64_t token;
	/** Sum of the readable buffers, at most 2^32 - 1 together with the writable. */
	uint64_t readable_len;
	/** Sum of the writable buffers. */
	uint64_t writable_len;
	/** Room for iovecs: the readable ones, then the writable ones. */
	struct iovec *iov;
	/** Number of entries in @p iov. A chain needs one for each descriptor that is not
	 *  empty, plus one for each border between memory regions inside a buffer. */
	uint32_t iov_max;
	/** Iovecs of buffers that the device reads. */
	uint32_t readable_n;
	/** Iovecs of buffers that the device writes; they follow the readable ones. */
	uint32_t writable_n;
	/** Descriptor index of the chain's head (split) or its buffer id (packed). */
	uint16_t head;
	/** Zero. */
	uint16_t reserved_;
};

/** A chain that takes its iovecs from array @p array. */
#define VMM_VIRTQ_CHAIN_INIT(array)                                                     \
	{                                                                               \
		0, 0, 0, (array), (uint32_t)(sizeof(array) / sizeof((array)[0])), 0, 0, \
		    0, 0                                                                \
	}

/** One used buffer for vmm_virtq_add_used_n(). */
struct vmm_virtq_used {
	/** The chain's token. */
	uint64_t token;
	/** Bytes written into the chain's writable buffers, from their start. */
	uint32_t len;
	/** Zero. */
	uint32_t reserved_;
};

/**
 * What went through a queue since it was made: a reset of the device leaves it as it is, a
 * saved state does not have it. But for the last two, numbers only grow.
 */
struct vmm_virtq_counters {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Chains that the device gave back: its requests, or a network's buffers. */
	uint64_t used;
	/** Times that vmm_virtq_needs_notification() said yes, so that there was an
	 *  interrupt. */
	uint64_t interrupts;
	/** Times that there were used buffers, and the driver wanted no interrupt. */
	uint64_t suppressed;
	/** Malformed chains that the queue itself gave back with length 0. */
	uint64_t malformed;
	/** Times the ring became unusable. */
	uint64_t broken;
	/** Chains that the device has now. A reset takes them back uncounted. */
	uint32_t inflight;
	/** Size that the driver chose, 0 while not enabled. */
	uint32_t num;
};

/** Position of a queue, for a snapshot; plain data without pointers. */
struct vmm_virtq_state {
	/** Size of this structure. */
	size_t size;
	/** The configuration that it was enabled with. */
	struct vmm_virtq_config config;
	/** Split: free-running count of available entries taken. Packed: next slot. */
	uint16_t next_avail;
	/** Split: free-running count of used entries written. Packed: next slot. */
	uint16_t next_used;
	/** Packed: wrap counters, 0 or 1. Split: 0. @{ */
	uint8_t avail_wrap;
	uint8_t used_wrap;
	/** @} */
	/** 1 if the ring was found unusable. */
	uint8_t broken;
	/** 1 if the queue was enabled; else all of the above is 0. */
	uint8_t enabled;
	/** Used entries since the last vmm_virtq_needs_notification(). */
	uint32_t added;
	/** Number of chains popped and not given back; see vmm_virtq_get_inflight(). 0
	 *  if it is broken. */
	uint32_t inflight;
};

/** An empty state. */
#define VMM_VIRTQ_STATE_INIT                                                             \
	{                                                                                \
		sizeof(struct vmm_virtq_state), VMM_VIRTQ_CONFIG_INIT, 0, 0, 0, 0, 0, 0, \
		    0, 0                                                                 \
	}

/**
 * Make a queue, not enabled.
 *
 * @param max       largest size that a driver may choose, 1 to #VMM_VIRTQ_SIZE_MAX; a
 *                  split ring needs a power of two when it is enabled
 * @param[out] out  the queue, to be released with vmm_virtq_free()
 * @retval 0        done
 * @retval -EINVAL  @p max is out of range
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtq_new(uint32_t max, struct vmm_virtq **out);

/** Release a queue. NULL is allowed. */
VMM_API void vmm_virtq_free(struct vmm_virtq *q);

/**
 * Say whether a queue could be enabled so; changes nothing.
 *
 * Checked: size 1 to max, a power of two for a split ring; alignment of the three
 * parts (split 16, 2, 4; packed 16, 4, 4); each part lies in one memory region, the
 * parts that the device writes in a writable one; no two parts overlap.
 *
 * @param q         the queue
 * @param mem       the guest's memory
 * @param config    what the driver asks for
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        it could
 * @retval -EBADMSG size, alignment or overlap is wrong
 * @retval -EFAULT  a part is not backed by one region
 * @retval -EROFS   a part that the device writes is in read-only memory
 * @retval -E2BIG   unknown tail of @p config
 * @retval -EINVAL  @p config says no size, or a reserved field is not 0
 */
VMM_API VMM_MUST_USE int vmm_virtq_check(const struct vmm_virtq *q,
					 const struct vmm_mem *mem,
					 const struct vmm_virtq_config *config,
					 struct vmm_error *err);

/**
 * Enable a queue at its initial position. The ring addresses are translated here, and
 * again only by vmm_virtq_set_mem(); a later change of the caller's copy of @p config
 * has no effect.
 *
 * @param q         the queue, not enabled
 * @param mem       the guest's memory; borrowed until reset or vmm_virtq_set_mem()
 * @param config    copied
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EBUSY   it is enabled already
 * @retval -ENOMEM  out of memory; else as vmm_virtq_check()
 */
VMM_API VMM_MUST_USE int vmm_virtq_enable(struct vmm_virtq *q, const struct vmm_mem *mem,
					  const struct vmm_virtq_config *config,
					  struct vmm_error *err);

/** Disable a queue and forget its chains: their tokens are stale from now on. */
VMM_API void vmm_virtq_reset(struct vmm_virtq *q);

/**
 * Go over to a new memory table. Chains in flight keep pointing into the old one, which
 * must outlive them. On failure the queue is broken: its ring is gone.
 *
 * @retval 0                 done; also on a queue that is not enabled
 * @retval -EFAULT           the ring is not in the new table; also -EROFS
 * @retval -ENOMEM           out of memory; nothing changed, and the queue is not broken
 * @retval -ENOTRECOVERABLE  the queue was broken before
 */
VMM_API VMM_MUST_USE int vmm_virtq_set_mem(struct vmm_virtq *q,
					   const struct vmm_mem *mem);

/**
 * Take the next chain: walked, checked and translated at once.
 *
 * A malformed chain is given back to the driver by the queue itself, with length 0;
 * the caller gets an error, must ask vmm_virtq_needs_notification() as after any used
 * buffer, and may pop on. What makes a chain malformed: a loop, more descriptors than
 * the queue has, a `next` outside the table, readable behind writable, more than
 * 2^32 - 1 bytes, a buffer that is not memory or wraps, a writable one in read-only
 * memory, an indirect table that is empty, nested, chained, of an odd length or not
 * negotiated, more iovecs than @p chain has.
 *
 * A device that drains a queue should stop after as many chains as the queue has
 * descriptors and come back later: a driver can refill for ever.
 *
 * @param q              the queue
 * @param[in,out] chain  @p iov and @p iov_max as input. On failure the iovecs have
 *                       undefined content, all else is untouched
 * @retval 0                 a chain
 * @retval -EAGAIN           nothing there; come back after the next notification
 * @retval -EBADMSG          malformed chain, given back
 * @retval -EFAULT           a buffer outside memory, chain given back
 * @retval -EROFS            a writable buffer in read-only memory, chain given back
 * @retval -E2BIG            too many iovecs, chain given back
 * @retval -ENOTRECOVERABLE  the ring is broken: it announces more than fits, names a
 *                           descriptor that does not exist or one that is in flight
 * @retval -ENOTCONN         the queue is not enabled
 */
VMM_API VMM_MUST_USE int vmm_virtq_pop(struct vmm_virtq *q,
				       struct vmm_virtq_chain *chain);

/**
 * Put the chain that was popped last back, so that the next pop finds it again. Can be
 * repeated, newest chain first.
 *
 * @retval 0                 done
 * @retval -EINVAL           not the newest chain
 * @retval -ENOENT           no such chain is in flight
 * @retval -ESTALE           the chain is from before a reset
 * @retval -ENOTRECOVERABLE  the queue is broken
 */
VMM_API VMM_MUST_USE int vmm_virtq_undo_pop(struct vmm_virtq *q, uint64_t token);

/**
 * Give a chain back to the driver: visible to it when the call returns. With IN_ORDER,
 * chains that were finished early are held back until their turn.
 *
 * @param q      the queue
 * @param token  of the chain
 * @param len    bytes written into the writable buffers, from their start
 * @retval 0                 done
 * @retval -EINVAL           @p len is more than the chain has room for
 * @retval -ENOENT           no such chain is in flight
 * @retval -ESTALE           the chain is from before a reset
 * @retval -ENOTRECOVERABLE  the queue is broken
 * @retval -ENOTCONN         the queue is not enabled
 */
VMM_API VMM_MUST_USE int vmm_virtq_add_used(struct vmm_virtq *q, uint64_t token,
					    uint32_t len);

/**
 * Give several chains back, which the driver sees all at once.
 *
 * @param q      the queue
 * @param elems  @p n used buffers
 * @param n      how many; 0 is allowed
 * @return as vmm_virtq_add_used(); on failure none was given back. A chain named twice
 *         is -ENOENT.
 */
VMM_API VMM_MUST_USE int vmm_virtq_add_used_n(struct vmm_virtq *q,
					      const struct vmm_virtq_used *elems,
					      size_t n);

/**
 * Ask the driver to notify about new chains, and look once more.
 *
 * @return true if chains are there already: pop again instead of waiting. A queue that
 *         is broken or not enabled has none.
 */
VMM_API bool vmm_virtq_enable_notification(struct vmm_virtq *q);

/** Say whether chains are there, for who polls: the driver is told nothing. A queue that
 *  is broken or not enabled has none. */
VMM_API VMM_MUST_USE bool vmm_virtq_has_chain(const struct vmm_virtq *q);

/** Tell the driver that it need not notify. A hint: notifications may still come. */
VMM_API void vmm_virtq_disable_notification(struct vmm_virtq *q);

/**
 * Say whether the driver wants an interrupt for the buffers that were given back since
 * the last call, which this call forgets (virtio 1.2, 2.7.7, 2.7.10, 2.8.10).
 */
VMM_API VMM_MUST_USE bool vmm_virtq_needs_notification(struct vmm_virtq *q);

/** Declare a queue broken, for a device that met a fault it cannot report otherwise. */
VMM_API void vmm_virtq_break(struct vmm_virtq *q);

/** Say whether a queue is enabled. */
VMM_API bool vmm_virtq_is_enabled(const struct vmm_virtq *q);

/** Say whether a queue is broken. */
VMM_API bool vmm_virtq_is_broken(const struct vmm_virtq *q);

/** Return the largest size that a driver may choose. */
VMM_API uint32_t vmm_virtq_get_max(const struct vmm_virtq *q);

/** Return the size that the driver chose, 0 while not enabled. */
VMM_API uint32_t vmm_virtq_get_num(const struct vmm_virtq *q);

/**
 * Tell the counters. Any thread, also while another one works on the queue, which it does
 * not slow down: each number is one that was true at some time during the call.
 *
 * @param q             the queue
 * @param[in,out] out   @p size as input; at most that much is written
 */
VMM_API void vmm_virtq_get_counters(const struct vmm_virtq *q,
				    struct vmm_virtq_counters *out);

/**
 * Tell the position of a queue, for a snapshot.
 *
 * @param q         the queue
 * @param[out] out  the state
 * @retval 0        done
 * @retval -EBUSY   chains are in flight on a packed ring, whose descriptors may be
 *                  overwritten already, or held back by IN_ORDER: let them finish first
 */
VMM_API VMM_MUST_USE int vmm_virtq_get_state(const struct vmm_virtq *q,
					     struct vmm_virtq_state *out);

/**
 * List the heads of the chains in flight, oldest first; a broken queue has none.
 *
 * @param q           the queue
 * @param[out] heads  room for @p max entries; may be NULL if @p max is 0
 * @param max         nothing is written if this is less than the result
 * @return how many there are
 */
VMM_API size_t vmm_virtq_get_inflight(const struct vmm_virtq *q, uint16_t *heads,
				      size_t max);

/**
 * Bring a queue back to a saved position. The state is checked as hostile input. Chains
 * that were in flight are handed out again by vmm_virtq_pop(), in the same order, before
 * new ones.
 *
 * @param q         the queue, not enabled
 * @param mem       the guest's memory, restored before
 * @param state     from vmm_virtq_get_state()
 * @param heads     `state->inflight` heads from vmm_virtq_get_inflight(); else NULL
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EBADMSG the state contradicts itself
 * @retval -EBUSY   the queue is enabled
 * @retval -ENOMEM  out of memory; else as vmm_virtq_check()
 */
VMM_API VMM_MUST_USE int vmm_virtq_restore(struct vmm_virtq *q, const struct vmm_mem *mem,
					   const struct vmm_virtq_state *state,
					   const uint16_t *heads, struct vmm_error *err);

/**
 * A position in the readable or the writable half of a chain; plain data, copy it to
 * remember a place. Buffer borders are invisible to the calls below.
 */
struct vmm_virtq_cursor {
	/** Current iovec. */
	const struct iovec *iov;
	/** Bytes of it that are done. */
	size_t offset;
	/** Bytes from here to the end. */
	uint64_t left;
	/** Bytes passed since the start; for a writer, what vmm_virtq_add_used() takes.
	 */
	uint64_t done;
};

/** Start at the first readable byte of @p chain. */
VMM_API struct vmm_virtq_cursor vmm_virtq_reader(const struct vmm_virtq_chain *chain);

/** Start at the first writable byte of @p chain. */
VMM_API struct vmm_virtq_cursor vmm_virtq_writer(const struct vmm_virtq_chain *chain);

/**
 * Copy exactly @p len bytes out of a reader.
 *
 * @retval 0        done
 * @retval -ENODATA fewer are left; nothing was copied or passed
 */
VMM_API VMM_MUST_USE int vmm_virtq_read(struct vmm_virtq_cursor *reader, void *buf,
					size_t len);

/**
 * Copy exactly @p len bytes into a writer.
 *
 * @retval 0        done
 * @retval -ENOSPC  less room is left; nothing was copied or passed
 */
VMM_API VMM_MUST_USE int vmm_virtq_write(struct vmm_virtq_cursor *writer, const void *buf,
					 size_t len);

/** Copy up to @p len bytes out of a reader; returns how many, 0 at the end. */
VMM_API size_t vmm_virtq_read_some(struct vmm_virtq_cursor *reader, void *buf,
				   size_t len);

/** Copy up to @p len bytes into a writer; returns how many, 0 at the end. */
VMM_API size_t vmm_virtq_write_some(struct vmm_virtq_cursor *writer, const void *buf,
				    size_t len);

/** Set up to @p len bytes of a writer to @p value; returns how many. */
VMM_API uint64_t vmm_virtq_fill(struct vmm_virtq_cursor *writer, uint8_t value,
				uint64_t len);

/** Pass over up to @p len bytes; returns how many. */
VMM_API uint64_t vmm_virtq_skip(struct vmm_virtq_cursor *cursor, uint64_t len);

/**
 * Cut a cursor in two: @p cursor keeps the first @p at bytes.
 *
 * @param[in,out] cursor  the first part
 * @param at              0 to the bytes left
 * @param[out] out_rest   the second part, with nothing passed yet
 * @retval 0              done
 * @retval -EINVAL        @p at is behind the end
 */
VMM_API VMM_MUST_USE int vmm_virtq_split(struct vmm_virtq_cursor *cursor, uint64_t at,
					 struct vmm_virtq_cursor *out_rest);

/**
 * Export the next @p len bytes as iovecs, for preadv(), io_uring and the like, without
 * passing them.
 *
 * @param cursor      where to start
 * @param len         bytes, at most those left
 * @param[out] iov    room for @p iov_max entries
 * @param iov_max     entries in @p iov
 * @param[out] out_n  entries used
 * @retval 0          done
 * @retval -EINVAL    @p len is behind the end
 * @retval -E2BIG     it needs more than @p iov_max entries
 */
VMM_API VMM_MUST_USE int vmm_virtq_get_iov(const struct vmm_virtq_cursor *cursor,
					   uint64_t len, struct iovec *iov,
					   size_t iov_max, size_t *out_n);

VMM_DEFINE_CLEANUP(vmm_virtq, vmm_virtq_free)

VMM_END_DECLS

#endif

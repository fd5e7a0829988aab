/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_TESTING_H
#define VMM_VIRTIO_TESTING_H

/**
 * @file vmm/virtio-testing.h
 * A virtio driver in the place of a guest, for tests of devices: it owns guest memory and
 * plays the driver side of virtqueues, split or packed, direct or indirect, with event
 * indices, IN_ORDER and notification data, and it can misbehave in many ways. It is a
 * library of its own, libvmm-virtio-testing, and knows devices only by memory and
 * registers, so that any implementation can be tested with it.
 *
 * A well-behaved driver is vmm_virtio_mock_add(), vmm_virtio_mock_get_used() and
 * vmm_virtio_mock_should_kick(); a hostile one is vmm_virtio_mock_attack(), or writes
 * what it likes to vmm_virtio_mock_at().
 *
 * Guest memory has two regions that touch, a hole, and read-only memory (the constants
 * below). One thread at a time uses a queue; the device may be on another. Little-endian
 * hosts only. Pointers must not be NULL unless the text says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>
#include <vmm/virtq.h>

VMM_BEGIN_DECLS

/** RAM from address 0 on; what is behind it up to the read-only memory is a hole. */
#define VMM_VIRTIO_MOCK_RAM_LEN UINT64_C(0x200000)
/** Where the first region of RAM ends and the second begins. */
#define VMM_VIRTIO_MOCK_BORDER UINT64_C(0x100000)
/** Read-only memory. @{ */
#define VMM_VIRTIO_MOCK_ROM UINT64_C(0x1000000)
#define VMM_VIRTIO_MOCK_ROM_LEN UINT64_C(0x10000)
/** @} */
/** RAM from here on is not used by the rings: the place for buffers. */
#define VMM_VIRTIO_MOCK_BUFFERS UINT64_C(0x80000)

/** Most queues that share one memory, and the largest size of each of several. @{ */
#define VMM_VIRTIO_MOCK_QUEUES 4u
#define VMM_VIRTIO_MOCK_NUM_SHARED 256u
/** @} */
/** Largest size of a queue that has its memory for itself. */
#define VMM_VIRTIO_MOCK_NUM_MAX 1024u
/** Most buffers of an indirect chain. */
#define VMM_VIRTIO_MOCK_TABLE_MAX 16u

/** A driver's side of a queue. */
struct vmm_virtio_mock;

/** A buffer to offer. */
struct vmm_virtio_mock_seg {
	/** Guest physical address, anything. */
	uint64_t gpa;
	/** Length in bytes. */
	uint32_t len;
	/** For the device to write. */
	bool write;
};

/** What vmm_virtio_mock_attack() can do. */
enum vmm_virtio_mock_attack {
	/** Chains that a device must refuse and go on; @{ */
	VMM_VIRTIO_MOCK_HOLE,		/**< a buffer where no memory is */
	VMM_VIRTIO_MOCK_WRAP,		/**< a buffer over the end of all addresses */
	VMM_VIRTIO_MOCK_WRITE_ROM,	/**< a read-only buffer to be written */
	VMM_VIRTIO_MOCK_READ_LAST,	/**< a readable buffer behind a writable one */
	VMM_VIRTIO_MOCK_TOO_MANY_BYTES, /**< more than 2^32 - 1 bytes in all */
	VMM_VIRTIO_MOCK_TABLE_ODD,	/**< indirect table of half an entry too much */
	VMM_VIRTIO_MOCK_TABLE_EMPTY,	/**< indirect table without an entry */
	VMM_VIRTIO_MOCK_TABLE_HOLE,	/**< indirect table where no memory is */
	VMM_VIRTIO_MOCK_TABLE_LONG,	/**< indirect table longer than the queue */
	VMM_VIRTIO_MOCK_TABLE_CHAINED,	/**< indirect descriptor that is not the last */
	VMM_VIRTIO_MOCK_LOOP,		/**< split: a chain that comes back to its head */
	VMM_VIRTIO_MOCK_NEXT,		/**< split: a next that does not exist */
	VMM_VIRTIO_MOCK_TABLE_NESTED,	/**< split: a table within a table */
	VMM_VIRTIO_MOCK_TABLE_LOOP,	/**< split: a table that comes back */
	VMM_VIRTIO_MOCK_TABLE_NEXT,	/**< split: a next outside the table */
	/** @} */
	/** Rings that cannot be used any more; @{ */
	VMM_VIRTIO_MOCK_HEAD,	      /**< a head or id that does not exist */
	VMM_VIRTIO_MOCK_HEAD_TWICE,   /**< a head or id that the device has already */
	VMM_VIRTIO_MOCK_INDEX_AHEAD,  /**< split: an index that jumps */
	VMM_VIRTIO_MOCK_INDEX_BACK,   /**< split: an index that goes back */
	VMM_VIRTIO_MOCK_ENDLESS,      /**< packed: a chain as long as the ring and on */
	VMM_VIRTIO_MOCK_HALF_A_CHAIN, /**< packed: the rest of a chain is missing */
	/** @} */
	VMM_VIRTIO_MOCK_ATTACKS /**< how many there are */
};

/** A device's registers, for vmm_virtio_mock_start(). */
struct vmm_virtio_mock_bus {
	/** Read @p len bytes from @p offset of the virtio-mmio window. */
	void (*read)(void *ctx, uint64_t offset, void *data, size_t len);
	/** Write them. */
	void (*write)(void *ctx, uint64_t offset, const void *data, size_t len);
	/** First parameter of both. */
	void *ctx;
};

/**
 * Make guest memory and a queue in it, empty and with all descriptors free.
 *
 * @param num       queue size, 1 to #VMM_VIRTIO_MOCK_NUM_MAX; a split ring needs a power
 *                  of two
 * @param features  as negotiated; VMM_VIRTIO_F_*
 * @param[out] out  the queue, to be released with vmm_virtio_mock_free()
 * @retval 0        done
 * @retval -EINVAL  @p num is out of range
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_new(uint32_t num, uint64_t features,
					     struct vmm_virtio_mock **out);

/**
 * Make another queue in the memory of @p first, which must outlive it.
 *
 * @param first     from vmm_virtio_mock_new(), of size #VMM_VIRTIO_MOCK_NUM_SHARED at most
 * @param index     1 to #VMM_VIRTIO_MOCK_QUEUES - 1, each once
 * @param num       queue size, 1 to #VMM_VIRTIO_MOCK_NUM_SHARED
 * @param[out] out  the queue; it has the features of @p first
 * @retval 0        done
 * @retval -EINVAL  @p index or a size is out of range
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_new_beside(struct vmm_virtio_mock *first,
						    uint32_t index, uint32_t num,
						    struct vmm_virtio_mock **out);

/** Release a queue, and the memory if it was made with it. NULL is allowed. */
VMM_API void vmm_virtio_mock_free(struct vmm_virtio_mock *mock);

/** Empty the queue, as after a reset, with another size or other features. Buffers keep
 *  their content. */
VMM_API void vmm_virtio_mock_reset(struct vmm_virtio_mock *mock, uint32_t num,
				   uint64_t features);

/** Return guest memory, borrowed. */
VMM_API const struct vmm_mem *vmm_virtio_mock_get_mem(const struct vmm_virtio_mock *mock);

/** Return how the queue is set up, for vmm_virtq_enable(); borrowed. */
VMM_API const struct vmm_virtq_config *vmm_virtio_mock_get_config(
    const struct vmm_virtio_mock *mock);

/** Return where guest address @p gpa is in this process; NULL if there is no memory. */
VMM_API void *vmm_virtio_mock_at(struct vmm_virtio_mock *mock, uint64_t gpa);

/**
 * Offer a chain.
 *
 * @param mock      the queue
 * @param segs      its buffers: those to be read, then those to be written
 * @param n         how many, 1 or more
 * @param indirect  put them in a table, at most #VMM_VIRTIO_MOCK_TABLE_MAX
 * @return its head (split) or buffer id (packed), or a negative errno value:
 * @retval -ENOSPC  no descriptors are free
 * @retval -EINVAL  @p n is out of range
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_add(struct vmm_virtio_mock *mock,
					     const struct vmm_virtio_mock_seg *segs,
					     uint32_t n, bool indirect);

/**
 * Take back the next used chain. With IN_ORDER, one used entry may stand for several
 * chains; the earlier ones then come with length 0.
 *
 * @param mock          the queue
 * @param[out] out_id   what vmm_virtio_mock_add() returned
 * @param[out] out_len  bytes written, as the device says
 * @retval 0            done
 * @retval -EAGAIN      there is none
 * @retval -EPROTO      the device used what it does not have, or out of order
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_get_used(struct vmm_virtio_mock *mock,
						  uint32_t *out_id, uint32_t *out_len);

/** Say whether the device wants to be notified of what was added since the last call. */
VMM_API VMM_MUST_USE bool vmm_virtio_mock_should_kick(struct vmm_virtio_mock *mock);

/** Return what to write to the notification register for queue @p index: with
 *  NOTIFICATION_DATA that says how far the driver is, too. */
VMM_API uint32_t vmm_virtio_mock_notification(const struct vmm_virtio_mock *mock,
					      uint32_t index);

/** Ask for no interrupt. A hint to the device; with EVENT_IDX on a split ring the event
 *  is parked where it is not reached soon. */
VMM_API void vmm_virtio_mock_disable_interrupt(struct vmm_virtio_mock *mock);

/**
 * Ask for an interrupt once @p ahead more descriptors' worth of chains (split: chains) is
 * used; without EVENT_IDX for each.
 *
 * @return true if used chains are there already
 */
VMM_API bool vmm_virtio_mock_enable_interrupt(struct vmm_virtio_mock *mock,
					      uint16_t ahead);

/**
 * Misbehave once. The ring must be empty; it may be unusable for this driver, too,
 * afterwards: see vmm_virtio_mock_attack_breaks().
 *
 * @param mock    the queue, of size 4 at least
 * @param attack  enum vmm_virtio_mock_attack
 * @retval 0            done; notify the device
 * @retval -EOPNOTSUPP  not possible with this ring or these features
 * @retval -EBUSY       a chain is out
 * @retval -EINVAL      no such attack, or the queue is too small
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_attack(struct vmm_virtio_mock *mock,
						uint32_t attack);

/**
 * Say what a device has to do about an attack: true, take the whole ring for broken and
 * ask for a reset; false, give the chain back, and the driver goes on with
 * vmm_virtio_mock_get_used().
 */
VMM_API VMM_MUST_USE bool vmm_virtio_mock_attack_breaks(uint32_t attack);

/** Return a name for an attack, for messages; static. */
VMM_API const char *vmm_virtio_mock_attack_name(uint32_t attack);

/**
 * Be the driver of a virtio-mmio device from reset to DRIVER_OK, with the features of
 * @p queues[0] and VERSION_1.
 *
 * @param bus         the device's registers
 * @param queues      @p n queues, each for the one of its index; NULL leaves one out
 * @param n           how many, 1 or more
 * @param more        further features to accept: device bits 0 to 63
 * @param[out] out_status  the device status at the end; may be NULL
 * @retval 0          done
 * @retval -EPROTO    the device is none, refuses the features or a queue, or did not come
 *                    up
 */
VMM_API VMM_MUST_USE int vmm_virtio_mock_start(const struct vmm_virtio_mock_bus *bus,
					       struct vmm_virtio_mock *const *queues,
					       uint32_t n, uint64_t more,
					       uint32_t *out_status);

VMM_DEFINE_CLEANUP(vmm_virtio_mock, vmm_virtio_mock_free)

VMM_END_DECLS

#endif

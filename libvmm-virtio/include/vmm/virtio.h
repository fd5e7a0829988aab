/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

/**
 * @file vmm/virtio.h
 * Between a virtio device and its driver: what a device is (struct vmm_virtio_device),
 * what it may ask of the transport that carries it (vmm_virtio_transport_*), and the
 * virtio-mmio transport, version 2 (virtio 1.2, 4.2). Queues are in vmm/virtq.h.
 *
 * The transport keeps the device status, the features, the configuration space and the
 * set-up of the queues, and holds the driver to the rules of the specification: what is
 * out of order, out of range or of the wrong width has no effect and reads as 0. A
 * device only ever sees a negotiation that went well.
 *
 * Threads: register accesses may come from several threads at once, the transport puts
 * them in order. The calls vmm_virtio_transport_*() are for any thread at any time from
 * vmm_virtio_mmio_new() to vmm_virtio_mmio_free(). Pointers must not be NULL unless the
 * text says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>
#include <vmm/virtq.h>

VMM_BEGIN_DECLS

/** Device status bits (virtio 1.2, 2.1). @{ */
#define VMM_VIRTIO_S_ACKNOWLEDGE 1u
#define VMM_VIRTIO_S_DRIVER 2u
#define VMM_VIRTIO_S_DRIVER_OK 4u
#define VMM_VIRTIO_S_FEATURES_OK 8u
#define VMM_VIRTIO_S_NEEDS_RESET 64u
#define VMM_VIRTIO_S_FAILED 128u
/** @} */

/** Device ids (virtio 1.2, 5). @{ */
#define VMM_VIRTIO_ID_NET 1u
#define VMM_VIRTIO_ID_BLK 2u
#define VMM_VIRTIO_ID_CONSOLE 3u
#define VMM_VIRTIO_ID_RNG 4u
#define VMM_VIRTIO_ID_BALLOON 5u
#define VMM_VIRTIO_ID_INPUT 18u
#define VMM_VIRTIO_ID_VSOCK 19u
#define VMM_VIRTIO_ID_MEM 24u
#define VMM_VIRTIO_ID_PMEM 27u
/** @} */

/** Most queues of a device. */
#define VMM_VIRTIO_QUEUES_MAX 1024u
/** Largest configuration space in bytes. */
#define VMM_VIRTIO_CONFIG_MAX 3840u
/** Most shared memory regions of a device. */
#define VMM_VIRTIO_SHM_MAX 16u
/** Longest saved state of a device's own in bytes. */
#define VMM_VIRTIO_DEVICE_STATE_MAX 0x40000000u

/** A device's way to its driver; belongs to the transport. */
struct vmm_virtio_transport;

/** What a device learns when its driver is ready. */
struct vmm_virtio_activation {
	/** The negotiated features, bits 0 to 127. */
	uint64_t features[2];
	/** For interrupts, NEEDS_RESET and configuration changes; valid for the life of
	 *  the transport. */
	struct vmm_virtio_transport *transport;
	/** The device's queues in order; one that the driver did not set up is not
	 *  enabled. Valid until @p reset returns. */
	struct vmm_virtq *const *queues;
	/** How many. */
	uint32_t queue_n;
	/** Zero. */
	uint32_t reserved_;
};

/**
 * What a device does. Each callback runs on the thread that made the register access,
 * one at a time for each device, and must not access the device's registers. After
 * @p activate and until @p reset is called the queues are the device's to use, on
 * threads of its choice.
 */
struct vmm_virtio_device_ops {
	/** Size of this structure. */
	size_t size;
	/**
	 * Judge features that are a subset of what was offered and fit together by
	 * vmm_virtio_check_features(). Return 0, or a negative errno value to refuse.
	 * NULL: all are fine.
	 */
	int (*check_features)(void *ctx, const uint64_t features[2]);
	/** Start. A negative errno value makes the device ask for a reset. */
	int (*activate)(void *ctx, const struct vmm_virtio_activation *activation);
	/**
	 * Stop, and let no thread touch a queue or a chain once this returns. Called for
	 * each device that was activated, also if that failed.
	 */
	void (*reset)(void *ctx);
	/**
	 * Look at queue @p index. Called for each enabled queue after activation, so that
	 * an early notification is not lost, and whenever the driver notifies by
	 * register. NULL: not interested, because doorbells come some other way.
	 */
	void (*queue_notify)(void *ctx, uint32_t index);
	/**
	 * Stop using queue @p index, as @p reset does for all. Required to offer
	 * RING_RESET.
	 */
	void (*queue_reset)(void *ctx, uint32_t index);
	/** Queue @p index, which was reset, is set up again. Required to offer
	 *  RING_RESET. */
	void (*queue_enable)(void *ctx, uint32_t index);
	/**
	 * The driver wrote to the configuration space; @p data is what the @p len bytes
	 * from @p offset on are now. Only called if one of them is writable in part.
	 * NULL: not interested.
	 */
	void (*config_written)(void *ctx, uint32_t offset, const void *data,
			       uint32_t len);
	/**
	 * Come to rest: take no more chains, finish those that were popped or put them
	 * back with vmm_virtq_undo_pop(), and let no thread touch a queue once this
	 * returns. Only called while the device is active; `reset` may come before
	 * `resume`. A chain may stay out on a split ring: it is popped again after a
	 * restore. NULL: at rest whenever the VMM does not run it.
	 */
	void (*pause)(void *ctx);
	/** Go on. Each queue is notified afterwards. */
	void (*resume)(void *ctx);
	/**
	 * Write what the device knows beyond queues, features and configuration space,
	 * in a format of its own that says its version. Called at rest, active or not.
	 * Return its length, at most #VMM_VIRTIO_DEVICE_STATE_MAX, and write nothing if
	 * @p size is less; or a negative errno value. NULL: there is no such thing.
	 */
	int64_t (*save)(void *ctx, void *buf, size_t size);
	/**
	 * Take what `save` wrote, as hostile input, and start as `activate` does, instead
	 * of it, but at rest; @p activation is NULL if the device is not to be active.
	 * What the driver wrote to the configuration space is there already, not told by
	 * `config_written`. What is called on @p transport meanwhile does not interrupt
	 * the driver; a configuration space that differs in the end from the saved one is
	 * told to it. A negative errno value makes the restore fail; `reset` is then
	 * called if @p activation was given. NULL: `activate` does, after
	 * `config_written`, and a saved state that is not empty is refused.
	 */
	int (*restore)(void *ctx, struct vmm_virtio_transport *transport,
		       const struct vmm_virtio_activation *activation, const void *data,
		       size_t len);
	/**
	 * @p transport carries the device from now on, until it is released. Called once,
	 * before the driver can see the device: for one whose configuration space answers
	 * what the driver writes there before it is ready. NULL: not interested.
	 */
	void (*attach)(void *ctx, struct vmm_virtio_transport *transport);
};

/** Defaults: no callback. */
#define VMM_VIRTIO_DEVICE_OPS_INIT                                                  \
	{                                                                           \
		sizeof(struct vmm_virtio_device_ops), NULL, NULL, NULL, NULL, NULL, \
		    NULL, NULL, NULL, NULL, NULL, NULL, NULL                        \
	}

/** A shared memory region of a device (virtio 1.2, 2.10). */
struct vmm_virtio_shm {
	/** Id that the device type gives it. */
	uint32_t id;
	/** Zero. */
	uint32_t reserved_;
	/** Guest physical address. */
	uint64_t gpa;
	/** Length in bytes. */
	uint64_t len;
};

/** A device, for a transport to carry. All that it points to is copied but @p ctx. */
struct vmm_virtio_device {
	/** Size of this structure. */
	size_t size;
	/** Device id. */
	uint32_t id;
	/** Number of queues, at most #VMM_VIRTIO_QUEUES_MAX. */
	uint32_t queue_n;
	/** Largest size of each queue; @p queue_n entries. */
	const uint16_t *queue_max;
	/** Offered features, bits 0 to 127. VERSION_1 is always offered. */
	uint64_t features[2];
	/** The configuration space as it is at first; @p config_len bytes. */
	const void *config;
	/** A 1 for each bit that the driver may change; @p config_len bytes. NULL: none.
	 */
	const void *config_writable;
	/** Length of the configuration space, at most #VMM_VIRTIO_CONFIG_MAX. */
	uint32_t config_len;
	/** Number of shared memory regions. */
	uint32_t shm_n;
	/** The regions; NULL if there are none. */
	const struct vmm_virtio_shm *shm;
	/** What it does. */
	const struct vmm_virtio_device_ops *ops;
	/** First parameter of each callback. */
	void *ctx;
};

/** Defaults for a device: nothing in it. */
#define VMM_VIRTIO_DEVICE_INIT                                                         \
	{                                                                              \
		sizeof(struct vmm_virtio_device), 0, 0, NULL, { 0, 0 }, NULL, NULL, 0, \
		    0, NULL, NULL, NULL                                                \
	}

/**
 * Say whether features that a driver accepted go together (virtio 1.2, 2.2 and
 * "feature bit requirements" of each device).
 *
 * @param device_id  device id; types without a rule of their own are fine
 * @param offered    features that the device offers
 * @param accepted   features that the driver wants
 * @param[out] err   detail on failure, `where` is the offending bit; may be NULL
 * @retval 0         they do
 * @retval -EBADMSG  one that was not offered, VERSION_1 or ACCESS_PLATFORM missing, or
 *                   one without another that it needs
 */
VMM_API VMM_MUST_USE int vmm_virtio_check_features(uint32_t device_id,
						   const uint64_t offered[2],
						   const uint64_t accepted[2],
						   struct vmm_error *err);

/** Interrupt the driver because of used buffers in queue @p index. Whether it wants that
 *  says vmm_virtq_needs_notification(). */
VMM_API void vmm_virtio_transport_signal_queue(struct vmm_virtio_transport *transport,
					       uint32_t index);

/**
 * Change the configuration space, so that the driver never sees half of it, and tell
 * the driver.
 *
 * @param transport  the transport
 * @param offset     first byte
 * @param data       new bytes
 * @param len        how many
 * @retval 0         done
 * @retval -EINVAL   it is outside the configuration space
 */
VMM_API VMM_MUST_USE int vmm_virtio_transport_set_config(
    struct vmm_virtio_transport *transport, uint32_t offset, const void *data,
    uint32_t len);

/** Change the configuration space as vmm_virtio_transport_set_config() does, without an
 *  interrupt: for what the driver expects, because it asked for it. */
VMM_API VMM_MUST_USE int vmm_virtio_transport_sync_config(
    struct vmm_virtio_transport *transport, uint32_t offset, const void *data,
    uint32_t len);

/** Ask the driver for a reset, because the device cannot go on: a broken queue, say. Told
 *  to the driver once; no effect before DRIVER_OK. */
VMM_API void vmm_virtio_transport_needs_reset(struct vmm_virtio_transport *transport);

/** Return the device status. */
VMM_API uint32_t
vmm_virtio_transport_get_status(const struct vmm_virtio_transport *transport);

/** A virtio-mmio register window. */
struct vmm_virtio_mmio;

/** Length of the register window in bytes; it is to be aligned to that. */
#define VMM_VIRTIO_MMIO_LEN 0x1000u

/** What a virtio-mmio transport needs from the VMM. */
struct vmm_virtio_mmio_opts {
	/** Size of this structure. */
	size_t size;
	/** The guest's memory; borrowed until vmm_virtio_mmio_set_mem() or the end. */
	const struct vmm_mem *mem;
	/** Vendor id that the driver reads. */
	uint32_t vendor;
	/** Zero. */
	uint32_t reserved_;
	/**
	 * Set the one interrupt line: true for each reason that comes up, false once
	 * the driver acknowledged all. For an edge, true is one pulse and false nothing.
	 * Called from any thread that signals, one at a time; must not call back. NULL:
	 * not connected.
	 */
	void (*set_irq)(void *ctx, bool level);
	/** First parameter of @p set_irq. */
	void *irq_ctx;
};

/** Defaults: no memory, no interrupt line. */
#define VMM_VIRTIO_MMIO_OPTS_INIT                                           \
	{                                                                   \
		sizeof(struct vmm_virtio_mmio_opts), NULL, 0, 0, NULL, NULL \
	}

/** A doorbell, for an ioeventfd: what the driver writes to notify one queue. */
struct vmm_virtio_doorbell {
	/** Offset in the register window. */
	uint64_t offset;
	/** The value that is written, where @p match is set. */
	uint64_t value;
	/** Width of the write in bytes. */
	uint32_t width;
	/** The queue. */
	uint32_t queue;
	/** False if the value says more than the queue (NOTIFICATION_DATA), so that one
	 *  doorbell must serve all queues. */
	bool match;
};

/**
 * Make a transport for a device. The device must outlive it.
 *
 * @param opts      copied
 * @param device    copied
 * @param[out] out  the transport, to be released with vmm_virtio_mmio_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  a missing pointer, a queue size not in 1 to #VMM_VIRTQ_SIZE_MAX,
 *                  features that this transport cannot carry
 * @retval -E2BIG   more than a limit above, or an unknown structure tail
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_mmio_new(const struct vmm_virtio_mmio_opts *opts,
					     const struct vmm_virtio_device *device,
					     struct vmm_virtio_mmio **out,
					     struct vmm_error *err);

/** Reset the device if it is active, and release the transport. NULL is allowed. */
VMM_API void vmm_virtio_mmio_free(struct vmm_virtio_mmio *mmio);

/**
 * Answer a read of the register window. Registers are 4 bytes wide and aligned, the
 * configuration space from 0x100 on takes any width; what is not there reads as 0.
 *
 * @param mmio      the transport
 * @param offset    from the start of the window
 * @param[out] data @p len bytes, always written
 * @param len       width of the access
 */
VMM_API void vmm_virtio_mmio_read(struct vmm_virtio_mmio *mmio, uint64_t offset,
				  void *data, size_t len);

/** Do a write to the register window; one that is not allowed has no effect. */
VMM_API void vmm_virtio_mmio_write(struct vmm_virtio_mmio *mmio, uint64_t offset,
				   const void *data, size_t len);

/** Return what the device uses to reach its driver. */
VMM_API struct vmm_virtio_transport *vmm_virtio_mmio_get_transport(
    struct vmm_virtio_mmio *mmio);

/** Return queue @p index, or NULL if there is none. */
VMM_API struct vmm_virtq *vmm_virtio_mmio_get_queue(struct vmm_virtio_mmio *mmio,
						    uint32_t index);

/**
 * Tell the doorbell of a queue, as it is with the features negotiated so far; ask at
 * activation.
 *
 * @param mmio      the transport
 * @param queue     queue index
 * @param[out] out  the doorbell
 * @retval 0        done
 * @retval -ENOENT  no such queue
 */
VMM_API VMM_MUST_USE int vmm_virtio_mmio_get_doorbell(struct vmm_virtio_mmio *mmio,
						      uint32_t queue,
						      struct vmm_virtio_doorbell *out);

/**
 * Go over to a new memory table. Call it while the device is quiet: no thread of it in
 * a queue. A queue whose ring is gone is broken and the device asks for a reset.
 *
 * @param mmio      the transport
 * @param mem       the new table, borrowed
 * @retval 0        done
 * @retval -ENOMEM  out of memory: some queues still use the old table, call again
 */
VMM_API VMM_MUST_USE int vmm_virtio_mmio_set_mem(struct vmm_virtio_mmio *mmio,
						 const struct vmm_mem *mem);

/**
 * Bring the device to rest, as its `pause` says. From then on until
 * vmm_virtio_mmio_resume() notifications are not passed on; a driver may still access
 * registers. No effect if it is paused. Pausing outlives a reset by the driver.
 *
 * With a device of this library, this, a reset and what else is asked of it wait for the
 * request at hand of each of its queues at most, however busy the driver keeps it; a block
 * device that pauses or is reset also for what is with its back end.
 */
VMM_API void vmm_virtio_mmio_pause(struct vmm_virtio_mmio *mmio);

/** Let a paused device go on, and notify each of its queues, so that no kick is lost. */
VMM_API void vmm_virtio_mmio_resume(struct vmm_virtio_mmio *mmio);

/**
 * Save the transport, its queues and its device as bytes, in a versioned format that
 * does not depend on the host. Guest memory is not part of it; save that while the
 * device is paused, too.
 *
 * @param mmio      the transport, paused
 * @param[out] buf  room for @p size bytes; may be NULL if @p size is 0
 * @param size      nothing is written if this is less than the result
 * @return the length of the state, or a negative errno value:
 * @retval -EBUSY   not paused, or chains are in flight that vmm_virtq_get_state() cannot
 *                  save
 * @retval -E2BIG   the device's state is too long; else as its `save`
 */
VMM_API VMM_MUST_USE int64_t vmm_virtio_mmio_save(struct vmm_virtio_mmio *mmio, void *buf,
						  size_t size);

/**
 * Bring a new transport to a saved state and leave it paused. The state is taken as
 * hostile: whatever it says, only what a driver can reach becomes true, and what the
 * device offers now decides. Of the configuration space, only the bits that the driver
 * may write come from the state; where others differ the driver gets a configuration
 * change.
 *
 * @param mmio      the transport, not touched by a driver yet
 * @param data      from vmm_virtio_mmio_save()
 * @param len       bytes in @p data
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done; vmm_virtio_mmio_resume() starts it
 * @retval -EBUSY   a driver is at work already
 * @retval -EBADMSG the state is cut off, contradicts itself, is of an unknown version, or
 *                  does not fit the device; nothing changed
 * @retval -EFAULT  a ring is not in memory; also -EROFS
 * @retval -ENOMEM  out of memory; else as the device's `restore` or `activate`. After any
 *                  failure the transport is as after a reset
 */
VMM_API VMM_MUST_USE int vmm_virtio_mmio_restore(struct vmm_virtio_mmio *mmio,
						 const void *data, size_t len,
						 struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_virtio_mmio, vmm_virtio_mmio_free)

VMM_END_DECLS

#endif

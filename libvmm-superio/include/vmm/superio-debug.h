/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_SUPERIO_DEBUG_H
#define VMM_SUPERIO_DEBUG_H

/**
 * @file vmm/superio-debug.h
 * Ports for tests and measurements: a guest ends the VMM with a status, and marks the
 * moments of its boot. Not for machines whose guest must not do either. Threads,
 * callbacks, state and `size`: as in `<vmm/superio.h>`.
 */

#include <vmm/superio.h>

VMM_BEGIN_DECLS

/**
 * @defgroup debugexit Debug exit
 *
 * | Offset | Access | Register                              |
 * |--------|--------|---------------------------------------|
 * | 0      | w      | status: 1, 2 or 4 bytes; ends the VMM |
 * | 0      | r      | the last status, 0 before the first   |
 * @{
 */

/** Ports the device takes. */
#define VMM_SIO_DEBUG_EXIT_PORTS 4u
/** Exit status of the VMM for a guest's status, as users of such ports expect it: odd, so
 *  that it differs from success. The host keeps the low 8 bits. */
#define VMM_SIO_DEBUG_EXIT_STATUS(status) ((int)(((uint32_t)(status) << 1 | 1u) & 0xffu))

/** What the device tells its owner. */
struct vmm_sio_debug_exit_ops {
	/** Size of this structure; #VMM_SIO_DEBUG_EXIT_OPS_INIT sets it. */
	size_t size;
	/** The guest wrote @p status. */
	void (*quit)(void *ctx, uint32_t status);
};

/** Initialiser for struct vmm_sio_debug_exit_ops. */
#define VMM_SIO_DEBUG_EXIT_OPS_INIT                         \
	{                                                   \
		sizeof(struct vmm_sio_debug_exit_ops), NULL \
	}

/** Version of struct vmm_sio_debug_exit_state. */
#define VMM_SIO_DEBUG_EXIT_STATE_VERSION 1u

/** All that the guest can know of the device. Plain data. */
struct vmm_sio_debug_exit_state {
	/** Size of this structure; #VMM_SIO_DEBUG_EXIT_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_DEBUG_EXIT_STATE_VERSION. */
	uint32_t version;
	/** The last status. */
	uint32_t status;
};

/** Initialiser for struct vmm_sio_debug_exit_state. */
#define VMM_SIO_DEBUG_EXIT_STATE_INIT                         \
	{                                                     \
		sizeof(struct vmm_sio_debug_exit_state), 0, 0 \
	}

/** The device. Opaque; owned by the caller of vmm_sio_debug_exit_new(). */
struct vmm_sio_debug_exit;

/**
 * Make a debug exit port.
 *
 * @param ops       callbacks, copied; NULL for none
 * @param ctx       their first argument
 * @param[out] out  the device, to be released with vmm_sio_debug_exit_free()
 * @retval 0        done
 * @retval -EINVAL  a `size` that is none
 * @retval -E2BIG   callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_debug_exit_new(const struct vmm_sio_debug_exit_ops *ops,
						void *ctx,
						struct vmm_sio_debug_exit **out);

/** Release @p dev. NULL is allowed. */
VMM_API void vmm_sio_debug_exit_free(struct vmm_sio_debug_exit *dev);

/**
 * Read the port for the guest.
 *
 * @param dev     the device
 * @param offset  0
 * @return the last status; 0 for any other @p offset
 */
VMM_API uint32_t vmm_sio_debug_exit_read(const struct vmm_sio_debug_exit *dev,
					 uint32_t offset);

/**
 * Write the port for the guest.
 *
 * @param dev     the device
 * @param offset  0; any other is ignored
 * @param value   what the guest wrote, zero-extended
 */
VMM_API void vmm_sio_debug_exit_write(struct vmm_sio_debug_exit *dev, uint32_t offset,
				      uint32_t value);

/**
 * Save what the guest can know of the device.
 *
 * @param dev       the device
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_debug_exit_save(const struct vmm_sio_debug_exit *dev,
						 struct vmm_sio_debug_exit_state *out);

/**
 * Put a saved state in. Calls no callback.
 *
 * @param dev              the device
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_debug_exit_restore(
    struct vmm_sio_debug_exit *dev, const struct vmm_sio_debug_exit_state *state,
    struct vmm_error *err);

/** @} */

/**
 * @defgroup boottimer Boot timer
 *
 * | Offset | Access | Register                                             |
 * |--------|--------|------------------------------------------------------|
 * | 0      | w      | mark this moment with a number of the guest's choice |
 * | 0      | r      | how many marks were made, at most 2^32-1             |
 * @{
 */

/** Ports the device takes. */
#define VMM_SIO_BOOT_TIMER_PORTS 4u
/** Marks that are kept; later ones are counted, and told, but not kept. */
#define VMM_SIO_BOOT_TIMER_MARKS 16u

/** What the device tells its owner, and where it has its time from. */
struct vmm_sio_boot_timer_ops {
	/** Size of this structure; #VMM_SIO_BOOT_TIMER_OPS_INIT sets it. */
	size_t size;
	/** The guest marked a moment, @p ns after the start. */
	void (*mark)(void *ctx, uint32_t value, uint64_t ns);
	/** Tell the time in ns since any fixed moment. NULL: CLOCK_BOOTTIME. */
	uint64_t (*now_ns)(void *ctx);
};

/** Initialiser for struct vmm_sio_boot_timer_ops. */
#define VMM_SIO_BOOT_TIMER_OPS_INIT                               \
	{                                                         \
		sizeof(struct vmm_sio_boot_timer_ops), NULL, NULL \
	}

/** A moment that the guest marked. */
struct vmm_sio_boot_mark {
	/** Nanoseconds since the start. */
	uint64_t ns;
	/** What the guest wrote. */
	uint32_t value;
	/** Zero. */
	uint32_t reserved_;
};

/** Version of struct vmm_sio_boot_timer_state. */
#define VMM_SIO_BOOT_TIMER_STATE_VERSION 1u

/** All that the guest can know of the device, and its marks. Plain data. */
struct vmm_sio_boot_timer_state {
	/** Size of this structure; #VMM_SIO_BOOT_TIMER_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_BOOT_TIMER_STATE_VERSION. */
	uint32_t version;
	/** How many marks were made. */
	uint32_t count;
	/** Nanoseconds since the start. */
	uint64_t elapsed_ns;
	/** The first marks, in order; the rest is 0. */
	struct vmm_sio_boot_mark marks[VMM_SIO_BOOT_TIMER_MARKS];
};

/** Initialiser for struct vmm_sio_boot_timer_state. */
#define VMM_SIO_BOOT_TIMER_STATE_INIT                             \
	{                                                         \
		sizeof(struct vmm_sio_boot_timer_state), 0, 0, 0, \
		{                                                 \
			{                                         \
				0, 0, 0                           \
			}                                         \
		}                                                 \
	}

/** The device. Opaque; owned by the caller of vmm_sio_boot_timer_new(). */
struct vmm_sio_boot_timer;

/**
 * Make a boot timer that starts now.
 *
 * @param ops       callbacks, copied; NULL for none
 * @param ctx       their first argument
 * @param[out] out  the device, to be released with vmm_sio_boot_timer_free()
 * @retval 0        done
 * @retval -EINVAL  a `size` that is none
 * @retval -E2BIG   callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_boot_timer_new(const struct vmm_sio_boot_timer_ops *ops,
						void *ctx,
						struct vmm_sio_boot_timer **out);

/** Release @p dev. NULL is allowed. */
VMM_API void vmm_sio_boot_timer_free(struct vmm_sio_boot_timer *dev);

/**
 * Read the port for the guest.
 *
 * @param dev     the device
 * @param offset  0
 * @return how many marks were made; 0 for any other @p offset
 */
VMM_API uint32_t vmm_sio_boot_timer_read(const struct vmm_sio_boot_timer *dev,
					 uint32_t offset);

/**
 * Write the port for the guest.
 *
 * @param dev     the device
 * @param offset  0; any other is ignored
 * @param value   what the guest wrote, zero-extended
 */
VMM_API void vmm_sio_boot_timer_write(struct vmm_sio_boot_timer *dev, uint32_t offset,
				      uint32_t value);

/**
 * Get the marks that were kept.
 *
 * @param dev       the device
 * @param[out] out  the marks, valid until the next call on @p dev
 * @return how many
 */
VMM_API size_t vmm_sio_boot_timer_get_marks(const struct vmm_sio_boot_timer *dev,
					    const struct vmm_sio_boot_mark **out);

/**
 * Save the marks and the time.
 *
 * @param dev       the device
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_boot_timer_save(struct vmm_sio_boot_timer *dev,
						 struct vmm_sio_boot_timer_state *out);

/**
 * Put a saved state in; the time goes on from there. Calls no callback but `now_ns`.
 *
 * @param dev              the device
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        marks out of order or beyond `count`; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_boot_timer_restore(
    struct vmm_sio_boot_timer *dev, const struct vmm_sio_boot_timer_state *state,
    struct vmm_error *err);

/** @} */

VMM_DEFINE_CLEANUP(vmm_sio_debug_exit, vmm_sio_debug_exit_free)
VMM_DEFINE_CLEANUP(vmm_sio_boot_timer, vmm_sio_boot_timer_free)

VMM_END_DECLS

#endif

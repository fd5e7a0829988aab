/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_SUPERIO_RTC_H
#define VMM_SUPERIO_RTC_H

/**
 * @file vmm/superio-rtc.h
 * Real-time clocks: the PL031 of Arm machines and the MC146818 ("CMOS") of PCs.
 * Threads, callbacks, interrupts, state and `size`: as in `<vmm/superio.h>`.
 *
 * **Time.** A clock takes the time of day once, when it is made, and from then on counts
 * a clock that never steps: by default the host's CLOCK_BOOTTIME, so that changes of the
 * host's time of day do not reach the guest and time in suspend is not lost. Alarms need
 * a timer: `set_timer` says when, and the owner then calls the `_tick` function. A timer
 * that is late or early does no harm.
 */

#include <vmm/superio.h>

VMM_BEGIN_DECLS

/** What a clock tells its owner, and where it has its time from. */
struct vmm_sio_rtc_ops {
	/** Size of this structure; #VMM_SIO_RTC_OPS_INIT sets it. */
	size_t size;
	/** The interrupt line changed. */
	void (*set_irq)(void *ctx, bool level);
	/** Tell the time in ns since any fixed moment. NULL: CLOCK_BOOTTIME. A value
	 * below an earlier one counts as that. */
	uint64_t (*now_ns)(void *ctx);
	/** Call the tick function once now_ns() is @p deadline_ns, instead of any earlier
	 *  request; UINT64_MAX: never. Called only on change. */
	void (*set_timer)(void *ctx, uint64_t deadline_ns);
};

/** Initialiser for struct vmm_sio_rtc_ops. */
#define VMM_SIO_RTC_OPS_INIT                                     \
	{                                                        \
		sizeof(struct vmm_sio_rtc_ops), NULL, NULL, NULL \
	}

/** Flag of struct vmm_sio_rtc_opts: start with `start_s`, not the host's time of day. */
#define VMM_SIO_RTC_START 0x01u

/** How to make a clock. */
struct vmm_sio_rtc_opts {
	/** Size of this structure; #VMM_SIO_RTC_OPTS_INIT sets it. */
	size_t size;
	/** Callbacks, copied; NULL for none. */
	const struct vmm_sio_rtc_ops *ops;
	/** First argument of the callbacks. */
	void *ctx;
	/** Time of day to start with, in seconds since 1970 (negative before), if asked
	 *  for. A PL031 takes it modulo 2^32; a CMOS clock limits it to the years 0 to
	 * 9999. */
	int64_t start_s;
	/** #VMM_SIO_RTC_START or 0. */
	uint32_t flags;
	/** Zero. */
	uint32_t reserved_;
};

/** Initialiser for struct vmm_sio_rtc_opts. */
#define VMM_SIO_RTC_OPTS_INIT                                        \
	{                                                            \
		sizeof(struct vmm_sio_rtc_opts), NULL, NULL, 0, 0, 0 \
	}

/**
 * @defgroup pl031 PL031
 *
 * Arm PrimeCell RTC (DDI 0224): a 32-bit counter of seconds and a match register.
 *
 * | Offset  | Access | Register | Behaviour                                                    |
 * |---------|--------|----------|--------------------------------------------------------------|
 * | 000     | r      | RTCDR    | the counter                                                  |
 * | 004     | rw     | RTCMR    | match: RIS is set when the counter becomes equal             |
 * | 008     | rw     | RTCLR    | writing loads the counter; reads what was loaded, 0 at first |
 * | 00C     | rw     | RTCCR    | bit 0 reads 1: it runs from the start, and cannot be stopped |
 * | 010     | rw     | RTCIMSC  | bit 0: let RIS interrupt                                     |
 * | 014     | r      | RTCRIS   | bit 0: match                                                 |
 * | 018     | r      | RTCMIS   | RIS and IMSC                                                 |
 * | 01C     | w      | RTCICR   | bit 0 clears RIS                                             |
 * | FE0-FFF | r      | IDs      | 31 10 04 00 0D F0 05 B1                                      |
 *
 * All else reads 0 and ignores writes; the two low bits of an offset are ignored. RIS
 * stays until it is cleared, and is not set again before the next match: a counter
 * that still equals RTCMR when RTCICR is written does not interrupt twice.
 * @{
 */

/** Bytes of address space. */
#define VMM_SIO_PL031_LEN 0x1000u

/** Version of struct vmm_sio_pl031_state. */
#define VMM_SIO_PL031_STATE_VERSION 1u

/** All that the guest can know of a PL031. To make up for the time until it is restored,
 *  add to `count`. Plain data. */
struct vmm_sio_pl031_state {
	/** Size of this structure; #VMM_SIO_PL031_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_PL031_STATE_VERSION. */
	uint32_t version;
	/** The counter. */
	uint32_t count;
	/** Nanoseconds since it changed. */
	uint32_t fraction_ns;
	uint32_t lr;  /**< RTCLR. */
	uint32_t mr;  /**< RTCMR. */
	uint8_t imsc; /**< Bit 0 of RTCIMSC. */
	uint8_t ris;  /**< Bit 0 of RTCRIS. */
	/** Zero. */
	uint8_t reserved_[2];
};

/** Initialiser for struct vmm_sio_pl031_state. */
#define VMM_SIO_PL031_STATE_INIT                                         \
	{                                                                \
		sizeof(struct vmm_sio_pl031_state), 0, 0, 0, 0, 0, 0, 0, \
		{                                                        \
			0                                                \
		}                                                        \
	}

/** A PL031. Opaque; owned by the caller of vmm_sio_pl031_new(). */
struct vmm_sio_pl031;

/**
 * Make a PL031 that runs.
 *
 * @param opts      NULL for the defaults
 * @param[out] out  the clock, to be released with vmm_sio_pl031_free()
 * @retval 0        done
 * @retval -EINVAL  unknown flags, or a `size` that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_pl031_new(const struct vmm_sio_rtc_opts *opts,
					   struct vmm_sio_pl031 **out);

/** Release @p dev without calling a callback. NULL is allowed. */
VMM_API void vmm_sio_pl031_free(struct vmm_sio_pl031 *dev);

/**
 * Read a register for the guest.
 *
 * @param dev     the clock
 * @param offset  in bytes
 * @return the value; 0 where there is no readable register
 */
VMM_API uint32_t vmm_sio_pl031_read(struct vmm_sio_pl031 *dev, uint32_t offset);

/**
 * Write a register for the guest.
 *
 * @param dev     the clock
 * @param offset  in bytes; where there is no writable register, nothing happens
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_pl031_write(struct vmm_sio_pl031 *dev, uint32_t offset,
				 uint32_t value);

/** Look at the time: raise the interrupt if it is due, and ask for the next timer. */
VMM_API void vmm_sio_pl031_tick(struct vmm_sio_pl031 *dev);

/**
 * Save what the guest can know of the clock.
 *
 * @param dev       the clock
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_pl031_save(struct vmm_sio_pl031 *dev,
					    struct vmm_sio_pl031_state *out);

/**
 * Put a saved state in; the counter goes on from there. The interrupt line drops, if it
 * was up, and rises again if the state calls for it.
 *
 * @param dev              the clock
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        bits set that are never; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_pl031_restore(struct vmm_sio_pl031 *dev,
					       const struct vmm_sio_pl031_state *state,
					       struct vmm_error *err);

/** @} */

/**
 * @defgroup cmos CMOS clock
 *
 * Motorola MC146818 with 128 bytes, behind an index (offset 0, port 70) and a data port
 * (offset 1, port 71). The index port reads FF; its bit 7, the PC's NMI mask, is ignored.
 *
 * | Index      | Register                                                               |
 * |------------|------------------------------------------------------------------------|
 * | 00 02 04   | seconds, minutes, hours (bit 7 is PM in 12-hour mode)                  |
 * | 01 03 05   | alarm for each; C0 to FF matches anything                              |
 * | 06 07 08 09 | day of week (1 is Sunday), day, month, year of the century            |
 * | 0A         | A: 7 UIP (read only), 6:4 divider, 3:0 periodic rate                   |
 * | 0B         | B: 7 SET, 6 PIE, 5 AIE, 4 UIE, 3 SQWE, 2 binary, 1 24-hour, 0 DSE      |
 * | 0C         | C: 7 IRQF, 6 PF, 5 AF, 4 UF; reading clears all; read only             |
 * | 0D         | D: 80, the contents are valid; read only                               |
 * | 32         | century, in the format of the year                                     |
 * | others     | memory                                                                 |
 *
 * SET, or a divider of 11x, stops the clock; the first second after the divider is
 * released is half a second. A time that is none (month 13) is limited to what exists.
 * SQWE and DSE are kept and do nothing. Periodic interrupts that nobody acknowledged
 * count as one. At power-on: A 26, B 02 (24-hour, BCD).
 * @{
 */

/** Ports the clock takes. */
#define VMM_SIO_CMOS_PORTS 2u
/** Bytes behind the ports. */
#define VMM_SIO_CMOS_LEN 128u
/** Index of the century: what the FADT of ACPI must name. */
#define VMM_SIO_CMOS_CENTURY 0x32u

/** Version of struct vmm_sio_cmos_state. */
#define VMM_SIO_CMOS_STATE_VERSION 1u

/** All that the guest can know of a CMOS clock. To make up for the time until it is
 *  restored, add to `seconds`. Plain data. */
struct vmm_sio_cmos_state {
	/** Size of this structure; #VMM_SIO_CMOS_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_CMOS_STATE_VERSION. */
	uint32_t version;
	/** Nanoseconds since the second began. */
	uint32_t fraction_ns;
	/** Time of day in seconds since 1970. */
	int64_t seconds;
	/** Selected index. */
	uint8_t index;
	/** What the day of the week is ahead of the calendar by, 0 to 6. */
	uint8_t weekday_shift;
	/** Zero. */
	uint8_t reserved_[6];
	/** The bytes; 0 to 9 and the century hold the time while the clock stands, else
	 * 0. */
	uint8_t memory[VMM_SIO_CMOS_LEN];
};

/** Initialiser for struct vmm_sio_cmos_state. */
#define VMM_SIO_CMOS_STATE_INIT                                          \
	{                                                                \
		sizeof(struct vmm_sio_cmos_state), 0, 0, 0, 0, 0, { 0 }, \
		{                                                        \
			0                                                \
		}                                                        \
	}

/** A CMOS clock. Opaque; owned by the caller of vmm_sio_cmos_new(). */
struct vmm_sio_cmos;

/**
 * Make a CMOS clock that runs.
 *
 * @param opts      NULL for the defaults
 * @param[out] out  the clock, to be released with vmm_sio_cmos_free()
 * @retval 0        done
 * @retval -EINVAL  unknown flags, or a `size` that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_cmos_new(const struct vmm_sio_rtc_opts *opts,
					  struct vmm_sio_cmos **out);

/** Release @p dev without calling a callback. NULL is allowed. */
VMM_API void vmm_sio_cmos_free(struct vmm_sio_cmos *dev);

/**
 * Read a port for the guest.
 *
 * @param dev     the clock
 * @param offset  0 or 1
 * @return the value; FF for any other @p offset
 */
VMM_API uint8_t vmm_sio_cmos_read(struct vmm_sio_cmos *dev, uint8_t offset);

/**
 * Write a port for the guest.
 *
 * @param dev     the clock
 * @param offset  0 or 1; any other is ignored
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_cmos_write(struct vmm_sio_cmos *dev, uint8_t offset, uint8_t value);

/** Look at the time: raise the interrupt if it is due, and ask for the next timer. */
VMM_API void vmm_sio_cmos_tick(struct vmm_sio_cmos *dev);

/**
 * Set a byte of memory for firmware or the guest, such as the size of its memory.
 *
 * @param dev       the clock
 * @param index     0E to 7F but not the century
 * @param value     the byte
 * @retval 0        done
 * @retval -EINVAL  @p index is not one of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_cmos_set_memory(struct vmm_sio_cmos *dev, uint8_t index,
						 uint8_t value);

/**
 * Save what the guest can know of the clock.
 *
 * @param dev       the clock
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_cmos_save(struct vmm_sio_cmos *dev,
					   struct vmm_sio_cmos_state *out);

/**
 * Put a saved state in; the time goes on from there. The interrupt line drops, if it was
 * up, and rises again if the state calls for it.
 *
 * @param dev              the clock
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        no clock can be in this state; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_cmos_restore(struct vmm_sio_cmos *dev,
					      const struct vmm_sio_cmos_state *state,
					      struct vmm_error *err);

/** @} */

VMM_DEFINE_CLEANUP(vmm_sio_pl031, vmm_sio_pl031_free)
VMM_DEFINE_CLEANUP(vmm_sio_cmos, vmm_sio_cmos_free)

VMM_END_DECLS

#endif

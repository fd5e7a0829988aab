/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_SUPERIO_PL011_H
#define VMM_SUPERIO_PL011_H

/**
 * @file vmm/superio-pl011.h
 * The PL011 UART of Arm machines. Threads, callbacks, interrupts, state and `size`: as in
 * `<vmm/superio.h>`. Options, callbacks and output work as for the 16550A, so glue for
 * one serves the other.
 *
 * Arm PrimeCell UART r1p4 (DDI 0183), FIFOs 16 deep:
 *
 * | Offset  | Access | Register  | Behaviour                                                                 |
 * |---------|--------|-----------|---------------------------------------------------------------------------|
 * | 000     | r      | UARTDR    | character, and 8 FE, 9 PE, 10 BE, 11 OE                                   |
 * | 000     | w      | UARTDR    | to the output ring, in no time                                            |
 * | 004     | rw     | UARTRSR   | faults of the last character read, and OE; writing clears                 |
 * | 018     | r      | UARTFR    | 0 CTS 1 DSR 2 DCD 3 BUSY 4 RXFE 5 TXFF 6 RXFF 7 TXFE 8 RI                 |
 * | 020     | rw     | UARTILPR  | kept only                                                                 |
 * | 024 028 | rw     | IBRD FBRD | divisor; see vmm_sio_pl011_get_baud()                                     |
 * | 02C     | rw     | UARTLCR_H | 0 break, 4 FIFO enable; the rest is kept only                             |
 * | 030     | rw     | UARTCR    | 0 enable, 7 loopback, 9 receive, 13:10 modem lines; the rest is kept only |
 * | 034     | rw     | UARTIFLS  | 5:3 receive and 2:0 transmit level                                        |
 * | 038     | rw     | UARTIMSC  | 10:0                                                                      |
 * | 03C 040 | r      | RIS MIS   | 0 RI 1 CTS 2 DCD 3 DSR 4 RX 5 TX 6 RT 7 FE 8 PE 9 BE 10 OE                |
 * | 044     | w      | UARTICR   | clears bits of RIS                                                        |
 * | 048     | rw     | UARTDMACR | 2:0, kept only                                                            |
 * | FE0-FFF | r      | IDs       | 11 10 14 00 0D F0 05 B1                                                   |
 *
 * All else reads 0 and ignores writes; the two low bits of an offset are ignored.
 *
 * At power-on: CR 0301, so that early consoles print before a driver comes; FR 0x97 by
 * the modem lines; IFLS 12. Sending does not look at the enable bits; receiving does, and
 * input waits for them. Data below the level counts as timed out at once. Each byte that
 * leaves sets the transmit interrupt.
 */

#include <vmm/superio.h>

VMM_BEGIN_DECLS

/** Bytes of address space. */
#define VMM_SIO_PL011_LEN 0x1000u
/** Default input clock in Hz. */
#define VMM_SIO_PL011_CLOCK 24000000u

/** Version of struct vmm_sio_pl011_state. */
#define VMM_SIO_PL011_STATE_VERSION 1u

/** All that the guest can know of a PL011, and the input that waits for it; see struct
 *  vmm_sio_serial_state. Plain data. */
struct vmm_sio_pl011_state {
	/** Size of this structure; #VMM_SIO_PL011_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_PL011_STATE_VERSION. */
	uint32_t version;
	/** #VMM_SIO_SERIAL_STATE_RTS_SEEN or 0. */
	uint32_t flags;
	uint16_t ibrd; /**< UARTIBRD. */
	uint16_t cr;   /**< UARTCR. */
	uint16_t ifls; /**< UARTIFLS. */
	uint16_t imsc; /**< UARTIMSC. */
	uint16_t ris;  /**< UARTRIS. */
	uint8_t fbrd;  /**< UARTFBRD. */
	uint8_t lcr_h; /**< UARTLCR_H. */
	uint8_t ilpr;  /**< UARTILPR. */
	uint8_t dmacr; /**< UARTDMACR. */
	uint8_t rsr;   /**< UARTRSR. */
	/** Host's side of the modem lines: VMM_SIO_MODEM_CTS to DCD. */
	uint8_t modem;
	uint8_t tx_len;	    /**< Characters in `tx`. */
	uint8_t rx_len;	    /**< Characters in `rx`. */
	uint16_t queue_len; /**< Characters in `queue`. */
	/** Zero. */
	uint16_t reserved_;
	uint8_t tx[VMM_SIO_SERIAL_FIFO];      /**< As in struct vmm_sio_serial_state. */
	uint16_t rx[VMM_SIO_SERIAL_FIFO];     /**< Likewise. */
	uint16_t queue[VMM_SIO_SERIAL_QUEUE]; /**< Likewise. */
	/** Zero. */
	uint8_t reserved_end_[2];
};

/** Initialiser for struct vmm_sio_pl011_state. */
#define VMM_SIO_PL011_STATE_INIT                                                        \
	{                                                                               \
		sizeof(struct vmm_sio_pl011_state), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
		    0, 0, 0, 0, 0, { 0 }, { 0 }, { 0 },                                 \
		{                                                                       \
			0                                                               \
		}                                                                       \
	}

/** A PL011. Opaque; owned by the caller of vmm_sio_pl011_new(). */
struct vmm_sio_pl011;

/**
 * Make a PL011 in its power-on state.
 *
 * @param opts      NULL for the defaults; `clock_hz` 0 is #VMM_SIO_PL011_CLOCK. "The
 *                  THR-empty interrupt is enabled" reads "TXIM is set", THRE "not TXFF".
 * @param[out] out  the UART, to be released with vmm_sio_pl011_free()
 * @retval 0        done
 * @retval -EINVAL  a value outside what struct vmm_sio_serial_opts allows, or a `size`
 *                  that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_pl011_new(const struct vmm_sio_serial_opts *opts,
					   struct vmm_sio_pl011 **out);

/** Release @p p; output nobody took is lost. No callback is called. NULL is allowed. */
VMM_API void vmm_sio_pl011_free(struct vmm_sio_pl011 *p);

/**
 * Read a register for the guest.
 *
 * @param p       the UART
 * @param offset  in bytes
 * @return the value; 0 where there is no readable register
 */
VMM_API uint32_t vmm_sio_pl011_read(struct vmm_sio_pl011 *p, uint32_t offset);

/**
 * Write a register for the guest. Never blocks and makes no system call of its own.
 *
 * @param p       the UART
 * @param offset  in bytes; where there is no writable register, nothing happens
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_pl011_write(struct vmm_sio_pl011 *p, uint32_t offset,
				 uint32_t value);

/**
 * Hand characters from the host to the guest; see vmm_sio_serial_receive().
 *
 * @param p     the UART
 * @param data  the characters
 * @param len   how many; 0 is allowed
 * @return how many were taken
 */
VMM_API VMM_MUST_USE size_t vmm_sio_pl011_receive(struct vmm_sio_pl011 *p,
						  const uint8_t *data, size_t len);

/**
 * Hand one character that arrived damaged, or a break, to the guest.
 *
 * @param p         the UART
 * @param data      the character; 0 for a break
 * @param faults    VMM_SIO_LINE_*, at least one
 * @retval 0        done
 * @retval -EINVAL  @p faults is 0 or has other bits
 * @retval -EAGAIN  the queue is full; `input_ready` tells when to try again
 */
VMM_API VMM_MUST_USE int vmm_sio_pl011_receive_fault(struct vmm_sio_pl011 *p,
						     uint8_t data, uint32_t faults);

/** Tell the room for input of @p p; see vmm_sio_serial_get_input_room(). */
VMM_API size_t vmm_sio_pl011_get_input_room(const struct vmm_sio_pl011 *p);

/**
 * Set the modem lines that the host drives.
 *
 * @param p      the UART
 * @param lines  VMM_SIO_MODEM_CTS to DCD; other bits are ignored
 */
VMM_API void vmm_sio_pl011_set_modem(struct vmm_sio_pl011 *p, uint32_t lines);

/**
 * Get the output that waits; see vmm_sio_serial_get_output().
 *
 * @param p         the UART
 * @param[out] out  two entries; the first @p n are set
 * @param[out] n    0, 1 or 2
 * @return bytes in all
 */
VMM_API size_t vmm_sio_pl011_get_output(const struct vmm_sio_pl011 *p,
					struct iovec out[2], size_t *n);

/**
 * Release the oldest @p bytes of the output that waits, and let a held guest go on.
 *
 * @param p      the UART
 * @param bytes  how many; no more are released than wait
 */
VMM_API void vmm_sio_pl011_output_done(struct vmm_sio_pl011 *p, size_t bytes);

/** Compute the baud rate that the guest of @p p has set; 0 for divisor 0. */
VMM_API uint32_t vmm_sio_pl011_get_baud(const struct vmm_sio_pl011 *p);

/**
 * Read the counters.
 *
 * @param p         the UART
 * @param[out] out  `size` bytes of it, as set by the caller, are filled
 */
VMM_API void vmm_sio_pl011_get_stats(const struct vmm_sio_pl011 *p,
				     struct vmm_sio_serial_stats *out);

/**
 * Save what the guest can know of the UART. The object goes on as before.
 *
 * @param p         the UART
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_pl011_save(const struct vmm_sio_pl011 *p,
					    struct vmm_sio_pl011_state *out);

/**
 * Put a saved state in; see vmm_sio_serial_restore().
 *
 * @param p                the UART
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        no UART can be in this state; @p p is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_pl011_restore(struct vmm_sio_pl011 *p,
					       const struct vmm_sio_pl011_state *state,
					       struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_sio_pl011, vmm_sio_pl011_free)

VMM_END_DECLS

#endif

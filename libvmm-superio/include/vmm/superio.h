/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_SUPERIO_H
#define VMM_SUPERIO_H

/**
 * @file vmm/superio.h
 * The old devices that guests still look for: a 16550A UART, an i8042 with keyboard
 * and mouse, and the sleep and reset registers of a hardware-reduced ACPI machine.
 * `<vmm/superio-rtc.h>` has the clocks, `<vmm/superio-pl011.h>` the UART of Arm
 * machines and `<vmm/superio-debug.h>` ports for tests.
 *
 * A device is registers in, registers out. It knows no bus, no event loop and no
 * hypervisor: the caller decodes the address, passes the offset in the device's range,
 * and binds the callbacks to an irqfd, a terminal or a test's counter.
 *
 * **Threads.** Objects are not locked: calls on one object must not overlap in time;
 * calls on separate objects are independent. A VMM with one bus lock, or one lock per
 * device, has what is needed.
 *
 * **Callbacks** run inside the call that caused them, on its thread, and must not call
 * back into the same object. `ctx` is their first argument. Any of them may be NULL: the
 * event is then ignored.
 *
 * **Interrupts.** `set_irq` is called only when the level changes, and the level is
 * always derived from the device's state. For an edge-triggered line (an irqfd without
 * resampling) signal on `true` and ignore `false`; the devices drop and raise the line
 * wherever real ones do, so that an edge is there for each event a driver may wait for.
 * For a level line pass both on.
 *
 * **State.** `*_save` fills a plain struct, `*_restore` takes one as hostile input: a
 * state that the device could not have reached is refused, and then the object is as it
 * was. The layout is that of this machine (native byte order).
 *
 * Structs with a `size` member: set it by the `_INIT` macro. A smaller one from an older
 * header is taken, missing members count as zero; a larger one is taken if what this
 * library does not know is zero, else -E2BIG.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <vmm/base.h>

VMM_BEGIN_DECLS

/* ---- 16550A UART ---------------------------------------------------------------- */

/**
 * @defgroup serial 16550A UART
 *
 * Eight registers, National Semiconductor PC16550D. "DLAB" is bit 7 of LCR.
 *
 * | Offset | Access     | Register | Bits kept, and what differs from the chip               |
 * |--------|------------|----------|---------------------------------------------------------|
 * | 0      | r, DLAB=0  | RBR      | oldest received character; 0 when there is none         |
 * | 0      | w, DLAB=0  | THR      | to the output ring, in no time                          |
 * | 1      | rw, DLAB=0 | IER      | bits 3:0; 0 to 1 of bit 1 with THRE set interrupts      |
 * | 0, 1   | rw, DLAB=1 | DLL, DLM | divisor; see vmm_sio_serial_get_baud()                  |
 * | 2      | r          | IIR      | 6, 4, C, 2, 0 or 1 in bits 3:0; C0 while FIFOs are on   |
 * | 2      | w          | FCR      | 0 enable, 1 and 2 reset, 3 DMA (kept only), 7:6 trigger |
 * | 3      | rw         | LCR      | all; bit 6 break, bit 7 DLAB; the rest is kept only     |
 * | 4      | rw         | MCR      | bits 4:0; bit 4 loopback                                |
 * | 5      | r          | LSR      | DR, OE, PE, FE, BI, THRE, TEMT, error in FIFO           |
 * | 6      | r          | MSR      | lines and their deltas; reading clears the deltas       |
 * | 7      | rw         | SCR      | all                                                     |
 *
 * Writes to LSR and MSR are ignored. Offsets above 7 read 0 and ignore writes.
 *
 * State at power-on, as firmware leaves it: LCR 03, MCR 08, divisor 12, MSR B0, the rest
 * 0.
 *
 * Interrupts, highest first: line status 6, data available 4 or character timeout C,
 * THR empty 2, modem status 0. Data below the trigger level counts as timed out at once:
 * what the host had came in one piece, so there is nothing to wait for.
 *
 * The INTR pin is reported as it is. Boards gate it with MCR OUT2; this device does not.
 * @{
 */

/** Ports the UART takes. */
#define VMM_SIO_SERIAL_PORTS 8u
/** Clock of a PC's UART in Hz: 115200 baud at divisor 1. */
#define VMM_SIO_SERIAL_CLOCK 1843200u
/** Depth of the receive and of the transmit FIFO. */
#define VMM_SIO_SERIAL_FIFO 16u
/** Characters from the host that wait for room in the receive FIFO, at most. */
#define VMM_SIO_SERIAL_QUEUE 1024u
/** Smallest output ring, in bytes. */
#define VMM_SIO_SERIAL_RING_MIN 16u
/** Default output ring. */
#define VMM_SIO_SERIAL_RING_DEFAULT 65536u
/** Largest output ring. */
#define VMM_SIO_SERIAL_RING_MAX (1u << 24)

/** What becomes of a byte that the guest sends while the output ring is full. */
enum vmm_sio_overflow {
	/** HOLD while the guest has the THR-empty interrupt enabled: its driver waits for
	 *  it, so nothing is lost and no vCPU waits. DROP while it is masked: then the
	 * guest polls, and a kernel that prints would wait for each byte until it times
	 * out. */
	VMM_SIO_OVERFLOW_AUTO = 0,
	/** Keep it in the transmit FIFO; THRE and TEMT stay 0 until the reader took
	   bytes. */
	VMM_SIO_OVERFLOW_HOLD = 1,
	/** Lose it and count it; THRE and TEMT are always 1. */
	VMM_SIO_OVERFLOW_DROP = 2,
};

/** When characters from the host wait for the guest's RTS. */
enum vmm_sio_flow {
	/** Once the guest has raised RTS: a guest that never does gets all input. */
	VMM_SIO_FLOW_AUTO = 0,
	/** Always. */
	VMM_SIO_FLOW_RTS = 1,
	/** Never. */
	VMM_SIO_FLOW_NONE = 2,
};

#define VMM_SIO_MODEM_DTR 0x01u	 /**< Modem output, as in MCR. */
#define VMM_SIO_MODEM_RTS 0x02u	 /**< Modem output. */
#define VMM_SIO_MODEM_OUT1 0x04u /**< Modem output. */
#define VMM_SIO_MODEM_OUT2 0x08u /**< Modem output. */
#define VMM_SIO_MODEM_CTS 0x10u	 /**< Modem input, as in MSR. */
#define VMM_SIO_MODEM_DSR 0x20u	 /**< Modem input. */
#define VMM_SIO_MODEM_RI 0x40u	 /**< Modem input. */
#define VMM_SIO_MODEM_DCD 0x80u	 /**< Modem input. */

#define VMM_SIO_LINE_PARITY 0x04u  /**< Fault of a received character, as in LSR. */
#define VMM_SIO_LINE_FRAMING 0x08u /**< Fault of a received character. */
#define VMM_SIO_LINE_BREAK 0x10u   /**< Not a character but a break. */

/** What the UART tells its owner. See the top of this file. */
struct vmm_sio_serial_ops {
	/** Size of this structure; #VMM_SIO_SERIAL_OPS_INIT sets it. */
	size_t size;
	/** The interrupt line changed. */
	void (*set_irq)(void *ctx, bool level);
	/** The output ring was empty and is not any more. */
	void (*output_ready)(void *ctx);
	/** The input queue was full, or took less than it was offered, and the guest has
	 *  read all of it since. */
	void (*input_ready)(void *ctx);
	/** The guest began or ended a break (LCR bit 6, not in loopback). */
	void (*set_break)(void *ctx, bool on);
	/** Modem outputs changed; VMM_SIO_MODEM_DTR to OUT2. In loopback they are all 0.
	 */
	void (*set_modem)(void *ctx, uint32_t lines);
};

/** Initialiser for struct vmm_sio_serial_ops. */
#define VMM_SIO_SERIAL_OPS_INIT                                                 \
	{                                                                       \
		sizeof(struct vmm_sio_serial_ops), NULL, NULL, NULL, NULL, NULL \
	}

/** How to make a UART. All zero but `size` is a good choice. */
struct vmm_sio_serial_opts {
	/** Size of this structure; #VMM_SIO_SERIAL_OPTS_INIT sets it. */
	size_t size;
	/** Callbacks, copied; NULL for none. */
	const struct vmm_sio_serial_ops *ops;
	/** First argument of the callbacks. */
	void *ctx;
	/** Bytes of the output ring: a power of two from #VMM_SIO_SERIAL_RING_MIN to
	 *  #VMM_SIO_SERIAL_RING_MAX; 0 is #VMM_SIO_SERIAL_RING_DEFAULT. */
	uint32_t output_ring;
	/** An enum vmm_sio_overflow. */
	uint32_t overflow;
	/** An enum vmm_sio_flow. */
	uint32_t flow;
	/** Input clock in Hz; 0 is #VMM_SIO_SERIAL_CLOCK. */
	uint32_t clock_hz;
};

/** Initialiser for struct vmm_sio_serial_opts. */
#define VMM_SIO_SERIAL_OPTS_INIT                                           \
	{                                                                  \
		sizeof(struct vmm_sio_serial_opts), NULL, NULL, 0, 0, 0, 0 \
	}

/** Counters since vmm_sio_serial_new(). Plain data; not part of the saved state. */
struct vmm_sio_serial_stats {
	/** Size of this structure; #VMM_SIO_SERIAL_STATS_INIT sets it. */
	size_t size;
	/** Characters that the guest read from RBR. */
	uint64_t received;
	/** Bytes that went into the output ring. */
	uint64_t sent;
	/** Bytes that the guest wrote and nobody will see. */
	uint64_t dropped;
	/** Characters lost to a full receive FIFO (only in loopback). */
	uint64_t overruns;
	/** Times that the interrupt line rose. */
	uint64_t interrupts;
};

/** Initialiser for struct vmm_sio_serial_stats. */
#define VMM_SIO_SERIAL_STATS_INIT                                  \
	{                                                          \
		sizeof(struct vmm_sio_serial_stats), 0, 0, 0, 0, 0 \
	}

/** Version of struct vmm_sio_serial_state. */
#define VMM_SIO_SERIAL_STATE_VERSION 1u
/** Flags of struct vmm_sio_serial_state: a THR-empty interrupt waits to be read. */
#define VMM_SIO_SERIAL_STATE_THRI 0x01u
/** Flags of struct vmm_sio_serial_state: the guest has raised RTS before. */
#define VMM_SIO_SERIAL_STATE_RTS_SEEN 0x02u

/**
 * All that the guest can know of a UART, and the input that waits for it. Output in the
 * ring is not in it: for the guest it is sent, and the old object still hands it out.
 * Plain data.
 */
struct vmm_sio_serial_state {
	/** Size of this structure; #VMM_SIO_SERIAL_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_SERIAL_STATE_VERSION. */
	uint32_t version;
	/** VMM_SIO_SERIAL_STATE_* flags. */
	uint32_t flags;
	uint8_t ier;   /**< IER. */
	uint8_t fcr;   /**< FCR, bits 0, 3, 6 and 7. */
	uint8_t lcr;   /**< LCR. */
	uint8_t mcr;   /**< MCR. */
	uint8_t lsr;   /**< LSR, bits 1 to 4. */
	uint8_t msr;   /**< MSR. */
	uint8_t scr;   /**< SCR. */
	uint8_t dll;   /**< Low byte of the divisor. */
	uint8_t dlm;   /**< High byte of the divisor. */
	uint8_t modem; /**< The host's side of MSR bits 4 to 7. */
	/** Characters in `tx`, at most #VMM_SIO_SERIAL_FIFO, or 1 without FIFOs. */
	uint8_t tx_len;
	/** Characters in `rx`, as `tx_len`. */
	uint8_t rx_len;
	/** Characters in `queue`. */
	uint16_t queue_len;
	/** Zero. */
	uint16_t reserved_;
	/** Transmit FIFO, oldest first; the rest is 0, here and below. */
	uint8_t tx[VMM_SIO_SERIAL_FIFO];
	/** Receive FIFO: the character, and VMM_SIO_LINE_* in the upper byte. */
	uint16_t rx[VMM_SIO_SERIAL_FIFO];
	/** Input that waits for the FIFO, as `rx`. */
	uint16_t queue[VMM_SIO_SERIAL_QUEUE];
};

/** Initialiser for struct vmm_sio_serial_state. */
#define VMM_SIO_SERIAL_STATE_INIT                                                        \
	{                                                                                \
		sizeof(struct vmm_sio_serial_state), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
		    0, 0, 0, 0, { 0 }, { 0 },                                            \
		{                                                                        \
			0                                                                \
		}                                                                        \
	}

/** A UART. Opaque; owned by the caller of vmm_sio_serial_new(). */
struct vmm_sio_serial;

/**
 * Make a UART in its power-on state.
 *
 * @param opts      NULL for the defaults
 * @param[out] out  the UART, to be released with vmm_sio_serial_free()
 * @retval 0        done
 * @retval -EINVAL  a value outside what struct vmm_sio_serial_opts allows, or a `size`
 *                  that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_serial_new(const struct vmm_sio_serial_opts *opts,
					    struct vmm_sio_serial **out);

/** Release @p s; output nobody took is lost. No callback is called. NULL is allowed. */
VMM_API void vmm_sio_serial_free(struct vmm_sio_serial *s);

/**
 * Read a register for the guest.
 *
 * @param s       the UART
 * @param offset  register 0 to 7
 * @return the value; 0 for any other @p offset
 */
VMM_API uint8_t vmm_sio_serial_read(struct vmm_sio_serial *s, uint8_t offset);

/**
 * Write a register for the guest. Never blocks and makes no system call of its own.
 *
 * @param s       the UART
 * @param offset  register 0 to 7; any other is ignored
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_serial_write(struct vmm_sio_serial *s, uint8_t offset,
				  uint8_t value);

/**
 * Hand characters from the host to the guest. As many are taken as the receive FIFO and
 * a queue of #VMM_SIO_SERIAL_QUEUE behind it have room for; the guest loses none of them.
 * Once the queue was full, nothing is taken until the guest has read all of it: it must
 * leave its interrupt handler now and then.
 * In loopback, and while flow control holds the line, they wait in the queue. At most one
 * rise of the interrupt line per call.
 *
 * @param s     the UART
 * @param data  the characters
 * @param len   how many; 0 is allowed
 * @return how many were taken; when fewer than @p len, `input_ready` tells when to go on
 */
VMM_API VMM_MUST_USE size_t vmm_sio_serial_receive(struct vmm_sio_serial *s,
						   const uint8_t *data, size_t len);

/**
 * Hand one character that arrived damaged, or a break, to the guest.
 *
 * @param s         the UART
 * @param data      the character; 0 for a break
 * @param faults    VMM_SIO_LINE_*, at least one
 * @retval 0        done
 * @retval -EINVAL  @p faults is 0 or has other bits
 * @retval -EAGAIN  the queue is full; `input_ready` tells when to try again
 */
VMM_API VMM_MUST_USE int vmm_sio_serial_receive_fault(struct vmm_sio_serial *s,
						      uint8_t data, uint32_t faults);

/**
 * Tell how many characters vmm_sio_serial_receive() takes without leaving any, so that
 * a caller reads no more from its source than it can pass on.
 *
 * @param s  the UART
 * @return room in characters; when 0, `input_ready` will be called
 */
VMM_API size_t vmm_sio_serial_get_input_room(const struct vmm_sio_serial *s);

/**
 * Set the modem lines that the host drives: CTS, DSR, RI and DCD. At power-on all but RI
 * are up. In loopback the guest sees the change only after it.
 *
 * @param s      the UART
 * @param lines  VMM_SIO_MODEM_CTS to DCD; other bits are ignored
 */
VMM_API void vmm_sio_serial_set_modem(struct vmm_sio_serial *s, uint32_t lines);

/**
 * Get the output that waits, oldest first, in at most two pieces, ready for writev().
 *
 * The bytes stay in place and do not change until vmm_sio_serial_output_done(), whatever
 * is called on the object meanwhile: the caller may write them without holding its lock.
 *
 * @param s         the UART
 * @param[out] out  two entries; the first @p n are set
 * @param[out] n    0 (nothing waits), 1 or 2
 * @return bytes in all
 */
VMM_API size_t vmm_sio_serial_get_output(const struct vmm_sio_serial *s,
					 struct iovec out[2], size_t *n);

/**
 * Release the oldest @p bytes of the output that waits, and let a held guest go on.
 *
 * @param s      the UART
 * @param bytes  how many; no more are released than wait
 */
VMM_API void vmm_sio_serial_output_done(struct vmm_sio_serial *s, size_t bytes);

/**
 * Compute the baud rate that the guest has set.
 *
 * @param s  the UART
 * @return clock / (16 * divisor), rounded down; 0 for divisor 0
 */
VMM_API uint32_t vmm_sio_serial_get_baud(const struct vmm_sio_serial *s);

/** Tell the level of the interrupt line of @p s. */
VMM_API bool vmm_sio_serial_irq_is_raised(const struct vmm_sio_serial *s);

/**
 * Read the counters.
 *
 * @param s         the UART
 * @param[out] out  `size` bytes of it, as set by the caller, are filled
 */
VMM_API void vmm_sio_serial_get_stats(const struct vmm_sio_serial *s,
				      struct vmm_sio_serial_stats *out);

/**
 * Save what the guest can know of the UART. The object goes on as before.
 *
 * @param s         the UART
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_serial_save(const struct vmm_sio_serial *s,
					     struct vmm_sio_serial_state *out);

/**
 * Put a saved state in. Output that waits in the ring stays. The interrupt line drops, if
 * it was up, and rises again if the state calls for it, so that an edge is not lost;
 * modem and break changes are reported. Characters of the saved transmit FIFO move to the
 * ring as far as there is room.
 *
 * @param s                the UART
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        no UART can be in this state; @p s is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_serial_restore(struct vmm_sio_serial *s,
						const struct vmm_sio_serial_state *state,
						struct vmm_error *err);

/** @} */

/* ---- i8042 ---------------------------------------------------------------------- */

/**
 * @defgroup i8042 Keyboard controller
 *
 * An i8042 with a PS/2 keyboard (scan code set 2, translated to set 1 as the controller
 * does) and a PS/2 mouse with three buttons.
 *
 * | Offset | Access | Register                                                                                                |
 * |--------|--------|---------------------------------------------------------------------------------------------------------|
 * | 0      | r      | output buffer; the last byte again when it is empty                                                     |
 * | 0      | w      | byte to the keyboard, or the argument of the command before                                             |
 * | 4      | r      | status: 0 output full, 2 system flag, 3 last write was a command, 4 not locked, 5 output is the mouse's |
 * | 4      | w      | command, below                                                                                          |
 *
 * | Command  | What it does                                                              |
 * |----------|---------------------------------------------------------------------------|
 * | 20 to 3F | read byte 0 to 1F of the controller's memory; byte 0 is the configuration |
 * | 60 to 7F | write it                                                                  |
 * | A7 A8    | disable, enable the mouse                                                 |
 * | A9 AB    | test the mouse's and the keyboard's interface: 00, no fault               |
 * | AA       | self test: 55                                                             |
 * | AD AE    | disable, enable the keyboard                                              |
 * | C0 D0    | read the input port (80), the output port                                 |
 * | D1       | write the output port: bit 0 = 0 resets the machine, bit 1 is A20         |
 * | D2 D3    | put the argument into the output buffer as from the keyboard, the mouse   |
 * | D4       | send the argument to the mouse                                            |
 * | DD DF    | A20 off, on                                                               |
 * | E0       | read the test inputs: 00                                                  |
 * | F0 to FF | pulse output lines whose bit is 0; bit 0 resets the machine               |
 *
 * Others are ignored. Configuration: 0 keyboard interrupt, 1 mouse interrupt, 2 system
 * flag, 4 keyboard disabled, 5 mouse disabled, 6 translate; bit 7 reads 0. At power-on
 * 45, as firmware leaves it. A20 is reported, never enforced. Reading one byte while
 * another waits drops and raises the interrupt line.
 * @{
 */

#define VMM_SIO_I8042_DATA 0u	  /**< Offset of the data port (60 on a PC). */
#define VMM_SIO_I8042_COMMAND 4u  /**< Offset of status and command (64 on a PC). */
#define VMM_SIO_I8042_KEYBOARD 0u /**< Keyboard's interrupt line (ISA 1). */
#define VMM_SIO_I8042_MOUSE 1u	  /**< Mouse's interrupt line (ISA 12). */
/** Bytes that keyboard and mouse can each have waiting. */
#define VMM_SIO_I8042_QUEUE 32u
/** Answers of the controller itself that can wait. */
#define VMM_SIO_I8042_ANSWERS 6u
#define VMM_SIO_BUTTON_LEFT 0x01u   /**< For vmm_sio_i8042_move(). */
#define VMM_SIO_BUTTON_RIGHT 0x02u  /**< For vmm_sio_i8042_move(). */
#define VMM_SIO_BUTTON_MIDDLE 0x04u /**< For vmm_sio_i8042_move(). */

/** What the controller tells its owner. See the top of this file. */
struct vmm_sio_i8042_ops {
	/** Size of this structure; #VMM_SIO_I8042_OPS_INIT sets it. */
	size_t size;
	/** Line #VMM_SIO_I8042_KEYBOARD or #VMM_SIO_I8042_MOUSE changed. */
	void (*set_irq)(void *ctx, uint32_t which, bool level);
	/** The guest asks for a reset of the machine. The controller goes on as before.
	 */
	void (*reset)(void *ctx);
	/** The guest switched address line 20. */
	void (*set_a20)(void *ctx, bool on);
	/** The guest set the lamps: bit 0 scroll, 1 num, 2 caps lock. */
	void (*set_leds)(void *ctx, uint32_t leds);
};

/** Initialiser for struct vmm_sio_i8042_ops. */
#define VMM_SIO_I8042_OPS_INIT                                           \
	{                                                                \
		sizeof(struct vmm_sio_i8042_ops), NULL, NULL, NULL, NULL \
	}

/** How to make a controller. */
struct vmm_sio_i8042_opts {
	/** Size of this structure; #VMM_SIO_I8042_OPTS_INIT sets it. */
	size_t size;
	/** Callbacks, copied; NULL for none. */
	const struct vmm_sio_i8042_ops *ops;
	/** First argument of the callbacks. */
	void *ctx;
};

/** Initialiser for struct vmm_sio_i8042_opts. */
#define VMM_SIO_I8042_OPTS_INIT                               \
	{                                                     \
		sizeof(struct vmm_sio_i8042_opts), NULL, NULL \
	}

/** Version of struct vmm_sio_i8042_state. */
#define VMM_SIO_I8042_STATE_VERSION 1u

/** One PS/2 device in struct vmm_sio_i8042_state. */
struct vmm_sio_ps2_state {
	/** Command that waits for its argument, 0 for none. */
	uint8_t command;
	/** 1 while the device sends what the user does. */
	uint8_t enabled;
	/** Keyboard: scan code set 1 to 3. Mouse: resolution 0 to 3. */
	uint8_t setting;
	/** Keyboard: lamps. Mouse: buttons. */
	uint8_t lights;
	/** Typematic byte of the keyboard, sample rate of the mouse. */
	uint8_t rate;
	/** Mouse: bit 0 scaling 2:1, bit 1 remote mode, bit 2 wrap mode. Keyboard: bit 0
	 *  the byte before was F0 (translation waits for its key). */
	uint8_t mode;
	/** Byte sent last, for the command that asks for it again. */
	uint8_t last;
	/** Bytes in `queue`. */
	uint8_t queue_len;
	/** Bytes for the controller, oldest first; the rest is 0. */
	uint8_t queue[VMM_SIO_I8042_QUEUE];
};

/** All that the guest can know of the controller. Plain data. */
struct vmm_sio_i8042_state {
	/** Size of this structure; #VMM_SIO_I8042_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_I8042_STATE_VERSION. */
	uint32_t version;
	/** Command that waits for its argument on the data port, 0 for none. */
	uint8_t command;
	/** 1 if the last write was a command. */
	uint8_t last_was_command;
	/** Output port, bits 0 and 1. */
	uint8_t output_port;
	/** What fills the output buffer: 0 nothing, 1 an answer, 2 keyboard, 3 mouse. */
	uint8_t source;
	/** The byte in the output buffer, or that was in it last. */
	uint8_t output;
	/** Answers of the controller that wait. */
	uint8_t answers_len;
	/** Zero. */
	uint8_t reserved_[2];
	/** The answers, oldest first: the byte, and bit 8 for "as from the mouse". */
	uint16_t answers[VMM_SIO_I8042_ANSWERS];
	/** Memory of the controller; byte 0 is the configuration. */
	uint8_t memory[32];
	struct vmm_sio_ps2_state keyboard; /**< The keyboard. */
	struct vmm_sio_ps2_state mouse;	   /**< The mouse. */
};

/** Initialiser for struct vmm_sio_i8042_state. */
#define VMM_SIO_I8042_STATE_INIT                                                       \
	{                                                                              \
		sizeof(struct vmm_sio_i8042_state), 0, 0, 0, 0, 0, 0, 0, { 0 }, { 0 }, \
		    { 0 }, { 0, 0, 0, 0, 0, 0, 0, 0, { 0 } },                          \
		{                                                                      \
			0, 0, 0, 0, 0, 0, 0, 0,                                        \
			{                                                              \
				0                                                      \
			}                                                              \
		}                                                                      \
	}

/** A keyboard controller. Opaque; owned by the caller of vmm_sio_i8042_new(). */
struct vmm_sio_i8042;

/**
 * Make a controller with its keyboard and mouse in the power-on state.
 *
 * @param opts      NULL for the defaults
 * @param[out] out  the controller, to be released with vmm_sio_i8042_free()
 * @retval 0        done
 * @retval -EINVAL  a `size` that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_new(const struct vmm_sio_i8042_opts *opts,
					   struct vmm_sio_i8042 **out);

/** Release @p dev without calling a callback. NULL is allowed. */
VMM_API void vmm_sio_i8042_free(struct vmm_sio_i8042 *dev);

/**
 * Read a port for the guest.
 *
 * @param dev     the controller
 * @param offset  0 or 4
 * @return the value; 0 for any other @p offset
 */
VMM_API uint8_t vmm_sio_i8042_read(struct vmm_sio_i8042 *dev, uint8_t offset);

/**
 * Write a port for the guest.
 *
 * @param dev     the controller
 * @param offset  0 or 4; any other is ignored
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_i8042_write(struct vmm_sio_i8042 *dev, uint8_t offset,
				 uint8_t value);

/**
 * Type on the keyboard. Either all of it is taken or nothing.
 *
 * @param dev       the controller
 * @param codes     scan codes of set 2, as a keyboard sends them
 * @param len       how many
 * @retval 0        done; dropped if the guest has the keyboard's scanning switched off
 * @retval -EAGAIN  the keyboard's queue has no room for them now
 * @retval -E2BIG   more than #VMM_SIO_I8042_QUEUE
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_type(struct vmm_sio_i8042 *dev,
					    const uint8_t *codes, size_t len);

/**
 * Press and release Control, Alt and Delete together: a polite request to reboot.
 *
 * @param dev       the controller
 * @retval 0        done
 * @retval -EAGAIN  as vmm_sio_i8042_type()
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_ctrl_alt_del(struct vmm_sio_i8042 *dev);

/**
 * Move the mouse or change its buttons.
 *
 * @param dev       the controller
 * @param dx        to the right, in counts; cut to -255 to 255
 * @param dy        upwards, likewise
 * @param buttons   VMM_SIO_BUTTON_* that are down now
 * @retval 0        done; dropped if the guest has reporting switched off
 * @retval -EAGAIN  the mouse's queue is full
 * @retval -EINVAL  unknown bits in @p buttons
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_move(struct vmm_sio_i8042 *dev, int32_t dx,
					    int32_t dy, uint32_t buttons);

/**
 * Save what the guest can know of the controller.
 *
 * @param dev       the controller
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_save(const struct vmm_sio_i8042 *dev,
					    struct vmm_sio_i8042_state *out);

/**
 * Put a saved state in. Lines that are up drop, and rise again if the state calls for it.
 *
 * @param dev              the controller
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        no controller can be in this state; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_i8042_restore(struct vmm_sio_i8042 *dev,
					       const struct vmm_sio_i8042_state *state,
					       struct vmm_error *err);

/** @} */

/* ---- ACPI sleep and reset registers ---------------------------------------------- */

/**
 * @defgroup power Power-off and reset
 *
 * The registers that the FADT of a hardware-reduced machine names, one byte each (ACPI
 * 6.5, 4.8.3.6 and 4.8.3.7). They are dense, so one range of #VMM_SIO_POWER_PORTS serves.
 *
 * | Offset | Access | Register                                                            |
 * |--------|--------|---------------------------------------------------------------------|
 * | 0      | rw     | sleep control: 4:2 SLP_TYPx, 5 SLP_EN (reads 0); the rest reads 0   |
 * | 1      | r      | sleep status: 0, because the machine never wakes (WAK_STS is bit 7) |
 * | 2      | w      | reset: writing the reset value resets; reads 0                      |
 * @{
 */

#define VMM_SIO_POWER_SLEEP_CONTROL 0u /**< Offset of sleep control. */
#define VMM_SIO_POWER_SLEEP_STATUS 1u  /**< Offset of sleep status. */
#define VMM_SIO_POWER_RESET 2u	       /**< Offset of reset. */
/** Ports the device takes. */
#define VMM_SIO_POWER_PORTS 3u
/** Default SLP_TYPx of S5: what the `_S5` package of the DSDT must name. */
#define VMM_SIO_POWER_S5 5u
/** Default of RESET_VALUE in the FADT. */
#define VMM_SIO_POWER_RESET_VALUE 0x42u
/** The bit of sleep control that starts the transition. */
#define VMM_SIO_POWER_SLP_EN 0x20u
/** SLP_TYPx of a value of sleep control. */
#define VMM_SIO_POWER_SLP_TYP(value) (((value) >> 2) & 7u)

/** What the device tells its owner. See the top of this file. */
struct vmm_sio_power_ops {
	/** Size of this structure; #VMM_SIO_POWER_OPS_INIT sets it. */
	size_t size;
	/** The guest entered S5: it is to be switched off. */
	void (*power_off)(void *ctx);
	/** The guest asks for a reset of the machine. */
	void (*reset)(void *ctx);
	/** The guest asks for a sleep state other than S5, which it was not offered. */
	void (*other_state)(void *ctx, uint32_t slp_typ);
};

/** Initialiser for struct vmm_sio_power_ops. */
#define VMM_SIO_POWER_OPS_INIT                                     \
	{                                                          \
		sizeof(struct vmm_sio_power_ops), NULL, NULL, NULL \
	}

/** How to make the device. */
struct vmm_sio_power_opts {
	/** Size of this structure; #VMM_SIO_POWER_OPTS_INIT sets it. */
	size_t size;
	/** Callbacks, copied; NULL for none. */
	const struct vmm_sio_power_ops *ops;
	/** First argument of the callbacks. */
	void *ctx;
	/** SLP_TYPx that means S5, 0 to 7. */
	uint8_t s5_type;
	/** Value that resets. */
	uint8_t reset_value;
	/** Zero. */
	uint8_t reserved_[6];
};

/** Initialiser for struct vmm_sio_power_opts: with the two default values. */
#define VMM_SIO_POWER_OPTS_INIT                                                  \
	{                                                                        \
		sizeof(struct vmm_sio_power_opts), NULL, NULL, VMM_SIO_POWER_S5, \
		    VMM_SIO_POWER_RESET_VALUE,                                   \
		{                                                                \
			0                                                        \
		}                                                                \
	}

/** Version of struct vmm_sio_power_state. */
#define VMM_SIO_POWER_STATE_VERSION 1u

/** All that the guest can know of the device. Plain data. */
struct vmm_sio_power_state {
	/** Size of this structure; #VMM_SIO_POWER_STATE_INIT sets it. */
	size_t size;
	/** #VMM_SIO_POWER_STATE_VERSION. */
	uint32_t version;
	/** Sleep control as it reads: SLP_TYPx in bits 4:2. */
	uint8_t sleep_control;
	/** Zero. */
	uint8_t reserved_[3];
};

/** Initialiser for struct vmm_sio_power_state. */
#define VMM_SIO_POWER_STATE_INIT                          \
	{                                                 \
		sizeof(struct vmm_sio_power_state), 0, 0, \
		{                                         \
			0                                 \
		}                                         \
	}

/** The device. Opaque; owned by the caller of vmm_sio_power_new(). */
struct vmm_sio_power;

/**
 * Make the sleep and reset registers.
 *
 * @param opts      NULL for the defaults
 * @param[out] out  the device, to be released with vmm_sio_power_free()
 * @retval 0        done
 * @retval -EINVAL  `s5_type` above 7, reserved members set, or a `size` that is none
 * @retval -E2BIG   options or callbacks this library does not know are set
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_sio_power_new(const struct vmm_sio_power_opts *opts,
					   struct vmm_sio_power **out);

/** Release @p dev. NULL is allowed. */
VMM_API void vmm_sio_power_free(struct vmm_sio_power *dev);

/**
 * Read a register for the guest.
 *
 * @param dev     the device
 * @param offset  0 to 2
 * @return the value; 0 for any other @p offset
 */
VMM_API uint8_t vmm_sio_power_read(const struct vmm_sio_power *dev, uint8_t offset);

/**
 * Write a register for the guest.
 *
 * @param dev     the device
 * @param offset  0 to 2; any other is ignored
 * @param value   what the guest wrote
 */
VMM_API void vmm_sio_power_write(struct vmm_sio_power *dev, uint8_t offset,
				 uint8_t value);

/**
 * Save what the guest can know of the device.
 *
 * @param dev       the device
 * @param[out] out  the state; its `size` must be set
 * @retval 0        done
 * @retval -EINVAL  `size` is below that of version 1
 */
VMM_API VMM_MUST_USE int vmm_sio_power_save(const struct vmm_sio_power *dev,
					    struct vmm_sio_power_state *out);

/**
 * Put a saved state in. Calls no callback.
 *
 * @param dev              the device
 * @param state            the state, not trusted
 * @param err              what is wrong with it; NULL is allowed
 * @retval 0               done
 * @retval -EINVAL         `size` is below that of version 1
 * @retval -E2BIG          it holds more than this library knows
 * @retval -EOPNOTSUPP     its version is not known
 * @retval -EBADMSG        bits set that are never; @p dev is as it was
 */
VMM_API VMM_MUST_USE int vmm_sio_power_restore(struct vmm_sio_power *dev,
					       const struct vmm_sio_power_state *state,
					       struct vmm_error *err);

/** @} */

VMM_DEFINE_CLEANUP(vmm_sio_serial, vmm_sio_serial_free)
VMM_DEFINE_CLEANUP(vmm_sio_i8042, vmm_sio_i8042_free)
VMM_DEFINE_CLEANUP(vmm_sio_power, vmm_sio_power_free)

VMM_END_DECLS

#endif

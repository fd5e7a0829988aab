/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_INPUT_H
#define VMM_VIRTIO_INPUT_H

/**
 * @file vmm/virtio-input.h
 * An input device (virtio 1.2, 5.8): keys, buttons, switches, wheels, as Linux' evdev has
 * them. A power button is one with a single key. Pointers must not be NULL unless the
 * text says so.
 *
 * What happens is told as reports: some events, and behind them the mark that they belong
 * together. A report is kept until the driver has offered buffers for all of it, so that
 * one from before the driver started is not lost; a reset of the device forgets what was
 * not taken. What the driver sends, such as the state of LEDs, comes to a callback.
 *
 * The device needs no thread and no doorbell: it works on the threads that call
 * vmm_virtio_input_send() and that access its registers. Absolute axes (EV_ABS) and
 * force feedback (EV_FF) are not there.
 *
 * Its transport pauses, saves and restores it (vmm/virtio.h): reports that wait are part
 * of the state. All calls are for any thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Longest name and serial number in bytes. */
#define VMM_VIRTIO_INPUT_TEXT_MAX 128u
/** Most events in a report. */
#define VMM_VIRTIO_INPUT_REPORT_MAX 15u
/** Most events that wait for the driver, marks counted. */
#define VMM_VIRTIO_INPUT_WAITING_MAX 64u
/** Most codes of a type: codes are smaller than that. */
#define VMM_VIRTIO_INPUT_CODES_MAX 1024u

/** An input device. */
struct vmm_virtio_input;

/** Something that happened; numbers as in linux/input-event-codes.h. */
struct vmm_virtio_input_event {
	/** EV_KEY (1), EV_REL (2), EV_MSC (4), EV_SW (5), EV_LED (17) ... */
	uint16_t type;
	/** Which key, wheel and so on: KEY_POWER is 116. */
	uint16_t code;
	/** EV_KEY: 1 pressed, 0 released. */
	uint32_t value;
};

/** All codes of one type that a device has. */
struct vmm_virtio_input_codes {
	/** The type, 1 to 31. */
	uint32_t type;
	/** How many. */
	uint32_t count;
	/** The codes, each below #VMM_VIRTIO_INPUT_CODES_MAX. */
	const uint16_t *codes;
};

/** How an input device is to be. */
struct vmm_virtio_input_opts {
	/** Size of this structure. */
	size_t size;
	/** What users see. NULL: "virtio input". */
	const char *name;
	/** Serial number. NULL: none. */
	const char *serial;
	/** What the device has, each type once; copied. */
	const struct vmm_virtio_input_codes *codes;
	/** How many types, 1 or more. */
	uint32_t type_count;
	/** Size of both queues, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 64. */
	uint32_t queue_max;
	/** Who made it, for programs that want to know: bus, vendor, product, version. */
	uint16_t id[4];
	/** Further feature bits to offer, of those in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
	/** The driver sent an event. Called on the thread of a register access; must not
	 *  call back. NULL: not interested. */
	void (*status)(void *ctx, const struct vmm_virtio_input_event *event);
	/** First parameter of the callback. */
	void *ctx;
};

/** Defaults: no codes, which have to be set; the bus of virtual devices. */
#define VMM_VIRTIO_INPUT_OPTS_INIT                                                       \
	{                                                                                \
		sizeof(struct vmm_virtio_input_opts), NULL, NULL, NULL, 0, 0,            \
		    { 6, 0, 0, 1 }, VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX, \
		    NULL, NULL                                                           \
	}

/** What an input device did since it was made. */
struct vmm_virtio_input_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Events that the driver got, marks counted. */
	uint64_t events;
	/** Reports that found no room. */
	uint64_t refused;
	/** Events that the driver sent. */
	uint64_t status;
	/** Buffers that were too small, or no use. */
	uint64_t bad_buffers;
};

/**
 * Make an input device.
 *
 * @param opts      copied with all that it points to, but @p ctx
 * @param[out] out  the device, to be released with vmm_virtio_input_free()
 * @retval 0        done
 * @retval -EINVAL  no codes; a type that is 0, above 31, given twice, or EV_ABS, EV_FF; a
 *                  code or a queue size out of range
 * @retval -E2BIG   a text that is too long, or an unknown tail of @p opts
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_virtio_input_new(const struct vmm_virtio_input_opts *opts,
					      struct vmm_virtio_input **out);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_input_free(struct vmm_virtio_input *input);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_input_get_device(
    struct vmm_virtio_input *input);

/**
 * Report to the driver, all of it or nothing.
 *
 * @param input   the device
 * @param events  what happened; the mark at the end is added
 * @param count   how many, 1 to #VMM_VIRTIO_INPUT_REPORT_MAX
 * @retval 0        done: the driver has it, or will
 * @retval -EINVAL  @p count, or an event that the device does not have
 * @retval -EAGAIN  too much waits for the driver already
 */
VMM_API VMM_MUST_USE int vmm_virtio_input_send(
    struct vmm_virtio_input *input, const struct vmm_virtio_input_event *events,
    size_t count);

/** Tell the counters; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_input_get_stats(struct vmm_virtio_input *input,
					struct vmm_virtio_input_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_input, vmm_virtio_input_free)

VMM_END_DECLS

#endif

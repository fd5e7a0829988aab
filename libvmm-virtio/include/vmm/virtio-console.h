/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_CONSOLE_H
#define VMM_VIRTIO_CONSOLE_H

/**
 * @file vmm/virtio-console.h
 * A console device of one port or many (virtio 1.2, 5.3): bytes go between the driver's
 * buffers and a back end for each port, which is a pair of file descriptors or the
 * caller's own. Pointers must not be NULL unless the text says so.
 *
 * **Nothing is buffered.** Input is taken from a back end when the driver has a buffer for
 * it, and output from the driver as fast as the back end takes it: whoever is slow holds
 * the other up, and neither costs memory.
 *
 * **Who runs it.** The device has one file descriptor, vmm_virtio_console_get_fd(), which
 * is readable when there is something to do. With `opts.thread` the device has a thread
 * that waits for it, and the VMM has nothing more to do. Without, the VMM polls it in a
 * loop of its own, level-triggered, and calls vmm_virtio_console_run() when it is
 * readable.
 *
 * **Memory.** Between two runs no chain is in flight. To change the memory table, call
 * vmm_virtio_mmio_pause(), vmm_virtio_mmio_set_mem(), vmm_virtio_mmio_resume().
 *
 * **State.** The transport pauses and saves the device (vmm/virtio.h), not from a callback.
 * Saved are the size, what the driver said of its ports, and how much of a chain of output
 * went already.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Most ports. */
#define VMM_VIRTIO_CONSOLE_PORTS_MAX 32u
/** Longest name of a port in bytes. */
#define VMM_VIRTIO_CONSOLE_NAME_MAX 63u

/** A console device. */
struct vmm_virtio_console;

/**
 * A back end. Callbacks run within vmm_virtio_console_run(), one at a time; @p send for
 * port 0 also on the thread of a register access, for an emergency write. They must not
 * block and must not call back.
 */
struct vmm_virtio_console_backend {
	/** Size of this structure. */
	size_t size;
	/** Take bytes from guest memory and return how many, at least 1; -EAGAIN if there
	 *  is no room now, another negative errno value if there never will be. */
	int64_t (*send)(void *ctx, uint32_t port, const struct iovec *iov,
			uint32_t iov_n);
	/** Put bytes into guest memory and return how many; -EAGAIN if there are none now,
	 *  0 at the end, another negative errno value if there never will be any. Not
	 *  asked while the driver has no buffer or has the port closed. */
	int64_t (*recv)(void *ctx, uint32_t port, const struct iovec *iov,
			uint32_t iov_n);
};

/** A port. */
struct vmm_virtio_console_port {
	/** Where input comes from and where output goes to, for the back end that comes
	 *  with the device: may be the same, and -1 for none. Borrowed, and set not to
	 *  block. @{ */
	int in_fd;
	int out_fd;
	/** @} */
	/** Name that the driver is told, at most #VMM_VIRTIO_CONSOLE_NAME_MAX bytes; NULL:
	 *  none. */
	const char *name;
	/** A console, always open; else a port that the driver's user opens. */
	bool console;
};

/** How a console device is to be. */
struct vmm_virtio_console_opts {
	/** Size of this structure. */
	size_t size;
	/** The ports; copied. */
	const struct vmm_virtio_console_port *ports;
	/** How many, 1 to #VMM_VIRTIO_CONSOLE_PORTS_MAX. */
	uint32_t port_n;
	/** Size of the queues, 1 to #VMM_VIRTQ_SIZE_MAX; 0: 64. */
	uint32_t queue_max;
	/** Back end of the caller's instead of file descriptors; copied, may be NULL. It
	 *  calls vmm_virtio_console_wake() when there is something to do. */
	const struct vmm_virtio_console_backend *backend;
	/** First parameter of its callbacks. */
	void *backend_ctx;
	/**
	 * The back end of @p port is gone: @p code is -EPIPE at its end, or what the
	 * system said. Output is dropped until vmm_virtio_console_set_fds(). Input that
	 * ends alone, of a descriptor of its own, is not told. Called within
	 * vmm_virtio_console_run(); must not call back. NULL: not interested.
	 */
	void (*closed)(void *ctx, uint32_t port, int code);
	/** First parameter of @p closed. */
	void *closed_ctx;
	/** Further feature bits to offer, of those in vmm/virtq.h. */
	uint64_t features;
	/** Size of the console at first; 0: not known. @{ */
	uint16_t cols;
	uint16_t rows;
	/** @} */
	/** Offer MULTIPORT. Needed for more than one port; without, @p name is not told and
	 *  port 0 is a console. */
	bool multiport;
	/** Have a thread of the device run it. */
	bool thread;
};

/** Defaults: no port, which has to be set. */
#define VMM_VIRTIO_CONSOLE_OPTS_INIT                                                  \
	{                                                                             \
		sizeof(struct vmm_virtio_console_opts), NULL, 0, 0, NULL, NULL, NULL, \
		    NULL, VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX, 0, 0,  \
		    false, false                                                      \
	}

/** What a device met since it was made; survives a reset. */
struct vmm_virtio_console_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Bytes that the driver got. */
	uint64_t rx_bytes;
	/** Bytes that went to back ends. */
	uint64_t tx_bytes;
	/** Bytes of the driver that met no back end. */
	uint64_t tx_dropped;
	/** Times that input had to wait for a buffer. */
	uint64_t rx_starved;
	/** Times that output had to wait for a back end. */
	uint64_t tx_blocked;
	/** Chains that were malformed or in the wrong direction. */
	uint64_t bad_chains;
	/** Messages of the driver that were understood, and that were not. @{ */
	uint64_t ctrl_ok;
	uint64_t ctrl_err;
	/** @} */
	/** Bytes that were written in an emergency. */
	uint64_t emergency;
};

/**
 * Make a console device.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_console_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  no port, more than one without `multiport`, a number out of range
 * @retval -E2BIG   a name that is too long, or an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; codes of fcntl(), eventfd() and the like as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_console_new(
    const struct vmm_virtio_console_opts *opts, struct vmm_virtio_console **out,
    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_console_free(struct vmm_virtio_console *console);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_console_get_device(
    struct vmm_virtio_console *console);

/** Return the file descriptor that is readable when vmm_virtio_console_run() has
 *  something to do. The device's. */
VMM_API int vmm_virtio_console_get_fd(const struct vmm_virtio_console *console);

/** Return the eventfd that notifies about any queue, for ioeventfds. The device's. */
VMM_API int vmm_virtio_console_get_doorbell(const struct vmm_virtio_console *console);

/**
 * Move bytes and messages, at most as many chains of each queue as it is long, and about
 * a MiB of output of each port. If there is more, the file descriptor stays readable. Any thread; a call on a device that its
 * driver did not start does nothing.
 */
VMM_API void vmm_virtio_console_run(struct vmm_virtio_console *console);

/** Make the file descriptor readable. Any thread, also within a callback. */
VMM_API void vmm_virtio_console_wake(struct vmm_virtio_console *console);

/**
 * Take other file descriptors for a port, and tell the driver that somebody is there, or
 * that nobody is.
 *
 * @param console   the device, with the back end of its own
 * @param port      the port
 * @param in_fd     borrowed and set not to block; -1: none
 * @param out_fd    likewise; may be the same
 * @retval 0        done
 * @retval -EINVAL  no such port, a back end of the caller's; codes of the system as they
 *                  are. The port is without a back end then.
 */
VMM_API VMM_MUST_USE int vmm_virtio_console_set_fds(struct vmm_virtio_console *console,
						    uint32_t port, int in_fd, int out_fd);

/**
 * Tell the driver that the size of port 0 has changed.
 *
 * @param console    the device
 * @param transport  that carries it
 * @param cols       columns
 * @param rows       rows
 * @retval 0         done
 * @retval -EINVAL   the transport carries another device
 */
VMM_API VMM_MUST_USE int vmm_virtio_console_set_size(
    struct vmm_virtio_console *console, struct vmm_virtio_transport *transport,
    uint16_t cols, uint16_t rows);

/**
 * Tell the counters.
 *
 * @param console      the device
 * @param[in,out] out  @p size as input; at most that much is written
 */
VMM_API void vmm_virtio_console_get_stats(struct vmm_virtio_console *console,
					  struct vmm_virtio_console_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_console, vmm_virtio_console_free)

VMM_END_DECLS

#endif

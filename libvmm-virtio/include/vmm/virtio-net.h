/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_NET_H
#define VMM_VIRTIO_NET_H

/**
 * @file vmm/virtio-net.h
 * A network device (virtio 1.2, 5.1): frames go between the driver's buffers and a back
 * end, which is a TAP interface, a socket or one of the caller's own, without a copy in
 * between. Pointers must not be NULL unless the text says so.
 *
 * **Who runs it.** Each pair of queues has one file descriptor, vmm_virtio_net_get_fd(),
 * which is readable when there is something to do: a notification, frames or room in the
 * back end, a rate limit that allows more. With `opts.threads` the device has threads that
 * wait for these, and the VMM has nothing more to do. Without, the VMM polls them in a
 * loop of its own, level-triggered, and calls vmm_virtio_net_run() for each that is
 * readable. Pairs are independent of each other.
 *
 * **Memory.** Between two runs no chain is in flight. To change the memory table, call
 * vmm_virtio_mmio_pause(), vmm_virtio_mmio_set_mem(), vmm_virtio_mmio_resume().
 *
 * **State.** The transport pauses and saves the device (vmm/virtio.h): frames wait in the
 * back end meanwhile; not from a callback of it. Saved are the link and what the driver set:
 * address, filters, offloads, pairs.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vmm/base.h>
#include <vmm/virtio-rate.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** Most pairs of queues. */
#define VMM_VIRTIO_NET_PAIRS_MAX 64u
/** Longest frame, from its destination address on. */
#define VMM_VIRTIO_NET_FRAME_MAX 65550u
/** Shortest frame. */
#define VMM_VIRTIO_NET_FRAME_MIN 14u
/** Length of the header in front of a frame (struct virtio_net_hdr, 5.1.6). */
#define VMM_VIRTIO_NET_HEADER_LEN 12u
/** Most entries in the driver's two tables of addresses together. */
#define VMM_VIRTIO_NET_MACS_MAX 64u

/** Kinds of back end that come with the device. @{ */
/** None of these: VMM_VIRTIO_NET_OPTS_INIT, with a back end of the caller's. */
#define VMM_VIRTIO_NET_OTHER 0u
/** TAP interface opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR. */
#define VMM_VIRTIO_NET_TAP 1u
/** Stream socket; each frame follows its length in 4 bytes, big-endian (`passt`). */
#define VMM_VIRTIO_NET_STREAM 2u
/** Datagram socket, connected; one frame each. */
#define VMM_VIRTIO_NET_DATAGRAM 3u
/** @} */

/** Offloads: features that a back end has to take part in (5.1.3). @{ */
#define VMM_VIRTIO_NET_F_CSUM (UINT64_C(1) << 0)
#define VMM_VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VMM_VIRTIO_NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define VMM_VIRTIO_NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define VMM_VIRTIO_NET_F_GUEST_ECN (UINT64_C(1) << 9)
#define VMM_VIRTIO_NET_F_GUEST_UFO (UINT64_C(1) << 10)
#define VMM_VIRTIO_NET_F_HOST_TSO4 (UINT64_C(1) << 11)
#define VMM_VIRTIO_NET_F_HOST_TSO6 (UINT64_C(1) << 12)
#define VMM_VIRTIO_NET_F_HOST_ECN (UINT64_C(1) << 13)
#define VMM_VIRTIO_NET_F_HOST_UFO (UINT64_C(1) << 14)
#define VMM_VIRTIO_NET_F_GUEST_USO4 (UINT64_C(1) << 54)
#define VMM_VIRTIO_NET_F_GUEST_USO6 (UINT64_C(1) << 55)
#define VMM_VIRTIO_NET_F_HOST_USO (UINT64_C(1) << 56)
/** @} */

/** A network device. */
struct vmm_virtio_net;

/**
 * A back end. Callbacks run within vmm_virtio_net_run(), with one call for each pair at a
 * time; they must not block and must not call back. @p set_offloads and @p set_pairs may
 * also run on the thread of a register access.
 */
struct vmm_virtio_net_backend {
	/** Size of this structure. */
	size_t size;
	/** Offloads that it can do, of the bits above; needs @p header. */
	uint64_t offloads;
	/** Frames have #VMM_VIRTIO_NET_HEADER_LEN bytes in front, in both directions. What
	 *  is sent was checked against the frame and the negotiated features. */
	bool header;
	/**
	 * Send one frame, which is in guest memory and can change while it is looked at.
	 * Return 0 or more if it went; -EAGAIN if there is no room now; -EPIPE if there
	 * never will be; another negative errno value if only this frame is lost.
	 */
	int64_t (*send)(void *ctx, uint32_t pair, const struct iovec *iov,
			uint32_t iov_n);
	/**
	 * Receive one frame and return its length, the header included, also if that is
	 * more than there was room for; 0 if there was something that is no frame;
	 * -EAGAIN if there is nothing now; another negative errno value if there never
	 * will be.
	 */
	int64_t (*recv)(void *ctx, uint32_t pair, const struct iovec *iov,
			uint32_t iov_n);
	/** Return what is readable and writable, as poll(2) has it, when @p recv and
	 *  @p send have something to do; borrowed for the life of the device. NULL: call
	 *  vmm_virtio_net_wake() instead. */
	int (*get_fd)(void *ctx, uint32_t pair);
	/** The driver takes frames with these offloads of VMM_VIRTIO_NET_F_GUEST_* from
	 *  now on. Return 0 or a negative errno value. NULL: not interested. */
	int (*set_offloads)(void *ctx, uint64_t offloads);
	/** The first @p pair_n pairs are in use from now on. Return 0 or a negative errno
	 *  value. NULL: not interested. */
	int (*set_pairs)(void *ctx, uint32_t pair_n);
};

/** How a network device is to be. */
struct vmm_virtio_net_opts {
	/** Size of this structure. */
	size_t size;
	/** One of VMM_VIRTIO_NET_TAP and so on. */
	uint32_t kind;
	/** Number of pairs, 1 to #VMM_VIRTIO_NET_PAIRS_MAX; 0: 1. */
	uint32_t pair_n;
	/** TAP or sockets, one for each pair; borrowed, and set not to block. -1 is
	 *  allowed for a socket that vmm_virtio_net_set_fd() brings later. */
	const int *fds;
	/** Back end of the caller's, for VMM_VIRTIO_NET_OTHER; copied. */
	const struct vmm_virtio_net_backend *backend;
	/** First parameter of its callbacks. */
	void *backend_ctx;
	/**
	 * The back end of @p pair is gone, for reason @p code: -EPIPE if the peer closed,
	 * -EBADMSG if it does not keep to the framing, or what the system said. Frames of
	 * the driver are dropped until vmm_virtio_net_set_fd(). Called within
	 * vmm_virtio_net_run(); must not call back. NULL: not interested.
	 */
	void (*closed)(void *ctx, uint32_t pair, int code);
	/** First parameter of @p closed. */
	void *closed_ctx;
	/** Offloads to offer, as far as the back end can do them. */
	uint64_t offloads;
	/** Further feature bits to offer, of those in vmm/virtq.h. */
	uint64_t features;
	/** Size of the queues, 2 to #VMM_VIRTQ_SIZE_MAX; 0: 256. */
	uint32_t queue_max;
	/** Threads that run the pairs, at most @p pair_n; 0: the VMM does. */
	uint32_t threads;
	/** MTU that the driver is told, 68 to 65535; 0: none is. */
	uint16_t mtu;
	/** Address that the driver is told; not a group's. All 0: none is. */
	uint8_t mac[6];
	/** Limits for what the driver receives and for what it sends, an operation for each
	 *  frame; borrowed, NULL: none. @{ */
	struct vmm_virtio_rate *rx_rate;
	struct vmm_virtio_rate *tx_rate;
	/** @} */
};

/** Defaults: no back end, which has to be set. */
#define VMM_VIRTIO_NET_OPTS_INIT                                                        \
	{                                                                               \
		sizeof(struct vmm_virtio_net_opts), 0, 0, NULL, NULL, NULL, NULL, NULL, \
		    UINT64_MAX, VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX, 0, \
		    0, 0, { 0, 0, 0, 0, 0, 0 }, NULL, NULL                              \
	}

/** What a device met since it was made; survives a reset. */
struct vmm_virtio_net_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Frames and bytes that the driver got. @{ */
	uint64_t rx_frames;
	uint64_t rx_bytes;
	/** @} */
	/** Frames from the back end that were longer than the driver's buffers, shorter
	 *  or longer than a frame can be, or came while the link was down. */
	uint64_t rx_dropped;
	/** Frames that the driver's filter does not let through. */
	uint64_t rx_filtered;
	/** Times that frames had to wait for buffers. */
	uint64_t rx_starved;
	/** Frames and bytes that went to the back end. @{ */
	uint64_t tx_frames;
	uint64_t tx_bytes;
	/** @} */
	/** Frames of the driver with a header or a length that cannot be. */
	uint64_t tx_malformed;
	/** Frames of the driver that the back end lost, or that met none. */
	uint64_t tx_dropped;
	/** Times that frames had to wait for the back end. */
	uint64_t tx_blocked;
	/** Chains that were malformed, in the wrong direction or too short. */
	uint64_t bad_chains;
	/** Times that a rate limit made frames wait. */
	uint64_t limited;
	/** Commands of the control queue that were done, and that were not. @{ */
	uint64_t ctrl_ok;
	uint64_t ctrl_err;
	/** @} */
};

/**
 * Make a network device.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_net_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  no back end or two, a number out of range, a TAP of the wrong flags
 * @retval -E2BIG   an unknown tail of @p opts
 * @retval -ENOMEM  out of memory; codes of ioctl(), eventfd() and the like as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_new(const struct vmm_virtio_net_opts *opts,
					    struct vmm_virtio_net **out,
					    struct vmm_error *err);

/** Release a device whose transport is gone. NULL is allowed. */
VMM_API void vmm_virtio_net_free(struct vmm_virtio_net *net);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_net_get_device(
    struct vmm_virtio_net *net);

/** Return the file descriptor that is readable when vmm_virtio_net_run() has something
 *  to do for @p pair, or -1 if there is no such pair. The device's. */
VMM_API int vmm_virtio_net_get_fd(const struct vmm_virtio_net *net, uint32_t pair);

/**
 * Return the eventfd that notifies about queue @p queue, for an ioeventfd, or -1 if there
 * is no such queue. The device's. Ask at activation: which queue is the control queue
 * depends on the features (5.1.2).
 */
VMM_API int vmm_virtio_net_get_doorbell(const struct vmm_virtio_net *net, uint32_t queue);

/**
 * Move frames of a pair in both directions, and for pair 0 do what the control queue
 * asks for: at most as many of each as the queue is long. If there is more, the file
 * descriptor stays readable. Any thread; a call for a pair that its driver did not start
 * does nothing.
 */
VMM_API void vmm_virtio_net_run(struct vmm_virtio_net *net, uint32_t pair);

/** Make the file descriptor of @p pair readable. Any thread, also within a callback. */
VMM_API void vmm_virtio_net_wake(struct vmm_virtio_net *net, uint32_t pair);

/**
 * Take another TAP or socket for a pair, after the peer of the old one has gone, say.
 * Frames of which the old one had a part are forgotten.
 *
 * @param net       the device, with a back end of its own
 * @param pair      the pair
 * @param fd        borrowed and set not to block; -1: none
 * @retval 0        done
 * @retval -EINVAL  no such pair, a back end of the caller's, a TAP of other flags; codes
 *                  of the system as they are. The pair is without a back end then.
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_set_fd(struct vmm_virtio_net *net, uint32_t pair,
					       int fd);

/**
 * Say that the link is up or down; it is up at first. While it is down, frames are
 * dropped in both directions.
 *
 * @param net        the device
 * @param transport  that carries it
 * @param up         so
 * @retval 0         done
 * @retval -EINVAL   the transport carries another device
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_set_link(struct vmm_virtio_net *net,
						 struct vmm_virtio_transport *transport,
						 bool up);

/**
 * Ask the driver to announce its address to the network, after a migration (5.1.6.5.4).
 *
 * @param net           the device
 * @param transport     that carries it
 * @retval 0            asked
 * @retval -EOPNOTSUPP  the driver does not know how
 * @retval -EINVAL      the transport carries another device
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_announce(struct vmm_virtio_net *net,
						 struct vmm_virtio_transport *transport);

/**
 * Tell the counters, of all pairs together.
 *
 * @param net          the device
 * @param[in,out] out  @p size as input; at most that much is written
 */
VMM_API void vmm_virtio_net_get_stats(struct vmm_virtio_net *net,
				      struct vmm_virtio_net_stats *out);

/**
 * Open a TAP interface, or make one, as the device needs it.
 *
 * @param name      of the interface, 1 to 15 bytes, none of them a blank, `/`, `:` or `%`
 * @param pair_n    how many pairs
 * @param[out] fds  @p pair_n file descriptors, the caller's to close
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  a number or a name out of range; codes of open() and ioctl() as they
 *                  are: -EPERM without CAP_NET_ADMIN, -EBUSY if somebody else has it
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_open_tap(const char *name, uint32_t pair_n,
						 int *fds, struct vmm_error *err);

/**
 * Connect to a Unix stream socket for #VMM_VIRTIO_NET_STREAM, as of `passt --socket`. Does
 * not wait for somebody to accept.
 *
 * @param path         of the socket, at most 107 bytes; messages start with it
 * @param[out] out_fd  the descriptor, the caller's to close
 * @param[out] err     detail on failure, one line; may be NULL
 * @retval 0           done
 * @retval -E2BIG      the path is too long
 * @retval -EINVAL     there is none
 * @retval -EAGAIN     too many wait there already
 * @return codes of socket() and connect() as they are
 */
VMM_API VMM_MUST_USE int vmm_virtio_net_connect_stream(const char *path, int *out_fd,
						       struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_virtio_net, vmm_virtio_net_free)

VMM_END_DECLS

#endif

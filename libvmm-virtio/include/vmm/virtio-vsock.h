/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_VIRTIO_VSOCK_H
#define VMM_VIRTIO_VSOCK_H

/**
 * @file vmm/virtio-vsock.h
 * A socket device (virtio 1.2, 5.10): connections between programs in the guest and
 * programs on the host, which meet the device at Unix sockets. Streams and, if offered,
 * packets that keep their borders (SEQPACKET). Pointers must not be NULL unless the text
 * says so.
 *
 * From the host: connect to `path`, write `CONNECT <guest port>\n`, read
 * `OK <host port>\n`, and the connection is open; on a refusal it is closed instead. For
 * packets, connect a SOCK_SEQPACKET socket to `seqpacket_path`; each line is a packet.
 *
 * From the guest: a connection to port P of CID 2 is one to the socket `path_P`, of the
 * same type.
 *
 * Queues: 0 to the guest (rx), 1 from it (tx), 2 events. Requests and what is done with
 * them:
 * - A packet is a header of 44 bytes and data, laid out over buffers as the driver
 *   likes. One that is cut short, says more data than there is, or comes from or goes to
 *   another CID is dropped.
 * - An unknown type or operation, and anything for a connection that does not exist, is
 *   answered with RST; RST itself is not.
 * - Data beyond the credit that the guest has, behind its own end of stream, or before
 *   the connection is open, closes it with RST. So do a second REQUEST, and a RESPONSE
 *   that was not asked for.
 * - Credit is `buf_alloc - (sent - fwd_cnt)`, nothing if that is below 0. A `fwd_cnt` of
 *   bytes that were never sent, or that goes back, is ignored.
 *
 * A host program that closes its socket is reported by SHUTDOWN, which ends in one
 * direction only if it was shutdown(2) for that; a guest that has been told both has 2
 * seconds to say RST. A shutdown by the guest reaches the host program behind its last
 * byte.
 *
 * The device has a thread from activation to reset, unless `opts.no_thread`; then the VMM
 * polls vmm_virtio_vsock_get_fd() for reading and calls vmm_virtio_vsock_run(). Nothing
 * that a guest or a host program does makes it wait: what cannot go on is remembered, in
 * bounded memory, while everybody else is served. All calls are for any thread.
 *
 * Its transport pauses and saves it (vmm/virtio.h). Connections do not survive a restore:
 * the driver is told (TRANSPORT_RESET), reads the CID anew, which is that of the options, and
 * nothing else happens until it gives the event's buffer back.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/virtio.h>

VMM_BEGIN_DECLS

/** CID of the host. */
#define VMM_VIRTIO_VSOCK_HOST_CID 2u
/** Most connections, and how many there may be if the options do not say. */
#define VMM_VIRTIO_VSOCK_CONNECTIONS_MAX 1023u
/** Most host programs that have connected and said nothing yet. */
#define VMM_VIRTIO_VSOCK_HALF_OPEN_MAX 128u
/** Buffer for each connection towards the host, if the options do not say. */
#define VMM_VIRTIO_VSOCK_BUFFER 65536u
/** Largest such buffer. */
#define VMM_VIRTIO_VSOCK_BUFFER_MAX (1u << 20)
/** Longest path of a socket; its port takes up to 11 bytes more. */
#define VMM_VIRTIO_VSOCK_PATH_MAX 96u

/** Features to offer (virtio 1.2, 5.10.3). @{ */
#define VMM_VIRTIO_VSOCK_F_STREAM (UINT64_C(1) << 0)
#define VMM_VIRTIO_VSOCK_F_SEQPACKET (UINT64_C(1) << 1)
/** @} */

/** A socket device. */
struct vmm_virtio_vsock;

/** How a socket device is to be. */
struct vmm_virtio_vsock_opts {
	/** Size of this structure. */
	size_t size;
	/** CID of the guest, 3 to 2^32 - 2. */
	uint64_t cid;
	/** Socket for streams, at most #VMM_VIRTIO_VSOCK_PATH_MAX bytes; made at once,
	 *  and removed with the device. It must not exist, but as a socket to which
	 *  nobody listens, left by a process that was killed, which is replaced. */
	const char *path;
	/** The same for packets; NULL: guests may open such connections, hosts not. */
	const char *seqpacket_path;
	/**
	 * Open a connection that the guest asks for: return a connected, non-blocking
	 * stream (@p type 1) or packet (2) socket, which the device closes, or a negative
	 * errno value. Called with a lock held: must not call back, and must not wait.
	 * NULL: connect to `path_port`.
	 */
	int (*connect)(void *ctx, uint32_t port, uint32_t type);
	/** First parameter of @p connect. */
	void *ctx;
	/** Most connections at a time; 0 for #VMM_VIRTIO_VSOCK_CONNECTIONS_MAX. */
	uint32_t connections_max;
	/** Bytes of a connection that wait for a slow host program, 4096 to
	 *  #VMM_VIRTIO_VSOCK_BUFFER_MAX; 0 for #VMM_VIRTIO_VSOCK_BUFFER. Also the longest
	 *  packet of a SEQPACKET connection. */
	uint32_t buffer;
	/** Milliseconds that each side has to answer while a connection opens or closes;
	 *  0 for 2000. */
	uint32_t timeout_ms;
	/** Size of each queue, 1 to #VMM_VIRTQ_SIZE_MAX; 0 for 256. */
	uint32_t queue_max;
	/** Feature bits to offer, of those above and in vmm/virtq.h. RING_RESET works. */
	uint64_t features;
	/** The VMM calls vmm_virtio_vsock_run(). */
	bool no_thread;
};

/** Defaults: no CID and no path, which have to be set. */
#define VMM_VIRTIO_VSOCK_OPTS_INIT                                                     \
	{                                                                              \
		sizeof(struct vmm_virtio_vsock_opts), 0, NULL, NULL, NULL, NULL, 0, 0, \
		    0, 0,                                                              \
		    VMM_VIRTIO_VSOCK_F_STREAM | VMM_VIRTIO_F_INDIRECT_DESC |           \
			VMM_VIRTIO_F_EVENT_IDX,                                        \
		    false                                                              \
	}

/** What a device did since it was made. */
struct vmm_virtio_vsock_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Connections now, those that are opening or closing included. */
	uint64_t connections;
	/** Connections opened by the guest, and by the host. @{ */
	uint64_t opened_by_guest;
	uint64_t opened_by_host;
	/** @} */
	/** Connections asked for and not opened. */
	uint64_t refused;
	/** Connections that ended because someone did not answer in time. */
	uint64_t timeouts;
	/** Packets and bytes of data from the guest, and to it. @{ */
	uint64_t from_guest_packets;
	uint64_t from_guest_bytes;
	uint64_t to_guest_packets;
	uint64_t to_guest_bytes;
	/** @} */
	/** Packets that were dropped. */
	uint64_t bad_packets;
	/** Connections that broke the rules, and were closed for it. */
	uint64_t violations;
	/** Values of fwd_cnt that cannot be. */
	uint64_t bad_credits;
	/** RST packets, of connections that do not exist, for which there was no room. */
	uint64_t dropped_resets;
	/** Times that something for the guest had to wait for its buffers. */
	uint64_t starved;
};

/**
 * Make a socket device, and its sockets. Host programs may connect at once, and are served
 * when the guest's driver is there.
 *
 * @param opts      copied
 * @param[out] out  the device, to be released with vmm_virtio_vsock_free()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval -EINVAL  neither path nor @p connect, or a value out of range
 * @retval -E2BIG   a path is too long, or an unknown tail of @p opts
 * @retval -EADDRINUSE  somebody listens at a path, or it is no socket
 * @retval -ENOMEM  out of memory; other codes of bind(2), eventfd(2) and so on
 */
VMM_API VMM_MUST_USE int vmm_virtio_vsock_new(const struct vmm_virtio_vsock_opts *opts,
					      struct vmm_virtio_vsock **out,
					      struct vmm_error *err);

/** Close all connections, remove the sockets and release a device whose transport is
 *  gone. NULL is allowed. */
VMM_API void vmm_virtio_vsock_free(struct vmm_virtio_vsock *vsock);

/** Return what a transport needs to carry the device; valid as long as it. */
VMM_API const struct vmm_virtio_device *vmm_virtio_vsock_get_device(
    struct vmm_virtio_vsock *vsock);

/** Return the eventfd that is the doorbell of queue @p index, 0 to 2, for an ioeventfd;
 *  else -1. It stays the device's. */
VMM_API int vmm_virtio_vsock_get_doorbell(struct vmm_virtio_vsock *vsock, uint32_t index);

/** Return the descriptor that is readable while vmm_virtio_vsock_run() has something to
 *  do. It stays the device's. */
VMM_API int vmm_virtio_vsock_get_fd(struct vmm_virtio_vsock *vsock);

/** Do what there is to do, without waiting; not for a device with a thread. */
VMM_API void vmm_virtio_vsock_run(struct vmm_virtio_vsock *vsock);

/** Tell the counters; at most `out->size` bytes are written. */
VMM_API void vmm_virtio_vsock_get_stats(struct vmm_virtio_vsock *vsock,
					struct vmm_virtio_vsock_stats *out);

VMM_DEFINE_CLEANUP(vmm_virtio_vsock, vmm_virtio_vsock_free)

VMM_END_DECLS

#endif

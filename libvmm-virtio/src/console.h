/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <vmm/virtio-console.h>

#include "device-state.h"
#include "fair-lock.h"
#include "net-thread.h"

/* Features (virtio 1.2, 5.3.3). */
#define CONSOLE_F_SIZE (UINT64_C(1) << 0)
#define CONSOLE_F_MULTIPORT (UINT64_C(1) << 1)
#define CONSOLE_F_EMERG_WRITE (UINT64_C(1) << 2)

/* Configuration space (5.3.4). */
#define CONSOLE_CONFIG_LEN 12u
#define CONSOLE_CONFIG_SIZE 0u
#define CONSOLE_CONFIG_PORTS 4u
#define CONSOLE_CONFIG_EMERG 8u

/* Events of messages (5.3.6.2). */
#define CONSOLE_DEVICE_READY 0u
#define CONSOLE_PORT_ADD 1u
#define CONSOLE_PORT_READY 3u
#define CONSOLE_CONSOLE_PORT 4u
#define CONSOLE_RESIZE 5u
#define CONSOLE_PORT_OPEN 6u
#define CONSOLE_PORT_NAME 7u
#define CONSOLE_MESSAGE_LEN 8u
/* Those that the device sends. */
#define CONSOLE_MESSAGES                                                              \
	(1u << CONSOLE_PORT_ADD | 1u << CONSOLE_CONSOLE_PORT | 1u << CONSOLE_RESIZE | \
	 1u << CONSOLE_PORT_OPEN | 1u << CONSOLE_PORT_NAME)

/* The queues in front of those of port 1 (5.3.2). */
#define CONSOLE_CTRL_RX 2u
#define CONSOLE_CTRL_TX 3u
#define CONSOLE_QUEUES_MAX (2u * (VMM_VIRTIO_CONSOLE_PORTS_MAX + 1))

/* A chain of more pieces than this is refused. */
#define CONSOLE_IOVECS 512u

struct console_port {
	char name[VMM_VIRTIO_CONSOLE_NAME_MAX + 1];
	bool console;
	/* What the driver said. */
	bool ready, open;
	/* Messages that the driver has still to get: a bit for each, so that no driver
	 * makes them many. */
	uint32_t messages;
	/* Bytes of the oldest chain of output that went already. */
	uint64_t done;
	/* The back end is gone; it had nothing to receive, and did not say since that it
	 * has. */
	bool closed, dry;
	int in_fd, out_fd;
};

struct vmm_virtio_console {
	struct vmm_virtio_device device;
	struct vmm_virtio_console_backend backend;
	void *backend_ctx;
	bool builtin;
	void (*closed)(void *ctx, uint32_t port, int code);
	void *closed_ctx;
	struct vmm_virtio_transport *transport;
	struct fair_lock lock;
	/* Negotiated; 0 while not active. */
	uint64_t features;
	uint64_t offered;
	uint16_t cols, rows;
	struct console_state pending;
	bool has_pending, paused;
	/* Of all in the order of 5.3.2; NULL while the driver does not use it. */
	struct vmm_virtq *vqs[CONSOLE_QUEUES_MAX];
	struct vmm_virtq *const *queues;
	uint32_t queue_n;

	/* As for the network device: edge-triggered, and one look takes all off. */
	int epoll_fd, event_fd;
	bool again;
	/* The port whose turn is first. */
	uint32_t first;
	struct net_thread thread;
	bool has_thread;
	struct iovec iov[CONSOLE_IOVECS];
	struct vmm_virtio_console_stats stats;
	uint8_t config[CONSOLE_CONFIG_LEN];
	uint8_t writable[CONSOLE_CONFIG_LEN];
	uint16_t queue_max[CONSOLE_QUEUES_MAX];
	uint32_t port_n;
	struct console_port ports[VMM_VIRTIO_CONSOLE_PORTS_MAX];
};

/* console-io.c; the lock is held, but for the last. */
int console_watch(struct vmm_virtio_console *c, uint32_t port, int in_fd, int out_fd);
void console_unwatch(struct vmm_virtio_console *c, uint32_t port);
void console_emergency(struct vmm_virtio_console *c, uint8_t byte);
void console_run(void *ctx, uint32_t number);
int64_t console_fd_send(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n);
int64_t console_fd_recv(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n);
void console_signal(struct vmm_virtio_console *c, uint32_t queue);
/* Pop from a queue; counts and judges what goes wrong. */
int console_pop(struct vmm_virtio_console *c, uint32_t queue,
		struct vmm_virtq_chain *chain);
void console_use(struct vmm_virtio_console *c, uint32_t queue, uint64_t token,
		 uint32_t len);
void console_undo(struct vmm_virtio_console *c, uint32_t queue, uint64_t token);

/* console-ctrl.c; the lock is held. */
void console_ctrl_serve(struct vmm_virtio_console *c);
void console_tell(struct vmm_virtio_console *c, uint32_t port, uint32_t event);

/* console-state.c; for the first, the lock is held. */
int console_state_apply(struct vmm_virtio_console *c);
int64_t console_save(void *ctx, void *buf, size_t size);
/* Take a state, for an activation with @p features, 0: for none. */
int console_load(struct vmm_virtio_console *c, uint64_t features, const void *data,
		 size_t len);

/* What a run may still take after a chain: nothing if somebody wants the lock. */
static inline uint32_t console_budget(const struct vmm_virtio_console *c, uint32_t budget)
{
	return fair_is_wanted(&c->lock) ? 0 : budget - 1;
}

static inline uint32_t console_queue(uint32_t port)
{
	return port == 0 ? 0 : 2 * port + 2;
}

#endif

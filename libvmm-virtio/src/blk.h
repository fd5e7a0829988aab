/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BLK_H
#define BLK_H

#include <pthread.h>

#include <vmm/virtio-blk.h>

/* Features (virtio 1.2, 5.2.3). */
#define BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define BLK_F_RO (UINT64_C(1) << 5)
#define BLK_F_BLK_SIZE (UINT64_C(1) << 6)
#define BLK_F_FLUSH (UINT64_C(1) << 9)
#define BLK_F_CONFIG_WCE (UINT64_C(1) << 11)
#define BLK_F_MQ (UINT64_C(1) << 12)
#define BLK_F_DISCARD (UINT64_C(1) << 13)
#define BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

/* Request types and status (5.2.6). */
#define BLK_T_IN 0u
#define BLK_T_OUT 1u
#define BLK_T_FLUSH 4u
#define BLK_T_GET_ID 8u
#define BLK_T_DISCARD 11u
#define BLK_T_WRITE_ZEROES 13u
#define BLK_S_OK 0
#define BLK_S_IOERR 1
#define BLK_S_UNSUPP 2

#define BLK_HEADER_LEN 16u
#define BLK_RANGE_LEN 16u
/* Sectors in one discard or write of zeroes: 2 GiB. */
#define BLK_RANGE_SECTORS 0x400000u

/* Data, header and status, and some for borders between memory regions. */
#define BLK_IOVECS (VMM_VIRTIO_BLK_SEG_MAX + 2u + 16u)

/* Configuration space (5.2.4). */
#define BLK_CONFIG_LEN 60u
#define BLK_CONFIG_WRITEBACK 32u

struct blk_queue;

struct blk_request {
	struct vmm_virtio_blk_io io;
	struct blk_queue *queue;
	uint64_t token;
	/* Last writable byte of the chain. */
	uint8_t *status;
	/* Bytes written if all goes well, the status included. */
	uint32_t ok_len;
	struct iovec iov[BLK_IOVECS];
};

struct blk_queue {
	struct vmm_virtio_blk *blk;
	uint32_t index;
	/* Recursive: a back end may complete within submit. */
	pthread_mutex_t lock;
	/* NULL while the driver does not use the queue. */
	struct vmm_virtq *vq;
	/* In vmm_virtio_blk_run(), which looks after interrupts at its end. */
	bool running;
	/* A reset is under way: start nothing. */
	bool stopping;
	/* The back end had no room; try again when something completes. */
	bool starved;
	struct blk_request *requests;
	struct blk_request **free;
	uint32_t free_n;
	uint32_t request_n;
};

struct vmm_virtio_blk {
	struct vmm_virtio_device device;
	struct vmm_virtio_blk_backend backend;
	void *backend_ctx;
	void (*wake)(void *ctx, uint32_t queue);
	void *wake_ctx;
	struct vmm_virtio_transport *transport;
	/* Negotiated. */
	uint64_t features;
	uint64_t sectors;
	int fd;
	bool readonly;
	/* What the driver chose in the configuration space. */
	bool writeback;
	char id[VMM_VIRTIO_BLK_ID_LEN];
	uint8_t config[BLK_CONFIG_LEN];
	uint8_t writable[BLK_CONFIG_LEN];
	uint32_t queue_n;
	uint16_t queue_max[VMM_VIRTIO_BLK_QUEUES_MAX];
	struct blk_queue queues[VMM_VIRTIO_BLK_QUEUES_MAX];
};

/* What becomes of a request: handed to the back end, or answered at once. */
#define BLK_SUBMIT (-1)

/* Judge a request. Returns BLK_SUBMIT with the work in @p req, or a status byte. */
int blk_parse(struct vmm_virtio_blk *blk, struct blk_request *req,
	      const struct vmm_virtq_chain *chain);

/* The built-in back end; its context is the device. */
int blk_file_submit(void *ctx, struct vmm_virtio_blk_io *io);
int blk_file_size(int fd, uint64_t *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BLK_H
#define BLK_H

#include <pthread.h>

#include <vmm/virtio-blk.h>

#include "device-state.h"
#include "fair-lock.h"

/* Features (virtio 1.2, 5.2.3). */
#define BLK_F_SEG_MAX (UINT64_C(1) << 2)
#define BLK_F_RO (UINT64_C(1) << 5)
#define BLK_F_BLK_SIZE (UINT64_C(1) << 6)
#define BLK_F_FLUSH (UINT64_C(1) << 9)
#define BLK_F_TOPOLOGY (UINT64_C(1) << 10)
#define BLK_F_CONFIG_WCE (UINT64_C(1) << 11)
#define BLK_F_MQ (UINT64_C(1) << 12)
#define BLK_F_DISCARD (UINT64_C(1) << 13)
#define BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)
#define BLK_F_LIFETIME (UINT64_C(1) << 15)
#define BLK_F_SECURE_ERASE (UINT64_C(1) << 16)

/* Request types and status (5.2.6). */
#define BLK_T_IN 0u
#define BLK_T_OUT 1u
#define BLK_T_FLUSH 4u
#define BLK_T_GET_ID 8u
#define BLK_T_GET_LIFETIME 10u
#define BLK_T_DISCARD 11u
#define BLK_T_WRITE_ZEROES 13u
#define BLK_T_SECURE_ERASE 14u
#define BLK_S_OK 0
#define BLK_S_IOERR 1
#define BLK_S_UNSUPP 2

#define BLK_HEADER_LEN 16u
#define BLK_RANGE_LEN 16u
#define BLK_LIFETIME_LEN 6u
/* Sectors in one discard or write of zeroes: 2 GiB. */
#define BLK_RANGE_SECTORS 0x400000u

/* Data, header and status, and some for borders between memory regions. */
#define BLK_IOVECS (VMM_VIRTIO_BLK_SEG_MAX + 2u + 16u)

/* Configuration space (5.2.4). */
#define BLK_CONFIG_LEN 72u
#define BLK_CONFIG_WRITEBACK 32u

/* Used buffers that the driver gets to see at once. */
#define BLK_BATCH 32u

/* An op of our own: the device answers by itself. */
#define BLK_OP_QUERY UINT32_MAX

struct blk_queue;

struct blk_request {
	struct vmm_virtio_blk_io io;
	struct blk_queue *queue;
	/* In the list of what is done, or in an engine's list of what is to do. */
	struct blk_request *next;
	uint64_t token;
	/* Last writable byte of the chain. */
	uint8_t *status;
	/* Bytes written if all goes well, the status included. */
	uint32_t ok_len;
	int32_t result;
	/* Bytes of data, which io.len is only until an engine works on it. */
	uint64_t moved;
	struct iovec iov[BLK_IOVECS];
};

struct blk_queue {
	struct vmm_virtio_blk *blk;
	uint32_t index;
	/* Eventfd; timerfd of the rate limit, or -1; what the VMM polls: the eventfd, or
	 * an epoll of both. */
	int doorbell;
	int timer;
	int poll;
	/* What completes on another thread, newest first; see blk-queue.c. */
	struct blk_request *done;
	/* Work is to be dropped: a reset waits. */
	bool stopping;
	/* The thread that holds `lock` to run, reset or pause; 0 if none. */
	uintptr_t runner;
	struct fair_lock lock;
	/* NULL while the driver does not use the queue. */
	struct vmm_virtq *vq;
	/* The back end had no room; try again when something completes. */
	bool starved;
	/* The rate limit said no; the timer says when. */
	bool throttled;
	struct blk_request *requests;
	struct blk_request **free;
	uint32_t free_n;
	uint32_t request_n;
	/* With the back end. */
	uint32_t in_flight;
	uint32_t used_n;
	struct vmm_virtq_used used[BLK_BATCH];
	struct vmm_virtio_blk_stats stats;
};

/* A file or block device. */
struct blk_file {
	int fd;
	bool is_device;
	/* O_DIRECT: what offsets and lengths, and memory, must be multiples of; else 1. */
	uint32_t offset_align;
	uint32_t mem_align;
	/* The only way in for what is not aligned, which also makes reading, changing and
	 * writing a block one step. */
	pthread_mutex_t bounce_lock;
	uint8_t *bounce;
	/* The first failure to make data durable, or 0. */
	int lost;
};

/* What came with it, or the VMM's back end. */
struct blk_engine {
	struct vmm_virtio_blk_backend backend;
	void *ctx;
	uint32_t kind;
	/* NULL, or: completions ring the doorbell from now on, or must not. Returns
	 * whether some are there already. */
	bool (*arm)(void *ctx, uint32_t queue, bool on);
	/* NULL, or release ctx. */
	void (*close)(void *ctx);
};

struct blk_threads;

struct vmm_virtio_blk {
	struct vmm_virtio_device device;
	struct blk_engine engine;
	struct blk_file file;
	struct vmm_virtio_rate *rate;
	struct blk_threads *threads;
	/* NULL while the driver is not ready. */
	struct vmm_virtio_transport *transport;
	struct vmm_virtq *const *vqs;
	/* Negotiated. */
	uint64_t features;
	/* Changed with the lock, together with what the driver reads. */
	pthread_mutex_t capacity_lock;
	uint64_t sectors;
	uint32_t block_size;
	bool readonly;
	bool paused;
	/* What the driver chose in the configuration space. */
	bool writeback;
	char id[VMM_VIRTIO_BLK_ID_LEN];
	/* As the driver reads it: three words of 16 bits, and nothing. */
	uint64_t lifetime;
	uint8_t config[BLK_CONFIG_LEN];
	uint8_t writable[BLK_CONFIG_LEN];
	uint32_t queue_n;
	uint16_t queue_max[VMM_VIRTIO_BLK_QUEUES_MAX];
	struct blk_queue *queues;
};

/* What becomes of a request: handed to the back end, or answered at once. */
#define BLK_SUBMIT (-1)

static inline struct blk_request *blk_request_of(struct vmm_virtio_blk_io *io)
{
	return (struct blk_request *)(void *)io;
}

static inline bool blk_is_stopping(const struct blk_queue *q)
{
	return __atomic_load_n(&q->stopping, __ATOMIC_RELAXED);
}

/* Judge a request. Returns BLK_SUBMIT with the work in @p req, or a status byte. */
int blk_parse(struct vmm_virtio_blk *blk, struct blk_request *req,
	      const struct vmm_virtq_chain *chain);

/* blk-queue.c: a queue and its file descriptors, at work. */
int blk_queue_init(struct blk_queue *q, struct vmm_virtio_blk *blk, uint32_t index);
void blk_queue_fini(struct blk_queue *q);
int blk_queue_start(struct blk_queue *q, struct vmm_virtq *vq);
/* Nothing in flight reaches the driver any more, and the queue is not used again. */
void blk_queue_stop(struct blk_queue *q);
/* What is in flight reaches the driver. */
void blk_queue_pause(struct blk_queue *q);
void blk_queue_ring(const struct blk_queue *q);
/* Take the lock, and give it back: with what completed meanwhile, which waits for that. */
void blk_queue_enter(struct blk_queue *q);
void blk_queue_leave(struct blk_queue *q);
/* blk-state.c: callbacks of the device. */
int64_t blk_save(void *ctx, void *buf, size_t size);
int blk_load(struct vmm_virtio_blk *blk, const void *data, size_t len);
/* vmm_virtio_blk_run() for who does not need the descriptors to be quiet afterwards. */
void blk_queue_run(struct blk_queue *q);

/* blk-file.c: what engines do to a file. blk_file_do() may use up the iovecs of @p io. */
int blk_file_open(struct blk_file *f, int fd);
void blk_file_close(struct blk_file *f);
int blk_file_size(const struct blk_file *f, uint64_t *out);
bool blk_file_aligned(const struct blk_file *f, const struct vmm_virtio_blk_io *io);
void blk_file_pass(struct vmm_virtio_blk_io *io, uint64_t n);
/* Note a result of making data durable; returns what it is worth. */
int blk_file_synced(struct blk_file *f, const struct vmm_virtio_blk_io *io, int ret);
int blk_file_do(struct blk_file *f, struct vmm_virtio_blk_io *io);

/* Engines on blk->file. */
void blk_sync_open(struct vmm_virtio_blk *blk, struct blk_engine *out);
int blk_pool_open(struct vmm_virtio_blk *blk, uint32_t threads, struct blk_engine *out);
int blk_uring_open(struct vmm_virtio_blk *blk, uint32_t entries, struct blk_engine *out);

/* blk-thread.c: threads that wait for doorbells. */
int blk_threads_start(struct vmm_virtio_blk *blk, uint32_t n);
void blk_threads_stop(struct vmm_virtio_blk *blk);
/* pthread_create() of a thread that takes no signals. */
int blk_thread_create(pthread_t *out, void *(*fn)(void *), void *arg);

#endif

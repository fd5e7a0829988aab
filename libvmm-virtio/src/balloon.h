/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BALLOON_H
#define BALLOON_H

#include <vmm/virtio-balloon.h>

#include "device-state.h"
#include "drain.h"
#include "fair-lock.h"
#include "own-thread.h"

#define BALLOON_IOVECS 256u
/* Page numbers that are sorted and worked on at once. */
#define BALLOON_BATCH 512u

/* Offsets in the configuration space (virtio 1.2, 5.5.4). */
#define BALLOON_CONFIG_TARGET 0u
#define BALLOON_CONFIG_ACTUAL 4u
#define BALLOON_CONFIG_HINT 8u
#define BALLOON_CONFIG_POISON 12u
#define BALLOON_CONFIG_LEN 16u

/* Commands in the configuration space (5.5.6.5); from 2 on they are ids of a run. */
#define BALLOON_HINT_STOP 0u
#define BALLOON_HINT_DONE 1u
#define BALLOON_HINT_FIRST 2u

enum balloon_role {
	ROLE_INFLATE,
	ROLE_DEFLATE,
	ROLE_STATS,
	ROLE_HINT,
	ROLE_REPORT,
	ROLES,
};

/* One writable region of the table. */
struct balloon_region {
	uint64_t gpa;
	uint64_t len;
	uint8_t *host;
	uint64_t page_size;
	/* Its first bit in the map. */
	uint64_t bit;
};

/* Which pages are in the balloon. */
struct balloon_map {
	struct balloon_region *regions;
	size_t region_n;
	uint64_t *words;
	uint64_t word_n;
	/* Pages of 4 KiB in all regions, and those in the balloon. */
	uint64_t all;
	uint64_t set;
};

struct vmm_virtio_balloon {
	struct vmm_virtio_device device;
	struct vmm_virtio_balloon_opts opts;
	uint16_t queue_max[ROLES];
	uint8_t config[BALLOON_CONFIG_LEN];
	uint8_t writable[BALLOON_CONFIG_LEN];

	struct own_thread thread;

	/* Protects all below. Whoever waits for it ends a run with the chain at hand, which
	 * may be thousands of calls to the host. */
	struct fair_lock lock;
	bool paused;
	struct vmm_virtio_transport *transport;
	uint64_t features;
	/* By role; NULL where the driver does not use it. */
	struct vmm_virtq *vq[ROLES];
	uint32_t index[ROLES];
	struct vmm_virtq *const *queues;
	struct balloon_map map;
	struct vmm_virtio_balloon_stats stats;
	struct vmm_virtio_balloon_guest guest;
	/* The buffer of statistics that waits for a poll. */
	bool stats_held;
	uint64_t stats_token;
	uint32_t target;
	uint32_t actual;
	uint32_t poison;
	uint32_t hint_command;
	uint32_t hinting;
	/* The newest id of a run. */
	uint32_t hint_id;
	struct iovec iov[BALLOON_IOVECS];
};

/* Callbacks of the device. */
int balloon_activate(void *ctx, const struct vmm_virtio_activation *a);
void balloon_pause(void *ctx);
void balloon_resume(void *ctx);
int64_t balloon_save(void *ctx, void *buf, size_t size);
int balloon_load(void *ctx, struct vmm_virtio_transport *transport,
		 const struct vmm_virtio_activation *a, const void *data, size_t len);

int balloon_map_make(const struct vmm_mem *mem, struct balloon_map *out);
void balloon_map_free(struct balloon_map *map);
/* Copy what is in the balloon where @p to has the page. */
void balloon_map_carry(const struct balloon_map *from, struct balloon_map *to);
/* Take a saved map, or return -EBADMSG. */
int balloon_map_load(struct balloon_map *map, const uint64_t *words, uint64_t n);

/* lock is held. */
void balloon_inflate(struct vmm_virtio_balloon *b, uint32_t *pfns, size_t n);
void balloon_deflate(struct vmm_virtio_balloon *b, const uint32_t *pfns, size_t n);
/* A hint or a report of free memory at a buffer; @p hint tells which. */
void balloon_free_range(struct vmm_virtio_balloon *b, const struct iovec *v, bool hint);

#endif

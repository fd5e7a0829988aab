/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device at rest, and what there is to know about it. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "blk.h"
#include "stream.h"

void blk_pause(struct vmm_virtio_blk *blk)
{
	__atomic_store_n(&blk->paused, true, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_pause(&blk->queues[i]);
}

void blk_resume(struct vmm_virtio_blk *blk)
{
	/* What was changed meanwhile is seen by who sees this. */
	__atomic_store_n(&blk->paused, false, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_ring(&blk->queues[i]);
}

void blk_get_state(struct vmm_virtio_blk *blk, struct blk_state *out)
{
	memset(out, 0, sizeof(*out));
	out->version = DEVICE_STATE_VERSION;
	out->sectors = __atomic_load_n(&blk->sectors, __ATOMIC_RELAXED);
	out->block_size = blk->block_size;
	out->queue_n = blk->queue_n;
	out->writeback = __atomic_load_n(&blk->writeback, __ATOMIC_RELAXED);
	out->readonly = blk->readonly;
	out->lost = __atomic_load_n(&blk->file.lost, __ATOMIC_RELAXED) != 0;
}

static bool fits(const struct vmm_virtio_blk *blk, const struct blk_state *s)
{
	uint64_t size = s->sectors * VMM_VIRTIO_BLK_SECTOR;

	if (s->version != DEVICE_STATE_VERSION || s->writeback > 1 || s->readonly > 1 ||
	    s->lost > 1 || s->sectors > UINT64_MAX / VMM_VIRTIO_BLK_SECTOR ||
	    s->block_size != blk->block_size || s->queue_n != blk->queue_n ||
	    (s->readonly != 0) != blk->readonly)
		return false;
	return blk->engine.kind == VMM_VIRTIO_BLK_ENGINE_CALLER ||
	       (blk_file_size(&blk->file, &size) == 0 &&
		size / VMM_VIRTIO_BLK_SECTOR >= s->sectors);
}

int blk_set_state(struct vmm_virtio_blk *blk, const struct blk_state *s)
{
	if (blk->transport)
		return -EBUSY;
	if (!fits(blk, s))
		return -EBADMSG;
	__atomic_store_n(&blk->sectors, s->sectors, __ATOMIC_RELAXED);
	__atomic_store_n(&blk->writeback, s->writeback != 0, __ATOMIC_RELAXED);
	if (s->lost)
		__atomic_store_n(&blk->file.lost, -EIO, __ATOMIC_RELAXED);
	return 0;
}

static void describe(struct stream *s, void *state)
{
	struct blk_state *v = state;

	stream_u32(s, &v->version);
	stream_u32(s, &v->block_size);
	stream_u64(s, &v->sectors);
	stream_u32(s, &v->queue_n);
	stream_u8(s, &v->writeback);
	stream_u8(s, &v->readonly);
	stream_u8(s, &v->lost);
}

int64_t blk_save(void *ctx, void *buf, size_t size)
{
	struct blk_state s;

	blk_get_state(ctx, &s);
	return stream_save(buf, size, describe, &s);
}

int blk_load(struct vmm_virtio_blk *blk, const void *data, size_t len)
{
	struct blk_state s = { .version = 0 };
	int ret = stream_load(data, len, describe, &s);

	return ret < 0 ? ret : blk_set_state(blk, &s);
}

static void add_up(struct vmm_virtio_blk_stats *sum, const struct vmm_virtio_blk_stats *s)
{
	sum->reads += s->reads;
	sum->writes += s->writes;
	sum->read_bytes += s->read_bytes;
	sum->written_bytes += s->written_bytes;
	sum->flushes += s->flushes;
	sum->discards += s->discards;
	sum->zeroes += s->zeroes;
	sum->erases += s->erases;
	sum->queries += s->queries;
	sum->errors += s->errors;
	sum->unsupported += s->unsupported;
	sum->throttled += s->throttled;
	sum->full += s->full;
	sum->interrupts += s->interrupts;
}

void vmm_virtio_blk_get_stats(struct vmm_virtio_blk *blk,
			      struct vmm_virtio_blk_stats *out)
{
	struct vmm_virtio_blk_stats sum = { .size = out->size };

	if (out->size < sizeof(out->size))
		return;
	for (uint32_t i = 0; i < blk->queue_n; i++) {
		struct blk_queue *q = &blk->queues[i];

		blk_queue_enter(q);
		add_up(&sum, &q->stats);
		sum.in_flight += q->in_flight;
		blk_queue_leave(q);
	}
	memcpy(out, &sum, out->size < sizeof(sum) ? out->size : sizeof(sum));
}

void vmm_virtio_blk_set_lifetime(struct vmm_virtio_blk *blk,
				 const struct vmm_virtio_blk_lifetime *lifetime)
{
	uint16_t words[4] = { htole16(lifetime->pre_eol_info), htole16(lifetime->typ_a),
			      htole16(lifetime->typ_b), 0 };
	uint64_t all;

	memcpy(&all, words, sizeof(all));
	__atomic_store_n(&blk->lifetime, all, __ATOMIC_RELAXED);
}

uint32_t vmm_virtio_blk_get_engine(const struct vmm_virtio_blk *blk)
{
	return blk->engine.kind;
}

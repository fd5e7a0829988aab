/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device at rest, and what there is to know about it. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "blk.h"
#include "options.h"

void vmm_virtio_blk_pause(struct vmm_virtio_blk *blk)
{
	__atomic_store_n(&blk->paused, true, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_pause(&blk->queues[i]);
}

void vmm_virtio_blk_resume(struct vmm_virtio_blk *blk)
{
	/* What was changed meanwhile is seen by who sees this. */
	__atomic_store_n(&blk->paused, false, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_ring(&blk->queues[i]);
}

int vmm_virtio_blk_get_state(struct vmm_virtio_blk *blk, struct vmm_virtio_blk_state *out)
{
	struct vmm_virtio_blk_state s = VMM_VIRTIO_BLK_STATE_INIT;

	if (!__atomic_load_n(&blk->paused, __ATOMIC_RELAXED))
		return -EBUSY;
	s.sectors = __atomic_load_n(&blk->sectors, __ATOMIC_RELAXED);
	s.block_size = blk->block_size;
	s.queue_n = blk->queue_n;
	s.writeback = __atomic_load_n(&blk->writeback, __ATOMIC_RELAXED);
	s.readonly = blk->readonly;
	s.lost = __atomic_load_n(&blk->file.lost, __ATOMIC_RELAXED) != 0;
	*out = s;
	return 0;
}

static bool is_consistent(const struct vmm_virtio_blk_state *s)
{
	for (size_t i = 0; i < sizeof(s->reserved_); i++) {
		if (s->reserved_[i] != 0)
			return false;
	}
	return s->writeback <= 1 && s->readonly <= 1 && s->lost <= 1 &&
	       s->sectors <= UINT64_MAX / VMM_VIRTIO_BLK_SECTOR;
}

static bool fits(const struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_state *s)
{
	uint64_t size = s->sectors * VMM_VIRTIO_BLK_SECTOR;

	if (s->block_size != blk->block_size || s->queue_n != blk->queue_n ||
	    (s->readonly != 0) != blk->readonly)
		return false;
	return blk->engine.kind == VMM_VIRTIO_BLK_ENGINE_CALLER ||
	       (blk_file_size(&blk->file, &size) == 0 &&
		size / VMM_VIRTIO_BLK_SECTOR >= s->sectors);
}

int vmm_virtio_blk_set_state(struct vmm_virtio_blk *blk,
			     const struct vmm_virtio_blk_state *state,
			     struct vmm_error *err)
{
	struct vmm_virtio_blk_state s;
	int ret = options_copy(&s, sizeof(s), state, state->size);
	uint64_t le;

	if (ret < 0)
		return vmm_error_set(err, ret, "block device state of unknown layout");
	if (blk->transport)
		return vmm_error_set(err, -EBUSY, "block device is in use");
	if (!is_consistent(&s))
		return vmm_error_set(err, -EBADMSG, "block device state is corrupt");
	if (!fits(blk, &s))
		return vmm_error_at(err, -EBADMSG, 0, blk->sectors, s.sectors,
				    "block device state of another device");
	le = htole64(s.sectors);
	memcpy(blk->config, &le, sizeof(le));
	__atomic_store_n(&blk->sectors, s.sectors, __ATOMIC_RELAXED);
	__atomic_store_n(&blk->writeback, s.writeback != 0, __ATOMIC_RELAXED);
	blk->config[BLK_CONFIG_WRITEBACK] = s.writeback;
	if (s.lost)
		__atomic_store_n(&blk->file.lost, -EIO, __ATOMIC_RELAXED);
	return 0;
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

		pthread_mutex_lock(&q->lock);
		add_up(&sum, &q->stats);
		sum.in_flight += q->in_flight;
		pthread_mutex_unlock(&q->lock);
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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "virtq-setup.h"
#include "virtq.h"

uint32_t virtq_count_inflight(const struct vmm_virtq *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; q->slots && i < q->num; i++)
		n += q->slots[i].state == SLOT_INFLIGHT;
	return n;
}

/* Chains that the driver waits for: those handed out and those still to be repeated. */
static uint32_t count_waiting(const struct vmm_virtq *q)
{
	if (q->broken)
		return 0;
	return virtq_count_inflight(q) + (q->redo_n - q->redo_pos);
}

int vmm_virtq_get_state(const struct vmm_virtq *q, struct vmm_virtq_state *out)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	uint64_t added = q->used_total - q->used_signalled;

	/* Where a broken queue was does not matter any more; nor is it to be a reason
	 * not to save anything. */
	if (q->enabled && q->broken) {
		s.config = q->config;
		s.config.size = sizeof(s.config);
		s.broken = 1;
		s.enabled = 1;
		*out = s;
		return 0;
	}
	if (q->held > 0 || (q->packed && virtq_outstanding(q) > 0))
		return -EBUSY;
	if (q->enabled) {
		s.config = q->config;
		s.config.size = sizeof(s.config);
		s.next_avail = q->next_avail;
		s.next_used = q->packed ? q->used_slot : (uint16_t)q->used_total;
		s.avail_wrap = q->avail_wrap;
		s.used_wrap = q->used_wrap;
		s.added = added < UINT32_MAX ? (uint32_t)added : UINT32_MAX;
		s.inflight = count_waiting(q);
	}
	s.enabled = q->enabled;
	*out = s;
	return 0;
}

/* Oldest pop first; positions are compared as distances, because they wrap. */
static int by_age(const void *a, const void *b, void *arg)
{
	const struct vmm_virtq *q = arg;
	uint32_t x = (uint32_t)q->popped - q->slots[*(const uint16_t *)a].pos;
	uint32_t y = (uint32_t)q->popped - q->slots[*(const uint16_t *)b].pos;

	return (x < y) - (x > y);
}

size_t vmm_virtq_get_inflight(const struct vmm_virtq *q, uint16_t *heads, size_t max)
{
	size_t n = count_waiting(q);

	if (n > max || n == 0)
		return n;
	n = 0;
	for (uint32_t head = 0; head < q->num; head++) {
		if (q->slots[head].state == SLOT_INFLIGHT)
			heads[n++] = (uint16_t)head;
	}
	if (n > 0)
		qsort_r(heads, n, sizeof(*heads), by_age, (void *)(uintptr_t)q);
	for (uint32_t i = q->redo_pos; i < q->redo_n; i++)
		heads[n++] = q->redo[i];
	return n;
}

static bool position_is_sane(const struct vmm_virtq_state *s)
{
	if (s->config.size != sizeof(s->config) || s->avail_wrap > 1 ||
	    s->used_wrap > 1 || s->broken > 1)
		return false;
	if (s->config.features & VMM_VIRTIO_F_RING_PACKED)
		return s->inflight == 0 && s->next_avail < s->config.num &&
		       s->next_avail == s->next_used && s->avail_wrap == s->used_wrap;
	return s->avail_wrap == 0 && s->used_wrap == 0 && s->inflight <= s->config.num &&
	       s->inflight == (uint16_t)(s->next_avail - s->next_used);
}

/* Copy the heads; each exists and is named once. */
static bool take_heads(struct vmm_virtq *q, const uint16_t *heads, uint32_t n)
{
	bool good = n == 0 || heads;

	for (uint32_t i = 0; good && i < n; i++) {
		good = heads[i] < q->num && q->slots[heads[i]].state == SLOT_FREE;
		if (good) {
			q->slots[heads[i]].state = SLOT_TAKEN;
			q->redo[i] = heads[i];
		}
	}
	q->redo_n = n;
	return good;
}

static int restore_enabled(struct vmm_virtq *q, const struct vmm_mem *mem,
			   const struct vmm_virtq_state *s, const uint16_t *heads,
			   struct vmm_error *err)
{
	int ret;

	if (!position_is_sane(s))
		return vmm_error_set(err, -EBADMSG, "saved virtqueue contradicts itself");
	ret = vmm_virtq_enable(q, mem, &s->config, err);
	if (ret < 0)
		return ret;
	if (!take_heads(q, heads, s->inflight)) {
		vmm_virtq_reset(q);
		return vmm_error_set(err, -EBADMSG,
				     "saved virtqueue has bad chains in flight");
	}

	q->next_avail = s->next_avail;
	q->avail_seen = s->next_avail;
	q->used_slot = s->next_used;
	/* Any total with these low bits, from which `added` can be taken, will do. */
	q->used_total = (UINT64_C(1) << 32) + s->next_used;
	q->taken = q->used_total;
	q->used_signalled = q->used_total - s->added;
	q->avail_wrap = s->avail_wrap;
	q->used_wrap = s->used_wrap;
	q->broken = s->broken;
	q->live = !q->broken;
	return 0;
}

int vmm_virtq_restore(struct vmm_virtq *q, const struct vmm_mem *mem,
		      const struct vmm_virtq_state *state, const uint16_t *heads,
		      struct vmm_error *err)
{
	struct vmm_virtq_state s, blank = VMM_VIRTQ_STATE_INIT;
	int ret = options_copy(&s, sizeof(s), state, state->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "saved virtqueue of unknown layout");
	if (q->enabled)
		return vmm_error_set(err, -EBUSY, "virtqueue is enabled");
	if (s.enabled == 1)
		return restore_enabled(q, mem, &s, heads, err);
	blank.size = s.size;
	if (memcmp(&s, &blank, sizeof(s)) != 0)
		return vmm_error_set(err, -EBADMSG, "saved virtqueue contradicts itself");
	return 0;
}

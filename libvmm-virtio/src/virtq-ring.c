/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The calls made for each chain: bookkeeping that both ring formats share. */
#include <string.h>

#include "probes.h"
#include "virtq.h"

/* The refusal of a queue that is not live. */
static int not_live(const struct vmm_virtq *q)
{
	return q->broken ? -ENOTRECOVERABLE : -ENOTCONN;
}

int virtq_die(struct vmm_virtq *q)
{
	if (!q->broken)
		virtq_add(&q->broken_n, 1);
	q->broken = true;
	q->live = false;
	return -ENOTRECOVERABLE;
}

static inline uint32_t *split_store(struct vmm_virtq *q, uint64_t at, uint16_t head,
				    uint32_t len)
{
	uint32_t slot = (uint32_t)at & (q->num - 1);
	uint32_t *elem = (uint32_t *)(void *)(q->device + USED_RING + USED_ELEM * slot);

	store32(&elem[0], head);
	store32(&elem[1], len);
	return elem;
}

/* The driver sees all entries before the index that says they are there. */
static inline void split_advance(struct vmm_virtq *q, uint64_t n)
{
	uint64_t total = q->used_total + n;

	q->used_total = total;
	store16_release((uint16_t *)(void *)(q->device + 2), (uint16_t)total);
}

static void split_put_n(struct vmm_virtq *q, const struct vmm_virtq_used *elems, size_t n)
{
	for (size_t i = 0; i < n; i++)
		virtq_wrote(q,
			    split_store(q, q->used_total + i, (uint16_t)elems[i].token,
					elems[i].len),
			    USED_ELEM);
	split_advance(q, n);
	virtq_wrote(q, q->device + 2, 2);
}

static void put_n(struct vmm_virtq *q, const struct vmm_virtq_used *elems, size_t n)
{
	if (q->packed)
		virtq_packed_put_n(q, elems, n);
	else
		split_put_n(q, elems, n);
}

/* IN_ORDER: show the driver what is done at the front of the line, in small batches. */
static void flush_in_order(struct vmm_virtq *q)
{
	struct vmm_virtq_used batch[64];
	size_t n;

	do {
		for (n = 0; n < 64 && q->oldest != q->popped; n++, q->oldest++) {
			uint16_t head = q->order[q->oldest & q->order_mask];
			struct virtq_slot *slot = &q->slots[head];

			if (slot->state != SLOT_DONE)
				break;
			batch[n] =
			    (struct vmm_virtq_used){ .token = head, .len = slot->len };
			slot->state = SLOT_FREE;
			q->held--;
		}
		put_n(q, batch, n);
	} while (n == 64);
}

/* All of @p elems were checked and are TAKEN. */
static void finish(struct vmm_virtq *q, const struct vmm_virtq_used *elems, size_t n)
{
	for (size_t i = 0; VIRTQ_UNLIKELY(q->log) && i < n; i++)
		virtq_log_mark_chain(q, (uint16_t)elems[i].token);
	if (VIRTQ_LIKELY(!q->in_order)) {
		for (size_t i = 0; i < n; i++)
			q->slots[(uint16_t)elems[i].token].state = SLOT_FREE;
		put_n(q, elems, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct virtq_slot *slot = &q->slots[(uint16_t)elems[i].token];

		slot->state = SLOT_DONE;
		slot->len = elems[i].len;
		q->held++;
	}
	flush_in_order(q);
}

int virtq_refuse(struct vmm_virtq *q, uint16_t head, uint16_t descs, bool redone, int why)
{
	struct vmm_virtq_used used = { .token = head };

	virtq_log_drop(q);
	virtq_slot_fill(q, head, descs, redone, 0);
	virtq_add(&q->malformed, 1);
	PROBE3(used, q, head, used.len);
	finish(q, &used, 1);
	return why;
}

int vmm_virtq_pop(struct vmm_virtq *q, struct vmm_virtq_chain *chain)
{
	if (VIRTQ_UNLIKELY(!q->live))
		return not_live(q);
	return q->packed ? virtq_packed_pop(q, chain) : virtq_split_pop(q, chain);
}

static int find_inflight(struct vmm_virtq *q, uint64_t token, struct virtq_slot **out)
{
	uint16_t head = (uint16_t)token;
	struct virtq_slot *slot;

	if (VIRTQ_UNLIKELY(!q->live))
		return not_live(q);
	if (VIRTQ_UNLIKELY(token >> 32 != q->epoch))
		return -ESTALE;
	if (VIRTQ_UNLIKELY(head >= q->num))
		return -ENOENT;
	slot = &q->slots[head];
	if (VIRTQ_UNLIKELY(slot->state != SLOT_INFLIGHT ||
			   (uint16_t)slot->pos != (uint16_t)(token >> 16)))
		return -ENOENT;
	*out = slot;
	return 0;
}

int vmm_virtq_undo_pop(struct vmm_virtq *q, uint64_t token)
{
	struct virtq_slot *slot;
	int ret = find_inflight(q, token, &slot);

	if (ret < 0)
		return ret;
	if (slot->pos != (uint32_t)(q->popped - 1))
		return -EINVAL;

	if (q->log)
		virtq_log_mark_chain(q, (uint16_t)token);
	/* A repeated chain goes back to the list that keeps its head from being offered.
	 */
	slot->state = slot->redone ? SLOT_TAKEN : SLOT_FREE;
	virtq_add(&q->popped, UINT64_MAX);
	if (slot->redone) {
		q->redo_pos--;
	} else if (!q->packed) {
		q->next_avail--;
	} else {
		q->taken -= slot->descs;
		if (q->next_avail < slot->descs) {
			q->next_avail = (uint16_t)(q->next_avail + q->num);
			q->avail_wrap = !q->avail_wrap;
		}
		q->next_avail = (uint16_t)(q->next_avail - slot->descs);
	}
	return 0;
}

/* Apart, because what is on the stack here costs the fast path. */
static __attribute__((noinline)) int finish_one(struct vmm_virtq *q, uint64_t token,
						uint32_t len)
{
	struct vmm_virtq_used used = { .token = token, .len = len };

	finish(q, &used, 1);
	return 0;
}

int vmm_virtq_add_used(struct vmm_virtq *q, uint64_t token, uint32_t len)
{
	struct virtq_slot *slot;
	int ret = find_inflight(q, token, &slot);

	if (VIRTQ_UNLIKELY(ret < 0))
		return ret;
	if (VIRTQ_UNLIKELY(len > slot->writable))
		return -EINVAL;
	virtq_add(&q->used, 1);
	PROBE3(used, q, (uint16_t)token, len);
	if (VIRTQ_UNLIKELY(!q->plain))
		return q->packed_plain ? virtq_packed_put_one(q, slot, token, len)
				       : finish_one(q, token, len);

	slot->state = SLOT_FREE;
	split_store(q, q->used_total, (uint16_t)token, len);
	split_advance(q, 1);
	return 0;
}

int vmm_virtq_add_used_n(struct vmm_virtq *q, const struct vmm_virtq_used *elems,
			 size_t n)
{
	struct virtq_slot *slot;
	size_t i;
	int ret = 0;

	if (!q->live)
		return not_live(q);
	/* A chain that is named twice is no longer in flight the second time. */
	for (i = 0; i < n; i++) {
		ret = find_inflight(q, elems[i].token, &slot);
		if (ret == 0 && elems[i].len > slot->writable)
			ret = -EINVAL;
		if (ret < 0)
			break;
		slot->state = SLOT_TAKEN;
	}
	if (ret < 0) {
		while (i-- > 0)
			q->slots[(uint16_t)elems[i].token].state = SLOT_INFLIGHT;
		return ret;
	}

	virtq_add(&q->used, n);
	for (i = 0; i < n; i++)
		PROBE3(used, q, (uint16_t)elems[i].token, elems[i].len);
	finish(q, elems, n);
	return 0;
}

bool vmm_virtq_enable_notification(struct vmm_virtq *q)
{
	if (!q->live)
		return false;
	return q->packed ? virtq_packed_enable_notification(q)
			 : virtq_split_enable_notification(q);
}

bool vmm_virtq_has_chain(const struct vmm_virtq *q)
{
	if (!q->live)
		return false;
	return q->packed ? virtq_packed_has_chain(q) : virtq_split_has_chain(q);
}

void vmm_virtq_disable_notification(struct vmm_virtq *q)
{
	uint16_t *words = (uint16_t *)(void *)q->device;

	if (!q->live)
		return;
	/* Packed: flags behind the offset. Split with EVENT_IDX has no such flag; the
	 * event index just stays behind, which is quiet enough. */
	if (q->packed)
		store16(&words[1], EVENT_F_DISABLE);
	else if (!q->event_idx)
		store16(&words[0], USED_F_NO_NOTIFY);
	virtq_wrote(q, words, 4);
}

static inline bool split_wants_interrupt(const struct vmm_virtq *q, uint64_t added)
{
	if (!q->event_idx)
		return !(load16(&q->driver[0]) & AVAIL_F_NO_INTERRUPT);
	/* The index went all the way round: each value was passed. */
	if (added > UINT16_MAX)
		return true;
	return virtq_event_passed(load16(&q->driver[AVAIL_RING + q->num]),
				  (uint16_t)q->used_total,
				  (uint16_t)(q->used_total - added));
}

static inline bool packed_wants_interrupt(const struct vmm_virtq *q, uint64_t added)
{
	uint16_t flags, off_wrap, event;

	flags = load16_acquire(&q->driver[EVENT_FLAGS]);
	if (flags == EVENT_F_DISABLE)
		return false;
	if (flags != EVENT_F_DESC || !q->event_idx || added >= q->num)
		return true;

	off_wrap = load16(&q->driver[EVENT_OFF]);
	event = off_wrap & 0x7fff;
	if ((off_wrap >> 15) != q->used_wrap)
		event = (uint16_t)(event - q->num);
	return virtq_event_passed(event, q->used_slot, (uint16_t)(q->used_slot - added));
}

bool vmm_virtq_needs_notification(struct vmm_virtq *q)
{
	uint64_t added = q->used_total - q->used_signalled;
	bool wants;

	if (VIRTQ_UNLIKELY(!q->live || added == 0))
		return false;
	q->used_signalled = q->used_total;
	/* What was used must be visible before we look at whether the driver waits. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wants = q->packed ? packed_wants_interrupt(q, added)
			  : split_wants_interrupt(q, added);
	virtq_add(wants ? &q->interrupts : &q->suppressed, 1);
	return wants;
}

void vmm_virtq_break(struct vmm_virtq *q)
{
	(void)virtq_die(q);
}

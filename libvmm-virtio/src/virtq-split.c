/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtq.h"

static uint16_t *used_flags(struct vmm_virtq *q)
{
	return (uint16_t *)(void *)q->device;
}

static uint16_t *avail_event(struct vmm_virtq *q)
{
	return (uint16_t *)(void *)(q->device + USED_RING + USED_ELEM * q->num);
}

/* Entries of an indirect table, which was copied to q->table, form a chain of their own
 * that may not leave the table, nest, or take more than what the queue size leaves. */
static inline __attribute__((always_inline)) int walk_indirect(struct vmm_virtq *q,
							       struct virtq_walk *w,
							       struct virtq_desc head,
							       uint32_t budget)
{
	int n = virtq_indirect_copy(q, head.addr, desc_len(head));
	uint32_t i = 0;

	if (n < 0)
		return n;

	while (budget-- > 0) {
		struct virtq_desc d = { le64toh(q->table[i].addr),
					le64toh(q->table[i].rest) };
		uint32_t flags = split_flags(d);
		int ret;

		if (flags & DESC_F_INDIRECT)
			return -EBADMSG;
		ret = virtq_seg(q, w, d.addr, desc_len(d), flags & DESC_F_WRITE);
		if (ret < 0 || !(flags & DESC_F_NEXT))
			return ret;
		i = split_next(d);
		if (i >= (uint32_t)n)
			return -EBADMSG;
	}
	return -EBADMSG;
}

/* virtio 1.2, 2.7.5: the whole chain, direct and indirect, is at most num long, which is
 * also what ends a loop. */
static inline __attribute__((always_inline)) int walk(struct vmm_virtq *q,
						      struct virtq_walk *w, uint16_t head)
{
	uint32_t i = head;

	for (uint32_t budget = q->num; budget > 0; budget--) {
		struct virtq_desc d = desc_snapshot(&q->desc[i]);
		uint32_t flags = split_flags(d);
		int ret;

		if (VIRTQ_UNLIKELY(flags & DESC_F_INDIRECT)) {
			/* 2.7.5.3.1: never both; 2.7.5.3.2: WRITE means nothing here. */
			if (flags & DESC_F_NEXT)
				return -EBADMSG;
			return walk_indirect(q, w, d, budget);
		}
		ret = virtq_seg(q, w, d.addr, desc_len(d), flags & DESC_F_WRITE);
		if (ret < 0 || !(flags & DESC_F_NEXT))
			return ret;
		i = split_next(d);
		if (VIRTQ_UNLIKELY(i >= q->num))
			return -EBADMSG;
	}
	return -EBADMSG;
}

/* What the driver says is there must fit beside what we have: it has num heads, each can
 * be out once. That refuses jumps ahead and steps back. */
static int look_for_more(struct vmm_virtq *q)
{
	uint16_t idx = load16_acquire(&q->driver[1]);
	uint16_t out = (uint16_t)(q->next_avail - q->used_total);

	if (idx == q->next_avail)
		return -EAGAIN;
	if (VIRTQ_UNLIKELY((uint16_t)(idx - q->next_avail) > q->num - out))
		return virtq_die(q);
	q->avail_seen = idx;
	return 0;
}

static __attribute__((noinline)) int pop_walk(struct vmm_virtq *q,
					      struct vmm_virtq_chain *chain,
					      uint16_t head, bool redone)
{
	struct virtq_walk w = { .iov = chain->iov, .max = chain->iov_max };
	int ret = walk(q, &w, head);

	if (VIRTQ_UNLIKELY(ret < 0))
		return virtq_refuse(q, head, 1, redone, ret);
	virtq_take(q, chain, &w, head, 1, redone);
	return 0;
}

/* A chain of one direct buffer in the region of last time is taken here, without a store
 * more than it needs: the fence that follows sooner or later waits for each. All else is
 * walked, from its first descriptor on, of which then only what is read there counts. */
static inline __attribute__((always_inline)) int pop_head(struct vmm_virtq *q,
							  struct vmm_virtq_chain *chain)
{
	uint32_t head = load16(&q->driver[AVAIL_RING + (q->next_avail & (q->num - 1))]);
	struct virtq_desc d;
	uint64_t off, len;
	uint32_t write;

	if (VIRTQ_UNLIKELY(head >= q->num || q->slots[head].state != SLOT_FREE))
		return virtq_die(q);
	q->next_avail++;
	d = desc_snapshot(&q->desc[head]);
	off = d.addr - q->mru.gpa;
	len = desc_len(d);
	write = split_flags(d) & DESC_F_WRITE;
	if (VIRTQ_UNLIKELY((split_flags(d) & (DESC_F_NEXT | DESC_F_INDIRECT)) ||
			   off > q->mru.span || len - 1 > q->mru.span - off ||
			   chain->iov_max == 0 || q->mru.readonly || !q->plain))
		return pop_walk(q, chain, (uint16_t)head, false);

	chain->iov[0].iov_base = q->mru.host + off;
	virtq_take_one(q, chain, (uint16_t)head, len, write);
	return 0;
}

static __attribute__((noinline)) int pop_slow(struct vmm_virtq *q,
					      struct vmm_virtq_chain *chain)
{
	int ret;

	if (q->redo_pos < q->redo_n)
		return pop_walk(q, chain, q->redo[q->redo_pos++], true);
	ret = look_for_more(q);
	return ret < 0 ? ret : pop_head(q, chain);
}

int virtq_split_pop(struct vmm_virtq *q, struct vmm_virtq_chain *chain)
{
	if (VIRTQ_UNLIKELY(q->next_avail == q->avail_seen || q->redo_pos < q->redo_n))
		return pop_slow(q, chain);
	return pop_head(q, chain);
}

bool virtq_split_has_chain(const struct vmm_virtq *q)
{
	return q->redo_pos < q->redo_n || load16(&q->driver[1]) != q->next_avail;
}

bool virtq_split_enable_notification(struct vmm_virtq *q)
{
	if (q->event_idx)
		store16(avail_event(q), q->next_avail);
	else
		store16(used_flags(q), 0);
	virtq_wrote(q, q->event_idx ? avail_event(q) : used_flags(q), 2);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_split_has_chain(q);
}

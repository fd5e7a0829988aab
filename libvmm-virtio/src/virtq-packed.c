/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtq.h"

#define DESC_F_PHASE (DESC_F_AVAIL | DESC_F_USED)

/* The two bits of a descriptor that is available in this round. */
static inline uint32_t phase(bool wrap)
{
	return wrap ? DESC_F_AVAIL : DESC_F_USED;
}

/* The driver writes the flags of a chain's first descriptor last, as a word of 16 bits.
 */
bool virtq_packed_has_chain(const struct vmm_virtq *q)
{
	const uint16_t *flags =
	    (const uint16_t *)(const void *)&q->desc[q->next_avail].rest + 3;

	return (load16_acquire(flags) & DESC_F_PHASE) == phase(q->avail_wrap);
}

/* virtio 1.2, 2.8.7: entries in table order; only WRITE counts in their flags. */
static inline __attribute__((always_inline)) int walk_indirect(struct vmm_virtq *q,
							       struct virtq_walk *w,
							       struct virtq_desc head)
{
	int n = virtq_indirect_copy(q, head.addr, desc_len(head));

	for (int i = 0; i < n; i++) {
		struct virtq_desc d = { le64toh(q->table[i].addr),
					le64toh(q->table[i].rest) };
		int ret =
		    virtq_seg(q, w, d.addr, desc_len(d), packed_flags(d) & DESC_F_WRITE);

		if (ret < 0)
			return ret;
	}
	return n < 0 ? n : 0;
}

static inline __attribute__((always_inline)) int walk_one(struct vmm_virtq *q,
							  struct virtq_walk *w,
							  struct virtq_desc d, bool first)
{
	uint32_t flags = packed_flags(d);

	if (!(flags & DESC_F_INDIRECT))
		return virtq_seg(q, w, d.addr, desc_len(d), flags & DESC_F_WRITE);
	/* 2.8.19: an indirect descriptor stands alone. */
	if (!first || (flags & DESC_F_NEXT))
		return -EBADMSG;
	return walk_indirect(q, w, d);
}

static void advance(const struct vmm_virtq *q, uint16_t *slot, bool *wrap, uint32_t by)
{
	uint32_t next = *slot + by;

	if (next >= q->num) {
		next -= q->num;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)next;
}

/*
 * A bad buffer is remembered and the walk goes on, because the id and the number of
 * slots are only known at the end. A chain without a good end leaves no way to tell where
 * the next one starts: the ring is broken then.
 */
static __attribute__((noinline)) int pop_walk(struct vmm_virtq *q,
					      struct vmm_virtq_chain *chain)
{
	struct virtq_walk w = { .iov = chain->iov, .max = chain->iov_max };
	const struct virtq_desc *at = &q->desc[q->next_avail], *end = q->desc + q->num;
	uint32_t room = q->num - virtq_outstanding(q), n = 0, want = phase(q->avail_wrap);
	struct virtq_desc d;
	uint16_t id;
	int ret = 0;

	for (;;) {
		d = desc_snapshot(at);
		if (VIRTQ_UNLIKELY(n == room || (packed_flags(d) & DESC_F_PHASE) != want))
			return virtq_die(q);
		if (VIRTQ_LIKELY(ret == 0))
			ret = walk_one(q, &w, d, n == 0);
		n++;
		if (++at == end) {
			at = q->desc;
			want ^= DESC_F_PHASE;
		}
		if (!(packed_flags(d) & DESC_F_NEXT))
			break;
	}

	id = packed_id(d);
	if (VIRTQ_UNLIKELY(id >= q->num || q->slots[id].state != SLOT_FREE))
		return virtq_die(q);
	q->next_avail = (uint16_t)(at - q->desc);
	q->avail_wrap = want == DESC_F_AVAIL;
	q->taken += n;
	if (VIRTQ_UNLIKELY(ret < 0))
		return virtq_refuse(q, id, (uint16_t)n, false, ret);
	virtq_take(q, chain, &w, id, (uint16_t)n, false);
	return 0;
}

/* As in a split ring, a chain of one direct buffer in the region of last time is taken
 * without further ado; all else is walked. */
int virtq_packed_pop(struct vmm_virtq *q, struct vmm_virtq_chain *chain)
{
	const struct virtq_desc *at = &q->desc[q->next_avail];
	struct virtq_desc d;
	uint64_t off, len;
	uint32_t flags, write;
	uint16_t id;

	/* One load of the half that has flags, id and length: one that sees the flags
	 * sees what was written before them, too. */
#ifdef VIRTQ_TSAN
	if (!virtq_packed_has_chain(q))
		return -EAGAIN;
#endif
	d.rest = le64toh(__atomic_load_n(&at->rest, __ATOMIC_ACQUIRE));
	flags = packed_flags(d);
	if ((flags & DESC_F_PHASE) != phase(q->avail_wrap))
		return -EAGAIN;
	if (flags & (DESC_F_NEXT | DESC_F_INDIRECT))
		return pop_walk(q, chain);
	d.addr = le64toh(__atomic_load_n(&at->addr, __ATOMIC_RELAXED));
	id = packed_id(d);
	off = d.addr - q->mru.gpa;
	len = desc_len(d);
	write = flags & DESC_F_WRITE;
	if (VIRTQ_UNLIKELY(off > q->mru.span || len - 1 > q->mru.span - off ||
			   chain->iov_max == 0 || q->mru.readonly || !q->packed_plain ||
			   virtq_outstanding(q) == q->num || id >= q->num ||
			   q->slots[id].state != SLOT_FREE))
		return pop_walk(q, chain);

	advance(q, &q->next_avail, &q->avail_wrap, 1);
	q->taken++;
	chain->iov[0].iov_base = q->mru.host + off;
	virtq_take_one(q, chain, id, len, write);
	return 0;
}

static uint16_t put(struct vmm_virtq *q, const struct vmm_virtq_used *used, uint16_t slot,
		    bool wrap)
{
	uint16_t id = (uint16_t)used->token;
	uint32_t *len = (uint32_t *)(void *)&q->desc[slot].rest;
	uint16_t *words = (uint16_t *)(void *)&q->desc[slot].rest;
	uint32_t flags = wrap ? DESC_F_AVAIL | DESC_F_USED : 0;

	store32(len, used->len);
	store16(&words[2], id);
	return (uint16_t)(flags | (used->len > 0 ? DESC_F_WRITE : 0));
}

/* The usual case: one chain, no order to keep, no log. Length, id and flags are one aligned
 * word, which the driver sees all of or nothing. ThreadSanitizer pairs accesses by address
 * and needs the flags stored where the driver loads them. */
int virtq_packed_put_one(struct vmm_virtq *q, struct virtq_slot *slot, uint64_t token,
			 uint32_t len)
{
	struct virtq_desc *d = &q->desc[q->used_slot];
	uint64_t flags = (q->used_wrap ? DESC_F_PHASE : 0) | (len > 0 ? DESC_F_WRITE : 0);
	uint64_t rest = len | (token & 0xffff) << 32 | flags << 48;

	slot->state = SLOT_FREE;
	advance(q, &q->used_slot, &q->used_wrap, slot->descs);
	q->used_total += slot->descs;
#ifdef VIRTQ_TSAN
	store32((uint32_t *)(void *)&d->rest, len);
	store16((uint16_t *)(void *)&d->rest + 2, (uint16_t)token);
	store16_release((uint16_t *)(void *)&d->rest + 3, (uint16_t)(rest >> 48));
#else
	__atomic_store_n(&d->rest, htole64(rest), __ATOMIC_RELEASE);
#endif
	return 0;
}

/* The driver looks at the first of these slots next, so writing its flags last shows it
 * all of them at once. */
void virtq_packed_put_n(struct vmm_virtq *q, const struct vmm_virtq_used *elems, size_t n)
{
	uint16_t *first = NULL;
	uint16_t first_flags = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t descs = q->slots[(uint16_t)elems[i].token].descs;
		uint16_t *flags = (uint16_t *)(void *)&q->desc[q->used_slot].rest + 3;
		uint16_t value = put(q, &elems[i], q->used_slot, q->used_wrap);

		if (i == 0) {
			first = flags;
			first_flags = value;
		} else {
			store16_release(flags, value);
			virtq_wrote(q, &q->desc[q->used_slot], sizeof(*q->desc));
		}
		advance(q, &q->used_slot, &q->used_wrap, descs);
		q->used_total += descs;
	}
	if (!first)
		return;
	store16_release(first, first_flags);
	virtq_wrote(q, (const uint8_t *)first - offsetof(struct virtq_desc, rest) - 6,
		    sizeof(*q->desc));
}

bool virtq_packed_enable_notification(struct vmm_virtq *q)
{
	uint16_t *event = (uint16_t *)(void *)q->device;

	if (q->event_idx) {
		store16(&event[EVENT_OFF],
			(uint16_t)(q->next_avail | (q->avail_wrap ? 1u << 15 : 0)));
		store16_release(&event[EVENT_FLAGS], EVENT_F_DESC);
	} else {
		store16(&event[EVENT_FLAGS], EVENT_F_ENABLE);
	}
	virtq_wrote(q, event, 4);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_packed_has_chain(q);
}

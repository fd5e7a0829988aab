/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VIRTQ_H
#define VIRTQ_H

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <vmm/virtq.h>

#define VIRTQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define VIRTQ_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define VIRTQ_LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

#if defined(__SANITIZE_THREAD__)
#define VIRTQ_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VIRTQ_TSAN 1
#endif
#endif

/* Descriptor flags (virtio 1.2, 2.7.5 and 2.8.14). */
#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u
#define DESC_F_AVAIL (1u << 7)
#define DESC_F_USED (1u << 15)

/* Event suppression (virtio 1.2, 2.7.6.1, 2.7.8 and 2.8.14). */
#define AVAIL_F_NO_INTERRUPT 1u
#define USED_F_NO_NOTIFY 1u
#define EVENT_F_ENABLE 0u
#define EVENT_F_DISABLE 1u
#define EVENT_F_DESC 2u

/* Packed event suppression areas: off_wrap, then flags. */
#define EVENT_OFF 0u
#define EVENT_FLAGS 1u

/* Split: available and used ring have flags, idx, ring, event. In 16-bit words and in
 * bytes. */
#define AVAIL_RING 2u
#define USED_RING 4u
#define USED_ELEM 8u

/* 16 bytes of guest memory, always read as two words that are then taken apart. */
struct virtq_desc {
	uint64_t addr;
	uint64_t rest;
};

/* Guest memory seen as a sorted array; what makes translating a buffer cheap. */
struct virtq_region {
	uint64_t gpa;
	/* Length - 1, so that a region may end with the address space. */
	uint64_t span;
	uint8_t *host;
	bool readonly;
};

enum virtq_slot_state { SLOT_FREE = 0, SLOT_INFLIGHT, SLOT_TAKEN, SLOT_DONE };

/* What we know of a head; never read back from guest memory. */
struct virtq_slot {
	/* Room in the chain while it is in flight. */
	uint32_t writable;
	/* Length to report, once done. */
	uint32_t len;
	union {
		struct {
			/* Which pop it was. */
			uint32_t pos;
			/* Ring slots (packed) that the chain takes. */
			uint16_t descs;
			uint8_t state;
			/* Handed out from the list of a restored snapshot. */
			bool redone;
		};
		/* All of it in one store: a fence waits for each. */
		uint64_t what;
	};
};

static inline uint64_t virtq_inflight(uint32_t pos, uint16_t descs, bool redone)
{
	uint64_t p = pos, d = descs, s = SLOT_INFLIGHT, r = redone;

	return VIRTQ_LITTLE ? p | d << 32 | s << 48 | r << 56
			    : p << 32 | d << 16 | s << 8 | r;
}

struct virtq_log;

struct vmm_virtq {
	/* Any thread may read the numbers here, which whoever owns the queue writes by
	 * virtq_add(). A reset leaves them alone but where they say so. */
	uint64_t malformed;
	uint64_t broken_n;
	uint64_t interrupts;
	uint64_t suppressed;
	uint32_t max;
	uint32_t epoch;
	/* 0 while not enabled. */
	uint32_t num;
	/* Number of the next pop; a reset takes those in flight out, so that it is always
	 * what was used or malformed and what is in flight. */
	uint64_t popped;
	uint64_t used;

	/* All from here on is 0 after a reset. Used entries (packed: slots) written in all, of
	 * which used.idx is the low 16 bits; and what that was when the driver was last
	 * considered. */
	uint64_t used_total;
	uint64_t used_signalled;

	/* Enabled and not broken. */
	bool live;
	bool enabled;
	bool broken;
	bool packed;
	bool event_idx;
	bool indirect;
	bool in_order;
	/* Split or packed, and neither IN_ORDER nor a log. */
	bool plain;
	bool packed_plain;
	/* Packed wrap counters. */
	bool avail_wrap;
	bool used_wrap;

	/* Split: the low 16 bits are the ring's free-running index. Packed: slot. */
	uint16_t next_avail;
	/* Split: avail.idx as it was last seen and found good. */
	uint16_t avail_seen;
	/* Packed: slot to write next. */
	uint16_t used_slot;
	/* Packed: slots popped in all, of which `used_total` were given back. */
	uint64_t taken;

	/* Ring parts in our address space. */
	struct virtq_desc *desc;
	uint16_t *driver;
	uint8_t *device;

	/* The region that the last buffer was in. */
	struct virtq_region mru;

	struct virtq_slot *slots;
	/* Heads by pop number, a power of two of them. */
	uint16_t *order;
	uint32_t order_mask;
	/* Of the oldest pop that was not given back (IN_ORDER). */
	uint64_t oldest;
	/* Held back by IN_ORDER. */
	uint32_t held;

	/* Chains of a restored snapshot that are to be handed out again. */
	uint16_t *redo;
	uint32_t redo_n;
	uint32_t redo_pos;

	/* Snapshot of the indirect table being walked. */
	struct virtq_desc *table;

	struct virtq_region *regions;
	size_t region_n;
	const struct vmm_mem *mem;
	/* If memory is tracked. The most recent region then always counts as read-only,
	 * which sends each writable buffer to virtq_seg_slow(), where it is noted. */
	struct virtq_log *log;

	struct vmm_virtq_config config;
};

/* A plain load and a plain store, for whoever owns the queue: the others see each number
 * whole. */
static inline void virtq_add(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

/* A walk in progress. */
struct virtq_walk {
	struct iovec *iov;
	uint32_t n;
	uint32_t max;
	uint32_t readable_n;
	bool writing;
	uint64_t readable_len;
	uint64_t writable_len;
};

static inline uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint16_t load16_acquire(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static inline void store16_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static inline void store32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, htole32(v), __ATOMIC_RELAXED);
}

/* Each half is read once, whatever the compiler thinks of it. */
static inline struct virtq_desc desc_snapshot(const struct virtq_desc *d)
{
	struct virtq_desc copy = {
		.addr = le64toh(__atomic_load_n(&d->addr, __ATOMIC_RELAXED)),
		.rest = le64toh(__atomic_load_n(&d->rest, __ATOMIC_RELAXED)),
	};

	return copy;
}

static inline uint32_t desc_len(struct virtq_desc d)
{
	return (uint32_t)d.rest;
}

/* Split: flags behind len, then next. */
static inline uint32_t split_flags(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 32);
}

static inline uint32_t split_next(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 48);
}

/* Packed: id behind len, then flags. */
static inline uint16_t packed_id(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 32);
}

static inline uint32_t packed_flags(struct virtq_desc d)
{
	return (uint16_t)(d.rest >> 48);
}

/* Packed: slots popped and not yet used. */
static inline uint32_t virtq_outstanding(const struct vmm_virtq *q)
{
	return (uint32_t)(q->taken - q->used_total);
}

static inline uint64_t virtq_token(const struct vmm_virtq *q, uint16_t head, uint64_t pos)
{
	return (uint64_t)q->epoch << 32 | (uint64_t)(uint16_t)pos << 16 | head;
}

/* virtio 1.2, 2.7.7.2: was event passed when the index went from old to new? */
static inline bool virtq_event_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

int virtq_map_build(const struct vmm_mem *mem, struct virtq_region **out, size_t *out_n);
int virtq_seg_slow(struct vmm_virtq *q, struct iovec *iov, uint32_t room, uint64_t gpa,
		   uint32_t len, bool writable);
int virtq_indirect_copy(struct vmm_virtq *q, uint64_t gpa, uint32_t len);

int virtq_log_new(const struct vmm_mem *mem, uint32_t num, struct virtq_log **out);
void virtq_log_free(struct virtq_log *log);
void virtq_log_note(struct vmm_virtq *q, uint64_t gpa, uint64_t len);
void virtq_log_drop(struct vmm_virtq *q);
void virtq_log_take(struct vmm_virtq *q, uint16_t head);
void virtq_log_mark_chain(struct vmm_virtq *q, uint16_t head);
void virtq_log_mark_all(struct vmm_virtq *q);
void virtq_log_mark_ring(struct vmm_virtq *q, const void *at, uint64_t len);

int virtq_die(struct vmm_virtq *q);
int virtq_refuse(struct vmm_virtq *q, uint16_t head, uint16_t descs, bool redone,
		 int why);
uint32_t virtq_count_inflight(const struct vmm_virtq *q);

int virtq_split_pop(struct vmm_virtq *q, struct vmm_virtq_chain *chain);
bool virtq_split_has_chain(const struct vmm_virtq *q);
bool virtq_split_enable_notification(struct vmm_virtq *q);

int virtq_packed_pop(struct vmm_virtq *q, struct vmm_virtq_chain *chain);
void virtq_packed_put_n(struct vmm_virtq *q, const struct vmm_virtq_used *elems,
			size_t n);
bool virtq_packed_has_chain(const struct vmm_virtq *q);
bool virtq_packed_enable_notification(struct vmm_virtq *q);
int virtq_packed_put_one(struct vmm_virtq *q, struct virtq_slot *slot, uint64_t token,
			 uint32_t len);

/* Take one buffer into the walk: direction, sum and place are all checked here. The walk
 * is never passed on by address, so that it stays in registers. */
static inline __attribute__((always_inline)) int virtq_seg(struct vmm_virtq *q,
							   struct virtq_walk *w,
							   uint64_t gpa, uint32_t len,
							   bool writable)
{
	uint64_t off = gpa - q->mru.gpa;
	int n = 1;

	if (writable) {
		w->writing = true;
		w->writable_len += len;
	} else {
		if (VIRTQ_UNLIKELY(w->writing))
			return -EBADMSG;
		w->readable_len += len;
	}
	if (VIRTQ_UNLIKELY(w->readable_len + w->writable_len > UINT32_MAX))
		return -EBADMSG;

	if (VIRTQ_UNLIKELY(len == 0 || w->n == w->max || off > q->mru.span ||
			   len - 1 > q->mru.span - off ||
			   (writable && q->mru.readonly))) {
		n = virtq_seg_slow(q, w->iov + w->n, w->max - w->n, gpa, len, writable);
		if (n < 0)
			return n;
	} else {
		w->iov[w->n].iov_base = q->mru.host + off;
		w->iov[w->n].iov_len = len;
	}
	w->n += (uint32_t)n;
	if (!writable)
		w->readable_n = w->n;
	return 0;
}

/* What was written to the ring at @p at, for whoever keeps track. */
static inline void virtq_wrote(struct vmm_virtq *q, const void *at, uint64_t len)
{
	if (VIRTQ_UNLIKELY(q->log))
		virtq_log_mark_ring(q, at, len);
}

/* Note that a chain is out: without log and order, and with. */
static inline void virtq_slot_plain(struct vmm_virtq *q, uint16_t head, uint16_t descs,
				    bool redone, uint64_t room)
{
	struct virtq_slot *slot = &q->slots[head];

	/* Its len is only looked at once it is done. */
	slot->writable = (uint32_t)room;
	slot->what = virtq_inflight((uint32_t)q->popped, descs, redone);
	virtq_add(&q->popped, 1);
}

static inline void virtq_slot_fill(struct vmm_virtq *q, uint16_t head, uint16_t descs,
				   bool redone, uint64_t room)
{
	if (VIRTQ_UNLIKELY(q->log))
		virtq_log_take(q, head);
	if (VIRTQ_UNLIKELY(q->in_order))
		q->order[q->popped & q->order_mask] = head;
	virtq_slot_plain(q, head, descs, redone, room);
}

static inline __attribute__((always_inline)) void virtq_take(
    struct vmm_virtq *q, struct vmm_virtq_chain *chain, const struct virtq_walk *w,
    uint16_t head, uint16_t descs, bool redone)
{
	chain->token = virtq_token(q, head, q->popped);
	chain->readable_len = w->readable_len;
	chain->writable_len = w->writable_len;
	chain->readable_n = w->readable_n;
	chain->writable_n = w->n - w->readable_n;
	chain->head = head;
	chain->reserved_ = 0;
	virtq_slot_fill(q, head, descs, redone, w->writable_len);
}

/* What stands behind readable_n, in one store, as of a slot. */
static inline void virtq_set_tail(struct vmm_virtq_chain *chain, uint32_t writable_n,
				  uint16_t head)
{
	uint64_t n = writable_n, h = head;
	uint64_t tail = VIRTQ_LITTLE ? n | h << 32 : n << 32 | h << 16;

	_Static_assert(offsetof(struct vmm_virtq_chain, head) ==
			   offsetof(struct vmm_virtq_chain, writable_n) + 4,
		       "no gap in front of head");
	_Static_assert(sizeof(struct vmm_virtq_chain) ==
			   offsetof(struct vmm_virtq_chain, writable_n) + 8,
		       "head and reserved_ come last");
	memcpy((uint8_t *)chain + offsetof(struct vmm_virtq_chain, writable_n), &tail,
	       sizeof(tail));
}

/* The same for one direct buffer, whose address is in the chain already. */
static inline __attribute__((always_inline)) void virtq_take_one(
    struct vmm_virtq *q, struct vmm_virtq_chain *chain, uint16_t head, uint64_t len,
    uint32_t write)
{
	chain->iov[0].iov_len = len;
	chain->token = virtq_token(q, head, q->popped);
	chain->readable_len = write ? 0 : len;
	chain->writable_len = write ? len : 0;
	chain->readable_n = !write;
	virtq_set_tail(chain, write != 0, head);
	virtq_slot_plain(q, head, 1, false, write ? len : 0);
}

#endif

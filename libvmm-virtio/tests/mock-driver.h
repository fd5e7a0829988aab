/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MOCK_DRIVER_H
#define MOCK_DRIVER_H

/*
 * A virtio driver in the place of a guest: it owns guest memory and plays the driver side
 * of one queue, split or packed, direct or indirect, with or without event indices. In
 * well-behaved use, mock_add(), mock_get_used() and mock_should_kick() are all there is.
 * A hostile driver writes what it likes with the mock_raw_*() calls.
 *
 * Header only, and free of any test framework, so that device tests of other projects
 * and fuzzers can use it. Little-endian hosts and single threads only, but for
 * mock_add()/mock_get_used() against a device on another thread.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/memory.h>
#include <vmm/virtq.h>

/* Guest memory: two regions that touch, a hole, read-only memory, and the top page. */
#define MOCK_RAM_LEN UINT64_C(0x200000)
#define MOCK_SPLIT_AT UINT64_C(0x100000)
#define MOCK_HOLE UINT64_C(0x200000)
#define MOCK_ROM UINT64_C(0x1000000)
#define MOCK_ROM_LEN UINT64_C(0x10000)

#define MOCK_DESC UINT64_C(0x10000)
#define MOCK_DRIVER UINT64_C(0x20000)
#define MOCK_DEVICE UINT64_C(0x30000)
#define MOCK_TABLES UINT64_C(0x40000)
#define MOCK_BUFFERS UINT64_C(0x80000)

#define MOCK_F_NEXT 1u
#define MOCK_F_WRITE 2u
#define MOCK_F_INDIRECT 4u
#define MOCK_F_AVAIL (1u << 7)
#define MOCK_F_USED (1u << 15)

#define MOCK_NUM_MAX 1024u
/* Longest indirect table. */
#define MOCK_TABLE_MAX 16u

struct mock_desc {
	uint64_t addr;
	uint32_t len;
	/* Split: flags, next. Packed: id, flags. */
	uint16_t a;
	uint16_t b;
};

struct mock_seg {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

struct mock {
	struct vmm_mem *mem;
	/* RAM below the hole, in our address space: one mapping behind both regions. */
	uint8_t *ram;
	uint8_t *rom;
	uint32_t num;
	uint64_t features;
	bool packed, event_idx;
	struct vmm_virtq_config config;

	/* Split: head -> descriptors of the chain; free descriptors as a stack. Packed:
	 * buffer id -> slots; free ids as a stack. */
	uint16_t used_descs[MOCK_NUM_MAX];
	uint16_t chain[MOCK_NUM_MAX];
	uint16_t free[MOCK_NUM_MAX];
	uint32_t free_n;
	/* Packed: slots that are free. */
	uint32_t room;
	bool out[MOCK_NUM_MAX];
	uint16_t avail_idx, kicked_idx, used_idx;
	bool avail_wrap, used_wrap;
};

static inline void *mock_at(struct mock *m, uint64_t gpa)
{
	return gpa >= MOCK_ROM ? m->rom + (gpa - MOCK_ROM) : m->ram + gpa;
}

static inline struct mock_desc *mock_raw_desc(struct mock *m, uint32_t i)
{
	return (struct mock_desc *)mock_at(m, m->config.desc) + i;
}

static inline uint16_t *mock_raw_driver(struct mock *m)
{
	return mock_at(m, m->config.driver);
}

static inline uint16_t *mock_raw_device(struct mock *m)
{
	return mock_at(m, m->config.device);
}

/* Write split descriptor @p i. */
static inline void mock_raw_set(struct mock *m, uint32_t i, uint64_t addr, uint32_t len,
				uint32_t flags, uint32_t next)
{
	struct mock_desc d = { addr, len, (uint16_t)flags, (uint16_t)next };

	*mock_raw_desc(m, i) = d;
}

/* Write an entry of an indirect table of a split ring. */
static inline void mock_raw_table(struct mock *m, uint64_t table, uint32_t i,
				  uint64_t addr, uint32_t len, uint32_t flags,
				  uint32_t next)
{
	struct mock_desc d = { addr, len, (uint16_t)flags, (uint16_t)next };

	memcpy(mock_at(m, table + 16 * i), &d, sizeof(d));
}

/* Make head @p head available, whatever it is (split). */
static inline void mock_raw_avail(struct mock *m, uint32_t head)
{
	uint16_t *avail = mock_raw_driver(m);

	avail[2 + m->avail_idx % m->num] = (uint16_t)head;
	m->avail_idx++;
	__atomic_store_n(&avail[1], m->avail_idx, __ATOMIC_RELEASE);
}

static inline void mock_raw_avail_idx(struct mock *m, uint16_t idx)
{
	__atomic_store_n(&mock_raw_driver(m)[1], idx, __ATOMIC_RELEASE);
}

/* used.idx of a split ring. */
static inline uint16_t mock_raw_used_idx(struct mock *m)
{
	return __atomic_load_n(&mock_raw_device(m)[1], __ATOMIC_ACQUIRE);
}

/* Entry @p i of the used ring: id and length. */
static inline void mock_raw_used(struct mock *m, uint32_t i, uint32_t *id, uint32_t *len)
{
	uint8_t *elem = (uint8_t *)mock_raw_device(m) + 4 + 8 * (size_t)(i % m->num);

	memcpy(id, elem, 4);
	memcpy(len, elem + 4, 4);
}

/* Write packed descriptor @p slot; @p wrap is the driver's wrap counter. */
static inline void mock_raw_packed(struct mock *m, uint32_t slot, uint64_t addr,
				   uint32_t len, uint32_t id, uint32_t flags, bool wrap)
{
	struct mock_desc *d = mock_raw_desc(m, slot);

	flags |= wrap ? MOCK_F_AVAIL : MOCK_F_USED;
	d->addr = addr;
	d->len = len;
	d->a = (uint16_t)id;
	__atomic_store_n(&d->b, (uint16_t)flags, __ATOMIC_RELEASE);
}

/* Where the queue is at rest: empty rings, and every descriptor free. */
static inline void mock_reset(struct mock *m, uint32_t num, uint64_t features)
{
	static const struct vmm_virtq_config init = VMM_VIRTQ_CONFIG_INIT;

	memset(m->ram + MOCK_DESC, 0, MOCK_TABLES - MOCK_DESC);
	m->num = num;
	m->features = features;
	m->packed = features & VMM_VIRTIO_F_RING_PACKED;
	m->event_idx = features & VMM_VIRTIO_F_EVENT_IDX;
	m->config = init;
	m->config.features = features;
	m->config.desc = MOCK_DESC;
	m->config.driver = MOCK_DRIVER;
	m->config.device = MOCK_DEVICE;
	m->config.num = num;
	m->free_n = num;
	m->room = num;
	for (uint32_t i = 0; i < num; i++) {
		m->free[i] = (uint16_t)(num - 1 - i);
		m->out[i] = false;
	}
	m->avail_idx = 0;
	m->kicked_idx = 0;
	m->used_idx = 0;
	m->avail_wrap = true;
	m->used_wrap = true;
}

static inline int mock_add_region(struct vmm_mem_builder *b, uint64_t gpa, uint64_t len,
				  void *host, uint32_t flags)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	r.gpa = gpa;
	r.len = len;
	r.host = host;
	r.flags = flags;
	return vmm_mem_builder_add(b, &r, NULL);
}

/* A memory table over host memory that the mock owns. */
static inline int mock_make_mem(struct mock *m, struct vmm_mem **out)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	int ret = vmm_mem_builder_new(&b);

	if (ret == 0)
		ret = mock_add_region(b, 0, MOCK_SPLIT_AT, m->ram, 0);
	if (ret == 0)
		ret = mock_add_region(b, MOCK_SPLIT_AT, MOCK_RAM_LEN - MOCK_SPLIT_AT,
				      m->ram + MOCK_SPLIT_AT, 0);
	if (ret == 0)
		ret =
		    mock_add_region(b, MOCK_ROM, MOCK_ROM_LEN, m->rom, VMM_MEM_READONLY);
	return ret == 0 ? vmm_mem_builder_build(b, out) : ret;
}

static inline void mock_free(struct mock *m)
{
	if (!m)
		return;
	vmm_mem_free(m->mem);
	free(m->ram);
	free(m->rom);
	free(m);
}

static inline struct mock *mock_new(uint32_t num, uint64_t features)
{
	struct mock *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->ram = aligned_alloc(4096, MOCK_RAM_LEN);
	m->rom = aligned_alloc(4096, MOCK_ROM_LEN);
	if (!m->ram || !m->rom || mock_make_mem(m, &m->mem) < 0) {
		mock_free(m);
		return NULL;
	}
	memset(m->ram, 0, MOCK_RAM_LEN);
	memset(m->rom, 0, MOCK_ROM_LEN);
	mock_reset(m, num, features);
	return m;
}

VMM_DEFINE_CLEANUP(mock, mock_free)

static inline uint16_t mock_flags(const struct mock_seg *s, bool last)
{
	return (uint16_t)((s->write ? MOCK_F_WRITE : 0) | (last ? 0 : MOCK_F_NEXT));
}

/* The chain as one indirect table, one table for each head. */
static inline uint64_t mock_fill_table(struct mock *m, uint16_t head,
				       const struct mock_seg *segs, uint32_t n)
{
	uint64_t table = MOCK_TABLES + 16 * MOCK_TABLE_MAX * (uint64_t)head;

	for (uint32_t i = 0; i < n; i++) {
		if (m->packed) {
			struct mock_desc d = { segs[i].gpa, segs[i].len, 0,
					       mock_flags(&segs[i], true) };

			memcpy(mock_at(m, table + 16 * i), &d, sizeof(d));
		} else {
			mock_raw_table(m, table, i, segs[i].gpa, segs[i].len,
				       mock_flags(&segs[i], i == n - 1), i + 1);
		}
	}
	return table;
}

static inline int mock_add_split(struct mock *m, const struct mock_seg *segs, uint32_t n,
				 bool indirect)
{
	uint32_t take = indirect ? 1 : n;
	uint16_t head, at;

	if (take > m->free_n)
		return -ENOSPC;
	head = m->free[m->free_n - 1];
	if (indirect) {
		mock_raw_set(m, head, mock_fill_table(m, head, segs, n), 16 * n,
			     MOCK_F_INDIRECT, 0);
	} else {
		for (uint32_t i = 0; i < n; i++) {
			at = m->free[m->free_n - 1 - i];
			m->chain[at] = i == n - 1 ? 0 : m->free[m->free_n - 2 - i];
			mock_raw_set(m, at, segs[i].gpa, segs[i].len,
				     mock_flags(&segs[i], i == n - 1), m->chain[at]);
		}
	}
	m->free_n -= take;
	m->used_descs[head] = (uint16_t)take;
	m->out[head] = true;
	mock_raw_avail(m, head);
	return head;
}

static inline int mock_add_packed(struct mock *m, const struct mock_seg *segs, uint32_t n,
				  bool indirect)
{
	uint32_t take = indirect ? 1 : n;
	uint16_t first = m->avail_idx, id;
	uint32_t first_flags = 0;
	bool first_wrap = m->avail_wrap;

	if (take > m->room || m->free_n == 0)
		return -ENOSPC;
	id = m->free[--m->free_n];
	for (uint32_t i = 0; i < take; i++) {
		struct mock_desc *d = mock_raw_desc(m, m->avail_idx);
		uint32_t flags =
		    indirect ? MOCK_F_INDIRECT : mock_flags(&segs[i], i == n - 1);

		d->addr = indirect ? mock_fill_table(m, id, segs, n) : segs[i].gpa;
		d->len = indirect ? 16 * n : segs[i].len;
		d->a = id;
		if (i == 0)
			first_flags = flags;
		else
			mock_raw_packed(m, m->avail_idx, d->addr, d->len, id, flags,
					m->avail_wrap);
		if (++m->avail_idx == m->num) {
			m->avail_idx = 0;
			m->avail_wrap = !m->avail_wrap;
		}
	}
	m->room -= take;
	m->used_descs[id] = (uint16_t)take;
	m->out[id] = true;
	first_flags |= first_wrap ? MOCK_F_AVAIL : MOCK_F_USED;
	__atomic_store_n(&mock_raw_desc(m, first)->b, (uint16_t)first_flags,
			 __ATOMIC_RELEASE);
	return id;
}

/* Offer a chain of @p n buffers; returns its head or id, or -ENOSPC. */
static inline int mock_add(struct mock *m, const struct mock_seg *segs, uint32_t n,
			   bool indirect)
{
	return m->packed ? mock_add_packed(m, segs, n, indirect)
			 : mock_add_split(m, segs, n, indirect);
}

static inline void mock_recycle(struct mock *m, uint16_t id)
{
	uint16_t at = id;

	m->out[id] = false;
	if (m->packed) {
		m->free[m->free_n++] = id;
		m->room += m->used_descs[id];
		return;
	}
	for (uint32_t i = 0; i < m->used_descs[id]; i++) {
		m->free[m->free_n++] = at;
		at = m->chain[at];
	}
}

static inline int mock_used_split(struct mock *m, uint32_t *id, uint32_t *len)
{
	if (mock_raw_used_idx(m) == m->used_idx)
		return -EAGAIN;
	mock_raw_used(m, m->used_idx, id, len);
	m->used_idx++;
	return 0;
}

static inline int mock_used_packed(struct mock *m, uint32_t *id, uint32_t *len)
{
	struct mock_desc *d = mock_raw_desc(m, m->used_idx);
	uint16_t flags = __atomic_load_n(&d->b, __ATOMIC_ACQUIRE);

	if (!!(flags & MOCK_F_USED) != m->used_wrap ||
	    !!(flags & MOCK_F_AVAIL) != m->used_wrap)
		return -EAGAIN;
	*id = d->a;
	*len = d->len;
	if (*id >= m->num)
		return 0;
	m->used_idx = (uint16_t)(m->used_idx + m->used_descs[*id]);
	if (m->used_idx >= m->num) {
		m->used_idx = (uint16_t)(m->used_idx - m->num);
		m->used_wrap = !m->used_wrap;
	}
	return 0;
}

/* Take back a used chain. -EAGAIN: none. -EPROTO: the device named one that is not out.
 */
static inline int mock_get_used(struct mock *m, uint32_t *id, uint32_t *len)
{
	int ret = m->packed ? mock_used_packed(m, id, len) : mock_used_split(m, id, len);

	if (ret < 0)
		return ret;
	if (*id >= m->num || !m->out[*id])
		return -EPROTO;
	mock_recycle(m, (uint16_t)*id);
	return 0;
}

/* Does the device want to be notified of what was added since the last call? */
static inline bool mock_should_kick(struct mock *m)
{
	uint16_t old = m->kicked_idx, new = m->avail_idx, event;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	m->kicked_idx = new;
	if (m->packed)
		return __atomic_load_n(&mock_raw_device(m)[1], __ATOMIC_ACQUIRE) != 1;
	if (!m->event_idx)
		return !(__atomic_load_n(&mock_raw_device(m)[0], __ATOMIC_RELAXED) & 1);
	event = __atomic_load_n(&mock_raw_device(m)[2 + 4 * m->num], __ATOMIC_RELAXED);
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* Ask for an interrupt once @p ahead more chains are used; split with event index only.
 */
static inline void mock_want_interrupt(struct mock *m, uint16_t ahead)
{
	__atomic_store_n(&mock_raw_driver(m)[2 + m->num], (uint16_t)(m->used_idx + ahead),
			 __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

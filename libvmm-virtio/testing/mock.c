/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mock.h"

#define USED_ELEM 8u

static struct mock_desc *desc_at(struct vmm_virtio_mock *m, uint32_t i)
{
	return (struct mock_desc *)(void *)(m->ram + m->config.desc) + i;
}

static uint16_t *driver_area(const struct vmm_virtio_mock *m)
{
	return (uint16_t *)(void *)(m->ram + m->config.driver);
}

static uint16_t *device_area(const struct vmm_virtio_mock *m)
{
	return (uint16_t *)(void *)(m->ram + m->config.device);
}

static void place(struct vmm_virtio_mock *m, uint32_t index)
{
	static const struct vmm_virtq_config init = VMM_VIRTQ_CONFIG_INIT;

	m->config = init;
	m->config.desc = MOCK_DESC + index * MOCK_STRIDE;
	m->config.driver = MOCK_DRIVER + index * MOCK_STRIDE;
	m->config.device = MOCK_DEVICE + index * MOCK_STRIDE;
	m->tables = MOCK_TABLES + index * MOCK_TABLES_STRIDE;
}

void vmm_virtio_mock_reset(struct vmm_virtio_mock *mock, uint32_t num, uint64_t features)
{
	struct vmm_virtio_mock *m = mock;

	memset(m->ram + m->config.desc, 0, MOCK_STRIDE);
	memset(m->ram + m->config.driver, 0, MOCK_STRIDE);
	memset(m->ram + m->config.device, 0, MOCK_STRIDE);
	m->num = num;
	m->features = features;
	m->packed = features & VMM_VIRTIO_F_RING_PACKED;
	m->event_idx = features & VMM_VIRTIO_F_EVENT_IDX;
	m->in_order = features & VMM_VIRTIO_F_IN_ORDER;
	m->config.features = features;
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
	m->offered = 0;
	m->kicked = 0;
	m->line_at = 0;
	m->line_n = 0;
	m->batch_n = 0;
}

static int add_region(struct vmm_mem_builder *b, uint64_t gpa, uint64_t len, void *host,
		      uint32_t flags)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	r.gpa = gpa;
	r.len = len;
	r.host = host;
	r.flags = flags;
	return vmm_mem_builder_add(b, &r, NULL);
}

static int make_mem(struct vmm_virtio_mock *m)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	int ret = vmm_mem_builder_new(&b);

	m->ram = aligned_alloc(4096, VMM_VIRTIO_MOCK_RAM_LEN);
	m->rom = aligned_alloc(4096, VMM_VIRTIO_MOCK_ROM_LEN);
	m->owns_mem = true;
	if (!m->ram || !m->rom)
		return -ENOMEM;
	memset(m->ram, 0, VMM_VIRTIO_MOCK_RAM_LEN);
	memset(m->rom, 0, VMM_VIRTIO_MOCK_ROM_LEN);
	if (ret == 0)
		ret = add_region(b, 0, VMM_VIRTIO_MOCK_BORDER, m->ram, 0);
	if (ret == 0)
		ret = add_region(b, VMM_VIRTIO_MOCK_BORDER,
				 VMM_VIRTIO_MOCK_RAM_LEN - VMM_VIRTIO_MOCK_BORDER,
				 m->ram + VMM_VIRTIO_MOCK_BORDER, 0);
	if (ret == 0)
		ret = add_region(b, VMM_VIRTIO_MOCK_ROM, VMM_VIRTIO_MOCK_ROM_LEN, m->rom,
				 VMM_MEM_READONLY);
	return ret == 0 ? vmm_mem_builder_build(b, &m->mem) : ret;
}

static bool size_is_fine(uint32_t num, uint32_t max, uint64_t features)
{
	return num > 0 && num <= max &&
	       ((features & VMM_VIRTIO_F_RING_PACKED) || (num & (num - 1)) == 0);
}

int vmm_virtio_mock_new(uint32_t num, uint64_t features, struct vmm_virtio_mock **out)
{
	struct vmm_virtio_mock *m;
	int ret;

	if (!size_is_fine(num, VMM_VIRTIO_MOCK_NUM_MAX, features))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	ret = make_mem(m);
	if (ret < 0) {
		vmm_virtio_mock_free(m);
		return ret;
	}
	place(m, 0);
	vmm_virtio_mock_reset(m, num, features);
	*out = m;
	return 0;
}

int vmm_virtio_mock_new_beside(struct vmm_virtio_mock *first, uint32_t index,
			       uint32_t num, struct vmm_virtio_mock **out)
{
	struct vmm_virtio_mock *m;

	if (index == 0 || index >= VMM_VIRTIO_MOCK_QUEUES ||
	    first->num > VMM_VIRTIO_MOCK_NUM_SHARED ||
	    !size_is_fine(num, VMM_VIRTIO_MOCK_NUM_SHARED, first->features))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->mem = first->mem;
	m->ram = first->ram;
	m->rom = first->rom;
	place(m, index);
	vmm_virtio_mock_reset(m, num, first->features);
	*out = m;
	return 0;
}

void vmm_virtio_mock_free(struct vmm_virtio_mock *mock)
{
	if (!mock)
		return;
	if (mock->owns_mem) {
		vmm_mem_free(mock->mem);
		free(mock->ram);
		free(mock->rom);
	}
	free(mock);
}

const struct vmm_mem *vmm_virtio_mock_get_mem(const struct vmm_virtio_mock *mock)
{
	return mock->mem;
}

const struct vmm_virtq_config *vmm_virtio_mock_get_config(
    const struct vmm_virtio_mock *mock)
{
	return &mock->config;
}

void *vmm_virtio_mock_at(struct vmm_virtio_mock *mock, uint64_t gpa)
{
	if (gpa < VMM_VIRTIO_MOCK_RAM_LEN)
		return mock->ram + gpa;
	if (gpa >= VMM_VIRTIO_MOCK_ROM &&
	    gpa - VMM_VIRTIO_MOCK_ROM < VMM_VIRTIO_MOCK_ROM_LEN)
		return mock->rom + (gpa - VMM_VIRTIO_MOCK_ROM);
	return NULL;
}

static uint16_t seg_flags(const struct vmm_virtio_mock_seg *s, bool last)
{
	return (uint16_t)((s->write ? MOCK_F_WRITE : 0) | (last ? 0 : MOCK_F_NEXT));
}

/* The chain as one indirect table, one table for each head. */
static uint64_t fill_table(struct vmm_virtio_mock *m, uint16_t head,
			   const struct vmm_virtio_mock_seg *segs, uint32_t n)
{
	uint64_t gpa = m->tables + 16 * VMM_VIRTIO_MOCK_TABLE_MAX * (uint64_t)head;
	struct mock_desc *table = (struct mock_desc *)(void *)(m->ram + gpa);

	for (uint32_t i = 0; i < n; i++) {
		struct mock_desc d = { .addr = segs[i].gpa, .len = segs[i].len };

		if (m->packed) {
			d.b = seg_flags(&segs[i], true);
		} else {
			d.a = seg_flags(&segs[i], i == n - 1);
			d.b = (uint16_t)(i + 1);
		}
		table[i] = d;
	}
	return gpa;
}

static int add_split(struct vmm_virtio_mock *m, const struct vmm_virtio_mock_seg *segs,
		     uint32_t n, bool indirect)
{
	uint32_t take = indirect ? 1 : n;
	uint16_t *avail = driver_area(m), head, at;

	if (take > m->free_n)
		return -ENOSPC;
	head = m->free[m->free_n - 1];
	if (indirect) {
		*desc_at(m, head) = (struct mock_desc){ fill_table(m, head, segs, n),
							16 * n, MOCK_F_INDIRECT, 0 };
	} else {
		for (uint32_t i = 0; i < n; i++) {
			at = m->free[m->free_n - 1 - i];
			m->chain[at] = i == n - 1 ? 0 : m->free[m->free_n - 2 - i];
			*desc_at(m, at) =
			    (struct mock_desc){ segs[i].gpa, segs[i].len,
						seg_flags(&segs[i], i == n - 1),
						m->chain[at] };
		}
	}
	m->free_n -= take;
	m->used_descs[head] = (uint16_t)take;
	avail[2 + m->avail_idx % m->num] = head;
	m->avail_idx++;
	__atomic_store_n(&avail[1], m->avail_idx, __ATOMIC_RELEASE);
	return head;
}

/* The flags of the first descriptor come last. */
static int add_packed(struct vmm_virtio_mock *m, const struct vmm_virtio_mock_seg *segs,
		      uint32_t n, bool indirect)
{
	uint32_t take = indirect ? 1 : n;
	uint16_t first = m->avail_idx, id, first_flags = 0;

	if (take > m->room || m->free_n == 0)
		return -ENOSPC;
	id = m->free[--m->free_n];
	for (uint32_t i = 0; i < take; i++) {
		struct mock_desc *d = desc_at(m, m->avail_idx);
		uint16_t flags =
		    indirect ? MOCK_F_INDIRECT : seg_flags(&segs[i], i == n - 1);

		flags |= m->avail_wrap ? MOCK_F_AVAIL : MOCK_F_USED;
		d->addr = indirect ? fill_table(m, id, segs, n) : segs[i].gpa;
		d->len = indirect ? 16 * n : segs[i].len;
		d->a = id;
		if (i == 0)
			first_flags = flags;
		else
			__atomic_store_n(&d->b, flags, __ATOMIC_RELEASE);
		if (++m->avail_idx == m->num) {
			m->avail_idx = 0;
			m->avail_wrap = !m->avail_wrap;
		}
	}
	m->room -= take;
	m->offered += take;
	m->used_descs[id] = (uint16_t)take;
	__atomic_store_n(&desc_at(m, first)->b, first_flags, __ATOMIC_RELEASE);
	return id;
}

int vmm_virtio_mock_add(struct vmm_virtio_mock *mock,
			const struct vmm_virtio_mock_seg *segs, uint32_t n, bool indirect)
{
	struct vmm_virtio_mock *m = mock;
	int id;

	if (n == 0 || (indirect && n > VMM_VIRTIO_MOCK_TABLE_MAX))
		return -EINVAL;
	id = m->packed ? add_packed(m, segs, n, indirect)
		       : add_split(m, segs, n, indirect);
	if (id < 0)
		return id;
	m->out[id] = true;
	m->line[(m->line_at + m->line_n++) % m->num] = (uint16_t)id;
	return id;
}

static void recycle(struct vmm_virtio_mock *m, uint16_t id)
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

/* Go on by one chain's worth of the used ring. */
static void pass(struct vmm_virtio_mock *m, uint16_t id)
{
	if (!m->packed) {
		m->used_idx++;
		return;
	}
	m->used_idx = (uint16_t)(m->used_idx + m->used_descs[id]);
	if (m->used_idx >= m->num) {
		m->used_idx = (uint16_t)(m->used_idx - m->num);
		m->used_wrap = !m->used_wrap;
	}
}

static int look_split(struct vmm_virtio_mock *m, uint32_t *id, uint32_t *len)
{
	const uint16_t *used = device_area(m);
	const uint8_t *elem =
	    (const uint8_t *)&used[2] + USED_ELEM * (size_t)(m->used_idx % m->num);

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == m->used_idx)
		return -EAGAIN;
	memcpy(id, elem, 4);
	memcpy(len, elem + 4, 4);
	return 0;
}

static int look_packed(struct vmm_virtio_mock *m, uint32_t *id, uint32_t *len)
{
	struct mock_desc *d = desc_at(m, m->used_idx);
	uint16_t flags = __atomic_load_n(&d->b, __ATOMIC_ACQUIRE);

	if (!!(flags & MOCK_F_USED) != m->used_wrap ||
	    !!(flags & MOCK_F_AVAIL) != m->used_wrap)
		return -EAGAIN;
	*id = d->a;
	*len = d->len;
	return 0;
}

/* How many chains a used entry stands for; 0 if that cannot be. */
static uint32_t batch_of(const struct vmm_virtio_mock *m, uint32_t id)
{
	for (uint32_t i = 0; i < m->line_n; i++) {
		if (m->line[(m->line_at + i) % m->num] == id)
			return i + 1;
	}
	return 0;
}

static uint16_t leave_line(struct vmm_virtio_mock *m)
{
	uint16_t id = m->line[m->line_at];

	m->line_at = (m->line_at + 1) % m->num;
	m->line_n--;
	return id;
}

/* A chain that was written by hand is not in the line. */
static void forget(struct vmm_virtio_mock *m, uint32_t id)
{
	uint32_t at = batch_of(m, id);

	if (at == 0)
		return;
	for (at--; at > 0; at--)
		m->line[(m->line_at + at) % m->num] =
		    m->line[(m->line_at + at - 1) % m->num];
	(void)leave_line(m);
}

int vmm_virtio_mock_get_used(struct vmm_virtio_mock *mock, uint32_t *out_id,
			     uint32_t *out_len)
{
	struct vmm_virtio_mock *m = mock;
	uint32_t id = 0, len = 0;

	if (m->batch_n == 0) {
		int ret =
		    m->packed ? look_packed(m, &id, &len) : look_split(m, &id, &len);

		if (ret < 0)
			return ret;
		if (id >= m->num || !m->out[id]) {
			if (!m->packed)
				m->used_idx++;
			return -EPROTO;
		}
		m->batch_n = m->in_order ? batch_of(m, id) : 0;
		m->batch_len = len;
		if (m->batch_n == 0) {
			forget(m, id);
			m->batch_n = 1;
		} else {
			id = leave_line(m);
		}
	} else {
		id = leave_line(m);
	}
	m->batch_n--;
	*out_id = id;
	*out_len = m->batch_n > 0 ? 0 : m->batch_len;
	pass(m, (uint16_t)id);
	recycle(m, (uint16_t)id);
	return 0;
}

static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static bool packed_should_kick(struct vmm_virtio_mock *m, uint32_t added)
{
	uint16_t flags = __atomic_load_n(&device_area(m)[1], __ATOMIC_ACQUIRE), off,
		 event;

	if (flags == 1)
		return false;
	if (flags != 2 || !m->event_idx)
		return true;
	off = __atomic_load_n(&device_area(m)[0], __ATOMIC_RELAXED);
	event = off & 0x7fff;
	if (!!(off >> 15) != m->avail_wrap)
		event = (uint16_t)(event - m->num);
	return added >= m->num ||
	       passed(event, m->avail_idx, (uint16_t)(m->avail_idx - added));
}

bool vmm_virtio_mock_should_kick(struct vmm_virtio_mock *mock)
{
	struct vmm_virtio_mock *m = mock;
	uint32_t added = m->offered - m->kicked;
	uint16_t old = m->kicked_idx, event;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	m->kicked_idx = m->avail_idx;
	m->kicked = m->offered;
	if (m->packed)
		return packed_should_kick(m, added);
	if (!m->event_idx)
		return !(__atomic_load_n(&device_area(m)[0], __ATOMIC_RELAXED) & 1);
	event = __atomic_load_n(&device_area(m)[2 + 4 * m->num], __ATOMIC_RELAXED);
	return passed(event, m->avail_idx, old);
}

uint32_t vmm_virtio_mock_notification(const struct vmm_virtio_mock *mock, uint32_t index)
{
	uint32_t off = mock->avail_idx;

	if (!(mock->features & VMM_VIRTIO_F_NOTIFICATION_DATA))
		return index;
	if (mock->packed)
		off |= mock->avail_wrap ? 1u << 15 : 0;
	return off << 16 | index;
}

void vmm_virtio_mock_disable_interrupt(struct vmm_virtio_mock *mock)
{
	uint16_t *words = driver_area(mock);

	if (mock->packed)
		__atomic_store_n(&words[1], 1, __ATOMIC_RELAXED);
	else if (mock->event_idx)
		__atomic_store_n(&words[2 + mock->num], (uint16_t)(mock->used_idx - 1),
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&words[0], 1, __ATOMIC_RELAXED);
}

bool vmm_virtio_mock_enable_interrupt(struct vmm_virtio_mock *mock, uint16_t ahead)
{
	uint16_t *words = driver_area(mock);
	uint32_t at, ignored;
	bool wrap = mock->used_wrap;

	if (mock->packed && mock->event_idx) {
		at = mock->used_idx + ahead;
		if (at >= mock->num) {
			at -= mock->num;
			wrap = !wrap;
		}
		__atomic_store_n(&words[0], (uint16_t)(at | (wrap ? 1u << 15 : 0)),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&words[1], 2, __ATOMIC_RELEASE);
	} else if (mock->packed) {
		__atomic_store_n(&words[1], 0, __ATOMIC_RELAXED);
	} else if (mock->event_idx) {
		__atomic_store_n(&words[2 + mock->num],
				 (uint16_t)(mock->used_idx + ahead), __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&words[0], 0, __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (mock->packed ? look_packed(mock, &at, &ignored)
			     : look_split(mock, &at, &ignored)) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "mock.h"

#define BUFFER VMM_VIRTIO_MOCK_BUFFERS
#define HOLE VMM_VIRTIO_MOCK_RAM_LEN
#define NEXT MOCK_F_NEXT
#define WRITE MOCK_F_WRITE
#define INDIRECT MOCK_F_INDIRECT

enum rings { SPLIT = 1, PACKED = 2, BOTH = 3 };

/* One descriptor as an attack wants it; `next` is relative to the chain, split only. */
struct raw {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* A chain, and an indirect table for its descriptors with INDIRECT, whose address is then
 * an offset behind the table's. */
struct attack {
	const char *name;
	enum rings rings;
	bool breaks, needs_indirect;
	uint32_t n;
	struct raw chain[3];
	uint32_t table_n;
	struct raw table[3];
};

#define TABLE 0

static const struct attack attacks[VMM_VIRTIO_MOCK_ATTACKS] = {
	[VMM_VIRTIO_MOCK_HOLE] = { "buffer in a hole",
				   BOTH,
				   false,
				   false,
				   1,
				   { { HOLE, 16, WRITE, 0 } },
				   0,
				   { { 0 } } },
	[VMM_VIRTIO_MOCK_WRAP] = { "buffer that wraps",
				   BOTH,
				   false,
				   false,
				   1,
				   { { UINT64_MAX - 7, 16, WRITE, 0 } },
				   0,
				   { { 0 } } },
	[VMM_VIRTIO_MOCK_WRITE_ROM] = { "read-only memory to be written",
					BOTH,
					false,
					false,
					1,
					{ { VMM_VIRTIO_MOCK_ROM, 16, WRITE, 0 } },
					0,
					{ { 0 } } },
	[VMM_VIRTIO_MOCK_READ_LAST] = { "readable behind writable",
					BOTH,
					false,
					false,
					2,
					{ { BUFFER, 16, WRITE | NEXT, 1 },
					  { BUFFER, 16, 0, 0 } },
					0,
					{ { 0 } } },
	[VMM_VIRTIO_MOCK_TOO_MANY_BYTES] = { "more than 4 GiB",
					     BOTH,
					     false,
					     false,
					     2,
					     { { BUFFER, UINT32_MAX, NEXT, 1 },
					       { BUFFER, 16, 0, 0 } },
					     0,
					     { { 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_ODD] = { "table of odd length",
					BOTH,
					false,
					true,
					1,
					{ { TABLE, 24, INDIRECT, 0 } },
					2,
					{ { BUFFER, 16, NEXT, 1 },
					  { BUFFER, 16, 0, 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_EMPTY] = { "empty table",
					  BOTH,
					  false,
					  true,
					  1,
					  { { TABLE, 0, INDIRECT, 0 } },
					  0,
					  { { 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_HOLE] = { "table in a hole",
					 BOTH,
					 false,
					 true,
					 1,
					 { { HOLE, 16, INDIRECT, 0 } },
					 0,
					 { { 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_LONG] = { "table longer than the queue",
					 BOTH,
					 false,
					 true,
					 1,
					 { { TABLE, 16 * 65535, INDIRECT, 0 } },
					 1,
					 { { BUFFER, 16, NEXT, 1 } } },
	[VMM_VIRTIO_MOCK_TABLE_CHAINED] = { "indirect and next",
					    BOTH,
					    false,
					    true,
					    2,
					    { { TABLE, 16, INDIRECT | NEXT, 1 },
					      { BUFFER, 16, WRITE, 0 } },
					    1,
					    { { BUFFER, 16, 0, 0 } } },
	[VMM_VIRTIO_MOCK_LOOP] = { "loop",
				   SPLIT,
				   false,
				   false,
				   2,
				   { { BUFFER, 0, NEXT, 1 }, { BUFFER, 16, NEXT, 0 } },
				   0,
				   { { 0 } } },
	[VMM_VIRTIO_MOCK_NEXT] = { "next that does not exist",
				   SPLIT,
				   false,
				   false,
				   1,
				   { { BUFFER, 16, NEXT, UINT16_MAX } },
				   0,
				   { { 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_NESTED] = { "table in a table",
					   SPLIT,
					   false,
					   true,
					   1,
					   { { TABLE, 16, INDIRECT, 0 } },
					   1,
					   { { BUFFER, 16, INDIRECT, 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_LOOP] = { "loop in a table",
					 SPLIT,
					 false,
					 true,
					 1,
					 { { TABLE, 16, INDIRECT, 0 } },
					 1,
					 { { BUFFER, 0, NEXT, 0 } } },
	[VMM_VIRTIO_MOCK_TABLE_NEXT] = { "next outside the table",
					 SPLIT,
					 false,
					 true,
					 1,
					 { { TABLE, 16, INDIRECT, 0 } },
					 1,
					 { { BUFFER, 16, NEXT, 1 } } },
	[VMM_VIRTIO_MOCK_HEAD] = { "head that does not exist",
				   BOTH,
				   true,
				   false,
				   1,
				   { { BUFFER, 16, 0, 0 } },
				   0,
				   { { 0 } } },
	[VMM_VIRTIO_MOCK_HEAD_TWICE] = { "head twice",
					 BOTH,
					 true,
					 false,
					 1,
					 { { BUFFER, 16, 0, 0 } },
					 0,
					 { { 0 } } },
	[VMM_VIRTIO_MOCK_INDEX_AHEAD] = { "index that jumps",
					  SPLIT,
					  true,
					  false,
					  0,
					  { { 0 } },
					  0,
					  { { 0 } } },
	[VMM_VIRTIO_MOCK_INDEX_BACK] = { "index that goes back",
					 SPLIT,
					 true,
					 false,
					 0,
					 { { 0 } },
					 0,
					 { { 0 } } },
	[VMM_VIRTIO_MOCK_ENDLESS] = { "endless chain",
				      PACKED,
				      true,
				      false,
				      0,
				      { { 0 } },
				      0,
				      { { 0 } } },
	[VMM_VIRTIO_MOCK_HALF_A_CHAIN] = { "half a chain",
					   PACKED,
					   true,
					   false,
					   1,
					   { { BUFFER, 16, NEXT, 1 } },
					   0,
					   { { 0 } } },
};

/* Where the table of a chain is: that of its head. */
static uint64_t fill_table(struct vmm_virtio_mock *m, const struct attack *a,
			   uint16_t head)
{
	uint64_t gpa = m->tables + 16 * VMM_VIRTIO_MOCK_TABLE_MAX * (uint64_t)head;

	for (uint32_t i = 0; i < a->table_n; i++) {
		const struct raw *r = &a->table[i];
		struct mock_desc d = { r->addr, r->len, m->packed ? 0 : r->flags,
				       m->packed ? r->flags : r->next };

		memcpy(m->ram + gpa + 16 * i, &d, sizeof(d));
	}
	return gpa;
}

static struct mock_desc *desc_at(struct vmm_virtio_mock *m, uint32_t i)
{
	return (struct mock_desc *)(void *)(m->ram + m->config.desc) + i;
}

static uint64_t address_of(struct vmm_virtio_mock *m, const struct attack *a,
			   const struct raw *r, uint16_t head)
{
	return (r->flags & INDIRECT) && r->addr == TABLE ? fill_table(m, a, head)
							 : r->addr;
}

/* Offer a chain of as many harmless buffers, and put the harm in its place before the
 * device can see it: index and flags are taken back meanwhile. */
static void mount_split(struct vmm_virtio_mock *m, const struct attack *a)
{
	uint16_t *avail = (uint16_t *)(void *)(m->ram + m->config.driver);
	uint16_t at[3], head = m->free[m->free_n - 1];

	for (uint32_t i = 0; i < a->n; i++)
		at[i] = m->free[m->free_n - 1 - i];
	for (uint32_t i = 0; i < a->n; i++) {
		const struct raw *r = &a->chain[i];

		*desc_at(m, at[i]) =
		    (struct mock_desc){ address_of(m, a, r, head), r->len, r->flags,
					r->next < a->n ? at[r->next] : r->next };
		m->chain[at[i]] = i + 1 < a->n ? at[i + 1] : 0;
	}
	m->free_n -= a->n;
	m->used_descs[head] = (uint16_t)a->n;
	m->out[head] = true;
	m->line[(m->line_at + m->line_n++) % m->num] = head;
	avail[2 + m->avail_idx % m->num] = head;
	m->avail_idx++;
	__atomic_store_n(&avail[1], m->avail_idx, __ATOMIC_RELEASE);
}

static void mount_packed(struct vmm_virtio_mock *m, const struct attack *a)
{
	uint16_t first = m->avail_idx, id = m->free[--m->free_n], first_flags = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct raw *r = &a->chain[i];
		struct mock_desc *d = desc_at(m, m->avail_idx);
		uint16_t flags =
		    (uint16_t)(r->flags | (m->avail_wrap ? MOCK_F_AVAIL : MOCK_F_USED));

		d->addr = address_of(m, a, r, id);
		d->len = r->len;
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
	m->room -= a->n;
	m->offered += a->n;
	m->used_descs[id] = (uint16_t)a->n;
	m->out[id] = true;
	m->line[(m->line_at + m->line_n++) % m->num] = id;
	__atomic_store_n(&desc_at(m, first)->b, first_flags, __ATOMIC_RELEASE);
}

/* Harm to the split ring's index or heads. */
static void spoil_split(struct vmm_virtio_mock *m, uint32_t attack)
{
	uint16_t *avail = (uint16_t *)(void *)(m->ram + m->config.driver);
	uint16_t idx = avail[1];

	if (attack == VMM_VIRTIO_MOCK_INDEX_AHEAD)
		idx = (uint16_t)(idx + m->num + 1);
	else if (attack == VMM_VIRTIO_MOCK_INDEX_BACK)
		idx--;
	else if (attack == VMM_VIRTIO_MOCK_HEAD)
		avail[2 + idx++ % m->num] = (uint16_t)m->num;
	else
		for (uint32_t i = 0; i < 2; i++)
			avail[2 + idx++ % m->num] = 0;
	/* The head that comes twice is good once. */
	if (attack == VMM_VIRTIO_MOCK_HEAD_TWICE)
		*desc_at(m, 0) = (struct mock_desc){ BUFFER, 16, 0, 0 };
	__atomic_store_n(&avail[1], idx, __ATOMIC_RELEASE);
}

/* Harm to a packed ring; ids that are wrong, or no end of a chain in all the ring. */
static void spoil_packed(struct vmm_virtio_mock *m, uint32_t attack)
{
	uint32_t n = attack == VMM_VIRTIO_MOCK_ENDLESS	    ? m->num
		     : attack == VMM_VIRTIO_MOCK_HEAD_TWICE ? 2
							    : 1;
	uint16_t slot = m->avail_idx;
	bool wrap = m->avail_wrap;

	for (uint32_t i = 0; i < n; i++) {
		struct mock_desc *d = desc_at(m, slot);
		uint16_t flags = wrap ? MOCK_F_AVAIL : MOCK_F_USED;

		d->addr = BUFFER;
		d->len = 16;
		d->a = attack == VMM_VIRTIO_MOCK_HEAD ? (uint16_t)m->num : 0;
		if (attack == VMM_VIRTIO_MOCK_ENDLESS)
			flags |= NEXT;
		__atomic_store_n(&d->b, flags, __ATOMIC_RELEASE);
		if (++slot == m->num) {
			slot = 0;
			wrap = !wrap;
		}
	}
}

int vmm_virtio_mock_attack(struct vmm_virtio_mock *mock, uint32_t attack)
{
	const struct attack *a;

	if (attack >= VMM_VIRTIO_MOCK_ATTACKS || mock->num < 4)
		return -EINVAL;
	a = &attacks[attack];
	if (!(a->rings & (mock->packed ? PACKED : SPLIT)) ||
	    (a->needs_indirect && !(mock->features & VMM_VIRTIO_F_INDIRECT_DESC)))
		return -EOPNOTSUPP;
	if (mock->line_n > 0)
		return -EBUSY;
	if (a->breaks && attack != VMM_VIRTIO_MOCK_HALF_A_CHAIN)
		(mock->packed ? spoil_packed : spoil_split)(mock, attack);
	else
		(mock->packed ? mount_packed : mount_split)(mock, a);
	return 0;
}

bool vmm_virtio_mock_attack_breaks(uint32_t attack)
{
	return attack < VMM_VIRTIO_MOCK_ATTACKS && attacks[attack].breaks;
}

const char *vmm_virtio_mock_attack_name(uint32_t attack)
{
	return attack < VMM_VIRTIO_MOCK_ATTACKS ? attacks[attack].name : "unknown";
}

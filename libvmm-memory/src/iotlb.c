/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/memory-iommu.h>

#include "sys.h"

/* Ends are inclusive, so that a mapping may have the last address. */
struct mapping {
	uint64_t first;
	uint64_t last;
	uint64_t gpa;
	uint32_t access;
	uint32_t reserved_;
};

struct vmm_mem_iotlb {
	uint32_t count;
	uint32_t room;
	uint32_t max;
	/* Sorted, disjoint. */
	struct mapping *list;
};

int vmm_mem_iotlb_new(uint32_t max, struct vmm_mem_iotlb **out)
{
	struct vmm_mem_iotlb *tlb;

	if (max == 0 || max > VMM_MEM_IOTLB_MAX)
		return -EINVAL;
	tlb = mem_sys_alloc(__alignof__(*tlb), sizeof(*tlb));
	if (!tlb)
		return -ENOMEM;
	tlb->max = max;
	*out = tlb;
	return 0;
}

void vmm_mem_iotlb_free(struct vmm_mem_iotlb *tlb)
{
	if (!tlb)
		return;
	free(tlb->list);
	free(tlb);
}

uint32_t vmm_mem_iotlb_count(const struct vmm_mem_iotlb *tlb)
{
	return tlb->count;
}

void vmm_mem_iotlb_clear(struct vmm_mem_iotlb *tlb)
{
	tlb->count = 0;
}

/* The first mapping that ends at or after @iova; count if none. */
static uint32_t find(const struct vmm_mem_iotlb *tlb, uint64_t iova)
{
	uint32_t lo = 0, hi = tlb->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (tlb->list[mid].last < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int reserve(struct vmm_mem_iotlb *tlb, uint32_t count)
{
	uint32_t room = tlb->room ? tlb->room : 16;
	struct mapping *list;

	if (count > tlb->max)
		return -ENOSPC;
	if (count <= tlb->room)
		return 0;
	while (room < count)
		room *= 2;
	list = mem_sys_alloc(__alignof__(*list), room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (tlb->count > 0)
		memcpy(list, tlb->list, tlb->count * sizeof(*list));
	free(tlb->list);
	tlb->list = list;
	tlb->room = room;
	return 0;
}

static bool continues(const struct mapping *a, const struct mapping *b)
{
	return a->last != UINT64_MAX && a->last + 1 == b->first &&
	       a->access == b->access && a->gpa - a->first == b->gpa - b->first;
}

/* What a change does: entries [lo, hi) give way to @n new ones. */
struct change {
	uint32_t lo, hi, n;
	struct mapping put[3];
};

/* Cut [first, last] out of what is there: the remainders go around @mid, if any. */
static void plan(const struct vmm_mem_iotlb *tlb, uint64_t first, uint64_t last,
		 const struct mapping *mid, struct change *c)
{
	const struct mapping *list = tlb->list;

	c->lo = c->hi = find(tlb, first);
	while (c->hi < tlb->count && list[c->hi].first <= last)
		c->hi++;
	c->n = 0;
	if (c->lo < c->hi && list[c->lo].first < first) {
		c->put[c->n] = list[c->lo];
		c->put[c->n++].last = first - 1;
	}
	if (mid)
		c->put[c->n++] = *mid;
	if (c->lo < c->hi && list[c->hi - 1].last > last) {
		struct mapping *right = &c->put[c->n++];

		*right = list[c->hi - 1];
		right->gpa += last + 1 - right->first;
		right->first = last + 1;
	}
}

/* Join what continues, within the change and with its neighbours. */
static void join(const struct vmm_mem_iotlb *tlb, struct change *c)
{
	uint32_t n = 1;

	if (c->lo > 0 && continues(&tlb->list[c->lo - 1], &c->put[0])) {
		c->lo--;
		c->put[0].gpa = tlb->list[c->lo].gpa;
		c->put[0].first = tlb->list[c->lo].first;
	}
	for (uint32_t i = 1; i < c->n; i++) {
		if (continues(&c->put[n - 1], &c->put[i]))
			c->put[n - 1].last = c->put[i].last;
		else
			c->put[n++] = c->put[i];
	}
	c->n = n;
	if (c->hi < tlb->count && continues(&c->put[n - 1], &tlb->list[c->hi])) {
		c->put[n - 1].last = tlb->list[c->hi].last;
		c->hi++;
	}
}

/* Room was made before. */
static void apply(struct vmm_mem_iotlb *tlb, const struct change *c)
{
	if (tlb->count > c->hi)
		memmove(&tlb->list[c->lo + c->n], &tlb->list[c->hi],
			(tlb->count - c->hi) * sizeof(tlb->list[0]));
	if (c->n > 0)
		memcpy(&tlb->list[c->lo], c->put, c->n * sizeof(c->put[0]));
	tlb->count = tlb->count - (c->hi - c->lo) + c->n;
}

int vmm_mem_iotlb_map(struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len,
		      uint64_t gpa, uint32_t access)
{
	struct mapping m = {
		.first = iova, .last = iova + (len - 1), .gpa = gpa, .access = access
	};
	struct change c;
	int ret;

	if (access & ~VMM_MEM_ACCESS_RW)
		return -EINVAL;
	if (len == 0)
		return 0;
	if (len - 1 > UINT64_MAX - iova || len - 1 > UINT64_MAX - gpa)
		return -EFAULT;
	plan(tlb, m.first, m.last, &m, &c);
	join(tlb, &c);
	ret = reserve(tlb, tlb->count - (c.hi - c.lo) + c.n);
	if (ret == 0)
		apply(tlb, &c);
	return ret;
}

void vmm_mem_iotlb_unmap(struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len)
{
	uint64_t last;
	struct change c;

	if (len == 0)
		return;
	last = len - 1 > UINT64_MAX - iova ? UINT64_MAX : iova + (len - 1);
	plan(tlb, iova, last, NULL, &c);
	if (reserve(tlb, tlb->count - (c.hi - c.lo) + c.n) < 0)
		c.n = 1;
	apply(tlb, &c);
}

int vmm_mem_iotlb_first(const struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len,
			uint32_t access, struct vmm_mem_iotlb_piece *out)
{
	struct vmm_mem_iotlb_piece piece = { .iova = iova,
					     .len = len,
					     .kind = VMM_MEM_IOTLB_MISS };
	const struct mapping *m;
	uint32_t i;

	if (len == 0)
		return -ENOENT;
	if (len - 1 > UINT64_MAX - iova)
		return -EFAULT;
	i = find(tlb, iova);
	m = i < tlb->count ? &tlb->list[i] : NULL;
	if (m && m->first <= iova) {
		if (m->last - iova < len - 1)
			piece.len = m->last - iova + 1;
		piece.gpa = m->gpa + (iova - m->first);
		piece.access = m->access;
		piece.kind =
		    (access & ~m->access) ? VMM_MEM_IOTLB_FAULT : VMM_MEM_IOTLB_HIT;
	} else if (m && m->first - iova < len) {
		piece.len = m->first - iova;
	}
	*out = piece;
	return 0;
}

int vmm_mem_iotlb_lookup(const struct vmm_mem_iotlb *tlb, uint64_t iova, uint64_t len,
			 uint32_t access, struct vmm_mem_iotlb_piece *pieces, size_t max,
			 size_t *out_n, size_t *out_bad)
{
	struct vmm_mem_iotlb_piece p;
	size_t n = 0, bad = 0;

	if (len > 0 && len - 1 > UINT64_MAX - iova)
		return -EFAULT;
	/* Counted first: on failure the caller's array is as it was. */
	for (uint64_t at = 0; at < len; at += p.len, n++) {
		if (n >= max ||
		    vmm_mem_iotlb_first(tlb, iova + at, len - at, access, &p) < 0)
			return -E2BIG;
	}
	n = 0;
	for (uint64_t at = 0; at < len; at += p.len) {
		(void)!vmm_mem_iotlb_first(tlb, iova + at, len - at, access, &p);
		bad += p.kind != VMM_MEM_IOTLB_HIT;
		pieces[n++] = p;
	}
	*out_n = n;
	*out_bad = bad;
	return 0;
}

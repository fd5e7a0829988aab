/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_ROOM 32u
#define NODES_MAX (VMM_ALLOC_RANGES_MAX + 2)

int ranges_init(struct vmm_alloc_ranges *p, uint64_t first, uint64_t last, uint32_t room)
{
	_Static_assert(sizeof(struct node) == 64, "a node is a cache line");
	*p = (struct vmm_alloc_ranges){ .first = first, .last = last };
	p->nodes = calloc(room, sizeof(struct node));
	if (!p->nodes)
		return -ENOMEM;
	p->room = room;
	p->used = END + 1;
	p->nodes[END].first = last + 1;
	p->nodes[END].last = UINT64_MAX;
	p->nodes[END].gap_first = first;
	tree_insert_before(p, END, NIL);
	return 0;
}

int vmm_alloc_ranges_new(uint64_t first, uint64_t last, struct vmm_alloc_ranges **out)
{
	struct vmm_alloc_ranges *p;
	int ret;

	if (last < first)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	ret = ranges_init(p, first, last, FIRST_ROOM);
	if (ret < 0) {
		free(p);
		return ret;
	}
	*out = p;
	return 0;
}

void vmm_alloc_ranges_free(struct vmm_alloc_ranges *ranges)
{
	if (!ranges)
		return;
	free(ranges->nodes);
	free(ranges);
}

/* Makes sure that node_get() has one; the only step of taking that can fail late. */
static int node_prepare(struct vmm_alloc_ranges *p)
{
	struct node *nodes;
	uint32_t room;

	if (p->spare != NIL || p->used < p->room)
		return 0;
	if (p->room >= NODES_MAX)
		return -ENOSPC;
	room = p->room < NODES_MAX / 2 ? p->room * 2 : NODES_MAX;
	nodes = realloc(p->nodes, room * sizeof(struct node));
	if (!nodes)
		return -ENOMEM;
	p->nodes = nodes;
	p->room = room;
	return 0;
}

static uint32_t node_get(struct vmm_alloc_ranges *p)
{
	uint32_t n = p->spare;

	if (n != NIL)
		p->spare = p->nodes[n].link[BY_ADDR].child[0];
	else
		n = p->used++;
	return n;
}

static void node_put(struct vmm_alloc_ranges *p, uint32_t n)
{
	p->nodes[n].link[BY_ADDR].child[0] = p->spare;
	p->spare = n;
}

/* Takes [first, last], which is in the gap before n. */
static int carve(struct vmm_alloc_ranges *p, uint32_t n, uint64_t first, uint64_t last)
{
	struct node *node;
	uint32_t m;
	int ret = node_prepare(p);

	if (ret < 0)
		return ret;
	m = node_get(p);
	node = &p->nodes[m];
	if (p->by_gap)
		tree_unindex(p, n);
	node->first = first;
	node->last = last;
	node->gap_first = p->nodes[n].gap_first;
	node->indexed = false;
	p->nodes[n].gap_first = last + 1;
	p->count++;
	tree_insert_before(p, m, n);
	if (p->by_gap) {
		tree_index(p, m);
		tree_index(p, n);
	}
	return 0;
}

/* A request as the search wants it: inclusive ends. */
struct want {
	uint64_t len, align, min, max;
};

/* What of the gap before n is inside the window. False if nothing. */
static bool clip(const struct vmm_alloc_ranges *p, uint32_t n, const struct want *w,
		 uint64_t *out_first, uint64_t *out_last)
{
	uint64_t first = p->nodes[n].gap_first, last = p->nodes[n].first - 1;

	*out_first = first > w->min ? first : w->min;
	*out_last = last < w->max ? last : w->max;
	return *out_first <= *out_last;
}

static bool fit_low(const struct vmm_alloc_ranges *p, uint32_t n, const struct want *w,
		    uint64_t *out)
{
	uint64_t first, last, base;

	if (!clip(p, n, w, &first, &last) ||
	    __builtin_add_overflow(first, w->align - 1, &base))
		return false;
	base &= ~(w->align - 1);
	if (base > last || last - base < w->len - 1)
		return false;
	*out = base;
	return true;
}

static bool fit_high(const struct vmm_alloc_ranges *p, uint32_t n, const struct want *w,
		     uint64_t *out)
{
	uint64_t first, last, base;

	if (!clip(p, n, w, &first, &last) || last - first < w->len - 1)
		return false;
	base = (last - (w->len - 1)) & ~(w->align - 1);
	if (base < first)
		return false;
	*out = base;
	return true;
}

static uint32_t find_first(const struct vmm_alloc_ranges *p, const struct want *w,
			   uint64_t *out)
{
	uint32_t n = w->min > p->first ? tree_at(p, w->min) : tree_first_gap(p, w->len);

	for (; n != NIL && n != END && p->nodes[n].gap_first <= w->max;
	     n = tree_next_gap(p, n, w->len)) {
		if (gap_len(p, n) >= w->len && fit_low(p, n, w, out))
			return n;
	}
	return gap_len(p, END) >= w->len && fit_low(p, END, w, out) ? END : NIL;
}

static uint32_t find_last(const struct vmm_alloc_ranges *p, const struct want *w,
			  uint64_t *out)
{
	uint32_t n;

	if (gap_len(p, END) >= w->len && fit_high(p, END, w, out))
		return END;
	n = w->max < p->last ? tree_at(p, w->max) : tree_last_gap(p, w->len);
	for (; n != NIL && p->nodes[n].first - 1 >= w->min;
	     n = tree_prev_gap(p, n, w->len)) {
		if (n != END && gap_len(p, n) >= w->len && fit_high(p, n, w, out))
			return n;
	}
	return NIL;
}

static uint32_t find_best(struct vmm_alloc_ranges *p, const struct want *w, uint64_t *out)
{
	uint32_t n;

	if (!p->by_gap) {
		for (n = tree_first_gap(p, 1); n != NIL; n = tree_next_gap(p, n, 1))
			tree_index(p, n);
		tree_index(p, END);
		p->by_gap = true;
	}
	for (n = tree_best_gap(p, w->len); n != NIL; n = tree_next(p, BY_GAP, n)) {
		if (fit_low(p, n, w, out))
			return n;
	}
	return NIL;
}

static int take_exact(struct vmm_alloc_ranges *p, const struct want *w, uint64_t at)
{
	uint64_t last;
	uint32_t n;

	if (at & (w->align - 1) || __builtin_add_overflow(at, w->len - 1, &last))
		return -EINVAL;
	if (at < p->first || last > p->last || at < w->min || last > w->max)
		return -ENOENT;
	n = tree_at(p, at);
	if (gap_len(p, n) == 0 || at < p->nodes[n].gap_first ||
	    at > p->nodes[n].first - 1 || last > p->nodes[n].first - 1)
		return -EBUSY;
	return carve(p, n, at, last);
}

/* A request of another size than ours. */
static int request_convert(const struct vmm_alloc_request *request,
			   struct vmm_alloc_request *out)
{
	size_t size = request->size;

	if (size < sizeof(size))
		return -EINVAL;
	for (size_t i = sizeof(*out); i < size; i++) {
		if (((const uint8_t *)request)[i])
			return -E2BIG;
	}
	memset(out, 0, sizeof(*out));
	memcpy(out, request, size < sizeof(*out) ? size : sizeof(*out));
	return 0;
}

static int request_read(const struct vmm_alloc_request *request,
			struct vmm_alloc_request *out)
{
	int ret = 0;

	if (request->size == sizeof(*out))
		*out = *request;
	else
		ret = request_convert(request, out);
	if (ret < 0)
		return ret;
	if (out->len == 0 || out->align == 0 || (out->align & (out->align - 1)) != 0 ||
	    out->policy > VMM_ALLOC_BEST || out->reserved_)
		return -EINVAL;
	if (out->max == 0)
		out->max = UINT64_MAX;
	return out->min <= out->max ? 0 : -EINVAL;
}

int vmm_alloc_ranges_take(struct vmm_alloc_ranges *ranges,
			  const struct vmm_alloc_request *request, uint64_t *out)
{
	struct vmm_alloc_request r;
	struct want w;
	uint64_t base = 0;
	uint32_t n;
	int ret = request_read(request, &r);

	if (ret < 0)
		return ret;
	w = (struct want){ .len = r.len, .align = r.align, .min = r.min, .max = r.max };
	if (r.policy == VMM_ALLOC_EXACT) {
		ret = take_exact(ranges, &w, r.at);
		if (ret == 0)
			*out = r.at;
		return ret;
	}
	if (r.policy == VMM_ALLOC_FIRST)
		n = find_first(ranges, &w, &base);
	else if (r.policy == VMM_ALLOC_LAST)
		n = find_last(ranges, &w, &base);
	else
		n = find_best(ranges, &w, &base);
	if (n == NIL)
		return -ENOSPC;
	ret = carve(ranges, n, base, base + (r.len - 1));
	if (ret == 0)
		*out = base;
	return ret;
}

int vmm_alloc_ranges_reserve(struct vmm_alloc_ranges *ranges, uint64_t base, uint64_t len)
{
	struct want w = { .len = len, .align = 1, .min = 0, .max = UINT64_MAX };

	return len ? take_exact(ranges, &w, base) : -EINVAL;
}

int vmm_alloc_ranges_give(struct vmm_alloc_ranges *ranges, uint64_t base, uint64_t len)
{
	struct vmm_alloc_ranges *p = ranges;
	uint32_t m = tree_at(p, base), next;

	/* The end marker's last is UINT64_MAX, like that of a range at the very end, but
	 * nothing is before it at its first. */
	if (m == NIL || m == END || p->nodes[m].first != base || len == 0 ||
	    p->nodes[m].last - base != len - 1)
		return -ENOENT;
	next = tree_next(p, BY_ADDR, m);
	if (p->by_gap) {
		tree_unindex(p, m);
		tree_unindex(p, next);
	}
	p->nodes[next].gap_first = p->nodes[m].gap_first;
	p->count--;
	tree_remove(p, m, next);
	node_put(p, m);
	if (p->by_gap)
		tree_index(p, next);
	return 0;
}

int vmm_alloc_ranges_next(const struct vmm_alloc_ranges *ranges, uint64_t from,
			  struct vmm_alloc_extent *out)
{
	uint32_t n = tree_at(ranges, from);

	if (n == END)
		return -ENOENT;
	*out = (struct vmm_alloc_extent){ .first = ranges->nodes[n].first,
					  .last = ranges->nodes[n].last };
	return 0;
}

int vmm_alloc_ranges_next_free(const struct vmm_alloc_ranges *ranges, uint64_t from,
			       struct vmm_alloc_extent *out)
{
	const struct vmm_alloc_ranges *p = ranges;
	uint32_t n;

	if (from > p->last)
		return -ENOENT;
	n = tree_at(p, from);
	if (gap_len(p, n) == 0 || p->nodes[n].first - 1 < from)
		n = tree_next_gap(p, n, 1);
	if (n == NIL)
		n = END;
	if (gap_len(p, n) == 0)
		return -ENOENT;
	*out = (struct vmm_alloc_extent){ .first = p->nodes[n].gap_first,
					  .last = p->nodes[n].first - 1 };
	return 0;
}

int vmm_alloc_ranges_find(const struct vmm_alloc_ranges *ranges, uint64_t addr,
			  struct vmm_alloc_extent *out)
{
	struct vmm_alloc_extent e;
	int ret = vmm_alloc_ranges_next(ranges, addr, &e);

	if (ret < 0 || e.first > addr)
		return -ENOENT;
	*out = e;
	return 0;
}

size_t vmm_alloc_ranges_get_count(const struct vmm_alloc_ranges *ranges)
{
	return ranges->count;
}

uint64_t vmm_alloc_ranges_get_largest(const struct vmm_alloc_ranges *ranges)
{
	uint64_t inner = ranges->nodes[ranges->root[BY_ADDR]].longest;
	uint64_t end = gap_len(ranges, END);

	return inner > end ? inner : end;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * AVL trees over numbered nodes, whose subtrees may differ by two in height instead of
 * one: a range that comes and goes at one place then does not turn the same nodes back
 * and forth, at the price of at most 1.81 instead of 1.44 log2(n) levels. Node 0 has
 * height 0 and no gap, so that nothing here asks whether a child is there.
 */
#include "internal.h"

/* How much higher than its sibling a subtree may be. */
#define SLOPE 2

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a node says for its own gap. The last gap is left out: in a pool that is filled
 * from below it changes with every call and is the longest, so that each call would have
 * to tell the root. Searches look at it by themselves. */
static inline uint64_t own_gap(const struct vmm_alloc_ranges *p, uint32_t n)
{
	return n == END ? 0 : p->nodes[n].first - p->nodes[n].gap_first;
}

static inline uint32_t child(const struct vmm_alloc_ranges *p, int tree, uint32_t n,
			     int side)
{
	return p->nodes[n].link[tree].child[side];
}

static int lean(const struct vmm_alloc_ranges *p, int tree, uint32_t n)
{
	return p->nodes[child(p, tree, n, 0)].height[tree] -
	       p->nodes[child(p, tree, n, 1)].height[tree];
}

/* Recomputes what n says about its subtree. */
static inline void refresh(struct vmm_alloc_ranges *p, int tree, uint32_t n)
{
	struct node *node = &p->nodes[n];
	const struct node *l = &p->nodes[node->link[tree].child[0]];
	const struct node *r = &p->nodes[node->link[tree].child[1]];
	uint8_t high =
	    l->height[tree] > r->height[tree] ? l->height[tree] : r->height[tree];

	node->height[tree] = (uint8_t)(high + 1);
	if (tree == BY_ADDR)
		node->longest = max_u64(own_gap(p, n), max_u64(l->longest, r->longest));
}

/* Hangs new where old was; the parent's other fields are left alone. */
static inline void replace(struct vmm_alloc_ranges *p, int tree, uint32_t parent,
			   uint32_t old, uint32_t new)
{
	if (parent == NIL)
		p->root[tree] = new;
	else
		p->nodes[parent].link[tree].child[child(p, tree, parent, 1) == old] = new;
	if (new != NIL)
		p->nodes[new].link[tree].parent = parent;
}

static inline void set_child(struct vmm_alloc_ranges *p, int tree, uint32_t n, int side,
			     uint32_t c)
{
	p->nodes[n].link[tree].child[side] = c;
	if (c != NIL)
		p->nodes[c].link[tree].parent = n;
}

/* Lifts n's child of the other side over n; returns it. */
static uint32_t rotate(struct vmm_alloc_ranges *p, int tree, uint32_t n, int side)
{
	uint32_t up = child(p, tree, n, !side);

	replace(p, tree, p->nodes[n].link[tree].parent, n, up);
	set_child(p, tree, n, !side, child(p, tree, up, side));
	set_child(p, tree, up, side, n);
	refresh(p, tree, n);
	refresh(p, tree, up);
	return up;
}

/* Restores balance at n, which leans to a side; returns the node in its place. */
static uint32_t balance(struct vmm_alloc_ranges *p, int tree, uint32_t n, int heavy)
{
	uint32_t c = child(p, tree, n, heavy);
	int l = lean(p, tree, c);

	if (heavy ? l > 0 : l < 0)
		(void)rotate(p, tree, c, heavy ? 1 : 0);
	return rotate(p, tree, n, heavy ? 0 : 1);
}

/* Walks up from n until nothing changes any more, but at least past must. The usual step
 * is here in full: it is what a take and a give spend their time on. */
static inline void repair(struct vmm_alloc_ranges *p, int tree, uint32_t n, uint32_t must)
{
	while (n != NIL) {
		struct node *node = &p->nodes[n];
		const struct node *l = &p->nodes[node->link[tree].child[0]];
		const struct node *r = &p->nodes[node->link[tree].child[1]];
		uint8_t height = node->height[tree];
		uint64_t longest = node->longest;
		int left = l->height[tree], right = r->height[tree];

		must = n == must ? NIL : must;
		if (left - right > SLOPE || right - left > SLOPE) {
			node = &p->nodes[balance(p, tree, n, right > left)];
		} else {
			node->height[tree] = (uint8_t)((left > right ? left : right) + 1);
			if (tree == BY_ADDR)
				node->longest = max_u64(own_gap(p, n),
							max_u64(l->longest, r->longest));
		}
		if (must == NIL && node->height[tree] == height &&
		    (tree != BY_ADDR || node->longest == longest))
			return;
		n = node->link[tree].parent;
	}
}

static inline uint32_t outermost(const struct vmm_alloc_ranges *p, int tree, uint32_t n,
				 int side)
{
	while (child(p, tree, n, side) != NIL)
		n = child(p, tree, n, side);
	return n;
}

uint32_t tree_next(const struct vmm_alloc_ranges *p, int tree, uint32_t n)
{
	uint32_t up;

	if (child(p, tree, n, 1) != NIL)
		return outermost(p, tree, child(p, tree, n, 1), 0);
	while ((up = p->nodes[n].link[tree].parent) != NIL && child(p, tree, up, 1) == n)
		n = up;
	return up;
}

static inline void add_leaf(struct vmm_alloc_ranges *p, int tree, uint32_t n,
			    uint32_t parent, int side)
{
	struct node *node = &p->nodes[n];

	node->link[tree].child[0] = NIL;
	node->link[tree].child[1] = NIL;
	node->link[tree].parent = parent;
	refresh(p, tree, n);
	if (parent == NIL)
		p->root[tree] = n;
	else
		p->nodes[parent].link[tree].child[side] = n;
}

/* Unhooks a node with two children: the one after it takes its place. */
static inline uint32_t unhook_inner(struct vmm_alloc_ranges *p, int tree, uint32_t m)
{
	uint32_t heir = outermost(p, tree, child(p, tree, m, 1), 0);
	uint32_t start = heir;

	if (heir != child(p, tree, m, 1)) {
		start = p->nodes[heir].link[tree].parent;
		set_child(p, tree, start, 0, child(p, tree, heir, 1));
		set_child(p, tree, heir, 1, child(p, tree, m, 1));
	}
	set_child(p, tree, heir, 0, child(p, tree, m, 0));
	replace(p, tree, p->nodes[m].link[tree].parent, m, heir);
	/* repair() compares with what was at this place before. */
	p->nodes[heir].height[tree] = p->nodes[m].height[tree];
	if (tree == BY_ADDR)
		p->nodes[heir].longest = p->nodes[m].longest;
	return start;
}

/* next is the node after m if its own fields have changed, or NIL. */
static inline void unhook(struct vmm_alloc_ranges *p, int tree, uint32_t m, uint32_t next)
{
	uint32_t l = child(p, tree, m, 0), r = child(p, tree, m, 1);
	uint32_t parent = p->nodes[m].link[tree].parent;

	if (l != NIL && r != NIL) {
		uint32_t heir = outermost(p, tree, r, 0);

		repair(p, tree, unhook_inner(p, tree, m), heir);
		return;
	}
	replace(p, tree, parent, m, l != NIL ? l : r);
	/* The node after m is a lone right child, or the left child of that, a leaf. */
	if (r != NIL && next != NIL) {
		refresh(p, tree, next);
		refresh(p, tree, r);
		next = NIL;
	}
	repair(p, tree, parent, next);
}

uint32_t tree_at(const struct vmm_alloc_ranges *p, uint64_t addr)
{
	uint32_t n = p->root[BY_ADDR], found = NIL;

	while (n != NIL) {
		bool right = p->nodes[n].last < addr;

		if (!right)
			found = n;
		n = child(p, BY_ADDR, n, right);
	}
	return found;
}

/* The outermost node of n's subtree, which has one, with a gap of len. */
static uint32_t gap_below(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len,
			  int side)
{
	for (;;) {
		uint32_t c = child(p, BY_ADDR, n, side);

		if (p->nodes[c].longest >= len)
			n = c;
		else if (own_gap(p, n) >= len)
			return n;
		else
			n = child(p, BY_ADDR, n, !side);
	}
}

/* The nearest node with a gap of len on the given side of n. */
static uint32_t gap_beside(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len,
			   int side)
{
	for (;;) {
		uint32_t c = child(p, BY_ADDR, n, side), up;

		if (p->nodes[c].longest >= len)
			return gap_below(p, c, len, !side);
		while ((up = p->nodes[n].link[BY_ADDR].parent) != NIL &&
		       child(p, BY_ADDR, up, side) == n)
			n = up;
		if (up == NIL || own_gap(p, up) >= len)
			return up;
		n = up;
	}
}

uint32_t tree_first_gap(const struct vmm_alloc_ranges *p, uint64_t len)
{
	uint32_t root = p->root[BY_ADDR];

	return p->nodes[root].longest >= len ? gap_below(p, root, len, 0) : NIL;
}

uint32_t tree_last_gap(const struct vmm_alloc_ranges *p, uint64_t len)
{
	uint32_t root = p->root[BY_ADDR];

	return p->nodes[root].longest >= len ? gap_below(p, root, len, 1) : NIL;
}

uint32_t tree_next_gap(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len)
{
	return gap_beside(p, n, len, 1);
}

uint32_t tree_prev_gap(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len)
{
	return gap_beside(p, n, len, 0);
}

void tree_insert_before(struct vmm_alloc_ranges *p, uint32_t m, uint32_t n)
{
	uint32_t l = n == NIL ? NIL : child(p, BY_ADDR, n, 0);

	if (l == NIL)
		add_leaf(p, BY_ADDR, m, n, 0);
	else
		add_leaf(p, BY_ADDR, m, outermost(p, BY_ADDR, l, 1), 1);
	repair(p, BY_ADDR, p->nodes[m].link[BY_ADDR].parent, n == END ? NIL : n);
}

void tree_remove(struct vmm_alloc_ranges *p, uint32_t m, uint32_t next)
{
	unhook(p, BY_ADDR, m, next == END ? NIL : next);
}

static bool gap_before(const struct vmm_alloc_ranges *p, uint64_t len, uint64_t first,
		       uint32_t n)
{
	uint64_t other = gap_len(p, n);

	return len != other ? len < other : first < p->nodes[n].gap_first;
}

void tree_index(struct vmm_alloc_ranges *p, uint32_t n)
{
	uint32_t at = p->root[BY_GAP], parent = NIL;
	uint64_t len = gap_len(p, n);
	int side = 0;

	if (len == 0)
		return;
	while (at != NIL) {
		parent = at;
		side = !gap_before(p, len, p->nodes[n].gap_first, at);
		at = child(p, BY_GAP, at, side);
	}
	add_leaf(p, BY_GAP, n, parent, side);
	p->nodes[n].indexed = true;
	repair(p, BY_GAP, parent, NIL);
}

void tree_unindex(struct vmm_alloc_ranges *p, uint32_t n)
{
	if (!p->nodes[n].indexed)
		return;
	p->nodes[n].indexed = false;
	unhook(p, BY_GAP, n, NIL);
}

uint32_t tree_best_gap(const struct vmm_alloc_ranges *p, uint64_t len)
{
	uint32_t n = p->root[BY_GAP], found = NIL;

	while (n != NIL) {
		bool right = gap_len(p, n) < len;

		if (!right)
			found = n;
		n = child(p, BY_GAP, n, right);
	}
	return found;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef ALLOCATOR_INTERNAL_H
#define ALLOCATOR_INTERNAL_H

#include <vmm/allocator.h>

/* The trees a node is in: by address all of them, by gap those that have one. */
enum { BY_ADDR, BY_GAP, TREES };

/* Nodes have numbers, so that the array can grow: 0 is nobody, 1 the end marker. */
enum { NIL, END };

/*
 * A taken range and the gap of free addresses before it. The end marker stands behind
 * the pool's last address and has the last gap; its first is last + 1, which is 0 for a
 * pool that ends at 2^64 - 1. Differences come out right all the same, but for the one
 * gap of 2^64 addresses; see gap_len().
 */
struct node {
	uint64_t first, last;
	uint64_t gap_first;
	/* The longest gap in the subtree by address, the end marker's left out. */
	uint64_t longest;
	struct {
		uint32_t child[2];
		uint32_t parent;
	} link[TREES];
	uint8_t height[TREES];
	/* In the tree by gap. */
	bool indexed;
};

struct vmm_alloc_ranges {
	uint64_t first, last;
	struct node *nodes;
	uint32_t root[TREES];
	/* Nodes that were ever used, room, and those given back (linked by child[0]). */
	uint32_t used, room, spare;
	/* Taken ranges: the end marker not counted. */
	uint32_t count;
	/* The tree by gap is kept up. */
	bool by_gap;
};

struct vmm_alloc_ids {
	uint32_t first, last;
	uint32_t count;
	uint32_t words;
	/* No word of full below this one has a bit clear. */
	uint32_t hint;
	/* One bit per id, set while it is taken; spare bits of the last word are set for
	 * good. Then one bit per word, set while all of its bits are; likewise. */
	uint64_t *taken, *full;
};

/* Length of the gap before @p n; 2^64 counts as 2^64 - 1, which is enough for any
 * request. */
static inline uint64_t gap_len(const struct vmm_alloc_ranges *p, uint32_t n)
{
	uint64_t len = p->nodes[n].first - p->nodes[n].gap_first;

	return len == 0 && p->count == 0 && n == END ? UINT64_MAX : len;
}

/* tree.c */
/* The first node whose range ends at or behind addr: addr, if it is in the pool, is in
 * its range or in its gap. */
uint32_t tree_at(const struct vmm_alloc_ranges *p, uint64_t addr);
/* The first and last node with a gap of len, and those after and before n; or NIL. The
 * end marker is not found by these four. */
uint32_t tree_first_gap(const struct vmm_alloc_ranges *p, uint64_t len);
uint32_t tree_last_gap(const struct vmm_alloc_ranges *p, uint64_t len);
uint32_t tree_next_gap(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len);
uint32_t tree_prev_gap(const struct vmm_alloc_ranges *p, uint32_t n, uint64_t len);
/* The node after n in the given order, or NIL. */
uint32_t tree_next(const struct vmm_alloc_ranges *p, int tree, uint32_t n);
/* The smallest gap of at least len, of equals the lowest; or NIL. */
uint32_t tree_best_gap(const struct vmm_alloc_ranges *p, uint64_t len);
/* Put m, whose fields are set, before n, whose gap has shrunk. */
void tree_insert_before(struct vmm_alloc_ranges *p, uint32_t m, uint32_t n);
/* Take m out; next, the node after it, has a gap that has grown. */
void tree_remove(struct vmm_alloc_ranges *p, uint32_t m, uint32_t next);
/* The same in the tree by gap. */
void tree_index(struct vmm_alloc_ranges *p, uint32_t n);
void tree_unindex(struct vmm_alloc_ranges *p, uint32_t n);

/* ranges.c */
/* room: nodes to begin with, at least 2. */
int ranges_init(struct vmm_alloc_ranges *p, uint64_t first, uint64_t last, uint32_t room);

/* ids.c */
/* The first id, as an offset, from @p at on that is taken (or free); the number of ids if
 * there is none. */
uint32_t ids_find(const struct vmm_alloc_ids *ids, uint32_t at, bool taken);
/* Take or free offsets at to at + count - 1, which are inside and all free or taken. */
void ids_mark(struct vmm_alloc_ids *ids, uint32_t at, uint32_t count, bool take);
uint32_t ids_len(const struct vmm_alloc_ids *ids);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include "internal.h"
#include "range-model.h"

/* Heights, links, order, gaps and the longest gap of every subtree; returns the height.
 */
static int check_tree(const struct vmm_alloc_ranges *p, int tree, uint32_t n,
		      uint32_t parent, uint32_t *count)
{
	const struct node *node = &p->nodes[n];
	uint64_t longest;
	int l, r;

	if (n == NIL) {
		assert_int_equal(node->height[tree], 0);
		assert_int_equal(node->longest, 0);
		return 0;
	}
	assert_int_equal(node->link[tree].parent, parent);
	l = check_tree(p, tree, node->link[tree].child[0], n, count);
	r = check_tree(p, tree, node->link[tree].child[1], n, count);
	assert_in_range(l - r + 2, 0, 4);
	assert_int_equal(node->height[tree], (l > r ? l : r) + 1);
	++*count;
	longest = n == END ? 0 : gap_len(p, n);
	for (int side = 0; tree == BY_ADDR && side < 2; side++) {
		uint32_t c = node->link[tree].child[side];

		if (p->nodes[c].longest > longest)
			longest = p->nodes[c].longest;
	}
	if (tree == BY_ADDR)
		assert_true(node->longest == longest);
	return node->height[tree];
}

static void check(const struct vmm_alloc_ranges *p)
{
	uint32_t count = 0, gaps = 0, indexed = 0;

	(void)check_tree(p, BY_ADDR, p->root[BY_ADDR], NIL, &count);
	assert_int_equal(count, p->count + 1);
	for (uint32_t n = tree_at(p, 0); n != NIL; n = tree_next(p, BY_ADDR, n))
		gaps += gap_len(p, n) > 0;
	(void)check_tree(p, BY_GAP, p->root[BY_GAP], NIL, &indexed);
	assert_int_equal(indexed, p->by_gap ? gaps : 0);
}

static void draw(struct vmm_test_rng *rng, const struct model *m,
		 struct vmm_alloc_request *r)
{
	*r = (struct vmm_alloc_request)VMM_ALLOC_REQUEST_INIT;
	r->len = vmm_test_below(rng, vmm_test_below(rng, 4) ? 12 : 80) + 1;
	r->align = UINT64_C(1) << vmm_test_below(rng, 5);
	r->policy = vmm_test_below(rng, 4);
	if (vmm_test_below(rng, 3) == 0)
		r->min = m->first + vmm_test_below(rng, MODEL_LEN);
	if (vmm_test_below(rng, 3) == 0) {
		r->max = m->first + vmm_test_below(rng, MODEL_LEN);
		if (r->max < r->min)
			r->min = 0;
	}
	r->at = (m->first + vmm_test_below(rng, MODEL_LEN)) & ~(r->align - 1);
}

static void one_take(struct vmm_test_rng *rng, struct vmm_alloc_ranges *p,
		     struct model *m)
{
	struct vmm_alloc_request r;
	uint64_t out = 12345, want;
	int ret;

	draw(rng, m, &r);
	want = model_place(m, &r);
	ret = vmm_alloc_ranges_take(p, &r, &out);
	if (want == MODEL_LEN) {
		assert_true(out == 12345);
		if (r.policy != VMM_ALLOC_EXACT)
			assert_int_equal(ret, -ENOSPC);
		else
			assert_true(ret == -EBUSY || ret == -ENOENT || ret == -EINVAL);
		return;
	}
	assert_int_equal(ret, 0);
	assert_true(out == m->first + want);
	model_take(m, want, r.len);
}

static void one_give(struct vmm_test_rng *rng, struct vmm_alloc_ranges *p,
		     struct model *m)
{
	uint64_t at = vmm_test_below(rng, MODEL_LEN), len = 1;

	/* Mostly a range that is there, sometimes a bit off. */
	while (at > 0 && m->cell[at] && m->cell[at - 1] == m->cell[at])
		at--;
	while (at + len < MODEL_LEN && m->cell[at] && m->cell[at + len] == m->cell[at])
		len++;
	if (vmm_test_below(rng, 8) == 0)
		len += vmm_test_below(rng, 3) - 1;
	assert_int_equal(vmm_alloc_ranges_give(p, m->first + at, len),
			 model_give(m, at, len) ? 0 : -ENOENT);
}

/* At the bottom, in the middle and at the very end of the address space. */
static void random_calls_match_a_byte_map(void **state)
{
	static const uint64_t bases[] = { 0, 1, 0x100000000, UINT64_MAX - (MODEL_LEN - 1),
					  UINT64_MAX - MODEL_LEN };
	struct vmm_test_rng rng = vmm_test_rng();

	for (size_t i = 0; i < VMM_ARRAY_LEN(bases); i++) {
		VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
		struct model m = { .first = bases[i] };

		assert_int_equal(
		    vmm_alloc_ranges_new(m.first, m.first + (MODEL_LEN - 1), &p), 0);
		for (int k = 0; k < 6000; k++) {
			/* Fill up and drain in turns. */
			if (vmm_test_below(&rng, 4) > (unsigned)(k / 500) % 2 + 1)
				one_give(&rng, p, &m);
			else if ((k / 500) % 2 || vmm_test_below(&rng, 3))
				one_take(&rng, p, &m);
			else
				one_give(&rng, p, &m);
			assert_true(model_agrees(&m, p));
			check(p);
		}
	}
}

/* Rising, falling and shuffled insertions, then removals: balance after each. */
static void the_tree_stays_balanced(void **state)
{
	enum { N = 700 };
	struct vmm_test_rng rng = vmm_test_rng();

	for (int order = 0; order < 3; order++) {
		VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
		uint32_t keys[N];

		assert_int_equal(vmm_alloc_ranges_new(0, UINT64_MAX, &p), 0);
		for (uint32_t i = 0; i < N; i++)
			keys[i] = order == 1 ? N - i : i;
		for (uint32_t i = N - 1; order == 2 && i > 0; i--) {
			uint32_t j = vmm_test_below(&rng, i + 1), k = keys[i];

			keys[i] = keys[j];
			keys[j] = k;
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(vmm_alloc_ranges_reserve(p, keys[i] * 7u, 3), 0);
			check(p);
		}
		assert_in_range(p->nodes[p->root[BY_ADDR]].height[BY_ADDR], 9, 14);
		for (int i = N - 1; i >= 0; i--) {
			assert_int_equal(vmm_alloc_ranges_give(p, keys[i] * 7u, 3), 0);
			check(p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_match_a_byte_map),
		cmocka_unit_test(the_tree_stays_balanced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

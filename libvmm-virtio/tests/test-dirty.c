/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Dirty logging, with one bit for 16 bytes: whatever the device's side changes in guest
 * memory is marked by the time that its call returns.
 */
#include "virtio-test.h"

#include <vmm/memory-dirty.h>

enum { NUM = 8, SEGS = 12, STEPS = 200 };

struct world {
	struct rig r;
	struct vmm_mem_dirty *dirty;
	struct vmm_test_rng rng;
	/* Memory as it was before the device's call. */
	uint8_t *before;
	struct vmm_virtq_chain out[NUM];
	struct iovec iov[NUM][64];
	uint32_t out_n;
};

static void track(struct world *w, uint32_t num, uint64_t features)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct vmm_mem *mem = NULL;

	rig_start(&w->r, num, features);
	assert_int_equal(vmm_mem_dirty_new(MOCK_ROM + MOCK_ROM_LEN, 16, &w->dirty), 0);
	assert_int_equal(vmm_mem_builder_new(&b), 0);
	for (size_t i = 0; i < vmm_mem_region_count(w->r.m->mem); i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		assert_int_equal(vmm_mem_get_region(w->r.m->mem, i, &r), 0);
		assert_int_equal(vmm_mem_builder_share(b, w->r.m->mem, i, r.gpa, NULL),
				 0);
	}
	vmm_mem_builder_set_dirty(b, w->dirty);
	assert_int_equal(vmm_mem_builder_build(b, &mem), 0);
	assert_int_equal(vmm_virtq_set_mem(w->r.q, mem), 0);
	vmm_mem_free(w->r.m->mem);
	w->r.m->mem = mem;
	w->before = malloc(MOCK_RAM_LEN);
	assert_non_null(w->before);
	w->out_n = 0;
}

static void untrack(struct world *w)
{
	rig_stop(&w->r);
	vmm_mem_dirty_free(w->dirty);
	free(w->before);
}

static void remember(struct world *w)
{
	memcpy(w->before, w->r.m->ram, MOCK_RAM_LEN);
	vmm_mem_dirty_reset(w->dirty);
}

static void expect_marked(struct world *w)
{
	const uint8_t *now = w->r.m->ram;

	for (uint64_t page = 0; page < MOCK_RAM_LEN; page += 4096) {
		if (memcmp(now + page, w->before + page, 4096) == 0)
			continue;
		for (uint64_t i = page; i < page + 4096; i++) {
			if (now[i] != w->before[i] && !vmm_mem_dirty_is_set(w->dirty, i))
				fail_msg("byte 0x%llx changed and is not marked",
					 (unsigned long long)i);
		}
	}
}

static uint32_t below(struct world *w, uint32_t bound)
{
	return vmm_test_below(&w->rng, bound);
}

static void driver_offers(struct world *w, uint64_t features)
{
	struct mock_seg segs[SEGS];
	uint32_t n = 1 + below(w, features & IND ? SEGS : 3), reads = below(w, n + 1);

	for (uint32_t i = 0; i < n; i++) {
		/* Some continue the one before, some cross the regions' border. */
		segs[i].gpa = i && below(w, 3) == 0
				  ? segs[i - 1].gpa + segs[i - 1].len
				  : MOCK_SPLIT_AT - 0x8000 + below(w, 0x10000);
		segs[i].len = below(w, 300);
		segs[i].write = i >= reads;
	}
	if (n <= NUM)
		(void)mock_add(w->r.m, segs, n, features & IND);
}

static void device_pops(struct world *w)
{
	struct vmm_virtq_chain *c = &w->out[w->out_n];

	if (w->out_n == NUM)
		return;
	*c = w->r.chain;
	c->iov = w->iov[w->out_n];
	c->iov_max = 64;
	if (vmm_virtq_pop(w->r.q, c) == 0)
		w->out_n++;
}

/* What a device does with a chain: writes all over it, says any length. */
static void scribble(struct world *w, const struct vmm_virtq_chain *c)
{
	for (uint32_t i = c->readable_n; i < c->readable_n + c->writable_n; i++)
		memset(c->iov[i].iov_base, (int)below(w, 256), c->iov[i].iov_len);
}

static struct vmm_virtq_chain drop(struct world *w, uint32_t at)
{
	struct vmm_virtq_chain c = w->out[at];

	w->out_n--;
	for (uint32_t i = at; i < w->out_n; i++) {
		w->out[i] = w->out[i + 1];
		memcpy(w->iov[i], w->iov[i + 1], sizeof(w->iov[i]));
		w->out[i].iov = w->iov[i];
	}
	return c;
}

static void device_uses(struct world *w)
{
	struct vmm_virtq_chain c;
	uint32_t len;

	if (w->out_n == 0)
		return;
	len = below(w, w->out_n);
	scribble(w, &w->out[len]);
	c = drop(w, len);
	len = below(w, 2) ? 0 : (uint32_t)c.writable_len;
	assert_int_equal(vmm_virtq_add_used(w->r.q, c.token, len), 0);
}

static void device_undoes(struct world *w)
{
	if (w->out_n == 0)
		return;
	scribble(w, &w->out[w->out_n - 1]);
	if (vmm_virtq_undo_pop(w->r.q, w->out[w->out_n - 1].token) == 0) {
		w->out_n--;
		return;
	}
	/* Then it is used like any other. */
	assert_int_equal(vmm_virtq_add_used(w->r.q, w->out[w->out_n - 1].token, 0), 0);
	w->out_n--;
}

static void step(struct world *w, uint64_t features)
{
	uint32_t id, len;

	switch (below(w, 8)) {
	case 0:
	case 1:
		driver_offers(w, features);
		break;
	case 2:
		while (mock_get_used(w->r.m, &id, &len) == 0)
			;
		break;
	case 3:
	case 4:
		remember(w);
		device_pops(w);
		expect_marked(w);
		break;
	case 5:
		remember(w);
		device_uses(w);
		expect_marked(w);
		break;
	case 6:
		remember(w);
		device_undoes(w);
		expect_marked(w);
		break;
	default:
		remember(w);
		if (below(w, 2))
			vmm_virtq_disable_notification(w->r.q);
		else
			(void)vmm_virtq_enable_notification(w->r.q);
		expect_marked(w);
	}
}

static void each_byte_that_changes_is_marked(void **state)
{
	static const uint64_t bits[] = { EV, IND, IN_ORDER, PACKED };
	struct world *w = calloc(1, sizeof(*w));

	w->rng = vmm_test_rng();
	for (uint32_t mask = 0; mask < 16; mask++) {
		uint64_t features = 0;

		for (uint32_t i = 0; i < 4; i++)
			features |= mask & 1u << i ? bits[i] : 0;
		track(w, NUM, features);
		for (int i = 0; i < STEPS; i++)
			step(w, features);
		/* What is out at a reset may have been written. */
		remember(w);
		for (uint32_t i = 0; i < w->out_n; i++)
			scribble(w, &w->out[i]);
		vmm_virtq_reset(w->r.q);
		expect_marked(w);
		untrack(w);
	}
	free(w);
}

static void reading_marks_nothing(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_BUFFERS, 64, false },
						{ MOCK_BUFFERS + 64, 64, true } };
	struct world *w = calloc(1, sizeof(*w));
	uint64_t pos = 0, at = 0, len = 0;

	track(w, NUM, 0);
	assert_int_equal(mock_add(w->r.m, segs, 2, false), 0);
	remember(w);
	assert_int_equal(rig_pop(&w->r), 0);
	assert_false(vmm_mem_dirty_next(w->dirty, &pos, &at, &len));
	assert_int_equal(vmm_virtq_add_used(w->r.q, w->r.chain.token, 0), 0);
	assert_false(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 63));
	assert_true(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 64));
	assert_true(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 127));
	assert_false(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 128));
	untrack(w);
	free(w);
}

/* A chain has a few ranges of its own; with more, what lies between is marked, too. */
static void many_scattered_buffers_are_all_marked(void **state)
{
	struct mock_seg segs[16];
	struct world *w = calloc(1, sizeof(*w));

	for (uint32_t i = 0; i < 16; i++) {
		segs[i].gpa = MOCK_BUFFERS + 0x1000u * (i % 2 ? i : 31 - i);
		segs[i].len = 16;
		segs[i].write = true;
	}
	track(w, 16, IND);
	assert_int_equal(mock_add(w->r.m, segs, 16, true), 0);
	remember(w);
	assert_int_equal(rig_pop(&w->r), 0);
	assert_int_equal(w->r.chain.writable_n, 16);
	vmm_mem_dirty_reset(w->dirty);
	assert_int_equal(vmm_virtq_add_used(w->r.q, w->r.chain.token, 0), 0);
	for (uint32_t i = 0; i < 16; i++) {
		assert_true(vmm_mem_dirty_is_set(w->dirty, segs[i].gpa));
		assert_true(vmm_mem_dirty_is_set(w->dirty, segs[i].gpa + 15));
	}
	assert_false(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 0x40000));
	untrack(w);
	free(w);
}

static void a_malformed_chain_leaves_only_the_ring_marked(void **state)
{
	static const struct mock_seg bad[] = { { MOCK_BUFFERS, 64, true },
					       { MOCK_HOLE, 64, true } };
	struct world *w = calloc(1, sizeof(*w));
	static const uint64_t features[] = { 0, PACKED };

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		track(w, NUM, features[i]);
		assert_true(mock_add(w->r.m, bad, 2, false) >= 0);
		remember(w);
		assert_int_equal(rig_pop(&w->r), -EFAULT);
		expect_marked(w);
		assert_false(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS));
		assert_true(vmm_mem_dirty_is_set(
		    w->dirty, features[i] ? MOCK_DESC + 14 : MOCK_DEVICE + 2));
		untrack(w);
	}
	free(w);
}

static void tracking_may_end_and_begin_anew(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 64, true };
	struct world *w = calloc(1, sizeof(*w));
	struct vmm_mem *plain = NULL;
	int head;

	track(w, NUM, 0);
	assert_int_equal(mock_make_mem(w->r.m, &plain), 0);
	assert_int_equal(mock_add(w->r.m, &seg, 1, false), 0);
	remember(w);
	assert_int_equal(rig_pop(&w->r), 0);
	/* What is out then is marked in the table that it came from. */
	assert_int_equal(vmm_virtq_set_mem(w->r.q, plain), 0);
	assert_true(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS));
	remember(w);
	assert_int_equal(vmm_virtq_add_used(w->r.q, w->r.chain.token, 0), 0);
	assert_false(vmm_mem_dirty_is_set(w->dirty, MOCK_DEVICE + 2));
	assert_int_equal(vmm_virtq_set_mem(w->r.q, w->r.m->mem), 0);
	/* From a tracked table to a tracked table, chains stay noted. */
	head = mock_add(w->r.m, &seg, 1, false);
	assert_true(head >= 0);
	assert_int_equal(rig_pop(&w->r), 0);
	assert_int_equal(vmm_virtq_set_mem(w->r.q, w->r.m->mem), 0);
	remember(w);
	assert_int_equal(vmm_virtq_add_used(w->r.q, w->r.chain.token, 0), 0);
	assert_true(vmm_mem_dirty_is_set(w->dirty, MOCK_BUFFERS + 63));
	assert_true(vmm_mem_dirty_is_set(w->dirty, MOCK_DEVICE + 2));
	vmm_mem_free(plain);
	untrack(w);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_that_changes_is_marked),
		cmocka_unit_test(reading_marks_nothing),
		cmocka_unit_test(many_scattered_buffers_are_all_marked),
		cmocka_unit_test(a_malformed_chain_leaves_only_the_ring_marked),
		cmocka_unit_test(tracking_may_end_and_begin_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

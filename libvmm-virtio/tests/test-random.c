/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random operations on both sides of a ring against a plain list of what is out: chains
 * good and bad, direct and indirect, given back one by one and in batches, undone, saved
 * and restored; resets with chains in flight; calls that must be refused; and every attack
 * of the mock driver, after which the ring is as it was, or broken until a reset.
 */
#include "virtio-test.h"

enum { SEGS = 5, NUM = 13, MANY = 16 };

struct entry {
	bool offered, popped, done, bad;
	uint32_t n;
	struct mock_seg segs[SEGS];
	uint64_t token, writable;
	uint32_t len;
};

struct model {
	struct rig r;
	struct vmm_test_rng rng;
	uint64_t features;
	uint32_t num;
	/* By head or id. */
	struct entry out[64];
	/* Heads in the order of offer and in the order of pop, oldest first. */
	uint16_t line[64], popped[64];
	uint32_t line_n, popped_n;
	uint64_t offered, returned;
	/* What the queue should have counted, and whether there is something to tell. */
	uint64_t used, malformed, interrupts, silences;
	bool news;
	/* How often what is rare came about. */
	uint32_t refused, resets, attacks, breaks, restores;
	uint64_t stale;
};

static uint32_t below(struct model *m, uint32_t bound)
{
	return vmm_test_below(&m->rng, bound);
}

static void driver_offers(struct model *m)
{
	struct entry e = { .offered = true };
	bool indirect = (m->features & IND) && below(m, 2);
	uint32_t max = m->num < SEGS ? m->num : SEGS, reads;
	int head;

	e.n = 1 + below(m, max);
	reads = below(m, e.n + 1);
	for (uint32_t i = 0; i < e.n; i++) {
		e.segs[i].gpa = MOCK_BUFFERS + below(m, 0x100000);
		e.segs[i].len = below(m, 4) ? below(m, 0x3000) : 0;
		e.segs[i].write = i >= reads;
		if (e.segs[i].write)
			e.writable += e.segs[i].len;
	}
	if (below(m, 10) == 0) {
		e.bad = true;
		e.segs[below(m, e.n)] = (struct mock_seg){ MOCK_HOLE - 4, 8, true };
		e.segs[e.n - 1].write = true;
	}
	head = mock_add(m->r.m, e.segs, e.n, indirect);
	if (head < 0)
		return;
	assert_false(m->out[head].offered);
	m->out[head] = e;
	m->line[m->line_n++] = (uint16_t)head;
	m->offered++;
}

/* The chain's iovecs are the entry's buffers, cut at region borders. */
static void compare_chain(struct model *m, const struct entry *e)
{
	const struct vmm_virtq_chain *c = &m->r.chain;
	uint64_t sums[2] = { 0, 0 };
	uint32_t v = 0;

	for (uint32_t i = 0; i < e->n; i++) {
		uint64_t at = e->segs[i].gpa, left = e->segs[i].len;

		sums[e->segs[i].write] += left;
		while (left > 0) {
			uint64_t here = c->iov[v].iov_len;

			assert_true(v < c->readable_n + c->writable_n && here <= left);
			assert_true((v >= c->readable_n) == e->segs[i].write);
			assert_ptr_equal(c->iov[v].iov_base, m->r.m->ram + at);
			at += here;
			left -= here;
			v++;
		}
	}
	assert_int_equal(v, c->readable_n + c->writable_n);
	assert_int_equal(sums[0], c->readable_len);
	assert_int_equal(sums[1], c->writable_len);
}

static void device_pops(struct model *m)
{
	bool there = vmm_virtq_has_chain(m->r.q);
	int ret = rig_pop(&m->r);
	struct entry *e;

	assert_true(there == (m->line_n > 0));
	if (m->line_n == 0) {
		assert_int_equal(ret, -EAGAIN);
		return;
	}
	e = &m->out[m->line[0]];
	if (e->bad) {
		/* The queue gave it back itself: no error to the driver but length 0. */
		assert_true(ret == -EFAULT || ret == -EBADMSG);
		e->done = true;
		m->refused++;
		m->malformed++;
		m->news = true;
	} else {
		assert_int_equal(ret, 0);
		assert_int_equal(m->r.chain.head, m->line[0]);
		compare_chain(m, e);
		e->popped = true;
		e->token = m->r.chain.token;
		m->popped[m->popped_n++] = m->line[0];
	}
	m->line_n--;
	memmove(m->line, m->line + 1, m->line_n * sizeof(m->line[0]));
}

static void device_undoes(struct model *m)
{
	uint16_t head;

	if (m->popped_n == 0)
		return;
	head = m->popped[m->popped_n - 1];
	/* Only if nothing newer was popped and used already. */
	if (vmm_virtq_undo_pop(m->r.q, m->out[head].token) < 0)
		return;
	m->out[head].popped = false;
	m->popped_n--;
	memmove(m->line + 1, m->line, m->line_n * sizeof(m->line[0]));
	m->line[0] = head;
	m->line_n++;
}

static void device_uses(struct model *m)
{
	struct vmm_virtq_used used[4] = { { 0, 0, 0 } };
	uint32_t n = m->popped_n ? 1 + below(m, m->popped_n < 4 ? m->popped_n : 4) : 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = below(m, m->popped_n);
		struct entry *e = &m->out[m->popped[at]];

		e->len = below(m, (uint32_t)e->writable + 1);
		e->done = true;
		used[i].token = e->token;
		used[i].len = e->len;
		m->popped_n--;
		memmove(m->popped + at, m->popped + at + 1,
			(m->popped_n - at) * sizeof(m->popped[0]));
	}
	if (n == 1)
		assert_int_equal(vmm_virtq_add_used(m->r.q, used[0].token, used[0].len),
				 0);
	else
		assert_int_equal(vmm_virtq_add_used_n(m->r.q, used, n), 0);
	m->used += n;
	m->news |= n > 0;
	if (below(m, 3) == 0) {
		bool wants = vmm_virtq_needs_notification(m->r.q);

		m->interrupts += wants;
		m->silences += m->news && !wants;
		m->news = false;
	}
}

static void driver_collects(struct model *m)
{
	uint32_t id = 0, len = 0;
	int ret;

	while ((ret = mock_get_used(m->r.m, &id, &len)) == 0) {
		assert_true(m->out[id].done);
		assert_int_equal(m->out[id].len, len);
		memset(&m->out[id], 0, sizeof(m->out[id]));
		m->returned++;
	}
	assert_int_equal(ret, -EAGAIN);
}

/* What must be refused, and change nothing. */
static void device_errs(struct model *m)
{
	uint64_t token = (uint64_t)below(m, UINT32_MAX) << 32 | below(m, UINT32_MAX);
	struct vmm_virtq_used used[2] = { { 0, 0, 0 } };
	const struct entry *e;

	if (m->stale != 0) {
		assert_int_equal(vmm_virtq_add_used(m->r.q, m->stale, 0), -ESTALE);
		assert_int_equal(vmm_virtq_undo_pop(m->r.q, m->stale), -ESTALE);
	}
	assert_true(vmm_virtq_add_used(m->r.q, token, 0) < 0);
	if (m->popped_n == 0)
		return;
	e = &m->out[m->popped[below(m, m->popped_n)]];
	assert_int_equal(vmm_virtq_add_used(m->r.q, e->token, (uint32_t)e->writable + 1),
			 -EINVAL);
	used[0].token = e->token;
	used[1].token = below(m, 2) ? e->token : token;
	assert_true(vmm_virtq_add_used_n(m->r.q, used, 2) < 0);
}

/* Both sides begin anew; what is out is forgotten. */
static void driver_resets(struct model *m)
{
	if (m->popped_n > 0)
		m->stale = m->out[m->popped[0]].token;
	vmm_virtq_reset(m->r.q);
	assert_int_equal(rig_pop(&m->r), -ENOTCONN);
	mock_reset(m->r.m, m->num, m->features);
	assert_int_equal(vmm_virtq_enable(m->r.q, m->r.m->mem, &m->r.m->config, NULL), 0);
	memset(m->out, 0, sizeof(m->out));
	m->line_n = 0;
	m->popped_n = 0;
	m->offered = 0;
	m->returned = 0;
	m->news = false;
	m->resets++;
}

static void expect_broken(struct model *m, uint64_t token)
{
	struct vmm_virtq_used used = { .token = token };

	assert_true(vmm_virtq_is_broken(m->r.q));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_pop(&m->r), -ENOTRECOVERABLE);
		assert_int_equal(vmm_virtq_add_used(m->r.q, token, 0), -ENOTRECOVERABLE);
		assert_int_equal(vmm_virtq_add_used_n(m->r.q, &used, 1),
				 -ENOTRECOVERABLE);
		assert_int_equal(vmm_virtq_undo_pop(m->r.q, token), -ENOTRECOVERABLE);
		assert_false(vmm_virtq_needs_notification(m->r.q));
		assert_false(vmm_virtq_enable_notification(m->r.q));
		assert_false(vmm_virtq_has_chain(m->r.q));
	}
	m->breaks++;
}

/* Only when nothing is out, because the driver loses count of what is. */
static void driver_attacks(struct model *m)
{
	uint32_t attack = below(m, VMM_VIRTIO_MOCK_ATTACKS), id, len;
	uint64_t token = 0;
	int ret;

	if (m->line_n > 0 || m->popped_n > 0 || m->offered != m->returned ||
	    vmm_virtio_mock_attack(m->r.m, attack) < 0)
		return;
	m->attacks++;
	ret = rig_pop(&m->r);
	if (ret == 0) {
		assert_int_equal(attack, VMM_VIRTIO_MOCK_HEAD_TWICE);
		token = m->r.chain.token;
		ret = rig_pop(&m->r);
	}
	if (vmm_virtio_mock_attack_breaks(attack)) {
		assert_int_equal(ret, -ENOTRECOVERABLE);
		expect_broken(m, token);
		driver_resets(m);
		return;
	}
	assert_true(ret == -EBADMSG || ret == -EFAULT || ret == -EROFS);
	assert_int_equal(mock_get_used(m->r.m, &id, &len), 0);
	assert_int_equal(len, 0);
	m->malformed++;
	m->news = true;
}

static void save_and_restore(struct model *m)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	uint16_t heads[64];
	size_t n = vmm_virtq_get_inflight(m->r.q, heads, 64);
	int ret = vmm_virtq_get_state(m->r.q, &s);

	if (ret == -EBUSY)
		return;
	assert_int_equal(ret, 0);
	assert_true(n >= m->popped_n);
	m->restores++;
	vmm_virtq_reset(m->r.q);
	assert_int_equal(vmm_virtq_restore(m->r.q, m->r.m->mem, &s, heads, NULL), 0);
	/* What was popped comes again, first and in the order of pop. */
	memmove(m->line + m->popped_n, m->line, m->line_n * sizeof(m->line[0]));
	memcpy(m->line, m->popped, m->popped_n * sizeof(m->line[0]));
	m->line_n += m->popped_n;
	for (uint32_t i = 0; i < m->popped_n; i++)
		m->out[m->popped[i]].popped = false;
	m->popped_n = 0;
}

/* With IN_ORDER what was used may be no news to the driver yet. */
static void compare_counters(struct model *m)
{
	struct vmm_virtq_counters c = { .size = sizeof(c) };

	vmm_virtq_get_counters(m->r.q, &c);
	assert_int_equal(c.used, m->used);
	assert_int_equal(c.malformed, m->malformed);
	assert_int_equal(c.interrupts, m->interrupts);
	assert_true(m->features & IN_ORDER ? c.suppressed <= m->silences
					   : c.suppressed == m->silences);
	assert_int_equal(c.broken, m->breaks);
	assert_int_equal(c.inflight, m->popped_n);
	assert_int_equal(c.num, m->num);
}

static void step(struct model *m)
{
	switch (below(m, 10)) {
	case 0:
	case 1:
		driver_offers(m);
		break;
	case 2:
	case 3:
		device_pops(m);
		break;
	case 4:
		device_uses(m);
		break;
	case 5:
		device_undoes(m);
		break;
	case 6:
		driver_collects(m);
		break;
	case 7:
		device_errs(m);
		break;
	case 8:
		driver_attacks(m);
		if (below(m, 100) == 0)
			driver_resets(m);
		break;
	default:
		if (below(m, 8) == 0)
			save_and_restore(m);
		break;
	}
}

/* Of all runs, so that a step that never came about does not go unnoticed. */
static uint32_t refused, resets, attacks, breaks, restores;

static void one_run(struct vmm_test_rng *rng, uint32_t num, uint64_t features)
{
	struct model m = { .rng = *rng, .num = num, .features = features };

	rig_start(&m.r, num, features);
	for (int i = 0; i < 3000; i++) {
		step(&m);
		compare_counters(&m);
	}
	while (m.line_n > 0)
		device_pops(&m);
	while (m.popped_n > 0)
		device_uses(&m);
	driver_collects(&m);
	assert_int_equal(m.offered, m.returned);
	assert_false(vmm_virtq_is_broken(m.r.q));
	*rng = m.rng;
	refused += m.refused;
	resets += m.resets;
	attacks += m.attacks;
	breaks += m.breaks;
	restores += m.restores;
	rig_stop(&m.r);
}

static void random_calls_match_a_list(void **state)
{
	static const uint64_t bits[] = { EV, IND, IN_ORDER, PACKED };
	struct vmm_test_rng rng = vmm_test_rng();

	for (uint32_t mask = 0; mask < MANY; mask++) {
		uint64_t features = 0;

		for (uint32_t i = 0; i < 4; i++)
			features |= mask & 1u << i ? bits[i] : 0;
		for (uint32_t num = 1; num <= 16; num *= 2)
			one_run(&rng, num, features);
		if (features & PACKED)
			one_run(&rng, NUM, features);
	}
	assert_true(refused > 500 && resets > 100 && attacks > 150 && breaks > 40 &&
		    restores > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_match_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

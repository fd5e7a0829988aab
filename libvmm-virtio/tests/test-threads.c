/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Driver and device on two threads that sleep whenever they may: a notification or an
 * interrupt that gets lost makes one of them sleep for ever. */
#include "virtio-test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROUNDS = 60000, NUM = 8, PATIENCE_MS = 5000 };

struct pair {
	struct rig r;
	int kick, call;
	/* Device thread gave up. */
	int failed;
	/* Interrupts of the device thread. */
	uint64_t calls;
	bool over;
};

static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&p, 1, PATIENCE_MS) == 1 && read(fd, &count, sizeof(count)) > 0;
}

static void tell(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* Add 1 to the number that the driver sends. */
static int serve(struct pair *p)
{
	struct vmm_virtq_cursor in = vmm_virtq_reader(&p->r.chain);
	struct vmm_virtq_cursor out = vmm_virtq_writer(&p->r.chain);
	uint32_t value;

	if (vmm_virtq_read(&in, &value, sizeof(value)) < 0)
		return -1;
	value++;
	if (vmm_virtq_write(&out, &value, sizeof(value)) < 0)
		return -1;
	return vmm_virtq_add_used(p->r.q, p->r.chain.token, (uint32_t)out.done);
}

static void *device(void *arg)
{
	struct pair *p = arg;
	uint32_t done = 0;

	while (done < ROUNDS) {
		int ret = rig_pop(&p->r);

		if (ret == 0) {
			p->failed |= serve(p);
			done++;
			if (vmm_virtq_needs_notification(p->r.q)) {
				p->calls++;
				tell(p->call);
			}
		} else if (ret != -EAGAIN || (!vmm_virtq_enable_notification(p->r.q) &&
					      !wait_for(p->kick))) {
			p->failed = 1;
			return NULL;
		}
	}
	return NULL;
}

/* Whoever looks on sees numbers grow, and nothing that cannot be. */
static void *look_on(void *arg)
{
	struct vmm_virtq_counters last = { .size = sizeof(last) };
	struct pair *p = arg;

	while (!__atomic_load_n(&p->over, __ATOMIC_RELAXED)) {
		struct vmm_virtq_counters c = { .size = sizeof(c) };

		vmm_virtq_get_counters(p->r.q, &c);
		if (c.used < last.used || c.interrupts < last.interrupts ||
		    c.suppressed < last.suppressed || c.inflight > NUM ||
		    (c.num != 0 && c.num != NUM) || c.malformed > 0 || c.broken > 0)
			abort();
		last = c;
	}
	return NULL;
}

/* Collect what is there; the answer to number i is i + 1. */
static uint32_t collect(struct pair *p, const uint32_t *sent)
{
	uint32_t id = 0, len = 0, got, n = 0;

	while (mock_get_used(p->r.m, &id, &len) == 0) {
		memcpy(&got, p->r.m->ram + MOCK_BUFFERS + 64 * id + 32, 4);
		assert_int_equal(len, 4);
		assert_int_equal(got, sent[id] + 1);
		n++;
	}
	return n;
}

/* The buffers of a chain are named by its head, which is known only afterwards: the head
 * that mock_add() takes next is on top of its stack. */
static bool offer(struct pair *p, uint32_t value, uint32_t *sent)
{
	struct mock *m = p->r.m;
	uint16_t next = m->free_n ? m->free[m->free_n - 1] : 0;
	struct mock_seg segs[2] = { { MOCK_BUFFERS + 64 * next, 4, false },
				    { MOCK_BUFFERS + 64 * next + 32, 4, true } };

	if (m->packed ? m->room < 2 || !m->free_n : m->free_n < 2)
		return false;
	memcpy(m->ram + segs[0].gpa, &value, 4);
	sent[next] = value;
	return mock_add(m, segs, 2, false) == next;
}

static void echo_without_a_lost_wake_up(uint64_t features)
{
	uint32_t sent[NUM] = { 0 }, offered = 0, got = 0, n;
	struct vmm_virtq_counters c = { .size = sizeof(c) };
	struct pair p = { .failed = 0 };
	pthread_t thread, looker;

	rig_start(&p.r, NUM, features);
	p.kick = eventfd(0, EFD_CLOEXEC);
	p.call = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&looker, NULL, look_on, &p), 0);
	assert_int_equal(pthread_create(&thread, NULL, device, &p), 0);
	while (got < ROUNDS) {
		while (offered < ROUNDS && offer(&p, offered * 3, sent))
			offered++;
		if (mock_should_kick(p.r.m))
			tell(p.kick);
		n = collect(&p, sent);
		if (n == 0 && !p.r.m->packed) {
			mock_want_interrupt(p.r.m, 0);
			n = collect(&p, sent);
		}
		if (n == 0 && !wait_for(p.call))
			fail_msg("driver sleeps for ever at %u", got);
		got += n;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(p.failed, 0);
	__atomic_store_n(&p.over, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(looker, NULL), 0);
	vmm_virtq_get_counters(p.r.q, &c);
	assert_int_equal(c.used, ROUNDS);
	assert_int_equal(c.interrupts, p.calls);
	assert_true(c.interrupts + c.suppressed == ROUNDS ||
		    ((features & IN_ORDER) && c.interrupts + c.suppressed < ROUNDS));
	assert_int_equal(c.inflight, 0);
	close(p.kick);
	close(p.call);
	rig_stop(&p.r);
}

static void split_rings_lose_no_wake_up(void **state)
{
	echo_without_a_lost_wake_up(0);
}

static void split_rings_with_event_index_lose_no_wake_up(void **state)
{
	echo_without_a_lost_wake_up(EV);
}

static void packed_rings_lose_no_wake_up(void **state)
{
	echo_without_a_lost_wake_up(PACKED);
}

static void packed_rings_with_event_index_lose_no_wake_up(void **state)
{
	echo_without_a_lost_wake_up(PACKED | EV | IN_ORDER);
}

/* Counting goes on over resets, with chains out and without. */
static void counters_may_be_read_during_a_reset(void **state)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 8, true };
	struct vmm_virtq_counters c = { .size = sizeof(c) };
	struct pair p = { .failed = 0 };
	pthread_t looker;

	rig_start(&p.r, NUM, 0);
	assert_int_equal(pthread_create(&looker, NULL, look_on, &p), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		assert_true(mock_add(p.r.m, &seg, 1, false) >= 0);
		assert_int_equal(rig_pop(&p.r), 0);
		if (i % 2 == 0)
			assert_int_equal(vmm_virtq_add_used(p.r.q, p.r.chain.token, 0),
					 0);
		vmm_virtq_reset(p.r.q);
		mock_reset(p.r.m, NUM, 0);
		assert_int_equal(
		    vmm_virtq_enable(p.r.q, p.r.m->mem, &p.r.m->config, NULL), 0);
	}
	__atomic_store_n(&p.over, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(looker, NULL), 0);
	vmm_virtq_get_counters(p.r.q, &c);
	assert_int_equal(c.used, 2500);
	rig_stop(&p.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_rings_lose_no_wake_up),
		cmocka_unit_test(split_rings_with_event_index_lose_no_wake_up),
		cmocka_unit_test(packed_rings_lose_no_wake_up),
		cmocka_unit_test(packed_rings_with_event_index_lose_no_wake_up),
		cmocka_unit_test(counters_may_be_read_during_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

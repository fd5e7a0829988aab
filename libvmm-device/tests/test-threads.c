/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "device.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, DEVICES = 8, ROUNDS = 500 };

/* A device that may be released once the bus has synchronised. */
struct live_device {
	uint64_t magic;
	uint64_t reads;
};

#define MAGIC UINT64_C(0x1122334455667788)

static void live_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct live_device *d = ctx;

	/* A plain read: TSan sees the release if it comes too early, ASan too. */
	memcpy(data, &d->magic, len);
	(void)__atomic_fetch_add(&d->reads, 1, __ATOMIC_RELAXED);
}

static const struct vmm_bus_ops live_ops = { sizeof(live_ops), live_read, NULL };

struct race {
	struct vmm_bus *bus;
	uint64_t stride;
	bool stop;
	uint64_t dispatched, answered, bad;
};

static void dispatch_one(struct race *r, struct vmm_bus_reader *reader, uint64_t i)
{
	uint64_t addr = (i % (2 * DEVICES)) * r->stride, value = 0;
	bool found = reader ? vmm_bus_reader_read(reader, addr, &value, 8)
			    : vmm_bus_read(r->bus, addr, &value, 8);

	(void)__atomic_fetch_add(&r->dispatched, 1, __ATOMIC_RELAXED);
	if (found)
		(void)__atomic_fetch_add(&r->answered, 1, __ATOMIC_RELAXED);
	if (value != (found ? MAGIC : UINT64_MAX))
		(void)__atomic_fetch_add(&r->bad, 1, __ATOMIC_RELAXED);
}

static void *with_reader(void *arg)
{
	struct race *r = arg;
	struct vmm_bus_reader *reader = NULL;

	if (vmm_bus_reader_new(r->bus, &reader) < 0)
		return arg;
	for (uint64_t i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++)
		dispatch_one(r, reader, i);
	vmm_bus_reader_free(reader);
	return NULL;
}

static void *without_reader(void *arg)
{
	struct race *r = arg;

	for (uint64_t i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); i++)
		dispatch_one(r, NULL, i);
	return NULL;
}

static struct live_device *device_add(struct race *r, uint64_t place)
{
	struct live_device *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->magic = MAGIC;
	assert_int_equal(vmm_bus_add(r->bus, place * r->stride, 8, &live_ops, d), 0);
	return d;
}

static void device_drop(struct race *r, struct live_device *d, uint64_t place)
{
	assert_int_equal(vmm_bus_remove(r->bus, place * r->stride, d), 0);
	assert_int_equal(vmm_bus_synchronize(r->bus), 0);
	memset(d, 0, sizeof(*d));
	free(d);
}

/* One device stays put: whatever else changes, each dispatch finds it. */
static void dispatch_survives_every_change(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		struct race r = { .bus = test_bus(kind ? UINT64_MAX : UINT16_MAX),
				  .stride = kind ? 0x100000 : 0x100 };
		struct live_device *d[DEVICES];
		pthread_t threads[THREADS];
		void *failed = NULL;

		for (uint64_t i = 0; i < DEVICES; i++)
			d[i] = device_add(&r, i);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(
			    pthread_create(&threads[i], NULL,
					   i % 2 ? with_reader : without_reader, &r),
			    0);
		for (int round = 0; round < ROUNDS; round++) {
			uint64_t i = 1 + (uint64_t)round % (DEVICES - 1);

			assert_int_equal(vmm_bus_move(r.bus, i * r.stride,
						      (i + DEVICES) * r.stride, d[i]),
					 0);
			device_drop(&r, d[i], i + DEVICES);
			d[i] = device_add(&r, i);
		}
		while (__atomic_load_n(&r.answered, __ATOMIC_RELAXED) < 1000)
			(void)usleep(100);
		__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
		for (int i = 0; i < THREADS; i++) {
			void *result = NULL;

			assert_int_equal(pthread_join(threads[i], &result), 0);
			failed = result ? result : failed;
		}
		assert_null(failed);
		assert_int_equal(r.bad, 0);
		assert_true(r.answered > 0 && r.dispatched > r.answered);
		for (uint64_t i = 0; i < DEVICES; i++)
			device_drop(&r, d[i], i);
		vmm_bus_free(r.bus);
	}
}

/* A callback that waits until it is told to return. */
struct gate {
	struct vmm_bus *bus;
	bool entered, open, returned, synced;
};

static void gate_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct gate *g = ctx;

	__atomic_store_n(&g->entered, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE))
		(void)usleep(100);
	__atomic_store_n(&g->returned, true, __ATOMIC_RELEASE);
}

static void *through_gate(void *arg)
{
	struct gate *g = arg;
	uint8_t byte = 0;

	return vmm_bus_write(g->bus, 0, &byte, 1) ? NULL : arg;
}

static void *through_gate_with_reader(void *arg)
{
	struct gate *g = arg;
	struct vmm_bus_reader *reader = NULL;
	uint8_t byte = 0;

	if (vmm_bus_reader_new(g->bus, &reader) < 0)
		return arg;
	return vmm_bus_reader_write(reader, 0, &byte, 1) ? NULL : arg;
}

static void *synchronize(void *arg)
{
	struct gate *g = arg;

	if (vmm_bus_synchronize(g->bus) < 0)
		return arg;
	__atomic_store_n(&g->synced, true, __ATOMIC_RELEASE);
	return __atomic_load_n(&g->returned, __ATOMIC_ACQUIRE) ? NULL : arg;
}

static void synchronize_waits_for_a_running_callback(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
		struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;
		struct gate g = { .bus = bus };
		pthread_t inside, waiting;
		void *result = &g;

		ops.write = gate_write;
		assert_int_equal(vmm_bus_add(bus, 0, 1, &ops, &g), 0);
		assert_int_equal(
		    pthread_create(&inside, NULL,
				   kind ? through_gate_with_reader : through_gate, &g),
		    0);
		while (!__atomic_load_n(&g.entered, __ATOMIC_ACQUIRE))
			(void)usleep(100);
		/* A change does not wait for the callback; only this call does. */
		assert_int_equal(vmm_bus_remove(bus, 0, &g), 0);
		assert_int_equal(pthread_create(&waiting, NULL, synchronize, &g), 0);
		(void)usleep(20000);
		assert_false(__atomic_load_n(&g.synced, __ATOMIC_ACQUIRE));
		/* While it waits, others may still change the map. */
		assert_int_equal(vmm_bus_add(bus, 8, 1, &ops, &g), 0);
		__atomic_store_n(&g.open, true, __ATOMIC_RELEASE);
		assert_int_equal(pthread_join(waiting, &result), 0);
		assert_null(result);
		assert_int_equal(pthread_join(inside, &result), 0);
		assert_null(result);
	}
}

/* More plain dispatches, one inside the other, than the bus has places on one line. */
struct nest {
	struct vmm_bus *bus;
	unsigned depth, deepest;
};

static void nest_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct nest *n = ctx;
	uint8_t byte;

	if (++n->deepest < n->depth)
		(void)vmm_bus_read(n->bus, 0, &byte, 1);
}

static void plain_dispatch_nests(void **state)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = test_bus(UINT64_MAX);
	struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;
	struct nest n = { .bus = bus, .depth = 100 };
	uint8_t byte;

	ops.read = nest_read;
	assert_int_equal(vmm_bus_add(bus, 0, 1, &ops, &n), 0);
	assert_true(vmm_bus_read(bus, 0, &byte, 1));
	assert_int_equal(n.deepest, 100);
	assert_int_equal(vmm_bus_synchronize(bus), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dispatch_survives_every_change),
		cmocka_unit_test(synchronize_waits_for_a_running_callback),
		cmocka_unit_test(plain_dispatch_nests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

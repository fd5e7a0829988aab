/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The memory device behind its registers, with the mock driver in front. */
#include "virtio-test.h"

#include <pthread.h>

#include <vmm/virtio-mem.h>

#include "busy-rig.h"
#include "device-rig.h"
#include "device-state.h"

enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, ERROR, NONE = 99 };
enum { IS_PLUGGED, IS_UNPLUGGED, IS_MIXED };

#define BLOCK UINT64_C(0x10000)
#define BLOCKS 70u
#define GPA UINT64_C(0x40000000)
#define F_INACCESSIBLE VMM_VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE

struct req {
	uint16_t type, pad[3];
	uint64_t gpa;
	uint16_t blocks, pad2[3];
};

struct world {
	struct devrig r;
	struct vmm_virtio_mem *d;
	int wakes, plugs, unplugs, result;
	uint64_t gpa, len;
};

static void on_wake(void *ctx)
{
	((struct world *)ctx)->wakes++;
}

static int on_plug(void *ctx, uint64_t gpa, uint64_t len)
{
	struct world *w = ctx;

	w->plugs++;
	w->gpa = gpa;
	w->len = len;
	return w->result;
}

static int on_unplug(void *ctx, uint64_t gpa, uint64_t len)
{
	struct world *w = ctx;

	w->unplugs++;
	w->gpa = gpa;
	w->len = len;
	return w->result;
}

static const struct vmm_virtio_mem_backend backend = { sizeof(backend), on_plug,
						       on_unplug };

static struct vmm_virtio_mem_opts opts_of(struct world *w)
{
	struct vmm_virtio_mem_opts o = VMM_VIRTIO_MEM_OPTS_INIT;

	o.wake = on_wake;
	o.ctx = w;
	o.backend = &backend;
	o.block_size = BLOCK;
	o.gpa = GPA;
	o.len = BLOCKS * BLOCK;
	o.requested = 4 * BLOCK;
	o.node = 3;
	o.features |= VMM_VIRTIO_F_RING_RESET | PACKED;
	return o;
}

static void start_with(struct world *w, const struct vmm_virtio_mem_opts *o)
{
	dr_init(&w->r, 16);
	assert_int_equal(vmm_virtio_mem_new(o, &w->d, NULL), 0);
	dr_carry(&w->r, vmm_virtio_mem_get_device(w->d));
	assert_int_equal(dr_rd(&w->r, 0x08), 24);
	dr_climb(&w->r, 1, F_INACCESSIBLE);
	w->wakes = 0;
}

static void start(struct world *w)
{
	struct vmm_virtio_mem_opts o;

	memset(w, 0, sizeof(*w));
	o = opts_of(w);
	start_with(w, &o);
}

static void stop(struct world *w)
{
	dr_stop(&w->r);
	vmm_virtio_mem_free(w->d);
	dr_fini(&w->r);
}

static struct vmm_virtio_mem_stats stats(struct world *w)
{
	struct vmm_virtio_mem_stats s = { .size = sizeof(s) };

	vmm_virtio_mem_get_stats(w->d, &s);
	return s;
}

/* Returns the response, `*state` what is behind it. */
static int ask_for(struct world *w, uint16_t type, uint64_t gpa, uint16_t blocks,
		   uint16_t *out_state)
{
	struct req r = { .type = type, .gpa = gpa, .blocks = blocks };
	uint16_t response;

	memset(dr_answer(&w->r, 0), 0xee, 16);
	assert_true(dr_add(&w->r, 0, &r, sizeof(r), 10) >= 0);
	dr_wr(&w->r, 0x50, 0);
	vmm_virtio_mem_run(w->d);
	assert_int_equal(dr_used(&w->r, 0), 10);
	memcpy(&response, dr_answer(&w->r, 0), 2);
	if (out_state)
		memcpy(out_state, (uint8_t *)dr_answer(&w->r, 0) + 8, 2);
	assert_int_equal(dr_config64(&w->r, 40), stats(w).plugged);
	return response;
}

static int ask(struct world *w, uint16_t type, uint64_t first, uint16_t blocks)
{
	return ask_for(w, type, GPA + first * BLOCK, blocks, NULL);
}

static void the_region_is_told(void **state)
{
	struct world w;

	start(&w);
	assert_int_equal(dr_config64(&w.r, 0), BLOCK);
	assert_int_equal(dr_rd(&w.r, 0x108), 3);
	assert_int_equal(dr_config64(&w.r, 16), GPA);
	assert_int_equal(dr_config64(&w.r, 24), BLOCKS * BLOCK);
	assert_int_equal(dr_config64(&w.r, 32), BLOCKS * BLOCK);
	assert_int_equal(dr_config64(&w.r, 40), 0);
	assert_int_equal(dr_config64(&w.r, 48), 4 * BLOCK);
	dr_wr(&w.r, 0x130, 7);
	assert_int_equal(dr_config64(&w.r, 48), 4 * BLOCK);
	stop(&w);
}

static void blocks_come_and_go(void **state)
{
	struct world w;
	uint16_t s;

	start(&w);
	assert_int_equal(ask(&w, PLUG, 2, 3), ACK);
	assert_int_equal(w.wakes, 1);
	assert_int_equal(w.gpa, GPA + 2 * BLOCK);
	assert_int_equal(w.len, 3 * BLOCK);
	assert_int_equal(stats(&w).plugged, 3 * BLOCK);
	/* The driver is not interrupted for what it asked for itself. */
	assert_int_equal(dr_rd(&w.r, 0x60), 1);
	assert_int_equal(ask_for(&w, STATE, GPA + 2 * BLOCK, 3, &s), ACK);
	assert_int_equal(s, IS_PLUGGED);
	assert_int_equal(ask_for(&w, STATE, GPA, 2, &s), ACK);
	assert_int_equal(s, IS_UNPLUGGED);
	assert_int_equal(ask_for(&w, STATE, GPA, 3, &s), ACK);
	assert_int_equal(s, IS_MIXED);
	assert_int_equal(ask(&w, UNPLUG, 3, 1), ACK);
	assert_int_equal(w.gpa, GPA + 3 * BLOCK);
	assert_int_equal(stats(&w).plugged, 2 * BLOCK);
	assert_int_equal(ask(&w, PLUG, 69, 1), ACK); /* the last */
	w.unplugs = 0;
	assert_int_equal(ask_for(&w, UNPLUG_ALL, 0, 0, NULL), ACK);
	assert_int_equal(w.unplugs, 3);
	assert_int_equal(stats(&w).plugged, 0);
	assert_int_equal(ask_for(&w, UNPLUG_ALL, 0, 0, NULL), ACK);
	assert_int_equal(stats(&w).plugs, 2);
	assert_int_equal(stats(&w).unplugs, 1);
	assert_int_equal(stats(&w).unplug_alls, 2);
	assert_int_equal(stats(&w).queries, 3);
	stop(&w);
}

static void bad_ranges_of_blocks_are_errors(void **state)
{
	static const struct {
		uint64_t gpa;
		uint16_t blocks;
	} bad[] = {
		{ GPA, 0 },
		{ GPA - BLOCK, 1 },
		{ GPA - BLOCK, 2 },
		{ GPA + 1, 1 },
		{ GPA + BLOCK / 2, 1 },
		{ GPA + BLOCKS * BLOCK, 1 },
		{ GPA + (BLOCKS - 1) * BLOCK, 2 },
		{ GPA, BLOCKS + 1 },
		{ GPA, 65535 },
		{ 0, 1 },
		{ UINT64_MAX - BLOCK + 1, 1 },
		{ UINT64_MAX, 65535 },
	};
	struct world w;

	start(&w);
	assert_int_equal(vmm_virtio_mem_set_requested(w.d, w.r.t, BLOCKS * BLOCK), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		for (uint16_t type = PLUG; type <= STATE; type++)
			if (type != UNPLUG_ALL)
				assert_int_equal(
				    ask_for(&w, type, bad[i].gpa, bad[i].blocks, NULL),
				    ERROR);
	}
	assert_int_equal(w.plugs + w.unplugs, 0);
	assert_int_equal(ask_for(&w, 4, GPA, 1, NULL), ERROR);
	assert_int_equal(ask_for(&w, 0xffff, GPA, 1, NULL), ERROR);
	assert_int_equal(stats(&w).errors, 3 * VMM_ARRAY_LEN(bad) + 2);
	stop(&w);
}

static void blocks_are_plugged_and_unplugged_once(void **state)
{
	struct world w;

	start(&w);
	assert_int_equal(ask(&w, UNPLUG, 0, 1), ERROR);
	assert_int_equal(ask(&w, PLUG, 1, 2), ACK);
	assert_int_equal(ask(&w, PLUG, 2, 1), ERROR);
	assert_int_equal(ask(&w, PLUG, 0, 2), ERROR);
	assert_int_equal(ask(&w, UNPLUG, 0, 2), ERROR);
	assert_int_equal(ask(&w, UNPLUG, 2, 2), ERROR);
	assert_int_equal(stats(&w).plugged, 2 * BLOCK);
	assert_int_equal(ask(&w, UNPLUG, 1, 2), ACK);
	stop(&w);
}

static void no_more_is_plugged_than_was_asked_for(void **state)
{
	struct world w;

	start(&w);
	assert_int_equal(ask(&w, PLUG, 0, 5), NACK);
	assert_int_equal(ask(&w, PLUG, 0, 4), ACK);
	assert_int_equal(ask(&w, PLUG, 4, 1), NACK);
	w.r.irqs = 0;
	assert_int_equal(vmm_virtio_mem_set_requested(w.d, w.r.t, 2 * BLOCK), 0);
	assert_int_equal(w.r.irqs, 1);
	assert_int_equal(dr_config64(&w.r, 48), 2 * BLOCK);
	assert_int_equal(ask(&w, PLUG, 4, 1), NACK);
	assert_int_equal(ask(&w, UNPLUG, 0, 4), ACK);
	assert_int_equal(ask(&w, PLUG, 4, 2), ACK);
	assert_int_equal(stats(&w).nacks, 3);
	assert_int_equal(vmm_virtio_mem_set_requested(w.d, w.r.t, 2 * BLOCK + 1),
			 -EINVAL);
	assert_int_equal(vmm_virtio_mem_set_requested(w.d, w.r.t, (BLOCKS + 1) * BLOCK),
			 -EINVAL);
	stop(&w);
}

static void a_back_end_that_cannot_is_busy(void **state)
{
	struct world w;

	start(&w);
	w.result = -ENOMEM;
	assert_int_equal(ask(&w, PLUG, 0, 1), BUSY);
	assert_int_equal(stats(&w).plugged, 0);
	w.result = 0;
	assert_int_equal(ask(&w, PLUG, 0, 1), ACK);
	w.result = -EIO;
	assert_int_equal(ask(&w, UNPLUG, 0, 1), BUSY);
	assert_int_equal(ask_for(&w, UNPLUG_ALL, 0, 0, NULL), BUSY);
	assert_int_equal(vmm_virtio_mem_unplug_all(w.d, w.r.t), -EIO);
	assert_int_equal(stats(&w).plugged, BLOCK);
	assert_int_equal(stats(&w).busies, 3);
	w.result = 0;
	/* The blocks survive the device's reset, but not the machine's. */
	dr_climb(&w.r, 1, F_INACCESSIBLE);
	assert_int_equal(dr_config64(&w.r, 40), BLOCK);
	dr_wr(&w.r, 0x70, 0);
	assert_int_equal(vmm_virtio_mem_unplug_all(w.d, w.r.t), 0);
	assert_int_equal(dr_config64(&w.r, 40), 0);
	stop(&w);
}

static void requests_that_are_cut_short_come_back(void **state)
{
	static const struct mock_seg hole = { MOCK_HOLE, 24, false };
	struct req r = { .type = PLUG, .gpa = GPA, .blocks = 1 };
	struct world w;

	start(&w);
	assert_true(dr_add(&w.r, 0, &r, 23, 10) >= 0);
	assert_true(dr_add(&w.r, 0, &r, 24, 9) >= 0);
	assert_true(dr_add(&w.r, 0, &r, 24, 0) >= 0);
	assert_true(mock_add(&w.r.q[0], &hole, 1, false) >= 0);
	vmm_virtio_mem_run(w.d);
	for (int i = 0; i < 4; i++)
		assert_int_equal(dr_used(&w.r, 0), 0);
	assert_int_equal(stats(&w).bad_requests, 3);
	assert_int_equal(w.plugs, 0);
	assert_int_equal(ask(&w, PLUG, 0, 1), ACK);
	mock_raw_avail_idx(&w.r.q[0], 1000);
	vmm_virtio_mem_run(w.d);
	assert_int_equal(dr_rd(&w.r, 0x70), 0x4f);
	stop(&w);
}

static void a_driver_that_would_read_anything_is_not_let_in(void **state)
{
	struct world w;

	start(&w);
	assert_int_equal(dr_features(&w.r, 0), 3);
	assert_int_equal(dr_features(&w.r, F_INACCESSIBLE), 0xb);
	vmm_virtio_mem_run(w.d);
	stop(&w);
}

static void the_queue_is_reset_alone(void **state)
{
	struct world w;

	start(&w);
	dr_climb(&w.r, 1, F_INACCESSIBLE | VMM_VIRTIO_F_RING_RESET);
	assert_int_equal(ask(&w, PLUG, 0, 1), ACK);
	dr_wr(&w.r, 0xc0, 1);
	vmm_virtio_mem_run(w.d);
	dr_reset_queue(&w.r, 0);
	assert_int_equal(ask(&w, UNPLUG, 0, 1), ACK);
	dr_climb(&w.r, 1, F_INACCESSIBLE | PACKED);
	for (int i = 0; i < 40; i++)
		assert_int_equal(ask(&w, i % 2 ? UNPLUG : PLUG, 0, 1), ACK);
	stop(&w);
}

static struct vmm_mem *with_region(struct devrig *r)
{
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_mem *mem = NULL;

	region.gpa = GPA;
	region.len = BLOCKS * BLOCK;
	assert_int_equal(vmm_mem_with(r->m->mem, &region, &mem, NULL), 0);
	return mem;
}

static void unplugged_memory_goes_back_to_the_host(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL, *again = NULL;
	struct world w = { 0 };
	struct vmm_virtio_mem_opts o = opts_of(&w);
	uint8_t bytes[2];

	dr_init(&w.r, 16);
	mem = with_region(&w.r);
	o.backend = NULL;
	o.mem = mem;
	assert_int_equal(vmm_virtio_mem_new(&o, &w.d, NULL), 0);
	dr_carry(&w.r, vmm_virtio_mem_get_device(w.d));
	dr_climb(&w.r, 1, F_INACCESSIBLE);
	assert_int_equal(ask(&w, PLUG, 0, 2), ACK);
	assert_int_equal(vmm_mem_fill(mem, GPA, 0xaa, 2 * BLOCK), 0);
	assert_int_equal(ask(&w, UNPLUG, 1, 1), ACK);
	assert_int_equal(vmm_mem_read(mem, GPA + BLOCK - 1, bytes, 2), 0);
	assert_int_equal(bytes[0], 0xaa);
	assert_int_equal(bytes[1], 0);
	assert_int_equal(vmm_mem_clone(mem, &again), 0);
	vmm_virtio_mem_set_mem(w.d, again);
	assert_int_equal(ask(&w, UNPLUG, 0, 1), ACK);
	assert_int_equal(vmm_mem_read(mem, GPA, bytes, 1), 0);
	assert_int_equal(bytes[0], 0);
	/* A table without the region: nothing to give back. */
	assert_int_equal(ask(&w, PLUG, 0, 1), ACK);
	vmm_virtio_mem_set_mem(w.d, w.r.m->mem);
	assert_int_equal(ask(&w, UNPLUG, 0, 1), BUSY);
	stop(&w);
}

static void saved_blocks_are_restored(void **state)
{
	struct memdev_state s = { .version = DEVICE_STATE_VERSION };
	struct vmm_virtio_mem_opts o;
	uint64_t words[2] = { 0 };
	struct world w;
	uint16_t what;

	start(&w);
	assert_int_equal(ask(&w, PLUG, 0, 1), ACK);
	assert_int_equal(ask(&w, PLUG, 69, 1), ACK);
	memdev_get_state(w.d, &s);
	assert_int_equal(vmm_virtio_mem_get_blocks(w.d, NULL, 0), 2);
	assert_int_equal(vmm_virtio_mem_get_blocks(w.d, words, 2), 2);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[1], 0x20);
	assert_int_equal(memdev_set_state(w.d, &s, words, 2), -EBUSY);
	stop(&w);

	memset(&w, 0, sizeof(w));
	o = opts_of(&w);
	o.requested = 0;
	dr_init(&w.r, 16);
	assert_int_equal(vmm_virtio_mem_new(&o, &w.d, NULL), 0);
	assert_int_equal(memdev_set_state(w.d, &s, words, 2), 0);
	dr_carry(&w.r, vmm_virtio_mem_get_device(w.d));
	dr_climb(&w.r, 1, F_INACCESSIBLE);
	assert_int_equal(ask_for(&w, STATE, GPA + 69 * BLOCK, 1, &what), ACK);
	assert_int_equal(what, IS_PLUGGED);
	assert_int_equal(w.plugs, 0);
	stop(&w);
}

static void a_corrupt_memory_state_is_refused(void **state)
{
	static const struct memdev_state good = {
		1, BLOCK, GPA, BLOCKS * BLOCK, BLOCK,
	};
	uint64_t words[2] = { 1, 0 };
	struct world w = { 0 };
	struct vmm_virtio_mem_opts o = opts_of(&w);

	assert_int_equal(vmm_virtio_mem_new(&o, &w.d, NULL), 0);
	static const int cases[] = { 0, 2, 3, 4, 5, 6, 7, 9, 10 };
	for (size_t n = 0; n < VMM_ARRAY_LEN(cases); n++) {
		int i = cases[n];
		struct memdev_state s = good;

		s.version += i == 0;
		s.block_size = i == 2 ? 2 * BLOCK : BLOCK;
		s.gpa += i == 3 ? BLOCK : 0;
		s.len -= i == 4 ? BLOCK : 0;
		s.requested = i == 5 ? 1 : i == 6 ? (BLOCKS + 1) * BLOCK : BLOCK;
		words[1] = i == 7 ? 0x40 : 0;
		assert_int_equal(
		    memdev_set_state(w.d, &s, i == 9 ? NULL : words, i == 10 ? 1 : 2),
		    -EBADMSG);
	}
	assert_int_equal(stats(&w).plugged, 0);
	words[1] = 0;
	assert_int_equal(memdev_set_state(w.d, &good, words, 2), 0);
	assert_int_equal(stats(&w).plugged, BLOCK);
	vmm_virtio_mem_free(w.d);
}

static void bad_memory_options_are_refused(void **state)
{
	static const struct vmm_virtio_mem_backend strange = { 0, NULL, NULL };
	struct vmm_virtio_mem *d = NULL;
	struct vmm_error err = { 0 };
	struct world w = { 0 };
	struct vmm_virtio_mem_opts good = opts_of(&w), o;

	for (int i = 0; i < 13; i++) {
		o = good;
		o.wake = i == 0 ? NULL : on_wake;
		o.backend = i == 1 ? NULL : i == 12 ? &strange : &backend;
		o.block_size = i == 2 ? 2048 : i == 3 ? 0x18000 : BLOCK;
		o.gpa = i == 4 ? GPA + 4096 : i == 5 ? UINT64_MAX - BLOCK + 1 : GPA;
		o.len = i == 6 ? 0 : i == 7 ? BLOCK + 4096 : o.len;
		o.requested = i == 8 ? 4096 : i == 9 ? (BLOCKS + 1) * BLOCK : 0;
		o.node = i == 10 ? 65536 : 0;
		o.queue_max = i == 11 ? 32769 : 0;
		assert_int_equal(vmm_virtio_mem_new(&o, &d, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
	}
	o = good;
	o.block_size = 4096;
	o.len = (VMM_VIRTIO_MEM_BLOCKS_MAX + 1) * 4096;
	assert_int_equal(vmm_virtio_mem_new(&o, &d, &err), -E2BIG);
	assert_null(d);
	o = good;
	o.block_size = 0; /* 2 MiB */
	o.len = UINT64_C(4) << 20;
	o.requested = 0;
	assert_int_equal(vmm_virtio_mem_new(&o, &d, &err), 0);
	vmm_virtio_mem_free(d);
	vmm_virtio_mem_free(NULL);
}

struct busy_mem {
	struct world w;
	struct busy b;
	int quit;
};

static const struct req busy_plug = { .type = PLUG, .gpa = GPA, .blocks = 1 };

static int endless_plug(void *ctx, uint64_t gpa, uint64_t len)
{
	struct busy_mem *m = ctx;

	while (dr_used(&m->w.r, 0) >= 0)
		(void)dr_add(&m->w.r, 0, &busy_plug, sizeof(busy_plug), 10);
	busy_request(&m->b);
	return -EBUSY;
}

static void busy_mem_start(void *ctx)
{
	struct busy_mem *m = ctx;

	dr_climb(&m->w.r, 1, F_INACCESSIBLE);
	for (int i = 0; i < 8; i++)
		assert_true(dr_add(&m->w.r, 0, &busy_plug, sizeof(busy_plug), 10) >= 0);
}

static void busy_mem_stats(void *ctx)
{
	(void)stats(&((struct busy_mem *)ctx)->w);
}

static void no_wake(void *ctx)
{
}

/* The VMM's thread for the device, which always has something to do. */
static void *run_for_ever(void *ctx)
{
	struct busy_mem *m = ctx;

	while (!__atomic_load_n(&m->quit, __ATOMIC_RELAXED))
		vmm_virtio_mem_run(m->w.d);
	return NULL;
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const struct vmm_virtio_mem_backend endless = { sizeof(endless),
							       endless_plug, on_unplug };
	struct busy_mem m = {
		.b = { .start = busy_mem_start, .get_stats = busy_mem_stats, .ctx = &m }
	};
	struct vmm_virtio_mem_opts o = opts_of(&m.w);
	pthread_t thread;

	o.backend = &endless;
	o.wake = no_wake;
	o.ctx = &m;
	start_with(&m.w, &o);
	m.b.mmio = m.w.r.mmio;
	assert_int_equal(pthread_create(&thread, NULL, run_for_ever, &m), 0);
	busy_check(&m.b);
	__atomic_store_n(&m.quit, 1, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	stop(&m.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_region_is_told),
		cmocka_unit_test(blocks_come_and_go),
		cmocka_unit_test(bad_ranges_of_blocks_are_errors),
		cmocka_unit_test(blocks_are_plugged_and_unplugged_once),
		cmocka_unit_test(no_more_is_plugged_than_was_asked_for),
		cmocka_unit_test(a_back_end_that_cannot_is_busy),
		cmocka_unit_test(requests_that_are_cut_short_come_back),
		cmocka_unit_test(a_driver_that_would_read_anything_is_not_let_in),
		cmocka_unit_test(the_queue_is_reset_alone),
		cmocka_unit_test(unplugged_memory_goes_back_to_the_host),
		cmocka_unit_test(saved_blocks_are_restored),
		cmocka_unit_test(a_corrupt_memory_state_is_refused),
		cmocka_unit_test(bad_memory_options_are_refused),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Each engine, with and without threads of the device, on each kind of ring: many requests
 * in flight, and what may happen to them. */
#include "blk-rig.h"
#include "device-state.h"

/* Each slot has an extent of the disk to itself, so that order does not matter. */
enum { EXTENT = 16, SECTORS = RIG_SLOTS * EXTENT };

struct kind {
	uint32_t engine, threads;
	uint64_t features;
};

static const struct kind kinds[] = {
	{ VMM_VIRTIO_BLK_ENGINE_SYNC, 0, F_USUAL },
	{ VMM_VIRTIO_BLK_ENGINE_SYNC, 1, F_USUAL | EV },
	{ VMM_VIRTIO_BLK_ENGINE_THREADS, 0, F_USUAL | EV },
	{ VMM_VIRTIO_BLK_ENGINE_THREADS, 1, F_USUAL | PACKED },
	{ VMM_VIRTIO_BLK_ENGINE_THREADS, 1, F_USUAL | IN_ORDER },
	{ VMM_VIRTIO_BLK_ENGINE_URING, 0, F_USUAL | EV },
	{ VMM_VIRTIO_BLK_ENGINE_URING, 0, F_USUAL | PACKED | IN_ORDER },
	{ VMM_VIRTIO_BLK_ENGINE_URING, 1, F_USUAL },
	{ VMM_VIRTIO_BLK_ENGINE_URING, 1, F_USUAL | PACKED },
};

/* false: this machine has no such engine. */
static bool start_kind(struct blk_rig *r, const struct kind *k, int fd)
{
	int ret;

	rig_init(r, fd, k->engine);
	r->opts.threads = k->threads;
	ret = rig_open(r, k->features | VMM_VIRTIO_F_RING_RESET);
	assert_true(ret == 0 ||
		    (ret == -EOPNOTSUPP && k->engine == VMM_VIRTIO_BLK_ENGINE_URING));
	return ret == 0;
}

struct job {
	uint32_t type, at, n;
	uint8_t byte;
};

struct model {
	struct job jobs[RIG_SLOTS];
	uint8_t disk[SECTORS];
};

static void new_job(struct blk_rig *r, struct model *m, int slot,
		    struct vmm_test_rng *rng)
{
	static const uint32_t types[] = { IN, IN, IN, OUT, OUT, FLUSH, ZEROES, DISCARD };
	struct job *j = &m->jobs[slot];
	uint64_t sector;
	uint32_t flags;

	j->type = types[vmm_test_below(rng, VMM_ARRAY_LEN(types))];
	j->at = vmm_test_below(rng, EXTENT);
	j->n = 1 + vmm_test_below(rng, EXTENT - j->at);
	j->byte = (uint8_t)(1 + vmm_test_below(rng, 255));
	sector = (uint64_t)slot * EXTENT + j->at;
	memset(rig_data(r, slot), j->byte, j->n * 512);
	if (j->type == ZEROES || j->type == DISCARD) {
		flags = j->type == ZEROES ? vmm_test_below(rng, 2) : 0;
		memcpy(rig_data(r, slot), &sector, 8);
		memcpy((uint8_t *)rig_data(r, slot) + 8, &j->n, 4);
		memcpy((uint8_t *)rig_data(r, slot) + 12, &flags, 4);
		assert_true(rig_offer(r, slot, j->type, 0, 16));
	} else {
		assert_true(rig_offer(r, slot, j->type, j->type == FLUSH ? 0 : sector,
				      j->type == FLUSH ? 0 : j->n * 512));
	}
}

static void check_job(struct blk_rig *r, struct model *m, int slot)
{
	const struct job *j = &m->jobs[slot];
	const uint8_t *data = rig_data(r, slot);

	assert_int_equal(rig_status(r, slot), 0);
	assert_int_equal(r->len[slot], j->type == IN ? j->n * 512 + 1 : 1);
	for (uint32_t i = 0; i < j->n && j->type != FLUSH; i++) {
		uint8_t *want = &m->disk[slot * EXTENT + (int)(j->at + i)];

		if (j->type == IN) {
			assert_int_equal(data[i * 512], *want);
			assert_int_equal(data[i * 512 + 511], *want);
		} else {
			*want = j->type == OUT ? j->byte : 0;
		}
	}
}

static void many_requests_in_flight_match_a_model(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (size_t k = 0; k < VMM_ARRAY_LEN(kinds); k++) {
		struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };
		int fd = memfd_create("disk", MFD_CLOEXEC), started = 0, done = 0;
		struct model m = { 0 };
		struct blk_rig r;

		assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
		if (!start_kind(&r, &kinds[k], fd)) {
			close(fd);
			continue;
		}
		while (done < 600) {
			uint32_t burst = 1 + vmm_test_below(&rng, RIG_SLOTS);
			int slot;

			for (int i = 0; i < RIG_SLOTS && burst > 0 && started < 600;
			     i++) {
				if (r.busy[i])
					continue;
				new_job(&r, &m, i, &rng);
				started++;
				burst--;
			}
			rig_kick(&r);
			slot = rig_wait(&r);
			for (; slot >= 0; slot = rig_take(&r), done++)
				check_job(&r, &m, slot);
		}
		vmm_virtio_blk_get_stats(r.blk, &stats);
		assert_int_equal(stats.reads + stats.writes + stats.flushes +
				     stats.zeroes + stats.discards,
				 600);
		assert_int_equal(stats.errors + stats.unsupported + stats.in_flight, 0);
		assert_true(stats.interrupts > 0 && r.irqs > 0);
		rig_close(&r);
		close(fd);
	}
}

/* What was in flight is given up: whatever the engine still does, guest memory is the
 * driver's again once the reset is over. */
static void reset_in_flight(struct blk_rig *r, bool queue_only, int round)
{
	int irqs;

	for (int i = 0; i < RIG_SLOTS; i++) {
		memset(rig_data(r, i), 0xaa, RIG_DATA);
		if (r->busy[i])
			continue;
		assert_true(rig_offer(r, i, i % 4 == 3 ? FLUSH : IN,
				      i % 4 == 3 ? 0 : (uint64_t)i * EXTENT,
				      i % 4 == 3 ? 0 : EXTENT * 512));
	}
	rig_kick(r);
	if (r->opts.threads == 0)
		vmm_virtio_blk_run(r->blk, 0);
	else if (round % 3 == 0)
		(void)usleep((useconds_t)(round % 50));
	if (queue_only) {
		rig_wr(r, 0x30, 0);
		rig_wr(r, 0xc0, 1);
		assert_int_equal(rig_rd(r, 0xc0), 0);
	} else {
		rig_wr(r, 0x70, 0);
	}
	for (int i = 0; i < RIG_SLOTS; i++)
		memset(rig_data(r, i), 0x55, RIG_DATA);
	memset(r->m->ram + MOCK_DESC, 0x55, MOCK_TABLES - MOCK_DESC);
	irqs = __atomic_load_n(&r->irqs, __ATOMIC_RELAXED);
	(void)usleep(round % 10 == 0 ? 2000 : 0);
	for (int i = 0; i < RIG_SLOTS; i++) {
		const uint8_t *data = rig_data(r, i);

		for (int b = 0; b < RIG_DATA; b++)
			assert_int_equal(data[b], 0x55);
	}
	for (uint64_t at = MOCK_DESC; at < MOCK_TABLES; at++)
		assert_int_equal(r->m->ram[at], 0x55);
	assert_int_equal(__atomic_load_n(&r->irqs, __ATOMIC_RELAXED), irqs);
}

static void fill_disk(int fd)
{
	uint8_t sector[512];

	for (int i = 0; i < SECTORS; i++) {
		memset(sector, 0xee, sizeof(sector));
		assert_int_equal(pwrite(fd, sector, 512, i * 512), 512);
	}
}

static void a_reset_in_flight_leaves_guest_memory_alone(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	fill_disk(fd);
	for (size_t k = 0; k < VMM_ARRAY_LEN(kinds); k++) {
		struct blk_rig r;

		if (!start_kind(&r, &kinds[k], fd))
			continue;
		for (int round = 0; round < 30; round++) {
			reset_in_flight(&r, false, round);
			rig_climb(&r, kinds[k].features);
		}
		assert_int_equal(rig_do(&r, IN, 0, 512), 0);
		assert_int_equal(*(uint8_t *)rig_data(&r, 0), 0xee);
		rig_close(&r);
	}
	close(fd);
}

static void a_queue_reset_in_flight_leaves_guest_memory_alone(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	fill_disk(fd);
	for (size_t k = 0; k < VMM_ARRAY_LEN(kinds); k++) {
		uint64_t features = kinds[k].features | VMM_VIRTIO_F_RING_RESET;
		struct blk_rig r;

		if (!start_kind(&r, &kinds[k], fd))
			continue;
		for (int round = 0; round < 30; round++) {
			reset_in_flight(&r, true, round);
			mock_reset(r.m, RIG_NUM, features);
			memset(r.busy, 0, sizeof(r.busy));
			rig_set_queue(&r);
			assert_int_equal(rig_rd(&r, 0x44), 1);
		}
		assert_int_equal(rig_do(&r, IN, 0, 512), 0);
		assert_int_equal(*(uint8_t *)rig_data(&r, 0), 0xee);
		assert_int_equal(rig_rd(&r, 0x70), 0xf);
		rig_close(&r);
	}
	close(fd);
}

/* The device is at rest between pause and resume, and finds the rings again where the
 * new table has them. */
static void memory_may_change_while_paused(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	fill_disk(fd);
	for (size_t k = 0; k < VMM_ARRAY_LEN(kinds); k++) {
		struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };
		struct vmm_mem *old;
		struct blk_rig r;
		int back = 0;

		if (!start_kind(&r, &kinds[k], fd))
			continue;
		for (int i = 0; i < RIG_SLOTS; i++)
			assert_true(rig_offer(&r, i, IN, (uint64_t)i * EXTENT, 4096));
		rig_kick(&r);
		if (r.opts.threads == 0)
			vmm_virtio_blk_run(r.blk, 0);
		blk_pause(r.blk);
		blk_pause(r.blk);
		vmm_virtio_blk_get_stats(r.blk, &stats);
		assert_int_equal(stats.in_flight, 0);
		/* What was started is in the ring already. */
		while (rig_take(&r) >= 0)
			back++;
		assert_int_equal(stats.reads, back);
		vmm_virtio_blk_run(r.blk, 0);
		assert_int_equal(rig_take(&r), -1);
		old = r.m->mem;
		assert_int_equal(mock_make_mem(r.m, &r.m->mem), 0);
		assert_int_equal(vmm_virtio_mmio_set_mem(r.mmio, r.m->mem), 0);
		vmm_mem_free(old);
		blk_resume(r.blk);
		for (; back < RIG_SLOTS; back++)
			assert_int_equal(rig_status(&r, rig_wait(&r)), 0);
		assert_int_equal(rig_do(&r, IN, 0, 512), 0);
		rig_close(&r);
	}
	close(fd);
}

static void completions_are_in_order_if_that_was_negotiated(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	fill_disk(fd);
	for (size_t k = 0; k < VMM_ARRAY_LEN(kinds); k++) {
		struct blk_rig r;

		if (!(kinds[k].features & IN_ORDER) || !start_kind(&r, &kinds[k], fd))
			continue;
		for (int round = 0; round < 50; round++) {
			for (int i = 0; i < RIG_SLOTS; i++)
				assert_true(
				    rig_offer(&r, i, i % 3 ? IN : FLUSH, 0,
					      i % 3 ? 512 * (1 + (uint32_t)i % 9) : 0));
			rig_kick(&r);
			for (int i = 0; i < RIG_SLOTS; i++)
				assert_int_equal(rig_wait(&r), i);
		}
		rig_close(&r);
	}
	close(fd);
}

/* Four queues with rings of their own in one memory. */
static void set_queues(struct blk_rig *r, struct mock *q, uint32_t n)
{
	rig_wr(r, 0x70, 0);
	mock_reset(r->m, RIG_NUM, F_USUAL);
	rig_wr(r, 0x70, 1);
	rig_wr(r, 0x70, 3);
	rig_wr(r, 0x24, 0);
	rig_wr(r, 0x20, (uint32_t)F_USUAL | 1u << 12);
	rig_wr(r, 0x24, 1);
	rig_wr(r, 0x20, 1);
	rig_wr(r, 0x70, 0xb);
	for (uint32_t i = 0; i < n; i++) {
		q[i] = *r->m;
		q[i].config.desc += 0x1000u * i;
		q[i].config.driver += 0x1000u * i;
		q[i].config.device += 0x1000u * i;
		rig_wr(r, 0x30, i);
		rig_wr(r, 0x38, RIG_NUM);
		rig_wr(r, 0x80, (uint32_t)q[i].config.desc);
		rig_wr(r, 0x90, (uint32_t)q[i].config.driver);
		rig_wr(r, 0xa0, (uint32_t)q[i].config.device);
		rig_wr(r, 0x44, 1);
	}
	rig_wr(r, 0x70, 0xf);
	assert_int_equal(rig_rd(r, 0x70), 0xf);
}

static void expect_data(struct blk_rig *r, struct mock *q, int slot)
{
	uint32_t id, len;
	int ret = -EAGAIN;

	for (int patience = 0; ret == -EAGAIN && patience < 5000; patience++) {
		ret = mock_get_used(q, &id, &len);
		if (ret == -EAGAIN)
			(void)usleep(1000);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(len, 4097);
	assert_int_equal(rig_status(r, slot), 0);
	assert_int_equal(*(uint8_t *)rig_data(r, slot), 0xee);
}

static void queues_work_side_by_side(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	fill_disk(fd);
	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct mock q[4];
		struct blk_rig r;

		rig_init(&r, fd, engine);
		r.opts.threads = 3;
		r.opts.queue_n = 4;
		if (rig_open(&r, F_USUAL) < 0)
			continue;
		set_queues(&r, q, 4);
		assert_int_equal(rig_rd(&r, 0x120) >> 16, 4);
		for (int round = 0; round < 100; round++) {
			for (int i = 0; i < 4; i++) {
				struct mock_seg segs[3] = { { SLOT_HEADER(i), 16, false },
							    { SLOT_DATA(i), 4096, true },
							    { SLOT_STATUS(i), 1, true } };

				memset(r.m->ram + SLOT_HEADER(i), 0, 16);
				memset(rig_data(&r, i), 0, 4096);
				r.m->ram[SLOT_STATUS(i)] = NO_STATUS;
				assert_true(mock_add(&q[i], segs, 3, false) >= 0);
				rig_wr(&r, 0x50, (uint32_t)i);
			}
			for (int i = 0; i < 4; i++)
				expect_data(&r, &q[i], i);
		}
		rig_close(&r);
	}
	close(fd);
}

/* An eventfd write is what KVM does for an ioeventfd. */
static void a_doorbell_is_all_it_takes(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint64_t one = 1;
	struct blk_rig r;

	fill_disk(fd);
	rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
	r.opts.threads = 1;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	assert_true(vmm_virtio_blk_get_engine(r.blk) >= VMM_VIRTIO_BLK_ENGINE_THREADS);
	for (int i = 0; i < 100; i++) {
		assert_true(rig_offer(&r, 0, IN, 0, 512));
		assert_int_equal(write(vmm_virtio_blk_get_doorbell(r.blk, 0), &one, 8),
				 8);
		assert_int_equal(rig_wait(&r), 0);
		assert_int_equal(rig_status(&r, 0), 0);
	}
	rig_close(&r);
	close(fd);
}

static void a_file_that_is_too_short_is_an_error_in_each_engine(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct blk_rig r;

		fill_disk(fd);
		rig_init(&r, fd, engine);
		if (rig_open(&r, F_USUAL) < 0)
			continue;
		assert_int_equal(ftruncate(fd, 1024 + 100), 0);
		assert_int_equal(rig_do(&r, IN, 0, 1024), 0);
		/* In the middle, at and behind its end. */
		assert_int_equal(rig_do(&r, IN, 0, 4096), 1);
		assert_int_equal(rig_do(&r, IN, 2, 512), 1);
		assert_int_equal(rig_do(&r, IN, 8, 512), 1);
		assert_int_equal(rig_do(&r, FLUSH, 0, 0), 0);
		rig_close(&r);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_requests_in_flight_match_a_model),
		cmocka_unit_test(a_reset_in_flight_leaves_guest_memory_alone),
		cmocka_unit_test(a_queue_reset_in_flight_leaves_guest_memory_alone),
		cmocka_unit_test(memory_may_change_while_paused),
		cmocka_unit_test(completions_are_in_order_if_that_was_negotiated),
		cmocka_unit_test(queues_work_side_by_side),
		cmocka_unit_test(a_doorbell_is_all_it_takes),
		cmocka_unit_test(a_file_that_is_too_short_is_an_error_in_each_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

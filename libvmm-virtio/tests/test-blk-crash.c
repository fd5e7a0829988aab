/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Power fails. What the driver was told to be durable must be there afterwards.
 *
 * Once with a back end that models a disk with a volatile cache, which loses any part of
 * what was not flushed; once with a process that serves a real file and is killed at a
 * random moment.
 */
#include "blk-rig.h"
#include "page-cache.h"

#include <signal.h>
#include <sys/wait.h>

enum { SECTORS = 1024, QUEUE = 8 };

/* --- a disk with a volatile cache --- */

struct disk {
	uint32_t stable[SECTORS];
	uint32_t cached[SECTORS];
	struct vmm_virtio_blk_io *queue[RIG_SLOTS];
	uint32_t queue_n;
	bool honest;
};

static int disk_submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct disk *d = ctx;

	if (d->queue_n == QUEUE)
		return -EAGAIN;
	d->queue[d->queue_n++] = io;
	return 0;
}

/* Do one of the waiting requests, whichever; others overtake it and are overtaken. */
static void disk_step(struct disk *d, struct vmm_test_rng *rng)
{
	uint32_t which = vmm_test_below(rng, d->queue_n);
	struct vmm_virtio_blk_io *io = d->queue[which];
	uint64_t at = io->offset / 512;

	d->queue[which] = d->queue[--d->queue_n];
	if (io->op == VMM_VIRTIO_BLK_WRITE) {
		for (uint64_t i = 0; i < io->len / 512; i++)
			memcpy(&d->cached[at + i],
			       (uint8_t *)io->iov[0].iov_base + 512 * i, 4);
		if (io->flags & VMM_VIRTIO_BLK_IO_FUA)
			memcpy(&d->stable[at], &d->cached[at], 4 * (io->len / 512));
	} else if (io->op == VMM_VIRTIO_BLK_FLUSH && d->honest) {
		memcpy(d->stable, d->cached, sizeof(d->stable));
	}
	vmm_virtio_blk_complete(io, 0);
}

static void disk_drain(void *ctx, uint32_t queue)
{
	struct disk *d = ctx;

	while (d->queue_n > 0)
		vmm_virtio_blk_complete(d->queue[--d->queue_n], -EIO);
}

/* What the driver knows: the newest version of each sector that must survive. */
struct promise {
	uint32_t version, written[SECTORS], durable[SECTORS];
	/* For each slot: what it is at; and for a flush, what was written before it. */
	uint32_t type[RIG_SLOTS], at[RIG_SLOTS], covers[RIG_SLOTS][SECTORS];
};

static void offer_some(struct blk_rig *r, struct promise *p, struct vmm_test_rng *rng)
{
	for (int i = 0; i < RIG_SLOTS; i++) {
		if (r->busy[i] || vmm_test_below(rng, 3) == 0)
			continue;
		p->type[i] = vmm_test_below(rng, 6) ? OUT : FLUSH;
		/* A place that no other request is at. */
		p->at[i] =
		    (uint32_t)i + RIG_SLOTS * vmm_test_below(rng, SECTORS / RIG_SLOTS);
		p->version++;
		memcpy(rig_data(r, i), &p->version, 4);
		memcpy(p->covers[i], p->written, sizeof(p->written));
		assert_true(rig_offer(r, i, p->type[i], p->type[i] == OUT ? p->at[i] : 0,
				      p->type[i] == OUT ? 512 : 0));
	}
}

static void note_done(struct blk_rig *r, struct promise *p, bool writeback)
{
	for (int slot = rig_take(r); slot >= 0; slot = rig_take(r)) {
		uint32_t version;

		assert_int_equal(rig_status(r, slot), 0);
		memcpy(&version, rig_data(r, slot), 4);
		if (p->type[slot] == OUT) {
			p->written[p->at[slot]] = version;
			if (!writeback)
				p->durable[p->at[slot]] = version;
			continue;
		}
		for (int s = 0; s < SECTORS; s++) {
			if (p->covers[slot][s] > p->durable[s])
				p->durable[s] = p->covers[slot][s];
		}
	}
}

/* Returns how many promises were broken. */
static int power_cut(const struct disk *d, const struct promise *p,
		     struct vmm_test_rng *rng)
{
	int broken = 0;

	for (int s = 0; s < SECTORS; s++) {
		/* Of the cache, any part may have made it. */
		uint32_t found = vmm_test_below(rng, 2) ? d->cached[s] : d->stable[s];

		broken += found < p->durable[s];
	}
	return broken;
}

static int run_until_power_fails(struct vmm_test_rng *rng, bool honest, bool writeback)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend),
							       disk_submit, NULL, NULL,
							       disk_drain };
	static struct promise p;
	static struct disk d;
	uint32_t steps = 20 + vmm_test_below(rng, 400);
	struct blk_rig r;
	int broken;

	memset(&p, 0, sizeof(p));
	memset(&d, 0, sizeof(d));
	d.honest = honest;
	rig_init(&r, -1, 0);
	r.opts.backend = &backend;
	r.opts.backend_ctx = &d;
	r.opts.capacity = SECTORS * 512;
	assert_int_equal(
	    rig_open(&r, F_FLUSH | F_WCE | (vmm_test_below(rng, 2) ? EV : 0)), 0);
	if (!writeback)
		vmm_virtio_mmio_write(r.mmio, 0x120, "\0", 1);
	while (steps-- > 0) {
		offer_some(&r, &p, rng);
		vmm_virtio_blk_run(r.blk, 0);
		while (d.queue_n > 0 && vmm_test_below(rng, 4))
			disk_step(&d, rng);
		note_done(&r, &p, writeback);
	}
	broken = power_cut(&d, &p, rng);
	rig_close(&r);
	return broken;
}

static void no_promise_is_broken_when_power_fails(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();
	int broken = 0;

	for (int i = 0; i < 200; i++)
		assert_int_equal(run_until_power_fails(&rng, true, i % 4 != 0), 0);
	/* The test itself can tell: a disk that lies about flushes is found out. */
	for (int i = 0; i < 20; i++)
		broken += run_until_power_fails(&rng, false, true);
	assert_true(broken > 0);
}

/* --- a process that is killed --- */

enum {
	CHUNK = 4096,
	CHUNKS = 2048,
	ROUNDS = 12,
	WORK = 9, /* requests that each round does at least */
};

/* In memory that outlives the child. Each chunk is written once. */
struct log {
	/* Chunks whose write was acknowledged, and those that an acknowledged flush that
	 * came later covers. */
	uint8_t written[CHUNKS], flushed[CHUNKS];
	uint32_t acknowledged;
	uint32_t engine_missing;
};

static void serve_until_killed(int fd, uint32_t engine, bool writeback, struct log *log)
{
	uint8_t covers[RIG_SLOTS][CHUNKS];
	uint32_t next = 0, what[RIG_SLOTS];
	struct blk_rig r;

	rig_init(&r, fd, engine);
	r.opts.threads = engine % 2;
	if (rig_open(&r, F_FLUSH | F_WCE) < 0) {
		__atomic_store_n(&log->engine_missing, 1, __ATOMIC_RELAXED);
		_exit(0);
	}
	if (!writeback)
		vmm_virtio_mmio_write(r.mmio, 0x120, "\0", 1);
	while (next < CHUNKS) {
		int slot;

		for (int i = 0; i < RIG_SLOTS && next < CHUNKS; i++) {
			if (r.busy[i])
				continue;
			if (i == 0) {
				memcpy(covers[i], log->written, CHUNKS);
				(void)rig_offer(&r, i, FLUSH, 0, 0);
				continue;
			}
			what[i] = next++;
			memset(rig_data(&r, i), (int)(what[i] % 255) + 1, CHUNK);
			(void)rig_offer(&r, i, OUT, (uint64_t)what[i] * 8, CHUNK);
		}
		rig_kick(&r);
		for (slot = rig_wait(&r); slot >= 0; slot = rig_take(&r)) {
			if (rig_status(&r, slot) != 0)
				_exit(1);
			__atomic_fetch_add(&log->acknowledged, 1, __ATOMIC_RELAXED);
			if (slot != 0) {
				log->written[what[slot]] = 1;
				if (!writeback)
					log->flushed[what[slot]] = 1;
				continue;
			}
			for (int c = 0; c < CHUNKS; c++)
				log->flushed[c] |= covers[slot][c];
		}
	}
	for (;;)
		(void)pause();
}

static void check_file(int fd, const struct log *log, bool ask)
{
	static uint8_t chunk[CHUNK];

	for (int c = 0; c < CHUNKS; c++) {
		if (log->flushed[c] && ask)
			assert_int_equal(unsafe_pages(fd, (uint64_t)c * CHUNK, CHUNK), 0);
		if (!log->written[c] && !log->flushed[c])
			continue;
		assert_int_equal(pread(fd, chunk, CHUNK, (off_t)c * CHUNK), CHUNK);
		for (int i = 0; i < CHUNK; i++)
			assert_int_equal(chunk[i], c % 255 + 1);
	}
}

/* However slow the machine is, the end comes while there is something to lose. */
static void await_work(const struct log *log)
{
	for (int ms = 0; ms < 30000; ms++) {
		if (__atomic_load_n(&log->acknowledged, __ATOMIC_RELAXED) >= WORK ||
		    __atomic_load_n(&log->engine_missing, __ATOMIC_RELAXED))
			return;
		(void)usleep(1000);
	}
}

static bool kill_once(struct vmm_test_rng *rng, uint32_t engine, bool writeback,
		      uint32_t *acknowledged)
{
	struct log *log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = rig_file("crash", O_RDWR, (uint64_t)CHUNKS * CHUNK), status;
	bool ask = has_page_cache(fd), ran;
	pid_t child;

	assert_true(log != MAP_FAILED);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		serve_until_killed(fd, engine, writeback, log);
	await_work(log);
	(void)usleep(vmm_test_below(rng, 60000));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	ran = !log->engine_missing;
	if (ran) {
		assert_true(WIFSIGNALED(status));
		check_file(fd, log, ask);
		*acknowledged += log->acknowledged;
	}
	close(fd);
	munmap(log, sizeof(*log));
	return ran;
}

static void a_killed_process_kept_its_promises(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		uint32_t acknowledged = 0;
		bool ran = true;

		for (int i = 0; ran && i < ROUNDS; i++)
			ran = kill_once(&rng, engine, i % 4 != 3, &acknowledged);
		assert_true(!ran || acknowledged > 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_promise_is_broken_when_power_fails),
		cmocka_unit_test(a_killed_process_kept_its_promises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BLK_RIG_H
#define BLK_RIG_H

/* A block device on a file, behind registers, with a driver that keeps many requests in
 * flight: each has its own header, status byte and data in guest memory. */
#include "virtio-test.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vmm/virtio-blk.h>

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, LIFETIME = 10, DISCARD = 11, ZEROES = 13 };
enum { RIG_NUM = 64, RIG_SLOTS = 16, RIG_DATA = 8192, NO_STATUS = 0xff };

#define F_FLUSH (UINT64_C(1) << 9)
#define F_WCE (UINT64_C(1) << 11)
#define F_RANGES (UINT64_C(1) << 13 | UINT64_C(1) << 14)
#define F_USUAL (F_FLUSH | F_RANGES | VMM_VIRTIO_F_INDIRECT_DESC)

#define SLOT_HEADER(i) (MOCK_BUFFERS + 0x100 * (uint64_t)(i))
#define SLOT_STATUS(i) (SLOT_HEADER(i) + 0x80)
#define SLOT_DATA(i) (MOCK_BUFFERS + 0x2000 + RIG_DATA * (uint64_t)(i))

struct blk_rig {
	struct mock *m;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_blk_opts opts;
	int irqs;
	/* Descriptor head or id -> slot. */
	int slot_of[MOCK_NUM_MAX];
	bool busy[RIG_SLOTS];
	uint32_t len[RIG_SLOTS];
};

static inline void rig_irq(void *ctx, bool level)
{
	if (level)
		__atomic_fetch_add(&((struct blk_rig *)ctx)->irqs, 1, __ATOMIC_RELAXED);
}

static inline void rig_wr(struct blk_rig *r, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(r->mmio, reg, &value, 4);
}

static inline uint32_t rig_rd(struct blk_rig *r, uint32_t reg)
{
	uint32_t value;

	vmm_virtio_mmio_read(r->mmio, reg, &value, 4);
	return value;
}

static inline void rig_set_queue(struct blk_rig *r)
{
	rig_wr(r, 0x38, RIG_NUM);
	rig_wr(r, 0x80, (uint32_t)MOCK_DESC);
	rig_wr(r, 0x90, (uint32_t)MOCK_DRIVER);
	rig_wr(r, 0xa0, (uint32_t)MOCK_DEVICE);
	rig_wr(r, 0x44, 1);
}

/* From nothing to DRIVER_OK, with empty rings. */
static inline void rig_climb(struct blk_rig *r, uint64_t features)
{
	rig_wr(r, 0x70, 0);
	mock_reset(r->m, RIG_NUM, features);
	memset(r->busy, 0, sizeof(r->busy));
	rig_wr(r, 0x70, 1);
	rig_wr(r, 0x70, 3);
	rig_wr(r, 0x24, 0);
	rig_wr(r, 0x20, (uint32_t)features);
	rig_wr(r, 0x24, 1);
	rig_wr(r, 0x20, (uint32_t)(features >> 32) | 1);
	rig_wr(r, 0x70, 0xb);
	rig_set_queue(r);
	rig_wr(r, 0x70, 0xf);
	assert_int_equal(rig_rd(r, 0x70), 0xf);
}

/* Fill in `opts` first. Returns what making the device returned. */
static inline int rig_open(struct blk_rig *r, uint64_t features)
{
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	int ret;

	r->opts.features |= features & ~(uint64_t)0xfffffff;
	ret = vmm_virtio_blk_new(&r->opts, &r->blk, NULL);
	if (ret < 0)
		return ret;
	r->m = mock_new(RIG_NUM, 0);
	assert_non_null(r->m);
	if (!r->m)
		return -ENOMEM;
	mopts.mem = r->m->mem;
	mopts.set_irq = rig_irq;
	mopts.irq_ctx = r;
	assert_int_equal(vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(r->blk),
					     &r->mmio, NULL),
			 0);
	rig_climb(r, features);
	return 0;
}

static inline void rig_init(struct blk_rig *r, int fd, uint32_t engine)
{
	static const struct vmm_virtio_blk_opts init = VMM_VIRTIO_BLK_OPTS_INIT;

	memset(r, 0, sizeof(*r));
	r->opts = init;
	r->opts.fd = fd;
	r->opts.engine = engine;
	r->opts.discard = true;
}

static inline void rig_close(struct blk_rig *r)
{
	vmm_virtio_mmio_free(r->mmio);
	vmm_virtio_blk_free(r->blk);
	mock_free(r->m);
}

static inline void *rig_data(struct blk_rig *r, int slot)
{
	return r->m->ram + SLOT_DATA(slot);
}

static inline uint8_t rig_status(struct blk_rig *r, int slot)
{
	return __atomic_load_n(r->m->ram + SLOT_STATUS(slot), __ATOMIC_RELAXED);
}

/* Offer a request from slot @p slot; false if the ring is full. */
static inline bool rig_offer(struct blk_rig *r, int slot, uint32_t type, uint64_t sector,
			     uint32_t len)
{
	bool in = type == IN || type == GET_ID || type == LIFETIME;
	struct mock_seg segs[3] = { { SLOT_HEADER(slot), 16, false },
				    { SLOT_DATA(slot), len, in },
				    { SLOT_STATUS(slot), 1, true } };
	int head;

	memset(r->m->ram + SLOT_HEADER(slot), 0, 16);
	memcpy(r->m->ram + SLOT_HEADER(slot), &type, 4);
	memcpy(r->m->ram + SLOT_HEADER(slot) + 8, &sector, 8);
	r->m->ram[SLOT_STATUS(slot)] = NO_STATUS;
	if (len == 0)
		segs[1] = segs[2];
	head = mock_add(r->m, segs, len ? 3 : 2, false);
	if (head < 0)
		return false;
	r->slot_of[head] = slot;
	r->busy[slot] = true;
	return true;
}

static inline void rig_kick(struct blk_rig *r)
{
	rig_wr(r, 0x50, 0);
}

/* The slot of a request that came back, or -1. */
static inline int rig_take(struct blk_rig *r)
{
	uint32_t id = 0, len = 0;
	int ret = mock_get_used(r->m, &id, &len), slot;

	if (ret < 0) {
		assert_int_equal(ret, -EAGAIN);
		return -1;
	}
	slot = r->slot_of[id];
	assert_true(r->busy[slot]);
	r->busy[slot] = false;
	r->len[slot] = len;
	return slot;
}

/* Wait for one, running the device if nobody else does. */
static inline int rig_wait(struct blk_rig *r)
{
	struct pollfd p = { .fd = vmm_virtio_blk_get_fd(r->blk, 0), .events = POLLIN };

	for (int patience = 0; patience < 10000; patience++) {
		int slot = rig_take(r);

		if (slot >= 0)
			return slot;
		if (r->opts.threads > 0) {
			(void)usleep(1000);
			continue;
		}
		(void)poll(&p, 1, 10);
		if (p.revents & POLLIN)
			vmm_virtio_blk_run(r->blk, 0);
	}
	fail_msg("a request did not come back");
	return -1;
}

/* One request from end to end: its status. */
static inline uint8_t rig_do(struct blk_rig *r, uint32_t type, uint64_t sector,
			     uint32_t len)
{
	assert_true(rig_offer(r, 0, type, sector, len));
	rig_kick(r);
	assert_int_equal(rig_wait(r), 0);
	return rig_status(r, 0);
}

static inline uint8_t rig_range(struct blk_rig *r, uint32_t type, uint64_t sector,
				uint32_t sectors, uint32_t flags)
{
	memcpy(rig_data(r, 0), &sector, 8);
	memcpy((uint8_t *)rig_data(r, 0) + 8, &sectors, 4);
	memcpy((uint8_t *)rig_data(r, 0) + 12, &flags, 4);
	return rig_do(r, type, 0, 16);
}

/* A file where O_DIRECT may work: beside the program, or wherever $TMPDIR says. */
static inline int rig_file(const char *name, int flags, uint64_t size)
{
	const char *dir = getenv("TMPDIR");
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/vmm-%s-XXXXXX", dir ? dir : "/tmp", name);
	fd = mkostemp(path, O_CLOEXEC | flags);
	if (fd < 0)
		return fd;
	(void)unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Flush requests in pieces that the input chooses.
 *
 *   byte 0  bit 0: packed ring, 1: indirect, 2: the first flush fails
 *   then requests: number of pieces (low 3 bits; bit 3: the device runs now), 4 bytes of
 *   content, 2 bytes for each piece: length (bits 0 to 4), bit 5 writable, bit 6 at the
 *   hole, and where in units of 4 bytes
 *
 * It stops when a byte that is not part of a result changes, a result is not what is right,
 * a flush is vouched for that did not happen, or a chain is answered twice or never.
 */
#include <vmm/virtio-pmem.h>

#include "../tests/device-rig.h"

enum { PIECES = 7, WINDOW = 0x800 };

struct world {
	struct devrig r;
	struct vmm_virtio_pmem *p;
	uint64_t flushes;
	bool fail;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_flush(void *ctx)
{
	struct world *w = ctx;

	w->flushes++;
	return w->fail ? -5 : 0;
}

static void collect(struct world *w)
{
	struct vmm_virtio_pmem_stats s = { .size = sizeof(s) };
	uint32_t id, len;
	int ret;

	while ((ret = mock_get_used(&w->r.q[0], &id, &len)) == 0)
		dr_must(len == 0 || len == 4);
	dr_must(ret == -EAGAIN);
	vmm_virtio_pmem_get_stats(w->p, &s);
	dr_must(s.flushes == w->flushes && s.errors <= 1);
	dr_must(s.errors == 0 || w->fail);
	dr_must(s.requests >= s.flushes);
}

/* All but the first four writable bytes is as it was. */
static void check_memory(const struct world *w, const struct mock_seg *segs, uint32_t n,
			 const uint8_t before[WINDOW])
{
	const uint8_t *at = mock_at(w->r.m, MOCK_BUFFERS);
	bool may[WINDOW] = { false };
	uint32_t left = 4;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; segs[i].write && k < segs[i].len && left > 0; k++) {
			may[segs[i].gpa - MOCK_BUFFERS + k] = true;
			left--;
		}
	}
	for (uint32_t i = 0; i < WINDOW; i++)
		dr_must(may[i] || at[i] == before[i]);
}

static size_t step(struct world *w, const uint8_t *p, size_t size)
{
	struct mock_seg segs[PIECES];
	uint32_t n = size ? p[0] & 7 : 0;
	uint8_t before[WINDOW], *at = mock_at(w->r.m, MOCK_BUFFERS);
	bool good = true;

	if (n == 0 || size < 5 + 2 * (size_t)n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		segs[i].len = p[5 + 2 * i] & 31;
		segs[i].write = p[5 + 2 * i] & 32;
		segs[i].gpa = MOCK_BUFFERS + 4u * p[6 + 2 * i];
		if (p[5 + 2 * i] & 64) {
			segs[i].gpa += MOCK_HOLE;
			good = false;
		}
	}
	for (uint32_t i = 0; i < WINDOW; i++)
		at[i] = p[1 + i % 4];
	memcpy(before, at, WINDOW);
	if (mock_add(&w->r.q[0], segs, n, w->r.m->features & 1u << 28) < 0)
		return 0;
	vmm_virtio_pmem_run(w->p);
	if (good)
		check_memory(w, segs, n, before);
	collect(w);
	return 5 + 2 * n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct vmm_virtio_pmem_opts o = VMM_VIRTIO_PMEM_OPTS_INIT;
	uint8_t mode = size ? data[0] : 0;
	size_t at = 1, n;

	if (!w.r.m)
		dr_init(&w.r, 16);
	w.flushes = 0;
	w.fail = mode & 4;
	o.gpa = 0x100000000;
	o.len = 0x200000;
	o.flush = on_flush;
	o.ctx = &w;
	o.no_thread = true;
	o.features |= VMM_VIRTIO_F_RING_PACKED;
	dr_must(vmm_virtio_pmem_new(&o, &w.p, NULL) == 0);
	dr_carry(&w.r, vmm_virtio_pmem_get_device(w.p));
	dr_climb(&w.r, 1,
		 (mode & 1 ? VMM_VIRTIO_F_RING_PACKED : 0) | (mode & 2 ? 1u << 28 : 0));
	for (int i = 0; i < 60 && at < size && (n = step(&w, data + at, size - at)) > 0;
	     i++)
		at += n;
	for (uint32_t i = 0; i < w.r.num; i++)
		dr_must(!w.r.q[0].out[i]);
	dr_stop(&w.r);
	vmm_virtio_pmem_free(w.p);
	return 0;
}

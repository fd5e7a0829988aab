/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory hot-plug under a driver that the input plays, next to a model of it: a byte for
 * each block.
 *
 *   steps of 6 bytes: what (low 3 bits: 0-3 the request, 4 any type, 5 the VMM asks for
 *   blocks, 6 cut short, 7 save, compare and reset; bit 3 the back end fails), block (2),
 *   number (2), what is added to the address (1: 0 nothing, else its bits all over)
 *
 * It stops when an answer or the number of plugged blocks is not the model's, when the back
 * end is asked for anything but whole blocks of the region in the right state, or a chain
 * is answered twice or never.
 */
#include <vmm/virtio-mem.h>

#include "../tests/device-rig.h"

enum { BLOCKS = 70, ACK = 0, NACK, BUSY, ERROR };
#define BLOCK UINT64_C(0x1000)
#define GPA UINT64_C(0x40000000)

struct world {
	struct devrig r;
	struct vmm_virtio_mem *d;
	uint8_t model[BLOCKS];
	uint64_t requested;
	bool fail;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t count(const struct world *w, uint64_t first, uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = first; i < first + n; i++)
		sum += w->model[i];
	return sum;
}

static void on_wake(void *ctx)
{
}

static int change(struct world *w, uint64_t gpa, uint64_t len, bool plug)
{
	uint64_t first = (gpa - GPA) / BLOCK, n = len / BLOCK;

	dr_must(gpa >= GPA && gpa % BLOCK == 0 && len % BLOCK == 0 && n > 0);
	dr_must(first < BLOCKS && n <= BLOCKS - first);
	dr_must(count(w, first, n) == (plug ? 0 : n));
	if (w->fail)
		return -5;
	memset(w->model + first, plug, n);
	return 0;
}

static int on_plug(void *ctx, uint64_t gpa, uint64_t len)
{
	return change(ctx, gpa, len, true);
}

static int on_unplug(void *ctx, uint64_t gpa, uint64_t len)
{
	return change(ctx, gpa, len, false);
}

/* What the answer should be. The model itself is changed by the back end. */
static uint16_t expected(const struct world *w, uint16_t type, uint64_t gpa, uint64_t n)
{
	uint64_t first = (gpa - GPA) / BLOCK, all = count(w, 0, BLOCKS);
	bool good = gpa >= GPA && gpa % BLOCK == 0 && first < BLOCKS && n > 0 &&
		    n <= BLOCKS - first;

	if (type == 2)
		return w->fail && all > 0 ? BUSY : ACK;
	if (type > 3 || !good)
		return ERROR;
	if (type == 3)
		return ACK;
	if (count(w, first, n) != (type == 0 ? 0 : n))
		return ERROR;
	if (type == 0 && (all + n) * BLOCK > w->requested)
		return NACK;
	return w->fail ? BUSY : ACK;
}

static void request(struct world *w, uint16_t type, uint64_t gpa, uint16_t n, bool cut)
{
	uint8_t in[24] = { 0 };
	uint16_t want = expected(w, type, gpa, n), got;
	int64_t len;

	memcpy(in, &type, 2);
	memcpy(in + 8, &gpa, 8);
	memcpy(in + 16, &n, 2);
	dr_must(dr_add(&w->r, 0, in, cut ? 23 : 24, cut ? 99 : 10) >= 0);
	vmm_virtio_mem_run(w->d);
	len = dr_used(&w->r, 0);
	dr_must(len == (cut ? 0 : 10));
	memcpy(&got, dr_answer(&w->r, 0), 2);
	dr_must(cut || got == want);
}

static void check(struct world *w)
{
	struct vmm_virtio_mem_stats s = { .size = sizeof(s) };
	uint64_t words[2];

	vmm_virtio_mem_get_stats(w->d, &s);
	dr_must(s.plugged == count(w, 0, BLOCKS) * BLOCK);
	dr_must(dr_config64(&w->r, 40) == s.plugged);
	dr_must(vmm_virtio_mem_get_blocks(w->d, words, 2) == 2);
	for (uint32_t i = 0; i < BLOCKS; i++)
		dr_must((words[i / 64] >> (i % 64) & 1) == w->model[i]);
}

static struct vmm_virtio_mem *make(struct world *w)
{
	static const struct vmm_virtio_mem_backend backend = { sizeof(backend), on_plug,
							       on_unplug };
	struct vmm_virtio_mem_opts o = VMM_VIRTIO_MEM_OPTS_INIT;
	struct vmm_virtio_mem *d = NULL;

	o.wake = on_wake;
	o.ctx = w;
	o.backend = &backend;
	o.block_size = BLOCK;
	o.gpa = GPA;
	o.len = BLOCKS * BLOCK;
	dr_must(vmm_virtio_mem_new(&o, &d, NULL) == 0);
	return d;
}

/* Go on with another device that has the state of this one. */
static void move(struct world *w)
{
	struct vmm_virtio_mem *d = make(w);
	uint8_t state[1024];
	int64_t len;

	vmm_virtio_mmio_pause(w->r.mmio);
	len = vmm_virtio_mmio_save(w->r.mmio, state, sizeof(state));
	dr_must(len > 0 && len <= (int64_t)sizeof(state));
	dr_stop(&w->r);
	vmm_virtio_mem_free(w->d);
	w->d = d;
	dr_carry(&w->r, vmm_virtio_mem_get_device(d));
	dr_must(vmm_virtio_mmio_restore(w->r.mmio, state, (size_t)len, NULL) == 0);
	vmm_virtio_mmio_resume(w->r.mmio);
	dr_climb(&w->r, 1, 2);
}

static void step(struct world *w, const uint8_t p[6])
{
	uint64_t gpa = GPA + (p[1] | (uint64_t)p[2] << 8) * BLOCK + p[5] * 0x101010101ull;
	uint16_t n = (uint16_t)(p[3] | p[4] << 8);

	w->fail = p[0] & 8;
	switch (p[0] & 7) {
	case 4:
		request(w, n, gpa, p[1], false);
		break;
	case 5:
		w->requested = p[1] % (BLOCKS + 1) * BLOCK;
		dr_must(vmm_virtio_mem_set_requested(w->d, w->r.t, w->requested) == 0);
		break;
	case 6:
		request(w, p[1], gpa, n, true);
		break;
	case 7:
		move(w);
		break;
	default:
		request(w, p[0] & 3, gpa, n, false);
		break;
	}
	check(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	if (!w.r.m)
		dr_init(&w.r, 16);
	memset(w.model, 0, sizeof(w.model));
	w.requested = 0;
	w.d = make(&w);
	dr_carry(&w.r, vmm_virtio_mem_get_device(w.d));
	dr_climb(&w.r, 1, 2);
	for (size_t at = 0; at + 6 <= size && at < 600; at += 6)
		step(&w, data + at);
	dr_stop(&w.r);
	vmm_virtio_mem_free(w.d);
	return 0;
}

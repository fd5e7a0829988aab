/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An entropy device with a source and a driver that the input plays.
 *
 *   byte 0  bit 0: packed ring, 1: indirect, 2: a rate limit
 *   then steps: number of buffers (low 3 bits; 7: a broken one, bit 7: time passes), what
 *   the source gives, 3 bytes for each buffer: where in units of 8 bytes, length in units
 *   of 64, bit 0 writable
 *
 * It stops when the source is asked to write outside the guest's buffers or for more than
 * the cap, when a byte that is not in a writable buffer or behind what was reported
 * changes, when a chain is answered twice, or more is reported than was filled.
 */
#include <vmm/virtio-rng.h>

#include "../tests/device-rig.h"

enum { CAP = 4096, WINDOW = 0x8000 };

struct world {
	struct devrig r;
	struct vmm_virtio_rng *rng;
	struct vmm_virtio_rate *rate;
	uint64_t now, filled, asked;
	int64_t give;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_wake(void *ctx)
{
}

static void on_wake_after(void *ctx, uint64_t ns)
{
	dr_must(ns > 0);
}

static uint64_t on_now(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static int64_t fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t *low = mock_at(w->r.m, MOCK_BUFFERS);

	dr_must((uint8_t *)buf >= low && len <= WINDOW);
	dr_must((uint8_t *)buf + len <= low + WINDOW);
	if (w->give < 0)
		return w->give;
	if ((uint64_t)w->give < len)
		len = (size_t)w->give;
	memset(buf, 0xe7, len);
	w->filled += len;
	return (int64_t)len;
}

/* Each byte that changed was in a writable buffer. */
static void check_memory(struct world *w, const struct mock_seg *segs, uint32_t n)
{
	const uint8_t *at = mock_at(w->r.m, MOCK_BUFFERS);
	static uint8_t shadow[WINDOW];

	memset(shadow, 0, sizeof(shadow));
	for (uint32_t i = 0; i < n; i++)
		if (segs[i].write)
			memset(shadow + (segs[i].gpa - MOCK_BUFFERS), 1, segs[i].len);
	for (uint32_t i = 0; i < WINDOW; i++)
		dr_must(at[i] == 0x11 || shadow[i]);
}

static size_t step(struct world *w, const uint8_t *p, size_t size)
{
	struct mock_seg segs[7];
	uint32_t n = size ? p[0] & 7 : 0, id, len;
	bool bad = n == 7;
	int ret;

	if (n == 7)
		n = 2;
	if (size < 2 + 3 * (size_t)n)
		return 0;
	w->give = p[1] == 255 ? -5 : p[1] * 32;
	w->now += p[0] & 128 ? 300000000 : 0;
	for (uint32_t i = 0; i < n; i++) {
		segs[i].gpa = MOCK_BUFFERS + 8u * p[2 + 3 * i];
		segs[i].len = 64u * p[3 + 3 * i];
		segs[i].write = p[4 + 3 * i] & 1;
	}
	if (bad)
		segs[0].gpa += MOCK_HOLE;
	memset(mock_at(w->r.m, MOCK_BUFFERS), 0x11, WINDOW);
	if (n > 0)
		(void)mock_add(&w->r.q[0], segs, n, w->r.m->features & 1u << 28);
	w->filled = 0;
	vmm_virtio_rng_run(w->rng);
	if (!w->rate) {
		dr_must(w->filled <= CAP);
		check_memory(w, segs + bad, n - bad);
	}
	while ((ret = mock_get_used(&w->r.q[0], &id, &len)) == 0) {
		dr_must(len <= CAP && len <= w->filled);
		w->filled -= len;
	}
	dr_must(ret == -EAGAIN);
	return 2 + 3 * n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rate_config limit = VMM_VIRTIO_RATE_CONFIG_INIT;
	uint8_t mode = size ? data[0] : 0;
	size_t at = 1, n;

	if (!w.r.m)
		dr_init(&w.r, 16);
	w.rate = NULL;
	limit.bytes_per_s = 4096;
	limit.now = on_now;
	limit.now_ctx = &w;
	if (mode & 4)
		dr_must(vmm_virtio_rate_new(&limit, &w.rate, NULL) == 0);
	opts.wake = on_wake;
	opts.wake_after = on_wake_after;
	opts.fill = fill;
	opts.ctx = &w;
	opts.rate = w.rate;
	opts.request_max = CAP;
	opts.features = 1u << 28 | VMM_VIRTIO_F_RING_PACKED;
	dr_must(vmm_virtio_rng_new(&opts, &w.rng) == 0);
	dr_carry(&w.r, vmm_virtio_rng_get_device(w.rng));
	dr_climb(&w.r, 1,
		 (mode & 1 ? VMM_VIRTIO_F_RING_PACKED : 0) | (mode & 2 ? 1u << 28 : 0));
	for (int i = 0; i < 60 && at < size && (n = step(&w, data + at, size - at)) > 0;
	     i++)
		at += n;
	dr_stop(&w.r);
	vmm_virtio_rng_free(w.rng);
	vmm_virtio_rate_free(w.rate);
	return 0;
}

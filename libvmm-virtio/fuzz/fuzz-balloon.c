/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A balloon under a driver that the input plays.
 *
 *   byte 0  features, as in the specification; bit 7: indirect
 *   then steps: byte 0 what (low 4 bits) and queue (bits 4 to 6)
 *     0-5   a readable buffer: length (1 byte, times 4, or as it is with bit 7 of the
 *           next byte), then the bytes, for page numbers only 2 of each 4
 *     6-8   writable buffers: number, then 3 bytes each: where in units of 1 KiB (2),
 *           length in units of 512 bytes
 *     9     poll for statistics, 10 start hints, 11 end hints
 *     12    write 4 bytes of configuration, offset and value
 *     13    reset and start again, 14 save, and compare what a new one makes of it
 *
 * It stops when memory that is not the guest's to write is given back or not in whole
 * pages, a page that is in the balloon already is given back for going in, a chain is
 * answered twice or never, or the number of pages does not add up.
 */
#include <vmm/virtio-balloon.h>

#include "../tests/device-rig.h"
#include "device-state.h"

struct world {
	struct devrig r;
	struct vmm_virtio_balloon *b;
	uint64_t features;
	uint64_t discarded;
};

struct input {
	const uint8_t *at;
	size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void on_wake(void *ctx)
{
}

static int on_discard(void *ctx, uint64_t gpa, uint64_t len)
{
	struct world *w = ctx;

	dr_must(len > 0 && gpa % 4096 == 0 && len % 4096 == 0);
	dr_must(gpa < MOCK_RAM_LEN && len <= MOCK_RAM_LEN - gpa);
	w->discarded += len;
	return 0;
}

static void check_stats(struct world *w)
{
	struct vmm_virtio_balloon_stats s = { .size = sizeof(s) };

	vmm_virtio_balloon_get_stats(w->b, &s);
	dr_must(s.pages <= MOCK_RAM_LEN / 4096);
	dr_must(s.deflated <= s.inflated && s.pages <= s.inflated - s.deflated);
	dr_must(s.discarded_bytes == w->discarded);
	dr_must(s.discarded_bytes <=
		s.inflated * 4096 + s.reported_bytes + s.hinted_bytes);
	dr_must(s.hinting <= VMM_VIRTIO_BALLOON_HINT_COMPLETE);
}

static void collect(struct world *w)
{
	for (uint32_t q = 0; q < DR_QUEUES; q++) {
		while (dr_used(&w->r, q) >= 0)
			;
		/* The device may keep one buffer of statistics, and nothing else. */
		dr_must(w->r.q[q].free_n + (q == 2 ? 8 : 0) >= w->r.num);
	}
}

static void start(struct world *w)
{
	uint32_t mask = 3 | (w->features & 2 ? 4 : 0) | (w->features & 8 ? 8 : 0) |
			(w->features & 32 ? 16 : 0);

	dr_climb(&w->r, mask, w->features);
}

static bool has_queue(const struct world *w, uint32_t q)
{
	return q < 2 || (q == 2 && w->features & 2) || (q == 3 && w->features & 8) ||
	       (q == 4 && w->features & 32);
}

static void readable(struct world *w, uint32_t q, struct input *in)
{
	uint32_t len = take(in), odd = take(in) & 0x80;
	static uint8_t bytes[1024];

	len = odd ? len : len * 4;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = q < 2 && i % 4 > 1 ? 0 : (uint8_t)take(in);
	if (len > 0 && has_queue(w, q))
		(void)dr_add(&w->r, q, bytes, len, 0);
}

static void writable(struct world *w, uint32_t q, struct input *in)
{
	struct mock_seg segs[4];
	uint32_t n = take(in) % 5;

	for (uint32_t i = 0; i < n; i++) {
		segs[i].gpa = (uint64_t)(take(in) | take(in) << 8) * 1024;
		segs[i].len = take(in) * 512;
		segs[i].write = true;
	}
	if (n > 0 && has_queue(w, q))
		(void)mock_add(&w->r.q[q], segs, n, w->features & 1u << 28);
}

static void save_and_compare(struct world *w)
{
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct balloon_state s, t;
	struct vmm_virtio_balloon *b;
	uint64_t words[8], again[8];

	balloon_get_state(w->b, &s);
	dr_must(vmm_virtio_balloon_get_pages(w->b, words, 8) == 8);
	opts.wake = on_wake;
	opts.mem = w->r.m->mem;
	dr_must(vmm_virtio_balloon_new(&opts, &b, NULL) == 0);
	dr_must(balloon_set_state(b, &s, words) == 0);
	balloon_get_state(b, &t);
	dr_must(vmm_virtio_balloon_get_pages(b, again, 8) == 8);
	dr_must(memcmp(&s, &t, sizeof(s)) == 0);
	dr_must(memcmp(words, again, sizeof(words)) == 0);
	vmm_virtio_balloon_free(b);
}

static void step(struct world *w, struct input *in)
{
	uint32_t what = take(in), q = (what >> 4) % DR_QUEUES;

	switch (what & 15) {
	case 6:
	case 7:
	case 8:
		writable(w, q, in);
		break;
	case 9:
		(void)!vmm_virtio_balloon_poll_stats(w->b);
		break;
	case 10:
		(void)!vmm_virtio_balloon_start_hints(w->b);
		break;
	case 11:
		vmm_virtio_balloon_end_hints(w->b);
		break;
	case 12:
		what = take(in);
		dr_wr(&w->r, 0x100 + what % 20, take(in));
		break;
	case 13:
		start(w);
		break;
	case 14:
		save_and_compare(w);
		break;
	default:
		readable(w, q, in);
		break;
	}
	vmm_virtio_balloon_run(w->b);
	collect(w);
	check_stats(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct input in = { data, size };

	if (!w.r.m)
		dr_init(&w.r, 16);
	w.discarded = 0;
	w.features = take(&in);
	w.features = (w.features & 0x3f) | (w.features & 0x80 ? 1u << 28 : 0);
	opts.wake = on_wake;
	opts.discard = on_discard;
	opts.ctx = &w;
	opts.mem = w.r.m->mem;
	opts.features |= 0x3f;
	dr_must(vmm_virtio_balloon_new(&opts, &w.b, NULL) == 0);
	dr_carry(&w.r, vmm_virtio_balloon_get_device(w.b));
	start(&w);
	for (int i = 0; i < 100 && in.left > 0; i++)
		step(&w, &in);
	dr_stop(&w.r);
	vmm_virtio_balloon_free(w.b);
	return 0;
}

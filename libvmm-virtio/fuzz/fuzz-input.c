/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An input device with a user and a driver that the input plays.
 *
 *   byte 0  bit 0: packed ring
 *   then steps of 4 bytes: what, and three for it
 *     0  report: events (low 4 bits), their code, their value
 *     1  buffer of a queue: bit 0 which, bit 1 a broken one; length; bit 0 writable
 *     2  write of the configuration space: offset, value, width
 *     3  notification of a queue
 *     4  pause, save, restore what was saved with one byte changed into a second device
 *
 * It stops when a chain is answered twice or with more than 8 bytes, when an answer is not
 * an event that was sent, or when the configuration space contradicts itself.
 */
#include <vmm/virtio-input.h>

#include "../tests/device-rig.h"

enum { EVENTS = 0, STATUS = 1, KEY = 1, POWER = 116, STATE_MAX = 4096 };

struct world {
	struct devrig r;
	struct vmm_virtio_input *in;
	uint64_t statuses;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_status(void *ctx, const struct vmm_virtio_input_event *event)
{
	((struct world *)ctx)->statuses++;
}

static struct vmm_virtio_input *make(struct world *w)
{
	static const uint16_t keys[] = { POWER };
	static const struct vmm_virtio_input_codes codes = { KEY, 1, keys };
	struct vmm_virtio_input_opts opts = VMM_VIRTIO_INPUT_OPTS_INIT;
	struct vmm_virtio_input *in;

	opts.codes = &codes;
	opts.type_count = 1;
	opts.features = VMM_VIRTIO_F_RING_PACKED;
	opts.status = on_status;
	opts.ctx = w;
	dr_must(vmm_virtio_input_new(&opts, &in) == 0);
	return in;
}

static void report(struct world *w, const uint8_t *p)
{
	struct vmm_virtio_input_event events[15];
	uint32_t n = p[0] & 15;

	for (uint32_t i = 0; i < n; i++)
		events[i] = (struct vmm_virtio_input_event){ KEY, p[1], p[2] };
	(void)!vmm_virtio_input_send(w->in, events, n);
}

static void offer(struct world *w, const uint8_t *p)
{
	struct mock_seg seg = { DR_BUFFER(p[0] & 1), p[1], p[2] & 1 };

	if (p[0] & 2)
		seg.gpa += MOCK_HOLE;
	(void)!mock_add(&w->r.q[p[0] & 1], &seg, 1, false);
}

static void check_used(struct world *w, uint32_t queue)
{
	const uint8_t *at = mock_at(w->r.m, DR_BUFFER(queue));
	uint32_t id, len;
	int ret;

	while ((ret = mock_get_used(&w->r.q[queue], &id, &len)) == 0) {
		dr_must(len == 0 || (queue == EVENTS && len == 8));
		if (len == 8)
			dr_must((at[0] == KEY && at[2] == POWER) ||
				(at[0] == 0 && at[2] == 0));
	}
	dr_must(ret == -EAGAIN);
}

static void configure(struct world *w, const uint8_t *p)
{
	uint64_t value = p[1] * UINT64_C(0x0101010101010101);
	uint8_t size;

	vmm_virtio_mmio_write(w->r.mmio, 0x100 + p[0], &value, (size_t)1 << (p[2] & 3));
	vmm_virtio_mmio_read(w->r.mmio, 0x102, &size, 1);
	dr_must(size <= 128);
}

static void move(struct world *w, const uint8_t *p)
{
	static uint8_t state[STATE_MAX];
	struct world to = { .r = { .num = w->r.num, .m = w->r.m } };
	int64_t len;

	vmm_virtio_mmio_pause(w->r.mmio);
	len = vmm_virtio_mmio_save(w->r.mmio, state, sizeof(state));
	dr_must(len > 0 && len <= STATE_MAX);
	state[(p[0] | p[1] << 8) % len] ^= p[2];
	to.in = make(&to);
	dr_carry(&to.r, vmm_virtio_input_get_device(to.in));
	if (vmm_virtio_mmio_restore(to.r.mmio, state, (size_t)len, NULL) == 0)
		configure(&to, p);
	else
		dr_must(p[2] != 0);
	dr_stop(&to.r);
	vmm_virtio_input_free(to.in);
	vmm_virtio_mmio_resume(w->r.mmio);
}

static void step(struct world *w, const uint8_t *p)
{
	switch (p[0] % 5) {
	case 0:
		report(w, p + 1);
		break;
	case 1:
		offer(w, p + 1);
		break;
	case 2:
		configure(w, p + 1);
		break;
	case 3:
		dr_wr(&w->r, 0x50, p[1]);
		break;
	default:
		move(w, p + 1);
	}
	check_used(w, EVENTS);
	check_used(w, STATUS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	uint8_t mode = size ? data[0] : 0;

	if (!w.r.m)
		dr_init(&w.r, 16);
	w.in = make(&w);
	dr_carry(&w.r, vmm_virtio_input_get_device(w.in));
	dr_climb(&w.r, 3, mode & 1 ? VMM_VIRTIO_F_RING_PACKED : 0);
	for (size_t at = 1; at + 4 <= size && at < 400; at += 4)
		step(&w, data + at);
	dr_stop(&w.r);
	vmm_virtio_input_free(w.in);
	return 0;
}

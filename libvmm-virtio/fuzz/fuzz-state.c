/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A saved device, changed by the input, is restored into a new one.
 *
 *   byte 0  bits 0-1: balloon, memory, network, console; bit 2: packed ring, bit 3: no
 *           driver yet, bit 4: the device's part is what the input has behind the edits
 *   byte 1  number of edits, each 3 bytes: where (2), what is there now
 *
 * It stops when a state that nobody changed is refused, when a refusal leaves anything
 * behind, or when a device cannot be saved again as it was restored.
 */
#include <vmm/virtio-balloon.h>
#include <vmm/virtio-console.h>
#include <vmm/virtio-mem.h>
#include <vmm/virtio-net.h>

#include "../tests/device-rig.h"

#define STATE_MAX 8192u
#define GPA (UINT64_C(1) << 32)
/* Where the length of the device's part is, which is at the end. */
#define AT_LEN 8u
#define AT_DEVICE_LEN 80u

enum { BALLOON, MEMORY, NETWORK, CONSOLE };

struct place {
	struct devrig r;
	uint32_t type;
	struct vmm_virtio_balloon *balloon;
	struct vmm_virtio_mem *mem;
	struct vmm_virtio_net *net;
	struct vmm_virtio_console *console;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_wake(void *ctx)
{
}

static int on_blocks(void *ctx, uint64_t gpa, uint64_t len)
{
	return 0;
}

static int64_t on_transfer(void *ctx, uint32_t index, const struct iovec *iov, uint32_t n)
{
	return -EAGAIN;
}

static const struct vmm_virtio_device *make_memory(struct place *p)
{
	static const struct vmm_virtio_mem_backend blocks = { sizeof(blocks), on_blocks,
							      on_blocks };
	struct vmm_virtio_balloon_opts balloon = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct vmm_virtio_mem_opts mem = VMM_VIRTIO_MEM_OPTS_INIT;

	if (p->type == BALLOON) {
		balloon.wake = on_wake;
		balloon.mem = p->r.m->mem;
		balloon.features |= VMM_VIRTIO_F_RING_PACKED;
		dr_must(vmm_virtio_balloon_new(&balloon, &p->balloon, NULL) == 0);
		return vmm_virtio_balloon_get_device(p->balloon);
	}
	mem.wake = on_wake;
	mem.backend = &blocks;
	mem.block_size = 4096;
	mem.gpa = GPA;
	mem.len = UINT64_C(100) * 4096;
	mem.features |= VMM_VIRTIO_F_RING_PACKED;
	dr_must(vmm_virtio_mem_new(&mem, &p->mem, NULL) == 0);
	return vmm_virtio_mem_get_device(p->mem);
}

static const struct vmm_virtio_device *make(struct place *p)
{
	static const struct vmm_virtio_net_backend frames = { .size = sizeof(frames),
							      .send = on_transfer,
							      .recv = on_transfer };
	static const struct vmm_virtio_console_backend bytes = { .size = sizeof(bytes),
								 .send = on_transfer,
								 .recv = on_transfer };
	static const struct vmm_virtio_console_port ports[] = { { -1, -1, "a", true },
								{ -1, -1, "b", false } };
	struct vmm_virtio_console_opts console = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct vmm_virtio_net_opts net = VMM_VIRTIO_NET_OPTS_INIT;

	if (p->type == BALLOON || p->type == MEMORY)
		return make_memory(p);
	if (p->type == NETWORK) {
		net.kind = VMM_VIRTIO_NET_OTHER;
		net.backend = &frames;
		net.pair_n = 2;
		net.features |= VMM_VIRTIO_F_RING_PACKED;
		dr_must(vmm_virtio_net_new(&net, &p->net, NULL) == 0);
		return vmm_virtio_net_get_device(p->net);
	}
	console.backend = &bytes;
	console.ports = ports;
	console.port_n = 2;
	console.multiport = true;
	console.features |= VMM_VIRTIO_F_RING_PACKED;
	dr_must(vmm_virtio_console_new(&console, &p->console, NULL) == 0);
	return vmm_virtio_console_get_device(p->console);
}

static void open_place(struct place *p, uint32_t type)
{
	memset(p, 0, sizeof(*p));
	p->type = type;
	dr_init(&p->r, 16);
	dr_carry(&p->r, make(p));
}

static void close_place(struct place *p)
{
	dr_stop(&p->r);
	vmm_virtio_balloon_free(p->balloon);
	vmm_virtio_mem_free(p->mem);
	vmm_virtio_net_free(p->net);
	vmm_virtio_console_free(p->console);
	dr_fini(&p->r);
}

static void run(struct place *p)
{
	if (p->balloon)
		vmm_virtio_balloon_run(p->balloon);
	if (p->mem)
		vmm_virtio_mem_run(p->mem);
	for (uint32_t i = 0; p->net && i < 2; i++)
		vmm_virtio_net_run(p->net, i);
	if (p->console)
		vmm_virtio_console_run(p->console);
}

static size_t save(struct place *p, uint8_t *state)
{
	int64_t len;

	vmm_virtio_mmio_pause(p->r.mmio);
	len = vmm_virtio_mmio_save(p->r.mmio, state, STATE_MAX);
	dr_must(len > 0 && len <= (int64_t)STATE_MAX);
	return (size_t)len;
}

/* Returns whether anything is changed. */
static bool change(uint8_t *state, size_t *len, const uint8_t *data, size_t size)
{
	size_t edits = data[1], at = 2;
	bool changed = false;
	uint32_t device_len;

	for (; edits > 0 && at + 3 <= size; edits--, at += 3) {
		size_t where = (size_t)(data[at] | data[at + 1] << 8) % *len;

		changed |= state[where] != data[at + 2];
		state[where] = data[at + 2];
	}
	if ((data[0] & 16) && !changed && size - at < 4096) {
		uint32_t all;

		memcpy(&device_len, state + AT_DEVICE_LEN, 4);
		*len -= device_len;
		device_len = (uint32_t)(size - at);
		memcpy(state + *len, data + at, device_len);
		*len += device_len;
		all = (uint32_t)*len;
		memcpy(state + AT_DEVICE_LEN, &device_len, 4);
		memcpy(state + AT_LEN, &all, 4);
		changed = true;
	}
	return changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t features[] = { VMM_VIRTIO_BALLOON_F_STATS_VQ, 2,
					     UINT64_C(1) << 17 | UINT64_C(1) << 22, 3 };
	static const uint32_t masks[] = { 0x1f, 1, 0x1f, 0x1f };
	static uint8_t state[STATE_MAX], again[STATE_MAX];
	static struct place from, to;
	uint64_t packed;
	size_t len;
	bool changed;

	if (size < 2)
		return 0;
	packed = data[0] & 4 ? VMM_VIRTIO_F_RING_PACKED : 0;
	open_place(&from, data[0] & 3);
	open_place(&to, data[0] & 3);
	if (!(data[0] & 8)) {
		dr_climb(&from.r, masks[from.type], features[from.type] | packed);
		(void)dr_add(&from.r, 0, data, (uint32_t)(size < 64 ? size : 64), 64);
		run(&from);
	}
	len = save(&from, state);
	changed = change(state, &len, data, size);
	memcpy(to.r.m->ram, from.r.m->ram, MOCK_RAM_LEN);
	if (vmm_virtio_mmio_restore(to.r.mmio, state, len, NULL) == 0) {
		dr_must(save(&to, again) == len);
		vmm_virtio_mmio_resume(to.r.mmio);
		run(&to);
	} else {
		dr_must(changed && dr_rd(&to.r, 0x70) == 0);
	}
	/* Whatever became of it, the next driver finds it good. */
	vmm_virtio_mmio_resume(to.r.mmio);
	dr_climb(&to.r, masks[to.type], features[to.type]);
	run(&to);
	close_place(&from);
	close_place(&to);
	return 0;
}

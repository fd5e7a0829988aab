/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A stream of register accesses to a virtio-mmio device with two queues, whose device
 * answers each notification by giving everything back.
 *
 * Each operation is six bytes: what, register, 4 bytes of value. What: 0 write, 1 read,
 * 2 strange width or offset, 3 the device does something, 4 an address register gets a
 * good address, 5 a chain is offered, 6 FEATURES_OK and so on as a good driver would,
 * 7 the device is saved, the state perhaps changed, and restored beside it.
 *
 * It stops when a callback comes at a time when it must not, with features that were not
 * offered, or when the status takes a step that is not in the book.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio.h>

#include "../tests/mock-driver.h"

#define OFFERED                                                                       \
	(VMM_VIRTIO_F_EVENT_IDX | VMM_VIRTIO_F_INDIRECT_DESC |                        \
	 VMM_VIRTIO_F_RING_PACKED | VMM_VIRTIO_F_IN_ORDER | VMM_VIRTIO_F_RING_RESET | \
	 VMM_VIRTIO_F_NOTIFICATION_DATA | VMM_VIRTIO_F_VERSION_1)

struct world {
	struct mock *m;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_transport *t;
	struct vmm_virtq *const *queues;
	bool active, level, restoring;
	bool stopped[2];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static int on_activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct world *w = ctx;

	must(!w->active && a->queue_n == 2);
	must((a->features[0] & ~OFFERED) == 0 && a->features[1] == 0);
	must(a->features[0] & VMM_VIRTIO_F_VERSION_1);
	must(w->restoring || (vmm_virtio_transport_get_status(w->t) & 0xf) == 0xf);
	w->active = true;
	w->queues = a->queues;
	w->stopped[0] = false;
	w->stopped[1] = false;
	return 0;
}

static void on_reset(void *ctx)
{
	struct world *w = ctx;

	must(w->active && vmm_virtio_transport_get_status(w->t) == 0);
	w->active = false;
}

static void on_notify(void *ctx, uint32_t index)
{
	struct world *w = ctx;
	struct iovec iov[32];
	struct vmm_virtq_chain c = VMM_VIRTQ_CHAIN_INIT(iov);
	struct vmm_virtq *q = w->queues[index];
	int ret = 0;

	must(w->active && index < 2 && !w->stopped[index] && vmm_virtq_is_enabled(q));
	for (uint32_t i = 0; i < vmm_virtq_get_num(q) && ret != -EAGAIN; i++) {
		ret = vmm_virtq_pop(q, &c);
		must(ret != -ENOTCONN);
		if (ret == 0)
			must(vmm_virtq_add_used(q, c.token, 0) == 0);
		if (ret == -ENOTRECOVERABLE) {
			vmm_virtio_transport_needs_reset(w->t);
			return;
		}
	}
	if (vmm_virtq_needs_notification(q))
		vmm_virtio_transport_signal_queue(w->t, index);
	(void)vmm_virtq_enable_notification(q);
}

static void on_queue_reset(void *ctx, uint32_t index)
{
	struct world *w = ctx;

	must(w->active && !w->stopped[index]);
	w->stopped[index] = true;
}

static void on_queue_enable(void *ctx, uint32_t index)
{
	struct world *w = ctx;

	must(w->active && vmm_virtq_is_enabled(w->queues[index]));
	w->stopped[index] = false;
}

static void on_config(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	must(offset < 12 && len <= 12 - offset);
}

static void on_irq(void *ctx, bool level)
{
	((struct world *)ctx)->level = level;
}

static uint32_t rd(struct world *w, uint32_t reg)
{
	uint32_t value = 0;

	vmm_virtio_mmio_read(w->mmio, reg, &value, 4);
	return value;
}

static void wr(struct world *w, uint32_t reg, uint32_t value)
{
	uint32_t before = rd(w, 0x70), after;

	vmm_virtio_mmio_write(w->mmio, reg, &value, 4);
	after = rd(w, 0x70);
	/* Only zero takes bits away. */
	must((after & before) == before || (reg == 0x70 && value == 0 && after == 0));
	if (reg != 0x70)
		must(((after ^ before) & ~0x40u) == 0);
	must(!(after & 4) || (after & 0xb) == 0xb);
}

static void odd(struct world *w, const uint8_t *op)
{
	uint8_t data[16] = { 0 };
	uint64_t offset = op[1] | (uint64_t)op[2] << 8;
	size_t len = op[3] % (sizeof(data) + 1);

	if (op[4] & 1)
		offset = UINT64_MAX - op[1];
	if (op[4] & 2)
		vmm_virtio_mmio_write(w->mmio, offset, data, len);
	else
		vmm_virtio_mmio_read(w->mmio, offset, data, len);
}

static void device_acts(struct world *w, const uint8_t *op)
{
	switch (op[1] % 4) {
	case 0:
		vmm_virtio_transport_signal_queue(w->t, op[2]);
		break;
	case 1:
		must((vmm_virtio_transport_set_config(w->t, op[2], op + 3, op[3] % 3) ==
		      0) == (op[2] + op[3] % 3 <= 12));
		break;
	case 2:
		vmm_virtio_transport_needs_reset(w->t);
		break;
	default:
		must(vmm_virtio_mmio_set_mem(w->mmio, w->m->mem) == 0);
	}
}

static void good_address(struct world *w, const uint8_t *op)
{
	static const uint64_t at[] = { MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE };
	uint32_t part = op[1] % 3, reg = 0x80 + 0x10 * part;

	wr(w, reg, (uint32_t)(at[part] + 0x4000u * (op[2] % 3)));
	wr(w, reg + 4, 0);
}

static void offer(struct world *w, const uint8_t *op)
{
	struct mock_seg seg = { MOCK_BUFFERS + op[2], op[3], op[4] & 1 };

	(void)mock_add(w->m, &seg, 1, op[4] & 2);
}

static void climb(struct world *w)
{
	static const uint32_t next[16] = { [0] = 1, [1] = 3, [3] = 0xb, [0xb] = 0xf };
	uint32_t status = rd(w, 0x70);

	if (status == 3) {
		wr(w, 0x24, 1);
		wr(w, 0x20, 1);
	}
	if (status < 16)
		wr(w, 0x70, next[status]);
}

static void make(struct world *w)
{
	static const struct vmm_virtio_device_ops ops = {
		.size = sizeof(ops),
		.activate = on_activate,
		.reset = on_reset,
		.queue_notify = on_notify,
		.queue_reset = on_queue_reset,
		.queue_enable = on_queue_enable,
		.config_written = on_config,
	};
	static const uint16_t max[2] = { 16, 256 };
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device device = VMM_VIRTIO_DEVICE_INIT;

	opts.mem = w->m->mem;
	opts.set_irq = on_irq;
	opts.irq_ctx = w;
	device.id = 42;
	device.queue_n = 2;
	device.queue_max = max;
	device.features[0] = OFFERED;
	device.config = "configspace";
	device.config_writable = "\0\0\377\377\1\2\3\0\0\0\0";
	device.config_len = 12;
	device.ops = &ops;
	device.ctx = w;
	must(vmm_virtio_mmio_new(&opts, &device, &w->mmio, NULL) == 0);
	w->t = vmm_virtio_mmio_get_transport(w->mmio);
}

/* What was saved can be restored and looks the same; what was changed since is refused,
 * or good enough to go on with. */
static void save_and_restore(struct world *w, const uint8_t *op)
{
	struct world other = { .m = w->m, .restoring = true };
	uint8_t state[4096];
	uint32_t status;
	int64_t len;

	vmm_virtio_mmio_pause(w->mmio);
	len = vmm_virtio_mmio_save(w->mmio, state, sizeof(state));
	status = rd(w, 0x70);
	vmm_virtio_mmio_resume(w->mmio); /* may find a queue broken */
	must(len > 0 && len <= (int64_t)sizeof(state));
	if (op[1] & 1)
		state[(op[2] | op[3] << 8) % len] ^= op[4];
	make(&other);
	if (vmm_virtio_mmio_restore(other.mmio, state, (size_t)len, NULL) == 0) {
		other.restoring = false;
		if (!(op[1] & 1))
			must(status == rd(&other, 0x70));
		vmm_virtio_mmio_resume(other.mmio);
		climb(&other);
		offer(&other, op);
		wr(&other, 0x50, 0);
	} else {
		must((op[1] & 1) && !other.active && rd(&other, 0x70) == 0);
	}
	vmm_virtio_mmio_free(other.mmio);
	must(!other.active);
}

static void operate(struct world *w, const uint8_t *op)
{
	uint32_t value;

	memcpy(&value, op + 2, 4);
	switch (op[0] % 8) {
	case 0:
		wr(w, op[1] & ~3u, value);
		break;
	case 1:
		(void)rd(w, op[1] & ~3u);
		break;
	case 2:
		odd(w, op);
		break;
	case 3:
		device_acts(w, op);
		break;
	case 4:
		good_address(w, op);
		break;
	case 5:
		offer(w, op);
		break;
	case 7:
		save_and_restore(w, op);
		break;
	default:
		climb(w);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock *mock;
	struct world w = { .active = false };

	if (!mock)
		mock = mock_new(16, 0);
	must(mock);
	mock_reset(mock, 16, 0);
	w.m = mock;
	make(&w);
	for (size_t i = 0; i < 600 && i + 6 <= size; i += 6)
		operate(&w, data + i);
	must(w.level == (rd(&w, 0x60) != 0));
	vmm_virtio_mmio_free(w.mmio);
	must(!w.active);
	return 0;
}

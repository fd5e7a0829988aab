/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One operation is one frame between the driver's ring and a back end that does nothing
 * but count (out) or copy 60 bytes (in): pop, header, used entry, decision about the
 * interrupt. A call is a batch of 64, which the driver offers with two stores, through
 * vmm_virtio_net_run(). Frames a second is 10^9 over ns_per_op.
 *
 * The reference reads the same descriptors and headers, copies the same bytes, and writes
 * used entries, in a bare loop without a check.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio-net.h>

#include "vmm-bench.h"

enum { NUM = 256, BATCH = 64, FRAME = 60 };

#define MEM_LEN (UINT64_C(64) << 20)
#define RINGS 0x10000u
#define STRIDE 0x8000u
#define DRIVER 0x2000u
#define DEVICE 0x4000u
#define BUFFERS 0x100000u
#define F_MRG (1u << 15)

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct setup {
	struct vmm_mem *mem;
	uint8_t *ram;
	struct vmm_virtio_net *net;
	struct vmm_virtio_mmio *mmio;
	uint32_t features;
	uint16_t avail_idx[2], ref_idx;
	uint64_t sent, received, left, interrupts;
	uint8_t frame[12 + FRAME];
};

static int64_t on_send(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct setup *s = ctx;

	s->sent += iov[n - 1].iov_len == FRAME;
	return 0;
}

static int64_t on_recv(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct setup *s = ctx;

	if (s->left == 0)
		return -EAGAIN;
	s->left--;
	s->received++;
	memcpy(iov[0].iov_base, s->frame, 12);
	memcpy(iov[1].iov_base, s->frame + 12, FRAME);
	return 12 + FRAME;
}

static void on_irq(void *ctx, bool level)
{
	((struct setup *)ctx)->interrupts += level;
}

static uint16_t *driver(struct setup *s, uint32_t q)
{
	return (uint16_t *)(void *)(s->ram + RINGS + q * STRIDE + DRIVER);
}

static void fill(struct setup *s, uint32_t q)
{
	struct desc *d = (struct desc *)(void *)(s->ram + RINGS + q * STRIDE);

	for (uint32_t i = 0; i < NUM; i++) {
		uint64_t at = BUFFERS + (q * NUM + i) * 0x800u;

		d[i] = (struct desc){ at, q ? 12u + FRAME : 1536u, q ? 0 : 2, 0 };
		driver(s, q)[2 + i] = (uint16_t)i;
	}
}

/* The event index says: an interrupt for the last of the batch. */
static void offer(struct setup *s, uint32_t q)
{
	s->avail_idx[q] = (uint16_t)(s->avail_idx[q] + BATCH);
	driver(s, q)[2 + NUM] = (uint16_t)(s->avail_idx[q] - 1);
	__atomic_store_n(&driver(s, q)[1], s->avail_idx[q], __ATOMIC_RELEASE);
}

static void transmit(void *ctx, uint64_t n)
{
	struct setup *s = ctx;

	for (; n > 0; n--) {
		offer(s, 1);
		vmm_virtio_net_run(s->net, 0);
	}
}

static void receive(void *ctx, uint64_t n)
{
	struct setup *s = ctx;

	for (; n > 0; n--) {
		offer(s, 0);
		s->left = BATCH;
		vmm_virtio_net_run(s->net, 0);
	}
}

static void bare(struct setup *s, uint32_t q, uint64_t n)
{
	const struct desc *ring =
	    (const struct desc *)(const void *)(s->ram + RINGS + q * STRIDE);
	uint32_t *used = (uint32_t *)(void *)(s->ram + 0x80000 + 4);
	uint16_t *idx = (uint16_t *)(void *)(s->ram + 0x80000 + 2);

	for (; n > 0; n--) {
		for (uint32_t c = 0; c < BATCH; c++) {
			const struct desc *d = &ring[driver(s, q)[2 + c]];
			uint8_t header[12];

			if (q == 0) {
				memcpy(s->ram + d->addr, s->frame, sizeof(s->frame));
			} else {
				memcpy(header, s->ram + d->addr, sizeof(header));
				VMM_BENCH_KEEP(header[0] + d->len);
			}
			used[2 * (s->ref_idx % NUM)] = c;
			used[2 * (s->ref_idx % NUM) + 1] = q ? 0 : 12 + FRAME;
			__atomic_store_n(idx, ++s->ref_idx, __ATOMIC_RELEASE);
		}
	}
}

static void bare_transmit(void *ctx, uint64_t n)
{
	bare(ctx, 1, n);
}

static void bare_receive(void *ctx, uint64_t n)
{
	bare(ctx, 0, n);
}

static int make_mem(struct setup *s)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	int ret = vmm_mem_builder_new(&b);

	r.len = MEM_LEN;
	if (ret == 0)
		ret = vmm_mem_builder_add(b, &r, NULL);
	if (ret == 0)
		ret = vmm_mem_builder_build(b, &s->mem);
	if (ret == 0)
		ret = vmm_mem_get_region(s->mem, 0, &r);
	s->ram = r.host;
	return ret;
}

static void wr(struct setup *s, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(s->mmio, reg, &value, 4);
}

static int start_driver(struct setup *s)
{
	wr(s, 0x70, 1);
	wr(s, 0x70, 3);
	wr(s, 0x20, s->features | 1u << 29);
	wr(s, 0x24, 1);
	wr(s, 0x20, 1);
	wr(s, 0x70, 0xb);
	for (uint32_t q = 0; q < 2; q++) {
		fill(s, q);
		wr(s, 0x30, q);
		wr(s, 0x38, NUM);
		wr(s, 0x80, RINGS + q * STRIDE);
		wr(s, 0x90, RINGS + q * STRIDE + DRIVER);
		wr(s, 0xa0, RINGS + q * STRIDE + DEVICE);
		wr(s, 0x44, 1);
	}
	wr(s, 0x70, 0xf);
	return vmm_virtio_transport_get_status(vmm_virtio_mmio_get_transport(s->mmio)) ==
		       0xf
		   ? 0
		   : -1;
}

static int start(struct setup *s, uint32_t features)
{
	static const struct vmm_virtio_net_backend backend = {
		.size = sizeof(backend),
		.offloads = UINT64_MAX,
		.header = true,
		.send = on_send,
		.recv = on_recv,
	};
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	int ret = make_mem(s);

	if (ret < 0)
		return ret;
	s->features = features;
	opts.backend = &backend;
	opts.backend_ctx = s;
	opts.queue_max = NUM;
	ret = vmm_virtio_net_new(&opts, &s->net, NULL);
	if (ret < 0)
		return ret;
	mopts.mem = s->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = s;
	ret = vmm_virtio_mmio_new(&mopts, vmm_virtio_net_get_device(s->net), &s->mmio,
				  NULL);
	return ret < 0 ? ret : start_driver(s);
}

static int measure(const char *name, uint32_t features, vmm_bench_fn run,
		   vmm_bench_fn reference)
{
	struct setup s = { 0 };
	struct vmm_bench_case c = {
		.library = "virtio",
		.name = name,
		.run = run,
		.reference_name = "bare loop over descriptors and headers",
		.reference = reference,
		.ctx = &s,
		.ops = BATCH,
	};
	int ret = start(&s, features);

	if (ret == 0) {
		vmm_bench_run(&c);
		if ((s.sent == 0) == (s.received == 0) || s.interrupts == 0)
			ret = -1;
	}
	vmm_virtio_mmio_free(s.mmio);
	vmm_virtio_net_free(s.net);
	vmm_mem_free(s.mem);
	return ret;
}

int main(void)
{
	int ret = measure("net.tx60.ev1", 0, transmit, bare_transmit);

	if (ret == 0)
		ret = measure("net.rx60.ev1", 0, receive, bare_receive);
	if (ret == 0)
		ret = measure("net.rx60.mrg.ev1", F_MRG, receive, bare_receive);
	if (ret == 0)
		ret = measure("net.rx60.mrg.tso.ev1", F_MRG | 1u << 1 | 1u << 7, receive,
			      bare_receive);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

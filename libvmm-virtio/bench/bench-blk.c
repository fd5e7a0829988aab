/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One operation is one read of 4096 bytes in three descriptors: pop, parse, a back end
 * that does nothing, status byte, used entry, decision about the interrupt. A call is a
 * batch of 64, which the driver offers with two stores, through vmm_virtio_blk_run().
 *
 * The reference reads the same descriptors and headers, and writes status bytes and used
 * entries, in a bare loop without a check.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtio-blk.h>

#include "vmm-bench.h"

enum { NUM = 256, BATCH = 64 };

#define MEM_LEN (UINT64_C(64) << 20)
#define DESC 0x10000u
#define DRIVER 0x11000u
#define DEVICE 0x12000u
#define REF_DEVICE 0x22000u
#define REQUESTS 0x100000u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct setup {
	struct vmm_mem *mem;
	uint8_t *ram;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	uint16_t avail_idx, ref_idx;
	uint64_t completed, interrupts;
};

static int submit(void *ctx, struct vmm_virtio_blk_io *io)
{
	struct setup *s = ctx;

	s->completed += io->len == 4096;
	vmm_virtio_blk_complete(io, 0);
	return 0;
}

static void on_irq(void *ctx, bool level)
{
	((struct setup *)ctx)->interrupts += level;
}

static uint16_t *driver(struct setup *s)
{
	return (uint16_t *)(void *)(s->ram + DRIVER);
}

static void fill(struct setup *s)
{
	struct desc *d = (struct desc *)(void *)(s->ram + DESC);

	for (uint32_t c = 0; c < BATCH; c++) {
		uint64_t at = REQUESTS + c * 0x2000u, sector = c * 8u;
		struct desc three[3] = {
			{ at, 16, 1, (uint16_t)(3 * c + 1) },
			{ at + 0x1000, 4096, 3, (uint16_t)(3 * c + 2) },
			{ at + 0x10, 1, 2, 0 },
		};

		memcpy(&d[3 * c], three, sizeof(three));
		memcpy(s->ram + at + 8, &sector, sizeof(sector));
	}
	for (uint32_t i = 0; i < NUM; i++)
		driver(s)[2 + i] = (uint16_t)(i % BATCH * 3);
}

static void run(void *ctx, uint64_t n)
{
	struct setup *s = ctx;

	for (; n > 0; n--) {
		s->avail_idx = (uint16_t)(s->avail_idx + BATCH);
		driver(s)[2 + NUM] = (uint16_t)(s->avail_idx - 1);
		__atomic_store_n(&driver(s)[1], s->avail_idx, __ATOMIC_RELEASE);
		vmm_virtio_blk_run(s->blk, 0);
	}
}

static void bare(void *ctx, uint64_t n)
{
	struct setup *s = ctx;
	const struct desc *ring = (const struct desc *)(const void *)(s->ram + DESC);
	uint32_t *used = (uint32_t *)(void *)(s->ram + REF_DEVICE + 4);
	uint16_t *idx = (uint16_t *)(void *)(s->ram + REF_DEVICE + 2);

	for (; n > 0; n--) {
		for (uint32_t c = 0; c < BATCH; c++) {
			const struct desc *d = &ring[driver(s)[2 + c]];
			uint64_t sum, header[2];

			memcpy(header, s->ram + d[0].addr, sizeof(header));
			sum = header[0] + header[1] + d[1].addr + d[1].len;
			VMM_BENCH_KEEP(sum);
			s->ram[d[2].addr] = 0;
			used[2 * (s->ref_idx % NUM)] = c;
			used[2 * (s->ref_idx % NUM) + 1] = 4097;
			__atomic_store_n(idx, ++s->ref_idx, __ATOMIC_RELEASE);
		}
	}
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

static int start_driver(struct setup *s)
{
	static const uint32_t script[][2] = {
		{ 0x70, 1 },	  { 0x70, 3 },	    { 0x20, 1u << 29 }, { 0x24, 1 },
		{ 0x20, 1 },	  { 0x70, 0xb },    { 0x38, NUM },	{ 0x80, DESC },
		{ 0x90, DRIVER }, { 0xa0, DEVICE }, { 0x44, 1 },	{ 0x70, 0xf },
	};

	for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++)
		vmm_virtio_mmio_write(s->mmio, script[i][0], &script[i][1], 4);
	return vmm_virtio_transport_get_status(vmm_virtio_mmio_get_transport(s->mmio)) ==
		       0xf
		   ? 0
		   : -1;
}

static int start(struct setup *s)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend), submit,
							       NULL, NULL, NULL };
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	int ret = make_mem(s);

	if (ret < 0)
		return ret;
	fill(s);
	opts.backend = &backend;
	opts.backend_ctx = s;
	opts.capacity = 1u << 20;
	opts.queue_max = NUM;
	ret = vmm_virtio_blk_new(&opts, &s->blk, NULL);
	if (ret < 0)
		return ret;
	mopts.mem = s->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = s;
	ret = vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(s->blk), &s->mmio,
				  NULL);
	return ret < 0 ? ret : start_driver(s);
}

int main(void)
{
	struct setup s = { 0 };
	struct vmm_bench_case c = {
		.library = "virtio",
		.name = "blk.pop_parse_status_used.ev1",
		.run = run,
		.reference_name = "bare loop over descriptors and headers",
		.reference = bare,
		.ctx = &s,
		.ops = BATCH,
	};
	int ret = start(&s);

	if (ret == 0) {
		vmm_bench_run(&c);
		ret = s.completed > 0 && s.completed % BATCH == 0 && s.interrupts > 0
			  ? 0
			  : -1;
	}
	vmm_virtio_mmio_free(s.mmio);
	vmm_virtio_blk_free(s.blk);
	vmm_mem_free(s.mem);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One operation is one chain: pop it, walk its buffers, give it back, decide about the
 * notification. A call drains a batch that the driver made available with two stores,
 * the last, empty pop included. Queue size 256 in 64 MiB of memory in one region.
 *
 * The reference reads the same descriptors and writes the same used entries in a bare
 * loop without a check, a translation, a fence or a decision: the floor, not a queue.
 * A packed driver writes each descriptor anew; that is part of both times there. To
 * compare the two formats, the cases device.* take the time of the drain alone, after
 * drivers that write all descriptors anew for both.
 *
 * kick1: one chain at a time, with notifications switched off and on around the drain.
 * raw.load_u64.hot is the floor that tells machines apart (as in libvmm-memory's).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtq.h>

#include "vmm-bench.h"

#define MEM_LEN (UINT64_C(64) << 20)
#define NUM 256u
#define DESC 0x10000u
#define DRIVER 0x11000u
#define DEVICE 0x12000u
#define BUFFERS 0x100000u
#define BUFFER_LEN 0x1000u
#define TABLES 0x200000u

#define F_NEXT 1u
#define F_WRITE 2u
#define F_INDIRECT 4u
#define F_AVAIL 0x80u
#define F_USED 0x8000u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a;
	uint16_t b;
};

struct setup {
	struct vmm_mem *mem;
	uint8_t *ram;
	struct vmm_virtq *q;
	uint32_t len;	/* descriptors of a chain */
	uint32_t batch; /* chains */
	uint32_t slots; /* ring descriptors of a chain */
	bool indirect, packed;
	uint16_t avail_idx, used_idx;
	uint32_t slot; /* packed: where the driver writes */
	bool wrap;
	uint64_t notifications, chains;
	/* The reference has a ring of its own, this far away. */
	uint64_t base;
	struct setup *ref;
};

static struct desc *ring(struct setup *s)
{
	return (struct desc *)(void *)(s->ram + s->base + DESC);
}

static uint16_t *driver(struct setup *s)
{
	return (uint16_t *)(void *)(s->ram + s->base + DRIVER);
}

static uint16_t *device(struct setup *s)
{
	return (uint16_t *)(void *)(s->ram + s->base + DEVICE);
}

static uint16_t write_flag(const struct setup *s, uint32_t i)
{
	return i >= (s->len + 1) / 2 || s->len == 1 ? F_WRITE : 0;
}

static void fill_table(struct setup *s, uint32_t chain)
{
	struct desc *table =
	    (struct desc *)(void *)(s->ram + s->base + TABLES + chain * 256);

	for (uint32_t i = 0; i < s->len; i++) {
		uint16_t flags = (uint16_t)(write_flag(s, i) |
					    (i + 1 < s->len && !s->packed ? F_NEXT : 0));

		table[i].addr = BUFFERS + ((chain * s->len + i) % NUM) * BUFFER_LEN;
		table[i].len = BUFFER_LEN;
		table[i].a = s->packed ? 0 : flags;
		table[i].b = s->packed ? flags : (uint16_t)(i + 1);
	}
}

static uint16_t ring_flags(const struct setup *s, uint32_t i)
{
	if (s->indirect)
		return F_INDIRECT;
	return (uint16_t)(write_flag(s, i) | (i + 1 < s->len ? F_NEXT : 0));
}

static void fill(struct setup *s)
{
	for (uint32_t c = 0; c < s->batch; c++) {
		if (s->indirect)
			fill_table(s, c);
		for (uint32_t i = 0; i < s->slots; i++) {
			struct desc *d = &ring(s)[c * s->slots + i];

			d->addr = s->indirect ? s->base + TABLES + c * 256
					      : BUFFERS + (c * s->slots + i) * BUFFER_LEN;
			d->len = s->indirect ? 16 * s->len : BUFFER_LEN;
			d->a = ring_flags(s, i);
			d->b = (uint16_t)(c * s->slots + i + 1);
		}
	}
	for (uint32_t i = 0; i < NUM; i++)
		driver(s)[2 + i] = (uint16_t)(i % s->batch * s->slots);
}

/* The driver's part: two stores for a split ring; a packed one has no index, so that it
 * must write each chain's descriptors anew. */
static void offer(struct setup *s)
{
	if (!s->packed) {
		s->avail_idx = (uint16_t)(s->avail_idx + s->batch);
		driver(s)[2 + NUM] = (uint16_t)(s->avail_idx - 1);
		__atomic_store_n(&driver(s)[1], s->avail_idx, __ATOMIC_RELEASE);
		return;
	}
	for (uint32_t c = 0; c < s->batch; c++) {
		for (uint32_t i = 0; i < s->slots; i++) {
			struct desc *d = &ring(s)[s->slot];

			d->addr = s->indirect ? s->base + TABLES + c * 256
					      : BUFFERS + s->slot * BUFFER_LEN;
			d->len = s->indirect ? 16 * s->len : BUFFER_LEN;
			d->a = (uint16_t)c;
			__atomic_store_n(
			    &d->b,
			    (uint16_t)(ring_flags(s, i) | (s->wrap ? F_AVAIL : F_USED)),
			    __ATOMIC_RELEASE);
			if (++s->slot == NUM) {
				s->slot = 0;
				s->wrap = !s->wrap;
			}
		}
	}
}

static void drain(struct setup *s)
{
	struct iovec iov[NUM];
	struct vmm_virtq_chain chain = VMM_VIRTQ_CHAIN_INIT(iov);

	while (vmm_virtq_pop(s->q, &chain) == 0) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < chain.readable_n + chain.writable_n; i++)
			sum += (uintptr_t)iov[i].iov_base ^ iov[i].iov_len;
		VMM_BENCH_KEEP(sum);
		if (vmm_virtq_add_used(s->q, chain.token, (uint32_t)chain.writable_len) <
		    0)
			abort();
		s->notifications += vmm_virtq_needs_notification(s->q);
		s->chains++;
	}
}

static void run(void *ctx, uint64_t n)
{
	for (struct setup *s = ctx; n > 0; n--) {
		offer(s);
		drain(s);
	}
}

static void run_kick(void *ctx, uint64_t n)
{
	for (struct setup *s = ctx; n > 0; n--) {
		offer(s);
		do {
			vmm_virtq_disable_notification(s->q);
			drain(s);
		} while (vmm_virtq_enable_notification(s->q));
	}
}

/* Nanoseconds a chain, of the drains alone, in a round of some milliseconds. */
static double time_drains(struct setup *s)
{
	uint64_t took = 0, chains = s->chains, until = vmm_bench_round_ns();

	while (took < until) {
		uint64_t from;

		if (!s->packed)
			fill(s);
		offer(s);
		from = vmm_bench_now();
		drain(s);
		took += vmm_bench_now() - from;
	}
	return (double)took / (double)(s->chains - chains);
}

static uint64_t read_chain(const struct desc *d, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct desc copy = d[i];

		sum += copy.addr ^ copy.a;
		sum += copy.len;
	}
	return sum;
}

static void bare(void *ctx, uint64_t n)
{
	struct setup *s = ((struct setup *)ctx)->ref;
	uint32_t *used = (uint32_t *)(void *)(s->ram + s->base + DEVICE + 4);

	for (; n > 0; n--) {
		if (s->packed)
			offer(s);
		for (uint32_t c = 0; c < s->batch; c++) {
			uint32_t head = s->packed ? c * s->slots : driver(s)[2 + c];
			const struct desc *d = &ring(s)[head];
			uint64_t sum =
			    s->indirect
				? read_chain((const void *)(s->ram + d->addr), s->len)
				: read_chain(d, s->len);

			VMM_BENCH_KEEP(sum);
			used[2 * (s->used_idx % NUM)] = head;
			used[2 * (s->used_idx % NUM) + 1] = BUFFER_LEN;
			__atomic_store_n(&device(s)[1], ++s->used_idx, __ATOMIC_RELEASE);
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

static int start(struct setup *s, uint64_t features)
{
	struct vmm_virtq_config config = VMM_VIRTQ_CONFIG_INIT;
	int ret;

	memset(s->ram + s->base + DESC, 0, 0x10000);
	s->packed = features & VMM_VIRTIO_F_RING_PACKED;
	s->wrap = true;
	fill(s);
	config.features = features;
	config.desc = s->base + DESC;
	config.driver = s->base + DRIVER;
	config.device = s->base + DEVICE;
	config.num = NUM;
	ret = vmm_virtq_new(NUM, &s->q);
	return ret < 0 ? ret : vmm_virtq_enable(s->q, s->mem, &config, NULL);
}

struct one {
	const char *name;
	uint32_t len, batch;
	bool indirect;
	uint64_t features;
	bool kick;
};

#define EV VMM_VIRTIO_F_EVENT_IDX
#define IND VMM_VIRTIO_F_INDIRECT_DESC
#define PACKED VMM_VIRTIO_F_RING_PACKED

static const struct one cases[] = {
	{ "split.chain1.ev0", 1, 256, false, 0 },
	{ "split.chain3.ev0", 3, 64, false, 0 },
	{ "split.chain16.ev0", 16, 16, false, 0 },
	{ "split.indirect16.ev0", 16, 256, true, IND },
	{ "split.chain1.ev1", 1, 256, false, EV },
	{ "split.chain3.ev1", 3, 64, false, EV },
	{ "split.chain16.ev1", 16, 16, false, EV },
	{ "split.indirect16.ev1", 16, 256, true, EV | IND },
	{ "packed.chain1.ev0", 1, 256, false, PACKED },
	{ "packed.chain3.ev0", 3, 64, false, PACKED },
	{ "packed.chain16.ev0", 16, 16, false, PACKED },
	{ "packed.indirect16.ev0", 16, 256, true, PACKED | IND },
	{ "packed.chain3.ev1", 3, 64, false, PACKED | EV },
	{ "split.kick1_chain3.ev0", 3, 1, false, 0, true },
	{ "split.kick1_chain3.ev1", 3, 1, false, EV, true },
	{ "packed.kick1_chain3.ev0", 3, 1, false, PACKED, true },
};

/* Packed and split, by place in the list above. */
static const uint8_t pairs[][2] = { { 8, 0 }, { 9, 1 }, { 10, 2 }, { 11, 3 }, { 12, 5 } };

static int prepare(struct setup *s, const struct one *one, uint64_t base)
{
	s->base = base;
	s->len = one->len;
	s->batch = one->batch;
	s->indirect = one->indirect;
	s->slots = one->indirect ? 1 : one->len;
	return start(s, one->features);
}

/* The second case as the reference of the first, in turns. */
static int compare(const struct setup *mem, const struct one *mine, const struct one *ref)
{
	struct setup s = *mem, r = *mem;
	double times[2][VMM_BENCH_ROUNDS];

	if (prepare(&s, mine, 0) < 0 || prepare(&r, ref, 0x20000) < 0)
		return -1;
	for (int i = -1; i < VMM_BENCH_ROUNDS; i++) {
		times[0][i < 0 ? 0 : i] = time_drains(&s);
		times[1][i < 0 ? 0 : i] = time_drains(&r);
	}
	for (int i = 0; i < 2; i++)
		qsort(times[i], VMM_BENCH_ROUNDS, sizeof(times[i][0]), vmm_bench_compare);
	printf("{\"library\":\"virtio\",\"case\":\"device.%s\",\"ns_per_op\":%.3f,"
	       "\"min_ns_per_op\":%.3f,\"reference\":\"device.%s\",\"ratio\":%.3f}\n",
	       mine->name, times[0][VMM_BENCH_ROUNDS / 2], times[0][0], ref->name,
	       times[0][0] / times[1][0]);
	(void)fflush(stdout);
	vmm_virtq_free(s.q);
	vmm_virtq_free(r.q);
	return 0;
}

/* 4096 loads from 32 KiB, address and value hidden from the compiler. */
static uint64_t hide(uint64_t x)
{
	__asm__ volatile("" : : "r"(&x) : "memory");
	return x;
}

static uint32_t addresses[4096];

static void raw_load(void *ctx, uint64_t n)
{
	for (uint8_t *base = ctx; n > 0; n--) {
		for (uint32_t i = 0; i < 4096; i++) {
			const uint64_t *p =
			    (const void *)(hide((uintptr_t)base) + addresses[i]);

			(void)hide(*(const volatile uint64_t *)p);
		}
	}
}

static void floor_of_this_machine(const struct setup *base)
{
	struct vmm_bench_case c = { "virtio", "raw.load_u64.hot", raw_load, NULL,
				    NULL,     base->ram,	  4096 };

	for (uint32_t i = 0; i < 4096; i++)
		addresses[i] = (i * 2654435761u >> 8) % 4096 * 8;
	vmm_bench_run(&c);
}

static int measure(const struct setup *mem, const struct one *one)
{
	struct setup ref = *mem, s = *mem;
	struct vmm_bench_case c = {
		.library = "virtio",
		.name = one->name,
		.run = one->kick ? run_kick : run,
		.reference_name = "bare loop over the descriptors",
		.reference = bare,
		.ctx = &s,
		.ops = one->batch,
	};
	int ret = 0;

	s.ref = &ref;
	if (prepare(&ref, one, 0x20000) < 0 || prepare(&s, one, 0) < 0)
		return -1;
	vmm_bench_run(&c);
	if (s.chains == 0 || s.chains % one->batch != 0 || s.notifications == 0 ||
	    vmm_virtq_is_broken(s.q))
		ret = -1;
	vmm_virtq_free(s.q);
	vmm_virtq_free(ref.q);
	return ret;
}

int main(void)
{
	struct setup base = { 0 };
	int ret = make_mem(&base);

	for (size_t i = 0; ret == 0 && i < sizeof(cases) / sizeof(cases[0]); i++)
		ret = measure(&base, &cases[i]);
	for (size_t i = 0; ret == 0 && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		ret = compare(&base, &cases[pairs[i][0]], &cases[pairs[i][1]]);
	if (ret == 0)
		floor_of_this_machine(&base);
	vmm_mem_free(base.mem);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

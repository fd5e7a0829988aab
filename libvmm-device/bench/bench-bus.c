/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A 4-byte read of a random register of a random one of N devices, which fills a number
 * in. Devices of 4096 bytes side by side (mmio), the same scattered over 2^40 (sparse),
 * and of 16 ports (ports). The reference is what a VMM without a bus library writes: a
 * pthread mutex around a walk over a list of ranges.
 */
#include "vmm-bench.h"

#include <pthread.h>
#include <vmm/device.h>

enum { ADDRS = 4096, MOST = 256 };

struct bench {
	struct vmm_bus *bus;
	struct vmm_bus_reader *reader;
	uint64_t addrs[ADDRS];
	pthread_mutex_t lock;
	struct {
		uint64_t base, len;
	} list[MOST];
	unsigned count;
};

static void device_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	uint32_t value = (uint32_t)offset;

	memcpy(data, &value, len <= sizeof(value) ? len : sizeof(value));
}

static const struct vmm_bus_ops ops = { sizeof(ops), device_read, NULL };

static void with_reader(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	uint32_t value;

	for (uint64_t i = 0; i < n; i++) {
		(void)vmm_bus_reader_read(b->reader, b->addrs[i % ADDRS], &value, 4);
		VMM_BENCH_KEEP(value);
	}
}

static void plain(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	uint32_t value;

	for (uint64_t i = 0; i < n; i++) {
		(void)vmm_bus_read(b->bus, b->addrs[i % ADDRS], &value, 4);
		VMM_BENCH_KEEP(value);
	}
}

static void locked_list(void *ctx, uint64_t n)
{
	void (*volatile read)(void *, uint64_t, void *, size_t) = device_read;
	struct bench *b = ctx;
	uint32_t value;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t addr = b->addrs[i % ADDRS];

		(void)pthread_mutex_lock(&b->lock);
		for (unsigned k = 0; k < b->count; k++) {
			if (addr - b->list[k].base < b->list[k].len) {
				read(b, addr - b->list[k].base, &value, 4);
				break;
			}
		}
		(void)pthread_mutex_unlock(&b->lock);
		VMM_BENCH_KEEP(value);
	}
}

/* A device moves and moves back: two changes of the map, as for two BAR writes. */
static void move(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	uint64_t away = b->list[b->count - 1].base + 2 * b->list[0].len;

	for (uint64_t i = 0; i < n; i++) {
		if (vmm_bus_move(b->bus, b->list[0].base, away, b) < 0 ||
		    vmm_bus_move(b->bus, away, b->list[0].base, b) < 0)
			exit(1);
	}
}

static uint64_t place(const char *kind, unsigned i)
{
	if (kind[0] == 'p')
		return 0x1000 + 16u * i;
	if (kind[0] == 'm')
		return 0xd0000000 + UINT64_C(4096) * i;
	return (i * UINT64_C(0x9e3779b97f4a7c15) >> 24) & ~UINT64_C(0xfff);
}

static void run(struct bench *b, const char *kind, unsigned count)
{
	struct vmm_bench_case c = { .library = "device",
				    .reference_name = "mutex and list",
				    .reference = locked_list,
				    .ctx = b };
	uint64_t len = kind[0] == 'p' ? 16 : 4096, seed = 7;
	char name[64];

	b->count = count;
	if (vmm_bus_new(kind[0] == 'p' ? UINT16_MAX : UINT64_MAX, &b->bus) < 0 ||
	    vmm_bus_reader_new(b->bus, &b->reader) < 0)
		exit(1);
	for (unsigned i = 0; i < count; i++) {
		b->list[i].base = place(kind, i);
		b->list[i].len = len;
		if (vmm_bus_add(b->bus, b->list[i].base, len, &ops, b) < 0)
			exit(1);
	}
	for (unsigned i = 0; i < ADDRS; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		b->addrs[i] =
		    b->list[(seed >> 33) % count].base + ((seed >> 20) % (len / 4)) * 4;
	}

	c.name = name;
	(void)snprintf(name, sizeof(name), "%s_%u.reader", kind, count);
	c.run = with_reader;
	vmm_bench_run(&c);
	(void)snprintf(name, sizeof(name), "%s_%u.plain", kind, count);
	c.run = plain;
	vmm_bench_run(&c);
	if (kind[0] == 'm') {
		(void)snprintf(name, sizeof(name), "%s_%u.move", kind, count);
		c.run = move;
		c.ops = 2;
		c.reference = NULL;
		vmm_bench_run(&c);
	}
	vmm_bus_free(b->bus);
}

int main(void)
{
	static const char *const kinds[] = { "mmio", "sparse", "ports" };
	static const unsigned counts[] = { 4, 32, 256 };
	static struct bench b = { .lock = PTHREAD_MUTEX_INITIALIZER };

	for (size_t k = 0; k < 3; k++) {
		for (size_t i = 0; i < 3; i++)
			run(&b, kinds[k], counts[i]);
	}
	return 0;
}

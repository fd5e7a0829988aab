/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Random reads of 4 KiB with 32 in flight through a whole block device with the io_uring
 * engine: a mock driver fills the ring, the device reads, the driver collects. Beside it
 * fio with io_uring on the same file and with the same depth, in turns. One operation is
 * one read; the ratio is time over fio's time, so 1.11 is 0.9 of its reads per second.
 *
 * The driver and the device share one thread, as fio is one; "thread" is the device on a
 * thread of its own, which the driver wakes by doorbell and waits for by interrupt.
 *
 * $TMPDIR says where the file is. Exits with 77 when there is no fio or no io_uring.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vmm/virtio-blk.h>

#include "../tests/mock-driver.h"
#include "vmm-bench.h"

enum { NUM = 128, DEPTH = 32, BLOCK = 4096, ROUNDS = 5 };

#define FILE_LEN (UINT64_C(256) << 20)
#define HEADER(i) (MOCK_BUFFERS + 0x100 * (uint64_t)(i))
#define DATA(i) (MOCK_BUFFERS + 0x10000 + BLOCK * (uint64_t)(i))

struct setup {
	struct mock *m;
	struct vmm_virtio_blk *blk;
	struct vmm_virtio_mmio *mmio;
	/* Of the interrupt; -1 if the driver runs the device. */
	int irq;
	uint64_t random;
	int slot_of[NUM];
};

static void on_irq(void *ctx, bool level)
{
	struct setup *s = ctx;

	if (level && s->irq >= 0)
		(void)eventfd_write(s->irq, 1);
}

static uint64_t next_random(struct setup *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void wr(struct setup *s, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(s->mmio, reg, &value, 4);
}

static int start(struct setup *s, int fd, uint32_t threads)
{
	static const uint32_t script[][2] = {
		{ 0x70, 1 },
		{ 0x70, 3 },
		{ 0x20, 1u << 29 },
		{ 0x24, 1 },
		{ 0x20, 1 },
		{ 0x70, 0xb },
		{ 0x38, NUM },
		{ 0x80, (uint32_t)MOCK_DESC },
		{ 0x90, (uint32_t)MOCK_DRIVER },
		{ 0xa0, (uint32_t)MOCK_DEVICE },
		{ 0x44, 1 },
		{ 0x70, 0xf },
	};
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	int ret;

	opts.fd = fd;
	opts.engine = VMM_VIRTIO_BLK_ENGINE_URING;
	opts.threads = threads;
	ret = vmm_virtio_blk_new(&opts, &s->blk, NULL);
	if (ret < 0)
		return ret;
	s->m = mock_new(NUM, VMM_VIRTIO_F_EVENT_IDX);
	if (!s->m)
		return -ENOMEM;
	s->irq = threads ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	mopts.mem = s->m->mem;
	mopts.set_irq = on_irq;
	mopts.irq_ctx = s;
	ret = vmm_virtio_mmio_new(&mopts, vmm_virtio_blk_get_device(s->blk), &s->mmio,
				  NULL);
	for (size_t i = 0; ret == 0 && i < sizeof(script) / sizeof(script[0]); i++)
		wr(s, script[i][0], script[i][1]);
	return ret;
}

static void stop(struct setup *s)
{
	vmm_virtio_mmio_free(s->mmio);
	vmm_virtio_blk_free(s->blk);
	mock_free(s->m);
	if (s->irq >= 0)
		close(s->irq);
}

static void offer(struct setup *s, int slot)
{
	uint64_t sector = next_random(s) % (FILE_LEN / BLOCK) * (BLOCK / 512);
	struct mock_seg segs[3] = { { HEADER(slot), 16, false },
				    { DATA(slot), BLOCK, true },
				    { HEADER(slot) + 0x80, 1, true } };
	int head;

	memcpy(s->m->ram + HEADER(slot) + 8, &sector, 8);
	head = mock_add(s->m, segs, 3, false);
	if (head >= 0)
		s->slot_of[head] = slot;
}

/* Until something may be there to collect. */
static void kick_and_wait(struct setup *s, bool idle)
{
	struct pollfd p = { .fd = s->irq, .events = POLLIN };
	eventfd_t count;

	if (s->irq < 0) {
		p.fd = vmm_virtio_blk_get_fd(s->blk, 0);
		if (idle)
			(void)poll(&p, 1, -1);
		vmm_virtio_blk_run(s->blk, 0);
		return;
	}
	if (mock_should_kick(s->m))
		(void)eventfd_write(vmm_virtio_blk_get_doorbell(s->blk, 0), 1);
	mock_want_interrupt(s->m, 0);
	if (__atomic_load_n(&mock_raw_device(s->m)[1], __ATOMIC_ACQUIRE) ==
	    s->m->used_idx)
		(void)poll(&p, 1, 100);
	(void)eventfd_read(s->irq, &count);
}

/* Returns nanoseconds for one read, or a negative number. */
static double measure(int fd, uint32_t threads, uint64_t ns)
{
	struct setup s = { .random = vmm_bench_now() };
	uint64_t begin, now, done = 0, got = 1;
	uint32_t id, len;

	if (start(&s, fd, threads) < 0)
		return -1;
	begin = vmm_bench_now();
	now = begin;
	for (int i = 0; i < DEPTH; i++)
		offer(&s, i);
	while (now - begin < ns) {
		kick_and_wait(&s, got == 0);
		got = 0;
		for (; mock_get_used(s.m, &id, &len) == 0; got++) {
			int slot = s.slot_of[id];

			if (len != BLOCK + 1 || s.m->ram[HEADER(slot) + 0x80] != 0)
				return -1;
			offer(&s, slot);
		}
		done += got;
		now = vmm_bench_now();
	}
	stop(&s);
	return done > 0 ? (double)(now - begin) / (double)done : -1;
}

static double fio(const char *path, bool direct, uint64_t ns)
{
	char command[1024], line[256];
	double iops = -1;
	FILE *out;

	(void)snprintf(command, sizeof(command),
		       "fio --name=r --filename=%s --rw=randread --bs=4k --iodepth=32 "
		       "--ioengine=io_uring --direct=%d --time_based --runtime=%llums "
		       "--norandommap --randrepeat=0 --invalidate=0 --output-format=json "
		       "2>/dev/null",
		       path, direct, (unsigned long long)(ns / 1000000));
	out = popen(command, "re");
	while (out && fgets(line, sizeof(line), out)) {
		const char *at = strstr(line, "\"iops\" : ");

		/* The first one is that of the reads. */
		if (at && iops < 0)
			iops = strtod(at + 9, NULL);
	}
	if (out && pclose(out) != 0)
		return -1;
	return iops > 0 ? 1e9 / iops : -1;
}

static int compare(const char *path, const char *name, bool direct, uint32_t threads,
		   uint64_t ns)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
	double mine[ROUNDS], theirs[ROUNDS];

	if (fd < 0) {
		fprintf(stderr, "no O_DIRECT at %s: %s left out\n", path, name);
		return 0;
	}
	for (int i = 0; i < ROUNDS; i++) {
		mine[i] = measure(fd, threads, ns);
		theirs[i] = fio(path, direct, ns);
		if (mine[i] < 0 || theirs[i] < 0) {
			close(fd);
			return -1;
		}
	}
	close(fd);
	qsort(mine, ROUNDS, sizeof(mine[0]), vmm_bench_compare);
	qsort(theirs, ROUNDS, sizeof(theirs[0]), vmm_bench_compare);
	printf("{\"library\":\"virtio\",\"case\":\"%s\",\"ns_per_op\":%.1f,\"min_ns_per_"
	       "op\":"
	       "%.1f,\"reference\":\"fio, io_uring, depth 32\",\"ratio\":%.3f,"
	       "\"iops\":%.0f,\"reference_iops\":%.0f}\n",
	       name, mine[ROUNDS / 2], mine[0], mine[ROUNDS / 2] / theirs[ROUNDS / 2],
	       1e9 / mine[ROUNDS / 2], 1e9 / theirs[ROUNDS / 2]);
	(void)fflush(stdout);
	return 0;
}

static bool fill(int fd)
{
	static uint8_t block[1 << 20];
	uint64_t len = 0;

	memset(block, 0x5a, sizeof(block));
	while (len < FILE_LEN && write(fd, block, sizeof(block)) == sizeof(block))
		len += sizeof(block);
	return len == FILE_LEN && fsync(fd) == 0;
}

static bool has_uring(int fd)
{
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_blk *blk = NULL;
	int ret;

	opts.fd = fd;
	opts.engine = VMM_VIRTIO_BLK_ENGINE_URING;
	ret = vmm_virtio_blk_new(&opts, &blk, NULL);
	vmm_virtio_blk_free(blk);
	return ret == 0;
}

int main(void)
{
	const char *dir = getenv("TMPDIR"), *ms = getenv("VMM_BENCH_MS");
	/* A round is 100 of the usual ones: fio takes its time to start. */
	uint64_t ns = (ms ? strtoull(ms, NULL, 10) : 10) * UINT64_C(100000000);
	char path[256];
	int fd, ret = -1;

	if (system("fio --version >/dev/null 2>&1") != 0) {
		fprintf(stderr, "no fio (tools/deps bench): nothing to compare with\n");
		return 77;
	}
	(void)snprintf(path, sizeof(path), "%s/vmm-bench-XXXXXX", dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return EXIT_FAILURE;
	if (!has_uring(fd)) {
		fprintf(stderr, "no io_uring in this kernel or build\n");
		(void)unlink(path);
		return 77;
	}
	if (fill(fd)) {
		ret = compare(path, "blk.uring.randread4k.qd32.cached", false, 0, ns);
		if (ret == 0)
			ret = compare(path, "blk.uring.randread4k.qd32.direct", true, 0,
				      ns);
		if (ret == 0)
			ret = compare(path, "blk.uring.randread4k.qd32.cached.thread",
				      false, 1, ns);
		if (ret == 0)
			ret = compare(path, "blk.uring.randread4k.qd32.direct.thread",
				      true, 1, ns);
	}
	close(fd);
	(void)unlink(path);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

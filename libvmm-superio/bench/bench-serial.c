/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The UART: what a byte costs, and how many calls the host makes for many. */
#include "vmm-bench.h"

#include <fcntl.h>
#include <unistd.h>
#include <vmm/superio.h>

enum { MEBIBYTE = 1 << 20, BATCH = 32768 };

struct bench {
	struct vmm_sio_serial *s;
	uint8_t ring[65536];
	uint32_t head;
	uint64_t sum;
	uint64_t edges;
	uint64_t writes;
	uint64_t plain_writes;
	int fd;
	uint8_t fifo[64];
	uint32_t fifo_len, fifo_at;
};

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static void drain(struct bench *b)
{
	struct iovec v[2];
	size_t n, all = vmm_sio_serial_get_output(b->s, v, &n);

	for (size_t i = 0; i < n; i++)
		b->sum += *(uint8_t *)v[i].iov_base;
	vmm_sio_serial_output_done(b->s, all);
}

/* Device and register opaque per access, the byte not. */
static void thr_write(void *ctx, uint64_t n)
{
	struct bench *b = ctx;

	for (uint64_t i = 0; i < n; i++) {
		struct vmm_sio_serial *s = b->s;
		uint32_t offset = 0;

		__asm__ volatile("" : "+r"(s), "+r"(offset));
		vmm_sio_serial_write(s, (uint8_t)offset, pattern(i));
		if ((i & (BATCH - 1)) == BATCH - 1)
			drain(b);
	}
	drain(b);
}

/* The least that keeps bytes for later: a store into a ring. */
static void ring_store(void *ctx, uint64_t n)
{
	struct bench *b = ctx;

	for (uint64_t i = 0; i < n; i++) {
		uint8_t *ring = b->ring;
		uint32_t offset = 0;

		__asm__ volatile("" : "+r"(ring), "+r"(offset));
		if (offset == 0)
			ring[b->head++ & 65535] = pattern(i);
		VMM_BENCH_KEEP(ring);
	}
}

static void count_edges(void *ctx, bool level)
{
	((struct bench *)ctx)->edges += level;
}

/* Each byte answered by an interrupt and a read of IIR. */
static void thr_write_ack(void *ctx, uint64_t n)
{
	struct bench *b = ctx;

	vmm_sio_serial_write(b->s, 1, 2);
	for (uint64_t i = 0; i < n; i++) {
		vmm_sio_serial_write(b->s, 0, pattern(i));
		VMM_BENCH_KEEP((uint32_t)vmm_sio_serial_read(b->s, 2));
		if ((i & (BATCH - 1)) == BATCH - 1)
			drain(b);
	}
	drain(b);
	vmm_sio_serial_write(b->s, 1, 0);
}

static void rbr_read(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	uint8_t data[64];

	for (uint32_t i = 0; i < 64; i++)
		data[i] = pattern(i);
	for (uint64_t i = 0; i < n; i++) {
		if (vmm_sio_serial_receive(b->s, data, 64) != 64)
			abort();
		for (int k = 0; k < 64; k++)
			b->sum += vmm_sio_serial_read(b->s, 0);
	}
}

/* A copy in and 64 bytes out, one at a time. */
static void plain_fifo(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	uint8_t data[64];

	for (uint32_t i = 0; i < 64; i++)
		data[i] = pattern(i);
	for (uint64_t i = 0; i < n; i++) {
		memcpy(b->fifo, data, 64);
		b->fifo_len = 64;
		b->fifo_at = 0;
		while (b->fifo_at < b->fifo_len) {
			struct bench *p = b;

			__asm__ volatile("" : "+r"(p) : : "memory");
			p->sum += p->fifo[p->fifo_at++];
		}
	}
}

static void loopback(void *ctx, uint64_t n)
{
	struct bench *b = ctx;

	vmm_sio_serial_write(b->s, 4, 0x10);
	for (uint64_t i = 0; i < n; i++) {
		vmm_sio_serial_write(b->s, 0, pattern(i));
		b->sum += vmm_sio_serial_read(b->s, 0);
	}
	vmm_sio_serial_write(b->s, 4, 0x00);
}

/* To a file, as the glue does it: when woken, one writev for all there is. The event loop
 * is taken to come round every 256 bytes. */
static void to_fd(void *ctx, uint64_t n)
{
	struct bench *b = ctx;
	struct iovec v[2];
	size_t pieces;

	for (uint64_t i = 1; i <= n; i++) {
		vmm_sio_serial_write(b->s, 0, pattern(i));
		if (i % 256 != 0 && i != n)
			continue;
		if (vmm_sio_serial_get_output(b->s, v, &pieces) > 0) {
			ssize_t did = writev(b->fd, v, (int)pieces);

			b->writes++;
			vmm_sio_serial_output_done(b->s, did > 0 ? (size_t)did : 0);
		}
	}
}

static void byte_at_a_time(void *ctx, uint64_t n)
{
	struct bench *b = ctx;

	for (uint64_t i = 1; i <= n; i++) {
		uint8_t byte = pattern(i);

		b->plain_writes++;
		if (write(b->fd, &byte, 1) != 1)
			abort();
	}
}

/* Write calls for one mebibyte, against a device that writes each byte. */
static void count_calls(struct bench *b)
{
	b->writes = b->plain_writes = 0;
	to_fd(b, MEBIBYTE);
	byte_at_a_time(b, MEBIBYTE);
	printf("{\"library\":\"superio\",\"case\":\"serial.thr_write.fd.calls_per_mib\","
	       "\"calls\":%llu,\"reference\":\"byte at a time: %llu "
	       "calls\",\"ratio\":%.6f}\n",
	       (unsigned long long)b->writes, (unsigned long long)b->plain_writes,
	       (double)b->writes / (double)b->plain_writes);
}

int main(void)
{
	static struct bench b;
	struct vmm_sio_serial_ops ops = VMM_SIO_SERIAL_OPS_INIT;
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	const struct vmm_bench_case cases[] = {
		{ "superio", "serial.thr_write.ring", thr_write, "ring store", ring_store,
		  &b, 1 },
		{ "superio", "serial.thr_write.thri_ack", thr_write_ack, "ring store",
		  ring_store, &b, 1 },
		{ "superio", "serial.rbr_read.64", rbr_read, "plain fifo", plain_fifo, &b,
		  64 },
		{ "superio", "serial.loopback_write_read", loopback, "ring store",
		  ring_store, &b, 1 },
		{ "superio", "serial.thr_write.fd", to_fd, "write(2) per byte",
		  byte_at_a_time, &b, 1 },
	};

	ops.set_irq = count_edges;
	opts.ops = &ops;
	opts.ctx = &b;
	b.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (b.fd < 0 || vmm_sio_serial_new(&opts, &b.s) < 0)
		return 1;
	vmm_sio_serial_write(b.s, 2, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		vmm_bench_run(&cases[i]);
	count_calls(&b);
	vmm_sio_serial_free(b.s);
	(void)close(b.fd);
	return 0;
}

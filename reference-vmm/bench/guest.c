/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only process of a benchmark's guest. It says "bench up" first of all, then does what
 * bench=WHAT on the kernel command line says, and prints
 *
 *   result CASE NS OPS BYTES   for each case of `blk` or `net`
 *   failed WHAT                for what did not work, instead
 *   bench done
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tcp.h"

enum {
	BLOCK = 4096,
	DEPTH = 16,
	RANDOM_OPS = 1200,
	LARGE = 1 << 20,
	LARGE_DEPTH = 4,
	LARGE_OPS = 48,
	CMDLINE_MAX = 4096,
};

#define UP "bench up\n"

static int64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void failed(const char *what)
{
	printf("failed %s: %s\n", what, strerror(errno));
}

static void result(const char *name, int64_t ns, long long ops, long long bytes)
{
	printf("result %s %lld %lld %lld\n", name, (long long)ns, ops, bytes);
}

/* What the initramfs has, in the order that /modules/order says. */
static void load_modules(void)
{
	FILE *order = fopen("/modules/order", "re");
	char name[128], path[160];

	while (order && fscanf(order, "%127s", name) == 1) {
		int fd;

		(void)snprintf(path, sizeof(path), "/modules/%s.ko", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			failed(path);
		if (fd >= 0)
			(void)close(fd);
	}
	if (order)
		(void)fclose(order);
}

/* Disks: Linux AIO on the block device, past the guest's page cache. */

struct job {
	const char *name;
	bool write, random;
	uint32_t len, depth, ops;
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct disk {
	int fd;
	uint64_t size, seed, next;
	aio_context_t aio;
	uint8_t *buffers;
};

static int submit(struct disk *disk, const struct job *job, struct iocb *one)
{
	uint64_t places = disk->size / job->len;

	one->aio_offset = (__s64)((job->random ? next_random(&disk->seed) % places
					       : disk->next++ % places) *
				  job->len);
	return syscall(SYS_io_submit, disk->aio, 1L, &one) == 1 ? 0 : -1;
}

static int run_job(struct disk *disk, const struct job *job)
{
	struct iocb slots[DEPTH] = { 0 };
	struct io_event events[DEPTH];
	uint32_t started = 0, finished = 0;

	for (; started < job->depth; started++) {
		slots[started].aio_fildes = (__u32)disk->fd;
		slots[started].aio_lio_opcode =
		    job->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		slots[started].aio_buf =
		    (uintptr_t)(disk->buffers + (size_t)started * job->len);
		slots[started].aio_nbytes = job->len;
		if (submit(disk, job, &slots[started]) < 0)
			return -1;
	}
	while (finished < job->ops) {
		long n =
		    syscall(SYS_io_getevents, disk->aio, 1L, (long)DEPTH, events, NULL);

		for (long i = 0; i < n; i++) {
			if (events[i].res != job->len) {
				errno = EIO;
				return -1;
			}
			finished++;
			if (started >= job->ops)
				continue;
			started++;
			if (submit(disk, job, (struct iocb *)(uintptr_t)events[i].obj) <
			    0)
				return -1;
		}
		if (n <= 0)
			return -1;
	}
	return 0;
}

static void bench_blk(void)
{
	static const struct job jobs[] = {
		{ "warm", true, false, LARGE, LARGE_DEPTH, LARGE_OPS },
		{ "randread", false, true, BLOCK, DEPTH, RANDOM_OPS },
		{ "randwrite", true, true, BLOCK, DEPTH, RANDOM_OPS },
		{ "randread1", false, true, BLOCK, 1, RANDOM_OPS / 4 },
		{ "read", false, false, LARGE, LARGE_DEPTH, LARGE_OPS },
		{ "write", true, false, LARGE, LARGE_DEPTH, LARGE_OPS },
	};
	struct disk disk = { .fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC) };

	disk.buffers = aligned_alloc(BLOCK, (size_t)LARGE * LARGE_DEPTH);
	if (disk.fd < 0 || !disk.buffers ||
	    syscall(SYS_io_setup, (long)DEPTH, &disk.aio) < 0) {
		failed("disk");
		return;
	}
	memset(disk.buffers, 0x5a, (size_t)LARGE * LARGE_DEPTH);
	disk.size = (uint64_t)lseek(disk.fd, 0, SEEK_END);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		int64_t start = now();

		disk.next = 0;
		if (run_job(&disk, &jobs[i]) < 0)
			failed(jobs[i].name);
		else
			result(jobs[i].name, now() - start, jobs[i].ops,
			       (long long)jobs[i].ops * jobs[i].len);
	}
}

/* The network: TCP with the host's end of the TAP interface. */

static int set_up_interface(void)
{
	struct ifreq ifr = { .ifr_name = "eth0" };
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = -1;

	(void)inet_pton(AF_INET, TCP_GUEST, &address.sin_addr);
	memcpy(&ifr.ifr_addr, &address, sizeof(address));
	if (fd >= 0 && ioctl(fd, SIOCSIFADDR, &ifr) == 0) {
		(void)inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
		memcpy(&ifr.ifr_netmask, &address, sizeof(address));
		ret = ioctl(fd, SIOCSIFNETMASK, &ifr);
		if (ret == 0)
			ret = ioctl(fd, SIOCGIFFLAGS, &ifr);
		ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
		if (ret == 0)
			ret = ioctl(fd, SIOCSIFFLAGS, &ifr);
	}
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

static void bench_net(void)
{
	static const struct {
		const char *name;
		char what;
		long long ops;
	} jobs[] = {
		{ "warm", TCP_TURNS, 50 },
		{ "send", TCP_SEND, TCP_BYTES / TCP_CHUNK },
		{ "receive", TCP_RECEIVE, TCP_BYTES / TCP_CHUNK },
		{ "turns", TCP_TURNS, TCP_TURNS_N },
	};

	if (set_up_interface() < 0) {
		failed("eth0");
		return;
	}
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		int64_t start;
		int fd = tcp_connect();

		start = now();
		if (fd < 0 || tcp_ask(fd, jobs[i].what, jobs[i].ops) < 0)
			failed(jobs[i].name);
		else
			result(jobs[i].name, now() - start, jobs[i].ops,
			       jobs[i].what == TCP_TURNS ? jobs[i].ops
							 : jobs[i].ops * TCP_CHUNK);
		if (fd >= 0)
			(void)close(fd);
	}
}

int main(void)
{
	static char cmdline[CMDLINE_MAX];
	int fd;

	(void)!write(STDOUT_FILENO, UP, sizeof(UP) - 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	(void)mkdir("/proc", 0755);
	(void)mkdir("/dev", 0755);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, cmdline, sizeof(cmdline) - 1) > 0) {
		bool blk = strstr(cmdline, "bench=blk"),
		     net = strstr(cmdline, "bench=net");

		if (blk || net)
			load_modules();
		if (blk)
			bench_blk();
		if (net)
			bench_net();
	}
	puts("bench done");
	for (;;)
		(void)pause();
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Each device is paused, saved, restored over a copy of its memory, and goes on there. */
#include "virtio-test.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vmm/virtio-rng.h>

#include "device-state.h"
#include "vsock-rig.h"

#define PACKED VMM_VIRTIO_F_RING_PACKED
#define STATE_MAX 16384u
#define BLOCK 0x1000u
#define GPA (UINT64_C(1) << 32)
#define BLOCKS 70u

struct place {
	struct devrig r;
	const struct type *type;
	void *device;
	/* Where output goes to: our end of a socket; or a file. Shared by both places. */
	int peer;
	/* How often it worked. */
	uint32_t works;
	char path[96];
};

/* A type of device, and how it is brought up and made to work. */
struct type {
	const char *name;
	void *(*make)(struct place *p, int fd);
	const struct vmm_virtio_device *(*get_device)(void *device);
	void (*free)(void *device);
	/* NULL: it has a thread. */
	void (*run)(void *device);
	/* -1: none. */
	int (*get_doorbell)(void *device, uint32_t queue);
	/* Offers something on queue `busy`, and says whether it was done well. */
	void (*offer)(struct place *p);
	void (*check)(struct place *p);
	/* What else there is to know, in the state. */
	void (*prepare)(struct place *p);
	/* What a driver has to do after a restore before it can work on. */
	void (*come_back)(struct place *p);
	/* Says that the device knows what was saved, beyond what is checked for all. */
	void (*expect)(struct place *p);
	uint32_t queues, busy;
	uint64_t features;
	/* The state that is saved anew is another one. */
	bool changes;
};

static void on_wake(void *ctx)
{
}

static void notify(struct place *p, uint32_t queue)
{
	dr_wr(&p->r, 0x50, queue);
	if (p->type->run)
		p->type->run(p->device);
}

/* The length of the next used chain, which must come. */
static uint32_t await(struct place *p, uint32_t queue)
{
	for (int patience = 0; patience < 5000; patience++) {
		int64_t len = dr_used(&p->r, queue);

		if (len >= 0)
			return (uint32_t)len;
		(void)usleep(1000);
	}
	fail_msg("%s: a chain did not come back", p->type->name);
	return 0;
}

static void work(struct place *p)
{
	p->type->offer(p);
	notify(p, p->type->busy);
	p->type->check(p);
	p->works++;
}

/* Block: writes sectors with its number, and leaves its cache off. */
static void *blk_make(struct place *p, int fd)
{
	struct vmm_virtio_blk_opts o = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_blk *blk = NULL;

	o.fd = fd;
	o.threads = 1;
	o.engine = VMM_VIRTIO_BLK_ENGINE_THREADS;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_blk_new(&o, &blk, NULL), 0);
	return blk;
}

static void blk_prepare(struct place *p)
{
	assert_int_equal(vmm_virtio_blk_set_capacity(p->device, p->r.t, 16 * 512), 0);
	vmm_virtio_mmio_write(p->r.mmio, 0x120, "\0", 1);
}

static void blk_expect(struct place *p)
{
	struct blk_state s;

	assert_int_equal(dr_rd(&p->r, 0x100), 16);
	assert_int_equal(dr_rd(&p->r, 0x120) & 0xff, 0);
	blk_get_state(p->device, &s);
	assert_int_equal(s.sectors, 16);
	assert_int_equal(s.writeback, 0);
}

static void blk_offer(struct place *p)
{
	uint8_t request[16 + 512] = { 1 };

	request[8] = (uint8_t)(p->works % 16);
	memset(request + 16, (int)p->works + 1, 512);
	*(uint8_t *)dr_answer(&p->r, 0) = 0xff;
	assert_true(dr_add(&p->r, 0, request, sizeof(request), 1) >= 0);
}

static void blk_check(struct place *p)
{
	uint8_t sector[512];

	assert_int_equal(await(p, 0), 1);
	assert_int_equal(*(uint8_t *)dr_answer(&p->r, 0), 0);
	assert_int_equal(pread(p->peer, sector, 512, p->works % 16 * 512), 512);
	assert_int_equal(sector[0], p->works + 1);
}

/* Network: sends frames. */
static void *net_make(struct place *p, int fd)
{
	struct vmm_virtio_net_opts o = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net *net = NULL;

	o.kind = VMM_VIRTIO_NET_DATAGRAM;
	o.fds = &fd;
	o.threads = 1;
	o.mac[0] = 2;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_net_new(&o, &net, NULL), 0);
	return net;
}

/* The driver leaves the promiscuous mode, and the VMM takes the cable. */
static void net_prepare(struct place *p)
{
	assert_true(dr_add(&p->r, 2, "\0\0\0", 3, 1) >= 0);
	notify(p, 2);
	assert_int_equal(await(p, 2), 1);
	assert_int_equal(vmm_virtio_net_set_link(p->device, p->r.t, false), 0);
	assert_int_equal(vmm_virtio_net_set_link(p->device, p->r.t, true), 0);
}

static void net_expect(struct place *p)
{
	struct net_state s;

	net_get_state(p->device, &s);
	assert_int_equal(s.rx_mode, 0);
	assert_int_equal(s.status, 1);
}

static void net_offer(struct place *p)
{
	uint8_t frame[12 + 64] = { 0 };

	memset(frame + 12, (int)p->works + 1, 64);
	assert_true(dr_add(&p->r, 1, frame, sizeof(frame), 0) >= 0);
}

static void net_check(struct place *p)
{
	uint8_t frame[128];

	assert_int_equal(recv(p->peer, frame, sizeof(frame), 0), 64);
	assert_int_equal(frame[0], p->works + 1);
	assert_int_equal(await(p, 1), 0);
}

/* Console: prints. */
static void *console_make(struct place *p, int fd)
{
	struct vmm_virtio_console_port port = { fd, fd, NULL, true };
	struct vmm_virtio_console_opts o = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct vmm_virtio_console *c = NULL;

	o.ports = &port;
	o.port_n = 1;
	o.thread = true;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_console_new(&o, &c, NULL), 0);
	return c;
}

static void console_prepare(struct place *p)
{
	char c = 0;

	assert_int_equal(vmm_virtio_console_set_size(p->device, p->r.t, 100, 40), 0);
	vmm_virtio_mmio_write(p->r.mmio, 0x108, "!\0\0\0", 4);
	assert_int_equal(recv(p->peer, &c, 1, 0), 1);
	assert_int_equal(c, '!');
}

static void console_expect(struct place *p)
{
	struct console_state s;
	char c;

	console_get_state(p->device, &s);
	assert_int_equal(s.cols, 100);
	assert_int_equal(s.rows, 40);
	assert_int_equal(dr_rd(&p->r, 0x100), 100 | 40 << 16);
	/* What went in an emergency does not go again. */
	assert_int_equal(recv(p->peer, &c, 1, MSG_DONTWAIT), -1);
}

static void console_offer(struct place *p)
{
	uint8_t byte = (uint8_t)('a' + p->works);

	assert_true(dr_add(&p->r, 1, &byte, 1, 0) >= 0);
}

static void console_check(struct place *p)
{
	uint8_t byte;

	assert_int_equal(recv(p->peer, &byte, 1, 0), 1);
	assert_int_equal(byte, 'a' + p->works);
	assert_int_equal(await(p, 1), 0);
}

/* Balloon: takes a page each time; its statistics are always out. */
static void *balloon_make(struct place *p, int fd)
{
	struct vmm_virtio_balloon_opts o = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct vmm_virtio_balloon *b = NULL;

	o.wake = p->type->run ? on_wake : NULL;
	o.thread = !p->type->run;
	o.mem = p->r.m->mem;
	o.features |= PACKED | VMM_VIRTIO_BALLOON_F_STATS_VQ;
	assert_int_equal(vmm_virtio_balloon_new(&o, &b, NULL), 0);
	return b;
}

static void balloon_prepare(struct place *p)
{
	assert_int_equal(vmm_virtio_balloon_set_target(p->device, p->r.t, 9), 0);
	dr_wr(&p->r, 0x104, 4);
	assert_true(dr_add(&p->r, 2, "\1\0\7\0\0\0\0\0\0", 10, 0) >= 0);
	notify(p, 2);
	assert_int_equal(dr_used(&p->r, 2), -EAGAIN);
}

static void balloon_expect(struct place *p)
{
	struct vmm_virtio_balloon_stats s = { .size = sizeof(s) };

	assert_int_equal(dr_rd(&p->r, 0x100), 9);
	assert_int_equal(dr_rd(&p->r, 0x104), 4);
	vmm_virtio_balloon_get_stats(p->device, &s);
	assert_int_equal(s.actual, 4);
	assert_int_equal(s.pages, p->works);
}

/* The statistics are read again where the driver is, and asked for. */
static void balloon_come_back(struct place *p)
{
	struct vmm_virtio_balloon_guest g = { .size = sizeof(g) };

	if (p->type->run)
		p->type->run(p->device);
	for (int patience = 0; g.updates == 0 && patience < 5000; patience++) {
		vmm_virtio_balloon_get_guest(p->device, &g);
		(void)usleep(p->type->run ? 0 : 1000);
	}
	assert_int_equal(g.values[1], 7);
	assert_int_equal(vmm_virtio_balloon_poll_stats(p->device), 0);
	assert_int_equal(dr_used(&p->r, 2), 0);
}

static void balloon_offer(struct place *p)
{
	uint32_t pfn = 0x180 + p->works;

	assert_true(dr_add(&p->r, 0, &pfn, 4, 0) >= 0);
}

static void balloon_check(struct place *p)
{
	struct vmm_virtio_balloon_stats s = { .size = sizeof(s) };

	assert_int_equal(await(p, 0), 0);
	vmm_virtio_balloon_get_stats(p->device, &s);
	assert_int_equal(s.pages, p->works + 1);
}

/* Entropy: has nothing to save. */
static void *rng_make(struct place *p, int fd)
{
	struct vmm_virtio_rng_opts o = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng = NULL;

	o.wake = p->type->run ? on_wake : NULL;
	o.thread = !p->type->run;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_rng_new(&o, &rng), 0);
	return rng;
}

static void rng_offer(struct place *p)
{
	assert_true(dr_add(&p->r, 0, NULL, 0, 64) >= 0);
}

static void rng_check(struct place *p)
{
	assert_int_equal(await(p, 0), 64);
}

/* Sockets: a packet of a connection that does not exist is answered. */
static void *vsock_make(struct place *p, int fd)
{
	struct vmm_virtio_vsock_opts o = VMM_VIRTIO_VSOCK_OPTS_INIT;
	struct vmm_virtio_vsock *v = NULL;
	static int count;

	(void)snprintf(p->path, sizeof(p->path), "/tmp/vmm-state-%d-%d", (int)getpid(),
		       count++);
	o.cid = GUEST_CID;
	o.path = p->path;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_vsock_new(&o, &v, NULL), 0);
	return v;
}

static void vsock_come_back(struct place *p)
{
	assert_true(dr_add(&p->r, EVENT, NULL, 0, 8) >= 0);
	notify(p, EVENT);
	assert_int_equal(await(p, EVENT), 4);
	assert_int_equal(*(uint32_t *)dr_answer(&p->r, EVENT), 0);
	/* The buffer back says that it took it in. */
	assert_true(dr_add(&p->r, EVENT, NULL, 0, 8) >= 0);
	notify(p, EVENT);
}

static void vsock_offer(struct place *p)
{
	struct pkt k = { .src_cid = GUEST_CID,
			 .dst_cid = 2,
			 .src_port = 100 + p->works,
			 .dst_port = 200,
			 .type = STREAM,
			 .op = RW };

	assert_true(dr_add(&p->r, RX, NULL, 0, 4096) >= 0);
	assert_true(dr_add(&p->r, TX, &k, sizeof(k), 0) >= 0);
}

static void vsock_check(struct place *p)
{
	struct pkt k;

	assert_int_equal(await(p, TX), 0);
	assert_int_equal(await(p, RX), sizeof(k));
	memcpy(&k, dr_answer(&p->r, RX), sizeof(k));
	assert_int_equal(k.op, RST);
	assert_int_equal(k.dst_port, 100 + p->works);
}

/* Persistent memory: flushes. */
static void *pmem_make(struct place *p, int fd)
{
	struct vmm_virtio_pmem_opts o = VMM_VIRTIO_PMEM_OPTS_INIT;
	struct vmm_virtio_pmem *d = NULL;

	o.fd = fd;
	o.gpa = GPA;
	o.len = 0x10000;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_pmem_new(&o, &d, NULL), 0);
	return d;
}

static void pmem_offer(struct place *p)
{
	memset(dr_answer(&p->r, 0), 0xff, 4);
	assert_true(dr_add(&p->r, 0, "\0\0\0", 4, 4) >= 0);
}

static void pmem_check(struct place *p)
{
	assert_int_equal(await(p, 0), 4);
	assert_int_equal(*(uint32_t *)dr_answer(&p->r, 0), 0);
}

static int bell_of_pmem(void *device, uint32_t queue)
{
	return vmm_virtio_pmem_get_doorbell(device);
}

/* Memory: plugs a block each time. */
static int plugged(void *ctx, uint64_t gpa, uint64_t len)
{
	return 0;
}

static void *memdev_make(struct place *p, int fd)
{
	static const struct vmm_virtio_mem_backend backend = { sizeof(backend), plugged,
							       plugged };
	struct vmm_virtio_mem_opts o = VMM_VIRTIO_MEM_OPTS_INIT;
	struct vmm_virtio_mem *d = NULL;

	o.wake = on_wake;
	o.backend = &backend;
	o.block_size = BLOCK;
	o.gpa = GPA;
	o.len = BLOCKS * BLOCK;
	o.features |= PACKED;
	assert_int_equal(vmm_virtio_mem_new(&o, &d, NULL), 0);
	return d;
}

static void memdev_prepare(struct place *p)
{
	assert_int_equal(vmm_virtio_mem_set_requested(p->device, p->r.t, BLOCKS * BLOCK),
			 0);
}

static void memdev_expect(struct place *p)
{
	assert_int_equal(dr_config64(&p->r, 40), p->works * BLOCK);
	assert_int_equal(dr_config64(&p->r, 48), BLOCKS * BLOCK);
}

static void memdev_offer(struct place *p)
{
	uint64_t request[3] = { 0, GPA + (BLOCKS - 1 - p->works) * BLOCK, 1 };

	memset(dr_answer(&p->r, 0), 0xff, 10);
	assert_true(dr_add(&p->r, 0, request, sizeof(request), 10) >= 0);
}

static void memdev_check(struct place *p)
{
	assert_int_equal(await(p, 0), 10);
	assert_int_equal(*(uint16_t *)dr_answer(&p->r, 0), 0);
	assert_int_equal(dr_config64(&p->r, 40), (p->works + 1) * BLOCK);
}

#define DEVICE_OF(type)                                                  \
	static const struct vmm_virtio_device *device_of_##type(void *d) \
	{                                                                \
		return vmm_virtio_##type##_get_device(d);                \
	}                                                                \
	static void free_##type(void *d)                                 \
	{                                                                \
		vmm_virtio_##type##_free(d);                             \
	}
#define RUN_OF(type)                        \
	static void run_##type(void *d)     \
	{                                   \
		vmm_virtio_##type##_run(d); \
	}
#define BELL_OF(type)                                              \
	static int bell_of_##type(void *d, uint32_t queue)         \
	{                                                          \
		return vmm_virtio_##type##_get_doorbell(d, queue); \
	}

DEVICE_OF(blk)
DEVICE_OF(net)
DEVICE_OF(console)
DEVICE_OF(balloon)
DEVICE_OF(rng)
DEVICE_OF(vsock)
DEVICE_OF(pmem)
DEVICE_OF(mem)
RUN_OF(balloon)
RUN_OF(rng)
RUN_OF(mem)
BELL_OF(blk)
BELL_OF(net)
BELL_OF(vsock)

/* One for all queues. */
#define ONE_BELL_OF(type)                                   \
	static int bell_of_##type(void *d, uint32_t queue)  \
	{                                                   \
		return vmm_virtio_##type##_get_doorbell(d); \
	}

ONE_BELL_OF(console)
ONE_BELL_OF(balloon)
ONE_BELL_OF(rng)

/* FLUSH and CONFIG_WCE; CTRL_VQ and CTRL_RX. */
#define F_BLK (UINT64_C(1) << 9 | UINT64_C(1) << 11)
#define F_NET (UINT64_C(1) << 17 | UINT64_C(1) << 18 | UINT64_C(1) << 16)

static const struct type types[] = {
	{ "blk", blk_make, device_of_blk, free_blk, NULL, bell_of_blk, blk_offer,
	  blk_check, blk_prepare, NULL, blk_expect, 1, 0, F_BLK, false },
	{ "net", net_make, device_of_net, free_net, NULL, bell_of_net, net_offer,
	  net_check, net_prepare, NULL, net_expect, 7, 1, F_NET, false },
	{ "console", console_make, device_of_console, free_console, NULL, bell_of_console,
	  console_offer, console_check, console_prepare, NULL, console_expect, 3, 1,
	  1 | 4, false },
	{ "balloon", balloon_make, device_of_balloon, free_balloon, run_balloon, NULL,
	  balloon_offer, balloon_check, balloon_prepare, balloon_come_back,
	  balloon_expect, 7, 0, VMM_VIRTIO_BALLOON_F_STATS_VQ, false },
	{ "rng", rng_make, device_of_rng, free_rng, run_rng, NULL, rng_offer, rng_check,
	  NULL, NULL, NULL, 1, 0, 0, false },
	{ "balloon with a thread", balloon_make, device_of_balloon, free_balloon, NULL,
	  bell_of_balloon, balloon_offer, balloon_check, balloon_prepare,
	  balloon_come_back, balloon_expect, 7, 0, VMM_VIRTIO_BALLOON_F_STATS_VQ, false },
	{ "rng with a thread", rng_make, device_of_rng, free_rng, NULL, bell_of_rng,
	  rng_offer, rng_check, NULL, NULL, NULL, 1, 0, 0, false },
	{ "vsock", vsock_make, device_of_vsock, free_vsock, NULL, bell_of_vsock,
	  vsock_offer, vsock_check, NULL, vsock_come_back, NULL, 7, TX, 1, true },
	{ "pmem", pmem_make, device_of_pmem, free_pmem, NULL, bell_of_pmem, pmem_offer,
	  pmem_check, NULL, NULL, NULL, 1, 0, 0, false },
	{ "mem", memdev_make, device_of_mem, free_mem, run_mem, NULL, memdev_offer,
	  memdev_check, memdev_prepare, NULL, memdev_expect, 1, 0,
	  VMM_VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE, false },
};

/* Both ends of what a type works on; the same one for a file. */
static void open_ends(const struct type *type, int ends[2])
{
	if (type->make == net_make || type->make == console_make) {
		int kind = type->make == net_make ? SOCK_DGRAM : SOCK_STREAM;

		assert_int_equal(socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, ends), 0);
		return;
	}
	ends[0] = memfd_create("state", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ends[0], 0x10000), 0);
	ends[1] = dup(ends[0]);
}

static void close_ends(const int ends[2])
{
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
}

static void start(struct place *p, const struct type *type, const int ends[2])
{
	memset(p, 0, sizeof(*p));
	p->type = type;
	p->peer = ends[1];
	dr_init(&p->r, 16);
	p->device = type->make(p, ends[0]);
	dr_carry(&p->r, type->get_device(p->device));
}

static void climb(struct place *p, uint64_t features)
{
	dr_climb(&p->r, p->type->queues, p->type->features | features);
	if (p->type->prepare)
		p->type->prepare(p);
}

static void stop(struct place *p)
{
	dr_stop(&p->r);
	p->type->free(p->device);
	dr_fini(&p->r);
}

/* Guest memory and what its driver knows, as on the machine that it moves to. */
static void copy_guest(struct place *to, const struct place *from)
{
	memcpy(to->r.m->ram, from->r.m->ram, MOCK_RAM_LEN);
	for (uint32_t i = 0; i < DR_QUEUES; i++) {
		to->r.q[i] = from->r.q[i];
		to->r.q[i].mem = to->r.m->mem;
		to->r.q[i].ram = to->r.m->ram;
		to->r.q[i].rom = to->r.m->rom;
	}
	to->works = from->works;
}

static size_t save(struct place *p, uint8_t *state)
{
	int64_t len;

	vmm_virtio_mmio_pause(p->r.mmio);
	len = vmm_virtio_mmio_save(p->r.mmio, state, STATE_MAX);
	assert_in_range(len, 1, STATE_MAX);
	return (size_t)len;
}

static void go_on(struct place *p)
{
	vmm_virtio_mmio_resume(p->r.mmio);
	if (p->type->come_back)
		p->type->come_back(p);
	work(p);
	work(p);
}

static void each_device_moves(const struct type *type, uint64_t features)
{
	static uint8_t state[STATE_MAX], again[STATE_MAX];
	struct place from, to;
	int ends[2];
	size_t len;

	open_ends(type, ends);
	start(&from, type, ends);
	start(&to, type, ends);
	climb(&from, features);
	for (int i = 0; i < 3; i++)
		work(&from);
	len = save(&from, state);
	copy_guest(&to, &from);
	/* Cut anywhere it is refused, and the device stays as new as it was. */
	for (size_t i = 0; i < len; i++)
		assert_int_equal(vmm_virtio_mmio_restore(to.r.mmio, state, i, NULL),
				 -EBADMSG);
	assert_int_equal(vmm_virtio_mmio_restore(to.r.mmio, state, len, NULL), 0);
	if (type->expect)
		type->expect(&to);
	assert_int_equal(save(&to, again), len);
	if (!type->changes)
		assert_memory_equal(state, again, len);
	stop(&from);
	go_on(&to);
	/* Pausing does not outlive the driver inside the device. */
	vmm_virtio_mmio_pause(to.r.mmio);
	dr_wr(&to.r, 0x70, 0);
	vmm_virtio_mmio_resume(to.r.mmio);
	dr_climb(&to.r, type->queues, type->features | features);
	stop(&to);
	close_ends(ends);
}

static void devices_go_on_elsewhere(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		each_device_moves(&types[i], 0);
		each_device_moves(&types[i], PACKED);
	}
}

/* Before the driver is there, the device may know something already. */
static void idle_devices_go_on_elsewhere(void **state)
{
	static uint8_t saved[STATE_MAX], again[STATE_MAX];

	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		const struct type *type = &types[i];
		struct place from, to;
		int ends[2];
		size_t len;

		open_ends(type, ends);
		start(&from, type, ends);
		start(&to, type, ends);
		if (type->make == blk_make)
			assert_int_equal(
			    vmm_virtio_blk_set_capacity(from.device, from.r.t, 8 * 512),
			    0);
		if (type->make == net_make)
			assert_int_equal(
			    vmm_virtio_net_set_link(from.device, from.r.t, false), 0);
		if (type->make == console_make)
			assert_int_equal(
			    vmm_virtio_console_set_size(from.device, from.r.t, 7, 8), 0);
		if (type->make == memdev_make)
			memdev_prepare(&from);
		len = save(&from, saved);
		assert_int_equal(vmm_virtio_mmio_restore(to.r.mmio, saved, len, NULL), 0);
		for (uint32_t at = 0x100; at < 0x140; at += 4)
			assert_int_equal(dr_rd(&to.r, at), dr_rd(&from.r, at));
		assert_int_equal(save(&to, again), len);
		/* The generation alone tells that something was set twice. */
		assert_memory_equal(saved, again, 56);
		assert_memory_equal(saved + 60, again + 60, len - 60);
		vmm_virtio_mmio_resume(to.r.mmio);
		dr_climb(&to.r, type->queues, type->features);
		stop(&from);
		stop(&to);
		close_ends(ends);
	}
}

static void no_byte_of_a_state_is_trusted(void **state)
{
	static uint8_t saved[STATE_MAX];
	struct vmm_test_rng rng = vmm_test_rng();

	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		const struct type *type = &types[i];
		struct place from, to;
		int ends[2], taken = 0;
		size_t len;

		open_ends(type, ends);
		start(&from, type, ends);
		start(&to, type, ends);
		climb(&from, i % 2 ? PACKED : 0);
		work(&from);
		len = save(&from, saved);
		copy_guest(&to, &from);
		for (size_t at = 0; at < len; at++) {
			uint8_t old = saved[at];
			int ret;

			saved[at] ^= (uint8_t)(1 + vmm_test_below(&rng, 255));
			ret = vmm_virtio_mmio_restore(to.r.mmio, saved, len, NULL);
			saved[at] = old;
			if (ret < 0)
				continue;
			taken++;
			vmm_virtio_mmio_resume(to.r.mmio);
			if (type->run)
				type->run(to.device);
			dr_wr(&to.r, 0x70, 0);
		}
		assert_in_range(taken, 1, len);
		stop(&from);
		stop(&to);
		close_ends(ends);
	}
}

static void ring(int doorbell)
{
	static const uint64_t one = 1;

	assert_int_equal(write(doorbell, &one, sizeof(one)), sizeof(one));
}

/* Doorbells ring, and guest memory stays as it is: nobody else has it. */
static void a_paused_device_leaves_memory_alone(void **state)
{
	uint8_t *copy = malloc(MOCK_RAM_LEN);

	assert_non_null(copy);
	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++) {
		const struct type *type = &types[i];
		struct place p;
		int ends[2];

		open_ends(type, ends);
		start(&p, type, ends);
		climb(&p, 0);
		for (int round = 0; round < 20; round++) {
			work(&p);
			vmm_virtio_mmio_pause(p.r.mmio);
			type->offer(&p);
			notify(&p, type->busy);
			if (type->get_doorbell)
				ring(type->get_doorbell(p.device, type->busy));
			memcpy(copy, p.r.m->ram, MOCK_RAM_LEN);
			(void)usleep(500);
			assert_memory_equal(copy, p.r.m->ram, MOCK_RAM_LEN);
			assert_int_equal(dr_used(&p.r, type->busy), -EAGAIN);
			vmm_virtio_mmio_resume(p.r.mmio);
			if (type->run)
				type->run(p.device);
			type->check(&p);
			p.works++;
		}
		stop(&p);
		close_ends(ends);
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_go_on_elsewhere),
		cmocka_unit_test(idle_devices_go_on_elsewhere),
		cmocka_unit_test(no_byte_of_a_state_is_trusted),
		cmocka_unit_test(a_paused_device_leaves_memory_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

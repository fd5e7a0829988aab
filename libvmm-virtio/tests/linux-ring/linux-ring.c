/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Linux' own driver side of a virtqueue on one thread, our device side on another.
 *
 *   linux-ring COUNT [MASK]...    COUNT buffers for each MASK: 1 packed, 2 EVENT_IDX,
 *                                 4 INDIRECT_DESC, 8 IN_ORDER; default: all 16
 *
 * Each buffer carries a number, bytes that follow from it, and how long the answer is to
 * be; the answer's bytes follow from the number, too. The driver offers in bursts of any
 * size, the device finishes in any order, both sleep when they have nothing to do and
 * trust that they are woken. What is lost, doubled, mixed up, out of order where order was
 * promised, or a wake-up that does not come ends the program.
 */
#include "shim.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <vmm/virtq.h>

enum { SEGS = 3, SEG_LEN = 48, REQUESTS = 256, HELD = 48, ROUNDS = 4, MASKS = 16 };
enum { PACKED = 1, EVENT = 2, INDIRECT = 4, IN_ORDER = 8 };

#define ARENA_LEN ((size_t)16 << 20)
#define WAIT_S 20

static _Noreturn void die(const char *what)
{
	printf("not ok - %s\n", what);
	(void)fflush(stdout);
	_exit(1);
}

/* Memory, by powers of two; each piece has its class in front of it. */
static uint8_t *arena;
static size_t arena_used;
static void *free_list[32];
int shim_nothing;

void *shim_alloc(size_t size)
{
	unsigned int class = 6;
	uint8_t *p;

	while (((size_t)1 << class) < size)
		class ++;
	if (free_list[class]) {
		p = free_list[class];
		memcpy(&free_list[class], p, sizeof(void *));
		return p;
	}
	/* Pages are aligned, with their class on a page of its own. */
	arena_used += class >= 12 ? 4096 : 16;
	if (class >= 12)
		arena_used = (arena_used + 4095) & ~(size_t)4095;
	if (arena_used + ((size_t)1 << class) > ARENA_LEN)
		die("out of memory");
	p = arena + arena_used;
	p[-1] = (uint8_t) class;
	arena_used += (size_t)1 << class;
	return p;
}

void shim_free(void *p)
{
	uint8_t *byte = p;

	if (!p)
		return;
	/* What is not of the arena's is not freed either: there is no such thing. */
	assert(byte > arena && byte < arena + ARENA_LEN);
	memcpy(p, &free_list[byte[-1]], sizeof(void *));
	free_list[byte[-1]] = p;
}

/* A bell: rung once or often, it wakes who waits once. */
struct bell {
	uint32_t rung;
	uint64_t times;
};

static void ring_bell(struct bell *b)
{
	b->times++;
	if (__atomic_exchange_n(&b->rung, 1, __ATOMIC_SEQ_CST) == 0)
		syscall(SYS_futex, &b->rung, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_bell(struct bell *b, const char *what)
{
	struct timespec limit = { .tv_sec = WAIT_S };

	while (__atomic_exchange_n(&b->rung, 0, __ATOMIC_SEQ_CST) == 0) {
		if (syscall(SYS_futex, &b->rung, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) <
			0 &&
		    errno == ETIMEDOUT)
			die(what);
	}
}

struct rng {
	uint64_t s;
};

static uint32_t below(struct rng *r, uint32_t bound)
{
	uint64_t z = r->s += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return (uint32_t)((z ^ z >> 31) >> 32) % bound;
}

static uint8_t question(uint64_t number, uint64_t at)
{
	return (uint8_t)(number * 31 + at * 7 + 1);
}

static uint8_t answer(uint64_t number, uint64_t at)
{
	return (uint8_t)(number * 17 + at * 3 + 2);
}

/* What the device finds at the front of each buffer. */
struct header {
	uint64_t number;
	uint32_t len;	     /* of all that can be read */
	uint32_t answer_len; /* of all that is to be written */
};

struct request {
	uint64_t number;
	bool out;
	uint32_t answer_len;
	uint32_t in_len;
	uint8_t *area; /* 2 * SEGS pieces of SEG_LEN */
};

struct world {
	uint32_t mask, num;
	uint64_t count;
	struct vmm_mem *mem;
	struct vmm_virtq *q;
	struct virtio_device dev;
	struct virtqueue *vq;
	struct bell kick, irq;
	bool stop;
	uint64_t restores;

	struct rng driver_rng, device_rng;
	struct request requests[REQUESTS];
	uint32_t idle[REQUESTS], idle_n;
	uint64_t sent, done;

	struct vmm_virtq_chain held[HELD];
	struct iovec iov[HELD][2 * SEGS];
	uint32_t held_n;
	uint64_t seen;
};

static bool on_notify(struct virtqueue *vq)
{
	ring_bell(&((struct world *)vq->priv)->kick);
	return true;
}

static void on_interrupt(struct virtqueue *vq)
{
	virtqueue_disable_cb(vq);
}

/* Cut @p len bytes at @p at into up to @p n pieces. */
static uint32_t cut(struct world *w, struct scatterlist *sg, uint8_t *at, uint32_t n,
		    uint32_t first_min, uint32_t *len)
{
	*len = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t least = i == 0 && first_min ? first_min : 1;

		memset(&sg[i], 0, sizeof(sg[i]));
		sg[i].buf = at + i * SEG_LEN;
		sg[i].length = least + below(&w->driver_rng, SEG_LEN - least + 1);
		sg[i].last = i == n - 1;
		*len += sg[i].length;
	}
	return n;
}

static void fill_question(const struct request *r, struct scatterlist *sg, uint32_t n,
			  uint32_t len)
{
	struct header h = { r->number, len, r->answer_len };
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *p = sg[i].buf;

		for (uint32_t j = 0; j < sg[i].length; j++, at++) {
			if (at >= sizeof(h))
				p[j] = question(r->number, at);
		}
	}
	memcpy(sg[0].buf, &h, sizeof(h));
}

static bool offer_one(struct world *w)
{
	struct scatterlist out[SEGS], in[SEGS], *sgs[2] = { out, in };
	uint32_t most = w->num < 2 * SEGS ? w->num : 2 * SEGS, outs, ins, len;
	struct request *r;

	if (w->idle_n == 0 || w->sent == w->count)
		return false;
	r = &w->requests[w->idle[w->idle_n - 1]];
	outs = 1 + below(&w->driver_rng, SEGS);
	outs = outs < most ? outs : most;
	ins = below(&w->driver_rng, SEGS + 1);
	ins = ins <= most - outs ? ins : most - outs;
	(void)cut(w, in, r->area + SEGS * SEG_LEN, ins, 0, &r->in_len);
	(void)cut(w, out, r->area, outs, sizeof(struct header), &len);
	r->number = w->sent;
	r->answer_len = below(&w->driver_rng, r->in_len + 1);
	fill_question(r, out, outs, len);
	memset(r->area + SEGS * SEG_LEN, 0xee, SEGS * SEG_LEN);
	if (virtqueue_add_sgs(w->vq, sgs, 1, ins > 0, r, GFP_ATOMIC) < 0)
		return false;
	r->out = true;
	w->idle_n--;
	w->sent++;
	return true;
}

/* The pieces of the answer are not where cut() put them any more, but they were filled in
 * order, each to its end: check what was written and what was not by counting. */
static void check_answer(const struct request *r)
{
	const uint8_t *area = r->area + SEGS * SEG_LEN;
	uint32_t at = 0;

	for (uint32_t i = 0; i < SEGS * SEG_LEN && at < r->answer_len; i++) {
		if (area[i] == answer(r->number, at))
			at++;
		else if (area[i] != 0xee)
			die("an answer is not what it should be");
	}
	if (at != r->answer_len)
		die("an answer is too short");
}

static bool collect_one(struct world *w)
{
	unsigned int len = UINT32_MAX;
	struct request *r = virtqueue_get_buf(w->vq, &len);

	if (!r)
		return false;
	if (r < w->requests || r >= w->requests + REQUESTS || !r->out)
		die("a buffer came back twice");
	if ((w->mask & IN_ORDER) && r->number != w->done)
		die("a buffer came back out of order");
	if (len != r->answer_len)
		die("a buffer came back with another length");
	check_answer(r);
	r->out = false;
	w->idle[w->idle_n++] = (uint32_t)(r - w->requests);
	w->done++;
	return true;
}

static void drive(struct world *w)
{
	while (w->done < w->count) {
		uint32_t burst = 1 + below(&w->driver_rng, 40), offered = 0, got = 0;

		while (burst-- > 0 && offer_one(w)) {
			offered++;
			if (below(&w->driver_rng, 8) == 0)
				(void)virtqueue_kick(w->vq);
		}
		if (!virtqueue_kick(w->vq) || virtqueue_is_broken(w->vq))
			die("the driver takes the device for broken");
		burst = below(&w->driver_rng, 64);
		while (burst-- > 0 && collect_one(w))
			got++;
		if (offered > 0 || got > 0)
			continue;
		if (!(below(&w->driver_rng, 2) ? virtqueue_enable_cb(w->vq)
					       : virtqueue_enable_cb_delayed(w->vq)))
			continue;
		wait_bell(&w->irq, "the driver was not woken");
		(void)vring_interrupt(0, w->vq);
	}
}

/* Copy out in pieces of any size, as a device may; and answer. */
static uint32_t serve(struct world *w, const struct vmm_virtq_chain *c)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(c),
				writer = vmm_virtq_writer(c);
	uint8_t bytes[SEGS * SEG_LEN];
	struct header h;
	uint32_t n;

	if (vmm_virtq_read(&reader, &h, sizeof(h)) < 0 || h.len != c->readable_len ||
	    h.answer_len > c->writable_len || h.number >= w->count)
		die("the device got something else");
	if (h.number != w->seen++)
		die("the device got buffers in another order");
	n = (uint32_t)vmm_virtq_read_some(&reader, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < n; i++) {
		if (bytes[i] != question(h.number, sizeof(h) + i))
			die("the device got other bytes");
	}
	for (uint32_t i = 0; i < h.answer_len; i++)
		bytes[i] = answer(h.number, i);
	if (vmm_virtq_write(&writer, bytes, h.answer_len) < 0)
		die("the device has no room for the answer");
	return h.answer_len;
}

static uint32_t take_some(struct world *w)
{
	uint32_t burst = 1 + below(&w->device_rng, HELD), n = 0;

	for (; burst > 0 && w->held_n < HELD; burst--, n++) {
		struct vmm_virtq_chain *c = &w->held[w->held_n];
		int ret;

		c->iov = w->iov[w->held_n];
		c->iov_max = 2 * SEGS;
		ret = vmm_virtq_pop(w->q, c);
		if (ret == -EAGAIN)
			break;
		if (ret < 0)
			die("the device cannot take a buffer");
		/* Some are put back, and come again. */
		if (below(&w->device_rng, 50) == 0) {
			if (vmm_virtq_undo_pop(w->q, c->token) < 0)
				die("a buffer cannot be put back");
			break;
		}
		/* Where iovecs are is of no use after this. */
		c->reserved_ = 0;
		c->writable_len = serve(w, c);
		w->held_n++;
	}
	return n;
}

static void finish_some(struct world *w)
{
	struct vmm_virtq_used used[8];
	uint32_t n = 0, most = 1 + below(&w->device_rng, 8);

	for (; n < most && w->held_n > 0; n++) {
		uint32_t at = below(&w->device_rng, w->held_n);

		used[n] = (struct vmm_virtq_used){
			.token = w->held[at].token,
			.len = (uint32_t)w->held[at].writable_len,
		};
		w->held[at] = w->held[--w->held_n];
	}
	if (n == 1 ? vmm_virtq_add_used(w->q, used[0].token, used[0].len) < 0
		   : vmm_virtq_add_used_n(w->q, used, n) < 0)
		die("the device cannot give a buffer back");
	if (vmm_virtq_needs_notification(w->q))
		ring_bell(&w->irq);
}

/* As if the device had moved to another machine. */
static void save_and_restore(struct world *w)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;

	if (vmm_virtq_get_state(w->q, &s) < 0)
		die("the queue cannot be saved");
	vmm_virtq_reset(w->q);
	if (vmm_virtq_restore(w->q, w->mem, &s, NULL, NULL) < 0)
		die("the queue cannot be restored");
	w->restores++;
}

static void *be_the_device(void *arg)
{
	struct world *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		uint32_t n = take_some(w);

		if (w->held_n > 0 && (n == 0 || below(&w->device_rng, 3)))
			finish_some(w);
		if (w->held_n == 0 && below(&w->device_rng, 500) == 0)
			save_and_restore(w);
		if (n > 0 || w->held_n > 0)
			continue;
		if (vmm_virtq_enable_notification(w->q))
			continue;
		wait_bell(&w->kick, "the device was not woken");
		if (below(&w->device_rng, 4))
			vmm_virtq_disable_notification(w->q);
	}
	return NULL;
}

static uint64_t features_of(uint32_t mask)
{
	return VMM_VIRTIO_F_VERSION_1 | (mask & PACKED ? VMM_VIRTIO_F_RING_PACKED : 0) |
	       (mask & EVENT ? VMM_VIRTIO_F_EVENT_IDX : 0) |
	       (mask & INDIRECT ? VMM_VIRTIO_F_INDIRECT_DESC : 0);
}

static void make_driver(struct world *w)
{
	INIT_LIST_HEAD(&w->dev.vqs);
	w->dev.features = features_of(w->mask);
	vring_transport_features(&w->dev);
	if (w->dev.features != features_of(w->mask))
		die("the driver lacks features");
	w->vq = vring_create_virtqueue(0, w->num, 4096, &w->dev, true, false, false,
				       on_notify, on_interrupt, "test");
	if (!w->vq)
		die("the driver has no queue");
	w->vq->priv = w;
	w->idle_n = REQUESTS;
	for (uint32_t i = 0; i < REQUESTS; i++) {
		w->idle[i] = i;
		w->requests[i].area = shim_alloc(2 * SEGS * SEG_LEN);
	}
}

static void make_device(struct world *w)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_virtq_config c = VMM_VIRTQ_CONFIG_INIT;
	struct vmm_error err;

	r.gpa = (uintptr_t)arena;
	r.host = arena;
	r.len = ARENA_LEN;
	c.features = features_of(w->mask);
	/* The driver need not know that the device keeps order. */
	if (w->mask & IN_ORDER)
		c.features |= VMM_VIRTIO_F_IN_ORDER;
	c.num = w->num;
	c.desc = virtqueue_get_desc_addr(w->vq);
	c.driver = virtqueue_get_avail_addr(w->vq);
	c.device = virtqueue_get_used_addr(w->vq);
	if (vmm_mem_builder_new(&b) < 0 || vmm_mem_builder_add(b, &r, NULL) < 0 ||
	    vmm_mem_builder_build(b, &w->mem) < 0 || vmm_virtq_new(w->num, &w->q) < 0)
		die("no memory table");
	if (vmm_virtq_enable(w->q, w->mem, &c, &err) < 0)
		die(err.message);
}

static void one_round(struct world *w, uint64_t seed)
{
	pthread_t thread;

	w->driver_rng.s = seed;
	w->device_rng.s = seed ^ 0x5555;
	w->num = w->mask & PACKED ? 1 + below(&w->driver_rng, 256)
				  : 1u << below(&w->driver_rng, 9);
	make_driver(w);
	make_device(w);
	if (pthread_create(&thread, NULL, be_the_device, w) != 0)
		die("no thread");
	drive(w);
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	ring_bell(&w->kick);
	(void)pthread_join(thread, NULL);
	if (w->sent != w->count || w->done != w->count || w->seen != w->count ||
	    w->idle_n != REQUESTS || virtqueue_get_buf(w->vq, &(unsigned int){ 0 }))
		die("the counts differ");
	for (uint32_t i = 0; i < REQUESTS; i++)
		shim_free(w->requests[i].area);
	vring_del_virtqueue(w->vq);
	vmm_virtq_free(w->q);
	vmm_mem_free(w->mem);
}

static void one_mask(uint32_t number, uint32_t mask, uint64_t count, uint64_t seed)
{
	static const struct world blank;
	static struct world w;
	struct timespec from, to;
	uint64_t kicks = 0, irqs = 0, restores = 0;
	double s;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < ROUNDS; i++) {
		w = blank;
		w.mask = mask;
		w.count = count / ROUNDS + (i == 0 ? count % ROUNDS : 0);
		one_round(&w, seed + (uint64_t)i * 1000 + mask);
		kicks += w.kick.times;
		irqs += w.irq.times;
		restores += w.restores;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("ok %u - %s%s%s%s # %llu buffers, %llu kicks, %llu interrupts, %llu "
	       "restores, "
	       "%.1f s\n",
	       number, mask & PACKED ? "packed" : "split", mask & EVENT ? "_event" : "",
	       mask & INDIRECT ? "_indirect" : "", mask & IN_ORDER ? "_in_order" : "",
	       (unsigned long long)count, (unsigned long long)kicks,
	       (unsigned long long)irqs, (unsigned long long)restores, s);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;
	const char *env = getenv("VMM_TEST_SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	uint32_t masks = argc > 2 ? (uint32_t)argc - 2 : MASKS;

	arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (arena == MAP_FAILED)
		die("no memory");
	printf("1..%u\n# VMM_TEST_SEED=%llu\n", masks, (unsigned long long)seed);
	for (uint32_t i = 0; i < masks; i++)
		one_mask(i + 1,
			 argc > 2 ? (uint32_t)strtoul(argv[i + 2], NULL, 0) % MASKS : i,
			 count, seed);
	return 0;
}

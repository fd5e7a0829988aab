/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/virtio-mem.h>

#include "device-state.h"
#include "drain.h"
#include "fair-lock.h"
#include "options.h"
#include "stream.h"
#include "tell.h"

#define QUEUE_DEFAULT 128u
#define BLOCK_DEFAULT (UINT64_C(2) << 20)
#define BLOCK_MIN 4096u
#define IOVECS 64u

/* Configuration space (virtio 1.2, 5.15.4). */
#define CONFIG_BLOCK 0u
#define CONFIG_NODE 8u
#define CONFIG_ADDR 16u
#define CONFIG_REGION 24u
#define CONFIG_USABLE 32u
#define CONFIG_PLUGGED 40u
#define CONFIG_REQUESTED 48u
#define CONFIG_LEN 56u

/* Requests and responses (5.15.6). */
#define REQUEST_LEN 24u
#define RESPONSE_LEN 10u
enum { REQ_PLUG, REQ_UNPLUG, REQ_UNPLUG_ALL, REQ_STATE };
enum { RESP_ACK, RESP_NACK, RESP_BUSY, RESP_ERROR };
enum { STATE_PLUGGED, STATE_UNPLUGGED, STATE_MIXED };

struct request {
	uint16_t type;
	uint64_t gpa;
	uint16_t blocks;
};

struct vmm_virtio_mem {
	struct vmm_virtio_device device;
	struct vmm_virtio_mem_opts opts;
	struct vmm_virtio_mem_backend backend;
	uint16_t queue_max;
	uint8_t config[CONFIG_LEN];

	/* Protects all below. */
	struct fair_lock lock;
	bool paused;
	struct vmm_virtq *vq;
	struct vmm_virtq *const *queues;
	struct vmm_virtio_transport *transport;
	uint64_t block_n;
	uint64_t *plugged;
	struct vmm_virtio_mem_stats stats;
	struct iovec iov[IOVECS];
};

static uint64_t words_of(const struct vmm_virtio_mem *m)
{
	return (m->block_n + 63) / 64;
}

static bool is_plugged(const struct vmm_virtio_mem *m, uint64_t block)
{
	return m->plugged[block / 64] >> (block % 64) & 1;
}

static uint64_t count_plugged(const struct vmm_virtio_mem *m, uint64_t first, uint64_t n)
{
	uint64_t count = 0;

	for (uint64_t i = first; i < first + n; i++)
		count += is_plugged(m, i);
	return count;
}

static void mark(struct vmm_virtio_mem *m, uint64_t first, uint64_t n, bool plugged)
{
	for (uint64_t i = first; i < first + n; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if (plugged)
			m->plugged[i / 64] |= bit;
		else
			m->plugged[i / 64] &= ~bit;
	}
	if (plugged)
		m->stats.plugged += n * m->opts.block_size;
	else
		m->stats.plugged -= n * m->opts.block_size;
}

static void put64(uint8_t *config, uint32_t offset, uint64_t value)
{
	value = htole64(value);
	memcpy(config + offset, &value, sizeof(value));
}

/* The driver knows, because it asked for it. */
static void show_plugged(struct vmm_virtio_mem *m, struct vmm_virtio_transport *t)
{
	uint64_t value = htole64(m->stats.plugged);

	if (vmm_virtio_transport_sync_config(t, CONFIG_PLUGGED, &value, sizeof(value)) <
	    0)
		vmm_virtio_transport_needs_reset(t);
}

/* Returns whether the range is blocks of the region; then their numbers. */
static bool find_blocks(const struct vmm_virtio_mem *m, const struct request *r,
			uint64_t *first)
{
	uint64_t offset = r->gpa - m->opts.gpa;

	if (r->blocks == 0 || r->gpa < m->opts.gpa || offset % m->opts.block_size != 0)
		return false;
	*first = offset / m->opts.block_size;
	return *first < m->block_n && r->blocks <= m->block_n - *first;
}

static int take_away(struct vmm_virtio_mem *m, uint64_t first, uint64_t n)
{
	uint64_t gpa = m->opts.gpa + first * m->opts.block_size;
	uint64_t len = n * m->opts.block_size;
	int ret = m->backend.unplug ? m->backend.unplug(m->opts.ctx, gpa, len)
				    : vmm_mem_discard(m->opts.mem, gpa, len);

	if (ret == 0)
		mark(m, first, n, false);
	return ret;
}

static uint16_t do_plug(struct vmm_virtio_mem *m, const struct request *r)
{
	uint64_t len = r->blocks * m->opts.block_size, first;

	if (!find_blocks(m, r, &first) || count_plugged(m, first, r->blocks) != 0)
		return RESP_ERROR;
	if (m->stats.requested < m->stats.plugged ||
	    len > m->stats.requested - m->stats.plugged)
		return RESP_NACK;
	if (m->backend.plug && m->backend.plug(m->opts.ctx, r->gpa, len) != 0)
		return RESP_BUSY;
	mark(m, first, r->blocks, true);
	m->stats.plugs++;
	return RESP_ACK;
}

static uint16_t do_unplug(struct vmm_virtio_mem *m, const struct request *r)
{
	uint64_t first;

	if (!find_blocks(m, r, &first) || count_plugged(m, first, r->blocks) != r->blocks)
		return RESP_ERROR;
	if (take_away(m, first, r->blocks) != 0)
		return RESP_BUSY;
	m->stats.unplugs++;
	return RESP_ACK;
}

/* One call for each run of plugged blocks. */
static int take_all_away(struct vmm_virtio_mem *m)
{
	uint64_t first = 0, n;
	int ret = 0;

	while (ret == 0 && first < m->block_n) {
		for (n = 0; first + n < m->block_n && is_plugged(m, first + n); n++)
			;
		if (n > 0)
			ret = take_away(m, first, n);
		first += n + 1;
	}
	return ret;
}

static uint16_t do_unplug_all(struct vmm_virtio_mem *m)
{
	if (take_all_away(m) != 0)
		return RESP_BUSY;
	m->stats.unplug_alls++;
	return RESP_ACK;
}

static uint16_t do_state(struct vmm_virtio_mem *m, const struct request *r,
			 uint16_t *state)
{
	uint64_t first, n;

	if (!find_blocks(m, r, &first))
		return RESP_ERROR;
	n = count_plugged(m, first, r->blocks);
	*state = n == 0 ? STATE_UNPLUGGED : n == r->blocks ? STATE_PLUGGED : STATE_MIXED;
	m->stats.queries++;
	return RESP_ACK;
}

static uint16_t judge(struct vmm_virtio_mem *m, const struct request *r, uint16_t *state)
{
	switch (r->type) {
	case REQ_PLUG:
		return do_plug(m, r);
	case REQ_UNPLUG:
		return do_unplug(m, r);
	case REQ_UNPLUG_ALL:
		return do_unplug_all(m);
	case REQ_STATE:
		return do_state(m, r, state);
	default:
		return RESP_ERROR;
	}
}

static void count(struct vmm_virtio_mem *m, uint16_t response)
{
	m->stats.nacks += response == RESP_NACK;
	m->stats.busies += response == RESP_BUSY;
	m->stats.errors += response == RESP_ERROR;
}

static int64_t on_request(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	struct vmm_virtq_cursor writer = vmm_virtq_writer(chain);
	uint8_t in[REQUEST_LEN], out[RESPONSE_LEN] = { 0 };
	struct vmm_virtio_mem *m = ctx;
	uint16_t response, state = 0;
	struct request r;

	if (chain->writable_len < RESPONSE_LEN ||
	    vmm_virtq_read(&reader, in, sizeof(in)) < 0) {
		m->stats.bad_requests++;
		return 0;
	}
	memcpy(&r.type, in, sizeof(r.type));
	memcpy(&r.gpa, in + 8, sizeof(r.gpa));
	memcpy(&r.blocks, in + 16, sizeof(r.blocks));
	r.type = le16toh(r.type);
	r.gpa = le64toh(r.gpa);
	r.blocks = le16toh(r.blocks);
	response = judge(m, &r, &state);
	count(m, response);
	/* Before the answer, so that who has the answer sees it. */
	show_plugged(m, m->transport);
	response = htole16(response);
	state = htole16(state);
	memcpy(out, &response, sizeof(response));
	memcpy(out + 8, &state, sizeof(state));
	return vmm_virtq_write(&writer, out, sizeof(out)) == 0 ? RESPONSE_LEN : 0;
}

void vmm_virtio_mem_run(struct vmm_virtio_mem *mem)
{
	struct drain d = {
		.iov_max = IOVECS,
		.iov = mem->iov,
		.one = on_request,
		.ctx = mem,
		.lock = &mem->lock,
	};
	bool more = false;

	fair_enter(&mem->lock);
	d.vq = mem->vq;
	d.transport = mem->transport;
	if (d.vq && !mem->paused)
		more = drain_queue(&d);
	fair_leave(&mem->lock);
	if (more)
		mem->opts.wake(mem->opts.ctx);
}

int vmm_virtio_mem_set_requested(struct vmm_virtio_mem *mem,
				 struct vmm_virtio_transport *transport, uint64_t bytes)
{
	uint64_t value = htole64(bytes);
	int ret;

	if (bytes % mem->opts.block_size != 0 || bytes > mem->opts.len)
		return -EINVAL;
	fair_enter(&mem->lock);
	mem->stats.requested = bytes;
	ret = vmm_virtio_transport_set_config(transport, CONFIG_REQUESTED, &value,
					      sizeof(value));
	fair_leave(&mem->lock);
	return ret;
}

int vmm_virtio_mem_unplug_all(struct vmm_virtio_mem *mem,
			      struct vmm_virtio_transport *transport)
{
	int ret;

	fair_enter(&mem->lock);
	ret = take_all_away(mem);
	show_plugged(mem, transport);
	fair_leave(&mem->lock);
	return ret;
}

void vmm_virtio_mem_set_mem(struct vmm_virtio_mem *mem, const struct vmm_mem *table)
{
	fair_enter(&mem->lock);
	mem->opts.mem = table;
	fair_leave(&mem->lock);
}

/* virtio 1.2, 5.15.5.2: memory that is not plugged may not be there to be read. */
static int check_features(void *ctx, const uint64_t features[2])
{
	struct vmm_virtio_mem *m = ctx;
	uint64_t need = m->opts.features & VMM_VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE;

	return (features[0] & need) == need ? 0 : -EBADMSG;
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_mem *m = ctx;

	fair_enter(&m->lock);
	m->vq = vmm_virtq_is_enabled(a->queues[0]) ? a->queues[0] : NULL;
	m->transport = a->transport;
	m->queues = a->queues;
	fair_leave(&m->lock);
	return 0;
}

static void reset(void *ctx)
{
	struct vmm_virtio_mem *m = ctx;

	fair_enter(&m->lock);
	m->vq = NULL;
	m->transport = NULL;
	m->paused = false;
	fair_leave(&m->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_mem *m = ctx;

	(void)index;
	fair_enter(&m->lock);
	m->vq = NULL;
	fair_leave(&m->lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_mem *m = ctx;

	fair_enter(&m->lock);
	m->vq = m->queues[index];
	fair_leave(&m->lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_mem *m = ctx;

	(void)index;
	m->opts.wake(m->opts.ctx);
}

static void fill_state(const struct vmm_virtio_mem *m, struct memdev_state *out)
{
	memset(out, 0, sizeof(*out));
	out->version = DEVICE_STATE_VERSION;
	out->block_size = m->opts.block_size;
	out->gpa = m->opts.gpa;
	out->len = m->opts.len;
	out->requested = m->stats.requested;
}

void memdev_get_state(struct vmm_virtio_mem *mem, struct memdev_state *out)
{
	fair_enter(&mem->lock);
	fill_state(mem, out);
	fair_leave(&mem->lock);
}

static bool state_is_sound(const struct vmm_virtio_mem *m, const struct memdev_state *s,
			   const uint64_t *words, size_t n)
{
	const struct vmm_virtio_mem_opts *o = &m->opts;
	uint64_t tail = m->block_n % 64;

	if (s->version != DEVICE_STATE_VERSION || s->block_size != o->block_size ||
	    s->gpa != o->gpa || s->len != o->len || s->requested % o->block_size != 0 ||
	    s->requested > o->len)
		return false;
	return words && n == words_of(m) && (tail == 0 || words[n - 1] >> tail == 0);
}

/* The back end is not called: the memory is restored by itself. */
int memdev_set_state(struct vmm_virtio_mem *mem, const struct memdev_state *s,
		     const uint64_t *words, size_t n)
{
	int ret = 0;

	if (!state_is_sound(mem, s, words, n))
		return -EBADMSG;
	fair_enter(&mem->lock);
	if (mem->transport) {
		ret = -EBUSY;
	} else {
		memcpy(mem->plugged, words, n * sizeof(*words));
		mem->stats.plugged =
		    count_plugged(mem, 0, mem->block_n) * mem->opts.block_size;
		mem->stats.requested = s->requested;
	}
	fair_leave(&mem->lock);
	return ret;
}

static void set_paused(struct vmm_virtio_mem *m, bool paused)
{
	fair_enter(&m->lock);
	m->paused = paused;
	fair_leave(&m->lock);
}

static void on_pause(void *ctx)
{
	set_paused(ctx, true);
}

static void on_resume(void *ctx)
{
	set_paused(ctx, false);
}

struct saved {
	struct memdev_state state;
	uint64_t *words;
	/* How many the device has, whatever the state says. */
	size_t n;
};

static void describe_state(struct stream *s, void *state)
{
	struct saved *v = state;

	stream_u32(s, &v->state.version);
	stream_u64(s, &v->state.block_size);
	stream_u64(s, &v->state.gpa);
	stream_u64(s, &v->state.len);
	stream_u64(s, &v->state.requested);
	for (size_t i = 0; i < v->n; i++)
		stream_u64(s, &v->words[i]);
}

static int64_t save(void *ctx, void *buf, size_t size)
{
	struct vmm_virtio_mem *m = ctx;
	struct saved v = { .words = m->plugged, .n = words_of(m) };
	int64_t ret;

	/* One step: the VMM may unplug all meanwhile. */
	fair_enter(&m->lock);
	fill_state(m, &v.state);
	ret = stream_save(buf, size, describe_state, &v);
	fair_leave(&m->lock);
	return ret;
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vmm_virtio_mem *m = ctx;
	struct saved v = { .n = words_of(m) };
	uint64_t shown[2];
	int ret;

	v.words = calloc(v.n, sizeof(*v.words));
	ret = v.words ? stream_load(data, len, describe_state, &v) : -ENOMEM;
	if (ret == 0)
		ret = memdev_set_state(m, &v.state, v.words, v.n);
	free(v.words);
	if (ret < 0)
		return ret;
	shown[0] = htole64(m->stats.plugged);
	shown[1] = htole64(m->stats.requested);
	ret = vmm_virtio_transport_sync_config(transport, CONFIG_PLUGGED, shown,
					       sizeof(shown));
	if (ret < 0 || !a)
		return ret;
	on_pause(m);
	return activate(m, a);
}

static const struct vmm_virtio_device_ops mem_ops = {
	.size = sizeof(mem_ops),
	.check_features = check_features,
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.pause = on_pause,
	.resume = on_resume,
	.save = save,
	.restore = restore,
};

static void describe(struct vmm_virtio_mem *m)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	uint16_t node = htole16((uint16_t)m->opts.node);

	put64(m->config, CONFIG_BLOCK, m->opts.block_size);
	memcpy(m->config + CONFIG_NODE, &node, sizeof(node));
	put64(m->config, CONFIG_ADDR, m->opts.gpa);
	put64(m->config, CONFIG_REGION, m->opts.len);
	put64(m->config, CONFIG_USABLE, m->opts.len);
	put64(m->config, CONFIG_REQUESTED, m->stats.requested);
	m->queue_max = (uint16_t)m->opts.queue_max;
	m->device = blank;
	m->device.id = VMM_VIRTIO_ID_MEM;
	m->device.queue_n = 1;
	m->device.queue_max = &m->queue_max;
	m->device.features[0] = m->opts.features;
	m->device.config = m->config;
	m->device.config_len = CONFIG_LEN;
	m->device.ops = &mem_ops;
	m->device.ctx = m;
}

static int check_opts(struct vmm_virtio_mem_opts *o,
		      const struct vmm_virtio_mem_backend *b, struct vmm_error *err)
{
	uint64_t block, end;

	if (o->block_size == 0)
		o->block_size = BLOCK_DEFAULT;
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	block = o->block_size;
	if (!o->wake || (!b->unplug && !o->mem) || o->queue_max > VMM_VIRTQ_SIZE_MAX ||
	    o->node > UINT16_MAX)
		return vmm_error_set(err, -EINVAL,
				     "memory device without wake or "
				     "memory, or over a limit");
	if (block < BLOCK_MIN || (block & (block - 1)))
		return vmm_error_at(err, -EINVAL, 0, 0, block, "block of %llu bytes",
				    (unsigned long long)block);
	if (o->len == 0 || o->gpa % block || o->len % block ||
	    __builtin_add_overflow(o->gpa, o->len - 1, &end) || o->requested % block ||
	    o->requested > o->len)
		return vmm_error_at(err, -EINVAL, o->gpa, 0, o->len,
				    "memory region of %llu bytes",
				    (unsigned long long)o->len);
	if (o->len / block > VMM_VIRTIO_MEM_BLOCKS_MAX)
		return vmm_error_at(err, -E2BIG, o->gpa, VMM_VIRTIO_MEM_BLOCKS_MAX,
				    o->len / block, "memory region of too many blocks");
	return 0;
}

int vmm_virtio_mem_new(const struct vmm_virtio_mem_opts *opts,
		       struct vmm_virtio_mem **out, struct vmm_error *err)
{
	struct vmm_virtio_mem_backend backend = { sizeof(backend), NULL, NULL };
	struct vmm_virtio_mem_opts o;
	struct vmm_virtio_mem *m;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret == 0 && o.backend)
		ret = options_copy(&backend, sizeof(backend), o.backend, o.backend->size);
	if (ret < 0)
		return vmm_error_set(err, ret, "memory device options of unknown layout");
	ret = check_opts(&o, &backend, err);
	if (ret < 0)
		return ret;
	m = calloc(1, sizeof(*m));
	if (m) {
		m->opts = o;
		m->backend = backend;
		m->block_n = o.len / o.block_size;
		m->plugged = calloc(words_of(m), sizeof(*m->plugged));
	}
	if (!m || !m->plugged) {
		free(m);
		return vmm_error_set(err, -ENOMEM, "no memory for a memory device");
	}
	m->stats.requested = o.requested;
	fair_init(&m->lock);
	describe(m);
	*out = m;
	return 0;
}

void vmm_virtio_mem_free(struct vmm_virtio_mem *mem)
{
	if (!mem)
		return;
	fair_fini(&mem->lock);
	free(mem->plugged);
	free(mem);
}

const struct vmm_virtio_device *vmm_virtio_mem_get_device(struct vmm_virtio_mem *mem)
{
	return &mem->device;
}

void vmm_virtio_mem_get_stats(struct vmm_virtio_mem *mem,
			      struct vmm_virtio_mem_stats *out)
{
	fair_enter(&mem->lock);
	tell_caller(out, out->size, &mem->stats, sizeof(mem->stats));
	fair_leave(&mem->lock);
}

size_t vmm_virtio_mem_get_blocks(struct vmm_virtio_mem *mem, uint64_t *words, size_t max)
{
	size_t n = words_of(mem);

	if (n > max)
		return n;
	fair_enter(&mem->lock);
	memcpy(words, mem->plugged, n * sizeof(*words));
	fair_leave(&mem->lock);
	return n;
}

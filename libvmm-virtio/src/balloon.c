/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The balloon between its transport and its pages. */
#include "balloon.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tell.h"
#include "transport.h"

#define QUEUE_DEFAULT 128u
#define STAT_LEN 10u

#define F_STATS VMM_VIRTIO_BALLOON_F_STATS_VQ
#define F_HINT VMM_VIRTIO_BALLOON_F_FREE_PAGE_HINT
#define F_POISON VMM_VIRTIO_BALLOON_F_PAGE_POISON
#define F_REPORT VMM_VIRTIO_BALLOON_F_PAGE_REPORTING

static int64_t on_pages(struct vmm_virtio_balloon *b, const struct vmm_virtq_chain *chain,
			bool in)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	uint32_t pfns[BALLOON_BATCH];
	size_t n;

	if (chain->readable_len % sizeof(*pfns) != 0 ||
	    chain->readable_len > VMM_VIRTIO_BALLOON_PFNS_MAX * sizeof(*pfns)) {
		b->stats.bad_requests++;
		return 0;
	}
	while ((n = vmm_virtq_read_some(&reader, pfns, sizeof(pfns)) / sizeof(*pfns))) {
		for (size_t i = 0; i < n; i++)
			pfns[i] = le32toh(pfns[i]);
		if (in)
			balloon_inflate(b, pfns, n);
		else
			balloon_deflate(b, pfns, n);
	}
	return 0;
}

static int64_t on_inflate(void *ctx, const struct vmm_virtq_chain *chain)
{
	return on_pages(ctx, chain, true);
}

static int64_t on_deflate(void *ctx, const struct vmm_virtq_chain *chain)
{
	return on_pages(ctx, chain, false);
}

static void read_stats(struct vmm_virtio_balloon *b, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	uint8_t record[STAT_LEN];
	uint64_t value;
	uint16_t tag;

	if (chain->readable_len % STAT_LEN != 0 ||
	    chain->readable_len > VMM_VIRTIO_BALLOON_STATS_MAX * STAT_LEN) {
		b->stats.bad_requests++;
		return;
	}
	/* The first buffer only says that the driver is there. */
	if (chain->readable_len > 0)
		b->guest.updates++;
	while (vmm_virtq_read(&reader, record, sizeof(record)) == 0) {
		memcpy(&tag, record, sizeof(tag));
		memcpy(&value, record + sizeof(tag), sizeof(value));
		tag = le16toh(tag);
		if (tag >= VMM_VIRTIO_BALLOON_S_NUM)
			continue;
		b->guest.values[tag] = le64toh(value);
		b->guest.valid |= UINT64_C(1) << tag;
	}
}

/* A driver has one such buffer; one that gives more gets the older ones back. */
static int64_t on_stats(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_balloon *b = ctx;

	if (b->stats_held && vmm_virtq_add_used(b->vq[ROLE_STATS], b->stats_token, 0) < 0)
		vmm_virtio_transport_needs_reset(b->transport);
	read_stats(b, chain);
	b->stats_held = true;
	b->stats_token = chain->token;
	return DRAIN_HOLD;
}

static void on_command(struct vmm_virtio_balloon *b, uint32_t command)
{
	bool asked = b->hinting == VMM_VIRTIO_BALLOON_HINT_ASKED;

	if (asked && command == b->hint_command)
		b->hinting = VMM_VIRTIO_BALLOON_HINT_RUNNING;
	else if (b->hinting == VMM_VIRTIO_BALLOON_HINT_RUNNING &&
		 command == BALLOON_HINT_STOP)
		b->hinting = VMM_VIRTIO_BALLOON_HINT_COMPLETE;
	else if (command != BALLOON_HINT_STOP)
		b->stats.stale_hints++;
}

static bool poisoned(const struct vmm_virtio_balloon *b)
{
	return (b->features & F_POISON) && b->poison != 0;
}

static int64_t on_hint(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_balloon *b = ctx;
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	uint32_t command;

	if (chain->readable_len == sizeof(command)) {
		if (vmm_virtq_read(&reader, &command, sizeof(command)) == 0)
			on_command(b, le32toh(command));
	} else if (chain->readable_len > 0) {
		b->stats.bad_requests++;
	}
	if (chain->writable_n > 0 && b->hinting != VMM_VIRTIO_BALLOON_HINT_RUNNING) {
		b->stats.stale_hints++;
		return 0;
	}
	if (poisoned(b) && !b->opts.hint)
		return 0;
	for (uint32_t i = 0; i < chain->writable_n; i++)
		balloon_free_range(b, &chain->iov[chain->readable_n + i], true);
	return 0;
}

static int64_t on_report(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_balloon *b = ctx;

	if (chain->readable_n > 0)
		b->stats.bad_requests++;
	else if (!poisoned(b))
		for (uint32_t i = 0; i < chain->writable_n; i++)
			balloon_free_range(b, &chain->iov[i], false);
	return 0;
}

static struct drain drain_of(struct vmm_virtio_balloon *b, uint32_t role)
{
	static int64_t (*const handlers[ROLES])(void *,
						const struct vmm_virtq_chain *) = {
		on_inflate, on_deflate, on_stats, on_hint, on_report,
	};
	struct drain d = {
		.vq = b->vq[role],
		.transport = b->transport,
		.index = b->index[role],
		.iov = b->iov,
		.iov_max = BALLOON_IOVECS,
		.one = handlers[role],
		.ctx = b,
		.lock = &b->lock,
	};

	return d;
}

static void wake(const struct vmm_virtio_balloon *b)
{
	if (b->opts.thread)
		own_thread_wake(&b->thread);
	else
		b->opts.wake(b->opts.ctx);
}

void vmm_virtio_balloon_run(struct vmm_virtio_balloon *balloon)
{
	bool more = false;

	fair_enter(&balloon->lock);
	for (uint32_t role = 0; role < ROLES; role++) {
		struct drain d = drain_of(balloon, role);

		if (d.vq && !balloon->paused)
			more |= drain_queue(&d);
	}
	fair_leave(&balloon->lock);
	if (more)
		wake(balloon);
}

static void run(void *ctx)
{
	vmm_virtio_balloon_run(ctx);
}

int vmm_virtio_balloon_poll_stats(struct vmm_virtio_balloon *balloon)
{
	struct drain d;
	int ret = -EOPNOTSUPP;

	fair_enter(&balloon->lock);
	d = drain_of(balloon, ROLE_STATS);
	if (d.vq && (balloon->paused || !balloon->stats_held)) {
		ret = -EAGAIN;
	} else if (d.vq) {
		ret = 0;
		balloon->stats_held = false;
		if (vmm_virtq_add_used(d.vq, balloon->stats_token, 0) < 0)
			vmm_virtio_transport_needs_reset(d.transport);
		drain_signal(&d);
	}
	fair_leave(&balloon->lock);
	return ret;
}

static void put32(uint8_t *config, uint32_t offset, uint32_t value)
{
	value = htole32(value);
	memcpy(config + offset, &value, sizeof(value));
}

static int tell(struct vmm_virtio_transport *t, uint32_t offset, uint32_t value)
{
	value = htole32(value);
	return vmm_virtio_transport_set_config(t, offset, &value, sizeof(value));
}

int vmm_virtio_balloon_set_target(struct vmm_virtio_balloon *balloon,
				  struct vmm_virtio_transport *transport, uint32_t pages)
{
	int ret = -EINVAL;

	if (transport->ctx != balloon)
		return ret;
	fair_enter(&balloon->lock);
	if (pages <= balloon->map.all)
		ret = tell(transport, BALLOON_CONFIG_TARGET, pages);
	if (ret == 0)
		balloon->target = pages;
	fair_leave(&balloon->lock);
	return ret;
}

int vmm_virtio_balloon_start_hints(struct vmm_virtio_balloon *balloon)
{
	struct vmm_virtio_balloon *b = balloon;
	int ret = -EOPNOTSUPP;

	fair_enter(&b->lock);
	if (b->vq[ROLE_HINT]) {
		b->hint_id = b->hint_id < BALLOON_HINT_FIRST || b->hint_id == UINT32_MAX
				 ? BALLOON_HINT_FIRST
				 : b->hint_id + 1;
		b->hint_command = b->hint_id;
		b->hinting = VMM_VIRTIO_BALLOON_HINT_ASKED;
		ret = tell(b->transport, BALLOON_CONFIG_HINT, b->hint_command);
	}
	fair_leave(&b->lock);
	return ret;
}

void vmm_virtio_balloon_end_hints(struct vmm_virtio_balloon *balloon)
{
	struct vmm_virtio_balloon *b = balloon;

	fair_enter(&b->lock);
	if (b->hinting != VMM_VIRTIO_BALLOON_HINT_IDLE && b->vq[ROLE_HINT]) {
		b->hinting = VMM_VIRTIO_BALLOON_HINT_IDLE;
		b->hint_command = BALLOON_HINT_DONE;
		if (tell(b->transport, BALLOON_CONFIG_HINT, b->hint_command) < 0)
			vmm_virtio_transport_needs_reset(b->transport);
	}
	fair_leave(&b->lock);
}

void vmm_virtio_balloon_get_guest(struct vmm_virtio_balloon *balloon,
				  struct vmm_virtio_balloon_guest *out)
{
	fair_enter(&balloon->lock);
	tell_caller(out, out->size, &balloon->guest, sizeof(balloon->guest));
	fair_leave(&balloon->lock);
}

void vmm_virtio_balloon_get_stats(struct vmm_virtio_balloon *balloon,
				  struct vmm_virtio_balloon_stats *out)
{
	struct vmm_virtio_balloon *b = balloon;

	fair_enter(&b->lock);
	b->stats.pages = b->map.set;
	b->stats.actual = b->actual;
	b->stats.hinting = b->hinting;
	tell_caller(out, out->size, &b->stats, sizeof(b->stats));
	fair_leave(&b->lock);
}

int vmm_virtio_balloon_set_mem(struct vmm_virtio_balloon *balloon,
			       const struct vmm_mem *mem)
{
	struct balloon_map map;
	int ret = balloon_map_make(mem, &map);

	if (ret < 0)
		return ret;
	fair_enter(&balloon->lock);
	balloon_map_carry(&balloon->map, &map);
	balloon_map_free(&balloon->map);
	balloon->map = map;
	balloon->opts.mem = mem;
	fair_leave(&balloon->lock);
	return 0;
}

static bool role_is_used(const struct vmm_virtio_balloon *b, uint32_t role)
{
	static const uint64_t needs[ROLES] = { 0, 0, F_STATS, F_HINT, F_REPORT };

	return (b->features & needs[role]) == needs[role];
}

/*
 * virtio 1.2, 5.5.2 gives each queue a fixed number; drivers are known that number those
 * they use without gaps. If the queues with the fixed numbers are there, those are meant.
 */
static void find_queues(struct vmm_virtio_balloon *b,
			const struct vmm_virtio_activation *a)
{
	bool fixed = true;
	uint32_t at = 0;

	for (uint32_t i = 0; i < ROLES; i++)
		fixed &= !role_is_used(b, i) || vmm_virtq_is_enabled(a->queues[i]);
	for (uint32_t i = 0; i < ROLES; i++) {
		b->vq[i] = NULL;
		if (!role_is_used(b, i))
			continue;
		b->index[i] = fixed ? i : at;
		at++;
		if (vmm_virtq_is_enabled(a->queues[b->index[i]]))
			b->vq[i] = a->queues[b->index[i]];
	}
}

int balloon_activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	b->features = a->features[0];
	b->transport = a->transport;
	b->queues = a->queues;
	find_queues(b, a);
	fair_leave(&b->lock);
	return 0;
}

/* The driver takes all its pages back: whatever it had, the next one starts anew. */
static void reset(void *ctx)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	for (uint32_t i = 0; i < ROLES; i++)
		b->vq[i] = NULL;
	memset(b->map.words, 0, b->map.word_n * sizeof(*b->map.words));
	b->map.set = 0;
	b->stats_held = false;
	b->paused = false;
	b->actual = 0;
	b->poison = 0;
	b->hint_command = BALLOON_HINT_STOP;
	b->hinting = VMM_VIRTIO_BALLOON_HINT_IDLE;
	if (tell(b->transport, BALLOON_CONFIG_ACTUAL, 0) < 0 ||
	    tell(b->transport, BALLOON_CONFIG_HINT, BALLOON_HINT_STOP) < 0 ||
	    tell(b->transport, BALLOON_CONFIG_POISON, 0) < 0)
		vmm_virtio_transport_needs_reset(b->transport);
	fair_leave(&b->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	for (uint32_t i = 0; i < ROLES; i++) {
		if (!b->vq[i] || b->index[i] != index)
			continue;
		b->vq[i] = NULL;
		if (i == ROLE_STATS)
			b->stats_held = false;
	}
	fair_leave(&b->lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	for (uint32_t i = 0; i < ROLES; i++) {
		if (role_is_used(b, i) && b->index[i] == index)
			b->vq[i] = b->queues[index];
	}
	fair_leave(&b->lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_balloon *b = ctx;

	(void)index;
	wake(b);
}

/* Written in any width: put the bytes together as they come. */
static void config_written(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	struct vmm_virtio_balloon *b = ctx;
	uint8_t now[BALLOON_CONFIG_LEN];
	uint32_t actual, poison;

	fair_enter(&b->lock);
	put32(now, BALLOON_CONFIG_ACTUAL, b->actual);
	put32(now, BALLOON_CONFIG_POISON, b->poison);
	if (offset <= BALLOON_CONFIG_LEN && len <= BALLOON_CONFIG_LEN - offset)
		memcpy(now + offset, data, len);
	memcpy(&actual, now + BALLOON_CONFIG_ACTUAL, sizeof(actual));
	memcpy(&poison, now + BALLOON_CONFIG_POISON, sizeof(poison));
	b->actual = le32toh(actual);
	b->poison = le32toh(poison);
	fair_leave(&b->lock);
}

static const struct vmm_virtio_device_ops balloon_ops = {
	.size = sizeof(balloon_ops),
	.activate = balloon_activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.config_written = config_written,
	.pause = balloon_pause,
	.resume = balloon_resume,
	.save = balloon_save,
	.restore = balloon_load,
};

static void describe(struct vmm_virtio_balloon *b)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;

	memset(b->writable + BALLOON_CONFIG_ACTUAL, 0xff, 4);
	memset(b->writable + BALLOON_CONFIG_POISON, 0xff, 4);
	put32(b->config, BALLOON_CONFIG_TARGET, b->target);
	for (uint32_t i = 0; i < ROLES; i++)
		b->queue_max[i] = (uint16_t)b->opts.queue_max;
	b->device = blank;
	b->device.id = VMM_VIRTIO_ID_BALLOON;
	b->device.queue_n = ROLES;
	b->device.queue_max = b->queue_max;
	b->device.features[0] = b->opts.features;
	b->device.config = b->config;
	b->device.config_writable = b->writable;
	b->device.config_len = BALLOON_CONFIG_LEN;
	b->device.ops = &balloon_ops;
	b->device.ctx = b;
}

int vmm_virtio_balloon_new(const struct vmm_virtio_balloon_opts *opts,
			   struct vmm_virtio_balloon **out, struct vmm_error *err)
{
	struct vmm_virtio_balloon_opts o;
	struct vmm_virtio_balloon *b;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "balloon options of unknown layout");
	if ((!o.wake && !o.thread) || !o.mem || o.queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_set(err, -EINVAL,
				     "balloon without wake or memory, or "
				     "with queues too large");
	if (o.queue_max == 0)
		o.queue_max = QUEUE_DEFAULT;
	b = calloc(1, sizeof(*b));
	ret = b ? balloon_map_make(o.mem, &b->map) : -ENOMEM;
	if (ret < 0) {
		free(b);
		return vmm_error_set(err, ret, "no memory for a balloon");
	}
	if (o.target > b->map.all) {
		ret = vmm_error_at(err, -EINVAL, 0, b->map.all, o.target,
				   "balloon target of %u pages", o.target);
		balloon_map_free(&b->map);
		free(b);
		return ret;
	}
	b->opts = o;
	b->target = o.target;
	fair_init(&b->lock);
	own_thread_init(&b->thread);
	b->stats.size = sizeof(b->stats);
	b->guest.size = sizeof(b->guest);
	describe(b);
	ret = o.thread ? own_thread_start(&b->thread, run, b) : 0;
	if (ret < 0) {
		vmm_virtio_balloon_free(b);
		return vmm_error_set(err, ret, "no thread for a balloon");
	}
	*out = b;
	return 0;
}

void vmm_virtio_balloon_free(struct vmm_virtio_balloon *balloon)
{
	if (!balloon)
		return;
	own_thread_fini(&balloon->thread);
	balloon_map_free(&balloon->map);
	fair_fini(&balloon->lock);
	free(balloon);
}

const struct vmm_virtio_device *vmm_virtio_balloon_get_device(
    struct vmm_virtio_balloon *balloon)
{
	return &balloon->device;
}

int vmm_virtio_balloon_get_doorbell(const struct vmm_virtio_balloon *balloon)
{
	return balloon->thread.bell;
}

size_t vmm_virtio_balloon_get_pages(struct vmm_virtio_balloon *balloon, uint64_t *words,
				    size_t max)
{
	size_t n;

	fair_enter(&balloon->lock);
	n = balloon->map.word_n;
	if (n > 0 && n <= max)
		memcpy(words, balloon->map.words, n * sizeof(*words));
	fair_leave(&balloon->lock);
	return n;
}

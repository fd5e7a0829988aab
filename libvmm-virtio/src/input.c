/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/virtio-input.h>

#include "device-state.h"
#include "drain.h"
#include "options.h"
#include "stream.h"
#include "tell.h"

#define QUEUE_DEFAULT 64u
/* A chain of more pieces than this is refused: an event has 8 bytes. */
#define IOVECS 16u
/* How often a queue is looked at again because the driver goes on adding to it. */
#define ROUNDS 4u

enum { EVENTS, STATUS, QUEUES };

/* Types of events (linux/input-event-codes.h). */
enum { EV_SYN = 0, EV_ABS = 3, EV_FF = 21, TYPES = 32 };

/* Configuration space (virtio 1.2, 5.8.4): the driver writes the first two, the rest
 * answers that. */
enum {
	CONFIG_SELECT = 0,
	CONFIG_SUBSEL = 1,
	CONFIG_SIZE = 2,
	CONFIG_DATA = 8,
	DATA_LEN = 128,
	CONFIG_LEN = CONFIG_DATA + DATA_LEN,
};

enum {
	SELECT_NAME = 0x01,
	SELECT_SERIAL = 0x02,
	SELECT_IDS = 0x03,
	SELECT_EVENTS = 0x11,
};

_Static_assert(VMM_VIRTIO_INPUT_TEXT_MAX == DATA_LEN, "a text fits");
_Static_assert(VMM_VIRTIO_INPUT_CODES_MAX == DATA_LEN * 8, "a set of codes fits");

/* As it goes through a queue. */
struct wire_event {
	uint16_t type;
	uint16_t code;
	uint32_t value;
};

_Static_assert(sizeof(struct wire_event) == 8, "layout of the specification");

struct vmm_virtio_input {
	struct vmm_virtio_device device;
	uint16_t queue_max[QUEUES];
	uint8_t config[CONFIG_LEN];
	uint8_t writable[CONFIG_LEN];
	/* What does not change: texts, ids, and the codes of each type as bits. */
	char name[DATA_LEN + 1];
	char serial[DATA_LEN + 1];
	uint16_t id[4];
	uint8_t codes[TYPES][DATA_LEN];
	void (*status)(void *ctx, const struct vmm_virtio_input_event *event);
	void *ctx;
	/* From the moment that it carries the device. */
	struct vmm_virtio_transport *transport;

	/* Protects all below. */
	pthread_mutex_t lock;
	bool paused;
	struct vmm_virtq *vq[QUEUES];
	struct vmm_virtq *const *queues;
	uint8_t select, subsel;
	struct vmm_virtio_input_event waiting[VMM_VIRTIO_INPUT_WAITING_MAX];
	uint32_t first, count;
	struct vmm_virtio_input_stats stats;
	struct iovec iov[IOVECS];
};

/* Configuration space. */

/* Bytes of a set that are not behind its last code. */
static uint8_t bits_len(const uint8_t *bits)
{
	uint32_t len = DATA_LEN;

	while (len > 0 && bits[len - 1] == 0)
		len--;
	return (uint8_t)len;
}

static uint8_t put_text(uint8_t *data, const char *text)
{
	size_t len = strlen(text);

	memcpy(data, text, len);
	return (uint8_t)len;
}

static uint8_t put_ids(uint8_t *data, const uint16_t id[4])
{
	for (int i = 0; i < 4; i++) {
		uint16_t value = htole16(id[i]);

		memcpy(data + 2 * i, &value, sizeof(value));
	}
	return 8;
}

/* What the driver finds for a selection; a size of 0 says that there is no such thing. */
static uint8_t answer(const struct vmm_virtio_input *in, uint8_t *data)
{
	if (in->select == SELECT_EVENTS && in->subsel < TYPES) {
		memcpy(data, in->codes[in->subsel], DATA_LEN);
		return bits_len(in->codes[in->subsel]);
	}
	if (in->subsel != 0)
		return 0;
	switch (in->select) {
	case SELECT_NAME:
		return put_text(data, in->name);
	case SELECT_SERIAL:
		return put_text(data, in->serial);
	case SELECT_IDS:
		return put_ids(data, in->id);
	default:
		return 0;
	}
}

/* The caller holds the lock. */
static int show(struct vmm_virtio_input *in)
{
	uint8_t config[CONFIG_LEN - CONFIG_SIZE] = { 0 };

	config[0] = answer(in, config + CONFIG_DATA - CONFIG_SIZE);
	return vmm_virtio_transport_sync_config(in->transport, CONFIG_SIZE, config,
						sizeof(config));
}

static void config_written(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	struct vmm_virtio_input *in = ctx;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&in->lock);
	for (uint32_t i = 0; i < len; i++) {
		if (offset + i == CONFIG_SELECT)
			in->select = bytes[i];
		else if (offset + i == CONFIG_SUBSEL)
			in->subsel = bytes[i];
	}
	if (show(in) < 0)
		vmm_virtio_transport_needs_reset(in->transport);
	pthread_mutex_unlock(&in->lock);
}

/* Queues: the caller holds the lock. */

static int64_t give_event(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_input *in = ctx;
	struct vmm_virtq_cursor writer = vmm_virtq_writer(chain);
	const struct vmm_virtio_input_event *event = &in->waiting[in->first];
	const struct wire_event wire = { htole16(event->type), htole16(event->code),
					 htole32(event->value) };

	if (in->count == 0)
		return DRAIN_LATER;
	if (vmm_virtq_write(&writer, &wire, sizeof(wire)) < 0) {
		in->stats.bad_buffers++;
		return 0;
	}
	in->first = (in->first + 1) % VMM_VIRTIO_INPUT_WAITING_MAX;
	in->count--;
	in->stats.events++;
	return sizeof(wire);
}

/* One event of each chain: more would be work without a bound. */
static int64_t take_status(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtio_input *in = ctx;
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	struct vmm_virtio_input_event event;
	struct wire_event wire;

	if (vmm_virtq_read(&reader, &wire, sizeof(wire)) < 0) {
		in->stats.bad_buffers++;
		return 0;
	}
	event.type = le16toh(wire.type);
	event.code = le16toh(wire.code);
	event.value = le32toh(wire.value);
	in->stats.status++;
	if (in->status)
		in->status(in->ctx, &event);
	return 0;
}

static void serve(struct vmm_virtio_input *in, uint32_t index)
{
	const struct drain drain = {
		.vq = in->vq[index],
		.transport = in->transport,
		.index = index,
		.iov = in->iov,
		.iov_max = IOVECS,
		.one = index == EVENTS ? give_event : take_status,
		.ctx = in,
	};

	if (in->paused || !in->vq[index] || !vmm_virtq_is_enabled(in->vq[index]))
		return;
	for (uint32_t i = 0; i < ROUNDS && drain_queue(&drain); i++)
		continue;
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_input *in = ctx;

	pthread_mutex_lock(&in->lock);
	serve(in, index);
	pthread_mutex_unlock(&in->lock);
}

/* Life. */

static void attach(void *ctx, struct vmm_virtio_transport *transport)
{
	struct vmm_virtio_input *in = ctx;

	in->transport = transport;
}

static int activate(void *ctx, const struct vmm_virtio_activation *activation)
{
	struct vmm_virtio_input *in = ctx;

	pthread_mutex_lock(&in->lock);
	in->queues = activation->queues;
	for (uint32_t i = 0; i < QUEUES; i++)
		in->vq[i] = in->queues[i];
	pthread_mutex_unlock(&in->lock);
	return 0;
}

static void reset(void *ctx)
{
	struct vmm_virtio_input *in = ctx;

	pthread_mutex_lock(&in->lock);
	in->paused = false;
	in->vq[EVENTS] = in->vq[STATUS] = NULL;
	in->count = 0;
	pthread_mutex_unlock(&in->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_input *in = ctx;

	pthread_mutex_lock(&in->lock);
	in->vq[index] = NULL;
	pthread_mutex_unlock(&in->lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_input *in = ctx;

	pthread_mutex_lock(&in->lock);
	in->vq[index] = in->queues[index];
	pthread_mutex_unlock(&in->lock);
}

static void set_paused(struct vmm_virtio_input *in, bool paused)
{
	pthread_mutex_lock(&in->lock);
	in->paused = paused;
	pthread_mutex_unlock(&in->lock);
}

static void on_pause(void *ctx)
{
	set_paused(ctx, true);
}

static void on_resume(void *ctx)
{
	set_paused(ctx, false);
}

/* Saved state. */

struct saved {
	uint32_t version;
	uint8_t select, subsel;
	uint32_t count;
	struct vmm_virtio_input_event events[VMM_VIRTIO_INPUT_WAITING_MAX];
};

static void describe(struct stream *s, void *state)
{
	struct saved *v = state;

	stream_u32(s, &v->version);
	stream_u8(s, &v->select);
	stream_u8(s, &v->subsel);
	stream_u32(s, &v->count);
	for (uint32_t i = 0; i < v->count && i < VMM_VIRTIO_INPUT_WAITING_MAX; i++) {
		stream_u16(s, &v->events[i].type);
		stream_u16(s, &v->events[i].code);
		stream_u32(s, &v->events[i].value);
	}
}

static int64_t save(void *ctx, void *buf, size_t size)
{
	struct vmm_virtio_input *in = ctx;
	struct saved v = { .version = DEVICE_STATE_VERSION };

	pthread_mutex_lock(&in->lock);
	v.select = in->select;
	v.subsel = in->subsel;
	v.count = in->count;
	for (uint32_t i = 0; i < in->count; i++)
		v.events[i] = in->waiting[(in->first + i) % VMM_VIRTIO_INPUT_WAITING_MAX];
	pthread_mutex_unlock(&in->lock);
	return stream_save(buf, size, describe, &v);
}

static bool has_code(const struct vmm_virtio_input *in,
		     const struct vmm_virtio_input_event *event)
{
	return event->type < TYPES && event->code < VMM_VIRTIO_INPUT_CODES_MAX &&
	       in->codes[event->type][event->code / 8] >> (event->code % 8) & 1;
}

static bool is_mark(const struct vmm_virtio_input_event *event)
{
	return event->type == EV_SYN && event->code == 0 && event->value == 0;
}

static bool is_sound(const struct vmm_virtio_input *in, const struct saved *v)
{
	if (v->version != DEVICE_STATE_VERSION || v->count > VMM_VIRTIO_INPUT_WAITING_MAX)
		return false;
	for (uint32_t i = 0; i < v->count; i++) {
		if (!has_code(in, &v->events[i]) && !is_mark(&v->events[i]))
			return false;
	}
	return v->count == 0 || is_mark(&v->events[v->count - 1]);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *activation, const void *data,
		   size_t len)
{
	struct vmm_virtio_input *in = ctx;
	struct saved v = { 0 };
	int ret = stream_load(data, len, describe, &v);

	if (ret == 0 && !is_sound(in, &v))
		ret = -EBADMSG;
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&in->lock);
	in->select = v.select;
	in->subsel = v.subsel;
	in->first = 0;
	in->count = v.count;
	memcpy(in->waiting, v.events, sizeof(in->waiting));
	in->paused = activation != NULL;
	ret = show(in);
	pthread_mutex_unlock(&in->lock);
	return ret == 0 && activation ? activate(in, activation) : ret;
}

static const struct vmm_virtio_device_ops input_ops = {
	.size = sizeof(input_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.config_written = config_written,
	.pause = on_pause,
	.resume = on_resume,
	.save = save,
	.restore = restore,
	.attach = attach,
};

/* Making one. */

static int add_codes(struct vmm_virtio_input *in, const struct vmm_virtio_input_codes *c)
{
	uint8_t *bits;

	if (c->type == EV_SYN || c->type >= TYPES || c->type == EV_ABS ||
	    c->type == EV_FF || c->count == 0 || bits_len(in->codes[c->type]) > 0)
		return -EINVAL;
	bits = in->codes[c->type];
	for (uint32_t i = 0; i < c->count; i++) {
		if (c->codes[i] >= VMM_VIRTIO_INPUT_CODES_MAX)
			return -EINVAL;
		bits[c->codes[i] / 8] |= (uint8_t)(1u << (c->codes[i] % 8));
	}
	return 0;
}

static int copy_text(char to[DATA_LEN + 1], const char *from)
{
	size_t len = strnlen(from, DATA_LEN + 1);

	if (len > DATA_LEN)
		return -E2BIG;
	memcpy(to, from, len);
	return 0;
}

static int fill(struct vmm_virtio_input *in, const struct vmm_virtio_input_opts *o)
{
	int ret = copy_text(in->name, o->name ? o->name : "virtio input");

	if (ret == 0)
		ret = copy_text(in->serial, o->serial ? o->serial : "");
	for (uint32_t i = 0; ret == 0 && i < o->type_count; i++)
		ret = add_codes(in, &o->codes[i]);
	return ret;
}

static void describe_device(struct vmm_virtio_input *in,
			    const struct vmm_virtio_input_opts *o)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;

	in->queue_max[EVENTS] = in->queue_max[STATUS] =
	    (uint16_t)(o->queue_max ? o->queue_max : QUEUE_DEFAULT);
	in->writable[CONFIG_SELECT] = in->writable[CONFIG_SUBSEL] = UINT8_MAX;
	in->device = blank;
	in->device.id = VMM_VIRTIO_ID_INPUT;
	in->device.queue_n = QUEUES;
	in->device.queue_max = in->queue_max;
	in->device.features[0] = o->features;
	in->device.config = in->config;
	in->device.config_writable = in->writable;
	in->device.config_len = CONFIG_LEN;
	in->device.ops = &input_ops;
	in->device.ctx = in;
}

int vmm_virtio_input_new(const struct vmm_virtio_input_opts *opts,
			 struct vmm_virtio_input **out)
{
	struct vmm_virtio_input_opts o;
	struct vmm_virtio_input *in;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return ret;
	if (o.queue_max > VMM_VIRTQ_SIZE_MAX || o.type_count == 0 || !o.codes)
		return -EINVAL;
	in = calloc(1, sizeof(*in));
	if (!in)
		return -ENOMEM;
	ret = fill(in, &o);
	if (ret < 0) {
		free(in);
		return ret;
	}
	memcpy(in->id, o.id, sizeof(in->id));
	in->status = o.status;
	in->ctx = o.ctx;
	describe_device(in, &o);
	pthread_mutex_init(&in->lock, NULL);
	*out = in;
	return 0;
}

void vmm_virtio_input_free(struct vmm_virtio_input *input)
{
	if (!input)
		return;
	pthread_mutex_destroy(&input->lock);
	free(input);
}

const struct vmm_virtio_device *vmm_virtio_input_get_device(
    struct vmm_virtio_input *input)
{
	return &input->device;
}

static void add_waiting(struct vmm_virtio_input *in,
			const struct vmm_virtio_input_event *event)
{
	uint32_t at = (in->first + in->count++) % VMM_VIRTIO_INPUT_WAITING_MAX;

	in->waiting[at] = *event;
}

int vmm_virtio_input_send(struct vmm_virtio_input *input,
			  const struct vmm_virtio_input_event *events, size_t count)
{
	static const struct vmm_virtio_input_event mark = { EV_SYN, 0, 0 };
	int ret = 0;

	if (count == 0 || count > VMM_VIRTIO_INPUT_REPORT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!has_code(input, &events[i]))
			return -EINVAL;
	}

	pthread_mutex_lock(&input->lock);
	if (count + 1 > VMM_VIRTIO_INPUT_WAITING_MAX - input->count) {
		input->stats.refused++;
		ret = -EAGAIN;
	} else {
		for (size_t i = 0; i < count; i++)
			add_waiting(input, &events[i]);
		add_waiting(input, &mark);
		serve(input, EVENTS);
	}
	pthread_mutex_unlock(&input->lock);
	return ret;
}

void vmm_virtio_input_get_stats(struct vmm_virtio_input *input,
				struct vmm_virtio_input_stats *out)
{
	pthread_mutex_lock(&input->lock);
	tell_caller(out, out->size, &input->stats, sizeof(input->stats));
	pthread_mutex_unlock(&input->lock);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The balloon at rest, and what there is to know about it. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balloon.h"
#include "stream.h"

/* The statistics that the device keeps go back to the ring: a packed ring cannot be saved
 * without them, and the driver's answer is read again from there. */
void balloon_pause(void *ctx)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	b->paused = true;
	if (b->stats_held && b->vq[ROLE_STATS] &&
	    vmm_virtq_undo_pop(b->vq[ROLE_STATS], b->stats_token) == 0)
		b->stats_held = false;
	fair_leave(&b->lock);
}

void balloon_resume(void *ctx)
{
	struct vmm_virtio_balloon *b = ctx;

	fair_enter(&b->lock);
	b->paused = false;
	fair_leave(&b->lock);
}

static void get_state(const struct vmm_virtio_balloon *b, struct balloon_state *out)
{
	out->version = DEVICE_STATE_VERSION;
	out->target = b->target;
	out->actual = b->actual;
	out->hint_command = b->hint_command;
	out->poison = b->poison;
	out->hinting = b->hinting;
	out->words = b->map.word_n;
}

void balloon_get_state(struct vmm_virtio_balloon *b, struct balloon_state *out)
{
	fair_enter(&b->lock);
	get_state(b, out);
	fair_leave(&b->lock);
}

static bool is_sound(const struct vmm_virtio_balloon *b, const struct balloon_state *s)
{
	bool idle = s->hinting == VMM_VIRTIO_BALLOON_HINT_IDLE;

	return s->version == DEVICE_STATE_VERSION && s->target <= b->map.all &&
	       s->hinting <= VMM_VIRTIO_BALLOON_HINT_COMPLETE &&
	       idle == (s->hint_command < BALLOON_HINT_FIRST);
}

/* Nothing is discarded: the memory was saved without it. */
int balloon_set_state(struct vmm_virtio_balloon *b, const struct balloon_state *s,
		      const uint64_t *words)
{
	int ret;

	fair_enter(&b->lock);
	if (b->vq[ROLE_INFLATE])
		ret = -EBUSY;
	else if (!is_sound(b, s))
		ret = -EBADMSG;
	else
		ret = balloon_map_load(&b->map, words, s->words);
	if (ret == 0) {
		b->target = s->target;
		b->actual = s->actual;
		b->poison = s->poison;
		b->hint_command = s->hint_command;
		b->hint_id = s->hint_command;
		b->hinting = s->hinting;
	}
	fair_leave(&b->lock);
	return ret;
}

struct saved {
	struct balloon_state state;
	uint64_t *words;
	/* How many the device has, whatever the state says. */
	size_t n;
};

static void describe(struct stream *s, void *state)
{
	struct saved *v = state;

	stream_u32(s, &v->state.version);
	stream_u32(s, &v->state.target);
	stream_u32(s, &v->state.actual);
	stream_u32(s, &v->state.hint_command);
	stream_u32(s, &v->state.poison);
	stream_u32(s, &v->state.hinting);
	stream_u64(s, &v->state.words);
	for (size_t i = 0; i < v->n; i++)
		stream_u64(s, &v->words[i]);
}

int64_t balloon_save(void *ctx, void *buf, size_t size)
{
	struct vmm_virtio_balloon *b = ctx;
	struct saved v;
	int64_t len;

	fair_enter(&b->lock);
	get_state(b, &v.state);
	v.words = b->map.words;
	v.n = b->map.word_n;
	len = stream_save(buf, size, describe, &v);
	fair_leave(&b->lock);
	return len;
}

static int load(struct vmm_virtio_balloon *b, const void *data, size_t len)
{
	struct saved v = { .words = NULL };
	int ret;

	fair_enter(&b->lock);
	v.n = b->map.word_n;
	fair_leave(&b->lock);
	v.words = calloc(v.n ? v.n : 1, sizeof(*v.words));
	ret = v.words ? stream_load(data, len, describe, &v) : -ENOMEM;
	if (ret == 0 && v.state.words != v.n)
		ret = -EBADMSG;
	if (ret == 0)
		ret = balloon_set_state(b, &v.state, v.words);
	free(v.words);
	return ret;
}

int balloon_load(void *ctx, struct vmm_virtio_transport *transport,
		 const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vmm_virtio_balloon *b = ctx;
	uint32_t shown[4];
	int ret;

	/* For the reset that follows a failure. */
	fair_enter(&b->lock);
	b->transport = transport;
	fair_leave(&b->lock);
	ret = load(b, data, len);
	if (ret < 0)
		return ret;
	fair_enter(&b->lock);
	shown[BALLOON_CONFIG_TARGET / 4] = htole32(b->target);
	shown[BALLOON_CONFIG_ACTUAL / 4] = htole32(b->actual);
	shown[BALLOON_CONFIG_HINT / 4] = htole32(b->hint_command);
	shown[BALLOON_CONFIG_POISON / 4] = htole32(b->poison);
	ret = vmm_virtio_transport_sync_config(transport, 0, shown, sizeof(shown));
	fair_leave(&b->lock);
	if (ret < 0 || !a)
		return ret;
	balloon_pause(b);
	return balloon_activate(b, a);
}

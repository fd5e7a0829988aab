/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "console.h"
#include "stream.h"

void console_get_state(struct vmm_virtio_console *c, struct console_state *out)
{
	memset(out, 0, sizeof(*out));
	out->version = DEVICE_STATE_VERSION;
	fair_enter(&c->lock);
	out->port_n = c->port_n;
	out->features = c->features;
	out->cols = c->cols;
	out->rows = c->rows;
	for (uint32_t i = 0; i < c->port_n; i++) {
		const struct console_port *p = &c->ports[i];

		out->ports[i].flags = (p->ready ? CONSOLE_PORT_IS_READY : 0u) |
				      (p->open ? CONSOLE_PORT_IS_OPEN : 0u);
		out->ports[i].messages = p->messages;
		out->ports[i].done = p->done;
	}
	fair_leave(&c->lock);
}

static bool is_sound(const struct vmm_virtio_console *c, const struct console_state *s)
{
	if (s->version != DEVICE_STATE_VERSION)
		return false;
	if (s->port_n != c->port_n)
		return false;
	if ((s->features & ~c->offered) ||
	    (s->features && !(s->features & VMM_VIRTIO_F_VERSION_1)))
		return false;
	for (uint32_t i = 0; i < VMM_VIRTIO_CONSOLE_PORTS_MAX; i++) {
		uint32_t used = s->ports[i].flags | s->ports[i].messages;

		if (s->ports[i].flags & ~(CONSOLE_PORT_IS_READY | CONSOLE_PORT_IS_OPEN))
			return false;
		if (s->ports[i].messages & ~CONSOLE_MESSAGES)
			return false;
		if (s->ports[i].done > UINT32_MAX)
			return false;
		if ((used && !(s->features & CONSOLE_F_MULTIPORT)) ||
		    (i >= s->port_n && (used || s->ports[i].done)) ||
		    (!s->features && s->ports[i].done))
			return false;
	}
	return true;
}

int console_set_state(struct vmm_virtio_console *c, const struct console_state *s)
{
	int ret = 0;

	if (!is_sound(c, s))
		return -EBADMSG;
	fair_enter(&c->lock);
	if (c->features) {
		ret = -EBUSY;
	} else {
		c->pending = *s;
		c->has_pending = s->features != 0;
	}
	fair_leave(&c->lock);
	return ret;
}

int console_state_apply(struct vmm_virtio_console *c)
{
	const struct console_state *s = &c->pending;

	c->has_pending = false;
	if (s->features != c->features)
		return -EBADMSG;
	c->cols = s->cols;
	c->rows = s->rows;
	for (uint32_t i = 0; i < c->port_n; i++) {
		struct console_port *p = &c->ports[i];

		p->ready = s->ports[i].flags & CONSOLE_PORT_IS_READY;
		p->open = s->ports[i].flags & CONSOLE_PORT_IS_OPEN;
		p->messages = s->ports[i].messages;
		p->done = s->ports[i].done;
	}
	return 0;
}

static void describe(struct stream *s, void *state)
{
	struct console_state *v = state;

	stream_u32(s, &v->version);
	stream_u32(s, &v->port_n);
	stream_u64(s, &v->features);
	stream_u16(s, &v->cols);
	stream_u16(s, &v->rows);
	/* More ports than there can be are not looked at: the check refuses them. */
	for (uint32_t i = 0; i < v->port_n && i < VMM_VIRTIO_CONSOLE_PORTS_MAX; i++) {
		stream_u32(s, &v->ports[i].flags);
		stream_u32(s, &v->ports[i].messages);
		stream_u64(s, &v->ports[i].done);
	}
}

int64_t console_save(void *ctx, void *buf, size_t size)
{
	struct console_state s;

	console_get_state(ctx, &s);
	return stream_save(buf, size, describe, &s);
}

int console_load(struct vmm_virtio_console *c, uint64_t features, const void *data,
		 size_t len)
{
	struct console_state s = { .version = 0 };
	int ret = stream_load(data, len, describe, &s);

	if (ret < 0)
		return ret;
	if (features && s.features != features)
		return -EBADMSG;
	ret = console_set_state(c, &s);
	if (ret < 0 || features)
		return ret;
	/* It has no driver: there is nothing else to know. */
	fair_enter(&c->lock);
	c->has_pending = false;
	c->cols = s.cols;
	c->rows = s.rows;
	fair_leave(&c->lock);
	return 0;
}

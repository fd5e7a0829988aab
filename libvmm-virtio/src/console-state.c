/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "console.h"
#include "options.h"

void vmm_virtio_console_get_state(struct vmm_virtio_console *console,
				  struct vmm_virtio_console_state *out)
{
	struct vmm_virtio_console_state s;
	size_t size = out->size < sizeof(s) ? out->size : sizeof(s);

	memset(&s, 0, sizeof(s));
	s.size = size;
	s.version = VMM_VIRTIO_CONSOLE_STATE_VERSION;
	pthread_mutex_lock(&console->lock);
	s.port_n = console->port_n;
	s.features = console->features;
	s.cols = console->cols;
	s.rows = console->rows;
	for (uint32_t i = 0; i < console->port_n; i++) {
		const struct console_port *p = &console->ports[i];

		s.ports[i].flags = (p->ready ? VMM_VIRTIO_CONSOLE_READY : 0u) |
				   (p->open ? VMM_VIRTIO_CONSOLE_OPEN : 0u);
		s.ports[i].messages = p->messages;
		s.ports[i].done = p->done;
	}
	pthread_mutex_unlock(&console->lock);
	if (size >= sizeof(s.size))
		memcpy(out, &s, size);
}

static const char *find_fault(const struct vmm_virtio_console *c,
			      const struct vmm_virtio_console_state *s)
{
	if (s->version != VMM_VIRTIO_CONSOLE_STATE_VERSION)
		return "version";
	if (s->reserved_ != 0)
		return "reserved field";
	if (s->port_n != c->port_n)
		return "number of ports";
	if ((s->features & ~c->offered) ||
	    (s->features && !(s->features & VMM_VIRTIO_F_VERSION_1)))
		return "features";
	for (uint32_t i = 0; i < VMM_VIRTIO_CONSOLE_PORTS_MAX; i++) {
		uint32_t used = s->ports[i].flags | s->ports[i].messages;

		if (s->ports[i].flags &
		    ~(VMM_VIRTIO_CONSOLE_READY | VMM_VIRTIO_CONSOLE_OPEN))
			return "flags of a port";
		if (s->ports[i].messages & ~CONSOLE_MESSAGES)
			return "messages of a port";
		if (s->ports[i].done > UINT32_MAX)
			return "place in the output";
		if ((used && !(s->features & CONSOLE_F_MULTIPORT)) ||
		    (i >= s->port_n && (used || s->ports[i].done)) ||
		    (!s->features && s->ports[i].done))
			return "port that is not in use";
	}
	return NULL;
}

int vmm_virtio_console_set_state(struct vmm_virtio_console *console,
				 const struct vmm_virtio_console_state *state,
				 struct vmm_error *err)
{
	struct vmm_virtio_console_state s;
	int ret = options_copy(&s, sizeof(s), state, state->size);
	const char *fault;

	if (ret < 0)
		return vmm_error_set(err, ret, "state of a console device: layout");
	fault = find_fault(console, &s);
	if (fault)
		return vmm_error_set(err, -EBADMSG, "state of a console device: %s",
				     fault);
	pthread_mutex_lock(&console->lock);
	if (console->features) {
		ret = vmm_error_set(err, -EBUSY, "console device is active");
	} else {
		console->pending = s;
		console->has_pending = s.features != 0;
	}
	pthread_mutex_unlock(&console->lock);
	return ret;
}

int console_state_apply(struct vmm_virtio_console *c)
{
	const struct vmm_virtio_console_state *s = &c->pending;

	c->has_pending = false;
	if (s->features != c->features)
		return -EBADMSG;
	c->cols = s->cols;
	c->rows = s->rows;
	for (uint32_t i = 0; i < c->port_n; i++) {
		struct console_port *p = &c->ports[i];

		p->ready = s->ports[i].flags & VMM_VIRTIO_CONSOLE_READY;
		p->open = s->ports[i].flags & VMM_VIRTIO_CONSOLE_OPEN;
		p->messages = s->ports[i].messages;
		p->done = s->ports[i].done;
	}
	return 0;
}

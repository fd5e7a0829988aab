/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages between driver and device about ports (virtio 1.2, 5.3.6.2). */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "console.h"
#include "probes.h"

struct message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

void console_tell(struct vmm_virtio_console *c, uint32_t port, uint32_t event)
{
	struct console_port *p = &c->ports[port];

	if (!(c->features & CONSOLE_F_MULTIPORT))
		return;
	if (p->ready || event == CONSOLE_PORT_ADD)
		p->messages |= 1u << event;
}

/* A port that the driver took up learns all there is about it. */
static void introduce(struct vmm_virtio_console *c, uint32_t port)
{
	struct console_port *p = &c->ports[port];

	p->ready = true;
	if (p->console)
		console_tell(c, port, CONSOLE_CONSOLE_PORT);
	if (p->name[0] != '\0')
		console_tell(c, port, CONSOLE_PORT_NAME);
	if (!p->closed)
		console_tell(c, port, CONSOLE_PORT_OPEN);
	if (port == 0 && c->cols != 0 && (c->features & CONSOLE_F_SIZE))
		console_tell(c, port, CONSOLE_RESIZE);
}

static bool take(struct vmm_virtio_console *c, const struct message *m)
{
	if (m->event == CONSOLE_DEVICE_READY) {
		for (uint32_t i = 0; i < c->port_n && m->value == 1; i++)
			console_tell(c, i, CONSOLE_PORT_ADD);
		return true;
	}
	if (m->id >= c->port_n)
		return false;
	if (m->event == CONSOLE_PORT_READY) {
		/* Any other value: the driver could not set the port up. */
		if (m->value == 1)
			introduce(c, m->id);
		return true;
	}
	if (m->event != CONSOLE_PORT_OPEN || m->value > 1)
		return false;
	c->ports[m->id].open = m->value == 1;
	/* The port was looked at before the message was. */
	c->again = true;
	return true;
}

static void take_message(struct vmm_virtio_console *c,
			 const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor in = vmm_virtq_reader(chain);
	struct message m;

	if (chain->writable_n > 0 || vmm_virtq_read(&in, &m, sizeof(m)) < 0) {
		c->stats.bad_chains++;
		return;
	}
	m.id = le32toh(m.id);
	m.event = le16toh(m.event);
	m.value = le16toh(m.value);
	*(take(c, &m) ? &c->stats.ctrl_ok : &c->stats.ctrl_err) += 1;
}

static void take_messages(struct vmm_virtio_console *c)
{
	struct vmm_virtq *q = c->vqs[CONSOLE_CTRL_TX];

	PROBE3(serve, VMM_VIRTIO_ID_CONSOLE, CONSOLE_CTRL_TX, c->transport);
	for (uint32_t budget = vmm_virtq_get_num(q); budget > 0;
	     budget = console_budget(c, budget)) {
		struct vmm_virtq_chain chain = { .iov = NULL };
		int ret = console_pop(c, CONSOLE_CTRL_TX, &chain);

		if (ret == -EAGAIN)
			break;
		if (ret < 0)
			continue;
		take_message(c, &chain);
		console_use(c, CONSOLE_CTRL_TX, chain.token, 0);
	}
	console_signal(c, CONSOLE_CTRL_TX);
	if (vmm_virtq_enable_notification(q))
		c->again = true;
}

/* What a message says is what is true when it is sent. Returns its length. */
static uint32_t write_message(const struct vmm_virtio_console *c, uint32_t port,
			      uint32_t event, uint8_t *to)
{
	const struct console_port *p = &c->ports[port];
	struct message m = { htole32(port), htole16((uint16_t)event), htole16(1) };
	uint16_t size[2] = { htole16(c->rows), htole16(c->cols) };
	size_t len = 0;

	if (event == CONSOLE_PORT_OPEN && p->closed)
		m.value = 0;
	memcpy(to, &m, sizeof(m));
	to += sizeof(m);
	if (event == CONSOLE_RESIZE) {
		/* Rows first, as drivers read it; the text has it the other way. */
		len = sizeof(size);
		memcpy(to, size, len);
	} else if (event == CONSOLE_PORT_NAME) {
		/* Without an end mark: the length says where it is. */
		len = strlen(p->name);
		memcpy(to, p->name, len);
	}
	return (uint32_t)(sizeof(m) + len);
}

/* Returns false if the driver has no buffer for it. */
static bool send_message(struct vmm_virtio_console *c, uint32_t port, uint32_t event,
			 uint32_t *budget)
{
	uint8_t bytes[CONSOLE_MESSAGE_LEN + VMM_VIRTIO_CONSOLE_NAME_MAX + 1];
	uint32_t len = write_message(c, port, event, bytes);

	for (; *budget > 0; *budget = console_budget(c, *budget)) {
		struct vmm_virtq_chain chain = { .iov = NULL };
		struct vmm_virtq_cursor out;
		int ret = console_pop(c, CONSOLE_CTRL_RX, &chain);

		if (ret == -EAGAIN)
			return false;
		if (ret < 0)
			continue;
		if (chain.readable_n > 0 || chain.writable_len < len) {
			c->stats.bad_chains++;
			console_use(c, CONSOLE_CTRL_RX, chain.token, 0);
			continue;
		}
		out = vmm_virtq_writer(&chain);
		(void)vmm_virtq_write_some(&out, bytes, len);
		console_use(c, CONSOLE_CTRL_RX, chain.token, len);
		*budget = console_budget(c, *budget);
		return true;
	}
	c->again = true;
	return false;
}

/* All messages of one port before those of the next, in the order of their numbers: a
 * driver learns of a port before anything else about it. */
static bool send_messages_of(struct vmm_virtio_console *c, uint32_t port,
			     uint32_t *budget)
{
	struct console_port *p = &c->ports[port];

	while (p->messages != 0) {
		uint32_t event = (uint32_t)__builtin_ctz(p->messages);

		if (!send_message(c, port, event, budget))
			return false;
		p->messages &= ~(1u << event);
	}
	return true;
}

static void send_messages(struct vmm_virtio_console *c)
{
	struct vmm_virtq *q = c->vqs[CONSOLE_CTRL_RX];
	uint32_t budget = vmm_virtq_get_num(q);
	bool all = true;

	PROBE3(serve, VMM_VIRTIO_ID_CONSOLE, CONSOLE_CTRL_RX, c->transport);
	for (uint32_t i = 0; i < c->port_n && all; i++)
		all = send_messages_of(c, i, &budget);
	console_signal(c, CONSOLE_CTRL_RX);
	if (all)
		vmm_virtq_disable_notification(q);
	else if (vmm_virtq_enable_notification(q))
		c->again = true;
}

void console_ctrl_serve(struct vmm_virtio_console *c)
{
	if (c->vqs[CONSOLE_CTRL_TX])
		take_messages(c);
	if (c->vqs[CONSOLE_CTRL_RX])
		send_messages(c);
}

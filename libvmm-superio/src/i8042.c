/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/superio.h>

#include "internal.h"
#include "ps2.h"

#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM 0x04u
#define STATUS_COMMAND 0x08u
#define STATUS_NOT_LOCKED 0x10u
#define STATUS_FROM_MOUSE 0x20u

#define CFG_KBD_IRQ 0x01u
#define CFG_MOUSE_IRQ 0x02u
#define CFG_SYSTEM 0x04u
#define CFG_KBD_OFF 0x10u
#define CFG_MOUSE_OFF 0x20u
#define CFG_TRANSLATE 0x40u
#define CFG_MASK 0x7fu

#define OUT_NO_RESET 0x01u
#define OUT_A20 0x02u

#define ANSWER_AS_MOUSE 0x100u

enum { NOTHING, AN_ANSWER, FROM_KEYBOARD, FROM_MOUSE };

struct vmm_sio_i8042 {
	/* The state is what is saved, so that it is kept in that form. */
	struct vmm_sio_i8042_state st;
	bool irq[2];
	struct vmm_sio_i8042_ops ops;
	void *ctx;
};

static uint8_t *config(struct vmm_sio_i8042 *dev)
{
	return &dev->st.memory[0];
}

static bool output_is_mouse(const struct vmm_sio_i8042_state *st)
{
	return st->source == FROM_MOUSE ||
	       (st->source == AN_ANSWER && (st->answers[0] & ANSWER_AS_MOUSE));
}

static void set_line(struct vmm_sio_i8042 *dev, uint32_t which, bool level)
{
	if (dev->irq[which] == level)
		return;
	dev->irq[which] = level;
	if (dev->ops.set_irq)
		dev->ops.set_irq(dev->ctx, which, level);
}

static void update_lines(struct vmm_sio_i8042 *dev)
{
	bool full = dev->st.source != NOTHING, mouse = output_is_mouse(&dev->st);

	set_line(dev, VMM_SIO_I8042_KEYBOARD,
		 full && !mouse && (*config(dev) & CFG_KBD_IRQ));
	set_line(dev, VMM_SIO_I8042_MOUSE,
		 full && mouse && (*config(dev) & CFG_MOUSE_IRQ));
}

/* Put the keyboard's next byte into the output buffer. False if it was only a prefix. */
static bool load_keyboard(struct vmm_sio_i8042_state *st)
{
	uint8_t byte = ps2_take(&st->keyboard);

	if ((st->memory[0] & CFG_TRANSLATE) && !ps2_translate(&st->keyboard, byte, &byte))
		return false;
	st->output = byte;
	st->source = FROM_KEYBOARD;
	return true;
}

/* Fill the output buffer. An answer of the controller goes before anything else, but
 * the byte in the buffer stays until it is read. */
static void fill_output(struct vmm_sio_i8042 *dev)
{
	struct vmm_sio_i8042_state *st = &dev->st;

	while (st->source == NOTHING) {
		if (st->answers_len > 0) {
			st->source = AN_ANSWER;
			st->output = (uint8_t)st->answers[0];
		} else if (st->keyboard.queue_len > 0 && !(*config(dev) & CFG_KBD_OFF)) {
			(void)load_keyboard(st);
		} else if (st->mouse.queue_len > 0 && !(*config(dev) & CFG_MOUSE_OFF)) {
			st->source = FROM_MOUSE;
			st->output = ps2_take(&st->mouse);
		} else {
			break;
		}
	}
	update_lines(dev);
}

static void drop_answer(struct vmm_sio_i8042_state *st)
{
	st->answers_len--;
	memmove(st->answers, st->answers + 1, st->answers_len * sizeof(st->answers[0]));
	st->answers[st->answers_len] = 0;
}

/* A guest that sends commands without reading their answers loses the oldest. */
static void answer(struct vmm_sio_i8042 *dev, uint16_t byte)
{
	struct vmm_sio_i8042_state *st = &dev->st;

	if (st->answers_len == VMM_SIO_I8042_ANSWERS) {
		if (st->source == AN_ANSWER)
			st->source = NOTHING;
		drop_answer(st);
	}
	st->answers[st->answers_len++] = byte;
	fill_output(dev);
}

static void set_output_port(struct vmm_sio_i8042 *dev, uint8_t value)
{
	uint8_t changed = dev->st.output_port ^ value;

	dev->st.output_port = (value & OUT_A20) | OUT_NO_RESET;
	if ((changed & OUT_A20) && dev->ops.set_a20)
		dev->ops.set_a20(dev->ctx, value & OUT_A20);
	if (!(value & OUT_NO_RESET) && dev->ops.reset)
		dev->ops.reset(dev->ctx);
}

static uint8_t read_output_port(const struct vmm_sio_i8042 *dev)
{
	return (uint8_t)(0xc0 | dev->st.output_port | dev->irq[0] << 4 |
			 dev->irq[1] << 5);
}

static void set_config(struct vmm_sio_i8042 *dev, uint8_t set, uint8_t clear)
{
	*config(dev) = (uint8_t)((*config(dev) & ~clear) | set);
	fill_output(dev);
}

static bool in_range(uint8_t value, uint8_t first, uint8_t last)
{
	return value >= first && value <= last;
}

static bool takes_argument(uint8_t command)
{
	return in_range(command, 0x60, 0x7f) || in_range(command, 0xd1, 0xd4);
}

static void write_command(struct vmm_sio_i8042 *dev, uint8_t command)
{
	struct vmm_sio_i8042_state *st = &dev->st;

	st->last_was_command = 1;
	st->command = 0;
	if (takes_argument(command)) {
		st->command = command;
		return;
	}
	if (in_range(command, 0x20, 0x3f)) {
		answer(dev, st->memory[command & 0x1f]);
		return;
	}
	if (command >= 0xf0) {
		if (!(command & OUT_NO_RESET) && dev->ops.reset)
			dev->ops.reset(dev->ctx);
		return;
	}

	switch (command) {
	case 0xa7:
		set_config(dev, CFG_MOUSE_OFF, 0);
		break;
	case 0xa8:
		set_config(dev, 0, CFG_MOUSE_OFF);
		break;
	case 0xa9:
	case 0xab:
	case 0xe0:
		answer(dev, 0x00);
		break;
	case 0xaa:
		*config(dev) |= CFG_SYSTEM;
		answer(dev, 0x55);
		break;
	case 0xad:
		set_config(dev, CFG_KBD_OFF, 0);
		break;
	case 0xae:
		set_config(dev, 0, CFG_KBD_OFF);
		break;
	case 0xc0:
		answer(dev, 0x80);
		break;
	case 0xd0:
		answer(dev, read_output_port(dev));
		break;
	case 0xdd:
	case 0xdf:
		set_output_port(dev, (command & OUT_A20) | OUT_NO_RESET);
		break;
	default:
		break;
	}
}

static void write_keyboard(struct vmm_sio_i8042 *dev, uint8_t value)
{
	uint8_t leds = dev->st.keyboard.lights;

	/* Talking to the keyboard switches it on. */
	*config(dev) &= (uint8_t)~CFG_KBD_OFF;
	ps2_keyboard_write(&dev->st.keyboard, value);
	if (dev->st.keyboard.lights != leds && dev->ops.set_leds)
		dev->ops.set_leds(dev->ctx, dev->st.keyboard.lights);
	fill_output(dev);
}

static void write_data(struct vmm_sio_i8042 *dev, uint8_t value)
{
	struct vmm_sio_i8042_state *st = &dev->st;
	uint8_t command = st->command;

	st->last_was_command = 0;
	st->command = 0;
	switch (command) {
	case 0:
		write_keyboard(dev, value);
		break;
	case 0x60:
		*config(dev) = value & CFG_MASK;
		fill_output(dev);
		break;
	case 0xd1:
		set_output_port(dev, value);
		break;
	case 0xd2:
		answer(dev, value);
		break;
	case 0xd3:
		answer(dev, value | ANSWER_AS_MOUSE);
		break;
	case 0xd4:
		*config(dev) &= (uint8_t)~CFG_MOUSE_OFF;
		ps2_mouse_write(&st->mouse, value);
		fill_output(dev);
		break;
	default: /* 61 to 7F */
		st->memory[command & 0x1f] = value;
		break;
	}
}

static uint8_t read_data(struct vmm_sio_i8042 *dev)
{
	struct vmm_sio_i8042_state *st = &dev->st;
	uint8_t value = st->output;

	if (st->source == NOTHING)
		return value;

	if (st->source == AN_ANSWER)
		drop_answer(st);
	st->source = NOTHING;
	/* The line drops before the next byte raises it: an edge for each. */
	update_lines(dev);
	fill_output(dev);
	return value;
}

static uint8_t read_status(const struct vmm_sio_i8042 *dev)
{
	const struct vmm_sio_i8042_state *st = &dev->st;
	uint8_t value = STATUS_NOT_LOCKED;

	if (st->source != NOTHING)
		value |= STATUS_OUTPUT_FULL;
	if (output_is_mouse(st))
		value |= STATUS_FROM_MOUSE;
	if (st->memory[0] & CFG_SYSTEM)
		value |= STATUS_SYSTEM;
	if (st->last_was_command)
		value |= STATUS_COMMAND;
	return value;
}

uint8_t vmm_sio_i8042_read(struct vmm_sio_i8042 *dev, uint8_t offset)
{
	if (offset == VMM_SIO_I8042_DATA)
		return read_data(dev);
	if (offset == VMM_SIO_I8042_COMMAND)
		return read_status(dev);
	return 0;
}

void vmm_sio_i8042_write(struct vmm_sio_i8042 *dev, uint8_t offset, uint8_t value)
{
	if (offset == VMM_SIO_I8042_DATA)
		write_data(dev, value);
	else if (offset == VMM_SIO_I8042_COMMAND)
		write_command(dev, value);
}

int vmm_sio_i8042_type(struct vmm_sio_i8042 *dev, const uint8_t *codes, size_t len)
{
	if (len > VMM_SIO_I8042_QUEUE)
		return -E2BIG;
	if (!dev->st.keyboard.enabled)
		return 0;
	if (!ps2_send(&dev->st.keyboard, codes, len))
		return -EAGAIN;
	fill_output(dev);
	return 0;
}

int vmm_sio_i8042_ctrl_alt_del(struct vmm_sio_i8042 *dev)
{
	/* Left Control, left Alt, Delete (of the grey block) down; up in reverse. */
	static const uint8_t codes[] = { 0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0,
					 0x71, 0xf0, 0x11, 0xf0, 0x14 };

	return vmm_sio_i8042_type(dev, codes, sizeof(codes));
}

static int32_t clamp_move(int32_t v)
{
	return v < -255 ? -255 : v > 255 ? 255 : v;
}

int vmm_sio_i8042_move(struct vmm_sio_i8042 *dev, int32_t dx, int32_t dy,
		       uint32_t buttons)
{
	struct vmm_sio_ps2_state *mouse = &dev->st.mouse;
	uint8_t packet[3];

	if (buttons & ~7u)
		return -EINVAL;
	dx = clamp_move(dx);
	dy = clamp_move(dy);
	packet[0] =
	    (uint8_t)(0x08u | buttons | (dx < 0 ? 0x10u : 0) | (dy < 0 ? 0x20u : 0));
	packet[1] = (uint8_t)dx;
	packet[2] = (uint8_t)dy;

	/* Enabled, in stream mode, and not wrapped around. */
	if (mouse->enabled && !(mouse->mode & 6)) {
		if (!ps2_send(mouse, packet, sizeof(packet)))
			return -EAGAIN;
		fill_output(dev);
	}
	mouse->lights = (uint8_t)buttons;
	return 0;
}

static bool answers_ok(const struct vmm_sio_i8042_state *st)
{
	for (uint32_t i = 0; i < VMM_SIO_I8042_ANSWERS; i++) {
		if (st->answers[i] &
		    (i < st->answers_len ? ~(ANSWER_AS_MOUSE | 0xffu) : ~0u))
			return false;
	}
	return st->answers_len <= VMM_SIO_I8042_ANSWERS;
}

static int check_state(const struct vmm_sio_i8042_state *st, struct vmm_error *err)
{
	const char *what;

	if (st->command != 0 && !takes_argument(st->command))
		return sio_bad_state(err, "the command", st->command);
	if (st->last_was_command > 1 ||
	    !sio_is_zero(st->reserved_, sizeof(st->reserved_)))
		return sio_bad_state(err, "a reserved bit", st->last_was_command);
	if (st->output_port != OUT_NO_RESET &&
	    st->output_port != (OUT_NO_RESET | OUT_A20))
		return sio_bad_state(err, "the output port", st->output_port);
	if (st->memory[0] & ~CFG_MASK)
		return sio_bad_state(err, "the configuration", st->memory[0]);
	if (!answers_ok(st))
		return sio_bad_state(err, "the list of answers, of length",
				     st->answers_len);
	if (st->source > FROM_MOUSE ||
	    (st->source == AN_ANSWER &&
	     (st->answers_len == 0 || (st->answers[0] & 0xff) != st->output)))
		return sio_bad_state(err, "the output's source", st->source);

	what = ps2_keyboard_check(&st->keyboard);
	if (!what)
		what = ps2_mouse_check(&st->mouse);
	return what ? sio_bad_state(err, what, 0) : 0;
}

int vmm_sio_i8042_save(const struct vmm_sio_i8042 *dev, struct vmm_sio_i8042_state *out)
{
	return sio_state_out(out, &dev->st, sizeof(dev->st));
}

int vmm_sio_i8042_restore(struct vmm_sio_i8042 *dev,
			  const struct vmm_sio_i8042_state *state, struct vmm_error *err)
{
	struct vmm_sio_i8042_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_I8042_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	ret = check_state(&st, err);
	if (ret < 0)
		return ret;

	set_line(dev, VMM_SIO_I8042_KEYBOARD, false);
	set_line(dev, VMM_SIO_I8042_MOUSE, false);
	dev->st = st;
	dev->st.size = sizeof(st);
	fill_output(dev);
	return 0;
}

int vmm_sio_i8042_new(const struct vmm_sio_i8042_opts *opts, struct vmm_sio_i8042 **out)
{
	struct vmm_sio_i8042_opts o;
	struct vmm_sio_i8042_ops ops;
	struct vmm_sio_i8042 *dev;
	int ret;

	ret = sio_opts_in(&o, sizeof(o), opts);
	if (ret < 0)
		return ret;
	ret = sio_opts_in(&ops, sizeof(ops), o.ops);
	if (ret < 0)
		return ret;

	dev = sio_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->ops = ops;
	dev->ctx = o.ctx;
	dev->st.size = sizeof(dev->st);
	dev->st.version = VMM_SIO_I8042_STATE_VERSION;
	dev->st.output_port = OUT_NO_RESET | OUT_A20;
	*config(dev) = CFG_TRANSLATE | CFG_SYSTEM | CFG_KBD_IRQ;
	ps2_keyboard_reset(&dev->st.keyboard);
	ps2_mouse_reset(&dev->st.mouse);
	*out = dev;
	return 0;
}

void vmm_sio_i8042_free(struct vmm_sio_i8042 *dev)
{
	free(dev);
}

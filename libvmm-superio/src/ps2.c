/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The devices behind the keyboard controller. */
#include <string.h>

#include "internal.h"
#include "ps2.h"

#define ACK 0xfau
#define NAK 0xfeu
#define BAT_OK 0xaau

#define KBD_BREAK_SEEN 0x01u

#define MOUSE_SCALED 0x01u
#define MOUSE_REMOTE 0x02u
#define MOUSE_WRAP 0x04u

/* Scan code set 2 to set 1 for 00 to 7F, as the controller's ROM has it. Of the rest
 * only 83 and 84 change. */
static const uint8_t to_set1[128] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e,
	0x0f, 0x29, 0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71,
	0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04,
	0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23,
	0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, 0x6b,
	0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19,
	0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c,
	0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b,
	0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d,
	0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

bool ps2_translate(struct vmm_sio_ps2_state *kbd, uint8_t byte, uint8_t *out)
{
	uint8_t code = byte, release = kbd->mode & KBD_BREAK_SEEN ? 0x80 : 0;

	if (byte == 0xf0) {
		kbd->mode |= KBD_BREAK_SEEN;
		return false;
	}
	if (byte < sizeof(to_set1))
		code = to_set1[byte];
	else if (byte == 0x83)
		code = 0x41;
	else if (byte == 0x84)
		code = 0x54;
	kbd->mode &= (uint8_t)~KBD_BREAK_SEEN;
	*out = code | release;
	return true;
}

bool ps2_send(struct vmm_sio_ps2_state *dev, const uint8_t *bytes, size_t len)
{
	if (len > (size_t)(VMM_SIO_I8042_QUEUE - dev->queue_len))
		return false;
	memcpy(dev->queue + dev->queue_len, bytes, len);
	dev->queue_len = (uint8_t)(dev->queue_len + len);
	return true;
}

uint8_t ps2_take(struct vmm_sio_ps2_state *dev)
{
	uint8_t byte = dev->queue[0];

	dev->queue_len--;
	memmove(dev->queue, dev->queue + 1, dev->queue_len);
	dev->queue[dev->queue_len] = 0;
	dev->last = byte;
	return byte;
}

static void flush(struct vmm_sio_ps2_state *dev)
{
	memset(dev->queue, 0, sizeof(dev->queue));
	dev->queue_len = 0;
}

/* An answer must get through: what the user did gives way if there is no room. */
static void answer(struct vmm_sio_ps2_state *dev, const uint8_t *bytes, size_t len)
{
	if (!ps2_send(dev, bytes, len)) {
		flush(dev);
		(void)ps2_send(dev, bytes, len);
	}
}

#define ANSWER(dev, ...)                                \
	answer((dev), (const uint8_t[]){ __VA_ARGS__ }, \
	       sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void keyboard_defaults(struct vmm_sio_ps2_state *kbd)
{
	kbd->setting = 2;
	kbd->rate = 0x2b;
	flush(kbd);
}

void ps2_keyboard_reset(struct vmm_sio_ps2_state *kbd)
{
	memset(kbd, 0, sizeof(*kbd));
	keyboard_defaults(kbd);
	kbd->enabled = 1;
}

static void keyboard_argument(struct vmm_sio_ps2_state *kbd, uint8_t command,
			      uint8_t byte)
{
	switch (command) {
	case 0xed:
		kbd->lights = byte & 7;
		ANSWER(kbd, ACK);
		break;
	case 0xf3:
		kbd->rate = byte & 0x7f;
		ANSWER(kbd, ACK);
		break;
	default:
		if (byte == 0) {
			ANSWER(kbd, ACK, kbd->setting);
		} else if (byte <= 3) {
			kbd->setting = byte;
			ANSWER(kbd, ACK);
		} else {
			ANSWER(kbd, NAK);
		}
		break;
	}
}

void ps2_keyboard_write(struct vmm_sio_ps2_state *kbd, uint8_t byte)
{
	uint8_t command = kbd->command;

	kbd->command = 0;
	/* No argument is above this, so the byte starts anew. */
	if (command && byte < 0xed) {
		keyboard_argument(kbd, command, byte);
		return;
	}

	switch (byte) {
	case 0xed: /* lamps */
	case 0xf0: /* scan code set */
	case 0xf3: /* typematic */
		kbd->command = byte;
		ANSWER(kbd, ACK);
		break;
	case 0xee: /* echo */
		ANSWER(kbd, 0xee);
		break;
	case 0xf2: /* identify */
		ANSWER(kbd, ACK, 0xab, 0x83);
		break;
	case 0xf4: /* scan */
		flush(kbd);
		kbd->enabled = 1;
		ANSWER(kbd, ACK);
		break;
	case 0xf5: /* defaults, do not scan */
	case 0xf6: /* defaults */
		keyboard_defaults(kbd);
		kbd->enabled = byte == 0xf6;
		ANSWER(kbd, ACK);
		break;
	case 0xf7: /* set 3: all keys repeat, ... */
	case 0xf8:
	case 0xf9:
	case 0xfa:
		ANSWER(kbd, ACK);
		break;
	case 0xfe: /* again */
		ANSWER(kbd, kbd->last);
		break;
	case 0xff:
		ps2_keyboard_reset(kbd);
		ANSWER(kbd, ACK, BAT_OK);
		break;
	default:
		ANSWER(kbd, NAK);
		break;
	}
}

static void mouse_defaults(struct vmm_sio_ps2_state *mouse)
{
	mouse->setting = 2;
	mouse->rate = 100;
	mouse->mode = 0;
	mouse->enabled = 0;
	flush(mouse);
}

void ps2_mouse_reset(struct vmm_sio_ps2_state *mouse)
{
	memset(mouse, 0, sizeof(*mouse));
	mouse_defaults(mouse);
}

static void mouse_status(struct vmm_sio_ps2_state *mouse)
{
	uint8_t status = 0;

	if (mouse->mode & MOUSE_REMOTE)
		status |= 0x40;
	if (mouse->enabled)
		status |= 0x20;
	if (mouse->mode & MOUSE_SCALED)
		status |= 0x10;
	if (mouse->lights & VMM_SIO_BUTTON_LEFT)
		status |= 0x04;
	if (mouse->lights & VMM_SIO_BUTTON_MIDDLE)
		status |= 0x02;
	if (mouse->lights & VMM_SIO_BUTTON_RIGHT)
		status |= 0x01;
	ANSWER(mouse, ACK, status, mouse->setting, mouse->rate);
}

static void mouse_argument(struct vmm_sio_ps2_state *mouse, uint8_t command, uint8_t byte)
{
	if (command == 0xe8 && byte > 3) {
		ANSWER(mouse, NAK);
		return;
	}
	if (command == 0xe8)
		mouse->setting = byte;
	else
		mouse->rate = byte;
	ANSWER(mouse, ACK);
}

static void mouse_command(struct vmm_sio_ps2_state *mouse, uint8_t byte)
{
	switch (byte) {
	case 0xe6: /* scaling 1:1 */
	case 0xe7: /* scaling 2:1 */
		mouse->mode = (uint8_t)((mouse->mode & ~MOUSE_SCALED) | (byte & 1));
		ANSWER(mouse, ACK);
		break;
	case 0xe8: /* resolution */
	case 0xf3: /* sample rate */
		mouse->command = byte;
		ANSWER(mouse, ACK);
		break;
	case 0xe9: /* status */
		mouse_status(mouse);
		break;
	case 0xea: /* stream mode */
	case 0xf0: /* remote mode */
		mouse->mode = (uint8_t)((mouse->mode & ~MOUSE_REMOTE) |
					(byte == 0xf0 ? MOUSE_REMOTE : 0));
		ANSWER(mouse, ACK);
		break;
	case 0xeb: /* a packet now; nothing moved since the last one */
		ANSWER(mouse, ACK, (uint8_t)(0x08u | mouse->lights), 0, 0);
		break;
	case 0xec: /* wrap off, which it is */
		ANSWER(mouse, ACK);
		break;
	case 0xee: /* wrap: send everything back */
		mouse->mode |= MOUSE_WRAP;
		ANSWER(mouse, ACK);
		break;
	case 0xf2: /* identify: a mouse without a wheel */
		ANSWER(mouse, ACK, 0);
		break;
	case 0xf4: /* report */
	case 0xf5: /* do not report */
		mouse->enabled = byte == 0xf4;
		ANSWER(mouse, ACK);
		break;
	case 0xf6:
		mouse_defaults(mouse);
		ANSWER(mouse, ACK);
		break;
	case 0xfe: /* again */
		ANSWER(mouse, mouse->last);
		break;
	case 0xff:
		mouse_defaults(mouse);
		ANSWER(mouse, ACK, BAT_OK, 0);
		break;
	default:
		ANSWER(mouse, NAK);
		break;
	}
}

void ps2_mouse_write(struct vmm_sio_ps2_state *mouse, uint8_t byte)
{
	uint8_t command = mouse->command;

	if ((mouse->mode & MOUSE_WRAP) && byte != 0xec && byte != 0xff) {
		ANSWER(mouse, byte);
		return;
	}
	mouse->mode &= (uint8_t)~MOUSE_WRAP;
	mouse->command = 0;
	if (command && byte < 0xe6)
		mouse_argument(mouse, command, byte);
	else
		mouse_command(mouse, byte);
}

static const char *check_common(const struct vmm_sio_ps2_state *dev)
{
	if (dev->enabled > 1)
		return "a PS/2 enable flag";
	if (dev->lights > 7)
		return "lamps or buttons";
	if (dev->queue_len > VMM_SIO_I8042_QUEUE ||
	    !sio_is_zero(dev->queue + dev->queue_len,
			 VMM_SIO_I8042_QUEUE - dev->queue_len))
		return "a PS/2 queue";
	return NULL;
}

const char *ps2_keyboard_check(const struct vmm_sio_ps2_state *kbd)
{
	if (kbd->command != 0 && kbd->command != 0xed && kbd->command != 0xf0 &&
	    kbd->command != 0xf3)
		return "the keyboard's command";
	if (kbd->setting < 1 || kbd->setting > 3 || kbd->rate > 0x7f ||
	    (kbd->mode & ~KBD_BREAK_SEEN))
		return "the keyboard's setting";
	return check_common(kbd);
}

const char *ps2_mouse_check(const struct vmm_sio_ps2_state *mouse)
{
	if (mouse->command != 0 && mouse->command != 0xe8 && mouse->command != 0xf3)
		return "the mouse's command";
	if (mouse->setting > 3 || mouse->mode > 7 || mouse->rate >= 0xe6)
		return "the mouse's setting";
	return check_common(mouse);
}

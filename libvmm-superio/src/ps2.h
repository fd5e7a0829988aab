/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_PS2_H
#define SIO_PS2_H

#include <vmm/superio.h>

/* A PS/2 device holds what its saved state holds, so that state is its struct. */

void ps2_keyboard_reset(struct vmm_sio_ps2_state *kbd);
void ps2_mouse_reset(struct vmm_sio_ps2_state *mouse);

/* A byte from the controller. */
void ps2_keyboard_write(struct vmm_sio_ps2_state *kbd, uint8_t byte);
void ps2_mouse_write(struct vmm_sio_ps2_state *mouse, uint8_t byte);

/* Queue @len bytes for the controller; false, and none is, if there is no room. */
bool ps2_send(struct vmm_sio_ps2_state *dev, const uint8_t *bytes, size_t len);

/* Take the oldest byte; the queue must not be empty. */
uint8_t ps2_take(struct vmm_sio_ps2_state *dev);

/* Translate a byte of the keyboard as the controller does. False if it is a prefix that
 * only changes the next one; @kbd->mode remembers it. */
bool ps2_translate(struct vmm_sio_ps2_state *kbd, uint8_t byte, uint8_t *out);

/* What is wrong with a device's state; NULL if nothing is. */
const char *ps2_keyboard_check(const struct vmm_sio_ps2_state *kbd);
const char *ps2_mouse_check(const struct vmm_sio_ps2_state *mouse);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include <linux/input-event-codes.h>
#include <vmm/virtio-input.h>

#include "../virtio.h"
#include "board.h"

/* The power button: a keyboard of one key. Debian's kernel for arm64 virtual machines has
 * no driver for one on a GPIO line, and none of ACPI without UEFI. */

static void button_free(void *object)
{
	vmm_virtio_input_free(object);
}

int board_add_virtio(struct virtio *virtio, struct vmm_error *err)
{
	static const uint16_t keys[] = { KEY_POWER };
	static const struct vmm_virtio_input_codes codes = { EV_KEY, 1, keys };
	struct vmm_virtio_input_opts opts = VMM_VIRTIO_INPUT_OPTS_INIT;
	struct virtio_device device = { .name = "power button", .free = button_free };
	struct vmm_virtio_input *button;
	int ret;

	opts.name = "Power Button";
	opts.codes = &codes;
	opts.type_count = 1;
	ret = vmm_virtio_input_new(&opts, &button);
	if (ret < 0)
		return vmm_error_set(err, ret, "power button: %s", strerror(-ret));
	device.object = button;
	device.device = vmm_virtio_input_get_device(button);
	virtio_get_machine(virtio)->board->button = button;
	return virtio_add(virtio, &device, err);
}

/* A press that finds no room is one of many that the guest has not looked at. */
void board_press_power_button(struct machine *machine)
{
	static const struct vmm_virtio_input_event press = { EV_KEY, KEY_POWER, 1 };
	static const struct vmm_virtio_input_event release = { EV_KEY, KEY_POWER, 0 };
	struct vmm_virtio_input *button = machine->board->button;

	if (vmm_virtio_input_send(button, &press, 1) == 0)
		(void)!vmm_virtio_input_send(button, &release, 1);
}

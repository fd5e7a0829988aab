/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef X86_64_BOARD_H
#define X86_64_BOARD_H

#include <pthread.h>
#include <vmm/superio.h>

#include "../console.h"
#include "../machine.h"

/* Where things are; the guest is told by ACPI. */
enum {
	COM1_PORT = 0x3f8,
	I8042_PORT = 0x60,
	I8042_PORTS = 5, /* data at 0x60, command at 0x64; KVM's PIT has 0x61 */
	POWER_PORT = 0x600,
	KEYBOARD_GSI = 1,
	COM1_GSI = 4,
	MOUSE_GSI = 12,
	IRQS = 3,
};

struct board {
	struct machine *machine;
	int kernel_fd;
	int initrd_fd;
	int irq_fd[IRQS]; /* irqfds: COM1, keyboard, mouse */
	struct console *console;
	pthread_mutex_t lock; /* guards the two below */
	struct vmm_sio_i8042 *i8042;
	struct vmm_sio_power *power;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef X86_64_BOARD_H
#define X86_64_BOARD_H

#include <pthread.h>
#include <vmm/superio.h>

#include "../console.h"
#include "../images.h"
#include "../machine.h"
#include "../rtc.h"

/* Where things are; the guest is told by ACPI. */
enum {
	COM1_PORT = 0x3f8,
	I8042_PORT = 0x60,
	I8042_PORTS = 5, /* data at 0x60, command at 0x64; KVM's PIT has 0x61 */
	RTC_PORT = 0x70,
	POWER_PORT = 0x600,
	KEYBOARD_GSI = 1,
	COM1_GSI = 4,
	RTC_GSI = 8,
	POWER_BUTTON_GSI = 9,
	MOUSE_GSI = 12,
	VIRTIO_GSI_FIRST = 5, /* those below are taken, the PIT's with them */
	VIRTIO_GSI_LAST = 23, /* of the one I/O APIC */
};

/* Interrupts, each with an irqfd. */
enum {
	IRQ_COM1,
	IRQ_KEYBOARD,
	IRQ_MOUSE,
	IRQ_RTC,
	IRQ_POWER_BUTTON,
	IRQS,
};

struct board {
	struct machine *machine;
	struct images images;
	int irq_fd[IRQS];
	struct rtc *rtc;
	pthread_mutex_t lock; /* guards the two below */
	struct vmm_sio_i8042 *i8042;
	struct vmm_sio_power *power;
};

#endif

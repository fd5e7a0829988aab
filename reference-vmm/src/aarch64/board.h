/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef AARCH64_BOARD_H
#define AARCH64_BOARD_H

#include <vmm/kvm-arm64.h>

#include "../console.h"
#include "../images.h"
#include "../machine.h"
#include "../rtc.h"
#include "layout.h"

/* Interrupts of the board, each with an irqfd. */
enum {
	IRQ_SERIAL,
	IRQ_RTC,
	IRQS,
};

enum { PARTS_MAX = 4 };

struct board {
	struct machine *machine;
	struct images images;
	int irq_fd[IRQS];
	struct rtc *rtc;
	uint32_t gic_version; /* 2 or 3: what this host has */
	struct vmm_kvm_arm64_gic_device *gic;
	struct vmm_virtio_input *button; /* one of the virtio devices */
	struct board_part parts[PARTS_MAX];
	/* The guest's counter when it was paused, if it could be read. */
	uint64_t counter;
	bool stopped;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MACHINE_H
#define MACHINE_H

#include <vmm/base.h>
#include <vmm/device.h>
#include <vmm/event.h>
#include <vmm/kvm-threads.h>
#include <vmm/kvm.h>
#include <vmm/loader.h>
#include <vmm/memory-space.h>

#include "options.h"
#include "outcome.h"

struct balloon;
struct board;
struct control;
struct cpu;
struct exit_trace;
struct virtio;
struct vmm_alloc_ids;
struct vmm_alloc_ranges;

/* A machine: what every architecture has. Zeroed memory is a machine that owns nothing.
 */
struct machine {
	const struct machine_desc *desc;
	struct outcome outcome;
	/* What the event loop's thread knows. */
	bool paused;
	bool stopping;	  /* the guest was asked to power off */
	uint64_t started; /* nanoseconds, see clock.h */
	struct control *control;
	struct vmm_event *loop;
	struct vmm_kvm *kvm;
	struct vmm_kvm_vm *vm;
	/* Guest memory. Its table is only to be had as a reader, for one unit of work: a
	 * thread that touches it cannot forget to say when it is done. */
	struct vmm_mem_space *space;
	struct vmm_bus *ports;
	struct vmm_bus *mmio;
	struct board *board;
	struct console *console; /* NULL: it has none */
	struct virtio *virtio;
	struct balloon *balloon; /* one of the virtio devices; NULL: none */
	struct cpu *cpus;
	struct vmm_kvm_threads *threads; /* of the vCPUs */
	struct exit_trace *trace;	 /* NULL: none */
};

/* Build a machine, run it to its end (or say what it is, for a dry run), take it apart.
 * Returns the exit status. */
int machine_run(const struct machine_desc *desc);

/* Bring vCPUs and devices to rest, and back. On the event loop; no effect if done already.
 * Whether the guest's clock goes on is up to the board. */
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);

/* An interrupt of the machine: a write to the eventfd is an edge of it. The caller closes
 * the descriptor, once KVM has let go of it. */
int machine_add_irq(struct machine *machine, uint32_t gsi, int *out_fd);

/*
 * The board: what this architecture adds, in a folder of its own.
 */

/* Open kernel and initrd and see what they are, before anything costs time. */
int board_open_images(struct machine *machine, struct vmm_error *err);

/* Find out if this host can run the guest at all. */
int board_check_host(struct machine *machine, struct vmm_error *err);

enum { BOARD_RAM_RANGES_MAX = 2 };

/* Say which ranges of guest memory there are. */
int board_get_ram(const struct machine *machine,
		  struct vmm_load_range ranges[BOARD_RAM_RANGES_MAX], size_t *out_count,
		  struct vmm_error *err);

/* Interrupt controllers, before the vCPUs. */
int board_new(struct machine *machine, struct vmm_error *err);

/* Interrupts and the board's own devices, after the vCPUs. */
int board_add_devices(struct machine *machine, struct vmm_error *err);

/* Say where virtio devices may be: addresses, and interrupts (GSI). Both are the caller's;
 * on failure those that were made, too. */
int board_get_places(struct vmm_alloc_ranges **out_windows,
		     struct vmm_alloc_ids **out_gsis);

/* Add the virtio devices that the board has of its own. */
int board_add_virtio(struct virtio *virtio, struct vmm_error *err);

/* What the board has, whatever the options say. */
struct board_part {
	const char *name;
	bool port; /* in the space of ports, not of memory */
	uint64_t base;
	uint64_t len;
	int gsi; /* -1: none */
};

const struct board_part *board_get_parts(const struct machine *machine,
					 size_t *out_count);

/* Load the guest and give each vCPU its first state. */
int board_load(struct machine *machine, const struct vmm_mem *mem, struct vmm_error *err);

/* Take input from now on. */
int board_start(struct machine *machine, struct vmm_error *err);

/* No vCPU runs for a while, or they are about to run again: the guest's watchdogs shall
 * not take that for a fault of the guest. */
void board_pause(struct machine *machine);
void board_resume(struct machine *machine);

/* Press the power button. Any thread. */
void board_press_power_button(struct machine *machine);

/* No vCPU runs any more: finish output. Works on a half-made board, and on none. */
void board_free(struct machine *machine);

/* Write registers and the bytes at the program counter to @text, for a crash report. */
void board_describe_cpu(const struct vmm_mem *mem, struct vmm_kvm_vcpu *vcpu, char *text,
			size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "background.h"
#include "clock.h"
#include "console.h"
#include "control-server.h"
#include "cpu.h"
#include "dry-run.h"
#include "exit-trace.h"
#include "machine.h"
#include "terminal.h"
#include "virtio.h"

/* Signals that stop the machine in order, and those that pause the process. */
static const int stop_signals[] = { SIGTERM, SIGINT, SIGHUP };

static void on_stop_signal(void *ctx, struct vmm_event_source *source,
			   const struct signalfd_siginfo *info)
{
	struct machine *machine = ctx;

	outcome_set(&machine->outcome, 0, "stopped by SIG%s",
		    sigabbrev_np((int)info->ssi_signo));
}

/* The shell gets its terminal back while we are stopped. */
static void on_suspend(void *ctx, struct vmm_event_source *source,
		       const struct signalfd_siginfo *info)
{
	bool was_raw = terminal_is_raw();

	terminal_restore();
	(void)raise(SIGSTOP);
	if (was_raw)
		terminal_enter_raw();
}

/* Before any thread starts: each inherits the mask, so that only the loop sees these. */
static int block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++)
		(void)sigaddset(&set, stop_signals[i]);
	(void)sigaddset(&set, SIGTSTP);
	(void)signal(SIGPIPE, SIG_IGN);
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int loop_new(struct machine *machine, struct vmm_error *err)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	int ret = block_signals();

	opts.measure = 1;
	if (ret == 0)
		ret = vmm_event_new(&opts, &machine->loop);
	for (size_t i = 0; ret == 0 && i < sizeof(stop_signals) / sizeof(stop_signals[0]);
	     i++)
		ret = vmm_event_add_signal(machine->loop, stop_signals[i], on_stop_signal,
					   machine, NULL);
	if (ret == 0)
		ret = vmm_event_add_signal(machine->loop, SIGTSTP, on_suspend, machine,
					   NULL);
	if (ret < 0)
		return vmm_error_set(err, ret, "event loop: %s", strerror(-ret));
	outcome_init(&machine->outcome, machine->loop);
	return 0;
}

static int kvm_new(struct machine *machine, struct vmm_error *err)
{
	const struct machine_desc *desc = machine->desc;
	uint32_t max;
	int ret;

	ret = vmm_kvm_open(desc->kvm_path[0] ? desc->kvm_path : NULL, &machine->kvm, err);
	if (ret < 0)
		return ret;
	max = vmm_kvm_get_max_vcpus(machine->kvm);
	if (desc->cpus > max)
		return vmm_error_at(err, -EINVAL, 0, max, desc->cpus,
				    "--cpus %u: this host's KVM has at most %u",
				    desc->cpus, max);
	ret = board_check_host(machine, err);
	if (ret < 0)
		return ret;
	return vmm_kvm_vm_open(machine->kvm, vmm_kvm_get_default_vm_type(machine->kvm),
			       &machine->vm, err);
}

/* Show a region of guest memory to the guest. */
static int add_slot(struct machine *machine, const struct vmm_mem *mem, size_t index,
		    struct vmm_error *err)
{
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_kvm_memory slot = VMM_KVM_MEMORY_INIT;
	int ret = vmm_mem_get_region(mem, index, &region);

	if (ret < 0)
		return vmm_error_set(err, ret, "guest memory: %s", strerror(-ret));
	slot.gpa = region.gpa;
	slot.len = region.len;
	slot.host = region.host;
	return vmm_kvm_vm_add_memory(machine->vm, &slot, NULL, err);
}

static int add_ram(const struct machine *machine, struct vmm_mem_builder *builder,
		   struct vmm_error *err)
{
	struct vmm_load_range ranges[BOARD_RAM_RANGES_MAX];
	size_t count = 0;
	int ret = board_get_ram(machine, ranges, &count, err);

	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct vmm_mem_region region = VMM_MEM_REGION_INIT;

		region.gpa = ranges[i].gpa;
		region.len = ranges[i].len;
		region.label = "ram";
		ret = vmm_mem_builder_add(builder, &region, err);
	}
	return ret;
}

static int memory_new(struct machine *machine, struct vmm_error *err)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	int ret = vmm_mem_builder_new(&builder);

	if (ret == 0)
		ret = add_ram(machine, builder, err);
	if (ret < 0)
		return ret;
	ret = vmm_mem_builder_build(builder, &mem);
	if (ret < 0)
		return vmm_error_set(err, ret, "guest memory: %s", strerror(-ret));
	for (size_t i = 0; ret == 0 && i < vmm_mem_region_count(mem); i++)
		ret = add_slot(machine, mem, i, err);
	if (ret < 0)
		return ret;

	ret = vmm_mem_space_new(mem, &machine->space);
	if (ret < 0)
		return vmm_error_set(err, ret, "guest memory: %s", strerror(-ret));
	mem = NULL; /* the space has it */
	return 0;
}

/* Loading is one unit of work on guest memory. */
static int load(struct machine *machine, struct vmm_error *err)
{
	struct vmm_mem_reader *reader = NULL;
	int ret = vmm_mem_space_add_reader(machine->space, "loader", &reader);

	if (ret < 0)
		return vmm_error_set(err, ret, "loader: %s", strerror(-ret));
	ret = board_load(machine, vmm_mem_reader_begin(reader), err);
	vmm_mem_space_remove_reader(machine->space, reader);
	return ret;
}

static int buses_new(struct machine *machine, struct vmm_error *err)
{
	int ret = vmm_bus_new(UINT16_MAX, &machine->ports);

	if (ret == 0)
		ret = vmm_bus_new(UINT64_MAX, &machine->mmio);
	return ret < 0 ? vmm_error_set(err, ret, "bus: %s", strerror(-ret)) : 0;
}

static int trace_new(struct machine *machine, struct vmm_error *err)
{
	const char *path = machine->desc->trace;

	return path[0] ? exit_trace_open(path, &machine->trace, err) : 0;
}

/* Whoever waits for a machine in the background. */
static int release_caller(struct machine *machine, struct vmm_error *err)
{
	background_done();
	return 0;
}

int machine_add_irq(struct machine *machine, uint32_t gsi, int *out_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ret = fd < 0 ? -errno : vmm_kvm_vm_add_irqfd(machine->vm, fd, gsi);

	if (ret == 0)
		*out_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* From nothing to a running machine. A dry run has no part in what others would see. */
static const struct step {
	const char *name;
	int (*run)(struct machine *machine, struct vmm_error *err);
	bool live;
} steps[] = {
	{ "event loop and signals", loop_new, false },
	{ "kernel and initrd found", board_open_images, false },
	{ "control socket", control_new, true },
	{ "KVM opened", kvm_new, false },
	{ "guest memory", memory_new, false },
	{ "buses", buses_new, false },
	{ "interrupt controllers", board_new, false },
	{ "vCPUs", cpus_new, false },
	{ "board", board_add_devices, false },
	{ "virtio devices", virtio_new, false },
	{ "guest loaded", load, false },
	{ "console", board_start, true },
	{ "trace", trace_new, true },
	{ "vCPUs started", cpus_start, true },
	{ "caller released", release_caller, true },
};

static void machine_free(struct machine *machine)
{
	cpus_free(machine);
	exit_trace_close(machine->trace);
	vmm_kvm_vm_close(
	    machine->vm); /* takes back the irqfds while their eventfds live */
	virtio_free(machine->virtio);
	if (machine->console)
		console_stop(machine->console);
	board_free(machine);
	vmm_bus_free(machine->ports);
	vmm_bus_free(machine->mmio);
	vmm_kvm_close(machine->kvm);
	vmm_mem_space_free(machine->space);
	/* Last: who waits for the end, also by its console, may start a successor at once. */
	control_free(machine->control);
	console_free(machine->console);
	vmm_event_free(machine->loop);
}

void machine_pause(struct machine *machine)
{
	if (machine->paused)
		return;
	machine->paused = true;
	/* Devices last: a vCPU that waits for one gets out of it. */
	vmm_kvm_threads_pause(machine->threads);
	board_pause(machine);
	virtio_pause(machine->virtio);
}

void machine_resume(struct machine *machine)
{
	if (!machine->paused)
		return;
	machine->paused = false;
	virtio_resume(machine->virtio);
	board_resume(machine);
	vmm_kvm_threads_resume(machine->threads);
}

static double ms_since(uint64_t start)
{
	return (double)(clock_ns() - start) / 1e6;
}

static int build(struct machine *machine, struct vmm_error *err)
{
	const struct machine_desc *desc = machine->desc;
	uint64_t start;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].live && desc->dry_run)
			continue;
		start = clock_ns();
		ret = steps[i].run(machine, err);
		if (desc->verbose)
			fprintf(stderr, "reference-vmm: %9.3f ms  %s%s\n",
				ms_since(start), steps[i].name,
				ret < 0 ? ": failed" : "");
	}
	if (ret == 0 && desc->verbose)
		fprintf(stderr, "reference-vmm: %9.3f ms  all together\n",
			ms_since(machine->started));
	return ret;
}

/* Until there is an outcome. */
static int run(struct machine *machine, struct vmm_error *err)
{
	int code, ret = vmm_event_run(machine->loop, &code);

	return ret < 0 ? vmm_error_set(err, ret, "event loop: %s", strerror(-ret)) : 0;
}

int machine_run(const struct machine_desc *desc)
{
	struct machine machine = { .desc = desc };
	struct vmm_error err = { 0 };
	const char *text;
	int ret, status;

	machine.started = clock_ns();
	if (desc->verbose && desc->config[0])
		fprintf(stderr, "reference-vmm: machine file %s\n", desc->config);
	ret = build(&machine, &err);
	if (ret == 0)
		ret = desc->dry_run ? dry_run_print(&machine, &err) : run(&machine, &err);
	/* vCPU threads leave once there is an outcome, whatever it is. */
	if (machine.loop && (ret < 0 || desc->dry_run))
		outcome_set(&machine.outcome, ret < 0 ? EXIT_MACHINE_FAILED : 0, "%s",
			    err.message);
	status = machine.loop ? machine.outcome.status : EXIT_MACHINE_FAILED;
	text = machine.loop ? machine.outcome.text : err.message;
	machine_free(&machine); /* the terminal is itself again before the last line */
	if (text[0])
		fprintf(stderr, "reference-vmm: %s\n", text);
	return status;
}

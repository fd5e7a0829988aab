/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "balloon.h"
#include "clock.h"
#include "console-users.h"
#include "console.h"
#include "control-commands.h"
#include "virtio.h"

/* Keys that end in _bytes, _ms or the like say their unit; clients that print text rely
 * on that. */

json_t *control_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy = json ? NULL : strdup(text);

	if (!copy)
		return json;
	for (char *c = copy; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	json = json_string(copy);
	free(copy);
	return json;
}

static const char *state_of(const struct machine *machine)
{
	if (machine->paused)
		return "paused";
	return machine->stopping ? "stopping" : "running";
}

static json_int_t uptime_ms(const struct machine *machine)
{
	return (json_int_t)((clock_ns() - machine->started) / 1000000);
}

static json_t *info(const struct machine *machine)
{
	const struct machine_desc *desc = machine->desc;

	return json_pack("{s:s, s:i, s:s, s:I, s:i, s:I, s:o}", "name", desc->name, "pid",
			 (int)getpid(), "state", state_of(machine), "uptime_ms",
			 uptime_ms(machine), "cpus", (int)desc->cpus, "memory_bytes",
			 (json_int_t)desc->memory, "kernel", control_text(desc->kernel));
}

static json_t *state(const struct machine *machine)
{
	return json_pack("{s:s}", "state", state_of(machine));
}

/* What the guest says of its memory: bytes, but for the faults. */
static json_t *guest_stats(const struct vmm_virtio_balloon_guest *guest)
{
	static const char *const keys[] = {
		[VMM_VIRTIO_BALLOON_S_SWAP_IN] = "swapped_in_bytes",
		[VMM_VIRTIO_BALLOON_S_SWAP_OUT] = "swapped_out_bytes",
		[VMM_VIRTIO_BALLOON_S_MAJFLT] = "major_faults",
		[VMM_VIRTIO_BALLOON_S_MINFLT] = "minor_faults",
		[VMM_VIRTIO_BALLOON_S_MEMFREE] = "free_bytes",
		[VMM_VIRTIO_BALLOON_S_MEMTOT] = "total_bytes",
		[VMM_VIRTIO_BALLOON_S_AVAIL] = "available_bytes",
		[VMM_VIRTIO_BALLOON_S_CACHES] = "caches_bytes",
	};
	json_t *json = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		/* A guest can claim more than JSON's integers hold. */
		uint64_t value = guest->values[i] & INT64_MAX;

		if (guest->valid >> i & 1)
			(void)json_object_set_new(json, keys[i],
						  json_integer((json_int_t)value));
	}
	return json;
}

static json_t *balloon_stats(const struct machine *machine)
{
	struct vmm_virtio_balloon_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_balloon_guest guest = { .size = sizeof(guest) };
	uint64_t memory = machine->desc->memory;

	balloon_get_stats(machine->balloon, &stats, &guest);
	return json_pack("{s:I, s:I, s:I, s:o}", "target_bytes",
			 (json_int_t)balloon_get_memory(machine->balloon), "actual_bytes",
			 (json_int_t)(memory - stats.pages * VMM_VIRTIO_BALLOON_PAGE),
			 "given_back_bytes", (json_int_t)stats.discarded_bytes, "guest",
			 guest_stats(&guest));
}

static json_t *cpu_stats(const struct machine *machine, uint32_t index)
{
	struct vmm_kvm_threads_stats stats = VMM_KVM_THREADS_STATS_INIT;
	json_t *exits = json_object();

	(void)!vmm_kvm_threads_get_stats(machine->threads, index, &stats);
	for (uint32_t reason = 0; reason < VMM_KVM_THREADS_REASONS; reason++) {
		if (stats.exits[reason] > 0)
			(void)json_object_set_new(
			    exits, vmm_kvm_exit_name(reason),
			    json_pack("{s:I, s:I}", "count",
				      (json_int_t)stats.exits[reason], "time_ns",
				      (json_int_t)stats.exit_ns[reason]));
	}
	return json_pack("{s:i, s:I, s:I, s:o}", "cpu", (int)index, "guest_ns",
			 (json_int_t)stats.guest_ns, "paused_ns",
			 (json_int_t)stats.paused_ns, "exits", exits);
}

static json_t *times(const struct vmm_event_times *times)
{
	return json_pack(
	    "{s:I, s:I, s:I, s:I}", "count", (json_int_t)times->count, "half_within_ns",
	    (json_int_t)vmm_event_stats_quantile(times, 500000), "99_of_100_within_ns",
	    (json_int_t)vmm_event_stats_quantile(times, 990000), "longest_ns",
	    (json_int_t)times->longest_ns);
}

/* How long what becomes ready has to wait: for a round of the event loop. */
static json_t *loop_stats(const struct machine *machine)
{
	struct vmm_event_stats stats = VMM_EVENT_STATS_INIT;

	if (vmm_event_get_stats(machine->loop, &stats) < 0)
		return NULL;
	return json_pack("{s:I, s:I, s:o, s:o}", "callbacks",
			 (json_int_t)(stats.callbacks + stats.posts), "busy_ns",
			 (json_int_t)stats.busy_ns, "rounds", times(&stats.rounds),
			 "timers_late", times(&stats.late));
}

static json_t *stats(const struct machine *machine)
{
	json_t *json =
	    json_pack("{s:s, s:I, s:I, s:o}", "state", state_of(machine), "uptime_ms",
		      uptime_ms(machine), "memory_bytes",
		      (json_int_t)machine->desc->memory, "loop", loop_stats(machine));
	json_t *cpus = json_array();

	for (uint32_t i = 0; i < machine->desc->cpus; i++)
		(void)json_array_append_new(cpus, cpu_stats(machine, i));
	if (machine->balloon)
		(void)json_object_set_new(json, "balloon", balloon_stats(machine));
	(void)json_object_set_new(json, "cpus", cpus);
	return json;
}

static json_t *balloon(struct machine *machine, uint64_t bytes, struct vmm_error *err)
{
	int ret;

	if (!machine->balloon) {
		(void)vmm_error_set(err, -ENOENT,
				    "this machine has no balloon (run --balloon)");
		return NULL;
	}
	ret = balloon_set_memory(machine->balloon, bytes);
	if (ret < 0) {
		(void)vmm_error_set(err, ret, "this machine has only %llu MiB",
				    (unsigned long long)(machine->desc->memory >> 20));
		return NULL;
	}
	return balloon_stats(machine);
}

/* Whoever asked is attached once it knows. */
static json_t *console(const struct machine *machine, struct vmm_error *err)
{
	if (!machine->console)
		(void)vmm_error_set(err, -ENOENT, "this machine has no console");
	else if (!console_can_attach(machine->console))
		(void)vmm_error_set(err, -EBUSY, "%d use its console already",
				    CONSOLE_USERS_MAX);
	else
		return state(machine);
	return NULL;
}

static json_t *send_break(const struct machine *machine, struct vmm_error *err)
{
	if (!machine->console) {
		(void)vmm_error_set(err, -ENOENT, "this machine has no console");
		return NULL;
	}
	console_send_break(machine->console);
	return state(machine);
}

static json_t *resize_disk(const struct machine *machine,
			   const struct control_request *request, struct vmm_error *err)
{
	uint64_t bytes = request->bytes;

	if (disk_resize(machine->virtio, request->disk, &bytes, err) < 0)
		return NULL;
	return json_pack("{s:s, s:I}", "disk", request->disk, "size_bytes",
			 (json_int_t)bytes);
}

json_t *control_execute(struct machine *machine, const struct control_request *request,
			struct vmm_error *err)
{
	switch (request->verb) {
	case CONTROL_INFO:
		return info(machine);
	case CONTROL_PAUSE:
		machine_pause(machine);
		return state(machine);
	case CONTROL_RESUME:
		machine_resume(machine);
		return state(machine);
	case CONTROL_BALLOON:
		return balloon(machine, request->bytes, err);
	case CONTROL_STATS:
		return stats(machine);
	case CONTROL_CONSOLE:
		return console(machine, err);
	case CONTROL_BREAK:
		return send_break(machine, err);
	case CONTROL_RESIZE_DISK:
		return resize_disk(machine, request, err);
	case CONTROL_STOP:
	case CONTROL_KILL:
		break;
	}
	(void)vmm_error_set(err, -EINVAL, "not now");
	return NULL;
}

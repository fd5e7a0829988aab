/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "control-stats.h"
#include "balloon.h"
#include "control-commands.h"
#include "virtio.h"

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

json_t *control_balloon_stats(const struct machine *machine)
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

static json_t *queue_stats(const struct virtio *virtio, size_t index, uint32_t queue)
{
	struct vmm_virtq_counters c = { .size = sizeof(c) };

	virtio_get_queue_counters(virtio, index, queue, &c);
	return json_pack("{s:i, s:i, s:I, s:i, s:I, s:I, s:I, s:I}", "queue", (int)queue,
			 "size", (int)c.num, "used", (json_int_t)c.used, "inflight",
			 (int)c.inflight, "interrupts", (json_int_t)c.interrupts,
			 "suppressed", (json_int_t)c.suppressed, "malformed",
			 (json_int_t)c.malformed, "broken", (json_int_t)c.broken);
}

static json_t *device_stats(const struct virtio *virtio, size_t index)
{
	const struct virtio_device *device = virtio_get_device(virtio, index);
	json_t *json = json_pack("{s:s}", "name", virtio_get_name(virtio, index));
	json_t *queues = json_array();

	if (device->detail && device->detail[0])
		(void)json_object_set_new(json, "detail", control_text(device->detail));
	for (uint32_t i = 0; i < device->device->queue_n; i++)
		(void)json_array_append_new(queues, queue_stats(virtio, index, i));
	(void)json_object_set_new(json, "queues", queues);
	return json;
}

static json_t *devices_stats(const struct virtio *virtio)
{
	json_t *json = json_array();

	for (size_t i = 0; i < virtio_get_count(virtio); i++)
		(void)json_array_append_new(json, device_stats(virtio, i));
	return json;
}

json_t *control_stats(const struct machine *machine)
{
	json_t *json =
	    json_pack("{s:s, s:I, s:I, s:o}", "state", control_state_of(machine),
		      "uptime_ms", control_uptime_ms(machine), "memory_bytes",
		      (json_int_t)machine->desc->memory, "loop", loop_stats(machine));
	json_t *cpus = json_array();

	for (uint32_t i = 0; i < machine->desc->cpus; i++)
		(void)json_array_append_new(cpus, cpu_stats(machine, i));
	if (machine->balloon)
		(void)json_object_set_new(json, "balloon",
					  control_balloon_stats(machine));
	(void)json_object_set_new(json, "devices", devices_stats(machine->virtio));
	(void)json_object_set_new(json, "cpus", cpus);
	return json;
}

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
#include "control-stats.h"
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

const char *control_state_of(const struct machine *machine)
{
	if (machine->paused)
		return "paused";
	return machine->stopping ? "stopping" : "running";
}

json_int_t control_uptime_ms(const struct machine *machine)
{
	return (json_int_t)((clock_ns() - machine->started) / 1000000);
}

static json_t *info(const struct machine *machine)
{
	const struct machine_desc *desc = machine->desc;

	return json_pack("{s:s, s:i, s:s, s:I, s:i, s:I, s:o}", "name", desc->name, "pid",
			 (int)getpid(), "state", control_state_of(machine), "uptime_ms",
			 control_uptime_ms(machine), "cpus", (int)desc->cpus,
			 "memory_bytes", (json_int_t)desc->memory, "kernel",
			 control_text(desc->kernel));
}

static json_t *state(const struct machine *machine)
{
	return json_pack("{s:s}", "state", control_state_of(machine));
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
	return control_balloon_stats(machine);
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
		return control_stats(machine);
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

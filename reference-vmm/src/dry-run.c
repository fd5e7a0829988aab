/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control-commands.h"
#include "control-print.h"
#include "dry-run.h"
#include "virtio.h"

static json_t *describe_memory(const struct vmm_mem *mem)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vmm_mem_region_count(mem); i++) {
		struct vmm_mem_region region = VMM_MEM_REGION_INIT;

		if (vmm_mem_get_region(mem, i, &region) == 0)
			(void)json_array_append_new(
			    list, json_pack("{s:s, s:I, s:I}", "name", region.label,
					    "gpa", (json_int_t)region.gpa, "bytes",
					    (json_int_t)region.len));
	}
	return list;
}

static json_t *describe_part(const struct board_part *part)
{
	json_t *json =
	    json_pack("{s:s, s:I, s:I}", "name", part->name, part->port ? "port" : "gpa",
		      (json_int_t)part->base, "bytes", (json_int_t)part->len);

	if (part->gsi >= 0)
		(void)json_object_set_new(json, "gsi", json_integer(part->gsi));
	return json;
}

static json_t *describe_virtio(const struct virtio *virtio, size_t index)
{
	const struct virtio_device *device = virtio_get_device(virtio, index);
	struct virtio_place place = virtio_get_place(virtio, index);
	json_t *json =
	    json_pack("{s:s, s:I, s:I, s:I}", "name", virtio_get_name(virtio, index),
		      "gpa", (json_int_t)place.gpa, "bytes",
		      (json_int_t)VMM_VIRTIO_MMIO_LEN, "gsi", (json_int_t)place.gsi);

	if (device->detail && device->detail[0])
		(void)json_object_set_new(json, "detail", control_text(device->detail));
	return json;
}

static json_t *describe_devices(const struct machine *machine)
{
	json_t *list = json_array();
	const struct board_part *parts;
	size_t count;

	parts = board_get_parts(machine, &count);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, describe_part(&parts[i]));
	for (size_t i = 0; i < virtio_get_count(machine->virtio); i++)
		(void)json_array_append_new(list, describe_virtio(machine->virtio, i));
	return list;
}

static json_t *describe(const struct machine *machine)
{
	static const char *const protocols[] = {
		[BOOT_LINUX64] = "linux64", [BOOT_LINUX32] = "linux32", [BOOT_PVH] = "pvh"
	};
	const struct machine_desc *desc = machine->desc;

	return json_pack("{s:s, s:i, s:I, s:o, s:o, s:s, s:o, s:o, s:o}", "name",
			 desc->name, "cpus", (int)desc->cpus, "memory_bytes",
			 (json_int_t)desc->memory, "kernel", control_text(desc->kernel),
			 "initrd", control_text(desc->initrd), "boot_protocol",
			 protocols[desc->boot_protocol], "cmdline",
			 control_text(desc->cmdline), "memory",
			 describe_memory(virtio_get_mem(machine->virtio)), "devices",
			 describe_devices(machine));
}

/* As text. */

static const char *get_text(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "";
}

static long long get_number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void print_range(const json_t *range)
{
	const char *space = json_object_get(range, "port") ? "port" : "gpa";
	long long first = get_number(range, space);

	printf("  %-4s  0x%010llx-0x%010llx", space, first,
	       first + get_number(range, "bytes") - 1);
}

static void print_text(const json_t *json)
{
	const char *name = get_text(json, "name"), *initrd = get_text(json, "initrd");
	const json_t *one;
	size_t i;

	printf("machine       %s%s%lld vCPU, %lld MiB\n", name, name[0] ? ": " : "",
	       get_number(json, "cpus"), get_number(json, "memory_bytes") >> 20);
	printf("kernel        %s (%s)\n", get_text(json, "kernel"),
	       get_text(json, "boot_protocol"));
	if (initrd[0])
		printf("initrd        %s\n", initrd);
	printf("command line  %s\nmemory\n", get_text(json, "cmdline"));
	json_array_foreach(json_object_get(json, "memory"), i, one)
	{
		print_range(one);
		printf("  %s\n", get_text(one, "name"));
	}
	printf("devices\n");
	json_array_foreach(json_object_get(json, "devices"), i, one)
	{
		print_range(one);
		if (json_object_get(one, "gsi"))
			printf("  gsi %-2lld", get_number(one, "gsi"));
		else
			printf("        ");
		printf("  %s%s%s\n", get_text(one, "name"),
		       json_object_get(one, "detail") ? " " : "",
		       get_text(one, "detail"));
	}
}

int dry_run_print(const struct machine *machine, struct vmm_error *err)
{
	json_t *json = describe(machine);

	if (!json)
		return vmm_error_set(err, -ENOMEM, "--dry-run: out of memory");
	if (machine->desc->json)
		control_print_json(json);
	else
		print_text(json);
	json_decref(json);
	return fflush(stdout) == 0
		   ? 0
		   : vmm_error_set(err, -errno, "standard output: %s", strerror(errno));
}

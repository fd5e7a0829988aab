/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "aml.h"
#include "tables.h"

/* Notifications of a device (5.6.6): look at it again, eject it. */
#define NOTIFY_DEVICE_CHECK 1u
#define NOTIFY_EJECT 3u

#define STA_PRESENT 0xfu

/* The controller's methods, seen from a method of its neighbours. */
#define STATUS "^^CPUC.CSTA"
#define EJECT "^^CPUC.CEJE"

static void cpu_name(char name[8], uint32_t cpu)
{
	(void)snprintf(name, 8, "C%03X", (unsigned int)(cpu & 0xfff));
}

static void put_store(struct vmm_acpi_aml *aml, uint64_t value, const char *to)
{
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_int(aml, value);
	vmm_acpi_aml_put_path(aml, to);
}

static void put_select(struct vmm_acpi_aml *aml, unsigned int from)
{
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_op(aml, from);
	vmm_acpi_aml_put_path(aml, "CSEL");
}

/* Between these two, no one else selects a CPU. */
static void begin_locked(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_ACQUIRE);
	vmm_acpi_aml_put_path(aml, "CLCK");
	/* It waits for ever. */
	vmm_acpi_aml_put_raw(aml, "\xff\xff", 2);
}

static void end_locked(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_RELEASE);
	vmm_acpi_aml_put_path(aml, "CLCK");
}

static void begin_if_set(struct vmm_acpi_aml *aml, const char *field)
{
	vmm_acpi_aml_begin_if(aml);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LEQUAL);
	vmm_acpi_aml_put_path(aml, field);
	vmm_acpi_aml_put_int(aml, 1);
}

static void put_registers(struct vmm_acpi_aml *aml, const struct vmm_acpi_cpu_hotplug *h)
{
	static const struct vmm_acpi_field select[] = { { "CSEL", 32, 0 } };
	static const struct vmm_acpi_field status[] = {
		{ NULL, 32, 0 },  { "CPEN", 1, 0 }, { "CINS", 1, 0 },
		{ "CRMV", 1, 0 }, { "CEJC", 1, 0 },
	};

	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	if (h->space == VMM_ACPI_SPACE_IO)
		vmm_acpi_aml_put_io(aml, (uint16_t)h->gpa, VMM_ACPI_CPU_HOTPLUG_LEN);
	else
		vmm_acpi_aml_put_memory(aml, h->gpa, VMM_ACPI_CPU_HOTPLUG_LEN);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_put_region(aml, "CREG", h->space, h->gpa, VMM_ACPI_CPU_HOTPLUG_LEN);
	vmm_acpi_aml_put_field(aml, "CREG", 32, 0, select, 1);
	/* Zeros, so that writing one bit does not echo the others. */
	vmm_acpi_aml_put_field(aml, "CREG", 8, 1, status,
			       sizeof(status) / sizeof(status[0]));
	vmm_acpi_aml_put_mutex(aml, "CLCK");
}

static void put_status_method(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_begin_method(aml, "CSTA", 1, 1);
	begin_locked(aml);
	put_select(aml, VMM_ACPI_AML_ARG0);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_int(aml, 0);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	begin_if_set(aml, "CPEN");
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_int(aml, STA_PRESENT);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_end(aml);
	end_locked(aml);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_RETURN);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_end(aml);
}

static void put_eject_method(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_begin_method(aml, "CEJE", 1, 1);
	begin_locked(aml);
	put_select(aml, VMM_ACPI_AML_ARG0);
	put_store(aml, 1, "CEJC");
	end_locked(aml);
	vmm_acpi_aml_end(aml);
}

/* Notify (the CPU of number Arg0, Arg1): a Notify wants a name. */
static void put_notify_method(struct vmm_acpi_aml *aml, uint32_t cpus)
{
	char name[8];

	vmm_acpi_aml_begin_method(aml, "CTFY", 2, 1);
	for (uint32_t i = 0; i < cpus; i++) {
		cpu_name(name, i);
		vmm_acpi_aml_begin_if(aml);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LEQUAL);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_ARG0);
		vmm_acpi_aml_put_int(aml, i);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_NOTIFY);
		vmm_acpi_aml_put_path(aml, name);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_ARG0 + 1);
		vmm_acpi_aml_end(aml);
	}
	vmm_acpi_aml_end(aml);
}

/* When an event is there: tell the guest, and forget it. */
static void put_event(struct vmm_acpi_aml *aml, const char *field, unsigned int what)
{
	begin_if_set(aml, field);
	vmm_acpi_aml_put_path(aml, "CTFY");
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_put_int(aml, what);
	put_store(aml, 1, field);
	vmm_acpi_aml_end(aml);
}

static void put_scan_method(struct vmm_acpi_aml *aml, uint32_t cpus)
{
	vmm_acpi_aml_begin_method(aml, "CSCN", 0, 1);
	begin_locked(aml);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_int(aml, 0);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_begin_while(aml);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LLESS);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_put_int(aml, cpus);
	put_select(aml, VMM_ACPI_AML_LOCAL0);
	put_event(aml, "CINS", NOTIFY_DEVICE_CHECK);
	put_event(aml, "CRMV", NOTIFY_EJECT);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_INCREMENT);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_end(aml);
	end_locked(aml);
	vmm_acpi_aml_end(aml);
}

static void put_controller(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m)
{
	vmm_acpi_aml_begin_device(aml, "CPUC");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0A06");
	vmm_acpi_aml_put_name(aml, "_UID");
	vmm_acpi_aml_put_string(aml, "CPU hot-plug");
	put_registers(aml, m->cpu_hotplug);
	put_status_method(aml);
	put_eject_method(aml);
	put_notify_method(aml, acpi_cpus(m));
	put_scan_method(aml, acpi_cpus(m));
	vmm_acpi_aml_end(aml);
}

/* What a CPU that can come and go has besides: is it there, let it go, its entry of the
 * MADT, its node. */
static void put_pluggable(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m,
			  uint32_t cpu)
{
	uint8_t entry[MADT_CPU_MAX];
	size_t len = acpi_madt_cpu(entry, m, cpu, true);

	vmm_acpi_aml_begin_method(aml, "_STA", 0, 1);
	vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_RETURN);
	vmm_acpi_aml_put_path(aml, STATUS);
	vmm_acpi_aml_put_int(aml, cpu);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_begin_method(aml, "_EJ0", 1, 1);
	vmm_acpi_aml_put_path(aml, EJECT);
	vmm_acpi_aml_put_int(aml, cpu);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_put_name(aml, "_MAT");
	vmm_acpi_aml_put_buffer(aml, entry, len);
	if (m->numa) {
		vmm_acpi_aml_put_name(aml, "_PXM");
		vmm_acpi_aml_put_int(aml, m->numa->cpu_node[cpu]);
	}
}

void acpi_cpu_devices(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m)
{
	char name[8];

	/* First: a reader that has not seen a method cannot tell its arguments. */
	if (m->cpu_hotplug)
		put_controller(aml, m);
	for (uint32_t i = 0; i < acpi_cpus(m); i++) {
		cpu_name(name, i);
		vmm_acpi_aml_begin_device(aml, name);
		vmm_acpi_aml_put_name(aml, "_HID");
		vmm_acpi_aml_put_string(aml, "ACPI0007");
		vmm_acpi_aml_put_name(aml, "_UID");
		vmm_acpi_aml_put_int(aml, i);
		/* The first CPU cannot go. */
		if (m->cpu_hotplug && i > 0)
			put_pluggable(aml, m, i);
		vmm_acpi_aml_end(aml);
	}
}

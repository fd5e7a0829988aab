/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "aml.h"
#include "tables.h"

/* A device's name: a prefix and a number of two or three hexadecimal digits. */
static void begin_numbered(struct vmm_acpi_aml *aml, char prefix, size_t number)
{
	char name[8];

	(void)snprintf(name, sizeof(name), "%c%03X", prefix,
		       (unsigned int)(number & 0xfff));
	vmm_acpi_aml_begin_device(aml, name);
}

static void put_uid(struct vmm_acpi_aml *aml, uint64_t uid)
{
	vmm_acpi_aml_put_name(aml, "_UID");
	vmm_acpi_aml_put_int(aml, uid);
}

static void put_uart(struct vmm_acpi_aml *aml, const struct vmm_acpi_uart *uart,
		     size_t index)
{
	begin_numbered(aml, 'U', index);
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0501");
	put_uid(aml, index);
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_io(aml, uart->port, 8);
	vmm_acpi_aml_put_irq(aml, uart->gsi, 0);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

static void put_virtio(struct vmm_acpi_aml *aml, const struct vmm_acpi_virtio_mmio *v,
		       size_t index)
{
	begin_numbered(aml, 'V', index);
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_string(aml, "LNRO0005");
	put_uid(aml, index);
	vmm_acpi_aml_put_name(aml, "_CCA");
	vmm_acpi_aml_put_int(aml, 1);
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_memory(aml, v->gpa, v->len);
	vmm_acpi_aml_put_irq(aml, v->gsi, 0);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

/* A keyboard controller: without it a kernel does not look at ports 0x60 and 0x64. */
static void put_i8042(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_begin_device(aml, "KBD");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0303");
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_io(aml, 0x60, 1);
	vmm_acpi_aml_put_io(aml, 0x64, 1);
	vmm_acpi_aml_put_irq(aml, 1, 0);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

/* CMOS RTC; its alarm interrupt is not used without a legacy PIC. */
static void put_cmos_rtc(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_begin_device(aml, "RTC");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0B00");
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_io(aml, 0x70, 2);
	vmm_acpi_aml_put_irq(aml, 8, 0);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

static void put_power_button(struct vmm_acpi_aml *aml)
{
	vmm_acpi_aml_begin_device(aml, "PWRB");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0C0C");
	vmm_acpi_aml_end(aml);
}

/* Virtual Machine Generation ID, Microsoft 2012: a package of both halves of the address.
 */
static void put_vmgenid(struct vmm_acpi_aml *aml, uint64_t gpa)
{
	vmm_acpi_aml_begin_device(aml, "VGEN");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_string(aml, "LVMM0001");
	vmm_acpi_aml_put_name(aml, "_CID");
	vmm_acpi_aml_put_string(aml, "VM_Gen_Counter");
	vmm_acpi_aml_put_name(aml, "_DDN");
	vmm_acpi_aml_put_string(aml, "VM_Gen_Counter");
	vmm_acpi_aml_put_name(aml, "ADDR");
	vmm_acpi_aml_begin_package(aml, 2);
	vmm_acpi_aml_put_int(aml, gpa & UINT32_MAX);
	vmm_acpi_aml_put_int(aml, gpa >> 32);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

/* Interrupts that stand for a notification of a device, or for a method. */
struct event {
	uint32_t gsi;
	const char *device;
	const char *method;
};

/* Hardware-reduced machines have no general-purpose events: a generic event device
 * (5.6.9) turns interrupts into notifications. */
static void put_event_device(struct vmm_acpi_aml *aml, const struct event *events,
			     size_t count)
{
	vmm_acpi_aml_begin_device(aml, "GED");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_string(aml, "ACPI0013");
	put_uid(aml, 0);
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	for (size_t i = 0; i < count; i++)
		vmm_acpi_aml_put_irq(aml, events[i].gsi, 0);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_begin_method(aml, "_EVT", 1, 1);
	for (size_t i = 0; i < count; i++) {
		vmm_acpi_aml_begin_if(aml);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_LEQUAL);
		vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_ARG0);
		vmm_acpi_aml_put_int(aml, events[i].gsi);
		if (events[i].method) {
			vmm_acpi_aml_put_path(aml, events[i].method);
		} else {
			vmm_acpi_aml_put_op(aml, VMM_ACPI_AML_NOTIFY);
			vmm_acpi_aml_put_path(aml, events[i].device);
			vmm_acpi_aml_put_int(aml, 0x80);
		}
		vmm_acpi_aml_end(aml);
	}
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

static void put_events(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m)
{
	struct event events[3];
	size_t n = 0;

	if (m->power_button_gsi != VMM_ACPI_NO_GSI) {
		put_power_button(aml);
		events[n++] = (struct event){ m->power_button_gsi, "PWRB", NULL };
	}
	if (m->vmgenid_gpa) {
		put_vmgenid(aml, m->vmgenid_gpa);
		if (m->vmgenid_gsi != VMM_ACPI_NO_GSI)
			events[n++] = (struct event){ m->vmgenid_gsi, "VGEN", NULL };
	}
	if (m->cpu_hotplug)
		events[n++] = (struct event){ m->cpu_hotplug->gsi, NULL, ACPI_CPU_SCAN };
	if (n)
		put_event_device(aml, events, n);
}

static void put_s5(struct vmm_acpi_aml *aml, uint8_t type)
{
	vmm_acpi_aml_put_name(aml, "_S5_");
	vmm_acpi_aml_begin_package(aml, 4);
	vmm_acpi_aml_put_int(aml, type);
	for (int i = 0; i < 3; i++)
		vmm_acpi_aml_put_int(aml, 0);
	vmm_acpi_aml_end(aml);
}

void acpi_dsdt(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m)
{
	vmm_acpi_aml_begin_scope(aml, "_SB_");
	acpi_cpu_devices(aml, m);
	for (size_t i = 0; i < m->uart_count; i++)
		put_uart(aml, &m->uarts[i], i);
	for (size_t i = 0; i < m->virtio_mmio_count; i++)
		put_virtio(aml, &m->virtio_mmio[i], i);
	if (m->flags & VMM_ACPI_HAS_I8042)
		put_i8042(aml);
	if (m->flags & VMM_ACPI_HAS_CMOS_RTC)
		put_cmos_rtc(aml);
	put_events(aml, m);
	if (m->pci)
		acpi_pci(aml, m->pci);
	if (m->extra_aml.len)
		vmm_acpi_aml_put_raw(aml, m->extra_aml.data, m->extra_aml.len);
	vmm_acpi_aml_end(aml);
	if (m->sleep_control_port)
		put_s5(aml, m->s5_type);
}

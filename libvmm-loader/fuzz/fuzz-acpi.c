/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/acpi.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input that is used up byte by byte; zeros behind its end. */
struct input {
	const uint8_t *data;
	size_t size;
};

static uint64_t take(struct input *in, size_t n)
{
	uint64_t v = 0;

	while (n--) {
		v = v << 8 | (in->size ? *in->data : 0);
		if (in->size) {
			in->data++;
			in->size--;
		}
	}
	return v;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

/* Any numbers in a description: refused, or tables whose sums are right. */
static void build(struct input *in)
{
	static uint8_t buf[1 << 20];
	struct vmm_acpi_uart uart = { 0 };
	struct vmm_acpi_virtio_mmio virtio = { 0 };
	struct vmm_acpi_pci pci = { 0 };
	struct vmm_acpi_cpu_hotplug hotplug = { 0 };
	struct vmm_acpi_gic gic = { 0 };
	struct vmm_acpi_machine m = VMM_ACPI_MACHINE_INIT;
	size_t len;

	m.flags = (uint32_t)take(in, 1);
	m.cpu_count = (uint32_t)take(in, 2);
	m.ioapic_gsi = (uint32_t)take(in, 1);
	m.sleep_control_port = (uint16_t)take(in, 2);
	m.sleep_status_port = (uint16_t)take(in, 2);
	m.reset_port = (uint16_t)take(in, 2);
	m.s5_type = (uint8_t)take(in, 1);
	uart.port = (uint16_t)take(in, 2);
	uart.gsi = (uint32_t)take(in, 1);
	m.uarts = &uart;
	m.uart_count = take(in, 1) & 1;
	virtio.gpa = take(in, 8);
	virtio.len = take(in, 4);
	virtio.gsi = (uint32_t)take(in, 1);
	m.virtio_mmio = &virtio;
	m.virtio_mmio_count = take(in, 1) & 1;
	pci.ecam_gpa = take(in, 8);
	pci.mmio32_gpa = take(in, 5);
	pci.mmio32_len = take(in, 5);
	pci.mmio64_gpa = take(in, 8);
	pci.mmio64_len = take(in, 8);
	pci.last_bus = (uint8_t)take(in, 1);
	m.pci = take(in, 1) & 1 ? &pci : NULL;
	m.hpet_gpa = take(in, 4);
	m.vmgenid_gpa = take(in, 8);
	hotplug.cpu_max = (uint32_t)take(in, 2);
	hotplug.gpa = take(in, 8);
	hotplug.gsi = (uint32_t)take(in, 2);
	hotplug.space = (uint32_t)take(in, 1);
	m.cpu_hotplug = take(in, 1) & 1 ? &hotplug : NULL;
	gic.version = (uint32_t)take(in, 1);
	gic.timer_virtual = (uint32_t)take(in, 1);
	gic.dist_gpa = take(in, 8);
	gic.cpu_gpa = take(in, 8);
	gic.redist_gpa = take(in, 8);
	gic.redist_len = take(in, 5);
	gic.v2m_gpa = take(in, 8);
	gic.v2m_spi_base = (uint16_t)take(in, 2);
	gic.v2m_spi_count = (uint16_t)take(in, 2);
	m.gic = take(in, 1) & 1 ? &gic : NULL;
	if (vmm_acpi_machine_build(&m, take(in, 8), buf, sizeof(buf), &len, NULL) < 0)
		return;
	if (len > sizeof(buf) || sum(buf, 20) != 0 || sum(buf, 36) != 0)
		__builtin_trap();
}

/* Any calls of the AML writer: an error, or bytes. */
static void write_aml(struct input *in)
{
	VMM_CLEANUP(vmm_acpi_aml_free) struct vmm_acpi_aml *aml = NULL;
	const uint8_t *out;
	char name[16];
	size_t len;

	if (vmm_acpi_aml_new(&aml) < 0)
		return;
	while (in->size) {
		uint64_t a = take(in, 1), b;

		for (size_t i = 0; i < sizeof(name); i++)
			name[i] = i + 1 < sizeof(name) && i < (a >> 4) ? (char)take(in, 1)
								       : '\0';
		b = take(in, a & 8 ? 8 : 2);
		switch (take(in, 1) % 20) {
		case 0:
			vmm_acpi_aml_begin_scope(aml, name);
			break;
		case 1:
			vmm_acpi_aml_begin_device(aml, name);
			break;
		case 2:
			vmm_acpi_aml_begin_method(aml, name, (unsigned int)b & 7, 0);
			break;
		case 3:
			vmm_acpi_aml_begin_if(aml);
			break;
		case 4:
			vmm_acpi_aml_begin_else(aml);
			break;
		case 5:
			vmm_acpi_aml_begin_package(aml, (unsigned int)b & 3);
			break;
		case 6:
			vmm_acpi_aml_begin_resources(aml);
			break;
		case 7:
		case 8:
		case 9:
			vmm_acpi_aml_end(aml);
			break;
		case 10:
			vmm_acpi_aml_put_name(aml, name);
			break;
		case 11:
			vmm_acpi_aml_put_int(aml, b);
			break;
		case 12:
			vmm_acpi_aml_put_string(aml, name);
			break;
		case 13:
			vmm_acpi_aml_put_eisa_id(aml, name);
			break;
		case 14:
			vmm_acpi_aml_put_path(aml, name);
			break;
		case 15:
			vmm_acpi_aml_put_op(aml, (unsigned int)b);
			break;
		case 16:
			vmm_acpi_aml_put_region(aml, name, 0, b, b);
			break;
		case 17:
			vmm_acpi_aml_put_irq(aml, (uint32_t)b, (uint32_t)a);
			break;
		case 18:
			vmm_acpi_aml_put_memory(aml, b, a);
			break;
		default:
			vmm_acpi_aml_put_memory_window(aml, b, b);
			break;
		}
	}
	if (vmm_acpi_aml_finish(aml, &out, &len, NULL) == 0 && len > VMM_ACPI_AML_MAX)
		__builtin_trap();
}

/* The first byte chooses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (take(&in, 1) & 1)
		build(&in);
	else
		write_aml(&in);
	return 0;
}

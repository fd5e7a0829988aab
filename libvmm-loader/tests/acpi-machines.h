/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef ACPI_MACHINES_H
#define ACPI_MACHINES_H

#include <string.h>
#include <vmm/acpi.h>

/* Machines with CPUs that come and go, and of arm64. */
static inline const char *test_further_machine(size_t i, struct vmm_acpi_machine *out)
{
	static const uint32_t ids[] = { 0, 1, 254, 255 };
	static const uint32_t cpu_node[] = { 0, 0, 1, 1, 0, 0, 1, 1 };
	static const struct vmm_acpi_numa numa = { .node_count = 2,
						   .cpu_node = cpu_node };
	static const struct vmm_acpi_cpu_hotplug io = {
		.gpa = 0x610, .space = VMM_ACPI_SPACE_IO, .cpu_max = 4, .gsi = 9
	};
	static const struct vmm_acpi_cpu_hotplug many = { .gpa = 0xfed80000,
							  .cpu_max = 300,
							  .gsi = 9 };
	static const struct vmm_acpi_cpu_hotplug arm = { .gpa = UINT64_C(0x8000000000),
							 .cpu_max = 8,
							 .gsi = 40 };
	static const uint64_t mpidrs[] = {
		0, 1, 0x100, 0x101, 0x10000, 0x10001, UINT64_C(0x100000000), 7
	};
	static const struct vmm_acpi_virtio_mmio virtio = { .gpa = 0xa000000,
							    .len = 0x200,
							    .gsi = 48 };
	static const struct vmm_acpi_pci pci = {
		.ecam_gpa = 0x10000000,
		.mmio32_gpa = 0x20000000,
		.mmio32_len = 0x20000000,
		.pin_gsi = { 35, 36, 37, 38 },
		.last_bus = 15,
	};
	static const struct vmm_acpi_gic v2 = {
		.version = 2,
		.timer_virtual = 27,
		.timer_physical = 30,
		.dist_gpa = 0x8000000,
		.cpu_gpa = 0x8010000,
		.v2m_gpa = 0x8020000,
		.v2m_spi_base = 80,
		.v2m_spi_count = 64,
	};
	static const struct vmm_acpi_gic v3 = {
		.version = 3,
		.timer_virtual = 27,
		.timer_secure = 29,
		.timer_physical = 30,
		.timer_hypervisor = 26,
		.pmu = 23,
		.dist_gpa = 0x8000000,
		.redist_gpa = 0x80a0000,
		.redist_len = 0xf60000,
		.its_gpa = 0x8080000,
		.mpidrs = mpidrs,
	};
	struct vmm_acpi_machine m = VMM_ACPI_MACHINE_INIT;

	switch (i) {
	case 0:
		m.cpu_count = 2;
		m.apic_ids = ids;
		m.cpu_hotplug = &io;
		m.numa = &numa;
		*out = m;
		return "CPU hot-plug";
	case 1:
		m.cpu_hotplug = &many;
		m.power_button_gsi = 12;
		*out = m;
		return "300 CPUs to plug";
	case 2:
		m.cpu_count = 2;
		m.gic = &v2;
		m.virtio_mmio = &virtio;
		m.virtio_mmio_count = 1;
		*out = m;
		return "GICv2";
	case 3:
		m.cpu_count = 3;
		m.gic = &v3;
		m.cpu_hotplug = &arm;
		m.numa = &numa;
		m.pci = &pci;
		m.power_button_gsi = 41;
		*out = m;
		return "GICv3";
	default:
		return NULL;
	}
}

/* Machines that the tests of ACPI share: from next to nothing to all that there is.
 * Returns the name of number @p i, NULL past the last. */
static inline const char *test_machine(size_t i, struct vmm_acpi_machine *out)
{
	static const struct vmm_acpi_uart uarts[] = {
		{ .port = 0x3f8, .gsi = 4 },
		{ .port = 0x2f8, .gsi = 3 },
	};
	static const struct vmm_acpi_virtio_mmio virtio[] = {
		{ .gpa = 0xc0000000, .len = 0x1000, .gsi = 5 },
		{ .gpa = 0xc0001000, .len = 0x1000, .gsi = 6 },
		{ .gpa = UINT64_C(0x4000000000), .len = 0x200, .gsi = 23 },
	};
	static const uint32_t ids[] = { 0, 2, 254, 255, 4000 };
	static const struct vmm_acpi_pci pci = {
		.ecam_gpa = 0xe0000000,
		.mmio32_gpa = 0xc0000000,
		.mmio32_len = 0x20000000,
		.mmio64_gpa = UINT64_C(0x4000000000),
		.mmio64_len = UINT64_C(0x4000000000),
		.pin_gsi = { 16, 17, 18, 19 },
		.last_bus = 255,
	};
	static const uint32_t cpu_node[] = { 0, 0, 1, 1, 1 };
	static const struct vmm_acpi_numa_memory memory[] = {
		{ .gpa = 0, .len = 0xc0000000, .node = 0 },
		{ .gpa = UINT64_C(0x100000000), .len = 0x40000000, .node = 1 },
	};
	static const uint8_t distance[] = { 10, 20, 21, 10 };
	static const struct vmm_acpi_numa numa = {
		.node_count = 2,
		.cpu_node = cpu_node,
		.memory = memory,
		.memory_count = 2,
		.distance = distance,
	};
	struct vmm_acpi_machine m = VMM_ACPI_MACHINE_INIT;

	switch (i) {
	case 0:
		*out = m;
		return "bare";
	case 1:
		m.cpu_count = 2;
		m.uarts = uarts;
		m.uart_count = 1;
		m.sleep_control_port = 0x600;
		m.sleep_status_port = 0x601;
		m.reset_port = 0x602;
		m.reset_value = 0x42;
		*out = m;
		return "first boot";
	case 2:
		m.cpu_count = 5;
		m.apic_ids = ids;
		m.flags = VMM_ACPI_HAS_I8042 | VMM_ACPI_HAS_CMOS_RTC;
		m.ioapic_id = 7;
		m.uarts = uarts;
		m.uart_count = 2;
		m.virtio_mmio = virtio;
		m.virtio_mmio_count = 3;
		m.power_button_gsi = 12;
		m.sleep_control_port = 0x600;
		m.sleep_status_port = 0x601;
		m.reset_port = 0xcf9;
		m.reset_value = 6;
		*out = m;
		return "full";
	case 3:
		m.cpu_count = 300;
		*out = m;
		return "300 CPUs";
	case 4:
		m.cpu_count = 5;
		m.apic_ids = ids;
		m.pci = &pci;
		m.numa = &numa;
		m.hpet_gpa = 0xfed00000;
		m.vmgenid_gpa = UINT64_C(0x1ffffff00);
		m.vmgenid_gsi = 13;
		m.power_button_gsi = 12;
		m.uarts = uarts;
		m.uart_count = 1;
		m.flags = VMM_ACPI_HAS_CONSOLE;
		*out = m;
		return "PCI and NUMA";
	default:
		return test_further_machine(i - 5, out);
	}
}

static inline void test_all_resources(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_name(a, "_CRS");
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_bus_numbers(a, 0, 255);
	vmm_acpi_aml_put_bus_numbers(a, 3, 3);
	vmm_acpi_aml_put_io(a, 0xcf8, 8);
	vmm_acpi_aml_put_io(a, 0xffff, 1);
	vmm_acpi_aml_put_io_window(a, 0, 0xcf8);
	vmm_acpi_aml_put_io_window(a, 0xd00, 0xf300);
	vmm_acpi_aml_put_memory_window(a, 0xc0000000, 0x20000000);
	vmm_acpi_aml_put_memory_window(a, UINT64_C(0x800000000), UINT64_C(0x800000000));
	vmm_acpi_aml_put_memory(a, 0xfed00000, 0x400);
	vmm_acpi_aml_put_memory(a, UINT64_C(0xffffffff000), 0x2000);
	vmm_acpi_aml_put_irq(a, 9, VMM_ACPI_IRQ_LEVEL | VMM_ACPI_IRQ_ACTIVE_LOW);
	vmm_acpi_aml_put_irq(a, 300, VMM_ACPI_IRQ_SHARED);
	vmm_acpi_aml_end(a);
}

static inline void test_all_data(struct vmm_acpi_aml *a)
{
	static const uint64_t numbers[] = { 0,
					    1,
					    2,
					    255,
					    256,
					    65535,
					    65536,
					    UINT32_MAX,
					    UINT64_C(0x100000000),
					    UINT64_C(0xfedcba9876543210) };
	uint8_t bytes[5000];

	memset(bytes, 0xa5, sizeof(bytes));
	vmm_acpi_aml_put_name(a, "PKG0");
	vmm_acpi_aml_begin_package(a, sizeof(numbers) / sizeof(numbers[0]) + 3);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		vmm_acpi_aml_put_int(a, numbers[i]);
	vmm_acpi_aml_put_string(a, "text");
	vmm_acpi_aml_begin_package(a, 1);
	vmm_acpi_aml_put_path(a, "\\_SB_.DEV0");
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_begin_package(a, 1);
	vmm_acpi_aml_put_eisa_id(a, "PNP0A08");
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_end(a);
	/* Each length of a PkgLength and both its sides: 63 and 4095 are the edges. */
	for (size_t len = 55; len < 64; len++) {
		char name[5] = { 'B', (char)('A' + len - 55), '0', '0', 0 };

		vmm_acpi_aml_put_name(a, name);
		vmm_acpi_aml_put_buffer(a, bytes, len);
	}
	for (size_t len = 4085; len < 4098; len += 3) {
		char name[5] = { 'C', (char)('A' + (len - 4085) / 3), '0', '0', 0 };

		vmm_acpi_aml_put_name(a, name);
		vmm_acpi_aml_put_buffer(a, bytes, len);
	}
}

static inline void test_all_statements(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_method(a, "MTH0", 1, 1);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_ACQUIRE);
	vmm_acpi_aml_put_path(a, "MTX0");
	vmm_acpi_aml_put_raw(a, "\xff\xff", 2);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_int(a, 0);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_begin_while(a);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LLESS);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_ARG0);
	vmm_acpi_aml_begin_if(a);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LEQUAL);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_put_int(a, 7);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_BREAK);
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_begin_else(a);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_INCREMENT);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_STORE);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_LOCAL0);
	vmm_acpi_aml_put_path(a, "FLD1");
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_NOTIFY);
	vmm_acpi_aml_put_path(a, "\\_SB_.DEV0");
	vmm_acpi_aml_put_int(a, 0x80);
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_RELEASE);
	vmm_acpi_aml_put_path(a, "MTX0");
	vmm_acpi_aml_put_op(a, VMM_ACPI_AML_RETURN);
	vmm_acpi_aml_put_path(a, "FLD1");
	vmm_acpi_aml_end(a);
}

/* A gap of 63 bits is left out: iasl says 63 in two bytes where one does, so that a
 * byte-wise comparison would fail. */
static inline void test_all_terms(struct vmm_acpi_aml *a)
{
	static const struct vmm_acpi_field fields[] = {
		{ .name = "FLD0", .bits = 1 },	{ .name = NULL, .bits = 62 },
		{ .name = "FLD1", .bits = 64 }, { .name = NULL, .bits = 0x1000 },
		{ .name = "FLD2", .bits = 32 },
	};

	vmm_acpi_aml_begin_scope(a, "\\_SB_");
	vmm_acpi_aml_begin_device(a, "DEV0");
	vmm_acpi_aml_put_name(a, "_HID");
	vmm_acpi_aml_put_eisa_id(a, "PNP0A08");
	test_all_resources(a);
	test_all_data(a);
	vmm_acpi_aml_put_region(a, "REG0", VMM_ACPI_SPACE_MEMORY, 0xfe000000, 0x1000);
	vmm_acpi_aml_put_region(a, "REG1", VMM_ACPI_SPACE_IO, 0x600, 4);
	vmm_acpi_aml_put_field(a, "REG0", 64, 1, fields,
			       sizeof(fields) / sizeof(fields[0]));
	vmm_acpi_aml_put_mutex(a, "MTX0");
	test_all_statements(a);
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_end(a);
}

#endif

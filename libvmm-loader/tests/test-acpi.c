/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>

#include "../src/bytes.h"
#include "acpi-machines.h"

#define GPA UINT64_C(0xe0000)

static uint8_t blob[1 << 20];

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *at(uint64_t gpa)
{
	return blob + (gpa - GPA);
}

/* The table of a signature, by way of the root pointer. */
static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = at(get_le64(blob + 24)), *t;

	for (uint32_t i = 36; i < get_le32(xsdt + 4); i += 8) {
		t = at(get_le64(xsdt + i));
		if (memcmp(t, signature, 4) == 0)
			return t;
	}
	return NULL;
}

static void build(size_t i, struct vmm_acpi_machine *m)
{
	struct vmm_error err = { 0 };
	size_t len;

	assert_non_null(test_machine(i, m));
	if (vmm_acpi_machine_build(m, GPA, blob, sizeof(blob), &len, &err) != 0)
		fail_msg("%s", err.message);
}

static void root_pointer_and_checksums_are_right(void **state)
{
	struct vmm_acpi_machine m;
	const uint8_t *xsdt;

	for (size_t i = 0; test_machine(i, &m); i++) {
		build(i, &m);
		assert_memory_equal(blob, "RSD PTR ", 8);
		assert_int_equal(blob[15], 2);
		assert_int_equal(get_le32(blob + 16), 0);
		assert_int_equal(get_le32(blob + 20), 36);
		assert_int_equal(sum(blob, 20), 0);
		assert_int_equal(sum(blob, 36), 0);
		xsdt = at(get_le64(blob + 24));
		assert_int_equal(get_le64(blob + 24) % 16, 0);
		assert_memory_equal(xsdt, "XSDT", 4);
		assert_int_equal(sum(xsdt, get_le32(xsdt + 4)), 0);
		for (uint32_t j = 36; j < get_le32(xsdt + 4); j += 8) {
			const uint8_t *t = at(get_le64(xsdt + j));

			assert_int_equal(sum(t, get_le32(t + 4)), 0);
			assert_int_equal(get_le64(xsdt + j) % 16, 0);
		}
	}
}

static void fadt_is_hardware_reduced_and_names_the_ports(void **state)
{
	struct vmm_acpi_machine m;
	const uint8_t *f, *dsdt;

	build(1, &m);
	f = find("FACP");
	assert_non_null(f);
	assert_int_equal(f[8], 6);
	assert_int_equal(f[131], 5);
	assert_int_equal(get_le32(f + 112), 1 << 20 | 1 << 10 | 1 << 5 | 1 << 4 | 1);
	assert_int_equal(get_le16(f + 109), 0x24);
	/* Reset register: I/O space, 8 bits, byte access. */
	assert_memory_equal(f + 116, "\1\10\0\1\2\6\0\0\0\0\0\0", 12);
	assert_int_equal(f[128], 0x42);
	assert_memory_equal(f + 244, "\1\10\0\1\0\6\0\0\0\0\0\0", 12);
	assert_memory_equal(f + 256, "\1\10\0\1\1\6\0\0\0\0\0\0", 12);
	assert_int_equal(get_le32(f + 40), get_le64(f + 140));
	dsdt = at(get_le64(f + 140));
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_int_equal(dsdt[8], 2);
	assert_int_equal(sum(dsdt, get_le32(dsdt + 4)), 0);

	build(0, &m);
	f = find("FACP");
	assert_int_equal(get_le32(f + 112), 1 << 20 | 1 << 5 | 1 << 4 | 1);
	for (size_t i = 116; i < 129; i++)
		assert_int_equal(f[i], 0);
	for (size_t i = 244; i < 268; i++)
		assert_int_equal(f[i], 0);
	build(2, &m);
	assert_int_equal(get_le16(find("FACP") + 109), 0x06);
}

static void madt_has_each_cpu_and_the_io_apic(void **state)
{
	static const uint8_t want[] = {
		0,  8, 0, 0, 1, 0,    0,    0, 0, 8, 1, 1, 1, 0,    0, 0, 1,
		12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0, 4, 6, 0xff, 0, 0, 1,
	};
	struct vmm_acpi_machine m;
	const uint8_t *t;

	build(1, &m);
	t = find("APIC");
	assert_int_equal(get_le32(t + 4), 44 + sizeof(want));
	assert_true(get_le32(t + 36) == 0xfee00000);
	assert_int_equal(get_le32(t + 40), 0);
	assert_memory_equal(t + 44, want, sizeof(want));
}

static void ids_that_need_more_than_8_bits_are_x2apic(void **state)
{
	struct vmm_acpi_machine m;
	const uint8_t *t;
	uint32_t narrow = 0, wide = 0, nmi = 0;

	build(2, &m);
	t = find("APIC");
	for (uint32_t i = 44; i < get_le32(t + 4); i += t[i + 1]) {
		narrow += t[i] == 0;
		nmi += t[i] == 10;
		if (t[i] != 9)
			continue;
		assert_int_equal(get_le32(t + i + 4), wide ? 4000 : 255);
		assert_int_equal(get_le32(t + i + 8), 1);
		assert_int_equal(get_le32(t + i + 12), 3 + wide);
		wide++;
	}
	assert_int_equal(narrow, 3);
	assert_int_equal(wide, 2);
	assert_int_equal(nmi, 1);
}

static void the_size_is_checked_before_a_byte_is_written(void **state)
{
	struct vmm_acpi_machine m;
	struct vmm_error err;
	size_t len = 0, again = 77;

	test_machine(2, &m);
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, sizeof(blob), &len, &err),
			 0);
	memset(blob, 0xee, sizeof(blob));
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, len - 1, &again, &err),
			 -ENOSPC);
	assert_int_equal(err.wanted, len);
	assert_int_equal(again, 77);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(blob[i], 0xee);
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, len, &again, &err), 0);
	assert_int_equal(again, len);
	assert_int_equal(blob[len], 0xee);
}

static void refuse(const struct vmm_acpi_machine *m, uint64_t gpa, int want,
		   const char *text)
{
	struct vmm_error err = { 0 };
	size_t len = 77;
	int ret = vmm_acpi_machine_build(m, gpa, blob, sizeof(blob), &len, &err);

	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
	assert_int_equal(len, 77);
}

static void a_machine_that_cannot_be_is_refused(void **state)
{
	static const uint32_t twice[] = { 1, 2, 1 }, too_high[] = { UINT32_MAX };
	static const struct vmm_acpi_uart bad_uart[] = { { .port = 0, .gsi = 4 },
							 { .port = 0xfff9, .gsi = 4 },
							 { .port = 0x3f8, .gsi = 24 } };
	static const struct vmm_acpi_virtio_mmio bad_virtio[] = {
		{ .gpa = 0, .len = 511, .gsi = 4 },
		{ .gpa = UINT64_MAX, .len = 512, .gsi = 4 },
		{ .gpa = 0, .len = 512, .gsi = 24 },
	};
	uint8_t table[40] = { 0 };
	struct vmm_acpi_bytes bytes = { table, sizeof(table) };
	struct vmm_acpi_machine good = VMM_ACPI_MACHINE_INIT, m;

#define TRY(change, want, text)              \
	do {                                 \
		m = good;                    \
		change;                      \
		refuse(&m, GPA, want, text); \
	} while (0)
	refuse(&good, GPA + 8, -EINVAL, "not a multiple of 16");
	refuse(&good, UINT64_MAX - 15, -EINVAL, "pass the end of the address space");
	TRY(m.size = 4, -EINVAL, "structure size");
	TRY(m.cpu_count = 0, -EINVAL, "no CPU");
	TRY(m.cpu_count = 4097, -E2BIG, "4097 CPUs, the limit is 4096");
	TRY((m.cpu_count = 3, m.apic_ids = twice), -EINVAL,
	    "CPUs 0 and 2 both have APIC id 1");
	TRY(m.apic_ids = too_high, -EINVAL, "APIC id out of range");
	TRY(m.flags = 8, -EINVAL, "unknown flags");
	TRY(m.reserved_ = 1, -EINVAL, "unknown flags");
	TRY(m.s5_type = 8, -EINVAL, "sleep type");
	TRY(m.sleep_control_port = 0x600, -EINVAL, "come in pairs");
	TRY(m.sleep_status_port = 0x600, -EINVAL, "come in pairs");
	TRY(m.ioapic_id = 256, -EINVAL, "I/O APIC");
	TRY(m.ioapic_gsi = UINT32_MAX - 40, -EINVAL, "I/O APIC");
	TRY(m.power_button_gsi = 24, -EINVAL, "the power button has interrupt 24");
	for (size_t i = 0; i < 3; i++) {
		TRY((m.uarts = bad_uart + i, m.uart_count = 1), -EINVAL, "UART");
		TRY((m.virtio_mmio = bad_virtio + i, m.virtio_mmio_count = 1), -EINVAL,
		    "virtio device");
	}
	TRY((m.uarts = bad_uart, m.uart_count = 4097), -E2BIG, "4096 devices");
	TRY((m.tables = &bytes, m.table_count = 65), -E2BIG, "64 further tables");
	TRY((m.tables = &bytes, m.table_count = 1), -EINVAL, "further table 0");
	assert_int_equal(vmm_acpi_header_write(table, sizeof(table), "TEST", 1), 0);
	table[39] = 1;
	TRY((m.tables = &bytes, m.table_count = 1), -EINVAL, "further table 0");
	bytes.len = 35;
	TRY((m.tables = &bytes, m.table_count = 1), -EINVAL, "further table 0");
#undef TRY
	assert_int_equal(vmm_acpi_header_write(table, 35, "TEST", 1), -EINVAL);
	assert_int_equal(vmm_acpi_header_write(table, 36, "TES", 1), -EINVAL);
}

static void further_parts_of_a_machine_are_checked(void **state)
{
	static const uint32_t nodes[] = { 0, 1, 1, 1, 2 };
	static const uint8_t far[] = { 10, 10, 20, 10 }, self[] = { 11, 20, 20, 10 };
	struct vmm_acpi_numa_memory memory = { .gpa = 0, .len = 1, .node = 0 };
	struct vmm_acpi_machine good, m;
	struct vmm_acpi_pci pci;
	struct vmm_acpi_numa numa;

#define TRY(change, text)                       \
	do {                                    \
		test_machine(4, &good);         \
		m = good;                       \
		pci = *good.pci;                \
		numa = *good.numa;              \
		m.pci = &pci;                   \
		m.numa = &numa;                 \
		change;                         \
		refuse(&m, GPA, -EINVAL, text); \
	} while (0)
	TRY(pci.ecam_gpa = 0, "PCI configuration space");
	TRY(pci.ecam_gpa = 0xe0080000, "PCI configuration space");
	TRY(pci.mmio32_len = UINT64_C(0x40000001), "PCI window");
	TRY(pci.mmio64_gpa = UINT64_MAX, "PCI window");
	TRY(pci.pin_gsi[3] = 24, "a PCI pin has interrupt 24");
	TRY(numa.node_count = 0, "number of nodes");
	TRY(numa.node_count = 65, "number of nodes");
	TRY(numa.memory_count = 4097, "number of memory ranges");
	TRY(numa.cpu_node = nodes, "node of a CPU");
	TRY((memory.node = 2, numa.memory = &memory, numa.memory_count = 1),
	    "node of memory");
	TRY((memory.node = 0, memory.len = 0, numa.memory = &memory,
	     numa.memory_count = 1),
	    "memory of a node");
	TRY((memory.len = 2, memory.gpa = UINT64_MAX, numa.memory = &memory,
	     numa.memory_count = 1),
	    "memory of a node");
	TRY(numa.distance = far, "distance of two nodes");
	TRY(numa.distance = self, "distance of two nodes");
	TRY(m.hpet_gpa = 0xfed00001, "HPET or generation id");
	TRY(m.vmgenid_gpa = 4, "HPET or generation id");
	TRY(m.vmgenid_gsi = 24, "the generation id has interrupt 24");
	TRY(m.uart_count = 0, "a console without a UART");
#undef TRY
}

static void further_tables_say_what_they_were_told(void **state)
{
	struct vmm_acpi_machine m;
	const uint8_t *t;

	build(4, &m);
	t = find("MCFG");
	assert_int_equal(get_le32(t + 4), 60);
	assert_true(get_le64(t + 44) == 0xe0000000);
	assert_memory_equal(t + 52, "\0\0\0\xff\0\0\0\0", 8);
	t = find("HPET");
	assert_true(get_le64(t + 44) == 0xfed00000);
	t = find("SPCR");
	assert_int_equal(get_le64(t + 44), 0x3f8);
	assert_int_equal(get_le32(t + 54), 4);
	t = find("SRAT");
	assert_int_equal(get_le32(t + 4), 48 + 3 * 16 + 2 * 24 + 2 * 40);
	assert_memory_equal(t + 48 + 16, "\0\x10\0\2\1\0\0\0", 8);
	assert_memory_equal(t + 48 + 48, "\2\x18\0\0\1\0\0\0\xff\0\0\0\1\0\0\0", 16);
	t = find("SLIT");
	assert_int_equal(get_le64(t + 36), 2);
	assert_memory_equal(t + 44, "\x0a\x14\x15\x0a", 4);
	build(1, &m);
	assert_null(find("MCFG"));
	assert_null(find("SRAT"));
}

/* A caller that was built before the structure grew. */
static void an_older_description_still_works(void **state)
{
	struct vmm_acpi_machine m;
	size_t len;

	test_machine(4, &m);
	m.flags = 0;
	m.size = offsetof(struct vmm_acpi_machine, pci);
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, sizeof(blob), &len, NULL),
			 0);
	assert_null(find("MCFG"));
	assert_null(find("HPET"));
}

static void further_tables_and_aml_are_put_in(void **state)
{
	static const uint8_t name[] = { 0x08, 'A', 'B', 'C', 'D', 0x0a, 0x55 };
	uint8_t table[40] = { 0 };
	const struct vmm_acpi_bytes bytes = { table, sizeof(table) };
	struct vmm_acpi_machine m = VMM_ACPI_MACHINE_INIT;
	const uint8_t *t;
	size_t len;

	table[38] = 0x77;
	assert_int_equal(vmm_acpi_header_write(table, sizeof(table), "TEST", 1), 0);
	m.tables = &bytes;
	m.table_count = 1;
	m.extra_aml = (struct vmm_acpi_bytes){ name, sizeof(name) };
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, sizeof(blob), &len, NULL),
			 0);
	t = find("TEST");
	assert_non_null(t);
	assert_memory_equal(t, table, sizeof(table));
	t = at(get_le64(find("FACP") + 140));
	assert_non_null(memmem(t, get_le32(t + 4), name, sizeof(name)));
}

static void expect_aml(struct vmm_acpi_aml *aml, const void *want, size_t len)
{
	struct vmm_error err = { 0 };
	const uint8_t *bytes;
	size_t n;

	if (vmm_acpi_aml_finish(aml, &bytes, &n, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(n, len);
	assert_memory_equal(bytes, want, len);
	vmm_acpi_aml_free(aml);
}

static struct vmm_acpi_aml *make(void)
{
	struct vmm_acpi_aml *aml;

	assert_int_equal(vmm_acpi_aml_new(&aml), 0);
	return aml;
}

static void names_are_encoded_as_the_specification_says(void **state)
{
	static const struct {
		const char *path, *bytes;
		size_t len;
	} good[] = {
		{ "A", "A___", 4 },
		{ "_SB", "_SB_", 4 },
		{ "\\", "\\\0", 2 },
		{ "\\_SB_", "\\_SB_", 5 },
		{ "^^AB1", "^^AB1_", 6 },
		{ "AAAA.B",
		  "\x2e"
		  "AAAAB___",
		  9 },
		{ "\\A.B.C",
		  "\\\x2f\x03"
		  "A___B___C___",
		  15 },
	};
	static const char *const bad[] = {
		"",   "1A", "AB.",  "a",   "ABCDE", "A..B",
		".A", "A^", "^\\A", "A B", "\\A.1", "A.B.CDEFG"
	};
	const uint8_t *bytes;
	size_t n;

	for (size_t i = 0; i < VMM_ARRAY_LEN(good); i++) {
		struct vmm_acpi_aml *aml = make();

		vmm_acpi_aml_put_path(aml, good[i].path);
		expect_aml(aml, good[i].bytes, good[i].len);
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		struct vmm_acpi_aml *aml = make();
		struct vmm_error err = { 0 };

		vmm_acpi_aml_put_path(aml, bad[i]);
		if (vmm_acpi_aml_finish(aml, &bytes, &n, &err) != -EINVAL)
			fail_msg("'%s' is taken for a name", bad[i]);
		assert_non_null(strstr(err.message, "is not a name"));
		vmm_acpi_aml_free(aml);
	}
}

static void only_the_first_mistake_counts(void **state)
{
	struct vmm_acpi_aml *aml = make();
	const uint8_t *bytes = NULL;
	struct vmm_error err;
	size_t n = 77;

	vmm_acpi_aml_begin_package(aml, 2);
	vmm_acpi_aml_put_int(aml, 1);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_put_path(aml, "lower");
	vmm_acpi_aml_end(aml);
	assert_int_equal(vmm_acpi_aml_finish(aml, &bytes, &n, &err), -EINVAL);
	assert_string_equal(err.message, "AML: a package of 2 with 1 elements");
	assert_int_equal(vmm_acpi_aml_finish(aml, &bytes, &n, NULL), -EINVAL);
	assert_null(bytes);
	assert_int_equal(n, 77);
	vmm_acpi_aml_free(aml);
	vmm_acpi_aml_free(NULL);
}

static void m_end(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_end(a);
}
static void m_open(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_scope(a, "\\");
}
static void m_deep(struct vmm_acpi_aml *a)
{
	for (unsigned int i = 0; i <= VMM_ACPI_AML_DEPTH_MAX; i++)
		vmm_acpi_aml_begin_if(a);
}
static void m_args(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_method(a, "A", 8, 0);
}
static void m_else(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_if(a);
	vmm_acpi_aml_end(a);
	vmm_acpi_aml_put_int(a, 1);
	vmm_acpi_aml_begin_else(a);
}
static void m_first_else(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_else(a);
}
static void m_package(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_package(a, 256);
}
static void m_string(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_string(a, "\xc3\xa4");
}
static void m_eisa(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_eisa_id(a, "PNP05G1");
}
static void m_eisa_short(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_eisa_id(a, "PNP050");
}
static void m_eisa_lower(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_eisa_id(a, "PnP0501");
}
static void m_op(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_op(a, 0x1234);
}
static void m_region(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_region(a, "A", 0, UINT64_MAX, 2);
}
static void m_space(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_region(a, "A", 9, 0, 2);
}
static void m_access(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_field(a, "A", 12, 0, NULL, 0);
}
static void m_bits(struct vmm_acpi_aml *a)
{
	const struct vmm_acpi_field f = { .name = "A" };

	vmm_acpi_aml_put_field(a, "A", 8, 0, &f, 1);
}
static void m_field_path(struct vmm_acpi_aml *a)
{
	const struct vmm_acpi_field f = { .name = "\\A", .bits = 1 };

	vmm_acpi_aml_put_field(a, "A", 8, 0, &f, 1);
}
static void m_outside(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_irq(a, 1, 0);
}
static void m_inside(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_int(a, 1);
}
static void m_io(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_io(a, 0xffff, 2);
}
static void m_memory(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_memory(a, UINT64_MAX, 2);
}
static void m_window(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_memory_window(a, 0, 0);
}
static void m_bus(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_bus_numbers(a, 2, 1);
}
static void m_io_window(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_begin_resources(a);
	vmm_acpi_aml_put_io_window(a, 1, 0x10000);
}
static void m_large(struct vmm_acpi_aml *a)
{
	vmm_acpi_aml_put_buffer(a, blob, sizeof(blob));
}

static void each_mistake_has_its_words(void **state)
{
	static const struct {
		void (*make)(struct vmm_acpi_aml *a);
		int want;
		const char *text;
	} cases[] = {
		{ m_end, -EINVAL, "an end without a begin" },
		{ m_open, -EINVAL, "1 begun and not ended" },
		{ m_deep, -E2BIG, "more than 32 levels" },
		{ m_args, -EINVAL, "a method with 8 arguments" },
		{ m_else, -EINVAL, "does not follow an If" },
		{ m_first_else, -EINVAL, "does not follow an If" },
		{ m_package, -E2BIG, "a package of 256" },
		{ m_string, -EINVAL, "not ASCII" },
		{ m_eisa, -EINVAL, "'PNP05G1' is not an EISA id" },
		{ m_eisa_short, -EINVAL, "is not an EISA id" },
		{ m_eisa_lower, -EINVAL, "is not an EISA id" },
		{ m_op, -EINVAL, "no operator 0x1234" },
		{ m_region, -EINVAL, "operation region" },
		{ m_space, -EINVAL, "operation region" },
		{ m_access, -EINVAL, "accesses of 12 bits" },
		{ m_bits, -EINVAL, "field 0 of 'A'" },
		{ m_field_path, -EINVAL, "field 0 of 'A'" },
		{ m_outside, -EINVAL, "outside a ResourceTemplate" },
		{ m_inside, -EINVAL, "a term among resources" },
		{ m_io, -EINVAL, "2 I/O ports from 0xffff" },
		{ m_memory, -EINVAL, "memory resource" },
		{ m_window, -EINVAL, "memory resource" },
		{ m_bus, -EINVAL, "bus numbers 2 to 1" },
		{ m_io_window, -EINVAL, "65536 I/O ports from 0x1" },
		{ m_large, -E2BIG, "more than 1048576 bytes" },
	};
	const uint8_t *bytes;
	size_t n;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_acpi_aml *aml = make();
		struct vmm_error err = { 0 };
		int ret;

		cases[i].make(aml);
		ret = vmm_acpi_aml_finish(aml, &bytes, &n, &err);
		if (ret != cases[i].want || !strstr(err.message, cases[i].text))
			fail_msg("case %zu: %d '%s'", i, ret, err.message);
		vmm_acpi_aml_free(aml);
	}
}

static void an_empty_writer_has_no_bytes(void **state)
{
	expect_aml(make(), "", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_pointer_and_checksums_are_right),
		cmocka_unit_test(fadt_is_hardware_reduced_and_names_the_ports),
		cmocka_unit_test(madt_has_each_cpu_and_the_io_apic),
		cmocka_unit_test(ids_that_need_more_than_8_bits_are_x2apic),
		cmocka_unit_test(the_size_is_checked_before_a_byte_is_written),
		cmocka_unit_test(a_machine_that_cannot_be_is_refused),
		cmocka_unit_test(further_parts_of_a_machine_are_checked),
		cmocka_unit_test(further_tables_say_what_they_were_told),
		cmocka_unit_test(an_older_description_still_works),
		cmocka_unit_test(further_tables_and_aml_are_put_in),
		cmocka_unit_test(names_are_encoded_as_the_specification_says),
		cmocka_unit_test(only_the_first_mistake_counts),
		cmocka_unit_test(each_mistake_has_its_words),
		cmocka_unit_test(an_empty_writer_has_no_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* CPUs that come and go, and the interrupt controller of arm64. */
#include "vmm-test.h"

#include <errno.h>

#include "../src/bytes.h"
#include "acpi-machines.h"

#define GPA UINT64_C(0xe0000)

enum { HOTPLUG = 5, MANY = 6, GICV2 = 7, GICV3 = 8 };

static uint8_t blob[1 << 20];
/* What is not there: a compiler that looks closely wants no NULL. */
static const uint8_t nothing[128];

static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = blob + (get_le64(blob + 24) - GPA);

	for (uint32_t i = 36; i < get_le32(xsdt + 4); i += 8) {
		const uint8_t *t = blob + (get_le64(xsdt + i) - GPA);

		if (memcmp(t, signature, 4) == 0)
			return t;
	}
	return nothing;
}

static void build(size_t i)
{
	struct vmm_error err = { 0 };
	struct vmm_acpi_machine m;
	size_t len;

	assert_non_null(test_machine(i, &m));
	if (vmm_acpi_machine_build(&m, GPA, blob, sizeof(blob), &len, &err) != 0)
		fail_msg("%s", err.message);
}

/* An entry of the MADT or SRAT, counting from 0. */
static const uint8_t *entry(const uint8_t *table, uint32_t first, uint8_t type,
			    unsigned int index)
{
	for (uint32_t i = first; i < get_le32(table + 4); i += table[i + 1])
		if (table[i] == type && index-- == 0)
			return table + i;
	return nothing;
}

static const uint8_t *dsdt(size_t *out_len)
{
	const uint8_t *t = blob + (get_le64(find("FACP") + 140) - GPA);

	*out_len = get_le32(t + 4);
	return t;
}

static unsigned int count(const char *what, size_t len)
{
	unsigned int n = 0;
	size_t size;
	const uint8_t *t = dsdt(&size);

	for (size_t i = 0; i + len <= size; i++)
		n += memcmp(t + i, what, len) == 0;
	return n;
}

static void cpus_that_are_not_there_can_be_brought_online(void **state)
{
	const uint8_t *t, *e;

	build(HOTPLUG);
	t = find("APIC");
	for (uint32_t i = 0; i < 3; i++) {
		e = entry(t, 44, 0, i);
		assert_int_equal(get_le32(e + 4), i < 2 ? 1 : 2);
	}
	e = entry(t, 44, 9, 0);
	assert_int_equal(get_le32(e + 4), 255);
	assert_int_equal(get_le32(e + 8), 2);
	assert_ptr_equal(entry(t, 44, 0, 3), nothing);
	/* Each of them has a node. */
	assert_ptr_not_equal(entry(find("SRAT"), 48, 0, 2), nothing);
	assert_ptr_not_equal(entry(find("SRAT"), 48, 2, 0), nothing);
}

static void each_cpu_but_the_first_has_the_objects_of_hot_plug(void **state)
{
	build(HOTPLUG);
	assert_int_equal(count("_STA", 4), 3);
	assert_int_equal(count("_EJ0", 4), 3);
	assert_int_equal(count("_MAT", 4), 3);
	assert_int_equal(count("_PXM", 4), 3);
	assert_int_equal(count("CPUCCSTA", 8), 3);
	assert_int_equal(count("CPUCCEJE", 8), 3);
	assert_int_equal(count("CPUCCSCN", 8), 1);
	/* _MAT is the entry of a CPU that is there: APIC id 254, CPU 2. */
	assert_int_equal(count("_MAT\x11\x0b\x0a\x08\0\x08\x02\xfe\1\0\0\0", 16), 1);
	/* OperationRegion (CREG, SystemIO, 0x610, 8). */
	assert_int_equal(count("\x5b\x80"
			       "CREG\1\x0b\x10\x06\x0a\x08",
			       12),
			 1);
	build(MANY);
	assert_int_equal(count("_EJ0", 4), 299);
	assert_int_equal(count("_PXM", 4), 0);
	build(0);
	assert_int_equal(count("_STA", 4), 0);
	assert_int_equal(count("CPUC", 4), 0);
}

static void a_gicv2_has_its_interface_and_frame(void **state)
{
	const uint8_t *t, *e;

	build(GICV2);
	t = find("APIC");
	assert_int_equal(get_le32(t + 36), 0);
	for (uint32_t i = 0; i < 2; i++) {
		e = entry(t, 44, 11, i);
		assert_int_equal(e[1], 80);
		assert_int_equal(get_le32(e + 4), i);
		assert_int_equal(get_le32(e + 8), i);
		assert_int_equal(get_le32(e + 12), 1);
		assert_int_equal(get_le64(e + 32), 0x8010000);
		assert_int_equal(get_le64(e + 68), i);
	}
	e = entry(t, 44, 12, 0);
	assert_int_equal(e[1], 24);
	assert_int_equal(get_le64(e + 8), 0x8000000);
	assert_int_equal(e[20], 2);
	e = entry(t, 44, 13, 0);
	assert_int_equal(get_le64(e + 8), 0x8020000);
	assert_int_equal(get_le32(e + 16), 1);
	assert_int_equal(get_le16(e + 20), 64);
	assert_int_equal(get_le16(e + 22), 80);
	assert_ptr_equal(entry(t, 44, 14, 0), nothing);
	assert_ptr_equal(entry(t, 44, 15, 0), nothing);
	assert_ptr_equal(entry(t, 44, 1, 0), nothing);
}

static void a_gicv3_has_redistributors_and_a_translation_service(void **state)
{
	static const uint64_t mpidrs[] = { 0, 1, 0x100, 0x101 };
	const uint8_t *t, *e;

	build(GICV3);
	t = find("APIC");
	for (uint32_t i = 0; i < 4; i++) {
		e = entry(t, 44, 11, i);
		assert_int_equal(get_le32(e + 12), i < 3 ? 1 : 8);
		assert_int_equal(get_le32(e + 20), 23);
		assert_int_equal(get_le64(e + 32), 0);
		assert_int_equal(get_le64(e + 60), 0);
		assert_int_equal(get_le64(e + 68), mpidrs[i]);
	}
	assert_int_equal(entry(t, 44, 12, 0)[20], 3);
	e = entry(t, 44, 14, 0);
	assert_int_equal(get_le64(e + 4), 0x80a0000);
	assert_int_equal(get_le32(e + 12), 0xf60000);
	e = entry(t, 44, 15, 0);
	assert_int_equal(get_le64(e + 8), 0x8080000);
	assert_ptr_equal(entry(t, 44, 13, 0), nothing);
	/* Nodes go by the CPU's number. */
	e = entry(find("SRAT"), 48, 3, 2);
	assert_int_equal(e[1], 18);
	assert_int_equal(get_le32(e + 2), 1);
	assert_int_equal(get_le32(e + 6), 2);
	assert_int_equal(get_le32(e + 10), 1);
}

static void an_arm64_machine_has_psci_and_timers(void **state)
{
	static const uint32_t irqs[] = { 29, 30, 27, 26 };
	const uint8_t *t;

	build(GICV3);
	assert_int_equal(get_le16(find("FACP") + 129), 3);
	t = find("GTDT");
	assert_int_equal(get_le32(t + 4), 104);
	assert_int_equal(t[8], 3);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(get_le32(t + 48 + 8 * i), irqs[i]);
		assert_int_equal(get_le32(t + 52 + 8 * i), 6);
	}
	build(GICV2);
	t = find("GTDT");
	assert_int_equal(get_le32(t + 48), 0);
	assert_int_equal(get_le32(t + 52), 0);
	build(1);
	assert_ptr_equal(find("GTDT"), nothing);
	assert_int_equal(get_le16(find("FACP") + 129), 0);
}

/* 32 CPUs: affinity 1 counts clusters of 16. */
static void cpus_of_a_gic_have_an_mpidr_by_themselves(void **state)
{
	struct vmm_acpi_machine m;
	struct vmm_acpi_gic gic;
	size_t len;

	test_machine(GICV3, &m);
	gic = *m.gic;
	gic.mpidrs = NULL;
	m.gic = &gic;
	m.cpu_hotplug = NULL;
	m.numa = NULL;
	m.cpu_count = 32;
	assert_int_equal(vmm_acpi_machine_build(&m, GPA, blob, sizeof(blob), &len, NULL),
			 0);
	assert_int_equal(get_le64(entry(find("APIC"), 44, 11, 15) + 68), 0x00f);
	assert_int_equal(get_le64(entry(find("APIC"), 44, 11, 17) + 68), 0x101);
}

static void refuse(const struct vmm_acpi_machine *m, int want, const char *text)
{
	struct vmm_error err = { 0 };
	size_t len = 77;
	int ret = vmm_acpi_machine_build(m, GPA, blob, sizeof(blob), &len, &err);

	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
	assert_int_equal(len, 77);
}

static void hot_plug_that_cannot_be_is_refused(void **state)
{
	struct vmm_acpi_cpu_hotplug h, good;
	struct vmm_acpi_machine m;

	test_machine(HOTPLUG, &m);
	good = h = *m.cpu_hotplug;
	m.cpu_hotplug = &h;
#define TRY(change, want, text)         \
	do {                            \
		change;                 \
		refuse(&m, want, text); \
		h = good;               \
	} while (0)
	TRY(h.cpu_max = 1, -EINVAL, "most CPUs are too few");
	TRY(h.cpu_max = 4097, -E2BIG, "4097 CPUs");
	TRY(h.reserved_ = 1, -EINVAL, "too few");
	TRY(h.space = 2, -EINVAL, "registers of CPU hot-plug");
	TRY(h.gpa = 0x611, -EINVAL, "registers of CPU hot-plug");
	TRY(h.gpa = 0xfffc, -EINVAL, "registers of CPU hot-plug");
	TRY(h.gpa = UINT64_MAX - 3, -EINVAL, "registers of CPU hot-plug");
	TRY(h.gsi = 24, -EINVAL, "CPU hot-plug has interrupt 24");
}

static void a_gic_that_cannot_be_is_refused(void **state)
{
	struct vmm_acpi_cpu_hotplug io;
	struct vmm_acpi_gic h, good;
	struct vmm_acpi_machine m, good_m;

	test_machine(GICV3, &good_m);
	good = h = *good_m.gic;
	m = good_m;
	m.gic = &h;
	io = *m.cpu_hotplug;
	io.space = VMM_ACPI_SPACE_IO;
	io.gpa = 0x600;
	TRY(h.version = 1, -EINVAL, "version of the GIC");
	TRY(h.version = 4, -EINVAL, "version of the GIC");
	TRY(h.reserved_ = 1, -EINVAL, "version of the GIC");
	TRY(h.timer_virtual = 15, -EINVAL, "interrupt of a CPU");
	TRY(h.timer_secure = 32, -EINVAL, "interrupt of a CPU");
	TRY(h.timer_physical = 32, -EINVAL, "interrupt of a CPU");
	TRY(h.timer_hypervisor = 32, -EINVAL, "interrupt of a CPU");
	TRY(h.pmu = 1020, -EINVAL, "interrupt of a CPU");
	TRY(h.dist_gpa = 1, -EINVAL, "address of a part");
	TRY(h.its_gpa = 4096, -EINVAL, "address of a part");
	TRY(h.redist_gpa = 4096, -EINVAL, "address of a part");
	TRY(h.cpu_gpa = 4096, -EINVAL, "a part that this GIC does not have");
	TRY(h.v2m_gpa = 4096, -EINVAL, "a part that this GIC does not have");
	TRY(h.version = 2, -EINVAL, "a part that this GIC does not have");
	TRY(h.redist_len = 8 * 0x20000 - 1, -EINVAL, "room for redistributors");
	TRY(h.redist_len = 0, -EINVAL, "room for redistributors");
	TRY(h.redist_len = UINT64_C(1) << 32, -EINVAL, "room for redistributors");
	TRY(h.redist_gpa = ~UINT64_C(0xffff), -EINVAL, "room for redistributors");
	TRY(m.cpu_hotplug = &io, -EINVAL, "registers of CPU hot-plug");
	m.cpu_hotplug = good_m.cpu_hotplug;
	TRY(m.power_button_gsi = 31, -EINVAL, "the GIC has 32 to 1019");
	TRY(m.power_button_gsi = 1020, -EINVAL, "the GIC has 32 to 1019");
	m.power_button_gsi = VMM_ACPI_NO_GSI;
	TRY(m.flags = VMM_ACPI_HAS_I8042, -EINVAL, "a part of a PC");
	m.flags = 0;
	TRY(m.reset_port = 1, -EINVAL, "a part of a PC");
	m.reset_port = 0;
	TRY(m.hpet_gpa = 1024, -EINVAL, "a part of a PC");

	test_machine(GICV2, &good_m);
	good = h = *good_m.gic;
	m = good_m;
	m.gic = &h;
	TRY(h.cpu_gpa = 0, -EINVAL, "a part that this GIC does not have");
	TRY(h.cpu_gpa = 1, -EINVAL, "address of a part");
	TRY(h.v2m_gpa = 1, -EINVAL, "address of a part");
	TRY(h.v2m_spi_base = 31, -EINVAL, "interrupts of GICv2m");
	TRY(h.v2m_spi_count = 0, -EINVAL, "interrupts of GICv2m");
	TRY(h.v2m_spi_count = 941, -EINVAL, "interrupts of GICv2m");
	TRY(m.cpu_count = 9, -EINVAL, "CPUs of a GICv2");
#undef TRY
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_that_are_not_there_can_be_brought_online),
		cmocka_unit_test(each_cpu_but_the_first_has_the_objects_of_hot_plug),
		cmocka_unit_test(a_gicv2_has_its_interface_and_frame),
		cmocka_unit_test(a_gicv3_has_redistributors_and_a_translation_service),
		cmocka_unit_test(an_arm64_machine_has_psci_and_timers),
		cmocka_unit_test(cpus_of_a_gic_have_an_mpidr_by_themselves),
		cmocka_unit_test(hot_plug_that_cannot_be_is_refused),
		cmocka_unit_test(a_gic_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

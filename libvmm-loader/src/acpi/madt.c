/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "../bytes.h"
#include "tables.h"

/* ACPI 6.5, 5.2.12: local APIC, I/O APIC, NMI on LINT1, and their x2APIC forms. */
#define MADT_HEAD_LEN (VMM_ACPI_HEADER_LEN + 8u)
#define LAPIC_LEN 8u
#define IOAPIC_LEN 12u
#define LAPIC_NMI_LEN 6u
#define X2APIC_LEN 16u
#define X2APIC_NMI_LEN 12u

#define CPU_ENABLED 0x1u
#define CPU_ONLINE_CAPABLE 0x2u

/* 255 is "all of them" in 8 bits. */
#define XAPIC_ID_MAX 254u

uint32_t acpi_cpus(const struct vmm_acpi_machine *m)
{
	return m->cpu_hotplug ? m->cpu_hotplug->cpu_max : m->cpu_count;
}

uint32_t acpi_apic_id(const struct vmm_acpi_machine *m, uint32_t cpu)
{
	return m->apic_ids ? m->apic_ids[cpu] : cpu;
}

/* Whether a CPU needs the wider entry; its number must fit the narrow one as well. */
int acpi_is_x2apic(const struct vmm_acpi_machine *m, uint32_t cpu)
{
	return acpi_apic_id(m, cpu) > XAPIC_ID_MAX || cpu > XAPIC_ID_MAX;
}

size_t acpi_madt_cpu(uint8_t out[MADT_CPU_MAX], const struct vmm_acpi_machine *m,
		     uint32_t cpu, bool enabled)
{
	uint32_t flags = enabled ? CPU_ENABLED : CPU_ONLINE_CAPABLE;
	uint32_t id;

	if (m->gic)
		return acpi_gic_cpu(out, m, cpu, enabled);
	id = acpi_apic_id(m, cpu);
	memset(out, 0, X2APIC_LEN);
	if (acpi_is_x2apic(m, cpu)) {
		out[0] = 9;
		out[1] = X2APIC_LEN;
		put_le32(out + 4, id);
		put_le32(out + 8, flags);
		put_le32(out + 12, cpu);
		return X2APIC_LEN;
	}
	out[0] = 0;
	out[1] = LAPIC_LEN;
	out[2] = (uint8_t)cpu;
	out[3] = (uint8_t)id;
	put_le32(out + 4, flags);
	return LAPIC_LEN;
}

static size_t apic_len(const struct vmm_acpi_machine *m)
{
	size_t len = IOAPIC_LEN + LAPIC_NMI_LEN, wide = 0;

	for (uint32_t i = 0; i < acpi_cpus(m); i++) {
		wide += acpi_is_x2apic(m, i) ? 1 : 0;
		len += acpi_is_x2apic(m, i) ? X2APIC_LEN : LAPIC_LEN;
	}
	return len + (wide ? X2APIC_NMI_LEN : 0);
}

static void put_apic(uint8_t *p, const struct vmm_acpi_machine *m)
{
	uint8_t entry[MADT_CPU_MAX];
	int wide = 0;

	for (uint32_t i = 0; i < acpi_cpus(m); i++) {
		size_t len = acpi_madt_cpu(entry, m, i, i < m->cpu_count);

		wide |= acpi_is_x2apic(m, i);
		memcpy(p, entry, len);
		p += len;
	}

	p[0] = 1;
	p[1] = IOAPIC_LEN;
	p[2] = (uint8_t)m->ioapic_id;
	put_le32(p + 4, m->ioapic_gpa ? m->ioapic_gpa : 0xfec00000);
	put_le32(p + 8, m->ioapic_gsi);
	p += IOAPIC_LEN;

	p[0] = 4;
	p[1] = LAPIC_NMI_LEN;
	p[2] = 0xff;
	p[5] = 1;
	p += LAPIC_NMI_LEN;

	if (wide) {
		p[0] = 10;
		p[1] = X2APIC_NMI_LEN;
		put_le32(p + 4, UINT32_MAX);
		p[8] = 1;
	}
}

size_t acpi_madt_len(const struct vmm_acpi_machine *m)
{
	return MADT_HEAD_LEN + (m->gic ? acpi_gic_len(m) : apic_len(m));
}

void acpi_madt(uint8_t *out, const struct vmm_acpi_machine *m)
{
	size_t len = acpi_madt_len(m);

	memset(out, 0, len);
	if (m->gic) {
		acpi_gic(out + MADT_HEAD_LEN, m);
	} else {
		put_le32(out + VMM_ACPI_HEADER_LEN,
			 m->lapic_gpa ? m->lapic_gpa : 0xfee00000);
		put_apic(out + MADT_HEAD_LEN, m);
	}
	(void)!vmm_acpi_header_write(out, len, "APIC", 6);
}

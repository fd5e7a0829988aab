/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Tables that only some machines have: HPET, SPCR, SRAT, SLIT. */
#include <string.h>

#include "../bytes.h"
#include "tables.h"

/* IA-PC HPET Specification 1.0a, 3.2.4. */
#define HPET_LEN 56u
/* Three comparators, 64-bit counter, vendor 0x8086: the register that it repeats. */
#define HPET_ID 0x8086a201u

size_t acpi_hpet_len(const struct vmm_acpi_machine *m)
{
	return m->hpet_gpa ? HPET_LEN : 0;
}

void acpi_hpet(uint8_t *out, const struct vmm_acpi_machine *m)
{
	memset(out, 0, HPET_LEN);
	put_le32(out + 36, HPET_ID);
	out[41] = 64;
	put_le64(out + 44, m->hpet_gpa);
	(void)!vmm_acpi_header_write(out, HPET_LEN, "HPET", 1);
}

/* Serial Port Console Redirection Table, revision 2: 16550, 115200 8n1. */
#define SPCR_LEN 80u
#define SPCR_IRQ_APIC 0x02
#define SPCR_BAUD_115200 7

size_t acpi_spcr_len(const struct vmm_acpi_machine *m)
{
	return m->flags & VMM_ACPI_HAS_CONSOLE ? SPCR_LEN : 0;
}

void acpi_spcr(uint8_t *out, const struct vmm_acpi_machine *m)
{
	memset(out, 0, SPCR_LEN);
	out[40] = 1;
	out[41] = 8;
	out[43] = 1;
	put_le64(out + 44, m->uarts[0].port);
	out[52] = SPCR_IRQ_APIC;
	put_le32(out + 54, m->uarts[0].gsi);
	out[58] = SPCR_BAUD_115200;
	out[60] = 1;
	/* No PCI device. */
	put_le32(out + 64, UINT32_MAX);
	(void)!vmm_acpi_header_write(out, SPCR_LEN, "SPCR", 2);
}

/* ACPI 6.5, 5.2.16. */
#define SRAT_HEAD_LEN (VMM_ACPI_HEADER_LEN + 12u)
#define SRAT_CPU_LEN 16u
#define SRAT_X2APIC_LEN 24u
#define SRAT_MEMORY_LEN 40u
#define SRAT_GICC_LEN 18u

static size_t srat_cpu_len(const struct vmm_acpi_machine *m, uint32_t cpu)
{
	if (m->gic)
		return SRAT_GICC_LEN;
	return acpi_is_x2apic(m, cpu) ? SRAT_X2APIC_LEN : SRAT_CPU_LEN;
}

size_t acpi_srat_len(const struct vmm_acpi_machine *m)
{
	size_t len = SRAT_HEAD_LEN;

	if (!m->numa)
		return 0;
	for (uint32_t i = 0; i < acpi_cpus(m); i++)
		len += srat_cpu_len(m, i);
	return len + m->numa->memory_count * SRAT_MEMORY_LEN;
}

static uint8_t *put_cpu(uint8_t *p, const struct vmm_acpi_machine *m, uint32_t cpu)
{
	uint32_t id = acpi_apic_id(m, cpu), node = m->numa->cpu_node[cpu];

	if (m->gic) {
		p[0] = 3;
		p[1] = SRAT_GICC_LEN;
		put_le32(p + 2, node);
		put_le32(p + 6, cpu);
		put_le32(p + 10, 1);
		return p + SRAT_GICC_LEN;
	}
	if (acpi_is_x2apic(m, cpu)) {
		p[0] = 2;
		p[1] = SRAT_X2APIC_LEN;
		put_le32(p + 4, node);
		put_le32(p + 8, id);
		put_le32(p + 12, 1);
		return p + SRAT_X2APIC_LEN;
	}
	/* Nodes are below 256, so that the upper bytes of the domain stay 0. */
	p[0] = 0;
	p[1] = SRAT_CPU_LEN;
	p[2] = (uint8_t)node;
	p[3] = (uint8_t)id;
	put_le32(p + 4, 1);
	return p + SRAT_CPU_LEN;
}

void acpi_srat(uint8_t *out, const struct vmm_acpi_machine *m)
{
	size_t len = acpi_srat_len(m);
	uint8_t *p = out + SRAT_HEAD_LEN;

	memset(out, 0, len);
	/* Reserved, to be 1 for compatibility. */
	put_le32(out + VMM_ACPI_HEADER_LEN, 1);
	for (uint32_t i = 0; i < acpi_cpus(m); i++)
		p = put_cpu(p, m, i);
	for (size_t i = 0; i < m->numa->memory_count; i++, p += SRAT_MEMORY_LEN) {
		p[0] = 1;
		p[1] = SRAT_MEMORY_LEN;
		put_le32(p + 2, m->numa->memory[i].node);
		put_le64(p + 8, m->numa->memory[i].gpa);
		put_le64(p + 16, m->numa->memory[i].len);
		put_le32(p + 28, 1);
	}
	(void)!vmm_acpi_header_write(out, len, "SRAT", 3);
}

/* ACPI 6.5, 5.2.17. */
#define SLIT_HEAD_LEN (VMM_ACPI_HEADER_LEN + 8u)

size_t acpi_slit_len(const struct vmm_acpi_machine *m)
{
	size_t n = m->numa ? m->numa->node_count : 0;

	return n && m->numa->distance ? SLIT_HEAD_LEN + n * n : 0;
}

void acpi_slit(uint8_t *out, const struct vmm_acpi_machine *m)
{
	size_t len = acpi_slit_len(m);

	memset(out, 0, len);
	put_le64(out + VMM_ACPI_HEADER_LEN, m->numa->node_count);
	memcpy(out + SLIT_HEAD_LEN, m->numa->distance, len - SLIT_HEAD_LEN);
	(void)!vmm_acpi_header_write(out, len, "SLIT", 1);
}

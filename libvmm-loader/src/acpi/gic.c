/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An arm64 machine's part of the MADT (ACPI 6.5, 5.2.12.14 to 18), and GTDT. */
#include <string.h>

#include "../bytes.h"
#include "tables.h"

#define GICC_LEN 80u
#define GICD_LEN 24u
#define GICM_LEN 24u
#define GICR_ENTRY_LEN 16u
#define ITS_LEN 20u
#define GTDT_LEN 104u

#define GICC_ENABLED 0x1u
#define GICC_ONLINE_CAPABLE 0x8u

/* Flags of a timer: level-triggered and active low as the architecture has them, and
 * always on. */
#define TIMER_ACTIVE_LOW 0x2u
#define TIMER_ALWAYS_ON 0x4u

/* Affinity 0 has the CPUs of a cluster: a GICv3 sends to 16 of them at once. */
static uint64_t mpidr(const struct vmm_acpi_machine *m, uint32_t cpu)
{
	return m->gic->mpidrs ? m->gic->mpidrs[cpu]
			      : (uint64_t)(cpu / 16) << 8 | cpu % 16;
}

size_t acpi_gic_cpu(uint8_t out[MADT_CPU_MAX], const struct vmm_acpi_machine *m,
		    uint32_t cpu, bool enabled)
{
	const struct vmm_acpi_gic *g = m->gic;

	memset(out, 0, GICC_LEN);
	out[0] = 0x0b;
	out[1] = GICC_LEN;
	/* The number of its interface is a bit of GICv2's target registers. */
	put_le32(out + 4, cpu);
	put_le32(out + 8, cpu);
	put_le32(out + 12, enabled ? GICC_ENABLED : GICC_ONLINE_CAPABLE);
	put_le32(out + 20, g->pmu);
	put_le64(out + 32, g->cpu_gpa);
	put_le64(out + 68, mpidr(m, cpu));
	return GICC_LEN;
}

size_t acpi_gic_len(const struct vmm_acpi_machine *m)
{
	const struct vmm_acpi_gic *g = m->gic;

	return (size_t)acpi_cpus(m) * GICC_LEN + GICD_LEN +
	       (g->version == 3 ? GICR_ENTRY_LEN : 0) + (g->its_gpa ? ITS_LEN : 0) +
	       (g->v2m_gpa ? GICM_LEN : 0);
}

void acpi_gic(uint8_t *out, const struct vmm_acpi_machine *m)
{
	const struct vmm_acpi_gic *g = m->gic;
	uint8_t *p = out;

	for (uint32_t i = 0; i < acpi_cpus(m); i++)
		p += acpi_gic_cpu(p, m, i, i < m->cpu_count);
	p[0] = 0x0c;
	p[1] = GICD_LEN;
	put_le64(p + 8, g->dist_gpa);
	p[20] = (uint8_t)g->version;
	p += GICD_LEN;
	if (g->version == 3) {
		p[0] = 0x0e;
		p[1] = GICR_ENTRY_LEN;
		put_le64(p + 4, g->redist_gpa);
		put_le32(p + 12, (uint32_t)g->redist_len);
		p += GICR_ENTRY_LEN;
	}
	if (g->its_gpa) {
		p[0] = 0x0f;
		p[1] = ITS_LEN;
		put_le64(p + 8, g->its_gpa);
		p += ITS_LEN;
	}
	if (g->v2m_gpa) {
		p[0] = 0x0d;
		p[1] = GICM_LEN;
		put_le64(p + 8, g->v2m_gpa);
		/* The two numbers here count, not those of the frame. */
		put_le32(p + 16, 1);
		put_le16(p + 20, g->v2m_spi_count);
		put_le16(p + 22, g->v2m_spi_base);
	}
}

size_t acpi_gtdt_len(const struct vmm_acpi_machine *m)
{
	return m->gic ? GTDT_LEN : 0;
}

/* 5.2.25; no memory-mapped timers. */
void acpi_gtdt(uint8_t *out, const struct vmm_acpi_machine *m)
{
	const struct vmm_acpi_gic *g = m->gic;
	const uint32_t timers[] = { g->timer_secure, g->timer_physical, g->timer_virtual,
				    g->timer_hypervisor };

	memset(out, 0, GTDT_LEN);
	put_le64(out + 36, UINT64_MAX);
	for (size_t i = 0; i < 4; i++) {
		put_le32(out + 48 + 8 * i, timers[i]);
		if (timers[i])
			put_le32(out + 52 + 8 * i, TIMER_ACTIVE_LOW | TIMER_ALWAYS_ON);
	}
	put_le64(out + 80, UINT64_MAX);
	(void)!vmm_acpi_header_write(out, GTDT_LEN, "GTDT", 3);
}

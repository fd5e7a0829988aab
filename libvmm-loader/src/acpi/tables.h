/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_ACPI_TABLES_H
#define LOADER_ACPI_TABLES_H

#include <stdbool.h>
#include <vmm/acpi.h>

#define RSDP_LEN 36u
#define FADT_LEN 276u

#define IOAPIC_PINS 24u

/* Interrupts that a GIC shares among CPUs: SPIs. */
#define GIC_SPI_FIRST 32u
#define GIC_SPI_LAST 1019u

/* Most bytes of one CPU's entry in the MADT. */
#define MADT_CPU_MAX 80u

/* Sum of all bytes, modulo 256, that is to become 0. */
uint8_t acpi_sum(const void *data, size_t len);

void acpi_rsdp(uint8_t out[RSDP_LEN], uint64_t xsdt);
void acpi_fadt(uint8_t out[FADT_LEN], const struct vmm_acpi_machine *m, uint64_t dsdt);

/* Bytes of a table, 0 when the machine has none; and the table itself. */
size_t acpi_madt_len(const struct vmm_acpi_machine *m);
void acpi_madt(uint8_t *out, const struct vmm_acpi_machine *m);

/* One CPU's entry in the MADT, which is its _MAT as well; returns its length. */
size_t acpi_madt_cpu(uint8_t out[MADT_CPU_MAX], const struct vmm_acpi_machine *m,
		     uint32_t cpu, bool enabled);

/* GIC: what follows the header of the MADT, as the two above; and its timers. */
size_t acpi_gic_len(const struct vmm_acpi_machine *m);
void acpi_gic(uint8_t *out, const struct vmm_acpi_machine *m);
size_t acpi_gic_cpu(uint8_t out[MADT_CPU_MAX], const struct vmm_acpi_machine *m,
		    uint32_t cpu, bool enabled);
size_t acpi_gtdt_len(const struct vmm_acpi_machine *m);
void acpi_gtdt(uint8_t *out, const struct vmm_acpi_machine *m);

size_t acpi_mcfg_len(const struct vmm_acpi_machine *m);
void acpi_mcfg(uint8_t *out, const struct vmm_acpi_machine *m);
size_t acpi_hpet_len(const struct vmm_acpi_machine *m);
void acpi_hpet(uint8_t *out, const struct vmm_acpi_machine *m);
size_t acpi_spcr_len(const struct vmm_acpi_machine *m);
void acpi_spcr(uint8_t *out, const struct vmm_acpi_machine *m);
size_t acpi_srat_len(const struct vmm_acpi_machine *m);
void acpi_srat(uint8_t *out, const struct vmm_acpi_machine *m);
size_t acpi_slit_len(const struct vmm_acpi_machine *m);
void acpi_slit(uint8_t *out, const struct vmm_acpi_machine *m);

/* PCI0 and the device that reserves its configuration space. */
void acpi_pci(struct vmm_acpi_aml *aml, const struct vmm_acpi_pci *pci);

/* CPUs that there are or can be. */
uint32_t acpi_cpus(const struct vmm_acpi_machine *m);

/* Processor devices, and the controller when they can come and go. */
void acpi_cpu_devices(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m);

/* The method that tells the guest which CPUs came or shall go, seen as above from a
 * method of its neighbour. */
#define ACPI_CPU_SCAN "^^CPUC.CSCN"

/* Whether the description can be a machine, whose tables go to @p gpa. */
int acpi_check(const struct vmm_acpi_machine *m, uint64_t gpa, struct vmm_error *err);

#define ACPI_TABLES_MAX 64u

/* Whether a CPU needs entries with a 32-bit APIC id. */
int acpi_is_x2apic(const struct vmm_acpi_machine *m, uint32_t cpu);

/* Local APIC id of a CPU. */
uint32_t acpi_apic_id(const struct vmm_acpi_machine *m, uint32_t cpu);

/* The DSDT's AML, without its header. */
void acpi_dsdt(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m);

#endif

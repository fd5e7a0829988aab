/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_ACPI_TABLES_H
#define LOADER_ACPI_TABLES_H

#include <vmm/acpi.h>

#define RSDP_LEN 36u
#define FADT_LEN 276u

#define IOAPIC_PINS 24u

/* Sum of all bytes, modulo 256, that is to become 0. */
uint8_t acpi_sum(const void *data, size_t len);

void acpi_rsdp(uint8_t out[RSDP_LEN], uint64_t xsdt);
void acpi_fadt(uint8_t out[FADT_LEN], const struct vmm_acpi_machine *m, uint64_t dsdt);

/* Bytes of a table, 0 when the machine has none; and the table itself. */
size_t acpi_madt_len(const struct vmm_acpi_machine *m);
void acpi_madt(uint8_t *out, const struct vmm_acpi_machine *m);

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

/* Whether a CPU needs entries with a 32-bit APIC id. */
int acpi_is_x2apic(const struct vmm_acpi_machine *m, uint32_t cpu);

/* Local APIC id of a CPU. */
uint32_t acpi_apic_id(const struct vmm_acpi_machine *m, uint32_t cpu);

/* The DSDT's AML, without its header. */
void acpi_dsdt(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m);

#endif

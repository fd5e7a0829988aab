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

/* Bytes of a MADT, and the table itself. */
size_t acpi_madt_len(const struct vmm_acpi_machine *m);
void acpi_madt(uint8_t *out, const struct vmm_acpi_machine *m);

/* Local APIC id of a CPU. */
uint32_t acpi_apic_id(const struct vmm_acpi_machine *m, uint32_t cpu);

/* The DSDT's AML, without its header. */
void acpi_dsdt(struct vmm_acpi_aml *aml, const struct vmm_acpi_machine *m);

#endif

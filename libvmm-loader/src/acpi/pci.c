/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "../bytes.h"
#include "aml.h"
#include "tables.h"

/* PCI Firmware Specification 3.3, 4.1.2: one segment. */
#define MCFG_LEN (VMM_ACPI_HEADER_LEN + 8u + 16u)

#define PCI_DEVICES 32u
#define PCI_PINS 4u

size_t acpi_mcfg_len(const struct vmm_acpi_machine *m)
{
	return m->pci ? MCFG_LEN : 0;
}

void acpi_mcfg(uint8_t *out, const struct vmm_acpi_machine *m)
{
	uint8_t *p = out + VMM_ACPI_HEADER_LEN + 8;

	memset(out, 0, MCFG_LEN);
	put_le64(p, m->pci->ecam_gpa);
	p[11] = m->pci->last_bus;
	(void)!vmm_acpi_header_write(out, MCFG_LEN, "MCFG", 1);
}

/* Packages may have 255 elements; 32 devices of 4 pins are 128. */
static void put_routes(struct vmm_acpi_aml *aml, const struct vmm_acpi_pci *pci)
{
	vmm_acpi_aml_put_name(aml, "_PRT");
	vmm_acpi_aml_begin_package(aml, PCI_DEVICES * PCI_PINS);
	for (uint32_t device = 0; device < PCI_DEVICES; device++)
		for (uint32_t pin = 0; pin < PCI_PINS; pin++) {
			vmm_acpi_aml_begin_package(aml, 4);
			vmm_acpi_aml_put_int(aml, device << 16 | 0xffff);
			vmm_acpi_aml_put_int(aml, pin);
			vmm_acpi_aml_put_int(aml, 0);
			vmm_acpi_aml_put_int(aml,
					     pci->pin_gsi[(device + pin) % PCI_PINS]);
			vmm_acpi_aml_end(aml);
		}
	vmm_acpi_aml_end(aml);
}

static void put_named_int(struct vmm_acpi_aml *aml, const char *name, uint64_t value)
{
	vmm_acpi_aml_put_name(aml, name);
	vmm_acpi_aml_put_int(aml, value);
}

void acpi_pci(struct vmm_acpi_aml *aml, const struct vmm_acpi_pci *pci)
{
	vmm_acpi_aml_begin_device(aml, "PCI0");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0A08");
	vmm_acpi_aml_put_name(aml, "_CID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0A03");
	put_named_int(aml, "_UID", 0);
	put_named_int(aml, "_SEG", 0);
	put_named_int(aml, "_BBN", 0);
	put_named_int(aml, "_CCA", 1);
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_bus_numbers(aml, 0, pci->last_bus);
	if (pci->mmio32_len)
		vmm_acpi_aml_put_memory_window(aml, pci->mmio32_gpa, pci->mmio32_len);
	if (pci->mmio64_len)
		vmm_acpi_aml_put_memory_window(aml, pci->mmio64_gpa, pci->mmio64_len);
	vmm_acpi_aml_end(aml);
	if (pci->pin_gsi[0] != VMM_ACPI_NO_GSI)
		put_routes(aml, pci);
	vmm_acpi_aml_end(aml);

	/* Linux trusts a configuration space only if someone claims its addresses. */
	vmm_acpi_aml_begin_device(aml, "MRES");
	vmm_acpi_aml_put_name(aml, "_HID");
	vmm_acpi_aml_put_eisa_id(aml, "PNP0C02");
	vmm_acpi_aml_put_name(aml, "_CRS");
	vmm_acpi_aml_begin_resources(aml);
	vmm_acpi_aml_put_memory(aml, pci->ecam_gpa, ((uint64_t)pci->last_bus + 1) << 20);
	vmm_acpi_aml_end(aml);
	vmm_acpi_aml_end(aml);
}

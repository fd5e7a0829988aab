/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "../bytes.h"
#include "aml.h"

/* ACPI 6.5, 6.4 "Resource Data Types for ACPI". */
#define IO_PORT 0x47
#define MEMORY32_FIXED 0x86
#define DWORD_SPACE 0x87
#define WORD_SPACE 0x88
#define EXTENDED_IRQ 0x89
#define QWORD_SPACE 0x8a

#define SPACE_MEMORY 0
#define SPACE_IO 1
#define SPACE_BUS 2

/* General flags of an address space: fixed limits, positive decoding. */
#define SPACE_PRODUCER 0x0c
#define SPACE_CONSUMER 0x0d

static bool resource(struct vmm_acpi_aml *aml)
{
	if (aml->error.code)
		return false;
	if (aml->depth && aml->open[aml->depth - 1].kind == AML_RESOURCES)
		return true;
	aml_fail(aml, -EINVAL, "a resource outside a ResourceTemplate");
	return false;
}

void vmm_acpi_aml_put_irq(struct vmm_acpi_aml *aml, uint32_t gsi, uint32_t flags)
{
	uint8_t r[9] = { EXTENDED_IRQ, 6, 0, 0x01, 1 };

	if (!resource(aml))
		return;
	/* Bit 0: consumer; then edge, low, shared. */
	if (!(flags & VMM_ACPI_IRQ_LEVEL))
		r[3] |= 0x02;
	if (flags & VMM_ACPI_IRQ_ACTIVE_LOW)
		r[3] |= 0x04;
	if (flags & VMM_ACPI_IRQ_SHARED)
		r[3] |= 0x08;
	put_le32(r + 5, gsi);
	aml_bytes(aml, r, sizeof(r));
}

void vmm_acpi_aml_put_io(struct vmm_acpi_aml *aml, uint16_t port, uint8_t len)
{
	uint8_t r[8] = { IO_PORT, 0x01 };

	if (!resource(aml))
		return;
	if (len == 0 || port > UINT16_MAX - len + 1) {
		aml_fail(aml, -EINVAL, "%u I/O ports from 0x%x", len, port);
		return;
	}
	put_le16(r + 2, port);
	put_le16(r + 4, port);
	r[6] = 1;
	r[7] = len;
	aml_bytes(aml, r, sizeof(r));
}

/* An address space descriptor of 2, 4 or 8 bytes per number (6.4.3.5). */
static void address_space(struct vmm_acpi_aml *aml, size_t width, uint8_t type,
			  uint8_t general, uint8_t specific, uint64_t first,
			  uint64_t last, uint64_t len)
{
	const uint64_t numbers[] = { 0, first, last, 0, len };
	uint8_t r[6 + 5 * 8] = { 0 }, le[8];

	r[0] = width == 2 ? WORD_SPACE : width == 4 ? DWORD_SPACE : QWORD_SPACE;
	put_le16(r + 1, (uint16_t)(3 + 5 * width));
	r[3] = type;
	r[4] = general;
	r[5] = specific;
	for (size_t i = 0; i < 5; i++) {
		put_le64(le, numbers[i]);
		memcpy(r + 6 + i * width, le, width);
	}
	aml_bytes(aml, r, 6 + 5 * width);
}

static bool memory(struct vmm_acpi_aml *aml, uint64_t gpa, uint64_t len,
		   uint64_t *out_last)
{
	if (!resource(aml))
		return false;
	if (len && !range_last(gpa, len, out_last))
		return true;
	aml_fail(aml, -EINVAL, "a memory resource without bytes, or one that wraps");
	return false;
}

void vmm_acpi_aml_put_memory(struct vmm_acpi_aml *aml, uint64_t gpa, uint64_t len)
{
	uint8_t r[12] = { MEMORY32_FIXED, 9, 0, 1 };
	uint64_t last;

	if (!memory(aml, gpa, len, &last))
		return;
	if (last > UINT32_MAX) {
		address_space(aml, 8, SPACE_MEMORY, SPACE_CONSUMER, 0x01, gpa, last, len);
		return;
	}
	put_le32(r + 4, (uint32_t)gpa);
	put_le32(r + 8, (uint32_t)len);
	aml_bytes(aml, r, sizeof(r));
}

void vmm_acpi_aml_put_bus_numbers(struct vmm_acpi_aml *aml, uint8_t first, uint8_t last)
{
	if (!resource(aml))
		return;
	if (last < first) {
		aml_fail(aml, -EINVAL, "bus numbers %u to %u", first, last);
		return;
	}
	address_space(aml, 2, SPACE_BUS, SPACE_PRODUCER, 0, first, last,
		      (uint64_t)last - first + 1);
}

void vmm_acpi_aml_put_memory_window(struct vmm_acpi_aml *aml, uint64_t gpa, uint64_t len)
{
	uint64_t last;

	if (memory(aml, gpa, len, &last))
		address_space(aml, last > UINT32_MAX ? 8 : 4, SPACE_MEMORY,
			      SPACE_PRODUCER, 0x01, gpa, last, len);
}

void vmm_acpi_aml_put_io_window(struct vmm_acpi_aml *aml, uint16_t port, uint32_t len)
{
	uint64_t last = (uint64_t)port + len - 1;

	if (!resource(aml))
		return;
	if (len == 0 || last > UINT16_MAX) {
		aml_fail(aml, -EINVAL, "%u I/O ports from 0x%x", len, port);
		return;
	}
	/* A word cannot say 65536. */
	address_space(aml, len > UINT16_MAX ? 4 : 2, SPACE_IO, SPACE_PRODUCER, 0x03, port,
		      last, len);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tables.h"

#include <errno.h>
#include <string.h>

#include "../bytes.h"

/* Six and eight characters; then the creator, as a compiler of ASL would leave it. */
#define OEM_ID "LIBVMM"
#define OEM_TABLE_ID "LIBVMM  "
#define CREATOR_ID "LVMM"

uint8_t acpi_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum;
}

int vmm_acpi_header_write(void *table, size_t len, const char *signature,
			  uint8_t revision)
{
	uint8_t *p = table;

	if (len < VMM_ACPI_HEADER_LEN || len > UINT32_MAX || strlen(signature) != 4)
		return -EINVAL;
	memcpy(p, signature, 4);
	put_le32(p + 4, (uint32_t)len);
	p[8] = revision;
	p[9] = 0;
	memcpy(p + 10, OEM_ID, 6);
	memcpy(p + 16, OEM_TABLE_ID, 8);
	put_le32(p + 24, 1);
	memcpy(p + 28, CREATOR_ID, 4);
	put_le32(p + 32, 1);
	p[9] = (uint8_t)-acpi_sum(p, len);
	return 0;
}

/* ACPI 6.5, 5.2.5.3. */
void acpi_rsdp(uint8_t out[RSDP_LEN], uint64_t xsdt)
{
	memset(out, 0, RSDP_LEN);
	memcpy(out, "RSD PTR ", 8);
	memcpy(out + 9, OEM_ID, 6);
	out[15] = 2;
	put_le32(out + 20, RSDP_LEN);
	put_le64(out + 24, xsdt);
	out[8] = (uint8_t)-acpi_sum(out, 20);
	out[32] = (uint8_t)-acpi_sum(out, RSDP_LEN);
}

/* Generic address of one byte-wide I/O port (5.2.3.2). */
static void put_port(uint8_t *p, uint16_t port)
{
	if (port == 0)
		return;
	p[0] = 1;
	p[1] = 8;
	p[3] = 1;
	put_le64(p + 4, port);
}

/* ACPI 6.5, 5.2.9. */
#define FADT_BOOT_8042 0x02u
#define FADT_BOOT_NO_VGA 0x04u
#define FADT_BOOT_NO_CMOS_RTC 0x20u
#define FADT_WBINVD (1u << 0)
#define FADT_PWR_BUTTON (1u << 4)
#define FADT_SLP_BUTTON (1u << 5)
#define FADT_RESET_REG (1u << 10)
#define FADT_HW_REDUCED (1u << 20)
#define FADT_ARM_PSCI 0x01u
#define FADT_ARM_HVC 0x02u

void acpi_fadt(uint8_t out[FADT_LEN], const struct vmm_acpi_machine *m, uint64_t dsdt)
{
	/* Buttons that are not fixed hardware are control methods, or are not there. */
	uint32_t flags =
	    FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED;
	uint32_t boot = FADT_BOOT_NO_VGA;

	memset(out, 0, FADT_LEN);
	if (dsdt <= UINT32_MAX)
		put_le32(out + 40, (uint32_t)dsdt);
	put_le64(out + 140, dsdt);
	if (m->flags & VMM_ACPI_HAS_I8042)
		boot |= FADT_BOOT_8042;
	if (!(m->flags & VMM_ACPI_HAS_CMOS_RTC))
		boot |= FADT_BOOT_NO_CMOS_RTC;
	put_le16(out + 109, (uint16_t)boot);
	if (m->reset_port)
		flags |= FADT_RESET_REG;
	put_le32(out + 112, flags);
	put_port(out + 116, m->reset_port);
	out[128] = m->reset_value;
	/* PSCI, called by HVC. */
	if (m->gic)
		put_le16(out + 129, FADT_ARM_PSCI | FADT_ARM_HVC);
	/* Minor version: 6.5. */
	out[131] = 5;
	put_port(out + 244, m->sleep_control_port);
	put_port(out + 256, m->sleep_status_port);
	memcpy(out + 268, OEM_TABLE_ID, 8);
	(void)!vmm_acpi_header_write(out, FADT_LEN, "FACP", 6);
}

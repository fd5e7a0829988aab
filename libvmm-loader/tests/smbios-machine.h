/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SMBIOS_MACHINE_H
#define SMBIOS_MACHINE_H

#include <vmm/smbios.h>

/* A machine with something in every field. */
static inline struct vmm_smbios_machine test_smbios_machine(void)
{
	static const struct vmm_load_range memory[] = {
		{ 0, 0xa0000 },
		{ 0x100000, 0xbff00000 },
		{ UINT64_C(0x100000000), UINT64_C(0x40000000) },
	};
	static const char *const oem[] = { "io.systemd.credential:a=b", "second" };
	struct vmm_smbios_machine m = VMM_SMBIOS_MACHINE_INIT;

	m.bios_vendor = "Vendor";
	m.bios_version = "Version 0";
	m.bios_date = "02/29/2024";
	m.manufacturer = "Maker";
	m.product = "Product";
	m.version = "Version 1";
	m.serial = "S-1234";
	m.sku = "SKU-9";
	m.family = "Family";
	m.asset_tag = "Tag";
	for (uint8_t i = 0; i < 16; i++)
		m.uuid[i] = (uint8_t)(0x11 * i);
	m.socket_count = 2;
	m.cores_per_socket = 4;
	m.threads_per_core = 2;
	m.cpu_mhz = 2500;
	m.cpu_manufacturer = "CPU maker";
	m.cpu_version = "CPU version";
	m.memory = memory;
	m.memory_count = 3;
	m.oem_strings = oem;
	m.oem_string_count = 2;
	return m;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_SMBIOS_H
#define VMM_SMBIOS_H

/**
 * @file vmm/smbios.h
 * SMBIOS tables (System Management BIOS Reference Specification 3.4, DSP0134): what a
 * guest shows as its make and model, serial number, UUID, processors and memory.
 *
 * Nothing here keeps state outside its arguments. Pointers must not be NULL unless the
 * documentation says so; `err` always may be.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/loader.h>

VMM_BEGIN_DECLS

/** Bytes of the entry point, `_SM3_`; the structures follow at the next multiple of 16.
 */
#define VMM_SMBIOS_ENTRY_LEN 24u

/** Most bytes of one string. */
#define VMM_SMBIOS_STRING_MAX 255u

/** Most sockets, most ranges of memory, most OEM strings of one machine. */
#define VMM_SMBIOS_ITEMS_MAX 255u

/**
 * A machine. Strings are printable ASCII of 1 to #VMM_SMBIOS_STRING_MAX bytes, or NULL
 * for "not specified"; they and the arrays are borrowed.
 */
struct vmm_smbios_machine {
	/** Size of this structure. */
	size_t size;
	/** Firmware (type 0); the date is "mm/dd/yyyy". */
	const char *bios_vendor;
	const char *bios_version;
	const char *bios_date;
	/** System (type 1); baseboard and chassis (types 2 and 3) have the same maker,
	 *  product, version and serial number. */
	const char *manufacturer;
	const char *product;
	const char *version;
	const char *serial;
	const char *sku;
	const char *family;
	/** Asset tag of the chassis. */
	const char *asset_tag;
	/** Of the system, in the order that people write it; all 0: none. */
	uint8_t uuid[16];
	/** Processors (type 4): sockets, then what each of them has; not 0. */
	uint32_t socket_count;
	uint32_t cores_per_socket;
	uint32_t threads_per_core;
	/** Speed in MHz, 0: unknown. */
	uint32_t cpu_mhz;
	const char *cpu_manufacturer;
	const char *cpu_version;
	/** Memory (types 16, 17 and 19): each range is RAM of the guest, sorted and apart
	 *  from each other; it is one module in all. */
	const struct vmm_load_range *memory;
	size_t memory_count;
	/** OEM strings (type 11), as `systemd` and cloud tools read them. */
	const char *const *oem_strings;
	size_t oem_string_count;
};

/** Defaults: a system without a name, one CPU. */
#define VMM_SMBIOS_MACHINE_INIT                                                        \
	{                                                                              \
		sizeof(struct vmm_smbios_machine), NULL, NULL, NULL, NULL, NULL, NULL, \
		    NULL, NULL, NULL, NULL, { 0 }, 1, 1, 1, 0, NULL, NULL, NULL, 0,    \
		    NULL, 0                                                            \
	}

/**
 * Write the entry point and the structures of a machine into a buffer, as they will lie
 * in guest memory: types 0, 1, 2, 3, 4, 11 (if there are strings), 16, 17, 19, 32 and the
 * end, 127.
 *
 * A PC guest searches 0xf0000 to 0xfffff for the entry point (#VMM_LOAD_X86_SMBIOS);
 * others are told by EFI.
 *
 * @param machine      the description
 * @param gpa          guest address that the buffer will have, a multiple of 16
 * @param[out] buf     room for it; touched only on success
 * @param size         bytes of @p buf
 * @param[out] out_len bytes used
 * @param[out] err     detail on failure
 * @retval 0           done
 * @retval -EINVAL     a string that is empty, too long or not printable ASCII; a count of
 *                     0; memory that has no bytes, wraps, or is not sorted; an address
 *                     that is not a multiple of 16 or passes the end of the address space
 * @retval -E2BIG      unknown structure tail; more than #VMM_SMBIOS_ITEMS_MAX of a kind;
 *                     more cores, threads or memory than the structures can say
 * @retval -ENOSPC     @p buf is too small; `wanted` in @p err says how much it takes
 */
VMM_API VMM_MUST_USE int vmm_smbios_build(const struct vmm_smbios_machine *machine,
					  uint64_t gpa, void *buf, size_t size,
					  size_t *out_len, struct vmm_error *err);

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_X86_BOOT_H
#define LOADER_X86_BOOT_H

#include <vmm/loader-x86.h>

#define GDT_ENTRIES 6u
#define PAGE_TABLES_MAX 7u
#define PAGE_LEN 4096u

/* Selectors that the boot protocol names: __BOOT_CS and __BOOT_DS. */
#define SELECTOR_CS 0x10u
#define SELECTOR_DS 0x18u
#define SELECTOR_TR 0x20u

/* What vmm_load_x86_boot() makes before it writes anything. */
struct boot_image {
	uint64_t gdt[GDT_ENTRIES];
	uint8_t tables[PAGE_TABLES_MAX * PAGE_LEN];
	uint32_t tables_len;
	/* Zero page, or PVH's memory map. */
	uint8_t page[PAGE_LEN];
	/* PVH: start_info, then its modules. */
	uint8_t start_info[PAGE_LEN];
	uint32_t start_info_len;
};

uint64_t boot_descriptor(const struct vmm_load_x86_segment *s);

/* Fills entry->cs, ds, tr and the GDT for 64 or 32 bits. */
void boot_segments(struct boot_image *image, struct vmm_load_x86_entry *entry);

/* Identity map of the first 4 GiB in 2 MiB pages. */
void boot_page_tables(struct boot_image *image, uint64_t gpa, bool level5);

int boot_zero_page(struct boot_image *image, const struct vmm_load_x86_opts *opts,
		   size_t cmdline_len, struct vmm_error *err);
int boot_start_info(struct boot_image *image, const struct vmm_load_x86_opts *opts,
		    struct vmm_error *err);

#endif

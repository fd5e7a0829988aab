/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "boot.h"
#include "setup-header.h"

/* Offsets in the zero page: Documentation/x86/zero-page.rst and boot.rst. */
#define ZP_RSDP 0x070
#define ZP_EXT_RAMDISK_IMAGE 0x0c0
#define ZP_EXT_RAMDISK_SIZE 0x0c4
#define ZP_E820_ENTRIES 0x1e8
#define ZP_BOOT_FLAG 0x1fe
#define ZP_MAGIC 0x202
#define ZP_VERSION 0x206
#define ZP_LOADER 0x210
#define ZP_LOADFLAGS 0x211
#define ZP_RAMDISK_IMAGE 0x218
#define ZP_RAMDISK_SIZE 0x21c
#define ZP_CMD_LINE_PTR 0x228
#define ZP_ALIGNMENT 0x230
#define ZP_XLOADFLAGS 0x236
#define ZP_CMDLINE_SIZE 0x238
#define ZP_SETUP_DATA 0x250
#define ZP_E820 0x2d0
#define E820_MAX 128u

/* A boot loader without a number of its own. */
#define LOADER_UNDEFINED 0xff

/* What a kernel without a setup header of its own is told. */
static void default_header(uint8_t *page)
{
	put_le16(page + ZP_BOOT_FLAG, 0xaa55);
	memcpy(page + ZP_MAGIC, "HdrS", 4);
	/* 2.12 is the first with a 64-bit entry and ext_ramdisk. */
	put_le16(page + ZP_VERSION, 0x20c);
	page[ZP_LOADFLAGS] = SETUP_LOADED_HIGH;
	put_le32(page + ZP_ALIGNMENT, 0x1000000);
	put_le16(page + ZP_XLOADFLAGS, SETUP_XLF_KERNEL_64);
}

int boot_zero_page(struct boot_image *image, const struct vmm_load_x86_opts *opts,
		   size_t cmdline_len, struct vmm_error *err)
{
	const struct vmm_load_result *kernel = opts->kernel;
	uint8_t *page = image->page;
	size_t entries;

	memset(page, 0, PAGE_LEN);
	if (kernel->setup_header_len)
		memcpy(page + SETUP_HEADER_FIRST, kernel->setup_header,
		       kernel->setup_header_len);
	else
		default_header(page);

	page[ZP_LOADER] = LOADER_UNDEFINED;
	put_le32(page + ZP_CMD_LINE_PTR, VMM_LOAD_X86_CMDLINE);
	if (!kernel->setup_header_len)
		put_le32(page + ZP_CMDLINE_SIZE, (uint32_t)cmdline_len);
	if (opts->initrd.len) {
		put_le32(page + ZP_RAMDISK_IMAGE, (uint32_t)opts->initrd.gpa);
		put_le32(page + ZP_EXT_RAMDISK_IMAGE, (uint32_t)(opts->initrd.gpa >> 32));
		put_le32(page + ZP_RAMDISK_SIZE, (uint32_t)opts->initrd.len);
		put_le32(page + ZP_EXT_RAMDISK_SIZE, (uint32_t)(opts->initrd.len >> 32));
	}
	put_le64(page + ZP_RSDP, opts->rsdp_gpa);
	put_le64(page + ZP_SETUP_DATA, opts->setup_data_gpa);
	if (vmm_load_x86_e820(opts->map, page + ZP_E820, E820_MAX, &entries) < 0)
		return vmm_error_at(err, -E2BIG, 0, E820_MAX, opts->map->count,
				    "zero page: the memory map has more than %u entries",
				    E820_MAX);
	page[ZP_E820_ENTRIES] = (uint8_t)entries;
	return 0;
}

/* Xen's docs/misc/pvh: start_info version 1, module list, memory map entries. */
#define PVH_MAGIC 0x336ec578u
#define PVH_INFO_LEN 56u
#define PVH_MODULE_LEN 32u
#define PVH_MAP_LEN 24u
#define PVH_MAP_MAX (PAGE_LEN / PVH_MAP_LEN)

int boot_start_info(struct boot_image *image, const struct vmm_load_x86_opts *opts,
		    struct vmm_error *err)
{
	uint8_t e820[PVH_MAP_MAX * VMM_LOAD_E820_LEN], *p = image->start_info;
	size_t entries;

	if (vmm_load_x86_e820(opts->map, e820, PVH_MAP_MAX, &entries) < 0)
		return vmm_error_at(err, -E2BIG, 0, PVH_MAP_MAX, opts->map->count,
				    "start_info: the memory map has more than %u entries",
				    PVH_MAP_MAX);
	memset(image->page, 0, PAGE_LEN);
	for (size_t i = 0; i < entries; i++)
		memcpy(image->page + i * PVH_MAP_LEN, e820 + i * VMM_LOAD_E820_LEN,
		       VMM_LOAD_E820_LEN);

	memset(p, 0, PVH_INFO_LEN + PVH_MODULE_LEN);
	put_le32(p, PVH_MAGIC);
	put_le32(p + 4, 1);
	put_le64(p + 24, VMM_LOAD_X86_CMDLINE);
	put_le64(p + 32, opts->rsdp_gpa);
	put_le64(p + 40, VMM_LOAD_X86_ZERO_PAGE);
	put_le32(p + 48, (uint32_t)entries);
	image->start_info_len = PVH_INFO_LEN;
	if (opts->initrd.len) {
		/* Modules start at a multiple of 8. */
		put_le32(p + 12, 1);
		put_le64(p + 16, VMM_LOAD_X86_START_INFO + PVH_INFO_LEN);
		put_le64(p + PVH_INFO_LEN, opts->initrd.gpa);
		put_le64(p + PVH_INFO_LEN + 8, opts->initrd.len);
		image->start_info_len += PVH_MODULE_LEN;
	}
	return 0;
}

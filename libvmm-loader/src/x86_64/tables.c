/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <string.h>

#include "../bytes.h"
#include "boot.h"

/* Intel SDM volume 3, 3.4.5 "Segment Descriptors". */
uint64_t boot_descriptor(const struct vmm_load_x86_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t access = (uint64_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7);
	uint64_t flags = (uint64_t)(s->avl | s->l << 1 | s->db << 2 | s->g << 3);

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | access << 40 |
	       (limit >> 16 & 0xf) << 48 | flags << 52 | (s->base >> 24 & 0xff) << 56;
}

void boot_segments(struct boot_image *image, struct vmm_load_x86_entry *entry)
{
	bool is64 = entry->bits == 64;

	/* Accessed bits are set: a CPU that sets them itself would write to the GDT. */
	entry->cs = (struct vmm_load_x86_segment){
		.limit = UINT32_MAX,
		.selector = SELECTOR_CS,
		.type = 0xb,
		.present = 1,
		.db = !is64,
		.s = 1,
		.l = is64,
		.g = 1,
	};
	entry->ds = (struct vmm_load_x86_segment){
		.limit = UINT32_MAX,
		.selector = SELECTOR_DS,
		.type = 0x3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	/* A busy TSS, which VMX wants in the task register. */
	entry->tr = (struct vmm_load_x86_segment){
		.limit = 0x67,
		.selector = SELECTOR_TR,
		.type = 0xb,
		.present = 1,
	};
	image->gdt[SELECTOR_CS / 8] = boot_descriptor(&entry->cs);
	image->gdt[SELECTOR_DS / 8] = boot_descriptor(&entry->ds);
	image->gdt[SELECTOR_TR / 8] = boot_descriptor(&entry->tr);
	entry->gdt_base = VMM_LOAD_X86_GDT;
	entry->gdt_limit = GDT_ENTRIES * 8 - 1;
}

/* Intel SDM volume 3, 4.5. Present and writable; a leaf of 2 MiB has bit 7. */
#define TABLE UINT64_C(0x3)
#define LEAF_2M UINT64_C(0x83)

void boot_page_tables(struct boot_image *image, uint64_t gpa, bool level5)
{
	uint8_t *page = image->tables;
	uint64_t next = gpa + PAGE_LEN;

	memset(image->tables, 0, sizeof(image->tables));
	/* PML5 and PML4: one entry each, for the first 256 TiB and 512 GiB. */
	for (int i = 0; i < (level5 ? 2 : 1); i++, page += PAGE_LEN, next += PAGE_LEN)
		put_le64(page, next | TABLE);
	for (unsigned int i = 0; i < 4; i++)
		put_le64(page + 8 * i, (next + i * PAGE_LEN) | TABLE);
	page += PAGE_LEN;
	for (uint64_t i = 0; i < UINT64_C(4) * 512; i++)
		put_le64(page + 8 * i, i << 21 | LEAF_2M);
	image->tables_len = (uint32_t)(page - image->tables) + 4 * PAGE_LEN;
}

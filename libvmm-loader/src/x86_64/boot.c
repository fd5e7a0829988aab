/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../bytes.h"
#include "../options.h"
#include "../plan.h"
#include "../sys.h"
#include "setup-header.h"

#define CR0_PE UINT64_C(0x1)
#define CR0_ET UINT64_C(0x10)
#define CR0_PG UINT64_C(0x80000000)
#define CR4_PAE UINT64_C(0x20)
#define CR4_LA57 UINT64_C(0x1000)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)
#define RFLAGS_RESERVED UINT64_C(0x2)

#define MIB (UINT64_C(1) << 20)

static int choose_protocol(const struct vmm_load_x86_opts *o, uint32_t *out,
			   struct vmm_error *err)
{
	static const char *const names[] = { "entry", "64-bit entry", "32-bit entry",
					     "PVH entry" };
	const uint64_t entries[] = { VMM_LOAD_NONE, o->kernel->entry, o->kernel->entry32,
				     o->kernel->pvh_entry };
	static const uint32_t order[] = { VMM_LOAD_X86_LINUX64, VMM_LOAD_X86_PVH,
					  VMM_LOAD_X86_LINUX32 };
	uint32_t want = o->protocol;

	for (size_t i = 0; i < 3 && want == VMM_LOAD_X86_BEST; i++)
		if (entries[order[i]] != VMM_LOAD_NONE)
			want = order[i];
	if (want > VMM_LOAD_X86_PVH)
		return vmm_error_at(err, -EINVAL, 0, VMM_LOAD_X86_PVH, want,
				    "boot: no such protocol: %u", want);
	if (entries[want] == VMM_LOAD_NONE)
		return vmm_error_set(err, -EOPNOTSUPP, "boot: the kernel has no %s",
				     names[want]);
	*out = want;
	return 0;
}

/* Ranges are compared in this direction only, so that none of it can overflow. */
static int check_range(const struct vmm_load_x86_opts *o, uint64_t first, uint64_t last,
		       const char *what, struct vmm_error *err)
{
	if (first < VMM_LOAD_X86_LOW_END)
		return vmm_error_at(err, -EBUSY, first, VMM_LOAD_X86_LOW_END, first,
				    "boot: the %s at 0x%" PRIx64
				    " lies where the boot tables go, below 0x%x",
				    what, first, VMM_LOAD_X86_LOW_END);
	for (uint32_t i = 0; i < o->map->count; i++) {
		const struct vmm_load_map_entry *e = &o->map->entry[i];
		uint64_t e_last = e->gpa + (e->len - 1);

		if (first < e->gpa || first > e_last)
			continue;
		if (e->type != VMM_LOAD_MAP_RAM && e->type != VMM_LOAD_MAP_TAKEN)
			break;
		if (last <= e_last)
			return 0;
		/* Taken RAM and RAM are entries of their own. */
		first = e_last + 1;
	}
	return vmm_error_at(err, -EINVAL, first, last, 0,
			    "boot: the %s at 0x%" PRIx64 " to 0x%" PRIx64
			    " is not RAM in the memory map",
			    what, first, last);
}

static int check(const struct vmm_mem *mem, const struct vmm_load_x86_opts *o,
		 struct vmm_error *err)
{
	uint64_t last;
	int ret;

	if (!o->kernel || !o->map || o->map->count > VMM_LOAD_MAP_MAX)
		return vmm_error_set(err, -EINVAL, "boot: no kernel or no memory map");
	if (o->kernel->arch != VMM_LOAD_ARCH_X86_64)
		return vmm_error_at(err, -EINVAL, 0, VMM_LOAD_ARCH_X86_64,
				    o->kernel->arch,
				    "boot: the kernel is not for x86_64");
	if (o->flags & ~VMM_LOAD_X86_LEVEL5)
		return vmm_error_at(err, -EINVAL, 0, VMM_LOAD_X86_LEVEL5, o->flags,
				    "boot: unknown flags 0x%x", o->flags);
	if (o->kernel->last_gpa > UINT32_MAX)
		return vmm_error_at(err, -EFAULT, o->kernel->last_gpa, UINT32_MAX,
				    o->kernel->last_gpa,
				    "boot: the kernel ends at 0x%" PRIx64
				    ", beyond the first 4 GiB that are mapped",
				    o->kernel->last_gpa);
	ret = check_range(o, o->kernel->first_gpa, o->kernel->last_gpa, "kernel", err);
	if (ret == 0 && o->initrd.len) {
		if (range_last(o->initrd.gpa, o->initrd.len, &last))
			return vmm_error_at(err, -EINVAL, o->initrd.gpa, 0, o->initrd.len,
					    "boot: the initrd passes the end of the "
					    "address space");
		ret = check_range(o, o->initrd.gpa, last, "initrd", err);
	}
	if (ret == 0)
		ret = load_mem_check_named(mem, 0, VMM_LOAD_X86_LOW_END, "boot",
					   "boot tables", err);
	return ret;
}

/* What only some entries can be told. */
static int check_protocol(const struct vmm_load_x86_opts *o, uint32_t protocol,
			  size_t cmdline_len, struct vmm_error *err)
{
	bool is64 = protocol == VMM_LOAD_X86_LINUX64;
	uint64_t initrd_max =
	    is64 || protocol == VMM_LOAD_X86_PVH ? UINT64_MAX : UINT32_MAX;

	if (cmdline_len > o->kernel->cmdline_max ||
	    cmdline_len >= VMM_LOAD_X86_CMDLINE_LEN)
		return vmm_error_at(
		    err, -E2BIG, 0, o->kernel->cmdline_max, cmdline_len,
		    "boot: command line of %zu bytes, the kernel takes %u", cmdline_len,
		    o->kernel->cmdline_max);
	if (o->kernel->initrd_last_max < initrd_max)
		initrd_max = o->kernel->initrd_last_max;
	if (o->initrd.len && o->initrd.gpa + (o->initrd.len - 1) > initrd_max)
		return vmm_error_at(
		    err, -EINVAL, o->initrd.gpa, initrd_max, o->initrd.len,
		    "boot: the initrd ends above 0x%" PRIx64 ", the kernel's limit",
		    initrd_max);
	if ((o->flags & VMM_LOAD_X86_LEVEL5) && !is64)
		return vmm_error_set(err, -EINVAL,
				     "boot: five-level page tables with a 32-bit entry");
	if ((o->flags & VMM_LOAD_X86_LEVEL5) &&
	    o->kernel->format == VMM_LOAD_FORMAT_BZIMAGE &&
	    !(o->kernel->flags & SETUP_XLF_5LEVEL))
		return vmm_error_set(err, -EOPNOTSUPP,
				     "boot: the kernel cannot be entered with five-level "
				     "page tables");
	return 0;
}

static void make_entry(const struct vmm_load_x86_opts *o, uint32_t protocol,
		       struct boot_image *image, struct vmm_load_x86_entry *e)
{
	bool level5 = o->flags & VMM_LOAD_X86_LEVEL5;

	*e = (struct vmm_load_x86_entry){
		.protocol = protocol,
		.bits = protocol == VMM_LOAD_X86_LINUX64 ? 64 : 32,
		.rflags = RFLAGS_RESERVED,
		.cr0 = CR0_PE | CR0_ET,
	};
	boot_segments(image, e);
	if (protocol == VMM_LOAD_X86_PVH) {
		e->rip = o->kernel->pvh_entry;
		e->rbx = VMM_LOAD_X86_START_INFO;
		return;
	}
	e->rip = protocol == VMM_LOAD_X86_LINUX64 ? o->kernel->entry : o->kernel->entry32;
	e->rsi = VMM_LOAD_X86_ZERO_PAGE;
	e->rsp = VMM_LOAD_X86_STACK;
	if (protocol == VMM_LOAD_X86_LINUX32)
		return;
	e->rbp = VMM_LOAD_X86_STACK;
	e->cr0 |= CR0_PG;
	e->cr3 = VMM_LOAD_X86_PAGE_TABLES;
	e->cr4 = CR4_PAE | (level5 ? CR4_LA57 : 0);
	e->efer = EFER_LME | EFER_LMA;
	boot_page_tables(image, VMM_LOAD_X86_PAGE_TABLES, level5);
}

static int write_image(const struct vmm_mem *mem, const struct boot_image *image,
		       const char *cmdline, struct vmm_error *err)
{
	uint8_t gdt[GDT_ENTRIES * 8];
	const struct {
		uint64_t gpa;
		const void *data;
		size_t len;
	} parts[] = {
		{ VMM_LOAD_X86_GDT, gdt, sizeof(gdt) },
		{ VMM_LOAD_X86_PAGE_TABLES, image->tables, image->tables_len },
		{ VMM_LOAD_X86_ZERO_PAGE, image->page, PAGE_LEN },
		{ VMM_LOAD_X86_START_INFO, image->start_info, image->start_info_len },
		{ VMM_LOAD_X86_CMDLINE, cmdline, strlen(cmdline) + 1 },
	};
	int ret = 0;

	for (size_t i = 0; i < GDT_ENTRIES; i++)
		put_le64(gdt + 8 * i, image->gdt[i]);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && ret == 0; i++)
		ret = vmm_mem_write(mem, parts[i].gpa, parts[i].data, parts[i].len);
	return ret == 0 ? 0
			: vmm_error_set(err, ret, "boot: cannot write the boot tables");
}

int vmm_load_x86_boot(const struct vmm_mem *mem, const struct vmm_load_x86_opts *opts,
		      struct vmm_load_x86_entry *out, struct vmm_error *err)
{
	struct vmm_load_x86_opts o;
	struct vmm_load_x86_entry entry;
	struct boot_image *image;
	uint32_t protocol = VMM_LOAD_X86_BEST;
	int ret = load_options_copy(&o, sizeof(o), opts);

	if (ret < 0)
		return vmm_error_set(err, ret, "boot: unknown option structure size");
	if (!o.cmdline)
		o.cmdline = "";
	ret = check(mem, &o, err);
	if (ret == 0)
		ret = choose_protocol(&o, &protocol, err);
	if (ret == 0)
		ret = check_protocol(&o, protocol, strlen(o.cmdline), err);
	if (ret < 0)
		return ret;

	image = load_sys_alloc(sizeof(*image));
	if (!image)
		return vmm_error_set(err, -ENOMEM, "boot: out of memory");
	make_entry(&o, protocol, image, &entry);
	ret = protocol == VMM_LOAD_X86_PVH
		  ? boot_start_info(image, &o, err)
		  : boot_zero_page(image, &o, strlen(o.cmdline), err);
	if (ret == 0)
		ret = write_image(mem, image, o.cmdline, err);
	free(image);
	if (ret == 0)
		*out = entry;
	return ret;
}

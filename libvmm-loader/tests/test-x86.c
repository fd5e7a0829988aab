/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Bytes that a kernel reads, against the boot protocol, the PVH document and the Intel
 * SDM; where the host has the kernel's own header, against that too. */
#include "load-test.h"

#ifdef __x86_64__
#include <asm/bootparam.h>
#endif

static uint8_t image[65536];

struct machine {
	struct vmm_mem *mem;
	struct vmm_load_map map;
	struct vmm_load_result kernel;
	struct vmm_load_x86_opts opts;
};

static int setup(void **state)
{
	static struct machine m;
	struct vmm_load_x86_opts opts = VMM_LOAD_X86_OPTS_INIT;

	m.kernel = (struct vmm_load_result){ 0 };
	m.mem = test_ram(32 * MIB);
	assert_int_equal(vmm_load_x86_map(m.mem, &m.map, NULL), 0);
	m.opts = opts;
	m.opts.kernel = &m.kernel;
	m.opts.map = &m.map;
	*state = &m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	vmm_mem_free(m->mem);
	return 0;
}

static void load(struct machine *m, size_t len)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_source(image, len);

	o.map = &m->map;
	assert_int_equal(vmm_load_kernel(m->mem, &s, &o, &m->kernel, NULL), 0);
}

static uint64_t get(const struct machine *m, uint64_t gpa, size_t width)
{
	uint8_t b[8] = { 0 };

	assert_int_equal(vmm_mem_read(m->mem, gpa, b, width), 0);
	return get_le64(b);
}

static void ram_is_divided_around_the_gap(void **state)
{
	static const struct {
		uint64_t size;
		size_t n;
		uint64_t low, high;
	} cases[] = {
		{ 2 * MIB, 1, 2 * MIB, 0 },
		{ 512 * MIB, 1, 512 * MIB, 0 },
		{ 3 * GIB - 4096, 1, 3 * GIB - 4096, 0 },
		{ 3 * GIB, 1, 3 * GIB, 0 },
		{ 3 * GIB + 4096, 2, 3 * GIB, 4096 },
		{ 8 * GIB, 2, 3 * GIB, 5 * GIB },
		{ VMM_LOAD_X86_RAM_MAX, 2, 3 * GIB, VMM_LOAD_X86_RAM_MAX - 3 * GIB },
	};
	static const uint64_t bad[] = { 0,
					4096,
					2 * MIB - 1,
					2 * MIB + 1,
					UINT64_MAX,
					VMM_LOAD_X86_RAM_MAX + 4096,
					UINT64_MAX - 4095 };
	struct vmm_load_range r[VMM_LOAD_X86_RAM_RANGES];
	size_t n;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		assert_int_equal(vmm_load_x86_ram(cases[i].size, r, &n), 0);
		assert_int_equal(n, cases[i].n);
		assert_int_equal(r[0].gpa, 0);
		assert_int_equal(r[0].len, cases[i].low);
		if (n == 2) {
			assert_int_equal(r[1].gpa, 4 * GIB);
			assert_int_equal(r[1].len, cases[i].high);
		}
	}
	n = 77;
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		assert_int_equal(vmm_load_x86_ram(bad[i], r, &n), -EINVAL);
	assert_int_equal(n, 77);
}

static void the_first_mib_has_its_holes(void **state)
{
	static const struct test_range small = { 0, 0xff000, 0 };
	static const struct test_range rom[] = { { 0, 0xf0000, 0 },
						 { 0xf0000, MIB, VMM_MEM_READONLY } };
	struct machine *m = *state;
	struct vmm_load_map map = { 0 };
	struct vmm_mem *mem;
	uint8_t e820[128 * VMM_LOAD_E820_LEN];
	size_t n;

	assert_int_equal(vmm_load_x86_e820(&m->map, e820, 128, &n), 0);
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++) {
		static const uint64_t want[][3] = {
			{ 0, 0x9fc00, 1 },	 { 0x9fc00, 0x400, 2 },
			{ 0xe0000, 0x10000, 3 }, { 0xf0000, 0x10000, 2 },
			{ MIB, 31 * MIB, 1 },
		};

		assert_int_equal(get_le64(e820 + 20 * i), want[i][0]);
		assert_int_equal(get_le64(e820 + 20 * i + 8), want[i][1]);
		assert_int_equal(get_le32(e820 + 20 * i + 16), want[i][2]);
	}
	assert_int_equal(vmm_load_x86_e820(&m->map, e820, 4, &n), -E2BIG);
	assert_int_equal(n, 5);
	/* Low RAM is taken: nothing is placed there. */
	assert_true(vmm_load_map_is(&m->map, 0, 0x9fc00, VMM_LOAD_MAP_TAKEN));

	mem = test_mem(&small, 1);
	assert_int_equal(vmm_load_x86_map(mem, &map, NULL), -EFAULT);
	vmm_mem_free(mem);
	mem = test_mem(rom, 2);
	assert_int_equal(vmm_load_x86_map(mem, &map, NULL), -EFAULT);
	vmm_mem_free(mem);
	assert_int_equal(map.count, 0);
}

static void the_gdt_is_that_of_the_protocol(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_bzimage(image);
	load(m, BZ_LEN);
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(e.gdt_base, 0x500);
	assert_int_equal(e.gdt_limit, 47);
	assert_int_equal(e.idt_limit, 0);
	assert_true(get(m, 0x500, 8) == 0);
	assert_true(get(m, 0x508, 8) == 0);
	assert_true(get(m, 0x510, 8) == UINT64_C(0x00af9b000000ffff));
	assert_true(get(m, 0x518, 8) == UINT64_C(0x00cf93000000ffff));
	assert_true(get(m, 0x520, 8) == UINT64_C(0x00008b0000000067));
	assert_true(get(m, 0x528, 8) == 0);
	assert_int_equal(e.cs.selector, 0x10);
	assert_int_equal(e.ds.selector, 0x18);
	assert_int_equal(e.tr.selector, 0x20);
	assert_int_equal(e.cs.l, 1);
	assert_int_equal(e.cs.db, 0);
	assert_int_equal(e.cs.limit, UINT32_MAX);

	m->opts.protocol = VMM_LOAD_X86_LINUX32;
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_true(get(m, 0x510, 8) == UINT64_C(0x00cf9b000000ffff));
	assert_int_equal(e.cs.l, 0);
	assert_int_equal(e.cs.db, 1);
}

static void page_tables_map_4_gib_onto_themselves(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_bzimage(image);
	load(m, BZ_LEN);
	for (int level5 = 0; level5 < 2; level5++) {
		uint64_t top, pml4, pdpt;

		m->opts.flags = level5 ? VMM_LOAD_X86_LEVEL5 : 0;
		assert_int_equal(vmm_mem_fill(m->mem, 0x9000, 0xee, 0x8000), 0);
		assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
		assert_int_equal(e.cr3, 0x9000);
		assert_int_equal(e.cr4, level5 ? 0x1020 : 0x20);
		top = e.cr3;
		pml4 = level5 ? get(m, top, 8) - 3 : top;
		assert_int_equal(pml4, level5 ? 0xa000 : 0x9000);
		pdpt = get(m, pml4, 8) - 3;
		for (uint64_t i = 1; i < 512; i++) {
			assert_true(get(m, top + 8 * i, 8) == 0);
			assert_true(get(m, pml4 + 8 * i, 8) == 0);
		}
		for (uint64_t i = 0; i < 512; i++)
			if (i >= 4)
				assert_true(get(m, pdpt + 8 * i, 8) == 0);
		for (uint64_t gpa = 0; gpa < 4 * GIB; gpa += 2 * MIB) {
			uint64_t pd = get(m, pdpt + 8 * (gpa >> 30), 8);

			assert_int_equal(pd & 0xfff, 3);
			assert_true(get(m,
					(pd & ~UINT64_C(0xfff)) + 8 * (gpa >> 21 & 511),
					8) == (gpa | 0x83));
		}
		/* Nothing beyond the tables. */
		assert_true(
		    test_is(m->mem, 0x9000 + (level5 ? 0x7000 : 0x6000), 0x1000, 0xee));
	}
}

static void the_64_bit_entry_gets_a_zero_page(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;
	uint8_t page[4096];
	char text[32];

	test_bzimage(image);
	load(m, BZ_LEN);
	m->opts.cmdline = "console=ttyS0 quiet";
	m->opts.rsdp_gpa = 0xe0000;
	m->opts.setup_data_gpa = VMM_LOAD_X86_SETUP_DATA;
	m->opts.initrd = (struct vmm_load_range){ 0x1f00000, 0x12345 };
	assert_int_equal(vmm_load_map_take(&m->map, 0x1f00000, 0x13000), 0);
	assert_int_equal(vmm_mem_fill(m->mem, 0x7000, 0xee, 0x1000), 0);
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(e.protocol, VMM_LOAD_X86_LINUX64);
	assert_int_equal(e.bits, 64);
	assert_int_equal(e.rip, BZ_PREF + 0x200);
	assert_int_equal(e.rsi, 0x7000);
	assert_int_equal(e.rsp, 0x8ff0);
	assert_int_equal(e.rflags, 2);
	assert_true(e.cr0 == 0x80000011);
	assert_int_equal(e.efer, 0x500);

	assert_int_equal(vmm_mem_read(m->mem, 0x20000, text, 20), 0);
	assert_string_equal(text, "console=ttyS0 quiet");
	assert_int_equal(vmm_mem_read(m->mem, 0x7000, page, sizeof(page)), 0);
	assert_int_equal(page[0x1ef], 0);
	assert_int_equal(get_le64(page + 0x70), 0xe0000);
	assert_int_equal(page[0x1e8], 5);
	assert_memory_equal(page + 0x1f1, image + 0x1f1, 0x210 - 0x1f1);
	assert_int_equal(page[0x210], 0xff);
	assert_int_equal(get_le32(page + 0x214), BZ_PREF);
	assert_int_equal(get_le32(page + 0x218), 0x1f00000);
	assert_int_equal(get_le32(page + 0x21c), 0x12345);
	assert_int_equal(get_le32(page + 0x228), 0x20000);
	assert_memory_equal(page + 0x22c, image + 0x22c, 0x250 - 0x22c);
	assert_int_equal(get_le64(page + 0x250), VMM_LOAD_X86_SETUP_DATA);
	assert_memory_equal(page + 0x258, image + 0x258, 0x26c - 0x258);
	/* Not a byte of what follows the header in the file. */
	for (size_t i = 0x26c; i < 0x2d0; i++)
		assert_int_equal(page[i], 0);
	for (size_t i = 0x2d0 + 5 * 20; i < 4096; i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(get_le64(page + 0x2d0 + 20), 0x9fc00);
#ifdef __x86_64__
	{
		struct boot_params p;

		memcpy(&p, page, sizeof(p));
		assert_int_equal(p.acpi_rsdp_addr, 0xe0000);
		assert_int_equal(p.e820_entries, 5);
		assert_int_equal(p.e820_table[4].addr, MIB);
		assert_int_equal(p.e820_table[4].size, 31 * MIB);
		assert_int_equal(p.hdr.type_of_loader, 0xff);
		assert_int_equal(p.hdr.ramdisk_image, 0x1f00000);
		assert_int_equal(p.hdr.cmd_line_ptr, 0x20000);
		assert_int_equal(p.hdr.setup_data, VMM_LOAD_X86_SETUP_DATA);
		assert_int_equal(p.hdr.init_size, BZ_INIT_SIZE);
		assert_int_equal(p.hdr.boot_flag, 0xaa55);
	}
#endif
}

static void an_elf_kernel_gets_a_header_too(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_elf(image);
	load(m, ELF_LEN);
	m->opts.cmdline = "abc";
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(e.protocol, VMM_LOAD_X86_LINUX64);
	assert_int_equal(e.rip, ELF_GPA0 + 0x10);
	assert_int_equal(get(m, 0x7000 + 0x1fe, 2), 0xaa55);
	assert_int_equal(get(m, 0x7000 + 0x202, 4), 0x53726448);
	assert_int_equal(get(m, 0x7000 + 0x206, 2), 0x20c);
	assert_int_equal(get(m, 0x7000 + 0x210, 1), 0xff);
	assert_int_equal(get(m, 0x7000 + 0x211, 1), 1);
	assert_int_equal(get(m, 0x7000 + 0x228, 4), 0x20000);
	assert_int_equal(get(m, 0x7000 + 0x230, 4), 0x1000000);
	assert_int_equal(get(m, 0x7000 + 0x238, 4), 3);
}

static void pvh_gets_start_info_and_no_paging(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_elf(image);
	load(m, ELF_LEN);
	m->opts.protocol = VMM_LOAD_X86_PVH;
	m->opts.cmdline = "abc";
	m->opts.rsdp_gpa = 0xe0000;
	assert_int_equal(vmm_mem_fill(m->mem, 0x6000, 0xee, 0x8000), 0);
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(e.bits, 32);
	assert_int_equal(e.rip, ELF_GPA0 + 0x20);
	assert_int_equal(e.rbx, 0x6000);
	assert_int_equal(e.cr0, 0x11);
	assert_int_equal(e.cr3, 0);
	assert_int_equal(e.cr4, 0);
	assert_int_equal(e.efer, 0);
	assert_int_equal(get(m, 0x6000, 4), 0x336ec578);
	assert_int_equal(get(m, 0x6004, 4), 1);
	assert_int_equal(get(m, 0x6008, 4), 0);
	assert_int_equal(get(m, 0x600c, 4), 0);
	assert_int_equal(get(m, 0x6010, 8), 0);
	assert_int_equal(get(m, 0x6018, 8), 0x20000);
	assert_int_equal(get(m, 0x6020, 8), 0xe0000);
	assert_int_equal(get(m, 0x6028, 8), 0x7000);
	assert_int_equal(get(m, 0x6030, 4), 5);
	assert_int_equal(get(m, 0x6034, 4), 0);
	assert_true(test_is(m->mem, 0x6038, 0x40, 0xee));
	assert_int_equal(get(m, 0x7000 + 24 * 4, 8), MIB);
	assert_int_equal(get(m, 0x7000 + 24 * 4 + 8, 8), 31 * MIB);
	assert_int_equal(get(m, 0x7000 + 24 * 4 + 16, 8), 1);
	/* No page tables. */
	assert_true(test_is(m->mem, 0x9000, 0x4000, 0xee));

	m->opts.initrd = (struct vmm_load_range){ 0x1f00000, 0x1000 };
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(get(m, 0x600c, 4), 1);
	assert_int_equal(get(m, 0x6010, 8), 0x6038);
	assert_int_equal(get(m, 0x6038, 8), 0x1f00000);
	assert_int_equal(get(m, 0x6040, 8), 0x1000);
	assert_int_equal(get(m, 0x6048, 8), 0);
	assert_int_equal(get(m, 0x6050, 8), 0);
}

static void the_32_bit_entry_has_no_paging(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_bzimage(image);
	put_le16(image + 0x236, 0);
	load(m, BZ_LEN);
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(e.protocol, VMM_LOAD_X86_LINUX32);
	assert_int_equal(e.bits, 32);
	assert_int_equal(e.rip, BZ_PREF);
	assert_int_equal(e.rsi, 0x7000);
	assert_int_equal(e.rbx, 0);
	assert_int_equal(e.rbp, 0);
	assert_int_equal(e.cr0, 0x11);
	assert_int_equal(e.cr3, 0);
}

static void refuse(struct machine *m, int want, const char *text)
{
	struct vmm_load_x86_entry e, before;
	struct vmm_error err = { 0 };
	int ret;

	memset(&e, 0x11, sizeof(e));
	before = e;
	assert_int_equal(vmm_mem_fill(m->mem, 0, 0xee, 0x9fc00), 0);
	ret = vmm_load_x86_boot(m->mem, &m->opts, &e, &err);
	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
	assert_memory_equal(&e, &before, sizeof(e));
	assert_true(test_is(m->mem, 0, 0x9fc00, 0xee));
}

static void what_cannot_be_is_refused_and_nothing_written(void **state)
{
	struct machine *m = *state;
	const struct vmm_load_x86_opts good = m->opts;
	struct vmm_load_result kernel;
	char longest[2100];

	refuse(m, -EINVAL, "not for x86_64");
	test_bzimage(image);
	load(m, BZ_LEN);
	kernel = m->kernel;

#define TRY(change, want, text)        \
	do {                           \
		change;                \
		refuse(m, want, text); \
		m->opts = good;        \
		m->kernel = kernel;    \
	} while (0)
	TRY(m->opts.kernel = NULL, -EINVAL, "no kernel");
	TRY(m->opts.map = NULL, -EINVAL, "no kernel");
	TRY(m->opts.protocol = 4, -EINVAL, "no such protocol: 4");
	TRY(m->opts.protocol = VMM_LOAD_X86_PVH, -EOPNOTSUPP, "has no PVH entry");
	TRY(m->opts.flags = 2, -EINVAL, "unknown flags");
	TRY(m->opts.size = 4, -EINVAL, "option structure");
	TRY(m->kernel.arch = VMM_LOAD_ARCH_AARCH64, -EINVAL, "not for x86_64");
	TRY(m->kernel.last_gpa = 4 * GIB, -EFAULT, "beyond the first 4 GiB");
	TRY(m->kernel.first_gpa = 0x9fbff, -EBUSY, "below 0x9fc00");
	TRY(m->kernel.first_gpa = 0xa0000, -EINVAL, "the kernel at 0xa0000");
	TRY(m->kernel.last_gpa = 32 * MIB, -EINVAL, "is not RAM in the memory map");
	TRY(m->kernel.entry = m->kernel.entry32 = VMM_LOAD_NONE, -EOPNOTSUPP,
	    "has no entry");
	TRY((m->opts.flags = VMM_LOAD_X86_LEVEL5, m->kernel.flags = 0x1f), -EOPNOTSUPP,
	    "five-level");
	TRY((m->opts.flags = VMM_LOAD_X86_LEVEL5,
	     m->opts.protocol = VMM_LOAD_X86_LINUX32),
	    -EINVAL, "five-level page tables with a 32-bit entry");
	TRY((m->opts.initrd = (struct vmm_load_range){ 32 * MIB - 1, 2 }), -EINVAL,
	    "the initrd at 0x2000000");
	TRY((m->opts.initrd = (struct vmm_load_range){ 0x7000, 2 }), -EBUSY,
	    "the initrd at");
	TRY((m->opts.initrd = (struct vmm_load_range){ UINT64_MAX, 2 }), -EINVAL,
	    "passes the end");
	TRY((m->opts.initrd = (struct vmm_load_range){ 0x1f00000, 2 },
	     m->kernel.initrd_last_max = 0x1f00000),
	    -EINVAL, "the initrd ends above 0x1f00000");
	memset(longest, 'x', sizeof(longest));
	longest[2048] = '\0';
	TRY(m->opts.cmdline = longest, -E2BIG,
	    "command line of 2048 bytes, the kernel takes 2047");
#undef TRY
	longest[2047] = '\0';
	m->opts.cmdline = longest;
	assert_int_equal(
	    vmm_load_x86_boot(m->mem, &m->opts, &(struct vmm_load_x86_entry){ 0 }, NULL),
	    0);
}

static void setup_data_is_a_list(void **state)
{
	struct machine *m = *state;
	struct vmm_load_setup_data d[] = {
		{ .type = VMM_LOAD_SETUP_RNG_SEED, .data = "0123456789", .len = 10 },
		{ .type = VMM_LOAD_SETUP_DTB | VMM_LOAD_SETUP_INDIRECT,
		  .len = 0x200,
		  .gpa = 0x100000 },
		{ .type = 3, .data = "x", .len = 1 },
	};
	struct vmm_load_setup_data good;
	struct vmm_error err;
	uint64_t gpa = 77;
	char text[11] = { 0 };

	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 3, &gpa, NULL), 0);
	assert_int_equal(gpa, 0x10000);
	assert_int_equal(get(m, 0x10000, 8), 0x10020);
	assert_int_equal(get(m, 0x10008, 4), 9);
	assert_int_equal(get(m, 0x1000c, 4), 10);
	assert_int_equal(vmm_mem_read(m->mem, 0x10010, text, 10), 0);
	assert_string_equal(text, "0123456789");
	assert_int_equal(get(m, 0x10020, 8), 0x10048);
	assert_true(get(m, 0x10028, 4) == 0x80000000);
	assert_int_equal(get(m, 0x1002c, 4), 24);
	assert_true(get(m, 0x10030, 4) == 0x80000002);
	assert_int_equal(get(m, 0x10034, 4), 0);
	assert_int_equal(get(m, 0x10038, 8), 0x200);
	assert_int_equal(get(m, 0x10040, 8), 0x100000);
	assert_int_equal(get(m, 0x10048, 8), 0);
	assert_int_equal(get(m, 0x10050, 4), 3);
	assert_int_equal(get(m, 0x10058, 1), 'x');

	gpa = 77;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 0, &gpa, &err), -EINVAL);
	good = d[0];
	d[0].len = 0;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EINVAL);
	d[0] = good;
	d[0].data = NULL;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EINVAL);
	d[0] = good;
	d[0].len = UINT64_MAX;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -E2BIG);
	d[0].len = 0x10000 - 15;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -E2BIG);
	d[1].gpa = 32 * MIB - 0x1ff;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d + 1, 1, &gpa, &err), -EINVAL);
	/* A tree in the list has to be one; what lies elsewhere is not read. */
	d[0] = (struct vmm_load_setup_data){ VMM_LOAD_SETUP_DTB, 0, image, 64, 0 };
	memset(image, 0, 64);
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EBADMSG);
	memcpy(image, "\xd0\x0d\xfe\xed\0\0\0\x41", 8);
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "entry 0 is no device tree"));
	image[7] = 39;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EBADMSG);
	d[0].len = 39;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), -EBADMSG);
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 257, &gpa, &err), -E2BIG);
	assert_int_equal(gpa, 77);
	d[0].len = image[7] = 64;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), 0);
	d[0] = good;
	d[0].data = image;
	d[0].len = 0x10000 - 16;
	assert_int_equal(vmm_load_x86_setup_data(m->mem, d, 1, &gpa, &err), 0);
}

static void a_map_that_is_too_long_for_the_zero_page_fits_just(void **state)
{
	struct machine *m = *state;
	struct vmm_load_x86_entry e;

	test_bzimage(image);
	load(m, BZ_LEN);
	for (uint64_t i = 0; m->map.count < VMM_LOAD_MAP_MAX; i++)
		assert_int_equal(vmm_load_map_set(&m->map, 8 * GIB + i * GIB, 0x1000,
						  VMM_LOAD_MAP_RESERVED),
				 0);
	/* The kernel's own entry melts into RAM: 126. */
	assert_int_equal(vmm_load_x86_boot(m->mem, &m->opts, &e, NULL), 0);
	assert_int_equal(get(m, 0x7000 + 0x1e8, 1), 126);
}

static void the_reset_vector_writes_to_the_port(void **state)
{
	/* mov dx, 0x1234; mov al, 0x56; out dx, al; 1: cli; hlt; jmp 1b */
	static const uint8_t want[VMM_LOAD_X86_RESET_VECTOR_LEN] = {
		0xba, 0x34, 0x12, 0xb0, 0x56, 0xee, 0xfa, 0xf4, 0xeb, 0xfc,
	};
	struct machine *m = *state;
	uint8_t got[VMM_LOAD_X86_RESET_VECTOR_LEN];

	assert_int_equal(vmm_load_x86_reset_vector(m->mem, 0x1234, 0x56, NULL), 0);
	assert_int_equal(vmm_mem_read(m->mem, 0xffff0, got, sizeof(got)), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static void a_reset_vector_needs_memory(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_error err;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	assert_int_equal(vmm_load_x86_reset_vector(mem, 1, 2, &err), -EFAULT);
	assert_int_equal(err.where, 0xffff0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reset_vector_needs_memory),
		cmocka_unit_test(ram_is_divided_around_the_gap),
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(the_first_mib_has_its_holes),
		TEST(the_gdt_is_that_of_the_protocol),
		TEST(page_tables_map_4_gib_onto_themselves),
		TEST(the_64_bit_entry_gets_a_zero_page),
		TEST(an_elf_kernel_gets_a_header_too),
		TEST(pvh_gets_start_info_and_no_paging),
		TEST(the_32_bit_entry_has_no_paging),
		TEST(what_cannot_be_is_refused_and_nothing_written),
		TEST(setup_data_is_a_list),
		TEST(the_reset_vector_writes_to_the_port),
		TEST(a_map_that_is_too_long_for_the_zero_page_fits_just),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

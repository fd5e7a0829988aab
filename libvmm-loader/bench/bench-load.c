/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Loading from page cache, against pread() of the same bytes into the same memory. */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vmm/loader-x86.h>

#include "vmm-bench.h"

#define MIB (UINT64_C(1) << 20)
#define RAM (UINT64_C(128) * MIB)

struct image {
	struct vmm_load_source source;
	/* Where its bytes go, and which these are. */
	uint64_t gpa, offset, len;
	struct vmm_mem *mem;
	uint8_t *host;
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static size_t elf_head(uint8_t *b, uint64_t len)
{
	Elf64_Ehdr h = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1 };
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_offset = 4096, .p_paddr = 16 * MIB };

	memcpy(h.e_ident, ELFMAG "\2\1\1", 7);
	h.e_entry = 16 * MIB;
	h.e_phoff = sizeof(h);
	h.e_phentsize = sizeof(p);
	h.e_phnum = 1;
	p.p_filesz = p.p_memsz = len;
	memcpy(b, &h, sizeof(h));
	memcpy(b + sizeof(h), &p, sizeof(p));
	return 4096;
}

static size_t bzimage_head(uint8_t *b, uint64_t len)
{
	b[0x1f1] = 7;
	put32(b + 0x1f4, (uint32_t)(len / 16));
	put16(b + 0x1fe, 0xaa55);
	put16(b + 0x200, 0x6aeb);
	memcpy(b + 0x202, "HdrS", 4);
	put16(b + 0x206, 0x20f);
	b[0x211] = 1;
	put32(b + 0x230, 2 * MIB);
	b[0x234] = 1;
	put16(b + 0x236, 0x3f);
	put32(b + 0x258, 16 * MIB);
	put32(b + 0x260, 64 * MIB);
	return 4096;
}

static bool make(struct image *i, const char *name, uint64_t len,
		 size_t (*head)(uint8_t *b, uint64_t len))
{
	struct vmm_load_source source = VMM_LOAD_SOURCE_INIT;
	uint8_t page[4096] = { 0 };

	source.name = name;
	source.fd = memfd_create(name, MFD_CLOEXEC);
	i->source = source;
	i->len = len;
	i->gpa = 16 * MIB;
	i->offset = head(page, len);
	if (source.fd < 0 || pwrite(source.fd, page, sizeof(page), 0) != sizeof(page))
		return false;
	memset(page, 0x90, sizeof(page));
	for (uint64_t at = 0; at < len; at += sizeof(page))
		if (pwrite(source.fd, page, sizeof(page), (off_t)(i->offset + at)) !=
		    sizeof(page))
			return false;
	return true;
}

/* A kernel of a distribution: what of it goes to memory, and where. False if it is none. */
static bool open_bzimage(struct image *i, const char *path)
{
	struct vmm_load_source source = VMM_LOAD_SOURCE_INIT;
	struct vmm_load_probe_result probe;
	struct vmm_load_result result;
	uint8_t sectors = 0;

	source.name = path;
	source.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source.fd < 0 || vmm_load_probe(&source, &probe, NULL) < 0 ||
	    probe.format != VMM_LOAD_FORMAT_BZIMAGE ||
	    vmm_load_kernel(i->mem, &source, NULL, &result, NULL) < 0 ||
	    pread(source.fd, &sectors, 1, 0x1f1) != 1)
		return false;
	i->source = source;
	i->gpa = result.load_gpa;
	i->offset = ((uint64_t)sectors + 1) * 512;
	i->len = probe.image_size - i->offset;
	return true;
}

static void run_load(void *ctx, uint64_t n)
{
	struct image *i = ctx;
	struct vmm_load_result result;
	struct vmm_error err;

	while (n--)
		if (vmm_load_kernel(i->mem, &i->source, NULL, &result, &err) < 0) {
			fprintf(stderr, "%s\n", err.message);
			exit(EXIT_FAILURE);
		}
}

static void run_pread(void *ctx, uint64_t n)
{
	struct image *i = ctx;

	while (n--)
		if (pread(i->source.fd, i->host + i->gpa, i->len, (off_t)i->offset) !=
		    (ssize_t)i->len)
			exit(EXIT_FAILURE);
}

static struct vmm_mem *make_memory(void)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	struct vmm_mem *mem = NULL;

	region.len = RAM;
	if (vmm_mem_builder_new(&builder) < 0 ||
	    vmm_mem_builder_add(builder, &region, NULL) < 0 ||
	    vmm_mem_builder_build(builder, &mem) < 0)
		return NULL;
	return mem;
}

int main(void)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = make_memory();
	struct image elf = { .mem = mem }, bzimage = { .mem = mem };
	struct image debian = { .mem = mem };
	const char *path = getenv("VMM_BENCH_KERNEL");
	void *host = NULL;

	if (!mem || vmm_mem_get_ptr(mem, 0, RAM, &host) < 0 ||
	    !make(&elf, "elf", 32 * MIB, elf_head) ||
	    !make(&bzimage, "bzimage", 14 * MIB, bzimage_head))
		return EXIT_FAILURE;
	/* Neither side pays for the first touch of guest memory. */
	memset(host, 0, RAM);
	elf.host = bzimage.host = debian.host = host;
	vmm_bench_run(&(struct vmm_bench_case){ "loader", "elf-32m", run_load, "pread",
						run_pread, &elf, 0 });
	vmm_bench_run(&(struct vmm_bench_case){ "loader", "bzimage-14m", run_load,
						"pread", run_pread, &bzimage, 0 });
	if (path && open_bzimage(&debian, path))
		vmm_bench_run(&(struct vmm_bench_case){ "loader", "bzimage-debian",
							run_load, "pread", run_pread,
							&debian, 0 });
	return EXIT_SUCCESS;
}

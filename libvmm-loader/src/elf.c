/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "plan.h"
#include "probe.h"

/* Work that a hostile image can ask for is bounded by these. */
#define NOTES_MAX 4096u
#define HEADERS_PER_READ 64u

/* Xen's note that names the PVH entry. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18u

/* From COMMAND_LINE_SIZE of each architecture, less the NUL. */
#define CMDLINE_MAX_X86 2047u
#define CMDLINE_MAX_ARM64 2047u
#define CMDLINE_MAX_RISCV 1023u

struct elf_state {
	const struct load_format_args *args;
	struct load_plan *plan;
	struct vmm_load_result *result;
	uint64_t entry;
	uint32_t notes;
};

static int bad(const struct load_input *in, uint64_t offset, uint64_t wanted,
	       uint64_t got, const char *what, struct vmm_error *err)
{
	return vmm_error_at(err, -EBADMSG, offset, wanted, got,
			    "%s: damaged ELF: %s at offset %" PRIu64 " is %" PRIu64
			    ", expected %" PRIu64,
			    in->name, what, offset, got, wanted);
}

/* Machine and class: what makes it someone else's kernel rather than a broken one. */
static int check_machine(const struct load_input *in, const uint8_t *h, uint32_t arch,
			 struct vmm_error *err)
{
	bool big = h[EI_DATA] == ELFDATA2MSB;
	uint32_t machine = big ? (uint32_t)(h[18] << 8 | h[19]) : get_le16(h + 18);
	uint32_t want = load_elf_machine(arch);

	if (arch != VMM_LOAD_ARCH_ANY && machine != want)
		return vmm_error_at(
		    err, -ENOEXEC, 18, want, machine,
		    "%s: not a kernel: ELF for machine %u (%s), expected %s", in->name,
		    machine, load_elf_machine_name(machine), load_arch_name(arch));
	if (h[EI_CLASS] != ELFCLASS64)
		return vmm_error_at(err, -ENOEXEC, EI_CLASS, ELFCLASS64, h[EI_CLASS],
				    "%s: not a kernel: 32-bit ELF for machine %u (%s), "
				    "expected 64-bit",
				    in->name, machine, load_elf_machine_name(machine));
	if (h[EI_DATA] != ELFDATA2LSB)
		return vmm_error_at(
		    err, -ENOEXEC, EI_DATA, ELFDATA2LSB, h[EI_DATA],
		    "%s: not a kernel: big-endian ELF, expected little-endian", in->name);
	if (machine != EM_X86_64 && machine != EM_AARCH64 && machine != EM_RISCV)
		return vmm_error_at(err, -ENOEXEC, 18, 0, machine,
				    "%s: not a kernel for any known machine: ELF for "
				    "machine %u (%s)",
				    in->name, machine, load_elf_machine_name(machine));
	return 0;
}

static int check_header(const struct load_input *in, const uint8_t *h,
			struct vmm_error *err)
{
	uint16_t type = get_le16(h + 16);
	uint64_t phoff = get_le64(h + 32);
	uint16_t phnum = get_le16(h + 56);

	if (h[EI_VERSION] != EV_CURRENT)
		return bad(in, EI_VERSION, EV_CURRENT, h[EI_VERSION], "version", err);
	if (type != ET_EXEC && type != ET_DYN)
		return bad(in, 16, ET_EXEC, type, "type", err);
	if (get_le32(h + 20) != EV_CURRENT)
		return bad(in, 20, EV_CURRENT, get_le32(h + 20), "version", err);
	if (get_le16(h + 54) != sizeof(Elf64_Phdr))
		return bad(in, 54, sizeof(Elf64_Phdr), get_le16(h + 54),
			   "size of a program header", err);
	if (phnum == PN_XNUM)
		return vmm_error_at(err, -EOPNOTSUPP, 56, PN_XNUM - 1, phnum,
				    "%s: ELF with %u or more program headers", in->name,
				    PN_XNUM);
	if (phnum == 0)
		return bad(in, 56, 1, 0, "number of program headers", err);
	if (phoff < sizeof(Elf64_Ehdr))
		return bad(in, 32, sizeof(Elf64_Ehdr), phoff, "place of program headers",
			   err);
	return load_input_check(in, phoff, (uint64_t)phnum * sizeof(Elf64_Phdr),
				"ELF program headers", err);
}

static int add_load(struct elf_state *s, const uint8_t *ph, struct vmm_error *err)
{
	const struct load_input *in = s->args->in;
	struct load_segment segment = {
		.gpa = get_le64(ph + 24),
		.mem_len = get_le64(ph + 40),
		.file_offset = get_le64(ph + 8),
		.file_len = get_le64(ph + 32),
	};
	int ret;

	if (segment.mem_len < segment.file_len)
		return vmm_error_at(
		    err, -EBADMSG, segment.file_offset, segment.file_len, segment.mem_len,
		    "%s: damaged ELF: segment at 0x%" PRIx64 " has %" PRIu64
		    " bytes in memory but %" PRIu64 " in the file",
		    in->name, segment.gpa, segment.mem_len, segment.file_len);
	if (segment.mem_len == 0)
		return 0;
	ret = load_input_check(in, segment.file_offset, segment.file_len, "ELF segment",
			       err);
	return ret < 0 ? ret : load_plan_add(s->plan, in, &segment, err);
}

/* Notes are 4-aligned whatever p_align says: Linux puts 4-aligned ones into segments
 * that claim 8. The first PVH note counts. */
static int read_notes(struct elf_state *s, const uint8_t *ph, struct vmm_error *err)
{
	const struct load_input *in = s->args->in;
	uint64_t offset = get_le64(ph + 8), left = get_le64(ph + 32), skip;
	uint8_t note[12 + 4 + 4];
	int ret = load_input_check(in, offset, left, "ELF notes", err);

	while (ret == 0 && left >= 12) {
		uint32_t namesz, descsz;

		if (++s->notes > NOTES_MAX)
			return vmm_error_at(err, -E2BIG, offset, NOTES_MAX, s->notes,
					    "%s: more than %u ELF notes", in->name,
					    NOTES_MAX);
		ret = load_input_read(in, offset, note, 12, "ELF note", err);
		if (ret < 0)
			return ret;
		namesz = get_le32(note);
		descsz = get_le32(note + 4);
		skip = 12 + (((uint64_t)namesz + 3) & ~UINT64_C(3)) +
		       (((uint64_t)descsz + 3) & ~UINT64_C(3));
		if (12 + (((uint64_t)namesz + 3) & ~UINT64_C(3)) + descsz > left)
			return bad(in, offset, left, skip, "length of a note", err);
		if (get_le32(note + 8) == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4) {
			if (descsz < 4)
				return bad(in, offset + 4, 4, descsz,
					   "length of the PVH note", err);
			ret = load_input_read(in, offset + 12, note + 12, 8, "PVH note",
					      err);
			if (ret == 0 && memcmp(note + 12, "Xen", 4) == 0) {
				s->result->pvh_entry = get_le32(note + 16);
				return 0;
			}
		}
		offset += skip;
		left -= skip < left ? skip : left;
	}
	return ret;
}

static int read_headers(struct elf_state *s, uint64_t phoff, uint32_t phnum,
			struct vmm_error *err)
{
	uint8_t buf[HEADERS_PER_READ * sizeof(Elf64_Phdr)];
	uint32_t chunk;
	int ret = 0;

	for (uint32_t done = 0; done < phnum && ret == 0; done += chunk) {
		chunk = phnum - done < HEADERS_PER_READ ? phnum - done : HEADERS_PER_READ;
		ret = load_input_read(s->args->in, phoff + done * sizeof(Elf64_Phdr), buf,
				      chunk * sizeof(Elf64_Phdr), "ELF program headers",
				      err);
		for (uint32_t i = 0; i < chunk && ret == 0; i++) {
			const uint8_t *ph = buf + i * sizeof(Elf64_Phdr);
			uint32_t type = get_le32(ph);

			if (type == PT_INTERP)
				return vmm_error_at(
				    err, -ENOEXEC, phoff, 0, type,
				    "%s: not a kernel: a program that needs "
				    "an operating system",
				    s->args->in->name);
			if (type == PT_LOAD)
				ret = add_load(s, ph, err);
			else if (type == PT_NOTE &&
				 s->result->pvh_entry == VMM_LOAD_NONE &&
				 s->result->arch == VMM_LOAD_ARCH_X86_64)
				ret = read_notes(s, ph, err);
		}
	}
	return ret;
}

static int check_entry(const struct elf_state *s, uint64_t entry, const char *what,
		       struct vmm_error *err)
{
	for (uint32_t i = 0; i < s->plan->count; i++) {
		const struct load_segment *g = &s->plan->segment[i];

		if (entry >= g->gpa && entry - g->gpa < g->file_len)
			return 0;
	}
	return vmm_error_at(err, -EBADMSG, 24, 0, entry,
			    "%s: damaged ELF: %s 0x%" PRIx64 " is in no loaded segment",
			    s->args->in->name, what, entry);
}

int load_plan_elf(const struct load_format_args *args, struct load_plan *plan,
		  struct vmm_load_result *result, struct vmm_error *err)
{
	struct elf_state s = { args, plan, result, 0, 0 };
	uint8_t h[sizeof(Elf64_Ehdr)] = { 0 };
	size_t got;
	int ret = load_input_peek(args->in, 0, h, sizeof(h), &got, err);

	/* A header cut short may still tell that it is for another machine. */
	if (ret == 0)
		ret = check_machine(args->in, h, args->opts->arch, err);
	if (ret == 0)
		ret = load_input_check(args->in, 0, sizeof(h), "ELF header", err);
	if (ret == 0)
		ret = check_header(args->in, h, err);
	if (ret == 0 && args->opts->load_gpa)
		ret = vmm_error_at(err, -EINVAL, args->opts->load_gpa, 0, 0,
				   "%s: an ELF kernel says itself where it goes",
				   args->in->name);
	if (ret == 0)
		ret = read_headers(&s, get_le64(h + 32), get_le16(h + 56), err);
	if (ret == 0)
		ret = check_entry(&s, get_le64(h + 24), "entry", err);
	if (ret == 0 && result->pvh_entry != VMM_LOAD_NONE)
		ret = check_entry(&s, result->pvh_entry, "PVH entry", err);
	if (ret < 0)
		return ret;

	result->entry = get_le64(h + 24);
	load_plan_span(plan, &result->load_gpa, &result->last_gpa);
	result->initrd_last_max = UINT64_MAX;
	result->cmdline_max = result->arch == VMM_LOAD_ARCH_X86_64    ? CMDLINE_MAX_X86
			      : result->arch == VMM_LOAD_ARCH_AARCH64 ? CMDLINE_MAX_ARM64
								      : CMDLINE_MAX_RISCV;
	/* Without a setup header there is no flag that allows more. */
	if (result->arch == VMM_LOAD_ARCH_X86_64)
		result->initrd_last_max = UINT32_MAX;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "probe.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "unpack.h"

static const struct {
	uint16_t number;
	uint8_t arch;
	const char *name;
} machines[] = {
	{ EM_X86_64, VMM_LOAD_ARCH_X86_64, "x86_64" },
	{ EM_AARCH64, VMM_LOAD_ARCH_AARCH64, "aarch64" },
	{ EM_RISCV, VMM_LOAD_ARCH_RISCV64, "riscv" },
	{ EM_386, VMM_LOAD_ARCH_OTHER, "i386" },
	{ EM_ARM, VMM_LOAD_ARCH_OTHER, "arm" },
	{ EM_PPC64, VMM_LOAD_ARCH_OTHER, "ppc64" },
	{ EM_S390, VMM_LOAD_ARCH_OTHER, "s390" },
	{ EM_MIPS, VMM_LOAD_ARCH_OTHER, "mips" },
	{ 258, VMM_LOAD_ARCH_OTHER, "loongarch" },
};

/* Magic numbers at offset 0 of formats that need no closer look. */
static const struct {
	uint8_t format, len;
	const char *magic;
	const char *name;
} magics[] = {
	{ VMM_LOAD_FORMAT_GZIP, 2, "\x1f\x8b", "gzip" },
	{ VMM_LOAD_FORMAT_ZSTD, 4, "\x28\xb5\x2f\xfd", "zstd" },
	{ VMM_LOAD_FORMAT_XZ, 6, "\xfd\x37zXZ\0", "xz" },
	{ VMM_LOAD_FORMAT_LZ4, 4, "\x04\x22\x4d\x18", "lz4" },
	{ VMM_LOAD_FORMAT_LZ4, 4, "\x02\x21\x4c\x18", "lz4 (legacy)" },
	{ VMM_LOAD_FORMAT_BZIP2, 3, "BZh", "bzip2" },
	{ VMM_LOAD_FORMAT_LZMA, 3, "\x5d\0\0", "lzma" },
	{ VMM_LOAD_FORMAT_LZO, 9, "\x89LZO\0\r\n\x1a\n", "lzo" },
	{ VMM_LOAD_FORMAT_UIMAGE, 4, "\x27\x05\x19\x56", "U-Boot image" },
};

const char *load_elf_machine_name(uint32_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].number == machine)
			return machines[i].name;
	return "unknown";
}

uint32_t load_elf_machine(uint32_t arch)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].arch == arch)
			return machines[i].number;
	return EM_NONE;
}

const char *load_arch_name(uint32_t arch)
{
	switch (arch) {
	case VMM_LOAD_ARCH_X86_64:
		return "x86_64";
	case VMM_LOAD_ARCH_AARCH64:
		return "aarch64";
	case VMM_LOAD_ARCH_RISCV64:
		return "riscv64";
	default:
		return "another machine";
	}
}

/* snprintf() into the description; the text is cut, never the call. */
VMM_PRINTF(2, 3)
static void describe(struct vmm_load_probe_result *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out->description, sizeof(out->description), format, args);
	va_end(args);
}

static void probe_elf(const uint8_t *b, struct vmm_load_probe_result *out)
{
	bool big = b[EI_DATA] == ELFDATA2MSB;
	uint16_t machine = get_le16(b + 18);

	if (big)
		machine = (uint16_t)(b[18] << 8 | b[19]);
	out->format = VMM_LOAD_FORMAT_ELF;
	out->detail = machine;
	out->arch = VMM_LOAD_ARCH_OTHER;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].number == machine && b[EI_CLASS] == ELFCLASS64 && !big)
			out->arch = machines[i].arch;
	out->supported = out->arch != VMM_LOAD_ARCH_OTHER;
	describe(out, "ELF%s%s for machine %u (%s)",
		 b[EI_CLASS] == ELFCLASS64 ? "64" : "32", big ? ", big-endian," : "",
		 machine, load_elf_machine_name(machine));
}

static void probe_bzimage(const uint8_t *b, struct vmm_load_probe_result *out)
{
	uint32_t version = get_le16(b + 0x206);

	out->format = VMM_LOAD_FORMAT_BZIMAGE;
	out->arch = VMM_LOAD_ARCH_X86_64;
	out->detail = version;
	/* 2.10 brought init_size; without it no one knows what the kernel overwrites. */
	out->supported = version >= 0x20a;
	describe(out, "bzImage, boot protocol %u.%u", version >> 8, version & 0xff);
}

static void probe_zboot(const uint8_t *b, struct vmm_load_probe_result *out)
{
	uint32_t inner = load_unpack_format_by_name((const char *)b + 24);

	out->format = VMM_LOAD_FORMAT_ZBOOT;
	out->detail = inner;
	out->supported = load_unpack_supported(inner);
	describe(out, "EFI zboot, compressed with %.16s", (const char *)b + 24);
}

static void probe_image(const uint8_t *b, uint32_t format,
			struct vmm_load_probe_result *out)
{
	bool arm = format == VMM_LOAD_FORMAT_ARM64_IMAGE;

	out->format = format;
	out->arch = arm ? VMM_LOAD_ARCH_AARCH64 : VMM_LOAD_ARCH_RISCV64;
	out->supported = 1;
	describe(out, "%s Image", arm ? "arm64" : "riscv");
}

static void probe_magic(const uint8_t *b, size_t len, struct vmm_load_probe_result *out)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if (len < magics[i].len || memcmp(b, magics[i].magic, magics[i].len) != 0)
			continue;
		out->format = magics[i].format;
		out->supported = load_unpack_supported(out->format);
		describe(out, "%s", magics[i].name);
		return;
	}
	describe(out, "unknown");
}

int load_probe_input(const struct load_input *in, struct vmm_load_probe_result *out,
		     struct vmm_error *err)
{
	struct vmm_load_probe_result result = { .image_size = in->size };
	uint8_t b[PROBE_LEN + 1] = { 0 };
	size_t len;
	int ret = load_input_peek(in, 0, b, PROBE_LEN, &len, err);

	if (ret < 0)
		return ret;

	/* EFI stubs make a bzImage or an Image a PE file as well: the more telling magic
	 * goes first. */
	if (len >= 20 && memcmp(b, ELFMAG, SELFMAG) == 0)
		probe_elf(b, &result);
	else if (len >= 0x208 && memcmp(b + 0x202, "HdrS", 4) == 0)
		probe_bzimage(b, &result);
	else if (len >= 64 && memcmp(b, "MZ", 2) == 0 && memcmp(b + 4, "zimg", 4) == 0)
		probe_zboot(b, &result);
	else if (len >= 60 && get_le32(b + 56) == 0x644d5241)
		probe_image(b, VMM_LOAD_FORMAT_ARM64_IMAGE, &result);
	else if (len >= 60 && get_le32(b + 56) == 0x05435352)
		probe_image(b, VMM_LOAD_FORMAT_RISCV_IMAGE, &result);
	else if (len >= 2 && memcmp(b, "MZ", 2) == 0) {
		result.format = VMM_LOAD_FORMAT_EFI;
		describe(&result, "EFI application");
	} else
		probe_magic(b, len, &result);

	*out = result;
	return 0;
}

int vmm_load_probe(const struct vmm_load_source *source,
		   struct vmm_load_probe_result *out, struct vmm_error *err)
{
	struct load_input in;
	int ret = load_input_open(source, &in, err);

	return ret < 0 ? ret : load_probe_input(&in, out, err);
}

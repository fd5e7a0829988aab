/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "plan.h"

/* Documentation/arm64/booting.rst and Documentation/riscv/boot-image-header.rst share
 * one header. */
#define HEADER_LEN 64u
#define BASE_ALIGN (UINT64_C(2) << 20)

#define FLAG_BIG_ENDIAN 0x1u

#define WINDOW_ARM64 (UINT64_C(32) << 30)

/* A PE section table behind the header tells how long the file has to be, which the
 * header itself does not. An image without one is not checked. */
static int check_sections(const struct load_input *in, uint32_t pe, struct vmm_error *err)
{
	uint8_t head[24], section[40];
	uint64_t table;
	size_t got;
	int ret = load_input_peek(in, pe, head, sizeof(head), &got, err);

	if (ret < 0)
		return ret;
	if (pe < HEADER_LEN)
		return 0;
	if (got < sizeof(head))
		return load_input_check(in, pe, sizeof(head), "PE header", err);
	if (memcmp(head, "PE\0\0", 4) != 0)
		return 0;

	table = (uint64_t)pe + sizeof(head) + get_le16(head + 20);
	for (uint32_t i = 0; i < get_le16(head + 6) && i < 96 && ret == 0; i++) {
		ret = load_input_read(in, table + i * sizeof(section), section,
				      sizeof(section), "PE section table", err);
		if (ret == 0)
			ret = load_input_check(in, get_le32(section + 20),
					       get_le32(section + 16), "PE section", err);
	}
	return ret;
}

static int check_header(const struct load_input *in, const uint8_t *h, uint32_t format,
			struct vmm_error *err)
{
	uint64_t image_size = get_le64(h + 16), flags = get_le64(h + 24);

	if (image_size == 0)
		return vmm_error_at(err, -EOPNOTSUPP, 16, 1, 0,
				    "%s: Image without a size (Linux before 3.17)",
				    in->name);
	if (flags & FLAG_BIG_ENDIAN)
		return vmm_error_at(err, -EOPNOTSUPP, 24, 0, flags,
				    "%s: big-endian Image", in->name);
	if (format == VMM_LOAD_FORMAT_RISCV_IMAGE && get_le32(h + 32) >> 16 != 0)
		return vmm_error_at(err, -EOPNOTSUPP, 32, 0x2, get_le32(h + 32),
				    "%s: riscv Image header version %u.%u", in->name,
				    get_le32(h + 32) >> 16, get_le32(h + 32) & 0xffff);
	return memcmp(h, "MZ", 2) == 0 ? check_sections(in, get_le32(h + 60), err) : 0;
}

/* The lowest base at a multiple of 2 MiB from which the whole image is free RAM. */
static int find_base(const struct load_format_args *args, uint64_t offset, uint64_t len,
		     uint64_t *out, struct vmm_error *err)
{
	struct vmm_load_map map = { 0 };
	uint64_t low, base, gpa, last;
	int ret = 0;

	if (args->opts->map)
		map = *args->opts->map;
	else
		ret = vmm_load_map_set_mem(&map, args->mem);
	if (ret < 0)
		return vmm_error_set(err, ret, "%s: too many memory regions",
				     args->in->name);

	for (uint32_t i = 0; i < map.count; i++) {
		low = map.entry[i].gpa;
		if (low < args->opts->min_gpa)
			low = args->opts->min_gpa;
		if (map.entry[i].type == VMM_LOAD_MAP_RAM &&
		    !align_up(low, BASE_ALIGN, &base) &&
		    !__builtin_add_overflow(base, offset, &gpa) &&
		    !range_last(gpa, len, &last) &&
		    vmm_load_map_is(&map, gpa, len, VMM_LOAD_MAP_RAM)) {
			*out = base;
			return 0;
		}
	}
	return vmm_error_at(err, -EFAULT, 0, len, 0,
			    "%s: no free guest memory for %" PRIu64
			    " bytes at a multiple of 2 MiB plus 0x%" PRIx64,
			    args->in->name, len, offset);
}

int load_plan_image(const struct load_format_args *args, uint32_t format,
		    struct load_plan *plan, struct vmm_load_result *result,
		    struct vmm_error *err)
{
	const struct load_input *in = args->in;
	bool arm = format == VMM_LOAD_FORMAT_ARM64_IMAGE;
	uint64_t base = args->opts->load_gpa, size, offset;
	struct load_segment image = { .reserve_only = true };
	uint8_t h[HEADER_LEN];
	int ret = load_input_read(in, 0, h, sizeof(h), "Image header", err);

	if (ret == 0)
		ret = check_header(in, h, format, err);
	if (ret < 0)
		return ret;
	offset = get_le64(h + 8);
	size = get_le64(h + 16);
	if (base & (BASE_ALIGN - 1))
		return vmm_error_at(err, -EINVAL, base, BASE_ALIGN, base,
				    "%s: address 0x%" PRIx64
				    " is not a multiple of 2 MiB",
				    in->name, base);
	if (base == 0)
		ret = find_base(args, offset, size, &base, err);
	if (ret < 0)
		return ret;
	if (__builtin_add_overflow(base, offset, &image.gpa))
		return vmm_error_at(err, -EBADMSG, 8, 0, offset,
				    "%s: damaged Image: offset 0x%" PRIx64
				    " from 0x%" PRIx64
				    " passes the end of the address space",
				    in->name, offset, base);

	image.mem_len = size;
	image.file_len = in->size < size ? in->size : size;
	result->load_gpa = image.gpa;
	result->entry = image.gpa;
	result->flags = get_le64(h + 24);
	result->cmdline_max = arm ? 2047 : 1023;
	result->initrd_last_max = UINT64_MAX;
	result->initrd_window = arm ? WINDOW_ARM64 : 0;
	return load_plan_add(plan, in, &image, err);
}

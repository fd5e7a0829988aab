/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../bytes.h"
#include "../plan.h"
#include "setup-header.h"

/* Header bytes start here in the file; the jump at 0x200 says where they end. */
#define FIRST SETUP_HEADER_FIRST

/* The 64-bit entry, from the start of the protected-mode part. */
#define ENTRY64 0x200u

static int bad(const struct load_input *in, uint64_t offset, uint64_t wanted,
	       uint64_t got, const char *what, struct vmm_error *err)
{
	return vmm_error_at(err, -EBADMSG, offset, wanted, got,
			    "%s: damaged bzImage: %s at offset 0x%" PRIx64
			    " is 0x%" PRIx64 ", expected 0x%" PRIx64,
			    in->name, what, offset, got, wanted);
}

static int read_header(const struct load_input *in, struct vmm_load_result *result,
		       struct vmm_error *err)
{
	uint8_t fixed[0x208 - FIRST];
	uint32_t version;
	int ret = load_input_read(in, FIRST, fixed, sizeof(fixed), "setup header", err);

	if (ret < 0)
		return ret;
	version = get_le16(fixed + (0x206 - FIRST));
	if (get_le16(fixed + (0x1fe - FIRST)) != 0xaa55)
		return bad(in, 0x1fe, 0xaa55, get_le16(fixed + (0x1fe - FIRST)),
			   "boot flag", err);
	if (version < 0x20a)
		return vmm_error_at(
		    err, -EOPNOTSUPP, 0x206, 0x20a, version,
		    "%s: bzImage with boot protocol %u.%u, 2.10 is the oldest "
		    "that can be loaded",
		    in->name, version >> 8, version & 0xff);
	/* The jump over the header: its distance is the header's end less 0x202. */
	if (fixed[0x200 - FIRST] != 0xeb || fixed[0x201 - FIRST] > 0x7f ||
	    fixed[0x201 - FIRST] + 0x202 < 0x264)
		return bad(in, 0x200, 0x62eb, get_le16(fixed + (0x200 - FIRST)),
			   "length of the setup header", err);

	result->setup_header_len = 0x202u + fixed[0x201 - FIRST] - FIRST;
	return load_input_read(in, FIRST, result->setup_header, result->setup_header_len,
			       "setup header", err);
}

/* Where the protected-mode part goes. Kernels that cannot move say where they run, but
 * are loaded at code32_start. */
static int choose_place(const struct load_format_args *args,
			struct vmm_load_result *result, struct vmm_error *err)
{
	const struct load_input *in = args->in;
	const uint8_t *h = result->setup_header;
	uint64_t align = setup_get32(h, 0x230), gpa = args->opts->load_gpa;

	if (!h[0x234 - FIRST]) {
		result->load_gpa = setup_get32(h, 0x214);
		if (gpa == 0 || gpa == result->load_gpa)
			return 0;
		return vmm_error_at(err, -EINVAL, gpa, result->load_gpa, gpa,
				    "%s: not relocatable: has to be at 0x%" PRIx64,
				    in->name, result->load_gpa);
	}
	if (!is_power_of_two(align))
		return bad(in, 0x230, 0x1000000, align, "alignment", err);
	if (gpa & (align - 1))
		return vmm_error_at(err, -EINVAL, gpa, align, gpa,
				    "%s: address 0x%" PRIx64
				    " is not a multiple of 0x%" PRIx64
				    ", the kernel's alignment",
				    in->name, gpa, align);
	if (gpa == 0 && align_up(setup_get64(h, 0x258), align, &gpa))
		return bad(in, 0x258, 0x1000000, setup_get64(h, 0x258),
			   "preferred address", err);
	result->load_gpa = gpa;
	return 0;
}

/* What the kernel uses while it unpacks itself: init_size bytes from where it runs,
 * which is never below pref_address. */
static int add_segments(const struct load_input *in, uint64_t setup_len,
			struct load_plan *plan, struct vmm_load_result *result,
			struct vmm_error *err)
{
	const uint8_t *h = result->setup_header;
	uint64_t init_size = setup_get32(h, 0x260), pref = setup_get64(h, 0x258);
	struct load_segment image = {
		.gpa = result->load_gpa,
		.file_offset = setup_len,
		.file_len = in->size - setup_len,
		.mem_len = in->size - setup_len,
		.reserve_only = true,
	};
	struct load_segment run = { .gpa = pref,
				    .mem_len = init_size,
				    .reserve_only = true };
	uint64_t image_last, first, last;
	int ret;

	if (init_size == 0)
		return bad(in, 0x260, image.file_len, 0, "init_size", err);
	if (h[0x234 - FIRST] && result->load_gpa > pref)
		run.gpa = result->load_gpa;
	if (range_last(image.gpa, image.mem_len, &image_last) ||
	    range_last(run.gpa, run.mem_len, &last))
		return bad(in, 0x258, 0x1000000, pref, "preferred address", err);

	/* One segment when they meet, else two: a loaded image far below its run place.
	 */
	first = image.gpa < run.gpa ? image.gpa : run.gpa;
	if (image.gpa <= last && run.gpa <= image_last) {
		last = image_last > last ? image_last : last;
		if (first == image.gpa) {
			image.mem_len = last - first + 1;
			return load_plan_add(plan, in, &image, err);
		}
		/* The run span starts below the image: reserve that part alone. */
		run.mem_len = image.gpa - run.gpa;
		image.mem_len = last - image.gpa + 1;
	}
	ret = load_plan_add(plan, in, &image, err);
	return ret < 0 ? ret : load_plan_add(plan, in, &run, err);
}

/* Before 2.12 the field was padding. */
static uint32_t xloadflags(const uint8_t *h)
{
	return get_le16(h + (0x206 - FIRST)) >= 0x20c ? get_le16(h + (0x236 - FIRST)) : 0;
}

static int check_sizes(const struct load_input *in, const uint8_t *h,
		       uint64_t *out_setup_len, struct vmm_error *err)
{
	uint64_t sects = h[0] ? h[0] : 4, setup_len = (sects + 1) * 512;
	uint64_t code_len = (uint64_t)setup_get32(h, 0x1f4) * 16;
	uint64_t payload = setup_get32(h, 0x248), payload_len = setup_get32(h, 0x24c);
	int ret;

	if (!(h[0x211 - FIRST] & SETUP_LOADED_HIGH))
		return vmm_error_at(
		    err, -EOPNOTSUPP, 0x211, SETUP_LOADED_HIGH, h[0x211 - FIRST],
		    "%s: zImage that loads below 1 MiB; a bzImage is needed", in->name);
	if (code_len == 0 ||
	    ((xloadflags(h) & SETUP_XLF_KERNEL_64) && code_len <= ENTRY64))
		return bad(in, 0x1f4, ENTRY64 / 16 + 1, code_len / 16,
			   "size of the kernel", err);
	ret = load_input_check(in, setup_len, code_len, "the kernel", err);
	if (ret == 0 && payload_len)
		ret = load_input_check(in, setup_len + payload, payload_len,
				       "the compressed kernel", err);
	if (ret == 0)
		*out_setup_len = setup_len;
	return ret;
}

int load_plan_bzimage(const struct load_format_args *args, struct load_plan *plan,
		      struct vmm_load_result *result, struct vmm_error *err)
{
	const struct load_input *in = args->in;
	uint8_t *h = result->setup_header;
	uint64_t setup_len;
	int ret = read_header(in, result, err);

	if (ret == 0)
		ret = check_sizes(in, h, &setup_len, err);
	if (ret == 0)
		ret = choose_place(args, result, err);
	if (ret == 0)
		ret = add_segments(in, setup_len, plan, result, err);
	if (ret < 0)
		return ret;

	result->flags = xloadflags(h);
	if (result->flags & SETUP_XLF_KERNEL_64)
		result->entry = result->load_gpa + ENTRY64;
	/* The field and the 32-bit entry have 32 bits. */
	if (result->load_gpa <= UINT32_MAX) {
		result->entry32 = result->load_gpa;
		put_le32(h + (0x214 - FIRST), (uint32_t)result->load_gpa);
	} else if (!(result->flags & SETUP_XLF_ABOVE_4G)) {
		return vmm_error_at(err, -EINVAL, result->load_gpa, UINT32_MAX,
				    result->load_gpa,
				    "%s: address 0x%" PRIx64
				    " is above 4 GiB, where this kernel cannot be",
				    in->name, result->load_gpa);
	}

	result->cmdline_max = setup_get32(h, 0x238);
	if (result->cmdline_max == 0)
		result->cmdline_max = 255;
	result->initrd_last_max = setup_get32(h, 0x22c);
	if (result->flags & SETUP_XLF_ABOVE_4G)
		result->initrd_last_max = UINT64_MAX;
	return 0;
}

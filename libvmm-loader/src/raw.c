/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plan.h"
#include "sys.h"

#define RANDOM_MAX 4096u

int load_plan_raw(const struct load_format_args *args, struct load_plan *plan,
		  struct vmm_load_result *result, struct vmm_error *err)
{
	const struct load_input *in = args->in;
	struct load_segment image = {
		.gpa = args->opts->load_gpa,
		.mem_len = in->size,
		.file_len = in->size,
		.may_be_rom = true,
	};

	if (args->opts->flags & VMM_LOAD_RAW_END) {
		if (image.gpa < in->size)
			return vmm_error_at(err, -EINVAL, image.gpa, in->size, image.gpa,
					    "%s: %" PRIu64
					    " bytes do not fit below guest address "
					    "0x%" PRIx64,
					    in->name, in->size, image.gpa);
		image.gpa -= in->size;
	}
	result->load_gpa = image.gpa;
	result->entry = image.gpa;
	result->initrd_last_max = UINT64_MAX;
	return load_plan_add(plan, in, &image, err);
}

int vmm_load_random(void *buf, size_t len, struct vmm_error *err)
{
	size_t done = 0;
	int64_t n;

	if (len == 0 || len > RANDOM_MAX)
		return vmm_error_at(err, -EINVAL, 0, RANDOM_MAX, len,
				    "random seed: %zu bytes, 1 to %u can be had", len,
				    RANDOM_MAX);
	while (done < len) {
		n = load_sys_random((uint8_t *)buf + done, len - done);
		if (n < 0)
			return vmm_error_set(err, (int)n,
					     "random seed: the host has no random "
					     "numbers: %s",
					     strerror((int)-n));
		done += (size_t)n;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <vmm/loader-x86.h>

#include "../bytes.h"
#include "../plan.h"

/* Boot protocol, "setup_data": next, type, len; an indirect one holds type, reserved,
 * len, address instead of data. */
#define HEAD_LEN 16u
#define INDIRECT_LEN 24u
#define SETUP_INDIRECT VMM_LOAD_SETUP_INDIRECT

static uint64_t payload_len(const struct vmm_load_setup_data *d)
{
	return d->type & SETUP_INDIRECT ? INDIRECT_LEN : d->len;
}

/* A tree that has its magic number, and is all there. */
static bool is_tree(const struct vmm_load_setup_data *d)
{
	const uint8_t *p = d->data;

	return d->len >= 40 && get_be32(p) == 0xd00dfeed && get_be32(p + 4) >= 40 &&
	       get_be32(p + 4) <= d->len;
}

static int check(const struct vmm_mem *mem, const struct vmm_load_setup_data *data,
		 size_t count, struct vmm_error *err)
{
	uint64_t total = 0, one;

	if (count == 0)
		return vmm_error_set(err, -EINVAL, "setup_data: an empty list");
	if (count > VMM_LOAD_SETUP_DATA_MAX)
		return vmm_error_at(err, -E2BIG, 0, VMM_LOAD_SETUP_DATA_MAX, count,
				    "setup_data: %zu entries, the limit is %u", count,
				    VMM_LOAD_SETUP_DATA_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct vmm_load_setup_data *d = &data[i];
		bool indirect = d->type & SETUP_INDIRECT;

		if (d->len == 0 || d->reserved_ || indirect == (d->data != NULL))
			return vmm_error_at(err, -EINVAL, i, 0, d->len,
					    "setup_data: entry %zu has no bytes, or both "
					    "bytes and an address",
					    i);
		if (indirect && !vmm_mem_is_backed(mem, d->gpa, d->len))
			return vmm_error_at(err, -EINVAL, d->gpa, d->len, 0,
					    "setup_data: entry %zu at 0x%" PRIx64
					    " is not in guest memory",
					    i, d->gpa);
		if (d->type == VMM_LOAD_SETUP_DTB && !is_tree(d))
			return vmm_error_at(err, -EBADMSG, i, 40, d->len,
					    "setup_data: entry %zu is no device tree", i);
		if (align_up(payload_len(d), 8, &one) ||
		    __builtin_add_overflow(total, one + HEAD_LEN, &total) ||
		    total > VMM_LOAD_X86_SETUP_DATA_LEN)
			return vmm_error_at(
			    err, -E2BIG, i, VMM_LOAD_X86_SETUP_DATA_LEN, total,
			    "setup_data: more than %u bytes with entry %zu",
			    VMM_LOAD_X86_SETUP_DATA_LEN, i);
	}
	return load_mem_check_named(mem, VMM_LOAD_X86_SETUP_DATA,
				    VMM_LOAD_X86_SETUP_DATA_LEN, "setup_data", "the list",
				    err);
}

int vmm_load_x86_setup_data(const struct vmm_mem *mem,
			    const struct vmm_load_setup_data *data, size_t count,
			    uint64_t *out, struct vmm_error *err)
{
	uint64_t gpa = VMM_LOAD_X86_SETUP_DATA, next;
	uint8_t head[HEAD_LEN + INDIRECT_LEN];
	int ret = check(mem, data, count, err);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < count && ret == 0; i++) {
		const struct vmm_load_setup_data *d = &data[i];
		bool indirect = d->type & SETUP_INDIRECT;

		next = gpa + HEAD_LEN + ((payload_len(d) + 7) & ~UINT64_C(7));
		put_le64(head, i + 1 < count ? next : 0);
		put_le32(head + 8, indirect ? SETUP_INDIRECT : d->type);
		put_le32(head + 12, (uint32_t)payload_len(d));
		put_le32(head + 16, d->type);
		put_le32(head + 20, 0);
		put_le64(head + 24, d->len);
		put_le64(head + 32, d->gpa);
		ret = vmm_mem_write(mem, gpa, head, indirect ? sizeof(head) : HEAD_LEN);
		if (ret == 0 && !indirect)
			ret = vmm_mem_write(mem, gpa + HEAD_LEN, d->data, d->len);
		gpa = next;
	}
	if (ret < 0)
		return vmm_error_set(err, ret, "setup_data: cannot write the list");
	*out = VMM_LOAD_X86_SETUP_DATA;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fuzz-input.h"

#include <errno.h>
#include <string.h>

#include <vmm/memory-iommu.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Maps, unmaps and looks up, against a model that knows three windows byte by byte: the
 * first addresses, some in the middle, the last ones. Ranges may be anything.
 */

enum { WINDOW = 96, WINDOWS = 3, BYTES = WINDOW * WINDOWS, OPS_MAX = 400 };

static const uint64_t window_at[WINDOWS] = { 0, UINT64_C(0x7ffffffff000),
					     UINT64_MAX - WINDOW + 1 };

struct model {
	uint8_t mapped[BYTES];
	uint32_t access[BYTES];
	uint64_t gpa[BYTES];
};

static uint64_t model_address(int i)
{
	return window_at[i / WINDOW] + (uint64_t)(i % WINDOW);
}

static uint64_t any_address(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	if (how == 255)
		return fuzz_u64(in);
	return window_at[how % WINDOWS] + fuzz_u8(in) % WINDOW;
}

static uint64_t any_length(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	if (how < 200)
		return how % 40;
	return how < 250 ? fuzz_u8(in) : fuzz_u64(in);
}

static void map(struct vmm_mem_iotlb *tlb, struct model *m, struct fuzz_input *in)
{
	uint64_t iova = any_address(in), len = any_length(in), gpa = any_address(in);
	uint32_t access = fuzz_u8(in) % 5;
	int want = 0, ret = vmm_mem_iotlb_map(tlb, iova, len, gpa, access);

	if (access > VMM_MEM_ACCESS_RW)
		want = -EINVAL;
	else if (len > 0 && (len - 1 > UINT64_MAX - iova || len - 1 > UINT64_MAX - gpa))
		want = -EFAULT;
	fuzz_check(ret == want);
	for (int i = 0; ret == 0 && i < BYTES; i++) {
		uint64_t at = model_address(i);

		if (!fuzz_in(at, iova, len))
			continue;
		m->mapped[i] = 1;
		m->access[i] = access;
		m->gpa[i] = gpa + (at - iova);
	}
}

static void unmap(struct vmm_mem_iotlb *tlb, struct model *m, struct fuzz_input *in)
{
	uint64_t iova = any_address(in), len = any_length(in);

	vmm_mem_iotlb_unmap(tlb, iova, len);
	for (int i = 0; i < BYTES; i++) {
		if (fuzz_in(model_address(i), iova, len))
			m->mapped[i] = 0;
	}
}

static void look_up(struct vmm_mem_iotlb *tlb, struct fuzz_input *in)
{
	uint64_t iova = any_address(in), len = any_length(in), done = 0;
	struct vmm_mem_iotlb_piece pieces[8], p;
	uint32_t access = fuzz_u8(in) % 4;
	size_t n = 0, bad = 0, bad_seen = 0;
	int ret = vmm_mem_iotlb_lookup(tlb, iova, len, access, pieces, 8, &n, &bad);

	if (len > 0 && len - 1 > UINT64_MAX - iova) {
		fuzz_check(ret == -EFAULT);
		fuzz_check(vmm_mem_iotlb_first(tlb, iova, len, access, &p) == -EFAULT);
		return;
	}
	fuzz_check(ret == 0 || ret == -E2BIG);
	if (ret < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		fuzz_check(pieces[i].iova == iova + done && pieces[i].len > 0);
		fuzz_check(
		    vmm_mem_iotlb_first(tlb, iova + done, len - done, access, &p) == 0);
		fuzz_check(memcmp(&p, &pieces[i], sizeof(p)) == 0);
		bad_seen += p.kind != VMM_MEM_IOTLB_HIT;
		done += pieces[i].len;
	}
	fuzz_check(done == len && bad == bad_seen);
}

static void compare(const struct vmm_mem_iotlb *tlb, const struct model *m)
{
	for (int i = 0; i < BYTES; i++) {
		struct vmm_mem_iotlb_piece p;
		uint32_t access = (uint32_t)i % 4, kind = VMM_MEM_IOTLB_HIT;

		fuzz_check(vmm_mem_iotlb_first(tlb, model_address(i), 1, access, &p) ==
			   0);
		if (!m->mapped[i])
			kind = VMM_MEM_IOTLB_MISS;
		else if (access & ~m->access[i])
			kind = VMM_MEM_IOTLB_FAULT;
		fuzz_check(p.kind == kind && p.len == 1);
		fuzz_check(p.gpa == (m->mapped[i] ? m->gpa[i] : 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = NULL;
	struct model m = { 0 };

	if (vmm_mem_iotlb_new(VMM_MEM_IOTLB_MAX, &tlb) < 0)
		return 0;
	for (int i = 0; in.left > 0 && i < OPS_MAX; i++) {
		uint8_t op = fuzz_u8(&in);

		if (op % 8 < 4)
			map(tlb, &m, &in);
		else if (op % 8 < 6)
			unmap(tlb, &m, &in);
		else
			look_up(tlb, &in);
		if (op == 255) {
			vmm_mem_iotlb_clear(tlb);
			memset(&m, 0, sizeof(m));
		}
		if (op % 8 < 6 || op == 255)
			compare(tlb, &m);
	}
	return 0;
}

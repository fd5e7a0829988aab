/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "../tests/range-model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void take(struct vmm_alloc_ranges *p, struct model *m, const uint8_t *op)
{
	struct vmm_alloc_request r = VMM_ALLOC_REQUEST_INIT;
	uint64_t out = 0, want;

	r.policy = op[0] & 3;
	r.len = op[1] + 1u;
	r.align = UINT64_C(1) << (op[0] >> 3 & 7);
	r.at = (m->first + op[2]) & ~(r.align - 1);
	if (op[0] & 4) {
		r.min = m->first + op[2];
		r.max = m->first + op[3];
		if (r.max < r.min)
			r.max = 0;
	}
	want = model_place(m, &r);
	if (vmm_alloc_ranges_take(p, &r, &out) < 0) {
		check(want == MODEL_LEN);
		return;
	}
	check(want < MODEL_LEN && out == m->first + want);
	model_take(m, want, r.len);
}

/* Four bytes are one call; the pool must do what the byte map does. The first byte puts
 * the pool at the bottom, in the middle or at the top of the address space. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t bases[] = { 0, 1, 0x123456000,
					  UINT64_MAX - (MODEL_LEN - 1) };
	VMM_CLEANUP(vmm_alloc_ranges_free) struct vmm_alloc_ranges *p = NULL;
	struct model m = { .first = 0 };

	if (size == 0)
		return 0;
	m.first = bases[data[0] & 3];
	if (vmm_alloc_ranges_new(m.first, m.first + (MODEL_LEN - 1), &p) < 0)
		return 0;
	for (size_t i = 1; i + 4 <= size; i += 4) {
		const uint8_t *op = data + i;

		if (op[0] & 0x40)
			check((vmm_alloc_ranges_give(p, m.first + op[1], op[2]) == 0) ==
			      model_give(&m, op[1], op[2]));
		else
			take(p, &m, op);
		check(model_agrees(&m, p));
	}
	return 0;
}

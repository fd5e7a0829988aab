/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fuzz-input.h"

#include <errno.h>

#include <vmm/memory.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Adds, removes and moves regions, against a model of one number for each page in two
 * windows: the first pages of the address space and the last.
 */

#define PAGE UINT64_C(4096)

enum { WINDOW = 48, PAGES = 2 * WINDOW, OPS_MAX = 64 };

/* What regions are made of; nobody looks at the bytes. */
static uint8_t memory[WINDOW * 4096] __attribute__((aligned(4096)));

struct model {
	/* 0: hole; else the number of the region's first page, and one. */
	uint32_t owner[PAGES];
};

static uint64_t page_address(uint32_t page)
{
	return page < WINDOW ? page * PAGE : UINT64_MAX - (PAGES - page) * PAGE + 1;
}

static uint32_t pages_of(const struct model *m, uint32_t first)
{
	uint32_t n = 0;

	while (first + n < PAGES && m->owner[first + n] == first + 1)
		n++;
	return n;
}

static void swap(struct vmm_mem **mem, struct vmm_mem *next)
{
	vmm_mem_free(*mem);
	*mem = next;
}

static void add(struct vmm_mem **mem, struct model *m, struct fuzz_input *in)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	uint32_t page = fuzz_u8(in) % PAGES, n = fuzz_u8(in) % 9, room;
	struct vmm_mem *next = NULL;
	int want = 0, ret;

	r.gpa = page_address(page);
	r.len = n * PAGE;
	r.host = memory;
	ret = vmm_mem_with(*mem, &r, &next, NULL);
	/* In the lower window a region may stick out; keep the model simple. */
	room = page < WINDOW ? WINDOW - page : PAGES - page;
	if (n == 0 || (page >= WINDOW && n > room))
		want = -EINVAL;
	for (uint32_t i = page; want == 0 && i < page + (n < room ? n : room); i++) {
		if (m->owner[i])
			want = -EEXIST;
	}
	fuzz_check(ret == want);
	if (ret < 0)
		return;
	if (n > room) {
		vmm_mem_free(next);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		m->owner[page + i] = page + 1;
	swap(mem, next);
}

static void take_out(struct vmm_mem **mem, struct model *m, struct fuzz_input *in)
{
	uint32_t page = fuzz_u8(in) % PAGES, n = pages_of(m, page), want = n;
	struct vmm_mem *next = NULL;
	int ret;

	/* Now and then the wrong length. */
	if (fuzz_u8(in) % 4 == 0)
		want++;
	ret = vmm_mem_without(*mem, page_address(page), want * PAGE, &next, NULL);
	fuzz_check(ret == (n > 0 && want == n ? 0 : -ENOENT));
	if (ret < 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		m->owner[page + i] = 0;
	swap(mem, next);
}

static void ask(const struct vmm_mem *mem, const struct model *m, struct fuzz_input *in)
{
	uint32_t page = fuzz_u8(in) % PAGES;
	uint64_t off = fuzz_u8(in) % 2 ? PAGE - 1 : 0, gpa = page_address(page) + off;
	uint64_t len = fuzz_u8(in) < 250 ? fuzz_u8(in) % 12 * (PAGE / 2) : fuzz_u64(in);
	uint64_t last = gpa + (len - 1);
	int want = 1;

	if (len > 0 && len - 1 > UINT64_MAX - gpa)
		want = 0;
	for (uint32_t i = page; len > 0 && want; i++) {
		if (i == PAGES || (page < WINDOW && i == WINDOW) || !m->owner[i])
			want = 0;
		else if (last - page_address(i) < PAGE)
			break;
	}
	fuzz_check(vmm_mem_is_backed(mem, gpa, len) == (want != 0));
	fuzz_check((vmm_mem_explain(mem, gpa, len, 0, NULL) == 0) == (want != 0));
}

static void compare(const struct vmm_mem *mem, const struct model *m)
{
	size_t count = 0, index;

	for (uint32_t i = 0; i < PAGES; i++) {
		for (uint64_t off = 0; off < PAGE; off += PAGE - 1) {
			struct vmm_mem_region told = VMM_MEM_REGION_INIT;
			int ret = vmm_mem_find_region(mem, page_address(i) + off, &index);

			fuzz_check(ret == (m->owner[i] ? 0 : -EFAULT));
			if (ret < 0)
				continue;
			fuzz_check(vmm_mem_get_region(mem, index, &told) == 0);
			fuzz_check(told.gpa == page_address(m->owner[i] - 1));
			fuzz_check(told.len == pages_of(m, m->owner[i] - 1) * PAGE);
			if (m->owner[i] == i + 1 && off == 0)
				fuzz_check(index == count++);
		}
	}
	fuzz_check(vmm_mem_region_count(mem) == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct vmm_mem_builder *builder;
	struct vmm_mem *mem;
	struct model m = { { 0 } };

	if (vmm_mem_builder_new(&builder) < 0)
		return 0;
	fuzz_check(vmm_mem_builder_build(builder, &mem) == 0);
	vmm_mem_builder_free(builder);
	for (int i = 0; in.left > 0 && i < OPS_MAX; i++) {
		switch (fuzz_u8(&in) % 8) {
		case 0:
		case 1:
		case 2:
			add(&mem, &m, &in);
			compare(mem, &m);
			break;
		case 3:
		case 4:
			take_out(&mem, &m, &in);
			compare(mem, &m);
			break;
		default:
			ask(mem, &m, &in);
		}
	}
	vmm_mem_free(mem);
	return 0;
}

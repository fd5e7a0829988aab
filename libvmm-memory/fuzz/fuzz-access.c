/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fuzz-input.h"

#include <errno.h>
#include <string.h>

#include <vmm/memory-dirty.h>
#include <vmm/memory-slice.h>
#include <vmm/memory-typed.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Accesses of every kind at random ranges, against flat memory. The regions sit at the
 * end of the address space, so that ranges may wrap: eight pages, each a region of its
 * own, a part of the one before, read-only, or a hole.
 */

#define PAGE UINT64_C(4096)
#define BASE (UINT64_MAX - FLAT + 1)

enum { PAGES = 8, FLAT = PAGES * 4096, OPS_MAX = 200, LEN_MAX = 3 * 4096 };

static uint8_t memory[FLAT] __attribute__((aligned(4096)));
static uint8_t flat[FLAT], got[FLAT], pattern[FLAT];

struct model {
	int backed[PAGES];
	int readonly[PAGES];
	int dirty[PAGES];
};

/* What the access rule says. */
static int expect(const struct model *m, uint64_t gpa, uint64_t len, uint32_t access)
{
	int ret = 0;

	if (len == 0)
		return 0;
	if (gpa < BASE || len - 1 > UINT64_MAX - gpa)
		return -EFAULT;
	for (uint64_t p = (gpa - BASE) / PAGE; p <= (gpa - BASE + len - 1) / PAGE; p++) {
		if (!m->backed[p])
			return -EFAULT;
		if (m->readonly[p] && (access & VMM_MEM_ACCESS_WRITE))
			ret = -EROFS;
	}
	return ret;
}

/* The longest good start of a range. */
static uint64_t expect_some(const struct model *m, uint64_t gpa, uint64_t len,
			    uint32_t access)
{
	uint64_t n = 0;

	while (n < len && gpa + n >= gpa && expect(m, gpa + n, 1, access) == 0)
		n++;
	return n;
}

static void wrote(struct model *m, uint64_t gpa, uint64_t len)
{
	for (uint64_t i = gpa - BASE; len > 0 && i <= gpa - BASE + len - 1; i++)
		m->dirty[i / PAGE] = 1;
}

static uint64_t any_address(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	/* Most near an edge between pages. */
	if (how < 250)
		return BASE + how % (PAGES + 1) * PAGE +
		       (uint64_t)(int64_t)(int8_t)fuzz_u8(in);
	return fuzz_u64(in);
}

static uint64_t any_length(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	if (how < 128)
		return how % 32;
	return how < 250 ? (uint64_t)how * 37 : fuzz_u64(in);
}

static void bulk(const struct vmm_mem *mem, struct model *m, struct fuzz_input *in)
{
	uint64_t gpa = any_address(in), len = any_length(in);
	uint8_t op = fuzz_u8(in), value = fuzz_u8(in);
	int ret, want;

	if (op % 4 == 0) {
		want = expect(m, gpa, len, VMM_MEM_ACCESS_WRITE);
		fuzz_check(vmm_mem_fill(mem, gpa, value, len) == want);
		if (want == 0 && len > 0) {
			memset(flat + (gpa - BASE), value, len);
			wrote(m, gpa, len);
		}
		return;
	}
	len %= LEN_MAX;
	want =
	    expect(m, gpa, len, op % 4 == 1 ? VMM_MEM_ACCESS_READ : VMM_MEM_ACCESS_WRITE);
	if (op % 4 == 1) {
		memset(got, 0xa5, sizeof(got));
		ret = vmm_mem_read(mem, gpa, got, len);
		fuzz_check(ret == want);
		fuzz_check(ret < 0 ? got[0] == 0xa5
				   : len == 0 || !memcmp(got, flat + (gpa - BASE), len));
		return;
	}
	for (uint64_t i = 0; i < len; i++)
		got[i] = (uint8_t)(value + i);
	if (op % 4 == 2) {
		fuzz_check(vmm_mem_write(mem, gpa, got, len) == want);
		if (want < 0)
			return;
	} else {
		uint64_t some = expect_some(m, gpa, len, VMM_MEM_ACCESS_WRITE);
		int64_t done = vmm_mem_write_some(mem, gpa, got, len);

		fuzz_check(done == (some || !len
					? (int64_t)some
					: expect(m, gpa, 1, VMM_MEM_ACCESS_WRITE)));
		len = some;
	}
	if (len > 0)
		memcpy(flat + (gpa - BASE), got, len);
	wrote(m, gpa, len);
}

static void copy(const struct vmm_mem *mem, struct model *m, struct fuzz_input *in)
{
	uint64_t dst = any_address(in), src = any_address(in), len = any_length(in);
	int want = expect(m, src, len, VMM_MEM_ACCESS_READ);

	if (want == 0)
		want = expect(m, dst, len, VMM_MEM_ACCESS_WRITE);
	fuzz_check(vmm_mem_copy(mem, dst, src, len) == want);
	if (want < 0 || len == 0)
		return;
	memmove(flat + (dst - BASE), flat + (src - BASE), len);
	wrote(m, dst, len);
}

static void numbers(const struct vmm_mem *mem, struct vmm_mem_cursor *cur,
		    struct model *m, struct fuzz_input *in)
{
	uint64_t gpa = any_address(in), v = 0, want_v = 0;
	uint8_t op = fuzz_u8(in);
	uint32_t v32 = 0, value = 0x01020304u * op;
	int want = expect(m, gpa, 8, VMM_MEM_ACCESS_READ);

	fuzz_check(vmm_mem_read_le64(mem, gpa, &v) == want);
	for (int i = 0; want == 0 && i < 8; i++)
		want_v |= (uint64_t)flat[gpa - BASE + (uint64_t)i] << 8 * i;
	fuzz_check(v == want_v);
	fuzz_check(vmm_mem_cursor_read_le64(cur, gpa, &v) == want && v == want_v);

	want = expect(m, gpa, 4, VMM_MEM_ACCESS_READ);
	if (want == 0 && gpa % 4)
		want = -EINVAL;
	fuzz_check(vmm_mem_load_le32(mem, gpa, VMM_MEM_ACQUIRE, &v32) == want);
	fuzz_check(vmm_mem_cursor_load_le32(cur, gpa, VMM_MEM_ACQUIRE, &v32) == want);
	want = expect(m, gpa, 4, VMM_MEM_ACCESS_WRITE);
	if (op % 2) {
		fuzz_check((op & 2 ? vmm_mem_write_le32(mem, gpa, value)
				   : vmm_mem_cursor_write_le32(cur, gpa, value)) == want);
	} else {
		if (want == 0 && gpa % 4)
			want = -EINVAL;
		fuzz_check((op & 2 ? vmm_mem_store_le32(mem, gpa, value, VMM_MEM_RELEASE)
				   : vmm_mem_cursor_store_le32(cur, gpa, value,
							       VMM_MEM_RELEASE)) == want);
	}
	if (want < 0)
		return;
	for (uint64_t i = 0; i < 4; i++)
		flat[gpa - BASE + i] = (uint8_t)(value >> 8 * i);
	wrote(m, gpa, 4);
}

static void export(const struct vmm_mem *mem, struct model *m, struct fuzz_input *in)
{
	uint64_t gpa = any_address(in), len = any_length(in), sum = 0, done = 0;
	uint32_t access = fuzz_u8(in) % 4;
	struct vmm_mem_slices walk;
	struct vmm_mem_slice s;
	struct iovec iov[PAGES];
	size_t n = 0;
	int want = expect(m, gpa, len, access), ret;

	fuzz_check(vmm_mem_get_iov_for(mem, gpa, len, access, iov, PAGES, &n) == want);
	for (size_t i = 0; want == 0 && i < n; i++) {
		fuzz_check(
		    !memcmp(iov[i].iov_base, flat + (gpa - BASE) + sum, iov[i].iov_len));
		sum += iov[i].iov_len;
	}
	fuzz_check(want < 0 || sum == len);
	vmm_mem_slices_init(&walk, mem, gpa, len, access);
	while ((ret = vmm_mem_slices_next(&walk, &s)) == 0) {
		fuzz_check(s.gpa == gpa + done && s.len > 0);
		done += s.len;
	}
	fuzz_check((ret == -ENOENT) == (want == 0));
	fuzz_check(done == expect_some(m, gpa, len, access));
	fuzz_check(vmm_mem_slices_next(&walk, &s) == -ENOENT);
}

static void compare_dirty(const struct vmm_mem *mem, const struct model *m)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		struct vmm_mem_region told = VMM_MEM_REGION_INIT;
		uint64_t gpa = BASE + p * PAGE;
		size_t index;

		if (!m->backed[p])
			continue;
		fuzz_check(vmm_mem_find_region(mem, gpa, &index) == 0);
		fuzz_check(vmm_mem_get_region(mem, index, &told) == 0);
		fuzz_check(vmm_mem_dirty_is_set(told.dirty, gpa - told.gpa) ==
			   (m->dirty[p] != 0));
	}
}

/* Without input a sound table; the first bytes say what the pages are. */
static struct vmm_mem *setup(struct model *m, uint32_t dirty, struct fuzz_input *in)
{
	struct vmm_mem_builder *builder;
	struct vmm_mem *mem = NULL;

	fuzz_check(vmm_mem_builder_new(&builder) == 0);
	for (int p = 0; p < PAGES; p++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		uint8_t kind = fuzz_u8(in);
		int n = 1 + kind / 64 % (PAGES - p);

		m->backed[p] = kind % 4 != 3;
		if (!m->backed[p])
			continue;
		r.gpa = BASE + (uint64_t)p * PAGE;
		r.len = (uint64_t)n * PAGE;
		r.host = memory + p * 4096;
		r.flags = kind % 4 == 2 ? VMM_MEM_READONLY : 0;
		r.dirty_page_size = dirty;
		fuzz_check(vmm_mem_builder_add(builder, &r, NULL) == 0);
		for (int i = 0; i < n; i++, p++) {
			m->backed[p] = 1;
			m->readonly[p] = kind % 4 == 2;
		}
		p--;
	}
	fuzz_check(vmm_mem_builder_build(builder, &mem) == 0);
	vmm_mem_builder_free(builder);
	return mem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static int filled;
	struct vmm_mem_cursor cursor;
	struct model m = { { 0 }, { 0 }, { 0 } };
	struct vmm_mem *mem;

	mem = setup(&m, size % 2 ? 4096 : 0, &in);
	vmm_mem_cursor_init(&cursor, mem);
	for (int i = 0; i < FLAT && !filled; i++)
		pattern[i] = (uint8_t)(i * 31 + (i >> 8));
	filled = 1;
	memcpy(memory, pattern, FLAT);
	memcpy(flat, pattern, FLAT);
	for (int i = 0; in.left > 0 && i < OPS_MAX; i++) {
		switch (fuzz_u8(&in) % 6) {
		case 0:
		case 1:
			bulk(mem, &m, &in);
			break;
		case 2:
			copy(mem, &m, &in);
			break;
		case 3:
		case 4:
			numbers(mem, &cursor, &m, &in);
			break;
		default:
			export(mem, &m, &in);
		}
		fuzz_check(memcmp(memory, flat, FLAT) == 0);
	}
	if (size % 2)
		compare_dirty(mem, &m);
	vmm_mem_free(mem);
	return 0;
}

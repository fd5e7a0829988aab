/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vmm/loader-x86.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM (UINT64_C(2) << 20)
#define ENTRIES 40u

static struct vmm_mem *mem;

static int make_memory(void)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;

	region.len = RAM;
	if (vmm_mem_builder_new(&builder) < 0 ||
	    vmm_mem_builder_add(builder, &region, NULL) < 0 ||
	    vmm_mem_builder_build(builder, &mem) < 0)
		return -1;
	return 0;
}

static uint64_t get(uint64_t gpa, size_t width)
{
	uint8_t b[8] = { 0 };
	uint64_t v = 0;

	if (vmm_mem_read(mem, gpa, b, width) < 0)
		__builtin_trap();
	for (size_t i = 0; i < width; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

/* Goes through the list as a kernel does: it has what was asked, in that order, within its
 * place. */
static void check(const struct vmm_load_setup_data *d, size_t count, uint64_t gpa)
{
	const uint64_t end = VMM_LOAD_X86_SETUP_DATA + VMM_LOAD_X86_SETUP_DATA_LEN;

	for (size_t i = 0; i < count; i++, gpa = get(gpa, 8)) {
		bool indirect = d[i].type & VMM_LOAD_SETUP_INDIRECT;
		uint64_t len = get(gpa + 12, 4);
		const void *p;
		void *host;

		if (gpa < VMM_LOAD_X86_SETUP_DATA || gpa % 8 || gpa + 16 + len > end)
			__builtin_trap();
		if (indirect) {
			if (get(gpa + 8, 4) != VMM_LOAD_SETUP_INDIRECT || len != 24 ||
			    get(gpa + 16, 4) != d[i].type ||
			    get(gpa + 24, 8) != d[i].len || get(gpa + 32, 8) != d[i].gpa)
				__builtin_trap();
			continue;
		}
		if (get(gpa + 8, 4) != d[i].type || len != d[i].len)
			__builtin_trap();
		if (vmm_mem_get_ptr(mem, gpa + 16, len, &host) < 0)
			__builtin_trap();
		p = d[i].data;
		if (memcmp(host, p, len) != 0)
			__builtin_trap();
	}
	if (gpa != 0)
		__builtin_trap();
}

/* Entries of 12 bytes: type, length and address, or what bytes of the input they have. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_load_setup_data d[ENTRIES] = { 0 };
	uint64_t gpa = 0;
	size_t n = 0;

	if (!mem && make_memory() < 0)
		return 0;
	for (size_t at = 0; n < ENTRIES && at + 12 <= size; at += 12, n++) {
		uint32_t words[3];

		memcpy(words, data + at, sizeof(words));
		d[n].type = words[0];
		d[n].len = words[1];
		if (words[0] & VMM_LOAD_SETUP_INDIRECT) {
			d[n].gpa = words[2];
		} else {
			/* The bytes have to be there: that is the caller's promise. */
			d[n].data = data + at;
			d[n].len %= size - at + 1;
		}
	}
	if (vmm_load_x86_setup_data(mem, d, n, &gpa, NULL) == 0)
		check(d, n, gpa);
	else if (gpa != 0)
		__builtin_trap();
	return 0;
}

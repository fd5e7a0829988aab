/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>

#include "../src/bytes.h"
#include "smbios-machine.h"

#define GPA UINT64_C(0xf0000)

static uint8_t blob[65536];
/* What is not there: a compiler that looks closely wants no NULL. */
static const uint8_t missing[64];
static size_t blob_len;

static void build(const struct vmm_smbios_machine *m)
{
	struct vmm_error err = { 0 };

	memset(blob, 0xee, sizeof(blob));
	if (vmm_smbios_build(m, GPA, blob, sizeof(blob), &blob_len, &err) != 0)
		fail_msg("%s", err.message);
}

/* Where a structure's strings end, so the next one starts. */
static const uint8_t *next(const uint8_t *p)
{
	p += p[1];
	while (p[0] || p[1])
		p++;
	return p + 2;
}

/* The structure of a type, counting from 0. */
static const uint8_t *find(uint8_t type, unsigned int index)
{
	for (const uint8_t *p = blob + 32; p < blob + blob_len; p = next(p))
		if (p[0] == type && index-- == 0)
			return p;
	return missing;
}

static const char *string(const uint8_t *p, uint8_t field)
{
	const char *s = (const char *)p + p[1];

	if (p[field] == 0)
		return "";
	for (uint8_t i = 1; i < p[field]; i++)
		s += strlen(s) + 1;
	return s;
}

static void entry_point_has_length_address_and_checksum(void **state)
{
	struct vmm_smbios_machine m = test_smbios_machine();
	uint8_t sum = 0;

	build(&m);
	for (size_t i = 0; i < VMM_SMBIOS_ENTRY_LEN; i++)
		sum = (uint8_t)(sum + blob[i]);
	assert_int_equal(sum, 0);
	assert_memory_equal(blob, "_SM3_", 5);
	assert_int_equal(blob[6], VMM_SMBIOS_ENTRY_LEN);
	assert_int_equal(blob[7], 3);
	assert_int_equal(blob[8], 4);
	assert_int_equal(get_le32(blob + 12), blob_len - 32);
	assert_int_equal(get_le64(blob + 16), GPA + 32);
	assert_int_equal(blob[blob_len], 0xee);
}

static void structures_follow_each_other_to_the_end(void **state)
{
	static const uint8_t types[] = {
		0, 1, 2, 3, 4, 4, 11, 16, 17, 19, 19, 19, 32, 127
	};
	struct vmm_smbios_machine m = test_smbios_machine();
	const uint8_t *p = blob + 32, *q;

	build(&m);
	for (size_t i = 0; i < VMM_ARRAY_LEN(types); i++, p = next(p)) {
		assert_int_equal(p[0], types[i]);
		/* No handle twice. */
		for (q = blob + 32; q < p; q = next(q))
			assert_int_not_equal(get_le16(q + 2), get_le16(p + 2));
	}
	assert_ptr_equal(p, blob + blob_len);
}

static void names_are_where_they_belong(void **state)
{
	static const uint8_t uuid[] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	struct vmm_smbios_machine m = test_smbios_machine();

	build(&m);
	assert_string_equal(string(find(0, 0), 4), "Vendor");
	assert_string_equal(string(find(0, 0), 5), "Version 0");
	assert_string_equal(string(find(0, 0), 8), "02/29/2024");
	assert_int_equal(find(0, 0)[0x13], 0x10);
	assert_string_equal(string(find(1, 0), 4), "Maker");
	assert_string_equal(string(find(1, 0), 5), "Product");
	assert_string_equal(string(find(1, 0), 6), "Version 1");
	assert_string_equal(string(find(1, 0), 7), "S-1234");
	assert_string_equal(string(find(1, 0), 0x19), "SKU-9");
	assert_string_equal(string(find(1, 0), 0x1a), "Family");
	assert_memory_equal(find(1, 0) + 8, uuid, 16);
	assert_string_equal(string(find(2, 0), 5), "Product");
	assert_int_equal(get_le16(find(2, 0) + 0xb), get_le16(find(3, 0) + 2));
	assert_string_equal(string(find(3, 0), 8), "Tag");
	assert_int_equal(find(11, 0)[4], 2);
	assert_string_equal(string(find(11, 0), 4), "second");
	assert_string_equal(string(find(17, 0), 0x10), "DIMM 0");
}

static void a_machine_without_names_has_no_strings(void **state)
{
	struct vmm_smbios_machine m = VMM_SMBIOS_MACHINE_INIT;

	build(&m);
	assert_int_equal(find(1, 0)[4], 0);
	/* Two NULs after the fixed part. */
	assert_int_equal(find(2, 0) - find(1, 0), 0x1b + 2);
	assert_ptr_equal(find(11, 0), missing);
	assert_ptr_equal(find(16, 0), missing);
	assert_ptr_equal(find(17, 0), missing);
	assert_ptr_equal(find(19, 0), missing);
	assert_ptr_not_equal(find(127, 0), missing);
	/* A string in the middle keeps its number. */
	m.version = "v";
	build(&m);
	assert_int_equal(find(1, 0)[6], 1);
	assert_string_equal(string(find(1, 0), 6), "v");
}

static void processors_are_counted(void **state)
{
	struct vmm_smbios_machine m = test_smbios_machine();

	build(&m);
	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *p = find(4, i);

		assert_string_equal(string(p, 4), i ? "CPU 001" : "CPU 000");
		assert_string_equal(string(p, 7), "CPU maker");
		assert_int_equal(get_le16(p + 0x14), 2500);
		assert_int_equal(p[0x23], 4);
		assert_int_equal(p[0x25], 8);
		assert_int_equal(get_le16(p + 0x26), 0x1c);
		assert_int_equal(get_le16(p + 0x2e), 8);
	}
	/* Above 254 the byte says: look at the word. */
	m.cores_per_socket = 300;
	m.threads_per_core = 1;
	build(&m);
	assert_int_equal(find(4, 0)[0x23], 255);
	assert_int_equal(get_le16(find(4, 0) + 0x2a), 300);
	assert_int_equal(get_le16(find(4, 0) + 0x26), 0x0c);
}

static void sizes_of_memory_are_written_in_each_form(void **state)
{
	static const struct {
		uint64_t len;
		uint32_t array, extended;
		uint16_t size;
	} cases[] = {
		{ 512 * 1024, 512, 0, 0x8200 },
		{ UINT64_C(1) << 20, 1024, 0, 1 },
		{ UINT64_C(0x7ffe) << 20, 0x7ffe * 1024, 0, 0x7ffe },
		{ UINT64_C(0x7fff) << 20, 0x7fff * 1024, 0x7fff, 0x7fff },
		{ UINT64_C(1) << 41, 0x80000000, 1 << 21, 0x7fff },
	};
	struct vmm_smbios_machine m = VMM_SMBIOS_MACHINE_INIT;
	struct vmm_load_range r = { 0, 0 };

	m.memory = &r;
	m.memory_count = 1;
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		r.len = cases[i].len;
		build(&m);
		assert_true(get_le32(find(16, 0) + 7) == cases[i].array);
		assert_true(get_le64(find(16, 0) + 0xf) ==
			    (cases[i].array == 0x80000000 ? r.len : 0));
		assert_int_equal(get_le16(find(17, 0) + 0xc), cases[i].size);
		assert_int_equal(get_le32(find(17, 0) + 0x1c), cases[i].extended);
		assert_int_equal(get_le32(find(19, 0) + 4), 0);
		assert_true(get_le32(find(19, 0) + 8) == r.len / 1024 - 1);
	}
	/* 4 TiB and up, or not whole KiB: addresses in bytes. */
	r = (struct vmm_load_range){ UINT64_C(1) << 42, 1 << 20 };
	build(&m);
	assert_true(get_le32(find(19, 0) + 4) == UINT32_MAX);
	assert_true(get_le64(find(19, 0) + 0xf) == r.gpa);
	assert_true(get_le64(find(19, 0) + 0x17) == r.gpa + r.len - 1);
	r = (struct vmm_load_range){ 0x200, 1 << 20 };
	build(&m);
	assert_true(get_le64(find(19, 0) + 0xf) == 0x200);
}

static void refuse(const struct vmm_smbios_machine *m, uint64_t gpa, int want,
		   const char *text)
{
	struct vmm_error err = { 0 };
	size_t len = 77;
	int ret;

	memset(blob, 0xee, sizeof(blob));
	ret = vmm_smbios_build(m, gpa, blob, sizeof(blob), &len, &err);
	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
	assert_int_equal(err.code, want);
	assert_int_equal(len, 77);
	for (size_t i = 0; i < sizeof(blob); i++)
		assert_int_equal(blob[i], 0xee);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const nothing[] = { NULL };
	static const struct vmm_load_range bad[][2] = {
		{ { 0, 0 }, { 0, 0 } },
		{ { UINT64_MAX, 2 }, { 0, 0 } },
		{ { UINT64_MAX - 1, 2 }, { 0, 0 } },
		{ { 0x1000, 0x1000 }, { 0x1fff, 1 } },
	};
	static const struct vmm_load_range huge = { 0, UINT64_C(1) << 51 };
	const struct vmm_smbios_machine good = test_smbios_machine();
	struct vmm_smbios_machine m = good;
	char longest[257];

#define TRY(change, want, text)              \
	do {                                 \
		change;                      \
		refuse(&m, GPA, want, text); \
		m = good;                    \
	} while (0)
	refuse(&m, GPA + 8, -EINVAL, "multiple of 16");
	refuse(&m, ~UINT64_C(0xff), -EINVAL, "passes the end");
	TRY(m.size = 4, -EINVAL, "structure size");
	TRY(m.socket_count = 0, -EINVAL, "no sockets");
	TRY(m.cores_per_socket = 0, -EINVAL, "no sockets");
	TRY(m.threads_per_core = 0, -EINVAL, "no sockets");
	TRY(m.socket_count = 256, -E2BIG, "more of something");
	TRY(m.cores_per_socket = 0x8000, -E2BIG, "more of something");
	TRY(m.threads_per_core = UINT32_MAX, -E2BIG, "more of something");
	TRY(m.cpu_mhz = 65536, -E2BIG, "more of something");
	TRY(m.memory_count = 256, -E2BIG, "more of something");
	TRY(m.oem_string_count = 256, -E2BIG, "more of something");
	TRY(m.serial = "", -EINVAL, "empty");
	TRY(m.sku = "a\nb", -EINVAL, "byte 0x0a");
	TRY(m.cpu_version = "\xc3\xa4", -EINVAL, "byte 0xc3");
	TRY((m.oem_strings = nothing, m.oem_string_count = 1), -EINVAL, "empty");
	memset(longest, 'x', sizeof(longest));
	longest[256] = '\0';
	TRY(m.family = longest, -EINVAL, "longer than 255");
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		TRY((m.memory = bad[i], m.memory_count = i < 3 ? 1 : 2), -EINVAL,
		    "of memory has no bytes");
	TRY((m.memory = &huge, m.memory_count = 1), -E2BIG, "MiB of memory");
#undef TRY
	longest[255] = '\0';
	m.family = longest;
	build(&m);
}

static void room_is_exact(void **state)
{
	struct vmm_smbios_machine m = test_smbios_machine();
	struct vmm_error err = { 0 };
	size_t len = 0, want;

	build(&m);
	want = blob_len;
	assert_int_equal(vmm_smbios_build(&m, GPA, blob, 0, &len, &err), -ENOSPC);
	assert_int_equal(err.wanted, want);
	assert_int_equal(vmm_smbios_build(&m, GPA, blob, want - 1, &len, NULL), -ENOSPC);
	memset(blob, 0xee, sizeof(blob));
	assert_int_equal(vmm_smbios_build(&m, GPA, blob, want, &len, NULL), 0);
	assert_int_equal(len, want);
	assert_int_equal(blob[want], 0xee);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_point_has_length_address_and_checksum),
		cmocka_unit_test(structures_follow_each_other_to_the_end),
		cmocka_unit_test(names_are_where_they_belong),
		cmocka_unit_test(a_machine_without_names_has_no_strings),
		cmocka_unit_test(processors_are_counted),
		cmocka_unit_test(sizes_of_memory_are_written_in_each_form),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(room_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

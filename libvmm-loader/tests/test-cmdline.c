/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

static struct vmm_load_cmdline *make(size_t max)
{
	struct vmm_load_cmdline *c;

	assert_int_equal(vmm_load_cmdline_new(max, &c), 0);
	return c;
}

static void expect(const struct vmm_load_cmdline *c, const char *text)
{
	assert_string_equal(vmm_load_cmdline_get_text(c), text);
	assert_int_equal(vmm_load_cmdline_get_len(c), strlen(text));
}

static void a_size_has_to_make_sense(void **state)
{
	struct vmm_load_cmdline *c = NULL;

	assert_int_equal(vmm_load_cmdline_new(0, &c), -EINVAL);
	assert_int_equal(vmm_load_cmdline_new(VMM_LOAD_CMDLINE_MAX + 1, &c), -EINVAL);
	assert_null(c);
	c = make(1);
	expect(c, "");
	assert_int_equal(vmm_load_cmdline_add(c, "a", NULL, NULL), -E2BIG);
	expect(c, "");
	vmm_load_cmdline_free(c);
	vmm_load_cmdline_free(make(VMM_LOAD_CMDLINE_MAX));
	vmm_load_cmdline_free(NULL);
}

static void parameters_are_joined_by_spaces(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);
	static const char *const consoles[] = { "ttyS0", "115200n8" };

	assert_int_equal(vmm_load_cmdline_add(c, "quiet", NULL, NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "root", "/dev/vda", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "empty", "", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_list(c, "console", consoles, 2, NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_text(c, "  rw  panic=-1 ", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_text(c, "", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_text(c, "   ", NULL), 0);
	expect(c, "quiet root=/dev/vda empty= console=ttyS0,115200n8 rw  panic=-1");
}

static void values_with_spaces_get_quotes(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);

	assert_int_equal(vmm_load_cmdline_add(c, "a", "b c", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "d", "\"e f\"", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "g", "\"\"", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "dyndbg", "\"file x +p\"", NULL), 0);
	expect(c, "a=\"b c\" d=\"e f\" g=\"\" dyndbg=\"file x +p\"");
}

static void bad_parts_are_refused_and_change_nothing(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(64);
	static const struct {
		const char *key, *value;
	} cases[] = {
		{ "", NULL },
		{ "", "x" },
		{ "a b", "x" },
		{ "a=b", "x" },
		{ "a\"", "x" },
		{ "--", NULL },
		{ "\xf0\x9f\x90\xa7", "x" },
		{ "a", "\xc3\xa4" },
		{ "a", "x\ny" },
		{ "a", "\t" },
		{ "a", "\x7f" },
		{ "a", "x\"y" },
		{ "a", "\"" },
		{ "a", "\"x" },
		{ "a", "x\"" },
		{ "a", "\"x\"y\"" },
		{ "a\n", NULL },
	};
	static const char *const lists[][2] = {
		{ "a b", "c" }, { "a", "b,c" }, { "a", "b\"" }, { "a", "\x01" }
	};
	struct vmm_error err;

	assert_int_equal(vmm_load_cmdline_add(c, "old", "1", NULL), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		if (vmm_load_cmdline_add(c, cases[i].key, cases[i].value, &err) !=
			-EINVAL ||
		    vmm_load_cmdline_set(c, cases[i].key, cases[i].value, &err) !=
			-EINVAL)
			fail_msg("case %zu", i);
		assert_int_equal(strncmp(err.message, "command line: ", 14), 0);
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(lists); i++)
		assert_int_equal(vmm_load_cmdline_add_list(c, "k", lists[i], 2, NULL),
				 -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_list(c, "k", lists[0], 0, NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_list(c, "", lists[0], 1, NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_text(c, "a -- b", NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_text(c, "--", NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_text(c, "a=\"b", NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_init(c, "a=\"b", NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_add_text(c, "a\x80", &err), -EINVAL);
	assert_int_equal(err.where, 1);
	assert_int_equal(err.got, 0x80);
	expect(c, "old=1");
}

static void init_arguments_follow_the_dashes(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);

	assert_int_equal(vmm_load_cmdline_add_init(c, "single", NULL), 0);
	expect(c, "-- single");
	assert_int_equal(vmm_load_cmdline_add(c, "quiet", NULL, NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_init(c, "c=\"x -- y\"", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add(c, "a", "b", NULL), 0);
	expect(c, "quiet a=b -- single c=\"x -- y\"");
	/* They are not parameters of the kernel. */
	assert_int_equal(vmm_load_cmdline_get(c, "single", NULL, 0, NULL), -ENOENT);
	assert_int_equal(vmm_load_cmdline_remove(c, "c"), 0);
}

static void text_goes_round_unchanged(void **state)
{
	static const char *const cases[] = {
		"",
		"a",
		"a=b -- init c=\"x -- y\"",
		"-- init",
		"a=\"b -- c\" d",
		"a=\"b -- c\" -- d -- e",
		"a=b--c --d e-- ---",
		"\"quoted word\" x",
		"a  b   c",
	};
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		assert_int_equal(vmm_load_cmdline_set_text(c, cases[i], NULL), 0);
		expect(c, cases[i]);
		/* Also when it is our own text. */
		assert_int_equal(
		    vmm_load_cmdline_set_text(c, vmm_load_cmdline_get_text(c), NULL), 0);
		expect(c, cases[i]);
	}
	assert_int_equal(vmm_load_cmdline_set_text(c, "  a   --   b  ", NULL), 0);
	expect(c, "a -- b");
	assert_int_equal(vmm_load_cmdline_set_text(c, "a --", NULL), 0);
	expect(c, "a");
	assert_int_equal(vmm_load_cmdline_set_text(c, "a\tb", NULL), -EINVAL);
	assert_int_equal(vmm_load_cmdline_set_text(c, "a \"b", NULL), -EINVAL);
	expect(c, "a");
}

static void the_limit_counts_the_nul(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(8);
	static const char *const list[] = { "1", "2" };
	struct vmm_error err;

	assert_int_equal(vmm_load_cmdline_set_text(c, "1234567", NULL), 0);
	assert_int_equal(vmm_load_cmdline_set_text(c, "12345678", &err), -E2BIG);
	assert_string_equal(err.message, "command line: 8 bytes, the limit is 7");
	expect(c, "1234567");
	assert_int_equal(vmm_load_cmdline_add(c, "a", NULL, NULL), -E2BIG);
	assert_int_equal(vmm_load_cmdline_set_text(c, "1 -- 34", NULL), 0);
	expect(c, "1 -- 34");
	assert_int_equal(vmm_load_cmdline_add_init(c, "a", NULL), -E2BIG);
	assert_int_equal(vmm_load_cmdline_set_text(c, "1 -- 345", NULL), -E2BIG);
	assert_int_equal(vmm_load_cmdline_set_text(c, "", NULL), 0);
	assert_int_equal(vmm_load_cmdline_add_list(c, "abc", list, 2, NULL), 0);
	expect(c, "abc=1,2");
	assert_int_equal(vmm_load_cmdline_add_list(c, "abcd", list, 2, NULL), -E2BIG);
	/* Replacing counts what it frees; when it does not fit, the old one stays. */
	assert_int_equal(vmm_load_cmdline_set(c, "abc", "\"5 \"", NULL), -E2BIG);
	expect(c, "abc=1,2");
	assert_int_equal(vmm_load_cmdline_set(c, "abc", "567", NULL), 0);
	expect(c, "abc=567");
	assert_int_equal(vmm_load_cmdline_set(c, "abc", "4 6", NULL), -E2BIG);
	assert_int_equal(vmm_load_cmdline_add(c, "12345678", "1", NULL), -E2BIG);
}

static void look_up_sees_what_the_kernel_sees(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);
	char buf[16] = "zzz";
	size_t len = 0;

	assert_int_equal(
	    vmm_load_cmdline_set_text(
		c, "a=1 b a=2 log-buf_len=4M q=\"x y\" \"w=u v\" a=3 e= a1=9", NULL),
	    0);
	assert_int_equal(vmm_load_cmdline_get(c, "a", buf, sizeof(buf), &len), 0);
	assert_string_equal(buf, "3");
	assert_int_equal(len, 1);
	assert_int_equal(vmm_load_cmdline_get(c, "b", buf, sizeof(buf), &len), 0);
	assert_string_equal(buf, "");
	assert_int_equal(vmm_load_cmdline_get(c, "log_buf-len", buf, sizeof(buf), NULL),
			 0);
	assert_string_equal(buf, "4M");
	assert_int_equal(vmm_load_cmdline_get(c, "q", buf, sizeof(buf), &len), 0);
	assert_string_equal(buf, "x y");
	assert_int_equal(vmm_load_cmdline_get(c, "w", buf, sizeof(buf), &len), 0);
	assert_string_equal(buf, "u v");
	assert_int_equal(vmm_load_cmdline_get(c, "e", buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(vmm_load_cmdline_get(c, "q", buf, 2, &len), 0);
	assert_string_equal(buf, "x");
	assert_int_equal(len, 3);
	assert_int_equal(vmm_load_cmdline_get(c, "q", NULL, 0, &len), 0);
	strcpy(buf, "zzz");
	assert_int_equal(vmm_load_cmdline_get(c, "a2", buf, sizeof(buf), &len), -ENOENT);
	assert_int_equal(vmm_load_cmdline_get(c, "", buf, sizeof(buf), &len), -ENOENT);
	assert_string_equal(buf, "zzz");
	assert_int_equal(len, 3);
}

static void remove_and_set_leave_the_rest(void **state)
{
	VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);

	assert_int_equal(vmm_load_cmdline_set_text(c, "a=1 b a=2 c -- a=9", NULL), 0);
	assert_int_equal(vmm_load_cmdline_set(c, "b", "x y", NULL), 0);
	expect(c, "a=1 a=2 c b=\"x y\" -- a=9");
	assert_int_equal(vmm_load_cmdline_set(c, "a", "3", NULL), 0);
	expect(c, "c b=\"x y\" a=3 -- a=9");
	assert_int_equal(vmm_load_cmdline_remove(c, "b"), 1);
	assert_int_equal(vmm_load_cmdline_remove(c, "b"), 0);
	assert_int_equal(vmm_load_cmdline_set(c, "new", NULL, NULL), 0);
	expect(c, "c a=3 new -- a=9");
	assert_int_equal(vmm_load_cmdline_set_text(c, "a a=1 a=2", NULL), 0);
	assert_int_equal(vmm_load_cmdline_remove(c, "a"), 3);
	expect(c, "");
}

static void virtio_mmio_devices_have_the_kernels_form(void **state)
{
	static const struct {
		uint64_t len, gpa;
		uint32_t irq;
		int32_t id;
		const char *text;
	} cases[] = {
		{ 1, 0, 0, -1, "1@0x0:0" },
		{ 512, 0xd0000000, 5, -1, "512@0xd0000000:5" },
		{ 4096, 0xd0000000, 5, 0, "4K@0xd0000000:5:0" },
		{ 0x100000, 1, 6, 7, "1M@0x1:6:7" },
		{ 0x100400, 1, 6, 7, "1025K@0x1:6:7" },
		{ GIB, UINT64_C(0x100000000), 4294967295u, INT32_MAX,
		  "1G@0x100000000:4294967295:2147483647" },
		{ 1024 * GIB, 0, 1, -1, "1024G@0x0:1" },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		VMM_CLEANUP(vmm_load_cmdline_free) struct vmm_load_cmdline *c = make(256);
		char buf[64];

		assert_int_equal(
		    vmm_load_cmdline_add_virtio_mmio(c, cases[i].len, cases[i].gpa,
						     cases[i].irq, cases[i].id, NULL),
		    0);
		assert_int_equal(
		    vmm_load_cmdline_get(c, "virtio_mmio.device", buf, sizeof(buf), NULL),
		    0);
		assert_string_equal(buf, cases[i].text);
		assert_int_equal(vmm_load_cmdline_add_virtio_mmio(c, 0, 0, 5, -1, NULL),
				 -EINVAL);
		assert_int_equal(
		    vmm_load_cmdline_add_virtio_mmio(c, 2, UINT64_MAX, 5, -1, NULL),
		    -EINVAL);
		assert_int_equal(vmm_load_cmdline_add_virtio_mmio(c, 2, 0, 5, -2, NULL),
				 -EINVAL);
	}
}

static void it_is_written_with_its_nul_to_the_last_byte_of_ram(void **state)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(0x2000);
	struct vmm_error err;
	char buf[8];

	test_poison(mem, 0, 0x2000);
	assert_int_equal(vmm_load_cmdline_write(mem, 0x1000, "abc", 3, NULL), 0);
	assert_int_equal(vmm_mem_read(mem, 0x0fff, buf, 6), 0);
	assert_memory_equal(buf,
			    "\xee"
			    "abc\0\xee",
			    6);
	assert_int_equal(vmm_load_cmdline_write(mem, 0x1ffc, "abc", 3, NULL), 0);
	assert_int_equal(vmm_mem_read(mem, 0x1ffc, buf, 4), 0);
	assert_memory_equal(buf, "abc", 4);
	assert_int_equal(vmm_load_cmdline_write(mem, 0x1ffd, "xyz", 3, &err), -EFAULT);
	assert_int_equal(vmm_load_cmdline_write(mem, 0x1000, "abcd", 3, &err), -E2BIG);
	assert_int_equal(vmm_mem_read(mem, 0x1ffc, buf, 4), 0);
	assert_memory_equal(buf, "abc", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_has_to_make_sense),
		cmocka_unit_test(parameters_are_joined_by_spaces),
		cmocka_unit_test(values_with_spaces_get_quotes),
		cmocka_unit_test(bad_parts_are_refused_and_change_nothing),
		cmocka_unit_test(init_arguments_follow_the_dashes),
		cmocka_unit_test(text_goes_round_unchanged),
		cmocka_unit_test(the_limit_counts_the_nul),
		cmocka_unit_test(look_up_sees_what_the_kernel_sees),
		cmocka_unit_test(remove_and_set_leave_the_rest),
		cmocka_unit_test(virtio_mmio_devices_have_the_kernels_form),
		cmocka_unit_test(it_is_written_with_its_nul_to_the_last_byte_of_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

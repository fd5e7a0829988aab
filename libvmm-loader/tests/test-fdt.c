/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include <vmm/fdt.h>

#include "fdt-machine.h"

static struct vmm_fdt *make(void)
{
	struct vmm_fdt *f = NULL;

	assert_int_equal(vmm_fdt_new(&f), 0);
	return f;
}

static void without_libfdt_each_way_in_says_so(void **state)
{
	static uint64_t tree[8];
	struct vmm_fdt_chosen c = VMM_FDT_CHOSEN_INIT;
	struct vmm_error err = { 0 };
	struct vmm_fdt *f = NULL;
	const void *value;
	uint64_t out[8];
	size_t n;

	memcpy(tree, "\xd0\x0d\xfe\xed\0\0\0\x40", 8);
	((uint8_t *)tree)[23] = 17;
	assert_int_equal(vmm_fdt_new(&f), -EOPNOTSUPP);
	assert_null(f);
	assert_int_equal(vmm_fdt_check(tree, 64, &err), -EOPNOTSUPP);
	assert_string_equal(err.message, "device tree: built without libfdt");
	assert_int_equal(vmm_fdt_find(tree, 64, "/", "a", &value, &n), -EOPNOTSUPP);
	assert_int_equal(vmm_fdt_set_chosen(tree, 64, &c, out, 64, &n, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(vmm_fdt_apply_overlay(tree, 64, tree, 64, out, 64, &n, NULL),
			 -EOPNOTSUPP);
}

static void expect(struct vmm_fdt *f, int want, const char *text)
{
	struct vmm_error err = { 0 };
	const void *data;
	size_t len;
	int ret = vmm_fdt_finish(f, &data, &len, &err);

	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
	if (ret == 0)
		assert_int_equal(vmm_fdt_check(data, len, NULL), 0);
	vmm_fdt_free(f);
}

static void a_machine_is_written_and_read_back(void **state)
{
	struct vmm_fdt *f = make();
	const void *data, *value;
	struct vmm_error err;
	size_t len, n;

	test_fdt_machine(f);
	if (vmm_fdt_finish(f, &data, &len, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(get_be32(data), 0xd00dfeed);
	/* Version 17, readable as 16; CPU 1 boots. */
	assert_int_equal(get_be32((const uint8_t *)data + 20), 17);
	assert_int_equal(get_be32((const uint8_t *)data + 24), 16);
	assert_int_equal(get_be32((const uint8_t *)data + 28), 1);
	assert_int_equal(vmm_fdt_find(data, len, "/", "compatible", &value, &n), 0);
	assert_int_equal(n, 21);
	assert_memory_equal(value, "linux,dummy\0vmm,test", 21);
	assert_int_equal(vmm_fdt_find(data, len, "/memory@80000000", "reg", &value, &n),
			 0);
	assert_int_equal(n, 16);
	assert_memory_equal(value, "\0\0\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0", 16);
	assert_int_equal(vmm_fdt_find(data, len, "/cpus/cpu@1", "reg", &value, &n), 0);
	assert_memory_equal(value, "\0\0\0\1", 4);
	assert_int_equal(vmm_fdt_find(data, len, "/cpus/cpu@2", "reg", &value, &n),
			 -ENOENT);
	assert_int_equal(vmm_fdt_find(data, len, "/cpus", "none", &value, &n), -ENOENT);
	/* Finishing twice lends the same; writing on is a mistake. */
	assert_int_equal(vmm_fdt_finish(f, &value, &n, &err), 0);
	assert_ptr_equal(value, data);
	vmm_fdt_put_null(f, "late");
	expect(f, -EINVAL, "a call after the tree was finished");
}

static void a_tree_has_one_root_and_is_whole(void **state)
{
	struct vmm_fdt *f = make();
	uint32_t root, node;

	expect(f, -EINVAL, "no root");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	expect(f, -EINVAL, "node '' is not ended");
	f = make();
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, root);
	expect(f, 0, "");
	f = make();
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, root);
	(void)vmm_fdt_begin_node(f, "");
	expect(f, -EINVAL, "a second root");
	f = make();
	(void)vmm_fdt_begin_node(f, "root");
	expect(f, -EINVAL, "a root with the name 'root'");
	/* The wrong end, and one too many. */
	f = make();
	root = vmm_fdt_begin_node(f, "");
	node = vmm_fdt_begin_node(f, "a");
	vmm_fdt_end_node(f, root);
	vmm_fdt_end_node(f, node);
	expect(f, -EINVAL, "not the innermost open one");
	f = make();
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, root);
	vmm_fdt_end_node(f, root);
	expect(f, -EINVAL, "not the innermost open one");
	f = make();
	vmm_fdt_end_node(f, 0);
	expect(f, -EINVAL, "not the innermost open one");
	vmm_fdt_free(NULL);
}

static void names_are_checked(void **state)
{
	static const char *const bad_nodes[] = {
		"",
		"@1000",
		"1bad",
		"a@",
		"a@1@2",
		"a/b",
		"a#",
		"a b",
		"a@1 ",
		"a@/",
		"abcdefghijklmnopqrstuvwxyzabcdef",
		"abcdefghijklmnopqrstuvwxyzabcdef@1",
		"a@abcdefghijklmnopqrstuvwxyzabcdef",
		"\xc3\xa4",
	};
	static const char *const good_nodes[] = {
		"abcdefghijklmnopqrstuvwxyzabcde",
		"A.b_c+d,e-f9",
	};
	static const char *const bad_properties[] = {
		"", "a!", "a@1", "a b", "abcdefghijklmnopqrstuvwxyzabcdef", "a/b",
	};
	static const char *const good_properties[] = {
		"abcdefghijklmnopqrstuvwxyzabcde",
		"#a-b,c.d_e+f?",
		"9",
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(bad_nodes); i++) {
		struct vmm_fdt *f = make();

		(void)vmm_fdt_begin_node(f, "");
		assert_int_equal(vmm_fdt_begin_node(f, bad_nodes[i]), 0);
		expect(f, -EINVAL, "is not the name of a node");
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(good_nodes); i++) {
		struct vmm_fdt *f = make();
		uint32_t root = vmm_fdt_begin_node(f, "");

		vmm_fdt_end_node(f, vmm_fdt_begin_node(f, good_nodes[i]));
		vmm_fdt_end_node(f, root);
		expect(f, 0, "");
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad_properties); i++) {
		struct vmm_fdt *f = make();

		(void)vmm_fdt_begin_node(f, "");
		vmm_fdt_put_null(f, bad_properties[i]);
		expect(f, -EINVAL, "is not the name of a property");
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(good_properties); i++) {
		struct vmm_fdt *f = make();
		uint32_t root = vmm_fdt_begin_node(f, "");

		vmm_fdt_put_null(f, good_properties[i]);
		vmm_fdt_end_node(f, root);
		expect(f, 0, "");
	}
}

static void properties_have_their_place(void **state)
{
	struct vmm_fdt *f = make();
	uint32_t root;

	vmm_fdt_put_null(f, "early");
	expect(f, -EINVAL, "'early' outside of any node");
	f = make();
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, "a"));
	vmm_fdt_put_null(f, "late");
	expect(f, -EINVAL, "'late' after a child of ''");
	f = make();
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, root);
	vmm_fdt_put_null(f, "outside");
	expect(f, -EINVAL, "'outside' outside of any node");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_strings(f, "list", NULL, 0);
	expect(f, -EINVAL, "'list' is an empty list");
}

static void nothing_comes_twice(void **state)
{
	struct vmm_fdt *f = make();
	uint32_t root = vmm_fdt_begin_node(f, ""), a;

	/* The same names at another place are fine. */
	vmm_fdt_put_u32(f, "x", 1);
	a = vmm_fdt_begin_node(f, "a");
	vmm_fdt_put_u32(f, "x", 1);
	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, "a"));
	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, "x"));
	vmm_fdt_end_node(f, a);
	a = vmm_fdt_begin_node(f, "b");
	vmm_fdt_put_u32(f, "x", 1);
	vmm_fdt_end_node(f, a);
	vmm_fdt_end_node(f, root);
	expect(f, 0, "");

	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_u32(f, "x", 1);
	vmm_fdt_put_u32(f, "x", 1);
	expect(f, -EEXIST, "two properties with the name 'x'");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, "a"));
	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, "b"));
	(void)vmm_fdt_begin_node(f, "a");
	expect(f, -EEXIST, "two nodes with the name 'a'");
}

static void a_number_of_64_bits_is_two_cells(void **state)
{
	static const uint8_t want[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct vmm_fdt *f = make();
	uint32_t root = vmm_fdt_begin_node(f, "");
	const void *tree, *value;
	size_t tree_len, len;

	vmm_fdt_put_u64(f, "big", UINT64_C(0x0102030405060708));
	vmm_fdt_end_node(f, root);
	assert_int_equal(vmm_fdt_finish(f, &tree, &tree_len, NULL), 0);
	assert_int_equal(vmm_fdt_find(tree, tree_len, "/", "big", &value, &len), 0);
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(value, want, sizeof(want));
	vmm_fdt_free(f);
}

static void phandles_are_unique(void **state)
{
	struct vmm_fdt *f = make();
	uint32_t root = vmm_fdt_begin_node(f, ""), n;

	/* A free one is free of those put and those taken. */
	vmm_fdt_put_phandle(f, 1);
	assert_int_equal(vmm_fdt_take_phandle(f), 2);
	assert_int_equal(vmm_fdt_take_phandle(f), 3);
	n = vmm_fdt_begin_node(f, "a");
	vmm_fdt_put_phandle(f, 3);
	vmm_fdt_end_node(f, n);
	vmm_fdt_end_node(f, root);
	expect(f, 0, "");

	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_phandle(f, 7);
	(void)vmm_fdt_begin_node(f, "a");
	/* Also when it is put under another name, as bytes. */
	vmm_fdt_put_bytes(f, "linux,phandle", "\0\0\0\7", 4);
	expect(f, -EEXIST, "two nodes with the phandle 0x7");
	for (int i = 0; i < 2; i++) {
		f = make();
		(void)vmm_fdt_begin_node(f, "");
		vmm_fdt_put_phandle(f, i ? UINT32_MAX : 0);
		expect(f, -EINVAL, "is not a phandle");
	}
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_bytes(f, "phandle", "abc", 3);
	expect(f, -EINVAL, "a phandle of 3 bytes");
}

static void limits_of_phandles_and_numbers_are_kept(void **state)
{
	struct vmm_fdt *f = make();

	(void)vmm_fdt_begin_node(f, "");
	for (uint32_t i = 0; i < VMM_FDT_PHANDLES_MAX; i++)
		assert_int_equal(vmm_fdt_take_phandle(f), i + 1);
	assert_int_equal(vmm_fdt_take_phandle(f), 0);
	expect(f, -E2BIG, "more than 4096 phandles");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	for (uint32_t i = 0; i < VMM_FDT_PHANDLES_MAX; i++)
		(void)vmm_fdt_take_phandle(f);
	vmm_fdt_put_phandle(f, 0x12345);
	expect(f, -E2BIG, "more than 4096 phandles");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_u64s(f, "many", NULL, VMM_FDT_SIZE_MAX / 8 + 1);
	expect(f, -E2BIG, "'many' has 262145 numbers");
	/* After a mistake nothing is taken. */
	f = make();
	vmm_fdt_end_node(f, 1);
	assert_int_equal(vmm_fdt_begin_node(f, ""), 0);
	assert_int_equal(vmm_fdt_take_phandle(f), 0);
	vmm_fdt_put_u32(f, "x", 1);
	vmm_fdt_put_strings(f, "x", NULL, 0);
	vmm_fdt_add_reservation(f, 0, 1);
	vmm_fdt_set_boot_cpu(f, 1);
	expect(f, -EINVAL, "not the innermost open one");
}

static void unit_addresses_agree_with_reg(void **state)
{
	static const struct {
		const char *name;
		uint32_t cells;
		const char *property;
		uint32_t reg[4];
		size_t count;
		int want;
		const char *text;
	} cases[] = {
		{ "a@1000", 1, "reg", { 0x1000, 1 }, 2, 0, "" },
		{ "a@1000",
		  1,
		  "reg",
		  { 0x1001, 1 },
		  2,
		  -EINVAL,
		  "has 0x1001 in its reg" },
		{ "a@100000000", 2, "reg", { 1, 0, 0, 1 }, 4, 0, "" },
		{ "a@100000000",
		  2,
		  "reg",
		  { 0, 0, 0, 1 },
		  4,
		  -EINVAL,
		  "has 0x0 in its reg" },
		{ "a@1,0", 2, "reg", { 5, 0, 0, 1 }, 4, 0, "" },
		{ "a@ffff0000000000000", 2, "reg", { 5, 0, 0, 1 }, 4, 0, "" },
		{ "a@5", 3, "reg", { 7, 0, 0, 1 }, 4, 0, "" },
		{ "a@5", 2, "reg", { 7 }, 1, 0, "" },
		{ "a@5", 2, "ranges", { 7 }, 1, 0, "" },
		{ "a", 2, "reg", { 7, 0 }, 2, -EINVAL, "a reg but no unit address" },
		{ "a", 2, "ranges", { 7, 0 }, 2, -EINVAL, "a reg but no unit address" },
		{ "a", 2, "ranges", { 7, 0 }, 0, 0, "" },
		{ "a@5", 2, "other", { 7, 0 }, 2, -EINVAL, "a unit address but no reg" },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_fdt *f = make();
		uint32_t root = vmm_fdt_begin_node(f, ""), node;

		vmm_fdt_put_u32(f, "#address-cells", cases[i].cells);
		node = vmm_fdt_begin_node(f, cases[i].name);
		vmm_fdt_put_u32s(f, cases[i].property, cases[i].reg, cases[i].count);
		vmm_fdt_end_node(f, node);
		vmm_fdt_end_node(f, root);
		expect(f, cases[i].want, cases[i].text);
	}
}

static void reservations_are_checked(void **state)
{
	static const struct {
		struct vmm_load_range a, b;
		int want;
		const char *text;
	} cases[] = {
		{ { 0, 0x1000 }, { 0x1000, 0x1000 }, 0, "" },
		{ { 0x1000, 0x1000 }, { 0, 0x1000 }, 0, "" },
		{ { 0, 0x1000 }, { 0xfff, 1 }, -EEXIST, "overlap" },
		{ { 0x1000, 0x1000 }, { 0, 0x1001 }, -EEXIST, "overlap" },
		{ { 0, 1 }, { 5, 0 }, -EINVAL, "a reservation of 0 bytes at 0x5" },
		{ { 0, 1 }, { UINT64_MAX, 2 }, -EINVAL, "a reservation of 2 bytes" },
		{ { 0, 1 }, { UINT64_MAX, 1 }, 0, "" },
	};
	struct vmm_fdt *f;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		f = make();
		vmm_fdt_add_reservation(f, cases[i].a.gpa, cases[i].a.len);
		vmm_fdt_add_reservation(f, cases[i].b.gpa, cases[i].b.len);
		vmm_fdt_end_node(f, vmm_fdt_begin_node(f, ""));
		expect(f, cases[i].want, cases[i].text);
	}
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_add_reservation(f, 0, 1);
	expect(f, -EINVAL, "after the root");
	f = make();
	for (uint64_t i = 0; i <= VMM_FDT_RESERVATIONS_MAX; i++)
		vmm_fdt_add_reservation(f, i * 16, 8);
	expect(f, -E2BIG, "more than 256 reservations");
}

static void depth_and_size_have_limits(void **state)
{
	static uint8_t much[VMM_FDT_SIZE_MAX + 1];
	uint32_t ids[VMM_FDT_DEPTH_MAX];
	struct vmm_fdt *f = make();

	for (unsigned int i = 0; i < VMM_FDT_DEPTH_MAX; i++)
		ids[i] = vmm_fdt_begin_node(f, i ? "n" : "");
	for (unsigned int i = VMM_FDT_DEPTH_MAX; i-- > 0;)
		vmm_fdt_end_node(f, ids[i]);
	expect(f, 0, "");
	f = make();
	for (unsigned int i = 0; i <= VMM_FDT_DEPTH_MAX; i++)
		(void)vmm_fdt_begin_node(f, i ? "n" : "");
	expect(f, -E2BIG, "more than 64 levels");

	f = make();
	ids[0] = vmm_fdt_begin_node(f, "");
	vmm_fdt_put_bytes(f, "large", much, VMM_FDT_SIZE_MAX - 40);
	vmm_fdt_end_node(f, ids[0]);
	expect(f, -E2BIG, "the limit is 2097152");
	f = make();
	ids[0] = vmm_fdt_begin_node(f, "");
	vmm_fdt_put_bytes(f, "large", much, VMM_FDT_SIZE_MAX - 1000);
	vmm_fdt_end_node(f, ids[0]);
	expect(f, 0, "");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	vmm_fdt_put_bytes(f, "large", much, VMM_FDT_SIZE_MAX + 1);
	expect(f, -E2BIG, "'large' has 2097153 bytes");
	f = make();
	(void)vmm_fdt_begin_node(f, "");
	for (char c = 'a'; c <= 'z'; c++)
		vmm_fdt_put_bytes(f, (char[]){ c, 0 }, much, VMM_FDT_SIZE_MAX / 2);
	expect(f, -E2BIG, "more than 2097152 bytes");
}

static uint64_t tree[8192];

/* The machine's tree in an aligned buffer; its length. */
static size_t machine_tree(void)
{
	struct vmm_fdt *f = make();
	const void *data;
	size_t len;

	test_fdt_machine(f);
	assert_int_equal(vmm_fdt_finish(f, &data, &len, NULL), 0);
	assert_true(len <= sizeof(tree));
	memcpy(tree, data, len);
	vmm_fdt_free(f);
	return len;
}

static void a_foreign_tree_is_checked_before_it_is_read(void **state)
{
	size_t len = machine_tree(), n;
	uint8_t *bytes = (uint8_t *)tree;
	const void *value;
	struct vmm_error err;

	assert_int_equal(vmm_fdt_check(tree, len, &err), 0);
	assert_int_equal(vmm_fdt_check(tree, len + 100, &err), 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(vmm_fdt_check(tree, i, &err), -EBADMSG);
	assert_int_equal(vmm_fdt_check(bytes + 4, len, &err), -EINVAL);
	assert_int_equal(vmm_fdt_find(bytes + 4, len, "/", "x", &value, &n), -EINVAL);
	/* Each byte of it, changed: refused or still safe to walk. */
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x81;
		if (vmm_fdt_check(tree, len, NULL) == 0 &&
		    vmm_fdt_find(tree, len, "/chosen", "stdout-path", &value, &n) == 0)
			assert_true((const uint8_t *)value + n <= bytes + len);
		bytes[i] ^= 0x81;
	}
	/* Trees of old versions are laid out differently. */
	for (uint8_t version = 0; version < 17; version++) {
		bytes[23] = version;
		assert_int_equal(vmm_fdt_check(tree, len, &err), -EBADMSG);
		assert_non_null(strstr(err.message, "17 is the oldest"));
	}
	bytes[23] = 17;
	memset(bytes + 4, 0xff, 4);
	assert_int_equal(vmm_fdt_check(tree, len, &err), -E2BIG);
}

static void chosen_is_brought_up_to_date(void **state)
{
	struct vmm_fdt_chosen c = VMM_FDT_CHOSEN_INIT;
	static uint64_t out[8192], again[8192];
	size_t len = machine_tree(), n, m;
	struct vmm_error err;
	const void *value;

	c.bootargs = "console=ttyAMA0";
	c.initrd = (struct vmm_load_range){ 0x88000000, 0x1234 };
	c.rng_seed = "0123456789abcdef";
	c.rng_seed_len = 16;
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, sizeof(out), &n, &err),
			 0);
	assert_int_equal(vmm_fdt_check(out, n, &err), 0);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "bootargs", &value, &m), 0);
	assert_string_equal(value, "console=ttyAMA0");
	assert_int_equal(
	    vmm_fdt_find(out, n, "/chosen", "linux,initrd-start", &value, &m), 0);
	assert_memory_equal(value, "\0\0\0\0\x88\0\0\0", 8);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "linux,initrd-end", &value, &m),
			 0);
	assert_memory_equal(value, "\0\0\0\0\x88\0\x12\x34", 8);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "rng-seed", &value, &m), 0);
	assert_int_equal(m, 16);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "stdout-path", &value, &m), 0);
	/* Without an initrd the properties go; the command line stays. */
	c = (struct vmm_fdt_chosen)VMM_FDT_CHOSEN_INIT;
	assert_int_equal(vmm_fdt_set_chosen(out, n, &c, again, sizeof(again), &m, &err),
			 0);
	assert_true(m < n);
	assert_int_equal(
	    vmm_fdt_find(again, m, "/chosen", "linux,initrd-end", &value, &n), -ENOENT);
	assert_int_equal(vmm_fdt_find(again, m, "/chosen", "bootargs", &value, &n), 0);

	n = 77;
	c.bootargs = "x";
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, len, &n, &err), -ENOSPC);
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, 8, &n, &err), -ENOSPC);
	assert_int_equal(
	    vmm_fdt_set_chosen(tree, len - 1, &c, out, sizeof(out), &n, &err), -EBADMSG);
	assert_int_equal(
	    vmm_fdt_set_chosen(tree, len, &c, (uint8_t *)out + 1, 4096, &n, &err),
	    -EINVAL);
	c.initrd = (struct vmm_load_range){ UINT64_MAX, 1 };
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, sizeof(out), &n, &err),
			 -EINVAL);
	c.initrd.len = 0;
	c.rng_seed_len = 4097;
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, sizeof(out), &n, &err),
			 -E2BIG);
	c.size = 1;
	assert_int_equal(vmm_fdt_set_chosen(tree, len, &c, out, sizeof(out), &n, &err),
			 -EINVAL);
	assert_int_equal(n, 77);
}

static void console_and_kernel_seed_go_to_chosen(void **state)
{
	struct vmm_fdt_chosen c = VMM_FDT_CHOSEN_INIT;
	static uint64_t out[1024], again[1024];
	static char longest[5000];
	const void *data, *value;
	struct vmm_fdt *f = NULL;
	size_t len, n, m;

	assert_int_equal(vmm_fdt_new(&f), 0);
	test_fdt_machine(f);
	assert_int_equal(vmm_fdt_finish(f, &data, &len, NULL), 0);
	c.stdout_path = "serial0:115200n8";
	c.kaslr_seed = UINT64_C(0x0123456789abcdef);
	assert_int_equal(vmm_fdt_set_chosen(data, len, &c, out, sizeof(out), &n, NULL),
			 0);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "stdout-path", &value, &m), 0);
	assert_string_equal(value, "serial0:115200n8");
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "kaslr-seed", &value, &m), 0);
	assert_int_equal(m, 8);
	assert_memory_equal(value, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	/* What is not named stays. */
	c = (struct vmm_fdt_chosen)VMM_FDT_CHOSEN_INIT;
	assert_int_equal(vmm_fdt_set_chosen(out, n, &c, again, sizeof(again), &m, NULL),
			 0);
	assert_int_equal(vmm_fdt_find(again, m, "/chosen", "kaslr-seed", &value, &n), 0);
	assert_int_equal(vmm_fdt_find(again, m, "/chosen", "stdout-path", &value, &n), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	c.stdout_path = longest;
	assert_int_equal(vmm_fdt_set_chosen(data, len, &c, out, sizeof(out), &n, NULL),
			 -E2BIG);
	vmm_fdt_free(f);
}

static void memory_nodes_follow_the_map(void **state)
{
	struct vmm_load_map map = { 0 };
	struct vmm_fdt *f = NULL;
	const void *data, *value;
	size_t len, n;
	uint32_t root;

	assert_int_equal(vmm_load_map_set(&map, 0x80000000, GIB, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(vmm_load_map_take(&map, 0x80200000, MIB), 0);
	assert_int_equal(vmm_load_map_set(&map, 0x90000000, MIB, VMM_LOAD_MAP_RESERVED),
			 0);
	assert_int_equal(vmm_load_map_set(&map, 8 * GIB, GIB, VMM_LOAD_MAP_RAM), 0);
	assert_int_equal(vmm_fdt_new(&f), 0);
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_put_u32(f, "#address-cells", 2);
	vmm_fdt_put_u32(f, "#size-cells", 2);
	vmm_fdt_put_memory(f, &map);
	vmm_fdt_end_node(f, root);
	assert_int_equal(vmm_fdt_finish(f, &data, &len, NULL), 0);
	/* Taken RAM is RAM; what is reserved is not. */
	assert_int_equal(vmm_fdt_find(data, len, "/memory@80000000", "reg", &value, &n),
			 0);
	assert_memory_equal(value, "\0\0\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0", 16);
	assert_int_equal(vmm_fdt_find(data, len, "/memory@90100000", "reg", &value, &n),
			 0);
	assert_memory_equal(value, "\0\0\0\0\x90\x10\0\0\0\0\0\0\x2f\xf0\0\0", 16);
	assert_int_equal(
	    vmm_fdt_find(data, len, "/memory@200000000", "device_type", &value, &n), 0);
	assert_string_equal(value, "memory");
	assert_int_equal(vmm_fdt_find(data, len, "/memory@80200000", "reg", &value, &n),
			 -ENOENT);
	vmm_fdt_free(f);

	/* An empty map has none. */
	assert_int_equal(vmm_fdt_new(&f), 0);
	vmm_fdt_put_memory(f, &(struct vmm_load_map){ 0 });
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_end_node(f, root);
	assert_int_equal(vmm_fdt_finish(f, &data, &len, NULL), 0);
	vmm_fdt_free(f);
}

static void a_tree_without_chosen_gets_one(void **state)
{
	struct vmm_fdt_chosen c = VMM_FDT_CHOSEN_INIT;
	static uint64_t in[64], out[512];
	struct vmm_fdt *f = make();
	const void *data, *value;
	size_t len, n, m;

	vmm_fdt_end_node(f, vmm_fdt_begin_node(f, ""));
	assert_int_equal(vmm_fdt_finish(f, &data, &len, NULL), 0);
	memcpy(in, data, len);
	vmm_fdt_free(f);
	c.bootargs = "quiet";
	assert_int_equal(vmm_fdt_set_chosen(in, len, &c, out, sizeof(out), &n, NULL), 0);
	assert_int_equal(vmm_fdt_find(out, n, "/chosen", "bootargs", &value, &m), 0);
	assert_string_equal(value, "quiet");
}

static void a_tree_goes_to_guest_memory(void **state)
{
	const struct test_range range = { 0x80000000, 16 * MIB, 0 };
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_mem(&range, 1);
	struct vmm_load_map map = { 0 };
	struct vmm_load_range r;
	struct vmm_error err;
	uint8_t head[4];
	size_t len = machine_tree();

	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, tree, len, &r, &err),
			 -ENOSPC);
	assert_int_equal(vmm_load_map_set_mem(&map, mem), 0);
	assert_int_equal(vmm_load_map_take(&map, 0x81000000 - 4096, 4096), 0);
	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, tree, len, &r, &err), 0);
	/* The highest 2 MiB are not free. */
	assert_int_equal(r.gpa, 0x80c00000);
	assert_int_equal(r.len, len);
	assert_int_equal(vmm_mem_read(mem, r.gpa, head, 4), 0);
	assert_int_equal(get_be32(head), 0xd00dfeed);
	assert_true(vmm_load_map_is(&map, r.gpa, 2 * MIB, VMM_LOAD_MAP_TAKEN));
	assert_int_equal(vmm_fdt_load(mem, &map, 0x80600000 - 1, tree, len, &r, &err), 0);
	assert_int_equal(r.gpa, 0x80400000);
	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, "nothing", 7, &r, &err),
			 -EBADMSG);
	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, tree, len - 1, &r, &err),
			 -EBADMSG);
	assert_int_equal(vmm_load_map_set(&map, 0x90000000, 4 * MIB, VMM_LOAD_MAP_RAM),
			 0);
	assert_int_equal(vmm_fdt_load(mem, &map, UINT64_MAX, tree, len, &r, &err),
			 -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_is_written_and_read_back),
		cmocka_unit_test(a_tree_has_one_root_and_is_whole),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(properties_have_their_place),
		cmocka_unit_test(nothing_comes_twice),
		cmocka_unit_test(a_number_of_64_bits_is_two_cells),
		cmocka_unit_test(phandles_are_unique),
		cmocka_unit_test(limits_of_phandles_and_numbers_are_kept),
		cmocka_unit_test(unit_addresses_agree_with_reg),
		cmocka_unit_test(reservations_are_checked),
		cmocka_unit_test(depth_and_size_have_limits),
		cmocka_unit_test(a_foreign_tree_is_checked_before_it_is_read),
		cmocka_unit_test(chosen_is_brought_up_to_date),
		cmocka_unit_test(console_and_kernel_seed_go_to_chosen),
		cmocka_unit_test(memory_nodes_follow_the_map),
		cmocka_unit_test(a_tree_without_chosen_gets_one),
		cmocka_unit_test(a_tree_goes_to_guest_memory),
	};

	const struct CMUnitTest without[] = {
		cmocka_unit_test(without_libfdt_each_way_in_says_so),
	};
	struct vmm_fdt *f = NULL;

	if (vmm_fdt_new(&f) == -EOPNOTSUPP)
		return cmocka_run_group_tests(without, NULL, NULL);
	vmm_fdt_free(f);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "load-test.h"

#include <vmm/fdt.h>

#include "overlay-trees.h"

#define ROOM 16384u

static uint64_t base[ROOM / 8], over[ROOM / 8], out[ROOM / 8];
static size_t out_len;

static int apply(size_t len, struct vmm_error *err)
{
	static uint64_t before[ROOM / 8];
	int ret;

	memset(base, 0, sizeof(base));
	memcpy(base, overlay_base, sizeof(overlay_base));
	memcpy(before, over, sizeof(over));
	out_len = 77;
	ret = vmm_fdt_apply_overlay(base, sizeof(overlay_base), over, len, out,
				    sizeof(out), &out_len, err);
	/* Inputs stay as they are, whatever becomes of it. */
	assert_memory_equal(base, overlay_base, sizeof(overlay_base));
	assert_memory_equal(over, before, sizeof(over));
	if (ret < 0)
		assert_int_equal(out_len, 77);
	return ret;
}

static void take_overlay(void)
{
	memset(over, 0, sizeof(over));
	memcpy(over, overlay_over, sizeof(overlay_over));
}

static uint32_t cell(const char *path, const char *name)
{
	const void *value;
	size_t len;

	if (vmm_fdt_find(out, out_len, path, name, &value, &len) != 0)
		fail_msg("no %s in %s", name, path);
	assert_int_equal(len, 4);
	return get_be32(value);
}

static void an_overlay_changes_and_adds(void **state)
{
	struct vmm_error err = { 0 };
	const void *value;
	size_t len;

	take_overlay();
	if (apply(sizeof(overlay_over), &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(vmm_fdt_check(out, out_len, NULL), 0);
	assert_int_equal(
	    vmm_fdt_find(out, out_len, "/soc/uart@1000", "status", &value, &len), 0);
	assert_string_equal(value, "okay");
	/* Its own phandle 1 is behind those of the tree, and both references follow. */
	assert_int_equal(cell("/soc/clock", "phandle"), 4);
	assert_int_equal(cell("/soc/uart@1000", "clocks"), 4);
	assert_int_equal(cell("/soc/clock", "interrupt-parent"), cell("/pic", "phandle"));
	assert_int_equal(cell("/soc/uart@1000", "phandle"), 3);
	assert_int_equal(vmm_fdt_find(out, out_len, "/__symbols__", "clk", &value, &len),
			 0);
	assert_string_equal(value, "/soc/clock");
}

/* The text of a reference, once, replaced by another of the same length. */
static void replace(const char *from, const char *to)
{
	uint8_t *p = memmem(over, sizeof(overlay_over), from, strlen(from) + 1);

	assert_non_null(p);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(p, to, strlen(to));
}

static void refuse(size_t len, int want, const char *text)
{
	struct vmm_error err = { 0 };
	int ret = apply(len, &err);

	if (ret != want || !strstr(err.message, text))
		fail_msg("%d '%s', expected %d '%s'", ret, err.message, want, text);
}

/* libfdt 1.6.1 would read and write four bytes wherever these point. */
static void references_outside_of_a_property_are_refused(void **state)
{
	static const char *const fixups[] = {
		"/fragment@0:target:1", "/fragment@0:target:9", "/fragment@0:target:x",
		"/fragment@0:target::", "/fragment@0:targes:0", "/fragment@9:target:0",
		"/fragment@0:target_0", "/fragment@0_target_0", "xfragment@0:target:0",
		"/__fixups__::pic:  0", "/__fixups__:pic:0001", "/__local_fixups__::0",
	};
	uint8_t *p;

	for (size_t i = 0; i < VMM_ARRAY_LEN(fixups); i++) {
		take_overlay();
		replace("/fragment@0:target:0", fixups[i]);
		refuse(sizeof(overlay_over), -EBADMSG, "references do not point");
	}
	/* The last property "clocks", in the shadow, has offset 0. */
	for (int i = 0; i < 2; i++) {
		static const uint32_t offsets[] = { 1, 0xfffffffc };

		take_overlay();
		p = (uint8_t *)over + get_be32((uint8_t *)over + 8) +
		    get_be32((uint8_t *)over + 36) - 4;
		/* Back over FDT_END and four FDT_END_NODE to the value. */
		p -= 4 * 4;
		assert_int_equal(get_be32(p), 2);
		p -= 4;
		assert_int_equal(get_be32(p), 0);
		assert_int_equal(get_be32(p - 8), 4);
		for (int j = 0; j < 4; j++)
			p[j] = (uint8_t)(offsets[i] >> (24 - 8 * j));
		refuse(sizeof(overlay_over), -EBADMSG, "references do not point");
	}
}

static void what_the_tree_lacks_is_an_error(void **state)
{
	uint8_t *p;

	/* The label is a name in the strings block: u becomes v. */
	take_overlay();
	p = memmem(over, sizeof(overlay_over), "\0u\0pic", 6);
	assert_non_null(p);
	p[1] = 'v';
	refuse(sizeof(overlay_over), -EBADMSG, "what the tree does not have");
	take_overlay();
	replace("/soc", "/sox");
	refuse(sizeof(overlay_over), -EBADMSG, "what the tree does not have");
	/* A path without its end. */
	take_overlay();
	p = memmem(over, sizeof(overlay_over), "/soc", 5);
	assert_non_null(p);
	assert_int_equal(get_be32(p - 8), 5);
	p[-5] = 4;
	refuse(sizeof(overlay_over), -EBADMSG, "references do not point");
	/* A tree that is no overlay. */
	memset(over, 0, sizeof(over));
	memcpy(over, overlay_base, sizeof(overlay_base));
	refuse(sizeof(overlay_base), -EBADMSG, "references do not point");
}

static void damaged_overlays_are_errors_or_trees(void **state)
{
	unsigned int good = 0;

	for (size_t len = 0; len < sizeof(overlay_over); len++) {
		take_overlay();
		assert_true(apply(len, NULL) < 0);
	}
	for (size_t at = 0; at < sizeof(overlay_over); at++) {
		static const uint8_t flips[] = { 0x01, 0x04, 0x20, 0x80, 0xff };

		for (size_t i = 0; i < VMM_ARRAY_LEN(flips); i++) {
			take_overlay();
			((uint8_t *)over)[at] ^= flips[i];
			if (apply(sizeof(overlay_over), NULL) < 0)
				continue;
			assert_int_equal(vmm_fdt_check(out, out_len, NULL), 0);
			good++;
		}
	}
	/* Some only change a value. */
	assert_true(good > 10);
}

/* Structure block of nodes that are begun and ended, each of @p width below the last. */
static size_t make_tree(uint32_t depth, uint32_t properties)
{
	static const char strings[] = "p";
	uint8_t *b = (uint8_t *)over, *p = b + 56;
	uint32_t tags[7], n, len;

	memset(over, 0, sizeof(over));
#define PUT(v)                                               \
	do {                                                 \
		n = (v);                                     \
		for (int k = 0; k < 4; k++)                  \
			*p++ = (uint8_t)(n >> (24 - 8 * k)); \
	} while (0)
	for (uint32_t i = 0; i < depth; i++) {
		PUT(1);
		/* "" for the root, else "a". */
		PUT(i ? 0x61000000u : 0);
	}
	for (uint32_t i = 0; i < properties; i++) {
		PUT(3);
		PUT(0);
		PUT(0);
	}
	for (uint32_t i = 0; i < depth; i++)
		PUT(2);
	PUT(9);
	len = (uint32_t)(p - b) - 56;
	memcpy(p, strings, sizeof(strings));
	p = b;
	tags[0] = 0xd00dfeed;
	tags[1] = 56 + len + 2;
	tags[2] = 56;
	tags[3] = 56 + len;
	tags[4] = 40;
	tags[5] = 17;
	tags[6] = 16;
	for (size_t i = 0; i < 7; i++)
		PUT(tags[i]);
	PUT(0);
	PUT(2);
	PUT(len);
#undef PUT
	return tags[1];
}

/* libfdt goes into each level by recursion. */
static void deep_and_large_overlays_are_refused(void **state)
{
	refuse(make_tree(66, 0), -E2BIG, "levels");
	refuse(make_tree(65, 0), -EBADMSG, "overlay");
	refuse(make_tree(600, 0), -E2BIG, "levels");
	refuse(make_tree(2, 500), -EBADMSG, "overlay");
	refuse(make_tree(2, 1100), -E2BIG, "more than 1024 nodes, properties");
	take_overlay();
	/* Length by its header. */
	((uint8_t *)over)[5] = 1;
	refuse(0x20000, -E2BIG, "65536");
}

static void room_and_places_are_checked(void **state)
{
	struct vmm_error err;
	size_t len, want;

	take_overlay();
	assert_int_equal(apply(sizeof(overlay_over), NULL), 0);
	want = out_len;
	for (size_t size = 0; size < want; size += 8)
		assert_int_equal(vmm_fdt_apply_overlay(base, sizeof(overlay_base), over,
						       sizeof(overlay_over), out, size,
						       &len, &err),
				 -ENOSPC);
	assert_int_equal(vmm_fdt_apply_overlay(base, sizeof(overlay_base), over,
					       sizeof(overlay_over), (uint8_t *)out + 4,
					       ROOM - 8, &len, &err),
			 -EINVAL);
	assert_int_equal(vmm_fdt_apply_overlay((uint8_t *)base + 4, 64, over,
					       sizeof(overlay_over), out, ROOM, &len,
					       &err),
			 -EINVAL);
	assert_int_equal(vmm_fdt_apply_overlay(base, sizeof(overlay_base) - 1, over,
					       sizeof(overlay_over), out, ROOM, &len,
					       &err),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overlay_changes_and_adds),
		cmocka_unit_test(references_outside_of_a_property_are_refused),
		cmocka_unit_test(what_the_tree_lacks_is_an_error),
		cmocka_unit_test(damaged_overlays_are_errors_or_trees),
		cmocka_unit_test(deep_and_large_overlays_are_refused),
		cmocka_unit_test(room_and_places_are_checked),
	};
	struct vmm_fdt *fdt = NULL;

	if (vmm_fdt_new(&fdt) == -EOPNOTSUPP)
		return test_skip_all("built without libfdt");
	vmm_fdt_free(fdt);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/base.h>

_Static_assert(sizeof(struct vmm_error) == 256, "part of the ABI");

static void an_error_carries_code_numbers_and_text(void **state)
{
	struct vmm_error err;

	memset(&err, 0xff, sizeof(err));
	assert_int_equal(vmm_error_at(&err, -EBADMSG, 18, 62, 183, "machine %d", 183),
			 -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
	assert_int_equal(err.reserved_, 0);
	assert_int_equal(err.where, 18);
	assert_int_equal(err.wanted, 62);
	assert_int_equal(err.got, 183);
	assert_string_equal(err.message, "machine 183");
}

static void numbers_are_zero_where_none_are_given(void **state)
{
	struct vmm_error err;

	memset(&err, 0xff, sizeof(err));
	assert_int_equal(vmm_error_set(&err, -EINVAL, "no kernel"), -EINVAL);
	assert_int_equal(err.where | err.wanted | err.got, 0);
	assert_string_equal(err.message, "no kernel");
}

static void no_place_for_the_detail_is_fine(void **state)
{
	assert_int_equal(vmm_error_set(NULL, -ENOENT, "lost"), -ENOENT);
}

static void a_long_message_is_cut_not_spilled(void **state)
{
	struct vmm_error err;
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(vmm_error_set(&err, -EINVAL, "%s", text), -EINVAL);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_carries_code_numbers_and_text),
		cmocka_unit_test(numbers_are_zero_where_none_are_given),
		cmocka_unit_test(no_place_for_the_detail_is_fine),
		cmocka_unit_test(a_long_message_is_cut_not_spilled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

/* The fuzz target has the model; here it gets inputs from a seed. */
#undef PAGE
#include "../fuzz/fuzz-access.c"

static void random_calls_match_a_model(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();
	uint8_t input[600];

	for (int i = 0; i < 120; i++) {
		size_t len = vmm_test_below(&rng, sizeof(input)) + 1;

		for (size_t k = 0; k < len; k++)
			input[k] = (uint8_t)vmm_test_below(&rng, 256);
		assert_int_equal(LLVMFuzzerTestOneInput(input, len), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

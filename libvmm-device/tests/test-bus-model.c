/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include "bus-model.h"

static void random_calls_match_an_array(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (unsigned kind = 0; kind < 5; kind++) {
		struct model m;

		assert_true(model_new(&m, kind));
		for (int i = 0; i < 12000; i++) {
			uint8_t op[4];

			for (int b = 0; b < 4; b++)
				op[b] = (uint8_t)vmm_test_below(&rng, 256);
			if (!model_step(&m, op))
				fail_msg("kind %u step %d: %u %u %u %u", kind, i, op[0],
					 op[1], op[2], op[3]);
		}
		vmm_bus_reader_free(m.reader);
		vmm_bus_free(m.bus);
	}
}

/* Ranges of any size anywhere: the buckets must find each edge of each. */
static void scattered_ranges_are_found_at_their_edges(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (int round = 0; round < 60; round++) {
		VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = NULL;
		struct vmm_bus_info info;
		uint64_t addr = 0;
		int n = 0;

		assert_int_equal(vmm_bus_new(UINT64_MAX, &bus), 0);
		for (int i = 0; i < 60; i++) {
			uint64_t base = (uint64_t)vmm_test_below(&rng, UINT32_MAX)
					<< vmm_test_below(&rng, 32);
			uint64_t len = 1 + ((uint64_t)vmm_test_below(&rng, UINT32_MAX) >>
					    vmm_test_below(&rng, 32));

			n += vmm_bus_add(bus, base, len, &model_ops, &info) == 0;
		}
		assert_int_equal(vmm_bus_get_count(bus), n);
		for (int i = 0; i < n; i++, addr = info.last + 1) {
			struct vmm_bus_info last;

			assert_int_equal(vmm_bus_next(bus, addr, &info), 0);
			assert_int_equal(vmm_bus_find(bus, info.last, &last), 0);
			assert_true(last.base == info.base);
			assert_true(vmm_bus_write(bus, info.base, "", 0));
			assert_true(vmm_bus_write(bus, info.last, "", 0));
			assert_int_equal(
			    info.base > 0 && vmm_bus_write(bus, info.base - 1, "", 0),
			    info.base > 0 &&
				vmm_bus_find(bus, info.base - 1, &last) == 0);
			assert_int_equal(info.last < UINT64_MAX &&
					     vmm_bus_write(bus, info.last + 1, "", 0),
					 info.last < UINT64_MAX &&
					     vmm_bus_find(bus, info.last + 1, &last) ==
						 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_match_an_array),
		cmocka_unit_test(scattered_ranges_are_found_at_their_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

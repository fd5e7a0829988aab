/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "../tests/bus-model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte picks the kind of bus; then four bytes are one step, and the bus must do
 * what the array does. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model m;

	if (size == 0 || !model_new(&m, data[0]))
		return 0;
	for (size_t i = 1; i + 4 <= size; i += 4) {
		if (!model_step(&m, data + i))
			__builtin_trap();
	}
	vmm_bus_reader_free(m.reader);
	vmm_bus_free(m.bus);
	return 0;
}

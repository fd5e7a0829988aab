/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <vmm/loader-x86.h>

int vmm_load_x86_reset_vector(const struct vmm_mem *mem, uint16_t port, uint8_t value,
			      struct vmm_error *err)
{
	/* Real mode: mov dx, port; mov al, value; out dx, al; then cli; hlt for good, in
	 * case the machine goes on. */
	const uint8_t code[VMM_LOAD_X86_RESET_VECTOR_LEN] = {
		0xba, (uint8_t)port, (uint8_t)(port >> 8), 0xb0, value, 0xee, 0xfa, 0xf4,
		0xeb, 0xfc,
	};
	int ret = vmm_mem_write(mem, VMM_LOAD_X86_RESET_VECTOR, code, sizeof(code));

	if (ret < 0)
		return vmm_error_at(err, ret, VMM_LOAD_X86_RESET_VECTOR, sizeof(code), 0,
				    "reset vector: no writable memory at 0x%x",
				    VMM_LOAD_X86_RESET_VECTOR);
	return 0;
}

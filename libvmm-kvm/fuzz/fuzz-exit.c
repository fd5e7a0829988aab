/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static void check_span(const uint8_t *page, size_t len, const void *at, size_t span)
{
	const uint8_t *p = at;

	check(p >= page && span <= len && (size_t)(p - page) <= len - span);
}

/* The input is a run page: whatever it says, no pointer leaves it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_kvm_exit exit;
	uint8_t *page = malloc(size > 0 ? size : 1);
	char text[64];

	if (!page)
		return 0;
	if (size > 0)
		memcpy(page, data, size);
	if (kvm_exit_decode(page, size, &exit) == 0) {
		check(size >= sizeof(struct kvm_run));
		switch (exit.reason) {
		case VMM_KVM_EXIT_IO:
			check(exit.u.io.len == exit.u.io.count * exit.u.io.size);
			check_span(page, size, exit.u.io.data, exit.u.io.len);
			memset(exit.u.io.data, 0, exit.u.io.len);
			break;
		case VMM_KVM_EXIT_MMIO:
			check_span(page, size, exit.u.mmio.data, exit.u.mmio.len);
			memset(exit.u.mmio.data, 0, exit.u.mmio.len);
			break;
		case VMM_KVM_EXIT_INTERNAL_ERROR:
			check_span(page, size, exit.u.internal_error.data,
				   exit.u.internal_error.ndata * sizeof(uint64_t));
			check(exit.u.internal_error.insn_len <= 15);
			break;
		case VMM_KVM_EXIT_SYSTEM_EVENT:
			check_span(page, size, exit.u.system_event.data,
				   exit.u.system_event.ndata * sizeof(uint64_t));
			break;
		case VMM_KVM_EXIT_OSI:
			check_span(page, size, exit.u.osi.gprs, 32 * sizeof(uint64_t));
			break;
		default:
			break;
		}
		(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	}
	free(page);
	return 0;
}

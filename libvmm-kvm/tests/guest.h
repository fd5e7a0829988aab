/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_GUEST_H
#define TESTS_GUEST_H

/* A bare-metal guest on the real /dev/kvm: 64 KiB of memory from address 0, and code at
 * 0x1000 that starts in 32-bit protected mode. */

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/kvm-x86.h>

enum { GUEST_MEMORY = 0x10000, GUEST_CODE = 0x1000 };

struct guest {
	struct vmm_kvm *kvm;
	struct vmm_kvm_vm *vm;
	struct vmm_kvm_vcpu *vcpu;
	uint8_t *memory;
	uint32_t slot;
};

static inline struct guest guest_without_vcpu(void)
{
	struct guest g = { 0 };
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;

	g.memory = aligned_alloc(4096, GUEST_MEMORY);
	assert_non_null(g.memory);
	memset(g.memory, 0, GUEST_MEMORY);
	assert_int_equal(vmm_kvm_open(NULL, &g.kvm, NULL), 0);
	assert_int_equal(
	    vmm_kvm_vm_open(g.kvm, vmm_kvm_get_default_vm_type(g.kvm), &g.vm, NULL), 0);
	memory.len = GUEST_MEMORY;
	memory.host = g.memory;
	assert_int_equal(vmm_kvm_vm_add_memory(g.vm, &memory, &g.slot, NULL), 0);
	return g;
}

static inline void guest_start(struct guest *g, const uint8_t *code, size_t len)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;

	memcpy(g->memory + GUEST_CODE, code, len);
	boot.mode = VMM_KVM_X86_PROTECTED32;
	boot.rip = GUEST_CODE;
	boot.rsp = GUEST_CODE;
	assert_int_equal(vmm_kvm_vcpu_set_boot_regs(g->vcpu, &boot), 0);
}

static inline struct guest guest_new(const uint8_t *code, size_t len)
{
	struct guest g = guest_without_vcpu();

	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	guest_start(&g, code, len);
	return g;
}

static inline void guest_free(struct guest *g)
{
	vmm_kvm_vcpu_close(g->vcpu);
	vmm_kvm_vm_close(g->vm);
	vmm_kvm_close(g->kvm);
	free(g->memory);
}

#define VMM_GUEST_CLEANUP __attribute__((cleanup(guest_free)))

/* Runs until the next exit; signals do not count. */
static inline struct vmm_kvm_exit guest_run(struct guest *g)
{
	struct vmm_kvm_exit exit;
	char text[200];
	int ret;

	do {
		ret = vmm_kvm_vcpu_run(g->vcpu, &exit);
	} while (ret == -EINTR);
	assert_int_equal(ret, 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	if (getenv("VMM_TEST_VERBOSE"))
		fprintf(stderr, "# exit: %s\n", text);
	return exit;
}

/* Leaves the one test and says why. */
#define NEED(condition, reason)                \
	do {                                   \
		if (!(condition)) {            \
			vmm_test_skip(reason); \
			return;                \
		}                              \
	} while (0)

/* Whether this machine has a KVM; if not, says in TAP that all tests are skipped. */
static inline bool have_kvm(void)
{
	struct vmm_error err;
	struct vmm_kvm *kvm = NULL;

	if (vmm_kvm_open(NULL, &kvm, &err) < 0) {
		printf("1..0 # SKIP %s\n", err.message);
		return false;
	}
	vmm_kvm_close(kvm);
	return true;
}

#endif

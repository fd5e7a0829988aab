/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* As a consumer of the installed library sees it: only public headers, only the .so. */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/kvm-arm64.h>
#include <vmm/kvm-device.h>
#include <vmm/kvm-memory.h>
#include <vmm/kvm-threads.h>
#include <vmm/kvm-x86.h>

_Static_assert(sizeof(struct vmm_kvm_exit) == 48, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_memory) == 48, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_ioeventfd) == 40, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_x86_topology) == 32, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_x86_boot) == 96, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_arm64_boot) == 24, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_arm64_gic) == 40, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_dirty_page) == 16, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_coalesced_write) == 24, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_stat) == 32, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_threads_ops) == 48, "part of the ABI");
_Static_assert(sizeof(struct vmm_kvm_threads_stats) == 24 + 128 * 8, "part of the ABI");

static void a_machine_that_is_not_there_is_told_in_one_line(void **state)
{
	struct vmm_kvm *kvm = NULL;
	struct vmm_error err;

	errno = 77;
	assert_int_equal(vmm_kvm_open("/nonexistent/kvm", &kvm, &err), -ENOENT);
	assert_int_equal(errno, 77);
	assert_null(kvm);
	assert_non_null(strstr(err.message, "/nonexistent/kvm"));
	assert_null(strchr(err.message, '\n'));
	vmm_kvm_close(NULL);
	vmm_kvm_vm_close(NULL);
	vmm_kvm_vcpu_close(NULL);
	vmm_kvm_device_close(NULL);
	vmm_kvm_stats_close(NULL);
	vmm_kvm_dirty_ring_close(NULL);
	vmm_kvm_coalesced_close(NULL);
	vmm_kvm_threads_free(NULL);
}

static void calls_of_the_other_architecture_say_so(void **state)
{
#if defined(__x86_64__)
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct vmm_kvm_arm64_gic_device *device = NULL;

	assert_int_equal(vmm_kvm_arm64_gic_open(NULL, &gic, &device, NULL), -EOPNOTSUPP);
	assert_null(device);
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(NULL, 0, NULL, NULL), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_arm64_init(NULL, NULL), -EOPNOTSUPP);
	vmm_kvm_arm64_gic_close(NULL);
#else
	struct vmm_kvm_x86_cpuid *cpuid = NULL;

	assert_int_equal(vmm_kvm_vm_create_pit2(NULL, 0), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_get_supported_cpuid(NULL, &cpuid), -EOPNOTSUPP);
	assert_null(cpuid);
	vmm_kvm_x86_cpuid_free(NULL);
#endif
}

static void pure_functions_need_no_machine(void **state)
{
	assert_int_equal(vmm_kvm_dirty_words(65 * 4096, 4096), 2);
	assert_int_equal(vmm_kvm_reg_size(KVM_REG_SIZE_U64), 8);
	assert_string_equal(vmm_kvm_exit_name(VMM_KVM_EXIT_MMIO), "mmio");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_that_is_not_there_is_told_in_one_line),
		cmocka_unit_test(calls_of_the_other_architecture_say_so),
		cmocka_unit_test(pure_functions_need_no_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

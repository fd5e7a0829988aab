/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A bare-metal arm64 guest on the real /dev/kvm. */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/kvm-arm64.h>

enum { MEMORY = 0x10000 };
#define RAM UINT64_C(0x40000000)

static const uint32_t code[] = {
	0xd2a12001, /* mov x1, #0x9000000 */
	0x52800902, /* mov w2, #'H' */
	0x39000022, /* strb w2, [x1] */
	0x52800d22, /* mov w2, #'i' */
	0x39000022, /* strb w2, [x1] */
	0xd2b08000, /* mov x0, #0x84000000 */
	0xf2800100, /* movk x0, #8: PSCI SYSTEM_OFF */
	0xd4000002, /* hvc #0 */
	0x14000000, /* b . */
};

static void a_guest_prints_and_switches_itself_off(void **state)
{
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct vmm_kvm_arm64_boot boot = VMM_KVM_ARM64_BOOT_INIT;
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct vmm_kvm_arm64_gic_device *device = NULL;
	struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_vm *vm = NULL;
	struct vmm_kvm_vcpu *first = NULL, *second = NULL;
	void *ram = aligned_alloc(65536, MEMORY);
	struct vmm_kvm_exit exit;
	struct vmm_error err = { 0 };
	char text[3] = "";
	uint64_t x0 = 0;
	uint32_t mp = 99;
	size_t count = 0;

	assert_non_null(ram);
	memset(ram, 0, MEMORY);
	memcpy(ram, code, sizeof(code));
	memory.gpa = RAM;
	memory.len = MEMORY;
	memory.host = ram;
	gic.dist_gpa = 0x8000000;
	gic.cpu_gpa = 0x80a0000;
	boot.pc = RAM;
	boot.x0 = 0x1234;
	assert_int_equal(vmm_kvm_open(NULL, &kvm, &err), 0);
	assert_int_equal(vmm_kvm_probe_linux(kvm, &err), 0);
	assert_int_equal(
	    vmm_kvm_vm_open(kvm, vmm_kvm_get_default_vm_type(kvm), &vm, &err), 0);
	assert_int_equal(vmm_kvm_vm_add_memory(vm, &memory, NULL, &err), 0);
	assert_int_equal(vmm_kvm_vcpu_open(vm, 0, &first, &err), 0);
	assert_int_equal(vmm_kvm_vcpu_open(vm, 1, &second, &err), 0);
	assert_int_equal(vmm_kvm_vcpu_get_reg_list(first, NULL, 0, &count), -ENOEXEC);
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(first, 0, &boot, &err), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(second, 0, NULL, &err), 0);
	assert_int_equal(vmm_kvm_arm64_gic_open(vm, &gic, &device, &err), 0);
	assert_int_equal(vmm_kvm_arm64_gic_start(device), 0);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(second, &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_STOPPED);
	assert_int_equal(vmm_kvm_vcpu_get_reg_list(first, NULL, 0, &count), 0);
	assert_true(count > 33);
	assert_int_equal(
	    vmm_kvm_vcpu_get_one_reg(first, vmm_kvm_arm64_core_reg(0), &x0, sizeof(x0)),
	    0);
	assert_int_equal(x0, 0x1234);

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(vmm_kvm_vcpu_run(first, &exit), 0);
		assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
		assert_int_equal(exit.u.mmio.gpa, 0x9000000);
		assert_int_equal(exit.u.mmio.is_write, 1);
		text[i] = (char)exit.u.mmio.data[0];
	}
	assert_string_equal(text, "Hi");
	assert_int_equal(vmm_kvm_vcpu_run(first, &exit), 0);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_SYSTEM_EVENT);
	assert_int_equal(exit.u.system_event.type, KVM_SYSTEM_EVENT_SHUTDOWN);
	vmm_kvm_arm64_gic_close(device);
	vmm_kvm_vcpu_close(second);
	vmm_kvm_vcpu_close(first);
	vmm_kvm_vm_close(vm);
	vmm_kvm_close(kvm);
	free(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_prints_and_switches_itself_off),
	};
	struct vmm_error err;
	struct vmm_kvm *kvm = NULL;

	if (vmm_kvm_open(NULL, &kvm, &err) < 0) {
		printf("1..0 # SKIP %s\n", err.message);
		return 0;
	}
	vmm_kvm_close(kvm);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

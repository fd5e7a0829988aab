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

/* A machine of two vCPUs, the second of which waits. */
struct board {
	struct vmm_kvm_vm *vm;
	struct vmm_kvm_vcpu *vcpus[2];
	struct vmm_kvm_arm64_gic_device *gic;
	void *ram;
};

static struct board board_new(struct vmm_kvm *kvm)
{
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct board b = { .ram = aligned_alloc(65536, MEMORY) };
	struct vmm_error err = { 0 };

	assert_non_null(b.ram);
	memset(b.ram, 0, MEMORY);
	memory.gpa = RAM;
	memory.len = MEMORY;
	memory.host = b.ram;
	assert_int_equal(
	    vmm_kvm_vm_open(kvm, vmm_kvm_get_default_vm_type(kvm), &b.vm, &err), 0);
	assert_int_equal(vmm_kvm_vm_add_memory(b.vm, &memory, NULL, &err), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(vmm_kvm_vcpu_open(b.vm, i, &b.vcpus[i], &err), 0);
	return b;
}

static void board_add_gic(struct board *b)
{
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct vmm_error err = { 0 };

	gic.dist_gpa = 0x8000000;
	gic.cpu_gpa = 0x80a0000;
	gic.its_gpa = 0x8080000;
	if (vmm_kvm_arm64_gic_open(b->vm, &gic, &b->gic, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(vmm_kvm_arm64_gic_start(b->gic), 0);
}

static void board_free(struct board *b)
{
	vmm_kvm_arm64_gic_close(b->gic);
	vmm_kvm_vcpu_close(b->vcpus[1]);
	vmm_kvm_vcpu_close(b->vcpus[0]);
	vmm_kvm_vm_close(b->vm);
	free(b->ram);
}

static char next_letter(struct vmm_kvm_vcpu *vcpu)
{
	struct vmm_kvm_exit exit;

	assert_int_equal(vmm_kvm_vcpu_run(vcpu, &exit), 0);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
	return (char)exit.u.mmio.data[0];
}

static struct vmm_kvm_state *travel(struct vmm_kvm_state *state)
{
	struct vmm_kvm_state *out = NULL;
	struct vmm_error err = { 0 };
	size_t len;
	const void *data = vmm_kvm_state_get_data(state, &len);

	if (vmm_kvm_state_parse(data, len, &out, &err) < 0)
		fail_msg("%s", err.message);
	vmm_kvm_state_free(state);
	return out;
}

/* GICD_CTLR and GICD_ISENABLER1 of a controller. */
static uint64_t gic_register(struct board *b, uint32_t offset)
{
	struct vmm_kvm_state *state = NULL;
	struct vmm_error err = { 0 };
	struct vmm_kvm_state_attr a;
	uint64_t value = UINT64_MAX;
	const uint8_t *data;
	size_t len;

	if (vmm_kvm_arm64_gic_save(b->gic, b->vcpus, 2, &state, &err) < 0)
		fail_msg("%s", err.message);
	data = vmm_kvm_state_find(state, VMM_KVM_STATE_GIC_REGS, &len);
	for (size_t at = 0; at < len; at += sizeof(a)) {
		memcpy(&a, data + at, sizeof(a));
		if (a.group == 1 && a.attr == offset)
			value = a.value;
	}
	vmm_kvm_state_free(state);
	return value;
}

static void a_guest_goes_on_in_another_machine(void **state)
{
	/* mov w2, #0x20; str w2, [GICD_ISENABLER1] before the letters. */
	static const uint32_t enable[] = {
		0xd2a10003, /* mov x3, #0x8000000 */
		0x52800402, /* mov w2, #0x20 */
		0xb9010462, /* str w2, [x3, #0x104] */
	};
	struct vmm_kvm_arm64_boot boot = VMM_KVM_ARM64_BOOT_INIT;
	struct vmm_kvm_state *vcpus[2] = { NULL }, *vm = NULL, *gic = NULL;
	struct vmm_error err = { 0 };
	struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_exit exit;
	struct board a, b;
	uint32_t mp = 99, psci = 0;

	assert_int_equal(vmm_kvm_open(NULL, &kvm, &err), 0);
	a = board_new(kvm);
	memcpy(a.ram, enable, sizeof(enable));
	memcpy((uint8_t *)a.ram + sizeof(enable), code, sizeof(code));
	boot.pc = RAM;
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(a.vcpus[0], 0, &boot, &err), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(a.vcpus[1], 0, NULL, &err), 0);
	board_add_gic(&a);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_psci(a.vcpus[0], &psci), 0);
	assert_true(psci >= 2);
	assert_int_equal(next_letter(a.vcpus[0]), 'H');
	vmm_kvm_vcpu_kick(a.vcpus[0]);
	assert_int_equal(vmm_kvm_vcpu_run(a.vcpus[0], &exit), -EINTR);
	for (int i = 0; i < 2; i++) {
		if (vmm_kvm_vcpu_save(a.vcpus[i], kvm, &vcpus[i], &err) < 0)
			fail_msg("%s", err.message);
		vcpus[i] = travel(vcpus[i]);
	}
	if (vmm_kvm_arm64_gic_save(a.gic, a.vcpus, 2, &gic, &err) < 0 ||
	    vmm_kvm_vm_save(a.vm, NULL, &vm, &err) < 0)
		fail_msg("%s", err.message);
	gic = travel(gic);

	b = board_new(kvm);
	memcpy(b.ram, a.ram, MEMORY);
	for (int i = 0; i < 2; i++)
		if (vmm_kvm_vcpu_restore(b.vcpus[i], vcpus[i], &err) < 0)
			fail_msg("%s", err.message);
	board_add_gic(&b);
	assert_int_equal(gic_register(&b, 0x104), 0);
	if (vmm_kvm_arm64_gic_restore(b.gic, gic, &err) < 0 ||
	    vmm_kvm_vm_restore(b.vm, vm, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(gic_register(&b, 0x104), 0x20);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(b.vcpus[1], &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_STOPPED);
	assert_int_equal(next_letter(b.vcpus[0]), 'i');
	assert_int_equal(vmm_kvm_vcpu_run(b.vcpus[0], &exit), 0);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_SYSTEM_EVENT);

	vmm_kvm_state_free(vcpus[0]);
	vmm_kvm_state_free(vcpus[1]);
	vmm_kvm_state_free(vm);
	vmm_kvm_state_free(gic);
	board_free(&a);
	board_free(&b);
	vmm_kvm_close(kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_prints_and_switches_itself_off),
		cmocka_unit_test(a_guest_goes_on_in_another_machine),
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

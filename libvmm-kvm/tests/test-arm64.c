/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <vmm/kvm-arm64.h>

/* The third that the fake hands out. */
enum { VCPU_FD = FAKE_FD_FIRST + 2 };

static struct kvm_vcpu_init seen_init;
static uint64_t reg_ids[16], reg_values[16];
static size_t regs;
static struct kvm_device_attr attrs[16];
static uint64_t attr_values[16];
static size_t attr_count;
static uint32_t device_types[4];
static size_t devices;
static int ipa_bits;

/* Group 0 is addresses, of 64 bits, for a device and the performance monitor for a vCPU.
 */
static void remember_attr(int fd, const struct kvm_device_attr *attr)
{
	bool wide = attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR && fd != VCPU_FD;

	attrs[attr_count] = *attr;
	attr_values[attr_count] = 0;
	if (attr->addr)
		memcpy(&attr_values[attr_count], (const void *)(uintptr_t)attr->addr,
		       wide ? 8 : 4);
	attr_count++;
}

static int answer(int fd, unsigned long request, void *arg)
{
	struct kvm_one_reg *reg = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_ARM_VM_IPA_SIZE ? ipa_bits : 0;
	case KVM_ARM_PREFERRED_TARGET:
		((struct kvm_vcpu_init *)arg)->target = 5;
		return 0;
	case KVM_ARM_VCPU_INIT:
		memcpy(&seen_init, arg, sizeof(seen_init));
		return 0;
	case KVM_SET_ONE_REG:
		reg_ids[regs] = reg->id;
		memcpy(&reg_values[regs++], (const void *)(uintptr_t)reg->addr, 8);
		return 0;
	case KVM_CREATE_DEVICE:
		device_types[devices++] = ((struct kvm_create_device *)arg)->type;
		((struct kvm_create_device *)arg)->fd = (__u32)fake_new_fd();
		return 0;
	case KVM_SET_DEVICE_ATTR:
		remember_attr(fd, arg);
		return 0;
	default:
		return -ENOSYS;
	}
}

static struct fake_machine machine(void)
{
	struct fake_machine m = fake_machine();

	fake.answer = answer;
	regs = attr_count = devices = 0;
	return m;
}

static void the_type_of_a_machine_is_its_address_size(void **state)
{
	FAKE_MACHINE m = machine();

	ipa_bits = 0;
	assert_int_equal(vmm_kvm_get_host_ipa_limit(m.kvm), 0);
	assert_int_equal(vmm_kvm_get_default_vm_type(m.kvm), 0);
	ipa_bits = 44;
	assert_int_equal(vmm_kvm_get_host_ipa_limit(m.kvm), 44);
	assert_int_equal(vmm_kvm_get_default_vm_type(m.kvm), 44);
}

static void the_first_vcpu_boots_and_the_others_wait(void **state)
{
	struct vmm_kvm_arm64_boot boot = VMM_KVM_ARM64_BOOT_INIT;
	FAKE_MACHINE m = machine();

	boot.pc = 0x40080000;
	boot.x0 = 0x48000000;
	assert_int_equal(
	    vmm_kvm_vcpu_arm64_setup(m.vcpu, 1u << KVM_ARM_VCPU_PMU_V3, &boot, NULL), 0);
	assert_int_equal(seen_init.target, 5);
	assert_int_equal(seen_init.features[0],
			 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3);
	assert_int_equal(regs, 6);
	/* Ids as the kernel's documentation gives them. */
	assert_true(reg_ids[0] == UINT64_C(0x6030000000100042));
	assert_int_equal(reg_values[0], 0x3c5);
	assert_true(reg_ids[1] == UINT64_C(0x6030000000100040));
	assert_int_equal(reg_values[1], 0x40080000);
	assert_true(reg_ids[2] == UINT64_C(0x6030000000100000));
	assert_int_equal(reg_values[2], 0x48000000);
	assert_true(reg_ids[5] == UINT64_C(0x6030000000100006));
	assert_int_equal(reg_values[5], 0);

	regs = 0;
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(m.vcpu, 0, NULL, NULL), 0);
	assert_int_equal(seen_init.features[0],
			 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_POWER_OFF);
	assert_int_equal(regs, 0);
}

static void each_step_of_the_setup_may_fail(void **state)
{
	static const char *const words[] = { "no processor", "features", "boot registers",
					     "boot registers" };
	struct vmm_kvm_arm64_boot boot = VMM_KVM_ARM64_BOOT_INIT;
	FAKE_MACHINE m = machine();
	struct {
		struct vmm_kvm_arm64_boot boot;
		uint64_t more;
	} wide = { .boot = VMM_KVM_ARM64_BOOT_INIT, .more = 1 };

	for (unsigned int i = 0; i < VMM_ARRAY_LEN(words); i++) {
		struct vmm_error err;

		regs = 0;
		fake.fail_at = fake.calls + 1 + i;
		assert_int_equal(vmm_kvm_vcpu_arm64_setup(m.vcpu, 0, &boot, &err), -EIO);
		assert_non_null(strstr(err.message, words[i]));
	}
	wide.boot.size = sizeof(wide);
	assert_int_equal(vmm_kvm_vcpu_arm64_setup(m.vcpu, 0, &wide.boot, NULL), -E2BIG);
}

static void an_interrupt_controller_is_placed(void **state)
{
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct vmm_kvm_arm64_gic_device *device = NULL;
	FAKE_MACHINE m = machine();

	gic.dist_gpa = 0x8000000;
	gic.cpu_gpa = 0x80a0000;
	gic.its_gpa = 0x8080000;
	assert_int_equal(vmm_kvm_arm64_gic_open(m.vm, &gic, &device, NULL), 0);
	assert_int_equal(devices, 2);
	assert_int_equal(device_types[0], KVM_DEV_TYPE_ARM_VGIC_V3);
	assert_int_equal(device_types[1], KVM_DEV_TYPE_ARM_VGIC_ITS);
	assert_int_equal(attr_count, 4);
	assert_int_equal(attrs[0].attr, KVM_VGIC_V3_ADDR_TYPE_DIST);
	assert_int_equal(attr_values[0], 0x8000000);
	assert_int_equal(attrs[1].attr, KVM_VGIC_V3_ADDR_TYPE_REDIST);
	assert_int_equal(attr_values[1], 0x80a0000);
	assert_int_equal(attrs[2].group, KVM_DEV_ARM_VGIC_GRP_NR_IRQS);
	assert_int_equal(attr_values[2], 256);
	assert_int_equal(attrs[3].attr, KVM_VGIC_ITS_ADDR_TYPE);
	assert_int_equal(attr_values[3], 0x8080000);
	attr_count = 0;
	assert_int_equal(vmm_kvm_arm64_gic_start(device), 0);
	assert_int_equal(attr_count, 2);
	assert_int_equal(attrs[0].group, KVM_DEV_ARM_VGIC_GRP_CTRL);
	assert_int_equal(attrs[0].attr, KVM_DEV_ARM_VGIC_CTRL_INIT);
	vmm_kvm_arm64_gic_close(device);
	vmm_kvm_arm64_gic_close(NULL);
}

static void impossible_controllers_are_refused(void **state)
{
	static const struct {
		uint32_t version, irqs;
		uint64_t dist, cpu, its;
	} cases[] = {
		{ 1, 256, 0, 0, 0 },	  { 4, 256, 0, 0, 0 }, { 3, 32, 0, 0, 0 },
		{ 3, 1056, 0, 0, 0 },	  { 3, 100, 0, 0, 0 }, { 3, 256, 0x1000, 0, 0 },
		{ 3, 256, 0, 0x8000, 0 }, { 3, 256, 0, 0, 1 }, { 2, 256, 0, 0, 0x10000 },
	};
	FAKE_MACHINE m = machine();

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
		struct vmm_kvm_arm64_gic_device *device = NULL;
		struct vmm_error err = { 0 };

		gic.version = cases[i].version;
		gic.irq_count = cases[i].irqs;
		gic.dist_gpa = cases[i].dist;
		gic.cpu_gpa = cases[i].cpu;
		gic.its_gpa = cases[i].its;
		assert_int_equal(vmm_kvm_arm64_gic_open(m.vm, &gic, &device, &err),
				 -EINVAL);
		assert_null(device);
		assert_int_not_equal(err.message[0], '\0');
	}
	assert_int_equal(devices, 0);
}

static void a_controller_that_cannot_be_placed_leaves_nothing(void **state)
{
	struct vmm_kvm_arm64_gic gic = VMM_KVM_ARM64_GIC_INIT;
	struct vmm_kvm_arm64_gic_device *device = NULL;

	gic.its_gpa = 0x10000;
	for (unsigned int n = 1;; n++) {
		FAKE_MACHINE m = machine();
		int ret;

		fake.fail_at = fake.calls + n;
		ret = vmm_kvm_arm64_gic_open(m.vm, &gic, &device, NULL);
		if (ret == 0) {
			vmm_kvm_arm64_gic_close(device);
			assert_int_equal(n, 7);
			break;
		}
		assert_int_equal(ret, -EIO);
		assert_null(device);
	}
}

static void the_performance_monitor_takes_its_interrupt_first(void **state)
{
	FAKE_MACHINE m = machine();

	assert_int_equal(vmm_kvm_vcpu_arm64_enable_pmu(m.vcpu, 23), 0);
	assert_int_equal(attr_count, 2);
	assert_int_equal(attrs[0].attr, KVM_ARM_VCPU_PMU_V3_IRQ);
	assert_int_equal(attr_values[0], 23);
	assert_int_equal(attrs[1].attr, KVM_ARM_VCPU_PMU_V3_INIT);
	attr_count = 0;
	assert_int_equal(vmm_kvm_vcpu_arm64_enable_pmu(m.vcpu, 0), 0);
	assert_int_equal(attr_count, 1);
}

static void thin_calls_ask_what_they_are_named_after(void **state)
{
	const struct kvm_arm_copy_mte_tags copy = { .length = 4096 };
	struct kvm_vcpu_init init = { 0 };
	struct kvm_vcpu_events events = { 0 };
	uint64_t masks[192];
	FAKE_MACHINE m = machine();

	assert_int_equal(vmm_kvm_vm_get_preferred_target(m.vm, &init), 0);
	assert_int_equal(init.target, 5);
	assert_int_equal(vmm_kvm_vcpu_arm64_finalize(m.vcpu, KVM_ARM_VCPU_SVE), 0);
	assert_int_equal(fake.last_request, KVM_ARM_VCPU_FINALIZE);
	assert_int_equal(vmm_kvm_vm_set_counter_offset(m.vm, 7), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_events(m.vcpu, &events), 0);
	assert_int_equal(fake.last_request, KVM_GET_VCPU_EVENTS);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_events(m.vcpu, &events), 0);
	assert_int_equal(fake.last_request, KVM_SET_VCPU_EVENTS);
	assert_int_equal(vmm_kvm_vm_get_writable_masks(m.vm, 0, masks, 192), 0);
	assert_int_equal(vmm_kvm_vm_get_writable_masks(m.vm, 0, masks, 191), -EINVAL);
	assert_int_equal(vmm_kvm_vm_get_writable_masks(m.vm, 1, masks, 192), -EINVAL);
	assert_int_equal(vmm_kvm_vm_copy_mte_tags(m.vm, &copy), 0);
	assert_int_equal(fake.last_request, KVM_ARM_MTE_COPY_TAGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_type_of_a_machine_is_its_address_size),
		cmocka_unit_test(the_first_vcpu_boots_and_the_others_wait),
		cmocka_unit_test(each_step_of_the_setup_may_fail),
		cmocka_unit_test(an_interrupt_controller_is_placed),
		cmocka_unit_test(impossible_controllers_are_refused),
		cmocka_unit_test(a_controller_that_cannot_be_placed_leaves_nothing),
		cmocka_unit_test(the_performance_monitor_takes_its_interrupt_first),
		cmocka_unit_test(thin_calls_ask_what_they_are_named_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

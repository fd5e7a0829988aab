/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <vmm/kvm-riscv64.h>

static uint64_t reg_ids[8], reg_values[8];
static unsigned int regs, attrs;
static struct kvm_device_attr seen[16];
static uint64_t seen_values[16];
static uint32_t seen_mp;
static uint32_t seen_type;

static int answer(int fd, unsigned long request, void *arg)
{
	const struct kvm_one_reg *reg = arg;
	const struct kvm_device_attr *attr = arg;

	switch (request) {
	case KVM_SET_ONE_REG:
		reg_ids[regs % 8] = reg->id;
		memcpy(&reg_values[regs++ % 8], (const void *)(uintptr_t)reg->addr,
		       vmm_kvm_reg_size(reg->id));
		return 0;
	case KVM_GET_ONE_REG:
		memset((void *)(uintptr_t)reg->addr, 0x11, vmm_kvm_reg_size(reg->id));
		return 0;
	case KVM_SET_MP_STATE:
		seen_mp = ((struct kvm_mp_state *)arg)->mp_state;
		return 0;
	case KVM_CREATE_DEVICE:
		seen_type = ((struct kvm_create_device *)arg)->type;
		((struct kvm_create_device *)arg)->fd = (__u32)fake_new_fd();
		return 0;
	case KVM_SET_DEVICE_ATTR:
		seen[attrs % 16] = *attr;
		seen_values[attrs % 16] = 0;
		if (attr->addr)
			memcpy(&seen_values[attrs % 16],
			       (const void *)(uintptr_t)attr->addr,
			       attr->group == 1 ? 8 : 4);
		attrs++;
		return 0;
	default:
		return -ENOSYS;
	}
}

static struct fake_machine machine(void)
{
	struct fake_machine m;

	fake_sys.arch = KVM_ARCH_RISCV64;
	m = fake_machine();
	fake.answer = answer;
	regs = attrs = 0;
	return m;
}

static void names_are_ids_and_back(void **state)
{
	static const struct {
		const char *name;
		uint64_t id;
	} cases[] = {
		{ "pc", 0x8030000002000000 },
		{ "a0", 0x803000000200000a },
		{ "a1", 0x803000000200000b },
		{ "t6", 0x803000000200001f },
		{ "mode", 0x8030000002000020 },
		{ "csr.sstatus", 0x8030000003000000 },
		{ "csr.satp", 0x8030000003000008 },
		{ "csr.siselect", 0x8030000003010000 },
		{ "csr.iprio2h", 0x8030000003010006 },
		{ "csr.sstateen0", 0x8030000003020000 },
		{ "timer.time", 0x8030000004000001 },
		{ "config.isa", 0x8030000001000000 },
		{ "isa.a", 0x8030000007000000 },
		{ "isa.v", 0x803000000700000f },
		{ "isa.zicond", 0x8030000007000018 },
		{ "sbi.hsm", 0x8030000008000005 },
		{ "sbi.dbcn", 0x8030000008000009 },
		{ "f.0", 0x8020000005000000 },
		{ "f.31", 0x802000000500001f },
		{ "f.fcsr", 0x8020000005000020 },
		{ "d.7", 0x8030000006000007 },
		{ "d.fcsr", 0x8020000006000020 },
	};
	static const char *const strange[] = {
		"",	 "p",	 "pcc",	 "a8",	  "csr.",    "sstatus", "f.",  "f.32",
		"f.007", "f.01", "d.-1", "f.999", "isa.xyz", "f.1x",	"e.1", "d",
	};
	char buf[32];
	uint64_t id;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		assert_int_equal(vmm_kvm_riscv64_reg_by_name(cases[i].name, &id), 0);
		assert_true(id == cases[i].id);
		assert_int_equal(vmm_kvm_riscv64_reg_name(id, buf, sizeof(buf)),
				 strlen(cases[i].name));
		assert_string_equal(buf, cases[i].name);
	}
	id = 5;
	for (size_t i = 0; i < VMM_ARRAY_LEN(strange); i++)
		assert_int_equal(vmm_kvm_riscv64_reg_by_name(strange[i], &id), -ENOENT);
	assert_int_equal(id, 5);
	assert_int_equal(vmm_kvm_riscv64_reg_name(0, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(vmm_kvm_riscv64_reg_name(0, NULL, 0), 0);
	assert_int_equal(vmm_kvm_riscv64_reg_name(0x8030000005000000, buf, 32), 0);
	assert_int_equal(vmm_kvm_riscv64_reg_name(0x8030000006000021, buf, 32), 0);
	assert_int_equal(vmm_kvm_riscv64_reg_name(0x803000000200000a, buf, 2), 2);
	assert_string_equal(buf, "a");
}

static void registers_are_set_by_name(void **state)
{
	FAKE_MACHINE m = machine();
	uint64_t value = 0;

	assert_int_equal(vmm_kvm_vcpu_riscv64_set_reg(m.vcpu, "sbi.pmu", 0), 0);
	assert_true(reg_ids[0] == 0x8030000008000006);
	assert_int_equal(vmm_kvm_vcpu_riscv64_get_reg(m.vcpu, "sbi.pmu", &value), 0);
	assert_true(value == UINT64_C(0x1111111111111111));
	assert_int_equal(vmm_kvm_vcpu_riscv64_get_reg(m.vcpu, "f.3", &value), 0);
	assert_int_equal(value, 0x11111111);
	assert_int_equal(vmm_kvm_vcpu_riscv64_set_reg(m.vcpu, "f.3", UINT64_C(1) << 32),
			 -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_riscv64_set_reg(m.vcpu, "none", 0), -ENOENT);
	assert_int_equal(vmm_kvm_vcpu_riscv64_get_reg(m.vcpu, "none", &value), -ENOENT);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vcpu_riscv64_get_reg(m.vcpu, "pc", &value), -EIO);
	assert_int_equal(value, 0x11111111);
}

static void the_first_vcpu_boots_and_the_others_wait(void **state)
{
	FAKE_MACHINE m = machine();
	struct vmm_kvm_riscv64_boot boot = VMM_KVM_RISCV64_BOOT_INIT;
	struct vmm_error err = { 0 };

	boot.pc = 0x80200000;
	boot.a1 = 0x82200000;
	assert_int_equal(vmm_kvm_vcpu_riscv64_setup(m.vcpu, &boot, NULL), 0);
	assert_int_equal(regs, 3);
	assert_int_equal(reg_values[0], 0x80200000);
	assert_int_equal(reg_values[1], 0);
	assert_int_equal(reg_values[2], 0x82200000);
	assert_int_equal(seen_mp, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(vmm_kvm_vcpu_riscv64_setup(m.vcpu, NULL, NULL), 0);
	assert_int_equal(seen_mp, KVM_MP_STATE_STOPPED);
	assert_int_equal(regs, 3);
	for (unsigned int n = 1; n <= 4; n++) {
		fake.fail_at = fake.calls + n;
		assert_int_equal(vmm_kvm_vcpu_riscv64_setup(m.vcpu, &boot, &err), -EIO);
		assert_non_null(strstr(err.message, "boot registers"));
	}
	boot.size = 1;
	assert_int_equal(vmm_kvm_vcpu_riscv64_setup(m.vcpu, &boot, &err), -EINVAL);
}

static void a_controller_is_configured_placed_and_started(void **state)
{
	FAKE_MACHINE m = machine();
	struct vmm_kvm_riscv64_aia aia = VMM_KVM_RISCV64_AIA_INIT;
	struct vmm_kvm_device *device = NULL;

	aia.vcpu_count = 3;
	aia.aplic_gpa = 0x400000;
	aia.imsic_gpa = 0x4000000;
	assert_int_equal(vmm_kvm_riscv64_aia_open(m.vm, &aia, &device, NULL), 0);
	assert_int_equal(seen_type, 11);
	assert_int_equal(attrs, 9);
	assert_int_equal(seen_values[0], 2);
	assert_int_equal(seen_values[1], 255);
	assert_int_equal(seen_values[2], 96);
	assert_int_equal(seen[3].attr, 5);
	assert_int_equal(seen_values[3], 2);
	assert_int_equal(seen[4].group, 1);
	assert_int_equal(seen_values[4], 0x400000);
	assert_int_equal(seen[7].attr, 3);
	assert_int_equal(seen_values[7], 0x4002000);
	assert_int_equal(seen[8].group, 2);
	assert_int_equal(seen[8].addr, 0);
	vmm_kvm_device_close(device);

	for (unsigned int n = 1;; n++) {
		int ret;

		device = NULL;
		fake.fail_at = fake.calls + n;
		ret = vmm_kvm_riscv64_aia_open(m.vm, &aia, &device, NULL);
		if (ret == 0) {
			assert_int_equal(n, 11);
			break;
		}
		assert_int_equal(ret, -EIO);
		assert_null(device);
	}
	vmm_kvm_device_close(device);
}

static void impossible_controllers_are_refused(void **state)
{
	static const struct {
		uint32_t mode, msis, sources, vcpus;
		uint64_t aplic, imsic;
	} cases[] = {
		{ 3, 255, 96, 1, 0, 0 },     { 2, 62, 96, 1, 0, 0 },
		{ 2, 64, 96, 1, 0, 0 },	     { 2, 2111, 96, 1, 0, 0 },
		{ 2, 255, 1024, 1, 0, 0 },   { 2, 255, 96, 0, 0, 0 },
		{ 2, 255, 96, 513, 0, 0 },   { 2, 255, 96, 1, 0x800, 0 },
		{ 2, 255, 96, 1, 0, 0x800 }, { 2, 255, 96, 2, 0, UINT64_MAX - 4095 },
	};
	FAKE_MACHINE m = machine();

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_riscv64_aia aia = VMM_KVM_RISCV64_AIA_INIT;
		struct vmm_kvm_device *device = NULL;

		aia.mode = cases[i].mode;
		aia.msi_count = cases[i].msis;
		aia.source_count = cases[i].sources;
		aia.vcpu_count = cases[i].vcpus;
		aia.aplic_gpa = cases[i].aplic;
		aia.imsic_gpa = cases[i].imsic;
		assert_int_equal(vmm_kvm_riscv64_aia_open(m.vm, &aia, &device, NULL),
				 -EINVAL);
		assert_null(device);
	}
	assert_int_equal(attrs, 0);
}

static void other_hosts_say_so(void **state)
{
	struct vmm_kvm_riscv64_aia aia = VMM_KVM_RISCV64_AIA_INIT;
	struct vmm_kvm_device *device = NULL;
	FAKE_MACHINE m = machine();
	uint64_t value = 0;

	fake_sys.arch = KVM_ARCH_X86_64;
	assert_int_equal(vmm_kvm_vcpu_riscv64_set_reg(m.vcpu, "pc", 0), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_riscv64_get_reg(m.vcpu, "pc", &value), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_riscv64_setup(m.vcpu, NULL, NULL), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_riscv64_aia_open(m.vm, &aia, &device, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(regs + attrs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_ids_and_back),
		cmocka_unit_test(registers_are_set_by_name),
		cmocka_unit_test(the_first_vcpu_boots_and_the_others_wait),
		cmocka_unit_test(a_controller_is_configured_placed_and_started),
		cmocka_unit_test(impossible_controllers_are_refused),
		cmocka_unit_test(other_hosts_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

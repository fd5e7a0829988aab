/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The arm64 interrupt controller's state and firmware calls, on a kernel that is not
 * there. */
#include "fake-kvm.h"

#include "aarch64/gic.h"
#include "compat.h"
#include "states.h"

#define STATE_CLEANUP VMM_CLEANUP(vmm_kvm_state_free) struct vmm_kvm_state

enum { WRITES_MAX = 512, CTRL = 4, ITS = 8 };

/* What was asked, in order; and of firmware calls. */
static struct kvm_device_attr asked[WRITES_MAX];
static uint64_t asked_values[WRITES_MAX];
static size_t asked_count;
static struct kvm_compat_smccc_filter filter;
static uint64_t psci;

/* A register's value tells which one it is; the CPU interface has 6 bits of priority. */
static uint64_t value_of(uint32_t group, uint64_t attr)
{
	return group == 6 && (attr & 0xffff) == 0xc664 ? 5 << 8 : (attr & 0xffff) + group;
}

static int answer_attr(bool set, const struct kvm_device_attr *attr)
{
	void *place = (void *)(uintptr_t)attr->addr;
	size_t width = attr->group == 6 || attr->group == ITS ? 8 : 4;
	uint64_t value = value_of(attr->group, attr->attr);

	assert_true(asked_count < WRITES_MAX);
	asked[asked_count] = *attr;
	asked_values[asked_count] = 0;
	if (set && place)
		memcpy(&asked_values[asked_count], place, width);
	asked_count += set;
	if (!set)
		memcpy(place, &value, width);
	return 0;
}

static int answer(int fd, unsigned long request, void *arg)
{
	const struct kvm_one_reg *reg = arg;
	const struct kvm_device_attr *attr = arg;
	const uint64_t mpidr = UINT64_C(0x0000000380020100);

	switch (request) {
	case KVM_GET_ONE_REG:
		memcpy((void *)(uintptr_t)reg->addr,
		       reg->id == KVM_COMPAT_ARM64_MPIDR ? &mpidr : &psci, 8);
		return 0;
	case KVM_SET_ONE_REG:
		assert_true(reg->id == KVM_COMPAT_ARM64_PSCI_VERSION);
		memcpy(&psci, (const void *)(uintptr_t)reg->addr, 8);
		return 0;
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)arg)->fd = (__u32)fake_new_fd();
		return 0;
	case KVM_SET_DEVICE_ATTR:
		if (fd == FAKE_FD_FIRST + 1) {
			memcpy(&filter, (const void *)(uintptr_t)attr->addr,
			       sizeof(filter));
			return 0;
		}
		return answer_attr(true, attr);
	case KVM_GET_DEVICE_ATTR:
		return answer_attr(false, attr);
	default:
		return -ENOSYS;
	}
}

struct fixture {
	struct fake_machine m;
	struct vmm_kvm_arm64_gic_device gic;
};

static struct fixture fixture(bool with_its)
{
	struct fixture f = { .gic = { .version = 3, .irq_count = 96 } };

	fake_sys.arch = KVM_ARCH_AARCH64;
	f.m = fake_machine();
	fake.answer = answer;
	assert_int_equal(vmm_kvm_device_open(f.m.vm, 7, &f.gic.gic, NULL), 0);
	if (with_its)
		assert_int_equal(vmm_kvm_device_open(f.m.vm, 8, &f.gic.its, NULL), 0);
	asked_count = 0;
	return f;
}

static void fixture_free(struct fixture *f)
{
	vmm_kvm_device_close(f->gic.its);
	vmm_kvm_device_close(f->gic.gic);
	fake_machine_free(&f->m);
}

#define FIXTURE __attribute__((cleanup(fixture_free))) struct fixture

static size_t position(uint32_t group, uint64_t attr)
{
	for (size_t i = 0; i < asked_count; i++)
		if (asked[i].group == group && asked[i].attr == attr)
			return i;
	fail_msg("group %u attr %#llx not written", group, (unsigned long long)attr);
	return 0;
}

static void a_controller_goes_back_in_order(void **state)
{
	FIXTURE f = fixture(true);
	STATE_CLEANUP *s = NULL;
	/* Affinity 3.2.1.0, as attributes have it. */
	const uint64_t base = UINT64_C(0x0302010000000000);

	assert_int_equal(vmm_kvm_arm64_gic_save(&f.gic, &f.m.vcpu, 1, &s, NULL), 0);
	/* Tables and pending interrupts were written to memory first. */
	assert_int_equal(asked_count, 2);
	assert_int_equal(asked[0].group, CTRL);
	assert_int_equal(asked[0].attr, 1);
	assert_int_equal(asked[1].attr, 3);
	asked_count = 0;
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, s, NULL), 0);
	assert_int_equal(asked[0].group, 1);
	assert_int_equal(asked[0].attr, 8);
	assert_int_equal(asked_values[0], 9);
	/* Enabled interrupts: all off, then those that were on. */
	assert_int_equal(asked_values[position(1, 0x184)], UINT32_MAX);
	assert_int_equal(position(1, 0x104), position(1, 0x184) + 1);
	assert_int_equal(asked_values[position(1, 0x108)], 0x109);
	/* The last words of each bank, and none behind. */
	(void)position(1, 0x45c);
	(void)position(1, 0xc14);
	(void)position(1, 0x62fc);
	for (size_t i = 0; i < asked_count; i++) {
		assert_false(asked[i].group == 1 && asked[i].attr == 0x10c);
		assert_false(asked[i].group == 1 && asked[i].attr == 0x460);
		assert_false(asked[i].group == 1 && asked[i].attr == 0x6300);
		assert_false(asked[i].group == 1 && asked[i].attr == 0x100);
	}
	/* The affinity of the vCPU, and its LPI tables before the switch. */
	assert_true(position(5, base | 0x7c) < position(5, base | 0));
	/* 6 bits of priority have two registers of each group. */
	(void)position(6, base | 0xc644);
	(void)position(6, base | 0xc645);
	(void)position(6, base | 0xc649);
	for (size_t i = 0; i < asked_count; i++)
		assert_false(asked[i].group == 6 && (asked[i].attr & 0xffff) == 0xc646);
	/* The translation service: its switch after its tables. */
	assert_true(position(ITS, 0x80) < position(ITS, 0x90));
	assert_true(position(ITS, 0x138) < position(CTRL, 2));
	assert_int_equal(asked[asked_count - 1].group, ITS);
	assert_int_equal(asked[asked_count - 1].attr, 0);
}

static void states_of_other_controllers_are_refused(void **state)
{
	FIXTURE f = fixture(false);
	STATE_CLEANUP *s = NULL, *with_its = sample(6), *vm = sample(4);

	assert_int_equal(vmm_kvm_arm64_gic_save(&f.gic, &f.m.vcpu, 1, &s, NULL), 0);
	asked_count = 0;
	f.gic.irq_count = 128;
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, s, NULL), -EINVAL);
	f.gic.irq_count = 96;
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, with_its, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, vm, NULL), -EINVAL);
	assert_int_equal(asked_count, 0);
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, s, NULL), 0);
	assert_int_equal(vmm_kvm_arm64_gic_save(&f.gic, NULL, 0, &s, NULL), -EINVAL);
	f.gic.version = 2;
	assert_int_equal(vmm_kvm_arm64_gic_restore(&f.gic, s, NULL), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_arm64_gic_save(&f.gic, &f.m.vcpu, 1, &with_its, NULL),
			 -EOPNOTSUPP);
}

static void each_call_may_fail(void **state)
{
	FIXTURE f = fixture(true);
	struct vmm_error err = { 0 };
	STATE_CLEANUP *s = NULL;
	unsigned int n = 0;
	int ret;

	do {
		asked_count = 0;
		fake.fail_at = fake.calls + ++n;
		ret = vmm_kvm_arm64_gic_save(&f.gic, &f.m.vcpu, 1, &s, &err);
		assert_int_equal(ret, s ? 0 : -EIO);
		assert_true(ret == 0 || strstr(err.message, "cannot "));
	} while (ret < 0);
	assert_true(n > 100);
	n = 0;
	do {
		asked_count = 0;
		fake.fail_at = fake.calls + ++n;
		ret = vmm_kvm_arm64_gic_restore(&f.gic, s, &err);
		assert_true(ret == 0 || ret == -EIO);
		assert_true(ret == 0 || strstr(err.message, "cannot "));
	} while (ret < 0);
	assert_true(n > 100);
}

static void firmware_calls_are_filtered(void **state)
{
	FIXTURE f = fixture(false);
	uint32_t version = 0;

	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, 0x84000000, 32,
						       VMM_KVM_ARM64_SMCCC_EXIT),
			 0);
	assert_int_equal(filter.base, 0x84000000);
	assert_int_equal(filter.nr_functions, 32);
	assert_int_equal(filter.action, 2);
	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, 1, 0, 0), -EINVAL);
	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, 1, 1, 3), -EINVAL);
	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, UINT32_MAX, 2, 0),
			 -EINVAL);
	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, UINT32_MAX, 1, 0), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_psci(f.m.vcpu, 0, 2), 0);
	assert_int_equal(psci, 2);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_psci(f.m.vcpu, 1, 1), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_psci(f.m.vcpu, &version), 0);
	assert_int_equal(version, 0x10001);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_psci(f.m.vcpu, 65536, 0), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_psci(f.m.vcpu, 0, 65536), -EINVAL);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vcpu_arm64_get_psci(f.m.vcpu, &version), -EIO);
	fake_sys.arch = KVM_ARCH_X86_64;
	assert_int_equal(vmm_kvm_vcpu_arm64_set_psci(f.m.vcpu, 0, 2), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_psci(f.m.vcpu, &version), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vm_arm64_filter_smccc(f.m.vm, 1, 1, 0), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_controller_goes_back_in_order),
		cmocka_unit_test(states_of_other_controllers_are_refused),
		cmocka_unit_test(each_call_may_fail),
		cmocka_unit_test(firmware_calls_are_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* arm64 registers by name, on a kernel that is not there. */
#include "fake-kvm.h"

#include <vmm/kvm-arm64.h>

/* KVM_REG_ARM_TIMER_CNT */
#define COUNTER 0x603000000013df1aULL

static uint64_t counter;

/* Each register's value is its number, but for the counter. */
static int answer(int fd, unsigned long request, void *arg)
{
	const struct kvm_one_reg *reg = arg;
	void *place = (void *)(uintptr_t)reg->addr;
	uint64_t value = reg->id == COUNTER ? counter : reg->id & 0x1fffff;

	switch (request) {
	case KVM_GET_ONE_REG:
		memcpy(place, &value, sizeof(value));
		return 0;
	case KVM_SET_ONE_REG:
		assert_true(reg->id == COUNTER);
		memcpy(&counter, place, sizeof(counter));
		return 0;
	default:
		return -ENOSYS;
	}
}

static struct fake_machine machine(void)
{
	struct fake_machine m;

	fake_sys.arch = KVM_ARCH_AARCH64;
	m = fake_machine();
	fake.answer = answer;
	return m;
}

static void registers_are_told_by_name(void **state)
{
	struct fake_machine m = machine();
	char text[2048], cut[64];
	size_t len = vmm_kvm_vcpu_arm64_describe(m.vcpu, text, sizeof(text));

	assert_int_equal(len, strlen(text));
	assert_non_null(strstr(text, "pc=0000000000100040 pstate=0000000000100042 "));
	assert_non_null(strstr(text, "esr=000000000013c290 far=000000000013c300\n"));
	assert_non_null(strstr(text, "mpidr=000000000013c005 "));
	assert_non_null(strstr(text, " x0=0000000000100000 "));
	assert_non_null(strstr(text, "\nx30=000000000010003c\n"));
	assert_int_equal(text[len - 1], '\n');

	assert_int_equal(vmm_kvm_vcpu_arm64_describe(m.vcpu, cut, sizeof(cut)), len);
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
	assert_memory_equal(cut, text, sizeof(cut) - 1);
	assert_int_equal(vmm_kvm_vcpu_arm64_describe(m.vcpu, NULL, 0), len);
	fake_machine_free(&m);
}

static void a_register_that_cannot_be_read_is_no_description(void **state)
{
	struct fake_machine m = machine();
	char text[2048];
	size_t reads = 0;

	do {
		fake.fail_at = fake.calls + (unsigned int)++reads;
	} while (vmm_kvm_vcpu_arm64_describe(m.vcpu, text, sizeof(text)) == 0);
	assert_int_equal(reads, 46); /* 45 registers were read in the end */
	fake_machine_free(&m);
}

static void the_counter_is_what_was_set(void **state)
{
	struct fake_machine m = machine();
	uint64_t value = 7;

	assert_int_equal(vmm_kvm_vcpu_arm64_set_counter(m.vcpu, 1 << 20), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_counter(m.vcpu, &value), 0);
	assert_int_equal(value, 1 << 20);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vcpu_arm64_set_counter(m.vcpu, 1), -EIO);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vcpu_arm64_get_counter(m.vcpu, &value), -EIO);
	assert_int_equal(value, 1 << 20);
	fake_machine_free(&m);
}

static void other_hosts_have_no_such_registers(void **state)
{
	struct fake_machine m = machine();
	uint64_t value;
	char text[64];

	fake_sys.arch = KVM_ARCH_X86_64;
	assert_int_equal(vmm_kvm_vcpu_arm64_describe(m.vcpu, text, sizeof(text)), 0);
	assert_int_equal(vmm_kvm_vcpu_arm64_get_counter(m.vcpu, &value), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_arm64_set_counter(m.vcpu, 1), -EOPNOTSUPP);
	fake_machine_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_are_told_by_name),
		cmocka_unit_test(a_register_that_cannot_be_read_is_no_description),
		cmocka_unit_test(the_counter_is_what_was_set),
		cmocka_unit_test(other_hosts_have_no_such_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

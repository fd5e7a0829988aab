/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

static void the_id_of_a_register_tells_its_size(void **state)
{
	assert_int_equal(vmm_kvm_reg_size(KVM_REG_SIZE_U8), 1);
	assert_int_equal(vmm_kvm_reg_size(KVM_REG_SIZE_U32), 4);
	assert_int_equal(vmm_kvm_reg_size(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | 77), 8);
	assert_int_equal(vmm_kvm_reg_size(KVM_REG_SIZE_U2048), 256);
}

static struct kvm_one_reg reg;
static uint64_t regs_of_host;
static bool tells_size;
static uint64_t largest_asked;
static uint64_t mask_seen;
static uint32_t mask_len;

static int answer(int fd, unsigned long request, void *arg)
{
	struct kvm_reg_list *list = arg;

	switch (request) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		memcpy(&reg, arg, sizeof(reg));
		return 0;
	case KVM_SET_SIGNAL_MASK:
		if (arg) {
			mask_len = ((struct kvm_signal_mask *)arg)->len;
			memcpy(&mask_seen, ((struct kvm_signal_mask *)arg)->sigset, 8);
		}
		return 0;
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_SYNC_REGS ? 7 : 0;
	case KVM_GET_REG_LIST:
		largest_asked = list->n;
		if (list->n < regs_of_host) {
			if (tells_size)
				list->n = regs_of_host;
			return -E2BIG;
		}
		for (uint64_t i = 0; i < regs_of_host; i++)
			list->reg[i] = 1000 + i;
		list->n = regs_of_host;
		return 0;
	default:
		return -ENOSYS;
	}
}

static void a_register_needs_a_buffer_of_its_size(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint8_t buf[256];

	fake.answer = answer;
	for (uint64_t log = 0; log <= 8; log++) {
		uint64_t id = log << KVM_REG_SIZE_SHIFT | 5;
		size_t size = (size_t)1 << log;

		assert_int_equal(vmm_kvm_vcpu_get_one_reg(m.vcpu, id, buf, size), 0);
		assert_int_equal(reg.id, id);
		assert_int_equal(reg.addr, (uintptr_t)buf);
		assert_int_equal(vmm_kvm_vcpu_set_one_reg(m.vcpu, id, buf, 256), 0);
		assert_int_equal(vmm_kvm_vcpu_get_one_reg(m.vcpu, id, buf, size - 1),
				 -ENOSPC);
		assert_int_equal(vmm_kvm_vcpu_set_one_reg(m.vcpu, id, buf, size - 1),
				 -ENOSPC);
	}
}

static void the_list_of_registers_grows(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint64_t ids[3] = { 0 };
	size_t count = 7;

	fake.answer = answer;
	for (int i = 0; i < 6; i++) {
		regs_of_host = i % 3 == 0 ? 5 : i % 3 == 1 ? 600 : 40000;
		tells_size = i < 3;
		assert_int_equal(vmm_kvm_vcpu_get_reg_list(m.vcpu, ids, 2, &count), 0);
		assert_int_equal(count, regs_of_host);
		assert_int_equal(ids[1], 1001);
		assert_int_equal(ids[2], 0);
	}
	regs_of_host = UINT64_MAX;
	count = 7;
	assert_int_equal(vmm_kvm_vcpu_get_reg_list(m.vcpu, NULL, 0, &count), -E2BIG);
	assert_int_equal(count, 7);
	assert_true(largest_asked <= 65536);
	fake.fail_at = fake.calls + 1;
	fake.fail_code = -ENOEXEC;
	assert_int_equal(vmm_kvm_vcpu_get_reg_list(m.vcpu, NULL, 0, &count), -ENOEXEC);
}

static void only_classes_that_the_kernel_has_are_synchronised(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct kvm_run *run = vmm_kvm_vcpu_get_run(m.vcpu);

	fake.answer = answer;
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(m.vcpu, 8), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_set_sync_dirty(m.vcpu, 9), -EOPNOTSUPP);
	assert_int_equal(run->kvm_valid_regs | run->kvm_dirty_regs, 0);
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(m.vcpu, 7), 0);
	assert_int_equal(vmm_kvm_vcpu_set_sync_dirty(m.vcpu, 2), 0);
	assert_int_equal(run->kvm_valid_regs, 7);
	assert_int_equal(run->kvm_dirty_regs, 2);
	assert_ptr_equal(vmm_kvm_vcpu_get_sync_regs(m.vcpu), &run->s.regs);
	fake.answer = NULL;
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(m.vcpu, 0), 0);
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(m.vcpu, 1), -EOPNOTSUPP);
}

static void the_signal_mask_has_the_width_of_the_kernels(void **state)
{
	FAKE_MACHINE m = fake_machine();
	const uint64_t mask = UINT64_C(1) << 63 | 5;

	fake.answer = answer;
	assert_int_equal(vmm_kvm_vcpu_set_signal_mask(m.vcpu, &mask), 0);
	assert_int_equal(mask_len, 8);
	assert_true(mask_seen == mask);
	assert_int_equal(vmm_kvm_vcpu_set_signal_mask(m.vcpu, NULL), 0);
	assert_int_equal(fake.last_arg, 0);
}

static void debugging_goes_through(void **state)
{
	const struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };
	FAKE_MACHINE m = fake_machine();

	assert_int_equal(vmm_kvm_vcpu_set_guest_debug(m.vcpu, &debug), 0);
	assert_int_equal(fake.last_request, KVM_SET_GUEST_DEBUG);
	assert_int_equal(fake.last_arg, (uintptr_t)&debug);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_id_of_a_register_tells_its_size),
		cmocka_unit_test(a_register_needs_a_buffer_of_its_size),
		cmocka_unit_test(the_list_of_registers_grows),
		cmocka_unit_test(only_classes_that_the_kernel_has_are_synchronised),
		cmocka_unit_test(the_signal_mask_has_the_width_of_the_kernels),
		cmocka_unit_test(debugging_goes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

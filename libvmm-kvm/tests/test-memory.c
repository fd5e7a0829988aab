/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <unistd.h>

#include "compat.h"

static struct kvm_compat_region2 region;
static unsigned int set_calls;
static int slots_limit;

static int answer(int fd, unsigned long request, void *arg)
{
	if (request == KVM_SET_USER_MEMORY_REGION) {
		memset(&region, 0, sizeof(region));
		memcpy(&region, arg, sizeof(struct kvm_userspace_memory_region));
	} else if (request == KVM_COMPAT_SET_REGION2) {
		memcpy(&region, arg, sizeof(region));
	} else if (request == KVM_CHECK_EXTENSION && arg == (void *)KVM_CAP_NR_MEMSLOTS) {
		return slots_limit;
	} else {
		return -ENOSYS;
	}
	set_calls++;
	return 0;
}

static struct fake_machine machine(int slots)
{
	struct fake_machine m = fake_machine();

	vmm_kvm_vcpu_close(m.vcpu);
	vmm_kvm_vm_close(m.vm);
	m.vcpu = NULL;
	m.vm = NULL;
	slots_limit = slots;
	set_calls = 0;
	fake.answer = answer;
	assert_int_equal(vmm_kvm_vm_open(m.kvm, 0, &m.vm, NULL), 0);
	return m;
}

static int add(struct vmm_kvm_vm *vm, uint64_t gpa, uint64_t len, uint32_t *out_slot)
{
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;

	memory.gpa = gpa;
	memory.len = len;
	memory.host = (void *)0x10000000;
	return vmm_kvm_vm_add_memory(vm, &memory, out_slot, NULL);
}

static void the_kernel_gets_what_the_caller_said(void **state)
{
	FAKE_MACHINE m = machine(32);
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT, got = VMM_KVM_MEMORY_INIT;
	uint32_t slot = 9;

	memory.gpa = 0x100000;
	memory.len = 0x3000;
	memory.host = (void *)0x7000;
	memory.flags = VMM_KVM_MEMORY_READONLY | VMM_KVM_MEMORY_LOG_DIRTY;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, &memory, &slot, NULL), 0);
	assert_int_equal(slot, 0);
	assert_int_equal(region.slot, 0);
	assert_int_equal(region.guest_phys_addr, 0x100000);
	assert_int_equal(region.memory_size, 0x3000);
	assert_int_equal(region.userspace_addr, 0x7000);
	assert_int_equal(region.flags, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, slot, &got), 0);
	assert_memory_equal(&got, &memory, sizeof(got));

	memory.gpa = 0x200000;
	memory.flags = VMM_KVM_MEMORY_GUEST_MEMFD;
	memory.guest_memfd = 42;
	memory.guest_memfd_offset = 0x5000;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, &memory, &slot, NULL), 0);
	assert_int_equal(fake.last_request, KVM_COMPAT_SET_REGION2);
	assert_int_equal(region.slot, 1);
	assert_int_equal(region.guest_memfd, 42);
	assert_int_equal(region.guest_memfd_offset, 0x5000);
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, slot, 0x900000), -EINVAL);

	assert_int_equal(vmm_kvm_vm_set_dirty_logging(m.vm, 0, false), 0);
	assert_int_equal(region.flags, KVM_MEM_READONLY);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(m.vm, 0, true), 0);
	assert_int_equal(region.flags, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, 0), 0);
	assert_int_equal(region.slot, 0);
	assert_int_equal(region.memory_size, 0);
}

static void a_slot_is_told_to_callers_of_other_versions(void **state)
{
	FAKE_MACHINE m = machine(32);
	struct {
		struct vmm_kvm_memory memory;
		uint64_t more;
	} wide = { .memory = VMM_KVM_MEMORY_INIT, .more = 77 };
	struct vmm_kvm_memory *out = &wide.memory;

	assert_int_equal(add(m.vm, 0x8000, 0x2000, NULL), 0);
	out->size = sizeof(wide);
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, 0, out), 0);
	assert_int_equal(out->gpa, 0x8000);
	assert_int_equal(out->size, sizeof(wide));
	assert_int_equal(wide.more, 0);
	/* From before there was private memory: nothing is written past its end. */
	out->size = offsetof(struct vmm_kvm_memory, guest_memfd);
	out->guest_memfd = 55;
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, 0, out), 0);
	assert_int_equal(out->guest_memfd, 55);
	out->size = 0;
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, 0, out), -EINVAL);
	out->size = SIZE_MAX;
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, 0, out), -EINVAL);
}

static void bad_ranges_never_reach_the_kernel(void **state)
{
	FAKE_MACHINE m = machine(32);
	static const struct {
		uint64_t gpa, len, host;
		uint32_t flags;
		int want;
	} cases[] = {
		{ 0, 0, 0x1000, 0, -EINVAL },
		{ 1, 0x1000, 0x1000, 0, -EINVAL },
		{ 0, 0x1001, 0x1000, 0, -EINVAL },
		{ 0, 0x1000, 0x1001, 0, -EINVAL },
		{ UINT64_MAX - 0xfff, 0x2000, 0x1000, 0, -EINVAL },
		{ 0, 0x2000, UINT64_MAX - 0xfff, 0, -EINVAL },
		{ 0, 0x1000, 0x1000, 8, -EINVAL },
		{ 0x8000, 0x1000, 0x1000, 0, -EEXIST },
		{ 0x7000, 0x2000, 0x1000, 0, -EEXIST },
		{ 0x9000, 0x1000, 0x1000, 0, -EEXIST },
		{ 0x7000, 0x9000, 0x1000, 0, -EEXIST },
		{ 0x7000, 0x1000, 0x1000, 0, 0 },
		{ 0xa000, 0x1000, 0x1000, 0, 0 },
		{ UINT64_MAX - 0xfff, 0x1000, 0x1000, 0, 0 },
		{ UINT64_MAX - 0xfff, 0x1000, 0x1000, 0, -EEXIST },
	};

	assert_int_equal(add(m.vm, 0x8000, 0x2000, NULL), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
		struct vmm_error err = { 0 };
		unsigned int before = set_calls;
		uint32_t slot = 77;

		memory.gpa = cases[i].gpa;
		memory.len = cases[i].len;
		memory.host = (void *)(uintptr_t)cases[i].host;
		memory.flags = cases[i].flags;
		assert_int_equal(vmm_kvm_vm_add_memory(m.vm, &memory, &slot, &err),
				 cases[i].want);
		assert_int_equal(set_calls - before, cases[i].want == 0);
		assert_int_equal(slot == 77, cases[i].want != 0);
		assert_int_equal(err.code, cases[i].want);
		assert_int_equal(err.message[0] == '\0', cases[i].want == 0);
	}
}

static void slots_are_used_again_and_run_out(void **state)
{
	FAKE_MACHINE m = machine(3);
	uint32_t slot = 0;

	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(add(m.vm, i * 0x1000, 0x1000, &slot), 0);
		assert_int_equal(slot, i);
	}
	assert_int_equal(add(m.vm, 0x9000, 0x1000, &slot), -ENOSPC);
	assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, 1), 0);
	assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, 1), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, 3), -ENOENT);
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, 1, 0), -ENOENT);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(m.vm, 1, true), -ENOENT);
	assert_int_equal(add(m.vm, 0x9000, 0x1000, &slot), 0);
	assert_int_equal(slot, 1);
}

static void a_refusal_of_the_kernel_changes_nothing(void **state)
{
	FAKE_MACHINE m = machine(32);
	struct vmm_kvm_memory got = VMM_KVM_MEMORY_INIT;
	uint32_t slot = 0;

	assert_int_equal(add(m.vm, 0x1000, 0x1000, &slot), 0);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(add(m.vm, 0x8000, 0x1000, NULL), -EIO);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, slot, 0x9000), -EIO);
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, slot, &got), 0);
	assert_int_equal(got.gpa, 0x1000);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, slot), -EIO);
	assert_int_equal(vmm_kvm_vm_get_memory(m.vm, slot, &got), 0);
	assert_int_equal(add(m.vm, 0x8000, 0x1000, &slot), 0);
	assert_int_equal(slot, 1);
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, slot, 0x1000), -EEXIST);
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, slot, 0x1001), -EINVAL);
	assert_int_equal(vmm_kvm_vm_move_memory(m.vm, slot, 0x8000), 0);
}

static void dirty_words_round_up(void **state)
{
	static const struct {
		uint64_t len, page;
		size_t want;
	} cases[] = {
		{ 0, 4096, 0 },
		{ 1, 4096, 1 },
		{ 4096 * 64, 4096, 1 },
		{ 4096 * 64 + 1, 4096, 2 },
		{ 4096 * 65, 4096, 2 },
		{ 65536 * 64, 65536, 1 },
		{ 65536 * 64 + 4096, 65536, 2 },
		{ 16384 * 3, 16384, 1 },
		{ UINT64_MAX, 4096, UINT64_C(1) << 46 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++)
		assert_int_equal(vmm_kvm_dirty_words(cases[i].len, cases[i].page),
				 cases[i].want);
}

static void the_dirty_log_needs_a_logged_slot_and_room(void **state)
{
	FAKE_MACHINE m = machine(32);
	uint64_t pages = 100, len = pages * (uint64_t)sysconf(_SC_PAGESIZE),
		 bitmap[2] = { 0 };
	uint32_t slot = 0;

	assert_int_equal(add(m.vm, 0, len, &slot), 0);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(m.vm, slot, bitmap, 2), -ENOENT);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(m.vm, 5, bitmap, 2), -ENOENT);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(m.vm, slot, true), 0);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(m.vm, slot, bitmap, 1), -ENOSPC);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(m.vm, slot, bitmap, 2), 0);

	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 0, 64, bitmap), 0);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 64, 36, bitmap), 0);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 0, 100, bitmap), 0);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 1, 64, bitmap), -EINVAL);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 0, 65, bitmap), -EINVAL);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, slot, 64, 64, bitmap), -EINVAL);
	assert_int_equal(
	    vmm_kvm_vm_clear_dirty_log(m.vm, slot, UINT64_MAX - 63, 128, bitmap),
	    -EINVAL);
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(m.vm, 5, 0, 64, bitmap), -ENOENT);
}

/* Random adds, moves and removes must agree with one owner for each of 64 pages. */
static void random_calls_match_a_model(void **state)
{
	enum { PAGES = 64, SLOTS = 10 };
	FAKE_MACHINE m = machine(SLOTS);
	int owner[PAGES];
	uint32_t start[SLOTS] = { 0 }, len[SLOTS] = { 0 };
	struct vmm_test_rng rng = vmm_test_rng();

	memset(owner, -1, sizeof(owner));
	for (int i = 0; i < 20000; i++) {
		uint32_t at = vmm_test_below(&rng, PAGES),
			 n = 1 + vmm_test_below(&rng, 12);
		uint32_t slot = vmm_test_below(&rng, SLOTS), got = 99, lowest = 0;
		uint32_t what = vmm_test_below(&rng, 3);
		bool clash = false;
		int want;

		if (what == 2) {
			want = len[slot] ? 0 : -ENOENT;
			assert_int_equal(vmm_kvm_vm_remove_memory(m.vm, slot), want);
			for (uint32_t p = 0; p < PAGES; p++)
				if (owner[p] == (int)slot)
					owner[p] = -1;
			len[slot] = 0;
			continue;
		}
		if (what == 1)
			n = len[slot];
		if (at + n > PAGES)
			at = PAGES - n;
		while (lowest < SLOTS && len[lowest] != 0)
			lowest++;
		for (uint32_t p = at; p < at + n; p++)
			clash |= owner[p] >= 0 && !(what == 1 && owner[p] == (int)slot);

		if (what == 0) {
			want = clash ? -EEXIST : lowest == SLOTS ? -ENOSPC : 0;
			assert_int_equal(add(m.vm, at * 0x1000ull, n * 0x1000ull, &got),
					 want);
			slot = lowest;
			if (want == 0)
				assert_int_equal(got, lowest);
		} else {
			want = len[slot] == 0 ? -ENOENT : clash ? -EEXIST : 0;
			assert_int_equal(
			    vmm_kvm_vm_move_memory(m.vm, slot, at * 0x1000ull), want);
			for (uint32_t p = 0; want == 0 && p < PAGES; p++)
				if (owner[p] == (int)slot)
					owner[p] = -1;
		}
		for (uint32_t p = at; want == 0 && p < at + n; p++)
			owner[p] = (int)slot;
		if (want == 0) {
			start[slot] = at;
			len[slot] = n;
		}
	}
	for (uint32_t s = 0; s < SLOTS; s++) {
		struct vmm_kvm_memory got = VMM_KVM_MEMORY_INIT;

		assert_int_equal(vmm_kvm_vm_get_memory(m.vm, s, &got),
				 len[s] ? 0 : -ENOENT);
		if (len[s]) {
			assert_int_equal(got.gpa, start[s] * 0x1000ull);
			assert_int_equal(got.len, len[s] * 0x1000ull);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_gets_what_the_caller_said),
		cmocka_unit_test(a_slot_is_told_to_callers_of_other_versions),
		cmocka_unit_test(bad_ranges_never_reach_the_kernel),
		cmocka_unit_test(slots_are_used_again_and_run_out),
		cmocka_unit_test(a_refusal_of_the_kernel_changes_nothing),
		cmocka_unit_test(dirty_words_round_up),
		cmocka_unit_test(the_dirty_log_needs_a_logged_slot_and_room),
		cmocka_unit_test(random_calls_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <unistd.h>
#include <vmm/kvm-memory.h>

#include "compat.h"

static int cap_value;
static uint64_t enabled_args[4];
static uint32_t enabled_cap;
static uint32_t only_cap;
static struct kvm_coalesced_mmio_zone zone;

static int answer(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return only_cap == 0 || (uintptr_t)arg == only_cap ? cap_value : 0;
	case KVM_ENABLE_CAP:
		enabled_cap = ((struct kvm_enable_cap *)arg)->cap;
		memcpy(enabled_args, ((struct kvm_enable_cap *)arg)->args,
		       sizeof(enabled_args));
		return 0;
	case KVM_RESET_DIRTY_RINGS:
		return 17;
	case KVM_REGISTER_COALESCED_MMIO:
	case KVM_UNREGISTER_COALESCED_MMIO:
		memcpy(&zone, arg, sizeof(zone));
		return 0;
	default:
		return -ENOSYS;
	}
}

static void dirty_rings_have_a_size_that_fits(void **state)
{
	FAKE_MACHINE m = fake_machine();
	static const struct {
		uint32_t entries;
		int cap, want;
	} cases[] = {
		{ 4096, 1048576, 0 },	    { 65536, 1048576, 0 },
		{ 65537, 1048576, -E2BIG }, { 131072, 1 << 30, -E2BIG },
		{ 4096, 4096, -E2BIG },	    { 0, 1048576, -EINVAL },
		{ 4095, 1048576, -EINVAL }, { UINT32_MAX, 1048576, -E2BIG },
		{ 4096, 0, -EOPNOTSUPP },
	};

	fake.answer = answer;
	only_cap = 0;
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		cap_value = cases[i].cap;
		assert_int_equal(vmm_kvm_vm_enable_dirty_rings(m.vm, cases[i].entries),
				 cases[i].want);
		if (cases[i].want == 0) {
			assert_int_equal(enabled_cap, KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
			assert_int_equal(enabled_args[0], cases[i].entries * 16u);
		}
	}
	only_cap = KVM_CAP_DIRTY_LOG_RING;
	cap_value = 1048576;
	assert_int_equal(vmm_kvm_vm_enable_dirty_rings(m.vm, 1024), 0);
	assert_int_equal(enabled_cap, KVM_CAP_DIRTY_LOG_RING);
}

static void pages_are_taken_once_and_in_order(void **state)
{
	enum { ENTRIES = 8 };
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_dirty_ring *ring = NULL;
	struct vmm_kvm_dirty_page pages[2 * ENTRIES];
	struct kvm_dirty_gfn *gfns;
	uint32_t count = 0, written = 0, seen = 0;
	struct vmm_test_rng rng = vmm_test_rng();

	fake.answer = answer;
	assert_int_equal(vmm_kvm_dirty_ring_open(m.vcpu, 3, &ring), -EINVAL);
	assert_int_equal(vmm_kvm_dirty_ring_open(m.vcpu, 0, &ring), -EINVAL);
	assert_int_equal(vmm_kvm_dirty_ring_open(m.vcpu, 131072, &ring), -EINVAL);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_dirty_ring_open(m.vcpu, ENTRIES, &ring), -EIO);
	assert_int_equal(vmm_kvm_dirty_ring_open(m.vcpu, ENTRIES, &ring), 0);
	gfns = fake.maps[1];

	/* The kernel's side: fills what was reset, in order. */
	for (int i = 0; i < 2000; i++) {
		uint32_t n = vmm_test_below(&rng, ENTRIES + 1);
		size_t got;

		while (n-- > 0 &&
		       gfns[written % ENTRIES].flags != KVM_DIRTY_GFN_F_DIRTY) {
			gfns[written % ENTRIES].slot = 3;
			gfns[written % ENTRIES].offset = written;
			gfns[written % ENTRIES].flags = KVM_DIRTY_GFN_F_DIRTY;
			written++;
		}
		got = vmm_kvm_dirty_ring_take(ring, pages, vmm_test_below(&rng, 12));
		for (size_t p = 0; p < got; p++) {
			assert_int_equal(pages[p].page, seen++);
			assert_int_equal(pages[p].slot, 3);
		}
		assert_true(seen <= written);
	}
	/* A ring that is dirty for ever is looked at once around. */
	for (uint32_t i = 0; i < ENTRIES; i++)
		gfns[i].flags = KVM_DIRTY_GFN_F_DIRTY;
	assert_true(vmm_kvm_dirty_ring_take(ring, pages, 2 * ENTRIES) <= ENTRIES);
	assert_int_equal(vmm_kvm_vm_reset_dirty_rings(m.vm, &count), 0);
	assert_int_equal(count, 17);
	assert_int_equal(vmm_kvm_vm_reset_dirty_rings(m.vm, NULL), 0);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vm_reset_dirty_rings(m.vm, &count), -EIO);
	vmm_kvm_dirty_ring_close(ring);
	vmm_kvm_dirty_ring_close(NULL);
}

static void coalesced_ranges_are_checked(void **state)
{
	FAKE_MACHINE m = fake_machine();

	fake.answer = answer;
	only_cap = 0;
	cap_value = 1;
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, 0x70, 1, true), 0);
	assert_int_equal(zone.addr, 0x70);
	assert_int_equal(zone.size, 1);
	assert_int_equal(zone.pio, 1);
	assert_int_equal(vmm_kvm_vm_remove_coalesced(m.vm, 0xd0000000, 4096, false), 0);
	assert_int_equal(zone.pio, 0);
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, 0xffff, 1, true), 0);
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, 0xffff, 2, true), -EINVAL);
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, 0, 0, false), -EINVAL);
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, UINT64_MAX, 2, false), -EINVAL);
	cap_value = 0;
	assert_int_equal(vmm_kvm_vm_add_coalesced(m.vm, 0x70, 1, true), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vm_remove_coalesced(m.vm, 0x70, 1, false), -EOPNOTSUPP);
}

static void coalesced_writes_come_in_order_from_a_ring_that_may_lie(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_coalesced *ring = NULL;
	struct vmm_kvm_coalesced_write write = { .addr = 77 };
	struct kvm_coalesced_mmio_ring *map;
	uint32_t max = (uint32_t)(((size_t)sysconf(_SC_PAGESIZE) - sizeof(*map)) /
				  sizeof(map->coalesced_mmio[0]));

	fake.answer = answer;
	only_cap = 0;
	cap_value = 0;
	assert_int_equal(vmm_kvm_coalesced_open(m.vcpu, &ring), -EOPNOTSUPP);
	cap_value = 2;
	assert_int_equal(vmm_kvm_coalesced_open(m.vcpu, &ring), 0);
	map = fake.maps[1];
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EAGAIN);
	assert_int_equal(write.addr, 77);

	map->first = map->last = max - 1;
	for (uint32_t i = 0; i < 5; i++) {
		struct kvm_coalesced_mmio *e = &map->coalesced_mmio[map->last];

		e->phys_addr = 0x1000 + i;
		e->len = 4;
		e->pio = i % 2;
		e->data[0] = (uint8_t)i;
		map->last = (map->last + 1) % max;
	}
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(vmm_kvm_coalesced_take(ring, &write), 0);
		assert_int_equal(write.addr, 0x1000 + i);
		assert_int_equal(write.len, 4);
		assert_int_equal(write.pio, i % 2);
		assert_int_equal(write.data[0], i);
	}
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EAGAIN);

	map->last = max;
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EBADMSG);
	map->last = UINT32_MAX;
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EBADMSG);
	map->last = 0;
	map->first = max;
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EBADMSG);
	map->first = 3;
	map->coalesced_mmio[3].len = 9;
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EBADMSG);
	map->coalesced_mmio[3].len = 0;
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EBADMSG);
	vmm_kvm_coalesced_close(ring);
	vmm_kvm_coalesced_close(NULL);
	fake.fail_at = fake.calls + 2;
	assert_int_equal(vmm_kvm_coalesced_open(m.vcpu, &ring), -EIO);
}

static uint64_t step;
static int pre_fault_error;
static bool backwards;

static int answer_private(int fd, unsigned long request, void *arg)
{
	struct kvm_compat_pre_fault *range = arg;

	if (request == KVM_CHECK_EXTENSION)
		return cap_value;
	if (request == KVM_COMPAT_CREATE_GUEST_MEMFD)
		return fake_new_fd();
	if (request != KVM_COMPAT_PRE_FAULT)
		return -ENOSYS;
	if (backwards) {
		range->size += 0x1000;
		return 0;
	}
	if (range->size <= step) {
		range->gpa += range->size;
		range->size = 0;
		return 0;
	}
	range->gpa += step;
	range->size -= step;
	return pre_fault_error;
}

static void faulting_in_advance_goes_on_until_done(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint64_t done = 77;

	fake.answer = answer_private;
	cap_value = 0;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, &done), -EOPNOTSUPP);
	assert_int_equal(done, 0);
	cap_value = 1;
	step = 0x3000;
	pre_fault_error = 0;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, &done), 0);
	assert_int_equal(done, 0x10000);
	pre_fault_error = -EAGAIN;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, NULL), 0);
	pre_fault_error = -EINTR;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, &done), -EINTR);
	assert_int_equal(done, 0x3000);
	/* A kernel that makes no headway, and one that goes backwards. */
	step = 0;
	pre_fault_error = 0;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, &done), -EAGAIN);
	backwards = true;
	assert_int_equal(vmm_kvm_vcpu_pre_fault(m.vcpu, 0, 0x10000, NULL), -EBADMSG);
	backwards = false;
}

static void private_memory_is_asked_for_by_capability(void **state)
{
	FAKE_MACHINE m = fake_machine();
	int fd = -1;

	fake.answer = answer_private;
	cap_value = 0;
	assert_int_equal(vmm_kvm_vm_create_guest_memfd(m.vm, 0x1000, 0, &fd),
			 -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vm_set_memory_attributes(m.vm, 0, 0x1000, 0),
			 -EOPNOTSUPP);
	assert_int_equal(fd, -1);
	cap_value = 1;
	assert_int_equal(vmm_kvm_vm_create_guest_memfd(m.vm, 0x1000, 0, &fd), 0);
	assert_int_equal(fake_close(fd), 0);
	assert_int_equal(
	    vmm_kvm_vm_set_memory_attributes(m.vm, 0, 0x1000, VMM_KVM_MEMORY_PRIVATE), 0);
	assert_int_equal(fake.last_request, KVM_COMPAT_SET_MEMORY_ATTRIBUTES);
	fake.fail_at = fake.calls + 2;
	assert_int_equal(vmm_kvm_vm_create_guest_memfd(m.vm, 0x1000, 0, &fd), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirty_rings_have_a_size_that_fits),
		cmocka_unit_test(pages_are_taken_once_and_in_order),
		cmocka_unit_test(coalesced_ranges_are_checked),
		cmocka_unit_test(coalesced_writes_come_in_order_from_a_ring_that_may_lie),
		cmocka_unit_test(faulting_in_advance_goes_on_until_done),
		cmocka_unit_test(private_memory_is_asked_for_by_capability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

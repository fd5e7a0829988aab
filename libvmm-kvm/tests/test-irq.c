/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

static struct kvm_irqfd irqfd;
static struct kvm_ioeventfd ioeventfd;
static struct kvm_irq_level line;
static uint32_t routes;
static int msi_answer;

static int answer(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_IRQFD:
		memcpy(&irqfd, arg, sizeof(irqfd));
		return 0;
	case KVM_IOEVENTFD:
		memcpy(&ioeventfd, arg, sizeof(ioeventfd));
		return 0;
	case KVM_IRQ_LINE:
		memcpy(&line, arg, sizeof(line));
		return 0;
	case KVM_SET_GSI_ROUTING:
		routes = ((struct kvm_irq_routing *)arg)->nr;
		return 0;
	case KVM_SIGNAL_MSI:
		return msi_answer;
	default:
		return -ENOSYS;
	}
}

static void an_irqfd_is_bound_and_taken_back(void **state)
{
	FAKE_MACHINE m = fake_machine();

	fake.answer = answer;
	assert_int_equal(vmm_kvm_vm_add_irqfd(m.vm, 11, 4), 0);
	assert_int_equal(irqfd.fd, 11);
	assert_int_equal(irqfd.gsi, 4);
	assert_int_equal(irqfd.flags, 0);
	assert_int_equal(vmm_kvm_vm_add_irqfd_resample(m.vm, 12, 13, 5), 0);
	assert_int_equal(irqfd.flags, KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(irqfd.resamplefd, 13);

	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 11, 5), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 13, 5), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 11, 4), 0);
	assert_int_equal(irqfd.flags, KVM_IRQFD_FLAG_DEASSIGN);
	assert_int_equal(irqfd.fd, 11);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 11, 4), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 12, 5), 0);
	/* One that the kernel refused was never there. */
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_vm_add_irqfd(m.vm, 11, 4), -EIO);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, 11, 4), -ENOENT);
}

static void an_ioeventfd_is_checked_before_the_kernel_sees_it(void **state)
{
	static const struct {
		uint64_t addr, match;
		uint32_t len;
		bool has_match, pio;
		int want;
	} cases[] = {
		{ 0x1000, 0, 0, false, false, 0 },
		{ 0x1000, 0, 1, false, false, 0 },
		{ 0x1000, 0xff, 1, true, false, 0 },
		{ 0x1000, 0xffff, 2, true, true, 0 },
		{ 0x1000, UINT32_MAX, 4, true, false, 0 },
		{ 0x1000, UINT64_MAX, 8, true, false, 0 },
		{ UINT64_MAX, 0, 1, false, false, 0 },
		{ UINT64_MAX - 7, 0, 8, false, false, 0 },
		{ UINT64_MAX - 6, 0, 8, false, false, -EINVAL },
		{ 0x1000, 0, 3, false, false, -EINVAL },
		{ 0x1000, 0, 16, false, false, -EINVAL },
		{ 0x1000, 0, 0, true, false, -EINVAL },
		{ 0x1000, 0x100, 1, true, false, -EINVAL },
		{ 0x1000, UINT64_C(1) << 32, 4, true, false, -EINVAL },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_ioeventfd io = VMM_KVM_IOEVENTFD_INIT;
		FAKE_MACHINE m = fake_machine();

		fake.answer = answer;
		memset(&ioeventfd, 0xff, sizeof(ioeventfd));
		io.addr = cases[i].addr;
		io.len = cases[i].len;
		io.match = cases[i].match;
		io.has_match = cases[i].has_match;
		io.pio = cases[i].pio;
		io.fd = 21;
		assert_int_equal(vmm_kvm_vm_add_ioeventfd(m.vm, &io), cases[i].want);
		assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &io),
				 cases[i].want == 0 ? 0 : -ENOENT);
		if (cases[i].want != 0)
			continue;
		assert_int_equal(ioeventfd.addr, cases[i].addr);
		assert_int_equal(ioeventfd.len, cases[i].len);
		assert_int_equal(ioeventfd.datamatch, cases[i].match);
		assert_int_equal(ioeventfd.fd, 21);
		assert_int_equal(
		    ioeventfd.flags,
		    KVM_IOEVENTFD_FLAG_DEASSIGN |
			(cases[i].has_match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0u) |
			(cases[i].pio ? KVM_IOEVENTFD_FLAG_PIO : 0u));
	}
}

static void an_ioeventfd_is_removed_only_as_it_was_added(void **state)
{
	struct vmm_kvm_ioeventfd io = VMM_KVM_IOEVENTFD_INIT, other;
	FAKE_MACHINE m = fake_machine();
	struct {
		struct vmm_kvm_ioeventfd io;
		uint64_t more;
	} wide = { .io = VMM_KVM_IOEVENTFD_INIT, .more = 1 };

	fake.answer = answer;
	io.addr = 0x1000;
	io.len = 4;
	io.match = 7;
	io.has_match = true;
	io.fd = 3;
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(m.vm, &io), 0);
	other = io;
	other.match = 8;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	other = io;
	other.has_match = false;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	other = io;
	other.pio = true;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	other = io;
	other.len = 8;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	other = io;
	other.fd = 4;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	other = io;
	other.addr = 0x1004;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &other), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &io), 0);

	wide.io.size = sizeof(wide);
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(m.vm, &wide.io), -E2BIG);
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(m.vm, &wide.io), -E2BIG);
}

static void lines_messages_and_routes_go_through(void **state)
{
	static struct kvm_irq_routing_entry entries[VMM_KVM_GSI_ROUTES_MAX + 1];
	const struct kvm_msi msi = { .address_lo = 0xfee00000 };
	FAKE_MACHINE m = fake_machine();
	bool delivered = true;

	fake.answer = answer;
	assert_int_equal(vmm_kvm_vm_set_irq_line(m.vm, 9, true), 0);
	assert_int_equal(line.irq, 9);
	assert_int_equal(line.level, 1);
	assert_int_equal(vmm_kvm_vm_set_irq_line(m.vm, 9, false), 0);
	assert_int_equal(line.level, 0);

	msi_answer = 0;
	assert_int_equal(vmm_kvm_vm_signal_msi(m.vm, &msi, &delivered), 0);
	assert_false(delivered);
	msi_answer = 1;
	assert_int_equal(vmm_kvm_vm_signal_msi(m.vm, &msi, &delivered), 0);
	assert_true(delivered);
	assert_int_equal(vmm_kvm_vm_signal_msi(m.vm, &msi, NULL), 0);
	msi_answer = -EPERM;
	assert_int_equal(vmm_kvm_vm_signal_msi(m.vm, &msi, &delivered), -EPERM);
	assert_true(delivered);

	assert_int_equal(vmm_kvm_vm_set_gsi_routing(m.vm, entries, 24), 0);
	assert_int_equal(routes, 24);
	assert_int_equal(
	    vmm_kvm_vm_set_gsi_routing(m.vm, entries, VMM_KVM_GSI_ROUTES_MAX), 0);
	assert_int_equal(
	    vmm_kvm_vm_set_gsi_routing(m.vm, entries, VMM_KVM_GSI_ROUTES_MAX + 1),
	    -E2BIG);
	assert_int_equal(vmm_kvm_vm_set_gsi_routing(m.vm, NULL, 0), 0);
	assert_int_equal(routes, 0);
}

/* Ten thousand random calls must agree with a plain table of what is bound. */
static void random_bindings_match_a_model(void **state)
{
	enum { FDS = 8, GSIS = 8 };
	FAKE_MACHINE m = fake_machine();
	bool bound[FDS][GSIS] = { { false } };
	struct vmm_test_rng rng = vmm_test_rng();

	fake.answer = answer;
	for (int i = 0; i < 10000; i++) {
		uint32_t fd = vmm_test_below(&rng, FDS), gsi = vmm_test_below(&rng, GSIS);

		if (vmm_test_below(&rng, 2) == 0 && !bound[fd][gsi]) {
			assert_int_equal(vmm_kvm_vm_add_irqfd(m.vm, (int)fd, gsi), 0);
			bound[fd][gsi] = true;
			continue;
		}
		assert_int_equal(vmm_kvm_vm_remove_irqfd(m.vm, (int)fd, gsi),
				 bound[fd][gsi] ? 0 : -ENOENT);
		bound[fd][gsi] = false;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_irqfd_is_bound_and_taken_back),
		cmocka_unit_test(an_ioeventfd_is_checked_before_the_kernel_sees_it),
		cmocka_unit_test(an_ioeventfd_is_removed_only_as_it_was_added),
		cmocka_unit_test(lines_messages_and_routes_go_through),
		cmocka_unit_test(random_bindings_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

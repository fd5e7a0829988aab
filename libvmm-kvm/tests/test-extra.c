/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The wider interface on the real device; what this KVM does not have is skipped. */
#include "guest.h"

#include <fcntl.h>
#include <unistd.h>
#include <vmm/kvm-device.h>
#include <vmm/kvm-memory.h>

static bool has(const struct guest *g, uint32_t cap)
{
	return vmm_kvm_vm_check_extension(g->vm, cap) > 0;
}

static void a_dirty_ring_names_the_page_that_was_written(void **state)
{
	static const uint8_t code[] = {
		0xa2, 0x00, 0x50, 0x00, 0x00, /* mov [0x5000], al */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_dirty_ring *ring = NULL;
	struct vmm_kvm_dirty_page pages[64];
	uint32_t count = 0;
	bool found = false;
	size_t n;

	NEED(has(&g, KVM_CAP_DIRTY_LOG_RING), "no KVM_CAP_DIRTY_LOG_RING");
	assert_int_equal(vmm_kvm_vm_enable_dirty_rings(g.vm, 1024), 0);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(g.vm, g.slot, true), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vm_enable_dirty_rings(g.vm, 1024), -EINVAL);
	assert_int_equal(vmm_kvm_dirty_ring_open(g.vcpu, 1024, &ring), 0);
	assert_int_equal(vmm_kvm_dirty_ring_take(ring, pages, 64), 0);
	guest_start(&g, code, sizeof(code));
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	n = vmm_kvm_dirty_ring_take(ring, pages, 64);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pages[i].slot, g.slot);
		found |= pages[i].page == 5;
	}
	assert_true(found);
	assert_int_equal(vmm_kvm_vm_reset_dirty_rings(g.vm, &count), 0);
	assert_int_equal(count, n);
	assert_int_equal(vmm_kvm_dirty_ring_take(ring, pages, 64), 0);
	vmm_kvm_dirty_ring_close(ring);
}

static void writes_wait_in_the_coalesced_ring(void **state)
{
	static const uint8_t code[] = {
		0xb0, 0x11,		      /* mov al, 0x11 */
		0xa2, 0x08, 0x00, 0x00, 0xd0, /* mov [0xd0000008], al */
		0xe6, 0x70,		      /* out 0x70, al */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_coalesced *ring = NULL;
	struct vmm_kvm_coalesced_write write;

	NEED(has(&g, KVM_CAP_COALESCED_PIO), "no KVM_CAP_COALESCED_PIO");
	assert_int_equal(vmm_kvm_coalesced_open(g.vcpu, &ring), 0);
	assert_int_equal(vmm_kvm_vm_add_coalesced(g.vm, 0xd0000000, 4096, false), 0);
	assert_int_equal(vmm_kvm_vm_add_coalesced(g.vm, 0x70, 1, true), 0);
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EAGAIN);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), 0);
	assert_int_equal(write.addr, 0xd0000008);
	assert_int_equal(write.len, 1);
	assert_int_equal(write.pio, 0);
	assert_int_equal(write.data[0], 0x11);
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), 0);
	assert_int_equal(write.addr, 0x70);
	assert_int_equal(write.pio, 1);
	assert_int_equal(vmm_kvm_coalesced_take(ring, &write), -EAGAIN);
	assert_int_equal(vmm_kvm_vm_remove_coalesced(g.vm, 0x70, 1, true), 0);
	guest_start(&g, code, sizeof(code));
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_IO);
	vmm_kvm_coalesced_close(ring);
}

static void statistics_count_the_exits(void **state)
{
	static const uint8_t code[] = { 0xe6, 0x10, 0xe6, 0x10, 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_stats *stats = NULL;
	struct vmm_error err;
	uint64_t values[64];
	bool found = false;

	NEED(has(&g, KVM_CAP_BINARY_STATS_FD), "no KVM_CAP_BINARY_STATS_FD");
	while (guest_run(&g).reason == VMM_KVM_EXIT_IO)
		;
	assert_int_equal(vmm_kvm_vcpu_open_stats(g.vcpu, &stats, &err), 0);
	for (size_t i = 0; i < vmm_kvm_stats_get_count(stats); i++) {
		struct vmm_kvm_stat info;

		assert_int_equal(vmm_kvm_stats_get_info(stats, i, &info), 0);
		assert_int_equal(vmm_kvm_stats_read(stats, i, values, 64), 0);
		if (strcmp(info.name, "io_exits") == 0) {
			found = true;
			/* A software KVM has nothing that it could count. */
			if (vmm_kvm_probe_linux(g.kvm, NULL) == 0)
				assert_true(values[0] >= 2);
		}
	}
	assert_true(found);
	vmm_kvm_stats_close(stats);
	assert_int_equal(vmm_kvm_vm_open_stats(g.vm, &stats, &err), 0);
	assert_true(vmm_kvm_stats_get_count(stats) > 0);
	vmm_kvm_stats_close(stats);
}

static void a_filtered_msr_is_ours_to_answer(void **state)
{
	static const uint8_t code[] = {
		0xb9, 0x34, 0x12, 0x00, 0x00, /* mov ecx, 0x1234 */
		0x0f, 0x32,		      /* rdmsr */
		0x0f, 0x30,		      /* wrmsr */
		0xf4,			      /* hlt */
	};
	static const uint8_t none[2] = { 0 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	const uint64_t args[4] = { KVM_MSR_EXIT_REASON_FILTER };
	struct vmm_kvm_msr_range ranges[17] = { { 0 } };
	struct vmm_kvm_exit exit;

	NEED(has(&g, KVM_CAP_X86_USER_SPACE_MSR) && has(&g, KVM_CAP_X86_MSR_FILTER),
	     "no KVM_CAP_X86_USER_SPACE_MSR or _MSR_FILTER");
	for (size_t i = 0; i < VMM_ARRAY_LEN(ranges); i++) {
		ranges[i].flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
		ranges[i].base = 0x1230;
		ranges[i].count = 9;
		ranges[i].bitmap = none;
		ranges[i].bitmap_len = 1;
	}
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, false, ranges, 17), -E2BIG);
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, false, ranges, 1), -EINVAL);
	ranges[0].bitmap_len = 2;
	ranges[0].count = 0;
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, false, ranges, 1), -EINVAL);
	ranges[0].count = UINT32_MAX;
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, false, ranges, 1), -EINVAL);
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, true, NULL, 0), -EINVAL);
	ranges[0].count = 9;
	assert_int_equal(vmm_kvm_vm_enable_cap(g.vm, KVM_CAP_X86_USER_SPACE_MSR, 0, args),
			 0);
	assert_int_equal(vmm_kvm_vm_set_msr_filter(g.vm, false, ranges, 1), 0);

	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_X86_RDMSR);
	assert_int_equal(exit.u.msr.index, 0x1234);
	assert_int_equal(exit.u.msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	*exit.u.msr.data = UINT64_C(0x1122334455667788);
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_X86_WRMSR);
	assert_true(*exit.u.msr.data == UINT64_C(0x1122334455667788));
	/* A #GP, for which this guest has no table. */
	*exit.u.msr.error = 1;
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_SHUTDOWN);
}

static void a_guest_goes_step_by_step(void **state)
{
	static const uint8_t code[] = { 0x90, 0x90, 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct vmm_kvm_exit exit;

	assert_int_equal(vmm_kvm_vcpu_set_guest_debug(g.vcpu, &debug), 0);
	for (uint64_t i = 1; i <= 2; i++) {
		exit = guest_run(&g);
		assert_int_equal(exit.reason, VMM_KVM_EXIT_DEBUG);
		assert_int_equal(exit.u.debug.arch->pc, GUEST_CODE + i);
	}
	debug.control = 0;
	assert_int_equal(vmm_kvm_vcpu_set_guest_debug(g.vcpu, &debug), 0);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
}

static void registers_come_with_the_exit(void **state)
{
	static const uint8_t code[] = {
		0xb8, 0x78, 0x56, 0x00, 0x00, /* mov eax, 0x5678 */
		0xe6, 0x10,		      /* out 0x10, al */
		0xe7, 0x10,		      /* out 0x10, eax */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct kvm_sync_regs *regs = vmm_kvm_vcpu_get_sync_regs(g.vcpu);
	struct vmm_kvm_exit exit;
	uint32_t value = 0;

	NEED(vmm_kvm_vm_check_extension(g.vm, KVM_CAP_SYNC_REGS) & (int)KVM_SYNC_X86_REGS,
	     "no KVM_CAP_SYNC_REGS");
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(g.vcpu, UINT64_C(1) << 40),
			 -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_set_sync_valid(g.vcpu, KVM_SYNC_X86_REGS), 0);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_IO);
	assert_int_equal(regs->regs.rax, 0x5678);
	regs->regs.rax = 0xabcdef;
	assert_int_equal(vmm_kvm_vcpu_set_sync_dirty(g.vcpu, KVM_SYNC_X86_REGS), 0);
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	memcpy(&value, exit.u.io.data, 4);
	assert_int_equal(value, 0xabcdef);
}

static void asking_for_a_device_leaves_stdin_alone(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_device *device = NULL;
	int before = fcntl(STDIN_FILENO, F_GETFD);
	bool vfio;

	assert_int_equal(vmm_kvm_vm_has_device(g.vm, KVM_DEV_TYPE_ARM_VGIC_V2), -ENODEV);
	assert_int_equal(vmm_kvm_vm_has_device(g.vm, 12345), -ENODEV);
	vfio = vmm_kvm_vm_has_device(g.vm, KVM_DEV_TYPE_VFIO) == 0;
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), before);
	NEED(vfio, "no VFIO device");
	assert_int_equal(vmm_kvm_device_open(g.vm, KVM_DEV_TYPE_VFIO, &device, NULL), 0);
	assert_true(fcntl(vmm_kvm_device_get_fd(device), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(
	    vmm_kvm_device_has_attr(device, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD),
	    0);
	assert_int_equal(vmm_kvm_device_has_attr(device, 99, 99), -ENXIO);
	assert_true(vmm_kvm_device_set_attr(device, 99, 99, NULL) < 0);
	assert_true(vmm_kvm_device_get_attr(device, 99, 99, NULL) < 0);
	vmm_kvm_device_close(device);
}

static void the_system_has_attributes_on_x86(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	uint64_t mask = 0;

	NEED(vmm_kvm_check_extension(g.kvm, KVM_CAP_SYS_ATTRIBUTES) > 0,
	     "no KVM_CAP_SYS_ATTRIBUTES");
	assert_int_equal(vmm_kvm_has_attr(g.kvm, 0, KVM_X86_XCOMP_GUEST_SUPP), 0);
	assert_int_equal(vmm_kvm_get_attr(g.kvm, 0, KVM_X86_XCOMP_GUEST_SUPP, &mask), 0);
	assert_int_equal(vmm_kvm_has_attr(g.kvm, 0, 12345), -ENXIO);
}

static void private_memory_is_a_file(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	int fd = -1;

	NEED(has(&g, 234), "no KVM_CAP_GUEST_MEMFD");
	assert_int_equal(vmm_kvm_vm_create_guest_memfd(g.vm, 4095, 0, &fd), -EINVAL);
	assert_int_equal(fd, -1);
	assert_int_equal(vmm_kvm_vm_create_guest_memfd(g.vm, 65536, 0, &fd), 0);
	assert_true(fd >= 0);
	close(fd);
	NEED(has(&g, 233), "no KVM_CAP_MEMORY_ATTRIBUTES");
	assert_int_equal(vmm_kvm_vm_set_memory_attributes(g.vm, 1, 4096, 0), -EINVAL);
}

static void memory_is_populated_in_advance(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	uint64_t done = 0;

	NEED(has(&g, 236), "no KVM_CAP_PRE_FAULT_MEMORY");
	assert_int_equal(vmm_kvm_vcpu_pre_fault(g.vcpu, 0, GUEST_MEMORY, &done), 0);
	assert_int_equal(done, GUEST_MEMORY);
}

static void the_other_register_calls_work(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct kvm_translation translation = { .linear_address = 0x1234 };
	struct kvm_sregs2 sregs;
	uint64_t mask = 0, cap = 0;
	size_t count = 0;
	uint8_t buf[256];

	assert_int_equal(vmm_kvm_vcpu_translate(g.vcpu, &translation), 0);
	assert_int_equal(translation.valid, 1);
	assert_int_equal(translation.physical_address, 0x1234);
	assert_int_equal(vmm_kvm_vcpu_set_signal_mask(g.vcpu, &mask), 0);
	assert_int_equal(vmm_kvm_vcpu_set_signal_mask(g.vcpu, NULL), 0);
	if (has(&g, KVM_CAP_SREGS2)) {
		assert_int_equal(vmm_kvm_vcpu_get_sregs2(g.vcpu, &sregs), 0);
		assert_int_equal(sregs.cr0 & 1, 1);
		assert_int_equal(vmm_kvm_vcpu_set_sregs2(g.vcpu, &sregs), 0);
	}
	assert_int_equal(vmm_kvm_get_mce_cap(g.kvm, &cap), 0);
	assert_int_equal(vmm_kvm_vcpu_setup_mce(g.vcpu, cap | 10), 0);
	assert_int_equal(vmm_kvm_vcpu_setup_mce(g.vcpu, 0xff), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_nmi(g.vcpu), 0);
	/* Without a paravirtual clock in the guest this one has nothing to tell. */
	assert_int_equal(vmm_kvm_vcpu_kvmclock_ctrl(g.vcpu), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_get_one_reg(g.vcpu, KVM_REG_SIZE_U64, buf, 7),
			 -ENOSPC);
	assert_true(vmm_kvm_vcpu_get_one_reg(g.vcpu, 0, buf, sizeof(buf)) < 0);
	if (has(&g, KVM_CAP_NESTED_STATE)) {
		uint8_t nested[16384];
		size_t len = 0;

		assert_int_equal(
		    vmm_kvm_vcpu_get_nested_state(g.vcpu, nested, sizeof(nested), &len),
		    0);
		assert_true(len >= 128);
		assert_int_equal(vmm_kvm_vcpu_set_nested_state(g.vcpu, nested, len), 0);
		assert_int_equal(vmm_kvm_vcpu_set_nested_state(g.vcpu, nested, 100),
				 -EBADMSG);
	} else {
		assert_int_equal(
		    vmm_kvm_vcpu_get_nested_state(g.vcpu, buf, sizeof(buf), &count),
		    -EOPNOTSUPP);
	}
}

static void interrupt_controllers_take_the_rest(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	int32_t status = 77;

	assert_int_equal(vmm_kvm_vm_set_boot_cpu_id(g.vm, 0), 0);
	assert_int_equal(vmm_kvm_vm_set_pit_reinject(g.vm, true), -ENXIO);
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vm_create_pit2(g.vm, 0), 0);
	assert_int_equal(vmm_kvm_vm_set_pit_reinject(g.vm, false), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vm_set_boot_cpu_id(g.vm, 1), -EBUSY);
	assert_int_equal(vmm_kvm_vm_set_irq_line_status(g.vm, 4, true, &status), 0);
	assert_int_not_equal(status, 77);
	assert_int_equal(vmm_kvm_vcpu_set_tpr_reporting(g.vcpu, true), 0);
	assert_int_equal(vmm_kvm_vcpu_set_vapic_addr(g.vcpu, 0x3000), 0);
	assert_int_equal(vmm_kvm_vcpu_interrupt(g.vcpu, 0x20), -ENXIO);
}

static void a_vector_is_queued_by_hand(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));

	assert_int_equal(vmm_kvm_vcpu_interrupt(g.vcpu, 256), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_interrupt(g.vcpu, 0x20), 0);
	/* And there is no table that leads anywhere. */
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_SHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dirty_ring_names_the_page_that_was_written),
		cmocka_unit_test(writes_wait_in_the_coalesced_ring),
		cmocka_unit_test(statistics_count_the_exits),
		cmocka_unit_test(a_filtered_msr_is_ours_to_answer),
		cmocka_unit_test(a_guest_goes_step_by_step),
		cmocka_unit_test(registers_come_with_the_exit),
		cmocka_unit_test(asking_for_a_device_leaves_stdin_alone),
		cmocka_unit_test(the_system_has_attributes_on_x86),
		cmocka_unit_test(private_memory_is_a_file),
		cmocka_unit_test(memory_is_populated_in_advance),
		cmocka_unit_test(the_other_register_calls_work),
		cmocka_unit_test(interrupt_controllers_take_the_rest),
		cmocka_unit_test(a_vector_is_queued_by_hand),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

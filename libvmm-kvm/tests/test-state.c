/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

static struct guest halted(void)
{
	static const uint8_t code[] = { 0xf4 };

	return guest_new(code, sizeof(code));
}

static void the_host_offers_cpuid_leaves_and_msrs(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = halted();
	struct vmm_kvm_x86_cpuid *cpuid = NULL, *back = NULL;
	uint32_t indices[8];
	size_t count = 0;

	assert_int_equal(vmm_kvm_get_supported_cpuid(g.kvm, &cpuid), 0);
	assert_true(vmm_kvm_x86_cpuid_get_count(cpuid) > 5);
	assert_non_null(vmm_kvm_x86_cpuid_find(cpuid, 1, 0));
	assert_int_equal(vmm_kvm_vcpu_set_cpuid(g.vcpu, cpuid), 0);
	assert_int_equal(vmm_kvm_vcpu_get_cpuid(g.vcpu, &back), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(back),
			 vmm_kvm_x86_cpuid_get_count(cpuid));
	vmm_kvm_x86_cpuid_free(back);
	vmm_kvm_x86_cpuid_free(cpuid);
	assert_int_equal(vmm_kvm_get_emulated_cpuid(g.kvm, &cpuid), 0);
	vmm_kvm_x86_cpuid_free(cpuid);

	assert_int_equal(vmm_kvm_get_msr_indices(g.kvm, false, indices, 8, &count), 0);
	assert_true(count > 8);
	assert_int_equal(vmm_kvm_get_msr_indices(g.kvm, true, NULL, 0, &count), 0);
}

static void registers_come_back_as_they_were_set(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = halted();
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_xcrs xcrs;

	assert_int_equal(vmm_kvm_vcpu_get_regs(g.vcpu, &regs), 0);
	regs.r12 = 0x1234;
	assert_int_equal(vmm_kvm_vcpu_set_regs(g.vcpu, &regs), 0);
	memset(&regs, 0, sizeof(regs));
	assert_int_equal(vmm_kvm_vcpu_get_regs(g.vcpu, &regs), 0);
	assert_int_equal(regs.r12, 0x1234);

	assert_int_equal(vmm_kvm_vcpu_get_sregs(g.vcpu, &sregs), 0);
	assert_int_equal(vmm_kvm_vcpu_set_sregs(g.vcpu, &sregs), 0);
	sregs.cr0 = UINT64_C(1) << 31; /* paging without protection */
	assert_int_equal(vmm_kvm_vcpu_set_sregs(g.vcpu, &sregs), -EINVAL);

	assert_int_equal(vmm_kvm_vcpu_get_fpu(g.vcpu, &fpu), 0);
	fpu.fcw = 0x27f;
	assert_int_equal(vmm_kvm_vcpu_set_fpu(g.vcpu, &fpu), 0);
	fpu.fcw = 0;
	assert_int_equal(vmm_kvm_vcpu_get_fpu(g.vcpu, &fpu), 0);
	assert_int_equal(fpu.fcw, 0x27f);

	assert_int_equal(vmm_kvm_vcpu_get_debugregs(g.vcpu, &debug), 0);
	debug.db[1] = 0x5000;
	assert_int_equal(vmm_kvm_vcpu_set_debugregs(g.vcpu, &debug), 0);
	assert_int_equal(vmm_kvm_vcpu_get_debugregs(g.vcpu, &debug), 0);
	assert_int_equal(debug.db[1], 0x5000);
	assert_int_equal(vmm_kvm_vcpu_get_events(g.vcpu, &events), 0);
	assert_int_equal(vmm_kvm_vcpu_set_events(g.vcpu, &events), 0);
	assert_int_equal(vmm_kvm_vcpu_get_xcrs(g.vcpu, &xcrs), 0);
	NEED(xcrs.nr_xcrs > 0, "this processor has no extended control registers");
	assert_int_equal(vmm_kvm_vcpu_set_xcrs(g.vcpu, &xcrs), 0);
}

static void the_xsave_area_goes_round(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = halted();
	size_t size = vmm_kvm_vm_get_xsave_size(g.vm);
	uint8_t *buf = calloc(1, size);

	assert_non_null(buf);
	assert_true(size >= 4096);
	assert_int_equal(vmm_kvm_vcpu_get_xsave(g.vcpu, buf, size), 0);
	assert_int_equal(vmm_kvm_vcpu_set_xsave(g.vcpu, buf, size), 0);
	assert_int_equal(vmm_kvm_vcpu_set_xsave(g.vcpu, buf, size - 1), -ENOSPC);
	free(buf);
}

static void an_msr_that_is_not_there_is_named(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = halted();
	struct kvm_msr_entry msrs[] = {
		{ .index = 0xc0000081 }, /* STAR */
		{ .index = 0xdeadbeef },
		{ .index = 0x10 },
	};
	size_t done = 99;

	assert_int_equal(vmm_kvm_vcpu_get_msrs(g.vcpu, msrs, 3, &done), -ENXIO);
	assert_int_equal(done, 1);
	assert_int_equal(vmm_kvm_vcpu_set_msrs(g.vcpu, msrs, 3, &done), -ENXIO);
	assert_int_equal(done, 1);
	msrs[1].index = 0xc0000082; /* LSTAR */
	assert_int_equal(vmm_kvm_vcpu_get_msrs(g.vcpu, msrs, 3, &done), 0);
	assert_int_equal(done, 3);
}

static void clocks_tell_something(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = halted();
	struct kvm_clock_data clock = { 0 };
	uint32_t khz = 0;
	int ret = vmm_kvm_vcpu_get_tsc_khz(g.vcpu, &khz);

	assert_true(ret == 0 || ret == -EOPNOTSUPP);
	assert_int_equal(khz != 0, ret == 0);
	if (ret == 0)
		assert_int_equal(vmm_kvm_vcpu_set_tsc_khz(g.vcpu, khz), 0);
	assert_int_equal(vmm_kvm_vm_get_clock(g.vm, &clock), 0);
	clock.flags = 0;
	assert_int_equal(vmm_kvm_vm_set_clock(g.vm, &clock), 0);
	clock.flags = 0x80000000;
	assert_int_equal(vmm_kvm_vm_set_clock(g.vm, &clock), -EINVAL);
}

static void a_whole_setup_leaves_two_processors_ready(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid *cpuid = NULL;
	struct vmm_kvm_vcpu *second = NULL;
	struct kvm_msr_entry mtrr = { .index = 0x2ff };
	struct vmm_error err = { 0 };
	struct kvm_lapic_state lapic;
	struct kvm_regs regs;
	uint32_t mp = 99, pin;

	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_get_supported_cpuid(g.kvm, &cpuid), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 1, &second, NULL), 0);
	t.cpu_count = 2;
	boot.mode = VMM_KVM_X86_LONG64;
	boot.rip = 0x1000200;
	boot.cr3 = 0x9000;
	boot.rsi = 0x7000;
	assert_int_equal(vmm_kvm_vcpu_setup(g.vcpu, cpuid, &t, &boot, &err), 0);
	t.cpu = 1;
	assert_int_equal(vmm_kvm_vcpu_setup(second, cpuid, &t, NULL, &err), 0);

	assert_int_equal(vmm_kvm_vcpu_get_regs(g.vcpu, &regs), 0);
	assert_int_equal(regs.rip, 0x1000200);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(second, &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_UNINITIALIZED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vmm_kvm_vcpu_get_lapic(i ? second : g.vcpu, &lapic), 0);
		memcpy(&pin, lapic.regs + 0x350, 4);
		assert_int_equal(pin & 0x700, 0x700);
		memcpy(&pin, lapic.regs + 0x360, 4);
		assert_int_equal(pin & 0x700, 0x400);
		/* And back, with a pin masked. */
		pin |= 0x10000;
		memcpy(lapic.regs + 0x360, &pin, 4);
		assert_int_equal(vmm_kvm_vcpu_set_lapic(i ? second : g.vcpu, &lapic), 0);
		memset(&lapic, 0, sizeof(lapic));
		assert_int_equal(vmm_kvm_vcpu_get_lapic(i ? second : g.vcpu, &lapic), 0);
		memcpy(&pin, lapic.regs + 0x360, 4);
		assert_int_equal(pin & 0x10000, 0x10000);
		assert_int_equal(
		    vmm_kvm_vcpu_get_msrs(i ? second : g.vcpu, &mtrr, 1, NULL), 0);
		assert_int_equal(mtrr.data, 0x806);
	}
	vmm_kvm_vcpu_close(second);
}

static void the_guest_sees_the_cpuid_it_was_given(void **state)
{
	static const uint8_t code[] = {
		0xb8, 0x01, 0x00, 0x00, 0x00,	    /* mov eax, 1 */
		0x0f, 0xa2,			    /* cpuid */
		0x89, 0x1d, 0x00, 0x20, 0x00, 0x00, /* mov [0x2000], ebx */
		0x89, 0x0d, 0x04, 0x20, 0x00, 0x00, /* mov [0x2004], ecx */
		0xf4,				    /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid *cpuid = NULL;
	uint32_t seen[2];

	assert_int_equal(vmm_kvm_get_supported_cpuid(g.kvm, &cpuid), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 3, &g.vcpu, NULL), 0);
	t.cpu = 3;
	t.cpu_count = 4;
	assert_int_equal(vmm_kvm_vcpu_setup(g.vcpu, cpuid, &t, NULL, NULL), 0);
	guest_start(&g, code, sizeof(code));
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	memcpy(seen, g.memory + 0x2000, sizeof(seen));
	assert_int_equal(seen[0] >> 16, 0x0304);
	assert_true(seen[1] & 1u << 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_offers_cpuid_leaves_and_msrs),
		cmocka_unit_test(registers_come_back_as_they_were_set),
		cmocka_unit_test(the_xsave_area_goes_round),
		cmocka_unit_test(an_msr_that_is_not_there_is_named),
		cmocka_unit_test(clocks_tell_something),
		cmocka_unit_test(a_whole_setup_leaves_two_processors_ready),
		cmocka_unit_test(the_guest_sees_the_cpuid_it_was_given),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "cpuid-lists.h"

static uint32_t largest_asked;
static uint32_t msrs_of_host;
static bool tells_size;

static int answer_msr_list(int fd, unsigned long request, void *arg)
{
	struct kvm_msr_list *list = arg;

	if (request != KVM_GET_MSR_INDEX_LIST &&
	    request != KVM_GET_MSR_FEATURE_INDEX_LIST)
		return -ENOSYS;
	largest_asked = list->nmsrs;
	if (list->nmsrs < msrs_of_host) {
		if (tells_size)
			list->nmsrs = msrs_of_host;
		return -E2BIG;
	}
	for (uint32_t i = 0; i < msrs_of_host; i++)
		list->indices[i] = 100 + i;
	list->nmsrs = msrs_of_host;
	return 0;
}

static void msr_lists_grow_too(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint32_t indices[4] = { 0 };
	size_t count = 99;

	fake.answer = answer_msr_list;
	for (int i = 0; i < 4; i++) {
		msrs_of_host = i % 2 ? 40 : 1000;
		tells_size = i < 2;
		assert_int_equal(
		    vmm_kvm_get_msr_indices(m.kvm, false, indices, 3, &count), 0);
		assert_int_equal(count, msrs_of_host);
		assert_int_equal(indices[2], 102);
		assert_int_equal(indices[3], 0);
		assert_int_equal(vmm_kvm_get_msr_indices(m.kvm, true, NULL, 0, &count),
				 0);
	}
	msrs_of_host = UINT32_MAX;
	count = 7;
	assert_int_equal(vmm_kvm_get_msr_indices(m.kvm, false, NULL, 0, &count), -E2BIG);
	assert_int_equal(count, 7);
	assert_true(largest_asked <= 65536);
}

static uint32_t bad_msr;
static uint32_t msrs_seen;
static int msr_error;

static int answer_msrs(int fd, unsigned long request, void *arg)
{
	struct kvm_msrs *msrs = arg;

	if (request != KVM_GET_MSRS && request != KVM_SET_MSRS)
		return -ENOSYS;
	assert_true(msrs->nmsrs <= 256);
	if (msr_error)
		return msr_error;
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		if (msrs->entries[i].index == bad_msr)
			return (int)i;
		if (request == KVM_GET_MSRS)
			msrs->entries[i].data = msrs->entries[i].index * 3;
		msrs_seen++;
	}
	return (int)msrs->nmsrs;
}

static void msrs_go_in_chunks_and_the_first_bad_one_is_named(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct kvm_msr_entry msrs[300] = { { 0 } };
	size_t done = 77;

	for (uint32_t i = 0; i < 300; i++)
		msrs[i].index = 1000 + i;
	fake.answer = answer_msrs;
	msr_error = 0;
	bad_msr = 0;
	assert_int_equal(vmm_kvm_vcpu_get_msrs(m.vcpu, msrs, 300, &done), 0);
	assert_int_equal(done, 300);
	assert_int_equal(msrs[299].data, 1299 * 3);
	assert_int_equal(vmm_kvm_get_feature_msrs(m.kvm, msrs, 300, NULL), 0);
	msrs_seen = 0;
	assert_int_equal(vmm_kvm_vcpu_set_msrs(m.vcpu, msrs, 300, &done), 0);
	assert_int_equal(msrs_seen, 300);
	assert_int_equal(vmm_kvm_vcpu_set_msrs(m.vcpu, msrs, 0, &done), 0);
	assert_int_equal(done, 0);

	for (uint32_t i = 0; i < 300; i++) {
		bad_msr = 1000 + i;
		memset(&msrs[i].data, 0xee, sizeof(msrs[i].data));
		assert_int_equal(vmm_kvm_vcpu_get_msrs(m.vcpu, msrs, 300, &done), -ENXIO);
		assert_int_equal(done, i);
		assert_int_equal(msrs[i].data, UINT64_C(0xeeeeeeeeeeeeeeee));
		assert_int_equal(vmm_kvm_vcpu_set_msrs(m.vcpu, msrs, 300, &done), -ENXIO);
		assert_int_equal(done, i);
	}
	msr_error = -EFAULT;
	assert_int_equal(vmm_kvm_vcpu_get_msrs(m.vcpu, msrs, 300, &done), -EFAULT);
	assert_int_equal(done, 0);
}

static struct vmm_kvm_x86_boot linux64(void)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;

	boot.rip = 0x1000200;
	boot.rsp = boot.rbp = 0x8ff0;
	boot.rsi = 0x7000;
	boot.cr3 = 0x9000;
	boot.gdt_base = 0x500;
	boot.gdt_limit = 0x2f;
	boot.idt_base = 0x520;
	boot.idt_limit = 7;
	return boot;
}

static void long_mode_is_on_with_flat_segments(void **state)
{
	struct vmm_kvm_x86_boot boot = linux64();
	struct kvm_sregs s = { .apic_base = 0xfee00900, .cr0 = 0x60000010, .cr4 = 99 };
	struct kvm_regs r;

	memset(&r, 0xff, sizeof(r));
	assert_int_equal(vmm_kvm_x86_boot_get_regs(&boot, &r, &s), 0);
	assert_int_equal(r.rip, 0x1000200);
	assert_int_equal(r.rsp, 0x8ff0);
	assert_int_equal(r.rsi, 0x7000);
	assert_int_equal(r.rflags, 2);
	assert_int_equal(r.rax | r.rbx | r.rcx | r.rdx | r.r15, 0);
	assert_int_equal(s.cr0, 0x80000011);
	assert_int_equal(s.cr3, 0x9000);
	assert_int_equal(s.cr4, 0x20);
	assert_int_equal(s.efer, 0x500);
	assert_int_equal(s.apic_base, 0xfee00900);
	assert_int_equal(s.gdt.base, 0x500);
	assert_int_equal(s.gdt.limit, 0x2f);
	assert_int_equal(s.idt.base, 0x520);
	assert_int_equal(s.idt.limit, 7);
	assert_int_equal(s.cs.selector, 0x10);
	assert_int_equal(s.cs.l, 1);
	assert_int_equal(s.cs.db, 0);
	assert_int_equal(s.cs.type, 0xb);
	assert_int_equal(s.cs.limit, UINT32_MAX);
	assert_int_equal(s.ds.selector, 0x18);
	assert_int_equal(s.ss.selector, 0x18);
	assert_int_equal(s.ds.type, 3);
	assert_int_equal(s.tr.type, 0xb);
	assert_int_equal(s.tr.s, 0);
	assert_int_equal(s.tr.selector, 0x20);
	assert_int_equal(s.ldt.unusable, 1);
}

static void protected_mode_is_on_without_paging(void **state)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	struct kvm_sregs s = { .apic_base = 1 };
	struct kvm_regs r;

	boot.mode = VMM_KVM_X86_PROTECTED32;
	boot.rip = 0x1000000;
	boot.rbx = 0x6000;
	assert_int_equal(vmm_kvm_x86_boot_get_regs(&boot, &r, &s), 0);
	assert_int_equal(r.rbx, 0x6000);
	assert_int_equal(s.cr0, 0x11);
	assert_int_equal(s.cr3 | s.cr4 | s.efer, 0);
	assert_int_equal(s.cs.db, 1);
	assert_int_equal(s.cs.l, 0);
	assert_int_equal(s.cs.g, 1);
}

static void real_mode_splits_the_address(void **state)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	struct kvm_sregs s = { 0 };
	struct kvm_regs r;

	boot.mode = VMM_KVM_X86_REAL16;
	boot.rip = 0xffff0;
	assert_int_equal(vmm_kvm_x86_boot_get_regs(&boot, &r, &s), 0);
	assert_int_equal(s.cs.base, 0xf0000);
	assert_int_equal(s.cs.selector, 0xf000);
	assert_int_equal(r.rip, 0xfff0);
	assert_int_equal(s.cs.limit, 0xffff);
	assert_int_equal(s.cs.g, 0);
	assert_int_equal(s.cr0, 0x10);
	assert_int_equal(s.idt.limit, 0x3ff);
}

static void impossible_boot_states_change_nothing(void **state)
{
	static const struct {
		uint32_t mode;
		uint64_t rip, cr3;
	} cases[] = {
		{ 0, 0, 0 },
		{ 4, 0, 0 },
		{ UINT32_MAX, 0, 0 },
		{ VMM_KVM_X86_LONG64, 0x1000, 0 },
		{ VMM_KVM_X86_PROTECTED32, UINT64_C(1) << 32, 0 },
		{ VMM_KVM_X86_PROTECTED32, 0x1000, 0x9000 },
		{ VMM_KVM_X86_REAL16, 0x100000, 0 },
		{ VMM_KVM_X86_REAL16, 0x1000, 0x9000 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
		struct kvm_sregs s = { .cr0 = 77 };
		struct kvm_regs r = { .rip = 77 };

		boot.mode = cases[i].mode;
		boot.rip = cases[i].rip;
		boot.cr3 = cases[i].cr3;
		assert_int_equal(vmm_kvm_x86_boot_get_regs(&boot, &r, &s), -EINVAL);
		assert_int_equal(s.cr0, 77);
		assert_int_equal(r.rip, 77);
		assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x10), 0);
	}
}

static void descriptors_match_the_loaded_segments(void **state)
{
	struct vmm_kvm_x86_boot boot = linux64();

	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0), 0);
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x10),
			 UINT64_C(0x00af9b000000ffff));
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x18),
			 UINT64_C(0x00cf93000000ffff));
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x20),
			 UINT64_C(0x00008b0000000067));
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x28), 0);
	boot.mode = VMM_KVM_X86_PROTECTED32;
	boot.cr3 = 0;
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x10),
			 UINT64_C(0x00cf9b000000ffff));
	boot.mode = VMM_KVM_X86_REAL16;
	assert_int_equal(vmm_kvm_x86_boot_get_descriptor(&boot, 0x10), 0);
}

static unsigned long order[32];
static size_t steps;
static struct kvm_lapic_state lapic;
static struct kvm_msr_entry written[32];
static size_t written_count;
static int lapic_answer;

static int answer_setup(int fd, unsigned long request, void *arg)
{
	if (steps < VMM_ARRAY_LEN(order))
		order[steps++] = request;
	switch (request) {
	case KVM_GET_LAPIC:
		memset(arg, 0, sizeof(lapic));
		memset((uint8_t *)arg + 0x350, 0xff, 4);
		return lapic_answer;
	case KVM_SET_LAPIC:
		memcpy(&lapic, arg, sizeof(lapic));
		return 0;
	case KVM_SET_MSRS: {
		struct kvm_msrs *msrs = arg;

		for (uint32_t i = 0; i < msrs->nmsrs; i++) {
			if (msrs->entries[i].index == bad_msr)
				return (int)i;
			written[written_count++] = msrs->entries[i];
		}
		return (int)msrs->nmsrs;
	}
	default:
		return -ENOSYS;
	}
}

static void setting_up_does_cpuid_before_msrs_and_skips_absent_ones(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	struct vmm_kvm_x86_boot boot = linux64();
	CPUID_CLEANUP *cpuid = list_of(amd, VMM_ARRAY_LEN(amd));
	FAKE_MACHINE m = fake_machine();
	uint32_t pin;

	fake.answer = answer_setup;
	bad_msr = 0x1a0;
	steps = written_count = 0;
	lapic_answer = 0;
	assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, &boot, NULL), 0);
	assert_int_equal(order[0], KVM_SET_CPUID2);
	assert_int_equal(order[1], KVM_SET_MSRS);
	assert_int_equal(order[2], KVM_SET_MSRS);
	assert_int_equal(order[3], KVM_SET_FPU);
	assert_int_equal(order[4], KVM_GET_LAPIC);
	assert_int_equal(order[5], KVM_SET_LAPIC);
	assert_int_equal(order[6], KVM_GET_SREGS);
	assert_int_equal(order[7], KVM_SET_SREGS);
	assert_int_equal(order[8], KVM_SET_REGS);
	assert_int_equal(steps, 9);
	assert_int_equal(written_count, 10);
	assert_int_equal(written[9].index, 0x2ff);
	assert_int_equal(written[9].data, 0x806);
	memcpy(&pin, lapic.regs + 0x350, 4);
	assert_int_equal(pin, 0xffffffff);
	memcpy(&pin, lapic.regs + 0x360, 4);
	assert_int_equal(pin, 0x400);
	/* The caller's list is a template. */
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ebx, 0x800);

	/* Another processor, on a machine without local APICs in the kernel. */
	steps = 0;
	lapic_answer = -EINVAL;
	assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, NULL, NULL), 0);
	assert_int_equal(order[steps - 1], KVM_GET_LAPIC);

	t.cpu = 1;
	t.cpu_count = 2;
	assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, NULL, NULL), -EINVAL);
}

static void each_step_of_the_setup_may_fail(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	struct vmm_kvm_x86_boot boot = linux64();
	CPUID_CLEANUP *cpuid = list_of(amd, VMM_ARRAY_LEN(amd));
	FAKE_MACHINE m = fake_machine();
	static const char *const words[] = {
		"CPUID",	  "MSRs",	   "FPU",
		"local APIC",	  "local APIC",	   "boot registers",
		"boot registers", "boot registers"
	};

	fake.answer = answer_setup;
	bad_msr = 0;
	lapic_answer = 0;
	for (unsigned int i = 0; i < VMM_ARRAY_LEN(words); i++) {
		struct vmm_error err = { 0 };

		written_count = 0;
		fake.fail_at = fake.calls + 1 + i;
		assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, &boot, &err),
				 -EIO);
		assert_non_null(strstr(err.message, words[i]));
	}
	fake.fail_at = 0;
	boot.mode = 9;
	assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, &boot, NULL), -EINVAL);
	boot = linux64();
	t.threads_per_core = 3;
	assert_int_equal(vmm_kvm_vcpu_setup(m.vcpu, cpuid, &t, &boot, NULL), -EINVAL);
}

static int xsave_size;

static int answer_xsave(int fd, unsigned long request, void *arg)
{
	if (request == KVM_CHECK_EXTENSION && arg == (void *)KVM_CAP_XSAVE2)
		return xsave_size;
	if (request == KVM_GET_TSC_KHZ)
		return xsave_size;
	return -ENOSYS;
}

static void an_xsave_area_is_never_too_small_for_the_kernel(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint8_t buf[11008] = { 0 };
	uint32_t khz = 5;

	fake.answer = answer_xsave;
	xsave_size = 0;
	assert_int_equal(vmm_kvm_vm_get_xsave_size(m.vm), 4096);
	assert_int_equal(vmm_kvm_vcpu_get_xsave(m.vcpu, buf, 4095), -ENOSPC);
	assert_int_equal(vmm_kvm_vcpu_get_xsave(m.vcpu, buf, 4096), 0);
	assert_int_equal(fake.last_request, KVM_GET_XSAVE);
	assert_int_equal(vmm_kvm_vcpu_set_xsave(m.vcpu, buf, 4095), -ENOSPC);
	xsave_size = 11008;
	assert_int_equal(vmm_kvm_vcpu_get_xsave(m.vcpu, buf, 4096), -ENOSPC);
	assert_int_equal(vmm_kvm_vcpu_set_xsave(m.vcpu, buf, 11007), -ENOSPC);
	assert_int_equal(vmm_kvm_vcpu_get_xsave(m.vcpu, buf, 11008), 0);
	assert_int_equal(fake.last_request, KVM_GET_XSAVE2);
	assert_int_equal(vmm_kvm_vcpu_set_xsave(m.vcpu, buf, 11008), 0);

	assert_int_equal(vmm_kvm_vcpu_get_tsc_khz(m.vcpu, &khz), 0);
	assert_int_equal(khz, 11008);
	xsave_size = -EIO;
	assert_int_equal(vmm_kvm_vcpu_get_tsc_khz(m.vcpu, &khz), -EOPNOTSUPP);
	assert_int_equal(khz, 11008);
}

static void registers_are_described(void **state)
{
	struct vmm_kvm_x86_boot boot = linux64();
	struct kvm_sregs s = { 0 };
	struct kvm_regs r;
	char text[2000], cut[10];
	size_t len;

	assert_int_equal(vmm_kvm_x86_boot_get_regs(&boot, &r, &s), 0);
	len = vmm_kvm_x86_describe_regs(&r, &s, text, sizeof(text));
	assert_int_equal(len, strlen(text));
	assert_non_null(strstr(text, "rip=0000000001000200 "));
	assert_non_null(
	    strstr(text, "cs=0010 base 0 limit 0xffffffff type 0xb 64-bit\n"));
	assert_int_equal(vmm_kvm_x86_describe_regs(&r, &s, cut, sizeof(cut)), len);
	assert_string_equal(cut, "rip=00000");
	assert_int_equal(vmm_kvm_x86_describe_regs(&r, &s, NULL, 0), len);
}

static uint32_t nested_size;
static struct kvm_pmu_event_filter pmu;

static int answer_nested(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_CAP_NESTED_STATE ? 8320 : 0;
	case KVM_GET_NESTED_STATE:
		if (((struct kvm_nested_state *)arg)->size < 200)
			return -E2BIG;
		((struct kvm_nested_state *)arg)->size = nested_size;
		return 0;
	case KVM_SET_PMU_EVENT_FILTER:
		memcpy(&pmu, arg, sizeof(pmu));
		return 0;
	default:
		return -ENOSYS;
	}
}

static void a_nested_state_is_as_long_as_it_says(void **state)
{
	static const struct {
		uint32_t size;
		size_t len;
		int want;
	} cases[] = {
		{ 128, 128, 0 },
		{ 128, 4096, 0 },
		{ 4096, 4096, 0 },
		{ 4097, 4096, -EBADMSG },
		{ 127, 4096, -EBADMSG },
		{ 0, 4096, -EBADMSG },
		{ UINT32_MAX, 4096, -EBADMSG },
		{ 128, 127, -EBADMSG },
		{ 128, 0, -EBADMSG },
	};
	FAKE_MACHINE m = fake_machine();
	uint8_t buf[4096];
	size_t len = 77;

	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 4096, &len),
			 -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_vcpu_set_nested_state(m.vcpu, buf, 4096), -EOPNOTSUPP);
	fake.answer = answer_nested;
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		const struct kvm_nested_state head = { .size = cases[i].size };

		memset(buf, 0, sizeof(buf));
		memcpy(buf, &head, sizeof(head));
		assert_int_equal(vmm_kvm_vcpu_set_nested_state(m.vcpu, buf, cases[i].len),
				 cases[i].want);
	}
	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 127, &len), -ENOSPC);
	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 199, &len), -ENOSPC);
	nested_size = 4097;
	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 4096, &len),
			 -EBADMSG);
	nested_size = 5;
	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 4096, &len),
			 -EBADMSG);
	assert_int_equal(len, 77);
	nested_size = 300;
	assert_int_equal(vmm_kvm_vcpu_get_nested_state(m.vcpu, buf, 4096, &len), 0);
	assert_int_equal(len, 300);
}

static void a_filter_of_events_is_bounded(void **state)
{
	static const uint64_t events[VMM_KVM_PMU_EVENTS_MAX + 1];
	FAKE_MACHINE m = fake_machine();

	fake.answer = answer_nested;
	assert_int_equal(vmm_kvm_vm_set_pmu_filter(m.vm, KVM_PMU_EVENT_DENY, 3, 0, events,
						   VMM_KVM_PMU_EVENTS_MAX),
			 0);
	assert_int_equal(pmu.action, KVM_PMU_EVENT_DENY);
	assert_int_equal(pmu.nevents, VMM_KVM_PMU_EVENTS_MAX);
	assert_int_equal(pmu.fixed_counter_bitmap, 3);
	assert_int_equal(vmm_kvm_vm_set_pmu_filter(m.vm, KVM_PMU_EVENT_DENY, 3, 0, events,
						   VMM_KVM_PMU_EVENTS_MAX + 1),
			 -E2BIG);
	assert_int_equal(
	    vmm_kvm_vm_set_pmu_filter(m.vm, KVM_PMU_EVENT_ALLOW, 0, 0, NULL, 0), 0);
}

static void thin_calls_ask_what_they_are_named_after(void **state)
{
	FAKE_MACHINE m = fake_machine();
	const struct kvm_x86_mce mce = { 0 };

	assert_int_equal(vmm_kvm_vcpu_smi(m.vcpu), 0);
	assert_int_equal(fake.last_request, KVM_SMI);
	assert_int_equal(vmm_kvm_vcpu_nmi(m.vcpu), 0);
	assert_int_equal(fake.last_request, KVM_NMI);
	assert_int_equal(vmm_kvm_vcpu_kvmclock_ctrl(m.vcpu), 0);
	assert_int_equal(fake.last_request, KVM_KVMCLOCK_CTRL);
	assert_int_equal(vmm_kvm_vcpu_set_mce(m.vcpu, &mce), 0);
	assert_int_equal(fake.last_request, KVM_X86_SET_MCE);
	assert_int_equal(vmm_kvm_vcpu_set_tsc_khz(m.vcpu, 2600000), 0);
	assert_int_equal(fake.last_request, KVM_SET_TSC_KHZ);
	assert_int_equal(fake.last_arg, 2600000);
}

static struct kvm_hyperv_eventfd hyperv;
static struct kvm_enc_region encrypted;
static int tsc_answer;

static int answer_foreign(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_HYPERV_EVENTFD:
		memcpy(&hyperv, arg, sizeof(hyperv));
		return 0;
	case KVM_MEMORY_ENCRYPT_REG_REGION:
	case KVM_MEMORY_ENCRYPT_UNREG_REGION:
		memcpy(&encrypted, arg, sizeof(encrypted));
		return 0;
	case KVM_GET_TSC_KHZ:
		return tsc_answer;
	case KVM_GET_SUPPORTED_HV_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 2;
		return 0;
	default:
		return -ENOSYS;
	}
}

static int answer_encrypted(int fd, unsigned long request, void *arg)
{
	struct kvm_sev_cmd *sev = arg;
	struct {
		uint32_t id, flags;
		uint64_t data, hw_error;
	} *tdx = arg;

	if (request != KVM_MEMORY_ENCRYPT_OP)
		return -ENOSYS;
	if (sev->id == KVM_SEV_LAUNCH_START) {
		assert_int_equal(sev->sev_fd, 9);
		assert_int_equal(sev->data, 0x1000);
		sev->error = 22;
		return -EIO;
	}
	assert_int_equal(tdx->id, 1000);
	assert_int_equal(tdx->flags, 3);
	assert_int_equal(tdx->data, 77);
	tdx->hw_error = UINT64_C(0xc000010000000000);
	return 0;
}

static void commands_of_encrypted_machines_have_their_own_errors(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint32_t fw = 0;
	uint64_t hw = 0;

	fake.answer = answer_encrypted;
	assert_int_equal(
	    vmm_kvm_vm_sev_op(m.vm, 9, KVM_SEV_LAUNCH_START, (void *)0x1000, &fw), -EIO);
	assert_int_equal(fw, 22);
	assert_int_equal(
	    vmm_kvm_vm_sev_op(m.vm, 9, KVM_SEV_LAUNCH_START, (void *)0x1000, NULL), -EIO);
	assert_int_equal(vmm_kvm_vm_tdx_op(m.vm, 1000, 3, 77, &hw), 0);
	assert_true(hw == UINT64_C(0xc000010000000000));
	hw = 0;
	assert_int_equal(vmm_kvm_vcpu_tdx_op(m.vcpu, 1000, 3, 77, &hw), 0);
	assert_true(hw == UINT64_C(0xc000010000000000));
	assert_int_equal(vmm_kvm_vcpu_tdx_op(m.vcpu, 1000, 3, 77, NULL), 0);
}

static void other_interfaces_go_through(void **state)
{
	const struct kvm_xen_hvm_config config = { 0 };
	struct kvm_xen_hvm_attr vm_attr = { 0 };
	struct kvm_xen_vcpu_attr vcpu_attr = { 0 };
	struct vmm_kvm_x86_cpuid *cpuid = NULL;
	FAKE_MACHINE m = fake_machine();
	uint32_t khz = 5;

	fake.answer = answer_foreign;
	assert_int_equal(vmm_kvm_vm_set_hyperv_eventfd(m.vm, 9, 4), 0);
	assert_int_equal(hyperv.conn_id, 9);
	assert_int_equal(hyperv.fd, 4);
	assert_int_equal(hyperv.flags, 0);
	assert_int_equal(vmm_kvm_vm_set_hyperv_eventfd(m.vm, 9, -1), 0);
	assert_int_equal(hyperv.flags, KVM_HYPERV_EVENTFD_DEASSIGN);
	assert_int_equal(vmm_kvm_get_hyperv_cpuid(m.kvm, &cpuid), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), 2);
	vmm_kvm_x86_cpuid_free(cpuid);

	assert_int_equal(vmm_kvm_vm_set_xen_config(m.vm, &config), 0);
	assert_int_equal(fake.last_request, KVM_XEN_HVM_CONFIG);
	assert_int_equal(vmm_kvm_vm_get_xen_attr(m.vm, &vm_attr), 0);
	assert_int_equal(fake.last_request, KVM_XEN_HVM_GET_ATTR);
	assert_int_equal(vmm_kvm_vm_set_xen_attr(m.vm, &vm_attr), 0);
	assert_int_equal(fake.last_request, KVM_XEN_HVM_SET_ATTR);
	assert_int_equal(vmm_kvm_vcpu_get_xen_attr(m.vcpu, &vcpu_attr), 0);
	assert_int_equal(fake.last_request, KVM_XEN_VCPU_GET_ATTR);
	assert_int_equal(vmm_kvm_vcpu_set_xen_attr(m.vcpu, &vcpu_attr), 0);
	assert_int_equal(fake.last_request, KVM_XEN_VCPU_SET_ATTR);

	assert_int_equal(vmm_kvm_vm_encrypt_op(m.vm, NULL), 0);
	assert_int_equal(fake.last_request, KVM_MEMORY_ENCRYPT_OP);
	assert_int_equal(vmm_kvm_vm_add_encrypted(m.vm, (void *)0x4000, 0x2000), 0);
	assert_int_equal(fake.last_request, KVM_MEMORY_ENCRYPT_REG_REGION);
	assert_int_equal(encrypted.addr, 0x4000);
	assert_int_equal(encrypted.size, 0x2000);
	assert_int_equal(vmm_kvm_vm_remove_encrypted(m.vm, (void *)0x4000, 0x2000), 0);
	assert_int_equal(fake.last_request, KVM_MEMORY_ENCRYPT_UNREG_REGION);

	assert_int_equal(vmm_kvm_vm_set_tsc_khz(m.vm, 1000000), 0);
	assert_int_equal(fake.last_arg, 1000000);
	tsc_answer = -EIO;
	assert_int_equal(vmm_kvm_vm_get_tsc_khz(m.vm, &khz), -EOPNOTSUPP);
	tsc_answer = -ENOTTY;
	assert_int_equal(vmm_kvm_vm_get_tsc_khz(m.vm, &khz), -ENOTTY);
	assert_int_equal(khz, 5);
	tsc_answer = 2600000;
	assert_int_equal(vmm_kvm_vm_get_tsc_khz(m.vm, &khz), 0);
	assert_int_equal(khz, 2600000);
}

static unsigned int probe_runs;
static uint32_t probe_reason;
static int probe_answer;

static int answer_probe(int fd, unsigned long request, void *arg)
{
	struct kvm_run *run = fake.maps[0];

	if (request != KVM_RUN)
		return -ENOSYS;
	probe_runs++;
	run->exit_reason = probe_reason;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 1;
	run->io.count = 1;
	run->io.port = 0xf4;
	run->io.data_offset = 4096;
	((uint8_t *)run)[4096] = 16;
	return probe_answer;
}

static void the_probe_believes_only_the_right_result(void **state)
{
	struct vmm_kvm *kvm = NULL;
	struct vmm_error err;

	fake_reset();
	assert_int_equal(kvm_open_at(&fake_sys, NULL, &kvm, NULL), 0);
	fake.answer = answer_probe;
	probe_reason = VMM_KVM_EXIT_IO;
	probe_answer = 0;
	assert_int_equal(vmm_kvm_probe_linux(kvm, &err), 0);
	probe_reason = VMM_KVM_EXIT_SHUTDOWN;
	assert_int_equal(vmm_kvm_probe_linux(kvm, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "shutdown"));
	probe_answer = -ENOSPC;
	assert_int_equal(vmm_kvm_probe_linux(kvm, NULL), -ENOSPC);
	/* A guest that never stops, or a kernel that only knows EINTR. */
	probe_answer = -EINTR;
	assert_int_equal(kvm_x86_probe(kvm, 20, &err), -ETIMEDOUT);
	assert_true(probe_runs > 3);

	probe_answer = 0;
	probe_reason = VMM_KVM_EXIT_IO;
	for (unsigned int n = 1;; n++) {
		int ret;

		fake.calls = 0;
		fake.fail_at = n;
		ret = vmm_kvm_probe_linux(kvm, &err);
		assert_int_equal(fake_leaks(), 1);
		if (fake.calls < n)
			break;
		/* Only the two files of modules, opened and read, and the question for
		 * the number of slots may fail. */
		assert_int_equal(ret, fake.calls > n && (n <= 4 || n == 6) ? 0 : -EIO);
	}
	vmm_kvm_close(kvm);
}

static void the_probe_believes_a_live_hardware_module(void **state)
{
	static const struct {
		const char *text;
		bool live;
	} files[] = { { "live\n", true },    { "coming\n", false }, { "going\n", false },
		      { "live", false },     { "lives", false },    { "", false },
		      { "live\nmore", true } };
	struct vmm_kvm *kvm = NULL;

	fake_reset();
	assert_int_equal(kvm_open_at(&fake_sys, NULL, &kvm, NULL), 0);
	fake.answer = answer_probe;
	probe_answer = 0;
	probe_reason = VMM_KVM_EXIT_SHUTDOWN; /* what the guest would say */
	for (size_t i = 0; i < VMM_ARRAY_LEN(files); i++) {
		fake_file = (const uint8_t *)files[i].text;
		fake_file_len = strlen(files[i].text);
		probe_runs = 0;
		assert_int_equal(vmm_kvm_probe_linux(kvm, NULL),
				 files[i].live ? 0 : -EOPNOTSUPP);
		assert_int_equal(probe_runs, files[i].live ? 0 : 1);
		assert_int_equal(fake_leaks(), 1);
	}
	fake_file_len = 0;
	vmm_kvm_close(kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msr_lists_grow_too),
		cmocka_unit_test(msrs_go_in_chunks_and_the_first_bad_one_is_named),
		cmocka_unit_test(long_mode_is_on_with_flat_segments),
		cmocka_unit_test(protected_mode_is_on_without_paging),
		cmocka_unit_test(real_mode_splits_the_address),
		cmocka_unit_test(impossible_boot_states_change_nothing),
		cmocka_unit_test(descriptors_match_the_loaded_segments),
		cmocka_unit_test(setting_up_does_cpuid_before_msrs_and_skips_absent_ones),
		cmocka_unit_test(each_step_of_the_setup_may_fail),
		cmocka_unit_test(an_xsave_area_is_never_too_small_for_the_kernel),
		cmocka_unit_test(registers_are_described),
		cmocka_unit_test(a_nested_state_is_as_long_as_it_says),
		cmocka_unit_test(a_filter_of_events_is_bounded),
		cmocka_unit_test(commands_of_encrypted_machines_have_their_own_errors),
		cmocka_unit_test(other_interfaces_go_through),
		cmocka_unit_test(thin_calls_ask_what_they_are_named_after),
		cmocka_unit_test(the_probe_believes_only_the_right_result),
		cmocka_unit_test(the_probe_believes_a_live_hardware_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

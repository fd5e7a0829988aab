/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

static void a_guest_prints_through_a_port(void **state)
{
	static const uint8_t code[] = {
		0xba, 0xf8, 0x03, 0x00, 0x00, /* mov edx, 0x3f8 */
		0xb0, 'H',		      /* mov al, 'H' */
		0xee,			      /* out dx, al */
		0xb0, 'i',		      /* mov al, 'i' */
		0xee,			      /* out dx, al */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_exit exit;
	char text[4] = "";

	for (size_t i = 0; i < 2; i++) {
		exit = guest_run(&g);
		assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
		assert_int_equal(exit.u.io.port, 0x3f8);
		assert_int_equal(exit.u.io.is_write, 1);
		assert_int_equal(exit.u.io.size, 1);
		assert_int_equal(exit.u.io.len, 1);
		text[i] = (char)exit.u.io.data[0];
	}
	assert_string_equal(text, "Hi");
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
}

static void what_we_answer_reaches_the_guest(void **state)
{
	static const uint8_t code[] = {
		0x66, 0xed,		      /* in ax, dx */
		0xa3, 0x00, 0x20, 0x00, 0x00, /* mov [0x2000], eax */
		0xa1, 0x00, 0x00, 0x00, 0xd0, /* mov eax, [0xd0000000] */
		0xa3, 0x04, 0x20, 0x00, 0x00, /* mov [0x2004], eax */
		0xb0, 0x5a,		      /* mov al, 0x5a */
		0xa2, 0x01, 0x00, 0x00, 0xd0, /* mov [0xd0000001], al */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_exit exit = guest_run(&g);
	const uint16_t port_value = 0xbeef;
	const uint32_t mmio_value = 0xcafe1234;
	uint32_t seen[2];

	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	assert_int_equal(exit.u.io.is_write, 0);
	assert_int_equal(exit.u.io.size, 2);
	memcpy(exit.u.io.data, &port_value, sizeof(port_value));

	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
	assert_int_equal(exit.u.mmio.gpa, 0xd0000000);
	assert_int_equal(exit.u.mmio.is_write, 0);
	assert_int_equal(exit.u.mmio.len, 4);
	memcpy(exit.u.mmio.data, &mmio_value, sizeof(mmio_value));

	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
	assert_int_equal(exit.u.mmio.gpa, 0xd0000001);
	assert_int_equal(exit.u.mmio.is_write, 1);
	assert_int_equal(exit.u.mmio.len, 1);
	assert_int_equal(exit.u.mmio.data[0], 0x5a);

	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
	memcpy(seen, g.memory + 0x2000, sizeof(seen));
	assert_int_equal(seen[0] & 0xffff, port_value);
	assert_int_equal(seen[1], mmio_value);
}

static void a_string_of_port_writes_is_one_exit(void **state)
{
	static const uint8_t code[] = {
		0xbe, 0x00, 0x20, 0x00, 0x00, /* mov esi, 0x2000 */
		0xb9, 0x05, 0x00, 0x00, 0x00, /* mov ecx, 5 */
		0xf3, 0x6e,		      /* rep outsb */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_exit exit;
	char text[8] = "";
	size_t len = 0;

	memcpy(g.memory + 0x2000, "hello", 5);
	/* How many of them come at once is the kernel's choice. */
	while ((exit = guest_run(&g)).reason == VMM_KVM_EXIT_IO) {
		assert_int_equal(exit.u.io.len, exit.u.io.count);
		assert_true(len + exit.u.io.len <= 5);
		memcpy(text + len, exit.u.io.data, exit.u.io.len);
		len += exit.u.io.len;
	}
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
	assert_string_equal(text, "hello");
}

static void all_three_modes_reach_their_first_instruction(void **state)
{
	/* The same bytes in every mode: out 0x10, al; hlt */
	static const uint8_t code[] = { 0xe6, 0x10, 0xf4 };
	static const uint32_t modes[] = { VMM_KVM_X86_LONG64, VMM_KVM_X86_PROTECTED32,
					  VMM_KVM_X86_REAL16 };

	for (size_t i = 0; i < VMM_ARRAY_LEN(modes); i++) {
		VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
		struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
		struct vmm_kvm_exit exit;
		struct kvm_regs regs;
		uint64_t *pml4 = (void *)(g.memory + 0x9000);
		uint64_t *pdpt = (void *)(g.memory + 0xa000);

		pml4[0] = 0xa000 | 3;
		pdpt[0] = 0xb000 | 3;
		((uint64_t *)(void *)(g.memory + 0xb000))[0] = 0x83;
		boot.mode = modes[i];
		boot.rip = GUEST_CODE;
		boot.rsp = 0x8ff0;
		boot.rsi = 0x7000;
		boot.cr3 = modes[i] == VMM_KVM_X86_LONG64 ? 0x9000 : 0;
		/* A guest in long mode needs CPUID to say that there is one. */
		if (modes[i] == VMM_KVM_X86_LONG64) {
			struct vmm_kvm_x86_cpuid *cpuid = NULL;

			assert_int_equal(vmm_kvm_get_supported_cpuid(g.kvm, &cpuid), 0);
			assert_int_equal(vmm_kvm_vcpu_set_cpuid(g.vcpu, cpuid), 0);
			vmm_kvm_x86_cpuid_free(cpuid);
		}
		assert_int_equal(vmm_kvm_vcpu_set_boot_regs(g.vcpu, &boot), 0);
		exit = guest_run(&g);
		assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
		assert_int_equal(exit.u.io.port, 0x10);
		assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
		assert_int_equal(vmm_kvm_vcpu_get_regs(g.vcpu, &regs), 0);
		assert_int_equal(regs.rsi, 0x7000);
		assert_int_equal(regs.rip, GUEST_CODE + sizeof(code));
	}
}

static void a_triple_fault_is_a_shutdown(void **state)
{
	/* No interrupt table: ud2 has nowhere to go. */
	static const uint8_t code[] = { 0x0f, 0x0b };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));

	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_SHUTDOWN);
}

static void the_probe_agrees_with_the_processor(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_error err;
	char line[4096];
	bool hardware = false;
	FILE *f = fopen("/proc/cpuinfo", "r");
	int ret = vmm_kvm_probe_linux(g.kvm, &err);

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "flags", 5) == 0)
			hardware |= strstr(line, " vmx") || strstr(line, " svm");
	(void)fclose(f);
	print_message("# probe: %d %s\n", ret, ret < 0 ? err.message : "boots Linux");
	assert_int_equal(ret, hardware ? 0 : -EOPNOTSUPP);
	if (ret < 0)
		assert_non_null(strstr(err.message, "emulates"));
}

static void an_instruction_that_cannot_be_emulated_is_told(void **state)
{
	/* popcnt eax, eax */
	static const uint8_t code[] = { 0xf3, 0x0f, 0xb8, 0xc0, 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_exit exit = guest_run(&g);
	char text[200];

	NEED(vmm_kvm_probe_linux(g.kvm, NULL) == -EOPNOTSUPP,
	     "this KVM executes what a software KVM cannot emulate");
	assert_int_equal(exit.reason, VMM_KVM_EXIT_INTERNAL_ERROR);
	assert_int_equal(exit.u.internal_error.suberror, KVM_INTERNAL_ERROR_EMULATION);
	assert_non_null(exit.u.internal_error.insn);
	assert_true(exit.u.internal_error.insn_len >= 4);
	assert_memory_equal(exit.u.internal_error.insn, code, 4);
	assert_true(vmm_kvm_exit_describe(&exit, text, sizeof(text)) < sizeof(text));
	assert_non_null(strstr(text, "instruction bytes f3 0f b8 c0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_prints_through_a_port),
		cmocka_unit_test(what_we_answer_reaches_the_guest),
		cmocka_unit_test(a_string_of_port_writes_is_one_exit),
		cmocka_unit_test(all_three_modes_reach_their_first_instruction),
		cmocka_unit_test(a_triple_fault_is_a_shutdown),
		cmocka_unit_test(the_probe_agrees_with_the_processor),
		cmocka_unit_test(an_instruction_that_cannot_be_emulated_is_told),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>

#include "internal.h"

enum { PAGE = 12288 };

/* A run page on the heap, so that a sanitizer sees a step beyond it. */
static struct kvm_run *new_page(uint32_t reason)
{
	struct kvm_run *run = calloc(1, PAGE);

	assert_non_null(run);
	run->exit_reason = reason;
	return run;
}

static void a_page_shorter_than_the_structure_is_refused(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_HLT);
	struct vmm_kvm_exit exit = { .reason = 77 };

	assert_int_equal(kvm_exit_decode(run, 0, &exit), -EBADMSG);
	assert_int_equal(kvm_exit_decode(run, sizeof(*run) - 1, &exit), -EBADMSG);
	assert_int_equal(exit.reason, 77);
	assert_int_equal(kvm_exit_decode(run, sizeof(*run), &exit), 0);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
	free(run);
}

static void a_port_access_must_lie_in_the_page(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t count;
		uint8_t size, direction;
		int want;
	} cases[] = {
		{ 4096, 1, 1, KVM_EXIT_IO_OUT, 0 },
		{ 4096, 1024, 4, KVM_EXIT_IO_IN, 0 },
		{ PAGE - 4, 1, 4, KVM_EXIT_IO_IN, 0 },
		{ PAGE - 4, 2, 2, KVM_EXIT_IO_OUT, 0 },
		{ PAGE - 3, 1, 4, KVM_EXIT_IO_IN, -EBADMSG },
		{ PAGE, 1, 1, KVM_EXIT_IO_IN, -EBADMSG },
		{ PAGE - 4, 3, 2, KVM_EXIT_IO_OUT, -EBADMSG },
		{ UINT64_MAX, 1, 1, KVM_EXIT_IO_OUT, -EBADMSG },
		{ UINT64_MAX - 3, 1, 4, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, UINT32_MAX, 4, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 0x40000000, 4, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 0, 1, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 1, 0, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 1, 3, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 1, 8, KVM_EXIT_IO_OUT, -EBADMSG },
		{ 4096, 1, 1, 2, -EBADMSG },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct kvm_run *run = new_page(VMM_KVM_EXIT_IO);
		struct vmm_kvm_exit exit = { .reason = 77 };

		run->io.data_offset = cases[i].offset;
		run->io.count = cases[i].count;
		run->io.size = cases[i].size;
		run->io.direction = cases[i].direction;
		run->io.port = 0x3f8;
		assert_int_equal(kvm_exit_decode(run, PAGE, &exit), cases[i].want);
		if (cases[i].want == 0) {
			assert_int_equal(exit.u.io.port, 0x3f8);
			assert_int_equal(exit.u.io.len, cases[i].count * cases[i].size);
			assert_int_equal(exit.u.io.is_write, cases[i].direction);
			assert_ptr_equal(exit.u.io.data,
					 (uint8_t *)run + cases[i].offset);
		} else {
			assert_int_equal(exit.reason, 77);
		}
		free(run);
	}
}

static void lengths_that_the_page_tells_are_bounded(void **state)
{
	static const struct {
		uint32_t reason, value;
		int want;
	} cases[] = {
		{ VMM_KVM_EXIT_MMIO, 1, 0 },
		{ VMM_KVM_EXIT_MMIO, 8, 0 },
		{ VMM_KVM_EXIT_MMIO, 0, -EBADMSG },
		{ VMM_KVM_EXIT_MMIO, 9, -EBADMSG },
		{ VMM_KVM_EXIT_MMIO, UINT32_MAX, -EBADMSG },
		{ VMM_KVM_EXIT_SYSTEM_EVENT, 0, 0 },
		{ VMM_KVM_EXIT_SYSTEM_EVENT, 16, 0 },
		{ VMM_KVM_EXIT_SYSTEM_EVENT, 17, -EBADMSG },
		{ VMM_KVM_EXIT_SYSTEM_EVENT, UINT32_MAX, -EBADMSG },
		{ VMM_KVM_EXIT_INTERNAL_ERROR, 16, 0 },
		{ VMM_KVM_EXIT_INTERNAL_ERROR, 17, -EBADMSG },
		{ VMM_KVM_EXIT_LOONGARCH_IOCSR, 8, 0 },
		{ VMM_KVM_EXIT_LOONGARCH_IOCSR, 9, -EBADMSG },
		{ VMM_KVM_EXIT_LOONGARCH_IOCSR, 0, -EBADMSG },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct kvm_run *run = new_page(cases[i].reason);
		struct vmm_kvm_exit exit;

		if (cases[i].reason == VMM_KVM_EXIT_SYSTEM_EVENT)
			run->system_event.ndata = cases[i].value;
		else if (cases[i].reason == VMM_KVM_EXIT_INTERNAL_ERROR)
			run->internal.ndata = cases[i].value;
		else
			run->mmio.len = cases[i].value;
		assert_int_equal(kvm_exit_decode(run, PAGE, &exit), cases[i].want);
		free(run);
	}
}

static void an_emulation_failure_shows_the_instruction(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_INTERNAL_ERROR);
	struct vmm_kvm_exit exit;

	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags =
	    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 15;
	memset(run->emulation_failure.insn_bytes, 0x90, 15);
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.internal_error.insn_len, 15);
	assert_int_equal(exit.u.internal_error.insn[14], 0x90);

	run->emulation_failure.insn_size = 16;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), -EBADMSG);

	/* Neither without the flag nor without the words are there any bytes. */
	run->emulation_failure.ndata = 2;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_null(exit.u.internal_error.insn);
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = 0;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_null(exit.u.internal_error.insn);
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_SIMUL_EX;
	run->emulation_failure.flags =
	    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_null(exit.u.internal_error.insn);
	assert_int_equal(exit.u.internal_error.data[0], 1);
	free(run);
}

static void answers_go_to_where_the_kernel_reads_them(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_X86_RDMSR);
	struct vmm_kvm_exit exit;

	run->msr.index = 0x1234;
	run->msr.reason = KVM_MSR_EXIT_REASON_FILTER;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.msr.index, 0x1234);
	assert_int_equal(exit.u.msr.reason, KVM_MSR_EXIT_REASON_FILTER);
	*exit.u.msr.data = 0x55;
	*exit.u.msr.error = 1;
	assert_int_equal(run->msr.data, 0x55);
	assert_int_equal(run->msr.error, 1);

	run->exit_reason = VMM_KVM_EXIT_HYPERCALL;
	run->hypercall.nr = 12;
	run->hypercall.args[5] = 99;
	run->hypercall.longmode = 1;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.hypercall.nr, 12);
	assert_int_equal(exit.u.hypercall.args[5], 99);
	assert_int_equal(exit.u.hypercall.longmode, 1);
	*exit.u.hypercall.ret = 7;
	assert_int_equal(run->hypercall.ret, 7);

	run->exit_reason = VMM_KVM_EXIT_RISCV_SBI;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	exit.u.riscv_sbi.ret[1] = 5;
	assert_int_equal(run->riscv_sbi.ret[1], 5);

	run->exit_reason = VMM_KVM_EXIT_RISCV_CSR;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	*exit.u.riscv_csr.ret = 6;
	assert_int_equal(run->riscv_csr.ret_value, 6);

	run->exit_reason = VMM_KVM_EXIT_DCR;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	*exit.u.dcr.data = 8;
	assert_int_equal(run->dcr.data, 8);

	run->exit_reason = VMM_KVM_EXIT_EPR;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	*exit.u.epr.epr = 9;
	assert_int_equal(run->epr.epr, 9);

	run->exit_reason = VMM_KVM_EXIT_PAPR_HCALL;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	*exit.u.papr_hcall.ret = 10;
	exit.u.papr_hcall.args[8] = 11;
	assert_int_equal(run->papr_hcall.ret, 10);
	assert_int_equal(run->papr_hcall.args[8], 11);
	free(run);
}

static void exits_of_later_kernels_are_decoded(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_MEMORY_FAULT);
	uint64_t *words = (uint64_t *)(void *)&run->hw;
	struct vmm_kvm_exit exit;
	char text[200];

	words[0] = VMM_KVM_MEMORY_FAULT_PRIVATE;
	words[1] = 0x123000;
	words[2] = 0x1000;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.memory_fault.flags, VMM_KVM_MEMORY_FAULT_PRIVATE);
	assert_int_equal(exit.u.memory_fault.gpa, 0x123000);
	assert_int_equal(exit.u.memory_fault.len, 0x1000);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "memory-fault at 0x123000, length 0x1000, flags 0x8");

	run->exit_reason = VMM_KVM_EXIT_TDX;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.tdx.nr, 0x123000);
	exit.u.tdx.data[0] = 3;
	assert_int_equal(words[2], 3);

	run->exit_reason = 4242;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.reason, 4242);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "? (reason 4242)");
	free(run);
}

static void plain_numbers_are_taken_over(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_FAIL_ENTRY);
	struct vmm_kvm_exit exit;

	run->flags = 3;
	run->fail_entry.hardware_entry_failure_reason = 0x80000021;
	run->fail_entry.cpu = 5;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.run_flags, 3);
	assert_int_equal(exit.u.fail_entry.hardware_entry_failure_reason, 0x80000021);
	assert_int_equal(exit.u.fail_entry.cpu, 5);

	run->exit_reason = VMM_KVM_EXIT_UNKNOWN;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.unknown.hardware_exit_reason, 0x80000021);

	run->exit_reason = VMM_KVM_EXIT_IOAPIC_EOI;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.ioapic_eoi.vector, 0x21);

	run->exit_reason = VMM_KVM_EXIT_EXCEPTION;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.exception.exception, 0x80000021);

	run->exit_reason = VMM_KVM_EXIT_TPR_ACCESS;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.tpr_access.rip, 0x80000021);
	assert_int_equal(exit.u.tpr_access.is_write, 1);

	run->exit_reason = VMM_KVM_EXIT_ARM_NISV;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.arm_nisv.esr_iss, 0x80000021);
	assert_int_equal(exit.u.arm_nisv.fault_ipa, 5);

	run->exit_reason = VMM_KVM_EXIT_NOTIFY;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.notify.flags, 0x80000021);

	run->exit_reason = VMM_KVM_EXIT_DEBUG;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_ptr_equal(exit.u.debug.arch, &run->debug.arch);
	run->exit_reason = VMM_KVM_EXIT_HYPERV;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_ptr_equal(exit.u.hyperv.exit, &run->hyperv);
	run->exit_reason = VMM_KVM_EXIT_XEN;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_ptr_equal(exit.u.xen.exit, &run->xen);
	run->exit_reason = VMM_KVM_EXIT_OSI;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(exit.u.osi.gprs[0], 0x80000021);
	free(run);
}

static void every_exit_has_a_name_of_its_own(void **state)
{
	for (uint32_t i = 0; i <= VMM_KVM_EXIT_TDX; i++) {
		bool s390 = i == 13 || i == 14 || i == 20 || i == 22 || i == 25;

		assert_int_equal(strcmp(vmm_kvm_exit_name(i), "?") == 0, s390);
		for (uint32_t j = 0; j < i && !s390; j++)
			assert_string_not_equal(vmm_kvm_exit_name(i),
						vmm_kvm_exit_name(j));
	}
	assert_string_equal(vmm_kvm_exit_name(UINT32_MAX), "?");
}

static void the_description_is_cut_like_snprintf_does(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_MMIO);
	static const char want[] = "mmio write 0xd0000000, length 2: ab cd";
	struct vmm_kvm_exit exit;
	char text[sizeof(want)];

	run->mmio.phys_addr = 0xd0000000;
	run->mmio.len = 2;
	run->mmio.is_write = 1;
	run->mmio.data[0] = 0xab;
	run->mmio.data[1] = 0xcd;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	assert_int_equal(vmm_kvm_exit_describe(&exit, NULL, 0), sizeof(want) - 1);
	for (size_t size = 1; size <= sizeof(want); size++) {
		memset(text, 'x', sizeof(text));
		assert_int_equal(vmm_kvm_exit_describe(&exit, text, size),
				 sizeof(want) - 1);
		assert_memory_equal(text, want, size - 1);
		assert_int_equal(text[size - 1], '\0');
	}
	free(run);
}

static void descriptions_name_what_matters(void **state)
{
	struct kvm_run *run = new_page(VMM_KVM_EXIT_SYSTEM_EVENT);
	struct vmm_kvm_exit exit;
	char text[400];

	run->system_event.type = KVM_SYSTEM_EVENT_RESET;
	run->system_event.ndata = 1;
	run->system_event.data[0] = 0x10;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "system-event 2: reset, data 0x10");

	run->exit_reason = VMM_KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_SIMUL_EX;
	run->internal.ndata = 2;
	run->internal.data[0] = 1;
	run->internal.data[1] = 2;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(
	    text, "internal-error 2: an exception within an exception, data 0x1 0x2");

	run->exit_reason = VMM_KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = 0x21;
	run->fail_entry.cpu = 3;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "fail-entry hardware reason 0x21 on CPU 3");

	run->exit_reason = VMM_KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_IN;
	run->io.size = 4;
	run->io.count = 1;
	run->io.port = 0xcfc;
	run->io.data_offset = 4096;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "io in port 0xcfc, size 4, count 1");

	run->exit_reason = VMM_KVM_EXIT_X86_WRMSR;
	run->msr.index = 0x1b;
	run->msr.reason = 2;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "wrmsr 0x1b, reason 0x2");

	run->exit_reason = VMM_KVM_EXIT_UNKNOWN;
	run->hw.hardware_exit_reason = 31;
	assert_int_equal(kvm_exit_decode(run, PAGE, &exit), 0);
	(void)vmm_kvm_exit_describe(&exit, text, sizeof(text));
	assert_string_equal(text, "unknown hardware reason 0x1f");
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_shorter_than_the_structure_is_refused),
		cmocka_unit_test(a_port_access_must_lie_in_the_page),
		cmocka_unit_test(lengths_that_the_page_tells_are_bounded),
		cmocka_unit_test(an_emulation_failure_shows_the_instruction),
		cmocka_unit_test(answers_go_to_where_the_kernel_reads_them),
		cmocka_unit_test(exits_of_later_kernels_are_decoded),
		cmocka_unit_test(plain_numbers_are_taken_over),
		cmocka_unit_test(every_exit_has_a_name_of_its_own),
		cmocka_unit_test(the_description_is_cut_like_snprintf_does),
		cmocka_unit_test(descriptions_name_what_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

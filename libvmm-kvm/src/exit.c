/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "internal.h"

/* Nobody vouches for the page: every field is read once, into a local, before it is
 * checked. What lies in the union itself is inside the page, as the length was checked
 * against the whole of struct kvm_run; only a port access points elsewhere. */

#define READ_ONCE(field) (*(const volatile __typeof__(field) *)&(field))

static int decode_io(struct kvm_run *run, size_t len, struct vmm_kvm_exit *exit)
{
	uint64_t offset = READ_ONCE(run->io.data_offset), end;
	uint32_t count = READ_ONCE(run->io.count), bytes;
	uint8_t size = READ_ONCE(run->io.size), direction = READ_ONCE(run->io.direction);

	if (size != 1 && size != 2 && size != 4)
		return -EBADMSG;
	if (count == 0 || direction > KVM_EXIT_IO_OUT)
		return -EBADMSG;
	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(offset, bytes, &end) || end > len)
		return -EBADMSG;

	exit->u.io.data = (uint8_t *)run + offset;
	exit->u.io.len = bytes;
	exit->u.io.count = count;
	exit->u.io.port = READ_ONCE(run->io.port);
	exit->u.io.size = size;
	exit->u.io.is_write = direction == KVM_EXIT_IO_OUT;
	return 0;
}

static int decode_mmio(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	uint32_t len = READ_ONCE(run->mmio.len);

	if (len == 0 || len > sizeof(run->mmio.data))
		return -EBADMSG;
	exit->u.mmio.gpa = READ_ONCE(run->mmio.phys_addr);
	exit->u.mmio.data = run->mmio.data;
	exit->u.mmio.len = len;
	exit->u.mmio.is_write = READ_ONCE(run->mmio.is_write) != 0;
	return 0;
}

static int decode_internal(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	uint32_t ndata = READ_ONCE(run->internal.ndata);
	uint8_t insn_size;

	if (ndata > sizeof(run->internal.data) / sizeof(run->internal.data[0]))
		return -EBADMSG;
	exit->u.internal_error.suberror = READ_ONCE(run->internal.suberror);
	exit->u.internal_error.ndata = ndata;
	exit->u.internal_error.data = (const uint64_t *)run->internal.data;
	if (exit->u.internal_error.suberror != KVM_INTERNAL_ERROR_EMULATION || ndata < 1)
		return 0;

	/* Here data[0] is flags; data[1] and data[2] hold length and instruction. */
	exit->u.internal_error.flags = READ_ONCE(run->emulation_failure.flags);
	if (!(exit->u.internal_error.flags &
	      KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) ||
	    ndata < 3)
		return 0;
	insn_size = READ_ONCE(run->emulation_failure.insn_size);
	if (insn_size > sizeof(run->emulation_failure.insn_bytes))
		return -EBADMSG;
	exit->u.internal_error.insn = run->emulation_failure.insn_bytes;
	exit->u.internal_error.insn_len = insn_size;
	return 0;
}

static int decode_system_event(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	uint32_t ndata = READ_ONCE(run->system_event.ndata);

	if (ndata > sizeof(run->system_event.data) / sizeof(run->system_event.data[0]))
		return -EBADMSG;
	exit->u.system_event.type = READ_ONCE(run->system_event.type);
	exit->u.system_event.ndata = ndata;
	exit->u.system_event.data = (const uint64_t *)run->system_event.data;
	exit->u.system_event.flags = READ_ONCE(run->system_event.data[0]);
	return 0;
}

static int decode_iocsr(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	struct kvm_compat_iocsr *iocsr = (void *)&run->hw;
	uint32_t len = READ_ONCE(iocsr->len);

	if (len == 0 || len > sizeof(iocsr->data))
		return -EBADMSG;
	exit->u.loongarch_iocsr.addr = READ_ONCE(iocsr->phys_addr);
	exit->u.loongarch_iocsr.data = iocsr->data;
	exit->u.loongarch_iocsr.len = len;
	exit->u.loongarch_iocsr.is_write = READ_ONCE(iocsr->is_write) != 0;
	return 0;
}

static void decode_calls(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	switch (exit->reason) {
	case VMM_KVM_EXIT_HYPERCALL:
		exit->u.hypercall.nr = READ_ONCE(run->hypercall.nr);
		exit->u.hypercall.args = (const uint64_t *)run->hypercall.args;
		exit->u.hypercall.ret = (uint64_t *)&run->hypercall.ret;
		exit->u.hypercall.longmode = READ_ONCE(run->hypercall.longmode);
		/* A later kernel calls the same 64 bits flags, of which bit 0 is
		 * longmode. */
		exit->u.hypercall.flags = READ_ONCE(run->hypercall.pad);
		break;
	case VMM_KVM_EXIT_PAPR_HCALL:
		exit->u.papr_hcall.nr = READ_ONCE(run->papr_hcall.nr);
		exit->u.papr_hcall.ret = (uint64_t *)&run->papr_hcall.ret;
		exit->u.papr_hcall.args = (uint64_t *)run->papr_hcall.args;
		break;
	case VMM_KVM_EXIT_RISCV_SBI:
		exit->u.riscv_sbi.extension_id = READ_ONCE(run->riscv_sbi.extension_id);
		exit->u.riscv_sbi.function_id = READ_ONCE(run->riscv_sbi.function_id);
		exit->u.riscv_sbi.args = run->riscv_sbi.args;
		exit->u.riscv_sbi.ret = run->riscv_sbi.ret;
		break;
	case VMM_KVM_EXIT_HYPERV:
		exit->u.hyperv.exit = &run->hyperv;
		break;
	case VMM_KVM_EXIT_XEN:
		exit->u.xen.exit = &run->xen;
		break;
	default:
		break;
	}
}

static void decode_registers(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	switch (exit->reason) {
	case VMM_KVM_EXIT_X86_RDMSR:
	case VMM_KVM_EXIT_X86_WRMSR:
		exit->u.msr.index = READ_ONCE(run->msr.index);
		exit->u.msr.reason = READ_ONCE(run->msr.reason);
		exit->u.msr.data = (uint64_t *)&run->msr.data;
		exit->u.msr.error = &run->msr.error;
		break;
	case VMM_KVM_EXIT_RISCV_CSR:
		exit->u.riscv_csr.csr_num = READ_ONCE(run->riscv_csr.csr_num);
		exit->u.riscv_csr.new_value = READ_ONCE(run->riscv_csr.new_value);
		exit->u.riscv_csr.write_mask = READ_ONCE(run->riscv_csr.write_mask);
		exit->u.riscv_csr.ret = &run->riscv_csr.ret_value;
		break;
	case VMM_KVM_EXIT_DCR:
		exit->u.dcr.dcrn = READ_ONCE(run->dcr.dcrn);
		exit->u.dcr.data = &run->dcr.data;
		exit->u.dcr.is_write = READ_ONCE(run->dcr.is_write) != 0;
		break;
	case VMM_KVM_EXIT_EPR:
		exit->u.epr.epr = &run->epr.epr;
		break;
	case VMM_KVM_EXIT_OSI:
		exit->u.osi.gprs = (const uint64_t *)run->osi.gprs;
		break;
	case VMM_KVM_EXIT_TPR_ACCESS:
		exit->u.tpr_access.rip = READ_ONCE(run->tpr_access.rip);
		exit->u.tpr_access.is_write = READ_ONCE(run->tpr_access.is_write) != 0;
		break;
	default:
		break;
	}
}

static void decode_faults(struct kvm_run *run, struct vmm_kvm_exit *exit)
{
	struct kvm_compat_memory_fault *fault = (void *)&run->hw;
	struct kvm_compat_tdx *tdx = (void *)&run->hw;

	switch (exit->reason) {
	case VMM_KVM_EXIT_UNKNOWN:
		exit->u.unknown.hardware_exit_reason =
		    READ_ONCE(run->hw.hardware_exit_reason);
		break;
	case VMM_KVM_EXIT_EXCEPTION:
		exit->u.exception.exception = READ_ONCE(run->ex.exception);
		exit->u.exception.error_code = READ_ONCE(run->ex.error_code);
		break;
	case VMM_KVM_EXIT_FAIL_ENTRY:
		exit->u.fail_entry.hardware_entry_failure_reason =
		    READ_ONCE(run->fail_entry.hardware_entry_failure_reason);
		exit->u.fail_entry.cpu = READ_ONCE(run->fail_entry.cpu);
		break;
	case VMM_KVM_EXIT_DEBUG:
		exit->u.debug.arch = &run->debug.arch;
		break;
	case VMM_KVM_EXIT_IOAPIC_EOI:
		exit->u.ioapic_eoi.vector = READ_ONCE(run->eoi.vector);
		break;
	case VMM_KVM_EXIT_ARM_NISV:
		exit->u.arm_nisv.esr_iss = READ_ONCE(run->arm_nisv.esr_iss);
		exit->u.arm_nisv.fault_ipa = READ_ONCE(run->arm_nisv.fault_ipa);
		break;
	case VMM_KVM_EXIT_NOTIFY:
		exit->u.notify.flags = READ_ONCE(run->notify.flags);
		break;
	case VMM_KVM_EXIT_MEMORY_FAULT:
		exit->u.memory_fault.flags = READ_ONCE(fault->flags);
		exit->u.memory_fault.gpa = READ_ONCE(fault->gpa);
		exit->u.memory_fault.len = READ_ONCE(fault->size);
		break;
	case VMM_KVM_EXIT_TDX:
		exit->u.tdx.flags = READ_ONCE(tdx->flags);
		exit->u.tdx.nr = READ_ONCE(tdx->nr);
		exit->u.tdx.data = (uint64_t *)tdx->data;
		break;
	default:
		break;
	}
}

int kvm_exit_decode(void *page, size_t len, struct vmm_kvm_exit *out)
{
	struct vmm_kvm_exit exit;
	struct kvm_run *run = page;
	int ret = 0;

	if (len < sizeof(*run))
		return -EBADMSG;
	memset(&exit, 0, sizeof(exit));
	exit.reason = READ_ONCE(run->exit_reason);
	exit.run_flags = READ_ONCE(run->flags);
	/* The frequent ones first; each of the others belongs to one of the tables. */
	switch (exit.reason) {
	case VMM_KVM_EXIT_IO:
		ret = decode_io(run, len, &exit);
		break;
	case VMM_KVM_EXIT_MMIO:
		ret = decode_mmio(run, &exit);
		break;
	case VMM_KVM_EXIT_INTERNAL_ERROR:
		ret = decode_internal(run, &exit);
		break;
	case VMM_KVM_EXIT_SYSTEM_EVENT:
		ret = decode_system_event(run, &exit);
		break;
	case VMM_KVM_EXIT_LOONGARCH_IOCSR:
		ret = decode_iocsr(run, &exit);
		break;
	default:
		decode_calls(run, &exit);
		decode_registers(run, &exit);
		decode_faults(run, &exit);
		break;
	}
	if (ret == 0)
		*out = exit;
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

static const char *const exit_names[] = {
	[VMM_KVM_EXIT_UNKNOWN] = "unknown",
	[VMM_KVM_EXIT_EXCEPTION] = "exception",
	[VMM_KVM_EXIT_IO] = "io",
	[VMM_KVM_EXIT_HYPERCALL] = "hypercall",
	[VMM_KVM_EXIT_DEBUG] = "debug",
	[VMM_KVM_EXIT_HLT] = "hlt",
	[VMM_KVM_EXIT_MMIO] = "mmio",
	[VMM_KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window-open",
	[VMM_KVM_EXIT_SHUTDOWN] = "shutdown",
	[VMM_KVM_EXIT_FAIL_ENTRY] = "fail-entry",
	[VMM_KVM_EXIT_INTR] = "intr",
	[VMM_KVM_EXIT_SET_TPR] = "set-tpr",
	[VMM_KVM_EXIT_TPR_ACCESS] = "tpr-access",
	[VMM_KVM_EXIT_DCR] = "dcr",
	[VMM_KVM_EXIT_NMI] = "nmi",
	[VMM_KVM_EXIT_INTERNAL_ERROR] = "internal-error",
	[VMM_KVM_EXIT_OSI] = "osi",
	[VMM_KVM_EXIT_PAPR_HCALL] = "papr-hcall",
	[VMM_KVM_EXIT_WATCHDOG] = "watchdog",
	[VMM_KVM_EXIT_EPR] = "epr",
	[VMM_KVM_EXIT_SYSTEM_EVENT] = "system-event",
	[VMM_KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
	[VMM_KVM_EXIT_HYPERV] = "hyperv",
	[VMM_KVM_EXIT_ARM_NISV] = "arm-nisv",
	[VMM_KVM_EXIT_X86_RDMSR] = "rdmsr",
	[VMM_KVM_EXIT_X86_WRMSR] = "wrmsr",
	[VMM_KVM_EXIT_DIRTY_RING_FULL] = "dirty-ring-full",
	[VMM_KVM_EXIT_AP_RESET_HOLD] = "ap-reset-hold",
	[VMM_KVM_EXIT_X86_BUS_LOCK] = "bus-lock",
	[VMM_KVM_EXIT_XEN] = "xen",
	[VMM_KVM_EXIT_RISCV_SBI] = "riscv-sbi",
	[VMM_KVM_EXIT_RISCV_CSR] = "riscv-csr",
	[VMM_KVM_EXIT_NOTIFY] = "notify",
	[VMM_KVM_EXIT_LOONGARCH_IOCSR] = "iocsr",
	[VMM_KVM_EXIT_MEMORY_FAULT] = "memory-fault",
	[VMM_KVM_EXIT_TDX] = "tdx",
};

static const char *const suberror_names[] = {
	[KVM_INTERNAL_ERROR_EMULATION] = "the instruction could not be emulated",
	[KVM_INTERNAL_ERROR_SIMUL_EX] = "an exception within an exception",
	[KVM_INTERNAL_ERROR_DELIVERY_EV] = "an unexpected exit during event delivery",
	[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an unexpected hardware exit",
};

static const char *const event_names[] = {
	[KVM_SYSTEM_EVENT_SHUTDOWN] = "shutdown",
	[KVM_SYSTEM_EVENT_RESET] = "reset",
	[KVM_SYSTEM_EVENT_CRASH] = "crash",
	[KVM_SYSTEM_EVENT_WAKEUP] = "wakeup",
	[KVM_SYSTEM_EVENT_SUSPEND] = "suspend",
	[KVM_SYSTEM_EVENT_SEV_TERM] = "SEV end",
	[7] = "TDX fatal error",
};

#define NAME(table, i) name_of(table, sizeof(table) / sizeof((table)[0]), i)

static const char *name_of(const char *const *table, size_t count, uint32_t i)
{
	return i < count && table[i] ? table[i] : "?";
}

const char *vmm_kvm_exit_name(uint32_t reason)
{
	return NAME(exit_names, reason);
}

struct text {
	char *buf;
	size_t size, len;
};

VMM_PRINTF(2, 3)
static void put(struct text *t, const char *format, ...)
{
	size_t left = t->len < t->size ? t->size - t->len : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(left > 0 ? t->buf + t->len : NULL, left, format, args);
	va_end(args);
	if (n > 0)
		t->len += (size_t)n;
}

static void put_bytes(struct text *t, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		put(t, " %02x", bytes[i]);
}

static void put_access(struct text *t, const struct vmm_kvm_exit *exit)
{
	if (exit->reason == VMM_KVM_EXIT_IO) {
		put(t, " %s port %#x, size %u, count %u",
		    exit->u.io.is_write ? "out" : "in", exit->u.io.port, exit->u.io.size,
		    exit->u.io.count);
		return;
	}
	put(t, " %s %#llx, length %u", exit->u.mmio.is_write ? "write" : "read",
	    (unsigned long long)exit->u.mmio.gpa, exit->u.mmio.len);
	if (exit->u.mmio.is_write) {
		put(t, ":");
		put_bytes(t, exit->u.mmio.data, exit->u.mmio.len);
	}
}

static void put_internal_error(struct text *t, const struct vmm_kvm_exit *exit)
{
	put(t, " %u: %s", exit->u.internal_error.suberror,
	    NAME(suberror_names, exit->u.internal_error.suberror));
	if (exit->u.internal_error.insn) {
		put(t, ", instruction bytes");
		put_bytes(t, exit->u.internal_error.insn,
			  exit->u.internal_error.insn_len);
		return;
	}
	for (uint32_t i = 0; i < exit->u.internal_error.ndata; i++)
		put(t, "%s %#llx", i == 0 ? ", data" : "",
		    (unsigned long long)exit->u.internal_error.data[i]);
}

static void put_system_event(struct text *t, const struct vmm_kvm_exit *exit)
{
	put(t, " %u: %s", exit->u.system_event.type,
	    NAME(event_names, exit->u.system_event.type));
	for (uint32_t i = 0; i < exit->u.system_event.ndata; i++)
		put(t, "%s %#llx", i == 0 ? ", data" : "",
		    (unsigned long long)exit->u.system_event.data[i]);
}

size_t vmm_kvm_exit_describe(const struct vmm_kvm_exit *exit, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };

	put(&t, "%s", vmm_kvm_exit_name(exit->reason));
	switch (exit->reason) {
	case VMM_KVM_EXIT_IO:
	case VMM_KVM_EXIT_MMIO:
		put_access(&t, exit);
		break;
	case VMM_KVM_EXIT_INTERNAL_ERROR:
		put_internal_error(&t, exit);
		break;
	case VMM_KVM_EXIT_SYSTEM_EVENT:
		put_system_event(&t, exit);
		break;
	case VMM_KVM_EXIT_UNKNOWN:
		put(&t, " hardware reason %#llx",
		    (unsigned long long)exit->u.unknown.hardware_exit_reason);
		break;
	case VMM_KVM_EXIT_FAIL_ENTRY:
		put(&t, " hardware reason %#llx on CPU %u",
		    (unsigned long long)exit->u.fail_entry.hardware_entry_failure_reason,
		    exit->u.fail_entry.cpu);
		break;
	case VMM_KVM_EXIT_MEMORY_FAULT:
		put(&t, " at %#llx, length %#llx, flags %#llx",
		    (unsigned long long)exit->u.memory_fault.gpa,
		    (unsigned long long)exit->u.memory_fault.len,
		    (unsigned long long)exit->u.memory_fault.flags);
		break;
	case VMM_KVM_EXIT_X86_RDMSR:
	case VMM_KVM_EXIT_X86_WRMSR:
		put(&t, " %#x, reason %#x", exit->u.msr.index, exit->u.msr.reason);
		break;
	default:
		if (exit->reason >= sizeof(exit_names) / sizeof(exit_names[0]))
			put(&t, " (reason %u)", exit->reason);
		break;
	}
	return t.len;
}

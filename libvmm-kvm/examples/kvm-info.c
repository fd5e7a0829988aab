/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Says what this host's KVM offers: in words, or with --json for a program. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

enum { CANNOT_RUN = 77 };

/* The numbers of capabilities never change. Where one stands, the headers are too old or
 * of an architecture without it. */
static const struct {
	uint32_t cap;
	const char *name;
	const char *words;
} caps[] = {
	{ KVM_CAP_IRQCHIP, "irqchip", "interrupt controllers in the kernel" },
	{ KVM_CAP_IRQFD, "irqfd", "interrupts from eventfds" },
	{ KVM_CAP_IRQFD_RESAMPLE, "irqfd_resample",
	  "level-triggered interrupts from eventfds" },
	{ KVM_CAP_IOEVENTFD, "ioeventfd", "doorbells to eventfds" },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "ioeventfd_any_length",
	  "doorbells of any width" },
	{ KVM_CAP_SIGNAL_MSI, "signal_msi", "message-signalled interrupts" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split_irqchip", "local APICs alone in the kernel" },
	{ 33, "pit2", "i8254 timer in the kernel" },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "tsc_deadline", "TSC-deadline timer" },
	{ KVM_CAP_TSC_CONTROL, "tsc_control", "time stamp counter of another frequency" },
	{ KVM_CAP_READONLY_MEM, "readonly_mem", "read-only memory" },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "manual_dirty_log",
	  "dirty log cleared by hand" },
	{ KVM_CAP_DIRTY_LOG_RING, "dirty_ring", "dirty rings (bytes)" },
	{ KVM_CAP_COALESCED_MMIO, "coalesced_mmio",
	  "batched MMIO writes (page of the ring)" },
	{ KVM_CAP_COALESCED_PIO, "coalesced_pio", "batched port writes" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate_exit", "kicks without a race" },
	{ KVM_CAP_SYNC_REGS, "sync_regs", "registers in the run page (mask)" },
	{ KVM_CAP_ONE_REG, "one_reg", "registers one by one" },
	{ KVM_CAP_NESTED_STATE, "nested_state", "state of nested guests (bytes)" },
	{ KVM_CAP_XSAVE2, "xsave2", "XSAVE areas (bytes)" },
	{ KVM_CAP_SREGS2, "sregs2", "page-directory pointers" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "user_space_msr", "MSR exits" },
	{ KVM_CAP_X86_MSR_FILTER, "msr_filter", "MSR filter" },
	{ KVM_CAP_X86_SMM, "smm", "system management mode" },
	{ KVM_CAP_HYPERV, "hyperv", "Hyper-V interface" },
	{ KVM_CAP_BINARY_STATS_FD, "binary_stats_fd", "binary statistics" },
	{ KVM_CAP_PMU_CAPABILITY, "pmu", "performance counters (mask)" },
	{ KVM_CAP_ARM_VM_IPA_SIZE, "arm_ipa_size", "address bits of an arm64 guest" },
	{ KVM_CAP_DEVICE_CTRL, "device_ctrl", "devices in the kernel" },
	{ 231, "user_memory2", "memory slots with private memory" },
	{ 232, "memory_fault_info", "memory faults with an address" },
	{ 233, "memory_attributes", "private and shared memory (mask)" },
	{ 234, "guest_memfd", "memory that only the guest maps" },
	{ 236, "pre_fault_memory", "memory populated in advance" },
};

static void print_text(const struct vmm_kvm *kvm, int linux_ret, const char *reason)
{
	printf("KVM API version 12; run page of %zu bytes\n", vmm_kvm_get_run_size(kvm));
	printf("vCPUs: %u recommended, %u at most, ids below %u\n",
	       vmm_kvm_get_nr_vcpus(kvm), vmm_kvm_get_max_vcpus(kvm),
	       vmm_kvm_get_max_vcpu_id(kvm));
	printf("memory slots: %u\n", vmm_kvm_get_nr_memslots(kvm));
	printf("boots Linux: %s%s%s\n", linux_ret == 0 ? "yes" : "no",
	       linux_ret == 0 ? "" : ": ", linux_ret == 0 ? "" : reason);
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		int value = vmm_kvm_check_extension(kvm, caps[i].cap);

		printf("%-4s %s", value > 0 ? "yes" : "no", caps[i].words);
		if (value > 1)
			printf(": %d", value);
		putchar('\n');
	}
}

static void print_json(const struct vmm_kvm *kvm, int linux_ret)
{
	printf(
	    "{\"api_version\":12,\"run_size\":%zu,\"nr_vcpus\":%u,\"max_vcpus\":%u,"
	    "\"max_vcpu_id\":%u,\"nr_memslots\":%u,\"boots_linux\":%s,\"capabilities\":{",
	    vmm_kvm_get_run_size(kvm), vmm_kvm_get_nr_vcpus(kvm),
	    vmm_kvm_get_max_vcpus(kvm), vmm_kvm_get_max_vcpu_id(kvm),
	    vmm_kvm_get_nr_memslots(kvm), linux_ret == 0 ? "true" : "false");
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		printf("%s\"%s\":%d", i > 0 ? "," : "", caps[i].name,
		       vmm_kvm_check_extension(kvm, caps[i].cap));
	printf("}}\n");
}

int main(int argc, char **argv)
{
	VMM_CLEANUP(vmm_kvm_close) struct vmm_kvm *kvm = NULL;
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct vmm_error err;
	int ret;

	if (argc > 1 && !json) {
		(void)fprintf(stderr, "usage: kvm-info [--json]\n");
		return 2;
	}
	if (vmm_kvm_open(NULL, &kvm, &err) < 0) {
		(void)fprintf(stderr, "kvm-info: %s\n", err.message);
		return CANNOT_RUN;
	}
	ret = vmm_kvm_probe_linux(kvm, &err);
	if (json)
		print_json(kvm, ret);
	else
		print_text(kvm, ret, err.message);
	return EXIT_SUCCESS;
}

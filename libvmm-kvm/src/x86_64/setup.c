/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "cpuid.h"
#include "internal.h"

#define MSR_TSC 0x10
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_MISC_ENABLE 0x1a0
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_KERNEL_GS_BASE 0xc0000102

#define MISC_ENABLE_FAST_STRING 1
#define MTRR_ENABLE (1u << 11)
#define MTRR_WRITE_BACK 6

/* Offsets in the local APIC, and the delivery mode of its pins. */
#define LVT_LINT0 0x350
#define LVT_LINT1 0x360
#define LVT_MODE_MASK 0x700u
#define LVT_MODE_NMI 0x400u
#define LVT_MODE_EXTINT 0x700u

/* What firmware leaves behind. Memory types count as soon as the guest maps a device. */
static const struct kvm_msr_entry boot_msrs[] = {
	{ .index = MSR_SYSENTER_CS },
	{ .index = MSR_SYSENTER_ESP },
	{ .index = MSR_SYSENTER_EIP },
	{ .index = MSR_STAR },
	{ .index = MSR_CSTAR },
	{ .index = MSR_KERNEL_GS_BASE },
	{ .index = MSR_SYSCALL_MASK },
	{ .index = MSR_LSTAR },
	{ .index = MSR_TSC },
	{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
	{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
};

static int set_msrs(struct vmm_kvm_vcpu *vcpu)
{
	size_t count = sizeof(boot_msrs) / sizeof(boot_msrs[0]), at = 0;

	while (at < count) {
		size_t done = 0;
		int ret = vmm_kvm_vcpu_set_msrs(vcpu, boot_msrs + at, count - at, &done);

		if (ret < 0 && ret != -ENXIO)
			return ret;
		/* Step over the one that this host does not have. */
		at += done + (ret < 0);
	}
	return 0;
}

static int set_fpu(struct vmm_kvm_vcpu *vcpu)
{
	const struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	return vmm_kvm_vcpu_set_fpu(vcpu, &fpu);
}

static void set_mode(struct kvm_lapic_state *lapic, size_t offset, uint32_t mode)
{
	uint32_t reg;

	memcpy(&reg, lapic->regs + offset, sizeof(reg));
	reg = (reg & ~LVT_MODE_MASK) | mode;
	memcpy(lapic->regs + offset, &reg, sizeof(reg));
}

static int set_lint(struct vmm_kvm_vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	int ret = vmm_kvm_vcpu_get_lapic(vcpu, &lapic);

	/* A local APIC outside the kernel is the caller's. */
	if (ret == -EINVAL)
		return 0;
	if (ret < 0)
		return ret;
	set_mode(&lapic, LVT_LINT0, LVT_MODE_EXTINT);
	set_mode(&lapic, LVT_LINT1, LVT_MODE_NMI);
	return vmm_kvm_vcpu_set_lapic(vcpu, &lapic);
}

static int failed(struct vmm_error *err, int code, uint32_t cpu, const char *step)
{
	return vmm_error_at(err, code, cpu, 0, 0, "vCPU %u: cannot set %s: %s", cpu, step,
			    strerrordesc_np(-code));
}

static int set_cpuid(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_x86_cpuid *cpuid,
		     const struct vmm_kvm_x86_topology *topology, struct vmm_error *err)
{
	struct vmm_kvm_x86_cpuid *own = NULL;
	int ret = vmm_kvm_x86_cpuid_clone(cpuid, &own);

	if (ret == 0)
		ret = vmm_kvm_x86_cpuid_set_topology(own, topology);
	if (ret < 0)
		(void)failed(err, ret, vcpu->id, "the topology");
	else if ((ret = vmm_kvm_vcpu_set_cpuid(vcpu, own)) < 0)
		(void)failed(err, ret, vcpu->id, "CPUID");
	vmm_kvm_x86_cpuid_free(own);
	return ret;
}

int vmm_kvm_vcpu_setup(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_x86_cpuid *cpuid,
		       const struct vmm_kvm_x86_topology *topology,
		       const struct vmm_kvm_x86_boot *boot, struct vmm_error *err)
{
	uint32_t id = 0;
	int ret;

	ret = vmm_kvm_x86_topology_get_apic_id(topology, &id);
	if (ret < 0)
		return vmm_error_set(err, ret, "vCPU %u: a topology that cannot be",
				     vcpu->id);
	if (id != vcpu->id)
		return vmm_error_at(err, -EINVAL, vcpu->id, vcpu->id, id,
				    "vCPU %u is not the one of the topology", vcpu->id);
	/* CPUID comes first: since Linux 6.13 an MSR that it does not have cannot be set.
	 */
	ret = set_cpuid(vcpu, cpuid, topology, err);
	if (ret < 0)
		return ret;
	ret = set_msrs(vcpu);
	if (ret < 0)
		return failed(err, ret, vcpu->id, "MSRs");
	ret = set_fpu(vcpu);
	if (ret < 0)
		return failed(err, ret, vcpu->id, "the FPU");
	ret = set_lint(vcpu);
	if (ret < 0)
		return failed(err, ret, vcpu->id, "the local APIC");
	ret = boot ? vmm_kvm_vcpu_set_boot_regs(vcpu, boot) : 0;
	return ret < 0 ? failed(err, ret, vcpu->id, "the boot registers") : 0;
}

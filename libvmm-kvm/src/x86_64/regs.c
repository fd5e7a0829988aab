/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

static int get(struct vmm_kvm_vcpu *vcpu, unsigned long request, void *out)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, request, out);
}

static int set(struct vmm_kvm_vcpu *vcpu, unsigned long request, const void *in)
{
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, request, in);
}

int vmm_kvm_vcpu_get_regs(struct vmm_kvm_vcpu *vcpu, struct kvm_regs *out)
{
	return get(vcpu, KVM_GET_REGS, out);
}

int vmm_kvm_vcpu_set_regs(struct vmm_kvm_vcpu *vcpu, const struct kvm_regs *regs)
{
	return set(vcpu, KVM_SET_REGS, regs);
}

int vmm_kvm_vcpu_get_sregs(struct vmm_kvm_vcpu *vcpu, struct kvm_sregs *out)
{
	return get(vcpu, KVM_GET_SREGS, out);
}

int vmm_kvm_vcpu_set_sregs(struct vmm_kvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return set(vcpu, KVM_SET_SREGS, sregs);
}

int vmm_kvm_vcpu_get_fpu(struct vmm_kvm_vcpu *vcpu, struct kvm_fpu *out)
{
	return get(vcpu, KVM_GET_FPU, out);
}

int vmm_kvm_vcpu_set_fpu(struct vmm_kvm_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	return set(vcpu, KVM_SET_FPU, fpu);
}

int vmm_kvm_vcpu_get_lapic(struct vmm_kvm_vcpu *vcpu, struct kvm_lapic_state *out)
{
	return get(vcpu, KVM_GET_LAPIC, out);
}

int vmm_kvm_vcpu_set_lapic(struct vmm_kvm_vcpu *vcpu, const struct kvm_lapic_state *lapic)
{
	return set(vcpu, KVM_SET_LAPIC, lapic);
}

int vmm_kvm_vcpu_get_xcrs(struct vmm_kvm_vcpu *vcpu, struct kvm_xcrs *out)
{
	return get(vcpu, KVM_GET_XCRS, out);
}

int vmm_kvm_vcpu_set_xcrs(struct vmm_kvm_vcpu *vcpu, const struct kvm_xcrs *xcrs)
{
	return set(vcpu, KVM_SET_XCRS, xcrs);
}

int vmm_kvm_vcpu_get_debugregs(struct vmm_kvm_vcpu *vcpu, struct kvm_debugregs *out)
{
	return get(vcpu, KVM_GET_DEBUGREGS, out);
}

int vmm_kvm_vcpu_set_debugregs(struct vmm_kvm_vcpu *vcpu,
			       const struct kvm_debugregs *regs)
{
	return set(vcpu, KVM_SET_DEBUGREGS, regs);
}

int vmm_kvm_vcpu_get_events(struct vmm_kvm_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	return get(vcpu, KVM_GET_VCPU_EVENTS, out);
}

int vmm_kvm_vcpu_set_events(struct vmm_kvm_vcpu *vcpu,
			    const struct kvm_vcpu_events *events)
{
	return set(vcpu, KVM_SET_VCPU_EVENTS, events);
}

int vmm_kvm_vcpu_get_xsave(struct vmm_kvm_vcpu *vcpu, void *buf, size_t len)
{
	size_t size = vmm_kvm_vm_get_xsave_size(vcpu->vm);

	if (len < size)
		return -ENOSPC;
	/* Kernels before 5.17 have only the call for 4096 bytes. */
	return get(vcpu, size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE,
		   buf);
}

int vmm_kvm_vcpu_set_xsave(struct vmm_kvm_vcpu *vcpu, const void *buf, size_t len)
{
	if (len < vmm_kvm_vm_get_xsave_size(vcpu->vm))
		return -ENOSPC;
	return set(vcpu, KVM_SET_XSAVE, buf);
}

int vmm_kvm_vcpu_get_tsc_khz(struct vmm_kvm_vcpu *vcpu, uint32_t *out)
{
	int khz = kvm_ioctl(vcpu->sys, vcpu->fd, KVM_GET_TSC_KHZ, NULL);

	if (khz < 0)
		return khz == -EIO ? -EOPNOTSUPP : khz;
	*out = (uint32_t)khz;
	return 0;
}

int vmm_kvm_vcpu_set_tsc_khz(struct vmm_kvm_vcpu *vcpu, uint32_t khz)
{
	return kvm_ioctl_value(vcpu->sys, vcpu->fd, KVM_SET_TSC_KHZ, khz);
}

static int put_segment(char *buf, size_t size, const char *name,
		       const struct kvm_segment *s)
{
	return snprintf(buf, size, "%s=%04x base %#llx limit %#x type %#x%s%s\n", name,
			s->selector, (unsigned long long)s->base, s->limit, s->type,
			s->l	? " 64-bit"
			: s->db ? " 32-bit"
				: "",
			s->unusable ? " unusable" : "");
}

size_t vmm_kvm_x86_describe_regs(const struct kvm_regs *regs,
				 const struct kvm_sregs *sregs, char *buf, size_t size)
{
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{ "rip", regs->rip },	    { "rflags", regs->rflags },
		{ "rsp", regs->rsp },	    { "rbp", regs->rbp },
		{ "rax", regs->rax },	    { "rbx", regs->rbx },
		{ "rcx", regs->rcx },	    { "rdx", regs->rdx },
		{ "rsi", regs->rsi },	    { "rdi", regs->rdi },
		{ "r8", regs->r8 },	    { "r9", regs->r9 },
		{ "r10", regs->r10 },	    { "r11", regs->r11 },
		{ "r12", regs->r12 },	    { "r13", regs->r13 },
		{ "r14", regs->r14 },	    { "r15", regs->r15 },
		{ "cr0", sregs->cr0 },	    { "cr2", sregs->cr2 },
		{ "cr3", sregs->cr3 },	    { "cr4", sregs->cr4 },
		{ "efer", sregs->efer },    { "gdt", sregs->gdt.base },
		{ "idt", sregs->idt.base },
	};
	const struct {
		const char *name;
		const struct kvm_segment *segment;
	} segments[] = { { "cs", &sregs->cs },
			 { "ds", &sregs->ds },
			 { "ss", &sregs->ss } };
	size_t count = sizeof(values) / sizeof(values[0]), len = 0;

	/* snprintf() may be given room for nothing, and still tells the length. */
	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(
		    len < size ? buf + len : NULL, len < size ? size - len : 0,
		    "%s=%016llx%c", values[i].name, (unsigned long long)values[i].value,
		    i % 4 == 3 || i == count - 1 ? '\n' : ' ');
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		len += (size_t)put_segment(len < size ? buf + len : NULL,
					   len < size ? size - len : 0, segments[i].name,
					   segments[i].segment);
	return len;
}

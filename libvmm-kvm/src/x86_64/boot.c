/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

#define CR0_PE (UINT64_C(1) << 0)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PAE (UINT64_C(1) << 5)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)
#define RFLAGS_ONE 2u

#define TYPE_DATA 0x3	  /* read, write, accessed */
#define TYPE_CODE 0xb	  /* execute, read, accessed */
#define TYPE_TSS_BUSY 0xb /* the 32-bit one; in long mode the 64-bit one */

/* Task state of a processor that never switches tasks: its least size. */
#define TSS_LIMIT 0x67

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool wide)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !wide,
		.s = 1,
		.l = wide,
		.g = 1,
	};
}

static struct kvm_segment real(uint64_t base, uint8_t type)
{
	return (struct kvm_segment){
		.base = base,
		.limit = 0xffff,
		.selector = (uint16_t)(base >> 4),
		.type = type,
		.present = 1,
		.s = 1,
	};
}

static struct kvm_segment task(uint16_t selector)
{
	return (struct kvm_segment){
		.limit = TSS_LIMIT,
		.selector = selector,
		.type = TYPE_TSS_BUSY,
		.present = 1,
	};
}

static int read_boot(struct vmm_kvm_x86_boot *out, const struct vmm_kvm_x86_boot *in)
{
	int ret = kvm_options_read(out, sizeof(*out), in);

	if (ret < 0)
		return ret;
	if (out->reserved_ != 0)
		return -EINVAL;
	switch (out->mode) {
	case VMM_KVM_X86_LONG64:
		return out->cr3 != 0 ? 0 : -EINVAL;
	case VMM_KVM_X86_PROTECTED32:
		return out->cr3 == 0 && out->rip <= UINT32_MAX ? 0 : -EINVAL;
	case VMM_KVM_X86_REAL16:
		return out->cr3 == 0 && out->rip <= 0xfffff ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static void set_segments(const struct vmm_kvm_x86_boot *b, struct kvm_sregs *s)
{
	bool wide = b->mode == VMM_KVM_X86_LONG64;

	if (b->mode == VMM_KVM_X86_REAL16) {
		s->cs = real(b->rip & ~UINT64_C(0xffff), TYPE_CODE);
		s->ds = real(0, TYPE_DATA);
		s->tr = task(0);
		s->tr.limit = 0xffff;
	} else {
		s->cs = flat(b->cs, TYPE_CODE, wide);
		s->ds = flat(b->ds, TYPE_DATA, false);
		s->tr = task(b->tr);
	}
	s->es = s->fs = s->gs = s->ss = s->ds;
	s->ldt = (struct kvm_segment){ .unusable = 1 };
}

int vmm_kvm_x86_boot_get_regs(const struct vmm_kvm_x86_boot *boot,
			      struct kvm_regs *out_regs, struct kvm_sregs *sregs)
{
	struct vmm_kvm_x86_boot b;
	struct kvm_sregs s = { 0 };
	int ret = read_boot(&b, boot);

	if (ret < 0)
		return ret;
	set_segments(&b, &s);
	s.apic_base = sregs->apic_base;
	s.gdt.base = b.gdt_base;
	s.gdt.limit = b.gdt_limit;
	s.idt.base = b.idt_base;
	s.idt.limit = b.idt_limit;
	s.cr0 = CR0_ET;
	if (b.mode == VMM_KVM_X86_REAL16)
		s.idt.limit = b.idt_limit ? b.idt_limit : 0x3ff;
	else
		s.cr0 |= CR0_PE;
	if (b.mode == VMM_KVM_X86_LONG64) {
		s.cr0 |= CR0_PG;
		s.cr3 = b.cr3;
		s.cr4 = CR4_PAE;
		s.efer = EFER_LME | EFER_LMA;
	}

	memset(out_regs, 0, sizeof(*out_regs));
	out_regs->rip = b.mode == VMM_KVM_X86_REAL16 ? b.rip & 0xffff : b.rip;
	out_regs->rflags = RFLAGS_ONE;
	out_regs->rsp = b.rsp;
	out_regs->rbp = b.rbp;
	out_regs->rsi = b.rsi;
	out_regs->rdi = b.rdi;
	out_regs->rbx = b.rbx;
	*sregs = s;
	return 0;
}

/* Intel SDM volume 3, 3.4.5: base and limit are spread over the eight bytes. */
static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t access = (uint64_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7);
	uint64_t flags = (uint64_t)(s->avl | s->l << 1 | s->db << 2 | s->g << 3);

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | access << 40 |
	       (limit >> 16 & 0xf) << 48 | flags << 52 | (s->base >> 24 & 0xff) << 56;
}

uint64_t vmm_kvm_x86_boot_get_descriptor(const struct vmm_kvm_x86_boot *boot,
					 uint16_t selector)
{
	struct kvm_sregs s = { 0 };
	struct kvm_regs r;

	if (selector == 0 || boot->mode == VMM_KVM_X86_REAL16 ||
	    vmm_kvm_x86_boot_get_regs(boot, &r, &s) < 0)
		return 0;
	if (selector == s.cs.selector)
		return descriptor(&s.cs);
	if (selector == s.ds.selector)
		return descriptor(&s.ds);
	return selector == s.tr.selector ? descriptor(&s.tr) : 0;
}

int vmm_kvm_vcpu_set_boot_regs(struct vmm_kvm_vcpu *vcpu,
			       const struct vmm_kvm_x86_boot *boot)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int ret = vmm_kvm_vcpu_get_sregs(vcpu, &sregs);

	if (ret == 0)
		ret = vmm_kvm_x86_boot_get_regs(boot, &regs, &sregs);
	if (ret == 0)
		ret = vmm_kvm_vcpu_set_sregs(vcpu, &sregs);
	return ret < 0 ? ret : vmm_kvm_vcpu_set_regs(vcpu, &regs);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

#include "cpuid.h"
#include "state-msrs.h"
#include "state.h"

/* Frequencies this close (parts in a million) are one: the kernel's own tolerance. */
#define TSC_PPM 250u

_Static_assert(sizeof(struct kvm_regs) == 144, "layout");
_Static_assert(sizeof(struct kvm_sregs) == 312, "layout");
_Static_assert(sizeof(struct kvm_sregs2) == 320, "layout");
_Static_assert(sizeof(struct kvm_xsave) == STATE_XSAVE_MIN, "layout");
_Static_assert(sizeof(struct kvm_xcrs) == 392, "layout");
_Static_assert(sizeof(struct kvm_debugregs) == 128, "layout");
_Static_assert(sizeof(struct kvm_lapic_state) == 1024, "layout");
_Static_assert(sizeof(struct kvm_vcpu_events) == 64, "layout");
_Static_assert(sizeof(struct kvm_cpuid_entry2) == STATE_CPUID_ENTRY, "layout");
_Static_assert(sizeof(struct kvm_msr_entry) == STATE_MSR_ENTRY, "layout");
_Static_assert(sizeof(struct kvm_nested_state) == STATE_NESTED_HEAD, "layout");
_Static_assert(sizeof(struct kvm_irqchip) == STATE_CHIP, "layout");
_Static_assert(sizeof(struct kvm_pit_state2) == 112, "layout");
_Static_assert(sizeof(struct kvm_clock_data) == 48, "layout");

/* What one kernel structure each holds. @optional is the answer of a machine that does
 * not have the thing. */
struct part {
	uint32_t section;
	uint32_t len;
	unsigned long get, set;
	int optional;
	const char *name;
};

static const struct part vcpu_parts[] = {
	{ VMM_KVM_STATE_REGS, 144, KVM_GET_REGS, KVM_SET_REGS, 0, "general registers" },
	{ VMM_KVM_STATE_SREGS, 312, KVM_GET_SREGS, KVM_SET_SREGS, 0,
	  "segment and control registers" },
	{ VMM_KVM_STATE_SREGS2, 320, KVM_GET_SREGS2, KVM_SET_SREGS2, 0,
	  "segment and control registers" },
	{ VMM_KVM_STATE_XCRS, 392, KVM_GET_XCRS, KVM_SET_XCRS, -EINVAL,
	  "extended control registers" },
	{ VMM_KVM_STATE_DEBUGREGS, 128, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, 0,
	  "debug registers" },
	{ VMM_KVM_STATE_LAPIC, 1024, KVM_GET_LAPIC, KVM_SET_LAPIC, -EINVAL,
	  "local APIC" },
	{ VMM_KVM_STATE_EVENTS, 64, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, 0,
	  "pending events" },
	{ VMM_KVM_STATE_PIC_MASTER, STATE_CHIP, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, -ENXIO,
	  "PIC" },
	{ VMM_KVM_STATE_PIC_SLAVE, STATE_CHIP, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, -ENXIO,
	  "second PIC" },
	{ VMM_KVM_STATE_IOAPIC, STATE_CHIP, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, -ENXIO,
	  "IOAPIC" },
	{ VMM_KVM_STATE_PIT2, 112, KVM_GET_PIT2, KVM_SET_PIT2, -ENXIO, "timer" },
};

static const struct part *part_of(uint32_t section)
{
	const struct part *p = vcpu_parts;

	while (p->section != section)
		p++;
	return p;
}

static int failed(struct vmm_error *err, int code, const char *verb, const char *name)
{
	return vmm_error_at(err, code, 0, 0, 0, "cannot %s the %s: %s", verb, name,
			    strerrordesc_np(-code));
}

static int save_part(const struct kvm_sys *sys, int fd, uint32_t section,
		     struct kvm_state_builder *b, struct vmm_error *err)
{
	const struct part *p = part_of(section);
	/* The largest of them, with the number of a chip in front. */
	_Alignas(16) uint8_t buf[1024] = { 0 };
	int ret;

	if (section == VMM_KVM_STATE_PIC_SLAVE || section == VMM_KVM_STATE_IOAPIC)
		buf[0] = section == VMM_KVM_STATE_PIC_SLAVE ? 1 : 2;
	ret = kvm_ioctl_zero(sys, fd, p->get, buf);
	if (ret < 0 && ret == p->optional)
		return 0;
	/* Where the processor has none of these registers, the kernel tells so but takes
	 * no empty list back. */
	if (ret == 0 && section == VMM_KVM_STATE_XCRS && buf[0] == 0)
		return 0;
	if (ret == 0)
		ret = kvm_state_add(b, section, buf, p->len);
	return ret < 0 ? failed(err, ret, "save", p->name) : 0;
}

static int restore_part(const struct kvm_sys *sys, int fd, uint32_t section,
			const struct vmm_kvm_state *state, struct vmm_error *err)
{
	const struct part *p = part_of(section);
	size_t len;
	const void *data = vmm_kvm_state_find(state, section, &len);
	int ret = data ? kvm_ioctl_zero(sys, fd, p->set, data) : 0;

	return ret < 0 ? failed(err, ret, "restore", p->name) : 0;
}

static int save_vcpu_part(struct vmm_kvm_vcpu *vcpu, uint32_t section,
			  struct kvm_state_builder *b, struct vmm_error *err)
{
	return save_part(vcpu->sys, vcpu->fd, section, b, err);
}

static bool has_sregs2(const struct vmm_kvm_vcpu *vcpu)
{
	return vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_SREGS2) > 0;
}

static int save_mp_state(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
			 struct vmm_error *err)
{
	uint32_t mp = 0;
	int ret = vmm_kvm_vcpu_get_mp_state(vcpu, &mp);
	uint64_t word = mp;

	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_MP_STATE, &word, sizeof(word));
	return ret < 0 ? failed(err, ret, "save", "run state") : 0;
}

static int save_xsave(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		      struct vmm_error *err)
{
	size_t len = vmm_kvm_vm_get_xsave_size(vcpu->vm);
	void *area;
	int ret = kvm_state_place(b, VMM_KVM_STATE_XSAVE, len, &area);

	if (ret == 0)
		ret = vmm_kvm_vcpu_get_xsave(vcpu, area, len);
	return ret < 0 ? failed(err, ret, "save", "FPU registers") : 0;
}

static int save_tsc_khz(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
			struct vmm_error *err)
{
	uint32_t khz = 0;
	int ret = vmm_kvm_vcpu_get_tsc_khz(vcpu, &khz);
	uint64_t word = khz;

	if (ret == -EOPNOTSUPP)
		return 0;
	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_TSC_KHZ, &word, sizeof(word));
	return ret < 0 ? failed(err, ret, "save", "TSC frequency") : 0;
}

static int save_cpuid(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		      struct vmm_error *err)
{
	struct vmm_kvm_x86_cpuid *cpuid = NULL;
	int ret = vmm_kvm_vcpu_get_cpuid(vcpu, &cpuid);

	if (ret == 0) {
		struct kvm_cpuid_entry2 *e = cpuid->table->entries;
		size_t n = cpuid->table->nent;

		ret = kvm_state_add(b, VMM_KVM_STATE_CPUID, e, n * sizeof(*e));
	}
	vmm_kvm_x86_cpuid_free(cpuid);
	return ret < 0 ? failed(err, ret, "save", "CPUID") : 0;
}

static int save_nested(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		       struct vmm_error *err)
{
	int room = vmm_kvm_vm_check_extension(vcpu->vm, KVM_CAP_NESTED_STATE);
	size_t len = 0;
	void *buf;
	int ret;

	if (room < STATE_NESTED_HEAD)
		return 0;
	if (room > STATE_AREA_MAX)
		room = STATE_AREA_MAX;
	buf = calloc(1, (size_t)room);
	if (!buf)
		return failed(err, -ENOMEM, "save", "nested state");
	ret = vmm_kvm_vcpu_get_nested_state(vcpu, buf, (size_t)room, &len);
	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_NESTED, buf, len);
	free(buf);
	return ret < 0 ? failed(err, ret, "save", "nested state") : 0;
}

/* KVM_GET_MP_STATE comes first, because it delivers INIT and start-up messages that wait
 * in the local APIC; reading the events can change them, so they come last. */
int kvm_x86_vcpu_save(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm *kvm,
		      struct kvm_state_builder *b, struct vmm_error *err)
{
	int ret = save_mp_state(vcpu, b, err);

	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_REGS, b, err);
	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_SREGS, b, err);
	if (ret == 0 && has_sregs2(vcpu))
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_SREGS2, b, err);
	if (ret == 0)
		ret = save_xsave(vcpu, b, err);
	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_XCRS, b, err);
	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_DEBUGREGS, b, err);
	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_LAPIC, b, err);
	if (ret == 0)
		ret = save_tsc_khz(vcpu, b, err);
	if (ret == 0)
		ret = save_cpuid(vcpu, b, err);
	if (ret == 0)
		ret = kvm_x86_save_msrs(vcpu, kvm, b, err);
	if (ret == 0)
		ret = save_nested(vcpu, b, err);
	if (ret == 0)
		ret = save_vcpu_part(vcpu, VMM_KVM_STATE_EVENTS, b, err);
	return ret;
}

static int restore_cpuid(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	size_t len;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_CPUID, &len);
	struct kvm_cpuid2 *table = calloc(1, sizeof(*table) + len);
	int ret = -ENOMEM;

	if (table) {
		table->nent = (__u32)(len / sizeof(table->entries[0]));
		if (len > 0)
			memcpy(table->entries, data, len);
		ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_CPUID2, table);
	}
	free(table);
	return ret < 0 ? failed(err, ret, "restore", "CPUID") : 0;
}

static int restore_tsc_khz(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			   struct vmm_error *err)
{
	uint32_t have = 0;
	uint64_t want, apart;
	size_t len;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_TSC_KHZ, &len);
	int ret;

	if (!data)
		return 0;
	memcpy(&want, data, sizeof(want));
	if (vmm_kvm_vcpu_get_tsc_khz(vcpu, &have) < 0)
		have = 0;
	apart = want > have ? want - have : have - want;
	if (apart * 1000000 <= want * TSC_PPM)
		return 0;
	ret = vmm_kvm_vcpu_set_tsc_khz(vcpu, (uint32_t)want);
	return ret < 0
		   ? vmm_error_at(err, ret, 0, want, have,
				  "cannot restore a TSC of %u kHz where it has %u: %s",
				  (uint32_t)want, have, strerrordesc_np(-ret))
		   : 0;
}

static int restore_mp_state(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			    struct vmm_error *err)
{
	size_t len;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_MP_STATE, &len);
	uint64_t word;
	int ret;

	if (!data)
		return 0;
	memcpy(&word, data, sizeof(word));
	ret = vmm_kvm_vcpu_set_mp_state(vcpu, (uint32_t)word);
	return ret < 0 ? failed(err, ret, "restore", "run state") : 0;
}

/* Hosts differ in how much an area holds. A larger one is filled with zeros: its header
 * does not name the parts behind. A smaller one must not lose anything. */
static int restore_xsave(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	size_t len, want = vmm_kvm_vm_get_xsave_size(vcpu->vm);
	const uint8_t *data = vmm_kvm_state_find(state, VMM_KVM_STATE_XSAVE, &len);
	uint8_t *area;
	int ret;

	for (size_t i = want; i < len; i++)
		if (data[i] != 0)
			return failed(err, -EOPNOTSUPP, "restore",
				      "FPU registers: this host has fewer");
	area = calloc(1, want);
	if (!area)
		return failed(err, -ENOMEM, "restore", "FPU registers");
	memcpy(area, data, len < want ? len : want);
	ret = vmm_kvm_vcpu_set_xsave(vcpu, area, want);
	free(area);
	return ret < 0 ? failed(err, ret, "restore", "FPU registers") : 0;
}

static int restore_nested(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			  struct vmm_error *err)
{
	size_t len;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_NESTED, &len);
	int ret = data ? vmm_kvm_vcpu_set_nested_state(vcpu, data, len) : 0;

	/* Only a head: the guest had no guest. */
	if (ret == -EOPNOTSUPP && len == STATE_NESTED_HEAD)
		ret = 0;
	return ret < 0 ? failed(err, ret, "restore", "nested state") : 0;
}

/* CPUID before what depends on it; the frequency before the TSC itself, which is an MSR;
 * the local APIC before its timer's MSR. Nested state wants the MSRs and control
 * registers that allow it; pending events belong to the level that it chooses. */
int kvm_x86_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			 struct vmm_error *err)
{
	size_t len;
	uint32_t sregs =
	    vmm_kvm_state_find(state, VMM_KVM_STATE_SREGS2, &len) && has_sregs2(vcpu)
		? VMM_KVM_STATE_SREGS2
		: VMM_KVM_STATE_SREGS;
	const uint32_t before_fpu[] = { VMM_KVM_STATE_REGS, sregs };
	const uint32_t after_fpu[] = { VMM_KVM_STATE_XCRS, VMM_KVM_STATE_DEBUGREGS,
				       VMM_KVM_STATE_LAPIC };
	int ret = restore_cpuid(vcpu, state, err);

	if (ret == 0)
		ret = restore_tsc_khz(vcpu, state, err);
	if (ret == 0)
		ret = restore_mp_state(vcpu, state, err);
	for (size_t i = 0; ret == 0 && i < 2; i++)
		ret = restore_part(vcpu->sys, vcpu->fd, before_fpu[i], state, err);
	if (ret == 0)
		ret = restore_xsave(vcpu, state, err);
	for (size_t i = 0; ret == 0 && i < 3; i++)
		ret = restore_part(vcpu->sys, vcpu->fd, after_fpu[i], state, err);
	if (ret == 0)
		ret = kvm_x86_restore_msrs(vcpu, state, err);
	if (ret == 0)
		ret = restore_nested(vcpu, state, err);
	if (ret == 0)
		ret = restore_part(vcpu->sys, vcpu->fd, VMM_KVM_STATE_EVENTS, state, err);
	if (ret < 0)
		return ret;
	/* Tells the guest's watchdog that time has passed; not every guest listens. */
	ret = vmm_kvm_vcpu_kvmclock_ctrl(vcpu);
	return ret < 0 && ret != -EINVAL ? failed(err, ret, "stop", "guest's clock") : 0;
}

int kvm_x86_vm_save(struct vmm_kvm_vm *vm, struct kvm_state_builder *b,
		    struct vmm_error *err)
{
	static const uint32_t sections[] = { VMM_KVM_STATE_PIC_MASTER,
					     VMM_KVM_STATE_PIC_SLAVE,
					     VMM_KVM_STATE_IOAPIC, VMM_KVM_STATE_PIT2 };
	struct kvm_clock_data clock = { 0 };
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < 4; i++)
		ret = save_part(vm->sys, vm->fd, sections[i], b, err);
	if (ret < 0)
		return ret;
	ret = vmm_kvm_vm_get_clock(vm, &clock);
	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_CLOCK, &clock, sizeof(clock));
	return ret < 0 ? failed(err, ret, "save", "clock") : 0;
}

int kvm_x86_vm_restore(struct vmm_kvm_vm *vm, const struct vmm_kvm_state *state,
		       uint32_t flags, struct vmm_error *err)
{
	static const uint32_t sections[] = { VMM_KVM_STATE_PIC_MASTER,
					     VMM_KVM_STATE_PIC_SLAVE,
					     VMM_KVM_STATE_IOAPIC, VMM_KVM_STATE_PIT2 };
	struct kvm_clock_data clock;
	size_t len;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < 4; i++)
		ret = restore_part(vm->sys, vm->fd, sections[i], state, err);
	if (ret < 0)
		return ret;
	memcpy(&clock, vmm_kvm_state_find(state, VMM_KVM_STATE_CLOCK, &len),
	       sizeof(clock));
	/* What the kernel says when it reads is more than it takes when it writes. */
	clock.flags &= flags & VMM_KVM_RESTORE_REALTIME ? KVM_CLOCK_REALTIME : 0;
	ret = vmm_kvm_vm_set_clock(vm, &clock);
	return ret < 0 ? failed(err, ret, "restore", "clock") : 0;
}

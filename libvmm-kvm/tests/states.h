/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_STATES_H
#define TESTS_STATES_H

/* The smallest good state of each kind and architecture, as bytes. */

#include <assert.h>
#include <string.h>

#include "state.h"

enum { SAMPLES = 7, SAMPLE_MAX = 8192 };

/* Offsets in the head and in the head of the first section. */
enum {
	AT_VERSION = 8,
	AT_KIND = 12,
	AT_ARCH = 16,
	AT_ID = 20,
	AT_SECTIONS = 24,
	AT_LEN = 28,
	AT_FIRST = 32,
	AT_FIRST_LEN = 40,
	AT_FIRST_DATA = 48,
};

static inline void sample_add(struct kvm_state_builder *b, uint32_t section, size_t len,
			      uint32_t word)
{
	void *p = NULL;

	if (kvm_state_place(b, section, len, &p) < 0)
		assert(false);
	if (len >= sizeof(word))
		memcpy(p, &word, sizeof(word));
}

static inline void sample_regs(struct kvm_state_builder *b, uint64_t family)
{
	/* Of 8, 16 and 4 bytes. */
	const uint64_t regs[] = {
		family << 60 | UINT64_C(3) << 52 | 1,
		0x11,
		family << 60 | UINT64_C(4) << 52 | 2,
		0x22,
		0x33,
		family << 60 | UINT64_C(2) << 52 | 3,
		0x44,
	};

	if (kvm_state_add(b, VMM_KVM_STATE_ONE_REGS, regs, sizeof(regs)) < 0)
		assert(false);
}

static inline void sample_x86_vcpu(struct kvm_state_builder *b)
{
	const uint32_t nested[] = { 0, STATE_NESTED_HEAD + 8 };
	const uint64_t msrs[] = { 0x10, 1000, 0x174, 7, 0x6e0, 0 };
	void *p = NULL;

	sample_add(b, VMM_KVM_STATE_MP_STATE, 8, 0);
	sample_add(b, VMM_KVM_STATE_REGS, 144, 0);
	sample_add(b, VMM_KVM_STATE_SREGS, 312, 0);
	sample_add(b, VMM_KVM_STATE_SREGS2, 320, 0);
	sample_add(b, VMM_KVM_STATE_XSAVE, 4096, 0);
	sample_add(b, VMM_KVM_STATE_XCRS, 392, 1);
	sample_add(b, VMM_KVM_STATE_DEBUGREGS, 128, 0);
	sample_add(b, VMM_KVM_STATE_LAPIC, 1024, 0);
	sample_add(b, VMM_KVM_STATE_TSC_KHZ, 8, 2000000);
	sample_add(b, VMM_KVM_STATE_CPUID, 80, 1);
	if (kvm_state_add(b, VMM_KVM_STATE_MSRS, msrs, sizeof(msrs)) < 0 ||
	    kvm_state_place(b, VMM_KVM_STATE_NESTED, nested[1], &p) < 0)
		assert(false);
	memcpy(p, nested, sizeof(nested));
	sample_add(b, VMM_KVM_STATE_EVENTS, 64, 0);
}

static inline void sample_vm(struct kvm_state_builder *b, uint32_t arch)
{
	struct kvm_irq_routing_entry route[2] = { { .gsi = 1, .type = 1 },
						  { .gsi = 2, .type = 1 } };

	if (kvm_state_add(b, VMM_KVM_STATE_ROUTES, route, sizeof(route)) < 0)
		assert(false);
	if (arch != KVM_ARCH_X86_64)
		return;
	sample_add(b, VMM_KVM_STATE_PIC_MASTER, STATE_CHIP, 0);
	sample_add(b, VMM_KVM_STATE_PIC_SLAVE, STATE_CHIP, 1);
	sample_add(b, VMM_KVM_STATE_IOAPIC, STATE_CHIP, 2);
	sample_add(b, VMM_KVM_STATE_PIT2, 112, 0);
	sample_add(b, VMM_KVM_STATE_CLOCK, 48, 0);
}

static inline void sample_gic(struct kvm_state_builder *b)
{
	const uint32_t info[] = { 3, 96 };
	const struct vmm_kvm_state_attr attrs[] = {
		{ .group = 1, .width = 4, .attr = 0x100, .value = 1 },
		{ .group = 6, .width = 8, .attr = 0xc665, .value = 7 },
	};

	const struct vmm_kvm_state_attr its = { .group = 8, .width = 8, .attr = 0x80 };

	if (kvm_state_add(b, VMM_KVM_STATE_GIC_INFO, info, sizeof(info)) < 0 ||
	    kvm_state_add(b, VMM_KVM_STATE_GIC_REGS, attrs, sizeof(attrs)) < 0 ||
	    kvm_state_add(b, VMM_KVM_STATE_ITS_REGS, &its, sizeof(its)) < 0)
		assert(false);
}

static inline void sample_fill(struct kvm_state_builder *b, unsigned int which)
{
	static const struct {
		uint32_t kind, arch;
	} of[SAMPLES] = {
		{ VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64 },
		{ VMM_KVM_STATE_VCPU, KVM_ARCH_AARCH64 },
		{ VMM_KVM_STATE_VCPU, KVM_ARCH_RISCV64 },
		{ VMM_KVM_STATE_VM, KVM_ARCH_X86_64 },
		{ VMM_KVM_STATE_VM, KVM_ARCH_AARCH64 },
		{ VMM_KVM_STATE_VM, KVM_ARCH_RISCV64 },
		{ VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64 },
	};
	uint32_t arch = of[which].arch;

	if (kvm_state_begin(b, of[which].kind, arch, 0) < 0)
		assert(false);
	if (of[which].kind == VMM_KVM_STATE_GIC) {
		sample_gic(b);
	} else if (of[which].kind == VMM_KVM_STATE_VM) {
		sample_vm(b, arch);
	} else if (arch == KVM_ARCH_X86_64) {
		sample_x86_vcpu(b);
	} else {
		sample_add(b, VMM_KVM_STATE_MP_STATE, 8, 0);
		sample_regs(b, arch == KVM_ARCH_AARCH64 ? 6 : 8);
		if (arch == KVM_ARCH_AARCH64) {
			sample_add(b, VMM_KVM_STATE_ARM64_INIT, 32, 5);
			sample_add(b, VMM_KVM_STATE_ARM64_EVENTS, 64, 0);
		}
	}
}

static inline struct vmm_kvm_state *sample(unsigned int which)
{
	struct kvm_state_builder b;
	struct vmm_kvm_state *state = NULL;

	sample_fill(&b, which);
	if (kvm_state_finish(&b, &state, NULL) < 0)
		assert(false);
	return state;
}

/* Its bytes, to be spoilt. */
static inline size_t sample_bytes(unsigned int which, uint8_t *out)
{
	struct vmm_kvm_state *state = sample(which);
	size_t len;
	const void *data = vmm_kvm_state_get_data(state, &len);

	assert(len <= SAMPLE_MAX);
	memcpy(out, data, len);
	vmm_kvm_state_free(state);
	return len;
}

/* Offset of the head of a section. */
static inline size_t sample_offset(const uint8_t *data, size_t len, uint32_t section)
{
	size_t at = AT_FIRST;

	while (at < len) {
		uint32_t type;
		uint64_t n;

		memcpy(&type, data + at, sizeof(type));
		memcpy(&n, data + at + 8, sizeof(n));
		if (type == section)
			return at;
		at += 16 + (((size_t)n + 7) & ~(size_t)7);
	}
	assert(false);
	return 0;
}

#endif

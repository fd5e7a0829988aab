/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "cpuid.h"
#include "internal.h"

#define BIT(n) (UINT32_C(1) << (n))

/* Leaf 1 */
#define ECX_MONITOR BIT(3)
#define ECX_PDCM BIT(15)
#define ECX_X2APIC BIT(21)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_HYPERVISOR BIT(31)
#define EDX_HTT BIT(28)
#define CLFLUSH_64 (8u << 8)
/* Leaf 6 */
#define ECX_EPB BIT(3)
/* Leaf 7 */
#define ECX_WAITPKG BIT(5)
/* Leaf 0x80000001, AMD */
#define ECX_CMP_LEGACY BIT(1)
#define ECX_TOPOEXT BIT(22)

/* The largest id of an APIC that has 8 bits for it: 255 is all of them. */
#define XAPIC_ID_MAX 254u

/* Level types of leaves 0xb and 0x1f */
#define LEVEL_SMT 1u
#define LEVEL_CORE 2u

/* APIC ids: thread number in the low bits, core number above, then the package. */
struct layout {
	/* Of the vCPU: its APIC id, the number of its package, its number in there. */
	uint32_t id, package, cpu;
	/* vCPUs of a package, and in all. */
	uint32_t cpus, all;
	uint32_t threads;
	/* Width of the thread number, and of it with the core number. */
	uint32_t thread_bits, package_bits;
};

static uint32_t bits_for(uint32_t count)
{
	return count <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(count - 1);
}

static void replace(uint32_t *reg, uint32_t shift, uint32_t width, uint32_t value)
{
	uint32_t mask = (BIT(width) - 1) << shift;

	*reg = (*reg & ~mask) | ((value << shift) & mask);
}

/* The number of a field that is too narrow for it is the largest it can have. */
static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

static void set_leaf_1(struct vmm_kvm_x86_cpuid *cpuid, const struct layout *at,
		       bool tsc_deadline)
{
	struct kvm_cpuid_entry2 *e = vmm_kvm_x86_cpuid_find(cpuid, 1, 0);

	if (!e)
		return;
	e->ecx |= ECX_HYPERVISOR;
	e->ecx &= ~(ECX_PDCM | ECX_MONITOR | ECX_TSC_DEADLINE);
	if (tsc_deadline)
		e->ecx |= ECX_TSC_DEADLINE;
	e->edx &= ~EDX_HTT;
	if (at->all > 1)
		e->edx |= EDX_HTT;
	if ((e->ebx & 0xff00) == 0)
		e->ebx |= CLFLUSH_64;
	/* The low 8 bits; the rest is in the leaves of levels. */
	replace(&e->ebx, 24, 8, at->id & 0xff);
	/* Logical processors that the package has room for: 8 bits, so 256 cannot be
	 * said. */
	replace(&e->ebx, 16, 8, at->package_bits < 8 ? BIT(at->package_bits) : 255);
}

static void hide_features(struct vmm_kvm_x86_cpuid *cpuid)
{
	struct kvm_cpuid_entry2 *e = vmm_kvm_x86_cpuid_find(cpuid, 6, 0);

	if (e)
		e->ecx &= ~ECX_EPB;
	e = vmm_kvm_x86_cpuid_find(cpuid, 7, 0);
	if (e)
		e->ecx &= ~ECX_WAITPKG;
}

/* Leaves 4 and 0x8000001d describe one cache in each sub-leaf, in the same way. */
static void set_caches(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function,
		       const struct layout *at, bool cores)
{
	for (uint32_t i = 0; i < cpuid->table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->table->entries[i];
		uint32_t level = (e->eax >> 5) & 7;

		if (e->function != function || (e->eax & 0x1f) == 0)
			continue;
		/* First and second level belong to a core, the third to the package. */
		replace(&e->eax, 14, 12,
			(level < 3 ? BIT(at->thread_bits) : BIT(at->package_bits)) - 1);
		if (cores)
			replace(&e->eax, 26, 6,
				at_most(BIT(at->package_bits - at->thread_bits) - 1, 63));
	}
}

static int add_level(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function, uint32_t index,
		     uint32_t bits, uint32_t count, uint32_t type, uint32_t id)
{
	struct kvm_cpuid_entry2 e = {
		.function = function,
		.index = index,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = bits,
		.ebx = count,
		.ecx = index | type << 8,
		.edx = id,
	};

	return vmm_kvm_x86_cpuid_add(cpuid, &e);
}

static int set_levels(struct vmm_kvm_x86_cpuid *cpuid, uint32_t function,
		      const struct layout *at)
{
	int ret;

	vmm_kvm_x86_cpuid_remove(cpuid, function);
	ret = add_level(cpuid, function, 0, at->thread_bits, at->threads, LEVEL_SMT,
			at->id);
	if (ret == 0)
		ret = add_level(cpuid, function, 1, at->package_bits, at->cpus,
				LEVEL_CORE, at->id);
	/* The end of the levels still has the id. */
	if (ret == 0)
		ret = add_level(cpuid, function, 2, 0, 0, 0, at->id);
	return ret;
}

static bool is_amd(struct vmm_kvm_x86_cpuid *cpuid)
{
	const struct kvm_cpuid_entry2 *e = vmm_kvm_x86_cpuid_find(cpuid, 0, 0);
	char vendor[12];

	if (!e)
		return false;
	memcpy(vendor, &e->ebx, 4);
	memcpy(vendor + 4, &e->edx, 4);
	memcpy(vendor + 8, &e->ecx, 4);
	return memcmp(vendor, "AuthenticAMD", 12) == 0 ||
	       memcmp(vendor, "HygonGenuine", 12) == 0;
}

static void set_amd(struct vmm_kvm_x86_cpuid *cpuid, const struct layout *at)
{
	struct kvm_cpuid_entry2 *e = vmm_kvm_x86_cpuid_find(cpuid, 0x80000001, 0);
	bool topoext = e && (e->ecx & ECX_TOPOEXT);

	if (e) {
		e->ecx &= ~ECX_CMP_LEGACY;
		if (at->cpus > 1)
			e->ecx |= ECX_CMP_LEGACY;
	}
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x80000008, 0);
	if (e) {
		replace(&e->ecx, 0, 8, at_most(at->cpus - 1, 255));
		replace(&e->ecx, 12, 4, at->package_bits);
	}
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x8000001e, 0);
	if (e && topoext) {
		e->eax = at->id;
		replace(&e->ebx, 0, 8, (at->cpu >> at->thread_bits) & 0xff);
		replace(&e->ebx, 8, 8, at->threads - 1);
		/* One node in each package. */
		e->ecx = at->package & 0xff;
		e->edx = 0;
	}
	set_caches(cpuid, 0x8000001d, at, false);
}

static int read_layout(const struct vmm_kvm_x86_topology *topology,
		       struct vmm_kvm_x86_topology *t, struct layout *at)
{
	static const uint8_t zero[sizeof(t->reserved_)];
	uint32_t packages;
	int ret = kvm_options_read(t, sizeof(*t), topology);

	if (ret < 0)
		return ret;
	packages = t->package_count > 0 ? t->package_count : 1;
	if (t->cpu_count == 0 || t->cpu_count > VMM_KVM_X86_TOPOLOGY_CPUS_MAX ||
	    t->cpu >= t->cpu_count || t->cpu_count % packages != 0)
		return -EINVAL;
	memset(at, 0, sizeof(*at));
	at->all = t->cpu_count;
	at->cpus = t->cpu_count / packages;
	at->threads = t->threads_per_core;
	if (at->threads == 0 || at->threads > 8 ||
	    (at->threads & (at->threads - 1)) != 0 || at->cpus % at->threads != 0)
		return -EINVAL;
	if (t->reserved2_ != 0 || memcmp(t->reserved_, zero, sizeof(zero)) != 0)
		return -EINVAL;
	at->thread_bits = bits_for(at->threads);
	at->package_bits = bits_for(at->cpus);
	at->package = t->cpu / at->cpus;
	at->cpu = t->cpu % at->cpus;
	at->id = at->package << at->package_bits | at->cpu;
	return 0;
}

int vmm_kvm_x86_topology_get_apic_id(const struct vmm_kvm_x86_topology *topology,
				     uint32_t *out)
{
	struct vmm_kvm_x86_topology t;
	struct layout at;
	int ret = read_layout(topology, &t, &at);

	if (ret == 0)
		*out = at.id;
	return ret;
}

static int apply(struct vmm_kvm_x86_cpuid *cpuid, const struct layout *at,
		 bool tsc_deadline)
{
	const struct kvm_cpuid_entry2 *e = vmm_kvm_x86_cpuid_find(cpuid, 0, 0);
	uint32_t last = e ? e->eax : 0;
	int ret = 0;

	e = vmm_kvm_x86_cpuid_find(cpuid, 1, 0);
	if (at->id > XAPIC_ID_MAX && !(e && e->ecx & ECX_X2APIC))
		return -EOPNOTSUPP;
	set_leaf_1(cpuid, at, tsc_deadline);
	hide_features(cpuid);
	set_caches(cpuid, 4, at, true);
	if (is_amd(cpuid))
		set_amd(cpuid, at);
	if (last >= 0xb)
		ret = set_levels(cpuid, 0xb, at);
	if (ret == 0 && last >= 0x1f)
		ret = set_levels(cpuid, 0x1f, at);
	return ret;
}

int vmm_kvm_x86_cpuid_set_topology(struct vmm_kvm_x86_cpuid *cpuid,
				   const struct vmm_kvm_x86_topology *topology)
{
	struct vmm_kvm_x86_cpuid *copy = NULL, old;
	struct vmm_kvm_x86_topology t;
	struct layout at;
	int ret = read_layout(topology, &t, &at);

	if (ret == 0)
		ret = vmm_kvm_x86_cpuid_clone(cpuid, &copy);
	if (ret == 0)
		ret = apply(copy, &at, t.tsc_deadline);
	if (ret == 0) {
		old = *cpuid;
		*cpuid = *copy;
		*copy = old;
	}
	vmm_kvm_x86_cpuid_free(copy);
	return ret;
}

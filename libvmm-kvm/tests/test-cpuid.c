/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "cpuid-lists.h"

static void the_topology_is_the_same_in_every_intel_leaf(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));
	const struct kvm_cpuid_entry2 *e;

	t.cpu = 5;
	t.cpu_count = 6;
	t.threads_per_core = 2;
	t.tsc_deadline = true;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);

	/* APIC id 5, room for 8, cache lines of 64 bytes kept. */
	e = vmm_kvm_x86_cpuid_find(cpuid, 1, 0);
	assert_int_equal(e->ebx, 0x05080800);
	assert_int_equal(e->ecx, 0x81200001u);
	assert_int_equal(e->edx & 1u << 28, 1u << 28);
	/* First level: the threads of a core; third level: the package, 4 cores. */
	e = vmm_kvm_x86_cpuid_find(cpuid, 4, 0);
	assert_int_equal((e->eax >> 14) & 0xfff, 1);
	assert_int_equal(e->eax >> 26, 3);
	assert_int_equal(e->eax & 0x3fff, 0x0121);
	e = vmm_kvm_x86_cpuid_find(cpuid, 4, 3);
	assert_int_equal((e->eax >> 14) & 0xfff, 7);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 4, 4)->eax, 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 6, 0)->ecx, 1);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 7, 0)->ecx, 0x40);

	for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x14) {
		static const struct {
			uint32_t eax, ebx, ecx;
		} want[] = { { 1, 2, 0x100 }, { 3, 6, 0x201 }, { 0, 0, 2 } };

		for (uint32_t i = 0; i < VMM_ARRAY_LEN(want); i++) {
			e = vmm_kvm_x86_cpuid_find(cpuid, leaf, i);
			assert_non_null(e);
			assert_int_equal(e->eax, want[i].eax);
			assert_int_equal(e->ebx, want[i].ebx);
			assert_int_equal(e->ecx, want[i].ecx);
			assert_int_equal(e->edx, 5);
		}
		assert_null(vmm_kvm_x86_cpuid_find(cpuid, leaf, 5));
	}
}

static void the_topology_is_the_same_in_every_amd_leaf(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(amd, VMM_ARRAY_LEN(amd));
	const struct kvm_cpuid_entry2 *e;

	t.cpu = 3;
	t.cpu_count = 4;
	t.threads_per_core = 2;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ebx, 0x03040800);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0x80000001, 0)->ecx, 1u << 22 | 2);
	/* Four processors, ids of two bits. */
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0x80000008, 0)->ecx, 0x2003);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0x80000008, 0)->eax, 0x3030);
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x8000001d, 0);
	assert_int_equal((e->eax >> 14) & 0xfff, 1);
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x8000001d, 3);
	assert_int_equal((e->eax >> 14) & 0xfff, 3);
	assert_int_equal(e->eax >> 26, 0);
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x8000001e, 0);
	assert_int_equal(e->eax, 3);
	assert_int_equal(e->ebx, 0x0101);
	assert_int_equal(e->ecx, 0);
	assert_int_equal(e->edx, 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 1)->ebx, 4);
	/* This processor does not go to leaf 0x1f. */
	assert_null(vmm_kvm_x86_cpuid_find(cpuid, 0x1f, 0));
}

static void one_processor_has_no_threads(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));

	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ebx, 0x00010800);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->edx & 1u << 28, 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ecx & 1u << 24, 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 0)->eax, 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 0)->ebx, 1);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 1)->eax, 0);
}

static void impossible_topologies_change_nothing(void **state)
{
	static const struct {
		uint32_t cpu, count, threads, packages;
	} cases[] = {
		{ 0, 0, 1, 1 },	  { 1, 1, 1, 1 },	   { 0, 4097, 1, 1 },
		{ 0, 4, 0, 1 },	  { 0, 6, 3, 1 },	   { 0, 3, 2, 1 },
		{ 0, 16, 16, 1 }, { UINT32_MAX, 4, 1, 1 }, { 0, 4, 1u << 31, 1 },
		{ 0, 4, 1, 3 },	  { 0, 4, 1, 8 },	   { 0, 4, 1, UINT32_MAX },
		{ 0, 6, 2, 2 },	  { 0, UINT32_MAX, 1, 1 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
		CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));
		uint32_t id = 7;

		t.cpu = cases[i].cpu;
		t.cpu_count = cases[i].count;
		t.threads_per_core = cases[i].threads;
		t.package_count = cases[i].packages;
		assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), -EINVAL);
		assert_int_equal(vmm_kvm_x86_topology_get_apic_id(&t, &id), -EINVAL);
		assert_int_equal(id, 7);
		assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid),
				 VMM_ARRAY_LEN(intel));
		for (size_t j = 0; j < VMM_ARRAY_LEN(intel); j++)
			assert_memory_equal(vmm_kvm_x86_cpuid_get_entry(cpuid, j),
					    &intel[j], sizeof(intel[j]));
	}
}

static void the_largest_package_fits_its_fields(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));

	t.cpu = 254;
	t.cpu_count = 255;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ebx, 0xfeff0800);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 4, 3)->eax >> 26, 63);
	assert_int_equal((vmm_kvm_x86_cpuid_find(cpuid, 4, 3)->eax >> 14) & 0xfff, 255);
}

/* Two packages of six: ids of three bits and one above. */
static void packages_begin_at_a_power_of_two(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	uint32_t seen[12], id = 0;

	t.cpu_count = 12;
	t.threads_per_core = 2;
	t.package_count = 2;
	for (t.cpu = 0; t.cpu < 12; t.cpu++) {
		CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));
		const struct kvm_cpuid_entry2 *e;

		assert_int_equal(vmm_kvm_x86_topology_get_apic_id(&t, &id), 0);
		assert_int_equal(id, t.cpu < 6 ? t.cpu : 8 + t.cpu - 6);
		for (uint32_t i = 0; i < t.cpu; i++)
			assert_int_not_equal(seen[i], id);
		seen[t.cpu] = id;
		assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
		assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->ebx,
				 id << 24 | 8u << 16 | 0x800);
		e = vmm_kvm_x86_cpuid_find(cpuid, 0xb, 1);
		assert_int_equal(e->eax, 3);
		assert_int_equal(e->ebx, 6);
		assert_int_equal(e->edx, id);
		/* Shifted by its width, an id names the package. */
		assert_int_equal(e->edx >> e->eax, t.cpu / 6);
		e = vmm_kvm_x86_cpuid_find(cpuid, 4, 3);
		assert_int_equal((e->eax >> 14) & 0xfff, 7);
	}
	/* One processor in each of two packages are more than one. */
	t.cpu = 1;
	t.cpu_count = 2;
	t.threads_per_core = 1;
	{
		CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));

		assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
		assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 1, 0)->edx & 1u << 28,
				 1u << 28);
	}
}

static void amd_packages_are_nodes(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(amd, VMM_ARRAY_LEN(amd));
	const struct kvm_cpuid_entry2 *e;

	t.cpu = 7;
	t.cpu_count = 8;
	t.threads_per_core = 2;
	t.package_count = 2;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x8000001e, 0);
	assert_int_equal(e->eax, 7);
	assert_int_equal(e->ebx, 0x0101);
	assert_int_equal(e->ecx, 1);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0x80000008, 0)->ecx, 0x2003);
}

static void more_processors_than_8_bits_need_x2apic(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(intel, VMM_ARRAY_LEN(intel));
	CPUID_CLEANUP *old = list_of(amd, VMM_ARRAY_LEN(amd));
	const struct kvm_cpuid_entry2 *e;

	t.cpu_count = VMM_KVM_X86_TOPOLOGY_CPUS_MAX;
	t.cpu = 4095;
	t.threads_per_core = 8;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), 0);
	e = vmm_kvm_x86_cpuid_find(cpuid, 1, 0);
	assert_int_equal(e->ebx, 0xffff0800);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 0)->edx, 4095);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 0)->eax, 3);
	e = vmm_kvm_x86_cpuid_find(cpuid, 0x1f, 1);
	assert_int_equal(e->eax, 12);
	assert_int_equal(e->ebx, 4096);
	e = vmm_kvm_x86_cpuid_find(cpuid, 4, 3);
	assert_int_equal((e->eax >> 14) & 0xfff, 4095);
	assert_int_equal(e->eax >> 26, 63);
	/* The first 255 can be anywhere. */
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(old, &t), -EOPNOTSUPP);
	assert_int_equal(vmm_kvm_x86_cpuid_find(old, 0x80000008, 0)->ecx, 0x703f);
	t.cpu = 254;
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(old, &t), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(old, 0x80000008, 0)->ecx, 0xc0ff);
}

/* A caller that was compiled when the structure ended before the packages. */
static void an_older_topology_is_one_package(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	uint32_t id = 0;

	t.size = offsetof(struct vmm_kvm_x86_topology, package_count);
	t.package_count = 77;
	t.reserved2_ = 77;
	t.cpu = 5;
	t.cpu_count = 6;
	assert_int_equal(vmm_kvm_x86_topology_get_apic_id(&t, &id), 0);
	assert_int_equal(id, 5);
}

static void a_copy_goes_its_own_way(void **state)
{
	CPUID_CLEANUP *cpuid = list_of(amd, 1), *copy = NULL;
	uint32_t function = vmm_kvm_x86_cpuid_get_entry(cpuid, 0)->function;

	assert_int_equal(vmm_kvm_x86_cpuid_clone(cpuid, &copy), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(copy), 1);
	assert_memory_equal(vmm_kvm_x86_cpuid_get_entry(copy, 0),
			    vmm_kvm_x86_cpuid_get_entry(cpuid, 0),
			    sizeof(struct kvm_cpuid_entry2));
	vmm_kvm_x86_cpuid_remove(copy, function);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(copy), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), 1);
}

static void a_full_list_stays_as_it_was(void **state)
{
	struct vmm_kvm_x86_topology t = VMM_KVM_X86_TOPOLOGY_INIT;
	CPUID_CLEANUP *cpuid = list_of(amd, 1);
	struct kvm_cpuid_entry2 e = { 0 };

	for (uint32_t i = 1; i < 256; i++) {
		e.function = 0x40000000 + i;
		assert_int_equal(vmm_kvm_x86_cpuid_add(cpuid, &e), 0);
	}
	e.function++;
	assert_int_equal(vmm_kvm_x86_cpuid_add(cpuid, &e), -E2BIG);
	assert_int_equal(vmm_kvm_x86_cpuid_set_topology(cpuid, &t), -E2BIG);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), 256);
	assert_null(vmm_kvm_x86_cpuid_find(cpuid, 0xb, 0));
	/* Replacing needs no room. */
	e.function--;
	e.eax = 7;
	assert_int_equal(vmm_kvm_x86_cpuid_add(cpuid, &e), 0);
	assert_int_equal(vmm_kvm_x86_cpuid_find(cpuid, e.function, 99)->eax, 7);
	vmm_kvm_x86_cpuid_remove(cpuid, e.function);
	assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), 255);
	assert_null(vmm_kvm_x86_cpuid_get_entry(cpuid, 255));
	vmm_kvm_x86_cpuid_remove(cpuid, 0xdead);
	vmm_kvm_x86_cpuid_free(NULL);
}

static uint32_t entries_of_host;
static bool tells_count;
static uint32_t largest_asked;
static uint32_t times_asked;

/* Like a kernel that says E2BIG and nothing else. */
static int answer_cpuid(int fd, unsigned long request, void *arg)
{
	struct kvm_cpuid2 *list = arg;

	if (request != KVM_GET_SUPPORTED_CPUID && request != KVM_GET_CPUID2)
		return -ENOSYS;
	largest_asked = list->nent;
	times_asked++;
	if (list->nent < entries_of_host)
		return -E2BIG;
	for (uint32_t i = 0; i < entries_of_host; i++)
		list->entries[i].function = 1 + i;
	if (tells_count || request == KVM_GET_SUPPORTED_CPUID)
		list->nent = entries_of_host;
	return 0;
}

static void lists_grow_until_they_fit_or_are_absurd(void **state)
{
	FAKE_MACHINE m = fake_machine();
	static const uint32_t sizes[] = { 0, 1, 64, 256, 257, 512, 5000 };

	fake.answer = answer_cpuid;
	for (size_t i = 0; i < VMM_ARRAY_LEN(sizes); i++) {
		struct vmm_kvm_x86_cpuid *cpuid = NULL;

		entries_of_host = sizes[i];
		times_asked = 0;
		assert_int_equal(vmm_kvm_get_supported_cpuid(m.kvm, &cpuid), 0);
		/* What Linux has fits at once: the question is an expensive one. */
		assert_true(times_asked == 1 || sizes[i] > 256);
		assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), sizes[i]);
		vmm_kvm_x86_cpuid_free(cpuid);
		/* Some kernels do not say how many there are. */
		tells_count = i % 2;
		assert_int_equal(vmm_kvm_vcpu_get_cpuid(m.vcpu, &cpuid), 0);
		assert_int_equal(vmm_kvm_x86_cpuid_get_count(cpuid), sizes[i]);
		vmm_kvm_x86_cpuid_free(cpuid);
	}
	entries_of_host = UINT32_MAX;
	assert_int_equal(
	    vmm_kvm_get_supported_cpuid(m.kvm, &(struct vmm_kvm_x86_cpuid *){ 0 }),
	    -E2BIG);
	assert_int_equal(largest_asked, 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_topology_is_the_same_in_every_intel_leaf),
		cmocka_unit_test(the_topology_is_the_same_in_every_amd_leaf),
		cmocka_unit_test(one_processor_has_no_threads),
		cmocka_unit_test(impossible_topologies_change_nothing),
		cmocka_unit_test(the_largest_package_fits_its_fields),
		cmocka_unit_test(packages_begin_at_a_power_of_two),
		cmocka_unit_test(amd_packages_are_nodes),
		cmocka_unit_test(more_processors_than_8_bits_need_x2apic),
		cmocka_unit_test(an_older_topology_is_one_package),
		cmocka_unit_test(a_copy_goes_its_own_way),
		cmocka_unit_test(a_full_list_stays_as_it_was),
		cmocka_unit_test(lists_grow_until_they_fit_or_are_absurd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

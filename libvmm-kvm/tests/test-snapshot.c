/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A machine that goes on in another one, on the real device. */
#include "guest.h"

#include <vmm/kvm-state.h>

#define STATE_CLEANUP VMM_CLEANUP(vmm_kvm_state_free) struct vmm_kvm_state
#define ROUTES_CLEANUP VMM_CLEANUP(vmm_kvm_routes_free) struct vmm_kvm_routes

/* Counts in ecx and in memory, and says both. */
static const uint8_t counter[] = {
	0x41,				    /* inc ecx */
	0x66, 0xff, 0x05, 0x00, 0x50, 0, 0, /* inc word [0x5000] */
	0x66, 0xa1, 0x00, 0x50, 0,    0,    /* mov ax, [0x5000] */
	0x01, 0xc8,			    /* add eax, ecx */
	0xe7, 0x10,			    /* out 0x10, eax */
	0xeb, 0xec,			    /* jmp back */
};

static uint32_t next_value(struct guest *g)
{
	struct vmm_kvm_exit exit = guest_run(g);
	uint32_t value = 0;

	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	memcpy(&value, exit.u.io.data, 4);
	return value;
}

/* Finishes the last instruction, as a caller has to before it saves. */
static void settle(struct guest *g)
{
	struct vmm_kvm_exit exit;

	vmm_kvm_vcpu_kick(g->vcpu);
	assert_int_equal(vmm_kvm_vcpu_run(g->vcpu, &exit), -EINTR);
}

/* Through bytes and the check, as if it had been elsewhere. */
static struct vmm_kvm_state *travel(const struct vmm_kvm_state *state)
{
	struct vmm_kvm_state *out = NULL;
	size_t len;
	const void *data = vmm_kvm_state_get_data(state, &len);
	struct vmm_error err = { 0 };

	if (vmm_kvm_state_parse(data, len, &out, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static struct vmm_kvm_state *saved(struct guest *g)
{
	STATE_CLEANUP *state = NULL;
	struct vmm_error err = { 0 };

	if (vmm_kvm_vcpu_save(g->vcpu, g->kvm, &state, &err) < 0)
		fail_msg("%s", err.message);
	return travel(state);
}

static void restored(struct guest *g, const struct vmm_kvm_state *state)
{
	struct vmm_error err = { 0 };

	if (vmm_kvm_vcpu_restore(g->vcpu, state, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_bare_guest_goes_on_counting(void **state)
{
	VMM_GUEST_CLEANUP struct guest a = guest_new(counter, sizeof(counter));
	VMM_GUEST_CLEANUP struct guest b = guest_without_vcpu();
	STATE_CLEANUP *taken = NULL;
	struct vmm_kvm_state_info info = VMM_KVM_STATE_INFO_INIT;

	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(next_value(&a), 2 * i);
	settle(&a);
	taken = saved(&a);
	assert_int_equal(vmm_kvm_state_get_info(taken, &info), 0);
	assert_int_equal(info.kind, VMM_KVM_STATE_VCPU);
	assert_int_equal(info.arch, VMM_KVM_STATE_X86_64);

	memcpy(b.memory, a.memory, GUEST_MEMORY);
	assert_int_equal(vmm_kvm_vcpu_open(b.vm, 0, &b.vcpu, NULL), 0);
	restored(&b, taken);
	for (uint32_t i = 6; i <= 10; i++)
		assert_int_equal(next_value(&b), 2 * i);
	/* The first is where it was. */
	assert_int_equal(next_value(&a), 12);
}

/* A machine as Linux has it: controllers, timer, CPUID, MSRs. */
static struct guest full_guest(void)
{
	struct guest g = guest_without_vcpu();

	assert_int_equal(vmm_kvm_vm_set_tss_addr(g.vm, 0xfffbd000), 0);
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vm_create_pit2(g.vm, KVM_PIT_SPEAKER_DUMMY), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	return g;
}

static void set_up(struct guest *g)
{
	struct vmm_kvm_x86_topology topology = VMM_KVM_X86_TOPOLOGY_INIT;
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid *cpuid = NULL;
	struct vmm_error err = { 0 };

	boot.mode = VMM_KVM_X86_PROTECTED32;
	boot.rip = GUEST_CODE;
	boot.rsp = GUEST_CODE;
	memcpy(g->memory + GUEST_CODE, counter, sizeof(counter));
	assert_int_equal(vmm_kvm_get_supported_cpuid(g->kvm, &cpuid), 0);
	if (vmm_kvm_vcpu_setup(g->vcpu, cpuid, &topology, &boot, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_full_machine_goes_on_with_all_it_had(void **state)
{
	VMM_GUEST_CLEANUP struct guest a = full_guest();
	VMM_GUEST_CLEANUP struct guest b = full_guest();
	STATE_CLEANUP *vcpu = NULL, *vm = NULL, *again = NULL;
	ROUTES_CLEANUP *routes = NULL, *other = NULL;
	struct vmm_kvm_restore_opts opts = VMM_KVM_RESTORE_OPTS_INIT;
	const struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
	struct kvm_msr_entry star = { .index = 0xc0000081, .data = 0x123456789a };
	struct kvm_irq_routing_entry mine[64], theirs[64];
	struct kvm_irqchip chip = { 0 };
	struct vmm_error err = { 0 };
	size_t len, len_again;
	const void *data;

	set_up(&a);
	assert_int_equal(vmm_kvm_routes_new(a.vm, &routes), 0);
	assert_int_equal(vmm_kvm_routes_add_default(routes, 24), 0);
	assert_int_equal(vmm_kvm_routes_set_msi(routes, 30, &msi), 0);
	assert_int_equal(vmm_kvm_vcpu_set_msrs(a.vcpu, &star, 1, NULL), 0);
	assert_int_equal(vmm_kvm_vm_get_irqchip(a.vm, KVM_IRQCHIP_IOAPIC, &chip), 0);
	chip.chip.ioapic.redirtbl[7].fields.vector = 0x77;
	assert_int_equal(vmm_kvm_vm_set_irqchip(a.vm, &chip), 0);
	assert_int_equal(next_value(&a), 2);
	assert_int_equal(next_value(&a), 4);
	settle(&a);
	vcpu = saved(&a);
	if (vmm_kvm_vm_save(a.vm, routes, &vm, &err) < 0)
		fail_msg("%s", err.message);

	memcpy(b.memory, a.memory, GUEST_MEMORY);
	restored(&b, vcpu);
	assert_int_equal(vmm_kvm_routes_new(b.vm, &other), 0);
	opts.routes = other;
	opts.flags = VMM_KVM_RESTORE_REALTIME;
	again = travel(vm);
	if (vmm_kvm_vm_restore(b.vm, again, &opts, &err) < 0)
		fail_msg("%s", err.message);

	assert_int_equal(next_value(&b), 6);
	star.data = 0;
	assert_int_equal(vmm_kvm_vcpu_get_msrs(b.vcpu, &star, 1, NULL), 0);
	assert_true(star.data == 0x123456789a);
	assert_int_equal(vmm_kvm_vm_get_irqchip(b.vm, KVM_IRQCHIP_IOAPIC, &chip), 0);
	assert_int_equal(chip.chip.ioapic.redirtbl[7].fields.vector, 0x77);
	assert_int_equal(vmm_kvm_routes_get(routes, mine, 64), 24 + 16 + 1);
	assert_int_equal(vmm_kvm_routes_get(other, theirs, 64), 24 + 16 + 1);
	assert_memory_equal(mine, theirs, 41 * sizeof(mine[0]));

	/* A second copy of what does not change by itself is the same. */
	vmm_kvm_state_free(again);
	settle(&b);
	again = saved(&b);
	data = vmm_kvm_state_find(vcpu, VMM_KVM_STATE_CPUID, &len);
	assert_non_null(data);
	assert_true(len > 0);
	assert_memory_equal(vmm_kvm_state_find(again, VMM_KVM_STATE_CPUID, &len_again),
			    data, len);
	assert_int_equal(len, len_again);
	data = vmm_kvm_state_find(vcpu, VMM_KVM_STATE_SREGS, &len);
	assert_memory_equal(vmm_kvm_state_find(again, VMM_KVM_STATE_SREGS, &len_again),
			    data, len);
}

static void a_state_is_not_taken_for_another(void **state)
{
	VMM_GUEST_CLEANUP struct guest a = guest_new(counter, sizeof(counter));
	VMM_GUEST_CLEANUP struct guest b = guest_without_vcpu();
	STATE_CLEANUP *vcpu = saved(&a), *vm = NULL;

	assert_int_equal(vmm_kvm_vcpu_open(b.vm, 1, &b.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_restore(b.vcpu, vcpu, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_vm_restore(b.vm, vcpu, NULL, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_vm_save(a.vm, NULL, &vm, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_restore(b.vcpu, vm, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_vm_restore(b.vm, vm, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_guest_goes_on_counting),
		cmocka_unit_test(a_full_machine_goes_on_with_all_it_had),
		cmocka_unit_test(a_state_is_not_taken_for_another),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

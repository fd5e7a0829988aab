/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <pthread.h>
#include <vmm/kvm-irq.h>

/* What the kernel has, and how often it was told. */
static struct kvm_irq_routing_entry in_kernel[VMM_KVM_GSI_ROUTES_MAX];
static uint32_t in_kernel_count;
static unsigned int commits;
static int refuse;

static int answer(int fd, unsigned long request, void *arg)
{
	const struct kvm_irq_routing *t = arg;

	if (request != KVM_SET_GSI_ROUTING)
		return -ENOSYS;
	if (refuse)
		return refuse;
	assert_in_range(t->nr, 0, VMM_KVM_GSI_ROUTES_MAX);
	assert_int_equal(t->flags, 0);
	memcpy(in_kernel, t->entries, t->nr * sizeof(in_kernel[0]));
	in_kernel_count = t->nr;
	commits++;
	return 0;
}

struct fixture {
	struct fake_machine m;
	struct vmm_kvm_routes *routes;
};

static struct fixture fixture(void)
{
	struct fixture f = { .m = fake_machine() };

	fake.answer = answer;
	in_kernel_count = 0;
	commits = 0;
	refuse = 0;
	assert_int_equal(vmm_kvm_routes_new(f.m.vm, &f.routes), 0);
	return f;
}

static void fixture_free(struct fixture *f)
{
	vmm_kvm_routes_free(f->routes);
	fake_machine_free(&f->m);
}

#define FIXTURE __attribute__((cleanup(fixture_free))) struct fixture

static struct kvm_msi message(uint32_t data)
{
	return (struct kvm_msi){ .address_lo = 0xfee00000, .data = data };
}

static void assert_in_step(const struct fixture *f)
{
	struct kvm_irq_routing_entry mine[64];
	size_t n = vmm_kvm_routes_get(f->routes, mine, 64);

	assert_int_equal(n, in_kernel_count);
	assert_memory_equal(mine, in_kernel, (n < 64 ? n : 64) * sizeof(mine[0]));
}

static void a_message_is_told_once(void **state)
{
	FIXTURE f = fixture();
	struct kvm_msi msi = message(0x30);

	assert_int_equal(commits, 0);
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), 0);
	assert_int_equal(commits, 1);
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), 0);
	assert_int_equal(commits, 1);
	/* A device id that does not count is no change, nor is padding. */
	msi.devid = 9;
	msi.pad[3] = 9;
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), 0);
	assert_int_equal(commits, 1);
	msi.flags = KVM_MSI_VALID_DEVID;
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), 0);
	assert_int_equal(commits, 2);
	assert_int_equal(in_kernel[0].u.msi.devid, 9);
	msi.data++;
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), 0);
	assert_int_equal(commits, 3);
	assert_int_equal(in_kernel[0].u.msi.data, 0x31);
	assert_in_step(&f);
	msi.flags = 2;
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 24, &msi), -EINVAL);
	assert_int_equal(commits, 3);
}

static void a_batch_is_one_call(void **state)
{
	FIXTURE f = fixture();
	struct vmm_kvm_route_change changes[10] = { { 0 } };

	for (uint32_t i = 0; i < 10; i++) {
		changes[i].op = VMM_KVM_ROUTE_ADD;
		changes[i].entry.gsi = 20 - i;
		changes[i].entry.type = KVM_IRQ_ROUTING_MSI;
		changes[i].entry.u.msi.data = i;
	}
	assert_int_equal(vmm_kvm_routes_apply(f.routes, changes, 10), 0);
	assert_int_equal(commits, 1);
	assert_int_equal(in_kernel_count, 10);
	assert_int_equal(in_kernel[0].gsi, 11);
	assert_int_equal(in_kernel[9].gsi, 20);
	assert_in_step(&f);
	assert_int_equal(vmm_kvm_routes_apply(f.routes, NULL, 0), 0);
	/* There and back again is no change. */
	changes[0].op = VMM_KVM_ROUTE_REMOVE;
	changes[1] = (struct vmm_kvm_route_change){ .op = VMM_KVM_ROUTE_ADD };
	changes[1].entry = in_kernel[9];
	assert_int_equal(vmm_kvm_routes_apply(f.routes, changes, 2), 0);
	assert_int_equal(commits, 1);
}

static void a_batch_that_fails_changes_nothing(void **state)
{
	FIXTURE f = fixture();
	const struct kvm_msi msi = message(1);
	struct vmm_kvm_route_change changes[3] = { { 0 } };

	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 5, &msi), 0);
	changes[0].op = VMM_KVM_ROUTE_REMOVE;
	changes[0].entry.gsi = 5;
	changes[1].op = VMM_KVM_ROUTE_SET;
	changes[1].entry.gsi = 6;
	changes[1].entry.type = KVM_IRQ_ROUTING_MSI;
	changes[2].op = VMM_KVM_ROUTE_REMOVE;
	changes[2].entry.gsi = 7;
	assert_int_equal(vmm_kvm_routes_apply(f.routes, changes, 3), -ENOENT);
	assert_int_equal(commits, 1);
	assert_in_step(&f);
	/* Nor one that the kernel refuses. */
	refuse = -EINVAL;
	assert_int_equal(vmm_kvm_routes_apply(f.routes, changes, 2), -EINVAL);
	refuse = 0;
	assert_in_step(&f);
	assert_int_equal(vmm_kvm_routes_apply(f.routes, changes, 2), 0);
	assert_in_step(&f);
	assert_int_equal(in_kernel[0].gsi, 6);
	assert_int_equal(vmm_kvm_routes_remove(f.routes, 6), 0);
	assert_int_equal(in_kernel_count, 0);
	assert_int_equal(vmm_kvm_routes_remove(f.routes, 6), -ENOENT);
}

static int add(struct fixture *f, uint32_t gsi, uint32_t type, uint32_t chip)
{
	struct vmm_kvm_route_change c = { .op = VMM_KVM_ROUTE_ADD };

	c.entry.gsi = gsi;
	c.entry.type = type;
	c.entry.u.irqchip.irqchip = chip;
	return vmm_kvm_routes_apply(f->routes, &c, 1);
}

static void an_interrupt_is_a_pin_of_each_controller_or_one_other_thing(void **state)
{
	FIXTURE f = fixture();
	struct vmm_kvm_route_change c = { .op = 4 };

	assert_int_equal(add(&f, 4, KVM_IRQ_ROUTING_IRQCHIP, 2), 0);
	assert_int_equal(add(&f, 4, KVM_IRQ_ROUTING_IRQCHIP, 2), -EEXIST);
	assert_int_equal(add(&f, 4, KVM_IRQ_ROUTING_IRQCHIP, 0), 0);
	assert_int_equal(in_kernel[0].u.irqchip.irqchip, 0);
	assert_int_equal(in_kernel[1].u.irqchip.irqchip, 2);
	assert_int_equal(add(&f, 4, KVM_IRQ_ROUTING_MSI, 0), -EEXIST);
	assert_int_equal(add(&f, 5, KVM_IRQ_ROUTING_HV_SINT, 0), 0);
	assert_int_equal(add(&f, 5, KVM_IRQ_ROUTING_IRQCHIP, 0), -EEXIST);
	assert_int_equal(add(&f, 6, KVM_IRQ_ROUTING_XEN_EVTCHN, 0), 0);
	assert_int_equal(add(&f, 7, KVM_IRQ_ROUTING_S390_ADAPTER, 0), -EINVAL);
	assert_int_equal(add(&f, 7, 0, 0), -EINVAL);
	assert_int_equal(add(&f, 7, 99, 0), -EINVAL);
	assert_int_equal(vmm_kvm_routes_apply(f.routes, &c, 1), -EINVAL);
	c.op = VMM_KVM_ROUTE_ADD;
	c.reserved_ = 1;
	assert_int_equal(vmm_kvm_routes_apply(f.routes, &c, 1), -EINVAL);
	assert_int_equal(vmm_kvm_routes_set_pin(f.routes, 4, 2, 9), 0);
	assert_int_equal(vmm_kvm_routes_get(f.routes, NULL, 0), 3);
	assert_int_equal(in_kernel[0].u.irqchip.pin, 9);
	assert_in_step(&f);
}

static void a_table_has_an_end(void **state)
{
	FIXTURE f = fixture();
	const struct kvm_msi msi = message(1);

	assert_int_equal(vmm_kvm_routes_add_default(f.routes, VMM_KVM_GSI_ROUTES_MAX + 1),
			 -ENOSPC);
	fake_sys.arch = KVM_ARCH_AARCH64;
	assert_int_equal(vmm_kvm_routes_add_default(f.routes, VMM_KVM_GSI_ROUTES_MAX), 0);
	fake_sys.arch = KVM_ARCH_HOST;
	assert_int_equal(in_kernel_count, VMM_KVM_GSI_ROUTES_MAX);
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 5000, &msi), -ENOSPC);
	assert_int_equal(vmm_kvm_routes_set_msi(f.routes, 4000, &msi), 0);
	assert_in_step(&f);
}

static void defaults_are_the_kernels(void **state)
{
	FIXTURE f = fixture();
	unsigned int pins[3] = { 0 };

	fake_sys.arch = KVM_ARCH_X86_64;
	assert_int_equal(vmm_kvm_routes_add_default(f.routes, 24), 0);
	assert_int_equal(in_kernel_count, 40);
	for (uint32_t i = 0; i < 40; i++) {
		const struct kvm_irq_routing_entry *e = &in_kernel[i];

		assert_int_equal(e->type, KVM_IRQ_ROUTING_IRQCHIP);
		assert_in_range(e->u.irqchip.irqchip, 0, 2);
		pins[e->u.irqchip.irqchip]++;
		assert_int_equal(e->u.irqchip.pin,
				 e->u.irqchip.irqchip == 2 ? e->gsi : e->gsi % 8);
	}
	assert_int_equal(pins[0], 8);
	assert_int_equal(pins[1], 8);
	assert_int_equal(pins[2], 24);
	assert_int_equal(vmm_kvm_routes_add_default(f.routes, 24), -EEXIST);
	fake_sys.arch = KVM_ARCH_RISCV64;
	assert_int_equal(vmm_kvm_routes_add_default(f.routes, 0), 0);
	fake_sys.arch = KVM_ARCH_HOST;
}

/* Against a model that keeps one number for each interrupt. */
static void a_random_walk_stays_in_step(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();
	FIXTURE f = fixture();
	uint32_t model[32] = { 0 };

	for (int step = 0; step < 5000; step++) {
		uint32_t gsi = vmm_test_below(&rng, 32);
		struct kvm_msi msi = message(1 + vmm_test_below(&rng, 3));
		unsigned int before = commits, count = 0;
		bool same;

		refuse = vmm_test_below(&rng, 8) ? 0 : -ENOMEM;
		if (vmm_test_below(&rng, 3) == 0) {
			int want = model[gsi] == 0 ? -ENOENT : refuse;

			assert_int_equal(vmm_kvm_routes_remove(f.routes, gsi), want);
			if (want == 0)
				model[gsi] = 0;
		} else {
			same = model[gsi] == msi.data;
			assert_int_equal(vmm_kvm_routes_set_msi(f.routes, gsi, &msi),
					 same ? 0 : refuse);
			assert_int_equal(commits - before, !same && !refuse);
			if (!refuse)
				model[gsi] = msi.data;
		}
		for (uint32_t i = 0; i < 32; i++)
			count += model[i] != 0;
		assert_int_equal(in_kernel_count, count);
		for (uint32_t i = 0; i < in_kernel_count; i++)
			assert_int_equal(in_kernel[i].u.msi.data,
					 model[in_kernel[i].gsi]);
		assert_in_step(&f);
	}
}

static void *write_messages(void *arg)
{
	struct fixture *f = arg;
	static uint32_t threads;
	uint32_t me = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);

	for (uint32_t i = 1; i <= 200; i++) {
		const struct kvm_msi msi = message(i);

		if (vmm_kvm_routes_set_msi(f->routes, me, &msi) < 0)
			return NULL;
	}
	return arg;
}

static void threads_do_not_lose_each_others_changes(void **state)
{
	FIXTURE f = fixture();
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_messages, &f),
				 0);
	for (int i = 0; i < 4; i++) {
		void *ret = NULL;

		assert_int_equal(pthread_join(threads[i], &ret), 0);
		assert_non_null(ret);
	}
	assert_int_equal(in_kernel_count, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(in_kernel[i].u.msi.data, 200);
	assert_int_equal(commits, 800);
	assert_in_step(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_told_once),
		cmocka_unit_test(a_batch_is_one_call),
		cmocka_unit_test(a_batch_that_fails_changes_nothing),
		cmocka_unit_test(
		    an_interrupt_is_a_pin_of_each_controller_or_one_other_thing),
		cmocka_unit_test(a_table_has_an_end),
		cmocka_unit_test(defaults_are_the_kernels),
		cmocka_unit_test(a_random_walk_stays_in_step),
		cmocka_unit_test(threads_do_not_lose_each_others_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

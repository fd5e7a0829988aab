/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <vmm/kvm-device.h>
#include <vmm/kvm-irq.h>
#include <vmm/kvm-memory.h>
#include <vmm/kvm-threads.h>
#include <vmm/kvm-x86.h>

#include "aarch64/gic.h"
#include "states.h"

#define VMM_FAIL_ALIGNED_ALLOC
#include "vmm-fail.h"

void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return vmm_fail_now() ? NULL : __real_reallocarray(old, count, size);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	return vmm_fail_now() ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

/* One statistic of one value. */
static const struct {
	struct kvm_stats_header head;
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset, bucket_size;
	char name[8];
	uint64_t value;
} stats_file = {
	.head = { .name_size = 8, .num_desc = 1, .desc_offset = 24, .data_offset = 48 },
	.size = 1,
	.name = "exits"
};

static int answer(int fd, unsigned long request, void *arg)
{
	if (request == KVM_CHECK_EXTENSION)
		return 65536;
	if (request == KVM_CREATE_DEVICE) {
		((struct kvm_create_device *)arg)->fd = (__u32)fake_new_fd();
		return 0;
	}
	return request == KVM_GET_STATS_FD ? fake_new_fd() : -ENOSYS;
}

struct all {
	struct vmm_kvm *kvm;
	struct vmm_kvm_vm *vm;
	struct vmm_kvm_vcpu *vcpu;
	struct vmm_kvm_device *device;
	struct vmm_kvm_stats *stats;
	struct vmm_kvm_dirty_ring *ring;
	struct vmm_kvm_coalesced *coalesced;
};

static int open_all(struct all *all)
{
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct vmm_kvm_ioeventfd io = VMM_KVM_IOEVENTFD_INIT;
	size_t count;
	int ret;

	memory.len = 0x10000;
	memory.host = (void *)0x100000;
	if ((ret = kvm_open_at(&fake_sys, NULL, &all->kvm, NULL)) < 0 ||
	    (ret = vmm_kvm_vm_open(all->kvm, 0, &all->vm, NULL)) < 0 ||
	    (ret = vmm_kvm_vm_add_memory(all->vm, &memory, NULL, NULL)) < 0 ||
	    (ret = vmm_kvm_vm_add_irqfd(all->vm, 5, 4)) < 0 ||
	    (ret = vmm_kvm_vm_add_ioeventfd(all->vm, &io)) < 0 ||
	    (ret = vmm_kvm_vm_set_gsi_routing(all->vm, NULL, 0)) < 0 ||
	    (ret = vmm_kvm_vcpu_open(all->vm, 0, &all->vcpu, NULL)) < 0 ||
	    (ret = vmm_kvm_vcpu_get_reg_list(all->vcpu, NULL, 0, &count)) < 0 ||
	    (ret = vmm_kvm_device_open(all->vm, 4, &all->device, NULL)) < 0 ||
	    (ret = vmm_kvm_vm_open_stats(all->vm, &all->stats, NULL)) < 0 ||
	    (ret = vmm_kvm_dirty_ring_open(all->vcpu, 16, &all->ring)) < 0)
		return ret;
	return vmm_kvm_coalesced_open(all->vcpu, &all->coalesced);
}

static void close_all(struct all *all)
{
	vmm_kvm_coalesced_close(all->coalesced);
	vmm_kvm_dirty_ring_close(all->ring);
	vmm_kvm_stats_close(all->stats);
	vmm_kvm_device_close(all->device);
	vmm_kvm_vcpu_close(all->vcpu);
	vmm_kvm_vm_close(all->vm);
	vmm_kvm_close(all->kvm);
}

static void handles_survive_a_lack_of_memory(void **state)
{
	unsigned int n = 0;
	int ret = -ENOMEM;

	fake_file = (const uint8_t *)&stats_file;
	fake_file_len = sizeof(stats_file);
	while (ret != 0) {
		struct all all = { 0 };

		fake_reset();
		fake.answer = answer;
		vmm_fail_at(++n);
		ret = open_all(&all);
		vmm_fail_at(0);
		assert_true(ret == 0 || ret == -ENOMEM);
		close_all(&all);
		assert_int_equal(fake_leaks(), 0);
		assert_true(n < 100);
	}
	assert_true(n > 12);
}

#if defined(__x86_64__)
static int set_up_x86(struct fake_machine *m)
{
	struct vmm_kvm_x86_topology topology = VMM_KVM_X86_TOPOLOGY_INIT;
	VMM_CLEANUP(vmm_kvm_x86_cpuid_free) struct vmm_kvm_x86_cpuid *cpuid = NULL;
	struct kvm_cpuid_entry2 entry = { .eax = 0x1f };
	size_t count;
	int ret = vmm_kvm_x86_cpuid_new(&cpuid);

	for (uint32_t i = 0; ret == 0 && i < 20; i++) {
		ret = vmm_kvm_x86_cpuid_add(cpuid, &entry);
		entry.function++;
	}
	if (ret == 0)
		ret = vmm_kvm_vcpu_setup(m->vcpu, cpuid, &topology, NULL, NULL);
	/* The fake writes no MSR, which looks like a host that has none. */
	if (ret == 0)
		ret = vmm_kvm_get_msr_indices(m->kvm, false, NULL, 0, &count);
	if (ret == 0)
		ret =
		    vmm_kvm_vm_set_pmu_filter(m->vm, KVM_PMU_EVENT_ALLOW, 0, 0, NULL, 0);
	return ret;
}

static void the_x86_setup_survives_a_lack_of_memory(void **state)
{
	struct fake_machine m = fake_machine();
	unsigned int n = 0;
	int ret = -ENOMEM;

	while (ret != 0) {
		vmm_fail_at(++n);
		ret = set_up_x86(&m);
		vmm_fail_at(0);
		assert_true(ret == 0 || ret == -ENOMEM);
		assert_true(n < 100);
	}
	assert_true(n > 5);
	vmm_fail_at(1);
	assert_int_equal(vmm_kvm_probe_linux(m.kvm, NULL), -ENOMEM);
	vmm_fail_at(0);
	fake_machine_free(&m);
}
#endif

/* Registers for the lists of arm64 and riscv64, MSRs and CPUID for x86. */
static int answer_state(int fd, unsigned long request, void *arg)
{
	struct kvm_reg_list *list = arg;
	uint32_t nmsrs = 0;

	switch (request) {
	case KVM_GET_REG_LIST:
		list->n = 1;
		list->reg[0] = (fake_sys.arch == KVM_ARCH_AARCH64 ? UINT64_C(6) : 8)
				   << 60 |
			       UINT64_C(3) << 52;
		return 0;
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)arg)->fd = (__u32)fake_new_fd();
		return 0;
	default:
		/* MSRs, by number: their structure is not everywhere. */
		if ((request & 0xff) != 0x88 && (request & 0xff) != 0x89)
			return -ENOSYS;
		memcpy(&nmsrs, arg, sizeof(nmsrs));
		return (int)nmsrs;
	}
}

static int save_and_restore(struct fake_machine *m)
{
	struct vmm_kvm_restore_opts opts = VMM_KVM_RESTORE_OPTS_INIT;
	VMM_CLEANUP(vmm_kvm_state_free) struct vmm_kvm_state *vcpu = NULL, *vm = NULL;
	VMM_CLEANUP(vmm_kvm_routes_free) struct vmm_kvm_routes *routes = NULL;
	int ret = vmm_kvm_routes_new(m->vm, &routes);

	if (ret == 0)
		ret = vmm_kvm_routes_add_default(routes, 20);
	if (ret == 0)
		ret = vmm_kvm_routes_set_pin(routes, 30, 0, 5);
	if (ret == 0)
		ret = vmm_kvm_vcpu_save(m->vcpu, m->kvm, &vcpu, NULL);
	if (ret == 0)
		ret = vmm_kvm_vcpu_restore(m->vcpu, vcpu, NULL);
	if (ret == 0)
		ret = vmm_kvm_vm_save(m->vm, routes, &vm, NULL);
	opts.routes = routes;
	return ret == 0 ? vmm_kvm_vm_restore(m->vm, vm, &opts, NULL) : ret;
}

static void states_survive_a_lack_of_memory(void **state)
{
	for (uint32_t arch = 1; arch <= KVM_ARCH_RISCV64; arch++) {
		struct fake_machine m;
		unsigned int n = 0;
		int ret = -ENOMEM;

		if (arch == KVM_ARCH_X86_64 && KVM_ARCH_HOST != KVM_ARCH_X86_64)
			continue;
		fake_sys.arch = arch;
		m = fake_machine();
		fake.answer = answer_state;
		m.vcpu->arm64_has_init = true;
		while (ret != 0) {
			vmm_fail_at(++n);
			ret = save_and_restore(&m);
			vmm_fail_at(0);
			assert_true(ret == 0 || ret == -ENOMEM);
			assert_true(n < 100);
		}
		assert_true(n > 10);
		fake_machine_free(&m);
	}
	fake_sys.arch = KVM_ARCH_HOST;
}

static void a_controller_survives_a_lack_of_memory(void **state)
{
	struct vmm_kvm_arm64_gic_device gic = { .version = 3, .irq_count = 64 };
	struct vmm_kvm_state *s = NULL;
	struct fake_machine m;
	unsigned int n = 0;

	fake_sys.arch = KVM_ARCH_AARCH64;
	m = fake_machine();
	fake.answer = answer_state;
	assert_int_equal(vmm_kvm_device_open(m.vm, 7, &gic.gic, NULL), 0);
	while (!s) {
		int ret;

		vmm_fail_at(++n);
		ret = vmm_kvm_arm64_gic_save(&gic, &m.vcpu, 1, &s, NULL);
		vmm_fail_at(0);
		assert_int_equal(ret, s ? 0 : -ENOMEM);
		assert_true(n < 100);
	}
	assert_true(n > 4);
	vmm_kvm_state_free(s);
	vmm_kvm_device_close(gic.gic);
	fake_machine_free(&m);
	fake_sys.arch = KVM_ARCH_HOST;
}

static int on_begin(void *ctx, uint32_t index)
{
	(void)__atomic_fetch_add((unsigned int *)ctx, 1, __ATOMIC_SEQ_CST);
	return -EPERM;
}

static int on_exit_(void *ctx, uint32_t index, const struct vmm_kvm_exit *exit)
{
	return -EPERM;
}

static void on_failed(void *ctx, uint32_t index, int code)
{
}

static void threads_survive_a_lack_of_them(void **state)
{
	struct vmm_kvm_threads_ops ops = VMM_KVM_THREADS_OPS_INIT;
	struct vmm_kvm_threads *threads = NULL;
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_vcpu *vcpus[] = { m.vcpu, m.vcpu, m.vcpu };
	unsigned int begun = 0;

	ops.begin = on_begin;
	ops.exit = on_exit_;
	ops.failed = on_failed;
	vmm_fail_at(1);
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, &begun, &threads), -ENOMEM);
	assert_null(threads);
	vmm_fail_at(4);
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, &begun, &threads), 0);
	assert_int_equal(vmm_kvm_threads_start(threads), -EAGAIN);
	vmm_fail_at(0);
	/* Those that were started have ended. */
	assert_int_equal(begun, 2);
	assert_int_equal(vmm_kvm_threads_start(threads), -EALREADY);
	vmm_kvm_threads_pause(threads);
	vmm_kvm_threads_free(threads);

	assert_int_equal(vmm_kvm_threads_new(vcpus, 0, &ops, NULL, &threads), -EINVAL);
	ops.failed = NULL;
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, NULL, &threads), -EINVAL);
	ops.failed = on_failed;
	ops.exit = NULL;
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, NULL, &threads), -EINVAL);
	ops.exit = on_exit_;
	ops.measure = 2;
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, NULL, &threads), -EINVAL);
	ops.size = sizeof(size_t) - 1;
	assert_int_equal(vmm_kvm_threads_new(vcpus, 3, &ops, NULL, &threads), -EINVAL);
	vmm_kvm_threads_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_survive_a_lack_of_memory),
		cmocka_unit_test(states_survive_a_lack_of_memory),
		cmocka_unit_test(a_controller_survives_a_lack_of_memory),
		cmocka_unit_test(threads_survive_a_lack_of_them),
#if defined(__x86_64__)
		cmocka_unit_test(the_x86_setup_survives_a_lack_of_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

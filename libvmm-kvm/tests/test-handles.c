/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <fcntl.h>
#include <unistd.h>

static int open_answer;
static int api_version;
static int run_size;

static int open_with_answer(const char *path, int flags)
{
	(void)path;
	assert_true(flags & O_CLOEXEC);
	return open_answer < 0 ? open_answer : fake_open(path, flags);
}

static int answer_system(int fd, unsigned long request, void *arg)
{
	if (request == KVM_GET_API_VERSION)
		return api_version;
	return request == KVM_GET_VCPU_MMAP_SIZE ? run_size : -ENOSYS;
}

static void opening_tells_the_reasons_apart(void **state)
{
	static const struct {
		int open, version, size, want;
		const char *words;
	} cases[] = {
		{ -ENOENT, 12, 12288, -ENOENT, "no such device" },
		{ -EACCES, 12, 12288, -EACCES, "no permission" },
		{ -EPERM, 12, 12288, -EACCES, "no permission" },
		{ -ENODEV, 12, 12288, -ENODEV, "no driver" },
		{ -ENXIO, 12, 12288, -ENXIO, "no driver" },
		{ -EISDIR, 12, 12288, -ENOTTY, "a directory" },
		{ -EMFILE, 12, 12288, -EMFILE, "Too many open files" },
		{ 0, -ENOTTY, 12288, -ENOTTY, "not a KVM device" },
		{ 0, -EINVAL, 12288, -ENOTTY, "not a KVM device" },
		{ 0, 11, 12288, -EOPNOTSUPP, "API version 11" },
		{ 0, 12, -EINVAL, -EOPNOTSUPP, "run page" },
		{ 0, 12, 100, -EOPNOTSUPP, "run page" },
		{ 0, 12, 0x7fffffff, -EOPNOTSUPP, "run page" },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct kvm_sys sys = fake_sys;
		struct vmm_kvm *kvm = NULL;
		struct vmm_error err;

		fake_reset();
		sys.open = open_with_answer;
		open_answer = cases[i].open;
		api_version = cases[i].version;
		run_size = cases[i].size;
		fake.answer = answer_system;
		assert_int_equal(kvm_open_at(&sys, "/some/node", &kvm, &err),
				 cases[i].want);
		assert_null(kvm);
		assert_int_equal(err.code, cases[i].want);
		assert_non_null(strstr(err.message, "/some/node"));
		assert_non_null(strstr(err.message, cases[i].words));
		assert_null(strchr(err.message, '\n'));
		assert_int_equal(fake_leaks(), 0);
	}
}

static void files_that_are_no_kvm_are_refused(void **state)
{
	struct vmm_kvm *kvm = NULL;
	struct vmm_error err;
	int fd = -1, saved;

	errno = 77;
	assert_int_equal(vmm_kvm_open("/no/such/kvm", &kvm, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/no/such/kvm"));
	assert_int_equal(vmm_kvm_open("/dev/null", &kvm, &err), -ENOTTY);
	assert_int_equal(vmm_kvm_open("/", &kvm, &err), -ENOTTY);
	assert_int_equal(vmm_kvm_open("/dev/null", &kvm, NULL), -ENOTTY);
	assert_int_equal(vmm_kvm_take_fd(-2, &kvm, &err), -EBADF);
	assert_int_equal(vmm_kvm_open_fd("/no/such/kvm", true, &fd, &err), -ENOENT);
	assert_int_equal(fd, -1);
	saved = errno;
	assert_int_equal(saved, 77);
	assert_null(kvm);

	fd = open("/dev/null", O_RDWR);
	assert_int_equal(vmm_kvm_take_fd(fd, &kvm, &err), -ENOTTY);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);

	assert_int_equal(vmm_kvm_open_fd("/dev/null", false, &fd, &err), 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
	assert_int_equal(vmm_kvm_open_fd("/dev/null", true, &fd, &err), 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static int answer_nothing(int fd, unsigned long request, void *arg)
{
	return request == KVM_CHECK_EXTENSION ? 0 : -ENOSYS;
}

static int answer_error(int fd, unsigned long request, void *arg)
{
	return request == KVM_CHECK_EXTENSION ? -EBADF : -ENOSYS;
}

static int answer_limits(int fd, unsigned long request, void *arg)
{
	if (request != KVM_CHECK_EXTENSION)
		return -ENOSYS;
	switch ((uintptr_t)arg) {
	case KVM_CAP_NR_VCPUS:
		return 2;
	case KVM_CAP_MAX_VCPUS:
		return 1024;
	case KVM_CAP_MAX_VCPU_ID:
		return 4096;
	case KVM_CAP_NR_MEMSLOTS:
		return 32764;
	default:
		return 0;
	}
}

static void limits_have_fallbacks(void **state)
{
	FAKE_MACHINE m = fake_machine();

	fake.answer = answer_nothing;
	assert_int_equal(vmm_kvm_get_nr_vcpus(m.kvm), 4);
	assert_int_equal(vmm_kvm_get_max_vcpus(m.kvm), 4);
	assert_int_equal(vmm_kvm_get_max_vcpu_id(m.kvm), 4);
	assert_int_equal(vmm_kvm_get_nr_memslots(m.kvm), 32);
	fake.answer = answer_error;
	assert_int_equal(vmm_kvm_get_nr_vcpus(m.kvm), 4);
	assert_int_equal(vmm_kvm_get_nr_memslots(m.kvm), 32);
	assert_int_equal(vmm_kvm_check_extension(m.kvm, KVM_CAP_NR_VCPUS), -EBADF);
	fake.answer = answer_limits;
	assert_int_equal(vmm_kvm_get_nr_vcpus(m.kvm), 2);
	assert_int_equal(vmm_kvm_get_max_vcpus(m.kvm), 1024);
	assert_int_equal(vmm_kvm_get_max_vcpu_id(m.kvm), 4096);
	assert_int_equal(vmm_kvm_get_nr_memslots(m.kvm), 32764);
	assert_int_equal(vmm_kvm_check_extension(m.kvm, 696969), 0);
	assert_int_equal(vmm_kvm_get_run_size(m.kvm), FAKE_RUN_SIZE);
}

static unsigned int interruptions;

static int answer_interrupted(int fd, unsigned long request, void *arg)
{
	if (request != KVM_CREATE_VM || interruptions == 0)
		return -ENOSYS;
	interruptions--;
	return -EINTR;
}

static void creating_a_vm_outlasts_signals(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_vm *vm = NULL;
	struct vmm_error err;

	fake.answer = answer_interrupted;
	interruptions = 20;
	assert_int_equal(vmm_kvm_vm_open(m.kvm, 0, &vm, &err), 0);
	vmm_kvm_vm_close(vm);
	vm = NULL;
	interruptions = UINT32_MAX;
	assert_int_equal(vmm_kvm_vm_open(m.kvm, 0, &vm, &err), -EINTR);
	assert_null(vm);
}

/* Everything a machine does, until a call fails. */
static int scenario(struct vmm_error *err)
{
	VMM_CLEANUP(vmm_kvm_close) struct vmm_kvm *kvm = NULL;
	VMM_CLEANUP(vmm_kvm_vm_close) struct vmm_kvm_vm *vm = NULL;
	VMM_CLEANUP(vmm_kvm_vcpu_close) struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct vmm_kvm_ioeventfd io = VMM_KVM_IOEVENTFD_INIT;
	const uint64_t args[4] = { 1, 2, 3, 4 };
	struct vmm_kvm_exit exit;
	uint64_t bitmap[1];
	uint32_t slot = 99;
	int ret;

	memory.len = 0x10000;
	memory.host = (void *)0x100000;
	memory.flags = VMM_KVM_MEMORY_LOG_DIRTY;
	io.addr = 0xd0000050;
	io.fd = 7;
	ret = kvm_open_at(&fake_sys, NULL, &kvm, err);
	if (ret == 0)
		ret = vmm_kvm_vm_open(kvm, 0, &vm, err);
	if (ret == 0)
		ret = vmm_kvm_vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, 0, args);
	if (ret == 0)
		ret = vmm_kvm_vm_create_irqchip(vm);
	if (ret == 0)
		ret = vmm_kvm_vm_add_memory(vm, &memory, &slot, err);
	if (ret < 0)
		assert_int_equal(slot, 99);
	if (ret == 0)
		ret = vmm_kvm_vm_add_irqfd(vm, 5, 4);
	if (ret == 0)
		ret = vmm_kvm_vm_add_irqfd_resample(vm, 6, 7, 5);
	if (ret == 0)
		ret = vmm_kvm_vm_add_ioeventfd(vm, &io);
	if (ret == 0)
		ret = vmm_kvm_vm_set_irq_line(vm, 4, true);
	if (ret == 0)
		ret = vmm_kvm_vm_set_gsi_routing(vm, NULL, 0);
	if (ret == 0)
		ret = vmm_kvm_vm_get_dirty_log(vm, slot, bitmap, 1);
	if (ret == 0)
		ret = vmm_kvm_vm_clear_dirty_log(vm, slot, 0, 16, bitmap);
	if (ret == 0)
		ret = vmm_kvm_vm_move_memory(vm, slot, 0x100000);
	if (ret == 0)
		ret = vmm_kvm_vm_set_dirty_logging(vm, slot, false);
	if (ret == 0)
		ret = vmm_kvm_vcpu_open(vm, 0, &vcpu, err);
	if (ret == 0)
		ret = vmm_kvm_vcpu_enable_cap(vcpu, KVM_CAP_HYPERV_SYNIC, 0, NULL);
	if (ret == 0)
		ret = vmm_kvm_vcpu_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	if (ret == 0)
		ret = vmm_kvm_vcpu_run(vcpu, &exit);
	if (ret == 0)
		ret = vmm_kvm_vm_remove_ioeventfd(vm, &io);
	if (ret == 0)
		ret = vmm_kvm_vm_remove_irqfd(vm, 5, 4);
	if (ret == 0)
		ret = vmm_kvm_vm_remove_memory(vm, slot);
	return ret;
}

/* Only a question for a limit, which has a fallback, may fail without a word. */
static void every_call_may_fail_and_nothing_leaks(void **state)
{
	unsigned int n, silent = 0;

	for (n = 1;; n++) {
		int ret;

		fake_reset();
		fake.fail_at = n;
		ret = scenario(NULL);
		assert_int_equal(fake_leaks(), 0);
		if (fake.calls < n)
			break;
		silent += ret == 0;
		assert_true(ret == 0 || ret == -EIO || ret == -ENOTTY ||
			    ret == -EOPNOTSUPP);
	}
	assert_true(n > 20);
	/* The number of memory slots, and a binding that the close cannot undo. */
	assert_int_equal(silent, 1 + 1);
}

static void closing_a_vm_takes_back_what_it_bound(void **state)
{
	struct vmm_kvm_ioeventfd io = VMM_KVM_IOEVENTFD_INIT;
	FAKE_MACHINE m = fake_machine();
	unsigned int before;

	io.addr = 0x1000;
	io.fd = 3;
	assert_int_equal(vmm_kvm_vm_add_irqfd(m.vm, 8, 1), 0);
	assert_int_equal(vmm_kvm_vm_add_irqfd(m.vm, 9, 2), 0);
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(m.vm, &io), 0);
	before = fake.ioctls;
	vmm_kvm_vcpu_close(m.vcpu);
	m.vcpu = NULL;
	vmm_kvm_vm_close(m.vm);
	m.vm = NULL;
	assert_int_equal(fake.ioctls - before, 3);
}

static void nothing_is_freed_twice_and_null_is_fine(void **state)
{
	vmm_kvm_close(NULL);
	vmm_kvm_vm_close(NULL);
	vmm_kvm_vcpu_close(NULL);
}

static void a_longer_option_structure_must_end_in_zeros(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct {
		struct vmm_kvm_memory memory;
		uint64_t more;
	} wide = { .memory = VMM_KVM_MEMORY_INIT };
	struct vmm_kvm_memory *memory = &wide.memory;

	memory->len = 0x1000;
	memory->host = (void *)0x1000;
	memory->size = sizeof(wide);
	wide.more = 1;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, memory, NULL, NULL), -E2BIG);
	wide.more = 0;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, memory, NULL, NULL), 0);
	/* A caller built when the structure ended before the private memory. */
	memory->gpa = 0x1000;
	memory->size = offsetof(struct vmm_kvm_memory, flags);
	memory->flags = 0xffff;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, memory, NULL, NULL), 0);
	memory->size = 4;
	assert_int_equal(vmm_kvm_vm_add_memory(m.vm, memory, NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_tells_the_reasons_apart),
		cmocka_unit_test(files_that_are_no_kvm_are_refused),
		cmocka_unit_test(limits_have_fallbacks),
		cmocka_unit_test(creating_a_vm_outlasts_signals),
		cmocka_unit_test(every_call_may_fail_and_nothing_leaks),
		cmocka_unit_test(closing_a_vm_takes_back_what_it_bound),
		cmocka_unit_test(nothing_is_freed_twice_and_null_is_fine),
		cmocka_unit_test(a_longer_option_structure_must_end_in_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

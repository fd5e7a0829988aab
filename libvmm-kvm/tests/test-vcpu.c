/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct kvm_run *page_of(struct vmm_kvm_vcpu *vcpu)
{
	return vmm_kvm_vcpu_get_run(vcpu);
}

static int run_answer;
static unsigned int runs;

static int answer_run(int fd, unsigned long request, void *arg)
{
	if (request != KVM_RUN)
		return -ENOSYS;
	runs++;
	return run_answer;
}

static int answer_again_thrice(int fd, unsigned long request, void *arg)
{
	if (request != KVM_RUN)
		return -ENOSYS;
	return ++runs <= 3 ? -EAGAIN : 0;
}

static void a_processor_that_is_not_started_keeps_waiting(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_exit exit;

	page_of(m.vcpu)->exit_reason = VMM_KVM_EXIT_HLT;
	runs = 0;
	fake.answer = answer_again_thrice;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(runs, 4);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
	/* But not for ever. */
	run_answer = -EAGAIN;
	fake.answer = answer_run;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), -EAGAIN);
}

static void a_memory_fault_comes_with_an_error(void **state)
{
	static const struct {
		int ret;
		uint32_t reason;
		int want;
	} cases[] = {
		{ -EFAULT, VMM_KVM_EXIT_MEMORY_FAULT, 0 },
		{ -EHWPOISON, VMM_KVM_EXIT_MEMORY_FAULT, 0 },
		{ -EFAULT, VMM_KVM_EXIT_UNKNOWN, -EFAULT },
		{ -EHWPOISON, VMM_KVM_EXIT_IO, -EHWPOISON },
		{ -ENOSPC, VMM_KVM_EXIT_MEMORY_FAULT, -ENOSPC },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		FAKE_MACHINE m = fake_machine();
		struct vmm_kvm_exit exit = { .reason = 77 };

		page_of(m.vcpu)->exit_reason = cases[i].reason;
		run_answer = cases[i].ret;
		fake.answer = answer_run;
		assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), cases[i].want);
		assert_int_equal(exit.reason, cases[i].want == 0
						  ? (uint32_t)VMM_KVM_EXIT_MEMORY_FAULT
						  : 77u);
	}
}

static void a_page_that_lies_is_no_exit(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_exit exit;

	page_of(m.vcpu)->exit_reason = VMM_KVM_EXIT_MMIO;
	page_of(m.vcpu)->mmio.len = 9;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), -EBADMSG);
}

static struct vmm_kvm_vcpu *kicked_vcpu;

/* As the kernel does: immediate_exit first, then the guest. */
static int answer_immediate(int fd, unsigned long request, void *arg)
{
	if (request != KVM_RUN)
		return -ENOSYS;
	return page_of(kicked_vcpu)->immediate_exit ? -EINTR : 0;
}

static void a_kick_before_the_run_counts_once(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_exit exit;

	kicked_vcpu = m.vcpu;
	fake.answer = answer_immediate;
	page_of(m.vcpu)->exit_reason = VMM_KVM_EXIT_HLT;
	vmm_kvm_vcpu_kick(m.vcpu);
	vmm_kvm_vcpu_kick(m.vcpu);
	/* Nobody is within KVM_RUN: nobody is signalled. */
	assert_int_equal(fake.kills, 0);
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), -EINTR);
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
}

static int answer_kicks_itself(int fd, unsigned long request, void *arg)
{
	if (request != KVM_RUN)
		return -ENOSYS;
	if (runs++ == 0)
		vmm_kvm_vcpu_kick(kicked_vcpu);
	return 0;
}

static void a_kick_meanwhile_signals_the_thread_that_runs(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_exit exit;

	kicked_vcpu = m.vcpu;
	runs = 0;
	fake.answer = answer_kicks_itself;
	page_of(m.vcpu)->exit_reason = VMM_KVM_EXIT_HLT;
	/* It comes too late for this exit, and so stays for the next run. */
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(fake.kills, 1);
	assert_int_equal(fake.killed_tid, gettid());
	assert_int_equal(fake.killed_signal, SIGRTMIN);
	fake.answer = answer_immediate;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), -EINTR);

	assert_int_equal(vmm_kvm_vcpu_set_kick_signal(m.vcpu, VMM_KVM_KICK_SIGNAL_NONE),
			 0);
	runs = 0;
	fake.answer = answer_kicks_itself;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(fake.kills, 1);
	assert_int_equal(vmm_kvm_vcpu_set_kick_signal(m.vcpu, SIGUSR2), 0);
	runs = 0;
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(fake.kills, 2);
	assert_int_equal(fake.killed_signal, SIGUSR2);
}

static void only_signals_that_can_be_caught_will_do(void **state)
{
	FAKE_MACHINE m = fake_machine();
	static const int bad[] = { -2, 65, 1000, SIGKILL, SIGSTOP };

	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		assert_int_equal(vmm_kvm_vcpu_set_kick_signal(m.vcpu, bad[i]), -EINVAL);
		assert_int_equal(vmm_kvm_kick_signal_init(bad[i]), -EINVAL);
	}
	assert_int_equal(
	    vmm_kvm_vcpu_set_kick_signal(m.vcpu, VMM_KVM_KICK_SIGNAL_DEFAULT), 0);
}

static void the_handler_of_another_is_left_alone(void **state)
{
	struct sigaction now;

	assert_int_equal(vmm_kvm_kick_signal_init(SIGUSR1), 0);
	assert_int_equal(vmm_kvm_kick_signal_init(SIGUSR1), 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &now), 0);
	assert_int_equal(now.sa_flags & SA_RESTART, 0);
	assert_true(now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
	assert_int_equal(raise(SIGUSR1), 0);

	assert_true(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
	assert_int_equal(vmm_kvm_kick_signal_init(SIGUSR2), -EBUSY);
	assert_true(signal(SIGUSR2, SIG_DFL) != SIG_ERR);
	assert_int_equal(vmm_kvm_kick_signal_init(VMM_KVM_KICK_SIGNAL_DEFAULT), 0);
}

static void the_first_run_unblocks_the_signal(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_exit exit;
	sigset_t all, now;

	(void)sigfillset(&all);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_set_kick_signal(m.vcpu, VMM_KVM_KICK_SIGNAL_NONE),
			 0);
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	assert_int_equal(sigismember(&now, SIGRTMIN), 1);
	assert_int_equal(
	    vmm_kvm_vcpu_set_kick_signal(m.vcpu, VMM_KVM_KICK_SIGNAL_DEFAULT), 0);
	assert_int_equal(vmm_kvm_vcpu_run(m.vcpu, &exit), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
	assert_int_equal(sigismember(&now, SIGRTMIN), 0);
	assert_int_equal(sigismember(&now, SIGUSR1), 1);
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &all, NULL), 0);
}

/* One thread runs, others kick; each run sees what was written before its kick. */
struct race {
	struct vmm_kvm_vcpu *vcpu;
	int message;
};

static void *runner(void *arg)
{
	struct race *race = arg;
	struct vmm_kvm_exit exit;

	while (vmm_kvm_vcpu_run(race->vcpu, &exit) != -EINTR)
		;
	return race->message == 42 ? race : NULL;
}

static int ioctl_without_memory(int fd, unsigned long request, unsigned long arg)
{
	if (request != KVM_RUN)
		return fake_ioctl(fd, request, arg);
	/* As in the kernel: a load that orders nothing by itself. */
	return __atomic_load_n(&page_of(kicked_vcpu)->immediate_exit, __ATOMIC_RELAXED)
		   ? -EINTR
		   : 0;
}

static int tgkill_nobody(pid_t tid, int signo)
{
	return 0;
}

static void run_and_kick_do_not_race(void **state)
{
	struct kvm_sys sys = fake_sys;
	struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_vm *vm = NULL;
	struct race race = { 0 };

	fake_reset();
	sys.ioctl = ioctl_without_memory;
	sys.tgkill = tgkill_nobody;
	assert_int_equal(kvm_open_at(&sys, NULL, &kvm, NULL), 0);
	assert_int_equal(vmm_kvm_vm_open(kvm, 0, &vm, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_open(vm, 0, &race.vcpu, NULL), 0);
	kicked_vcpu = race.vcpu;
	page_of(race.vcpu)->exit_reason = VMM_KVM_EXIT_HLT;
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		void *ret = NULL;

		race.message = 0;
		assert_int_equal(pthread_create(&thread, NULL, runner, &race), 0);
		race.message = 42;
		vmm_kvm_vcpu_kick(race.vcpu);
		assert_int_equal(pthread_join(thread, &ret), 0);
		assert_non_null(ret);
	}
	vmm_kvm_vcpu_close(race.vcpu);
	vmm_kvm_vm_close(vm);
	vmm_kvm_close(kvm);
	assert_int_equal(fake_leaks(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_processor_that_is_not_started_keeps_waiting),
		cmocka_unit_test(a_memory_fault_comes_with_an_error),
		cmocka_unit_test(a_page_that_lies_is_no_exit),
		cmocka_unit_test(a_kick_before_the_run_counts_once),
		cmocka_unit_test(a_kick_meanwhile_signals_the_thread_that_runs),
		cmocka_unit_test(only_signals_that_can_be_caught_will_do),
		cmocka_unit_test(the_handler_of_another_is_left_alone),
		cmocka_unit_test(the_first_run_unblocks_the_signal),
		cmocka_unit_test(run_and_kick_do_not_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

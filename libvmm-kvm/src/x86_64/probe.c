/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vmm/kvm-x86.h>

#include "internal.h"

#define GUEST_MEMORY 0x1000u
#define RESULT_PORT 0xf4
#define RESULT_VALUE 16
#define CR4_OSFXSR (UINT64_C(1) << 9)
#define DEADLINE_MS 2000

/* Neither popcnt nor SSE arithmetic is in KVM's emulator, and each kernel built in the
 * last decade meets such instructions before its first message. */
static const uint8_t program[] = {
	0xb8, 0xff,	   0x00, 0x00, 0x00, /* mov eax, 0xff */
	0xf3, 0x0f,	   0xb8, 0xc0,	     /* popcnt eax, eax -> 8 */
	0x66, 0x0f,	   0x6e, 0xc0,	     /* movd xmm0, eax */
	0x66, 0x0f,	   0xfe, 0xc0,	     /* paddd xmm0, xmm0 -> 16 */
	0x66, 0x0f,	   0x7e, 0xc0,	     /* movd eax, xmm0 */
	0xe6, RESULT_PORT,		     /* out RESULT_PORT, al */
	0xf4,				     /* hlt */
};

/* A deadline without a handler: the signal is blocked in this thread but not within
 * KVM_RUN, which it therefore ends, and stays pending. */
struct watchdog {
	sigset_t old_mask;
	timer_t timer;
	bool armed, was_pending;
};

static int arm(struct watchdog *dog, struct vmm_kvm_vcpu *vcpu, unsigned int ms)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L },
	};
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGRTMAX };
	sigset_t set, run_mask, pending;
	uint64_t bits;
	int ret;

#ifdef sigev_notify_thread_id
	event.sigev_notify_thread_id = gettid();
#else
	event._sigev_un._tid = gettid();
#endif
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMAX);
	(void)sigpending(&pending);
	dog->was_pending = sigismember(&pending, SIGRTMAX) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &set, &dog->old_mask);
	dog->armed = true;
	run_mask = dog->old_mask;
	(void)sigdelset(&run_mask, SIGRTMAX);
	memcpy(&bits, &run_mask, sizeof(bits));
	ret = vmm_kvm_vcpu_set_signal_mask(vcpu, &bits);
	if (ret < 0)
		return ret;
	if (timer_create(CLOCK_MONOTONIC, &event, &dog->timer) < 0)
		return -errno;
	if (timer_settime(dog->timer, 0, &when, NULL) < 0) {
		ret = -errno;
		(void)timer_delete(dog->timer);
		return ret;
	}
	return 1;
}

static void disarm(struct watchdog *dog, bool with_timer)
{
	const struct timespec now = { 0 };
	sigset_t set;

	if (!dog->armed)
		return;
	if (with_timer)
		(void)timer_delete(dog->timer);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMAX);
	if (!dog->was_pending)
		(void)sigtimedwait(&set, NULL, &now);
	(void)pthread_sigmask(SIG_SETMASK, &dog->old_mask, NULL);
}

static bool expired(const struct watchdog *dog)
{
	struct itimerspec left = { 0 };

	return timer_gettime(dog->timer, &left) < 0 ||
	       (left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);
}

static int judge(const struct vmm_kvm_exit *exit, struct vmm_error *err)
{
	char text[160];

	if (exit->reason == VMM_KVM_EXIT_IO && exit->u.io.is_write &&
	    exit->u.io.port == RESULT_PORT && exit->u.io.data[0] == RESULT_VALUE)
		return 0;
	(void)vmm_kvm_exit_describe(exit, text, sizeof(text));
	return vmm_error_set(
	    err, -EOPNOTSUPP,
	    "this KVM emulates instructions in software and lacks those of "
	    "Linux (%s)",
	    text);
}

static int run(struct vmm_kvm_vcpu *vcpu, const struct watchdog *dog,
	       struct vmm_error *err)
{
	struct vmm_kvm_exit exit;
	int ret;

	do {
		ret = vmm_kvm_vcpu_run(vcpu, &exit);
	} while (ret == -EINTR && !expired(dog));

	if (ret == 0)
		return judge(&exit, err);
	if (ret == -EINTR)
		return vmm_error_set(err, -ETIMEDOUT, "the test guest hangs in this KVM");
	return vmm_error_set(err, ret, "the test guest does not run: %s",
			     strerrordesc_np(-ret));
}

static int run_guarded(struct vmm_kvm_vcpu *vcpu, unsigned int ms, struct vmm_error *err)
{
	struct watchdog dog = { .armed = false };
	int saved = errno, armed = arm(&dog, vcpu, ms), ret;

	if (armed > 0)
		ret = run(vcpu, &dog, err);
	else
		ret = vmm_error_set(err, armed, "no deadline for the test guest: %s",
				    strerrordesc_np(-armed));
	disarm(&dog, armed > 0);
	errno = saved;
	return ret;
}

static int set_registers(struct vmm_kvm_vcpu *vcpu)
{
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int ret = vmm_kvm_vcpu_get_sregs(vcpu, &sregs);

	boot.mode = VMM_KVM_X86_PROTECTED32;
	if (ret == 0)
		ret = vmm_kvm_x86_boot_get_regs(&boot, &regs, &sregs);
	sregs.cr4 = CR4_OSFXSR;
	if (ret == 0)
		ret = vmm_kvm_vcpu_set_sregs(vcpu, &sregs);
	return ret < 0 ? ret : vmm_kvm_vcpu_set_regs(vcpu, &regs);
}

static int probe_in(struct vmm_kvm_vm *vm, void *page, unsigned int ms,
		    struct vmm_error *err)
{
	VMM_CLEANUP(vmm_kvm_vcpu_close) struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	int ret;

	memcpy(page, program, sizeof(program));
	memory.len = GUEST_MEMORY;
	memory.host = page;
	ret = vmm_kvm_vm_add_memory(vm, &memory, NULL, err);
	if (ret == 0)
		ret = vmm_kvm_vcpu_open(vm, 0, &vcpu, err);
	if (ret < 0)
		return ret;
	ret = set_registers(vcpu);
	if (ret == 0)
		ret = vmm_kvm_vcpu_set_kick_signal(vcpu, VMM_KVM_KICK_SIGNAL_NONE);
	if (ret < 0)
		return vmm_error_set(err, ret,
				     "cannot set the test guest's registers: %s",
				     strerrordesc_np(-ret));
	return run_guarded(vcpu, ms, err);
}

int kvm_x86_probe(struct vmm_kvm *kvm, unsigned int ms, struct vmm_error *err)
{
	struct vmm_kvm_vm *vm = NULL;
	void *page = aligned_alloc(GUEST_MEMORY, GUEST_MEMORY);
	int ret;

	if (!page)
		return vmm_error_set(err, -ENOMEM, "no memory for a test guest");
	memset(page, 0, GUEST_MEMORY);
	ret = vmm_kvm_vm_open(kvm, 0, &vm, err);
	if (ret == 0)
		ret = probe_in(vm, page, ms, err);
	vmm_kvm_vm_close(vm);
	free(page);
	return ret;
}

/* KVM serves one kind of processor at a time, and these modules load only on such a
 * processor: the one that is alive is what this KVM stands on. Built into the kernel they
 * have no such file, so that nothing follows from its absence. */
static bool has_hardware_module(const struct kvm_sys *sys)
{
	static const char *const states[] = { "/sys/module/kvm_amd/initstate",
					      "/sys/module/kvm_intel/initstate" };
	bool live = false;

	for (size_t i = 0; !live && i < sizeof(states) / sizeof(states[0]); i++) {
		char text[5] = { 0 };
		int fd = sys->open(states[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		live = sys->pread(fd, text, sizeof(text), 0) == (int64_t)sizeof(text) &&
		       memcmp(text, "live\n", sizeof(text)) == 0;
		(void)sys->close(fd);
	}
	return live;
}

int vmm_kvm_probe_linux(struct vmm_kvm *kvm, struct vmm_error *err)
{
	if (has_hardware_module(kvm->sys))
		return 0;
	return kvm_x86_probe(kvm, DEADLINE_MS, err);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "probes.h"

/* An application processor that waits for its start-up message answers EAGAIN each time
 * something wakes it. Every turn blocks in the kernel; the bound only stops one that
 * answers EAGAIN for ever. */
#define AGAIN_MAX 100000

static int new_vcpu(struct vmm_kvm_vm *vm, int fd, uint32_t id, struct vmm_kvm_vcpu **out,
		    struct vmm_error *err)
{
	struct vmm_kvm_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	void *page = NULL;
	int ret;

	if (!vcpu)
		return vmm_error_set(err, -ENOMEM, "no memory for the handle of vCPU %u",
				     id);
	ret = vm->sys->mmap(fd, vm->run_size, 0, &page);
	if (ret < 0) {
		free(vcpu);
		return vmm_error_at(err, ret, id, 0, 0,
				    "cannot map the run page of vCPU %u: %s", id,
				    strerrordesc_np(-ret));
	}
	vcpu->sys = vm->sys;
	vcpu->vm = vm;
	vcpu->fd = fd;
	vcpu->run = page;
	vcpu->run_size = vm->run_size;
	vcpu->id = id;
	vcpu->kick_signal = SIGRTMIN;
	*out = vcpu;
	return 0;
}

int vmm_kvm_vcpu_open(struct vmm_kvm_vm *vm, uint32_t id, struct vmm_kvm_vcpu **out,
		      struct vmm_error *err)
{
	int fd = vm->sys->ioctl(vm->fd, KVM_CREATE_VCPU, id), ret;

	if (fd < 0)
		return vmm_error_at(err, fd, id, 0, 0, "cannot create vCPU %u: %s", id,
				    strerrordesc_np(-fd));
	ret = new_vcpu(vm, fd, id, out, err);
	if (ret < 0)
		(void)vm->sys->close(fd);
	return ret;
}

int vmm_kvm_vcpu_take_fd(struct vmm_kvm_vm *vm, int fd, uint32_t id,
			 struct vmm_kvm_vcpu **out, struct vmm_error *err)
{
	int saved = errno, flags = fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		flags = fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	errno = saved;
	if (flags < 0)
		return vmm_error_set(err, -EBADF, "descriptor %d: not open", fd);
	return new_vcpu(vm, fd, id, out, err);
}

void vmm_kvm_vcpu_close(struct vmm_kvm_vcpu *vcpu)
{
	if (!vcpu)
		return;
	(void)vcpu->sys->munmap(vcpu->run, vcpu->run_size);
	(void)vcpu->sys->close(vcpu->fd);
	free(vcpu);
}

int vmm_kvm_vcpu_get_fd(const struct vmm_kvm_vcpu *vcpu)
{
	return vcpu->fd;
}

uint32_t vmm_kvm_vcpu_get_id(const struct vmm_kvm_vcpu *vcpu)
{
	return vcpu->id;
}

struct kvm_run *vmm_kvm_vcpu_get_run(struct vmm_kvm_vcpu *vcpu)
{
	return vcpu->run;
}

int vmm_kvm_vcpu_enable_cap(struct vmm_kvm_vcpu *vcpu, uint32_t cap, uint32_t flags,
			    const uint64_t args[4])
{
	struct kvm_enable_cap enable = { .cap = cap, .flags = flags };

	if (args)
		memcpy(enable.args, args, sizeof(enable.args));
	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_ENABLE_CAP, &enable);
}

static pid_t this_thread(void)
{
	/* gettid() is a system call, and this is on the way of every exit. */
	static __thread pid_t tid;

	if (tid == 0)
		tid = gettid();
	return tid;
}

/* A program that takes signals in its event loop blocks them before it starts threads. */
static void unblock(int signo)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void enter(struct vmm_kvm_vcpu *vcpu)
{
	pid_t tid = this_thread();

	if (vcpu->prepared_tid != tid) {
		if (vcpu->kick_signal > 0)
			unblock(vcpu->kick_signal);
		vcpu->prepared_tid = tid;
	}
	/* Either a kicker sees this thread and signals it, or KVM_RUN sees
	 * immediate_exit: both sides store before they load. */
	__atomic_store_n(&vcpu->tid, tid, __ATOMIC_SEQ_CST);
}

static int run_once(struct vmm_kvm_vcpu *vcpu)
{
	int ret, turns = 0;

	enter(vcpu);
	do {
		ret = vcpu->sys->ioctl(vcpu->fd, KVM_RUN, 0);
	} while (ret == -EAGAIN && ++turns < AGAIN_MAX);
	__atomic_store_n(&vcpu->tid, 0, __ATOMIC_RELEASE);
	return ret;
}

int vmm_kvm_vcpu_run(struct vmm_kvm_vcpu *vcpu, struct vmm_kvm_exit *out)
{
	int ret;

	PROBE1(enter, vcpu->id);
	ret = run_once(vcpu);
	PROBE3(exit, vcpu->id, probe_value(vcpu->run->exit_reason), ret);
	if (ret == -EINTR) {
		/* The kick, if there was one, is delivered. The exchange also makes what
		 * the kicker wrote before visible here. */
		(void)__atomic_exchange_n(&vcpu->run->immediate_exit, 0,
					  __ATOMIC_ACQ_REL);
		return ret;
	}
	if (ret == -EFAULT || ret == -EHWPOISON) {
		/* This one exit comes along with an error. */
		if (vcpu->run->exit_reason != VMM_KVM_EXIT_MEMORY_FAULT)
			return ret;
		ret = 0;
	}
	return ret < 0 ? ret : kvm_exit_decode(vcpu->run, vcpu->run_size, out);
}

void vmm_kvm_vcpu_kick(struct vmm_kvm_vcpu *vcpu)
{
	pid_t tid;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	tid = __atomic_load_n(&vcpu->tid, __ATOMIC_SEQ_CST);
	/* The thread may be gone by now: then nobody is signalled, or a thread that takes
	 * over its number, which the handler shrugs off. */
	if (tid != 0 && vcpu->kick_signal > 0)
		(void)vcpu->sys->tgkill(tid, vcpu->kick_signal);
}

int vmm_kvm_vcpu_set_kick_signal(struct vmm_kvm_vcpu *vcpu, int signo)
{
	if (signo == VMM_KVM_KICK_SIGNAL_DEFAULT)
		signo = SIGRTMIN;
	else if (signo != VMM_KVM_KICK_SIGNAL_NONE &&
		 (signo < 1 || signo > SIGRTMAX || signo == SIGKILL || signo == SIGSTOP))
		return -EINVAL;
	vcpu->kick_signal = signo;
	vcpu->prepared_tid = 0;
	return 0;
}

static void on_kick(int signo)
{
	(void)signo;
}

int vmm_kvm_kick_signal_init(int signo)
{
	struct sigaction old, action = { .sa_handler = on_kick };
	int saved = errno, ret = 0;

	if (signo == VMM_KVM_KICK_SIGNAL_DEFAULT)
		signo = SIGRTMIN;
	if (signo < 1 || sigaction(signo, NULL, &old) < 0)
		ret = -EINVAL;
	else if ((old.sa_flags & SA_SIGINFO) ||
		 (old.sa_handler != SIG_DFL && old.sa_handler != on_kick))
		ret = -EBUSY;
	/* Without SA_RESTART, although KVM_RUN would not be restarted anyway. */
	else if (sigemptyset(&action.sa_mask) < 0 || sigaction(signo, &action, NULL) < 0)
		ret = -EINVAL;
	errno = saved;
	return ret;
}

int vmm_kvm_vcpu_get_mp_state(struct vmm_kvm_vcpu *vcpu, uint32_t *out)
{
	struct kvm_mp_state state = { 0 };
	int ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_GET_MP_STATE, &state);

	if (ret == 0)
		*out = state.mp_state;
	return ret;
}

int vmm_kvm_vcpu_set_mp_state(struct vmm_kvm_vcpu *vcpu, uint32_t state)
{
	struct kvm_mp_state arg = { .mp_state = state };

	return kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_SET_MP_STATE, &arg);
}

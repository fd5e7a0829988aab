/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef KVM_INTERNAL_H
#define KVM_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include <vmm/kvm.h>

/* The architectures, numbered as in a state. meson.build says which one this is. */
#define KVM_ARCH_X86_64 1u
#define KVM_ARCH_AARCH64 2u
#define KVM_ARCH_RISCV64 3u

/* The edge to the kernel, replaced by tests. Every call returns a result of 0 or more,
 * or -errno, and leaves errno alone. */
struct kvm_sys {
	/* KVM_ARCH_* of the host, 0 for one without architecture-specific calls. */
	uint32_t arch;
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, unsigned long arg);
	int (*mmap)(int fd, size_t len, int64_t offset, void **out);
	int (*munmap)(void *addr, size_t len);
	int64_t (*pread)(int fd, void *buf, size_t len, int64_t offset);
	int (*tgkill)(pid_t tid, int signo);
};

extern const struct kvm_sys kvm_sys_linux;

struct vmm_kvm {
	const struct kvm_sys *sys;
	int fd;
	size_t run_size;
};

struct slot_entry {
	struct vmm_kvm_memory memory;
	bool used;
};

struct irqfd_entry {
	int fd;
	uint32_t gsi;
};

struct vmm_kvm_vm {
	const struct kvm_sys *sys;
	int fd;
	size_t run_size;
	uint32_t slots_max;
	/* Guards what follows, and keeps it in step with the kernel. */
	pthread_mutex_t lock;
	struct slot_entry *slots;
	uint32_t slot_count;
	struct irqfd_entry *irqfds;
	size_t irqfd_count;
	struct vmm_kvm_ioeventfd *ioeventfds;
	size_t ioeventfd_count;
};

struct vmm_kvm_vcpu {
	const struct kvm_sys *sys;
	/* For what only the VM can answer. */
	const struct vmm_kvm_vm *vm;
	struct kvm_run *run;
	size_t run_size;
	int fd;
	uint32_t id;
	/* SIGRTMIN is not a constant, hence resolved at the open. */
	int kick_signal;
	/* What an arm64 vCPU was initialised with: the words of struct kvm_vcpu_init, for
	 * the kernel does not tell. */
	uint32_t arm64_init[8];
	bool arm64_has_init;
	/* Thread within KVM_RUN, 0 for none. Atomic. */
	pid_t tid;
	/* Thread whose signal mask was seen to; only the running thread touches it. */
	pid_t prepared_tid;
};

/* vmm_kvm_open() and vmm_kvm_take_fd() at another edge. */
int kvm_open_at(const struct kvm_sys *sys, const char *path, struct vmm_kvm **out,
		struct vmm_error *err);

/* Decodes a run page of @len bytes that nobody vouches for: -EBADMSG if it is shorter
 * than struct kvm_run, or contradicts itself or its length. */
int kvm_exit_decode(void *page, size_t len, struct vmm_kvm_exit *out);

/* An option structure of the caller, by the rule of its size member: -E2BIG for a tail
 * that we do not know and that is not zero, -EINVAL for one without room for `size`. */
int kvm_options_read(void *dst, size_t dst_size, const void *src);

/* The type of an ordinary VM; for each architecture. */
uint64_t kvm_arch_default_vm_type(const struct vmm_kvm *kvm);

/* vmm_kvm_probe_linux() on x86, with a deadline in milliseconds. */
int kvm_x86_probe(struct vmm_kvm *kvm, unsigned int ms, struct vmm_error *err);

static inline int kvm_ioctl(const struct kvm_sys *sys, int fd, unsigned long request,
			    const void *arg)
{
	return sys->ioctl(fd, request, (unsigned long)(uintptr_t)arg);
}

/* For calls whose argument is a number, and that return 0 or an error. */
static inline int kvm_ioctl_value(const struct kvm_sys *sys, int fd,
				  unsigned long request, unsigned long arg)
{
	int ret = sys->ioctl(fd, request, arg);

	return ret < 0 ? ret : 0;
}

static inline int kvm_ioctl_zero(const struct kvm_sys *sys, int fd, unsigned long request,
				 const void *arg)
{
	return kvm_ioctl_value(sys, fd, request, (unsigned long)(uintptr_t)arg);
}

#endif

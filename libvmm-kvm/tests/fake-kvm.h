/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_FAKE_KVM_H
#define TESTS_FAKE_KVM_H

/* A kernel at the edge of the library: it hands out descriptors and run pages, remembers
 * what it was asked, answers what a test wants, and fails at the Nth call. */

#include "vmm-test.h"

#include <errno.h>
#include <string.h>

#include "internal.h"

enum {
	FAKE_RUN_SIZE = 12288,
	FAKE_FD_FIRST = 1000,
	FAKE_FD_MAX = 64,
	FAKE_MAPS_MAX = 16
};

struct fake {
	/* Call number that fails, 0 for none, and its error. */
	unsigned int fail_at;
	int fail_code;
	unsigned int calls;
	/* Number of calls of ioctl(), and what the last one was. */
	unsigned int ioctls;
	unsigned long last_request;
	unsigned long last_arg;
	int last_fd;
	/* What a test answers instead of the fake; -ENOSYS for "go on". */
	int (*answer)(int fd, unsigned long request, void *arg);
	bool open_fds[FAKE_FD_MAX];
	void *maps[FAKE_MAPS_MAX];
	pid_t killed_tid;
	int killed_signal;
	unsigned int kills;
};

static struct fake fake;

static inline void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.fail_code = -EIO;
}

static inline bool fake_fails(void)
{
	return ++fake.calls == fake.fail_at;
}

static inline int fake_new_fd(void)
{
	for (int i = 0; i < FAKE_FD_MAX; i++)
		if (!fake.open_fds[i]) {
			fake.open_fds[i] = true;
			return FAKE_FD_FIRST + i;
		}
	return -EMFILE;
}

static inline unsigned int fake_leaks(void)
{
	unsigned int n = 0;

	for (int i = 0; i < FAKE_FD_MAX; i++)
		n += fake.open_fds[i];
	for (int i = 0; i < FAKE_MAPS_MAX; i++)
		n += fake.maps[i] != NULL;
	return n;
}

static inline int fake_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return fake_fails() ? fake.fail_code : fake_new_fd();
}

/* Closing never fails in a way that matters, so it is not among the calls that do. */
static inline int fake_close(int fd)
{
	assert_in_range(fd, FAKE_FD_FIRST, FAKE_FD_FIRST + FAKE_FD_MAX - 1);
	assert_true(fake.open_fds[fd - FAKE_FD_FIRST]);
	fake.open_fds[fd - FAKE_FD_FIRST] = false;
	return 0;
}

static inline int fake_ioctl(int fd, unsigned long request, unsigned long arg)
{
	int ret = -ENOSYS;

	fake.ioctls++;
	fake.last_request = request;
	fake.last_arg = arg;
	fake.last_fd = fd;
	if (fake_fails())
		return fake.fail_code;
	if (fake.answer)
		ret = fake.answer(fd, request, (void *)(uintptr_t)arg);
	if (ret != -ENOSYS)
		return ret;
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return FAKE_RUN_SIZE;
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		return fake_new_fd();
	default:
		return 0;
	}
}

static inline int fake_mmap(int fd, size_t len, int64_t offset, void **out)
{
	(void)fd;
	(void)offset;
	if (fake_fails())
		return fake.fail_code;
	for (int i = 0; i < FAKE_MAPS_MAX; i++)
		if (!fake.maps[i]) {
			/* Not calloc(), which tests of a lack of memory replace. */
			*out = fake.maps[i] = malloc(len);
			assert_non_null(*out);
			memset(*out, 0, len);
			return 0;
		}
	return -ENOMEM;
}

static inline int fake_munmap(void *addr, size_t len)
{
	(void)len;
	for (int i = 0; i < FAKE_MAPS_MAX; i++)
		if (fake.maps[i] == addr) {
			free(addr);
			fake.maps[i] = NULL;
			return 0;
		}
	fail_msg("unmaps what is not mapped");
	return -EINVAL;
}

/* What a file of statistics holds. */
static const uint8_t *fake_file;
static size_t fake_file_len;

static inline int64_t fake_pread(int fd, void *buf, size_t len, int64_t offset)
{
	size_t at = offset < 0 ? SIZE_MAX : (size_t)offset;

	(void)fd;
	if (fake_fails())
		return fake.fail_code;
	if (at >= fake_file_len)
		return 0;
	if (len > fake_file_len - at)
		len = fake_file_len - at;
	memcpy(buf, fake_file + at, len);
	return (int64_t)len;
}

static inline int fake_tgkill(pid_t tid, int signo)
{
	fake.kills++;
	fake.killed_tid = tid;
	fake.killed_signal = signo;
	return 0;
}

/* Not const: a test may choose another architecture. */
static struct kvm_sys fake_sys = {
	.arch = KVM_ARCH_HOST,
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.pread = fake_pread,
	.tgkill = fake_tgkill,
};

/* A system, VM and vCPU of the fake, for tests of one call. */
struct fake_machine {
	struct vmm_kvm *kvm;
	struct vmm_kvm_vm *vm;
	struct vmm_kvm_vcpu *vcpu;
};

static inline struct fake_machine fake_machine(void)
{
	struct fake_machine m = { 0 };

	fake_reset();
	assert_int_equal(kvm_open_at(&fake_sys, NULL, &m.kvm, NULL), 0);
	assert_int_equal(vmm_kvm_vm_open(m.kvm, 0, &m.vm, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_open(m.vm, 0, &m.vcpu, NULL), 0);
	return m;
}

static inline void fake_machine_free(struct fake_machine *m)
{
	fake.answer = NULL;
	fake.fail_at = 0;
	vmm_kvm_vcpu_close(m->vcpu);
	vmm_kvm_vm_close(m->vm);
	vmm_kvm_close(m->kvm);
	assert_int_equal(fake_leaks(), 0);
}

#define FAKE_MACHINE __attribute__((cleanup(fake_machine_free))) struct fake_machine

#endif

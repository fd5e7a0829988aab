/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Sanity bound for the size that the kernel tells for its run page. */
#define RUN_SIZE_MAX (16u << 20)

static int open_node(const struct kvm_sys *sys, const char *path, int flags,
		     struct vmm_error *err)
{
	int fd = sys->open(path, O_RDWR | flags);

	switch (fd) {
	case -ENOENT:
		return vmm_error_set(
		    err, fd, "%s: there is no such device; is the kvm module loaded?",
		    path);
	case -EACCES:
	case -EPERM:
		return vmm_error_set(
		    err, -EACCES,
		    "%s: no permission to read and write it; is this user in its group?",
		    path);
	case -ENODEV:
	case -ENXIO:
		return vmm_error_set(
		    err, fd, "%s: no driver behind this node; is the kvm module loaded?",
		    path);
	case -EISDIR:
		return vmm_error_set(err, -ENOTTY, "%s: a directory, not a KVM device",
				     path);
	default:
		if (fd < 0)
			return vmm_error_set(err, fd, "%s: cannot be opened: %s", path,
					     strerrordesc_np(-fd));
		return fd;
	}
}

static int adopt(const struct kvm_sys *sys, int fd, const char *name,
		 struct vmm_kvm **out, struct vmm_error *err)
{
	int version = kvm_ioctl(sys, fd, KVM_GET_API_VERSION, NULL), run_size;
	struct vmm_kvm *kvm;

	if (version == -EBADF)
		return vmm_error_set(err, version, "%s: not an open descriptor", name);
	if (version < 0)
		return vmm_error_set(err, -ENOTTY, "%s: not a KVM device", name);
	if (version != KVM_API_VERSION)
		return vmm_error_at(err, -EOPNOTSUPP, 0, KVM_API_VERSION,
				    (uint64_t)version,
				    "%s: KVM API version %d, version %d is needed", name,
				    version, KVM_API_VERSION);

	run_size = kvm_ioctl(sys, fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (run_size < (int)sizeof(struct kvm_run) || run_size > (int)RUN_SIZE_MAX)
		return vmm_error_at(err, -EOPNOTSUPP, 0, sizeof(struct kvm_run),
				    run_size < 0 ? 0 : (uint64_t)run_size,
				    "%s: no usable size of the vCPU run page (%d)", name,
				    run_size);

	kvm = calloc(1, sizeof(*kvm));
	if (!kvm)
		return vmm_error_set(err, -ENOMEM, "%s: out of memory", name);
	kvm->sys = sys;
	kvm->fd = fd;
	kvm->run_size = (size_t)run_size;
	*out = kvm;
	return 0;
}

int kvm_open_at(const struct kvm_sys *sys, const char *path, struct vmm_kvm **out,
		struct vmm_error *err)
{
	int fd, ret;

	if (!path)
		path = "/dev/kvm";
	fd = open_node(sys, path, O_CLOEXEC, err);
	if (fd < 0)
		return fd;
	ret = adopt(sys, fd, path, out, err);
	if (ret < 0)
		(void)sys->close(fd);
	return ret;
}

int vmm_kvm_open(const char *path, struct vmm_kvm **out, struct vmm_error *err)
{
	return kvm_open_at(&kvm_sys_linux, path, out, err);
}

int vmm_kvm_open_fd(const char *path, bool cloexec, int *out_fd, struct vmm_error *err)
{
	int fd = open_node(&kvm_sys_linux, path ? path : "/dev/kvm",
			   cloexec ? O_CLOEXEC : 0, err);

	if (fd < 0)
		return fd;
	*out_fd = fd;
	return 0;
}

int vmm_kvm_take_fd(int fd, struct vmm_kvm **out, struct vmm_error *err)
{
	char name[32];
	int saved = errno, flags = fcntl(fd, F_GETFD);

	(void)snprintf(name, sizeof(name), "descriptor %d", fd);
	if (flags >= 0 && !(flags & FD_CLOEXEC))
		flags = fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	errno = saved;
	if (flags < 0)
		return vmm_error_set(err, -EBADF, "%s: not an open descriptor", name);
	return adopt(&kvm_sys_linux, fd, name, out, err);
}

void vmm_kvm_close(struct vmm_kvm *kvm)
{
	if (!kvm)
		return;
	(void)kvm->sys->close(kvm->fd);
	free(kvm);
}

int vmm_kvm_get_fd(const struct vmm_kvm *kvm)
{
	return kvm->fd;
}

int vmm_kvm_check_extension(const struct vmm_kvm *kvm, uint32_t cap)
{
	return kvm->sys->ioctl(kvm->fd, KVM_CHECK_EXTENSION, cap);
}

/* KVM's own rule: a limit that the kernel does not tell is another one. */
static uint32_t limit(const struct vmm_kvm *kvm, uint32_t cap, uint32_t fallback)
{
	int n = vmm_kvm_check_extension(kvm, cap);

	return n > 0 ? (uint32_t)n : fallback;
}

uint32_t vmm_kvm_get_nr_vcpus(const struct vmm_kvm *kvm)
{
	return limit(kvm, KVM_CAP_NR_VCPUS, 4);
}

uint32_t vmm_kvm_get_max_vcpus(const struct vmm_kvm *kvm)
{
	uint32_t n = limit(kvm, KVM_CAP_MAX_VCPUS, 0);

	return n > 0 ? n : vmm_kvm_get_nr_vcpus(kvm);
}

uint32_t vmm_kvm_get_max_vcpu_id(const struct vmm_kvm *kvm)
{
	uint32_t n = limit(kvm, KVM_CAP_MAX_VCPU_ID, 0);

	return n > 0 ? n : vmm_kvm_get_max_vcpus(kvm);
}

uint32_t vmm_kvm_get_nr_memslots(const struct vmm_kvm *kvm)
{
	return limit(kvm, KVM_CAP_NR_MEMSLOTS, 32);
}

size_t vmm_kvm_get_run_size(const struct vmm_kvm *kvm)
{
	return kvm->run_size;
}

uint64_t vmm_kvm_get_default_vm_type(const struct vmm_kvm *kvm)
{
	return kvm_arch_default_vm_type(kvm);
}

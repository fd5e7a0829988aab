/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The input is a state from who knows where. What passes the check is restored into a
 * kernel that reads all that a real one would: each argument to its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aarch64/gic.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUN_SIZE = 4096, NESTED_SIZE_AT = 4 };

static uint8_t sink[1 << 16];
static uint64_t run_page[RUN_SIZE / 8];
static struct kvm_sys sys;

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

static void read_all(const void *p, size_t len)
{
	const uint8_t *from = p;

	while (len > 0) {
		size_t n = len < sizeof(sink) ? len : sizeof(sink);

		memcpy(sink, from, n);
		from += n;
		len -= n;
	}
}

static int fake_open(const char *path, int flags)
{
	return 3;
}

static int fake_close(int fd)
{
	return 0;
}

static int fake_mmap(int fd, size_t len, int64_t offset, void **out)
{
	*out = run_page;
	return 0;
}

static int fake_munmap(void *addr, size_t len)
{
	return 0;
}

static int check_extension(unsigned long cap)
{
	return cap == KVM_CAP_XSAVE2 ? 8192 : 4096;
}

/* The numbers are the kernel's: 0x88 and 0x89 are MSRs, 0x90 CPUID, 0xa5 XSAVE, 0xab and
 * 0xac one register, 0xbf nested state, 0x6a interrupt routes, 0xe1 an attribute. */
static int other(unsigned long request, const void *arg)
{
	const struct kvm_one_reg *reg = arg;
	const struct kvm_device_attr *attr = arg;
	uint32_t n;

	memcpy(&n, arg, sizeof(n));
	switch (request & 0xff) {
	case 0x88:
	case 0x89:
		read_all(arg, 8 + (size_t)n * 16);
		return (int)n;
	case 0x90:
		read_all(arg, 8 + (size_t)n * 40);
		return 0;
	case 0xa5:
		read_all(arg, 8192);
		return 0;
	case 0xab:
		return -ENOENT;
	case 0xac:
		read_all((const void *)(uintptr_t)reg->addr, vmm_kvm_reg_size(reg->id));
		return reg->id & 1 ? -EINVAL : 0;
	case 0xbf:
		memcpy(&n, (const uint8_t *)arg + NESTED_SIZE_AT, sizeof(n));
		read_all(arg, n);
		return 0;
	case 0xe1:
		if (attr->addr)
			read_all((const void *)(uintptr_t)attr->addr, 8);
		return 0;
	case 0x6a:
		read_all(arg, 8 + (size_t)n * 48);
		return 0;
	default:
		if (_IOC_DIR(request) & _IOC_WRITE)
			read_all(arg, _IOC_SIZE(request));
		return 0;
	}
}

static int fake_ioctl(int fd, unsigned long request, unsigned long arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CHECK_EXTENSION:
		return check_extension(arg);
	case KVM_CREATE_VM:
	case KVM_CREATE_VCPU:
		return 3;
	case KVM_GET_MP_STATE:
		return 0;
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)(uintptr_t)arg)->fd = 3;
		return 0;
	default:
		/* Those without a direction have a number. */
		return _IOC_DIR(request) == _IOC_NONE
			   ? 0
			   : other(request, (const void *)(uintptr_t)arg);
	}
}

/* Into a controller of the size that the state says, with the service if it has one. */
static int restore_gic(struct vmm_kvm_vm *vm, const struct vmm_kvm_state *state)
{
	struct vmm_kvm_arm64_gic_device gic = { .version = 3 };
	struct vmm_error err;
	const uint32_t *words;
	size_t len;
	int ret = -ENOMEM;

	words = vmm_kvm_state_find(state, VMM_KVM_STATE_GIC_INFO, &len);
	gic.irq_count = words[1];
	if (vmm_kvm_device_open(vm, 7, &gic.gic, NULL) == 0 &&
	    (!vmm_kvm_state_find(state, VMM_KVM_STATE_ITS_REGS, &len) ||
	     vmm_kvm_device_open(vm, 8, &gic.its, NULL) == 0))
		ret = vmm_kvm_arm64_gic_restore(&gic, state, &err);
	vmm_kvm_device_close(gic.its);
	vmm_kvm_device_close(gic.gic);
	return ret;
}

static void restore(const struct vmm_kvm_state *state,
		    const struct vmm_kvm_state_info *info)
{
	struct vmm_kvm_restore_opts opts = VMM_KVM_RESTORE_OPTS_INIT;
	struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_vm *vm = NULL;
	struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_error err;

	sys = (struct kvm_sys){ .arch = info->arch,
				.open = fake_open,
				.close = fake_close,
				.ioctl = fake_ioctl,
				.mmap = fake_mmap,
				.munmap = fake_munmap };
	if (kvm_open_at(&sys, NULL, &kvm, NULL) == 0 &&
	    vmm_kvm_vm_open(kvm, 0, &vm, NULL) == 0 &&
	    vmm_kvm_vcpu_open(vm, info->id, &vcpu, NULL) == 0 &&
	    vmm_kvm_routes_new(vm, &opts.routes) == 0) {
		int ret = info->kind == VMM_KVM_STATE_VCPU
			      ? vmm_kvm_vcpu_restore(vcpu, state, &err)
			  : info->kind == VMM_KVM_STATE_VM
			      ? vmm_kvm_vm_restore(vm, state, &opts, &err)
			      : restore_gic(vm, state);

		check(ret <= 0);
	}
	vmm_kvm_routes_free(opts.routes);
	vmm_kvm_vcpu_close(vcpu);
	vmm_kvm_vm_close(vm);
	vmm_kvm_close(kvm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_kvm_state_info info = VMM_KVM_STATE_INFO_INIT;
	struct vmm_kvm_state *state = NULL, *again = NULL;
	struct vmm_error err;
	size_t len;
	const void *bytes;

	if (vmm_kvm_state_parse(data, size, &state, &err) < 0) {
		check(!state && err.code < 0);
		return 0;
	}
	check(vmm_kvm_state_get_info(state, &info) == 0);
	bytes = vmm_kvm_state_get_data(state, &len);
	check(len == size && memcmp(bytes, data, size) == 0);
	check(vmm_kvm_state_parse(bytes, len, &again, NULL) == 0);
	for (uint32_t section = 0; section < 0x300; section++) {
		const void *p = vmm_kvm_state_find(state, section, &len);

		check(p ? (uintptr_t)p % 8 == 0 : len == 0);
		if (p)
			read_all(p, len);
	}
	restore(state, &info);
	vmm_kvm_state_free(again);
	vmm_kvm_state_free(state);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a port write and an MMIO write cost through the library, against a loop around
 * the bare ioctl on the same vCPU. */
#include "vmm-bench.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <vmm/kvm-x86.h>

enum { MEMORY = 0x4000, CODE = 0x1000, CANNOT_RUN = 77 };

static const uint8_t pio_loop[] = {
	0xe6, 0xe9, /* out 0xe9, al */
	0xeb, 0xfc, /* jmp back */
};

static const uint8_t mmio_loop[] = {
	0xa2, 0x00, 0x00, 0x00, 0xd0, /* mov [0xd0000000], al */
	0xeb, 0xf9,		      /* jmp back */
};

struct machine {
	struct vmm_kvm_vcpu *vcpu;
	struct kvm_run *run;
	int fd;
};

static void library(void *ctx, uint64_t n)
{
	struct machine *m = ctx;
	struct vmm_kvm_exit exit;

	while (n > 0) {
		int ret = vmm_kvm_vcpu_run(m->vcpu, &exit);

		if (ret == -EINTR)
			continue;
		if (ret < 0)
			break;
		VMM_BENCH_KEEP(exit.reason == VMM_KVM_EXIT_IO ? exit.u.io.data[0]
							      : exit.u.mmio.data[0]);
		n--;
	}
}

static void bare(void *ctx, uint64_t n)
{
	struct machine *m = ctx;

	while (n > 0) {
		if (ioctl(m->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		VMM_BENCH_KEEP(m->run->exit_reason == KVM_EXIT_IO
				   ? *((uint8_t *)m->run + m->run->io.data_offset)
				   : m->run->mmio.data[0]);
		n--;
	}
}

static int measure(struct vmm_kvm *kvm, uint8_t *ram, const char *name,
		   const uint8_t *code, size_t len)
{
	VMM_CLEANUP(vmm_kvm_vm_close) struct vmm_kvm_vm *vm = NULL;
	VMM_CLEANUP(vmm_kvm_vcpu_close) struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct vmm_kvm_x86_boot boot = VMM_KVM_X86_BOOT_INIT;
	struct machine m;
	const struct vmm_bench_case c = { "kvm", name, library, "ioctl(KVM_RUN)",
					  bare,	 &m,   1 };

	memcpy(ram + CODE, code, len);
	memory.len = MEMORY;
	memory.host = ram;
	boot.mode = VMM_KVM_X86_PROTECTED32;
	boot.rip = CODE;
	if (vmm_kvm_vm_open(kvm, 0, &vm, NULL) < 0 ||
	    vmm_kvm_vm_add_memory(vm, &memory, NULL, NULL) < 0 ||
	    vmm_kvm_vcpu_open(vm, 0, &vcpu, NULL) < 0 ||
	    vmm_kvm_vcpu_set_boot_regs(vcpu, &boot) < 0)
		return EXIT_FAILURE;
	m.vcpu = vcpu;
	m.run = vmm_kvm_vcpu_get_run(vcpu);
	m.fd = vmm_kvm_vcpu_get_fd(vcpu);
	vmm_bench_run(&c);
	return EXIT_SUCCESS;
}

int main(void)
{
	VMM_CLEANUP(vmm_kvm_close) struct vmm_kvm *kvm = NULL;
	uint8_t *ram;
	int ret;

	if (vmm_kvm_open(NULL, &kvm, NULL) < 0)
		return CANNOT_RUN;
	ram = aligned_alloc(4096, MEMORY);
	if (!ram)
		return EXIT_FAILURE;
	memset(ram, 0, MEMORY);
	ret = measure(kvm, ram, "pio-exit", pio_loop, sizeof(pio_loop));
	if (ret == EXIT_SUCCESS)
		ret = measure(kvm, ram, "mmio-exit", mmio_loop, sizeof(mmio_loop));
	free(ram);
	return ret;
}

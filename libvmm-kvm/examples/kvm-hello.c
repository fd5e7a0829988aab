/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A bare-metal guest that prints a greeting through a port: the smallest machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-x86.h>

enum { MEMORY = 0x4000, CODE = 0x1000, TEXT = 0x2000, CANNOT_RUN = 77 };

static const unsigned char code[] = {
	0xbe, 0x00, 0x20, 0x00, 0x00, /* mov esi, TEXT */
	0xac,			      /* next: lodsb */
	0x84, 0xc0,		      /* test al, al */
	0x74, 0x04,		      /* jz done */
	0xe6, 0xe9,		      /* out 0xe9, al */
	0xeb, 0xf7,		      /* jmp next */
	0xf4,			      /* done: hlt */
};

static int run(struct vmm_kvm_vcpu *vcpu)
{
	struct vmm_kvm_exit exit;
	char why[160];
	int ret;

	while ((ret = vmm_kvm_vcpu_run(vcpu, &exit)) == 0) {
		if (exit.reason == VMM_KVM_EXIT_IO && exit.u.io.port == 0xe9) {
			(void)fwrite(exit.u.io.data, 1, exit.u.io.len, stdout);
			continue;
		}
		if (exit.reason == VMM_KVM_EXIT_HLT)
			return EXIT_SUCCESS;
		(void)vmm_kvm_exit_describe(&exit, why, sizeof(why));
		(void)fprintf(stderr, "kvm-hello: the guest stopped: %s\n", why);
		return EXIT_FAILURE;
	}
	(void)fprintf(stderr, "kvm-hello: cannot run the guest: %s\n", strerror(-ret));
	return EXIT_FAILURE;
}

static int boot(struct vmm_kvm_vm *vm, unsigned char *ram, struct vmm_error *err)
{
	VMM_CLEANUP(vmm_kvm_vcpu_close) struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_kvm_memory memory = VMM_KVM_MEMORY_INIT;
	struct vmm_kvm_x86_boot state = VMM_KVM_X86_BOOT_INIT;
	int ret;

	memcpy(ram + CODE, code, sizeof(code));
	memcpy(ram + TEXT, "hello from the guest\n", 22);
	memory.len = MEMORY;
	memory.host = ram;
	state.mode = VMM_KVM_X86_PROTECTED32;
	state.rip = CODE;
	if (vmm_kvm_vm_add_memory(vm, &memory, NULL, err) < 0 ||
	    vmm_kvm_vcpu_open(vm, 0, &vcpu, err) < 0) {
		(void)fprintf(stderr, "kvm-hello: %s\n", err->message);
		return EXIT_FAILURE;
	}
	ret = vmm_kvm_vcpu_set_boot_regs(vcpu, &state);
	if (ret < 0) {
		(void)fprintf(stderr, "kvm-hello: registers: %s\n", strerror(-ret));
		return EXIT_FAILURE;
	}
	return run(vcpu);
}

int main(void)
{
	VMM_CLEANUP(vmm_kvm_close) struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_vm *vm = NULL;
	unsigned char *ram = aligned_alloc(4096, MEMORY);
	struct vmm_error err;
	int ret = CANNOT_RUN;

	if (!ram)
		return EXIT_FAILURE;
	memset(ram, 0, MEMORY);
	if (vmm_kvm_open(NULL, &kvm, &err) < 0 ||
	    vmm_kvm_vm_open(kvm, vmm_kvm_get_default_vm_type(kvm), &vm, &err) < 0)
		(void)fprintf(stderr, "kvm-hello: %s\n", err.message);
	else
		ret = boot(vm, ram, &err);
	/* The guest's memory outlives the machine that sees it. */
	vmm_kvm_vm_close(vm);
	free(ram);
	return ret;
}
